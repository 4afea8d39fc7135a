"""A desk's file `env`, sealed credentials in a real database, and the command that rotates their master key."""

import asyncio
import base64
import os
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from pregao.accounts.sealing import Credentials
from pregao.edges.postgres.credentials import PostgresCredentials
from pregao.edges.postgres.journal import Journal, desk_id, open_journal
from pregao.edges.vault.envelope import EnvelopeVault, MasterKeys, master_key_name
from pregao.edges.vault.key_file import KeyFile, keys_of
from pregao.settings import load_master_keys


def text_of(key: bytes) -> str:
    return base64.b64encode(key).decode()


def credentials_of(account_id: int) -> Credentials:
    return Credentials(key=f"key-{account_id}-of-an-account", secret=f"secret-{account_id}-of-an-account")


@dataclass
class Rotating:
    """What a test looks at."""

    journal: Journal
    dsn: str
    state_dir: Path
    desk: UUID
    first_key: bytes

    @property
    def keys(self) -> MasterKeys:
        """Read the file as a process does that starts now."""
        return keys_of(load_master_keys(self.state_dir))

    def under(self, *keys: bytes) -> PostgresCredentials:
        """Give the credentials as a process opens them that has these keys, the present one first."""
        vault = EnvelopeVault(keys[0], former_keys=keys[1:], desk_id=self.desk)
        return PostgresCredentials(self.journal.pool, vault=vault)

    def following(self) -> PostgresCredentials:
        """Give them as a process opens them that began with the first key and follows the file."""
        known = MasterKeys(self.first_key)
        vault = EnvelopeVault(
            self.first_key, desk_id=self.desk, keys_changed=KeyFile(self.state_dir, known=known).changed
        )
        return PostgresCredentials(self.journal.pool, vault=vault)

    async def seal(self, accounts: Iterable[int], *, key: bytes | None = None) -> None:
        """Seal credentials for these accounts, as a process does that has no other key."""
        vault = EnvelopeVault(key or self.first_key, desk_id=self.desk)
        sealed = [(one, vault.seal(credentials_of(one), account_id=one)) for one in accounts]
        await self.journal.pool.executemany(
            "INSERT INTO credentials (account_id, sealed, wrapped_key, master_key) VALUES ($1, $2, $3, $4)",
            [(account, one.sealed, one.wrapped_key, one.master_key) for account, one in sealed],
        )

    async def names(self) -> dict[str, int]:
        """Count the accounts under each master key, by its name."""
        rows = await self.journal.pool.fetch(
            "SELECT master_key, count(*) AS accounts FROM credentials GROUP BY master_key"
        )
        return {row["master_key"]: row["accounts"] for row in rows}

    async def start(self, *options: str, **environment: str) -> asyncio.subprocess.Process:
        """Start the command as a process of its own, which can be killed."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("PREGAO_")}
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pregao", "account", "rotate-master-key", *options),
            env={
                **own,
                "PREGAO_STATE_DIR": str(self.state_dir),
                "DATABASE_URL": self.dsn,
                "PYTHONPATH": os.pathsep.join(sys.path),
                **environment,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *options: str, **environment: str) -> tuple[int, str, str]:
        process = await self.start(*options, **environment)
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()


@asynccontextmanager
async def rotating(dsn: str, state_dir: Path) -> AsyncIterator[Rotating]:
    journal = await open_journal(dsn, connections_max=4)
    key = os.urandom(32)
    (state_dir / "env").write_text(f"# mine\nPREGAO_MASTER_KEY={text_of(key)}\nLOG_LEVEL=INFO\n")
    try:
        yield Rotating(journal, dsn, state_dir, await desk_id(journal), key)
    finally:
        journal.pool.terminate()


def name_of(key: bytes) -> str:
    return master_key_name(key)
