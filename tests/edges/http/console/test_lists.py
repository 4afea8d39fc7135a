"""Lists on pages: what somebody chose stands in the address, and is kept by every link."""

import csv
import io
import re
from datetime import timedelta
from decimal import Decimal
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlsplit

import pytest
from starlette.requests import Request

from pregao.domain.alert import AlertLevel, Mute
from pregao.domain.bot import Approval
from pregao.domain.breaker import VENUE, Breakers
from pregao.domain.facts import AlertRaised, AlertsMuted, ForeignCancelAsked, ForeignPositionSeen, LabRunAsked
from pregao.domain.lab import Contender, LabKind, LabRequest
from pregao.domain.order import PositionSide
from pregao.edges.http.console.lists import ROWS, arrange, asked_of
from pregao.edges.ids import uuid7
from pregao.edges.postgres.breakers import SharedBreakers
from tests.builders import NOON, alert, bot, configured
from tests.edges.http.api.own_desk import SUBSCRIPTIONS
from tests.edges.http.api.test_approvals import asked as waiting_for_a_person
from tests.edges.http.api.test_foreign_orders import foreign_seen, resting
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


NAMES = ("Bruno", "ana", "Clara")


async def three_bots(desk) -> None:
    for name in NAMES:
        await desk.make_bot(name)


async def three_subscriptions(desk) -> None:
    bot = await desk.make_bot("followed")
    for name in NAMES:
        account = await desk.make_account(name)
        await desk.made(SUBSCRIPTIONS, bot_id=bot["bot_id"], account_id=account["account_id"])


async def three_alerts(desk) -> None:
    for number, name in enumerate(NAMES, start=1):
        await desk.append(AlertRaised(happened_at=NOON, alert=alert(number, title=name)))


async def three_answered(desk) -> None:
    await desk.append(*configured(bots=[bot(approval=Approval.MANUAL)], accounts=1))
    for name in NAMES:
        signal_id = uuid7(NOON)
        await desk.append(*waiting_for_a_person(signal_id))
        said = await desk.client.post(f"/api/v1/approvals/{signal_id}/decline", json={"reason": name})
        assert said.status_code == 200, said.text


async def three_people(desk) -> None:
    for name in ("Clara", "Bruno"):  # and Ana, who looks
        await desk.enroll(name)


async def three_runs(desk) -> None:
    request = LabRequest(contenders=(Contender(strategy="ema_cross"),))
    for name in NAMES:
        asked = {"kind": LabKind.RUN, "symbol": name, "timeframe": "15m", "request": request}
        await desk.append(
            LabRunAsked(happened_at=NOON, run_id=uuid7(NOON), user_id=None, asked_by="Ana", **asked)
        )


async def three_workers(desk) -> None:
    for name in NAMES:
        await desk.journal.pool.execute(
            "INSERT INTO workers (worker_id, role, lease_epoch, lease_until) VALUES ($1, 'web', 1, now() + interval '1 h')", name
        )  # fmt: skip


async def three_breakers(desk) -> None:
    await broken(desk, *NAMES)


async def broken(desk, *names: str) -> None:
    breakers = Breakers(monotonic=lambda: 0.0, clock=lambda: NOON)
    for name in names:
        one = breakers.get(name, VENUE)
        for _ in range(VENUE.failure_threshold):
            one.fail(one.begin())
    await SharedBreakers(desk.journal.pool, breakers, told_by="trader-1", ring=lambda: None).look()


async def three_backups(desk) -> None:
    folder = Path((await desk.client.get("/api/v1/backups")).json()["folder"])
    folder.mkdir(exist_ok=True)
    for name in NAMES:
        (folder / f"{name} .backup").write_bytes(b"PK")


async def three_mutes(desk) -> None:
    for name in NAMES:
        mute = Mute(
            mute_id=uuid7(NOON), user_id=None, kind=None, level_max=AlertLevel.ERROR, until=NOON + timedelta(hours=1),
            reason="", muted_by=name,
        )  # fmt: skip
        await desk.append(AlertsMuted(happened_at=NOON, mute=mute))


async def three_differences(desk) -> None:
    account_id = (await desk.make_account("main"))["account_id"]
    for name in NAMES:
        seen = ForeignPositionSeen(
            happened_at=NOON, account_id=account_id, symbol=name, position_side=PositionSide.BOTH, quantity=Decimal(1)
        )  # fmt: skip
        await desk.append(seen)


async def three_foreign_orders(desk) -> None:
    account_id = (await desk.make_account("main"))["account_id"]
    orders = [
        resting(symbol=name, exchange_order_id=str(number)) for number, name in enumerate(NAMES, start=1)
    ]
    await foreign_seen(desk, account_id, *orders)


async def three_taken_back(desk) -> None:
    account_id = (await desk.make_account("main"))["account_id"]
    for number, name in enumerate(NAMES, start=1):
        asked = ForeignCancelAsked(
            happened_at=NOON, cancel_id=uuid7(NOON), account_id=account_id, order=resting(exchange_order_id=str(number)),
            reason="", asked_by=name, user_id=None, source_address="",
        )  # fmt: skip
        await desk.append(asked)


class TestEveryList:
    """Each is searched, sorted both ways, and had as a file of the very lines that are shown."""

    @pytest.mark.parametrize(
        ("given", "page", "sort", "field"),
        [
            (three_bots, "/console/bots", "name", "name"),
            (three_subscriptions, "/console/subscriptions", "account_name", "account_name"),
            (three_alerts, "/console/alerts", "title", "title"),
            (three_people, "/console/people", "name", "name"),
            (three_runs, "/console/lab", "symbol", "symbol"),
            (three_workers, "/console/operations/workers", "worker_id", "worker_id"),
            (three_breakers, "/console/operations/breakers", "name", "name"),
            (three_mutes, "/console/alerts/mutes", "muted_by", "muted_by"),
            (three_differences, "/console/operations/differences", "symbol", "symbol"),
            (three_foreign_orders, "/console/operations/orders", "symbol", "symbol"),
            (three_taken_back, "/console/operations/taken-back", "asked_by", "asked_by"),
        ],
    )
    async def test_is_searched_sorted_and_had_as_a_file(self, desk, admin, given, page, sort, field):
        await given(desk)

        up = await self.names(admin, f"{page}?sort={sort}", field)
        down = await self.names(admin, f"{page}?sort=-{sort}", field)
        found = await self.names(admin, f"{page}?q=AR", field)
        none = await admin.get(f"{page}?q=nobody-is-called-so")

        assert [name.casefold() for name in up] == ["ana", "bruno", "clara"]
        assert down == up[::-1]
        assert found == ["Clara"]
        assert "Nothing here is like that." in none.text

    async def names(self, admin, address: str, field: str) -> list[str]:
        """Give the names of the file that a page offers, when they stand on the page in the same order."""
        page = (await admin.get(address)).text
        file = unescape(re.search(r'download href="([^"]+)"', page)[1])
        answer = await admin.get(file)
        assert answer.headers["content-type"].startswith("text/csv"), answer.text
        names = [line[field] for line in csv.DictReader(io.StringIO(answer.text))]
        shown = page[page.index('id="list"') :]
        places = [re.search(rf"[> ]{re.escape(name)}[< ]", shown).start() for name in names]
        assert places == sorted(places)
        return names

    async def test_goes_on_where_the_page_before_ended(self, desk, admin):
        for number in range(ROWS + 2):
            await desk.make_bot(f"Bot {number:03}")

        first = await admin.get("/console/bots?sort=name")
        following = unescape(re.search(r'rel="next" href="([^"]+)"', first.text)[1])
        second = await admin.get(following)

        names = re.compile(r"Bot (\d{3})</a>")
        shown = names.findall(first.text) + names.findall(second.text)
        assert shown == [f"{number:03}" for number in range(ROWS + 2)]
        assert 'rel="next"' not in second.text

    async def test_of_files_is_searched_and_sorted_too(self, desk, admin):
        await three_backups(desk)

        page = (await admin.get("/console/operations/backups?sort=-name&q=backup")).text
        found = (await admin.get("/console/operations/backups?q=AR")).text

        names = re.compile(r"<code>(\w+) [.]backup</code>")
        assert (names.findall(page), names.findall(found)) == (["Clara", "Bruno", "ana"], ["Clara"])

    @pytest.mark.parametrize("sort", ["name", "-failure_count"])
    async def test_that_is_held_whole_goes_on_where_the_page_before_ended(self, desk, admin, sort):
        await broken(desk, *(f"venue {number:03}" for number in range(ROWS + 2)))

        first = (await admin.get(f"/console/operations/breakers?sort={sort}")).text
        second = (await admin.get(unescape(re.search(r'rel="next" href="([^"]+)"', first)[1]))).text

        names = re.compile(r'data-label="Name">venue (\d{3})<')
        shown = names.findall(first) + names.findall(second)
        assert len(names.findall(first)) == ROWS
        assert sorted(shown) == [f"{number:03}" for number in range(ROWS + 2)]
        assert 'rel="next"' not in second


class TestApprovals:
    async def test_what_was_answered_is_searched_and_had_as_a_file(self, desk, admin):
        await three_answered(desk)

        page = (await admin.get("/console/approvals?status=answered&q=AR&sort=answered_at")).text

        file = unescape(re.search(r'download href="([^"]+)"', page)[1])
        lines = list(csv.DictReader(io.StringIO((await admin.get(file)).text)))
        assert [one["reason"] for one in lines] == ["Clara"]
        assert "Clara" in page
        assert "Bruno" not in page

    async def test_what_waits_is_searched_too(self, desk, admin):
        await desk.append(*configured(bots=[bot(approval=Approval.MANUAL)], accounts=1))
        await desk.append(*waiting_for_a_person(uuid7(NOON)))

        found = (await admin.get("/console/approvals?q=btc")).text
        none = (await admin.get("/console/approvals?q=eth")).text

        assert 'data-api="POST /api/v1/approvals/' in found
        assert 'data-api="POST /api/v1/approvals/' not in none
        assert "Nothing here is like that." in none

    async def test_what_waits_goes_on_beyond_a_page_and_is_had_as_a_file(self, desk, admin):
        """However many wait, each is shown once, the oldest first or as somebody sorts them."""
        await desk.append(*configured(bots=[bot(approval=Approval.MANUAL)], accounts=1))
        ids = [uuid7(NOON) for _ in range(ROWS + 3)]
        await desk.append(*(fact for one in ids for fact in waiting_for_a_person(one)))

        first = (await admin.get("/console/approvals?sort=expires_at")).text
        following = unescape(re.search(r'rel="next" href="([^"]+)"', first)[1])
        second = (await admin.get(following)).text

        cards = re.compile(r'id="signal-([0-9a-f-]{36})"')
        shown = cards.findall(first) + cards.findall(second)
        assert (len(cards.findall(first)), sorted(shown)) == (ROWS, sorted(str(one) for one in ids))
        file = unescape(re.search(r'download href="([^"]+)"', first)[1])
        lines = list(csv.DictReader(io.StringIO((await admin.get(file)).text)))
        assert [one["signal_id"] for one in lines] == shown
        assert f"Approve all {ROWS} shown here" in first
