"""
Enroll and change users.

Each command looks at the book and gives the facts that follow; the caller appends them in the same transaction.
Passwords are no facts: the book keeps them, hashed.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from pregao.accounts.ports import UserBook
from pregao.accounts.refusals import ConflictError, SettingUnusableError, UnknownError
from pregao.accounts.sessions import ApiToken
from pregao.domain.facts import Fact, UserConfigured
from pregao.domain.user import User

EMAIL_CHARACTERS_MAX = 254  # RFC 5321's longest path, without its brackets
EMAIL_PATTERN = r"^[^@\s]{1,64}@[^@\s]{1,189}$"  # whether it arrives only a letter can tell
NAME_CHARACTERS_MIN, NAME_CHARACTERS_MAX = 1, 255
PASSWORD_CHARACTERS_MIN = 12
PASSWORD_CHARACTERS_MAX = 256  # more than anybody types; a megabyte would only keep us hashing
TOKEN_DAYS_MAX = 3_650
DAILY_LOSS_USD_MIN, DAILY_LOSS_USD_MAX = Decimal(10), Decimal(1_000_000_000)  # as a subscription's
POSITIONS_MIN, POSITIONS_MAX = 1, 1_000
RISK_CAPITAL_USD_MIN, RISK_CAPITAL_USD_MAX = Decimal(1), Decimal(1_000_000_000)
DRAWDOWN_PCT_MIN, DRAWDOWN_PCT_MAX = Decimal("0.1"), Decimal(100)
SLIPPAGE_PCT_MIN, SLIPPAGE_PCT_MAX = Decimal("0.1"), Decimal(100)
EXECUTIONS_MAX = 1_000_000

CHANGEABLE = frozenset(
    {
        "name", "role", "is_active", "max_daily_loss_usd", "max_positions", "risk_capital_usd", "monthly_drawdown_pct",
        "max_slippage_pct", "slippage_pause_pct", "max_executions_per_minute", "max_executions_per_hour",
    },
)  # fmt: skip


AMOUNT_RANGES = {
    "max_daily_loss_usd": (DAILY_LOSS_USD_MIN, DAILY_LOSS_USD_MAX),
    "risk_capital_usd": (RISK_CAPITAL_USD_MIN, RISK_CAPITAL_USD_MAX),
    "monthly_drawdown_pct": (DRAWDOWN_PCT_MIN, DRAWDOWN_PCT_MAX),
    "max_slippage_pct": (SLIPPAGE_PCT_MIN, SLIPPAGE_PCT_MAX),
    "slippage_pause_pct": (SLIPPAGE_PCT_MIN, SLIPPAGE_PCT_MAX),
    "max_executions_per_minute": (Decimal(1), Decimal(EXECUTIONS_MAX)),
    "max_executions_per_hour": (Decimal(1), Decimal(EXECUTIONS_MAX)),
}


async def enroll_user(user: User, *, book: UserBook, now: datetime) -> list[Fact]:
    """
    Make a user known.

    :raises SettingUnusableError: when a setting cannot be used.
    :raises ConflictError: when another user has the e-mail.
    """
    user = replace(user, email=spelled(user.email), name=user.name.strip())
    if not re.fullmatch(EMAIL_PATTERN, user.email) or not user.email.isprintable():
        raise SettingUnusableError(
            "EMAIL_UNUSABLE", f"characters={len(user.email)}. Use one address, name@place.", field="email"
        )
    _check_user(user)
    if await book.find_user_at(user.email) is not None:
        raise email_taken(user.email)
    return [UserConfigured(happened_at=now, user=user)]


async def change_user(
    user_id: UUID, changes: Mapping[str, Any], *, book: UserBook, now: datetime
) -> list[Fact]:
    """
    Change some settings of a user; changing nothing gives no fact.

    A user who is deactivated is out at once and for good: his sessions end and his tokens are revoked.

    :raises SettingUnusableError: when a setting cannot be used.
    :raises UnknownError: when there is no such user.
    """
    assert CHANGEABLE.issuperset(changes)
    user = await get_user(user_id, book=book)
    changed = replace(user, **changes)
    changed = replace(changed, name=changed.name.strip())
    _check_user(changed)
    if not changed.is_active:
        await book.end_sessions(user_id, now=now)
        await book.revoke_tokens(user_id, now=now)
    return [] if changed == user else [UserConfigured(happened_at=now, user=changed)]


async def get_user(user_id: UUID, *, book: UserBook) -> User:
    """
    Give the user.

    :raises UnknownError: when there is no such user.
    """
    user = await book.find_user(user_id)
    if user is None:
        raise UnknownError("USER_UNKNOWN", f"user={user_id}. There is no such user.")
    return user


def check_password(password: str, *, email: str) -> None:
    """
    See that a password can be used; length is what makes it hard to guess.

    :raises SettingUnusableError: when it cannot; nothing of it is told.
    """
    if not PASSWORD_CHARACTERS_MIN <= len(password) <= PASSWORD_CHARACTERS_MAX:
        raise SettingUnusableError(
            "PASSWORD_UNUSABLE",
            f"characters={len(password)} minimum={PASSWORD_CHARACTERS_MIN} maximum={PASSWORD_CHARACTERS_MAX}. "
            "Several words in a row do.",
            field="password",
        )
    if spelled(password) == email or len(set(password)) == 1:
        raise SettingUnusableError(
            "PASSWORD_UNUSABLE",
            "Neither the e-mail nor one letter over and over is a password.",
            field="password",
        )


def check_token(token: ApiToken, *, now: datetime) -> None:
    """
    See that a token can be made as asked.

    :raises SettingUnusableError: when its name or its end cannot be used.
    """
    _check_name(token.name)
    if token.expires_at is not None and not now < token.expires_at <= now + timedelta(days=TOKEN_DAYS_MAX):
        raise SettingUnusableError(
            "SETTING_OUT_OF_RANGE",
            f"expires_at={token.expires_at.isoformat()} days_max={TOKEN_DAYS_MAX}. "
            "Give an instant to come, or none.",
            field="expires_at",
        )


def spelled(email: str) -> str:
    """Give an e-mail as the desk writes it: in small letters, without blanks around it."""
    return email.strip().lower()


def email_taken(email: str) -> ConflictError:
    """Give the refusal of an e-mail that another user has."""
    return ConflictError("EMAIL_TAKEN", f"email={email}. Another user has it.", field="email")


def _check_user(user: User) -> None:
    _check_name(user.name)
    for name, (minimum, maximum) in AMOUNT_RANGES.items():
        given = getattr(user, name)
        amount = None if given is None else Decimal(given)
        if amount is not None and not (amount.is_finite() and minimum <= amount <= maximum):
            raise SettingUnusableError(
                "SETTING_OUT_OF_RANGE", f"{name}={amount} minimum={minimum} maximum={maximum}.", field=name
            )
    positions = user.max_positions
    if positions is not None and not POSITIONS_MIN <= positions <= POSITIONS_MAX:
        raise SettingUnusableError(
            "SETTING_OUT_OF_RANGE",
            f"max_positions={positions} minimum={POSITIONS_MIN} maximum={POSITIONS_MAX}.",
            field="max_positions",
        )


def _check_name(name: str) -> None:
    if not NAME_CHARACTERS_MIN <= len(name) <= NAME_CHARACTERS_MAX or not name.isprintable():
        raise SettingUnusableError(
            "NAME_UNUSABLE",
            f"characters={len(name)} minimum={NAME_CHARACTERS_MIN} maximum={NAME_CHARACTERS_MAX}. "
            "Use printable characters, on one line.",
            field="name",
        )
