"""
What guarded positions came to, by both books: one exit for each trigger, nothing held, nothing left waiting. Pure.

Each difference is one line of text under the figure it belongs to.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pregao.domain.money import ZERO
from pregao.domain.order import order_of
from pregao.domain.protection import position_of
from pregao.proof.compare import Difference

DOUBLED = "exits doubled"
MISSING = "exits missing"
OPEN = "left open"
WAITING = "lines left behind"

WATCHED_AGAIN = frozenset({"PRICE_NOT_THERE", "BOUND_NOT_REACHED", "SHARE_TOO_SMALL"})
"""Claims that ended without an exit, by rule: their level is watched again, or there was nothing to take."""
MAY_TRADE = frozenset({"NEW", "TRIGGERING"})

Place = tuple[int, str, str]
"""Account, symbol, position side."""
ClaimKey = tuple[str, str, int]
"""Token, kind, number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnClaim:
    """A claim as the desk has it."""

    token: str
    kind: str
    number: int
    version: int
    position_id: int
    status: str
    code: str | None
    source: str
    seen_ms: int
    ended_ms: int | None  # of one whose level is watched again

    @property
    def key(self) -> ClaimKey:
        """What names it."""
        return self.token, self.kind, self.number


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPosition:
    """A position as the desk has it."""

    position_id: int
    place: Place
    status: str
    armed_ms: int | None
    is_left: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnExit:
    """One attempt of an exit that a claim asked for."""

    order_id: str
    client_order_id: str
    claim: ClaimKey
    position_id: int
    planned_ms: int
    known_ms: int  # when what became of it was known


@dataclass(slots=True, kw_only=True)
class OwnGuards:
    """What the desk has written of what guards."""

    claims: list[OwnClaim] = field(default_factory=list)
    told: Counter[tuple[int, str, int, int]] = field(default_factory=Counter)  # claims in the journal
    positions: list[OwnPosition] = field(default_factory=list)
    exits: list[OwnExit] = field(default_factory=list)
    entries: frozenset[str] = frozenset()  # orders that enter
    closed_by_signals: frozenset[int] = (
        frozenset()
    )  # positions that a later signal closed before a level was reached
    fills: dict[tuple[int, str, str], int] = field(default_factory=dict)  # account, symbol, trade → position
    standing: list[str] = field(default_factory=list)  # protective orders that may still trade
    moves: int = 0  # of stops that followed the price


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueFill:
    """A trade as the exchange has it."""

    place: Place
    trade_id: str
    client_order_id: str
    side: str
    quantity: Decimal
    traded_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueLine:
    """A conditional order as the exchange has it."""

    place: Place
    client_id: str
    side: str
    status: str
    quantity: Decimal | None  # None: it closes the position
    created_ms: int
    ended_ms: int | None  # it waits no more since


@dataclass(slots=True, kw_only=True)
class VenueGuards:
    """What the exchange has written, in the order it happened."""

    fills: list[VenueFill] = field(default_factory=list)
    lines: list[VenueLine] = field(default_factory=list)
    orders: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)  # asked, filled; by client id
    positions: dict[Place, Decimal] = field(default_factory=dict)


def to_venue_guards(page: Mapping[str, Any], *, accounts: Mapping[str, int]) -> VenueGuards:
    """Read what the paper exchange shows of its books; ``accounts`` gives each key's account."""
    books = VenueGuards()
    for key, account_id in accounts.items():
        shown = page[key]
        for row in shown["fills"]:
            fill = VenueFill(
                place=(account_id, row["symbol"], row["position_side"]),
                trade_id=str(row["trade_id"]),
                client_order_id=row["client_order_id"],
                side=row["side"],
                quantity=Decimal(row["quantity"]),
                traded_ms=row["traded_ms"],
            )
            books.fills.append(fill)
        for row in shown["algo_orders"]:
            ended_ms = row["triggered_ms"] or (None if row["status"] == "NEW" else row["updated_ms"])
            line = VenueLine(
                place=(account_id, row["symbol"], row["position_side"]),
                client_id=row["client_algo_id"],
                side=row["side"],
                status=row["status"],
                quantity=None if row["close_position"] else Decimal(row["quantity"]),
                created_ms=row["created_ms"],
                ended_ms=ended_ms,
            )
            books.lines.append(line)
        for row in shown["orders"]:
            books.orders[row["client_order_id"]] = Decimal(row["quantity"]), Decimal(row["filled_quantity"])
        for row in shown["positions"]:
            place = account_id, row["symbol"], row["position_side"]
            books.positions[place] = Decimal(row["quantity"])
    return books


def compare_exits(own: OwnGuards, venue: VenueGuards) -> list[Difference]:
    """Give every difference between what was claimed, what was traded, and what should be left."""
    return [
        *_claimed_twice(own),
        *_filled(own, venue),
        *_beyond(own, venue),
        *_left_open(own, venue),
        *_left_waiting(own, venue),
    ]


def _claimed_twice(own: OwnGuards) -> Iterable[Difference]:
    written = Counter((one.position_id, one.kind, one.number, one.version) for one in own.claims)
    for what, count in (written | own.told).items():
        if count > 1:
            position_id, kind, number, version = what
            yield Difference(
                DOUBLED, f"position={position_id} {kind} {number} version={version} claimed {count} times"
            )


def _filled(own: OwnGuards, venue: VenueGuards) -> Iterable[Difference]:
    """One filled exit for each claim that was carried out; another only for what a first one left."""
    by_claim, by_line = _traded(own, venue)
    claims: defaultdict[int, list[OwnClaim]] = defaultdict(list)
    for claim in own.claims:
        claims[claim.position_id].append(claim)
        if claim.status != "executed" and claim.code not in WATCHED_AGAIN:
            yield Difference(MISSING, f"claim={claim.token} {claim.kind} is {claim.status} code={claim.code}")
    for position in own.positions:
        number = position.position_id
        executed = [one for one in claims[number] if one.status == "executed"]
        traded = [*by_line[number], *(name for one in claims[number] for name in by_claim[one.key])]
        # What the venue's line closed unheard, and was told with its trades, leaves nothing to claim.
        is_claimed = executed or by_line[number] or number in own.closed_by_signals
        if position.status == "closed" and not is_claimed:
            yield Difference(MISSING, f"position={number} was closed and nothing claimed it")
        if executed and not traded:
            yield Difference(
                MISSING, f"position={number} claims={len(executed)} and no exit of theirs filled"
            )
        for claim in claims[number]:
            names = [*by_claim[claim.key], *(by_line[number] if claim.kind == "stop" else ())]
            if sum(_is_whole(name, venue) for name in names) > 1:
                yield Difference(DOUBLED, f"claim={claim.token} {claim.kind} filled exits={names}")


def _is_whole(client_id: str, venue: VenueGuards) -> bool:
    asked, filled = venue.orders[client_id]
    return filled >= asked


def _traded(
    own: OwnGuards, venue: VenueGuards
) -> tuple[Mapping[ClaimKey, list[str]], Mapping[int, list[str]]]:
    """Give the client ids of the exits that traded: ours by their claim, the venue's lines by their position."""
    claim_of = {one.client_order_id: one.claim for one in own.exits}
    by_claim: defaultdict[ClaimKey, list[str]] = defaultdict(list)
    by_line: defaultdict[int, list[str]] = defaultdict(list)
    for client_id, (_, filled) in venue.orders.items():
        if filled == ZERO:
            continue
        if client_id in claim_of:
            by_claim[claim_of[client_id]].append(client_id)
        elif (position_id := position_of(client_id)) is not None:
            by_line[position_id].append(client_id)
    return by_claim, by_line


def _beyond(own: OwnGuards, venue: VenueGuards) -> Iterable[Difference]:
    """No exit takes more than is held: what it left would be a position the other way round."""
    held: defaultdict[Place, Decimal] = defaultdict(Decimal)
    for fill in venue.fills:
        before = held[fill.place]
        held[fill.place] = after = before + (fill.quantity if fill.side == "buy" else -fill.quantity)
        named = order_of(fill.client_order_id)
        is_entry = named is not None and named[0] in own.entries
        if not is_entry and (abs(after) >= abs(before) or before * after < ZERO):
            yield Difference(
                DOUBLED, f"order={fill.client_order_id} {fill.place} took {fill.quantity} of {before}"
            )


def _left_open(own: OwnGuards, venue: VenueGuards) -> Iterable[Difference]:
    for position in own.positions:
        if position.status not in ("closed", "abandoned"):
            yield Difference(OPEN, f"position={position.position_id} {position.place} is {position.status}")
    for place, quantity in venue.positions.items():
        if quantity:
            yield Difference(OPEN, f"the venue holds {quantity} at {place}")


def _left_waiting(own: OwnGuards, venue: VenueGuards) -> Iterable[Difference]:
    for line in venue.lines:
        if line.status in MAY_TRADE:
            yield Difference(WAITING, f"line={line.client_id} {line.place} is {line.status}")
    for name in own.standing:
        yield Difference(WAITING, f"line={name} may still trade, as the desk has it")
    for position in own.positions:
        if position.status == "closed" and not position.is_left:
            yield Difference(WAITING, f"position={position.position_id} was closed and is not left")


def count_exits(own: OwnGuards, venue: VenueGuards) -> tuple[int, int]:
    """Give how many exits were ours and how many the venue's own lines made."""
    by_claim, by_line = _traded(own, venue)
    ours: Sequence[Sequence[str]] = list(by_claim.values())
    return sum(map(len, ours)), sum(map(len, by_line.values()))
