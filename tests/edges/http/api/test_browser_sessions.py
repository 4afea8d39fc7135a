"""A session that a browser sends by itself: it counts for what our own pages ask, and for nothing else's."""

import pytest

from pregao.edges.http.admission import SESSION_COOKIE, origin_of
from tests.edges.http.api.own_desk import AUTH, BOTS, code_of, own_desk

OURS = "http://desk.test"
BOT = {"name": "EMA cross"}


@pytest.fixture
async def browser(desk):
    """Give a client that comes with an operator's cookie, and with no header."""
    await desk.enroll("ana", "operator")
    token = (await desk.log_in("ana@desk.test")).json()["token"]
    client = await desk.coming_with("")
    client.cookies.set(SESSION_COOKIE, token, domain="desk.test")
    return client


class TestOriginOf:
    @pytest.mark.parametrize(
        ("url", "origin"),
        [
            ("https://desk.example", b"https://desk.example"),
            ("HTTPS://Desk.Example:443/x", b"https://desk.example"),
            ("http://desk.example:80", b"http://desk.example"),
            ("http://10.0.0.1:8000/", b"http://10.0.0.1:8000"),
            ("https://who:what@desk.example", b"https://desk.example"),
            ("desk.example", b""),
            ("", b""),
        ],
    )
    def test_is_what_browsers_write(self, url, origin):
        assert origin_of(url) == origin


class TestBrowserSessions:
    async def test_reads_what_its_user_may_see(self, browser):
        me = await browser.get(f"{AUTH}/me")

        assert (me.status_code, me.json()["came_by"]) == (200, "session")

    async def test_changes_what_a_page_of_ours_asks_for(self, browser):
        answer = await browser.post(BOTS, json=BOT, headers={"Origin": OURS})

        assert answer.status_code == 201, answer.text

    @pytest.mark.parametrize(
        "origin", [None, "", "null", "https://evil.test", "http://desk.test.evil.test", "http://desk.test:81"]
    )
    async def test_changes_nothing_for_a_page_of_somebody_else(self, browser, desk, origin):
        headers = {} if origin is None else {"Origin": origin}

        answer = await browser.post(BOTS, json=BOT, headers=headers)

        assert (answer.status_code, code_of(answer)) == (401, "TOKEN_WRONG")
        assert (await desk.client.get(BOTS)).json()["items"] == []

    async def test_is_known_behind_a_proxy_that_changes_the_host(self, database):
        """The proxy speaks to the desk at its inner address; the browser knows the public one alone."""
        async with own_desk(database, public_url="https://Desk.Example:443/") as desk:
            await desk.enroll("ana", "operator")
            token = (await desk.log_in("ana@desk.test")).json()["token"]
            browser = await desk.coming_with("")
            browser.cookies.set(SESSION_COOKIE, token, domain="desk.test")

            asked = ("https://desk.example", "http://desk.example", "https://desk.example.evil.test", OURS)
            made = [
                (await browser.post(BOTS, json={"name": f"bot {n}"}, headers={"Origin": origin})).status_code
                for n, origin in enumerate(asked)
            ]
            gone = await browser.post("/console/sign-out", headers={"Origin": "https://desk.example"})
            after = await browser.get(f"{AUTH}/me")

        assert made == [201, 401, 401, 201]
        assert (gone.status_code, after.status_code) == (303, 401)

    async def test_is_worth_nothing_once_it_has_ended(self, browser):
        await browser.post(f"{AUTH}/logout", headers={"Origin": OURS})

        assert (await browser.get(f"{AUTH}/me")).status_code == 401

    async def test_takes_the_path_of_the_source_too(self, browser):
        answer = await browser.post("/admin/engine/pause", headers={"Origin": OURS})

        assert answer.status_code == 204, answer.text
