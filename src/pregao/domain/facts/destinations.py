"""Where signals are forwarded to."""

from dataclasses import dataclass

from pregao.domain.facts.fact import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardLimitSet(Fact):
    """Somebody set how many forwards each destination is sent in a minute, paused that limit, or resumed it."""

    max_per_minute: int
    is_enabled: bool
    set_by: str
    reason: str = ""  # empty where nobody gave one
