"""What becomes of open positions when a bot or a subscription ends: guarded until closed, or closed now."""

from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from fastapi import Query

from pregao.bots.ports import BotBook
from pregao.edges.http.desk import Desk
from pregao.edges.ids import uuid7
from pregao.signals.own import close_now

OpenPositions: TypeAlias = Annotated[
    Literal["keep", "close"],
    Query(description="Keep what is open, guarded until its signals close it; or close it now."),
]


async def close_if_asked(
    open_positions: OpenPositions,
    *,
    bot_id: UUID,
    subscription_id: UUID | None = None,
    book: BotBook,
    desk: Desk,
) -> UUID | None:
    """Have all that is held closed by a signal of the desk and give its id; None where nothing is to be closed."""
    if open_positions == "keep" or not await book.is_holding(bot_id, subscription_id=subscription_id):
        return None
    now = desk.clock()
    signal_id = uuid7(now)
    await book.append(close_now(signal_id=signal_id, bot_id=bot_id, subscription_id=subscription_id, now=now))
    return signal_id
