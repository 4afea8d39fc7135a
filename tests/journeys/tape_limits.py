"""
The journal read once more, in order: was every entry allowed at the moment it was planned?

Whoever plans locks its bot first, which gives its transaction a number, then reads the books, and journals all of it
last. So it must have known what had ended before its number was given: ``journal.seen``, which the test adds, says of
every transaction which others had ended when it was journaled, and which numbers were given. Of what others write
meanwhile it may know or not; so an entry breaks a limit only if it does whichever of that was known. Places are kept
under locks: there nothing is uncertain.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from pregao.domain.account import Account
from pregao.domain.bot import (
    Bot,
    BotStatus,
    OppositeSide,
    SameSide,
    Subscription,
    SubscriptionStatus,
    SymbolSettings,
)
from pregao.domain.facts import (
    AccountConfigured,
    BotConfigured,
    DailyLossForgiven,
    DecisionApproved,
    EntryRequested,
    Fact,
    OrderDeferred,
    OrderDenied,
    OrderPlanned,
    PositionChanged,
    SignalPlanned,
    SubscriptionConfigured,
    UserConfigured,
)
from pregao.domain.instrument import Instrument
from pregao.domain.order import Leg, PositionMode, Side
from pregao.domain.position import LIVE_STATUSES, Direction, Position, PositionStatus
from pregao.domain.signal import Action, Instruction
from pregao.domain.user import User
from pregao.edges.postgres.journal import Journal, decode

WITNESS = "ALTER TABLE journal ADD COLUMN seen pg_snapshot DEFAULT pg_current_snapshot()"

# Transactions in the order they finished writing, as the rebuild replays them.
REPLAY = """
SELECT xid::text::bigint AS xid, kind, fact::text AS fact, seen::text AS seen
FROM (SELECT *, max(seq) OVER (PARTITION BY xid) AS last_seq FROM journal) AS ordered
ORDER BY last_seq, seq
"""
BEGINNINGS = (DecisionApproved, EntryRequested)
"""With these begins what is planned at once."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Which transactions had ended."""

    xmin: int
    xmax: int
    running: frozenset[int]

    @classmethod
    def read(cls, text: str) -> "Snapshot":
        xmin, xmax, running = text.split(":")
        return cls(int(xmin), int(xmax), frozenset(map(int, running.split(","))) if running else frozenset())

    def knows(self, xid: int) -> bool:
        return xid < self.xmin or (xid < self.xmax and xid not in self.running)


class Witness:
    """Which transactions had ended for certain when another one was given its number."""

    def __init__(self, snapshots: Iterable[Snapshot]) -> None:
        # In the order of time: more and more numbers are given, and of as many fewer and fewer run.
        self._snapshots = sorted(snapshots, key=lambda one: (one.xmax, -len(one.running)))
        self._given = [one.xmax for one in self._snapshots]

    def before(self, xid: int) -> Snapshot:
        """Give the last snapshot in which the number was not given yet."""
        earlier = bisect_right(self._given, xid)
        return self._snapshots[earlier - 1] if earlier else Snapshot(0, 0, frozenset())


@dataclass(slots=True)
class Held:
    """A live or ended position, as far as the replay has come."""

    bot_id: UUID
    subscription_id: UUID
    account_id: int
    symbol: str
    place: tuple[Any, ...]
    direction: Direction
    is_live: bool
    quantity: Decimal = Decimal(0)
    exited: Decimal = Decimal(0)
    last_exit_day: str = ""
    loss: tuple[str, Decimal] = ("", Decimal(0))  # on which day it counts; how much


@dataclass(slots=True)
class Loss:
    """One change of what was lost, and which transaction wrote it."""

    xid: int
    keys: tuple[Any, ...]
    amount: Decimal


@dataclass(slots=True)
class Replay:
    """The desk as the journal tells it."""

    instruments: dict[str, Instrument]
    witness: Witness
    users: dict[UUID, User] = field(default_factory=dict)
    accounts: dict[int, Account] = field(default_factory=dict)
    bots: dict[UUID, list[tuple[int, Bot]]] = field(default_factory=lambda: defaultdict(list))
    subscriptions: dict[UUID, Subscription] = field(default_factory=dict)
    held: dict[int, Held] = field(default_factory=dict)
    live: Counter[tuple[Any, ...]] = field(default_factory=Counter)
    lost: dict[tuple[Any, ...], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    losses: list[Loss] = field(default_factory=list)
    instructions: dict[UUID, Instruction] = field(default_factory=dict)
    approved: dict[tuple[UUID, str | None], list[datetime]] = field(default_factory=lambda: defaultdict(list))
    entries_today: Counter[tuple[UUID, date]] = field(default_factory=Counter)
    closing: set[tuple[UUID, int]] = field(
        default_factory=set
    )  # by entry signal and account: it planned an exit
    snapshot: Snapshot | None = None
    broken: list[str] = field(default_factory=list)
    checked: Counter[str] = field(default_factory=Counter)
    met: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    # --- facts ---

    def take(self, fact: Fact, *, xid: int) -> None:
        if isinstance(fact, BEGINNINGS):
            self.snapshot = self.witness.before(xid)
        match fact:
            case UserConfigured():
                self.users[fact.user.user_id] = fact.user
            case AccountConfigured():
                self.accounts[fact.account.account_id] = fact.account
            case BotConfigured():
                self.bots[fact.bot.bot_id].append((xid, fact.bot))
            case SubscriptionConfigured():
                self.subscriptions[fact.subscription.subscription_id] = fact.subscription
            case DecisionApproved():
                self.instructions[fact.signal_id] = fact.instruction
                self._approval(fact)
            case SignalPlanned():
                self._everybody(fact)
            case OrderPlanned(leg=Leg.ENTRY, attempt=1):
                self._entry(fact, xid=xid)
            case OrderPlanned(leg=Leg.EXIT, attempt=1):
                self._exit(fact)
            case OrderDeferred(leg=Leg.ENTRY):
                self._waits(fact)
            case OrderDenied(code="SAME_SIDE_OPEN" | "OPPOSITE_SIDE_OPEN"):
                self._ignored(fact)
            case DailyLossForgiven():
                self._forgiven(fact, xid=xid)
            case PositionChanged():
                self._change(fact.position, told_on=str(fact.happened_at.astimezone(UTC).date()), xid=xid)

    def _everybody(self, fact: SignalPlanned) -> None:
        followers = sum(
            one.bot_id == fact.bot_id and one.status is not SubscriptionStatus.CANCELED
            for one in self.subscriptions.values()
        )
        self._must(fact.accounts == followers, f"{fact.accounts} of {followers} accounts are in {fact}")

    def _approval(self, fact: DecisionApproved) -> None:
        """The bot's own checks: what it may trade at all, how soon again, how often a day."""
        asked = fact.instruction
        if asked.action is not Action.ENTER:
            return
        bot, now = self.bots[fact.bot_id][-1][1], fact.happened_at
        self._must(asked.symbol in bot.allowed_symbols or not bot.allowed_symbols, f"not on the list: {fact}")
        self._must(now < asked.send_before, f"too late: {fact}")
        if bot.cooldown_seconds:
            self.checked["cooldowns"] += 1
            before = [at for at in self.approved[bot.bot_id, asked.symbol] if at <= now]
            rest = (now - max(before)).total_seconds() if before else bot.cooldown_seconds
            self._must(rest >= bot.cooldown_seconds, f"again after {rest} s: {fact}")
        self.approved[bot.bot_id, asked.symbol].append(now)
        if bot.max_entries_per_day is not None:
            self.checked["entries a day"] += 1
            day = bot.bot_id, now.astimezone(UTC).date()
            self.entries_today[day] += 1
            self._must(self.entries_today[day] <= bot.max_entries_per_day, f"too many today: {fact}")

    def _entry(self, order: OrderPlanned, *, xid: int) -> None:
        subscription, account = self.subscriptions[order.subscription_id], self.accounts[order.account_id]
        bots = self._possible_bots(order.bot_id)
        self.checked["entries"] += 1
        self._must(subscription.status is SubscriptionStatus.ACTIVE, f"subscription is paused: {order}")
        self._must(any(bot.status is BotStatus.ACTIVE for bot in bots), f"bot is paused: {order}")
        for rows in (subscription.symbols, bots[-1].symbols):
            self._must(_row_of(rows, order.symbol).is_active, f"symbol is switched off: {order}")
        self._sized(order, subscription=subscription, bot=bots[-1])
        self._must(
            bots[-1].allowed_directions.value in ("both", f"{order.side.value}_only"),
            f"the bot may not go this way: {order}",
        )
        one_way = account.position_mode is PositionMode.ONE_WAY
        side = "both" if one_way else {Side.BUY: "long", Side.SELL: "short"}[order.side]
        self._must(order.position_side.value == side, f"on a {account.position_mode} account: {order}")
        assert order.send_before is not None
        self._must(order.happened_at < order.send_before, f"too late: {order}")
        self._losses(order)
        if order.position_id in self.held:
            self._added(order)
        else:
            self._opened(order, xid=xid)

    def _sized(self, order: OrderPlanned, *, subscription: Subscription, bot: Bot) -> None:
        """Margin and leverage are the narrowest that is set; the quantity is theirs, down to a step, and no less."""
        own, bots = _row_of(subscription.symbols, order.symbol), _row_of(bot.symbols, order.symbol)
        own = SymbolSettings(symbol="") if own.use_bot_default else own
        leverages = own.leverage, subscription.custom_leverage, bots.leverage, bot.default_leverage
        margins = own.margin_usd, subscription.custom_margin_usd, bots.margin_usd, bot.default_margin_usd
        leverage = next(value for value in leverages if value is not None)
        margin = next(value for value in margins if value is not None)
        self._must(
            (order.leverage, order.margin_usd) == (leverage, margin), f"not {margin} x{leverage}: {order}"
        )
        rules = self.instruments[order.symbol]
        assert order.decision_price is not None
        notional, step = order.quantity * order.decision_price, rules.market_quantity_step
        room = margin * leverage - notional
        self._must(
            0 <= room < step * order.decision_price, f"not {margin * leverage} but {notional}: {order}"
        )
        self._must(order.quantity % step == 0 and notional >= rules.notional_min, f"no such size: {order}")
        self._must(
            rules.market_quantity_min <= order.quantity <= rules.market_quantity_max, f"no such size: {order}"
        )

    def _rules_of(self, bot_id: UUID, subscription_id: UUID) -> tuple[SameSide, OppositeSide]:
        bot, own = self.bots[bot_id][-1][1], self.subscriptions[subscription_id]
        return (
            bot.same_side if own.custom_same_side is None else own.custom_same_side,
            bot.opposite_side if own.custom_opposite_side is None else own.custom_opposite_side,
        )

    def _met(self, rule: SameSide | OppositeSide, *, account_id: int) -> None:
        """Count which rule a position of its own has met, on which kind of account."""
        side = "same" if isinstance(rule, SameSide) else "opposite"
        self.met[side, str(rule), str(self.accounts[account_id].position_mode)] += 1

    def _added(self, order: OrderPlanned) -> None:
        held = self.held[order.position_id]
        same_side, _ = self._rules_of(order.bot_id, order.subscription_id)
        self._met(same_side, account_id=order.account_id)
        self._must(same_side is SameSide.ADD, f"its rule is {same_side}: {order}")
        self._must(held.is_live and held.subscription_id == order.subscription_id, f"not its own: {order}")
        self._must(held.direction.entry_side is order.side, f"adds to the other side: {order}")

    def _opened(self, order: OrderPlanned, *, xid: int) -> None:
        place = (order.account_id, order.symbol, order.position_side)
        mine = order.subscription_id, order.symbol
        owner = [
            number
            for number, one in self.held.items()
            if one.is_live and (one.place == place or (one.subscription_id, one.symbol) == mine)
        ]
        self._must(not owner, f"position {owner} is there: {order}")
        for name, key, positions_max, _ in self._levels(order):
            if positions_max is not None:
                self.checked[f"places of {name}"] += 1
                self._must(self.live[key] < positions_max, f"{name} has {self.live[key]}: {order}")
        self.held[order.position_id] = Held(
            order.bot_id, order.subscription_id, order.account_id, order.symbol, place,
            direction=Direction.of_entry(order.side), is_live=True,
        )  # fmt: skip
        self.live.update(self._keys(self.held[order.position_id]))

    def _exit(self, order: OrderPlanned) -> None:
        """An entry signal closes only where the rules say so."""
        held, instruction = self.held[order.position_id], self.instructions.get(order.signal_id)
        self._must(held.direction.entry_side is order.side.opposite, f"an exit that enters: {order}")
        share, wanted = instruction.share if instruction else None, held.quantity
        if share is not None and share < 1:
            step = self.instruments[order.symbol].market_quantity_step
            wanted = held.quantity * share // step * step
            self.checked["shares"] += 1
        self._must(order.quantity == wanted, f"closes not {wanted} of {held.quantity}: {order}")
        if instruction is None or instruction.action is not Action.ENTER:
            return
        same_side, opposite_side = self._rules_of(order.bot_id, order.subscription_id)
        self.closing.add((order.signal_id, order.account_id))
        if instruction.side is order.side:
            self._met(opposite_side, account_id=order.account_id)
            self._must(opposite_side is not OppositeSide.IGNORE, f"its rule is ignore: {order}")
        else:
            self._met(same_side, account_id=order.account_id)
            self._must(same_side is SameSide.REPLACE, f"its rule is {same_side}: {order}")

    def _waits(self, order: OrderDeferred) -> None:
        """An entry that closes what it found enters after it only where the rules say so."""
        self.checked["waiting entries"] += 1
        if (order.signal_id, order.account_id) not in self.closing:
            return  # somebody else is closing it
        same_side, opposite_side = self._rules_of(order.bot_id, order.subscription_id)
        if self.held[order.position_id].direction.entry_side is order.side:
            self._must(same_side is SameSide.REPLACE, f"its rule is {same_side}: {order}")
        else:
            self._must(opposite_side is OppositeSide.REVERSE, f"its rule is {opposite_side}: {order}")

    def _ignored(self, order: OrderDenied) -> None:
        same_side, opposite_side = self._rules_of(order.bot_id, order.subscription_id)
        rule = same_side if order.code == "SAME_SIDE_OPEN" else opposite_side
        self._met(rule, account_id=order.account_id)
        self._must(str(rule) == "ignore", f"its rule is {rule}: {order}")

    def _forgiven(self, fact: DailyLossForgiven, *, xid: int) -> None:
        subscription = self.subscriptions[fact.subscription_id]
        account = subscription.account_id
        self.checked["forgiven"] += 1
        self._lose(
            self._keys_of(fact.subscription_id, subscription.bot_id, account, fact.symbol),
            amount=-fact.amount_usd,
            day=str(fact.day),
            xid=xid,
        )

    def _lose(self, subjects: list[tuple[Any, ...]], *, amount: Decimal, day: str, xid: int) -> None:
        keys = tuple((*subject, day) for subject in subjects)
        self.losses.append(Loss(xid, keys, amount))
        for key in keys:
            self.lost[key] += amount

    def _change(self, position: Position, *, told_on: str, xid: int) -> None:
        held = self.held[position.position_id]
        if position.exited_quantity != held.exited:
            held.exited, held.last_exit_day = position.exited_quantity, told_on
        held.quantity = position.entered_quantity - position.exited_quantity
        is_live = position.status in LIVE_STATUSES
        if is_live is not held.is_live:
            for key in self._keys(held):
                self.live[key] += 1 if is_live else -1
            held.is_live = is_live
        loss = ("", Decimal(0))
        if position.realized_pnl < 0:
            if position.status is PositionStatus.CLOSED:
                assert position.closed_at is not None
                loss = (str(position.closed_at.astimezone(UTC).date()), -position.realized_pnl)
            elif is_live and position.exited_quantity:
                loss = (held.last_exit_day, -position.realized_pnl)
        for (day, amount), sign in ((held.loss, -1), (loss, 1)):
            if amount:
                self._lose(self._keys(held), amount=sign * amount, day=day, xid=xid)
        held.loss = loss

    # --- limits ---

    def _keys(self, held: Held) -> list[tuple[Any, ...]]:
        return self._keys_of(held.subscription_id, held.bot_id, held.account_id, held.symbol)

    def _keys_of(
        self, subscription_id: UUID, bot_id: UUID, account_id: int, symbol: str
    ) -> list[tuple[Any, ...]]:
        """Whose limits a position counts for."""
        keys: list[tuple[Any, ...]] = [
            ("subscription", subscription_id),
            ("subscription symbol", subscription_id, symbol),
            ("bot", bot_id),
            ("bot symbol", bot_id, symbol),
        ]
        user_id = self.accounts[account_id].user_id
        return [*keys, ("user", user_id)] if user_id else keys

    def _levels(
        self, order: OrderPlanned
    ) -> Iterator[tuple[str, tuple[Any, ...], int | None, Decimal | None]]:
        subscription, bot = self.subscriptions[order.subscription_id], self.bots[order.bot_id][-1][1]
        own, row = _row_of(subscription.symbols, order.symbol), _row_of(bot.symbols, order.symbol)
        user = self.users.get(self.accounts[order.account_id].user_id)  # type: ignore[arg-type]
        sub, symbol = subscription.subscription_id, order.symbol
        yield (
            "subscription",
            ("subscription", sub),
            subscription.max_concurrent_positions,
            subscription.max_daily_loss_usd,
        )
        yield (
            "subscription symbol",
            ("subscription symbol", sub, symbol),
            own.max_positions,
            own.max_daily_loss_usd,
        )
        yield "bot", ("bot", bot.bot_id), bot.global_max_positions, bot.global_max_daily_loss_usd
        yield "bot symbol", ("bot symbol", bot.bot_id, symbol), row.max_positions, row.max_daily_loss_usd
        if user is not None:
            yield "user", ("user", user.user_id), user.max_positions, user.max_daily_loss_usd

    def _losses(self, order: OrderPlanned) -> None:
        day = str(order.happened_at.astimezone(UTC).date())
        for name, key, _, loss_max in self._levels(order):
            if loss_max is not None:
                self.checked[f"losses of {name}"] += 1
                lost = self._least_lost({(*key, day)})
                self._must(lost < loss_max, f"{name} lost {lost} of {loss_max}: {order}")

    def _least_lost(self, keys: set[tuple[Any, ...]]) -> Decimal:
        """Give the least that whoever planned just now can have read: of what ended meanwhile, all, some or nothing."""
        assert self.snapshot is not None
        now = sum((self.lost[key] for key in keys), Decimal(0))
        least, xid = now, None
        for loss in reversed(self.losses[-500:]):
            if self.snapshot.knows(loss.xid):
                continue
            if loss.xid != xid:  # only whole transactions are read
                least, xid = min(least, now), loss.xid
            now -= sum((loss.amount for key in loss.keys if key in keys), Decimal(0))
        return min(least, now)

    def _possible_bots(self, bot_id: UUID) -> list[Bot]:
        """Give the bot as it may have been read: as it was known, and each change since."""
        assert self.snapshot is not None
        history = self.bots[bot_id]
        known = [number for number, (xid, _) in enumerate(history) if self.snapshot.knows(xid)]
        return [bot for _, bot in history[known[-1] if known else 0 :]]

    def _must(self, holds: bool, otherwise: str) -> None:  # noqa: FBT001  # reads as a sentence
        if not holds:
            self.broken.append(otherwise)


def _row_of(rows: Sequence[SymbolSettings], symbol: str) -> SymbolSettings:
    """Written again here: what reads the limits for planning must not say itself that it read them right."""
    return next((row for row in rows if row.symbol == symbol), SymbolSettings(symbol=symbol))


Say = Callable[[str], None]


async def check_limits(journal: Journal, *, instruments: dict[str, Instrument], say: Say) -> Replay:
    rows = await journal.pool.fetch(REPLAY)
    replay = Replay(instruments, Witness({Snapshot.read(row["seen"]) for row in rows}))
    for row in rows:
        replay.take(decode(row["kind"], row["fact"]), xid=row["xid"])
    say(f"replayed: {dict(replay.checked)}")
    say(f"rules met: { {'/'.join(key): times for key, times in sorted(replay.met.items())} }")
    assert replay.broken == [], f"{len(replay.broken)} broken, the first: {replay.broken[:3]}"
    return replay
