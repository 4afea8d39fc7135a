"""The streams of the accounts: one trader follows them all, and hears what the venue tells while it does."""

import random
from collections.abc import Sequence

from pregao.domain.account import Account
from pregao.domain.clock import Clock
from pregao.domain.protection import ProtectionReport
from pregao.domain.venue import OrderReport, StreamGap, TradeReport
from pregao.histories.processes import TraderProcess
from pregao.simulation.loop import VirtualLoop


class Streams:
    """The streams of one venue's accounts."""

    def __init__(
        self, accounts: Sequence[Account], *, loop: VirtualLoop, clock: Clock, chance: random.Random
    ) -> None:
        """Nobody follows them yet; ``chance`` says how long a cut lasts."""
        self._accounts = accounts
        self._loop = loop
        self._clock = clock
        self._chance = chance
        self.follower: TraderProcess | None = None

    def tell(self, report: OrderReport | TradeReport | ProtectionReport) -> None:
        """Tell whoever follows; what nobody follows is told to nobody."""
        if self.follower is not None and self.follower.is_alive and self.follower.is_following:
            self.follower.heard.append(report)

    def connect(self, process: TraderProcess) -> None:
        """Begin each stream for the process, with a gap before it."""
        for account in self._accounts:
            process.heard.append(StreamGap(account_id=account.account_id, connected_at=self._clock()))

    def cut(self) -> None:
        """Lose what was told and not heard; the streams begin again soon."""
        follower = self.follower
        if follower is not None and follower.is_following:
            follower.heard.clear()
            self._loop.call_later(2.0 * self._chance.random(), self.connect, follower)
