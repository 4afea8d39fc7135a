"""Symbol rows over HTTP (F058, the API's half)."""

import asyncio

import pytest

from tests.edges.http.api.own_desk import BOTS, STANDARD_GUARD, SUBSCRIPTIONS, code_of

NOTHING = dict.fromkeys(
    ("leverage", "margin_usd", "stop_loss_pct", "take_profit_pct", "max_positions", "max_daily_loss_usd")
)


def row(symbol: str = "BTCUSDT", **changes) -> dict:
    return {"symbol": symbol, "is_active": True, **NOTHING, **changes}


def own_row(symbol: str = "BTCUSDT", **changes) -> dict:
    return row(symbol, **{"use_bot_default": False, **changes})


@pytest.fixture
async def bot(desk):
    """The path of a bot's symbol rows."""
    made = await desk.make_bot(default_leverage=7, default_margin_usd="20")
    return f"{BOTS}/{made['bot_id']}/symbol-configs"


@pytest.fixture
async def joined(desk, bot):
    """The path of a subscription to that bot."""
    bot_id = bot.split("/")[-2]
    account_id = (await desk.make_account())["account_id"]
    made = await desk.made(SUBSCRIPTIONS, bot_id=bot_id, account_id=account_id)
    return f"{SUBSCRIPTIONS}/{made['subscription_id']}"


class TestBotsRows:
    async def test_are_put_shown_and_deleted_under_any_spelling(self, desk, bot):
        put = await desk.client.put(f"{bot}/btc-usdt", json={"leverage": 3, "stop_loss_pct": 0})
        shown = await desk.client.get(f"{bot}/BTCUSDT.P")
        listed = await desk.client.get(bot)
        left = await desk.client.delete(f"{bot}/btcusdt")

        assert put.status_code == 200, put.text
        assert put.json() == shown.json() == row(leverage=3, stop_loss_pct="0")
        assert listed.json() == {"items": [row(leverage=3, stop_loss_pct="0")], "next_cursor": None}
        assert left.json()["items"] == []

    async def test_are_replaced_as_a_whole(self, desk, bot):
        await desk.client.put(f"{bot}/BTCUSDT", json={"leverage": 3})

        again = await desk.client.put(f"{bot}/BTCUSDT", json={"is_active": False})

        assert again.json() == row(is_active=False)

    async def test_put_twice_are_one_fact(self, desk, bot):
        for _ in range(2):
            await desk.client.put(f"{bot}/BTCUSDT", json={"leverage": 3})

        assert len(await desk.journaled()) == 2  # the bot, and its row

    async def test_stand_beside_each_other_when_put_at_once(self, desk, bot):
        names = [f"A{number}USDT" for number in range(8)]

        await asyncio.gather(*(desk.client.put(f"{bot}/{name}", json={"leverage": 3}) for name in names))

        listed = (await desk.client.get(bot)).json()["items"]
        assert [one["symbol"] for one in listed] == names

    @pytest.mark.parametrize(
        ("symbol", "body", "code"),
        [
            ("BTCUSDT", {"leverage": 0}, "SETTING_OUT_OF_RANGE"),
            ("BTCUSDT", {"max_positions": 1_000_001}, "SETTING_OUT_OF_RANGE"),
            ("BTC USDT", {}, "SYMBOL_UNUSABLE"),
        ],
    )
    async def test_say_why_they_cannot_be_used(self, desk, bot, symbol, body, code):
        answer = await desk.client.put(f"{bot}/{symbol}", json=body)

        assert (answer.status_code, code_of(answer)) == (422, code)

    async def test_that_are_not_there_are_unknown(self, desk, bot):
        answers = [await desk.client.get(f"{bot}/BTCUSDT"), await desk.client.delete(f"{bot}/BTCUSDT")]

        assert [(answer.status_code, code_of(answer)) for answer in answers] == [
            (404, "SYMBOL_ROW_UNKNOWN")
        ] * 2

    async def test_of_an_unknown_bot_are_unknown(self, desk):
        path = f"{BOTS}/{'0' * 32}/symbol-configs"

        answers = [await desk.client.get(path), await desk.client.put(f"{path}/BTCUSDT", json={})]

        assert {code_of(answer) for answer in answers} == {"BOT_UNKNOWN"}

    async def test_stay_when_the_bot_is_archived(self, desk, bot):
        await desk.client.put(f"{bot}/BTCUSDT", json={"leverage": 3})
        await desk.client.delete(bot.removesuffix("/symbol-configs"))

        answer = await desk.client.delete(f"{bot}/BTCUSDT")

        assert (answer.status_code, code_of(answer)) == (409, "BOT_ARCHIVED")

    async def test_end_at_two_hundred(self, desk):
        rows = [{"symbol": f"A{number}USDT"} for number in range(200)]
        made = await desk.make_bot(symbols=rows)

        answer = await desk.client.put(f"{BOTS}/{made['bot_id']}/symbol-configs/BTCUSDT", json={})

        assert (answer.status_code, code_of(answer)) == (422, "SETTING_TOO_LONG")

    async def test_can_be_read_by_who_may_follow(self, desk, bot):
        await desk.client.put(f"{bot}/BTCUSDT", json={"leverage": 3})
        bot_id = bot.split("/")[-2]

        listed = await desk.client.get(f"{SUBSCRIPTIONS}/bot/{bot_id}/symbol-configs")

        assert listed.json()["items"] == [row(leverage=3)]


class TestSubscriptionsRows:
    async def test_are_made_replaced_shown_and_deleted(self, desk, joined):
        path = f"{joined}/symbol-configs"

        made = await desk.client.post(path, json={"symbol": "btc-usdt", "leverage": 3})
        replaced = await desk.client.post(path, json={"symbol": "BTCUSDT", "max_positions": 1})
        shown = await desk.client.get(f"{path}/BTC-USDT")
        left = await desk.client.delete(f"{path}/BTCUSDT")

        assert (made.status_code, made.json()) == (201, own_row(leverage=3))
        assert (replaced.status_code, replaced.json()) == (200, own_row(max_positions=1))
        assert shown.json() == own_row(max_positions=1)
        assert left.json()["items"] == []

    async def test_count_before_the_custom_value_and_that_before_the_bots_row(self, desk, bot, joined):
        """F046, rule X-5, one field after the other."""
        await desk.client.put(f"{bot}/BTCUSDT", json={"leverage": 11, "margin_usd": 30, "stop_loss_pct": 4})
        await desk.client.patch(joined, json={"custom_leverage": 12, "custom_stop_loss_pct": 0})
        await desk.client.post(f"{joined}/symbol-configs", json={"symbol": "BTCUSDT", "leverage": 13})

        on_btc = (await desk.client.get(f"{joined}/effective", params={"symbol": "btc-usdt.p"})).json()
        on_eth = (await desk.client.get(f"{joined}/effective", params={"symbol": "ETHUSDT"})).json()
        shown = (await desk.client.get(joined)).json()

        wide = {
            "leverage": 12,
            "margin_usd": "20",
            "stop_loss_pct": "0",
            "take_profit_pct": "5",
            "same_side": "ignore",
            "opposite_side": "reverse",
            "guard": STANDARD_GUARD,
            "risk": on_eth["risk"],
        }
        origins = {**dict.fromkeys(wide, "bot"), "leverage": "own", "stop_loss_pct": "own"}
        on_eth_from, on_btc_from = on_eth.pop("origins"), on_btc["origins"]
        assert on_eth == {**wide, "symbol": "ETHUSDT", "is_active": True}
        assert on_eth_from == origins
        assert on_btc_from == {**on_eth_from, "leverage": "own_symbol", "margin_usd": "bot_symbol"}
        assert on_btc == {
            **wide,
            "symbol": "BTCUSDT",
            "is_active": True,
            "leverage": 13,
            "margin_usd": "30",
            "origins": on_btc_from,
        }
        assert shown["effective"] == wide
        assert shown["effective_by_symbol"] == {"BTCUSDT": on_btc}

    async def test_with_the_bots_default_leave_their_values_out(self, desk, bot, joined):
        await desk.client.put(f"{bot}/BTCUSDT", json={"leverage": 11})
        body = {"symbol": "BTCUSDT", "leverage": 3, "use_bot_default": True}

        await desk.client.post(f"{joined}/symbol-configs", json=body)

        effective = await desk.client.get(f"{joined}/effective", params={"symbol": "BTCUSDT"})
        assert effective.json()["leverage"] == 11

    async def test_are_copied_from_the_bot_where_they_are_missing(self, desk, bot, joined):
        await desk.client.put(f"{bot}/BTCUSDT", json={"leverage": 11, "max_positions": 4, "is_active": False})
        await desk.client.put(f"{bot}/ETHUSDT", json={"leverage": 12})
        await desk.client.post(f"{joined}/symbol-configs", json={"symbol": "ETHUSDT", "leverage": 3})
        path = f"{joined}/symbol-configs/sync-from-bot"

        copied, again = [(await desk.client.post(path)).json() for _ in range(2)]
        await desk.client.put(f"{bot}/BTCUSDT", json={"leverage": 20})
        effective = (await desk.client.get(f"{joined}/effective", params={"symbol": "BTCUSDT"})).json()

        rows = [own_row("BTCUSDT", leverage=11, use_bot_default=True), own_row("ETHUSDT", leverage=3)]
        assert copied == {"copied": ["BTCUSDT"], "items": rows}
        assert again == {"copied": [], "items": rows}
        assert (effective["leverage"], effective["is_active"]) == (20, True)

    async def test_are_switched_off_and_on(self, desk, joined):
        path = f"{joined}/symbol-configs"
        await desk.client.post(path, json={"symbol": "ETHUSDT", "leverage": 3})

        off = [
            (
                await desk.client.post(f"{path}/toggle-symbol", json={"symbol": name, "is_active": False})
            ).json()
            for name in ("btc-usdt", "ETHUSDT")
        ]
        inactive = await desk.client.get(f"{joined}/effective", params={"symbol": "BTCUSDT"})
        on = await desk.client.post(f"{path}/toggle-symbol", json={"symbol": "ETHUSDT", "is_active": True})

        assert off == [own_row(is_active=False), own_row("ETHUSDT", is_active=False, leverage=3)]
        assert inactive.json()["is_active"] is False
        assert on.json() == own_row("ETHUSDT", leverage=3)

    async def test_of_a_canceled_one_stay(self, desk, joined):
        await desk.client.delete(joined)
        path = f"{joined}/symbol-configs"

        answers = [
            await desk.client.post(path, json={"symbol": "BTCUSDT"}),
            await desk.client.post(f"{path}/toggle-symbol", json={"symbol": "BTCUSDT", "is_active": False}),
            await desk.client.post(f"{path}/sync-from-bot"),
        ]

        assert {(answer.status_code, code_of(answer)) for answer in answers} == {
            (409, "SUBSCRIPTION_CANCELED")
        }

    async def test_of_an_unknown_one_are_unknown(self, desk):
        path = f"{SUBSCRIPTIONS}/{'0' * 32}"

        answers = [
            await desk.client.get(f"{path}/symbol-configs"),
            await desk.client.get(f"{path}/effective"),
            await desk.client.post(f"{path}/symbol-configs", json={"symbol": "BTCUSDT"}),
            await desk.client.post(f"{path}/symbol-configs/sync-from-bot"),
        ]

        assert {(answer.status_code, code_of(answer)) for answer in answers} == {
            (404, "SUBSCRIPTION_UNKNOWN")
        }

    async def test_name_a_symbol(self, desk, joined):
        answer = await desk.client.get(f"{joined}/effective", params={"symbol": "???"})

        assert (answer.status_code, code_of(answer)) == (422, "SYMBOL_UNUSABLE")
