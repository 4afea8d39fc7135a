"""
What is made of the table of figures: the page that tells of them, a dashboard for Grafana, alert rules for Prometheus.

`pregao metrics table`, `dashboard` and `rules` print them; a test says when the files are not what the table gives.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pregao.domain.figures import FIGURES, OF_THE_SOURCE, OURS, Figure, Kind, Told

COLUMNS, PANEL_WIDTH, PANEL_HEIGHT = 24, 8, 7  # of Grafana's grid
QUANTILES = ("0.5", "0.95", "0.99")
WHO = {
    Told.JOURNAL: "the journal",
    Told.PROCESS: "each process, every two seconds",
    Told.STATE: "the state, at each scrape",
    Told.NOBODY: "**nobody yet**: no sample",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When somebody is to be called."""

    name: str
    expression: str
    lasts: str  # as Prometheus writes a duration
    severity: str
    text: str


RULES = (
    Rule(name="PregaoDown", expression='up{job="pregao"} == 0', lasts="30s", severity="critical",
         text="The desk does not answer."),
    Rule(name="PregaoNoTrader", expression='pregao_workers{role="trader"} == 0', lasts="30s", severity="critical",
         text="No trader works: signals wait."),
    Rule(name="PregaoNoMonitor", expression='pregao_workers{role="monitor"} == 0', lasts="30s", severity="critical",
         text="No monitor works: nobody watches prices but the venues."),
    Rule(name="PregaoUnguarded",
         expression='pregao_unguarded_total{event="begun"} - on() pregao_unguarded_total{event="over"} > 0',
         lasts="0s", severity="critical", text="A position that must be guarded has no effective stop."),
    Rule(name="PregaoPriceOld", expression="pregao_price_age_seconds > 30", lasts="10s", severity="critical",
         text="Nobody sees the price of a guarded symbol."),
    Rule(name="PregaoSignalsWait", expression='pregao_queue_depth{queue="signals"} > 1000', lasts="1m",
         severity="warning", text="Signals wait for a decision."),
    Rule(name="PregaoOrdersRejected",
         expression='sum(rate(pregao_orders_total{outcome="rejected"}[5m])) / '
                    'sum(rate(pregao_orders_total{outcome=~"rejected|filled"}[5m])) > 0.1',
         lasts="1m", severity="warning", text="More than a tenth of what venues decided on was rejected."),
    Rule(name="PregaoBreakerOpen", expression="pregao_breaker_state == 2", lasts="1m", severity="warning",
         text="A venue, or a symbol there, takes no entries."),
    Rule(name="PregaoJournalLags", expression="pregao_journal_lag_seconds > 60", lasts="1m", severity="warning",
         text="A transaction is open for long, or nobody counts."),
    Rule(name="PregaoScreenerFails", expression="pregao_screener_failures > 5", lasts="1m", severity="warning",
         text="The screener's source gives no list."),
    Rule(name="PregaoErrors", expression='increase(deriv_bot_errors_total{severity="critical"}[5m]) > 0', lasts="0s",
         severity="critical", text="A process logged what somebody should look at."),
)  # fmt: skip


def page() -> str:
    """Give the tables of docs/metrics.md."""
    return "\n\n".join(
        f"### {title}\n\n| Name | Kind | Labels | Meaning | Fed by |\n| --- | --- | --- | --- | --- |\n"
        + "\n".join(map(_line, figures))
        for title, figures in (("Of system E", OF_THE_SOURCE), ("Our own", OURS))
    )


def dashboard() -> str:
    """Give a dashboard with a panel for each figure that is fed."""
    fed = [
        figure
        for figure in FIGURES.values()
        if figure.told is not Told.NOBODY and figure.kind is not Kind.INFO
    ]
    panels = [_panel(number, figure) for number, figure in enumerate(fed)]
    return _json(
        {
            "title": "Pregão",
            "uid": "pregao",
            "tags": ["pregao"],
            "timezone": "utc",
            "schemaVersion": 39,
            "refresh": "10s",
            "time": {"from": "now-1h", "to": "now"},
            "templating": {
                "list": [
                    {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
                ]
            },
            "panels": panels,
        }
    )


def rules() -> str:
    """Give the alert rules as Prometheus reads them."""
    lines = ["groups:", "  - name: pregao", "    rules:"]
    for rule in RULES:
        lines += [
            f"      - alert: {rule.name}",
            f"        expr: {json.dumps(rule.expression)}",
            f"        for: {rule.lasts}",
            f"        labels: {{severity: {rule.severity}}}",
            f"        annotations: {{summary: {json.dumps(rule.text)}}}",
        ]
    return "\n".join(lines) + "\n"


def _line(figure: Figure) -> str:
    labels = ", ".join(f"`{label}`" for label in figure.labels)
    bounds = f" Bounds: {_numbers(figure.buckets)}." if figure.buckets else ""
    return f"| `{figure.name}` | {figure.kind} | {labels} | {figure.text}{bounds} | {WHO[figure.told]} |"


def _numbers(bounds: Iterable[float]) -> str:
    return ", ".join(f"{bound:g}" for bound in bounds)


def _panel(number: int, figure: Figure) -> dict[str, Any]:
    in_a_row = COLUMNS // PANEL_WIDTH
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": figure.name,
        "description": figure.text,
        "datasource": {"type": "prometheus", "uid": "${source}"},
        "gridPos": {
            "x": number % in_a_row * PANEL_WIDTH,
            "y": number // in_a_row * PANEL_HEIGHT,
            "w": PANEL_WIDTH,
            "h": PANEL_HEIGHT,
        },
        "targets": _targets(figure),
    }


def _targets(figure: Figure) -> Sequence[dict[str, str]]:
    legend = " ".join(f"{{{{{label}}}}}" for label in figure.labels) or figure.name
    by = ", ".join(figure.labels)
    if figure.kind is Kind.HISTOGRAM:
        within = f"sum by ({', '.join((*figure.labels, 'le'))}) (rate({figure.name}_bucket[5m]))"
        return [
            {
                "refId": chr(ord("A") + place),
                "expr": f"histogram_quantile({quantile}, {within})",
                "legendFormat": f"{quantile} {legend}",
            }
            for place, quantile in enumerate(QUANTILES)
        ]
    if figure.kind is Kind.COUNTER:
        grown = f"rate({figure.name}[5m])"
        return [{"refId": "A", "expr": f"sum by ({by}) ({grown})" if by else grown, "legendFormat": legend}]
    return [{"refId": "A", "expr": figure.name, "legendFormat": legend}]


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
