"""What the API is given: the ports of the desk, bound by bootstrap, and the settings it shows."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pregao.accounts.ports import (
    AccountBooks,
    ClearBooks,
    CredentialStore,
    FlattenBooks,
    Logins,
    Passwords,
    RegisterPaperAccount,
    SecondFactorRules,
    SecondFactors,
    Tickets,
    TradingStateBooks,
    UserBooks,
)
from pregao.accounts.sealing import Vault
from pregao.alerts.channels import ChannelRules
from pregao.alerts.ports import AlertBooks
from pregao.bots.ports import BotBooks
from pregao.decisions.ports import ApprovalBooks
from pregao.destinations.ports import Destinations, LimitBooks
from pregao.domain.clock import Clock
from pregao.domain.sell_list import SellListRule
from pregao.edges.http.audit import RecordAction
from pregao.edges.http.live.feed import Feed
from pregao.edges.http.setting_books import SettingBooks
from pregao.lab.ports import LabBooks
from pregao.market.ports import ScreenerBooks
from pregao.market.strategies import ScreenerLimits
from pregao.orders.ports import AgainBooks
from pregao.positions.ports import DriftBooks, ForeignBooks, PositionBooks
from pregao.stops.by_hand import HandBooks
from pregao.views.actions import Actions
from pregao.views.activity import Activity
from pregao.views.alerts import Alerts
from pregao.views.approvals import Approvals
from pregao.views.backups import Backups
from pregao.views.bars import Bars
from pregao.views.breakers import BreakerStates
from pregao.views.configured import Configured
from pregao.views.deployments import Deployments
from pregao.views.destinations import ForwardLimits
from pregao.views.drift import Drifts
from pregao.views.figures import CounterBooks, Figures
from pregao.views.flatten import Flattens
from pregao.views.foreign import ForeignViews
from pregao.views.glance import Glance
from pregao.views.guard_story import GuardStories
from pregao.views.guarded import Guarded
from pregao.views.health import Health
from pregao.views.history import History
from pregao.views.lab import LabRuns
from pregao.views.operations import Operations
from pregao.views.overview import Overview
from pregao.views.people import People
from pregao.views.performance import Performances
from pregao.views.preflight import Preflights
from pregao.views.receipts import Receipts
from pregao.views.screener import ScreenerViews
from pregao.views.sell_list import SellList
from pregao.views.setting_changes import SettingChanges
from pregao.views.stops import StopReports
from pregao.views.story import Stories
from pregao.views.timeline import Timelines
from pregao.views.trading_state import TradingStateViews
from pregao.views.trips import Trips
from pregao.views.upkeep import Upkeep
from pregao.views.weights import Weights


def _never() -> bool:
    """Say no."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The ports and settings behind the API."""

    clock: Clock
    version: str
    admin_token: str = field(repr=False)
    metrics_token: str = field(repr=False)
    public_url: str  # empty: the address the request came to
    users: UserBooks
    logins: Logins
    passwords: Passwords
    second_factors: SecondFactors
    second_factor_rules: SecondFactorRules
    people: People
    actions: Actions
    setting_changes: SettingChanges
    record_action: RecordAction
    overview: Overview
    operations: Operations
    stop_reports: StopReports
    hand_books: HandBooks
    bots: BotBooks
    approval_books: ApprovalBooks
    again_books: AgainBooks
    accounts: AccountBooks
    trading_state_books: TradingStateBooks
    flatten_books: FlattenBooks
    clear_books: ClearBooks
    vault: Vault
    credentials: CredentialStore
    configured: Configured
    deployments: Deployments
    activity: Activity
    approvals: Approvals
    receipts: Receipts
    stories: Stories
    timelines: Timelines
    history: History
    trips: Trips
    performances: Performances
    trading_states: TradingStateViews
    flattens: Flattens
    glance: Glance
    guard_stories: GuardStories
    bars: Bars
    guarded: Guarded
    health: Health
    breakers: BreakerStates
    preflights: Preflights
    drifts: Drifts
    weights: Weights
    drift_books: DriftBooks
    foreign: ForeignViews
    foreign_books: ForeignBooks
    position_books: PositionBooks
    sell_list: SellList
    screener: ScreenerViews
    screener_books: ScreenerBooks
    screener_limits: ScreenerLimits
    upkeep: Upkeep
    destinations: Destinations
    figures: Figures
    counter_books: CounterBooks
    forward_limits: ForwardLimits
    forward_limit_books: LimitBooks
    setting_books: SettingBooks
    feed: Feed
    tickets: Tickets
    alerts: Alerts
    alert_books: AlertBooks
    channel_rules: ChannelRules
    backups: Backups
    lab_books: LabBooks
    lab_runs: LabRuns
    state_dir: Path  # where candles and reports of the lab are
    register_paper_account: RegisterPaperAccount
    paper_is_up: Callable[[], Awaitable[bool]]
    paper_market: Callable[[], Awaitable[str]]  # what its prices are: SIMULATED, TAPE, STILL; or nothing
    trusted_proxies: Sequence[str] = ()
    signal_age_seconds_max: int = 60
    sell_list_rule: SellListRule = field(default_factory=SellListRule)  # until somebody says another
    is_trading_by_hand: bool = True  # else only dry runs
    lab_answer_seconds_max: float = 15.0  # the first answer waits for the lab to start
    alert_test_seconds_max: float = 12.0  # how long a test of channels is waited for
    is_stopping: Callable[[], bool] = _never
