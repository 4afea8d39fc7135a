"""Operations over HTTP: how large one may be, with the figures of the source's own examples."""

from decimal import Decimal
from uuid import UUID

import pytest

from pregao.domain.facts import PositionChanged
from pregao.domain.order import Side
from pregao.domain.position import PositionStatus
from tests.builders import NOON, closed, configured, held, position
from tests.edges.http.api.own_desk import code_of, own_desk
from tests.edges.http.api.test_receipts import planned

OURS, SOURCE = "/api/v1/operations", "/api/operations"
FIRST = {"side": "BUY", "capital": "1000", "entry_price": "90000", "stop_price": "88200"}


class TestCalculateSize:
    @pytest.mark.parametrize(
        "path", [f"{OURS}/calculate-size", f"{SOURCE}/calculate-size/", f"{SOURCE}/calculate-size"]
    )
    async def test_of_the_first_example_risks_one_percent(self, desk, path):
        """F100: 1000 USDT, 90 000, stop 88 200: half the capital's worth of bitcoin, and 10 USDT at risk."""
        answer = await desk.client.post(path, json=FIRST)

        assert answer.status_code == 200, answer.text
        size = answer.json()
        assert size["quantity"] == "0.00555555"  # the source rounds up, and risks a hair more than was asked
        assert round(Decimal(size["position_value"]), 2) == 500
        assert round(Decimal(size["risk_amount"]), 2) == 10
        assert Decimal(size["risk_amount"]) <= 10
        assert (size["is_capped"], size["stop_distance"], size["stop_distance_percent"]) == (
            False,
            "1800",
            "2",
        )

    async def test_of_the_second_example_is_capped(self, desk):
        """F100: stop 89 100; one percent would take the whole capital, half of it is the most: 5 USDT, 0.5 %."""
        answer = await desk.client.post(f"{SOURCE}/calculate-size/", json={**FIRST, "stop_price": 89_100})

        size = answer.json()
        assert (size["quantity"], size["is_capped"]) == ("0.00555555", True)
        assert round(Decimal(size["risk_amount"]), 2) == 5
        assert round(Decimal(size["risk_percent"]), 2) == Decimal("0.5")

    @pytest.mark.parametrize(
        ("side", "stop", "risk"),
        [
            ("buy", "89999.99", "0.01"),
            ("SELL", "91234.56789", "0.77"),
            ("sell", "90900", "100"),
            ("BUY", "3", "1"),
        ],
    )
    async def test_never_risks_more_than_asked(self, desk, side, stop, risk):
        """F100."""
        body = {**FIRST, "side": side, "stop_price": stop, "max_risk_percent": risk}

        size = (await desk.client.post(f"{OURS}/calculate-size", json=body)).json()

        assert 0 < Decimal(size["risk_amount"]) <= 1000 * Decimal(risk) / 100
        assert Decimal(size["position_value"]) <= 500
        assert Decimal(size["risk_percent"]) <= Decimal(risk)

    @pytest.mark.parametrize(
        ("side", "stop"), [("BUY", 90_000), ("BUY", 91_000), ("SELL", 90_000), ("SELL", 88_200)]
    )
    async def test_is_refused_where_the_stop_is_on_the_wrong_side(self, desk, side, stop):
        answer = await desk.client.post(
            f"{SOURCE}/calculate-size/", json={**FIRST, "side": side, "stop_price": stop}
        )

        assert (answer.status_code, code_of(answer)) == (400, "STOP_WRONG_SIDE")

    async def test_is_refused_where_so_little_capital_buys_nothing(self, desk):
        answer = await desk.client.post(f"{OURS}/calculate-size", json={**FIRST, "capital": "0.000001"})

        assert (answer.status_code, code_of(answer)) == (400, "QUANTITY_BELOW_MINIMUM")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"capital": 0},
            {"capital": "NaN"},
            {"entry_price": -1},
            {"max_risk_percent": 101},
            {"side": "HOLD"},
            {"stop": 1},
        ],
    )
    async def test_is_unreadable_where_a_value_means_nothing(self, desk, wrong):
        answer = await desk.client.post(f"{OURS}/calculate-size", json={**FIRST, **wrong})

        assert answer.status_code == 422

    async def test_warns_of_a_stop_that_noise_would_hit(self, desk):
        answer = await desk.client.post(f"{OURS}/calculate-size", json={**FIRST, "stop_price": 89_999})

        assert answer.json()["warnings"] == ["STOP_NEAR"]

    async def test_is_open_to_whoever_may_look_and_to_nobody_else(self, desk):
        viewer = await desk.enroll("vera", role="viewer")
        stranger = await desk.coming_with("")

        answers = [
            (await one.post(f"{OURS}/calculate-size", json=FIRST)).status_code
            for one in (viewer.client, stranger)
        ]

        assert answers == [200, 401]


TRADE = "/api/trade/risk-managed"
ASKED = {"symbol": "BTCUSDT", "entry_price": "90000", "stop_price": "88200", "capital": "1000"}


async def speaks_against(client, **changes) -> list[str]:
    """Give the codes of what speaks against a long that is looked at."""
    answer = await client.post(f"{TRADE}/validate/", json={**ASKED, **changes})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    codes = [one["code"] for one in told["checks"] if not one["passed"]]
    assert told["is_valid"] is (codes == [])
    return codes


class TestRiskManaged:
    @pytest.fixture
    async def ana(self, desk):
        """A trader with a capital of 1000 and one account."""
        person = await desk.enroll("ana", risk_capital_usd="1000")
        await person.made("/api/v1/exchange-accounts", name="mine")
        return person

    async def test_is_valid_with_its_size_and_sends_nothing(self, desk, ana):
        """F100, F101."""
        looked = (await ana.client.post(f"{TRADE}/validate/", json=ASKED)).json()
        dry = (await ana.client.post("/api/v1/trade/risk-managed/buy", json=ASKED)).json()

        assert looked["size"]["quantity"] == dry["size"]["quantity"] == "0.00555555"
        assert [one["check"] for one in looked["checks"]] == [
            "CAPITAL", "RISK_PER_TRADE", "STOP", "MONTHLY_DRAWDOWN", "TRADING_STATE",
        ]  # fmt: skip
        assert (dry["executed"], dry["signal_id"]) == (False, None)
        assert not any(type(fact).__name__ == "SignalReceived" for fact in await desk.journaled())

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"max_risk_percent": "1.01"}, "RISK_ABOVE_LIMIT"),
            ({"capital": "1000.01"}, "CAPITAL_ABOVE_SETTING"),
            ({"stop_price": "90000"}, "STOP_WRONG_SIDE"),
            ({"target_price": "90000"}, "STOP_WRONG_SIDE"),
            ({"side": "SELL"}, "STOP_WRONG_SIDE"),
            ({"capital": "0.00001"}, "QUANTITY_BELOW_MINIMUM"),
        ],
    )
    async def test_is_told_what_speaks_against_it_and_is_not_sent_then(self, desk, ana, changes, code):
        """F101: one percent of the capital on one trade, and no more."""
        assert await speaks_against(ana.client, **changes) == [code]
        side = {**ASKED, **changes}.pop("side", "BUY")
        body = {name: value for name, value in {**ASKED, **changes}.items() if name != "side"}

        path = "sell" if side == "SELL" else "buy"
        sent = await ana.client.post(f"{TRADE}/{path}/", json={**body, "mode": "live"})

        assert (sent.status_code, code_of(sent)) == (400, code)
        assert not any(type(fact).__name__ == "SignalReceived" for fact in await desk.journaled())

    async def test_is_spoken_against_by_a_halt_of_his_own(self, desk, ana):
        state = {
            "level": "user",
            "user_id": ana.user_id,
            "state": "halted",
            "reason": "enough",
            "wait_seconds": 0,
        }
        await ana.client.post("/api/v1/trading-state", json=state)

        assert await speaks_against(ana.client) == ["TRADING_HALTED"]

    async def test_that_is_live_is_one_signal_of_the_desk_for_one_subscription(self, desk, ana):
        """No trader runs here: the answer says that it is on its way, and the journal what was asked."""
        sent = await ana.client.post(f"{TRADE}/buy/", json={**ASKED, "mode": "live", "wait_seconds": 0})
        again = await ana.client.post(f"{TRADE}/buy/", json={**ASKED, "mode": "live", "wait_seconds": 0})

        assert (sent.status_code, again.status_code) == (202, 202)
        facts = await desk.journaled()
        accepted = [fact for fact in facts if type(fact).__name__ == "SignalAccepted"]
        asked = accepted[0].instruction
        (follows,) = [fact.subscription for fact in facts if type(fact).__name__ == "SubscriptionConfigured"]
        assert str(accepted[0].signal_id) == sent.json()["signal_id"]
        assert asked.subscription_id == follows.subscription_id
        assert (asked.risk.stop_price, asked.risk.capital, asked.risk.risk_percent) == (88_200, 1000, 1)
        assert len([fact for fact in facts if type(fact).__name__ == "BotConfigured"]) == 1
        assert len(accepted) == 2
        receipt = await ana.client.get(f"/api/v1/signals/{sent.json()['signal_id']}/receipt")
        assert receipt.status_code == 200  # his own, although nothing was planned yet
        assert desk.rings[-1] == "signals"

    async def test_is_a_dry_run_only_where_the_operator_says_so(self, database):
        """D3.2: live 403 when TRADING_ENABLED is false."""
        async with own_desk(database, is_trading_by_hand=False) as desk:
            await desk.make_account()

            live = await desk.client.post(f"{TRADE}/buy/", json={**ASKED, "mode": "live"})
            dry = await desk.client.post(f"{TRADE}/buy/", json=ASKED)
            status = await desk.client.get(f"{TRADE}/status/", params={"capital": 1000})

            assert (live.status_code, code_of(live)) == (403, "TRADING_DISABLED")
            assert dry.status_code == 200
            assert (status.json()["trading_enabled"], status.json()["remaining_usd"]) == (False, "40")

    @pytest.mark.parametrize(
        ("asked", "code"),
        [
            ({"capital": None}, "CAPITAL_MISSING"),
            ({"entry_price": None}, "ENTRY_PRICE_MISSING"),
            ({"account_id": 404}, "ACCOUNT_UNKNOWN"),
        ],
    )
    async def test_is_refused_where_something_is_missing(self, desk, asked, code):
        await desk.make_account()

        answer = await desk.client.post(f"{TRADE}/buy/", json={**ASKED, **asked})

        assert code_of(answer) == code

    async def test_names_its_account_where_there_are_several_and_none_is_the_main_one(self, desk, ana):
        await ana.made("/api/v1/exchange-accounts", name="other")
        uncertain = await ana.client.post(f"{TRADE}/buy/", json=ASKED)
        await ana.made("/api/v1/exchange-accounts", name="first", is_main=True)

        assert (uncertain.status_code, code_of(uncertain)) == (400, "ACCOUNT_UNCERTAIN")
        assert (await ana.client.post(f"{TRADE}/buy/", json=ASKED)).status_code == 200

    async def test_is_no_viewers_and_its_override_no_traders(self, desk, ana):
        viewer = await desk.enroll("vera", role="viewer")

        answers = [
            await viewer.client.post(f"{TRADE}/buy/", json=ASKED),
            await ana.client.post(f"{TRADE}/buy/", json={**ASKED, "force_override": True}),
        ]

        assert [(one.status_code, code_of(one)) for one in answers] == [(403, "ROLE_FORBIDDEN")] * 2

    @pytest.mark.parametrize(("pnl", "codes"), [("-39.99", []), ("-40", ["MONTHLY_DRAWDOWN"])])
    async def test_is_spoken_against_from_exactly_four_percent_on(self, desk, pnl, codes):
        """F101: of the capital that is named where none is set; an operator may trade all the same."""
        await desk.append(*configured(accounts=1))
        order = planned(1, order_id="p1", client_order_id="p11", position_id=1, subscription_id=UUID(int=1))
        lost = closed(held("1", price="100", position_id=1), at=desk.now, pnl=pnl)
        await desk.append(order, PositionChanged(happened_at=NOON, position=lost))

        assert await speaks_against(desk.client) == codes
        assert await speaks_against(desk.client, force_override=True) == []
        status = (await desk.client.get(f"{TRADE}/status/", params={"capital": 1000})).json()
        assert (status["monthly_pnl"], status["state"]) == (pnl, "paused" if codes else "active")


class TestOperations:
    """F080: how positions show, and what may be done with each."""

    @pytest.fixture
    async def operations(self, desk):
        """A planned, an active, a closed and an abandoned one, and an account's name for each."""
        await desk.append(*configured(accounts=4))
        for number in (1, 2, 3, 4):
            order = planned(
                number,
                order_id=f"p{number}",
                client_order_id=f"p{number}1",
                position_id=number,
                subscription_id=UUID(int=number),
            )
            await desk.append(order)
        given_up = position(4, account_id=4, status=PositionStatus.ABANDONED, closed_at=NOON)
        for one in (
            held("1", price="100", position_id=2, account_id=2),
            closed(held("1", price="100", position_id=3, account_id=3), pnl="5"),
            given_up,
        ):
            await desk.append(PositionChanged(happened_at=NOON, position=one))
        return desk

    async def test_show_every_position_in_the_sources_words(self, operations):
        shown = (await operations.client.get(f"{SOURCE}/")).json()
        active = (await operations.client.get(f"{SOURCE}/", params={"status": "ACTIVE"})).json()
        page = (await operations.client.get(f"{OURS}", params={"limit": 2, "offset": 1})).json()

        assert [(one["operation_id"], one["status"]) for one in shown["items"]] == [
            (4, "CANCELLED"), (3, "CLOSED"), (2, "ACTIVE"), (1, "PLANNED"),
        ]  # fmt: skip
        assert [one["operation_id"] for one in active["items"]] == [2]
        assert active["items"][0]["average_entry_price"] == "100"
        assert ([one["operation_id"] for one in page["items"]], page["next_offset"]) == ([3, 2], 3)

    @pytest.mark.parametrize(("limit", "status"), [(0, 422), (1, 200), (1000, 200), (1001, 422)])
    async def test_come_in_pages_of_one_to_a_thousand(self, operations, limit, status):
        assert (await operations.client.get(f"{SOURCE}/", params={"limit": limit})).status_code == status

    @pytest.mark.parametrize(
        ("number", "ending", "answer"),
        [
            (1, "cancel", 200), (1, "close", 409), (2, "cancel", 200), (2, "close", 200), (3, "cancel", 409),
            (3, "close", 200), (4, "cancel", 200), (4, "close", 409), (404, "cancel", 404), (404, "close", 404),
        ],
    )  # fmt: skip
    async def test_move_only_as_their_states_allow(self, operations, number, ending, answer):
        """D1.1: twice is once, what is over stays over, and only what is live is asked to close."""
        path = f"{SOURCE}/{number}/{ending}/?wait_seconds=0"
        before = len(await operations.journaled())

        ended = await operations.client.post(path)

        assert ended.status_code == answer, ended.text
        asks = answer == 200 and number in (1, 2)
        asked = (await operations.journaled())[before:]
        assert [type(fact).__name__ for fact in asked] == ["SignalReceived", "SignalAccepted"] * asks
        if asks:
            assert (asked[1].instruction.symbol, asked[1].instruction.side) == ("BTCUSDT", Side.SELL)
            assert asked[1].instruction.subscription_id == UUID(int=number)
        if answer == 409:
            assert code_of(ended) == "OPERATION_STATE"
