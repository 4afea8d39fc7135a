"""Passwords under Argon2id, hashed in threads of their own."""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

Result = TypeVar("Result")

HASHES_AT_ONCE_MAX = 2  # each takes 64 MiB and a processor for 0.1 s: logins wait rather than the desk


class Argon2Passwords:
    """The port `accounts.ports.Passwords`. The parameters are RFC 9106's second choice, as argon2-cffi has them."""

    def __init__(self, hasher: Argon2Hasher | None = None) -> None:
        """Take other parameters from ``hasher``: weak ones are for tests."""
        self._hasher = hasher or Argon2Hasher()
        self._hashing = PasswordHash((self._hasher,))
        self._threads = ThreadPoolExecutor(HASHES_AT_ONCE_MAX, thread_name_prefix="argon2")
        self._nobodys: str | None = None

    async def hash(self, password: str) -> str:
        return await self._in_thread(self._hashing.hash, password)

    async def verify(self, password: str, *, password_hash: str | None) -> bool:
        return await self._in_thread(self._verify, password, password_hash)

    def is_outdated(self, password_hash: str) -> bool:
        return self._hasher.check_needs_rehash(password_hash)

    def _verify(self, password: str, password_hash: str | None) -> bool:
        if self._nobodys is None:
            self._nobodys = self._hashing.hash(secrets.token_hex())
        is_right = self._hashing.verify(password, password_hash or self._nobodys)
        return is_right and password_hash is not None

    async def _in_thread(self, work: Callable[..., Result], *arguments: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
