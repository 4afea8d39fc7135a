"""Alert channels on pages: made, changed, tested and deleted through the API, and what came of each message."""

import csv
import io
import re
from datetime import timedelta
from html import unescape

from pregao.domain.facts import AlertRaised
from pregao.edges.http.console.lists import ROWS
from tests.builders import NOON, alert
from tests.edges.http.console.signed_in import signed_in

CHANNELS = "/api/v1/alert-channels"
DISCORD = {"webhook_url": "https://discord.com/api/webhooks/1/a-token-nobody-may-see"}


async def made(browser, name="Ops", **changes) -> int:
    body = {"name": name, "kind": "discord", "address": DISCORD, **changes}
    answer = await browser.post(CHANNELS, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["channel_id"]


async def told(desk, channel_id: int, count: int, *, status="sent", code=None) -> None:
    """Have the channel carry so many alerts."""
    for number in range(1, count + 1):
        raised = alert(number, title=f"Alert {number:03}")
        await desk.append(AlertRaised(happened_at=NOON + timedelta(seconds=number), alert=raised))
        await desk.journal.pool.execute(
            "INSERT INTO alert_deliveries (alert_id, channel_id, status, subject, level_rank, attempts, code, reason)"
            " VALUES ($1, $2, $3, '', 1, 2, $4, 'why')",
            raised.alert_id, channel_id, status, code,
        )  # fmt: skip


class TestChannels:
    async def test_are_made_by_a_form_of_each_kind(self, admin):
        page = (await admin.get("/console/alerts")).text

        form = re.search(r'<form data-api="POST /api/v1/alert-channels".*?</form>', page, re.DOTALL)[0]
        kinds = re.findall(r'data-when="kind (\w+)"', form)
        assert kinds == ["discord", "telegram", "email", "apprise"]
        names = {"address.webhook_url", "address.bot_token", "address.chat_id", "address.to", "address.url"}
        assert names <= set(re.findall(r'name="([\w.]+)"', form))
        assert 'data-opens="delete-channel"' not in page

    async def test_others_are_not_offered_what_only_staff_may(self, desk):
        trader = await signed_in(desk, "tom", "trader")
        viewer = await signed_in(desk, "vera", "viewer")

        his = (await trader.get("/console/alerts")).text
        hers = (await viewer.get("/console/alerts")).text

        assert "address.to" in his
        assert "address.server" not in his
        assert "kind apprise" not in his
        assert CHANNELS not in hers

    async def test_one_is_changed_tested_and_deleted_and_never_tells_its_secret(self, desk, admin):
        channel_id = await made(admin)

        listed = (await admin.get("/console/alerts")).text
        page = (await admin.get(f"/console/alerts/channels/{channel_id}")).text

        path = f"{CHANNELS}/{channel_id}"
        assert f'href="/console/alerts/channels/{channel_id}">Ops<' in listed
        assert f'data-opens="delete-channel" data-acts="DELETE {path}" data-what="Ops"' in listed
        assert 'data-word="DELETE"' in listed
        assert re.findall(r'data-api="([^"]+)"', page).count(f"PATCH {path}") == 2
        assert 'data-api="POST /api/v1/alerts/test"' in page
        assert "It has carried nothing yet." in page
        assert "a-token-nobody-may-see" not in listed + page

        changed = await admin.patch(path, json={"name": "Night", "is_active": False, "level": None})
        assert (changed.status_code, changed.json()["name"]) == (200, "Night")
        assert "not used" in (await admin.get("/console/alerts")).text
        assert (await admin.delete(path)).status_code == 200
        assert (await admin.get(f"/console/alerts/channels/{channel_id}")).status_code == 404

    async def test_one_is_its_owners_alone(self, desk, admin):
        channel_id = await made(admin)
        trader = await signed_in(desk, "tom", "trader")

        page = await trader.get(f"/console/alerts/channels/{channel_id}")
        log = await trader.get(f"{CHANNELS}/{channel_id}/deliveries")

        assert (page.status_code, log.status_code) == (404, 404)


class TestDeliveryLog:
    async def test_says_of_each_message_what_came_of_it(self, desk, admin):
        channel_id = await made(admin)
        await told(desk, channel_id, 1, status="failed", code="CHANNEL_REFUSED")

        page = (await admin.get(f"/console/alerts/channels/{channel_id}")).text
        others = (await admin.get(f"/console/alerts/channels/{channel_id}?status=sent")).text

        [row] = re.findall(r'<tr id="delivery-[^"]+">(.*?)</tr>', page, re.DOTALL)
        assert "Alert 001" in row
        assert "<code>CHANNEL_REFUSED</code> why" in row
        assert 'data-label="Tries">2<' in row
        assert "Nothing here is like that." in others

    async def test_goes_on_beyond_a_page_and_is_had_as_a_file(self, desk, admin):
        channel_id = await made(admin)
        await told(desk, channel_id, ROWS + 2)

        first = (await admin.get(f"/console/alerts/channels/{channel_id}")).text
        following = unescape(re.search(r'rel="next" href="([^"]+)"', first)[1])
        second = (await admin.get(following)).text
        file = unescape(re.search(r'download href="([^"]+)"', first)[1])
        lines = list(csv.DictReader(io.StringIO((await admin.get(file)).text)))

        shown = re.findall(r"Alert (\d{3})", first) + re.findall(r"Alert (\d{3})", second)
        assert shown == [f"{number:03}" for number in range(ROWS + 2, 0, -1)]
        assert [one["title"] for one in lines] == [f"Alert {number}" for number in shown]
