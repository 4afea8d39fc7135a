"""
The analyzer over HTTP, on a whole desk: web, lab and PostgreSQL as a person starts them.

Questions leave when their time has come, whether the last one was answered or not, and latency counts from then. Ten symbols are asked
of a venue of our own that answers after a tenth of a second, with candles nobody has seen before.
"""

import asyncio
import contextlib
import json
import tempfile
import time
from pathlib import Path
from statistics import median

import aiohttp
from aiohttp import web

from benchmarks.backtest import simulated
from benchmarks.fanout_desk import running_desk
from benchmarks.load import Run
from pregao.edges.candle_files.store import write_parquet
from pregao.edges.processes.sockets import find_free_port
from pregao.research.analysis import voters

SYMBOLS = 50
CANDLES = 5_000
ROLES = ("web", "lab")
VENUE_SECONDS = 0.1  # F116
TEN = [f"V{number}USDT" for number in range(10)]
ASKS_OF_TEN = 9
VENUE_CANDLES = 1_000
ANSWERS = len(TEN) * (ASKS_OF_TEN + 1) + ASKS_OF_TEN
CEILING_STEP = 1.5
WARM_SECONDS = 6.0
ANSWER_SECONDS_MAX = 30.0
START_SECONDS_MAX = 60.0
SUSTAINED_P99_MS = 1_000.0


class SlowVenue:
    """Answers after a tenth of a second; every question's candles are other ones."""

    def __init__(self):
        # Written before: what this side computes would count as the other's time.
        candles = simulated(20_000, seed=9)
        self._bodies = [_body(candles.part(at, at + VENUE_CANDLES)) for at in range(1, ANSWERS + 1)]
        self.url = f"http://127.0.0.1:{find_free_port()}"

    async def klines(self, request):
        assert int(request.query["limit"]) == VENUE_CANDLES
        body = self._bodies.pop()
        await asyncio.sleep(VENUE_SECONDS)
        return web.Response(body=body, content_type="application/json")

    @contextlib.asynccontextmanager
    async def serving(self):
        app = web.Application()
        app.router.add_get("/fapi/v1/klines", self.klines)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", int(self.url.rpartition(":")[2])).start()
        try:
            yield
        finally:
            await runner.cleanup()


def _body(part):
    columns = (part.opened_at_ms, part.open, part.high, part.low, part.close)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return json.dumps([[at, *map(repr, told), "1", at + 3_599_999] for at, *told in rows]).encode()


class Asking:
    """Asks on kept-alive connections."""

    def __init__(self, session, *, url, token):
        self._session = session
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}

    async def get(self, path, **query):
        async with self._session.get(f"{self._url}{path}", params=query, headers=self._headers) as answer:
            return answer.status, await answer.read()

    async def until_answered(self):
        async with asyncio.timeout(START_SECONDS_MAX):
            while (await self.get("/api/signals/L0USDT", timeframe="1h"))[0] != 200:  # noqa: ASYNC110  # it starts
                await asyncio.sleep(0.2)

    async def at_rate(self, rate, *, seconds):
        """Ask about one symbol after the other, so many a second."""
        done = Run(rate)
        began = time.perf_counter()
        under_way = []
        for index in range(int(rate * seconds)):
            due = began + index / rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            under_way.append(asyncio.create_task(self._one(done, index, due=due)))
        await asyncio.gather(*under_way)
        done.seconds = time.perf_counter() - began
        return done

    async def _one(self, done, index, *, due):
        done.sent += 1
        try:
            status, _ = await self.get(f"/api/signals/L{index % SYMBOLS}USDT", timeframe="1h")
            done.statuses[202 if status == 200 else status] += 1  # a run counts as taken what has its answer
        except (aiohttp.ClientError, TimeoutError):
            done.statuses[0] += 1
        done.took_ms.append((time.perf_counter() - due) * 1_000)

    async def ten(self):
        """Ask about ten symbols of the slow venue at once; give the milliseconds."""
        began = time.perf_counter()
        status, body = await self.get(
            "/api/signals/multi", symbols=",".join(TEN), timeframe="1h", venue="paper"
        )
        assert status == 200, body
        assert b'"error"' not in body, body
        return (time.perf_counter() - began) * 1_000


async def _bare(venue):
    """Give how long one answer of the venue takes without anything of ours."""
    async with aiohttp.ClientSession() as session:
        took = []
        for _ in range(ASKS_OF_TEN):
            began = time.perf_counter()
            async with session.get(f"{venue.url}/fapi/v1/klines", params={"limit": "1000"}) as answer:
                await answer.read()
            took.append((time.perf_counter() - began) * 1_000)
    return median(took)


async def measure(*, rate, seconds, with_ceiling):
    """Carry it out on a desk of its own."""
    venue = SlowVenue()
    with tempfile.TemporaryDirectory(prefix="pregao-analyzer-") as folder:
        state_dir = Path(folder)
        async with (
            venue.serving(),
            running_desk(state_dir, venue_url=venue.url, accounts=0) as desk,
        ):
            (state_dir / "candles").mkdir()
            for number in range(SYMBOLS):
                path = state_dir / "candles" / f"L{number}USDT_1h.parquet"
                await asyncio.to_thread(write_parquet, simulated(CANDLES, seed=number), path)
            for role in ROLES:
                await desk.start_role(role)
            await desk.wait_for_web()
            connector = aiohttp.TCPConnector(limit=256)
            timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS_MAX)
            async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
                asking = Asking(session, url=f"http://127.0.0.1:{desk.web_port}", token=desk.admin_token)
                await asking.until_answered()
                await asking.at_rate(
                    rate, seconds=WARM_SECONDS
                )  # the second computing process comes with the load
                await asking.ten()
                ten = [await asking.ten() for _ in range(ASKS_OF_TEN)]
                runs = [await asking.at_rate(rate, seconds=seconds)]
                while with_ceiling and _is_sustained(runs[-1]):
                    runs.append(await asking.at_rate(runs[-1].rate * CEILING_STEP, seconds=seconds))
                bare = await _bare(venue)
    return {
        "ten_symbols": {"ours_ms": median(ten), "one_answer_ms": bare, "ratio": median(ten) / bare},
        "requests": [run.figures() for run in runs],
        "sustained_per_second": max(
            (run.accepted / run.seconds for run in runs if _is_sustained(run)), default=0.0
        ),
        "computed_per_second": computed_per_second(),
    }


def _is_sustained(run):
    return run.accepted == run.sent and run.at(0.99) <= SUSTAINED_P99_MS


def computed_per_second(*, times=50):
    """Give the limit: how many such questions one core computes, with nothing around it and nothing kept."""
    parts = [simulated(CANDLES, seed=number).part(CANDLES - 2_000, CANDLES) for number in range(times)]
    voters.analyze(simulated(2_000, seed=77))
    begun = time.process_time()
    for part in parts:
        voters.analyze(part)
    return times / (time.process_time() - begun)
