"""A protective order is sent once; what is not known for certain is asked about."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from pregao.domain.clock import to_ms
from pregao.domain.facts import (
    ProtectionAccepted,
    ProtectionMoved,
    ProtectionRejected,
    ProtectionReported,
    ProtectionUnresolved,
)
from pregao.domain.order import Side
from pregao.domain.protection import LineStatus, ProtectionRefused, ProtectionStatus, RefusalCause
from pregao.domain.venue import OperatorNeeded, OutcomeUnknown, Refused, RetryLater
from pregao.stops.place import order_of_line, place_protection, resolve_protection
from pregao.stops.ports import Line
from tests.builders import NOON, armed, line_planned
from tests.fake_exchange import FakeExchange
from tests.fake_protections import FakeProtections
from tests.rooms.fakes import MovingClock

TIMEOUT = OutcomeUnknown("TIMEOUT", "no answer in 10 s")
BUSY = RetryLater("-1008", "throttled", retry_after_seconds=3)
PASSED = ProtectionRefused("-2021", "would trigger at once", cause=RefusalCause.PRICE_PASSED)
PLANNED = line_planned(armed(), signed_at_ms=to_ms(NOON))


@pytest.fixture
async def protections():
    """A venue where 0.005 bitcoin are held."""
    exchange = FakeExchange(clock=MovingClock())
    await exchange.trade(1, side=Side.BUY, quantity=Decimal("0.005"))
    return FakeProtections(exchange)


async def placed(protections):
    return await place_protection(PLANNED, protections=protections, clock=protections.exchange.clock)


class TestPlaceProtection:
    async def test_gives_accepted_on_the_venue_s_word(self, protections):
        outcome = await placed(protections)

        assert isinstance(outcome, ProtectionAccepted)
        assert (outcome.exchange_protection_id, outcome.sent_at, outcome.acknowledged_at) == ("1", NOON, NOON)
        assert protections.submitted == [order_of_line(PLANNED)]

    @pytest.mark.parametrize(
        ("error", "cause"),
        [
            (PASSED, RefusalCause.PRICE_PASSED),
            (Refused("-2019", "Margin is insufficient."), RefusalCause.OTHER),
            (OperatorNeeded("-2015", "Invalid API-key."), RefusalCause.OTHER),
        ],
    )
    async def test_gives_rejected_with_the_cause(self, protections, error, cause):
        protections.fail_next(error)

        outcome = await placed(protections)

        assert isinstance(outcome, ProtectionRejected)
        assert (outcome.code, outcome.cause) == (error.code, cause)

    @pytest.mark.parametrize(("error", "is_dead", "seconds"), [(BUSY, True, 3), (TIMEOUT, False, 1)])
    async def test_gives_unresolved_where_nobody_knows_and_dead_where_it_is_certain(
        self, protections, error, is_dead, seconds
    ):
        protections.fail_next(error)

        outcome = await placed(protections)

        assert isinstance(outcome, ProtectionUnresolved)
        assert (outcome.is_dead, outcome.ask_at) == (is_dead, NOON + timedelta(seconds=seconds))

    async def test_is_dead_when_it_arrives_after_its_window(self, protections):
        protections.exchange.clock.forward(5.1)

        outcome = await placed(protections)

        assert (outcome.code, outcome.is_dead) == ("-1021", True)
        assert protections.standing() == []


def line(**changes) -> Line:
    names = Line.__dataclass_fields__.keys()
    given = {name: getattr(PLANNED, name) for name in names if hasattr(PLANNED, name)}
    return Line(**{**given, "status": LineStatus.UNRESOLVED, **changes})


async def resolved(protections, asked=None):
    clock = protections.exchange.clock
    return list(
        await resolve_protection(
            asked or line(), protections=protections, venue_now_ms=to_ms(clock()), clock=clock
        )
    )


class TestResolveProtection:
    async def test_gives_accepted_where_it_waits(self, protections):
        await placed(protections)

        [fact] = await resolved(protections)

        assert isinstance(fact, ProtectionAccepted)
        assert fact.sent_at is None

    async def test_gives_what_has_become_of_it(self, protections):
        await placed(protections)
        await protections.trigger(PLANNED.protection_id)

        [fact] = await resolved(protections)

        assert isinstance(fact, ProtectionReported)
        assert fact.report.status is ProtectionStatus.FINISHED

    async def test_concludes_nothing_while_it_may_still_arrive(self, protections):
        protections.exchange.clock.forward(6.0)

        assert await resolved(protections) == []

    async def test_gives_its_end_once_it_cannot_arrive_any_more(self, protections):
        protections.exchange.clock.forward(6.1)

        [fact] = await resolved(protections)

        assert isinstance(fact, ProtectionMoved)
        assert (fact.status, fact.reason.partition(":")[0]) == (ProtectionStatus.EXPIRED, "NOT_FOUND")

    async def test_concludes_nothing_where_the_venue_has_had_it_and_is_only_late(self, protections):
        protections.exchange.clock.forward(60.0)

        assert await resolved(protections, line(status=LineStatus.TRIGGERING)) == []

    async def test_has_no_news_of_one_that_waits_as_before(self, protections):
        await placed(protections)

        assert await resolved(protections, line(status=LineStatus.ACCEPTED)) == []

    async def test_takes_none_for_it_from_before_the_database_was_put_back(self, protections):
        """Numbers begin again where the backup ended: an older one may bear the same name."""
        await placed(protections)
        protections.exchange.clock.forward(30.0)

        now_ms = to_ms(protections.exchange.clock())
        assert await resolved(protections, replace(line(), signed_at_ms=now_ms)) == []
