"""System A's own paths to its destination, all its settings and its state (F037)."""

import pytest

from tests.edges.http.api.own_desk import code_of

URL = "http://127.0.0.1:9/hooks/s3cr3t"
FINVIZ = "https://finviz.com/screener.ashx?v=111"
LIMITER = {
    "tokens_available", "requests_made_this_minute", "total_requests_limited", "pending_token_returns",
    "is_rate_limited", "rate_limiting_enabled", "max_req_per_min", "last_token_refresh",
}  # fmt: skip


@pytest.fixture
async def account(desk):
    return await desk.made(
        "/api/v1/exchange-accounts", name="Destination", venue="webhook", destination={"url": URL}
    )


async def config(desk):
    answer = await desk.client.get("/admin/webhook/config")
    assert answer.status_code == 200, answer.text
    return answer.json()


class TestWebhook:
    async def test_f037_is_updated_kept_sealed_and_shown_without_its_secret(self, desk, account):
        before = await config(desk)
        updated = await desk.client.post(
            "/admin/webhook/update", json={"webhook_url": f"{URL}-2", "timeout": 9, "token": "x"}
        )
        after = await config(desk)
        same = await desk.client.post("/admin/webhook/update", json={"webhook_url": after["webhook_url"]})
        facts = len(await desk.journaled())
        again = await desk.client.post("/admin/webhook/update", json={"webhook_url": after["webhook_url"]})

        assert (updated.status_code, same.status_code, again.status_code) == (204, 204, 204)
        assert (before["webhook_url"], before["timeout"], before["max_req_per_min"]) == (
            "127.0.0.1/***",
            5,
            60,
        )
        assert (after["webhook_url"], after["timeout"], after["rate_limiting_enabled"]) == (
            "127.0.0.1/***",
            9,
            True,
        )
        assert "s3cr3t" not in await desk.everything_stored()
        assert len(await desk.journaled()) == facts

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({"timeout": 0}, "SETTING_OUT_OF_RANGE"),
            ({"timeout": 61}, "SETTING_OUT_OF_RANGE"),
            ({"webhook_url": "ftp://127.0.0.1/"}, "DESTINATION_URL_UNUSABLE"),
            ({"webhook_url": "http://169.254.169.254/latest"}, "DESTINATION_FORBIDDEN"),
            ({"webhook_url": "http://10.0.0.1/", "timeout": 7}, "DESTINATION_FORBIDDEN"),
        ],
    )
    async def test_refuses_what_cannot_be_used_and_changes_nothing(self, desk, account, body, code):
        refused = await desk.client.post("/admin/webhook/update", json=body)

        assert (refused.status_code, code_of(refused)) == (400, code)
        assert (await config(desk))["timeout"] == 5

    async def test_says_that_there_is_none(self, desk):
        refused = await desk.client.post("/admin/webhook/update", json={"timeout": 7})

        assert (await config(desk))["webhook_url"] == ""
        assert (refused.status_code, code_of(refused)) == (400, "DESTINATION_MISSING")


class TestSystem:
    async def test_f037_takes_all_settings_at_once(self, desk, account):
        sent = {
            "webhook": {"url": f"{URL}-2", "timeout": 11},
            "finviz": {"url": FINVIZ, "top_n": 15, "refresh_interval_sec": 30},
            "rate_limiter": {"max_req_per_min": 30, "enabled": False},
        }
        answer = await desk.client.post("/admin/system/config", json=sent)
        status = (await desk.client.get("/admin/status")).json()

        told = await desk.journal.pool.fetch(
            """
            SELECT xid, kind FROM journal WHERE kind <> 'ActionTaken' AND seq > (
                SELECT max(seq) FROM journal WHERE kind = 'ActionTaken' AND fact ->> 'action' = 'post_account')
            ORDER BY kind
            """
        )

        assert answer.status_code == 204
        assert [row["kind"] for row in told] == ["AccountConfigured", "ForwardLimitSet", "StrategyConfigured"]
        assert len({row["xid"] for row in told}) == 1, "all of it, or nothing"
        actions = [one["action"] for one in await desk.actions()]
        assert actions.count("update_system_at_source") == 1
        assert (await config(desk))["timeout"] == 11
        assert (status["max_req_per_min"], status["rate_limiting_enabled"]) == (30, False)
        assert (status["finviz_config"]["finviz_url"], status["finviz_config"]["top_n"]) == (FINVIZ, 15)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"webhook": {"timeout": 0}},
            {"webhook": {"url": "http://10.0.0.1/"}},
            {"finviz": {"url": "https://evil.test/"}},
            {"finviz": {"top_n": 1000, "refresh_interval_sec": 5}},
            {"rate_limiter": {"max_req_per_min": 301}},
        ],
    )
    async def test_changes_nothing_where_one_part_cannot_be_used(self, desk, account, wrong):
        right = {
            "webhook": {"timeout": 11},
            "finviz": {"url": FINVIZ},
            "rate_limiter": {"max_req_per_min": 30},
        }
        [(part, values)] = wrong.items()
        facts = len(await desk.journaled())

        refused = await desk.client.post(
            "/admin/system/config", json={**right, part: {**right[part], **values}}
        )

        assert refused.status_code == 400, refused.text
        assert len(await desk.journaled()) == facts


class TestStatus:
    async def test_says_how_the_desk_is_in_parts_and_flat(self, desk, account):
        status = (await desk.client.get("/admin/status")).json()
        info = (await desk.client.get("/admin/system-info")).json()

        parts = {"system_info", "metrics", "queue", "engine", "finviz_config", "webhook_rate_limiter"}
        assert parts <= status.keys() == info.keys()
        assert status["webhook_rate_limiter"].keys() == LIMITER
        for part in ("metrics", "queue", "engine", "webhook_rate_limiter"):
            assert status[part].items() <= status.items()
        assert status["finviz_config"] is None
        assert (status["tokens_available"], status["signals_received"], status["approval_rate"]) == (60, 0, 0)

    async def test_is_nothing_for_strangers(self, desk):
        stranger = await desk.coming_with("")

        for path in ("/admin/status", "/admin/system-info", "/admin/webhook/config"):
            assert (await stranger.get(path)).status_code == 401
        for path in ("/admin/webhook/update", "/admin/system/config", "/admin/metrics/reset"):
            assert (await stranger.post(path, json={"token": "wrong"})).status_code == 403
