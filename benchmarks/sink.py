"""
A venue that takes market orders as fast as Python can, to measure senders: just enough of Binance USD-M futures.

Every order's signature is verified and its arrival is kept to the nanosecond; every order fills at once, whole, at one
price, which moves when it is told to. Protective orders are kept and never trigger. It has no margin, no limits and no
faults: for those there is the paper exchange. Run it as
``python -m benchmarks.sink --port N``; what it saw is read under ``/sink/``.
"""

import argparse
import asyncio
import gc
import hashlib
import hmac
import os
import signal
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl

import msgspec
import uvloop

from benchmarks.certificate import serving
from benchmarks.sink_streams import Streams, accepted_handshake

SYMBOL = "BTCUSDT"
PRICE = "95000.10"
ORDER = b"POST /fapi/v1/order?"
KEY_HEADER = b"\r\nX-MBX-APIKEY: "
HEAD_END = b"\r\n\r\n"
WEIGHT_MAX = 100_000_000  # the desk's care for the venue's patience is not what is measured here
FACTS = msgspec.json.encode(
    {
        "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": WEIGHT_MAX}
        ],
        "symbols": [
            {
                "symbol": SYMBOL,
                "status": "TRADING",
                "baseAsset": "BTC",
                "quoteAsset": "USDT",
                "marginAsset": "USDT",
                "filters": [
                    {"filterType": "PRICE_FILTER", "tickSize": "0.10"},
                    {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "1000"},
                    {
                        "filterType": "MARKET_LOT_SIZE",
                        "stepSize": "0.001",
                        "minQty": "0.001",
                        "maxQty": "120",
                    },
                    {"filterType": "MIN_NOTIONAL", "notional": "5"},
                ],
            }
        ],
    }
)


def secret_of(key: str) -> str:
    """Give the secret that belongs to a key: whoever knows the rule needs no registration."""
    return hashlib.sha256(f"sink/{key}".encode()).hexdigest()


@dataclass(slots=True)
class Arrival:
    """One order as it was received; ``at_ns`` is this machine's monotonic clock."""

    client_order_id: str
    key: str
    at_ns: int
    is_signed: bool


@dataclass(slots=True)
class Fill:
    """One order, which is one fill."""

    number: int  # order id and trade id in one
    key: bytes
    client_order_id: str
    side: str
    quantity: str
    price: str
    at_ms: int


@dataclass
class Floor:
    """What the sink remembers."""

    streams: Streams
    delay_seconds: float = 0.0
    secrets: dict[bytes, bytes] = field(default_factory=dict)
    arrivals: list[Arrival] = field(default_factory=list)
    fills: dict[str, Fill] = field(
        default_factory=dict
    )  # by client order id, of keys that have a user stream
    held: dict[bytes, Decimal] = field(default_factory=dict)
    protections: dict[bytes, dict[str, dict[str, Any]]] = field(default_factory=dict)  # by key and own id
    waiting: list[tuple[int, Callable[[], None]]] = field(default_factory=list)
    orders: int = 0

    def take_order(self, query: bytes, key: bytes, *, at_ns: int) -> tuple[bytes, Fill]:
        """Verify and fill an order; give its acknowledgement."""
        said, _, signature = query.rpartition(b"&signature=")
        secret = self.secrets.get(key)
        if secret is None:
            secret = self.secrets[key] = secret_of(key.decode()).encode()
        is_signed = hmac.digest(secret, said, "sha256").hex().encode() == signature
        fields = dict([part.split("=", 1) for part in said.decode().split("&")])
        client_order_id = fields["newClientOrderId"]
        self.orders += 1
        self.arrivals.append(Arrival(client_order_id, key.decode(), at_ns, is_signed))
        if self.waiting and len(self.arrivals) >= self.waiting[0][0]:
            self.waiting.pop(0)[1]()
        fill = Fill(
            number=self.orders,
            key=key,
            client_order_id=client_order_id,
            side=fields["side"],
            quantity=fields["quantity"],
            price=self.streams.price,
            at_ms=time.time_ns() // 1_000_000,
        )
        return _acknowledgement(fill), fill

    def answer_protection(self, method: str, path: str, fields: dict[str, str], key: bytes) -> Any:
        """Keep, show or forget protective orders."""
        mine = self.protections.setdefault(key, {})
        own_id = fields.get("clientAlgoId", "")
        if path.startswith("open") and method == "GET":
            return list(mine.values())
        if path.startswith("algoOpen"):
            mine.clear()
            return {"code": 200, "msg": "The operation of cancel all open order is done."}
        if method == "POST":
            self.orders += 1
            mine[own_id] = _protection_row(self.orders, fields)
            return mine[own_id]
        known = mine.pop(own_id, None) if method == "DELETE" else mine.get(own_id)
        if known is None:
            return {"code": -2011 if method == "DELETE" else -2013, "msg": "Unknown order sent."}
        return known

    def tell_fill(self, fill: Fill) -> None:
        """Tell a fill on the user stream of its key, if it has one, and book it."""
        if not self.streams.is_heard(fill.key):
            return
        self.fills[fill.client_order_id] = fill
        signed = Decimal(fill.quantity) * (1 if fill.side == "BUY" else -1)
        self.held[fill.key] = self.held.get(fill.key, Decimal(0)) + signed
        self.streams.tell(fill.key, _fill_event(fill))

    def forget_burst(self) -> None:
        """Begin to count anew."""
        self.arrivals.clear()
        self.waiting.clear()
        self.fills.clear()


def _protection_row(number: int, fields: dict[str, str]) -> dict[str, Any]:
    now_ms = time.time_ns() // 1_000_000
    return {
        "algoId": number,
        "clientAlgoId": fields["clientAlgoId"],
        "algoType": "CONDITIONAL",
        "orderType": fields["type"],
        "symbol": fields["symbol"],
        "side": fields["side"],
        "positionSide": fields.get("positionSide", "BOTH"),
        "quantity": fields.get("quantity", "0"),
        "closePosition": fields.get("closePosition", "false") == "true",
        "triggerPrice": fields["triggerPrice"],
        "algoStatus": "NEW",
        "createTime": now_ms,
        "updateTime": now_ms,
    }


def _acknowledgement(fill: Fill) -> bytes:
    body = (
        f'{{"orderId":{fill.number},"symbol":"{SYMBOL}","status":"NEW","clientOrderId":"{fill.client_order_id}",'
        f'"price":"0.00","avgPrice":"0.00","origQty":"{fill.quantity}","executedQty":"0.000","cumQty":"0.000",'
        f'"cumQuote":"0.00000","timeInForce":"GTC","type":"MARKET","reduceOnly":false,"closePosition":false,'
        f'"side":"{fill.side}","positionSide":"BOTH","stopPrice":"0.00","workingType":"CONTRACT_PRICE",'
        f'"priceProtect":false,"origType":"MARKET","priceMatch":"NONE","selfTradePreventionMode":"EXPIRE_MAKER",'
        f'"goodTillDate":0,"updateTime":{fill.at_ms}}}'
    )
    return f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def _fill_event(fill: Fill) -> bytes:
    at, quantity, price = fill.at_ms, fill.quantity, fill.price
    return (
        f'{{"e":"ORDER_TRADE_UPDATE","T":{at},"E":{at},"o":{{"s":"{SYMBOL}","c":"{fill.client_order_id}",'
        f'"S":"{fill.side}","o":"MARKET","f":"GTC","q":"{quantity}","p":"0","ap":"{price}","sp":"0","x":"TRADE",'
        f'"X":"FILLED","i":{fill.number},"l":"{quantity}","z":"{quantity}","L":"{price}","n":"0.03800004",'
        f'"N":"USDT","T":{at},"t":{fill.number},"b":"0","a":"0","m":false,"R":false,"wt":"CONTRACT_PRICE",'
        f'"ot":"MARKET","ps":"BOTH","cp":false,"rp":"0","pP":false,"si":0,"ss":0,"V":"EXPIRE_MAKER","pm":"NONE",'
        f'"gtd":0,"er":"0"}}}}'
    ).encode()


class Door(asyncio.Protocol):
    """One connection: orders on the short way, everything else on the long one."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._loop = asyncio.get_running_loop()
        self._rest = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        at_ns = time.monotonic_ns()
        if self._rest:
            data, self._rest = self._rest + data, b""
        while data:
            end = data.find(HEAD_END)
            if end < 0:
                self._rest = data
                return
            head, data = data[: end + 2], data[end + 4 :]
            if head.startswith(ORDER):
                self._take_order(head, at_ns=at_ns)
            else:
                data = self._take_other(head, data)

    def _take_order(self, head: bytes, *, at_ns: int) -> None:
        query = head[len(ORDER) : head.index(b" ", len(ORDER))]
        answer, fill = self._floor.take_order(query, _key_in(head), at_ns=at_ns)
        if self._floor.delay_seconds:
            self._loop.call_later(self._floor.delay_seconds, self._answer, answer, fill)
        else:
            self._answer(answer, fill)

    def _answer(self, answer: bytes, fill: Fill) -> None:
        self._transport.write(answer)
        self._floor.tell_fill(fill)

    def _take_other(self, head: bytes, data: bytes) -> bytes:
        line, _, headers = head.partition(b"\r\n")
        method, target, _ = line.decode().split(" ", 2)
        path, _, query = target.partition("?")
        fields = parse_qsl(query)
        if b"upgrade: websocket" in headers.lower():
            self._transport.write(accepted_handshake(headers))
            keys = [value.removeprefix("listen-").encode() for name, value in fields if name == "listenKey"]
            is_named = not path.endswith("/ws")
            self._transport.set_protocol(
                self._floor.streams.opened(self._transport, keys=keys, names_streams=is_named)
            )
            return b""
        if path.startswith("/sink/"):
            self._take_control(path, dict(fields))
        elif path.startswith("/paper/"):
            self._write(b"{}")  # the desk asks its paper exchange whether it is up
        else:
            body = _answer_to(method, path, dict(fields), _key_in(head), floor=self._floor)
            if self._floor.delay_seconds:
                self._loop.call_later(self._floor.delay_seconds, self._write, body)
            else:
                self._write(body)
        return data

    def _take_control(self, path: str, fields: dict[str, str]) -> None:
        floor = self._floor
        match path:
            case "/sink/reset":
                floor.forget_burst()
                floor.delay_seconds = int(fields["delay_ms"]) / 1000
                self._write(b"{}")
            case "/sink/wait":
                count = int(fields["count"])
                if len(floor.arrivals) >= count:
                    self._write(b"{}")
                else:
                    floor.waiting.append((count, lambda: self._write(b"{}")))
            case "/sink/tick":
                floor.streams.price = fields["price"]
                at_ns = time.monotonic_ns()
                floor.streams.tell_price()
                self._write(msgspec.json.encode({"at_ns": at_ns}))
            case "/sink/arrivals":
                self._write(msgspec.json.encode(floor.arrivals))
            case _:
                held = sum(quantity != 0 for quantity in floor.held.values())
                kept = sum(map(len, floor.protections.values()))
                told = {"heard": floor.streams.heard, "held": held, "protections": kept}
                self._write(msgspec.json.encode(told))

    def _write(self, body: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (len(body), body)
            )


def _key_in(head: bytes) -> bytes:
    start = head.find(KEY_HEADER)
    if start < 0:
        return b""
    start += len(KEY_HEADER)
    return head[start : head.index(b"\r\n", start)]


def _answer_to(method: str, path: str, fields: dict[str, str], key: bytes, *, floor: Floor) -> bytes:
    now_ms = time.time_ns() // 1_000_000
    price = floor.streams.price
    answer: Any
    match method, path.rpartition("/")[2]:
        case _, "algoOrder" | "openAlgoOrders" | "algoOpenOrders" as what:
            answer = floor.answer_protection(method, what, fields, key)
        case _, "exchangeInfo":
            return FACTS
        case _, "time":
            answer = {"serverTime": now_ms}
        case _, "price":
            answer = {"symbol": SYMBOL, "price": price, "time": now_ms}
        case _, "bookTicker":
            answer = {"symbol": SYMBOL, "bidPrice": price, "bidQty": "9", "askPrice": price, "askQty": "9"}
        case _, "listenKey":
            answer = {"listenKey": f"listen-{key.decode()}"}
        case _, "leverage":
            answer = {"leverage": int(fields["leverage"]), "symbol": SYMBOL, "maxNotionalValue": "1000000"}
        case "POST", _:  # marginType, positionSide/dual
            answer = {"code": 200, "msg": "success"}
        case _, "dual" | "accountConfig":
            answer = {"dualSidePosition": False}
        case _, "order":
            answer = _order_row(floor.fills.get(fields.get("origClientOrderId", "")))
        case _, "userTrades":
            mine = [fill for fill in floor.fills.values() if fill.key == key]
            answer = [
                _trade_row(fill)
                for fill in mine
                if fields.get("orderId", str(fill.number)) == str(fill.number)
            ]
        case _, "positionRisk":
            held = floor.held.get(key, Decimal(0))
            answer = [
                {"symbol": SYMBOL, "positionSide": "BOTH", "positionAmt": str(held), "entryPrice": price}
            ] if held else []  # fmt: skip
        case _:
            answer = [{"asset": "USDT", "balance": "10000.00000000"}]
    return msgspec.json.encode(answer)


def _order_row(fill: Fill | None) -> dict[str, Any]:
    if fill is None:
        return {"code": -2013, "msg": "Order does not exist."}
    return {
        "orderId": fill.number,
        "clientOrderId": fill.client_order_id,
        "symbol": SYMBOL,
        "status": "FILLED",
        "origQty": fill.quantity,
        "executedQty": fill.quantity,
        "time": fill.at_ms,
        "updateTime": fill.at_ms,
    }


def _trade_row(fill: Fill) -> dict[str, Any]:
    return {
        "id": fill.number,
        "orderId": fill.number,
        "symbol": SYMBOL,
        "side": fill.side,
        "positionSide": "BOTH",
        "price": fill.price,
        "qty": fill.quantity,
        "commission": "0.03800004",
        "commissionAsset": "USDT",
        "maker": False,
        "realizedPnl": "0",
        "time": fill.at_ms,
    }


async def serve(port: int, *, tls: ssl.SSLContext | None = None) -> None:
    """Serve until told to end."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    floor = Floor(Streams(symbol=SYMBOL, price=PRICE))
    server = await loop.create_server(lambda: Door(floor), "127.0.0.1", port, backlog=2048, ssl=tls)
    ticking = asyncio.create_task(floor.streams.tick())
    watching = asyncio.create_task(_until_orphaned(ended))
    gc.freeze()
    await ended.wait()
    ticking.cancel()
    watching.cancel()
    server.close()


async def _until_orphaned(ended: asyncio.Event) -> None:
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110  # the kernel tells nobody
        await asyncio.sleep(1.0)
    ended.set()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, required=True)
    options.add_argument(
        "--certificate", type=Path, nargs=2, help="its public and its private file: speak TLS"
    )
    told = options.parse_args()
    uvloop.run(serve(told.port, tls=serving(*told.certificate) if told.certificate else None))
