"""What alerts say: 85 bodies found in the wild, tables of words and spellings, and whatever else arrives."""

import contextlib
import json
import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pregao.domain.order import Side
from pregao.domain.signal import AlertReading, Intent
from pregao.signals.formats import Unreadable, find_secret, parse, read_alert
from tests.rooms.signals.corpus import (
    CASES,
    MALFORMED,
    NO_QUOTE,
    REFUSED,
    body_of,
    differences,
    is_licensed,
    needs_corpus,
    outcome_of,
    refusal_of,
)


def alert(**fields: object) -> bytes:
    return json.dumps({"ticker": "BTCUSDT", **fields}).encode()


def read(**fields: object) -> AlertReading:
    return read_alert(alert(**fields))


@needs_corpus
class TestReadCorpus:
    @pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
    def test_reads_what_a_person_reads_or_refuses_with_the_reason(self, case: dict) -> None:
        refused = (REFUSED | MALFORMED).get(case["id"])
        if refused is None:
            assert differences(case, read_alert(body_of(case))) == {}
            return

        refusal = refusal_of(body_of(case))

        assert refusal.code == refused[0]
        assert refused[1] in refusal.reason

    def test_reads_more_than_seventeen_in_twenty_and_none_of_them_wrong(self) -> None:
        """F043: of each body an order as a person reads it, or a refusal; never another order."""
        readings = {case["id"]: outcome_of(body_of(case)) for case in CASES}

        refused = {name for name, reading in readings.items() if reading is None}
        wrong = {
            case["id"]: wrongly
            for case in CASES
            if (reading := readings[case["id"]]) is not None and (wrongly := differences(case, reading))
        }

        assert wrong == {}
        assert refused == REFUSED.keys() | MALFORMED.keys()
        assert (len(CASES), len(refused)) == (85, 14)
        assert len(CASES) - len(REFUSED) >= 0.85 * len(CASES)

    @pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
    def test_finds_the_secret_where_the_body_has_one(self, case: dict) -> None:
        place = case["expected"].get("secret_field")
        if place is None:
            return
        body = body_of(case)

        secret = find_secret(body)

        if place == "first line":
            assert secret == body.decode().splitlines()[0]
        else:
            fields = json.loads(body)
            for name in place.split("."):
                fields = fields[name]
            assert secret == fields

    def test_takes_the_instant_from_the_sender_and_never_from_the_bar(self) -> None:
        for case in CASES:
            reading, text = outcome_of(body_of(case)), case.get("sent_body", case["body"])
            if reading is not None and reading.sent_at is not None:
                assert "timestamp" in text or "timenow" in text or "signal_ts" in text
                assert reading.sent_at == datetime.fromisoformat(case["expected"]["timestamp"])


class TestReadWords:
    @pytest.mark.parametrize(
        ("side", "action", "intent", "order_side"),
        [
            ("buy", None, "buy", "buy"),
            ("sell", None, "sell", "sell"),
            (None, "buy", "buy", "buy"),
            (None, "long", "open_long", "buy"),
            (None, "enter", "buy", "buy"),
            (None, "sell", "sell", "sell"),
            (None, "exit", "close", None),
            (None, "close", "close", None),
            ("exit", None, "close", None),
            ("buy", "", "buy", "buy"),
            ("sell", "", "sell", "sell"),
            ("buy", "buy", "buy", "buy"),
            ("buy", "long", "open_long", "buy"),
            ("buy", "enter", "open_long", "buy"),
            ("long", "enter", "open_long", "buy"),
            ("sell", "sell", "sell", "sell"),
            ("sell", "exit", "close", "sell"),
            ("sell", "close", "close", "sell"),
            ("buy", "exit", "close", "sell"),
            ("buy", "close", "close", "sell"),
            ("exit", "buy", "close", "sell"),
            ("enter", "exit", "close", "sell"),
            ("long", "exit", "close_long", "sell"),
            ("long", "sell", "close_long", "sell"),
            ("sell", "long", "close_long", "sell"),
            ("buy", "sell", "close", "sell"),
            ("sell", "buy", "close", "sell"),
            ("sell", "enter", "open_short", "sell"),
            ("short", "close", "close_short", "buy"),
            ("short", "enter short", "open_short", "sell"),
        ],
    )
    def test_lets_sell_words_win(
        self, side: str | None, action: str | None, intent: str, order_side: str | None
    ) -> None:
        """F005: a contradiction of the two fields sells what is held and opens nothing."""
        fields = {"side": side, "action": action}

        reading = read(**{name: word for name, word in fields.items() if word is not None})

        assert (reading.intent, reading.side) == (intent, order_side)

    @pytest.mark.parametrize(
        ("action", "intent", "order_side"),
        [
            ("compra", "buy", "buy"),
            ("Comprar", "buy", "buy"),
            ("VENDA", "sell", "sell"),
            ("vender", "sell", "sell"),
            ("fechar", "close", None),
            ("Fechar Tudo", "close_all", None),
            ("fechar_tudo", "close_all", None),
            ("saída", "close", None),
            ("zerar", "close", None),
            ("fechar_venda", "close_short", "buy"),
            ("close_all", "close_all", None),
            ("CloseLong", "close_long", "sell"),
            ("close-short", "close_short", "buy"),
            ("exit long", "close_long", "sell"),
            ("short", "open_short", "sell"),
            ("cancel", "cancel", None),
            ("add", "add", None),
            ("hold", "none", None),
        ],
    )
    def test_knows_english_and_portuguese(self, action: str, intent: str, order_side: str | None) -> None:
        reading = read(action=action)

        assert (reading.intent, reading.side) == (intent, order_side)

    @pytest.mark.parametrize(
        "word", ["bu", "buyy", "foo", "comprado?", "1", "sellall", ["buy"], True, 1, {"a": 1}]
    )
    def test_never_turns_an_unknown_word_into_a_buy(self, word: object) -> None:
        assert refusal_of(alert(action=word)).code in ("ACTION_UNKNOWN", "ACTION_MISSING")
        assert outcome_of(alert(action=word, side="buy")) is None or isinstance(word, dict)

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"action": "open"}, "ACTION_AMBIGUOUS"),
            ({"action": "reverse"}, "ACTION_AMBIGUOUS"),
            ({"action": "buy", "side": "short"}, "ACTION_AMBIGUOUS"),
            ({"action": "long", "side": "short"}, "ACTION_AMBIGUOUS"),
            ({"action": "close_long", "side": "buy"}, "ACTION_AMBIGUOUS"),
            ({"action": "hold", "side": "buy"}, "ACTION_AMBIGUOUS"),
            ({"action": "close_all", "side": "buy"}, "ACTION_AMBIGUOUS"),
            ({"action": "buy", "order": "sell"}, "ACTION_AMBIGUOUS"),
            ({"action": "buy", "Action": "sell"}, "ACTION_AMBIGUOUS"),
            (
                {"action": "buy", "market_position": "flat", "prev_market_position": "long"},
                "ACTION_AMBIGUOUS",
            ),
            ({"action": "buy", "market_position": "long", "position_size": -1}, "ACTION_AMBIGUOUS"),
            ({"action": "close", "market_position": "long"}, "ACTION_AMBIGUOUS"),
            ({"action": "long", "reduce_only": True}, "ACTION_AMBIGUOUS"),
            ({"action": "buy", "comment": "Long Exit"}, "ACTION_AMBIGUOUS"),
            ({"action": "buy", "reduce_only": "maybe"}, "ACTION_AMBIGUOUS"),
            ({"action": "{{strategy.order.action}}"}, "PLACEHOLDER_UNFILLED"),
            ({"action": "<buy or sell>"}, "PLACEHOLDER_UNFILLED"),
            ({"action": "buy", "quantity": "{{strategy.order.contracts}}"}, "PLACEHOLDER_UNFILLED"),
            ({"action": "buy", "market_position": "{{strategy.market_position}}"}, "PLACEHOLDER_UNFILLED"),
            ({"price": 1}, "ACTION_MISSING"),
            ({"action": None, "side": ""}, "ACTION_MISSING"),
            ({"market_position": "long"}, "ACTION_MISSING"),
            ({"action": "buy", "orders": [{"action": "sell"}]}, "SEVERAL_ORDERS"),
        ],
    )
    def test_refuses_what_the_words_leave_open(self, fields: dict, code: str) -> None:
        assert refusal_of(alert(**fields)).code == code

    @pytest.mark.parametrize(
        "fields",
        [
            {"acton": "close", "side": "short"},
            {"actions": "tp1", "side": "long"},
            {"acti": "close", "side": "short"},
            {"action": "sell", "market_positon": "flat"},
            {"action": "sell", "pos": "flat"},
            {"action": "buy", "sentimento_": "flat", "sentimnt": "flat"},
            {"action": "sell", "reduceOny": True},
            {"action": "sell", "reduce_only_": True, "reduce_onlly": "true"},
            {"action": "sell", "strategy_inf": {"market_position": "flat"}},
            {"action": "sell", "strategy.infos": {"market_position": "flat"}},
            {"action": "sell", "ordr": {"reduce_only": 1}},
        ],
    )
    def test_refuses_a_deciding_field_whose_name_is_misspelled(self, fields: dict) -> None:
        """Passed over, it would leave an order the other way, or an entry where a close was asked for."""
        assert refusal_of(alert(**fields)).code == "FIELD_MISSPELLED"

    @pytest.mark.parametrize(
        "fields",
        [
            {"acton": "moon", "sid": 7, "reduceOny": False, "mark": True, "sides": None},
            {"strategy": "Long", "trend": "short", "last_signal": "sell", "bias": "flat"},
            {"date": {"side": "A"}, "meta": {"action": "sell"}},
        ],
    )
    def test_passes_over_fields_that_decide_nothing(self, fields: dict) -> None:
        assert read(action="buy", **fields).intent is Intent.BUY

    @pytest.mark.parametrize("flag", ["reduce_only", "close_position", "close_all"])
    def test_refuses_a_flag_that_was_left_empty(self, flag: str) -> None:
        """A template's placeholder came out empty: it may have meant yes, and then a sell must not go short."""
        assert refusal_of(alert(action="sell", **{flag: ""})).code == "ACTION_AMBIGUOUS"
        assert refusal_of(f"SYMBOL=BTCUSDT;SIGNAL=SELL;{flag}=".encode()).code == "ACTION_AMBIGUOUS"

    def test_refuses_one_field_said_twice_differently(self) -> None:
        assert refusal_of(b'{"ticker":"BTCUSDT","action":"buy","action":"sell"}').code == "FIELD_REPEATED"
        assert refusal_of(b"SYMBOL=BTCUSDT\nSIGNAL=BUY\nSIGNAL=SELL").code == "FIELD_REPEATED"

        assert read_alert(b'{"ticker":"BTCUSDT","action":"buy","action":"buy"}').side is Side.BUY

    @pytest.mark.parametrize(
        "body",
        [
            b'{"ticker":"BTCUSDT","action" :"buy","action" :"sell"}',
            b'{"ticker":"BTCUSDT","action"\t:"buy",\n"action"\r\n:"sell"}',
            b'{"ticker":"BTCUSDT","action":"buy","note":"he said \\"sell\\":","action" : "sell"}',
            b'{"ticker":"BTCUSDT","strategy":{"action":"buy","action" :"sell"}}',
        ],
    )
    def test_finds_a_repeated_field_however_it_is_spaced(self, body: bytes) -> None:
        assert refusal_of(body).code == "FIELD_REPEATED"

    def test_takes_colons_within_texts_for_no_fields(self) -> None:
        body = b'{"ticker":"BTCUSDT","action" : "buy","note":"\\"a\\":1, \\"a\\" :2"}'

        assert read_alert(body).side is Side.BUY

    @pytest.mark.parametrize(
        ("action", "now", "before", "intent"),
        [
            ("buy", "long", "flat", "open_long"),
            ("buy", "long", "short", "reverse_to_long"),
            ("buy", "long", "long", "add"),
            ("buy", "flat", "short", "close_short"),
            ("buy", "short", "short", "reduce_short"),
            ("sell", "short", "flat", "open_short"),
            ("sell", "short", "long", "reverse_to_short"),
            ("sell", "flat", "long", "close_long"),
            ("sell", "long", "long", "reduce_long"),
            ("close", "flat", "short", "close_short"),
        ],
    )
    def test_lets_the_strategys_positions_decide(
        self, action: str, now: str, before: str, intent: str
    ) -> None:
        reading = read(action=action, market_position=now, prev_market_position=before)

        assert reading.intent == intent

    @pytest.mark.parametrize(
        ("action", "note", "intent"),
        [
            ("sell", {"comment": "Long Exit"}, "close_long"),
            ("buy", {"order_id": "Close entry(s) order Short"}, "close_short"),
            ("sell", {"message": "exit"}, "close_long"),
            ("sell", {"comment": "TP1"}, "close_long"),
            ("buy", {"comment": "Long"}, "buy"),
            ("buy", {"close_position": "True"}, "close_short"),
            ("buy", {"close_position": "False"}, "buy"),
            ("sell", {"reduceOnly": True}, "reduce_long"),
        ],
    )
    def test_takes_a_closing_note_at_its_word(self, action: str, note: dict, intent: str) -> None:
        assert read(action=action, **note).intent == intent


class TestReadSymbols:
    @pytest.mark.parametrize(
        "spelling",
        [
            *(
                "BTCUSDT",
                "btcusdt",
                " BTCUSDT ",
                "BTCUSDT.P",
                "btcusdt.p",
                "BTC-USDT",
                "BTC/USDT",
                "BTC_USDT",
            ),
            *("BINANCE:BTCUSDT", "BINANCE:BTCUSDT.P", "BTCUSDTPERP", "BTCUSDT-PERP", "BTCUSDT_PERP"),
            *("BTC-USDT-SWAP", "USDT_BTC", "BTC/USDT:USDT", "OKX:BTC-USDT-SWAP", "BTC-USDT-PERP"),
        ],
    )
    def test_gives_one_spelling_for_all(self, spelling: str) -> None:
        """F043: forms with ".P" and "-" are equal."""
        assert read(ticker=spelling, action="buy").symbol == "BTCUSDT"

    @pytest.mark.parametrize(
        ("spelling", "symbol"),
        [
            ("ETHBTC", "ETHBTC"),
            ("ETH/BTC", "ETHBTC"),
            ("BTCUSD_PERP", "BTCUSD"),
            ("1000PEPEUSDT.P", "1000PEPEUSDT"),
            ("R_100", "R_100"),
            ("BTCUSDT_260327", "BTCUSDT_260327"),
            ("USD/CHF", "USDCHF"),
            ("USDT/BRL", "USDTBRL"),
            ("US30.Cash", "US30.Cash"),
            ("ES1!", "ES1!"),
            ("币安人生USDT", "币安人生USDT"),
        ],
    )
    def test_keeps_what_is_certain(self, spelling: str, symbol: str) -> None:
        assert read(ticker=spelling, action="buy").symbol == symbol

    @pytest.mark.parametrize(
        "spelling",
        [
            *(
                "ETH-PERP",
                "BTCPERP",
                "BTC",
                "USDT",
                "BTC/ETH",
                "ETH-XYZ",
                "USDT-XYZ",
                "BTC USDT",
                "BTC-USDT-240329",
            ),
            *(
                "BINANCE:BTCUSDT/BINANCE:ETHUSDT",
                "ſOL-USDT",
                "ВTСUSDT",
                "123",
                "$",
                "BTCUSDT\x00",
                "A" * 90,
                5,
            ),
            *("EUR_XYZ", "BTC_USDT_SWAP_X", "-USDT", "BTC-", "/"),
        ],
    )
    def test_never_guesses_the_quote(self, spelling: object) -> None:
        assert refusal_of(alert(ticker=spelling, action="buy")).code == "SYMBOL_AMBIGUOUS"

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"ticker": "BTCUSDT", "symbol": "ETHUSDT"}, "SYMBOL_AMBIGUOUS"),
            ({"ticker": "{{ticker}}"}, "PLACEHOLDER_UNFILLED"),
            ({"ticker": "<your symbol>"}, "PLACEHOLDER_UNFILLED"),
            ({"ticker": "BTCUSDT,ETHUSDT"}, "SEVERAL_ORDERS"),
            ({"ticker": ["BTCUSDT"]}, "SEVERAL_ORDERS"),
            ({"ticker": ""}, "SYMBOL_MISSING"),
        ],
    )
    def test_refuses_none_and_two(self, fields: dict, code: str) -> None:
        assert refusal_of(alert(**fields, action="buy")).code == code

    @pytest.mark.parametrize(
        "case",
        [case for case in CASES if REFUSED.get(case["id"]) == NO_QUOTE],
        ids=lambda case: case["id"],
    )
    def test_completes_a_base_from_the_only_symbol_its_bot_trades(self, case: dict) -> None:
        base = case["expected"]["base"]

        reading = read_alert(body_of(case), trading_symbol=f"{base}USDT")

        wrong = differences(case, reading)
        assert wrong.pop("symbol") == (f"{base}USDT", case["expected"]["symbol_raw"])
        assert wrong.keys() <= {"quantity_kind", "intent"}  # said in the sender's manual, not in the body
        assert reading.side == case["expected"].get("side", "").lower() or reading.side is None

    @pytest.mark.parametrize(
        ("spelling", "trading_symbol"),
        [
            ("ETH-PERP", "BTCUSDT"),
            ("ETHX", "ETHUSDT"),
            ("ETHBTC", "ETHUSDT"),
            ("", "ETHUSDT"),
            ("ſOL-PERP", "SOLUSDT"),
        ],
    )
    def test_completes_no_other_symbol(self, spelling: str, trading_symbol: str) -> None:
        body = alert(ticker=spelling, action="buy")

        with contextlib.suppress(Unreadable):
            assert read_alert(body, trading_symbol=trading_symbol).symbol == spelling

    def test_takes_two_spellings_of_one(self) -> None:
        assert read(ticker="BTCUSDT.P", symbol="BTC-USDT", action="buy").symbol == "BTCUSDT"


class TestReadAmounts:
    @pytest.mark.parametrize(
        ("fields", "share"),
        [
            ({}, None),
            ({"percentage": 0.5}, "0.5"),
            ({"pct": "0.25"}, "0.25"),
            ({"percentage": 1}, "1"),
            ({"percentage": 50}, "0.5"),
            ({"percent": "50%"}, "0.5"),
            ({"size": "50%"}, "0.5"),
            ({"size": "0.5%"}, "0.005"),
            ({"qty": 10, "qty_mode": "percent"}, "0.1"),
        ],
    )
    def test_gives_the_share_to_close(self, fields: dict, share: str | None) -> None:
        reading = read(action="close", **fields)

        assert reading.share == (Decimal(share) if share is not None else None)

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"pct": "0.5%"}, "QUANTITY_AMBIGUOUS"),
            ({"percentage": 101}, "QUANTITY_UNREADABLE"),
            ({"percentage": 0}, "QUANTITY_UNREADABLE"),
            ({"percentage": -50}, "QUANTITY_UNREADABLE"),
            ({"percentage": 50, "pct": 60}, "QUANTITY_AMBIGUOUS"),
            ({"quantity": "1,5"}, "QUANTITY_UNREADABLE"),
            ({"quantity": "1_000"}, "QUANTITY_UNREADABLE"),
            ({"quantity": "١"}, "QUANTITY_UNREADABLE"),
            ({"quantity": "NaN"}, "QUANTITY_UNREADABLE"),
            ({"quantity": True}, "QUANTITY_UNREADABLE"),
            ({"quantity": -1}, "QUANTITY_UNREADABLE"),
            ({"quantity": 10**40}, "QUANTITY_UNREADABLE"),
            ({"quantity": 1, "qty": 2}, "QUANTITY_AMBIGUOUS"),
            ({"quantity": 1, "qty_mode": "parsecs"}, "QUANTITY_UNREADABLE"),
            ({"price": "64,000"}, "PRICE_UNREADABLE"),
            ({"price": -1}, "PRICE_UNREADABLE"),
        ],
    )
    def test_refuses_numbers_that_are_none_or_two(self, fields: dict, code: str) -> None:
        assert refusal_of(alert(action="close", **fields)).code == code

    def test_keeps_every_digit(self) -> None:
        body = b'{"ticker":"BTCUSDT","action":"buy","price":62050.123456789012345,"quantity":"0.10"}'

        reading = read_alert(body)

        assert reading.price == Decimal("62050.123456789012345")
        assert str(reading.quantity) == "0.10"

    def test_never_takes_a_bars_volume_for_a_quantity(self) -> None:
        assert read(action="buy", price=1, volume="1834.22").quantity is None

    def test_names_what_it_does_not_use(self) -> None:
        reading = read(
            action="buy", leverage=20, stop_loss=1, tp1=3, qty=2, strategy={"leverage": 3}, note="x"
        )

        assert reading.not_used == ("leverage", "stop_loss", "tp1", "strategy.leverage", "qty")

    @pytest.mark.parametrize(
        ("fields", "instant"),
        [
            ({"timenow": "2026-01-02T03:04:05Z"}, "2026-01-02T03:04:05+00:00"),
            ({"timestamp": "2026-01-02T00:04:05-03:00"}, "2026-01-02T03:04:05+00:00"),
            ({"sent_at": "2026-01-02 03:04:05"}, "2026-01-02T03:04:05+00:00"),
            ({"timestamp": 1767323045}, "2026-01-02T03:04:05+00:00"),
            ({"alert_time": "1767323045000"}, "2026-01-02T03:04:05+00:00"),
            (
                {"timestamp": "2020-01-01T00:00:00Z", "timenow": "2026-01-02T03:04:05Z"},
                "2026-01-02T03:04:05+00:00",
            ),
            ({"time": "2026-01-02T03:04:05Z"}, None),
            ({"timestamp": "{{timenow}}"}, None),
            ({"timestamp": "yesterday"}, None),
            ({"timestamp": 5}, None),
            ({"timestamp": True}, None),
            ({"timestamp": "9999-12-31T23:59:59-23:59"}, None),
        ],
    )
    def test_reads_when_it_was_sent(self, fields: dict, instant: str | None) -> None:
        expected = datetime.fromisoformat(instant).astimezone(UTC) if instant else None

        assert read(action="buy", **fields).sent_at == expected

    @pytest.mark.parametrize(
        ("fields", "explicit_id"),
        [
            ({"signal_id": "a-1"}, "a-1"),
            ({"alert_id": 17}, "17"),
            ({"id": "9b2fdf0e-6f0c-4a39-9b75-0b4f1c7f2a11"}, "9b2fdf0e-6f0c-4a39-9b75-0b4f1c7f2a11"),
            ({"id": "Long"}, None),
            ({"order_id": "Close entry(s) order Long"}, None),
            ({"bot_id": "9b2fdf0e-6f0c-4a39-9b75-0b4f1c7f2a11"}, None),
            ({"strategy": {"order": {"id": "9b2fdf0e-6f0c-4a39-9b75-0b4f1c7f2a11"}}}, None),
            ({"alert_id": "{{alert_id}}"}, None),
            ({"alert_id": ""}, None),
        ],
    )
    def test_takes_only_an_events_own_id(self, fields: dict, explicit_id: str | None) -> None:
        assert read(action="sell", market_position="short", **fields).explicit_id == explicit_id


class TestFindSecret:
    @pytest.mark.parametrize(
        "name", ["secret", "passphrase", "password", "token", "key", "auth", "apiKey", "senha"]
    )
    def test_finds_it_under_every_name(self, name: str) -> None:
        assert find_secret(alert(**{name: "s3cret"})) == "s3cret"
        assert find_secret(alert(anything={name: "s3cret"})) == "s3cret"
        assert find_secret(f"SYMBOL=BTCUSDT\nSIGNAL=BUY\n{name}=s3cret".encode()) == "s3cret"

    def test_finds_it_in_a_broken_message(self) -> None:
        """The owner is told what is broken; so the sender must be known first."""
        parsed = parse(b'{"secret": "s3cret", "ticker": "BTCUSDT", "action": buy}')

        assert find_secret(parsed) == "s3cret"
        assert parsed.refusal is not None
        assert parsed.refusal.code == "JSON_MALFORMED"

    def test_gives_none_where_there_is_none(self) -> None:
        assert find_secret(b"") is None
        assert find_secret(alert(action="buy", secret="")) is None
        assert find_secret(alert(action="buy", secret=None)) is None

    @pytest.mark.parametrize("field", ["action", "ticker", "quantity"])
    def test_never_repeats_it_in_a_reason(self, field: str) -> None:
        fields = {"action": "buy", "quantity": "1", "secret": "correct horse", field: "correct horse"}

        assert "horse" not in str(refusal_of(alert(**fields)))


KNOWN_NAMES = st.sampled_from(
    [
        "ticker",
        "symbol",
        "action",
        "side",
        "order",
        "signal",
        "secret",
        "qty",
        "quantity",
        "percentage",
        "price",
        "close",
        "time",
        "timenow",
        "timestamp",
        "position",
        "market_position",
        "prev_market_position",
        "position_size",
        "prev_position_size",
        "sentiment",
        "reduce_only",
        "message",
        "comment",
        "id",
        "alert_id",
        "strategy",
        "general",
        "market",
        "bar",
        "volume",
        "leverage",
        "asset",
        "orders",
        "mode",
        "type",
    ]
)
KNOWN_VALUES = st.sampled_from(
    [
        "buy",
        "sell",
        "long",
        "short",
        "close",
        "exit",
        "flat",
        "enter",
        "close_all",
        "reverse",
        "add",
        "cancel",
        "BTCUSDT",
        "ETH-PERP",
        "BINANCE:BTCUSDT.P",
        "{{ticker}}",
        "0.5",
        "50%",
        "-1",
        "1e5",
        "NaN",
        "true",
        "2026-01-01T00:00:00Z",
    ]
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | KNOWN_VALUES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KNOWN_NAMES | st.text(max_size=10), inner, max_size=6)
    ),
    max_leaves=12,
)


def check_settled(body: bytes) -> None:
    """Whatever the bytes: a reading that adds up, or a refusal with a code."""
    parsed = parse(body)
    find_secret(parsed)
    reading = outcome_of(body)
    if reading is None:
        assert re.fullmatch(r"[A-Z_]+", refusal_of(body).code)
        return
    assert reading.symbol or reading.intent in (Intent.CLOSE_ALL, Intent.START_BOT, Intent.NOTHING)
    assert reading.share is None or 0 < reading.share <= 1
    assert reading.quantity is None or reading.quantity > 0
    required = {
        **dict.fromkeys((Intent.BUY, Intent.OPEN_LONG, Intent.REVERSE_TO_LONG, Intent.CLOSE_SHORT), Side.BUY),
        **dict.fromkeys(
            (Intent.SELL, Intent.OPEN_SHORT, Intent.REVERSE_TO_SHORT, Intent.CLOSE_LONG), Side.SELL
        ),
    }
    assert reading.side == required.get(reading.intent, reading.side)
    assert is_licensed(reading, body)


class TestReadAnything:
    @settings(max_examples=300, deadline=None)
    @given(st.binary(max_size=200))
    def test_settles_any_bytes(self, body: bytes) -> None:
        check_settled(body)

    @settings(max_examples=200, deadline=None)
    @given(st.text(max_size=200))
    def test_settles_any_text(self, text: str) -> None:
        check_settled(text.encode("utf-8", errors="surrogatepass"))

    @settings(max_examples=500, deadline=None)
    @given(JSON_VALUES)
    def test_settles_any_json(self, value: object) -> None:
        check_settled(json.dumps(value).encode())

    @settings(max_examples=500, deadline=None)
    @given(st.dictionaries(KNOWN_NAMES, KNOWN_VALUES | JSON_VALUES, max_size=7))
    def test_settles_any_order(self, fields: dict) -> None:
        check_settled(json.dumps({"ticker": "BTCUSDT", **fields}).encode())

    @pytest.mark.parametrize(
        "body",
        [
            b"[" * 100_000,
            b'{"a":' * 5_000,
            b'{"a":' * 400 + b"1" + b"}" * 400,
            b'{"ticker":"BTCUSDT","action":"buy","qty":1e999999999}',
            b'{"ticker":"BTCUSDT","action":"buy","qty":' + b"9" * 5_000 + b"}",
            b'{"ticker":"BTCUSDT","action":"buy","secret":' + b"9" * 5_000 + b"}",
            b'{"ticker":"\\ud800","action":"buy"}',
            b"x" * 70_000,
            b"\xef\xbb\xbf",
            '{"ticker":"BTCUSDT","action":"buy"}'.encode("utf-16"),
            b"a=b" + b" " * 60_000 + b"c",
            b"a" + b" " * 60_000 + b"=b",
            b"\\" * 60_000,
            b"x" * 60_000 + b",buy,BTCUSDT",
            b"order buy @ 1 filled on " * 2_500,
            b'{"ticker":"BTCUSDT","action":"buy","' + b"stop" * 15 + b'x":1,"' + b"y" * 50_000 + b'":1}',
            b'"' + b'\\"' * 1_000 + b'"',
        ],
        ids=range(17),
    )
    def test_settles_what_was_made_to_break_it(self, body: bytes) -> None:
        check_settled(body)
