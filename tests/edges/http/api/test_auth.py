"""Logins, sessions, API tokens and passwords over HTTP; what a dump of the database tells about them."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from pregao.accounts.sessions import SESSION_LASTS
from pregao.edges.postgres.logins import PostgresLogins
from pregao.edges.vault.passwords import Argon2Passwords
from tests.edges.http.api.own_desk import AUTH, AWAY, BOTS, PASSWORD, USERS, client_of, code_of, own_desk

NEW_PASSWORD = "staple battery horse"


async def status_of(client, path=f"{AUTH}/me"):
    return (await client.get(path)).status_code


class TestLogin:
    async def test_gives_a_session_that_comes_in(self, desk):
        ana = await desk.enroll("ana", "operator")

        me = (await ana.client.get(f"{AUTH}/me")).json()
        bots = await ana.client.get(BOTS)

        assert (me["role"], me["came_by"], me["user"]["email"]) == ("operator", "session", "ana@desk.test")
        assert bots.status_code == 200

    async def test_takes_the_email_however_it_is_written(self, desk):
        await desk.enroll("ana")

        answer = await desk.log_in(" ANA@desk.test ")

        assert answer.status_code == 200

    @pytest.mark.parametrize(
        ("email", "password"),
        [
            ("ana@desk.test", "wrong"),
            ("ana@desk.test", PASSWORD + " "),
            ("nobody@desk.test", PASSWORD),
            ("", ""),
        ],
    )
    async def test_says_the_same_whatever_is_wrong(self, desk, email, password):
        await desk.enroll("ana")

        answer = await desk.log_in(email, password)

        assert (answer.status_code, code_of(answer)) == (401, "LOGIN_WRONG")
        assert answer.json() == (await desk.log_in("other@desk.test", "x")).json()

    async def test_stores_neither_password_nor_token(self, desk):
        """F063, F064: a dump of the database lets nobody in."""
        ana = await desk.enroll("ana")
        login = (await desk.log_in(ana.email)).json()
        token = await ana.made(f"{AUTH}/tokens", name="grafana")

        dump = await desk.everything_stored()

        assert "$argon2id$" in dump
        assert PASSWORD not in dump
        assert login["token"] not in dump
        assert token["token"] not in dump

    async def test_ends_after_twelve_hours(self, desk):
        ana = await desk.enroll("ana")

        desk.now += SESSION_LASTS - timedelta(seconds=1)
        before = await status_of(ana.client)
        desk.later(seconds=1)
        after = await status_of(ana.client)

        assert (before, after) == (200, 401)

    async def test_strengthens_a_hash_of_weaker_times(self, desk, database):
        ana = await desk.enroll("ana")
        weak = await desk.journal.pool.fetchval("SELECT password_hash FROM passwords")
        strong = Argon2Passwords()

        async with own_desk(database, passwords=strong) as stronger:
            first = await stronger.log_in(ana.email)
            kept = await desk.journal.pool.fetchval("SELECT password_hash FROM passwords")
            second = await stronger.log_in(ana.email)

        assert (first.status_code, second.status_code) == (200, 200)
        assert strong.is_outdated(weak)
        assert not strong.is_outdated(kept)

    @pytest.mark.parametrize("away_pool", AWAY)
    async def test_is_503_while_the_database_is_away(self, desk, database, away_pool):
        ana = await desk.enroll("ana")
        token = ana.client.headers["Authorization"].removeprefix("Bearer ")
        away = replace(desk.ports, logins=PostgresLogins(await away_pool(database)))

        async with client_of(away, token=token) as client:
            asked = await client.get(f"{AUTH}/me")
            login = await client.post(f"{AUTH}/login", json={"email": ana.email, "password": PASSWORD})

        assert [(one.status_code, code_of(one)) for one in (asked, login)] == [(503, "DATABASE_AWAY")] * 2


class TestLoginLimits:
    async def test_close_an_address_that_failed_ten_times(self, desk):
        await desk.enroll("ana")
        failed = [await desk.log_in("ana@desk.test", "wrong", address="203.0.113.9") for _ in range(10)]

        limited = await desk.log_in("ana@desk.test", address="203.0.113.9")
        elsewhere = await desk.log_in("ana@desk.test")
        desk.later(minutes=15)
        later = await desk.log_in("ana@desk.test", address="203.0.113.9")

        assert {one.status_code for one in failed} == {401}
        assert (limited.status_code, code_of(limited)) == (429, "LOGIN_LIMITED")
        assert int(limited.headers["retry-after"]) == 15 * 60
        assert (elsewhere.status_code, later.status_code) == (200, 200)

    async def test_do_not_lock_the_owner_out_where_he_came_in_before(self, desk):
        """Ten strangers at ten addresses try Ana's e-mail: other places are closed to it, hers is not."""
        ana = await desk.enroll("ana")
        for number in range(10):
            await desk.log_in(ana.email, "wrong", address=f"203.0.113.{number}")

        stranger = await desk.log_in(ana.email, address="203.0.113.99")
        hers = await desk.log_in(ana.email)
        another = await desk.enroll("bruno")

        assert (stranger.status_code, hers.status_code) == (429, 200)
        assert await status_of(another.client) == 200

    async def test_hold_for_a_hundred_at_once(self, desk):
        await desk.enroll("ana")

        answers = await asyncio.gather(
            *(desk.log_in("ana@desk.test", f"guess {n}", address="203.0.113.9") for n in range(100))
        )

        statuses = [one.status_code for one in answers]
        assert (statuses.count(401), statuses.count(429)) == (10, 90)

    async def test_do_not_count_who_succeeds(self, desk):
        await desk.enroll("ana")

        answers = [await desk.log_in("ana@desk.test") for _ in range(25)]

        assert {one.status_code for one in answers} == {200}

    async def test_hold_for_whoever_tries_the_current_password_too(self, desk):
        ana = await desk.enroll("ana")
        body = {"current": "wrong", "new": NEW_PASSWORD}

        answers = [await ana.client.post(f"{AUTH}/password", json=body) for _ in range(11)]

        assert [one.status_code for one in answers] == [403] * 10 + [429]


class TestSessions:
    async def test_are_listed_with_where_they_came_from(self, desk):
        ana = await desk.enroll("ana")
        desk.later(seconds=1)
        await desk.log_in(ana.email, address="198.51.100.7")

        sessions = (await ana.client.get(f"{AUTH}/sessions")).json()["items"]

        assert [(one["source_address"], one["is_current"]) for one in sessions] == [
            ("198.51.100.7", False),
            ("192.0.2.1", True),
        ]

    async def test_end_at_once(self, desk):
        ana = await desk.enroll("ana")
        desk.later(seconds=1)
        other = await desk.coming_with((await desk.log_in(ana.email)).json()["token"])
        (latest, _) = (await ana.client.get(f"{AUTH}/sessions")).json()["items"]

        ended = await ana.client.delete(f"{AUTH}/sessions/{latest['session_id']}")
        again = await ana.client.delete(f"{AUTH}/sessions/{latest['session_id']}")

        assert (ended.status_code, await status_of(other), await status_of(ana.client)) == (200, 401, 200)
        assert (again.status_code, code_of(again)) == (404, "SESSION_UNKNOWN")

    async def test_end_by_logging_out(self, desk):
        ana = await desk.enroll("ana")

        answer = await ana.client.post(f"{AUTH}/logout")

        assert (answer.status_code, await status_of(ana.client)) == (200, 401)

    async def test_note_when_they_were_used(self, desk):
        ana = await desk.enroll("ana")
        desk.later(minutes=5)

        (session,) = (await ana.client.get(f"{AUTH}/sessions")).json()["items"]

        assert session["last_used_at"] == "2026-11-21T12:05:00Z"


class TestTokens:
    async def test_come_in_as_their_user_until_they_are_revoked(self, desk):
        ana = await desk.enroll("ana", "operator")
        made = await ana.made(f"{AUTH}/tokens", name="grafana")
        program = await desk.coming_with(made["token"])

        me = (await program.get(f"{AUTH}/me")).json()
        revoked = await ana.client.delete(f"{AUTH}/tokens/{made['token_id']}")

        assert (me["came_by"], me["user"]["user_id"]) == ("token grafana", ana.user_id)
        assert revoked.json()["revoked_at"] == "2026-11-21T12:00:00Z"
        assert await status_of(program) == 401

    async def test_end_when_they_were_to(self, desk):
        ana = await desk.enroll("ana")
        made = await ana.made(f"{AUTH}/tokens", name="week", expires_at="2026-11-28T12:00:00Z")
        program = await desk.coming_with(made["token"])

        before = await status_of(program)
        desk.later(days=7)

        assert (before, await status_of(program)) == (200, 401)

    async def test_outlive_sessions(self, desk):
        ana = await desk.enroll("ana")
        program = await desk.coming_with((await ana.made(f"{AUTH}/tokens", name="bot"))["token"])

        desk.later(days=300)

        assert (await status_of(ana.client), await status_of(program)) == (401, 200)

    async def test_make_no_successors(self, desk):
        """Else one that was lost could make itself tokens that outlive it."""
        ana = await desk.enroll("ana")
        program = await desk.coming_with((await ana.made(f"{AUTH}/tokens", name="bot"))["token"])

        answer = await program.post(f"{AUTH}/tokens", json={"name": "another"})
        logout = await program.post(f"{AUTH}/logout")

        assert (answer.status_code, code_of(answer)) == (403, "SESSION_NEEDED")
        assert (logout.status_code, code_of(logout)) == (409, "SESSION_MISSING")

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({"name": ""}, "NAME_UNUSABLE"),
            ({"name": "x", "expires_at": "2026-11-21T12:00:00Z"}, "SETTING_OUT_OF_RANGE"),
            ({"name": "x", "expires_at": "2027-11-21T12:00:00"}, "INSTANT_UNCERTAIN"),
        ],
    )
    async def test_refuse_what_cannot_be_made(self, desk, body, code):
        ana = await desk.enroll("ana")

        answer = await ana.client.post(f"{AUTH}/tokens", json=body)

        assert (answer.status_code, code_of(answer)) == (422, code)


class TestPassword:
    async def test_is_changed_and_ends_the_other_sessions(self, desk):
        ana = await desk.enroll("ana")
        other = await desk.coming_with((await desk.log_in(ana.email)).json()["token"])

        answer = await ana.client.post(f"{AUTH}/password", json={"current": PASSWORD, "new": NEW_PASSWORD})

        logins = [(await desk.log_in(ana.email, one)).status_code for one in (PASSWORD, NEW_PASSWORD)]
        assert (answer.status_code, logins) == (200, [401, 200])
        assert (await status_of(ana.client), await status_of(other)) == (200, 401)

    @pytest.mark.parametrize(
        ("current", "new", "status", "code"),
        [
            ("wrong", NEW_PASSWORD, 403, "PASSWORD_WRONG"),
            (PASSWORD, "short", 422, "PASSWORD_UNUSABLE"),
        ],
    )
    async def test_stays_where_it_cannot_be_changed(self, desk, current, new, status, code):
        ana = await desk.enroll("ana")

        answer = await ana.client.post(f"{AUTH}/password", json={"current": current, "new": new})

        assert (answer.status_code, code_of(answer)) == (status, code)
        assert (await desk.log_in(ana.email)).status_code == 200

    async def test_is_never_said_back(self, desk):
        ana = await desk.enroll("ana")

        answers = [
            await ana.client.post(f"{AUTH}/password", json={"current": [PASSWORD], "new": NEW_PASSWORD}),
            await desk.client.post(f"{AUTH}/login", json={"email": {"x": PASSWORD}, "password": PASSWORD}),
            await desk.client.post(USERS, json={"email": "x", "password": "short"}),
        ]

        assert {one.status_code for one in answers} == {422}
        assert not any(PASSWORD in one.text or "short" in one.text for one in answers)


class TestAdminToken:
    async def test_is_the_first_admin_and_nobodys(self, desk):
        me = (await desk.client.get(f"{AUTH}/me")).json()
        answers = [
            await desk.client.get(f"{AUTH}/sessions"),
            await desk.client.get(f"{AUTH}/tokens"),
            await desk.client.post(f"{AUTH}/tokens", json={"name": "x"}),
            await desk.client.post(f"{AUTH}/password", json={"current": "x", "new": NEW_PASSWORD}),
            await desk.client.post(f"{AUTH}/logout"),
        ]

        assert (me["role"], me["came_by"], me["user"]) == ("admin", "admin token", None)
        assert {(one.status_code, code_of(one)) for one in answers} == {(409, "USER_MISSING")}
