"""The database is cleared over HTTP: what was traded is gone, in one piece, and what people set up is there (F019)."""

import asyncio
from uuid import UUID

import pytest

from pregao.domain.facts import (
    DatabaseCleared,
    DecisionApproved,
    PositionChanged,
    SignalPlanned,
    StrategyConfigured,
)
from pregao.domain.trading_state import TradingState
from pregao.edges.postgres.clear import COUNTERS, KEPT_TABLES, UNTOUCHED
from pregao.edges.postgres.journal import Cursor
from pregao.edges.postgres.rebuild import STATE_TABLES, compare_with_journal
from tests.builders import (
    BOT_ID,
    NOON,
    arrival,
    closed,
    configured,
    held,
    instruction,
    listed,
    state_set,
    strategy,
)
from tests.edges.http.api.own_desk import code_of
from tests.edges.http.api.test_receipts import SIGNAL_ID, accepted, filled, planned

CLEAR, AT_SOURCE, AGAIN_AT_SOURCE = (
    "/api/v1/database/clear",
    "/admin/clear-database",
    "/admin/database/clear",
)
YES = {"confirm": "CLEAR", "reason": "after the trial"}


@pytest.fixture
async def traded(desk):
    """Ana has set up a bot and a list; one signal was bought and closed at a loss."""
    await desk.enroll("ana")
    await desk.append(*configured(accounts=2), state_set(state=TradingState.REDUCING, reason="trial"))
    await desk.append(StrategyConfigured(happened_at=NOON, strategy=strategy(is_active=True)))
    await desk.append(listed(["A", "B"]))
    await desk.append(*arrival(instruction(), signal_id=SIGNAL_ID))
    await desk.append(
        DecisionApproved(
            happened_at=NOON, signal_id=SIGNAL_ID, bot_id=BOT_ID, instruction=instruction(), verdicts=()
        )
    )
    await desk.append(planned(1))
    await desk.append(
        SignalPlanned(happened_at=NOON, signal_id=SIGNAL_ID, bot_id=BOT_ID, accounts=1, orders=1)
    )
    await desk.append(accepted(1), filled(1, price="95200"))
    await desk.append(PositionChanged(happened_at=NOON, position=closed(held(), pnl="-5")))
    return desk


async def kept(desk):
    """Give every row that a clear leaves as it is."""
    tables = sorted(KEPT_TABLES - {"admin_actions", "trading_states"})
    return {
        table: [tuple(row) for row in await desk.journal.pool.fetch(f"SELECT * FROM {table} ORDER BY 1")]
        for table in tables
    }


async def left(desk):
    """Give what is in the tables that a clear empties."""
    emptied = [table for table in STATE_TABLES if table not in KEPT_TABLES]
    return {
        table: count
        for table in (*emptied, *COUNTERS)
        if (count := await desk.journal.pool.fetchval(f"SELECT count(*) FROM {table}"))
    }


class TestClear:
    async def test_deletes_what_was_traded_and_keeps_what_was_set_up(self, traded):
        """F019: counts are returned, queues and counters are empty, and the state is the fold of what is left."""
        before = await kept(traded)

        told = await traded.client.post(CLEAR, json=YES)

        assert told.status_code == 200, told.text
        counted = {
            name: told.json()[name] for name in ("positions", "signals", "orders", "fills", "is_forced")
        }
        assert counted == {"positions": 1, "signals": 1, "orders": 1, "fills": 1, "is_forced": False}
        assert told.json()["events"] == 7
        assert await left(traded) == {}
        assert await kept(traded) == before
        counters = await traded.journal.pool.fetch(
            "SELECT metric_value FROM public.signal_metrics WHERE metric_name LIKE 'signals%'"
        )
        assert {row["metric_value"] for row in counters} == {0}
        assert (await compare_with_journal(traded.journal)).differences == ()

    @pytest.mark.parametrize("path", [AT_SOURCE, AGAIN_AT_SOURCE])
    async def test_answers_at_the_sources_paths_in_its_words(self, traded, path):
        """F019."""
        told = (await traded.client.post(path, json={"confirm": "CLEAR"})).json()

        counts = ("deleted_signals_count", "deleted_events_count", "deleted_positions_count")
        assert [told[name] for name in counts] == [1, 7, 1]
        assert told["operation"] == "clear_database"

    @pytest.mark.parametrize(
        ("path", "body"),
        [(CLEAR, {"reason": "why"}), (AT_SOURCE, {}), (AGAIN_AT_SOURCE, {"confirm": "clear"})],
    )
    async def test_does_nothing_for_whoever_has_not_typed_the_word(self, traded, path, body):
        """F019: it needs a confirmation."""
        refused = await traded.client.post(path, json=body)

        assert (refused.status_code, code_of(refused)) == (422, "DESTRUCTIVE_UNCONFIRMED")
        assert (await left(traded))["signals"] == 1

    async def test_is_for_admins(self, traded):
        operator = await traded.enroll("ops", "operator")

        refused = [await operator.client.post(path, json=YES) for path in (CLEAR, AT_SOURCE, AGAIN_AT_SOURCE)]

        assert {(one.status_code, code_of(one)) for one in refused} == {(403, "ROLE_FORBIDDEN")}

    async def test_sets_the_trading_state_back_to_what_it_was(self, traded):
        await traded.client.post(CLEAR, json=YES)

        [state] = (await traded.client.get("/api/v1/trading-state")).json()["states"]
        assert (state["state"], state["reason"]) == ("reducing", "trial")

    async def test_begins_an_epoch_with_a_fact_that_says_who_did_it(self, traded):
        await traded.client.post(CLEAR, json=YES)

        told = []
        async with asyncio.timeout(30):
            while not told:
                told = [fact for _, fact in await traded.journal.tail(Cursor(2))]
                await asyncio.sleep(0.02)
        assert isinstance(told[0], DatabaseCleared)
        assert (told[0].cleared_by, told[0].reason) == ("admin token", "after the trial")
        actions = [action["action"] for action in await traded.actions()]
        assert {"post_user", "post_clear"} <= set(actions), "what people asked for before is still known"

    async def test_lets_the_same_alert_be_traded_again(self, traded):
        """Nothing of before is left: what came once is new."""
        await traded.client.post(CLEAR, json=YES)

        await traded.append(*arrival(instruction(), signal_id=SIGNAL_ID))

        assert (await left(traded))["signals"] == 1
        assert (await compare_with_journal(traded.journal)).differences == ()


class TestRefused:
    async def test_while_something_is_held_or_on_its_way(self, traded):
        """F019: with the numbers; and nobody stays halted for it."""
        await traded.append(PositionChanged(happened_at=NOON, position=held()))

        refused = await traded.client.post(CLEAR, json=YES)

        assert (refused.status_code, code_of(refused)) == (409, "CLEAR_NOT_DRAINED")
        assert refused.json()["error"]["details"] == {"positions": 1, "orders": 0, "signals": 0, "lines": 0}
        assert (await left(traded))["positions"] == 1

    async def test_while_a_signal_waits_that_nobody_decides(self, traded):
        await traded.append(*arrival(instruction(), signal_id=UUID(int=1)))

        refused = await traded.client.post(CLEAR, json={**YES, "wait_seconds": 0.1})

        assert refused.json()["error"]["details"]["signals"] == 1
        states = (await traded.client.get("/api/v1/trading-state")).json()["states"]
        assert [state["state"] for state in states] == ["reducing"]

    async def test_unless_it_is_forced_then_everybody_begins_anew_and_every_account_is_compared(self, traded):
        await traded.append(PositionChanged(happened_at=NOON, position=held()))
        pool = traded.journal.pool
        for name, role in (("trader-1", "trader"), ("monitor-1", "monitor"), ("jobs-1", "jobs")):
            await pool.execute(
                "INSERT INTO workers (worker_id, role, lease_epoch, lease_until, states_seen) "
                "VALUES ($1, $2, 1, clock_timestamp() + interval '1 hour', 1000)",
                name,
                role,
            )
            await pool.execute(
                "INSERT INTO leases (name, worker_id, lease_epoch, lease_until) "
                "VALUES ($1, $1, 1, clock_timestamp() + interval '1 hour')",
                name,
            )

        told = await traded.client.post(CLEAR, json={**YES, "force": True})

        assert (told.status_code, told.json()["is_forced"]) == (200, True)
        for table in ("workers", "leases"):
            assert await pool.fetchval(f"SELECT array_agg(worker_id) FROM {table}") == ["jobs-1"]
        doubted = await pool.fetch("SELECT account_id FROM account_checks WHERE must_compare ORDER BY 1")
        assert [row["account_id"] for row in doubted] == [1, 2]

    async def test_by_somebody_who_writes_and_does_not_let_go(self, traded):
        async with traded.journal.transaction() as slow:
            await slow.append(arrival(instruction(), signal_id=UUID(int=2))[:1])
            refused = await traded.client.post(CLEAR, json={**YES, "wait_seconds": 0.1})

        assert code_of(refused) == "CLEAR_BUSY"
        assert (await left(traded))["signals"] == 2


class TestTables:
    async def test_each_is_kept_cleared_or_neither_and_somebody_has_said_which(self, desk):
        """A table that nobody has thought of would keep what was forgotten, or lose what was set up."""
        rows = await desk.journal.pool.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'pregao'::regnamespace AND relkind = 'r' "
            "AND NOT relispartition"
        )

        known = {*STATE_TABLES, *COUNTERS, *UNTOUCHED}
        assert {row["relname"] for row in rows} - known == set()
        assert STATE_TABLES.keys() >= KEPT_TABLES
