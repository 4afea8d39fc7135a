"""The rows of a plan: one order, one denial or one order that waits, each as its fact."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias, TypeVar
from uuid import UUID

from pregao.domain.account import Account, Venue
from pregao.domain.desk import Desk
from pregao.domain.facts import DecisionApproved, OrderDeferred, OrderDenied, OrderPlanned
from pregao.domain.instrument import Instrument
from pregao.domain.market import Market, MarketView
from pregao.domain.mistakes import MISTAKES
from pregao.domain.order import Leg, order_id
from pregao.domain.signal import Action
from pregao.orders.denial import Denial
from pregao.orders.ports import Member, WaitingEntry

FAILED = Denial(
    code="DESK_FAILED",
    reason="The desk could not plan this account; nothing was sent. The log has the cause.",
)

TURN = 64  # accounts: about a millisecond

T = TypeVar("T")
Row: TypeAlias = OrderPlanned | OrderDenied | OrderDeferred


OnMistake: TypeAlias = Callable[[int, Exception], None]
"""Is told the account and the mistake, while it is being handled."""


def tell_nobody(_account_id: int, _mistake: Exception) -> None:
    """Keep it to ourselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What every row of a plan is made with: the market as it was seen, who plans, and when."""

    market: Market
    desk: Desk
    now: datetime
    on_mistake: OnMistake = tell_nobody

    def view_of(self, venue: Venue, symbol: str) -> MarketView | None:
        """Give the symbol's price and rules, None where no fresh price was read."""
        return self.market.views.get((venue, symbol))

    def instrument_of(self, venue: Venue, symbol: str) -> Instrument | None:
        """Give the symbol's rules, None where the venue has never told them to this process."""
        view = self.view_of(venue, symbol)
        return view.instrument if view else self.market.instruments.get((venue, symbol))


def plan_alone(
    plan: Callable[[T], list[Row]], one: T, *, account_id: int, failed: Callable[[T], Row], moment: Moment
) -> list[Row]:
    """Give the rows of one account, or that it failed: a mistake about one account must not stop the others."""
    try:
        return plan(one)
    except MISTAKES as mistake:
        moment.on_mistake(account_id, mistake)
        return [failed(one)]


def entry_id(signal_id: UUID, account: Account, *, desk: Desk) -> str:
    """Give the id of a signal's entry on an account: the same for ever, whichever position it opens."""
    return order_id(
        desk_id=desk.desk_id,
        signal_id=signal_id,
        account_id=account.account_id,
        leg=Leg.ENTRY,
        position_id=0,
    )


def deny_member(
    member: Member, denial: Denial, *, decision: DecisionApproved, desk: Desk, now: datetime
) -> OrderDenied:
    """Deny what a signal asks of an account, whatever that account holds."""
    leg = Leg.ENTRY if decision.instruction.action is Action.ENTER else Leg.EXIT
    account_id = member.account.account_id
    return OrderDenied(
        happened_at=now,
        order_id=order_id(
            desk_id=desk.desk_id,
            signal_id=decision.signal_id,
            account_id=account_id,
            leg=leg,
            position_id=0,
        ),
        signal_id=decision.signal_id,
        bot_id=decision.bot_id,
        subscription_id=member.subscription.subscription_id,
        account_id=account_id,
        leg=leg,
        symbol=decision.instruction.symbol or "",
        side=decision.instruction.side,
        position_id=None,
        code=denial.code,
        reason=denial.reason,
    )


def deny_waiting(waiting: WaitingEntry, *, code: str, reason: str, now: datetime) -> OrderDenied:
    """End an entry that waited."""
    return OrderDenied(
        happened_at=now,
        order_id=waiting.order_id,
        signal_id=waiting.signal_id,
        bot_id=waiting.bot_id,
        subscription_id=waiting.subscription_id,
        account_id=waiting.account_id,
        leg=Leg.ENTRY,
        symbol=waiting.symbol,
        side=waiting.side,
        position_id=None,
        code=code,
        reason=reason,
    )


def deny_planned(row: OrderPlanned | OrderDeferred, *, now: datetime) -> OrderDenied:
    """Deny what was planned and could not be written: nothing of it was reserved."""
    return OrderDenied(
        happened_at=now,
        order_id=row.order_id,
        signal_id=row.signal_id,
        bot_id=row.bot_id,
        subscription_id=row.subscription_id,
        account_id=row.account_id,
        leg=row.leg,
        symbol=row.symbol,
        side=row.side,
        position_id=None,
        code=FAILED.code,
        reason=FAILED.reason,
    )


def deny_again(before: OrderPlanned, *, denial: Denial, now: datetime) -> OrderDenied:
    """End an order whose attempt died and that is not to be tried again; its position is given back."""
    return OrderDenied(
        happened_at=now,
        order_id=before.order_id,
        signal_id=before.signal_id,
        bot_id=before.bot_id,
        subscription_id=before.subscription_id,
        account_id=before.account_id,
        leg=before.leg,
        symbol=before.symbol,
        side=before.side,
        position_id=before.position_id,
        code=denial.code,
        reason=denial.reason,
    )


def in_turns(some: Sequence[T]) -> Iterator[Sequence[T]]:
    """Give what is planned without a pause: some of many, then the next."""
    return (some[first : first + TURN] for first in range(0, len(some), TURN))
