"""`pregao screener`: what it does, its list, and its strategies; pause, resume, refresh."""

from typing import Annotated, Any

import typer

from pregao.edges.cli.desk import Json, Limit, call, fail
from pregao.edges.cli.shown import show_fields, show_json, show_rows

app = typer.Typer(help="The screener: the list that entries may be bound to.", no_args_is_help=True)
strategy_app = typer.Typer(help="How the list is made; one strategy is active.", no_args_is_help=True)
app.add_typer(strategy_app, name="strategy")

Named = Annotated[str, typer.Argument(metavar="STRATEGY", help="Its id or name.")]
Source = Annotated[str | None, typer.Option(help="finviz, finviz_export, static, file or most_traded.")]
Address = Annotated[
    str | None, typer.Option(help="Finviz: the screener's address; file: its name; most_traded: the venue.")
]
Ticker = Annotated[
    list[str] | None, typer.Option(help="A ticker of a static list: give it again for each, the best first.")
]
Description = Annotated[str | None, typer.Option(help="What it looks for, for people.")]
TopN = Annotated[int | None, typer.Option(help="How long the list is, 1 to 1000.")]
RefreshSeconds = Annotated[int | None, typer.Option(help="Between two looks, 5 to 86400.")]
PagePauseSeconds = Annotated[int | None, typer.Option(help="Between two pages of one list, 0 to 60.")]
Reprocess = Annotated[
    bool | None,
    typer.Option("--reprocess/--no-reprocess", help="Try declined entries again whose ticker enters."),
]
ReprocessWindowSeconds = Annotated[
    int | None, typer.Option(help="How old such an entry may be, up to a week; 0 is no limit.")
]
Chronology = Annotated[
    bool | None, typer.Option("--chronology/--no-chronology", help="Not where a sell came after it.")
]
ChronologyWindowSeconds = Annotated[
    int | None, typer.Option(help="How far from it, or from now, such a sell counts; 0 is no limit.")
]

STATUS_FIELDS = (
    "strategy", "is_paused", "is_running", "list_of", "size", "entered", "left", "listed_at", "good_at", "failed_at",
    "failures", "code", "reason", "next_look_at",
)  # fmt: skip
TICKER_COLUMNS = {"rank": "rank", "ticker": "ticker", "entered_at": "entered"}
REPROCESSED_COLUMNS = {
    "reprocessed_at": "at",
    "ticker": "ticker",
    "bot_name": "bot",
    "outcome": "outcome",
    "signal_id": "signal",
    "again_as": "again as",
}
STRATEGY_COLUMNS = {
    "name": "name",
    "is_active": "active",
    "source": "source",
    "top_n": "top",
    "refresh_seconds": "refresh s",
    "reprocess_enabled": "reprocess",
    "strategy_id": "id",
}


@app.command()
def status(*, as_json: Json = False) -> None:
    """Say what the screener does, and why the last look gave no list."""
    _say_status(call("GET", "/screener"), as_json=as_json)


@app.command()
def tickers(*, as_json: Json = False) -> None:
    """List the tickers, the best first."""
    found = call("GET", "/screener/tickers")
    if as_json:
        show_json(found)
    else:
        show_rows(found["items"], TICKER_COLUMNS, empty="There is no list yet.")


@app.command()
def reprocessed(*, limit: Limit = 20, as_json: Json = False) -> None:
    """List the declined entries that were looked at again because their ticker entered."""
    found = call("GET", "/screener/reprocessed", limit=limit)["items"]
    if as_json:
        show_json(found)
    else:
        show_rows(found, REPROCESSED_COLUMNS, empty="Nothing was looked at again yet.")


@app.command()
def reprocess(
    tickers: Annotated[list[str], typer.Argument(metavar="TICKER...", help="Those that are on the list.")],
    *,
    window_seconds: Annotated[int, typer.Option(help="How old the entries may be; 0 is no limit.")] = 300,
    as_json: Json = False,
) -> None:
    """Try the last declined entries in these tickers again now; each is tried once."""
    found = call("POST", "/screener/reprocess", body={"tickers": tickers, "window_seconds": window_seconds})
    if as_json:
        show_json(found["items"])
    else:
        show_rows(found["items"], REPROCESSED_COLUMNS, empty="There is nothing to try again.")


@app.command()
def pause(*, as_json: Json = False) -> None:
    """Fetch nothing any more but what somebody asks for; the list stands as it is."""
    _say_status(call("POST", "/screener/pause"), as_json=as_json)


@app.command()
def resume(*, as_json: Json = False) -> None:
    """Fetch again as the strategy says."""
    _say_status(call("POST", "/screener/resume"), as_json=as_json)


@app.command()
def refresh(*, as_json: Json = False) -> None:
    """Have the list made once now, paused or not."""
    _say_status(call("POST", "/screener/refresh"), as_json=as_json)


@strategy_app.command(name="list")
def list_strategies(*, as_json: Json = False) -> None:
    """List the strategies by name."""
    found = call("GET", "/screener/strategies")["items"]
    if as_json:
        show_json(found)
    else:
        show_rows(found, STRATEGY_COLUMNS, empty="There is no strategy yet.")


@strategy_app.command()
def show(strategy: Named, *, as_json: Json = False) -> None:
    """Show one strategy."""
    _say(call("GET", f"/screener/strategies/{_find_id(strategy)}"), as_json=as_json)


@strategy_app.command()
def create(
    name: Annotated[str, typer.Argument(help="1 to 100 characters.")],
    *,
    source: Source = "finviz",
    address: Address = None,
    ticker: Ticker = None,
    description: Description = None,
    top_n: TopN = None,
    refresh_seconds: RefreshSeconds = None,
    page_pause_seconds: PagePauseSeconds = None,
    reprocess: Reprocess = None,
    reprocess_window_seconds: ReprocessWindowSeconds = None,
    chronology: Chronology = None,
    chronology_window_seconds: ChronologyWindowSeconds = None,
    as_json: Json = False,
) -> None:
    """Create a strategy; the first one is active at once."""
    given = {
        "name": name,
        "source": source,
        "address": address,
        "tickers": ticker,
        "description": description,
        "top_n": top_n,
        "refresh_seconds": refresh_seconds,
        "page_pause_seconds": page_pause_seconds,
        "reprocess_enabled": reprocess,
        "reprocess_window_seconds": reprocess_window_seconds,
        "respect_sell_chronology": chronology,
        "sell_chronology_window_seconds": chronology_window_seconds,
    }
    _say(call("POST", "/screener/strategies", body=_given(given)), as_json=as_json)


@strategy_app.command()
def change(
    strategy: Named,
    *,
    name: Annotated[str | None, typer.Option(help="1 to 100 characters.")] = None,
    source: Source = None,
    address: Address = None,
    ticker: Ticker = None,
    description: Description = None,
    top_n: TopN = None,
    refresh_seconds: RefreshSeconds = None,
    page_pause_seconds: PagePauseSeconds = None,
    reprocess: Reprocess = None,
    reprocess_window_seconds: ReprocessWindowSeconds = None,
    chronology: Chronology = None,
    chronology_window_seconds: ChronologyWindowSeconds = None,
    as_json: Json = False,
) -> None:
    """Change a strategy; of the active one it counts from the next look."""
    given = {
        "name": name,
        "source": source,
        "address": address,
        "tickers": ticker,
        "description": description,
        "top_n": top_n,
        "refresh_seconds": refresh_seconds,
        "page_pause_seconds": page_pause_seconds,
        "reprocess_enabled": reprocess,
        "reprocess_window_seconds": reprocess_window_seconds,
        "respect_sell_chronology": chronology,
        "sell_chronology_window_seconds": chronology_window_seconds,
    }
    path = f"/screener/strategies/{_find_id(strategy)}"
    _say(call("PATCH", path, body=_given(given)), as_json=as_json)


@strategy_app.command()
def activate(strategy: Named, *, as_json: Json = False) -> None:
    """Have the list made by this strategy; the last list stands until its first is there."""
    _say(call("POST", f"/screener/strategies/{_find_id(strategy)}/activate"), as_json=as_json)


@strategy_app.command()
def duplicate(
    strategy: Named,
    name: Annotated[str, typer.Argument(help="What the copy is called.")],
    *,
    as_json: Json = False,
) -> None:
    """Create another strategy with the same settings; it is not active."""
    path = f"/screener/strategies/{_find_id(strategy)}/duplicate"
    _say(call("POST", path, body={"name": name}), as_json=as_json)


@strategy_app.command()
def delete(strategy: Named, *, as_json: Json = False) -> None:
    """Delete a strategy; the active one stays."""
    gone = call("DELETE", f"/screener/strategies/{_find_id(strategy)}")
    if as_json:
        show_json(gone)
    else:
        print("The strategy is deleted.")


def _find_id(words: str) -> str:
    found = [
        one
        for one in call("GET", "/screener/strategies")["items"]
        if words in (one["strategy_id"], one["name"])
    ]
    if not found:
        fail(f"STRATEGY_UNCERTAIN: strategy={words} found=0. See `pregao screener strategy list`.")
    return str(found[0]["strategy_id"])


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _say(strategy: Any, *, as_json: bool) -> None:
    if as_json:
        show_json(strategy)
    else:
        show_fields(
            (name, ", ".join(value) if name == "tickers" else value) for name, value in strategy.items()
        )


def _say_status(found: Any, *, as_json: bool) -> None:
    if as_json:
        show_json(found)
    else:
        show_fields((field, found[field]) for field in STATUS_FIELDS)
