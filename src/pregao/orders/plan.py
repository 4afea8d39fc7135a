"""
Plan who gets which order, and how large; deny what breaks a limit, with the numbers.

Takes DecisionApproved. Gives SignalPlanned, OrderPlanned, OrderDenied, OrderDeferred.
"""

from collections.abc import Sequence
from datetime import datetime

from pregao.domain.facts import DecisionApproved, Fact, OrderDenied, SignalPlanned
from pregao.domain.market import Market
from pregao.domain.signal import Action
from pregao.orders.close import plan_closes
from pregao.orders.enter import plan_entries
from pregao.orders.ports import Books, Desk
from pregao.orders.rows import Moment


async def plan_orders(
    decisions: Sequence[DecisionApproved], *, books: Books, market: Market, desk: Desk, now: datetime
) -> list[Fact]:
    """Give one order or one denial for every account that follows the bot; two where one waits for the other."""
    facts: list[Fact] = []
    moment = Moment(market=market, desk=desk, now=now)
    for decision in decisions:
        plan = plan_entries if decision.instruction.action is Action.ENTER else plan_closes
        planned = await plan(decision, books=books, moment=moment)
        facts.append(
            SignalPlanned(
                happened_at=now,
                signal_id=decision.signal_id,
                bot_id=decision.bot_id,
                accounts=len({row.account_id for row in planned.rows}),
                orders=sum(not isinstance(row, OrderDenied) for row in planned.rows),
            ),
        )
        # Denials last: facts of one kind that stand together are folded in one statement.
        facts.extend(sorted(planned.rows, key=lambda row: isinstance(row, OrderDenied)))
        facts.extend(planned.superseded)
    return facts
