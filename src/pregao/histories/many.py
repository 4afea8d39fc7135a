"""As many histories as there is time for: resumed where the last run ended, counted together, their findings kept."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from pregao.histories.history import Outcome, run_history

SAVED_EVERY = 10  # histories; what a run that is ended loses is run again


class ResumeError(ValueError):
    """The file to resume from says nothing that can be read."""


@dataclass(slots=True, kw_only=True)
class Report:
    """What the histories came to, all runs of one file together."""

    histories: int = 0
    next_seed: int = 1
    signals: int = 0
    orders: int = 0
    fills: int = 0
    virtual_seconds: float = 0.0
    seconds: float = 0.0
    hits: dict[str, int] = field(default_factory=dict)
    found: dict[str, list[str]] = field(default_factory=dict)  # seed → what its history found

    def add(self, outcome: Outcome, *, seconds: float) -> None:
        """Count one more history."""
        self.histories += 1
        self.next_seed = outcome.seed + 1
        self.signals += outcome.signals
        self.orders += outcome.orders
        self.fills += outcome.fills
        self.virtual_seconds += outcome.seconds
        self.seconds += seconds
        self.hits = dict(sorted((Counter(self.hits) + Counter(outcome.hits)).items()))
        if outcome.found:
            self.found[str(outcome.seed)] = list(outcome.found)

    def to_page(self) -> dict[str, Any]:
        """Give it for machines, with the command that replays each history that found something."""
        replays = {seed: f"pregao simulate --seeds {seed}..{seed}" for seed in self.found}
        return {**asdict(self), "replay": replays}


def simulate(
    *,
    seeds: range | None = None,
    minutes: float | None = None,
    resume: Path | None = None,
    tell: Callable[[Report], None] = lambda _report: None,
) -> Report:
    """
    Run the histories of these seeds, or from the next seed on for so many minutes.

    :raises ResumeError: when ``resume`` is no such file of ours.
    """
    report = _read(resume) if resume is not None and resume.exists() else Report()
    began = time.monotonic()
    for seed in _seeds(seeds, report):
        started = time.monotonic()
        if minutes is not None and started - began >= 60 * minutes:
            break
        report.add(run_history(seed), seconds=round(time.monotonic() - started, 3))
        tell(report)
        if resume is not None and report.histories % SAVED_EVERY == 0:
            _write(resume, report)
    if resume is not None:
        _write(resume, report)
    return report


def _seeds(seeds: range | None, report: Report) -> Iterator[int]:
    if seeds is None:
        return count(report.next_seed)
    return iter(seeds) if report.histories == 0 else iter(range(report.next_seed, seeds.stop))


def _read(file: Path) -> Report:
    try:
        return Report(**json.loads(file.read_text()))
    except (ValueError, TypeError) as wrong:
        raise ResumeError(
            f"RESUME_UNREADABLE: file={file}. It is no report of `pregao simulate`; name another file."
        ) from wrong


def _write(file: Path, report: Report) -> None:
    draft = file.with_name(f"{file.name}.draft")
    draft.write_text(json.dumps(asdict(report), indent=1))
    draft.replace(file)
