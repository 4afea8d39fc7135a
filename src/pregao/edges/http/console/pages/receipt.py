"""One signal: what it did on every account, from its bytes to the exit, and what may be sent again of it."""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from pregao.accounts.principal import Principal
from pregao.domain.clock import to_ms
from pregao.domain.user import Role
from pregao.edges.http.api.shapes import ID_MAX, DeskGiven
from pregao.edges.http.console.entrance import Seen
from pregao.edges.http.console.pages.drawing import WIDTH, columns_of, share_of
from pregao.edges.http.console.showing import show_missing, show_page
from pregao.edges.http.desk import Desk
from pregao.edges.ids import uuid7
from pregao.orders.again import can_be_replayed, look_at_retry
from pregao.orders.chances import Candidate, Chance
from pregao.views.receipts import Receipt, ReceiptRow
from pregao.views.timeline import Stage

SPREAD_MIN, SPREAD_MAX = 2, 30  # bars; one is no spread, and more than these nobody tells apart
ROWS = 12  # accounts on one page: a row says much, and a thousand rows weigh a megabyte
STORY_ROWS = 12  # facts on one page
NAMED = 12  # accounts of one group in a preview; the API names all

routes = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many orders ended alike, and why."""

    outcome: str
    code: str | None
    count: int
    share: Decimal


@dataclass(frozen=True, slots=True)
class Drawn:
    """A stage, and where it lies between the signal's arrival and its end: of 100, by the order of magnitude."""

    stage: Stage
    left: Decimal
    width: Decimal
    middle: Decimal


@dataclass(frozen=True, slots=True)
class Group:
    """Accounts about which a preview says the same."""

    chance: Chance
    count: int
    names: Sequence[str]
    codes: Sequence[tuple[str, int]]


@routes.get("/console/signals/{signal_id:uuid}")
async def show_signal(
    signal_id: UUID,
    request: Request,
    desk: DeskGiven,
    who: Seen,
    *,
    outcome: str = "",
    first: Annotated[int, Query(ge=0, le=ID_MAX)] = 0,
    fact: Annotated[int | None, Query(ge=1, le=ID_MAX)] = None,
) -> Response:
    """Show one signal's receipt; of many accounts and facts so many, and where the others are."""
    receipt, stages = await asyncio.gather(
        desk.receipts.find_receipt(signal_id, owner=who.owner),
        desk.timelines.find_timeline(signal_id, owner=who.owner),
    )
    if receipt is None:
        return await show_missing(request, desk=desk, who=who)
    chosen = [row for row in receipt.rows if not outcome or row.outcome == outcome]
    values = {
        "receipt": receipt,
        "timeline": _drawn(stages, received_at=receipt.received_at),
        "outcomes": _outcomes(receipt.rows),
        "outcome": outcome,
        "rows": chosen[first : first + ROWS],
        "chosen": len(chosen),
        "first": first,
        "following": first + ROWS if len(chosen) > first + ROWS else None,
        **_spreads(receipt.rows),
        **await _story(signal_id, after=fact, desk=desk, who=who),
        **await _again(receipt, desk=desk, who=who),
    }
    return await show_page(request, "signals/signal.html", values, desk=desk, who=who)


def _outcomes(rows: Sequence[ReceiptRow]) -> list[Outcome]:
    counted = Counter((row.outcome, row.code) for row in rows)
    return [
        Outcome(outcome, code, count, share_of(count, len(rows)))
        for (outcome, code), count in sorted(
            counted.items(), key=lambda one: (-one[1], one[0][0], one[0][1] or "")
        )
    ]


def _drawn(stages: Sequence[Stage], *, received_at: datetime) -> list[Drawn]:
    """Draw stages on one scale on which a millisecond, a second and a day are all seen."""
    if not stages:
        return []

    def place(at: datetime) -> float:
        return math.log10(1 + max(0, to_ms(at) - to_ms(received_at)))

    end = max(place(one.last_at) for one in stages) or 1.0

    def of_hundred(at: datetime) -> Decimal:
        return round(Decimal(place(at) / end) * WIDTH, 2)

    return [
        Drawn(
            one,
            left=of_hundred(one.first_at),
            width=max(Decimal(1), of_hundred(one.last_at) - of_hundred(one.first_at)),
            middle=of_hundred(one.median_at),
        )
        for one in stages
    ]


def _spreads(rows: Sequence[ReceiptRow]) -> dict[str, Any]:
    """Give how long accounts waited for the venue's word and how far their fills slipped, each in rising order."""
    waits = _spread(rows, lambda row: None if row.acknowledged_ms is None else Decimal(row.acknowledged_ms))
    return {"waits": waits, "slips": _spread(rows, lambda row: row.slippage_bps)}


def _spread(
    rows: Sequence[ReceiptRow], value_of: Callable[[ReceiptRow], Decimal | None]
) -> dict[str, Any] | None:
    told = sorted((value, row.account) for row in rows if (value := value_of(row)) is not None)
    if len(told) < SPREAD_MIN:
        return None
    if len(told) > SPREAD_MAX:  # so many of them, in equal distances, the first and the last among them
        last = len(told) - 1
        told = [told[number * last // (SPREAD_MAX - 1)] for number in range(SPREAD_MAX)]
    return {"drawn": columns_of([value for value, _ in told]), "names": [name for _, name in told]}


async def _story(signal_id: UUID, *, after: int | None, desk: Desk, who: Principal) -> dict[str, Any]:
    if not who.role.is_staff:
        return {"story": (), "next_fact": None}
    told = await desk.stories.find_story(signal_id, after=after, limit=STORY_ROWS + 1)
    shown = told[:STORY_ROWS]
    return {"story": shown, "next_fact": shown[-1].seq if len(told) > STORY_ROWS else None}


async def _again(receipt: Receipt, *, desk: Desk, who: Principal) -> dict[str, Any]:
    """Give what an operator may send again, and what that would do."""
    if not who.role.includes(Role.OPERATOR):
        return {"retry": None, "groups": (), "replay_on": ()}
    book = desk.again_books.look()
    plan = await look_at_retry(receipt.signal_id, book=book)
    can_replay = can_be_replayed(plan.signal)
    followers = await book.paper_followers(plan.signal.bot_id) if can_replay else ()
    return {
        "retry": plan,
        "groups": _groups(plan.candidates),
        "replay_on": [one for one in followers if one.is_active],
        "replay_key": uuid7(desk.clock()),  # the form that is sent twice is carried out once
    }


def _groups(candidates: Sequence[Candidate]) -> list[Group]:
    groups = []
    for chance in Chance:
        some = [one.leg for one in candidates if one.chance is chance]
        if some:
            codes = Counter(leg.code for leg in some if leg.code)
            names = [leg.account for leg in some[:NAMED]]
            groups.append(Group(chance, len(some), names, codes.most_common()))
    return groups
