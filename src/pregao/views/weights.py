"""How much of the venues' patience is used, and where that is fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightLine:
    """One address of ours at one venue, in the present minute."""

    egress: str  # the name of the address that requests leave from
    service: str  # the venue
    used: int  # as the venue says
    drawn: int  # by all processes, used or not
    weight_max: int
    paused_seconds: float  # after a 429 or 418


class Weights(Protocol):
    """Where it is fetched; raises whatever the database raises when it is away."""

    async def weights(self) -> Sequence[WeightLine]:
        """Give every address and venue, by name."""
        ...
