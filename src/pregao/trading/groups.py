"""Which of the signals that wait are planned together: what they look at is then read once for all."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from pregao.decisions.checks import goes_against
from pregao.decisions.ports import Waiting
from pregao.domain.bot import Bot
from pregao.domain.facts import SignalAccepted
from pregao.domain.signal import Action, Instruction
from pregao.orders.plan import goes_with_others


@dataclass(slots=True)
class _Group:
    """Signals of one bot that later ones may still join."""

    signals: list[Waiting]
    passed: set[str] = field(default_factory=set)  # symbols that signals of the bot have named since it began

    @property
    def bot_id(self) -> UUID:
        return self.signals[0].bot_id


def in_groups(
    claimed: Sequence[Waiting], *, bots: Mapping[UUID, Bot], large: Collection[UUID] = ()
) -> list[list[Waiting]]:
    """
    Put closes of one bot, and entries of one bot, that may be planned together into one group, at the place of its first.

    All others stay alone, and so do those of ``large`` bots, which are planned in parts. What joins a group is drawn
    forward past signals of other symbols only: none overtakes another of its bot and symbol, nor one that means all
    symbols. No entry overtakes another, of whatever bot: places are given out in the order in which they were asked for.
    """
    groups: list[list[Waiting]] = []
    closing: dict[UUID, _Group] = {}
    entering: _Group | None = None
    for signal in claimed:
        bot_id, asked, bot = signal.bot_id, signal.instruction, bots[signal.bot_id]
        if asked.symbol is None or asked.action is Action.CLOSE_ALL:
            closing.pop(bot_id, None)
            entering = None
            groups.append([signal])
            continue
        may_join = isinstance(signal, SignalAccepted) and bot_id not in large and goes_with_others(asked)
        may_enter = not _may_only_close(asked, bot)
        group = entering if may_enter else closing.get(bot_id)
        may_join = may_join and not (may_enter and _counts_entries(bot))
        if may_join and group is not None and group.bot_id == bot_id and asked.symbol not in group.passed:
            group.signals.append(signal)
        else:
            begun = _Group([signal])
            groups.append(begun.signals)
            if may_enter:
                entering = begun if may_join else None
            elif may_join:
                closing[bot_id] = begun
        for one in (closing.get(bot_id), entering):
            if one is not None and one.bot_id == bot_id:
                one.passed.add(asked.symbol)
    return groups


def _may_only_close(asked: Instruction, bot: Bot) -> bool:
    """Say whether a signal closes, or does nothing: as a close, or as what goes the way its bot may not enter."""
    if asked.action is Action.ENTER and asked.risk is None and goes_against(bot, asked):
        asked = replace(asked, action=Action.CLOSE)
    return asked.action is not Action.ENTER


def _counts_entries(bot: Bot) -> bool:
    """Say whether the checks of an entry ask what the bot has entered on other symbols."""
    return bot.max_entries_per_day is not None or bot.global_max_positions is not None
