"""System B over HTTP: what was earned and lost is what the fills say, to the last decimal, and stays that on every day."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import httpx
import pytest

from pregao.domain.facts import PositionChanged
from pregao.domain.order import Side
from pregao.edges.paper.serve import PaperSettings
from tests.builders import NOON, booked, closed, configured, held
from tests.edges.http.api.own_desk import BOTS, SUBSCRIPTIONS, own_desk
from tests.edges.http.api.test_performance import trade
from tests.journeys.whole_desk import WholeDesk, running_desk
from tests.ports import free_port
from tests.recomputed import Sums, Trip, round_trips, rounded, summed

SYMBOLS = {"BTCUSDT": ("95200", "96100.5", "93950"), "ETHUSDT": ("3000", "2950.25", "3041.75")}
SECOND = timedelta(microseconds=1)
DAILY_LOSS_MAX = 5_000  # more than these trips lose
MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
numbers = itertools.count(1)


@pytest.fixture
async def desk(database: str, tmp_path) -> AsyncIterator[WholeDesk]:
    async with running_desk(database, tmp_path, paper=PaperSettings(still=True)) as running:
        yield running


@pytest.fixture
async def pool(database: str) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(
        database, min_size=1, max_size=2, server_settings={"search_path": "pregao"}
    ) as opened:
        yield opened


async def set_price(desk: WholeDesk, symbol: str, price: str | Decimal) -> None:
    async with httpx.AsyncClient(base_url=desk.paper.url, verify=False) as client:
        answer = await client.post("/paper/prices", json={"symbol": symbol, "price": str(price)})
        assert answer.status_code == 200, answer.text


async def signal(
    desk: WholeDesk, bot: dict[str, Any], action: str, symbol: str = "BTCUSDT"
) -> dict[str, Any]:
    """Send an alert and give its complete receipt."""
    body = {"ticker": symbol, "action": action, "alert_id": str(next(numbers))}
    answer = await desk.post(bot, json.dumps(body))
    assert answer.status_code in (200, 202), answer.text
    receipt = await desk.receipt(answer.json()["signal_id"])
    assert {row["outcome"] for row in receipt["rows"]} == {"filled"}, receipt
    return receipt


async def round_trip(
    desk: WholeDesk, bot: dict[str, Any], action: str, *, at: str | Decimal, until: str | Decimal,
    symbol: str = "BTCUSDT",
) -> tuple[dict[str, Any], dict[str, Any]]:  # fmt: skip
    """Enter at one price and close at another; give both receipts."""
    await set_price(desk, symbol, at)
    entry = await signal(desk, bot, action, symbol)
    await set_price(desk, symbol, until)
    return entry, await signal(desk, bot, "close", symbol)


async def performance(desk: WholeDesk, subscription_id: str, **query: Any) -> dict[str, Any]:
    shown: dict[str, Any] = await desk.ask(
        "GET", f"{SUBSCRIPTIONS}/{subscription_id}/performance", params=query
    )
    return shown


def agrees(shown: dict[str, Any], expected: Sums) -> None:
    """Compare what the API shows with the sums of the trips, to the last decimal."""
    assert (shown["closed"], shown["wins"], shown["losses"]) == (
        expected.closed, expected.wins, expected.losses,
    )  # fmt: skip
    names = {
        "pnl_usd": "pnl",
        "gross_pnl_usd": "gross",
        "fees_usd": "fees",
        "loss_usd": "loss",
        "notional_usd": "notional",
    }
    for name, own in names.items():
        assert Decimal(shown[name]) == getattr(expected, own), name
    shares = {
        "win_rate_pct": expected.win_rate,
        "pnl_pct": rounded(expected.pnl / expected.notional * 100, 4) if expected.notional else None,
        "average_pnl_usd": rounded(expected.pnl / expected.closed, 8) if expected.closed else None,
        "profit_factor": rounded((expected.pnl + expected.loss) / expected.loss, 4)
        if expected.loss
        else None,
    }
    for name, own in shares.items():
        assert (shown[name] is None) is (own is None), name
        assert own is None or Decimal(shown[name]) == own, name


def drawdown(daily: list[Decimal]) -> Decimal:
    """Give the deepest fall between any two days, by trying all of them; it begins at nothing."""
    stood = [Decimal(0), *itertools.accumulate(daily)]
    return max(early - late for n, early in enumerate(stood) for late in stood[n:])


class TestPerformance:
    async def test_f061_every_figure_equals_a_recomputation_from_the_fills(self, desk, pool):
        bot = await desk.create_bot()
        names = []
        for name, margin in (("Ana", "120"), ("Bruno", "777.7")):
            limits = {"custom_margin_usd": margin, "max_daily_loss_usd": DAILY_LOSS_MAX}
            made = await desk.subscribe(bot, await desk.open_account(name), **limits)
            names.append(made["subscription_id"])
        for symbol, prices in SYMBOLS.items():
            for action, (at, until) in zip(
                ("buy", "sell", "buy"), itertools.permutations(prices, 2), strict=False
            ):
                await round_trip(desk, bot, action, at=at, until=until, symbol=symbol)
        await set_price(desk, "BTCUSDT", "95200")
        await signal(desk, bot, "buy")  # what is open has earned nothing yet

        trips = await round_trips(pool)
        by_owner = {name: [trip for trip in trips if str(trip.subscription_id) == name] for name in names}
        for name, own in by_owner.items():
            assert len(own) == 6
            self._subscription_agrees(await performance(desk, name), own)
            await self._snapshots_agree(desk, pool, name, own)
        shown = await desk.ask("GET", f"{BOTS}/{bot['bot_id']}/performance")
        self._period_agrees(shown, trips)
        ranked = sorted(names, key=lambda name: -summed(by_owner[name]).pnl)
        assert [one["subscription_id"] for one in shown["top_subscribers"]] == ranked
        for one in shown["top_subscribers"]:
            agrees(one, summed(by_owner[one["subscription_id"]]))
        assert shown["executions"] == {
            "received": 26,
            "executed": 26,
            "failed": 0,
            "skipped": 0,
            "pending": 0,
        }
        assert shown["signals"] == {"settled": 13}
        await self._averages_agree(shown["average"], pool)

    def _subscription_agrees(self, shown: dict[str, Any], trips: list[Trip]) -> None:
        self._period_agrees(shown, trips)
        today = summed([trip for trip in trips if str(trip.day) == shown["last_day"]])
        assert Decimal(shown["today"]["counted_loss_usd"]) == today.loss
        assert Decimal(shown["today"]["remaining_loss_usd"]) == DAILY_LOSS_MAX - today.loss
        assert shown["executions"] == {
            "received": 13,
            "executed": 13,
            "failed": 0,
            "skipped": 0,
            "pending": 0,
        }

    def _period_agrees(self, shown: dict[str, Any], trips: list[Trip]) -> None:
        for span in ("period", "all_time"):
            agrees(shown[span], summed(trips))
        agrees(shown["today"], summed([trip for trip in trips if str(trip.day) == shown["last_day"]]))
        so_far = Sums()
        for line in shown["daily"]:
            of_day = [trip for trip in trips if str(trip.day) == line["day"]]
            agrees(line, summed(of_day))
            for trip in of_day:
                so_far.count(trip)
            cumulative = (so_far.closed, so_far.wins, so_far.losses, so_far.pnl)
            assert cumulative == (
                line["cumulative_closed"],
                line["cumulative_wins"],
                line["cumulative_losses"],
                Decimal(line["cumulative_pnl_usd"]),
            )
        assert so_far.closed == len(trips)
        assert [line["symbol"] for line in shown["symbols"]] == sorted({trip.symbol for trip in trips})
        for line in shown["symbols"]:
            agrees(line, summed([trip for trip in trips if trip.symbol == line["symbol"]]))
        results = sorted(trip.pnl for trip in trips)
        assert (Decimal(shown["worst_pnl_usd"]), Decimal(shown["best_pnl_usd"])) == (results[0], results[-1])
        daily = [Decimal(line["pnl_usd"]) for line in shown["daily"]]
        assert Decimal(shown["drawdown_max_usd"]) == drawdown(daily)

    async def _snapshots_agree(
        self, desk: WholeDesk, pool: asyncpg.Pool, name: str, trips: list[Trip]
    ) -> None:
        shown = (await desk.ask("GET", f"{SUBSCRIPTIONS}/{name}/daily-snapshots"))["items"]
        rows = await pool.fetch(
            "SELECT * FROM public.bot_pnl_history WHERE subscription_id = $1 ORDER BY snapshot_date",
            UUID(name),
        )
        assert [one["snapshot_date"] for one in shown] == sorted({str(trip.day) for trip in trips})
        for one, row in zip(shown, rows, strict=True):
            own = summed([trip for trip in trips if str(trip.day) == one["snapshot_date"]])
            told = (
                one["daily_trades"],
                one["daily_wins"],
                one["daily_losses"],
                Decimal(one["daily_pnl_usd"]),
            )
            assert told == (own.closed, own.wins, own.losses, own.pnl)
            assert told == (row["daily_trades"], row["daily_wins"], row["daily_losses"], row["daily_pnl_usd"])

    async def _averages_agree(self, shown: dict[str, Any], pool: asyncpg.Pool) -> None:
        orders = await pool.fetch(
            "SELECT o.*, s.received_at FROM orders AS o JOIN signals AS s USING (signal_id)"
        )
        worse = []
        for order in orders:
            paid = order["filled_notional"] / order["filled_quantity"]
            above = (paid - order["decision_price"]) / order["decision_price"] * 10_000
            worse.append(above if order["side"] == "buy" else -above)
        assert Decimal(shown["slippage_bps"]) == rounded(sum(worse) / len(worse), 2)
        for name in ("sent", "acknowledged", "booked"):
            took = [(order[f"{name}_at"] - order["received_at"]).total_seconds() * 1000 for order in orders]
            assert shown[f"{name}_ms"] == pytest.approx(sum(took) / len(took), abs=1)


class TestResults:
    async def test_f056_long_and_short_after_fees_and_0_is_neither_win_nor_loss(self, desk, pool):
        """A taker pays 5 bps of each side: from 99950 to 100050 a long earns exactly its fees."""
        bot = await desk.create_bot()
        ana = await desk.open_account("Ana")
        subscription = await desk.subscribe(bot, ana, custom_margin_usd="55")  # 0.005 at all of these prices
        probe = await round_trip(desk, bot, "buy", at="100000", until="100000")
        above, below = (Decimal(one["rows"][0]["average_price"]) - 100_000 for one in probe)

        await round_trip(desk, bot, "buy", at=99_950 - above, until=100_050 - below)
        await round_trip(desk, bot, "sell", at=100_050 - below, until=99_950 - above)
        await round_trip(desk, bot, "buy", at=99_950 - above, until=100_050 - below)
        await round_trip(desk, bot, "buy", at=99_950 - above, until=100_150 - below)
        await round_trip(desk, bot, "sell", at=99_950 - below, until=100_050 - above)

        rows = await pool.fetch("SELECT * FROM public.bot_trades ORDER BY id")
        told = [(row["direction"], row["pnl_usd"], row["fees"], row["is_winner"]) for row in rows[1:]]
        assert told == [
            ("long", 0, Decimal("0.5"), None),
            ("short", 0, Decimal("0.5"), None),
            ("long", 0, Decimal("0.5"), None),
            ("long", Decimal("0.49975"), Decimal("0.50025"), True),
            ("short", Decimal(-1), Decimal("0.5"), False),
        ]
        shown = (await performance(desk, subscription["subscription_id"]))["all_time"]
        lost_on_probe = 1
        assert (shown["closed"], shown["wins"], shown["losses"]) == (6, 1, 1 + lost_on_probe)
        assert Decimal(shown["win_rate_pct"]) == Decimal("33.33")


class TestDailyLoss:
    async def test_f054_a_day_has_its_snapshot_and_ends_at_midnight_utc(self, database):
        """What closes in the last microsecond of a day is that day's, what closes at midnight the next one's."""
        async with own_desk(database) as desk:
            await desk.append(*configured())
            desk.now = MIDNIGHT - timedelta(seconds=1)
            await trade(desk, closed(held("1", price="100", position_id=1), at=MIDNIGHT - SECOND, pnl="-150"))
            before = (await desk.client.get(f"{SUBSCRIPTIONS}/{UUID(int=1)}/performance")).json()
            desk.now = MIDNIGHT
            after = (await desk.client.get(f"{SUBSCRIPTIONS}/{UUID(int=1)}/performance")).json()
            await trade(desk, closed(held("1", price="100", position_id=2), at=MIDNIGHT, pnl="-30"))
            later = (await desk.client.get(f"{SUBSCRIPTIONS}/{UUID(int=1)}/performance")).json()
            snapshots = await desk.client.get(f"{SUBSCRIPTIONS}/{UUID(int=1)}/daily-snapshots")

        told = [(one["last_day"], one["today"]["counted_loss_usd"], one["today"]["remaining_loss_usd"])
                for one in (before, after, later)]  # fmt: skip
        assert told == [
            ("2026-11-21", "150", "50"),
            ("2026-11-22", "0", "200"),  # no job had to reset anything
            ("2026-11-22", "30", "170"),
        ]
        days = [
            (one["snapshot_date"], one["daily_pnl_usd"], one["daily_losses"], one["cumulative_pnl_usd"])
            for one in snapshots.json()["items"]
        ]
        assert days == [("2026-11-21", "-150", 1, "-150"), ("2026-11-22", "-30", 1, "-180")]

    async def test_f054_what_a_part_has_lost_counts_today_and_no_more_tomorrow(self, database):
        """Limits count it before the position closes: what is shown as left to lose must, too."""
        sold = {"side": Side.SELL, "quantity": "0.5", "price": "50", "traded_at": MIDNIGHT - SECOND}
        part = held(
            "1", price="100", position_id=1, exited_quantity=Decimal("0.5"), exit_notional=Decimal(25)
        )
        async with own_desk(database) as desk:
            await desk.append(*configured())
            await trade(desk, part)
            await desk.append(booked(order_id=None, **sold))
            today = []
            for desk.now in (MIDNIGHT - SECOND, MIDNIGHT):
                path = f"{SUBSCRIPTIONS}/{UUID(int=1)}/performance"
                today.append((await desk.client.get(path)).json()["today"])

        told = [(one["counted_loss_usd"], one["open_loss_usd"], one["remaining_loss_usd"]) for one in today]
        assert told == [("0", "25", "175"), ("0", "0", "200")]

    async def test_f054_a_restart_on_the_same_day_forgets_no_loss(self, database):
        async with own_desk(database) as desk:
            await desk.append(*configured())
            await trade(desk, closed(held("1", price="100", position_id=1), at=NOON, pnl="-150"))

        async with own_desk(database) as again:
            shown = (await again.client.get(f"{SUBSCRIPTIONS}/{UUID(int=1)}/performance")).json()

        assert shown["today"]["counted_loss_usd"] == "150"

    async def test_f054_a_fill_told_after_midnight_counts_on_the_day_it_traded(self, database):
        """A position that reopens by a late fill leaves the day it had closed on, and counts where it closes again."""
        one = held("1", price="100", position_id=1)
        async with own_desk(database) as desk:
            await desk.append(*configured())
            await trade(desk, closed(one, at=MIDNIGHT - SECOND, pnl="-150"))
            for again in (one, closed(one, at=MIDNIGHT + SECOND, pnl="-140")):
                await desk.append(PositionChanged(happened_at=NOON, position=again))
            desk.now = MIDNIGHT + timedelta(hours=1)
            snapshots = await desk.client.get(f"{SUBSCRIPTIONS}/{UUID(int=1)}/daily-snapshots")

        items = snapshots.json()["items"]
        assert [(one["snapshot_date"], one["daily_pnl_usd"]) for one in items] == [("2026-11-22", "-140")]


class Line:
    """The line to the database server: while it is cut, nobody is let through."""

    def __init__(self, dsn: str) -> None:
        self._there = urlsplit(dsn)
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self.port = free_port()

    @property
    def dsn(self) -> str:
        people = self._there.netloc.rpartition("@")[0]
        return self._there._replace(netloc=f"{people}@127.0.0.1:{self.port}").geturl()

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", self.port)

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for end in self._ends:
            end.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(self._there.hostname, self._there.port)
        ends = {writer, there[1]}
        self._ends |= ends
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(_carry(reader, there[1]), _carry(there[0], writer))
        self._ends -= ends


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while told := await reader.read(65_536):
        writer.write(told)
        await writer.drain()
    writer.close()


class TestHealth:
    async def test_f060_health_counts_what_takes_signals_and_is_no_bot(self, desk):
        bot = await desk.create_bot()
        paused = await desk.create_bot("Paused")
        for number, one in enumerate((bot, bot, paused)):
            await desk.subscribe(one, await desk.open_account(f"follower {number}"))
        await desk.ask("PATCH", f"{BOTS}/{paused['bot_id']}", json={"status": "paused"})
        before = await desk.ask("GET", f"{BOTS}/health")
        receipt = await signal(desk, bot, "buy")

        async with httpx.AsyncClient(base_url=desk.client.base_url, verify=False) as stranger:
            answer = await stranger.get(f"{BOTS}/health")

        assert answer.status_code == 200
        assert answer.json() == {
            "success": True,
            "healthy": True,
            "trading_state": "active",
            "active_bots": before["active_bots"],
            "active_subscriptions": before["active_subscriptions"],
            "last_signal_at": receipt["received_at"],
        }
        assert before["active_subscriptions"] >= 2
        bots = (await desk.ask("GET", BOTS, params={"status": "active"}))["items"]
        assert before["active_bots"] == len(bots)
        assert before["active_subscriptions"] == sum(one["active_subscriptions"] for one in bots)
        assert (await desk.client.get(f"{BOTS}/{bot['bot_id']}")).json()["bot_id"] == bot["bot_id"]

    async def test_f060_health_is_503_while_the_database_is_down_and_200_when_it_is_back(
        self, database, tmp_path
    ):
        line = Line(database)
        await line.mend()
        async with running_desk(line.dsn, tmp_path, paper=PaperSettings(still=True)) as desk:
            await line.cut()
            answer = await desk.client.get(f"{BOTS}/health")
            await line.mend()
            async with asyncio.timeout(20):
                while (await desk.client.get(f"{BOTS}/health")).status_code != 200:
                    await asyncio.sleep(0.1)
        await line.cut()

        told = answer.json()
        assert answer.status_code == 503
        assert (told["success"], told["healthy"], told["error"]["code"]) == (False, False, "DATABASE_AWAY")
        assert (told["active_bots"], told["active_subscriptions"], told["last_signal_at"]) == (
            None,
            None,
            None,
        )
