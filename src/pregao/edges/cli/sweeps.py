"""`pregao backtest sweep`: every combination of parameters, and how much of the best one luck explains."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pregao.edges.cli import _fail
from pregao.edges.cli.shown import show_rows
from pregao.edges.cli.trial_options import (
    DEFAULT_FEE_BPS,
    CandlesName,
    Dask,
    FeeBps,
    Funding,
    Jobs,
    Json,
    Leverage,
    Out,
    QuantityStep,
    Report,
    Since,
    Size,
    SizingName,
    SlippageBps,
    Start,
    Symbol,
    TimeframeName,
    Until,
    candles_of,
    funding_of,
    terms_of,
    told_apart,
)
from pregao.edges.cli.trials_shown import (
    RANKED,
    about,
    bar,
    extent,
    instant,
    number,
    ranked_row,
    shown_values,
    written,
)

if TYPE_CHECKING:
    from pregao.research.backtests.figures import Figures


def sweep(
    *,
    strategy: Annotated[str, typer.Option(help="A name of `pregao backtest strategies`.")],
    data: CandlesName,
    ranges: Annotated[
        list[str] | None,
        typer.Option("--range", help="NAME=LOW:HIGH:STEP, NAME=A,B,C or NAME=VALUE; may be given again."),
    ] = None,
    folds: Annotated[
        int,
        typer.Option(
            "--walk-forward", min=0, max=100, help="Choose on a stretch, trade on the next, so often."
        ),
    ] = 0,
    top: Annotated[int, typer.Option("--top", min=1, help="How many to show.")] = 10,
    symbol: Symbol = None,
    timeframe: TimeframeName = None,
    since: Since = None,
    until: Until = None,
    start: Start = 1_000.0,
    sizing: SizingName = "share",
    size: Size = 0.1,
    leverage: Leverage = 1.0,
    fee_bps: FeeBps = DEFAULT_FEE_BPS,
    slippage_bps: SlippageBps = 0.0,
    quantity_step: QuantityStep = 0.0,
    funding: Funding = None,
    jobs: Jobs = -1,
    dask: Dask = None,
    out: Out = None,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Try every combination of parameters, and say how much of the best one luck explains."""
    with told_apart():
        from pregao.edges.candle_files.results import require_kind, rows_of, write_sweep
        from pregao.research.backtests.figures import deflated_sharpe, expected_best
        from pregao.research.backtests.sweep import ranges_of
        from pregao.research.backtests.sweep import sweep as sweep_all
        from pregao.research.backtests.walk_forward import walk_forward
        from pregao.research.strategies.shipped import get_strategy

        if out is not None:
            require_kind(out)
        chosen = get_strategy(strategy)
        combinations = list(chosen.combinations(ranges_of(ranges or [])))
        if not combinations:
            _fail("RANGE_UNREADABLE: no combination of these ranges makes sense for the strategy.", code=2)
        terms = terms_of(
            sizing,
            start=start,
            size=size,
            leverage=leverage,
            fee_bps=fee_bps,
            slippage_bps=slippage_bps,
            quantity_step=quantity_step,
        )
        candles = candles_of(data, symbol=symbol, timeframe=timeframe, since=since, until=until)
        with (
            _cluster(dask),
            bar(len(combinations) * (1 + folds), shown=not as_json) as advance,
        ):
            try_out = {"funding": funding_of(candles, funding), "jobs": jobs, "on_done": advance}
            swept = sweep_all(candles, chosen, combinations, terms, **try_out)
            forward = (
                walk_forward(candles, chosen, combinations, terms, folds=folds, **try_out) if folds else None
            )
        if out is not None:
            write_sweep(swept, out)
        sharpes = swept.table["sharpe"].tolist()
        lucky = expected_best(sharpes)
        best_first = swept.best(top)
        deflated = deflated_sharpe(
            best_first[0].figures, sharpes=sharpes, bars_per_year=candles.timeframe.bars_per_year
        )
        if report is not None:
            from pregao.edges.candle_files.page import page_of_sweep

            page = page_of_sweep(
                candles, swept, terms, lucky_sharpe=lucky, deflated_sharpe=deflated, forward=forward
            )
            report.write_text(page, encoding="utf-8")
    if as_json:
        told = {
            "candles": about(candles),
            "tried": len(swept),
            "sharpe_by_luck": lucky,
            "deflated_sharpe": deflated,
            "trials": rows_of(best_first),
            "walk_forward": asdict(forward) if forward else None,
        }
        typer.echo(written(told))
        return
    typer.echo(f"{candles.label}  {extent(candles)}")
    show_rows([ranked_row(trial) for trial in best_first], RANKED, empty="")
    typer.echo(
        f"{len(swept)} combinations were tried. The best of so many would reach a Sharpe ratio of "
        f"{lucky:.2f} by luck alone; that this one is above it has a probability of {number(deflated)}."
    )
    if forward is not None:
        _show_walk_forward(forward.folds, forward.traded)


def _show_walk_forward(folds: Any, traded: "Figures") -> None:
    rows = [
        {
            "chosen": instant(fold.chosen_until_ms),
            "traded": instant(fold.traded_until_ms),
            "values": shown_values(fold.values),
            "before": number(fold.before.sharpe),
            "after": number(fold.after.sharpe),
            "return": number(fold.after.return_pct),
            "trades": fold.after.trades,
        }
        for fold in folds
    ]
    columns = {
        "chosen": "chosen until",
        "traded": "traded until",
        "values": "values",
        "before": "Sharpe where chosen",
        "after": "Sharpe after",
        "return": "return %",
        "trades": "trades",
    }
    typer.echo("\nChosen on one stretch, traded on the next:")
    show_rows(rows, columns, empty="")
    typer.echo(
        f"On candles that no choice had seen: return {number(traded.return_pct)} %, Sharpe {number(traded.sharpe)}, "
        f"largest drawdown {number(traded.drawdown_max_pct)} %, {traded.trades} trades."
    )


@contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    if address is None:
        yield
        return
    from pregao.research.backtests.cluster import ClusterError, on_cluster

    try:
        with on_cluster(address):
            yield
    except ClusterError as away:
        _fail(str(away))
