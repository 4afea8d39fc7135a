"""Users over HTTP, as admins enroll and change them, and what their role lets them do."""

import asyncio

import pytest

from pregao.domain.user import Role
from tests.edges.http.api.own_desk import ACCOUNTS, AUTH, BOTS, PASSWORD, USERS, code_of


class TestEnroll:
    async def test_gives_a_password_of_the_desks_once(self, desk):
        made = await desk.made(USERS, email="Ana@desk.test", name="Ana", role="trader")

        shown = (await desk.client.get(f"{USERS}/{made['user_id']}")).json()
        login = await desk.log_in("ana@desk.test", made["password"])

        assert login.status_code == 200
        assert "password" not in shown
        assert (shown["email"], shown["role"], shown["is_active"]) == ("ana@desk.test", "trader", True)

    async def test_takes_a_password_and_says_nothing_of_it(self, desk):
        made = await desk.made(
            USERS, email="ana@desk.test", name="Ana", role="viewer", password=PASSWORD, max_positions=3
        )

        assert (made["password"], made["max_positions"], made["max_daily_loss_usd"]) == (None, 3, None)

    async def test_lets_one_have_an_email(self, desk):
        body = {"email": "ana@desk.test", "name": "Ana", "role": "trader"}

        answers = await asyncio.gather(*(desk.client.post(USERS, json=body) for _ in range(4)))

        assert sorted(one.status_code for one in answers) == [201, 409, 409, 409]
        assert {code_of(one) for one in answers if one.status_code == 409} == {"EMAIL_TAKEN"}

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"email": "nobody"}, "EMAIL_UNUSABLE"),
            ({"name": ""}, "NAME_UNUSABLE"),
            ({"password": "short"}, "PASSWORD_UNUSABLE"),
            ({"max_daily_loss_usd": "1"}, "SETTING_OUT_OF_RANGE"),
            ({"max_positions": 0}, "SETTING_OUT_OF_RANGE"),
        ],
    )
    async def test_refuses_what_cannot_be_used(self, desk, changes, code):
        body = {"email": "ana@desk.test", "name": "Ana", "role": "trader", **changes}

        answer = await desk.client.post(USERS, json=body)

        assert (answer.status_code, code_of(answer)) == (422, code)


class TestChange:
    async def test_of_the_role_acts_with_the_next_request(self, desk):
        ana = await desk.enroll("ana", "operator")

        before = await ana.client.get(BOTS)
        await desk.client.patch(f"{USERS}/{ana.user_id}", json={"role": "trader"})
        after = await ana.client.get(BOTS)

        assert (before.status_code, after.status_code, code_of(after)) == (200, 403, "ROLE_FORBIDDEN")

    async def test_that_deactivates_ends_sessions_and_tokens_at_once_and_for_good(self, desk):
        ana = await desk.enroll("ana")
        program = await desk.coming_with((await ana.made(f"{AUTH}/tokens", name="bot"))["token"])

        await desk.client.patch(f"{USERS}/{ana.user_id}", json={"is_active": False})
        stopped = [(await one.get(f"{AUTH}/me")).status_code for one in (ana.client, program)]
        login = await desk.log_in(ana.email)
        token = await desk.client.post(f"{USERS}/{ana.user_id}/tokens", json={"name": "new"})
        await desk.client.patch(f"{USERS}/{ana.user_id}", json={"is_active": True})
        after = [(await one.get(f"{AUTH}/me")).status_code for one in (ana.client, program)]

        assert (stopped, login.status_code, code_of(login)) == ([401, 401], 401, "LOGIN_WRONG")
        assert code_of(token) == "USER_INACTIVE"
        assert after == [401, 401]
        assert (await desk.log_in(ana.email)).status_code == 200

    async def test_of_the_password_ends_the_sessions(self, desk):
        ana = await desk.enroll("ana")

        reset = await desk.client.patch(f"{USERS}/{ana.user_id}", json={"reset_password": True})

        logins = [
            (await desk.log_in(ana.email, one)).status_code for one in (PASSWORD, reset.json()["password"])
        ]
        assert logins == [401, 200]
        assert (await ana.client.get(f"{AUTH}/me")).status_code == 401

    async def test_of_limits_can_take_them_away(self, desk):
        ana = await desk.enroll("ana", max_positions=3, max_daily_loss_usd="50")

        changed = await desk.client.patch(
            f"{USERS}/{ana.user_id}", json={"max_positions": None, "name": "Ana Maria"}
        )

        shown = changed.json()
        assert (shown["name"], shown["max_positions"], shown["max_daily_loss_usd"]) == (
            "Ana Maria",
            None,
            "50",
        )

    async def test_of_nobody_is_404(self, desk):
        path = f"{USERS}/{'0' * 32}"
        answers = [
            await desk.client.get(path),
            await desk.client.patch(path, json={"name": "x"}),
            await desk.client.get(f"{path}/tokens"),
            await desk.client.post(f"{path}/tokens", json={"name": "x"}),
        ]

        assert {(one.status_code, code_of(one)) for one in answers} == {(404, "USER_UNKNOWN")}


class TestTokensOfUsers:
    async def test_are_made_and_revoked_by_admins(self, desk):
        ana = await desk.enroll("ana")

        made = await desk.made(f"{USERS}/{ana.user_id}/tokens", name="bot")
        program = await desk.coming_with(made["token"])
        before = await program.get(f"{AUTH}/me")
        (listed,) = (await desk.client.get(f"{USERS}/{ana.user_id}/tokens")).json()["items"]
        await desk.client.delete(f"{USERS}/{ana.user_id}/tokens/{made['token_id']}")
        after = await program.get(f"{AUTH}/me")

        assert (listed["name"], "token" in listed) == ("bot", False)
        assert (before.status_code, after.status_code) == (200, 401)


class TestRoles:
    async def test_list_users_page_by_page(self, desk):
        for name in ("ana", "bruno", "clara"):
            await desk.enroll(name)
            desk.later(seconds=1)

        first = (await desk.client.get(USERS, params={"limit": 2})).json()
        rest = (await desk.client.get(USERS, params={"limit": 2, "cursor": first["next_cursor"]})).json()

        names = [one["name"] for one in [*first["items"], *rest["items"]]]
        assert (names, rest["next_cursor"]) == (["ana", "bruno", "clara"], None)

    @pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
    async def test_below_admin_see_no_users(self, desk, role):
        person = await desk.enroll("ana", role)

        answers = [
            await person.client.get(USERS),
            await person.client.get(f"{USERS}/{person.user_id}"),
            await person.client.patch(f"{USERS}/{person.user_id}", json={"role": "admin"}),
            await person.client.post(USERS, content=b"{"),
        ]

        assert {(one.status_code, code_of(one)) for one in answers[:3]} == {(403, "ROLE_FORBIDDEN")}
        assert answers[0].json()["error"]["details"] == {"role": role, "needed": "admin"}
        assert answers[3].status_code in (403, 422)

    async def test_admin_and_operator_run_the_desk(self, desk):
        people = [await desk.enroll(name, role) for name, role in (("ana", "admin"), ("bruno", "operator"))]

        for person in people:
            assert (await person.client.get(ACCOUNTS)).status_code == 200
            await person.made(BOTS, name="EMA cross")
