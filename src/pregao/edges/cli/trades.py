"""`pregao trade`: buy and sell by hand with a stated risk, and see what the month still allows."""

from typing import Annotated, Any

import typer

from pregao.edges.cli.desk import Json, call, fail, find_account_id
from pregao.edges.cli.shown import show_fields, show_json

app = typer.Typer(help="Trade by hand: sized by what the stop may cost.", no_args_is_help=True)

Symbol = Annotated[str, typer.Argument(help="What to trade, such as BTCUSDT.")]
Stop = Annotated[str, typer.Option(help="The price its stop lies at.")]
Target = Annotated[str | None, typer.Option(help="The price its profit is taken at.")]
Entry = Annotated[str | None, typer.Option(help="The price a dry run is sized at; live takes the venue's.")]
Capital = Annotated[str | None, typer.Option(help="What the risk is a share of; else what an admin has set.")]
Risk = Annotated[str | None, typer.Option(help="How much of it the stop may cost, in percent; 1 at most.")]
Account = Annotated[str | None, typer.Option(help="Its id or name; else your main account, or the only one.")]
Strategy = Annotated[str | None, typer.Option(help="Your own word for why.")]
Live = Annotated[bool, typer.Option("--live", help="Send it; else it is looked at only.")]

STATUS_FIELDS = (
    "trading_enabled", "account_id", "capital", "monthly_pnl", "drawdown_percent", "drawdown_limit_percent",
    "remaining_usd", "state", "active_operations", "open_risk",
)  # fmt: skip
SIZE_FIELDS = ("symbol", "side", "quantity", "position_value", "risk_amount", "risk_percent")
OPERATION_FIELDS = (
    "operation_id", "symbol", "side", "status", "quantity", "average_entry_price", "stop_price", "risk_amount",
)  # fmt: skip


@app.command()
def buy(
    symbol: Symbol,
    *,
    stop: Stop,
    target: Target = None,
    entry: Entry = None,
    capital: Capital = None,
    risk: Risk = None,
    account: Account = None,
    strategy: Strategy = None,
    live: Live = False,
    as_json: Json = False,
) -> None:
    """Open a long whose stop costs no more than asked; without --live it is looked at only."""
    given = _given(
        account,
        stop_price=stop,
        target_price=target,
        entry_price=entry,
        capital=capital,
        max_risk_percent=risk,
        strategy_name=strategy,
    )
    _trade("buy", symbol, given, is_live=live, as_json=as_json)


@app.command()
def sell(
    symbol: Symbol,
    *,
    stop: Stop,
    target: Target = None,
    entry: Entry = None,
    capital: Capital = None,
    risk: Risk = None,
    account: Account = None,
    strategy: Strategy = None,
    live: Live = False,
    as_json: Json = False,
) -> None:
    """Open a short whose stop costs no more than asked; without --live it is looked at only."""
    given = _given(
        account,
        stop_price=stop,
        target_price=target,
        entry_price=entry,
        capital=capital,
        max_risk_percent=risk,
        strategy_name=strategy,
    )
    _trade("sell", symbol, given, is_live=live, as_json=as_json)


@app.command()
def status(*, account: Account = None, capital: Capital = None, as_json: Json = False) -> None:
    """Say what the month has cost, and what may still be risked."""
    account_id = None if account is None else find_account_id(account)
    found = call("GET", "/trade/risk-managed/status", account_id=account_id, capital=capital)
    if as_json:
        show_json(found)
        return
    show_fields((field, found[field]) for field in STATUS_FIELDS)


def _given(account: str | None, **named: str | None) -> dict[str, Any]:
    account_id = None if account is None else find_account_id(account)
    return {name: value for name, value in {**named, "account_id": account_id}.items() if value is not None}


def _trade(side: str, symbol: str, given: dict[str, Any], *, is_live: bool, as_json: bool) -> None:
    body = {"symbol": symbol, "mode": "live" if is_live else "dry-run", **given}
    made = call("POST", f"/trade/risk-managed/{side}", body=body)
    if as_json:
        show_json(made)
    elif made["operation"] is not None:
        show_fields((field, made["operation"][field]) for field in OPERATION_FIELDS)
    elif made["size"] is not None:
        show_fields((field, made["size"][field]) for field in SIZE_FIELDS)
    if made["executed"] and not as_json:
        print(f"`pregao signal trace {made['signal_id']}` shows the receipt.")
    failed = [one for one in made["checks"] if not one["passed"]]
    if failed:
        fail("\n".join(f"{one['code']}: {one['message']}" for one in failed))
    if not is_live and not as_json:
        print("Nothing was sent; --live sends it.")
