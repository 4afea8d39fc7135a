"""The symbol rows of a bot or a subscription: at most one for each symbol, in the exchange's spelling."""

from collections.abc import Sequence

from pregao.bots.ranges import to_symbol
from pregao.bots.refusals import UnknownError
from pregao.domain.bot import SymbolSettings

Rows = Sequence[SymbolSettings]


def get_row(rows: Rows, symbol: str) -> SymbolSettings:
    """
    Give the row of a symbol, however that is spelled.

    :raises SettingUnusableError: when it is no symbol.
    :raises UnknownError: when it has no row.
    """
    name = to_symbol(symbol)
    row = find_row(rows, name)
    if row is None:
        raise UnknownError("SYMBOL_ROW_UNKNOWN", f"symbol={name}. It has no row here.", symbol=name)
    return row


def find_row(rows: Rows, symbol: str) -> SymbolSettings | None:
    """Give the row of a symbol in the exchange's spelling, None when it has none."""
    return next((row for row in rows if row.symbol == symbol), None)


def with_row(rows: Rows, row: SymbolSettings) -> tuple[SymbolSettings, ...]:
    """Give the rows with this one in place of the symbol's former one."""
    return (*(other for other in rows if other.symbol != row.symbol), row)


def without_row(rows: Rows, symbol: str) -> tuple[SymbolSettings, ...]:
    """Give the rows without a symbol's."""
    return tuple(row for row in rows if row.symbol != symbol)
