"""What may go wrong under the trader's loops, sorted by what is done about it."""

import asyncpg
import structlog

from pregao.domain.mistakes import MISTAKES
from pregao.edges.postgres import pool

AWAY = pool.AWAY
"""What a database that is away raises."""
DATA_MISTAKES = (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError)
"""What a database says to a row that cannot be: of many written together one, and the others are whole."""
OUR_MISTAKES = (*MISTAKES, *DATA_MISTAKES)
"""What fails again however often it is tried."""
BROKEN = (asyncpg.SyntaxOrAccessError, asyncpg.InternalServerError, asyncpg.PLPGSQLError)
"""What a database says that answers, but lacks a column, a right, a sound index: until somebody mends it."""

log = structlog.get_logger()


def log_away(event: str, trouble: BaseException) -> None:
    """Log that a database is away; one that answers and cannot do what is asked is a failure, of which people are told."""
    if isinstance(trouble, BROKEN):
        log.error(f"{event.removesuffix('away')}broken", exc_info=trouble)
    else:
        log.warning(event, error=type(trouble).__name__)
