"""
What happens on the accounts, as the exchange tells it: user data streams for many accounts.

Several accounts share a connection. Every (re)connection gives a ``StreamGap`` for the accounts that may have
missed something; two clocks watch for silence, of the socket and of each account.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import quote

import aiohttp
import msgspec
import structlog

from pregao.domain.clock import Clock
from pregao.domain.order import PositionSide
from pregao.domain.protection import ProtectionReport
from pregao.domain.venue import OperatorNeeded, OrderReport, Refused, StreamGap, TradeReport, VenueError
from pregao.domain.weight import Importance
from pregao.edges.exchanges.binance.addresses import VenueAddresses
from pregao.edges.exchanges.binance.rest import BinanceRest, Call
from pregao.edges.exchanges.binance.sockets import KeptSocket, Opening, SocketLimits, texts_of
from pregao.edges.exchanges.binance.standing import Standing
from pregao.edges.exchanges.binance.translate import Json, protection_report_from, report_from

MAKE_KEY = Call(method="POST", path="/fapi/v1/listenKey", weight=1, importance=Importance.BOOKS)
KEEP_KEY = Call(method="PUT", path="/fapi/v1/listenKey", weight=1, importance=Importance.BOOKS)
NO_SUCH_KEY = "-1125"
KEY_REQUESTS_MAX = 20  # at once: a thousand accounts must not take the line from orders

Report: TypeAlias = OrderReport | TradeReport | ProtectionReport | StreamGap
Sink: TypeAlias = Callable[[Report], Awaitable[None]]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """How many accounts share a connection, and how often keys and silences are looked at."""

    accounts_per_connection: int = 100
    key_seconds: float = 1_800.0  # the exchange drops a key after 60 minutes: one failed renewal is allowed
    key_retry_seconds: float = 5.0
    operator_retry_seconds: float = 300.0  # a refused key changes only when a person acts
    account_silence_seconds_max: float = 1_800.0
    settings_trusted_seconds: float = (
        60.0  # away for longer, leverage and modes are no longer taken for known
    )
    event_seconds_max: float = 10.0  # between an acknowledgement and its event, see ``expect``
    look_seconds: float = 1.0
    gather_seconds: float = 1.0  # for keys under way, so that many accounts mean one opening, not many
    socket: SocketLimits = field(default_factory=SocketLimits)


@dataclass(slots=True)
class _Account:
    account_id: int
    key: str | None = None
    key_due: float = 0.0  # when the key is made or renewed next, monotonic
    group: "_Group | None" = None
    silent_since: float = 0.0
    expected_by: float | None = None


@dataclass(slots=True, eq=False)
class _Group:
    accounts: dict[str, _Account] = field(default_factory=dict)  # by listen key
    keys: set[str] = field(default_factory=set)  # all that open connections may speak of, leavers included
    asked: set[str] = field(default_factory=set)  # the keys the connection being opened will speak of
    newcomers: set[int] = field(default_factory=set)  # on the next opening, they are told a gap
    socket: KeptSocket | None = None
    task: asyncio.Task[None] | None = None


class UserStreams:
    """Follows accounts and gives what happens on them to ``sink``."""

    def __init__(
        self,
        *,
        addresses: VenueAddresses,
        rest: BinanceRest,
        standing: Standing,
        sink: Sink,
        clock: Clock,
        settings: StreamSettings | None = None,
    ) -> None:
        """Open nothing yet; ``rest`` and ``standing`` are those of the venue's ``BinanceExchange``."""
        self.settings = settings or StreamSettings()
        self._addresses = addresses
        self._rest = rest
        self._standing = standing
        self._sink = sink
        self._clock = clock
        self._accounts: dict[int, _Account] = {}
        self._groups: list[_Group] = []
        self._per_connection = self.settings.accounts_per_connection
        self._awake = asyncio.Event()
        self._session: aiohttp.ClientSession | None = None
        self._requests = asyncio.Semaphore(KEY_REQUESTS_MAX)
        self._renewals: set[asyncio.Task[None]] = set()
        self._join_by = 0.0
        self._is_closed = False

    @property
    def connections(self) -> int:
        """How many connections are kept."""
        return len(self._groups)

    async def follow(self, account_id: int) -> None:
        """Follow an account from now on; its first ``StreamGap`` says that its events arrive."""
        self._accounts.setdefault(account_id, _Account(account_id))
        self._awake.set()

    async def unfollow(self, account_id: int) -> None:
        """Stop following; its key runs out by itself, because another process may be using the same."""
        account = self._accounts.pop(account_id, None)
        if account is not None and self._leave_group(account):
            self._awake.set()

    def is_connected(self, account_id: int) -> bool | None:
        """Say whether the account's events can arrive now; None where it is not followed here."""
        account = self._accounts.get(account_id)
        if account is None:
            return None
        group = account.group
        if group is None or group.socket is None:
            return False
        return account.key in group.asked and group.socket.is_open

    def expect(self, account_id: int) -> None:
        """Expect an event of the account soon (an order was acknowledged); its absence becomes a gap."""
        account = self._accounts.get(account_id)
        if account is not None and account.expected_by is None:
            account.expected_by = self._now() + self.settings.event_seconds_max

    async def run(self) -> None:
        """Keep keys and connections until canceled or closed."""
        async with aiohttp.ClientSession() as session:
            self._session = session
            try:
                while not self._is_closed:
                    self._awake.clear()
                    self._tend_keys()
                    self._tend_groups()
                    await self._tend_silences()
                    await self._nap()
            finally:
                await self._end()
                self._session = None

    async def close(self) -> None:
        """Close the connections and let ``run`` return."""
        self._is_closed = True
        self._awake.set()
        await self._end()

    async def _end(self) -> None:
        groups, self._groups = self._groups, []
        for account in self._accounts.values():
            self._leave_group(account)  # whoever runs this again joins anew, and is told what it missed
            account.key_due = 0.0
            self._standing.forget(account.account_id)
        tasks = [group.task for group in groups if group.task is not None] + list(self._renewals)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _nap(self) -> None:
        try:
            async with asyncio.timeout(self.settings.look_seconds):
                await self._awake.wait()
        except TimeoutError:
            return

    # Keys.

    def _tend_keys(self) -> None:
        now = self._now()
        for account in self._accounts.values():
            if account.key_due <= now:
                if not self._renewals:
                    self._join_by = now + self.settings.gather_seconds
                account.key_due = math.inf  # until the renewal says when next
                renewal = asyncio.create_task(self._renew_key(account))
                self._renewals.add(renewal)
                renewal.add_done_callback(self._renewed)

    def _renewed(self, renewal: asyncio.Task[None]) -> None:
        self._renewals.discard(renewal)
        self._awake.set()

    async def _renew_key(self, account: _Account) -> None:
        async with self._requests:
            try:
                if account.key is not None and await self._key_kept(account):
                    account.key_due = self._now() + self.settings.key_seconds
                    return
                body = await self._rest.with_key(MAKE_KEY, {}, account_id=account.account_id)
                key = str(body["listenKey"])
            except OperatorNeeded as problem:
                account.key_due = self._now() + self.settings.operator_retry_seconds
                log.error("binance.streams.key_refused", account_id=account.account_id, code=problem.code)
                return
            except (VenueError, KeyError, TypeError) as problem:
                account.key_due = self._now() + self.settings.key_retry_seconds
                log.warning(
                    "binance.streams.key_missing",
                    account_id=account.account_id,
                    problem=type(problem).__name__,
                )
                return
        account.key_due = self._now() + self.settings.key_seconds
        if key != account.key and self._accounts.get(account.account_id) is account:
            self._leave_group(account)
            account.key = key

    async def _key_kept(self, account: _Account) -> bool:
        try:
            await self._rest.with_key(KEEP_KEY, {}, account_id=account.account_id)
        except Refused as refusal:
            if refusal.code != NO_SUCH_KEY:
                raise
            return False
        return True

    # Connections.

    def _tend_groups(self) -> None:
        if self._renewals and self._now() < self._join_by:
            return
        changed: set[_Group] = set()
        for account in self._accounts.values():
            if account.key is not None and account.group is None:
                changed.add(self._join_group(account, account.key))
        for group in changed:
            self._open(group)
        for group in [group for group in self._groups if not group.accounts]:
            self._groups.remove(group)
            if group.task is not None:
                group.task.cancel()

    def _join_group(self, account: _Account, key: str) -> _Group:
        group = next((one for one in self._groups if len(one.keys) < self._per_connection), None)
        if group is None:
            group = _Group()
            self._groups.append(group)
        group.accounts[key] = account
        group.keys.add(key)
        group.newcomers.add(account.account_id)
        account.group = group
        account.silent_since = self._now()
        return group

    def _leave_group(self, account: _Account) -> bool:
        group, account.group = account.group, None
        if group is None or account.key is None:
            return False
        group.accounts.pop(account.key, None)
        group.newcomers.discard(account.account_id)
        return True

    def _open(self, group: _Group) -> None:
        if group.socket is not None:
            group.socket.renew()
            return
        assert self._session is not None
        group.socket = KeptSocket(
            connect=texts_of(
                self._session,
                url=lambda: self._url(group),
                on_text=lambda text: self._read(group, text),
                limits=self.settings.socket,
            ),
            on_open=lambda opening: self._opened(group, opening),
            on_doubt=lambda: self._doubt_keys(group),
            limits=self.settings.socket,
        )
        group.task = asyncio.create_task(group.socket.run())

    def _url(self, group: _Group) -> str:
        group.asked = set(group.accounts)
        keys = "&".join(f"listenKey={quote(key, safe='')}" for key in group.accounts)
        return f"{self._addresses.streams}/private/stream?{keys}"

    async def _opened(self, group: _Group, opening: Opening) -> None:
        asked = [account for key, account in group.accounts.items() if key in group.asked]
        told = [one for one in asked if opening is not Opening.RENEWED or one.account_id in group.newcomers]
        group.newcomers -= {account.account_id for account in asked}
        if opening is Opening.AWAY:
            group.keys = set(group.accounts)  # no older connection speaks any more
            assert group.socket is not None
            if group.socket.away_seconds > self.settings.settings_trusted_seconds:
                for account in told:
                    self._standing.forget(account.account_id)
        await self._tell_gap(told)

    def _doubt_keys(self, group: _Group) -> None:
        for account in group.accounts.values():
            if not math.isinf(account.key_due):  # infinite while a renewal is under way
                account.key_due = self._now()
        self._awake.set()

    async def _tell_gap(self, accounts: Iterable[_Account]) -> None:
        for account in tuple(accounts):
            account.silent_since = self._now()
            account.expected_by = None
            await self._give(StreamGap(account_id=account.account_id, connected_at=self._clock()))

    async def _tend_silences(self) -> None:
        now = self._now()
        silent = [
            account
            for account in self._accounts.values()
            if account.group is not None
            and (
                now - account.silent_since > self.settings.account_silence_seconds_max
                or (account.expected_by is not None and now > account.expected_by)
            )
        ]
        for account in silent:
            if not math.isinf(account.key_due):
                account.key_due = now  # a key that died unseen is the usual reason
            log.warning("binance.streams.account_silent", account_id=account.account_id)
        await self._tell_gap(silent)

    # Events.

    async def _read(self, group: _Group, text: str) -> None:
        try:
            message = msgspec.json.decode(text)
            event = message.get("data", message)
            kind = event.get("e")
        except (msgspec.DecodeError, AttributeError):
            log.error("binance.streams.unreadable", letters=len(text))
            await self._tell_gap(group.accounts.values())
            return
        if kind is None:
            return  # the answer to a request of ours
        key = self._key_of(group, str(message.get("stream", "")), event)
        if key is None:
            self._separate(group)
            return
        account = group.accounts.get(key)
        if account is None:
            return  # it left; its connection has not been opened anew since
        account.silent_since = self._now()
        try:
            await self._take(account, kind, event)
        except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as problem:
            log.error("binance.streams.unreadable", kind=kind, problem=type(problem).__name__)
            await self._tell_gap([account])  # what it meant to say must be asked

    def _key_of(self, group: _Group, stream: str, event: Json) -> str | None:
        for key in (stream, stream.partition("@")[0], str(event.get("listenKey", ""))):
            if key in group.keys:
                return key
        return next(iter(group.keys)) if len(group.keys) == 1 else None

    def _separate(self, group: _Group) -> None:
        """Give every account its own connection: this venue does not say whose event it sent."""
        if group not in self._groups or not group.accounts:
            return  # the old connection's last words, after its accounts moved on
        log.error("binance.streams.account_untold", accounts=len(group.accounts))
        self._per_connection = 1
        for account in list(self._accounts.values()):
            if account.group is not None and len(account.group.keys) > 1:
                self._leave_group(account)
        self._awake.set()

    async def _take(self, account: _Account, kind: str, event: Json) -> None:
        match kind:
            case "ORDER_TRADE_UPDATE":
                account.expected_by = None
                self._standing.note_position_side(account.account_id, PositionSide(event["o"]["ps"].lower()))
                report = report_from(event, account_id=account.account_id)
                if report is not None:
                    await self._give(report)
            case "ALGO_UPDATE":
                told = protection_report_from(event, account_id=account.account_id)
                if told is not None:
                    await self._give(told)
            case "ACCOUNT_CONFIG_UPDATE":
                self._note_config(account.account_id, event)
            case "ACCOUNT_UPDATE":
                for position in event["a"].get("P", ()):
                    self._standing.note_position_side(
                        account.account_id, PositionSide(position["ps"].lower())
                    )
            case "listenKeyExpired":
                self._leave_group(account)
                account.key, account.key_due = None, 0.0
                self._awake.set()
            case _:
                return  # TRADE_LITE says less than ORDER_TRADE_UPDATE; the others are not ours to act on

    def _note_config(self, account_id: int, event: Json) -> None:
        config: Any = event.get("ac")
        if config is not None:
            self._standing.note_leverage(account_id, str(config["s"]), int(config["l"]))

    async def _give(self, report: Report) -> None:
        try:
            await self._sink(report)
        except Exception:
            log.exception("binance.streams.sink_failed", report=type(report).__name__)
            account = self._accounts.get(report.account_id)
            if account is not None and not isinstance(report, StreamGap):
                account.expected_by = 0.0  # the next look makes it a gap: what was lost here is asked for
