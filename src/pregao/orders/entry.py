"""What one account does with an entry: it enters, adds, reverses, waits or is denied, by what it holds already."""

from decimal import Decimal

from pregao.domain.account import EXCHANGES, Account
from pregao.domain.bot import (
    EffectiveSettings,
    OppositeSide,
    SameSide,
    SubscriptionStatus,
)
from pregao.domain.facts import (
    OrderDeferred,
    OrderDenied,
    OrderPlanned,
)
from pregao.domain.market import MarketView
from pregao.domain.money import ZERO
from pregao.domain.order import Leg, PositionMode, PositionSide, Side, client_order_id
from pregao.domain.position import FORWARDED_LEVERAGE, Direction, Position
from pregao.domain.signal import Risked
from pregao.domain.venue import RECV_WINDOW_MS
from pregao.orders.close import plan_close
from pregao.orders.denial import NO_PRICE, Denial
from pregao.orders.limits import (
    denial_of_holding,
    denial_of_instrument,
    denial_of_member,
    denial_of_obstacle,
    denial_of_outage,
    denial_of_range,
    denial_of_short,
)
from pregao.orders.ports import NOTHING_ON_THE_WAY, Member, WaitingEntry
from pregao.orders.risk import denial_of_reward, denial_of_size, reward_of_risked, reward_to_risk
from pregao.orders.rows import Moment, Row, entry_id
from pregao.orders.sizing import FORWARDED_QUANTITY, size_entry, size_risked
from pregao.orders.standing import Asked, Standing, Terms


def takes_part(member: Member, *, asked: Asked, standing: Standing) -> bool:
    """Leave out canceled subscriptions, but for those that hold what the signal goes against: that is still closed."""
    if member.subscription.status is not SubscriptionStatus.CANCELED:
        return True
    own = standing.own.get(member.subscription.subscription_id)
    return own is not None and own.direction.entry_side is not asked.side


def plan_member(one: tuple[Member, int], *, asked: Asked, standing: Standing, moment: Moment) -> list[Row]:
    """Give the rows of one member; beside it stands the id that a new position of it would have."""
    member, new_id = one
    own = standing.own.get(member.subscription.subscription_id) if standing.own else None
    waiting = standing.waiting.get(member.subscription.subscription_id) if standing.waiting else None
    if asked.is_retry and waiting is not None:
        return [deny(member, _newer_waits(waiting), asked=asked, moment=moment)]
    if own is None:
        left = left_to_wait_for(member, asked=asked, standing=standing, moment=moment)
        if left is not None:
            return [_wait_for_line(member, left, asked=asked, moment=moment)]
        return [enter_member(member, asked=asked, standing=standing, moment=moment, position_id=new_id)]
    terms = standing.terms_of(member.subscription, asked=asked)
    settings = terms.settings
    denial = _denial_of_member(
        member, asked=asked, standing=standing, moment=moment
    ) or standing.allowance.denial(member, symbol=asked.symbol, takes_place=False)
    if asked.risk is not None or asked.is_retry:
        return [deny(member, denial or _in_the_way(own, asked), asked=asked, moment=moment)]
    waits = (
        deny(member, denial, asked=asked, moment=moment)
        if denial
        else _wait(member, own, asked=asked, moment=moment)
    )
    if standing.on_the_way.get(own.position_id, NOTHING_ON_THE_WAY).closes_all(own.quantity):
        return [waits]
    values = f"position={own.position_id} direction={own.direction} status={own.status}"
    if own.direction.entry_side is asked.side:
        if settings.same_side is SameSide.IGNORE:
            stands = Denial(code="SAME_SIDE_OPEN", reason=f"{values}. The position stands; nothing is added.")
            return [deny(member, denial or stands, asked=asked, moment=moment)]
        if denial is not None:
            return [waits]
        if settings.same_side is SameSide.ADD:
            return [_add(member, own, asked=asked, standing=standing, moment=moment)]
        vain = _denial_of_place(member, asked=asked, standing=standing) or _fit(
            member, terms, asked=asked, standing=standing, moment=moment
        )
        if isinstance(vain, Denial):
            return [deny(member, vain, asked=asked, moment=moment)]  # nothing could take its place
        return [_close(member, own, asked=asked, standing=standing, moment=moment), waits]
    if settings.opposite_side is OppositeSide.IGNORE:
        stands = Denial(
            code="OPPOSITE_SIDE_OPEN", reason=f"{values}. The position stands; nothing is reversed."
        )
        return [deny(member, denial or stands, asked=asked, moment=moment)]
    exit_row = _close(member, own, asked=asked, standing=standing, moment=moment)
    if member.account.venue not in EXCHANGES:
        return [exit_row]  # nothing is sold there that is not held: there is nothing to reverse to
    return [exit_row, waits] if settings.opposite_side is OppositeSide.REVERSE else [exit_row]


def left_to_wait_for(member: Member, *, asked: Asked, standing: Standing, moment: Moment) -> int | None:
    """Give the flat position of which something may still trade where the entry would; None where it is denied."""
    if not standing.obstacles.leaving:
        return None
    place = member.account.account_id, _position_side(member.account, asked.side)
    left = standing.obstacles.leaving.get(place)
    if left is None or _denial(member, asked=asked, standing=standing, moment=moment, is_new=True):
        return None
    return left


def _in_the_way(own: Position, asked: Asked) -> Denial:
    """Say what a trade by hand or a retry has met: it was asked for an account that is flat, so it neither adds nor reverses."""
    code = "SAME_SIDE_OPEN" if own.direction.entry_side is asked.side else "OPPOSITE_SIDE_OPEN"
    values = f"position={own.position_id} direction={own.direction} status={own.status}"
    return Denial(
        code=code,
        reason=f"{values}. The position stands; close it before another is opened by hand."
        if asked.risk is not None
        else f"{values}. It was opened meanwhile and stands; a retry neither adds nor reverses.",
    )


def _newer_waits(waiting: WaitingEntry) -> Denial:
    return Denial(
        code="ORDER_IN_FLIGHT",
        reason=f"signal={waiting.signal_id}. Its entry waits for its turn here; a retry does not take its place.",
    )


def _close(member: Member, own: Position, *, asked: Asked, standing: Standing, moment: Moment) -> Row:
    return plan_close(
        own,
        signal_id=asked.signal_id,
        share=None,
        on_the_way=standing.on_the_way.get(own.position_id, NOTHING_ON_THE_WAY),
        account=member.account,
        states=standing.states,
        moment=moment,
    )


def _add(
    member: Member, own: Position, *, asked: Asked, standing: Standing, moment: Moment
) -> OrderPlanned | OrderDenied:
    if standing.on_the_way.get(own.position_id, NOTHING_ON_THE_WAY).has_orders:
        busy = Denial(
            code="ORDER_IN_FLIGHT",
            reason=f"position={own.position_id} status={own.status}. It is added to when nothing is on its way.",
        )
        return deny(member, busy, asked=asked, moment=moment)
    added = enter_member(
        member, asked=asked, standing=standing, moment=moment, position_id=own.position_id, is_new=False
    )
    instrument = moment.instrument_of(member.account.venue, asked.symbol)
    if isinstance(added, OrderPlanned) and instrument is not None:
        too_large = denial_of_holding(own.quantity, added=added.quantity, instrument=instrument)
        if too_large is not None:
            return deny(member, too_large, asked=asked, moment=moment)
    return added


def enter_member(
    member: Member,
    *,
    asked: Asked,
    standing: Standing,
    moment: Moment,
    position_id: int,
    is_new: bool = True,
) -> OrderPlanned | OrderDenied:
    """Plan an entry, into a new position or one that is there, or deny it."""
    account = member.account
    view = moment.view_of(account.venue, asked.symbol)
    terms = standing.terms_of(member.subscription, asked=asked)
    quantity = _denial(member, asked=asked, standing=standing, moment=moment, is_new=is_new) or (
        _fit(member, terms, asked=asked, standing=standing, moment=moment)
    )
    if isinstance(quantity, Denial):
        return deny(member, quantity, asked=asked, moment=moment)
    price = None if view is None else view.quote.last_price
    assert price is not None or account.venue not in EXCHANGES, "what has a size had a price"
    if is_new:
        standing.allowance.take(member, symbol=asked.symbol)
    settings = terms.settings
    identity = entry_id(asked.signal_id, account, desk=moment.desk)
    return OrderPlanned(
        happened_at=moment.now,
        order_id=identity,
        attempt=1,
        client_order_id=client_order_id(identity, attempt=1),
        signal_id=asked.signal_id,
        bot_id=asked.bot.bot_id,
        subscription_id=member.subscription.subscription_id,
        account_id=account.account_id,
        venue=account.venue,
        leg=Leg.ENTRY,
        position_id=position_id,
        symbol=asked.symbol,
        side=asked.side,
        position_side=_position_side(account, asked.side),
        quantity=quantity,
        reduce_only=False,
        leverage=FORWARDED_LEVERAGE if account.venue not in EXCHANGES else settings.leverage,
        margin_mode=account.margin_mode,
        margin_usd=_margin(settings, asked.risk, quantity=quantity, price=price),
        decision_price=price,
        send_before=asked.send_before,
        signed_at_ms=moment.market.venue_now_ms[account.venue],
        recv_window_ms=RECV_WINDOW_MS,
        owner=moment.desk.owner,
        lease_epoch=moment.desk.lease_epoch,
    )


def _margin(
    settings: EffectiveSettings, risk: Risked | None, *, quantity: Decimal, price: Decimal | None
) -> Decimal | None:
    if price is None:
        return None  # what a destination pays with is not ours to know
    return settings.margin_usd if risk is None else quantity * price / settings.leverage


def _denial(
    member: Member, *, asked: Asked, standing: Standing, moment: Moment, is_new: bool
) -> Denial | None:
    """Give the first thing that keeps this account from entering now."""
    denial = _denial_of_member(member, asked=asked, standing=standing, moment=moment) or denial_of_short(
        member.account, side=asked.side, symbol=asked.symbol
    )
    if denial is not None:
        return denial
    owner = (
        standing.owners.get((member.account.account_id, _position_side(member.account, asked.side)))
        if is_new and standing.owners
        else None
    )
    if owner is not None:
        return Denial(
            code="SYMBOL_OWNED",
            reason=f"position={owner.position_id} direction={owner.direction} status={owner.status} "
            f"subscription={owner.subscription_id}. Another subscription trades this symbol here.",
        )
    denial = _denial_of_place(member, asked=asked, standing=standing)
    return denial or standing.allowance.denial(member, symbol=asked.symbol, takes_place=is_new)


def _denial_of_member(member: Member, *, asked: Asked, standing: Standing, moment: Moment) -> Denial | None:
    return denial_of_member(
        member,
        bot=asked.bot,
        symbol=asked.symbol,
        states=standing.states,
        send_before=asked.send_before,
        now=moment.now,
    )


def _denial_of_place(member: Member, *, asked: Asked, standing: Standing) -> Denial | None:
    if standing.obstacles.is_clear:
        return None
    return denial_of_obstacle(
        standing.obstacles,
        account_id=member.account.account_id,
        subscription_id=member.subscription.subscription_id,
        symbol=asked.symbol,
        position_side=_position_side(member.account, asked.side),
    )


def _fit(
    member: Member, terms: Terms, *, asked: Asked, standing: Standing, moment: Moment
) -> Decimal | Denial:
    """Give how much to trade, within the rules of what one position may be worth and has to aim for."""
    account = member.account
    held = standing.own.get(member.subscription.subscription_id) if standing.own else None
    if held is not None:
        return _fitted(account, held, settings=terms.settings, asked=asked, moment=moment)
    alike = account.venue, account.margin_asset
    quantity = terms.sizes.get(alike)
    if quantity is None:
        quantity = _fitted(account, None, settings=terms.settings, asked=asked, moment=moment)
        terms.sizes[alike] = quantity
    return quantity


def _fitted(
    account: Account, held: Position | None, *, settings: EffectiveSettings, asked: Asked, moment: Moment
) -> Decimal | Denial:
    rules = settings.risk
    quantity = (
        _sized(account, settings, symbol=asked.symbol, moment=moment)
        if asked.risk is None
        else _size_risked(account, asked.risk, asked=asked, moment=moment)
    )
    view = moment.view_of(account.venue, asked.symbol)
    if isinstance(quantity, Denial) or account.venue not in EXCHANGES or view is None:
        return quantity
    price = view.quote.last_price
    adds = held is not None and held.direction.entry_side is asked.side and settings.same_side is SameSide.ADD
    together = quantity + (held.quantity if held is not None and adds else ZERO)
    reward = (
        reward_to_risk(
            settings, venue=account.venue, symbol=asked.symbol, price=price, ranges=moment.market.ranges
        )
        if asked.risk is None
        else reward_of_risked(asked.risk, price=price)
    )
    return (
        denial_of_size(rules, quantity=together, price=price) or denial_of_reward(rules, reward) or quantity
    )


def _sized(account: Account, settings: EffectiveSettings, *, symbol: str, moment: Moment) -> Decimal | Denial:
    if account.venue not in EXCHANGES:
        return FORWARDED_QUANTITY
    unmeasured = denial_of_range(settings, market=moment.market, venue=account.venue, symbol=symbol)
    return unmeasured or _size(account, settings, symbol=symbol, moment=moment)


def _size(account: Account, settings: EffectiveSettings, *, symbol: str, moment: Moment) -> Decimal | Denial:
    view = _view(account, symbol=symbol, moment=moment)
    if isinstance(view, Denial):
        return view
    return size_entry(
        margin_usd=settings.margin_usd,
        leverage=settings.leverage,
        price=view.quote.last_price,
        instrument=view.instrument,
    )


def _size_risked(account: Account, risk: Risked, *, asked: Asked, moment: Moment) -> Decimal | Denial:
    view = _view(account, symbol=asked.symbol, moment=moment)
    if isinstance(view, Denial):
        return view
    return size_risked(risk, side=asked.side, price=view.quote.last_price, instrument=view.instrument)


def _view(account: Account, *, symbol: str, moment: Moment) -> MarketView | Denial:
    """Give the symbol and its price where the account may enter it, or why it may not."""
    outage = denial_of_outage(moment.market, venue=account.venue, symbol=symbol)
    if outage is not None:
        return outage
    view = moment.view_of(account.venue, symbol)
    if view is None:
        return NO_PRICE
    return denial_of_instrument(account, view=view) or view


def _position_side(account: Account, side: Side) -> PositionSide:
    if account.position_mode is PositionMode.ONE_WAY:
        return PositionSide.BOTH
    return PositionSide.LONG if Direction.of_entry(side) is Direction.LONG else PositionSide.SHORT


def deny(member: Member, denial: Denial, *, asked: Asked, moment: Moment) -> OrderDenied:
    """Deny what was asked of a member."""
    return OrderDenied(
        happened_at=moment.now,
        order_id=entry_id(asked.signal_id, member.account, desk=moment.desk),
        signal_id=asked.signal_id,
        bot_id=asked.bot.bot_id,
        subscription_id=member.subscription.subscription_id,
        account_id=member.account.account_id,
        leg=Leg.ENTRY,
        symbol=asked.symbol,
        side=asked.side,
        position_id=None,
        code=denial.code,
        reason=denial.reason,
    )


def _wait(member: Member, own: Position, *, asked: Asked, moment: Moment) -> OrderDeferred:
    reason = (
        f"position={own.position_id} direction={own.direction}. It is closed first; then this is entered."
    )
    return _defer(member, own.position_id, code="EXIT_ON_ITS_WAY", reason=reason, asked=asked, moment=moment)


def _wait_for_line(member: Member, left: int, *, asked: Asked, moment: Moment) -> OrderDeferred:
    reason = f"position={left}. It is flat, and what may still trade of it ends first; then this is entered."
    return _defer(member, left, code="PROTECTION_STANDS", reason=reason, asked=asked, moment=moment)


def _defer(
    member: Member, position_id: int, *, code: str, reason: str, asked: Asked, moment: Moment
) -> OrderDeferred:
    return OrderDeferred(
        happened_at=moment.now,
        order_id=entry_id(asked.signal_id, member.account, desk=moment.desk),
        signal_id=asked.signal_id,
        bot_id=asked.bot.bot_id,
        subscription_id=member.subscription.subscription_id,
        account_id=member.account.account_id,
        symbol=asked.symbol,
        position_id=position_id,
        leg=Leg.ENTRY,
        side=asked.side,
        send_before=asked.send_before,
        code=code,
        reason=reason,
    )
