"""Live positions are known by having no end, so that most of their changes touch no index."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)
