"""The master key is changed under a desk that runs: nothing is lost, whatever stops it (F063)."""

import asyncio
import itertools
import json
import os
import signal
import socket
import sys

import pytest

from pregao.accounts.sealing import KeyRetiredError, SealError
from pregao.bootstrap.shared import build_vault
from pregao.edges.postgres.credentials import PostgresCredentials, keep
from pregao.edges.postgres.workers import Workers
from pregao.edges.vault.envelope import EnvelopeVault
from pregao.edges.vault.rotation import BATCH, RotationError, rotate_master_key
from pregao.environment import Secret
from pregao.settings import Settings
from tests.edges.vault.rotating import credentials_of, name_of, rotating, text_of

MANY = BATCH + 100


@pytest.fixture
async def desk(database, tmp_path):
    async with rotating(database, tmp_path) as desk:
        yield desk


async def opened(credentials, accounts) -> list[str]:
    return [(await credentials.find_credentials(account)).secret for account in accounts]


def secrets_of(accounts) -> list[str]:
    return [credentials_of(account).secret for account in accounts]


def waits_for(lock: str) -> str:
    """Ask whether somebody in this database waits for a lock of this kind."""
    return (
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() "
        f"AND wait_event_type = 'Lock' AND wait_event = '{lock}'"
    )


class TestRotate:
    async def test_puts_every_account_under_a_new_key_and_forgets_the_former(self, desk):
        await desk.seal(range(1, 6))
        follower, former = desk.following(), desk.under(desk.first_key)

        done = await rotate_master_key(desk.journal, state_dir=desk.state_dir)

        present = desk.keys.present
        assert present != desk.first_key
        assert desk.keys.former == ()
        assert (done.master_key, done.former) == (name_of(present), (name_of(desk.first_key),))
        assert (done.is_new, done.rewrapped, done.opened, done.is_forgotten) == (True, 5, 5, True)
        assert await desk.names() == {name_of(present): 5}
        assert await opened(follower, range(1, 6)) == secrets_of(range(1, 6))
        assert await former.find_unreadable() == [1, 2, 3, 4, 5]

    async def test_leaves_the_rest_of_the_file_as_it_is(self, desk):
        await rotate_master_key(desk.journal, state_dir=desk.state_dir)

        path = desk.state_dir / "env"
        assert path.read_text() == f"# mine\nPREGAO_MASTER_KEY={text_of(desk.keys.present)}\nLOG_LEVEL=INFO\n"
        assert path.stat().st_mode & 0o777 == 0o600
        assert [one.name for one in desk.state_dir.iterdir()] == ["env"]

    async def test_leaves_no_key_where_a_dump_would_find_it(self, desk):
        """F063: a dump of the database holds no usable key, before, during or after."""
        await desk.seal(range(1, 4))
        await rotate_master_key(desk.journal, state_dir=desk.state_dir, keep_former=True)
        keys = (desk.first_key, desk.keys.present)

        rows = await desk.journal.pool.fetch("SELECT * FROM credentials")
        dumped = b"".join(
            value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row
        )

        for key in keys:
            assert key not in dumped
            assert text_of(key).encode() not in dumped
        assert b"of-an-account" not in dumped

    async def test_keeps_the_former_key_when_told_and_forgets_it_the_next_time(self, desk):
        await desk.seal([1, 2])

        kept = await rotate_master_key(desk.journal, state_dir=desk.state_dir, keep_former=True)
        both = desk.keys
        ended = await rotate_master_key(desk.journal, state_dir=desk.state_dir)

        assert both.former == (desk.first_key,)
        assert (kept.is_forgotten, ended.is_forgotten) == (False, True)
        assert (ended.is_new, ended.master_key) == (False, kept.master_key)
        assert (desk.keys.present, desk.keys.former) == (both.present, ())

    async def test_may_be_done_again_and_again(self, desk):
        await desk.seal([1])
        follower = desk.following()

        names = [
            (await rotate_master_key(desk.journal, state_dir=desk.state_dir)).master_key for _ in range(3)
        ]

        assert len(set(names)) == 3
        assert await opened(follower, [1]) == secrets_of([1])

    async def test_has_nothing_to_do_on_a_desk_without_accounts(self, desk):
        done = await rotate_master_key(desk.journal, state_dir=desk.state_dir)

        assert (done.rewrapped, done.opened) == (0, 0)
        assert desk.keys.present != desk.first_key

    async def test_takes_more_accounts_than_one_transaction(self, desk):
        await desk.seal(range(1, MANY + 1))

        done = await rotate_master_key(desk.journal, state_dir=desk.state_dir)

        assert (done.rewrapped, done.opened) == (MANY, MANY)


class TestSealedMeanwhile:
    """A process that has not heard of the new key yet."""

    async def sealed(self, desk, account: int):
        return EnvelopeVault(desk.first_key, desk_id=desk.desk).seal(
            credentials_of(account), account_id=account
        )

    async def test_what_it_commits_while_rows_are_rewrapped_stays_readable(self, desk):
        await desk.seal(range(1, 4))
        late = await self.sealed(desk, 99)
        async with desk.journal.transaction() as transaction:
            await keep(transaction.connection, 99, late)
            rotation = asyncio.create_task(rotate_master_key(desk.journal, state_dir=desk.state_dir))
            async with asyncio.timeout(10):  # all that could be seen is rewrapped; the last step waits for us
                while not await desk.journal.pool.fetchval(waits_for("advisory")):
                    await asyncio.sleep(0.02)
            assert not rotation.done()

        done = await rotation

        assert (done.rewrapped, done.is_forgotten) == (4, True)
        assert await desk.under(desk.keys.present).find_unreadable() == []
        assert await opened(desk.under(desk.keys.present), [99]) == secrets_of([99])

    async def test_what_it_would_commit_after_the_key_was_forgotten_is_refused(self, desk):
        """Kept, it could be opened by nobody."""
        late = await self.sealed(desk, 99)
        await rotate_master_key(desk.journal, state_dir=desk.state_dir)

        with pytest.raises(
            KeyRetiredError, match=f"MASTER_KEY_RETIRED: master_key={name_of(desk.first_key)}"
        ):
            async with desk.journal.transaction() as transaction:
                await keep(transaction.connection, 99, late)
        with pytest.raises(KeyRetiredError):
            await desk.under(desk.first_key, desk.keys.present).rewrap()

        assert await desk.names() == {}

    async def test_it_seals_under_the_new_key_as_soon_as_the_file_has_it(self, desk):
        follower = desk.following()

        await rotate_master_key(desk.journal, state_dir=desk.state_dir)
        sealed = follower._vault.seal(credentials_of(1), account_id=1)

        assert sealed.master_key == name_of(desk.keys.present)


class TestKilled:
    """kill -9 at every place where something has been done and something has not."""

    async def killed(self, desk, *, until: str) -> None:
        """Start the command and kill it when the query says so; whatever it waits for is held by the caller."""
        process = await desk.start()
        async with asyncio.timeout(30):
            while not await desk.journal.pool.fetchval(until):
                assert process.returncode is None, (await process.communicate())[1]
                await asyncio.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        await process.communicate()

    async def finished(self, desk) -> dict:
        """Run it again, and see that it went on with the key that was made."""
        made = desk.keys.present
        code, out, err = await desk.run("--json")
        assert code == 0, err
        done = json.loads(out)
        assert (done["is_new"], done["master_key"]) == (False, name_of(made))
        assert desk.keys.former == ()
        assert await desk.under(desk.keys.present).find_unreadable() == []
        assert len(await desk.under(desk.first_key).find_unreadable()) == done["opened"]
        return done

    async def test_before_the_first_row(self, desk):
        await desk.seal(range(1, MANY + 1))
        async with desk.journal.transaction() as held:
            await held.connection.execute("SELECT FROM credentials WHERE account_id = 1 FOR UPDATE")
            await self.killed(desk, until=waits_for("transactionid"))

        assert await desk.names() == {name_of(desk.first_key): MANY}
        assert desk.keys.former == (desk.first_key,)
        assert await desk.under(desk.keys.present, *desk.keys.former).find_unreadable() == []
        assert (await self.finished(desk))["rewrapped"] == MANY

    async def test_between_two_batches(self, desk):
        await desk.seal(range(1, MANY + 1))
        follower = desk.following()
        async with desk.journal.transaction() as held:
            await held.connection.execute(
                "SELECT FROM credentials WHERE account_id = $1 FOR UPDATE", BATCH + 1
            )
            await self.killed(
                desk,
                until=f"{waits_for('transactionid')} AND (SELECT count(DISTINCT master_key) = 2 FROM credentials)",
            )

        assert await desk.names() == {name_of(desk.first_key): 100, name_of(desk.keys.present): BATCH}
        assert await follower.find_unreadable() == []
        assert (await self.finished(desk))["rewrapped"] == 100

    async def test_before_the_former_key_is_retired(self, desk):
        await desk.seal(range(1, 4))
        async with desk.journal.transaction() as held:
            await held.connection.execute("SELECT pg_advisory_xact_lock_shared(7234004)")
            await self.killed(desk, until=waits_for("advisory"))

        assert await desk.names() == {name_of(desk.keys.present): 3}
        assert desk.keys.former == (desk.first_key,)
        assert (await self.finished(desk))["rewrapped"] == 0

    async def test_before_the_former_key_is_taken_out_of_the_file(self, desk):
        await desk.seal(range(1, 4))
        await rotate_master_key(desk.journal, state_dir=desk.state_dir, keep_former=True)
        await desk.journal.pool.execute(
            "INSERT INTO retired_master_keys (master_key) VALUES ($1)", name_of(desk.first_key)
        )

        assert (await self.finished(desk))["rewrapped"] == 0


class TestRefused:
    @pytest.mark.parametrize("name", ["PREGAO_MASTER_KEY", "PREGAO_FORMER_MASTER_KEYS"])
    async def test_when_the_key_is_the_environments(self, desk, name):
        """The environment comes before the file: nobody would follow."""
        before = (desk.state_dir / "env").read_text()

        code, out, err = await desk.run(**{name: text_of(desk.first_key)})

        assert (code, out) == (1, "")
        assert err.startswith(f"MASTER_KEY_IN_ENVIRONMENT: names={name} of=this command.")
        assert (desk.state_dir / "env").read_text() == before

    async def test_when_a_trader_here_has_the_key_from_its_environment(self, desk):
        trader = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "input()"),
            env={"PREGAO_MASTER_KEY": text_of(desk.first_key)},
            stdin=asyncio.subprocess.PIPE,
        )
        name = f"trader-{socket.gethostname()}-{trader.pid}"
        lease = await Workers(desk.journal.pool).enter(worker_id=name, role="trader")

        with pytest.raises(RotationError, match=f"MASTER_KEY_IN_ENVIRONMENT: .* of={name}"):
            await rotate_master_key(desk.journal, state_dir=desk.state_dir)

        await Workers(desk.journal.pool).leave(lease)
        trader.kill()
        await trader.wait()
        assert desk.keys.present == desk.first_key

    async def test_when_a_trader_elsewhere_reads_another_file(self, desk):
        lease = await Workers(desk.journal.pool).enter(worker_id="trader-another.host-7", role="trader")

        with pytest.raises(RotationError, match="MASTER_KEY_ELSEWHERE: worker=trader-another"):
            await rotate_master_key(desk.journal, state_dir=desk.state_dir)
        assert desk.keys.present == desk.first_key

        await rotate_master_key(desk.journal, state_dir=desk.state_dir, file_is_shared=True)
        assert desk.keys.present != desk.first_key
        await Workers(desk.journal.pool).leave(lease)

    async def test_follows_traders_of_this_machine_that_read_the_file(self, desk):
        lease = await Workers(desk.journal.pool).enter(
            worker_id=f"trader-{socket.gethostname()}-{os.getpid()}", role="trader"
        )

        await rotate_master_key(desk.journal, state_dir=desk.state_dir)

        assert desk.keys.present != desk.first_key
        await Workers(desk.journal.pool).leave(lease)

    async def test_when_no_key_at_hand_opens_an_account(self, desk):
        await desk.seal([1, 2])
        await desk.seal([3], key=os.urandom(32))
        await desk.journal.pool.execute("UPDATE credentials SET sealed = '\\x00' WHERE account_id = 2")

        with pytest.raises(RotationError, match="CREDENTIALS_UNREADABLE: accounts=2,3"):
            await rotate_master_key(desk.journal, state_dir=desk.state_dir)
        assert desk.keys.present == desk.first_key

        done = await rotate_master_key(desk.journal, state_dir=desk.state_dir, leave_unreadable=True)
        assert (done.unreadable, done.opened, done.rewrapped) == ((2, 3), 1, 1)
        assert await opened(desk.under(desk.keys.present), [1]) == secrets_of([1])

    async def test_while_another_one_runs(self, desk):
        async with desk.journal.pool.acquire() as connection:
            await connection.execute("SELECT pg_advisory_lock(7234005)")
            with pytest.raises(RotationError, match="ROTATION_RUNNING"):
                await rotate_master_key(desk.journal, state_dir=desk.state_dir)
            await connection.execute("SELECT pg_advisory_unlock(7234005)")

    async def test_when_the_file_has_no_key(self, desk):
        (desk.state_dir / "env").write_text("LOG_LEVEL=INFO\n")

        code, _, err = await desk.run()

        assert (code, err.partition(":")[0]) == (1, "MASTER_KEY_UNUSABLE")

    async def test_when_the_database_is_away(self, desk):
        code, _, err = await desk.run(DATABASE_URL="postgresql://nobody@127.0.0.1:9/none")

        assert (code, err.partition(":")[0]) == (1, "ROTATION_STOPPED")
        assert "Traceback" not in err


class TestCommand:
    async def test_says_what_was_done_and_no_key(self, desk):
        await desk.seal([1, 2])

        code, out, err = await desk.run("--keep-former")
        again = await desk.run()

        assert code == 0, err
        present, former = name_of(desk.keys.present), name_of(desk.first_key)
        assert f"2 accounts were put under the master key {present}, and 2 opened under it alone." in out
        assert f"{former} is kept beside it." in out
        assert "this one finished it and made no other key." in again[1]
        assert f"{former} is forgotten." in again[1]
        for key in (desk.keys.present, desk.first_key):
            assert text_of(key) not in out + err + again[1] + again[2]

    async def test_leaves_the_former_key_useless(self, desk):
        """F063: after forgetting, the old key opens nothing."""
        await desk.seal(range(1, 4))
        await desk.run()

        with pytest.raises(SealError):
            await desk.under(desk.first_key).find_credentials(1)
        assert await desk.under(desk.first_key).find_unreadable() == [1, 2, 3]


class TestByHand:
    async def test_in_rounds_every_process_opens_what_any_other_seals(self, desk):
        """The key comes from the environment: docs/runbook/rotate-master-key.md."""
        old, new = text_of(desk.first_key), text_of(os.urandom(32))
        rounds = [(old, ""), (old, new), (new, old), (new, "")]
        vaults = [
            build_vault(
                Settings(
                    master_key=Secret(present),
                    former_master_keys=(Secret(other),) if other else (),
                    state_dir=desk.state_dir / "none",
                ),
                desk=desk.desk,
            )
            for present, other in rounds
        ]

        for one, next_one in itertools.pairwise(vaults[:3]):
            for sealer, opener in ((one, next_one), (next_one, one)):
                sealed = sealer.seal(credentials_of(1), account_id=1)
                assert opener.unseal(sealed, account_id=1) == credentials_of(1)
        await desk.seal([1, 2])
        assert await PostgresCredentials(desk.journal.pool, vault=vaults[2]).rewrap() == 2
        assert await PostgresCredentials(desk.journal.pool, vault=vaults[3]).find_unreadable() == []
