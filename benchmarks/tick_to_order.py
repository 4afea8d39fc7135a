"""
A level is reached: how long from the tick that leaves the venue to the exit order that the venue has received.

A whole desk at the sink (`benchmarks.fanout_desk`), with a monitor. A signal opens one position on each account; when all are
watched, one tick, less than one percent away, reaches the targets of all of them. Targets, because no order of the venue's stands for
them: where one does, the software line waits 1.5 s for it by design. Each exit is claimed, looked at by the guardrails and committed
before it leaves; every arrival is signed, one for each account. Each account is another user's, who may exit as often as he
likes: the standard is ten exits a minute and the rest later. Of one position, the 99th of a hundred is told beside the median.
"""

import argparse
import asyncio
import math
import random
import sys
import tempfile
from decimal import Decimal
from pathlib import Path
from statistics import median

from benchmarks.fanout import Venue, WrongError, running_sink
from benchmarks.fanout_desk import FanoutDesk, running_desk
from benchmarks.report import machine, medians, show, show_json
from benchmarks.sink import PRICE

TARGET_PERCENT = Decimal("0.5")
REACHED = f"{Decimal(PRICE) * Decimal('1.008'):.1f}"
AIM_MS = (
    10  # of 99 in 100, for one position; F095 asks for 100 from the trigger to the order sent, in-process
)
SETTLE_SECONDS_MAX = 60.0
# Protective orders are placed meanwhile, leases and prices told. Between the two, for a market keeps no time with our turns.
CALM_SECONDS = 2.0, 3.0

WATCHED = """
SELECT (SELECT count(*) FROM stops WHERE status <> 'disarmed') AS armed,
       (SELECT count(*) FROM watches WHERE told_at > now() - interval '3 seconds' AND price_at IS NOT NULL) AS watched
"""


async def until(condition, what):
    """Wait until something holds of the desk; fail with what was seen last when it never does."""
    seen = None
    try:
        async with asyncio.timeout(SETTLE_SECONDS_MAX):
            while True:
                holds, seen = await condition()
                if holds:
                    return
                await asyncio.sleep(0.05)
    except TimeoutError as late:
        raise WrongError(f"{what}: {seen}") from late


async def one_round(desk: FanoutDesk, venue: Venue, *, accounts: int) -> dict[str, float]:
    """Open, wait until all is watched, tick, and give when the first, the middle and the last exit arrived, in ms."""
    connection = await desk.connection()

    async def all_watched():
        status, row = await venue.status(), await connection.fetchrow(WATCHED)
        return status["held"] == row["armed"] == accounts and row["watched"] > 0, (status, dict(row))

    async def all_left():
        status, row = await venue.status(), await connection.fetchrow(WATCHED)
        return status["held"] == row["armed"] == status["protections"] == 0, (status, dict(row))

    await venue.tick(PRICE)
    sent = await desk.send("buy")
    await desk.settle(sent.signal_id)
    await until(all_watched, "not all positions were watched")
    await asyncio.sleep(random.uniform(*CALM_SECONDS))
    await venue.reset(delay_ms=0)
    left_ns = await venue.tick(REACHED)
    await venue.wait(accounts)
    arrivals = await venue.arrivals()
    if len({one["key"] for one in arrivals}) != accounts or not all(one["is_signed"] for one in arrivals):
        raise WrongError(f"exits={len(arrivals)} accounts={accounts}")
    times = sorted((one["at_ns"] - left_ns) / 1e6 for one in arrivals)
    await until(all_left, "not all positions were left")
    if len(await venue.arrivals()) != accounts:
        raise WrongError("something was exited twice")
    return {"first_ms": times[0], "median_ms": median(times), "last_ms": times[-1]}


async def run(options: argparse.Namespace) -> dict[str, object]:
    """Measure each number of accounts on a desk of its own."""
    cases = {}
    for accounts in options.accounts:
        with tempfile.TemporaryDirectory(prefix="pregao-tick-") as folder:
            async with (
                running_sink() as (url, venue),
                running_desk(
                    Path(folder),
                    venue_url=url,
                    accounts=accounts,
                    target_percent=TARGET_PERCENT,
                    is_each_a_users=True,
                ) as desk,
            ):
                for role in ("web", "trader", "monitor"):
                    await desk.start_role(role)
                await desk.wait_for_web()

                async def followed(accounts=accounts, venue=venue):
                    status = await venue.status()
                    return status["heard"] >= accounts, status

                await until(followed, "not all accounts were followed")
                rounds = [await one_round(desk, venue, accounts=accounts) for _ in range(options.rounds + 1)]
                firsts = sorted(one["first_ms"] for one in rounds[1:])  # the first round opens connections
                cases[accounts] = medians(rounds[1:]) | {
                    "first_p99_ms": firsts[math.ceil(0.99 * len(firsts)) - 1],
                    "first_max_ms": firsts[-1],
                }
    return {"machine": machine(), "aim_ms": AIM_MS, "rounds": options.rounds, "cases": cases}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.tick_to_order", description=__doc__)
    parser.add_argument("--accounts", type=int, nargs="+", default=[1, 100, 1_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    page = asyncio.run(run(options))
    if options.json:
        show_json(page)
        return
    show(
        f"tick to exit order, medians of {options.rounds}; aim for p99 of one: {AIM_MS} ms",
        ("positions", "first, ms", "middle, ms", "last, ms", "first p99", "first max"),
        [(accounts, *figures.values()) for accounts, figures in page["cases"].items()],
    )


if __name__ == "__main__":
    sys.exit(main())
