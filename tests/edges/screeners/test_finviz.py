"""Finviz over HTTP: whole lists or none, refusals that come with HTTP 200, patience, logins, no stranger's host."""

from collections import deque
from datetime import timedelta

import pytest

from pregao.domain.screener import Source
from pregao.edges.screeners.finviz import ATTEMPTS, page_address
from pregao.market.ports import ScreenError
from pregao.market.universe import ranked
from tests.builders import NOON
from tests.edges.screeners.scripted_finviz import (
    REAL,
    REFUSAL,
    expected_pages,
    needs_real_pages,
    reading,
    real_page,
    scripted_finviz,
    small_page,
)

FIRST = [f"A{number}" for number in range(20)]
SECOND = ["B1", "B2", "B3"]
TWO_PAGES = {"1": small_page(FIRST, total=23), "21": small_page(SECOND, first=21, total=23)}


@pytest.fixture
async def site():
    async with scripted_finviz() as site:
        yield site


async def listed(site, *, access=None, **changes):
    async with reading(site, **(access or {})) as finviz:
        return list(await finviz.pages.tickers(site.strategy(**changes)))


async def refusal_of(site, *, access=None, **changes):
    with pytest.raises(ScreenError) as refused:
        await listed(site, access=access, **changes)
    return refused.value.code


class TestRealPages:
    @needs_real_pages
    @pytest.mark.parametrize("view", ["overview", "technical", "custom"])
    async def test_are_read_to_the_last_row_in_their_order(self, site, view):
        site.pages = {
            "1": real_page(f"screener_{view}_page1"),
            "21": real_page(f"screener_{view}_page2"),
        }
        pages = [one for one in expected_pages() if view in one["file"]]
        wanted = [row[one["columns"].index("Ticker")] for one in pages for row in one["rows"]]

        found = await listed(site)

        assert (found, len(found)) == (wanted, 31)
        assert [one.rpartition("&")[2] for one in site.asked] == ["r=1", "r=21"]

    @needs_real_pages
    async def test_make_no_list_when_the_second_was_refused(self, site):
        """The recorded refusal came with HTTP 200 between two good pages."""
        site.pages = {"1": real_page("screener_overview_page1"), "21": REFUSAL}

        assert await refusal_of(site) == "SCREENER_REFUSED"
        assert site.slept == [1, 2, 4, 8, 16]

    @needs_real_pages
    async def test_are_read_from_the_export_too(self, site):
        site.export = (REAL / "export_v151_sample.csv").read_text()
        strategy = site.strategy(source=Source.FINVIZ_EXPORT, address=f"{site.address}/export.ashx?v=151")

        async with reading(site, export_token="words") as finviz:
            found = await finviz.export.tickers(strategy)

        assert len(found) == 6
        assert ranked(found, top_n=3) == tuple(found[:3])
        assert site.asked == ["/export.ashx?v=151&auth=words"]


class TestPages:
    async def test_are_asked_for_until_the_list_is_long_enough(self, site):
        site.pages = {"1": small_page(FIRST, total=5_000)}

        found = await listed(site, top_n=20)

        assert (found, len(site.asked), site.paced) == (FIRST, 1, 1)

    async def test_end_where_the_results_end(self, site):
        site.pages = TWO_PAGES

        assert await listed(site, top_n=100) == FIRST + SECOND
        assert len(site.asked) == 2

    async def test_may_be_asked_slowly(self, site):
        site.pages = TWO_PAGES

        await listed(site, page_pause_seconds=3)

        assert site.slept == [3]

    @pytest.mark.parametrize("trouble", [REFUSAL, 429, 403, 500, 503])
    async def test_are_asked_for_again_when_they_were_refused(self, site, trouble):
        site.pages, site.troubles = TWO_PAGES, deque([trouble, trouble])

        assert await listed(site) == FIRST + SECOND
        assert site.slept == [1, 2]
        assert site.paced == 4, "every attempt counts"

    async def test_are_given_up_after_six_attempts(self, site):
        site.troubles = deque([REFUSAL] * 20)

        assert await refusal_of(site) == "SCREENER_REFUSED"
        assert len(site.asked) == ATTEMPTS

    @pytest.mark.parametrize(
        ("page", "code"),
        [
            ("<html><body><h1>A new look</h1></body></html>", "SCREENER_PAGE_CHANGED"),
            ("", "SCREENER_PAGE_CHANGED"),
            ("<table><tr><td>Symbol</td></tr><tr><td>AAPL</td></tr></table>", "SCREENER_PAGE_CHANGED"),
            (small_page(FIRST[:7], total=23), "SCREENER_INCOMPLETE"),
            (small_page(FIRST, first=41, total=100), "SCREENER_INCOMPLETE"),
        ],
    )
    async def test_that_changed_or_lack_rows_make_no_list(self, site, page, code):
        site.pages = {"1": page}

        assert await refusal_of(site) == code
        assert len(site.asked) == 1, "asking again gives the same"

    async def test_without_a_result_are_an_empty_list(self, site):
        site.pages = {"1": "<table><tr><td><b>Total: </b>0</td></tr></table>"}

        assert await listed(site) == []

    async def test_without_a_column_of_tickers_are_read_by_the_rows_themselves(self, site):
        site.pages = {"1": '<tr data-boxover-ticker="AAPL"></tr><td data-boxover-ticker="MSFT"></td>'}

        assert await listed(site) == ["AAPL", "MSFT"]

    async def test_of_a_company_called_too_many_requests_are_no_refusal(self, site):
        site.pages = {"1": small_page(["TMR"]).replace("Sons", "Too many requests Inc.")}

        assert await listed(site) == ["TMR"]

    async def test_of_another_host_are_never_asked_for(self, site):
        assert await refusal_of(site, address="http://169.254.169.254/screener.ashx") == (
            "SCREENER_ADDRESS_UNUSABLE"
        )
        assert site.asked == []

    async def test_that_nobody_answers_for_are_away(self, site):
        taken = site.strategy()
        async with reading(site) as finviz:
            dead = taken.address.replace(site.address, "http://127.0.0.1:9")
            finviz.access = site.access(hosts=("127.0.0.1:9",))
            with pytest.raises(ScreenError) as away:
                await finviz.fetch(dead, str)

        assert (away.value.code, away.value.is_temporary) == ("SCREENER_AWAY", True)

    def test_keep_the_other_parameters_as_they_were_written(self):
        address = "https://finviz.com/screener.ashx?v=111&f=exch_nyse,cap_small&r=41&o=-volume"

        assert page_address(address, first_row=21) == (
            "https://finviz.com/screener.ashx?v=111&f=exch_nyse,cap_small&o=-volume&r=21"
        )


class TestElite:
    async def test_logs_in_once_and_again_after_55_minutes(self, site):
        site.pages, site.password = {"1": small_page(FIRST)}, "words"
        now = NOON
        login = {
            "is_elite": True,
            "login_url": f"{site.address}/login",
            "email": "a@b.c",
            "password": "words",
        }

        async with reading(site, clock=lambda: now, **login) as finviz:
            first = await finviz.pages.tickers(site.strategy())
            now = NOON + timedelta(minutes=54)
            await finviz.pages.tickers(site.strategy())
            before = len(site.logins)
            now = NOON + timedelta(minutes=55)
            await finviz.pages.tickers(site.strategy())

        assert (list(first), before, len(site.logins)) == (FIRST, 1, 2)
        assert site.logins[0] == {"email": "a@b.c", "password": "words"}

    async def test_says_that_the_login_was_refused(self, site):
        site.pages, site.password = {"1": small_page(FIRST)}, "words"
        login = {
            "is_elite": True,
            "login_url": f"{site.address}/login",
            "email": "a@b.c",
            "password": "other",
        }

        assert await refusal_of(site, access=login) == "SCREENER_LOGIN_REFUSED"

    async def test_reads_a_hundred_rows_on_a_page(self, site):
        many = [f"C{number}" for number in range(100)]
        site.pages = {"1": small_page(many, total=150), "101": small_page(FIRST, first=101, total=120)}

        assert await listed(site, access={"is_elite": True}, top_n=120) == many + FIRST


class TestExport:
    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("No.,Name\n1,Apple\n", "SCREENER_EXPORT_CHANGED"),
            ("<html>please log in</html>", "SCREENER_PAGE_CHANGED"),
            ("Too many requests.", "SCREENER_REFUSED"),
            ("No.,Ticker,Company\n1,AAPL,Apple\n2,MS", "SCREENER_INCOMPLETE"),
            ("", "SCREENER_PAGE_CHANGED"),
        ],
    )
    async def test_that_is_none_makes_no_list(self, site, text, code):
        site.export = text
        strategy = site.strategy(source=Source.FINVIZ_EXPORT, address=f"{site.address}/export.ashx?v=111")

        async with reading(site) as finviz:
            with pytest.raises(ScreenError) as refused:
                await finviz.export.tickers(strategy)

        assert refused.value.code == code

    async def test_is_read_by_the_head_of_its_column(self, site):
        site.export = '\ufeff"Company","Ticker"\r\n"Apple, Inc.","AAPL"\r\n"Berkshire","BRK-B"\r\n\r\n'
        strategy = site.strategy(source=Source.FINVIZ_EXPORT, address=f"{site.address}/export.ashx?v=111")

        async with reading(site) as finviz:
            assert await finviz.export.tickers(strategy) == ["AAPL", "BRK-B"]
