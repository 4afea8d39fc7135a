"""
Turn what happened, and what stands, into alerts: once each, to whoever wants to hear them.

Takes the facts of `table.py`. Gives AlertRaised, and puts each alert on its way in the same transaction.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from pregao.alerts.audience import TRADES, Audience
from pregao.alerts.conditions import say_condition, say_over
from pregao.alerts.ports import (
    WIN_RATE_MIN,
    WIN_RATE_TRADES_MIN,
    Queued,
    TellingBook,
    TellingWork,
    WinRate,
)
from pregao.alerts.table import Names, Saying, say, trade_level
from pregao.domain.alert import Alert, AlertKind, AlertLevel
from pregao.domain.clock import Clock
from pregao.domain.facts import AlertRaised, Fact, PositionChanged
from pregao.domain.money import HUNDRED, ZERO, to_text

LOOK_SECONDS = 1.0
WATCH_SECONDS = 5.0  # between two looks at what stands
FACTS_PER_LOOK = 2_000
WINDOW = timedelta(minutes=10)  # within it the same trouble is told once
MICROSECOND = timedelta(microseconds=1)
MONEY_SHOWN = Decimal("0.01")

NewId = Callable[[datetime], UUID]


async def tell_facts(facts: Sequence[Fact], *, book: TellingBook, new_id: NewId, now: datetime) -> list[Fact]:
    """Give the alerts of facts; each goes to the desk, and to the user whose account it is about."""
    if not facts:
        return []
    names = await book.names_of(facts)
    audience = await book.audience()
    told = [saying for fact in facts if (saying := say(fact, names)) is not None]
    trades = [fact for fact in facts if isinstance(fact, PositionChanged)]
    for_desk = [one for one in told if one.kind not in TRADES] + desk_trades(trades, names)
    if trades and audience.is_wanted(AlertKind.WIN_RATE_HIGH, AlertLevel.INFO, None):
        bots = sorted({fact.position.bot_id for fact in trades})
        rates = await book.win_rates(bots, now=now)
        for_desk += [saying for one in rates if (saying := say_win_rate(one, names, now=now)) is not None]
    for_owners = [one for one in told if one.user_id is not None]
    return await _raise(
        [(one, None) for one in for_desk] + [(one, one.user_id) for one in for_owners],
        audience=audience,
        book=book,
        new_id=new_id,
        now=now,
    )


async def tell_conditions(*, book: TellingBook, new_id: NewId, now: datetime) -> list[Fact]:
    """Give the alerts of what stands since the last look, and of what stands no longer."""
    begun = [say_condition(one) for one in await book.new_conditions()]
    over = [say_over(key) for key in await book.ended_conditions()]
    if not begun and not over:
        return []
    audience = await book.audience()
    return await _raise(
        [(one, None) for one in (*begun, *over)], audience=audience, book=book, new_id=new_id, now=now
    )


async def tell_failures(
    role: str, failures: Sequence[tuple[str, str]], *, book: TellingBook, new_id: NewId, now: datetime
) -> list[Fact]:
    """Give the alerts of what failed in a process: what was logged, and the name of what was raised."""
    sayings = [say_failure(role, event, error) for event, error in failures]
    return await _raise(
        [(one, None) for one in sayings], audience=await book.audience(), book=book, new_id=new_id, now=now
    )


def say_failure(role: str, event: str, error: str) -> Saying:
    """Give what is told of a failure; what it said stays in the log, where secrets are masked."""
    return Saying(
        kind=AlertKind.SYSTEM_ERROR,
        code="PROCESS_FAILED",
        about=role,
        level=AlertLevel.CRITICAL,
        title=f"{role}: {error}",
        text=f"{event}. The desk itself failed there; the log of {role} says where.",
        key=f"system_error:{role}:{event}:{error}",
        subject=f"system_error:{role}",
        numbers={"role": role, "event": event, "error": error},
    )


def desk_trades(trades: Sequence[PositionChanged], names: Names) -> list[Saying]:
    """Give one saying for each bot and symbol: a signal of a thousand accounts is one line to the desk."""
    by_place: dict[tuple[UUID, str, bool], list[PositionChanged]] = defaultdict(list)
    for fact in trades:
        position = fact.position
        by_place[position.bot_id, position.symbol, position.realized_pnl < ZERO].append(fact)
    return [
        _desk_trade(group, names, bot_id=bot_id, symbol=symbol, is_loss=is_loss)
        for (bot_id, symbol, is_loss), group in by_place.items()
    ]


def _desk_trade(
    group: Sequence[PositionChanged], names: Names, *, bot_id: UUID, symbol: str, is_loss: bool
) -> Saying:
    pnl = sum((fact.position.realized_pnl for fact in group), ZERO)
    fees = sum((fact.position.fees for fact in group), ZERO)
    first = min(fact.position.position_id for fact in group)
    closed = f"{len(group)} positions" if len(group) > 1 else names.account(group[0].account_id)
    return Saying(
        kind=AlertKind.TRADE_EXECUTED,
        code="TRADE_CLOSED",
        about=symbol,
        level=trade_level(is_loss),
        title=f"{symbol}: closed with {to_text(pnl.quantize(MONEY_SHOWN))}",
        text=f"{names.bot(bot_id)}, {closed}.",
        key=f"trade:{bot_id}:{symbol}:{is_loss}:{first}:{group[0].happened_at.isoformat()}",
        subject=f"bot:{bot_id}:{symbol}",
        numbers={
            "bot": names.bot(bot_id),
            "positions": str(len(group)),
            "pnl": to_text(pnl),
            "fees": to_text(fees),
        },
        bot_id=bot_id,
        once=True,
    )


def say_win_rate(one: WinRate, names: Names, *, now: datetime) -> Saying | None:
    """Give what is told of a bot that wins far more often than it loses; once a day."""
    counted = one.wins + one.losses
    if counted < WIN_RATE_TRADES_MIN or Decimal(one.wins) / counted < WIN_RATE_MIN:
        return None
    percent = to_text((HUNDRED * one.wins / counted).quantize(MONEY_SHOWN))
    return Saying(
        kind=AlertKind.WIN_RATE_HIGH,
        code="BOT_WINS_OFTEN",
        about=names.bot(one.bot_id),
        level=AlertLevel.INFO,
        title=f"{names.bot(one.bot_id)} won {percent} percent",
        text=f"{one.wins} won and {one.losses} lost within thirty days.",
        key=f"win_rate:{one.bot_id}:{now:%Y-%m-%d}",
        subject=f"bot:{one.bot_id}",
        numbers={"win_rate_percent": percent, "trades": str(counted)},
        bot_id=one.bot_id,
        once=True,
    )


async def _raise(
    sayings: Sequence[tuple[Saying, UUID | None]],
    *,
    audience: Audience,
    book: TellingBook,
    new_id: NewId,
    now: datetime,
) -> list[Fact]:
    raised: list[Alert] = []
    for one, user_id in sayings:
        if not audience.is_wanted(one.kind, one.level, user_id):
            continue
        since = None if one.once else now - WINDOW
        kept_back = await book.keep_back(one.key, user_id=user_id, since=since, now=now)
        if kept_back is not None:
            # A microsecond apart: their ids sort as they were raised, and they are carried in that order.
            alert = _alert(one, user_id=user_id, alert_id=new_id(now + len(raised) * MICROSECOND))
            raised.append(replace(alert, repeats=kept_back))
    facts: list[Fact] = [AlertRaised(happened_at=now, alert=alert) for alert in raised]
    await book.append(facts)
    await book.queue(
        [
            Queued(alert=alert, channel_id=channel.channel_id, is_muted=audience.is_muted(alert, now=now))
            for alert in raised
            for channel in audience.hearing(alert)
        ]
    )
    return facts


def _alert(one: Saying, *, user_id: UUID | None, alert_id: UUID) -> Alert:
    return Alert(
        alert_id=alert_id,
        kind=one.kind,
        level=one.level,
        title=one.title,
        text=one.text,
        code=one.code,
        about=one.about,
        numbers=one.numbers,
        dedupe_key=one.key,
        subject=one.subject,
        user_id=user_id,
        account_id=one.account_id,
        bot_id=one.bot_id,
    )


class Telling:
    """The loop of one process at a time, under a lease; ``follow`` is called again and again."""

    def __init__(
        self, work: TellingWork, *, new_id: NewId, clock: Clock, monotonic: Callable[[], float]
    ) -> None:
        """Read and write through ``work``."""
        self._work = work
        self._new_id = new_id
        self._clock = clock
        self._monotonic = monotonic
        self._watch_at = monotonic()
        self._rung = asyncio.Event()

    def rung(self, _words: str = "") -> None:
        """Look at once."""
        self._rung.set()

    async def follow(self) -> None:
        """Tell what has happened since the last look; then wait a second, or for a ring."""
        self._rung.clear()
        if await self._work.hold():
            while await self.look():
                pass
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await self._rung.wait()

    async def look(self) -> bool:
        """Tell of one batch of facts, and now and then of what stands; say whether more waits."""
        async with self._work.open() as book:
            if not await book.is_ours():
                return False
            facts = await book.next_facts(limit=FACTS_PER_LOOK)
            await tell_facts(facts, book=book, new_id=self._new_id, now=self._clock())
            if self._monotonic() >= self._watch_at:
                self._watch_at = self._monotonic() + WATCH_SECONDS
                await tell_conditions(book=book, new_id=self._new_id, now=self._clock())
        return len(facts) == FACTS_PER_LOOK
