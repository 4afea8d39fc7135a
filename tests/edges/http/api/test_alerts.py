"""F107, F121 to F124 over HTTP: channels with sealed addresses, tests with real results, history, mutes, whose is whose."""

import asyncio
import contextlib
from datetime import timedelta
from uuid import UUID

import pytest

from pregao.alerts.channels import ChannelRules
from pregao.alerts.deliver import Delivering
from pregao.alerts.tell import Telling
from pregao.domain.alert import AlertLevel, ChannelKind
from pregao.domain.facts import AccountConfigured, AlertRaised
from pregao.edges.ids import uuid7
from pregao.edges.notifications.calls import open_client
from pregao.edges.notifications.discord import Discord
from pregao.edges.notifications.telegram import Telegram
from pregao.edges.postgres.alert_work import PostgresOutbox, PostgresTelling
from pregao.edges.postgres.workers import Workers
from tests.builders import NOON, account, alert, unguarded
from tests.edges.http.api.own_desk import code_of, own_desk
from tests.edges.notifications.scripted_channels import BOT_TOKEN, CHAT, scripted_service

ALERTS, CHANNELS, MUTES = "/api/v1/alerts", "/api/v1/alert-channels", "/api/v1/alert-mutes"
CONFIG, TEST, HISTORY = "/api/alerts/config", "/api/alerts/test", "/api/alerts/history"
SECRETS = ("a-token-nobody-may-see",)


@pytest.fixture
async def service():
    async with scripted_service() as service:
        yield service


@pytest.fixture
async def desk(database, service):
    """A desk whose Discord is the test's own."""
    rules = ChannelRules(discord_hosts=(service.host,), has_mail=True)
    async with own_desk(database, channel_rules=rules, alert_test_seconds_max=20.0) as desk:
        yield desk


@contextlib.asynccontextmanager
async def delivering(desk, service):
    """The process that carries messages."""
    lease = await Workers(desk.journal.pool).enter(worker_id="jobs-1", role="jobs")
    async with open_client() as client:
        loop = Delivering(
            PostgresOutbox(desk.journal, lease, vault=desk.ports.vault),
            {
                ChannelKind.DISCORD: Discord(client),
                ChannelKind.TELEGRAM: Telegram(client, api=service.address),
            },
            new_id=uuid7,
            clock=lambda: desk.now,
            warn=lambda *_args, **_keys: None,
        )

        async def run():
            while True:
                await loop.follow()

        task = asyncio.create_task(run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def tell(desk):
    """Let the loop read the journal to its end."""
    lease = await Workers(desk.journal.pool).enter(worker_id="jobs-1", role="jobs")
    work = PostgresTelling(desk.journal, lease, level=AlertLevel.WARNING)
    assert await work.hold()
    telling = Telling(work, new_id=uuid7, clock=lambda: desk.now, monotonic=lambda: 0.0)
    async with asyncio.timeout(30):
        while await desk.journal.pool.fetchval(
            """
            SELECT EXISTS (SELECT FROM journal, alert_cursor AS c
                           WHERE (journal.xid, journal.seq) > (c.xid, c.seq) AND journal.kind = 'PositionUnguarded')
            """
        ):
            await telling.look()


def discord(service):
    return {"webhook_url": service.webhook}


TELEGRAM = {"bot_token": BOT_TOKEN, "chat_id": CHAT}


class TestConfigAtSource:
    async def test_f121_is_set_as_a_whole_and_shown_masked(self, desk, service):
        first = await desk.client.post(
            CONFIG, json={"min_level": "error", "discord": discord(service), "telegram": TELEGRAM}
        )
        shown = (await desk.client.get(CONFIG)).json()
        second = await desk.client.post(CONFIG, json={"email": {"to": "ana@desk.test"}})

        assert first.status_code == 200
        assert first.json() == shown
        assert shown["min_level"] == "ERROR"
        assert shown["discord"] == {
            "enabled": True, "settings": {"webhook_url": f"{service.address}/api/webhooks/***"},
        }  # fmt: skip
        assert shown["telegram"]["settings"] == {"bot_token": "123456789:***", "chat_id": CHAT}
        assert shown["email"] == {"enabled": False, "settings": {}}
        assert [second.json()[name]["enabled"] for name in ("discord", "telegram", "email")] == [
            False, False, True,
        ]  # fmt: skip
        assert second.json()["min_level"] == "WARNING"

    async def test_f122_stores_no_secret_in_clear_and_answers_none(self, desk, service):
        body = {"discord": discord(service), "telegram": TELEGRAM}
        await desk.client.post(CONFIG, json=body)
        answers = [await desk.client.get(path) for path in (CONFIG, CHANNELS, HISTORY)]

        stored = await desk.everything_stored()
        for secret in SECRETS:
            assert secret not in stored
            assert all(secret not in answer.text for answer in answers)

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({"min_level": "LOUD"}, "ALERT_LEVEL_UNKNOWN"),
            ({"discord": {"webhook_url": "https://evil.test/api/webhooks/1/x"}}, "CHANNEL_ADDRESS_UNUSABLE"),
            ({"discord": {"webhook_url": "http://discord.com/api/webhooks/1/x"}}, "CHANNEL_ADDRESS_UNUSABLE"),
            ({"discord": {"webhook_url": "http://[/api/webhooks/1/x"}}, "CHANNEL_ADDRESS_UNUSABLE"),
            ({"telegram": {"bot_token": "123456789:***", "chat_id": CHAT}}, "CHANNEL_ADDRESS_UNUSABLE"),
            ({"telegram": {"bot_token": BOT_TOKEN, "chat_id": "a/../b"}}, "CHANNEL_ADDRESS_UNUSABLE"),
            ({"email": {"to": "ana@desk.test\r\nBcc: evil@x.test"}}, "CHANNEL_ADDRESS_UNUSABLE"),
            ({"email": {"to": "a@b.test", "smtp_server": "mail/../x"}}, "CHANNEL_ADDRESS_UNUSABLE"),
        ],
    )
    async def test_f121_refuses_at_the_door_what_cannot_be_used(self, desk, body, code):
        answer = await desk.client.post(CONFIG, json=body)

        assert (answer.status_code, code_of(answer)) == (422, code)
        assert BOT_TOKEN not in answer.text
        assert not any(one["enabled"] for one in list((await desk.client.get(CONFIG)).json().values())[1:])

    async def test_is_for_staff(self, desk):
        trader = await desk.enroll("ana")

        for answer in (
            await trader.client.get(CONFIG),
            await trader.client.post(CONFIG, json={}),
            await trader.client.post(TEST, json={}),
            await trader.client.get(HISTORY),
        ):
            assert (answer.status_code, code_of(answer)) == (403, "ROLE_FORBIDDEN")


class TestTests:
    async def test_f122_pass_the_level_filter_and_tell_the_real_result(self, desk, service):
        await desk.client.post(
            CONFIG, json={"min_level": "CRITICAL", "discord": discord(service), "telegram": TELEGRAM}
        )
        service.troubles.append(401)

        async with delivering(desk, service):
            one = await desk.client.post(TEST, json={"channel": "discord"})
            both = await desk.client.post(TEST, json={"title": "Hello", "message": "1 < 2", "level": "info"})

        [refused] = one.json()["results"]
        assert one.json()["success"] is False
        assert (refused["channel"], refused["status"], refused["code"]) == (
            "discord",
            "failed",
            "CHANNEL_REFUSED",
        )
        assert both.json()["success"] is True
        assert [(one["channel"], one["status"]) for one in both.json()["results"]] == [
            ("discord", "sent"), ("telegram", "sent"),
        ]  # fmt: skip
        assert len(service.taken) == 2

    async def test_f122_say_that_nothing_is_known_when_nobody_delivers(self, database, service):
        rules = ChannelRules(discord_hosts=(service.host,))
        async with own_desk(database, channel_rules=rules, alert_test_seconds_max=0.0) as desk:
            await desk.client.post(CONFIG, json={"discord": discord(service)})
            answer = (await desk.client.post(TEST, json={})).json()

        assert (answer["success"], answer["message"]) == (False, "discord: due")

    async def test_answer_400_for_a_channel_that_is_none(self, desk):
        answer = await desk.client.post(TEST, json={"channel": "pigeon"})

        assert (answer.status_code, code_of(answer)) == (400, "CHANNEL_UNKNOWN")


class TestHistory:
    async def test_f124_has_the_last_fifty_and_survives_a_restart(self, desk, database):
        await desk.append(*(AlertRaised(happened_at=NOON, alert=alert(number)) for number in range(1, 121)))
        async with own_desk(database) as again:  # nothing of it is in memory
            shown = (await again.client.get(HISTORY)).json()
            everything = (await again.client.get(ALERTS, params={"limit": 1000})).json()

        assert (shown["count"], len(shown["alerts"])) == (50, 50)
        assert [shown["alerts"][place]["title"] for place in (0, 49)] == ["alert 120", "alert 71"]
        assert shown["alerts"][0].keys() == {"timestamp", "title", "message", "level", "channels"}
        assert len(everything["items"]) == 120

    async def test_f123_f124_has_what_the_desk_itself_told(self, desk, service):
        await desk.client.post(CONFIG, json={"discord": discord(service)})
        await desk.append(AccountConfigured(happened_at=NOON, account=account(1)), unguarded(1))
        await tell(desk)
        async with delivering(desk, service):
            await service.until_taken(1)
            await until(desk, lambda shown: shown["channels"] == {"discord": "sent"})

        [shown] = (await desk.client.get(HISTORY)).json()["alerts"]
        assert (shown["level"], shown["channels"]) == ("CRITICAL", {"discord": "sent"})
        fields = {one["name"]: one["value"] for one in service.taken[0]["fields"]}
        assert fields["account"] == "account 1 \\(account 1\\)"


async def until(desk, is_true):
    async with asyncio.timeout(30):
        while not is_true((await desk.client.get(HISTORY)).json()["alerts"][0]):
            await asyncio.sleep(0.05)


class TestAlerts:
    async def test_are_filtered_and_paged(self, desk):
        levels = ["INFO", "WARNING", "ERROR", "CRITICAL"]
        await desk.append(
            *(
                AlertRaised(happened_at=NOON, alert=alert(number, level=AlertLevel(levels[number % 4])))
                for number in range(1, 9)
            )
        )
        page = (await desk.client.get(ALERTS, params={"level": "error", "limit": 2})).json()
        rest = (
            await desk.client.get(ALERTS, params={"level": "ERROR", "cursor": page["next_cursor"]})
        ).json()
        odd = await desk.client.get(ALERTS, params={"level": "odd"})

        assert [one["title"] for one in page["items"]] == ["alert 7", "alert 6"]
        assert [one["title"] for one in rest["items"]] == ["alert 3", "alert 2"]
        assert rest["next_cursor"] is None
        assert (odd.status_code, code_of(odd)) == (422, "ALERT_LEVEL_UNKNOWN")

    async def test_are_acknowledged_by_the_first_who_says_so(self, desk):
        await desk.append(AlertRaised(happened_at=NOON, alert=alert(1)))
        operator = await desk.enroll("olga", "operator")
        path = f"{ALERTS}/{UUID(int=1)}"

        first = (await operator.client.post(f"{path}/acknowledge")).json()
        second = (await desk.client.post(f"{path}/acknowledge")).json()
        missing = await desk.client.post(f"{ALERTS}/{UUID(int=2)}/acknowledge")

        assert first["acknowledged_by"] == second["acknowledged_by"] == "olga@desk.test, session"
        assert code_of(missing) == "ALERT_UNKNOWN"
        still = (await desk.client.get(ALERTS, params={"acknowledged": False})).json()
        assert still["items"] == []


class TestChannels:
    async def test_are_made_changed_and_forgotten(self, desk, service):
        made = await desk.made(
            CHANNELS, name="night", kind="discord", address=discord(service), level="critical"
        )
        path = f"{CHANNELS}/{made['channel_id']}"
        changed = (
            await desk.client.patch(
                path, json={"is_standby": True, "level": None, "address": discord(service)}
            )
        ).json()
        taken = await desk.client.post(
            CHANNELS, json={"name": "night", "kind": "telegram", "address": TELEGRAM}
        )
        null = await desk.client.patch(path, json={"name": None})
        forgotten = await desk.client.delete(path)
        missing = await desk.client.patch(path, json={"place": 1})

        assert (made["level"], made["is_standby"], made["waiting"]) == ("CRITICAL", False, 0)
        assert (changed["level"], changed["is_standby"]) == (None, True)
        assert (taken.status_code, code_of(taken)) == (409, "CHANNEL_NAME_TAKEN")
        assert null.status_code == 422
        assert forgotten.json() == changed
        assert (missing.status_code, code_of(missing)) == (404, "CHANNEL_UNKNOWN")
        assert await desk.journal.pool.fetchval("SELECT count(*) FROM credentials") == 0

    async def test_of_a_trader_are_his_own_and_lead_to_nobody_else(self, desk, service):
        ana, bruno = await desk.enroll("ana"), await desk.enroll("bruno")
        made = await ana.made(CHANNELS, name="mine", kind="email", address={"to": "ana@desk.test"})
        refused = [
            await ana.client.post(CHANNELS, json={"name": "x", "kind": kind, "address": address})
            for kind, address in (
                ("email", {"to": "bruno@desk.test"}),
                ("email", {"to": "ana@desk.test", "server": "127.0.0.1"}),
                ("apprise", {"url": f"json://{service.host}/json"}),
            )
        ]

        seen = [(await one.get(CHANNELS)).json()["items"] for one in (ana.client, bruno.client, desk.client)]
        stolen = await bruno.client.delete(f"{CHANNELS}/{made['channel_id']}")

        assert [len(items) for items in seen] == [1, 0, 0]
        assert [(one.status_code, code_of(one)) for one in refused] == [(422, "CHANNEL_ADDRESS_UNUSABLE")] * 3
        assert (stolen.status_code, code_of(stolen)) == (404, "CHANNEL_UNKNOWN")

    async def test_f121_of_a_trader_carry_what_is_his(self, desk, service):
        ana, bruno = await desk.enroll("ana"), await desk.enroll("bruno")
        for person in (ana, bruno):
            await person.made(CHANNELS, name="mine", kind="discord", address=discord(service))
        await desk.append(
            AccountConfigured(happened_at=NOON, account=account(1, user_id=UUID(ana.user_id))), unguarded(1)
        )
        await tell(desk)
        async with delivering(desk, service):
            await service.until_taken(1)

        [own] = (await ana.client.get(ALERTS)).json()["items"]
        others = (await bruno.client.get(ALERTS)).json()["items"]
        of_desk = (await desk.client.get(ALERTS)).json()["items"]
        hidden = await bruno.client.get(f"{ALERTS}/{own['alert_id']}")
        assert (own["kind"], others) == ("position_unguarded", [])
        assert [one["deliveries"] for one in of_desk] == [[]]
        assert (hidden.status_code, code_of(hidden)) == (404, "ALERT_UNKNOWN")

    async def test_are_as_many_as_anybody_needs(self, desk):
        ana = await desk.enroll("ana")
        for number in range(desk.ports.channel_rules.per_user_max):
            await ana.made(CHANNELS, name=f"mail {number}", kind="email", address={"to": "ana@desk.test"})
        answer = await ana.client.post(
            CHANNELS, json={"name": "more", "kind": "email", "address": {"to": "ana@desk.test"}}
        )

        assert (answer.status_code, code_of(answer)) == (409, "CHANNELS_AT_LIMIT")


class TestMutes:
    async def test_stand_until_their_time_and_are_taken_back(self, desk):
        made = await desk.made(MUTES, kind="drift_seen", seconds=3600, reason="we know")
        listed = (await desk.client.get(MUTES)).json()["items"]
        removed = await desk.client.delete(f"{MUTES}/{made['mute_id']}")
        missing = await desk.client.delete(f"{MUTES}/{made['mute_id']}")
        await desk.made(MUTES, seconds=60)
        desk.later(seconds=61)

        assert listed == [made]
        assert (made["level_max"], made["muted_by"]) == ("ERROR", "admin token")
        assert made["until"] == (NOON + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
        assert removed.json() == made
        assert (missing.status_code, code_of(missing)) == (404, "MUTE_UNKNOWN")
        assert (await desk.client.get(MUTES)).json()["items"] == []


class TestLevel:
    async def test_is_read_in_any_case_and_set_by_staff(self, desk):
        ana = await desk.enroll("ana")
        before = (await ana.client.get(f"{ALERTS}/level")).json()
        said = await desk.client.put(f"{ALERTS}/level", json={"level": "critical"})
        refused = await ana.client.put(f"{ALERTS}/level", json={"level": "INFO"})

        assert before == {"level": "WARNING"}
        assert said.json() == (await desk.client.get(f"{ALERTS}/level")).json() == {"level": "CRITICAL"}
        assert refused.status_code == 403
