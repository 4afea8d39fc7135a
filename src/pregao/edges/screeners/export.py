"""Reads the tickers of Finviz's export: one CSV, whose columns are found by their heads."""

import csv
import io

from pregao.market.ports import ScreenError

TICKER_HEADS = ("ticker", "symbol")


def read_export(text: str) -> list[str]:
    """
    Give the column of tickers of a CSV, in its order.

    :raises ScreenError: when there is no such column, or a row is cut off.
    """
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    head = [cell.strip().lower() for cell in rows[0]] if rows else []
    at = next((head.index(name) for name in TICKER_HEADS if name in head), None)
    if at is None:
        raise ScreenError(
            "SCREENER_EXPORT_CHANGED",
            f"columns={len(head)}. The export has no column named Ticker; without a paid login it is a page instead.",
        )
    listed = [cells for cells in rows[1:] if cells]
    if any(len(cells) != len(head) for cells in listed):
        raise ScreenError("SCREENER_INCOMPLETE", "A row of the export is cut off.", is_temporary=True)
    return [cells[at] for cells in listed]
