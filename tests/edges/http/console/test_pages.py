"""The console's pages: what they may do in a browser, who sees them, and in which words."""

import re

import pytest

from pregao.edges.http.console.rendering import HOME, STATIC
from tests.edges.http.console.signed_in import PAGES, signed_in

HANDLERS = re.compile(r"<[^>]+\s(on\w+|style)=", re.IGNORECASE)
SCRIPTS = re.compile(r"<script(?![^>]*\ssrc=)", re.IGNORECASE)
ELSEWHERE = re.compile(r"""(?:src|href|action|hx-get)=["'](?:https?:)?//""", re.IGNORECASE)


class TestEveryPage:
    @pytest.mark.parametrize("page", PAGES)
    async def test_shows_an_empty_desk_and_what_to_do_next(self, admin, page):
        answer = await admin.get(page)

        assert answer.status_code == 200
        assert "<!doctype html>" in answer.text
        assert answer.text.count('aria-current="page"') == 1

    @pytest.mark.parametrize("page", PAGES)
    async def test_asks_the_browser_for_nothing_inline_and_nothing_from_elsewhere(self, admin, page):
        answer = await admin.get(page)

        assert "unsafe" not in answer.headers["content-security-policy"]
        assert [pattern.search(answer.text) for pattern in (HANDLERS, SCRIPTS, ELSEWHERE)] == [None] * 3
        assert answer.headers["cache-control"] == "no-store"

    @pytest.mark.parametrize("page", PAGES)
    async def test_gives_htmx_its_part_without_the_frame(self, admin, page):
        answer = await admin.get(page, headers={"HX-Request": "true"})

        assert answer.status_code == 200
        assert "<html" not in answer.text

    async def test_loads_only_files_that_are_there_and_may_be_kept(self, admin):
        page = await admin.get("/admin")
        files = re.findall(r'(?:src|href)="(/console/static/[^"]+)"', page.text)

        answers = [await admin.get(file) for file in files]

        assert len(files) == 4
        assert {answer.status_code for answer in answers} == {200}
        assert all("immutable" in answer.headers["cache-control"] for answer in answers)

    async def test_weighs_little(self, admin):
        """Without charts a page stays under 150 KB, everything it loads included."""
        page = await admin.get("/admin")
        files = re.findall(r'(?:src|href)="(/console/static/[^"]+)"', page.text)

        bodies = [len((await admin.get(file)).content) for file in files]

        assert len(page.content) + sum(bodies) < 150_000

    @pytest.mark.parametrize("name", ["../rendering.py", "%2e%2e/rendering.py", "vendor/", "nothing.js"])
    async def test_serves_no_other_file(self, admin, name):
        assert (await admin.get(f"/console/static/{name}")).status_code == 404

    async def test_says_what_is_not_there(self, admin):
        for page in (
            "/console/signals/01900000-0000-7000-8000-000000000000",
            "/console/accounts/99",
            "/console/sell-all/01900000-0000-7000-8000-000000000000",
        ):
            answer = await admin.get(page)
            assert (answer.status_code, "There is no such thing here" in answer.text) == (404, True)


class TestMistakes:
    async def test_are_told_on_a_page_with_their_code(self, admin):
        for page, status, code in (
            ("/console/nothing", 404, "PATH_UNKNOWN"),
            ("/console/signals?bot=x", 422, "FILTER_UNREADABLE"),
            ("/console/orders?account=x", 422, "REQUEST_UNREADABLE"),
        ):
            answer = await admin.get(page)
            assert (answer.status_code, answer.headers["content-type"]) == (
                status,
                "text/html; charset=utf-8",
            )
            assert f"<code>{code}</code>" in answer.text

    async def test_of_the_api_stay_what_programs_read(self, admin):
        answer = await admin.get("/api/v1/orders?cursor=x")

        assert answer.json()["error"]["code"] == "CURSOR_UNREADABLE"

    async def test_a_page_tries_again_while_the_database_is_away(self, desk, admin):
        await desk.journal.pool.close()

        pages = [await admin.get(page) for page in PAGES]
        posted = await admin.post("/console/sign-in", data={"email": "ana@desk.test", "password": "x"})

        assert {page.status_code for page in pages} == {503}
        assert all(
            '<meta http-equiv="refresh"' in page.text and "DATABASE_AWAY" in page.text for page in pages
        )
        assert (posted.status_code, 'http-equiv="refresh"' in posted.text) == (503, False)


class TestWhoSees:
    @pytest.mark.parametrize(
        "page",
        [
            "/console/approvals",
            "/console/screener",
            "/console/operations",
            "/console/people",
            "/console/audit",
        ],
    )
    async def test_a_subscriber_is_told_what_is_not_his(self, desk, page):
        client = await signed_in(desk, "bruno", "trader")

        answer = await client.get(page)

        assert answer.status_code == 403
        assert "larger role" in answer.text
        assert f'href="{page}"' not in answer.text

    async def test_a_subscriber_sees_his_accounts_only(self, desk):
        client = await signed_in(desk, "bruno", "trader")
        await desk.make_account("the desk's own")

        page = await client.get("/console/accounts")

        assert "the desk&#39;s own" not in page.text
        assert (await client.get("/console/accounts/1")).status_code == 404

    async def test_only_those_who_set_bots_up_see_their_addresses(self, desk):
        await desk.make_bot("EMA cross", webhook_path="ema-cross-secret-place")
        viewer = await signed_in(desk, "vera", "viewer")
        operator = await signed_in(desk, "olga", "operator")

        assert "ema-cross-secret-place" not in (await viewer.get("/console/bots")).text
        assert (
            "/api/v1/bots/webhook/master/ema-cross-secret-place" in (await operator.get("/console/bots")).text
        )

    async def test_what_people_called_things_is_no_html(self, desk, admin):
        await desk.make_bot("<script>alert(1)</script>")

        page = await admin.get("/console/bots")

        assert "<script>alert" not in page.text
        assert "&lt;script&gt;alert(1)" in page.text


class TestLanguagesAndThemes:
    @pytest.mark.parametrize(
        ("accepted", "tag", "word"),
        [
            ("pt-BR,pt;q=0.9,en;q=0.8", "pt-BR", "Visão geral"),
            ("pt-PT", "pt-BR", "Visão geral"),
            ("en-US,en;q=0.9", "en", "Overview"),
            ("de", "en", "Overview"),
            ("", "en", "Overview"),
        ],
    )
    async def test_speaks_as_the_browser_prefers(self, admin, accepted, tag, word):
        page = await admin.get("/admin", headers={"Accept-Language": accepted})

        assert f'<html lang="{tag}"' in page.text
        assert f"<h1>{word}</h1>" in page.text

    async def test_keeps_what_somebody_chose(self, admin):
        for chosen in ({"language": "pt-BR"}, {"theme": "dark"}, {"theme": "<script>"}, {"language": "xx"}):
            answer = await admin.post("/console/preferences", data={**chosen, "back": "/console/orders"})
            assert (answer.status_code, answer.headers["location"]) == (303, "/console/orders")

        page = await admin.get("/console/orders")

        assert '<html lang="pt-BR" data-theme="dark"' in page.text
        assert "<h1>Ordens</h1>" in page.text

    def test_no_style_or_script_of_ours_names_another_place(self):
        for page in (STATIC / "console.css", STATIC / "console.js", *(HOME / "templates").rglob("*.html")):
            assert not re.search(r"https?://", page.read_text(encoding="utf-8")), page.name
