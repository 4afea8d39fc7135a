"""Operations on pages: what waits, what differs from the venue, backups, clearing, the screener's strategies and lists."""

import json
import re
from dataclasses import replace
from decimal import Decimal
from html import unescape
from pathlib import Path

from pregao.domain.facts import ForeignPositionSeen
from pregao.domain.order import PositionSide
from pregao.edges.http.api import create_api
from pregao.edges.postgres import checks
from tests.builders import NOON, listed
from tests.edges.http.api.own_desk import app_client, code_of
from tests.edges.http.api.test_foreign_orders import foreign_seen, told_canceled
from tests.edges.http.console.signed_in import signed_in

BACKUPS = "/api/v1/backups"


def openers(page: str, dialog: str) -> list[dict]:
    """Give what each button that opens a dialog would ask of the API, and what it fills in."""
    found = re.findall(
        rf'data-opens="{dialog}" data-acts="([^"]+)" data-what="[^"]*" data-fill=\'([^\']+)\'', page
    )
    return [{"asks": asks, "fills": json.loads(unescape(fills))} for asks, fills in found]


class TestDifferences:
    async def test_are_adopted_or_written_off_with_a_typed_word(self, desk, admin):
        account_id = (await desk.make_account("main"))["account_id"]
        await desk.append(
            ForeignPositionSeen(
                happened_at=NOON,
                account_id=account_id,
                symbol="BTCUSDT",
                position_side=PositionSide.BOTH,
                quantity=Decimal("0.5"),
            )
        )
        await checks.note_check(desk.journal.pool, account_id, agrees=False)

        page = (await admin.get("/console/operations/differences")).text

        [adopt] = openers(page, "adopt")
        assert openers(page, "write-off") == []  # nothing is missing at the venue
        assert adopt == {
            "asks": f"POST /api/v1/drift/{account_id}/adopt",
            "fills": {"symbol": "BTCUSDT", "position_side": "both"},
        }
        assert 'data-word="ADOPT"' in page


class TestForeignOrders:
    async def test_are_taken_back_with_a_typed_word_and_tell_what_came_of_it(self, desk, admin):
        account_id = (await desk.make_account("main"))["account_id"]
        empty = (await admin.get("/console/operations/orders")).text
        await foreign_seen(desk, account_id)

        page = (await admin.get("/console/operations/orders")).text
        [take_back] = openers(page, "take-back")
        asked = await admin.post(
            take_back["asks"].split()[1], json={**take_back["fills"], "reason": "from May"}
        )
        running = (await admin.get("/console/operations/orders")).text
        await told_canceled(desk)
        told = (await admin.get("/console/operations/taken-back")).text

        assert "None was seen." in empty
        assert take_back == {
            "asks": f"POST /api/v1/drift/{account_id}/orders/cancel",
            "fills": {"symbol": "BTCUSDT", "exchange_order_id": "8389700001"},
        }
        assert 'data-word="TAKE BACK"' in page
        assert asked.status_code == 202, asked.text
        assert (openers(running, "take-back"), "is being taken back" in running) == ([], True)
        row = re.search(rf'<tr id="cancel-{asked.json()["cancel_id"]}">(.*?)</tr>', told, re.DOTALL)[1]
        assert "taken back" in row
        assert "from May" in row
        assert 'value="0.004"' in row


class TestQueues:
    async def test_say_what_waits_and_how_far_the_journal_is(self, desk, admin):
        queues = (await desk.client.get("/api/v1/queues")).json()
        page = (await admin.get("/console/operations")).text

        names = [one["name"] for one in queues["queues"]]
        assert names == ["signals", "approvals", "orders", "questions", "flattens", "alerts"]
        assert queues["last_fact_at"] is not None
        assert queues["behind_ms"] >= 0
        assert "Journal, behind by" in page


class TestBackups:
    async def test_are_made_and_listed_with_how_to_put_one_back(self, desk, admin):
        made = await desk.client.post(BACKUPS)
        folder = (await desk.client.get(BACKUPS)).json()["folder"]
        Path(folder, "copied-halfway.backup").write_bytes(b"PK")

        items = {one["name"]: one for one in (await desk.client.get(BACKUPS)).json()["items"]}
        page = (await admin.get("/console/operations/backups")).text

        assert made.status_code == 201, made.text
        whole, broken = items[made.json()["name"]], items["copied-halfway.backup"]
        assert (whole["size_bytes"] > 1_000, whole["facts"] > 0, whole["made_at"]) == (
            True,
            True,
            NOON.isoformat().replace("+00:00", "Z"),
        )
        assert (broken["made_at"], broken["facts"]) == (None, None)
        assert "pregao db restore" in page
        assert "copied-halfway.backup" in page
        assert 'data-word="CLEAR"' in page

    async def test_say_why_none_was_made(self, desk):
        folder = Path((await desk.client.get(BACKUPS)).json()["folder"])
        folder.mkdir(exist_ok=True)

        await desk.client.post(BACKUPS)
        again = await desk.client.post(BACKUPS)  # within the same second: a backup is never written over

        assert (again.status_code, code_of(again)) == (500, "BACKUP_EXISTS")
        assert len(list(folder.iterdir())) == 1

    async def test_are_an_admins_alone_as_is_clearing(self, desk):
        operator = await signed_in(desk, "olga", "operator")

        page = (await operator.get("/console/operations")).text
        forbidden = await operator.get("/console/operations/backups")

        assert (await operator.get(BACKUPS)).status_code == 403
        assert "operations/backups" not in page
        assert forbidden.status_code == 403
        assert "database/clear" not in forbidden.text


class TestScreener:
    async def test_shows_who_entered_and_left_and_changes_strategies(self, desk, admin):
        await desk.made(
            "/api/v1/screener/strategies", name="it's mine", source="static", tickers=["AAPL", "NVDA"]
        )
        await desk.append(listed(["AAPL", "NVDA"]), listed(["NVDA", "TSLA"], before=["AAPL", "NVDA"]))

        changes = (await desk.client.get("/api/v1/screener/changes")).json()["items"]
        page = (await admin.get("/console/screener?sort=-ticker&q=a")).text

        assert [(one["entered"], one["left"], one["is_baseline"]) for one in changes] == [
            (["TSLA"], ["AAPL"], False),
            (["AAPL", "NVDA"], [], True),
        ]
        [change] = openers(page, "strategy")[1:]
        assert change["fills"]["tickers"] == "AAPL NVDA"
        assert change["fills"]["name"] == "it's mine"
        assert re.findall(r"<td>([A-Z]+)</td>", page) == ["TSLA", "NVDA"]


class TestPaper:
    async def test_every_page_says_that_prices_are_simulated_while_they_are(self, desk, admin):
        told = await admin.get("/console/orders")
        desk.paper.is_away = True
        silent = await admin.get("/console/orders")

        assert "<strong>SIMULATED</strong>" in told.text
        assert "SIMULATED" not in silent.text

    async def test_a_tape_is_called_a_tape(self, desk, admin):
        async def tape() -> str:
            return "TAPE"

        async with app_client(create_api(replace(desk.ports, paper_market=tape)), token="") as client:
            client.cookies = admin.cookies
            page = await client.get("/console/orders")

        assert "<strong>TAPE</strong>" in page.text
        assert "SIMULATED" not in page.text
