"""`pregao top` and `pregao summary`: who did best, and what days, weeks and months came to."""

from typing import Annotated, Any

import typer

from pregao.edges.cli.desk import Json, call
from pregao.edges.cli.performance import RESULT_COLUMNS
from pregao.edges.cli.shown import show_json, show_rows

app = typer.Typer()

TOP_COLUMNS = {"shown_name": "name", **RESULT_COLUMNS}
SUMMARY_COLUMNS = {
    "first_day": "from",
    "received": "signals",
    "approved": "approved",
    "rejected": "rejected",
    "forwarded": "forwarded",
    "opened": "opened",
    "closed": "closed",
    "win_rate_pct": "win rate %",
    "pnl_usd": "PnL USD",
    "fees_usd": "fees USD",
}


@app.command()
def top(
    *,
    by: Annotated[str, typer.Option(help="symbol, bot or account.")] = "symbol",
    sort: Annotated[str, typer.Option(help="pnl, win_rate or closed.")] = "pnl",
    days: Annotated[
        int, typer.Option("--days", min=1, max=366, help="How many UTC days, today included.")
    ] = 30,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, help="How many.")] = 10,
    as_json: Json = False,
) -> None:
    """List the symbols, bots or accounts that did best by what was closed."""
    found = call("GET", "/performance/top", by=by, sort=sort, days=days, limit=limit)
    if as_json:
        show_json(found)
        return
    rows = [{"shown_name": one["name"] or one["subject"], **one["results"]} for one in found["performers"]]
    show_rows(rows, TOP_COLUMNS, empty="Nothing was closed in these days.")


@app.command()
def summary(
    *,
    period: Annotated[str, typer.Option(help="day, week or month.")] = "day",
    count: Annotated[
        int, typer.Option("--count", min=1, max=366, help="How many, the present one the last.")
    ] = 7,
    as_json: Json = False,
) -> None:
    """Sum up days, weeks or months: signals, positions, and what they earned."""
    found = call("GET", "/performance/summaries", period=period, count=count)
    if as_json:
        show_json(found)
        return
    show_rows([_row(one) for one in found["spans"]], SUMMARY_COLUMNS, empty="")


def _row(span: dict[str, Any]) -> dict[str, Any]:
    return {**span["signals"], **span["results"], "first_day": span["first_day"], "opened": span["opened"]}
