"""What guards a position, and all that an exit of it is judged by."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from pregao.domain.account import Account
from pregao.domain.bot import Subscription
from pregao.domain.execution import ExecutionStatus
from pregao.domain.order import Leg
from pregao.domain.position import Position
from pregao.domain.protection import MAY_TRADE
from pregao.simulation.desk.state import ON_ITS_WAY, State
from pregao.simulation.desk.trading_states import standing_states
from pregao.stops.asked import asked_of, said_by_strategy
from pregao.stops.claims import order_of_claim
from pregao.stops.limits import limits_of
from pregao.stops.ports import Asked, Claimed, ExitScene, Guard


def read_guards(state: State, positions: Sequence[Position]) -> dict[int, Guard]:
    return {one.position_id: _guard(state, one) for one in positions}


def _asked(state: State, position: Position, subscription: Subscription) -> Asked:
    asked = asked_of(state.bots[position.bot_id], subscription, symbol=position.symbol)
    signal = state.signals.get(position.signal_id)
    if signal is None or not state.bots[position.bot_id].takes_strategies:
        return asked
    return said_by_strategy(asked, stop_percent=signal.stop_percent, target_percent=signal.target_percent)


def _guard(state: State, position: Position) -> Guard:
    number = position.position_id
    stop = state.stops.get(number)
    own = sorted(
        (row.line for row in state.protections.values() if row.line.position_id == number),
        key=lambda line: line.version,
    )
    if stop is None:
        own = []
    subscription = state.subscriptions[position.subscription_id]
    return Guard(
        armed=None if stop is None else stop.armed,
        asked=_asked(state, position, subscription)
        if stop is None
        else Asked(rule=stop.armed.stop.rule, is_required=stop.armed.is_required),
        venue=state.accounts[subscription.account_id].venue,
        lines=tuple(line for line in own if line.status in MAY_TRADE),
        lines_made=own[-1].version if own else 0,
        claims=() if stop is None else tuple(_claims(state, number)),
        is_entering=any(
            row.position_id == number and row.leg is Leg.ENTRY and row.status in ON_ITS_WAY
            for row in state.orders.values()
        ),
    )


def _claims(state: State, position_id: int) -> list[Claimed]:
    found = []
    for row in state.stop_claims.values():
        claimed = replace(row.claimed, code=row.code)
        is_over = claimed.status is ExecutionStatus.EXECUTED or (
            claimed.status is ExecutionStatus.FAILED and claimed.again_at is None
        )
        if claimed.position_id == position_id and not is_over:
            order = state.orders.get(claimed.order_id or "")
            found.append(
                claimed
                if order is None
                else replace(
                    claimed,
                    order_status=order.status,
                    filled_quantity=order.filled_quantity,
                    filled_notional=order.filled_notional,
                )
            )
    return sorted(found, key=order_of_claim)


def read_scene(state: State, positions: Sequence[Position], *, since: datetime) -> ExitScene:
    accounts = {number: state.accounts[number] for number in {one.account_id for one in positions}}
    users = {one.user_id for one in accounts.values() if one.user_id is not None}
    return ExitScene(
        guards={
            one.position_id: _guard(state, one)
            for one in positions
            if state.stops.get(one.position_id) is not None
        },
        accounts=accounts,
        states=standing_states(state),
        executions={number: _executions(state, one, since=since) for number, one in accounts.items()},
        limits={one: limits_of(state.users[one]) for one in users if one in state.users},
    )


def _executions(state: State, account: Account, *, since: datetime) -> list[datetime]:
    user_id = account.user_id
    own = {account.account_id} | {
        number for number, one in state.accounts.items() if user_id is not None and one.user_id == user_id
    }
    return sorted(
        row.planned_at
        for row in state.orders.values()
        if row.execution is not None and row.planned_at >= since and row.account_id in own
    )
