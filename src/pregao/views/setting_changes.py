"""How the desk's own settings changed: what was, what is, who said so and why; and where that is fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

SETTINGS = {
    "ForwardLimitSet": "forward_limit",  # forwards to each destination in a minute
    "RetentionSet": "retention",  # for how many days what is over is remembered
    "SecondFactorDemanded": "second_factor",  # who must have one
    "AlertLevelSet": "alert_level",  # the least level that is told
    "SellListConfigured": "sell_list",  # how long what was entered by hand stays on the list
    "ScreenerPaused": "screener_pause",
}
"""The facts that set what holds for the whole desk, and what they set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueChanged:
    """One value; what nobody had set before has no former one."""

    field: str
    old: str | None
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingChange:
    """One time that somebody set something, though it may be to what it was."""

    change_id: int
    changed_at: datetime
    setting: str
    set_by: str
    reason: str  # empty where nobody gave one
    values: Sequence[ValueChanged]


class SettingChanges(Protocol):
    """Where they are fetched, newest first; ``before`` is where the page before ended."""

    async def changes(
        self, *, setting: str | None, before: int | None, limit: int
    ) -> Sequence[SettingChange]:
        """Give changes, of one setting or of all."""
        ...
