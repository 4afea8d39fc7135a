"""`pregao user`: enroll, list, show and change users, reset their passwords, give their programs tokens."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from pregao.edges.cli import rules
from pregao.edges.cli.desk import Json, call, call_all, find_user_id
from pregao.edges.cli.shown import show_fields, show_json, show_rows

app = typer.Typer(help="Users: who may do what.", no_args_is_help=True)

Named = Annotated[str, typer.Argument(metavar="USER", help="Its id or e-mail.")]
ROLES = "viewer, trader, operator or admin."
Prompted = Annotated[
    bool, typer.Option("--ask-password", help="Ask for the password; else the desk makes one.")
]
MaxDailyLossUsd = Annotated[
    str | None, typer.Option(help="Lost on all accounts in a UTC day, 10 USD or more; none is no limit.")
]
MaxPositions = Annotated[
    str | None, typer.Option(help="Open on all accounts at once, 1 or more; none is no limit.")
]
RiskCapitalUsd = Annotated[
    str | None, typer.Option(help="What risks are shares of, in USD; none: no month is measured.")
]
MaxSlippagePct = Annotated[
    str | None, typer.Option(help="An exit that would fill worse tries a bounded price first; 5 if not said.")
]
SlippagePausePct = Annotated[
    str | None,
    typer.Option(help="Beyond this nothing more is entered until somebody resumes; 10 if not said."),
]
MaxExecutionsPerMinute = Annotated[
    int | None, typer.Option(help="Exits of stops and targets; 10 if not said.")
]
MaxExecutionsPerHour = Annotated[int | None, typer.Option(help="The same in an hour; 100 if not said.")]
MonthlyDrawdownPct = Annotated[
    str | None, typer.Option(help="Lost of that in a UTC month, entries end until the next; 4 if not said.")
]

COLUMNS = {
    "user_id": "id",
    "email": "e-mail",
    "name": "name",
    "role": "role",
    "is_active": "active",
    "accounts": "accounts",
    "active_subscriptions": "subscriptions",
    "last_login_at": "last login",
    "second_factor_since": "second factor",
}
TOKEN_COLUMNS = {
    "token_id": "id",
    "name": "name",
    "created_at": "made",
    "expires_at": "until",
    "last_used_at": "last used",
    "revoked_at": "revoked",
}


@app.command()
def create(
    email: Annotated[str, typer.Argument(help="What the user logs in with.")],
    *,
    name: Annotated[str | None, typer.Option(help="For people; else the e-mail.")] = None,
    role: Annotated[str, typer.Option(help=ROLES)] = "trader",
    max_daily_loss_usd: MaxDailyLossUsd = None,
    max_positions: MaxPositions = None,
    risk_capital_usd: RiskCapitalUsd = None,
    monthly_drawdown_pct: MonthlyDrawdownPct = None,
    max_slippage_pct: MaxSlippagePct = None,
    slippage_pause_pct: SlippagePausePct = None,
    max_executions_per_minute: MaxExecutionsPerMinute = None,
    max_executions_per_hour: MaxExecutionsPerHour = None,
    ask_password: Prompted = False,
    as_json: Json = False,
) -> None:
    """Enroll a user; a password the desk makes is printed this once."""
    given = {"email": email, "name": name or email, "role": role}
    limits = rules.asked(
        {
            "max_daily_loss_usd": max_daily_loss_usd,
            "max_positions": max_positions,
            "risk_capital_usd": risk_capital_usd,
            "monthly_drawdown_pct": monthly_drawdown_pct,
            "max_slippage_pct": max_slippage_pct,
            "slippage_pause_pct": slippage_pause_pct,
            "max_executions_per_minute": max_executions_per_minute,
            "max_executions_per_hour": max_executions_per_hour,
        }
    )
    made = call("POST", "/admin/users", body={**given, **limits, **_password(asked=ask_password)})
    _say_password(made, as_json=as_json)


@app.command(name="list")
def list_users(
    *,
    role: Annotated[str | None, typer.Option(help=ROLES)] = None,
    as_json: Json = False,
) -> None:
    """List the users."""
    users = call_all("/admin/users", role=role)
    if as_json:
        show_json(users)
        return
    show_rows(users, COLUMNS, empty="There are no users. `pregao user create EMAIL` enrolls one.")


@app.command()
def show(user: Named, *, as_json: Json = False) -> None:
    """Show one user and his API tokens."""
    user_id = find_user_id(user)
    shown = call("GET", f"/admin/users/{user_id}")
    tokens = call("GET", f"/admin/users/{user_id}/tokens")["items"]
    if as_json:
        show_json({**shown, "tokens": tokens})
        return
    show_fields(shown.items())
    print()
    show_rows(tokens, TOKEN_COLUMNS, empty="No API tokens.")


@app.command()
def change(
    user: Named,
    *,
    name: Annotated[str | None, typer.Option(help="For people.")] = None,
    role: Annotated[str | None, typer.Option(help=ROLES)] = None,
    active: Annotated[
        bool | None,
        typer.Option("--active/--inactive", help="An inactive user is out at once, his tokens for good."),
    ] = None,
    max_daily_loss_usd: MaxDailyLossUsd = None,
    max_positions: MaxPositions = None,
    risk_capital_usd: RiskCapitalUsd = None,
    monthly_drawdown_pct: MonthlyDrawdownPct = None,
    max_slippage_pct: MaxSlippagePct = None,
    slippage_pause_pct: SlippagePausePct = None,
    max_executions_per_minute: MaxExecutionsPerMinute = None,
    max_executions_per_hour: MaxExecutionsPerHour = None,
    as_json: Json = False,
) -> None:
    """Change what is named and leave the rest; it counts from the user's next request on."""
    given = {"name": name, "role": role, "is_active": active}
    limits = rules.asked(
        {
            "max_daily_loss_usd": max_daily_loss_usd,
            "max_positions": max_positions,
            "risk_capital_usd": risk_capital_usd,
            "monthly_drawdown_pct": monthly_drawdown_pct,
            "max_slippage_pct": max_slippage_pct,
            "slippage_pause_pct": slippage_pause_pct,
            "max_executions_per_minute": max_executions_per_minute,
            "max_executions_per_hour": max_executions_per_hour,
        }
    )
    body = {**{field: value for field, value in given.items() if value is not None}, **limits}
    changed = call("PATCH", f"/admin/users/{find_user_id(user)}", body=body)
    if as_json:
        show_json(changed)
        return
    show_fields((field, changed[field]) for field in COLUMNS)


@app.command()
def password(user: Named, *, ask_password: Prompted = False, as_json: Json = False) -> None:
    """Give a user a new password and end his sessions; one the desk makes is printed this once."""
    body: dict[str, Any] = _password(asked=ask_password)
    body = body or {"reset_password": True}
    _say_password(call("PATCH", f"/admin/users/{find_user_id(user)}", body=body), as_json=as_json)


@app.command(name="reset-second-factor")
def reset_second_factor(user: Named, *, as_json: Json = False) -> None:
    """Turn off the second factor of a user who lost his app and his codes; his sessions end."""
    shown = call("DELETE", f"/admin/users/{find_user_id(user)}/second-factor")
    if as_json:
        show_json(shown)
        return
    print("The second factor is off: the password alone lets in.")


@app.command()
def token(
    user: Named,
    name: Annotated[str, typer.Argument(help="What it is for.")],
    *,
    days: Annotated[int | None, typer.Option(min=1, help="How long it holds; else until revoked.")] = None,
    as_json: Json = False,
) -> None:
    """Make an API token for a program of a user; it is printed this once."""
    body: dict[str, Any] = {"name": name}
    if days is not None:
        body["expires_at"] = (datetime.now(UTC) + timedelta(days=days)).isoformat()
    made = call("POST", f"/admin/users/{find_user_id(user)}/tokens", body=body)
    if as_json:
        show_json(made)
        return
    show_fields((field, made[field]) for field in ("token_id", "name", "expires_at", "token"))
    print("\nThe token is shown this once: send it as `Authorization: Bearer`, or set PREGAO_TOKEN to it.")


@app.command()
def revoke(
    user: Named,
    token_id: Annotated[str, typer.Argument(metavar="TOKEN", help="Its id; `pregao user show` lists them.")],
    *,
    as_json: Json = False,
) -> None:
    """Revoke one of a user's API tokens at once."""
    revoked = call("DELETE", f"/admin/users/{find_user_id(user)}/tokens/{token_id}")
    if as_json:
        show_json(revoked)
        return
    print(f"{revoked['name']} is revoked.")


def _password(*, asked: bool) -> dict[str, str]:
    # Not an option: on a command line others could read it.
    if not asked:
        return {}
    return {"password": typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)}


def _say_password(user: Any, *, as_json: bool) -> None:
    if as_json:
        show_json(user)
        return
    show_fields((field, user[field]) for field in ("user_id", "email", "name", "role"))
    if user["password"] is not None:
        print(f"\nThe password is shown this once: {user['password']}")
