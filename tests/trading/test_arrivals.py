"""Which signals that wait are planned together: closes of different symbols, and nothing overtakes its own kind."""

from uuid import UUID

from pregao.domain.bot import Directions
from pregao.domain.facts import DecisionApproved
from pregao.domain.order import Side
from pregao.domain.signal import Action, AgainKind, SentAgain
from pregao.trading.arrivals import in_groups
from tests.builders import BOT_ID, NOON, accepted, bot, instruction

OTHER_BOT = UUID(int=77)


def signal(number, asked, *, bot_id=BOT_ID):
    return accepted(asked, signal_id=UUID(int=number), bot_id=bot_id)


def close(symbol, **changes):
    return instruction(Action.CLOSE, symbol=symbol, **changes)


def enter(symbol):
    return instruction(symbol=symbol, side=Side.BUY)


def sell(symbol):
    return instruction(symbol=symbol, side=Side.SELL)


def grouped(*asked, directions=Directions.BOTH):
    """Give the groups as the places of their signals."""
    signals = [
        one if not hasattr(one, "action") else signal(number, one)
        for number, one in enumerate(asked, start=1)
    ]
    bots = {one: bot(bot_id=one, allowed_directions=directions) for one in (BOT_ID, OTHER_BOT)}
    return [[one.signal_id.int for one in group] for group in in_groups(signals, bots=bots)]


class TestGroups:
    def test_closes_of_different_symbols_are_one(self):
        assert grouped(close("A"), close("B"), close("C")) == [[1, 2, 3]]

    def test_a_second_close_of_a_symbol_begins_another(self):
        """It must see what the first has done to the position."""
        assert grouped(close("A"), close("B"), close("A"), close("C")) == [[1, 2], [3, 4]]

    def test_entries_stay_alone(self):
        assert grouped(enter("A"), enter("B")) == [[1], [2]]

    def test_a_close_is_drawn_forward_past_entries_of_other_symbols(self):
        assert grouped(close("A"), enter("B"), close("C")) == [[1, 3], [2]]

    def test_a_close_overtakes_no_entry_of_its_symbol(self):
        assert grouped(close("A"), enter("B"), close("B"), close("C")) == [[1], [2], [3, 4]]

    def test_no_close_overtakes_one_of_all_symbols(self):
        asked = close("A"), instruction(Action.CLOSE_ALL, symbol=None), close("B")

        assert grouped(*asked) == [[1], [2], [3]]

    def test_what_goes_the_way_a_bot_may_not_enter_closes_or_does_nothing(self):
        asked = [sell("A"), enter("B"), sell("C"), close("D")]

        assert grouped(*asked, directions=Directions.BUY_ONLY) == [[1, 3, 4], [2]]
        assert grouped(*asked) == [[1], [2], [3], [4]]

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
