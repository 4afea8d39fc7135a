"""
From the socket to the stop check: quotes a second that a process reads, understands and leads past 100,000 stops.

A teller sends the same quotes, as Binance words them, over a websocket on this machine as fast as they are taken. Each reader
leads them into stop books of its own; all must fire the same stops. The peer, `websockets` with `orjson`, lives in an
environment of its own: `uv venv .peers/feed` and `uv pip install --python .peers/feed/bin/python websockets==17.4 orjson==3.13.0
uvloop==0.23.0`. `picows` with `msgspec`, without a stop, is how fast the frames can be read at all.
"""

import argparse
import asyncio
import base64
import gc
import hashlib
import json
import logging
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import msgspec
import picows
import structlog
import uvloop

from benchmarks.feed_case import END, Case
from benchmarks.report import machine, show, show_json
from pregao.edges.exchanges.binance.addresses import VenueAddresses
from pregao.edges.exchanges.binance.feed import PriceFeed
from pregao.stops.listen import Listening

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".peers" / "feed" / "bin" / "python"
AIM_RATIO = 3
AIM_SHARE = 0.85
MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Teller(threading.Thread):
    """A venue of one stream: whoever subscribes on its public address is told all quotes at once."""

    def __init__(self, quotes):
        super().__init__(daemon=True)
        self.frames = b"".join(_frame(quote) for quote in quotes)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self._server.getsockname()[1]}"

    def run(self):
        while True:
            connection, _ = self._server.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(4096)
        path = head.split(b" ", 2)[1]
        key = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
        accept = base64.b64encode(hashlib.sha1(key.split(b": ")[1].strip() + MAGIC.encode()).digest())
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        connection.recv(65_536)  # the subscription
        try:
            if path.startswith(b"/public"):
                connection.sendall(self.frames)
            while connection.recv(65_536):
                pass
        except OSError:
            pass


def _frame(quote):
    length = len(quote)
    return (bytes([0x81, length]) if length < 126 else struct.pack(">BBH", 0x81, 126, length)) + quote


class NoQuestions:
    """A venue that is not asked: what is measured is its stream."""

    async def public(self, *_, **__):
        await asyncio.Event().wait()


class Clocked:
    """Processor and wall time between the first quote and the last."""

    def __init__(self):
        self.began = None
        self.done = asyncio.Event()

    def begin(self):
        self.began = time.perf_counter(), time.process_time()

    def end(self):
        wall, cpu = self.began
        self.seconds, self.cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
        self.done.set()


class Watching:
    """What leads a symbol's prices into its book, as the monitor does."""

    def __init__(self, book, fired):
        self.book, self.fired, self.price_tick = book, fired, book.price_tick

    @property
    def price(self):
        return self.book.price

    @property
    def is_in_doubt(self):
        return self.book.is_in_doubt

    def take(self, bid, ask, _source):
        happened = self.book.tick(bid, ask)
        if happened:
            self.fired.extend((one.position_id, one.level) for one in happened)


async def ours(url, case):
    """Give the figures of the desk's own feed and book."""
    books, fired, clocked = case.books(), [], Clocked()
    prices = PriceFeed(addresses=VenueAddresses(rest=url, streams=url), rest=NoQuestions())

    listening = Listening(prices, clock=lambda: datetime.now(UTC))
    for symbol, book in books.items():
        listening.follow(symbol, Watching(book, fired))
    prices.follow(END, price_tick=case.tick, take=lambda *_: clocked.end())
    gc.collect()
    gc.freeze()
    running = asyncio.create_task(listening.run())
    clocked.begin()  # two handshakes among it
    await clocked.done.wait()
    gc.unfreeze()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return clocked, fired


async def bare(url, _case):
    """Give the figures of reading alone: each frame decoded and dropped."""
    clocked = Clocked()

    class Quote(msgspec.Struct, gc=False):
        u: int = 0
        s: str = ""
        b: str = ""
        B: str = ""
        a: str = ""
        A: str = ""
        T: int = 0

    decode = msgspec.json.Decoder(Quote).decode

    class Reader(picows.WSListener):
        def on_ws_connected(self, transport):
            transport.send(picows.WSMsgType.TEXT, "{}")

        def on_ws_frame(self, _transport, frame):
            if decode(frame.get_payload_as_bytes()).s == END:
                clocked.end()

    gc.collect()
    gc.freeze()
    clocked.begin()
    transport, _ = await picows.ws_connect(Reader, f"{url}/public/ws", read_buffer_init_size=65_536)
    await clocked.done.wait()
    gc.unfreeze()
    transport.disconnect()
    return clocked, []


def peer(python, url, case_given):
    """Give the figures of the peer, from its own process."""
    run = subprocess.run(
        [python, "-m", "benchmarks.peer_feed", url, json.dumps(case_given)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
    )
    return json.loads(run.stdout.splitlines()[-1])


def measure(*, ticks, stops, symbols, rounds, tapes, peers, seed=7):
    """
    Run all in turns, and give the medians.

    :raises AssertionError: where two did not fire the same stops.
    """
    given = {"ticks": ticks, "stops": stops, "symbols": symbols, "tapes": str(tapes or ""), "seed": seed}
    case = Case(**given)
    teller = Teller(case.quotes())
    teller.start()
    figures = {"ours": [], "bare": [], "peer": []}
    for _ in range(rounds):
        for name, read in (("ours", ours), ("bare", bare)):
            clocked, fired = uvloop.run(read(teller.url, case))
            figures[name].append((clocked.seconds, clocked.cpu_seconds))
            if name == "ours":
                expected = fired
        if peers.exists():
            told = peer(str(peers), teller.url, given)
            assert told["fired"] == [list(one) for one in expected], "the peer fired other stops"
            figures["peer"].append((told["seconds"], told["cpu_seconds"]))
    assert expected, "nothing was fired"
    return {
        "messages": ticks,
        "fired": len(expected),
        **{
            name: {
                "per_second": ticks / median(wall for wall, _ in runs),
                "cpu_us": median(cpu for _, cpu in runs) / ticks * 1e6,
            }
            for name, runs in figures.items()
            if runs
        },
    }


def show_feed(found):
    """Print what `measure` found."""
    names = {
        "ours": "ours, to the stop check",
        "bare": "picows + msgspec, no stop",
        "peer": "websockets + orjson, to the stop check",
    }
    rows = []
    for name, title in names.items():
        if name in found:
            one = found[name]
            ratio = found["ours"]["per_second"] / one["per_second"]
            aim = {"ours": "", "bare": f"at least {AIM_SHARE}", "peer": f"at least {AIM_RATIO}"}[name]
            rows.append(
                (title, one["per_second"], one["cpu_us"], ratio, one["cpu_us"] / found["ours"]["cpu_us"], aim)
            )
    show(
        f"{found['messages']:,} quotes over one socket, {found['fired']:,} stops fired by each",
        ("reader", "messages/s", "cpu us", "ours is, x", "by cpu, x", "aim"),
        rows,
    )
    if "peer" not in found:
        print("The peer is not installed; the first lines of benchmarks/feed.py say how.")


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.feed", description=__doc__)
    parser.add_argument("--ticks", type=int, default=300_000)
    parser.add_argument("--stops", type=int, default=100_000)
    parser.add_argument("--symbols", type=int, default=190)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tapes", type=Path, help="a folder of recorded tapes; else a seeded market")
    parser.add_argument("--peers", type=Path, default=PEERS)
    parser.add_argument("--json", action="store_true")
    given = vars(parser.parse_args())
    as_json = given.pop("json")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    found = measure(**given)
    if as_json:
        show_json({"machine": machine(), **found})
    else:
        show_feed(found)


if __name__ == "__main__":
    sys.exit(main())
