"""Where a page ended, as text that means something to us only."""

import base64
import binascii
import json
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Query

from pregao.domain.clock import EPOCH
from pregao.edges.http.errors import ApiError

CURSOR_CHARACTERS_MAX = 500
MICROSECOND = timedelta(microseconds=1)

Cursor = Annotated[
    str | None,
    Query(max_length=CURSOR_CHARACTERS_MAX, description="`next_cursor` of the page before, as it stands."),
]


def to_cursor(*parts: datetime | int | str) -> str:
    """Write where a page ended."""
    plain = [(part - EPOCH) // MICROSECOND if isinstance(part, datetime) else part for part in parts]
    return base64.urlsafe_b64encode(json.dumps(plain, separators=(",", ":")).encode()).decode().rstrip("=")


def read_cursor(cursor: str, *kinds: type) -> tuple[Any, ...]:
    """Read one back; ``kinds`` are those of its parts."""
    try:
        parts = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        if not isinstance(parts, list) or len(parts) != len(kinds):
            raise TypeError(cursor)
        return tuple(_part(part, kind) for part, kind in zip(parts, kinds, strict=True))
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error):
        raise ApiError(
            422, "CURSOR_UNREADABLE", "Send `next_cursor` of the page before as it stands."
        ) from None


def _part(part: object, kind: type) -> Any:
    wanted = int if kind is datetime else kind
    if type(part) is not wanted or (wanted is int and not -(2**63) <= int(part) < 2**63):  # type: ignore[call-overload]
        raise TypeError(part)
    return EPOCH + MICROSECOND * part if kind is datetime else part  # type: ignore[operator]
