"""Whether somebody is who he says: his password, his code, how often he may fail at either, and the session at the end."""

from dataclasses import replace
from datetime import timedelta

from fastapi import Request

from pregao.accounts.principal import Principal
from pregao.accounts.second_factor import is_recovery_code, plain, step_of
from pregao.accounts.sessions import SESSION_LASTS, Login, Session
from pregao.edges.http.admission import user_agent_of
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError
from pregao.edges.http.login_limits import LoginFailures, network_of
from pregao.edges.http.tokens import SESSION_PREFIX, new_token, sha256_of
from pregao.edges.ids import uuid7


async def begin(request: Request, *, desk: Desk, email: str, is_known: bool = False) -> None:
    """
    Count a try; what succeeds is forgiven.

    :raises ApiError: when there were too many.
    """
    failures, now = _failures(request), desk.clock()
    address = request.scope["source_address"]
    wait = failures.begin(address=address, email=email, is_known=is_known, now=now)
    if wait and not is_known:
        # Strangers who try an e-mail do not close it to its owner where he came in before.
        known = {network_of(one) for one in await desk.logins.addresses_of(email)}
        if network_of(address) in known:
            wait = failures.begin(address=address, email=email, is_known=True, now=now)
    if wait:
        raise ApiError(
            429,
            "LOGIN_LIMITED",
            "Too many failed logins from this address or for this e-mail. Wait as Retry-After says.",
            retry_seconds=wait,
        )
    request.state.began_at = now


def forgive(request: Request, *, email: str) -> None:
    """Take back the try that was begun last."""
    _failures(request).forgive(
        address=request.scope["source_address"], email=email, began_at=request.state.began_at
    )


async def prove_password(email: str, password: str, *, desk: Desk, request: Request) -> Login:
    """
    Give whose e-mail and password these are. The try stays counted: whoever goes on forgives it.

    :raises ApiError: when they are nobody's, or there were too many tries.
    """
    await begin(request, desk=desk, email=email)
    login = await desk.logins.find_login(email)
    if login is not None:  # the audit log tells admins whose login failed; the caller is not told
        request.scope["action_targets"] = {"user_id": str(login.user.user_id)}
    known_hash = None if login is None else login.password_hash
    # Whether there is such a user takes as long to say as whether it is his password.
    is_right = await desk.passwords.verify(password, password_hash=known_hash)
    if login is None or not is_right:
        raise login_wrong()
    if not desk.passwords.is_outdated(login.password_hash):
        return login
    stronger = await desk.passwords.hash(password)
    await desk.logins.renew_password(
        login.user.user_id, former_hash=login.password_hash, password_hash=stronger
    )
    return replace(login, password_hash=stronger)


async def prove_code(code: str, *, login: Login, desk: Desk, status: int = 401) -> None:
    """
    Take a code of a user's app, or one of his recovery codes. Nobody comes in with it again.

    :raises ApiError: when it is none, or was taken before; when too many codes of the app were wrong.
    """
    typed, user_id = plain(code), login.user.user_id
    if is_recovery_code(typed):
        is_taken = await desk.second_factors.take_recovery_code(user_id, sha256_of(typed), now=desk.clock())
    else:
        now = desk.clock()
        if (until := await desk.second_factors.try_code(user_id, now=now)) is not None:
            raise _codes_limited(until - now)
        factor = await desk.second_factors.find(user_id)
        step = None if factor is None else step_of(typed, factor=factor, now=now)
        is_taken = step is not None and await desk.second_factors.take_step(user_id, step)
    if not is_taken:
        raise code_wrong(status)


async def begin_session(login: Login, *, desk: Desk, request: Request) -> tuple[Session, str]:
    """
    Begin a session of somebody who has proved himself, and give it with its token.

    :raises ApiError: when he was deactivated, or what proves him was changed, this very moment.
    """
    now, token = desk.clock(), new_token(SESSION_PREFIX)
    session = Session(
        session_id=uuid7(now),
        user_id=login.user.user_id,
        created_at=now,
        expires_at=now + SESSION_LASTS,
        last_used_at=now,
        source_address=request.scope["source_address"],
        user_agent=user_agent_of(request.scope),
    )
    if not await desk.logins.start_session(
        session,
        token_sha256=sha256_of(token),
        password_hash=login.password_hash,
        has_code=login.second_factor_since is not None,
    ):
        raise login_wrong()
    forgive(request, email=login.user.email)
    request.scope["principal"] = Principal(
        role=login.user.role,
        label="session",
        user_id=login.user.user_id,
        session_id=session.session_id,
    )
    request.scope["action_targets"] = {"session_id": str(session.session_id)}
    return session, token


def login_wrong() -> ApiError:
    """Give the refusal of a login, whatever was wrong with it."""
    return ApiError(401, "LOGIN_WRONG", "There is no active user with this e-mail and password.")


def code_needed() -> ApiError:
    """Give what a right password is answered where a code is needed beside it."""
    return ApiError(
        401,
        "SECOND_FACTOR_NEEDED",
        "The password is right. Send the code of your app, or a recovery code, as `code` too.",
    )


def code_wrong(status: int = 401) -> ApiError:
    """Give the refusal of a code."""
    return ApiError(
        status,
        "CODE_WRONG",
        "This is not the code of this moment, or it was used before. Wait for the next one.",
        field="code",
    )


def _codes_limited(wait: timedelta) -> ApiError:
    return ApiError(
        429,
        "CODES_LIMITED",
        "Too many wrong codes within a day: somebody may know the password. A recovery code is still taken.",
        retry_seconds=max(1, int(wait.total_seconds())),
    )


def _failures(request: Request) -> LoginFailures:
    failures: LoginFailures = request.app.state.login_failures
    return failures
