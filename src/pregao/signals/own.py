"""The desk's own signals: nobody sent them over a wire, and they get a receipt like all others."""

import json
from datetime import datetime
from uuid import UUID

from pregao.domain.facts import Fact, SignalAccepted, SignalReceived
from pregao.domain.signal import Action, Instruction

SOURCE = "desk"


def close_now(
    *,
    signal_id: UUID,
    bot_id: UUID,
    subscription_id: UUID | None,
    now: datetime,
    symbol: str | None = None,
    flatten_id: UUID | None = None,
) -> list[Fact]:
    """
    Ask that a bot, or one of its subscriptions, closes all it holds: received, and accepted as it stands.

    With a symbol only that is closed. ``flatten_id`` says for which job, for whoever reads the signal later.
    """
    asked = {"action": "close_all"} if symbol is None else {"action": "close", "ticker": symbol}
    if flatten_id is not None:
        asked["flatten_id"] = str(flatten_id)
    if subscription_id is not None:
        asked["subscription_id"] = str(subscription_id)
    received = SignalReceived(
        happened_at=now,
        signal_id=signal_id,
        bot_id=bot_id,
        body=json.dumps(asked).encode(),
        content_type="application/json",
        source=SOURCE,
        source_address="local",
        dedupe_key=str(signal_id),
        is_explicit_id=True,
    )
    instruction = Instruction(
        action=Action.CLOSE_ALL if symbol is None else Action.CLOSE,
        symbol=symbol,
        side=None,
        share=None,
        price=None,
        send_before=now,  # of entries only
        subscription_id=subscription_id,
    )
    accepted = SignalAccepted(happened_at=now, signal_id=signal_id, bot_id=bot_id, instruction=instruction)
    return [received, accepted]
