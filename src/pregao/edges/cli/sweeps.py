"""`pregao backtest sweep`: every combination of parameters, and how much of the best one luck explains."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
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
    from pregao.research.backtests.sweep import Swept
    from pregao.research.backtests.terms import Terms
    from pregao.research.backtests.trial import Trial
    from pregao.research.backtests.walk_forward import WalkForward
    from pregao.research.candles import Candles
    from pregao.research.strategies.strategy import Strategy


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
        from pregao.edges.candle_files.results import require_kind, write_sweep
        from pregao.research.backtests.sweep import ranges_of
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
            found = _found(candles, chosen, combinations, terms, folds=folds, top=top, try_out=try_out)
        if out is not None:
            write_sweep(found.swept, out)
        if report is not None:
            _write_page(found, terms, report)
    _show(found, as_json=as_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What a sweep came to, its best first; and what luck explains of it."""

    candles: "Candles"
    swept: "Swept"
    forward: "WalkForward | None"
    best_first: "list[Trial]"
    lucky: float
    deflated: float


def _found(
    candles: "Candles",
    strategy: "Strategy",
    combinations: list[dict[str, float]],
    terms: "Terms",
    *,
    folds: int,
    top: int,
    try_out: dict[str, Any],
) -> _Found:
    from pregao.research.backtests.figures import deflated_sharpe, expected_best
    from pregao.research.backtests.sweep import sweep as sweep_all
    from pregao.research.backtests.walk_forward import walk_forward

    swept = sweep_all(candles, strategy, combinations, terms, **try_out)
    forward = walk_forward(candles, strategy, combinations, terms, folds=folds, **try_out) if folds else None
    sharpes, best_first = swept.table["sharpe"].tolist(), swept.best(top)
    return _Found(
        candles=candles,
        swept=swept,
        forward=forward,
        best_first=best_first,
        lucky=expected_best(sharpes),
        deflated=deflated_sharpe(
            best_first[0].figures, sharpes=sharpes, bars_per_year=candles.timeframe.bars_per_year
        ),
    )


def _write_page(found: _Found, terms: "Terms", path: Path) -> None:
    from pregao.edges.candle_files.page import page_of_sweep

    page = page_of_sweep(
        found.candles,
        found.swept,
        terms,
        lucky_sharpe=found.lucky,
        deflated_sharpe=found.deflated,
        forward=found.forward,
    )
    path.write_text(page, encoding="utf-8")


def _show(found: _Found, *, as_json: bool) -> None:
    from pregao.edges.candle_files.results import rows_of

    if as_json:
        told = {
            "candles": about(found.candles),
            "tried": len(found.swept),
            "sharpe_by_luck": found.lucky,
            "deflated_sharpe": found.deflated,
            "trials": rows_of(found.best_first),
            "walk_forward": asdict(found.forward) if found.forward else None,
        }
        typer.echo(written(told))
        return
    typer.echo(f"{found.candles.label}  {extent(found.candles)}")
    show_rows([ranked_row(trial) for trial in found.best_first], RANKED, empty="")
    typer.echo(
        f"{len(found.swept)} combinations were tried. The best of so many would reach a Sharpe ratio of "
        f"{found.lucky:.2f} by luck alone; that this one is above it has a probability of {number(found.deflated)}."
    )
    if found.forward is not None:
        _show_walk_forward(found.forward.folds, found.forward.traded)


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
