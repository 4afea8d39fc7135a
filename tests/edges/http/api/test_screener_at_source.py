"""System A's own paths: the same screener in its words, behind the desk's doors (F030, F031)."""

from pregao.domain.bot import Policy
from pregao.domain.facts import DecisionDeclined
from tests.builders import arrival, bot, configured, instruction, listed
from tests.edges.http.api.own_desk import code_of

STRATEGIES = "/admin/finviz/strategies"
URL = "https://finviz.com/screener.ashx?v=111"
TOKEN = {"token": "a second one, which is not looked at where the header has one"}


class TestConfig:
    async def test_makes_the_first_strategy_and_changes_the_active_one(self, desk):
        missing = await desk.client.get("/admin/finviz/config")
        made = await desk.client.post("/finviz/config", json={**TOKEN, "finviz_url": URL, "top_n": 15})
        changed = await desk.client.post(
            "/finviz/config", json={"refresh_interval_sec": 30, "respect_sell_chronology_enabled": False}
        )
        shown = await desk.client.get("/admin/finviz/config")
        too_often = await desk.client.post("/finviz/config", json={"top_n": 1000, "refresh_interval_sec": 5})

        assert (missing.status_code, code_of(missing)) == (404, "STRATEGY_MISSING")
        assert [(one.status_code, one.content) for one in (made, changed)] == [(204, b"")] * 2
        assert shown.json() == {
            "finviz_url": URL, "top_n": 15, "refresh_interval_sec": 30, "reprocess_enabled": False,
            "reprocess_window_seconds": 300, "respect_sell_chronology_enabled": False,
            "sell_chronology_window_seconds": 300,
        }  # fmt: skip
        assert code_of(too_often) == "SCREENER_PACE_EXCEEDED"

    async def test_answers_no_stranger(self, desk):
        """The source's GETs were open (F036)."""
        stranger = await desk.coming_with("")
        asked = [
            await stranger.post("/finviz/config", json={"finviz_url": URL}),
            await stranger.get("/admin/finviz/config"),
            await stranger.get("/admin/top-n-tickers"),
            await stranger.get(STRATEGIES),
            await stranger.post("/admin/engine/pause", json={}),
            await stranger.post("/admin/reprocessing/trigger", json={"tickers": ["AAPL"]}),
        ]

        assert {(one.status_code, code_of(one)) for one in asked} == {(401, "TOKEN_WRONG")}

    async def test_writes_into_the_log_of_actions_and_never_the_body(self, desk):
        await desk.client.post("/finviz/config", json={**TOKEN, "finviz_url": URL})

        [action] = await desk.actions()

        assert (action["action"], action["path"], action["status"]) == (
            "post_config_at_source", "/finviz/config", 204,
        )  # fmt: skip
        assert TOKEN["token"] not in await desk.everything_stored()


class TestStrategies:
    async def test_are_created_changed_copied_chosen_and_deleted(self, desk):
        first = (await desk.client.post(STRATEGIES, json={**TOKEN, "name": "one", "url": URL})).json()
        path = f"{STRATEGIES}/{first['strategy_id']}"
        copy = (await desk.client.post(f"{path}/duplicate", json={"new_name": "two"})).json()
        refused = await desk.client.delete(path)
        await desk.client.put(path, json={"top_n": 7, "url": "https://elite.finviz.com/export.ashx?v=111"})
        await desk.client.post(f"{STRATEGIES}/{copy['strategy_id']}/activate", json=TOKEN)
        active = (await desk.client.get(f"{STRATEGIES}/active")).json()["active_strategy"]
        gone = await desk.client.request("DELETE", path, json=TOKEN)
        left = (await desk.client.get(STRATEGIES)).json()

        assert (refused.status_code, code_of(refused)) == (400, "STRATEGY_ACTIVE")
        assert (active["name"], active["top_n"], active["is_active"]) == ("two", 100, True)
        assert (gone.status_code, left["count"], left["strategies"][0]["id"]) == (200, 1, copy["strategy_id"])

    async def test_read_an_export_where_the_address_is_one(self, desk):
        url = "https://elite.finviz.com/export.ashx?v=111"

        made = await desk.client.post(STRATEGIES, json={"name": "elite", "url": url})

        shown = await desk.client.get(f"/api/v1/screener/strategies/{made.json()['strategy_id']}")
        assert shown.json()["source"] == "finviz_export"

    async def test_are_refused_with_the_status_that_the_source_had(self, desk):
        """F030: a value that cannot be used is a bad request there, at our own paths it is 422."""
        made = await desk.client.post(STRATEGIES, json={**TOKEN, "name": "one", "url": URL})
        path = f"{STRATEGIES}/{made.json()['strategy_id']}"

        asked = [
            await desk.client.post("/finviz/config", json={**TOKEN, "top_n": 0}),
            await desk.client.post(STRATEGIES, json={**TOKEN, "name": "two", "url": "https://example.org/"}),
            await desk.client.post(STRATEGIES, json={**TOKEN, "name": "one", "url": URL}),
            await desk.client.put(path, json={**TOKEN, "url": "nowhere"}),
            await desk.client.post(f"{path}/duplicate", json={**TOKEN, "new_name": "one"}),
        ]
        ours = await desk.client.post("/api/v1/screener/strategies", json={"name": "two", "source": "finviz"})

        assert [one.status_code for one in asked] == [400] * 5
        assert [code_of(one) for one in asked][:2] == ["SETTING_OUT_OF_RANGE", "SCREENER_ADDRESS_UNUSABLE"]
        assert ours.status_code == 422


class TestEngine:
    async def test_is_paused_resumed_and_refreshed(self, desk):
        await desk.client.post(STRATEGIES, json={"name": "one", "url": URL})

        answers = [
            await desk.client.post(f"/admin/engine/{what}", json=TOKEN)
            for what in ("manual-refresh", "resume", "pause")
        ]
        shown = (await desk.client.get("/admin/top-n-tickers")).json()

        assert [one.status_code for one in answers] == [204] * 3
        assert (shown["count"], shown["engine_info"]["status"]) == (0, "paused")

    async def test_shows_its_tickers_by_name(self, desk):
        await desk.append(listed(["MSFT", "AAPL"]))

        shown = (await desk.client.get("/admin/top-n-tickers")).json()

        assert (shown["tickers"], shown["count"]) == (["AAPL", "MSFT"], 2)

    async def test_tries_declined_buys_again_when_it_is_told_to(self, desk):
        await desk.client.post(STRATEGIES, json={"name": "one", "url": URL})
        early = await desk.client.post("/admin/reprocessing/trigger", json={"tickers": ["BTCUSDT"]})
        buy = arrival(instruction())
        await desk.append(
            listed(["BTCUSDT"]),
            *configured(bots=[bot(policy=Policy.SCREENER)]),
            *buy,
            DecisionDeclined(
                happened_at=desk.now, signal_id=buy[0].signal_id, bot_id=buy[0].bot_id,
                code="SCREENER_DECLINED", reason="rank=none", verdicts=(),
            ),
        )  # fmt: skip
        desk.rings.clear()

        body = {**TOKEN, "tickers": ["btc-usdt", "ETHUSDT"]}
        first = (await desk.client.post("/admin/reprocessing/trigger", json=body)).json()
        rung = list(desk.rings)
        again = await desk.client.post("/api/v1/screener/reprocess", json={"tickers": ["BTCUSDT"]})

        assert (early.status_code, code_of(early)) == (400, "STRATEGY_MISSING")
        assert (first["signals_found"], first["signals_reprocessed"], first["success_rate"]) == (1, 1, 100.0)
        assert rung == ["screener", "signals"]
        assert again.json()["items"] == [], "each is tried once, whoever asks"
