"""F030, F031 over HTTP: strategies with one active, pause, resume and refresh, and the list as people see it."""

import pytest

from pregao.domain.facts import ScreenerPaused, StrategyConfigured, StrategyForgotten
from tests.builders import listed, strategy
from tests.edges.http.api.own_desk import METRICS_TOKEN, code_of

SCREENER = "/api/v1/screener"
STRATEGIES = f"{SCREENER}/strategies"
FINVIZ = "https://finviz.com/screener.ashx?v=111&f=exch_nyse"
STATIC = {"name": "mine", "source": "static", "tickers": ["aapl", "BRK-B", "AAPL"]}


class TestStrategies:
    async def test_are_created_changed_copied_and_deleted(self, desk):
        first = await desk.made(STRATEGIES, **STATIC)
        other = await desk.made(STRATEGIES, name="finviz", source="finviz", address=FINVIZ, top_n=40)
        path = f"{STRATEGIES}/{other['strategy_id']}"
        changed = await desk.client.patch(path, json={"top_n": 60, "reprocess_enabled": True})
        copy = await desk.made(f"{path}/duplicate", name="copy")
        gone = await desk.client.delete(path)

        left = (await desk.client.get(STRATEGIES)).json()["items"]

        assert (first["is_active"], first["tickers"], other["is_active"]) == (True, ["AAPL", "BRK.B"], False)
        assert (changed.json()["top_n"], changed.json()["reprocess_enabled"]) == (60, True)
        assert (copy["top_n"], copy["reprocess_enabled"], copy["is_active"]) == (60, True, False)
        assert gone.json() == {"strategy_id": other["strategy_id"]}
        assert [one["name"] for one in left] == ["copy", "mine"]
        assert [type(fact) for fact in await desk.journaled()] == [StrategyConfigured] * 4 + [
            StrategyForgotten
        ]
        assert desk.rings == ["screener"] * 5

    async def test_have_one_that_is_active_and_stays(self, desk):
        first = await desk.made(STRATEGIES, **STATIC)
        other = await desk.made(STRATEGIES, name="finviz", source="finviz", address=FINVIZ)

        refused = await desk.client.delete(f"{STRATEGIES}/{first['strategy_id']}")
        chosen = await desk.client.post(f"{STRATEGIES}/{other['strategy_id']}/activate")
        again = await desk.client.post(f"{STRATEGIES}/{other['strategy_id']}/activate")
        gone = await desk.client.delete(f"{STRATEGIES}/{first['strategy_id']}")

        assert (refused.status_code, code_of(refused)) == (409, "STRATEGY_ACTIVE")
        assert chosen.json()["is_active"]
        assert again.json() == chosen.json()
        assert gone.status_code == 200

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"name": " "}, "NAME_UNUSABLE"),
            ({"name": "x" * 101}, "NAME_UNUSABLE"),
            ({"description": "x" * 2_001}, "DESCRIPTION_UNUSABLE"),
            ({"top_n": 0}, "SETTING_OUT_OF_RANGE"),
            ({"refresh_seconds": 4}, "SETTING_OUT_OF_RANGE"),
            ({"address": "https://evil.test/screener.ashx"}, "SCREENER_ADDRESS_UNUSABLE"),
            ({"address": "https://user@finviz.com/screener.ashx"}, "SCREENER_ADDRESS_UNUSABLE"),
            ({"address": "file:///etc/passwd"}, "SCREENER_ADDRESS_UNUSABLE"),
            ({"address": "http://finviz.com/screener.ashx"}, "SCREENER_ADDRESS_UNUSABLE"),
            ({"address": "https://elite.finviz.com/export.ashx?v=1&Auth=words"}, "SCREENER_ADDRESS_UNUSABLE"),
            ({"address": "https://[finviz.com/"}, "SCREENER_ADDRESS_UNUSABLE"),
            ({"tickers": ["AAPL"]}, "TICKERS_UNUSABLE"),
            ({"source": "static", "address": "", "tickers": []}, "TICKERS_UNUSABLE"),
            ({"source": "static", "address": "", "tickers": ["AAPL", "no ticker"]}, "TICKERS_UNUSABLE"),
            ({"source": "static", "tickers": ["AAPL"]}, "SCREENER_ADDRESS_UNUSABLE"),
            ({"source": "file", "address": "../env"}, "SCREENER_ADDRESS_UNUSABLE"),
            ({"source": "most_traded", "address": "nowhere"}, "SCREENER_ADDRESS_UNUSABLE"),
            ({"top_n": 200, "refresh_seconds": 10}, "SCREENER_PACE_EXCEEDED"),
        ],
    )
    async def test_say_why_a_setting_cannot_be_used(self, desk, changes, code):
        body = {"name": "finviz", "source": "finviz", "address": FINVIZ, **changes}

        refused = await desk.client.post(STRATEGIES, json=body)

        assert (refused.status_code, code_of(refused)) == (422, code)
        assert await desk.journaled() == []

    async def test_may_ask_as_often_as_the_source_allows(self, desk):
        """100 rows are five pages: every six seconds are 50 requests a minute, every five 60."""
        body = {"source": "finviz", "address": FINVIZ, "top_n": 100}

        await desk.made(STRATEGIES, name="six", refresh_seconds=6, **body)
        refused = await desk.client.post(STRATEGIES, json={"name": "five", "refresh_seconds": 5, **body})

        assert refused.json()["error"]["details"] == {
            "field": "refresh_seconds", "requests_per_minute": 60, "maximum": 59,
        }  # fmt: skip

    async def test_are_unknown_or_stand_in_the_way(self, desk):
        await desk.made(STRATEGIES, **STATIC)
        nobody = f"{STRATEGIES}/{strategy().strategy_id}"

        twice = await desk.client.post(STRATEGIES, json=STATIC)
        missing = [
            await desk.client.get(nobody),
            await desk.client.patch(nobody, json={"top_n": 5}),
            await desk.client.delete(nobody),
            await desk.client.post(f"{nobody}/activate"),
            await desk.client.post(f"{nobody}/duplicate", json={"name": "copy"}),
        ]

        assert (twice.status_code, code_of(twice)) == (409, "STRATEGY_NAME_TAKEN")
        assert {(one.status_code, code_of(one)) for one in missing} == {(404, "STRATEGY_UNKNOWN")}


class TestScreener:
    async def test_says_that_there_is_nothing_yet(self, desk):
        status = (await desk.client.get(SCREENER)).json()
        refused = await desk.client.post(f"{SCREENER}/refresh")

        assert (status["strategy"], status["size"], status["next_look_at"]) == (None, 0, None)
        assert (refused.status_code, code_of(refused)) == (409, "STRATEGY_MISSING")

    async def test_is_paused_resumed_and_refreshed(self, desk):
        await desk.made(STRATEGIES, **STATIC)

        paused = (await desk.client.post(f"{SCREENER}/pause")).json()
        twice = (await desk.client.post(f"{SCREENER}/pause")).json()
        asked = (await desk.client.post(f"{SCREENER}/refresh")).json()
        resumed = (await desk.client.post(f"{SCREENER}/resume")).json()

        assert (paused["is_paused"], paused["next_look_at"]) == (True, None)
        assert twice == paused
        assert asked["next_look_at"] is not None, "what somebody asks for is made while it is paused, too"
        assert (resumed["is_paused"], resumed["is_running"]) == (False, False)
        said = [fact for fact in await desk.journaled() if isinstance(fact, ScreenerPaused)]
        assert [(fact.is_paused, fact.set_by) for fact in said] == [
            (True, "admin token"),
            (False, "admin token"),
        ]

    async def test_shows_its_list_in_the_order_of_rank(self, desk):
        await desk.append(listed(["MSFT", "AAPL"]), listed(["AAPL", "TSLA"], before=["MSFT", "AAPL"]))

        shown = (await desk.client.get(f"{SCREENER}/tickers")).json()
        status = (await desk.client.get(SCREENER)).json()
        as_table = await desk.journal.pool.fetch(
            "SELECT ticker, is_active FROM public.finviz_tickers ORDER BY id"
        )

        assert [(one["ticker"], one["rank"]) for one in shown["items"]] == [("AAPL", 1), ("TSLA", 2)]
        assert (status["size"], status["entered"], status["left"]) == (2, 1, 1)
        assert [tuple(row) for row in as_table] == [("AAPL", True), ("TSLA", True)]

    async def test_stands_in_the_detailed_health_and_among_the_figures(self, desk):
        await desk.append(listed(["MSFT", "AAPL"]))
        stopped = (await desk.client.get("/health/detailed")).json()["screener"]
        await desk.client.post(f"{SCREENER}/pause")

        paused = (await desk.client.get("/health/detailed")).json()["screener"]
        scraper = await desk.coming_with(METRICS_TOKEN)
        figures = (await scraper.get("/metrics")).text

        assert stopped == {"status": "stopped", "size": 2, "good_at": None}
        assert paused["status"] == "paused"
        assert "pregao_screener_tickers 2.0" in figures
        assert "pregao_screener_good_timestamp_seconds 0.0" in figures

    async def test_is_set_up_by_operators_and_seen_by_all(self, desk):
        ana = await desk.enroll("ana", role="trader")

        seen = await ana.client.get(f"{SCREENER}/tickers")
        refused = await ana.client.post(f"{SCREENER}/pause")

        assert seen.status_code == 200
        assert (refused.status_code, code_of(refused)) == (403, "ROLE_FORBIDDEN")
