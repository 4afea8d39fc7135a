"""`pregao drift`: whether each account holds at its venue what the books say."""

from typing import Annotated, Any

import typer

from pregao.edges.cli.desk import Json, call_all
from pregao.edges.cli.shown import show_json, show_rows

app = typer.Typer()

COLUMNS = {
    "account_id": "id",
    "account": "account",
    "venue": "venue",
    "checked_at": "compared",
    "agreed_at": "agreed",
    "unreconciled_since": "in doubt since",
    "differs": "differs",
}


@app.command()
def drift(
    *,
    only: Annotated[
        bool, typer.Option("--only", help="Only accounts that differ, or whose past is not known yet.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List accounts: when each was compared with its venue, and what it holds beside the books."""
    found = call_all("/drift", only_drifting=only)
    if as_json:
        show_json(found)
        return
    rows = [{**one, "differs": "; ".join(_said(place) for place in one["differences"])} for one in found]
    show_rows(rows, COLUMNS, empty="Nothing differs." if only else "There are no accounts.")


def _said(place: dict[str, Any]) -> str:
    side = "" if place["position_side"] == "both" else f" {place['position_side']}"
    return f"{place['symbol']}{side}: {place['venue']} there, {place['ours']} here"
