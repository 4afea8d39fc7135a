"""Lists on pages: what somebody chose stands in the address, and is kept by every link."""

import re
from html import unescape
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlsplit

import pytest
from starlette.requests import Request

from pregao.edges.http.console.lists import arrange, asked_of
from tests.edges.http.api.test_sorted_lists import five_orders


def asked(query: str = "", **more):
    scope = {"type": "http", "path": "/console/orders", "query_string": query.encode(), "headers": []}
    return asked_of(Request(scope), **{"sorts": ("fees",), "usual": {"status": "live"}, **more})


class TestAsked:
    def test_an_address_says_only_what_is_unusual(self):
        assert asked("q=&status=live&sort=-time").address() == "/console/orders"
        assert asked("q=btc&status=").address() == "/console/orders?status=&q=btc"

    def test_a_column_sorts_by_the_most_then_by_the_least(self):
        first = asked("q=btc&before=x").sorted_by("fees")
        again = asked(urlsplit(first).query).sorted_by("fees")

        assert (first, again) == (
            "/console/orders?q=btc&sort=-fees",
            "/console/orders?q=btc&sort=fees",
        )
        assert asked("sort=fees").direction("fees") == "ascending"
        assert asked("sort=-fees").direction("fees") == "descending"

    @pytest.mark.parametrize("query", ["sort=body", "sort=-", "sort=%00", "sort="])
    def test_sorts_by_time_where_no_such_column_is(self, query):
        assert asked(query).sort == "-time"

    def test_a_following_page_keeps_all_that_was_chosen_and_a_choice_leads_to_the_first(self):
        page = asked("q=a%26b&sort=fees&before=p1")

        assert dict(parse_qsl(urlsplit(page.after("p2")).query)) == {
            "q": "a&b",
            "sort": "fees",
            "before": "p2",
        }
        assert "before" not in page.address(status="closed")
        assert page.itself == page.after("p1")

    def test_a_text_that_no_database_holds_is_changed_and_a_long_one_cut(self):
        assert asked("q=a%00b").search == "a\N{REPLACEMENT CHARACTER}b"
        assert len(asked("q=" + "x" * 200).search) == 80


LINES = (
    SimpleNamespace(name="Bruno", rank=None),
    SimpleNamespace(name="ana", rank=2),
    SimpleNamespace(name="Clara", rank=1),
)
BY = {"name": lambda one: one.name.casefold(), "rank": lambda one: one.rank}


class TestArrange:
    def names(self, query: str) -> list[str]:
        return [one.name for one in arrange(LINES, asked(query, sorts=BY, usual_sort="name"), by=BY)]

    def test_what_is_not_known_comes_last_both_ways(self):
        assert self.names("sort=rank") == ["Clara", "ana", "Bruno"]
        assert self.names("sort=-rank") == ["ana", "Clara", "Bruno"]
        assert self.names("") == ["ana", "Bruno", "Clara"]

    def test_finds_in_capitals_or_not(self):
        assert self.names("q=AN") == ["ana"]


class TestOrders:
    async def test_page_after_page_shows_every_order_and_the_file_is_of_the_same_list(self, desk, admin):
        await five_orders(desk)

        page = await admin.get("/console/orders?q=btc&sort=-quantity&phase=opening")

        shown = re.findall(r'<tr id="order-(p\d)"', page.text)
        file = unescape(re.search(r'href="(/api/v1/orders[^"]+)"', page.text)[1])
        lines = (await admin.get(file)).text.splitlines()
        assert shown == ["p5", "p3", "p4", "p2"]
        assert [line.split(",")[0] for line in lines[1:]] == shown
        assert 'aria-sort="descending"' in page.text
        assert "asked 0 times" in page.text
        assert dict(parse_qsl(urlsplit(file).query)) == {
            "phase": "opening",
            "search": "btc",
            "sort": "-quantity",
            "format": "csv",
        }

    async def test_says_what_to_do_where_nothing_is_like_that(self, desk, admin):
        await five_orders(desk)

        page = await admin.get("/console/orders?q=nothing")

        assert "Nothing here is like that." in page.text
        assert 'href="/console/orders">Show all of it' in page.text

    @pytest.mark.parametrize("place", ["x", "WyJ4Il0", "é"])
    async def test_refuses_a_place_that_is_none(self, admin, place):
        assert (await admin.get("/console/orders", params={"before": place})).status_code == 422


class TestAccounts:
    async def test_are_searched_and_sorted(self, desk, admin):
        for name in ("Bruno", "ana", "Clara"):
            await desk.make_account(name)

        usual = (await admin.get("/console/accounts")).text
        found = (await admin.get("/console/accounts?q=AN")).text
        back = (await admin.get("/console/accounts?sort=-name")).text
        nobody = (await admin.get("/console/accounts?q=nobody")).text

        names = re.compile(r'<a href="/console/accounts/\d+">(\w+)</a>')
        assert [names.findall(page) for page in (usual, found, back, nobody)] == [
            ["ana", "Bruno", "Clara"],
            ["ana"],
            ["Clara", "Bruno", "ana"],
            [],
        ]
        assert "Nothing here is like that." in nobody
