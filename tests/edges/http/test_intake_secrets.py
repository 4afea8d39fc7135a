"""No secret in any answer or row, whatever is sent; no bytes that make the intake fail."""

import hashlib
import json
import string
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pregao.edges.http.gate import is_secret_right, masked
from tests.edges.http.intake_desk import SECRET, alert, open_desk


@pytest.fixture
async def desk(database):
    async with open_desk(database) as desk:
        yield desk


SPELLINGS = {
    "json": json.dumps(SECRET)[1:-1],
    "json as utf-8": json.dumps(SECRET, ensure_ascii=False)[1:-1],
    "slash escaped": json.dumps(SECRET)[1:-1].replace("/", "\\/"),
    "all escaped": "".join(f"\\u{ord(c):04X}" for c in SECRET),
    "json in json": json.dumps(json.dumps(SECRET))[1:-1],
    "percent": quote(SECRET, safe=""),
    "form": quote_plus(SECRET),
    "as it is": SECRET,
}


class TestMasked:
    @pytest.mark.parametrize("spelling", SPELLINGS)
    def test_leaves_nothing_of_any_spelling(self, spelling):
        body = f'{{"secret": "{SPELLINGS[spelling]}", "again": "x{SPELLINGS[spelling]}y"}}'.encode()

        stored = masked(body, [SECRET])

        assert SPELLINGS[spelling].encode() not in stored
        assert stored.replace(b"***", b"").count(b"cofre") == 0

    def test_changes_nothing_else(self):
        body = json.dumps({"secret": "abcdefgh", "price": 1.50, "note": "a\\b + c%20d"}).encode()

        assert masked(body, ["abcdefgh"]) == body.replace(b"abcdefgh", b"***")

    def test_keeps_json_json_when_the_secret_is_a_number(self):
        assert json.loads(masked(b'{"secret": 123456789}', ["123456789"])) == {"secret": 0}

    @given(
        secret=st.text(alphabet=string.printable + "çãé€😀", min_size=4, max_size=40),
        before=st.binary(max_size=99),
    )
    def test_finds_the_secret_in_any_json(self, secret, before):
        written = json.dumps(secret)[1:-1].encode()

        assert written not in masked(before + written + b"}", [secret]) or written in b"***0}"

    def test_is_quick_on_a_body_of_backslashes(self):
        assert masked(b"\\" * 65_536, ["\\\\secret"]) == b"\\" * 65_536


class TestIsSecretRight:
    def test_needs_the_very_secret(self):
        digest = hashlib.sha256(b"a").hexdigest()

        assert is_secret_right([digest], ["b", "a"])
        assert not is_secret_right([digest], ["b", digest, ""])
        assert not is_secret_right([""], ["", "a"])

    def test_takes_each_of_two(self):
        digests = [hashlib.sha256(secret).hexdigest() for secret in (b"new", b"former")]

        assert is_secret_right(digests, ["former"])
        assert is_secret_right(digests, ["x", "new"])
        assert not is_secret_right(digests, ["x", ""])
        assert not is_secret_right([], ["new"])


class TestSecrets:
    @pytest.mark.parametrize(
        "spelling", [name for name in SPELLINGS if name not in ("as it is", "percent", "form")]
    )
    async def test_no_answer_and_no_row_has_the_secret(self, desk, spelling):
        await desk.add_bot()
        body = f'{{"ticker": "BTCUSDT", "action": "buy", "note": "{SPELLINGS[spelling]}", "secret": {json.dumps(SECRET)}}}'

        response = await desk.post(body)

        assert response.status_code == 202
        stored = await desk.everything_stored()
        for written in (SECRET, SPELLINGS[spelling], json.dumps(SECRET)[1:-1]):
            assert written not in stored
            assert written not in response.text

    @pytest.mark.parametrize(
        "name", ["action", "ticker", "signal_id", "timenow", "orderType", "qty", "leverage"]
    )
    async def test_a_secret_in_the_wrong_field_is_masked_too(self, desk, name):
        secret = "chave0123456789abcdef"
        await desk.add_bot(secret_sha256=hashlib.sha256(secret.encode()).hexdigest())
        body = {"ticker": "BTCUSDT", "action": "buy", name: secret}

        response = await desk.post(json.dumps(body), params={"secret": secret})

        stored = await desk.everything_stored()
        assert response.status_code in (202, 422)
        assert secret not in (stored + response.text).lower()

    async def test_key_value_text_is_masked(self, desk):
        secret = "chave0123456789abcdef"
        await desk.add_bot(secret_sha256=hashlib.sha256(secret.encode()).hexdigest())

        response = await desk.post(f"ticker=BTCUSDT;action=buy;secret={secret}")

        assert response.status_code == 202
        assert secret not in await desk.everything_stored()

    async def test_an_open_bots_needless_secret_is_masked(self, desk):
        await desk.add_bot(is_open=True)

        await desk.post(alert())

        assert "cofre" not in await desk.everything_stored()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200) | st.text(max_size=100).map(str.encode) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["ticker", "action", "price", "signal_id", "timenow", "qty", "sl", "note"]) | st.text(max_size=9),
        inner, max_size=5),
    max_leaves=8,
).map(lambda value: json.dumps({"ticker": "BTCUSDT", "action": "buy", **(value if isinstance(value, dict) else {"x": value})}).encode()))  # fmt: skip
async def test_no_bytes_make_it_fail(desk, body):
    if not await desk.rows("SELECT FROM bots"):
        await desk.add_bot(signals_per_minute_max=None)
    desk.later(minutes=2)
    before = len(await desk.rows())

    response = await desk.post(body, params={"secret": SECRET})

    assert response.status_code in (202, 422), response.text
    repeated = response.status_code == 202 and response.json()["repeated"]
    assert repeated or len(await desk.rows()) == before + 1
