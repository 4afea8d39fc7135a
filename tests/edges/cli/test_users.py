"""`pregao user` and the audit log, and what other people's tokens let them do here."""

import pytest
from typer.main import get_command

from pregao.edges.cli import accounts, actions, bots, subscriptions, users
from pregao.edges.cli import app as pregao
from tests.edges.http.api.own_desk import ACCOUNTS, AUTH, PASSWORD, USERS


class TestUser:
    async def test_is_created_with_a_password_shown_once(self, shell):
        desk, here = shell

        created = await here.run(
            users.app, "create", "Ana@desk.test", "--name", "Ana", "--max-positions", "4"
        )
        listed = await here.run(users.app, "list")
        shown = await here.read(users.app, "show", "ana@desk.test")

        assert created.exit_code == 0, created.stderr
        password = created.stdout.rpartition(": ")[2].strip()
        assert (await desk.log_in("ana@desk.test", password)).status_code == 200
        assert "ana@desk.test" in listed.stdout
        assert password not in str(shown)
        assert (shown["role"], shown["max_positions"], shown["tokens"]) == ("trader", 4, [])

    async def test_may_have_a_password_of_ones_own_that_is_not_shown(self, shell):
        desk, here = shell

        created = await here.run(
            users.app, "create", "ana@desk.test", "--ask-password", input=f"{PASSWORD}\n{PASSWORD}\n"
        )

        assert created.exit_code == 0, created.stderr
        assert PASSWORD not in created.output
        assert (await desk.log_in("ana@desk.test")).status_code == 200

    async def test_is_changed_and_put_out(self, shell):
        desk, here = shell
        ana = await desk.enroll("ana", max_positions=3)

        changed = await here.read(
            users.app, "change", ana.email, "--role", "viewer", "--max-positions", "none", "--inactive"
        )

        assert (changed["role"], changed["max_positions"], changed["is_active"]) == ("viewer", None, False)
        assert (await ana.client.get(f"{AUTH}/me")).status_code == 401

    async def test_gets_a_new_password(self, shell):
        desk, here = shell
        ana = await desk.enroll("ana")

        reset = await here.run(users.app, "password", ana.email)

        password = reset.stdout.rpartition(": ")[2].strip()
        logins = [(await desk.log_in(ana.email, one)).status_code for one in (PASSWORD, password)]
        assert logins == [401, 200]

    async def test_gives_programs_tokens_and_takes_them_back(self, shell):
        desk, here = shell
        ana = await desk.enroll("ana")

        made = await here.read(users.app, "token", ana.email, "grafana")
        program = await desk.coming_with(made["token"])
        before = (await program.get(f"{AUTH}/me")).json()
        revoked = await here.run(users.app, "revoke", ana.email, made["token_id"])

        assert (before["came_by"], made["expires_at"]) == ("token grafana", None)
        assert revoked.stdout == "grafana is revoked.\n"
        assert (await program.get(f"{AUTH}/me")).status_code == 401

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("show", "nobody@desk.test"), "USER_UNCERTAIN: user=nobody@desk.test found=0."),
            (("create", "nobody"), "EMAIL_UNUSABLE:"),
            (("create", "ana@desk.test", "--role", "king"), "SETTING_UNREADABLE: field=role."),
            (("create", "ana@desk.test", "--max-positions", "0"), "SETTING_OUT_OF_RANGE: max_positions=0"),
        ],
    )
    async def test_says_what_is_wrong(self, shell, words, said):
        _, here = shell

        result = await here.run(users.app, *words)

        assert result.exit_code == 1
        assert said in result.stderr


class TestAccountsOfUsers:
    async def test_are_opened_for_them(self, shell):
        desk, here = shell
        ana = await desk.enroll("ana")

        made = await here.run(accounts.app, "create", "hers", "--user", ana.email, "--main")

        (own,) = (await ana.client.get(ACCOUNTS)).json()["items"]
        assert made.exit_code == 0, made.stderr
        assert (own["name"], own["is_main"]) == ("hers", True)


class TestOwnToken:
    async def test_lets_a_trader_do_what_is_his(self, shell):
        desk, here = shell
        ana = await desk.enroll("ana")
        await desk.make_bot("EMA cross")
        await desk.make_account("the desk's")
        here.environment["PREGAO_TOKEN"] = (await ana.made(f"{AUTH}/tokens", name="cli"))["token"]

        opened = await here.run(accounts.app, "create", "mine")
        joined = await here.run(subscriptions.app, "add", "EMA cross", "mine")
        listed = await here.read(accounts.app, "list")
        refused = await here.run(bots.app, "create", "A bot of mine")

        assert (opened.exit_code, joined.exit_code) == (0, 0), opened.stderr + joined.stderr
        assert [one["name"] for one in listed] == ["mine"]
        assert refused.exit_code == 1
        assert refused.stderr.startswith("ROLE_FORBIDDEN: role=trader needed=operator.")


class TestActions:
    async def test_are_listed_with_who_and_what_came_of_it(self, shell):
        desk, here = shell
        ana = await desk.enroll("ana")
        desk.later(seconds=1)
        await ana.client.post("/api/v1/bots", json={"name": "x"})

        shown = await here.run(actions.app, "--user", ana.email, "--failed")
        read = await here.read(actions.app, "--action", "post_user")

        (row,) = [line for line in shown.stdout.splitlines() if "ana@desk.test" in line]
        assert ("post_bot" in row, "ROLE_FORBIDDEN" in row) == (True, True)
        assert [one["path"] for one in read] == [USERS]

    def test_are_a_command_of_their_own(self):
        assert "actions" in get_command(pregao).list_commands(None)
