"""`pregao breakers`: which venues and symbols take no entries just now."""

import typer

from pregao.edges.cli.desk import Json, call_all
from pregao.edges.cli.shown import show_json, show_rows

app = typer.Typer()

COLUMNS = {
    "name": "name",
    "scope": "scope",
    "state": "state",
    "failure_count": "failures",
    "success_count": "successes",
    "half_open_calls": "probes",
    "last_failure_time": "last failure",
    "next_try_at": "next try",
    "told_by": "told by",
}


@app.command()
def breakers(*, as_json: Json = False) -> None:
    """List the circuit breakers of venues and symbols."""
    found = call_all("/breakers")
    if as_json:
        show_json(found)
    else:
        show_rows(found, COLUMNS, empty="No process has told of a breaker yet.")
