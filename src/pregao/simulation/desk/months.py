"""What a month has cost each tenant who has a capital, in memory."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from uuid import UUID

from pregao.accounts.drawdown import SET_BY
from pregao.domain.facts import TradingStateSet
from pregao.domain.money import ZERO
from pregao.domain.risk import Drawdown, MonthlyState, drawdown_of
from pregao.domain.user import User
from pregao.simulation.desk.state import State


def months_over(state: State, users: Iterable[User], *, day: date) -> dict[UUID, Drawdown]:
    """Give whose month has cost too much, of those whom the desk has not paused for it."""
    paused = {
        fact.subject
        for fact in state.journal
        if isinstance(fact, TradingStateSet)
        and fact.set_by == SET_BY
        and fact.happened_at.date() >= day.replace(day=1)
    }
    measured = {
        user.user_id: drawdown_of(
            _earned(state, user.user_id, day=day),
            capital=user.risk_capital_usd,
            limit_percent=user.monthly_drawdown_pct,
        )
        for user in users
        if user.risk_capital_usd is not None and str(user.user_id) not in paused
    }
    return {key: one for key, one in measured.items() if one.state is MonthlyState.PAUSED}


def _earned(state: State, user_id: UUID, *, day: date) -> Decimal:
    """Sum what closed this month, and of what is open the parts that were closed in it."""
    accounts = {one.account_id for one in state.accounts.values() if one.user_id == user_id}
    closed = (
        row.pnl_usd
        for row in state.daily_results.values()
        if row.account_id in accounts and (row.day.year, row.day.month) == (day.year, day.month)
    )
    in_part = (
        one.realized_pnl
        for one in state.live()
        if one.account_id in accounts
        and one.exited_quantity > ZERO
        and _has_exit(state, one.position_id, day=day)
    )
    return sum(closed, ZERO) + sum(in_part, ZERO)


def _has_exit(state: State, position_id: int, *, day: date) -> bool:
    entered = state.positions[position_id].position.direction.entry_side
    return any(
        fact.position_id == position_id
        and fact.trade.side is not entered
        and fact.trade.traded_at.date() >= day.replace(day=1)
        for fact in state.fills.values()
    )
