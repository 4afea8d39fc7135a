"""
What the console costs: `python -m benchmarks.console [--json]`.

A desk with 10,000 round trips, which are 20,000 orders of 20,000 signals, as `benchmarks.lists` fills it: every question that a list of
the console asks, each as a page asks it. Then the desk's own web process with viewers who keep a page of positions open, as their
browsers do: a stream of events each, and the list asked for again when one came, at most once a second, while what 1,000 signals an
hour change is committed. Chromium opens pages: what came over the wire, and when it painted first.
"""

import argparse
import asyncio
import secrets
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from playwright.async_api import async_playwright

from benchmarks.fanout_desk import FanoutDesk, running_desk
from benchmarks.lists import FILL
from benchmarks.live import FACTS_PER_COMMIT, commit
from benchmarks.report import cpu_seconds, machine, show, show_json
from pregao.edges.http.admission import SESSION_COOKIE
from pregao.edges.ids import uuid7
from pregao.edges.postgres.guarded import PostgresGuarded
from pregao.edges.postgres.journal import Journal, open_journal
from pregao.edges.postgres.trips import PostgresTrips
from pregao.edges.postgres.views import PostgresActivity, PostgresHealth
from pregao.views.activity import ORDER_PHASES, OrderPlace
from pregao.views.sorting import ORDER_FIELDS, POSITION_FIELDS, SIGNAL_FIELDS, Shape

ROWS = 51  # a page of a list, and one more
RUNS = 15
AIM_QUERY_MS = 50
AIM_VIEWER_PERCENT = 1.0
AIM_PAINT_MS = 300
AIM_PAGE_KB = 150
SIGNALS_PER_HOUR = 1_000
CHANGES_PER_SIGNAL = 2  # what is seen of it: it goes out, and it fills
THROTTLE_SECONDS = 1.0  # as the page's own
PAINTS = 5
LIST = "/console/positions?status="
PAGES = (
    "/admin",
    "/console/signals",
    "/console/orders",
    "/console/positions?status=",
    "/console/bots",
    "/console/accounts",
    "/console/operations",
    "/console/operations/orders",
)
FIRST_PAINT = """
() => new Promise((told) => new PerformanceObserver((seen) => {
  const first = seen.getEntriesByName("first-contentful-paint")[0];
  if (first) told(first.startTime);
}).observe({ type: "paint", buffered: true }))
"""
WEIGHT = """
() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .filter((one) => !one.name.includes("live/events")).reduce((sum, one) => sum + one.encodedBodySize, 0)
"""
Asked = Callable[[], Awaitable[Any]]


def questions(journal: Journal) -> list[tuple[str, Asked]]:
    activity, trips = PostgresActivity(journal.pool), PostgresTrips(journal.pool)
    health, guarded = PostgresHealth(journal.pool), PostgresGuarded(journal.pool)
    now = datetime.now(UTC)
    middle = OrderPlace(signal_id=uuid7(now.replace(day=1)), order_id="p")

    def orders(**more: Any) -> Asked:
        plain = dict.fromkeys(("owner", "account_id", "subscription_id", "signal_id", "status", "before"))
        return lambda: activity.orders(**{**plain, **more}, limit=ROWS)

    def signals(**more: Any) -> Asked:
        plain = dict.fromkeys(("owner", "bot_id", "status", "before"))
        return lambda: activity.signals(**{**plain, **more}, limit=ROWS)

    def positions(**more: Any) -> Asked:
        plain = dict.fromkeys(("owner", "account_id", "bot_id", "status", "before"))
        return lambda: activity.positions(**{**plain, "live_only": False, **more}, limit=ROWS)

    asked = [("orders", orders), ("signals", signals), ("positions", positions)]
    fields = {"orders": ORDER_FIELDS, "signals": SIGNAL_FIELDS, "positions": POSITION_FIELDS}
    return [
        *((f"{name}, newest", make()) for name, make in asked),
        *(
            (f"{name} by {field}", make(shape=Shape(by=field)))
            for name, make in asked
            for field in fields[name]
        ),
        *((f"{name} that contain T7", make(shape=Shape(search="t7"))) for name, make in asked),
        *((f"{name} that contain what none does", make(shape=Shape(search="none of it"))) for name, make in asked),
        ("orders of a status that never was", orders(status="expired")),
        ("orders, a page in the middle", orders(before=middle)),
        *((f"orders, {phase}", orders(phase=phase)) for phase in ORDER_PHASES),
        ("orders of one owner", orders(owner=UUID(int=7))),
        ("orders, counted", lambda: activity.order_counts(owner=None, now=now)),
        ("positions, live", positions(live_only=True)),
        ("positions, counted", lambda: trips.stats(now=now)),
        ("queues", health.queues),
        ("journal", health.journal),
        ("without a stop, a price, a stream", lambda: guarded.watchfulness(owner=None)),
    ]  # fmt: skip


async def measure_questions(journal: Journal) -> list[tuple[str, float, float]]:
    figures = []
    for name, asked in questions(journal):
        await asked()
        took = []
        for _ in range(RUNS):
            began = time.perf_counter()
            await asked()
            took.append((time.perf_counter() - began) * 1_000)
        figures.append((name, statistics.median(took), max(took)))
    return figures


class Viewer:
    """A browser with a list open: it follows the events, and asks for the list again when one came."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._came = asyncio.Event()
        self.asked = 0

    async def watch(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._ask())

    async def _follow(self) -> None:
        async with self._client.stream("GET", "/api/v1/live/events", timeout=None) as answer:  # endless
            assert answer.status_code == 200, answer.status_code
            async for line in answer.aiter_lines():
                if line.startswith("event: position"):
                    self._came.set()

    async def _ask(self) -> None:
        while True:
            await self._came.wait()
            self._came.clear()
            answer = await self._client.get(LIST, headers={"HX-Request": "true"})
            assert answer.status_code == 200, answer.text
            self.asked += 1
            await asyncio.sleep(THROTTLE_SECONDS)


async def measure_viewers(
    desk: FanoutDesk, journal: Journal, *, session: str, viewers: int, seconds: float
) -> dict[str, float]:
    """Give what a viewer costs the web process, in percent of a core, without what it costs when nobody looks."""
    used, asked, committed = {}, 0, 0
    for count in (0, viewers):
        clients = [_client(desk, session) for _ in range(count)]
        watching = [Viewer(client) for client in clients]
        tasks = [asyncio.create_task(one.watch()) for one in watching]
        await asyncio.sleep(3)  # until all of them follow
        began, until = cpu_seconds(desk.pid_of("web")), time.perf_counter() + seconds
        while time.perf_counter() < until:
            await commit(journal, first=committed * FACTS_PER_COMMIT + 1, at=[])
            committed += 1
            await asyncio.sleep(3600 / SIGNALS_PER_HOUR / CHANGES_PER_SIGNAL)
        used[count] = (cpu_seconds(desk.pid_of("web")) - began) / seconds * 100
        asked = sum(one.asked for one in watching)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for client in clients:
            await client.aclose()
    return {
        "viewers": viewers,
        "lists_asked": asked,
        "percent_alone": used[0],
        "percent_each": (used[viewers] - used[0]) / viewers,
    }


async def measure_pages(desk: FanoutDesk, *, session: str) -> list[tuple[str, float, float]]:
    """Give of each page what came over the wire with nothing kept, and the median time to its first paint with scripts kept."""
    figures = []
    base_url = _base_url(desk)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for path in PAGES:
            context = await browser.new_context(base_url=base_url)
            await context.add_cookies([{"name": SESSION_COOKIE, "value": session, "url": base_url}])
            page = await context.new_page()
            await page.goto(path)
            weight = await page.evaluate(WEIGHT)
            paints = []
            for _ in range(PAINTS):
                await page.goto(path)
                paints.append(await page.evaluate(FIRST_PAINT))
            figures.append((path, weight / 1_000, statistics.median(paints)))
            await context.close()
        await browser.close()
    return figures


async def run(options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="pregao-console-") as folder:
        async with running_desk(Path(folder), venue_url="http://127.0.0.1:9", accounts=1) as desk:
            journal = await open_journal(desk.database_url, connections_max=4)
            try:
                await journal.pool.execute(
                    FILL.replace("true, now(), now());", "true, now(), now()) ON CONFLICT DO NOTHING;", 1),
                    timeout=300,
                )
                await journal.pool.execute("UPDATE positions SET exit_notional = 0 WHERE exited_quantity = 0")
                await journal.pool.execute("VACUUM ANALYZE", timeout=300)
                asked = await measure_questions(journal)
                await desk.start_role("web")
                await desk.wait_for_web()
                session = await _first_user(desk)
                pages = await measure_pages(desk, session=session) if shutil.which("chromium") else []
                viewers = await measure_viewers(
                    desk, journal, session=session, viewers=options.viewers, seconds=options.seconds
                )
            finally:
                await journal.pool.close()
    return {"machine": machine(), "questions": asked, "pages": pages, "viewers": viewers}


async def _first_user(desk: FanoutDesk) -> str:
    form = {
        "token": desk.admin_token,
        "email": "ana@desk.test",
        "name": "Ana",
        "password": secrets.token_hex(8),
    }
    async with httpx.AsyncClient(base_url=_base_url(desk), verify=False) as client:
        answer = await client.post("/console/first-run", data=form, headers={"Origin": _base_url(desk)})
        assert answer.status_code == 303, answer.text
        return str(answer.cookies[SESSION_COOKIE])


def _client(desk: FanoutDesk, session: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=_base_url(desk), cookies={SESSION_COOKIE: session}, verify=False, timeout=30
    )


def _base_url(desk: FanoutDesk) -> str:
    return f"http://127.0.0.1:{desk.web_port}"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="benchmarks.console", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--viewers", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=30, help="of changes, with and without viewers")
    parser.add_argument("--json", action="store_true", help="print for machines")
    options = parser.parse_args()
    page = asyncio.run(run(options))
    if options.json:
        show_json(page)
        return 0
    show(f"Questions, aim {AIM_QUERY_MS} ms", ("list", "median ms", "max ms"), page["questions"])
    show(
        f"Pages, aim {AIM_PAGE_KB} KB without charts and {AIM_PAINT_MS} ms to the first paint",
        ("page", "KB", "first paint, ms"),
        page["pages"],
    )
    viewers = page["viewers"]
    show(
        f"Viewers at {SIGNALS_PER_HOUR} signals an hour, aim {AIM_VIEWER_PERCENT} % of a core each",
        ("viewers", "lists asked", "web alone, %", "% each"),
        [(viewers["viewers"], viewers["lists_asked"], viewers["percent_alone"], viewers["percent_each"])],
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
