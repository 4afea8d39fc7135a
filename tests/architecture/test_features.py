"""
Every promised feature has a test that names it.

A journey, an HTTP test, or where it is a rule of the code a test of the architecture or of the lab says ``F051`` in its docstring or ``f051`` in its name; a feature of a floor that is not built yet stands in
NOT_YET, and leaves the table when its first test comes.
"""

import re
from pathlib import Path

THIS = Path(__file__)
TESTS = THIS.parents[1]
PLACES = (
    TESTS / "journeys",
    TESTS / "edges" / "http",
    TESTS / "architecture",
    TESTS / "rooms" / "research",  # what is computed and asked for by nobody outside
)
PROMISED = {
    *range(1, 6),
    6,
    7,
    *range(17, 20),  # work by hand, clearing the database
    21,
    *range(8, 12),  # forwarding
    12,  # forwards in a minute
    13,
    14,  # whenever a trader is killed
    15,
    22,  # the server's side; the panel comes with the console
    16,  # the audit trail
    20,  # orders
    23,
    24,
    25,
    *range(29, 33),  # the screener
    26,
    27,
    28,
    *range(33, 38),  # the action log, CSV, histories, who may come in, settings kept
    38,
    *range(40, 65),
    *range(80, 84),
    *range(84, 97),  # the stops
    100,
    101,
    102,
    107,
    *range(110, 112),  # the cache of indicators, and what it counts
    *range(112, 115),  # backtests of two engines, their figures, ranked comparisons
    115,  # the figures at /metrics
    *range(116, 120),  # many symbols at once, the voters, a model beside them, breakers
    131,  # no candles are made up
    *range(120, 125),  # alerts, and what opens one
    125,  # the risk rules and figures
    126,  # the paper exchange costs what a venue costs
    127,  # models
    128,  # a burst
    129,  # what a second and a signal take is measured
    140,
    141,
    142,
    143,
}  # the bots, breakers, the kill switch, one audit stream
NOT_YET: dict[int, str] = {}


def features_named() -> set[int]:
    pages = (
        page.read_text(encoding="utf-8")
        for folder in PLACES
        for page in folder.rglob("test_*.py")
        if page != THIS
    )
    return {int(number) for text in pages for number in re.findall(r"(?:\bF|_f)(\d{3})(?!\d)", text)}


class TestFeatures:
    def test_each_is_named_by_a_test_over_http(self):
        assert sorted(PROMISED - features_named()) == sorted(NOT_YET)
