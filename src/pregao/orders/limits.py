"""What stops an entry on one account: each limit answers with its code and its numbers. Exits know no limits."""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from pregao.domain.account import EXCHANGES, Account, Venue
from pregao.domain.bot import Bot, EffectiveSettings, SubscriptionStatus, rules_of, settings_of
from pregao.domain.instrument import Instrument
from pregao.domain.market import Market, MarketView
from pregao.domain.money import ZERO, to_text
from pregao.domain.order import PositionSide, Side
from pregao.domain.risk import month_told
from pregao.domain.risk_rules import NO_RECORD, RiskRules
from pregao.domain.trading_state import TradingStates
from pregao.orders.denial import Denial
from pregao.orders.ports import Member, Obstacles, Tally, Usage
from pregao.orders.risk import denial_of_record
from pregao.orders.states import denial_of_entry


def denial_of_member(
    member: Member,
    *,
    bot: Bot,
    symbol: str,
    states: TradingStates,
    send_before: datetime,
    now: datetime,
) -> Denial | None:
    """Give why this account takes no entry on the symbol at all, whatever it holds; None when it does."""
    account, subscription = member.account, member.subscription
    if states.is_any_set:
        stopped = denial_of_entry(states, account=account, bot_id=bot.bot_id, symbol=symbol)
        if stopped is not None:
            return stopped
    if not account.is_active:
        return Denial(code="ACCOUNT_INACTIVE", reason=f"account={account.name}. Activate it to trade again.")
    if subscription.status is not SubscriptionStatus.ACTIVE:
        return Denial(
            code="SUBSCRIPTION_PAUSED", reason=f"status={subscription.status}. It only closes until resumed."
        )
    if subscription.symbols or bot.symbols:
        for level, rows in (("subscription", subscription.symbols), ("bot", bot.symbols)):
            if rows and not settings_of(rows, symbol).is_active:
                return Denial(
                    code="SYMBOL_DISABLED",
                    reason=f"symbol={symbol} level={level}. Its row of symbol settings is switched off.",
                )
    if now >= send_before:
        return expired(send_before, now=now)
    return None


def denial_of_short(account: Account, *, side: Side, symbol: str) -> Denial | None:
    """Give why nothing is sold first at a webhook: what is not held there cannot be closed by a sell."""
    if side is Side.BUY or account.venue in EXCHANGES:
        return None
    return Denial(
        code="NO_OPEN_POSITION",
        reason=f"symbol={symbol} account={account.name}. No open position found: a sell is forwarded only for what is held.",
    )


def denial_of_obstacle(
    obstacles: Obstacles, *, account_id: int, subscription_id: UUID, symbol: str, position_side: PositionSide
) -> Denial | None:
    """Give why no entry may meet what is on the account: not ours, not known, or certain to be refused."""
    if account_id in obstacles.unreconciled:
        return Denial(
            code="ACCOUNT_NOT_RECONCILED",
            reason=f"account={account_id}. A trader took the account over and does not know yet what happened on it "
            "meanwhile; it is asking the venue. Entries are taken again when it knows.",
        )
    if account_id in obstacles.forgotten:
        return Denial(
            code="SIGNAL_BEFORE_RESTORE",
            reason=f"account={account_id}. The database was put back after this signal came: it may have been traded "
            "already, and nothing is entered twice.",
        )
    quantity = obstacles.foreign.get((account_id, position_side))
    if quantity is None:
        grounded = obstacles.grounded and (
            obstacles.grounded.get((account_id, None))
            or obstacles.grounded.get((account_id, subscription_id))
        )
        return Denial(code=grounded.code, reason=grounded.reason) if grounded else None
    return Denial(
        code="FOREIGN_POSITION",
        reason=f"symbol={symbol} position_side={position_side} quantity={to_text(quantity)}. The account holds this "
        "beside the desk's own; close it at the venue, or adopt it.",
    )


def denial_of_instrument(account: Account, *, view: MarketView) -> Denial | None:
    """Give why the venue would not take the symbol for this account."""
    instrument = view.instrument
    if not instrument.is_trading:
        return Denial(
            code="SYMBOL_NOT_TRADING", reason=f"symbol={instrument.symbol}. The venue has halted it."
        )
    if instrument.margin_asset != account.margin_asset:
        return Denial(
            code="MARGIN_ASSET_UNSUPPORTED",
            reason=f"symbol={instrument.symbol} margin_asset={instrument.margin_asset} "
            f"account_margin_asset={account.margin_asset}.",
        )
    return None


def denial_of_holding(held: Decimal, *, added: Decimal, instrument: Instrument) -> Denial | None:
    """Give why a position may not grow by so much: one market order must always be able to close it."""
    if held + added <= instrument.market_quantity_max:
        return None
    return Denial(
        code="QUANTITY_ABOVE_MAXIMUM",
        reason=f"held={to_text(held)} quantity={to_text(added)} maximum={to_text(instrument.market_quantity_max)} "
        f"instrument={instrument.symbol}. One order could not close it any more.",
    )


def denial_of_outage(market: Market, *, venue: Venue, symbol: str) -> Denial | None:
    """Give why a venue, or a symbol there, takes no entry now: its breaker is open."""
    for code, name in (("VENUE_BREAKER_OPEN", ""), ("SYMBOL_BREAKER_OPEN", symbol)):
        until = market.outages.get((venue, name))
        if until is not None:
            what = f"venue={venue}" + (f" symbol={symbol}" if name else "")
            return Denial(
                code=code,
                reason=f"{what} next_try_at={until.isoformat()}. It does not answer; entries are tried again then, "
                "exits are sent all the time.",
            )
    return None


def denial_of_range(
    settings: EffectiveSettings, *, market: Market, venue: Venue, symbol: str
) -> Denial | None:
    """Give why a position could not be guarded as asked: its stop is so many ranges away, and nobody knows the range."""
    stop = settings.guard.stop
    if stop is None or (venue, symbol, stop.measure) in market.ranges:
        return None
    return Denial(
        code="RANGE_UNKNOWN",
        reason=f"venue={venue} symbol={symbol} timeframe={stop.timeframe} period={stop.period}. The venue has not told "
        "enough closed candles in time; nothing is entered whose stop nobody could place.",
    )


def expired(send_before: datetime, *, now: datetime) -> Denial:
    """Give the denial of an entry whose time has run out, with how late it is."""
    late = (now - send_before).total_seconds()
    return Denial(
        code="SIGNAL_EXPIRED",
        reason=f"send_before={send_before.isoformat()} late_seconds={late:.1f}. The price has moved on; nothing was sent.",
    )


def rules_asked(bot: Bot, members: Iterable[Member]) -> dict[UUID, RiskRules]:
    """Give the rules that ask what came of earlier positions, by subscription."""
    rules = {one.subscription.subscription_id: rules_of(bot, one.subscription) for one in members}
    return {subscription_id: one for subscription_id, one in rules.items() if one.looks_back}


def is_counted(bot: Bot, members: Iterable[Member], *, symbols: Iterable[str]) -> bool:
    """Say whether a limit of the bot or of a subscription asks what they hold already, or have lost today."""
    rows = [settings_of(bot.symbols, symbol) for symbol in symbols]
    limits = [
        bot.global_max_positions,
        bot.global_max_daily_loss_usd,
        *(row.max_positions for row in rows),
        *(row.max_daily_loss_usd for row in rows),
    ]
    return any(limit is not None for limit in limits) or any(
        one.subscription.symbols
        or one.subscription.max_daily_loss_usd is not None
        or (one.account.venue in EXCHANGES and one.subscription.max_concurrent_positions is not None)
        for one in members
    )


class Level(NamedTuple):
    """One subject of limits: who it is, and how much of each it may use; None is no limit."""

    key: tuple[str, Hashable]  # its name, and the subject
    positions_max: int | None
    loss_max: Decimal | None


class Allowance:
    """What a bot's subscribers may still enter on some symbols; what is planned with it counts at once."""

    def __init__(self, bot: Bot, *, usage: Usage, now: datetime) -> None:
        """Begin with what has been used."""
        self._bot = bot
        self._now = now
        self._records = usage.records
        self._months = usage.months
        self._users = usage.limited_users
        self._asked: tuple[Member, str, list[Level]] | None = None
        self._positions: Counter[tuple[str, Hashable]] = Counter()
        self._losses: dict[tuple[str, Hashable], Decimal] = {}
        self._wide: dict[str, list[Level]] = {}  # by symbol
        levels: tuple[tuple[str, Mapping[Any, Tally]], ...] = (
            ("subscription", usage.of_subscriptions),
            ("subscription_symbol", usage.of_subscriptions_on),
            ("user", usage.of_users),
            ("bot", {None: usage.of_bot}),
            ("bot_symbol", usage.of_bot_on),
        )
        for name, tallies in levels:
            for subject, tally in tallies.items():
                self._positions[name, subject] = tally.positions
                self._losses[name, subject] = tally.loss_usd

    def denial(self, member: Member, *, symbol: str, takes_place: bool) -> Denial | None:
        """
        Give the first limit that stops an entry: the month, the losses of the day, the risk rules, the places.

        An entry into a position that is there already takes no place.
        """
        owner = member.account.user_id
        month = None if owner is None else self._months.get(owner)
        if month is not None:
            return Denial(
                code="MONTHLY_DRAWDOWN",
                reason=f"{month_told(month, month=self._now.date())}. Wait for the next.",
            )
        levels = self._levels(member, symbol)
        for level in levels:
            if level.loss_max is None:
                continue
            lost = self._losses.get(level.key, ZERO)
            if lost >= level.loss_max:
                return Denial(
                    code="DAILY_LOSS_AT_LIMIT",
                    reason=f"level={level.key[0]} loss_usd={to_text(lost)} maximum={to_text(level.loss_max)}. "
                    "Daily loss limit reached; the next UTC day starts at 0.",
                )
        subscription = member.subscription
        rules = rules_of(self._bot, subscription)
        broken = (
            denial_of_record(rules, self._records.get(subscription.subscription_id, NO_RECORD), now=self._now)
            if rules.looks_back
            else None
        )
        if broken is not None or not takes_place:
            return broken
        for level in levels:
            live = self._positions.get(level.key, 0)
            if level.positions_max is not None and live >= level.positions_max:
                return Denial(
                    code="POSITIONS_AT_LIMIT",
                    reason=f"level={level.key[0]} live_positions={live} maximum={level.positions_max}. "
                    "Max concurrent positions reached.",
                )
        return None

    def take(self, member: Member, *, symbol: str) -> None:
        """Count one more position, on every level."""
        for level in self._levels(member, symbol):
            self._positions[level.key] += 1

    def _levels(self, member: Member, symbol: str) -> list[Level]:
        """Give the levels that count for a member; who may enter is counted next."""
        asked = self._asked
        if asked is None or asked[0] is not member or asked[1] != symbol:
            asked = self._asked = member, symbol, self._levels_of(member, symbol)
        return asked[2]

    def _levels_of(self, member: Member, symbol: str) -> list[Level]:
        subscription = member.subscription
        levels = [
            Level(
                ("subscription", subscription.subscription_id),
                # What is held at a webhook ties up nothing that the desk knows of: only the wider limits count there.
                subscription.max_concurrent_positions if member.account.venue in EXCHANGES else None,
                subscription.max_daily_loss_usd,
            ),
        ]
        if subscription.symbols:
            row = settings_of(subscription.symbols, symbol)
            levels.append(
                Level(
                    ("subscription_symbol", (subscription.subscription_id, symbol)),
                    row.max_positions,
                    row.max_daily_loss_usd,
                )
            )
        levels.extend(self._wide_levels(symbol))
        user = self._users.get(member.account.user_id) if member.account.user_id else None
        if user is not None:
            levels.append(Level(("user", user.user_id), user.max_positions, user.max_daily_loss_usd))
        return levels

    def _wide_levels(self, symbol: str) -> list[Level]:
        """Give the bot's own levels that have a limit."""
        known = self._wide.get(symbol)
        if known is None:
            row = settings_of(self._bot.symbols, symbol)
            bot = Level(("bot", None), self._bot.global_max_positions, self._bot.global_max_daily_loss_usd)
            here = Level(("bot_symbol", symbol), row.max_positions, row.max_daily_loss_usd)
            known = self._wide[symbol] = [
                level
                for level in (bot, here)
                if level.positions_max is not None or level.loss_max is not None
            ]
        return known
