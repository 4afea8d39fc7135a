"""A second factor over HTTP: turned on, asked for, used once, lost, reset; and what a dump tells about it."""

import asyncio

import pyotp
import pytest

from pregao.edges.postgres.credentials import PostgresCredentials
from pregao.edges.postgres.journal import desk_id
from pregao.edges.postgres.second_factors import PostgresSecondFactors
from pregao.edges.vault.envelope import EnvelopeVault
from tests.edges.http.api.own_desk import AUTH, PASSWORD, USERS, code_of

FACTOR = f"{AUTH}/second-factor"


def code_now(desk, secret: str, *, steps: int = 0) -> str:
    return pyotp.HOTP(secret).at(int(desk.now.timestamp()) // 30 + steps)


async def turn_on(desk, person) -> tuple[str, list[str]]:
    """Give the secret and the recovery codes of somebody who has turned it on."""
    begun = (await person.client.post(FACTOR, json={"password": PASSWORD})).json()
    confirmed = await person.client.post(f"{FACTOR}/confirm", json={"code": code_now(desk, begun["secret"])})
    assert confirmed.status_code == 200, confirmed.text
    desk.later(seconds=30)
    return begun["secret"], confirmed.json()["recovery_codes"]


async def log_in(desk, person, **given):
    stranger = await desk.coming_with("")
    return await stranger.post(f"{AUTH}/login", json={"email": person.email, "password": PASSWORD, **given})


class TestTurningOn:
    async def test_counts_from_its_first_code_on(self, desk):
        ana = await desk.enroll("ana")

        begun = (await ana.client.post(FACTOR, json={"password": PASSWORD})).json()
        before = await log_in(desk, ana)
        confirmed = await ana.client.post(f"{FACTOR}/confirm", json={"code": code_now(desk, begun["secret"])})
        shown = (await ana.client.get(FACTOR)).json()
        after = await log_in(desk, ana)

        assert begun["picture"].startswith("data:image/svg+xml")
        assert pyotp.parse_uri(begun["address"]).secret == begun["secret"]
        assert before.status_code == 200
        assert len(set(confirmed.json()["recovery_codes"])) == 10
        assert (shown["is_on"], shown["recovery_codes_left"]) == (True, 10)
        assert (after.status_code, code_of(after)) == (401, "SECOND_FACTOR_NEEDED")

    async def test_ends_the_other_sessions(self, desk):
        ana = await desk.enroll("ana")
        other = await desk.coming_with((await log_in(desk, ana)).json()["token"])

        await turn_on(desk, ana)

        assert (
            (await ana.client.get(f"{AUTH}/me")).status_code,
            (await other.get(f"{AUTH}/me")).status_code,
        ) == (
            200,
            401,
        )

    async def test_takes_the_password_a_session_and_no_second_app(self, desk):
        ana = await desk.enroll("ana")
        token = await ana.made(f"{AUTH}/tokens", name="script")
        program = await desk.coming_with(token["token"])

        wrong = await ana.client.post(FACTOR, json={"password": "wrong"})
        by_token = await program.post(FACTOR, json={"password": PASSWORD})
        too_early = await ana.client.post(f"{FACTOR}/confirm", json={"code": "123456"})
        await turn_on(desk, ana)
        again = await ana.client.post(FACTOR, json={"password": PASSWORD})
        confirmed_again = await ana.client.post(f"{FACTOR}/confirm", json={"code": "123456"})

        told = [
            (one.status_code, code_of(one)) for one in (wrong, by_token, too_early, again, confirmed_again)
        ]
        assert told == [
            (403, "PASSWORD_WRONG"),
            (403, "SESSION_NEEDED"),
            (409, "SECOND_FACTOR_NOT_BEGUN"),
            (409, "SECOND_FACTOR_ON"),
            (409, "SECOND_FACTOR_NOT_BEGUN"),
        ]

    async def test_an_app_that_was_begun_anew_is_the_one_that_counts(self, desk):
        ana = await desk.enroll("ana")
        first = (await ana.client.post(FACTOR, json={"password": PASSWORD})).json()["secret"]
        desk.later(seconds=1)
        second = (await ana.client.post(FACTOR, json={"password": PASSWORD})).json()["secret"]

        old = await ana.client.post(f"{FACTOR}/confirm", json={"code": code_now(desk, first)})
        new = await ana.client.post(f"{FACTOR}/confirm", json={"code": code_now(desk, second)})

        assert (old.status_code, code_of(old), new.status_code) == (403, "CODE_WRONG", 200)

    async def test_stores_neither_secret_nor_codes(self, desk):
        ana = await desk.enroll("ana")
        secret, codes = await turn_on(desk, ana)

        dump = await desk.everything_stored()

        assert [
            one for one in (secret, *codes, *(code.replace("-", "") for code in codes)) if one in dump
        ] == []

    async def test_goes_with_a_new_master_key(self, desk):
        ana = await desk.enroll("ana")
        secret, _ = await turn_on(desk, ana)
        pool, this_desk = desk.journal.pool, await desk_id(desk.journal)
        both = EnvelopeVault(b"n" * 32, former_keys=[desk.master_key], desk_id=this_desk)

        rewrapped = await PostgresCredentials(pool, vault=both).rewrap()
        alone = EnvelopeVault(b"n" * 32, desk_id=this_desk)
        [row] = await pool.fetch("SELECT user_id FROM second_factors")
        opened = await PostgresSecondFactors(pool, vault=alone).find(row["user_id"])

        assert rewrapped >= 1
        assert opened is not None
        assert opened.secret == secret


class TestLogin:
    async def test_takes_a_code_once(self, desk):
        ana = await desk.enroll("ana")
        secret, _ = await turn_on(desk, ana)
        code = code_now(desk, secret)

        first = await log_in(desk, ana, code=f"{code[:3]} {code[3:]}")
        replayed = await log_in(desk, ana, code=code)
        older = await log_in(desk, ana, code=code_now(desk, secret, steps=-1))
        wrong = await log_in(desk, ana, code="000000" if code != "000000" else "111111")
        desk.later(seconds=30)
        next_one = await log_in(desk, ana, code=code_now(desk, secret))

        told = [(one.status_code, code_of(one)) for one in (replayed, older, wrong)]
        assert told == [(401, "CODE_WRONG")] * 3
        assert (first.status_code, next_one.status_code) == (200, 200)

    async def test_takes_a_code_once_however_many_come_at_once(self, desk):
        ana = await desk.enroll("ana")
        secret, codes = await turn_on(desk, ana)

        by_app = await asyncio.gather(*(log_in(desk, ana, code=code_now(desk, secret)) for _ in range(4)))
        desk.later(minutes=15)
        by_code = await asyncio.gather(*(log_in(desk, ana, code=codes[0]) for _ in range(4)))

        assert [sorted(one.status_code for one in tried) for tried in (by_app, by_code)] == [
            [200, 401, 401, 401]
        ] * 2

    async def test_says_nothing_of_it_to_whoever_lacks_the_password(self, desk):
        ana = await desk.enroll("ana")
        _, codes = await turn_on(desk, ana)

        without = await log_in(desk, ana, password="wrong")
        with_code = await log_in(desk, ana, password="wrong", code=codes[0])
        right = await log_in(desk, ana, code=codes[0])

        assert without.json() == with_code.json()
        assert (code_of(without), right.status_code) == ("LOGIN_WRONG", 200)

    async def test_takes_each_recovery_code_once_in_any_spelling(self, desk):
        ana = await desk.enroll("ana")
        _, codes = await turn_on(desk, ana)

        first = await log_in(desk, ana, code=codes[0].upper().replace("-", " "))
        again = await log_in(desk, ana, code=codes[0])
        other = await log_in(desk, ana, code=codes[1])
        left = (await ana.client.get(FACTOR)).json()["recovery_codes_left"]

        assert (first.status_code, code_of(again), other.status_code, left) == (200, "CODE_WRONG", 200, 8)

    async def test_no_ones_codes_are_somebody_elses(self, desk):
        ana, bruno = await desk.enroll("ana"), await desk.enroll("bruno")
        _, codes = await turn_on(desk, ana)
        secret, _ = await turn_on(desk, bruno)

        answers = [
            await log_in(desk, bruno, code=codes[0]),
            await log_in(desk, ana, code=code_now(desk, secret)),
        ]

        assert [code_of(one) for one in answers] == ["CODE_WRONG"] * 2

    async def test_wrong_codes_are_limited_as_wrong_passwords_are(self, desk):
        ana = await desk.enroll("ana")
        secret, _ = await turn_on(desk, ana)

        asked = [await log_in(desk, ana) for _ in range(12)]
        wrong = [await log_in(desk, ana, code="abcdef") for _ in range(10)]
        limited = await log_in(desk, ana, code=code_now(desk, secret))
        desk.later(minutes=15)
        later = await log_in(desk, ana, code=code_now(desk, secret))

        assert {code_of(one) for one in asked} == {"SECOND_FACTOR_NEEDED"}
        assert {code_of(one) for one in wrong} == {"CODE_WRONG"}
        assert (limited.status_code, code_of(limited), later.status_code) == (429, "LOGIN_LIMITED", 200)

    async def test_thirty_wrong_codes_in_a_day_from_anywhere_leave_recovery_codes_only(self, desk):
        ana = await desk.enroll("ana")
        secret, codes = await turn_on(desk, ana)
        for _ in range(3):
            for _ in range(10):
                assert code_of(await log_in(desk, ana, code="abcdef")) == "CODE_WRONG"
            desk.later(minutes=15)

        limited = await log_in(desk, ana, code=code_now(desk, secret))
        recovered = await log_in(desk, ana, code=codes[0])
        desk.later(hours=24)
        day_later = await log_in(desk, ana, code=code_now(desk, secret))

        assert (limited.status_code, code_of(limited)) == (429, "CODES_LIMITED")
        assert int(limited.headers["retry-after"]) == 24 * 3600 - 45 * 60
        assert (recovered.status_code, day_later.status_code) == (200, 200)

    async def test_a_token_of_a_program_needs_none(self, desk):
        ana = await desk.enroll("ana")
        token = await ana.made(f"{AUTH}/tokens", name="script")
        await turn_on(desk, ana)
        program = await desk.coming_with(token["token"])

        assert (await program.get(f"{AUTH}/me")).status_code == 200


class TestRecoveryCodes:
    async def test_new_ones_end_the_former(self, desk):
        ana = await desk.enroll("ana")
        secret, former = await turn_on(desk, ana)

        made = await ana.client.post(
            f"{FACTOR}/recovery-codes", json={"password": PASSWORD, "code": code_now(desk, secret)}
        )
        new = made.json()["recovery_codes"]
        answers = [await log_in(desk, ana, code=former[0]), await log_in(desk, ana, code=new[0])]

        assert [one.status_code for one in answers] == [401, 200]


class TestTurningOff:
    async def test_takes_password_and_code(self, desk):
        ana = await desk.enroll("ana")
        _, codes = await turn_on(desk, ana)
        off = f"{FACTOR}/off"

        wrong = [
            await ana.client.post(off, json={"password": "wrong", "code": codes[0]}),
            await ana.client.post(off, json={"password": PASSWORD, "code": "000 000 0"}),
        ]
        still = await log_in(desk, ana)
        done = await ana.client.post(off, json={"password": PASSWORD, "code": codes[0]})
        then = await log_in(desk, ana)
        again = await ana.client.post(off, json={"password": PASSWORD, "code": codes[1]})

        assert [code_of(one) for one in (*wrong, still, again)] == [
            "PASSWORD_WRONG",
            "CODE_WRONG",
            "SECOND_FACTOR_NEEDED",
            "SECOND_FACTOR_OFF",
        ]
        assert (done.json()["is_on"], then.status_code) == (False, 200)
        assert await desk.journal.pool.fetchval("SELECT count(*) FROM recovery_codes") == 0
        assert await desk.journal.pool.fetchval("SELECT count(*) FROM credentials") == 0


class TestReset:
    async def test_is_an_admins_and_tells_who_did_it(self, desk):
        ana, olga = await desk.enroll("ana"), await desk.enroll("olga", "operator")
        await turn_on(desk, ana)
        path = f"{USERS}/{ana.user_id}/second-factor"

        listed = (await desk.client.get(f"{USERS}/{ana.user_id}")).json()["second_factor_since"]
        by_operator = await olga.client.delete(path)
        reset = await desk.client.delete(path)
        again = await desk.client.delete(path)
        me = await ana.client.get(f"{AUTH}/me")
        login = await log_in(desk, ana)
        [action] = [one for one in await desk.actions(action="delete_second_factor") if one["status"] == 200]

        assert listed is not None
        assert [(one.status_code, code_of(one)) for one in (by_operator, again)] == [
            (403, "ROLE_FORBIDDEN"),
            (409, "SECOND_FACTOR_OFF"),
        ]
        assert (reset.status_code, me.status_code, login.status_code) == (200, 401, 200)
        assert action["targets"] == {"user_id": ana.user_id, "email": ana.email, "reset_by": "admin token"}

    async def test_of_nobody_is_unknown(self, desk):
        answer = await desk.client.delete(f"{USERS}/01900000-0000-7000-8000-000000000000/second-factor")

        assert (answer.status_code, code_of(answer)) == (404, "USER_UNKNOWN")


class TestDevices:
    async def test_all_others_end_at_once(self, desk):
        ana, bruno = await desk.enroll("ana"), await desk.enroll("bruno")
        others = [await desk.coming_with((await log_in(desk, ana)).json()["token"]) for _ in range(2)]

        ended = await ana.client.delete(f"{AUTH}/sessions")

        assert ended.json() == {"ended": 2}
        statuses = [(await one.get(f"{AUTH}/me")).status_code for one in (ana.client, *others, bruno.client)]
        assert statuses == [200, 401, 401, 200]

    @pytest.mark.parametrize("role", ["viewer", "trader"])
    async def test_are_the_own_ones_only(self, desk, role):
        ana, bruno = await desk.enroll("ana", role), await desk.enroll("bruno")
        [theirs] = (await bruno.client.get(f"{AUTH}/sessions")).json()["items"]

        answer = await ana.client.delete(f"{AUTH}/sessions/{theirs['session_id']}")

        assert (answer.status_code, code_of(answer)) == (404, "SESSION_UNKNOWN")
