"""`pregao metrics`: system A's counters; and what Prometheus and Grafana are given."""

import typer

from pregao.edges.cli.desk import Json, call
from pregao.edges.cli.shown import show_fields, show_json

app = typer.Typer(
    help="What is counted, and what is made of it for Prometheus and Grafana.", no_args_is_help=True
)

RATES = ("approval_rate", "forward_success_rate", "error_rate", "signals_per_minute", "uptime_seconds")


@app.command()
def show(*, as_json: Json = False) -> None:
    """Say what was received, approved, rejected and forwarded since the counters were last reset."""
    _say(call("GET", "/metrics"), as_json=as_json)


@app.command()
def reset(*, as_json: Json = False) -> None:
    """Have these counters begin at zero now; nothing is forgotten, and Prometheus' figures go on."""
    _say(call("POST", "/metrics/reset"), as_json=as_json)


@app.command()
def dashboard() -> None:
    """Print a dashboard for Grafana, with a panel for each figure that is fed."""
    from pregao.views import dashboards

    print(dashboards.dashboard(), end="")


@app.command()
def rules() -> None:
    """Print alert rules for Prometheus."""
    from pregao.views import dashboards

    print(dashboards.rules(), end="")


@app.command()
def table() -> None:
    """Print the table of all figures, as docs/metrics.md has it."""
    from pregao.views import dashboards

    print(dashboards.page())


def _say(found: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        show_json(found)
        return
    counters, gauges = found["counters"], found["gauges"]
    assert isinstance(counters, dict)
    assert isinstance(gauges, dict)
    show_fields([*counters.items(), *gauges.items(), *((name, found[name]) for name in RATES)])
