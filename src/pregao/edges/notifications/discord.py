"""Discord's webhooks: one embed a message, coloured by level; 204 says that it was taken."""

import re

import httpx

from pregao.alerts.messages import LEVEL_EMOJI
from pregao.alerts.ports import Address, Message
from pregao.domain.alert import AlertLevel
from pregao.edges.notifications.calls import post

COLOURS = {
    AlertLevel.INFO: 3447003,
    AlertLevel.WARNING: 16776960,
    AlertLevel.ERROR: 15158332,
    AlertLevel.CRITICAL: 15158332,
}
"""System E's."""
TITLE_MAX, TEXT_MAX, FIELDS_MAX, NAME_MAX, VALUE_MAX = 256, 2_500, 10, 80, 200
"""Discord's own bounds are 256, 4,096, 25, 256 and 1,024, and 6,000 characters for all of an embed."""
MARKDOWN = re.compile(r"([\\*_~`|>\[\]()#@<:-])")
FOOTER = "Pregão"


class Discord:
    """Sends to the webhook an address names."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        """Send through ``client``."""
        self._client = client

    async def __call__(self, message: Message, *, address: Address) -> None:
        """Deliver the message."""
        await post(self._client, address["webhook_url"], embed_of(message), done=204)


def embed_of(message: Message) -> dict[str, object]:
    """Give the body; nobody is called by name, whatever stands in the text."""
    fields = [
        {"name": escaped(name)[:NAME_MAX], "value": (escaped(value) or "-")[:VALUE_MAX], "inline": True}
        for name, value in list(message.numbers.items())[:FIELDS_MAX]
    ]
    embed = {
        "title": f"{LEVEL_EMOJI[message.level]} {escaped(message.title)}"[:TITLE_MAX],
        "description": escaped(message.text)[:TEXT_MAX],
        "color": COLOURS[message.level],
        "timestamp": message.raised_at.isoformat(timespec="milliseconds"),
        "footer": {"text": f"{FOOTER} · {message.level}"},
        "fields": fields,
    }
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def escaped(text: str) -> str:
    """Give the text as Discord shows it letter by letter."""
    return MARKDOWN.sub(r"\\\1", text)
