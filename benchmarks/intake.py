"""
How many alerts a second become committed signals: `python -m benchmarks.intake [--json]`.

Ours (authenticated, deduplicated, journaled, folded, durable) against FastAPI's echo of the same body and against one
INSERT for each request, all on uvicorn with the same settings and driven by the same load in interleaved rounds; and
PostgreSQL's own single-row commits. Then the same on a disk whose fsync takes 1 ms longer.
"""

import argparse
import asyncio
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.intake_servers import PATHS, SECRET, STATUS, add_bot, serve
from benchmarks.posting import post
from benchmarks.report import cpu_seconds, cpu_seconds_of_tree, machine, medians, show, show_json
from pregao.edges.postgres.migrate import migrate
from pregao.edges.processes.postgres import EmbeddedPostgres, wheel_binaries

DURABILITY = ("fsync", "full_page_writes", "synchronous_commit")
VARIANTS = ("echo", "ours", "insert")
WARM_SECONDS = 1.0
FSYNC_MS = (0, 1)

SLOW_FSYNC = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
static void wait_longer(void) { usleep(%d); }
int fsync(int fd) { static int (*real)(int); if (!real) real = dlsym(RTLD_NEXT, "fsync"); wait_longer(); return real(fd); }
int fdatasync(int fd) {
    static int (*real)(int); if (!real) real = dlsym(RTLD_NEXT, "fdatasync"); wait_longer(); return real(fd);
}
"""


class PostgresOnDisk(EmbeddedPostgres):
    """The desk's own PostgreSQL, with a library loaded before the system's where the disk is to be slower."""

    preload: Path | None = None

    def _options(self) -> dict[str, Any]:
        options = super()._options()
        if self.preload:
            options["environment"] = {**options["environment"], "LD_PRELOAD": str(self.preload)}
        return options


@asynccontextmanager
async def running(postgres: PostgresOnDisk, log: int):
    process = await postgres.start(log)
    try:
        yield process.pid
    finally:
        process.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 10)
        if process.returncode is None:
            process.kill()
        await process.wait()


def slow_fsync(folder: Path, *, fsync_ms: int) -> Path | None:
    """Compile the library that makes fsync slower; None where there is no compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        return None
    source, library = folder / f"slow_fsync_{fsync_ms}.c", folder / f"slow_fsync_{fsync_ms}.so"
    source.write_text(SLOW_FSYNC % (fsync_ms * 1000))
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], check=True)
    folder.chmod(0o755)
    library.chmod(0o755)
    return library


def body() -> str:
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return (
        '{"ticker":"BTCUSDT","action":"buy","price":"64000.5","contracts":"0.01",'
        f'"timenow":"{now}","order_id":"L{{n}}","secret":"{SECRET}"}}'
    )


def measure(
    name: str, port: int, pid: int, postgres: int, *, run: int, args: argparse.Namespace
) -> dict[str, float]:
    before = cpu_seconds(pid), cpu_seconds_of_tree(postgres)
    load = post(
        port,
        PATHS[name],
        body(),
        seconds=args.seconds,
        connections=args.connections,
        run=run,
        status=STATUS[name],
    )
    after = cpu_seconds(pid), cpu_seconds_of_tree(postgres)
    if load.failed:
        raise RuntimeError(f"{name}: {load.failed} of {load.answered + load.failed} posts failed.")
    return {
        "per_second": load.per_second,
        "server_cpu_us": (after[0] - before[0]) / load.answered * 1e6,
        "postgres_cpu_us": (after[1] - before[1]) / load.answered * 1e6,
        "p50_ms": load.p50_ms,
        "p99_ms": load.p99_ms,
        "answered": load.answered,
    }


def single_row_commits(dsn: str, folder: Path, *, args: argparse.Namespace) -> float:
    """Give PostgreSQL's own rate, by its own client: one short row for each commit."""
    script = folder / "insert.sql"
    script.write_text(f"INSERT INTO pregao.bench_rows (body) VALUES ('{body()}');\n")
    command = [wheel_binaries() / "pgbench", "-n", "-M", "prepared", "-c", str(args.connections), "-j", "1"]
    command += ["-T", str(max(2, int(args.seconds))), "-f", script, dsn]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    assert found is not None
    return float(found[1])


async def sitting(dsn: str, postgres: int, folder: Path, *, args: argparse.Namespace) -> dict[str, Any]:
    """Drive every variant in turn, some rounds; then count the rows."""
    database = await asyncpg.connect(dsn, server_settings={"search_path": "pregao"})
    settings = {name: await database.fetchval(f"SHOW {name}") for name in DURABILITY}
    signals_before = await database.fetchval("SELECT count(*) FROM signals")
    searching = f"{dsn}?options=-c%20search_path%3Dpregao"
    servers = {name: serve(name, dsn if name == "ours" else searching) for name in VARIANTS}
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in VARIANTS}
    commits = []
    acknowledged = 0
    try:
        for run in range(args.rounds + 1):
            for name, (process, port) in servers.items():
                await _settle(database)
                warm = argparse.Namespace(**{**vars(args), "seconds": WARM_SECONDS})
                figures = await asyncio.to_thread(
                    measure,
                    name,
                    port,
                    process.pid,
                    postgres,
                    run=args.series * 100 + run,
                    args=args if run else warm,
                )
                acknowledged += int(figures["answered"]) if name == "ours" else 0
                if run:
                    rounds[name].append(figures)
            if run:
                commits.append(await asyncio.to_thread(single_row_commits, dsn, folder, args=args))
        rows = await database.fetchval("SELECT count(*) FROM signals") - signals_before
        facts = await database.fetchval("SELECT count(*) FROM journal WHERE kind = 'SignalReceived'")
    finally:
        for process, _ in servers.values():
            process.terminate()
        for process, _ in servers.values():
            process.wait()
        await database.close()
    return {
        "settings": settings,
        "variants": {name: medians(rounds[name]) for name in VARIANTS},
        "single_row_commits_per_second": sorted(commits)[len(commits) // 2],
        "acknowledged": acknowledged,
        "rows": rows,
        "facts": facts,
    }


async def _settle(database: asyncpg.Connection) -> None:
    # As if a trader had decided: what waits is counted every second, and a real desk's queue is short.
    await database.execute(
        "UPDATE signals SET status = 'settled', settled_at = now() WHERE status = 'accepted'"
    )
    await database.execute("VACUUM signals, deliveries")
    await database.execute("CHECKPOINT")


def tell(page: dict[str, Any], *, fsync_ms: int) -> None:
    variants = page["variants"]
    added = f", {fsync_ms} ms added to fsync" if fsync_ms else ""
    names = {
        "echo": "FastAPI echo (the limit)",
        "ours": "ours: durable signals",
        "insert": "FastAPI + one INSERT each",
    }
    show(
        f"Webhook intake{added}: " + ", ".join(f"{name}={value}" for name, value in page["settings"].items()),
        ("variant", "posts/s", "x echo", "server CPU us", "PostgreSQL CPU us", "p50 ms", "p99 ms"),
        [
            (
                names[name],
                figures["per_second"],
                figures["per_second"] / variants["echo"]["per_second"],
                figures["server_cpu_us"],
                figures["postgres_cpu_us"] if name != "echo" else None,
                figures["p50_ms"],
                figures["p99_ms"],
            )
            for name, figures in variants.items()
        ],
    )
    commits = page["single_row_commits_per_second"]
    print(
        f"single-row commits by pgbench: {commits:,.0f}/s; ours is {variants['ours']['per_second'] / commits:.2f} of it"
    )
    print(
        f"acknowledged {page['acknowledged']:,}, rows {page['rows']:,}: {'equal' if page['acknowledged'] == page['rows'] else 'DIFFERENT'}"
    )


async def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    folder = Path(tempfile.mkdtemp(prefix="pregao-bench-"))
    postgres = PostgresOnDisk(folder, secrets.token_hex(16), say=lambda *_, **__: None)
    pages = []
    try:
        await asyncio.to_thread(postgres.prepare)
        for series, fsync_ms in enumerate(args.fsync_ms):
            if fsync_ms:
                postgres.preload = slow_fsync(folder, fsync_ms=fsync_ms)
                if postgres.preload is None:
                    print("with a slower disk: skipped, there is no C compiler", file=sys.stderr)
                    break
            args.series = series
            with (folder / "postgres.log").open("wb") as log:
                async with running(postgres, log.fileno()) as pid:
                    await asyncio.to_thread(migrate, postgres.url)
                    await add_bot(postgres.url)
                    page = await sitting(postgres.url, pid, folder, args=args)
            pages.append({"fsync_ms_added": fsync_ms, **page})
    finally:
        marker = folder / "postgres.home"
        if marker.exists():
            shutil.rmtree(marker.read_text().strip(), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
    return pages


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print for machines")
    parser.add_argument("--seconds", type=float, default=4, help="of each round")
    parser.add_argument("--rounds", type=int, default=3, help="whose medians are shown")
    parser.add_argument("--connections", type=int, default=64, help="kept alive, one post at a time on each")
    parser.add_argument(
        "--fsync-ms",
        type=int,
        nargs="+",
        default=FSYNC_MS,
        help="added to every fsync, in sittings of their own",
    )
    args = parser.parse_args()
    on = machine()
    pages = asyncio.run(run(args))
    if args.json:
        show_json({"machine": on, "connections": args.connections, "sittings": pages})
    else:
        print(
            f"Python {on['python']}, {on['cpus']} CPUs, load before {on['load_before']:.2f}, {args.connections} connections"
        )
        for page in pages:
            tell(page, fsync_ms=page["fsync_ms_added"])
    return 0 if all(page["acknowledged"] == page["rows"] for page in pages) else 1


if __name__ == "__main__":
    sys.exit(main())
