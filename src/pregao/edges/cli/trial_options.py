"""What a trial is asked for with: candles, terms and values, as options name them; and what was wrong with them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pregao.edges.cli import _fail, _settings
from pregao.edges.cli.candles import _at_ms

if TYPE_CHECKING:
    from pregao.research.backtests.terms import Terms
    from pregao.research.candles import Candles, Prices

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


def terms_of(sizing: str, **others: float) -> "Terms":
    """Read how an entry is sized and what it pays."""
    from pregao.research.backtests.terms import Sizing, Terms

    kinds = {one.name.lower(): one for one in Sizing}
    if sizing not in kinds:
        _fail(f"TERMS_OUT_OF_RANGE: sizing={sizing} known={', '.join(kinds)}.", code=2)
    return Terms(sizing=kinds[sizing], **others)  # type: ignore[arg-type]


def candles_of(
    name: str, *, symbol: str | None, timeframe: str | None, since: str | None, until: str | None
) -> "Candles":
    """Give the candles of that name or file, between two instants."""
    from pregao.edges.candle_files.bring import Told, open_candles
    from pregao.edges.candle_files.store import CandleFolder
    from pregao.research.backtests.sweep import require_candles

    folder = CandleFolder(_settings().state_dir / "candles")
    candles = open_candles(name, folder=folder, told=Told(symbol=symbol, timeframe=timeframe))
    part = candles.between(since_ms=_at_ms(since), until_ms=_at_ms(until))
    require_candles(part, rows_min=2)
    return part


def funding_of(candles: "Candles", path: Path | None) -> "Prices | None":
    """Read funding times and rates, by candle; None where no file is named."""
    from pregao.edges.candle_files.shapes import read_funding
    from pregao.research.backtests.funding import funding_by_candle

    if path is None:
        return None
    due_at_ms, rates = read_funding(path)
    return funding_by_candle(candles, due_at_ms=due_at_ms, rates=rates)


def values_of(written: list[str]) -> dict[str, float]:
    """Read NAME=NUMBER, one parameter each."""
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
def told_apart() -> Iterator[None]:
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
