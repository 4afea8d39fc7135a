"""`pregao account`: open, list and show exchange accounts; put their keys under a new master key."""

from typing import Annotated, Any

import typer

from pregao.edges.cli.desk import Json, call, call_all, find_account_id, find_user_id
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
}


@app.command(name="create", help="Open an account; the same as `add`.")
@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What you call it.")],
    *,
    venue: Annotated[str, typer.Option(help="paper, binance_demo or binance.")] = "paper",
    balance_usdt: Annotated[str | None, typer.Option(help="What a paper account starts with.")] = None,
    position_mode: Annotated[str, typer.Option(help="one_way or hedge.")] = "one_way",
    margin_mode: Annotated[str, typer.Option(help="crossed or isolated.")] = "crossed",
    user: Annotated[str | None, typer.Option(help="Whose it is: id or e-mail; else the desk's own.")] = None,
    main: Annotated[bool, typer.Option("--main", help="It is its owner's main account.")] = False,
    as_json: Json = False,
) -> None:
    """
    Open an account.

    Key and secret of a real venue are asked for and not shown: on a command line others could read them.
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
    if venue != "paper":
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
def rewrap(*, as_json: Json = False) -> None:
    """Put every account's key under the desk's present master key, after it was changed."""
    answer = call("POST", "/exchange-accounts/rewrap")
    if as_json:
        show_json(answer)
        return
    print(
        f"{answer['rewrapped']} accounts were under another master key; all are under {answer['master_key']} now."
    )
