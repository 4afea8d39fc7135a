"""`pregao stops`: what guards positions, looked at from the command line."""

import typer

from pregao.edges.cli import stop_exits, watching

app = typer.Typer(help="Stops: look at them now, and at how their exits went.", no_args_is_help=True)
app.add_typer(watching.app)
app.add_typer(stop_exits.app)
