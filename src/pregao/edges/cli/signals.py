"""`pregao signal`: read an alert without sending it, send one, list them, and trace what one did."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from pregao.edges.cli.desk import (
    Csv,
    Json,
    Limit,
    bring,
    call,
    call_all,
    fail,
    find_bot_id,
    reasons,
    send,
    show_csv,
    take,
)
from pregao.edges.cli.shown import show_fields, show_json, show_rows

app = typer.Typer(help="Signals: read, send, list, trace.", no_args_is_help=True)

MASTER_PATH = "/api/v1/bots/webhook/master/"

Body = Annotated[str | None, typer.Option("--body", help="The alert's body.")]
File = Annotated[
    Path | None, typer.Option("--file", help="The file with the alert's body; - is standard input.")
]

STANDARD_INPUT = STANDARD_OUTPUT = Path("-")

READING = ("symbol", "venue_symbol", "side", "intent", "quantity", "quantity_kind", "price", "refusal")

COLUMNS = {
    "received_at": "received",
    "signal_id": "signal",
    "bot_name": "bot",
    "action": "action",
    "symbol": "symbol",
    "side": "side",
    "status": "status",
    "accounts": "accounts",
    "orders": "orders",
    "code": "why",
}
RECEIPT_COLUMNS = {
    "account": "account",
    "leg": "leg",
    "outcome": "outcome",
    "code": "why",
    "side": "side",
    "shown_quantity": "quantity",
    "average_price": "price",
    "slippage_bps": "slippage\nbps",
    "fees": "fees",
    "decided_ms": "decided\nms",
    "sent_ms": "sent\nms",
    "acknowledged_ms": "answered\nms",
    "filled_ms": "filled\nms",
    "booked_ms": "booked\nms",
}
EVENT_COLUMNS = {
    "happened_at": "when",
    "signal_id": "signal",
    "ticker": "ticker",
    "signal_type": "type",
    "status": "status",
    "location": "where",
    "worker_id": "worker",
    "http_status": "http",
    "details": "details",
}
HOUR_COLUMNS = {
    "begins_at": "hour",
    "received": "received",
    "approved": "approved",
    "rejected": "rejected",
    "forwarded": "forwarded",
    "forward_errors": "errors",
    "approval_rate_pct": "approved %",
}
FACT_COLUMNS = {"happened_at": "happened", "kind": "fact", "account_id": "account", "what": "what"}
TELLING = (
    "code", "status", "direction", "leg", "side", "quantity", "price", "entered_quantity", "exited_quantity", "attempt",
    "order_id",
)  # fmt: skip
EXECUTION_COLUMNS = {
    "account": "account",
    "outcome": "outcome",
    "code": "why",
    "quantity": "quantity",
    "average_price": "price",
}


@app.command()
def trace(signal_id: Annotated[str, typer.Argument(metavar="SIGNAL")], *, as_json: Json = False) -> None:
    """Show the receipt of a signal: what it did on every account, and why."""
    receipt = call("GET", f"/signals/{signal_id}/receipt")
    if as_json:
        show_json(receipt)
        return
    fields = ("signal_id", "bot_name", "action", "symbol", "side", "status", "received_at", "settled_at")
    show_fields((field, receipt[field]) for field in fields)
    if receipt["code"]:
        show_fields([("why", f"{receipt['code']}: {receipt['reason']}")])
    if approval := receipt["approval"]:
        show_fields([("approval", _approval(approval))])
    if receipt["not_used"]:
        show_fields([("not used", ", ".join(receipt["not_used"]))])
    rows = [{**row, "shown_quantity": _quantity(row)} for row in receipt["rows"]]
    show_rows(rows, RECEIPT_COLUMNS, empty="It asked no account for an order.")
    for row in rows:
        if row["reason"]:
            print(f"{row['account']}: {row['code']}: {row['reason']}")
    if bare := [row["account"] for row in rows if row["stop"] == "none"]:
        print(f"Open without a stop, as the settings ask: {', '.join(bare)}.")
    if receipt["status"] == "pending":
        print("It waits for a person: `pregao approval approve` or `decline`.")
    elif not receipt["is_complete"]:
        print("Something is still on its way; trace it again.")


@app.command(name="list")
def list_signals(
    *,
    bot: Annotated[str | None, typer.Option(help="Of this bot only: id, webhook path or name.")] = None,
    status: Annotated[
        str | None, typer.Option(help="For example settled, planned, pending, refused, declined.")
    ] = None,
    limit: Limit = 20,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """List the latest signals."""
    bot_id = None if bot is None else find_bot_id(bot)
    if as_csv:
        show_csv("/signals", bot_id=bot_id, status=status)
        return
    signals = call("GET", "/signals", bot_id=bot_id, status=status, limit=limit)["items"]
    if as_json:
        show_json(signals)
        return
    show_rows(signals, COLUMNS, empty="There were no signals.")


@app.command(name="send")
def send_signal(
    path: Annotated[str, typer.Argument(help="The bot's webhook path, or a whole path such as /webhook/in.")],
    *,
    body: Body = None,
    file: File = None,
    secret: Annotated[
        str | None,
        typer.Option(envvar="PREGAO_SIGNAL_SECRET", help="The bot's secret, where the body has none."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Send an alert as TradingView would, and show what came of it."""
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    if secret is not None:
        headers["X-Pregao-Secret"] = secret
    target = path if path.startswith("/") else f"{MASTER_PATH}{path}"
    answer = send("POST", target, content=_body_of(body, file), headers=headers)
    if not answer.is_success:
        fail("\n".join(reasons(answer)))
    broadcast = answer.json()
    if as_json:
        show_json(broadcast)
        return
    fields = ("signal_id", "bot_name", "status", "repeated", "ticker", "queued")
    show_fields((field, broadcast[field]) for field in fields if field in broadcast)
    if "executions" in broadcast:
        show_rows(broadcast["executions"], EXECUTION_COLUMNS, empty="No account had an order yet.")
    print(f"`pregao signal trace {broadcast['signal_id']}` shows the receipt.")


@app.command()
def read(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE|-]", help="The file with the alert's body; - or nothing is standard input."
        ),
    ] = None,
    *,
    body: Body = None,
    symbol: Annotated[
        str | None, typer.Option(help="The only symbol its bot trades: it completes one without a quote.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say how an alert's body is understood; nothing is sent, and the desk need not run. Exit 1 when refused."""
    from pregao.signals.formats import read_alert
    from pregao.signals.unreadable import Unreadable

    if file is None and body is None and not sys.stdin.isatty():
        file = STANDARD_INPUT
    try:
        reading = read_alert(_body_of(body, file), trading_symbol=symbol and symbol.upper())
    except Unreadable as refusal:
        if as_json:
            nothing = dict.fromkeys(READING)
            show_json({**nothing, "refusal": {"code": refusal.code, "reason": refusal.reason}})
            raise typer.Exit(1) from None
        fail(f"{refusal.code}: {refusal.reason}")
    # The reading spells symbols as the venues do.
    told = {**dataclasses.asdict(reading), "venue_symbol": reading.symbol, "refusal": None}
    fields = {name: _plain(value) for name, value in told.items()}
    if as_json:
        show_json({name: fields[name] for name in READING})
        return
    show_fields((name, value) for name, value in fields.items() if value is not None)


@app.command()
def facts(
    signal_id: Annotated[str, typer.Argument(metavar="SIGNAL", help="The signal's id.")],
    *,
    as_json: Json = False,
) -> None:
    """Show all that happened because of a signal, fact by fact, until what it opened is closed."""
    found = call_all(f"/signals/{signal_id}/facts")
    if as_json:
        show_json(found)
        return
    rows = [{**one, "what": _what(one["fact"])} for one in found]
    show_rows(rows, FACT_COLUMNS, empty="Nothing happened.")


@app.command()
def events(
    *,
    status: Annotated[
        str | None, typer.Option(help="For example received, approved, forwarded_success.")
    ] = None,
    ticker: Annotated[str | None, typer.Option(help="Of this ticker only.")] = None,
    signal: Annotated[str | None, typer.Option(help="Of this signal only: its id.")] = None,
    kind: Annotated[str | None, typer.Option("--type", help="For example buy, sell, position_close.")] = None,
    hours: Annotated[int | None, typer.Option(min=1, help="Of so many hours only.")] = None,
    limit: Limit = 20,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """List what happened to signals step by step, the newest first."""
    query = {"status": status, "ticker": ticker, "signal_id": signal, "signal_type": kind, "hours": hours}
    if as_csv:
        show_csv("/signals/events", **query)
        return
    found = call("GET", "/signals/events", limit=limit, **query)["items"]
    if as_json:
        show_json(found)
        return
    rows = [{name: _plain(value) for name, value in one.items()} for one in found]
    show_rows(rows, EVENT_COLUMNS, empty="Nothing happened.")


@app.command()
def history(
    *,
    hours: Annotated[int, typer.Option(min=1, max=2_208, help="How many, the present one the last.")] = 24,
    as_json: Json = False,
) -> None:
    """Count hour by hour what was received, approved, rejected and forwarded."""
    found = call("GET", "/signals/history", hours=hours)
    if as_json:
        show_json(found)
        return
    show_rows(found["hours"], HOUR_COLUMNS, empty="")


@app.command(name="export")
def export_events(
    file: Annotated[Path, typer.Argument(help="The file to write; - is standard output.")],
) -> None:
    """Write all that happened to signals to a file, as CSV that can be brought in again."""
    if file == STANDARD_OUTPUT:
        show_csv("/signals/events")
        return
    try:
        with file.open("xb") as content:
            size = _take_to(content, file)
    except FileExistsError:
        fail(f"FILE_EXISTS: file={file}. Name another, or remove it.", code=2)
    except OSError as error:
        fail(f"FILE_UNWRITABLE: file={file} reason={error.strerror}.", code=2)
    print(f"{file}: {size} bytes.")


@app.command(name="import")
def import_events(
    file: Annotated[Path, typer.Argument(help="The CSV, of this desk, of another, or of system A.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be, and write nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Bring in what happened elsewhere: it is shown and counted, and never trades. Exit 1 where rows were left out."""
    came = bring("/signals/events/import", file, dry_run="true" if dry_run else None)
    if as_json:
        show_json(came)
    else:
        print(came["message"])
        for error in came["errors"]:
            print(_plain(error["message"]), file=sys.stderr)
    if came["refused_count"]:
        raise typer.Exit(1)


def _take_to(content: BinaryIO, file: Path) -> int:
    try:
        return take("/signals/events", to=content, format="csv")
    except BaseException:
        file.unlink(missing_ok=True)  # half of it would look like all of it
        raise


def _what(fact: dict[str, Any]) -> str:
    told = {**fact, **(fact.get("trade") or {}), **(fact.get("position") or {})}
    return " ".join(f"{name}={_plain(told[name])}" for name in TELLING if told.get(name) is not None)


def _body_of(body: str | None, file: Path | None) -> bytes:
    if (body is None) == (file is None):
        fail("BODY_UNCERTAIN: give either --body or a file; - is standard input.", code=2)
    if body is not None:
        return body.encode(errors="surrogateescape")  # bytes on a command line need not be UTF-8
    assert file is not None
    if file == STANDARD_INPUT:
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        fail(f"FILE_UNREADABLE: file={file} reason={error.strerror}.", code=2)


def _quantity(row: dict[str, Any]) -> str | None:
    filled: str = row["filled_quantity"]
    asked: str | None = row["quantity"]
    if asked is None or filled in ("0", asked):
        return asked
    return f"{filled} of {asked}"


def _approval(approval: dict[str, Any]) -> str:
    asked = f"asked {approval['asked_at']} at {approval['price_then'] or 'an unknown price'}"
    if approval["answered_at"] is None:
        return f"{asked}, waits until {approval['expires_at']}"
    answer = "approved" if approval["is_approved"] else "declined"
    return f"{asked}, {answer} {approval['answered_at']} by {approval['answered_by']}"


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        value = ", ".join(map(str, value)) or None
    if value is None:
        return None
    # A sender's text must not steer the terminal it is shown on.
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in str(value))
