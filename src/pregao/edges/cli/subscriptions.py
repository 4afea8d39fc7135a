"""`pregao subscription`: have accounts follow bots."""

from typing import Annotated, Any

import typer

from pregao.edges.cli import rules, symbols
from pregao.edges.cli.desk import (
    Json,
    call,
    call_all,
    find_account_id,
    find_bot_id,
    find_subscription_id,
)
from pregao.edges.cli.performance import Days, show_subscription
from pregao.edges.cli.shown import show_fields, show_json, show_rows

app = typer.Typer(help="Subscriptions: which accounts follow a bot.", no_args_is_help=True)
app.add_typer(symbols.subscription_app, name="symbol")

Named = Annotated[str, typer.Argument(metavar="SUBSCRIPTION", help="Its id, or BOT/ACCOUNT.")]
Leverage = Annotated[str | None, typer.Option(help="In place of the bot's, 1 to 125.")]
MarginUsd = Annotated[str | None, typer.Option(help="In place of the bot's, 5 USD or more.")]
StopLossPct = Annotated[str | None, typer.Option(help="In place of the bot's, 0.1 to 50; 0 is no stop.")]
TakeProfitPct = Annotated[str | None, typer.Option(help="In place of the bot's, 0.1 to 100; 0 is no target.")]
MaxDailyLossUsd = Annotated[str | None, typer.Option(help="10 USD or more.")]
MaxPositions = Annotated[int | None, typer.Option(help="Open positions at once, 1 to 10.")]

COLUMNS = {
    "subscription_id": "id",
    "bot_name": "bot",
    "account_name": "account",
    "venue": "venue",
    "status": "status",
    "leverage": "leverage",
    "margin_usd": "margin USD",
    "stop_loss_pct": "stop %",
    "take_profit_pct": "target %",
    "max_concurrent_positions": "positions",
}
EFFECTIVE_COLUMNS = {
    "symbol": "symbol",
    "is_active": "active",
    "leverage": "leverage",
    "margin_usd": "margin USD",
    "stop_loss_pct": "stop %",
    "take_profit_pct": "target %",
    "same_side": "same side",
    "opposite_side": "opposite side",
}
ORDER_COLUMNS = {
    "planned_at": "planned",
    "symbol": "symbol",
    "leg": "leg",
    "side": "side",
    "status": "status",
    "code": "why",
    "quantity": "quantity",
    "average_price": "price",
}


@app.command()
def add(
    bot: Annotated[str, typer.Argument(metavar="BOT", help="Its id, webhook path or name.")],
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its id or name.")],
    *,
    leverage: Leverage = None,
    margin_usd: MarginUsd = None,
    stop_loss_pct: StopLossPct = None,
    take_profit_pct: TakeProfitPct = None,
    max_daily_loss_usd: MaxDailyLossUsd = None,
    max_positions: MaxPositions = None,
    same_side: rules.SameSide = None,
    opposite_side: rules.OppositeSide = None,
    guard: rules.Guard = None,
    risk: rules.Risk = None,
    as_json: Json = False,
) -> None:
    """Have an account follow a bot; what is not named is the bot's."""
    given = {
        "custom_leverage": leverage,
        "custom_margin_usd": margin_usd,
        "custom_stop_loss_pct": stop_loss_pct,
        "custom_take_profit_pct": take_profit_pct,
        "max_daily_loss_usd": max_daily_loss_usd,
        "max_concurrent_positions": max_positions,
        "custom_same_side": same_side,
        "custom_opposite_side": opposite_side,
    }
    joined = {"bot_id": find_bot_id(bot), "account_id": find_account_id(account)}
    _show(
        call(
            "POST",
            "/bot-subscriptions",
            body={
                **joined,
                **rules.asked(given),
                **rules.guard_of(guard, field="custom_guard"),
                **rules.risk_of(risk, field="custom_risk"),
            },
        ),
        as_json=as_json,
    )


@app.command()
def change(
    subscription: Named,
    *,
    leverage: Leverage = None,
    margin_usd: MarginUsd = None,
    stop_loss_pct: StopLossPct = None,
    take_profit_pct: TakeProfitPct = None,
    max_daily_loss_usd: MaxDailyLossUsd = None,
    max_positions: MaxPositions = None,
    same_side: rules.SameSide = None,
    opposite_side: rules.OppositeSide = None,
    guard: rules.Guard = None,
    risk: rules.Risk = None,
    as_json: Json = False,
) -> None:
    """Change what is named and leave the rest; `default` takes the bot's value again."""
    given = {
        "custom_leverage": leverage,
        "custom_margin_usd": margin_usd,
        "custom_stop_loss_pct": stop_loss_pct,
        "custom_take_profit_pct": take_profit_pct,
        "max_daily_loss_usd": max_daily_loss_usd,
        "max_concurrent_positions": max_positions,
        "custom_same_side": same_side,
        "custom_opposite_side": opposite_side,
    }
    path = f"/bot-subscriptions/{find_subscription_id(subscription)}"
    _show(
        call(
            "PATCH",
            path,
            body={
                **rules.asked(given),
                **rules.guard_of(guard, field="custom_guard"),
                **rules.risk_of(risk, field="custom_risk"),
            },
        ),
        as_json=as_json,
    )


@app.command()
def show(subscription: Named, *, as_json: Json = False) -> None:
    """Show one subscription, its symbol rows and its twenty latest orders."""
    shown = call("GET", f"/bot-subscriptions/{find_subscription_id(subscription)}")
    if as_json:
        show_json(shown)
        return
    orders, effective = shown.pop("recent_executions"), shown.pop("effective")
    effective["guard"] = rules.guard_text(effective["guard"])
    effective["risk"] = rules.risk_text(effective["risk"])
    show_fields([*rules.readable(shown).items(), *((f"effective {k}", v) for k, v in effective.items())])
    print()
    if shown["symbols"]:
        show_rows(shown["symbols"], rules.OWN_ROW_COLUMNS, empty="")
    show_rows(orders, ORDER_COLUMNS, empty="It has had no orders yet.")


@app.command()
def effective(
    subscription: Named,
    symbol: Annotated[
        str | None, typer.Argument(metavar="[SYMBOL]", help="Else all symbols that have a row, and the rest.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Show what a subscription trades with in the end, wherever that is set."""
    path = f"/bot-subscriptions/{find_subscription_id(subscription)}"
    if symbol is not None:
        rows = [call("GET", f"{path}/effective", symbol=symbol)]
    else:
        rows = [call("GET", f"{path}/effective"), *call("GET", path)["effective_by_symbol"].values()]
    if as_json:
        show_json(rows[0] if symbol is not None else rows)
        return
    shown = [{**row, "symbol": row["symbol"] or "others"} for row in rows]
    show_rows(shown, EFFECTIVE_COLUMNS, empty="")


@app.command()
def pause(subscription: Named, *, as_json: Json = False) -> None:
    """Make a subscription close-only: it opens nothing and still closes."""
    path = f"/bot-subscriptions/{find_subscription_id(subscription)}"
    _say(call("PATCH", path, body={"status": "paused"}), as_json=as_json)


@app.command()
def resume(subscription: Named, *, as_json: Json = False) -> None:
    """Let a paused subscription open positions again."""
    path = f"/bot-subscriptions/{find_subscription_id(subscription)}"
    _say(call("PATCH", path, body={"status": "active"}), as_json=as_json)


@app.command()
def cancel(subscription: Named, *, close: rules.Close = False, as_json: Json = False) -> None:
    """End a subscription; subscribing the account again brings it back."""
    path = f"/bot-subscriptions/{find_subscription_id(subscription)}"
    ended = call("DELETE", path, open_positions="close" if close else "keep")
    _say(ended, as_json=as_json)
    if not as_json:
        rules.say_closing(ended, was_asked=close)


@app.command(name="list")
def list_subscriptions(
    *,
    bot: Annotated[str | None, typer.Option(help="Of this bot only: id, webhook path or name.")] = None,
    status: Annotated[str | None, typer.Option(help="active, paused or canceled.")] = None,
    as_json: Json = False,
) -> None:
    """List the subscriptions with what they trade with."""
    bot_id = None if bot is None else find_bot_id(bot)
    rows = call_all("/bot-subscriptions/my-subscriptions", bot_id=bot_id, status=status)
    if as_json:
        show_json(rows)
        return
    shown = [{**row, **row["effective"]} for row in rows]
    show_rows(shown, COLUMNS, empty="Nobody follows. `pregao subscription add BOT ACCOUNT` changes that.")


@app.command()
def performance(subscription: Named, *, days: Days = 30, as_json: Json = False) -> None:
    """Show what a subscription earned and lost, day by day and symbol by symbol."""
    found = call("GET", f"/bot-subscriptions/{find_subscription_id(subscription)}/performance", days=days)
    if as_json:
        show_json(found)
        return
    show_subscription(found)


@app.command(name="forgive-loss")
def forgive_loss(
    subscription: Named,
    *,
    reason: Annotated[str, typer.Option(help="Why; kept with who did it.")],
    as_json: Json = False,
) -> None:
    """Have limits count nothing of what a subscription has lost so far today."""
    path = f"/bot-subscriptions/{find_subscription_id(subscription)}/reset-daily-loss"
    forgiven = call("POST", path, body={"reason": reason})
    if as_json:
        show_json(forgiven)
        return
    today = forgiven["today"]
    print(
        f"Lost today {today['loss_usd']} USD, forgiven {today['forgiven_usd']}, "
        f"counted {today['counted_loss_usd']} and {today['open_loss_usd']} of open positions, "
        f"of {today['max_daily_loss_usd']}."
    )


def _show(made: Any, *, as_json: bool) -> None:
    if as_json:
        show_json(made)
        return
    row = {**made, **made["effective"]}
    show_fields((heading, row[field]) for field, heading in COLUMNS.items())


def _say(subscription: Any, *, as_json: bool) -> None:
    if as_json:
        show_json(subscription)
        return
    joined = f"{subscription['bot_name']}/{subscription['account_name']}"
    print(f"{joined} is {subscription['status']}.")
