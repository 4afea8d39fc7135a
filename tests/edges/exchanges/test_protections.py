"""Protective orders on the wire: what is sent, and what each answer proves."""

from decimal import Decimal

import pytest

from pregao.domain.clock import to_ms
from pregao.domain.level import TriggerKind
from pregao.domain.order import PositionMode, PositionSide, Side
from pregao.domain.protection import (
    ProtectionRefused,
    ProtectionStatus,
    ProtectiveOrder,
    RefusalCause,
)
from pregao.domain.venue import Blame, OperatorNeeded, OutcomeUnknown, RetryLater, VenueError
from pregao.edges.exchanges.binance import BinanceProtections
from pregao.edges.exchanges.binance.errors import CAUSES, CODES, Kind
from tests.edges.exchanges.scripted_venue import NOON, Misdeed, http

ALGO = "/fapi/v1/algoOrder"
OPEN = "/fapi/v1/openAlgoOrders"
STOP_ID = "saaaaaaaaaa-41-1-1"
TAKEN = {"algoId": 2146760, "clientAlgoId": STOP_ID, "algoType": "CONDITIONAL", "algoStatus": "NEW"}
LISTED = {
    **TAKEN, "orderType": "STOP_MARKET", "symbol": "BTCUSDT", "side": "SELL", "positionSide": "BOTH",
    "quantity": "0.003", "triggerPrice": "85000.0", "closePosition": False, "actualOrderId": "",
    "createTime": to_ms(NOON), "updateTime": to_ms(NOON),
}  # fmt: skip


def stop(**changes):
    given = {
        "protection_id": STOP_ID, "account_id": 1, "symbol": "BTCUSDT", "side": Side.SELL,
        "position_side": PositionSide.BOTH, "kind": TriggerKind.STOP, "trigger_price": Decimal("85000.00"),
        "quantity": None, "signed_at_ms": to_ms(NOON) - 700, "recv_window_ms": 2_500,
    }  # fmt: skip
    return ProtectiveOrder(**(given | changes))


@pytest.fixture
def protections(exchange, venue):
    venue.answers["POST", ALGO] = TAKEN
    return BinanceProtections(exchange)


class TestPlacing:
    async def test_sends_the_order_exactly_as_signed(self, protections, venue):
        acknowledged = await protections.place_protection(stop())

        (request,) = venue.asked(ALGO)
        assert (acknowledged.exchange_protection_id, acknowledged.sent_at) == ("2146760", NOON)
        assert request.raw_query.split("&signature=")[0] == (
            "algoType=CONDITIONAL&symbol=BTCUSDT&side=SELL&type=STOP_MARKET&triggerPrice=85000"
            f"&workingType=CONTRACT_PRICE&clientAlgoId={STOP_ID}&closePosition=true"
            f"&recvWindow=2500&timestamp={to_ms(NOON) - 700}"
        )

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"quantity": Decimal("0.0030")}, {"quantity": "0.003", "reduceOnly": "true"}),
            ({"position_side": PositionSide.LONG}, {"positionSide": "LONG", "closePosition": "true"}),
            (
                {"position_side": PositionSide.SHORT, "quantity": Decimal(2)},
                {"positionSide": "SHORT", "quantity": "2"},
            ),
        ],
        ids=["part", "hedge", "part in hedge"],
    )
    async def test_says_how_much_it_closes_in_the_words_the_mode_allows(
        self, protections, venue, changes, said
    ):
        await protections.place_protection(stop(**changes))

        query = venue.asked(ALGO)[0].query
        kept = ("quantity", "reduceOnly", "closePosition", "positionSide")
        assert {name: query[name] for name in kept if name in query} == said

    @pytest.mark.parametrize(
        "misdeed",
        [
            Misdeed(closes=True),
            Misdeed(answer=http(503, b"Unknown error, please check your request or try again later.")),
            Misdeed(answer=http(200, b"<html>")),
            Misdeed(answer=http(200, TAKEN | {"clientAlgoId": "another"})),
            Misdeed(answer=http(200, TAKEN | {"algoStatus": "EXPIRED"})),
            Misdeed(answer=http(400, {"code": -4116, "msg": "ClientOrderId is duplicated."})),
            Misdeed(answer=http(400, {"code": -4117, "msg": "Stop order is triggering."})),
            Misdeed(answer=http(408, {"code": -1007, "msg": "Timeout."})),
        ],
        ids=["lost", "503", "unreadable", "another's", "not waiting", "duplicated", "triggering", "timeout"],
    )
    async def test_leaves_unknown_what_may_have_been_done(self, protections, venue, misdeed):
        venue.will(misdeed, path=ALGO)

        with pytest.raises(OutcomeUnknown):
            await protections.place_protection(stop())

        assert len(venue.asked(ALGO)) == 1

    @pytest.mark.parametrize(("code", "cause"), sorted(CAUSES.items()))
    async def test_says_what_a_refusal_means_for_the_position(self, protections, venue, code, cause):
        venue.will(Misdeed(answer=http(400, {"code": int(code), "msg": "No."})), path=ALGO)

        with pytest.raises(ProtectionRefused) as refusal:
            await protections.place_protection(stop())

        assert CODES[int(code)].kind is Kind.REFUSED
        assert (refusal.value.code, refusal.value.cause, refusal.value.blame) == (code, cause, Blame.ASKER)

    async def test_says_of_any_other_refusal_only_its_code(self, protections, venue):
        venue.will(Misdeed(answer=http(400, {"code": -1111, "msg": "Precision."})), path=ALGO)

        with pytest.raises(ProtectionRefused) as refusal:
            await protections.place_protection(stop())

        assert (refusal.value.code, refusal.value.cause) == ("-1111", RefusalCause.OTHER)

    async def test_is_tried_again_at_once_where_the_venue_throttles(self, protections, venue):
        venue.will(Misdeed(answer=http(503, {"code": -1008, "msg": "Overloaded."})), path=ALGO)

        with pytest.raises(RetryLater) as later:
            await protections.place_protection(stop())

        assert later.value.retry_after_seconds == 0

    async def test_forgets_the_position_mode_that_does_not_fit(self, protections, exchange, venue):
        exchange.standing.position_modes[1] = PositionMode.ONE_WAY
        venue.will(Misdeed(answer=http(400, {"code": -4061, "msg": "Position side."})), path=ALGO)

        with pytest.raises(OperatorNeeded):
            await protections.place_protection(stop())

        assert exchange.standing.position_modes == {}

    async def test_passes_where_the_venue_is_left_alone(self, protections, exchange, venue):
        """Entries and questions wait there; what guards a position does not."""
        for _ in range(5):
            venue.will(Misdeed(answer=http(503, b"Service Unavailable.")), path=OPEN)
            with pytest.raises(VenueError):
                await protections.open_protections(account_id=1)
        with pytest.raises(RetryLater, match="VENUE_BREAKER_OPEN"):
            await protections.open_protections(account_id=1)

        await protections.place_protection(stop())

        assert len(venue.asked(ALGO)) == 1


class TestAsking:
    async def test_finds_one_by_its_id(self, protections, venue):
        venue.answers["GET", ALGO] = LISTED | {"algoStatus": "TRIGGERED", "actualOrderId": "88937381063"}

        found = await protections.find_protection(account_id=1, protection_id=STOP_ID)

        assert venue.asked(ALGO)[0].query["clientAlgoId"] == STOP_ID
        assert (found.status, found.triggered_order_id) == (ProtectionStatus.TRIGGERED, "88937381063")
        assert (found.kind, found.quantity, found.trigger_price) == (
            TriggerKind.STOP,
            Decimal("0.003"),
            Decimal(85_000),
        )

    async def test_finds_none_where_the_venue_has_none(self, protections, venue):
        venue.will(Misdeed(answer=http(400, {"code": -2013, "msg": "Order does not exist."})), path=ALGO)

        assert await protections.find_protection(account_id=1, protection_id=STOP_ID) is None

    async def test_does_not_guess_a_state_it_does_not_know(self, protections, venue):
        venue.answers["GET", ALGO] = LISTED | {"algoStatus": "SLEEPING"}

        with pytest.raises(OutcomeUnknown):
            await protections.find_protection(account_id=1, protection_id=STOP_ID)

    async def test_lists_what_others_placed_too(self, protections, venue):
        trailing = {"orderType": "TRAILING_STOP_MARKET", "triggerPrice": "", "clientAlgoId": "x-1"}
        venue.answers["GET", OPEN] = [LISTED | {"closePosition": True, "quantity": "0"}, LISTED | trailing]

        ours, theirs = await protections.open_protections(account_id=1, symbol="BTCUSDT")

        assert (ours.quantity, theirs.kind, theirs.trigger_price) == (None, None, 0)

    @pytest.mark.parametrize(("symbol", "weight"), [("BTCUSDT", 1), (None, 40)])
    async def test_weighs_what_the_venue_counts(self, protections, exchange, venue, symbol, weight):
        venue.answers["GET", OPEN] = []

        await protections.open_protections(account_id=1, symbol=symbol)

        assert exchange.usage.weight_used == weight


class TestCanceling:
    async def test_says_that_it_waits_no_more(self, protections, venue):
        venue.answers["DELETE", ALGO] = {
            "algoId": 1,
            "clientAlgoId": STOP_ID,
            "code": "200",
            "msg": "success",
        }
        canceled = await protections.cancel_protection(account_id=1, protection_id=STOP_ID)
        venue.will(Misdeed(answer=http(400, {"code": -2011, "msg": "Unknown order sent."})), path=ALGO)

        again = await protections.cancel_protection(account_id=1, protection_id=STOP_ID)

        assert (canceled, again) == (True, False)
        assert [one.query["clientAlgoId"] for one in venue.asked(ALGO)] == [STOP_ID, STOP_ID]

    async def test_is_never_sent_again_when_its_answer_is_lost(self, protections, venue):
        venue.will(Misdeed(closes=True), path=ALGO)

        with pytest.raises(OutcomeUnknown):
            await protections.cancel_protection(account_id=1, protection_id=STOP_ID)

        assert len(venue.asked(ALGO)) == 1
