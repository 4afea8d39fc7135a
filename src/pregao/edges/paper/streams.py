"""
The websocket side: connections, what each has subscribed to, and the order things are sent in.

Nothing is sent inside the call that causes it: messages are queued per connection and leave in order, after
the ledger has the command.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import msgspec
from aiohttp import WSMsgType, web

from pregao.edges.paper.told import to_messages
from pregao.edges.paper.venue import Venue
from pregao.simulation.events import Event, StreamExpired
from pregao.simulation.faults import STREAM_KINDS, FaultKind

PING_SECONDS: Final = 180.0  # the venue pings every three minutes
BACKLOG_MAX: Final = 20_000  # messages a reader may be behind before it is cut off
PUBLIC_KINDS: Final = (
    "depth",
    "bookTicker",
    "trade",
    "rpiDepth",
)  # on /public; everything else is on /market


@dataclass(eq=False, slots=True)
class Connection:
    """One websocket; ``section`` is public, market, private or empty for the old unsplit addresses."""

    socket: web.WebSocketResponse
    section: str
    is_combined: bool
    streams: dict[str, None] = field(default_factory=dict)
    listen_keys: dict[str, frozenset[str]] = field(default_factory=dict)  # to the events wanted, empty: all
    outbox: deque[bytes] = field(default_factory=deque)
    filled: asyncio.Event = field(default_factory=asyncio.Event)
    is_cut: bool = False

    def send(self, message: bytes, *, stream: str = "") -> None:
        """Queue a message; on a combined connection it is wrapped with the name of its stream."""
        if stream and self.is_combined:
            message = b'{"stream":"' + stream.encode() + b'","data":' + message + b"}"
        self.outbox.append(message)
        if len(self.outbox) > BACKLOG_MAX:
            self.is_cut = True
        self.filled.set()

    def cut(self) -> None:
        """End the connection without a word."""
        self.is_cut = True
        self.filled.set()


class Hub:
    """All connections of the exchange."""

    def __init__(self, venue: Venue) -> None:
        """Listen to the exchange from now on."""
        self._venue = venue
        self._connections: set[Connection] = set()
        self._subscribers: dict[str, set[Connection]] = {}
        self._listeners: dict[str, set[tuple[Connection, str]]] = {}  # API key to connection and listen key
        self.frozen_until_ms = 0
        venue.exchange.listen(self.tell)

    @property
    def streams(self) -> Iterable[str]:
        """The market streams somebody has subscribed to."""
        return list(self._subscribers)

    def has(self, stream: str) -> bool:
        """Whether anybody has subscribed to a market stream."""
        return stream in self._subscribers

    def publish(self, stream: str, message: Any) -> None:
        """Send a market message to everybody who has subscribed to its stream."""
        if self._venue.now_ms() < self.frozen_until_ms:
            return
        encoded = msgspec.json.encode(message)
        for connection in self._subscribers.get(stream, ()):
            connection.send(encoded, stream=stream)

    def tell(self, event: Event) -> None:
        """Send what happened to an account to those who listen to it."""
        listeners = self._listeners.get(event.account.key)
        if isinstance(event, StreamExpired):
            self._venue.listen_keys.pop(event.listen_key, None)
        if not listeners or self._venue.now_ms() < self.frozen_until_ms:
            return
        for message in to_messages(event, floor=self._venue.exchange.floor):
            self._tell(message, listeners, key=event.account.key)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one websocket request until it ends."""
        socket = web.WebSocketResponse(heartbeat=PING_SECONDS, autoping=True, compress=False)
        section, is_combined, names = _read_address(request)
        connection = Connection(socket=socket, section=section, is_combined=is_combined)
        await socket.prepare(request)
        self._connections.add(connection)
        writer = asyncio.create_task(_write(connection))
        try:
            for name in names:
                self._subscribe(connection, name)
            self._listen_by_query(connection, request)
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self._obey(connection, message.data)
        finally:
            writer.cancel()
            self._forget(connection)
        return socket

    async def close(self) -> None:
        """End all connections."""
        for connection in list(self._connections):
            await connection.socket.close(code=1001)

    def _tell(self, message: dict[str, Any], listeners: set[tuple[Connection, str]], *, key: str) -> None:
        name = message["e"]
        fault = self._venue.faults.strike(STREAM_KINDS, target=name, key=key)
        kind = fault.kind if fault else None
        if fault and kind is FaultKind.FREEZE:
            self.frozen_until_ms = self._venue.now_ms() + int(fault.seconds * 1000)
        if kind in {FaultKind.FREEZE, FaultKind.DROP}:
            return
        encoded = msgspec.json.encode(message)
        for connection, listen_key in listeners:
            wanted = connection.listen_keys.get(listen_key, frozenset())
            if wanted and name not in wanted:
                continue
            if kind is FaultKind.CUT:
                connection.cut()
                continue
            send = partial(connection.send, encoded, stream=listen_key)
            if fault and kind is FaultKind.DEFER:
                asyncio.get_running_loop().call_later(fault.ms / 1_000, send)
                continue
            send()
            if fault and kind is FaultKind.DUPLICATE:
                if fault.ms:
                    asyncio.get_running_loop().call_later(fault.ms / 1_000, send)
                else:
                    send()

    def _listen_by_query(self, connection: Connection, request: web.BaseRequest) -> None:
        # listenKey=k1&events=A/B&listenKey=k2: a list of events belongs to the listen key before it.
        listen_key = ""
        for name, value in request.query.items():
            if name == "listenKey":
                listen_key = value
                self._listen(connection, listen_key, frozenset())
            elif name == "events" and listen_key:
                connection.listen_keys[listen_key] = frozenset(value.replace(",", "/").split("/"))

    def _obey(self, connection: Connection, text: str) -> None:
        try:
            asked = msgspec.json.decode(text, type=dict[str, Any])
            method, number, names = asked.get("method"), asked.get("id"), asked.get("params") or []
            if method in {"SUBSCRIBE", "UNSUBSCRIBE"}:
                for name in names:
                    (self._subscribe if method == "SUBSCRIBE" else self._unsubscribe)(connection, str(name))
                answer: Any = {"result": None, "id": number}
            elif method == "LIST_SUBSCRIPTIONS":
                answer = {"result": [*connection.streams, *connection.listen_keys], "id": number}
            elif method in {"SET_PROPERTY", "GET_PROPERTY"}:
                if method == "SET_PROPERTY":
                    connection.is_combined = bool(names[1])
                answer = {
                    "result": None if method == "SET_PROPERTY" else connection.is_combined,
                    "id": number,
                }
            else:
                answer = {
                    "error": {"code": 2, "msg": f"Invalid request: unknown variant {method}"},
                    "id": number,
                }
        except (msgspec.DecodeError, IndexError):
            answer = {"error": {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}}
        connection.send(msgspec.json.encode(answer))

    def _subscribe(self, connection: Connection, name: str) -> None:
        listen_key, _, event = name.partition("@")
        if listen_key in self._venue.listen_keys:
            self._listen(connection, listen_key, frozenset({event}) if event else frozenset())
            return
        connection.streams[name] = None
        # A stream asked for on the other section's address is acknowledged and stays silent, as at the venue.
        if connection.section in {"", section_of(name)}:
            self._subscribers.setdefault(name, set()).add(connection)

    def _unsubscribe(self, connection: Connection, name: str) -> None:
        listen_key = name.partition("@")[0]
        if connection.listen_keys.pop(listen_key, None) is not None:
            key = self._venue.listen_keys.get(listen_key, "")
            self._listeners.get(key, set()).discard((connection, listen_key))
        connection.streams.pop(name, None)
        self._leave(connection, name)

    def _listen(self, connection: Connection, listen_key: str, events: frozenset[str]) -> None:
        known = connection.listen_keys.get(listen_key)
        connection.listen_keys[listen_key] = (
            events if known is None else (known | events if events else events)
        )
        key = self._venue.listen_keys.get(listen_key)
        if key is not None:  # an unknown listen key connects and hears nothing, as at the venue
            self._listeners.setdefault(key, set()).add((connection, listen_key))

    def _leave(self, connection: Connection, name: str) -> None:
        readers = self._subscribers.get(name)
        if readers is not None:
            readers.discard(connection)
            if not readers:
                del self._subscribers[name]

    def _forget(self, connection: Connection) -> None:
        self._connections.discard(connection)
        for name in connection.streams:
            self._leave(connection, name)
        for listeners in self._listeners.values():
            for entry in [entry for entry in listeners if entry[0] is connection]:
                listeners.discard(entry)


def section_of(stream: str) -> str:
    """Say on which address the venue serves a market stream since April 2026."""
    kind = stream.rpartition("!")[2].partition("@")[0] if stream.startswith("!") else stream.partition("@")[2]
    return "public" if kind.startswith(PUBLIC_KINDS) else "market"


def is_stream_path(path: str) -> bool:
    """Whether a path is one of the websocket addresses."""
    first, _, rest = path.strip("/").partition("/")
    if first in {"public", "market", "private"}:
        first = rest.partition("/")[0]
    return first in {"ws", "stream"}


def _read_address(request: web.BaseRequest) -> tuple[str, bool, list[str]]:
    parts = request.path.strip("/").split("/")
    section = parts.pop(0) if parts[0] in {"public", "market", "private"} else ""
    is_combined = parts[0] == "stream"
    names = parts[1:] if not is_combined else request.query.get("streams", "").split("/")
    return section, is_combined, [name for name in names if name]


async def _write(connection: Connection) -> None:
    socket, outbox = connection.socket, connection.outbox
    while True:
        await connection.filled.wait()
        connection.filled.clear()
        try:
            while outbox and not connection.is_cut:
                await socket.send_frame(outbox.popleft(), WSMsgType.TEXT)
        except ConnectionError:
            return
        if connection.is_cut:
            await socket.close(code=1006 if not outbox else 1008)
            return
