"""F063: the master key is changed while the desk trades, and nobody who trades notices."""

import asyncio
import itertools
import json

from pregao.edges.paper.serve import PaperSettings
from pregao.edges.postgres.rebuild import compare_with_journal
from pregao.edges.vault.rotation import BATCH
from tests.edges.vault.rotating import name_of, rotating, text_of
from tests.journeys.whole_desk import running_desk

ACCOUNTS = "/api/v1/exchange-accounts"
HOLD = "SELECT FROM credentials WHERE account_id = $1 FOR UPDATE"
IS_HALF_DONE = "SELECT count(DISTINCT master_key) = 2 FROM credentials"


class TestTheRotation:
    async def test_f063_desk_trades_on_and_the_old_key_opens_nothing(self, database, tmp_path):
        async with (
            rotating(database, tmp_path) as keys,
            running_desk(
                database, tmp_path, paper=PaperSettings(still=True), master_key=text_of(keys.first_key)
            ) as desk,
        ):
            bot = await desk.create_bot()
            ana = await desk.open_account("Ana")
            await desk.subscribe(bot, ana)
            others = range(1_000, 1_000 + BATCH)  # so many that the rotation takes two transactions
            await keys.seal(others)
            trading = asyncio.create_task(_trade(desk, bot))
            await asyncio.sleep(0.5)

            async with keys.journal.transaction() as held:
                await held.connection.execute(HOLD, others[-1])
                rotation = await keys.start("--json")
                async with asyncio.timeout(30):
                    while not await keys.journal.pool.fetchval(IS_HALF_DONE):
                        await asyncio.sleep(0.02)
                # The bell that tells of the new account makes the trader open every account's credentials anew.
                bruno = await desk.open_account("Bruno")
                await desk.subscribe(bot, bruno)
                await asyncio.sleep(0.5)
                assert len(await keys.names()) == 2
            out, err = await rotation.communicate()
            assert rotation.returncode == 0, err
            await desk.open_account("Carla")
            await asyncio.sleep(0.5)
            trading.cancel()
            receipts = [await desk.receipt(signal_id) for signal_id in await trading]
            await desk.receipt(await _signal(desk, bot, "close"))  # whatever the last one left open
            last = [await desk.receipt(await _signal(desk, bot, action)) for action in ("sell", "close")]

            present, first = keys.keys.present, keys.first_key
            sealed = {
                account: await keys.under(present).find_credentials(account) for account in (ana, bruno)
            }
            dumped = await _everything_stored(keys.journal.pool)
            comparison = await compare_with_journal(keys.journal)
            books = await desk.paper_books()

        rows = [row for receipt in receipts for row in receipt["rows"] if row["account"] == "Ana"]
        assert len(rows) > 5
        assert {row["outcome"] for row in rows} == {"filled"}, [row["reason"] for row in rows]
        assert [{row["account"]: row["outcome"] for row in receipt["rows"]} for receipt in last] == [
            {"Ana": "filled", "Bruno": "filled"}
        ] * 2
        assert json.loads(out)["master_key"] == name_of(present) != name_of(first)
        assert comparison.differences == ()
        assert sealed.keys() == {ana, bruno}
        assert {credentials.key for credentials in sealed.values()} <= books.keys()
        for credentials in sealed.values():
            assert credentials.key.encode() not in dumped
            assert credentials.secret.encode() not in dumped
        for key in (present, first):
            assert key not in dumped
            assert text_of(key).encode() not in dumped

    async def test_f063_old_key_opens_nothing_once_it_is_forgotten(self, database, tmp_path):
        async with (
            rotating(database, tmp_path) as keys,
            running_desk(
                database, tmp_path, paper=PaperSettings(still=True), master_key=text_of(keys.first_key)
            ) as desk,
        ):
            for name in ("Ana", "Bruno"):
                await desk.open_account(name)
            assert await keys.under(keys.first_key).find_unreadable() == []

            code, _, err = await keys.run()
            await desk.open_account("Carla")

            assert code == 0, err
            accounts = [account["account_id"] for account in (await desk.ask("GET", ACCOUNTS))["items"]]
            assert len(accounts) >= 3
            assert await keys.under(keys.first_key).find_unreadable() == sorted(accounts)
            assert await keys.under(keys.keys.present).find_unreadable() == []


numbers = itertools.count()


async def _trade(desk, bot) -> list[str]:
    """Open and close until canceled; give the signals."""
    signals = []
    try:
        for action in itertools.cycle(("buy", "close")):
            signals.append(await asyncio.shield(_signal(desk, bot, action)))
            await desk.receipt(signals[-1])
    except asyncio.CancelledError:
        pass
    return signals


async def _signal(desk, bot, action: str) -> str:
    answer = await desk.post(bot, json.dumps({"ticker": "BTCUSDT", "action": action, "note": next(numbers)}))
    assert answer.status_code in (200, 202), answer.text
    signal_id: str = answer.json()["signal_id"]
    return signal_id


async def _everything_stored(pool) -> bytes:
    """All that any table holds, as a dump would tell it."""
    tables = await pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'pregao'")
    rows = [row for table in tables for row in await pool.fetch(f"SELECT * FROM {table[0]}")]
    return b"\n".join(
        value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row
    )
