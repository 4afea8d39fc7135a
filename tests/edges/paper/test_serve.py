"""The server as a whole: its own port or somebody's socket, recorded prices, the end by signal."""

import asyncio
import os
import shutil
import signal
import socket
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from pregao.edges.paper.ledger import Ledger
from pregao.edges.paper.serve import PaperServer, PaperSettings
from pregao.edges.paper.tapes import load_tape
from pregao.simulation.instruments import read_listings
from tests.edges.paper.signed_client import KEY, SignedClient, heard

REPOSITORY = Path(__file__).parents[3]
TICKS = REPOSITORY.parent / "shared" / "data" / "ticks"
LTC = TICKS / "binance_LTCUSDT_trades_20250621_part1.csv.gz"
TRX = TICKS / "binance_TRXUSDT_usdm_trades_20250304.csv.gz"
RUN = """
import asyncio
from pregao.edges.paper.serve import PaperSettings, serve
asyncio.run(serve(PaperSettings(still=True, log=lambda line: print(line, flush=True))))
"""
needs_tapes = pytest.mark.skipif(not LTC.exists(), reason="the recorded tapes are not beside the repository")


class TestServe:
    async def test_takes_a_socket_that_is_already_bound(self):
        bound = socket.create_server(("127.0.0.1", 0))
        server = PaperServer(PaperSettings(still=True), bound_socket=bound)
        await server.start()
        async with SignedClient(server) as client:
            answer = await client.get("/fapi/v1/ping")
        await server.stop()

        assert (answer, server.port) == ({}, bound.getsockname()[1] if bound.fileno() >= 0 else server.port)

    async def test_ends_cleanly_on_a_signal(self):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            RUN,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY / "src")},
        )
        begun = await asyncio.wait_for(process.stdout.readline(), 20)
        process.send_signal(signal.SIGTERM)
        rest = await asyncio.wait_for(process.stdout.read(), 10)

        assert begun.startswith(b"paper.serve.started url=http://127.0.0.1:")
        assert rest.startswith(b"paper.serve.stopped")
        assert await process.wait() == 0

    async def test_moves_its_prices_on_the_seed(self):
        server = PaperServer(PaperSettings(simulate_seed=3))
        await server.start()
        async with SignedClient(server) as client:
            socket = await client.stream("/market/ws/btcusdt@aggTrade")
            first, second = await heard(socket, 2)
            health = (await client.control("GET", "/paper/health"))[1]
            await socket.close()
        await server.stop()

        assert (second["a"] > first["a"], health["market"]) == (True, "SIMULATED")

    @needs_tapes
    async def test_plays_a_recorded_tape_at_its_speed(self):
        server = PaperServer(PaperSettings(tape=LTC, speed=60.0))
        await server.start()
        async with SignedClient(server) as client:
            socket = await client.stream("/market/ws/ltcusdt@aggTrade")
            messages = await heard(socket, 20)
            contracts = (await client.get("/fapi/v1/exchangeInfo"))["symbols"]
            book = await client.get("/fapi/v1/ticker/bookTicker", symbol="LTCUSDT")
            other = await client.get("/fapi/v1/ticker/price", symbol="BTCUSDT")
            await socket.close()
        await server.stop()

        ours = [(message["p"], message["q"]) for message in messages]
        tape = [(f"{tick.price:.2f}", f"{tick.quantity:.3f}") for tick in load_tape(LTC)[:200]]
        start = tape.index(ours[0])
        assert ours == tape[start : start + 20]
        assert [contract["symbol"] for contract in contracts] == ["LTCUSDT"]
        assert (book["bidPrice"], other["code"]) == (book["askPrice"], -1121)

    @needs_tapes
    def test_leaves_out_the_venues_empty_row(self):
        """The TRXUSDT tape holds one row with price 0 and quantity 0, as the venue's raw trades do."""
        ticks = load_tape(TRX)

        assert (len(ticks), min(tick.price for tick in ticks) > 0) == (9_999, True)

    def test_refuses_a_tape_without_a_symbol(self, tmp_path):
        with pytest.raises(ValueError, match="TAPE_SYMBOL_UNKNOWN"):
            load_tape(tmp_path / "prices.csv")


class TestAddressLimit:
    async def test_tells_the_weight_it_allows(self):
        """Who trusts the published limit must neither be refused before it nor stop short of it."""
        server = PaperServer(PaperSettings(still=True, weight_max=31))
        await server.start()
        async with SignedClient(server) as client:
            [told] = [
                one["limit"]
                for one in (await client.get("/fapi/v1/exchangeInfo"))["rateLimits"]
                if one["rateLimitType"] == "REQUEST_WEIGHT"
            ]
            answers = [(await client.ask("GET", "/fapi/v1/time"))[0] for _ in range(told)]
        await server.stop()

        assert (told, answers) == (31, [200] * (told - 1) + [429])


class TestListings:
    async def test_a_contract_may_be_listed_with_a_finer_step_and_a_lower_minimum(self, tmp_path):
        changes = ("BTCUSDT:step=0.00001,notional_min=5",)
        server = PaperServer(PaperSettings(still=True, state_dir=tmp_path, listings=changes))
        await server.start()
        async with SignedClient(server) as client:
            info = await client.get("/fapi/v1/exchangeInfo")
            status, _ = await client.order(quantity="0.00105")
            [position] = await client.get("/fapi/v3/positionRisk")
            copy = shutil.copytree(tmp_path, tmp_path / "copy")
        await server.stop()
        reader = Ledger(copy)
        replayed = reader.restore(read_listings(changes))
        reader.close()

        [contract] = [one for one in info["symbols"] if one["symbol"] == "BTCUSDT"]
        filters = {one["filterType"]: one for one in contract["filters"]}
        assert filters["MARKET_LOT_SIZE"]["stepSize"] == filters["LOT_SIZE"]["minQty"] == "0.00001"
        assert contract["quantityPrecision"] == 5
        assert filters["MIN_NOTIONAL"]["notional"] == "5"
        assert (status, position["positionAmt"]) == (200, "0.00105")
        assert [one.quantity for one in replayed.accounts[KEY].fills] == [Decimal("0.00105")]

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ("BTCEUR:step=1", "LISTING_UNKNOWN"),
            ("BTCUSDT", "LISTING_MALFORMED"),
            ("BTCUSDT:tick=1", "LISTING_MALFORMED"),
            ("BTCUSDT:step=0", "LISTING_MALFORMED"),
            ("BTCUSDT:step=fine", "LISTING_MALFORMED"),
        ],
    )
    async def test_refuses_a_listing_it_cannot_read(self, change, code):
        with pytest.raises(ValueError, match=code):
            await PaperServer(PaperSettings(still=True, listings=(change,))).start()
