"""The pages about people: what proves oneself, where one is signed in, and nothing of anybody else's."""

import re
from html import unescape

import httpx
import pytest

from pregao.domain.facts import RetentionSet
from pregao.domain.upkeep import Retention
from pregao.edges.http.console.browsers import browser_of
from pregao.edges.postgres.journal import decode, encode
from pregao.edges.postgres.setting_changes import CHANGES
from tests.edges.http.api.own_desk import AUTH, NOON, USERS, code_of
from tests.edges.http.api.test_second_factor import turn_on
from tests.edges.http.console.signed_in import PASSWORD, signed_in

SETTING_CHANGES = "/api/v1/admin/settings/changes"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0"


def rows_of(page: httpx.Response) -> list[list[str]]:
    """Give what stands in the cells of the page's first table."""
    assert page.status_code == 200, page.text
    body = re.search(r"<tbody>(.*?)</tbody>", page.text, re.DOTALL)
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", body[1] if body else "", re.DOTALL)
    return [
        [
            " ".join(unescape(re.sub(r"<[^>]+>", " ", cell)).split())
            for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)
        ]
        for row in rows
    ]


class TestMyAccount:
    @pytest.mark.parametrize("role", ["viewer", "trader", "operator", "admin"])
    async def test_shows_everybody_what_is_his_and_nobody_elses(self, desk, role):
        bruno = await desk.enroll("bruno")
        await bruno.made(f"{AUTH}/tokens", name="a-program-of-brunos")
        client = await signed_in(desk, "ana", role)
        client.headers["User-Agent"] = FIREFOX
        await client.post("/console/sign-in", data={"email": "ana@desk.test", "password": PASSWORD})
        made = await client.post(f"{AUTH}/tokens", json={"name": "her own script"})

        page = await client.get("/console/me")

        assert (page.status_code, made.status_code) == (200, 201)
        assert "ana@desk.test" in page.text
        assert "Firefox, Linux" in page.text
        assert "her own script" in page.text
        assert "Turn on" in page.text
        assert "bruno" not in page.text
        assert made.json()["token"] not in page.text

    async def test_what_it_offers_is_the_apis_and_changes_what_is_shown(self, desk):
        """Each button names a call, and the call is there for whoever sees the button."""
        client = await signed_in(desk, "ana", "viewer")
        sessions = (await client.get(f"{AUTH}/sessions")).json()["items"]
        other, own = sorted(sessions, key=lambda one: one["is_current"])

        before = await client.get("/console/me")
        ended = await client.delete(f"{AUTH}/sessions/{other['session_id']}")
        after = await client.get("/console/me")

        acts = f"DELETE {AUTH}/sessions/"
        assert f'data-acts="{acts}{other["session_id"]}"' in before.text
        assert f"{acts}{own['session_id']}" not in before.text, "signing oneself out has a button of its own"
        assert (ended.status_code, acts in after.text) == (200, False)

    async def test_is_closed_with_the_session(self, desk):
        client = await signed_in(desk, "ana", "viewer")
        await client.post(f"{AUTH}/logout")

        answer = await client.get(f"{AUTH}/me")

        assert ((await client.get("/console/me")).status_code, code_of(answer)) == (303, "TOKEN_WRONG")


class TestPeople:
    async def test_lists_who_may_come_in_and_how_well_he_is_guarded(self, desk):
        admin = await signed_in(desk, "ana", "admin")
        bruno = await desk.enroll("bruno", "trader", max_daily_loss_usd="250")
        await turn_on(desk, bruno)

        everybody = rows_of(await admin.get("/console/people"))
        traders = rows_of(await admin.get("/console/people?role=trader"))
        found = rows_of(await admin.get("/console/people?q=BRUN"))
        none = await admin.get("/console/people?state=inactive")
        page = await admin.get(f"/console/people/{bruno.user_id}")

        assert sorted(row[:5] for row in everybody) == [
            ["ana", "ana@desk.test", "admin", "active", "off"],
            ["bruno", "bruno@desk.test", "trader", "active", "on"],
        ]
        assert traders == found == [row for row in everybody if row[0] == "bruno"]
        assert "Nothing here is like that." in none.text
        assert 'value="250"' in page.text
        assert f'data-api="DELETE {USERS}/{bruno.user_id}/second-factor"' in page.text

    async def test_an_admin_is_not_offered_to_put_himself_out(self, desk):
        admin = await signed_in(desk, "ana", "admin")
        user_id = (await admin.get(f"{AUTH}/me")).json()["user"]["user_id"]

        page = await admin.get(f"/console/people/{user_id}")

        assert 'data-opens="put-out"' not in page.text
        assert 'name="role"' not in page.text

    @pytest.mark.parametrize("role", ["viewer", "trader", "operator"])
    async def test_are_nobodys_but_admins(self, desk, role):
        bruno = await desk.enroll("bruno")
        client = await signed_in(desk, "ana", role)

        pages = [
            await client.get(path)
            for path in (
                "/console/people",
                f"/console/people/{bruno.user_id}",
                "/console/audit",
                "/console/settings",
            )
        ]

        assert [page.status_code for page in pages] == [403] * 4
        assert not [page for page in pages if "bruno" in page.text]

    async def test_says_that_there_is_no_such_user(self, desk):
        admin = await signed_in(desk, "ana", "admin")

        answer = await admin.get("/console/people/01900000-0000-7000-8000-000000000000")

        assert answer.status_code == 404


class TestAuditLog:
    async def test_says_who_asked_for_what_and_what_came_of_it(self, desk):
        admin = await signed_in(desk, "ana", "admin")
        bruno = await desk.enroll("bruno")
        await bruno.client.post("/api/v1/bots", json={"name": "not his to make"})
        await admin.post("/api/v1/bots", json={"name": "EMA cross"})

        everything = rows_of(await admin.get("/console/audit"))
        his = rows_of(await admin.get(f"/console/audit?user={bruno.user_id}"))
        refused = rows_of(await admin.get("/console/audit?what=post_bot&outcome=refused&hours=24"))
        made = rows_of(await admin.get("/console/audit?what=post_bot&outcome=done"))
        page = await admin.get("/console/audit?what=config_update&hours=1")

        assert len(everything) > len(his) > 0
        assert {row[1] for row in his} == {"bruno@desk.test"}
        assert [row[1:4] for row in refused] == [
            ["bruno@desk.test", "post_bot config_update", "refused ROLE_FORBIDDEN"]
        ]
        assert [row[1:4] for row in made] == [["ana@desk.test", "post_bot config_update", "done 201"]]
        assert 'href="/api/v1/admin/actions?action_type=config_update&amp;hours=1&amp;sort=-time' in page.text

    async def test_is_paged_without_gaps_and_its_file_has_all_of_it(self, desk):
        admin = await signed_in(desk, "ana", "admin")
        for number in range(53):
            await admin.post("/api/v1/bots", json={"name": f"bot {number}"})

        first = await admin.get("/console/audit?what=post_bot")
        following = unescape(re.search(r'rel="next" href="([^"]+)"', first.text)[1])
        second = await admin.get(following)
        file = await admin.get(unescape(re.search(r'download href="([^"]+)"', first.text)[1]))

        assert (len(rows_of(first)), len(rows_of(second))) == (50, 3)
        assert file.headers["content-type"].startswith("text/csv")
        assert len(file.text.strip().splitlines()) == 1 + 53

    @pytest.mark.parametrize("query", ["user=x", "hours=-1", "hours=x", "before=x"])
    async def test_an_address_that_cannot_be_read_is_told_so(self, desk, query):
        admin = await signed_in(desk, "ana", "admin")

        assert (await admin.get(f"/console/audit?{query}")).status_code == 422


class TestSettings:
    async def test_f037_shows_what_holds_and_who_changed_it_from_what_and_why(self, desk):
        """The calls that the page's buttons name, with their reasons."""
        admin = await signed_in(desk, "ana", "admin")

        answers = [
            await admin.patch("/api/v1/retention", json={"signal_days": 60, "reason": "a longer look back"}),
            await admin.patch("/api/v1/retention", json={"signal_days": 45}),
            await admin.patch(
                "/api/v1/destinations/limit", json={"max_per_minute": 40, "reason": "they ask for it"}
            ),
            await admin.put("/api/v1/alerts/level", json={"level": "ERROR", "reason": "too loud"}),
            await admin.post("/admin/sell-all/config", json={"enabled": False, "reason": "kept"}),
        ]
        page = await admin.get("/console/settings")
        rows = rows_of(page)
        told = (await admin.get(f"{SETTING_CHANGES}?limit=2")).json()
        rest = (await admin.get(f"{SETTING_CHANGES}?cursor={told['next_cursor']}")).json()["items"]

        assert [one.status_code for one in answers] == [200, 200, 200, 200, 204]
        assert [(row[1], row[2], row[4]) for row in rows] == [
            ("sell_list", "is_cleaned – → false lifetime_hours – → 72", "kept"),
            ("alert_level", "level – → ERROR", "too loud"),
            ("forward_limit", "is_enabled – → true max_per_minute – → 40", "they ask for it"),
            ("retention", "signal_days 60 → 45", "–"),
            ("retention", "alert_days – → 90 signal_days – → 60 metrics_days – → 90", "a longer look back"),
        ]
        assert {row[3] for row in rows} == {"ana@desk.test, session"}
        assert 'name="signal_days"' in page.text
        assert 'value="45"' in page.text
        assert [one["setting"] for one in told["items"]] == ["sell_list", "alert_level"]
        assert [one["setting"] for one in rest] == ["forward_limit", "retention", "retention"]
        assert rest[1]["values"] == [{"field": "signal_days", "old": "60", "new": "45"}]

    async def test_changes_of_one_setting_are_found_alone_and_by_their_index(self, desk):
        await desk.client.patch("/api/v1/retention", json={"signal_days": 60})
        await desk.client.put("/api/v1/alerts/level", json={"level": "ERROR"})

        found = (await desk.client.get(f"{SETTING_CHANGES}?setting=alert_level")).json()["items"]
        async with desk.journal.pool.acquire() as connection, connection.transaction():
            await connection.execute("SET LOCAL enable_seqscan = off")
            plan = await connection.fetch(f"EXPLAIN {CHANGES}", None, None, 10)

        assert [one["setting"] for one in found] == ["alert_level"]
        assert "journal" in str(plan)
        assert "Seq Scan" not in str(plan)

    @pytest.mark.parametrize("role", ["viewer", "trader", "operator"])
    async def test_are_nobodys_but_admins(self, desk, role):
        client = await signed_in(desk, "ana", role)

        answer = await client.get(SETTING_CHANGES)

        assert (answer.status_code, code_of(answer)) == (403, "ROLE_FORBIDDEN")

    def test_a_journal_from_before_reasons_is_read(self):
        told = encode(RetentionSet(happened_at=NOON, retention=Retention(), set_by="ana"))
        former = told.replace(',"reason":""', "")

        assert former != told
        assert decode("RetentionSet", former).reason == ""


class TestBrowserOf:
    @pytest.mark.parametrize(
        ("user_agent", "shown"),
        [
            (FIREFOX, "Firefox, Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36 Edg/131.0",
                "Edge, Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
                "Safari, iPhone",
            ),
            (
                "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Mobile Safari/537.36",
                "Chrome, Android",
            ),
            ("python-httpx/0.28.1", "python-httpx"),
            ("", ""),
            ("<script>", ""),
        ],
    )
    def test_says_it_in_few_words(self, user_agent, shown):
        assert browser_of(user_agent) == shown
