"""
Set up the screener: its strategies, which of them is active, and whether it runs.

Each command looks at the book and gives the facts that follow; the caller appends them in the same transaction.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from pregao.domain.facts import Fact, ScreenerPaused, StrategyConfigured, StrategyForgotten
from pregao.domain.screener import Source, Strategy
from pregao.market.ports import ScreenerBook
from pregao.market.refusals import ConflictError, UnknownError
from pregao.market.strategies import ScreenerLimits, check_strategy
from pregao.market.universe import ranked

STRATEGIES_MAX = 100
CHANGEABLE = frozenset(
    {
        "name", "description", "source", "address", "tickers", "top_n", "refresh_seconds", "page_pause_seconds",
        "reprocess_enabled", "reprocess_window_seconds", "respect_sell_chronology", "sell_chronology_window_seconds",
    },
)  # fmt: skip


async def create_strategy(
    strategy: Strategy, *, limits: ScreenerLimits, book: ScreenerBook, now: datetime
) -> list[Fact]:
    """
    Create a strategy; the first one is active at once.

    :raises SettingUnusableError: when a setting cannot be used.
    :raises ConflictError: when the name is taken, or there are too many.
    """
    strategy = _spelled(strategy)
    check_strategy(strategy, limits=limits)
    await _check_name_free(strategy, book=book)
    known = await book.count_strategies()
    if known >= STRATEGIES_MAX:
        raise ConflictError(
            "STRATEGIES_FULL", f"strategies={known} maximum={STRATEGIES_MAX}. Delete one first."
        )
    is_first = await book.find_active() is None
    made = replace(strategy, is_active=is_first, changed_at=now)
    return [StrategyConfigured(happened_at=now, strategy=made)]


async def change_strategy(
    strategy_id: UUID,
    changes: Mapping[str, Any],
    *,
    limits: ScreenerLimits,
    book: ScreenerBook,
    now: datetime,
) -> list[Fact]:
    """
    Change some settings of a strategy; of the active one they count from the next look. Changing nothing gives no fact.

    :raises SettingUnusableError: when a setting cannot be used.
    :raises UnknownError: when there is no such strategy.
    :raises ConflictError: when the name is taken.
    """
    assert CHANGEABLE.issuperset(changes)
    before = await _get_strategy(strategy_id, book=book)
    changed = _spelled(replace(before, **changes))
    check_strategy(changed, limits=limits)
    await _check_name_free(changed, book=book)
    if changed == before:
        return []
    return [StrategyConfigured(happened_at=now, strategy=replace(changed, changed_at=now))]


async def activate_strategy(strategy_id: UUID, *, book: ScreenerBook, now: datetime) -> list[Fact]:
    """
    Have the list made by this strategy from the next look on; the last list stands until then. Twice is once.

    :raises UnknownError: when there is no such strategy.
    """
    chosen = await _get_strategy(strategy_id, book=book)
    if chosen.is_active:
        return []
    active = await book.find_active()
    # The other one first: two are never active.
    given = [] if active is None else [replace(active, is_active=False)]
    return [
        StrategyConfigured(happened_at=now, strategy=one)
        for one in (*given, replace(chosen, is_active=True, changed_at=now))
    ]


async def duplicate_strategy(
    strategy_id: UUID, *, new_id: UUID, name: str, limits: ScreenerLimits, book: ScreenerBook, now: datetime
) -> list[Fact]:
    """
    Create another strategy with the same settings, under a name of its own. It is not active.

    :raises SettingUnusableError: when the name, or by now another setting, cannot be used.
    :raises UnknownError: when there is no such strategy.
    :raises ConflictError: when the name is taken, or there are too many.
    """
    copy = replace(await _get_strategy(strategy_id, book=book), strategy_id=new_id, name=name)
    return await create_strategy(copy, limits=limits, book=book, now=now)


async def forget_strategy(strategy_id: UUID, *, book: ScreenerBook, now: datetime) -> list[Fact]:
    """
    Delete a strategy.

    :raises UnknownError: when there is no such strategy.
    :raises ConflictError: when it is the active one.
    """
    strategy = await _get_strategy(strategy_id, book=book)
    if strategy.is_active:
        raise ConflictError(
            "STRATEGY_ACTIVE", f"strategy={strategy_id} name={strategy.name}. Activate another one first."
        )
    return [StrategyForgotten(happened_at=now, strategy_id=strategy_id)]


async def set_paused(is_paused: bool, *, set_by: str, book: ScreenerBook, now: datetime) -> list[Fact]:  # noqa: FBT001  # it is what is set
    """Pause the screener, or resume it; the list stands as it is. Twice is once."""
    if await book.is_paused() is is_paused:
        return []
    return [ScreenerPaused(happened_at=now, is_paused=is_paused, set_by=set_by)]


async def ask_for_look(*, book: ScreenerBook) -> None:
    """
    Have the list made once more now, also while the screener is paused.

    :raises ConflictError: when no strategy is active.
    """
    if await book.find_active() is None:
        raise ConflictError("STRATEGY_MISSING", "No strategy is active. Create one, or activate one, first.")
    await book.ask_for_look()


async def _get_strategy(strategy_id: UUID, *, book: ScreenerBook) -> Strategy:
    strategy = await book.find_strategy(strategy_id)
    if strategy is None:
        raise UnknownError("STRATEGY_UNKNOWN", f"strategy={strategy_id}. There is no such strategy.")
    return strategy


async def _check_name_free(strategy: Strategy, *, book: ScreenerBook) -> None:
    other = await book.find_strategy_named(strategy.name)
    if other is not None and other.strategy_id != strategy.strategy_id:
        raise ConflictError(
            "STRATEGY_NAME_TAKEN",
            f"name={strategy.name}. Another strategy has it; choose another.",
            field="name",
        )


def _spelled(strategy: Strategy) -> Strategy:
    address, tickers = strategy.address.strip(), strategy.tickers
    if strategy.source is Source.STATIC:
        # What is no ticker stays, to be named by the check.
        spelled = ranked(tickers, top_n=len(tickers))
        tickers = spelled if len(spelled) == len({one.strip().upper() for one in tickers}) else tickers
    return replace(strategy, name=strategy.name.strip(), address=address, tickers=tickers)
