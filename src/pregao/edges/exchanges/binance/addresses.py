"""Where Binance USD-M futures answers: real money, play money, and our own paper exchange."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueAddresses:
    """The two roots of one venue: requests, and streams (split in /public, /market, /private since 2026-04-23)."""

    rest: str
    streams: str
    rights: str | None = None  # where a key learns what it may do; None where no venue tells

    @classmethod
    def paper(cls, url: str) -> "VenueAddresses":
        """Give the addresses of a paper exchange at ``url``: both roots on one port."""
        root = url.rstrip("/")
        return cls(rest=root, streams="ws" + root.removeprefix("http"), rights=root)


DEMO = VenueAddresses(rest="https://demo-fapi.binance.com", streams="wss://demo-fstream.binance.com")
LIVE = VenueAddresses(
    rest="https://fapi.binance.com", streams="wss://fstream.binance.com", rights="https://api.binance.com"
)
