"""What is to be decided is found in the state by one trader at a time."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from pregao.domain.facts import SignalRepeated
from pregao.domain.signal import Action
from pregao.edges.postgres.pool import AWAY
from pregao.edges.postgres.waiting import claim_waiting_signals, peek_waiting_signals
from tests.builders import BOT_ID, arrival, bot, configured, instruction


def now() -> datetime:
    return datetime.now(UTC)


async def put(journal, facts) -> None:
    async with journal.transaction() as transaction:
        await transaction.append(facts)


async def waiting(journal, *, limit: int = 16) -> list[UUID]:
    return [one.signal_id for one in await peek_waiting_signals(journal.pool, limit=limit)]


class TestClaimWaitingSignals:
    async def test_never_gives_two_traders_the_same_signal(self, journal):
        await put(journal, configured())
        for _ in range(6):
            await put(journal, arrival(instruction(), now=now()))

        async with journal.transaction() as one, journal.transaction() as other:
            seen = await waiting(journal)
            first, second = await asyncio.gather(
                claim_waiting_signals(one.connection, seen), claim_waiting_signals(other.connection, seen)
            )

        claimed = [fact.signal_id for fact in (*first, *second)]
        assert len(claimed) == len(set(claimed)) == 6

    async def test_gives_the_oldest_first(self, journal):
        await put(journal, configured())
        ids = [UUID(int=9 - number) for number in range(3)]
        for age, signal_id in enumerate(ids):
            await put(
                journal, arrival(instruction(), signal_id=signal_id, now=now() - timedelta(seconds=9 - age))
            )

        async with journal.transaction() as transaction:
            claimed = await claim_waiting_signals(transaction.connection, await waiting(journal, limit=2))

        assert [fact.signal_id for fact in claimed] == ids[:2]

    @pytest.mark.parametrize("held_by", ["another trader", "its own resend"])
    async def test_lets_no_signal_of_a_bot_overtake_another(self, journal, held_by):
        """A close that was planned before the entry it means would find nothing, and the entry would stay."""
        other_bot = bot(bot_id=UUID(int=8), webhook_path="another-bot-of-mine")
        await put(journal, configured(bots=[bot(), other_bot]))
        entry, close, elsewhere = (
            arrival(instruction(action), now=now() + timedelta(seconds=number), bot_id=bot_id)
            for number, (action, bot_id) in enumerate(
                [(Action.ENTER, BOT_ID), (Action.CLOSE, BOT_ID), (Action.ENTER, other_bot.bot_id)]
            )
        )
        for facts in (entry, close, elsewhere):
            await put(journal, facts)
        seen = await waiting(journal)

        async with journal.transaction() as one, journal.transaction() as other:
            if held_by == "another trader":
                await claim_waiting_signals(one.connection, seen[:1])
            else:
                await one.append([SignalRepeated(happened_at=now(), signal_id=seen[0], source_address="")])
            passed_on = await claim_waiting_signals(other.connection, seen)

        assert [fact.signal_id for fact in passed_on] == [elsewhere[0].signal_id]

    async def test_gives_a_signal_again_when_its_trader_died(self, journal):
        await put(journal, configured())
        await put(journal, arrival(instruction(), now=now()))

        async def claim_and_die() -> None:
            async with journal.transaction() as dying:
                assert len(await claim_waiting_signals(dying.connection, await waiting(journal))) == 1
                await journal.pool.execute(
                    "SELECT pg_terminate_backend($1)", dying.connection.get_server_pid()
                )
                await dying.connection.execute("SELECT 1")

        with pytest.raises(AWAY):
            await claim_and_die()

        async with journal.transaction() as transaction:
            assert len(await claim_waiting_signals(transaction.connection, await waiting(journal))) == 1
