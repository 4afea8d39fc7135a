"""
What the fan-out is measured against: a bare aiohttp client that signs orders and posts them, and does nothing else.

No signal, no plan, no database, no outcome: one session, so many kept connections, one task per order. It is told on
its standard input when to begin (``burst NAME``), and says on its output when it began and when it had every answer.
"""

import argparse
import asyncio
import hmac
import json
import ssl
import sys
import time

import aiohttp
import uvloop
from yarl import URL

from benchmarks.sink import SYMBOL, secret_of

TIMEOUT_SECONDS = 30.0
QUANTITY = "0.005"


async def burst(
    session: aiohttp.ClientSession, url: str, keys: list[tuple[str, str]], *, name: str
) -> dict[str, int]:
    """Send one order per key, all at once; give when that began and ended."""
    began_ns = time.monotonic_ns()
    answers = await asyncio.gather(
        *(
            _send(session, url, key, secret, client_order_id=f"{name}-{number}")
            for number, (key, secret) in enumerate(keys)
        )
    )
    return {"began_ns": began_ns, "ended_ns": time.monotonic_ns(), "answered": sum(answers)}


async def _send(
    session: aiohttp.ClientSession, url: str, key: str, secret: str, *, client_order_id: str
) -> bool:
    query = (
        f"symbol={SYMBOL}&side=BUY&type=MARKET&quantity={QUANTITY}&newClientOrderId={client_order_id}"
        f"&recvWindow=5000&timestamp={time.time_ns() // 1_000_000}"
    )
    signature = hmac.digest(secret.encode(), query.encode(), "sha256").hex()
    target = URL(f"{url}?{query}&signature={signature}", encoded=True)
    async with session.post(target, headers={"X-MBX-APIKEY": key}) as answer:
        await answer.read()
        return answer.status == 200


async def main(options: argparse.Namespace) -> None:
    keys = [(f"peer{number:05d}", secret_of(f"peer{number:05d}")) for number in range(options.accounts)]
    connector = aiohttp.TCPConnector(
        limit=options.connections,
        limit_per_host=0,
        keepalive_timeout=600,
        ssl=ssl.create_default_context(cafile=options.certificate),
    )
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        print("ready", flush=True)
        while line := (await orders.readline()).decode().strip():
            done = await burst(
                session, f"{options.venue}/fapi/v1/order", keys, name=line.removeprefix("burst ")
            )
            print(json.dumps(done), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venue", required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--accounts", type=int, required=True)
    parser.add_argument("--certificate", help="whom it trusts, where the venue speaks TLS")
    uvloop.run(main(parser.parse_args()))
