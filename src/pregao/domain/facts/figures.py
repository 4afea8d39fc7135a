"""What is counted."""

from dataclasses import dataclass

from pregao.domain.facts.fact import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsReset(Fact):
    """Somebody set system A's counters to zero: from now on each is what was counted since. Nothing is forgotten."""

    counted: dict[str, int]  # by name, as it stood then
    set_by: str
