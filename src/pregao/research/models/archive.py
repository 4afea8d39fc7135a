"""
A classifier as bytes and back, without pickle.

The format is that of skops: a zip of a description and plain arrays. What the description may name is the list below, each entry
looked at: classes that hold numbers and predict with them, none that opens a file, calls out or runs what it is given. Bytes that name
anything else are refused before anything is built of them.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any, Final

import skops.io

from pregao.research.models.predictor import ModelUnusableError

TYPES_TAKEN: Final = frozenset(
    {
        # containers and numbers; loaded as such
        "builtins.dict", "builtins.list", "builtins.str", "builtins.tuple", "numpy.float64", "numpy.ndarray", "numpy.uint64",
        "numpy.random._generator.Generator",
        # what is taught: boosted trees, their loss, and how figures are put into bins
        "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn._loss._loss.CyHalfMultinomialLoss", "sklearn._loss.loss.HalfMultinomialLoss", "sklearn._loss.link.Interval",
        "sklearn._loss.link.MultinomialLogit", "sklearn.preprocessing._label.LabelEncoder",
        # what sets its probabilities right
        "sklearn.calibration.CalibratedClassifierCV", "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration", "sklearn.frozen._frozen.FrozenEstimator", "sklearn.isotonic.IsotonicRegression",
    }
)  # fmt: skip
DESCRIPTION: Final = "schema.json"
BYTES_MAX: Final = 512 * 2**20  # unpacked: a model of ours has some ten million


def to_bytes(classifier: Any) -> bytes:
    """Write a classifier that `teach` gave."""
    written: bytes = skops.io.dumps(classifier, compression=zipfile.ZIP_DEFLATED)
    assert types_in(written) <= TYPES_TAKEN, f"not on the list: {sorted(types_in(written) - TYPES_TAKEN)}"
    return written


def from_bytes(content: bytes) -> Any:
    """
    Read what `to_bytes` wrote.

    :raises ModelUnusableError: when it names a type that is not on the list, or is no such file.
    """
    try:
        unknown = types_in(content) - TYPES_TAKEN
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ModelUnusableError(
            "MODEL_FILE_UNREADABLE: this is no model in the format of skops. Train it anew."
        ) from error
    if unknown:
        raise ModelUnusableError(
            f"MODEL_TYPE_UNKNOWN: types={','.join(sorted(unknown))}. The file names what no model of this desk is made of; "
            "nothing of it was loaded. Train the model anew, and find out who wrote the file."
        )
    return skops.io.loads(content, trusted=sorted(TYPES_TAKEN))


def types_in(content: bytes) -> frozenset[str]:
    """
    Give every type that a file names, without building any.

    :raises ValueError: when it is no such file, or far too large.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        if sum(member.file_size for member in packed.infolist()) > BYTES_MAX:
            raise ValueError("too large")
        return frozenset(_types_of(json.loads(packed.read(DESCRIPTION))))


def _types_of(told: Any) -> Iterator[str]:
    if isinstance(told, dict):
        if "__class__" in told:
            yield f"{told.get('__module__')}.{told['__class__']}"
        for inner in told.values():
            yield from _types_of(inner)
    elif isinstance(told, list):
        for inner in told:
            yield from _types_of(inner)
