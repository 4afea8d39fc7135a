"""
What happens in a proof, from its seed: the accounts, the bots, the signals, and what goes wrong while they come.

The same seed and the same wishes give the same plan. Real time is no part of it.
"""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from pregao.rehearsal import POINTS
from pregao.simulation.instruments import LISTINGS

BOTS_MAX = 5  # a symbol each: a second bot on a symbol would mostly be denied
SIGNALS_PER_CHAPTER_MIN = 2
ENCORES_MAX = 8
ORDER = "endpoint=POST /fapi/v1/order"


class Act(StrEnum):
    """What is done to a process that comes to a trap."""

    KILL = "kill"  # it ends as with kill -9
    FREEZE = "freeze"  # it is stopped for longer than its lease, and goes on
    DATABASE = "database"  # it waits while PostgreSQL is ended with kill -9, and goes on
    DATABASE_FREEZE = "database-freeze"  # it goes on while PostgreSQL is stopped for longer than a lease


@dataclass(frozen=True, slots=True)
class Trial:
    """One act at one crash point."""

    point: str
    act: Act

    def __str__(self) -> str:
        return f"{self.point}:{self.act}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One kind of fault: how the paper exchange is told, in a long proof and in a quick one."""

    told: str
    seconds: float = 0.0  # how long it lasts once it has struck; its chapter waits for it
    quick_seconds: float = 0.0

    def spelled(self, *, is_quick: bool) -> str:
        """Give what the paper exchange is told."""
        return f"{self.told},seconds={self.lasts(is_quick=is_quick)}" if self.seconds else self.told

    def lasts(self, *, is_quick: bool) -> float:
        """Give how many seconds it lasts."""
        return self.quick_seconds if is_quick else self.seconds


FAULTS: dict[str, Trouble] = {
    "late": Trouble(told=f"late:ms=1500,probability=0.3,within=4,{ORDER}"),
    "stall": Trouble(told=f"stall:ms=6000,probability=0.25,within=4,{ORDER}"),  # beyond the receive window
    "lose": Trouble(told=f"lose:probability=0.3,within=4,{ORDER}"),
    "unknown": Trouble(told=f"unknown:probability=0.2,within=4,{ORDER}"),
    "vanish": Trouble(told=f"vanish:probability=0.2,within=4,{ORDER}"),
    "uncertain": Trouble(told=f"uncertain:probability=0.2,within=4,{ORDER}"),
    "refuse": Trouble(told=f"refuse:code=-1008,probability=0.2,within=4,{ORDER}"),
    "throttle": Trouble(told=f"throttle:status=429,seconds=2,count=3,probability=0.3,within=4,{ORDER}"),
    "down": Trouble(told="down:count=1", seconds=60, quick_seconds=3),
    "drop": Trouble(told="drop:probability=0.5"),
    "duplicate": Trouble(told="duplicate:ms=0,probability=0.3;duplicate:ms=700,probability=0.5"),
    "freeze": Trouble(told="freeze:count=1", seconds=40, quick_seconds=4),
    "cut": Trouble(told="cut:probability=0.1,within=20,count=3"),
    "lag": Trouble(told="lag:ms=3000,probability=0.5,endpoint=GET"),
    "clock": Trouble(told=""),  # not the exchange's: the clocks of our processes are stepped
}
"""The faults a proof knows; all but the clock are the paper exchange's."""

NEEDS = {
    "trader.order.asked": f"lose:probability=0.5,count=20,{ORDER}",
    "trader.gap.asked": "cut:count=1",
}
"""What must go wrong for a point to be come to at all."""

ACTS: dict[str, tuple[Act, ...]] = {
    point: (Act.KILL,) if point.startswith("supervisor.") else tuple(Act)
    for point in POINTS
    if not point.startswith("stops.claim.")
}
"""
What may be done at each point: a supervisor has no lease, and PostgreSQL ends with it.

Nothing reaches a level here: claims are the proof of the stops' business.
"""


# A position that was guarded has to close for the one, a role to end for the other.
SELDOM = frozenset({"stops.leave.after_cancel", "supervisor.role.ended"})
RESTORE = "restore"
"""Not a crash point's act: PostgreSQL's folder is copied, and put back one chapter later."""
RESTORE_CHAPTERS = 3  # before the copy, between the copy and its return, after it: the last two of a proof


class PlanError(ValueError):
    """The proof was asked for something it cannot do; the text says what is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPlan:
    """An account at the paper exchange."""

    name: str
    position_mode: str
    has_user: bool = False  # it belongs to a user of its own, not to the desk


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowerPlan:
    """An account that follows a bot, with its own settings where they differ."""

    account: int
    leverage: int | None
    margin_usd: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BotPlan:
    """A bot, the one symbol it trades, and who follows it."""

    name: str
    symbol: str
    leverage: int
    margin_usd: int
    followers: tuple[FollowerPlan, ...]
    rules: tuple[tuple[str, Any], ...] = ()  # what else its row says, by the fields of the API


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalPlan:
    """One alert: which bot's, what it says, how it is spelled."""

    number: int
    bot: int
    action: str
    spelling: int
    has_id: bool
    pause_ms: int  # before the next one


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """Some signals, what goes wrong at the venue while they come, and the trap that is set."""

    signals: tuple[SignalPlan, ...]
    faults: tuple[str, ...]
    trial: Trial | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofPlan:
    """The whole proof."""

    seed: int
    accounts: tuple[AccountPlan, ...]
    bots: tuple[BotPlan, ...]
    chapters: tuple[Chapter, ...]
    # Without faults or traps of their own: for what nobody has met in its chapter.
    encores: tuple[Chapter, ...] = ()
    restores: bool = False

    @property
    def copied_after(self) -> int | None:
        """Give the number of chapters after which the database is copied, None when it never is."""
        return len(self.chapters) - 2 if self.restores else None

    @property
    def restored_after(self) -> int | None:
        """Give the number of chapters after which that copy is put back."""
        return len(self.chapters) - 1 if self.restores else None

    @property
    def signals(self) -> list[SignalPlan]:
        """Give every signal in its order."""
        return [signal for chapter in self.chapters for signal in chapter.signals]

    @property
    def faults(self) -> list[str]:
        """Give every kind of fault that is asked for."""
        return sorted({fault for chapter in self.chapters for fault in chapter.faults})

    @property
    def trials(self) -> list[Trial]:
        """Give every trial in its order."""
        return [chapter.trial for chapter in self.chapters if chapter.trial]


def make_plan(
    *,
    signals: int,
    accounts: int,
    seed: int,
    faults: Collection[str],
    trials: Sequence[Trial],
    restores: bool = False,
) -> ProofPlan:
    """
    Make the plan of a proof.

    :raises PlanError: when the signals are too few for what is to go wrong.
    """
    chapters = max(len(faults), len(trials), RESTORE_CHAPTERS if restores else 1)
    if signals < SIGNALS_PER_CHAPTER_MIN * chapters:
        raise PlanError(
            f"SIGNALS_TOO_FEW: signals={signals} minimum={SIGNALS_PER_CHAPTER_MIN * chapters}. "
            "Every fault and every crash point needs some; ask for fewer of them, or send more."
        )
    chance = random.Random(f"{seed}/proof")
    bots = make_bots(chance, count=min(BOTS_MAX, accounts), accounts=accounts)
    return ProofPlan(
        seed=seed,
        accounts=make_accounts(chance, count=accounts),
        bots=bots,
        chapters=_chapters(
            chance,
            _signals(chance, count=signals, bots=len(bots)),
            count=chapters,
            faults=sorted(faults),
            trials=list(trials),
        ),
        encores=_encores(random.Random(f"{seed}/encores"), after=signals, bots=len(bots)),
        restores=restores,
    )


def read_faults(text: str, *, known: Mapping[str, Trouble] = FAULTS) -> list[str]:
    """
    Read the wish for faults: ``all``, ``none``, or kinds parted by commas.

    :raises PlanError: when a kind is unknown.
    """
    words = _words(text, everything=list(known))
    for word in words:
        if word not in known:
            raise PlanError(f"FAULT_UNKNOWN: fault={word} known={','.join(known)}")
    return words


def reads_restore(text: str) -> bool:
    """Say whether the wish for kills names a restored database."""
    return RESTORE in _words(text, everything=[RESTORE])


def read_trials(text: str, *, known: Mapping[str, tuple[Act, ...]] = ACTS) -> list[Trial]:
    """
    Read the wish for kills: ``all``, ``none``, or words parted by commas: an act, a point, or ``POINT:ACT``.

    A restored database is no crash point: `reads_restore`.

    :raises PlanError: when a word is none of these.
    """
    every = [Trial(point, act) for point, acts in known.items() for act in acts]
    found: dict[Trial, None] = {}
    for word in _words(text, everything=list(Act)):
        if word == RESTORE:
            continue
        fitting = [trial for trial in every if word in (trial.point, trial.act, str(trial))]
        if not fitting:
            raise PlanError(
                f"KILL_UNKNOWN: kill={word} acts={','.join(Act)},{RESTORE} points={','.join(known)}"
            )
        found.update(dict.fromkeys(fitting))
    return list(found)


def _words(text: str, *, everything: list[str]) -> list[str]:
    if text == "all":
        return everything
    return [word.strip() for word in text.split(",") if word.strip()] if text != "none" else []


def make_accounts(chance: random.Random, *, count: int) -> tuple[AccountPlan, ...]:
    """Give accounts of both position modes."""
    return tuple(
        AccountPlan(name=f"Proof {number}", position_mode=chance.choice(("one_way", "one_way", "hedge")))
        for number in range(1, count + 1)
    )


def make_bots(chance: random.Random, *, count: int, accounts: int) -> tuple[BotPlan, ...]:
    """Give bots on different symbols, and who follows them."""
    symbols = chance.sample(sorted(LISTINGS), count)
    followers: list[list[FollowerPlan]] = [[] for _ in symbols]
    for account in range(accounts):
        # Every account follows one bot at least, and half of them another one too.
        second = [chance.randrange(count)] if chance.random() < 0.5 else []
        for bot in dict.fromkeys([account % count, *second]):
            followers[bot].append(
                FollowerPlan(
                    account=account,
                    leverage=chance.choice((None, None, 3, 7, 15)),
                    margin_usd=chance.choice((None, None, 60, 150)),
                )
            )
    return tuple(
        BotPlan(
            name=f"Proof {symbol}",
            symbol=symbol,
            leverage=chance.choice((4, 5, 10)),
            margin_usd=chance.choice((80, 100, 200)),
            followers=tuple(own),
        )
        for symbol, own in zip(symbols, followers, strict=True)
    )


def _signals(chance: random.Random, *, count: int, bots: int) -> list[SignalPlan]:
    """Give alerts that mostly have something to do: entries when flat, then closes, reverses, a few that change nothing."""
    holding: list[str | None] = [None] * bots
    signals = []
    for number in range(1, count + 1):
        bot = chance.randrange(bots)
        held = holding[bot]
        if held is None:
            action = chance.choice(("buy", "sell"))
        else:
            other = "sell" if held == "buy" else "buy"
            action = chance.choices(("close", other, held), weights=(55, 35, 10))[0]
        holding[bot] = None if action == "close" else action
        signals.append(
            SignalPlan(
                number=number,
                bot=bot,
                action=action,
                spelling=chance.randrange(3),
                has_id=chance.random() < 0.5,
                pause_ms=chance.choice((0, 100, 300, 600)),
            )
        )
    return signals


def _chapters(
    chance: random.Random,
    signals: list[SignalPlan],
    *,
    count: int,
    faults: list[str],
    trials: list[Trial],
) -> tuple[Chapter, ...]:
    chance.shuffle(faults)
    chance.shuffle(trials)
    trials = _seldom_early(trials)
    lasting = {kind: chance.randrange(count) for kind in faults if FAULTS[kind].seconds}
    faults = [kind for kind in faults if kind not in lasting]
    at_once = min(3, len(faults))  # so that kinds of faults meet, too
    borders = [len(signals) * number // count for number in range(count + 1)]
    return tuple(
        Chapter(
            signals=tuple(signals[borders[number] : borders[number + 1]]),
            faults=(
                *(faults[(number + each) % len(faults)] for each in range(at_once)),
                *(kind for kind, chapter in lasting.items() if chapter == number),
            ),
            trial=trials[number] if number < len(trials) else None,
        )
        for number in range(count)
    )


def _encores(chance: random.Random, *, after: int, bots: int) -> tuple[Chapter, ...]:
    signals = [
        replace(signal, number=after + signal.number)
        for signal in _signals(chance, count=ENCORES_MAX * SIGNALS_PER_CHAPTER_MIN, bots=bots)
    ]
    return tuple(
        Chapter(signals=tuple(signals[first : first + SIGNALS_PER_CHAPTER_MIN]), faults=(), trial=None)
        for first in range(0, len(signals), SIGNALS_PER_CHAPTER_MIN)
    )


def _seldom_early(trials: Sequence[Trial]) -> list[Trial]:
    """Put the trials of what happens seldom after the first quarter: whoever does not come there then has time to."""
    often = [trial for trial in trials if trial.point not in SELDOM]
    for number, trial in enumerate(trial for trial in trials if trial.point in SELDOM):
        often.insert(len(trials) // 4 + 2 * number, trial)
    return often
