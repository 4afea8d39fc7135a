"""A claimed exit is looked at before it leaves, and again when it is due."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from pregao.domain.account import Account, Venue
from pregao.domain.execution import ExecutionStatus
from pregao.domain.facts import ExecutionMoved, ExitRequested, GuardrailBlocked, StopChanged
from pregao.domain.level import TriggerKind
from pregao.domain.position import Position, PositionStatus
from pregao.domain.protection import LineStatus
from pregao.domain.stop import Source, StopChange, StopStatus
from pregao.domain.trading_state import TradingState, TradingStates
from pregao.stops.exit import judge_again
from pregao.stops.limits import limits_of
from pregao.stops.ports import ArmedStop, Claimed, ExitScene, Guard
from tests.builders import NOON, account, armed, held, scope_state, user
from tests.rooms.fakes import market
from tests.rooms.stops.test_follow import ASKED, claimed, line

STOP = Decimal(93296)
TARGET = Decimal(99960)
PAIR = (Venue.PAPER, "BTCUSDT")


@dataclass
class FakeExits:
    """One held position with its claims, and what else the guardrails look at."""

    claims: tuple[Claimed, ...]
    armed: ArmedStop
    lines: tuple = ()
    position: Position = field(default_factory=held)
    account: Account = field(default_factory=account)
    states: TradingStates = field(default_factory=TradingStates)
    planned: tuple[datetime, ...] = ()
    limits: dict = field(default_factory=dict)  # by user

    async def lock_positions(self, position_ids):
        return {1: self.position} if 1 in position_ids else {}

    async def exit_scene(self, positions, *, since):
        guard = Guard(armed=self.armed, asked=ASKED, venue=Venue.PAPER, lines=self.lines, claims=self.claims)
        number = self.account.account_id
        return ExitScene(
            guards={one.position_id: guard for one in positions},
            accounts={number: self.account},
            states=self.states,
            executions={number: [at for at in self.planned if at >= since]},
            limits=self.limits,
        )


def due(**changes) -> Claimed:
    given = {"status": ExecutionStatus.PENDING, "attempts": 0, "order_id": None, "again_at": NOON}
    return claimed(**{**given, **changes})


def of_target(**changes) -> Claimed:
    given = {"token": "1:99960:1", "kind": TriggerKind.TARGET, "number": 1, "level": TARGET}
    return due(**{**given, **changes})


def exits(claim: Claimed, **changes) -> FakeExits:
    one = armed()
    if claim.number:
        targets = (replace(one.stop.targets[0], status=StopStatus.TRIGGERED),)
        stop = replace(one.stop, targets=targets)
    else:
        stop = replace(one.stop, status=StopStatus.TRIGGERED)
    return FakeExits(**{"claims": (claim,), "armed": replace(one, stop=stop), **changes})


async def judged(claim: Claimed, *, price: Decimal | None = STOP, now=NOON, outages=None, **changes):
    seen = market(price=price or STOP, now=now)
    seen = replace(
        seen,
        views=seen.views if price else {},
        instruments={pair: view.instrument for pair, view in seen.views.items()},
        outages=outages or {},
    )
    return await judge_again([1], exits=exits(claim, **changes), market=seen, now=now)


def of(kind, facts):
    return [fact for fact in facts if isinstance(fact, kind)]


class TestWhatLeaves:
    async def test_a_stop_takes_all_under_its_token_and_number_of_the_try(self):
        [asked] = await judged(due(attempts=2, status=ExecutionStatus.FAILED))

        assert asked.quantity_max is None
        assert (asked.execution.token, asked.execution.attempt, asked.execution.limit_price) == (
            "1:93296:1", 3, None,
        )  # fmt: skip

    async def test_a_target_takes_its_share_at_most(self):
        one = armed()
        half = replace(one.stop.targets[0], share=Decimal("0.5"), status=StopStatus.TRIGGERED)
        stop = replace(one.stop, targets=(half,))

        [asked] = await judged(
            of_target(), price=TARGET, armed=replace(one, stop=stop), position=held("0.006")
        )

        assert asked.quantity_max == Decimal("0.003")

    async def test_a_share_that_is_too_small_goes_with_the_next_target(self):
        one = armed()
        first = replace(one.stop.targets[0], share=Decimal("0.1"), status=StopStatus.TRIGGERED)
        stop = replace(one.stop, targets=(first, replace(one.stop.targets[0], number=2)))

        facts = await judged(of_target(), price=TARGET, armed=replace(one, stop=stop))

        [changed], [ended] = of(StopChanged, facts), of(ExecutionMoved, facts)
        assert (changed.code, ended.code, ended.again_at) == (
            StopChange.TARGET_TAKEN, "SHARE_TOO_SMALL", None,
        )  # fmt: skip
        assert of(ExitRequested, facts) == []

    @pytest.mark.parametrize("status", [ExecutionStatus.SUBMITTED, ExecutionStatus.EXECUTED])
    async def test_what_is_on_its_way_or_over_gives_nothing(self, status):
        assert await judged(due(status=status)) == []

    async def test_what_is_not_due_yet_gives_nothing(self):
        assert await judged(due(again_at=NOON + timedelta(seconds=1))) == []

    async def test_a_venue_that_has_had_its_time_is_not_waited_for(self):
        [asked] = await judged(due(source=Source.VENUE), price=STOP + 5)

        assert isinstance(asked, ExitRequested)

    async def test_of_a_closed_position_nothing(self):
        closed = replace(held(), status=PositionStatus.CLOSED, exited_quantity=Decimal("0.005"))

        assert await judged(due(), position=closed) == []


class TestGuardrails:
    async def test_f091_a_breaker_is_told_and_the_exit_leaves_as_a_probe(self):
        facts = await judged(due(), outages={PAIR: NOON + timedelta(seconds=200)})

        [blocked], [_asked] = of(GuardrailBlocked, facts), of(ExitRequested, facts)
        assert (blocked.guardrail, blocked.instead, blocked.again_at) == ("CIRCUIT_BREAKER", "probe", None)
        assert blocked.numbers["retry_after_seconds"] == "200.0"

    async def test_f092_blocked_exits_wait_and_are_told_once(self):
        states = TradingStates([scope_state(state=TradingState.HALTED, block_exits=True)])

        first = await judged(due(), states=states)
        again = await judged(due(status=ExecutionStatus.BLOCKED, code="KILL_SWITCH"), states=states)

        [blocked] = first
        assert (blocked.guardrail, blocked.is_critical) == ("KILL_SWITCH", True)
        assert blocked.again_at == NOON + timedelta(seconds=1)
        assert again == []

    async def test_f093_a_venue_without_a_price_is_asked_three_times_and_then_it_leaves_blind(self):
        facts = [await judged(due(questions=asked, code="STALE_PRICE"), price=None) for asked in (0, 1, 2, 3)]

        assert [[one.instead for one in of(GuardrailBlocked, told)] for told in facts] == [
            ["recheck"], ["recheck"], ["recheck"], ["leave"],
        ]  # fmt: skip
        assert [len(of(ExitRequested, told)) for told in facts] == [0, 0, 0, 1]

    async def test_f093_the_venues_own_price_says_no_and_the_stop_is_watched_again(self):
        facts = await judged(due(questions=1, code="STALE_PRICE"), price=STOP + 100)

        [changed], [ended] = of(StopChanged, facts), of(ExecutionMoved, facts)
        assert (changed.code, changed.stop.status, changed.stop.version) == (
            StopChange.ARMED_AGAIN, StopStatus.ARMED, 2,
        )  # fmt: skip
        assert (ended.code, ended.again_at) == ("PRICE_NOT_THERE", None)

    async def test_f093_a_hand_is_not_denied_by_the_price(self):
        facts = await judged(due(questions=1, source=Source.MANUAL), price=STOP + 100)

        assert len(of(ExitRequested, facts)) == 1

    async def test_f090_slippage_is_bounded_once_and_then_taken(self):
        first = await judged(due(), price=Decimal(88000))
        then = await judged(
            due(attempts=1, is_bounded=True, status=ExecutionStatus.FAILED), price=Decimal(88000)
        )

        [bounded], [at_market] = of(ExitRequested, first), of(ExitRequested, then)
        assert bounded.execution.limit_price == Decimal("88631.2")
        assert at_market.execution.limit_price is None

    async def test_f090_a_better_price_is_never_kept(self):
        facts = await judged(of_target(), price=TARGET + 9_000)

        assert of(GuardrailBlocked, facts) == []

    async def test_f094_ten_within_a_minute_defer_the_next_where_the_venue_guards(self):
        planned = tuple(NOON - timedelta(seconds=second) for second in range(10, 0, -1))

        [blocked] = await judged(due(), planned=planned, lines=(line(status=LineStatus.ACCEPTED),))

        assert (blocked.guardrail, blocked.instead) == ("EXECUTION_RATE", "defer")
        assert blocked.again_at == NOON + timedelta(seconds=50)

    async def test_f094_where_nothing_else_guards_it_waits_five_seconds_at_most(self):
        planned = tuple(NOON - timedelta(seconds=second) for second in range(10, 0, -1))

        [kept] = await judged(due(), planned=planned)
        [told, left] = await judged(due(seen_at=NOON - timedelta(seconds=5)), planned=planned)

        assert kept.again_at == NOON + timedelta(seconds=5)
        assert (told.instead, isinstance(left, ExitRequested)) == ("leave", True)

    async def test_f094_a_tenant_is_held_to_his_own_limits(self):
        his = user(max_executions_per_minute=20, max_slippage_pct=Decimal("0.01"))
        planned = tuple(NOON - timedelta(seconds=second) for second in range(10, 0, -1))
        owned = {"account": account(user_id=his.user_id), "limits": {his.user_id: limits_of(his)}}

        [asked] = await judged(due(), planned=planned, **owned)
        [told, bounded] = await judged(due(), price=STOP - 100, **owned)

        assert asked.execution.limit_price is None
        assert (told.guardrail, told.numbers["slippage_percent_max"]) == ("SLIPPAGE_BREACH", "0.01")
        assert bounded.execution.limit_price is not None
