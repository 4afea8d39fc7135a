"""What a deployment's signals came to: which were heard, the orders made of them, the positions these opened."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from pregao.domain.deployment import Deployment, DeploymentStatus
from pregao.domain.order import Leg, OrderStatus
from pregao.domain.position import Direction, PositionStatus

SIGNALS_MAX = 2_000  # that are compared with a backtest at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """From when on a deployment was active, paused or removed."""

    at: datetime
    status: DeploymentStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardSignal:
    """One signal of a deployment: what it asked at the close of which candle, and why nothing came of it."""

    signal_id: UUID
    action: str  # buy, sell, close
    closed_at: datetime
    received_at: datetime
    status: str
    code: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalOrder:
    """What one account was to do for such a signal."""

    signal_id: UUID
    account_id: int
    leg: Leg
    status: OrderStatus
    code: str | None
    reason: str | None
    position_id: int | None
    leverage: int | None
    margin_usd: Decimal | None
    decision_price: Decimal | None
    quantity: Decimal | None
    filled_quantity: Decimal
    filled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalPosition:
    """What such a signal opened; the stop is where it was first, and whether it stands elsewhere since; of targets the nearest."""

    position_id: int
    account_id: int
    signal_id: UUID
    direction: Direction
    status: PositionStatus
    entered_quantity: Decimal
    exited_quantity: Decimal
    entry_notional: Decimal
    exit_notional: Decimal
    fees: Decimal
    realized_pnl: Decimal
    opened_at: datetime
    closed_at: datetime | None
    exit_signal_id: UUID | None
    close_reason: str | None
    initial_stop: Decimal | None
    target_price: Decimal | None
    is_stop_moved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingAccount:
    """An account that followed."""

    account_id: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentTraded:
    """A deployment since the close of the first candle it judged; of its signals perhaps only the later ones."""

    deployment: Deployment
    began_at: datetime
    bar_at: datetime
    bars: int  # judged, since its beginning
    standings: tuple[Standing, ...]
    accounts: tuple[TradingAccount, ...]
    signals: tuple[HeardSignal, ...]
    orders: tuple[SignalOrder, ...]
    positions: tuple[SignalPosition, ...]
