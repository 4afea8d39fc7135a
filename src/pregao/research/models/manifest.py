"""What stands beside a model's file: what it foretells, of what it was made, what it is worth, and the file's checksum."""

from dataclasses import dataclass
from typing import Final

from pregao.research.models.scores import Score, Traded
from pregao.research.models.teaching import Recipe

FORMAT: Final = 1
ID_CHARACTERS: Final = 12  # of the checksum, in a model's id


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """
    One model.

    Times are opening times of candles in milliseconds; ``looked_at_until_ms`` is that of the last candle that had a part in
    its making: only later ones are new to it. ``base`` is how often each answer came while it was taught.
    """

    format: int = FORMAT
    name: str
    symbol: str
    timeframe: str
    source: str
    is_simulated: bool
    has_volume: bool
    candles_digest: str
    features_version: int
    features: tuple[str, ...]
    recipe: Recipe
    folds: int
    taught_rows: int
    calibrated_rows: int
    taught_since_ms: int
    looked_at_until_ms: int
    base: dict[str, float]
    score: Score
    traded: Traded
    made_at: str
    versions: dict[str, str]
    file: str
    sha256: str
    file_bytes: int

    @property
    def model(self) -> str:
        """Its name and the beginning of its checksum."""
        return f"{self.name}@{self.sha256[:ID_CHARACTERS]}"

    @property
    def label(self) -> str:
        """What it is of; SIMULATED when no market made the prices it was taught with."""
        name = f"{self.symbol} {self.timeframe}"
        return f"SIMULATED {name}" if self.is_simulated else name
