"""One address, one weight: two traders' adapters over real HTTP against the paper exchange, and one PostgreSQL."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest
import structlog

from pregao.domain.clock import to_ms
from pregao.domain.order import PositionSide, Side
from pregao.domain.venue import Acknowledgement, OrderAttempt, RetryLater, VenueError
from pregao.domain.weight import Importance, asking_for
from pregao.edges.exchanges.binance import ApiKey, BinanceExchange, VenueAddresses
from pregao.edges.exchanges.wire import Wire, WireLimits
from pregao.edges.paper.serve import PaperServer, PaperSettings
from pregao.edges.postgres.journal import Journal, open_journal
from pregao.edges.postgres.weights import SharedWeights
from tests.journeys.whole_desk import running_desk

NOON = datetime(2026, 11, 21, 12, 0, 20, tzinfo=UTC)  # the minute does not end while a test runs
WEIGHT_MAX = 400


def at_noon() -> datetime:
    return NOON


class Process:
    """One trader's adapter and its share of the weight."""

    def __init__(self, journal: Journal, paper: PaperServer) -> None:
        self.weights = SharedWeights(journal.pool, egress="office", ring=lambda: None)
        self.wire = Wire(clock=at_noon, limits=WireLimits(connections_max=20))
        self.exchange = BinanceExchange(
            addresses=VenueAddresses.paper(paper.url),
            wire=self.wire,
            credentials=lambda account_id: ApiKey(f"key-{account_id}", "secret"),
            clock=at_noon,
            name="paper",
            budget=self.weights.of("paper"),
        )

    async def close(self) -> None:
        await self.exchange.close()
        await self.wire.close()


@pytest.fixture
async def paper() -> AsyncIterator[PaperServer]:
    server = PaperServer(PaperSettings(still=True, weight_max=WEIGHT_MAX), now_ms=lambda: to_ms(NOON))
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def two(database: str, paper: PaperServer) -> AsyncIterator[tuple[Process, Process]]:
    journal = await open_journal(database)
    processes = Process(journal, paper), Process(journal, paper)
    for process in processes:
        await process.exchange.instruments()  # what the venue allows
    yield processes
    for process in processes:
        await process.close()
    await journal.pool.close()


async def outcome_of(call):
    try:
        return await call
    except VenueError as problem:
        return problem.code


async def balances(process, count):
    return await asyncio.gather(
        *(outcome_of(process.exchange.balance(account_id=number)) for number in range(1, count + 1))
    )


async def finds(process, count):
    return await asyncio.gather(
        *(
            outcome_of(
                process.exchange.find_order(
                    account_id=number, symbol="BTCUSDT", client_order_id=f"p{'a' * 27}"
                )
            )
            for number in range(1, count + 1)
        )
    )


class TestTwoProcesses:
    async def test_together_stay_within_the_limit_and_shed_reads_first(self, two):
        """A thousand accounts that reconnect read what they like; what exits hang on is still asked."""
        told = await asyncio.gather(*(balances(process, 100) for process in two))
        shed = [one for answers in told for one in answers if one == "WEIGHT_NEARLY_USED"]
        with asking_for(Importance.BOOKS):
            books = await asyncio.gather(*(finds(process, 80) for process in two))
        exits = await asyncio.gather(*(finds(process, 10) for process in two))

        assert len(shed) > 140
        assert len({one for answers in told for one in answers}) == 2
        assert "WEIGHT_NEARLY_USED" in {one for answers in books for one in answers}
        assert {one for answers in exits for one in answers} == {None}
        usage = [process.exchange.usage for process in two]
        assert [one.paused_seconds for one in usage] == [0, 0]
        assert {one.weight_max for one in usage} == {WEIGHT_MAX}
        assert 0.75 * WEIGHT_MAX <= max(one.weight_used for one in usage) <= 0.95 * WEIGHT_MAX

    async def test_send_orders_when_every_weight_is_used_up(self, two, paper):
        for process in two:
            await balances(process, 100)
            await finds(process, 400)

        sent = await outcome_of(
            two[0].exchange.submit(
                OrderAttempt(
                    client_order_id=f"p{'b' * 27}",
                    account_id=1,
                    symbol="BTCUSDT",
                    side=Side.BUY,
                    position_side=PositionSide.BOTH,
                    quantity=(await two[0].exchange.instruments())["BTCUSDT"].market_quantity_min * 2,
                    reduce_only=False,
                    signed_at_ms=to_ms(NOON),
                    recv_window_ms=5_000,
                )
            )
        )

        assert isinstance(sent, Acknowledgement) or sent == "-4164"  # it was looked at

    async def test_are_both_silent_when_one_is_told_to_be(self, two, paper):
        running = [asyncio.create_task(process.weights.run()) for process in two]
        try:
            fault = {"kind": "throttle", "status": 429, "seconds": 30, "count": 1}
            async with httpx.AsyncClient(base_url=paper.url, verify=False) as client:
                await client.post("/paper/faults", json={"faults": [fault]})
            with pytest.raises(RetryLater):
                await two[0].exchange.balance(account_id=1)
            async with asyncio.timeout(2):
                while not two[1].exchange.usage.paused_seconds:
                    await asyncio.sleep(0.02)

            assert await outcome_of(two[1].exchange.balance(account_id=2)) == "VENUE_PAUSED"
            assert 20 < two[1].exchange.usage.paused_seconds <= 30
        finally:
            for task in running:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


ACCOUNTS = 24
SCARCE = PaperSettings(still=True, weight_max=300)  # a thousand accounts at Binance have a fifth of this each


@pytest.mark.extra
class TestReconnection:
    async def test_of_many_accounts_that_hold_something_leaves_exits_what_they_need(self, database, tmp_path):
        """Their streams break again and again and answers are lost: exits end, and the venue has nothing to complain of."""
        with structlog.testing.capture_logs() as logs:
            async with running_desk(database, tmp_path, paper=SCARCE) as desk:
                bot = await desk.create_bot("Many")
                for number in range(ACCOUNTS):
                    await desk.subscribe(bot, await desk.open_account(f"Account {number}"))
                await asyncio.sleep(1)
                bought = (await desk.post(bot, '{"ticker": "ETHUSDT", "action": "buy"}')).json()
                receipt = await desk.receipt(bought["signal_id"], seconds_max=100)
                assert {row["outcome"] for row in receipt["rows"]} == {"filled"}
                async with httpx.AsyncClient(base_url=desk.paper.url, verify=False) as client:
                    cuts = {"kind": "cut", "count": 40, "endpoint": ""}
                    lost = {"kind": "lose", "count": 6, "endpoint": "POST /fapi/v1/order"}
                    await client.post("/paper/faults", json={"faults": [cuts, lost]})
                    began = asyncio.get_running_loop().time()
                    closing = (await desk.post(bot, '{"ticker": "ETHUSDT", "action": "close"}')).json()
                    receipt = await desk.receipt(closing["signal_id"], seconds_max=60)
                    took = asyncio.get_running_loop().time() - began

        assert {row["outcome"] for row in receipt["rows"]} == {"filled"}
        assert took < 30, took
        assert [one for one in logs if one["event"] == "binance.limits.paused"] == []
