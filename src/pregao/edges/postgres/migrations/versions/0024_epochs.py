"""A clear and a restore begin an epoch of the journal each, whoever is writing at that moment."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)
