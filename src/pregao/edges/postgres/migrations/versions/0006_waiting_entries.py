"""Orders that wait for another, and what an account holds beside the desk's own."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)
