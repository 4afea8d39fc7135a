"""
What was earned and lost: figures of closed positions by UTC day and symbol, and where they are fetched.

A position counts on the day it closed. Amounts are in the account's margin asset; shares and rates are rounded once,
at the end, halves away from zero.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import reduce
from itertools import accumulate
from operator import add
from typing import Protocol, TypeVar
from uuid import UUID

from pregao.domain.money import AMOUNT_STEP, ZERO
from pregao.domain.risk_rules import RiskRecord, RiskRules
from pregao.views.predictions import FilteredEntry, ModelBoard

Key = TypeVar("Key", date, str)

HUNDRED = Decimal(100)
RATE_STEP = Decimal("0.01")
SHARE_STEP = Decimal("0.0001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Sums over closed positions; two of them can be added."""

    closed: int = 0
    wins: int = 0  # earned more than 0
    losses: int = 0  # earned less than 0; 0 itself is neither
    pnl_usd: Decimal = ZERO  # after fees
    gross_pnl_usd: Decimal = ZERO  # before fees
    fees_usd: Decimal = ZERO
    loss_usd: Decimal = ZERO  # of the losing ones only, positive: a win takes nothing off it
    notional_usd: Decimal = ZERO  # what the entries cost
    forgiven_usd: Decimal = ZERO  # of the loss, by an operator
    counted_loss_usd: Decimal = (
        ZERO  # what limits compare: loss less what was forgiven, day by day and symbol
    )

    def __add__(self, other: "Results") -> "Results":
        """Give the sums over both."""
        return Results(**{name: getattr(self, name) + getattr(other, name) for name in RESULTS})

    @property
    def win_rate_pct(self) -> Decimal | None:
        """Give wins / (wins + losses) * 100, two decimals; None when there was neither."""
        return _share(Decimal(self.wins), Decimal(self.wins + self.losses), step=RATE_STEP)

    @property
    def pnl_pct(self) -> Decimal | None:
        """Give pnl / notional * 100, four decimals: on what was bought, not on the margin."""
        return _share(self.pnl_usd, self.notional_usd, step=SHARE_STEP)

    @property
    def average_pnl_usd(self) -> Decimal | None:
        """Give pnl / closed positions, eight decimals."""
        if not self.closed:
            return None
        return (self.pnl_usd / self.closed).quantize(AMOUNT_STEP, ROUND_HALF_UP)

    @property
    def profit_factor(self) -> Decimal | None:
        """Give what the winning ones earned / what the losing ones lost, four decimals; None without a loss."""
        if not self.loss_usd:
            return None
        return ((self.pnl_usd + self.loss_usd) / self.loss_usd).quantize(SHARE_STEP, ROUND_HALF_UP)


RESULTS = tuple(field.name for field in fields(Results))


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyLine:
    """One UTC day: its results, and those of all days up to it since the first result of all."""

    day: date
    results: Results
    cumulative: Results


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolLine:
    """What one symbol gave."""

    symbol: str
    results: Results


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """
    Some days in a row, every one of them listed, and what they come to.

    ``best_pnl_usd`` and ``worst_pnl_usd`` are single positions'.
    """

    first_day: date
    last_day: date
    today: Results  # of the last day alone
    results: Results
    all_time: Results  # from the first result of all to the last day
    daily: tuple[DailyLine, ...]
    symbols: tuple[SymbolLine, ...]
    best_pnl_usd: Decimal | None
    worst_pnl_usd: Decimal | None

    @property
    def drawdown_max_usd(self) -> Decimal:
        """
        Give how far the cumulative daily pnl fell at most below its highest point before, positive.

        The first point is where it stood before the first day; falls within a day do not show.
        """
        if not self.daily:
            return ZERO
        first = self.daily[0]
        before = first.cumulative.pnl_usd - first.results.pnl_usd
        points = [before, *(line.cumulative.pnl_usd for line in self.daily)]
        return max(peak - point for peak, point in zip(accumulate(points, max), points, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Executions:
    """What became of orders; every one is in exactly one of the four counts after ``received``."""

    received: int
    executed: int  # something filled
    failed: int  # rejected, canceled or expired without a fill
    skipped: int  # denied by a limit of ours: the venue never saw it
    pending: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgivenLine:
    """A loss an operator forgave: limits no longer count it, the results do."""

    day: date
    symbol: str
    forgiven_usd: Decimal
    forgiven_by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionPerformance:
    """How one subscription did; its executions are counted since it began."""

    subscription_id: UUID
    bot_id: UUID
    bot_name: str
    account_id: int
    account_name: str
    max_daily_loss_usd: Decimal
    open_loss_usd: (
        Decimal  # of live positions of which a part was closed on the last day; limits count it too
    )
    period: Period
    forgiven: tuple[ForgivenLine, ...]
    executions: Executions


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriberLine:
    """What one subscription of a bot came to."""

    subscription_id: UUID
    account_id: int
    account_name: str
    results: Results


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """
    How well orders were filled, on average over those with a fill; None without one.

    ``slippage_bps`` compares the average price with the price at the decision: positive is worse for the account.
    The ``_ms`` fields count from the signal's arrival.
    """

    slippage_bps: Decimal | None
    sent_ms: int | None
    acknowledged_ms: int | None
    booked_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BotPerformance:
    """How a bot did for all its subscribers; signals and executions are those that arrived in the period."""

    bot_id: UUID
    bot_name: str
    period: Period
    top_subscribers: tuple[SubscriberLine, ...]  # by what they earned in the period, most first
    signals: Mapping[str, int]  # how many stand at which status
    executions: Executions
    average: Execution


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskStanding:
    """What risk rules look at: the record, the live positions, and all that ever closed."""

    record: RiskRecord
    live_positions: int
    all_time: Results

    @property
    def win_rate(self) -> Decimal | None:
        """Give wins / (wins + losses) as a share; None until there was one of each."""
        if not self.all_time.wins or not self.all_time.losses:
            return None
        return Decimal(self.all_time.wins) / (self.all_time.wins + self.all_time.losses)

    @property
    def reward_to_risk(self) -> Decimal | None:
        """Give the average win over the average loss; None until there was one of each."""
        sums = self.all_time
        if not sums.wins or not sums.losses:
            return None
        return (sums.pnl_usd + sums.loss_usd) / sums.wins / (sums.loss_usd / sums.losses)


@dataclass(frozen=True, slots=True, kw_only=True)
class BotResults:
    """What one bot came to."""

    bot_id: UUID
    bot_name: str  # empty: it was forgotten
    results: Results


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountResults:
    """What one account came to."""

    account_id: int
    account_name: str
    results: Results


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Whose results are meant; what is None is not chosen by, and ``owner`` None is everybody."""

    owner: UUID | None = None
    bot_id: UUID | None = None
    subscription_id: UUID | None = None
    account_id: int | None = None
    symbol: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """How all that is chosen did, whole and by its parts; those that earned most come first."""

    period: Period
    bots: tuple[BotResults, ...]
    accounts: tuple[AccountResults, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultLine:
    """What one subscription gave on one symbol on one UTC day: all figures are sums of these."""

    day: date
    bot_id: UUID
    bot_name: str
    account_id: int
    account_name: str
    subscription_id: UUID
    symbol: str
    closed: int
    wins: int
    losses: int
    pnl_usd: Decimal
    gross_pnl_usd: Decimal
    fees_usd: Decimal
    loss_usd: Decimal
    notional_usd: Decimal


class Performances(Protocol):
    """Where they are fetched; each is seen at one moment."""

    async def find_subscription_performance(
        self, subscription_id: UUID, *, owner: UUID | None, first_day: date, last_day: date
    ) -> SubscriptionPerformance | None:
        """Give a subscription's; None when there is none, or its account is not the owner's (None: anybody's)."""
        ...

    async def risk_of(self, subscription_id: UUID, rules: RiskRules, *, day: date) -> RiskStanding:
        """Give what came of a subscription's positions, as these rules ask for it on a UTC day."""
        ...

    async def find_bot_performance(
        self, bot_id: UUID, *, first_day: date, last_day: date
    ) -> BotPerformance | None:
        """Give a bot's; None when there is no such bot."""
        ...

    async def find_model_board(self, bot_id: UUID, *, since: datetime) -> ModelBoard | None:
        """Give what a bot's model says and what became of its entries; None when there is no such bot."""
        ...

    async def filtered_entries(self, bot_id: UUID, *, since: datetime) -> Sequence[FilteredEntry]:
        """Give a bot's entries that only its model's filter stood before, oldest first."""
        ...

    async def performance(self, chosen: Chosen, *, first_day: date, last_day: date) -> Performance:
        """Give what is chosen: everything is zero where there is nothing like that."""
        ...

    async def days(self, chosen: Chosen, *, first_day: date, last_day: date) -> Period:
        """Give the days alone of what is chosen: no symbols, and no single position's best or worst."""
        ...

    async def bots(self, chosen: Chosen, *, first_day: date, last_day: date) -> Sequence[BotResults]:
        """Give what each bot came to, those that earned most first."""
        ...

    async def results(
        self, chosen: Chosen, *, first_day: date, last_day: date, after: ResultLine | None, limit: int
    ) -> Sequence[ResultLine]:
        """Give the lines that it is the sum of, by day, subscription and symbol."""
        ...


def to_period(
    *,
    days: Iterable[tuple[date, Results]],
    symbols: Iterable[tuple[str, Results]],
    before: Results,
    first_day: date,
    last_day: date,
    best_pnl_usd: Decimal | None,
    worst_pnl_usd: Decimal | None,
) -> Period:
    """Put together what each day and each symbol gave; ``before`` is the sum over all days before the first."""
    by_day, by_symbol = _grouped(days), _grouped(symbols)
    every_day = [first_day + timedelta(number) for number in range((last_day - first_day).days + 1)]
    daily = [by_day.get(day, Results()) for day in every_day]
    cumulative = list(accumulate(daily, initial=before))
    return Period(
        first_day=first_day,
        last_day=last_day,
        today=daily[-1],
        results=sum_of(daily),
        all_time=cumulative[-1],
        daily=tuple(
            DailyLine(day=day, results=one, cumulative=so_far)
            for day, one, so_far in zip(every_day, daily, cumulative[1:], strict=True)
        ),
        symbols=tuple(SymbolLine(symbol=symbol, results=by_symbol[symbol]) for symbol in sorted(by_symbol)),
        best_pnl_usd=best_pnl_usd,
        worst_pnl_usd=worst_pnl_usd,
    )


def sum_of(results: Iterable[Results]) -> Results:
    """Give the sums over all of them."""
    return reduce(add, results, Results())


def _grouped(results: Iterable[tuple[Key, Results]]) -> dict[Key, Results]:
    grouped: dict[Key, Results] = {}
    for key, one in results:
        grouped[key] = grouped.get(key, Results()) + one
    return grouped


def _share(part: Decimal, whole: Decimal, *, step: Decimal) -> Decimal | None:
    return (part / whole * HUNDRED).quantize(step, ROUND_HALF_UP) if whole else None
