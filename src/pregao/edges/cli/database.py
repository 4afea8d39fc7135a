"""`pregao db`: the database's schema; what is forgotten of it; how it is cleared, backed up and put back."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from pregao.edges.cli import _database_url, _fail, _settings
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
    alert_days: Annotated[
        int | None, typer.Option("--alert-days", min=1, max=3650, help="For alerts and their deliveries.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show for how many days what is over is remembered, or change it; fewer than seven act as seven."""
    asked = {"signal_days": signal_days, "metrics_days": metrics_days, "alert_days": alert_days}
    changes = {name: days for name, days in asked.items() if days is not None}
    told = call("PATCH", "/retention", body=changes) if changes else call("GET", "/retention")
    if as_json:
        show_json(told)
    else:
        show_fields(told.items())


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write; there must be none of that name.")],
    *,
    as_json: Json = False,
) -> None:
    """Write the database to one file, as one moment shows it; the desk may go on trading meanwhile."""
    from pregao import __version__
    from pregao.edges.cli.backups import make_backup
    from pregao.edges.processes.backup import BackupError

    dsn = _database_url()
    now = datetime.now(UTC)
    try:
        with _told("written") as told:
            page = asyncio.run(make_backup(file.resolve(), dsn=dsn, version=__version__, now=now, told=told))
    except (BackupError, OSError) as error:
        _fail(_said(error))
    size = file.stat().st_size
    if as_json:
        show_json({"file": str(file), "bytes": size, **page})
        return
    print(
        f"Written: {file}, {size:,} bytes, {page['rows']['journal']:,} facts, {page['rows']['accounts']:,} accounts."
    )
    if page["master_keys"]:
        print(
            "The accounts' credentials in it are sealed: keep the master key (PREGAO_MASTER_KEY in the state folder's `env`) "
            "apart from it. Without the key they cannot be opened."
        )


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A file that `pregao db backup` wrote.")],
    *,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Put a backup in the place of the database of a stopped desk; what was there is kept under another name."""
    from pregao.edges.cli.backups import read_backup, restore_backup, stopped_database, unknown_keys
    from pregao.edges.postgres.backup import Present, RestoreError
    from pregao.edges.processes.backup import BackupError
    from pregao.edges.processes.state import StartError
    from pregao.edges.vault.envelope import master_key_name
    from pregao.edges.vault.key_file import keys_of
    from pregao.environment import SettingError

    settings = _settings()

    def confirmed(present: Present) -> None:
        if yes or present.is_empty:
            return
        print(f"The database there has {present.accounts} accounts and {present.signals} signals.")
        typed = typer.prompt("Type 'RESTORE' to put the backup in its place", default="", show_default=False)
        if typed.strip() != "RESTORE":
            raise RestoreError(
                "NOT_CONFIRMED: Nothing was changed. Type RESTORE as it stands, or give --yes."
            )

    async def run() -> Any:
        with _told("checked") as told:
            page = await read_backup(file, told=told)
        keys = keys_of(settings)
        missing = unknown_keys(page, known={master_key_name(key) for key in (keys.present, *keys.former)})
        async with stopped_database(settings) as dsn:
            with _told("restored") as told:
                return missing, await restore_backup(file, dsn=dsn, page=page, confirmed=confirmed, told=told)

    try:
        missing, restored = asyncio.run(run())
    except (BackupError, RestoreError, StartError, SettingError, OSError) as error:
        _fail(_said(error))
    if as_json:
        show_json({**_shown(restored), "missing_master_keys": missing})
        return
    print(f"Put back: the desk as it was at {restored.made_at}. Start it with `python run.py`.")
    print(f"{restored.accounts} accounts are compared with their venues before anything is opened there.")
    if restored.replaced:
        print(f"What was there is the database {restored.replaced}, until the next restore.")
    for name, count in missing.items():
        print(
            f"MASTER_KEY_MISSING: {count} accounts are sealed under the master key {name}, which is not here. "
            "Put it into PREGAO_FORMER_MASTER_KEYS, or give these accounts new keys."
        )


def _shown(restored: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(restored)


def _said(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"FILE_UNUSABLE: file={error.filename} reason={error.strerror}."
    return str(error)


@contextmanager
def _told(what: str) -> Iterator[Callable[[int], None]]:
    """Show how many bytes are done, where somebody looks on."""
    import sys

    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, SpinnerColumn, TextColumn, TransferSpeedColumn

    columns = (SpinnerColumn(), TextColumn(what), DownloadColumn(), TransferSpeedColumn())
    with Progress(
        *columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()
    ) as bar:
        task = bar.add_task(what, total=None)
        yield lambda size: bar.advance(task, size)
