"""The accounts of which the books may not know all, and when to look at each again."""

from collections import Counter
from datetime import datetime, timedelta

from pregao.domain.clock import Clock

GAP_SECONDS = 5.0  # between two tries to learn what a gap hides
COMPARE_AGAIN_SECONDS = 5.0  # a venue's reads lag by seconds: what it says counts when it says it twice


class Doubts:
    """Lost with the process: the next one has a gap on every account it follows."""

    def __init__(self, clock: Clock) -> None:
        """Doubt nothing yet."""
        self._clock = clock
        self._gaps: dict[int, datetime] = {}  # account → when to ask again what happened there
        self._to_compare: dict[int, datetime] = {}  # account → when to look what it holds beside ours
        self._strange: Counter[int] = Counter()  # account → how often a trade was told that is not ours

    def ask_later(self, account_id: int, *, seconds: float = 0.0) -> None:
        """
        Remember that something happened on the account which the books do not know yet.

        It is asked about in so many ``seconds``, five at least; or sooner, where it waits for that already.
        """
        due_at = self._clock() + timedelta(seconds=max(GAP_SECONDS, seconds))
        self._gaps[account_id] = min(due_at, self._gaps.get(account_id, due_at))

    def take_gaps(self) -> list[int]:
        """Give the accounts to ask about now; each is given once."""
        due = [account_id for account_id, due_at in self._gaps.items() if due_at <= self._clock()]
        for account_id in due:
            del self._gaps[account_id]
        return due

    def hear_strange(self, account_id: int) -> None:
        """Remember that a trade was told that is not ours: what was read before it says nothing about after."""
        self._strange[account_id] += 1

    def heard_strange(self, account_id: int) -> int:
        """Give how often that was."""
        return self._strange[account_id]

    def compare_now(self, account_id: int) -> None:
        """Remember that the account may hold something else than the books say."""
        self._to_compare[account_id] = self._clock()

    def compare_after_gap(self, account_id: int) -> None:
        """Remember the same, unless the account waits for its turn already."""
        self._to_compare.setdefault(account_id, self._clock())

    def compare_again(self, account_id: int) -> None:
        """Remember to look a second time, when the venue's reads have had time to agree."""
        self._to_compare[account_id] = self._clock() + timedelta(seconds=COMPARE_AGAIN_SECONDS)

    def take_comparison(self) -> int | None:
        """Give one account to compare now, None when there is none; it is given once."""
        for account_id, due_at in self._to_compare.items():
            if due_at <= self._clock():
                del self._to_compare[account_id]
                return account_id
        return None
