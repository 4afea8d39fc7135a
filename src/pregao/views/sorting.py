"""How a list is shown: what its lines contain, and by which of their fields they are sorted."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

Value = str | Decimal | datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What is meant of a list, and in which order; what is not known counts as the least."""

    search: str | None = None  # contained in what a line says, in capitals or not
    by: str | None = None  # a field of its lines; None: by time
    is_descending: bool = True
    after: Value = None  # the field's value where the page before ended


NEWEST_FIRST = Shape()
OLDEST_FIRST = Shape(is_descending=False)

SIGNAL_FIELDS: Mapping[str, type] = {
    "bot_name": str,
    "symbol": str,
    "status": str,
    "price": Decimal,
    "orders": Decimal,
}
ORDER_FIELDS: Mapping[str, type] = {
    "symbol": str,
    "status": str,
    "quantity": Decimal,
    "filled_quantity": Decimal,
    "filled_notional": Decimal,
    "fees": Decimal,
    "planned_at": datetime,
}
POSITION_FIELDS: Mapping[str, type] = {
    "symbol": str,
    "status": str,
    "fees": Decimal,
    "realized_pnl": Decimal,
    "opened_at": datetime,
    "closed_at": datetime,
}
BOT_FIELDS: Mapping[str, type] = {
    "name": str,
    "status": str,
    "active_subscriptions": Decimal,
    "last_signal_at": datetime,
}
SUBSCRIPTION_FIELDS: Mapping[str, type] = {"account_name": str, "bot_name": str, "status": str}
ACCOUNT_FIELDS: Mapping[str, type] = {"name": str, "venue": str, "light": str, "light_checked_at": datetime}
USER_FIELDS: Mapping[str, type] = {
    "name": str,
    "email": str,
    "role": str,
    "accounts": Decimal,
    "last_login_at": datetime,
}
ALERT_FIELDS: Mapping[str, type] = {"kind": str, "title": str, "acknowledged_at": datetime}
LAB_FIELDS: Mapping[str, type] = {"symbol": str, "status": str, "sharpe": Decimal, "return_pct": Decimal}
APPROVAL_FIELDS: Mapping[str, type] = {
    "bot_name": str,
    "symbol": str,
    "expires_at": datetime,
    "answered_at": datetime,
    "answered_by": str,
}
WORKER_FIELDS: Mapping[str, type] = {
    "role": str,
    "worker_id": str,
    "started_at": datetime,
    "lease_until": datetime,
}
BREAKER_FIELDS: Mapping[str, type] = {
    "name": str,
    "state": str,
    "failure_count": Decimal,
    "changed_at": datetime,
}
BACKUP_FIELDS: Mapping[str, type] = {
    "made_at": datetime,
    "name": str,
    "size_bytes": Decimal,
    "facts": Decimal,
    "accounts": Decimal,
}
MUTE_FIELDS: Mapping[str, type] = {"until": datetime, "kind": str, "level_max": str, "muted_by": str}
DIFFERENCE_FIELDS: Mapping[str, type] = {
    "account": str,
    "symbol": str,
    "ours": Decimal,
    "venue": Decimal,
    "seen_at": datetime,
}
FOREIGN_ORDER_FIELDS: Mapping[str, type] = {
    "account": str,
    "symbol": str,
    "price": Decimal,
    "quantity": Decimal,
    "created_at": datetime,
    "seen_at": datetime,
}
FOREIGN_CANCEL_FIELDS: Mapping[str, type] = {
    "account": str,
    "symbol": str,
    "status": str,
    "asked_by": str,
    "told_at": datetime,
}
"""The fields that the lines of each list can be sorted by, and what their values are."""


def write_value(value: Any) -> str:
    """Write a field's value as text that is read back exactly; empty where there is none."""
    if isinstance(value, datetime):
        return value.isoformat()
    return "" if value is None else str(value)


def read_value(text: str, kind: type) -> Value:
    """
    Read one back.

    :raises ValueError: when it is no such value.
    """
    if not text:
        return None
    if kind is datetime:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is None:
            raise ValueError(text)
        return instant
    if kind is Decimal:
        figure = Decimal(text) if text.isascii() and len(text) < 60 else Decimal("NaN")
        if not figure.is_finite():
            raise ValueError(text)
        return figure
    return text
