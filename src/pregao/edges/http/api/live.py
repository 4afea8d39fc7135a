"""What happens, told as it happens: server-sent events, the websockets of systems A and B, and tickets for them."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, WebSocket

from pregao.accounts.sessions import Ticket
from pregao.domain.user import Role
from pregao.edges.http.admission import Tokens, session_of, token_of
from pregao.edges.http.api.roles import Viewer
from pregao.edges.http.api.shapes import ERRORS, TOKEN, DeskGiven, Shown
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError
from pregao.edges.http.live.events import EventsView, Eyes, Topic
from pregao.edges.http.live.notifications import OwnTalk
from pregao.edges.http.live.sockets import Door, Guest, Talk, talk
from pregao.edges.http.live.stream import EventStream
from pregao.edges.http.live.updates import UpdatesTalk
from pregao.edges.http.tokens import new_token, sha256_of
from pregao.views.live import Place, to_place

TICKET_LASTS = timedelta(seconds=30)  # a page asks for it and opens the websocket at once
TICKET_PREFIX = "pgl_"
PLACE_CHARACTERS_MAX = 60
EVENTS_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {"description": "Events until either end leaves.", "content": {"text/event-stream": {"schema": {}}}}
}

routes = APIRouter(prefix="/api/v1/live", tags=["live"], dependencies=[TOKEN], responses=ERRORS)
sockets = APIRouter()


class TicketMade(Shown):
    """A ticket, shown this once."""

    ticket: str
    expires_at: datetime


@routes.post("/tickets", status_code=201)
async def post_ticket(desk: DeskGiven, _who: Viewer, request: Request) -> TicketMade:
    """Give what lets a browser open one websocket as `?ticket=…`: once, within 30 seconds."""
    headers = dict(request.scope["headers"])
    token = token_of(headers) or session_of(request.scope, headers)
    assert token is not None, "or admission had not let it in"
    ticket, expires_at = new_token(TICKET_PREFIX), desk.clock() + TICKET_LASTS
    await desk.tickets.issue(
        Ticket(ticket_sha256=sha256_of(ticket), token_sha256=_kept(desk, token), expires_at=expires_at)
    )
    return TicketMade(ticket=ticket, expires_at=expires_at)


@routes.get("/events", status_code=200, response_class=EventStream, responses=EVENTS_ANSWER)
async def get_events(
    desk: DeskGiven,
    who: Viewer,
    request: Request,
    *,
    topics: Annotated[str, Query(description="Some of them, with commas between; all when empty.")] = "",
    after: Annotated[
        str, Query(max_length=PLACE_CHARACTERS_MAX, description="Where to go on, on first contact.")
    ] = "",
    last_event_id: Annotated[
        str, Header(max_length=PLACE_CHARACTERS_MAX, description="Where to go on; counts before `after`.")
    ] = "",
) -> Any:
    """
    Tell what happens as server-sent events: each id is a place to go on from, in `Last-Event-ID`.

    Nothing is lost or told twice between two connections; where too much was missed, `reset` says to load anew.
    """
    headers = dict(request.scope["headers"])
    token = token_of(headers) or session_of(request.scope, headers)
    assert token is not None, "or admission had not let it in"
    tokens = _tokens(desk)
    return EventStream(
        desk.feed,
        EventsView(Eyes.of(who), _topics(topics)),
        after=_place(last_event_id or after),
        who=who,
        still_in=lambda: tokens.owner_of(token),
    )


@sockets.websocket("/ws/admin-updates")
async def admin_updates(socket: WebSocket) -> None:
    """Tell staff everything, in system A's messages."""
    desk: Desk = socket.app.state.desk

    def made(guest: Guest) -> Talk:
        return UpdatesTalk(
            guest, feed=desk.feed, history=desk.history, version=desk.version, clock=desk.clock
        )

    await talk(socket, door=_door(desk), feed=desk.feed, needed=Role.OPERATOR, made=made)


@sockets.websocket("/ws/notifications")
async def notifications(socket: WebSocket) -> None:
    """Tell somebody what happens on his accounts, in system B's messages."""
    desk: Desk = socket.app.state.desk

    def made(guest: Guest) -> Talk:
        return OwnTalk(guest, clock=desk.clock)

    await talk(socket, door=_door(desk), feed=desk.feed, needed=Role.VIEWER, made=made)


def _door(desk: Desk) -> Door:
    return Door(tokens=_tokens(desk), tickets=desk.tickets, clock=desk.clock)


def _tokens(desk: Desk) -> Tokens:
    return Tokens(admin_token=desk.admin_token, find_principal=desk.logins.find_principal, clock=desk.clock)


def _kept(desk: Desk, token: bytes) -> str | None:
    return None if _tokens(desk).is_admins(token) else sha256_of(token.decode("latin-1"))


def _topics(text: str) -> frozenset[Topic]:
    named = [word.strip() for word in text.split(",") if word.strip()]
    known = {str(topic) for topic in Topic}
    if unknown := [word for word in named if word not in known]:
        told = f"topic={unknown[0][:40]!r}. Known are {', '.join(sorted(known))}."
        raise ApiError(422, "TOPIC_UNKNOWN", told, topics=sorted(known))
    return frozenset(Topic(word) for word in named) or frozenset(Topic)


def _place(text: str) -> Place | None:
    if not text:
        return None
    place = to_place(text)
    if place is None:
        raise ApiError(422, "PLACE_UNREADABLE", "Send the id of the last event that was seen, as it stands.")
    return place
