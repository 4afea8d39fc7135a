"""Whatever was answered with a signal's id is a row, also when the process is killed while it answers."""

import asyncio
import contextlib
from uuid import UUID

import asyncpg
import httpx

from benchmarks.intake_servers import PATHS, SECRET, add_bot, serve

SENDERS = 16
POSTS_BEFORE_KILL = 200


async def test_every_acknowledged_signal_is_a_row_after_kill_9(database):
    await add_bot(database)
    process, port = await asyncio.to_thread(serve, "ours", database)
    acknowledged: list[UUID] = []

    async def send(sender: int) -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=False) as client:
            for number in range(10_000):
                alert = {
                    "ticker": "BTCUSDT",
                    "action": "buy",
                    "secret": SECRET,
                    "order_id": f"{sender}-{number}",
                }
                response = await client.post(PATHS["ours"], json=alert)
                assert response.status_code == 202
                acknowledged.append(UUID(response.json()["signal_id"]))
                if len(acknowledged) == POSTS_BEFORE_KILL:
                    process.kill()

    async def send_until_killed(sender: int) -> None:
        with contextlib.suppress(httpx.TransportError):
            await send(sender)

    try:
        await asyncio.gather(*map(send_until_killed, range(SENDERS)))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()

    connection = await asyncpg.connect(database, server_settings={"search_path": "pregao"})
    try:
        stored = {row["signal_id"] for row in await connection.fetch("SELECT signal_id FROM signals")}
        facts = await connection.fetchval("SELECT count(*) FROM journal WHERE kind = 'SignalAccepted'")
    finally:
        await connection.close()
    assert len(acknowledged) == len(set(acknowledged)) >= POSTS_BEFORE_KILL
    assert set(acknowledged) <= stored
    assert facts == len(stored)
