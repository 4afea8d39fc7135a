"""The alerts of a proof, posted as TradingView posts them: three seconds of patience, sent again only on a 5xx."""

import asyncio
import json
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from pregao.proof.desk import speaking_to
from pregao.proof.plan import BotPlan, SignalPlan

ANSWER_SECONDS_MAX = 3.0  # TradingView's own patience
AGAIN_MAX = 3  # times more
AGAIN_SECONDS = 5.0
MASTER_PATH = "/api/v1/bots/webhook/master"


@dataclass(slots=True)
class Sent:
    """One alert and what its sender was told."""

    plan: SignalPlan
    statuses: list[int] = field(default_factory=list)  # 0: no answer
    signal_ids: set[str] = field(default_factory=set)
    came_in_lost_time: bool = False  # the database was put back to before it came

    @property
    def is_accepted(self) -> bool:
        """Whether its sender was told that we have it."""
        return any(200 <= status < 300 for status in self.statuses)


class Sender:
    """Posts alerts and keeps what was answered."""

    def __init__(self, url: str, *, bots: list[dict[str, Any]], plans: tuple[BotPlan, ...]) -> None:
        """Post to the desk at ``url``."""
        self.sent: list[Sent] = []
        self._bots = bots
        self._plans = plans
        self._client = speaking_to(url, seconds_max=ANSWER_SECONDS_MAX)

    def forget(self, numbers: Collection[int]) -> None:
        """Note that the database was put back to before these alerts came, though their senders were answered."""
        for sent in self.sent:
            sent.came_in_lost_time |= sent.plan.number in numbers

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def send(self, signal: SignalPlan) -> None:
        """Post one alert, and again while the answer is a 5xx; the same bytes each time."""
        sent = Sent(signal)
        self.sent.append(sent)
        bot = self._bots[signal.bot]
        body = body_of(
            signal, symbol=self._plans[signal.bot].symbol, secret=bot["secret"], now=datetime.now(UTC)
        )
        query = {"secret": bot["secret"]} if signal.spelling == 1 else {}
        for again in range(AGAIN_MAX + 1):
            if again:
                await asyncio.sleep(AGAIN_SECONDS)
            status = await self._post(f"{MASTER_PATH}/{bot['webhook_path']}", body, query, sent=sent)
            sent.statuses.append(status)
            if status < 500:  # also no answer at all: TradingView leaves it at that
                return

    async def _post(self, path: str, body: bytes, query: dict[str, str], *, sent: Sent) -> int:
        try:
            answer = await self._client.post(
                path, params=query, content=body, headers={"Content-Type": "application/json"}
            )
        except httpx.HTTPError:
            return 0
        if answer.is_success:
            sent.signal_ids.add(answer.json()["signal_id"])
        return answer.status_code


def body_of(signal: SignalPlan, *, symbol: str, secret: str, now: datetime) -> bytes:
    """Give the bytes of an alert, in one of the spellings people use."""
    stamp = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    note = f"alert {signal.number}"
    spellings: tuple[dict[str, Any], ...] = (
        {"action": signal.action, "symbol": symbol, "timenow": stamp, "comment": note, "secret": secret},
        {"ticker": f"{symbol}.P", "action": signal.action.upper(), "timenow": stamp, "comment": note},
        {
            "secret": secret,
            "symbol": f"BINANCE:{symbol}",
            "action": signal.action,
            "comment": note,
            "timenow": stamp,
        },
    )
    body = spellings[signal.spelling]
    if signal.has_id:
        body["signal_id"] = f"proof-{signal.number}"
    return json.dumps(body).encode()
