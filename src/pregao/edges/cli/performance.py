"""What `pregao subscription performance` and `pregao bot performance` print."""

from typing import Annotated, Any

import typer

from pregao.edges.cli.shown import show_fields, show_rows

Days = Annotated[int, typer.Option("--days", min=1, max=365, help="How many UTC days, today included.")]

RESULT_COLUMNS = {
    "closed": "closed",
    "wins": "wins",
    "losses": "losses",
    "win_rate_pct": "win rate %",
    "pnl_usd": "PnL USD",
    "pnl_pct": "PnL %",
    "fees_usd": "fees USD",
    "average_pnl_usd": "average USD",
    "profit_factor": "profit factor",
}
SPAN_COLUMNS = {"span": "span", **RESULT_COLUMNS}
DAY_COLUMNS = {
    "day": "day",
    "closed": "closed",
    "wins": "wins",
    "losses": "losses",
    "pnl_usd": "PnL USD",
    "fees_usd": "fees USD",
    "forgiven_usd": "forgiven USD",
    "cumulative_pnl_usd": "cumulative USD",
}
SYMBOL_COLUMNS = {"symbol": "symbol", **RESULT_COLUMNS}
SUBSCRIBER_COLUMNS = {"account_name": "account", "subscription_id": "subscription", **RESULT_COLUMNS}


def show_subscription(found: Any) -> None:
    """Print how a subscription did."""
    today = found["today"]
    show_fields(
        [
            ("subscription", found["subscription_id"]),
            ("bot", found["bot_name"]),
            ("account", found["account_name"]),
            ("lost today USD", f"{today['counted_loss_usd']} of {today['max_daily_loss_usd']}"),
            ("lost today by parts of open positions USD", today["open_loss_usd"]),
            ("forgiven today USD", today["forgiven_usd"]),
            *_extremes(found),
            ("executions", _executions(found["executions"])),
        ]
    )
    _show_period(found)


def show_bot(found: Any) -> None:
    """Print how a bot did for all who follow it."""
    average = found["average"]
    show_fields(
        [
            ("bot", f"{found['bot_name']} ({found['bot_id']})"),
            *_extremes(found),
            (
                "signals",
                ", ".join(f"{times} {status}" for status, times in found["signals"].items()) or "none",
            ),
            ("executions", _executions(found["executions"])),
            ("slippage bps", average["slippage_bps"]),
            ("sent, acknowledged, booked ms", _times(average)),
        ]
    )
    _show_period(found)
    print()
    show_rows(found["top_subscribers"], SUBSCRIBER_COLUMNS, empty="Nobody closed a position in this time.")


def _show_period(found: Any) -> None:
    spans = {"today": "today", "period": f"since {found['first_day']}", "all_time": "all time"}
    print()
    show_rows([{"span": words, **found[name]} for name, words in spans.items()], SPAN_COLUMNS, empty="")
    print()
    busy = [day for day in found["daily"] if day["closed"] or day["forgiven_usd"] != "0"]
    show_rows(busy, DAY_COLUMNS, empty="No position closed in this time.")
    if found["symbols"]:
        print()
        show_rows(found["symbols"], SYMBOL_COLUMNS, empty="")


def _extremes(found: Any) -> list[tuple[str, Any]]:
    names = {
        "best_pnl_usd": "best position USD",
        "worst_pnl_usd": "worst position USD",
        "drawdown_max_usd": "largest drawdown USD",
    }
    return [(words, found[name]) for name, words in names.items()]


def _executions(counts: Any) -> str:
    outcomes = ", ".join(f"{counts[name]} {name}" for name in ("executed", "failed", "skipped", "pending"))
    return f"{counts['received']} received: {outcomes}"


def _times(average: Any) -> str:
    times = (average[name] for name in ("sent_ms", "acknowledged_ms", "booked_ms"))
    return ", ".join("-" if one is None else str(one) for one in times)
