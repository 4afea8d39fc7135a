"""
The other side of `benchmarks.feed`: `websockets` and `orjson`, in an environment of their own.

Run by that environment's Python with the teller's address and the case as JSON; it prints what it found as JSON. It uses the same stop
book, and remembers the ticks of a price's text as ours does.
"""

import gc
import json
import sys
import time
from decimal import Decimal

import orjson
import uvloop
from websockets.asyncio.client import connect

from benchmarks.feed_case import END, Case
from pregao.stops.book import bid_ticks


async def main():
    url, case = sys.argv[1], Case(**json.loads(sys.argv[2]))
    books, fired, ticks, tick = case.books(), [], {}, case.tick
    gc.collect()
    gc.freeze()
    wall, cpu = time.perf_counter(), time.process_time()
    async with connect(f"{url}/public/ws", compression=None, ping_interval=None) as venue:
        await venue.send("{}")
        while True:
            quote = orjson.loads(await venue.recv(decode=False))
            if quote["s"] == END:
                break
            try:
                bid, ask = ticks[quote["b"]], ticks[quote["a"]]
            except KeyError:
                for text in (quote["b"], quote["a"]):
                    ticks[text] = bid_ticks(Decimal(text), tick=tick)
                bid, ask = ticks[quote["b"]], ticks[quote["a"]]
            happened = books[quote["s"]].tick(bid, ask)
            if happened:
                fired.extend((one.position_id, one.level) for one in happened)
        seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds, "fired": fired}))


if __name__ == "__main__":
    uvloop.run(main())
