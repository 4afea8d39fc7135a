"""Subscriptions over HTTP (F041)."""

import asyncio
from uuid import UUID

import pytest

from pregao.domain.account import Venue
from pregao.domain.facts import AccountConfigured, BotConfigured, PositionChanged, SignalAccepted
from tests.builders import BOT_ID, NOON, account, bot, closed, held
from tests.edges.http.api.own_desk import ACCOUNTS, BOTS, NO_RISK, STANDARD_GUARD, SUBSCRIPTIONS, code_of
from tests.edges.http.api.test_receipts import approved, planned

TRAILING = {
    "trailing": "hand_span",
    "break_even_after_target": True,
    "targets": [{"percent": "3", "share": "0.5"}, {"percent": 6, "share": 0.5}],
}


@pytest.fixture
async def joined(desk):
    """A bot, and a function that subscribes an account to it."""
    made = await desk.make_bot(default_leverage=7)

    async def join(account_id: int, **settings):
        body = {"bot_id": made["bot_id"], "account_id": account_id, **settings}
        return await desk.client.post(SUBSCRIPTIONS, json=body)

    return made, join


class TestSubscribe:
    async def test_takes_the_bots_default_where_nothing_is_set(self, desk, joined):
        """F041: null is not set."""
        _, join = joined
        account_id = (await desk.make_account())["account_id"]

        answer = await join(account_id, custom_margin_usd="20", custom_leverage=None)

        assert answer.status_code == 201
        shown = answer.json()
        assert (shown["custom_leverage"], shown["custom_margin_usd"]) == (None, "20")
        assert shown["effective"] == {
            "leverage": 7,
            "margin_usd": "20",
            "stop_loss_pct": "2.5",
            "take_profit_pct": "5",
            "same_side": "ignore",
            "opposite_side": "reverse",
            "guard": STANDARD_GUARD,
            "risk": NO_RISK,
        }
        assert (shown["max_daily_loss_usd"], shown["max_concurrent_positions"]) == ("200", 3)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("custom_leverage", 0),
            ("custom_margin_usd", 0),
            ("custom_stop_loss_pct", "0.05"),
            ("custom_take_profit_pct", "101"),
            ("max_daily_loss_usd", "9.99"),
            ("max_concurrent_positions", 0),
            ("max_concurrent_positions", 11),
        ],
    )
    async def test_refuses_what_is_out_of_range(self, desk, joined, field, value):
        """F041; 0 is a value and not "unset"."""
        _, join = joined
        account_id = (await desk.make_account())["account_id"]

        answer = await join(account_id, **{field: value})

        assert (answer.status_code, code_of(answer)) == (422, "SETTING_OUT_OF_RANGE")
        assert answer.json()["error"]["details"]["field"] == field

    async def test_takes_zero_for_no_stop_at_all(self, desk, joined):
        """F046: 0 is a value, and the bot's default does not count then."""
        _, join = joined
        account_id = (await desk.make_account())["account_id"]

        shown = (await join(account_id, custom_stop_loss_pct=0, custom_take_profit_pct="0")).json()

        assert (shown["effective"]["stop_loss_pct"], shown["effective"]["take_profit_pct"]) == ("0", "0")

    async def test_takes_rules_of_its_own(self, desk, joined):
        _, join = joined
        account_id = (await desk.make_account())["account_id"]

        shown = (
            await join(
                account_id,
                custom_same_side="add",
                custom_opposite_side="close",
                symbols=[{"symbol": "btc-usdt", "leverage": 3, "max_positions": 0}],
            )
        ).json()

        assert (shown["effective"]["same_side"], shown["effective"]["opposite_side"]) == ("add", "close")
        assert shown["symbols"] == [
            {
                "symbol": "BTCUSDT",
                "is_active": True,
                "leverage": 3,
                "margin_usd": None,
                "stop_loss_pct": None,
                "take_profit_pct": None,
                "max_positions": 0,
                "max_daily_loss_usd": None,
                "use_bot_default": False,
            }
        ]
        assert shown["effective_by_symbol"]["BTCUSDT"]["leverage"] == 3
        assert shown["config_group_id"] is None

    async def test_guards_its_positions_by_the_range(self, joined, desk):
        """X-6: what of the stop is not said is the standard."""
        _, join = joined
        asked = {"stop": {"timeframe": "1h"}, "targets": [{"risk_multiple": 2, "share": 1}]}

        answer = await join((await desk.make_account())["account_id"], custom_guard=asked)

        guard = answer.json()["custom_guard"]
        assert guard["stop"] == {"method": "atr", "period": 14, "multiple": "2", "timeframe": "1h"}
        assert guard["targets"] == [{"percent": None, "risk_multiple": "2", "share": "1"}]

    @pytest.mark.parametrize(
        ("guard", "code"),
        [
            ({"stop": {"period": 1}}, "SETTING_OUT_OF_RANGE"),
            ({"stop": {"multiple": 0}}, "SETTING_OUT_OF_RANGE"),
            ({"targets": [{"share": 1}]}, "TARGETS_UNUSABLE"),
            ({"targets": [{"percent": 3, "risk_multiple": 2, "share": 1}]}, "TARGETS_UNUSABLE"),
            (
                {"targets": [{"percent": 3, "share": 0.5}, {"risk_multiple": 4, "share": 0.5}]},
                "TARGETS_UNUSABLE",
            ),
            (
                {"targets": [{"risk_multiple": 4, "share": 0.5}, {"risk_multiple": 2, "share": 0.5}]},
                "TARGETS_UNUSABLE",
            ),
        ],
    )
    async def test_refuses_a_guard_that_nothing_could_stand_by(self, joined, desk, guard, code):
        _, join = joined

        answer = await join((await desk.make_account())["account_id"], custom_guard=guard)

        assert (answer.status_code, code_of(answer)) == (422, code)

    @pytest.mark.parametrize("stop", [{"method": "percent"}, {"timeframe": "7m"}, {"atr": 2}])
    async def test_refuses_a_stop_that_nobody_could_read(self, joined, desk, stop):
        _, join = joined

        answer = await join((await desk.make_account())["account_id"], custom_guard={"stop": stop})

        assert answer.status_code == 422

    async def test_guards_its_positions_its_own_way_or_the_bots(self, desk, joined):
        made, join = joined
        await desk.client.patch(f"{BOTS}/{made['bot_id']}", json={"guard": {"trailing": "percent"}})
        account_id = (await desk.make_account())["account_id"]

        own = (await join(account_id, custom_guard=TRAILING)).json()
        where = f"{SUBSCRIPTIONS}/{own['subscription_id']}"
        back = (await desk.client.patch(where, json={"custom_guard": None})).json()

        targets = [{"percent": one, "risk_multiple": None, "share": "0.5"} for one in ("3", "6")]
        wanted = {**STANDARD_GUARD, **TRAILING, "targets": targets}
        assert own["custom_guard"] == own["effective"]["guard"] == wanted
        assert back["custom_guard"] is None
        assert back["effective"]["guard"] == {**STANDARD_GUARD, "trailing": "percent"}

    @pytest.mark.parametrize(
        ("guard", "code"),
        [
            ({"trailing_percent": 0}, "SETTING_OUT_OF_RANGE"),
            ({"targets": [{"percent": 3, "share": 0.6}, {"percent": 6, "share": 0.6}]}, "TARGETS_UNUSABLE"),
            ({"targets": [{"percent": 6, "share": 0.5}, {"percent": 3, "share": 0.5}]}, "TARGETS_UNUSABLE"),
        ],
    )
    async def test_refuses_a_guard_that_nothing_can_do(self, desk, joined, guard, code):
        _, join = joined
        account_id = (await desk.make_account())["account_id"]

        answer = await join(account_id, custom_guard=guard)

        assert (answer.status_code, code_of(answer)) == (422, code)

    async def test_refuses_a_second_one_of_the_same_account(self, desk, joined):
        _, join = joined
        account_id = (await desk.make_account())["account_id"]

        answers = await asyncio.gather(*(join(account_id) for _ in range(3)))

        assert sorted(answer.status_code for answer in answers) == [201, 409, 409]

    async def test_brings_a_canceled_one_back_with_new_settings(self, desk, joined):
        _, join = joined
        account_id = (await desk.make_account())["account_id"]
        former = (await join(account_id, custom_leverage=3)).json()
        await desk.client.delete(f"{SUBSCRIPTIONS}/{former['subscription_id']}")

        again = (await join(account_id)).json()

        assert again["subscription_id"] == former["subscription_id"]
        assert (again["status"], again["custom_leverage"]) == ("active", None)

    async def test_tells_what_is_not_there(self, desk, joined):
        _, join = joined
        nobody = {"bot_id": "0" * 32, "account_id": 1}

        codes = [code_of(await join(99)), code_of(await desk.client.post(SUBSCRIPTIONS, json=nobody))]

        assert codes == ["ACCOUNT_UNKNOWN", "BOT_UNKNOWN"]

    async def test_refuses_an_inactive_account_and_an_archived_bot(self, desk, joined):
        made, join = joined
        idle, main = await desk.make_account("idle"), await desk.make_account()
        await desk.client.delete(f"{ACCOUNTS}/{idle['account_id']}")

        to_idle = await join(idle["account_id"])
        await desk.client.delete(f"{BOTS}/{made['bot_id']}")
        to_archived = await join(main["account_id"])

        assert [code_of(to_idle), code_of(to_archived)] == ["ACCOUNT_INACTIVE", "BOT_ARCHIVED"]

    async def test_keeps_real_accounts_from_a_bot_that_is_open_to_all(self, desk):
        await desk.append(
            BotConfigured(happened_at=desk.now, bot=bot(is_open=True)),
            AccountConfigured(happened_at=desk.now, account=account(7, venue=Venue.BINANCE_DEMO)),
        )

        answer = await desk.client.post(SUBSCRIPTIONS, json={"bot_id": str(BOT_ID), "account_id": 7})

        assert (answer.status_code, code_of(answer)) == (409, "BOT_OPEN_TO_ALL")

    async def test_takes_the_name_the_source_system_gave_an_account(self, desk, joined):
        made, _ = joined
        account_id = (await desk.make_account())["account_id"]

        shown = await desk.made(SUBSCRIPTIONS, bot_id=made["bot_id"], exchange_account_id=account_id)

        assert shown["account_id"] == account_id


class TestSubscribeSeveral:
    async def test_gives_each_account_its_own_settings(self, desk, joined):
        made, _ = joined
        ids = [(await desk.make_account(name))["account_id"] for name in ("ana", "bruno")]

        body = await desk.made(
            f"{SUBSCRIPTIONS}/multi",
            bot_id=made["bot_id"],
            account_ids=ids,
            use_same_config=False,
            individual_configs=[{"account_id": one, "custom_leverage": one + 1} for one in ids],
        )

        assert [one["custom_leverage"] for one in body["subscriptions"]] == [one + 1 for one in ids]
        assert len({one["config_group_id"] for one in body["subscriptions"]}) == 1
        assert body["subscriptions"][0]["config_group_id"] is not None

    async def test_subscribes_all_or_none(self, desk, joined):
        made, _ = joined
        account_id = (await desk.make_account())["account_id"]
        wanted = {"bot_id": made["bot_id"], "account_ids": [account_id, 999]}

        answer = await desk.client.post(f"{SUBSCRIPTIONS}/multi", json=wanted)
        listed = await desk.client.get(f"{SUBSCRIPTIONS}/my-subscriptions")

        assert code_of(answer) == "ACCOUNT_UNKNOWN"
        assert listed.json()["items"] == []

    @pytest.mark.parametrize("account_ids", [[], [1, 2, 3, 4], [1, 1]])
    async def test_takes_one_to_three_different_accounts(self, desk, joined, account_ids):
        made, _ = joined
        for name in ("ana", "bruno", "clara", "davi"):
            await desk.make_account(name)

        answer = await desk.client.post(
            f"{SUBSCRIPTIONS}/multi", json={"bot_id": made["bot_id"], "account_ids": account_ids}
        )

        assert answer.status_code == 422

    async def test_asks_for_the_settings_of_every_account(self, desk, joined):
        made, _ = joined
        body = {"bot_id": made["bot_id"], "account_ids": [1], "use_same_config": False}

        answer = await desk.client.post(f"{SUBSCRIPTIONS}/multi", json=body)

        assert (answer.status_code, code_of(answer)) == (422, "CONFIGS_INCOMPLETE")


class TestChangeSubscription:
    async def test_pauses_changes_and_unsets(self, desk, joined):
        """F041: pause honoured, null unsets."""
        _, join = joined
        made = (await join((await desk.make_account())["account_id"], custom_leverage=3)).json()

        answer = await desk.client.patch(
            f"{SUBSCRIPTIONS}/{made['subscription_id']}", json={"status": "paused", "custom_leverage": None}
        )

        assert (answer.json()["status"], answer.json()["effective"]["leverage"]) == ("paused", 7)

    async def test_changes_and_unsets_its_rules(self, desk, joined):
        _, join = joined
        row = {"symbol": "BTCUSDT", "leverage": 3}
        made = (
            await join((await desk.make_account())["account_id"], custom_same_side="add", symbols=[row])
        ).json()
        changes = {"custom_same_side": None, "symbols": [{"symbol": "ETHUSDT", "is_active": False}]}

        shown = (await desk.client.patch(f"{SUBSCRIPTIONS}/{made['subscription_id']}", json=changes)).json()

        assert (shown["custom_same_side"], shown["effective"]["same_side"]) == (None, "ignore")
        assert shown["effective_by_symbol"].keys() == {"ETHUSDT"}
        assert not shown["effective_by_symbol"]["ETHUSDT"]["is_active"]

    async def test_leaves_a_canceled_one_alone(self, desk, joined):
        """F041: cancel honoured."""
        _, join = joined
        made = (await join((await desk.make_account())["account_id"])).json()
        path = f"{SUBSCRIPTIONS}/{made['subscription_id']}"
        canceled = await desk.client.delete(path)

        answer = await desk.client.patch(path, json={"status": "active"})

        assert canceled.json()["status"] == "canceled"
        assert (answer.status_code, code_of(answer)) == (409, "SUBSCRIPTION_CANCELED")

    async def test_has_its_own_positions_closed_where_that_is_asked(self, desk):
        await desk.append(*approved(accounts=3, orders=2), planned(1), planned(2))
        paths = [f"{SUBSCRIPTIONS}/{UUID(int=number)}" for number in (2, 3)]

        answer, empty = [await desk.client.delete(path, params={"open_positions": "close"}) for path in paths]

        accepted = [fact for fact in await desk.journaled() if isinstance(fact, SignalAccepted)][-1]
        assert answer.json()["close_signal_id"] == str(accepted.signal_id)
        assert accepted.instruction.subscription_id == UUID(int=2)
        assert empty.json()["close_signal_id"] is None

    async def test_shows_one_with_its_executions(self, desk, joined):
        _, join = joined
        made = (await join((await desk.make_account())["account_id"])).json()

        shown = await desk.client.get(f"{SUBSCRIPTIONS}/{made['subscription_id']}")

        assert shown.json()["recent_executions"] == []
        assert shown.json()["bot_name"] == "EMA cross"

    async def test_lists_the_bots_that_can_be_followed(self, desk, joined):
        made, _ = joined
        paused = await desk.make_bot("paused one")
        await desk.client.patch(f"{BOTS}/{paused['bot_id']}", json={"status": "paused"})

        listed = await desk.client.get(f"{SUBSCRIPTIONS}/available-bots")

        assert [one["bot_id"] for one in listed.json()["items"]] == [made["bot_id"]]


async def holding(desk, *positions) -> str:
    """Have the account 1 hold, one after the other, what is given; give its subscription's path."""
    await desk.append(*approved(accounts=1, orders=len(positions)))
    for one in positions:
        number = one.position_id
        entry = planned(1, order_id=f"p{number}", client_order_id=f"p{number}1", position_id=number)
        await desk.append(entry, PositionChanged(happened_at=NOON, position=one))
    return f"{SUBSCRIPTIONS}/{UUID(int=1)}"


class TestUsed:
    async def test_counts_what_is_live_and_what_the_day_has_lost_as_limits_do(self, desk):
        lost, won = (closed(held(position_id=number), pnl=pnl) for number, pnl in ((2, "-7.5"), (3, "40")))
        path = await holding(desk, lost, won, held(position_id=4))

        shown = (await desk.client.get(path)).json()
        desk.later(days=1)
        tomorrow = (await desk.client.get(path)).json()

        assert (shown["live_positions"], shown["loss_today_usd"]) == (1, "7.5")
        assert (tomorrow["live_positions"], tomorrow["loss_today_usd"]) == (1, "0")


class TestStopOut:
    async def test_pauses_and_closes_what_is_held_now(self, desk):
        path = await holding(desk, held(position_id=4))

        kept = (await desk.client.patch(path, json={"max_concurrent_positions": 2})).json()
        out = (await desk.client.patch(f"{path}?open_positions=close", json={"status": "paused"})).json()

        asked = [one for one in await desk.journaled() if isinstance(one, SignalAccepted)]
        assert (kept["close_signal_id"], out["status"]) == (None, "paused")
        assert str(asked[-1].signal_id) == out["close_signal_id"]
        assert asked[-1].instruction.subscription_id == UUID(int=1)
