"""
Lets models speak at every close, for the bots whose entries they filter.

One model's trouble is its own: it is told once, and the others speak. What a model said expires when its next candle has closed and a
minute has passed; a bot whose model is silent does what its rule says.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import httpx
import numpy as np

from pregao.domain.prediction import Foretold
from pregao.edges.candle_files.klines import KlinesUnavailableError, Sleep, fetch_klines
from pregao.edges.model_files.store import ModelFolder, ModelMissingError
from pregao.research.candles import COLUMNS, Candles, CandlesUnusableError, make_candles
from pregao.research.models.predictor import ModelUnusableError, Prediction, PredictionImpossibleError
from pregao.research.models.trained import TrainedPredictor
from pregao.research.timeframe import read_timeframe

LATE_SECONDS: Final = 60  # for the venue's candle, the model and the way into the database
MISSING_BARS: Final = 20  # minutes in which nobody traded have no candle


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What came of asking one model: what it foretells, or why nothing."""

    model: str
    foretold: Foretold | None = None
    trouble: str = ""


@dataclass(slots=True, kw_only=True)
class Foretelling:
    """Asks the models that are wanted, each once for every candle that has closed."""

    folder: ModelFolder
    client: httpx.Client
    sleep: Sleep
    now: Callable[[], datetime]
    _read: dict[str, TrainedPredictor] = field(default_factory=dict)
    _spoken: dict[str, datetime] = field(default_factory=dict)  # until when a model has nothing new to say
    _troubles: dict[str, str] = field(default_factory=dict)

    def ask(self, names: Sequence[str]) -> Iterator[Said]:
        """Ask those whose next candle has closed; the same trouble is told once."""
        for name in names:
            try:
                said = self._asked(name)
            except (
                CandlesUnusableError,
                KlinesUnavailableError,
                ModelMissingError,
                ModelUnusableError,
                PredictionImpossibleError,
            ) as trouble:
                self._read.pop(name, None)
                if self._troubles.get(name) != str(trouble):
                    self._troubles[name] = str(trouble)
                    yield Said(model=name, trouble=str(trouble))
                continue
            if said is not None:
                self._troubles.pop(name, None)
                yield Said(model=name, foretold=said)

    def _asked(self, name: str) -> Foretold | None:
        manifest = self.folder.get_manifest(name)
        read = self._read.get(name)
        if read is None or read.manifest.sha256 != manifest.sha256:
            read = self._read[name] = self.folder.get(name)
            self._spoken.pop(name, None)
        if self._spoken.get(name, self.now()) > self.now():
            return None
        said = read.predict(self._candles(read))
        foretold = foretold_of(name, said)
        self._spoken[name] = foretold.expires_at - timedelta(seconds=LATE_SECONDS)
        return foretold

    def _candles(self, read: TrainedPredictor) -> Candles:
        manifest = read.manifest
        frame = read_timeframe(manifest.timeframe)
        first = self.now() - timedelta(milliseconds=(read.bars_min + MISSING_BARS) * frame.ms)
        pages: list[dict[str, Any]] = list(
            fetch_klines(
                self.client,
                symbol=manifest.symbol,
                timeframe=frame,
                since_ms=int(first.timestamp() * 1_000),
                until_ms=None,
                sleep=self.sleep,
            )
        )
        columns = {
            column: np.concatenate([page[column] for page in pages]) if pages else np.empty(0)
            for column in COLUMNS
        }
        return make_candles(symbol=manifest.symbol, timeframe=frame, source="the venue", columns=columns)


def foretold_of(name: str, said: Prediction) -> Foretold:
    """Give a prediction as the desk keeps it: until the next candle has closed and a little longer."""
    frame = read_timeframe(said.timeframe)
    bar_at = datetime.fromtimestamp(said.bar_opened_at_ms / 1_000, tz=UTC)
    return Foretold(
        model=name,
        model_id=said.model,
        symbol=said.symbol,
        timeframe=said.timeframe,
        direction=said.direction,
        confidence=Decimal(f"{said.confidence:.6f}"),
        bar_at=bar_at,
        expires_at=bar_at + timedelta(milliseconds=2 * frame.ms, seconds=LATE_SECONDS),
    )
