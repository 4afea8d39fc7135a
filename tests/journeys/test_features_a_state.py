"""
System A's state in PostgreSQL: what is remembered for a while, what is forgotten, and when the desk is not well.

Each story says which feature of the source's list it proves.
"""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.domain.alert import Alert, AlertKind, AlertLevel
from pregao.domain.facts import (
    AlertRaised,
    DecisionApproved,
    DecisionDeclined,
    DeliveryTurnedAway,
    Fact,
    HealthAlarmed,
    OrderPlanned,
    OrderRejected,
    PositionChanged,
    SignalPlanned,
    SignalReceived,
    UserConfigured,
)
from pregao.domain.upkeep import AlarmName, Retention, Severity, Vitals, alarms_of, cutoffs_of
from pregao.domain.user import Role, User
from pregao.edges.ids import uuid7
from pregao.edges.postgres.cache import PostgresCache
from pregao.edges.postgres.figures import PostgresFigures
from pregao.edges.postgres.rebuild import compare_with_journal
from pregao.edges.postgres.upkeep import PostgresUpkeep
from pregao.edges.postgres.workers import Workers
from pregao.views.upkeep import Forgotten
from tests.builders import BOT_ID, arrival, booked, closed, held, instruction
from tests.edges.http.api.test_receipts import planned
from tests.journeys.conftest import now

NEWEST = 1_000


def planned_at(at: datetime, *, signal_id: UUID, number: int) -> list[Fact]:
    """Give a signal that was approved and planned for one account, whose number its position has too."""
    asked = instruction(now=at)
    order: OrderPlanned = planned(
        number,
        happened_at=at,
        signal_id=signal_id,
        send_before=at + timedelta(seconds=60),
    )
    return [
        *arrival(asked, signal_id=signal_id, now=at),
        DecisionApproved(happened_at=at, signal_id=signal_id, bot_id=BOT_ID, instruction=asked, verdicts=()),
        SignalPlanned(happened_at=at, signal_id=signal_id, bot_id=BOT_ID, accounts=1, orders=1),
        order,
    ]


def entered_at(at: datetime, *, number: int) -> list[Fact]:
    """Give a signal whose one order was filled, and what that holds."""
    signal_id = uuid7(at)
    fill = booked(str(number), order_id=f"p{number}", position_id=number)
    return [
        *planned_at(at, signal_id=signal_id, number=number),
        replace(fill, happened_at=at, account_id=number, signal_id=signal_id),
        PositionChanged(happened_at=at, position=_held(at, number=number, signal_id=signal_id)),
    ]


def traded_at(at: datetime, *, number: int) -> list[Fact]:
    """Give a signal that opened a position, and its close a minute later."""
    entered = entered_at(at, number=number)
    last = entered[-1]
    assert isinstance(last, PositionChanged)
    later = at + timedelta(minutes=1)
    over = PositionChanged(happened_at=later, position=closed(last.position, at=later, pnl="1"))
    return [*entered, over]


def _held(at: datetime, *, number: int, signal_id: UUID):
    return replace(
        held(position_id=number),
        account_id=number,
        subscription_id=UUID(int=number),
        signal_id=signal_id,
        opened_at=at,
    )


def by_kind(facts: list[list[Fact]]) -> list[Fact]:
    """Give many stories as one batch: what happened first in each of them, then what happened next."""
    return [fact for step in zip(*facts, strict=True) for fact in step]


@pytest.fixture
def upkeep(desk):
    return PostgresUpkeep(desk.journal, standard=Retention())


def raised(at: datetime, *, user_id: UUID | None = None) -> AlertRaised:
    """Give an alert of that instant."""
    alert = Alert(
        alert_id=uuid7(at),
        kind=AlertKind.SYSTEM_ERROR,
        level=AlertLevel.CRITICAL,
        title="It failed",
        text="Somewhere.",
        numbers={},
        dedupe_key="k",
        subject="s",
        user_id=user_id,
    )
    return AlertRaised(happened_at=at, alert=alert)


# Of facts this young a count waits for whatever else is under way on the server; of a month's it need not.
NOBODY_BEFORE = (
    "SELECT max(xid::text::bigint) < pg_snapshot_xmin(pg_current_snapshot())::text::bigint FROM journal"
)


async def trades_counted(desk) -> int:
    found = await PostgresFigures(desk.journal.pool).readings()
    return sum(one.value for one in found if one.name == "deriv_bot_trades_total")


async def count(desk, table: str) -> int:
    return (await desk.rows(f"SELECT count(*)::int AS n FROM {table}"))[0]["n"]


class TestForgetting:
    """F027: what is over and old is forgotten, and never what anything still hangs on."""

    async def test_keeps_the_newest_thousand_and_forgets_the_rest_with_all_that_belongs_to_it(
        self, desk, upkeep
    ):
        old = now() - timedelta(days=40)
        await desk.put(by_kind([traded_at(old, number=number) for number in range(1, NEWEST + 6)]))
        foreseen = await upkeep.foresee(now=now())
        before = await count(desk, "positions")

        forgotten = await upkeep.forget(now=now())

        assert (foreseen.positions, foreseen.signals, before) == (5, 5, NEWEST + 5)
        assert (forgotten.positions, forgotten.signals) == (5, 5)
        kept = await desk.rows("SELECT min(position_id) AS first, count(*)::int AS n FROM positions")
        assert tuple(kept[0]) == (6, NEWEST)
        assert {table: await count(desk, table) for table in ("orders", "fills", "signals")} == {
            "orders": NEWEST, "fills": NEWEST, "signals": NEWEST,
        }  # fmt: skip
        orphans = """
            SELECT (SELECT count(*) FROM orders AS o LEFT JOIN signals AS s USING (signal_id) WHERE s IS NULL)
                 + (SELECT count(*) FROM fills AS f LEFT JOIN orders AS o USING (order_id) WHERE o IS NULL)
                 + (SELECT count(*) FROM positions AS p LEFT JOIN signals AS s USING (signal_id) WHERE s IS NULL) AS n
            """
        assert (await desk.rows(orphans))[0]["n"] == 0
        results = await desk.rows("SELECT sum(closed)::int AS n FROM daily_results")
        assert results[0]["n"] == NEWEST + 5, "what was earned is not forgotten"
        assert (await compare_with_journal(desk.journal)).differences == ()
        assert await upkeep.forget(now=now()) == Forgotten(), "there is nothing more"

    @pytest.mark.parametrize(("days", "is_kept"), [(6.9, True), (7.1, False)])
    async def test_keeps_the_last_seven_days_whatever_was_set(self, desk, upkeep, days, is_kept):
        await upkeep.set_retention(Retention(signal_days=1), set_by="ana", now=now())
        await desk.put(_declined(now() - timedelta(days=days)))

        await upkeep.forget(now=now())

        assert (await count(desk, "signals") == 1) is is_kept

    @pytest.mark.parametrize("asked", [1, 6, 7])
    def test_a_retention_of_less_than_seven_days_acts_as_seven(self, asked):
        at = now()

        assert cutoffs_of(Retention(signal_days=asked), now=at).signals == at - timedelta(days=7)

    async def test_keeps_what_is_live_and_the_signals_it_hangs_on(self, desk, upkeep):
        old = now() - timedelta(days=40)
        await desk.put(entered_at(old, number=1))
        await desk.put(planned_at(old, signal_id=uuid7(old), number=2))
        newer = [traded_at(old, number=number) for number in range(3, NEWEST + 4)]
        await desk.put(by_kind(newer))

        forgotten = await upkeep.forget(now=now())

        live = await desk.rows("SELECT position_id FROM positions WHERE closed_at IS NULL ORDER BY 1")
        assert [row["position_id"] for row in live] == [1, 2]
        assert forgotten.positions == forgotten.signals == 1, "the oldest that is over"

    async def test_keeps_what_closed_while_the_account_held_more_of_the_symbol(self, desk, upkeep):
        """After a gap its trades are asked for from then on: forgotten, they would be booked a second time."""
        old = now() - timedelta(days=40)
        held_since, over = entered_at(old - timedelta(hours=1), number=1), traded_at(old, number=2)
        await desk.put(held_since)
        await desk.put(over)
        await desk.put(by_kind([traded_at(old, number=number) for number in range(3, NEWEST + 3)]))
        await desk.rows("UPDATE positions SET account_id = 1, position_side = 'short' WHERE position_id = 2")

        assert (await upkeep.forget(now=now())).positions == 0

    async def test_forgets_hashes_of_deliveries_and_never_an_id_that_a_sender_gave(self, desk, upkeep):
        at = now() - timedelta(days=2)
        by_hash, by_id = (
            replace(_declined(at)[0], dedupe_key=key, is_explicit_id=is_id)
            for key, is_id in (("hash", False), ("id", True))
        )
        turned_away = DeliveryTurnedAway(
            happened_at=now() - timedelta(days=100),
            webhook_path="in",
            source_address="192.0.2.7",
            body_sha256="0" * 64,
            body_size=1,
        )
        await desk.put([by_hash, by_id, turned_away])

        forgotten = await upkeep.forget(now=now())

        assert (forgotten.hashes, forgotten.turned_away) == (1, 1)
        assert [row["dedupe_key"] for row in await desk.rows("SELECT dedupe_key FROM deliveries")] == ["id"]
        assert (await compare_with_journal(desk.journal)).differences == ()

    async def test_drops_months_in_which_nothing_is_left(self, desk, upkeep):
        """What a clear has kept of an old month is of a former epoch, and still folded."""
        for month in ("202503", "202504"):
            await desk.rows(f"SELECT ensure_journal_month('{month[:4]}-{month[4:]}-15Z')")
        await desk.rows(
            """
            INSERT INTO journal (epoch, kind, happened_at, recorded_at, fact)
            VALUES (0, 'ScreenerPaused', now(), '2025-04-15Z', '{}')
            """
        )

        forgotten = await upkeep.forget(now=now())

        assert forgotten.journal_partitions == 1
        left = await desk.rows(
            "SELECT to_regclass('journal_202503') AS one, to_regclass('journal_202504') AS two"
        )
        assert (left[0]["one"], left[0]["two"]) == (None, "journal_202504")

    async def test_forgets_alerts_with_what_became_of_them_but_never_an_audiences_newest_hundred(
        self, desk, upkeep
    ):
        """Nor one that is still on its way to somebody, however old it is; the journal keeps them all."""
        old = now() - timedelta(days=100)
        ana = User(user_id=UUID(int=5), email="ana@desk.test", name="Ana", role=Role.TRADER)
        await desk.put([UserConfigured(happened_at=old, user=ana)])
        await desk.put([raised(old + timedelta(minutes=minute)) for minute in range(105)])
        await desk.put([raised(old, user_id=ana.user_id), raised(now() - timedelta(days=89))])
        await desk.rows(
            """
            INSERT INTO alert_deliveries (alert_id, channel_id, status, subject, level_rank)
            SELECT alert_id, 1, CASE row_number() OVER (ORDER BY alert_id) WHEN 2 THEN 'due' ELSE 'sent' END, subject, 1
            FROM alerts WHERE user_id IS NULL
            """
        )
        foreseen = await upkeep.foresee(now=now())

        forgotten = await upkeep.forget(now=now())

        assert (foreseen.alerts, forgotten.alerts) == (5, 5), "six beyond the hundred, and one is on its way"
        assert (await count(desk, "alerts"), await count(desk, "alert_deliveries")) == (102, 101)
        assert len(await desk.facts(AlertRaised.__name__)) == 107
        assert (await compare_with_journal(desk.journal)).differences == ()
        await desk.rows("UPDATE alert_deliveries SET status = 'failed'")
        assert (await upkeep.forget(now=now())).alerts == 1
        assert await upkeep.forget(now=now()) == Forgotten()

    async def test_counts_what_was_never_counted_before_it_forgets_it(self, desk, upkeep):
        """A desk that was off for a month forgets at its start what no figure knows yet."""
        old = now() - timedelta(days=40)
        await desk.put(by_kind([traded_at(old, number=number) for number in range(1, NEWEST + 6)]))
        await desk.until(NOBODY_BEFORE)

        forgotten = await upkeep.forget(now=now())

        assert (forgotten.positions, await trades_counted(desk)) == (5, NEWEST + 5)

    async def test_two_at_once_forget_everything_once(self, desk, upkeep):
        await desk.put(_declined(now() - timedelta(days=40)))

        both = await asyncio.gather(upkeep.forget(now=now()), upkeep.forget(now=now()))

        assert sorted(one.signals for one in both) == [0, 1]


class TestRetention:
    async def test_is_kept_in_the_database_over_a_restart(self, desk, upkeep):
        """F037: what somebody set counts, whatever the settings of a process say."""
        await upkeep.set_retention(Retention(signal_days=60, metrics_days=10), set_by="ana", now=now())

        another = PostgresUpkeep(desk.journal, standard=Retention(signal_days=8))
        line = await another.retention()

        assert (line.retention, line.set_by) == (Retention(signal_days=60, metrics_days=10), "ana")
        assert (await compare_with_journal(desk.journal)).differences == ()


class TestHealthAlarms:
    """F028: the source's two alarms, each told once when it begins and once when it is over."""

    @pytest.mark.parametrize(
        ("badly", "well", "said"),
        [(11, 89, [AlarmName.ERROR_RATE_HIGH]), (9, 91, []), (10, 90, []), (0, 0, []), (1, 0, [AlarmName.ERROR_RATE_HIGH])],
    )  # fmt: skip
    def test_warn_above_a_tenth(self, badly, well, said):
        vitals = Vitals(sent_well=well, sent_badly=badly, traders=1, last_signal_seconds=1)

        alarms = alarms_of(vitals)

        assert [alarm.name for alarm in alarms] == said
        assert all(alarm.severity is Severity.WARNING for alarm in alarms)

    @pytest.mark.parametrize(
        ("traders", "seconds", "said"),
        [(0, 299.0, ["workers_stuck"]), (0, 300.0, []), (0, None, []), (1, 1.0, [])],
    )
    def test_are_critical_when_nobody_works_and_signals_come(self, traders, seconds, said):
        vitals = Vitals(sent_well=1, sent_badly=0, traders=traders, last_signal_seconds=seconds)

        assert [(one.name, one.severity) for one in alarms_of(vitals)] == [
            (name, Severity.CRITICAL) for name in said
        ]

    async def test_are_told_once_and_end_when_somebody_works(self, desk, upkeep):
        at = now()
        await desk.put(_declined(at))

        began = await upkeep.note_alarms(now=at)
        again = await upkeep.note_alarms(now=at)
        standing = await upkeep.alarms()
        await Workers(desk.journal.pool).enter(worker_id="trader-1", role="trader")
        ended = await upkeep.note_alarms(now=at)

        assert [(one.name, one.is_on) for one in began] == [(AlarmName.WORKERS_STUCK, True)]
        assert again == []
        assert [(one.name, one.severity) for one in standing] == [
            (AlarmName.WORKERS_STUCK, Severity.CRITICAL)
        ]
        assert [(one.name, one.is_on) for one in ended] == [(AlarmName.WORKERS_STUCK, False)]
        assert await upkeep.alarms() == []
        assert await desk.facts(HealthAlarmed.__name__) == [HealthAlarmed.__name__] * 2
        assert (await compare_with_journal(desk.journal)).differences == ()

    async def test_count_what_was_refused_of_the_last_hours_signals(self, desk, upkeep):
        at = now()
        signal_id = uuid7(at)
        await Workers(desk.journal.pool).enter(worker_id="trader-1", role="trader")
        await desk.put(planned_at(at, signal_id=signal_id, number=1))
        refused = OrderRejected(
            happened_at=at,
            order_id="p1",
            attempt=1,
            signal_id=signal_id,
            position_id=1,
            code="MARGIN_MISSING",
            reason="none",
        )
        await desk.put([refused])

        began = await upkeep.note_alarms(now=at)
        later = await upkeep.note_alarms(now=at + timedelta(minutes=61))

        assert [(one.name, one.numbers["error_share"]) for one in began] == [
            (AlarmName.ERROR_RATE_HIGH, "1.0000")
        ]
        assert [one.is_on for one in later] == [False]


class TestCache:
    """F026: an entry lives until its time has come, by the database's clock."""

    async def test_gives_what_was_put_until_it_expires(self, desk):
        cache = PostgresCache(desk.journal.pool)
        await cache.put("kept", {"price": str(Decimal("1.10"))}, seconds=60)
        await cache.put("over", [1], seconds=60)
        await desk.rows("UPDATE cache_entries SET expires_at = clock_timestamp() WHERE cache_key = 'over'")

        found = [await cache.get(key) for key in ("kept", "over", "never")]
        purged, left = await cache.purge(), await desk.rows("SELECT cache_key FROM public.cache_entries")

        assert found == [{"price": "1.10"}, None, None]
        assert (purged, [row["cache_key"] for row in left]) == (1, ["kept"])

    async def test_is_purged_by_the_upkeep(self, desk, upkeep):
        await PostgresCache(desk.journal.pool).put("over", 1, seconds=-1)

        assert (await upkeep.forget(now=now())).cache_entries == 1

    async def test_holds_one_whole_value_when_many_write_at_once(self, desk):
        cache = PostgresCache(desk.journal.pool)
        values = [{"number": number, "again": [number] * 50} for number in range(40)]

        await asyncio.gather(*(cache.put("one", value, seconds=60) for value in values))

        assert await cache.get("one") in values
        assert await count(desk, "cache_entries") == 1


def _declined(at: datetime) -> list[Fact]:
    signal_id = uuid7(at)
    asked = instruction(now=at)
    declined = DecisionDeclined(
        happened_at=at, signal_id=signal_id, bot_id=BOT_ID, code="COOLDOWN", reason="too soon", verdicts=()
    )
    received, accepted = arrival(asked, signal_id=signal_id, now=at)
    assert isinstance(received, SignalReceived)
    return [received, accepted, declined]
