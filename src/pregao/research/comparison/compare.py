"""
Pair what the desk traded with what the backtest trades, one by one, and explain each difference or say that nothing does.

A trade is known by the candle at whose close it was wanted, and by its side. What differs must have its reason in what was
recorded: a code in a receipt, a level that one side's stop had and the other's had not, the prices that ran meanwhile.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pregao.domain.clock import to_ms
from pregao.domain.order import Leg
from pregao.domain.traded import DeploymentTraded, SignalPosition, TradingAccount
from pregao.research.backtests.terms import Ending
from pregao.research.comparison.alone import only_in_backtest, only_on_desk
from pregao.research.comparison.amounts import by_fees, by_latency, by_price, by_profit, by_quantity
from pregao.research.comparison.beside import Beside, OwnTrade, prices_of, side_of
from pregao.research.comparison.difference import Difference, Kind, Pair, Side
from pregao.research.comparison.ending import by_ending, ending_of
from pregao.research.comparison.expected import ExpectedTrade, RunCandles

SIDES: Final = {1: "long", -1: "short"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """All trades of one account beside those of the backtest."""

    account_id: int
    account: str
    pairs: tuple[Pair, ...]


def compare(
    account: TradingAccount,
    traded: DeploymentTraded,
    expected: Sequence[ExpectedTrade],
    run: RunCandles,
    *,
    fee_bps: float,
    of_own: Collection[OwnTrade] | None = None,
) -> Compared:
    """
    Pair the trades of one account with the backtest's, in the order in which they were wanted.

    ``of_own`` are those that a backtest makes of what the desk saw, where it saw other candles than the backtest has.
    """
    beside = Beside(account, traded, expected, run, fee_bps=fee_bps, of_own=of_own)
    return Compared(account_id=account.account_id, account=account.name, pairs=tuple(_pairs(beside)))


def money_of(account: TradingAccount, traded: DeploymentTraded) -> tuple[float, int]:
    """Give the margin and leverage of an account's first entry: what the backtest is sized by."""
    for order in traded.orders:
        if order.account_id == account.account_id and order.leg is Leg.ENTRY and order.margin_usd:
            return float(order.margin_usd), int(order.leverage or 1)
    return 100.0, 1


def unexplained(compared: Sequence[Compared]) -> int:
    """Count the trades with a difference that nothing explains."""
    return sum(not pair.is_explained for one in compared for pair in one.pairs)


def counts(pairs: Sequence[Pair]) -> Mapping[str, int]:
    """Count the trades of both, and of one of the two alone."""
    return {
        "both": sum(one.desk is not None and one.backtest is not None for one in pairs),
        "only_on_desk": sum(one.backtest is None for one in pairs),
        "only_in_backtest": sum(one.desk is None for one in pairs),
        "unexplained": sum(not one.is_explained for one in pairs),
    }


def _pairs(beside: Beside) -> Iterator[Pair]:
    held = {(beside.wanted_at_ms(one), side_of(one)): one for one in beside.positions}
    for place in sorted({*held, *beside.expected}):
        desk, backtest = held.get(place), beside.expected.get(place)
        differences: tuple[Difference, ...]
        if desk is None:
            assert backtest is not None
            differences = (only_in_backtest(beside, place, backtest),)
        elif backtest is None:
            differences = (only_on_desk(beside, place),)
        else:
            differences = tuple(_differences(beside, desk, backtest))
        yield Pair(
            wanted_at_ms=place[0],
            side=SIDES[place[1]],
            position_id=None if desk is None else desk.position_id,
            desk=None if desk is None else _desk_side(desk),
            backtest=None if backtest is None else _backtest_side(beside, backtest),
            differences=differences,
        )


def _differences(beside: Beside, desk: SignalPosition, backtest: ExpectedTrade) -> Iterator[Difference]:
    trade, side = backtest.trade, backtest.trade.side
    entry_price, exit_price = prices_of(desk)
    wanted_ms = beside.closes[backtest.signal_bar]
    order = beside.entry_of(desk)
    decision = None if order is None or order.decision_price is None else float(order.decision_price)
    yield by_latency(beside, "entered", wanted_ms, to_ms(desk.opened_at))
    if entry_price != trade.entry_price:
        yield by_price(
            beside,
            Kind.ENTRY_PRICE,
            entry_price,
            trade.entry_price,
            worse=side,
            since_ms=wanted_ms,
            at_ms=to_ms(desk.opened_at),
            more="" if decision is None else f" The price was {decision:g} when it was planned.",
        )
    quantity = float(desk.entered_quantity)
    if quantity != trade.quantity:
        yield by_quantity(beside, quantity, trade.quantity, order=order, decision=decision)
    ending = by_ending(beside, desk, backtest)
    if ending is not None:
        yield ending
    if desk.closed_at is None or exit_price is None:
        return
    is_same_end = ending is None
    if is_same_end and trade.ending is Ending.SIGNAL:
        yield by_latency(beside, "exited", beside.closes[trade.exit_bar - 1], to_ms(desk.closed_at))
    if is_same_end and exit_price != trade.exit_price:
        yield by_price(
            beside,
            Kind.EXIT_PRICE,
            exit_price,
            trade.exit_price,
            worse=-side,
            since_ms=beside.closes[trade.exit_bar - 1],
            at_ms=to_ms(desk.closed_at),
        )
    if float(desk.fees) != trade.fees:
        yield by_fees(beside, desk, trade.fees)
    if float(desk.realized_pnl) != trade.profit:
        yield by_profit(desk, backtest)


def _backtest_side(beside: Beside, expected: ExpectedTrade) -> Side:
    trade = expected.trade
    is_by_signal = trade.ending is Ending.SIGNAL
    return Side(
        entered_at_ms=beside.closes[expected.signal_bar],
        exited_at_ms=beside.closes[trade.exit_bar - 1 if is_by_signal else trade.exit_bar],
        quantity=trade.quantity,
        entry_price=trade.entry_price,
        exit_price=trade.exit_price,
        fees=trade.fees,
        profit=trade.profit,
        ending=trade.ending.name.lower(),
    )


def _desk_side(position: SignalPosition) -> Side:
    entry_price, exit_price = prices_of(position)
    is_over = position.closed_at is not None
    return Side(
        entered_at_ms=to_ms(position.opened_at),
        exited_at_ms=None if position.closed_at is None else to_ms(position.closed_at),
        quantity=float(position.entered_quantity),
        entry_price=entry_price,
        exit_price=exit_price,
        fees=float(position.fees),
        profit=float(position.realized_pnl) if is_over else None,
        ending=ending_of(position),
    )
