"""
Fetches candles from Binance's USD-M futures over REST, which needs no key.

It takes its time: the weight of an address is shared with a desk that trades from it, so a page of 1,500 candles (weight 10) is asked
for every two seconds, an eighth of what the venue allows.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import httpx
import numpy as np

from pregao.research.candles import COLUMNS, Columns
from pregao.research.timeframe import Timeframe

PATH: Final = "/fapi/v1/klines"
PAPER_PATH: Final = (
    "/paper/health"  # a paper exchange says there what its prices are; a venue has no such path
)
PAGE: Final = 1_500  # candles; the venue gives no more at once
PAUSE_SECONDS: Final = 2.0
TIMEOUT_SECONDS: Final = 10.0
TRIES_MAX: Final = 5
RETRY_SECONDS_MAX: Final = 120.0  # a venue that wants us to wait longer has banned the address
TOO_MANY: Final = 429
SERVER_ERROR: Final = 500
CLOSED_AT: Final = 6  # place in a row

Sleep = Callable[[float], None]


class KlinesUnavailableError(RuntimeError):
    """The venue gives no such candles, or cannot be reached; the text says which."""


def fetch_klines(
    client: httpx.Client,
    *,
    symbol: str,
    timeframe: Timeframe,
    since_ms: int,
    until_ms: int | None,
    sleep: Sleep,
) -> Iterator[Columns]:
    """
    Give pages of finished candles that open at ``since_ms`` or later, oldest first.

    :raises KlinesUnavailableError: when the venue refuses, is away, or asks us to stay away.
    """
    now_ms = int(_asked(client, "/fapi/v1/time", {}, sleep=sleep)["serverTime"])
    end_ms = now_ms if until_ms is None else min(until_ms, now_ms)
    start_ms = since_ms
    while start_ms < end_ms:
        told = {
            "symbol": symbol,
            "interval": timeframe.name,
            "startTime": start_ms,
            "endTime": end_ms - 1,
            "limit": PAGE,
        }
        rows = _asked(client, PATH, told, sleep=sleep)
        finished = [row for row in rows if int(row[CLOSED_AT]) < now_ms]
        if finished:
            yield _columns_of(finished)
        if len(rows) < PAGE:
            return
        start_ms = int(rows[-1][0]) + 1
        sleep(PAUSE_SECONDS)


def is_paper(client: httpx.Client) -> bool:
    """Say whether a paper exchange answers there: what it tells is no market's, whoever forgot to say so."""
    try:
        answer = client.get(PAPER_PATH, timeout=TIMEOUT_SECONDS)
        told = answer.json() if answer.is_success else None
    except (httpx.HTTPError, ValueError):
        return False  # whoever is asked for candles next is away, too, and that is said
    return isinstance(told, dict) and "market" in told


def _columns_of(rows: list[list[Any]]) -> Columns:
    try:
        columns: Columns = {"opened_at_ms": np.array([int(row[0]) for row in rows], dtype=np.int64)}
        for place, name in enumerate(COLUMNS[1:], start=1):
            columns[name] = np.array([float(row[place]) for row in rows])
    except (IndexError, TypeError, ValueError) as problem:
        raise KlinesUnavailableError("KLINES_UNREADABLE: the venue's answer holds no candles.") from problem
    return columns


def _asked(client: httpx.Client, path: str, parameters: dict[str, Any], *, sleep: Sleep) -> Any:
    for attempt in range(1, TRIES_MAX + 1):
        try:
            answer = client.get(path, params=parameters, timeout=TIMEOUT_SECONDS)
        except httpx.HTTPError as problem:
            if attempt == TRIES_MAX:
                raise KlinesUnavailableError(
                    f"KLINES_UNAVAILABLE: path={path} problem={type(problem).__name__}. The venue cannot be reached from here."
                ) from problem
            sleep(PAUSE_SECONDS * attempt)
            continue
        if answer.is_success:
            return answer.json()
        wait = _seconds_of(answer.headers.get("Retry-After"))
        retries = answer.status_code == TOO_MANY or answer.status_code >= SERVER_ERROR
        if not retries or attempt == TRIES_MAX or wait > RETRY_SECONDS_MAX:
            raise KlinesUnavailableError(
                f"KLINES_REFUSED: path={path} status={answer.status_code} symbol={parameters.get('symbol')} "
                f"interval={parameters.get('interval')} said={answer.text[:200]!r}."
            )
        sleep(max(wait, PAUSE_SECONDS * attempt))
    raise AssertionError("the last try returns or raises")


def _seconds_of(header: str | None) -> float:
    try:
        return float(header or 0)
    except ValueError:
        return 0.0
