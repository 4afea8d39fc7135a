"""`pregao flatten`: the jobs that sell out, and their receipts."""

from typing import Annotated, Any

import typer

from pregao.edges.cli.desk import Json, Limit, call
from pregao.edges.cli.shown import show_fields, show_json, show_rows

app = typer.Typer(help="Jobs that sell out: list, show, stop.", no_args_is_help=True)

FlattenId = Annotated[str, typer.Argument(metavar="FLATTEN", help="The job's id.")]

COLUMNS = {
    "flatten_id": "id",
    "level": "level",
    "name": "name",
    "status": "status",
    "accounts": "accounts",
    "proven": "proven flat",
    "reason": "why",
    "asked_by": "asked by",
    "started_at": "started",
    "ended_at": "ended",
}
FIELDS = (
    "flatten_id", "level", "name", "status", "keep_trading", "reason", "asked_by", "started_at", "ended_at", "ended_by",
    "end_reason", "accounts", "proven",
)  # fmt: skip
ACCOUNT_COLUMNS = {
    "account_name": "account",
    "proved_at": "proven flat at",
    "closed": "closed",
    "attempts": "attempts",
    "foreign": "not ours",
    "standing": "still stands",
    "why": "because",
}


@app.command(name="list")
def list_flattens(*, limit: Limit = 20, as_json: Json = False) -> None:
    """List the latest jobs."""
    jobs = call("GET", "/flatten", limit=limit)["items"]
    if as_json:
        show_json(jobs)
        return
    show_rows(jobs, COLUMNS, empty="Nobody has sold out yet.")


@app.command()
def show(flatten_id: FlattenId, *, as_json: Json = False) -> None:
    """Show a job's receipt, account by account."""
    job = call("GET", f"/flatten/{flatten_id}")
    if as_json:
        show_json(job)
        return
    show_receipt(job)


@app.command()
def stop(
    flatten_id: FlattenId,
    *,
    reason: Annotated[str, typer.Option(help="Why; kept with the job.")],
    as_json: Json = False,
) -> None:
    """Stop a job; exits it has asked for go on."""
    job = call("POST", f"/flatten/{flatten_id}/stop", body={"reason": reason})
    if as_json:
        show_json(job)
        return
    show_receipt(job)


def show_receipt(job: Any) -> None:
    """Print a job with its accounts."""
    show_fields((field, job[field]) for field in FIELDS)
    show_rows(
        [_row(one) for one in job["rows"]], ACCOUNT_COLUMNS, empty="The desk never held anything there."
    )


def _row(account: Any) -> dict[str, Any]:
    standing = [
        {"symbol": one["symbol"], "position_side": one["direction"], "quantity": one["quantity"]}
        for one in account["standing"]
    ]
    why = None if account["code"] is None else f"{account['code']}: {account['reason']}"
    return {
        **account,
        "closed": _places(account["closed"]),
        "foreign": _places(account["foreign"]),
        "standing": _places(standing),
        "why": why,
    }


def _places(places: Any) -> str:
    shown = [
        f"{one['quantity']} {one['symbol']}"
        + ("" if one["position_side"] == "both" else f" {one['position_side']}")
        for one in places
    ]
    return ", ".join(shown) or "-"
