"""
What a venue's answers mean for the entries an account is to take: each check with its code, numbers and remedy.

Takes what was found. Gives one result for each thing that was looked at; nothing here asks.
"""

from collections.abc import Iterator

from pregao.accounts.entry_checks import bracket_fault, leverage_check, margins, sizes
from pregao.accounts.found import Found, Sizing, wanted_of
from pregao.accounts.key_checks import clock_check, key_checks, position_mode_check, stream_check, unanswered
from pregao.domain.preflight import (
    Check,
    CheckResult,
    Result,
)
from pregao.domain.venue import Blame, OperatorNeeded, Refused, VenueError


def judge(found: Found, *, size: Sizing) -> list[CheckResult]:
    """Give the result of every check."""
    if is_away(found):
        return [_venue_away(found), *_unknown_all(found)]
    wanted = [one for follows in found.follows for one in wanted_of(follows)]
    return [
        CheckResult(check=Check.VENUE, result=Result.OK, code="VENUE_ANSWERS"),
        stream_check(found),
        clock_check(found.clock),
        *key_checks(found),
        position_mode_check(found),
        *margins(found, wanted, size=size),
        *(leverage_check(found, one, wanted) for one in wanted),
        *sizes(found, wanted, size=size),
    ]


def leverages_to_set(found: Found) -> dict[str, int]:
    """
    Give the symbols whose leverage or margin mode can be set ahead, with the leverage.

    Where something is open nothing is changed, and where subscriptions differ, what one of them wants may stand.
    """
    if isinstance(found.symbols, VenueError) or isinstance(found.funds, VenueError):
        return {}
    by_symbol: dict[str, list[int]] = {}
    for one in found.follows:
        for wanted in wanted_of(one):
            if bracket_fault(wanted, found.brackets) is None:
                by_symbol.setdefault(wanted.symbol, []).append(wanted.leverage)
    chosen = {}
    for symbol, leverages in by_symbol.items():
        rules = found.symbols.get(symbol)
        if rules is None or symbol in found.funds.held:
            continue
        leverage = rules.leverage if rules.leverage in leverages else leverages[0]
        if (leverage, found.account.margin_mode) != (rules.leverage, rules.margin_mode):
            chosen[symbol] = leverage
    return chosen


def is_away(found: Found) -> bool:
    """Say whether the venue did not answer the first question about the account; a refusal is an answer."""
    rules = found.rules
    if not isinstance(rules, VenueError) or isinstance(rules, Refused | OperatorNeeded):
        return False
    return rules.blame is not Blame.ASKER


def _venue_away(found: Found) -> CheckResult:
    assert isinstance(found.rules, VenueError), "it answered nothing"
    return CheckResult(
        check=Check.VENUE,
        result=Result.FAILED,
        code="VENUE_AWAY",
        numbers={"venue": found.account.venue, "problem": found.rules.code},
        remedy="See the venue's status page and `pregao breakers`; it is asked again.",
    )


def _unknown_all(found: Found) -> Iterator[CheckResult]:
    yield stream_check(found)
    yield from key_checks(found)
    yield unanswered(Check.POSITION_MODE, found.rules)
    for follows in found.follows:
        subscription_id = follows.subscription.subscription_id
        yield unanswered(Check.MARGIN, found.rules, subscription_id=subscription_id)
