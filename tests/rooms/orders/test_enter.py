"""What an account does with an entry depends on what it holds, and on the rules its owner has set."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.domain.account import Venue
from pregao.domain.bot import (
    GuardSettings,
    OppositeSide,
    SameSide,
    StopSettings,
    SubscriptionStatus,
    SymbolSettings,
)
from pregao.domain.candle import Timeframe
from pregao.domain.facts import DecisionApproved, OrderDeferred, OrderDenied, OrderPlanned, SignalPlanned
from pregao.domain.order import Leg, PositionMode, PositionSide, Side
from pregao.domain.position import Direction, PositionStatus
from pregao.domain.signal import Action, Risked
from pregao.domain.user import Role, User
from pregao.orders.enter import plan_entry_again, request_waiting
from pregao.orders.plan import plan_orders
from pregao.orders.ports import Grounded, WaitingEntry
from tests.builders import BOT_ID, NOON, bot, held, instruction, position
from tests.rooms.fakes import DESK, Loss, books, market

SIGNAL, OLDER = UUID(int=500), UUID(int=400)
SUBSCRIPTION = UUID(int=1)
SHORT = {"direction": Direction.SHORT}


async def planned(desk, asked=None, *, now=NOON, in_market=None):
    """Plan one buy unless told otherwise; give its rows and what it made useless."""
    decision = DecisionApproved(
        happened_at=NOON, signal_id=SIGNAL, bot_id=BOT_ID, instruction=asked or instruction(), verdicts=()
    )
    turns = plan_orders(
        [decision], books=desk, market=in_market or market(), desk=DESK, now=now, part_sizes=(100,)
    )
    *facts, summary = [fact async for some in turns for fact in some]
    assert isinstance(summary, SignalPlanned)
    rows = [fact for fact in facts if fact.signal_id == SIGNAL]
    assert summary.orders == sum(not isinstance(row, OrderDenied) for row in rows)
    return rows, [fact for fact in facts if fact.signal_id != SIGNAL]


async def said(desk, asked=None, **changes):
    """Give each row as its leg and kind, with the code of what was not sent."""
    rows, _ = await planned(desk, asked, **changes)
    return [(row.leg, type(row), getattr(row, "code", None)) for row in rows]


def waiting(**changes) -> WaitingEntry:
    given = {
        "order_id": "waiting",
        "signal_id": OLDER,
        "bot_id": BOT_ID,
        "subscription_id": SUBSCRIPTION,
        "account_id": 1,
        "symbol": "BTCUSDT",
        "side": Side.SELL,
        "position_id": 1,
        "send_before": NOON + timedelta(seconds=60),
    }
    return WaitingEntry(**{**given, **changes})


ENTERED = (Leg.ENTRY, OrderPlanned, None)
WAITS = (Leg.ENTRY, OrderDeferred, "EXIT_ON_ITS_WAY")
EXITED = (Leg.EXIT, OrderPlanned, None)


class TestWhatIsNotLeftYet:
    """Design 4: nothing is entered while a protective order of the position before it may still trade."""

    async def test_is_waited_for(self):
        desk = books()
        desk.leaving[1, PositionSide.BOTH] = 7

        [row], _ = await planned(desk)

        assert (type(row), row.code, row.position_id) == (OrderDeferred, "PROTECTION_STANDS", 7)

    async def test_keeps_nobody_waiting_on_the_other_side_of_a_hedged_account(self):
        desk = books(account_changes={"position_mode": PositionMode.HEDGE})
        desk.leaving[1, PositionSide.SHORT] = 7

        assert await said(desk) == [ENTERED]

    async def test_keeps_nothing_waiting_that_would_be_denied(self):
        desk = books(account_changes={"is_active": False})
        desk.leaving[1, PositionSide.BOTH] = 7

        assert await said(desk) == [(Leg.ENTRY, OrderDenied, "ACCOUNT_INACTIVE")]


class TestOppositeSide:
    """F053: an opposite signal never nets a position away; it closes it by an exit of its own."""

    async def test_f053_reverses_by_default_the_exit_first_and_the_entry_when_flat(self):
        rows, _ = await planned(books().take(held(**SHORT)))

        out, then = rows
        assert (out.leg, out.side, out.quantity, out.reduce_only) == (
            Leg.EXIT,
            Side.BUY,
            Decimal("0.005"),
            True,
        )
        assert (type(then), then.leg, then.side, then.position_id) == (OrderDeferred, Leg.ENTRY, Side.BUY, 1)
        assert out.order_id != then.order_id

    async def test_f053_only_closes_when_told_to(self):
        desk = books(custom_opposite_side=OppositeSide.CLOSE).take(held(**SHORT))

        assert await said(desk) == [EXITED]

    async def test_f053_leaves_the_position_when_told_to(self):
        desk = books(custom_opposite_side=OppositeSide.IGNORE).take(held(**SHORT))

        assert await said(desk) == [(Leg.ENTRY, OrderDenied, "OPPOSITE_SIDE_OPEN")]

    async def test_follows_the_bot_where_the_subscription_says_nothing(self):
        desk = books(bots=[bot(opposite_side=OppositeSide.CLOSE)]).take(held(**SHORT))

        assert await said(desk) == [EXITED]

    async def test_closes_the_other_side_of_a_hedged_account_first(self):
        """In hedge mode too a signal means one direction, not a second position."""
        desk = books(account_changes={"position_mode": PositionMode.HEDGE})
        desk.take(held(**SHORT, position_side=PositionSide.SHORT))

        rows, _ = await planned(desk)

        assert [(row.leg, type(row)) for row in rows] == [
            (Leg.EXIT, OrderPlanned),
            (Leg.ENTRY, OrderDeferred),
        ]
        assert (rows[0].position_side, rows[0].reduce_only) == (PositionSide.SHORT, False)

    async def test_exits_even_where_the_entry_is_denied(self):
        """A limit stops what would be opened, never what is to be closed."""
        desk = books(max_daily_loss_usd=Decimal(10)).take(held(**SHORT))
        desk.losses.append(Loss(SUBSCRIPTION, 1, "ETHUSDT", NOON.date(), Decimal(10)))

        assert await said(desk) == [EXITED, (Leg.ENTRY, OrderDenied, "DAILY_LOSS_AT_LIMIT")]

    @pytest.mark.parametrize(
        ("holds", "rows"),
        [
            ([held(**SHORT)], [EXITED, (Leg.ENTRY, OrderDenied, "SUBSCRIPTION_PAUSED")]),
            ([held()], []),
            ([], []),
        ],
    )
    async def test_closes_what_a_canceled_subscription_holds_on_the_other_side_only(self, holds, rows):
        """What it holds is closed by its signals; a bot that only buys and sells gives no other."""
        desk = books(status=SubscriptionStatus.CANCELED).take(*holds)

        assert await said(desk) == rows

    async def test_waits_with_both_while_the_entry_is_still_on_its_way(self):
        desk = books().take(position(**SHORT))

        assert await said(desk) == [(Leg.EXIT, OrderDeferred, "ENTRY_ON_ITS_WAY"), WAITS]


class TestSameSide:
    async def test_f053_ignores_by_default(self):
        assert await said(books().take(held())) == [(Leg.ENTRY, OrderDenied, "SAME_SIDE_OPEN")]

    async def test_f053_adds_into_the_same_position(self):
        desk = books(custom_same_side=SameSide.ADD, max_concurrent_positions=1).take(held())

        [row], _ = await planned(desk)

        assert (type(row), row.leg, row.position_id) == (OrderPlanned, Leg.ENTRY, 1)

    async def test_adds_nothing_while_an_order_of_the_position_is_on_its_way(self):
        desk = books(custom_same_side=SameSide.ADD).take(held())
        desk.entering.add(1)

        assert await said(desk) == [(Leg.ENTRY, OrderDenied, "ORDER_IN_FLIGHT")]

    @pytest.mark.parametrize(("maximum", "code"), [("0.010", None), ("0.009", "QUANTITY_ABOVE_MAXIMUM")])
    async def test_adds_no_more_than_one_order_can_close(self, maximum, code):
        """What is larger than the venue's largest order could not be left again."""
        desk = books(custom_same_side=SameSide.ADD, custom_leverage=10, custom_margin_usd=Decimal(50))
        narrow = market(market_quantity_max=Decimal(maximum))

        [(_, _, told)] = await said(desk.take(held()), in_market=narrow)

        assert told == code

    async def test_f053_replaces_the_exit_first_and_the_entry_when_flat(self):
        desk = books(custom_same_side=SameSide.REPLACE).take(held())

        assert await said(desk) == [EXITED, WAITS]

    async def test_keeps_the_position_whose_replacement_would_be_denied(self):
        desk = books(custom_same_side=SameSide.REPLACE, max_daily_loss_usd=Decimal(10)).take(held())
        desk.losses.append(Loss(SUBSCRIPTION, 1, "BTCUSDT", NOON.date(), Decimal(10)))

        assert await said(desk) == [(Leg.ENTRY, OrderDenied, "DAILY_LOSS_AT_LIMIT")]

    @pytest.mark.parametrize(
        ("seen", "foreign", "code"),
        [
            (market(venues=()), "0", "PRICE_UNAVAILABLE"),
            (market(market_quantity_min=Decimal(9)), "0", "QUANTITY_BELOW_MINIMUM"),
            (market(), "0.3", "FOREIGN_POSITION"),
        ],
    )
    async def test_keeps_the_position_that_nothing_could_replace_now(self, seen, foreign, code):
        desk = books(custom_same_side=SameSide.REPLACE).take(held())
        desk.foreign[1, "BTCUSDT", PositionSide.BOTH] = Decimal(foreign)

        assert await said(desk, in_market=seen) == [(Leg.ENTRY, OrderDenied, code)]


class TestAStopByTheRange:
    """X-6: what could not be guarded as asked is not entered."""

    async def test_is_entered_where_the_range_is_known(self):
        desk = books(bots=[bot(guard=GuardSettings(stop=StopSettings()))])
        known = {(venue, "BTCUSDT", StopSettings().measure): Decimal(100) for venue in Venue}

        assert await said(desk, in_market=replace(market(), ranges=known)) == [ENTERED]

    async def test_is_denied_where_it_is_not(self):
        guard = GuardSettings(stop=StopSettings(timeframe=Timeframe.HOUR))
        desk = books(custom_guard=guard)
        quarters = {(venue, "BTCUSDT", StopSettings().measure): Decimal(100) for venue in Venue}

        [row], _ = await planned(desk, in_market=replace(market(), ranges=quarters))

        assert (row.code, row.reason.partition(".")[0]) == (
            "RANGE_UNKNOWN",
            "venue=paper symbol=BTCUSDT timeframe=1h period=14",
        )

    async def test_keeps_the_position_that_it_would_replace(self):
        desk = books(custom_same_side=SameSide.REPLACE, custom_guard=GuardSettings(stop=StopSettings())).take(
            held()
        )

        assert await said(desk) == [(Leg.ENTRY, OrderDenied, "RANGE_UNKNOWN")]

    async def test_of_a_trade_by_hand_is_its_own(self):
        desk = books(custom_guard=GuardSettings(stop=StopSettings()))
        by_hand = Risked(capital=Decimal(1000), risk_percent=Decimal(1), stop_price=Decimal(95000))

        assert await said(desk, instruction(risk=by_hand)) == [ENTERED]


class TestWhileClosing:
    @pytest.mark.parametrize("direction", Direction)
    async def test_waits_for_the_exit_that_closes_all(self, direction):
        """A close and the next entry often arrive together: neither is lost."""
        closing = held(direction=direction, status=PositionStatus.CLOSING, exit_signal_id=OLDER)

        assert await said(books().take(closing)) == [WAITS]

    async def test_the_newest_signal_takes_the_place_of_the_one_that_waits(self):
        desk = books().take(held(status=PositionStatus.CLOSING, exit_signal_id=OLDER))
        desk.waiting.append(waiting())

        rows, [ended] = await planned(desk)

        assert [type(row) for row in rows] == [OrderDeferred]
        assert (type(ended), ended.order_id, ended.code) == (OrderDenied, "waiting", "SUPERSEDED")

    async def test_a_denied_signal_takes_nobody_s_place(self):
        desk = books().take(held(status=PositionStatus.CLOSING, exit_signal_id=OLDER))
        desk.waiting.append(waiting())

        rows, superseded = await planned(desk, now=NOON + timedelta(seconds=60))

        assert [row.code for row in rows] == ["SIGNAL_EXPIRED"]
        assert superseded == []

    @pytest.mark.parametrize(
        ("side", "share", "ended"),
        [(None, None, 1), (Side.BUY, None, 1), (Side.SELL, None, 0), (None, "0.5", 0)],
    )
    async def test_a_close_ends_the_entry_that_waits_unless_it_means_another_side_or_a_share(
        self, side, share, ended
    ):
        desk = books()
        desk.waiting.append(waiting())
        asked = replace(instruction(Action.CLOSE), side=side, share=None if share is None else Decimal(share))

        _, superseded = await planned(desk, asked)

        assert [one.code for one in superseded] == ["CLOSED_MEANWHILE"] * ended

    async def test_a_full_close_waits_behind_the_close_of_a_share(self):
        desk = books().take(held(status=PositionStatus.CLOSING, exit_signal_id=OLDER))
        desk.exits[1] = Decimal("0.002")

        assert await said(desk, instruction(Action.CLOSE)) == [(Leg.EXIT, OrderDeferred, "EXIT_ON_ITS_WAY")]


LEVELS = {
    "subscription": {"max_daily_loss_usd": Decimal(10)},
    "subscription_symbol": {"symbols": (SymbolSettings(symbol="BTCUSDT", max_daily_loss_usd=Decimal(10)),)},
    "bot": {"bots": [bot(global_max_daily_loss_usd=Decimal(10))]},
    "bot_symbol": {
        "bots": [bot(symbols=(SymbolSettings(symbol="BTCUSDT", max_daily_loss_usd=Decimal(10)),))]
    },
}
PLACES = {
    "subscription": {"max_concurrent_positions": 1},
    "bot": {"bots": [bot(global_max_positions=1)]},
}


class TestLimits:
    """F051: every level stops entries at its limit, and says so with its numbers; exits pass."""

    @pytest.mark.parametrize("level", LEVELS)
    @pytest.mark.parametrize(("lost", "is_stopped"), [("9.99", False), ("10", True)])
    async def test_f051_stops_at_the_daily_loss_of(self, level, lost, is_stopped):
        desk = books(**LEVELS[level])
        desk.losses.append(Loss(SUBSCRIPTION, 1, "BTCUSDT", NOON.date(), Decimal(lost)))

        [row], _ = await planned(desk)

        assert isinstance(row, OrderDenied) == is_stopped
        if is_stopped:
            assert row.code == "DAILY_LOSS_AT_LIMIT"
            assert row.reason.startswith(f"level={level} loss_usd=10 maximum=10. Daily loss limit reached")

    @pytest.mark.parametrize("level", LEVELS)
    async def test_f054_starts_every_utc_day_at_zero(self, level):
        desk = books(**LEVELS[level])
        desk.losses.append(Loss(SUBSCRIPTION, 1, "BTCUSDT", NOON.date() - timedelta(days=1), Decimal(1_000)))

        assert await said(desk) == [ENTERED]

    @pytest.mark.parametrize("level", ["subscription_symbol", "bot_symbol"])
    async def test_counts_only_its_own_symbol(self, level):
        desk = books(**LEVELS[level])
        desk.losses.append(Loss(SUBSCRIPTION, 1, "ETHUSDT", NOON.date(), Decimal(100)))

        assert await said(desk) == [ENTERED]

    @pytest.mark.parametrize("level", PLACES)
    async def test_f051_stops_at_the_positions_of(self, level):
        desk = books(**PLACES[level]).take(held(symbol="ETHUSDT"))

        [row], _ = await planned(desk)

        assert (row.code, row.reason.split(".")[0]) == (
            "POSITIONS_AT_LIMIT",
            f"level={level} live_positions=1 maximum=1",
        )

    @pytest.mark.parametrize(
        "changes",
        [{"global_max_positions": 2}, {"symbols": (SymbolSettings(symbol="BTCUSDT", max_positions=2),)}],
    )
    async def test_f052_gives_the_last_free_places_only_once_within_one_signal(self, changes):
        rows, _ = await planned(books(accounts=5, bots=[bot(**changes)]))

        assert sum(isinstance(row, OrderPlanned) for row in rows) == 2

    async def test_f051_stops_at_the_limits_of_a_user_on_all_his_accounts(self):
        user = User(user_id=UUID(int=9), email="a@b.c", name="A", role=Role.TRADER, max_positions=1)
        desk = books(accounts=3, account_changes={"user_id": user.user_id})
        desk.users[user.user_id] = user

        rows, _ = await planned(desk)

        assert sum(isinstance(row, OrderPlanned) for row in rows) == 1
        assert {row.code for row in rows if isinstance(row, OrderDenied)} == {"POSITIONS_AT_LIMIT"}

    async def test_honours_zero_as_a_limit(self):
        desk = books(symbols=(SymbolSettings(symbol="BTCUSDT", max_daily_loss_usd=Decimal(0)),))

        assert await said(desk) == [(Leg.ENTRY, OrderDenied, "DAILY_LOSS_AT_LIMIT")]

    @pytest.mark.parametrize(
        "arranged",
        [
            {"symbols": (SymbolSettings(symbol="BTCUSDT", is_active=False),)},
            {"bots": [bot(symbols=(SymbolSettings(symbol="BTCUSDT", is_active=False),))]},
        ],
    )
    async def test_f058_skips_a_symbol_that_is_switched_off(self, arranged):
        assert await said(books(**arranged)) == [(Leg.ENTRY, OrderDenied, "SYMBOL_DISABLED")]

    async def test_f058_leaves_other_symbols_on(self):
        desk = books(symbols=(SymbolSettings(symbol="ETHUSDT", is_active=False),))

        assert await said(desk) == [ENTERED]

    async def test_denies_where_the_venue_holds_what_is_not_ours(self):
        desk = books()
        desk.foreign[1, "BTCUSDT", PositionSide.BOTH] = Decimal("-0.3")

        [row], _ = await planned(desk)

        assert (row.code, "quantity=-0.3" in row.reason) == ("FOREIGN_POSITION", True)

    @pytest.mark.parametrize(
        ("whose", "expected"),
        [
            ((1, None), "KEY_MAY_WITHDRAW"),
            ((1, SUBSCRIPTION), "KEY_MAY_WITHDRAW"),
            ((1, UUID(int=77)), None),
            ((2, None), None),
        ],
    )
    async def test_denies_what_pre_flight_says_the_venue_would_refuse(self, whose, expected):
        desk = books()
        desk.grounded[whose] = Grounded(code="KEY_MAY_WITHDRAW", reason="take the right away")

        [row], _ = await planned(desk)

        assert getattr(row, "code", None) == expected

    async def test_closes_what_it_goes_against_whatever_pre_flight_says(self):
        desk = books().take(held("0.005", **SHORT))
        desk.grounded[1, None] = Grounded(code="KEY_MAY_WITHDRAW", reason="take the right away")

        rows, _ = await planned(desk)

        assert rows[0].leg is Leg.EXIT


class TestRequestWaiting:
    async def test_gives_a_request_for_the_first_attempt(self):
        [request] = await request_waiting([waiting()], now=NOON)

        assert (request.order_id, request.signal_id, request.attempt) == ("waiting", OLDER, 1)


class TestPlanWaited:
    async def run(self, desk, *, now=NOON):
        desk.waiting.append(waiting())
        requests = await request_waiting(desk.waiting, now=now)
        return await plan_entry_again(requests, books=desk, market=market(), desk=DESK, now=now)

    async def test_enters_when_the_position_is_closed(self):
        [row] = await self.run(books())

        assert (type(row), row.leg, row.side, row.attempt) == (OrderPlanned, Leg.ENTRY, Side.SELL, 1)
        assert row.signal_id == OLDER

    async def test_goes_on_waiting_while_another_position_there_is_not_left(self):
        desk = books()
        desk.leaving[1, PositionSide.BOTH] = 7

        assert await self.run(desk) == []

    async def test_is_denied_when_its_time_runs_out_meanwhile(self):
        desk = books()
        desk.leaving[1, PositionSide.BOTH] = 7

        [row] = await self.run(desk, now=NOON + timedelta(seconds=61))

        assert (type(row), row.code) == (OrderDenied, "SIGNAL_EXPIRED")

    async def test_f053_says_when_the_position_could_not_be_closed_whole(self):
        [row] = await self.run(books().take(held("0.001")))

        assert (type(row), row.code) == (OrderDenied, "REVERSE_INCOMPLETE")
        assert "quantity=0.001" in row.reason

    async def test_is_denied_when_its_time_has_run_out(self):
        [row] = await self.run(books(), now=NOON + timedelta(seconds=60))

        assert row.code == "SIGNAL_EXPIRED"

    async def test_looks_at_every_limit_again(self):
        [row] = await self.run(books(max_concurrent_positions=0))

        assert row.code == "POSITIONS_AT_LIMIT"

    async def test_plans_nothing_for_an_entry_that_waits_no_more(self):
        desk = books()
        requests = await request_waiting([waiting()], now=NOON)

        assert await plan_entry_again(requests, books=desk, market=market(), desk=DESK, now=NOON) == []
