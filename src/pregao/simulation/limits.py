"""How much a venue lets one address and one account ask, in fixed windows that start at the full minute."""

from dataclasses import dataclass, field
from typing import Final

from pregao.simulation.refusals import ExchangeError

WEIGHT_MAX: Final = 2_400  # per address and minute
ORDERS_PER_10S_MAX: Final = 300  # per account
ORDERS_PER_MINUTE_MAX: Final = 1_200  # per account
STUBBORN_MAX: Final = 100  # requests after the first 429 of a minute, then the address is banned
BAN_MS: Final = 120_000  # the shortest of the venue's bans


class BannedError(ExchangeError):
    """The address has been asked to stop and did not; it is answered 418 for a while."""

    def __init__(self, until_ms: int) -> None:
        """Say until when."""
        text = f"Way too many requests; IP banned until {until_ms}. Please use the websocket for live updates to avoid bans."
        super().__init__(-1003, message=text)
        self.http_status = 418
        self.until_ms = until_ms


@dataclass(slots=True)
class Window:
    """A count that starts again with every full ``length_ms``."""

    length_ms: int
    number: int = 0
    count: int = 0

    def add(self, amount: int, *, at_ms: int) -> int:
        """Count more and give the sum of the running window."""
        number = at_ms // self.length_ms
        if number != self.number:
            self.number, self.count = number, 0
        self.count += amount
        return self.count


@dataclass(slots=True)
class AddressLimit:
    """What one address has used."""

    weight_max: int
    weight: Window = field(default_factory=lambda: Window(60_000))
    refusals: Window = field(default_factory=lambda: Window(60_000))
    banned_until_ms: int = 0

    def spend(self, weight: int, *, at_ms: int) -> int:
        """
        Use up weight and give the running minute's sum.

        :raises ExchangeError: -1003 (429) over the limit; :class:`BannedError` (418) for those who go on.
        """
        if at_ms < self.banned_until_ms:
            raise BannedError(self.banned_until_ms)
        used = self.weight.add(weight, at_ms=at_ms)
        if used <= self.weight_max:
            return used
        if self.refusals.add(1, at_ms=at_ms) > STUBBORN_MAX:
            self.banned_until_ms = at_ms + BAN_MS
            raise BannedError(self.banned_until_ms)
        raise ExchangeError(-1003, self.weight_max)


@dataclass(slots=True)
class OrderLimit:
    """How many orders one account has placed."""

    short: Window = field(default_factory=lambda: Window(10_000))
    long: Window = field(default_factory=lambda: Window(60_000))

    def spend(self, *, at_ms: int, short: int = 1, long: int = 1) -> None:
        """
        Count orders.

        :raises ExchangeError: -1015 (429) over a limit.
        """
        if self.short.add(short, at_ms=at_ms) > ORDERS_PER_10S_MAX:
            raise ExchangeError(-1015, ORDERS_PER_10S_MAX, "10 SECONDS")
        if self.long.add(long, at_ms=at_ms) > ORDERS_PER_MINUTE_MAX:
            raise ExchangeError(-1015, ORDERS_PER_MINUTE_MAX, "1 MINUTE")
