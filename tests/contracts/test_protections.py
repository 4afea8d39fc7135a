"""
The entry exam of a venue that keeps protective orders: their lives, told by requests and by the stream.

Binance's adapter sits it over real sockets against the paper exchange, and the venue in memory sits the same.
"""

import asyncio
import random
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.domain.level import TriggerKind
from pregao.domain.order import PositionMode, PositionSide, Side
from pregao.domain.protection import (
    ProtectionName,
    ProtectionRefused,
    ProtectionReport,
    ProtectionStatus,
    ProtectiveOrder,
    RefusalCause,
    protection_id,
    protection_of,
)
from pregao.domain.venue import OrderAttempt, OutcomeUnknown, RetryLater, StreamGap, TradeReport
from pregao.edges.exchanges.binance import (
    ApiKey,
    BinanceExchange,
    BinanceProtections,
    StreamSettings,
    UserStreams,
    VenueAddresses,
)
from pregao.edges.exchanges.wire import Wire
from pregao.edges.paper.serve import PaperServer, PaperSettings
from pregao.simulation.commands import SetPositionMode
from pregao.simulation.faults import read_faults
from pregao.simulation.market import Tick
from pregao.simulation.venue import SimulatedVenue

DESK = UUID(int=7)
ONE_WAY, HEDGE = 1, 2
KEYS = {number: ApiKey(f"guard-key-{number}", f"guard-secret-{number}") for number in (ONE_WAY, HEDGE)}
QUANTITY = Decimal("0.01")
START = Decimal(90_000)
TRIGGERED = ProtectionStatus.TRIGGERED


def now():
    return datetime.now(UTC)


def name(version=1, *, kind=TriggerKind.STOP, position_id=41, target=1):
    return ProtectionName(position_id=position_id, kind=kind, version=version, target=target)


class Stage:
    """One venue with its two ports, and what its streams told."""

    def __init__(self, *, exchange, protections, price, faults, reports):
        self.exchange, self.protections = exchange, protections
        self.price, self.goes_wrong = price, faults
        self.reports = reports

    def of(self, kind):
        return [one for one in self.reports if isinstance(one, kind)]

    def told(self, protection):
        return [
            one.status for one in self.of(ProtectionReport) if one.protection_id == protection.protection_id
        ]

    async def until(self, condition):
        async with asyncio.timeout(8):
            while not condition():
                await asyncio.sleep(0.02)

    async def until_told(self, protection, status):
        await self.until(lambda: status in self.told(protection))

    def stop(self, number=1, **changes):
        given = {
            "protection_id": protection_id(name(number), desk_id=DESK), "account_id": ONE_WAY, "symbol": "BTCUSDT",
            "side": Side.SELL, "position_side": PositionSide.BOTH, "kind": TriggerKind.STOP,
            "trigger_price": Decimal(85_000), "quantity": None,
            "signed_at_ms": self.exchange.venue_now_ms(), "recv_window_ms": 5_000,
        }  # fmt: skip
        return ProtectiveOrder(**(given | changes))

    def target(self, number=1, **changes):
        kind = TriggerKind.TARGET
        given = {
            "protection_id": protection_id(name(number, kind=kind), desk_id=DESK),
            "kind": kind,
            "trigger_price": Decimal(95_000),
        }
        return self.stop(**(given | changes))

    async def place(self, protection):
        return await self.protections.place_protection(protection)

    async def find(self, protection):
        return await self.protections.find_protection(
            account_id=protection.account_id, protection_id=protection.protection_id
        )

    async def cancel(self, protection):
        return await self.protections.cancel_protection(
            account_id=protection.account_id, protection_id=protection.protection_id
        )

    async def open(self, account_id=ONE_WAY, symbol="BTCUSDT"):
        return await self.protections.open_protections(account_id=account_id, symbol=symbol)

    async def buy(self, quantity=QUANTITY, **changes):
        given = {
            "client_order_id": f"pentry{len(self.reports):a>21}1", "account_id": ONE_WAY, "symbol": "BTCUSDT",
            "side": Side.BUY, "position_side": PositionSide.BOTH, "quantity": quantity, "reduce_only": False,
            "signed_at_ms": self.exchange.venue_now_ms(), "recv_window_ms": 5_000,
        }  # fmt: skip
        await self.exchange.submit(OrderAttempt(**(given | changes)))

    async def close(self):
        await self.buy(client_order_id=f"p{'c' * 26}1", side=Side.SELL, reduce_only=True)

    async def held(self, account_id=ONE_WAY):
        return [one.quantity for one in await self.exchange.positions(account_id=account_id)]


@asynccontextmanager
async def over_http():
    server = PaperServer(
        PaperSettings(
            still=True, strict=True, accounts=tuple(f"{key.key}:{key.secret}:100000" for key in KEYS.values())
        )
    )
    await server.start()
    venue = server.venue

    def move(symbol, price):
        venue.move_price(
            Tick(symbol=symbol, price=Decimal(price), quantity=QUANTITY, taker=Side.BUY, at_ms=venue.now_ms())
        )

    def fault(kind):
        spelled = {"stick": "stick:seconds=0", "unknown": "unknown:count=1,endpoint=POST /fapi/v1/algoOrder"}
        venue.faults.replace(read_faults(spelled.get(kind, kind)))

    venue.execute(
        SetPositionMode(at_ms=venue.now_ms(), key=KEYS[HEDGE].key, position_mode=PositionMode.HEDGE)
    )
    addresses = VenueAddresses.paper(server.url)
    wire = Wire(clock=now)
    exchange = BinanceExchange(addresses=addresses, wire=wire, credentials=KEYS.__getitem__, clock=now)
    stage = Stage(
        exchange=exchange, protections=BinanceProtections(exchange), price=move, faults=fault, reports=[]
    )

    async def hear(report):
        stage.reports.append(report)

    streams = UserStreams(
        addresses=addresses, rest=exchange.rest, standing=exchange.standing, sink=hear, clock=now,
        settings=StreamSettings(look_seconds=0.05, gather_seconds=0.1),
    )  # fmt: skip
    running = asyncio.create_task(streams.run())
    try:
        await streams.follow(ONE_WAY)
        await stage.until(lambda: stage.of(StreamGap))
        yield stage
    finally:
        await streams.close()
        await asyncio.gather(running, return_exceptions=True)
        await exchange.close()
        await wire.close()
        await server.stop()


@asynccontextmanager
async def in_memory():
    reports = []
    venue = SimulatedVenue(
        clock=now,
        chance=random.Random(7),
        tell=reports.append,
        submitted=lambda attempt: None,
        cut_streams=lambda: None,
    )
    stage = Stage(
        exchange=venue,
        protections=venue,
        price=lambda symbol, price: venue.move_price(symbol, Decimal(price)),
        faults=lambda kind: setattr(venue.manners, kind, 1.0),
        reports=reports,
    )
    for account_id in KEYS:
        venue.open_account(account_id, balance=Decimal(100_000))
    venue.move_price("BTCUSDT", START)
    venue.move_price("ETHUSDT", Decimal(3_000))
    venue.engine.execute(
        SetPositionMode(at_ms=venue.venue_now_ms(), key=str(HEDGE), position_mode=PositionMode.HEDGE)
    )
    yield stage


@pytest.fixture(params=[over_http, in_memory], ids=["binance", "memory"])
async def stage(request):
    async with request.param() as one:
        yield one


async def refusal_of(placing):
    with pytest.raises(ProtectionRefused) as refusal:
        await placing
    return refusal.value.cause


class TestOneProtection:
    async def test_lives_from_acknowledgement_to_the_fill(self, stage):
        await stage.buy()
        stop = stage.stop()

        acknowledged = await stage.place(stop)

        waiting = await stage.find(stop)
        assert await stage.open() == [waiting]
        assert (waiting.status, waiting.exchange_protection_id, waiting.triggered_order_id) == (
            ProtectionStatus.ACCEPTED,
            acknowledged.exchange_protection_id,
            None,
        )
        assert (waiting.symbol, waiting.side, waiting.position_side, waiting.kind) == (
            "BTCUSDT",
            Side.SELL,
            PositionSide.BOTH,
            TriggerKind.STOP,
        )
        assert (waiting.trigger_price, waiting.quantity) == (Decimal(85_000), None)

        stage.price("BTCUSDT", 84_990)

        await stage.until_told(stop, ProtectionStatus.FINISHED)
        finished = await stage.find(stop)
        trades = await stage.exchange.trades_of(
            account_id=ONE_WAY, symbol="BTCUSDT", exchange_order_id=finished.triggered_order_id
        )
        assert sorted(stage.told(stop)) == sorted(
            [
                ProtectionStatus.ACCEPTED,
                ProtectionStatus.TRIGGERING,
                ProtectionStatus.TRIGGERED,
                ProtectionStatus.FINISHED,
            ]
        )
        assert (finished.status, sum(trade.quantity for trade in trades)) == (
            ProtectionStatus.FINISHED,
            QUANTITY,
        )
        assert (await stage.held(), await stage.open()) == ([], [])

    async def test_is_told_as_ours_by_the_fill_of_the_order_it_became(self, stage):
        await stage.buy()
        stop = stage.stop(3)
        await stage.place(stop)

        stage.price("BTCUSDT", 84_990)

        await stage.until(lambda: len(stage.of(TradeReport)) == 2)
        await stage.until_told(stop, TRIGGERED)
        by_id = {one.trade.client_order_id: one.trade for one in stage.of(TradeReport)}
        report = next(one for one in stage.of(ProtectionReport) if one.status is TRIGGERED)
        assert by_id[stop.protection_id].exchange_order_id == report.triggered_order_id
        assert protection_of(stop.protection_id, desk_id=DESK) == name(3)

    async def test_with_a_quantity_takes_no_more_than_it_says(self, stage):
        await stage.buy(QUANTITY * 3)
        target, stop = stage.target(quantity=QUANTITY), stage.stop()
        await stage.place(target)
        await stage.place(stop)

        stage.price("BTCUSDT", 95_010)

        await stage.until_told(target, ProtectionStatus.FINISHED)
        assert await stage.held() == [QUANTITY * 2]
        assert [one.protection_id for one in await stage.open()] == [stop.protection_id]

    async def test_with_a_quantity_never_turns_the_position_round(self, stage):
        await stage.buy()
        stop = stage.stop(quantity=QUANTITY * 5)
        await stage.place(stop)

        stage.price("BTCUSDT", 84_990)

        await stage.until_told(stop, ProtectionStatus.FINISHED)
        assert await stage.held() == []

    async def test_of_hedge_mode_names_its_side(self, stage):
        long = {"account_id": HEDGE, "position_side": PositionSide.LONG}
        await stage.buy(**long)
        whole, part = stage.stop(**long), stage.stop(2, quantity=QUANTITY, **long)
        await stage.place(whole)
        await stage.place(part)

        found = await stage.find(whole)
        stage.price("BTCUSDT", 84_990)

        assert (found.position_side, found.side) == (PositionSide.LONG, Side.SELL)
        assert await stage.held(HEDGE) == []

    async def test_expires_when_its_position_is_closed_by_something_else(self, stage):
        await stage.buy()
        stop = stage.stop()
        await stage.place(stop)

        await stage.close()

        await stage.until_told(stop, ProtectionStatus.EXPIRED)
        assert await stage.open() == []

    async def test_that_was_never_placed_is_not_found(self, stage):
        assert await stage.find(stage.stop()) is None


class TestRefusals:
    async def test_say_that_the_price_is_passed(self, stage):
        await stage.buy()

        assert await refusal_of(stage.place(stage.stop(trigger_price=Decimal(90_500)))) is (
            RefusalCause.PRICE_PASSED
        )

    async def test_say_that_nothing_is_held(self, stage):
        assert await refusal_of(stage.place(stage.stop())) is RefusalCause.NOTHING_HELD

    async def test_say_that_another_one_stands_and_let_one_with_a_quantity_stand_beside_it(self, stage):
        await stage.buy()
        await stage.place(stage.stop())

        refused = await refusal_of(stage.place(stage.stop(2, trigger_price=Decimal(86_000))))
        await stage.place(stage.stop(3, trigger_price=Decimal(86_000), quantity=QUANTITY))

        assert refused is RefusalCause.STANDS_ALREADY
        assert len(await stage.open()) == 2

    async def test_say_that_there_are_too_many(self, stage):
        await stage.buy()
        many = [stage.stop(number, quantity=QUANTITY) for number in range(1, 201)]
        await asyncio.gather(*map(stage.place, many))

        assert await refusal_of(stage.place(stage.stop(201, quantity=QUANTITY))) is RefusalCause.TOO_MANY

    async def test_of_anything_else_say_no_more(self, stage):
        await stage.buy()

        off_tick = stage.stop(trigger_price=Decimal("85000.05"))

        assert await refusal_of(stage.place(off_tick)) is RefusalCause.OTHER

    async def test_of_one_that_left_too_late_let_another_try(self, stage):
        await stage.buy()
        late = stage.stop(signed_at_ms=stage.exchange.venue_now_ms() - 6_000)

        with pytest.raises(RetryLater):
            await stage.place(late)

        assert await stage.find(late) is None


class TestNotKnowing:
    async def test_is_settled_by_asking_for_the_id(self, stage):
        await stage.buy()
        stop = stage.stop()
        stage.goes_wrong("unknown")

        with pytest.raises(OutcomeUnknown):
            await stage.place(stop)

        found = await stage.find(stop)
        assert [one.protection_id for one in await stage.open()] == (
            [] if found is None else [stop.protection_id]
        )

    async def test_is_what_a_second_one_under_the_same_id_gives(self, stage):
        await stage.buy()
        stop = stage.stop(quantity=QUANTITY)
        first = await stage.place(stop)

        with pytest.raises(OutcomeUnknown):
            await stage.place(stop)

        assert [one.exchange_protection_id for one in await stage.open()] == [first.exchange_protection_id]


class TestCanceling:
    async def test_takes_back_what_waits_once(self, stage):
        await stage.buy()
        stop = stage.stop()
        await stage.place(stop)

        assert [await stage.cancel(stop), await stage.cancel(stop)] == [True, False]

        await stage.until_told(stop, ProtectionStatus.CANCELED)
        assert ((await stage.find(stop)).status, await stage.open()) == (ProtectionStatus.CANCELED, [])

    async def test_says_no_of_what_has_triggered_or_never_was(self, stage):
        await stage.buy()
        stop = stage.stop()
        await stage.place(stop)
        stage.price("BTCUSDT", 84_990)

        assert [await stage.cancel(stop), await stage.cancel(stage.stop(9))] == [False, False]

    async def test_of_a_symbol_leaves_the_others(self, stage):
        await stage.buy()
        await stage.buy(QUANTITY * 10, symbol="ETHUSDT", client_order_id=f"p{'e' * 26}1")
        other = stage.stop(2, symbol="ETHUSDT", trigger_price=Decimal(2_000))
        for one in (stage.stop(), stage.target(), other):
            await stage.place(one)

        await stage.protections.cancel_protections(account_id=ONE_WAY, symbol="BTCUSDT")

        assert [one.protection_id for one in await stage.open(symbol=None)] == [other.protection_id]
        assert await stage.held() != []


class TestTriggersThatGoWrong:
    async def started(self, stage, kind):
        await stage.buy()
        stop = stage.stop()
        await stage.place(stop)
        stage.goes_wrong(kind)
        stage.price("BTCUSDT", 84_990)
        return stop

    async def test_stuck_is_found_by_its_id_only_and_cannot_be_canceled(self, stage):
        stop = await self.started(stage, "stick")

        await stage.until_told(stop, ProtectionStatus.TRIGGERING)
        found = await stage.find(stop)
        assert (found.status, found.triggered_order_id) == (ProtectionStatus.TRIGGERING, None)
        assert (await stage.open(), await stage.cancel(stop), await stage.held()) == ([], False, [QUANTITY])

    async def test_rejected_says_why_and_leaves_the_position(self, stage):
        stop = await self.started(stage, "reject")

        await stage.until_told(stop, ProtectionStatus.REJECTED)
        report = stage.of(ProtectionReport)[-1]
        found = await stage.find(stop)
        assert (report.reason, report.triggered_order_id) == ("Margin is insufficient.", None)
        assert (found.status, await stage.held()) == (ProtectionStatus.REJECTED, [QUANTITY])

    async def test_unfilled_is_finished_and_its_trades_tell_that_nothing_happened(self, stage):
        stop = await self.started(stage, "unfilled")

        await stage.until_told(stop, ProtectionStatus.FINISHED)
        found = await stage.find(stop)
        trades = await stage.exchange.trades_of(
            account_id=ONE_WAY, symbol="BTCUSDT", exchange_order_id=found.triggered_order_id
        )
        assert (trades, await stage.held()) == ([], [QUANTITY])
