"""What may go wrong under the trader's loops, sorted by what is done about it."""

import asyncpg

from pregao.domain.mistakes import MISTAKES

AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, TimeoutError)
"""What a database that is away raises; the internal one where a connection ends while it is being used."""
DATA_MISTAKES = (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError)
"""What a database says to a row that cannot be: of many written together one, and the others are whole."""
OUR_MISTAKES = (*MISTAKES, *DATA_MISTAKES)
"""What fails again however often it is tried."""
BROKEN = (asyncpg.SyntaxOrAccessError, asyncpg.InternalServerError, asyncpg.PLPGSQLError)
"""What a database says that answers, but lacks a column, a right, a sound index: until somebody mends it."""
