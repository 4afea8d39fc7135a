"""The books as planning reads them: members in the version that counts, usage of every limit, what lives and what is held."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import asyncpg
import pytest

from pregao.domain.facts import (
    AccountConfigured,
    OrderEnded,
    PositionChanged,
    SubscriptionConfigured,
    UserConfigured,
)
from pregao.domain.order import OrderStatus, Side
from pregao.domain.position import PositionStatus
from pregao.domain.user import Role, User
from pregao.edges.postgres.books import PostgresBooks
from pregao.edges.postgres.members import KnownMembers
from tests.builders import BOT_ID, NOON, account, booked, configured, held, subscription
from tests.rooms.orders.test_send import order

USER = User(user_id=UUID(int=9), email="ana@example.org", name="Ana", role=Role.TRADER, max_positions=3)


async def put(journal, facts) -> None:
    async with journal.transaction() as transaction:
        await transaction.append(facts)


async def members(journal, known):
    async with journal.transaction() as transaction:
        return await PostgresBooks(transaction.connection, known_members=known).members(BOT_ID)


class TestKnownMembers:
    async def test_are_read_again_when_their_subscription_or_account_changes(self, journal):
        """What a person has paused a moment ago must not trade by an older reading."""
        known = KnownMembers()
        await put(journal, configured(accounts=3))
        first = await members(journal, known)

        await put(
            journal,
            [
                SubscriptionConfigured(happened_at=NOON, subscription=subscription(2, custom_leverage=7)),
                AccountConfigured(happened_at=NOON, account=account(3, is_active=False)),
            ],
        )
        again = await members(journal, known)

        assert again[0] is first[0]
        assert [one.subscription.custom_leverage for one in again] == [None, 7, None]
        assert [one.account.is_active for one in again] == [True, True, False]
        assert again == await members(journal, KnownMembers())

    async def test_forget_the_oldest_and_read_it_again(self, journal):
        known = KnownMembers(members_max=2)
        await put(journal, configured(accounts=5))

        for _ in range(2):
            assert [one.account.account_id for one in await members(journal, known)] == [1, 2, 3, 4, 5]


class TestUsage:
    async def test_counts_live_positions_and_the_day_s_losses_of_every_level(self, journal):
        """A position that has lost on a part it has closed counts before it is closed whole, on that part's day."""
        await put(journal, [UserConfigured(happened_at=NOON, user=USER), *configured(accounts=3)])
        await put(
            journal,
            [
                AccountConfigured(happened_at=NOON, account=account(number, user_id=USER.user_id))
                for number in (1, 2)
            ],
        )
        lost = {
            "exited_quantity": Decimal("0.005"),
            "exit_notional": Decimal(470),
            "closed_at": datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC),
            "status": PositionStatus.CLOSED,
        }
        part = {"exited_quantity": Decimal("0.001"), "exit_notional": Decimal("94.2")}
        positions = [
            held(position_id=1, **lost),
            replace(held(position_id=2, **part), account_id=2, subscription_id=UUID(int=2), symbol="ETHUSDT"),
            replace(held(position_id=3), account_id=3, subscription_id=UUID(int=3)),
        ]
        for one in positions:
            planned = order(
                position_id=one.position_id, account_id=one.account_id, subscription_id=one.subscription_id,
                symbol=one.symbol, order_id=f"p{one.position_id}",
            )  # fmt: skip
            ended = OrderEnded(
                happened_at=NOON, order_id=planned.order_id, signal_id=planned.signal_id,
                position_id=one.position_id, status=OrderStatus.EXPIRED, ended_at=NOON,
            )  # fmt: skip
            await put(journal, [planned, PositionChanged(happened_at=NOON, position=one), ended])

        await put(journal, [booked(order_id=None, position_id=2, side=Side.SELL, traded_at=NOON)])

        async with journal.transaction() as transaction:
            books = PostgresBooks(transaction.connection)
            everybody = [one.subscription.subscription_id for one in await books.members(BOT_ID)]
            usage = await books.usage(
                BOT_ID, subscription_ids=everybody, symbols=["BTCUSDT"], day=NOON.date()
            )
            tomorrow = await books.usage(
                BOT_ID, subscription_ids=everybody, symbols=["BTCUSDT"], day=NOON.date().replace(day=22)
            )

        def told(tallies):
            return {key.int: (one.positions, one.loss_usd) for key, one in tallies.items()}

        assert told(usage.of_subscriptions) == {1: (0, 6), 2: (1, 1), 3: (1, 0)}
        assert {
            (key.int, symbol): (one.positions, one.loss_usd)
            for (key, symbol), one in usage.of_subscriptions_on.items()
        } == {(1, "BTCUSDT"): (0, 6), (3, "BTCUSDT"): (1, 0)}
        assert told(usage.of_users) == {9: (1, 7)}
        assert told(tomorrow.of_subscriptions) == {2: (1, 0), 3: (1, 0)}
        assert told(tomorrow.of_users) == {9: (1, 0)}
        assert usage.limited_users == {USER.user_id: USER}

        unlocked = await PostgresBooks(journal.pool).usage(
            BOT_ID, subscription_ids=everybody, symbols=["BTCUSDT"], day=NOON.date()
        )

        assert unlocked == usage


class TestPositionsLive:
    async def test_allow_one_live_position_per_account_symbol_and_side(self, journal):
        """F052: whatever the code thinks, the database has room for one."""
        await put(journal, [*configured(), order()])
        second = replace(
            order(), order_id="p" + "b" * 26, client_order_id="p" + "b" * 26 + "1", position_id=10
        )

        with pytest.raises(asyncpg.UniqueViolationError, match="positions_live"):
            await put(journal, [second])


class TestOpenAttempts:
    async def test_say_where_an_order_stands_while_it_may_be_tried_again(self, journal):
        await put(journal, [*configured(), order()])

        async with journal.transaction() as transaction:
            books = PostgresBooks(transaction.connection)
            standing = await books.open_attempts([order().order_id, "p" + "z" * 26])
            await transaction.connection.execute("UPDATE orders SET status = 'rejected'")
            ended = await books.open_attempts([order().order_id])

        assert standing == {order().order_id: 1}
        assert ended == {order().order_id: None}


class TestHeldQuantity:
    async def test_is_nothing_while_the_entry_is_on_its_way(self, journal):
        await put(journal, [*configured(), order()])

        assert await PostgresBooks(journal.pool).held_quantity(account_id=1, symbol="BTCUSDT") == Decimal(0)
