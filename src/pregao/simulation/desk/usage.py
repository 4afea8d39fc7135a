"""What has been used of the limits: places and losses, of a subscription, a bot, a user."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

from pregao.domain.money import ZERO
from pregao.domain.position import Position
from pregao.domain.risk_rules import Result, RiskRecord, RiskRules, record_of
from pregao.domain.user import User
from pregao.orders.ports import (
    NOTHING_USED,
    Tally,
    Usage,
)
from pregao.simulation.desk.months import months_over
from pregao.simulation.desk.state import State, day_of

K = TypeVar("K")


def read_usage(
    state: State,
    bot_id: UUID,
    *,
    subscription_ids: Sequence[UUID],
    symbols: Collection[str],
    day: date,
    rules: Mapping[UUID, RiskRules] | None = None,
    is_counted: bool = True,
) -> Usage:
    everything = [
        *(
            (one.subscription_id, one.symbol, Tally(positions=1, loss_usd=lost_in_part(state, one, day)))
            for one in state.live()
            if one.bot_id == bot_id
        ),
        *(
            (one.subscription_id, one.symbol, Tally(positions=1))
            for one in state.may_open_again()
            if one.bot_id == bot_id
        ),
        *(
            (row.subscription_id, row.symbol, Tally(loss_usd=row.counted_loss_usd))
            for row in state.daily_results.values()
            if row.bot_id == bot_id and row.day == day
        ),
    ]
    used = everything if is_counted else []
    limited = _limited_users(state, bot_id)
    here = [one for one in used if one[1] in symbols]
    own = set(subscription_ids)
    return Usage(
        of_bot=_total(tally for _, _, tally in used),
        of_bot_on=_summed((symbol, tally) for _, symbol, tally in here),
        of_subscriptions=_summed((one, tally) for one, _, tally in used if one in own),
        of_subscriptions_on=_summed(((one, symbol), tally) for one, symbol, tally in here if one in own),
        of_users={user_id: _used_by(state, user_id, day) for user_id in limited},
        limited_users=limited,
        months=months_over(state, limited.values(), day=day),
        records={one: _record(state, one, rule, day=day) for one, rule in (rules or {}).items()},
    )


def _record(state: State, subscription_id: UUID, rules: RiskRules, *, day: date) -> RiskRecord:
    own = [
        row.position for row in state.positions.values() if row.position.subscription_id == subscription_id
    ]
    closed = [one for one in own if one.closed_at is not None]
    if rules.since is not None:
        closed = [one for one in closed if one.closed_at is not None and one.closed_at >= rules.since]
    closed.sort(key=lambda one: (one.closed_at, one.position_id))
    live = sorted((one for one in own if one.closed_at is None), key=lambda one: one.position_id)
    began = datetime.combine(day, time(), UTC)
    return record_of(
        [Result(one.realized_pnl, one.closed_at) for one in (*closed, *live)],
        day=began,
        week=began - timedelta(days=day.weekday()),
    )


def _limited_users(state: State, bot_id: UUID) -> dict[UUID, User]:
    accounts = {one.account_id for one in state.subscriptions.values() if one.bot_id == bot_id}
    owners = {state.accounts[one].user_id for one in accounts}
    return {
        key: user
        for key, user in sorted(state.users.items())
        if key in owners
        and (
            user.max_positions is not None
            or user.max_daily_loss_usd is not None
            or user.risk_capital_usd is not None
        )
    }


def _used_by(state: State, user_id: UUID, day: date) -> Tally:
    accounts = {one.account_id for one in state.accounts.values() if one.user_id == user_id}
    live = [one for one in state.live() if one.account_id in accounts]
    again = sum(one.account_id in accounts for one in state.may_open_again())
    closed = (
        row.counted_loss_usd
        for row in state.daily_results.values()
        if row.account_id in accounts and row.day == day
    )
    in_part = sum((lost_in_part(state, one, day) for one in live), ZERO)
    return Tally(positions=len(live) + again, loss_usd=in_part + sum(closed, ZERO))


def lost_in_part(state: State, position: Position, day: date) -> Decimal:
    """What a live position has lost with what was exited of it, if some of that was on this day."""
    if position.realized_pnl >= ZERO or position.exited_quantity <= ZERO:
        return ZERO
    exited = any(
        fact.position_id == position.position_id
        and fact.trade.side is position.direction.entry_side.opposite
        and day_of(fact.trade.traded_at) == day
        for fact in state.fills.values()
    )
    return -position.realized_pnl if exited else ZERO


def _total(tallies: Iterable[Tally]) -> Tally:
    told = list(tallies)
    return Tally(
        positions=sum(one.positions for one in told), loss_usd=sum((one.loss_usd for one in told), ZERO)
    )


def _summed(tallies: Iterable[tuple[K, Tally]]) -> dict[K, Tally]:
    summed: dict[K, Tally] = {}
    for key, tally in tallies:
        before = summed.get(key, NOTHING_USED)
        summed[key] = replace(
            before, positions=before.positions + tally.positions, loss_usd=before.loss_usd + tally.loss_usd
        )
    return summed
