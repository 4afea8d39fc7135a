"""
System A's front door against a running desk: what is taken, how often, and who may ask (F001 to F004, F036, F143).

The queue's limit is answered 503, where the source said 429: for TradingView a 429 is final, and the signal would be lost.
"""

import asyncio
import base64
import contextlib
import json
import os
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest

from pregao.bootstrap.jobs import serve_jobs
from pregao.edges.paper.serve import PaperSettings
from tests.journeys.whole_desk import DEMO_SECRET, TOKEN, WholeDesk, running_desk

SOON = 20.0
QUEUE_MAX = 3
OPEN = {
    "/health",
    "/health/ready",
    "/health/detailed",
    "/api/v1/bots/health",
    "/api/v1/auth/login",
    "/webhook/in",  # these two take the bot's secret
    "/api/v1/bots/webhook/master/{webhook_path}",
}


class Door:
    """A desk whose bot `default` is there, and its database."""

    def __init__(self, desk: WholeDesk, database: asyncpg.Connection) -> None:
        self.desk = desk
        self.database = database

    async def send(self, secret: str = DEMO_SECRET, **body: Any) -> httpx.Response:
        return await self.desk.client.post("/webhook/in", json={"secret": secret, **body})

    async def rows(self, query: str, *values: Any) -> list[asyncpg.Record]:
        rows: list[asyncpg.Record] = await self.database.fetch(query, *values)
        return rows


@contextlib.asynccontextmanager
async def open_door(database: str, state_dir, **settings: Any) -> AsyncIterator[Door]:
    paper = PaperSettings(port=0, state_dir=state_dir / "paper", simulate_seed=7)
    connection = await asyncpg.connect(database, server_settings={"search_path": "pregao"})
    try:
        async with running_desk(database, state_dir, paper=paper, **settings) as desk:
            door = Door(desk, connection)
            async with asyncio.timeout(SOON):
                while not await door.rows("SELECT FROM bots WHERE name = 'default'"):
                    await asyncio.sleep(0.05)
            yield door
    finally:
        await connection.close()


@pytest.fixture
async def door(database, tmp_path):
    async with open_door(database, tmp_path, queue_signals_max=QUEUE_MAX) as door:
        yield door


class TestIngress:
    async def test_f001_a_signal_is_answered_with_its_number_after_its_row_is_there(self, door):
        answer = await door.send(ticker="BTCUSDT", action="buy", note="kept as well")

        told = answer.json()
        assert (answer.status_code, told["queued"], told["ticker"]) == (202, True, "BTCUSDT")
        assert told["queue_size"] >= 0
        rows = await door.rows("SELECT body FROM signals WHERE signal_id = $1", told["signal_id"])
        assert json.loads(rows[0]["body"])["note"] == "kept as well"

    async def test_f002_a_ticker_has_one_spelling_in_list_filter_and_position(self, door):
        desk = door.desk
        jobs = asyncio.create_task(serve_jobs(desk.settings))
        try:
            strategy = {"name": "mine", "source": "static", "tickers": [" ltcusdt "]}
            await desk.ask("POST", "/api/v1/screener/strategies", json=strategy)
            async with asyncio.timeout(SOON):
                while not (listed := (await desk.ask("GET", "/admin/top-n-tickers"))["tickers"]):
                    await asyncio.sleep(0.05)
        finally:
            jobs.cancel()
            await asyncio.gather(jobs, return_exceptions=True)
        [bot] = [one for one in (await desk.ask("GET", "/api/v1/bots"))["items"] if one["name"] == "default"]
        await desk.ask("PATCH", f"/api/v1/bots/{bot['bot_id']}", json={"policy": "screener"})

        answer = await door.send(ticker="  ltcusdt ", action="buy")
        receipt = await desk.receipt(answer.json()["signal_id"])

        held = await door.rows("SELECT DISTINCT symbol FROM positions")
        assert (listed, answer.json()["ticker"]) == (["LTCUSDT"], "LTCUSDT")
        assert {row["symbol"] for row in receipt["rows"]} == {"LTCUSDT"}
        assert [row["symbol"] for row in held] == ["LTCUSDT"]

    async def test_f003_a_full_queue_takes_nothing_and_says_how_long_it_is(self, door):
        # As if a trader had the bot and were busy: nobody else decides its signals.
        busy = "SELECT pg_advisory_lock(7234006, hashtext(bot_id::text)) FROM bots WHERE name = 'default'"
        await door.rows(busy)

        answers = [
            await door.send(ticker="BTCUSDT", action="buy", alert_id=f"one of many {number}")
            for number in range(QUEUE_MAX + 2)
        ]

        assert [one.status_code for one in answers] == [202] * QUEUE_MAX + [503] * 2
        error = answers[-1].json()["error"]
        assert (error["code"], error["details"]["queue_size"]) == ("QUEUE_FULL", QUEUE_MAX)
        assert answers[-1].headers["retry-after"]
        assert len(await door.rows("SELECT FROM signals")) == QUEUE_MAX

    async def test_f004_one_id_is_one_signal_and_one_answer_however_often_it_comes(self, door):
        body = {"ticker": "BTCUSDT", "action": "buy", "signal_id": "9a51f34e-77b5-4e25-8f0e-0c2b3f0d9f11"}

        many = await asyncio.gather(*(door.send(**body) for _ in range(5)))
        later = await door.send(**body)
        await door.desk.receipt(later.json()["signal_id"])

        told = [one.json() for one in (*many, later)]
        assert [one.status_code for one in (*many, later)] == [202] * 6
        assert len({(one["signal_id"], one["ticker"]) for one in told}) == 1
        signals = await door.rows("SELECT deliveries FROM signals")
        orders = await door.rows("SELECT account_id, count(*)::int AS n FROM orders GROUP BY 1")
        assert [row["deliveries"] for row in signals] == [6]
        assert {row["n"] for row in orders} == {1}


class TestWhoMayAsk:
    async def test_f036_no_route_of_the_running_desk_answers_a_stranger(self, door):
        document = await door.desk.ask("GET", "/openapi.json")
        base_url = str(door.desk.client.base_url)
        async with httpx.AsyncClient(base_url=base_url, verify=False) as stranger:
            answers = {
                (method, path): await stranger.request(method, path.replace("{", "").replace("}", ""))
                for path, item in document["paths"].items()
                for method in item
            }
            unknown = await stranger.get("/admin/anything/at/all")
            upgrade = {
                "authorization": "Bearer wrong",
                "connection": "upgrade",
                "upgrade": "websocket",
                "sec-websocket-version": "13",
                "sec-websocket-key": base64.b64encode(os.urandom(16)).decode(),
            }
            sockets = [
                (await stranger.get(path, headers=upgrade)).status_code
                for path in ("/ws/admin-updates", "/ws/notifications")
            ]

        answered = {path for (_, path), answer in answers.items() if answer.status_code not in (401, 403)}
        assert answered - OPEN == set()
        assert unknown.status_code == 401
        assert sockets == [401, 401], "who sends none is let in by his first message, or closed (F022)"


SECRETS = {
    "finviz_password": "parola-do-finviz-7f3a",
    "finviz_export_token": "bilhete-do-finviz-7f3b",
    "metrics_token": "palavras-do-raspador-7f3c",
}
PASSWORD = "senha-da-ana-7f3d"


class TestSecrets:
    async def test_f143_stand_in_no_row_no_log_and_no_answer(self, database, tmp_path, capfd):
        """A desk is used with secrets in right places and in wrong ones; then all it wrote and said is looked through."""
        answers: list[httpx.Response] = []
        shown_once: list[str] = []

        async def keep(answer: httpx.Response) -> None:
            await answer.aread()
            answers.append(answer)

        async with open_door(database, tmp_path, **SECRETS) as door:
            desk = door.desk
            desk.client.event_hooks["response"].append(keep)
            bot = await desk.create_bot(trading_symbol="BTCUSDT")
            rotated = await desk.ask("POST", f"/api/v1/bots/{bot['bot_id']}/rotate-secret", json={})
            user = {"email": "ana@desk.test", "name": "Ana", "role": "trader", "password": PASSWORD}
            await desk.ask("POST", "/api/v1/admin/users", json=user)
            credentials = {"email": user["email"], "password": PASSWORD}
            session = await desk.ask("POST", "/api/v1/auth/login", json=credentials)
            token = await desk.client.post(
                "/api/v1/auth/tokens",
                json={"name": "bot"},
                headers={"Authorization": f"Bearer {session['token']}"},
            )
            shown_once += [bot["secret"], rotated["secret"], session["token"], token.json()["token"]]
            answers.clear()  # these were told once, to whom they belong
            everything = [
                TOKEN,
                DEMO_SECRET,
                PASSWORD,
                *SECRETS.values(),
                *shown_once,
            ]
            everything.append(desk.settings.master_key.reveal())

            for secret in everything:
                await _misplace(door, secret)
            await door.send(ticker="BTCUSDT", action="buy", comment=f"mine is {DEMO_SECRET}")
            await desk.post(
                bot,
                json.dumps({"ticker": "BTCUSDT", "action": "buy", "note": rotated["secret"]}),
                secret=rotated["secret"],
            )
            await desk.client.post(
                "/admin/engine/pause", json={"token": TOKEN}, headers={"Authorization": ""}
            )
            for path in (
                "/api/v1/signals",
                "/api/v1/admin/actions",
                "/api/v1/exchange-accounts",
                "/api/v1/bots",
                "/health/detailed",
                "/openapi.json",
            ):
                await desk.client.get(path)
            stored = await everything_stored(door)

        log = "".join(capfd.readouterr())
        files = "".join(
            path.read_text(errors="replace")
            for path in tmp_path.rglob("*")
            if path.is_file() and path.suffix != ".db"
        )
        said = "\n".join(f"{answer.text} {dict(answer.headers)}" for answer in answers)
        assert "BTCUSDT" in stored, "something was written"
        assert len(answers) > len(everything)
        for place, text in {"rows": stored, "log": log, "answers": said, "files": files}.items():
            found = [secret for secret in everything if secret in text]
            assert found == [], f"{place} tell a secret"


async def _misplace(door: Door, secret: str) -> None:
    """Send a secret where none belongs, and where one belongs, but not this."""
    client = door.desk.client
    bearer = {"Authorization": f"Bearer x{secret}"}
    await client.get("/api/v1/bots", headers=bearer)
    await client.post("/api/v1/bots", json={"name": 7, "secret": secret})
    await client.post("/api/v1/bots", content=f'{{"name": "{secret}'.encode())
    await client.post("/api/v1/auth/login", json={"email": "ana@desk.test", "password": f"x{secret}"})
    await client.post(
        "/finviz/config", json={"token": f"x{secret}", "top_n": "many"}, headers={"Authorization": ""}
    )


async def everything_stored(door: Door) -> str:
    """Give all rows of every table and view as one text, bytes as what they spell."""
    tables = await door.rows(
        """
        SELECT schemaname || '.' || quote_ident(tablename) AS name FROM pg_tables
        WHERE schemaname IN ('pregao', 'public')
        UNION ALL SELECT schemaname || '.' || quote_ident(viewname) FROM pg_views
        WHERE schemaname IN ('pregao', 'public')
        """
    )
    rows = [row for table in tables for row in await door.rows(f"SELECT * FROM {table['name']}")]
    return "\n".join(
        value.decode("latin-1") if isinstance(value, bytes) else str(value) for row in rows for value in row
    )
