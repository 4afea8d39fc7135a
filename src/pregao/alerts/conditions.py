"""
What stands in the state for a while and is told once, until it is over: the rest of the table.

| What stands                                         | Alert             | Level                                  |
| --------------------------------------------------- | ----------------- | -------------------------------------- |
| a breaker is open                                   | breaker_open      | ERROR                                  |
| a process nobody stopped ended without giving up its lease | worker_dead | CRITICAL when no other has its role, else ERROR |
| orders at a venue have no known outcome for a minute | order_unresolved | ERROR                                  |
| a held symbol's price is older than half a minute   | feed_silent       | ERROR                                  |
| the screener gave no list three times in a row      | screener_failing  | WARNING                                |
| the database was put back                           | database_restored | CRITICAL                               |

All of it is the desk's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from pregao.alerts.table import Saying
from pregao.domain.alert import AlertKind, AlertLevel

UNRESOLVED_SECONDS = 60
SILENT_SECONDS = 30  # a software stop counts as no protection beyond it
FAILURES_MIN = 3
DEAD_SECONDS = 600  # so long an ended process is news
RESTORED_SECONDS = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Something that stands now."""

    kind: AlertKind
    about: str  # which one: a breaker's name, a worker, a venue
    numbers: dict[str, str] = field(default_factory=dict)
    is_worse: bool = False

    @property
    def key(self) -> str:
        """What tells it from others."""
        return f"{self.kind}:{self.about}"


Told: TypeAlias = tuple[str, str, AlertLevel, str]
"""Title, text, level and code."""


def say_condition(one: Condition) -> Saying:
    """Give what is told when it is seen first."""
    title, text, level, code = CONDITIONS[one.kind](one)
    return Saying(
        kind=one.kind,
        level=level,
        title=title,
        text=text,
        code=code,
        about=one.about,
        key=one.key,
        subject=one.key,
        numbers=one.numbers,
    )


def say_over(key: str) -> Saying:
    """Give what is told when it stands no longer."""
    kind, _, about = key.partition(":")
    return Saying(
        kind=AlertKind(kind),
        level=AlertLevel.INFO,
        title=f"Over: {kind.replace('_', ' ')} ({about})",
        text="It was told of, and it stands no longer.",
        code=OVER[AlertKind(kind)],
        about=about,
        key=f"{key}:over",
        subject=key,
    )


def _breaker(one: Condition) -> Told:
    return (
        f"{one.about} is left alone",
        "It failed several times in a row: nothing is entered there for a while, exits are sent all the same.",
        AlertLevel.ERROR,
        "VENUE_LEFT_ALONE",
    )


def _worker(one: Condition) -> Told:
    text = "Nobody else does its work." if one.is_worse else "Another process does its work."
    return (
        f"{one.about} ended without a word",
        f"{text} Its log says why.",
        AlertLevel.CRITICAL if one.is_worse else AlertLevel.ERROR,
        "WORKER_DIED_ALONE" if one.is_worse else "WORKER_DIED",
    )


def _unresolved(one: Condition) -> Told:
    return (
        f"Orders at {one.about} have no known outcome",
        "The venue is asked until it says; nothing is sent again. See the runbook of unresolved orders.",
        AlertLevel.ERROR,
        "OUTCOMES_UNKNOWN",
    )


def _silent(one: Condition) -> Told:
    return (
        f"{one.about}: no price comes",
        "Something is held there. The venue's own stop protects; ours sees nothing.",
        AlertLevel.ERROR,
        "NO_PRICE_COMES",
    )


def _screener(one: Condition) -> Told:
    return (
        f"The screener gives no list ({one.about})",
        "The last good list stands, and grows old.",
        AlertLevel.WARNING,
        "NO_LIST_COMES",
    )


def _restored(_one: Condition) -> Told:
    return (
        "The database was put back to an older state",
        "Every account is compared with its venue before anything is opened there.",
        AlertLevel.CRITICAL,
        "OLDER_STATE_RESTORED",
    )


CONDITIONS: Mapping[AlertKind, Callable[[Condition], Told]] = {
    AlertKind.BREAKER_OPEN: _breaker,
    AlertKind.WORKER_DEAD: _worker,
    AlertKind.ORDER_UNRESOLVED: _unresolved,
    AlertKind.FEED_SILENT: _silent,
    AlertKind.SCREENER_FAILING: _screener,
    AlertKind.DATABASE_RESTORED: _restored,
}
OVER = {
    AlertKind.BREAKER_OPEN: "VENUE_TRIED_AGAIN",
    AlertKind.WORKER_DEAD: "WORKER_NO_NEWS",
    AlertKind.ORDER_UNRESOLVED: "OUTCOMES_KNOWN",
    AlertKind.FEED_SILENT: "PRICES_COME_AGAIN",
    AlertKind.SCREENER_FAILING: "LISTS_COME_AGAIN",
    AlertKind.DATABASE_RESTORED: "RESTORED_LONG_AGO",
}
"""What is said when it stands no longer."""
