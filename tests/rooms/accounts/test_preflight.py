"""What a venue's answers mean: each check at its edge, with code, numbers and remedy."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.accounts.entry_checks import margin_needed
from pregao.accounts.found import SYMBOLS_MAX, Follows, Found, symbols_of, wanted_of
from pregao.accounts.preflight import judge, leverages_to_set
from pregao.domain.account import Venue
from pregao.domain.bot import SymbolSettings
from pregao.domain.order import PositionMode
from pregao.domain.preflight import (
    UNTOLD_RIGHTS,
    AccountRules,
    Check,
    CheckResult,
    ClockReading,
    Funds,
    KeyRights,
    LeverageBracket,
    Light,
    Result,
    SymbolRules,
    codes_of,
    light_of,
)
from pregao.domain.venue import Blame, MarginMode, OperatorNeeded, OutcomeUnknown, Refused, RetryLater
from pregao.orders.sizing import size_entry
from tests.builders import account, bot, subscription
from tests.fake_exchange import instrument
from tests.properties import prices, quantities, quick, steps

AWAY = OutcomeUnknown("ANSWER_LOST", "no answer")
WRONG_KEY = OperatorNeeded("-2015", "key, address or permission invalid")
GOOD_KEY = KeyRights(may_trade=True, may_withdraw=False, has_address_list=True)
STANDS = SymbolRules(leverage=10, margin_mode=MarginMode.CROSSED)


def follows(*, lately=(), bots=None, **changes):
    given_bot = {"trading_symbol": "BTCUSDT", "default_margin_usd": Decimal(50), "default_leverage": 10}
    return Follows(bot=bot(**(given_bot | (bots or {}))), subscription=subscription(**changes), lately=lately)


def found(**changes):
    """Give an account with which everything is all right."""
    given_found = {
        "account": account(),
        "follows": [follows()],
        "rights": GOOD_KEY,
        "rules": AccountRules(position_mode=PositionMode.ONE_WAY, may_trade=True),
        "funds": Funds(balance=Decimal(1000), available=Decimal(1000), held=frozenset()),
        "symbols": {"BTCUSDT": STANDS},
        "brackets": {
            "BTCUSDT": [
                LeverageBracket(leverage_max=50, notional_max=Decimal(10_000)),
                LeverageBracket(leverage_max=10, notional_max=Decimal(100_000)),
            ]
        },
        "instruments": {"BTCUSDT": instrument()},
        "prices": {"BTCUSDT": Decimal(95_200)},
        "clock": ClockReading(offset_ms=12, drift_ms=3),
        "is_streamed": True,
    }
    return Found(**(given_found | changes))


def judged(**changes):
    return judge(found(**changes), size=size_entry)


def of(check, **changes):
    [one] = [result for result in judged(**changes) if result.check is check]
    return one


def brief(one):
    return one.result, one.code, one.denies


class TestJudge:
    def test_gives_every_check_and_all_are_well(self):
        results = judged()

        assert {one.result for one in results} == {Result.OK}
        assert {one.check for one in results} == set(Check) - {Check.MARGIN_TOGETHER, Check.DESTINATION}
        assert light_of(results) is Light.READY

    def test_gives_nothing_that_denies_while_the_venue_is_away(self):
        results = judged(
            rights=AWAY, rules=AWAY, funds=AWAY, symbols=AWAY, brackets=AWAY, instruments=AWAY, prices={}
        )

        assert [one.code for one in results if one.result is Result.FAILED] == ["VENUE_AWAY"]
        assert {one.result for one in results if one.check is Check.KEY} == {Result.UNKNOWN}
        assert not any(one.denies for one in results)

    def test_takes_a_refusal_for_an_answer(self):
        refused = RetryLater("-1021", "timestamp", retry_after_seconds=1)
        refused.blame = Blame.ASKER

        assert of(Check.VENUE, rules=refused).code == "VENUE_ANSWERS"

    @pytest.mark.parametrize("field", ["rights", "rules", "funds", "symbols", "brackets", "instruments"])
    def test_says_unknown_of_one_answer_that_is_missing_and_denies_nothing(self, field):
        results = judged(**{field: AWAY})

        assert not any(one.denies for one in results)
        assert Result.UNKNOWN in {one.result for one in results} or field == "brackets"

    def test_says_that_every_denial_tells_its_numbers_and_a_remedy(self):
        results = [
            *judged(rights=replace(GOOD_KEY, may_withdraw=True)),
            *judged(rules=AccountRules(position_mode=PositionMode.HEDGE, may_trade=True)),
            *judged(funds=Funds(balance=Decimal(1), available=Decimal(1), held=frozenset())),
            *judged(follows=[follows(custom_leverage=51)]),
        ]
        denials = [one for one in results if one.denies]

        assert [one.code for one in denials] == [
            "KEY_MAY_WITHDRAW",
            "POSITION_MODE_DIFFERS",
            "MARGIN_INSUFFICIENT",
            "LEVERAGE_ABOVE_MAXIMUM",
        ]
        assert all(one.remedy and one.reason.endswith(one.remedy) for one in denials)


class TestKey:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({}, (Result.OK, "KEY_ALLOWED", False)),
            (
                {"rights": replace(GOOD_KEY, may_withdraw=True)},
                (Result.FAILED, "KEY_MAY_WITHDRAW", True),
            ),
            ({"rights": replace(GOOD_KEY, may_trade=False)}, (Result.FAILED, "KEY_MAY_NOT_TRADE", True)),
            (
                {"rules": AccountRules(position_mode=PositionMode.ONE_WAY, may_trade=False)},
                (Result.FAILED, "ACCOUNT_MAY_NOT_TRADE", True),
            ),
            ({"rights": WRONG_KEY, "rules": WRONG_KEY}, (Result.FAILED, "KEY_REFUSED", True)),
            ({"rights": UNTOLD_RIGHTS, "rules": WRONG_KEY}, (Result.FAILED, "KEY_REFUSED", True)),
            ({"rights": UNTOLD_RIGHTS}, (Result.OK, "KEY_RIGHTS_UNTOLD", False)),
            ({"rules": AWAY}, (Result.UNKNOWN, "UNANSWERED", False)),
        ],
    )
    def test_gives(self, changes, expected):
        assert brief(of(Check.KEY, **changes)) == expected

    def test_names_the_withdrawal_right_before_anything_else_is_known(self):
        """A key that may withdraw must stay out even where the venue answers nothing else."""
        away = {"rules": AWAY, "funds": AWAY, "symbols": AWAY, "brackets": AWAY, "instruments": AWAY}

        one = of(Check.KEY, rights=replace(GOOD_KEY, may_withdraw=True), **away)

        assert brief(one) == (Result.FAILED, "KEY_MAY_WITHDRAW", True)

    @pytest.mark.parametrize(
        ("venue", "is_listed", "expected"),
        [
            (Venue.BINANCE, True, (Result.OK, "ADDRESSES_LISTED", False)),
            (Venue.BINANCE, False, (Result.WARNING, "ADDRESSES_OPEN", False)),
            (Venue.PAPER, False, (Result.OK, "ADDRESSES_OPEN", False)),
            (Venue.BINANCE_DEMO, None, (Result.UNKNOWN, "KEY_RIGHTS_UNTOLD", False)),
        ],
    )
    def test_warns_of_a_key_that_works_from_anywhere(self, venue, is_listed, expected):
        rights = UNTOLD_RIGHTS if is_listed is None else replace(GOOD_KEY, has_address_list=is_listed)

        assert brief(of(Check.ADDRESSES, account=account(venue=venue), rights=rights)) == expected


class TestPositionMode:
    @pytest.mark.parametrize("mode", PositionMode)
    def test_fails_where_the_venue_s_is_another(self, mode):
        one = of(Check.POSITION_MODE, rules=AccountRules(position_mode=mode, may_trade=True))

        agrees = mode is PositionMode.ONE_WAY
        assert (one.result is Result.OK, one.denies) == (agrees, not agrees)
        assert one.numbers == {"account": "one_way", "venue": mode.value}


class TestMargin:
    @pytest.mark.parametrize(
        ("balance", "available", "expected"),
        [
            ("47.60", "47.60", (Result.OK, "MARGIN_COVERED", False)),  # 0.005 x 95,200 / 10
            ("47.60", "47.59", (Result.WARNING, "MARGIN_IN_USE", False)),
            ("47.59", "47.59", (Result.FAILED, "MARGIN_INSUFFICIENT", True)),
        ],
    )
    def test_covers_what_the_venue_will_ask_for_after_the_quantity_was_floored(
        self, balance, available, expected
    ):
        funds = Funds(balance=Decimal(balance), available=Decimal(available), held=frozenset())

        assert brief(of(Check.MARGIN, funds=funds)) == expected

    def test_takes_the_largest_symbol_of_a_subscription(self):
        two = {
            "trading_symbol": None,
            "symbols": (
                SymbolSettings(symbol="BTCUSDT", margin_usd=Decimal(20)),
                SymbolSettings(symbol="ETHUSDT", margin_usd=Decimal(70)),
            ),
        }

        one = of(Check.MARGIN, follows=[follows(bots=two)], prices={})

        assert one.numbers["needed"] == "70"

    def test_denies_the_subscription_it_is_about_and_no_other(self):
        poor = follows(custom_margin_usd=Decimal(2000), account_id=2)
        results = [one for one in judged(follows=[follows(), poor]) if one.check is Check.MARGIN]

        assert [(one.subscription_id, one.denies) for one in results] == [
            (follows().subscription.subscription_id, False),
            (poor.subscription.subscription_id, True),
        ]

    def test_warns_where_all_together_are_too_much(self):
        both = [follows(), follows(account_id=2)]
        funds = Funds(balance=Decimal(60), available=Decimal(60), held=frozenset())

        one = of(Check.MARGIN_TOGETHER, follows=both, funds=funds)

        assert (*brief(one), one.numbers["needed"]) == (
            Result.WARNING, "MARGIN_SHORT_TOGETHER", False, "95.2",
        )  # fmt: skip


class TestLeverage:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({}, (Result.OK, "LEVERAGE_STANDS", False)),
            (
                {"follows": [follows(custom_leverage=51)]},
                (Result.FAILED, "LEVERAGE_ABOVE_MAXIMUM", True),
            ),
            (
                {"follows": [follows(custom_leverage=50, custom_margin_usd=Decimal(201))]},
                (Result.FAILED, "NOTIONAL_ABOVE_BRACKET", True),
            ),
            (
                {"follows": [follows(custom_leverage=50, custom_margin_usd=Decimal(200))]},
                (Result.UNKNOWN, "UNANSWERED", False),  # it was to be set ahead, and nobody did
            ),
            (
                {
                    "follows": [follows(custom_leverage=5)],
                    "refusals": {"BTCUSDT": OperatorNeeded("-4202", "identity")},
                },
                (Result.FAILED, "LEVERAGE_REFUSED", True),
            ),
            (
                {
                    "follows": [follows(custom_leverage=5)],
                    "refusals": {"BTCUSDT": Refused("-4047", "open orders")},
                },
                (Result.WARNING, "LEVERAGE_HELD", False),
            ),
            (
                {
                    "follows": [follows(custom_leverage=5)],
                    "funds": Funds(
                        balance=Decimal(1000), available=Decimal(900), held=frozenset({"BTCUSDT"})
                    ),
                },
                (Result.WARNING, "LEVERAGE_HELD", False),
            ),
        ],
    )
    def test_gives(self, changes, expected):
        assert brief(of(Check.LEVERAGE, **changes)) == expected

    def test_warns_where_two_subscriptions_want_different_ones(self):
        both = [follows(), follows(account_id=2, custom_leverage=5)]

        codes = [one.code for one in judged(follows=both) if one.check is Check.LEVERAGE]

        assert codes == ["LEVERAGE_STANDS", "LEVERAGE_SHARED"]


class TestLeveragesToSet:
    def test_names_what_differs(self):
        assert leverages_to_set(found(follows=[follows(custom_leverage=7)])) == {"BTCUSDT": 7}
        assert leverages_to_set(found(account=account(margin_mode=MarginMode.ISOLATED))) == {"BTCUSDT": 10}
        assert leverages_to_set(found()) == {}

    @pytest.mark.parametrize(
        "changes",
        [
            {"funds": Funds(balance=Decimal(1000), available=Decimal(1), held=frozenset({"BTCUSDT"}))},
            {"funds": AWAY},
            {"symbols": AWAY},
            {"follows": [follows(custom_leverage=51)]},
            {"follows": [follows(account_id=2, custom_leverage=5), follows()]},
        ],
    )
    def test_names_nothing_where_it_is_held_unknown_impossible_or_wanted_by_another(self, changes):
        given_changes = {"follows": [follows(custom_leverage=7)]} | changes

        assert leverages_to_set(found(**given_changes)) == {}


class TestSize:
    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({}, "SIZE_FITS"),
            ({"follows": [follows(custom_margin_usd=Decimal(9))]}, "QUANTITY_BELOW_MINIMUM"),
            (
                {"instruments": {"BTCUSDT": replace(instrument(), notional_min=Decimal(500))}},
                "NOTIONAL_BELOW_MINIMUM",
            ),
            (
                {"instruments": {"BTCUSDT": replace(instrument(), market_quantity_max=Decimal("0.004"))}},
                "QUANTITY_ABOVE_MAXIMUM",
            ),
            ({"instruments": {"BTCUSDT": replace(instrument(), is_trading=False)}}, "SYMBOL_NOT_TRADING"),
            ({"instruments": {}}, "SYMBOL_NOT_TRADING"),
            ({"account": account(margin_asset="USDC")}, "MARGIN_ASSET_UNSUPPORTED"),
            ({"prices": {}}, "PRICE_UNAVAILABLE"),
            ({"follows": [follows(bots={"trading_symbol": None})]}, "SYMBOLS_UNTOLD"),
        ],
    )
    def test_gives(self, changes, code):
        one = of(Check.SIZE, **changes)

        assert (one.code, one.denies) == (code, False)

    @quick
    @given(
        price=prices,
        step=steps,
        minimum=quantities,
        notional=st.decimals(min_value=5, max_value=500, places=2),
        leverage=st.integers(min_value=1, max_value=125),
    )
    def test_the_margin_it_names_would_do_and_a_little_less_would_not(
        self, price, step, minimum, notional, leverage
    ):
        rules = replace(instrument(), market_quantity_step=step, market_quantity_min=minimum,
                        market_quantity_max=Decimal(10) ** 15, notional_min=notional)  # fmt: skip

        needed = margin_needed(rules, leverage=leverage, price=price)
        enough = needed * Decimal("1.0000000001")  # a division may have rounded in its 28th digit
        less = needed - step * price / leverage * Decimal("0.01")

        def sized(margin):
            return size_entry(margin_usd=margin, leverage=leverage, price=price, instrument=rules)

        assert isinstance(sized(enough), Decimal)
        assert less <= 0 or not isinstance(sized(less), Decimal)


class TestClock:
    @pytest.mark.parametrize(
        ("reading", "expected"),
        [
            (ClockReading(offset_ms=None), (Result.UNKNOWN, "CLOCK_UNMEASURED")),
            (ClockReading(offset_ms=-1000), (Result.OK, "CLOCK_AGREES")),
            (ClockReading(offset_ms=-1001), (Result.WARNING, "CLOCK_OFF")),
            (ClockReading(offset_ms=10, drift_ms=250), (Result.OK, "CLOCK_AGREES")),
            (ClockReading(offset_ms=10, drift_ms=-251), (Result.WARNING, "CLOCK_DRIFTS")),
        ],
    )
    def test_gives(self, reading, expected):
        one = of(Check.CLOCK, clock=reading)

        assert (one.result, one.code) == expected


class TestStream:
    @pytest.mark.parametrize(
        ("is_streamed", "expected"),
        [
            (True, (Result.OK, "STREAM_CONNECTED")),
            (False, (Result.WARNING, "STREAM_AWAY")),
            (None, (Result.UNKNOWN, "UNANSWERED")),
        ],
    )
    def test_gives(self, is_streamed, expected):
        one = of(Check.STREAM, is_streamed=is_streamed)

        assert (one.result, one.code) == expected


class TestSymbolsOf:
    def test_takes_the_bot_s_own_then_its_list_then_rows_then_what_it_traded_lately(self):
        rows = (SymbolSettings(symbol="XRPUSDT"), SymbolSettings(symbol="BNBUSDT", is_active=False))
        free = {"trading_symbol": None}

        assert symbols_of(follows(lately=["LTCUSDT"])) == ["BTCUSDT"]
        assert symbols_of(follows(bots=free | {"allowed_symbols": ("ETHUSDT", "LTCUSDT")})) == [
            "ETHUSDT",
            "LTCUSDT",
        ]
        assert symbols_of(follows(bots=free | {"symbols": rows}, lately=["LTCUSDT"])) == ["XRPUSDT"]
        assert symbols_of(follows(bots=free, lately=["LTCUSDT", "LTCUSDT"])) == ["LTCUSDT"]

    def test_leaves_out_what_is_switched_off(self):
        off = (SymbolSettings(symbol="BTCUSDT", is_active=False),)

        assert symbols_of(follows(symbols=off)) == []

    def test_looks_at_so_many_only(self):
        many = {"trading_symbol": None, "allowed_symbols": tuple(f"A{one}USDT" for one in range(50))}

        assert len(wanted_of(follows(bots=many))) == SYMBOLS_MAX


class TestLight:
    def test_is_the_worst_and_unknown_changes_nothing(self):
        def lit(*results):
            return light_of([CheckResult(check=Check.KEY, result=one, code="X") for one in results])

        assert lit(Result.OK, Result.UNKNOWN) is Light.READY
        assert lit(Result.OK, Result.WARNING) is Light.WARNING
        assert lit(Result.WARNING, Result.FAILED) is Light.BLOCKED
        assert lit(Result.UNKNOWN) is lit() is None

    def test_names_codes_once_and_what_failed_first(self):
        results = [
            CheckResult(check=Check.STREAM, result=Result.WARNING, code="STREAM_AWAY"),
            CheckResult(check=Check.KEY, result=Result.FAILED, code="KEY_REFUSED"),
            CheckResult(check=Check.SIZE, result=Result.WARNING, code="STREAM_AWAY"),
        ]

        assert codes_of(results) == ["KEY_REFUSED", "STREAM_AWAY"]
