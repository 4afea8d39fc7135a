"""`pregao operation`: positions with their stops, listed, shown, given up; and how large one may be."""

from typing import Annotated, Any

import typer

from pregao.edges.cli.desk import Json, Limit, call
from pregao.edges.cli.shown import show_fields, show_json, show_rows

app = typer.Typer(
    help="Operations: positions with their stops, and how large one may be.", no_args_is_help=True
)

SIZE_FIELDS = (
    "quantity", "position_value", "risk_amount", "risk_percent", "stop_distance", "stop_distance_percent",
)  # fmt: skip

COLUMNS = {
    "operation_id": "id",
    "account_name": "account",
    "symbol": "symbol",
    "side": "side",
    "status": "status",
    "quantity": "quantity",
    "average_entry_price": "entry",
    "stop_price": "stop",
    "target_price": "target",
    "risk_amount": "at risk",
    "realized_pnl": "realized PnL",
    "strategy": "strategy",
    "close_reason": "why",
}

Operation = Annotated[int, typer.Argument(metavar="OPERATION", help="The operation's id.", min=1)]


@app.command(name="list")
def list_operations(
    *,
    status: Annotated[str | None, typer.Option(help="planned, active, closed or cancelled.")] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List the latest operations."""
    rows = call("GET", "/operations", status=status and status.upper(), limit=limit)["items"]
    if as_json:
        show_json(rows)
        return
    show_rows(rows, COLUMNS, empty="There are no operations.")


@app.command()
def show(operation: Operation, *, as_json: Json = False) -> None:
    """Show one operation."""
    _say(call("GET", f"/operations/{operation}"), as_json=as_json)


@app.command()
def cancel(operation: Operation, *, as_json: Json = False) -> None:
    """Give an operation up: what is held is closed now, and what still fills is closed at once."""
    _say(call("POST", f"/operations/{operation}/cancel")["operation"], as_json=as_json)


@app.command()
def close(operation: Operation, *, as_json: Json = False) -> None:
    """Close what an operation holds, now, at the market."""
    _say(call("POST", f"/operations/{operation}/close")["operation"], as_json=as_json)


@app.command()
def stop(
    operation: Operation,
    price: Annotated[str, typer.Argument(help="Where the stop is to stand.")],
    *,
    reason: Annotated[str, typer.Option(help="Why; kept with the stop.")],
    force: Annotated[
        bool, typer.Option("--force", help="Also where it would trigger at once, or no price is known.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Move an operation's stop, whichever way; its initial stop stays."""
    body = {"stop_price": price, "reason": reason, "force": force}
    _say(call("POST", f"/operations/{operation}/stop", body=body), as_json=as_json)


@app.command()
def size(
    *,
    capital: Annotated[str, typer.Option(help="What the risk is a share of.")],
    entry: Annotated[str, typer.Option(help="The price it would open at.")],
    stop: Annotated[str, typer.Option(help="The price its stop lies at.")],
    side: Annotated[str, typer.Option(help="buy opens a long, sell a short.")] = "buy",
    risk: Annotated[str, typer.Option(help="How much of the capital the stop may cost, in percent.")] = "1",
    as_json: Json = False,
) -> None:
    """Say how large a trade may be, so that its stop costs no more than asked."""
    asked = {
        "side": side,
        "capital": capital,
        "entry_price": entry,
        "stop_price": stop,
        "max_risk_percent": risk,
    }
    found = call("POST", "/operations/calculate-size", body=asked)
    if as_json:
        show_json(found)
        return
    show_fields((field, found[field]) for field in SIZE_FIELDS)
    if found["is_capped"]:
        print("Half of the capital was reached first: less is risked than asked.")
    for warning in found["warnings"]:
        print(f"{warning}: the stop is {found['stop_distance_percent']} % away.")


def _say(shown: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(shown)
        return
    show_fields(shown.items())
