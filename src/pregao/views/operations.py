"""Operations, as system D calls positions with their stops, and the month they are measured in; where they are fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from pregao.domain.operation import OperationStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationLine:
    """
    A position in the words of system D; what a person risked with it, where one did.

    Prices are averages of fills, with eight decimals. Amounts are in the account's margin asset.
    """

    operation_id: int
    client: UUID | None  # whose account it is on; None: the desk's own
    account_id: int
    account_name: str
    bot_id: UUID
    subscription_id: UUID
    signal_id: UUID
    exit_signal_id: UUID | None
    symbol: str
    strategy: str
    side: str
    status: OperationStatus
    quantity: Decimal
    total_entry_quantity: Decimal
    average_entry_price: Decimal | None
    average_exit_price: Decimal | None
    stop_price: Decimal | None
    initial_stop: Decimal | None  # where it was armed; it never changes
    stop_status: str | None  # armed, triggered, disarmed; None: nothing has filled
    stop_version: int | None
    target_price: Decimal | None
    capital: Decimal | None
    risk_percent: Decimal | None
    fees: Decimal
    realized_pnl: Decimal
    opened_at: datetime | None
    closed_at: datetime | None
    close_reason: str | None

    @property
    def risk_amount(self) -> Decimal | None:
        """What the stop would cost, from the average entry, before fees; None where either is missing."""
        if self.average_entry_price is None or self.stop_price is None:
            return None
        return abs(self.average_entry_price - self.stop_price) * self.quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """What a tenant's trades have earned this UTC month, and what that is measured by."""

    pnl: Decimal
    capital: Decimal | None  # None: an admin has set none
    limit_percent: Decimal
    is_lifted: bool  # the desk paused the tenant this month, and an operator let him go on


class Operations(Protocol):
    """Where they are fetched. Only what is ``owner``'s is found; None finds everybody's."""

    async def operations(
        self, *, owner: UUID | None, status: OperationStatus | None, offset: int, limit: int
    ) -> Sequence[OperationLine]:
        """Give operations, the latest first."""
        ...

    async def find_operation(self, operation_id: int, *, owner: UUID | None) -> OperationLine | None:
        """Give one operation."""
        ...

    async def find_opened_by(self, signal_id: UUID, *, owner: UUID | None) -> OperationLine | None:
        """Give what a trade by hand has opened; None where it opened nothing."""
        ...

    async def month_of(self, user_id: UUID | None, *, now: datetime) -> Month:
        """Give the month of a tenant; None is the desk itself, with the accounts that are nobody's."""
        ...
