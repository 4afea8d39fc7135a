"""The books outlive the process: a clean restart, a kill -9, a torn last line."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from pregao.edges.paper.ledger import Ledger
from pregao.edges.paper.serve import PaperServer, PaperSettings
from tests.edges.paper.signed_client import KEY, SECRET, SignedClient, funded

SOURCE = Path(__file__).parents[3] / "src"
RUN = """
import asyncio, sys
from pathlib import Path
from pregao.edges.paper.serve import PaperSettings, PaperServer

async def main():
    server = PaperServer(PaperSettings(state_dir=Path(sys.argv[1])))
    await server.start()
    print(server.url, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


class Address:
    """What the client needs to know of a server that runs elsewhere."""

    def __init__(self, url):
        self.url = url


async def start(folder):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        RUN,
        str(folder),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
    )
    url = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()
    return process, url


class TestLedger:
    async def test_survives_a_kill_with_everything_that_was_answered(self, tmp_path):
        process, url = await start(tmp_path)
        async with SignedClient(Address(url)) as client:
            await funded(client)
            listen_key = await client.listen_key()
            await asyncio.gather(*(client.order(newClientOrderId=f"p{number}") for number in range(40)))
            await client.algo(trigger="50000", closePosition="true", clientAlgoId="stop")
            before = await client.books()
        process.send_signal(signal.SIGKILL)
        await process.wait()

        process, url = await start(tmp_path)
        async with SignedClient(Address(url)) as client:
            after = await client.books()
            same_key = await client.listen_key()
            status, body = await client.order()
        process.send_signal(signal.SIGKILL)
        await process.wait()

        assert after == before
        assert (len(before["fills"]), same_key, status) == (40, listen_key, 200)
        assert body["orderId"] == before["orders"][-1]["order_id"] + 1

    async def test_survives_a_clean_stop_by_its_snapshot(self, tmp_path):
        settings = PaperSettings(still=True, state_dir=tmp_path, accounts=(f"{KEY}:{SECRET}:500",))
        books = []
        for _ in range(2):
            server = PaperServer(settings)
            await server.start()
            async with SignedClient(server) as client:
                if not books:
                    await client.order()
                    await client.control("POST", "/paper/prices", symbol="BTCUSDT", price="90500")
                books.append(
                    (await client.books(), (await client.get("/fapi/v3/positionRisk"))[0]["markPrice"])
                )
            await server.stop()

        assert books[0] == books[1]
        assert books[0][1] == "90500.00000000"

    async def test_forgets_half_a_line_nobody_was_answered_for(self, tmp_path):
        process, url = await start(tmp_path)
        async with SignedClient(Address(url)) as client:
            await funded(client)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        log = next(tmp_path.glob("commands.*.jsonl"))
        log.write_bytes(log.read_bytes() + b'["PlaceOrder",{"at_ms":17')

        books = Ledger(tmp_path)
        restored = books.restore()
        books.close()

        assert list(restored.accounts) == [KEY]

    def test_keeps_nothing_without_a_folder(self):
        ledger = Ledger(None)

        assert ledger.restore().accounts == {}
        ledger.close()

    @pytest.mark.parametrize("account", ["onlykey", "a:b:c:d"])
    async def test_refuses_an_account_it_cannot_read(self, account):
        with pytest.raises(ValueError, match="ACCOUNT_MALFORMED"):
            await PaperServer(PaperSettings(still=True, accounts=(account,))).start()
