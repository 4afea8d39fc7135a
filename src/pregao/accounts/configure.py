"""
Open, change and deactivate accounts.

Each command looks at the book and gives the facts that follow; the caller appends them in the same transaction.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from pregao.accounts.ports import AccountBook, RegisterPaperAccount
from pregao.accounts.refusals import ConflictError, SettingUnusableError, UnknownError, VenueAwayError
from pregao.accounts.sealing import KEY_PATTERN, PRIVATE_PATTERN, Credentials
from pregao.domain.account import Account, Venue
from pregao.domain.facts import AccountConfigured, Fact
from pregao.domain.forward import TIMEOUT_SECONDS_MAX, TIMEOUT_SECONDS_MIN

NAME_CHARACTERS_MIN, NAME_CHARACTERS_MAX = 1, 255
PAPER_BALANCE_USDT_DEFAULT = Decimal(10_000)  # what the paper exchange gives an unknown key too
PAPER_BALANCE_USDT_MIN, PAPER_BALANCE_USDT_MAX = Decimal(1), Decimal(1_000_000_000)

CHANGEABLE = frozenset({"name", "position_mode", "margin_mode", "is_active", "is_main", "destination"})
QUIET_ONLY = frozenset({"position_mode", "margin_mode", "is_active"})
"""What must not change under an open position: a venue refuses it, or nobody would close the position."""


async def open_account(account: Account, *, book: AccountBook, now: datetime) -> list[Fact]:
    """
    Open an account; where it is its owner's main one, the former main account is that no more.

    :raises SettingUnusableError: when a setting cannot be used.
    """
    account = spelled(account)
    check_destination(account)
    return [
        *await _former_main(account, book=book, now=now),
        AccountConfigured(happened_at=now, account=account),
    ]


def spelled(account: Account) -> Account:
    """
    Give the account with its name as the desk writes it.

    :raises SettingUnusableError: when the name cannot be used.
    """
    account = replace(account, name=account.name.strip())
    _check_name(account.name)
    return account


async def change_account(
    account_id: int, changes: Mapping[str, Any], *, book: AccountBook, now: datetime
) -> list[Fact]:
    """
    Change some settings of an account; changing nothing gives no fact.

    :raises SettingUnusableError: when a setting cannot be used.
    :raises UnknownError: when there is no such account.
    :raises ConflictError: when it trades just now and the change needs it quiet, or its venue never allows it.
    """
    assert CHANGEABLE.issuperset(changes)
    account = await get_account(account_id, book=book)
    changed = spelled(replace(account, **changes))
    check_destination(changed)
    if changed == account:
        return []
    differing = sorted(name for name in QUIET_ONLY if getattr(changed, name) != getattr(account, name))
    if "position_mode" in differing and account.venue is Venue.PAPER:
        raise ConflictError(
            "POSITION_MODE_FIXED",
            f"account={account_id}. The paper exchange keeps the mode an account was opened with; open another.",
        )
    if differing and await book.is_trading(account_id):
        raise ConflictError(
            "ACCOUNT_TRADING",
            f"account={account_id} changes={','.join(differing)}. Pause its subscriptions and close its positions first.",
        )
    former = [] if account.is_main else await _former_main(changed, book=book, now=now)
    return [*former, AccountConfigured(happened_at=now, account=changed)]


async def get_account(account_id: int, *, book: AccountBook) -> Account:
    """
    Give the account.

    :raises UnknownError: when there is no such account.
    """
    account = await book.find_account(account_id)
    if account is None:
        raise UnknownError("ACCOUNT_UNKNOWN", f"account={account_id}. There is no such account.")
    return account


def check_credentials(credentials: Credentials | None, *, venue: Venue) -> None:
    """
    See that an account of this venue can be opened with these; at the paper exchange the desk makes its own.

    :raises SettingUnusableError: when they are missing or no such text; nothing of them is told.
    """
    if venue is Venue.WEBHOOK:
        if credentials is not None:
            raise SettingUnusableError(
                "CREDENTIALS_NOT_HERE", f"venue={venue}. Give the destination with its URL.", field="api_key"
            )
        return
    if credentials is None:
        if venue is not Venue.PAPER:
            raise SettingUnusableError(
                "CREDENTIALS_MISSING", f"venue={venue}. Give api_key and secret_key of the account there."
            )
        return
    is_key = re.fullmatch(KEY_PATTERN, credentials.key)
    if not is_key or not re.fullmatch(PRIVATE_PATTERN, credentials.secret):
        raise SettingUnusableError(
            "CREDENTIALS_UNUSABLE",
            "Keys have 1 to 512 ASCII characters without spaces, secrets 1 to 8192 and begin with none.",
            field="secret_key" if is_key else "api_key",
        )


def check_destination(account: Account) -> None:
    """
    See that the account has a destination where it needs one, nowhere else, and that its settings are in their ranges.

    :raises SettingUnusableError: when not.
    """
    destination, venue = account.destination, account.venue
    if destination is None:
        if venue is Venue.WEBHOOK:
            raise SettingUnusableError(
                "DESTINATION_MISSING",
                f"venue={venue}. Give the destination that it posts to.",
                field="destination",
            )
        return
    if venue is not Venue.WEBHOOK:
        raise SettingUnusableError(
            "DESTINATION_NOT_HERE",
            f"venue={venue}. Only an account at the venue webhook posts to a destination.",
            field="destination",
        )
    if not TIMEOUT_SECONDS_MIN <= destination.timeout_seconds <= TIMEOUT_SECONDS_MAX:
        raise SettingUnusableError(
            "SETTING_OUT_OF_RANGE",
            f"timeout_seconds={destination.timeout_seconds} minimum={TIMEOUT_SECONDS_MIN} maximum={TIMEOUT_SECONDS_MAX}.",
            field="timeout_seconds",
        )


def credentials_of(url: str) -> Credentials:
    """Give a destination's URL as what is sealed: it may hold a secret."""
    return Credentials(key=str(Venue.WEBHOOK), secret=url)


async def register_on_paper(
    account: Account, credentials: Credentials, *, balance_usdt: Decimal, register: RegisterPaperAccount
) -> None:
    """
    Open the account at the paper exchange, before it is ours: an account left over there harms nobody.

    :raises SettingUnusableError: when the balance cannot be used.
    :raises VenueAwayError: when the paper exchange does not answer.
    """
    if not PAPER_BALANCE_USDT_MIN <= balance_usdt <= PAPER_BALANCE_USDT_MAX:
        raise SettingUnusableError(
            "SETTING_OUT_OF_RANGE",
            f"balance_usdt={balance_usdt} minimum={PAPER_BALANCE_USDT_MIN} maximum={PAPER_BALANCE_USDT_MAX}.",
            field="balance_usdt",
            minimum=str(PAPER_BALANCE_USDT_MIN),
            maximum=str(PAPER_BALANCE_USDT_MAX),
        )
    try:
        await register(credentials, balance_usdt, account.position_mode)
    except Exception as cause:
        raise VenueAwayError(
            "PAPER_AWAY", "The paper exchange did not open the account. See `pregao doctor`; then try again."
        ) from cause


async def _former_main(account: Account, *, book: AccountBook, now: datetime) -> list[Fact]:
    former = await book.find_main_account(account.user_id) if account.is_main else None
    if former is None:
        return []
    return [AccountConfigured(happened_at=now, account=replace(former, is_main=False))]


def _check_name(name: str) -> None:
    if not NAME_CHARACTERS_MIN <= len(name) <= NAME_CHARACTERS_MAX or not name.isprintable():
        raise SettingUnusableError(
            "NAME_UNUSABLE",
            f"characters={len(name)} minimum={NAME_CHARACTERS_MIN} maximum={NAME_CHARACTERS_MAX}. "
            "Use printable characters, on one line.",
            field="name",
        )
