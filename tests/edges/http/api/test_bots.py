"""Bots over HTTP (F040, F060)."""

import asyncio
import hashlib
from dataclasses import replace
from decimal import Decimal

import pytest

from pregao.bots.ranges import BOT_RANGES, Range
from pregao.edges.postgres.views import PostgresHealth
from tests.builders import BOT_ID, arrival, instruction
from tests.edges.http.api.own_desk import AWAY, BOTS, SUBSCRIPTIONS, client_of, code_of
from tests.edges.http.api.test_receipts import approved, planned

AMOUNTS = {name for name in BOT_RANGES if name.endswith(("_usd", "_pct"))}


def ends(limits: Range) -> tuple[Decimal, Decimal]:
    return limits.minimum, limits.maximum


class TestCreateBot:
    async def test_gives_id_path_address_and_secret(self, desk):
        """F040."""
        made = await desk.make_bot(
            webhook_path="bot-ema-cross-15m", default_leverage=5, default_margin_usd="20"
        )

        assert made["webhook_url"] == "http://desk.test/api/v1/bots/webhook/master/bot-ema-cross-15m"
        assert made["webhook_path"] == "bot-ema-cross-15m"
        assert made["bot_id"]
        assert len(made["secret"]) >= 43
        assert (made["default_leverage"], made["default_margin_usd"]) == (5, "20")

    async def test_names_the_public_address_when_there_is_one(self, desk):
        async with client_of(replace(desk.ports, public_url="https://desk.example/")) as client:
            answer = await client.post(BOTS, json={"name": "EMA", "webhook_path": "bot-ema-cross-15m"})

        assert answer.json()["webhook_url"].startswith("https://desk.example/api/v1/bots/webhook/")

    async def test_shows_the_secret_once_and_stores_its_hash(self, desk):
        made = await desk.make_bot()

        shown = await desk.client.get(f"{BOTS}/{made['bot_id']}")
        stored = await desk.everything_stored()

        assert '"secret"' not in shown.text
        assert made["secret"] not in stored
        assert hashlib.sha256(made["secret"].encode()).hexdigest() in stored

    async def test_makes_a_path_nobody_can_guess_when_none_is_given(self, desk):
        paths = {(await desk.make_bot())["webhook_path"] for _ in range(3)}

        assert len(paths) == 3
        assert all(len(path) >= 16 for path in paths)

    async def test_is_a_fact_in_the_journal_and_rings(self, desk):
        made = await desk.make_bot()

        fact, *rest = await desk.journaled()

        assert str(fact.bot.bot_id) == made["bot_id"]
        assert rest == []
        assert desk.rings == ["bots"]

    async def test_refuses_a_path_that_is_taken_even_by_an_archived_bot(self, desk):
        made = await desk.make_bot(webhook_path="bot-ema-cross-15m")
        await desk.client.delete(f"{BOTS}/{made['bot_id']}")

        answer = await desk.client.post(BOTS, json={"name": "twin", "webhook_path": "bot-ema-cross-15m"})

        assert (answer.status_code, code_of(answer)) == (409, "WEBHOOK_PATH_TAKEN")

    async def test_gives_a_path_to_one_of_two_who_want_it_at_once(self, desk):
        body = {"name": "twin", "webhook_path": "bot-ema-cross-15m"}

        answers = await asyncio.gather(*(desk.client.post(BOTS, json=body) for _ in range(4)))

        assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("default_leverage", 0),
            ("default_leverage", 126),
            ("default_margin_usd", "4.99"),
            ("default_margin_usd", 0),
            ("default_stop_loss_pct", "0.09"),
            ("default_stop_loss_pct", 50.01),
            ("default_take_profit_pct", "0"),
            ("default_take_profit_pct", "100.01"),
            ("default_margin_usd", "1e400"),
            ("default_max_positions", 0),
            ("name", "ab"),
            ("name", "x" * 256),
            ("name", "with\x00zero"),
            ("webhook_path", "too-short-by-1x"),
            ("webhook_path", "sixteen/slashes/"),
            ("webhook_path", ""),
            ("trading_symbol", ""),
            ("market_type", "spot"),
            ("trading_symbol", "BTC USDT"),
        ],
    )
    async def test_refuses_what_is_out_of_range(self, desk, field, value):
        """F040; 0 is a value, and none of these ranges has it."""
        answer = await desk.client.post(BOTS, json={"name": "EMA cross", field: value})

        assert answer.status_code == 422
        assert answer.json()["error"]["details"]["field"] == field

    @pytest.mark.parametrize(("name", "limits"), BOT_RANGES.items())
    async def test_takes_both_ends_of_every_range(self, desk, name, limits):
        """F040."""
        made = [
            await desk.make_bot(**{name: str(end) if name in AMOUNTS else int(end)}) for end in ends(limits)
        ]

        assert [Decimal(one[name]) for one in made] == list(ends(limits))

    async def test_takes_rules(self, desk):
        rules = {
            "approval": "manual",
            "approval_seconds": 30,
            "approval_price_move_pct": "0.5",
            "allowed_symbols": ["btc-usdt", "ETHUSDT.P"],
            "trading_hours": [
                {"days": [1, 2], "start": "09:00", "end": "17:30:15", "timezone": "America/Sao_Paulo"},
                {"days": [6], "start": "22:00", "end": "02:00"},
            ],
            "cooldown_seconds": 60,
            "max_entries_per_day": 0,
            "global_max_daily_loss_usd": 0,
            "global_max_positions": 0,
            "same_side": "add",
            "opposite_side": "close",
            "symbols": [{"symbol": "BTCUSDT", "is_active": False, "stop_loss_pct": 0}],
        }

        made = await desk.make_bot(**rules)
        shown = (await desk.client.get(f"{BOTS}/{made['bot_id']}")).json()

        assert {name: shown[name] for name in rules} == {
            **rules,
            "allowed_symbols": ["BTCUSDT", "ETHUSDT"],
            "trading_hours": [
                {"days": [1, 2], "start": "09:00:00", "end": "17:30:15", "timezone": "America/Sao_Paulo"},
                {"days": [6], "start": "22:00:00", "end": "02:00:00", "timezone": "UTC"},
            ],
            "global_max_daily_loss_usd": "0",
            "symbols": [
                {
                    "symbol": "BTCUSDT",
                    "is_active": False,
                    "leverage": None,
                    "margin_usd": None,
                    "stop_loss_pct": "0",
                    "take_profit_pct": None,
                    "max_positions": None,
                    "max_daily_loss_usd": None,
                }
            ],
        }

    @pytest.mark.parametrize(
        ("field", "value", "code"),
        [
            ("approval_seconds", 4, "SETTING_OUT_OF_RANGE"),
            ("allowed_symbols", ["BTCUSDT", "btc-usdt"], "SYMBOL_REPEATED"),
            ("allowed_symbols", [f"A{one}" for one in range(501)], "SETTING_TOO_LONG"),
            ("symbols", [{"symbol": "???"}], "SYMBOL_UNUSABLE"),
            ("symbols", [{"symbol": "BTCUSDT", "leverage": 126}], "SETTING_OUT_OF_RANGE"),
            ("trading_hours", [{"days": [], "start": "09:00", "end": "17:00"}], "TRADING_DAYS_UNUSABLE"),
            (
                "trading_hours",
                [{"days": [1], "start": "09:00", "end": "17:00", "timezone": "Mars/Base"}],
                "TIMEZONE_UNKNOWN",
            ),
        ],
    )
    async def test_says_why_a_rule_cannot_be_used(self, desk, field, value, code):
        answer = await desk.client.post(BOTS, json={"name": "EMA cross", field: value})

        assert (answer.status_code, code_of(answer)) == (422, code)

    @pytest.mark.parametrize(
        "body",
        [
            {"name": "EMA cross", "leverage": 5},
            {"name": "EMA cross", "default_leverage": True},
            {"name": "EMA cross", "default_leverage": "5"},
            {"name": "EMA cross", "default_margin_usd": "many"},
            {"name": "EMA cross", "default_margin_usd": "NaN"},
            {"name": "EMA cross", "default_leverage": None},
            {"name": "EMA cross", "approval": "perhaps"},
            {"name": "EMA cross", "symbols": [{"symbol": "BTCUSDT", "use_bot_default": True}]},
            {"name": "EMA cross", "symbols": None},
            {"name": "EMA cross", "trading_hours": [{"days": [1], "start": 32400, "end": "17:00"}]},
            {"name": "EMA cross", "trading_hours": [{"days": [1], "start": "09:00Z", "end": "17:00"}]},
            {"name": "EMA cross", "trading_hours": [{"days": [True], "start": "09:00", "end": "17:00"}]},
            {},
            [],
        ],
    )
    async def test_refuses_what_is_not_understood(self, desk, body):
        answer = await desk.client.post(BOTS, json=body)

        assert answer.status_code == 422
        assert answer.json()["detail"]

    async def test_spells_a_symbol_as_the_exchange_does(self, desk):
        made = await desk.make_bot(trading_symbol="btc-usdt.p")

        assert made["trading_symbol"] == "BTCUSDT"


class TestChangeBot:
    async def test_changes_what_is_named_and_leaves_the_rest(self, desk):
        made = await desk.make_bot(default_leverage=5, trading_symbol="BTCUSDT")

        answer = await desk.client.patch(
            f"{BOTS}/{made['bot_id']}", json={"trading_symbol": None, "default_margin_usd": 25.5}
        )

        assert answer.status_code == 200
        shown = answer.json()
        assert (shown["trading_symbol"], shown["default_margin_usd"]) == (None, "25.5")
        assert (shown["default_leverage"], shown["webhook_path"]) == (5, made["webhook_path"])

    async def test_changes_rules_and_takes_limits_away(self, desk):
        hours = [{"days": [1], "start": "09:00", "end": "17:00"}]
        made = await desk.make_bot(
            max_entries_per_day=3, global_max_positions=5, trading_hours=hours, allowed_symbols=["BTCUSDT"]
        )
        changes = {"max_entries_per_day": None, "trading_hours": [], "same_side": "replace"}

        shown = (await desk.client.patch(f"{BOTS}/{made['bot_id']}", json=changes)).json()

        assert {name: shown[name] for name in changes} == changes
        assert (shown["global_max_positions"], shown["allowed_symbols"]) == (5, ["BTCUSDT"])

    async def test_pauses_and_resumes(self, desk):
        made = await desk.make_bot()

        statuses = [
            (await desk.client.patch(f"{BOTS}/{made['bot_id']}", json={"status": status})).json()["status"]
            for status in ("paused", "active")
        ]

        assert statuses == ["paused", "active"]

    async def test_refuses_null_where_there_must_be_a_value(self, desk):
        made = await desk.make_bot()

        answer = await desk.client.patch(f"{BOTS}/{made['bot_id']}", json={"default_leverage": None})

        assert answer.status_code == 422

    async def test_tells_an_unknown_bot(self, desk):
        answer = await desk.client.patch(f"{BOTS}/{'0' * 32}", json={"status": "paused"})

        assert (answer.status_code, code_of(answer)) == (404, "BOT_UNKNOWN")


class TestArchiveBot:
    async def test_cancels_its_subscriptions(self, desk):
        """F040."""
        bot, account = await desk.make_bot(), await desk.make_account()
        subscription = await desk.made(SUBSCRIPTIONS, bot_id=bot["bot_id"], account_id=account["account_id"])

        answer = await desk.client.delete(f"{BOTS}/{bot['bot_id']}")
        shown = await desk.client.get(f"{SUBSCRIPTIONS}/{subscription['subscription_id']}")

        assert (answer.json()["status"], answer.json()["active_subscriptions"]) == ("archived", 0)
        assert shown.json()["status"] == "canceled"

    async def test_has_what_is_open_closed_by_a_signal_of_the_desk(self, desk):
        await desk.append(*approved(accounts=2, orders=2), planned(1), planned(2))

        answer = await desk.client.delete(f"{BOTS}/{BOT_ID}", params={"open_positions": "close"})

        *_, received, accepted = await desk.journaled()
        assert answer.json()["close_signal_id"] == str(received.signal_id) == str(accepted.signal_id)
        assert (received.source, received.body) == ("desk", b'{"action": "close_all"}')
        assert (accepted.instruction.action, accepted.instruction.subscription_id) == ("close_all", None)
        assert desk.rings == ["bots", "signals"]

    async def test_closes_nothing_where_nothing_is_open_or_that_is_not_asked(self, desk):
        await desk.append(*approved(accounts=1, orders=1), planned(1))
        empty = await desk.make_bot()

        answers = [
            await desk.client.delete(f"{BOTS}/{empty['bot_id']}", params={"open_positions": "close"}),
            await desk.client.delete(f"{BOTS}/{BOT_ID}"),
            await desk.client.delete(f"{BOTS}/{BOT_ID}", params={"open_positions": "keep"}),
        ]

        assert [answer.json()["close_signal_id"] for answer in answers] == [None] * 3
        assert "signals" not in desk.rings

    async def test_refuses_another_word_for_it(self, desk):
        answer = await desk.client.delete(f"{BOTS}/{'0' * 32}", params={"open_positions": "sell"})

        assert answer.status_code == 422

    async def test_done_twice_is_done_once(self, desk):
        made = await desk.make_bot()

        answers = [await desk.client.delete(f"{BOTS}/{made['bot_id']}") for _ in range(2)]

        assert [answer.status_code for answer in answers] == [200, 200]
        assert len(await desk.journaled()) == 2

    async def test_leaves_the_bot_as_it_is(self, desk):
        made = await desk.make_bot()
        await desk.client.delete(f"{BOTS}/{made['bot_id']}")

        answer = await desk.client.patch(f"{BOTS}/{made['bot_id']}", json={"status": "active"})

        assert (answer.status_code, code_of(answer)) == (409, "BOT_ARCHIVED")


class TestShowBot:
    async def test_adds_the_ten_latest_signals(self, desk):
        """B3."""
        made = await desk.make_bot()
        bot = await desk.ports.configured.find_bot(made["bot_id"])
        for _ in range(12):
            desk.later(seconds=1)
            await desk.append(*arrival(instruction(), bot_id=bot.bot.bot_id, now=desk.now))

        shown = (await desk.client.get(f"{BOTS}/{made['bot_id']}")).json()

        assert len(shown["recent_signals"]) == 10
        assert shown["recent_signals"][0]["price"] == "95000"
        assert shown["last_signal_at"] == "2026-11-21T12:00:12Z"


class TestRotateSecret:
    async def rotated(self, desk, made, **body):
        return await desk.client.post(f"{BOTS}/{made['bot_id']}/rotate-secret", json=body or None)

    async def test_shows_the_new_secret_once_and_says_until_when_the_former_one_is_taken(self, desk):
        """X-3: rotatable, and never shown again."""
        made = await desk.make_bot()

        answer = await self.rotated(desk, made, overlap_seconds=3600)

        assert answer.status_code == 200
        rotated = answer.json()
        assert rotated.keys() == {"secret", "former_secret_until"}
        assert rotated["former_secret_until"] == "2026-11-21T13:00:00Z"
        assert len(rotated["secret"]) >= 43
        assert rotated["secret"] != made["secret"]
        shown = await desk.client.get(f"{BOTS}/{made['bot_id']}")
        listed = await desk.client.get(BOTS)
        for told in (shown.text, listed.text, await desk.everything_stored()):
            assert rotated["secret"] not in told
            assert made["secret"] not in told
        for told in (shown.text, listed.text):
            assert hashlib.sha256(made["secret"].encode()).hexdigest() not in told
        assert shown.json()["former_secret_until"] == "2026-11-21T13:00:00Z"
        desk.later(hours=1)
        assert (await desk.client.get(f"{BOTS}/{made['bot_id']}")).json()["former_secret_until"] is None

    async def test_overlaps_for_a_day_when_nothing_is_said(self, desk):
        answers = [await self.rotated(desk, await desk.make_bot()) for _ in range(2)]
        answers.append(
            await desk.client.post(f"{BOTS}/{(await desk.make_bot())['bot_id']}/rotate-secret", json={})
        )

        assert {answer.json()["former_secret_until"] for answer in answers} == {"2026-11-22T12:00:00Z"}

    @pytest.mark.parametrize("seconds", [-1, 2_592_001, 10**30])
    async def test_refuses_an_overlap_out_of_range(self, desk, seconds):
        made = await desk.make_bot()

        answer = await self.rotated(desk, made, overlap_seconds=seconds)

        assert answer.status_code == 422
        assert len(await desk.journaled()) == 1

    @pytest.mark.parametrize("body", [{"overlap_seconds": "1"}, {"overlap_seconds": True}, {"overlap": 1}])
    async def test_refuses_what_it_cannot_read(self, desk, body):
        answer = await self.rotated(desk, await desk.make_bot(), **body)

        assert answer.status_code == 422

    async def test_tells_an_unknown_and_an_archived_bot(self, desk):
        made = await desk.make_bot()
        await desk.client.delete(f"{BOTS}/{made['bot_id']}")

        archived = await self.rotated(desk, made)
        unknown = await desk.client.post(f"{BOTS}/{BOT_ID}/rotate-secret")

        assert (archived.status_code, code_of(archived)) == (409, "BOT_ARCHIVED")
        assert (unknown.status_code, code_of(unknown)) == (404, "BOT_UNKNOWN")

    async def test_rings_so_that_the_gates_hear_of_it(self, desk):
        made = await desk.make_bot()
        desk.rings.clear()

        await self.rotated(desk, made)

        assert desk.rings == ["bots"]


class TestListBots:
    async def test_gives_pages_that_join_without_gap(self, desk):
        made = [(await desk.make_bot())["bot_id"] for _ in range(5)]

        cursor, pages = None, []
        while cursor or not pages:
            given = {"cursor": cursor} if cursor else {}
            page = (await desk.client.get(BOTS, params={"limit": 2, **given})).json()
            pages.append([bot["bot_id"] for bot in page["items"]])
            cursor = page["next_cursor"]

        assert sorted(bot_id for page in pages for bot_id in page) == sorted(made)
        assert [len(page) for page in pages] == [2, 2, 1]

    async def test_gives_those_with_the_status_asked_for(self, desk):
        made = await desk.make_bot()
        await desk.make_bot()
        await desk.client.patch(f"{BOTS}/{made['bot_id']}", json={"status": "paused"})

        paused = (await desk.client.get(BOTS, params={"status": "paused"})).json()["items"]

        assert [bot["bot_id"] for bot in paused] == [made["bot_id"]]


class TestBotsHealth:
    async def test_counts_what_takes_signals(self, desk):
        """F060: not shadowed by /{bot_id}, and open like all health."""
        bot, account = await desk.make_bot(), await desk.make_account()
        await desk.made(SUBSCRIPTIONS, bot_id=bot["bot_id"], account_id=account["account_id"])

        async with client_of(desk.ports, token="") as stranger:
            answer = await stranger.get(f"{BOTS}/health")

        assert answer.status_code == 200
        assert answer.json() == {
            "success": True,
            "healthy": True,
            "trading_state": "active",
            "active_bots": 1,
            "active_subscriptions": 1,
            "last_signal_at": None,
        }

    @pytest.mark.parametrize("away_pool", AWAY)
    async def test_is_503_when_the_database_is_away(self, desk, database, away_pool):
        """F060."""
        away = replace(desk.ports, health=PostgresHealth(await away_pool(database)))

        async with client_of(away) as client:
            answer = await client.get(f"{BOTS}/health")

        assert answer.status_code == 503
        assert (answer.json()["success"], answer.json()["healthy"]) == (False, False)
        assert code_of(answer) == "DATABASE_AWAY"
