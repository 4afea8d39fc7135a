"""Commands on symbol rows: facts out, or a reason (F058)."""

from decimal import Decimal

import pytest

from pregao.bots.configure import remove_symbol, set_symbol
from pregao.bots.refusals import ConflictError, UnknownError
from pregao.bots.subscribe import copy_symbols, remove_own_symbol, set_own_symbol, switch_symbol
from pregao.domain.bot import BotStatus, SubscriptionStatus, SymbolSettings
from tests.builders import BOT_ID, NOON, bot, configured, subscription
from tests.rooms.bots.own_book import book_with

ROW = SymbolSettings(symbol="BTCUSDT", leverage=3)
SUBSCRIPTION_ID = subscription().subscription_id


def book(*, rows=(), own_rows=(), **changes):
    return book_with(*configured(bots=[bot(symbols=rows, **changes)], symbols=own_rows))


class TestBotsRows:
    async def test_set_gives_the_whole_bot(self):
        other = SymbolSettings(symbol="ETHUSDT")

        (fact,) = await set_symbol(
            BOT_ID, SymbolSettings(symbol="btc-usdt", leverage=5), book=book(rows=(ROW, other)), now=NOON
        )

        assert fact.bot == bot(symbols=(SymbolSettings(symbol="BTCUSDT", leverage=5), other))

    async def test_set_as_it_is_gives_nothing(self):
        assert await set_symbol(BOT_ID, ROW, book=book(rows=(ROW,)), now=NOON) == []

    async def test_removed_leaves_the_others(self):
        (fact,) = await remove_symbol(BOT_ID, "btcusdt.p", book=book(rows=(ROW,)), now=NOON)

        assert fact.bot == bot()

    async def test_removed_must_be_there(self):
        with pytest.raises(UnknownError, match="SYMBOL_ROW_UNKNOWN: symbol=BTCUSDT"):
            await remove_symbol(BOT_ID, "BTCUSDT", book=book(), now=NOON)

    async def test_of_an_archived_bot_stay(self):
        with pytest.raises(ConflictError, match="BOT_ARCHIVED"):
            await set_symbol(BOT_ID, ROW, book=book(status=BotStatus.ARCHIVED), now=NOON)


class TestSubscriptionsRows:
    async def test_set_and_removed_give_the_whole_subscription(self):
        own = book()

        (made,) = await set_own_symbol(SUBSCRIPTION_ID, ROW, book=own, now=NOON)
        await own.append([made])
        (left,) = await remove_own_symbol(SUBSCRIPTION_ID, "BTCUSDT", book=own, now=NOON)

        assert made.subscription == subscription(symbols=(ROW,))
        assert left.subscription == subscription()

    async def test_switched_off_keeps_its_values(self):
        (fact,) = await switch_symbol(
            SUBSCRIPTION_ID, "BTCUSDT", is_active=False, book=book(own_rows=(ROW,)), now=NOON
        )

        assert fact.subscription.symbols == (SymbolSettings(symbol="BTCUSDT", leverage=3, is_active=False),)

    async def test_copied_has_no_limits_of_the_bots_and_goes_on_counting_the_bots_values(self):
        """A bot's limits are of all subscribers together: as one's own they would mean something else."""
        rows = (
            SymbolSettings(
                symbol="BTCUSDT",
                leverage=3,
                max_positions=9,
                max_daily_loss_usd=Decimal(50),
                is_active=False,
            ),
        )

        (fact,) = await copy_symbols(SUBSCRIPTION_ID, bot_id=BOT_ID, book=book(rows=rows), now=NOON)

        assert fact.subscription.symbols == (
            SymbolSettings(symbol="BTCUSDT", leverage=3, use_bot_default=True),
        )

    async def test_copied_twice_is_copied_once(self):
        own = book(rows=(ROW,))
        await own.append(await copy_symbols(SUBSCRIPTION_ID, bot_id=BOT_ID, book=own, now=NOON))

        assert await copy_symbols(SUBSCRIPTION_ID, bot_id=BOT_ID, book=own, now=NOON) == []

    async def test_of_a_canceled_one_stay(self):
        canceled = book_with(*configured(status=SubscriptionStatus.CANCELED))

        with pytest.raises(ConflictError, match="SUBSCRIPTION_CANCELED"):
            await switch_symbol(SUBSCRIPTION_ID, "BTCUSDT", is_active=True, book=canceled, now=NOON)
