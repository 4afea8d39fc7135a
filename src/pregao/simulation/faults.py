"""
Misbehaviour on purpose: which faults there are, how they are written down, and the seeded dice that pick them.

A fault is written ``KIND:name=value,name=value``; several are parted by ``;``. Example:
``lose:probability=0.05,endpoint=POST /fapi/v1/order;late:ms=2000,count=10;freeze:seconds=40,count=1``.
"""

import random
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final


class FaultKind(StrEnum):
    """What goes wrong."""

    LATE = "late"  # executed at once, answered ``ms`` later
    STALL = "stall"  # arrives, waits ``ms`` before it reaches the engine (then -5028 may apply)
    LOSE = "lose"  # executed, the connection ends without an answer
    UNKNOWN = "unknown"  # executed, answered 503 "Unknown error"
    VANISH = "vanish"  # not executed, the connection ends without an answer
    UNCERTAIN = (
        "uncertain"  # not executed, answered 503 "Unknown error": the caller cannot tell from ``unknown``
    )
    REFUSE = "refuse"  # not executed, answered with ``code``
    THROTTLE = "throttle"  # not executed, answered ``status`` 429 or 418 with Retry-After
    DOWN = "down"  # 503 "Service Unavailable." to everything for ``seconds``
    DROP = "drop"  # a user stream event is not sent
    DUPLICATE = "duplicate"  # a user stream event is sent again ``ms`` later
    DEFER = "defer"  # a user stream event is sent ``ms`` later, after what happened since
    FREEZE = "freeze"  # streams say nothing for ``seconds``, pongs go on; what was held back is lost
    CUT = "cut"  # a stream connection is closed instead of getting an event
    LAG = "lag"  # a read shows the books as they were ``ms`` ago
    STICK = "stick"  # a conditional order stays TRIGGERING for ``seconds``, 0 is for ever
    REJECT = "reject"  # a conditional order is rejected at its trigger, with ``code``'s sentence
    UNFILLED = "unfilled"  # what a conditional order triggers into expires without a trade


STREAM_KINDS: Final = frozenset(
    {FaultKind.DROP, FaultKind.DUPLICATE, FaultKind.DEFER, FaultKind.FREEZE, FaultKind.CUT}
)
READ_KINDS: Final = frozenset({FaultKind.LAG})
TRIGGER_KINDS: Final = frozenset({FaultKind.STICK, FaultKind.REJECT, FaultKind.UNFILLED})
CODES_DEFAULT: Final = {FaultKind.REJECT: -2019}  # where it is not -1001: margin, the one reason documented


@dataclass(slots=True, kw_only=True)
class Fault:
    """One kind of misbehaviour and how often it strikes."""

    kind: FaultKind
    probability: float = 1.0
    count: int | None = None  # how many times at most; None is without end
    within: int | None = None  # at the latest at this many chances, whatever the dice say
    endpoint: str = (
        ""  # part of "METHOD /path", of an event's name, or of "TYPE SYMBOL" triggered; empty is all
    )
    key: str = ""  # only this API key; empty is all
    ms: int = 1_000
    seconds: float = 10.0
    code: int = -1001
    status: int = 429
    hits: int = 0
    misses: int = 0  # since the last hit

    def fits(self, target: str, key: str) -> bool:
        """Whether it may strike here at all."""
        return (
            (self.count is None or self.hits < self.count)
            and self.endpoint in target
            and (not self.key or self.key == key)
        )

    def falls(self, dice: float) -> bool:
        """Count a chance, and say whether it strikes with what was thrown, from 0 to 1."""
        if dice < self.probability or (self.within is not None and self.misses + 1 >= self.within):
            self.hits += 1
            self.misses = 0
            return True
        self.misses += 1
        return False

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain values, hits included."""
        return asdict(self)


class Faults:
    """The faults that are switched on, and the dice."""

    def __init__(self, faults: Iterable[Fault] = (), *, seed: int = 0) -> None:
        """Switch these on; the same seed and the same questions give the same answers."""
        self.active = list(faults)
        self._chance = random.Random(f"{seed}/faults")

    def replace(self, faults: Iterable[Fault]) -> None:
        """Switch these on instead of what was."""
        self.active = list(faults)

    def has(self, kinds: frozenset[FaultKind]) -> bool:
        """Say whether any of these kinds is switched on."""
        return any(fault.kind in kinds for fault in self.active)

    def strike(self, kinds: frozenset[FaultKind], *, target: str, key: str = "") -> Fault | None:
        """Throw the dice for everything that fits and give the first fault that strikes, counted."""
        for fault in self.active:
            if fault.kind in kinds and fault.fits(target, key) and fault.falls(self._chance.random()):
                return fault
        return None


def read_faults(text: str) -> list[Fault]:
    """
    Read faults as they are written on the command line.

    :raises ValueError: when a kind or a name is unknown, saying which.
    """
    return [_read_fault(part.strip()) for part in text.split(";") if part.strip()]


def _read_fault(text: str) -> Fault:
    kind, _, rest = text.partition(":")
    values: dict[str, Any] = {}
    for pair in rest.split(",") if rest else ():
        name, _, value = pair.partition("=")
        values[name.strip()] = value.strip()
    return fault_from(kind.strip(), values)


def fault_from(kind: str, values: dict[str, Any]) -> Fault:
    """
    Make a fault of its kind and its named values.

    :raises ValueError: when a kind or a name is unknown, saying which.
    """
    readers: dict[str, Any] = {
        "probability": float,
        "count": int,
        "within": int,
        "endpoint": str,
        "key": str,
        "ms": int,
        "seconds": float,
        "code": int,
        "status": int,
    }
    if kind not in set(FaultKind):
        raise ValueError(f"FAULT_UNKNOWN: kind={kind} known={','.join(FaultKind)}")
    unknown = sorted(set(values) - set(readers))
    if unknown:
        raise ValueError(f"FAULT_OPTION_UNKNOWN: kind={kind} option={unknown[0]} known={','.join(readers)}")
    read = {name: readers[name](value) for name, value in values.items() if value is not None}
    found = FaultKind(kind)
    if found in CODES_DEFAULT:
        read.setdefault("code", CODES_DEFAULT[found])
    return Fault(kind=found, **read)
