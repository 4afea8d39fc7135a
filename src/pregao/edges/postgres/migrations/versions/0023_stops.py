"""What guards a position: its stop, the venue's line, claimed exits, and who watches which price."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)
