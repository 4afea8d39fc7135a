"""`pregao halt`, `pregao resume` and `pregao state`: what may be traded, at five levels."""

from typing import Annotated, Any

import typer

from pregao.edges.cli.desk import Json, call, fail, find_account_id, find_bot_id, find_user_id
from pregao.edges.cli.shown import show_json, show_rows

app = typer.Typer()

User = Annotated[str | None, typer.Option(help="All accounts of this user: id, e-mail, or `me`.")]
Account = Annotated[str | None, typer.Option(help="This account: its id or name.")]
Bot = Annotated[str | None, typer.Option(help="This bot: id, webhook path or name.")]
Symbol = Annotated[str | None, typer.Option(help="This symbol at one venue, such as paper:BTCUSDT.")]
Reason = Annotated[str, typer.Option(help="Why; it stands in every receipt.")]
WaitSeconds = Annotated[
    float, typer.Option(min=0, max=25, help="How long to wait until every live trader has acknowledged it.")
]

STATE_COLUMNS = {
    "level": "level",
    "name": "name",
    "state": "state",
    "exits": "exits",
    "reason": "why",
    "set_by": "set by",
    "set_at": "at",
    "version": "version",
}
TRADER_COLUMNS = {"worker_id": "trader", "states_seen": "has seen version", "lease_until": "lease until"}


@app.command()
def halt(
    *,
    reason: Reason,
    user: User = None,
    account: Account = None,
    bot: Bot = None,
    symbol: Symbol = None,
    reducing: Annotated[
        bool, typer.Option("--reducing", help="Only let nothing new in; what is on its way goes on.")
    ] = False,
    block_exits: Annotated[
        bool, typer.Option("--block-exits", help="Keep exits back too: what is held stays.")
    ] = False,
    wait_seconds: WaitSeconds = 12,
    as_json: Json = False,
) -> None:
    """Let nothing be entered: on the whole desk, or on what is named; exits go on."""
    body = {
        **named_scope(user=user, account=account, bot=bot, symbol=symbol),
        "state": "reducing" if reducing else "halted",
        "block_exits": block_exits,
        "reason": reason,
        "wait_seconds": wait_seconds,
    }
    _say(call("POST", "/trading-state", body=body), as_json=as_json)


@app.command()
def resume(
    *,
    reason: Reason,
    user: User = None,
    account: Account = None,
    bot: Bot = None,
    symbol: Symbol = None,
    wait_seconds: WaitSeconds = 12,
    as_json: Json = False,
) -> None:
    """Let the whole desk, or what is named, trade again; what is set at other levels stands."""
    scope = named_scope(user=user, account=account, bot=bot, symbol=symbol)
    body = {**scope, "reason": reason, "wait_seconds": wait_seconds}
    _say(call("POST", "/trading-state/resume", body=body), as_json=as_json)


@app.command()
def state(*, as_json: Json = False) -> None:
    """Show what is not active, and which traders have acknowledged it."""
    now = call("GET", "/trading-state")
    if as_json:
        show_json(now)
        return
    _show(now)
    if now["traders"]:
        show_rows(now["traders"], TRADER_COLUMNS, empty="")


def named_scope(
    *, user: str | None, account: str | None, bot: str | None, symbol: str | None
) -> dict[str, Any]:
    """Give the scope that one option names, as the desk is asked; none of them is the desk itself."""
    given = [
        name
        for name, value in (("--user", user), ("--account", account), ("--bot", bot), ("--symbol", symbol))
        if value is not None
    ]
    if len(given) > 1:
        fail(
            f"SCOPE_UNUSABLE: named={' '.join(given)}. Name one of them, or none for the whole desk.", code=2
        )
    if user is not None:
        return {"level": "user", "user_id": _own_id() if user == "me" else find_user_id(user)}
    if account is not None:
        return {"level": "account", "account_id": find_account_id(account)}
    if bot is not None:
        return {"level": "bot", "bot_id": find_bot_id(bot)}
    if symbol is not None:
        venue, _, name = symbol.partition(":")
        if not name:
            fail(f"SCOPE_UNUSABLE: symbol={symbol}. Name its venue too, as paper:{symbol}.", code=2)
        return {"level": "symbol", "venue": venue, "symbol": name.upper()}
    return {"level": "desk"}


def _own_id() -> str:
    user = call("GET", "/auth/me")["user"]
    if user is None:
        fail("USER_MISSING: The admin token is nobody's. Name the user, or set PREGAO_TOKEN to his token.")
    return str(user["user_id"])


def _say(now: Any, *, as_json: bool) -> None:
    if as_json:
        show_json(now)
    else:
        _show(now)
    if not now["is_acknowledged"]:
        fail(
            f"STATE_UNACKNOWLEDGED: version={now['version']} not yet acknowledged by {', '.join(now['waiting_for'])}. "
            "It is set; what those traders have sent already may still trade. `pregao state` shows when they have."
        )


def _show(now: Any) -> None:
    print(f"The desk is {now['state']}, version {now['version']}.")
    rows = [{**one, "exits": "blocked" if one["block_exits"] else "go on"} for one in now["states"]]
    show_rows(rows, STATE_COLUMNS, empty="Nothing is halted or reducing.")
    if now["is_acknowledged"]:
        print("Every live trader has acknowledged it.")
