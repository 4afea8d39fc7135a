"""
The prices that stops are watched by: quotes and trades of the symbols followed, in ticks, as fast as they come.

Quotes and trades come over connections of their own, so that one may be lost without a stop going blind. A quote is the
price; a trade counts where it is younger than the last quote: then the quotes lag behind, or are dead.
"""

import asyncio
import json
import ssl
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

import msgspec
import structlog
from picows import WSCloseCode, WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from pregao.domain.venue import VenueError
from pregao.domain.weight import Importance
from pregao.edges.exchanges.binance.addresses import VenueAddresses
from pregao.edges.exchanges.binance.rest import BinanceRest, Call
from pregao.edges.exchanges.binance.sockets import Connection, KeptSocket, Opening, SocketLimits
from pregao.edges.exchanges.tls import system_authorities
from pregao.stops.feed import quote_ticks
from pregao.stops.ports import Prices, TakePrice

STREAMS_MAX = 200  # on one connection; the venue's pages say 200 or 1,024
NAMES_MAX = 100  # in one SUBSCRIBE
MESSAGE_SECONDS = (
    0.25  # between two: above ten messages a second, pings and pongs among them, the venue hangs up
)
QUOTE_AGE_MS_MAX = 5_000  # a trade so much younger than the last quote is the price: no quote comes any more
TEXTS_MAX = 4_096  # prices of one symbol whose ticks are remembered
BUFFER_BYTES = 64 * 1024
CLOSE_SECONDS_MAX = 1.0  # then what has not left yet is left behind

BEST = "/fapi/v1/ticker/bookTicker"
BEST_OF_ONE = Call(method="GET", path=BEST, weight=2, importance=Importance.EXITS)
BEST_OF_ALL = Call(method="GET", path=BEST, weight=5, importance=Importance.EXITS)

log = structlog.get_logger()


class _Quote(msgspec.Struct, gc=False):
    """What we read of a bookTicker."""

    u: int = 0
    s: str = ""
    b: str = ""
    B: float = 0.0  # a side without quantity is no price; more is not asked of it
    a: str = ""
    A: float = 0.0
    T: int = 0


class _Trade(msgspec.Struct, gc=False):
    """What we read of an aggTrade, or of a trade."""

    s: str = ""
    p: str = ""
    q: float = 0.0  # one of nothing is no trade: the venue sends such rows, with price 0
    T: int = 0


class _Answer(msgspec.Struct):
    """What we read of an answer to a request of ours."""

    id: int | None = None
    error: msgspec.Raw | None = None


class _Best(msgspec.Struct, rename="camel"):
    """What we read of a best bid and ask that were asked for."""

    symbol: str
    bid_price: str
    bid_qty: str
    ask_price: str
    ask_qty: str


_quote = msgspec.json.Decoder(_Quote, strict=False)
_trade = msgspec.json.Decoder(_Trade, strict=False)
_answer = msgspec.json.Decoder(_Answer)
_best = msgspec.json.Decoder(_Best)
_bests = msgspec.json.Decoder(list[_Best])


class _Followed:
    """One symbol: whom its prices go to, its last quote, and the ticks of the price texts that came lately."""

    __slots__ = ("ask", "bid", "quote_id", "quoted_ms", "take", "tick", "ticks")

    def __init__(self, *, tick: Decimal, take: TakePrice) -> None:
        self.tick = tick
        self.take = take
        self.ticks: dict[str, int] = {}  # of whole ticks only
        self.bid = self.ask = self.quoted_ms = 0
        self.quote_id = 0  # an older one is the last word of a connection that was replaced

    def read(self, bid: str, ask: str) -> tuple[int, int] | None:
        """Read two prices of which a text is not known yet, and remember what lies on a tick."""
        ticks = self.ticks
        if len(ticks) >= TEXTS_MAX:
            ticks.clear()
        try:
            for text in (bid, ask):
                if text not in ticks:
                    whole, between = divmod(Decimal(text), self.tick)
                    if between or whole <= 0:
                        return quote_ticks(bid, ask, tick=self.tick)
                    ticks[text] = int(whole)
        except InvalidOperation:
            return None
        return (ticks[bid], ticks[ask]) if ticks[bid] <= ticks[ask] else None


class PriceFeed(Prices):
    """One Binance venue's prices for the stops; `ask` shares the address's weight with everybody else."""

    def __init__(
        self, *, addresses: VenueAddresses, rest: BinanceRest, limits: SocketLimits | None = None
    ) -> None:
        """Open nothing yet; ``rest`` is that of the venue's ``BinanceExchange``."""
        self._streams = addresses.streams
        self._rest = rest
        self._limits = limits or SocketLimits()
        self._tls = system_authorities() if addresses.streams.startswith("wss:") else None
        self._followed: dict[str, _Followed] = {}
        self._pairs: list[_Pair] = []
        self._awake = asyncio.Event()

    @property
    def connections(self) -> int:
        """How many connections are kept."""
        return sum(len(pair.lines) for pair in self._pairs)

    def follow(self, symbol: str, *, price_tick: Decimal, take: TakePrice) -> None:
        """Tell a symbol's prices from now on; see the port."""
        if symbol not in self._followed:
            pair = next((one for one in self._pairs if len(one.symbols) < STREAMS_MAX), None)
            if pair is None:
                pair = _Pair()
                self._pairs.append(pair)
            pair.symbols.add(symbol)
            pair.changed()
            self._awake.set()
        self._followed[symbol] = _Followed(tick=price_tick, take=take)

    def unfollow(self, symbol: str) -> None:
        """Tell a symbol's prices no more."""
        if self._followed.pop(symbol, None) is not None:
            pair = self._pair_of(symbol)
            pair.symbols.discard(symbol)
            pair.changed()
            self._awake.set()

    def renew(self, symbol: str) -> None:
        """Open the connections that should carry a symbol anew, each beside the old one."""
        if symbol in self._followed:
            for line in self._pair_of(symbol).lines:
                line.socket.renew()

    async def run(self) -> None:
        """Keep the connections until canceled."""
        try:
            while True:
                self._awake.clear()
                for pair in [pair for pair in self._pairs if not pair.symbols]:
                    self._pairs.remove(pair)
                    await pair.close()
                for pair in self._pairs:
                    if not pair.lines:
                        pair.open(self._line(pair, "bookTicker"), self._line(pair, "aggTrade"))
                        for task in pair.tasks:
                            task.add_done_callback(lambda _: self._awake.set())
                    for task in pair.tasks:
                        if task.done():
                            task.result()  # it never ends by itself: say why
                await self._awake.wait()
        finally:
            for pair in self._pairs:
                await pair.close()

    async def ask(self, symbols: Collection[str]) -> Mapping[str, tuple[int, int]]:
        """Ask for the best bid and ask; of three symbols or more it is less to ask for all."""
        wanted = {symbol for symbol in symbols if symbol in self._followed}
        if len(wanted) * BEST_OF_ONE.weight > BEST_OF_ALL.weight:
            told = await self._rest.public(BEST_OF_ALL, {}, translate=_bests.decode)
        else:
            told = []
            problems: list[VenueError] = []
            for symbol in sorted(wanted):
                try:
                    told.append(
                        await self._rest.public(BEST_OF_ONE, {"symbol": symbol}, translate=_best.decode)
                    )
                except VenueError as problem:
                    problems.append(problem)
            if problems and not told:
                raise problems[0]
        return dict(self._priced(told, wanted))

    def _priced(self, told: Collection[_Best], wanted: set[str]) -> Iterator[tuple[str, tuple[int, int]]]:
        for best in told:
            followed = self._followed.get(best.symbol) if best.symbol in wanted else None
            if followed is None or not best.bid_qty.strip("0.") or not best.ask_qty.strip("0."):
                continue
            ticks = quote_ticks(best.bid_price, best.ask_price, tick=followed.tick)
            if ticks is not None:
                yield best.symbol, ticks

    def _pair_of(self, symbol: str) -> "_Pair":
        return next(pair for pair in self._pairs if symbol in pair.symbols)

    def _line(self, pair: "_Pair", kind: str) -> "_Line":
        section, take = ("public", self._take_quote) if kind == "bookTicker" else ("market", self._take_trade)
        line = _Line(kind=kind, symbols=pair.symbols)

        async def connect() -> Connection:
            url = f"{self._streams}/{section}/ws"
            return await _connected(url, take=take, tls=self._tls, limits=self._limits)

        async def opened(_: Opening) -> None:
            if kind == "bookTicker":
                for symbol in pair.symbols:
                    self._followed[symbol].quote_id = 0  # after a restart of the venue they may begin anew
            line.told.clear()
            line.awake.set()

        line.socket = KeptSocket(connect=connect, on_open=opened, limits=self._limits)
        return line

    # --- what comes ---

    def _take_quote(self, message: bytes) -> None:
        quote = _quote.decode(message)
        followed = self._followed.get(quote.s)
        if followed is None:
            _read_answer(message)
            return
        try:
            bid, ask = followed.ticks[quote.b], followed.ticks[quote.a]
        except KeyError:
            bid, ask = followed.read(quote.b, quote.a) or (0, 0)
        if 0 < bid <= ask and quote.B > 0.0 and quote.A > 0.0 and quote.u >= followed.quote_id:
            followed.quote_id = quote.u
            followed.quoted_ms = quote.T
            followed.bid = bid
            followed.ask = ask
            followed.take(bid, ask)

    def _take_trade(self, message: bytes) -> None:
        trade = _trade.decode(message)
        followed = self._followed.get(trade.s)
        if followed is None:
            _read_answer(message)
            return
        late_ms = trade.T - followed.quoted_ms
        if late_ms <= 0 or trade.q <= 0.0:
            return
        ticks = followed.read(trade.p, trade.p)
        if ticks is None:
            return
        bid, ask = ticks
        if followed.bid and late_ms <= QUOTE_AGE_MS_MAX:
            bid, ask = min(bid, followed.bid), max(ask, followed.ask)
        followed.take(bid, ask)


# --- connections ------------------------------------------------------------------------------------------


@dataclass(eq=False, slots=True)
class _Line:
    """One connection, kept, and what it has been asked to carry."""

    kind: str
    symbols: set[str]  # that it shall carry: the pair's own
    told: set[str] = field(default_factory=set)  # that the present connection was asked for
    awake: asyncio.Event = field(default_factory=asyncio.Event)
    socket: KeptSocket = field(init=False)
    requests: int = 0

    async def subscribe(self) -> None:
        """Ask for what is wanted and not told, and against what is told and not wanted, whenever either changes."""
        while True:
            await self.awake.wait()
            self.awake.clear()
            while self.socket.is_open and (change := self._next()):
                method, names = change
                self.requests += 1
                request = {"method": method, "params": names, "id": self.requests}
                await self.socket.send(json.dumps(request))
                await asyncio.sleep(MESSAGE_SECONDS)

    def _next(self) -> tuple[str, list[str]] | None:
        leaving = sorted(self.told - self.symbols)[:NAMES_MAX]
        coming = sorted(self.symbols - self.told)[:NAMES_MAX]
        self.told.difference_update(leaving)
        if leaving:
            return "UNSUBSCRIBE", [f"{symbol.lower()}@{self.kind}" for symbol in leaving]
        self.told.update(coming)
        return ("SUBSCRIBE", [f"{symbol.lower()}@{self.kind}" for symbol in coming]) if coming else None


@dataclass(eq=False, slots=True)
class _Pair:
    """Up to two hundred symbols: their quotes on one connection, their trades on another."""

    symbols: set[str] = field(default_factory=set)
    lines: list[_Line] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def open(self, *lines: _Line) -> None:
        self.lines = list(lines)
        self.tasks = [
            asyncio.create_task(work) for line in lines for work in (line.socket.run(), line.subscribe())
        ]

    def changed(self) -> None:
        for line in self.lines:
            line.awake.set()

    async def close(self) -> None:
        tasks, self.tasks, self.lines = self.tasks, [], []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Frames(WSListener):
    """One open connection: every message is taken as it comes, in the call that reads it off the wire."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take
        self._part = b""
        self._transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
        # What is no whole message is not looked at first: it cannot be read, and tells itself apart then.
        try:
            self._take(frame.get_payload_as_bytes())
        except msgspec.DecodeError:
            self._take_other(frame)
        except Exception:  # of whoever takes the price: the next one is told all the same
            log.exception("binance.feed.failed")

    def _take_other(self, frame: WSFrame) -> None:
        if frame.msg_type not in {WSMsgType.TEXT, WSMsgType.CONTINUATION}:
            return  # the library answers pings, and sees what its own bring back
        whole, self._part = self._part + frame.get_payload_as_bytes(), b""
        if not frame.fin:
            self._part = whole
            return
        try:
            self._take(whole)
        except msgspec.DecodeError:
            log.warning("binance.feed.unreadable", bytes=frame.payload_size)
        except Exception:
            log.exception("binance.feed.failed")

    @property
    def closed(self) -> bool:
        return (
            self._transport is None or self._transport.is_close_frame_sent or self._transport.is_disconnected
        )

    async def send(self, text: str) -> None:
        assert self._transport is not None
        self._transport.send(WSMsgType.TEXT, text)

    async def close(self) -> None:
        if self._transport is not None:
            self._transport.send_close(WSCloseCode.OK)
            self._transport.disconnect()
            try:
                async with asyncio.timeout(CLOSE_SECONDS_MAX):
                    await self.ended()
            except TimeoutError:
                self._transport.disconnect(graceful=False)

    async def ended(self) -> None:
        assert self._transport is not None
        try:
            await self._transport.wait_disconnected()
        except WSError as problem:
            log.warning("binance.feed.broken", problem=type(problem).__name__)


async def _connected(
    url: str, *, take: Callable[[bytes], None], tls: ssl.SSLContext | None, limits: SocketLimits
) -> Connection:
    frames = _Frames(take)
    try:
        await ws_connect(
            lambda: frames,
            url,
            ssl_context=tls,
            websocket_handshake_timeout=limits.connect_seconds_max,
            enable_auto_ping=True,  # the venue's pings are answered by themselves
            auto_ping_idle_timeout=limits.silence_seconds_max / 2,
            auto_ping_reply_timeout=limits.silence_seconds_max / 2,
            read_buffer_init_size=BUFFER_BYTES,
            use_aiofastnet=False,  # the loop reads as fast, and TLS stays with Python
        )
    except WSError as problem:
        raise ConnectionError(type(problem).__name__) from problem
    return frames


def _read_answer(message: bytes) -> None:
    answer = _answer.decode(message)
    if answer.error is not None:
        log.warning("binance.feed.refused", id=answer.id)
