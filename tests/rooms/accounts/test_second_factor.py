"""Codes of an app: RFC 6238's own, a clock that is off, and codes that were taken."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pyotp
import pytest

from pregao.accounts.second_factor import address_of, is_recovery_code, plain, step_of
from pregao.accounts.sessions import SecondFactor

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # RFC 6238's "12345678901234567890"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOON_STEP = int(NOON.timestamp()) // 30


def factor(last_step: int = 0) -> SecondFactor:
    return SecondFactor(user_id=UUID(int=1), secret=SECRET, begun_at=NOON, last_step=last_step)


def code_at(step: int) -> str:
    return pyotp.HOTP(SECRET).at(step)


class TestStepOf:
    @pytest.mark.parametrize(
        ("seconds", "code"),
        [
            (59, "287082"),
            (1111111109, "081804"),
            (1111111111, "050471"),
            (1234567890, "005924"),
            (2000000000, "279037"),
        ],
    )
    def test_reads_the_codes_of_the_rfc(self, seconds, code):
        """Appendix B, the last six of its eight digits."""
        now = datetime.fromtimestamp(seconds, UTC)

        assert step_of(code, factor=factor(), now=now) == seconds // 30

    @pytest.mark.parametrize(
        ("beside", "is_taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
    )
    def test_takes_one_step_of_drift_either_way(self, beside, is_taken):
        found = step_of(code_at(NOON_STEP + beside), factor=factor(), now=NOON)

        assert found == (NOON_STEP + beside if is_taken else None)

    @pytest.mark.parametrize(("last", "is_taken"), [(-1, True), (0, False), (1, False)])
    def test_takes_no_code_of_a_step_that_was_taken_or_is_older(self, last, is_taken):
        found = step_of(code_at(NOON_STEP), factor=factor(last_step=NOON_STEP + last), now=NOON)

        assert (found is not None) == is_taken

    def test_is_over_with_its_time(self):
        shown = code_at(NOON_STEP)

        good = [
            step_of(shown, factor=factor(), now=NOON + timedelta(seconds=later)) for later in (0, 59, 60, 90)
        ]

        assert good == [NOON_STEP, NOON_STEP, None, None]

    @pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "１２３４５６", "-12345", "12345\n"])
    def test_finds_none_in_what_is_no_code(self, typed):
        assert step_of(typed, factor=factor(), now=NOON) is None


class TestPlain:
    @pytest.mark.parametrize("typed", ["123 456", " 123456 ", "123-456"])
    def test_leaves_out_what_people_put_in_to_read_it(self, typed):
        assert plain(typed) == "123456"

    def test_a_recovery_code_is_sixteen_letters_of_base32(self):
        assert is_recovery_code(plain("ABCD-efgh-2345-WXYZ"))
        assert not is_recovery_code("123456")
        assert not is_recovery_code("abcd" * 5)


class TestAddress:
    def test_is_what_apps_read(self):
        address = urlsplit(address_of(SECRET, email="ana@desk.test"))

        assert (address.scheme, address.netloc) == ("otpauth", "totp")
        assert parse_qs(address.query) == {"secret": [SECRET], "issuer": ["Pregao"]}
        assert pyotp.parse_uri(address.geturl()).at(NOON) == code_at(NOON_STEP)
