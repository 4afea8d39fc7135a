"""`pregao model`: teach models, say what they are worth, ask them."""

import asyncio
import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pregao.edges.cli import _database_url, _fail, _settings
from pregao.edges.cli.shown import show_fields, show_rows
from pregao.edges.cli.trial_options import (
    DEFAULT_FEE_BPS,
    CandlesName,
    FeeBps,
    Json,
    Since,
    SlippageBps,
    Symbol,
    TimeframeName,
    Until,
    candles_of,
)
from pregao.edges.cli.trial_options import told_apart as told_apart_there
from pregao.edges.cli.trials_shown import bar, instant

if TYPE_CHECKING:
    from pregao.edges.model_files.foretell import Said
    from pregao.edges.model_files.store import BrokenModel, ModelFolder
    from pregao.edges.postgres.predictions import FilteringBot
    from pregao.research.candles import Candles
    from pregao.research.models.manifest import Manifest
    from pregao.research.models.scores import Score, Traded
    from pregao.views.predictions import FilteredEntry

app = typer.Typer(help="Models that say how likely a move is.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="What the model is called, such as btc_1h.")]
ConfidenceMin = Annotated[
    float, typer.Option("--confidence", min=0.0, max=1.0, help="Trade only what is at least as sure.")
]
DEFAULT_CONFIDENCE = 0.5

LISTED = {
    "name": "model",
    "of": "of",
    "code": "trouble",
    "horizon": "horizon",
    "barrier": "barrier",
    "rows": "taught with",
    "until": "until",
    "gain": "gain over base rate",
    "better": "better",
    "made_at": "made",
}
BOARD = {
    "fate": "entries",
    "entries": "how many",
    "judged": "judged",
    "won_pct": "won %",
    "mean_pct": "mean %",
    "sum_pct": "sum %",
    "earned": "earned",
}
SHOWN_NUMBERS = ("won_pct", "mean_pct", "sum_pct", "earned")
BINS = {"range": "confidence", "count": "answers", "confidence": "said", "right": "came"}


@app.callback()
def model() -> None:
    """Models that say how likely a move is."""


@app.command()
def train(
    name: Name,
    *,
    data: CandlesName,
    horizon: Annotated[int, typer.Option(help="Candles within which a barrier must be reached.")] = 24,
    barrier: Annotated[
        float, typer.Option(help="How far the barriers are, in average true ranges of 14 candles.")
    ] = 2.0,
    folds: Annotated[
        int, typer.Option(help="Stretches that a walk forward is scored on, each after what taught it.")
    ] = 5,
    seed: Annotated[int, typer.Option(help="The same seed and candles give the same model.")] = 0,
    rounds: Annotated[int, typer.Option(help="Trees of each kind of answer.")] = 150,
    calibration: Annotated[
        str, typer.Option(help="How probabilities are set right: sigmoid, or isotonic where there are many.")
    ] = "sigmoid",
    confidence: ConfidenceMin = DEFAULT_CONFIDENCE,
    fee_bps: FeeBps = DEFAULT_FEE_BPS,
    slippage_bps: SlippageBps = 0.0,
    symbol: Symbol = None,
    timeframe: TimeframeName = None,
    since: Since = None,
    until: Until = None,
    as_json: Json = False,
) -> None:
    """Teach a model on candles, score it on later ones by walking forward, and keep it under a name."""
    with _told_apart():
        from pregao.edges.model_files.store import require_name
        from pregao.research.backtests.terms import Terms
        from pregao.research.models.labels import Question
        from pregao.research.models.teaching import Recipe
        from pregao.research.models.trained import train as train_model

        require_name(name)
        recipe = Recipe(
            question=Question(horizon=horizon, barrier=barrier), seed=seed, rounds=rounds, method=calibration
        )
        terms = Terms(fee_bps=fee_bps, slippage_bps=slippage_bps)
        candles = _own_candles(data, symbol=symbol, timeframe=timeframe, since=since, until=until)
        with bar(folds + 1, shown=not as_json) as advance:
            trained = train_model(
                candles, recipe, folds=folds, confidence_min=confidence, terms=terms, on_done=advance
            )
        manifest = _folder().keep(name, trained, now=datetime.now(UTC))
    _show_manifest(manifest, as_json=as_json)


@app.command()
def evaluate(
    name: Name,
    *,
    data: CandlesName,
    confidence: ConfidenceMin = DEFAULT_CONFIDENCE,
    fee_bps: FeeBps = DEFAULT_FEE_BPS,
    slippage_bps: SlippageBps = 0.0,
    symbol: Symbol = None,
    timeframe: TimeframeName = None,
    since: Since = None,
    until: Until = None,
    as_json: Json = False,
) -> None:
    """Score a model on candles that are newer than all it was made of."""
    with _told_apart():
        from pregao.research.backtests.terms import Terms
        from pregao.research.models.trained import evaluate as evaluate_model

        terms = Terms(fee_bps=fee_bps, slippage_bps=slippage_bps)
        candles = _own_candles(data, symbol=symbol, timeframe=timeframe, since=since, until=until)
        read = _folder().get(name)
        score, traded = evaluate_model(candles, read, confidence_min=confidence, terms=terms)
    if as_json:
        told = {"model": read.model, "candles": candles.label, **_told_of(score, traded)}
        typer.echo(json.dumps(told))
        return
    show_fields([("model", read.model), ("candles", candles.label), *_score_fields(score, traded)])
    _show_calibration(score)


@app.command("list")
def show_list(*, as_json: Json = False) -> None:
    """Show the models there are; one that cannot be read with what is wrong, among the others."""
    with _told_apart():
        rows = [_listed(one) for one in _folder().list()]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    show_rows(
        [{**row, "better": {True: "yes", False: "no", None: None}[row["better"]]} for row in rows],
        LISTED,
        empty="No models yet: make one with `pregao model train`.",
    )
    for row in rows:
        if row["problem"] is not None:
            typer.echo(row["problem"], err=True)


def _listed(one: "Manifest | BrokenModel") -> dict[str, Any]:
    from pregao.edges.model_files.store import BrokenModel

    if isinstance(one, BrokenModel):
        label = None if one.symbol is None or one.timeframe is None else f"{one.symbol} {one.timeframe}"
        nothing = dict.fromkeys(
            ("model", "horizon", "barrier", "rows", "until", "gain", "better", "made_at"), None
        )
        return {"name": one.name, "of": label, "code": one.code, "problem": one.problem, **nothing}
    return {
        "name": one.name,
        "model": one.model,
        "of": one.label,
        "code": None,
        "problem": None,
        "horizon": one.recipe.question.horizon,
        "barrier": one.recipe.question.barrier,
        "rows": one.taught_rows,
        "until": instant(one.looked_at_until_ms),
        "gain": round(one.score.gain, 4),
        "better": one.score.is_better,
        "made_at": one.made_at,
    }


@app.command()
def show(name: Name, *, as_json: Json = False) -> None:
    """Show what a model foretells, what it was made of, what it is worth, and whether its file is the one that was made."""
    with _told_apart():
        folder = _folder()
        folder.get(name)
        manifest = folder.get_manifest(name)
    _show_manifest(manifest, as_json=as_json)


@app.command()
def remove(name: Name) -> None:
    """Remove a model and its file."""
    with _told_apart():
        _folder().remove(name)
    typer.echo(f"{name} is removed. Whoever asks for it falls back on technical analysis alone.")


@app.command()
def predict(
    name: Name,
    *,
    data: CandlesName,
    symbol: Symbol = None,
    timeframe: TimeframeName = None,
    since: Since = None,
    until: Until = None,
    as_json: Json = False,
) -> None:
    """Say what a model makes of the last of some candles."""
    with _told_apart():
        candles = _own_candles(data, symbol=symbol, timeframe=timeframe, since=since, until=until)
        said = _folder().get(name).predict(candles)
    told = {**asdict(said), "signal": said.signal.value, "confidence_pct": said.confidence_pct}
    if as_json:
        typer.echo(json.dumps(told))
        return
    show_fields(
        [
            ("model", said.model),
            ("candle", f"{candles.label} {instant(said.bar_opened_at_ms)}"),
            ("says", f"{said.direction} ({said.signal}), {said.confidence_pct:.1f} % sure"),
        ]
    )


@app.command()
def watch(
    *,
    url: Annotated[
        str | None, typer.Option(help="Another address that speaks as Binance's USD-M futures do.")
    ] = None,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 5.0,
    once: Annotated[
        bool, typer.Option("--once", help="Look once, and end; 1 when a model had trouble.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Ask the models that filter bots' entries at every close, and tell the desk what they say; until Ctrl-C."""
    try:
        troubles = asyncio.run(_watch(url, interval=interval, once=once, as_json=as_json))
    except KeyboardInterrupt:
        return
    if troubles:
        raise typer.Exit(1)


async def _watch(url: str | None, *, interval: float, once: bool, as_json: bool) -> int:
    import time

    import httpx

    from pregao.edges.exchanges.binance.addresses import LIVE
    from pregao.edges.model_files.foretell import Foretelling
    from pregao.edges.postgres.pool import AWAY

    models = importlib.import_module("pregao.bootstrap.models")  # an upper floor, named as the roles are
    with httpx.Client(base_url=url or _settings().model_candles_url or LIVE.rest) as client:
        foretelling = Foretelling(
            folder=_folder(), client=client, sleep=time.sleep, now=lambda: datetime.now(UTC)
        )
        while True:
            try:
                told = await models.ask_models(
                    foretelling, database_url=_database_url(), heard=partial(_say, as_json=as_json)
                )
                troubles = sum(not said.foretold for said in told)
            except AWAY as error:
                troubles = 1
                typer.echo(f"DATABASE_AWAY: problem={type(error).__name__}. Asking again.", err=True)
            if once:
                return troubles
            await asyncio.sleep(interval)


@app.command()
def scoreboard(
    bot: Annotated[str, typer.Argument(help="The bot's name or id.")],
    *,
    data: CandlesName,
    days: Annotated[int, typer.Option("--days", min=1, max=3_650, help="How many days back.")] = 30,
    bars: Annotated[
        int, typer.Option("--bars", min=1, max=10_000, help="Candles a trade is held at most.")
    ] = 24,
    fee_bps: FeeBps = DEFAULT_FEE_BPS,
    symbol: Symbol = None,
    timeframe: TimeframeName = None,
    as_json: Json = False,
) -> None:
    """Compare the entries that a bot's model let through with those it denied, each as the same trade on candles."""
    with _told_apart():
        from pregao.research.models.scoreboard import Entry, Fate, board

        candles = _own_candles(data, symbol=symbol, timeframe=timeframe, since=None, until=None)
        since = datetime.now(UTC) - timedelta(days=days)
        found = asyncio.run(_filtered(bot, since=since))
        if found is None:
            _fail(f"BOT_UNKNOWN: bot={bot}. `pregao bot list` shows them.")
        filtering, rows = found
        entries = [
            Entry(
                decided_at_ms=int(row.decided_at.timestamp() * 1_000),
                symbol=row.symbol,
                is_buy=row.side == "buy",
                fate=Fate.DENIED if not row.has_passed else Fate.PASSED if row.is_known else Fate.UNFILTERED,
                earned=float(row.earned),
            )
            for row in rows
        ]
        lines = board(
            entries,
            candles,
            stop=float(filtering.default_stop_loss_pct) / 100,
            target=float(filtering.default_take_profit_pct) / 100,
            bars=bars,
            fee_bps=fee_bps,
        )
    if as_json:
        typer.echo(json.dumps({"bot": filtering.name, "lines": [asdict(line) for line in lines]}))
        return
    show_rows(
        [
            {**asdict(line), **{name: f"{getattr(line, name):+.2f}" for name in SHOWN_NUMBERS}}
            for line in lines
        ],
        BOARD,
        empty="",
    )


async def _filtered(bot: str, *, since: datetime) -> "tuple[FilteringBot, list[FilteredEntry]] | None":
    import asyncpg

    from pregao.edges.postgres.predictions import entries_filtered, find_filtering_bot

    connection = await asyncpg.connect(_database_url(), server_settings={"search_path": "pregao"})
    try:
        found = await find_filtering_bot(connection, bot)
        if found is None:
            return None
        return found, await entries_filtered(connection, found.bot_id, since=since)
    finally:
        await connection.close()


def _say(said: "Said", *, as_json: bool) -> None:
    foretold = said.foretold
    if as_json:
        told = None if foretold is None else {name: str(value) for name, value in asdict(foretold).items()}
        typer.echo(json.dumps({"model": said.model, "foretold": told, "trouble": said.trouble}))
    elif foretold is None:
        typer.echo(said.trouble, err=True)
    else:
        typer.echo(
            f"{foretold.bar_at:%Y-%m-%d %H:%M} {foretold.symbol} {foretold.timeframe} {foretold.model_id} "
            f"{foretold.direction} {foretold.confidence}"
        )


def _own_candles(
    name: str, *, symbol: str | None, timeframe: str | None, since: str | None, until: str | None
) -> "Candles":
    """Give candles under the venue's spelling of their symbol: by it a model is found, and its candles are asked for."""
    from pregao.edges.model_files.spelling import as_the_venue_spells

    candles = candles_of(name, symbol=symbol, timeframe=timeframe, since=since, until=until)
    return as_the_venue_spells(candles, symbol=symbol)


def _folder() -> "ModelFolder":
    from pregao.edges.model_files.store import ModelFolder
    from pregao.settings import MODELS_FOLDER

    return ModelFolder(_settings().state_dir / MODELS_FOLDER)


@contextmanager
def _told_apart() -> Iterator[None]:
    from pregao.edges.model_files.store import ModelMissingError
    from pregao.research.models.labels import LabelsUnusableError
    from pregao.research.models.predictor import ModelUnusableError, PredictionImpossibleError
    from pregao.research.models.teaching import TeachingImpossibleError

    try:
        with told_apart_there():
            yield
    except (
        LabelsUnusableError,
        ModelMissingError,
        ModelUnusableError,
        PredictionImpossibleError,
        TeachingImpossibleError,
    ) as wrong:
        _fail(str(wrong))


def _show_manifest(manifest: "Manifest", *, as_json: bool) -> None:
    if as_json:
        told = {**asdict(manifest), **_told_of(manifest.score, manifest.traded), "model": manifest.model}
        typer.echo(json.dumps(told))
        return
    question = manifest.recipe.question
    show_fields(
        [
            ("model", manifest.model),
            ("of", f"{manifest.label}, from {manifest.source}"),
            ("asked", f"{question.barrier:g} ATR up or down within {question.horizon} candles"),
            ("taught with", f"{manifest.taught_rows:,} candles, set right by {manifest.calibrated_rows:,}"),
            ("looked at", f"{instant(manifest.taught_since_ms)} to {instant(manifest.looked_at_until_ms)}"),
            ("figures", f"{len(manifest.features)}, version {manifest.features_version}"),
            ("seed", manifest.recipe.seed),
            ("made", f"{manifest.made_at}, {_versions(manifest)}"),
            ("file", f"{manifest.file}, {manifest.file_bytes:,} bytes"),
            *_score_fields(manifest.score, manifest.traded),
        ]
    )
    _show_calibration(manifest.score)


def _versions(manifest: "Manifest") -> str:
    return " ".join(f"{name} {told}" for name, told in manifest.versions.items())


def _score_fields(score: "Score", traded: "Traded") -> list[tuple[str, Any]]:
    shares = ", ".join(f"{name} {share:.1%}" for name, share in score.shares.items())
    return [
        ("tried on", f"{score.rows:,} candles it had not seen: {shares}"),
        ("verdict", score.verdict),
        ("log loss", f"{score.log_loss:.4f}, base rate {score.log_loss_base:.4f}"),
        ("Brier", f"{score.brier:.4f}, base rate {score.brier_base:.4f}"),
        ("right", f"{score.accuracy:.1%}, base rate {score.accuracy_base:.1%}"),
        (
            f"traded from {traded.confidence_min:.0%}",
            (
                f"{traded.return_pct:+.2f} % after {traded.fees:,.2f} in fees ({traded.fee_bps:g} bps), {traded.trades} trades, "
                f"{traded.win_rate_pct:.1f} % won, largest drawdown {traded.drawdown_max_pct:.2f} %, Sharpe {traded.sharpe:.2f}"
            ),
        ),
    ]


def _show_calibration(score: "Score") -> None:
    rows = [
        {
            "range": f"{one.low:.0%} to {one.high:.0%}",
            "count": f"{one.count:,}",
            "confidence": f"{one.confidence:.1%}",
            "right": f"{one.right:.1%}",
        }
        for one in score.calibration
    ]
    show_rows(rows, BINS, empty="")


def _told_of(score: "Score", traded: "Traded") -> dict[str, Any]:
    return {
        "score": asdict(score) | {"is_better": score.is_better, "verdict": score.verdict},
        "traded": asdict(traded),
    }
