"""From backtest to live: a strategy chosen on a tape's past trades its present, and takes the trades of its backtest."""

import asyncio
import gzip
import json
from itertools import pairwise

import pytest

from pregao.edges.candle_files.bring import Told, bring_trades
from pregao.edges.candle_files.store import CandleFolder
from pregao.edges.cli import strategies
from pregao.edges.paper.serve import PaperSettings
from pregao.research.backtests import compiled
from pregao.research.backtests.sweep import sweep
from pregao.research.backtests.terms import Terms
from pregao.research.strategies.shipped import get_strategy
from pregao.research.timeframe import read_timeframe
from tests.edges.cli.own_shell import Shell
from tests.journeys.test_features_e_lab import lab
from tests.journeys.test_strategies_trade import analyzing, deployed, signals_of, until
from tests.journeys.whole_desk import LTC_TAPE, TOKEN, running_desk

SPEED = 60  # a minute of the tape is a second here
SIGNALS = 4
NAME = "LTCUSDT_1m"

pytestmark = [
    pytest.mark.long,  # strategies' shortest candle is a second, and a crossing takes some
    pytest.mark.skipif(not LTC_TAPE.exists(), reason="the recorded tape is not beside this checkout"),
]


def chosen_on_the_past(candles):
    """Try quick crossings on the tape's first half, and give the best that stays in the market."""
    strategy = get_strategy("ema_cross")
    ranges = {"fast": [2, 3], "slow": [4, 5, 6], "stop_pct": [7], "target_pct": [0]}
    past = candles.part(0, len(candles) // 2)
    swept = sweep(past, strategy, list(strategy.combinations(ranges)), Terms(fee_bps=5.0), jobs=1)
    return dict(swept.best(1)[0].values)


@pytest.fixture
def candles(tmp_path):
    """The tape's minutes, brought in as `pregao data import --trades` does."""
    made = bring_trades(LTC_TAPE, told=Told(symbol="LTCUSDT"), timeframe=read_timeframe("1m"))
    return CandleFolder(tmp_path / "candles").keep(made)


@pytest.fixture
async def desk(database, tmp_path, candles):
    second_half = int(candles.opened_at_ms[len(candles) // 2])
    tape = tmp_path / "tape.csv"
    header, *rows = gzip.decompress(LTC_TAPE.read_bytes()).decode().splitlines()
    tape.write_text("\n".join([header, *(row for row in rows if int(row.split(",")[0]) >= second_half)]))
    paper = PaperSettings(tape=f"LTCUSDT={tape}", speed=SPEED, align_seconds=1)
    async with running_desk(database, tmp_path, paper=paper) as running:
        yield running


class TestATapeThatWasBacktested:
    async def test_is_traded_as_the_backtest_trades_it_and_every_difference_is_explained(self, desk, candles):
        values = await asyncio.to_thread(chosen_on_the_past, candles)
        bot, made = await deployed(desk, symbol="LTCUSDT", parameters=values)
        path = f"/api/v1/strategies/deployments/{made['deployment_id']}"

        async def has_sent_enough():
            return len(await signals_of(desk, bot)) >= SIGNALS

        async def is_compared():
            answer = await desk.client.get(f"{path}/comparison", params={"candles": NAME})
            assert answer.status_code in (200, 503), answer.text  # a lab that starts may be asked again
            return answer.json() if answer.status_code == 200 else None

        async with analyzing(desk):
            await until(has_sent_enough)
            receipts = [await desk.receipt(one["signal_id"]) for one in await signals_of(desk, bot)]
        async with lab(desk):
            found = await until(is_compared)
            shell = Shell({"SERVER_PORT": str(desk.settings.server_port), "PREGAO_ADMIN_TOKEN": TOKEN})
            shown = await shell.run(strategies.app, "compare", f"{bot['name']}/LTCUSDT", "--json")

        assert all(one["is_complete"] for one in receipts)
        assert (found["speed"], found["candles_differing"], found["unexplained"]) == (SPEED, [], 0)
        (account,) = found["accounts"]
        whole = [one for one in account["trades"] if one["wanted_at_ms"] < found["bar_at_ms"]]
        both = [one for one in whole if one["desk"] and one["backtest"]]
        assert len(whole) >= SIGNALS - 1
        # A machine that takes longer than a candle for a reverse may deny the next entry; it says so with its code.
        assert all(one["differences"][0]["code"] for one in whole if one not in both)
        assert len(both) >= SIGNALS - 2
        assert all(one["side"] != after["side"] for one, after in pairwise(whole))
        for pair in both:
            kinds = {one["kind"]: one for one in pair["differences"]}
            assert kinds["latency"]["desk"] >= 0
            assert {"fees", "profit"} <= kinds.keys() or "ending" in kinds

        # The trades it was compared with are those of the compiled engine over the tape's own minutes.
        of = found["candles"]
        ran = candles.between(since_ms=of["first_ms"], until_ms=of["last_ms"] + 1)
        outcome = compiled.replay(ran, get_strategy("ema_cross").plan(ran, values), Terms(fee_bps=5.0))
        assert len(ran) == found["bars"]
        assert [(one["side"], one["backtest"]["entry_price"]) for one in whole] == [
            ("long" if trade.side > 0 else "short", trade.entry_price) for trade in outcome.trades
        ]
        # As the desk saw the candles itself, it comes to the same.
        assert shown.exit_code == 0, shown.stderr
        assert json.loads(shown.stdout)["accounts"] == found["accounts"]
