"""
A desk is sold out: every position is closed, again and again, until the venue itself says that each account is flat.

Nothing here closes in a way of its own: the job asks as a sender would, and the exits are those of any close.
"""

import asyncio
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.domain.account import Venue
from pregao.domain.facts import FlattenEnded, ForeignPositionSeen
from pregao.domain.order import PositionSide, Side
from pregao.domain.signal import Action
from pregao.domain.trading_state import DESK, TradingState, scope_of_account, scope_of_bot, scope_of_symbol
from pregao.domain.venue import OrderAttempt, Refused
from pregao.edges.postgres.flattens import PostgresFlattens
from pregao.edges.postgres.rebuild import compare_with_journal
from tests.builders import BOT_ID, configured, flatten_started, instruction, state_set
from tests.journeys.conftest import now

JOB = UUID(int=600)
BOUGHT = Decimal("0.005")


async def holding(desk, accounts=2, *, symbols=("BTCUSDT",), **changes):
    """Have a trader with so many accounts that hold a position each."""
    for symbol in symbols[1:]:
        desk.exchange.list_also(symbol, price="95200.0")
    await desk.put(configured(accounts=accounts, now=now(), **changes))
    trader = await desk.start_trader()
    for symbol in symbols:
        await desk.settled(await desk.signal(instruction(now=now(), symbol=symbol)))
    return trader


async def sell_out(desk, scope=DESK, *, accounts=(1, 2), **changes):
    await desk.put(
        [flatten_started(scope, now=desk.exchange.clock(), account_ids=tuple(accounts), **changes)]
    )
    ring(desk)


def ring(desk, bell="flattens"):
    for doorbell in desk._doorbells:
        doorbell.ring(bell)


async def ended(desk, *, seconds_max=15):
    await desk.until("SELECT status <> 'running' FROM flattens", seconds_max=seconds_max)
    return await seen(desk)


async def seen(desk):
    """Give the job's status, and its accounts."""
    views = PostgresFlattens(desk.journal.pool)
    job = await views.find_flatten(JOB, owner=None)
    return job, {one.account_id: one for one in await views.accounts_of(JOB)}


async def stands(desk, code, *, account_id=1, seconds_max=15):
    await desk.until(
        "SELECT count(*) = 1 FROM flatten_accounts WHERE account_id = $1 AND code = $2 AND proved_at IS NULL",
        account_id,
        code,
        seconds_max=seconds_max,
    )


async def submitted(desk, count):
    async with asyncio.timeout(5):
        while len(desk.exchange.submitted) < count:
            await asyncio.sleep(0.005)


def sold(desk):
    return [attempt for attempt in desk.exchange.submitted if attempt.side is Side.SELL]


class TestSellingOut:
    async def test_ends_when_every_account_is_proven_flat(self, desk):
        await holding(desk, 3, symbols=("BTCUSDT", "ETHUSDT"))

        await sell_out(desk, accounts=(1, 2, 3))
        job, accounts = await ended(desk)

        assert (job.status, job.accounts, job.proven) == ("done", 3, 3)
        assert job.ended_by == "trader-1"
        assert all(desk.exchange.quantity(one, "BTCUSDT") == 0 for one in (1, 2, 3))
        for one in accounts.values():
            assert [(place.symbol, place.quantity) for place in one.closed] == [
                ("BTCUSDT", BOUGHT), ("ETHUSDT", BOUGHT),
            ]  # fmt: skip
            assert (one.attempts, one.code) == (2, "")
        assert len(sold(desk)) == 6
        assert all(attempt.reduce_only for attempt in sold(desk))
        assert (await compare_with_journal(desk.journal)).differences == ()

    async def test_proves_an_account_that_holds_nothing_by_the_venue_s_answer(self, desk):
        await holding(desk, 1)
        await desk.settled(await desk.signal(instruction(Action.CLOSE, now=now())))

        await sell_out(desk, accounts=(1,))
        _, accounts = await ended(desk)

        assert accounts[1].proved_at is not None
        assert (accounts[1].closed, len(sold(desk))) == ((), 1)

    @pytest.mark.parametrize(
        ("scope", "left"),
        [
            (scope_of_account(1), [(2, "BTCUSDT"), (2, "ETHUSDT")]),
            (scope_of_bot(BOT_ID), []),
            (scope_of_symbol(Venue.PAPER, "ETHUSDT"), [(1, "BTCUSDT"), (2, "BTCUSDT")]),
            (
                scope_of_symbol(Venue.BINANCE, "ETHUSDT"),
                [(1, "BTCUSDT"), (1, "ETHUSDT"), (2, "BTCUSDT"), (2, "ETHUSDT")],
            ),
        ],
        ids=lambda value: getattr(value, "subject", ""),
    )
    async def test_closes_its_scope_and_nothing_beside_it(self, desk, scope, left):
        await holding(desk, 2, symbols=("BTCUSDT", "ETHUSDT"))

        await sell_out(desk, scope, accounts=(1,))
        job, _ = await ended(desk)

        rows = await desk.rows(
            "SELECT account_id, symbol FROM positions WHERE closed_at IS NULL ORDER BY account_id, symbol"
        )
        assert job.status == "done"
        assert [tuple(row) for row in rows] == left

    async def test_closes_many_of_a_bot_with_one_signal(self, desk):
        await holding(desk, 25)

        await sell_out(desk, accounts=range(1, 26))
        job, _ = await ended(desk)

        assert (job.status, job.proven) == ("done", 25)
        signals = await desk.rows("SELECT signal_id FROM signals WHERE source = 'desk'")
        assert len(signals) == 1

    async def test_proves_accounts_too_that_hold_something_only_since_it_began(self, desk):
        await holding(desk, 2)

        await sell_out(desk, accounts=())
        job, accounts = await ended(desk)

        assert (job.status, sorted(accounts)) == ("done", [1, 2])
        assert all(one.proved_at is not None for one in accounts.values())


class TestWhatStands:
    async def test_is_asked_again_when_the_venue_refuses_the_exit(self, desk):
        await holding(desk)
        desk.exchange.refuse_next("-2019", 1)
        desk.exchange.refuse_next("-2019", 1)

        await sell_out(desk)
        job, accounts = await ended(desk)

        assert (job.status, accounts[1].attempts, accounts[2].attempts) == ("done", 3, 1)
        assert desk.exchange.quantity(1, "BTCUSDT") == 0

    @pytest.mark.parametrize("answers_after_seconds", [0.0, 0.3], ids=["at once", "between two looks"])
    async def test_says_why_while_it_stands_and_cannot_end(self, desk, answers_after_seconds):
        await holding(desk)
        is_refusing = True

        async def refuse(exit_: OrderAttempt) -> None:
            if exit_.account_id == 1 and is_refusing:
                await asyncio.sleep(answers_after_seconds)
                raise Refused("-2019", "Margin is insufficient.")

        desk.exchange.before_each = refuse

        await sell_out(desk)
        await stands(desk, "-2019")
        job, accounts = await seen(desk)
        assert (job.status, job.proven) == ("running", 1)
        assert accounts[1].proved_at is None

        is_refusing = False
        ring(desk)  # else it looks again later and later
        job, _ = await ended(desk)
        assert job.status == "done"

    async def test_waits_for_an_entry_on_its_way_and_closes_what_fills(self, desk):
        await desk.put(configured(accounts=1, now=now()))
        await desk.start_trader()
        answer = desk.exchange.hold_next()
        bought = await desk.signal(instruction(now=now()))
        await submitted(desk, 1)

        await sell_out(desk, accounts=(1,))
        await stands(desk, "ENTRY_ON_ITS_WAY")
        still_running = (await seen(desk))[0].status
        answer.set()
        job, accounts = await ended(desk)

        assert (still_running, job.status) == ("running", "done")
        assert [place.quantity for place in accounts[1].closed] == [BOUGHT]
        assert desk.exchange.quantity(1, "BTCUSDT") == 0
        await desk.settled(bought)

    async def test_stays_until_exits_are_no_longer_blocked(self, desk):
        await holding(desk, 1)
        await desk.put([state_set(now=now(), block_exits=True)])
        ring(desk, "states")

        await sell_out(desk, accounts=(1,))
        await stands(desk, "EXITS_BLOCKED")
        signals = await desk.rows("SELECT signal_id FROM signals WHERE source = 'desk'")
        await desk.put([state_set(now=now(), version=2, state=TradingState.REDUCING)])
        ring(desk, "states")
        job, _ = await ended(desk)

        assert signals == []
        assert job.status == "done"

    async def test_learns_that_a_hand_was_quicker(self, desk):
        """The exit finds nothing to reduce: what the hand has closed is booked, and the account is proven."""
        await holding(desk, 1)
        desk.exchange.stream_is_down = True
        await desk.exchange.trade(1, side=Side.SELL, quantity=BOUGHT)
        desk.exchange.stream_is_down = False

        await sell_out(desk, accounts=(1,))
        job, _ = await ended(desk, seconds_max=30)

        [position] = await desk.rows("SELECT status, close_reason FROM positions")
        assert job.status == "done"
        assert tuple(position) == ("closed", "closed_outside")
        assert desk.exchange.quantity(1, "BTCUSDT") == 0

    async def test_is_not_over_while_the_venue_does_not_say_so(self, desk):
        await holding(desk, 1)
        desk.exchange.stay_silent()

        await sell_out(desk, accounts=(1,))
        await stands(desk, "TIMEOUT")
        live = await desk.rows("SELECT FROM positions WHERE closed_at IS NULL")
        status = (await seen(desk))[0].status
        desk.exchange.stay_silent(silent=False)
        job, _ = await ended(desk, seconds_max=30)

        assert (live, status) == ([], "running")

        assert job.status == "done"


class TestWhatIsNotOurs:
    async def test_is_listed_and_never_touched(self, desk):
        await holding(desk, 1)
        desk.exchange.list_also("ETHUSDT", price="3000.0")
        await desk.exchange.trade(1, side=Side.BUY, quantity=Decimal(2), symbol="ETHUSDT")
        await desk.put(
            [
                ForeignPositionSeen(
                    happened_at=now(), account_id=1, symbol="ETHUSDT", position_side=PositionSide.BOTH, quantity=Decimal(2)
                )
            ]
        )  # fmt: skip

        await sell_out(desk, accounts=(1,))
        job, accounts = await ended(desk)

        assert job.status == "done"
        assert [(place.symbol, place.quantity) for place in accounts[1].foreign_held] == [
            ("ETHUSDT", Decimal(2))
        ]
        assert desk.exchange.quantity(1, "ETHUSDT") == Decimal(2)

    async def test_keeps_the_proof_back_until_it_is_known_not_to_be_ours(self, desk):
        """The books know nothing of it: it may be a fill of ours that nobody told."""
        await holding(desk, 1)
        desk.exchange.list_also("ETHUSDT", price="3000.0")
        desk.exchange.stream_is_down = True
        await desk.exchange.trade(1, side=Side.BUY, quantity=Decimal(2), symbol="ETHUSDT")
        desk.exchange.stream_is_down = False

        await sell_out(desk, accounts=(1,))
        await stands(desk, "VENUE_DIFFERS")
        job, accounts = await ended(desk, seconds_max=60)

        assert job.status == "done"
        assert [place.symbol for place in accounts[1].foreign_held] == ["ETHUSDT"]


class TestDying:
    async def test_is_found_again_and_finished_by_another_trader(self, desk):
        await holding(desk, 2)
        answers = [desk.exchange.hold_next(1), desk.exchange.hold_next(2)]
        await sell_out(desk)
        await submitted(desk, 4)
        await desk.kill()
        for answer in answers:
            answer.set()
        await desk.journal.pool.execute("UPDATE leases SET lease_until = clock_timestamp()")

        desk.exchange.clock.forward(10)
        await desk.start_trader("trader-2")
        job, accounts = await ended(desk, seconds_max=30)

        assert (job.status, job.ended_by) == ("done", "trader-2")
        assert [one.proved_at is not None for one in accounts.values()] == [True, True]
        assert all(desk.exchange.quantity(one, "BTCUSDT") == 0 for one in (1, 2))

    async def test_two_traders_ask_once(self, desk):
        await holding(desk, 2)
        await desk.start_trader("trader-2")

        await sell_out(desk)
        job, _ = await ended(desk)

        assert job.status == "done"
        assert len(sold(desk)) == 2


class TestBeingStopped:
    async def test_asks_for_nothing_more(self, desk):
        await holding(desk, 1)
        await desk.put([state_set(now=now(), block_exits=True)])
        await sell_out(desk, accounts=(1,))
        await stands(desk, "EXITS_BLOCKED")

        await desk.put(
            [
                FlattenEnded(
                    happened_at=now(), flatten_id=JOB, is_done=False, ended_by="ana", reason="a mistake"
                )
            ]
        )
        await desk.put([state_set(now=now(), version=2, state=TradingState.ACTIVE)])
        ring(desk, "states")
        await asyncio.sleep(1.5)

        assert len(sold(desk)) == 0
        assert len(await desk.rows("SELECT FROM positions WHERE status = 'open'")) == 1


class TestKeepTrading:
    async def test_closes_what_comes_in_meanwhile_too(self, desk):
        await holding(desk, 2)
        desk.exchange.refuse_next("-2019", 1)
        for _ in range(3):
            desk.exchange.refuse_next("-2019", 1)

        await sell_out(desk)
        await desk.until("SELECT proved_at IS NOT NULL FROM flatten_accounts WHERE account_id = 2")
        await desk.settled(await desk.signal(instruction(now=now())))
        job, accounts = await ended(desk, seconds_max=30)

        assert job.status == "done"
        assert [place.quantity for place in accounts[2].closed] == [2 * BOUGHT]
        assert desk.exchange.quantity(2, "BTCUSDT") == 0
