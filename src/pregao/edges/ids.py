"""Ids made at an edge: random, and in the order of time."""

import os
import struct
from datetime import datetime, timedelta
from uuid import UUID, SafeUUID

from pregao.domain.clock import EPOCH

CHANCES = struct.Struct(
    "512Q"
)  # asked of the system at once: a question costs more than all the rest of an id

_chances: list[int] = []
_set = object.__setattr__  # an id lets nobody else set it
_UNKNOWN = SafeUUID.unknown


def uuid7(now: datetime) -> UUID:
    """Give a new UUID version 7 (RFC 9562): the microsecond it was made, then 62 random bits; sorts by time."""
    elapsed = now - EPOCH
    milliseconds, rest = divmod(elapsed.microseconds, 1_000)
    milliseconds += (elapsed.days * 86_400 + elapsed.seconds) * 1_000
    fraction = rest * 4_096 // 1_000  # method 3 of the RFC: the 12 bits after the version refine the time
    if not _chances:
        _chances.extend(CHANCES.unpack(os.urandom(CHANCES.size)))
    chance = _chances.pop() >> 2
    made = object.__new__(UUID)  # as a copy is made: its own way looks at all that an id might be made of
    _set(made, "int", milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | chance)
    _set(made, "is_safe", _UNKNOWN)
    return made


def first_uuid7(at: datetime) -> UUID:
    """Give the least id that can have been made in this millisecond: none before it is larger, none after it is less."""
    return UUID(int=(at - EPOCH) // timedelta(milliseconds=1) << 80 | 0x7 << 76 | 0b10 << 62)


os.register_at_fork(after_in_child=_chances.clear)  # or two processes would take the same
