"""The process that listens: webhooks and the API, and the demo desk at its first start."""

import asyncio
import contextlib
import importlib
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Protocol

import uvicorn

from pregao.accounts.sealing import Credentials, Vault
from pregao.bootstrap.desk import build_desk
from pregao.bootstrap.forwarding import ensure_forwarding
from pregao.bootstrap.process import calm_collector, close_pool, now_utc, worker_name
from pregao.bootstrap.shared import build_vault
from pregao.demo import DEFAULT_FOLLOWERS, DEMO_FOLLOWERS, DemoDesk, default_bot, demo_bot, write_demo_page
from pregao.destinations.limit import ensure_limit
from pregao.domain.account import Venue
from pregao.domain.clock import Clock
from pregao.domain.destination import ForwardLimit
from pregao.domain.order import PositionMode
from pregao.edges.http.answers import intake_openapi
from pregao.edges.http.api import create_api
from pregao.edges.http.desk import Desk
from pregao.edges.http.intake import UVICORN_OPTIONS, Intake
from pregao.edges.http.live.feed import Feed, Look
from pregao.edges.paper.door import PaperDoor
from pregao.edges.postgres.bot_book import PostgresBotBook
from pregao.edges.postgres.doorbell import Doorbell
from pregao.edges.postgres.figures import PostgresTally
from pregao.edges.postgres.flattens import BELL as FLATTENS
from pregao.edges.postgres.group_commit import GroupCommit
from pregao.edges.postgres.happenings import PostgresHappenings
from pregao.edges.postgres.intake import WRITERS, PostgresIntake
from pregao.edges.postgres.journal import Journal, desk_id, open_journal
from pregao.edges.postgres.lab import ANSWERS_BELL, PostgresLabRuns
from pregao.edges.postgres.lab import BELL as LAB_BELL
from pregao.edges.postgres.screener import BELL as SCREENER
from pregao.edges.postgres.screener import PostgresScreener
from pregao.edges.postgres.trading_states import BELL as STATES
from pregao.edges.processes.roles import web_socket
from pregao.settings import Settings
from pregao.signals.ports import Arrival, Recorded, StoreAway
from pregao.trading.floor import STOPS_BELL
from pregao.views.bars import Bar, Bars, Window

CONNECTIONS_MAX = 8
EVERY_ADDRESS = frozenset({"0.0.0.0", "::"})  # what one listens on, nobody can be called at


async def serve_web(settings: Settings, *, clock: Clock = now_utc) -> None:
    """Serve webhooks and the API; until canceled."""
    journal = await open_journal(
        settings.database_url, connections_max=CONNECTIONS_MAX, worker=worker_name("web")
    )
    doorbell = Doorbell(settings.database_url)
    door = PaperDoor(settings.paper_address)
    vault = build_vault(settings, desk=await desk_id(journal))
    book = PostgresBotBook(journal.pool)
    server_is_stopping = asyncio.Event()
    screener = PostgresScreener(journal.pool)
    happenings = PostgresHappenings(journal.pool)
    feed = Feed(happenings, look=partial(_look, happenings, screener))
    bars = BarsWhenAsked(
        lambda: importlib.import_module("pregao.bootstrap.charting").VenueBars(
            settings, journal=journal, doorbell=doorbell, clock=clock
        )
    )
    lab_runs = PostgresLabRuns(journal.pool, ring=partial(doorbell.ring, LAB_BELL))
    desk = build_desk(
        settings,
        journal=journal,
        doorbell=doorbell,
        vault=vault,
        register_paper_account=partial(_register_on_paper, door),
        door=door,
        clock=clock,
        feed=feed,
        bars=bars,
        lab_runs=lab_runs,
        screener=screener,
        is_stopping=server_is_stopping.is_set,
    )
    arrivals = PostgresIntake(journal)
    commit: GroupCommit[Arrival, Recorded] = GroupCommit(
        arrivals.record, writers=WRITERS, fails_all=(StoreAway,)
    )
    intake = _build_intake(
        settings, desk=desk, book=book, arrivals=arrivals, commit=commit, doorbell=doorbell
    )
    _listen_to_bells(doorbell, book=book, lab_runs=lab_runs, intake=intake, feed=feed)
    await _ensure_forward_limit(settings, desk=desk)
    await doorbell.start()
    await book.start()
    await intake.start()
    await feed.start()
    calm_collector()
    demo = asyncio.create_task(
        _make_demo(settings, journal, vault=vault, door=door, doorbell=doorbell, clock=clock)
    )
    telling = asyncio.create_task(PostgresTally(journal.pool, worker_id=worker_name("web")).run())
    try:
        async with _listening(settings) as listener:
            server = uvicorn.Server(
                uvicorn.Config(intake, lifespan="off", log_config=None, **UVICORN_OPTIONS)
            )
            await _serve_until_canceled(server, listener, partial(_begin_stopping, server_is_stopping, feed))
    finally:
        demo.cancel()
        telling.cancel()
        await asyncio.gather(demo, telling, return_exceptions=True)
        await feed.close()
        await intake.close()
        await commit.close()
        await arrivals.close()
        await book.close()
        await doorbell.close()
        await bars.close()
        await close_pool(journal.pool)


def _build_intake(
    settings: Settings,
    *,
    desk: Desk,
    book: PostgresBotBook,
    arrivals: PostgresIntake,
    commit: GroupCommit[Arrival, Recorded],
    doorbell: Doorbell,
) -> Intake:
    """Put the webhooks in front of everything else that is asked over HTTP."""
    return Intake(
        create_api(desk, other_paths=intake_openapi()),
        book=book,
        record=commit.submit,
        arrivals=arrivals,
        receipts=desk.receipts,
        ring=partial(doorbell.ring, "signals"),
        clock=desk.clock,
        trusted_proxies=settings.trusted_proxies,
        webhook_wait_seconds=settings.webhook_wait_seconds,
        signal_age_seconds_max=int(settings.signal_age_seconds_max),
        queue_signals_max=settings.queue_signals_max,
    )


def _listen_to_bells(
    doorbell: Doorbell, *, book: PostgresBotBook, lab_runs: PostgresLabRuns, intake: Intake, feed: Feed
) -> None:
    doorbell.listen("bots", book.rung)
    doorbell.listen(ANSWERS_BELL, lab_runs.heard)
    doorbell.listen("receipts", intake.rung)
    for bell in ("receipts", "signals", "bots", "accounts", STATES, FLATTENS, STOPS_BELL, SCREENER):
        doorbell.listen(bell, feed.rung)


class ClosingBars(Bars, Protocol):
    """Candles of charts, and an end."""

    async def close(self) -> None:
        """Leave the venues."""
        ...


class BarsWhenAsked:
    """Candles of charts: who speaks with venues is loaded by the first who looks at one, and by none before."""

    def __init__(self, load: Callable[[], ClosingBars]) -> None:
        """Load nothing yet."""
        self._load = load
        self._loaded: ClosingBars | None = None

    async def bars(self, venue: Venue, symbol: str, window: Window) -> Sequence[Bar]:
        """Give the window's candles, oldest first."""
        if self._loaded is None:
            self._loaded = self._load()
        return await self._loaded.bars(venue, symbol, window)

    async def close(self) -> None:
        """Leave the venues, where one was asked."""
        if self._loaded is not None:
            await self._loaded.close()


async def _ensure_forward_limit(settings: Settings, *, desk: Desk) -> None:
    limit = ForwardLimit(
        max_per_minute=settings.forwards_per_minute_max, is_enabled=settings.forward_limit_enabled
    )
    async with desk.forward_limit_books.open() as book:
        await book.append(await ensure_limit(limit, set_by="settings", book=book, now=desk.clock()))


@contextlib.asynccontextmanager
async def _listening(settings: Settings) -> AsyncIterator[socket.socket]:
    listener = web_socket(settings)
    try:
        yield listener
    finally:
        listener.close()


def _begin_stopping(is_stopping: asyncio.Event, feed: Feed) -> None:
    """Say so, and end what would never end by itself."""
    is_stopping.set()
    feed.stop()


async def _look(happenings: PostgresHappenings, screener: PostgresScreener) -> Look:
    return Look(
        figures=await happenings.figures(),
        screener=await screener.status(),
        sellable=tuple(await happenings.sellable()),
    )


async def _serve_until_canceled(
    server: uvicorn.Server, listener: socket.socket, begin_stopping: Callable[[], None]
) -> None:
    """Let requests under way end before the server does."""
    serving = asyncio.create_task(server._serve(sockets=[listener]))  # noqa: SLF001  # its signals are ours already
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        begin_stopping()
        server.should_exit = True
        await serving
        raise


async def _register_on_paper(
    door: PaperDoor, credentials: Credentials, balance_usdt: Decimal, position_mode: PositionMode
) -> None:
    await door.open_account(
        key=credentials.key, secret=credentials.secret, balance_usdt=balance_usdt, position_mode=position_mode
    )


async def _make_demo(
    settings: Settings, journal: Journal, *, vault: Vault, door: PaperDoor, doorbell: Doorbell, clock: Clock
) -> None:
    """Make the demo desk as soon as the paper exchange answers; the desk serves meanwhile."""
    await ensure_forwarding(settings, journal, vault=vault, now=clock())
    doorbell.ring("bots")
    doorbell.ring(SCREENER)
    await door.wait_until_up()
    desk = DemoDesk(journal, vault=vault, register=partial(_register_on_paper, door))
    secret = settings.demo_secret.reveal()
    # Whoever forwards may reach real money: then nobody signals without the secret.
    is_open = settings.webhook_in_open and not settings.destination_url.reveal()
    default = default_bot(secret=secret, is_open=is_open, now=clock())
    await desk.ensure_bot(default, followers=DEFAULT_FOLLOWERS, now=clock())
    await desk.ensure_open(default.webhook_path, is_open=is_open, now=clock())
    if settings.demo:
        await desk.ensure_bot(demo_bot(secret=secret, now=clock()), followers=DEMO_FOLLOWERS, now=clock())
        host = "127.0.0.1" if settings.server_host in EVERY_ADDRESS else settings.server_host
        base_url = settings.public_url or f"http://{host}:{settings.server_port}"
        write_demo_page(settings.state_dir, base_url=base_url, secret=secret)
    doorbell.ring("bots")
    doorbell.ring("accounts")
