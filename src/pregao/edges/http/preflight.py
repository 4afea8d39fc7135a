"""Has a trader look an account over now, and waits for it a little."""

import asyncio

from pregao.edges.http.desk import Desk

TRY_SECONDS = 0.05


async def look_over(account_id: int, *, desk: Desk, seconds_max: float, fixes: bool = False) -> bool:
    """Say whether the account was looked over in time; without a trader nobody waits."""
    asked_at = await desk.preflights.ask(account_id, fixes=fixes)
    if not await desk.preflights.has_traders():
        return False
    try:
        async with asyncio.timeout(seconds_max):
            while not await desk.preflights.is_checked(account_id, since=asked_at):  # noqa: ASYNC110  # another process looks: no event of ours tells
                await asyncio.sleep(TRY_SECONDS)
    except TimeoutError:
        return False
    return True
