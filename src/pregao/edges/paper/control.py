"""
The control paths of the paper exchange: accounts, books, prices, faults, health. From this machine only.

They exist beside the venue's protocol, for the desk that sets it up and for whoever compares its books.
"""

from collections.abc import Callable
from dataclasses import fields
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address
from typing import Any, Final

import msgspec

from pregao.domain.money import to_text
from pregao.domain.order import PositionMode, Side
from pregao.edges.paper.broadcast import Broadcast
from pregao.edges.paper.venue import BALANCE_DEFAULT, Venue
from pregao.simulation.books import Account, AlgoOrder, Fill, Order, Position, Rights
from pregao.simulation.commands import OpenAccount, SetPositionMode, SetRights
from pregao.simulation.faults import fault_from, read_faults
from pregao.simulation.market import RecordedTape, Tick
from pregao.simulation.refusals import ExchangeError

CONTROL_PREFIX: Final = "/paper/"
Answer = tuple[int, Any]


class Control:
    """Answers ``/paper/...``."""

    def __init__(self, venue: Venue, broadcast: Broadcast, *, seed: int) -> None:
        """Stand beside a running exchange."""
        self._venue = venue
        self._broadcast = broadcast
        self._seed = seed
        self._acts: dict[tuple[str, str], Callable[[dict[str, Any]], Answer]] = {
            ("GET", "/paper/health"): self._health,
            ("GET", "/paper/books"): self._books,
            ("POST", "/paper/accounts"): self._open_account,
            ("POST", "/paper/rights"): self._set_rights,
            ("POST", "/paper/position-mode"): self._set_position_mode,
            ("POST", "/paper/prices"): self._set_price,
            ("POST", "/paper/play"): self._play,
            ("GET", "/paper/faults"): self._show_faults,
            ("POST", "/paper/faults"): self._set_faults,
        }

    def answer(self, method: str, path: str, *, address: str, query: dict[str, str], body: bytes) -> Answer:
        """Give the status and the body of the answer."""
        if not is_loopback(address):
            return _refusal(
                403, "ADDRESS_REFUSED", f"address={address}. Control paths answer this machine only."
            )
        act = self._acts.get((method, path))
        if act is None:
            return _refusal(404, "PATH_UNKNOWN", f"method={method} path={path}")
        try:
            asked = msgspec.json.decode(body, type=dict[str, Any]) if body else {}
            return act({**query, **asked})
        except (msgspec.DecodeError, ValueError, InvalidOperation, KeyError, TypeError) as fault:
            return _refusal(400, "REQUEST_MALFORMED", str(fault))

    def _health(self, _: dict[str, Any]) -> Answer:
        return 200, {
            "status": "ok",
            "market": self._venue.market.label,
            "symbols": list(self._venue.books.quotes),
            "accounts": len(self._venue.books.accounts),
            "seed": self._seed,
        }

    def _books(self, asked: dict[str, Any]) -> Answer:
        accounts = self._venue.books.accounts
        keys = [asked["key"]] if asked.get("key") else list(accounts)
        return 200, {key: _account_books(accounts[key]) for key in keys if key in accounts}

    def _open_account(self, asked: dict[str, Any]) -> Answer:
        key, secret = str(asked["key"]), str(asked["secret"])
        balance = Decimal(str(asked.get("balance", BALANCE_DEFAULT)))
        mode = PositionMode(asked.get("position_mode", PositionMode.ONE_WAY))
        if not key or not secret or not balance.is_finite() or balance < 0:
            return _refusal(400, "ACCOUNT_MALFORMED", "key, secret and a balance of at least 0 are needed")
        known = self._venue.books.accounts.get(key)
        if known is not None and known.secret not in {None, secret}:
            return _refusal(409, "SECRET_DIFFERS", "the key is registered with another secret")
        account = self._venue.execute(
            OpenAccount(
                at_ms=self._venue.now_ms(), key=key, secret=secret, balance=balance, position_mode=mode
            )
        )
        return 200, {
            "key": account.key,
            "created": known is None,
            "wallet_balance": to_text(account.wallet),
            "position_mode": account.position_mode.value,
        }

    def _set_rights(self, asked: dict[str, Any]) -> Answer:
        key = str(asked.pop("key"))
        account = self._venue.books.accounts.get(key)
        if account is None:
            return _unknown_key()
        may_trade = bool(asked.pop("may_trade", account.may_trade))
        rights = msgspec.convert(msgspec.to_builtins(account.rights) | asked, Rights)
        unknown = sorted(asked.keys() - {field.name for field in fields(Rights)})
        if unknown:
            return _refusal(400, "REQUEST_MALFORMED", f"unknown={','.join(unknown)}")
        self._venue.execute(
            SetRights(at_ms=self._venue.now_ms(), key=key, rights=rights, may_trade=may_trade)
        )
        return 200, {"key": key, "may_trade": may_trade, **msgspec.to_builtins(rights)}

    def _set_position_mode(self, asked: dict[str, Any]) -> Answer:
        """Do what the account's owner does by hand, past the desk."""
        key, mode = str(asked["key"]), PositionMode(asked["position_mode"])
        if key not in self._venue.books.accounts:
            return _unknown_key()
        try:
            self._venue.execute(SetPositionMode(at_ms=self._venue.now_ms(), key=key, position_mode=mode))
        except ExchangeError as refusal:
            return _refusal(409, "POSITION_MODE_REFUSED", f"code={refusal.code} {refusal.message}")
        return 200, {"key": key, "position_mode": mode.value}

    def _set_price(self, asked: dict[str, Any]) -> Answer:
        symbol, price = str(asked["symbol"]), Decimal(str(asked["price"]))
        listing = self._venue.listings.get(symbol)
        if listing is None or not price.is_finite() or price <= 0:
            return _refusal(400, "PRICE_MALFORMED", f"symbol={symbol} price={price}")
        tick = Tick(
            symbol=symbol,
            price=price,
            quantity=Decimal(str(asked.get("quantity", listing.instrument.quantity_min))),
            taker=Side(asked.get("taker", Side.BUY)),
            at_ms=self._venue.now_ms(),
        )
        mark = Decimal(str(asked["mark"])) if asked.get("mark") is not None else None
        quote = self._venue.move_price(tick, mark=mark)
        self._venue.pass_time(tick.at_ms)
        self._broadcast.trade(quote)
        self._broadcast.round({symbol}, at_ms=tick.at_ms)
        return 200, {
            "symbol": symbol,
            "bid": to_text(quote.bid),
            "ask": to_text(quote.ask),
            "last": to_text(quote.last),
            "mark": to_text(quote.mark),
        }

    def _play(self, _: dict[str, Any]) -> Answer:
        market, now_ms = self._venue.market, self._venue.now_ms()
        if not isinstance(market, RecordedTape) or not market.play(now_ms):
            return _refusal(409, "TAPE_NOT_HELD", f"market={market.label}. No tape waits to be played.")
        return 200, {"playing_at_ms": now_ms}

    def _show_faults(self, _: dict[str, Any]) -> Answer:
        return 200, {
            "faults": [fault.to_dict() for fault in self._venue.faults.active],
            "outages_ms": [list(one) for one in self._venue.outages],
        }

    def _set_faults(self, asked: dict[str, Any]) -> Answer:
        wanted = asked.get("faults", [])
        if isinstance(wanted, str):
            faults = read_faults(wanted)
        else:
            faults = [
                fault_from(fault["kind"], {name: value for name, value in fault.items() if name != "kind"})
                for fault in wanted
            ]
        self._venue.faults.replace(faults)
        self._venue.come_back()
        return self._show_faults(asked)


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own; an empty one is a unix socket's."""
    return not address or ip_address(address).is_loopback


def _refusal(status: int, code: str, message: str) -> Answer:
    return status, {"error": {"code": code, "message": f"{code}: {message}", "details": None}}


def _unknown_key() -> Answer:
    return _refusal(404, "KEY_UNKNOWN", "no account has this key")


def _account_books(account: Account) -> dict[str, Any]:
    return {
        "wallet_balance": to_text(account.wallet),
        "position_mode": account.position_mode.value,
        "positions": [
            _position_row(position) for position in account.positions.values() if position.quantity
        ],
        "orders": [_order_row(order) for order in account.orders.values()],
        "algo_orders": [_algo_row(algo) for algo in account.algos.values()],
        "fills": [_fill_row(fill) for fill in account.fills],
        "incomes": [
            {"type": income.kind, "amount": to_text(income.amount), "symbol": income.symbol}
            for income in account.incomes
            if income.kind not in {"COMMISSION", "REALIZED_PNL"}
        ],
    }


def _position_row(position: Position) -> dict[str, Any]:
    return {
        "symbol": position.symbol,
        "position_side": position.position_side.value,
        "quantity": to_text(position.quantity),
        "entry_price": to_text(position.entry_price),
        "realized_pnl": to_text(position.realized_pnl),
    }


def _order_row(order: Order) -> dict[str, Any]:
    return {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "position_side": order.position_side.value,
        "type": order.kind.value,
        "status": order.status.value,
        "quantity": to_text(order.quantity),
        "filled_quantity": to_text(order.filled_quantity),
        "reduce_only": order.reduce_only,
        "algo_id": order.algo_id,
        "created_ms": order.created_ms,
    }


def _algo_row(algo: AlgoOrder) -> dict[str, Any]:
    return {
        "algo_id": algo.algo_id,
        "client_algo_id": algo.client_algo_id,
        "symbol": algo.symbol,
        "side": algo.side.value,
        "position_side": algo.position_side.value,
        "type": algo.kind.value,
        "status": algo.status.value,
        "quantity": to_text(algo.quantity),
        "trigger_price": to_text(algo.trigger_price),
        "close_position": algo.close_position,
        "reduce_only": algo.reduce_only,
        "order_id": algo.order_id,
        "filled_quantity": to_text(algo.actual_quantity),
        "reason": algo.reason,
        "created_ms": algo.created_ms,
        "triggered_ms": algo.triggered_ms,
        "updated_ms": algo.updated_ms,
    }


def _fill_row(fill: Fill) -> dict[str, Any]:
    return {
        "trade_id": fill.trade_id,
        "order_id": fill.order_id,
        "client_order_id": fill.client_order_id,
        "symbol": fill.symbol,
        "side": fill.side.value,
        "position_side": fill.position_side.value,
        "price": to_text(fill.price),
        "quantity": to_text(fill.quantity),
        "fee": to_text(fill.commission),
        "realized_pnl": to_text(fill.realized_pnl),
        "traded_ms": fill.traded_ms,
    }
