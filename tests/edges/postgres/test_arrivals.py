"""Arrivals are kept by one statement: it must leave what the folds of their facts would."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.domain.facts import SignalAccepted, SignalReceived, SignalRefused
from pregao.domain.order import Side
from pregao.domain.signal import Action, Instruction
from pregao.edges.postgres.intake import PostgresIntake
from pregao.edges.postgres.rebuild import compare_with_journal
from pregao.signals.ports import Arrival
from tests.builders import BOT_ID, NOON


def arrival(number: int, *, key: str | None = None, at=NOON, is_explicit_id=False, **changes) -> Arrival:
    received = SignalReceived(
        happened_at=at,
        signal_id=UUID(int=number),
        bot_id=BOT_ID,
        body=f'{{"n": {number}, "e": "\xe9\\u0000"}}\x00\xff'.encode("latin-1"),
        content_type='text/plain; "odd\\"',
        source="test",
        source_address="2001:db8::1",
        dedupe_key=key or f"key {number}",
        is_explicit_id=is_explicit_id,
    )
    asked = {
        "action": Action.ENTER,
        "symbol": "BTCUSDT",
        "side": Side.BUY,
        "share": None,
        "price": Decimal("64000.500"),
        "send_before": at + timedelta(seconds=60),
        "not_used": ("contracts", 'a "b", {c}'),
    }
    about = {"happened_at": at, "signal_id": received.signal_id, "bot_id": BOT_ID}
    return Arrival(received, SignalAccepted(instruction=Instruction(**{**asked, **changes}), **about))


def refused(number: int, **changes) -> Arrival:
    one = arrival(number, **changes)
    about = {"happened_at": NOON, "signal_id": one.received.signal_id, "bot_id": BOT_ID}
    return Arrival(one.received, SignalRefused(code="ACTION_MISSING", reason="No\nfield \\ says é.", **about))


CLOSE = {"action": Action.CLOSE_ALL, "symbol": None, "side": None, "price": None, "not_used": ()}
MANY_DIGITS = {"price": Decimal("0.1234567890123456789012345678"), "share": Decimal("0.5")}


@pytest.fixture
async def intake(journal):
    intake = PostgresIntake(journal)
    yield intake
    await intake.close()


async def facts(journal) -> list[str]:
    rows = await journal.pool.fetch("SELECT kind, signal_id FROM journal ORDER BY xid, seq")
    return [f"{row['kind']} {row['signal_id'].int}" for row in rows]


class TestRecord:
    async def test_leaves_the_state_that_the_facts_fold_to(self, journal, intake):
        later = NOON + timedelta(seconds=60)
        await intake.record([arrival(1), refused(2), arrival(3, **CLOSE), arrival(4, **MANY_DIGITS)])
        await intake.record([arrival(5, key="key 1", at=later), arrival(6, key="one", is_explicit_id=True)])
        await intake.record([arrival(7, key="one", is_explicit_id=True), arrival(8), arrival(9, key="key 8")])

        found = await compare_with_journal(journal)
        row = await journal.pool.fetchrow("SELECT * FROM signals WHERE signal_id = $1", UUID(int=4))

        assert (found.differences, found.facts) == ((), 14 + 2)
        assert row["body"] == arrival(4).received.body
        assert str(row["price"]) == "0.1234567890123456789012345678"

    async def test_numbers_what_was_received_before_what_was_read_of_it(self, journal, intake):
        await intake.record([arrival(1), refused(2), arrival(3)])

        assert await facts(journal) == [
            *(f"SignalReceived {number}" for number in (1, 2, 3)),
            *("SignalAccepted 1", "SignalRefused 2", "SignalAccepted 3"),
        ]

    async def test_keeps_the_firsts_of_a_batch_and_counts_its_repeats(self, journal, intake):
        await intake.record([refused(1, key="one")])

        told = await intake.record([arrival(2), arrival(3, key="one"), arrival(4, key="key 2"), arrival(5)])

        assert [(one.signal_id.int, one.is_first, one.code) for one in told] == [
            (2, True, None),
            (1, False, "ACTION_MISSING"),
            (2, False, None),
            (5, True, None),
        ]
        counted = await journal.pool.fetch("SELECT deliveries FROM signals ORDER BY signal_id")
        assert [row["deliveries"] for row in counted] == [2, 2, 1]
        assert (await facts(journal))[-2:] == ["SignalRepeated 1", "SignalRepeated 2"]

    async def test_keeps_once_what_is_given_again(self, journal, intake):
        """A batch that failed after it was kept is repeated by whoever gave it."""
        batch = [arrival(1), refused(2)]
        first = await intake.record(batch)

        again = [(await intake.record([one]))[0] for one in batch]

        assert again == first
        assert len(await facts(journal)) == 4
        assert (await compare_with_journal(journal)).differences == ()
