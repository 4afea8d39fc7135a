"""
Reads the tickers of a page of Finviz's screener.

Columns are found by the text of their heads: classes and places change with every redesign. Where a view has no
column of tickers, the rows' own attribute is read.
"""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

from pregao.market.ports import ScreenError

TICKER, NUMBER = "ticker", "no."
ROW_ATTRIBUTE = "data-boxover-ticker"
_TOTAL = re.compile(r"\bTotal:\s*(\d[\d,]*)|#\s*\d+\s*/\s*(\d[\d,]*)\s*Total", re.IGNORECASE)
_REFUSALS = ("too many requests", "rate limit", "access denied", "captcha", "just a moment")
_REFUSAL_CHARACTERS_MAX = 20_000  # of text; a page of results is longer, and a company may be called anything


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenerPage:
    """One page of results."""

    tickers: tuple[str, ...]
    first_number: int | None  # of its first row; None where the view does not number
    total: int | None  # of all pages; None where the page does not say


def read_page(html: str) -> ScreenerPage:
    """
    Give what a page lists; none at all where it says that there are no results.

    :raises ScreenError: when it is a refusal, or no page of results that we know.
    """
    rows = _Rows()
    rows.feed(html)
    rows.close()
    found = _TOTAL.search(" ".join(rows.text.split()))
    total = None if found is None else int((found[1] or found[2]).replace(",", ""))
    table = next((one for one in rows.tables if _head_of(one) is not None), None)
    if table is not None:
        return _listed(table, total=total)
    if rows.named:
        return ScreenerPage(tickers=tuple(dict.fromkeys(rows.named)), first_number=None, total=total)
    if total == 0:
        return ScreenerPage(tickers=(), first_number=None, total=0)
    text = rows.text.lower()
    if len(text) <= _REFUSAL_CHARACTERS_MAX and any(words in text for words in _REFUSALS):
        raise ScreenError(
            "SCREENER_REFUSED",
            "The screener refused the request; it is asked again later, and more slowly if you refresh less often.",
            is_temporary=True,
        )
    raise ScreenError(
        "SCREENER_PAGE_CHANGED",
        f"characters={len(html)}. No table with a column named Ticker was found; the page may have been redesigned.",
    )


def _head_of(rows: list[list[str]]) -> int | None:
    for place, cells in enumerate(rows):
        if TICKER in (cell.lower() for cell in cells):
            return place
    return None


def _listed(rows: list[list[str]], *, total: int | None) -> ScreenerPage:
    place = _head_of(rows)
    assert place is not None, "the table was chosen for its head"
    head = [cell.lower() for cell in rows[place]]
    listed = [cells for cells in rows[place + 1 :] if len(cells) == len(head)]
    at = head.index(TICKER)
    numbers = [cells[head.index(NUMBER)] for cells in listed] if NUMBER in head else []
    return ScreenerPage(
        tickers=tuple(cells[at] for cells in listed),
        first_number=int(numbers[0]) if numbers and numbers[0].isdigit() else None,
        total=total,
    )


@dataclass(slots=True)
class _Table:
    """A table that is being read; tables stand inside the cells of others."""

    rows: list[list[str]] = field(default_factory=list)
    cell: list[str] | None = None

    def end_cell(self) -> None:
        if self.cell is not None:
            if not self.rows:
                self.rows.append([])
            self.rows[-1].append(" ".join("".join(self.cell).split()))
            self.cell = None


class _Rows(HTMLParser):
    """Collects the rows of every table as text; ends that the page leaves out are where the next begins."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: list[list[list[str]]] = []
        self.named: list[str] = []
        self._open: list[_Table] = []
        self._texts: list[str] = []
        self._is_silent = False

    @property
    def text(self) -> str:
        return "".join(self._texts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style"):
            self._is_silent = True
        elif tag == "table":
            self._open.append(_Table())
        elif tag == "tr" and self._open:
            self._open[-1].end_cell()
            self._open[-1].rows.append([])
        elif tag in ("td", "th") and self._open:
            self._open[-1].end_cell()
            self._open[-1].cell = []
        if tag not in ("b", "i", "a", "span", "font"):
            self._texts.append(" ")
        self.named.extend(value for name, value in attrs if name == ROW_ATTRIBUTE and value)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._is_silent = False
        elif tag in ("td", "th", "tr") and self._open:
            self._open[-1].end_cell()
        elif tag == "table" and self._open:
            self._close_table()

    def handle_data(self, data: str) -> None:
        if self._is_silent:
            return
        self._texts.append(data)
        if self._open and (cell := self._open[-1].cell) is not None:
            cell.append(data)

    def close(self) -> None:
        super().close()
        while self._open:
            self._close_table()

    def _close_table(self) -> None:
        table = self._open.pop()
        table.end_cell()
        self.tables.append(table.rows)
