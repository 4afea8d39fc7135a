"""System A over HTTP: what its lists say of a desk that really forwarded (F016, F020, F034, F035)."""

import csv
import io

from pregao.edges.postgres.rebuild import compare_with_journal
from tests.journeys.test_features_a_forwarding import (  # noqa: F401  # the fixtures of a desk that forwards
    desk,
    forwarded,
    forwarding_bot,
    journal,
    site,
)

TRAIL = "/admin/audit-trail"
STATUSES = (
    "received", "queued_processing", "processing", "approved", "rejected", "queued_forwarding", "forwarding",
    "forwarded_success", "forwarded_error", "forwarded_http_error", "forwarded_generic_error", "forwarded_timeout",
    "error", "discarded",
)  # fmt: skip


class TestLists:
    async def test_f016_f020_f034_f035_tell_what_was_forwarded_and_what_came_back(self, desk, site, journal):  # noqa: F811
        bot, _ = await forwarding_bot(desk, site)
        bought = await forwarded(desk, bot, "AAPL", action="buy", price=101.5)
        await forwarded(desk, bot, "AAPL", action="sell", price=111.5)
        await forwarded(desk, bot, "MSFT", action="buy")
        site.by_ticker["TSLA"] = 400  # with more words than are kept
        refused = await forwarded(desk, bot, "TSLA", action="buy", price=5)

        trail = await desk.ask("GET", TRAIL, params={"limit": 100})
        events = trail["events"]
        of_bought = [one for one in events if one["signal_id"] == bought["signal_id"]]
        assert [one["event_type"] for one in reversed(of_bought)] == [
            "received", "processing", "approved", "queued_forwarding", "forwarding", "forwarded_success",
        ]  # fmt: skip
        assert (of_bought[0]["http_status"], of_bought[0]["location"], of_bought[0]["ticker"]) == (
            200, "completed", "AAPL",
        )  # fmt: skip
        last = next(one for one in events if one["signal_id"] == refused["signal_id"])
        assert (last["event_type"], last["http_status"]) == ("forwarded_http_error", 400)
        assert last["details"].endswith("no: 400 " + "x" * 492)

        for status in STATUSES:
            found = await desk.ask("GET", TRAIL, params={"limit": 100, "status_filter": status})
            assert found["events"] == [one for one in events if one["event_type"] == status], status
            assert found["total"] == len(found["events"])

        history = await desk.ask("GET", "/admin/signals-history", params={"hours": 2})
        for name, status in (
            ("received", "received"),
            ("approved", "approved"),
            ("forwarded", "forwarded_success"),
        ):
            counted = sum(one[f"signals_{name}"] for one in history["history"])
            assert counted == sum(one["event_type"] == status for one in events), name

        orders = (await desk.ask("GET", "/admin/orders"))["orders"]
        assert [(one["ticker"], one["status"], one["entry_price"], one["exit_price"]) for one in orders] == [
            ("MSFT", "open", None, None), ("AAPL", "closed", "101.5", "111.5"),
        ]  # fmt: skip
        stats = (await desk.ask("GET", "/admin/orders/stats"))["stats"]
        assert stats == {"open": 1, "closing": 0, "closed": 1, "closed_today": 1}

        file = (await desk.client.get("/admin/export-csv")).content
        rows = list(csv.DictReader(io.StringIO(file.decode(), newline="")))
        assert [one["status"] for one in rows] == [one["event_type"] for one in events]
        assert {one["http_code"] for one in rows if one["status"] == "forwarded_http_error"} == {"400"}
        answer = await desk.client.post("/admin/import-csv", files={"file": ("signals.csv", file)})
        assert (answer.json()["imported_count"], answer.json()["known_count"]) == (0, len(events))
        assert (await compare_with_journal(journal)).differences == ()


class TestIndex:
    async def test_serves_the_view(self, journal):  # noqa: F811
        """The index and the view say the same: where one of them is changed alone, every page reads all there is."""
        async with journal.pool.acquire() as connection, connection.transaction():
            await connection.execute("SET LOCAL enable_seqscan = off")
            plan = await connection.fetch(
                "EXPLAIN SELECT * FROM public.signal_events WHERE timestamp = now() AND event_id = 1"
            )
        lines = [row[0] for row in plan if " on journal_" in row[0]]

        assert lines
        assert [line for line in lines if "_happened_at_seq_kind_signal_id_idx" not in line] == []
