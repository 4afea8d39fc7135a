"""Telegram's bot API: `sendMessage` in MarkdownV2, with everything that is ours escaped."""

import re

import httpx

from pregao.alerts.messages import LEVEL_EMOJI
from pregao.alerts.ports import Address, Message
from pregao.edges.notifications.calls import post

TEXT_MAX = 3_500  # the API takes 4,096 after its own reading
MARKDOWN = re.compile(r"([_*\[\]()~`>#+\-=|{}.!\\])")


class Telegram:
    """Sends as the bot an address names, to the chat it names."""

    def __init__(self, client: httpx.AsyncClient, *, api: str) -> None:
        """Speak to the API at ``api``: Telegram's own, or a Bot API server of one's own."""
        self._client = client
        self._api = api.rstrip("/")

    async def __call__(self, message: Message, *, address: Address) -> None:
        """Deliver the message."""
        body = {
            "chat_id": address["chat_id"],
            "text": text_of(message),
            "parse_mode": "MarkdownV2",
            "link_preview_options": {"is_disabled": True},
        }
        await post(self._client, f"{self._api}/bot{address['bot_token']}/sendMessage", body, done=200)


def text_of(message: Message) -> str:
    """Give the text; it is cut before it is escaped, so that no escape is cut in two."""
    numbers = "\n".join(f"{name}: {value}" for name, value in message.numbers.items())
    room = TEXT_MAX - len(message.title)
    body = escaped(message.text[: room // 2])
    told = escaped(numbers[: room // 4])
    head = f"{LEVEL_EMOJI[message.level]} *{escaped(message.title)}*\n_{escaped(message.level)}_"
    return "\n\n".join(part for part in (head, body, told) if part)


def escaped(text: str) -> str:
    """Give the text as Telegram shows it letter by letter."""
    return MARKDOWN.sub(r"\\\1", text)
