"""How the exits of stops and targets went: the four reports of system D (D2.4), and where they are fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedExecution:
    """An exit that failed or was blocked within the last hour."""

    execution_token: str
    kind: str
    operation_id: int
    account_id: int
    symbol: str
    status: str
    code: str | None
    error: str | None
    retry_count: int  # attempts after the first
    again_at: datetime | None  # when it is tried again; None: a person must look, or nobody need
    failed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StopReport:
    """
    The last 24 hours of claimed exits, by our clock.

    Slippage is in percent of the level, positive is worse for the account. Seconds count from the claim to the
    booked fill. Both are of executed ones, None without any.
    """

    since: datetime
    executions_by_status: dict[str, int]
    average_slippage_percent: Decimal | None
    max_slippage_percent: Decimal | None
    average_seconds: Decimal | None
    max_seconds: Decimal | None
    failures: Sequence[FailedExecution]


class StopReports(Protocol):
    """Where they are fetched; only ``owner``'s executions count, None counts everybody's."""

    async def report(self, *, owner: UUID | None, now: datetime) -> StopReport:
        """Give the four reports."""
        ...
