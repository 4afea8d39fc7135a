"""Commands on bots: facts out, or a reason (F040)."""

from datetime import timedelta
from decimal import Decimal

import pytest

from pregao.bots.configure import FORGET_AFTER, archive_bot, change_bot, create_bot, forget_bot, rotate_secret
from pregao.bots.ranges import BOT_RANGES
from pregao.bots.refusals import ConflictError, SettingUnusableError, UnknownError
from pregao.domain.bot import BotStatus, SubscriptionStatus, SymbolSettings
from pregao.domain.facts import BotConfigured, BotForgotten, SubscriptionConfigured
from tests.builders import BOT_ID, NOON, bot, configured, subscription
from tests.rooms.bots.own_book import book_with


class TestCreateBot:
    async def test_gives_the_whole_bot(self):
        facts = await create_bot(bot(), book=book_with(), now=NOON)

        assert facts == [BotConfigured(happened_at=NOON, bot=bot())]

    @pytest.mark.parametrize(("name", "limits"), BOT_RANGES.items())
    @pytest.mark.parametrize("end", ["minimum", "maximum"])
    async def test_takes_both_ends_of_every_range_and_nothing_beyond(self, name, limits, end):
        """F040."""
        inside = getattr(limits, end)
        kind = Decimal if isinstance(getattr(bot(), name), Decimal) else int
        beyond = inside + (Decimal("0.01") if kind is Decimal else 1) * (1 if end == "maximum" else -1)

        await create_bot(bot(**{name: kind(inside)}), book=book_with(), now=NOON)
        with pytest.raises(SettingUnusableError, match=f"SETTING_OUT_OF_RANGE: {name}="):
            await create_bot(bot(**{name: kind(beyond)}), book=book_with(), now=NOON)

    async def test_takes_no_limit_for_a_limit(self):
        (fact,) = await create_bot(bot(signals_per_minute_max=None), book=book_with(), now=NOON)

        assert fact.bot.signals_per_minute_max is None

    @pytest.mark.parametrize("margin", ["NaN", "Infinity", "-5", "5.000000000000000000001"])
    async def test_refuses_what_is_no_amount(self, margin):
        with pytest.raises(SettingUnusableError):
            await create_bot(bot(default_margin_usd=Decimal(margin)), book=book_with(), now=NOON)

    @pytest.mark.parametrize(
        ("webhook_path", "is_fine"),
        [
            ("a" * 16, True),
            ("bot-ema-cross-15m", True),
            ("A.z_9-" + "b" * 249, True),
            ("a" * 15, False),
            ("a" * 256, False),
            ("with space in it!", False),
            ("sixteen-and-a\nline", False),
            ("maçã-maçã-maçã-maçã", False),
        ],
    )
    async def test_takes_paths_of_sixteen_plain_characters_or_more(self, webhook_path, is_fine):
        made = bot(webhook_path=webhook_path)

        if is_fine:
            assert await create_bot(made, book=book_with(), now=NOON)
        else:
            with pytest.raises(SettingUnusableError, match="WEBHOOK_PATH_UNUSABLE"):
                await create_bot(made, book=book_with(), now=NOON)

    async def test_refuses_spot_until_there_is_a_venue(self):
        with pytest.raises(SettingUnusableError, match="MARKET_TYPE_UNSUPPORTED"):
            await create_bot(bot(market_type="spot"), book=book_with(), now=NOON)

    async def test_refuses_a_path_that_is_taken(self):
        book = book_with(BotConfigured(happened_at=NOON, bot=bot()))

        with pytest.raises(ConflictError, match="WEBHOOK_PATH_TAKEN"):
            await create_bot(bot(name="twin"), book=book, now=NOON)

    @pytest.mark.parametrize("spelling", ["BTCUSDT", "btcusdt.p", "BTC-USDT", " btcusdt "])
    async def test_spells_symbols_as_signals_do(self, spelling):
        (fact,) = await create_bot(bot(trading_symbol=spelling), book=book_with(), now=NOON)

        assert fact.bot.trading_symbol == "BTCUSDT"

    async def test_spells_allowed_symbols_and_rows_as_signals_do(self):
        rows = (SymbolSettings(symbol="eth-usdt"), SymbolSettings(symbol="btcusdt.p"))

        (fact,) = await create_bot(
            bot(allowed_symbols=("btc-usdt", "ETHUSDT.P"), symbols=rows), book=book_with(), now=NOON
        )

        assert fact.bot.allowed_symbols == ("BTCUSDT", "ETHUSDT")
        assert [row.symbol for row in fact.bot.symbols] == ["BTCUSDT", "ETHUSDT"]

    async def test_refuses_one_symbol_in_two_spellings(self):
        with pytest.raises(SettingUnusableError, match="SYMBOL_REPEATED"):
            await create_bot(bot(allowed_symbols=("BTC-USDT", "btcusdt.p")), book=book_with(), now=NOON)


class TestChangeBot:
    async def test_gives_the_whole_bot_as_it_is_then(self):
        book = book_with(*configured())

        (fact,) = await change_bot(BOT_ID, {"status": BotStatus.PAUSED}, book=book, now=NOON)

        assert fact.bot == bot(status=BotStatus.PAUSED)

    async def test_gives_nothing_when_nothing_changes(self):
        book = book_with(*configured())

        assert await change_bot(BOT_ID, {"name": "EMA cross"}, book=book, now=NOON) == []

    async def test_tells_an_unknown_bot(self):
        with pytest.raises(UnknownError, match="BOT_UNKNOWN"):
            await change_bot(BOT_ID, {}, book=book_with(), now=NOON)

    async def test_leaves_an_archived_bot_as_it_is(self):
        book = book_with(*configured(bots=[bot(status=BotStatus.ARCHIVED)]))

        with pytest.raises(ConflictError, match="BOT_ARCHIVED"):
            await change_bot(BOT_ID, {"status": BotStatus.ACTIVE}, book=book, now=NOON)


class TestRotateSecret:
    DAY = timedelta(days=1)

    async def rotated(self, book, secret_sha256: str, overlap: timedelta, now=NOON):
        facts = await rotate_secret(BOT_ID, secret_sha256=secret_sha256, overlap=overlap, book=book, now=now)
        await book.append(facts)
        return facts

    async def test_gives_the_bot_with_both_secrets(self):
        book = book_with(*configured(bots=[bot(secret_sha256="first")]))

        facts = await self.rotated(book, "second", self.DAY)

        expected = bot(
            secret_sha256="second", former_secret_sha256="first", former_secret_until=NOON + self.DAY
        )
        assert facts == [BotConfigured(happened_at=NOON, bot=expected)]

    async def test_drops_the_older_one_when_it_is_rotated_again(self):
        book = book_with(*configured(bots=[bot(secret_sha256="first")]))
        await self.rotated(book, "second", self.DAY)

        (fact,) = await self.rotated(book, "third", timedelta(hours=1), now=NOON + timedelta(minutes=1))

        assert (fact.bot.secret_sha256, fact.bot.former_secret_sha256) == ("third", "second")
        assert fact.bot.former_secret_until == NOON + timedelta(minutes=61)

    async def test_keeps_no_former_one_without_an_overlap(self):
        book = book_with(*configured(bots=[bot(secret_sha256="first")]))
        await self.rotated(book, "second", self.DAY)

        (fact,) = await self.rotated(book, "third", timedelta(0))

        assert (fact.bot.former_secret_sha256, fact.bot.former_secret_until) == (None, None)

    @pytest.mark.parametrize(
        ("overlap", "is_fine"),
        [
            (timedelta(days=30), True),
            (timedelta(days=30, seconds=1), False),
            (timedelta(seconds=-1), False),
        ],
    )
    async def test_overlaps_for_thirty_days_at_most(self, overlap, is_fine):
        book = book_with(*configured())

        if is_fine:
            assert await self.rotated(book, "second", overlap)
        else:
            with pytest.raises(SettingUnusableError, match="SETTING_OUT_OF_RANGE: overlap_seconds="):
                await self.rotated(book, "second", overlap)

    async def test_leaves_an_archived_bot_as_it_is_and_tells_an_unknown_one(self):
        with pytest.raises(ConflictError, match="BOT_ARCHIVED"):
            await self.rotated(book_with(*configured(bots=[bot(status=BotStatus.ARCHIVED)])), "new", self.DAY)
        with pytest.raises(UnknownError, match="BOT_UNKNOWN"):
            await self.rotated(book_with(), "new", self.DAY)


class TestArchiveBot:
    async def test_cancels_every_subscription(self):
        """F040: archive stops subscriptions."""
        book = book_with(*configured(accounts=2))

        facts = await archive_bot(BOT_ID, book=book, now=NOON)

        assert facts == [
            BotConfigured(happened_at=NOON, bot=bot(status=BotStatus.ARCHIVED)),
            *(
                SubscriptionConfigured(
                    happened_at=NOON, subscription=subscription(number, status=SubscriptionStatus.CANCELED)
                )
                for number in (1, 2)
            ),
        ]

    async def test_run_twice_gives_its_facts_once(self):
        book = book_with(*configured(accounts=2))
        await book.append(await archive_bot(BOT_ID, book=book, now=NOON))

        assert await archive_bot(BOT_ID, book=book, now=NOON) == []


class TestForgetBot:
    async def test_gives_its_fact_for_one_that_was_never_used(self):
        book = book_with(*configured(bots=[bot(status=BotStatus.ARCHIVED)]))

        facts = await forget_bot(BOT_ID, book=book, now=NOON + FORGET_AFTER)

        assert facts == [BotForgotten(happened_at=NOON + FORGET_AFTER, bot_id=BOT_ID)]

    async def test_keeps_one_that_may_take_signals(self):
        with pytest.raises(ConflictError, match="BOT_NOT_ARCHIVED"):
            await forget_bot(BOT_ID, book=book_with(*configured()), now=NOON + FORGET_AFTER)

    async def test_keeps_one_that_had_a_signal(self):
        book = book_with(*configured(bots=[bot(status=BotStatus.ARCHIVED)]))
        book.signaled.add(BOT_ID)

        with pytest.raises(ConflictError, match="BOT_HAS_HISTORY"):
            await forget_bot(BOT_ID, book=book, now=NOON + FORGET_AFTER)

    async def test_waits_until_everybody_has_heard_that_it_is_archived(self):
        """A process that has not heard yet might still take a signal in for it."""
        book = book_with(*configured(bots=[bot(status=BotStatus.ARCHIVED)]))

        with pytest.raises(ConflictError, match="BOT_JUST_ARCHIVED"):
            await forget_bot(BOT_ID, book=book, now=NOON + FORGET_AFTER - timedelta(seconds=1))

    async def test_tells_an_unknown_bot(self):
        with pytest.raises(UnknownError, match="BOT_UNKNOWN"):
            await forget_bot(BOT_ID, book=book_with(), now=NOON)
