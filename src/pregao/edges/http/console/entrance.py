"""How somebody comes in to the console, and goes out: the session is the API's, in a cookie no script can read."""

import hmac
from dataclasses import replace
from typing import Annotated
from urllib.parse import parse_qsl, quote

from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse, RedirectResponse, Response

from pregao.accounts.enroll import spelled
from pregao.accounts.principal import Principal
from pregao.accounts.refusals import ConflictError, SettingUnusableError
from pregao.accounts.second_factor import CODE_CHARACTERS_MAX, HALF_LOGIN_LASTS
from pregao.accounts.sessions import HalfLogin, Login
from pregao.domain.user import Role, User
from pregao.edges.http.admission import SESSION_COOKIE, session_of
from pregao.edges.http.api.proving import begin, begin_session, forgive, prove_code, prove_password
from pregao.edges.http.api.shapes import DeskGiven
from pregao.edges.http.api.users import enroll
from pregao.edges.http.console.languages import LANGUAGES
from pregao.edges.http.console.rendering import (
    LANGUAGE_COOKIE,
    STATIC,
    STATIC_PATH,
    THEME_COOKIE,
    THEMES,
    language_of,
    render,
)
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError
from pregao.edges.http.tokens import HALF_LOGIN_PREFIX, new_token, sha256_of
from pregao.edges.ids import uuid7

SIGN_IN = "/console/sign-in"
CODE = "/console/sign-in/code"
SECOND_FACTOR = "/console/second-factor"
HALF_LOGIN_COOKIE = "pregao_half_login"  # a password that was right, for the page that asks for the code
FORM_BYTES_MAX = 8 * 1024
YEAR_SECONDS = 365 * 24 * 60 * 60
KEPT_FOR_EVER = "public, max-age=31536000, immutable"
STATIC_FILES = frozenset(
    {"console.css", "console.js", "favicon.svg", "vendor/htmx.min.js", "vendor/lightweight-charts.js"}
)

routes = APIRouter(include_in_schema=False)


class SignInNeeded(Exception):  # no error: whoever comes is shown the door
    """Nobody the desk knows asked for a page."""


class SecondFactorNeeded(Exception):  # no error: he is led to set one up
    """Somebody whose role needs a second factor has none."""


async def known(request: Request, desk: DeskGiven) -> Principal:
    """Give who asks, though he may have to set up a second factor first."""
    token = session_of(request.scope, dict(request.scope["headers"]))
    principal = None
    if token is not None:
        sent = sha256_of(token.decode("latin-1"))
        principal = await desk.logins.find_principal(sent, now=desk.clock())
    if principal is None or principal.session_id is None:
        raise SignInNeeded
    return principal


Known = Annotated[Principal, Depends(known)]


async def seen(who: Known) -> Principal:
    """Give who looks at a page."""
    if who.lacks_second_factor:
        raise SecondFactorNeeded
    return who


Seen = Annotated[Principal, Depends(seen)]


def show_door(request: Request, _needed: Exception) -> Response:
    """Lead to the sign-in, and from there back to the page."""
    return _lead(request, to=SIGN_IN)


def show_second_factor(request: Request, _needed: Exception) -> Response:
    """Lead to where a second factor is set up, and from there back to the page."""
    return _lead(request, to=SECOND_FACTOR)


def _lead(request: Request, *, to: str) -> Response:
    if (
        "hx-request" in request.headers
    ):  # a part of a page whose session has ended: the whole page goes to the door
        return Response(status_code=204, headers={"HX-Refresh": "true"})
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"{to}?next={quote(request.url.path + query)}", 303)


@routes.get(SECOND_FACTOR)
async def get_second_factor_demanded(
    request: Request,
    who: Known,
    next: str = "/admin",  # noqa: A002  # the query's
) -> Response:
    """Have somebody set up the second factor that his role needs; who has one goes on."""
    if not who.lacks_second_factor:
        return RedirectResponse(_own(next), 303)
    return render(request, "entrance/second_factor.html", {"next": _own(next), "mistake": ""}, who=None)


@routes.get(SIGN_IN)
async def get_sign_in(request: Request, desk: DeskGiven, next: str = "/admin") -> Response:  # noqa: A002  # the query's
    """Show the door."""
    return render(
        request,
        "entrance/sign_in.html",
        {"next": _own(next), "mistake": "", "email": "", "is_first": await _is_first(desk)},
        who=None,
    )


@routes.post(SIGN_IN)
async def post_sign_in(request: Request, desk: DeskGiven) -> Response:
    """Begin a session, as `POST /api/v1/auth/login` does; where a code is needed too, ask for it next."""
    form = await _form(request)
    email, next_page = form.get("email", ""), _own(form.get("next", ""))
    try:
        login = await prove_password(spelled(email), form.get("password", ""), desk=desk, request=request)
        if login.second_factor_since is None:
            return await _begin(login, request, desk=desk, to=next_page)
        return await _half(login, request, desk=desk, to=next_page)
    except ApiError as mistake:
        told = language_of(request).say(mistake.message)
        values = {"next": next_page, "mistake": told, "email": email, "is_first": await _is_first(desk)}
        return render(request, "entrance/sign_in.html", values, who=None, status=mistake.status)


@routes.get(CODE)
async def get_code(request: Request, desk: DeskGiven, next: str = "/admin") -> Response:  # noqa: A002  # the query's
    """Ask for the code of whoever gave his password."""
    if await _half_login(request, desk) is None:
        return RedirectResponse(SIGN_IN, 303)
    return render(request, "entrance/code.html", {"next": _own(next), "mistake": ""}, who=None)


@routes.post(CODE)
async def post_sign_in_code(request: Request, desk: DeskGiven) -> Response:
    """Begin the session of whoever gives the code after his password."""
    form = await _form(request)
    next_page = _own(form.get("next", ""))
    half = await _half_login(request, desk)
    login = None if half is None else await desk.logins.find_login(half.email)
    if half is None or login is None:
        return RedirectResponse(SIGN_IN, 303)
    login = replace(login, password_hash=half.password_hash)  # if it was changed meanwhile, nothing begins
    request.scope["action_targets"] = {"user_id": str(login.user.user_id)}
    try:
        await begin(request, desk=desk, email=half.email)
        await prove_code(form.get("code", "")[:CODE_CHARACTERS_MAX], login=login, desk=desk)
        answer = await _begin(login, request, desk=desk, to=next_page)
    except ApiError as mistake:
        values = {"next": next_page, "mistake": language_of(request).say(mistake.message)}
        return render(request, "entrance/code.html", values, who=None, status=mistake.status)
    await desk.second_factors.end_half(half.ticket_sha256)
    answer.delete_cookie(HALF_LOGIN_COOKIE, path=CODE)
    return answer


@routes.get("/console/first-run")
async def get_first_run(request: Request, desk: DeskGiven) -> Response:
    """Ask for the first user; once there is one, the door is the only way in."""
    if not await _is_first(desk):
        return RedirectResponse(SIGN_IN, 303)
    return render(request, "entrance/first_run.html", {"mistake": "", "email": "", "name": ""}, who=None)


@routes.post("/console/first-run")
async def post_first_run(request: Request, desk: DeskGiven) -> Response:
    """Make the first admin, for whoever has the admin token, and sign him in."""
    if not await _is_first(desk):
        return RedirectResponse(SIGN_IN, 303)
    form = await _form(request)
    email, name, password = (form.get(field, "").strip() for field in ("email", "name", "password"))
    said = language_of(request)
    try:
        token = form.get("token", "").strip().encode(errors="surrogatepass")
        if not desk.admin_token or not hmac.compare_digest(token, desk.admin_token.encode()):
            raise ApiError(403, "TOKEN_WRONG", "This is not the admin token.")
        now = desk.clock()
        admin = User(user_id=uuid7(now), email=email, name=name, role=Role.ADMIN)
        await enroll(admin, password, desk=desk, now=now)
        login = await prove_password(spelled(email), password, desk=desk, request=request)
        return await _begin(login, request, desk=desk, to="/admin")
    except (ApiError, SettingUnusableError, ConflictError) as mistake:
        values = {"mistake": said.say(mistake.message), "email": email, "name": name}
        return render(
            request, "entrance/first_run.html", values, who=None, status=getattr(mistake, "status", 422)
        )


@routes.post("/console/sign-out")
async def post_sign_out(request: Request, desk: DeskGiven, who: Known) -> Response:
    """End the session."""
    if who.session_id is not None and who.user_id is not None:
        await desk.logins.end_session(who.session_id, user_id=who.user_id, now=desk.clock())
    request.scope["principal"] = who  # for the audit log
    answer = RedirectResponse(SIGN_IN, 303)
    answer.delete_cookie(SESSION_COOKIE)
    return answer


@routes.post("/console/preferences")
async def post_preferences(request: Request) -> Response:
    """Keep the language or the theme somebody chose, in his browser."""
    form = await _form(request)
    answer = RedirectResponse(_own(form.get("back", "")), 303)
    for cookie, value, known in (
        (LANGUAGE_COOKIE, form.get("language"), LANGUAGES),
        (THEME_COOKIE, form.get("theme"), THEMES),
    ):
        if value is not None and value in known:
            answer.set_cookie(cookie, value, max_age=YEAR_SECONDS, samesite="lax", httponly=True)
    return answer


@routes.get(STATIC_PATH + "/{name:path}")
async def get_static(name: str) -> Response:
    """Give a style, a script or a picture."""
    if name not in STATIC_FILES:
        raise ApiError(404, "PATH_UNKNOWN", "Nothing is served here.")
    headers = {"Cache-Control": KEPT_FOR_EVER, "X-Content-Type-Options": "nosniff"}
    return FileResponse(STATIC / name, headers=headers)


async def _begin(login: Login, request: Request, *, desk: Desk, to: str) -> Response:
    session, token = await begin_session(login, desk=desk, request=request)
    answer = RedirectResponse(to, 303)
    answer.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=int((session.expires_at - desk.clock()).total_seconds()),
        httponly=True,
        samesite="lax",
        secure=_is_https(request, desk),
    )
    return answer


async def _half(login: Login, request: Request, *, desk: Desk, to: str) -> Response:
    forgive(request, email=login.user.email)
    ticket = new_token(HALF_LOGIN_PREFIX)
    await desk.second_factors.keep_half(
        HalfLogin(
            ticket_sha256=sha256_of(ticket),
            email=login.user.email,
            password_hash=login.password_hash,
            expires_at=desk.clock() + HALF_LOGIN_LASTS,
        )
    )
    answer = RedirectResponse(f"{CODE}?next={quote(to)}", 303)
    answer.set_cookie(
        HALF_LOGIN_COOKIE,
        ticket,
        max_age=int(HALF_LOGIN_LASTS.total_seconds()),
        path=CODE,
        httponly=True,
        samesite="strict",
        secure=_is_https(request, desk),
    )
    return answer


async def _half_login(request: Request, desk: Desk) -> HalfLogin | None:
    ticket = request.cookies.get(HALF_LOGIN_COOKIE)
    return (
        None if ticket is None else await desk.second_factors.find_half(sha256_of(ticket), now=desk.clock())
    )


def _is_https(request: Request, desk: Desk) -> bool:
    return request.url.scheme == "https" or desk.public_url.startswith("https://")


async def _is_first(desk: Desk) -> bool:
    return not await desk.people.users(role=None, is_active=None, after=None, limit=1)


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES_MAX:
            raise ApiError(413, "BODY_TOO_LARGE", "The form is too large.", bytes_max=FORM_BYTES_MAX)
    return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=20))


def _own(path: str) -> str:
    """Give a page of ours to go on to; another's address leads home."""
    is_own = path.startswith("/") and not path.startswith(("//", "/\\")) and "\n" not in path
    return path if is_own else "/admin"
