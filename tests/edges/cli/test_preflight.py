"""`pregao account check`: the lights of all accounts, and the checks of one."""

from pregao.edges.cli import accounts
from tests.edges.http.api.test_preflight import WITHDRAWS, looked_over


class TestCheck:
    async def test_lists_the_lights_and_ends_with_1_when_one_is_blocked(self, shell):
        desk, here = shell
        account = await desk.make_account("main")
        await desk.make_account("new")
        quiet = await here.run(accounts.app, "check")
        await looked_over(desk, account["account_id"], WITHDRAWS)

        told = await here.run(accounts.app, "check")
        listed = await here.run(accounts.app, "check", "--json")

        assert (quiet.exit_code, told.exit_code, listed.exit_code) == (0, 1, 1)
        [main] = [line.split() for line in told.stdout.splitlines() if " main " in line]
        assert main[-2:] == ["blocked", "KEY_MAY_WITHDRAW"]
        assert '"light": "blocked"' in listed.stdout

    async def test_shows_what_is_known_of_one_and_that_nobody_has_looked(self, shell):
        desk, here = shell
        account = await desk.make_account("main")
        await looked_over(desk, account["account_id"], WITHDRAWS)

        told = await here.run(accounts.app, "check", "main", "--fix")

        assert told.exit_code == 1
        assert "right=withdrawals" in told.stdout
        assert "Take it away." in told.stdout
        assert "No trader has looked at it in time" in told.stdout

    async def test_fixes_one_account_only(self, shell):
        _, here = shell

        told = await here.run(accounts.app, "check", "--fix")

        assert told.exit_code == 1
        assert "ACCOUNT_MISSING" in told.stderr
