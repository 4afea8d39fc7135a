"""How accounts stand at a venue, asked by the adapter of the paper exchange over real sockets; and surveyed as a whole."""

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from pregao.accounts.found import Follows
from pregao.accounts.survey import SLOW_SECONDS, survey_account
from pregao.domain.order import PositionMode, PositionSide, Side
from pregao.domain.preflight import UNTOLD_RIGHTS, AccountRules, KeyRights, LeverageBracket, SymbolRules
from pregao.domain.venue import (
    MarginMode,
    OperatorNeeded,
    OrderAttempt,
    OutcomeUnknown,
    RetryLater,
    VenueError,
)
from pregao.edges.exchanges.binance import ApiKey, BinanceAccounts, BinanceExchange, VenueAddresses
from pregao.edges.exchanges.binance.venue_clock import VenueClock
from pregao.edges.exchanges.wire import Wire, WireLimits
from pregao.edges.paper.serve import PaperServer, PaperSettings
from pregao.simulation.books import Rights
from pregao.simulation.commands import SetPositionMode, SetRights
from tests.builders import account, bot, subscription

KEY = ApiKey("account-key", "account-secret")


def now():
    return datetime.now(UTC)


class Stage:
    def __init__(self, server, exchange):
        self.venue, self.exchange = server.venue, exchange
        self.accounts = BinanceAccounts(exchange)
        self.asked_quiet = []

    @property
    def books(self):
        return self.venue.books.accounts[KEY.key]

    def change(self, command, **values):
        self.venue.execute(command(at_ms=self.venue.now_ms(), key=KEY.key, **values))

    def misbehave(self, *faults):
        from pregao.simulation.faults import read_faults

        self.venue.faults.replace([fault for text in faults for fault in read_faults(text)])

    async def buy(self):
        await self.exchange.submit(
            OrderAttempt(
                client_order_id="paccounts1", account_id=1, symbol="BTCUSDT", side=Side.BUY,
                position_side=PositionSide.BOTH, quantity=Decimal("0.01"), reduce_only=False,
                signed_at_ms=self.exchange.venue_now_ms(), recv_window_ms=5_000,
            )
        )  # fmt: skip

    async def survey(self, *, is_quiet=True, **changes):
        async def quiet(symbol):
            self.asked_quiet.append(symbol)
            return is_quiet

        follows = Follows(bot=bot(trading_symbol="BTCUSDT"), subscription=subscription(custom_leverage=7))
        return await survey_account(account(), [follows], venue=self.accounts, is_quiet=quiet, **changes)


@asynccontextmanager
async def on_stage(*, tells_rights=True, timeout_seconds=10.0):
    server = PaperServer(PaperSettings(still=True, strict=True, accounts=(f"{KEY.key}:{KEY.secret}:5000",)))
    await server.start()
    addresses = VenueAddresses.paper(server.url)
    wire = Wire(clock=now, limits=WireLimits(timeout_seconds=timeout_seconds))
    exchange = BinanceExchange(
        addresses=addresses if tells_rights else replace(addresses, rights=None),
        wire=wire,
        credentials=lambda _account_id: KEY,
        clock=now,
    )
    try:
        yield Stage(server, exchange)
    finally:
        await exchange.close()
        await wire.close()
        await server.stop()


@pytest.fixture
async def stage():
    async with on_stage() as one:
        yield one


class TestBinanceAccounts:
    async def test_reads_what_a_key_may_do(self, stage):
        before = await stage.accounts.key_rights(1)
        stage.change(SetRights, rights=Rights(withdrawals=True, addresses=("127.0.0.1",)))
        after = await stage.accounts.key_rights(1)

        assert before == KeyRights(may_trade=True, may_withdraw=False, has_address_list=False)
        assert after == KeyRights(may_trade=True, may_withdraw=True, has_address_list=True)

    async def test_knows_no_rights_where_the_venue_tells_none(self):
        async with on_stage(tells_rights=False) as stage:
            assert await stage.accounts.key_rights(1) == UNTOLD_RIGHTS

    async def test_reads_modes_margin_and_what_is_open(self, stage):
        flat = await stage.accounts.funds(1)
        await stage.buy()
        holding = await stage.accounts.funds(1)

        assert await stage.accounts.account_rules(1) == AccountRules(
            position_mode=PositionMode.ONE_WAY, may_trade=True
        )
        assert (flat.balance, flat.available, flat.held) == (Decimal(5000), Decimal(5000), frozenset())
        assert holding.held == {"BTCUSDT"}
        assert holding.available < holding.balance < 5000

    async def test_what_it_reads_of_a_symbol_is_known_when_a_signal_comes(self, stage):
        stage.books.leverages["BTCUSDT"] = 7
        assert not stage.accounts.has_settings(1)

        told = await stage.accounts.symbol_rules(1, ["BTCUSDT"])
        stage.misbehave("refuse:code=-4028,endpoint=POST /fapi/v1/leverage")
        await stage.exchange.ensure_leverage(
            account_id=1, symbol="BTCUSDT", leverage=7, margin_mode=MarginMode.CROSSED
        )

        assert told == {"BTCUSDT": SymbolRules(leverage=7, margin_mode=MarginMode.CROSSED)}
        assert stage.accounts.has_settings(1)

    async def test_a_read_that_contradicts_what_is_known_makes_both_doubtful(self, stage):
        """A venue's reads lag: believing the older one, an order would go out at the wrong leverage."""
        stage.exchange.standing.note_leverage(1, "BTCUSDT", 9)

        await stage.accounts.symbol_rules(1, ["BTCUSDT"])
        await stage.exchange.ensure_leverage(
            account_id=1, symbol="BTCUSDT", leverage=9, margin_mode=MarginMode.CROSSED
        )

        assert stage.books.leverages["BTCUSDT"] == 9

    async def test_brackets_are_asked_once_for_all_accounts(self, stage):
        first = await stage.accounts.brackets(1)
        stage.misbehave("refuse:code=-1003,endpoint=GET /fapi/v1/leverageBracket")

        assert await stage.accounts.brackets(2) is first
        assert first["BTCUSDT"][0] == LeverageBracket(
            leverage_max=stage.venue.listings["BTCUSDT"].brackets[0].leverage_max,
            notional_max=stage.venue.listings["BTCUSDT"].brackets[0].notional_max,
        )

    async def test_an_unreadable_answer_is_no_answer(self, stage):
        stage.books.may_trade = "perhaps"

        with pytest.raises(OutcomeUnknown, match="ANSWER_UNREADABLE"):
            await stage.accounts.account_rules(1)

    async def test_the_clock_tells_how_far_it_went_since_it_was_measured_before(self, stage):
        never = stage.accounts.clock_reading()
        await stage.exchange.rest.measure_clock()

        assert never.offset_ms is None
        assert abs(stage.accounts.clock_reading().offset_ms) < 1_000


class TestVenueClock:
    async def test_measures_offset_and_drift(self):
        instant = datetime(2026, 11, 21, tzinfo=UTC)
        clock = VenueClock(lambda: instant)
        ahead = timedelta(milliseconds=300)

        async def server():
            return int((instant + ahead).timestamp() * 1000)

        await clock.measure(server)
        first = clock.offset_ms, clock.drift_ms
        ahead = timedelta(milliseconds=800)
        await clock.measure(server)

        assert (first, (clock.offset_ms, clock.drift_ms)) == ((300, None), (800, 500))


class TestSurvey:
    async def test_sets_leverage_ahead_and_finds_it_set(self, stage):
        found = await stage.survey()

        assert stage.books.leverages["BTCUSDT"] == 7
        assert found.symbols["BTCUSDT"].leverage == 7
        assert (found.prices["BTCUSDT"] > 0, stage.asked_quiet) == (True, ["BTCUSDT"])

    async def test_sets_nothing_where_the_books_have_something_on_its_way(self, stage):
        await stage.survey(is_quiet=False)

        assert "BTCUSDT" not in stage.books.leverages

    async def test_tells_what_the_venue_refused_to_set(self, stage):
        stage.misbehave("refuse:code=-4202,endpoint=POST /fapi/v1/leverage")

        found = await stage.survey()

        assert found.refusals["BTCUSDT"].code == "-4202"

    async def test_sets_the_position_mode_only_when_told_to(self, stage):
        stage.change(SetPositionMode, position_mode=PositionMode.HEDGE)

        left = await stage.survey()
        fixed = await stage.survey(fixes_position_mode=True)

        assert left.rules.position_mode is PositionMode.HEDGE
        assert fixed.rules.position_mode is stage.books.position_mode is PositionMode.ONE_WAY

    async def test_leaves_the_position_mode_while_something_is_open(self, stage):
        await stage.buy()
        found = await survey_account(
            account(position_mode=PositionMode.HEDGE), [], venue=stage.accounts, fixes_position_mode=True,
            is_quiet=_always,
        )  # fmt: skip

        assert found.rules.position_mode is PositionMode.ONE_WAY

    async def test_one_lost_answer_is_asked_for_again(self, stage):
        stage.misbehave("vanish:count=1,endpoint=GET /fapi/v3/account")

        found = await stage.survey()

        assert found.funds.balance == 5000

    async def test_a_venue_that_lets_us_wait_is_asked_once(self):
        """Ten seconds for each question, asked twice, and no light would come for a minute."""
        async with on_stage(timeout_seconds=SLOW_SECONDS + 0.5) as stage:
            stage.misbehave("late:ms=4000,count=1,endpoint=GET /fapi/v1/accountConfig")

            found = await stage.survey()

        assert isinstance(found.rules, OutcomeUnknown)

    async def test_a_refused_key_is_asked_no_more(self, stage):
        stage.change(SetRights, rights=Rights(is_revoked=True))

        found = await stage.survey()

        assert {type(one) for one in (found.rights, found.rules, found.funds)} == {OperatorNeeded}
        assert found.rules.code == "-2015"

    async def test_the_others_are_asked_where_the_rights_are_not_told(self, stage):
        stage.misbehave("uncertain:endpoint=GET /sapi/v1/account/apiRestrictions")

        found = await stage.survey()

        assert (isinstance(found.rights, VenueError), found.funds.balance) == (True, 5000)

    async def test_without_weight_left_nothing_is_found_and_nothing_said(self, stage):
        stage.exchange.rest.limits.pause(60, now_ms=stage.exchange.venue_now_ms())

        with pytest.raises(RetryLater, match="VENUE_PAUSED"):
            await stage.survey()


async def _always(_symbol):
    return True
