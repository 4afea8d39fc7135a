"""How a page is made: its template, the language and theme of whoever looks, and what a browser may do with it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from pregao.accounts.principal import Principal
from pregao.domain.user import Role
from pregao.edges.http.console.languages import LANGUAGES, Language, language, preferred

HOME = Path(__file__).parent
STATIC = HOME / "static"
STATIC_PATH = "/console/static"
LANGUAGE_COOKIE, THEME_COOKIE = "pregao_language", "pregao_theme"
THEMES = frozenset({"light", "dark"})

# Scripts and styles come from files of ours alone; nothing inline, nothing from elsewhere, no frame around us.
# The hash is of the few rules that lightweight-charts writes for its link to TradingView, which its licence asks for.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'sha256-3pRED1tOXas1FXFoPb9TGCjmYe9XQsmO9OV23khV2nY='; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # forms of ours say where they come from, and nobody else is told
    "Cache-Control": "no-store",  # what a page shows is for whoever has signed in
}

# What console.js says; the rest is said by templates.
WORDS = (
    "Between {minimum} and {maximum}.",
    "live",
    "reconnecting",
    "Done.",
    "Copied.",
    "The desk did not answer.",
    "This value cannot be used.",
    "No candles now, fills and stops only: {code}",
    "Candles of {length}; arrows are fills, the line is the stop.",
    "Type {word} to go on.",
    "Position {id} stands without a stop",
)


@dataclass(frozen=True, slots=True)
class Place:
    """A page in the bar, and the key that leads to it after `g`."""

    path: str
    title: str
    key: str
    group: str
    role: Role = Role.VIEWER  # the least that sees it


PLACES = (
    Place("/admin", "Overview", "v", "What happens"),
    Place("/console/signals", "Signals", "s", "What happens"),
    Place("/console/approvals", "Approvals", "a", "What happens", Role.OPERATOR),
    Place("/console/orders", "Orders", "o", "What happens"),
    Place("/console/positions", "Positions", "p", "What happens"),
    Place("/console/stops", "Stops", "t", "What happens"),
    Place("/console/performance", "Performance", "e", "What happens"),
    Place("/console/sell-all", "Sell all", "x", "What happens", Role.TRADER),
    Place("/console/bots", "Bots", "b", "Who trades"),
    Place("/console/subscriptions", "Subscriptions", "f", "Who trades"),
    Place("/console/accounts", "Accounts", "c", "Who trades"),
    Place("/console/screener", "Screener", "n", "Who trades", Role.OPERATOR),
    Place("/console/strategies", "Strategies", "y", "Who trades"),
    Place("/console/lab", "Lab", "r", "Who trades"),
    Place("/console/models", "Models", "k", "Who trades", Role.OPERATOR),
    Place("/console/alerts", "Alerts", "l", "The desk"),
    Place("/console/operations", "Operations", "w", "The desk", Role.OPERATOR),
    Place("/console/people", "People", "u", "The desk", Role.ADMIN),
    Place("/console/audit", "Audit log", "d", "The desk", Role.ADMIN),
    Place("/console/settings", "Settings", "i", "The desk", Role.ADMIN),
    Place("/console/me", "My account", "m", "The desk"),
)


@cache
def templates() -> Environment:
    """Read the templates once, when the first page is asked for."""
    made = Environment(
        loader=FileSystemLoader(HOME / "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        enable_async=False,
    )
    made.globals["asset"] = asset
    return made


@cache
def asset(name: str) -> str:
    """Give the address of a file of ours; it changes with what is in the file, so a browser may keep it for ever."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"{STATIC_PATH}/{name}?{digest}"


def language_of(request: Request) -> Language:
    """Give the language somebody chose, else the one his browser prefers."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    return language(chosen if chosen in LANGUAGES else preferred(request.headers.get("accept-language", "")))


def render(
    request: Request,
    template: str,
    values: Mapping[str, Any] | None = None,
    *,
    who: Principal | None,
    status: int = 200,
) -> HTMLResponse:
    """Make a page; to htmx only what stands within its frame."""
    said = language_of(request)
    theme = request.cookies.get(THEME_COOKIE, "")
    path = request.url.path
    context = {
        "_": said.say,
        "language": said,
        "languages": LANGUAGES,
        "theme": theme if theme in THEMES else "",
        "who": who,
        "pages": [one for one in PLACES if who is not None and who.role.includes(one.role)],
        "here": path,
        "back": path + (f"?{request.url.query}" if request.url.query else ""),
        "layout": "part.html" if "hx-request" in request.headers else "page.html",
        "page_words": {word: said.say(word) for word in WORDS},
        **(values or {}),
    }
    return HTMLResponse(templates().get_template(template).render(context), status, headers=dict(HEADERS))
