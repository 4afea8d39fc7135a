"""`pregao journal`: prove that the state is the fold of the journal; say that it was put back."""

import asyncio
import json
from dataclasses import asdict
from typing import Annotated

import typer

from pregao.edges.cli import _database_url

app = typer.Typer(help="The journal: everything that happened.", no_args_is_help=True)


@app.callback()
def journal() -> None:
    """The journal: everything that happened."""


@app.command()
def rebuild(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Fold it again beside the state, compare, change nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Fold the journal again and compare every row of the state with it; exit 1 when they differ."""
    from pregao.edges.postgres.journal import open_journal
    from pregao.edges.postgres.rebuild import Comparison, compare_with_journal

    if not check:
        typer.echo(
            "REBUILD_NEEDS_CHECK: add --check; replacing the state by the fold is not offered.", err=True
        )
        raise typer.Exit(2)

    async def compare() -> Comparison:
        opened = await open_journal(_database_url(), connections_max=1)
        try:
            return await compare_with_journal(opened)
        finally:
            await opened.pool.close()

    found = asyncio.run(compare())
    if as_json:
        typer.echo(json.dumps(asdict(found)))
    else:
        for one in found.differences:
            typer.echo(
                f"{one.table}: {one.only_in_state} rows only in the state, {one.only_in_fold} only in the fold"
            )
            typer.echo(f"  {one.example}")
        verdict = "differs from" if found.differences else "equals"
        typer.echo(f"The state {verdict} the fold of {found.facts} facts.")
    if found.differences:
        raise typer.Exit(1)


@app.command()
def restored() -> None:
    """Say that this database was put back from a backup, where nobody could notice; then start the desk."""
    import asyncpg

    from pregao.edges.postgres.checks import mark_forgotten
    from pregao.edges.postgres.workers import living_workers

    async def mark() -> int:
        connection = await asyncpg.connect(_database_url(), server_settings={"search_path": "pregao"})
        try:
            if traders := await living_workers(connection, role="trader"):
                typer.echo(f"TRADERS_RUNNING: {' '.join(traders)}. End the desk first.", err=True)
                raise typer.Exit(1)
            async with connection.transaction():
                # The server may be another: what reads and counts from a transaction's number on begins anew.
                await connection.execute("SELECT begin_epoch()")
                return await mark_forgotten(connection)
        finally:
            await connection.close()

    accounts = asyncio.run(mark())
    typer.echo(
        f"{accounts} accounts are looked at before anything is closed or opened there. Start the desk."
    )
