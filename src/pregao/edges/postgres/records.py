"""What a bot has done already, as the checks of a decision ask for it."""

from datetime import UTC, datetime, time, timedelta
from uuid import UUID

from pregao.decisions.checks import goes_against
from pregao.decisions.ports import NOTHING_DONE, NewerSignal, Record
from pregao.domain.bot import Bot
from pregao.domain.position import Direction
from pregao.domain.signal import Instruction
from pregao.edges.postgres.journal import Connection
from pregao.edges.postgres.rows import to_value
from pregao.edges.postgres.usage import LIVE, LOST_IN_PART

AGAINST = f"""(
           SELECT count(*)::int FROM positions
           WHERE bot_id = $1 AND symbol = $2 AND direction = {{direction}} AND {LIVE}
       ) + (
           SELECT count(*)::int FROM orders
           WHERE bot_id = $1 AND symbol = $2 AND side = {{side}} AND status = 'deferred' AND leg = 'entry')"""

# A part that nothing asks for is not read. The first two go by the index signals_entered.
# What is replayed on paper is no entry of the bot's: nothing real may wait for it.
ENTERED = "action = 'enter' AND status IN ('approved', 'planned', 'settled') AND source <> 'replay'"
RECORD = f"""
SELECT CASE WHEN $3::timestamptz IS NOT NULL THEN (
           SELECT max(decided_at) FROM signals
           WHERE bot_id = $1 AND symbol = $2 AND decided_at > $3 AND {ENTERED}) END AS last_entry_at,
       CASE WHEN $5 THEN (
           SELECT count(*)::int FROM signals WHERE bot_id = $1 AND decided_at >= $4 AND {ENTERED})
       ELSE 0 END AS entries_today,
       CASE WHEN $6 THEN (
           SELECT count(*)::int FROM positions WHERE bot_id = $1 AND {LIVE})
       ELSE 0 END AS live_positions,
       CASE WHEN $6 THEN (
           SELECT count(*)::int FROM positions WHERE bot_id = $1 AND symbol = $2 AND {LIVE})
       ELSE 0 END AS positions_here,
       CASE WHEN $7 THEN (
           SELECT coalesce(sum(counted_loss_usd), 0) FROM daily_results
           WHERE bot_id = $1 AND day = ($4 AT TIME ZONE 'UTC')::date
       ) + (
           SELECT {LOST_IN_PART.format(day="($4 AT TIME ZONE 'UTC')::date")}
           FROM positions AS p WHERE bot_id = $1 AND {LIVE})
       ELSE 0 END AS loss_today_usd,
       CASE WHEN $8 THEN {AGAINST.format(direction="$9", side="$10")} ELSE 0 END AS positions_against
"""
COUNT_AGAINST = f"SELECT {AGAINST.format(direction='$3', side='$4')}"

# A share closed, one subscription closed by the desk, or what is sent again to some, leaves the bot where it was. Nothing is joined: no estimate of
# how much came later may make it read all the bot ever had. It goes by the index signals_of_bot from the question on.
NEWER_AGAINST = """
SELECT n.signal_id, n.action, n.received_at
FROM signals AS n
WHERE n.bot_id = $2 AND n.received_at >= (SELECT received_at FROM signals WHERE signal_id = $1)
  AND (n.received_at, n.signal_id) > ((SELECT received_at FROM signals WHERE signal_id = $1), $1)
  AND n.status IN ('approved', 'planned', 'settled')
  AND (n.symbol = $3 OR n.action = 'close_all')
  AND (n.side = $4 OR n.side IS NULL)
  AND (SELECT coalesce(j.fact #>> '{instruction,share}', j.fact #>> '{instruction,subscription_id}',
                       j.fact #>> '{instruction,again}')
       FROM journal AS j WHERE j.signal_id = n.signal_id AND j.kind = 'DecisionApproved' ORDER BY j.seq LIMIT 1) IS NULL
ORDER BY n.received_at DESC, n.signal_id DESC LIMIT 1
"""


async def read_record(connection: Connection, bot: Bot, instruction: Instruction, *, now: datetime) -> Record:
    """Give what the bot's settings ask of its past, in one statement."""
    assert instruction.side is not None, "an entry has a side"
    other_side = instruction.side.opposite
    is_asked = (
        bot.cooldown_seconds > 0
        or bot.max_entries_per_day is not None
        or bot.global_max_positions is not None
        or bot.global_max_daily_loss_usd is not None
        or goes_against(bot, instruction)
    )
    if not is_asked:
        return NOTHING_DONE
    row = await connection.fetchrow(
        RECORD,
        bot.bot_id,
        instruction.symbol,
        now - timedelta(seconds=bot.cooldown_seconds) if bot.cooldown_seconds else None,
        datetime.combine(now.astimezone(UTC), time(), UTC),
        bot.max_entries_per_day is not None,
        bot.global_max_positions is not None,
        bot.global_max_daily_loss_usd is not None,
        goes_against(bot, instruction),
        Direction.of_entry(other_side),
        other_side,
    )
    assert row is not None, "one row of counts"
    return to_value(row, Record)


async def count_against(connection: Connection, instruction: Instruction, *, bot_id: UUID) -> int:
    """Count the bot's positions on the symbol, live or about to be, that an order on the entry's side would reduce."""
    assert instruction.side is not None, "an entry has a side"
    other_side = instruction.side.opposite
    count: int = await connection.fetchval(
        COUNT_AGAINST, bot_id, instruction.symbol, Direction.of_entry(other_side), other_side
    )
    return count


async def find_newer_against(
    connection: Connection, signal_id: UUID, *, bot_id: UUID, instruction: Instruction
) -> NewerSignal | None:
    """Give the latest signal that came after this entry, was traded, and went against it."""
    assert instruction.side is not None, "an entry has a side"
    row = await connection.fetchrow(
        NEWER_AGAINST, signal_id, bot_id, instruction.symbol, instruction.side.opposite
    )
    return None if row is None else to_value(row, NewerSignal)
