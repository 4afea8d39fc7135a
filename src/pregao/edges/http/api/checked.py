"""
Say what is wrong with settings before they are sent in earnest: nothing is kept, and nothing is written down.

A form asks while somebody types. The commands themselves answer, so there is no second set of rules: each gives the
facts that would follow, and nobody appends them.
"""

import copy
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, TypeVar

from fastapi import Body
from pydantic import BaseModel, Field, ValidationError

from pregao.bots.effect import Effect
from pregao.bots.refusals import ConflictError, SettingUnusableError
from pregao.edges.http.api.shapes import Amount, Shown

Asked = TypeVar("Asked", bound=BaseModel)

ROUNDS_MAX = 20  # a form with more mistakes than this shows the others when these are mended
UNREADABLE_CODE = "SETTING_UNREADABLE"

Sent = Annotated[
    dict[str, Any],
    Body(description="The body that is to be sent later, as far as it is filled in.", max_length=100),
]


class Problem(Shown):
    """What is wrong with one field; the path of a nested one is written with dots."""

    field: str
    code: str
    message: str
    details: dict[str, Any]


class EffectShown(Shown):
    """What one entry comes to, in USD, before fees and slippage; null where none is set, or a range or targets decide."""

    margin_usd: Amount
    position_usd: Amount
    loss_at_stop_usd: Amount | None
    loss_at_stop_pct: Annotated[Amount | None, Field(description="Of the margin.")]
    gain_at_target_usd: Amount | None


class Checked(Shown):
    """What would be refused; `effect` is null while something is that it hangs on."""

    problems: list[Problem]
    effect: EffectShown | None


async def check(
    sent: Mapping[str, Any],
    kind: type[Asked],
    *,
    attempt: Callable[[Asked], Awaitable[Effect]],
    stand_ins: Mapping[str, Any] | None = None,
) -> Checked:
    """
    Find what is wrong with a body, field by field: each that is found is left out, and the rest is looked at again.

    ``stand_ins`` take the place of fields that cannot be left out.
    """
    left = copy.deepcopy(dict(sent))
    problems: dict[str, Problem] = {}
    effect: Effect | None = None
    for _ in range(ROUNDS_MAX):
        found: list[Problem] = []
        try:
            effect = await attempt(kind.model_validate(left))
        except ValidationError as unreadable:
            found = [_unreadable(one) for one in unreadable.errors(include_input=False, include_url=False)]
        except (SettingUnusableError, ConflictError) as refusal:
            found = [_refused(refusal)]
        fresh = [one for one in found if one.field not in problems]
        for one in fresh:
            problems.setdefault(one.field, one)
        if not fresh or not all(_leave_out(left, one.field, stand_ins or {}) for one in fresh):
            break
    is_sized = effect is not None and problems.keys() <= (stand_ins or {}).keys()
    shown = EffectShown.model_validate(effect) if is_sized else None
    return Checked(problems=list(problems.values()), effect=shown)


def _unreadable(found: Any) -> Problem:
    return Problem(
        field=".".join(str(part) for part in found["loc"]),
        code=UNREADABLE_CODE,
        message=found["msg"],
        details={},
    )


def _refused(refusal: SettingUnusableError | ConflictError) -> Problem:
    field = refusal.details.get("field", "")
    return Problem(
        field=str(field), code=refusal.code, message=refusal.message, details=dict(refusal.details)
    )


def _leave_out(body: Any, path: str, stand_ins: Mapping[str, Any]) -> bool:
    """Take a field away, or the part of the body that it is in; say whether there was anything to take."""
    first, *_ = path.split(".")
    if first in stand_ins and body.get(first) != stand_ins[first]:
        body[first] = stand_ins[first]
        return True
    return body.pop(first, body) is not body
