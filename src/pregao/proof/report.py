"""What a proof found, for people and for machines, and whether it holds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pregao.proof.compare import FIGURES, Counts, Difference
from pregao.proof.exits import DOUBLED, MISSING, OPEN, WAITING
from pregao.proof.unguarded import UNGUARDED as TOO_LONG

UNGUARDED = "measured by --stops"
GUARD_FIGURES = (DOUBLED, MISSING, OPEN, WAITING, TOO_LONG)
"""The figures of a proof of the stops that must be 0, too."""
DIFFERENCES_SHOWN = 20  # of each figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """What a proof of the stops measured."""

    positions: int  # that were closed
    claims: int
    levels: dict[str, int]  # that prices were led to, and how often one was reached, or a stop followed
    exits: int  # of ours that filled
    venue_exits: int  # that the venue's own lines made
    longest_seconds: float  # that nothing guarded what was held
    limit_seconds: float | None  # of that span; None: there was none
    unexcused_seconds: float  # the longest in which the database was there and no exit had to be proven dead


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The outcome of one proof."""

    seed: int
    signals: int
    accounts: int
    accepted: int  # alerts whose sender was told that we have them
    counts: Counts
    differences: Sequence[Difference]
    faults: dict[str, int]  # asked for, and how often each struck
    trials: dict[str, int]  # asked for, and how often each was sprung
    points: dict[str, int]  # how often each crash point was come to
    forgotten: (
        tuple[int, int] | None
    )  # alerts and orders that went with the database's lost time, if it was put back
    settled_seconds: float | None  # None: it never was
    seconds: float
    guarded: Guarded | None = None  # of a proof of the stops

    @property
    def figures(self) -> tuple[str, ...]:
        """The figures that must be 0."""
        return FIGURES if self.guarded is None else (*FIGURES, *GUARD_FIGURES)

    def figure(self, name: str) -> int:
        """Give one of the figures that must be 0."""
        return sum(difference.figure == name for difference in self.differences)

    @property
    def shown(self) -> list[Difference]:
        """Give the first differences of each figure."""
        return [
            difference
            for name in self.figures
            for difference in [one for one in self.differences if one.figure == name][:DIFFERENCES_SHOWN]
        ]

    @property
    def never_hit(self) -> list[str]:
        """Give the faults and trials that were asked for and never struck."""
        levels = {} if self.guarded is None else self.guarded.levels
        return [name for name, hits in {**self.faults, **self.trials, **levels}.items() if not hits]

    @property
    def reasons(self) -> list[str]:
        """Give why the proof fails; nothing when it holds."""
        found = [f"{name}: {count}" for name in self.figures if (count := self.figure(name))]
        if self.guarded is not None and not self.guarded.exits + self.guarded.venue_exits:
            found.append("nothing was exited")
        if self.settled_seconds is None:
            found.append("the desk did not settle")
        if 2 * self.accepted < self.signals:
            found.append(f"fewer than half taken: {self.accepted} of {self.signals}")
        if 2 * self.counts.filled < self.counts.expected or not self.counts.filled:
            found.append(f"fewer than half filled: {self.counts.filled} of {self.counts.expected}")
        found += [f"never hit: {name}" for name in self.never_hit]
        return found

    @property
    def holds(self) -> bool:
        """Whether the desk has proven itself."""
        return not self.reasons

    def rows(self) -> list[tuple[str, str]]:
        """Give the table for people."""
        counts, settled = self.counts, self.settled_seconds
        return [
            *((name, str(self.figure(name))) for name in self.figures),
            *_guard_rows(self.guarded),
            ("", ""),
            ("alerts", f"{self.signals} sent, {self.accepted} taken"),
            ("orders", f"{counts.expected} expected, {counts.sent} sent, {counts.filled} filled"),
            ("not filled", _told(counts.unfilled) or "none"),
            ("settled after", "never" if settled is None else f"{settled:.1f} s"),
            ("faults", _told(self.faults) or "none"),
            ("killed at", _told(self.trials) or "nowhere"),
            ("points come to", _told(self.points)),
            *(
                [
                    (
                        "forgotten",
                        f"{self.forgotten[0]} alerts, {self.forgotten[1]} orders: the restore took them",
                    )
                ]
                if self.forgotten
                else []
            ),
            ("took", f"{self.seconds:.0f} s, seed {self.seed}"),
        ]

    def to_page(self) -> dict[str, Any]:
        """Give the report for machines."""
        return {
            "holds": self.holds,
            "reasons": self.reasons,
            "seed": self.seed,
            "figures": {name.replace(" ", "_"): self.figure(name) for name in self.figures},
            "positions_unguarded": None if self.guarded is None else self.figure(TOO_LONG),
            "positions_unguarded_note": UNGUARDED if self.guarded is None else None,
            "guarded": None if self.guarded is None else asdict(self.guarded),
            "signals": self.signals,
            "accounts": self.accounts,
            "signals_accepted": self.accepted,
            "orders_expected": self.counts.expected,
            "orders_sent": self.counts.sent,
            "orders_filled": self.counts.filled,
            "orders_unfilled": dict(self.counts.unfilled),
            "settled_seconds": self.settled_seconds,
            "seconds": round(self.seconds, 1),
            "faults": self.faults,
            "kills": self.trials,
            "points": self.points,
            "alerts_forgotten": self.forgotten and self.forgotten[0],
            "orders_forgotten": self.forgotten and self.forgotten[1],
            "differences": [{"figure": one.figure, "text": one.text} for one in self.shown],
        }


def _guard_rows(guarded: Guarded | None) -> list[tuple[str, str]]:
    if guarded is None:
        return [("positions unguarded", UNGUARDED)]
    limit = "" if guarded.limit_seconds is None else f", limit of that span {guarded.limit_seconds:.2f} s"
    exits = f"{guarded.exits} exits of ours, {guarded.venue_exits} of the venue's lines"
    return [
        ("longest unguarded", f"{guarded.longest_seconds:.2f} s{limit}"),
        ("with nothing excused", f"{guarded.unexcused_seconds:.2f} s"),
        ("positions", f"{guarded.positions} closed, {guarded.claims} claims, {exits}"),
        ("levels", _told(guarded.levels)),
    ]


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
