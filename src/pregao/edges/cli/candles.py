"""`pregao data`: candles for the research lab, from files into its folder and out of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pregao.edges.cli import _fail, _settings
from pregao.edges.cli.shown import show_fields, show_rows

if TYPE_CHECKING:
    from pregao.edges.candle_files.bring import Told
    from pregao.edges.candle_files.store import CandleFolder
    from pregao.research.candles import Candles
    from pregao.research.gaps import Examination

app = typer.Typer(help="Candles for the research lab.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Symbol = Annotated[str | None, typer.Option(help="What the candles are of, where the file does not say it.")]
TimeframeName = Annotated[
    str | None, typer.Option("--timeframe", help="How long a candle lasts, such as 5m; else the rows tell.")
]
LIST_COLUMNS = {
    "name": "name",
    "rows": "candles",
    "first": "first",
    "last": "last",
    "label": "prices",
    "source": "source",
    "size": "MB",
}
GAP_COLUMNS = {"after": "after the candle of", "bars": "candles missing"}


_NONE: dict[str, Any] = dict.fromkeys(("opened_at_ms", "open", "high", "low", "close", "volume"), ())


@app.callback()
def data() -> None:
    """Candles for the research lab."""


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV (plain or .gz) or Parquet.")],
    *,
    symbol: Symbol = None,
    timeframe: TimeframeName = None,
    source: Annotated[str | None, typer.Option(help="Where they are from; else the file's name.")] = None,
    trades: Annotated[
        bool, typer.Option("--trades", help="The file holds trades: make candles of --timeframe.")
    ] = False,
    simulated: Annotated[bool, typer.Option("--simulated", help="No market made these prices.")] = False,
    open_last: Annotated[
        bool, typer.Option("--open-last", help="Leave the last candle out: it was not finished.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put them in the place of those there are.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring candles in from a file, and say what was wrong with it."""
    with _told_apart():
        from pregao.edges.candle_files.bring import Told, bring, bring_trades
        from pregao.edges.candle_files.store import name_of
        from pregao.research.timeframe import read_timeframe

        told = Told(
            symbol=symbol,
            timeframe=timeframe,
            source=source,
            is_simulated=simulated,
            last_is_open=open_last,
        )
        if trades:
            if timeframe is None:
                _fail("TIMEFRAME_UNCLEAR: trades become candles of any length; give --timeframe.", code=2)
            made = bring_trades(file, told=told, timeframe=read_timeframe(timeframe))
            brought = [(made, _found_in(made))]
        else:
            brought = [(one.candles, one.found) for one in bring(file, told=told)]
        folder = _folder()
        shown = []
        for candles, found in brought:
            kept = folder.keep(candles, replaces=replace)
            shown.append(
                {"name": name_of(candles), "brought": len(candles), "kept": len(kept), **_examined(found)}
            )
    if as_json:
        typer.echo(json.dumps(shown))
        return
    for one in shown:
        typer.echo(f"{one['name']}: {one['brought']} candles brought in, {one['kept']} there now.")
        _say_what_was_wrong(one)


@app.command()
def fetch(
    symbol: Annotated[str, typer.Argument(help="As the venue writes it, such as BTCUSDT.")],
    timeframe: Annotated[str, typer.Argument(help="How long a candle lasts, such as 1m or 4h.")],
    *,
    since: Annotated[
        str | None, typer.Option(help="First day or instant (UTC); else where the stored ones end.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Before this day or instant (UTC); else up to now.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Another address that speaks as Binance's USD-M futures do.")
    ] = None,
    simulated: Annotated[
        bool,
        typer.Option(
            "--simulated", help="No market makes that address's prices; a paper exchange says so itself."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Fetch candles from Binance's USD-M futures; what is there already is continued."""
    with _told_apart():
        import time

        import httpx

        from pregao.edges.candle_files.klines import fetch_klines, is_paper
        from pregao.edges.candle_files.store import name_of
        from pregao.edges.exchanges.binance.addresses import LIVE
        from pregao.research.candles import make_candles
        from pregao.research.timeframe import read_timeframe

        frame, folder, fetched = read_timeframe(timeframe), _folder(), 0
        with httpx.Client(base_url=url or LIVE.rest) as client:
            made: dict[str, Any] = {
                "symbol": symbol,
                "timeframe": frame,
                "source": url or "Binance USD-M",
                "is_simulated": simulated or (url is not None and is_paper(client)),
            }
            name = name_of(make_candles(columns=_NONE, **made))
            stored = folder.find(name)
            since_ms = _at_ms(since)
            if since_ms is None:
                if stored is None:
                    _fail(
                        f"FETCH_NEEDS_SINCE: name={name}. There are none yet; say from when with --since.",
                        code=2,
                    )
                since_ms = int(stored.opened_at_ms[-1]) + 1
            for columns in fetch_klines(
                client,
                symbol=symbol,
                timeframe=frame,
                since_ms=since_ms,
                until_ms=_at_ms(until),
                sleep=time.sleep,
            ):
                page = make_candles(columns=columns, **made)
                stored = folder.keep(page)  # page by page: what was fetched stays when the next page fails
                fetched += len(page)
                if not as_json:
                    typer.echo(
                        f"{name}: {fetched} candles fetched, up to {_instant(int(page.opened_at_ms[-1]))}",
                        err=True,
                    )
    kept = 0 if stored is None else len(stored)
    if as_json:
        typer.echo(json.dumps({"name": name, "fetched": fetched, "kept": kept}))
    else:
        typer.echo(f"{name}: {fetched} candles fetched, {kept} there now.")


@app.command("list")
def list_(*, as_json: Json = False) -> None:
    """Show the candles there are."""
    stored = [asdict(one) for one in _folder().list()]
    if as_json:
        typer.echo(json.dumps(stored))
        return
    rows = [
        {
            **one,
            "first": _instant(one["first_ms"]),
            "last": _instant(one["last_ms"]),
            "label": "SIMULATED" if one["is_simulated"] else "market",
            "size": f"{one['file_bytes'] / 1e6:.1f}",
        }
        for one in stored
    ]
    show_rows(rows, LIST_COLUMNS, empty="No candles yet. Bring some in with `pregao data import FILE`.")


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="A name of `pregao data list`, or a file.")],
    *,
    symbol: Symbol = None,
    timeframe: TimeframeName = None,
    as_json: Json = False,
) -> None:
    """Look candles over: gaps, duplicates, rows that cannot be; exit 1 when a row is wrong."""
    with _told_apart():
        from pregao.edges.candle_files.bring import Told

        examined = [
            {"candles": label, "is_clean": found.is_clean, **_examined(found)}
            for label, found in _examinations(name, told=Told(symbol=symbol, timeframe=timeframe))
        ]
    if as_json:
        typer.echo(json.dumps(examined))
    else:
        for one in examined:
            _show_examination(one)
    if not all(one["is_clean"] for one in examined):
        raise typer.Exit(1)


@app.command()
def funding(
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="CSV (plain or .gz) or Parquet of times and rates."),
    ],
    *,
    symbol: Annotated[str, typer.Option(help="What they are of, as the candles have it.")],
    as_json: Json = False,
) -> None:
    """Bring in recorded funding rates, for backtests that the desk is asked for."""
    with _told_apart():
        from pregao.edges.candle_files.rates import FundingFolder
        from pregao.edges.candle_files.shapes import read_funding

        due_at_ms, rates = read_funding(file)
        name = symbol.upper()
        kept = FundingFolder(_settings().state_dir / "candles").keep(name, due_at_ms=due_at_ms, rates=rates)
    if as_json:
        typer.echo(json.dumps({"symbol": name, "brought": len(rates), "kept": kept}))
        return
    typer.echo(f"{name}: {len(rates)} rates brought in, {kept} there now.")


@app.command()
def export(
    name: Annotated[str, typer.Argument(help="A name of `pregao data list`.")],
    file: Annotated[Path, typer.Argument(help="Where to; .csv, .csv.gz or .parquet.")],
) -> None:
    """Write candles to a file that any program reads, and `pregao data import` too."""
    with _told_apart():
        from pregao.edges.candle_files.store import write_csv, write_parquet

        candles = _folder().get(name)
        if file.suffix == ".parquet":
            write_parquet(candles, file)
        elif file.name.endswith((".csv", ".csv.gz")):
            write_csv(candles, file)
        else:
            _fail(f"FILE_KIND_UNKNOWN: file={file.name}. Name it .csv, .csv.gz or .parquet.", code=2)
    typer.echo(f"{file}: {len(candles)} candles of {candles.label}.")


def _folder() -> "CandleFolder":
    from pregao.edges.candle_files.store import CandleFolder

    return CandleFolder(_settings().state_dir / "candles")


@contextmanager
def _told_apart() -> Iterator[None]:
    """Let what is wrong with a file be said in one line; the rest is a bug and shows as one."""
    from pregao.edges.candle_files.klines import KlinesUnavailableError
    from pregao.edges.candle_files.shapes import FileUnreadableError
    from pregao.edges.candle_files.store import CandlesContradictError, CandlesMissingError
    from pregao.research.candles import CandlesUnusableError
    from pregao.research.timeframe import TimeframeUnknownError

    try:
        yield
    except (
        CandlesContradictError,
        CandlesMissingError,
        CandlesUnusableError,
        FileUnreadableError,
        KlinesUnavailableError,
        TimeframeUnknownError,
    ) as wrong:
        _fail(str(wrong))


def _examinations(name: str, *, told: "Told") -> "list[tuple[str, Examination]]":
    from pregao.edges.candle_files.shapes import read_rows
    from pregao.research.gaps import examine, guess_timeframe
    from pregao.research.timeframe import read_timeframe

    path = Path(name)
    if not path.is_file():
        candles = _folder().get(name)
        return [(candles.label, _found_in(candles))]
    found = []
    for rows in read_rows(path):  # as they stand there: what cannot be is counted, not refused
        if told.symbol not in (None, rows.symbol) or (
            rows.timeframe and told.timeframe not in (None, rows.timeframe)
        ):
            continue
        written = rows.timeframe or told.timeframe
        frame = read_timeframe(written) if written else guess_timeframe(rows.columns["opened_at_ms"])
        found.append((f"{rows.symbol or path.name} {frame.name}", examine(rows.columns, timeframe=frame)))
    return found


def _found_in(candles: "Candles") -> "Examination":
    from pregao.edges.candle_files.bring import columns_of
    from pregao.research.gaps import examine

    return examine(columns_of(candles), timeframe=candles.timeframe)


def _examined(found: "Examination") -> dict[str, Any]:
    return asdict(found)


def _say_what_was_wrong(one: dict[str, Any]) -> None:
    if one["missing"]:
        typer.echo(
            f"  {one['missing']} candles are missing in {one['gap_count']} gaps (nobody traded, or it is lost)"
        )
    if one["repeated"]:
        typer.echo(f"  {one['repeated']} rows said again what another said")
    if one["contradicting"]:
        typer.echo(f"  {one['contradicting']} rows contradicted another of the same time; the first was kept")
    if one["disordered"]:
        typer.echo(f"  {one['disordered']} rows stood before an older one")
    if one["misaligned"]:
        typer.echo(f"  {one['misaligned']} candles do not open with the others")
    if one["impossible"]:
        typer.echo(f"  {one['impossible']} rows cannot be: a high below a low, or a price of 0")


def _show_examination(one: dict[str, Any]) -> None:
    show_fields(
        [
            ("candles", one["candles"]),
            ("rows", one["rows"]),
            ("first", _instant(one["first_ms"])),
            ("last", _instant(one["last_ms"])),
            ("missing", f"{one['missing']} in {one['gap_count']} gaps"),
            ("repeated rows", one["repeated"]),
            ("contradicting rows", one["contradicting"]),
            ("rows out of order", one["disordered"]),
            ("misaligned", one["misaligned"]),
            ("impossible rows", one["impossible"]),
        ]
    )
    if one["gaps"]:
        show_rows(
            [{"after": _instant(gap["after_ms"]), "bars": gap["bars"]} for gap in one["gaps"]],
            GAP_COLUMNS,
            empty="",
        )


def _instant(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, tz=UTC).strftime("%Y-%m-%d %H:%M")


def _at_ms(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        _fail(f"INSTANT_UNREADABLE: value={text!r}. Write 2024-01-31 or 2024-01-31T12:00 (UTC).", code=2)
    return int((told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp() * 1_000)
