"""System A's lists over HTTP: orders, events, history, actions, and files of them (F016, F020, F033, F034, F035)."""

import asyncio
import csv
import io
from datetime import datetime, timedelta

import pytest

from pregao.domain.facts import DecisionApproved, DecisionDeclined
from pregao.domain.signal import Action
from pregao.edges.ids import uuid7
from pregao.edges.postgres.rebuild import compare_with_journal
from tests.builders import BOT_ID, NOON, arrival, closed, configured, held, instruction, position
from tests.edges.http.api.own_desk import BOTS, TOKEN, code_of, own_desk
from tests.edges.http.api.test_performance import trade

ORDERS, STATS = "/admin/orders", "/admin/orders/stats"
TRAIL, HISTORY = "/admin/audit-trail", "/admin/signals-history"
EXPORT, IMPORT = "/admin/export-csv", "/admin/import-csv"
ACTIONS = "/admin/actions-log"
EVENTS = "/api/v1/signals/events"
SIGNALS = [uuid7(NOON - timedelta(hours=hours)) for hours in (30, 2, 1)]


def told(number: int, *, symbol: str, is_approved: bool, at: datetime, action: Action = Action.ENTER) -> list:
    """Give a signal with its decision: three events."""
    asked = instruction(action, symbol=symbol, now=at)
    facts = arrival(asked, signal_id=SIGNALS[number], now=at)
    given = {"happened_at": at, "signal_id": SIGNALS[number], "bot_id": BOT_ID, "verdicts": ()}
    if is_approved:
        return [*facts, DecisionApproved(**given, instruction=asked)]
    return [*facts, DecisionDeclined(**given, code="SCREENER_DECLINED", reason="=not on the list")]


async def tell(desk) -> None:
    """Let three signals have come: one yesterday, two today."""
    await desk.append(
        *configured(),
        *told(0, symbol="AAPL", is_approved=True, at=NOON - timedelta(hours=30)),
        *told(1, symbol="MSFT", is_approved=False, at=NOON - timedelta(hours=2)),
        *told(2, symbol="AAPL", is_approved=True, at=NOON - timedelta(hours=1), action=Action.CLOSE),
    )


async def get(desk, path: str, **asked):
    answer = await desk.client.get(path, params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def bring_in(desk, content: bytes, *, path: str = IMPORT, **fields) -> dict:
    answer = await desk.client.post(path, files={"file": ("signals.csv", content)}, data=fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


class TestOrders:
    @pytest.fixture
    async def traded(self, desk):
        await desk.append(*configured(accounts=1))
        hour = timedelta(hours=1)
        for one in (
            closed(held("2", price="10", position_id=1, symbol="AAPL", opened_at=NOON - 26 * hour), at=NOON - hour),
            closed(held("1", price="10", position_id=2, symbol="MSFT", opened_at=NOON - 30 * hour), at=NOON - 20 * hour),
            held("3", price="20", position_id=3, symbol="AAPLW", opened_at=NOON - hour),
        ):  # fmt: skip
            await trade(desk, one)
        return desk

    async def test_give_round_trips_newest_first_with_duration_and_value(self, traded):
        """F020: filters, newest first, duration text."""
        answer = await get(traded, ORDERS)

        assert [one["ticker"] for one in answer["orders"]] == ["AAPLW", "AAPL", "MSFT"]
        assert (answer["count"], answer["total"], answer["next_cursor"]) == (3, 3, None)
        assert answer["orders"][1] == {
            "id": 1,
            "bot": "EMA cross",
            "ticker": "AAPL",
            "status": "closed",
            "opened_at": "2026-11-20T10:00:00Z",
            "closed_at": "2026-11-21T11:00:00Z",
            "entry_price": "10",
            "exit_price": "10",
            "value": "20",
            "duration": "25h 0m",
            "duration_seconds": 90_000,
        }
        assert (answer["orders"][0]["duration"], answer["orders"][0]["exit_price"]) == ("\N{EM DASH}", None)

    async def test_are_filtered_by_status_and_by_what_the_ticker_contains(self, traded):
        async def tickers(**asked):
            return [one["ticker"] for one in (await get(traded, ORDERS, **asked))["orders"]]

        assert await tickers(status="closed") == ["AAPL", "MSFT"]
        assert await tickers(status="all", ticker="aapl") == ["AAPLW", "AAPL"]
        assert await tickers(status="open", ticker="PLW") == ["AAPLW"]
        assert await tickers(ticker="%") == []
        assert await tickers(status="closing") == []

    async def test_are_paged_by_a_cursor_without_gap_or_repeat(self, traded):
        seen, cursor = [], None
        while True:
            page = await get(traded, ORDERS, limit=1, **({"cursor": cursor} if cursor else {}))
            seen += [one["id"] for one in page["orders"]]
            if page["next_cursor"] is None:
                break
            cursor = page["next_cursor"]

        assert seen == [3, 1, 2]

    async def test_stats_match_the_table_and_count_today_by_utc(self, traded):
        """F020: closed_today by UTC date; what waits for its first fill, or never had one, is no order."""
        await trade(traded, position(4, symbol="ETHUSDT"))

        stats = (await get(traded, STATS))["stats"]

        listed = (await get(traded, ORDERS))["orders"]
        assert stats == {"open": 1, "closing": 0, "closed": 2, "closed_today": 1}
        assert {name: sum(one["status"] == name for one in listed) for name in ("open", "closing", "closed")} == {
            "open": 1, "closing": 0, "closed": 2,
        }  # fmt: skip
        ours = await get(traded, "/api/v1/positions/stats")
        assert (ours["open"], ours["closed_today"], ours["total_value"]) == (1, 1, "60")

    async def test_are_nothing_on_an_empty_desk(self, desk):
        assert (await get(desk, ORDERS))["orders"] == []
        assert (await get(desk, STATS))["stats"] == dict.fromkeys(
            ("open", "closing", "closed", "closed_today"), 0
        )


class TestAuditTrail:
    async def test_gives_every_step_newest_first(self, desk):
        """F016."""
        await tell(desk)

        trail = await get(desk, TRAIL)

        assert [one["event_type"] for one in trail["events"]] == [
            "approved", "processing", "received", "rejected", "processing", "received", "approved", "processing", "received",
        ]  # fmt: skip
        assert (trail["total"], trail["has_more"], trail["limit"], trail["offset"]) == (9, False, 20, 0)
        event = trail["events"][3]
        assert (event["ticker"], event["signal_type"], event["location"]) == ("MSFT", "buy", "discarded")
        assert event["details"] == "=not on the list"
        assert event["http_status"] is None

    async def test_is_filtered_by_what_the_source_knows(self, desk):
        await tell(desk)
        cases = (
            ({"status_filter": "approved"}, 2),
            ({"ticker": "aapl"}, 6),
            ({"ticker": "NONE"}, 0),
            ({"hours": 24}, 6),
            ({"signal_id": str(SIGNALS[1])}, 3),
            ({"signal_type": "position_close"}, 3),
            ({"signal_type": "sell_all"}, 0),
            ({"ticker": "AAPL", "hours": 24, "status_filter": "received"}, 1),
        )
        for asked, total in cases:
            trail = await get(desk, TRAIL, **asked)

            assert (len(trail["events"]), trail["total"]) == (total, total), asked
            assert trail["filters_applied"] == asked
        assert (await get(desk, TRAIL, status_filter="all"))["filters_applied"] == {}

    async def test_is_paged_by_offset_and_says_whether_there_is_more(self, desk):
        await tell(desk)
        whole = (await get(desk, TRAIL))["events"]

        pages = [await get(desk, TRAIL, limit=4, offset=offset) for offset in (0, 4, 8)]

        assert [event for page in pages for event in page["events"]] == whole
        assert [page["has_more"] for page in pages] == [True, True, False]

    async def test_is_paged_by_a_cursor_without_gap_or_repeat_while_events_come_in(self, desk):
        """F016: what was there when the first page was read is given once, whatever comes meanwhile."""
        await tell(desk)
        whole = (await get(desk, TRAIL))["events"]
        seen, cursor, number = [], None, 0
        while True:
            page = await get(desk, TRAIL, limit=2, **({"cursor": cursor} if cursor else {}))
            seen += page["events"]
            if not page["has_more"]:
                break
            cursor, number = page["next_cursor"], number + 1
            await desk.append(
                *arrival(instruction(symbol="LATE"), signal_id=uuid7(NOON), now=NOON + timedelta(minutes=number))
            )  # fmt: skip

        assert seen == whole

    async def test_gives_the_same_events_to_our_own_path(self, desk):
        await tell(desk)
        trail = (await get(desk, TRAIL, ticker="AAPL"))["events"]

        first = await get(desk, EVENTS, ticker="AAPL", limit=4)
        rest = await get(desk, EVENTS, ticker="AAPL", limit=4, cursor=first["next_cursor"])

        ours = [*first["items"], *rest["items"]]
        assert [(one["happened_at"], one["status"]) for one in ours] == [
            (one["timestamp"], one["event_type"]) for one in trail
        ]
        assert rest["next_cursor"] is None

    async def test_refuses_a_cursor_that_is_none_of_ours(self, desk):
        for cursor in ("x", "W10", "WzEsMl0x", "", "\u00e9", "WzFlNDAwLDFd", "W3RydWUsMV0"):
            for path in (TRAIL, ORDERS, EVENTS, "/api/v1/fills"):
                answer = await desk.client.get(path, params={"cursor": cursor})

                assert (answer.status_code, code_of(answer)) == (422, "CURSOR_UNREADABLE"), (path, cursor)


class TestSignalsHistory:
    async def test_counts_hour_by_hour_what_the_events_say(self, desk):
        """F035: hourly counts equal the events."""
        await tell(desk)

        history = (await get(desk, HISTORY, hours=48))["history"]

        events = (await get(desk, TRAIL, limit=1_000))["events"]
        assert len(history) == 48
        for name in ("received", "approved", "rejected"):
            by_hour: dict[str, int] = {}
            for event in events:
                if event["event_type"] == name:
                    hour = event["timestamp"][:13]
                    by_hour[hour] = by_hour.get(hour, 0) + 1
            counted = {
                one["timestamp"][:13]: one[f"signals_{name}"] for one in history if one[f"signals_{name}"]
            }
            assert counted == by_hour
        assert history[-2] == {
            "hour": "11:00",
            "date": "2026-11-21",
            "signals_received": 1,
            "signals_approved": 1,
            "signals_rejected": 0,
            "signals_forwarded": 0,
            "timestamp": "2026-11-21T11:00:00Z",
        }

    async def test_has_zeros_on_an_empty_desk(self, desk):
        """F035: no invented data."""
        answer = await get(desk, HISTORY)

        figures = ("signals_received", "signals_approved", "signals_rejected", "signals_forwarded")
        assert len(answer["history"]) == answer["hours"] == 24
        assert {one[name] for one in answer["history"] for name in figures} == {0}
        assert answer["history"][-1]["timestamp"] == "2026-11-21T12:00:00Z"

    async def test_gives_the_same_figures_to_our_own_path(self, desk):
        await tell(desk)

        hours = (await get(desk, "/api/v1/signals/history", hours=3))["hours"]

        assert [(one["received"], one["approved"], one["rejected"]) for one in hours] == [(1, 0, 1), (1, 1, 0), (0, 0, 0)]  # fmt: skip
        assert hours[1]["approval_rate_pct"] == "100"


class TestSummaries:
    async def test_add_up_signals_positions_and_results_by_day_and_month(self, desk):
        await tell(desk)
        yesterday = NOON - timedelta(days=1)
        await trade(
            desk, closed(held("1", price="100", position_id=1, opened_at=yesterday), at=yesterday, pnl="7")
        )
        await trade(desk, closed(held("1", price="100", position_id=2, symbol="ETHUSDT"), at=NOON, pnl="-4"))

        days = await get(desk, "/api/v1/performance/summaries", count=2)
        months = await get(desk, "/api/v1/performance/summaries", period="month", count=1)

        assert [(one["first_day"], one["opened"], one["results"]["pnl_usd"], one["signals"]["received"]) for one in days["spans"]] == [
            ("2026-11-20", 1, "7", 1), ("2026-11-21", 1, "-4", 2),
        ]  # fmt: skip
        (month,) = months["spans"]
        assert (month["first_day"], month["last_day"]) == ("2026-11-01", "2026-11-30")
        assert (month["opened"], month["results"]["closed"], month["results"]["win_rate_pct"]) == (2, 2, "50")
        assert month["signals"]["approval_rate_pct"] == "66.67"

    async def test_name_the_top_performers(self, desk):
        await desk.append(*configured(accounts=2))
        for number, symbol, pnl in ((1, "BTCUSDT", "7"), (2, "ETHUSDT", "9"), (3, "ETHUSDT", "-1")):
            await trade(
                desk, closed(held("1", price="100", position_id=number, symbol=symbol), at=NOON, pnl=pnl)
            )
        top = "/api/v1/performance/top"

        by_pnl = await get(desk, top)
        by_rate = await get(desk, top, sort="win_rate", limit=1)
        by_account = await get(desk, top, by="account")

        assert [(one["subject"], one["results"]["pnl_usd"]) for one in by_pnl["performers"]] == [
            ("ETHUSDT", "8"), ("BTCUSDT", "7"),
        ]  # fmt: skip
        assert [one["subject"] for one in by_rate["performers"]] == ["BTCUSDT"]
        assert [(one["subject"], one["name"], one["results"]["closed"]) for one in by_account["performers"]] == [
            ("1", "account 1", 3)
        ]  # fmt: skip

    async def test_show_a_trader_his_own_accounts_only(self, desk):
        await desk.append(*configured())
        await trade(desk, closed(held("1", price="100", position_id=1), at=NOON, pnl="7"))
        ana = await desk.enroll("ana")

        top = await ana.client.get("/api/v1/performance/top")
        stats = await ana.client.get("/api/v1/positions/stats")
        trail = await ana.client.get(EVENTS)

        assert top.json()["performers"] == []
        assert stats.json()["closed"] == 0
        assert (trail.status_code, code_of(trail)) == (403, "ROLE_FORBIDDEN")


class TestCsv:
    async def test_is_nothing_on_an_empty_desk(self, desk):
        assert (await desk.client.get(EXPORT)).status_code == 204
        assert (await desk.client.get("/admin/database/export")).status_code == 204

    async def test_has_the_columns_of_the_source_and_runs_no_formula(self, desk):
        """F034: formula cells neutralised."""
        await tell(desk)

        answer = await desk.client.get(EXPORT)

        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert "attachment" in answer.headers["content-disposition"]
        rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
        assert list(rows[0]) == [
            "timestamp", "signal_id", "ticker", "signal_type", "status", "location", "worker_id", "details", "http_code",
        ]  # fmt: skip
        assert len(rows) == 9
        assert rows[3]["details"] == "'=not on the list"
        assert rows[3]["timestamp"] == "2026-11-21T10:00:00.000000Z"

    async def test_loses_nothing_on_the_way_to_another_desk_and_trades_nothing_there(
        self, desk, database_server, database_template
    ):
        """F034: round trip; and what came in is history: no signal waits, no order is made, the fold holds."""
        from tests.fresh_database import fresh_database

        await tell(desk)
        sent = (await desk.client.get(EXPORT)).content
        async with (
            fresh_database(database_server, database_template) as address,
            own_desk(address) as other,
        ):
            first = await bring_in(other, sent)
            again = await bring_in(other, sent)

            assert (first["imported_count"], first["known_count"], first["refused_count"]) == (9, 0, 0)
            assert (again["imported_count"], again["known_count"]) == (0, 9)
            assert (await other.client.get(EXPORT)).content == sent
            assert (await get(other, TRAIL))["events"] == (await get(desk, TRAIL))["events"]
            assert (await get(other, HISTORY, hours=48)) == (await get(desk, HISTORY, hours=48))
            assert await other.journal.pool.fetchval("SELECT count(*) FROM signals") == 0
            assert other.rings == []
            assert (await compare_with_journal(other.journal)).differences == ()

    async def test_knows_what_was_exported_here(self, desk):
        await tell(desk)
        sent = (await desk.client.get(EXPORT)).content

        came = await bring_in(desk, sent)

        assert (came["imported_count"], came["known_count"]) == (0, 9)
        assert (await get(desk, TRAIL))["total"] == 9

    async def test_brings_in_twice_what_stands_there_twice_however_it_is_split(self, desk):
        row = f"2026-11-20T10:00:00Z,{SIGNALS[0]},AAPL,buy,received,processing_queue,,,\r\n"
        heading = "timestamp,signal_id,ticker,signal_type,status,location,worker_id,details,http_code\r\n"

        first = await bring_in(desk, (heading + row).encode())
        second = await bring_in(desk, (heading + row + row).encode())

        assert (first["imported_count"], second["imported_count"], second["known_count"]) == (1, 1, 1)
        assert (await get(desk, TRAIL))["total"] == 2

    async def test_brings_in_once_what_two_people_send_at_once(self, desk):
        await tell(desk)
        sent = (await desk.client.get(EXPORT)).content.replace(b"00000Z", b"00001Z")

        came = await asyncio.gather(*(bring_in(desk, sent) for _ in range(3)))

        assert sorted(one["imported_count"] for one in came) == [0, 0, 9]
        assert (await get(desk, TRAIL))["total"] == 18
        assert (await compare_with_journal(desk.journal)).differences == ()

    async def test_says_what_it_would_do_and_does_nothing_in_a_dry_run(self, desk):
        row = f"2026-11-20T10:00:00Z,{SIGNALS[0]},received"

        came = await bring_in(
            desk, f"timestamp,signal_id,status\n{row}\n{row}x\n".encode(), dry_run="true", path="/admin/database/import"
        )  # fmt: skip

        assert (came["is_dry_run"], came["imported_count"], came["refused_count"]) == (True, 1, 1)
        assert came["errors"] == [
            {
                "line": 3,
                "column": "status",
                "code": "ROW_UNREADABLE",
                "message": came["errors"][0]["message"],
            }
        ]
        assert (await get(desk, TRAIL))["total"] == 0

    async def test_refuses_what_is_no_such_file(self, desk):
        form = "multipart/form-data; boundary=x"
        cases = (
            ("text/csv", b"a,b\n1,2\n"),
            ("text/csv", b""),
            ("text/csv", b'timestamp,signal_id,status\n"\n'),
            ("text/csv", b"\xff\xfe"),
            (form, b"--x--"),
            (form, b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\na\r\n--x--'),
        )
        for content_type, body in cases:
            answer = await desk.client.post(IMPORT, content=body, headers={"content-type": content_type})

            assert (answer.status_code, code_of(answer)) == (400, "IMPORT_UNREADABLE"), body

    async def test_takes_the_token_from_the_form_as_the_source_did(self, desk):
        await tell(desk)
        sent = (await desk.client.get(EXPORT)).content
        stranger = await desk.coming_with("")
        large = sent + b"\r\n" * 40_000  # more than any other body may have

        answers = [
            await stranger.post(IMPORT, files={"file": ("s.csv", large)}, data={"token": token})
            for token in (TOKEN, "wrong")
        ]
        without = await stranger.post(IMPORT, files={"file": ("s.csv", large)})

        assert answers[0].json()["known_count"] == 9
        assert [one.status_code for one in (*answers, without)] == [200, 403, 401]

    async def test_and_lists_are_for_those_who_may(self, desk):
        """A-16: no list is open."""
        stranger = await desk.coming_with("")
        ana = await desk.enroll("ana")
        for path in (
            EXPORT,
            "/admin/database/export",
            TRAIL,
            ORDERS,
            STATS,
            HISTORY,
            ACTIONS,
            f"{ACTIONS}/export",
        ):
            assert (await stranger.get(path)).status_code == 401, path
            assert (await ana.client.get(path)).status_code == 403, path

    async def test_gives_signals_orders_positions_fills_and_actions_whole(self, desk):
        await tell(desk)
        await trade(desk, closed(held("1", price="100", position_id=1), at=NOON, pnl="-7"))

        async def rows(path: str) -> list[dict]:
            answer = await desk.client.get(f"/api/v1/{path}", params={"format": "csv", "limit": 1})
            assert answer.status_code == 200, answer.text
            return list(csv.DictReader(io.StringIO(answer.text, newline="")))

        assert {one["signal_id"] for one in await rows("signals")} == {str(one) for one in SIGNALS}
        assert [(one["order_id"], one["symbol"]) for one in await rows("orders")] == [("p1", "BTCUSDT")]
        assert [one["realized_pnl"] for one in await rows("positions")] == ["-7"]
        assert await rows("fills") == []
        assert len(await rows("signals/events")) == 9
        await desk.client.get("/api/v1/positions/stats")
        await desk.client.get("/api/v1/orders?format=%63sv")  # whichever way it is written
        taken = {one["action"] for one in await rows("admin/actions")}
        assert taken == {"list_signals", "list_orders", "list_positions", "list_fills", "list_events"}
        assert [one["action"] for one in await desk.actions()].count("list_orders") == 2


class TestActionsLog:
    async def test_tells_who_did_what_from_where_how_long_and_whether_it_worked(self, desk):
        """F033."""
        bot = await desk.make_bot()
        desk.later(seconds=1)
        stranger = await desk.coming_with("")
        await stranger.post("/admin/engine/pause", json={"token": TOKEN})
        desk.later(seconds=1)
        await desk.client.post(BOTS, json={"name": ""})

        log = await get(desk, ACTIONS)

        assert (log["total"], log["has_more"]) == (3, False)
        assert [(one["action_type"], one["action_name"], one["success"]) for one in log["actions"]] == [
            ("config_update", "post_bot", False),
            ("engine_control", "pause_at_source", True),
            ("config_update", "post_bot", True),
        ]
        last = log["actions"][-1]
        assert (last["ip_address"], last["admin"]) == ("127.0.0.1", "admin token")
        assert last["user_agent"].startswith("python-httpx")
        assert last["execution_time_ms"] >= 0
        assert last["target_resource"] is not None
        everything = await desk.everything_stored()
        assert bot["secret"] not in everything
        assert TOKEN not in everything

    async def test_is_filtered_and_summed_up(self, desk):
        await desk.make_bot()
        await desk.client.post(BOTS, json={"name": ""})
        await desk.client.post("/admin/engine/pause")
        desk.later(hours=3)
        await desk.client.post("/admin/engine/resume")

        failed = await get(desk, ACTIONS, success_filter="false")
        engine = await get(desk, ACTIONS, action_type_filter="engine_control", limit=1)
        lately = await get(desk, ACTIONS, hours=1)
        summary = await get(desk, f"{ACTIONS}/summary")

        assert [one["action_name"] for one in failed["actions"]] == ["post_bot"]
        assert (engine["total"], engine["has_more"]) == (2, True)
        assert [one["action_name"] for one in lately["actions"]] == ["resume_at_source"]
        assert (summary["total"], summary["succeeded"], summary["failed"]) == (4, 3, 1)
        assert [(one["action_type"], one["total"], one["failed"]) for one in summary["types"]] == [
            ("config_update", 2, 1),
            ("engine_control", 2, 0),
        ]
        (ours,) = await get(desk, "/api/v1/admin/actions/summary", hours=1)
        assert (ours["action_type"], ours["succeeded"], ours["last_at"]) == (
            "engine_control", 1, "2026-11-21T15:00:00Z",
        )  # fmt: skip

    async def test_is_a_file_in_both_formats_and_writes_down_who_took_it(self, desk):
        assert (await desk.client.get(f"{ACTIONS}/export", params={"format": "json"})).status_code == 204
        desk.later(seconds=1)
        await desk.make_bot()
        desk.later(seconds=1)

        as_csv = await desk.client.get(f"{ACTIONS}/export")
        desk.later(seconds=1)
        as_json = await desk.client.get(f"{ACTIONS}/export", params={"format": "json"})

        names = [row["action_name"] for row in csv.DictReader(io.StringIO(as_csv.text, newline=""))]
        assert names == ["post_bot", "export_actions_log"]
        assert [one["action_name"] for one in as_json.json()] == ["export_actions_log", *names]
