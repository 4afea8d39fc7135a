"""`pregao bot`: create, change, list, show, pause, resume and archive bots; give them new secrets."""

from typing import Annotated, Any

import typer

from pregao.edges.cli import rules, symbols
from pregao.edges.cli.desk import Json, call, call_all, find_bot_id
from pregao.edges.cli.performance import Days, show_bot
from pregao.edges.cli.shown import show_fields, show_json, show_rows

app = typer.Typer(help="Bots: the channels signals come in by.", no_args_is_help=True)
app.add_typer(symbols.bot_app, name="symbol")

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
    description: rules.Description = None,
    symbol: rules.Symbol = None,
    directions: rules.Directions = None,
    leverage: rules.Leverage = None,
    margin_usd: rules.MarginUsd = None,
    stop_loss_pct: rules.StopLossPct = None,
    take_profit_pct: rules.TakeProfitPct = None,
    max_positions: rules.MaxPositions = None,
    signals_per_minute_max: rules.SignalsPerMinuteMax = None,
    approval: rules.Approval = None,
    approval_seconds: rules.ApprovalSeconds = None,
    approval_price_move_pct: rules.ApprovalPriceMovePct = None,
    allow_symbol: rules.AllowSymbol = None,
    hours: rules.Hours = None,
    cooldown_seconds: rules.CooldownSeconds = None,
    max_entries_per_day: rules.MaxEntriesPerDay = None,
    global_max_daily_loss_usd: rules.GlobalMaxDailyLossUsd = None,
    global_max_positions: rules.GlobalMaxPositions = None,
    same_side: rules.SameSide = None,
    opposite_side: rules.OppositeSide = None,
    guard: rules.Guard = None,
    risk: rules.Risk = None,
    model_filter: rules.ModelFilter = None,
    policy: rules.Policy = None,
    takes_strategies: rules.TakesStrategies = None,
    as_json: Json = False,
) -> None:
    """Create a bot; its secret is printed this once."""
    given = {
        "name": name,
        "webhook_path": path,
        "description": description,
        "trading_symbol": symbol,
        "allowed_directions": directions,
        "default_leverage": leverage,
        "default_margin_usd": margin_usd,
        "default_stop_loss_pct": stop_loss_pct,
        "default_take_profit_pct": take_profit_pct,
        "default_max_positions": max_positions,
        "signals_per_minute_max": signals_per_minute_max,
        "approval": approval,
        "approval_seconds": approval_seconds,
        "approval_price_move_pct": approval_price_move_pct,
        "allowed_symbols": rules.symbols_of(allow_symbol),
        "trading_hours": rules.hours_of(hours),
        "cooldown_seconds": cooldown_seconds,
        "max_entries_per_day": max_entries_per_day,
        "global_max_daily_loss_usd": global_max_daily_loss_usd,
        "global_max_positions": global_max_positions,
        "same_side": same_side,
        "opposite_side": opposite_side,
        "policy": policy,
        "takes_strategies": takes_strategies,
    }
    bot = call(
        "POST",
        "/bots",
        body={
            **rules.asked(given),
            **rules.guard_of(guard, field="guard"),
            **rules.risk_of(risk, field="risk"),
            **rules.model_filter_of(model_filter),
        },
    )
    if as_json:
        show_json(bot)
        return
    show_fields((field, bot[field]) for field in ("bot_id", "name", "webhook_url", "secret"))
    print('\nThe secret is shown this once: it belongs into the alert\'s body as "secret".')


@app.command()
def change(
    bot: Named,
    *,
    name: Annotated[str | None, typer.Option(help="3 to 255 characters.")] = None,
    description: rules.Description = None,
    symbol: rules.Symbol = None,
    directions: rules.Directions = None,
    leverage: rules.Leverage = None,
    margin_usd: rules.MarginUsd = None,
    stop_loss_pct: rules.StopLossPct = None,
    take_profit_pct: rules.TakeProfitPct = None,
    max_positions: rules.MaxPositions = None,
    signals_per_minute_max: rules.SignalsPerMinuteMax = None,
    approval: rules.Approval = None,
    approval_seconds: rules.ApprovalSeconds = None,
    approval_price_move_pct: rules.ApprovalPriceMovePct = None,
    allow_symbol: rules.AllowSymbol = None,
    hours: rules.Hours = None,
    cooldown_seconds: rules.CooldownSeconds = None,
    max_entries_per_day: rules.MaxEntriesPerDay = None,
    global_max_daily_loss_usd: rules.GlobalMaxDailyLossUsd = None,
    global_max_positions: rules.GlobalMaxPositions = None,
    same_side: rules.SameSide = None,
    opposite_side: rules.OppositeSide = None,
    guard: rules.Guard = None,
    risk: rules.Risk = None,
    model_filter: rules.ModelFilter = None,
    policy: rules.Policy = None,
    takes_strategies: rules.TakesStrategies = None,
    as_json: Json = False,
) -> None:
    """Change what is named and leave the rest."""
    given = {
        "name": name,
        "description": description,
        "trading_symbol": symbol,
        "allowed_directions": directions,
        "default_leverage": leverage,
        "default_margin_usd": margin_usd,
        "default_stop_loss_pct": stop_loss_pct,
        "default_take_profit_pct": take_profit_pct,
        "default_max_positions": max_positions,
        "signals_per_minute_max": signals_per_minute_max,
        "approval": approval,
        "approval_seconds": approval_seconds,
        "approval_price_move_pct": approval_price_move_pct,
        "allowed_symbols": rules.symbols_of(allow_symbol),
        "trading_hours": rules.hours_of(hours),
        "cooldown_seconds": cooldown_seconds,
        "max_entries_per_day": max_entries_per_day,
        "global_max_daily_loss_usd": global_max_daily_loss_usd,
        "global_max_positions": global_max_positions,
        "same_side": same_side,
        "opposite_side": opposite_side,
        "policy": policy,
        "takes_strategies": takes_strategies,
    }
    changed = call(
        "PATCH",
        f"/bots/{find_bot_id(bot)}",
        body={
            **rules.asked(given),
            **rules.guard_of(guard, field="guard"),
            **rules.risk_of(risk, field="risk"),
            **rules.model_filter_of(model_filter),
        },
    )
    if as_json:
        show_json(changed)
        return
    show_fields(rules.readable(changed).items())


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
    signals, rows = shown.pop("recent_signals"), shown["symbols"]
    show_fields(rules.readable(shown).items())
    print()
    if rows:
        show_rows(rows, rules.ROW_COLUMNS, empty="")
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


@app.command(name="rotate-secret")
def rotate_secret(
    bot: Named,
    *,
    overlap_seconds: Annotated[
        int | None,
        typer.Option(help="How long the former secret is taken too; a day if not said, 0 not at all."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Give a bot a new secret, printed this once; the former one is taken too for a while."""
    body = {} if overlap_seconds is None else {"overlap_seconds": overlap_seconds}
    rotated = call("POST", f"/bots/{find_bot_id(bot)}/rotate-secret", body=body)
    if as_json:
        show_json(rotated)
        return
    show_fields(rotated.items())
    print('\nThe secret is shown this once: it belongs into the alert\'s body as "secret".')
    if rotated["former_secret_until"] is not None:
        print("Until then the former one is taken too: change your alerts in time.")


@app.command()
def archive(bot: Named, *, close: rules.Close = False, as_json: Json = False) -> None:
    """End a bot and cancel its subscriptions; it takes closes while it holds something, and nothing else."""
    open_positions = "close" if close else "keep"
    ended = call("DELETE", f"/bots/{find_bot_id(bot)}", open_positions=open_positions)
    _say(ended, as_json=as_json)
    if not as_json:
        rules.say_closing(ended, was_asked=close)


def _say(bot: Any, *, as_json: bool) -> None:
    if as_json:
        show_json(bot)
        return
    print(f"{bot['name']} is {bot['status']}.")
