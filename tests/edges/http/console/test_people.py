"""The pages about people: what proves oneself, where one is signed in, and nothing of anybody else's."""

import pytest

from pregao.edges.http.console.browsers import browser_of
from tests.edges.http.api.own_desk import AUTH, code_of
from tests.edges.http.console.signed_in import PASSWORD, signed_in

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0"


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
        [own, other] = (await client.get(f"{AUTH}/sessions")).json()["items"]

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
