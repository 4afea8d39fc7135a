import asyncio
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest

from pregao.domain.clock import from_ms
from pregao.domain.order import OrderStatus, PositionMode
from pregao.domain.protection import ProtectionReport, ProtectionStatus
from pregao.domain.venue import MarginMode, OrderReport, StreamGap, TradeReport
from pregao.edges.exchanges.binance import BinanceExchange, StreamSettings, UserStreams, VenueAddresses
from pregao.edges.exchanges.binance.sockets import SocketLimits
from tests.edges.exchanges.scripted_venue import NOON, Misdeed, http, key_of, until

QUICK = {"look_seconds": 0.02, "gather_seconds": 0.1, "key_retry_seconds": 0.05}


def order_event(kind="NEW", *, status="NEW", trade_id=0, quantity="0", side="BOTH"):
    return {
        "e": "ORDER_TRADE_UPDATE", "E": 1, "T": 1,
        "o": {
            "s": "BTCUSDT", "c": "pabc1", "S": "BUY", "x": kind, "X": status, "i": 1000, "l": quantity, "L": "100.5",
            "n": "0.04", "N": "USDT", "T": 1763726400000, "t": trade_id, "m": False, "ps": side, "rp": "0",
        },
    }  # fmt: skip


def algo_event(status, **changes):
    order = {
        "caid": "saaaaaaaaaa-41-1-1", "aid": 2148719, "at": "CONDITIONAL", "o": "STOP_MARKET", "s": "BTCUSDT",
        "S": "SELL", "ps": "BOTH", "q": "0", "X": status, "ai": "", "ap": "0.00000", "aq": "0.00000", "act": "0",
        "tp": "85000", "cp": True, "R": False, "tt": 0, "rm": "",
    }  # fmt: skip
    return {"e": "ALGO_UPDATE", "T": 1763726400000, "E": 1763726400003, "o": order | changes}


FILL = {"kind": "TRADE", "status": "FILLED", "trade_id": 5, "quantity": "0.003"}


class Heard:
    """A sink that remembers, and fails when told to."""

    def __init__(self):
        self.reports = []
        self.fails = 0

    async def __call__(self, report):
        if self.fails and not isinstance(report, StreamGap):
            self.fails -= 1
            raise RuntimeError("no room")
        self.reports.append(report)

    def gaps(self, account_id=None):
        gaps = [one for one in self.reports if isinstance(one, StreamGap)]
        return [one for one in gaps if account_id is None or one.account_id == account_id]

    def others(self):
        return [one for one in self.reports if not isinstance(one, StreamGap)]


class Stage:
    """A followed venue: requests, streams, and what was heard."""

    def __init__(self, *, venue, streams, user, heard, exchange):
        self.venue, self.streams, self.user, self.heard, self.exchange = venue, streams, user, heard, exchange

    async def follow(self, *accounts):
        for account in accounts:
            await self.user.follow(account)
        await until(lambda: {one.account_id for one in self.heard.gaps()} >= set(accounts))

    async def say(self, account, event):
        await self.streams.say(f"listen-{account}", event)


@asynccontextmanager
async def staged(venue, streams, wire, clock, *, socket=None, **settings):
    def listen_key(request):
        return http(200, {"listenKey": f"listen-{request.headers['x-mbx-apikey'].removeprefix('key-')}"})

    proper = venue._proper

    def answering(request):
        if (request.method, request.path) == ("POST", "/fapi/v1/listenKey") and not venue.answers:
            return listen_key(request)
        return proper(request)

    venue._proper = answering
    addresses = VenueAddresses(rest=venue.url, streams=streams.url)
    exchange = BinanceExchange(addresses=addresses, wire=wire, credentials=key_of, clock=clock)
    heard = Heard()
    limits = SocketLimits(**({"backoff_seconds_max": 0.1, "overlap_seconds": 0.05} | (socket or {})))
    user = UserStreams(
        addresses=addresses, rest=exchange.rest, standing=exchange.standing, sink=heard, clock=clock,
        settings=StreamSettings(socket=limits, **(QUICK | settings)),
    )  # fmt: skip
    stage = Stage(venue=venue, streams=streams, user=user, heard=heard, exchange=exchange)
    stage.running = asyncio.create_task(user.run())
    try:
        yield stage
    finally:
        await user.close()
        await stage.running
        await exchange.close()


@pytest.fixture
async def stage(venue, streams, wire, clock):
    async with staged(venue, streams, wire, clock) as one:
        yield one


class TestFollow:
    async def test_tells_a_gap_first(self, stage):
        await stage.follow(1)

        assert stage.heard.reports == [StreamGap(account_id=1, connected_at=NOON)]

    async def test_shares_a_connection_among_accounts(self, stage, streams):
        await stage.follow(*range(1, 6))

        assert len(streams.live) == 1
        assert sorted(streams.live[0][0]) == [f"listen-{number}" for number in range(1, 6)]
        assert streams.opened[0].startswith("/private/stream?listenKey=")

    async def test_opens_another_when_one_is_full(self, venue, streams, wire, clock):
        async with staged(venue, streams, wire, clock, accounts_per_connection=2) as stage:
            await stage.follow(1, 2, 3, 4, 5)

            assert sorted(len(keys) for keys, _ in streams.live) == [1, 2, 2]

    async def test_adds_an_account_without_a_gap_for_the_others(self, stage):
        await stage.follow(1)

        await stage.follow(2)

        assert len(stage.heard.gaps(1)) == 1

    async def test_retries_a_key_that_could_not_be_had(self, stage, venue):
        venue.will(Misdeed(executes=False, answer=http(502, b"")), path="/fapi/v1/listenKey")

        await stage.follow(1)

        assert len(venue.asked("/fapi/v1/listenKey")) == 2

    async def test_hears_no_more_after_unfollowing(self, stage):
        await stage.follow(1, 2)

        await stage.user.unfollow(1)
        await stage.say(1, order_event())
        await stage.say(2, order_event())

        await until(stage.heard.others)
        assert [one.account_id for one in stage.heard.others()] == [2]


class TestEvents:
    async def test_gives_fills(self, stage):
        await stage.follow(1, 2)

        await stage.say(2, order_event(**FILL))

        await until(stage.heard.others)
        report = stage.heard.others()[0]
        assert isinstance(report, TradeReport)
        assert (report.account_id, report.trade.trade_id) == (2, "5")
        assert (report.trade.price, report.trade.quantity) == (Decimal("100.5"), Decimal("0.003"))

    async def test_gives_orders_that_ended(self, stage):
        await stage.follow(1)

        await stage.say(1, order_event("EXPIRED", status="EXPIRED"))

        await until(stage.heard.others)
        report = stage.heard.others()[0]
        assert isinstance(report, OrderReport)
        assert report.status is OrderStatus.EXPIRED

    async def test_gives_protective_orders_that_move_on(self, stage):
        await stage.follow(1)

        await stage.say(1, algo_event("TRIGGERING", tt=1763726400000))
        await stage.say(1, algo_event("TRIGGERED", ai="88937381063"))
        await stage.say(1, algo_event("REJECTED", rm="Reduce Only reject"))

        await until(lambda: len(stage.heard.others()) == 3)
        told = stage.heard.others()
        assert all(isinstance(one, ProtectionReport) for one in told)
        assert [(one.status, one.triggered_order_id, one.reason) for one in told] == [
            (ProtectionStatus.TRIGGERING, None, ""),
            (ProtectionStatus.TRIGGERED, "88937381063", ""),
            (ProtectionStatus.REJECTED, None, "Reduce Only reject"),
        ]
        assert (told[0].account_id, told[0].symbol, told[0].protection_id, told[0].reported_at) == (
            1,
            "BTCUSDT",
            "saaaaaaaaaa-41-1-1",
            from_ms(1763726400000),
        )

    @pytest.mark.parametrize("changes", [{"at": "TWAP"}, {"X": "SLEEPING"}])
    async def test_passes_over_algo_orders_that_are_no_protection(self, stage, changes):
        await stage.follow(1)

        await stage.say(1, algo_event("NEW", **changes))
        await stage.say(1, order_event())

        await until(stage.heard.others)
        assert [type(one) for one in stage.heard.others()] == [OrderReport]

    async def test_makes_a_gap_of_a_protective_order_it_cannot_read(self, stage):
        await stage.follow(1)

        await stage.say(1, {"e": "ALGO_UPDATE", "T": 1, "o": {"at": "CONDITIONAL", "X": "NEW"}})

        await until(lambda: len(stage.heard.gaps(1)) == 2)

    async def test_ignores_what_says_less(self, stage):
        await stage.follow(1)

        await stage.say(1, {"e": "TRADE_LITE", "E": 1, "s": "BTCUSDT"})
        await stage.say(1, order_event())

        await until(stage.heard.others)
        assert len(stage.heard.others()) == 1

    async def test_learns_leverage_and_mode(self, stage):
        await stage.follow(1)
        stage.exchange.standing.margin_modes[1, "BTCUSDT"] = MarginMode.CROSSED

        await stage.say(1, {"e": "ACCOUNT_CONFIG_UPDATE", "ac": {"s": "BTCUSDT", "l": 25}})
        await stage.say(1, {"e": "ACCOUNT_UPDATE", "a": {"P": [{"s": "BTCUSDT", "ps": "LONG"}]}})

        await until(lambda: stage.exchange.standing.position_modes)
        assert stage.exchange.standing.leverages == {(1, "BTCUSDT"): 25}
        assert await stage.exchange.position_mode(account_id=1) is PositionMode.HEDGE

    @pytest.mark.parametrize("text", ["{", "[]", '{"stream":"listen-1","data":{"e":"ORDER_TRADE_UPDATE"}}'])
    async def test_makes_a_gap_of_what_it_cannot_read(self, stage, streams, text):
        await stage.follow(1)

        await streams.say_all(text)

        await until(lambda: len(stage.heard.gaps(1)) == 2)

    async def test_makes_a_gap_of_what_the_desk_could_not_take(self, stage):
        await stage.follow(1)
        stage.heard.fails = 1

        await stage.say(1, order_event(**FILL))

        await until(lambda: len(stage.heard.gaps(1)) == 2)


class TestRunningAgain:
    async def test_follows_its_accounts_as_before_and_tells_a_gap(self, stage, streams):
        """A trader that lost the venue's streams to another, and got them back when that one died."""
        await stage.follow(1)
        stage.running.cancel()
        await asyncio.gather(stage.running, return_exceptions=True)

        stage.running = asyncio.create_task(stage.user.run())

        await until(lambda: len(stage.heard.gaps(1)) == 2)
        await stage.say(1, order_event(**FILL))
        await until(stage.heard.others)


class TestReconnection:
    async def test_tells_a_gap_for_everybody(self, stage, streams):
        await stage.follow(1, 2)

        await streams.drop_all()

        await until(lambda: len(stage.heard.gaps(1)) == len(stage.heard.gaps(2)) == 2)
        await stage.say(1, order_event())
        await until(stage.heard.others)

    @pytest.mark.parametrize("trusted", [0.0, 60.0])
    async def test_forgets_settings_only_after_long(self, venue, streams, wire, clock, trusted):
        """Setting them anew for all accounts after every blip would use up the weight of a minute."""
        async with staged(venue, streams, wire, clock, settings_trusted_seconds=trusted) as stage:
            await stage.follow(1)
            stage.exchange.standing.note_leverage(1, "BTCUSDT", 5)

            await streams.drop_all()

            await until(lambda: len(stage.heard.gaps(1)) == 2)
            assert bool(stage.exchange.standing.leverages) is (trusted > 0)

    async def test_opens_the_new_before_it_closes_the_old(self, venue, streams, wire, clock):
        async with staged(venue, streams, wire, clock, socket={"lifetime_seconds": 0.2}) as stage:
            await stage.follow(1)

            await until(lambda: len(streams.opened) >= 3)
            await until(lambda: len(streams.live) == 1)

        assert streams.live_before[:3] == [0, 1, 1]
        assert len(stage.heard.gaps(1)) >= 2

    async def test_doubts_its_keys_when_nothing_opens(self, venue, streams, wire, clock):
        async with staged(venue, streams, wire, clock, socket={"backoff_seconds_max": 0.02}) as stage:
            await stage.follow(1)
            streams.refuses = True

            await streams.drop_all()

            await until(lambda: any(one.method == "PUT" for one in venue.received))

    async def test_makes_a_new_key_when_the_old_expired(self, stage, streams, venue):
        await stage.follow(1)
        asked = len(venue.asked("/fapi/v1/listenKey"))

        await stage.say(1, {"e": "listenKeyExpired", "E": 1, "listenKey": "listen-1"})

        await until(lambda: len(stage.heard.gaps(1)) == 2)
        assert len(venue.asked("/fapi/v1/listenKey")) == asked + 1

    async def test_makes_a_new_key_when_the_venue_knows_the_old_no_more(self, venue, streams, wire, clock):
        async with staged(venue, streams, wire, clock, key_seconds=0.15) as stage:
            await stage.follow(1)
            await until(lambda: any(one.method == "PUT" for one in venue.received))
            puts = [one for one in venue.received if one.method == "PUT"]

            assert puts[0].headers["x-mbx-apikey"] == "key-1"

    async def test_separates_accounts_when_the_venue_does_not_say_whose_an_event_is(self, stage, streams):
        """A shared connection that names the event instead of the key would book fills on the wrong account."""
        streams.names_accounts = False
        await stage.follow(1, 2)

        await stage.say(1, order_event(**FILL))

        await until(lambda: len(streams.live) == 2 and len(stage.heard.gaps()) == 4)
        assert stage.heard.others() == []
        await stage.say(2, order_event(**FILL))
        await until(stage.heard.others)
        assert [one.account_id for one in stage.heard.others()] == [2]


class TestSilence:
    async def test_becomes_a_gap_when_it_lasts(self, venue, streams, wire, clock):
        async with staged(venue, streams, wire, clock, account_silence_seconds_max=0.2) as stage:
            await stage.follow(1)

            await until(lambda: len(stage.heard.gaps(1)) >= 2)

    async def test_becomes_a_gap_when_an_event_was_expected(self, venue, streams, wire, clock):
        async with staged(venue, streams, wire, clock, event_seconds_max=0.1) as stage:
            await stage.follow(1, 2)

            stage.user.expect(1)
            stage.user.expect(2)
            await stage.say(2, order_event())

            await until(lambda: len(stage.heard.gaps(1)) == 2)
            assert len(stage.heard.gaps(2)) == 1
