"""
What this process counts that is in no fact: prices, questions to venues, lines in its log.

One tally per process, as there is one log: whoever counts need not be handed one. It is written down every two seconds
(`edges/postgres/figures.py`); what was counted since is lost with a process that is killed.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from threading import Lock

from pregao.domain.figures import FIGURES, bound_of

Key = tuple[str, tuple[str, ...]]

LABEL_CHARACTERS_MAX = 100
KEYS_MAX = 5_000  # of one process: labels are few by their nature, and a mistake must not fill the memory


@dataclass(slots=True)
class Tally:
    """Sums since they were last taken."""

    sums: defaultdict[Key, float] = field(default_factory=lambda: defaultdict(float))
    gauges: dict[Key, float] = field(default_factory=dict)  # as they stand, for as long as the process lives
    lock: Lock = field(default_factory=Lock)  # a line may be logged in any thread

    def count(self, name: str, *labels: str, by: float = 1.0) -> None:
        """Add to a counter."""
        with self.lock:
            self._add(name, labels, by)

    def observe(self, name: str, *labels: str, value: float, times: int = 1) -> None:
        """Add a value to a histogram, or the mean of so many that lie below one bound."""
        bound = bound_of(value, FIGURES[name].buckets)
        with self.lock:
            self._add(f"{name}_bucket", (*labels, bound), times)
            self._add(f"{name}_sum", labels, value * times)
            self._add(f"{name}_count", labels, times)

    def tell(self, name: str, *labels: str, value: float) -> None:
        """Set a gauge."""
        key = (name, tuple(label[:LABEL_CHARACTERS_MAX] for label in labels))
        with self.lock:
            if key in self.gauges or len(self.gauges) < KEYS_MAX:
                self.gauges[key] = value

    def take(self) -> dict[Key, float]:
        """Give what was counted since the last time."""
        with self.lock:
            taken, self.sums = dict(self.sums), defaultdict(float)
        return taken

    def give_back(self, taken: dict[Key, float]) -> None:
        """Count again what could not be written down."""
        with self.lock:
            for key, value in taken.items():
                self.sums[key] += value

    def _add(self, name: str, labels: tuple[str, ...], by: float) -> None:
        key = (name, labels)
        if key not in self.sums:  # once counted it is known to be short enough
            key = (name, tuple(label[:LABEL_CHARACTERS_MAX] for label in labels))
        if key in self.sums or len(self.sums) < KEYS_MAX:
            self.sums[key] += by


OWN = Tally()
"""The tally of this process."""

count = OWN.count
observe = OWN.observe
tell = OWN.tell
