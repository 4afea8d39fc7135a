"""`pregao operation`: how large a trade may be."""

from typing import Annotated

import typer

from pregao.edges.cli.desk import Json, call
from pregao.edges.cli.shown import show_fields, show_json

app = typer.Typer(
    help="Operations: positions with their stops, and how large one may be.", no_args_is_help=True
)

SIZE_FIELDS = (
    "quantity", "position_value", "risk_amount", "risk_percent", "stop_distance", "stop_distance_percent",
)  # fmt: skip


@app.callback()
def operation() -> None:
    """Operations: positions with their stops."""


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
