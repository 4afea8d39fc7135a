"""F121, F122: each channel's exact message, escaped; and what its answers mean, against services with rules."""

import asyncio

import pytest

from pregao.alerts.ports import ChannelError, Message
from pregao.domain.alert import AlertLevel
from pregao.edges.notifications.calls import open_client
from pregao.edges.notifications.discord import Discord
from pregao.edges.notifications.mail import Mail, html_of
from pregao.edges.notifications.others import Others
from pregao.edges.notifications.telegram import Telegram
from tests.builders import NOON
from tests.edges.notifications.scripted_channels import (
    BOT_TOKEN,
    CHAT,
    LOGIN,
    PASSWORD,
    scripted_mail,
    scripted_service,
)

NASTY = "*bold* _x_ [a](http://evil) `code` <b>&amp; @everyone ~#+-=|{}.!\\ 1.5"


def message(**changes) -> Message:
    given = {
        "level": AlertLevel.ERROR,
        "title": "BTCUSDT: it broke",
        "text": "Look at it.",
        "raised_at": NOON,
        "numbers": {"position": "7"},
    }
    return Message(**{**given, **changes})


@pytest.fixture
async def service():
    async with scripted_service() as service:
        yield service


@pytest.fixture
async def client():
    async with open_client() as client:
        yield client


@pytest.fixture
def discord(client):
    return Discord(client)


@pytest.fixture
def telegram(client, service):
    return Telegram(client, api=service.address)


async def refusal(sending) -> ChannelError:
    with pytest.raises(ChannelError) as refused:
        await sending
    return refused.value


class TestDiscord:
    @pytest.mark.parametrize(
        ("level", "colour"),
        [("INFO", 3447003), ("WARNING", 16776960), ("ERROR", 15158332), ("CRITICAL", 15158332)],
    )
    async def test_gets_an_embed_of_the_levels_colour(self, discord, service, level, colour):
        await discord(message(level=AlertLevel(level)), address={"webhook_url": service.webhook})

        [embed] = service.taken
        assert (embed["color"], embed["timestamp"]) == (colour, "2026-11-21T12:00:00.000+00:00")
        assert embed["title"].endswith("BTCUSDT\\: it broke")
        assert embed["fields"] == [{"name": "position", "value": "7", "inline": True}]
        assert level in embed["footer"]["text"]

    async def test_calls_nobody_and_formats_nothing(self, discord, service):
        await discord(message(title=NASTY, text=NASTY), address={"webhook_url": service.webhook})

        [embed] = service.taken
        assert embed["allowed_mentions"] == {"parse": []}
        assert "\\*bold\\*" in embed["description"]
        assert "\\@everyone" in embed["description"]

    async def test_is_cut_to_what_discord_takes(self, discord, service):
        numbers = {f"name {number}" * 50: "*" * 900 for number in range(30)}

        await discord(
            message(title="_" * 999, text="*" * 9_999, numbers={**numbers, "empty": ""}),
            address={"webhook_url": service.webhook},
        )

        assert len(service.taken) == 1

    async def test_waits_as_long_as_it_is_asked_to(self, discord, service):
        service.troubles.append((429, {"message": "slow down", "retry_after": 2.5, "global": False}))

        busy = await refusal(discord(message(), address={"webhook_url": service.webhook}))

        assert (busy.code, busy.is_final, busy.retry_seconds) == ("CHANNEL_BUSY", False, 2.5)

    @pytest.mark.parametrize(
        ("status", "code", "is_final"),
        [(500, "CHANNEL_AWAY", False), (503, "CHANNEL_AWAY", False), (401, "CHANNEL_REFUSED", True),
         (404, "CHANNEL_REFUSED", True), (302, "CHANNEL_REFUSED", True), (400, "MESSAGE_REFUSED", True)],
    )  # fmt: skip
    async def test_says_what_an_answer_means(self, discord, service, status, code, is_final):
        service.troubles.append(status)

        refused = await refusal(discord(message(), address={"webhook_url": service.webhook}))

        assert (refused.code, refused.is_final) == (code, is_final)
        assert "nobody-may-see" not in str(refused)

    async def test_is_away_when_nobody_listens(self, discord):
        away = await refusal(
            discord(message(), address={"webhook_url": "http://127.0.0.1:1/api/webhooks/1/x"})
        )

        assert (away.code, away.is_final) == ("CHANNEL_AWAY", False)


class TestTelegram:
    async def test_gets_markdown_with_everything_of_ours_escaped(self, telegram, service):
        """Telegram refuses a text with one unescaped sign of its markup as a whole."""
        await telegram(
            message(title=NASTY, text=NASTY, numbers={"pnl": "-1.5", "why": NASTY}),
            address={"bot_token": BOT_TOKEN, "chat_id": CHAT},
        )

        [body] = service.taken
        assert "\\*bold\\*" in body["text"]
        assert "pnl: \\-1\\.5" in body["text"]

    async def test_is_cut_before_it_is_escaped(self, telegram, service):
        await telegram(
            message(title="t" * 200, text="!" * 5_000, numbers={"n": "." * 5_000}),
            address={"bot_token": BOT_TOKEN, "chat_id": CHAT},
        )

        assert len(service.taken) == 1

    async def test_waits_as_long_as_it_is_asked_to(self, telegram, service):
        service.troubles.append((429, {"ok": False, "parameters": {"retry_after": 7}}))

        busy = await refusal(telegram(message(), address={"bot_token": BOT_TOKEN, "chat_id": CHAT}))

        assert (busy.code, busy.retry_seconds) == ("CHANNEL_BUSY", 7.0)

    async def test_tells_a_wrong_token_from_a_wrong_chat(self, telegram):
        other = {"bot_token": "999999999:AAH-another-token-of-nobody", "chat_id": CHAT}
        refused = await refusal(telegram(message(), address=other))
        wrong = await refusal(telegram(message(), address={"bot_token": BOT_TOKEN, "chat_id": "7"}))

        assert (refused.code, wrong.code) == ("CHANNEL_REFUSED", "MESSAGE_REFUSED")
        assert "another-token" not in str(refused)


class TestMail:
    @pytest.fixture
    def server(self, tmp_path):
        with scripted_mail(tmp_path) as server:
            yield server

    def address(self, mail, **changes):
        given = {
            "server": "127.0.0.1", "port": str(mail.port), "username": LOGIN, "password": PASSWORD, "from": LOGIN,
            "to": "ana@desk.test, bruno@desk.test", "security": "starttls",
        }  # fmt: skip
        return {**given, **changes}

    async def test_goes_out_under_tls_as_html_to_everybody(self, server):
        mail, trusting = server
        asked = message(title="a line\r\nBcc: evil@x.test", text=NASTY)

        await Mail({}, tls=trusting)(asked, address=self.address(mail))

        [sent] = mail.mails
        assert sent["Subject"] == "[ERROR] a line Bcc: evil@x.test"
        assert mail.recipients == [["ana@desk.test", "bruno@desk.test"]]
        assert mail.was_tls == [True]
        html = sent.get_body(("html",)).get_content()
        assert "&lt;b&gt;&amp;amp;" in html
        assert sent.get_body(("plain",)).get_content().startswith(NASTY)

    async def test_goes_by_the_desks_server_where_the_channel_names_none(self, server):
        mail, trusting = server

        await Mail(self.address(mail), tls=trusting)(message(), address={"to": "ana@desk.test"})

        assert mail.recipients == [["ana@desk.test"]]

    async def test_says_no_password_where_there_is_no_tls(self, tmp_path):
        with scripted_mail(tmp_path, has_tls=False) as (mail, trusting):
            refused = await refusal(Mail({}, tls=trusting)(message(), address=self.address(mail)))

        assert (refused.code, refused.is_final) == ("CHANNEL_UNUSABLE", True)
        assert mail.mails == []

    async def test_trusts_no_server_that_is_another(self, server):
        mail, _ = server

        refused = await refusal(Mail({})(message(), address=self.address(mail)))

        assert (refused.code, refused.is_final) == ("CHANNEL_AWAY", False)
        assert mail.mails == []

    async def test_tells_a_wrong_login_and_a_full_queue_apart(self, server):
        mail, trusting = server
        send = Mail({}, tls=trusting)
        wrong = await refusal(send(message(), address=self.address(mail, password="wrong")))
        mail.answers.append("451 try later")
        later = await refusal(send(message(), address=self.address(mail)))
        nobody = await refusal(send(message(), address=self.address(mail, to="nobody@desk.test")))

        assert (wrong.code, wrong.is_final) == ("CHANNEL_REFUSED", True)
        assert (later.code, later.is_final) == ("CHANNEL_BUSY", False)
        assert (nobody.code, nobody.is_final) == ("CHANNEL_REFUSED", True)

    def test_escapes_its_html(self):
        assert "<script>" not in html_of(message(title="<script>", numbers={"<i>": "<u>"}))


@pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")  # apprise's own
class TestOthers:
    async def test_reach_what_apprise_speaks(self, service):
        url = f"json://{service.host}/json"

        await Others()(message(), address={"url": url})
        service.troubles.append(500)
        refused = await refusal(Others()(message(), address={"url": url}))

        assert service.taken[0]["title"] == "[ERROR] BTCUSDT: it broke"
        assert "position: 7" in service.taken[0]["message"]
        assert (refused.code, refused.is_final) == ("CHANNEL_AWAY", False)

    async def test_say_when_apprise_cannot_read_an_address(self):
        refused = await refusal(Others()(message(), address={"url": "nosuchservice://x"}))

        assert (refused.code, refused.is_final) == ("CHANNEL_UNUSABLE", True)


async def test_a_slow_channel_is_given_up_in_time(service, discord):
    """What bounds it is the delivery; here only that it can be ended."""
    service.troubles.append(60.0)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await discord(message(), address={"webhook_url": service.webhook})
