"""
What is known of a destination before a signal is posted there, check by check; nothing here asks.

A webhook cannot be asked for anything: only its address is looked at, and whether somebody listens there.
"""

from dataclasses import dataclass

from pregao.domain.preflight import Check, CheckResult, Result

ELSEWHERE = (
    Check.STREAM, Check.CLOCK, Check.KEY, Check.ADDRESSES, Check.POSITION_MODE, Check.MARGIN, Check.MARGIN_TOGETHER,
    Check.LEVERAGE, Check.SIZE,
)  # fmt: skip
"""What venues have that can be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why an address is not posted to."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """A connection was made, and closed: nothing was posted."""

    milliseconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDestination:
    """What was found out about one."""

    host: str  # as the account knows it
    addresses: tuple[str, ...] | Trouble  # that may be connected to
    connected: Connected | Trouble | None = None  # None: it was not tried


def judge_destination(found: FoundDestination) -> list[CheckResult]:
    """Give the result of every check. None of them denies: what is posted is checked when it is, and its receipt says so."""
    return [
        _address(found),
        _listening(found),
        *(
            CheckResult(
                check=check,
                result=Result.INAPPLICABLE,
                code="NOT_AT_A_WEBHOOK",
                remedy="A webhook is posted to and cannot be asked.",
            )
            for check in ELSEWHERE
        ),
    ]


def _address(found: FoundDestination) -> CheckResult:
    if isinstance(found.addresses, Trouble):
        return CheckResult(
            check=Check.DESTINATION,
            result=Result.FAILED,
            code=found.addresses.code,
            numbers={"host": found.host},
            remedy=found.addresses.message,
        )
    return CheckResult(
        check=Check.DESTINATION,
        result=Result.OK,
        code="DESTINATION_ALLOWED",
        numbers={"host": found.host, "addresses": ",".join(found.addresses)},
    )


def _listening(found: FoundDestination) -> CheckResult:
    if found.connected is None:
        return CheckResult(
            check=Check.VENUE,
            result=Result.UNKNOWN,
            code="UNANSWERED",
            remedy="Nothing was connected to: see what is said of its address.",
        )
    if isinstance(found.connected, Trouble):
        return CheckResult(
            check=Check.VENUE,
            result=Result.FAILED,
            code=found.connected.code,
            numbers={"host": found.host, "cause": found.connected.message},
            remedy="Nobody listens there, or its certificate is not good. It is connected to again in a minute.",
        )
    return CheckResult(
        check=Check.VENUE,
        result=Result.OK,
        code="DESTINATION_REACHED",
        numbers={"milliseconds": str(found.connected.milliseconds)},
    )
