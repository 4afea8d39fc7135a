"""What a trade on the desk and the same trade in a backtest can differ in, and by what cause."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """In what the two differ."""

    LATENCY = "latency"  # filled after the candle's close
    ENTRY_PRICE = "entry_price"
    EXIT_PRICE = "exit_price"
    QUANTITY = "quantity"
    FEES = "fees"
    PROFIT = "profit"
    ENDING = "ending"  # one ended by another reason, or at another candle
    ONLY_IN_BACKTEST = "only_in_backtest"
    ONLY_ON_DESK = "only_on_desk"


class Cause(StrEnum):
    """What explains a difference. Each is looked for in what was recorded; what is not found is unknown."""

    FILLED_LATER = "filled_later"  # a backtest has the next open, a venue takes its time
    PRICES_RAN = "prices_ran"  # and the fill lies among them, or within a thin book's reach
    SIZED_BY_ITS_PRICE = "sized_by_its_price"  # and rounded down to the venue's step
    FEE_RATE = "fee_rate"
    ADDED_UP = "added_up"  # of a profit: all other differences together, nothing left over
    OWN_LEVEL = "own_level"  # a stop stood elsewhere, by the price paid, and prices came between
    ENTERED_WITHIN = (
        "entered_within"  # it ended on the candle of its entry, which a backtest enters at the open
    )
    TURN_OF_CANDLES = "turn_of_candles"  # the same level, met one candle apart
    STOP_MOVED = "stop_moved"  # by the bot, behind the price
    LAST_CANDLE = "last_candle"  # the backtest ends there, the desk does not
    STILL_HELD = "still_held"  # by the backtest, whose trade had ended on the desk
    CANDLE_DIFFERED = "candle_differed"  # the desk saw another one
    EARLIER_CANDLES = "earlier_candles"  # the desk had others before it; of those the backtest makes it, too
    DEPLOYMENT_STOOD = "deployment_stood"  # paused or removed: it sends no entries
    SIGNAL_REFUSED = "signal_refused"  # the code says by what
    ORDER_DENIED = "order_denied"  # or rejected; the code says by what
    ORDER_UNFILLED = "order_unfilled"  # expired, or taken back
    CLOSED_ONLY = "closed_only"  # by the bot's rules
    CLOSED_BY_SOMEBODY = "closed_by_somebody"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference: the value on the desk and in the backtest, and what explains it; ``code`` of whoever said no."""

    kind: Kind
    desk: float | str | None
    backtest: float | str | None
    unit: str
    cause: Cause
    reason: str
    code: str | None = None

    @property
    def is_explained(self) -> bool:
        """Whether its cause was found."""
        return self.cause is not Cause.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One trade as one of the two has it; instants by the desk's clock, no exit while it is held."""

    entered_at_ms: int
    exited_at_ms: int | None
    quantity: float
    entry_price: float
    exit_price: float | None
    fees: float
    profit: float | None
    ending: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A trade of the desk, of the backtest, or of both."""

    wanted_at_ms: int  # the close of the candle
    side: str
    position_id: int | None
    desk: Side | None
    backtest: Side | None
    differences: tuple[Difference, ...]

    @property
    def is_explained(self) -> bool:
        """Whether every difference is."""
        return all(one.is_explained for one in self.differences)
