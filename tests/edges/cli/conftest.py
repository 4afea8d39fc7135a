"""A desk that listens, and a shell."""

import pytest

from pregao.edges.http.api import create_api
from tests.edges.cli.own_shell import Shell, listening
from tests.edges.http.api.own_desk import TOKEN, own_desk


@pytest.fixture
async def shell(database, tmp_path):
    """A desk that listens, and a shell on its machine."""
    async with own_desk(database) as desk, listening(create_api(desk.ports)) as port:
        yield (
            desk,
            Shell({"SERVER_PORT": str(port), "PREGAO_STATE_DIR": str(tmp_path), "PREGAO_ADMIN_TOKEN": TOKEN}),
        )
