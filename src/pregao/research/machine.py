"""The compiler, with the settings that hold for every loop of the lab."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile at the first call and keep the machine code on the disk; it runs without the interpreter's lock."""
    return cast("F", numba.njit(cache=True, nogil=True)(function))
