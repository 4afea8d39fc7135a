"""`pregao bot`: create, list, show, pause, resume and archive bots."""

from typing import Annotated, Any

import typer

from pregao.edges.cli.desk import Json, call, call_all, find_bot_id
from pregao.edges.cli.performance import Days, show_bot
from pregao.edges.cli.shown import show_fields, show_json, show_rows

app = typer.Typer(help="Bots: the channels signals come in by.", no_args_is_help=True)

Named = Annotated[str, typer.Argument(metavar="BOT", help="Its id, webhook path or name.")]

COLUMNS = {
    "bot_id": "id",
    "name": "name",
    "status": "status",
    "webhook_path": "webhook path",
    "trading_symbol": "symbol",
    "default_leverage": "leverage",
    "default_margin_usd": "margin USD",
    "active_subscriptions": "subscriptions",
    "last_signal_at": "last signal",
}
SIGNAL_COLUMNS = {
    "signal_id": "signal",
    "received_at": "received",
    "action": "action",
    "symbol": "symbol",
    "side": "side",
    "status": "status",
    "code": "why",
}


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="3 to 255 characters.")],
    *,
    path: Annotated[
        str | None, typer.Option(help="Webhook path, 16 characters or more; else random.")
    ] = None,
    description: Annotated[str | None, typer.Option(help="What it trades, for people.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Trade this symbol only.")] = None,
    directions: Annotated[str | None, typer.Option(help="both, buy_only or sell_only.")] = None,
    leverage: Annotated[int | None, typer.Option(help="Default leverage, 1 to 125.")] = None,
    margin_usd: Annotated[str | None, typer.Option(help="Default margin of an entry, 5 USD or more.")] = None,
    stop_loss_pct: Annotated[str | None, typer.Option(help="Default stop, 0.1 to 50 percent.")] = None,
    take_profit_pct: Annotated[str | None, typer.Option(help="Default target, 0.1 to 100 percent.")] = None,
    max_positions: Annotated[int | None, typer.Option(help="Default of open positions, 1 to 20.")] = None,
    as_json: Json = False,
) -> None:
    """Create a bot; its secret is printed this once."""
    given = {
        "webhook_path": path,
        "description": description,
        "trading_symbol": symbol,
        "allowed_directions": directions,
        "default_leverage": leverage,
        "default_margin_usd": margin_usd,
        "default_stop_loss_pct": stop_loss_pct,
        "default_take_profit_pct": take_profit_pct,
        "default_max_positions": max_positions,
    }
    settings = {field: value for field, value in given.items() if value is not None}
    bot = call("POST", "/bots", body={"name": name, **settings})
    if as_json:
        show_json(bot)
        return
    show_fields((field, bot[field]) for field in ("bot_id", "name", "webhook_url", "secret"))
    print('\nThe secret is shown this once: it belongs into the alert\'s body as "secret".')


@app.command(name="list")
def list_bots(
    *,
    status: Annotated[str | None, typer.Option(help="active, paused or archived.")] = None,
    as_json: Json = False,
) -> None:
    """List the bots."""
    bots = call_all("/bots", status=status)
    if as_json:
        show_json(bots)
        return
    show_rows(bots, COLUMNS, empty="There are no bots. `pregao bot create NAME` makes one.")


@app.command()
def show(bot: Named, *, as_json: Json = False) -> None:
    """Show one bot and its ten latest signals."""
    shown = call("GET", f"/bots/{find_bot_id(bot)}")
    if as_json:
        show_json(shown)
        return
    signals = shown.pop("recent_signals")
    show_fields(shown.items())
    print()
    show_rows(signals, SIGNAL_COLUMNS, empty="It has had no signals yet.")


@app.command()
def performance(bot: Named, *, days: Days = 30, as_json: Json = False) -> None:
    """Show what a bot earned and lost for all who follow it, and how well its signals were carried out."""
    found = call("GET", f"/bots/{find_bot_id(bot)}/performance", days=days)
    if as_json:
        show_json(found)
        return
    show_bot(found)


@app.command()
def pause(bot: Named, *, as_json: Json = False) -> None:
    """Make a bot close-only: it opens nothing and still closes."""
    _say(call("PATCH", f"/bots/{find_bot_id(bot)}", body={"status": "paused"}), as_json=as_json)


@app.command()
def resume(bot: Named, *, as_json: Json = False) -> None:
    """Let a paused bot open positions again."""
    _say(call("PATCH", f"/bots/{find_bot_id(bot)}", body={"status": "active"}), as_json=as_json)


@app.command()
def archive(bot: Named, *, as_json: Json = False) -> None:
    """End a bot and cancel its subscriptions; it takes no signals any more, so close first."""
    _say(call("DELETE", f"/bots/{find_bot_id(bot)}"), as_json=as_json)


def _say(bot: Any, *, as_json: bool) -> None:
    if as_json:
        show_json(bot)
        return
    print(f"{bot['name']} is {bot['status']}.")
