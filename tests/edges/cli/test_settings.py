"""Settings of bots, subscriptions and symbol rows on the command line."""

import pytest

from pregao.edges.cli import bots, subscriptions
from pregao.edges.cli.rules import hours_of, hours_text
from tests.builders import BOT_ID
from tests.edges.http.api.own_desk import NO_RISK, STANDARD_GUARD
from tests.edges.http.api.test_receipts import approved, planned

RULES = {
    "--approval": ("manual", "approval", "manual"),
    "--approval-seconds": ("30", "approval_seconds", 30),
    "--approval-price-move-pct": ("0.5", "approval_price_move_pct", "0.5"),
    "--cooldown-seconds": ("60", "cooldown_seconds", 60),
    "--max-entries-per-day": ("0", "max_entries_per_day", 0),
    "--global-max-daily-loss-usd": ("500", "global_max_daily_loss_usd", "500"),
    "--global-max-positions": ("9", "global_max_positions", 9),
    "--signals-per-minute-max": ("30", "signals_per_minute_max", 30),
    "--same-side": ("add", "same_side", "add"),
    "--opposite-side": ("close", "opposite_side", "close"),
    "--directions": ("buy_only", "allowed_directions", "buy_only"),
    "--leverage": ("7", "default_leverage", 7),
    "--margin-usd": ("70", "default_margin_usd", "70"),
    "--stop-loss-pct": ("1.5", "default_stop_loss_pct", "1.5"),
    "--take-profit-pct": ("3", "default_take_profit_pct", "3"),
    "--max-positions": ("4", "default_max_positions", 4),
    "--symbol": ("btc-usdt", "trading_symbol", "BTCUSDT"),
    "--description": ("15", "description", "15"),
}
WORDS = [word for option, (given, _, _) in RULES.items() for word in (option, given)]
SHOWN = {field: value for _, field, value in RULES.values()}


@pytest.fixture
async def joined(shell):
    """A shell on a desk where the account main follows the bot EMA cross."""
    desk, here = shell
    await desk.make_bot("EMA cross")
    await desk.make_account("main")
    result = await here.run(subscriptions.app, "add", "EMA cross", "main")
    assert result.exit_code == 0, result.stderr
    return desk, here


class TestBot:
    async def test_is_created_with_every_rule(self, shell):
        _, here = shell

        made = await here.read(bots.app, "create", "EMA cross", *WORDS)

        assert {field: made[field] for field in SHOWN} == SHOWN

    async def test_asks_a_model_and_asks_it_no_more(self, shell):
        _, here = shell
        given = ("--model-filter", "btc_1h confidence=0.55 unknown=deny")

        made = await here.read(bots.app, "create", "EMA cross", *given)
        shown = await here.run(bots.app, "show", "EMA cross")
        changed = await here.read(bots.app, "change", "EMA cross", "--model-filter", "none")
        refused = await here.run(bots.app, "change", "EMA cross", "--model-filter", "btc_1h sure=1")

        asked = {"model": "btc_1h", "confidence_min": "0.55", "when_unknown": "deny"}
        assert (made["model_filter"], changed["model_filter"]) == (asked, None)
        assert "btc_1h confidence=0.55 unknown=deny" in shown.stdout
        assert refused.exit_code == 2
        assert refused.stderr.startswith("MODEL_FILTER_UNREADABLE")

    async def test_is_changed_and_its_limits_are_taken_away(self, shell):
        _, here = shell
        await here.read(bots.app, "create", "EMA cross")

        changed = await here.read(bots.app, "change", "EMA cross", *WORDS)
        limits = ("--max-entries-per-day", "--global-max-daily-loss-usd", "--global-max-positions")
        nothing = [word for option in (*limits, "--signals-per-minute-max") for word in (option, "none")]
        taken = await here.read(
            bots.app, "change", "EMA cross", *nothing, "--symbol", "any", "--name", "EMA 15m"
        )

        assert {field: changed[field] for field in SHOWN} == SHOWN
        assert (taken["name"], taken["trading_symbol"], taken["signals_per_minute_max"]) == (
            "EMA 15m",
            None,
            None,
        )
        assert {taken[RULES[option][1]] for option in limits} == {None}
        assert taken["cooldown_seconds"] == 60

    async def test_takes_symbols_and_hours_again_and_again(self, shell):
        _, here = shell
        symbols = ("--allow-symbol", "btc-usdt", "--allow-symbol", "ETHUSDT")
        hours = ("--hours", "mon-fri 09:00-17:30 America/Sao_Paulo", "--hours", "sat,sun 22:00-02:00")

        made = await here.read(bots.app, "create", "EMA cross", *symbols, *hours)
        shown = await here.run(bots.app, "show", "EMA cross")
        free = await here.read(bots.app, "change", "EMA cross", "--allow-symbol", "any", "--hours", "always")

        assert made["allowed_symbols"] == ["BTCUSDT", "ETHUSDT"]
        assert [one["days"] for one in made["trading_hours"]] == [[1, 2, 3, 4, 5], [6, 7]]
        assert made["trading_hours"][0]["timezone"] == "America/Sao_Paulo"
        assert "mon-fri 09:00-17:30 America/Sao_Paulo; sat,sun 22:00-02:00 UTC" in shown.stdout
        assert "BTCUSDT, ETHUSDT" in shown.stdout
        assert (free["allowed_symbols"], free["trading_hours"]) == ([], [])

    async def test_says_which_hours_cannot_be_read(self, shell):
        _, here = shell

        result = await here.run(bots.app, "create", "EMA cross", "--hours", "weekdays 9-17")

        assert result.exit_code == 2
        assert result.stderr.startswith("HOURS_UNREADABLE: hours=weekdays 9-17.")

    async def test_is_archived_with_what_is_open(self, shell):
        desk, here = shell
        await desk.append(*approved(accounts=1, orders=1), planned(1))

        archived = await here.run(bots.app, "archive", str(BOT_ID), "--close")
        again = await here.run(bots.app, "archive", str(BOT_ID))

        assert archived.stdout.startswith(
            "EMA cross is archived.\nWhat is open is being closed: `pregao signal trace "
        )
        assert again.stdout == "EMA cross is archived.\n"

    async def test_has_rows_of_symbols(self, joined):
        _, here = joined

        made = await here.read(bots.app, "symbol", "set", "EMA cross", "btc-usdt", "--leverage", "3")
        more = await here.read(
            bots.app, "symbol", "set", "EMA cross", "BTCUSDT", "--inactive", "--stop-loss-pct", "0"
        )
        less = await here.read(
            bots.app, "symbol", "set", "EMA cross", "BTCUSDT", "--active", "--leverage", "none"
        )
        table = await here.run(bots.app, "symbol", "list", "EMA cross")
        left = await here.read(bots.app, "symbol", "remove", "EMA cross", "BTCUSDT")
        empty = await here.run(bots.app, "symbol", "list", "EMA cross")

        assert (made["symbol"], made["leverage"], made["is_active"]) == ("BTCUSDT", 3, True)
        assert (more["leverage"], more["is_active"], more["stop_loss_pct"]) == (3, False, "0")
        assert (less["leverage"], less["is_active"], less["stop_loss_pct"]) == (None, True, "0")
        assert "BTCUSDT" in table.stdout
        assert left == []
        assert empty.stdout == "No symbol has a row.\n"

    async def test_says_that_a_symbol_has_no_row(self, joined):
        _, here = joined

        result = await here.run(bots.app, "symbol", "remove", "EMA cross", "BTCUSDT")

        assert (result.exit_code, result.stderr.partition(":")[0]) == (1, "SYMBOL_ROW_UNKNOWN")


class TestSubscription:
    async def test_is_changed_and_takes_the_bots_values_again(self, joined):
        _, here = joined
        words = ("--leverage", "3", "--margin-usd", "30", "--stop-loss-pct", "0", "--take-profit-pct", "0")
        sides = ("--same-side", "replace", "--opposite-side", "ignore")
        limits = ("--max-daily-loss-usd", "50", "--max-positions", "2")
        guard = (
            "--guard",
            "trailing=hand_span targets=3:0.5,6:0.5 break_even_after_target=yes fee_percent=0",
        )
        risk = ("--risk", "capital_usd=5000 consecutive_losses_max=3 drawdown_pct_max=15")
        given = (*words, *sides, *limits, *guard, *risk)
        names = ("--leverage", "--same-side", "--guard", "--risk")
        defaults = [word for name in names for word in (name, "default")]

        changed = await here.read(subscriptions.app, "change", "EMA cross/main", *given)
        shown = await here.run(subscriptions.app, "show", "EMA cross/main")
        back = await here.read(subscriptions.app, "change", "EMA cross/main", *defaults)

        assert changed["effective"] == {
            "leverage": 3,
            "margin_usd": "30",
            "stop_loss_pct": "0",
            "take_profit_pct": "0",
            "same_side": "replace",
            "opposite_side": "ignore",
            "guard": changed["custom_guard"],
            "risk": {**NO_RISK, "capital_usd": "5000", "consecutive_losses_max": 3, "drawdown_pct_max": "15"},
        }
        targets = [
            {"percent": "3", "risk_multiple": None, "share": "0.5"},
            {"percent": "6", "risk_multiple": None, "share": "0.5"},
        ]
        said = {
            "trailing": "hand_span",
            "targets": targets,
            "break_even_after_target": True,
            "fee_percent": "0",
        }
        assert changed["custom_guard"] == {**STANDARD_GUARD, **said}
        assert "trailing=hand_span" in shown.output
        assert "capital_usd=5000 consecutive_losses_max=3 drawdown_pct_max=15" in shown.output
        assert (back["custom_guard"], back["custom_risk"]) == (None, None)
        assert (changed["max_daily_loss_usd"], changed["max_concurrent_positions"]) == ("50", 2)
        assert (back["effective"]["leverage"], back["effective"]["same_side"]) == (10, "ignore")
        assert back["custom_margin_usd"] == "30"

    async def test_is_guarded_by_the_range(self, joined):
        """X-6: what is shown may be given again."""
        _, here = joined
        given = "stop=atr:2.5:20:1h targets=2R:0.5,4r:0.5"

        changed = await here.read(subscriptions.app, "change", "EMA cross/main", "--guard", given)
        shown = await here.run(subscriptions.app, "show", "EMA cross/main")

        guard = changed["custom_guard"]
        assert guard["stop"] == {"method": "atr", "period": 20, "multiple": "2.5", "timeframe": "1h"}
        assert [(one["percent"], one["risk_multiple"]) for one in guard["targets"]] == [
            (None, "2"),
            (None, "4"),
        ]
        assert "stop=atr:2.5:20:1h targets=2R:0.5,4R:0.5" in shown.output

    @pytest.mark.parametrize("stop", ["percent:2", "atr:2:14:15m:3", "atr:2:1", "atr:2:14:7m", "atr:0"])
    async def test_refuses_a_stop_that_it_cannot_read_or_use(self, joined, stop):
        _, here = joined

        result = await here.run(subscriptions.app, "change", "EMA cross/main", "--guard", f"stop={stop}")

        assert result.exit_code != 0

    async def test_shows_what_it_trades_with_in_the_end(self, joined):
        _, here = joined
        await here.read(bots.app, "symbol", "set", "EMA cross", "BTCUSDT", "--leverage", "3")
        await here.read(
            subscriptions.app, "symbol", "set", "EMA cross/main", "ETHUSDT", "--leverage", "4", "--inactive"
        )

        every = await here.read(subscriptions.app, "effective", "EMA cross/main")
        one = await here.read(subscriptions.app, "effective", "EMA cross/main", "btc-usdt")
        table = await here.run(subscriptions.app, "effective", "EMA cross/main")

        assert [(row["symbol"], row["leverage"], row["is_active"]) for row in every] == [
            (None, 10, True),
            ("BTCUSDT", 3, True),
            ("ETHUSDT", 4, False),
        ]
        assert one == every[1]
        assert "others" in table.stdout

    async def test_has_rows_of_symbols_and_copies_the_bots(self, joined):
        _, here = joined
        await here.read(bots.app, "symbol", "set", "EMA cross", "BTCUSDT", "--leverage", "3")

        copied = await here.run(subscriptions.app, "symbol", "sync", "EMA cross/main")
        own = await here.read(
            subscriptions.app,
            "symbol",
            "set",
            "EMA cross/main",
            "BTCUSDT",
            "--own-values",
            "--max-positions",
            "1",
        )
        shown = await here.run(subscriptions.app, "show", "EMA cross/main")
        listed = await here.read(subscriptions.app, "symbol", "list", "EMA cross/main")
        left = await here.read(subscriptions.app, "symbol", "remove", "EMA cross/main", "BTCUSDT")

        assert copied.stdout.startswith("Copied: BTCUSDT.\n")
        assert (own["leverage"], own["use_bot_default"], own["max_positions"]) == (3, False, 1)
        assert "It has had no orders yet." in shown.stdout
        assert (listed, left) == ([own], [])

    async def test_is_paused_resumed_and_canceled(self, joined):
        _, here = joined

        texts = [
            (await here.run(subscriptions.app, *words, "EMA cross/main")).stdout
            for words in (["pause"], ["resume"], ["cancel", "--close"])
        ]

        assert texts == [
            "EMA cross/main is paused.\n",
            "EMA cross/main is active.\n",
            "EMA cross/main is canceled.\nNothing was open.\n",
        ]

    @pytest.mark.parametrize("words", ["nobody", "EMA cross/nobody", "EMA cross/2"])
    async def test_says_that_there_is_none_of_this_name(self, joined, words):
        desk, here = joined
        await desk.make_account("second")

        result = await here.run(subscriptions.app, "show", words)

        assert result.exit_code == 1
        assert "_UNCERTAIN: " in result.stderr


class TestHours:
    @pytest.mark.parametrize(
        ("text", "days", "shown"),
        [
            ("mon-fri 09:00-17:30", [1, 2, 3, 4, 5], "mon-fri 09:00-17:30 UTC"),
            ("seg-sex 09:00-17:30", [1, 2, 3, 4, 5], "mon-fri 09:00-17:30 UTC"),
            ("Mon,Wed 09:00-17:30", [1, 3], "mon,wed 09:00-17:30 UTC"),
            ("fri-mon 09:00-17:30", [5, 6, 7, 1], "mon,fri,sat,sun 09:00-17:30 UTC"),
            ("1-3,7 09:00-17:30", [1, 2, 3, 7], "mon,tue,wed,sun 09:00-17:30 UTC"),
            ("daily 09:00-17:30", [1, 2, 3, 4, 5, 6, 7], "daily 09:00-17:30 UTC"),
            ("sun 09:00-17:30", [7], "sun 09:00-17:30 UTC"),
        ],
    )
    def test_are_read_and_shown_as_people_write_them(self, text, days, shown):
        [window] = hours_of([text])

        assert window == {"days": days, "start": "09:00", "end": "17:30"}
        answered = {**window, "start": "09:00:00", "end": "17:30:00", "timezone": "UTC"}
        assert hours_text([answered]) == shown
