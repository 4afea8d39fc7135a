"""Whatever apprise speaks: loaded by the first channel that needs it, for it weighs more than all the rest of alerts."""

import asyncio
import importlib
from collections.abc import Mapping
from typing import Any

from pregao.alerts.ports import Address, ChannelError, Message
from pregao.domain.alert import AlertLevel

TYPES = {
    AlertLevel.INFO: "info",
    AlertLevel.WARNING: "warning",
    AlertLevel.ERROR: "failure",
    AlertLevel.CRITICAL: "failure",
}


class Others:
    """Sends to the address apprise is told."""

    async def __call__(self, message: Message, *, address: Address) -> None:
        """Deliver the message, in a thread of its own: the library waits."""
        await asyncio.to_thread(_send, message, address["url"])


def _send(message: Message, url: str) -> None:
    apprise: Any = importlib.import_module("apprise")
    service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    if service is None:
        raise ChannelError("CHANNEL_UNUSABLE", "apprise cannot read the address.", is_final=True)
    told = apprise.Apprise()
    told.add(service)
    result = told.notify(
        title=f"[{message.level}] {message.title}",
        body=_body(message.text, message.numbers),
        notify_type=TYPES[message.level],
        body_format="text",
    )
    if not result:
        # It says no more than that: what is away today may answer tomorrow.
        raise ChannelError(
            "CHANNEL_AWAY", f"service={service.service_name}. It was not taken.", is_final=False
        )


def _body(text: str, numbers: Mapping[str, str]) -> str:
    told = "\n".join(f"{name}: {value}" for name, value in numbers.items())
    return f"{text}\n\n{told}".strip()
