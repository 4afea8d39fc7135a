"""System A's list of what can be sold, and selling by hand at its own paths: who asked stands with what was done (F017, F018, F021)."""

from dataclasses import replace
from uuid import UUID

import pytest

from pregao.bootstrap.cleaning import clean_once
from pregao.domain.account import Venue
from pregao.domain.facts import (
    AccountConfigured,
    BotConfigured,
    DriftSettled,
    PositionChanged,
    SignalAccepted,
    SubscriptionConfigured,
)
from pregao.domain.position import PositionStatus
from pregao.edges.postgres.rebuild import compare_with_journal
from pregao.settings import Settings
from tests.builders import NOON, account, bot, held, position, subscription, trade
from tests.edges.http.api.own_desk import code_of

LIST, CLEAR, CONFIG = "/admin/sell-all-queue", "/admin/sell-all-queue/clear", "/admin/sell-all/config"
SELL, CLOSE, SELL_ALL = (
    "/admin/order/sell-individual",
    "/admin/order/close-position",
    "/admin/order/sell-all",
)
EXCHANGE, WEBHOOK = 1, 2


@pytest.fixture
async def default(desk):
    """The bot behind `/webhook/in`, followed by an account at an exchange and one at a webhook."""
    await desk.append(
        BotConfigured(happened_at=NOON, bot=bot(name="default")),
        AccountConfigured(happened_at=NOON, account=account(EXCHANGE)),
        AccountConfigured(happened_at=NOON, account=account(WEBHOOK, venue=Venue.WEBHOOK)),
        *(
            SubscriptionConfigured(happened_at=NOON, subscription=subscription(number))
            for number in (EXCHANGE, WEBHOOK)
        ),
    )
    return desk


async def bought(desk, symbol, *, number, status=PositionStatus.OPEN):
    """Have a position at the exchange, as its fills would have it."""
    empty = replace(position(number), symbol=symbol)
    await desk.append(
        DriftSettled(
            happened_at=NOON, position=empty, trade=trade(str(number)), foreign_left=0, settled_by="x", reason="y"
        )
    )  # fmt: skip
    standing = replace(held(position_id=number), symbol=symbol, status=status)
    await desk.append(PositionChanged(happened_at=NOON, position=standing))


async def tickers(desk):
    told = (await desk.client.get(LIST)).json()
    assert told["count"] == len(told["tickers"])
    return told["tickers"]


async def asked(desk):
    """Give what the desk's own signals ask for and nobody has decided yet."""
    return [
        (fact.instruction.action.value, fact.instruction.symbol, fact.instruction.subscription_id)
        for fact in await desk.journaled()
        if isinstance(fact, SignalAccepted)
        and await desk.journal.pool.fetchval(
            "SELECT status = 'accepted' FROM signals WHERE signal_id = $1", fact.signal_id
        )
    ]


async def types(desk):
    rows = await desk.journal.pool.fetch(
        "SELECT convert_from(body, 'UTF8')::jsonb ->> 'type' AS type, "
        "convert_from(body, 'UTF8')::jsonb ->> 'asked_by' AS asked_by FROM signals ORDER BY signal_id"
    )
    return [tuple(row) for row in rows]


class TestEnter:
    async def test_puts_a_ticker_on_the_list_with_a_position_and_no_order(self, default):
        """F017: 201 with the position's id; the same again is 200 and says that it is open."""
        first = await default.client.post(LIST, json={"ticker": " aapl ", "reason": "held since May"})
        again = await default.client.post(LIST, json={"ticker": "AAPL"})

        assert (first.status_code, again.status_code) == (201, 200)
        entered = first.json()
        assert (entered["ticker"], entered["already_open"]) == ("AAPL", False)
        assert (again.json()["position_id"], again.json()["already_open"]) == (entered["position_id"], True)
        assert await tickers(default) == ["AAPL"]
        [row] = await default.journal.pool.fetch("SELECT * FROM positions")
        shown = (row["account_id"], row["status"], row["entered_quantity"], row["entry_notional"])
        assert shown == (WEBHOOK, "open", 1, 0)
        assert await types(default) == [("manual_sell_entry", "admin token")]
        assert await asked(default) == []
        assert await default.journal.pool.fetchval("SELECT count(*) FROM orders") == 0
        assert (await compare_with_journal(default.journal)).differences == ()

    async def test_refuses_what_is_no_ticker_and_who_has_no_token(self, default):
        """F017: no ticker 400, wrong token 403."""
        missing = await default.client.post(LIST, json={"ticker": "  "})
        stranger = await default.coming_with("")
        wrong = await stranger.post(LIST, json={"ticker": "AAPL", "token": "nobody's"})
        unwritable = await default.client.post(LIST, json={"ticker": "AAPL", "reason": "a\x00b"})

        assert (missing.status_code, code_of(missing)) == (400, "TICKER_MISSING")
        assert unwritable.status_code == 422
        assert (wrong.status_code, code_of(wrong)) == (403, "TOKEN_WRONG")
        assert await tickers(default) == []

    async def test_enters_nothing_at_an_exchange(self, desk):
        """There the books follow the fills: a position that nobody bought would be sold short."""
        await desk.append(
            BotConfigured(happened_at=NOON, bot=bot(name="default")),
            AccountConfigured(happened_at=NOON, account=account(EXCHANGE)),
            SubscriptionConfigured(happened_at=NOON, subscription=subscription(EXCHANGE)),
        )

        refused = await desk.client.post(LIST, json={"ticker": "BTCUSDT"})
        own = await desk.client.post(
            "/api/v1/positions/enter",
            json={"subscription_id": str(UUID(int=EXCHANGE)), "symbol": "BTCUSDT", "reason": "mine"},
        )

        assert [(one.status_code, code_of(one)) for one in (refused, own)] == [
            (409, "BOOKS_FOLLOW_FILLS")
        ] * 2

    async def test_at_our_own_path_with_the_price_it_was_bought_at(self, default):
        entry = {
            "subscription_id": str(UUID(int=WEBHOOK)),
            "symbol": "AAPL",
            "price": "190.5",
            "reason": "mine",
        }

        entered = await default.client.post("/api/v1/positions/enter", json=entry)
        closed = await default.client.post(
            f"/api/v1/positions/{entered.json()['position_id']}/close-in-books",
            json={"price": "200", "reason": "sold elsewhere"},
        )

        assert (entered.status_code, closed.status_code) == (201, 200)
        [row] = await default.journal.pool.fetch("SELECT * FROM positions")
        assert (row["status"], row["entry_notional"], row["exit_notional"]) == ("closed", 190.5, 200)
        assert row["exit_signal_id"] == UUID(closed.json()["signal_id"])


class TestSell:
    async def test_sells_one_ticker_by_a_signal_of_the_desks_own(self, default):
        """F018: what is not held is told by the receipt, as for any signal."""
        await bought(default, "BTCUSDT", number=1)

        sold = await default.client.post(SELL, json={"ticker": "btcusdt"})

        assert (sold.status_code, default.rings) == (200, ["signals"])
        assert await asked(default) == [("close", "BTCUSDT", None)]
        assert await types(default) == [("manual_sell", "admin token")]
        assert sold.json()["signal_id"]

    async def test_closes_what_is_open_and_knows_what_is_not(self, default):
        """F018."""
        await bought(default, "BTCUSDT", number=1)
        await bought(default, "ETHUSDT", number=2, status=PositionStatus.CLOSING)

        closed = await default.client.post(CLOSE, json={"ticker": "BTCUSDT"})
        unknown = await default.client.post(CLOSE, json={"ticker": "AAPL"})
        closing = await default.client.post(CLOSE, json={"ticker": "ETHUSDT"})

        assert closed.json()["action"] == "exit"
        assert [(one.status_code, code_of(one)) for one in (unknown, closing)] == [
            (404, "POSITION_UNKNOWN")
        ] * 2
        assert await types(default) == [("position_close", "admin token")]

    async def test_sells_all_but_what_is_being_closed_already(self, default):
        """F018, A-10: the counts are those of tickers, and of one that is closing no second exit is asked for."""
        for number, symbol in enumerate(("BTCUSDT", "ETHUSDT", "LTCUSDT"), start=1):
            status = PositionStatus.CLOSING if symbol == "ETHUSDT" else PositionStatus.OPEN
            await bought(default, symbol, number=number, status=status)

        told = (await default.client.post(SELL_ALL, json={})).json()

        assert (told["tickers_processed"], told["total_requested"]) == (2, 3)
        assert await asked(default) == [("close", "BTCUSDT", None), ("close", "LTCUSDT", None)]

    async def test_says_when_there_was_nothing_to_sell(self, default):
        told = (await default.client.post(SELL_ALL, json={})).json()

        assert told == {"message": "Nothing on the list is to be sold.", "tickers_processed": 0}


class TestCloseOrder:
    async def test_closes_in_the_books_where_a_webhook_is_the_venue(self, default):
        """F021: open becomes closed and nothing is sent; closed is 400, unknown 404."""
        number = (await default.client.post(LIST, json={"ticker": "AAPL"})).json()["position_id"]

        closed = await default.client.post(f"/admin/orders/{number}/close", json={})
        again = await default.client.post(f"/admin/orders/{number}/close", json={})
        unknown = await default.client.post("/admin/orders/999/close", json={})

        told = closed.json()
        assert (told["status"], told["forwarded"], told["ticker"]) == ("closed", False, "AAPL")
        assert (again.status_code, code_of(again)) == (400, "POSITION_CLOSED")
        assert (unknown.status_code, code_of(unknown)) == (404, "POSITION_UNKNOWN")
        assert (await asked(default), await tickers(default)) == ([], [])
        row = await default.journal.pool.fetchrow("SELECT * FROM positions")
        assert (row["close_reason"], row["exit_signal_id"]) == ("closed_by_hand", UUID(told["signal_id"]))
        assert (await compare_with_journal(default.journal)).differences == ()

    @pytest.mark.parametrize(("query", "body"), [({"forward": True}, {}), ({}, {"forward": True})])
    async def test_sends_an_exit_where_the_caller_says_so(self, default, query, body):
        """F021: the caller chooses, and sees which it was."""
        await bought(default, "BTCUSDT", number=1)

        told = await default.client.post("/admin/orders/1/close", params=query, json=body)

        assert (told.json()["status"], told.json()["forwarded"]) == ("closing", True)
        assert await asked(default) == [("close", "BTCUSDT", UUID(int=EXCHANGE))]

    async def test_closes_nothing_in_the_books_of_an_exchange(self, default):
        await bought(default, "BTCUSDT", number=1)

        refused = await default.client.post("/admin/orders/1/close", json={"forward": False})

        assert (refused.status_code, code_of(refused)) == (409, "BOOKS_FOLLOW_FILLS")
        assert await tickers(default) == ["BTCUSDT"]


class TestClear:
    async def test_closes_in_the_books_what_is_at_a_webhook_and_leaves_the_rest(self, default):
        await bought(default, "BTCUSDT", number=1)
        await default.journal.pool.execute("SELECT setval('position_ids', 1)")
        for ticker in ("AAPL", "MSFT"):
            await default.client.post(LIST, json={"ticker": ticker})

        told = (await default.client.post(CLEAR, json={})).json()

        assert (told["cleared_count"], told["original_count"]) == (2, 3)
        assert (await tickers(default), await asked(default)) == (["BTCUSDT"], [])


class TestRule:
    async def test_is_kept_and_refuses_what_is_no_time(self, default):
        """F037: it survives a restart, because it is a fact."""
        before = (await default.client.get(CONFIG)).json()
        changed = await default.client.post(CONFIG, json={"lifetime_hours": 1})
        refused = await default.client.post(CONFIG, json={"lifetime_hours": 0})

        assert before == {"enabled": True, "lifetime_hours": 72}
        assert (changed.status_code, changed.content) == (204, b"")
        assert (refused.status_code, code_of(refused)) == (400, "LIFETIME_OUT_OF_RANGE")
        assert (await default.client.get(CONFIG)).json() == {"enabled": True, "lifetime_hours": 1}
        assert (await compare_with_journal(default.journal)).differences == ()

    @pytest.mark.parametrize(("enabled", "left"), [(True, ["BTCUSDT"]), (False, ["AAPL", "BTCUSDT"])])
    async def test_takes_off_what_was_entered_by_hand_and_nothing_that_was_bought(
        self, default, tmp_path, enabled, left
    ):
        await bought(default, "BTCUSDT", number=1)
        await default.journal.pool.execute("SELECT setval('position_ids', 1)")
        await default.client.post(LIST, json={"ticker": "AAPL"})
        await default.client.post(CONFIG, json={"lifetime_hours": 2, "enabled": enabled})
        settings = Settings(state_dir=tmp_path)

        async def clean():
            return await clean_once(settings, journal=default.journal, clock=lambda: default.now)

        default.later(hours=2)
        early = await clean()
        default.later(minutes=1)

        assert (early, await clean()) == (0, int(enabled))
        assert await tickers(default) == left
