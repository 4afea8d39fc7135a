"""Every action on a page has its documented API call, and sends nothing that the call does not take."""

import json
import re
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pregao.domain.facts import AlertRaised, ForeignPositionSeen
from pregao.domain.order import PositionSide
from pregao.edges.http.answers import intake_openapi
from pregao.edges.http.console.rendering import HOME
from tests.builders import NOON, alert
from tests.edges.http.api.own_desk import SUBSCRIPTIONS
from tests.edges.http.api.test_foreign_orders import foreign_seen
from tests.edges.http.console.signed_in import EMAIL, PAGES

TEMPLATES = HOME / "templates"
ACTION = re.compile(r'data-(?:api|acts|check)="([A-Z]+) ([^"?]+)(?:\?[^"]*)?"')
EXPRESSION = re.compile(r"\{\{\s*(.+?)\s*\}\}|\{\w+\}")
SET = re.compile(r'\{% set (\w+) = "([^"]+)"')
DOORS = {
    "/console/preferences",
    "/console/sign-in",
    "/console/sign-in/code",
    "/console/sign-out",
    "/console/first-run",
}
"""What sets a cookie, and nothing of the desk's (decision 27)."""


TOLD = {"people/tokens.html": {"at": "/api/v1/admin/users/*/tokens"}}
"""What a macro is told by the pages that use it: there are two, and the other one is looked at as it is shown."""


@cache
def bases(folder: Path) -> dict[str, str]:
    """Give the paths that templates of a folder have given names to; they include each other."""
    named = [pair for page in folder.glob("*.html") for pair in SET.findall(page.read_text(encoding="utf-8"))]
    return {name: path.replace("%s", "*") + ("*" if path.endswith("/") else "") for name, path in named}


def in_source() -> list[tuple[str, str, str]]:
    """Give each action of each template: where it stands, its method, its path with `*` for what is filled in."""
    found = []
    for page in sorted(TEMPLATES.rglob("*.html")):
        place = page.relative_to(TEMPLATES).as_posix()
        known = {**bases(page.parent), **TOLD.get(place, {})}
        for method, path in ACTION.findall(page.read_text(encoding="utf-8")):
            found.append((place, method, _plain(path, known)))
    return found


def _plain(path: str, known: dict[str, str]) -> str:
    return EXPRESSION.sub(lambda one: known.get(one[1] or "", "*"), path)


def operation_of(document: dict, method: str, path: str) -> dict | None:
    """Give the documented operation that a path leads to; `*` stands for any one part of it."""
    wanted = path.strip("/").split("/")
    for known, item in document["paths"].items():
        parts = known.strip("/").split("/")
        if len(parts) != len(wanted) or method.lower() not in item:
            continue
        if all(
            one == other or "*" in one or other.startswith("{")
            for one, other in zip(wanted, parts, strict=True)
        ):
            return item[method.lower()]
    return None


def body_of(document: dict, operation: dict) -> set[str] | None:
    """Give the names that an operation's body takes; None where it takes no JSON object of known names."""
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    for one in (schema, *schema.get("anyOf", ())):
        if "$ref" in one:
            return set(
                document["components"]["schemas"][one["$ref"].rpartition("/")[2]].get("properties", ())
            )
    return None


@dataclass
class Form:
    """One form of a page, and what it sends."""

    action: str
    dialog: str
    names: set[str] = field(default_factory=set)


class Forms(HTMLParser):
    """Collects the forms of a page, and what opens their dialogs."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.opened: list[tuple[str, str, set[str]]] = []
        self.others: list[str] = []
        self._dialog, self._form = "", None
        self._rows: list[str] = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "dialog":
            self._dialog = given.get("id", "")
        if tag == "form":
            self._form = None
            if "data-api" in given:
                self._form = Form(given["data-api"], self._dialog)
                self.forms.append(self._form)
            elif given.get("method", "get") == "post":
                self.others.append(given["action"])
        if "data-opens" in given and "data-acts" in given:
            self.opened.append(
                (given["data-opens"], given["data-acts"], set(json.loads(given.get("data-fill") or "{}")))
            )
        if self._form is not None and "name" in given and "data-local" not in given and tag != "button":
            self._form.names.add(given["name"].split(".")[0])
        if self._form is not None and "data-row" in given:
            self._form.names.add(f"[{given['data-row'].split('.')[0]}]")

    def handle_endtag(self, tag):
        if tag == "dialog":
            self._dialog = ""
        if tag == "form":
            self._form = None


@pytest.fixture
async def document(desk) -> dict:
    told = (await desk.client.get("/openapi.json")).json()
    return {**told, "paths": {**told["paths"], **intake_openapi()}}


class TestEveryAction:
    async def test_of_every_template_has_its_documented_call(self, document):
        found = in_source()

        undocumented = [one for one in found if operation_of(document, one[1], one[2]) is None]

        assert undocumented == []
        assert len(found) > 60  # all of them are looked at

    async def test_of_a_used_desk_sends_only_what_its_call_takes(self, desk, admin, document):
        unknown, seen, waiting, opened = [], set(), set(), set()
        for page in (*PAGES, *await used(desk, admin)):
            forms = Forms()
            forms.feed((await admin.get(page)).text)
            assert set(forms.others) <= DOORS, page
            dialogs = {one.dialog: one for one in forms.forms if one.dialog}
            waiting |= {name for name, one in dialogs.items() if one.action == ""}
            opened |= {name for name, _, _ in forms.opened}
            asked = [(one.action, one.names) for one in forms.forms if one.action]
            asked += [
                (action, dialogs[name].names | fills)
                for name, action, fills in forms.opened
                if dialogs[name].action == ""
            ]
            for action, names in asked:
                method, _, path = action.partition(" ")
                operation = operation_of(document, method, re.sub(r"\{\w+\}", "*", path.partition("?")[0]))
                assert operation is not None, (page, action)
                seen.add(operation["operationId"])
                takes = body_of(document, operation)
                if takes is not None:
                    plain = {one for one in names if not one.startswith("[")}
                    of_rows = plain - takes if any(one.startswith("[") for one in names) else set()
                    unknown += [(page, action, name) for name in plain - takes - of_rows]
        assert unknown == []
        assert waiting - opened == set()  # no dialog that rows open goes unseen
        assert len(seen) > 45


async def differs(desk, account_id: int, symbol: str, quantity: str) -> None:
    """Have the venue hold so much more than the books, or less."""
    seen = ForeignPositionSeen(
        happened_at=NOON, account_id=account_id, symbol=symbol, position_side=PositionSide.BOTH,
        quantity=Decimal(quantity),
    )  # fmt: skip
    await desk.append(seen)


async def used(desk, admin) -> list[str]:
    """Use the desk, so that its pages have all their buttons; give the pages of single things."""
    account = await desk.make_account("main")
    bot = await desk.make_bot("Trend")
    joined = await desk.made(SUBSCRIPTIONS, bot_id=bot["bot_id"], account_id=account["account_id"])
    for name in ("Mine", "Other"):
        await desk.made("/api/v1/screener/strategies", name=name, source="static", tickers=["AAPL"])
    await desk.append(AlertRaised(happened_at=NOON, alert=alert(1, title="Look")))
    main = account["account_id"]
    await differs(desk, main, "BTCUSDT", "0.5")
    adopted = {
        "symbol": "BTCUSDT",
        "price": "95000",
        "reason": "x",
        "subscription_id": joined["subscription_id"],
    }
    held = (await desk.client.post(f"/api/v1/drift/{main}/adopt", json=adopted)).json()
    await differs(desk, main, "BTCUSDT", "-0.2")
    await differs(desk, main, "ETHUSDT", "0.5")
    await foreign_seen(desk, account["account_id"])
    address = {"webhook_url": "https://discord.com/api/webhooks/1/secret"}
    channel = (
        await admin.post(
            "/api/v1/alert-channels", json={"name": "Ops", "kind": "discord", "address": address}
        )
    ).json()
    person = await desk.enroll("tom", "trader")
    token = await admin.post("/api/v1/auth/tokens", json={"name": "a program"})
    assert (token.status_code, (await desk.log_in(EMAIL)).status_code) == (201, 200)
    return [
        "/console/begin",
        f"/console/accounts/{account['account_id']}",
        f"/console/bots/{bot['bot_id']}",
        f"/console/subscriptions/{joined['subscription_id']}",
        f"/console/alerts/channels/{channel['channel_id']}",
        f"/console/people/{person.user_id}",
        f"/console/positions/{held['position_id']}",
    ]
