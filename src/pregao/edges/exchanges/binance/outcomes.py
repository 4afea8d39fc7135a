"""
What an answer, or its absence, proves about the request: one of the four kinds of no.

Only a coded refusal proves that nothing was done; whatever cannot be read for certain stays unknown.
"""

import re
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from pregao.domain.breaker import Outcome
from pregao.domain.venue import Blame, OperatorNeeded, OutcomeUnknown, Refused, RetryLater, VenueError
from pregao.edges.exchanges.binance.errors import CODES, VENUE_FAULTS, Code, Kind
from pregao.edges.exchanges.binance.limits import MINUTE_MS
from pregao.edges.exchanges.wire import Answer, NotSent, WireError

RETRY_AFTER_SECONDS = 1.0  # where nothing better is known
FIREWALL_SECONDS = 60.0  # a 403 of the firewall lifts by itself when we are quiet
BAN_SECONDS = 120.0  # the shortest ban Binance gives
MESSAGE_LETTERS_MAX = 200
TOO_MANY_REQUESTS = -1003
NOT_EXECUTED = "service unavailable"  # the one 503 text that says so; a gateway's page does not count
Error = TypeVar("Error", bound=VenueError)

BANNED_UNTIL = re.compile(r"until (\d{13})")


class Refusal(msgspec.Struct):
    """The exchange's error body."""

    code: int
    msg: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an unsuccessful answer proves, the code it carried, and the error to raise."""

    kind: Kind
    code: int | None
    error: VenueError


_refusal = msgspec.json.Decoder(Refusal)


def refusal_in(answer: Answer) -> Refusal | None:
    """Read the error body; None when there is none to read."""
    try:
        return _refusal.decode(answer.body)
    except msgspec.DecodeError:
        return None


def verdict_on(answer: Answer, *, now_ms: int) -> Verdict:
    """Judge an answer that is not a success; ``now_ms`` is the venue's clock, for the end of a ban."""
    verdict = _verdict_on(answer, now_ms=now_ms)
    verdict.error.blame = Blame.VENUE if _is_venues_fault(answer, code=verdict.code) else Blame.ASKER
    return verdict


def outcome_of(problem: Exception) -> Outcome:
    """Say what a call's end tells a breaker: one poor account's refusal is no outage, and nor is our own."""
    blame = problem.blame if isinstance(problem, VenueError) else Blame.NOBODY
    return {Blame.VENUE: Outcome.FAILURE, Blame.ASKER: Outcome.SUCCESS, Blame.NOBODY: Outcome.NOTHING}[blame]


def _is_venues_fault(answer: Answer, *, code: int | None) -> bool:
    """A limit of ours (418, 429) is no fault, a code names one or none, and what has no code was no proper answer."""
    if answer.status in (418, 429):
        return False
    return code is None or code in VENUE_FAULTS or answer.status == 408 or answer.status >= 500


def _verdict_on(answer: Answer, *, now_ms: int) -> Verdict:
    refusal = refusal_in(answer)
    if answer.status in (418, 429):
        return _limited(answer, refusal, now_ms=now_ms)
    if refusal is None or refusal.code >= 0:
        return _uncoded(answer)
    code = CODES.get(refusal.code)
    if code is None:
        # An unlisted code with 4xx is the exchange's own no; with anything else nobody knows.
        refused = 400 <= answer.status < 500 and answer.status != 408
        code = Code(Kind.REFUSED if refused else Kind.OUTCOME_UNKNOWN, "unlisted code")
    elif answer.status == 408:
        code = Code(Kind.OUTCOME_UNKNOWN, code.meaning)
    text = f"{code.meaning}: {_shortened(refusal.msg)}"
    seconds = code.retry_after_seconds
    return Verdict(code.kind, refusal.code, _error(code.kind, str(refusal.code), text, seconds=seconds))


def unanswered(failure: WireError, *, what: str) -> VenueError:
    """Judge a request that got no answer."""
    if isinstance(failure, NotSent):
        return venues_fault(
            RetryLater("NOT_SENT", f"{what}: {failure}", retry_after_seconds=RETRY_AFTER_SECONDS)
        )
    return venues_fault(OutcomeUnknown("ANSWER_LOST", f"{what}: {failure}. It will not be sent again."))


def unreadable(answer: Answer, *, what: str) -> OutcomeUnknown:
    """Judge a success that cannot be read."""
    return venues_fault(
        OutcomeUnknown("ANSWER_UNREADABLE", f"{what}: status={answer.status} bytes={len(answer.body)}")
    )


def venues_fault(error: Error) -> Error:
    """Blame the venue for an error."""
    error.blame = Blame.VENUE
    return error


def _limited(answer: Answer, refusal: Refusal | None, *, now_ms: int) -> Verdict:
    code = refusal.code if refusal is not None else None
    told = answer.header(b"retry-after")
    text = refusal.msg if refusal is not None else ""
    until = BANNED_UNTIL.search(text)
    if told is not None and told.strip().isdigit():
        seconds = float(told)
    elif until is not None:
        seconds = max(0.0, (int(until[1]) - now_ms) / 1000)
    elif answer.status == 418:
        seconds = BAN_SECONDS
    elif code == TOO_MANY_REQUESTS:
        seconds = (MINUTE_MS - now_ms % MINUTE_MS) / 1000  # weight is counted by the clock's minute
    else:
        seconds = CODES[code].retry_after_seconds if code in CODES else RETRY_AFTER_SECONDS
    sentence = f"{'banned' if answer.status == 418 else 'over the limit'}: {_shortened(text)}"
    name = str(code) if code is not None else f"HTTP_{answer.status}"
    return Verdict(Kind.RETRY_LATER, code, RetryLater(name, sentence, retry_after_seconds=seconds))


def _uncoded(answer: Answer) -> Verdict:
    name = f"HTTP_{answer.status}"
    if answer.status == 403:
        kind, meaning, seconds = Kind.RETRY_LATER, "stopped by the firewall", FIREWALL_SECONDS
    elif answer.status == 503 and _plain_text(answer).rstrip(".").lower() == NOT_EXECUTED:
        kind, meaning, seconds = Kind.RETRY_LATER, "not executed", RETRY_AFTER_SECONDS
    else:
        kind, meaning, seconds = Kind.OUTCOME_UNKNOWN, "an answer that proves nothing", 0.0
    return Verdict(kind, None, _error(kind, name, meaning, seconds=seconds))


def _plain_text(answer: Answer) -> str:
    try:
        body = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        return answer.body.decode("utf-8", "replace").strip()
    return str(body.get("msg", "")).strip() if isinstance(body, dict) else str(body).strip()


def _error(kind: Kind, code: str, text: str, *, seconds: float) -> VenueError:
    if kind is Kind.RETRY_LATER:
        return RetryLater(code, text, retry_after_seconds=seconds)
    if kind is Kind.OPERATOR_NEEDED:
        return OperatorNeeded(code, text)
    if kind is Kind.OUTCOME_UNKNOWN:
        return OutcomeUnknown(code, text)
    return Refused(code, text)


def _shortened(text: str) -> str:
    return text if len(text) <= MESSAGE_LETTERS_MAX else text[:MESSAGE_LETTERS_MAX] + "…"
