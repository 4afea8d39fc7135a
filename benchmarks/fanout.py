"""
One signal, a thousand orders: how long from the first byte of the webhook to the last order at the venue.

Ours does everything it does in production: it takes and commits the signal, plans and commits one order per account,
signs, sends, and books what the venue tells. The other side is a bare aiohttp client that only signs and posts. Both
send to the same sink, in the same run, in turns, over the same number of warm connections.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp

from benchmarks.certificate import OwnCertificate, make_certificate
from benchmarks.fanout_desk import FanoutDesk, end, running_desk
from benchmarks.report import machine, show, show_json
from pregao.edges.processes.sockets import find_free_port

AIM = 1.25  # of aiohttp's time to the last order, with 0 ms at the venue
REST_SECONDS = 0.15  # between bursts: what one side still has to do must not slow the other
BURST_SECONDS_MAX = 30.0
START_SECONDS_MAX = 60.0
WARM_UP = ("buy", "close", "buy", "close")  # opens the connections and sets the leverages


@dataclass(frozen=True, kw_only=True)
class Burst:
    """One burst as the venue saw it, in milliseconds since it began; processor time per order in microseconds."""

    first_ms: float
    last_ms: float
    cpu_us: float  # until the sender had nothing left to do


@dataclass(frozen=True, kw_only=True)
class OwnBurst(Burst):
    """Ours, with what happened inside, in milliseconds since the first byte of the webhook."""

    cpu_sending_us: float  # of the trader, until the last order was at the venue
    received_ms: float
    committed_ms: float  # the signal
    decided_ms: float
    planned_ms: float  # planning begins: the accounts are locked after this
    attempts_committed_ms: float
    acknowledged_ms: float  # the last order
    booked_ms: float  # the last fill
    settled_ms: float
    answered_ms: float  # the webhook


class WrongError(AssertionError):
    """The run was not correct, so its figures mean nothing."""


class Venue:
    """The sink, asked what it saw."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def reset(self, *, delay_ms: int) -> None:
        await self._ask(f"reset?delay_ms={delay_ms}")

    async def wait(self, count: int) -> None:
        await self._ask(f"wait?count={count}")

    async def tick(self, price: str) -> int:
        """Move the price and tell it; give when it left, by the monotonic clock, in nanoseconds."""
        told: dict[str, int] = await self._ask(f"tick?price={price}")
        return told["at_ns"]

    async def arrivals(self) -> list[dict[str, Any]]:
        arrivals: list[dict[str, Any]] = await self._ask("arrivals")
        return arrivals

    async def status(self) -> dict[str, int]:
        status: dict[str, int] = await self._ask("status")
        return status

    async def _ask(self, what: str) -> Any:
        async with self._session.get(f"{self._url}/sink/{what}") as answer:
            return await answer.json()


class Peer:
    """The bare client in its process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def burst(self, venue: Venue, *, accounts: int, delay_ms: int, name: str) -> Burst:
        await venue.reset(delay_ms=delay_ms)
        assert self._process.stdin is not None
        cpu = cpu_ns(self._process.pid)
        self._process.stdin.write(f"burst {name}\n".encode())
        done = json.loads(await self.line())
        spent = cpu_ns(self._process.pid) - cpu
        arrivals = await venue.arrivals()
        _check_arrivals(arrivals, accounts=accounts)
        if done["answered"] != accounts:
            raise WrongError(f"aiohttp: answered={done['answered']} accounts={accounts}")
        times = [(one["at_ns"] - done["began_ns"]) / 1e6 for one in arrivals]
        return Burst(first_ms=min(times), last_ms=max(times), cpu_us=spent / 1000 / accounts)

    async def line(self) -> bytes:
        assert self._process.stdout is not None
        return await asyncio.wait_for(self._process.stdout.readline(), BURST_SECONDS_MAX)


async def own_burst(desk: FanoutDesk, venue: Venue, *, accounts: int, delay_ms: int, action: str) -> OwnBurst:
    """Send one signal and follow it to its end; check it."""
    await venue.reset(delay_ms=delay_ms)
    trader = desk.pid_of("trader")
    cpu = cpu_ns(trader)
    sending = asyncio.create_task(desk.send(action))
    try:
        await asyncio.wait_for(venue.wait(accounts), BURST_SECONDS_MAX)
    except TimeoutError:
        arrived = len(await venue.arrivals())
        told = await desk.outcomes()
        raise WrongError(f"{action}: arrived={arrived} accounts={accounts} desk={told}") from None
    cpu_sending = cpu_ns(trader) - cpu
    sent = await sending
    signal = await desk.settle(sent.signal_id)
    await desk.all_left()
    cpu_settled = cpu_ns(trader) - cpu
    arrivals = await venue.arrivals()
    rows = await desk.orders(sent.signal_id)
    clock = _Clock(sent.began_ns)
    _check_arrivals(arrivals, accounts=accounts)
    _check_orders(rows, arrivals, clock=clock, accounts=accounts)
    times = [clock.monotonic_ms(one["at_ns"]) for one in arrivals]
    return OwnBurst(
        first_ms=min(times),
        last_ms=max(times),
        cpu_us=cpu_settled / 1000 / accounts,
        cpu_sending_us=cpu_sending / 1000 / accounts,
        received_ms=clock.ms(signal["received_at"]),
        committed_ms=clock.ms(signal["accepted_committed_at"]),
        decided_ms=clock.ms(signal["decided_at"]),
        planned_ms=clock.ms(signal["planned_at"]),
        attempts_committed_ms=max(clock.ms(row["attempt_committed_at"]) for row in rows),
        acknowledged_ms=max(clock.ms(row["acknowledged_at"]) for row in rows),
        booked_ms=max(clock.ms(row["booked_at"]) for row in rows),
        settled_ms=clock.ms(signal["settled_at"]),
        answered_ms=(sent.answered_ns - sent.began_ns) / 1e6,
    )


class _Clock:
    """Counts from a burst's beginning: monotonic instants, and those of the wall clock."""

    def __init__(self, began_ns: int) -> None:
        self._began_ns = began_ns
        self._began_s = (time.time_ns() - time.monotonic_ns() + began_ns) / 1e9

    def ms(self, instant: datetime) -> float:
        return (instant.timestamp() - self._began_s) * 1000

    def monotonic_ms(self, at_ns: int) -> float:
        return (at_ns - self._began_ns) / 1e6


def _check_arrivals(arrivals: Sequence[dict[str, Any]], *, accounts: int) -> None:
    keys = {one["key"] for one in arrivals}
    unsigned = sum(not one["is_signed"] for one in arrivals)
    if len(arrivals) != accounts or len(keys) != accounts or unsigned:
        raise WrongError(
            f"orders={len(arrivals)} keys={len(keys)} accounts={accounts} badly_signed={unsigned}"
        )


def _check_orders(
    rows: Sequence[Any], arrivals: Sequence[dict[str, Any]], *, clock: "_Clock", accounts: int
) -> None:
    """Each account has one order, filled, and its attempt was committed before it arrived."""
    arrived = {one["client_order_id"]: one for one in arrivals}
    if len({row["account_id"] for row in rows}) != accounts or len(rows) != accounts:
        raise WrongError(f"order rows={len(rows)} accounts={accounts}")
    for row in rows:
        one = arrived.get(row["client_order_id"])
        if one is None or row["status"] != "filled":
            raise WrongError(f"account={row['account_id']} status={row['status']} arrived={one is not None}")
        if clock.ms(row["attempt_committed_at"]) > clock.monotonic_ms(one["at_ns"]):
            raise WrongError(
                f"account={row['account_id']}: its order arrived before its attempt was committed"
            )


def cpu_ns(pid: int) -> int:
    """Give the processor time of a process's threads, in nanoseconds: the clock ticks of `stat` are too coarse."""
    return sum(int(file.read_text().split()[0]) for file in Path(f"/proc/{pid}/task").glob("*/schedstat"))


# --- the run ----------------------------------------------------------------------------------------------


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure every combination; give the page."""
    cases: list[dict[str, Any]] = []
    durability: dict[str, str] = {}
    for wire in options.wires:
        with tempfile.TemporaryDirectory(prefix="pregao-fanout-") as folder:
            certificate = make_certificate(Path(folder)) if wire == "tls" else None
            found, durability = await _run_over(Path(folder), options, certificate=certificate)
            cases += [{"wire": wire, **case} for case in found]
    return {
        "machine": machine(),
        "durability": durability,
        "accounts": options.accounts,
        "aim": AIM,
        "cases": cases,
    }


async def _run_over(
    state_dir: Path, options: argparse.Namespace, *, certificate: OwnCertificate | None
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Measure over one kind of wire; give the cases, and how durable the database was."""
    cases = []
    trusted = {} if certificate is None else {"SSL_CERT_FILE": str(certificate.public)}
    async with (
        running_sink(certificate) as (venue_url, venue),
        running_desk(state_dir, venue_url=venue_url, accounts=options.accounts) as desk,
    ):
        await desk.start_role("web", **trusted)
        await desk.wait_for_web()
        for connections in options.warm:
            async with _both_sides(
                desk, venue, venue_url, options, connections=connections, trusted=trusted
            ) as peer:
                for delay_ms in options.delay_ms:
                    case = await _measure(desk, venue, peer, options, delay_ms=delay_ms)
                    cases.append({"connections": connections, "delay_ms": delay_ms, **case})
        return cases, await desk.durability()


@contextlib.asynccontextmanager
async def running_sink(certificate: OwnCertificate | None = None) -> AsyncIterator[tuple[str, Venue]]:
    """Start the sink, which speaks TLS where it has a certificate."""
    port = find_free_port()
    url = f"{'http' if certificate is None else 'https'}://127.0.0.1:{port}"
    shown = [] if certificate is None else ["--certificate", certificate.public, certificate.private]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.sink", "--port", str(port), *shown
    )
    try:
        connector = aiohttp.TCPConnector(ssl=True if certificate is None else certificate.verifying())
        timeout = aiohttp.ClientTimeout(total=BURST_SECONDS_MAX)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            venue = Venue(url, session)
            await _until(venue.status)
            yield url, venue
    finally:
        await end(process)


async def _until(ask: Any) -> None:
    async with asyncio.timeout(START_SECONDS_MAX):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                await ask()
                return
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def _both_sides(
    desk: FanoutDesk,
    venue: Venue,
    venue_url: str,
    options: argparse.Namespace,
    *,
    connections: int,
    trusted: dict[str, str],
) -> AsyncIterator[Peer]:
    """Start the trader and the bare client, each with so many connections."""
    await venue.reset(delay_ms=0)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.peer_aiohttp", "--venue", venue_url,
        "--connections", str(connections), "--accounts", str(options.accounts),
        *(f"--certificate={file}" for file in trusted.values()),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        await desk.start_role("trader", PREGAO_ORDERS_IN_FLIGHT_MAX=str(connections), **trusted)
        peer = Peer(process)
        await peer.line()
        async with asyncio.timeout(START_SECONDS_MAX):
            while (await venue.status())["heard"] < options.accounts:  # noqa: ASYNC110  # another process
                await asyncio.sleep(0.1)
        await asyncio.sleep(1.0)  # what starts with the streams comes to rest
        yield peer
    finally:
        await desk.stop_role("trader")
        await end(process)


async def _measure(
    desk: FanoutDesk, venue: Venue, peer: Peer, options: argparse.Namespace, *, delay_ms: int
) -> dict[str, Any]:
    common: dict[str, int] = {"accounts": options.accounts, "delay_ms": delay_ms}
    for number, action in enumerate(WARM_UP):
        await own_burst(desk, venue, action=action, **common)
        await peer.burst(venue, name=f"warm{delay_ms}x{number}", **common)
    pairs: dict[str, list[tuple[OwnBurst, Burst]]] = {"buy": [], "close": []}
    for number in range(options.bursts):
        for action, found in pairs.items():
            await asyncio.sleep(REST_SECONDS)
            ours = await own_burst(desk, venue, action=action, **common)
            await asyncio.sleep(REST_SECONDS)
            found.append((ours, await peer.burst(venue, name=f"{action}{delay_ms}x{number}", **common)))
    return {action: _summed_up(found) for action, found in pairs.items()}


def _summed_up(pairs: Sequence[tuple[OwnBurst, Burst]]) -> dict[str, Any]:
    ours, theirs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    ratios = sorted(mine.last_ms / other.last_ms for mine, other in pairs)
    return {
        "ours": _medians(ours),
        "aiohttp": _medians(theirs),
        "ratio": median(ratios),
        "ratio_lowest": ratios[0],
        "ratio_highest": ratios[-1],
        "ratio_first": median(mine.first_ms / other.first_ms for mine, other in pairs),
        "ratio_cpu": median(mine.cpu_us / other.cpu_us for mine, other in pairs),
        "bursts": [{"ours": asdict(mine), "aiohttp": asdict(other)} for mine, other in pairs],
    }


def _medians(bursts: Sequence[Burst]) -> dict[str, float]:
    return {field.name: median(getattr(burst, field.name) for burst in bursts) for field in fields(bursts[0])}


# --- what is shown ----------------------------------------------------------------------------------------

STAGES = (
    "received", "committed", "decided", "planned", "attempts_committed", "first", "last", "acknowledged", "booked",
    "settled", "answered",
)  # fmt: skip


def print_page(page: dict[str, Any]) -> None:
    """Print the tables for people."""
    rows = []
    stages = []
    for case in page["cases"]:
        for action in ("buy", "close"):
            found = case[action]
            ours, other = found["ours"], found["aiohttp"]
            name = f"{action}, {case['wire']}, {case['connections']} connections, {case['delay_ms']} ms"
            rows.append(
                (name, ours["first_ms"], ours["last_ms"], other["first_ms"], other["last_ms"], found["ratio"],
                 f"{found['ratio_lowest']:.2f}-{found['ratio_highest']:.2f}", ours["cpu_sending_us"], ours["cpu_us"],
                 other["cpu_us"])
            )  # fmt: skip
            stages.append((name, *(ours[f"{stage}_ms"] for stage in STAGES)))
    show(
        f"{page['accounts']:,} orders: ms from the webhook's first byte (aiohttp: from its beginning) to the venue",
        ("burst", "ours first", "last", "aiohttp first", "last", "ratio", "lowest-highest", "cpu us/order sending",
         "to the end", "aiohttp cpu"),
        rows,
    )  # fmt: skip
    show("Ours, stage by stage, ms since the first byte", ("burst", *STAGES), stages)
    print(f"\nAim: ratio at most {page['aim']}. PostgreSQL: {page['durability']}. {page['machine']}")
    print(
        "Checked in every burst: each signature, each account once, each row filled, each attempt committed before."
    )


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fanout", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--bursts", type=int, default=7, help="measured pairs of each kind")
    parser.add_argument("--delay-ms", type=_numbers, default=[0, 50], help="the venue's latency")
    parser.add_argument("--warm", type=_numbers, default=[100, 1000], help="connections on both sides")
    parser.add_argument(
        "--wires", nargs="+", choices=("plain", "tls"), default=["plain", "tls"], help="with and without TLS"
    )
    options = parser.parse_args()
    try:
        page = asyncio.run(run(options))
    except WrongError as wrong:
        print(f"FANOUT_WRONG: {wrong}", file=sys.stderr)
        return 1
    (show_json if options.json else print_page)(page)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
