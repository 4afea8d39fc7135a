"""What happens in a history, drawn from its seed: who trades, what is asked, what goes wrong."""

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from pregao.domain.account import Account, Venue
from pregao.domain.bot import (
    Approval,
    Bot,
    GuardSettings,
    OppositeSide,
    SameSide,
    Subscription,
    TargetSettings,
)
from pregao.domain.order import PositionMode, Side
from pregao.domain.signal import Action, Instruction
from pregao.domain.stop_rule import TrailingMode
from pregao.domain.user import Role, User
from pregao.simulation.venue import Manners

STARTS_AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SYMBOLS = {"BTCUSDT": Decimal(95_200), "ETHUSDT": Decimal(3_300)}
TROUBLE_SECONDS = 90.0  # then nothing goes wrong any more
RESTORES = 1 / 6
CRASHES = 1 / 6
HAND_TRADES = 1 / 4
BURSTS = 1 / 3
FIRST_PARTS = (1, 8)  # every signal of several accounts is planned in parts; or whole, with others
FAR_LEVELS = 1 / 4
LEAP_PERCENT = Decimal("0.4")
OUTLIER = Decimal("0.7")
BALANCE, BALANCE_SMALL = Decimal(10_000), Decimal(100)
APPROVAL_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A signal that arrives; of one that arrives again the later ones change nothing."""

    at_seconds: float
    signal_id: UUID
    bot_id: UUID
    instruction: Instruction


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """Something that happens to a process, to the database or to the venue."""

    at_seconds: float
    what: str  # kill, freeze, claim, database, venue, halt, restore, crash, rise, fall, outlier, feed_mute, feed_silent, feed_dead
    seconds: float  # until it is over; of a restore how much the database forgets
    place: int = 0  # of whom it strikes: first the traders, then the monitors
    symbol: str = ""  # whose price it moves
    factor: Decimal = Decimal(1)  # by how much


@dataclass(frozen=True, slots=True, kw_only=True)
class HandTrade:
    """What an account's owner does at the venue, past the desk: sells or buys so much of what is held, or a little."""

    at_seconds: float
    account_id: int
    symbol: str
    share: (
        Decimal  # of what is held; nothing held: a hundredth of it in the symbol's own units, bought or sold
    )
    side: Side  # of what is opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One history."""

    seed: int
    users: tuple[User, ...]
    accounts: tuple[Account, ...]
    bots: tuple[Bot, ...]
    subscriptions: tuple[Subscription, ...]
    deliveries: tuple[Delivery, ...]
    strikes: tuple[Strike, ...]
    hand_trades: tuple[HandTrade, ...]
    balances: dict[int, Decimal]  # by account
    traders: int
    monitors: int  # none: the venue's lines alone guard
    manners: Manners
    database_loss: float  # how often a commit fails, or succeeds unheard
    first_part: int  # accounts: whether signals of several are planned in parts, or several signals as one


def make_plan(seed: int) -> Plan:
    """Draw a history: the same seed gives the same."""
    chance, apart = random.Random(f"{seed}/plan"), random.Random(f"{seed}/apart")
    guards, together = random.Random(f"{seed}/guards"), random.Random(f"{seed}/together")
    user = User(
        user_id=UUID(int=900),
        email="ana@desk.test",
        name="Ana",
        role=Role.TRADER,
        max_positions=chance.choice((None, 2)),
    )
    accounts = tuple(
        Account(
            account_id=number,
            name=f"account {number}",
            venue=Venue.PAPER,
            user_id=chance.choice((None, user.user_id)),
            position_mode=apart.choice((*[PositionMode.ONE_WAY] * 3, PositionMode.HEDGE)),
        )
        for number in range(1, chance.randint(2, 7) + 1)
    )
    bots = tuple(
        replace(_bot(number, chance), approval=apart.choice((*[Approval.AUTOMATIC] * 4, Approval.MANUAL)))
        for number in range(1, chance.randint(1, 2) + 1)
    )
    subscriptions = tuple(
        _subscription(bot, account, chance) for bot in bots for account in accounts if chance.random() < 0.8
    )
    traders = chance.choice((1, 1, 2))
    crashes = _crashes(apart)
    bots = tuple(_guarded(bot, guards) for bot in bots)
    monitors = guards.choice((0, 1, 1, 2))
    deliveries = tuple(_in_bursts(_deliveries(bots, chance), together))
    strikes = [*_strikes(chance, traders), *_restores(seed), *crashes, *_leaps(guards)]
    strikes += _strikes_at_monitors(guards, first=traders, monitors=monitors)
    return Plan(
        seed=seed,
        users=(user,),
        accounts=accounts,
        bots=bots,
        subscriptions=subscriptions,
        deliveries=deliveries,
        strikes=tuple(sorted(strikes, key=lambda one: one.at_seconds)),
        hand_trades=tuple(_hand_trades(accounts, apart)),
        balances={
            one.account_id: apart.choice((BALANCE, BALANCE_SMALL)) if crashes else BALANCE for one in accounts
        },
        traders=traders,
        monitors=monitors,
        manners=_spoiling(_manners(chance), guards),
        database_loss=chance.choice((0.0, 0.01, 0.03)),
        first_part=together.choice(FIRST_PARTS),
    )


def _bot(number: int, chance: random.Random) -> Bot:
    return Bot(
        bot_id=UUID(int=number),
        name=f"bot {number}",
        webhook_path=f"bot-{number}",
        secret_sha256="0" * 64,
        same_side=chance.choice(tuple(SameSide)),
        opposite_side=chance.choice((OppositeSide.REVERSE, OppositeSide.REVERSE, *OppositeSide)),
        global_max_positions=chance.choice((None, None, 4)),
        cooldown_seconds=chance.choice((0, 0, 5)),
        approval_seconds=APPROVAL_SECONDS,
    )


def _subscription(bot: Bot, account: Account, chance: random.Random) -> Subscription:
    return Subscription(
        subscription_id=UUID(int=bot.bot_id.int * 1_000 + account.account_id),
        bot_id=bot.bot_id,
        account_id=account.account_id,
        custom_margin_usd=Decimal(chance.choice((None, 20, 200)) or 50),
        custom_leverage=chance.choice((None, 3, 20)),
        max_concurrent_positions=chance.choice((1, 1, 2)),
    )


def _deliveries(bots: tuple[Bot, ...], chance: random.Random) -> list[Delivery]:
    deliveries: list[Delivery] = []
    for number in range(chance.randint(4, 14)):
        at_seconds = 3.0 + (TROUBLE_SECONDS - 10.0) * chance.random()
        delivery = Delivery(
            at_seconds=at_seconds,
            signal_id=UUID(int=10_000 + number),
            bot_id=chance.choice(bots).bot_id,
            instruction=_instruction(at_seconds, chance),
        )
        deliveries.append(delivery)
        if chance.random() < 0.3:
            deliveries.append(replace(delivery, at_seconds=at_seconds + 5.0 * chance.random()))
    return sorted(deliveries, key=lambda one: (one.at_seconds, one.signal_id))


def _in_bursts(deliveries: list[Delivery], chance: random.Random) -> list[Delivery]:
    """Let some signals of one symbol bring the same of the other ones with them."""
    burst = [
        replace(
            one,
            signal_id=UUID(int=one.signal_id.int + 1_000 * place),
            instruction=replace(one.instruction, symbol=symbol),
        )
        for one in deliveries
        if one.instruction.symbol is not None and chance.random() < BURSTS
        for place, symbol in enumerate(SYMBOLS, start=1)
        if symbol != one.instruction.symbol
    ]
    return sorted([*deliveries, *burst], key=lambda one: (one.at_seconds, one.signal_id))


def _instruction(at_seconds: float, chance: random.Random) -> Instruction:
    action = chance.choice((Action.ENTER, Action.ENTER, Action.ENTER, Action.CLOSE, Action.CLOSE_ALL))
    age_seconds = chance.choice((0.5, 3.0, 10.0, 60.0, 60.0, 60.0))
    return Instruction(
        action=action,
        symbol=None if action is Action.CLOSE_ALL else chance.choice(tuple(SYMBOLS)),
        side=chance.choice(tuple(Side)) if action is Action.ENTER else None,
        share=chance.choice((None, None, Decimal("0.5"))) if action is Action.CLOSE else None,
        price=None,
        send_before=STARTS_AT + timedelta(seconds=at_seconds + age_seconds),
    )


def _strikes(chance: random.Random, traders: int) -> list[Strike]:
    strikes = [
        Strike(
            at_seconds=5.0 + (TROUBLE_SECONDS - 25.0) * chance.random(),
            what=what,
            seconds=seconds * (0.5 + chance.random()),
            place=chance.randrange(traders),
        )
        for what, seconds, most in (("kill", 2.0, 3), ("freeze", 10.0, 1), ("database", 4.0, 1), ("venue", 5.0, 1), ("halt", 10.0, 1))
        for _ in range(chance.randint(0, most))
    ]  # fmt: skip
    return sorted(strikes, key=lambda one: one.at_seconds)


def _guarded(bot: Bot, chance: random.Random) -> Bot:
    """Let levels stand so near that prices come to them, or as far away as they do by themselves."""
    if chance.random() < FAR_LEVELS:
        return bot
    trailing = chance.choice((None, None, *TrailingMode))
    shares = chance.choice(((), (), (Decimal("0.5"), Decimal("0.5"))))
    guard = GuardSettings(
        targets=tuple(
            TargetSettings(percent=LEAP_PERCENT * number / 2, share=share)
            for number, share in enumerate(shares, start=1)
        ),
        trailing=trailing,
        trailing_percent=LEAP_PERCENT / 2,
        trailing_step_percent=Decimal("0.05"),
        break_even_after_target=chance.random() < 0.5,
    )
    near = chance.choice((LEAP_PERCENT / 2, LEAP_PERCENT))
    return replace(bot, guard=guard, default_stop_loss_pct=near, default_take_profit_pct=2 * LEAP_PERCENT)


def _leaps(chance: random.Random) -> list[Strike]:
    """Let prices leap up and down, and be told once where they never were."""
    leap = LEAP_PERCENT / 100
    kinds = [("rise", 1 + leap), ("fall", 1 - leap), ("rise", 1 + 3 * leap), ("fall", 1 - 3 * leap)]
    # One outlier at most: two that follow each other on a silent feed agree, and are believed.
    chosen = [chance.choice(kinds) for _ in range(chance.randint(2, 9))] + [("outlier", OUTLIER)]
    return [
        Strike(
            at_seconds=10.0 + (TROUBLE_SECONDS - 25.0) * chance.random(),
            what=what,
            seconds=15.0 * chance.random(),
            symbol=chance.choice(tuple(SYMBOLS)),
            factor=factor,
        )
        for what, factor in chosen
    ]


def _strikes_at_monitors(chance: random.Random, *, first: int, monitors: int) -> list[Strike]:
    """Kill and freeze monitors, one of them between its claim and the exit, and let their prices be silent."""
    if not monitors:
        return []
    return [
        Strike(
            at_seconds=5.0 + (TROUBLE_SECONDS - 25.0) * chance.random(),
            what=what,
            seconds=seconds * (0.5 + chance.random()),
            place=first + chance.randrange(monitors),
        )
        for what, seconds, most in (("kill", 2.0, 2), ("freeze", 6.0, 1), ("claim", 2.0, 2), ("feed_mute", 0.0, 1), ("feed_silent", 50.0, 1), ("feed_dead", 50.0, 1))
        for _ in range(chance.randint(0, most))
    ]  # fmt: skip


def _restores(seed: int) -> list[Strike]:
    """Put the database back in one history of six, early enough that something happens afterwards."""
    chance = random.Random(f"{seed}/restore")
    if chance.random() >= RESTORES:
        return []
    seconds = 1.0 + 14.0 * chance.random()
    at_seconds = 15.0 + seconds + (TROUBLE_SECONDS - 60.0) * chance.random()
    return [Strike(at_seconds=at_seconds, what="restore", seconds=seconds)]


def _crashes(chance: random.Random) -> list[Strike]:
    """Let the prices fall by a quarter, which accounts with little margin do not outlive, and rise again."""
    if chance.random() >= CRASHES:
        return []
    return [Strike(at_seconds=20.0 + 40.0 * chance.random(), what="crash", seconds=15.0)]


def _hand_trades(accounts: tuple[Account, ...], chance: random.Random) -> list[HandTrade]:
    if chance.random() >= HAND_TRADES:
        return []
    trades = [
        HandTrade(
            at_seconds=5.0 + (TROUBLE_SECONDS - 10.0) * chance.random(),
            account_id=chance.choice(accounts).account_id,
            symbol=chance.choice(tuple(SYMBOLS)),
            share=chance.choice((Decimal(1), Decimal(1), Decimal("0.5"), Decimal(2))),
            side=chance.choice(tuple(Side)),
        )
        for _ in range(chance.randint(1, 4))
    ]
    return sorted(trades, key=lambda one: one.at_seconds)


def _spoiling(manners: Manners, chance: random.Random) -> Manners:
    """Let the venue's own lines hang, be rejected or fill nothing."""
    return replace(
        manners,
        stick=chance.choice((0.0, 0.3)),
        reject=chance.choice((0.0, 0.3)),
        unfilled=chance.choice((0.0, 0.3)),
    )


def _manners(chance: random.Random) -> Manners:
    if chance.random() < 0.1:
        return Manners()
    return Manners(
        lose=chance.choice((0.0, 0.1)),
        vanish=chance.choice((0.0, 0.1)),
        unknown=chance.choice((0.0, 0.1)),
        refuse=chance.choice((0.0, 0.05)),
        busy=chance.choice((0.0, 0.1)),
        stall=chance.choice((0.0, 0.1, 0.3)),
        silent=chance.choice((0.0, 0.05, 0.2)),
        slow=chance.choice((0.0, 0.1, 0.5)),
        lag=chance.choice((0.0, 0.2)),
        drop=chance.choice((0.0, 0.1)),
        duplicate=chance.choice((0.0, 0.1)),
        late=chance.choice((0.0, 0.1)),
        cut=chance.choice((0.0, 0.03)),
    )
