"""Live positions are known by having no end, so that most of their changes touch no index."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0009"
down_revision = "0004_secret_rotation"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)
