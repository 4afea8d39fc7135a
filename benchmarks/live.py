"""
Who watches a desk: what a viewer costs the web process, and how long a fact takes from its commit to all of them.

A web process and PostgreSQL of its own; facts are committed as the trader would, ten at a time. Half of the viewers read
server-sent events, half a websocket; they live in this process, read raw bytes and count. Nothing else is asked meanwhile.
"""

import argparse
import asyncio
import base64
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from statistics import median
from uuid import UUID

from benchmarks.fanout_desk import BOT_ID, FanoutDesk, running_desk
from benchmarks.report import cpu_seconds, machine, show, show_json
from pregao.domain.facts import PositionChanged
from pregao.domain.order import PositionSide
from pregao.domain.position import Direction, Position, PositionStatus
from pregao.edges.postgres.journal import Journal, open_journal

AIM_PERCENT = 1.0  # of a core, for each viewer (issue 7)
FACTS_PER_COMMIT = 10
NOWHERE = "http://127.0.0.1:9"  # no venue is asked anything
STREAM = (
    b"GET /api/v1/live/events?topics=positions HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer %b\r\n\r\n"
)
SOCKET = (
    b"GET /ws/admin-updates HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer %b\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n"
)
MARKS = {STREAM: b'"kind":"PositionChanged"', SOCKET: b'"type":"order_status_change"'}
FIRST = {STREAM: b"event: ready", SOCKET: b'"metrics_update"'}
LAST_SECONDS_MAX = 30.0


class Viewer:
    """One who watches: counts the facts that come, and notes when."""

    def __init__(self, kind: bytes) -> None:
        self.kind = kind
        self.seen = 0
        self.times: list[float] = []  # when each came
        self.ready = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    async def start(self, *, port: int, token: str) -> None:
        reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        key = base64.b64encode(os.urandom(16))
        head = self.kind % (token.encode(), key) if self.kind is SOCKET else self.kind % token.encode()
        self._writer.write(head)
        self.task = asyncio.create_task(self._read(reader))
        await self.ready.wait()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        mark, rest = MARKS[self.kind], b""
        while more := await reader.read(262_144):
            rest += more
            if not self.ready.is_set() and FIRST[self.kind] in rest:
                self.ready.set()
            if found := rest.count(mark):
                self.seen += found
                self.times += [time.time()] * found
                rest = rest[rest.rindex(mark) + len(mark) :]
            rest = rest[-1_000:] if self.ready.is_set() else rest

    def close(self) -> None:
        self._writer.close()
        if self.task is not None:
            self.task.cancel()


async def commit(journal: Journal, *, first: int, at: list[float]) -> None:
    """Commit ten facts; note when that was done."""
    now = datetime.now(UTC)
    async with journal.transaction() as transaction:
        await transaction.append([_changed(first + number, now) for number in range(FACTS_PER_COMMIT)])
    at += [time.time()] * FACTS_PER_COMMIT


def _changed(number: int, now: datetime) -> PositionChanged:
    position = Position(
        position_id=number,
        account_id=1,
        bot_id=BOT_ID,
        subscription_id=UUID(int=1),
        signal_id=UUID(int=number),
        symbol="BTCUSDT",
        position_side=PositionSide.BOTH,
        direction=Direction.LONG,
        status=PositionStatus.CLOSED,
        leverage=10,
        entered_quantity=Decimal("0.005"),
        exited_quantity=Decimal("0.005"),
        entry_notional=Decimal(476),
        exit_notional=Decimal(480),
        fees=Decimal("0.478"),
        opened_at=now,
        closed_at=now,
        close_reason="signal",
    )
    return PositionChanged(happened_at=now, position=position)


async def one_case(desk: FanoutDesk, journal: Journal, *, viewers: int, options: argparse.Namespace) -> dict:
    """Let so many watch while facts come at their rate, and say what that took."""
    watching = [Viewer(STREAM if number % 2 else SOCKET) for number in range(viewers)]
    for one in watching:
        await one.start(port=desk.web_port, token=desk.admin_token)
    committed: list[float] = []
    count = options.rate * options.seconds
    first = int(time.time() * 1_000) * 1_000
    pause = FACTS_PER_COMMIT / options.rate
    loop = asyncio.get_running_loop()
    cpu, began, clock = cpu_seconds(desk.pid_of("web")), time.perf_counter(), loop.time()
    for done in range(0, count, FACTS_PER_COMMIT):
        await commit(journal, first=first + done, at=committed)
        await asyncio.sleep(max(0.0, clock + (done / FACTS_PER_COMMIT + 1) * pause - loop.time()))
    deadline = time.monotonic() + LAST_SECONDS_MAX
    while any(one.seen < count for one in watching) and time.monotonic() < deadline:  # noqa: ASYNC110  # a deadline
        await asyncio.sleep(0.05)
    wall = time.perf_counter() - began
    used = cpu_seconds(desk.pid_of("web")) - cpu
    late = sorted(
        (seen - at) * 1_000 for one in watching for seen, at in zip(one.times, committed, strict=False)
    )
    for one in watching:
        one.close()
    return {
        "facts_per_s": count / wall,
        "lost": sum(count - one.seen for one in watching),
        "web_percent": 100 * used / wall,
        "ms_median": median(late) if late else 0.0,
        "ms_p99": late[int(len(late) * 0.99)] if late else 0.0,
    }


async def run(options: argparse.Namespace) -> dict[str, object]:
    """Measure each number of viewers; the first, nobody, is what is taken off."""
    cases: dict[int, dict] = {}
    with tempfile.TemporaryDirectory(prefix="pregao-live-") as folder:
        async with running_desk(Path(folder), venue_url=NOWHERE, accounts=1) as desk:
            await desk.start_role("web")
            await desk.wait_for_web()
            journal = await open_journal(desk.database_url, connections_max=2)
            try:
                await asyncio.sleep(2)
                for viewers in (0, *options.viewers):
                    cases[viewers] = await one_case(desk, journal, viewers=viewers, options=options)
                    await asyncio.sleep(1)
            finally:
                await journal.pool.close()
    alone = cases[0]["web_percent"]
    for viewers, case in cases.items():
        case["percent_each"] = (case["web_percent"] - alone) / viewers if viewers else 0.0
    return {"machine": machine(), "aim_percent": AIM_PERCENT, "rate": options.rate, "cases": cases}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.live", description=__doc__)
    parser.add_argument("--viewers", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--rate", type=int, default=200, help="facts a second")
    parser.add_argument("--seconds", type=int, default=15, help="of facts, for each case")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    page = asyncio.run(run(options))
    cases = page["cases"]
    assert isinstance(cases, dict)
    if options.json:
        show_json(page)
    else:
        show(
            f"Viewers at {options.rate} facts/s; percent of a core, aim {AIM_PERCENT} each",
            ("viewers", "facts/s", "lost", "web %", "% each", "median ms", "p99 ms"),
            [
                (
                    viewers,
                    one["facts_per_s"],
                    one["lost"],
                    one["web_percent"],
                    one["percent_each"],
                    one["ms_median"],
                    one["ms_p99"],
                )
                for viewers, one in cases.items()
            ],
        )
    if any(one["lost"] or one["percent_each"] > AIM_PERCENT for one in cases.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
