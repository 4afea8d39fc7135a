"""accept_signal: what can be read for certain and is not stale is accepted; the rest is refused with its reason."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import asyncpg
import pytest

from pregao.domain.facts import SignalAccepted, SignalReceived, SignalRefused
from pregao.domain.order import Side
from pregao.domain.signal import Action, AlertReading, Instruction, Intent
from pregao.edges.postgres.intake import PostgresIntake
from pregao.edges.postgres.journal import open_journal
from pregao.signals.accept import accept_signal, instruction_of
from pregao.signals.formats import Unreadable
from pregao.signals.ports import Arrival
from tests.builders import BOT_ID, NOON, configured

BUY = b'{"ticker": "BTCUSDT", "action": "buy", "price": "95000"}'


def received(body: bytes = BUY, **changes) -> SignalReceived:
    given = {
        "happened_at": NOON,
        "signal_id": UUID(int=7),
        "bot_id": BOT_ID,
        "body": body,
        "content_type": "application/json",
        "source": "test",
        "source_address": "127.0.0.1",
        "dedupe_key": "key",
        "is_explicit_id": True,
    }
    return SignalReceived(**{**given, **changes})


def reading(intent: Intent = Intent.BUY, **changes) -> AlertReading:
    return AlertReading(**{"intent": intent, "symbol": "BTCUSDT", "side": None, **changes})


async def accept(*arrivals: SignalReceived) -> list:
    return await accept_signal(arrivals, now=NOON, age_seconds_max=60)


def asked(read: AlertReading) -> Instruction:
    return instruction_of(read, received_at=NOON, now=NOON, age_seconds_max=60)


@pytest.fixture
async def journal(database):
    journal = await open_journal(database)
    async with journal.transaction() as transaction:
        await transaction.append(configured())
    yield journal
    await journal.pool.close()


class TestAcceptSignal:
    async def test_gives_accepted_with_what_is_asked(self):
        (fact,) = await accept(received())

        assert fact == SignalAccepted(
            happened_at=NOON,
            signal_id=UUID(int=7),
            bot_id=BOT_ID,
            instruction=Instruction(
                action=Action.ENTER,
                symbol="BTCUSDT",
                side=Side.BUY,
                share=None,
                price=Decimal(95000),
                send_before=NOON + timedelta(seconds=60),
            ),
        )

    async def test_gives_refused_with_code_and_reason_when_it_cannot_be_read(self):
        (fact,) = await accept(received(b'{"ticker": "BTCUSDT"}'))

        assert isinstance(fact, SignalRefused)
        assert (fact.code, fact.signal_id) == ("ACTION_MISSING", UUID(int=7))
        assert fact.reason

    async def test_gives_one_fact_for_each_arrival_whatever_stands_beside_it(self):
        facts = await accept(
            received(), received(b"\xff", signal_id=UUID(int=8)), received(signal_id=UUID(int=9))
        )

        assert [type(fact) for fact in facts] == [SignalAccepted, SignalRefused, SignalAccepted]
        assert [fact.signal_id.int for fact in facts] == [7, 8, 9]

    async def test_run_twice_gives_its_facts_once(self, journal):
        """The first delivery's fact stands; the second is told which signal that is."""
        intake = PostgresIntake(journal)
        first, second = received(), received(signal_id=UUID(int=8))

        results = []
        for arrived in (first, second):
            (outcome,) = await accept(arrived)
            results += await intake.record([Arrival(arrived, outcome)])
        await intake.close()

        assert [(result.signal_id.int, result.is_first) for result in results] == [(7, True), (7, False)]
        assert await journal.pool.fetchval("SELECT count(*) FROM journal WHERE kind = 'SignalAccepted'") == 1
        assert await journal.pool.fetchval("SELECT status FROM signals") == "accepted"

    async def test_failing_leaves_no_trace(self, journal):
        """A fact that no row can hold takes the arrival with it, and nothing else."""
        intake = PostgresIntake(journal)
        arrived = received()
        (outcome,) = await accept(arrived)
        unfit = replace(outcome, instruction=replace(outcome.instruction, symbol="\x00"))

        with pytest.raises(asyncpg.DataError):
            await intake.record([Arrival(arrived, unfit)])
        await intake.close()

        for table in ("signals", "deliveries", "journal WHERE kind LIKE 'Signal%'"):
            assert await journal.pool.fetchval(f"SELECT count(*) FROM {table}") == 0

    async def test_killed_after_its_effect_is_found_and_finished(self, database, journal):
        """The answer was lost, the sender sends again: it gets the signal that is there, still to be decided."""
        before = PostgresIntake(journal)
        arrived = received()
        (outcome,) = await accept(arrived)
        await before.record([Arrival(arrived, outcome)])
        journal.pool.terminate()

        again = await open_journal(database)
        after = PostgresIntake(again)
        (result,) = await after.record([Arrival(replace(arrived, signal_id=UUID(int=8)), outcome)])
        undecided = await after.count_undecided(at_most=10)
        await after.close()
        await again.pool.close()

        assert (result.signal_id.int, result.is_first, undecided) == (7, False, 1)


class TestInstructionOf:
    @pytest.mark.parametrize(
        ("read", "action", "side"),
        [
            (reading(Intent.BUY), Action.ENTER, Side.BUY),
            (reading(Intent.OPEN_SHORT), Action.ENTER, Side.SELL),
            (reading(Intent.REVERSE_TO_LONG), Action.ENTER, Side.BUY),
            (reading(Intent.REVERSE_TO_SHORT), Action.ENTER, Side.SELL),
            (reading(Intent.CLOSE), Action.CLOSE, None),
            (reading(Intent.CLOSE_LONG), Action.CLOSE, Side.SELL),
            (reading(Intent.CLOSE_SHORT), Action.CLOSE, Side.BUY),
            (reading(Intent.CLOSE_ALL, symbol=None), Action.CLOSE_ALL, None),
            (reading(Intent.SELL, target_position=Decimal(0)), Action.CLOSE, None),
            (reading(Intent.SET_POSITION, target_position=Decimal(0)), Action.CLOSE, None),
            (reading(Intent.REDUCE_LONG, share=Decimal("0.5")), Action.CLOSE, Side.SELL),
        ],
    )
    def test_says_action_and_side(self, read, action, side):
        given = asked(read)

        assert (given.action, given.side) == (action, side)

    @pytest.mark.parametrize(
        "read",
        [
            reading(Intent.CANCEL),
            reading(Intent.ADD),
            reading(Intent.START_BOT),
            reading(Intent.REDUCE_LONG),
            reading(Intent.SET_POSITION, target_position=Decimal(1)),
            reading(order_type="limit"),
        ],
    )
    def test_refuses_what_is_not_supported(self, read):
        with pytest.raises(Unreadable) as refused:
            asked(read)

        assert refused.value.code == "UNSUPPORTED_INTENT"

    def test_refuses_a_stale_entry_and_takes_a_stale_close(self):
        late = NOON - timedelta(seconds=61)

        with pytest.raises(Unreadable, match="SIGNAL_STALE"):
            asked(reading(sent_at=late))
        assert asked(reading(Intent.CLOSE, sent_at=late)).action is Action.CLOSE

    def test_lets_an_entry_live_from_when_it_was_sent(self):
        assert asked(reading(sent_at=NOON - timedelta(seconds=20))).send_before == NOON + timedelta(
            seconds=40
        )

    def test_does_not_let_a_fast_clock_make_a_signal_younger(self):
        assert asked(reading(sent_at=NOON + timedelta(hours=1))).send_before == NOON + timedelta(seconds=60)
