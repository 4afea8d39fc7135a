"""Each check on its own: where it turns, and the numbers it says."""

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.decisions import checks
from pregao.decisions.ports import NOTHING_DONE, Record
from pregao.domain.bot import BotStatus, Directions, TradingHours
from pregao.domain.order import Side
from tests.builders import NOON, bot, instruction
from tests.properties import instants, quick

WEEKDAYS = (1, 2, 3, 4, 5)
EVERY_DAY = (1, 2, 3, 4, 5, 6, 7)


def asked(check, *, record=NOTHING_DONE, now=NOON, side=Side.BUY, symbol="BTCUSDT", **changes):
    """Give whether a check passes, and its numbers."""
    verdict = check(bot(**changes), instruction(side=side, symbol=symbol), record, now)
    return verdict.passed, verdict.numbers


class TestBotStatus:
    @pytest.mark.parametrize(
        ("status", "passed"),
        [(BotStatus.ACTIVE, True), (BotStatus.PAUSED, False), (BotStatus.ARCHIVED, False)],
    )
    def test_takes_entries_only_while_active(self, status, passed):
        assert asked(checks.bot_takes_entries, status=status) == (passed, {"status": status})


class TestDirection:
    @pytest.mark.parametrize(
        ("allowed", "side", "passed"),
        [
            (Directions.BOTH, Side.BUY, True),
            (Directions.BOTH, Side.SELL, True),
            (Directions.BUY_ONLY, Side.BUY, True),
            (Directions.BUY_ONLY, Side.SELL, False),
            (Directions.SELL_ONLY, Side.SELL, True),
            (Directions.SELL_ONLY, Side.BUY, False),
        ],
    )
    def test_goes_one_way_or_both(self, allowed, side, passed):
        assert asked(checks.direction_allowed, allowed_directions=allowed, side=side)[0] is passed

    def test_says_how_much_the_other_way_would_close(self):
        told = asked(
            checks.direction_allowed,
            record=Record(positions_against=3),
            allowed_directions=Directions.BUY_ONLY,
            side=Side.SELL,
        )

        assert told == (
            False,
            {"side": "sell", "allowed_directions": "buy_only", "positions_against": "3"},
        )


class TestSymbols:
    @pytest.mark.parametrize(("tied_to", "passed"), [(None, True), ("BTCUSDT", True), ("ETHUSDT", False)])
    def test_a_bot_may_be_tied_to_one(self, tied_to, passed):
        told = asked(checks.symbol_allowed, trading_symbol=tied_to)

        assert told == (passed, {"symbol": "BTCUSDT", "trading_symbol": tied_to or "any"})

    @pytest.mark.parametrize(
        ("listed", "passed", "shown"),
        [
            ((), True, "any"),
            (("BTCUSDT", "ETHUSDT"), True, "BTCUSDT,ETHUSDT"),
            (("ETHUSDT",), False, "ETHUSDT"),
        ],
    )
    def test_a_bot_may_have_a_list(self, listed, passed, shown):
        told = asked(checks.symbol_on_list, allowed_symbols=listed)

        assert told == (passed, {"symbol": "BTCUSDT", "allowed_symbols": shown})

    def test_a_long_list_is_not_repeated_in_every_receipt(self):
        listed = tuple(f"COIN{number}USDT" for number in range(500))

        passed, numbers = asked(checks.symbol_on_list, allowed_symbols=listed, symbol="COIN499USDT")

        assert passed
        assert numbers["allowed_symbols"].endswith("COIN9USDT,and 490 more")


class TestTradingHours:
    def test_is_always_without_any(self):
        told = asked(checks.within_trading_hours)

        assert told == (True, {"now": "2026-11-21T12:00:00+00:00", "trading_hours": "always"})

    def test_says_which_they_are(self):
        window = TradingHours(days=WEEKDAYS, start=time(9, 30), end=time(16), timezone="America/New_York")

        told = asked(checks.within_trading_hours, trading_hours=(window,))  # a Saturday

        assert told == (
            False,
            {"now": "2026-11-21T12:00:00+00:00", "trading_hours": "12345@09:30-16:00@America/New_York"},
        )

    @pytest.mark.parametrize(
        ("at", "is_open"),
        [
            ("2026-11-20T08:59:59.999999", False),
            ("2026-11-20T09:00:00", True),
            ("2026-11-20T16:59:59.999999", True),
            ("2026-11-20T17:00:00", False),
            ("2026-11-21T12:00:00", False),  # Saturday
        ],
    )
    def test_begin_and_end_to_the_microsecond(self, at, is_open):
        window = TradingHours(days=WEEKDAYS, start=time(9), end=time(17))

        assert checks.is_open(window, now=datetime.fromisoformat(at).replace(tzinfo=UTC)) is is_open

    @pytest.mark.parametrize(
        ("at", "is_open"),
        [
            ("2026-11-20T21:59:59", False),  # Friday
            ("2026-11-20T22:00:00", True),
            ("2026-11-21T01:59:59", True),  # the night of Friday lasts into Saturday
            ("2026-11-21T02:00:00", False),
            ("2026-11-21T22:30:00", False),  # Saturday has no night of its own
            ("2026-11-23T01:00:00", False),  # nor has Sunday, so Monday begins closed
        ],
    )
    def test_over_midnight_belong_to_the_day_they_start_on(self, at, is_open):
        window = TradingHours(days=WEEKDAYS, start=time(22), end=time(2))

        assert checks.is_open(window, now=datetime.fromisoformat(at).replace(tzinfo=UTC)) is is_open

    def test_that_end_where_they_start_last_a_day(self):
        window = TradingHours(days=(5,), start=time(9), end=time(9))
        friday = datetime(2026, 11, 20, 9, tzinfo=UTC)

        hours = [checks.is_open(window, now=friday + timedelta(hours=hour)) for hour in (-1, 0, 23, 24)]

        assert hours == [False, True, True, False]

    @pytest.mark.parametrize(
        ("utc", "is_open"),
        [
            ("2026-03-06T14:30:00", True),  # 09:30 in New York, in winter
            ("2026-03-06T14:29:00", False),
            ("2026-03-09T13:30:00", True),  # 09:30 there too: clocks went forward in between
            ("2026-03-09T13:29:00", False),
        ],
    )
    def test_keep_to_the_clock_on_the_wall_when_summer_begins(self, utc, is_open):
        window = TradingHours(days=WEEKDAYS, start=time(9, 30), end=time(16), timezone="America/New_York")

        assert checks.is_open(window, now=datetime.fromisoformat(utc).replace(tzinfo=UTC)) is is_open

    def test_are_open_twice_in_the_hour_that_comes_twice(self):
        """On 2026-10-25 it is 02:30 in Berlin at 00:30 and again at 01:30 UTC."""
        window = TradingHours(days=(7,), start=time(2), end=time(3), timezone="Europe/Berlin")
        first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)

        told = [checks.is_open(window, now=first + timedelta(hours=hours)) for hours in (-1, 0, 1, 2)]

        assert told == [False, True, True, False]

    @quick
    @given(
        at=instants,
        start=st.times(),
        end=st.times(),
        zone=st.sampled_from(["UTC", "America/Sao_Paulo", "Asia/Kolkata", "Pacific/Kiritimati"]),
    )
    def test_and_their_complement_are_open_exactly_once(self, at, start, end, zone):
        """From start to end, and from end to start: on every day one of the two is open, never both."""
        if start == end:
            return
        windows = [
            TradingHours(days=EVERY_DAY, start=one, end=other, timezone=zone)
            for one, other in ((start, end), (end, start))
        ]
        there = at.astimezone(ZoneInfo(zone))
        if not 1 < there.year < 9999:
            return

        assert [checks.is_open(window, now=at) for window in windows].count(True) == 1


class TestCooldown:
    @pytest.mark.parametrize(
        ("seconds_ago", "passed"), [(0, False), (299.9, False), (300, True), (-2, False)]
    )
    def test_is_over_when_its_seconds_have_passed(self, seconds_ago, passed):
        """Another trader's clock may run ahead of ours: an entry from the future cools down too."""
        record = Record(last_entry_at=NOON - timedelta(seconds=seconds_ago))

        told = asked(checks.cooldown_over, record=record, cooldown_seconds=300)

        assert told == (
            passed,
            {"cooldown_seconds": "300", "since_last_entry_seconds": f"{float(seconds_ago)}"},
        )

    def test_is_over_where_there_was_no_entry(self):
        assert asked(checks.cooldown_over, cooldown_seconds=300) == (True, {"cooldown_seconds": "300"})


class TestAge:
    @pytest.mark.parametrize(("seconds", "passed"), [(59.9, True), (60, False), (61.5, False)])
    def test_ends_when_send_before_has_come(self, seconds, passed):
        told = asked(checks.still_young, now=NOON + timedelta(seconds=seconds))

        assert told == (
            passed,
            {"send_before": "2026-11-21T12:01:00.000+00:00", "left_seconds": f"{60 - seconds:.1f}"},
        )


class TestLimits:
    @pytest.mark.parametrize(("entries", "passed"), [(2, True), (3, False), (4, False)])
    def test_of_entries_a_day(self, entries, passed):
        told = asked(checks.entries_left_today, record=Record(entries_today=entries), max_entries_per_day=3)

        assert told == (passed, {"entries_today": str(entries), "max_entries_per_day": "3"})

    @pytest.mark.parametrize(("loss", "passed"), [("99.99", True), ("100.00", False), ("250.5", False)])
    def test_of_what_all_may_lose(self, loss, passed):
        told = asked(
            checks.loss_below_limit,
            record=Record(loss_today_usd=Decimal(loss)),
            global_max_daily_loss_usd=Decimal(100),
        )

        assert told[0] is passed
        assert told[1] == {
            "loss_today_usd": {"100.00": "100"}.get(loss, loss),
            "global_max_daily_loss_usd": "100",
        }

    @pytest.mark.parametrize(("live", "here", "passed"), [(4, 0, True), (5, 0, False), (5, 1, True)])
    def test_of_what_all_may_hold(self, live, here, passed):
        """Whoever holds the symbol may reverse it at the limit: that takes no further place."""
        record = Record(live_positions=live, positions_here=here)

        told = asked(checks.positions_below_limit, record=record, global_max_positions=5)

        numbers = {"live_positions": str(live), "global_max_positions": "5", "positions_here": str(here)}
        assert told == (passed, numbers)

    def test_of_0_let_nothing_through(self):
        """0 is a value, not an absence."""
        zero = Decimal(0)

        assert not asked(checks.entries_left_today, max_entries_per_day=0)[0]
        assert not asked(checks.loss_below_limit, global_max_daily_loss_usd=zero)[0]
        assert not asked(checks.positions_below_limit, global_max_positions=0)[0]

    def test_that_are_not_set_say_so(self):
        told = [
            asked(check)
            for check in (checks.entries_left_today, checks.loss_below_limit, checks.positions_below_limit)
        ]

        assert told == [
            (True, {"max_entries_per_day": "none"}),
            (True, {"global_max_daily_loss_usd": "none"}),
            (True, {"global_max_positions": "none"}),
        ]


class TestLooksBack:
    @pytest.mark.parametrize(
        ("changes", "looks_back"),
        [
            ({}, False),
            ({"trading_symbol": "BTCUSDT", "allowed_symbols": ("BTCUSDT",)}, False),
            ({"allowed_directions": Directions.BUY_ONLY}, True),
            ({"cooldown_seconds": 1}, True),
            ({"max_entries_per_day": 0}, True),
            ({"global_max_daily_loss_usd": Decimal(0)}, True),
            ({"global_max_positions": 0}, True),
        ],
    )
    def test_only_where_a_setting_asks_for_the_past(self, changes, looks_back):
        assert checks.looks_back(bot(**changes)) is looks_back
