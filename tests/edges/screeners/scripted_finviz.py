"""A Finviz of our own: it counts who comes, shows pages, and refuses as the real one does, with HTTP 200."""

import gzip
import json
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from pregao.domain.screener import Source, Strategy
from pregao.edges.screeners.finviz import Finviz, FinvizAccess
from tests.builders import NOON, strategy

REAL = Path(__file__).parents[4] / "shared" / "data" / "finviz"
needs_real_pages = pytest.mark.skipif(
    not REAL.is_dir(), reason="the recorded pages of the screener are not beside this checkout"
)
REFUSAL = "Too many requests."


def real_page(name):
    return gzip.decompress((REAL / f"{name}.html.gz").read_bytes()).decode()


def expected_pages():
    return json.loads((REAL / "screener_expected.json").read_text()) if REAL.is_dir() else []


def small_page(tickers, *, first=1, total=None):
    """Give a page as it is since the redesign: heads are th, rows have a class of their own."""
    rows = "".join(
        f'<tr class="styled-row" data-boxover-ticker="{one}"><td><a>{first + place}</a></td>'
        f"<td><a class=tab-link>{one}</a></td><td>The {one} &amp; Sons</td></tr>"
        for place, one in enumerate(tickers)
    )
    of = first + len(tickers) - 1 if total is None else total
    return (
        f"<html><div id=screener-total>#{first} / {of} Total</div><table><tr><td>"
        '<table class="screener_table"><thead><tr><th>No.</th><th>Ticker</th><th>Company</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></td></tr></table></html>"
    )


@dataclass
class ScriptedFinviz:
    """Shows ``pages`` by their first row; does first what stands in ``troubles``."""

    address: str = ""
    pages: dict[str, str] = field(default_factory=dict)
    export: str = ""
    troubles: deque = field(default_factory=deque)  # statuses, or texts that come with 200
    asked: list[str] = field(default_factory=list)
    logins: list[dict] = field(default_factory=list)
    password: str = ""  # set: pages are for who has logged in
    slept: list[float] = field(default_factory=list)
    paced: int = 0

    async def pace(self):
        self.paced += 1

    async def sleep(self, seconds):
        self.slept.append(seconds)

    def access(self, **changes):
        return FinvizAccess(**{"hosts": (self.address.removeprefix("http://"),), **changes})

    def strategy(self, **changes) -> Strategy:
        given = {
            "source": Source.FINVIZ,
            "address": f"{self.address}/screener.ashx?v=111&f=exch_nyse,cap_small",
        }
        return strategy(**{**given, **changes})

    async def answer(self, request):
        self.asked.append(str(request.rel_url))
        if self.troubles:
            trouble = self.troubles.popleft()
            return web.Response(status=trouble) if isinstance(trouble, int) else web.Response(text=trouble)
        if self.password and request.cookies.get("session") != "known":
            raise web.HTTPFound("/login.ashx")
        if request.path == "/export.ashx":
            return web.Response(text=self.export, content_type="text/csv")
        return web.Response(text=self.pages[request.query.get("r", "1")], content_type="text/html")

    async def log_in(self, request):
        form = dict(await request.post())
        self.logins.append(form)
        answer = web.Response(status=302 if form["password"] == self.password else 200)
        if form["password"] == self.password:
            answer.set_cookie("session", "known")
        return answer


@asynccontextmanager
async def scripted_finviz():
    scripted = ScriptedFinviz()
    app = web.Application()
    app.router.add_post("/login", scripted.log_in)
    app.router.add_get("/{path:.*}", scripted.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    scripted.address = f"http://127.0.0.1:{port}"
    try:
        yield scripted
    finally:
        await runner.cleanup()


@asynccontextmanager
async def reading(scripted, *, clock=lambda: NOON, **access):
    finviz = Finviz(scripted.access(**access), pace=scripted.pace, clock=clock, sleep=scripted.sleep)
    try:
        yield finviz
    finally:
        await finviz.close()
