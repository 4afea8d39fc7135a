"""What stands on each account (leverage, margin mode, position mode), as last set, told or contradicted."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field

from pregao.domain.order import PositionMode, PositionSide
from pregao.domain.venue import MarginMode


@dataclass(slots=True)
class Standing:
    """Known settings of all accounts; what is not known is asked for or set anew."""

    leverages: dict[tuple[int, str], int] = field(default_factory=dict)
    margin_modes: dict[tuple[int, str], MarginMode] = field(default_factory=dict)
    position_modes: dict[int, PositionMode] = field(default_factory=dict)
    looked_at: set[int] = field(default_factory=set)  # accounts whose settings were asked for since
    _locks: defaultdict[tuple[int, str], asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock)
    )

    def lock(self, account_id: int, symbol: str = "") -> asyncio.Lock:
        """Give the lock under which a setting is asked for: who asks second finds it known."""
        return self._locks[account_id, symbol]

    def note_position_side(self, account_id: int, side: PositionSide) -> None:
        """Learn from an event which mode the account is in: one-way events say BOTH, hedge events a side."""
        is_one_way = side is PositionSide.BOTH
        self.position_modes[account_id] = PositionMode.ONE_WAY if is_one_way else PositionMode.HEDGE

    def note_leverage(self, account_id: int, symbol: str, leverage: int) -> None:
        """Learn a leverage changed by anybody."""
        self.leverages[account_id, symbol] = leverage

    def note_told(self, account_id: int, symbol: str, *, leverage: int, margin_mode: MarginMode) -> None:
        """Learn what the venue told when it was asked; a read may be older than what is known, so both are doubted then."""
        key = account_id, symbol
        if self.leverages.setdefault(key, leverage) != leverage:
            del self.leverages[key]
        if self.margin_modes.setdefault(key, margin_mode) is not margin_mode:
            del self.margin_modes[key]

    def forget(self, account_id: int) -> None:
        """Know nothing of the account any more: its stream was away."""
        self.looked_at.discard(account_id)
        self.position_modes.pop(account_id, None)
        for known in (self.leverages, self.margin_modes):
            for key in [key for key in known if key[0] == account_id]:
                del known[key]
