"""What may go wrong under the trader's loops, sorted by what is done about it."""

import asyncpg

AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, TimeoutError)
"""What a database that is away raises; the internal one where a connection ends while it is being used."""
OUR_MISTAKES = (
    AssertionError,
    ArithmeticError,
    LookupError,
    TypeError,
    ValueError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.DataError,
)
"""What fails again however often it is tried."""
BROKEN = (asyncpg.SyntaxOrAccessError, asyncpg.InternalServerError, asyncpg.PLPGSQLError)
"""What a database says that answers, but lacks a column, a right, a sound index: until somebody mends it."""
