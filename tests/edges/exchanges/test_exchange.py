import asyncio
from decimal import Decimal

import pytest

from pregao.domain.clock import to_ms
from pregao.domain.order import OrderStatus, PositionMode, PositionSide, Side
from pregao.domain.venue import (
    MarginMode,
    OperatorNeeded,
    OutcomeUnknown,
    Refused,
    RetryLater,
    VenuePosition,
)
from pregao.domain.weight import Drawn, Importance, asking_for
from pregao.edges.exchanges.binance import BinanceExchange, VenueAddresses
from pregao.edges.exchanges.binance.venue_clock import SAMPLES
from pregao.edges.exchanges.wire import Wire, WireLimits
from tests.edges.exchanges.scripted_venue import (
    ANSWER_SECONDS,
    LATE_SECONDS,
    NOON,
    Misdeed,
    attempt,
    http,
    key_of,
)

DAY_MS = 86_400_000

LEVERAGE = {"account_id": 1, "symbol": "BTCUSDT", "leverage": 5, "margin_mode": MarginMode.ISOLATED}
BOOK = ("GET", "/fapi/v1/ticker/bookTicker")
LAST = ("GET", "/fapi/v2/ticker/price")
FACTS = {
    "rateLimits": [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
    ],
    "symbols": [
        {
            "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "marginAsset": "USDT",
            "filters": [
                {"filterType": "PRICE_FILTER", "tickSize": "0.10", "minPrice": "1", "maxPrice": "9"},
                {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "1000"},
                {"filterType": "MARKET_LOT_SIZE", "stepSize": "0.01", "minQty": "0.02", "maxQty": "120"},
                {"filterType": "MIN_NOTIONAL", "notional": "100"},
                {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            ],
        }
    ],
}  # fmt: skip


class TestSubmit:
    async def test_acknowledges_with_the_venues_id(self, exchange, venue):
        acknowledged = await exchange.submit(attempt())

        assert acknowledged.exchange_order_id == "1000"
        assert acknowledged.sent_at == acknowledged.acknowledged_at == NOON
        assert len(venue.executed) == 1

    async def test_sends_the_attempt_exactly_as_it_stands(self, exchange, venue):
        await exchange.submit(attempt(signed_at_ms=to_ms(NOON) - 700, recv_window_ms=2500))

        request = venue.orders_received()[0]
        assert request.raw_query.split("&signature=")[0] == (
            "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.003"
            f"&newClientOrderId=p{'a' * 26}1&recvWindow=2500&timestamp={to_ms(NOON) - 700}"
        )
        assert request.headers["x-mbx-apikey"] == "key-1"

    async def test_says_reduce_only_in_one_way_mode(self, exchange, venue):
        await exchange.submit(attempt(reduce_only=True))

        query = venue.orders_received()[0].query
        assert query["reduceOnly"] == "true"
        assert "positionSide" not in query

    async def test_sends_the_bound_of_a_bounded_exit(self, exchange, venue):
        await exchange.submit(attempt(reduce_only=True, limit_price=Decimal("89500.1")))

        query = venue.orders_received()[0].query
        assert (query["type"], query["price"], query["timeInForce"]) == ("LIMIT", "89500.1", "IOC")

    async def test_names_the_side_instead_in_hedge_mode(self, exchange, venue):
        """The exchange refuses reduceOnly there."""
        await exchange.submit(attempt(reduce_only=True, side=Side.SELL, position_side=PositionSide.LONG))

        query = venue.orders_received()[0].query
        assert query["positionSide"] == "LONG"
        assert "reduceOnly" not in query

    @pytest.mark.parametrize(
        "misdeed",
        [
            Misdeed(delay_seconds=LATE_SECONDS),
            Misdeed(closes=True),
            Misdeed(answer=b"garbage\r\n\r\n"),
            Misdeed(answer=http(200, b"{not json")),
            Misdeed(answer=http(200, b"[]")),
            Misdeed(answer=http(200, {"orderId": 7, "clientOrderId": "somebody-elses"})),
            Misdeed(answer=http(503, b"Unknown error, please check your request or try again later.")),
            Misdeed(answer=http(502, b"<html>")),
            Misdeed(answer=http(408, {"code": -1007, "msg": "Timeout"})),
            Misdeed(answer=b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", closes=True),
        ],
        ids=lambda one: repr(one)[:60],
    )
    async def test_knows_nothing_when_the_answer_is_lost_and_never_sends_again(
        self, exchange, venue, misdeed
    ):
        venue.will(misdeed)

        with pytest.raises(OutcomeUnknown):
            await exchange.submit(attempt())

        await asyncio.sleep(0.05)
        assert len(venue.orders_received()) == 1
        found = await exchange.find_order(
            account_id=1, symbol="BTCUSDT", client_order_id=attempt().client_order_id
        )
        assert found is not None

    async def test_never_sends_again_when_kept_connections_died(self, exchange, venue):
        """The connection looks alive, the venue closes it as the order arrives: nobody knows."""
        await exchange.submit(attempt(2))
        venue.will(Misdeed(executes=False, closes=True))

        with pytest.raises(OutcomeUnknown):
            await exchange.submit(attempt())

        assert len(venue.orders_received()) == 2

    async def test_refuses_what_the_venue_refused(self, exchange, venue):
        venue.refuse(400, {"code": -2019, "msg": "Margin is insufficient."})

        with pytest.raises(Refused, match="Margin is insufficient") as refusal:
            await exchange.submit(attempt())

        assert refusal.value.code == "-2019"

    async def test_asks_for_a_person_when_the_key_is_refused(self, exchange, venue):
        venue.refuse(401, {"code": -2015, "msg": "Invalid API-key"})

        with pytest.raises(OperatorNeeded):
            await exchange.submit(attempt())

    async def test_may_be_tried_later_when_nobody_listens(self, wire, clock):
        exchange = BinanceExchange(
            addresses=VenueAddresses.paper("http://127.0.0.1:9"), wire=wire, credentials=key_of, clock=clock
        )

        with pytest.raises(RetryLater) as refusal:
            await exchange.submit(attempt())

        assert refusal.value.code == "NOT_SENT"

    async def test_measures_the_clock_anew_when_it_woke_up_late(self, exchange, venue):
        venue.clock.move(30)

        with pytest.raises(RetryLater) as refusal:
            await exchange.submit(attempt())

        assert refusal.value.code == "-1021"
        assert exchange.venue_now_ms() == to_ms(NOON) + 30_000  # before anybody can sign the next attempt
        assert venue.executed == {}

    async def test_asks_again_itself_by_the_clock_it_has_measured(self, exchange, venue):
        """A question that woke up late was not answered; nobody waits until it is asked for the next time."""
        venue.clock.move(30)

        assert await exchange.find_order(account_id=1, symbol="BTCUSDT", client_order_id="p" * 28) is None
        assert len(venue.asked("/fapi/v1/order")) == 2

    async def test_measures_the_clock_though_little_weight_is_left(self, exchange, venue):
        """By a wrong clock nobody is answered, and every question uses weight all the same."""
        venue.answers["GET", "/fapi/v3/balance"] = http(200, [], headers=["x-mbx-used-weight-1m: 2100"])
        await exchange.balance(account_id=1)
        venue.clock.move(30)

        assert await exchange.find_order(account_id=1, symbol="BTCUSDT", client_order_id="p" * 28) is None

    async def test_asks_once_where_the_clock_cannot_be_measured(self, exchange, venue):
        venue.clock.move(30)
        venue.will(Misdeed(executes=False, answer=http(500, b"")), path="/fapi/v1/time")

        with pytest.raises(RetryLater, match="recvWindow"):
            await exchange.find_order(account_id=1, symbol="BTCUSDT", client_order_id="p" * 28)
        assert len(venue.asked("/fapi/v1/order")) == 1

    async def test_measures_the_clock_once_for_many_that_woke_up_late(self, exchange, venue):
        venue.clock.move(30)
        late = [attempt(number, client_order_id=f"p{number:027d}") for number in range(8)]

        told = await asyncio.gather(*map(exchange.submit, late), return_exceptions=True)

        assert {one.code for one in told} == {"-1021"}
        assert len(venue.asked("/fapi/v1/time")) <= 2 * SAMPLES

    async def test_lets_an_exit_be_tried_at_once_where_the_venue_throttles(self, exchange, venue):
        """-1008 exempts reduce-only orders; an entry waits."""
        for _ in range(3):
            venue.refuse(503, {"code": -1008, "msg": "Request throttled"})
        waits = []
        for changes in (
            {},
            {"side": Side.SELL, "reduce_only": True},
            {"side": Side.SELL, "position_side": PositionSide.LONG},
        ):
            with pytest.raises(RetryLater) as refusal:
                await exchange.submit(attempt(**changes))
            waits.append(refusal.value.retry_after_seconds)

        assert waits == [1, 0, 0]

    async def test_calls_a_duplicate_unknown(self, exchange):
        await exchange.submit(attempt())

        with pytest.raises(OutcomeUnknown) as problem:
            await exchange.submit(attempt())

        assert problem.value.code == "-4116"

    async def test_stays_silent_as_long_as_the_venue_wants(self, exchange, venue, clock):
        venue.refuse(429, {"code": -1003, "msg": "Too many requests"}, headers=["Retry-After: 5"])
        with pytest.raises(RetryLater):
            await exchange.submit(attempt())

        with pytest.raises(RetryLater) as pause:
            await exchange.submit(attempt(2))
        clock.move(6)
        venue.clock.move(6)
        await exchange.submit(attempt(2, signed_at_ms=to_ms(clock())))

        assert pause.value.code == "VENUE_PAUSED"
        assert len(venue.orders_received()) == 2

    async def test_pauses_only_the_account_that_sent_too_many(self, exchange, venue):
        venue.refuse(429, {"code": -1015, "msg": "Too many new orders"})
        with pytest.raises(RetryLater):
            await exchange.submit(attempt(1))

        await exchange.submit(attempt(2))
        with pytest.raises(RetryLater):
            await exchange.submit(attempt(1))

        assert len(venue.orders_received()) == 2

    async def test_does_not_let_a_slow_account_delay_others(self, exchange, venue):
        """Behind it they would wait for longer than an answer may take."""
        venue.slow_keys["key-1"] = 5.0
        slow = asyncio.create_task(exchange.submit(attempt(1)))

        told = await asyncio.gather(*(exchange.submit(attempt(number)) for number in range(2, 12)))

        assert len(told) == 10
        with pytest.raises(OutcomeUnknown):
            await slow

    async def test_asks_for_a_person_when_there_is_no_key(self, venue, wire, clock):
        exchange = BinanceExchange(
            addresses=VenueAddresses.paper(venue.url), wire=wire, credentials={}.__getitem__, clock=clock
        )

        with pytest.raises(OperatorNeeded):
            await exchange.submit(attempt())

        assert venue.received == []

    async def test_waits_for_keys_that_must_be_fetched(self, venue, wire, clock):
        async def fetched(account_id):
            await asyncio.sleep(0)
            return key_of(account_id)

        exchange = BinanceExchange(
            addresses=VenueAddresses.paper(venue.url), wire=wire, credentials=fetched, clock=clock
        )

        await exchange.submit(attempt())

        assert len(venue.executed) == 1

    async def test_counts_what_the_headers_tell(self, exchange):
        await exchange.submit(attempt())

        assert exchange.usage.orders == {1: {"10s": 3, "1m": 7}}

    async def test_shows_no_secret_in_its_errors(self, exchange, venue):
        venue.refuse(400, {"code": -1022, "msg": "Signature for this request is not valid."})

        with pytest.raises(OperatorNeeded) as problem:
            await exchange.submit(attempt())

        assert "secret-1" not in repr(problem.value)
        assert "signature=" not in str(problem.value)


class TestQueries:
    async def test_finds_an_order(self, exchange):
        await exchange.submit(attempt())

        found = await exchange.find_order(
            account_id=1, symbol="BTCUSDT", client_order_id=attempt().client_order_id
        )

        assert found is not None
        assert (found.status, found.quantity) == (OrderStatus.ACCEPTED, Decimal("0.003"))

    async def test_finds_nothing_when_the_venue_says_so(self, exchange):
        assert await exchange.find_order(account_id=1, symbol="BTCUSDT", client_order_id="none") is None

    async def test_does_not_take_trouble_for_absence(self, exchange, venue):
        venue.refuse(500, b"")

        with pytest.raises(OutcomeUnknown):
            await exchange.find_order(account_id=1, symbol="BTCUSDT", client_order_id="none")

    async def test_gives_trades_oldest_first(self, exchange, venue):
        row = {
            "symbol": "BTCUSDT", "orderId": 7, "side": "BUY", "positionSide": "BOTH", "price": "100", "qty": "1",
            "commission": "0.04", "commissionAsset": "USDT", "maker": False, "realizedPnl": "0",
        }  # fmt: skip
        venue.answers["GET", "/fapi/v1/userTrades"] = [
            row | {"id": 10, "time": 2}, row | {"id": 9, "time": "2"}, row | {"id": 11, "time": 1},
        ]  # fmt: skip

        trades = await exchange.trades_of(account_id=1, symbol="BTCUSDT", exchange_order_id="7")

        assert [trade.trade_id for trade in trades] == ["11", "9", "10"]
        assert venue.received[-1].query["orderId"] == "7"

    async def test_asks_for_trades_since_an_instant(self, exchange, venue):
        venue.answers["GET", "/fapi/v1/userTrades"] = []

        since_ms = to_ms(NOON) - 5

        assert await exchange.trades_since(account_id=1, symbol="BTCUSDT", since_ms=since_ms) == []
        assert [request.query["startTime"] for request in venue.received] == [str(since_ms)]

    async def test_asks_week_by_week_for_trades_of_an_old_position(self, exchange, venue):
        """One answer covers seven days: of what was closed later by hand it would say nothing."""
        venue.answers["GET", "/fapi/v1/userTrades"] = []
        since_ms = to_ms(NOON) - 15 * DAY_MS

        await exchange.trades_since(account_id=1, symbol="BTCUSDT", since_ms=since_ms)

        spans = [(int(one.query["startTime"]), int(one.query["endTime"])) for one in venue.received]
        assert spans == [
            (since_ms + week * 7 * DAY_MS, since_ms + (week + 1) * 7 * DAY_MS) for week in range(3)
        ]

    async def test_asks_on_where_a_full_answer_ends(self, exchange, venue):
        """A thousand trades are all that one answer holds."""
        row = {
            "symbol": "BTCUSDT", "orderId": 7, "side": "BUY", "positionSide": "BOTH", "price": "100", "qty": "1",
            "commission": "0.04", "commissionAsset": "USDT", "maker": False, "realizedPnl": "0",
        }  # fmt: skip
        began_ms = to_ms(NOON) - 2_000
        proper = venue._proper

        def paged(request):
            first = int(request.query["startTime"]) - began_ms
            rows = [row | {"id": one, "time": began_ms + one} for one in range(first, 1_500)]
            venue.answers["GET", "/fapi/v1/userTrades"] = rows[:1_000]
            return proper(request)

        venue._proper = paged

        trades = await exchange.trades_since(account_id=1, symbol="BTCUSDT", since_ms=began_ms)

        assert [int(trade.trade_id) for trade in trades] == list(range(1_500))

    async def test_gives_open_positions_only(self, exchange, venue):
        flat = {"symbol": "ETHUSDT", "positionSide": "BOTH", "positionAmt": "0", "entryPrice": "0.0"}
        short = {"symbol": "BTCUSDT", "positionSide": "SHORT", "positionAmt": "-0.5", "entryPrice": "100.1"}
        venue.answers["GET", "/fapi/v3/positionRisk"] = [flat, short]

        positions = await exchange.positions(account_id=1)

        assert positions == [
            VenuePosition(
                symbol="BTCUSDT", position_side=PositionSide.SHORT, quantity=Decimal("-0.5"),
                entry_price=Decimal("100.1"),
            )
        ]  # fmt: skip

    async def test_is_unknown_when_an_answer_has_another_shape(self, exchange, venue):
        venue.answers["GET", "/fapi/v3/positionRisk"] = [{"symbol": "BTCUSDT"}]

        with pytest.raises(OutcomeUnknown):
            await exchange.positions(account_id=1)

    async def test_gives_the_balance_of_the_margin_asset(self, exchange, venue):
        venue.answers["GET", "/fapi/v3/balance"] = [
            {"asset": "BNB", "balance": "3"}, {"asset": "USDT", "balance": "122607.35137903"},
        ]  # fmt: skip

        assert await exchange.balance(account_id=1) == Decimal("122607.35137903")

    async def test_still_asks_for_a_price_that_an_exit_waits_for_when_entries_ask_no_more(
        self, exchange, venue
    ):
        venue.answers["GET", "/fapi/v3/balance"] = http(200, [], headers=["x-mbx-used-weight-1m: 2100"])
        venue.answers[BOOK] = {"bidPrice": "99.9", "askPrice": "100.1"}
        venue.answers[LAST] = {"price": "100.0"}
        await exchange.balance(account_id=1)

        await exchange.quote("BTCUSDT")
        with asking_for(Importance.BOOKS), pytest.raises(RetryLater) as shed:
            await exchange.quote("ETHUSDT")

        assert shed.value.code == "WEIGHT_NEARLY_USED"

    async def test_sheds_reads_before_the_weight_is_used_up(self, exchange, venue):
        venue.answers["GET", "/fapi/v3/balance"] = http(200, [], headers=["x-mbx-used-weight-1m: 1990"])
        await exchange.balance(account_id=1)

        with pytest.raises(RetryLater) as shed:
            await exchange.balance(account_id=1)
        await exchange.find_order(account_id=1, symbol="BTCUSDT", client_order_id="none")
        await exchange.submit(attempt())

        assert shed.value.code == "WEIGHT_NEARLY_USED"
        assert 0 < shed.value.retry_after_seconds <= 60


class TestEnsureLeverage:
    async def test_sets_what_is_unknown_once(self, exchange, venue):
        venue.answers["POST", "/fapi/v1/marginType"] = {"code": 200, "msg": "success"}
        venue.answers["POST", "/fapi/v1/leverage"] = {"leverage": 5, "symbol": "BTCUSDT"}

        await asyncio.gather(*(exchange.ensure_leverage(**LEVERAGE) for _ in range(3)))

        assert [one.path for one in venue.received] == ["/fapi/v1/marginType", "/fapi/v1/leverage"]
        assert venue.received[0].query["marginType"] == "ISOLATED"

    async def test_is_content_when_the_mode_stands_already(self, exchange, venue):
        venue.answers["POST", "/fapi/v1/marginType"] = http(400, {"code": -4046, "msg": "No need to change"})
        venue.answers["POST", "/fapi/v1/leverage"] = {"leverage": 5}

        await exchange.ensure_leverage(**LEVERAGE)

        assert len(venue.asked("/fapi/v1/leverage")) == 1

    async def test_is_refused_with_a_position_in_the_other_mode(self, exchange, venue):
        venue.answers["POST", "/fapi/v1/marginType"] = http(400, {"code": -4048, "msg": "exists position"})

        with pytest.raises(Refused):
            await exchange.ensure_leverage(**LEVERAGE)

        assert venue.asked("/fapi/v1/leverage") == []

    async def test_forgets_what_it_does_not_know(self, exchange, venue):
        venue.answers["POST", "/fapi/v1/marginType"] = {"code": 200}
        venue.answers["POST", "/fapi/v1/leverage"] = http(502, b"")
        with pytest.raises(OutcomeUnknown):
            await exchange.ensure_leverage(**LEVERAGE)
        venue.answers["POST", "/fapi/v1/leverage"] = {"leverage": 5}

        await exchange.ensure_leverage(**LEVERAGE)

        assert len(venue.asked("/fapi/v1/leverage")) == 2


class TestPositionMode:
    async def test_is_asked_once(self, exchange, venue):
        venue.answers["GET", "/fapi/v1/accountConfig"] = {"dualSidePosition": True}

        modes = await asyncio.gather(*(exchange.position_mode(account_id=1) for _ in range(3)))

        assert modes == [PositionMode.HEDGE] * 3
        assert len(venue.received) == 1

    async def test_is_asked_again_when_an_order_contradicts_it(self, exchange, venue):
        venue.answers["GET", "/fapi/v1/accountConfig"] = {"dualSidePosition": True}
        await exchange.position_mode(account_id=1)
        venue.refuse(400, {"code": -4061, "msg": "does not match"})
        with pytest.raises(OperatorNeeded):
            await exchange.submit(attempt())
        venue.answers["GET", "/fapi/v1/accountConfig"] = {"dualSidePosition": False}

        assert await exchange.position_mode(account_id=1) is PositionMode.ONE_WAY


class TestInstruments:
    async def test_reads_the_filters_of_market_orders(self, exchange, venue):
        venue.answers["GET", "/fapi/v1/exchangeInfo"] = FACTS

        first, second = await asyncio.gather(exchange.instruments(), exchange.instruments())

        bitcoin = first["BTCUSDT"]
        assert (bitcoin.price_tick, bitcoin.quantity_step) == (Decimal("0.10"), Decimal("0.001"))
        assert (bitcoin.market_quantity_step, bitcoin.market_quantity_min) == (
            Decimal("0.01"),
            Decimal("0.02"),
        )
        assert (bitcoin.notional_min, bitcoin.is_trading) == (Decimal(100), True)
        assert first is second
        assert len(venue.received) == 1

    async def test_learns_the_weight_limit(self, exchange, venue):
        venue.answers["GET", "/fapi/v1/exchangeInfo"] = FACTS

        await exchange.instruments()

        assert exchange.usage.weight_max == 6000

    async def test_learns_it_when_others_have_used_more_than_it_knows_of(self, exchange, venue):
        """A process that starts late in a busy minute must not believe that nothing is left."""
        venue.answers["GET", "/fapi/v1/exchangeInfo"] = FACTS
        now_ms = exchange.rest.clock.now_ms()
        others = Drawn(minute=now_ms // 60_000, granted=0, drawn=2_400, paused_seconds=0)
        exchange.rest.limits.adopt(others, now_ms=now_ms)

        await exchange.instruments()

        assert exchange.usage.weight_max == 6000


class TestQuote:
    async def test_asks_once_for_all_who_ask_at_once(self, exchange, venue):
        venue.answers[BOOK] = {"symbol": "BTCUSDT", "bidPrice": "99.9", "askPrice": "100.1"}
        venue.answers[LAST] = {"symbol": "BTCUSDT", "price": "100.0", "time": 1}

        quotes = await asyncio.gather(*(exchange.quote("BTCUSDT") for _ in range(50)))

        assert len(venue.received) == 2
        assert {(one.bid, one.ask, one.last_price) for one in quotes} == {
            (Decimal("99.9"), Decimal("100.1"), Decimal("100.0"))
        }

    async def test_outlives_one_who_gives_up(self, exchange, venue):
        venue.answers[BOOK] = {"bidPrice": "99.9", "askPrice": "100.1"}
        venue.answers[LAST] = {"price": "100.0"}
        hasty, patient = (asyncio.create_task(exchange.quote("BTCUSDT")) for _ in range(2))
        await asyncio.sleep(0)

        hasty.cancel()

        assert (await patient).bid == Decimal("99.9")

    async def test_prefers_a_fresh_price_of_the_stream(self, exchange, venue):
        exchange.prices.note_book("BTCUSDT", bid=Decimal(1), ask=Decimal(2))
        exchange.prices.note_last("BTCUSDT", price=Decimal("1.5"))

        quote = await exchange.quote("BTCUSDT")

        assert (quote.last_price, quote.quoted_at) == (Decimal("1.5"), NOON)
        assert venue.received == []

    async def test_refuses_an_empty_book(self, exchange, venue):
        venue.answers[BOOK] = {"bidPrice": "0", "askPrice": "100.1"}
        venue.answers[LAST] = {"price": "100.0"}

        with pytest.raises(Refused):
            await exchange.quote("BTCUSDT")


class TestStart:
    async def test_measures_the_clock_and_warms_connections(self, exchange, venue):
        venue.clock.move(3)

        await exchange.start()

        assert exchange.venue_now_ms() == to_ms(NOON) + 3_000
        assert venue.connections >= 2

    async def test_starts_without_the_venue(self, wire, clock):
        exchange = BinanceExchange(
            addresses=VenueAddresses.paper("http://127.0.0.1:9"), wire=wire, credentials=key_of, clock=clock
        )

        await exchange.start()

        assert exchange.venue_now_ms() == to_ms(NOON)
        await exchange.close()


class TestClose:
    async def test_leaves_no_task_behind(self, venue, clock):
        wire = Wire(clock=clock, limits=WireLimits(timeout_seconds=ANSWER_SECONDS))
        exchange = BinanceExchange(
            addresses=VenueAddresses.paper(venue.url), wire=wire, credentials=key_of, clock=clock
        )
        await exchange.start()

        await exchange.close()
        await wire.close()

        names = {task.get_coro().__qualname__ for task in asyncio.all_tasks()}
        assert not any("BinanceExchange" in name or "Line" in name for name in names)
