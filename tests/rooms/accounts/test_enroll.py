"""Commands on users: facts out, or a reason."""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.accounts.enroll import change_user, check_password, check_token, enroll_user
from pregao.accounts.refusals import ConflictError, SettingUnusableError, UnknownError
from pregao.accounts.sessions import ApiToken
from pregao.domain.facts import UserConfigured
from pregao.domain.user import Role, User
from tests.builders import NOON, user


@dataclass
class MemoryBook:
    """The book of users in memory."""

    users: list[User] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    async def find_user(self, user_id):
        return next((one for one in self.users if one.user_id == user_id), None)

    async def find_user_at(self, email):
        return next((one for one in self.users if one.email == email), None)

    async def end_sessions(self, _user_id, **_):
        self.ended.append("sessions")

    async def revoke_tokens(self, _user_id, **_):
        self.ended.append("tokens")


class TestEnrollUser:
    async def test_gives_the_whole_user_spelled_as_the_desk_does(self):
        facts = await enroll_user(user(email=" Ana@Desk.TEST ", name=" Ana "), book=MemoryBook(), now=NOON)

        assert facts == [UserConfigured(happened_at=NOON, user=user(email="ana@desk.test", name="Ana"))]

    async def test_refuses_an_email_somebody_has(self):
        book = MemoryBook([user(1, email="ana@desk.test")])

        with pytest.raises(ConflictError, match="EMAIL_TAKEN"):
            await enroll_user(user(2, email="ANA@desk.test"), book=book, now=NOON)

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"email": "ana"}, "EMAIL_UNUSABLE"),
            ({"email": "ana@"}, "EMAIL_UNUSABLE"),
            ({"email": "a na@desk.test"}, "EMAIL_UNUSABLE"),
            ({"email": "ana@desk@test"}, "EMAIL_UNUSABLE"),
            ({"name": " "}, "NAME_UNUSABLE"),
            ({"name": "two\nlines"}, "NAME_UNUSABLE"),
            ({"max_daily_loss_usd": Decimal("9.99")}, "SETTING_OUT_OF_RANGE"),
            ({"max_daily_loss_usd": Decimal("NaN")}, "SETTING_OUT_OF_RANGE"),
            ({"max_positions": 0}, "SETTING_OUT_OF_RANGE"),
            ({"max_positions": 1_001}, "SETTING_OUT_OF_RANGE"),
        ],
    )
    async def test_refuses_what_cannot_be_used(self, changes, code):
        with pytest.raises(SettingUnusableError, match=code):
            await enroll_user(user(**changes), book=MemoryBook(), now=NOON)


class TestChangeUser:
    async def test_changes_what_is_named(self):
        book = MemoryBook([user()])

        facts = await change_user(user().user_id, {"role": Role.VIEWER}, book=book, now=NOON)

        assert facts == [UserConfigured(happened_at=NOON, user=user(role=Role.VIEWER))]
        assert book.ended == []

    async def test_gives_no_fact_when_nothing_changes(self):
        assert (
            await change_user(user().user_id, {"name": " User 1"}, book=MemoryBook([user()]), now=NOON) == []
        )

    async def test_ends_everything_of_whom_it_deactivates(self):
        book = MemoryBook([user()])

        facts = await change_user(user().user_id, {"is_active": False}, book=book, now=NOON)

        assert facts == [UserConfigured(happened_at=NOON, user=user(is_active=False))]
        assert book.ended == ["sessions", "tokens"]

    async def test_tells_an_unknown_user(self):
        with pytest.raises(UnknownError, match="USER_UNKNOWN"):
            await change_user(UUID(int=7), {"name": "x"}, book=MemoryBook(), now=NOON)


class TestCheckPassword:
    @pytest.mark.parametrize("password", ["x7" * 6, "many words in a row", "é" * 6 + "à" * 6, "ab" * 128])
    def test_takes_what_is_long_enough(self, password):
        check_password(password, email="ana@desk.test")

    @pytest.mark.parametrize("password", ["", "x7y8z9a1b2c", "a" * 12, "ab" * 129, "Ana@Desk.test"])
    def test_refuses_what_is_easily_guessed_and_tells_nothing_of_it(self, password):
        with pytest.raises(SettingUnusableError, match="PASSWORD_UNUSABLE") as refused:
            check_password(password, email="ana@desk.test")

        assert not password or password not in str(refused.value)


class TestCheckToken:
    @pytest.mark.parametrize("days", [None, 1, 3_650])
    def test_takes_an_end_to_come_or_none(self, days):
        check_token(token(days), now=NOON)

    @pytest.mark.parametrize("days", [-1, 0, 3_651])
    def test_refuses_other_ends(self, days):
        with pytest.raises(SettingUnusableError, match="SETTING_OUT_OF_RANGE"):
            check_token(token(days), now=NOON)


def token(days):
    ends = None if days is None else NOON + timedelta(days=days)
    return ApiToken(
        token_id=UUID(int=1), user_id=UUID(int=2), name="grafana", created_at=NOON, expires_at=ends
    )
