"""What is at stake right now and what came of today's signals, for whoever looks: everybody's, or his own."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureLine:
    """
    What is held of one symbol, by one account, or in all.

    Amounts are in the margin asset. A position is valued at the bid or ask it would exit at, where a monitor has read
    one within 30 s, else at its entry's average; ``unpriced`` says how many are, and ``unrealized_pnl_usd`` is without
    these: None where no position has a price.
    """

    symbol: str | None  # of a symbol's line
    account_id: int | None  # of an account's
    account_name: str | None
    positions: int
    unpriced: int
    long_usd: Decimal
    short_usd: Decimal
    unrealized_pnl_usd: Decimal | None

    @property
    def gross_usd(self) -> Decimal:
        """Give what is held on both sides together."""
        return self.long_usd + self.short_usd

    @property
    def net_usd(self) -> Decimal:
        """Give what is held long beyond what is held short; below 0 it is the other way round."""
        return self.long_usd - self.short_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What is held, in all and by what; the largest first. What somebody else trades behind a webhook is not in it."""

    total: ExposureLine
    symbols: Sequence[ExposureLine]
    accounts: Sequence[ExposureLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalOutcomes:
    """
    The signals of the UTC day, each in exactly one count after ``received``.

    What a signal came to is what its orders came to; an owner's are those of his own accounts.
    """

    received: int
    executed: int  # every order was filled, at least in part
    partly_executed: int  # some were, others failed or were skipped
    failed: int  # none was, and a venue refused one
    skipped: int  # none left the desk: limits of ours, or nobody follows
    on_the_way: int  # something still may trade
    waiting: int  # for a decision, or a person's answer
    declined: int
    refused: int
    repeats: int  # deliveries beyond the first, of all of them
    unresolved: int  # orders of today without a known outcome


class Glance(Protocol):
    """Where they are fetched; ``owner`` sees what is on his accounts, None sees everything."""

    async def exposure(self, *, owner: UUID | None, limit: int) -> Exposure:
        """Give what is held; ``limit`` symbols and accounts at most."""
        ...

    async def outcomes(self, *, owner: UUID | None, now: datetime) -> SignalOutcomes:
        """Count today's signals by what came of them; an owner's are those that are his to see."""
        ...
