"""Exchange accounts; their credentials come in, are sealed, and never go out again."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import ConfigDict, Field, SecretStr
from starlette.responses import Response

from pregao.accounts.configure import (
    NAME_CHARACTERS_MAX,
    NAME_CHARACTERS_MIN,
    PAPER_BALANCE_USDT_DEFAULT,
    change_account,
    check_credentials,
    check_destination,
    credentials_of,
    get_account,
    open_account,
    register_on_paper,
    spelled,
)
from pregao.accounts.ports import AccountBook
from pregao.accounts.principal import Principal
from pregao.accounts.refusals import SettingUnusableError
from pregao.accounts.sealing import KEY_PATTERN, PRIVATE_PATTERN, Credentials
from pregao.domain.account import Account, Venue
from pregao.domain.forward import (
    TIMEOUT_SECONDS_DEFAULT,
    TIMEOUT_SECONDS_MAX,
    TIMEOUT_SECONDS_MIN,
    BodyForm,
    Destination,
)
from pregao.domain.order import PositionMode
from pregao.domain.preflight import Light
from pregao.domain.user import Role
from pregao.domain.venue import MarginMode
from pregao.edges.http.api.cursors import Cursor
from pregao.edges.http.api.listing import ACCOUNTS
from pregao.edges.http.api.roles import Admin, Trader, Viewer, role_forbidden
from pregao.edges.http.api.shapes import (
    CONFLICT,
    ERRORS,
    PAGE_ITEMS,
    STRICT,
    TOKEN,
    UNKNOWN,
    UNREADABLE,
    AccountId,
    Asked,
    BalanceUsdt,
    Changes,
    DeskGiven,
    Limit,
    Page,
    Shown,
    unset,
    without_defaults,
)
from pregao.edges.http.api.sheets import AsCsv, Format
from pregao.edges.http.api.sorting import Search
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError
from pregao.edges.http.preflight import look_over
from pregao.views.configured import AccountLine
from pregao.views.sorting import Shape

NEW_SECONDS_MAX = (
    3.0  # whoever opens an account is told what is wrong with its key, if a venue says so in time
)
PAPER_KEY_BYTES = 32  # 64 hex digits, as long as Binance's

routes = APIRouter(
    prefix="/api/v1/exchange-accounts", tags=["accounts"], dependencies=[TOKEN], responses=ERRORS
)

Name = Annotated[
    str, Field(json_schema_extra={"minLength": NAME_CHARACTERS_MIN, "maxLength": NAME_CHARACTERS_MAX})
]
ApiKey = Annotated[SecretStr, Field(json_schema_extra={"writeOnly": True, "pattern": KEY_PATTERN})]
SecretKey = Annotated[SecretStr, Field(json_schema_extra={"writeOnly": True, "pattern": PRIVATE_PATTERN})]


def _key_with_secret(schema: dict[str, Any]) -> None:
    schema["dependentRequired"] = {"api_key": ["secret_key"], "secret_key": ["api_key"]}


def _changed_key_with_secret(schema: dict[str, Any]) -> None:
    without_defaults(schema)
    _key_with_secret(schema)


Url = Annotated[
    SecretStr,
    Field(
        json_schema_extra={"writeOnly": True},
        description="An http or https address. It may hold a secret: it is sealed, and never answered.",
    ),
]
TimeoutSeconds = Annotated[
    int, STRICT, Field(json_schema_extra={"minimum": TIMEOUT_SECONDS_MIN, "maximum": TIMEOUT_SECONDS_MAX})
]
Honours = Annotated[
    bool,
    Field(description="It takes what comes with one Idempotency-Key once, however often it is posted."),
]


class NewDestination(Asked):
    """Where an account at the venue `webhook` posts its orders, and how."""

    url: Url
    timeout_seconds: TimeoutSeconds = TIMEOUT_SECONDS_DEFAULT
    honours_idempotency: Honours = False
    body: BodyForm = BodyForm.PLAIN


class DestinationChanges(Changes):
    """What to change of a destination; the rest stays."""

    url: Url = unset()
    timeout_seconds: TimeoutSeconds = unset()
    honours_idempotency: Honours = unset()
    body: BodyForm = unset()


class DestinationShown(Shown):
    """A destination; of its URL only the host."""

    host: str
    timeout_seconds: int
    honours_idempotency: bool
    body: BodyForm


class NewAccount(Asked):
    """An account to open; at the venue `paper` the desk makes the credentials when none are given."""

    model_config = ConfigDict(json_schema_extra=_key_with_secret)

    name: Name
    venue: Venue = Venue.PAPER
    position_mode: PositionMode = PositionMode.ONE_WAY
    margin_mode: MarginMode = MarginMode.CROSSED
    is_main: bool = False
    user_id: Annotated[
        UUID | None,
        Field(description="Whose it is: staff may say; null is the desk's own. A trader's is his."),
    ] = None
    api_key: ApiKey | None = None
    secret_key: SecretKey | None = None
    balance_usdt: BalanceUsdt | None = None
    destination: Annotated[
        NewDestination | None, Field(description="Of an account at the venue `webhook`, and of no other.")
    ] = None


class AccountChanges(Changes):
    """What to change; the rest stays. New credentials replace the former ones."""

    model_config = ConfigDict(json_schema_extra=_changed_key_with_secret)

    name: Name = unset()
    position_mode: PositionMode = unset()
    margin_mode: MarginMode = unset()
    is_active: bool = unset()
    is_main: bool = unset()
    api_key: ApiKey = unset()
    secret_key: SecretKey = unset()
    destination: DestinationChanges = unset()


class AccountShown(Shown):
    """An account; of its credentials only whether there are any."""

    account_id: int
    user_id: UUID | None
    name: str
    venue: Venue
    position_mode: PositionMode
    margin_mode: MarginMode
    margin_asset: str
    is_active: bool
    is_main: bool
    has_credentials: bool
    destination: Annotated[
        DestinationShown | None, Field(description="Of an account at the venue `webhook`.")
    ]
    light: Annotated[Light | None, Field(description="Its pre-flight in short; null while nothing is known.")]
    light_codes: Annotated[tuple[str, ...], Field(description="What is not as it should be.")]
    light_checked_at: datetime | None
    created_at: datetime
    updated_at: datetime


class Rewrapped(Shown):
    """How many accounts' keys were under another master key, and the name of the present one."""

    rewrapped: int
    master_key: str


AccountSort = Literal[
    "time", "-time", "name", "-name", "venue", "-venue", "light", "-light", "light_checked_at", "-light_checked_at",
]  # fmt: skip


@routes.get("", response_model=Page[AccountShown], responses=AsCsv)
async def list_accounts(
    *,
    desk: DeskGiven,
    who: Viewer,
    is_active: bool | None = None,
    search: Search = None,
    sort: AccountSort = "time",
    cursor: Cursor = None,
    limit: Limit = PAGE_ITEMS,
    kind: Format = "json",
) -> Page[AccountShown] | Response:
    """Give the accounts, oldest first unless `sort` says otherwise."""

    async def find(after: int | None, *, shape: Shape, limit: int) -> Sequence[AccountLine]:
        return await desk.configured.accounts(
            owner=who.owner, is_active=is_active, after=after, shape=shape, limit=limit
        )

    return await ACCOUNTS.answer(
        find,
        sort=sort,
        search=search,
        cursor=cursor,
        limit=limit,
        kind=kind,
        to_shown=_shown,
        shown=AccountShown,
        name="accounts",
    )


@routes.post("", status_code=201, responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def post_account(body: NewAccount, desk: DeskGiven, who: Trader) -> AccountShown:
    """
    Open an account; its credentials are sealed before they are stored.

    Where somebody gave them, a trader looks at once what they may do: `light` and `light_codes` say what it found.
    """
    credentials = _credentials_of(body.api_key, body.secret_key)
    is_given = credentials is not None
    check_credentials(credentials, venue=body.venue)
    if body.balance_usdt is not None and (body.venue is not Venue.PAPER or credentials is not None):
        raise SettingUnusableError(
            "BALANCE_NOT_OURS",
            "Only a paper account whose credentials the desk makes is opened with a balance.",
            field="balance_usdt",
        )
    url = None if body.destination is None else body.destination.url.get_secret_value()
    account = spelled(
        Account(
            account_id=await desk.accounts.next_account_id(),
            name=body.name,
            venue=body.venue,
            position_mode=body.position_mode,
            margin_mode=body.margin_mode,
            user_id=await _owner_of_new(body, who=who, desk=desk),
            is_main=body.is_main,
            destination=await _destination_of_new(body.destination, desk=desk),
        )
    )
    check_destination(account)
    if url is not None:
        credentials = credentials_of(url)
    if credentials is None:
        credentials = await _open_on_paper(account, balance_usdt=body.balance_usdt, desk=desk)
    sealed = desk.vault.seal(credentials, account_id=account.account_id)
    async with desk.accounts.open(owner=who.owner) as book:
        await book.append(await open_account(account, book=book, now=desk.clock()))
        await book.keep_credentials(account.account_id, sealed)
    if is_given:
        await look_over(account.account_id, desk=desk, seconds_max=NEW_SECONDS_MAX)
    return _shown(await get_account_line(account.account_id, who=who, desk=desk))


@routes.post("/rewrap")
async def post_rewrap(desk: DeskGiven, _who: Admin) -> Rewrapped:
    """Put every account's data key under the present master key, after it was changed."""
    return Rewrapped(rewrapped=await desk.credentials.rewrap(), master_key=desk.vault.master_key)


@routes.get("/{account_id:int}", responses=UNKNOWN)
async def get_one_account(account_id: AccountId, desk: DeskGiven, who: Viewer) -> AccountShown:
    """Give one account."""
    return _shown(await get_account_line(account_id, who=who, desk=desk))


@routes.patch("/{account_id:int}", responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def patch_account(
    account_id: AccountId, body: AccountChanges, desk: DeskGiven, who: Trader
) -> AccountShown:
    """Change an account or replace its credentials."""
    changes = body.model_dump(exclude_unset=True, exclude={"api_key", "secret_key", "destination"})
    credentials = _credentials_of(body.api_key, body.secret_key)
    asked = (
        body.destination.model_dump(exclude_unset=True) if "destination" in body.model_fields_set else None
    )
    destination = None if asked is None else await read_destination(asked, desk=desk)
    async with desk.accounts.open(owner=who.owner) as book:
        await change_with_destination(account_id, changes, destination, book=book, desk=desk)
        if credentials is not None:
            account = await get_account(account_id, book=book)
            check_credentials(credentials, venue=account.venue)
            sealed = desk.vault.seal(credentials, account_id=account_id)
            await book.keep_credentials(account_id, sealed)
    if credentials is not None:
        await look_over(account_id, desk=desk, seconds_max=NEW_SECONDS_MAX)
    return _shown(await get_account_line(account_id, who=who, desk=desk))


@routes.delete("/{account_id:int}", responses={**UNKNOWN, **CONFLICT})
async def delete_account(account_id: AccountId, desk: DeskGiven, who: Trader) -> AccountShown:
    """Deactivate an account that has nothing open; its history stays."""
    async with desk.accounts.open(owner=who.owner) as book:
        changes = {"is_active": False}
        await book.append(await change_account(account_id, changes, book=book, now=desk.clock()))
    return _shown(await get_account_line(account_id, who=who, desk=desk))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadDestination:
    """What is to be changed of a destination; its host was looked up."""

    changes: Mapping[str, Any]
    url: str | None = field(repr=False)  # it may hold a secret; None: it stays


async def read_destination(asked: Mapping[str, Any], *, desk: Desk) -> ReadDestination:
    """
    Read what is asked of a destination, and look its host up: before anything is locked.

    :raises SettingUnusableError: when the URL cannot be used.
    """
    changes = dict(asked)
    secret: SecretStr | None = changes.pop("url", None)
    url = None if secret is None else secret.get_secret_value()
    if url is not None:
        changes["host"] = (await desk.destinations.check(url)).host
    return ReadDestination(changes=changes, url=url)


async def change_with_destination(
    account_id: int,
    changes: Mapping[str, Any],
    destination: ReadDestination | None,
    *,
    book: AccountBook,
    desk: Desk,
) -> None:
    """
    Change what is given of an account and of its destination; a new URL takes the place of the former one.

    :raises SettingUnusableError: when a value cannot be used, or the account has no destination.
    :raises UnknownError: when there is no such account.
    """
    changed = dict(changes)
    if destination is not None:
        account = await get_account(account_id, book=book)
        known = account.destination or Destination(host="")
        changed["destination"] = replace(known, **destination.changes)
    await book.append(await change_account(account_id, changed, book=book, now=desk.clock()))
    if destination is not None and destination.url is not None:
        sealed = desk.vault.seal(credentials_of(destination.url), account_id=account_id)
        await book.keep_credentials(account_id, sealed)


async def _destination_of_new(asked: NewDestination | None, *, desk: Desk) -> Destination | None:
    if asked is None:
        return None
    checked = await desk.destinations.check(asked.url.get_secret_value())
    return Destination(
        host=checked.host,
        timeout_seconds=asked.timeout_seconds,
        honours_idempotency=asked.honours_idempotency,
        body=asked.body,
    )


def _credentials_of(key: SecretStr | None, secret: SecretStr | None) -> Credentials | None:
    if (key is None) != (secret is None):
        raise SettingUnusableError("CREDENTIALS_INCOMPLETE", "Give both api_key and secret_key, or neither.")
    if key is None or secret is None:
        return None
    return Credentials(key=key.get_secret_value(), secret=secret.get_secret_value())


async def _open_on_paper(account: Account, *, balance_usdt: Decimal | None, desk: Desk) -> Credentials:
    made = Credentials(key=secrets.token_hex(PAPER_KEY_BYTES), secret=secrets.token_hex(PAPER_KEY_BYTES))
    balance = PAPER_BALANCE_USDT_DEFAULT if balance_usdt is None else balance_usdt
    await register_on_paper(account, made, balance_usdt=balance, register=desk.register_paper_account)
    return made


async def _owner_of_new(body: NewAccount, *, who: Principal, desk: Desk) -> UUID | None:
    if who.owner is not None:
        if body.user_id not in (None, who.owner):
            raise role_forbidden(who, Role.OPERATOR)
        return who.owner
    line = None if body.user_id is None else await desk.people.find_user(body.user_id)
    if body.user_id is not None and line is None:
        raise ApiError(404, "USER_UNKNOWN", f"user={body.user_id}. There is no such user.")
    return body.user_id


async def get_account_line(account_id: int, *, who: Principal, desk: Desk) -> AccountLine:
    """
    Give an account that whoever asks may see.

    :raises ApiError: when there is none.
    """
    line = await desk.configured.find_account(account_id, owner=who.owner)
    if line is None:
        raise ApiError(404, "ACCOUNT_UNKNOWN", f"account={account_id}. There is no such account.")
    return line


def account_fields(line: AccountLine) -> dict[str, Any]:
    """Give the fields of an account as the API shows it."""
    return {
        **asdict(line.account),
        "has_credentials": line.has_credentials,
        "light": line.light,
        "light_codes": line.light_codes,
        "light_checked_at": line.light_checked_at,
        "created_at": line.created_at,
        "updated_at": line.updated_at,
    }


def _shown(line: AccountLine) -> AccountShown:
    return AccountShown(**account_fields(line))
