"""
How long people wait for lists: `python -m benchmarks.lists [--json]`.

A desk with 10,000 round trips, their 20,000 signals and 100,000 events of them, and as many actions of people; every
list is asked as the API asks it, first page and rare filters too. Nothing else is measured but the answer's time.
"""

import argparse
import asyncio
import secrets
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.intake import PostgresOnDisk, running
from benchmarks.report import machine, show, show_json
from pregao.edges.postgres.actions import PostgresActions
from pregao.edges.postgres.history import PostgresHistory
from pregao.edges.postgres.journal import open_journal
from pregao.edges.postgres.migrate import migrate
from pregao.edges.postgres.trips import PostgresTrips
from pregao.edges.postgres.views import PostgresActivity
from pregao.views.actions import ActionFilter
from pregao.views.history import EventFilter, EventPlace, hours_until, spans_until
from pregao.views.trips import TripFilter

AIM_MS = 50
TRIPS = 10_000
RUNS = 15

BOT = "01930000-0000-7000-8000-000000000001"
# Every second signal of a ticker buys, the next one sells; the last ones are of just now.
FILL = f"""
CREATE TEMP TABLE told AS
SELECT n, uuidv7((n - {2 * TRIPS}) * interval '2 minutes') AS signal_id, now() + (n - {2 * TRIPS}) * interval '2 minutes' AS at,
       'T' || n / 2 % 500 || 'USDT' AS ticker, CASE n % 2 WHEN 1 THEN 'buy' ELSE 'sell' END AS side
FROM generate_series(1, {2 * TRIPS}) AS n;

INSERT INTO pregao.accounts (account_id, name, venue, position_mode, margin_mode, margin_asset, is_active, created_at, updated_at)
VALUES (1, 'Destination', 'webhook', 'one_way', 'crossed', 'USDT', true, now(), now());

INSERT INTO pregao.forwards (order_id, attempt, signal_id, account_id, owner, lease_epoch, begun_at, answered_at, http_status, answer)
SELECT 'p' || md5(n::text), 1, signal_id, 1, 'trader-1', 1, at, at, 200, 'ok' FROM told;

INSERT INTO pregao.signals (signal_id, bot_id, status, received_at, body, content_type, source, source_address, action,
                            symbol, side, price, read_at, decided_at, planned_at, accounts, orders, orders_live, settled_at)
SELECT signal_id, '{BOT}', 'settled', at, convert_to(repeat('x', 200), 'UTF8'), 'application/json', 'webhook', '192.0.2.1',
       CASE side WHEN 'buy' THEN 'enter' ELSE 'close' END, ticker, side, 10, at, at, at, 1, 1, 0, at FROM told;

INSERT INTO pregao.journal (kind, happened_at, recorded_at, signal_id, account_id, fact)
SELECT kind, at + step * interval '1 ms', at, signal_id, 1,
       jsonb_build_object('happened_at', at, 'signal_id', signal_id, 'order_id', 'p' || md5(n::text), 'attempt', 1,
                          'account_id', 1, 'venue', 'webhook', 'exchange_order_id', 'p' || md5(n::text), 'owner', 'trader-1', 'source', 'webhook', 'body', repeat('x', 200))
FROM told CROSS JOIN LATERAL (VALUES (1, 'SignalReceived'), (2, 'SignalAccepted'), (3, 'DecisionApproved'),
                                     (4, 'OrderPlanned'),
                                     (5, CASE n % 997 WHEN 0 THEN 'OrderRejected' ELSE 'OrderAccepted' END))
     AS steps (step, kind)
ORDER BY n, step;

INSERT INTO pregao.positions (position_id, account_id, bot_id, subscription_id, signal_id, symbol, position_side, direction,
                              status, leverage, entered_quantity, exited_quantity, entry_notional, exit_notional, fees,
                              realized_pnl, opened_at, closed_at, exit_signal_id, created_at, updated_at)
SELECT n / 2, 1, '{BOT}', '{BOT}', signal_id, ticker, 'both', 'long', CASE WHEN n > {2 * TRIPS - 100} THEN 'open' ELSE 'closed' END,
       1, 1, CASE WHEN n > {2 * TRIPS - 100} THEN 0 ELSE 1 END, 10, 11, 0.1, 0.9, at,
       CASE WHEN n <= {2 * TRIPS - 100} THEN at + interval '1 hour' END, NULL, at, at
FROM told WHERE n % 2 = 0;

INSERT INTO pregao.orders (order_id, attempt, client_order_id, signal_id, bot_id, subscription_id, account_id, venue, leg,
                           position_id, symbol, side, position_side, quantity, status, exchange_order_id, filled_quantity,
                           filled_notional, fees, planned_at, sent_at, acknowledged_at, filled_at, booked_at, updated_at)
SELECT 'p' || md5(n::text), 1, 'p' || n, signal_id, '{BOT}', '{BOT}', 1, 'paper', CASE side WHEN 'buy' THEN 'entry' ELSE 'exit' END,
       n / 2, ticker, side, 'both', 1, 'filled', n::text, 1, 10, 0.1, at, at, at, at, at, at FROM told;

INSERT INTO pregao.fills (account_id, symbol, trade_id, exchange_order_id, order_id, signal_id, position_id, side, position_side,
                          price, quantity, commission, commission_asset, fee, fee_rate, is_maker, traded_at, booked_at)
SELECT 1, ticker, n::text, n::text, 'p' || md5(n::text), signal_id, n / 2, side, 'both', 10, 1, 0.1, 'USDT', 0.1, 1, false, at, at
FROM told;

INSERT INTO pregao.daily_results (subscription_id, day, symbol, bot_id, account_id, closed, wins, pnl_usd, notional_usd)
SELECT '{BOT}', (at AT TIME ZONE 'UTC')::date, ticker, '{BOT}', 1, count(*), count(*), count(*) * 0.9, count(*) * 10
FROM told WHERE n % 2 = 0 GROUP BY 2, 3;

INSERT INTO pregao.admin_actions (action_id, happened_at, principal, source_address, user_agent, method, path, action, targets,
                                  status, duration_ms)
SELECT uuidv7((n - 20000) * interval '2 minutes'), now() + (n - 20000) * interval '2 minutes', 'admin token', '192.0.2.1', 'curl',
       'POST', CASE n % 7 WHEN 0 THEN '/admin/engine/pause' ELSE '/api/v1/bots' END, 'post_bot', '{{}}',
       CASE n % 13 WHEN 0 THEN 409 ELSE 201 END, 12
FROM generate_series(1, 20000) AS n;
"""

Asked = Callable[[], Awaitable[Any]]


async def measure(dsn: str) -> list[tuple[str, float, float]]:
    journal = await open_journal(dsn)
    try:
        async with journal.pool.acquire() as connection:
            await connection.execute(FILL, timeout=300)
            await connection.execute("VACUUM ANALYZE", timeout=300)
        figures = []
        for name, asked in _questions(journal):
            await asked()
            took = []
            for _ in range(RUNS):
                began = perf_counter()
                await asked()
                took.append((perf_counter() - began) * 1_000)
            figures.append((name, median(took), max(took)))
        return figures
    finally:
        await journal.pool.close()


def _questions(journal: Any) -> list[tuple[str, Asked]]:
    history, trips = PostgresHistory(journal), PostgresTrips(journal.pool)
    activity, actions = PostgresActivity(journal.pool), PostgresActions(journal)
    now = datetime.now(UTC)
    week = now - timedelta(days=7)
    middle = EventPlace(happened_at=now - timedelta(days=14), number=0)

    def events(**asked: Any) -> Asked:
        return lambda: history.events(EventFilter(**asked), limit=20)

    def counted(**asked: Any) -> Asked:
        return lambda: history.count_events(EventFilter(**asked), at_most=1_000)

    def lines(**asked: Any) -> Asked:
        everything = dict.fromkeys(
            ("owner", "account_id", "subscription_id", "signal_id", "status", "before")
        )
        return lambda: activity.orders(**{**everything, **asked}, limit=100)

    return [
        ("events, newest 20", events()),
        ("events, 20 in the middle", lambda: history.events(EventFilter(), before=middle, limit=20)),
        ("events of a status", events(status="forwarded_success")),
        ("events of a rare status", events(status="forwarded_generic_error")),
        ("events of a status that never was", events(status="error")),
        ("events of a ticker", events(ticker="T7USDT")),
        ("events of a ticker that never was", events(ticker="NONE")),
        ("events of a type", events(signal_type="position_close")),
        ("events of a type that never was", events(signal_type="sell_all")),
        ("events of a week", events(since=week)),
        ("count of all events", counted()),
        ("count of a status", counted(status="forwarded_success")),
        ("count of a ticker", counted(ticker="T7USDT")),
        ("count of a type", counted(signal_type="position_close")),
        ("count of a week", counted(since=week)),
        ("24 hours", lambda: history.buckets(hours_until(now, hours=24))),
        ("28 days of hours", lambda: history.buckets(hours_until(now, hours=672))),
        ("31 days summed up", lambda: history.summaries(spans_until(now.date(), period="day", count=31))),
        (
            "top performers",
            lambda: history.performers(
                owner=None,
                by="symbol",
                sort="pnl",
                first_day=week.date(),
                last_day=now.date(),
                limit=10,
            ),
        ),
        ("round trips, newest 1,000", lambda: trips.trips(TripFilter(), limit=1_000)),
        ("round trips, ticker contains", lambda: trips.trips(TripFilter(ticker="7usd"), limit=1_000)),
        ("round trips, open", lambda: trips.trips(TripFilter(status="open"), limit=1_000)),
        ("round trips, statistics", lambda: trips.stats(now=now)),
        ("orders, newest 100", lines()),
        ("orders, a status that never was", lines(status="canceled")),
        ("fills, newest 100", lambda: trips.fills(limit=100)),
        ("signals, newest 100", lambda: activity.signals(owner=None, bot_id=None, status=None, before=None, limit=100)),
        ("actions, newest 50", lambda: actions.actions(ActionFilter(), limit=50)),
        ("actions of a type", lambda: actions.actions(ActionFilter(action_type="engine_control"), limit=50)),
        ("actions, summed up", lambda: actions.summary(since=None)),
    ]  # fmt: skip


async def run() -> list[tuple[str, float, float]]:
    folder = Path(tempfile.mkdtemp(prefix="pregao-bench-"))
    postgres = PostgresOnDisk(folder, secrets.token_hex(16), say=lambda *_, **__: None)
    try:
        await asyncio.to_thread(postgres.prepare)
        with (folder / "postgres.log").open("wb") as log:
            async with running(postgres, log.fileno()):
                await asyncio.to_thread(migrate, postgres.url)
                return await measure(postgres.url)
    finally:
        marker = folder / "postgres.home"
        if marker.exists():
            shutil.rmtree(marker.read_text().strip(), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print for machines")
    args = parser.parse_args()
    on = machine()
    figures = asyncio.run(run())
    if args.json:
        show_json({"machine": on, "aim_ms": AIM_MS, "lists": [list(one) for one in figures]})
    else:
        show(f"Lists, aim {AIM_MS} ms: {on}", ("list", "median ms", "max ms"), figures)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
