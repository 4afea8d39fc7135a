"""
F140: money is decimal. No page that handles it makes a float, but of time, chance, and what is no amount.

What a statement is about is told by its words: a float stands in one about seconds or chance, and in none about money.
"""

import ast
import re
from pathlib import Path

import asyncpg
import pytest

SOURCE = Path(__file__).parents[2] / "src" / "pregao"
STRICT = (
    "domain", "signals", "decisions", "orders", "fills", "positions", "stops", "accounts", "bots", "edges/exchanges",
)  # fmt: skip
ROOMS = (*STRICT, "views", "trading", "simulation", "edges/postgres", "edges/paper", "edges/http")
"""In the strict ones a float must say that it is no money; in the others it must not say that it is."""
MONEY = re.compile(
    r"price|quantit|notional|\bfees?\b|_fee|pnl|margin|amount|balance|_usd|commission|capital|equity|funding|volume"
)
AGE_OF_MONEY = re.compile(
    r"(price|margin|funding|brackets|volumes)(_age|_read)?_(ms|seconds)(_max)?|price_(unavailable|age)"
)
NO_MONEY = re.compile(
    r"second|_ms\b|duration|timeout|wait|_age|retry|monotonic|clock|elapsed|pause|delay|until|interval|outage|probe"
    r"|idle_since|\bsince|\bdue|key_due|_by\b|expected|silent_since|failure|chance|probability|random|now\b|began|speed"
    r"|_at\b|share|running|cache|_instruments: tuple|_brackets: tuple|_read\b|gap"
)
PAGES_WITHOUT_MONEY = {
    "simulation/market.py": "makes prices by chance, and floors each to its tick before anybody sees it",
    "simulation/history.py": "the same, of a past",
    "simulation/venue.py": "how often it misbehaves",
    "simulation/faults.py": "how often faults strike",
    "simulation/loop.py": "virtual seconds",
    "edges/paper/accounts.py": "ratios of leverage brackets, which the venue's own protocol tells as numbers",
    "edges/exchanges/binance/feed.py": "sizes of quotes, looked at for being more than none; prices are read as text",
    "edges/exchanges/binance/trades.py": "trades as candles are made of them, for strategies; nothing is sized or booked by them",
    "edges/exchanges/binance/errors.py": "seconds to wait after each code, beside words about margin",
    "edges/exchanges/binance/limits.py": "shares of the weight of requests",
    "edges/http/api/metrics.py": "Prometheus knows nothing else",
    "domain/strategy.py": "what strategies are set to: figures about candles, not one of them money",
    "domain/deployment.py": "the same, as it was set",
    "edges/http/api/strategies.py": "the same, as it is told",
    "edges/http/api/comparison.py": "what the lab computed of trades that are in the books already, for people; nothing is booked by it",
    "domain/figures.py": "bounds of its histograms",
    "views/figures.py": "its samples, and seconds",
    "views/dashboards.py": "the same bounds, written for people",
    "edges/http/api/shapes.py": "ranges in the document; what is sent is read as decimals",
    "domain/weight.py": "shares of the weight of requests",
}
"""Pages whose words do not tell, and what their floats are."""


def floats_of_money(text: str, *, is_strict: bool = True) -> list[tuple[int, str]]:
    """Give the statements of a page that have a float in them, and are about money, or may be."""
    tree = ast.parse(text)
    parents = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
    found = {}
    for node in ast.walk(tree):
        is_type = isinstance(node, ast.Name) and node.id == "float"
        is_number = isinstance(node, ast.Constant) and type(node.value) is float
        if not is_type and not is_number:
            continue
        owner = node
        while not isinstance(owner, (ast.stmt, ast.arg, ast.keyword)):
            owner = parents[owner]
        about = ast.unparse(owner).split("\n")[0]
        words = AGE_OF_MONEY.sub("seconds", f"{about} {_function_of(owner, parents)}".lower())
        is_told_apart = NO_MONEY.search(words) or not is_strict
        if MONEY.search(AGE_OF_MONEY.sub("seconds", about.lower())) or not is_told_apart:
            found[owner.lineno] = about
    return sorted(found.items())


def _function_of(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> str:
    while node in parents:
        node = parents[node]
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return node.name
    return ""


class TestMoney:
    def test_f140_is_no_float_on_any_page_that_handles_it(self):
        found = [
            f"{page.relative_to(SOURCE)}:{line}: {about}"
            for room in ROOMS
            for page in sorted((SOURCE / room).rglob("*.py"))
            for line, about in floats_of_money(page.read_text(encoding="utf-8"), is_strict=room in STRICT)
            if str(page.relative_to(SOURCE)) not in PAGES_WITHOUT_MONEY
        ]

        assert found == []

    @pytest.mark.parametrize(
        "planted",
        [
            "size = float(margin) * leverage / price",
            "quantity: float = 0",
            "fee = notional * 0.0004",
            "def size(price: float) -> Decimal: ...",
            "row = Fill(price=1.5)",
            "stop_price = entry * (1 - percent / 100.0)",
            "def pnl(a, b) -> float:\n    return float(b) - a",
            "wait_seconds = price * 1.5",
        ],
    )
    def test_f140_is_told_of_one_that_is_planted(self, planted):
        """The check itself is checked: a float among money is found."""
        assert floats_of_money(planted) != []

    @pytest.mark.parametrize(
        "honest", ["retry_seconds = 0.5", "price_age_seconds_max: float = 30.0", "x = 1"]
    )
    def test_f140_leaves_time_alone(self, honest):
        assert floats_of_money(honest) == []

    async def test_f140_is_numeric_in_every_column(self, database):
        connection = await asyncpg.connect(database)
        try:
            rows = await connection.fetch(
                """
                SELECT table_name || '.' || column_name AS name FROM information_schema.columns
                WHERE table_schema = 'pregao' AND data_type IN ('real', 'double precision', 'money')
                ORDER BY 1
                """
            )
        finally:
            await connection.close()

        assert [row["name"] for row in rows if MONEY.search(row["name"])] == []
