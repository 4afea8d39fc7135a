"""F042, F043: who may send a signal, and what each form of it makes a running desk do."""

import asyncio
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import httpx
import pytest

from pregao.edges.paper.serve import PaperSettings
from tests.fresh_database import fresh_database
from tests.journeys.whole_desk import WholeDesk, running_desk

numbers = itertools.count()


@pytest.fixture(scope="module")
async def desk(
    database_server: str, database_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[WholeDesk]:
    """Give one desk for the whole file: each test makes the bots and accounts it needs."""
    state_dir = tmp_path_factory.mktemp("state")
    async with (
        fresh_database(database_server, database_template) as database,
        running_desk(database, state_dir, paper=PaperSettings(still=True)) as running,
    ):
        yield running


@pytest.fixture
async def bot(desk: WholeDesk) -> dict[str, Any]:
    return await desk.create_bot()


def alert(**fields: object) -> str:
    """Give a buy of BTCUSDT, unlike any other alert, with these fields changed; None leaves one out."""
    given = {"ticker": "BTCUSDT", "action": "buy", "note": next(numbers), **fields}
    return json.dumps({name: value for name, value in given.items() if value is not None})


def code_of(answer: httpx.Response) -> str:
    error = answer.json()["error"]
    assert error.keys() == {"code", "message", "details"}
    code: str = error["code"]
    return code


async def signals_of(desk: WholeDesk, bot: dict[str, Any]) -> list[dict[str, Any]]:
    page = await desk.ask("GET", "/api/v1/signals", params={"bot_id": bot["bot_id"]})
    items: list[dict[str, Any]] = page["items"]
    return items


async def bot_with_account(desk: WholeDesk) -> tuple[dict[str, Any], int]:
    bot = await desk.create_bot()
    account = await desk.open_account(f"follower {next(numbers)}")
    await desk.subscribe(bot, account)
    return bot, account


async def settled(desk: WholeDesk, bot: dict[str, Any], body: str) -> dict[str, Any]:
    answer = await desk.post(bot, body)
    assert answer.status_code in (200, 202), answer.text
    return await desk.receipt(answer.json()["signal_id"])


async def orders_of(desk: WholeDesk, account: int) -> list[dict[str, Any]]:
    page = await desk.ask("GET", "/api/v1/orders", params={"account_id": account})
    items: list[dict[str, Any]] = page["items"]
    return items


class TestWhoMaySend:
    async def test_f042_wrong_secret_is_401_wherever_it_stands(self, desk, bot):
        path = f"/api/v1/bots/webhook/master/{bot['webhook_path']}"

        answers = [
            await desk.post(bot, alert(), secret="wrong"),
            await desk.client.post(path, content=alert(secret="wrong")),
            await desk.client.post(path, content=alert(), headers={"X-Pregao-Secret": "wrong"}),
            await desk.client.post(path, content=alert()),
        ]

        assert [(answer.status_code, code_of(answer)) for answer in answers] == [(401, "SECRET_WRONG")] * 4
        assert await signals_of(desk, bot) == []

    async def test_f042_right_secret_is_taken_wherever_it_stands(self, desk, bot):
        path, secret = f"/api/v1/bots/webhook/master/{bot['webhook_path']}", bot["secret"]

        answers = [
            await desk.post(bot, alert()),
            await desk.client.post(path, content=alert(secret=secret)),
            await desk.client.post(path, content=alert(), headers={"X-Pregao-Secret": secret}),
            await desk.client.post(
                path, content=f"ticker=BTCUSDT;action=buy;n={next(numbers)};secret={secret}"
            ),
        ]

        assert [answer.status_code for answer in answers] == [200] * 4
        assert len(await signals_of(desk, bot)) == 4

    async def test_f042_another_bots_secret_is_401(self, desk, bot):
        other = await desk.create_bot("Another")

        answer = await desk.post(bot, alert(), secret=other["secret"])

        assert (answer.status_code, code_of(answer)) == (401, "SECRET_WRONG")

    async def test_f042_rotated_secret_and_the_former_one_are_both_right_for_a_while(self, desk, bot):
        """X-3: alerts are changed one after the other, and none is lost meanwhile."""
        path = f"/api/v1/bots/{bot['bot_id']}"
        rotated = await desk.ask("POST", f"{path}/rotate-secret", json={"overlap_seconds": 3})

        during = [
            await desk.post(bot, alert(), secret=secret) for secret in (bot["secret"], rotated["secret"])
        ]
        shown = await desk.client.get(path)
        async with asyncio.timeout(10):
            while (await desk.ask("GET", path))["former_secret_until"] is not None:
                await asyncio.sleep(0.1)
        after = [
            await desk.post(bot, alert(), secret=secret) for secret in (bot["secret"], rotated["secret"])
        ]

        assert [answer.status_code for answer in (*during, *after)] == [200, 200, 401, 200]
        assert shown.json()["former_secret_until"] == rotated["former_secret_until"]
        assert rotated["secret"] not in shown.text

    async def test_f042_signed_delivery_is_taken_once(self, desk):
        bot, account = await bot_with_account(desk)
        body, t = alert(), int(time.time())
        key = hashlib.sha256(bot["secret"].encode()).hexdigest().encode()
        code = hmac.digest(key, f"{t}.{body}".encode(), "sha256").hex()
        send = partial(
            desk.client.post,
            f"/api/v1/bots/webhook/master/{bot['webhook_path']}",
            headers={"X-Pregao-Signature": f"t={t},v1={code}"},
        )

        first, replayed = await send(content=body), await send(content=body)
        other = await send(content=body.replace("buy", "sell"))

        assert first.json()["signal_id"] == replayed.json()["signal_id"]
        assert (other.status_code, code_of(other)) == (401, "SIGNATURE_WRONG")
        await desk.receipt(first.json()["signal_id"])
        assert len(await orders_of(desk, account)) == 1

    async def test_f042_unknown_path_is_404(self, desk, bot):
        answer = await desk.post({**bot, "webhook_path": "nobody-has-this-path"}, alert())

        assert (answer.status_code, code_of(answer)) == (404, "PATH_UNKNOWN")

    async def test_f042_inactive_bot_is_400(self, desk, bot):
        await desk.ask("DELETE", f"/api/v1/bots/{bot['bot_id']}")
        async with asyncio.timeout(5):  # the bell that tells the gate may be a moment behind
            while (answer := await desk.post(bot, alert())).status_code != 400:
                await asyncio.sleep(0.05)

        again = await desk.post(bot, alert(action="close"))

        assert [code_of(one) for one in (answer, again)] == ["BOT_NOT_ACTIVE"] * 2

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (alert(action=None), "ACTION_MISSING"),
            (alert(action=""), "ACTION_MISSING"),
            (alert(ticker=None), "SYMBOL_MISSING"),
            (alert(ticker=""), "SYMBOL_MISSING"),
            (alert(ticker=None, action=None), "ACTION_MISSING"),
            (alert(ticker="{{ticker}}"), "PLACEHOLDER_UNFILLED"),
            (f"ticker=BTCUSDT;note={next(numbers)}", "ACTION_MISSING"),
            ("{}", "ACTION_MISSING"),
            ("", "BODY_EMPTY"),
        ],
    )
    async def test_f042_missing_field_is_422_and_trades_nothing(self, desk, body, code):
        bot, account = await bot_with_account(desk)

        answer = await desk.post(bot, body)

        assert (answer.status_code, code_of(answer)) == (422, code)
        assert [signal["code"] for signal in await signals_of(desk, bot)] == [code]
        assert await orders_of(desk, account) == []

    async def test_f042_replay_is_the_first_signal_again(self, desk):
        bot, account = await bot_with_account(desk)
        body = alert()

        first = await desk.post(bot, body)
        again = await asyncio.gather(*(desk.post(bot, body) for _ in range(20)))
        await desk.receipt(first.json()["signal_id"])

        assert {answer.json()["signal_id"] for answer in again} == {first.json()["signal_id"]}
        assert {answer.json()["repeated"] for answer in again} == {True}
        (signal,) = await signals_of(desk, bot)
        assert signal["deliveries"] == 21
        assert len(await orders_of(desk, account)) == 1

    async def test_f042_replay_of_an_alerts_own_id_is_the_first_signal_again(self, desk):
        bot, account = await bot_with_account(desk)

        first = await settled(desk, bot, alert(alert_id="7f3a"))
        second = await desk.post(bot, alert(alert_id="7f3a", action="sell"))

        assert second.json()["signal_id"] == first["signal_id"]
        assert [order["side"] for order in await orders_of(desk, account)] == ["buy"]


ENTERS = [
    *((word, "buy") for word in ("buy", "BUY", "long", "Long", "compra", "Comprar", "enter_long")),
    *((word, "sell") for word in ("sell", "Sell", "short", "SHORT", "venda", "vender", "enter short")),
]
CLOSES = [
    *((word, None) for word in ("close", "exit", "flat", "fechar", "Fechar", "zerar", "saída")),
    *((word, "sell") for word in ("close_long", "closelong", "exit long", "fechar_compra")),
    *((word, "buy") for word in ("close_short", "CloseShort", "cover", "fechar_venda")),
]
SPELLINGS = (
    *("BTCUSDT", "btcusdt", "BTCUSDT.P", "BTC-USDT", "BTC/USDT", "BTC_USDT", "BINANCE:BTCUSDT"),
    *("BINANCE:BTCUSDT.P", "BTCUSDTPERP", "BTC-USDT-SWAP", "BTC/USDT:USDT"),
)
NO_ACTIONS = (
    *("bu", "buyy", "comprarr", "hodl", "moon", "sellall", "1", "true", "buy?", "b u y!", "-"),
    *(1, True, ["buy"], {"buy": 1}),
)


class TestWhatIsSaid:
    @pytest.mark.parametrize(("word", "side"), ENTERS)
    async def test_f043_word_of_entry_enters(self, desk, bot, word, side):
        receipt = await settled(desk, bot, alert(action=word))

        assert (receipt["action"], receipt["side"], receipt["symbol"]) == ("enter", side, "BTCUSDT")

    @pytest.mark.parametrize(("word", "side"), CLOSES)
    async def test_f043_word_of_exit_closes(self, desk, bot, word, side):
        receipt = await settled(desk, bot, alert(action=word))

        assert (receipt["action"], receipt["side"], receipt["symbol"]) == ("close", side, "BTCUSDT")

    @pytest.mark.parametrize("word", ["close_all", "closeall", "Close All", "fechar_tudo", "flatten all"])
    async def test_f043_close_all_closes_all_and_needs_no_symbol(self, desk, bot, word):
        receipt = await settled(desk, bot, alert(action=word, ticker=None))

        assert (receipt["action"], receipt["side"], receipt["symbol"]) == ("close_all", None, None)

    async def test_f043_every_spelling_of_a_symbol_is_one(self, desk, bot):
        """ ".P" and "-" forms are equal, under every name of the field and in every form of body."""
        bodies = [
            *(alert(ticker=spelling) for spelling in SPELLINGS),
            *(alert(ticker=None, **{name: "BTC-USDT"}) for name in ("symbol", "pair", "ativo")),
            *(f"symbol={spelling}\naction=buy\nn={next(numbers)}" for spelling in ("BTCUSDT.P", "BTC-USDT")),
            f"order buy @ 0.{next(numbers)}1 filled on BTCUSDT.P. New strategy position is 1",
        ]

        receipts = [await settled(desk, bot, body) for body in bodies]

        assert {(receipt["action"], receipt["symbol"], receipt["side"]) for receipt in receipts} == {
            ("enter", "BTCUSDT", "buy")
        }
        assert len({receipt["signal_id"] for receipt in receipts}) == len(bodies)

    async def test_f043_base_alone_is_completed_by_a_bot_of_one_symbol_and_else_refused(self, desk, bot):
        own = await desk.create_bot("Ether only", trading_symbol="ETHUSDT")

        receipt = await settled(desk, own, alert(ticker="ETH-PERP"))
        refused = await desk.post(bot, alert(ticker="ETH-PERP"))

        assert (receipt["status"], receipt["symbol"]) == ("settled", "ETHUSDT")
        assert (refused.status_code, code_of(refused)) == (422, "SYMBOL_AMBIGUOUS")

    async def test_f043_spellings_trade_one_position(self, desk):
        """Opened as BTCUSDT.P, closed as BTC-USDT: the words compra and fechar, on the exchange's own books."""
        bot, account = await bot_with_account(desk)

        opened = await settled(desk, bot, alert(ticker="BTCUSDT.P", action="compra"))
        closed = await settled(desk, bot, alert(ticker="BTC-USDT", action="fechar"))

        assert [row["outcome"] for row in (*opened["rows"], *closed["rows"])] == ["filled", "filled"]
        assert [row["side"] for row in (*opened["rows"], *closed["rows"])] == ["buy", "sell"]
        positions = await desk.ask("GET", "/api/v1/positions", params={"account_id": account})
        assert [position["status"] for position in positions["items"]] == ["closed"]

    @pytest.mark.parametrize("word", NO_ACTIONS, ids=str)
    async def test_f043_unknown_action_is_422_and_never_a_buy(self, desk, word):
        bot, account = await bot_with_account(desk)

        answer = await desk.post(bot, alert(action=word))

        assert answer.status_code == 422
        assert code_of(answer) in ("ACTION_UNKNOWN", "ACTION_MISSING")
        (signal,) = await signals_of(desk, bot)
        assert (signal["status"], signal["side"], signal["orders"]) == ("refused", None, 0)
        assert await orders_of(desk, account) == []
