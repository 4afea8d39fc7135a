"""
The command `pregao`.

This page imports little, so that the command answers at once: each group of commands is a file of its own, loaded
when it is asked for, and so is everything a command needs.
"""

import asyncio
import importlib
import json
import sys
from importlib.util import find_spec
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_group

# name of the group: the file of this folder that has it as `app`
GROUPS = {
    "db": "database",
    "bot": "bots",
    "user": "users",
    "account": "accounts",
    "subscription": "subscriptions",
    "signal": "signals",
    "approval": "approvals",
    "drift": "drift",
    "flatten": "flattens",
    "operation": "operations",
    "position": "positions",
    "alerts": "alerts",
    "screener": "screener",
    "strategy": "strategies",
    "destination": "destinations",
    "metrics": "metrics",
    "stops": "stops",
    "trade": "trades",
    "paper": "paper",
    "journal": "journal",
    "data": "candles",
    "backtest": "backtests",
    "model": "models",
}
# command that stands alone: the file whose `app` has it
ALONE = {
    "orders": "trading",
    "positions": "trading",
    "fills": "trading",
    "top": "summaries",
    "summary": "summaries",
    "halt": "states",
    "resume": "states",
    "state": "states",
    "sell-all": "sell_all",
    "actions": "actions",
    "breakers": "breakers",
    "prove": "prove",
    "simulate": "simulate",
}


class LazyGroup(TyperGroup):
    """Knows the names of the groups in other files, and loads a file when one of its commands is named."""

    def list_commands(self, ctx: Any) -> list[str]:
        files = GROUPS | ALONE
        return [*super().list_commands(ctx), *(name for name in files if _is_written(files[name]))]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        file = GROUPS.get(cmd_name) or ALONE.get(cmd_name)
        if file is None or not _is_written(file):
            return super().get_command(ctx, cmd_name)
        group = get_group(importlib.import_module(f"{__name__}.{file}").app)
        if cmd_name in GROUPS:
            group.name = cmd_name
            return group
        return group.commands.get(cmd_name)


app = typer.Typer(
    name="pregao",
    cls=LazyGroup,
    help="One signal comes in; every subscribed account trades it once, and anybody can see why.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@app.command()
def up() -> None:
    """Start PostgreSQL and every role, and keep them running until Ctrl-C or SIGTERM."""
    from pregao.edges.processes.doctor import examine_settings
    from pregao.edges.processes.supervisor import Plan, become_supervisor
    from pregao.settings import PAPER_PORT_PREFERRED

    settings = _settings()
    if wrong := [finding for finding in examine_settings(settings) if not finding.is_fine]:
        _fail("\n".join(f"SETTING_UNUSABLE: name={finding.subject}. {finding.remedy}" for finding in wrong))
    become_supervisor(
        Plan(
            state_dir=str(settings.state_dir),
            server_host=settings.server_host,
            server_port=settings.server_port,
            database_url=settings.database_dsn.reveal(),
            database_password=settings.database_password.reveal(),
            paper_port=settings.paper_port,
            paper_port_preferred=PAPER_PORT_PREFERRED,
            paper_url=settings.paper_url,
        )
    )


@app.command()
def serve(
    role: Annotated[str, typer.Argument(help="web, trader, monitor, jobs, paper, lab or analyzer.")],
) -> None:
    """Run one role alone, on this machine or on any that shares the database."""
    from pregao.edges.processes.serving import serve as serve_role

    raise typer.Exit(serve_role(role))


@app.command()
def doctor(*, as_json: Json = False) -> None:
    """Say whether the settings can be used and the database keeps what it promised; exit 1 if not."""
    from pregao.edges.processes.doctor import examine_database, examine_settings

    settings = _settings()
    findings = [*examine_settings(settings), *asyncio.run(examine_database(_database_url()))]
    if as_json:
        typer.echo(json.dumps([vars(finding) for finding in findings]))
    else:
        for finding in findings:
            typer.echo(f"{'ok ' if finding.is_fine else 'BAD'}  {finding.subject}: {finding.found}")
            if finding.remedy:
                typer.echo(f"     {finding.remedy}")
    if not all(finding.is_fine for finding in findings):
        raise typer.Exit(1)


def main() -> None:
    app(prog_name="pregao")  # `python -m pregao` too: completion is kept under this name


def _settings() -> Any:
    from pregao.environment import SettingError
    from pregao.settings import load_settings

    try:
        return load_settings()
    except SettingError as error:
        _fail(str(error))


def _database_url() -> str:
    from pregao.environment import SettingError

    try:
        url: str = _settings().database_url
    except SettingError as error:
        _fail(str(error))
    return url


def _fail(text: str, *, code: int = 1) -> NoReturn:
    print(text, file=sys.stderr)
    raise SystemExit(code)


def _is_written(file: str) -> bool:
    return find_spec(f"{__name__}.{file}") is not None
