"""`pregao alerts`: what was told and what came of it, the channels that carry it, mutes, and a test."""

from typing import Annotated, Any

import typer

from pregao.edges.cli.desk import Json, Limit, call, call_all, fail
from pregao.edges.cli.shown import show_fields, show_json, show_rows

app = typer.Typer(help="What people are told, and how they are reached.", no_args_is_help=True)

Named = Annotated[str, typer.Argument(metavar="CHANNEL", help="Its name or number.")]
Level = Annotated[str | None, typer.Option(help="INFO, WARNING, ERROR or CRITICAL, in any case.")]
Place = Annotated[int | None, typer.Option(help="The order channels are asked in when one fails, 0 to 1000.")]
Standby = Annotated[
    bool | None, typer.Option("--standby/--no-standby", help="Carry only what another channel failed to.")
]
PerMinute = Annotated[int | None, typer.Option(help="Messages a minute, 1 to 60; beyond it a summary.")]
Address = Annotated[
    list[str] | None,
    typer.Option(
        help="A part of its address as name=value, once for each: webhook_url; bot_token, chat_id; to, server, port, "
        "username, password, from, security; url."
    ),
]

ALERT_COLUMNS = {
    "raised_at": "at",
    "level": "level",
    "title": "title",
    "told": "told",
    "acknowledged_by": "acknowledged by",
    "alert_id": "id",
}
CHANNEL_COLUMNS = {
    "name": "name",
    "kind": "kind",
    "level": "level",
    "place": "place",
    "is_standby": "standby",
    "is_active": "active",
    "waiting": "waiting",
    "sent_at": "last sent",
    "code": "trouble",
    "channel_id": "id",
}
MUTE_COLUMNS = {
    "until": "until",
    "kind": "kind",
    "level_max": "up to",
    "muted_by": "by",
    "reason": "why",
    "mute_id": "id",
}
RESULT_COLUMNS = {"channel": "channel", "status": "result", "code": "code", "reason": "why"}


@app.command(name="list")
def list_alerts(
    *,
    level: Level = None,
    open_only: Annotated[bool, typer.Option("--open", help="Only what nobody has acknowledged.")] = False,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List the latest alerts and what came of them."""
    asked: dict[str, Any] = {"level": level, "limit": limit}
    if open_only:
        asked["acknowledged"] = False
    found = call("GET", "/alerts", **asked)["items"]
    if as_json:
        show_json(found)
    else:
        show_rows([{**one, "told": _told(one)} for one in found], ALERT_COLUMNS, empty="There is no alert.")


@app.command()
def ack(
    alert: Annotated[str, typer.Argument(metavar="ALERT", help="Its id.")], *, as_json: Json = False
) -> None:
    """Say that you take care of an alert."""
    done = call("POST", f"/alerts/{alert}/acknowledge")
    if as_json:
        show_json(done)
    else:
        print(f"Acknowledged by {done['acknowledged_by']}.")


@app.command(name="test")
def try_channels(
    channel: Annotated[
        str | None, typer.Argument(help="A channel's name or number; all of them without.")
    ] = None,
    *,
    level: Annotated[str, typer.Option(help="How bad the test pretends to be.")] = "INFO",
    as_json: Json = False,
) -> None:
    """Send a test, whatever levels and mutes say, and tell what really came of it."""
    done = call("POST", "/alerts/test", body={"channel": channel, "level": level})
    if as_json:
        show_json(done)
    else:
        show_rows(done["results"], RESULT_COLUMNS, empty="There is no channel.")
    if not done["success"]:
        raise typer.Exit(1)


@app.command()
def level(
    least: Annotated[
        str | None, typer.Argument(metavar="LEVEL", help="INFO, WARNING, ERROR or CRITICAL.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Show or set the least level of channels that have none of their own."""
    shown = (
        call("GET", "/alerts/level") if least is None else call("PUT", "/alerts/level", body={"level": least})
    )
    if as_json:
        show_json(shown)
    else:
        print(shown["level"])


@app.command()
def channels(*, as_json: Json = False) -> None:
    """List the channels in their order."""
    found = call("GET", "/alert-channels")["items"]
    if as_json:
        show_json(found)
    else:
        show_rows(found, CHANNEL_COLUMNS, empty="There is no channel yet.")


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What it is called.")],
    kind: Annotated[str, typer.Argument(help="discord, telegram, email or apprise.")],
    *,
    address: Address = None,
    level: Level = None,
    place: Place = None,
    standby: Standby = None,
    per_minute_max: PerMinute = None,
    as_json: Json = False,
) -> None:
    """Make a channel."""
    body = {
        "name": name,
        "kind": kind,
        "address": _address(address or []),
        **_given(level=level, place=place, is_standby=standby, per_minute_max=per_minute_max),
    }
    _say(call("POST", "/alert-channels", body=body), as_json=as_json)


@app.command()
def change(
    channel: Named,
    *,
    name: Annotated[str | None, typer.Option(help="Call it otherwise.")] = None,
    address: Address = None,
    level: Level = None,
    place: Place = None,
    standby: Standby = None,
    per_minute_max: PerMinute = None,
    active: Annotated[bool | None, typer.Option("--on/--off", help="Switch it on or off.")] = None,
    as_json: Json = False,
) -> None:
    """Change a channel; what is not named stays, an address changes as a whole."""
    body = _given(
        name=name,
        level=level,
        place=place,
        is_standby=standby,
        per_minute_max=per_minute_max,
        is_active=active,
        address=None if address is None else _address(address),
    )
    _say(call("PATCH", f"/alert-channels/{_find(channel)['channel_id']}", body=body), as_json=as_json)


@app.command()
def forget(channel: Named, *, as_json: Json = False) -> None:
    """Delete a channel and its address."""
    gone = call("DELETE", f"/alert-channels/{_find(channel)['channel_id']}")
    if as_json:
        show_json(gone)
    else:
        print("The channel is forgotten.")


@app.command()
def mute(
    *,
    minutes: Annotated[int, typer.Option(min=1, help="For how long; a month at most.")] = 60,
    kind: Annotated[str | None, typer.Option(help="One kind of alert; every kind without.")] = None,
    up_to: Annotated[str, typer.Option(help="What is worse is told all the same.")] = "ERROR",
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    as_json: Json = False,
) -> None:
    """Keep alerts back for a while; they are listed all the same."""
    body = {"kind": kind, "level_max": up_to, "seconds": minutes * 60, "reason": reason}
    made = call("POST", "/alert-mutes", body=body)
    if as_json:
        show_json(made)
    else:
        print(f"Muted until {made['until']}.")


@app.command()
def mutes(*, as_json: Json = False) -> None:
    """List the mutes that stand."""
    found = call_all("/alert-mutes")
    if as_json:
        show_json(found)
    else:
        show_rows(found, MUTE_COLUMNS, empty="Nothing is muted.")


@app.command()
def unmute(
    mute: Annotated[str, typer.Argument(metavar="MUTE", help="Its id.")], *, as_json: Json = False
) -> None:
    """Hear of it again."""
    gone = call("DELETE", f"/alert-mutes/{mute}")
    if as_json:
        show_json(gone)
    else:
        print("It is told again.")


def _find(channel: str) -> Any:
    found = [
        one
        for one in call("GET", "/alert-channels")["items"]
        if channel in (one["name"], str(one["channel_id"]))
    ]
    if not found:
        fail(f"CHANNEL_UNKNOWN: channel={channel}. See `pregao alerts channels`.")
    return found[0]


def _address(parts: list[str]) -> dict[str, str]:
    told = {}
    for part in parts:
        name, separator, value = part.partition("=")
        if not separator:
            fail("ADDRESS_UNREADABLE: Give each part as name=value, such as chat_id=-100123.")
        told[name.strip()] = value
    return told


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _told(alert: Any) -> str:
    return ", ".join(f"{one['channel']}: {one['status']}" for one in alert["deliveries"]) or "nobody"


def _say(channel: Any, *, as_json: bool) -> None:
    if as_json:
        show_json(channel)
    else:
        shown = {
            **channel,
            "address": ", ".join(f"{name}={value}" for name, value in channel["address"].items()),
        }
        show_fields(shown.items())
