"""One decision becomes one order or one denial per account, and every denial says why."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.domain.account import Venue
from pregao.domain.bot import BotStatus, OppositeSide, SameSide, SubscriptionStatus
from pregao.domain.execution import Execution
from pregao.domain.facts import (
    DecisionApproved,
    EntryRequested,
    ExitRequested,
    OrderDeferred,
    OrderDenied,
    OrderPlanned,
    SignalPlanned,
)
from pregao.domain.level import TriggerKind
from pregao.domain.order import Leg, PositionMode, PositionSide, Side, client_order_id, order_id
from pregao.domain.position import Direction, PositionStatus
from pregao.domain.signal import Action
from pregao.domain.user import Role, User
from pregao.orders.close import plan_exit
from pregao.orders.enter import plan_entry_again
from pregao.orders.exits import FORGOTTEN_ATTEMPTS_MAX
from pregao.orders.plan import FEW, deny_next_part, plan_orders, sizes_of_parts
from pregao.orders.ports import NOT_BEGUN, Grounded, Progress, WaitingEntry
from tests.builders import BOT_ID, NOON, bot, closed, held, instruction, position
from tests.rooms.fakes import DESK, PRICE, Loss, books, market

SIGNAL = UUID(int=500)
OTHER = UUID(int=999)


def approved(asked=None, *, signal_id=SIGNAL):
    return DecisionApproved(
        happened_at=NOON, signal_id=signal_id, bot_id=BOT_ID, instruction=asked or instruction(), verdicts=()
    )


async def planned(asked=None, *, on=None, in_market=None, now=NOON, signal_id=SIGNAL):
    """Plan one decision; give what follows the summary, after checking that it counts right."""
    turns = plan_orders(
        [approved(asked, signal_id=signal_id)],
        books=on or books(),
        market=in_market or market(),
        desk=DESK,
        now=now,
        part_sizes=(100,),
    )
    *rows, summary = [fact async for some in turns for fact in some]
    assert isinstance(summary, SignalPlanned)
    assert summary.orders == sum(not isinstance(row, OrderDenied) for row in rows)
    assert summary.accounts == len({row.account_id for row in rows})
    return rows


def close(**changes):
    return instruction(Action.CLOSE, **changes)


class TestPlanOrders:
    async def test_plans_a_first_attempt_that_says_everything(self):
        [row] = await planned(on=books(custom_leverage=10, custom_margin_usd=Decimal(50)))

        assert isinstance(row, OrderPlanned)
        assert (row.leg, row.side, row.quantity, row.reduce_only) == (
            Leg.ENTRY,
            Side.BUY,
            Decimal("0.005"),
            False,
        )
        assert (row.leverage, row.margin_usd, row.decision_price) == (10, Decimal(50), PRICE)
        assert (row.attempt, row.client_order_id) == (1, client_order_id(row.order_id, attempt=1))
        assert (row.owner, row.lease_epoch, row.recv_window_ms) == (DESK.owner, DESK.lease_epoch, 5_000)
        assert row.send_before == NOON + timedelta(seconds=60)

    async def test_gives_every_account_its_own_size(self):
        """Effective settings are the subscription's own where they are set, else the bot's."""
        desk = books(accounts=2)
        desk.subscriptions[0] = replace(
            desk.subscriptions[0], custom_leverage=5, custom_margin_usd=Decimal(20)
        )

        rows = await planned(on=desk, in_market=market(
            market_quantity_step=Decimal("0.00001"), market_quantity_min=Decimal("0.00001")
        ))  # fmt: skip

        assert {row.account_id: row.quantity for row in rows} == {
            1: Decimal("0.00105"),
            2: Decimal("0.00525"),
        }

    async def test_never_sizes_by_the_signal_s_price(self):
        """F048: an alert may say any price; the venue's is what the order will trade at."""
        cheap, dear = instruction(price=Decimal(1)), instruction(price=Decimal(10**9))

        assert await planned(cheap) == await planned(dear)

    async def test_gives_the_same_order_ids_when_it_runs_again(self):
        desk = books(accounts=3)

        once, again = await planned(on=desk), await planned(on=desk)

        assert [row.order_id for row in once] == [row.order_id for row in again]

    async def test_starts_with_another_account_for_another_signal(self):
        """Nobody always trades last."""
        firsts = set()

        for number in range(3):
            rows = await planned(on=books(accounts=3), signal_id=UUID(int=number))
            assert sorted(row.account_id for row in rows) == [1, 2, 3]
            firsts.add(rows[0].account_id)

        assert firsts == {1, 2, 3}

    async def test_leaves_canceled_subscriptions_out(self):
        assert await planned(on=books(status=SubscriptionStatus.CANCELED)) == []

    async def test_denies_one_account_and_trades_the_others(self):
        desk = books(accounts=3)
        desk.accounts_by_id[2] = replace(desk.accounts_by_id[2], is_active=False)

        rows = await planned(on=desk)

        assert {row.account_id: type(row) for row in rows} == {
            1: OrderPlanned,
            2: OrderDenied,
            3: OrderPlanned,
        }

    @pytest.mark.parametrize(
        ("code", "arranged"),
        [
            ("ACCOUNT_INACTIVE", {"on": books(account_changes={"is_active": False})}),
            ("SUBSCRIPTION_PAUSED", {"on": books(status=SubscriptionStatus.PAUSED)}),
            ("SIGNAL_EXPIRED", {"now": NOON + timedelta(seconds=60)}),
            ("SYMBOL_OWNED", {"on": books().take(held(subscription_id=OTHER))}),
            ("SAME_SIDE_OPEN", {"on": books().take(held())}),
            ("SAME_SIDE_OPEN", {"on": books().take(position())}),
            (
                "OPPOSITE_SIDE_OPEN",
                {"on": books(custom_opposite_side=OppositeSide.IGNORE).take(held(direction=Direction.SHORT))},
            ),
            (
                "POSITIONS_AT_LIMIT",
                {"on": books(max_concurrent_positions=1).take(position(symbol="ETHUSDT"))},
            ),
            ("PRICE_UNAVAILABLE", {"in_market": market(venues=())}),
            ("SYMBOL_NOT_TRADING", {"in_market": market(is_trading=False)}),
            ("MARGIN_ASSET_UNSUPPORTED", {"in_market": market(margin_asset="USDC")}),
            ("QUANTITY_BELOW_MINIMUM", {"in_market": market(market_quantity_min=Decimal(1))}),
            ("QUANTITY_ABOVE_MAXIMUM", {"in_market": market(market_quantity_max=Decimal("0.001"))}),
            ("NOTIONAL_BELOW_MINIMUM", {"in_market": market(notional_min=Decimal(10_000))}),
        ],
    )
    async def test_denies_an_entry_with(self, code, arranged):
        """Each limit has its code; none of them reserved a position."""
        [row] = await planned(**arranged)

        assert isinstance(row, OrderDenied)
        assert (row.code, row.position_id, row.leg) == (code, None, Leg.ENTRY)
        assert row.reason

    async def test_tells_the_two_sides_of_a_hedged_account_apart(self):
        """Hedge mode holds a long and a short at once: another's short does not own our long's place."""
        hedged = books(account_changes={"position_mode": PositionMode.HEDGE})
        hedged.take(
            held(
                direction=Direction.SHORT,
                position_side=PositionSide.SHORT,
                subscription_id=OTHER,
                bot_id=OTHER,
            )
        )

        [row] = await planned(on=hedged)

        assert (row.position_side, row.reduce_only, row.side) == (PositionSide.LONG, False, Side.BUY)


class TestPlanClose:
    async def test_closes_all_that_is_held_reduce_only(self):
        [row] = await planned(close(), on=books().take(held()))

        assert isinstance(row, OrderPlanned)
        assert (row.leg, row.side, row.quantity, row.reduce_only) == (
            Leg.EXIT,
            Side.SELL,
            Decimal("0.005"),
            True,
        )
        assert (row.position_id, row.send_before, row.margin_usd) == (1, None, None)

    async def test_closes_a_hedged_position_on_its_side_without_reduce_only(self):
        """Binance refuses reduceOnly in hedge mode; the position side does the same there."""
        hedged = books(account_changes={"position_mode": PositionMode.HEDGE})
        hedged.take(held(position_side=PositionSide.LONG))

        [row] = await planned(close(), on=hedged)

        assert (row.position_side, row.side, row.reduce_only) == (PositionSide.LONG, Side.SELL, False)

    async def test_needs_no_price(self):
        """A silent market keeps nobody in a position."""
        [row] = await planned(close(), on=books().take(held()), in_market=market(venues=()))

        assert (type(row), row.quantity, row.decision_price) == (OrderPlanned, Decimal("0.005"), None)

    @pytest.mark.parametrize(
        "arranged",
        [
            {"account_changes": {"is_active": False}},
            {"status": SubscriptionStatus.PAUSED},
            {"status": SubscriptionStatus.CANCELED},
            {"bots": [bot(status=BotStatus.PAUSED)]},
            {"account_changes": {"venue": Venue.BINANCE}},
            {"max_concurrent_positions": 0},
        ],
    )
    async def test_is_never_denied_by_what_stops_entries(self, arranged):
        [row] = await planned(close(), on=books(**arranged).take(held()), now=NOON + timedelta(hours=1))

        assert isinstance(row, OrderPlanned)

    async def test_closes_a_share_floored_to_the_step(self):
        [row] = await planned(close(share=Decimal("0.5")), on=books().take(held()))

        assert row.quantity == Decimal("0.002")

    async def test_closes_only_the_share_in_a_silent_market(self):
        """Closing takes no price: not knowing it must not close what was to stay."""
        silent = market(venues=())

        [row] = await planned(close(share=Decimal("0.5")), on=books().take(held()), in_market=silent)

        assert row.quantity == Decimal("0.002")

    async def test_closes_a_share_in_steps_whose_price_has_grown_old(self):
        seen = market(market_quantity_step=Decimal("0.002"))
        known = {pair: view.instrument for pair, view in seen.views.items()}
        silent = replace(seen, views={}, instruments=known)

        [row] = await planned(close(share=Decimal("0.6")), on=books().take(held()), in_market=silent)

        assert row.quantity == Decimal("0.002")

    async def test_denies_a_share_that_is_too_small(self):
        [row] = await planned(close(share=Decimal("0.1")), on=books().take(held()))

        assert (type(row), row.code) == (OrderDenied, "QUANTITY_BELOW_MINIMUM")

    async def test_defers_while_the_entry_is_on_its_way(self):
        [row] = await planned(close(), on=books().take(position()))

        assert (type(row), row.position_id) == (OrderDeferred, 1)

    async def test_defers_while_the_entry_has_only_partly_filled(self):
        """Closing what is there would leave what still fills open, with nobody asked to close it."""
        desk = books().take(held())
        desk.entering.add(1)

        [row] = await planned(close(), on=desk)

        assert isinstance(row, OrderDeferred)

    @pytest.mark.parametrize("status", [PositionStatus.PENDING, PositionStatus.OPEN, PositionStatus.CLOSING])
    async def test_denies_a_second_close_while_one_waits_or_is_on_its_way(self, status):
        """Two closes of one position: the first closes it, and the second must not take its place."""
        waiting = replace(held(), status=status, exit_signal_id=OTHER)

        [row] = await planned(close(), on=books().take(waiting))

        assert (type(row), row.code) == (OrderDenied, "EXIT_IN_FLIGHT")

    async def test_says_nothing_open_for_every_account_that_holds_nothing(self):
        desk = books(accounts=2).take(held())

        rows = await planned(close(), on=desk)

        assert [(row.account_id, getattr(row, "code", None)) for row in rows] == [
            (1, None),
            (2, "NOTHING_OPEN"),
        ]

    async def test_closes_what_a_canceled_subscription_still_holds_and_does_not_mention_it_else(self):
        assert await planned(close(), on=books(status=SubscriptionStatus.CANCELED)) == []

    async def test_leaves_another_bot_s_position_alone(self):
        [row] = await planned(close(), on=books().take(held(bot_id=OTHER, subscription_id=OTHER)))

        assert row.code == "NOTHING_OPEN"

    @pytest.mark.parametrize(("side", "code"), [(Side.SELL, None), (Side.BUY, "NOTHING_OPEN"), (None, None)])
    async def test_closes_only_the_side_that_is_meant(self, side, code):
        """`close_short` with a long open means another position: nothing is closed."""
        asked = replace(close(), side=side)

        [row] = await planned(asked, on=books().take(held()))

        assert getattr(row, "code", None) == code

    async def test_closes_every_symbol_when_asked_for_all(self):
        desk = books().take(held(), held(position_id=2, symbol="ETHUSDT"))

        rows = await planned(instruction(Action.CLOSE_ALL, symbol=None), on=desk)

        assert [(row.symbol, type(row)) for row in rows] == [
            ("BTCUSDT", OrderPlanned),
            ("ETHUSDT", OrderPlanned),
        ]
        assert len({row.order_id for row in rows}) == 2

    async def test_closes_one_subscription_alone_when_asked_for_it(self):
        """The others' positions stay, and nobody else stands in the receipt."""
        on_second = held(position_id=2, account_id=2, subscription_id=UUID(int=2))
        desk = books(accounts=3).take(held(), on_second)
        asked = instruction(Action.CLOSE_ALL, symbol=None, subscription_id=UUID(int=2))

        rows = await planned(asked, on=desk)

        assert [(type(row), row.position_id, row.account_id) for row in rows] == [(OrderPlanned, 2, 2)]

    async def test_says_that_the_one_subscription_asked_for_holds_nothing(self):
        asked = instruction(Action.CLOSE_ALL, symbol=None, subscription_id=UUID(int=2))

        [row] = await planned(asked, on=books(accounts=3).take(held()))

        assert (row.account_id, row.code) == (2, "NOTHING_OPEN")


class TestParts:
    def test_are_a_few_then_what_fills_the_wire_then_many(self):
        assert sizes_of_parts(32, in_flight_max=200) == (32, 200, 1_024)
        assert sizes_of_parts(32, in_flight_max=5) == (32, 32, 1_024)
        assert sizes_of_parts(1, in_flight_max=200) == (1, 200, 200)

    @pytest.mark.parametrize(("accounts", "first"), [(1, 1), (32, 32), (33, FEW), (1_000, FEW)])
    async def test_the_first_is_the_only_one_or_so_small_that_its_orders_leave_at_once(self, accounts, first):
        desk = books(accounts=accounts)

        turns = [
            turn
            async for turn in plan_orders(
                [approved()], books=desk, market=market(), desk=DESK, now=NOON, part_sizes=(32, 200, 1_024)
            )
        ]

        assert sum(isinstance(fact, OrderPlanned) for turn in turns for fact in turn) == first
        assert turns[-1][-1].is_whole is (first == accounts)

    async def part(self, desk, *, progress=NOT_BEGUN, planned_accounts=0):
        desk.progress_by_signal[SIGNAL] = progress
        desk.planned_accounts = planned_accounts
        turns = plan_orders(
            [approved()], books=desk, market=market(), desk=DESK, now=NOON, part_sizes=(2, 64)
        )
        *rows, summary = [fact async for some in turns for fact in some]
        assert summary.accounts == len(rows)
        return rows, summary

    async def test_the_first_is_small_and_says_where_the_next_goes_on(self):
        rows, summary = await self.part(books(accounts=5))

        assert len(rows) == 2
        assert (summary.part, summary.is_whole) == (1, False)
        assert summary.first_account_id == rows[0].account_id
        assert summary.last_account_id == rows[-1].account_id

    async def test_the_second_has_everybody_else_and_makes_it_whole(self):
        desk = books(accounts=5)
        first, begun = await self.part(desk)

        rows, summary = await self.part(
            desk,
            progress=Progress(
                parts=1, first_account_id=begun.first_account_id, last_account_id=begun.last_account_id
            ),
            planned_accounts=2,
        )

        assert sorted(row.account_id for row in [*first, *rows]) == [1, 2, 3, 4, 5]
        assert (summary.part, summary.is_whole) == (2, True)

    async def test_one_that_cannot_be_planned_is_denied_account_by_account(self):
        *rows, summary = await deny_next_part(
            approved(close()), books=books(accounts=3), desk=DESK, now=NOON, part_sizes=(2, 64)
        )

        assert [(row.leg, row.code) for row in rows] == [(Leg.EXIT, "DESK_FAILED")] * 2
        assert (summary.orders, summary.is_whole) == (0, False)


class TestClosesTogether:
    """Closes of different symbols are planned with one look at the books, and each signal has its own receipt."""

    SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")

    async def run(self, desk, asked, *, first_part=100):
        decisions = [approved(one, signal_id=UUID(int=500 + number)) for number, one in enumerate(asked)]
        turns = plan_orders(
            decisions, books=desk, market=market(), desk=DESK, now=NOON, part_sizes=(first_part, 200)
        )
        facts = [fact async for some in turns for fact in some]
        return {
            decision.instruction.symbol: [fact for fact in facts if fact.signal_id == decision.signal_id]
            for decision in decisions
        }

    def desk(self):
        """Two accounts: the first holds BTC and ETH, the second ETH."""
        return books(accounts=2).take(
            held(),
            held(position_id=2, symbol="ETHUSDT"),
            held(position_id=3, symbol="ETHUSDT", account_id=2, subscription_id=UUID(int=2)),
        )

    async def test_give_what_each_of_them_alone_gives(self):
        asked = [close(symbol=symbol) for symbol in self.SYMBOLS]

        together = await self.run(self.desk(), asked)

        for number, (symbol, facts) in enumerate(together.items()):
            alone = await planned(close(symbol=symbol), on=self.desk(), signal_id=UUID(int=500 + number))
            *rows, summary = facts
            assert sorted(rows, key=lambda row: row.order_id) == sorted(alone, key=lambda row: row.order_id)
            assert (summary.accounts, summary.is_whole) == (2, True)
            assert summary.orders == sum(isinstance(row, OrderPlanned) for row in rows)
        assert [fact.orders for facts in together.values() for fact in facts[-1:]] == [1, 2, 0]

    async def test_ends_the_entries_that_waited_for_each_symbol_but_not_behind_a_share(self):
        waiting = [
            WaitingEntry(
                order_id=f"waiting {symbol}", signal_id=OTHER, bot_id=BOT_ID, subscription_id=UUID(int=1),
                account_id=1, symbol=symbol, side=Side.SELL, position_id=number, send_before=NOON,
            )
            for number, symbol in enumerate(self.SYMBOLS, start=1)
        ]  # fmt: skip
        desk = self.desk()
        desk.waiting = waiting
        asked = [close(symbol="BTCUSDT"), close(symbol="ETHUSDT", share=Decimal("0.5"))]
        decisions = [approved(one, signal_id=UUID(int=500 + number)) for number, one in enumerate(asked)]
        turns = plan_orders(decisions, books=desk, market=market(), desk=DESK, now=NOON, part_sizes=(100,))

        ended = [fact async for some in turns for fact in some if fact.signal_id == OTHER]

        assert [(one.order_id, one.code) for one in ended] == [("waiting BTCUSDT", "CLOSED_MEANWHILE")]

    async def test_gives_nothing_where_the_bot_is_planned_in_parts(self):
        """Each of them is planned on its own then, part by part."""
        together = await self.run(self.desk(), [close(symbol=one) for one in self.SYMBOLS], first_part=1)

        assert together == {symbol: [] for symbol in self.SYMBOLS}


class TestEntriesTogether:
    """Entries of different symbols are planned with one look at the books, and count their limits one after the other."""

    SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")

    async def run(self, desk, asked, *, first_id=500, first_part=100):
        """Plan them; give each one's rows, the first account first, and its summary."""
        seen = market()
        [view] = {id(one): one for one in seen.views.values()}.values()
        views = {(Venue.PAPER, symbol): view for symbol in self.SYMBOLS}
        decisions = [
            approved(one, signal_id=UUID(int=number)) for number, one in enumerate(asked, start=first_id)
        ]
        turns = plan_orders(
            decisions,
            books=desk,
            market=replace(seen, views=views),
            desk=DESK,
            now=NOON,
            part_sizes=(first_part, 200),
        )
        facts = [fact async for some in turns for fact in some]
        return [[fact for fact in facts if fact.signal_id == one.signal_id] for one in decisions]

    def enter(self):
        return [instruction(symbol=symbol) for symbol in self.SYMBOLS]

    async def test_give_what_each_of_them_alone_gives(self):
        """Reversed, entered, closed, and closed where the rule for the other side is not to ignore it."""

        def desk():
            return books(accounts=3).take(
                held(),
                held(position_id=2, symbol="SOLUSDT", account_id=2, subscription_id=UUID(int=2)),
            )

        asked = [
            instruction(side=Side.SELL),
            instruction(symbol="ETHUSDT"),
            close(symbol="SOLUSDT", was_entry=True, side=Side.SELL),
        ]

        together = await self.run(desk(), asked)

        for number, facts in enumerate(together):
            [alone] = await self.run(desk(), asked[number : number + 1], first_id=500 + number)
            assert [unplaced(fact) for fact in facts] == [unplaced(fact) for fact in alone]
        assert [facts[-1].orders for facts in together] == [
            4,
            3,
            1,
        ]  # closed and waiting, and two entered; three; one
        assert len({row.position_id for facts in together[:2] for row in facts[:-1]}) == 6

    async def test_begin_with_another_account_each(self):
        """Nobody always trades last, whatever came with it."""
        together = await self.run(books(accounts=3), self.enter())

        assert {facts[0].account_id for facts in together} == {1, 2, 3}

    @pytest.mark.parametrize(
        "limited",
        [
            {"bots": [bot(global_max_positions=2)]},
            {"max_concurrent_positions": 2},
        ],
    )
    async def test_give_the_last_place_to_whoever_came_first(self, limited):
        """One place is taken on another symbol, so that one is left."""
        desk = books(**limited).take(held(position_id=9, symbol="XRPUSDT"))

        together = await self.run(desk, self.enter())

        assert [type(facts[0]) for facts in together] == [OrderPlanned, OrderDenied, OrderDenied]
        assert {facts[0].code for facts in together[1:]} == {"POSITIONS_AT_LIMIT"}

    async def test_share_the_places_of_a_user(self):
        user = User(user_id=OTHER, email="ana@desk.test", name="Ana", role=Role.TRADER, max_positions=3)
        desk = books(accounts=2, account_changes={"user_id": OTHER})
        desk.users[OTHER] = user

        together = await self.run(desk, self.enter())

        assert [facts[-1].orders for facts in together] == [2, 1, 0]

    async def test_end_the_entry_that_waited_for_their_symbol_alone(self):
        desk = books()
        desk.waiting = [
            WaitingEntry(
                order_id=f"waiting {symbol}", signal_id=OTHER, bot_id=BOT_ID, subscription_id=UUID(int=1),
                account_id=1, symbol=symbol, side=Side.SELL, position_id=number, send_before=NOON,
            )
            for number, symbol in enumerate(self.SYMBOLS, start=1)
        ]  # fmt: skip
        decisions = [
            approved(one, signal_id=UUID(int=500 + number)) for number, one in enumerate(self.enter()[:2])
        ]
        turns = plan_orders(decisions, books=desk, market=market(), desk=DESK, now=NOON, part_sizes=(100,))

        ended = [fact async for some in turns for fact in some if fact.signal_id == OTHER]

        # ETHUSDT has no price here: what is denied takes nobody's place.
        assert [(one.order_id, one.code) for one in ended] == [("waiting BTCUSDT", "SUPERSEDED")]

    async def test_give_nothing_where_the_bot_is_planned_in_parts(self):
        assert await self.run(books(accounts=2), self.enter(), first_part=1) == [[], [], []]


def unplaced(fact):
    """Give a fact without the number that its new position was given."""
    if isinstance(fact, OrderPlanned) and fact.leg is Leg.ENTRY:
        return replace(fact, position_id=0)
    return fact


class TestAMistakeAboutOneAccount:
    """The desk does not know what time it is at one account's venue: that is its own mistake, and stops nobody else."""

    async def run(self, asked, *, desk):
        desk.accounts_by_id[1] = replace(desk.accounts_by_id[1], venue=Venue.BINANCE_DEMO)
        clockless = market()
        clockless = replace(clockless, venue_now_ms={Venue.PAPER: clockless.venue_now_ms[Venue.PAPER]})
        mistakes = []
        turns = plan_orders(
            [approved(asked)],
            books=desk,
            market=clockless,
            desk=DESK,
            now=NOON,
            part_sizes=(100,),
            on_mistake=lambda account_id, mistake: mistakes.append((account_id, type(mistake))),
        )
        *rows, summary = [fact async for some in turns for fact in some]
        assert mistakes == [(1, KeyError)]
        assert (summary.accounts, summary.orders) == (2, 1)
        return {row.account_id: row for row in rows}

    async def test_denies_its_entry_alone(self):
        rows = await self.run(instruction(), desk=books(accounts=2))

        assert (type(rows[1]), rows[1].code, rows[1].leg) == (OrderDenied, "DESK_FAILED", Leg.ENTRY)
        assert isinstance(rows[2], OrderPlanned)

    async def test_denies_its_close_alone(self):
        desk = books(accounts=2).take(held(), replace(held(), position_id=2, account_id=2))

        rows = await self.run(close(), desk=desk)

        assert (type(rows[1]), rows[1].code, rows[1].leg) == (OrderDenied, "DESK_FAILED", Leg.EXIT)
        assert isinstance(rows[2], OrderPlanned)


def exit_id(of, *, signal_id=SIGNAL, execution=None):
    return order_id(
        desk_id=DESK.desk_id,
        signal_id=signal_id,
        account_id=of.account_id,
        leg=Leg.EXIT,
        position_id=of.position_id,
        execution="" if execution is None else execution.name,
    )


class TestPlanExecution:
    """What a stop asks for: its order dies at the venue, and the position goes on without it."""

    EXECUTION = Execution(token="1:93296:1", kind=TriggerKind.STOP, number=0, attempt=1)

    async def run(self, desk, *, attempt):
        [one] = desk.positions_by_id.values()
        if attempt > 1:
            desk.attempts[exit_id(one, execution=self.EXECUTION)] = attempt - 1
        request = ExitRequested(
            happened_at=NOON, signal_id=SIGNAL, position_id=1, attempt=attempt, reason="again",
            quantity_max=Decimal("0.005"), execution=self.EXECUTION,
        )  # fmt: skip
        return await plan_exit([request], books=desk, market=market(), desk=DESK, now=NOON)

    async def test_leaves_under_an_id_of_its_own(self):
        [row] = await self.run(books().take(held()), attempt=1)

        assert (type(row), row.quantity, row.order_id) == (
            OrderPlanned, Decimal("0.005"), exit_id(held(), execution=self.EXECUTION),
        )  # fmt: skip

    async def test_gives_nothing_where_nothing_is_held(self):
        assert await self.run(books().take(closed(held())), attempt=1) == []

    async def test_ends_where_its_attempt_died_and_somebody_else_has_closed(self):
        [row] = await self.run(books().take(closed(held())), attempt=2)

        assert (type(row), row.code, row.order_id, row.position_id) == (
            OrderDenied, "NOTHING_OPEN", exit_id(held(), execution=self.EXECUTION), None,
        )  # fmt: skip

    async def test_gives_way_where_its_attempt_died_and_a_close_of_all_waits_behind_it(self):
        """The close waits until nothing is on its way: an order that is tried for ever would never let it go."""
        desk = books().take(replace(held(), exit_signal_id=SIGNAL))

        assert await self.run(desk, attempt=1) == []
        [row] = await self.run(desk, attempt=2)

        assert (type(row), row.order_id, row.position_id) == (
            OrderDenied, exit_id(held(), execution=self.EXECUTION), 1,
        )  # fmt: skip


class TestPlanExit:
    async def run(self, desk, *, attempt=2, in_market=None, standing=1):
        [held_by] = desk.positions_by_id.values()
        if attempt > 1:
            desk.attempts[exit_id(held_by)] = standing
        request = ExitRequested(
            happened_at=NOON, signal_id=SIGNAL, position_id=1, attempt=attempt, reason="again"
        )
        rows = await plan_exit([request], books=desk, market=in_market or market(), desk=DESK, now=NOON)
        return rows[0] if rows else None

    async def test_plans_the_next_attempt_over_all_that_is_held_now(self):
        closing = replace(held("0.003"), status=PositionStatus.CLOSING, exit_signal_id=SIGNAL)

        row = await self.run(books().take(closing))

        assert (row.attempt, row.quantity, row.reduce_only) == (2, Decimal("0.003"), True)
        assert row.client_order_id == client_order_id(row.order_id, attempt=2)

    async def test_denies_when_nothing_is_held_any_more(self):
        row = await self.run(books().take(position(status=PositionStatus.ABANDONED)))

        assert (type(row), row.code) == (OrderDenied, "NOTHING_OPEN")

    @pytest.mark.parametrize("standing", [None, 2, 3])
    async def test_plans_nothing_when_the_order_has_gone_on(self, standing):
        """Another answer came while the venue was asked: a second attempt two would trade twice."""
        assert await self.run(books().take(held()), standing=standing) is None

    async def test_needs_no_price(self):
        row = await self.run(books().take(held()), attempt=1, in_market=market(venues=()))

        assert isinstance(row, OrderPlanned)


class TestAfterRestore:
    """The books were put back to an older state: what was done since then is learned first."""

    def unsure(self, **how):
        desk = books().take(held())
        desk.unsure = {1}
        for name, value in how.items():
            setattr(desk, name, value)
        return desk

    def request(self, attempt=1, **changes):
        return ExitRequested(
            happened_at=NOON, signal_id=SIGNAL, position_id=1, attempt=attempt, reason="again", **changes
        )

    async def exits(self, desk, *requests):
        return await plan_exit(requests, books=desk, market=market(), desk=DESK, now=NOON)

    async def test_a_close_waits(self):
        [row] = await planned(instruction(Action.CLOSE, share=Decimal("0.5")), on=self.unsure())

        assert (type(row), row.code, row.share) == (OrderDeferred, "ACCOUNT_NOT_RECONCILED", Decimal("0.5"))

    async def test_an_exit_that_is_asked_for_waits(self):
        [row] = await self.exits(self.unsure(), self.request(share=Decimal("0.5")))

        assert (type(row), row.order_id, row.share) == (OrderDeferred, exit_id(held()), Decimal("0.5"))

    @pytest.mark.parametrize("attempt", [1, 2])
    async def test_one_that_waits_or_died_goes_on_waiting(self, attempt):
        desk = self.unsure(attempts={exit_id(held()): attempt - 1})

        assert await self.exits(desk, self.request(attempt)) == []

    async def test_a_share_that_was_closed_before_is_not_closed_again(self):
        desk = self.unsure(unsure=set(), forgotten_exits={1: exit_id(held())})

        for rows in (
            await planned(instruction(Action.CLOSE, share=Decimal("0.5")), on=desk),
            await self.exits(desk, self.request(share=Decimal("0.5"))),
        ):
            assert [(type(row), row.code) for row in rows] == [(OrderDenied, "EXIT_BEFORE_RESTORE")]

    async def test_the_rest_of_a_close_is_closed_under_another_number(self):
        desk = self.unsure(unsure=set(), forgotten_exits={1: exit_id(held())})

        [row] = await planned(instruction(Action.CLOSE), on=desk)

        assert (row.order_id, row.quantity) == (exit_id(held()), held().quantity)
        assert row.client_order_id == client_order_id(row.order_id, attempt=1 + FORGOTTEN_ATTEMPTS_MAX)

    async def test_another_signals_close_is_the_first_under_its_own(self):
        desk = self.unsure(unsure=set(), forgotten_exits={1: "p" + "q" * 26})

        [row] = await planned(instruction(Action.CLOSE), on=desk)

        assert row.attempt == 1

    async def test_a_signal_from_before_enters_nothing_and_one_from_after_does(self):
        desk = books()
        desk.forgotten = {(1, SIGNAL)}

        [before] = await planned(on=desk)
        [after] = await planned(on=desk, signal_id=OTHER)

        assert (before.code, type(after)) == ("SIGNAL_BEFORE_RESTORE", OrderPlanned)

    async def test_a_position_is_added_to_though_the_desk_was_restored_once(self):
        """That a restore has left its mark on a position does not mean that an order of it is on its way."""
        desk = books(custom_same_side=SameSide.ADD).take(held())
        desk.forgotten_exits = {1: "p" + "q" * 26}

        [row] = await planned(on=desk)

        assert isinstance(row, OrderPlanned)


class TestPlanEntryAgain:
    async def run(self, *, on=None, in_market=None, now=NOON, standing=1):
        desk = on or books()
        [first] = await planned(on=desk)
        desk.reserve(first, standing=standing)
        request = EntryRequested(
            happened_at=now,
            signal_id=SIGNAL,
            order_id=first.order_id,
            attempt=2,
            reason="attempt=1 code=-1021",
        )
        rows = await plan_entry_again(
            [request], books=desk, market=in_market or market(now=now), desk=DESK, now=now
        )
        return first, rows[0] if rows else None

    @pytest.mark.parametrize("standing", [None, 2, 3])
    async def test_plans_nothing_when_the_order_has_gone_on(self, standing):
        """The answer to the attempt came while the venue was asked about it: rejected, or already tried anew."""
        assert (await self.run(standing=standing))[1] is None

    async def test_signs_the_same_order_anew(self):
        later = NOON + timedelta(seconds=10)

        first, row = await self.run(now=later)

        assert (row.order_id, row.attempt, row.position_id) == (first.order_id, 2, first.position_id)
        assert row.client_order_id != first.client_order_id
        assert row.signed_at_ms == first.signed_at_ms + 10_000

    @pytest.mark.parametrize(
        ("code", "arranged"),
        [
            ("SIGNAL_EXPIRED", {"now": NOON + timedelta(seconds=60)}),
            ("PRICE_UNAVAILABLE", {"in_market": market(venues=())}),
        ],
    )
    async def test_denies_and_says_which_position_was_reserved(self, code, arranged):
        """The reservation is released by its denial."""
        first, row = await self.run(**arranged)

        assert (type(row), row.code, row.position_id) == (OrderDenied, code, first.position_id)

    @pytest.mark.parametrize("code", ["DAILY_LOSS_AT_LIMIT", "FOREIGN_POSITION", "POSITION_MODE_DIFFERS"])
    async def test_denies_what_has_come_up_since_it_was_planned(self, code):
        """Seconds of a busy venue: meanwhile the exits of other positions have lost the day's limit."""
        desk = books()
        [first] = await planned(on=desk)
        desk.reserve(first)
        if code == "DAILY_LOSS_AT_LIMIT":
            desk.losses.append(Loss(UUID(int=1), 1, "ETHUSDT", NOON.date(), Decimal(200)))
        elif code == "FOREIGN_POSITION":
            desk.foreign[1, "BTCUSDT", PositionSide.BOTH] = Decimal("0.3")
        else:
            desk.grounded[1, None] = Grounded(code=code, reason="set the mode")

        [row] = await plan_entry_again(
            [EntryRequested(happened_at=NOON, signal_id=SIGNAL, order_id=first.order_id, attempt=2, reason="")],
            books=desk, market=market(), desk=DESK, now=NOON,
        )  # fmt: skip

        assert (type(row), row.code, row.position_id) == (OrderDenied, code, first.position_id)

    @pytest.mark.parametrize("status", [PositionStatus.CLOSED, PositionStatus.CLOSING])
    async def test_adds_nothing_to_what_was_closed_while_it_was_in_doubt(self, status):
        """Its stop fired meanwhile, or somebody closed it: another attempt would open it again, beside every limit."""
        desk = books(custom_same_side=SameSide.ADD).take(held())
        [adds] = await planned(on=desk)
        desk.reserve(adds)
        desk.positions_by_id[1] = closed(held()) if status is PositionStatus.CLOSED else held(status=status)

        [row] = await plan_entry_again(
            [EntryRequested(happened_at=NOON, signal_id=SIGNAL, order_id=adds.order_id, attempt=2, reason="")],
            books=desk, market=market(), desk=DESK, now=NOON,
        )  # fmt: skip

        assert (type(row), row.code, row.position_id) == (OrderDenied, "CLOSED_MEANWHILE", 1)

    async def test_denies_when_the_bot_was_paused_meanwhile(self):
        desk = books()
        [first] = await planned(on=desk)
        desk.reserve(first)
        desk.bots[BOT_ID] = bot(status=BotStatus.PAUSED)

        [row] = await plan_entry_again(
            [EntryRequested(happened_at=NOON, signal_id=SIGNAL, order_id=first.order_id, attempt=2, reason="")],
            books=desk, market=market(), desk=DESK, now=NOON,
        )  # fmt: skip

        assert row.code == "BOT_STATUS"
