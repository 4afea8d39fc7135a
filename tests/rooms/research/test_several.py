"""F116: several symbols are looked at together, so many at a time, and each by itself."""

import asyncio
import time

from pregao.research.analyzer.several import AT_ONCE_MAX, look_at_each


class Source:
    """Answers when so many questions wait for their answer: whoever asks one after the other waits for ever."""

    def __init__(self, *, answers_at):
        self.asked = []
        self.waiting = self.most = 0
        self._answers_at = answers_at
        self._there = asyncio.Event()

    async def look(self, symbol):
        self.asked.append(symbol)
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        if self.waiting == self._answers_at:
            self._there.set()
        await self._there.wait()
        self.waiting -= 1
        if symbol == "BAD":
            raise LookupError("CANDLES_MISSING: name=BAD_1h")
        return symbol.lower()


def looked(symbols, source):
    async def look():
        async with asyncio.timeout(20):
            return await look_at_each(symbols, source.look, monotonic=time.monotonic)

    return asyncio.run(look())


class TestLookAtEach:
    def test_f116_asks_about_ten_at_the_same_time_and_no_more(self):
        source = Source(answers_at=AT_ONCE_MAX)
        symbols = [f"S{number}" for number in range(AT_ONCE_MAX + 3)]

        seen = looked(symbols, source)

        assert (AT_ONCE_MAX, source.most) == (10, 10)
        assert list(seen) == source.asked == symbols
        assert [one.said for one in seen.values()] == [symbol.lower() for symbol in symbols]

    def test_f116_one_that_fails_takes_no_other_along(self):
        seen = looked(["S1", "BAD", "S2"], Source(answers_at=3))

        assert {symbol: one.said for symbol, one in seen.items()} == {"S1": "s1", "BAD": None, "S2": "s2"}
        assert isinstance(seen["BAD"].problem, LookupError)
        assert seen["S1"].problem is None
        assert all(one.latency_ms > 0 for one in seen.values())

    def test_f116_says_nothing_of_none(self):
        assert looked([], Source(answers_at=1)) == {}

    def test_looks_once_at_what_is_named_twice(self):
        source = Source(answers_at=1)

        assert list(looked(["S1", "S1"], source)) == source.asked == ["S1"]
