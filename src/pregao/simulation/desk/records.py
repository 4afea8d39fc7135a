"""What a bot has done already, as the checks of a decision ask for it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

from pregao.decisions.checks import goes_against
from pregao.decisions.ports import NewerSignal, Record
from pregao.domain.bot import Bot
from pregao.domain.facts import DecisionApproved
from pregao.domain.money import ZERO
from pregao.domain.order import Leg, OrderStatus
from pregao.domain.position import Direction
from pregao.domain.signal import Action, AgainKind, Instruction
from pregao.simulation.desk.state import SignalRow, State, day_of
from pregao.simulation.desk.usage import lost_in_part

TRADED = ("approved", "planned", "settled")


def read_record(state: State, bot: Bot, instruction: Instruction, *, now: datetime) -> Record:
    entered = [
        row
        for row in state.signals.values()
        if row.bot_id == bot.bot_id
        and row.action is Action.ENTER
        and row.status in TRADED
        and row.source != AgainKind.REPLAY
    ]
    live = [one for one in state.live() if one.bot_id == bot.bot_id]
    counts_positions = bot.global_max_positions is not None
    is_against = goes_against(bot, instruction)
    return Record(
        last_entry_at=_last_entry(entered, bot, instruction, now=now),
        entries_today=_entries_on(entered, day_of(now)) if bot.max_entries_per_day is not None else 0,
        live_positions=len(live) if counts_positions else 0,
        positions_here=sum(one.symbol == instruction.symbol for one in live) if counts_positions else 0,
        loss_today_usd=_loss_of_bot(state, bot, day_of(now)),
        positions_against=count_against(state, instruction, bot_id=bot.bot_id) if is_against else 0,
    )


def _loss_of_bot(state: State, bot: Bot, day: date) -> Decimal:
    if bot.global_max_daily_loss_usd is None:
        return ZERO
    days = (row for row in state.daily_results.values() if row.day == day)
    closed = sum((row.counted_loss_usd for row in days if row.bot_id == bot.bot_id), ZERO)
    live = (one for one in state.live() if one.bot_id == bot.bot_id)
    return closed + sum((lost_in_part(state, one, day) for one in live), ZERO)


def count_against(state: State, instruction: Instruction, *, bot_id: UUID) -> int:
    assert instruction.side is not None, "an entry has a side"
    against = instruction.side.opposite
    held = sum(
        one.bot_id == bot_id
        and one.symbol == instruction.symbol
        and one.direction is Direction.of_entry(against)
        for one in state.live()
    )
    waiting = sum(
        row.bot_id == bot_id
        and row.symbol == instruction.symbol
        and row.side is against
        and row.status is OrderStatus.DEFERRED
        and row.leg is Leg.ENTRY
        for row in state.orders.values()
    )
    return held + waiting


def find_newer_against(
    state: State, signal_id: UUID, *, bot_id: UUID, instruction: Instruction
) -> NewerSignal | None:
    assert instruction.side is not None, "an entry has a side"
    asked = state.signals.get(signal_id)
    if asked is None:
        return None
    newer = [
        row
        for row in state.signals.values()
        if row.bot_id == bot_id
        and (row.received_at, row.signal_id) > (asked.received_at, signal_id)
        and row.status in TRADED
        and (row.symbol == instruction.symbol or row.action is Action.CLOSE_ALL)
        and row.side in (instruction.side.opposite, None)
        and _concerns_all(state, row.signal_id)
    ]
    last = max(newer, key=_arrival, default=None)
    if last is None:
        return None
    assert last.action is not None, "what was decided has been read"
    return NewerSignal(signal_id=last.signal_id, action=last.action, received_at=last.received_at)


def _concerns_all(state: State, signal_id: UUID) -> bool:
    approved = next(
        (
            fact.instruction
            for fact in state.journal
            if isinstance(fact, DecisionApproved) and fact.signal_id == signal_id
        ),
        None,
    )
    return approved is None or (approved.share is None and approved.only is None)


def _arrival(row: SignalRow) -> tuple[datetime, UUID]:
    return row.received_at, row.signal_id


def _last_entry(
    entered: Sequence[SignalRow], bot: Bot, instruction: Instruction, *, now: datetime
) -> datetime | None:
    if not bot.cooldown_seconds:
        return None
    since = now - timedelta(seconds=bot.cooldown_seconds)
    decided = [
        row.decided_at
        for row in entered
        if row.symbol == instruction.symbol and row.decided_at is not None and row.decided_at > since
    ]
    return max(decided, default=None)


def _entries_on(entered: Sequence[SignalRow], day: date) -> int:
    midnight = datetime.combine(day, time(), UTC)
    return sum(row.decided_at is not None and row.decided_at >= midnight for row in entered)
