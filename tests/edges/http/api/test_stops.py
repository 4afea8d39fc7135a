"""Stops over HTTP: moved by hand, given to what was opened before one was asked for, and how their exits went."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.domain.execution import Execution, ExecutionStatus
from pregao.domain.facts import (
    AccountConfigured,
    ExecutionMoved,
    PositionChanged,
    StopChanged,
    SubscriptionConfigured,
)
from pregao.domain.level import TriggerKind
from pregao.domain.order import Leg, Side
from pregao.domain.stop import Source, Trigger, claim
from pregao.domain.stop_rule import StopRule
from pregao.edges.postgres.rebuild import compare_with_journal
from pregao.stops.claims import triggered
from tests.builders import NOON, account, armed, configured, held, stop_armed, subscription
from tests.edges.http.api.own_desk import code_of
from tests.edges.http.api.test_receipts import planned

OPERATIONS, STOPS = "/api/operations", "/api/v1/stops"


async def open_position(desk, number: int, *, rule: StopRule | None = None) -> None:
    """Have a position on its own account filled at 95,200, guarded at 93,296, or by nothing."""
    guard = armed(number, account_id=number, subscription_id=UUID(int=number))
    if rule is not None:
        nothing = replace(guard.stop, rule=rule, stop_price=None, initial_stop=None, targets=())
        guard = replace(guard, stop=nothing)
    order = planned(
        number,
        order_id=f"p{number}",
        client_order_id=f"p{number}1",
        position_id=number,
        subscription_id=UUID(int=number),
    )
    position = held("1", position_id=number, account_id=number, subscription_id=UUID(int=number))
    await desk.append(order, PositionChanged(happened_at=NOON, position=position), stop_armed(guard))


async def price_is(desk, bid: str, ask: str, *, seconds_ago: float = 1) -> None:
    """Tell a price as a monitor does; no fact tells it."""
    await desk.journal.pool.execute(
        """
        INSERT INTO watches (venue, symbol, worker_id, lease_epoch, source, price_at, bid, ask, told_at)
        VALUES ('paper', 'BTCUSDT', 'monitor-1', 1, 'ws', $1, $2, $3, $1)
        ON CONFLICT (venue, symbol) DO UPDATE SET price_at = excluded.price_at, bid = excluded.bid, ask = excluded.ask
        """,
        desk.now - timedelta(seconds=seconds_ago),
        Decimal(bid),
        Decimal(ask),
    )


async def stops_of(desk) -> dict[int, tuple]:
    rows = await desk.journal.pool.fetch("SELECT * FROM stops ORDER BY position_id")
    return {row["position_id"]: (row["stop_price"], row["initial_stop"], row["version"]) for row in rows}


@pytest.fixture
async def guarded(desk):
    await desk.append(*configured(accounts=3))
    await open_position(desk, 1)
    return desk


class TestMovedByHand:
    async def move(self, desk, price: str, *, number: int = 1, path: str = OPERATIONS, **more):
        body = {"stop_price": price, "reason": "the news", **more}
        return await desk.client.post(f"{path}/{number}/stop/", json=body)

    async def test_stands_where_it_is_wanted_and_its_initial_stop_stays(self, guarded):
        """F097: a stop that is moved keeps the stop that its span is measured by."""
        await price_is(guarded, "95300", "95301")

        up = await self.move(guarded, "94000")
        down = await self.move(guarded, "93000.5")
        again = await self.move(guarded, "93000.5")

        assert (up.status_code, up.json()["stop_price"], up.json()["initial_stop"]) == (200, "94000", "93296")
        assert (down.json()["stop_price"], down.json()["stop_version"]) == ("93000.5", 3)
        assert again.json()["stop_version"] == 3
        changes = [fact for fact in await guarded.journaled() if isinstance(fact, StopChanged)]
        assert [(one.code, one.reason) for one in changes] == [("BY_HAND", "the news")] * 2
        assert guarded.rings == ["stops 1", "stops 1"]
        assert (await compare_with_journal(guarded.journal)).differences == ()

    @pytest.mark.parametrize(
        ("price", "code"),
        [("95300", "STOP_AT_MARKET"), ("96000", "STOP_AT_MARKET"), ("94000.05", "STOP_OFF_TICK")],
    )
    async def test_is_refused_where_it_would_trigger_at_once_or_is_no_price(self, guarded, price, code):
        """D-13."""
        await price_is(guarded, "95300", "95301")

        refused = await self.move(guarded, price)

        assert (refused.status_code, code_of(refused)) == (409, code)
        assert (await stops_of(guarded))[1] == (Decimal(93_296), Decimal(93_296), 1)

    async def test_needs_a_young_price_or_somebody_who_forces_it(self, guarded):
        await price_is(guarded, "95300", "95301", seconds_ago=31)

        refused = await self.move(guarded, "94000")
        forced = await self.move(guarded, "94000", force=True)

        assert (refused.status_code, code_of(refused)) == (409, "PRICE_UNKNOWN")
        assert (forced.status_code, forced.json()["stop_price"]) == (200, "94000")

    async def test_is_not_moved_before_anything_filled_or_after_it_triggered(self, guarded):
        await price_is(guarded, "95300", "95301")
        waiting = planned(2, order_id="p2", client_order_id="p21", position_id=2, subscription_id=UUID(int=2))
        await guarded.append(waiting, *fired(1)[:1])

        refused = [await self.move(guarded, "94000", number=number) for number in (1, 2, 404)]

        assert [(one.status_code, code_of(one)) for one in refused] == [
            (409, "STOP_NOT_ARMED"), (409, "STOP_NOT_ARMED"), (404, "OPERATION_UNKNOWN"),
        ]  # fmt: skip

    async def test_is_moved_by_its_owner_and_by_nobody_else(self, guarded):
        ana, bruno = await guarded.enroll("ana"), await guarded.enroll("bruno")
        await guarded.append(
            AccountConfigured(happened_at=NOON, account=account(1, user_id=UUID(ana.user_id)))
        )
        await price_is(guarded, "95300", "95301")

        answers = [
            await who.client.post(f"{OPERATIONS}/1/stop", json={"stop_price": "94000", "reason": "mine"})
            for who in (bruno, ana)
        ]

        assert [one.status_code for one in answers] == [404, 200]


class TestBackfill:
    """F083."""

    @pytest.fixture
    async def unpriced(self, desk):
        """Three positions that nothing was asked for; since then their bot asks for 2.5 %, but for one."""
        await desk.append(*configured(accounts=3))
        for number in (1, 2, 3):
            await open_position(desk, number, rule=StopRule())
        none = subscription(3, subscription_id=UUID(int=3), custom_stop_loss_pct=Decimal(0))
        await desk.append(SubscriptionConfigured(happened_at=NOON, subscription=none))
        await price_is(desk, "95300", "95301")
        return desk

    async def fill(self, desk, **asked) -> dict:
        answer = await desk.client.post(f"{STOPS}/backfill", json=asked)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def test_gives_each_the_stop_its_settings_ask_for_in_batches_and_the_second_run_nothing(
        self, unpriced
    ):
        before = await stops_of(unpriced)
        dry = await self.fill(unpriced, dry_run=True)
        untouched = await stops_of(unpriced)

        first = await self.fill(unpriced, batch_size=1)
        filled = await stops_of(unpriced)
        second = await self.fill(unpriced)

        counts = [{name: one[name] for name in ("processed", "updated", "skipped")} for one in (dry, first)]
        assert counts == [{"processed": 3, "updated": 2, "skipped": 1}] * 2
        assert untouched == before == dict.fromkeys((1, 2, 3), (None, None, 1))
        assert filled == {1: (92_820, 92_820, 2), 2: (92_820, 92_820, 2), 3: (None, None, 1)}
        assert (second["processed"], second["updated"]) == (1, 0)
        assert [(one["position_id"], one["code"]) for one in second["left"]] == [(3, "STOP_NOT_ASKED_FOR")]
        assert await stops_of(unpriced) == filled
        assert unpriced.rings == ["stops 1", "stops 2"]
        changes = [fact.code for fact in await unpriced.journaled() if isinstance(fact, StopChanged)]
        assert changes == ["BACKFILL", "BACKFILL"]
        assert (await compare_with_journal(unpriced.journal)).differences == ()

    async def test_passes_over_a_stop_the_market_has_passed_unless_it_is_forced(self, unpriced):
        await price_is(unpriced, "92000", "92001")

        passed = await self.fill(unpriced)
        forced = await self.fill(unpriced, force=True)

        assert (passed["updated"], {one["code"] for one in passed["left"]}) == (
            0,
            {"STOP_AT_MARKET", "STOP_NOT_ASKED_FOR"},
        )
        assert forced["updated"] == 2

    async def test_is_for_operators(self, unpriced):
        ana = await unpriced.enroll("ana")

        refused = await ana.client.post(f"{STOPS}/backfill", json={})

        assert (refused.status_code, code_of(refused)) == (403, "ROLE_FORBIDDEN")


def fired(number: int, *, account_id: int | None = None, at=NOON) -> list:
    """Give the claim of a position's stop, and its stop as it stood before."""
    before = armed(number, account_id=account_id or number, subscription_id=UUID(int=number))
    seen = Trigger(
        kind=TriggerKind.STOP, number=0, level=before.stop.stop_price, price=Decimal(93_290), version=1
    )
    won = claim(before.stop, seen)
    fact = triggered(
        replace(before, stop=won.stop),
        won.trigger,
        token=won.token,
        source=Source.STREAM,
        claimed_by="monitor-1",
        now=at,
    )
    return [fact, before]


def moved_to(status: ExecutionStatus, fact, *, at, **changes) -> ExecutionMoved:
    given = {
        "attempts": 1,
        "order_id": None,
        "code": None,
        "reason": None,
        "price": None,
        "slippage_percent": None,
        "again_at": None,
    }
    return ExecutionMoved(
        happened_at=at,
        token=fact.token,
        kind=fact.trigger.kind,
        number=0,
        position_id=fact.stop.position_id,
        account_id=fact.account_id,
        signal_id=fact.signal_id,
        status=status,
        **{**given, **changes},
    )


class TestReport:
    """F102: executions by status, slippage and seconds in a day; failures of the last hour."""

    @pytest.fixture
    async def exits(self, desk):
        """Two exits that filled, one that failed this hour, one that is old."""
        await desk.append(*configured(accounts=4))
        for number in (1, 2, 3, 4):
            await open_position(desk, number)
        good, bad, failing, old = [
            fired(number, at=at)[0]
            for number, at in ((1, NOON), (2, NOON), (3, NOON), (4, NOON - timedelta(hours=25)))
        ]
        seconds = [NOON + timedelta(seconds=number) for number in (1, 3)]
        await desk.append(good, bad, failing, old)
        again = Execution(token=failing.token, kind=TriggerKind.STOP, number=0, attempt=2)
        exit_again = planned(
            3, leg=Leg.EXIT, side=Side.SELL, order_id="px", client_order_id="px1", margin_usd=None, send_before=None,
            execution=again,
        )  # fmt: skip
        await desk.append(exit_again)
        await desk.append(
            moved_to(ExecutionStatus.EXECUTED, good, at=seconds[0], slippage_percent=Decimal("-0.01")),
            moved_to(ExecutionStatus.EXECUTED, bad, at=seconds[1], slippage_percent=Decimal("0.03")),
            moved_to(
                ExecutionStatus.FAILED,
                failing,
                at=NOON,
                attempts=2,
                code="-2019",
                reason="no margin",
                again_at=NOON + timedelta(seconds=4),
            ),
        )
        return desk

    async def test_counts_a_day_and_tells_what_failed_within_the_hour(self, exits):
        report = (await exits.client.get(f"{STOPS}/report")).json()

        assert report["executions_by_status"] == {
            "pending": 0, "submitted": 0, "executed": 2, "failed": 1, "blocked": 0,
        }  # fmt: skip
        figures = ("average_slippage_percent", "max_slippage_percent", "average_seconds", "max_seconds")
        assert [report[name] for name in figures] == ["0.01", "0.03", "2", "3"]
        (failed,) = report["failures"]
        assert (failed["operation_id"], failed["code"], failed["error"], failed["retry_count"]) == (
            3, "-2019", "no margin", 1,
        )  # fmt: skip

    async def test_forgets_failures_after_an_hour_and_figures_after_a_day(self, exits):
        exits.later(minutes=61)
        hour = (await exits.client.get(f"{STOPS}/report")).json()
        exits.later(hours=24)
        day = (await exits.client.get(f"{STOPS}/report")).json()

        assert (hour["failures"], hour["executions_by_status"]["failed"]) == ([], 1)
        assert (set(day["executions_by_status"].values()), day["average_seconds"]) == ({0}, None)

    async def test_counts_what_is_ones_own(self, exits):
        """D-8."""
        ana = await exits.enroll("ana")
        await exits.append(AccountConfigured(happened_at=NOON, account=account(2, user_id=UUID(ana.user_id))))

        report = (await ana.client.get(f"{STOPS}/report")).json()

        assert report["executions_by_status"]["executed"] == 1
        assert (report["max_slippage_percent"], report["failures"]) == ("0.03", [])
