"""`pregao strategy`: strategies that trade."""

from typing import Annotated, Any

import typer

from pregao.edges.cli.comparison import compare
from pregao.edges.cli.desk import Deployment, Json, call, call_all, fail, find_bot_id, find_deployment_id
from pregao.edges.cli.shown import show_fields, show_json, show_rows

app = typer.Typer(
    help="Strategies: what comes with the desk, and those that feed bots.", no_args_is_help=True
)

COLUMNS = {
    "bot_name": "bot",
    "symbol": "symbol",
    "timeframe": "timeframe",
    "strategy": "strategy",
    "status": "status",
    "wanted": "wants",
    "bars": "candles",
    "signals": "signals",
    "code": "why not",
    "deployment_id": "id",
}


@app.command()
def known(*, as_json: Json = False) -> None:
    """List the strategies that come with the desk, and what can be set."""
    found = call("GET", "/strategies")["items"]
    if as_json:
        show_json(found)
        return
    rows = [
        {"strategy": one["name"], **parameter, "range": f"{parameter['low']:g} to {parameter['high']:g}"}
        for one in found
        for parameter in one["parameters"]
    ]
    names = {"strategy": "strategy", "name": "parameter", "default": "default", "range": "range"}
    show_rows(rows, {**names, "meaning": "meaning"}, empty="There is none.")


@app.command()
def deploy(
    *,
    strategy: Annotated[str, typer.Option(help="Its name; `pregao strategy known` lists them.")],
    symbol: Annotated[str, typer.Option(help="What it watches, such as LTCUSDT.")],
    timeframe: Annotated[str, typer.Option(help="How long its candles are, such as 1m.")],
    bot: Annotated[str, typer.Option(help="The bot it feeds: its id, webhook path or name.")],
    param: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE; give it again for each, the rest has its default.")
    ] = None,
    venue: Annotated[str, typer.Option(help="Whose candles: paper, binance_demo or binance.")] = "paper",
    cold: Annotated[
        bool, typer.Option("--cold", help="Begin with the first candle it sees itself, not with past ones.")
    ] = False,
    with_model: Annotated[
        bool, typer.Option("--with-model", help="A model that is sure goes before technical analysis.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Have a strategy feed a bot that takes strategies."""
    body = {
        "strategy": strategy,
        "parameters": dict(_parameter(text) for text in param or ()),
        "venue": venue,
        "symbol": symbol,
        "timeframe": timeframe,
        "bot_id": find_bot_id(bot),
        "with_history": not cold,
        "with_model": with_model,
    }
    _say(call("POST", "/strategies/deployments", body=body), as_json=as_json)


@app.command(name="list")
def list_deployments(
    *,
    removed: Annotated[bool, typer.Option("--removed", help="Those that are no more, too.")] = False,
    as_json: Json = False,
) -> None:
    """List the strategies that feed bots."""
    found = call_all("/strategies/deployments", with_removed=removed)
    if as_json:
        show_json(found)
        return
    show_rows(found, COLUMNS, empty="No strategy feeds a bot. `pregao strategy deploy` has one do it.")


@app.command()
def show(deployment: Deployment, *, as_json: Json = False) -> None:
    """Show one of them, and how far it has come."""
    _say(call("GET", f"/strategies/deployments/{find_deployment_id(deployment)}"), as_json=as_json)


@app.command()
def pause(deployment: Deployment, *, as_json: Json = False) -> None:
    """Have it send nothing but closes."""
    _say(call("POST", f"/strategies/deployments/{find_deployment_id(deployment)}/pause"), as_json=as_json)


@app.command()
def resume(deployment: Deployment, *, as_json: Json = False) -> None:
    """Have it send entries again: the next one it wants."""
    _say(call("POST", f"/strategies/deployments/{find_deployment_id(deployment)}/resume"), as_json=as_json)


@app.command()
def remove(deployment: Deployment, *, as_json: Json = False) -> None:
    """Remove it for good; what is open stays guarded."""
    _say(call("DELETE", f"/strategies/deployments/{find_deployment_id(deployment)}"), as_json=as_json)


app.command()(compare)


def _parameter(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        fail(f"PARAMETER_UNREADABLE: param={text}. Write NAME=NUMBER, such as fast=9.", code=2)


def _say(deployment: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(deployment)
        return
    told = " ".join(f"{name}={value:g}" for name, value in deployment["parameters"].items())
    show_fields({**deployment, "parameters": told}.items())
