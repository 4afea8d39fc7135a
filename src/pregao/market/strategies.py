"""What a strategy of the screener may say: its ranges, its address, and that it asks no more than its source allows."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from pregao.domain.account import Venue
from pregao.domain.screener import Source, Strategy, ticker_of
from pregao.market.pacing import PER_MINUTE_MAX, ROWS_PER_PAGE, pages_of, requests_per_minute
from pregao.market.refusals import SettingUnusableError

NAME_CHARACTERS_MAX = 100
DESCRIPTION_CHARACTERS_MAX = 2_000
ADDRESS_CHARACTERS_MAX = 2_000
TICKERS_MAX = 1_000

RANGES = {
    "top_n": (1, TICKERS_MAX),
    "refresh_seconds": (5, 86_400),
    "page_pause_seconds": (0, 60),
    "reprocess_window_seconds": (0, 7 * 86_400),
    "sell_chronology_window_seconds": (0, 7 * 86_400),
}
"""The least and the largest value of each number, both included."""

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
OF_FINVIZ = frozenset({Source.FINVIZ, Source.FINVIZ_EXPORT})


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenerLimits:
    """What this desk's way to Finviz allows."""

    hosts: Sequence[str] = ("finviz.com", "www.finviz.com", "elite.finviz.com")
    rows_per_page: int = ROWS_PER_PAGE
    per_minute_max: int = PER_MINUTE_MAX


def check_strategy(strategy: Strategy, *, limits: ScreenerLimits) -> None:
    """
    See that every setting of a strategy can be used.

    :raises SettingUnusableError: naming the first that cannot, and its range.
    """
    if not 1 <= len(strategy.name) <= NAME_CHARACTERS_MAX or not strategy.name.isprintable():
        raise SettingUnusableError(
            "NAME_UNUSABLE",
            f"characters={len(strategy.name)} minimum=1 maximum={NAME_CHARACTERS_MAX}. "
            "Use printable characters, on one line.",
            field="name",
        )
    if len(strategy.description) > DESCRIPTION_CHARACTERS_MAX or "\x00" in strategy.description:
        raise SettingUnusableError(
            "DESCRIPTION_UNUSABLE",
            f"characters={len(strategy.description)} maximum={DESCRIPTION_CHARACTERS_MAX}. NUL is no text either.",
            field="description",
        )
    for field, (least, most) in RANGES.items():
        value = getattr(strategy, field)
        if not least <= value <= most:
            raise SettingUnusableError(
                "SETTING_OUT_OF_RANGE",
                f"field={field} value={value} minimum={least} maximum={most}.",
                field=field,
                value=value,
            )
    _check_source(strategy, hosts=limits.hosts)
    _check_pace(strategy, limits=limits)


def _check_source(strategy: Strategy, *, hosts: Sequence[str]) -> None:
    if strategy.source is Source.STATIC:
        _check_tickers(strategy)
        return
    if strategy.tickers:
        raise SettingUnusableError(
            "TICKERS_UNUSABLE",
            f"source={strategy.source}. Only a static list names its tickers.",
            field="tickers",
        )
    if strategy.source in OF_FINVIZ:
        _check_url(strategy.address, hosts=hosts)
    elif strategy.source is Source.MOST_TRADED:
        if strategy.address not in list(Venue):
            raise _address_unusable(f"venue={strategy.address} known={','.join(Venue)}.")
    elif not _is_file_name(strategy.address):
        raise _address_unusable("Name a file, without its folder, of the desk's folder for screeners.")


def _check_tickers(strategy: Strategy) -> None:
    if not 1 <= len(strategy.tickers) <= TICKERS_MAX:
        raise SettingUnusableError(
            "TICKERS_UNUSABLE",
            f"tickers={len(strategy.tickers)} minimum=1 maximum={TICKERS_MAX}.",
            field="tickers",
        )
    for place, text in enumerate(strategy.tickers, start=1):
        if ticker_of(text) is None:
            raise SettingUnusableError(
                "TICKERS_UNUSABLE",
                f"place={place}. It is no ticker, such as AAPL or BTCUSDT.",
                field="tickers",
            )
    if strategy.address:
        raise _address_unusable("A static list has none.")


def _check_url(address: str, *, hosts: Sequence[str]) -> None:
    if len(address) > ADDRESS_CHARACTERS_MAX or not address.isprintable() or " " in address:
        raise _address_unusable(f"characters={len(address)} maximum={ADDRESS_CHARACTERS_MAX}.")
    try:
        parts = urlsplit(address)
    except ValueError:
        raise _address_unusable("It is no address.") from None
    if parts.scheme not in ("http", "https") or parts.netloc.lower() not in hosts:
        raise _address_unusable(f"Copy the screener's whole address; hosts known are {', '.join(hosts)}.")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise _address_unusable("A login's cookies do not travel in the clear: begin it with https.")
    if any(one.partition("=")[0].lower() == "auth" for one in parts.query.split("&")):
        # The journal is for ever, and every operator sees a strategy.
        raise _address_unusable(
            "Leave the parameter auth out; FINVIZ_EXPORT_TOKEN is the place for its token."
        )


def _is_file_name(name: str) -> bool:
    return 0 < len(name) <= 255 and name.isprintable() and not set(name) & {"/", "\\"} and name[0] != "."


def _address_unusable(message: str) -> SettingUnusableError:
    return SettingUnusableError("SCREENER_ADDRESS_UNUSABLE", message, field="address")


def _check_pace(strategy: Strategy, *, limits: ScreenerLimits) -> None:
    if strategy.source not in OF_FINVIZ:
        return
    is_paged = strategy.source is Source.FINVIZ
    pages = pages_of(strategy.top_n, rows_per_page=limits.rows_per_page) if is_paged else 1
    asked = requests_per_minute(pages, refresh_seconds=strategy.refresh_seconds)
    if asked > limits.per_minute_max:
        raise SettingUnusableError(
            "SCREENER_PACE_EXCEEDED",
            f"requests_per_minute={asked:.0f} maximum={limits.per_minute_max} pages={pages} "
            f"refresh_seconds={strategy.refresh_seconds}. Refresh less often, or list fewer.",
            field="refresh_seconds",
            requests_per_minute=round(asked),
            maximum=limits.per_minute_max,
        )
