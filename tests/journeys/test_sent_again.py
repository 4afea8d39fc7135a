"""A signal is sent again: to those it failed on, once; and on paper, where nothing real can hear of it."""

import asyncio

import httpx
import pytest

from pregao.edges.paper.serve import PaperSettings
from pregao.edges.postgres.journal import open_journal
from pregao.edges.postgres.rebuild import compare_with_journal
from tests.journeys.whole_desk import running_desk

BUY, CLOSE = '{"symbol": "LTCUSDT", "action": "buy"}', '{"symbol": "LTCUSDT", "action": "close"}'


@pytest.fixture
async def desk(database, tmp_path):
    paper = PaperSettings(still=True)
    async with running_desk(database, tmp_path, paper=paper, destinations_allowed=("192.0.2.1",)) as desk:
        yield desk


async def sent(desk, bot, body=BUY):
    """Post an alert, and give its complete receipt."""
    answer = await desk.post(bot, body)
    return await desk.receipt(answer.json()["signal_id"])


async def followed(desk, *names, **settings):
    """Give a bot and the subscriptions of so many paper accounts, by name."""
    bot = await desk.create_bot("Trend", default_leverage=5, **settings)
    made = {}
    for name in names:
        made[name] = await desk.subscribe(bot, await desk.open_account(name))
    return bot, made


async def set_status(desk, subscription, status):
    path = f"/api/v1/bot-subscriptions/{subscription['subscription_id']}"
    await desk.ask("PATCH", path, json={"status": status})


def outcomes(receipt):
    return {row["account"]: (row["leg"], row["outcome"], row["code"]) for row in receipt["rows"]}


async def refusal(desk, path, **body):
    answer = await desk.client.post(path, json=body)
    return answer.status_code, answer.json().get("error", {}).get("code")


class TestRetry:
    async def test_reaches_those_it_failed_on_once_however_often_it_is_pressed(self, desk, database):
        bot, of = await followed(desk, "ana", "bruno", "clara")
        await set_status(desk, of["bruno"], "paused")
        await set_status(desk, of["clara"], "paused")
        first = await sent(desk, bot)
        retry = f"/api/v1/signals/{first['signal_id']}/retry"

        await set_status(desk, of["bruno"], "active")
        preview = await desk.ask("GET", retry)
        pressed = await asyncio.gather(
            *(desk.client.post(retry, json={"reason": "it was paused"}) for _ in range(4))
        )
        told = [one.json() for one in pressed]
        again = await desk.receipt(told[0]["signal_id"])
        before = await desk.ask("GET", f"/api/v1/signals/{first['signal_id']}/receipt")
        listed = (await desk.ask("GET", "/api/v1/signals"))["items"]
        entries = (await desk.ask("GET", "/api/v1/fills"))["items"]
        journal = await open_journal(database)
        differences = (await compare_with_journal(journal)).differences
        await journal.pool.close()

        assert {one["account"]: (one["is_in"], one["chance"]) for one in preview["candidates"]} == {
            "ana": (False, "traded"),
            "bruno": (True, "recoverable"),
            "clara": (True, "recoverable"),
        }
        assert (preview["accounts"], preview["code"], preview["retried_as"]) == (2, None, None)
        assert [one.status_code for one in pressed] == [200] * 4
        assert len({one["signal_id"] for one in told}) == 1
        assert sorted((one["is_new"], one["accounts"]) for one in told if one["is_new"]) == [(True, 2)]
        assert outcomes(again) == {
            "bruno": ("entry", "filled", None),
            "clara": ("entry", "denied", "SUBSCRIPTION_PAUSED"),
        }
        assert (again["source"], again["again_of"]) == ("retry", first["signal_id"])
        assert before["repeats"] == [{"signal_id": again["signal_id"], "source": "retry"}]
        assert [one["again_of"] for one in listed] == [first["signal_id"], None]
        held = (await desk.ask("GET", "/api/v1/positions", params={"live_only": True}))["items"]
        assert sorted(one["account_id"] for one in held) == sorted(
            of[name]["account_id"] for name in ("ana", "bruno")
        )
        assert len({one["exchange_order_id"] for one in entries}) == 2
        assert differences == ()

        await set_status(desk, of["clara"], "active")
        same = await desk.ask("POST", retry)
        third = await desk.ask("POST", f"/api/v1/signals/{again['signal_id']}/retry")

        assert (same["signal_id"], same["is_new"]) == (again["signal_id"], False)
        assert outcomes(await desk.receipt(third["signal_id"])) == {"clara": ("entry", "filled", None)}
        assert await refusal(desk, f"/api/v1/signals/{third['signal_id']}/retry") == (409, "NOTHING_TO_RETRY")

    async def test_is_refused_while_something_is_on_its_way_and_when_the_bot_has_gone_the_other_way(
        self, desk
    ):
        bot, of = await followed(desk, "ana", "bruno")
        await set_status(desk, of["bruno"], "paused")
        first = await sent(desk, bot)
        retry = f"/api/v1/signals/{first['signal_id']}/retry"
        await set_status(desk, of["bruno"], "active")
        closed = await sent(desk, bot, CLOSE)

        preview = await desk.ask("GET", retry)
        assert (preview["code"], preview["accounts"]) == ("NEWER_SIGNAL", 1)
        assert await refusal(desk, retry) == (409, "NEWER_SIGNAL")
        assert await refusal(desk, f"/api/v1/signals/{closed['signal_id']}/retry") == (
            409,
            "NOTHING_TO_RETRY",
        )

        await desk.ask("PATCH", f"/api/v1/bots/{bot['bot_id']}", json={"approval": "manual"})
        waiting = (await desk.post(bot, BUY.replace("}", ', "alert_id": "asked"}'))).json()["signal_id"]
        assert await refusal(desk, f"/api/v1/signals/{waiting}/retry") == (409, "RECEIPT_UNFINISHED")
        refused = (await desk.post(bot, "buy low, sell high")).json()["error"]["details"]["signal_id"]
        assert await refusal(desk, f"/api/v1/signals/{refused}/retry") == (409, "SIGNAL_NOT_REPEATABLE")
        nobody = "00000000-0000-7000-8000-00000000dead"
        assert await refusal(desk, f"/api/v1/signals/{nobody}/retry") == (404, "SIGNAL_UNKNOWN")


class TestTimeline:
    async def test_tells_a_signal_from_its_bytes_to_the_exit_over_all_accounts(self, desk):
        bot, of = await followed(desk, "ana", "bruno", "clara")
        await set_status(desk, of["clara"], "paused")
        first = await sent(desk, bot)
        closed = await sent(desk, bot, CLOSE)

        told = await desk.ask("GET", f"/api/v1/signals/{first['signal_id']}/timeline")
        times = {one["stage"]: one["times"] for one in told["stages"]}
        close = await desk.ask("GET", f"/api/v1/signals/{closed['signal_id']}/timeline")

        both = (
            "planned",
            "sent",
            "acknowledged",
            "filled",
            "booked",
            "armed",
            "exit sent",
            "exit filled",
            "closed",
        )
        assert {stage: times.get(stage) for stage in both} == dict.fromkeys(both, 2)
        once = ("received", "read", "decided", "denied")
        assert {stage: times.get(stage) for stage in once} == dict.fromkeys(once, 1)
        assert all(one["first_at"] <= one["median_at"] <= one["last_at"] for one in told["stages"])
        assert {one["stage"]: one["times"] for one in close["stages"]} == {
            "received": 1, "read": 1, "decided": 1, "planned": 2, "denied": 1, "sent": 2, "acknowledged": 2, "filled": 2, "booked": 2,
        }  # fmt: skip


class TestReplay:
    async def test_trades_on_paper_alone_and_leaves_the_bot_where_it_was(self, desk, database):
        """The bot waits between two entries: one on paper is none of these, and no real account hears of it."""
        bot, of = await followed(desk, "paper", "other paper")
        destination = {"url": "http://192.0.2.1:9/nobody"}
        real = await desk.open_account("real", venue="webhook", destination=destination)
        first = await sent(desk, bot)
        await sent(desk, bot, CLOSE)
        await desk.subscribe(bot, real)
        replay = f"/api/v1/signals/{first['signal_id']}/replay"

        preview = await desk.ask("GET", replay)
        pressed = await asyncio.gather(*(desk.ask("POST", replay, json={"key": "once"}) for _ in range(3)))
        receipt = await desk.receipt(pressed[0]["signal_id"])
        chosen = {"account_id": of["other paper"]["account_id"]}
        one = await desk.receipt((await desk.ask("POST", replay, json=chosen))["signal_id"])
        nowhere = await refusal(desk, replay, account_id=real)
        again = await refusal(desk, f"/api/v1/signals/{one['signal_id']}/replay")
        retried = await refusal(desk, f"/api/v1/signals/{one['signal_id']}/retry")
        await desk.ask("PATCH", f"/api/v1/bots/{bot['bot_id']}", json={"cooldown_seconds": 3600})

        assert (preview["is_possible"], [line["account"] for line in preview["accounts"]]) == (
            True,
            ["paper", "other paper"],
        )
        assert len({line["signal_id"] for line in pressed}) == 1
        assert outcomes(receipt) == {
            "paper": ("entry", "filled", None),
            "other paper": ("entry", "filled", None),
        }
        assert (receipt["source"], receipt["again_of"]) == ("replay", first["signal_id"])
        assert outcomes(one) == {"other paper": ("entry", "denied", "SAME_SIDE_OPEN")}
        assert nowhere == (409, "PAPER_FOLLOWER_MISSING")
        assert (again, retried) == ((409, "SIGNAL_NOT_REPEATABLE"),) * 2
        journal = await open_journal(database)
        touched = await journal.pool.fetchval("SELECT count(*) FROM orders WHERE account_id = $1", real)
        counted = await journal.pool.fetchval("SELECT count(*) FROM signals WHERE source = 'replay'")
        assert (await compare_with_journal(journal)).differences == ()
        await journal.pool.close()
        assert (touched, counted) == (0, 2)


class TestWhoMay:
    async def test_send_a_signal_again_are_operators(self, desk):
        bot, _ = await followed(desk, "ana")
        signal_id = (await sent(desk, bot))["signal_id"]
        person = {
            "email": "vera@desk.test",
            "name": "Vera",
            "role": "viewer",
            "password": "correct horse battery",
        }
        await desk.ask("POST", "/api/v1/admin/users", json=person)
        login = {"email": person["email"], "password": person["password"]}
        token = (await desk.ask("POST", "/api/v1/auth/login", json=login))["token"]
        headers = {"Authorization": f"Bearer {token}"}

        async with httpx.AsyncClient(base_url=desk.client.base_url, headers=headers, timeout=20) as viewer:
            answers = [
                await viewer.request(method, f"/api/v1/signals/{signal_id}/{what}")
                for method in ("GET", "POST")
                for what in ("retry", "replay")
            ]

        assert {one.status_code for one in answers} == {403}
        assert len((await desk.ask("GET", "/api/v1/signals"))["items"]) == 1
