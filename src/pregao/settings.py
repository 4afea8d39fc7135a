"""
Every setting of the desk: name, type, default, unit, one sentence.

A setting is read from the environment, else from the file `env` in the state folder, else it has its default.
docs/settings.md shows the same list to people; a test compares the two.
"""

import base64
import dataclasses
import os
import sys
from pathlib import Path
from typing import Literal

from pregao.environment import Secret, SettingError, read_settings, setting

ENV_FILE = "env"  # in the state folder
MODELS_FOLDER = "models"  # there, too
MASTER_KEY_BYTES = 32  # AES-256
PAPER_PORT_PREFERRED = 8001  # the next one to SERVER_PORT's default


def default_state_dir() -> Path:
    """Give `.pregao` beside the virtual environment of this Python, else in the current folder."""
    environment = Path(sys.prefix)
    home = environment.parent if environment.name == ".venv" else Path.cwd()
    return home / ".pregao"


@dataclasses.dataclass(frozen=True, kw_only=True)
class MasterKeySettings:
    """The keys that seal the exchange credentials; the only settings that a running process reads again."""

    master_key: Secret = setting(
        Secret(""), "PREGAO_MASTER_KEY", "32 bytes in base64 that seal the exchange credentials."
    )
    former_master_keys: tuple[Secret, ...] = setting(
        (), "PREGAO_FORMER_MASTER_KEYS", "Other master keys, comma separated, that open credentials too."
    )

    def master_key_bytes(self) -> bytes:
        """
        Give the key that seals credentials.

        :raises SettingError: when it is missing or not 32 bytes in base64.
        """
        return _key_bytes(
            self.master_key,
            "MASTER_KEY_UNUSABLE",
            "Set PREGAO_MASTER_KEY to 32 random bytes in base64; `python run.py` makes one.",
        )

    def former_master_keys_bytes(self) -> tuple[bytes, ...]:
        """
        Give the other keys that open credentials.

        :raises SettingError: when one is not 32 bytes in base64.
        """
        remedy = (
            "Set PREGAO_FORMER_MASTER_KEYS to keys of 32 bytes in base64, comma separated, or leave it empty."
        )
        return tuple(_key_bytes(key, "FORMER_MASTER_KEY_UNUSABLE", remedy) for key in self.former_master_keys)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(MasterKeySettings):
    """What the desk was told; made by `load_settings`, never changed afterwards."""

    server_host: str = setting("127.0.0.1", "SERVER_HOST", "Address the desk listens on.")
    server_port: int = setting(8000, "SERVER_PORT", "Port the desk listens on.", ge=1, le=65535)
    database_dsn: Secret = setting(
        Secret(""), "DATABASE_URL", "PostgreSQL to use; empty starts the embedded one."
    )
    state_dir: Path = setting(
        default_state_dir, "PREGAO_STATE_DIR", "Folder for secrets, logs and the embedded database."
    )
    admin_token: Secret = setting(Secret(""), "PREGAO_ADMIN_TOKEN", "Bearer token of the first admin.")
    own_token: Secret = setting(
        Secret(""), "PREGAO_TOKEN", "API token the command line uses in place of the admin's."
    )
    database_password: Secret = setting(
        Secret(""), "PREGAO_DATABASE_PASSWORD", "Password of the embedded PostgreSQL."
    )
    demo_secret: Secret = setting(Secret(""), "PREGAO_DEMO_SECRET", "Webhook secret of the demo bot.")
    metrics_token: Secret = setting(
        Secret(""), "PREGAO_METRICS_TOKEN", "Bearer token that can read /metrics and nothing else."
    )
    public_url: str = setting(
        "", "PREGAO_PUBLIC_URL", "Address the world reaches the desk at, for webhook addresses."
    )
    trusted_proxies: tuple[str, ...] = setting(
        (),
        "PREGAO_TRUSTED_PROXIES",
        "Addresses or networks, comma separated, whose X-Forwarded-For is believed.",
    )
    webhook_in_open: bool = setting(
        False,
        "WEBHOOK_IN_OPEN",
        "Let /webhook/in take signals without a secret; real venues refuse them then.",
    )
    webhook_wait_seconds: float = setting(
        1.5, "PREGAO_WEBHOOK_WAIT_SECONDS", "Longest wait of a master webhook for its receipt.", ge=0, le=2.5
    )
    signal_age_seconds_max: float = setting(
        60.0, "PREGAO_SIGNAL_AGE_SECONDS_MAX", "Oldest signal that may still open a position.", gt=0
    )
    trading_enabled: bool = setting(
        True,
        "TRADING_ENABLED",
        "Let people trade by hand; else `/api/trade/…` answers dry runs only. Bots are not asked.",
    )
    paper_port: int = setting(
        0, "PREGAO_PAPER_PORT", "Port of the paper exchange; 0 takes 8001, or a free one.", ge=0, le=65535
    )
    paper_url: str = setting(
        "", "PREGAO_PAPER_URL", "Address of another paper exchange; empty starts our own."
    )
    paper_tape: Path | None = setting(None, "PREGAO_PAPER_TAPE", "Recorded tape the paper exchange replays.")
    paper_tape_speed: float = setting(
        1.0, "PREGAO_PAPER_TAPE_SPEED", "How many times faster than recorded the tape runs.", gt=0
    )
    paper_tape_align_seconds: int = setting(
        1,
        "PREGAO_PAPER_TAPE_ALIGN_SECONDS",
        "Begin the tape so that candles of so many seconds are whole candles of it; 0 begins at once.",
        ge=0,
        le=3_600,
    )
    paper_seed: int = setting(7, "PREGAO_PAPER_SEED", "Seed of the simulated market when there is no tape.")
    venue_timeout_seconds: float = setting(
        10.0,
        "PREGAO_VENUE_TIMEOUT_SECONDS",
        "Longest wait for a venue's answer; then the order is unresolved.",
        gt=0,
    )
    egress: str = setting(
        "default",
        "PREGAO_EGRESS",
        "Name of the address that requests to venues leave from; processes that give one name share its weight.",
        min_length=1,
        max_length=64,
    )
    orders_in_flight_max: int = setting(
        200, "PREGAO_ORDERS_IN_FLIGHT_MAX", "Orders one trader has on the wire at once.", ge=1
    )
    first_part_accounts: int = setting(
        32,
        "PREGAO_FIRST_PART_ACCOUNTS",
        "Accounts planned before the first order of a signal leaves (8 of a bot with more); then as many as may be on the wire, "
        "then 32 times as many.",
        ge=1,
        le=100_000,
    )
    queue_signals_max: int = setting(
        100_000,
        "PREGAO_QUEUE_SIGNALS_MAX",
        "Accepted signals that may wait; beyond it webhooks answer 503.",
        ge=1,
    )
    destination_url: Secret = setting(
        Secret(""),
        "DEST_WEBHOOK_URL",
        "Webhook that the bot behind /webhook/in forwards to from the first start on; empty: a paper account.",
    )
    destination_timeout_seconds: int = setting(
        5, "DEST_WEBHOOK_TIMEOUT", "Longest wait for that webhook's answer.", ge=1, le=60
    )
    destination_honours_idempotency: bool = setting(
        False,
        "DEST_WEBHOOK_HONOURS_IDEMPOTENCY",
        "Whether that webhook takes one Idempotency-Key once, so that an order may be posted again.",
    )
    destination_traderspost: bool = setting(
        False, "MAP_SIDE_TO_ACTION_TRADERSPOST", "Write what is forwarded there as TradersPost reads it."
    )
    forwards_per_minute_max: int = setting(
        60,
        "DEST_WEBHOOK_MAX_REQ_PER_MIN",
        "Forwards a minute to each destination at the first start; from then on the desk keeps it.",
        ge=1,
        le=300,
    )
    forward_limit_enabled: bool = setting(
        True, "DEST_WEBHOOK_RATE_LIMITING_ENABLED", "Whether that limit counts at the first start."
    )
    destinations_allowed: tuple[str, ...] = setting(
        (),
        "PREGAO_DESTINATIONS_ALLOWED",
        "Hosts, comma separated, that signals may be forwarded to though their address is not public.",
    )
    signal_retention_days: int = setting(
        30,
        "SIGNAL_RETENTION_DAYS",
        "Days that finished signals, orders and positions are remembered, until `pregao db retention` says otherwise.",
        ge=1,
        le=3_650,
    )
    metrics_retention_days: int = setting(
        90,
        "METRICS_RETENTION_DAYS",
        "Days that deliveries turned away and the screener's runs are remembered, until somebody says otherwise.",
        ge=1,
        le=3_650,
    )
    alert_retention_days: int = setting(
        90,
        "ALERT_RETENTION_DAYS",
        "Days that alerts and their deliveries are remembered, until somebody says otherwise.",
        ge=1,
        le=3_650,
    )
    finviz_hosts: tuple[str, ...] = setting(
        ("finviz.com", "www.finviz.com", "elite.finviz.com"),
        "FINVIZ_HOSTS",
        "Hosts, comma separated, that strategies of the source Finviz may name.",
    )
    finviz_elite: bool = setting(
        False, "FINVIZ_USE_ELITE", "Come to Finviz with a paid login: 100 rows a page, 120 requests a minute."
    )
    finviz_login_url: str = setting(
        "", "FINVIZ_LOGIN_URL", "Address the paid login is sent to; empty sends none."
    )
    finviz_email: str = setting("", "FINVIZ_EMAIL", "E-mail of the paid login.")
    finviz_password: Secret = setting(Secret(""), "FINVIZ_PASSWORD", "Password of the paid login.")
    finviz_export_token: Secret = setting(
        Secret(""), "FINVIZ_EXPORT_TOKEN", "Token that Finviz's paid export is asked with."
    )
    sell_list_cleanup: bool = setting(
        True,
        "SELL_ALL_LIST_CLEANUP_ENABLED",
        "Take what was entered by hand off the list of what can be sold when its time is over.",
    )
    sell_list_lifetime_hours: int = setting(
        72,
        "SELL_ALL_LIST_TICKER_LIFETIME_HOURS",
        "How long what was entered by hand stays on that list.",
        ge=1,
        le=8_784,
    )
    alert_min_level: Literal["INFO", "WARNING", "ERROR", "CRITICAL"] = setting(
        "WARNING", "ALERT_MIN_LEVEL", "Least level that is told, until somebody says another over the API."
    )
    discord_webhook_url: Secret = setting(
        Secret(""), "DISCORD_WEBHOOK_URL", "Discord webhook that alerts go to, until channels are set up."
    )
    discord_hosts: tuple[str, ...] = setting(
        ("discord.com", "discordapp.com", "ptb.discord.com", "canary.discord.com"),
        "PREGAO_DISCORD_HOSTS",
        "Hosts, comma separated, that Discord webhooks may be at.",
    )
    telegram_bot_token: Secret = setting(
        Secret(""), "TELEGRAM_BOT_TOKEN", "Telegram bot that alerts go out by, until channels are set up."
    )
    telegram_chat_id: str = setting("", "TELEGRAM_CHAT_ID", "Telegram chat that alerts go to.")
    telegram_url: str = setting(
        "https://api.telegram.org",
        "PREGAO_TELEGRAM_URL",
        "Address of the Bot API: Telegram's, or one's own server.",
    )
    smtp_server: str = setting("", "SMTP_SERVER", "Mail server of the desk; empty: it sends no mail.")
    smtp_port: int = setting(587, "SMTP_PORT", "Its port; 465 speaks TLS at once.", ge=1, le=65535)
    smtp_username: str = setting("", "SMTP_USERNAME", "Login at the mail server; empty: it asks for none.")
    smtp_password: Secret = setting(Secret(""), "SMTP_PASSWORD", "Password of that login.")
    smtp_security: Literal["starttls", "none"] = setting(
        "starttls", "SMTP_SECURITY", "How the mail server is spoken to; none takes no login."
    )
    email_from: str = setting("", "EMAIL_FROM", "Sender of mails; empty: the login at the mail server.")
    email_to: str = setting(
        "", "EMAIL_TO", "Addresses, comma separated, that alerts go to, until channels are set up."
    )
    lab_cache_url: Secret = setting(
        Secret(""),
        "PREGAO_LAB_CACHE_URL",
        "Redis by which the processes of the research lab and `pregao` share what they computed; empty uses none.",
    )
    model_candles_url: str = setting(
        "",
        "PREGAO_MODEL_CANDLES_URL",
        "Venue whose candles the models that filter entries are shown; empty: Binance.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = setting(
        "INFO", "LOG_LEVEL", "Least severity that is logged."
    )
    demo: bool = setting(
        True, "PREGAO_DEMO", "Create the demo bot with its paper accounts at the first start."
    )

    @property
    def database_embedded(self) -> bool:
        return not self.database_dsn.reveal()

    @property
    def database_url(self) -> str:
        """
        Give the address of the database, the running embedded one included.

        :raises SettingError: when the embedded database was never started from this state folder.
        """
        if not self.database_embedded:
            return self.database_dsn.reveal()
        port = find_number(self.state_dir / "postgres.port")
        if port is None:
            raise SettingError(
                f"DATABASE_NOT_STARTED: state_dir={self.state_dir}. Start the desk first, or set DATABASE_URL."
            )
        return f"postgresql://pregao:{self.database_password.reveal()}@127.0.0.1:{port}/pregao"

    @property
    def paper_address(self) -> str:
        """Give the paper exchange's address: the one that was set, else that of our own."""
        port = self.paper_port or find_number(self.state_dir / "paper.port") or PAPER_PORT_PREFERRED
        return self.paper_url or f"http://127.0.0.1:{port}"

    def secrets(self) -> list[str]:
        """Give every secret's text, so that logs can leave it out."""
        told = [getattr(self, field.name) for field in dataclasses.fields(self)]
        each = [one for value in told for one in (value if isinstance(value, tuple) else (value,))]
        return [one.reveal() for one in each if isinstance(one, Secret) and one.reveal()]


def _key_bytes(text: Secret, code: str, remedy: str) -> bytes:
    try:
        key = base64.b64decode(text.reveal(), validate=True)
    except ValueError:  # no base64, or no ASCII even
        key = b""
    if len(key) != MASTER_KEY_BYTES:
        raise SettingError(f"{code}: bytes={len(key)} expected={MASTER_KEY_BYTES}. {remedy}")
    return key


def find_number(path: Path) -> int | None:
    """Give the number a small file holds, or None when there is no such file."""
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return None


def load_settings() -> Settings:
    """
    Read the settings: the environment first, then the state folder's file `env`.

    :raises SettingError: naming each setting that cannot be used.
    """
    state_dir = Path(os.environ.get("PREGAO_STATE_DIR") or default_state_dir()).absolute()
    return dataclasses.replace(read_settings(Settings, state_dir / ENV_FILE), state_dir=state_dir)


def load_master_keys(state_dir: Path) -> MasterKeySettings:
    """
    Read the master keys alone, as `load_settings` does: the environment first, then the state folder's file `env`.

    :raises SettingError: when they cannot be used.
    """
    return read_settings(MasterKeySettings, state_dir / ENV_FILE)
