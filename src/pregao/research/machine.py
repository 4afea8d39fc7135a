"""The compiler, with the settings that hold for every loop of the lab."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba.cpython.unsafe import numbers

trailing_zeros: Any = numbers.trailing_zeros  # of a number's bits; one instruction

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile at the first call and keep the machine code on the disk; it runs without the interpreter's lock."""
    return cast("F", numba.njit(cache=True, nogil=True)(function))


def inlined(function: F) -> F:
    """The same, for what is only part of another loop: it becomes part of its machine code."""
    return cast("F", numba.njit(cache=True, nogil=True, forceinline=True, error_model="numpy")(function))


def summing(function: F) -> F:
    """Compile a loop that adds up and may do so in any order, several numbers at once; none of them is NaN."""
    exact = numba.njit(
        cache=True, nogil=True, error_model="numpy", forceinline=True, fastmath={"reassoc", "nnan", "nsz"}
    )
    return cast("F", exact(function))
