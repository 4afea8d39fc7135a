"""`pregao backtest`: what a strategy would have done."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pregao.edges.cli import _fail, _settings
from pregao.edges.cli.shown import show_fields, show_rows
from pregao.edges.cli.sweeps import sweep
from pregao.edges.cli.trial_options import (
    DEFAULT_FEE_BPS,
    CandlesName,
    FeeBps,
    Funding,
    Json,
    Leverage,
    Out,
    QuantityStep,
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
    values_of,
)
from pregao.edges.cli.trials_shown import (
    FIGURES,
    RANKED,
    about,
    extent,
    number,
    ranked_row,
    shown_values,
    written,
)

if TYPE_CHECKING:
    from pregao.research.backtests.outcome import Outcome
    from pregao.research.backtests.terms import Terms
    from pregao.research.backtests.trial import Trial
    from pregao.research.candles import Candles, Prices
    from pregao.research.strategies.strategy import Plan, Strategy

CANDLES_MIN = 2
CANDLES_THAT_COMPILE = 500  # enough for every loop to be called

app = typer.Typer(help="What a strategy would have done.", no_args_is_help=True)


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
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            dir_okay=False,
            help="Where the page with charts goes; else the state folder's reports.",
        ),
    ] = None,
    with_report: Annotated[bool, typer.Option("--with-report/--no-report", help="Write that page.")] = True,
    as_json: Json = False,
) -> None:
    """Try a strategy on candles, print what came of it, and write a page with charts."""
    with told_apart():
        from pregao.edges.candle_files.results import require_kind, trade_rows, write_rows
        from pregao.research.strategies.shipped import get_strategy

        if trades is not None:
            require_kind(trades)
        chosen = get_strategy(strategy)
        terms = terms_of(
            sizing,
            start=start,
            size=size,
            leverage=leverage,
            fee_bps=fee_bps,
            slippage_bps=slippage_bps,
            quantity_step=quantity_step,
        )
        began = perf_counter()
        candles = candles_of(data, symbol=symbol, timeframe=timeframe, since=since, until=until)
        read = perf_counter() - began
        due = funding_of(candles, funding)
        trial, outcome, took = _tried(
            candles, chosen, values_of(values or []), terms, funding=due, model=model, plain=plain
        )
        if trades is not None:
            write_rows(trade_rows(outcome), trades)
        page = (report or _own_page(strategy, candles)) if with_report else None
        if page is not None:
            from pregao.edges.candle_files.page import page_of_run

            page.write_text(page_of_run(trial, outcome, terms), encoding="utf-8")
    seconds = {"reading": read, **took}
    if as_json:
        typer.echo(written(_told_run(candles, trial, outcome, terms, page=page, seconds=seconds)))
    else:
        _show_run(candles, trial, page=page, seconds=seconds)


def _tried(
    candles: "Candles",
    strategy: "Strategy",
    values: dict[str, float],
    terms: "Terms",
    *,
    funding: "Prices | None",
    model: str | None,
    plain: bool,
) -> "tuple[Trial, Outcome, dict[str, float]]":
    """Try a strategy; say how long compiling (or loading what was compiled) took, and how long the trial itself."""
    from pregao.research.backtests import compiled
    from pregao.research.backtests import plain as by_candle
    from pregao.research.backtests.trial import Trial, figures_of_outcome

    filled = strategy.filled(values)
    replay = by_candle.replay if plain else compiled.replay
    began = perf_counter()
    # Compiled at the first call, of which this is one: a few candles are nothing beside it.
    some = max(CANDLES_MIN, min(len(candles) // 2, CANDLES_THAT_COMPILE))
    head, its_funding = candles.part(0, some), None if funding is None else funding[:some]
    replay(head, strategy.plan_of(head, filled), terms, funding=its_funding)
    ready = perf_counter()
    plan = (
        strategy.plan_of(candles, filled)
        if model is None
        else _with_model(model, strategy.name, candles, filled)
    )
    outcome = replay(candles, plan, terms, funding=funding)
    trial = Trial(strategy=strategy.name, values=filled, figures=figures_of_outcome(outcome))
    return trial, outcome, {"compiling": ready - began, "computing": perf_counter() - ready}


def _own_page(strategy: str, candles: "Candles") -> Path:
    """Give where the page of a run goes that named no place: the next one of these candles takes it again."""
    folder: Path = _settings().state_dir / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{strategy}_{re.sub('[^A-Za-z0-9.]+', '_', candles.label)}.html"


def _told_run(
    candles: "Candles",
    trial: "Trial",
    outcome: "Outcome",
    terms: "Terms",
    *,
    page: Path | None,
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    from pregao.edges.candle_files.results import trade_rows

    return {
        "candles": about(candles),
        "strategy": trial.strategy,
        "values": trial.values,
        "terms": asdict(terms),
        "figures": asdict(trial.figures),
        "trades": trade_rows(outcome),
        "report": None if page is None else str(page),
        "seconds": seconds,
    }


def _show_run(candles: "Candles", trial: "Trial", *, page: Path | None, seconds: Mapping[str, float]) -> None:
    figures = trial.figures
    show_fields(
        [
            ("candles", candles.label),
            ("from, to, how many", extent(candles)),
            ("strategy", f"{trial.strategy} {shown_values(trial.values)}"),
            ("money", f"{figures.start:,.2f} became {figures.final_equity:,.2f}"),
            *((words, number(getattr(figures, field))) for words, field in FIGURES.items()),
            *([("report", page)] if page else []),
            ("seconds", ", ".join(f"{name} {took:.3f}" for name, took in seconds.items())),
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
    with told_apart():
        from pregao.edges.candle_files.results import require_kind, rows_of, write_rows
        from pregao.research.backtests.trial import compare as compare_all
        from pregao.research.strategies.shipped import STRATEGIES, get_strategy

        if out is not None:
            require_kind(out)
        contenders = []
        for contender in strategy or list(STRATEGIES):
            name, _, told = contender.partition(":")
            contenders.append((get_strategy(name), values_of(told.split(",") if told else [])))
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
        trials = compare_all(candles, contenders, terms, funding=funding_of(candles, funding))
        if out is not None:
            write_rows(rows_of(trials), out)
    if as_json:
        typer.echo(written({"candles": about(candles), "trials": rows_of(trials)}))
        return
    typer.echo(f"{candles.label}  {extent(candles)}")
    show_rows([ranked_row(trial) for trial in trials], RANKED, empty="")


app.command()(sweep)


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
