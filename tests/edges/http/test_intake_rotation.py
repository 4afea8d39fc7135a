"""Two secrets while a bot's secret is rotated: both taken in every form, both masked, the former one not for long."""

import hashlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.edges.http.intake_desk import NOON, PATH, alert, open_desk
from tests.edges.http.test_intake import code

FORMER = "former-Xq2rV9_secret-of-this-bot-43-characters"
PRESENT = "present-M4kdT7_secret-of-this-bot-43-characters"
OVERLAP = timedelta(hours=1)
FORMS = ("body", "text", "address", "header")


def sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@pytest.fixture
async def desk(database):
    async with open_desk(database) as desk:
        await desk.add_bot(
            secret_sha256=sha256(PRESENT),
            former_secret_sha256=sha256(FORMER),
            former_secret_until=NOON + OVERLAP,
        )
        yield desk


async def post(desk, form: str, secret: str, **fields):
    """Post an alert that carries the secret in this form."""
    fields = {"ticker": "BTCUSDT", "action": "buy", "form": form, "n": desk.now.isoformat(), **fields}
    match form:
        case "body":
            return await desk.post(json.dumps({**fields, "secret": secret}))
        case "text":
            pairs = {**fields, "secret": secret}.items()
            return await desk.post("\n".join(f"{name}={value}" for name, value in pairs))
        case "address":
            return await desk.post(json.dumps(fields), params={"secret": secret})
        case _:
            return await desk.post(json.dumps(fields), headers={"X-Pregao-Secret": secret})


class TestTheOverlap:
    @pytest.mark.parametrize("form", FORMS)
    async def test_takes_both_until_its_end_and_the_present_one_after(self, desk, form):
        """X-3."""
        during = [await post(desk, form, secret, s=secret[:3]) for secret in (FORMER, PRESENT, "another")]
        desk.later(hours=1)
        after = [await post(desk, form, secret, s=secret[:3]) for secret in (FORMER, PRESENT)]

        assert [answer.status_code for answer in during] == [202, 202, 401]
        assert [answer.status_code for answer in after] == [401, 202]
        assert code(after[0]) == "SECRET_WRONG"

    async def test_lasts_to_the_very_instant(self, desk):
        desk.later(seconds=3599.999)
        just_before = await post(desk, "body", FORMER)
        desk.later(seconds=0.001)

        assert just_before.status_code == 202
        assert (await post(desk, "body", FORMER)).status_code == 401

    async def test_ends_at_once_when_the_secret_is_rotated_again(self, desk):
        assert (await post(desk, "body", FORMER)).status_code == 202
        bot = desk.book.find_bot_by_path(PATH)

        await desk.change_bot(
            replace(bot, secret_sha256=sha256("third"), former_secret_sha256=sha256(PRESENT))
        )
        await desk.book.look_again()

        answers = [await post(desk, "header", secret, s=secret) for secret in (FORMER, PRESENT, "third")]
        assert [answer.status_code for answer in answers] == [401, 202, 202]

    async def test_knows_a_secret_rotated_this_very_moment(self, desk):
        await desk.book.look_again()
        bot = desk.book.find_bot_by_path(PATH)

        await desk.change_bot(replace(bot, secret_sha256=sha256("new")))

        assert (await post(desk, "body", "new")).status_code == 202

    async def test_the_same_alert_with_either_secret_is_one_signal(self, desk):
        """A secret is masked before the body's hash is taken: changing it within a retry makes no second order."""
        first = await desk.post(alert(secret=FORMER))
        second = await desk.post(alert(secret=PRESENT))

        assert second.json()["signal_id"] == first.json()["signal_id"]


class TestTheMask:
    @pytest.mark.parametrize("proof", FORMS)
    @pytest.mark.parametrize(
        "fields",
        [
            {"token": "{other}"},
            {"apiKey": "{other}", "passphrase": "{other}"},
            {"note": "was {other} before"},
            {"url": "https://desk.example/x?secret={other}&y=1"},
            {"note": "{own} and {other}"},
            {"alert_id": "{other}"},
        ],
        ids=",".join,
    )
    @pytest.mark.parametrize(("own", "other"), [(FORMER, PRESENT), (PRESENT, FORMER)])
    async def test_covers_the_other_secret_too(self, desk, proof, fields, own, other):
        filled = {name: text.format(own=own, other=other) for name, text in fields.items()}

        answer = await post(desk, proof, own, **filled)

        assert answer.status_code in (202, 422)
        stored = await desk.everything_stored()
        assert "BTCUSDT" in stored
        for secret in (own, other):
            assert secret not in stored
            assert secret not in answer.text

    async def test_leaves_other_words_as_they_are(self, desk):
        words = "a-strategy-with-a-name-of-many-letters 0123456789abcdef0123456789abcdef"

        await post(desk, "address", FORMER, note=words)

        assert words in await desk.everything_stored()
