"""Which fact makes which message: complete, for the right people, and with nothing in it that is secret."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import get_type_hints
from uuid import UUID

import pytest

from pregao.domain import facts
from pregao.domain.account import Venue
from pregao.domain.forward import Destination
from pregao.domain.order import Leg, OrderStatus, Side
from pregao.domain.user import Role
from pregao.edges.http.live import notifications, updates
from pregao.edges.http.live.events import EVENTS, NOT_TOLD, EventsView, Eyes, Seen, Topic
from pregao.edges.http.live.updates import ANSWERED, FROM_FACTS, FROM_FIGURES, UpdatesView, metrics_of
from pregao.views.live import OrderIs, SignalIs
from tests.builders import (
    BOT_ID,
    NOON,
    account,
    arrival,
    booked,
    bot,
    held,
    instruction,
    user,
)
from tests.edges.http.live.happenings import LATER, LOOK, told

ANA, BOB = UUID(int=1), UUID(int=2)
ADMIN, OPERATOR = Eyes(Role.ADMIN, None), Eyes(Role.OPERATOR, UUID(int=3))
ALL = frozenset(Topic)
SIGNAL_ID = UUID(int=9)

# Spec A3.2.
OF_SYSTEM_A = [
    "metrics_update",
    "metrics_reset",
    "status_update",
    "sell_all_list_update",
    "order_status_change",
    "top_n_tickers_update",
    "finviz_update_ok",
    "finviz_update_failed",
    "finviz_status_update",
    "finviz_strategy_changed",
    "overview_update",
    "system_info_update",
    "queue_status_update",
    "webhook_config_update",
    "webhook_rate_limiter_update",
    "ticker_list_update",
    "auth_status_update",
    "new_audit_entry",
    "audit_trail_update",
    "audit_update",
    "audit_log_data",
    "admin_action_logged",
    "database_cleared",
]

ORDER = OrderIs(
    order_id="o1",
    signal_id=SIGNAL_ID,
    bot_id=BOT_ID,
    subscription_id=UUID(int=5),
    account_id=1,
    position_id=1,
    leg=Leg.ENTRY,
    symbol="BTCUSDT",
    side=Side.BUY,
)
SIGNAL = SignalIs(signal_id=SIGNAL_ID, bot_id=BOT_ID, is_desks_own=False, symbol="BTCUSDT", signal_type="buy")


def events(eyes, *facts_told, topics=ALL):
    """Give what the events say, by name."""
    written = b"".join(EventsView(eyes, topics).told(facts_told)).decode()
    blocks = [
        dict(line.split(": ", 1) for line in block.splitlines()) for block in written.split("\n\n")[:-1]
    ]
    return [(block["event"], json.loads(block["data"])) for block in blocks]


def messages(view, *facts_told):
    return [(one["type"], one["data"]) for one in map(json.loads, view.told(facts_told))]


class TestTheTable:
    def test_has_every_fact_or_says_that_it_is_not_told(self):
        untold = {kind for kind in facts.FACTS.values() if kind not in EVENTS}

        assert untold >= NOT_TOLD
        assert not {kind.__name__ for kind in NOT_TOLD} & {kind.__name__ for kind in EVENTS}

    @pytest.mark.parametrize("eyes", [Eyes(Role.VIEWER, ANA), Eyes(Role.TRADER, ANA)])
    def test_shows_people_their_own_only(self, eyes):
        changed = facts.PositionChanged(happened_at=NOON, position=held())
        accepted = facts.SignalAccepted(
            happened_at=NOON, signal_id=SIGNAL_ID, bot_id=BOT_ID, instruction=instruction()
        )
        planned = facts.SignalPlanned(
            happened_at=NOON, signal_id=SIGNAL_ID, bot_id=BOT_ID, accounts=2, orders=2
        )

        seen = events(
            eyes,
            told(changed, owner=ANA),
            told(changed, owner=BOB),
            told(changed),  # the desk's own
            told(accepted, followers=frozenset({ANA, BOB})),
            told(accepted, followers=frozenset({BOB})),
            told(accepted),  # the desk asked for it
            told(planned, followers=frozenset({ANA})),
        )

        assert [name for name, _ in seen] == ["position", "signal"]

    def test_shows_the_audit_log_and_users_to_admins_only(self):
        configured = facts.UserConfigured(happened_at=NOON, user=user())

        assert events(OPERATOR, told(configured)) == []
        assert [name for name, _ in events(ADMIN, told(configured))] == ["user"]

    def test_tells_only_the_topics_that_were_asked_for(self):
        fill = booked()
        changed = facts.PositionChanged(happened_at=NOON, position=held())

        asked = frozenset({Topic.ORDERS})
        assert [name for name, _ in events(ADMIN, told(fill), told(changed), topics=asked)] == ["fill"]

    def test_never_tells_a_secret_nor_the_hash_of_one(self):
        secretive = bot(secret_sha256="f" * 64)
        received = [one for one in arrival(instruction()) if isinstance(one, facts.SignalReceived)]

        seen = events(
            ADMIN,
            told(facts.BotConfigured(happened_at=NOON, bot=secretive)),
            *(told(one) for one in received),
        )

        assert [name for name, _ in seen] == ["bot", "signal"]
        assert "f" * 64 not in json.dumps(seen)
        assert not {"body", "secret_sha256"} & {key for _, data in seen for key in data}

    def test_tells_an_order_with_what_it_is(self):
        ended = facts.OrderEnded(
            happened_at=NOON,
            order_id="o1",
            signal_id=SIGNAL_ID,
            position_id=1,
            status=OrderStatus.EXPIRED,
            ended_at=NOON,
        )

        [(name, data)] = events(ADMIN, told(ended, order=ORDER, owner=ANA))

        assert (name, data["status"], data["symbol"], data["account_id"]) == (
            "order",
            "expired",
            "BTCUSDT",
            1,
        )

    @pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
    def test_every_line_names_what_its_fact_has(self, kind):
        for path in EVENTS[kind].paths:
            holder = kind
            for word in path.split("."):
                hints = get_type_hints(holder)
                assert word in hints or isinstance(vars(holder)[word], property), path
                holder = hints.get(word)

    def test_who_is_seen_by_is_one_of_the_four(self):
        assert {event.seen for event in EVENTS.values()} == set(Seen)


class TestHealth:
    def test_is_told_to_everybody_and_counted_for_staff(self):
        [word] = EventsView(Eyes(Role.VIEWER, ANA), ALL).looked(LOOK, before=None)
        assert word == b'event: health\ndata: {"status":"healthy"}\n\n'
        alone = replace(LOOK, figures=replace(LOOK.figures, workers={"trader": 1}))
        [word] = EventsView(OPERATOR, ALL).looked(alone, before=None)
        data = json.loads(word.splitlines()[1].removeprefix(b"data: "))
        assert (data["status"], data["positions_open"]) == ("degraded", 1)
        assert EventsView(OPERATOR, frozenset({Topic.ORDERS})).looked(LOOK, before=None) == ()


class TestAdminUpdates:
    def test_f022_every_type_of_system_a_has_its_source(self):
        made = {kind for makers in FROM_FACTS.values() for kind, _ in makers} | {"audit_update"}
        sources = made | set(FROM_FIGURES) | set(ANSWERED)

        assert sources == set(OF_SYSTEM_A)

    def test_tells_orders_in_system_as_words(self):
        view = UpdatesView(ADMIN, "1", lambda: NOON)
        changed = facts.PositionChanged(happened_at=NOON, position=held(position_id=7))

        [(kind, data)] = messages(view, told(changed))

        assert (kind, data["position_id"], data["new_status"]) == ("order_status_change", 7, "open")

    def test_tells_the_audit_trail_and_that_it_has_grown(self):
        view = UpdatesView(ADMIN, "1", lambda: NOON)
        posted = facts.OrderAccepted(
            happened_at=NOON,
            order_id="o1",
            attempt=1,
            exchange_order_id="x",
            sent_at=NOON,
            acknowledged_at=NOON,
        )
        failed = facts.OrderRejected(
            happened_at=NOON, order_id="o1", attempt=1, signal_id=SIGNAL_ID, position_id=1, code="FORWARD_TIMEOUT",
            reason="no answer",
        )  # fmt: skip
        about = {"signal": SIGNAL, "order": ORDER, "worker": "trader-1", "http_status": 204}

        seen = messages(
            view,
            told(posted, venue=Venue.WEBHOOK, **about),
            told(failed, venue=Venue.WEBHOOK, **about),
            told(posted, venue=Venue.PAPER, **about),
        )

        assert [kind for kind, _ in seen] == ["new_audit_entry", "new_audit_entry", "audit_update"]
        entry = seen[0][1]
        assert (entry["event_type"], entry["location"], entry["ticker"], entry["http_status"]) == (
            "forwarded_success", "completed", "BTCUSDT", 204,
        )  # fmt: skip
        assert (entry["worker_id"], seen[1][1]["event_type"]) == ("trader-1", "forwarded_timeout")
        assert seen[2][1]["count"] == 2

    def test_tells_that_the_metrics_were_reset(self):
        reset = facts.MetricsReset(happened_at=NOON, counted={"signals_received": 8}, set_by="ana")

        [(kind, data)] = messages(UpdatesView(ADMIN, "1", lambda: NOON), told(reset))

        assert (kind, data["reset_by"], data["counted"]) == ("metrics_reset", "ana", {"signals_received": 8})

    def test_tells_where_signals_are_forwarded_to_and_not_the_whole_address(self):
        view = UpdatesView(ADMIN, "1", lambda: NOON)
        there = Destination(host="hooks.example", timeout_seconds=7)
        changed = account(venue=Venue.WEBHOOK, destination=there)

        [(kind, data)] = messages(view, told(facts.AccountConfigured(happened_at=NOON, account=changed)))

        assert (kind, data["host"], data["timeout"]) == ("webhook_config_update", "hooks.example", 7)
        assert messages(view, told(facts.AccountConfigured(happened_at=NOON, account=account()))) == []

    def test_tells_actions_to_admins_only(self):
        action = facts.ActionTaken(
            happened_at=NOON, action_id=SIGNAL_ID, user_id=None, principal="admin token", source_address="192.0.2.1",
            user_agent="", method="POST", path="/api/v1/bots", action="post_bot", targets={}, status=201,
            error_code=None, duration_ms=3,
        )  # fmt: skip

        assert messages(UpdatesView(OPERATOR, "1", lambda: NOON), told(action)) == []
        [(kind, _)] = messages(UpdatesView(ADMIN, "1", lambda: NOON), told(action))
        assert kind == "admin_action_logged"

    def test_counts_rates_and_repeats_only_what_changed(self):
        view = UpdatesView(ADMIN, "1", lambda: NOON)
        assert metrics_of(LOOK) | {"approval_rate": 75.0, "forward_success_rate": 75.0} == metrics_of(LOOK)
        kinds = [json.loads(one)["type"] for one in view.looked(LOOK, before=None)]
        assert set(kinds) == set(FROM_FIGURES) - {"finviz_update_ok", "finviz_update_failed"}

        failing = replace(LOOK, screener=replace(LOOK.screener, failed_at=LATER, failures=1, code="AWAY"))
        kinds = [json.loads(one)["type"] for one in view.looked(failing, before=LOOK)]
        assert kinds == ["metrics_update", "status_update", "finviz_status_update", "finviz_update_failed"]
        good = replace(LOOK, screener=replace(LOOK.screener, good_at=LATER))
        assert "finviz_update_ok" in [json.loads(one)["type"] for one in view.looked(good, before=LOOK)]
        empty = replace(LOOK, figures=replace(LOOK.figures, metrics={}))
        assert metrics_of(empty) == {"approval_rate": 0.0, "forward_success_rate": 0.0}


class TestNotifications:
    def test_tells_a_fill_as_order_balance_and_execution(self):
        view = notifications.OwnView(ANA, notifications.CHANNELS)
        fill = booked(order_id="o1")

        seen = messages(view, told(fill, order=ORDER, owner=ANA), told(fill, order=ORDER, owner=BOB))

        assert [kind for kind, _ in seen] == ["order_update", "balance_update", "bot_execution"]
        assert Decimal(seen[1][1]["change"]) == fill.trade.realized_pnl - fill.fee
        assert (seen[0][1]["status"], seen[2][1]["status"]) == ("filled", "success")

    def test_of_chosen_channels_only(self):
        view = notifications.OwnView(ANA, frozenset({"balances"}))

        seen = messages(view, told(booked(order_id="o1"), order=ORDER, owner=ANA))

        assert [kind for kind, _ in seen] == ["balance_update"]

    def test_every_fact_it_tells_is_in_the_table(self):
        assert set(notifications.FROM_FACTS) <= set(EVENTS)
        assert set(updates.FROM_FACTS) <= set(EVENTS)
