"""F006, F007, F032: a bot that follows the screener, on a whole trader and a real database; the list decides entries."""

import asyncio
from datetime import timedelta

import pytest

from pregao.domain.bot import Directions, Policy
from pregao.domain.facts import SignalReceived, StrategyConfigured
from pregao.domain.order import Side
from pregao.domain.screener import Source
from pregao.edges.ids import uuid7
from pregao.edges.postgres.rebuild import compare_with_journal
from pregao.edges.postgres.screener import PostgresScreener, PostgresScreenerBooks, PostgresScreenerWork
from pregao.edges.postgres.workers import Workers
from pregao.market.refresh import Refreshing
from pregao.market.reprocess import reprocess_by_hand
from tests.builders import arrival, bot, configured, instruction, listed, strategy
from tests.journeys.conftest import now

FOLLOWS = {"policy": Policy.SCREENER, "allowed_directions": Directions.BUY_ONLY}


def _quiet(*_said, **_values):
    """Say nothing."""


class Screen:
    """Gives the list it is told to."""

    def __init__(self):
        self.gives = []

    async def tickers(self, strategy):
        return self.gives


class Screener:
    """The screener of a story."""

    def __init__(self, desk, work):
        self.desk = desk
        self.screen = Screen()
        self.refreshing = Refreshing(
            work, {Source.STATIC: self.screen}, new_id=uuid7, clock=now, say=_quiet, warn=_quiet
        )

    async def lists(self, *tickers):
        """Have it look, and find this."""
        self.screen.gives = list(tickers)
        await self.desk.rows("UPDATE screener_looks SET due_at = clock_timestamp()")
        before = await self.desk.rows("SELECT good_at FROM screener_looks")
        following = asyncio.create_task(self.refreshing.follow())
        while not following.done():
            await asyncio.sleep(0.02)
            self.refreshing.rung()
        await following
        assert await self.desk.rows("SELECT good_at FROM screener_looks") != before

    async def outcomes(self):
        lines = await PostgresScreener(self.desk.journal.pool).reprocessed(limit=1_000)
        return [(one.ticker, one.outcome.value) for one in reversed(lines)]


@pytest.fixture
async def screener(desk):
    await desk.put(configured(bots=[bot(**FOLLOWS)], now=now()))
    return await started(desk)


async def started(desk, name="jobs-1", **changes):
    given = {"is_active": True, "reprocess_enabled": True, "changed_at": now(), **changes}
    await desk.put([StrategyConfigured(happened_at=now(), strategy=strategy(**given))])
    lease = await Workers(desk.journal.pool).enter(worker_id=name, role="jobs")
    return Screener(desk, PostgresScreenerWork(desk.journal, lease, ring_signals=desk.ring))


async def sent(desk, side=Side.BUY, *, symbol="BTCUSDT", at=None, **changes):
    """Let an alert arrive, and give its status and code when it is settled."""
    at = at or now()
    asked = instruction(side=side, symbol=symbol, now=now())
    signal_id = await desk.signal(asked, now=at, **changes)
    await desk.settled(signal_id)
    return signal_id


async def became(desk, signal_id):
    (row,) = await desk.rows("SELECT status, code, action FROM signals WHERE signal_id = $1", signal_id)
    return row["status"], row["code"], row["action"]


async def tried_again(desk):
    rows = await desk.rows("SELECT signal_id FROM signals WHERE source = 'screener' ORDER BY received_at")
    return [row["signal_id"] for row in rows]


async def is_held(desk):
    return await desk.journal.pool.fetchval(
        "SELECT EXISTS (SELECT FROM positions WHERE status = 'open' AND symbol = 'BTCUSDT')"
    )


class TestDecisions:
    async def test_enter_what_is_listed_decline_what_is_not_and_always_let_out(self, desk, screener):
        await desk.start_trader()
        early = await sent(desk)
        await screener.lists("ETHUSDT")
        declined = await sent(desk)
        await desk.put([listed(["BTCUSDT"], before=["ETHUSDT"], now=now())])
        entered = await sent(desk)
        await screener.lists("ETHUSDT")
        sold = await sent(desk, Side.SELL)
        sold_again = await sent(desk, Side.SELL)

        assert await became(desk, early) == ("declined", "SCREENER_DECLINED", "enter")
        assert await became(desk, declined) == ("declined", "SCREENER_DECLINED", "enter")
        assert await became(desk, entered) == ("settled", None, "enter")
        assert await became(desk, sold) == ("settled", None, "close"), "off the list, and sold all the same"
        assert await became(desk, sold_again) == ("declined", "DIRECTION_DECLINED", "enter")
        assert not await is_held(desk)

    async def test_say_in_the_receipt_what_the_list_was(self, desk, screener):
        await desk.start_trader()
        await screener.lists("ETHUSDT", "LTCUSDT")
        declined = await sent(desk)

        (row,) = await desk.rows("SELECT reason FROM signals WHERE signal_id = $1", declined)

        assert row["reason"].startswith("ticker=BTCUSDT rank=none list=strategy 1 size=2 listed_at=")


class TestReprocessing:
    async def test_tries_the_last_declined_buy_again_once(self, desk, screener):
        """It is decided anew as a signal of its own: both have their receipts, and the order is sent once."""
        await desk.start_trader()
        await screener.lists("ETHUSDT")
        older, last = await sent(desk), await sent(desk)

        await screener.lists("ETHUSDT", "BTCUSDT")
        (again,) = await tried_again(desk)
        await desk.settled(again)
        for on_it in (["ETHUSDT"], ["BTCUSDT"], ["ETHUSDT"], ["ETHUSDT", "BTCUSDT"]):
            await screener.lists(*on_it)

        assert await became(desk, again) == ("settled", None, "enter")
        assert [await became(desk, one) for one in (older, last)] == [
            ("declined", "SCREENER_DECLINED", "enter")
        ] * 2
        assert await tried_again(desk) == [again]
        assert (await screener.outcomes(), await is_held(desk)) == ([("BTCUSDT", "success")], True)
        run = await PostgresScreener(desk.journal.pool).reprocessing()
        assert (run.runs, run.found, run.again, run.failed) == (1, 1, 1, 0)
        assert len(desk.exchange.submitted) == 1
        assert (await compare_with_journal(desk.journal)).differences == ()

    async def test_tries_again_what_entered_while_nothing_ran(self, desk, screener):
        await desk.start_trader()
        await screener.lists("ETHUSDT")
        await sent(desk)
        await Workers(desk.journal.pool).leave(screener.refreshing._work._lease)

        lease = await Workers(desk.journal.pool).enter(worker_id="jobs-2", role="jobs")
        another = Screener(desk, PostgresScreenerWork(desk.journal, lease, ring_signals=desk.ring))
        await another.lists("BTCUSDT")
        await another.lists("BTCUSDT", "ETHUSDT")

        assert len(await tried_again(desk)) == 1

    async def test_leaves_no_trace_where_the_swap_fails_and_does_all_of_it_next_time(self, desk, screener):
        await desk.start_trader()
        await screener.lists("ETHUSDT")
        await sent(desk)
        await desk.rows("ALTER TABLE screener_reprocessed RENAME TO away")

        with pytest.raises(Exception, match="screener_reprocessed"):
            await screener.lists("BTCUSDT")
        lists = await PostgresScreener(desk.journal.pool).tickers()
        untouched = await tried_again(desk)
        status = await PostgresScreener(desk.journal.pool).status()
        await desk.rows("ALTER TABLE away RENAME TO screener_reprocessed")
        await screener.lists("BTCUSDT")

        assert ([one.ticker for one in lists], untouched) == (["ETHUSDT"], [])
        assert (status.code, status.failures) == ("LIST_UNWRITTEN", 1)
        assert status.next_look_at > now() + timedelta(seconds=5), "the source is not asked again at once"
        assert len(await tried_again(desk)) == 1

    async def test_skips_what_is_held(self, desk, screener):
        await desk.start_trader()
        await screener.lists("BTCUSDT")
        await sent(desk)
        await screener.lists("ETHUSDT")
        await sent(desk)

        await screener.lists("BTCUSDT")

        assert await screener.outcomes() == [("BTCUSDT", "skipped_position_exists")]
        assert await tried_again(desk) == []

    @pytest.mark.parametrize(
        ("changes", "bought_ago", "sold_ago", "outcome"),
        [
            ({}, 60, 30, ["skipped_sell_chronology"]),
            ({"respect_sell_chronology": False}, 60, 30, ["success"]),
            ({"sell_chronology_window_seconds": 10}, 60, 30, ["success"]),
            ({"sell_chronology_window_seconds": 40}, 60, 30, ["skipped_sell_chronology"]),
            ({"sell_chronology_window_seconds": 0, "reprocess_window_seconds": 0}, 9_000, 4_500,
             ["skipped_sell_chronology"]),
            ({}, 60, 90, ["success"]),
            ({}, 310, None, []),
            ({"reprocess_window_seconds": 0}, 90_000, None, ["success"]),
            ({"reprocess_enabled": False}, 60, None, []),
        ],
    )  # fmt: skip
    async def test_looks_at_windows_and_at_sells_since(self, desk, changes, bought_ago, sold_ago, outcome):
        await desk.put(configured(bots=[bot(**FOLLOWS)], now=now()))
        screener = await started(desk, **changes)
        await desk.start_trader()
        await screener.lists("ETHUSDT")
        await sent(desk, at=now() - timedelta(seconds=bought_ago))
        if sold_ago is not None:
            await sent(desk, Side.SELL, at=now() - timedelta(seconds=sold_ago))

        await screener.lists("BTCUSDT")

        assert [one for _, one in await screener.outcomes()] == outcome

    async def test_is_never_triggered_by_a_first_list(self, desk, screener):
        """The source took every ticker for new after each restart, and sent all that had been refused."""
        await desk.start_trader()
        await sent(desk)
        await screener.lists("BTCUSDT")
        first = await tried_again(desk)
        await screener.lists("ETHUSDT")
        await sent(desk)
        other = strategy(2, is_active=True, reprocess_enabled=True, changed_at=now())
        await desk.put(
            [
                StrategyConfigured(happened_at=now(), strategy=strategy(is_active=False)),
                StrategyConfigured(happened_at=now(), strategy=other),
            ]
        )
        await screener.lists("BTCUSDT")

        assert (first, await tried_again(desk), await screener.outcomes()) == ([], [], [])

    async def test_tries_again_for_each_bot_that_follows_and_for_50_at_most(self, desk):
        bots = [
            bot(
                **FOLLOWS,
                bot_id=uuid7(now()),
                name=f"bot {number}",
                webhook_path=f"path-of-a-bot-{number:03}",
            )
            for number in range(55)
        ]
        await desk.put(configured(bots=[bot(), *bots], now=now()))
        screener = await started(desk)
        await screener.lists("ETHUSDT")
        for one in [bot(), *bots]:
            await desk.put(declined(one.bot_id))

        await screener.lists("BTCUSDT")

        assert [one for _, one in await screener.outcomes()] == ["success"] * 50
        follow = {one.bot_id for one in bots}
        rows = await desk.rows("SELECT bot_id FROM signals WHERE source = 'screener'")
        assert {row["bot_id"] for row in rows} <= follow
        assert len(rows) == 50

    async def test_finds_what_is_declined_at_the_very_moment_its_ticker_enters(self, desk, screener):
        """Who decides by the old list is waited for: else the buy would be declined and never be tried again."""
        await screener.lists("ETHUSDT")
        pool = desk.journal.pool
        async with desk.journal.transaction() as deciding:
            await deciding.connection.execute("SELECT FROM screener_lists FOR SHARE")
            swapping = asyncio.create_task(screener.lists("BTCUSDT"))
            await asyncio.sleep(0.3)
            await deciding.append(declined(bot().bot_id))
        await swapping

        assert await screener.outcomes() == [("BTCUSDT", "success")]
        assert await pool.fetchval("SELECT count(*) FROM signals WHERE source = 'screener'") == 1


def declined(bot_id):
    """Give the facts of a buy that was declined because of the list."""
    from pregao.domain.facts import DecisionDeclined

    facts = arrival(instruction(now=now()), bot_id=bot_id, now=now())
    assert isinstance(facts[0], SignalReceived)
    return [
        *facts,
        DecisionDeclined(
            happened_at=now(),
            signal_id=facts[0].signal_id,
            bot_id=bot_id,
            code="SCREENER_DECLINED",
            reason="rank=none",
            verdicts=(),
        ),
    ]


class TestAtOnce:
    async def test_whoever_asks_while_the_list_is_swapped_a_buy_is_tried_again_once(self, desk, screener):
        await screener.lists("ETHUSDT")
        await desk.put(declined(bot().bot_id))
        books = PostgresScreenerBooks(desk.journal, ring=_quiet, ring_signals=_quiet)

        async def ask():
            async with books.open() as book:
                facts = await reprocess_by_hand(
                    ["BTCUSDT"], window_seconds=0, book=book, new_id=uuid7, now=now()
                )
                await book.append(facts)

        await asyncio.gather(
            *(ask() for _ in range(6)), screener.lists("BTCUSDT"), *(ask() for _ in range(6))
        )

        assert await screener.outcomes() == [("BTCUSDT", "success")]
        assert len(await tried_again(desk)) == 1
