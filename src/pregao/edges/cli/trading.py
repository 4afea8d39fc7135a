"""`pregao orders` and `pregao positions`: what the desk traded and what it holds."""

from typing import Annotated

import typer

from pregao.edges.cli.desk import Csv, Json, Limit, call, find_account_id, show_csv
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
FILL_COLUMNS = {
    "booked_at": "booked",
    "account_id": "account",
    "symbol": "symbol",
    "side": "side",
    "quantity": "quantity",
    "price": "price",
    "fee": "fee",
    "position_id": "position",
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
    as_csv: Csv = False,
) -> None:
    """List the latest orders."""
    account_id = None if account is None else find_account_id(account)
    query = {"account_id": account_id, "signal_id": signal, "status": status}
    if as_csv:
        show_csv("/orders", **query)
        return
    rows = call("GET", "/orders", limit=limit, **query)["items"]
    if as_json:
        show_json(rows)
        return
    show_rows(rows, ORDER_COLUMNS, empty="There are no orders.")


@app.command()
def positions(
    *,
    account: Account = None,
    live: Annotated[bool, typer.Option("--live", help="Pending, open and closing ones only.")] = False,
    symbol: Annotated[str | None, typer.Option(help="Whose symbol contains this.")] = None,
    limit: Limit = 20,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """List the latest positions."""
    account_id = None if account is None else find_account_id(account)
    query = {"account_id": account_id, "live_only": live, "symbol": symbol}
    if as_csv:
        show_csv("/positions", **query)
        return
    rows = call("GET", "/positions", limit=limit, **query)["items"]
    if as_json:
        show_json(rows)
        return
    show_rows(rows, POSITION_COLUMNS, empty="There are no positions.")


@app.command()
def fills(
    *,
    account: Account = None,
    signal: Annotated[str | None, typer.Option(help="Of this signal only: its id.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Of this symbol only.")] = None,
    limit: Limit = 20,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """List the latest fills."""
    account_id = None if account is None else find_account_id(account)
    query = {"account_id": account_id, "signal_id": signal, "symbol": symbol}
    if as_csv:
        show_csv("/fills", **query)
        return
    rows = call("GET", "/fills", limit=limit, **query)["items"]
    if as_json:
        show_json(rows)
        return
    show_rows(rows, FILL_COLUMNS, empty="There are no fills.")
