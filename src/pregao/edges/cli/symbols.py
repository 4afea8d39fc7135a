"""`pregao bot symbol` and `pregao subscription symbol`: what counts on a single symbol."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from pregao.edges.cli.desk import Json, call, call_all, find, find_bot_id, find_subscription_id
from pregao.edges.cli.rules import (
    OWN_ROW_COLUMNS,
    ROW_COLUMNS,
    Active,
    RowLeverage,
    RowMarginUsd,
    RowMaxDailyLossUsd,
    RowMaxPositions,
    RowStopLossPct,
    RowTakeProfitPct,
    asked,
)
from pregao.edges.cli.shown import show_json, show_rows

bot_app = typer.Typer(help="What counts on one symbol, for all who follow a bot.", no_args_is_help=True)
subscription_app = typer.Typer(help="What counts on one symbol, for one subscription.", no_args_is_help=True)

Bot = Annotated[str, typer.Argument(metavar="BOT", help="Its id, webhook path or name.")]
Subscription = Annotated[str, typer.Argument(metavar="SUBSCRIPTION", help="Its id, or BOT/ACCOUNT.")]
Symbol = Annotated[
    str, typer.Argument(metavar="SYMBOL", help="BTCUSDT; btc-usdt and BTCUSDT.P are the same.")
]

MISSING = "SYMBOL_ROW_UNKNOWN"


@bot_app.command(name="set")
def set_bots(
    bot: Bot,
    symbol: Symbol,
    *,
    active: Active = None,
    leverage: RowLeverage = None,
    margin_usd: RowMarginUsd = None,
    stop_loss_pct: RowStopLossPct = None,
    take_profit_pct: RowTakeProfitPct = None,
    max_positions: RowMaxPositions = None,
    max_daily_loss_usd: RowMaxDailyLossUsd = None,
    as_json: Json = False,
) -> None:
    """Say what counts on one symbol; what is not named stays. Limits count all subscribers together."""
    path = f"/bots/{find_bot_id(bot)}/symbol-configs/{quote(symbol, safe='')}"
    changes = asked(
        {
            "is_active": active,
            "leverage": leverage,
            "margin_usd": margin_usd,
            "stop_loss_pct": stop_loss_pct,
            "take_profit_pct": take_profit_pct,
            "max_positions": max_positions,
            "max_daily_loss_usd": max_daily_loss_usd,
        }
    )
    former = find(path, missing=MISSING) or {}
    kept = {name: value for name, value in former.items() if name != "symbol"}
    _show([call("PUT", path, body={**kept, **changes})], ROW_COLUMNS, as_json=as_json)


@bot_app.command(name="list")
def list_bots(bot: Bot, *, as_json: Json = False) -> None:
    """List a bot's symbol rows."""
    rows = call_all(f"/bots/{find_bot_id(bot)}/symbol-configs")
    _show_all(rows, ROW_COLUMNS, as_json=as_json)


@bot_app.command(name="remove")
def remove_bots(bot: Bot, symbol: Symbol, *, as_json: Json = False) -> None:
    """Take a symbol's row away: the bot's defaults count again."""
    left = call("DELETE", f"/bots/{find_bot_id(bot)}/symbol-configs/{quote(symbol, safe='')}")
    _show_all(left["items"], ROW_COLUMNS, as_json=as_json)


@subscription_app.command(name="set")
def set_own(
    subscription: Subscription,
    symbol: Symbol,
    *,
    active: Active = None,
    leverage: RowLeverage = None,
    margin_usd: RowMarginUsd = None,
    stop_loss_pct: RowStopLossPct = None,
    take_profit_pct: RowTakeProfitPct = None,
    max_positions: RowMaxPositions = None,
    max_daily_loss_usd: RowMaxDailyLossUsd = None,
    bot_values: Annotated[
        bool | None,
        typer.Option("--bot-values/--own-values", help="Leave the values of this row out; its limits stay."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what counts on one symbol; what is not named stays."""
    path = f"/bot-subscriptions/{find_subscription_id(subscription)}/symbol-configs"
    changes = asked(
        {
            "is_active": active,
            "leverage": leverage,
            "margin_usd": margin_usd,
            "stop_loss_pct": stop_loss_pct,
            "take_profit_pct": take_profit_pct,
            "max_positions": max_positions,
            "max_daily_loss_usd": max_daily_loss_usd,
            "use_bot_default": bot_values,
        }
    )
    former = find(f"{path}/{quote(symbol, safe='')}", missing=MISSING) or {"symbol": symbol}
    _show([call("POST", path, body={**former, **changes})], OWN_ROW_COLUMNS, as_json=as_json)


@subscription_app.command(name="list")
def list_own(subscription: Subscription, *, as_json: Json = False) -> None:
    """List a subscription's symbol rows."""
    rows = call_all(f"/bot-subscriptions/{find_subscription_id(subscription)}/symbol-configs")
    _show_all(rows, OWN_ROW_COLUMNS, as_json=as_json)


@subscription_app.command(name="remove")
def remove_own(subscription: Subscription, symbol: Symbol, *, as_json: Json = False) -> None:
    """Take a symbol's row away: the next wider settings count again."""
    path = f"/bot-subscriptions/{find_subscription_id(subscription)}/symbol-configs/{quote(symbol, safe='')}"
    _show_all(call("DELETE", path)["items"], OWN_ROW_COLUMNS, as_json=as_json)


@subscription_app.command(name="sync")
def sync_own(subscription: Subscription, *, as_json: Json = False) -> None:
    """Copy the bot's rows that are missing; the bot's values count until `set --own-values`."""
    path = f"/bot-subscriptions/{find_subscription_id(subscription)}/symbol-configs/sync-from-bot"
    answer = call("POST", path)
    if as_json:
        show_json(answer)
        return
    print(f"Copied: {', '.join(answer['copied']) or 'nothing was missing'}.")
    _show_all(answer["items"], OWN_ROW_COLUMNS, as_json=False)


def _show(rows: list[Any], columns: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        show_json(rows[0])
        return
    show_rows(rows, columns, empty="")


def _show_all(rows: list[Any], columns: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        show_json(rows)
        return
    show_rows(rows, columns, empty="No symbol has a row.")
