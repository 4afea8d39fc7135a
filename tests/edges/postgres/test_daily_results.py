"""A position counts once, on the UTC day it closed, whatever happens to it later."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from pregao.domain.facts import DailyLossForgiven, PositionChanged
from pregao.domain.position import Direction, Position, PositionStatus
from pregao.edges.postgres import migrations
from pregao.edges.postgres.rebuild import compare_with_journal
from tests.builders import BOT_ID, NOON, closed, held
from tests.edges.http.api.test_receipts import planned

MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
SATURDAY, SUNDAY = date(2026, 11, 21), date(2026, 11, 22)
MIGRATION = Path(migrations.__file__).parent / "versions" / "0005_daily_results.sql"
FIGURES = "closed, wins, losses, pnl_usd, gross_pnl_usd, fees_usd, loss_usd, notional_usd"


async def begin(journal, *positions: Position) -> None:
    """Reserve positions as planning would: their rows are there before their first change."""
    await journal.pool.executemany(
        """
        INSERT INTO positions (
            position_id, account_id, bot_id, subscription_id, signal_id, symbol, position_side, direction, status,
            leverage, entered_quantity, exited_quantity, entry_notional, exit_notional, fees, realized_pnl, closed_at,
            created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, 'both', $7, 'abandoned', 10, 0, 0, 0, 0, 0, 0, $8, $8, $8)
        """,
        [
            (one.position_id, one.account_id, one.bot_id, one.subscription_id, one.signal_id, one.symbol,
             one.direction, NOON)
            for one in positions
        ],
    )  # fmt: skip


async def change(journal, *positions: Position) -> None:
    async with journal.transaction() as transaction:
        await transaction.append([PositionChanged(happened_at=NOON, position=one) for one in positions])


def forgiven(amount: str, *, reason: str = "venue outage") -> DailyLossForgiven:
    return DailyLossForgiven(
        happened_at=NOON,
        subscription_id=UUID(int=1),
        day=SATURDAY,
        symbol="BTCUSDT",
        amount_usd=Decimal(amount),
        forgiven_by="admin token",
        reason=reason,
    )


async def results(journal) -> dict[tuple[int, date, str], tuple]:
    rows = await journal.pool.fetch(f"SELECT subscription_id, day, symbol, {FIGURES} FROM daily_results")
    return {(row["subscription_id"].int, row["day"], row["symbol"]): tuple(row)[3:] for row in rows}


class TestDailyResults:
    async def test_add_up_what_closed_by_subscription_day_and_symbol(self, journal):
        win, loss, even = (
            held("1", price="100", position_id=number, status=PositionStatus.OPEN) for number in (1, 2, 3)
        )
        short = held("2", price="50", position_id=4, direction=Direction.SHORT, symbol="ETHUSDT")
        await begin(journal, win, loss, even, short)

        await change(
            journal,
            closed(win, pnl="3.5", fees="0.25"),
            closed(loss, pnl="-1.25", fees="0.5"),
            closed(even, pnl="0", fees="0.1"),
            closed(short, pnl="-2", fees="0.2"),
        )

        assert await results(journal) == {
            (1, SATURDAY, "BTCUSDT"): (
                3, 1, 1, Decimal("2.25"), Decimal("3.10"), Decimal("0.85"), Decimal("1.25"), Decimal(300),
            ),
            (1, SATURDAY, "ETHUSDT"): (
                1, 0, 1, Decimal(-2), Decimal("-1.8"), Decimal("0.2"), Decimal(2), Decimal(100),
            ),
        }  # fmt: skip
        row = await journal.pool.fetchrow("SELECT * FROM daily_results WHERE symbol = 'ETHUSDT'")
        assert (row["bot_id"], row["account_id"], row["counted_loss_usd"]) == (BOT_ID, 1, Decimal(2))

    async def test_change_days_at_midnight_utc(self, journal):
        before, at = held(position_id=1), held(position_id=2)
        await begin(journal, before, at)

        await change(
            journal, closed(before, at=MIDNIGHT - timedelta(microseconds=1)), closed(at, at=MIDNIGHT)
        )

        assert [key[1] for key in sorted(await results(journal))] == [SATURDAY, SUNDAY]

    async def test_write_nothing_for_what_closes_nothing(self, journal):
        one = held()
        await begin(journal, one)

        await change(journal, one)
        await change(journal, replace(one, status=PositionStatus.CLOSING))
        await change(journal, replace(one, status=PositionStatus.ABANDONED, closed_at=NOON))

        assert await results(journal) == {}

    async def test_count_once_what_closes_and_reopens_and_closes_on_another_day(self, journal):
        one, other = held(position_id=1), held(position_id=2)
        await begin(journal, one, other)
        await change(journal, closed(one, pnl="-4"), closed(other, pnl="-1"))

        await change(journal, one)
        reopened = await results(journal)
        await change(journal, closed(one, at=MIDNIGHT, pnl="5"))

        again = await results(journal)
        assert reopened[1, SATURDAY, "BTCUSDT"][:4] == (1, 0, 1, Decimal(-1))
        assert again.keys() == {(1, SATURDAY, "BTCUSDT"), (1, SUNDAY, "BTCUSDT")}
        assert again[1, SATURDAY, "BTCUSDT"][:4] == (1, 0, 1, Decimal(-1))
        assert again[1, SUNDAY, "BTCUSDT"][:4] == (1, 1, 0, Decimal(5))

    async def test_leave_no_row_where_all_has_reopened(self, journal):
        await begin(journal, held())
        await change(journal, closed(held(), pnl="-4"))

        await change(journal, held())

        assert await results(journal) == {}

    async def test_are_the_same_when_a_fact_is_told_twice(self, journal):
        await begin(journal, held())
        await change(journal, closed(held(), pnl="-4"))
        once = await results(journal)

        await change(journal, closed(held(), pnl="-4"))

        assert await results(journal) == once

    async def test_correct_a_result_that_changes_after_the_close(self, journal):
        await begin(journal, held())
        await change(journal, closed(held(), pnl="-4"))

        await change(journal, closed(held(), pnl="1"))

        assert (await results(journal))[1, SATURDAY, "BTCUSDT"][:4] == (1, 1, 0, Decimal(1))

    async def test_are_the_fold_of_the_journal(self, journal):
        """Forgiven, reopened, closed again elsewhere: a rebuild gives the same rows."""
        one = held()
        lost = closed(one, pnl="-4")
        async with journal.transaction() as transaction:
            await transaction.append([planned(1, position_id=1)])
        await change(journal, lost)
        async with journal.transaction() as transaction:
            await transaction.append([forgiven("4")])
        await change(journal, one)
        await change(journal, closed(one, at=MIDNIGHT, pnl="-3"))

        found = await compare_with_journal(journal)

        rows = await journal.pool.fetch("SELECT * FROM daily_results ORDER BY day")
        assert [
            (row["day"], row["closed"], row["forgiven_usd"], row["counted_loss_usd"]) for row in rows
        ] == [
            (SATURDAY, 0, 4, 0),  # what was forgiven stays in sight
            (SUNDAY, 1, 0, 3),
        ]
        assert found.differences == ()


class TestForgiveness:
    async def test_is_taken_off_what_limits_count_and_off_nothing_else(self, journal):
        one, other = held(position_id=1), held(position_id=2)
        await begin(journal, one, other)
        await change(journal, closed(one, pnl="-4"))
        before = await results(journal)

        async with journal.transaction() as transaction:
            await transaction.append([forgiven("3"), forgiven("1", reason="the rest")])
        row = await journal.pool.fetchrow("SELECT * FROM daily_results")
        await change(journal, closed(other, pnl="-2.5"))

        counted = await journal.pool.fetchval("SELECT counted_loss_usd FROM daily_results")
        assert before == {(1, SATURDAY, "BTCUSDT"): tuple(row[name] for name in FIGURES.split(", "))}
        assert (row["forgiven_usd"], row["counted_loss_usd"]) == (4, 0)
        assert (row["forgiven_by"], row["forgiven_reason"]) == ("admin token", "the rest")
        assert counted == Decimal("2.5")


class TestMigration:
    async def test_counts_what_had_closed_before_it(self, journal):
        many = [
            held("1", position_id=number, symbol=f"S{number % 3}", subscription_id=UUID(int=number % 2))
            for number in range(1, 31)
        ]
        await begin(journal, *many)
        await change(
            journal,
            *(closed(one, pnl=str(n - 15), fees="0.5", at=NOON + n * 9 * timedelta(hours=1))
              for n, one in enumerate(many)),
        )  # fmt: skip
        folded = await results(journal)
        await journal.pool.execute("DROP TABLE daily_results CASCADE; DROP INDEX positions_closed")

        await journal.pool.execute(MIGRATION.read_text())

        assert await results(journal) == folded
        assert len(folded) > 20
