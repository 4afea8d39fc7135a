"""A running paper exchange per test, and a client that signs as the venue asks."""

import pytest

from pregao.edges.paper.serve import PaperServer, PaperSettings
from tests.edges.paper.signed_client import SignedClient, funded


@pytest.fixture
async def paper():
    """Give a still exchange with one funded account, as its client."""
    server = PaperServer(PaperSettings(still=True))
    await server.start()
    async with SignedClient(server) as client:
        await funded(client)
        yield client
    await server.stop()
