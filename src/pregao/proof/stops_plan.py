"""What happens in a proof of the stops: alerts open positions, prices are led to their levels, and things go wrong around it."""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from pregao.proof.plan import (
    BOTS_MAX,
    ORDER,
    Act,
    BotPlan,
    Chapter,
    PlanError,
    ProofPlan,
    SignalPlan,
    Trial,
    Trouble,
    make_accounts,
    make_bots,
)

LINE = "endpoint=/fapi/v1/algoOrder"  # placed, asked about, and taken back
STOP_PERCENT, TARGET_PERCENT = "2", "3"
FAULTS_AT_ONCE = 2

STOP_FAULTS: dict[str, Trouble] = {
    "stick": Trouble(told="stick:seconds=6,count=1;stick:seconds=6,probability=0.4"),
    "reject": Trouble(told="reject:count=1;reject:probability=0.4"),
    "unfilled": Trouble(told="unfilled:count=1;unfilled:probability=0.4"),
    "defer": Trouble(told="defer:ms=1500,probability=0.5"),
    "freeze": Trouble(told="freeze:count=1", seconds=8, quick_seconds=4),  # prices and orders, pongs go on
    "down": Trouble(
        told="down:count=1", seconds=20, quick_seconds=3
    ),  # shorter than a blind watch takes to ring
    "late": Trouble(
        told=f"late:ms=1500,probability=0.3,within=4,{ORDER};late:ms=1500,probability=0.3,within=4,{LINE}"
    ),
    "lose": Trouble(told=f"lose:probability=0.3,within=4,{ORDER};lose:probability=0.3,within=4,{LINE}"),
    "unknown": Trouble(
        told=f"unknown:probability=0.2,within=4,{ORDER};unknown:probability=0.2,within=4,{LINE}"
    ),
    "vanish": Trouble(told=f"vanish:probability=0.2,within=4,{ORDER};vanish:probability=0.2,within=4,{LINE}"),
    "uncertain": Trouble(
        told=f"uncertain:probability=0.2,within=4,{ORDER};uncertain:probability=0.2,within=4,{LINE}"
    ),
    "refuse": Trouble(
        told=f"refuse:code=-1008,probability=0.2,within=4,{ORDER};refuse:code=-1008,probability=0.2,within=4,{LINE}"
    ),
    "drop": Trouble(told="drop:probability=0.4"),
    "duplicate": Trouble(told="duplicate:ms=0,probability=0.3;duplicate:ms=700,probability=0.5"),
    "cut": Trouble(told="cut:probability=0.1,within=20,count=3"),
    "lag": Trouble(told="lag:ms=2000,probability=0.3,endpoint=GET"),
    "clock": Trouble(told=""),  # not the exchange's: the clocks of our processes are stepped
}
"""The faults that a proof of the stops knows; all but the clock are the paper exchange's."""

ONCE_OPEN = frozenset({"down", "clock"})
"""Those that begin when all that a round opens is guarded: a venue that is down opens nothing, a clock steps under what is held."""

SILENCING = frozenset({"down", "freeze"})
"""While these last no stream says anything."""

STREAMED = frozenset({"drop", "duplicate", "defer"})
"""What can only happen to what a stream says."""

STOP_ACTS: dict[str, tuple[Act, ...]] = {
    point: tuple(Act)
    for point in (
        "stops.claim.written",
        "stops.claim.committed",
        "stops.place.before_wire",
        "stops.place.after_wire",
        "stops.leave.after_cancel",
        "trader.order.leaving",
        "trader.order.answered",
        "trader.outcome.written",
        "trader.fill.told",
    )
}
"""What is done at which point, around triggers: whoever comes there, a trader or a monitor."""


class Scenario(StrEnum):
    """Where the price is led once a position is open."""

    STOP = "stop"  # to the stop, straight away
    TARGET = "target"
    TRAIL = "trail"  # up, so that the stop follows, and back


LEGS: dict[Scenario, tuple[int, ...]] = {
    Scenario.STOP: (-260,),
    Scenario.TARGET: (360,),
    Scenario.TRAIL: (240, -30),
}
"""The way a price takes, in basis points of where it stood, for a long; a short's is the other way round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopsPlan(ProofPlan):
    """The whole proof of the stops; each alert opens, and what the price does then closes."""

    scenarios: Mapping[int, Scenario]  # of each alert, by its number


def make_stops_plan(
    *, signals: int, accounts: int, seed: int, faults: Collection[str], trials: Sequence[Trial]
) -> StopsPlan:
    """
    Make the plan.

    :raises PlanError: when the alerts are too few for what is to go wrong.
    """
    bots_count = min(BOTS_MAX, accounts)
    rounds = max(len(faults), len(trials), -(-signals // bots_count))
    if signals < rounds:
        raise PlanError(
            f"SIGNALS_TOO_FEW: signals={signals} minimum={rounds}. "
            "Every fault and every crash point needs one; ask for fewer of them, or send more."
        )
    chance = random.Random(f"{seed}/stops")
    bots = tuple(
        _guarded(bot, number=number)
        for number, bot in enumerate(make_bots(chance, count=bots_count, accounts=accounts))
    )
    made, scenarios = _rounds(
        chance, bots, signals=signals, rounds=rounds, faults=sorted(faults), trials=list(trials)
    )
    return StopsPlan(
        seed=seed,
        accounts=tuple(replace(one, has_user=True) for one in make_accounts(chance, count=accounts)),
        bots=bots,
        chapters=made,
        scenarios=scenarios,
    )


def let_streams_speak(faults: list[str]) -> None:
    """Let no fault of streams come only beside what silences them: each is in a chapter with the one before and the one after it."""
    for place, fault in enumerate(faults):
        beside = {faults[place - 1], faults[(place + 1) % len(faults)]}
        if fault in STREAMED and beside <= SILENCING:
            other = next((n for n, one in enumerate(faults) if one not in SILENCING | STREAMED), place)
            faults[place], faults[other] = faults[other], fault


def _guarded(bot: BotPlan, *, number: int) -> BotPlan:
    guard: dict[str, Any] = [
        {"trailing": "percent", "trailing_percent": STOP_PERCENT},
        {"trailing": "hand_span"},
        {},
    ][number % 3]
    rules = (
        ("default_stop_loss_pct", STOP_PERCENT),
        ("default_take_profit_pct", TARGET_PERCENT),
        ("guard", guard),
    )
    return replace(bot, rules=rules)


def _rounds(
    chance: random.Random,
    bots: tuple[BotPlan, ...],
    *,
    signals: int,
    rounds: int,
    faults: list[str],
    trials: list[Trial],
) -> tuple[tuple[Chapter, ...], dict[int, Scenario]]:
    chance.shuffle(faults)
    let_streams_speak(faults)
    chance.shuffle(trials)
    drift = [0] * len(bots)  # of each bot's price, so that it stays where it began
    scenarios: dict[int, Scenario] = {}
    chapters = []
    borders = [signals * number // rounds for number in range(rounds + 1)]
    for number in range(rounds):
        trial = trials[number] if number < len(trials) else None
        # The monitor claims targets; what stands at the venue for a stop goes first.
        first = Scenario.TARGET if trial and trial.point.startswith("stops.claim") else Scenario.STOP
        alerts = []
        of_round = range(borders[number], borders[number + 1])
        for place, bot in enumerate(chance.sample(range(len(bots)), len(of_round))):
            scenario = first if place == 0 else chance.choice(list(Scenario))
            if scenario is Scenario.TRAIL and not dict(bots[bot].rules)["guard"]:
                scenario = Scenario.STOP
            end = LEGS[scenario][-1]
            sign = chance.choice((1, -1)) if not drift[bot] else (-1 if drift[bot] * end > 0 else 1)
            drift[bot] += sign * end
            alert = SignalPlan(
                number=of_round[place] + 1,
                bot=bot,
                action="buy" if sign > 0 else "sell",
                spelling=chance.randrange(3),
                has_id=chance.random() < 0.5,
                pause_ms=chance.choice((0, 0, 100)),
            )
            alerts.append(alert)
            scenarios[alert.number] = scenario
        at_once = min(FAULTS_AT_ONCE, len(faults))
        chapters.append(
            Chapter(
                signals=tuple(alerts),
                faults=tuple(faults[(number + each) % len(faults)] for each in range(at_once)),
                trial=trial,
            )
        )
    return tuple(chapters), scenarios
