"""Which signals that wait are planned together: closes or entries of different symbols, and nothing overtakes its own kind."""

from decimal import Decimal
from uuid import UUID

from pregao.domain.bot import Directions
from pregao.domain.facts import DecisionApproved
from pregao.domain.order import Side
from pregao.domain.signal import Action, AgainKind, Risked, SentAgain
from pregao.trading.groups import in_groups
from tests.builders import BOT_ID, NOON, accepted, bot, instruction

OTHER_BOT = UUID(int=77)
RISKED = Risked(capital=Decimal(1_000), risk_percent=Decimal(1), stop_price=Decimal(90))


def signal(number, asked, *, bot_id=BOT_ID):
    return accepted(asked, signal_id=UUID(int=number), bot_id=bot_id)


def close(symbol, **changes):
    return instruction(Action.CLOSE, symbol=symbol, **changes)


def enter(symbol):
    return instruction(symbol=symbol, side=Side.BUY)


def sell(symbol):
    return instruction(symbol=symbol, side=Side.SELL)


def grouped(*asked, directions=Directions.BOTH, large=(), **rules):
    """Give the groups as the places of their signals."""
    signals = [
        one if not hasattr(one, "action") else signal(number, one)
        for number, one in enumerate(asked, start=1)
    ]
    bots = {one: bot(bot_id=one, allowed_directions=directions, **rules) for one in (BOT_ID, OTHER_BOT)}
    return [[one.signal_id.int for one in group] for group in in_groups(signals, bots=bots, large=large)]


class TestGroups:
    def test_closes_of_different_symbols_are_one(self):
        assert grouped(close("A"), close("B"), close("C")) == [[1, 2, 3]]

    def test_a_second_close_of_a_symbol_begins_another(self):
        """It must see what the first has done to the position."""
        assert grouped(close("A"), close("B"), close("A"), close("C")) == [[1, 2], [3, 4]]

    def test_entries_of_different_symbols_are_one(self):
        assert grouped(enter("A"), sell("B"), enter("C")) == [[1, 2, 3]]

    def test_a_second_entry_of_a_symbol_begins_another(self):
        """It must see the position that the first has reserved; and nothing that asked later gets a place before it."""
        assert grouped(enter("A"), enter("A"), enter("B"), enter("C")) == [[1], [2, 3, 4]]

    def test_closes_and_entries_are_two(self):
        assert grouped(close("A"), enter("B"), close("C"), enter("D"), close("B")) == [[1, 3], [2, 4], [5]]

    def test_an_entry_overtakes_no_close_of_its_symbol(self):
        assert grouped(enter("A"), close("B"), enter("B"), enter("C")) == [[1], [2], [3, 4]]

    def test_no_entry_overtakes_another(self):
        """Two bots of one user may want his last place, or one symbol on one account: who asked first is first."""
        assert grouped(enter("A"), signal(2, enter("B"), bot_id=OTHER_BOT), enter("C")) == [[1], [2], [3]]
        assert grouped(enter("A"), instruction(symbol="B", risk=RISKED), enter("C")) == [[1], [2], [3]]

    def test_entries_that_the_bot_counts_over_all_symbols_stay_alone(self):
        """Their checks ask what the one before them has done."""
        assert grouped(enter("A"), enter("B"), max_entries_per_day=9) == [[1], [2]]
        assert grouped(enter("A"), enter("B"), global_max_positions=9) == [[1], [2]]

    def test_those_of_a_bot_that_is_planned_in_parts_stay_alone(self):
        """Its first orders leave while the last are planned; together they would wait for each other."""
        assert grouped(enter("A"), enter("B"), close("C"), close("D"), large={BOT_ID}) == [[1], [2], [3], [4]]

    def test_a_close_is_drawn_forward_past_entries_of_other_symbols(self):
        assert grouped(close("A"), enter("B"), close("C")) == [[1, 3], [2]]

    def test_a_close_overtakes_no_entry_of_its_symbol(self):
        assert grouped(close("A"), enter("B"), close("B"), close("C")) == [[1], [2], [3, 4]]

    def test_no_close_overtakes_one_of_all_symbols(self):
        asked = close("A"), instruction(Action.CLOSE_ALL, symbol=None), close("B")

        assert grouped(*asked) == [[1], [2], [3]]
        assert grouped(enter("A"), asked[1], enter("B")) == [[1], [2], [3]]

    def test_what_goes_the_way_a_bot_may_not_enter_closes_or_does_nothing(self):
        asked = [sell("A"), enter("B"), sell("C"), close("D")]

        assert grouped(*asked, directions=Directions.BUY_ONLY) == [[1, 3, 4], [2]]
        assert grouped(*asked) == [[1, 2, 3], [4]]

    def test_bots_are_kept_apart(self):
        assert grouped(close("A"), signal(2, close("B"), bot_id=OTHER_BOT), close("C")) == [[1, 3], [2]]

    def test_what_is_meant_for_some_only_or_is_begun_stays_alone(self):
        again = SentAgain(
            kind=AgainKind.RETRY, before=(UUID(int=9),), first_at=NOON, subscription_ids=(UUID(int=1),)
        )
        begun = DecisionApproved(
            happened_at=NOON, signal_id=UUID(int=5), bot_id=BOT_ID, instruction=close("E"), verdicts=()
        )

        assert grouped(
            close("A"), close("B", subscription_id=UUID(int=1)), close("C", again=again), close("D"), begun
        ) == [[1, 4], [2], [3], [5]]
