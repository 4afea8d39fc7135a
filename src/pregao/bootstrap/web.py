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

from pregao import __version__
from pregao.accounts.sealing import Credentials, Vault
from pregao.bootstrap.backups import FolderBackups
from pregao.bootstrap.channels import channel_rules
from pregao.bootstrap.forwarding import ensure_forwarding
from pregao.bootstrap.process import calm_collector, close_pool, now_utc, worker_name
from pregao.bootstrap.shared import build_vault, screener_limits, sell_list_rule, standard_retention
from pregao.demo import DEFAULT_FOLLOWERS, DEMO_FOLLOWERS, DemoDesk, default_bot, demo_bot, write_demo_page
from pregao.destinations.limit import ensure_limit
from pregao.domain.account import Venue
from pregao.domain.alert import AlertLevel
from pregao.domain.clock import Clock
from pregao.domain.destination import ForwardLimit
from pregao.domain.order import PositionMode
from pregao.edges.destinations import CheckedDestinations
from pregao.edges.http.answers import intake_openapi
from pregao.edges.http.api import create_api
from pregao.edges.http.desk import Desk
from pregao.edges.http.intake import UVICORN_OPTIONS, Intake
from pregao.edges.http.live.feed import Feed, Look
from pregao.edges.paper.door import PaperDoor
from pregao.edges.postgres.accounts import PostgresAccountBooks
from pregao.edges.postgres.actions import PostgresActions
from pregao.edges.postgres.again import PostgresAgainBooks
from pregao.edges.postgres.alerts import BELL as ALERTS
from pregao.edges.postgres.alerts import PostgresAlertBooks, PostgresAlerts
from pregao.edges.postgres.approvals import PostgresApprovalBooks, PostgresApprovals
from pregao.edges.postgres.bot_book import PostgresBotBook
from pregao.edges.postgres.bots import PostgresBotBooks
from pregao.edges.postgres.breakers import PostgresBreakerStates
from pregao.edges.postgres.by_hand import PostgresPositionBooks, PostgresSellList
from pregao.edges.postgres.clear import PostgresClearBooks
from pregao.edges.postgres.configured import PostgresConfigured
from pregao.edges.postgres.credentials import PostgresCredentials
from pregao.edges.postgres.deployments import PostgresDeployments
from pregao.edges.postgres.destinations import BELL as DESTINATIONS
from pregao.edges.postgres.destinations import PostgresForwardLimits, PostgresLimitBooks
from pregao.edges.postgres.doorbell import Doorbell
from pregao.edges.postgres.drift import PostgresDriftBooks, PostgresDrifts
from pregao.edges.postgres.figures import PostgresCounterBooks, PostgresFigures, PostgresTally
from pregao.edges.postgres.flattens import BELL as FLATTENS
from pregao.edges.postgres.flattens import PostgresFlattenBooks, PostgresFlattens
from pregao.edges.postgres.foreign import BELL as FOREIGN
from pregao.edges.postgres.foreign import PostgresForeign, PostgresForeignBooks
from pregao.edges.postgres.glance import PostgresGlance
from pregao.edges.postgres.group_commit import GroupCommit
from pregao.edges.postgres.guard_story import PostgresGuardStories
from pregao.edges.postgres.guarded import PostgresGuarded
from pregao.edges.postgres.happenings import PostgresHappenings
from pregao.edges.postgres.history import PostgresHistory
from pregao.edges.postgres.intake import WRITERS, PostgresIntake
from pregao.edges.postgres.journal import Journal, desk_id, open_journal
from pregao.edges.postgres.lab import ANSWERS_BELL, PostgresLabBooks, PostgresLabRuns
from pregao.edges.postgres.lab import BELL as LAB_BELL
from pregao.edges.postgres.logins import PostgresLogins
from pregao.edges.postgres.operations import PostgresOperations
from pregao.edges.postgres.overview import PostgresOverview
from pregao.edges.postgres.people import PostgresPeople
from pregao.edges.postgres.performance import PostgresPerformances
from pregao.edges.postgres.preflights import BELL as PREFLIGHT
from pregao.edges.postgres.preflights import PostgresPreflights
from pregao.edges.postgres.screener import BELL as SCREENER
from pregao.edges.postgres.screener import PostgresScreener, PostgresScreenerBooks
from pregao.edges.postgres.second_factors import PostgresSecondFactorRules, PostgresSecondFactors
from pregao.edges.postgres.setting_books import PostgresSettingBooks
from pregao.edges.postgres.setting_changes import PostgresSettingChanges
from pregao.edges.postgres.stop_books import PostgresHandBooks
from pregao.edges.postgres.stop_reports import PostgresStopReports
from pregao.edges.postgres.story import PostgresStories
from pregao.edges.postgres.tickets import PostgresTickets
from pregao.edges.postgres.timeline import PostgresTimelines
from pregao.edges.postgres.trading_states import BELL as STATES
from pregao.edges.postgres.trading_states import PostgresTradingStateBooks, PostgresTradingStates
from pregao.edges.postgres.trips import PostgresTrips
from pregao.edges.postgres.upkeep import PostgresUpkeep
from pregao.edges.postgres.users import PostgresUserBooks
from pregao.edges.postgres.views import PostgresActivity, PostgresHealth, PostgresReceipts
from pregao.edges.postgres.weights import PostgresWeights
from pregao.edges.processes.roles import web_socket
from pregao.edges.vault.passwords import Argon2Passwords
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
    actions = PostgresActions(journal)
    screener = PostgresScreener(journal.pool)
    happenings = PostgresHappenings(journal.pool)
    feed = Feed(happenings, look=partial(_look, happenings, screener))
    bars = BarsWhenAsked(
        lambda: importlib.import_module("pregao.bootstrap.charting").VenueBars(
            settings, journal=journal, doorbell=doorbell, clock=clock
        )
    )
    lab_runs = PostgresLabRuns(journal.pool, ring=partial(doorbell.ring, LAB_BELL))
    desk = Desk(
        clock=clock,
        version=__version__,
        admin_token=settings.admin_token.reveal(),
        metrics_token=settings.metrics_token.reveal(),
        public_url=settings.public_url,
        users=PostgresUserBooks(journal),
        logins=PostgresLogins(journal.pool),
        passwords=Argon2Passwords(),
        second_factors=PostgresSecondFactors(journal.pool, vault=vault),
        second_factor_rules=PostgresSecondFactorRules(journal),
        people=PostgresPeople(journal.pool),
        actions=actions,
        record_action=actions.record,
        setting_changes=PostgresSettingChanges(journal.pool),
        overview=PostgresOverview(journal.pool),
        operations=PostgresOperations(journal.pool),
        stop_reports=PostgresStopReports(journal.pool),
        hand_books=PostgresHandBooks(journal, ring=partial(doorbell.ring, STOPS_BELL)),
        bots=PostgresBotBooks(
            journal, ring=partial(doorbell.ring, "bots"), ring_signals=partial(doorbell.ring, "signals")
        ),
        approval_books=PostgresApprovalBooks(journal, ring=partial(doorbell.ring, "signals")),
        again_books=PostgresAgainBooks(journal, ring=partial(doorbell.ring, "signals")),
        accounts=PostgresAccountBooks(journal, ring=partial(doorbell.ring, "accounts")),
        trading_state_books=PostgresTradingStateBooks(journal, ring=partial(doorbell.ring, STATES)),
        flatten_books=PostgresFlattenBooks(journal, ring=partial(_ring_both, doorbell)),
        clear_books=PostgresClearBooks(journal, ring=partial(_ring_all, doorbell)),
        vault=vault,
        credentials=PostgresCredentials(journal.pool, vault=vault),
        configured=PostgresConfigured(journal.pool),
        deployments=PostgresDeployments(journal.pool),
        activity=PostgresActivity(journal.pool),
        approvals=PostgresApprovals(journal.pool),
        receipts=PostgresReceipts(journal.pool),
        stories=PostgresStories(journal.pool),
        timelines=PostgresTimelines(journal.pool),
        history=PostgresHistory(journal),
        trips=PostgresTrips(journal.pool),
        performances=PostgresPerformances(journal.pool),
        trading_states=PostgresTradingStates(journal.pool),
        flattens=PostgresFlattens(journal.pool),
        glance=PostgresGlance(journal.pool),
        guard_stories=PostgresGuardStories(journal.pool),
        bars=bars,
        guarded=PostgresGuarded(journal.pool),
        health=PostgresHealth(journal.pool),
        breakers=PostgresBreakerStates(journal.pool),
        preflights=PostgresPreflights(journal.pool, ring=partial(doorbell.ring, PREFLIGHT)),
        drifts=PostgresDrifts(journal.pool),
        weights=PostgresWeights(journal.pool),
        drift_books=PostgresDriftBooks(journal, clock=clock),
        foreign=PostgresForeign(journal.pool, ring=partial(doorbell.ring, FOREIGN)),
        foreign_books=PostgresForeignBooks(journal, ring=partial(doorbell.ring, FOREIGN)),
        position_books=PostgresPositionBooks(
            journal, clock=clock, ring_signals=partial(doorbell.ring, "signals")
        ),
        sell_list=PostgresSellList(journal.pool),
        sell_list_rule=sell_list_rule(settings),
        screener=screener,
        screener_books=PostgresScreenerBooks(
            journal, ring=partial(doorbell.ring, SCREENER), ring_signals=partial(doorbell.ring, "signals")
        ),
        screener_limits=screener_limits(settings),
        upkeep=PostgresUpkeep(journal, standard=standard_retention(settings)),
        destinations=CheckedDestinations(settings.destinations_allowed),
        figures=PostgresFigures(journal.pool),
        counter_books=PostgresCounterBooks(journal),
        forward_limits=PostgresForwardLimits(journal.pool),
        forward_limit_books=PostgresLimitBooks(journal, ring=partial(doorbell.ring, DESTINATIONS)),
        setting_books=PostgresSettingBooks(
            journal,
            ring_accounts=partial(doorbell.ring, "accounts"),
            ring_screener=partial(doorbell.ring, SCREENER),
            ring_limit=partial(doorbell.ring, DESTINATIONS),
        ),
        feed=feed,
        tickets=PostgresTickets(journal.pool),
        alerts=PostgresAlerts(journal.pool, level=AlertLevel(settings.alert_min_level)),
        alert_books=PostgresAlertBooks(journal, vault=vault, ring=partial(doorbell.ring, ALERTS)),
        channel_rules=channel_rules(settings),
        backups=FolderBackups(settings.state_dir, dsn=settings.database_url),
        lab_books=PostgresLabBooks(journal),
        lab_runs=lab_runs,
        state_dir=settings.state_dir,
        register_paper_account=partial(_register_on_paper, door),
        paper_is_up=door.is_up,
        paper_market=door.market,
        trusted_proxies=settings.trusted_proxies,
        signal_age_seconds_max=int(settings.signal_age_seconds_max),
        is_trading_by_hand=settings.trading_enabled,
        is_stopping=server_is_stopping.is_set,
    )
    arrivals = PostgresIntake(journal)
    commit: GroupCommit[Arrival, Recorded] = GroupCommit(
        arrivals.record, writers=WRITERS, fails_all=(StoreAway,)
    )
    intake = Intake(
        create_api(desk, other_paths=intake_openapi()),
        book=book,
        record=commit.submit,
        arrivals=arrivals,
        receipts=desk.receipts,
        ring=partial(doorbell.ring, "signals"),
        clock=clock,
        trusted_proxies=settings.trusted_proxies,
        webhook_wait_seconds=settings.webhook_wait_seconds,
        signal_age_seconds_max=int(settings.signal_age_seconds_max),
        queue_signals_max=settings.queue_signals_max,
    )
    doorbell.listen("bots", book.rung)
    doorbell.listen(ANSWERS_BELL, lab_runs.heard)
    doorbell.listen("receipts", intake.rung)
    for bell in ("receipts", "signals", "bots", "accounts", STATES, FLATTENS, STOPS_BELL, SCREENER):
        doorbell.listen(bell, feed.rung)
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


def _ring_both(doorbell: Doorbell) -> None:
    """A job that sells out has begun or was stopped, and with it a trading state may have been set."""
    doorbell.ring(FLATTENS)
    doorbell.ring(STATES)


async def _ensure_forward_limit(settings: Settings, *, desk: Desk) -> None:
    limit = ForwardLimit(
        max_per_minute=settings.forwards_per_minute_max, is_enabled=settings.forward_limit_enabled
    )
    async with desk.forward_limit_books.open() as book:
        await book.append(await ensure_limit(limit, set_by="settings", book=book, now=desk.clock()))


def _ring_all(doorbell: Doorbell) -> None:
    """Nothing is left of what anybody remembers of positions, jobs and states."""
    for bell in (STOPS_BELL, FLATTENS, STATES, "accounts"):
        doorbell.ring(bell)


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
