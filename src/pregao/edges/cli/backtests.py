"""`pregao backtest`: what a strategy would have done."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pregao.edges.cli import _fail, _settings
from pregao.edges.cli.candles import _at_ms
from pregao.edges.cli.shown import show_fields, show_rows

if TYPE_CHECKING:
    from pregao.research.backtests.figures import Figures
    from pregao.research.backtests.terms import Terms
    from pregao.research.backtests.trial import Trial
    from pregao.research.candles import Candles, Prices
    from pregao.research.strategies.strategy import Plan

app = typer.Typer(help="What a strategy would have done.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
CandlesName = Annotated[str, typer.Option("--data", help="A name of `pregao data list`, or a file.")]
Symbol = Annotated[str | None, typer.Option(help="Which candles of a file that holds many.")]
TimeframeName = Annotated[
    str | None,
    typer.Option("--timeframe", help="Likewise; or how long a candle lasts where nothing tells it."),
]
Since = Annotated[str | None, typer.Option(help="Leave out candles before this day or instant (UTC).")]
Until = Annotated[str | None, typer.Option(help="Leave out candles from this day or instant on (UTC).")]
Start = Annotated[float, typer.Option("--start", help="Money at the beginning.")]
SizingName = Annotated[
    str,
    typer.Option(
        "--sizing", help="share of the equity, money, or risk to the stop as a share of the equity."
    ),
]
Size = Annotated[float, typer.Option("--size", help="That share (0.1 is a tenth) or amount.")]
Leverage = Annotated[float, typer.Option("--leverage", help="The margin times this is traded.")]
FeeBps = Annotated[float, typer.Option("--fee-bps", help="Fee at each fill, hundredths of a percent.")]
SlippageBps = Annotated[float, typer.Option("--slippage-bps", help="Slippage where we take what is there.")]
QuantityStep = Annotated[
    float, typer.Option("--quantity-step", help="Round quantities down to multiples; 0 does not.")
]
Funding = Annotated[
    Path | None,
    typer.Option("--funding", exists=True, dir_okay=False, help="File of funding times and rates."),
]
Jobs = Annotated[int, typer.Option("--jobs", help="How many cores; -1 takes all.")]
Dask = Annotated[
    str | None,
    typer.Option("--dask", help="Try on the Dask cluster whose scheduler is there: tcp://HOST:8786."),
]
Out = Annotated[Path | None, typer.Option("--out", help="Write all rows to a .parquet or .csv file, too.")]
Report = Annotated[
    Path | None, typer.Option("--report", dir_okay=False, help="Write a page with charts to an .html file.")
]
DEFAULT_FEE_BPS = 5.0  # a taker's on most futures venues: a backtest without fees flatters

FIGURES = {
    "return %": "return_pct",
    "return a year %": "return_year_pct",
    "largest drawdown %": "drawdown_max_pct",
    "longest drawdown, candles": "drawdown_bars_max",
    "Sharpe": "sharpe",
    "Sortino": "sortino",
    "Calmar": "calmar",
    "trades": "trades",
    "win rate %": "win_rate_pct",
    "profit factor": "profit_factor",
    "average win": "average_win",
    "average loss": "average_loss",
    "best": "best",
    "worst": "worst",
    "expectancy": "expectancy",
    "fees": "fees",
    "funding": "funding",
    "held %": "exposure_pct",
    "entries denied": "denied",
}
RANKED = {
    "strategy": "strategy",
    "values": "values",
    "sharpe": "Sharpe",
    "return_pct": "return %",
    "drawdown_max_pct": "drawdown %",
    "trades": "trades",
    "win_rate_pct": "win rate %",
    "profit_factor": "profit factor",
}


@app.callback()
def backtest() -> None:
    """What a strategy would have done."""


@app.command()
def strategies(*, as_json: Json = False) -> None:
    """Show the strategies and what can be set."""
    from pregao.research.strategies.shipped import STRATEGIES

    rows = [
        {
            "strategy": one.name,
            "meaning": one.meaning,
            "parameter": told.name,
            "default": told.default,
            "low": told.low,
            "high": told.high,
            "what": told.meaning,
        }
        for one in STRATEGIES.values()
        for told in one.parameters
    ]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    columns = {name: name for name in ("strategy", "parameter", "default", "low", "high", "what")}
    show_rows(
        [{**row, **{n: f"{row[n]:g}" for n in ("default", "low", "high")}} for row in rows], columns, empty=""
    )


@app.command()
def run(
    *,
    strategy: Annotated[str, typer.Option(help="A name of `pregao backtest strategies`.")],
    data: CandlesName,
    values: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE of a parameter; may be given again.")
    ] = None,
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
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="A name of `pregao model list`: where it is sure it has the word before technical_analysis.",
        ),
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Compute candle by candle, without the compiler; slow.")
    ] = False,
    trades: Annotated[
        Path | None, typer.Option("--trades", help="Write every trade to a .parquet or .csv file.")
    ] = None,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Try a strategy on candles and print what came of it."""
    with _told_apart():
        from pregao.edges.candle_files.results import require_kind, trade_rows, write_rows
        from pregao.research.backtests import compiled
        from pregao.research.backtests import plain as by_candle
        from pregao.research.backtests.trial import figures_of_outcome
        from pregao.research.strategies.shipped import get_strategy

        if trades is not None:
            require_kind(trades)
        chosen = get_strategy(strategy)
        terms = _terms(
            sizing,
            start=start,
            size=size,
            leverage=leverage,
            fee_bps=fee_bps,
            slippage_bps=slippage_bps,
            quantity_step=quantity_step,
        )
        candles = _candles(data, symbol=symbol, timeframe=timeframe, since=since, until=until)
        filled = chosen.filled(_values(values or []))
        replay = by_candle.replay if plain else compiled.replay
        plan = (
            chosen.plan_of(candles, filled)
            if model is None
            else _with_model(model, strategy, candles, filled)
        )
        outcome = replay(candles, plan, terms, funding=_funding(candles, funding))
        figures = figures_of_outcome(outcome)
        if trades is not None:
            write_rows(trade_rows(outcome), trades)
        if report is not None:
            from pregao.edges.candle_files.page import page_of_run
            from pregao.research.backtests.trial import Trial

            trial = Trial(strategy=strategy, values=filled, figures=figures)
            report.write_text(page_of_run(trial, outcome, terms), encoding="utf-8")
    if as_json:
        told = {
            "candles": _about(candles),
            "strategy": strategy,
            "values": filled,
            "terms": asdict(terms),
            "figures": asdict(figures),
            "trades": trade_rows(outcome),
        }
        typer.echo(json.dumps(_finite(told)))
        return
    show_fields(
        [
            ("candles", candles.label),
            ("from, to, how many", _extent(candles)),
            ("strategy", f"{strategy} {_shown_values(filled)}"),
            ("money", f"{figures.start:,.2f} became {figures.final_equity:,.2f}"),
            *((words, _number(getattr(figures, field))) for words, field in FIGURES.items()),
        ]
    )


@app.command()
def compare(
    *,
    data: CandlesName,
    strategy: Annotated[
        list[str] | None,
        typer.Option(help="NAME or NAME:PARAMETER=VALUE,…; may be given again. None takes all as they come."),
    ] = None,
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
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Try several strategies on the same candles; the best Sharpe ratio comes first."""
    with _told_apart():
        from pregao.edges.candle_files.results import require_kind, rows_of, write_rows
        from pregao.research.backtests.trial import compare as compare_all
        from pregao.research.strategies.shipped import STRATEGIES, get_strategy

        if out is not None:
            require_kind(out)
        contenders = []
        for written in strategy or list(STRATEGIES):
            name, _, told = written.partition(":")
            contenders.append((get_strategy(name), _values(told.split(",") if told else [])))
        terms = _terms(
            sizing,
            start=start,
            size=size,
            leverage=leverage,
            fee_bps=fee_bps,
            slippage_bps=slippage_bps,
            quantity_step=quantity_step,
        )
        candles = _candles(data, symbol=symbol, timeframe=timeframe, since=since, until=until)
        trials = compare_all(candles, contenders, terms, funding=_funding(candles, funding))
        if out is not None:
            write_rows(rows_of(trials), out)
    if as_json:
        typer.echo(json.dumps(_finite({"candles": _about(candles), "trials": rows_of(trials)})))
        return
    typer.echo(f"{candles.label}  {_extent(candles)}")
    show_rows([_ranked_row(trial) for trial in trials], RANKED, empty="")


@app.command()
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
    with _told_apart():
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
        terms = _terms(
            sizing,
            start=start,
            size=size,
            leverage=leverage,
            fee_bps=fee_bps,
            slippage_bps=slippage_bps,
            quantity_step=quantity_step,
        )
        candles = _candles(data, symbol=symbol, timeframe=timeframe, since=since, until=until)
        rates = _funding(candles, funding)
        with (
            _cluster(dask),
            _bar(len(combinations) * (1 + folds), shown=not as_json) as advance,
        ):
            swept = sweep_all(candles, chosen, combinations, terms, funding=rates, jobs=jobs, on_done=advance)
            forward = (
                walk_forward(
                    candles,
                    chosen,
                    combinations,
                    terms,
                    folds=folds,
                    funding=rates,
                    jobs=jobs,
                    on_done=advance,
                )
                if folds
                else None
            )
        best_first = swept.best(top)
        sharpes = swept.table["sharpe"].tolist()
        deflated = deflated_sharpe(
            best_first[0].figures, sharpes=sharpes, bars_per_year=candles.timeframe.bars_per_year
        )
        if out is not None:
            write_sweep(swept, out)
        if report is not None:
            from pregao.edges.candle_files.page import page_of_sweep

            page = page_of_sweep(
                candles,
                swept,
                terms,
                lucky_sharpe=expected_best(sharpes),
                deflated_sharpe=deflated,
                forward=forward,
            )
            report.write_text(page, encoding="utf-8")
    if as_json:
        told = {
            "candles": _about(candles),
            "tried": len(swept),
            "sharpe_by_luck": expected_best(sharpes),
            "deflated_sharpe": deflated,
            "trials": rows_of(best_first),
            "walk_forward": asdict(forward) if forward else None,
        }
        typer.echo(json.dumps(_finite(told)))
        return
    typer.echo(f"{candles.label}  {_extent(candles)}")
    show_rows([_ranked_row(trial) for trial in best_first], RANKED, empty="")
    typer.echo(
        f"{len(swept)} combinations were tried. The best of so many would reach a Sharpe ratio of "
        f"{expected_best(sharpes):.2f} by luck alone; that this one is above it has a probability of {_number(deflated)}."
    )
    if forward is not None:
        _show_walk_forward(forward.folds, forward.traded)


def _show_walk_forward(folds: Any, traded: "Figures") -> None:
    rows = [
        {
            "chosen": _instant(fold.chosen_until_ms),
            "traded": _instant(fold.traded_until_ms),
            "values": _shown_values(fold.values),
            "before": _number(fold.before.sharpe),
            "after": _number(fold.after.sharpe),
            "return": _number(fold.after.return_pct),
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
        f"On candles that no choice had seen: return {_number(traded.return_pct)} %, Sharpe {_number(traded.sharpe)}, "
        f"largest drawdown {_number(traded.drawdown_max_pct)} %, {traded.trades} trades."
    )


def _terms(sizing: str, **others: float) -> "Terms":
    from pregao.research.backtests.terms import Sizing, Terms

    kinds = {one.name.lower(): one for one in Sizing}
    if sizing not in kinds:
        _fail(f"TERMS_OUT_OF_RANGE: sizing={sizing} known={', '.join(kinds)}.", code=2)
    return Terms(sizing=kinds[sizing], **others)  # type: ignore[arg-type]


def _candles(
    name: str, *, symbol: str | None, timeframe: str | None, since: str | None, until: str | None
) -> "Candles":
    from pregao.edges.candle_files.bring import Told, open_candles
    from pregao.edges.candle_files.store import CandleFolder
    from pregao.research.backtests.sweep import require_candles

    folder = CandleFolder(_settings().state_dir / "candles")
    candles = open_candles(name, folder=folder, told=Told(symbol=symbol, timeframe=timeframe))
    part = candles.between(since_ms=_at_ms(since), until_ms=_at_ms(until))
    require_candles(part, rows_min=2)
    return part


def _funding(candles: "Candles", path: Path | None) -> "Prices | None":
    from pregao.edges.candle_files.shapes import read_funding
    from pregao.research.backtests.funding import funding_by_candle

    if path is None:
        return None
    due_at_ms, rates = read_funding(path)
    return funding_by_candle(candles, due_at_ms=due_at_ms, rates=rates)


def _with_model(name: str, strategy: str, candles: "Candles", filled: dict[str, float]) -> "Plan":
    from pregao.edges.model_files.store import ModelFolder, ModelMissingError
    from pregao.research.analyzer.plan import plan_with_model
    from pregao.research.models.predictor import ModelUnusableError, PredictionImpossibleError
    from pregao.settings import MODELS_FOLDER

    if strategy != "technical_analysis":
        _fail(
            f"MODEL_UNUSABLE_HERE: strategy={strategy}. A model speaks beside technical_analysis only.",
            code=2,
        )
    try:
        read = ModelFolder(_settings().state_dir / MODELS_FOLDER).get(name)
        return plan_with_model(candles, filled, read)
    except (ModelMissingError, ModelUnusableError, PredictionImpossibleError) as wrong:
        _fail(str(wrong))


def _values(written: list[str]) -> dict[str, float]:
    values = {}
    for text in written:
        name, given, value = text.partition("=")
        try:
            values[name.strip()] = float(value)
        except ValueError:
            given = ""
        if not given:
            _fail(f"VALUE_UNREADABLE: value={text!r}. Write NAME=NUMBER, such as fast=9.", code=2)
    return values


@contextmanager
def _told_apart() -> Iterator[None]:
    """Let what a person can correct be said in one line; the rest is a bug and shows as one."""
    from pregao.domain.strategy import ParameterUnusableError, StrategyUnknownError
    from pregao.edges.candle_files.results import ResultKindUnknownError
    from pregao.edges.candle_files.shapes import FileUnreadableError
    from pregao.edges.candle_files.store import CandlesMissingError
    from pregao.research.backtests.sweep import RangeUnreadableError
    from pregao.research.backtests.terms import TermsUnusableError
    from pregao.research.candles import CandlesUnusableError
    from pregao.research.timeframe import TimeframeUnknownError

    _share_what_is_computed()
    try:
        yield
    except (
        CandlesMissingError,
        CandlesUnusableError,
        FileUnreadableError,
        ParameterUnusableError,
        RangeUnreadableError,
        ResultKindUnknownError,
        StrategyUnknownError,
        TermsUnusableError,
        TimeframeUnknownError,
    ) as wrong:
        _fail(str(wrong))


def _share_what_is_computed() -> None:
    from pregao.edges.redis_store import ClientMissingError, share_what_is_computed

    try:
        share_what_is_computed(_settings().lab_cache_url.reveal())
    except ClientMissingError as missing:
        _fail(str(missing))


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


@contextmanager
def _bar(total: int, *, shown: bool) -> Iterator[Any]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("trying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not shown) as progress:
        task = progress.add_task("trying", total=total)
        yield lambda count: progress.advance(task, count)


def _ranked_row(trial: "Trial") -> dict[str, Any]:
    figures = asdict(trial.figures)
    shown = {field: _number(figures[field]) for field in RANKED if field in figures}
    return {"strategy": trial.strategy, "values": _shown_values(trial.values), **shown}


def _about(candles: "Candles") -> dict[str, Any]:
    return {
        "symbol": candles.symbol,
        "timeframe": candles.timeframe.name,
        "source": candles.source,
        "is_simulated": candles.is_simulated,
        "rows": len(candles),
        "first_ms": int(candles.opened_at_ms[0]),
        "last_ms": int(candles.opened_at_ms[-1]),
        "digest": candles.digest,
    }


def _extent(candles: "Candles") -> str:
    first, last = int(candles.opened_at_ms[0]), int(candles.opened_at_ms[-1])
    return f"{_instant(first)} to {_instant(last)}, {len(candles):,}"


def _instant(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, tz=UTC).strftime("%Y-%m-%d %H:%M")


def _shown_values(values: Any) -> str:
    return " ".join(f"{name}={value:g}" for name, value in values.items())


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return "-" if math.isnan(value) else f"{value:,.4g}" if abs(value) < 1 else f"{value:,.2f}"


def _finite(told: Any) -> Any:
    """JSON has no infinity: what is not a number is null."""
    if isinstance(told, dict):
        return {name: _finite(value) for name, value in told.items()}
    if isinstance(told, list | tuple):
        return [_finite(value) for value in told]
    return None if isinstance(told, float) and not math.isfinite(told) else told
