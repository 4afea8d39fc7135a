"""What positions and open orders bind of a wallet, and how much is left; all in the margin asset."""

from dataclasses import dataclass
from decimal import Decimal

from pregao.domain.money import ONE, ZERO, to_amount
from pregao.domain.order import PositionMode, PositionSide, Side
from pregao.domain.venue import MarginMode
from pregao.simulation.books import Account, Position
from pregao.simulation.floor import Floor


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One position at the current mark, with the orders that could make it larger."""

    position: Position
    is_isolated: bool
    notional: Decimal  # signed
    unrealized_pnl: Decimal
    position_margin: Decimal
    order_margin: Decimal
    maintenance_margin: Decimal
    bid_notional: Decimal
    ask_notional: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The whole account at the current marks."""

    standings: tuple[Standing, ...]
    wallet: Decimal
    cross_wallet: Decimal
    unrealized_pnl: Decimal
    cross_unrealized_pnl: Decimal
    position_margin: Decimal
    order_margin: Decimal
    maintenance_margin: Decimal
    cross_maintenance_margin: Decimal
    available: Decimal


def find_standing(floor: Floor, account: Account, position: Position) -> Standing:
    """Value one position and the open orders of its symbol and side."""
    listing = floor.listings[position.symbol]
    mark = floor.quote(position.symbol).mark
    leverage = account.leverage_of(position.symbol)
    notional = position.quantity * mark
    bids, asks = order_notionals(account, position)
    bound = max(abs(notional + bids), abs(notional - asks), abs(notional)) / leverage
    position_margin = abs(notional) / leverage
    bracket = listing.bracket_of(abs(notional))
    return Standing(
        position=position,
        is_isolated=account.margin_mode_of(position.symbol) is MarginMode.ISOLATED,
        notional=notional,
        unrealized_pnl=to_amount(notional - position.cost),
        position_margin=to_amount(position_margin),
        order_margin=to_amount(bound - position_margin),
        maintenance_margin=to_amount(
            abs(notional) * bracket.maintenance_ratio - bracket.maintenance_deduction
        )
        if notional
        else ZERO,
        bid_notional=bids,
        ask_notional=asks,
    )


def order_notionals(account: Account, position: Position) -> tuple[Decimal, Decimal]:
    """Give what the open orders of a position would buy and sell, at their limits; reducing ones bind nothing."""
    bids = asks = ZERO
    for order in account.find_open_orders(position.symbol) if account.open_orders else ():
        if order.position_side is not position.position_side or order.reduce_only:
            continue
        if order.side is Side.BUY:
            bids += order.quantity_left * order.limit_price
        else:
            asks += order.quantity_left * order.limit_price
    return bids, asks


def summarize(floor: Floor, account: Account) -> Summary:
    """Value the whole account; positions that are flat and have no orders are left out."""
    standings = tuple(
        standing
        for position in account.positions.values()
        if (standing := find_standing(floor, account, position)).notional or standing.order_margin
    )
    crossed = [standing for standing in standings if not standing.is_isolated]
    isolated_wallets = sum((position.isolated_wallet for position in account.positions.values()), ZERO)
    cross_wallet = account.wallet - isolated_wallets
    cross_pnl = sum((standing.unrealized_pnl for standing in crossed), ZERO)
    order_margin = sum((standing.order_margin for standing in standings), ZERO)
    bound = sum((standing.position_margin for standing in crossed), ZERO) + order_margin
    return Summary(
        standings=standings,
        wallet=account.wallet,
        cross_wallet=cross_wallet,
        unrealized_pnl=sum((standing.unrealized_pnl for standing in standings), ZERO),
        cross_unrealized_pnl=cross_pnl,
        position_margin=sum((standing.position_margin for standing in standings), ZERO),
        order_margin=order_margin,
        maintenance_margin=sum((standing.maintenance_margin for standing in standings), ZERO),
        cross_maintenance_margin=sum((standing.maintenance_margin for standing in crossed), ZERO),
        available=max(cross_wallet + cross_pnl - bound, ZERO),
    )


def added_margin(
    floor: Floor, account: Account, *, position: Position, signed: Decimal, price: Decimal
) -> Decimal:
    """Give how much more initial margin an order of ``signed`` quantity at ``price`` would bind; never below 0."""
    mark = floor.quote(position.symbol).mark
    notional = position.quantity * mark
    bids, asks = order_notionals(account, position)
    before = max(abs(notional + bids), abs(notional - asks))
    if signed > ZERO:
        bids += signed * price
    else:
        asks -= signed * price
    after = max(abs(notional + bids), abs(notional - asks))
    return max(after - before, ZERO) / account.leverage_of(position.symbol)


def liquidation_price(summary: Summary, standing: Standing, *, maintenance_ratio: Decimal) -> Decimal:
    """Give the mark at which this position would be liquidated, all else unchanged; 0 when there is none."""
    position = standing.position
    if not position.quantity:
        return ZERO
    if standing.is_isolated:
        cushion = position.isolated_wallet
    else:
        others = summary.cross_unrealized_pnl - standing.unrealized_pnl
        others -= summary.cross_maintenance_margin - standing.maintenance_margin
        cushion = summary.cross_wallet + others
    # cushion + quantity * price - cost = |quantity| * price * ratio, solved for the price
    divisor = position.quantity - abs(position.quantity) * maintenance_ratio
    price = (position.cost - cushion) / divisor if divisor else ZERO
    return max(price, ZERO)


def break_even_price(position: Position) -> Decimal:
    """Give the price at which closing pays back the commission of opening."""
    if not position.quantity:
        return ZERO
    return (position.cost + position.commission) / position.quantity


def closes(account: Account, *, side: Side, position_side: PositionSide) -> bool:
    """Whether an order of hedge mode makes its position smaller."""
    if account.position_mode is not PositionMode.HEDGE:
        return False
    return (position_side is PositionSide.LONG) == (side is Side.SELL)


def sign_of(side: Side) -> Decimal:
    """Give 1 for a buy and -1 for a sell."""
    return ONE if side is Side.BUY else -ONE
