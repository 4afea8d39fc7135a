"""
Plan the orders that close positions: reduce-only, sized by what is held, never stopped by a limit or a missing price.

Takes ExitRequested, and what a close signal's DecisionApproved asks. Gives OrderPlanned, OrderDenied, OrderDeferred.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from pregao.domain.account import Account
from pregao.domain.bot import OppositeSide, SubscriptionStatus, effective_settings
from pregao.domain.desk import Desk
from pregao.domain.facts import (
    DecisionApproved,
    ExitRequested,
    Fact,
    OrderDenied,
    OrderPlanned,
)
from pregao.domain.market import Market
from pregao.domain.money import ZERO
from pregao.domain.order import Side
from pregao.domain.position import Position, PositionStatus
from pregao.domain.signal import Action, Instruction
from pregao.domain.trading_state import TradingStates
from pregao.orders.denial import Denial
from pregao.orders.exits import defer_exit, deny_exit, exit_held, exit_id, planned_exit
from pregao.orders.ports import NOTHING_ON_THE_WAY, Books, Member, OnTheWay, WaitingEntry
from pregao.orders.rows import FAILED, Moment, Row, deny_member, deny_waiting, in_turns, plan_alone
from pregao.orders.states import denial_of_exit

ASKED_FIRST = Denial(
    code="ACCOUNT_NOT_RECONCILED",
    reason="The database was put back: the venue is asked first what has traded since; then this is closed.",
)
SHARE_FIRST = Denial(code="EXIT_ON_ITS_WAY", reason="A share is being closed; the rest is exited after it.")
ENTRY_FIRST = Denial(
    code="ENTRY_ON_ITS_WAY", reason="The entry is still on its way; whatever fills is exited at once."
)
NOTHING_LEFT = Denial(
    code="NOTHING_OPEN", reason="Nothing is held any more that no other exit takes: there is nothing to exit."
)
NOTHING_OPEN = Denial(code="NOTHING_OPEN", reason="This bot holds nothing here that the signal would close.")


async def plan_closes(
    decisions: Sequence[DecisionApproved], members: Sequence[Member], *, books: Books, moment: Moment
) -> AsyncIterator[list[Row]]:
    """
    Close what these members hold through the bot; each appears, with NOTHING_OPEN where it holds nothing.

    Several decisions are closes of one bot, each of another symbol: what they look at is read once for all. An entry that
    still waits for its turn never comes: whoever closes wants to be out.
    """
    asked = [decision.instruction for decision in decisions]
    bot_id = decisions[0].bot_id
    subscription_ids = [member.subscription.subscription_id for member in members]
    accounts = {member.account.account_id: member.account for member in members}
    states = await books.trading_states()
    keeping = await _keeping(decisions, members=members, books=books)
    live = await books.live_positions_of_bot(
        bot_id, subscription_ids=subscription_ids, symbols=_symbols(asked)
    )
    meant = _meant(decisions, live)
    on_the_way = await books.on_the_way([position.position_id for _, position in meant])
    waiting = (
        []
        if all(_leaves_waiting(one) for one in asked)
        else await books.waiting_entries(bot_id, subscription_ids=subscription_ids)
    )

    def close(one: tuple[DecisionApproved, Position]) -> list[Row]:
        decision, position = one
        if position.subscription_id in keeping:
            return [
                deny_exit(position, denial=_stands(position), signal_id=decision.signal_id, moment=moment)
            ]
        return [
            plan_close(
                position,
                signal_id=decision.signal_id,
                share=decision.instruction.share,
                on_the_way=on_the_way.get(position.position_id, NOTHING_ON_THE_WAY),
                account=accounts[position.account_id],
                states=states,
                moment=moment,
            )
        ]

    def failed(one: tuple[DecisionApproved, Position]) -> Row:
        return deny_exit(one[1], denial=FAILED, signal_id=one[0].signal_id, moment=moment)

    for some in in_turns(meant):
        yield [
            row
            for one in some
            for row in plan_alone(close, one, account_id=one[1].account_id, failed=failed, moment=moment)
        ]
    yield _deny_empty_handed(decisions, members, meant=meant, moment=moment)
    yield _end_waiting(decisions, waiting, keeping=keeping, moment=moment)


def _meant(
    decisions: Sequence[DecisionApproved], live: Sequence[Position]
) -> list[tuple[DecisionApproved, Position]]:
    """Give which close means which position."""
    return [
        (decision, position)
        for decision in decisions
        for position in live
        if _is_meant(
            decision.instruction,
            symbol=position.symbol,
            entry_side=position.direction.entry_side,
            subscription_id=position.subscription_id,
        )
        and _was_held(position, decision.instruction)
    ]


def _deny_empty_handed(
    decisions: Sequence[DecisionApproved],
    members: Sequence[Member],
    *,
    meant: Sequence[tuple[DecisionApproved, Position]],
    moment: Moment,
) -> list[Row]:
    """Deny the members that hold nothing of what is closed: each of them appears, too."""
    holding = {(decision.signal_id, position.account_id) for decision, position in meant}
    return [
        deny_member(member, NOTHING_OPEN, decision=decision, desk=moment.desk, now=moment.now)
        for decision in decisions
        for member in members
        if (decision.signal_id, member.account.account_id) not in holding
        and member.subscription.status is not SubscriptionStatus.CANCELED
    ]


def _end_waiting(
    decisions: Sequence[DecisionApproved],
    waiting: Sequence[WaitingEntry],
    *,
    keeping: Collection[UUID],
    moment: Moment,
) -> list[Row]:
    """Deny the entries that wait for their turn: whoever closes wants to be out."""
    return [
        deny_waiting(
            one,
            code="CLOSED_MEANWHILE",
            reason=f"signal={decision.signal_id}. A close came while the entry waited; nothing was sent.",
            now=moment.now,
        )
        for decision in decisions
        if not _leaves_waiting(decision.instruction)
        for one in waiting
        if _is_meant(
            decision.instruction,
            symbol=one.symbol,
            entry_side=one.side,
            subscription_id=one.subscription_id,
        )
        and one.subscription_id not in keeping
    ]


def _symbols(asked: Sequence[Instruction]) -> list[str] | None:
    """Give the symbols that are closed; None is all."""
    symbols = [one.symbol for one in asked if one.symbol is not None and one.action is not Action.CLOSE_ALL]
    return symbols if len(symbols) == len(asked) else None


def _leaves_waiting(asked: Instruction) -> bool:
    """Say whether entries that wait for their turn still come: a share leaves the rest, a retry means nothing newer."""
    return asked.share is not None or asked.is_retry


async def _keeping(
    decisions: Sequence[DecisionApproved], *, members: Sequence[Member], books: Books
) -> set[UUID]:
    """Give the subscriptions that ignore the other side; a close that was one from the beginning knows no such rule."""
    decision = decisions[0]
    if not decision.instruction.was_entry:
        return set()
    assert len(decisions) == 1, "what was an entry is planned on its own"
    bot, symbol = await books.get_bot(decision.bot_id), decision.instruction.symbol
    return {
        one.subscription.subscription_id
        for one in members
        if effective_settings(bot, one.subscription, symbol=symbol).opposite_side is OppositeSide.IGNORE
    }


def _stands(position: Position) -> Denial:
    values = f"position={position.position_id} direction={position.direction} status={position.status}"
    return Denial(
        code="OPPOSITE_SIDE_OPEN", reason=f"{values}. The rule for the other side is to ignore it; it stands."
    )


def _was_held(position: Position, asked: Instruction) -> bool:
    """Say whether a close that is sent again means it: what was opened since then is another signal's."""
    if asked.again is None or not asked.is_retry:
        return True
    return position.opened_at is not None and position.opened_at <= asked.again.first_at


def _is_meant(asked: Instruction, *, symbol: str, entry_side: Side, subscription_id: UUID) -> bool:
    """Say whether a close means what is entered on this side: by symbol unless it closes all, by side where it names one."""
    if asked.subscription_id not in (None, subscription_id):
        return False
    if asked.action is Action.CLOSE_ALL:
        return True
    return symbol == asked.symbol and asked.side in (None, entry_side.opposite)


def plan_close(
    position: Position,
    *,
    signal_id: UUID,
    share: Decimal | None,
    on_the_way: OnTheWay,
    account: Account,
    states: TradingStates,
    moment: Moment,
) -> Row:
    """
    Close a position, or a share of it.

    What has not entered yet, or is closing a share just now, is waited for: closing only what is there would leave
    the rest open with nobody asked to close it.
    """
    blocked = denial_of_exit(states, account=account, bot_id=position.bot_id, symbol=position.symbol)
    if blocked is not None:
        return deny_exit(position, denial=blocked, signal_id=signal_id, moment=moment)
    if on_the_way.closes_all(position.quantity):
        return deny_exit(
            position,
            denial=Denial(
                code="EXIT_IN_FLIGHT",
                reason=f"signal={position.exit_signal_id}. That exit closes the position.",
            ),
            signal_id=signal_id,
            moment=moment,
        )
    waits = _wait_of(position, on_the_way)
    if waits is not None:
        return defer_exit(position, waits, signal_id=signal_id, share=share, moment=moment)
    return exit_held(
        position,
        signal_id=signal_id,
        attempt=1,
        share=share,
        forgotten=on_the_way.forgotten_exits,
        account=account,
        moment=moment,
    )


def _wait_of(position: Position, on_the_way: OnTheWay) -> Denial | None:
    if on_the_way.is_unsure:
        return ASKED_FIRST
    if on_the_way.is_leaving:
        return SHARE_FIRST
    if on_the_way.is_entering or position.status is PositionStatus.PENDING:
        return ENTRY_FIRST
    return None


async def plan_exit(
    requests: Sequence[ExitRequested], *, books: Books, market: Market, desk: Desk, now: datetime
) -> list[Fact]:
    """
    Plan a reduce-only order over what is asked of all that a position holds now; deny when that is nothing.

    Nothing follows from a request that is out of date: while the venue was asked, the order went on. What a restored
    database is not sure to hold is closed later, when the venue was asked; a dead attempt waits for that as it is.
    """
    positions = await books.lock_positions([request.position_id for request in requests])
    accounts = await books.accounts(sorted({position.account_id for position in positions.values()}))
    wanted = {
        exit_id(positions[one.position_id], signal_id=one.signal_id, desk=desk, execution=one.execution): one
        for one in requests
    }
    standing = await _standing(wanted, positions, books=books)
    on_the_way = await books.on_the_way(sorted(positions))
    states = await books.trading_states()
    moment = Moment(market=market, desk=desk, now=now)
    facts: list[Fact] = []
    for identity, request in wanted.items():
        if standing.get(identity, 0) != request.attempt - 1:
            continue
        position = positions[request.position_id]
        ahead = on_the_way.get(position.position_id, NOTHING_ON_THE_WAY)
        if request.execution is not None:
            exit_row = _execute(
                request,
                position=position,
                ahead=ahead,
                account=accounts[position.account_id],
                states=states,
                moment=moment,
            )
            facts.extend([] if exit_row is None else [exit_row])
        elif not ahead.is_unsure:
            facts.append(
                _exit_again(
                    request,
                    position=position,
                    account=accounts[position.account_id],
                    forgotten=ahead.forgotten_exits,
                    states=states,
                    moment=moment,
                )
            )
        elif identity not in standing:
            facts.append(
                defer_exit(
                    position, ASKED_FIRST, signal_id=request.signal_id, share=request.share, moment=moment
                )
            )
    return facts


async def _standing(
    wanted: Mapping[str, ExitRequested], positions: Collection[int], *, books: Books
) -> dict[str, int | None]:
    """Give where each of the orders stands that are there already."""
    of_signals = sorted(identity for identity, one in wanted.items() if one.execution is None)
    standing = dict(await books.open_attempts(of_signals)) if of_signals else {}
    if len(of_signals) < len(wanted):
        standing |= await books.attempts_of_claims(sorted(positions))
    return standing


def _execute(
    request: ExitRequested,
    *,
    position: Position,
    ahead: OnTheWay,
    account: Account,
    states: TradingStates,
    moment: Moment,
) -> OrderPlanned | OrderDenied | None:
    """
    Plan what a stop or a target asks for beside whatever else is on its way: never more than no other exit takes.

    What cannot leave now gives nothing: its claim is looked at again. An order whose attempt died ends then: its claim
    goes on with another.
    """
    assert request.execution is not None
    if ahead.is_unsure:
        return None
    blocked = denial_of_exit(states, account=account, bot_id=position.bot_id, symbol=position.symbol)
    # The attempt that died is among those that leave: the next one takes its place.
    own = request.quantity_max or ZERO if request.attempt > 1 else ZERO
    leaving = position.quantity + own if ahead.leaving is None else ahead.leaving
    quantity = position.quantity - max(ZERO, leaving - own)
    if request.quantity_max is not None:
        quantity = min(quantity, request.quantity_max)
    denial = blocked or (NOTHING_LEFT if quantity <= ZERO else None)
    if denial is not None:
        if request.attempt == 1:
            return None
        return deny_exit(
            position,
            denial=denial,
            signal_id=request.signal_id,
            moment=moment,
            position_id=None if position.quantity == ZERO else position.position_id,
            execution=request.execution,
        )
    return planned_exit(
        position,
        quantity=quantity,
        signal_id=request.signal_id,
        attempt=request.attempt,
        execution=request.execution,
        account=account,
        moment=moment,
    )


def _exit_again(
    request: ExitRequested,
    *,
    position: Position,
    account: Account,
    forgotten: Collection[str],
    states: TradingStates,
    moment: Moment,
) -> OrderPlanned | OrderDenied:
    blocked = denial_of_exit(states, account=account, bot_id=position.bot_id, symbol=position.symbol)
    if blocked is not None:
        # An attempt that died has left its position closing: that is given back, or no other exit would come.
        given_back = position.position_id if request.attempt > 1 else None
        return deny_exit(
            position, denial=blocked, signal_id=request.signal_id, moment=moment, position_id=given_back
        )
    return exit_held(
        position,
        signal_id=request.signal_id,
        attempt=request.attempt,
        share=request.share,
        quantity_max=request.quantity_max,
        forgotten=forgotten,
        account=account,
        moment=moment,
    )
