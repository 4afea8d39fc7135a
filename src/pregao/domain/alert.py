"""An alert: what a person should hear of, how bad it is, whom it concerns; and the channels that carry it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class AlertLevel(StrEnum):
    """How bad it is, from the mildest to the worst."""

    INFO = "INFO"  # good to know
    WARNING = "WARNING"  # somebody should look, today
    ERROR = "ERROR"  # something does not work
    CRITICAL = "CRITICAL"  # money is at risk: somebody must look, now

    @property
    def rank(self) -> int:
        """The place of the level, the mildest first."""
        return list(AlertLevel).index(self)

    def reaches(self, least: "AlertLevel") -> bool:
        """Say whether an alert of this level passes where ``least`` is asked for."""
        return self.rank >= least.rank


LEAST_LEVEL = AlertLevel.WARNING
"""What is told where nobody says otherwise (system E's default)."""


class AlertKind(StrEnum):
    """What an alert is about."""

    TRADE_EXECUTED = "trade_executed"  # positions were closed, with what they earned
    WIN_RATE_HIGH = "win_rate_high"  # a bot wins far more often than it loses
    BREAKER_OPEN = "breaker_open"  # a venue or a symbol is left alone
    SYSTEM_ERROR = "system_error"  # the desk itself failed somewhere
    WORKER_DEAD = "worker_dead"  # a process ended without a word
    POSITION_UNGUARDED = "position_unguarded"  # held for too long without an effective stop
    POSITION_GUARDED = "position_guarded"  # and that is over
    STOP_UNUSABLE = "stop_unusable"  # a stop cannot stand: its position is closed
    GUARDRAIL_BLOCKED = "guardrail_blocked"  # a triggered exit was held up
    EXIT_STUCK = "exit_stuck"  # a triggered exit waits for a person
    ORDER_UNRESOLVED = "order_unresolved"  # nobody knows what became of orders
    DRIFT_SEEN = "drift_seen"  # a venue holds what the books do not
    LOSS_LIMIT = "loss_limit"  # a day's or a month's losses have reached a limit
    TRADING_STATE = "trading_state"  # somebody halted, reduced or resumed
    SELL_OUT = "sell_out"  # a job that closes everything began, or ended
    APPROVAL_WAITING = "approval_waiting"  # an entry waits for a person's answer
    HEALTH = "health"  # the desk as a whole is not well
    FEED_SILENT = "feed_silent"  # the price of a held symbol does not come
    SCREENER_FAILING = "screener_failing"  # the list could not be made several times in a row
    DATABASE_CLEARED = "database_cleared"  # somebody deleted what had happened
    DATABASE_RESTORED = "database_restored"  # the database forgot what it knew
    SECOND_FACTOR_RESET = (
        "second_factor_reset"  # an admin turned off what proves somebody beside his password
    )
    TEST = "test"  # somebody tries the channels


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert to one audience: the desk's own people, or one user."""

    alert_id: UUID
    kind: AlertKind
    level: AlertLevel
    title: str
    text: str
    numbers: dict[str, str]
    dedupe_key: str  # told once within the window of its key
    subject: str  # what it is about: of one subject the earlier is told first
    user_id: UUID | None = None  # whose it is; None: the desk's
    account_id: int | None = None
    bot_id: UUID | None = None
    repeats: int = 0  # alerts of this key that were kept back since the last one
    code: str = ""  # what it says, for other languages; empty where a person wrote it
    about: str = ""  # what the title begins with: a symbol, a process, a name


class ChannelKind(StrEnum):
    """How a channel reaches people."""

    DISCORD = "discord"
    TELEGRAM = "telegram"
    EMAIL = "email"
    APPRISE = "apprise"  # whatever else the library of that name speaks


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A way to reach somebody; its address is a secret, kept apart and sealed."""

    channel_id: int
    name: str
    kind: ChannelKind
    shown: dict[str, str]  # its address as people may see it, secrets masked
    user_id: UUID | None = None  # whose it is; None: the desk's
    level: AlertLevel | None = None  # the least it carries; None: as the desk says
    place: int = 0  # when one finally fails, the next in this order is asked
    is_standby: bool = False  # carries nothing but what another failed to
    per_minute_max: int = 20  # messages; beyond it one summary tells the rest
    is_active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Mute:
    """Alerts that are kept, and told to nobody, until a time."""

    mute_id: UUID
    user_id: UUID | None  # whose; None: the desk's
    kind: AlertKind | None  # None: every kind
    level_max: AlertLevel  # what is worse is told all the same
    until: datetime
    reason: str
    muted_by: str
