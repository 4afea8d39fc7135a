"""Who acts: the desk, and the worker of it that holds a lease."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Who plans: the desk's id goes into every order id; owner and epoch say whose attempt it is."""

    desk_id: UUID
    owner: str
    lease_epoch: int
