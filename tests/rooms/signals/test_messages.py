"""What people are given to paste is read by the desk, and says what its name says."""

import pytest

from pregao.domain.signal import Intent
from pregao.signals.formats import find_secret, parse, read_alert
from pregao.signals.messages import MESSAGES, SECRET, example

FILLED = {
    "{{ticker}}": "LTCUSDT",
    "{{timenow}}": "2026-11-22T12:00:00Z",
    "{{strategy.order.action}}": "buy",
    "{{strategy.market_position}}": "long",
    "{{strategy.prev_market_position}}": "flat",
    "{{strategy.order.price}}": "84.10",
    "{{strategy.order.contracts}}": "3",
    "{{plot_0}}": "80.5",
    "{{plot_1}}": "90.5",
}
INTENTS = {
    "A strategy": Intent.OPEN_LONG,
    "A strategy, with its quantity": Intent.OPEN_LONG,
    "Buy": Intent.BUY,
    "Sell": Intent.SELL,
    "Close": Intent.CLOSE,
    "Close half": Intent.CLOSE,
    "Close everything": Intent.CLOSE_ALL,
    "Buy, with a stop and a target": Intent.BUY,
}


def filled(text: str, **changes: str) -> bytes:
    for slot, value in {**FILLED, **{f"{{{{{name}}}}}": value for name, value in changes.items()}}.items():
        text = text.replace(slot, value)
    return text.encode()


class TestMessages:
    @pytest.mark.parametrize("message", MESSAGES, ids=lambda one: one.name)
    def test_is_read_as_its_name_says(self, message):
        body = filled(message.text)

        reading = read_alert(body)

        assert b"{{" not in body
        assert find_secret(parse(body)) == SECRET
        assert reading.intent is INTENTS[message.name]
        assert reading.symbol == (None if message.name == "Close everything" else "LTCUSDT")

    def test_what_leaves_a_strategy_flat_closes(self):
        text = MESSAGES[0].text
        body = filled(text.replace("{{strategy.market_position}}", "flat").replace("{{strategy.order.action}}", "sell")
                      .replace("{{strategy.prev_market_position}}", "long"))  # fmt: skip

        assert read_alert(body).intent in (Intent.CLOSE, Intent.CLOSE_LONG)

    def test_sizes_and_stops_are_shown_and_not_used(self):
        named = {one.name: read_alert(filled(one.text)).not_used for one in MESSAGES}

        assert set(named["Buy, with a stop and a target"]) == {"stop_loss", "take_profit"}
        assert "contracts" in named["A strategy, with its quantity"]

    def test_a_share_of_what_is_held_is_closed(self):
        half = next(one for one in MESSAGES if one.name == "Close half")

        assert read_alert(filled(half.text)).share == 50 / 100

    def test_the_example_can_be_posted_as_it_stands(self):
        assert read_alert(example("BTCUSDT").encode()).intent is Intent.BUY
