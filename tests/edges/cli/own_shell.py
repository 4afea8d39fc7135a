"""A shell on the machine of a desk that listens."""

import asyncio
import json
import socket
from contextlib import asynccontextmanager

import uvicorn
from typer.testing import CliRunner


@asynccontextmanager
async def listening(app):
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
    serving = asyncio.create_task(server._serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await serving
        listener.close()


class Shell:
    def __init__(self, environment):
        self.environment = {**dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY")), **environment}

    async def run(self, app, *words, **options):
        runner = CliRunner()
        return await asyncio.to_thread(runner.invoke, app, words, env=self.environment, **options)

    async def read(self, app, *words, **options):
        result = await self.run(app, *words, "--json", **options)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)
