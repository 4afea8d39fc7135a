"""A bot's page: its rules as a form, what TradingView needs, and nothing of its secret."""

import re
from html.parser import HTMLParser

from pregao.edges.http.api.bots import BotChanges
from pregao.edges.http.api.rules import (
    GuardAsked,
    HoursAsked,
    ModelFilterAsked,
    RiskAsked,
    SymbolAsked,
    TargetAsked,
)
from pregao.signals.messages import MESSAGES, SECRET
from tests.edges.http.api.own_desk import BOTS
from tests.edges.http.console.signed_in import signed_in

NOT_IN_THE_FORM = {
    "status",  # has buttons of its own
    "market_type",  # there is one
}
WHOLE = {
    "name": "EMA cross",
    "allowed_symbols": ["BTCUSDT"],
    "trading_hours": [{"days": [6, 7], "start": "22:00", "end": "02:00", "timezone": "America/Sao_Paulo"}],
    "guard": {
        "stop": {"multiple": "3", "timeframe": "1h"},
        "targets": [{"percent": "3", "share": "0.5"}, {"percent": "6", "share": "0.5"}],
        "trailing": "percent",
    },
    "symbols": [{"symbol": "BTCUSDT", "leverage": 3}],
    "risk": {"capital_usd": "1000", "daily_loss_pct_max": "5"},
    "approval": "manual",
}


class Names(HTMLParser):
    """Collects what the form of rules sends: names, by the row they stand in."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.is_within = False
        self.row = ""
        self.depth = 0

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "form":
            self.is_within = "data-check" in given
        if tag == "div" and self.is_within:
            self.depth += 1 if self.row else 0
            if "data-row" in given:
                self.row, self.depth = given["data-row"], 1
        if self.is_within and "name" in given and tag in ("input", "select", "textarea"):
            self.names.add(f"{self.row}[].{given['name']}" if self.row else given["name"])

    def handle_endtag(self, tag):
        if tag == "form":
            self.is_within = False
        if tag == "div" and self.row:
            self.depth -= 1
            if not self.depth:
                self.row = ""


def names_on(page: str) -> set[str]:
    parser = Names()
    parser.feed(page)
    return parser.names


class TestBot:
    async def test_every_rule_that_can_be_changed_has_its_field(self, admin, desk):
        """A rule that is added to the API and not here fails: the form would send half a guard, or hide a rule."""
        bot = await desk.make_bot(**WHOLE)
        names = names_on((await admin.get(f"/console/bots/{bot['bot_id']}")).text)

        self.has_all(names)

    async def test_every_rule_has_its_field_before_the_bot_is_made(self, admin):
        page = (await admin.get("/console/bots/new")).text

        assert 'data-api="POST /api/v1/bots" data-check="POST /api/v1/bots/check"' in page
        self.has_all(names_on(page))

    def has_all(self, names):
        flat = set(BotChanges.model_fields) - NOT_IN_THE_FORM - {"guard", "risk"}
        assert flat <= names
        assert {f"model_filter.{name}" for name in ModelFilterAsked.model_fields} <= names
        assert {f"guard.{name}" for name in GuardAsked.model_fields} <= names
        assert {f"risk.{name}" for name in RiskAsked.model_fields} <= names
        for rows, kind in (
            ("trading_hours", HoursAsked),
            ("guard.targets", TargetAsked),
            ("symbols", SymbolAsked),
        ):
            assert {f"{rows}[].{name}" for name in kind.model_fields} <= names
        assert {"guard.stop.multiple", "guard.stop.period", "guard.stop.timeframe"} <= names

    async def test_has_every_message_and_no_secret(self, admin, desk):
        bot = await desk.make_bot("EMA cross")

        page = (await admin.get(f"/console/bots/{bot['bot_id']}")).text

        assert page.count('data-secret-of="') == len(MESSAGES)
        assert page.count(SECRET) == len(MESSAGES) + 1
        assert bot["secret"] not in page
        assert bot["webhook_url"] in page

    async def test_an_archived_one_is_only_shown(self, admin, desk):
        bot = await desk.make_bot("EMA cross")
        await desk.client.delete(f"{BOTS}/{bot['bot_id']}")

        page = (await admin.get(f"/console/bots/{bot['bot_id']}")).text

        assert re.search(r'data-api="\w+ /api/v1/bots/', page) is None

    async def test_is_for_those_who_set_bots_up(self, desk):
        bot = await desk.make_bot("EMA cross")
        bruno = await signed_in(desk, "bruno", "trader")

        assert (await bruno.get(f"/console/bots/{bot['bot_id']}")).status_code == 403
        assert f'href="/console/bots/{bot["bot_id"]}"' not in (await bruno.get("/console/bots")).text
