"""The lights over the API: seen by their owner and by staff, asked for by those who trade."""

from pregao.domain.preflight import Check, CheckResult, Result
from pregao.edges.postgres import preflights
from pregao.edges.postgres.preflights import Due
from tests.edges.http.api.own_desk import ACCOUNTS, code_of

ADMIN = "/api/v1/admin"

WITHDRAWS = CheckResult(
    check=Check.KEY,
    result=Result.FAILED,
    code="KEY_MAY_WITHDRAW",
    numbers={"right": "withdrawals"},
    remedy="Take it away.",
    denies=True,
)


async def looked_over(desk, account_id, *results):
    followed = await preflights.read_followed(desk.journal.pool, account_id)
    await preflights.keep(
        desk.journal.pool,
        Due(account_id=account_id, asked_at=None, fixes=False),
        results,
        seconds=60,
        settings_of=followed.settings_of,
    )


class TestPreflight:
    async def test_tells_each_check_with_its_numbers_and_what_to_do(self, desk):
        account_id = (await desk.make_account())["account_id"]
        await looked_over(desk, account_id, WITHDRAWS)

        found = (await desk.client.get(f"{ACCOUNTS}/{account_id}/preflight")).json()
        account = (await desk.client.get(f"{ACCOUNTS}/{account_id}")).json()
        [check] = found["checks"]

        assert (found["light"], found["light_codes"], found["is_pending"]) == (
            "blocked",
            ["KEY_MAY_WITHDRAW"],
            False,
        )
        assert (account["light"], account["light_codes"]) == ("blocked", ["KEY_MAY_WITHDRAW"])
        assert account["light_checked_at"] == found["checked_at"]
        assert check | {"checked_at": "", "since": ""} == {
            "check": "key",
            "result": "failed",
            "code": "KEY_MAY_WITHDRAW",
            "numbers": {"right": "withdrawals"},
            "remedy": "Take it away.",
            "denies": True,
            "subscription_id": None,
            "bot_name": None,
            "symbol": "",
            "checked_at": "",
            "since": "",
        }

    async def test_knows_nothing_of_a_new_account_and_waits_for_nobody(self, desk):
        account = await desk.make_account(api_key="k" * 64, secret_key="s" * 64)

        found = await desk.client.post(f"{ACCOUNTS}/{account['account_id']}/preflight")

        assert (account["light"], account["light_codes"]) == (None, [])
        assert (found.status_code, found.json()["is_pending"], found.json()["checks"]) == (200, True, [])

    async def test_is_its_owner_s_and_staff_s(self, desk):
        ana, bia = await desk.enroll("ana"), await desk.enroll("bia")
        viewer = await desk.enroll("carla", role="viewer")
        hers = await ana.made(ACCOUNTS, name="hers")
        path = f"{ACCOUNTS}/{hers['account_id']}/preflight"

        seen = [(await who.client.get(path)).status_code for who in (ana, bia)]
        asked = [await who.client.post(path, json={"fix": True}) for who in (ana, bia, viewer)]

        assert seen == [200, 404]
        assert [one.status_code for one in asked] == [200, 404, 403]
        assert code_of(asked[1]) == "ACCOUNT_UNKNOWN"

    async def test_counts_the_lights_of_active_accounts(self, desk):
        fine = CheckResult(check=Check.VENUE, result=Result.OK, code="VENUE_ANSWERS")
        warns = CheckResult(check=Check.STREAM, result=Result.WARNING, code="STREAM_AWAY")
        for results in ((fine,), (fine, warns), (warns, WITHDRAWS), ()):
            account_id = (await desk.make_account(f"account {len(results)} {results!r:.40}"))["account_id"]
            await looked_over(desk, account_id, *results)

        stats = (await desk.client.get(f"{ADMIN}/dashboard/stats")).json()

        assert [stats[f"accounts_{light}"] for light in ("ready", "warning", "blocked")] == [1, 1, 1]
