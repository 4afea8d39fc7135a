"""What a bot is asked for when what a strategy wants changes."""

import pytest

from pregao.research.analyzer.wishes import Act, act_of
from pregao.research.strategies.strategy import FLAT, KEEP, LONG, SHORT


class TestActOf:
    @pytest.mark.parametrize(
        ("before", "wanted", "asked", "asked_when_paused"),
        [
            (None, LONG, None, None),
            (FLAT, LONG, Act.BUY, None),
            (FLAT, SHORT, Act.SELL, None),
            (LONG, LONG, None, None),
            (LONG, SHORT, Act.SELL, Act.CLOSE),
            (SHORT, LONG, Act.BUY, Act.CLOSE),
            (SHORT, FLAT, Act.CLOSE, Act.CLOSE),
            (LONG, KEEP, None, None),
            (KEEP, LONG, Act.BUY, Act.CLOSE),
            (KEEP, FLAT, Act.CLOSE, Act.CLOSE),
        ],
    )
    def test_asks_for_what_a_backtest_would_do(self, before, wanted, asked, asked_when_paused):
        assert act_of(before, wanted) is asked
        assert act_of(before, wanted, is_paused=True) is asked_when_paused
