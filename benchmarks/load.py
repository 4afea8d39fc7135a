"""
The whole path under load: signals to `/webhook/in` at a fixed rate, each forwarded to a destination of somebody else's.

    python -m benchmarks.load                  100 a second for a minute, then the highest rate the machine sustains
    python -m benchmarks.load --seconds 10 --no-ceiling

Wholeness is judged after the rate that was asked; what comes after it is to find where the desk falls behind.
A signal leaves when its time has come, whether the last one was answered or not, and its latency counts from then: a desk
that stalls cannot hide it. Nothing may be lost: every signal that was answered 202 is settled in the end, and what the
desk says it forwarded is what the destination took, each once by its Idempotency-Key.
"""

import argparse
import asyncio
import contextlib
import json
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
from aiohttp import web

from benchmarks.fanout_desk import FanoutDesk, running_desk
from benchmarks.report import machine, show, show_json
from pregao.edges.processes.sockets import find_free_port

TICKERS = 1_000  # bought in turn, then sold in turn: ten seconds later at the rate that is asked
ROLES = ("web", "trader")
CONNECTIONS_MAX = 256
ANSWER_SECONDS_MAX = 30.0
SETTLE_SECONDS_MAX = 120.0
START_SECONDS_MAX = 60.0
RATE_ASKED = 100.0  # F128
CEILING_SECONDS = 10.0
CEILING_STEP = 1.25
SUSTAINED_P99_MS = 1_000.0  # a third of what TradingView waits

SETTLED_P99_MS = 5_000.0  # from alert to end, where the trader keeps up

UNSETTLED = "SELECT count(*) FROM signals WHERE settled_at IS NULL"
OUTCOMES = """
SELECT count(*) AS signals, count(settled_at) AS settled,
       (SELECT count(*) FROM orders WHERE status = 'filled') AS forwarded,
       percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (
           ORDER BY extract(epoch FROM settled_at - received_at) * 1000) AS settle_ms
FROM signals
"""
SETTLED_SINCE = """
SELECT count(*) FILTER (WHERE settled_at IS NULL) AS unsettled,
       percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (
           ORDER BY extract(epoch FROM coalesce(settled_at, clock_timestamp()) - received_at) * 1000) AS settle_ms
FROM signals WHERE received_at >= $1
"""


@dataclass
class Destination:
    """A webhook that takes everything, each key once."""

    keys: Counter[str] = field(default_factory=Counter)
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        await request.read()
        self.keys[request.headers["Idempotency-Key"]] += 1
        return web.json_response({"accepted": True})


@dataclass
class Run:
    """What came back at one rate."""

    rate: float
    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)  # 0: no answer
    took_ms: list[float] = field(default_factory=list)
    seconds: float = 0.0
    unsettled: int = 0
    settle_ms: tuple[float, float, float] = (0.0, 0.0, 0.0)  # p50, p95, p99

    @property
    def accepted(self) -> int:
        return self.statuses[202]

    @property
    def is_sustained(self) -> bool:
        """Say whether all were taken in time, and carried out as fast as they came."""
        return (
            self.accepted == self.sent
            and self.at(0.99) <= SUSTAINED_P99_MS
            and not self.unsettled
            and self.settle_ms[-1] <= SETTLED_P99_MS
        )

    def at(self, share: float) -> float:
        ranked = sorted(self.took_ms) or [0.0]
        return ranked[min(len(ranked) - 1, int(len(ranked) * share))]

    def figures(self) -> dict[str, Any]:
        return {
            "rate_asked": self.rate,
            "sent": self.sent,
            "accepted": self.accepted,
            "per_second": self.accepted / self.seconds if self.seconds else 0.0,
            **{f"p{share}_ms": self.at(share / 100) for share in (50, 95, 99)},
            **dict(zip(("settle_p50_ms", "settle_p95_ms", "settle_p99_ms"), self.settle_ms, strict=True)),
            "is_sustained": self.is_sustained,
            "statuses": dict(self.statuses),
        }


class Sender:
    """Sends signals at a rate, on kept-alive connections."""

    def __init__(self, session: aiohttp.ClientSession, *, url: str, secret: str) -> None:
        self._session = session
        self._url = url
        self._secret = secret
        self._number = 0

    async def run(self, *, rate: float, seconds: float) -> Run:
        done = Run(rate)
        began = time.perf_counter()
        under_way = []
        for index in range(int(rate * seconds)):
            due = began + index / rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            under_way.append(asyncio.create_task(self._post(done, due=due)))
        await asyncio.gather(*under_way)
        done.seconds = time.perf_counter() - began
        return done

    async def _post(self, done: Run, *, due: float) -> None:
        number, self._number = self._number, self._number + 1
        is_buy = number // TICKERS % 2 == 0
        body = {
            "ticker": f"T{number % TICKERS:04d}",
            "action": "buy" if is_buy else "sell",
            "secret": self._secret,
            "alert_id": f"load {number}",
        }
        done.sent += 1
        try:
            async with self._session.post(self._url, json=body) as answer:
                await answer.read()
                done.statuses[answer.status] += 1
        except (aiohttp.ClientError, TimeoutError):
            done.statuses[0] += 1
        done.took_ms.append((time.perf_counter() - due) * 1_000)


async def measure(*, rate: float, seconds: float, with_ceiling: bool) -> dict[str, Any]:
    """Carry it out on a desk of its own."""
    destination = Destination()
    with tempfile.TemporaryDirectory(prefix="pregao-load-") as folder:
        async with (
            Serving(destination),
            running_desk(Path(folder), venue_url=f"http://127.0.0.1:{find_free_port()}", accounts=0) as desk,
        ):
            for role in ROLES:
                await desk.start_role(role, PREGAO_DESTINATIONS_ALLOWED="127.0.0.1")
            await desk.wait_for_web()
            timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS_MAX)
            connector = aiohttp.TCPConnector(limit=CONNECTIONS_MAX)
            async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
                secret = await _set_up(desk, destination, session=session)
                sender = Sender(session, url=f"http://127.0.0.1:{desk.web_port}/webhook/in", secret=secret)
                await sender.run(rate=20, seconds=2)  # warm
                page: dict[str, Any] = {
                    "machine": machine(),
                    "durability": await desk.durability(),
                    "run": (await _run(sender, desk, rate=rate, seconds=seconds)).figures(),
                }
                page["path"] = await _outcomes(desk, destination)
                if with_ceiling:
                    page["ceiling"] = [one.figures() for one in await _ceiling(sender, desk, above=rate)]
                    page["highest_sustained"] = max(
                        (one["rate_asked"] for one in (page["run"], *page["ceiling"]) if one["is_sustained"]),
                        default=None,
                    )
                    page["path_after_ceiling"] = await _outcomes(desk, destination)
    return page


class Serving:
    """Serve a destination while the block runs."""

    def __init__(self, destination: Destination) -> None:
        """Serve this one."""
        app = web.Application()
        app.router.add_post("/hook", destination.answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        self._destination = destination

    async def __aenter__(self) -> None:
        port = find_free_port()
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self._destination.url = f"http://127.0.0.1:{port}/hook"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


async def _set_up(desk: FanoutDesk, destination: Destination, *, session: aiohttp.ClientSession) -> str:
    """Make the bot `default` with one account that forwards, and give the bot's secret."""
    api = f"http://127.0.0.1:{desk.web_port}/api/v1"

    async def ask(path: str, **body: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {desk.admin_token}"}
        async with session.post(f"{api}{path}", json=body, headers=headers) as answer:
            assert answer.status < 400, f"{path}: {answer.status} {await answer.text()}"
            told: dict[str, Any] = await answer.json()
            return told

    bot = await ask("/bots", name="default", allowed_directions="buy_only", signals_per_minute_max=1_000_000)
    account = await ask(
        "/exchange-accounts", name="load", venue="webhook", destination={"url": destination.url}
    )
    await ask(
        "/bot-subscriptions",
        bot_id=bot["bot_id"],
        account_id=account["account_id"],
    )
    await ask("/destinations/limit/pause")
    secret: str = bot["secret"]
    return secret


async def _ceiling(sender: Sender, desk: FanoutDesk, *, above: float) -> list[Run]:
    """Raise the rate until it is not sustained any more, by answers and by what the trader keeps up with."""
    runs: list[Run] = []
    rate = above
    while not runs or runs[-1].is_sustained:
        rate *= CEILING_STEP
        runs.append(await _run(sender, desk, rate=rate, seconds=CEILING_SECONDS))
    return runs


async def _run(sender: Sender, desk: FanoutDesk, *, rate: float, seconds: float) -> Run:
    """Send at a rate, wait until nothing is on its way, and tell how long what was sent took to its end."""
    connection = await desk.connection()
    began = await connection.fetchval("SELECT clock_timestamp()")
    run = await sender.run(rate=rate, seconds=seconds)
    await _settled(desk)
    row = await connection.fetchrow(SETTLED_SINCE, began)
    assert row is not None, "counting always gives a row"
    run.unsettled = row["unsettled"]
    p50, p95, p99 = (float(one) for one in row["settle_ms"])
    run.settle_ms = p50, p95, p99
    return run


async def _settled(desk: FanoutDesk) -> None:
    """Wait until nothing is on its way, or so long that it is told as it stands."""
    connection = await desk.connection()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_SECONDS_MAX):
            while await connection.fetchval(UNSETTLED):  # noqa: ASYNC110  # the database tells nobody
                await asyncio.sleep(0.1)


async def _outcomes(desk: FanoutDesk, destination: Destination) -> dict[str, Any]:
    connection = await desk.connection()
    row = await connection.fetchrow(OUTCOMES)
    assert row is not None, "counting always gives a row"
    denied: list[asyncpg.Record] = await connection.fetch(
        "SELECT coalesce(code, status) AS why, count(*) AS n FROM orders WHERE status <> 'filled' GROUP BY 1"
    )
    p50, p95, p99 = (float(one) for one in row["settle_ms"])
    return {
        "signals": row["signals"],
        "settled": row["settled"],
        "forwarded": row["forwarded"],
        "taken_by_the_destination": len(destination.keys),
        "taken_twice": sum(times > 1 for times in destination.keys.values()),
        "not_forwarded": {one["why"]: one["n"] for one in denied},
        "settle_p50_ms": p50,
        "settle_p95_ms": p95,
        "settle_p99_ms": p99,
    }


def is_whole(page: dict[str, Any]) -> bool:
    """Say whether nothing was lost: all was taken, is settled, and arrived once."""
    run, path = page["run"], page["path"]
    return (
        run["accepted"] == run["sent"]
        and path["settled"] == path["signals"] == path["forwarded"]  # none expired on the way, either
        and path["forwarded"] == path["taken_by_the_destination"]
        and path["taken_twice"] == 0
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0] if __doc__ else None)
    parser.add_argument("--rate", type=float, default=RATE_ASKED)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--no-ceiling", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    page = asyncio.run(measure(rate=args.rate, seconds=args.seconds, with_ceiling=not args.no_ceiling))
    page["is_whole"] = is_whole(page)
    if args.json:
        show_json(page)
    else:
        runs = [page["run"], *page.get("ceiling", ())]
        names = (
            "rate_asked", "sent", "accepted", "per_second", "p50_ms", "p95_ms", "p99_ms", "settle_p50_ms",
            "settle_p95_ms", "settle_p99_ms", "is_sustained",
        )  # fmt: skip
        columns = [name.replace("_", " ") for name in names]
        show(
            "Answers of /webhook/in, and how long signals took to their end",
            columns,
            [[run[name] for name in names] for run in runs],
        )
        show(
            "The whole path",
            ("figure", "value"),
            [[name, str(value)] for name, value in page["path"].items()],
        )
        told = ("highest_sustained", "durability", "machine", "is_whole")
        print(json.dumps({name: page[name] for name in told if name in page}))
    raise SystemExit(0 if page["is_whole"] else 1)


if __name__ == "__main__":
    main()
