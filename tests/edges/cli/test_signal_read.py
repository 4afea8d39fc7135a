"""`pregao signal read`: what an alert says, to a person and to a machine, with no desk anywhere."""

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from pregao.edges.cli import signals
from tests.rooms.signals.corpus import CASES, body_of, needs_corpus, outcome_of

KEYS = ["symbol", "venue_symbol", "side", "intent", "quantity", "quantity_kind", "price", "refusal"]
SELL = b'{"ticker": "BINANCE:BTCUSDT.P", "action": "sell", "contracts": "0.10", "price": 95200.5}'


def ask(*words: str, given: bytes | None = b""):
    return CliRunner().invoke(signals.app, ["read", *words], input=given)


def told(result) -> dict:
    answer = json.loads(result.stdout)
    assert list(answer) == KEYS
    return answer


class TestRead:
    def test_tells_symbol_side_size_and_price(self, tmp_path):
        file = tmp_path / "alert.json"
        file.write_bytes(SELL)

        result = ask(str(file), "--json")

        assert result.exit_code == 0, result.stderr
        assert told(result) == {
            "symbol": "BTCUSDT",
            "venue_symbol": "BTCUSDT",
            "side": "sell",
            "intent": "sell",
            "quantity": "0.10",
            "quantity_kind": None,
            "price": "95200.5",
            "refusal": None,
        }

    @pytest.mark.parametrize("words", [("-",), ()])
    def test_takes_standard_input(self, words):
        assert told(ask(*words, "--json", given=SELL))["side"] == "sell"

    def test_takes_the_text_itself(self):
        assert told(ask("--body", SELL.decode(), "--json"))["symbol"] == "BTCUSDT"

    def test_tells_people_what_the_keys_leave_out(self):
        result = ask("--body", '{"ticker": "LTCUSDT", "action": "close", "percent": 50, "sl": 1}')

        lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
        assert (lines["share"], lines["not_used"]) == ("0.5", "sl")

    def test_completes_a_symbol_from_the_only_one_its_bot_trades(self):
        body = '{"symbol": "ETH-PERP", "direction": "long"}'

        assert told(ask("--body", body, "--symbol", "ethusdt", "--json"))["symbol"] == "ETHUSDT"
        assert told(ask("--body", body, "--json"))["refusal"]["code"] == "SYMBOL_AMBIGUOUS"

    @needs_corpus
    def test_tells_of_every_body_what_the_desk_reads(self):
        for case in CASES:
            body = body_of(case)
            result = ask("-", "--json", given=body)
            answer, reading = told(result), outcome_of(body)

            assert result.exit_code == (1 if reading is None else 0)
            assert (answer["refusal"] is None) == (reading is not None)
            if reading is not None:
                shown = [None if value is None else str(value) for value in vars_of(reading)]
                assert [answer[key] for key in KEYS if key not in ("venue_symbol", "refusal")] == shown


def vars_of(reading):
    return (
        *(reading.symbol, reading.side, reading.intent),
        *(reading.quantity, reading.quantity_kind, reading.price),
    )


class TestRefuse:
    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b"", "BODY_EMPTY"),
            (b" \n", "BODY_EMPTY"),
            (b"\xff\xfe{", "BODY_NOT_TEXT"),
            (b'{"ticker": "BTCUSDT", "action": "\xff"}', "JSON_MALFORMED"),
            (b'{"ticker": "BTCUSDT", "action": "maybe"}', "ACTION_UNKNOWN"),
            (b'{"ticker": "BTCUSDT"}', "ACTION_MISSING"),
            (b"x" * 70_000, "BODY_TOO_LONG"),
        ],
    )
    def test_says_why_and_ends_with_1(self, body, code):
        for_people, for_machines = ask("-", given=body), ask("-", "--json", given=body)

        assert (for_people.exit_code, for_machines.exit_code) == (1, 1)
        assert for_people.stderr.startswith(f"{code}: ")
        assert for_people.stdout == ""
        answer = told(for_machines)
        assert answer["refusal"]["code"] == code
        assert answer["refusal"]["reason"] in for_people.stderr
        assert {value for key, value in answer.items() if key != "refusal"} == {None}

    def test_says_that_there_is_no_such_file(self, tmp_path):
        results = [ask(str(tmp_path / "none.json"), "--json"), ask(str(tmp_path))]

        assert [result.exit_code for result in results] == [2, 2]
        assert {result.stderr.partition(":")[0] for result in results} == {"FILE_UNREADABLE"}
        assert results[0].stdout == ""

    def test_wants_one_body(self):
        result = ask("--body", "x", "-")

        assert (result.exit_code, result.stderr.partition(":")[0]) == (2, "BODY_UNCERTAIN")

    def test_lets_no_alert_steer_the_terminal(self):
        result = ask(
            "--body", '{"ticker": "BTCUSDT", "action": "buy", "alert_id": "\\u001b]0;gone\\u0007\\n"}'
        )

        assert result.exit_code == 0
        assert "\x1b" not in result.stdout
        assert "\x07" not in result.stdout

    def test_needs_no_desk_and_no_settings(self, tmp_path):
        """Nothing of the state folder or the settings is looked at, and bytes need not be UTF-8."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PREGAO_")},
            "PREGAO_STATE_DIR": str(tmp_path / "none"),
            "SERVER_PORT": "no port",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        done = subprocess.run(
            [sys.executable, "-m", "pregao", "signal", "read", "--json"],
            input=b"\xff\xfe",
            env=environment,
            capture_output=True,
            check=False,
        )

        assert done.returncode == 1
        assert json.loads(done.stdout)["refusal"]["code"] == "BODY_NOT_TEXT"
        assert not (tmp_path / "none").exists()
