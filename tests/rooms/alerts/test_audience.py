"""Who hears an alert, and who is asked when a channel fails (F121, F122)."""

from datetime import timedelta
from uuid import UUID

import pytest

from pregao.alerts.audience import Audience, next_channel
from pregao.domain.alert import AlertKind, AlertLevel, Mute
from tests.builders import NOON, alert, channel

ANA, BRUNO = UUID(int=1_001), UUID(int=1_002)


def mute(**changes) -> Mute:
    given = {
        "mute_id": UUID(int=9),
        "user_id": None,
        "kind": None,
        "level_max": AlertLevel.ERROR,
        "until": NOON + timedelta(hours=1),
        "reason": "",
        "muted_by": "ana",
    }
    return Mute(**{**given, **changes})


def audience(*channels, mutes=(), level=AlertLevel.WARNING) -> Audience:
    return Audience(channels=channels, mutes=mutes, level=level)


class TestHearing:
    def test_asks_every_channel_whose_level_is_reached(self):
        loud, quiet, worst = (
            channel(1),
            channel(2, level=AlertLevel.INFO),
            channel(3, level=AlertLevel.CRITICAL),
        )
        everybody = audience(loud, quiet, worst)

        def heard(level):
            return [one.channel_id for one in everybody.hearing(alert(level=AlertLevel(level)))]

        assert heard("INFO") == [2]
        assert heard("WARNING") == heard("ERROR") == [1, 2]
        assert heard("CRITICAL") == [1, 2, 3]

    def test_leaves_out_what_is_off_on_standby_or_somebody_elses(self):
        everybody = audience(
            channel(1, is_active=False), channel(2, is_standby=True), channel(3, user_id=ANA), channel(4)
        )

        assert [one.channel_id for one in everybody.hearing(alert())] == [4]
        assert [one.channel_id for one in everybody.hearing(alert(user_id=ANA))] == [3]
        assert everybody.hearing(alert(user_id=BRUNO)) == []


class TestIsWanted:
    def test_keeps_what_is_bad_even_where_nobody_is_reached(self):
        nobody = audience()

        assert nobody.is_wanted(AlertKind.POSITION_UNGUARDED, AlertLevel.CRITICAL, ANA)
        assert not nobody.is_wanted(AlertKind.POSITION_GUARDED, AlertLevel.INFO, None)

    def test_keeps_a_users_trades_only_where_he_hears_them(self):
        """A losing signal of a thousand accounts must not write a row for each of them."""
        trade = AlertKind.TRADE_EXECUTED, AlertLevel.WARNING

        assert audience().is_wanted(*trade, None)
        assert not audience().is_wanted(*trade, ANA)
        assert audience(channel(1, user_id=ANA)).is_wanted(*trade, ANA)
        assert not audience(channel(1, user_id=ANA, level=AlertLevel.ERROR)).is_wanted(*trade, ANA)


class TestIsMuted:
    @pytest.mark.parametrize(
        ("changes", "is_muted"),
        [
            ({}, True),
            ({"kind": AlertKind.SYSTEM_ERROR}, True),
            ({"kind": AlertKind.DRIFT_SEEN}, False),
            ({"level_max": AlertLevel.WARNING}, False),
            ({"until": NOON}, False),
            ({"user_id": ANA}, False),
        ],
    )
    def test_counts_whose_it_is_what_kind_how_bad_and_how_long(self, changes, is_muted):
        assert audience(mutes=[mute(**changes)]).is_muted(alert(), now=NOON) is is_muted


class TestNextChannel:
    def test_is_the_next_in_order_that_has_not_had_it(self):
        first, second, standby = channel(1), channel(2), channel(3, is_standby=True)
        channels = [first, second, standby, channel(4, user_id=ANA), channel(5, is_active=False)]

        assert next_channel(channels, had={1}, failed=first) == second
        assert next_channel(channels, had={1, 2}, failed=first) == standby
        assert next_channel(channels, had={3}, failed=standby) == first
        assert next_channel(channels, had={1, 2, 3}, failed=standby) is None
