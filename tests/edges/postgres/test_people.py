"""Who is known and what they asked for: folded from facts, and the same again after a rebuild."""

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

from pregao.domain.bot import BotStatus, SubscriptionStatus
from pregao.domain.facts import (
    AccountConfigured,
    ActionTaken,
    BotConfigured,
    BotForgotten,
    SubscriptionConfigured,
    UserConfigured,
)
from pregao.domain.user import Role
from pregao.edges.postgres.rebuild import compare_with_journal
from tests.builders import BOT_ID, NOON, account, bot, subscription, user
from tests.edges.http.api.own_desk import own_desk


def taken(number: int = 1, **changes) -> ActionTaken:
    given = {
        "happened_at": NOON,
        "action_id": UUID(int=number),
        "user_id": UUID(int=1_001),
        "principal": "session",
        "source_address": "192.0.2.7",
        "user_agent": "test",
        "method": "DELETE",
        "path": "/api/v1/bots/1",
        "action": "delete_bot",
        "targets": {"bot_id": "1"},
        "status": 404,
        "error_code": "BOT_UNKNOWN",
        "duration_ms": 3,
    }
    return ActionTaken(**{**given, **changes})


class TestFolds:
    async def test_keep_users_their_accounts_and_their_actions_and_a_rebuild_gives_the_same(self, database):
        ana = user(max_daily_loss_usd=Decimal("100.50"), max_positions=4)
        async with own_desk(database) as desk:
            await desk.append(
                UserConfigured(happened_at=NOON, user=ana),
                UserConfigured(happened_at=NOON, user=user(2)),
                AccountConfigured(happened_at=NOON, account=account(1, user_id=ana.user_id, is_main=True)),
                BotConfigured(happened_at=NOON, bot=bot()),
                SubscriptionConfigured(happened_at=NOON, subscription=subscription()),
                taken(1),
                taken(2, user_id=None, principal="", error_code=None, status=200, targets={}),
            )
            await desk.append(UserConfigured(happened_at=NOON, user=replace(ana, role=Role.VIEWER)))

            users = await desk.journal.pool.fetch("SELECT * FROM users ORDER BY user_id")
            views = await desk.journal.pool.fetch(
                """
                SELECT user_id, is_main FROM public.exchange_accounts
                UNION ALL SELECT user_id, NULL FROM public.bot_subscriptions
                """
            )
            found = await compare_with_journal(desk.journal)

        assert [(row["role"], row["max_positions"]) for row in users] == [("viewer", 4), ("trader", None)]
        assert [tuple(row) for row in views] == [(ana.user_id, True), (ana.user_id, None)]
        assert found.differences == ()

    async def test_forget_a_bot_with_its_canceled_subscriptions(self, database):
        canceled = subscription(status=SubscriptionStatus.CANCELED)
        async with own_desk(database) as desk:
            await desk.append(
                AccountConfigured(happened_at=NOON, account=account()),
                BotConfigured(happened_at=NOON, bot=bot(status=BotStatus.ARCHIVED)),
                SubscriptionConfigured(happened_at=NOON, subscription=canceled),
            )

            await desk.append(BotForgotten(happened_at=NOON, bot_id=BOT_ID))

            left = await desk.journal.pool.fetchval(
                "SELECT (SELECT count(*) FROM bots) + (SELECT count(*) FROM subscriptions)"
            )
            found = await compare_with_journal(desk.journal)
        assert (left, found.differences) == (0, ())
