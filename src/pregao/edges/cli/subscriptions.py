"""`pregao subscription`: have accounts follow bots."""

from typing import Annotated
from uuid import UUID

import typer

from pregao.edges.cli.desk import Json, call, call_all, find_account_id, find_bot_id
from pregao.edges.cli.performance import Days, show_subscription
from pregao.edges.cli.shown import show_fields, show_json, show_rows

Named = Annotated[UUID, typer.Argument(metavar="ID", help="Of the subscription.")]

app = typer.Typer(help="Subscriptions: which accounts follow a bot.", no_args_is_help=True)

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


@app.command()
def add(
    bot: Annotated[str, typer.Argument(metavar="BOT", help="Its id, webhook path or name.")],
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its id or name.")],
    *,
    leverage: Annotated[int | None, typer.Option(help="In place of the bot's, 1 to 125.")] = None,
    margin_usd: Annotated[str | None, typer.Option(help="In place of the bot's, 5 USD or more.")] = None,
    stop_loss_pct: Annotated[str | None, typer.Option(help="In place of the bot's, 0.1 to 50.")] = None,
    take_profit_pct: Annotated[str | None, typer.Option(help="In place of the bot's, 0.1 to 100.")] = None,
    max_daily_loss_usd: Annotated[str | None, typer.Option(help="10 USD or more.")] = None,
    max_positions: Annotated[int | None, typer.Option(help="Open positions at once, 1 to 10.")] = None,
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
    }
    settings = {field: value for field, value in given.items() if value is not None}
    joined = {"bot_id": find_bot_id(bot), "account_id": find_account_id(account)}
    made = call("POST", "/bot-subscriptions", body={**joined, **settings})
    if as_json:
        show_json(made)
        return
    row = {**made, **made["effective"]}
    show_fields((heading, row[field]) for field, heading in COLUMNS.items())


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
    found = call("GET", f"/bot-subscriptions/{subscription}/performance", days=days)
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
    forgiven = call("POST", f"/bot-subscriptions/{subscription}/reset-daily-loss", body={"reason": reason})
    if as_json:
        show_json(forgiven)
        return
    today = forgiven["today"]
    print(
        f"Lost today {today['loss_usd']} USD, forgiven {today['forgiven_usd']}, "
        f"counted {today['counted_loss_usd']} of {today['max_daily_loss_usd']}."
    )
