"""The compiler, with the settings that hold for every loop of the lab."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.cpython.unsafe import numbers

trailing_zeros: Any = numbers.trailing_zeros  # of a number's bits; one instruction

F = TypeVar("F", bound=Callable[..., Any])


def _digest() -> str:
    """Give what changes with any file of the lab: machine code holds the loops of several."""
    told = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        told.update(path.read_bytes())
    return told.hexdigest()


DIGEST = _digest()


def _compile(function: F, **settings: Any) -> F:
    loop: Any = numba.njit(cache=True, nogil=True, **settings)(function)
    # numba looks only at the file of the loop itself. After an update it would go on with what it had inlined from another.
    kept = loop._cache._cache_file  # noqa: SLF001
    kept._source_stamp = (kept._source_stamp, DIGEST)  # noqa: SLF001
    return cast("F", loop)


def compiled(function: F) -> F:
    """Compile at the first call and keep the machine code on the disk; it runs without the interpreter's lock."""
    return _compile(function)


def inlined(function: F) -> F:
    """The same, for what is only part of another loop: it becomes part of its machine code."""
    return _compile(function, forceinline=True, error_model="numpy")


def summing(function: F) -> F:
    """Compile a loop that adds up and may do so in any order, several numbers at once; none of them is NaN."""
    return _compile(function, forceinline=True, error_model="numpy", fastmath={"reassoc", "nnan", "nsz"})
