"""A signal arrives, is taken, or is turned away."""

from dataclasses import dataclass
from uuid import UUID

from pregao.domain.facts.fact import Fact
from pregao.domain.quickly import made_quickly
from pregao.domain.signal import Instruction


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryTurnedAway(Fact):
    """Somebody without the secret knocked: no body is kept, only its hash and size."""

    webhook_path: str
    body_sha256: str
    body_size: int
    source_address: str


@made_quickly
@dataclass(frozen=True, slots=True, kw_only=True)
class SignalReceived(Fact):
    """An authenticated body arrived for the first time. The secret's bytes in it are masked."""

    signal_id: UUID
    bot_id: UUID
    body: bytes
    content_type: str
    source: str  # tradingview, webhook_in, cli, …
    source_address: str
    dedupe_key: str  # an explicit id, or the SHA-256 of bot and body
    is_explicit_id: bool  # explicit ids are remembered for ever, hashes for a minute


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRepeated(Fact):
    """The same signal was delivered again: the first one stands, nothing is done twice."""

    signal_id: UUID
    source_address: str


@made_quickly
@dataclass(frozen=True, slots=True, kw_only=True)
class SignalAccepted(Fact):
    """The body was read for certain, in time."""

    signal_id: UUID
    bot_id: UUID
    instruction: Instruction


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRefused(Fact):
    """We could not or would not read it: malformed, ambiguous, stale, not supported."""

    signal_id: UUID
    bot_id: UUID
    code: str
    reason: str
