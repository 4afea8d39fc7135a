"""A job that sells out looks again soon while something changes, and later and later while nothing does."""

from pregao.trading.flattening import PAUSE_SECONDS, Patience


class TestPatience:
    def test_grows_while_nothing_changes_and_is_short_again_when_something_does(self):
        patience, pauses = Patience(), []

        for stood in ["two", "two", "two", "one", "one"]:
            patience.wait(stood, now=100.0)
            pauses.append(patience.due - 100.0)

        assert pauses == [*PAUSE_SECONDS[:3], *PAUSE_SECONDS[:2]]

    def test_is_never_longer_than_the_longest_pause(self):
        patience = Patience()

        for _ in range(50):
            patience.wait("the same", now=0.0)

        assert patience.due == PAUSE_SECONDS[-1]
