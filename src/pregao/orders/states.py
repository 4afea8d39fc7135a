"""What the trading state lets an order do: entries only where everything is active, exits unless they are blocked too."""

from uuid import UUID

from pregao.domain.account import Account
from pregao.domain.facts import OrderPlanned
from pregao.domain.order import Leg
from pregao.domain.trading_state import Scope, ScopeState, TradingState, TradingStates, scopes_of
from pregao.orders.denial import Denial

CODES = {TradingState.HALTED: "TRADING_HALTED", TradingState.REDUCING: "TRADING_REDUCING"}


def denial_of_entry(states: TradingStates, *, account: Account, bot_id: UUID, symbol: str) -> Denial | None:
    """Give why nothing is entered there now; None where everything about it is active."""
    stops = (
        states.strictest(_scopes_of(account, bot_id=bot_id, symbol=symbol, states=states))
        if states.is_any_set
        else None
    )
    return None if stops is None else _entry_stopped(stops)


def denial_of_exit(states: TradingStates, *, account: Account, bot_id: UUID, symbol: str) -> Denial | None:
    """Give why nothing is closed there now; None unless an operator has blocked exits too."""
    blocks = (
        states.blocking_exits(_scopes_of(account, bot_id=bot_id, symbol=symbol, states=states))
        if states.is_any_set
        else None
    )
    return None if blocks is None else _exit_blocked(blocks)


def denial_of_sending(states: TradingStates, *, order: OrderPlanned, user_id: UUID | None) -> Denial | None:
    """Give why an order that was planned before must not leave any more; reducing lets it, halted does not."""
    if not states.is_any_set:
        return None
    scopes = scopes_of(
        user_id=user_id,
        account_id=order.account_id,
        bot_id=order.bot_id,
        venue=order.venue,
        symbol=order.symbol,
        levels=states.levels,
    )
    if order.leg is Leg.EXIT:
        blocks = states.blocking_exits(scopes)
        return None if blocks is None else _exit_blocked(blocks)
    stops = states.strictest(scopes)
    return _entry_stopped(stops) if stops is not None and stops.state is TradingState.HALTED else None


def _scopes_of(account: Account, *, bot_id: UUID, symbol: str, states: TradingStates) -> list[Scope]:
    return scopes_of(
        user_id=account.user_id,
        account_id=account.account_id,
        bot_id=bot_id,
        venue=account.venue,
        symbol=symbol,
        levels=states.levels,
    )


def _entry_stopped(stops: ScopeState) -> Denial:
    return Denial(
        code=CODES[stops.state], reason=f"{_values(stops)}. Nothing is entered until it is resumed."
    )


def _exit_blocked(blocks: ScopeState) -> Denial:
    return Denial(code="EXITS_BLOCKED", reason=f"{_values(blocks)}. What is held stays until it is resumed.")


def _values(state: ScopeState) -> str:
    return f"level={state.level} name={state.name} reason={state.reason} version={state.version}"
