"""`pregao account`: open, list and show exchange accounts; give the desk a new master key."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

import typer

from pregao.edges.cli.desk import Json, call, call_all, fail, find_account_id, find_user_id
from pregao.edges.cli.shown import show_fields, show_json, show_rows

app = typer.Typer(help="Exchange accounts: who trades.", no_args_is_help=True)

COLUMNS = {
    "account_id": "id",
    "name": "name",
    "venue": "venue",
    "position_mode": "positions",
    "margin_mode": "margin",
    "is_active": "active",
    "is_main": "main",
    "user_id": "user",
    "has_credentials": "credentials",
    "light": "light",
}
LIGHTS = {
    "account_id": "id",
    "name": "name",
    "venue": "venue",
    "light": "light",
    "codes": "not as it should be",
}
CHECKS = {
    "check": "check",
    "result": "result",
    "code": "code",
    "bot_name": "bot",
    "symbol": "symbol",
    "numbers": "numbers",
    "remedy": "what to do",
}


@app.command(name="create", help="Open an account; the same as `add`.")
@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What you call it.")],
    *,
    venue: Annotated[str, typer.Option(help="paper, binance_demo, binance or webhook.")] = "paper",
    balance_usdt: Annotated[str | None, typer.Option(help="What a paper account starts with.")] = None,
    position_mode: Annotated[str, typer.Option(help="one_way or hedge.")] = "one_way",
    margin_mode: Annotated[str, typer.Option(help="crossed or isolated.")] = "crossed",
    user: Annotated[str | None, typer.Option(help="Whose it is: id or e-mail; else the desk's own.")] = None,
    main: Annotated[bool, typer.Option("--main", help="It is its owner's main account.")] = False,
    timeout_seconds: Annotated[
        int | None, typer.Option(help="Of a webhook: longest wait for an answer, 1 to 60; else 5.")
    ] = None,
    honours_idempotency: Annotated[
        bool,
        typer.Option(
            "--honours-idempotency",
            help="Of a webhook: it takes one Idempotency-Key once, so it may be posted again.",
        ),
    ] = False,
    body_form: Annotated[
        str | None, typer.Option("--body", help="Of a webhook: plain or traderspost; else plain.")
    ] = None,
    as_json: Json = False,
) -> None:
    """
    Open an account.

    Key and secret of a real venue, and the URL of a webhook, are asked for and not shown: on a command line others could
    read them.
    """
    body: dict[str, Any] = {
        "name": name,
        "venue": venue,
        "position_mode": position_mode,
        "margin_mode": margin_mode,
    }
    if user is not None:
        body["user_id"] = find_user_id(user)
    if main:
        body["is_main"] = True
    if balance_usdt is not None:
        body["balance_usdt"] = balance_usdt
    told = {"timeout_seconds": timeout_seconds, "body": body_form}
    destination = {name: value for name, value in told.items() if value is not None}
    if honours_idempotency:
        destination["honours_idempotency"] = True
    if venue == "webhook":
        destination["url"] = typer.prompt("URL", hide_input=True, err=True)
    if destination:
        body["destination"] = destination
    if venue not in ("paper", "webhook"):
        body["api_key"] = typer.prompt("API key", hide_input=True, err=True)
        body["secret_key"] = typer.prompt("Secret key", hide_input=True, err=True)
    account = call("POST", "/exchange-accounts", body=body)
    if as_json:
        show_json(account)
        return
    show_fields((field, account[field]) for field in COLUMNS)


@app.command(name="list")
def list_accounts(*, as_json: Json = False) -> None:
    """List the accounts."""
    accounts = call_all("/exchange-accounts")
    if as_json:
        show_json(accounts)
        return
    show_rows(accounts, COLUMNS, empty="There are no accounts. `pregao account add NAME` opens one on paper.")


@app.command()
def show(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its id or name.")],
    *,
    as_json: Json = False,
) -> None:
    """Show one account; its credentials are never shown."""
    shown = call("GET", f"/exchange-accounts/{find_account_id(account)}")
    if as_json:
        show_json(shown)
        return
    show_fields(shown.items())


@app.command()
def check(
    account: Annotated[
        str | None, typer.Argument(metavar="[ACCOUNT]", help="Its id or name; else all.")
    ] = None,
    *,
    fix: Annotated[
        bool, typer.Option("--fix", help="Set the position mode at the venue, where nothing is open.")
    ] = False,
    as_json: Json = False,
) -> None:
    """
    Have an account looked over now; without one, list how all stood when they were looked over last.

    It ends with 1 when a light is blocked.
    """
    if account is None:
        if fix:
            fail("ACCOUNT_MISSING: --fix is for one account. Name it.")
        _show_lights(as_json=as_json)
        return
    path = f"/exchange-accounts/{find_account_id(account)}/preflight"
    found = call("POST", path, body={"fix": fix})
    if as_json:
        show_json(found)
    else:
        show_fields([("light", found["light"]), ("checked_at", found["checked_at"])])
        lines = [{**line, "numbers": _pairs(line["numbers"])} for line in found["checks"]]
        show_rows(lines, CHECKS, empty="Nothing is known of it yet.")
        if found["is_pending"]:
            print("No trader has looked at it in time; this is what was known before.")
    raise typer.Exit(code=int(found["light"] == "blocked"))


def _show_lights(*, as_json: bool) -> None:
    accounts = call_all("/exchange-accounts", is_active=True)
    if as_json:
        show_json(accounts)
    else:
        lines = [{**one, "codes": " ".join(one["light_codes"])} for one in accounts]
        show_rows(lines, LIGHTS, empty="There are no active accounts.")
    raise typer.Exit(code=int(any(one["light"] == "blocked" for one in accounts)))


def _pairs(numbers: dict[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in numbers.items())


@app.command()
def rewrap(*, as_json: Json = False) -> None:
    """Put every account's key under the desk's present master key, after it was changed."""
    answer = call("POST", "/exchange-accounts/rewrap")
    if as_json:
        show_json(answer)
        return
    print(
        f"{answer['rewrapped']} accounts were under another master key; all are under {answer['master_key']} now."
    )


@app.command(name="rotate-master-key")
def rotate_master_key(
    *,
    keep_former: Annotated[
        bool, typer.Option("--keep-former", help="Do not forget the former key yet; run it again to do so.")
    ] = False,
    leave_unreadable: Annotated[
        bool, typer.Option("--leave-unreadable", help="Leave credentials that no key opens as they are.")
    ] = False,
    file_is_shared: Annotated[
        bool,
        typer.Option("--file-is-shared", help="Traders on other machines read this very state folder."),
    ] = False,
    as_json: Json = False,
) -> None:
    """
    Make a new master key, put every account's credentials under it, forget the former one. The desk goes on.

    It runs on the desk's machine, beside the database, and may be run again after whatever stopped it.
    """
    rotation = asyncio.run(
        _rotate(keep_former=keep_former, leave_unreadable=leave_unreadable, file_is_shared=file_is_shared)
    )
    if as_json:
        show_json(rotation)
        return
    if not rotation["is_new"]:
        print("An earlier rotation was not finished; this one finished it and made no other key.")
    print(
        f"{rotation['rewrapped']} accounts were put under the master key {rotation['master_key']}, "
        f"and {rotation['opened']} opened under it alone."
    )
    if rotation["unreadable"]:
        print(f"Left as they are: accounts {', '.join(map(str, rotation['unreadable']))}; no key opens them.")
    if rotation["is_forgotten"]:
        print(f"{', '.join(rotation['former'])} is forgotten. Keep a copy of the new file `env`.")
    else:
        print(f"{', '.join(rotation['former'])} is kept beside it. Run it again without --keep-former.")


async def _rotate(**options: bool) -> dict[str, Any]:
    from pregao.edges.postgres.journal import open_journal
    from pregao.edges.postgres.pool import AWAY
    from pregao.edges.vault.rotation import RotationError, rotate_master_key
    from pregao.environment import SettingError
    from pregao.settings import load_settings

    try:
        settings = load_settings()
        journal = await open_journal(settings.database_url, connections_max=2)
        try:
            return asdict(await rotate_master_key(journal, state_dir=settings.state_dir, **options))
        finally:
            journal.pool.terminate()
    except (SettingError, RotationError) as error:
        fail(str(error))
    except AWAY as error:
        fail(
            f"ROTATION_STOPPED: reason={type(error).__name__}. The database or the state folder was away; both keys "
            "stay in the file, nothing is lost. Run it again."
        )
