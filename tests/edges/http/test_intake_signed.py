"""A delivery that is signed instead of telling the secret (X-3)."""

import asyncio
import hashlib
import hmac
import json
from datetime import timedelta

import pytest

from pregao.edges.http.gate import is_signature_right, read_signature
from tests.edges.http.intake_desk import NOON, PATH, SECRET, open_desk
from tests.edges.http.test_intake import code

KEY = hashlib.sha256(SECRET.encode()).hexdigest()
FORMER = "the-former-secret"


@pytest.fixture
async def desk(database):
    async with open_desk(database) as desk:
        await desk.add_bot(
            former_secret_sha256=hashlib.sha256(FORMER.encode()).hexdigest(),
            former_secret_until=NOON + timedelta(hours=1),
        )
        yield desk


def body(**fields) -> bytes:
    return json.dumps({"ticker": "BTCUSDT", "action": "buy", **fields}).encode()


def signature(text: bytes, *, t: int, key: str = KEY) -> str:
    code = hmac.new(key.encode(), f"{t}.".encode() + text, hashlib.sha256).hexdigest()
    return f"t={t},v1={code}"


def seconds(desk) -> int:
    return int(desk.now.timestamp())


async def post(desk, text: bytes, header: str, **options):
    return await desk.post(text, headers={"X-Pregao-Signature": header}, **options)


async def post_signed(desk, text: bytes, *, age: int = 0, key: str = KEY):
    return await post(desk, text, signature(text, t=seconds(desk) - age, key=key))


class TestSigned:
    async def test_is_taken_without_the_secret(self, desk):
        answer = await post_signed(desk, body())

        assert answer.status_code == 202
        (row,) = await desk.rows()
        assert (row["status"], row["body"]) == ("accepted", body())

    async def test_is_taken_by_the_former_secret_too_until_its_time_has_come(self, desk):
        key = hashlib.sha256(FORMER.encode()).hexdigest()

        during = await post_signed(desk, body(), key=key)
        desk.later(hours=1)
        after = await post_signed(desk, body(n=2), key=key)

        assert (during.status_code, after.status_code) == (202, 401)

    async def test_is_what_the_manual_says(self, desk):
        """The key is the text of the hash; of what was signed not a byte may differ."""
        text, t = b'{"ticker":"BTCUSDT", "action":"sell"}\n', seconds(desk)
        sha = hashlib.sha256(SECRET.encode()).hexdigest()
        code = hmac.digest(sha.encode(), b"%d.%b" % (t, text), "sha256").hex()

        assert (await post(desk, text, f"t={t},v1={code.upper()}")).status_code == 202

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda header: header[:-1] + ("0" if header[-1] != "0" else "1"),
            lambda header: header.replace("t=1", "t=2"),
            lambda header: header.replace("v1=", "v0="),
            lambda header: header + ",v1=" + "0" * 64,
            lambda header: header.replace("t=", "t=0"),
            lambda _: "",
            lambda _: "t=,v1=",
            lambda _: "t=1779364800,v1=" + "0" * 64,
            lambda _: SECRET.encode().decode("latin-1"),
            lambda _: "x" * 5000,
        ],
    )
    async def test_is_401_when_it_is_not_this_bodys(self, desk, spoil):
        header = signature(body(), t=seconds(desk))

        answer = await post(desk, body(), spoil(header).encode("latin-1", errors="replace"))

        assert (answer.status_code, code(answer)) == (401, "SIGNATURE_WRONG")
        assert await desk.rows() == []

    async def test_is_401_for_another_body_and_another_secret(self, desk):
        header = signature(body(), t=seconds(desk))

        answers = [
            await post(desk, body(action="sell"), header),
            await post_signed(desk, body(), key=SECRET),
            await post_signed(desk, body(), key=hashlib.sha256(b"no").hexdigest()),
        ]

        assert [code(answer) for answer in answers] == ["SIGNATURE_WRONG"] * 3

    async def test_counts_before_a_secret_beside_it(self, desk):
        """What was signed was changed on its way: that somebody knew the secret does not mend it."""
        answer = await post(
            desk, body(action="sell"), signature(body(), t=seconds(desk)), params={"secret": SECRET}
        )

        assert (answer.status_code, code(answer)) == (401, "SIGNATURE_WRONG")

    async def test_failures_count_for_the_address(self, desk):
        for _ in range(10):
            assert (await post(desk, body(), "no")).status_code == 401

        assert (await post_signed(desk, body())).status_code == 429

    async def test_is_not_looked_at_when_the_bot_is_open(self, desk):
        await desk.add_bot(webhook_path="an-open-bot-for-all", is_open=True)

        answer = await post(desk, body(), "no", path="an-open-bot-for-all")

        assert answer.status_code == 202


class TestAge:
    @pytest.mark.parametrize(("age", "status"), [(300, 422), (301, 401), (59, 202), (-300, 202), (-301, 401)])
    async def test_may_differ_by_three_hundred_seconds(self, desk, age, status):
        """And an entry signed longer ago than a signal may be old is refused as one that says so itself."""
        answer = await post_signed(desk, body(), age=age)

        assert answer.status_code == status
        if status == 401:
            assert code(answer) == "SIGNATURE_STALE"
            assert answer.json()["error"]["details"] == {"age_seconds": age, "age_seconds_max": 300}
        if status == 422:
            assert code(answer) == "SIGNAL_STALE"

    async def test_a_close_is_taken_as_long_as_the_signature_is(self, desk):
        assert (await post_signed(desk, body(action="close"), age=300)).status_code == 202

    async def test_an_alerts_own_instant_comes_first(self, desk):
        instant = (desk.now - timedelta(seconds=10)).isoformat()

        assert (await post_signed(desk, body(timenow=instant), age=120)).status_code == 202


class TestReplay:
    @pytest.mark.parametrize("later", [0, 61, 250])
    async def test_is_the_first_signal_again_for_as_long_as_it_is_fresh(self, desk, later):
        """Longer than the minute in which equal bodies are one signal."""
        text, header = body(action="close"), signature(body(action="close"), t=seconds(desk))
        first = await post(desk, text, header)

        desk.later(seconds=later)
        again = await post(desk, text, header)

        assert (first.status_code, again.status_code) == (202, 202)
        assert again.json()["signal_id"] == first.json()["signal_id"]
        assert again.json()["repeated"] is True
        assert [row["deliveries"] for row in await desk.rows()] == [2]

    async def test_is_known_although_the_body_came_again_signed_anew(self, desk):
        text = body(action="close")
        captured = signature(text, t=seconds(desk))
        first = await post(desk, text, captured)
        desk.later(seconds=61)
        second = await post_signed(desk, text)
        desk.later(seconds=61)

        replayed = await post(desk, text, captured)

        signals = [answer.json()["signal_id"] for answer in (first, second, replayed)]
        assert signals == [signals[0], signals[1], signals[0]]
        assert signals[0] != signals[1]

    async def test_is_known_of_a_delivery_that_was_a_repetition_itself(self, desk):
        text = body(action="close")
        first = await post_signed(desk, text)
        desk.later(seconds=10)
        captured = signature(text, t=seconds(desk))
        await post(desk, text, captured)
        desk.later(seconds=61)

        replayed = await post(desk, text, captured)

        assert replayed.json()["signal_id"] == first.json()["signal_id"]

    async def test_signed_anew_within_a_minute_is_one_signal(self, desk):
        """A sender that tries again may sign again: the body decides, as it does without a signature."""
        first = await post_signed(desk, body())
        desk.later(seconds=30)

        assert (await post_signed(desk, body())).json()["signal_id"] == first.json()["signal_id"]

    async def test_at_once_at_two_processes_is_one_signal(self, database, desk):
        text, header = body(), signature(body(), t=seconds(desk))
        async with open_desk(database) as other:
            answers = await asyncio.gather(
                *(post(who, text, header) for _ in range(10) for who in (desk, other))
            )

        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["signal_id"] for answer in answers}) == 1
        assert len(await desk.rows("SELECT FROM journal WHERE kind = 'SignalAccepted'")) == 1

    async def test_of_a_refused_body_is_refused_again(self, desk):
        text, header = body(action="perhaps"), signature(body(action="perhaps"), t=seconds(desk))
        first = await post(desk, text, header)
        desk.later(seconds=100)

        again = await post(desk, text, header)

        assert (again.status_code, again.json()) == (422, first.json())
        assert len(await desk.rows()) == 1

    async def test_signatures_are_forgotten_when_nobody_could_replay_them(self, desk):
        await post_signed(desk, body(n=1))
        desk.later(minutes=16)
        await post_signed(desk, body(n=2))

        assert len(await desk.rows("SELECT FROM signatures_taken")) == 1

    async def test_two_bots_may_share_a_signature(self, desk):
        await desk.add_bot(webhook_path="another-bot-at-all")
        text, header = body(), signature(body(), t=seconds(desk))

        answers = [await post(desk, text, header, path=path) for path in (PATH, "another-bot-at-all")]

        assert len({answer.json()["signal_id"] for answer in answers}) == 2


class TestReadSignature:
    def test_gives_none_only_where_there_is_none(self):
        assert read_signature(None) is None
        assert read_signature(b"") is not None

    def test_is_never_right_when_it_cannot_be_read(self):
        """Not even where a key and a body would make an empty code."""
        unreadable = read_signature(b"v1=x")
        assert unreadable is not None

        assert not is_signature_right([KEY], unreadable, b"")
        assert not is_signature_right([], unreadable, b"")
