"""
How often somebody may fail to log in: by address, by e-mail, and by both.

Pure: time is given, nothing waits. An e-mail that strangers try is closed to strangers only: its owner still comes in
from where he came in before. What is kept is bounded, because strangers choose what we would remember.
"""

from collections import OrderedDict, deque
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import TypeAlias

FAILURES_MAX = 10  # in the window; who mistypes ten times has forgotten it
WINDOW = timedelta(minutes=15)
KEYS_MAX = 10_000  # remembered; the longest silent is forgotten first
IPV6_PREFIX = 64  # one household or server has so many addresses: they count as one

Key: TypeAlias = tuple[str, ...]


def network_of(address: str) -> str:
    """Give what counts as one address: itself, or its /64 where it is IPv6."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return address if parsed.version == 4 else str(ip_network((parsed, IPV6_PREFIX), strict=False))


class LoginFailures:
    """Attempts of the last quarter of an hour; one counts when it begins and is forgiven when it succeeds."""

    def __init__(self, *, failures_max: int = FAILURES_MAX, keys_max: int = KEYS_MAX) -> None:
        self._failures_max = failures_max
        self._keys_max = keys_max
        self._times: OrderedDict[Key, deque[datetime]] = OrderedDict()

    def begin(self, *, address: str, email: str, is_known: bool = False, now: datetime) -> int:
        """
        Count an attempt and give 0, or give for how many seconds there may be none and count nothing.

        ``is_known`` where this e-mail's owner came in from this address before: then only his own failures count.
        """
        keys = _keys(address, email, is_known=is_known)
        if wait := max(self._wait_seconds(key, now) for key in keys):
            return wait
        # All at once, before anything is awaited: a hundred at the same moment are a hundred.
        for key in _keys(address, email, is_known=False):
            self._times.setdefault(key, deque(maxlen=self._failures_max)).append(now)
            self._times.move_to_end(key)
        while len(self._times) > self._keys_max:
            self._times.popitem(last=False)
        return 0

    def forgive(self, *, address: str, email: str, began_at: datetime) -> None:
        """Take back an attempt that succeeded."""
        for key in _keys(address, email, is_known=False):
            times = self._times.get(key)
            if times and began_at in times:
                times.remove(began_at)

    def _wait_seconds(self, key: Key, now: datetime) -> int:
        times = self._times.get(key)
        if not times:
            return 0
        while times and times[0] <= now - WINDOW:
            times.popleft()
        if len(times) < self._failures_max:
            return 0
        return max(1, -int(-(times[0] + WINDOW - now).total_seconds() // 1))


def _keys(address: str, email: str, *, is_known: bool) -> list[Key]:
    network = network_of(address)
    both = ("both", network, email)
    return [both] if is_known else [both, ("address", network), ("email", email)]
