"""Teach a model that the lab was asked for, score it, and keep it under its name. Loaded with the first that is taught."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from pregao.domain.lab import LabRun
from pregao.edges.model_files.spelling import as_the_venue_spells
from pregao.edges.model_files.store import ModelFolder
from pregao.research.backtests.terms import Terms
from pregao.research.candles import Candles
from pregao.research.models.labels import Question
from pregao.research.models.manifest import Manifest
from pregao.research.models.teaching import Recipe
from pregao.research.models.trained import train


def teach_model(
    run: LabRun,
    candles: Candles,
    terms: Terms,
    *,
    folder: Path,
    on_step: Callable[[int, int], None],
    now: datetime,
) -> Manifest:
    """
    Teach and keep a model as `pregao model train` does; the one that has its name stays until this one is whole.

    :raises TeachingImpossibleError: when the candles cannot teach it.
    :raises LabelsUnusableError: when nobody can foretell such a thing.
    :raises ModelUnusableError: when it cannot be named so, or its candles are of no certain symbol.
    """
    asked = run.request.teaching
    assert asked is not None, "it was looked at before it was kept"
    recipe = Recipe(
        question=Question(horizon=asked.horizon, barrier=float(asked.barrier)),
        seed=asked.seed,
        rounds=asked.rounds,
        method=asked.calibration,
    )
    total, done = asked.folds + 1, 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        on_step(done, total)

    on_step(0, total)
    trained = train(
        as_the_venue_spells(candles),
        recipe,
        folds=asked.folds,
        confidence_min=float(asked.confidence_min),
        terms=terms,
        on_done=advance,
    )
    return ModelFolder(folder).keep(asked.name, trained, now=now)


def told_of(manifest: Manifest) -> dict[str, Any]:
    """Give all that stands beside a model, with its score in words."""
    told = asdict(manifest)
    told["model"] = manifest.model
    told["score"] |= {"is_better": manifest.score.is_better, "verdict": manifest.score.verdict}
    return told
