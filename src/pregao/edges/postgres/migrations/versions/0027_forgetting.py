"""How long what is over is remembered, and what is wrong with the desk."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)
