"""`pregao stops monitor`, `trail`, `rebuild`: look at every armed stop now, and at what is written of them."""

import asyncio
import contextlib
import importlib
import json
import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

from pregao.edges.cli import _database_url, _settings
from pregao.edges.cli.desk import Json

app = typer.Typer()

PROJECTION = ("stops", "stop_moves", "stop_claims", "protections")

DryRun = Annotated[bool, typer.Option("--dry-run", help="Change nothing; say what would be.")]


@app.command()
def monitor(
    *,
    dry_run: DryRun = False,
    continuous: Annotated[
        bool, typer.Option("--continuous", help="Look again and again, until Ctrl-C.")
    ] = False,
    interval: Annotated[float, typer.Option(min=0.5, help="Seconds between two looks.")] = 5.0,
    as_json: Json = False,
) -> None:
    """
    Ask the venues for their prices and exit what is reached; exit 1 when an exit failed.

    It may run beside the desk's own monitor, and from cron: a level is claimed once, whoever sees it.
    """
    poll = importlib.import_module("pregao.bootstrap.poll")  # an upper floor, named as the roles are
    _log_to_stderr()

    def tell(event: dict[str, Any]) -> None:
        typer.echo(json.dumps(event) if as_json else _told(event))

    found = None
    with contextlib.suppress(KeyboardInterrupt):
        found = asyncio.run(
            poll.monitor_once(
                _settings(), dry_run=dry_run, told=tell, every_seconds=interval if continuous else None
            )
        )
    if found is not None and not found.triggers and not as_json:
        typer.echo("No triggers")
    if found is not None and found.failures:
        raise typer.Exit(1)


@app.command()
def trail(*, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Ask the venues for their prices and move the stops that follow them; a running monitor does it by itself."""
    poll = importlib.import_module("pregao.bootstrap.poll")
    _log_to_stderr()

    def tell(event: dict[str, Any]) -> None:
        typer.echo(json.dumps(event) if as_json else _told(event))

    moved = asyncio.run(poll.follow_once(_settings(), dry_run=dry_run, told=tell))
    if not moved and not as_json:
        typer.echo("No adjustments")


@app.command()
def rebuild(*, as_json: Json = False) -> None:
    """Fold the journal again and compare the stops, their moves and their executions with it; exit 1 when they differ."""
    from pregao.edges.postgres.journal import open_journal
    from pregao.edges.postgres.rebuild import Comparison, compare_with_journal

    async def compare() -> Comparison:
        opened = await open_journal(_database_url(), connections_max=1)
        try:
            return await compare_with_journal(opened)
        finally:
            await opened.pool.close()

    found = asyncio.run(compare())
    differences = [one for one in found.differences if one.table in PROJECTION]
    if as_json:
        shown = {"facts": found.facts, "differences": [asdict(one) for one in differences]}
        typer.echo(json.dumps(shown))
    else:
        for one in differences:
            typer.echo(
                f"{one.table}: {one.only_in_state} rows only in the state, {one.only_in_fold} only in the fold"
            )
            typer.echo(f"  {one.example}")
        verdict = "differs from" if differences else "equals"
        typer.echo(f"What is written of stops {verdict} the fold of {found.facts} facts.")
    if differences:
        raise typer.Exit(1)


def _log_to_stderr() -> None:
    """What is told stands alone on the standard output."""
    import structlog

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))


def _told(event: dict[str, Any]) -> str:
    number = event["operation_id"]
    if event["type"] == "trigger":
        return (
            f"{event['trigger_type']} of operation {number} on {event['symbol']}: price {event['current_price']} has "
            f"reached {event['trigger_price']}, expected result {event['expected_pnl']}"
        )
    if event["type"] == "adjustment":
        return (
            f"stop of operation {number} on {event['symbol']}: {event['old_stop']} to {event['new_stop']} at "
            f"{event['current_price']} ({event['reason']})"
        )
    if event["success"]:
        return f"operation {number} exited, result {event['pnl']}, order {event['order_id']}"
    return f"operation {number} not exited: {event['error']}"
