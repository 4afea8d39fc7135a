"""Coming in to the console and going out: a cookie no script can read, and no page for strangers."""

import pytest

from pregao.edges.http.admission import SESSION_COOKIE
from tests.edges.http.api.own_desk import AUTH, TOKEN
from tests.edges.http.console.signed_in import EMAIL, PAGES, PASSWORD, signed_in

FIRST = {"token": TOKEN, "email": EMAIL, "name": "Ana", "password": PASSWORD}


class TestFirstRun:
    async def test_makes_the_first_admin_of_whoever_has_the_admin_token(self, admin, desk):
        me = (await admin.get(f"{AUTH}/me")).json()

        assert (me["role"], me["user"]["email"], me["came_by"]) == ("admin", EMAIL, "session")

    async def test_refuses_another_token_and_keeps_what_was_typed(self, browser, desk):
        answer = await browser.post("/console/first-run", data={**FIRST, "token": "guess"})

        assert answer.status_code == 403
        assert "This is not the admin token." in answer.text
        assert f'value="{EMAIL}"' in answer.text
        assert PASSWORD not in answer.text
        assert await desk.people_known() == 0

    async def test_says_what_is_wrong_with_a_password(self, browser):
        answer = await browser.post("/console/first-run", data={**FIRST, "password": "short"})

        assert answer.status_code == 422
        assert "PASSWORD" not in answer.headers.get("location", "")
        assert "mistake" in answer.text

    async def test_happens_once(self, admin):
        again = await admin.post("/console/first-run", data={**FIRST, "email": "eve@desk.test"})

        assert (again.status_code, again.headers["location"]) == (303, "/console/sign-in")


class TestSignIn:
    @pytest.mark.parametrize("page", PAGES)
    async def test_stands_before_every_page(self, browser, page):
        answer = await browser.get(page)

        assert (answer.status_code, answer.headers["location"]) == (303, f"/console/sign-in?next={page}")

    async def test_leads_on_to_the_page_that_was_asked_for(self, desk, browser):
        await desk.enroll("ana", "operator")

        answer = await browser.post(
            "/console/sign-in",
            data={"email": EMAIL, "password": PASSWORD, "next": "/console/orders?status=filled"},
        )

        assert (answer.status_code, answer.headers["location"]) == (303, "/console/orders?status=filled")

    @pytest.mark.parametrize(
        "next_page", ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:x"]
    )
    async def test_leads_nowhere_else(self, desk, browser, next_page):
        await desk.enroll("ana", "operator")

        answer = await browser.post(
            "/console/sign-in", data={"email": EMAIL, "password": PASSWORD, "next": next_page}
        )

        assert answer.headers["location"] == "/admin"

    async def test_keeps_the_session_from_scripts_and_other_sites(self, desk, browser):
        await desk.enroll("ana", "operator")

        answer = await browser.post("/console/sign-in", data={"email": EMAIL, "password": PASSWORD})
        cookie = answer.headers["set-cookie"]

        assert cookie.startswith(f"{SESSION_COOKIE}=pgs_")
        assert {"HttpOnly", "SameSite=lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}

    async def test_says_no_to_a_wrong_password_as_the_api_does(self, desk, browser):
        await desk.enroll("ana", "operator")

        answer = await browser.post("/console/sign-in", data={"email": EMAIL, "password": "wrong"})

        assert answer.status_code == 401
        assert "There is no active user with this e-mail and password." in answer.text
        assert "wrong" not in answer.text.replace("LOGIN_WRONG", "")

    async def test_an_htmx_part_sends_the_whole_page_to_the_door(self, browser):
        answer = await browser.get("/console/health", headers={"HX-Request": "true"})

        assert (answer.status_code, answer.headers["hx-refresh"]) == (204, "true")

    async def test_is_in_the_audit_log(self, admin, desk):
        await admin.post("/console/sign-out")

        taken = [(one["action"], one["status"]) for one in await desk.actions()]
        assert sorted(taken) == [("post_first_run", 303), ("post_sign_out", 303)]


class TestSignOut:
    async def test_ends_the_session(self, desk):
        client = await signed_in(desk, "ana", "operator")
        kept = client.cookies[SESSION_COOKIE]

        await client.post("/console/sign-out")
        client.cookies.set(SESSION_COOKIE, kept, domain="desk.test")

        assert (await client.get("/admin")).status_code == 303

    async def test_not_for_a_page_of_somebody_else(self, desk):
        client = await signed_in(desk, "ana", "operator")

        await client.post("/console/sign-out", headers={"Origin": "https://evil.test"})

        assert (await client.get("/admin")).status_code == 200
