"""`pregao orders` and `pregao positions`: what the desk traded and what it holds."""

from typing import Annotated

import typer

from pregao.edges.cli.desk import Json, Limit, call, find_account_id
from pregao.edges.cli.shown import show_json, show_rows

app = typer.Typer()

Account = Annotated[str | None, typer.Option(help="Of this account only: its id or name.")]

ORDER_COLUMNS = {
    "planned_at": "planned",
    "account_id": "account",
    "symbol": "symbol",
    "leg": "leg",
    "side": "side",
    "status": "status",
    "code": "why",
    "quantity": "quantity",
    "filled_quantity": "filled",
    "average_price": "price",
    "slippage_bps": "slippage bps",
    "order_id": "order",
}
POSITION_COLUMNS = {
    "position_id": "id",
    "account_id": "account",
    "symbol": "symbol",
    "direction": "direction",
    "status": "status",
    "quantity": "quantity",
    "entry_price": "entry",
    "exit_price": "exit",
    "fees": "fees",
    "realized_pnl": "realized PnL",
    "opened_at": "opened",
    "closed_at": "closed",
    "close_reason": "why",
}


@app.command()
def orders(
    *,
    account: Account = None,
    signal: Annotated[str | None, typer.Option(help="Of this signal only: its id.")] = None,
    status: Annotated[str | None, typer.Option(help="For example filled, denied, unresolved.")] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List the latest orders."""
    account_id = None if account is None else find_account_id(account)
    rows = call("GET", "/orders", account_id=account_id, signal_id=signal, status=status, limit=limit)[
        "items"
    ]
    if as_json:
        show_json(rows)
        return
    show_rows(rows, ORDER_COLUMNS, empty="There are no orders.")


@app.command()
def positions(
    *,
    account: Account = None,
    live: Annotated[bool, typer.Option("--live", help="Pending, open and closing ones only.")] = False,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List the latest positions."""
    account_id = None if account is None else find_account_id(account)
    rows = call("GET", "/positions", account_id=account_id, live_only=live, limit=limit)["items"]
    if as_json:
        show_json(rows)
        return
    show_rows(rows, POSITION_COLUMNS, empty="There are no positions.")
