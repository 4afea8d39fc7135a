"""F141: signal, verdict, order, fill, close, followed by the signal's id."""

import base64
from dataclasses import replace
from uuid import UUID

import pytest

from pregao.domain.facts import (
    DecisionApproved,
    OrderAccepted,
    OrderPlanned,
    PositionChanged,
    SignalPlanned,
    Verdict,
)
from pregao.domain.order import Leg, Side
from tests.builders import BOT_ID, NOON, arrival, booked, configured, held, instruction
from tests.edges.http.api.own_desk import code_of
from tests.edges.http.api.test_receipts import planned

OPENED = UUID("01930000-0000-7000-8000-00000000abcd")
CLOSED = UUID("01930000-0000-7000-8000-00000000abce")


def decided(signal_id):
    verdict = Verdict(check="AGE", passed=True, numbers={"age_seconds": "1"})
    return DecisionApproved(
        happened_at=NOON, signal_id=signal_id, bot_id=BOT_ID, instruction=instruction(), verdicts=(verdict,)
    )


def accepted(order: OrderPlanned) -> OrderAccepted:
    return OrderAccepted(
        happened_at=NOON, order_id=order.order_id, attempt=1, exchange_order_id=f"9{order.order_id}", sent_at=NOON,
        acknowledged_at=NOON, signal_id=order.signal_id,
    )  # fmt: skip


def filled(order: OrderPlanned, trade_id: str):
    told = booked(trade_id, order_id=order.order_id, side=order.side)
    return replace(told, signal_id=order.signal_id)


@pytest.fixture
async def traded(desk):
    """One account bought by the first signal, and closed by the second."""
    entry = replace(planned(1), signal_id=OPENED)
    leaving = replace(
        planned(1, side=Side.SELL, leg=Leg.EXIT), signal_id=CLOSED, order_id="px", client_order_id="px1"
    )
    await desk.append(*configured())
    for signal_id, order, trade_id in ((OPENED, entry, "1"), (CLOSED, leaving, "2")):
        await desk.append(*arrival(instruction(), signal_id=signal_id))
        await desk.append(decided(signal_id))
        await desk.append(
            order, SignalPlanned(happened_at=NOON, signal_id=signal_id, bot_id=BOT_ID, accounts=1, orders=1)
        )
        await desk.append(accepted(order))
        await desk.append(
            filled(order, trade_id),
            PositionChanged(happened_at=NOON, position=replace(held(), signal_id=OPENED)),
        )
    return desk


async def story(desk, signal_id, **query):
    answer = await desk.client.get(f"/api/v1/signals/{signal_id}/facts", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


class TestStory:
    async def test_f141_is_followed_from_the_bytes_to_the_close(self, traded):
        found = (await story(traded, OPENED))["items"]

        assert [one["kind"] for one in found] == [
            "SignalReceived", "SignalAccepted", "DecisionApproved", "OrderPlanned", "SignalPlanned", "OrderAccepted",
            "FillBooked", "PositionChanged",
            "OrderPlanned", "OrderAccepted", "FillBooked", "PositionChanged",
        ]  # fmt: skip
        assert [one["signal_id"] for one in found[8:]] == [str(CLOSED)] * 3 + [str(OPENED)]
        assert base64.b64decode(found[0]["fact"]["body"]).startswith(b"{")
        assert found[2]["fact"]["verdicts"][0]["check"] == "AGE"
        assert [one["seq"] for one in found] == sorted(one["seq"] for one in found)

    async def test_of_the_signal_that_closed_is_its_own(self, traded):
        found = (await story(traded, CLOSED))["items"]

        assert {one["signal_id"] for one in found} == {str(CLOSED)}
        assert [one["kind"] for one in found][-1] == "FillBooked"

    async def test_comes_in_pages(self, traded):
        first = await story(traded, OPENED, limit=7)
        rest = await story(traded, OPENED, limit=7, cursor=first["next_cursor"])

        assert (len(first["items"]), len(rest["items"]), rest["next_cursor"]) == (7, 5, None)

    async def test_of_nothing_is_unknown(self, traded):
        answer = await traded.client.get(f"/api/v1/signals/{UUID(int=404)}/facts")

        assert (answer.status_code, code_of(answer)) == (404, "SIGNAL_UNKNOWN")

    async def test_is_for_staff(self, traded):
        ana = await traded.enroll("ana")

        assert (await ana.client.get(f"/api/v1/signals/{OPENED}/facts")).status_code == 403
