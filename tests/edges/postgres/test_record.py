"""What a bot has done, counted from the state: only what its settings ask for, in one statement, by indexes."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from pregao.decisions.ports import NOTHING_DONE, Record
from pregao.domain.bot import Directions
from pregao.domain.facts import DecisionApproved, DecisionDeclined, OrderDeferred
from pregao.domain.order import Leg, Side
from pregao.domain.position import Direction, PositionStatus
from pregao.domain.signal import Action
from pregao.edges.postgres.books import PostgresBooks
from pregao.edges.postgres.records import NEWER_AGAINST, RECORD
from tests.builders import BOT_ID, NOON, arrival, booked, bot, closed, configured, held, instruction
from tests.edges.postgres.test_daily_results import begin, change

OTHER_BOT = bot(bot_id=uuid4(), webhook_path="another-bots-webhook")


async def put(journal, facts) -> None:
    async with journal.transaction() as transaction:
        await transaction.append(facts)


async def decide(journal, *, at=NOON, bot_id=BOT_ID, action=Action.ENTER, code=None, **changes) -> UUID:
    """Let a signal be decided at an instant."""
    asked = instruction(now=at, **changes)
    facts = arrival(asked, now=at, bot_id=bot_id)
    about = {"happened_at": at, "signal_id": facts[0].signal_id, "bot_id": bot_id, "verdicts": ()}
    decision = (
        DecisionApproved(instruction=replace(asked, action=action), **about)
        if code is None
        else DecisionDeclined(code=code, reason="", **about)
    )
    await put(journal, [*facts, decision])
    return facts[0].signal_id


async def record(journal, *, now=NOON, side=Side.BUY, symbol="BTCUSDT", **settings) -> Record:
    books = PostgresBooks(journal.pool)
    return await books.read_record(bot(**settings), instruction(side=side, symbol=symbol), now=now)


class TestReadRecord:
    async def test_counts_the_entries_approved_on_this_utc_day(self, journal):
        midnight = datetime(2026, 11, 21, tzinfo=UTC)
        await put(journal, configured(bots=[bot(), OTHER_BOT]))
        await decide(journal, at=midnight - timedelta(microseconds=1))
        await decide(journal, at=midnight)
        await decide(journal, symbol="ETHUSDT")
        await decide(journal, code="SYMBOL_DECLINED")
        await decide(journal, action=Action.CLOSE)
        await decide(journal, bot_id=OTHER_BOT.bot_id)

        assert (await record(journal, max_entries_per_day=9)).entries_today == 2

    async def test_gives_the_last_entry_on_the_symbol_within_the_cooldown(self, journal):
        await put(journal, configured())
        await decide(journal, at=NOON - timedelta(seconds=301))
        before = await record(journal, cooldown_seconds=300)
        await decide(journal, at=NOON - timedelta(seconds=20))
        await decide(journal, at=NOON - timedelta(seconds=10))
        await decide(journal, at=NOON - timedelta(seconds=5), symbol="ETHUSDT")
        await decide(journal, at=NOON - timedelta(seconds=4), action=Action.CLOSE)
        await decide(journal, at=NOON - timedelta(seconds=3), code="COOLDOWN_DECLINED")

        told = await record(journal, cooldown_seconds=300)

        assert before.last_entry_at is None
        assert told.last_entry_at == NOON - timedelta(seconds=10)

    async def test_counts_live_positions_and_those_the_signal_goes_against(self, journal):
        positions = [
            held(position_id=1),
            held(position_id=2, account_id=2),
            held(position_id=3, symbol="ETHUSDT"),
            held(position_id=4, account_id=3, direction=Direction.SHORT),
            held(position_id=5, account_id=4, bot_id=OTHER_BOT.bot_id),
        ]
        await put(journal, configured(bots=[bot(), OTHER_BOT]))
        await begin(journal, *positions)
        await change(journal, *positions)

        told = await record(
            journal, side=Side.SELL, allowed_directions=Directions.BUY_ONLY, global_max_positions=9
        )
        mirrored = await record(journal, allowed_directions=Directions.SELL_ONLY)

        books = PostgresBooks(journal.pool)
        against = [
            await books.count_against(instruction(side=side), bot_id=BOT_ID) for side in (Side.SELL, Side.BUY)
        ]

        assert (told.live_positions, told.positions_here, told.positions_against) == (4, 3, 2)
        assert mirrored.positions_against == 1
        assert against == [2, 1]

    async def test_counts_an_entry_that_waits_for_its_turn_as_held(self, journal):
        """A reverse on its way: the position it will open is what the signal would close."""
        await put(journal, configured())
        waiting = OrderDeferred(
            happened_at=NOON, order_id="p" * 27, signal_id=uuid4(), bot_id=BOT_ID, subscription_id=UUID(int=1),
            account_id=1, symbol="BTCUSDT", position_id=1, leg=Leg.ENTRY, side=Side.BUY, send_before=NOON,
            code="CLOSING_FIRST", reason="",
        )  # fmt: skip
        await put(journal, [waiting])

        told = await record(journal, side=Side.SELL, allowed_directions=Directions.BUY_ONLY)

        assert told == Record(positions_against=1)

    async def test_sums_what_was_lost_today_and_not_what_was_earned(self, journal):
        positions = [held(position_id=number, account_id=number) for number in range(1, 5)]
        await put(journal, configured(accounts=4))
        await begin(journal, *positions)
        for one, (pnl, at) in zip(
            positions,
            [("-30", NOON), ("-12.5", NOON), ("80", NOON), ("-9", NOON - timedelta(days=1))],
            strict=True,
        ):
            await change(journal, one)
            await change(journal, closed(one, pnl=pnl, at=at))
        half_lost = replace(
            closed(positions[3], pnl="-7"), status=PositionStatus.OPEN, closed_at=None, position_id=5
        )
        await begin(journal, half_lost)
        await change(journal, half_lost)
        await put(journal, [booked(order_id=None, position_id=5, side=Side.SELL, traded_at=NOON)])

        told = await record(journal, global_max_daily_loss_usd=Decimal(100))
        tomorrow = await record(journal, now=NOON + timedelta(days=1), global_max_daily_loss_usd=Decimal(100))

        assert told.loss_today_usd == Decimal("49.5")
        assert tomorrow.loss_today_usd == 0

    @pytest.mark.parametrize("side", list(Side))
    async def test_reads_nothing_that_no_setting_asks_for(self, journal, side):
        await put(journal, configured())
        await decide(journal)
        positions = [held(position_id=1), held(position_id=2, account_id=2)]
        await begin(journal, *positions)
        await change(journal, positions[0], closed(positions[1], pnl="-5"))

        assert await record(journal, side=side) == NOTHING_DONE

    async def test_reads_the_past_by_index(self, journal):
        """A bot with a million signals behind it decides as quickly as a new one."""
        await put(journal, configured())
        async with journal.pool.acquire() as connection, connection.transaction():
            await connection.execute("SET LOCAL enable_seqscan = off")
            plan = await connection.fetch(
                f"EXPLAIN {RECORD}",
                BOT_ID,
                "BTCUSDT",
                NOON - timedelta(seconds=300),
                NOON,
                True,
                True,
                True,
                True,
                "long",
                "buy",
            )

        text = "\n".join(row[0] for row in plan)
        assert "Seq Scan" not in text
        assert text.count("signals_entered") == 2


class TestFindNewerAgainst:
    async def newer(self, journal, signal_id, *, side=Side.BUY):
        books = PostgresBooks(journal.pool)
        found = await books.find_newer_against(signal_id, bot_id=BOT_ID, instruction=instruction(side=side))
        return None if found is None else found.signal_id

    async def pending(self, journal, side=Side.BUY) -> UUID:
        await put(journal, configured(bots=[bot(), OTHER_BOT]))
        asked = arrival(instruction(side=side), now=NOON)
        await put(journal, asked)
        return asked[0].signal_id

    @pytest.mark.parametrize(
        ("side", "newer"),
        [
            (Side.BUY, {"action": Action.CLOSE, "side": None}),
            (Side.BUY, {"action": Action.CLOSE, "side": Side.SELL}),
            (Side.BUY, {"action": Action.CLOSE_ALL, "side": None, "symbol": None}),
            (Side.BUY, {"action": Action.CLOSE_ALL, "side": None, "symbol": "ETHUSDT"}),
            (Side.BUY, {"side": Side.SELL}),
            (Side.SELL, {"side": Side.BUY}),
        ],
    )
    async def test_is_what_closes_it_or_enters_on_the_other_side(self, journal, side, newer):
        signal_id = await self.pending(journal, side)
        came = await decide(journal, at=NOON + timedelta(seconds=1), **newer)

        assert await self.newer(journal, signal_id, side=side) == came

    @pytest.mark.parametrize(
        "other",
        [
            {"at": NOON - timedelta(seconds=1), "action": Action.CLOSE, "side": None},
            {"code": "DIRECTION_DECLINED", "side": Side.SELL},
            {"side": Side.BUY},
            {"action": Action.CLOSE, "side": Side.BUY},  # out of what is held short
            {"action": Action.CLOSE, "side": None, "symbol": "ETHUSDT"},
            {"action": Action.CLOSE, "side": None, "share": Decimal("0.5")},
            {"action": Action.CLOSE, "side": None, "subscription_id": UUID(int=1)},
            {"bot_id": OTHER_BOT.bot_id, "action": Action.CLOSE, "side": None},
        ],
    )
    async def test_is_nothing_else(self, journal, other):
        signal_id = await self.pending(journal)
        await decide(journal, **{"at": NOON + timedelta(seconds=1), **other})

        assert await self.newer(journal, signal_id) is None

    async def test_is_the_latest_of_them(self, journal):
        signal_id = await self.pending(journal)
        came = {
            seconds: await decide(
                journal, at=NOON + timedelta(seconds=seconds), action=Action.CLOSE, side=None
            )
            for seconds in (2, 3, 1)
        }

        assert await self.newer(journal, signal_id) == came[3]

    async def test_is_none_that_waits_for_a_person_itself(self, journal):
        signal_id = await self.pending(journal)
        asked = arrival(instruction(side=Side.SELL), now=NOON + timedelta(seconds=1))
        await put(journal, asked)

        assert await self.newer(journal, signal_id) is None

    async def test_is_looked_for_from_the_question_on(self, journal):
        """What a bot did in the years before costs nothing: the index is entered at the question."""
        async with journal.pool.acquire() as connection, connection.transaction():
            await connection.execute("SET LOCAL enable_seqscan = off")
            plan = await connection.fetch(
                f"EXPLAIN {NEWER_AGAINST}", UUID(int=1), BOT_ID, "BTCUSDT", Side.SELL
            )

        text = "\n".join(row[0] for row in plan)
        assert "Seq Scan" not in text
        assert re.search(r"signals_of_bot.*\n\s+Index Cond: .*bot_id = .*received_at >= ", text), text
