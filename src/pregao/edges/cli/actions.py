"""`pregao actions`: the audit log."""

from typing import Annotated

import typer

from pregao.edges.cli.desk import Csv, Json, Limit, call, find_user_id, show_csv
from pregao.edges.cli.shown import show_json, show_rows

app = typer.Typer()

COLUMNS = {
    "happened_at": "when",
    "who": "who",
    "source_address": "from",
    "action": "action",
    "targets": "on",
    "status": "status",
    "error_code": "why",
}


@app.command()
def actions(
    *,
    user: Annotated[str | None, typer.Option(help="Of this user only: id or e-mail.")] = None,
    action: Annotated[str | None, typer.Option(help="This only, such as post_bot.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Refused ones only.")] = False,
    kind: Annotated[
        str | None, typer.Option("--type", help="Of this type only, such as engine_control.")
    ] = None,
    hours: Annotated[int | None, typer.Option(min=1, help="Of so many hours only.")] = None,
    limit: Limit = 50,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """List what people asked the desk to change, or took away, and what came of it."""
    user_id = None if user is None else find_user_id(user)
    success = "false" if failed else None
    query = {"user_id": user_id, "action": action, "action_type": kind, "success": success, "hours": hours}
    if as_csv:
        show_csv("/admin/actions", **query)
        return
    items = call("GET", "/admin/actions", limit=limit, **query)["items"]
    if as_json:
        show_json(items)
        return
    rows = [
        {
            **one,
            "who": one["email"] or one["principal"] or "nobody known",
            "targets": " ".join(one["targets"].values()) or None,
        }
        for one in items
    ]
    show_rows(rows, COLUMNS, empty="Nobody has asked for anything yet.")
