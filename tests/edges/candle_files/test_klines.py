"""Candles from a venue that answers as Binance's USD-M futures do."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from pregao.edges.candle_files.klines import PAGE, KlinesUnavailableError, fetch_klines
from pregao.edges.candle_files.store import CandleFolder
from pregao.edges.cli import candles as command
from pregao.research.timeframe import read_timeframe
from tests.rooms.research.made import walk

MINUTE = 60_000
START = 1_700_000_040_000
CANDLES = walk(4_000, seed=71, timeframe="1m")


class Venue:
    """Knows one symbol's minutes; gives at most 1,500, those in the span, the running one among them."""

    def __init__(self):
        self.now_ms = START + 3_600 * MINUTE + 30_000  # half a minute into a candle
        self.answers = []  # what is answered instead, in turn
        self.asked = []
        self.market = None  # what a paper exchange says of its prices

    def answer(self, path, told):
        if path == "/paper/health":
            return (404, {}, {}) if self.market is None else (200, {"market": self.market}, {})
        if self.answers:
            return self.answers.pop(0)
        if path == "/fapi/v1/time":
            return 200, {"serverTime": self.now_ms}, {}
        self.asked.append(told)
        if told["symbol"] != "BTCUSDT":
            return 400, {"code": -1121, "msg": "Invalid symbol."}, {}
        limit = int(told["limit"])
        assert limit <= PAGE
        first = max(0, -(-(int(told["startTime"]) - START) // MINUTE))
        last = (min(int(told["endTime"]), self.now_ms) - START) // MINUTE
        numbers = range(first, min(last + 1, first + limit, len(CANDLES)))
        return 200, [self.row(number) for number in numbers], {}

    @staticmethod
    def row(number):
        opened = START + number * MINUTE
        prices = [
            f"{getattr(CANDLES, name)[number]!r}" for name in ("open", "high", "low", "close", "volume")
        ]
        prices = [text.removeprefix("np.float64(").removesuffix(")") for text in prices]
        return [opened, *prices, opened + MINUTE - 1, "0", 1, "0", "0", "0"]


@pytest.fixture
def venue():
    there = Venue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            parts = urlsplit(self.path)
            status, body, headers = there.answer(
                parts.path, {k: v[0] for k, v in parse_qs(parts.query).items()}
            )
            content = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True).start()
    there.url = f"http://127.0.0.1:{server.server_port}"
    yield there
    server.shutdown()
    server.server_close()


def fetched(venue, *, since_ms=START, until_ms=None, symbol="BTCUSDT", slept=None):
    with httpx.Client(base_url=venue.url, trust_env=False, verify=False) as client:
        pages = list(
            fetch_klines(
                client,
                symbol=symbol,
                timeframe=read_timeframe("1m"),
                since_ms=since_ms,
                until_ms=until_ms,
                sleep=(slept if slept is not None else []).append,
            )
        )
    if not pages:
        return {}
    return {name: np.concatenate([page[name] for page in pages]) for name in pages[0]}


class TestFetch:
    def test_gives_every_finished_candle_once_and_takes_its_time(self, venue):
        slept = []

        found = fetched(venue, slept=slept)

        assert np.array_equal(found["opened_at_ms"], START + np.arange(3_600) * MINUTE)
        for name in ("open", "high", "low", "close", "volume"):
            assert np.array_equal(found[name], getattr(CANDLES, name)[:3_600])
        assert len(venue.asked) == 3
        assert slept == [2.0, 2.0]

    def test_ends_before_the_instant_it_is_told(self, venue):
        found = fetched(venue, since_ms=START + 5 * MINUTE, until_ms=START + 8 * MINUTE)

        assert ((found["opened_at_ms"] - START) // MINUTE).tolist() == [5, 6, 7]

    def test_gives_nothing_of_what_comes(self, venue):
        assert fetched(venue, since_ms=venue.now_ms + MINUTE) == {}

    def test_waits_as_long_as_the_venue_asks(self, venue):
        slept = []
        venue.answers = [
            (200, {"serverTime": START + 2 * MINUTE}, {}),
            (429, {"code": -1003}, {"Retry-After": "7"}),
            (503, {}, {}),
        ]

        found = fetched(venue, slept=slept)

        assert slept == [7.0, 4.0]
        assert len(found["open"]) == 2

    @pytest.mark.parametrize(
        "answer",
        [(418, {"code": -1003}, {"Retry-After": "9000"}), (429, {"code": -1003}, {"Retry-After": "600"})],
    )
    def test_stays_away_when_the_venue_wants_it(self, venue, answer):
        slept = []
        venue.answers = [answer]

        with pytest.raises(KlinesUnavailableError, match="KLINES_REFUSED"):
            fetched(venue, slept=slept)
        assert slept == []

    def test_says_what_the_venue_said(self, venue):
        with pytest.raises(KlinesUnavailableError, match=r"KLINES_REFUSED.*Invalid symbol"):
            fetched(venue, symbol="NOTHING")

    def test_puts_nothing_in_the_place_of_a_venue_that_is_away(self, venue):
        """F131"""
        venue.url = "http://127.0.0.1:9"

        with pytest.raises(KlinesUnavailableError, match="KLINES_UNAVAILABLE"):
            fetched(venue)

    def test_refuses_what_is_no_candle(self, venue):
        venue.answers = [
            (200, {"serverTime": START + 2 * MINUTE}, {}),
            (200, [[1, "a", "b", "c", "d", "e", 5]], {}),
        ]

        with pytest.raises(KlinesUnavailableError, match="KLINES_UNREADABLE"):
            fetched(venue)


class TestCommand:
    def test_continues_where_the_stored_ones_end(self, venue, tmp_path):
        environment = {"PREGAO_STATE_DIR": str(tmp_path), "NO_PROXY": "127.0.0.1"}

        def typed(*words):
            return CliRunner().invoke(
                command.app, ["fetch", "BTCUSDT", "1m", "--url", venue.url, *words], env=environment
            )

        unknown = typed()
        first = typed("--since", "2023-11-14T22:14", "--until", "2023-11-14T22:24")
        venue.now_ms = START + 20 * MINUTE
        again = typed("--json")

        assert unknown.stderr.startswith("FETCH_NEEDS_SINCE")
        assert first.exit_code == 0, first.stderr
        assert "10 candles fetched, 10 there now" in first.stdout
        assert json.loads(again.stdout) == {"name": "BTCUSDT_1m", "fetched": 10, "kept": 20}
        kept = CandleFolder(tmp_path / "candles").get("BTCUSDT_1m")
        assert np.array_equal(kept.close, CANDLES.close[:20])

    @pytest.mark.parametrize("market", ["SIMULATED", "TAPE", "STILL"])
    def test_f131_what_a_paper_exchange_tells_is_no_markets_though_nobody_said_so(
        self, venue, tmp_path, market
    ):
        venue.market = market
        environment = {"PREGAO_STATE_DIR": str(tmp_path), "NO_PROXY": "127.0.0.1"}
        words = ("fetch", "BTCUSDT", "1m", "--url", venue.url, "--since", "2023-11-14T22:14", "--json")

        told = CliRunner().invoke(command.app, [*words, "--until", "2023-11-14T22:24"], env=environment)

        assert told.exit_code == 0, told.stderr
        name = json.loads(told.stdout)["name"]
        kept = CandleFolder(tmp_path / "candles").get(name)
        assert (name, kept.is_simulated) == ("SIMULATED-BTCUSDT_1m", True)
        assert CandleFolder(tmp_path / "candles").find("BTCUSDT_1m") is None
