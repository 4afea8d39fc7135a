"""Speaks with the running desk over HTTP, as its admin or as PREGAO_TOKEN; says in one line why something was not done."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, NoReturn
from uuid import UUID

import typer

if TYPE_CHECKING:
    import httpx

API = "/api/v1"
ANSWER_SECONDS_MAX = 30.0  # opening a paper account asks the paper exchange first
FILE_SECONDS_MAX = 600.0  # a hundred thousand events are compared with what is there, and written
PAGE_ITEMS = 1_000
STAFF = frozenset({"operator", "admin"})  # who sees bots with the addresses their signals come in by

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Csv = Annotated[
    bool,
    typer.Option("--csv", help="Print all that is meant as CSV for spreadsheets; --limit does not count."),
]
Deployment = Annotated[str, typer.Argument(metavar="DEPLOYMENT", help="Its id, or BOT/SYMBOL.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=PAGE_ITEMS, help="How many, the latest first.")]


def call(method: str, path: str, *, body: Any = None, **query: Any) -> Any:
    """Ask the desk's API and give its answer; say why and end the command when there is none."""
    answer = send(method, f"{API}{path}", json=body, params=_named(query), headers=_token())
    if not answer.is_success:
        fail("\n".join(reasons(answer)))
    return answer.json()


def take(path: str, *, to: BinaryIO, **query: Any) -> int:
    """Write what the desk's API gives as a file, as it comes; give how many bytes these were."""
    import httpx

    address = _address()
    taken = 0
    try:
        with (
            _speaking_to(address) as client,
            client.stream("GET", f"{API}{path}", params=_named(query), headers=_token()) as answer,
        ):
            if not answer.is_success:
                answer.read()
                fail("\n".join(reasons(answer)))
            for part in answer.iter_bytes():
                to.write(part)
                taken += len(part)
    except httpx.TransportError as error:
        away(address, error)
    return taken


def show_csv(path: str, **query: Any) -> None:
    """Print a list of the desk's API as CSV, all of it."""
    take(path, to=sys.stdout.buffer, format="csv", **query)
    sys.stdout.buffer.flush()


def bring(path: str, file: Path, **query: Any) -> Any:
    """Send a file to the desk's API as a form, and give its answer."""
    try:
        with file.open("rb") as content:
            form = {"file": (file.name, content, "text/csv")}
            answer = send(
                "POST",
                f"{API}{path}",
                files=form,
                params=_named(query),
                headers=_token(),
                timeout=FILE_SECONDS_MAX,
            )
    except OSError as error:
        fail(f"FILE_UNREADABLE: file={file} reason={error.strerror}.", code=2)
    if not answer.is_success:
        fail("\n".join(reasons(answer)))
    return answer.json()


def find(path: str, *, missing: str) -> Any:
    """Ask for one thing; None where the desk answers that this is not there, with its code."""
    answer = send("GET", f"{API}{path}", headers=_token())
    if answer.status_code == 404 and reasons(answer)[0].startswith(f"{missing}:"):
        return None
    if not answer.is_success:
        fail("\n".join(reasons(answer)))
    return answer.json()


def call_all(path: str, **query: Any) -> list[Any]:
    """Give all items of a list, page after page."""
    items: list[Any] = []
    cursor = None
    while True:
        page = call("GET", path, limit=PAGE_ITEMS, cursor=cursor, **query)
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items


def send(method: str, path: str, **options: Any) -> Any:
    """Send one request to the desk and give the answer, whatever its status; end the command when nobody answers."""
    import httpx  # a command that fails before this should not have waited for it

    address = _address()
    try:
        with _speaking_to(address) as client:
            return client.request(method, path, **options)
    except httpx.TransportError as error:
        away(address, error)


def _speaking_to(address: str) -> "httpx.Client":
    """The desk is on this machine: a proxy of the environment has no business with the token, nor is there TLS to be believed."""
    import httpx

    is_tls = address.startswith("https:")  # to read the authorities would take longer than to ask
    return httpx.Client(base_url=address, timeout=ANSWER_SECONDS_MAX, trust_env=False, verify=is_tls)


def away(address: str, error: Exception) -> NoReturn:
    """Say that nobody answers there, and end the command."""
    fail(
        f"DESK_AWAY: address={address} reason={type(error).__name__}. "
        "The desk does not answer; start it with `python run.py`, or see why with `python run.py --logs`."
    )


def reasons(answer: Any) -> list[str]:
    """Give why a request was refused, one line each."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        return [f"{body['error'].get('code')}: {body['error'].get('message')}"]
    if isinstance(body, dict) and isinstance(body.get("detail"), list):
        return [
            f"SETTING_UNREADABLE: field={'.'.join(str(part) for part in one['loc'][1:])}. {one['msg']}."
            for one in body["detail"]
        ]
    return [
        f"ANSWER_UNREADABLE: status={answer.status_code}. Another program may be listening on the desk's port."
    ]


def fail(text: str, *, code: int = 1) -> NoReturn:
    """Say why on standard error and end the command."""
    print(text, file=sys.stderr)
    raise typer.Exit(code)


def find_bot_id(words: str) -> str:
    """Give the id of the bot with this id, webhook path or name; end the command when none or several have it."""
    if _is_uuid(words):
        return words
    is_staff = call("GET", "/auth/me")["role"] in STAFF
    bots = call_all("/bots" if is_staff else "/bot-subscriptions/available-bots")
    found = [bot for bot in bots if bot.get("webhook_path") == words] or [
        bot for bot in bots if bot["name"] == words and bot["status"] != "archived"
    ]
    return str(_only(found, words, kind="bot")["bot_id"])


def find_deployment_id(words: str) -> str:
    """Give the id of the deployment with this id, or of the one that feeds a bot's symbol."""
    bot, _, symbol = words.rpartition("/")
    if not bot:
        return words
    found = call_all("/strategies/deployments", bot_id=find_bot_id(bot))
    ours = [one["deployment_id"] for one in found if one["symbol"] == symbol.upper()]
    if len(ours) != 1:
        fail(f"DEPLOYMENT_UNCERTAIN: deployment={words} found={len(ours)}. See `pregao strategy list`.")
    return str(ours[0])


def find_account_id(words: str) -> int:
    """Give the id of the account with this id or name; end the command when none or several have it."""
    if words.isdigit():
        return int(words)
    found = [account for account in call_all("/exchange-accounts") if account["name"] == words]
    return int(_only(found, words, kind="account")["account_id"])


def find_user_id(words: str) -> str:
    """Give the id of the user with this id or e-mail; end the command when nobody has it."""
    if _is_uuid(words):
        return words
    email = words.strip().lower()
    found = [user for user in call_all("/admin/users") if user["email"] == email]
    return str(_only(found, words, kind="user")["user_id"])


def find_subscription_id(words: str) -> str:
    """Give the id of the subscription with this id, or of BOT/ACCOUNT by their ids or names."""
    if _is_uuid(words):
        return words
    bot, _, account = words.rpartition("/")
    if not bot or not account:
        fail(f"SUBSCRIPTION_UNCERTAIN: subscription={words}. Name it by its id, or as BOT/ACCOUNT.")
    path = "/bot-subscriptions/my-subscriptions"
    found = call_all(path, bot_id=find_bot_id(bot), account_id=find_account_id(account))
    return str(_only(found, words, kind="subscription")["subscription_id"])


def _only(found: list[Any], words: str, *, kind: str) -> Any:
    if len(found) != 1:
        remedy = f"See `pregao {kind} list`." if not found else "Name it by its id."
        fail(f"{kind.upper()}_UNCERTAIN: {kind}={words} found={len(found)}. {remedy}")
    return found[0]


def _is_uuid(words: str) -> bool:
    try:
        UUID(words)
    except ValueError:
        return False
    return True


def _named(query: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}


def _settings() -> Any:
    from pregao.environment import SettingError
    from pregao.settings import load_settings

    try:
        return load_settings()
    except SettingError as error:
        fail(str(error))


def _address() -> str:
    from pregao.edges.processes.state import find_listening
    from pregao.environment import is_told
    from pregao.settings import ENV_FILE

    settings = _settings()
    told = settings.server_host, settings.server_port
    # A setting given to the start alone is not known here: then the desk itself says where it listens.
    file = settings.state_dir / ENV_FILE
    is_given = is_told("SERVER_HOST", file) or is_told("SERVER_PORT", file)
    host, port = told if is_given else find_listening(settings.state_dir) or told
    # A desk that listens everywhere is also here.
    return f"http://{ {'0.0.0.0': '127.0.0.1', '::': '[::1]'}.get(host, host) }:{port}"


def _token() -> dict[str, str]:
    settings = _settings()
    token = settings.own_token.reveal() or settings.admin_token.reveal()
    if not token:
        fail(
            f"SETTING_MISSING: PREGAO_ADMIN_TOKEN is neither set nor in {settings.state_dir / 'env'}. "
            "Start the desk once with `python run.py`, or set PREGAO_STATE_DIR to its folder."
        )
    return {"Authorization": f"Bearer {token}"}
