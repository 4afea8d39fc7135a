"""
The paper exchange: a matching engine without a clock, a wire or a disk.

Takes commands (``commands.py``), each with its time; changes the books (``books.py``) and tells events
(``events.py``). The same commands in the same order always give the same books.
"""

import hashlib
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, overload

from pregao.domain.order import PositionMode
from pregao.simulation import conditional, orders, risk
from pregao.simulation.books import Account, AlgoOrder, Books, Order, Quote
from pregao.simulation.commands import (
    CancelAlgo,
    CancelAllAlgos,
    CancelAllOrders,
    CancelOrder,
    CloseStream,
    Command,
    ModifyOrder,
    MovePrice,
    OpenAccount,
    OpenStream,
    PassTime,
    PlaceAlgo,
    PlaceOrder,
    SetCountdown,
    SetLeverage,
    SetMarginMode,
    SetPositionMode,
    SetRights,
    SpoilTrigger,
)
from pregao.simulation.events import AccountTold, Event, LeverageTold
from pregao.simulation.fills import book_income
from pregao.simulation.floor import Floor
from pregao.simulation.instruments import LISTINGS, Listing
from pregao.simulation.refusals import ExchangeError

LISTEN_KEY_MS = 3_600_000


def _ignore(_: Event) -> None:
    return None


class Exchange:
    """Accounts, orders and positions over a set of listed contracts."""

    def __init__(
        self,
        books: Books | None = None,
        *,
        listings: Mapping[str, Listing] = LISTINGS,
        tell: Callable[[Event], None] = _ignore,
    ) -> None:
        """Open with the given books, or with empty ones."""
        self.floor = Floor(books=books if books is not None else Books(), listings=dict(listings), tell=tell)

    @property
    def books(self) -> Books:
        """Everything that is remembered."""
        return self.floor.books

    @property
    def changes(self) -> int:
        """A count that grows whenever something besides a price changed."""
        return self.floor.changes

    def listen(self, tell: Callable[[Event], None]) -> None:
        """Tell events to somebody else from now on."""
        self.floor.tell = tell

    def find_due(self, quote: Quote) -> list[tuple[str, AlgoOrder]]:
        """Give the conditional orders that a price would trigger, each with its account's key; nothing changes."""
        return conditional.find_due(self.floor, quote)

    @overload
    def execute(self, command: PlaceOrder | ModifyOrder | CancelOrder) -> Order: ...
    @overload
    def execute(self, command: PlaceAlgo | CancelAlgo) -> AlgoOrder: ...
    @overload
    def execute(self, command: OpenAccount | OpenStream) -> Account: ...
    @overload
    def execute(self, command: Command) -> object: ...
    def execute(self, command: Command) -> object:
        """
        Carry out one command and give what it made.

        :raises ExchangeError: when it is refused; nothing has changed then.
        """
        return _ACTS[type(command)](self.floor, command)


def _open_account(floor: Floor, command: OpenAccount) -> Account:
    found = floor.books.accounts.get(command.key)
    if found is not None:
        if found.secret is None and command.secret is not None:
            floor.changes += 1
            found.secret = command.secret  # opened by an unknown key, registered afterwards
        return found
    account = Account(
        key=command.key,
        secret=command.secret,
        wallet=Decimal(0),
        opened_ms=command.at_ms,
        position_mode=command.position_mode,
    )
    floor.books.accounts[command.key] = account
    book_income(floor, account, kind="TRANSFER", amount=command.balance, at_ms=command.at_ms)
    return account


def _set_leverage(floor: Floor, command: SetLeverage) -> Account:
    account, listing = floor.account(command.key), floor.listing(command.symbol)
    if not 1 <= command.leverage <= listing.brackets[0].leverage_max:
        raise ExchangeError(-4028, command.leverage)
    notional = max(
        (
            abs(position.quantity) * floor.quote(command.symbol).mark
            for position in account.positions.values()
            if position.symbol == command.symbol
        ),
        default=Decimal(0),
    )
    if notional > listing.notional_max_at(command.leverage):
        raise ExchangeError(-2027)
    floor.changes += 1
    is_new = account.leverage_of(command.symbol) != command.leverage
    account.leverages[command.symbol] = command.leverage
    if is_new:
        floor.tell(
            LeverageTold(
                account=account, symbol=command.symbol, leverage=command.leverage, at_ms=command.at_ms
            )
        )
    return account


def _set_margin_mode(floor: Floor, command: SetMarginMode) -> Account:
    account, listing = floor.account(command.key), floor.listing(command.symbol)
    if account.margin_mode_of(listing.symbol) is command.margin_mode:
        raise ExchangeError(-4046)
    if account.find_open_orders(command.symbol):
        raise ExchangeError(-4047)
    mine = [position for position in account.positions.values() if position.symbol == command.symbol]
    if any(position.quantity for position in mine):
        raise ExchangeError(-4048)
    floor.changes += 1
    account.margin_modes[command.symbol] = command.margin_mode
    floor.tell(
        AccountTold(
            account=account,
            reason="MARGIN_TYPE_CHANGE",
            positions=tuple(mine),
            at_ms=command.at_ms,
        )
    )
    return account


def _set_position_mode(floor: Floor, command: SetPositionMode) -> Account:
    account = floor.account(command.key)
    if account.position_mode is command.position_mode:
        raise ExchangeError(-4059)
    if account.open_orders or account.open_algos:
        raise ExchangeError(-4067)
    if any(position.quantity for position in account.positions.values()):
        raise ExchangeError(-4068)
    floor.changes += 1
    account.position_mode = PositionMode(command.position_mode)
    account.positions.clear()
    return account


def _set_rights(floor: Floor, command: SetRights) -> Account:
    account = floor.account(command.key)
    floor.changes += 1
    account.rights, account.may_trade = command.rights, command.may_trade
    return account


def _set_countdown(floor: Floor, command: SetCountdown) -> Account:
    account, listing = floor.account(command.key), floor.listing(command.symbol)
    floor.changes += 1
    if command.countdown_ms:
        account.countdowns[listing.symbol] = command.at_ms + command.countdown_ms
    else:
        account.countdowns.pop(listing.symbol, None)
    return account


def _open_stream(floor: Floor, command: OpenStream) -> Account:
    account = floor.account(command.key)
    floor.changes += 1
    if not account.listen_key:
        account.listen_keys_made += 1
        words = f"{account.key}/{account.secret}/{account.listen_keys_made}"
        account.listen_key = hashlib.sha256(words.encode()).hexdigest()
    account.listen_key_until_ms = command.at_ms + LISTEN_KEY_MS
    return account


def _close_stream(floor: Floor, command: CloseStream) -> Account:
    account = floor.account(command.key)
    floor.changes += 1
    account.listen_key = ""
    return account


def _move_price(floor: Floor, command: MovePrice) -> Quote:
    quote = command.quote
    floor.books.quotes[quote.symbol] = quote
    floor.books.trade_ids[quote.symbol] = max(quote.trade_id, floor.books.trade_ids.get(quote.symbol, 0))
    orders.fill_resting(floor, quote.symbol, at_ms=quote.at_ms)
    conditional.wake_conditionals(floor, quote.symbol, at_ms=quote.at_ms)
    return quote


def _pass_time(floor: Floor, command: PassTime) -> int:
    risk.pass_deadlines(floor, at_ms=command.at_ms)
    risk.settle_funding(floor, rate=command.funding_rate, at_ms=command.at_ms)
    risk.review_accounts(floor, at_ms=command.at_ms)
    return command.at_ms


_ACTS: Final[dict[type, Callable[[Floor, Any], object]]] = {
    OpenAccount: _open_account,
    PlaceOrder: orders.place_order,
    ModifyOrder: orders.modify_order,
    CancelOrder: orders.cancel_order,
    CancelAllOrders: orders.cancel_all_orders,
    PlaceAlgo: conditional.place_algo,
    CancelAlgo: conditional.cancel_algo,
    CancelAllAlgos: conditional.cancel_all_algos,
    SpoilTrigger: conditional.spoil_trigger,
    SetLeverage: _set_leverage,
    SetMarginMode: _set_margin_mode,
    SetPositionMode: _set_position_mode,
    SetRights: _set_rights,
    SetCountdown: _set_countdown,
    OpenStream: _open_stream,
    CloseStream: _close_stream,
    MovePrice: _move_price,
    PassTime: _pass_time,
}
