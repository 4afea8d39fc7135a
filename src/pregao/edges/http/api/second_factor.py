"""
A second factor of logins: turned on by the user himself, confirmed by its first code, turned off with password and code.

Its secret is shown once, as text and as a picture for an app's camera; after that nobody sees it, admins neither.
"""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Request

from pregao.accounts.principal import Principal
from pregao.accounts.second_factor import address_of, plain, step_of
from pregao.accounts.sessions import Login
from pregao.domain.user import Role
from pregao.edges.http.api.approvals import Reason
from pregao.edges.http.api.auth import LIMITED, Code, GivenPassword, user_id_of
from pregao.edges.http.api.proving import begin, code_wrong, forgive, prove_code
from pregao.edges.http.api.roles import ADMIN, Admin, Viewer, name_of
from pregao.edges.http.api.shapes import (
    CONFLICT,
    ERRORS,
    PAGE_ITEMS_MAX,
    TOKEN,
    UNKNOWN,
    UNREADABLE,
    Asked,
    DeskGiven,
    Shown,
)
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError
from pregao.edges.http.tokens import new_app_secret, new_recovery_codes, sha256_of

PATH = "/api/v1/auth/second-factor"

routes = APIRouter(prefix=PATH, tags=["people"], dependencies=[TOKEN], responses=ERRORS)
admin_routes = APIRouter(
    prefix="/api/v1/admin/users", tags=["people"], dependencies=[TOKEN, ADMIN], responses=ERRORS
)


rule_routes = APIRouter(
    prefix="/api/v1/admin/second-factor-rule", tags=["people"], dependencies=[TOKEN, ADMIN], responses=ERRORS
)


class PasswordGiven(Asked):
    """The own password, once more."""

    password: GivenPassword


class CodeGiven(Asked):
    """The code the app shows now."""

    code: Code


class BothGiven(Asked):
    """The own password, and a code of the app or a recovery code."""

    password: GivenPassword
    code: Code


class SecondFactorShown(Shown):
    """Whether logins need a code, since when, and how many recovery codes nobody has used."""

    is_on: bool
    since: datetime | None
    recovery_codes_left: int


class SecondFactorBegun(Shown):
    """What an app is given, shown this once: as text, as what stands in the picture, and as the picture (a `data:` address)."""

    secret: str
    address: str
    picture: str


class RuleAsked(Asked):
    """Who must have one: whoever has this role or a larger one; null is nobody."""

    role: Role | None
    reason: Reason = ""


class RuleShown(Shown):
    """Who must have one, and how many of them have none yet."""

    role: Role | None
    set_by: str
    set_at: datetime | None
    lacking: int


class RecoveryCodes(Shown):
    """Codes for the day the app is lost, each good once; shown this once."""

    recovery_codes: list[str]


@routes.get("", responses=CONFLICT)
async def get_second_factor(desk: DeskGiven, who: Viewer) -> SecondFactorShown:
    """Say whether the own logins need a code."""
    user_id = user_id_of(who)
    line = await desk.people.find_user(user_id)
    since = None if line is None else line.second_factor_since
    left = await desk.second_factors.recovery_codes_left(user_id)
    return SecondFactorShown(is_on=since is not None, since=since, recovery_codes_left=left)


@routes.post("", responses={**CONFLICT, **LIMITED, **UNREADABLE})
async def post_second_factor(
    body: PasswordGiven, desk: DeskGiven, who: Viewer, request: Request
) -> SecondFactorBegun:
    """Begin with an app: give it the secret of this answer, and confirm. Until then logins stay as they are."""
    login = await _prove_again(who, body.password.get_secret_value(), desk=desk, request=request)
    secret = new_app_secret()
    if not await desk.second_factors.begin(login.user.user_id, secret, now=desk.clock()):
        raise ApiError(
            409, "SECOND_FACTOR_ON", "A second factor is on. Turn it off before you take another app."
        )
    address = address_of(secret, email=login.user.email)
    return SecondFactorBegun(secret=secret, address=address, picture=_picture_of(address))


@routes.post("/confirm", responses={**CONFLICT, **LIMITED, **UNREADABLE})
async def post_confirm(body: CodeGiven, desk: DeskGiven, who: Viewer, request: Request) -> RecoveryCodes:
    """Turn it on by the app's first code. Every other session of the user ends."""
    user_id = _in_session(who)
    login = await _login_of(user_id, desk=desk)
    await begin(request, desk=desk, email=login.user.email, is_known=True)
    factor = await desk.second_factors.find(user_id)
    if factor is None or login.second_factor_since is not None:
        raise ApiError(
            409, "SECOND_FACTOR_NOT_BEGUN", "There is no app that waits for its first code. Begin anew."
        )
    now = desk.clock()
    step = step_of(plain(body.code.get_secret_value()), factor=factor, now=now)
    if step is None:
        raise code_wrong(403)
    codes = new_recovery_codes()
    kept = [sha256_of(plain(code)) for code in codes]
    if not await desk.second_factors.confirm(
        factor, step=step, codes_sha256=kept, but=who.session_id, now=now
    ):
        raise ApiError(409, "SECOND_FACTOR_NOT_BEGUN", "Another app was begun with meanwhile. Begin anew.")
    forgive(request, email=login.user.email)
    return RecoveryCodes(recovery_codes=codes)


@routes.post("/recovery-codes", responses={**CONFLICT, **LIMITED, **UNREADABLE})
async def post_recovery_codes(
    body: BothGiven, desk: DeskGiven, who: Viewer, request: Request
) -> RecoveryCodes:
    """Make new recovery codes; the former ones are worth nothing from now on."""
    login = await _prove_both(who, body, desk=desk, request=request)
    codes = new_recovery_codes()
    kept = [sha256_of(plain(code)) for code in codes]
    if not await desk.second_factors.renew_recovery_codes(login.user.user_id, kept):
        raise _off()
    return RecoveryCodes(recovery_codes=codes)


@routes.post("/off", responses={**CONFLICT, **LIMITED, **UNREADABLE})
async def post_off(body: BothGiven, desk: DeskGiven, who: Viewer, request: Request) -> SecondFactorShown:
    """Turn it off; the password alone lets in from now on."""
    rule = await desk.second_factor_rules.rule()
    if rule.role is not None and who.role.includes(rule.role):
        raise ApiError(
            409,
            "SECOND_FACTOR_DEMANDED",
            f"role={who.role} demanded={rule.role}. Your role needs one. To take another app, have an admin turn this one off.",
        )
    login = await _prove_both(who, body, desk=desk, request=request)
    await desk.second_factors.forget(login.user.user_id)
    return await get_second_factor(desk, who)


@rule_routes.get("")
async def get_second_factor_rule(desk: DeskGiven) -> RuleShown:
    """Say who must have a second factor."""
    return await _rule_shown(desk)


@rule_routes.put("", responses={**CONFLICT, **UNREADABLE})
async def put_second_factor_rule(body: RuleAsked, desk: DeskGiven, who: Admin) -> RuleShown:
    """
    Say who must have a second factor. Who has none can do nothing with his next request but set one up.

    Whoever demands it of himself must have one: so it is known that setting it up works here.
    """
    if body.role is not None and who.user_id is not None:
        line = await desk.people.find_user(who.user_id)
        if line is not None and line.second_factor_since is None:
            raise ApiError(
                409, "SECOND_FACTOR_OFF", "Turn your own second factor on before you demand it of others."
            )
    await desk.second_factor_rules.set_rule(
        body.role, set_by=await name_of(who, desk=desk), reason=body.reason, now=desk.clock()
    )
    return await _rule_shown(desk)


@admin_routes.delete("/{user_id:uuid}/second-factor", responses={**UNKNOWN, **CONFLICT})
async def delete_second_factor(
    user_id: UUID, desk: DeskGiven, who: Viewer, request: Request
) -> SecondFactorShown:
    """Turn off the second factor of somebody who lost his app and his codes. His sessions end; an alert tells of it."""
    line = await desk.people.find_user(user_id)
    if line is None:
        raise ApiError(404, "USER_UNKNOWN", f"user={user_id}. There is no such user.")
    if not await desk.second_factors.forget(user_id):
        raise _off()
    await desk.logins.end_other_sessions(user_id, but=None, now=desk.clock())
    # For whoever reads the audit log, alerts among them: ids alone name nobody.
    request.scope["action_targets"] = {"email": line.user.email, "reset_by": await name_of(who, desk=desk)}
    return SecondFactorShown(is_on=False, since=None, recovery_codes_left=0)


async def _rule_shown(desk: Desk) -> RuleShown:
    rule = await desk.second_factor_rules.rule()
    lacking = 0 if rule.role is None else await _count_lacking(rule.role, desk=desk)
    return RuleShown(role=rule.role, set_by=rule.set_by, set_at=rule.set_at, lacking=lacking)


async def _count_lacking(demanded: Role, *, desk: Desk) -> int:
    lacking, after = 0, None
    while True:
        lines = await desk.people.users(role=None, is_active=True, after=after, limit=PAGE_ITEMS_MAX)
        lacking += sum(one.second_factor_since is None and one.user.role.includes(demanded) for one in lines)
        if len(lines) < PAGE_ITEMS_MAX:
            return lacking
        after = lines[-1].user.user_id


async def _prove_again(who: Principal, password: str, *, desk: Desk, request: Request) -> Login:
    login = await _login_of(_in_session(who), desk=desk)
    await begin(request, desk=desk, email=login.user.email, is_known=True)
    if not await desk.passwords.verify(password, password_hash=login.password_hash):
        raise ApiError(403, "PASSWORD_WRONG", "The current password is another one.", field="password")
    forgive(request, email=login.user.email)
    return login


async def _prove_both(who: Principal, given: BothGiven, *, desk: Desk, request: Request) -> Login:
    login = await _prove_again(who, given.password.get_secret_value(), desk=desk, request=request)
    if login.second_factor_since is None:
        raise _off()
    await begin(request, desk=desk, email=login.user.email, is_known=True)
    await prove_code(given.code.get_secret_value(), login=login, desk=desk, status=403)
    forgive(request, email=login.user.email)
    return login


async def _login_of(user_id: UUID, *, desk: Desk) -> Login:
    line = await desk.people.find_user(user_id)
    login = None if line is None else await desk.logins.find_login(line.user.email)
    if login is None:  # he was put out this very moment
        raise ApiError(404, "USER_UNKNOWN", f"user={user_id}. There is no such user.")
    return login


def _in_session(who: Principal) -> UUID:
    user_id = user_id_of(who)
    if who.session_id is None:
        raise ApiError(
            403, "SESSION_NEEDED", "Log in first: an API token does not change how its user logs in."
        )
    return user_id


def _off() -> ApiError:
    return ApiError(409, "SECOND_FACTOR_OFF", "No second factor is on.")


def _picture_of(address: str) -> str:
    import segno  # noqa: PLC0415  # 12 MB, for the few minutes in a desk's life when somebody takes an app

    picture: str = segno.make(address, error="m").svg_data_uri(scale=4, border=4, dark="black", light="white")
    return picture
