"""`pregao sell-all`: close all that is held, on the whole desk or on what is named, and wait until it is proven."""

import sys
import time
from typing import Annotated, Any

import typer

from pregao.edges.cli.desk import Json, call, fail
from pregao.edges.cli.flattens import show_receipt
from pregao.edges.cli.shown import show_json, show_rows
from pregao.edges.cli.states import Account, Bot, Symbol, User, named_scope

app = typer.Typer()

LOOK_SECONDS = 0.5

POSITION_COLUMNS = {
    "account_name": "account",
    "venue": "venue",
    "symbol": "symbol",
    "direction": "direction",
    "status": "status",
    "quantity": "quantity",
}


@app.command(name="sell-all")
def sell_all(
    *,
    reason: Annotated[str, typer.Option(help="Why; kept with the job.")],
    user: User = None,
    account: Account = None,
    bot: Bot = None,
    symbol: Symbol = None,
    keep_trading: Annotated[
        bool, typer.Option("--keep-trading", help="Let entries go on meanwhile.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing.")] = False,
    wait_seconds: Annotated[
        float, typer.Option(min=0, help="How long to watch the job; it goes on without you.")
    ] = 120,
    as_json: Json = False,
) -> None:
    """Close all that is held; the job goes on until every account is proven flat."""
    scope = named_scope(user=user, account=account, bot=bot, symbol=symbol)
    if not yes:
        _confirm(call("POST", "/flatten/preview", body=scope))
    started = call("POST", "/flatten", body={**scope, "reason": reason, "keep_trading": keep_trading})
    job = _watch(started, seconds=wait_seconds)
    if as_json:
        show_json(job)
    else:
        show_receipt(job)
        if not keep_trading:
            print(f"Nothing is entered on {job['name']} until `pregao resume` is asked for it.")
    if job["status"] == "running":
        fail(
            f"FLATTEN_UNFINISHED: flatten={job['flatten_id']} accounts={job['accounts']} proven={job['proven']}. "
            f"It goes on by itself; `pregao flatten show {job['flatten_id']}` says how far it is."
        )
    if job["status"] == "stopped":
        fail(
            f"FLATTEN_ENDED: flatten={job['flatten_id']} status=stopped by {job['ended_by']}: {job['end_reason']}"
        )


def _confirm(preview: Any) -> None:
    """Show what would be closed, and go on only when somebody types its name."""
    print(
        f"Open on {preview['name']}: {len(preview['positions'])} positions on {preview['accounts']} accounts."
    )
    show_rows(preview["positions"], POSITION_COLUMNS, empty="Nothing is open there.")
    typed = typer.prompt(f"Type {preview['name']!r} to close all of it", default="", show_default=False)
    if typed.strip() != preview["name"]:
        fail("NOT_CONFIRMED: Nothing was closed. Type the name as it stands, or give --yes.")


def _watch(job: Any, *, seconds: float) -> Any:
    from rich.console import Console  # rich is slow to load, and a command that is refused does without
    from rich.progress import Progress

    until = time.monotonic() + seconds
    is_seen = sys.stderr.isatty()
    with Progress(console=Console(stderr=True), transient=True, disable=not is_seen) as bar:
        proven = bar.add_task("accounts proven flat", total=job["accounts"])
        while job["status"] == "running" and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
            job = call("GET", f"/flatten/{job['flatten_id']}")
            bar.update(proven, completed=job["proven"], total=job["accounts"])
    return job
