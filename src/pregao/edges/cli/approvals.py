"""`pregao approval`: what waits for a person, and the two answers."""

from typing import Annotated, Any

import typer

from pregao.edges.cli.desk import Json, call, call_all
from pregao.edges.cli.shown import show_json, show_rows

app = typer.Typer(help="Approvals: list, approve, decline.", no_args_is_help=True)

SignalId = Annotated[str, typer.Argument(metavar="SIGNAL", help="The signal's id.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Why; it stands in the receipt.")]

COLUMNS = {
    "signal_id": "signal",
    "bot_name": "bot",
    "symbol": "symbol",
    "side": "side",
    "price_then": "price then",
    "venue": "venue",
    "price_move_pct_max": "may move %",
    "subscriptions": "subscriptions",
    "asked_at": "asked",
    "seconds_left": "seconds left",
}


@app.command(name="list")
def list_approvals(*, as_json: Json = False) -> None:
    """List the entries that wait for a person, oldest first."""
    waiting = call_all("/approvals")
    if as_json:
        show_json(waiting)
        return
    show_rows(waiting, COLUMNS, empty="Nothing waits for a person.")


@app.command()
def approve(signal_id: SignalId, *, reason: Reason = None, as_json: Json = False) -> None:
    """Say yes to an entry; it is traded if every check passes again and the price is about the same."""
    _say(_answer(signal_id, "approve", reason=reason), as_json=as_json)


@app.command()
def decline(signal_id: SignalId, *, reason: Reason = None, as_json: Json = False) -> None:
    """Say no to an entry."""
    _say(_answer(signal_id, "decline", reason=reason), as_json=as_json)


def _answer(signal_id: str, verb: str, *, reason: str | None) -> Any:
    return call("POST", f"/approvals/{signal_id}/{verb}", body={} if reason is None else {"reason": reason})


def _say(answer: Any, *, as_json: bool) -> None:
    if as_json:
        show_json(answer)
        return
    print(f"{'Approved' if answer['is_approved'] else 'Declined'}, as {answer['answered_by']}.")
    print(f"`pregao signal trace {answer['signal_id']}` shows what came of it.")
