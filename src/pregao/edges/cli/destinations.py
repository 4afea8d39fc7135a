"""`pregao destination`: how many forwards leave in a minute."""

from typing import Annotated, Any

import typer

from pregao.edges.cli.desk import Json, call
from pregao.edges.cli.shown import show_fields, show_json, show_rows

app = typer.Typer(help="Where signals are forwarded to, and how fast.", no_args_is_help=True)

FIELDS = ("max_per_minute", "is_enabled", "set_by", "set_at")
COLUMNS = {
    "account_id": "account",
    "taken": "taken",
    "left": "left",
    "is_full": "full",
    "limited": "waited",
    "freed_at": "last freed",
}


@app.command()
def limit(
    *,
    per_minute: Annotated[
        int | None, typer.Option(help="Forwards a minute to each destination, 1 to 300.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say how many forwards may leave in a minute and how many did; with `--per-minute`, change it."""
    if per_minute is None:
        _say(call("GET", "/destinations/limit"), as_json=as_json)
    else:
        _say(call("PATCH", "/destinations/limit", body={"max_per_minute": per_minute}), as_json=as_json)


@app.command()
def pause(*, as_json: Json = False) -> None:
    """Pause the limit: forwards pass without waiting."""
    _say(call("POST", "/destinations/limit/pause"), as_json=as_json)


@app.command()
def resume(*, as_json: Json = False) -> None:
    """Resume the limit; what was sent meanwhile counts."""
    _say(call("POST", "/destinations/limit/resume"), as_json=as_json)


def _say(found: Any, *, as_json: bool) -> None:
    if as_json:
        show_json(found)
        return
    show_fields((name, found[name]) for name in FIELDS)
    print()
    show_rows(found["destinations"], COLUMNS, empty="Nothing was forwarded yet.")
