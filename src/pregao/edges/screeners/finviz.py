"""
Finviz's screener, its pages and its export, asked slowly and patiently.

What it refuses, it often refuses with HTTP 200. A list of which one page is missing is no list.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar
from urllib.parse import quote_plus, urlsplit, urlunsplit

import httpx

from pregao.domain.clock import Clock
from pregao.domain.screener import Strategy
from pregao.edges.screeners.export import read_export
from pregao.edges.screeners.pages import ScreenerPage, read_page
from pregao.market.pacing import ROWS_PER_PAGE, ROWS_PER_PAGE_ELITE, pages_of
from pregao.market.ports import ScreenError

ATTEMPTS = 6  # per page; waits between them are 1, 2, 4, … seconds
WAIT_SECONDS_MAX = 60.0
ANSWER_SECONDS_MAX = 15.0
ANSWER_BYTES_MAX = 8_000_000  # a page of all columns has 300,000
LOGIN_AGE_MAX = timedelta(minutes=55)
HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",  # others are refused
    "Accept": "text/html,text/csv;q=0.9",
}

Read = TypeVar("Read")

Pace = Callable[[], Awaitable[None]]
"""Returns when one more request may be made."""
Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FinvizAccess:
    """How we come to Finviz: as anybody, or with a paid login; and to which hosts its words may go."""

    hosts: Sequence[str] = ("finviz.com", "www.finviz.com", "elite.finviz.com")
    is_elite: bool = False
    login_url: str = ""
    email: str = ""
    password: str = field(default="", repr=False)
    export_token: str = field(default="", repr=False)

    @property
    def rows_per_page(self) -> int:
        return ROWS_PER_PAGE_ELITE if self.is_elite else ROWS_PER_PAGE


class Finviz:
    """One connection to Finviz; ``pages`` and ``export`` are its two screens."""

    def __init__(
        self,
        access: FinvizAccess,
        *,
        pace: Pace,
        clock: Clock,
        sleep: Sleep = asyncio.sleep,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Ask nothing yet; every request waits for ``pace``."""
        self.access = access
        self.pages = FinvizPages(self)
        self.export = FinvizExport(self)
        self.sleep = sleep
        self._pace = pace
        self._clock = clock
        self._logged_in_at: datetime | None = None
        self._client = httpx.AsyncClient(
            headers=HEADERS, timeout=ANSWER_SECONDS_MAX, follow_redirects=False, transport=transport
        )

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    async def fetch(self, address: str, read: Callable[[str], Read]) -> Read:
        """
        Give what ``read`` makes of what stands at an address, after as many attempts as it takes and patience allows.

        :raises ScreenError: when it is refused, away, somebody else's, or cannot be read.
        """
        self._check_host(address)
        for attempt in range(ATTEMPTS):
            try:
                await self._log_in_if_due()
                return await asyncio.to_thread(read, await self._fetch_once(address))
            except ScreenError as trouble:
                if not trouble.is_temporary or attempt + 1 == ATTEMPTS:
                    raise
            await self.sleep(min(WAIT_SECONDS_MAX, 2.0**attempt))
        raise AssertionError("the last attempt returns or raises")

    def _check_host(self, address: str) -> None:
        # A login's cookies and the export's token are nobody else's business.
        host = urlsplit(address).netloc.lower()
        if host not in self.access.hosts:
            raise ScreenError(
                "SCREENER_ADDRESS_UNUSABLE", f"host={host} known={','.join(self.access.hosts)}."
            )

    async def _fetch_once(self, address: str) -> str:
        status, text = await self._ask("GET", address)
        if status == 200:
            return text
        if 300 <= status < 400 and self.access.is_elite:
            self._logged_in_at = None  # it sends whom it does not know to its login
        is_temporary = status in (403, 408, 429) or status >= 500 or (status < 400 and self.access.is_elite)
        code = "SCREENER_AWAY" if status >= 500 else "SCREENER_REFUSED"
        raise ScreenError(code, f"status={status}. The screener gave no list.", is_temporary=is_temporary)

    async def _log_in_if_due(self) -> None:
        access = self.access
        if not access.is_elite or not access.login_url:
            return
        if self._logged_in_at is not None and self._clock() - self._logged_in_at < LOGIN_AGE_MAX:
            return
        self._client.cookies.clear()
        status, _ = await self._ask(
            "POST", access.login_url, data={"email": access.email, "password": access.password}
        )
        if status >= 500:
            raise ScreenError("SCREENER_AWAY", f"status={status}. The login is away.", is_temporary=True)
        if status >= 400 or not self._client.cookies:
            raise ScreenError(
                "SCREENER_LOGIN_REFUSED", f"status={status}. See FINVIZ_EMAIL and FINVIZ_PASSWORD."
            )
        self._logged_in_at = self._clock()

    async def _ask(self, method: str, address: str, **options: object) -> tuple[int, str]:
        await self._pace()
        try:
            async with self._client.stream(method, address, **options) as answer:  # type: ignore[arg-type]
                parts, size = [], 0
                async for part in answer.aiter_bytes():
                    parts.append(part)
                    size += len(part)
                    if size > ANSWER_BYTES_MAX:
                        raise ScreenError(
                            "SCREENER_PAGE_CHANGED", f"bytes_max={ANSWER_BYTES_MAX}. The answer is longer."
                        )
                return answer.status_code, b"".join(parts).decode("utf-8", errors="replace")
        except (httpx.HTTPError, httpx.InvalidURL) as away:
            raise ScreenError(
                "SCREENER_AWAY",
                f"reason={type(away).__name__}. The screener did not answer.",
                is_temporary=True,
            ) from away


class FinvizPages:
    """The screener's pages, one after the other; the port `market.ports.Screen`."""

    def __init__(self, finviz: Finviz) -> None:
        """Read over ``finviz``."""
        self._finviz = finviz

    async def tickers(self, strategy: Strategy) -> Sequence[str]:
        rows = self._finviz.access.rows_per_page
        found: list[str] = []
        for number in range(pages_of(strategy.top_n, rows_per_page=rows)):
            if number and strategy.page_pause_seconds:
                await self._finviz.sleep(strategy.page_pause_seconds)
            first = number * rows + 1
            page = await self._finviz.fetch(page_address(strategy.address, first_row=first), read_page)
            _check_whole(page, first_row=first, rows_per_page=rows)
            found += page.tickers
            is_last = len(page.tickers) < rows if page.total is None else first + rows > page.total
            if is_last:
                break
        return found


class FinvizExport:
    """The paid export; the port `market.ports.Screen`."""

    def __init__(self, finviz: Finviz) -> None:
        """Read over ``finviz``."""
        self._finviz = finviz

    async def tickers(self, strategy: Strategy) -> Sequence[str]:
        token = self._finviz.access.export_token
        address = strategy.address if not token else with_parameter(strategy.address, "auth", token)
        return await self._finviz.fetch(address, _read_export)


def page_address(address: str, *, first_row: int) -> str:
    """Give the address of the page that begins with a row, counted from 1."""
    return with_parameter(address, "r", str(first_row))


def with_parameter(address: str, name: str, value: str) -> str:
    """Give an address with one parameter set, the others as they were written."""
    parts = urlsplit(address)
    others = [one for one in parts.query.split("&") if one and one.partition("=")[0] != name]
    return urlunsplit(parts._replace(query="&".join([*others, f"{name}={quote_plus(value)}"])))


def _read_export(text: str) -> list[str]:
    if text.lstrip().startswith("<") or "," not in text:
        read_page(text)  # says whether it is a refusal
    return read_export(text)


def _check_whole(page: ScreenerPage, *, first_row: int, rows_per_page: int) -> None:
    if page.total is not None:
        expected = max(0, min(rows_per_page, page.total - first_row + 1))
        if len(page.tickers) < expected:
            raise ScreenError(
                "SCREENER_INCOMPLETE", f"first_row={first_row} rows={len(page.tickers)} expected={expected}."
            )
    if page.first_number is not None and page.first_number != first_row:
        # Beyond its last page it shows another.
        raise ScreenError(
            "SCREENER_INCOMPLETE", f"first_row={first_row} found={page.first_number}. Another page was given."
        )
