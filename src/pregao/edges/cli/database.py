"""`pregao db`: the database's schema; what is forgotten of it, and how to clear it."""

import asyncio
from typing import Annotated, Any

import typer

from pregao.edges.cli import _database_url, _fail
from pregao.edges.cli.desk import Json, call, fail
from pregao.edges.cli.shown import show_fields, show_json

app = typer.Typer(help="The database.", no_args_is_help=True)

Yes = Annotated[bool, typer.Option("--yes", help="Ask nothing.")]


@app.callback()
def database() -> None:
    """The database."""


@app.command()
def migrate(
    *,
    forgetful: Annotated[
        bool, typer.Option("--forgetful", help="Accept a server that may forget commits: for trials only.")
    ] = False,
) -> None:
    """Bring the database to this version's schema; refuse one that would forget commits in a crash."""
    from pregao.edges.postgres.migrate import migrate as migrate_database
    from pregao.edges.processes.doctor import examine_database

    dsn = _database_url()
    findings = asyncio.run(examine_database(dsn))
    if wrong := [finding for finding in findings if not finding.is_fine and not forgetful]:
        _fail("\n".join(f"DATABASE_UNSAFE: {f.subject}={f.found}. {f.remedy}" for f in wrong))
    migrate_database(dsn)
    typer.echo("The database has this version's schema.")


@app.command()
def clear(
    *,
    reason: Annotated[str, typer.Option(help="Why; kept in the journal.")],
    force: Annotated[
        bool, typer.Option("--force", help="Forget what is held and on its way, too; nobody guards it then.")
    ] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Delete every signal, order, fill and position of the running desk; what people have set up stays."""
    from pregao.domain.clearing import WORD

    if not yes:
        print("Every signal, order, fill and position is deleted, for good. Bots, accounts and people stay.")
        typed = typer.prompt(f"Type {WORD!r} to do it", default="", show_default=False)
        if typed.strip() != WORD:
            fail(f"NOT_CONFIRMED: Nothing was deleted. Type {WORD} as it stands, or give --yes.")
    body = {"confirm": WORD, "reason": reason, "force": force}
    told: dict[str, Any] = call("POST", "/database/clear", body=body)
    if as_json:
        show_json(told)
        return
    print(
        f"Deleted: {told['signals']} signals, {told['events']} events, {told['orders']} orders, {told['fills']} fills, "
        f"{told['positions']} positions."
    )
    if told["is_forced"]:
        print("What was held stands at its venue: see `pregao drift list` when the accounts were compared.")


@app.command()
def cleanup(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would be forgotten; forget nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Forget what is over and old now, as the desk does by itself every hour; it must be running."""
    forgotten = call("POST", "/cleanup", body={"dry_run": dry_run})
    if as_json:
        show_json(forgotten)
    else:
        show_fields(forgotten.items())


@app.command()
def retention(
    *,
    signal_days: Annotated[
        int | None, typer.Option("--signal-days", min=1, max=3650, help="For finished signals and positions.")
    ] = None,
    metrics_days: Annotated[
        int | None,
        typer.Option(
            "--metrics-days", min=1, max=3650, help="For deliveries turned away and the screener's runs."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show for how many days what is over is remembered, or change it; fewer than seven act as seven."""
    asked = {"signal_days": signal_days, "metrics_days": metrics_days}
    changes = {name: days for name, days in asked.items() if days is not None}
    told = call("PATCH", "/retention", body=changes) if changes else call("GET", "/retention")
    if as_json:
        show_json(told)
    else:
        show_fields(told.items())
