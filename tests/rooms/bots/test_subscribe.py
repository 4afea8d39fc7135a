"""Commands on subscriptions: facts out, or a reason (F041)."""

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from pregao.bots.ranges import SUBSCRIPTION_RANGES
from pregao.bots.refusals import ConflictError, SettingUnusableError, UnknownError
from pregao.bots.subscribe import (
    cancel_subscription,
    change_subscription,
    forgive_daily_loss,
    subscribe,
)
from pregao.domain.account import Venue
from pregao.domain.bot import BotStatus, SubscriptionStatus
from pregao.domain.facts import AccountConfigured, BotConfigured, SubscriptionConfigured
from tests.builders import NOON, account, bot, subscription
from tests.rooms.bots.own_book import book_with


def desk(*, accounts: int = 1, venue: Venue = Venue.PAPER, **changes):
    """A book with one bot and accounts that follow nobody."""
    numbers = range(1, accounts + 1)
    opened = [AccountConfigured(happened_at=NOON, account=account(number, venue=venue)) for number in numbers]
    return book_with(BotConfigured(happened_at=NOON, bot=bot(**changes)), *opened)


def joined(**changes):
    book = desk()
    book.fold(SubscriptionConfigured(happened_at=NOON, subscription=subscription(**changes)))
    return book


class TestSubscribe:
    async def test_gives_one_fact_for_each_account_in_their_order(self):
        wanted = [subscription(3), subscription(1), subscription(2)]

        facts = await subscribe(wanted, book=desk(accounts=3), now=NOON)

        assert [fact.subscription for fact in facts] == [subscription(number) for number in (1, 2, 3)]

    @pytest.mark.parametrize(("name", "limits"), SUBSCRIPTION_RANGES.items())
    async def test_takes_null_and_zero_only_where_it_is_none_at_all(self, name, limits):
        """F041, F046: null is not set, 0 is a value."""
        unset = subscription(**{name: None}) if name.startswith("custom_") else subscription()
        zero = subscription(**{name: Decimal(0)})

        assert await subscribe([unset], book=desk(), now=NOON)
        if name in ("custom_stop_loss_pct", "custom_take_profit_pct"):
            assert await subscribe([zero], book=desk(), now=NOON)
        else:
            with pytest.raises(SettingUnusableError, match=f"{name}=0 minimum={limits.minimum}"):
                await subscribe([zero], book=desk(), now=NOON)

    @pytest.mark.parametrize(("name", "limits"), SUBSCRIPTION_RANGES.items())
    @pytest.mark.parametrize("end", ["minimum", "maximum"])
    async def test_takes_both_ends_of_every_range_and_nothing_beyond(self, name, limits, end):
        """F041."""
        inside = getattr(limits, end)
        beyond = inside + Decimal("0.01") * (1 if end == "maximum" else -1)

        assert await subscribe([subscription(**{name: inside})], book=desk(), now=NOON)
        with pytest.raises(SettingUnusableError, match=f"SETTING_OUT_OF_RANGE: {name}="):
            await subscribe([subscription(**{name: beyond})], book=desk(), now=NOON)

    async def test_brings_a_canceled_one_back_under_its_id(self):
        book = joined(status=SubscriptionStatus.CANCELED, custom_leverage=3)
        again = replace(subscription(), subscription_id=subscription(9).subscription_id)

        (fact,) = await subscribe([again], book=book, now=NOON)

        assert fact.subscription == subscription()

    async def test_refuses_one_that_lives(self):
        with pytest.raises(ConflictError, match="SUBSCRIPTION_EXISTS"):
            await subscribe([subscription()], book=joined(status=SubscriptionStatus.PAUSED), now=NOON)

    async def test_refuses_an_archived_bot(self):
        with pytest.raises(ConflictError, match="BOT_ARCHIVED"):
            await subscribe([subscription()], book=desk(status=BotStatus.ARCHIVED), now=NOON)

    async def test_takes_a_paused_bot(self):
        assert await subscribe([subscription()], book=desk(status=BotStatus.PAUSED), now=NOON)

    @pytest.mark.parametrize(
        ("venue", "is_fine"), [(Venue.PAPER, True), (Venue.BINANCE_DEMO, False), (Venue.BINANCE, False)]
    )
    async def test_lets_only_paper_accounts_follow_a_bot_that_is_open_to_all(self, venue, is_fine):
        book = desk(venue=venue, is_open=True)

        if is_fine:
            assert await subscribe([subscription()], book=book, now=NOON)
        else:
            with pytest.raises(ConflictError, match="BOT_OPEN_TO_ALL"):
                await subscribe([subscription()], book=book, now=NOON)

    @pytest.mark.parametrize("numbers", [[], [1, 1], [1, 2, 3, 4]])
    async def test_takes_one_to_three_different_accounts(self, numbers):
        with pytest.raises(SettingUnusableError, match="ACCOUNTS_UNUSABLE"):
            await subscribe([subscription(number) for number in numbers], book=desk(accounts=4), now=NOON)


class TestChangeSubscription:
    async def test_gives_the_whole_subscription_as_it_is_then(self):
        changes = {"status": SubscriptionStatus.PAUSED, "custom_leverage": None}

        (fact,) = await change_subscription(
            subscription().subscription_id, changes, book=joined(custom_leverage=3), now=NOON
        )

        assert fact.subscription == subscription(status=SubscriptionStatus.PAUSED)

    async def test_gives_nothing_when_nothing_changes(self):
        changes = {"status": SubscriptionStatus.ACTIVE}

        assert (
            await change_subscription(subscription().subscription_id, changes, book=joined(), now=NOON) == []
        )


class TestCancelSubscription:
    async def test_run_twice_gives_its_fact_once(self):
        book = joined()
        subscription_id = subscription().subscription_id

        first = await cancel_subscription(subscription_id, book=book, now=NOON)
        await book.append(first)

        assert [fact.subscription.status for fact in first] == [SubscriptionStatus.CANCELED]
        assert await cancel_subscription(subscription_id, book=book, now=NOON) == []

    async def test_tells_an_unknown_one(self):
        with pytest.raises(UnknownError, match="SUBSCRIPTION_UNKNOWN"):
            await cancel_subscription(subscription().subscription_id, book=desk(), now=NOON)


class TestForgiveDailyLoss:
    async def test_run_twice_gives_its_facts_once_for_today_only(self):
        book, whose = joined(), subscription().subscription_id
        today, yesterday = NOON.date(), NOON.date() - timedelta(days=1)
        book.losses = {
            (whose, today, "ETHUSDT"): Decimal("3.5"),
            (whose, today, "BTCUSDT"): Decimal(12),
            (whose, today, "LTCUSDT"): Decimal(0),
            (whose, yesterday, "BTCUSDT"): Decimal(40),
            (subscription(2).subscription_id, today, "BTCUSDT"): Decimal(50),
        }

        first = await forgive_daily_loss(
            whose, reason=" venue outage ", forgiven_by="admin token", book=book, now=NOON
        )
        await book.append(first)
        again = await forgive_daily_loss(
            whose, reason="once more", forgiven_by="admin token", book=book, now=NOON
        )

        assert [(fact.symbol, fact.amount_usd, fact.reason) for fact in first] == [
            ("BTCUSDT", Decimal(12), "venue outage"),
            ("ETHUSDT", Decimal("3.5"), "venue outage"),
        ]
        assert {fact.day for fact in first} == {today}
        assert again == []

    async def test_takes_the_day_of_utc_wherever_the_clock_is(self):
        """22:30 on Friday in Sao Paulo is Saturday."""
        book, whose = joined(), subscription().subscription_id
        friday_evening = datetime(2026, 11, 20, 22, 30, tzinfo=timezone(timedelta(hours=-3)))
        book.losses = {(whose, date(2026, 11, 21), "BTCUSDT"): Decimal(1)}

        assert await forgive_daily_loss(
            whose, reason="tested", forgiven_by="admin token", book=book, now=friday_evening
        )

    @pytest.mark.parametrize("reason", ["", " ok ", "two\nlines", "nul\x00", "x" * 501])
    async def test_wants_a_reason_that_says_something(self, reason):
        with pytest.raises(SettingUnusableError, match="REASON_UNUSABLE"):
            await forgive_daily_loss(
                subscription().subscription_id, reason=reason, forgiven_by="x", book=joined(), now=NOON
            )

    async def test_tells_an_unknown_one(self):
        with pytest.raises(UnknownError, match="SUBSCRIPTION_UNKNOWN"):
            await forgive_daily_loss(
                subscription().subscription_id, reason="tested", forgiven_by="x", book=desk(), now=NOON
            )
