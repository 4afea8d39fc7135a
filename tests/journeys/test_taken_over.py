"""Another trader takes a venue's accounts over: it asks what happened there before it opens anything on them."""

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from pregao.decisions.ports import RECONCILE_SECONDS_MAX
from pregao.domain.account import Venue
from pregao.domain.order import Side
from pregao.domain.signal import Action
from pregao.domain.venue import StreamGap
from pregao.edges.postgres import checks
from tests.builders import configured, instruction
from tests.journeys.conftest import now


@pytest.fixture
async def holding(desk):
    """A desk whose first account holds bitcoin and whose second holds nothing; its trader died, nobody listens."""
    await desk.put(configured(accounts=2, now=now()))
    desk.exchange.list_also("ETHUSDT", price="3000")
    await desk.start_trader()
    await desk.settled(await desk.signal(instruction(now=now())))
    await desk.kill()
    desk.exchange.stream_is_down = True
    await desk.exchange.trade(2, side=Side.SELL, quantity=Decimal("0.005"))
    trader = await desk.start_trader("trader-2")
    await trader.gaps.close(2)
    await desk.until("SELECT count(*) = 1 FROM positions WHERE status = 'closed'")
    return desk, trader


class TestTakenOver:
    async def test_an_entry_waits_until_the_past_is_known(self, holding):
        desk, trader = holding
        await trader.take_over(Venue.PAPER)
        entry = await desk.signal(instruction(now=now(), symbol="ETHUSDT"))
        await asyncio.sleep(1.2)
        assert await desk.orders(entry) == []

        await trader.take(StreamGap(account_id=1, connected_at=now()))
        await desk.settled(entry)

        assert [row["status"] for row in await desk.orders(entry)] == ["filled", "filled"]

    async def test_an_account_whose_past_stays_unknown_opens_nothing_and_the_others_trade(self, holding):
        desk, trader = holding
        await trader.take_over(Venue.PAPER)

        entry = await desk.signal(instruction(now=now(), symbol="ETHUSDT"))
        await desk.settled(entry, seconds_max=RECONCILE_SECONDS_MAX + 10)

        orders = await desk.orders(entry)
        assert [(row["status"], row["code"]) for row in orders] == [
            ("denied", "ACCOUNT_NOT_RECONCILED"),
            ("filled", None),
        ]

    async def test_a_close_waits_for_nothing(self, holding):
        desk, trader = holding
        await trader.take_over(Venue.PAPER)

        await desk.settled(await desk.signal(instruction(Action.CLOSE, now=now())), seconds_max=3)

        assert desk.exchange.quantity(1, "BTCUSDT") == 0

    async def test_what_was_closed_by_hand_meanwhile_is_known_before_the_next_entry(self, holding):
        """Believing the old books, the entry would have been taken for an add, and ignored."""
        desk, trader = holding
        await trader.take_over(Venue.PAPER)
        await desk.exchange.trade(1, side=Side.SELL, quantity=Decimal("0.005"))

        entry = await desk.signal(instruction(now=now()))
        await trader.take(StreamGap(account_id=1, connected_at=now()))
        await desk.settled(entry)

        assert [row["status"] for row in await desk.orders(entry)] == ["filled", "filled"]
        reasons = await desk.rows("SELECT close_reason FROM positions WHERE status = 'closed'")
        assert [row["close_reason"] for row in reasons] == ["closed_outside", "closed_outside"]

    async def test_a_second_take_over_keeps_the_first_ones_doubt(self, holding):
        desk, trader = holding
        await trader.take_over(Venue.PAPER)
        [before] = await desk.rows("SELECT * FROM account_checks")

        await trader.take_over(Venue.PAPER)

        [after] = await desk.rows("SELECT * FROM account_checks")
        assert (before["account_id"], after["unreconciled_since"]) == (1, before["unreconciled_since"])


class TestLiquidated:
    @pytest.mark.parametrize(
        ("sent_as", "reason"),
        [
            ("autoclose-1762957200000", "liquidated"),
            ("adl_autoclose", "deleveraged"),
            ("settlement_autoclose-1762957200000", "settled"),
            ("web_5kLqPz", "closed_outside"),
        ],
    )
    async def test_the_position_says_who_closed_it(self, holding, sent_as, reason):
        desk, trader = holding
        await desk.exchange.trade(1, side=Side.SELL, quantity=Decimal("0.005"), client_order_id=sent_as)

        await trader.take(StreamGap(account_id=1, connected_at=now()))

        await desk.until("SELECT count(*) = 0 FROM positions WHERE closed_at IS NULL")
        [position] = await desk.rows("SELECT close_reason FROM positions WHERE account_id = 1")
        assert position["close_reason"] == reason


class TestComparedInTurn:
    async def test_every_account_is_looked_at_without_being_asked(self, holding):
        desk, trader = holding
        await trader.take_over(Venue.PAPER)

        await desk.until("SELECT count(*) = 2 FROM account_checks WHERE agreed_at IS NOT NULL")

    async def test_what_somebody_bought_unseen_is_found_and_keeps_entries_out(self, holding):
        desk, trader = holding
        await desk.exchange.trade(2, side=Side.BUY, quantity=Decimal("0.003"))
        await trader.take_over(Venue.PAPER)

        await desk.until("SELECT count(*) = 1 FROM foreign_positions WHERE quantity = 0.003", seconds_max=30)

        await desk.until(
            "SELECT agreed_at IS NULL AND checked_at IS NOT NULL FROM account_checks WHERE account_id = 2"
        )

    async def test_two_traders_share_the_round(self, holding):
        desk, _ = holding
        await checks.claim_due(desk.journal.pool, [Venue.PAPER], limit=0)

        claims = await asyncio.gather(
            *(checks.claim_due(desk.journal.pool, [Venue.PAPER], limit=2) for _ in range(4))
        )

        assert sorted(account for claimed in claims for account in claimed) == [1, 2]

    async def test_holding_accounts_come_back_sooner_than_flat_ones(self, holding):
        desk, _ = holding
        await checks.claim_due(desk.journal.pool, [Venue.PAPER], limit=2)

        rows = await desk.rows(
            "SELECT due_at - clock_timestamp() AS pause FROM account_checks ORDER BY account_id"
        )

        assert rows[0]["pause"] < timedelta(seconds=checks.CHECK_HOLDING_SECONDS) < rows[1]["pause"]


class TestRestored:
    """A backup was put back: the books have forgotten orders that were sent."""

    async def test_what_was_bought_and_forgotten_is_not_bought_again(self, desk):
        await desk.put(configured(accounts=2, now=now()))
        await desk.exchange.trade(1, side=Side.BUY, quantity=Decimal("0.005"))  # ours, once
        trader = await desk.start_trader()
        await checks.mark_forgotten(desk.journal.pool)
        await trader.take_over(Venue.PAPER)
        entry = await desk.signal(instruction(now=now()))
        for account_id in (1, 2):
            await trader.take(StreamGap(account_id=account_id, connected_at=now()))

        await desk.settled(entry, seconds_max=30)

        first, second = await desk.orders(entry)
        assert first["code"] in ("ACCOUNT_NOT_RECONCILED", "FOREIGN_POSITION")
        assert desk.exchange.quantity(1, "BTCUSDT") == Decimal("0.005")
        await desk.until(
            "SELECT count(*) = 0 FROM account_checks WHERE unreconciled_since IS NOT NULL", seconds_max=30
        )
        again = await desk.signal(instruction(now=now()))
        await desk.settled(again)
        assert [row["code"] for row in await desk.orders(again)] == [
            "FOREIGN_POSITION",
            "SAME_SIDE_OPEN" if second["status"] == "filled" else None,
        ]
