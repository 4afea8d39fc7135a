"""The desk's own signals: nobody sent them over a wire, and they get a receipt like all others."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from pregao.domain.bot import Subscription
from pregao.domain.deployment import Deployment
from pregao.domain.facts import Fact, SignalAccepted, SignalReceived
from pregao.domain.money import to_text
from pregao.domain.order import Side
from pregao.domain.sell_list import ByHand
from pregao.domain.signal import Action, Instruction, Risked
from pregao.signals.accept import accept_one, read_body
from pregao.signals.ports import Arrival

SOURCE = "desk"
STRATEGY = "strategy"


def close_now(
    *,
    signal_id: UUID,
    bot_id: UUID,
    subscription_id: UUID | None,
    now: datetime,
    symbol: str | None = None,
    side: Side | None = None,
    flatten_id: UUID | None = None,
    operation: Mapping[str, str] | None = None,
) -> list[Fact]:
    """
    Ask that a bot, or one of its subscriptions, closes all it holds: received, and accepted as it stands.

    With a symbol only that is closed, with the exit's side only what it reduces. ``flatten_id`` says for which job,
    ``operation`` who asked for which, for whoever reads the signal later.
    """
    asked = {"action": "close_all"} if symbol is None else {"action": "close", "ticker": symbol}
    asked.update(operation or {})
    if flatten_id is not None:
        asked["flatten_id"] = str(flatten_id)
    if subscription_id is not None:
        asked["subscription_id"] = str(subscription_id)
    instruction = Instruction(
        action=Action.CLOSE_ALL if symbol is None else Action.CLOSE,
        symbol=symbol,
        side=side,
        share=None,
        price=None,
        send_before=now,  # of entries only
        subscription_id=subscription_id,
    )
    return _taken(asked, instruction, signal_id=signal_id, bot_id=bot_id, address="local", now=now)


def booked_by_hand(
    kind: ByHand,
    *,
    signal_id: UUID,
    bot_id: UUID,
    subscription_id: UUID,
    symbol: str,
    asked_by: str,
    reason: str,
    source_address: str,
    now: datetime,
) -> list[Fact]:
    """Stand for what somebody enters in the books or closes there: received, and accepted as it stands."""
    is_entry = kind is ByHand.ENTER
    asked = {"type": kind.value, "ticker": symbol, "asked_by": asked_by, "reason": reason}
    instruction = Instruction(
        action=Action.ENTER if is_entry else Action.CLOSE,
        symbol=symbol,
        side=Side.BUY if is_entry else Side.SELL,
        share=None,
        price=None,
        send_before=now,
        subscription_id=subscription_id,
    )
    return _taken(asked, instruction, signal_id=signal_id, bot_id=bot_id, address=source_address, now=now)


def trade_by_hand(
    risk: Risked,
    *,
    signal_id: UUID,
    subscription: Subscription,
    symbol: str,
    side: Side,
    asked_by: str,
    source_address: str,
    send_before: datetime,
    now: datetime,
) -> list[Fact]:
    """Ask that one subscription enters what a person risks: received, and accepted as it stands."""
    asked = {"action": side.value, "ticker": symbol, "asked_by": asked_by}
    asked["capital"], asked["risk_percent"] = to_text(risk.capital), to_text(risk.risk_percent)
    asked["stop_price"] = to_text(risk.stop_price)
    if risk.target_price is not None:
        asked["target_price"] = to_text(risk.target_price)
    instruction = Instruction(
        action=Action.ENTER,
        symbol=symbol,
        side=side,
        share=None,
        price=None,
        send_before=send_before,
        subscription_id=subscription.subscription_id,
        risk=risk,
    )
    return _taken(
        asked,
        instruction,
        signal_id=signal_id,
        bot_id=subscription.bot_id,
        address=source_address,
        now=now,
    )


def sent_again(
    instruction: Instruction,
    *,
    signal_id: UUID,
    bot_id: UUID,
    dedupe_key: str,
    asked_by: str,
    reason: str,
    source_address: str,
    now: datetime,
) -> list[Fact]:
    """Repeat a signal for some that follow its bot, because an operator asks it: received, and accepted as it stands."""
    again = instruction.again
    assert again is not None, "it says what it repeats"
    side = instruction.action.value if instruction.side is None else instruction.side.value
    asked = {"action": side, f"{again.kind.value}_of": str(again.before[-1]), "asked_by": asked_by}
    if instruction.symbol is not None:
        asked["ticker"] = instruction.symbol
    if reason:
        asked["reason"] = reason
    return _taken(
        asked,
        instruction,
        signal_id=signal_id,
        bot_id=bot_id,
        address=source_address,
        now=now,
        source=again.kind.value,
        dedupe_key=dedupe_key,
    )


def said_by_strategy(
    deployment: Deployment,
    *,
    signal_id: UUID,
    action: str,
    price: Decimal,
    closed_at: datetime,
    confidence: Decimal | None,
    stop_percent: Decimal | None,
    target_percent: Decimal | None,
    now: datetime,
    age_seconds_max: int,
) -> Arrival:
    """
    Give what a strategy asks at the close of a candle, as an alert that is read like any other.

    The same candle and action make the same key, so an analyzer that begins anew sends each once. An entry that comes too
    late is refused, a close is not. Its stop and target, percent from the entry, go with the entry.
    """
    body: dict[str, object] = {
        "action": action,
        "ticker": deployment.symbol,
        "price": to_text(price),
        "timenow": closed_at.isoformat(),
        "strategy": deployment.label,
        "deployment_id": str(deployment.deployment_id),
    }
    told = {"confidence": confidence, "stop_percent": stop_percent, "target_percent": target_percent}
    body |= {name: to_text(value) for name, value in told.items() if value is not None}
    received = SignalReceived(
        happened_at=now,
        signal_id=signal_id,
        bot_id=deployment.bot_id,
        body=json.dumps(body).encode(),
        content_type="application/json",
        source=STRATEGY,
        source_address=str(deployment.deployment_id),
        dedupe_key=f"strategy:{deployment.deployment_id}:{closed_at.isoformat()}:{action}",
        is_explicit_id=True,
    )
    outcome = accept_one(received, read_body, now=now, age_seconds_max=age_seconds_max)
    if isinstance(outcome, SignalAccepted) and outcome.instruction.action is Action.ENTER:
        instruction = replace(
            outcome.instruction, stop_percent=stop_percent, target_percent=target_percent, not_used=()
        )
        outcome = replace(outcome, instruction=instruction)
    return Arrival(received, outcome)


def _taken(
    asked: Mapping[str, str],
    instruction: Instruction,
    *,
    signal_id: UUID,
    bot_id: UUID,
    address: str,
    now: datetime,
    source: str = SOURCE,
    dedupe_key: str | None = None,
) -> list[Fact]:
    received = SignalReceived(
        happened_at=now,
        signal_id=signal_id,
        bot_id=bot_id,
        body=json.dumps(asked).encode(),
        content_type="application/json",
        source=source,
        source_address=address,
        dedupe_key=dedupe_key or str(signal_id),
        is_explicit_id=True,
    )
    accepted = SignalAccepted(happened_at=now, signal_id=signal_id, bot_id=bot_id, instruction=instruction)
    return [received, accepted]
