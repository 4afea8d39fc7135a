"""
The lab's own models: two files for each in the folder `models` of the state folder.

`NAME.json` is the manifest; it names the other file and its SHA-256. It is replaced last and at once, so whoever reads finds the old
model or the new one. Nothing of a model's file is looked at before its checksum is right.
"""

import hashlib
import os
import platform
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec

from pregao import __version__
from pregao.domain.lab import MODEL_NAME
from pregao.research.models.archive import from_bytes, to_bytes
from pregao.research.models.features import NAMES, VERSION
from pregao.research.models.manifest import FORMAT, ID_CHARACTERS, Manifest
from pregao.research.models.predictor import ModelUnusableError, Predictor
from pregao.research.models.scores import told_by_answer
from pregao.research.models.trained import Trained, TrainedPredictor

NAME_PATTERN: Final = re.compile(MODEL_NAME)
MADE_WITH: Final = ("scikit-learn", "skops", "numpy")


class ModelMissingError(LookupError):
    """The folder has no such model; the text says which it has."""


class _Of(msgspec.Struct):
    """What is read of a manifest that cannot be read whole."""

    symbol: str | None = None
    timeframe: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenModel:
    """A model whose manifest cannot be read; of what it is, where that much can be."""

    name: str
    symbol: str | None
    timeframe: str | None
    problem: str

    @property
    def code(self) -> str:
        """What is wrong, in one word."""
        return self.problem.partition(":")[0]


class ModelFolder:
    """Models by name, such as ``btc_1h``; a `Predictors`."""

    def __init__(self, folder: Path) -> None:
        """Use this folder; it is made when the first model is kept."""
        self._folder = folder

    def names(self) -> list[str]:
        """Give the names of all models there are."""
        return sorted(path.stem for path in self._folder.glob("*.json"))

    def list(self) -> list[Manifest | BrokenModel]:
        """Give the manifests of all models, and what is wrong with those that cannot be read: one hides no other."""
        found: list[Manifest | BrokenModel] = []
        for name in self.names():
            try:
                found.append(self.get_manifest(name))
            except ModelUnusableError as wrong:
                found.append(self._broken(name, wrong))
            except ModelMissingError:  # removed this very moment
                continue
        return found

    def get_manifest(self, name: str) -> Manifest:
        """
        Give what stands beside a model.

        :raises ModelMissingError: when there is none of that name.
        :raises ModelUnusableError: when it cannot be read.
        """
        require_name(name)
        try:
            content = self._manifest_path(name).read_bytes()
        except FileNotFoundError:
            known = ", ".join(self.names()) or "none"
            raise ModelMissingError(
                f"MODEL_MISSING: model={name} known={known}. Make one with `pregao model train`."
            ) from None
        except OSError as error:
            raise ModelUnusableError(
                f"MODEL_MANIFEST_UNREADABLE: model={name} problem={type(error).__name__}. Train it anew, or remove it."
            ) from error
        try:
            manifest = msgspec.json.decode(content, type=Manifest)
        except msgspec.MsgspecError as error:
            raise ModelUnusableError(
                f"MODEL_MANIFEST_UNREADABLE: model={name}. {error}. Train it anew, or remove it."
            ) from error
        if manifest.format != FORMAT or manifest.name != name:
            raise ModelUnusableError(
                f"MODEL_MANIFEST_UNREADABLE: model={name} format={manifest.format} known={FORMAT} says={manifest.name}. "
                "Train it anew, or remove it."
            )
        return manifest

    def get(self, name: str) -> TrainedPredictor:
        """
        Read a model.

        :raises ModelMissingError: when there is none of that name.
        :raises ModelUnusableError: when its file is not the one the manifest tells of, or was made by other code.
        """
        manifest = self.get_manifest(name)
        _require_same_code(manifest)
        path = self._folder / manifest.file
        try:
            content = path.read_bytes() if path.parent == self._folder else b""
        except FileNotFoundError:
            content = b""
        found = hashlib.sha256(content).hexdigest()
        if found != manifest.sha256:
            raise ModelUnusableError(
                f"MODEL_CHECKSUM_DIFFERS: model={name} file={manifest.file} sha256={found[:ID_CHARACTERS]} "
                f"told={manifest.sha256[:ID_CHARACTERS]} bytes={len(content)}. The file is not the one that was trained; "
                "nothing of it was loaded. Train it anew."
            )
        return TrainedPredictor(manifest=manifest, classifier=from_bytes(content))

    def find(self, *, symbol: str, timeframe: str) -> Predictor | None:
        """
        Give the newest model of a symbol and timeframe; None where there is none, and technical analysis is all there is.

        A broken one of something else, or of nobody knows what, is in nobody's way.

        :raises ModelUnusableError: when it is there and cannot be trusted.
        """
        fitting = [one for one in self.list() if (one.symbol, one.timeframe) == (symbol, timeframe)]
        for one in fitting:
            if isinstance(one, BrokenModel):  # it may be the newest
                raise ModelUnusableError(one.problem)
        manifests = [one for one in fitting if isinstance(one, Manifest)]
        if not manifests:
            return None
        return self.get(max(manifests, key=lambda one: one.made_at).name)

    def keep(self, name: str, trained: Trained, *, now: datetime) -> Manifest:
        """Write a model, in the place of one that has its name."""
        require_name(name)
        content = to_bytes(trained.classifier)
        manifest = manifest_of(name, trained, content, now=now)
        self._folder.mkdir(parents=True, exist_ok=True)
        _write(self._folder / manifest.file, content)
        _write(self._manifest_path(name), msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        self._remove_files(name, but=manifest.file)
        return manifest

    def remove(self, name: str) -> None:
        """
        Remove a model, usable or not.

        :raises ModelMissingError: when there is none of that name.
        """
        require_name(name)
        try:
            self._manifest_path(name).unlink()
        except FileNotFoundError:
            known = ", ".join(self.names()) or "none"
            raise ModelMissingError(f"MODEL_MISSING: model={name} known={known}.") from None
        self._remove_files(name, but=None)

    def _broken(self, name: str, wrong: ModelUnusableError) -> BrokenModel:
        told = _Of()
        with suppress(OSError, msgspec.MsgspecError):
            told = msgspec.json.decode((self._folder / f"{name}.json").read_bytes(), type=_Of)
        return BrokenModel(name=name, symbol=told.symbol, timeframe=told.timeframe, problem=str(wrong))

    def _manifest_path(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _remove_files(self, name: str, *, but: str | None) -> None:
        for path in self._folder.glob(f"{name}@*.skops"):
            if path.name != but:
                with suppress(FileNotFoundError):
                    path.unlink()


def require_name(name: str) -> None:
    """
    See that a model can be called so: the name is part of a file's.

    :raises ModelUnusableError: when it cannot.
    """
    if NAME_PATTERN.fullmatch(name) is None:
        raise ModelUnusableError(
            f"MODEL_NAME_UNUSABLE: characters={len(name)} maximum=64. Use small letters, digits, '_' and '-', a letter or digit first."
        )


def manifest_of(name: str, trained: Trained, content: bytes, *, now: datetime) -> Manifest:
    """Say what a model is, and which bytes are its own."""
    lessons, spans = trained.lessons, trained.spans
    candles, opened = lessons.candles, lessons.candles.opened_at_ms
    summed = hashlib.sha256(content).hexdigest()
    return Manifest(
        name=name,
        symbol=candles.symbol,
        timeframe=candles.timeframe.name,
        source=candles.source,
        is_simulated=candles.is_simulated,
        has_volume=candles.has_volume,
        candles_digest=candles.digest,
        features_version=VERSION,
        features=NAMES,
        recipe=trained.recipe,
        folds=trained.folds,
        taught_rows=len(spans.taught),
        calibrated_rows=len(spans.calibrated),
        taught_since_ms=int(opened[spans.taught[0]]),
        looked_at_until_ms=int(opened[int(lessons.labels.settled[spans.calibrated].max())]),
        base=told_by_answer(lessons.answers(lessons.rows)),
        score=trained.score,
        traded=trained.traded,
        made_at=now.isoformat(timespec="seconds"),
        versions=_versions(),
        file=f"{name}@{summed[:ID_CHARACTERS]}.skops",
        sha256=summed,
        file_bytes=len(content),
    )


def _versions() -> dict[str, str]:
    return {"pregao": __version__, "python": platform.python_version()} | {
        name: version(name) for name in MADE_WITH
    }


def _require_same_code(manifest: Manifest) -> None:
    if (manifest.features_version, manifest.features) != (VERSION, NAMES):
        raise ModelUnusableError(
            f"MODEL_FEATURES_DIFFER: model={manifest.name} version={manifest.features_version} known={VERSION}. "
            "It was taught with other figures than this version computes. Train it anew."
        )
    made, here = manifest.versions.get("scikit-learn", "none"), version("scikit-learn")
    if _minor(made) != _minor(here):
        raise ModelUnusableError(
            f"MODEL_VERSIONS_DIFFER: model={manifest.name} made_with=scikit-learn-{made} installed={here}. "
            "What one version wrote another may read as something else. Train it anew."
        )


def _minor(told: str) -> Any:
    return told.split(".")[:2]


def _write(path: Path, content: bytes) -> None:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
