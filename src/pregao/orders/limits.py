"""What stops an entry on one account: each limit answers with its code and its numbers. Exits know no limits."""

from datetime import datetime

from pregao.domain.account import REAL_VENUES, Account
from pregao.domain.bot import Subscription, SubscriptionStatus
from pregao.domain.market import MarketView
from pregao.domain.order import Side
from pregao.domain.position import Position
from pregao.orders.denial import NO_PRICE, Denial
from pregao.orders.ports import Member


def find_denial(
    member: Member,
    *,
    side: Side,
    send_before: datetime,
    owner: Position | None,
    view: MarketView | None,
    now: datetime,
) -> Denial | None:
    """Give the first limit this entry breaks on this account, None when it breaks none."""
    account, subscription = member.account, member.subscription
    if not account.is_active:
        return Denial(code="ACCOUNT_INACTIVE", reason=f"account={account.name}. Activate it to trade again.")
    if subscription.status is not SubscriptionStatus.ACTIVE:
        return Denial(
            code="SUBSCRIPTION_PAUSED", reason=f"status={subscription.status}. It only closes until resumed."
        )
    if account.venue in REAL_VENUES:
        return Denial(
            code="PROTECTION_UNAVAILABLE",
            reason=f"venue={account.venue}. No stop can guard a position there yet; use a paper or demo account.",
        )
    if now >= send_before:
        return expired(send_before, now=now)
    if owner is not None:
        return _denial_of_owner(owner, subscription=subscription, side=side)
    if member.live_positions >= subscription.max_concurrent_positions:
        return Denial(
            code="POSITIONS_AT_LIMIT",
            reason=f"live_positions={member.live_positions} maximum={subscription.max_concurrent_positions}. "
            "Max concurrent positions reached.",
        )
    if view is None:
        return NO_PRICE
    return _denial_of_instrument(account, view=view)


def _denial_of_owner(owner: Position, *, subscription: Subscription, side: Side) -> Denial:
    values = f"position={owner.position_id} direction={owner.direction} status={owner.status}"
    if owner.subscription_id != subscription.subscription_id:
        return Denial(
            code="SYMBOL_OWNED",
            reason=f"{values} subscription={owner.subscription_id}. Another subscription trades this symbol here.",
        )
    if owner.direction.entry_side is side:
        return Denial(code="SAME_SIDE_OPEN", reason=f"{values}. The position stands; nothing is added.")
    return Denial(
        code="OPPOSITE_SIDE_OPEN", reason=f"{values}. Send close first; reversing is not supported yet."
    )


def _denial_of_instrument(account: Account, *, view: MarketView) -> Denial | None:
    instrument = view.instrument
    if not instrument.is_trading:
        return Denial(
            code="SYMBOL_NOT_TRADING", reason=f"symbol={instrument.symbol}. The venue has halted it."
        )
    if instrument.margin_asset != account.margin_asset:
        return Denial(
            code="MARGIN_ASSET_UNSUPPORTED",
            reason=f"symbol={instrument.symbol} margin_asset={instrument.margin_asset} "
            f"account_margin_asset={account.margin_asset}.",
        )
    return None


def expired(send_before: datetime, *, now: datetime) -> Denial:
    """Give the denial of an entry whose time has run out, with how late it is."""
    late = (now - send_before).total_seconds()
    return Denial(
        code="SIGNAL_EXPIRED",
        reason=f"send_before={send_before.isoformat()} late_seconds={late:.1f}. The price has moved on; nothing was sent.",
    )
