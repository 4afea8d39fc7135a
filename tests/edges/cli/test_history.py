"""What happened to signals, on the command line: looked at, taken away, brought in."""

import csv
import io

from pregao.edges.cli import actions, signals, summaries, trading
from tests.builders import NOON, closed, configured, held
from tests.edges.http.api.test_lists_at_source import tell
from tests.edges.http.api.test_performance import trade

ROW = "2026-11-20T10:00:00Z,01930000-0000-7000-8000-00000000abcd,received"


class TestHistory:
    async def test_is_listed_and_counted(self, shell):
        desk, here = shell
        await tell(desk)

        listed = await here.run(signals.app, "events", "--ticker", "msft", "--status", "rejected")
        read = await here.read(signals.app, "events", "--hours", "24")
        counted = await here.run(signals.app, "history", "--hours", "2")
        hours = await here.read(signals.app, "history", "--hours", "2")

        assert "MSFT" in listed.stdout
        assert "=not on the list" in listed.stdout
        assert "AAPL" not in listed.stdout
        assert len(read) == 6
        assert counted.stdout.count("\n") > len(hours["hours"]) == 2
        assert [one["received"] for one in hours["hours"]] == [1, 0]

    async def test_goes_to_a_file_and_comes_back(self, shell, tmp_path):
        desk, here = shell
        await tell(desk)
        file = tmp_path / "signals.csv"

        written = await here.run(signals.app, "export", str(file))
        again = await here.run(signals.app, "export", str(file))
        printed = await here.run(signals.app, "export", "-")
        came = await here.read(signals.app, "import", str(file))

        assert written.stdout == f"{file}: {file.stat().st_size} bytes.\n"
        assert (again.exit_code, again.stderr.split(":")[0]) == (2, "FILE_EXISTS")
        assert printed.stdout_bytes == file.read_bytes()
        assert (came["imported_count"], came["known_count"]) == (0, 9)

    async def test_names_the_rows_that_cannot_be_read(self, shell, tmp_path):
        _, here = shell
        file = tmp_path / "signals.csv"
        file.write_text(f"timestamp,signal_id,status\n{ROW}\n{ROW}!\n")

        dry = await here.run(signals.app, "import", str(file), "--dry-run")
        broken = await here.run(signals.app, "import", str(tmp_path / "nothing.csv"))
        file.write_text("nothing of ours\n")
        refused = await here.run(signals.app, "import", str(file))

        assert dry.exit_code == 1
        assert dry.stdout.startswith(
            "1 events would be imported, 0 were there already, 1 rows were left out."
        )
        assert dry.stderr.startswith("ROW_UNREADABLE: line=3 column=status.")
        assert (broken.exit_code, broken.stderr.split(":")[0]) == (2, "FILE_UNREADABLE")
        assert (refused.exit_code, refused.stderr.split(":")[0]) == (1, "IMPORT_UNREADABLE")

    async def test_leaves_no_half_file_behind(self, shell, tmp_path):
        _, here = shell
        here.environment["PREGAO_ADMIN_TOKEN"] = "wrong"
        file = tmp_path / "signals.csv"

        refused = await here.run(signals.app, "export", str(file))

        assert (refused.exit_code, refused.stderr.split(":")[0]) == (1, "TOKEN_WRONG")
        assert not file.exists()


class TestLists:
    async def test_are_csv_where_asked(self, shell):
        desk, here = shell
        await desk.append(*configured())
        await trade(desk, closed(held("1", price="100", position_id=1), at=NOON, pnl="-7"))

        async def rows(app, *words):
            result = await here.run(app, *words, "--csv")
            assert result.exit_code == 0, result.stderr
            return list(csv.DictReader(io.StringIO(result.stdout_bytes.decode(), newline="")))

        assert [one["order_id"] for one in await rows(trading.app, "orders")] == ["p1"]
        assert [one["realized_pnl"] for one in await rows(trading.app, "positions", "--symbol", "btc")] == [
            "-7"
        ]
        assert await rows(trading.app, "positions", "--symbol", "eth") == []
        assert await rows(trading.app, "fills") == []
        assert await rows(signals.app, "list") == []
        assert await rows(signals.app, "events", "--type", "buy") == []
        assert {one["action"] for one in await rows(actions.app, "--hours", "1")} >= {
            "list_orders",
            "list_events",
        }

    async def test_say_that_there_are_no_fills(self, shell):
        _, here = shell

        assert (await here.run(trading.app, "fills")).stdout == "There are no fills.\n"


class TestSummaries:
    async def test_name_the_best_and_sum_up(self, shell):
        desk, here = shell
        await desk.append(*configured())
        await trade(desk, closed(held("1", price="100", position_id=1), at=NOON, pnl="7"))

        best = await here.run(summaries.app, "top")
        by_account = await here.read(summaries.app, "top", "--by", "account", "--sort", "closed")
        months = await here.read(summaries.app, "summary", "--period", "month", "--count", "2")
        days = await here.run(summaries.app, "summary", "--count", "1")

        assert "BTCUSDT" in best.stdout
        assert [one["name"] for one in by_account["performers"]] == ["account 1"]
        assert [one["results"]["closed"] for one in months["spans"]] == [0, 1]
        assert "2026-11-21" in days.stdout
        assert (await here.run(summaries.app, "top", "--by", "moon")).exit_code == 1
