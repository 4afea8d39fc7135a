"""What `pregao doctor` looks at: whether the settings can be used and the database keeps what it promised."""

import stat
from dataclasses import dataclass

import asyncpg

from pregao.environment import SettingError
from pregao.settings import Settings

ON = ("fsync", "full_page_writes", "synchronous_commit")
QUORUM_VALUES = ("on", "remote_apply")  # a commit waits for a standby's disk


@dataclass(frozen=True)
class Finding:
    """One thing looked at: what it was, whether the desk may run with it, and what to do if not."""

    subject: str
    found: str
    is_fine: bool
    remedy: str = ""


def examine_settings(settings: Settings) -> list[Finding]:
    """Look at the settings without touching the database."""
    findings = [
        _secret("PREGAO_ADMIN_TOKEN", settings.admin_token.reveal()),
        _secret("PREGAO_METRICS_TOKEN", settings.metrics_token.reveal()),
    ]
    if settings.demo:
        findings.append(_secret("PREGAO_DEMO_SECRET", settings.demo_secret.reveal()))
    if settings.database_embedded:
        findings.append(_secret("PREGAO_DATABASE_PASSWORD", settings.database_password.reveal()))
    try:
        settings.master_key_bytes()
        findings.append(Finding("PREGAO_MASTER_KEY", "32 bytes", is_fine=True))
    except SettingError as error:
        findings.append(Finding("PREGAO_MASTER_KEY", "unusable", is_fine=False, remedy=str(error)))
    if settings.former_master_keys:
        findings.append(_former_keys(settings))
    tape = settings.paper_tape
    if tape is not None:
        is_there = tape.is_file()
        remedy = "" if is_there else "Set PREGAO_PAPER_TAPE to a recorded tape, or leave it empty."
        findings.append(Finding("PREGAO_PAPER_TAPE", str(tape), is_fine=is_there, remedy=remedy))
    environment = settings.state_dir / "env"
    if environment.exists():
        mode = stat.S_IMODE(environment.stat().st_mode)
        remedy = "" if mode & 0o077 == 0 else f"chmod 600 {environment}"
        findings.append(Finding("secrets file", f"{mode:04o}", is_fine=not remedy, remedy=remedy))
    return findings


def _former_keys(settings: Settings) -> Finding:
    name = "PREGAO_FORMER_MASTER_KEYS"
    try:
        keys = settings.former_master_keys_bytes()
    except SettingError as error:
        return Finding(name, "unusable", is_fine=False, remedy=str(error))
    remedy = "A rotation is not finished: run `pregao account rotate-master-key`, or empty it after a rewrap."
    return Finding(name, f"{len(keys)} keys", is_fine=True, remedy=remedy)


async def examine_database(dsn: str) -> list[Finding]:
    """
    Look at the server: version, durability, and with standbys a synchronous quorum.

    A server that cannot be reached is a finding, too.
    """
    try:
        connection = await asyncpg.connect(dsn, timeout=10)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        remedy = "Start the desk, or set DATABASE_URL to a server that answers."
        return [Finding("database", f"no connection: {type(error).__name__}", is_fine=False, remedy=remedy)]
    try:
        version = await connection.fetchval("SHOW server_version")
        number = int(await connection.fetchval("SHOW server_version_num"))
        remedy = "" if number >= 180000 else "Use PostgreSQL 18 or later."
        findings = [Finding("PostgreSQL", version, is_fine=not remedy, remedy=remedy)]
        for name in ON:
            value = await connection.fetchval("SELECT current_setting($1)", name)
            remedy = "" if value in ("on", "remote_apply", "remote_write") else _switch_on(name)
            findings.append(Finding(name, value, is_fine=not remedy, remedy=remedy))
        return [*findings, *await _examine_standbys(connection)]
    finally:
        await connection.close()


async def _examine_standbys(connection: "asyncpg.Connection[asyncpg.Record]") -> list[Finding]:
    standbys = await connection.fetchval("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")
    if not standbys:
        return []
    names = await connection.fetchval("SHOW synchronous_standby_names")
    commit = await connection.fetchval("SHOW synchronous_commit")
    is_fine = bool(names) and commit in QUORUM_VALUES
    remedy = (
        "" if is_fine else "Set synchronous_standby_names to a quorum: a failover must not lose a sent order."
    )
    return [
        Finding("standbys", f"{standbys}, synchronous: {names or 'none'}", is_fine=is_fine, remedy=remedy)
    ]


def _switch_on(name: str) -> str:
    return f"Set {name} = on: an accepted signal or a sent order would be forgotten in a crash."


def _secret(name: str, value: str) -> Finding:
    if value:
        return Finding(name, "set", is_fine=True)
    return Finding(name, "missing", is_fine=False, remedy=f"Set {name}; `python run.py` makes one.")
