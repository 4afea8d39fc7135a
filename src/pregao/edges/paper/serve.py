"""
The paper exchange as a process or inside a test: Binance's USD-M futures protocol on one port.

``PaperServer`` starts and stops it; ``serve`` runs it until it is told to end.
"""

import asyncio
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from aiohttp import web

from pregao.edges.paper.answers import Answers, wall_ms
from pregao.edges.paper.broadcast import Broadcast
from pregao.edges.paper.control import Control
from pregao.edges.paper.ledger import Ledger
from pregao.edges.paper.streams import Hub
from pregao.edges.paper.tapes import load_tape
from pregao.edges.paper.venue import BALANCE_DEFAULT, Venue
from pregao.simulation.books import DEPTH_USDT
from pregao.simulation.commands import OpenAccount
from pregao.simulation.faults import Faults, read_faults
from pregao.simulation.instruments import read_listings
from pregao.simulation.limits import WEIGHT_MAX
from pregao.simulation.market import Market, RecordedTape, SimulatedMarket, StillMarket

ROUND_SECONDS: Final = 0.1  # between looks at the market
ADDRESS_BYTES_MAX: Final = 65_536  # several hundred listen keys fit into one address
REVIEW_MS: Final = 1_000  # between looks at deadlines and margins


def _print_nothing(_: str) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperSettings:
    """What a paper exchange needs to know; every value has a working default."""

    host: str = "127.0.0.1"
    port: int = 0  # 0: any free port
    tape: str | Path | None = None  # a file of data like binance_LTCUSDT_trades_...csv.gz, or SYMBOL=path
    speed: float = 1.0  # of the tape
    loop: bool = False  # play the tape again when it ends; else the last price stays
    hold: bool = False  # begin the tape with POST /paper/play
    align_seconds: int = 0  # begin the tape so that candles of this length are whole ones of it; 0: at once
    simulate_seed: int = 7  # of the simulated market, its past and the faults' dice
    still: bool = False  # prices stand until POST /paper/prices sets them
    faults: tuple[str, ...] = ()  # e.g. "lose:probability=0.05,endpoint=POST /fapi/v1/order"
    accounts: tuple[str, ...] = ()  # KEY:SECRET:BALANCE
    listings: tuple[str, ...] = ()  # listed otherwise, e.g. "BTCUSDT:step=0.00001,notional_min=5"
    strict: bool = False  # refuse unknown keys (-2015) instead of opening an account for them
    state_dir: Path | None = None  # books survive a restart and a kill -9 there
    weight_max: int = WEIGHT_MAX  # per address and minute
    depth_usdt: Decimal = DEPTH_USDT  # quoted at the best price
    log: Callable[[str], None] = _print_nothing


class PaperServer:
    """One paper exchange: started, answering, stopped."""

    def __init__(
        self,
        settings: PaperSettings | None = None,
        *,
        bound_socket: socket.socket | None = None,
        now_ms: Callable[[], int] = wall_ms,
    ) -> None:
        """Prepare an exchange; ``bound_socket`` is used instead of host and port."""
        self._settings = settings or PaperSettings()
        self._socket = bound_socket
        self._now_ms = now_ms
        self._runner: web.ServerRunner | None = None
        self._pump: asyncio.Task[None] | None = None
        self._bound: tuple[str, int] = (self._settings.host, self._settings.port)
        self._parts: tuple[Venue, Hub, Broadcast] | None = None

    @property
    def port(self) -> int:
        """The port it listens on, once started."""
        return self._bound[1]

    @property
    def url(self) -> str:
        """The base URL for HTTP; for streams, the same with ``ws``."""
        return f"http://{self._bound[0]}:{self._bound[1]}"

    @property
    def venue(self) -> Venue:
        """The running exchange, for tests that look inside."""
        assert self._parts is not None, "the server has not been started"
        return self._parts[0]

    async def start(self) -> None:
        """Open the books, the market and the port."""
        settings = self._settings
        market = _market(settings)
        venue = _open_venue(settings, market, now_ms=self._now_ms)
        if isinstance(market, SimulatedMarket):
            market.resume(venue.books.quotes.values())
        venue.open_prices(market.opening(self._now_ms()))
        _open_accounts(venue, settings.accounts)
        hub = Hub(venue)
        broadcast = Broadcast(venue, hub)
        control = Control(venue, broadcast, seed=settings.simulate_seed)
        answers = Answers(venue, hub, control)
        self._parts = (venue, hub, broadcast)
        server = web.Server(answers.answer, access_log=None, max_line_size=ADDRESS_BYTES_MAX)
        self._runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await self._runner.setup()
        site = self._site(self._runner)
        await site.start()
        name = self._runner.addresses[0]
        self._bound = (name[0], name[1])
        self._pump = asyncio.create_task(self._turn())
        settings.log(f"paper.serve.started url={self.url} market={market.label}")

    async def stop(self) -> None:
        """Close the port, the connections and the books."""
        assert self._runner is not None, "the server has not been started"
        assert self._pump is not None
        venue, hub, _ = self._parts or (self.venue, None, None)
        self._pump.cancel()
        await asyncio.gather(self._pump, return_exceptions=True)
        if hub is not None:
            await hub.close()
        await self._runner.cleanup()
        venue.write_prices()
        venue.ledger.rotate(venue.books)
        venue.ledger.close()
        self._settings.log(f"paper.serve.stopped url={self.url}")

    def _site(self, runner: web.ServerRunner) -> web.BaseSite:
        if self._socket is not None:
            return web.SockSite(runner, self._socket)
        return web.TCPSite(runner, self._settings.host, self._settings.port)

    async def _turn(self) -> None:
        assert self._parts is not None
        venue, _, broadcast = self._parts
        reviewed_ms = 0
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            at_ms = self._now_ms()
            moved: set[str] = set()
            for tick in venue.market.advance(at_ms):
                quote = venue.move_price(tick)
                moved.add(tick.symbol)
                broadcast.trade(quote)
            broadcast.round(moved, at_ms=at_ms)
            if at_ms - reviewed_ms >= REVIEW_MS:
                reviewed_ms = at_ms
                venue.pass_time(at_ms)


async def serve(settings: PaperSettings, *, bound_socket: socket.socket | None = None) -> None:
    """Run a paper exchange until SIGTERM or SIGINT."""
    server = PaperServer(settings, bound_socket=bound_socket)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    await server.start()
    try:
        await ended.wait()
    finally:
        await server.stop()


def _market(settings: PaperSettings) -> Market:
    listings = read_listings(settings.listings).values()
    if settings.tape is not None:
        return RecordedTape(
            load_tape(settings.tape),
            speed=settings.speed,
            loops=settings.loop,
            align_ms=max(settings.align_seconds * 1_000, 1),
            holds=settings.hold,
        )
    if settings.still:
        return StillMarket(listings)
    return SimulatedMarket(listings, seed=settings.simulate_seed)


def _open_venue(settings: PaperSettings, market: Market, *, now_ms: Callable[[], int]) -> Venue:
    faults = [fault for text in settings.faults for fault in read_faults(text)]
    return Venue(
        ledger=Ledger(settings.state_dir),
        market=market,
        faults=Faults(faults, seed=settings.simulate_seed),
        now_ms=now_ms,
        seed=settings.simulate_seed,
        is_strict=settings.strict,
        weight_max=settings.weight_max,
        depth_usdt=settings.depth_usdt,
        listings=read_listings(settings.listings),
    )


def _open_accounts(venue: Venue, accounts: tuple[str, ...]) -> None:
    for text in accounts:
        parts = text.split(":")
        if len(parts) not in {2, 3}:
            raise ValueError("ACCOUNT_MALFORMED: an account is written KEY:SECRET:BALANCE")
        key, secret = parts[0], parts[1]
        known = venue.books.accounts.get(key)
        if known is not None and known.secret not in {None, secret}:
            raise ValueError("SECRET_DIFFERS: the saved books know this key with another secret")
        balance = Decimal(parts[2]) if len(parts) == 3 else BALANCE_DEFAULT
        venue.execute(OpenAccount(at_ms=venue.now_ms(), key=key, secret=secret, balance=balance))
