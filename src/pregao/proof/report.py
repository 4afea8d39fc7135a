"""What a proof found, for people and for machines, and whether it holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pregao.proof.compare import FIGURES, Counts, Difference

UNGUARDED = "not measured until stops exist"
DIFFERENCES_SHOWN = 50


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

    def figure(self, name: str) -> int:
        """Give one of the figures that must be 0."""
        return sum(difference.figure == name for difference in self.differences)

    @property
    def never_hit(self) -> list[str]:
        """Give the faults and trials that were asked for and never struck."""
        return [name for name, hits in {**self.faults, **self.trials}.items() if not hits]

    @property
    def reasons(self) -> list[str]:
        """Give why the proof fails; nothing when it holds."""
        found = [f"{name}: {count}" for name in FIGURES if (count := self.figure(name))]
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
            *((name, str(self.figure(name))) for name in FIGURES),
            ("positions unguarded", UNGUARDED),
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
            "figures": {name.replace(" ", "_"): self.figure(name) for name in FIGURES},
            "positions_unguarded": None,
            "positions_unguarded_note": UNGUARDED,
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
            "differences": [
                {"figure": one.figure, "text": one.text} for one in self.differences[:DIFFERENCES_SHOWN]
            ],
        }


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
