"""Lists as people want them: searched, sorted by a column, page after page, and as a file of the same lines."""

import csv
import io
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.domain.facts import OrderUnresolved, PositionChanged
from pregao.domain.order import Leg
from tests.builders import NOON, arrival, held, instruction
from tests.edges.http.api.own_desk import code_of
from tests.edges.http.api.test_receipts import accepted, approved, denied, filled, planned

FIVE = range(1, 6)
QUANTITIES = {1: "3", 2: "1", 3: "2", 4: "1", 5: "5"}


async def five_orders(desk) -> None:
    """Give five orders: two of one quantity, one denied that has none, one filled, one of unknown outcome."""
    await desk.append(
        *approved(accounts=6, orders=6),
        *(planned(one, quantity=Decimal(QUANTITIES[one])) for one in FIVE),
        denied(6),
        accepted(1),
        filled(1, price="100", quantity="3"),
        OrderUnresolved(
            happened_at=NOON + timedelta(seconds=1),
            order_id="p2",
            attempt=1,
            sent_at=NOON + timedelta(milliseconds=5),
            code="NO_ANSWER",
            reason="no answer",
            is_dead=False,
            ask_at=NOON + timedelta(seconds=7),
        ),
    )


async def pages(desk, path: str, **asked) -> list[dict]:
    """Give a list page after page, two lines each."""
    lines, cursor = [], None
    while True:
        told = {**asked, "limit": 2, **({"cursor": cursor} if cursor else {})}
        answer = await desk.client.get(f"/api/v1/{path}", params=told)
        assert answer.status_code == 200, answer.text
        lines += answer.json()["items"]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return lines


async def order_ids(desk, **asked) -> list[str]:
    return [one["order_id"] for one in await pages(desk, "orders", **asked)]


class TestSort:
    async def test_gives_every_order_once_whichever_way(self, desk):
        """What has no quantity counts as the least; what is equal stands in the order of its ids."""
        await five_orders(desk)

        found = {
            sort: await order_ids(desk, sort=sort)
            for sort in ("time", "-time", "-quantity", "quantity", "-filled_notional")
        }

        assert found == {
            "time": ["p1", "p2", "p3", "p4", "p5", "p6"],
            "-time": ["p6", "p5", "p4", "p3", "p2", "p1"],
            "-quantity": ["p5", "p1", "p3", "p4", "p2", "p6"],
            "quantity": ["p6", "p2", "p4", "p3", "p1", "p5"],
            "-filled_notional": ["p1", "p6", "p5", "p4", "p3", "p2"],
        }

    async def test_a_page_stays_where_it_was_when_orders_come_between(self, desk):
        await five_orders(desk)
        asked = {"sort": "-quantity", "limit": 3}
        first = (await desk.client.get("/api/v1/orders", params=asked)).json()

        await desk.append(
            planned(7, quantity=Decimal(100), order_id="p7"), planned(8, quantity=Decimal(1), order_id="p8")
        )
        cursor = first["next_cursor"]
        second = (await desk.client.get("/api/v1/orders", params={**asked, "cursor": cursor})).json()

        assert [one["order_id"] for one in first["items"]] == ["p5", "p1", "p3"]
        assert [one["order_id"] for one in second["items"]] == ["p8", "p4", "p2"]

    @pytest.mark.parametrize(
        ("path", "id_name"), [("signals", "signal_id"), ("orders", "order_id"), ("positions", "position_id")]
    )
    async def test_sorts_by_every_column_it_promises_both_ways(self, desk, path, id_name):
        await desk.append(*approved(accounts=5, orders=5))
        for one in FIVE:
            position = held("0.005", price="95300", position_id=one, account_id=one)
            await desk.append(
                *arrival(instruction(), signal_id=UUID(f"0193{one:04x}-0000-7000-8000-000000000000")),
                planned(one),
                PositionChanged(happened_at=NOON, position=position),
            )
        document = (await desk.client.get("/openapi.json")).json()
        told = document["paths"][f"/api/v1/{path}"]["get"]["parameters"]
        [sorts] = [one["schema"]["anyOf"][0]["enum"] for one in told if one["name"] == "sort"]

        found = {sort: [one[id_name] for one in await pages(desk, path, sort=sort)] for sort in sorts}

        everything = sorted(found["time"])
        assert len(everything) >= 5
        assert {sort for sort in sorts if sorted(found[sort]) != everything} == set()
        assert {sort for sort in sorts[::2] if found[sort][::-1] != found[f"-{sort}"]} == set()

    async def test_refuses_what_no_column_is_and_a_place_it_did_not_give(self, desk):
        for sort in ("order_id", "-", "fees;", "body"):
            assert (await desk.client.get("/api/v1/orders", params={"sort": sort})).status_code == 422, sort
        for cursor in ("x", "p1", "WyJ4IiwiMSJd", "WyJ4Il0", "WzEsMl0", "W10", "eyJhIjoxfQ", "é"):
            answer = await desk.client.get("/api/v1/orders", params={"sort": "fees", "cursor": cursor})
            assert (answer.status_code, code_of(answer)) == (422, "CURSOR_UNREADABLE"), cursor

    async def test_refuses_the_place_of_a_list_that_was_sorted_otherwise(self, desk):
        await five_orders(desk)
        by_name = {"sort": "symbol", "limit": 2}
        place = (await desk.client.get("/api/v1/orders", params=by_name)).json()["next_cursor"]

        answer = await desk.client.get("/api/v1/orders", params={"sort": "fees", "cursor": place})

        assert (answer.status_code, code_of(answer)) == (422, "CURSOR_UNREADABLE")


class TestSearch:
    async def test_finds_what_an_order_says_and_whose_it_is(self, desk):
        await five_orders(desk)
        names = [one["name"] for one in (await desk.client.get("/api/v1/exchange-accounts")).json()["items"]]

        asked = ("btcusdt", " notional_below ", "P31", "8389765", names[3].upper(), "%", "nothing like it")
        found = [await order_ids(desk, search=search) for search in asked]

        assert found == [["p6", "p5", "p4", "p3", "p2", "p1"], ["p6"], ["p3"], ["p1"], ["p4"], [], []]

    async def test_a_file_has_the_same_lines_in_the_same_order(self, desk):
        await five_orders(desk)
        asked = {"search": "btc", "sort": "-quantity"}

        told = await desk.client.get("/api/v1/orders", params={**asked, "format": "csv"})

        rows = csv.DictReader(io.StringIO(told.text, newline=""))
        assert [one["order_id"] for one in rows] == await order_ids(desk, **asked)


class TestPhases:
    async def test_an_order_is_on_its_way_in_or_out_or_over(self, desk):
        await five_orders(desk)
        await desk.append(planned(7, order_id="p7", leg=Leg.EXIT))

        found = {phase: await order_ids(desk, phase=phase) for phase in ("opening", "closing", "ended")}

        assert found == {"opening": ["p5", "p4", "p3", "p2"], "closing": ["p7"], "ended": ["p6", "p1"]}

    async def test_are_counted_with_the_age_of_what_is_not_known(self, desk):
        await five_orders(desk)

        counts = (await desk.client.get("/api/v1/orders/counts")).json()

        assert counts == {
            "opening": 4,
            "closing": 0,
            "unresolved": 1,
            "unresolved_since": (NOON + timedelta(milliseconds=5)).isoformat().replace("+00:00", "Z"),
            "ended": counts["ended"],
        }

    async def test_a_subscriber_counts_and_finds_his_own_alone(self, desk):
        await five_orders(desk)
        ana = await desk.enroll("ana")

        counts = (await ana.client.get("/api/v1/orders/counts")).json()
        found = (await ana.client.get("/api/v1/orders", params={"search": "btc", "sort": "fees"})).json()

        assert (counts["opening"], counts["unresolved"], counts["unresolved_since"]) == (0, 0, None)
        assert found["items"] == []
