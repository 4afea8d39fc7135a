"""A whole desk over real wires: the paper exchange, the web process's main and the trader's, on one loop."""

import asyncio
import base64
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from pregao.bootstrap.monitor import serve_monitor
from pregao.bootstrap.trader import serve_trader
from pregao.bootstrap.web import serve_web
from pregao.edges.paper.serve import PaperServer, PaperSettings
from pregao.settings import Settings
from tests.builders import told
from tests.ports import free_port

TOKEN = "admin-token-for-tests"
DEMO_SECRET = "demo-secret-for-tests"
START_SECONDS_MAX = 90.0  # on a machine that does much else
TICKS = Path(__file__).parents[3] / "shared" / "data" / "ticks"
LTC_TAPE = TICKS / "binance_LTCUSDT_trades_20250621_part1.csv.gz"


class WholeDesk:
    """What an operator and a sender of signals need."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        paper: PaperServer,
        settings: Settings,
        tasks: list[asyncio.Task[None]] | None = None,
    ) -> None:
        self.client = client
        self.paper = paper
        self.settings = settings
        self._tasks = tasks or []  # the first is the web process's

    async def restart_web(self) -> None:
        """End the web process as a restart of it does, and start it again at the same port."""
        self._tasks[0].cancel()
        await asyncio.wait([self._tasks[0]])
        self._tasks[0] = asyncio.create_task(serve_web(self.settings))
        await _healthy(self.client, self._tasks, roles=set())

    async def ask(self, method: str, path: str, **options: Any) -> Any:
        """Ask the API as the admin; a refusal is the test's failure."""
        answer = await self.client.request(method, path, **options)
        assert answer.status_code < 400, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def open_account(self, name: str, **changes: Any) -> int:
        account = await self.ask("POST", "/api/v1/exchange-accounts", json={"name": name, **changes})
        number: int = account["account_id"]
        return number

    async def create_bot(self, name: str = "Tape reader", **changes: Any) -> dict[str, Any]:
        bot: dict[str, Any] = await self.ask("POST", "/api/v1/bots", json={"name": name, **changes})
        return bot

    async def subscribe(self, bot: dict[str, Any], account_id: int, **overrides: Any) -> dict[str, Any]:
        body = {"bot_id": bot["bot_id"], "account_id": account_id, **overrides}
        made: dict[str, Any] = await self.ask("POST", "/api/v1/bot-subscriptions", json=body)
        return made

    async def post(self, bot: dict[str, Any], body: str, *, secret: str | None = None) -> httpx.Response:
        """Post an alert the way TradingView does: the secret in the address, the text as it is."""
        path = f"/api/v1/bots/webhook/master/{bot['webhook_path']}"
        query = {"secret": bot["secret"] if secret is None else secret}
        return await self.client.post(path, params=query, content=body.encode())

    async def receipt(self, signal_id: str, *, seconds_max: float = 20.0) -> dict[str, Any]:
        """Wait for the complete receipt."""
        async with asyncio.timeout(seconds_max):
            while True:
                receipt: dict[str, Any] = await self.ask("GET", f"/api/v1/signals/{signal_id}/receipt")
                if receipt["is_complete"]:
                    return receipt
                await asyncio.sleep(0.05)

    async def paper_books(self) -> dict[str, Any]:
        async with httpx.AsyncClient(base_url=self.paper.url, verify=False) as client:
            books: dict[str, Any] = (await client.get("/paper/books")).json()
            return books


@contextlib.asynccontextmanager
async def running_desk(
    database: str,
    state_dir: Path,
    *,
    paper: PaperSettings,
    is_watched: bool = True,
    is_traded: bool = True,
    **changes: Any,
) -> AsyncIterator[WholeDesk]:
    """Start everything, give it when healthy, stop everything; without a monitor, or a trader, where it is said so."""
    server = PaperServer(paper)
    await server.start()
    given = {
        "server_port": free_port(),
        "database_dsn": database,
        "state_dir": state_dir,
        "admin_token": TOKEN,
        "demo_secret": DEMO_SECRET,
        "master_key": base64.b64encode(os.urandom(32)).decode(),
        "paper_url": server.url,
        "demo": False,
        **changes,
    }
    settings = told(**given)
    roles = (
        serve_web,
        *((serve_trader,) if is_traded else ()),
        *((serve_monitor,) if is_watched and is_traded else ()),
    )
    tasks = [asyncio.create_task(serve(settings)) for serve in roles]
    base_url = f"http://127.0.0.1:{settings.server_port}"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    try:
        async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=20, verify=False) as client:
            await _healthy(
                client, tasks, roles={serve.__name__.removeprefix("serve_") for serve in roles} - {"web"}
            )
            yield WholeDesk(client, server, settings, tasks)
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await server.stop()
        failures = [one for one in ended if isinstance(one, Exception)]
        assert not failures, failures


async def _healthy(client: httpx.AsyncClient, tasks: list[asyncio.Task[None]], *, roles: set[str]) -> None:
    async with asyncio.timeout(START_SECONDS_MAX):
        while True:
            assert not any(task.done() for task in tasks), [task for task in tasks if task.done()]
            with contextlib.suppress(httpx.TransportError):
                detailed = await client.get("/health/detailed")
                if detailed.status_code == 200 and roles <= {
                    worker["role"] for worker in detailed.json()["workers"]
                }:
                    return
            await asyncio.sleep(0.05)
