"""`pregao stops report` and `backfill`: how exits went, and stops for what was opened before one was asked for."""

from typing import Annotated

import typer

from pregao.edges.cli.desk import Json, call
from pregao.edges.cli.shown import show_fields, show_json, show_rows

app = typer.Typer()

LEFT_COLUMNS = {"position_id": "position", "code": "why", "reason": "what"}
FAILURE_COLUMNS = {
    "failed_at": "failed",
    "operation_id": "operation",
    "symbol": "symbol",
    "kind": "kind",
    "status": "status",
    "code": "why",
    "error": "error",
    "retry_count": "retries",
    "again_at": "again",
}
FIGURES = {
    "average_slippage_percent": "average slippage, % of the level",
    "max_slippage_percent": "largest slippage, % of the level",
    "average_seconds": "average seconds from trigger to fill",
    "max_seconds": "most seconds from trigger to fill",
}


@app.command()
def report(*, as_json: Json = False) -> None:
    """Say how the exits of stops and targets went: 24 hours by status, slippage and time; an hour of failures."""
    found = call("GET", "/stops/report")
    if as_json:
        show_json(found)
        return
    show_fields(found["executions_by_status"].items())
    print()
    show_fields((told, found[field]) for field, told in FIGURES.items())
    print()
    show_rows(found["failures"], FAILURE_COLUMNS, empty="Nothing failed within the last hour.")


@app.command()
def backfill(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; say what would be.")] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Positions in one transaction.")] = 1_000,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also stops that would trigger at once, or where no price is known."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Give a stop to every open position that has none although its settings ask for one; twice is once."""
    done = call(
        "POST", "/stops/backfill", body={"dry_run": dry_run, "batch_size": batch_size, "force": force}
    )
    if as_json:
        show_json(done)
        return
    show_fields((field, done[field]) for field in ("processed", "updated", "skipped"))
    if done["left"]:
        show_rows(done["left"], LEFT_COLUMNS, empty="")
    if dry_run:
        print("Nothing was changed: it was a dry run.")
