"""Checks bind entries only, and say what they looked at."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.decisions.checks import ENTRY_CHECKS
from pregao.decisions.decide import decide
from pregao.decisions.ports import NOTHING_DONE, NewerSignal, Record
from pregao.domain.account import Venue
from pregao.domain.bot import Approval, BotStatus, Directions, Policy, SubscriptionStatus, TradingHours
from pregao.domain.facts import DecisionApproved, DecisionDeclined, DecisionPending, SignalAccepted
from pregao.domain.market import Market
from pregao.domain.order import Side
from pregao.domain.prediction import Direction, Foretold, ModelFilter, WhenUnknown
from pregao.domain.signal import Action, AgainKind, SentAgain
from pregao.domain.trading_state import TradingState, TradingStates, scope_of_account, scope_of_bot
from tests.builders import BOT_ID, NOON, bot, instruction, scope_state
from tests.rooms.fakes import PRICE, books, market

FIRST = UUID(int=400)


def again(kind):
    repeated = SentAgain(kind=kind, before=(FIRST,), first_at=NOON, subscription_ids=(UUID(int=1),))
    return instruction(again=repeated)


async def decided(asked, *, record=NOTHING_DONE, now=NOON, desk=None, seen=None, **bot_changes):
    accepted = SignalAccepted(happened_at=NOON, signal_id=UUID(int=500), bot_id=BOT_ID, instruction=asked)
    desk = desk or books()
    desk.bots, desk.record = {BOT_ID: bot(**bot_changes)}, record
    [fact] = await decide([accepted], bots=desk, market=seen or market(), now=now)
    return fact


class TestDecide:
    async def test_approves_with_the_verdict_of_every_check(self):
        fact = await decided(instruction())

        assert isinstance(fact, DecisionApproved)
        assert len(fact.verdicts) == len(ENTRY_CHECKS) + 1
        assert all(verdict.passed for verdict in fact.verdicts)

    @pytest.mark.parametrize(
        ("changes", "record", "code", "reason"),
        [
            ({"status": BotStatus.PAUSED}, {}, "BOT_STATUS_DECLINED", "status=paused"),
            ({"status": BotStatus.ARCHIVED}, {}, "BOT_STATUS_DECLINED", "status=archived"),
            (
                {"allowed_directions": Directions.SELL_ONLY}, {},
                "DIRECTION_DECLINED", "side=buy allowed_directions=sell_only positions_against=0",
            ),
            (
                {"trading_symbol": "ETHUSDT"}, {},
                "SYMBOL_DECLINED", "symbol=BTCUSDT trading_symbol=ETHUSDT",
            ),
            (
                {"allowed_symbols": ("ETHUSDT", "LTCUSDT")}, {},
                "ALLOW_LIST_DECLINED", "symbol=BTCUSDT allowed_symbols=ETHUSDT,LTCUSDT",
            ),
            (
                {"trading_hours": (TradingHours(days=(1,), start=NOON.time(), end=NOON.time()),)}, {},
                "TRADING_HOURS_DECLINED", "now=2026-11-21T12:00:00+00:00 trading_hours=1@12:00-12:00@UTC",
            ),
            (
                {"cooldown_seconds": 300}, {"last_entry_at": NOON - timedelta(seconds=30)},
                "COOLDOWN_DECLINED", "cooldown_seconds=300 since_last_entry_seconds=30.0",
            ),
            (
                {"max_entries_per_day": 2}, {"entries_today": 2},
                "DAILY_ENTRIES_DECLINED", "entries_today=2 max_entries_per_day=2",
            ),
            (
                {"global_max_daily_loss_usd": Decimal(100)}, {"loss_today_usd": Decimal("120.50")},
                "GLOBAL_LOSS_DECLINED", "loss_today_usd=120.5 global_max_daily_loss_usd=100",
            ),
            (
                {"global_max_positions": 5}, {"live_positions": 7},
                "GLOBAL_POSITIONS_DECLINED", "live_positions=7 global_max_positions=5 positions_here=0",
            ),
        ],
    )  # fmt: skip
    async def test_declines_with_the_numbers_of_the_check_that_failed(self, changes, record, code, reason):
        fact = await decided(instruction(), record=Record(**record), **changes)

        assert isinstance(fact, DecisionDeclined)
        assert (fact.code, fact.reason) == (code, reason)
        assert len(fact.verdicts) == len(ENTRY_CHECKS) + 1
        assert [verdict.check for verdict in fact.verdicts if not verdict.passed] == [
            code.removesuffix("_DECLINED")
        ]

    async def test_declines_what_has_become_too_old(self):
        fact = await decided(instruction(), now=NOON + timedelta(seconds=61))

        assert (fact.code, fact.reason) == (
            "AGE_DECLINED",
            "send_before=2026-11-21T12:01:00.000+00:00 left_seconds=-1.0",
        )

    async def test_runs_all_checks_and_names_the_first_that_failed(self):
        fact = await decided(
            instruction(), status=BotStatus.PAUSED, trading_symbol="ETHUSDT", allowed_symbols=("ETHUSDT",)
        )

        failed = [verdict.check for verdict in fact.verdicts if not verdict.passed]
        assert (fact.code, failed) == ("BOT_STATUS_DECLINED", ["BOT_STATUS", "SYMBOL", "ALLOW_LIST"])

    @pytest.mark.parametrize("action", [Action.CLOSE, Action.CLOSE_ALL])
    async def test_never_checks_a_close(self, action):
        """A limit must not keep anybody in a position (B2.3 of the source systems did)."""
        fact = await decided(
            instruction(action, share=Decimal("0.5")),
            record=Record(live_positions=9, entries_today=9, loss_today_usd=Decimal(900), last_entry_at=NOON),
            now=NOON + timedelta(hours=1),
            status=BotStatus.PAUSED, allowed_directions=Directions.BUY_ONLY, trading_symbol="ETHUSDT",
            allowed_symbols=("ETHUSDT",), cooldown_seconds=300, max_entries_per_day=0, global_max_positions=0,
            global_max_daily_loss_usd=Decimal(0),
        )  # fmt: skip

        assert (type(fact), fact.verdicts) == (DecisionApproved, ())

    @pytest.mark.parametrize(
        ("allowed", "side"), [(Directions.BUY_ONLY, Side.SELL), (Directions.SELL_ONLY, Side.BUY)]
    )
    async def test_closes_what_is_held_when_a_signal_goes_the_way_that_is_not_allowed(self, allowed, side):
        """F059: it is a close then: neither the pause nor any limit stands in its way."""
        asked = instruction(side=side)

        fact = await decided(
            asked,
            record=Record(positions_against=2, live_positions=9),
            allowed_directions=allowed,
            status=BotStatus.PAUSED,
            global_max_positions=1,
        )

        assert isinstance(fact, DecisionApproved)
        assert fact.instruction == replace(asked, action=Action.CLOSE)
        [verdict] = fact.verdicts
        assert (verdict.check, verdict.passed) == ("DIRECTION", False)
        assert verdict.numbers["positions_against"] == "2"

    @pytest.mark.parametrize(
        ("changes", "check"),
        [
            ({"status": BotStatus.PAUSED}, "BOT_STATUS"),
            ({"allowed_symbols": ("ETHUSDT",)}, "ALLOW_LIST"),
            ({"global_max_daily_loss_usd": Decimal(0)}, "GLOBAL_LOSS"),
            ({"max_entries_per_day": 0}, "DAILY_ENTRIES"),
        ],
    )
    async def test_closes_what_an_entry_goes_against_although_a_check_stops_it(self, changes, check):
        """F051: a limit stops what would be opened; declined as a whole, it would keep everybody in the position."""
        asked = instruction(side=Side.SELL)

        fact = await decided(asked, record=Record(positions_against=1), approval=Approval.MANUAL, **changes)

        assert isinstance(fact, DecisionApproved)
        assert fact.instruction == replace(asked, action=Action.CLOSE, was_entry=True)
        assert [verdict.check for verdict in fact.verdicts if not verdict.passed] == [check]

    @pytest.mark.parametrize("changes", [{}, {"trading_symbol": "BTCUSDT"}])
    async def test_asks_nothing_of_the_past_of_a_bot_without_limits(self, changes):
        desk = books()

        await decided(instruction(), desk=desk, **changes)

        assert desk.locked_bots == set()


class TestManualApproval:
    async def test_puts_an_entry_to_a_person_with_the_price_and_the_time_it_has(self):
        asked = instruction()

        fact = await decided(asked, approval=Approval.MANUAL, approval_seconds=90)

        assert isinstance(fact, DecisionPending)
        assert (fact.instruction, fact.venue, fact.price) == (asked, Venue.PAPER, PRICE)
        assert fact.expires_at == NOON + timedelta(seconds=90)
        assert len(fact.verdicts) == len(ENTRY_CHECKS) + 1

    async def test_puts_nothing_to_a_person_that_a_check_declines(self):
        fact = await decided(instruction(), approval=Approval.MANUAL, trading_symbol="ETHUSDT")

        assert (type(fact), fact.code) == (DecisionDeclined, "SYMBOL_DECLINED")

    @pytest.mark.parametrize("action", [Action.CLOSE, Action.CLOSE_ALL])
    async def test_lets_no_close_wait(self, action):
        assert isinstance(await decided(instruction(action), approval=Approval.MANUAL), DecisionApproved)

    async def test_lets_no_entry_wait_that_closes(self):
        fact = await decided(
            instruction(side=Side.SELL),
            record=Record(positions_against=1),
            approval=Approval.MANUAL,
            allowed_directions=Directions.BUY_ONLY,
        )

        assert (type(fact), fact.instruction.action) == (DecisionApproved, Action.CLOSE)

    async def test_takes_the_price_where_most_of_the_accounts_trade(self):
        desk = books(accounts=3)
        for number in (2, 3):
            desk.accounts_by_id[number] = replace(desk.accounts_by_id[number], venue=Venue.BINANCE_DEMO)

        fact = await decided(instruction(), desk=desk, approval=Approval.MANUAL)

        assert fact.venue is Venue.BINANCE_DEMO

    @pytest.mark.parametrize(
        ("desk", "venue"),
        [
            (books(accounts=0), None),
            (books(status=SubscriptionStatus.PAUSED), None),
            (books(), Venue.PAPER),
        ],
        ids=["nobody", "paused", "silent"],
    )
    async def test_asks_without_a_price_where_there_is_none(self, desk, venue):
        """The question stands; a yes to it is declined, because nobody can say what has moved."""
        silent = Market(views={}, venue_now_ms={})

        fact = await decided(instruction(), desk=desk, seen=silent, approval=Approval.MANUAL)

        assert (fact.venue, fact.price) == (venue, None)


class TestTradingState:
    """F092: what the desk or the bot is stopped from, the signal is told; the rest is denied account by account."""

    @pytest.mark.parametrize(
        ("state", "code"),
        [(TradingState.HALTED, "TRADING_HALTED"), (TradingState.REDUCING, "TRADING_REDUCING")],
    )
    @pytest.mark.parametrize("changes", [{}, {"approval": Approval.MANUAL}], ids=["automatic", "manual"])
    async def test_f092_declines_an_entry_with_the_operators_reason(self, state, code, changes):
        desk = books()
        desk.states = TradingStates([scope_state(state=state, version=9)])

        fact = await decided(instruction(), desk=desk, **changes)

        assert (type(fact), fact.code) == (DecisionDeclined, code)
        assert fact.reason == f"state={state} level=desk name=desk reason=the venue is mad version=9"
        assert (fact.verdicts[0].check, fact.verdicts[0].passed) == ("TRADING_STATE", False)

    async def test_of_a_bot_stops_that_bot(self):
        desk = books()
        desk.states = TradingStates([scope_state(scope_of_bot(BOT_ID))])

        assert (await decided(instruction(), desk=desk)).code == "TRADING_HALTED"

    async def test_of_one_account_is_looked_at_when_it_is_planned(self):
        desk = books()
        desk.states = TradingStates([scope_state(scope_of_account(1))])

        assert isinstance(await decided(instruction(), desk=desk), DecisionApproved)

    async def test_x11_stops_no_close(self):
        desk = books()
        desk.states = TradingStates([scope_state()])

        assert isinstance(await decided(instruction(Action.CLOSE), desk=desk), DecisionApproved)

    async def test_x11_closes_what_the_entry_goes_against(self):
        desk = books()
        desk.states = TradingStates([scope_state()])

        fact = await decided(instruction(), desk=desk, record=Record(positions_against=1))

        assert (type(fact), fact.instruction.action) == (DecisionApproved, Action.CLOSE)
        assert not fact.verdicts[0].passed


class TestModel:
    """F127: a model may filter entries; a missing one does what the rule says."""

    ASKED = ModelFilter(model="btc_1h", confidence_min=Decimal("0.55"))

    def desk(self, **changes):
        said = {
            "model": "btc_1h", "model_id": "btc_1h@3f9a01c2d4e5", "symbol": "BTCUSDT", "timeframe": "1h",
            "direction": Direction.PRICE_UP, "confidence": Decimal("0.55"), "bar_at": NOON - timedelta(hours=1),
            "expires_at": NOON + timedelta(seconds=1),
        }  # fmt: skip
        desk = books()
        desk.foretold = {("btc_1h", "BTCUSDT"): Foretold(**(said | changes))}
        return desk

    async def test_approves_what_it_foretells(self):
        fact = await decided(instruction(), desk=self.desk(), model_filter=self.ASKED)

        assert isinstance(fact, DecisionApproved)
        assert fact.verdicts[-1].numbers == {
            "model": "btc_1h", "side": "buy", "confidence_min": "0.55", "foretold": "PRICE_UP", "confidence": "0.55",
            "model_id": "btc_1h@3f9a01c2d4e5", "timeframe": "1h", "bar_at": "2026-11-21T11:00:00+00:00",
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("changes", "side"),
        [
            ({"direction": Direction.PRICE_DOWN}, Side.BUY),
            ({"direction": Direction.NO_MOVE}, Side.BUY),
            ({"direction": Direction.NO_MOVE}, Side.SELL),
            ({"confidence": Decimal("0.549999")}, Side.BUY),
            ({}, Side.SELL),
        ],
    )
    async def test_declines_what_it_does_not_or_is_not_sure_of(self, changes, side):
        fact = await decided(instruction(side=side), desk=self.desk(**changes), model_filter=self.ASKED)

        assert (type(fact), fact.code) == (DecisionDeclined, "MODEL_DECLINED")

    async def test_approves_a_sell_when_it_foretells_a_fall(self):
        desk = self.desk(direction=Direction.PRICE_DOWN)

        fact = await decided(instruction(side=Side.SELL), desk=desk, model_filter=self.ASKED)

        assert isinstance(fact, DecisionApproved)

    @pytest.mark.parametrize("changes", [{"expires_at": NOON}, {"symbol": "ETHUSDT"}])
    @pytest.mark.parametrize("rule", list(WhenUnknown))
    async def test_of_what_it_says_nothing_fresh_the_rule_decides(self, changes, rule):
        desk = self.desk(**changes)
        desk.foretold = {(one.model, one.symbol): one for one in desk.foretold.values()}

        fact = await decided(instruction(), desk=desk, model_filter=replace(self.ASKED, when_unknown=rule))

        [verdict] = [one for one in fact.verdicts if one.check == "MODEL"]
        assert isinstance(fact, DecisionApproved) == verdict.passed == (rule is WhenUnknown.PASS)
        assert verdict.numbers["foretold"] == "unknown"
        assert ("warning" in verdict.numbers) == verdict.passed

    async def test_keeps_nobody_in_a_position(self):
        closing = await decided(instruction(Action.CLOSE), desk=self.desk(), model_filter=self.ASKED)
        sold = await decided(
            instruction(side=Side.SELL),
            desk=self.desk(),
            record=Record(positions_against=1),
            model_filter=self.ASKED,
        )

        assert [(type(one), one.instruction.action) for one in (closing, sold)] == [
            (DecisionApproved, Action.CLOSE), (DecisionApproved, Action.CLOSE),
        ]  # fmt: skip

    async def test_is_asked_by_no_other_bot(self):
        fact = await decided(instruction(), desk=self.desk(direction=Direction.PRICE_DOWN))

        assert "MODEL" not in [verdict.check for verdict in fact.verdicts]


class TestScreener:
    """F006, F007: the screener's list binds entries of bots that follow it, and nothing else."""

    async def test_approves_what_is_on_the_list_with_its_rank(self):
        desk = books()
        desk.listed = ["ETHUSDT", "BTCUSDT"]

        fact = await decided(instruction(), desk=desk, policy=Policy.SCREENER)

        assert isinstance(fact, DecisionApproved)
        assert fact.verdicts[-1].numbers == {
            "ticker": "BTCUSDT", "rank": "2", "list": "small caps", "size": "2",
            "listed_at": "2026-11-21T12:00:00+00:00",
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("on_it", "reason"),
        [
            (
                ["ETHUSDT"],
                "ticker=BTCUSDT rank=none list=small caps size=1 listed_at=2026-11-21T12:00:00+00:00",
            ),
            ([], "ticker=BTCUSDT rank=none list=none size=0"),
        ],
    )
    async def test_declines_what_is_not_and_all_while_there_is_no_list(self, on_it, reason):
        desk = books()
        desk.listed = on_it

        fact = await decided(instruction(), desk=desk, policy=Policy.SCREENER)

        assert (type(fact), fact.code, fact.reason) == (DecisionDeclined, "SCREENER_DECLINED", reason)

    async def test_compares_in_one_spelling(self):
        desk = books()
        desk.listed = ["BRK.B"]

        fact = await decided(instruction(symbol="BRK.B"), desk=desk, policy=Policy.SCREENER)

        assert isinstance(fact, DecisionApproved)

    async def test_never_keeps_anybody_in_a_position(self):
        """A sell of what is held closes it, on the list or not; the source once asked the list there too."""
        closing = await decided(instruction(Action.CLOSE), policy=Policy.SCREENER)
        sold = await decided(
            instruction(side=Side.SELL),
            record=Record(positions_against=1),
            policy=Policy.SCREENER,
            allowed_directions=Directions.BUY_ONLY,
        )
        turned = await decided(
            instruction(side=Side.SELL), record=Record(positions_against=1), policy=Policy.SCREENER
        )

        assert isinstance(closing, DecisionApproved)
        assert [(type(one), one.instruction.action) for one in (sold, turned)] == [
            (DecisionApproved, Action.CLOSE), (DecisionApproved, Action.CLOSE),
        ]  # fmt: skip

    async def test_declines_a_sell_of_what_is_not_held(self):
        fact = await decided(
            instruction(side=Side.SELL), policy=Policy.SCREENER, allowed_directions=Directions.BUY_ONLY
        )

        assert (fact.code, fact.verdicts[-1].check) == ("DIRECTION_DECLINED", "SCREENER")

    async def test_asks_no_list_for_other_bots(self):
        fact = await decided(instruction())

        assert "SCREENER" not in [verdict.check for verdict in fact.verdicts]


class TestSentAgain:
    """What an operator sends again is checked like any other, and stays what it was."""

    @pytest.mark.parametrize("kind", AgainKind)
    async def test_needs_no_second_yes(self, kind):
        fact = await decided(again(kind), approval=Approval.MANUAL)

        assert isinstance(fact, DecisionApproved)

    async def test_becomes_no_close_of_what_others_hold(self):
        """A check that stops an entry has it close what it goes against; a retry is for those who are flat."""
        fact = await decided(
            again(AgainKind.RETRY), record=Record(positions_against=2), status=BotStatus.PAUSED
        )

        assert isinstance(fact, DecisionDeclined)
        assert fact.code == "BOT_STATUS_DECLINED"

    async def test_as_a_retry_is_declined_when_the_bot_has_gone_the_other_way(self):
        newer = NewerSignal(signal_id=UUID(int=501), action=Action.CLOSE, received_at=NOON)
        desk = books()
        desk.newer_against = {FIRST: newer}

        retried = await decided(again(AgainKind.RETRY), desk=desk)
        replayed = await decided(again(AgainKind.REPLAY), desk=desk)

        assert isinstance(retried, DecisionDeclined)
        assert retried.code == "NEWER_SIGNAL_DECLINED"
        assert isinstance(replayed, DecisionApproved)
