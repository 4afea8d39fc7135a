"""What is booked by hand is booked once or not at all, whoever dies meanwhile; and no order comes of it."""

import contextlib
from uuid import UUID

from pregao.domain.account import Venue
from pregao.domain.facts import AccountConfigured, BotConfigured, SubscriptionConfigured
from pregao.domain.position import Position
from pregao.edges.postgres.by_hand import PostgresPositionBooks
from pregao.edges.postgres.rebuild import compare_with_journal
from pregao.positions.by_hand import Note, enter
from tests.builders import account, bot, subscription
from tests.journeys.conftest import now

GIVEN = ("SignalReceived", "SignalAccepted", "BookedByHand", "FillBooked", "PositionChanged")


class DiedError(Exception):
    """The process ended here."""


class TestBookByHand:
    async def enter(self, desk, *, dies=False):
        """Enter a position at a webhook; give it, or the one that was there."""
        books = PostgresPositionBooks(desk.journal, clock=now, ring_signals=lambda: None)
        booked = None
        with contextlib.suppress(DiedError):
            async with books.open(owner=None) as book:
                booked = await enter(
                    Note(signal_id=UUID(int=7), booked_by="ana", reason="held before"),
                    subscription_id=UUID(int=1), symbol="AAPL", price=None, book=book, now=now(),
                )  # fmt: skip
                if not isinstance(booked, Position):
                    await book.book([booked], source_address="local")
                if dies:
                    raise DiedError
        return booked

    async def arrange(self, desk):
        await desk.put(
            [
                BotConfigured(happened_at=now(), bot=bot()),
                AccountConfigured(happened_at=now(), account=account(venue=Venue.WEBHOOK)),
                SubscriptionConfigured(happened_at=now(), subscription=subscription()),
            ]
        )

    async def test_gives_its_facts(self, desk):
        await self.arrange(desk)

        await self.enter(desk)

        assert set(await desk.facts(*GIVEN)) == set(GIVEN)
        [signal] = await desk.rows("SELECT status, orders, settled_at IS NOT NULL AS is_over FROM signals")
        assert tuple(signal) == ("settled", 0, True)
        assert (await compare_with_journal(desk.journal)).differences == ()

    async def test_run_twice_books_once(self, desk):
        await self.arrange(desk)
        first = await self.enter(desk)
        once = await desk.state()

        again = await self.enter(desk)

        assert isinstance(again, Position)
        assert again.position_id == first.position.position_id
        assert await desk.state() == once

    async def test_failing_leaves_no_trace(self, desk):
        await self.arrange(desk)
        before, facts = await desk.state(), await desk.facts()

        await self.enter(desk, dies=True)

        assert (await desk.state(), await desk.facts()) == (before, facts)

    async def test_killed_before_its_commit_it_may_be_asked_for_again(self, desk):
        await self.arrange(desk)
        await self.enter(desk, dies=True)

        await self.enter(desk)

        [position] = await desk.rows("SELECT status, entered_quantity FROM positions")
        assert tuple(position) == ("open", 1)
