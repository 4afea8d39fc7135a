"""`pregao strategy compare`: what a strategy traded, beside its backtest."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from pregao.edges.cli.desk import Deployment, Json, call, find_deployment_id
from pregao.edges.cli.shown import show_fields, show_json, show_rows

TRADES = {
    "wanted": "wanted at",
    "side": "side",
    "entry": "entry desk / backtest",
    "exit": "exit desk / backtest",
    "quantity": "quantity",
    "profit": "profit",
    "ending": "ended by",
    "latency": "ms late",
    "slippage": "bps paid",
    "verdict": "differences",
}


def compare(
    deployment: Deployment,
    *,
    candles: Annotated[
        str | None,
        typer.Option(
            help="A name of `pregao data list`, such as a replayed tape's; else the candles as the desk saw them."
        ),
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(help="Leave out what was wanted before this day or instant (UTC).")
    ] = None,
    fee_bps: Annotated[
        float,
        typer.Option("--fee-bps", min=0, help="The backtest's fee at each fill, hundredths of a percent."),
    ] = 5.0,
    slippage_bps: Annotated[
        float, typer.Option("--slippage-bps", min=0, help="The backtest's slippage.")
    ] = 0.0,
    as_json: Json = False,
) -> None:
    """Pair what it traded with its backtest over the same candles; 1 when a difference has no explanation."""
    found = call(
        "GET",
        f"/strategies/deployments/{find_deployment_id(deployment)}/comparison",
        candles=candles,
        since=None if since is None else since.replace(tzinfo=UTC).isoformat(),
        fee_bps=fee_bps,
        slippage_bps=slippage_bps,
    )
    if as_json:
        show_json(found)
    else:
        _show(found)
    if found["unexplained"]:
        raise typer.Exit(1)


def _show(found: dict[str, Any]) -> None:
    of = found["candles"]
    speed = "" if found["speed"] == 1 else f", played {found['speed']:g} times as fast"
    show_fields(
        [
            ("candles", f"{of['label']} from {of['source']}, {of['rows']}{speed}"),
            ("run", f"{_instant(found['began_at_ms'])} to {_instant(found['bar_at_ms'])}"),
            ("candles that differ", len(found["candles_differing"])),
            *([("began with other candles", "yes")] if found["began_otherwise"] else []),
            *([("model", found["model"])] if found["model"] else []),
        ]
    )
    if not found["accounts"]:
        print("No account of yours has followed a signal of it.")
    for account in found["accounts"]:
        print(f"\n{account['account']}: margin {account['margin']:g} x {account['leverage']}")
        show_rows([_row(pair) for pair in account["trades"]], TRADES, empty="Neither has traded.")
        for pair in account["trades"]:
            for one in pair["differences"]:
                mark = "" if one["is_explained"] else "UNEXPLAINED "
                code = f"{one['code']}: " if one["code"] else ""
                print(
                    f"{_instant(pair['wanted_at_ms'])} {pair['side']:<5} {mark}{one['kind']} ({one['cause']})  {code}{one['reason']}"
                )
        print(
            f"{account['both']} trades of both, {account['only_on_desk']} on the desk alone, {account['only_in_backtest']} in the "
            f"backtest alone; {account['unexplained']} with a difference that nothing explains."
        )


def _row(pair: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, list[dict[str, Any]]] = {}
    for one in pair["differences"]:
        told.setdefault(one["kind"], []).append(one)
    desk, backtest = pair["desk"] or {}, pair["backtest"] or {}
    latencies = [f"{one['desk']:.0f}" for one in told.get("latency", ())]
    return {
        "wanted": _instant(pair["wanted_at_ms"]),
        "side": pair["side"],
        **{
            name: f"{_number(desk.get(field))} / {_number(backtest.get(field))}"
            for name, field in (
                ("entry", "entry_price"),
                ("exit", "exit_price"),
                ("quantity", "quantity"),
                ("profit", "profit"),
            )
        },
        "ending": f"{desk.get('ending', '-')} / {backtest.get('ending', '-')}",
        "latency": " ".join(latencies) or "-",
        "slippage": _slippage(pair),
        "verdict": "explained" if pair["is_explained"] else "UNEXPLAINED",
    }


def _slippage(pair: dict[str, Any]) -> str:
    desk, backtest = pair["desk"], pair["backtest"]
    if desk is None or backtest is None:
        return "-"
    way = 1 if pair["side"] == "long" else -1
    return f"{way * (desk['entry_price'] - backtest['entry_price']) / backtest['entry_price'] * 10_000:+.2f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _instant(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")
