"""One account's trades and the backtest's, side by side: where each is found, and why nothing came of what was wanted."""

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from pregao.domain.clock import to_ms
from pregao.domain.deployment import DeploymentStatus
from pregao.domain.order import Leg, OrderStatus
from pregao.domain.position import Direction
from pregao.domain.traded import DeploymentTraded, HeardSignal, SignalOrder, SignalPosition, TradingAccount
from pregao.research.backtests.terms import Ending
from pregao.research.comparison.difference import Cause
from pregao.research.comparison.expected import ExpectedTrade, RunCandles

EARLIER: Final = (
    "The desk saw other candles before than the backtest has: a backtest of what it saw says {}, too."
)


class Said(NamedTuple):
    """Why nothing came of what was wanted, as it was recorded."""

    cause: Cause
    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTrade:
    """A trade that the backtest makes of the candles as the desk saw them; its instants are closes of those."""

    wanted_at_ms: int
    side: int
    ending: Ending
    ends_at_ms: int  # the close at which its end was wanted, where a signal ended it

    @classmethod
    def all_of(cls, expected: Sequence[ExpectedTrade], run: RunCandles) -> "list[OwnTrade]":
        """Give those of a run over what the desk saw."""
        closes = [int(one) for one in run.closed_at_ms]
        return [
            cls(
                wanted_at_ms=closes[one.signal_bar],
                side=one.trade.side,
                ending=one.trade.ending,
                ends_at_ms=closes[one.trade.exit_bar - 1],
            )
            for one in expected
        ]


class Beside:
    """What was recorded of one account, and what the backtest makes of the candles."""

    def __init__(
        self,
        account: TradingAccount,
        traded: DeploymentTraded,
        expected: Sequence[ExpectedTrade],
        run: RunCandles,
        *,
        fee_bps: float,
        of_own: Collection[OwnTrade] | None,
    ) -> None:
        number = account.account_id
        self.of_own = None if of_own is None else {(one.wanted_at_ms, one.side): one for one in of_own}
        self.traded = traded
        self.run = run
        self.fee_bps = fee_bps
        self.closes = [int(one) for one in run.closed_at_ms]
        self.bars = run.candles.part(run.first, len(run.candles))
        self.signals = {one.signal_id: one for one in traded.signals}
        self.orders = [one for one in traded.orders if one.account_id == number]
        self.positions = [one for one in traded.positions if one.account_id == number]
        self.expected = {(self.closes[one.signal_bar], one.trade.side): one for one in expected}
        self.step = _step_of(self.orders)

    def wanted_at_ms(self, position: SignalPosition) -> int:
        """Give the close of the candle at which a position was wanted."""
        return to_ms(self.signals[position.signal_id].closed_at)

    def bar_at(self, at: datetime) -> int:
        """Give the candle that ran at an instant."""
        return bisect_left(self.closes, to_ms(at))

    def ran(self, since_ms: int, at_ms: int) -> tuple[float, float] | None:
        """Give the lowest and highest price from the close of a candle to an instant; None where a candle of it is missing."""
        closed, last = bisect_left(self.closes, since_ms), bisect_left(self.closes, at_ms)
        if last >= len(self.bars):
            return None
        bars, close = self.bars.part(closed + 1, last + 1), float(self.bars.close[closed])
        return min(close, *bars.low.tolist()), max(close, *bars.high.tolist())

    def signal_at(self, wanted_ms: int, act: str | None) -> HeardSignal | None:
        """Give the signal that was heard at a close; of this act, or of any."""
        for one in self.traded.signals:
            if to_ms(one.closed_at) == wanted_ms and act in (None, one.action):
                return one
        return None

    def standing(self, at_ms: int) -> DeploymentStatus:
        """Give how the deployment stood at an instant."""
        status = DeploymentStatus.ACTIVE
        for one in self.traded.standings:
            if to_ms(one.at) <= at_ms:
                status = one.status
        return status

    def why_not(self, wanted_ms: int, act: str | None) -> Said | None:
        """Give the cause, the code and the reason why nothing came of what was wanted at a close; None where nothing tells it."""
        if wanted_ms in self.run.differing:
            return Said(
                Cause.CANDLE_DIFFERED,
                "CANDLE_DIFFERS",
                "The desk saw another candle there than the backtest has.",
            )
        signal = self.signal_at(wanted_ms, act)
        if signal is None:
            status = self.standing(wanted_ms)
            if status is DeploymentStatus.ACTIVE:
                return None
            return Said(
                Cause.DEPLOYMENT_STOOD,
                f"DEPLOYMENT_{status.name}",
                f"The deployment was {status} then: it sends no entries.",
            )
        if signal.code is not None:
            return Said(Cause.SIGNAL_REFUSED, signal.code, signal.reason or "")
        orders = [one for one in self.orders if one.signal_id == signal.signal_id]
        wanted_leg = Leg.EXIT if act is None else Leg.ENTRY
        for order in orders:
            if order.leg is wanted_leg and order.code is not None:
                return Said(Cause.ORDER_DENIED, order.code, order.reason or "")
            if order.leg is wanted_leg and order.status in (OrderStatus.EXPIRED, OrderStatus.CANCELED):
                return Said(
                    Cause.ORDER_UNFILLED, f"ORDER_{order.status.name}", "The order ended without a fill."
                )
        if act is not None and any(one.leg is Leg.EXIT for one in orders):
            return Said(
                Cause.CLOSED_ONLY,
                "CLOSED_ONLY",
                "The bot's rules let the signal close what was held, and enter nothing.",
            )
        return None

    def entry_of(self, position: SignalPosition) -> SignalOrder | None:
        """Give the order that opened a position."""
        for order in self.orders:
            if order.leg is Leg.ENTRY and order.position_id == position.position_id:
                return order
        return None


def prices_of(position: SignalPosition) -> tuple[float, float | None]:
    """Give the average prices of a position's entry and exit; None before the first exit."""
    entry = float(position.entry_notional / position.entered_quantity)
    return entry, float(
        position.exit_notional / position.exited_quantity
    ) if position.exited_quantity else None


def side_of(position: SignalPosition) -> int:
    """Give 1 for a long, -1 for a short."""
    return 1 if position.direction is Direction.LONG else -1


def _step_of(orders: Sequence[SignalOrder]) -> float:
    """Give the coarsest step that all quantities are multiples of, as far as decimals show it."""
    digits = [
        -int(one.quantity.normalize().as_tuple().exponent)
        for one in orders
        if one.quantity is not None and one.leg is Leg.ENTRY
    ]
    return float(10.0 ** -min(max(digits, default=0), 18))
