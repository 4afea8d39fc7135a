"""A second factor that roles must have: who has none sets one up and does nothing else, and nobody is locked out for good."""

from tests.edges.http.api.own_desk import AUTH, BOTS, PASSWORD, USERS, code_of
from tests.edges.http.api.test_second_factor import FACTOR, code_now, log_in, turn_on

RULE = "/api/v1/admin/second-factor-rule"


async def demand(desk, role: str | None = "operator", *, client=None, **more):
    return await (client or desk.client).put(RULE, json={"role": role, **more})


class TestDemand:
    async def test_leaves_who_has_none_nothing_but_setting_one_up(self, desk):
        ana = await desk.enroll("ana", "operator")
        program = await desk.coming_with((await ana.made(f"{AUTH}/tokens", name="script"))["token"])
        before = [(await one.get(BOTS)).status_code for one in (ana.client, program)]

        said = await demand(desk)
        refused = [await one.get(BOTS) for one in (ana.client, program)]
        me = await ana.client.get(f"{AUTH}/me")
        logged_in = await log_in(desk, ana)
        await turn_on(desk, ana)
        after = [(await one.get(BOTS)).status_code for one in (ana.client, program)]

        assert before == [200, 200]
        assert said.json()["lacking"] == 1
        assert [(one.status_code, code_of(one)) for one in refused] == [(403, "SECOND_FACTOR_DEMANDED")] * 2
        assert (me.status_code, logged_in.status_code) == (200, 200)
        assert after == [200, 200]
        assert (await desk.client.get(RULE)).json()["lacking"] == 0

    async def test_asks_nothing_of_smaller_roles(self, desk):
        bruno = await desk.enroll("bruno", "trader")

        await demand(desk, "operator")

        assert (await bruno.client.get(BOTS)).status_code in (200, 403)
        assert (await bruno.client.get("/api/v1/orders")).status_code == 200

    async def test_counts_for_a_role_that_somebody_is_given(self, desk):
        bruno = await desk.enroll("bruno", "trader")
        await demand(desk, "operator")

        await desk.client.patch(f"{USERS}/{bruno.user_id}", json={"role": "admin"})

        answer = await bruno.client.get("/api/v1/orders")
        assert (answer.status_code, code_of(answer)) == (403, "SECOND_FACTOR_DEMANDED")

    async def test_is_no_way_to_lock_the_last_admin_out(self, desk):
        """Who lacks one sets it up with his own session; and the admin token, which has no phone, takes the rule back."""
        ana = await desk.enroll("ana", "admin")
        own = await demand(desk, "admin", client=ana.client)
        by_token = await demand(desk, "admin")

        begun = await ana.client.post(FACTOR, json={"password": PASSWORD})
        confirmed = await ana.client.post(
            f"{FACTOR}/confirm", json={"code": code_now(desk, begun.json()["secret"])}
        )
        taken_back = await demand(desk, None)

        assert (own.status_code, code_of(own)) == (409, "SECOND_FACTOR_OFF")
        assert [one.status_code for one in (by_token, begun, confirmed, taken_back)] == [200] * 4
        assert taken_back.json()["role"] is None

    async def test_keeps_it_from_being_turned_off(self, desk):
        ana = await desk.enroll("ana", "operator")
        secret, _codes = await turn_on(desk, ana)
        await demand(desk)

        off = await ana.client.post(
            f"{FACTOR}/off", json={"password": PASSWORD, "code": code_now(desk, secret)}
        )
        desk.later(seconds=30)
        await demand(desk, None)
        again = await ana.client.post(
            f"{FACTOR}/off", json={"password": PASSWORD, "code": code_now(desk, secret)}
        )

        assert (off.status_code, code_of(off)) == (409, "SECOND_FACTOR_DEMANDED")
        assert again.status_code == 200, again.text

    async def test_is_told_among_the_settings_with_who_said_so_and_why(self, desk):
        await demand(desk, "operator", reason="the audit asks for it")
        await demand(desk, None)

        changes = (await desk.client.get("/api/v1/admin/settings/changes?setting=second_factor")).json()[
            "items"
        ]

        assert [(one["reason"], one["values"]) for one in changes] == [
            ("", [{"field": "role", "old": "operator", "new": "none"}]),
            ("the audit asks for it", [{"field": "role", "old": None, "new": "operator"}]),
        ]
        assert {one["set_by"] for one in changes} == {"admin token"}

    async def test_is_for_admins_only(self, desk):
        operator = await desk.enroll("ana", "operator")

        assert code_of(await demand(desk, client=operator.client)) == "ROLE_FORBIDDEN"
        assert (await demand(desk, "nobody-known")).status_code == 422
