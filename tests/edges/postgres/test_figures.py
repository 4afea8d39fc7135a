"""Figures: counted from the journal once and whole, told by processes, reset without forgetting."""

import asyncio
from decimal import Decimal

import pytest

from pregao.domain.facts import DecisionDeclined, PositionGuarded, SignalRefused
from pregao.edges.ids import uuid7
from pregao.edges.postgres.destinations import PostgresLimiter
from pregao.edges.postgres.figures import (
    PostgresCounterBooks,
    PostgresFigures,
    PostgresTally,
    roll,
)
from pregao.edges.postgres.journal import open_journal
from pregao.edges.postgres.rebuild import compare_with_journal
from pregao.tally import Tally
from tests.builders import NOON, bot

BOT = bot()


def refused():
    return SignalRefused(
        happened_at=NOON, signal_id=uuid7(NOON), bot_id=BOT.bot_id, code="BODY_UNREADABLE", reason="?"
    )


def declined():
    return DecisionDeclined(
        happened_at=NOON, signal_id=uuid7(NOON), bot_id=BOT.bot_id, code="X", reason="?", verdicts=()
    )


async def append(journal, *facts):
    async with journal.transaction() as transaction:
        await transaction.append(facts)


async def readings(journal):
    return {(one.name, one.labels): one.value for one in await PostgresFigures(journal.pool).readings()}


async def metrics(journal):
    return {one.metric_name: one.metric_value for one in await PostgresFigures(journal.pool).metrics()}


class TestCounted:
    async def test_f023_counts_a_hundred_at_once_survives_a_restart_and_is_reset(self, journal, database):
        before = await metrics(journal)
        await asyncio.gather(*(append(journal, refused()) for _ in range(100)))
        after = await metrics(journal)
        again = await open_journal(database)
        try:
            restarted = await metrics(again)
            await PostgresCounterBooks(again).reset(set_by="ana", clock=lambda: NOON)
            await append(again, declined())
            reset = await metrics(again)
            compared = await compare_with_journal(again)
        finally:
            await again.pool.close()

        assert (before["signals_rejected"], after["signals_rejected"], restarted["signals_rejected"]) == (
            0,
            100,
            100,
        )
        assert reset["signals_rejected"] == 1
        assert compared.differences == ()

    async def test_is_the_same_however_often_and_in_whatever_parts_it_is_counted_for_good(self, journal):
        at_once = []
        for part in range(4):
            await append(journal, *(refused() for _ in range(3)))
            at_once.append((await readings(journal))["pregao_signals_total", ("refused",)])
            await asyncio.gather(*(journal.pool.fetchval("SELECT roll_tallies($1)", part) for _ in range(3)))
        await roll(journal.pool)

        assert at_once == [3, 6, 9, 12]
        assert (await readings(journal))["pregao_signals_total", ("refused",)] == 12

    async def test_counts_what_commits_late(self, journal):
        """A transaction that began before others were counted for good is not missed."""
        async with journal.transaction() as late:
            await late.connection.execute("SELECT pg_current_xact_id()")
            await append(journal, refused())
            await roll(journal.pool)
            await late.append([refused()])
        await roll(journal.pool)

        assert (await readings(journal))["pregao_signals_total", ("refused",)] == 2

    async def test_sums_what_stood_unguarded(self, journal):
        guarded = [
            PositionGuarded(
                happened_at=NOON,
                position_id=1,
                account_id=1,
                signal_id=uuid7(NOON),
                since=NOON,
                seconds=Decimal(one),
            )
            for one in ("6.5", "7.25")
        ]
        await append(journal, *guarded)

        told = await readings(journal)

        assert told["pregao_unguarded_seconds_total", ()] == 13.75
        assert told["pregao_unguarded_total", ("over",)] == 2


class TestLimiter:
    async def test_f025_has_its_three_names_current(self, journal):
        limiter = PostgresLimiter(journal.pool)
        for _ in range(3):
            await limiter.acquire(1)
        await limiter.take(1, has_waited=[True])

        told = await metrics(journal)
        await journal.pool.execute(
            "UPDATE forward_slots SET taken_at = ARRAY(SELECT at - interval '60 s' FROM unnest(taken_at) AS at)"
        )
        later = await metrics(journal)

        names = ("webhook_tokens_available", "webhook_requests_this_minute", "webhook_total_requests_limited")
        assert [told[name] for name in names] == [56, 4, 1]
        assert [later[name] for name in names] == [60, 0, 1]


class TestTally:
    @pytest.fixture
    def seconds(self):
        return iter(range(0, 1_000, 2))

    async def test_adds_up_over_processes_and_gives_rates(self, journal, seconds):
        for worker_id in ("one", "two"):
            tally = Tally()
            process = PostgresTally(
                journal.pool, worker_id=worker_id, tally=tally, monotonic=lambda: float(next(seconds))
            )
            for _ in range(10):
                tally.count("deriv_bot_ticks_processed_total", "LTCUSDT")
            tally.observe("deriv_bot_tick_processing_milliseconds", value=7.5)
            await process.tell()
            await process.tell()
            tally.count("deriv_bot_ticks_processed_total", "LTCUSDT", by=4)
            await process.tell()

        told = await readings(journal)

        assert told["deriv_bot_ticks_processed_total", ("LTCUSDT",)] == 28
        assert told["deriv_bot_ticks_per_second", ("LTCUSDT",)] == 4
        assert told["deriv_bot_tick_processing_milliseconds_bucket", ("10",)] == 2
        assert told["deriv_bot_tick_processing_milliseconds_sum", ()] == 15

    async def test_keeps_what_cannot_be_written_down_now(self, database):
        journal = await open_journal(database)
        tally = Tally()
        process = PostgresTally(journal.pool, worker_id="one", tally=tally)
        tally.count("deriv_bot_errors_total", "x", "error")
        await journal.pool.close()

        with pytest.raises(Exception, match="closed"):
            await process.tell()

        assert tally.take() == {("deriv_bot_errors_total", ("x", "error")): 1.0}


class TestResults:
    async def test_win_rate_leaves_out_what_is_neither_and_can_be_zero(self, journal):
        today = await journal.pool.fetchval("SELECT (now() AT TIME ZONE 'UTC')::date")
        rows = [(0, 5, 1, 3, "-2.5"), (3, 4, 2, 1, "10"), (20, 1, 1, 0, "4"), (90, 2, 0, 2, "-1")]
        for number, (days_ago, closed, wins, losses, pnl) in enumerate(rows):
            await journal.pool.execute(
                """
                INSERT INTO daily_results (subscription_id, day, symbol, bot_id, account_id, closed, wins, losses, pnl_usd)
                VALUES ($1, $2::date - $3::int, 'X', $1, 1, $4, $5, $6, $7)
                """,
                uuid7(NOON),
                today,
                days_ago,
                closed,
                wins,
                losses,
                Decimal(pnl),
            )
            if number == 0:
                await journal.pool.execute("UPDATE daily_results SET wins = 0")
                lost_all = await readings(journal)
                await journal.pool.execute("UPDATE daily_results SET wins = 1")

        told = await readings(journal)

        assert lost_all["deriv_bot_win_rate", ("day",)] == 0
        rates = [told["deriv_bot_win_rate", (one,)] for one in ("day", "week", "month", "all")]
        assert rates == [25, 42.86, 50, 40]
        results = [told["deriv_bot_current_pnl", (one,)] for one in ("day", "week", "month", "all")]
        assert results == [-2.5, 7.5, 11.5, 10.5]
