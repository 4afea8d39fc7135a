"""What pre-flight found out about an account, and where that is fetched and asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from pregao.domain.preflight import Check, Light, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckLine:
    """One check: about the whole account, about one subscription, or about one symbol of that."""

    check: Check
    result: Result
    code: str
    numbers: Mapping[str, str]
    remedy: str
    denies: bool  # entries it is about, until it is made again
    subscription_id: UUID | None
    bot_name: str | None
    symbol: str  # empty: all
    checked_at: datetime
    since: datetime  # result and code have been these


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """All checks of one account; the light is None while nothing is known."""

    account_id: int
    light: Light | None
    light_codes: Sequence[str]  # of what is not as it should be
    checked_at: datetime | None
    next_check_at: datetime | None
    checks: Sequence[CheckLine]


class Preflights(Protocol):
    """Where it is fetched, and asked for anew; whose the account is, the caller has seen."""

    async def of(self, account_id: int) -> Preflight:
        """Give what is known of an account."""
        ...

    async def ask(self, account_id: int, *, fixes: bool) -> datetime:
        """Ask the traders to look now, and to set the position mode if it ``fixes``; give when it was asked."""
        ...

    async def is_checked(self, account_id: int, *, since: datetime) -> bool:
        """Say whether what was asked for then is there."""
        ...

    async def has_traders(self) -> bool:
        """Say whether anybody is there to look."""
        ...
