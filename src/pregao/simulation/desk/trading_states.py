"""What may be traded: the trading states that are not active, and whose accounts they concern."""

from pregao.domain.trading_state import ScopeLevel, ScopeState, TradingState, TradingStates, Watched
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


def read_watched(state: State) -> Watched:
    states = standing_states(state)
    users = {one.subject for one in states if one.level is ScopeLevel.USER}
    return Watched(
        states=states,
        owners={
            number: one.user_id
            for number, one in state.accounts.items()
            if one.user_id is not None and str(one.user_id) in users
        },
    )
