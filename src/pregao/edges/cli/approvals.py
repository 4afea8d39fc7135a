"""`pregao approval`: what waits for a person, what was answered, and the two answers."""

from typing import Annotated, Any

import typer

from pregao.edges.cli.desk import Json, Limit, call, call_all, find_bot_id
from pregao.edges.cli.shown import show_fields, show_json, show_rows

app = typer.Typer(help="Approvals: list, show, approve, decline.", no_args_is_help=True)

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
ANSWERED_COLUMNS = {
    "signal_id": "signal",
    "bot_name": "bot",
    "symbol": "symbol",
    "side": "side",
    "answer": "answer",
    "answered_by": "by",
    "answered_at": "at",
    "reason": "said",
    "status": "signal is",
    "code": "why",
}
FIELDS = (
    "signal_id", "bot_name", "symbol", "side", "signal_price", "status", "received_at", "asked_at", "expires_at",
    "seconds_left", "venue", "price_then", "price_move_pct_max", "subscriptions",
)  # fmt: skip
ANSWER_FIELDS = ("answered_by", "answered_at", "reason", "code")
VERDICT_COLUMNS = {"check": "check", "passed": "passed", "numbers": "numbers"}


@app.command(name="list")
def list_approvals(
    *,
    answered: Annotated[
        bool, typer.Option("--answered", help="Those that are answered, the latest first, up to --limit.")
    ] = False,
    bot: Annotated[str | None, typer.Option(help="Of this bot only: id, webhook path or name.")] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List the entries that wait for a person, all of them, oldest first; or those that are answered."""
    bot_id = None if bot is None else find_bot_id(bot)
    if answered:
        found = call("GET", "/approvals", status="answered", bot_id=bot_id, limit=limit)["items"]
    else:
        found = call_all("/approvals", bot_id=bot_id)
    if as_json:
        show_json(found)
    elif answered:
        rows = [{**one, "answer": _answer_of(one)} for one in found]
        show_rows(rows, ANSWERED_COLUMNS, empty="Nothing was answered yet.")
    else:
        show_rows(found, COLUMNS, empty="Nothing waits for a person.")


@app.command()
def show(signal_id: SignalId, *, as_json: Json = False) -> None:
    """Show what a person is asked about a signal, with every check's numbers, and what was answered."""
    found = call("GET", f"/approvals/{signal_id}")
    if as_json:
        show_json(found)
        return
    show_fields((field, found[field]) for field in FIELDS)
    if found["answered_at"] is not None:
        show_fields([("answer", _answer_of(found)), *((field, found[field]) for field in ANSWER_FIELDS)])
    show_rows([_verdict(one) for one in found["verdicts"]], VERDICT_COLUMNS, empty="")


@app.command()
def approve(signal_id: SignalId, *, reason: Reason = None, as_json: Json = False) -> None:
    """Say yes to an entry; it is traded if every check passes again and the price is about the same."""
    _say(_answer(signal_id, "approve", reason=reason), as_json=as_json)


@app.command()
def decline(signal_id: SignalId, *, reason: Reason = None, as_json: Json = False) -> None:
    """Say no to an entry."""
    _say(_answer(signal_id, "decline", reason=reason), as_json=as_json)


def _answer_of(approval: Any) -> str:
    return "yes" if approval["is_approved"] else "no"


def _verdict(verdict: Any) -> dict[str, str]:
    numbers = " ".join(f"{name}={value}" for name, value in verdict["numbers"].items())
    return {"check": verdict["check"], "passed": "yes" if verdict["passed"] else "no", "numbers": numbers}


def _answer(signal_id: str, verb: str, *, reason: str | None) -> Any:
    return call("POST", f"/approvals/{signal_id}/{verb}", body={} if reason is None else {"reason": reason})


def _say(answer: Any, *, as_json: bool) -> None:
    if as_json:
        show_json(answer)
        return
    print(f"{'Approved' if answer['is_approved'] else 'Declined'}, as {answer['answered_by']}.")
    print(f"`pregao signal trace {answer['signal_id']}` shows what came of it.")
