"""Alerts become messages: the worst first, and a summary instead of a flood (F122)."""

from uuid import UUID

from pregao.alerts.messages import in_order, parcels
from pregao.alerts.ports import Batch, Delivery
from pregao.domain.alert import AlertKind, AlertLevel
from tests.builders import NOON, alert, channel


def delivery(number: int, level: str = "ERROR", *, subject: str = "", is_escalation: bool = False, **changes):
    one = alert(number, level=AlertLevel(level), subject=subject or f"subject {number}", **changes)
    return Delivery(alert=one, raised_at=NOON, attempts=0, is_escalation=is_escalation)


def batch(deliveries, *, messages_left: int = 20) -> Batch:
    return Batch(channel=channel(), deliveries=deliveries, messages_left=messages_left)


def numbers(deliveries) -> list[int]:
    return [one.alert.alert_id.int for one in deliveries]


class TestInOrder:
    def test_tells_failures_before_successes(self):
        waiting = [
            delivery(1, "INFO"),
            delivery(2, "WARNING"),
            delivery(3, "CRITICAL"),
            delivery(4, "CRITICAL"),
        ]

        assert numbers(in_order(waiting)) == [3, 4, 2, 1]

    def test_tells_the_earlier_of_one_subject_first(self):
        """ "Resumed" before "halted" would be the wrong way round."""
        waiting = [
            delivery(3, "CRITICAL", subject="desk"), delivery(2, "ERROR"), delivery(1, "INFO", subject="desk"),
        ]  # fmt: skip

        assert numbers(in_order(waiting)) == [1, 3, 2]


class TestParcels:
    def test_are_one_each_while_there_is_room(self):
        told = parcels(batch([delivery(1), delivery(2)], messages_left=2))

        assert [parcel.message.title for parcel in told] == ["alert 1", "alert 2"]

    def test_become_a_summary_beyond_it_and_leave_room_for_what_comes_next(self):
        waiting = [delivery(number, "INFO", kind=AlertKind.TRADE_EXECUTED) for number in range(1, 100)]
        worst = delivery(100, "CRITICAL")

        told = parcels(batch([*waiting, worst], messages_left=4))

        assert [len(parcel.deliveries) for parcel in told] == [1, 1, 98]
        assert told[0].deliveries == [worst]
        summary = told[-1].message
        assert (summary.title, summary.level) == ("98 alerts at once", AlertLevel.INFO)
        assert summary.numbers == {"trade_executed": "98"}
        assert "and 88 more" in summary.text

    def test_are_a_summary_with_the_worst_level_when_one_message_is_left(self):
        [told] = parcels(batch([delivery(1, "INFO"), delivery(2, "CRITICAL")], messages_left=1))

        assert told.message.level is AlertLevel.CRITICAL
        assert {one.alert.alert_id for one in told.deliveries} == {UUID(int=1), UUID(int=2)}

    def test_wait_when_none_is_left(self):
        assert parcels(batch([delivery(1)], messages_left=0)) == []

    def test_say_what_was_kept_back_and_why_it_is_told_here(self):
        [told] = parcels(batch([delivery(1, repeats=3, is_escalation=True)]))

        assert "3 more of the same" in told.message.text
        assert "another channel failed" in told.message.text
