"""Why an account gets no order."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """Why an account gets no order: a stable code and the numbers."""

    code: str
    reason: str


NO_PRICE = Denial(code="PRICE_UNAVAILABLE", reason="The venue gave no fresh price in time; nothing was sent.")
