"""Where prices come from, what they leave behind, and the limits and faults around them."""

import random
from dataclasses import replace
from decimal import Decimal

import pytest

from pregao.domain.order import Side
from pregao.simulation.faults import FaultKind, Faults, read_faults
from pregao.simulation.history import INTERVALS, History
from pregao.simulation.instruments import LISTINGS
from pregao.simulation.limits import AddressLimit, BannedError, OrderLimit
from pregao.simulation.market import RecordedTape, SimulatedMarket, Tick, quote_after, read_tape
from pregao.simulation.refusals import ExchangeError

START_MS = 1_790_000_000_000
TAPE_MS = 1_750_507_467_356
TAPE = """ts_ms,trade_id,price,qty,side
1000,1,83.29,0.107,buy
1500,2,0.0,0.0,sell
2000,3,83.27,1.5,sell
"""


def tick():
    return Tick(symbol="LTCUSDT", price=Decimal("83.29"), quantity=Decimal(1), taker=Side.BUY, at_ms=0)


def walked(seed, *, calls):
    market = SimulatedMarket(LISTINGS.values(), seed=seed)
    market.opening(START_MS)
    return [tick for at_ms in calls for tick in market.advance(START_MS + at_ms)]


class TestSimulatedMarket:
    def test_walks_the_same_way_on_the_same_seed_however_often_it_is_asked(self):
        assert walked(7, calls=[5_000]) == walked(7, calls=range(0, 5_001, 100))

    def test_walks_another_way_on_another_seed(self):
        assert walked(7, calls=[5_000]) != walked(8, calls=[5_000])

    def test_keeps_prices_and_quantities_on_the_grid(self):
        for tick in walked(7, calls=[10_000]):
            instrument = LISTINGS[tick.symbol].instrument
            assert tick.price % instrument.price_tick == 0 == tick.quantity % instrument.quantity_step

    def test_skips_what_a_long_pause_would_have_been(self):
        assert len(walked(7, calls=[3_600_000])) == 40 * len(LISTINGS)


class TestRecordedTape:
    def test_leaves_out_rows_without_a_price(self):
        ticks = list(read_tape(TAPE.splitlines(), symbol="LTCUSDT"))

        assert [(tick.price, tick.taker) for tick in ticks] == [
            (Decimal("83.29"), Side.BUY),
            (Decimal("83.27"), Side.SELL),
        ]

    @pytest.mark.parametrize(
        ("speed", "asked_ms", "played"), [(1.0, 999, [0]), (1.0, 1_040, [0, 1_000]), (10.0, 190, [0, 100])]
    )
    def test_plays_at_its_speed_with_the_time_of_each_trade(self, speed, asked_ms, played):
        tape = RecordedTape(list(read_tape(TAPE.splitlines(), symbol="LTCUSDT")), speed=speed)
        tape.opening(START_MS)

        ticks = tape.advance(START_MS + asked_ms)

        assert [tick.at_ms - START_MS for tick in ticks] == played

    @pytest.mark.parametrize(
        ("speed", "align_ms"), [(60.0, 1_000), (7.0, 1_000), (600.0, 5_000), (1.0, 60_000)]
    )
    def test_aligned_its_candles_are_whole_candles_of_the_clock(self, speed, align_ms):
        """However seldom it is asked, and whenever it is opened."""
        chance = random.Random(17)
        ticks = [replace(tick(), at_ms=TAPE_MS + chance.randrange(40 * 60_000 * 60)) for _ in range(2_000)]
        ticks.sort(key=lambda one: one.at_ms)
        tape = RecordedTape(ticks, speed=speed, align_ms=align_ms)
        opened_ms = START_MS + 377
        tape.opening(opened_ms)

        played, at_ms = [], opened_ms
        while len(played) < len(ticks):
            at_ms += chance.randrange(1, 900_000)
            played += tape.advance(at_ms)
            assert played[-1].at_ms <= at_ms

        candles = [one.at_ms // int(align_ms * speed) for one in ticks]
        seconds = [one.at_ms // align_ms for one in played]
        assert opened_ms <= played[0].at_ms
        assert [one - seconds[0] for one in seconds] == [one - candles[0] for one in candles]

    def test_ends_with_the_last_price_unless_it_loops(self):
        ticks = list(read_tape(TAPE.splitlines(), symbol="LTCUSDT"))
        ending, looping = RecordedTape(ticks), RecordedTape(ticks, loops=True)
        for tape in (ending, looping):
            tape.opening(START_MS)
            tape.advance(START_MS + 5_000)

        assert (len(ending.advance(START_MS + 9_000)), len(looping.advance(START_MS + 9_000))) == (0, 2)

    def test_stands_at_its_first_price_until_it_is_told_to_play(self):
        tape = RecordedTape(list(read_tape(TAPE.splitlines(), symbol="LTCUSDT")), holds=True)
        opening = tape.opening(START_MS)
        held = tape.advance(START_MS + 60_000)

        assert [one.price for one in opening] == [Decimal("83.29")]
        assert len(held) == 0
        assert tape.play(START_MS + 60_000)
        assert not tape.play(START_MS + 60_001)
        assert [one.at_ms - START_MS for one in tape.advance(START_MS + 61_040)] == [60_000, 61_000]

    def test_quotes_bid_and_ask_at_the_trade(self):
        tick = next(read_tape(TAPE.splitlines(), symbol="LTCUSDT"))

        quote = quote_after(tick, listing=LISTINGS["LTCUSDT"], trade_id=1, has_spread=False)

        assert quote.bid == quote.ask == quote.last


class TestHistory:
    def test_joins_minutes_into_every_interval_and_has_a_past(self):
        history = History(LISTINGS["BTCUSDT"], seed=7)
        for number in range(10):
            tick = Tick(
                symbol="BTCUSDT",
                price=Decimal(90_000 + number),
                quantity=Decimal(1),
                taker=Side.BUY,
                at_ms=START_MS + number * 30_000,
            )
            history.add(quote_after(tick, listing=LISTINGS["BTCUSDT"], trade_id=number + 1, has_spread=True))

        for interval, length_ms in INTERVALS.items():
            candles = history.candles(interval, limit=1_500, until_ms=START_MS + 600_000)
            assert all(candle.low <= min(candle.open, candle.close) for candle in candles)
            assert all(candle.high >= max(candle.open, candle.close) for candle in candles)
            assert all(candle.opened_ms % length_ms == 0 for candle in candles)
        assert history.latest("1h").close == Decimal(90_009)
        assert history.day().trades > 10


class TestLimits:
    def test_count_in_fixed_windows_and_start_again(self):
        limit = OrderLimit()
        for _ in range(300):
            limit.spend(at_ms=10_000)

        with pytest.raises(ExchangeError, match="300 orders per 10 SECONDS"):
            limit.spend(at_ms=19_999)
        limit.spend(at_ms=20_000)

    def test_ban_an_address_that_goes_on_after_429(self):
        limit = AddressLimit(weight_max=10)
        codes = []
        for _ in range(200):
            try:
                limit.spend(1, at_ms=60_000)
                codes.append(200)
            except ExchangeError as refusal:
                codes.append(refusal.http_status)

        assert [codes.count(200), codes.count(429), codes[-1]] == [10, 100, 418]
        with pytest.raises(BannedError):
            limit.spend(1, at_ms=120_000)


class TestFaults:
    def test_are_read_as_written(self):
        fault, late = read_faults("lose:probability=0.5,endpoint=POST /fapi/v1/order,count=2; late:ms=20")

        assert (fault.kind, fault.probability, fault.count, late.ms) == (FaultKind.LOSE, 0.5, 2, 20)

    @pytest.mark.parametrize("text", ["explode", "late:colour=red", "late:ms=soon"])
    def test_refuse_what_they_do_not_know(self, text):
        with pytest.raises(ValueError, match=r"explode|colour|soon"):
            read_faults(text)

    def test_strike_as_often_as_they_may_and_where_they_fit(self):
        faults = Faults(read_faults("refuse:count=2,endpoint=/order,key=a"), seed=1)
        kinds = frozenset({FaultKind.REFUSE})

        struck = [
            bool(faults.strike(kinds, target=target, key=key))
            for target, key in [("GET /ping", "a"), ("POST /order", "b"), *[("POST /order", "a")] * 3]
        ]

        assert (struck, faults.active[0].hits) == ([False, False, True, True, False], 2)

    def test_throw_the_same_dice_on_the_same_seed(self):
        def rolls(seed):
            faults = Faults(read_faults("drop:probability=0.3"), seed=seed)
            return [faults.strike(frozenset({FaultKind.DROP}), target="x") is not None for _ in range(50)]

        assert rolls(5) == rolls(5) != rolls(6)
