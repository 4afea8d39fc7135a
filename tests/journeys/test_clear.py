"""A desk that was used is cleared while it runs, and trades on: nobody remembers anything of before (F019)."""

import asyncio

from pregao.edges.paper.serve import PaperSettings
from pregao.edges.postgres.journal import open_journal
from pregao.edges.postgres.rebuild import compare_with_journal
from tests.journeys.whole_desk import running_desk

CLEAR = {"confirm": "CLEAR", "reason": "after the trial"}
SOON = 20.0


class TestClear:
    async def test_waits_for_what_is_on_its_way_and_the_desk_trades_on(self, database, tmp_path):
        """F019: refused while something is held; sold out it is cleared, and the same alert is new."""
        async with running_desk(database, tmp_path, paper=PaperSettings(still=True)) as desk:
            account_id = await desk.open_account("one")
            bot = await desk.create_bot()
            await desk.subscribe(bot, account_id)
            alert = '{"ticker": "LTCUSDT", "action": "buy"}'
            first = (await desk.post(bot, alert)).json()
            assert [row["outcome"] for row in (await desk.receipt(first["signal_id"]))["rows"]] == ["filled"]

            refused = await desk.client.post("/api/v1/database/clear", json=CLEAR)
            job = await desk.ask("POST", "/api/v1/flatten", json={"level": "desk", "reason": "trial"})
            async with asyncio.timeout(SOON):
                while job["status"] != "done":
                    job = await desk.ask("GET", f"/api/v1/flatten/{job['flatten_id']}")
                    await asyncio.sleep(0.05)
            # While it is being cleared a close comes: it is waited for, or is new.
            cleared, _ = await asyncio.gather(
                desk.ask("POST", "/admin/clear-database", json={"confirm": "CLEAR"}),
                desk.post(bot, '{"ticker": "LTCUSDT", "action": "close"}'),
            )

            assert refused.json()["error"]["code"] == "CLEAR_NOT_DRAINED"
            assert cleared["deleted_positions_count"] == 1
            await desk.ask(
                "POST", "/api/v1/trading-state/resume", json={"level": "desk", "reason": "the trial is over"}
            )
            again = (await desk.post(bot, alert)).json()
            [row] = (await desk.receipt(again["signal_id"]))["rows"]
            assert (row["outcome"], again["repeated"]) == ("filled", False)
            known = await desk.client.get(f"/api/v1/signals/{first['signal_id']}/receipt")
            assert known.status_code == 404
            [position] = (await desk.ask("GET", "/api/v1/positions"))["items"]
            assert (position["status"], position["signal_id"]) == ("open", again["signal_id"])
            journal = await open_journal(database)
            assert (await compare_with_journal(journal)).differences == ()
            await journal.pool.close()
