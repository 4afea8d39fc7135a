import json
import re
from pathlib import Path

import pytest

from pregao.edges.exchanges.binance.errors import CLOCK_CODES, CODES, Kind
from pregao.simulation.refusals import MESSAGES

DOCUMENTED = [-int(code) for code in Path(__file__).with_name("documented_codes.txt").read_text().split()]
RECORDED = Path(__file__).parents[4] / "shared" / "data" / "binance_usdm" / "errors.jsonl"

READINGS = {
    "order_too_small": Kind.REFUSED,
    "bad_quantity": Kind.REFUSED,
    "insufficient_margin": Kind.REFUSED,
    "auth": Kind.OPERATOR_NEEDED,
    "stop_would_trigger_now": Kind.REFUSED,
    "account_in_liquidation": Kind.OPERATOR_NEEDED,
    "too_many_open_orders": Kind.REFUSED,
    "already_set": Kind.ALREADY_SO,
    "bad_precision": Kind.REFUSED,
    "unknown_order": Kind.REFUSED,
    "clock": Kind.RETRY_LATER,
    "bad_request": Kind.REFUSED,
    "ip_banned": Kind.RETRY_LATER,
    "unknown_outcome": Kind.OUTCOME_UNKNOWN,
    "not_permitted": Kind.REFUSED,
}


class TestCodes:
    @pytest.mark.parametrize("code", DOCUMENTED)
    def test_has_a_kind_for_every_documented_code(self, code):
        assert code in CODES

    @pytest.mark.parametrize("code", sorted(MESSAGES))
    def test_has_a_kind_for_every_code_the_paper_exchange_says(self, code):
        assert code in CODES

    @pytest.mark.parametrize("code", [-2021, -2022, -4045, -4118, -4130, -4136, -4137, -4138, -4509])
    def test_takes_a_conditional_order_that_was_not_taken_for_refused(self, code):
        assert CODES[code].kind is Kind.REFUSED

    def test_never_takes_a_conditional_order_under_way_for_gone(self):
        assert CODES[-4117].kind is Kind.OUTCOME_UNKNOWN

    def test_names_each_code_once(self):
        source = Path(__file__).parents[3] / "src/pregao/edges/exchanges/binance/errors.py"

        named = re.findall(r"^    (-\d{4}):", source.read_text(), re.MULTILINE)

        assert len(named) == len(set(named)) == len(CODES)

    @pytest.mark.parametrize("code", [-1000, -1001, -1006, -1007, -4116])
    def test_never_calls_a_possible_execution_refused(self, code):
        assert CODES[code].kind is Kind.OUTCOME_UNKNOWN

    @pytest.mark.parametrize("code", [-4046, -4059])
    def test_takes_a_standing_setting_for_success(self, code):
        assert CODES[code].kind is Kind.ALREADY_SO

    @pytest.mark.parametrize("code", [*sorted(CLOCK_CODES), -1003, -1008, -1015])
    def test_knows_what_was_provably_not_executed(self, code):
        assert CODES[code].kind is Kind.RETRY_LATER

    @pytest.mark.skipif(not RECORDED.exists(), reason="the recorded answers are not beside this repository")
    def test_agrees_with_the_recorded_answers(self):
        recorded = [json.loads(line) for line in RECORDED.read_text().splitlines()]

        read = {one["body"]["code"]: CODES[one["body"]["code"]].kind for one in recorded}

        assert read == {
            one["body"]["code"]: READINGS[one["sensible_reading"]["category"]] for one in recorded
        }
