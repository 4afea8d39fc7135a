"""A model is taught on a tape's past, tried and traded on what follows, and what it traded is what its backtest trades."""

import asyncio
import gzip
import json
from datetime import UTC, datetime
from itertools import groupby

import httpx
import numpy as np
import pytest
import structlog

from pregao.domain.clock import from_ms, to_ms
from pregao.edges.candle_files.bring import Told, bring_trades
from pregao.edges.candle_files.seen import SeenCandles
from pregao.edges.candle_files.store import CandleFolder
from pregao.edges.cli import backtests, models
from pregao.edges.paper.serve import PaperSettings
from pregao.research.analyzer.watch import WINDOW
from pregao.research.ticks import Candle
from pregao.research.timeframe import read_timeframe
from tests.edges.cli.own_shell import Shell
from tests.journeys.test_features_e_lab import lab
from tests.journeys.test_strategies_trade import analyzing, deployed, signals_of
from tests.journeys.whole_desk import LTC_TAPE, running_desk

SPEED = 20  # twenty seconds of the tape are one here
UNTIL_MS = 1_750_576_800_000  # what comes later, no model has seen
BEGIN_MS = UNTIL_MS + 35 * SPEED * 1_000
SEEN = "paper_LTCUSDT_1s"
TURNS = 4  # from one side to the other
SECONDS_MAX = 240.0
AT_ENDS = {"last_candle", "still_held"}
LATE = {  # what a machine that takes longer than a candle makes of the next entry
    ("order_denied", "REVERSE_INCOMPLETE"),
    ("order_denied", "SIGNAL_EXPIRED"),
    ("order_denied", "SUPERSEDED"),
    ("order_denied", "SYMBOL_OWNED"),
    ("signal_refused", "SIGNAL_STALE"),
}

pytestmark = [
    pytest.mark.extra,  # the tape is played for a minute and a half
    pytest.mark.skipif(not LTC_TAPE.exists(), reason="the recorded tape is not beside this checkout"),
]


def told(candles, at, *, opened_at_ms):
    values = {name: float(getattr(candles, name)[at]) for name in ("open", "high", "low", "close", "volume")}
    return Candle(opened_at_ms=opened_at_ms, **values)


@pytest.fixture
def candles(tmp_path):
    """The tape in candles of twenty seconds, brought in as `pregao data import --trades` does."""
    made = bring_trades(LTC_TAPE, told=Told(symbol="LTCUSDT"), timeframe=read_timeframe(f"{SPEED}s"))
    return CandleFolder(tmp_path / "candles").keep(made)


@pytest.fixture
def seen(tmp_path, candles):
    """What the analyzer has seen of the tape before, in hours that ended a moment ago; and from when on no model knows it."""
    kept = SeenCandles(tmp_path / "candles" / "seen")
    past = candles.between(until_ms=BEGIN_MS)
    now_ms = to_ms(datetime.now(UTC)) // 1_000 * 1_000 - 5_000
    played = now_ms + (past.opened_at_ms - past.opened_at_ms[-1]) // SPEED
    for at, opened_at_ms in enumerate(played):
        kept.keep(SEEN, told(past, at, opened_at_ms=int(opened_at_ms)))
    until = int(np.searchsorted(past.opened_at_ms, UNTIL_MS))
    return kept.path_of(SEEN), from_ms(int(played[until]))


@pytest.fixture
def said():
    """What the log says, event by event: only there a strategy says that it has begun."""
    events, before = [], structlog.get_config()["processors"]

    def heard(_logger, _method, event):
        events.append(event["event"])
        return event

    structlog.configure(processors=[heard, *before])
    yield events
    structlog.configure(processors=before)


@pytest.fixture
async def shell(tmp_path):
    return Shell({"PREGAO_STATE_DIR": str(tmp_path)})


@pytest.fixture
async def taught(shell, seen):
    """A model of the past, made as somebody makes one."""
    file, until = seen
    made = await shell.run(
        models.app, "train", "ltc", *named(file), "--until", until.isoformat(), "--horizon", "60", "--barrier", "5",
        "--folds", "2", "--rounds", "30", "--json",
    )  # fmt: skip
    assert made.exit_code == 0, made.stderr
    return json.loads(made.stdout)["model"]


@pytest.fixture
async def desk(database, tmp_path, taught):
    """A desk with that model, whose exchange holds the rest of the tape until it is told to play."""
    tape = tmp_path / "tape.csv"
    header, *rows = gzip.decompress(LTC_TAPE.read_bytes()).decode().splitlines()
    tape.write_text("\n".join([header, *(row for row in rows if int(row.split(",")[0]) >= BEGIN_MS)]))
    paper = PaperSettings(tape=f"LTCUSDT={tape}", speed=SPEED, align_seconds=1, hold=True)
    async with running_desk(database, tmp_path, paper=paper) as running:
        yield running


def named(file):
    """Say which candles a file holds."""
    return ("--data", str(file), "--symbol", "LTCUSDT", "--timeframe", "1s")


async def until(condition):
    async with asyncio.timeout(SECONDS_MAX):
        while not (found := await condition()):
            await asyncio.sleep(0.2)
        return found


class TestATrainedStrategy:
    async def test_trades_live_what_it_traded_in_its_backtest_and_every_difference_has_its_cause(
        self, desk, shell, seen, taught, said
    ):
        bot, made = await deployed(
            desk,
            strategy="technical_analysis",
            parameters={},
            symbol="LTCUSDT",
            with_history=True,
            with_model=True,
        )
        path = f"/api/v1/strategies/deployments/{made['deployment_id']}"

        async def has_sent_enough():
            sides = [one["side"] for one in await signals_of(desk, bot)]
            return (
                len(list(groupby(sides))) > TURNS
            )  # the same side may be said again: it is held, or was stopped out

        async def is_compared(**asked):
            answer = await desk.client.get(f"{path}/comparison", params=asked)
            assert answer.status_code in (200, 503), answer.text  # a lab that starts may be asked again
            return answer.json() if answer.status_code == 200 else None

        async def has_begun():
            """Loading what the voters and the model need takes a busy machine most of a minute, and the tape does not wait for it."""
            _, hub, _ = desk.paper._parts
            return "analyzer.deployment.begun" in said and hub.has("ltcusdt@aggTrade")

        async with analyzing(desk):
            await until(has_begun)
            await asyncio.sleep(0.5)  # so that the first candle is seen whole; where it is not, that is said
            async with httpx.AsyncClient(base_url=desk.paper.url, verify=False) as venue:
                assert (await venue.post("/paper/play")).status_code == 200
                assert (await venue.post("/paper/play")).json()["error"]["code"] == "TAPE_NOT_HELD"
            await until(has_sent_enough)
            receipts = [
                await desk.receipt(one["signal_id"], seconds_max=SECONDS_MAX)
                for one in await signals_of(desk, bot)
            ]
        async with lab(desk):
            found = await until(is_compared)
            by_tape = await until(lambda: is_compared(candles=f"LTCUSDT_{SPEED}s"))
        # All that was asked came to an end, by the model that was taught, on candles that are the tape's own.
        assert all(one["is_complete"] for one in receipts)
        assert found["model"] == by_tape["model"] == taught
        assert by_tape["speed"] == SPEED
        assert by_tape["candles_differing"] == found["candles_differing"] == []
        (account,), (account_by_tape,) = found["accounts"], by_tape["accounts"]
        assert not found["began_otherwise"]

        # Beside the tape's own candles it is the same, unless the first of them was not seen whole: then what that changed says so.
        assert unexplained(by_tape) == []
        if not by_tape["began_otherwise"]:
            assert backtested(account_by_tape) == backtested(
                account
            )  # the desk's side still changes: it trades on

        # Each trade is the backtest's, and what differs has its cause. One that only one of the two has is at an end of the tape,
        # or was refused or denied because a machine took longer than a candle: its code says so.
        assert unexplained(found) == []
        trades = account["trades"]
        both = [one for one in trades if one["desk"] and one["backtest"]]
        for one in trades:
            (alone,) = one["differences"] if one not in both else (None,)
            if alone is not None and alone["cause"] not in AT_ENDS:
                assert (alone["cause"], alone["code"]) in LATE, alone
        assert len(both) >= TURNS - 1
        for one in both:
            causes = {each["kind"]: each["cause"] for each in one["differences"]}
            assert causes["latency"] == "filled_later"
            assert causes.get("entry_price", "prices_ran") in {"prices_ran", *AT_ENDS}

        # The trades beside which they were put are those that the backtest by hand comes to, and the model had the word in some.
        file, _ = seen
        since = from_ms(found["began_at_ms"] - WINDOW * 1_100).isoformat()
        asked = ("--strategy", "technical_analysis", *named(file), "--since", since)
        by_hand = await entries_of(shell, *asked, "--model", "ltc", to=file.with_name("trades.csv"))
        by_voters = await entries_of(shell, *asked, to=file.with_name("voters.csv"))
        compared = [(one["side"], one["backtest"]["entry_price"]) for one in both]
        assert set(compared) <= set(by_hand)
        assert not set(compared) <= set(by_voters)


def backtested(account):
    return [(one["wanted_at_ms"], one["side"], one["backtest"]) for one in account["trades"]]


def unexplained(found):
    return [one for account in found["accounts"] for one in account["trades"] if not one["is_explained"]]


async def entries_of(shell, *asked, to):
    """Give side and entry price of every trade of a backtest."""
    tried = await shell.run(backtests.app, "run", *asked, "--trades", str(to), "--json")
    assert tried.exit_code == 0, tried.stderr
    header, *rows = to.read_text().splitlines()
    names = header.split(",")
    side, price = names.index("side"), names.index("entry_price")
    return [(cells[side], float(cells[price])) for cells in (row.split(",") for row in rows)]
