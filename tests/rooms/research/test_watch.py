"""What the analyzer tells of its strategies: how often the price had gone their way."""

import time

from pregao import tally
from pregao.research.analyzer.watch import Watch, _Follower
from pregao.research.strategies.live import Opinion
from pregao.research.strategies.strategy import FLAT, LONG, SHORT
from tests.builders import deployment


def test_f115_the_accuracy_of_a_strategy_is_the_share_of_its_signals_that_came_right():
    watch = Watch(past=None, desk=None, judges=None, venue_now_ms=lambda venue: 0, monotonic=time.monotonic)
    follower = _Follower(deployment=deployment(strategy="scored_here"), live=None)
    told = []

    # Long up, short up, flat, long down: the flat one ends the wrong short, and says nothing itself.
    for wanted, price in ((LONG, 100.0), (SHORT, 110.0), (FLAT, 120.0), (LONG, 120.0), (FLAT, 90.0)):
        watch._score(follower, Opinion(wanted=wanted), price=price)
        told.append(tally.OWN.gauges.get(("deriv_bot_model_accuracy", ("scored_here",))))

    assert told == [None, 100.0, 50.0, 50.0, 100 / 3]
