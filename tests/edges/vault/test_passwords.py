"""Passwords under Argon2: what is right, what is kept, and that nobody learns who is known."""

import asyncio
import time
from statistics import median

from pwdlib.hashers.argon2 import Argon2Hasher

from pregao.edges.vault.passwords import Argon2Passwords

QUICK = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)


class TestArgon2Passwords:
    async def test_know_the_right_one(self):
        passwords = Argon2Passwords(QUICK)

        kept = await passwords.hash("correct horse")

        assert await passwords.verify("correct horse", password_hash=kept)
        assert not await passwords.verify("correct hors", password_hash=kept)
        assert not await passwords.verify("correct horse", password_hash=None)

    async def test_keep_nothing_of_it_and_a_salt_for_each(self):
        passwords = Argon2Passwords(QUICK)

        hashes = [await passwords.hash("correct horse") for _ in range(2)]

        assert hashes[0] != hashes[1]
        assert all(one.startswith("$argon2id$") and "horse" not in one for one in hashes)

    async def test_know_a_hash_of_weaker_times(self):
        weak, strong = Argon2Passwords(QUICK), Argon2Passwords()

        kept = await weak.hash("correct horse")

        assert strong.is_outdated(kept)
        assert not weak.is_outdated(kept)
        assert await strong.verify("correct horse", password_hash=kept)

    async def test_take_as_long_for_nobody(self):
        """Who asks for a user that is not there must not hear it from the clock."""
        passwords = Argon2Passwords()
        kept = await passwords.hash("correct horse")

        async def seconds(password_hash):
            began = time.perf_counter()
            await passwords.verify("wrong", password_hash=password_hash)
            return time.perf_counter() - began

        await seconds(None)
        times = [(await seconds(kept), await seconds(None)) for _ in range(5)]

        known, unknown = (median(one) for one in zip(*times, strict=True))
        assert 0.5 < known / unknown < 2

    async def test_do_not_stop_the_loop(self):
        passwords = Argon2Passwords()
        hashing = asyncio.create_task(passwords.hash("correct horse"))
        turns = 0

        while not hashing.done():
            await asyncio.sleep(0.001)
            turns += 1

        assert turns > 5
