"""What every fact has."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened."""

    is_journaled: ClassVar[bool] = True

    happened_at: datetime
