"""
Plan who gets which order, and how large; deny what breaks a limit, with the numbers.

Takes DecisionApproved. Gives SignalPlanned, OrderPlanned, OrderDenied, OrderDeferred.
"""

from collections.abc import AsyncIterator
from datetime import datetime

from pregao.domain.facts import DecisionApproved, Fact, OrderDenied, OrderPlanned, SignalPlanned
from pregao.domain.market import Market
from pregao.domain.signal import Action
from pregao.orders.close import plan_closes
from pregao.orders.enter import plan_entries
from pregao.orders.ports import Books, Desk
from pregao.orders.rows import Moment, OnMistake, Row, tell_nobody


async def plan_orders(
    decision: DecisionApproved,
    *,
    books: Books,
    market: Market,
    desk: Desk,
    now: datetime,
    on_mistake: OnMistake = tell_nobody,
) -> AsyncIterator[list[Fact]]:
    """
    Give one order or one denial for every account that follows the bot; two where one waits for the other.

    The orders come account by account, so that the first can be written while the next are planned; the books are
    not asked any more then. Last comes what waits, what is denied, and how many there are.
    """
    moment = Moment(market=market, desk=desk, now=now, on_mistake=on_mistake)
    plan = plan_entries if decision.instruction.action is Action.ENTER else plan_closes
    accounts: set[int] = set()
    orders = 0
    unsent: list[Row] = []
    async for rows in plan(decision, books=books, moment=moment):
        # The end of what it made useless, another signal's entry that still waited, is not the signal's own.
        own = [row for row in rows if row.signal_id == decision.signal_id]
        accounts.update([row.account_id for row in own])
        orders += sum([not isinstance(row, OrderDenied) for row in own])
        yield [row for row in rows if isinstance(row, OrderPlanned)]
        unsent.extend([row for row in rows if not isinstance(row, OrderPlanned)])
    # Facts of one kind that stand together are folded in one statement.
    unsent.sort(key=lambda row: isinstance(row, OrderDenied))
    yield [
        *unsent,
        SignalPlanned(
            happened_at=now,
            signal_id=decision.signal_id,
            bot_id=decision.bot_id,
            accounts=len(accounts),
            orders=orders,
        ),
    ]
