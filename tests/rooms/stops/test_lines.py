"""The next step towards one line at the stop's price: nothing is naked on the way."""

from decimal import Decimal
from uuid import UUID

import pytest

from pregao.domain.account import Venue
from pregao.domain.level import TriggerKind
from pregao.domain.protection import LineStatus
from pregao.domain.stop import StopStatus
from pregao.stops.lines import NOTHING, Move, move_of
from pregao.stops.ports import Line
from tests.builders import armed

HELD = Decimal("0.005")
STOP = armed().stop
RAISED = armed(stop={"stop_price": Decimal(94_000), "version": 2}).stop


def line(version: int = 1, **changes) -> Line:
    given = {
        "protection_id": f"s-1-{version}", "position_id": 1, "account_id": 1, "signal_id": UUID(int=500),
        "venue": Venue.PAPER, "symbol": "BTCUSDT", "kind": TriggerKind.STOP, "number": 0, "version": version,
        "stop_version": version, "trigger_price": STOP.stop_price, "quantity": None, "status": LineStatus.ACCEPTED,
        "signed_at_ms": 1_000, "recv_window_ms": 5_000,
    }  # fmt: skip
    return Line(**{**given, **changes})


def move(stop, *lines, is_watched=False, held=HELD) -> Move:
    return move_of(stop, lines, held=held, is_watched=is_watched)


class TestMoveOf:
    def test_does_nothing_where_it_stands_right(self):
        assert move(STOP, line()) == move(STOP, line(), is_watched=True) == NOTHING

    def test_plans_where_none_stands(self):
        assert move(STOP) == Move(is_anew=True)

    def test_lets_the_old_one_go_first_while_the_software_watches(self):
        assert move(RAISED, line(), is_watched=True) == Move(cancel=(line(),), is_anew=True)

    def test_places_another_beside_it_while_nothing_else_guards(self):
        assert move(RAISED, line()) == Move(is_beside=True)

    def test_cancels_the_old_one_once_the_venue_has_the_other(self):
        other = line(2, trigger_price=Decimal(94_000), quantity=HELD)

        assert move(RAISED, line(), other) == Move(cancel=(line(),))

    def test_keeps_both_while_the_other_is_on_its_way(self):
        other = line(2, trigger_price=Decimal(94_000), quantity=HELD, status=LineStatus.UNRESOLVED)

        assert move(RAISED, line(), other) == NOTHING

    def test_places_another_where_more_is_held_than_one_is_for(self):
        small = line(quantity=HELD)

        assert move(STOP, small, held=2 * HELD) == Move(is_beside=True)

    def test_goes_back_to_one_that_closes_the_position_when_the_software_watches_again(self):
        alone = line(2, quantity=HELD)

        assert move(STOP, alone) == NOTHING
        assert move(STOP, alone, is_watched=True) == Move(cancel=(alone,), is_anew=True)

    def test_has_a_quantity_where_somebody_else_s_closes_the_position(self):
        ours = line(2, quantity=HELD)

        assert move_of(STOP, [], held=HELD, is_watched=True, is_occupied=True) == Move(is_beside=True)
        assert move_of(STOP, [ours], held=HELD, is_watched=True, is_occupied=True) == NOTHING

    @pytest.mark.parametrize("status", [StopStatus.TRIGGERED, StopStatus.DISARMED])
    def test_leaves_a_stop_alone_that_is_not_armed(self, status):
        assert move(armed(stop={"status": status}).stop, line()) == NOTHING

    def test_leaves_a_line_alone_that_triggers(self):
        assert move(RAISED, line(status=LineStatus.TRIGGERING), is_watched=True) == NOTHING
