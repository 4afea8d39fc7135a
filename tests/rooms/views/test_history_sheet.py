"""The history of signals as a sheet: what was written is read again, and a bad row is named."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.domain.facts import ImportedEvent
from pregao.views.history import LOCATIONS, STATUSES, EventLine
from pregao.views.history_sheet import COLUMNS, RowRefused, read_history, to_row
from pregao.views.sheet import SheetError, to_csv
from tests.builders import NOON
from tests.properties import instants, quick

SIGNAL = "01930000-0000-7000-8000-00000000abcd"
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
WORDS = st.none() | st.sampled_from(["buy", "sell", "position_close", "manual_sell_entry"])

lines = st.builds(
    EventLine,
    number=st.integers(1, 9),
    happened_at=instants,
    signal_id=st.uuids(),
    ticker=st.none() | TEXTS.filter(bool),
    signal_type=WORDS,
    status=st.sampled_from(STATUSES),
    location=st.none() | st.sampled_from(LOCATIONS),
    worker_id=st.none() | TEXTS.filter(bool),
    details=TEXTS,
    http_status=st.none() | st.integers(100, 599),
)


def read(*rows: str, heading: str = ",".join(COLUMNS)) -> list:
    return list(read_history("\r\n".join([heading, *rows]), now=NOON))


class TestReadHistory:
    @given(st.lists(lines, max_size=5))
    @quick
    def test_gives_what_was_written(self, told):
        """F034: the round trip loses nothing."""
        text = to_csv([COLUMNS, *map(to_row, told)])

        events = list(read_history(text, now=datetime(2100, 1, 1, tzinfo=UTC)))

        assert [to_row(one) for one in told] == [to_row(_line(one)) for one in events]

    def test_takes_the_columns_in_any_order_and_only_those_needed(self):
        (event,) = read(f"received,{SIGNAL},2026-11-20 10:00:00", heading="status, Signal_ID ,timestamp")

        assert event == ImportedEvent(
            happened_at=datetime(2026, 11, 20, 10, tzinfo=UTC),
            signal_id=UUID(SIGNAL),
            ticker=None,
            signal_type=None,
            status="received",
            location=None,
            worker_id=None,
            details="",
            http_status=None,
        )

    @pytest.mark.parametrize(
        ("row", "column"),
        [
            (f"yesterday,{SIGNAL},A,buy,received,,,,", "timestamp"),
            (f"{NOON + timedelta(seconds=1)},{SIGNAL},A,buy,received,,,,", "timestamp"),
            ("2026-11-20T10:00:00Z,7,A,buy,received,,,,", "signal_id"),
            (f"2026-11-20T10:00:00Z,{SIGNAL},A,BUY!,received,,,,", "signal_type"),
            (f"2026-11-20T10:00:00Z,{SIGNAL},A,buy,done,,,,", "status"),
            (f"2026-11-20T10:00:00Z,{SIGNAL},A,buy,,,,,", "status"),
            (f"2026-11-20T10:00:00Z,{SIGNAL},A,buy,received,nowhere,,,", "location"),
            (f"2026-11-20T10:00:00Z,{SIGNAL},A,buy,received,,,,99", "http_code"),
            (f"2026-11-20T10:00:00Z,{SIGNAL},{'A' * 41},buy,received,,,,", "ticker"),
            (f"2026-11-20T10:00:00Z,{SIGNAL},A,buy,received,,,a\x00b,", "details"),
            (f"2026-11-20T10:00:00Z,{SIGNAL},A", ""),
        ],
    )
    def test_names_line_and_column_of_a_bad_row_and_goes_on(self, row, column):
        good = f"2026-11-20T10:00:00Z,{SIGNAL},A,buy,received,,,,"

        first, bad, last = read(good, row, good)

        assert first == last
        assert isinstance(first, ImportedEvent)
        assert isinstance(bad, RowRefused)
        assert (bad.line, bad.column) == (3, column)

    @pytest.mark.parametrize("heading", ["", "timestamp,status", "timestamp,signal_id,status,colour", "a,a"])
    def test_refuses_a_heading_that_is_not_ours(self, heading):
        with pytest.raises(SheetError):
            read(heading=heading)


def _line(event: ImportedEvent) -> EventLine:
    return EventLine(
        number=1,
        **{name: getattr(event, name) for name in event.__slots__},
    )
