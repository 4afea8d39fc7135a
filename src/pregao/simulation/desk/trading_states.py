"""The trading states that are not active."""

from pregao.domain.trading_state import ScopeState, TradingState, TradingStates
from pregao.simulation.desk.state import State


def standing_states(state: State) -> TradingStates:
    """Give what is not active, at the version that was set last."""
    standing = [
        ScopeState(
            level=fact.level,
            subject=fact.subject,
            name=fact.name,
            state=fact.state,
            block_exits=fact.block_exits,
            reason=fact.reason,
            version=fact.version,
        )
        for fact in sorted(state.trading_states.values(), key=lambda fact: fact.version)
        if fact.state is not TradingState.ACTIVE
    ]
    version = max((fact.version for fact in state.trading_states.values()), default=0)
    return TradingStates(standing, version=version)
