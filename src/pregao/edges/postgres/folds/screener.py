"""Folds of the screener: its strategies, its list, and what was tried again because of it."""

from collections.abc import Sequence
from typing import Any

from pregao.domain import facts
from pregao.domain.screener import Strategy
from pregao.edges.postgres.folds.configured import columns_of, upsert
from pregao.edges.postgres.folds.registry import column, folds

UPSERT_STRATEGY = upsert("screener_strategies", "strategy_id", Strategy)


@folds(facts.StrategyConfigured)
async def _(connection: Any, group: Sequence[facts.StrategyConfigured]) -> None:
    for fact in group:
        await connection.execute(UPSERT_STRATEGY, fact.happened_at, *columns_of(fact.strategy))


@folds(facts.StrategyForgotten)
async def _(connection: Any, group: Sequence[facts.StrategyForgotten]) -> None:
    await connection.execute(
        "DELETE FROM screener_strategies WHERE strategy_id = ANY($1::uuid[])", column(group, "strategy_id")
    )


@folds(facts.ScreenerPaused)
async def _(connection: Any, group: Sequence[facts.ScreenerPaused]) -> None:
    """Write what was said last."""
    last = group[-1]
    await connection.execute(
        """
        INSERT INTO screener_states (is_paused, set_by, set_at) VALUES ($1, $2, $3)
        ON CONFLICT (only_one) DO UPDATE
        SET is_paused = excluded.is_paused, set_by = excluded.set_by, set_at = excluded.set_at
        """,
        last.is_paused,
        last.set_by,
        last.happened_at,
    )


@folds(facts.TickersListed)
async def _(connection: Any, group: Sequence[facts.TickersListed]) -> None:
    """Put the new list in the place of the old one; who was on both entered when he did."""
    for fact in group:
        await connection.execute(
            """
            INSERT INTO screener_lists (strategy_id, strategy, size, entered, gone, is_baseline, listed_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT (only_one) DO UPDATE
            SET strategy_id = excluded.strategy_id, strategy = excluded.strategy, size = excluded.size,
                entered = excluded.entered, gone = excluded.gone, is_baseline = excluded.is_baseline,
                listed_at = excluded.listed_at
            """,
            fact.strategy_id,
            fact.strategy,
            len(fact.tickers),
            len(fact.entered),
            len(fact.left),
            fact.is_baseline,
            fact.happened_at,
        )
        await connection.execute(
            "DELETE FROM screener_tickers WHERE ticker <> ALL($1::text[])", list(fact.tickers)
        )
        await connection.execute(
            """
            INSERT INTO screener_tickers (ticker, rank, entered_at)
            SELECT ticker, rank, $2 FROM unnest($1::text[]) WITH ORDINALITY AS new (ticker, rank)
            ON CONFLICT (ticker) DO UPDATE SET rank = excluded.rank
            """,
            list(fact.tickers),
            fact.happened_at,
        )


@folds(facts.BuyReprocessed)
async def _(connection: Any, group: Sequence[facts.BuyReprocessed]) -> None:
    await connection.execute(
        """
        INSERT INTO screener_reprocessed (signal_id, bot_id, ticker, outcome, again_as, reprocessed_at)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::timestamptz[])
        """,
        column(group, "signal_id"),
        column(group, "bot_id"),
        column(group, "ticker"),
        column(group, "outcome"),
        column(group, "again_as"),
        column(group, "happened_at"),
    )
