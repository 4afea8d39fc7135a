"""`pregao drift`: what accounts hold at their venue beside the books, and orders there that are not ours."""

import time
from typing import Annotated, Any

import typer

from pregao.edges.cli.desk import Json, call, call_all, find_account_id, find_subscription_id
from pregao.edges.cli.shown import show_json, show_rows

app = typer.Typer(
    help="What accounts hold beside the books, and orders that are not ours: list, adopt, write off, cancel.",
    no_args_is_help=True,
)

COLUMNS = {
    "account_id": "id",
    "account": "account",
    "venue": "venue",
    "checked_at": "compared",
    "agreed_at": "agreed",
    "unreconciled_since": "in doubt since",
    "differs": "differs",
}

ORDER_COLUMNS = {
    "account": "account",
    "symbol": "symbol",
    "side": "side",
    "kind": "kind",
    "price": "price",
    "quantity": "quantity",
    "filled_quantity": "filled",
    "exchange_order_id": "number",
    "seen_at": "seen",
}
CANCEL_COLUMNS = {
    "asked_at": "asked",
    "account": "account",
    "symbol": "symbol",
    "exchange_order_id": "number",
    "status": "status",
    "code": "code",
    "asked_by": "by",
    "reason": "why",
}
TOLD_SECONDS_MAX = 10.0
TRY_SECONDS = 0.2

NOT_HERE = "does not apply"  # a webhook cannot be asked what it holds

Account = Annotated[str, typer.Argument(help="The account: id or name.")]
Symbol = Annotated[str, typer.Argument(help="Such as BTCUSDT.")]
PositionSide = Annotated[str, typer.Option(help="both, or long or short on a hedge account.")]
Price = Annotated[str, typer.Option(help="The average price, as the venue shows it.")]
Reason = Annotated[str, typer.Option(help="Why; kept with who did it.")]


@app.command(name="list")
def list_drift(
    *,
    only: Annotated[
        bool, typer.Option("--only", help="Only accounts that differ, or whose past is not known yet.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List accounts: when each was compared with its venue, and what it holds beside the books."""
    found = call_all("/drift", only_drifting=only)
    if as_json:
        show_json(found)
        return
    rows = [_row(one) for one in found]
    show_rows(rows, COLUMNS, empty="Nothing differs." if only else "There are no accounts.")


@app.command()
def adopt(
    account: Account,
    symbol: Symbol,
    *,
    subscription: Annotated[str, typer.Option(help="Whose it is from now on: id, or bot/account.")],
    price: Price,
    reason: Reason,
    position_side: PositionSide = "both",
    as_json: Json = False,
) -> None:
    """Give what the venue holds beside the books to a subscription; it is closed like its own."""
    body = _asked(symbol, position_side=position_side, price=price, reason=reason)
    body["subscription_id"] = find_subscription_id(subscription)
    _say(call("POST", f"/drift/{find_account_id(account)}/adopt", body=body), verb="Adopted", as_json=as_json)


@app.command(name="write-off")
def write_off(
    account: Account,
    symbol: Symbol,
    *,
    price: Price,
    reason: Reason,
    position_side: PositionSide = "both",
    as_json: Json = False,
) -> None:
    """Take off a position what the venue does not hold any more, and no trade explains."""
    body = _asked(symbol, position_side=position_side, price=price, reason=reason)
    _say(
        call("POST", f"/drift/{find_account_id(account)}/write-off", body=body),
        verb="Wrote off",
        as_json=as_json,
    )


@app.command()
def orders(
    *,
    look: Annotated[str | None, typer.Option(help="Ask this account's venue first: id or name.")] = None,
    as_json: Json = False,
) -> None:
    """List orders that rest at venues and are not ours."""
    if look is not None:
        seen = call("POST", f"/drift/{find_account_id(look)}/orders/look")
        if not as_json and (seen["is_pending"] or seen["code"]):
            print(f"Not looked at yet: {seen['code'] or 'the venue was asked'}.")
    found = call_all("/drift/orders")
    if as_json:
        show_json(found)
        return
    show_rows(found, ORDER_COLUMNS, empty="None was seen.")


@app.command()
def cancel(
    account: Account,
    symbol: Symbol,
    number: Annotated[str, typer.Argument(help="The number that the venue gave the order.")],
    *,
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Take back at its venue an order that is not ours."""
    body = {"symbol": symbol.upper(), "exchange_order_id": number, "reason": reason}
    told = call("POST", f"/drift/{find_account_id(account)}/orders/cancel", body=body)
    until = time.monotonic() + TOLD_SECONDS_MAX
    while told["status"] in ("asked", "unknown") and time.monotonic() < until:
        time.sleep(TRY_SECONDS)
        told = call("GET", f"/drift/cancels/{told['cancel_id']}")
    if as_json:
        show_json(told)
        return
    why = f" {told['code']}: {told['told_reason']}" if told["code"] else ""
    print(f"Order {told['exchange_order_id']} of {told['symbol']}: {told['status']}.{why}")


@app.command()
def cancels(*, as_json: Json = False) -> None:
    """List orders that were to be taken back, the latest first."""
    found = call_all("/drift/cancels")
    if as_json:
        show_json(found)
        return
    show_rows(found, CANCEL_COLUMNS, empty="None was to be taken back.")


def _asked(symbol: str, *, position_side: str, price: str, reason: str) -> dict[str, Any]:
    return {
        "symbol": symbol.upper(),
        "position_side": position_side.lower(),
        "price": price,
        "reason": reason,
    }


def _say(settled: Any, *, verb: str, as_json: bool) -> None:
    if as_json:
        show_json(settled)
        return
    print(
        f"{verb} {settled['booked_quantity']} {settled['symbol']} at {settled['price']}. Position "
        f"{settled['position_id']} is {settled['status']}: {settled['direction']} {settled['quantity']}."
    )


def _row(one: dict[str, Any]) -> dict[str, Any]:
    differs = "; ".join(_said(place) for place in one["differences"])
    if one["is_compared"]:
        return {**one, "differs": differs}
    return {**one, "checked_at": NOT_HERE, "agreed_at": NOT_HERE, "differs": differs}


def _said(place: dict[str, Any]) -> str:
    side = "" if place["position_side"] == "both" else f" {place['position_side']}"
    return f"{place['symbol']}{side}: {place['venue']} there, {place['ours']} here"
