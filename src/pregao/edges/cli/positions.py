"""`pregao position`: enter a position in the books, or close one there; no order is sent."""

from typing import Annotated

import typer

from pregao.edges.cli.desk import Json, call, find_subscription_id
from pregao.edges.cli.shown import show_fields, show_json

app = typer.Typer(help="Positions at webhooks, as the books have them.", no_args_is_help=True)

Price = Annotated[str | None, typer.Option(help="The price, where it is known.")]
Reason = Annotated[str, typer.Option(help="Why; kept with it.")]


@app.callback()
def position() -> None:
    """Positions at webhooks, as the books have them."""


@app.command()
def enter(
    symbol: Annotated[str, typer.Argument(help="What is held, as AAPL.")],
    *,
    subscription: Annotated[str, typer.Option(help="Whose it is: an id, or BOT/ACCOUNT.")],
    price: Price = None,
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Enter what is held at a webhook and the desk did not buy, so that it can be sold."""
    body = {"subscription_id": find_subscription_id(subscription), "symbol": symbol.upper(), "reason": reason}
    _say(call("POST", "/positions/enter", body=body | _priced(price)), as_json=as_json)


@app.command()
def close(
    position: Annotated[int, typer.Argument(help="The position, by its id.")],
    *,
    price: Price = None,
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Close a position at a webhook that is not held any more, in the books only."""
    body = {"reason": reason} | _priced(price)
    _say(call("POST", f"/positions/{position}/close-in-books", body=body), as_json=as_json)


def _priced(price: str | None) -> dict[str, str]:
    return {} if price is None else {"price": price}


def _say(shown: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        show_json(shown)
    else:
        show_fields(shown.items())
