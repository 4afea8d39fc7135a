"""The gate before the wires: what the trading states forbid does not pass any more."""

from collections.abc import Sequence

from pregao.domain.facts import OrderPlanned
from pregao.domain.trading_state import ALL_ACTIVE, Watched
from pregao.orders.denial import Denial
from pregao.orders.states import denial_of_sending

NOTHING_WATCHED = Watched(states=ALL_ACTIVE, owners={})


class Gate:
    """Open to everything until it is told what is not active."""

    def __init__(self) -> None:
        """Let everything pass."""
        self._watched = NOTHING_WATCHED
        self._is_open = True
        self.passing: dict[str, OrderPlanned] = {}
        """Orders that are being sent, and have no answer yet, by their client order id."""

    def stopped(self, order: OrderPlanned) -> Denial | None:
        """Give why the order must not pass; None where it may."""
        if self._is_open:
            return None
        watched = self._watched
        return denial_of_sending(watched.states, order=order, user_id=watched.owners.get(order.account_id))

    def narrow(self, watched: Watched) -> Sequence[str]:
        """Stop from now on what this forbids; give the client order ids of those that had begun to pass before."""
        self._watched = watched
        self._is_open = not watched.states
        return [name for name, order in self.passing.items() if self.stopped(order) is not None]
