"""Time is an argument: everything that needs the hour is given one of these."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]
"""Gives the present instant, aware and in UTC."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_ms(instant: datetime) -> int:
    """Give an instant as whole milliseconds since 1970, rounded down."""
    return (instant - EPOCH) // timedelta(milliseconds=1)


def from_ms(milliseconds: int) -> datetime:
    """Give the instant of so many milliseconds since 1970, in UTC."""
    return EPOCH + timedelta(milliseconds=milliseconds)
