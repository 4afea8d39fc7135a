"""What a venue's answers mean for the account itself: its stream, its clock, its key, its position mode."""

from collections.abc import Iterator
from uuid import UUID

from pregao.accounts.found import Answer, Found
from pregao.domain.account import Venue
from pregao.domain.preflight import (
    AccountRules,
    Check,
    CheckResult,
    ClockReading,
    KeyRights,
    Result,
)
from pregao.domain.venue import OperatorNeeded, Refused, VenueError

OFFSET_MS_MAX = 1_000  # the desk goes by the venue's clock; a machine this far off has a wrong clock
DRIFT_MS_MAX = 250  # between two measurements, ten minutes apart


def unanswered(
    check: Check, answer: object, *, subscription_id: UUID | None = None, symbol: str = ""
) -> CheckResult:
    """Give the result of a check that could not be made."""
    return CheckResult(
        check=check,
        result=Result.UNKNOWN,
        code="UNANSWERED",
        numbers={"problem": answer.code} if isinstance(answer, VenueError) else {},
        remedy="The venue did not tell; it is asked again.",
        subscription_id=subscription_id,
        symbol=symbol,
    )


def stream_check(found: Found) -> CheckResult:
    if found.is_streamed is None:
        return unanswered(Check.STREAM, None)
    if found.is_streamed:
        return CheckResult(check=Check.STREAM, result=Result.OK, code="STREAM_CONNECTED")
    return CheckResult(
        check=Check.STREAM,
        result=Result.WARNING,
        code="STREAM_AWAY",
        remedy="What happens on the account is learned by asking, and later. It is connected again by itself.",
    )


def clock_check(clock: ClockReading) -> CheckResult:
    if clock.offset_ms is None:
        return CheckResult(
            check=Check.CLOCK,
            result=Result.UNKNOWN,
            code="CLOCK_UNMEASURED",
            remedy="The venue has not told its time yet; it is asked every ten minutes.",
        )
    numbers = {"offset_ms": str(clock.offset_ms), "offset_ms_max": str(OFFSET_MS_MAX)}
    if clock.drift_ms is not None:
        numbers |= {"drift_ms": str(clock.drift_ms), "drift_ms_max": str(DRIFT_MS_MAX)}
    remedy = "Let this machine's clock be set by NTP; orders go by the venue's clock meanwhile."
    if abs(clock.offset_ms) > OFFSET_MS_MAX:
        return CheckResult(
            check=Check.CLOCK, result=Result.WARNING, code="CLOCK_OFF", numbers=numbers, remedy=remedy
        )
    if clock.drift_ms is not None and abs(clock.drift_ms) > DRIFT_MS_MAX:
        return CheckResult(
            check=Check.CLOCK, result=Result.WARNING, code="CLOCK_DRIFTS", numbers=numbers, remedy=remedy
        )
    return CheckResult(check=Check.CLOCK, result=Result.OK, code="CLOCK_AGREES", numbers=numbers)


def key_checks(found: Found) -> Iterator[CheckResult]:
    rights, rules = found.rights, found.rules
    if isinstance(rights, VenueError):
        yield _key_refused(rights)
        yield unanswered(Check.ADDRESSES, rights)
        return
    yield _rights(rights, rules)
    yield _addresses(rights, venue=found.account.venue)


def _rights(rights: KeyRights, rules: Answer[AccountRules]) -> CheckResult:
    if rights.may_withdraw:
        return _failed_key(
            "KEY_MAY_WITHDRAW",
            "Take the withdrawal right from the key at the venue, or give the account another key: "
            "whoever gets at the desk must not get at the money.",
        )
    if rights.may_trade is False:
        return _failed_key(
            "KEY_MAY_NOT_TRADE", "Allow the key to trade futures at the venue, or give the account another."
        )
    if isinstance(rules, VenueError):
        return _key_refused(rules)
    if not rules.may_trade:
        return _failed_key(
            "ACCOUNT_MAY_NOT_TRADE", "The venue lets this account place no orders; ask it why."
        )
    if rights.may_withdraw is None:
        return CheckResult(
            check=Check.KEY,
            result=Result.OK,
            code="KEY_RIGHTS_UNTOLD",
            remedy="This venue tells no key its rights; see there that it may trade futures and not withdraw.",
        )
    return CheckResult(check=Check.KEY, result=Result.OK, code="KEY_ALLOWED")


def _key_refused(error: VenueError) -> CheckResult:
    if not isinstance(error, OperatorNeeded | Refused):
        return unanswered(Check.KEY, error)
    return _failed_key(
        "KEY_REFUSED",
        "Give the account a key that exists, with its own secret, the right to trade futures, and this machine's "
        "address on its list if it has one.",
        problem=error.code,
    )


def _failed_key(code: str, remedy: str, **numbers: str) -> CheckResult:
    return CheckResult(
        check=Check.KEY, result=Result.FAILED, code=code, numbers=numbers, remedy=remedy, denies=True
    )


def _addresses(rights: KeyRights, *, venue: Venue) -> CheckResult:
    if rights.has_address_list is None:
        return CheckResult(
            check=Check.ADDRESSES,
            result=Result.UNKNOWN,
            code="KEY_RIGHTS_UNTOLD",
            remedy="This venue does not tell whether the key is tied to addresses.",
        )
    if rights.has_address_list:
        return CheckResult(check=Check.ADDRESSES, result=Result.OK, code="ADDRESSES_LISTED")
    if venue is Venue.PAPER:
        return CheckResult(check=Check.ADDRESSES, result=Result.OK, code="ADDRESSES_OPEN")
    return CheckResult(
        check=Check.ADDRESSES,
        result=Result.WARNING,
        code="ADDRESSES_OPEN",
        remedy="Tie the key to this machine's address at the venue: a stolen key is worth nothing elsewhere then.",
    )


def position_mode_check(found: Found) -> CheckResult:
    if isinstance(found.rules, VenueError):
        return unanswered(Check.POSITION_MODE, found.rules)
    wanted, mode = found.account.position_mode, found.rules.position_mode
    numbers = {"account": wanted, "venue": mode}
    if wanted is mode:
        return CheckResult(
            check=Check.POSITION_MODE, result=Result.OK, code="POSITION_MODE_AGREES", numbers=numbers
        )
    return CheckResult(
        check=Check.POSITION_MODE,
        result=Result.FAILED,
        code="POSITION_MODE_DIFFERS",
        numbers=numbers,
        remedy="Set the mode at the venue where nothing is open (`pregao account check NAME --fix` does), or change the "
        "account's `position_mode`.",
        denies=True,
    )
