"""The sink's websockets: fills on private streams, one price on the public ones. Only what its readers need."""

import asyncio
import base64
import hashlib
import re
import time

import msgspec

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455
TICK_SECONDS = 0.25
TEXT, CLOSE, PING, PONG = 0x81, 0x88, 0x89, 0x8A


def accepted_handshake(headers: bytes) -> bytes:
    """Give the answer that turns the connection into a websocket."""
    found = re.search(rb"sec-websocket-key: *(\S+)", headers, re.IGNORECASE)
    assert found is not None, "a websocket handshake has a key"
    accept = base64.b64encode(hashlib.sha1(found[1] + MAGIC).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def frame(payload: bytes, *, kind: int = TEXT) -> bytes:
    """Give one whole unmasked frame, as servers send them."""
    size = len(payload)
    if size < 126:
        return bytes((kind, size)) + payload
    if size < 65_536:
        return bytes((kind, 126)) + size.to_bytes(2, "big") + payload
    return bytes((kind, 127)) + size.to_bytes(8, "big") + payload


class Streams:
    """All open websockets."""

    def __init__(self, *, symbol: str, price: str) -> None:
        self.price = price
        self._symbol = symbol
        self._sockets: set[Socket] = set()
        self._by_key: dict[bytes, Socket] = {}

    @property
    def heard(self) -> int:
        """How many keys have an open user stream."""
        return len(self._by_key)

    def is_heard(self, key: bytes) -> bool:
        return key in self._by_key

    def opened(
        self, transport: asyncio.Transport, *, keys: list[bytes], names_streams: bool = True
    ) -> "Socket":
        socket = Socket(self, transport, names_streams=names_streams)
        self._sockets.add(socket)
        self._by_key |= dict.fromkeys(keys, socket)
        return socket

    def closed(self, socket: "Socket") -> None:
        self._sockets.discard(socket)
        self._by_key = {key: one for key, one in self._by_key.items() if one is not socket}

    def tell(self, key: bytes, event: bytes) -> None:
        """Send an event of one key's account."""
        self._by_key[key].send(frame(b'{"stream":"listen-' + key + b'","data":' + event + b"}"))

    async def tick(self) -> None:
        """Tell the price again and again to whoever subscribed to it."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.tell_price()

    def tell_price(self) -> None:
        """Tell the price once."""
        now, price = time.time_ns() // 1_000_000, self.price
        at = {"s": self._symbol, "E": now, "T": now}
        book = {"e": "bookTicker", "b": price, "B": "9", "a": price, "A": "9", **at}
        trade = {"e": "aggTrade", "a": 1, "p": price, "q": "1", "m": False, **at}
        for socket in tuple(self._sockets):
            for tick in (book, trade):
                stream = f"{self._symbol.lower()}@{tick['e']}"
                if stream in socket.subscribed:
                    told = {"stream": stream, "data": tick} if socket.names_streams else tick
                    socket.send(frame(msgspec.json.encode(told)))


class Socket(asyncio.Protocol):
    """One websocket; what is sent in one turn of the loop leaves in one write."""

    def __init__(self, streams: Streams, transport: asyncio.Transport, *, names_streams: bool) -> None:
        self.subscribed: set[str] = set()
        self.names_streams = names_streams
        self._streams = streams
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._outbox: list[bytes] = []
        self._rest = b""

    def send(self, frames: bytes) -> None:
        if not self._outbox:
            self._loop.call_soon(self._flush)
        self._outbox.append(frames)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._streams.closed(self)

    def data_received(self, data: bytes) -> None:
        self._rest += data
        while (found := _first_frame(self._rest)) is not None:
            kind, payload, self._rest = found
            self._take(kind, payload)

    def _take(self, kind: int, payload: bytes) -> None:
        if kind == TEXT:
            asked = msgspec.json.decode(payload)
            if asked["method"] == "SUBSCRIBE":
                self.subscribed |= set(asked["params"])
            elif asked["method"] == "UNSUBSCRIBE":
                self.subscribed -= set(asked["params"])
            self.send(frame(msgspec.json.encode({"result": None, "id": asked["id"]})))
        elif kind == PING:
            self.send(frame(payload, kind=PONG))
        elif kind == CLOSE:
            self.send(frame(payload, kind=CLOSE))
            self._loop.call_soon(self._transport.close)

    def _flush(self) -> None:
        frames, self._outbox = self._outbox, []
        if not self._transport.is_closing():
            self._transport.write(b"".join(frames))


def _first_frame(data: bytes) -> tuple[int, bytes, bytes] | None:
    """Read a client's frame: they are masked and, from our own clients, never in parts."""
    if len(data) < 2:
        return None
    size, start = data[1] & 0x7F, 2
    if size >= 126:
        start = 4 if size == 126 else 10
        size = int.from_bytes(data[2:start], "big")
    end = start + 4 + size
    if len(data) < end:
        return None
    mask = data[start : start + 4]
    payload = bytes(byte ^ mask[place % 4] for place, byte in enumerate(data[start + 4 : end]))
    return data[0], payload, data[end:]
