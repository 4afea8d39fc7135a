"""The facts that set what holds for the whole desk are found without reading the journal."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0042"
down_revision = "0041"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)
