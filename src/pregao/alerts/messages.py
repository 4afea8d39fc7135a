"""Alerts become messages: one each, or where there are too many one that tells the rest."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from pregao.alerts.ports import Batch, Delivery, Message
from pregao.domain.alert import AlertLevel

TITLES_IN_SUMMARY = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One message, and the deliveries it carries."""

    message: Message
    deliveries: Sequence[Delivery]


def parcels(batch: Batch) -> list[Parcel]:
    """
    Give the messages of one channel's turn, within what it may still carry this minute.

    Failures come before successes, of one subject the earlier first. Where there are more alerts than messages left,
    half of these tell the worst, and one is a summary of all the rest: something is left for what comes next.
    """
    left = batch.messages_left
    waiting = in_order(batch.deliveries)
    if left <= 0 or not waiting:
        return []
    if len(waiting) <= left:
        return [_single(one) for one in waiting]
    singles, rest = waiting[: left // 2], waiting[left // 2 :]
    return [*(_single(one) for one in singles), Parcel(message=_summary(rest), deliveries=rest)]


def in_order(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """Give the subjects with the worst alert first, and each subject's alerts as they were raised."""
    worst: dict[str, int] = {}
    for one in deliveries:
        worst[one.alert.subject] = max(worst.get(one.alert.subject, 0), one.alert.level.rank)
    first = {one.alert.subject: one.alert.alert_id for one in sorted(deliveries, key=_age, reverse=True)}
    return sorted(
        deliveries, key=lambda one: (-worst[one.alert.subject], first[one.alert.subject], one.alert.alert_id)
    )


def _age(one: Delivery) -> UUID:
    return one.alert.alert_id


def _single(one: Delivery) -> Parcel:
    alert = one.alert
    text = alert.text
    if alert.repeats:
        text = f"{text} ({alert.repeats} more of the same since the last one.)"
    if one.is_escalation:
        text = f"{text} (Told here because another channel failed.)"
    message = Message(
        level=alert.level, title=alert.title, text=text, raised_at=one.raised_at, numbers=alert.numbers
    )
    return Parcel(message=message, deliveries=[one])


def _summary(deliveries: Sequence[Delivery]) -> Message:
    counts = Counter(one.alert.kind for one in deliveries)
    worst = max((one.alert.level for one in deliveries), key=lambda level: level.rank)
    titles = [f"{one.alert.level}: {one.alert.title}" for one in deliveries[:TITLES_IN_SUMMARY]]
    more = len(deliveries) - len(titles)
    lines = [*titles, *([f"and {more} more"] if more else [])]
    return Message(
        level=worst,
        title=f"{len(deliveries)} alerts at once",
        text="\n".join(lines),
        raised_at=max(one.raised_at for one in deliveries),
        numbers={kind.value: str(count) for kind, count in counts.most_common()},
    )


LEVEL_EMOJI = {
    AlertLevel.INFO: "\N{INFORMATION SOURCE}",
    AlertLevel.WARNING: "\N{WARNING SIGN}",
    AlertLevel.ERROR: "\N{CROSS MARK}",
    AlertLevel.CRITICAL: "\N{POLICE CARS REVOLVING LIGHT}",
}
