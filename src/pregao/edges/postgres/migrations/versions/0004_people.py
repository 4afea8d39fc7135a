"""Users, their passwords, sessions and tokens, whose an account is, and what everybody asked for."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)
