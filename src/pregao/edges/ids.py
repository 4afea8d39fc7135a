"""Ids made at an edge: random, and in the order of time."""

import os
from datetime import datetime, timedelta
from uuid import UUID

from pregao.domain.clock import EPOCH

RANDOM_BYTES = 4_096  # asked of the system at once: a question costs more than all the rest of an id

_random = bytearray()


def uuid7(now: datetime) -> UUID:
    """Give a new UUID version 7 (RFC 9562): the microsecond it was made, then 62 random bits; sorts by time."""
    elapsed = now - EPOCH
    microseconds = (elapsed.days * 86_400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds
    milliseconds, rest = divmod(microseconds, 1_000)
    fraction = rest * 4_096 // 1_000  # method 3 of the RFC: the 12 bits after the version refine the time
    chance = int.from_bytes(_random_bytes(8)) >> 2
    return UUID(int=milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | chance)


def first_uuid7(at: datetime) -> UUID:
    """Give the least id that can have been made in this millisecond: none before it is larger, none after it is less."""
    return UUID(int=(at - EPOCH) // timedelta(milliseconds=1) << 80 | 0x7 << 76 | 0b10 << 62)


def _random_bytes(count: int) -> bytearray:
    if len(_random) < count:
        _random.extend(os.urandom(RANDOM_BYTES))
    taken = _random[-count:]
    del _random[-count:]
    return taken


os.register_at_fork(after_in_child=_random.clear)  # or two processes would take the same
