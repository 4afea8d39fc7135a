"""All that the API and the console ask, built over one database."""

from collections.abc import Callable
from functools import partial

from pregao import __version__
from pregao.accounts.ports import RegisterPaperAccount
from pregao.accounts.sealing import Vault
from pregao.bootstrap.backups import FolderBackups
from pregao.bootstrap.channels import channel_rules
from pregao.bootstrap.shared import screener_limits, sell_list_rule, standard_retention
from pregao.domain.alert import AlertLevel
from pregao.domain.clock import Clock
from pregao.edges.destinations import CheckedDestinations
from pregao.edges.http.desk import Desk
from pregao.edges.http.live.feed import Feed
from pregao.edges.paper.door import PaperDoor
from pregao.edges.postgres.accounts import PostgresAccountBooks
from pregao.edges.postgres.actions import PostgresActions
from pregao.edges.postgres.again import PostgresAgainBooks
from pregao.edges.postgres.alerts import BELL as ALERTS
from pregao.edges.postgres.alerts import PostgresAlertBooks, PostgresAlerts
from pregao.edges.postgres.approvals import PostgresApprovalBooks, PostgresApprovals
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
from pregao.edges.postgres.figures import PostgresCounterBooks, PostgresFigures
from pregao.edges.postgres.flattens import BELL as FLATTENS
from pregao.edges.postgres.flattens import PostgresFlattenBooks, PostgresFlattens
from pregao.edges.postgres.foreign import BELL as FOREIGN
from pregao.edges.postgres.foreign import PostgresForeign, PostgresForeignBooks
from pregao.edges.postgres.glance import PostgresGlance
from pregao.edges.postgres.guard_story import PostgresGuardStories
from pregao.edges.postgres.guarded import PostgresGuarded
from pregao.edges.postgres.history import PostgresHistory
from pregao.edges.postgres.journal import Journal
from pregao.edges.postgres.lab import PostgresLabBooks, PostgresLabRuns
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
from pregao.edges.vault.passwords import Argon2Passwords
from pregao.settings import Settings
from pregao.trading.floor import STOPS_BELL
from pregao.views.bars import Bars


def build_desk(
    settings: Settings,
    *,
    journal: Journal,
    doorbell: Doorbell,
    vault: Vault,
    register_paper_account: RegisterPaperAccount,
    door: PaperDoor,
    clock: Clock,
    feed: Feed,
    bars: Bars,
    lab_runs: PostgresLabRuns,
    screener: PostgresScreener,
    is_stopping: Callable[[], bool],
) -> Desk:
    """Give the desk as the web process serves it; what it changes rings those who act on it."""
    actions = PostgresActions(journal)
    return Desk(
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
        register_paper_account=register_paper_account,
        paper_is_up=door.is_up,
        paper_market=door.market,
        trusted_proxies=settings.trusted_proxies,
        signal_age_seconds_max=int(settings.signal_age_seconds_max),
        is_trading_by_hand=settings.trading_enabled,
        is_stopping=is_stopping,
    )


def _ring_both(doorbell: Doorbell) -> None:
    """A job that sells out has begun or was stopped, and with it a trading state may have been set."""
    doorbell.ring(FLATTENS)
    doorbell.ring(STATES)


def _ring_all(doorbell: Doorbell) -> None:
    """Nothing is left of what anybody remembers of positions, jobs and states."""
    for bell in (STOPS_BELL, FLATTENS, STATES, "accounts"):
        doorbell.ring(bell)
