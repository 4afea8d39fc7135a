"""
The backtest's side: the candles of a run as a backtest has them, and the trades it makes of them.

A strategy that began with what came before is not asked to enter what it wanted already: nor is its backtest.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from pregao.research.backtests import plain
from pregao.research.backtests.outcome import Trade
from pregao.research.backtests.terms import BASIS_POINTS, Sizing, Terms
from pregao.research.candles import COLUMNS, Candles, CandlesUnusableError, Prices, Times, make_candles
from pregao.research.strategies.strategy import FLAT, KEEP, Plan, Wanted
from pregao.research.timeframe import Timeframe

ROWS_TO_KNOW: Final = 5  # in a row that are the same tell which candles of a tape these were
EQUITY: Final = 1e12  # what an account is worth limits nothing here


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunCandles:
    """
    The candles of a run, with those before it that warm the strategy up.

    ``closed_at_ms`` is when each of the run's candles closed on the desk's clock: a tape may be played faster than it was recorded.
    """

    candles: Candles
    first: int  # the first that was judged live
    closed_at_ms: Times  # of those from ``first`` on
    speed: float
    differing: tuple[
        int, ...
    ] = ()  # closes (the desk's clock) of candles that the desk saw otherwise, or not at all

    def __len__(self) -> int:
        return len(self.closed_at_ms)

    def as_played(self, *, symbol: str, timeframe: Timeframe) -> Candles:
        """Give all candles as the strategy saw them: at the times at which they were played, and as long as they were then."""
        opened = self.candles.opened_at_ms
        since_first = (opened - opened[self.first]) / self.speed
        columns = {name: getattr(self.candles, name) for name in COLUMNS}
        columns["opened_at_ms"] = self.closed_at_ms[0] - timeframe.ms + np.floor(since_first).astype(np.int64)
        return make_candles(
            symbol=symbol,
            timeframe=timeframe,
            source=self.candles.source,
            columns=columns,
            is_simulated=self.candles.is_simulated,
        )

    def began_as(self, other: "RunCandles", *, needed: int) -> bool:
        """Say whether both have the same ``needed`` candles before their first, at whatever times."""
        mine, others = (
            _rows(one.candles.part(max(0, one.first - needed), one.first)) for one in (self, other)
        )
        return np.array_equal(mine, others, equal_nan=True)

    def cold(self) -> "RunCandles":
        """Leave out what came before: the strategy began with the first it saw itself."""
        return replace(self, candles=self.candles.part(self.first, len(self.candles)), first=0)

    def since(self, at_ms: int) -> "RunCandles":
        """
        Begin with a later candle; those before it stay what warmed the strategy up.

        :raises CandlesUnusableError: when none is left.
        """
        left_out = int(np.searchsorted(self.closed_at_ms, at_ms))
        if left_out == len(self):
            raise CandlesUnusableError(
                f"CANDLES_NOT_SEEN: candles={self.candles.label} rows=0 last_ms={self.closed_at_ms[-1]} since_ms={at_ms}. The "
                "strategy has judged none since then; name an earlier instant."
            )
        return replace(
            self,
            first=self.first + left_out,
            closed_at_ms=self.closed_at_ms[left_out:],
            differing=tuple(one for one in self.differing if one >= at_ms),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedTrade:
    """
    One trade of the backtest, in the run's own candles: they are counted from its first.

    ``signal_bar`` is the candle at whose close it was wanted. The levels are where its stop and target stood.
    """

    signal_bar: int
    trade: Trade
    stop_price: float | None
    target_price: float | None


def run_candles(
    seen: Candles, *, began_at_ms: int, bar_at_ms: int, tried: Candles | None = None
) -> RunCandles:
    """
    Give the candles between the closes of the first and the last judged one; ``tried`` are those of the backtest.

    They are found in ``tried`` by their time, or by what they hold, where a tape is played at another time and pace.

    :raises CandlesUnusableError: when they are not there.
    """
    frame_ms = seen.timeframe.ms
    judged = seen.between(since_ms=began_at_ms - frame_ms, until_ms=bar_at_ms)
    if len(judged) < 2:
        raise CandlesUnusableError(
            f"CANDLES_NOT_SEEN: candles={seen.label} rows={len(judged)}. The strategy has judged too few candles yet, or they are "
            "not on this machine."
        )
    if tried is None:
        first = int(np.searchsorted(seen.opened_at_ms, began_at_ms - frame_ms))
        return RunCandles(
            candles=seen.part(0, first + len(judged)),
            first=first,
            closed_at_ms=judged.opened_at_ms + frame_ms,
            speed=1.0,
        )
    if tried.timeframe.ms == frame_ms and _first_at(tried, judged) is not None:
        return _by_time(judged, tried)
    return _by_content(judged, tried)


def prepend(before: Candles, seen: Candles) -> Candles:
    """Put older candles before those that were seen; where both have one, what was seen counts."""
    older = before.between(until_ms=int(seen.opened_at_ms[0]))
    columns = {name: np.append(getattr(older, name), getattr(seen, name)) for name in COLUMNS}
    return make_candles(
        symbol=seen.symbol,
        timeframe=seen.timeframe,
        source=seen.source,
        columns=columns,
        is_simulated=seen.is_simulated or before.is_simulated,
    )


def expected_trades(
    run: RunCandles, plan: Plan, *, money: float, leverage: int, fee_bps: float, slippage_bps: float
) -> list[ExpectedTrade]:
    """Give the trades a backtest makes of the run's candles, each with this margin."""
    wanted = _heard(plan.wanted, first=run.first)
    mine = Plan(
        wanted=wanted, stop=_from(plan.stop, first=run.first), target=_from(plan.target, first=run.first)
    )
    terms = Terms(
        start=EQUITY,
        sizing=Sizing.MONEY,
        size=money,
        leverage=leverage,
        fee_bps=fee_bps,
        slippage_bps=slippage_bps,
    )
    outcome = plain.replay(run.candles.part(run.first, len(run.candles)), mine, terms)
    found = []
    for trade in outcome.trades:
        stop, target = (_at(values, trade.entry_bar - 1) for values in (mine.stop, mine.target))
        found.append(
            ExpectedTrade(
                signal_bar=trade.entry_bar - 1,
                # The fee is no part of what is bought: the desk's margin buys for all of it, and pays the fee beside it.
                trade=_whole(trade, fee=fee_bps / BASIS_POINTS),
                stop_price=None if np.isinf(stop) else trade.entry_price * (1 - trade.side * stop),
                target_price=None if np.isinf(target) else trade.entry_price * (1 + trade.side * target),
            )
        )
    return found


def _whole(trade: Trade, *, fee: float) -> Trade:
    more = 1 + max(fee, 0.0)
    return replace(trade, quantity=trade.quantity * more, fees=trade.fees * more, profit=trade.profit * more)


def _heard(wanted: Wanted, *, first: int) -> Wanted:
    """Leave out what was wanted before the run began, until something else is: nobody was told."""
    standing = int(wanted[first - 1] if first else wanted[first])
    mine = wanted[first:].copy()
    if standing != KEEP:
        changed = np.flatnonzero(mine != standing)
        mine[: changed[0] if len(changed) else len(mine)] = FLAT
    return mine


def _from(values: Prices, *, first: int) -> Prices:
    return values if len(values) == 1 else values[first:]


def _at(values: Prices, at: int) -> float:
    return float(values[at] if len(values) > 1 else values[0])


# --- which candles these were -----------------------------------------------------------------------------


def _first_at(tried: Candles, judged: Candles) -> int | None:
    at = int(np.searchsorted(tried.opened_at_ms, judged.opened_at_ms[0]))
    there = at < len(tried) and tried.opened_at_ms[at] == judged.opened_at_ms[0]
    return at if there else None


def _by_time(judged: Candles, tried: Candles) -> RunCandles:
    until_ms = int(judged.opened_at_ms[-1]) + 1
    mine = tried.between(since_ms=int(judged.opened_at_ms[0]), until_ms=until_ms)
    first = int(np.searchsorted(tried.opened_at_ms, judged.opened_at_ms[0]))
    rows = {int(at): row for at, row in zip(judged.opened_at_ms, _rows(judged), strict=True)}
    frame_ms = judged.timeframe.ms
    differing = [
        int(at) + frame_ms
        for at, row in zip(mine.opened_at_ms, _rows(mine), strict=True)
        if not _is_same(rows.pop(int(at), None), row)
    ]
    differing += [at + frame_ms for at in rows]
    return RunCandles(
        candles=tried.part(0, first + len(mine)),
        first=first,
        closed_at_ms=mine.opened_at_ms + frame_ms,
        speed=1.0,
        differing=tuple(sorted(differing)),
    )


def _by_content(judged: Candles, tried: Candles) -> RunCandles:
    """Find the run among other candles: the first rows that are the same, and the others by their time from there."""
    rows, others = _rows(judged), _rows(tried)
    count = min(ROWS_TO_KNOW, len(rows))
    alike = np.flatnonzero((others[: len(others) - count + 1] == rows[0]).all(axis=1))
    places = [int(at) for at in alike if np.array_equal(others[at : at + count], rows[:count])]
    if len(places) != 1:
        raise CandlesUnusableError(
            f"CANDLES_NOT_THE_RUNS: seen={judged.label} tried={tried.label} places={len(places)}. The candles that the strategy "
            "saw are not in those of the backtest; name the candles it was replayed from, or none."
        )
    first = places[0]
    speed = tried.timeframe.ms / judged.timeframe.ms
    since = (tried.opened_at_ms[first:] - tried.opened_at_ms[first]) / speed
    opened = judged.opened_at_ms[0] + since.astype(np.int64)
    mine = int(np.searchsorted(opened, judged.opened_at_ms[-1], side="right"))
    known = {int(at): row for at, row in zip(judged.opened_at_ms, rows, strict=True)}
    frame_ms = judged.timeframe.ms
    differing = [
        int(opened[at]) + frame_ms
        for at in range(mine)
        if not _is_same(known.pop(int(opened[at]), None), others[first + at])
    ]
    differing += [at + frame_ms for at in known]
    return RunCandles(
        candles=tried.part(0, first + mine),
        first=first,
        closed_at_ms=opened[:mine] + frame_ms,
        speed=speed,
        differing=tuple(sorted(differing)),
    )


def _rows(candles: Candles) -> Prices:
    return np.column_stack([getattr(candles, name) for name in COLUMNS[1:]])


def _is_same(row: Prices | None, other: Prices) -> bool:
    return row is not None and np.array_equal(row, other, equal_nan=True)
