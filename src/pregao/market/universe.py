"""The screener's universe: tickers in the order of their rank, and what changes between two lists."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pregao.domain.screener import ticker_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a new list changes; those that entered stand in the order of their rank."""

    entered: tuple[str, ...]
    left: tuple[str, ...]


def ranked(texts: Iterable[str], *, top_n: int) -> tuple[str, ...]:
    """Give the first so many tickers, each once at its best rank, in their one spelling; what is none is left out."""
    tickers = (ticker_of(text) for text in texts)
    return tuple(dict.fromkeys(one for one in tickers if one is not None))[:top_n]


def change(before: Sequence[str], after: Sequence[str]) -> Change:
    """Say which tickers entered and which left."""
    stood, stands = frozenset(before), frozenset(after)
    return Change(
        entered=tuple(one for one in after if one not in stood),
        left=tuple(one for one in before if one not in stands),
    )
