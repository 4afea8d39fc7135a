"""Coming in to the console and going out: a cookie no script can read, and no page for strangers."""

import pyotp
import pytest

from pregao.edges.http.admission import SESSION_COOKIE
from pregao.edges.http.console.entrance import HALF_LOGIN_COOKIE
from tests.edges.http.api.own_desk import AUTH, TOKEN, USERS
from tests.edges.http.api.test_second_factor import turn_on
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


class TestCode:
    """The second step of whoever has turned a second factor on."""

    async def test_is_asked_for_after_the_password_and_lets_in_once(self, desk, browser):
        ana = await desk.enroll("ana", "operator")
        _, codes = await turn_on(desk, ana)

        half = await browser.post(
            "/console/sign-in", data={"email": EMAIL, "password": PASSWORD, "next": "/console/orders"}
        )
        asked = await browser.get(half.headers["location"])
        shut = await browser.get("/admin")
        wrong = await browser.post(
            "/console/sign-in/code", data={"code": "000000", "next": "/console/orders"}
        )
        right = await browser.post(
            "/console/sign-in/code", data={"code": codes[0], "next": "/console/orders"}
        )
        page = await browser.get("/admin")

        assert (half.status_code, half.headers["location"]) == (
            303,
            "/console/sign-in/code?next=/console/orders",
        )
        assert SESSION_COOKIE not in half.headers["set-cookie"]
        assert {"HttpOnly", "SameSite=strict", "Path=/console/sign-in/code"} <= {
            part.strip() for part in half.headers["set-cookie"].split(";")
        }
        assert 'autocomplete="one-time-code"' in asked.text
        assert PASSWORD not in asked.text
        assert (shut.status_code, wrong.status_code) == (303, 401)
        assert "This is not the code of this moment" in wrong.text
        assert (right.status_code, right.headers["location"], page.status_code) == (
            303,
            "/console/orders",
            200,
        )

    async def test_is_nothing_without_the_password_before_it(self, desk, browser):
        ana = await desk.enroll("ana", "operator")
        _, codes = await turn_on(desk, ana)

        shown = await browser.get("/console/sign-in/code")
        given = await browser.post("/console/sign-in/code", data={"code": codes[0]})
        browser.cookies.set(HALF_LOGIN_COOKIE, "pgh_guessed", domain="desk.test")
        guessed = await browser.post("/console/sign-in/code", data={"code": codes[0]})

        assert {one.headers["location"] for one in (shown, given, guessed)} == {"/console/sign-in"}

    @pytest.mark.parametrize("spoiled", ["late", "password", "used"])
    async def test_is_not_taken_when_its_password_is_worth_nothing_any_more(self, desk, browser, spoiled):
        ana = await desk.enroll("ana", "operator")
        _, codes = await turn_on(desk, ana)
        await browser.post("/console/sign-in", data={"email": EMAIL, "password": PASSWORD})
        kept = browser.cookies[HALF_LOGIN_COOKIE]
        if spoiled == "late":
            desk.later(minutes=5)
        elif spoiled == "password":
            await desk.client.patch(f"{USERS}/{ana.user_id}", json={"password": "another good password"})
        else:
            await browser.post("/console/sign-in/code", data={"code": codes[0]})
            browser.cookies.clear()
            browser.cookies.set(HALF_LOGIN_COOKIE, kept, domain="desk.test", path="/console/sign-in/code")

        answer = await browser.post("/console/sign-in/code", data={"code": codes[1]})

        assert SESSION_COOKIE not in answer.headers.get("set-cookie", "")
        assert (await browser.get("/admin")).status_code == 303


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


class TestSecondFactorDemanded:
    async def test_leads_to_setting_one_up_and_back_to_the_page(self, desk, browser, admin):
        await desk.client.put("/api/v1/admin/second-factor-rule", json={"role": "admin"})

        page = await admin.get("/console/orders?status=filled")
        steps = await admin.get(page.headers["location"])
        part = await admin.get("/console/orders", headers={"HX-Request": "true"})
        begun = await admin.post("/api/v1/auth/second-factor", json={"password": PASSWORD})
        code = pyotp.HOTP(begun.json()["secret"]).at(int(desk.now.timestamp()) // 30)
        confirmed = await admin.post("/api/v1/auth/second-factor/confirm", json={"code": code})
        back = await admin.get(page.headers["location"])

        assert page.headers["location"] == "/console/second-factor?next=/console/orders%3Fstatus%3Dfilled"
        assert 'data-api="POST /api/v1/auth/second-factor"' in steps.text
        assert 'href="/console/orders?status=filled"' in steps.text
        assert part.headers["hx-refresh"] == "true"
        assert confirmed.status_code == 200, confirmed.text
        assert (back.status_code, back.headers["location"]) == (303, "/console/orders?status=filled")

    async def test_lets_him_go_out_again(self, desk, admin):
        await desk.client.put("/api/v1/admin/second-factor-rule", json={"role": "admin"})

        out = await admin.post("/console/sign-out")

        assert (out.status_code, out.headers["location"]) == (303, "/console/sign-in")
