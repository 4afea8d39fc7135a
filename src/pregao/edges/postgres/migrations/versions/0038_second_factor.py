"""A second factor of logins, its recovery codes, and logins that wait for a code."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0038"
down_revision = "0037"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)
