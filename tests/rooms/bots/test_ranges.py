"""What the rules of bots and subscriptions may be (F040, F041, F058)."""

from datetime import UTC, time
from decimal import Decimal

import pytest

from pregao.bots.ranges import SYMBOL_RANGES, check_bot, check_subscription, to_symbol
from pregao.bots.refusals import SettingUnusableError
from pregao.domain.bot import SymbolSettings, TradingHours
from tests.builders import bot, subscription


def window(**changes) -> TradingHours:
    return TradingHours(**{"days": (1, 2, 3, 4, 5), "start": time(9), "end": time(17, 30), **changes})


def symbols(count: int) -> tuple[str, ...]:
    return tuple(f"A{number}USDT" for number in range(count))


class TestSymbolRows:
    @pytest.mark.parametrize(("name", "limits"), SYMBOL_RANGES.items())
    @pytest.mark.parametrize("end", ["minimum", "maximum"])
    @pytest.mark.parametrize("of", [bot, subscription])
    def test_take_both_ends_of_every_range_and_nothing_beyond(self, name, limits, end, of):
        check = {bot: check_bot, subscription: check_subscription}[of]
        inside = getattr(limits, end)
        beyond = inside + Decimal("0.01") * (1 if end == "maximum" else -1)

        check(of(symbols=(SymbolSettings(symbol="BTCUSDT", **{name: inside}),)))
        with pytest.raises(SettingUnusableError, match=f"SETTING_OUT_OF_RANGE: symbols.BTCUSDT.{name}="):
            check(of(symbols=(SymbolSettings(symbol="BTCUSDT", **{name: beyond}),)))

    @pytest.mark.parametrize("name", ["stop_loss_pct", "take_profit_pct"])
    def test_take_zero_for_no_stop_and_no_target(self, name):
        """F046: 0 is a value."""
        check_bot(bot(symbols=(SymbolSettings(symbol="BTCUSDT", **{name: Decimal(0)}),)))
        check_subscription(subscription(**{f"custom_{name}": Decimal("0.00")}))

    def test_name_a_symbol_once(self):
        with pytest.raises(SettingUnusableError, match="SYMBOL_REPEATED: symbols has symbol=BTCUSDT"):
            check_bot(bot(symbols=(SymbolSettings(symbol="BTCUSDT"),) * 2))

    def test_are_two_hundred_at_most(self):
        rows = tuple(SymbolSettings(symbol=symbol) for symbol in symbols(201))

        check_subscription(subscription(symbols=rows[:200]))
        with pytest.raises(
            SettingUnusableError, match="SETTING_TOO_LONG: symbols has entries=201 maximum=200"
        ):
            check_subscription(subscription(symbols=rows))

    def test_of_a_bot_have_no_other_default_to_use(self):
        row = SymbolSettings(symbol="BTCUSDT", use_bot_default=True)

        check_subscription(subscription(symbols=(row,)))
        with pytest.raises(SettingUnusableError, match="SETTING_MISPLACED: use_bot_default"):
            check_bot(bot(symbols=(row,)))


class TestAllowedSymbols:
    def test_are_five_hundred_at_most(self):
        check_bot(bot(allowed_symbols=symbols(500)))
        with pytest.raises(SettingUnusableError, match="SETTING_TOO_LONG: allowed_symbols has entries=501"):
            check_bot(bot(allowed_symbols=symbols(501)))

    def test_are_named_once(self):
        with pytest.raises(SettingUnusableError, match="SYMBOL_REPEATED: allowed_symbols has symbol=BTCUSDT"):
            check_bot(bot(allowed_symbols=("BTCUSDT", "ETHUSDT", "BTCUSDT")))

    @pytest.mark.parametrize("symbol", ["", "btcusdt", "BTC/USDT", "BTC USDT", "A" * 21])
    def test_have_the_exchanges_spelling(self, symbol):
        with pytest.raises(SettingUnusableError, match="SYMBOL_UNUSABLE: allowed_symbols"):
            check_bot(bot(allowed_symbols=(symbol,)))

    @pytest.mark.parametrize("spelling", ["BTCUSDT", "btcusdt.p", "BTC-USDT", "BTC-USDT.P", " btcusdt "])
    def test_are_spelled_as_signals_spell_them(self, spelling):
        assert to_symbol(spelling) == "BTCUSDT"


class TestTradingHours:
    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"days": (7,)},
            {"days": (1, 2, 3, 4, 5, 6, 7), "start": time(0), "end": time(0)},
            {"start": time(22), "end": time(2)},
            {"timezone": "America/Sao_Paulo"},
        ],
    )
    def test_take_every_window_of_a_week(self, changes):
        check_bot(bot(trading_hours=(window(**changes),)))

    @pytest.mark.parametrize("days", [(), (0,), (8,), (1, 1), (1, 2, 3, 4, 5, 6, 7, 1)])
    def test_name_each_day_once(self, days):
        with pytest.raises(SettingUnusableError, match="TRADING_DAYS_UNUSABLE"):
            check_bot(bot(trading_hours=(window(days=days),)))

    @pytest.mark.parametrize(
        "timezone", ["", "Brasilia", "america/sao_paulo", "localtime", "../etc/passwd", "Z"]
    )
    def test_name_a_zone_that_exists(self, timezone):
        with pytest.raises(SettingUnusableError, match="TIMEZONE_UNKNOWN"):
            check_bot(bot(trading_hours=(window(timezone=timezone),)))

    def test_take_plain_times_only(self):
        with pytest.raises(SettingUnusableError, match="TRADING_TIME_UNUSABLE"):
            check_bot(bot(trading_hours=(window(start=time(9, tzinfo=UTC)),)))

    def test_are_fifty_windows_at_most(self):
        check_bot(bot(trading_hours=(window(),) * 50))
        with pytest.raises(SettingUnusableError, match="SETTING_TOO_LONG: trading_hours has entries=51"):
            check_bot(bot(trading_hours=(window(),) * 51))
