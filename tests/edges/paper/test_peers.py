"""
Two other libraries trade on the paper exchange with only addresses changed: ccxt and Binance's own SDK.

Each lives in a virtual environment of its own, made on first use: their exact pins would freeze ours.
"""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pregao.edges.paper.serve import PaperServer, PaperSettings

REPOSITORY = Path(__file__).parents[3]
SCRIPTS = Path(__file__).parent / "peers"
pytestmark = [pytest.mark.peers, pytest.mark.extra]


def python_with(name, requirement):
    """Give the interpreter of a peer's environment, made now if need be; skip when the registry is away."""
    folder = REPOSITORY / ".peers" / name
    python, mark = folder / "bin" / "python", folder / f"{requirement}.installed"
    if mark.exists():
        return python
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    installed = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", requirement], check=False, capture_output=True, text=True
    )
    if installed.returncode:
        pytest.skip(f"{requirement} could not be installed: {installed.stderr.strip().splitlines()[-1]}")
    mark.touch()
    return python


async def trade(python, script):
    """Run a peer's script against a fresh exchange and give what it saw and what the exchange remembers."""
    server = PaperServer(PaperSettings(simulate_seed=11, accounts=("peer:secret:5000",), strict=True))
    await server.start()
    process = await asyncio.create_subprocess_exec(
        python,
        SCRIPTS / script,
        server.url,
        "peer",
        "secret",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 120)
    account = server.venue.books.accounts["peer"]
    await server.stop()
    assert process.returncode == 0, err.decode()[-3_000:]
    return json.loads(out.decode().splitlines()[-1]), account


class TestPeers:
    async def test_ccxt_trades_unchanged(self):
        saw, account = await trade(python_with("ccxt", "ccxt==4.5.90"), "trade_with_ccxt.py")

        assert (saw["bought_id"], saw["stream_id"], saw["stream_filled"]) == (
            "ccxt-entry",
            "ccxt-entry",
            0.01,
        )
        assert (saw["held"], saw["flat"], saw["waiting"], saw["waiting_after"]) == (
            [0.01],
            [],
            ["ccxt-stop"],
            0,
        )
        assert (saw["queried"], saw["canceled"]) == (["open", True], "canceled")
        assert saw["trades"] == [["buy", 0.01], ["sell", 0.01]]
        assert saw["balance"] == float(account.wallet)
        assert saw["stream_average"] == float(account.fills[0].price)
        assert min(saw["markets"], saw["watched_trades"], saw["watched_bids"]) > 0

    async def test_the_official_sdk_trades_unchanged(self):
        requirement = "binance-sdk-derivatives-trading-usds-futures==18.0.1"

        saw, account = await trade(python_with("binance-sdk", requirement), "trade_with_sdk.py")

        assert saw["events"] == ["OrderTradeUpdate", "AccountUpdate", "TradeLite", "OrderTradeUpdate"]
        assert (saw["bought_status"], saw["queried_status"], saw["leverage"]) == ("NEW", "FILLED", 10)
        assert (saw["held"], saw["flat"], saw["waiting"], saw["waiting_after"]) == (
            ["0.010"],
            0,
            ["sdk-stop"],
            0,
        )
        assert (saw["target"], saw["canceled"]) == ("NEW", [True, "CANCELED"])
        assert saw["history"] == [["sdk-stop", "CANCELED"], ["sdk-target", "CANCELED"]]
        assert saw["trades"] == [["BUY", "0.010"], ["SELL", "0.010"]]
        assert saw["balance"] == saw["wallet"] == f"{account.wallet:.8f}"
        assert min(saw["symbols"], saw["watched_trades"]) > 0
