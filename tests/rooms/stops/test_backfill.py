"""What was opened with a percentage gets its price; the first two of the source's own tests are here (F083)."""

from dataclasses import replace
from decimal import Decimal

import pytest

from pregao.domain.position import Direction
from pregao.stops.backfill import Outcome, Unpriced, backfill, totals

ROW = Unpriced(
    position_id=1,
    direction=Direction.LONG,
    entry_price=Decimal(90_000),
    price_tick=Decimal("0.01"),
    stop_percent=Decimal(2),
)


class TestBackfill:
    @pytest.mark.parametrize(
        ("direction", "stop", "target"),
        [(Direction.LONG, "88200", "93600"), (Direction.SHORT, "91800", "86400")],
    )
    def test_computes_the_price_for_each_side(self, direction, stop, target):
        """test_backfill_stop_price_calculates_correctly; its own check used the long's formula for every row."""
        (done,) = backfill([replace(ROW, direction=direction, target_percent=Decimal(4))])

        assert (done.outcome, done.stop.stop_price) == (Outcome.UPDATED, Decimal(stop))
        assert [one.price for one in done.stop.targets] == [Decimal(target)]

    @pytest.mark.parametrize("direction", Direction)
    @pytest.mark.parametrize("percent", ["-2", "0"])
    def test_skips_a_stop_in_the_wrong_direction(self, direction, percent):
        """test_backfill_validates_stop_direction."""
        (done,) = backfill([replace(ROW, direction=direction, stop_percent=Decimal(percent))])

        assert (done.outcome, done.code, done.stop) == (Outcome.SKIPPED, "STOP_WRONG_SIDE", None)

    @pytest.mark.parametrize(
        ("missing", "code"),
        [
            ({"entry_price": None}, "ENTRY_PRICE_MISSING"),
            ({"stop_percent": None}, "STOP_NOT_ASKED_FOR"),
            ({"stop_price": Decimal(1)}, "STOP_THERE_ALREADY"),
        ],
    )
    def test_skips_what_has_no_price_to_compute_or_needs_none(self, missing, code):
        (done,) = backfill([replace(ROW, **missing)])

        assert (done.outcome, done.code) == (Outcome.SKIPPED, code)

    def test_goes_on_after_a_row_that_cannot_be_stopped(self):
        rows = [replace(ROW, stop_percent=Decimal(-1)), replace(ROW, position_id=2)]

        assert totals(backfill(rows)) == {"processed": 2, "updated": 1, "skipped": 1}

    def test_run_twice_updates_nothing(self):
        rows = [ROW, replace(ROW, position_id=2, direction=Direction.SHORT)]
        first = list(backfill(rows))

        second = backfill(
            [replace(row, stop_price=done.stop.stop_price) for row, done in zip(rows, first, strict=True)]
        )

        assert totals(second) == {"processed": 2, "updated": 0, "skipped": 2}

    def test_looks_at_rows_as_they_come(self):
        """Batches, and a run that is broken off: what it gave stands."""
        seen = []

        def rows():
            for number in range(3):
                seen.append(number)
                yield replace(ROW, position_id=number)

        assert next(backfill(rows())).position_id == 0
        assert seen == [0]
