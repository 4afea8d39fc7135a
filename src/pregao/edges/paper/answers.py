"""One HTTP request from its bytes to its answer: faults, limits, key, signature, the act, the headers."""

import asyncio
import time
from typing import Final
from urllib.parse import urlsplit

import msgspec
from aiohttp import web
from multidict import CIMultiDict

from pregao.edges.paper import accounts, prices, trading
from pregao.edges.paper.calls import Call, Endpoint, Security, check_rights, check_signed, read_params
from pregao.edges.paper.control import CONTROL_PREFIX, Control
from pregao.edges.paper.streams import Hub, is_stream_path
from pregao.edges.paper.venue import Venue
from pregao.simulation.faults import Fault, FaultKind
from pregao.simulation.limits import BannedError
from pregao.simulation.refusals import ExchangeError

ENDPOINTS: Final[dict[tuple[str, str], Endpoint]] = {
    **prices.ENDPOINTS,
    **trading.ENDPOINTS,
    **accounts.ENDPOINTS,
}
UNKNOWN_TEXT: Final = "Unknown error, please check your request or try again later."
DOWN_TEXT: Final = "Service Unavailable."
MINUTE_MS: Final = 60_000
JSON_TYPE: Final = "application/json;charset=UTF-8"
_BEFORE: Final = frozenset(
    {
        FaultKind.DOWN,
        FaultKind.THROTTLE,
        FaultKind.VANISH,
        FaultKind.UNCERTAIN,
        FaultKind.REFUSE,
        FaultKind.STALL,
        FaultKind.LAG,
    }
)
_AFTER: Final = frozenset({FaultKind.LATE, FaultKind.LOSE, FaultKind.UNKNOWN})


class Answers:
    """Answers every request of one exchange."""

    def __init__(self, venue: Venue, hub: Hub, control: Control) -> None:
        """Answer for this exchange."""
        self._venue = venue
        self._hub = hub
        self._control = control

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, whatever it is."""
        parts = urlsplit(request.raw_path)
        path = parts.path
        if is_stream_path(path):
            if self._venue.down_until_ms > self._venue.now_ms():
                return _response(503, DOWN_TEXT.encode(), {})
            return await self._hub.serve(request)
        body = await request.read() if request.body_exists else b""
        address = request.remote or ""
        if path.startswith(CONTROL_PREFIX):
            status, content = self._control.answer(
                request.method, path, address=address, query=dict(request.query), body=body
            )
            return _response(status, msgspec.json.encode(content), {})
        endpoint = ENDPOINTS.get((request.method, path))
        if endpoint is None:
            text = f"Path {path}, Method {request.method} is invalid"
            return _response(404, msgspec.json.encode({"code": -5000, "msg": text}), {})
        call = Call(
            venue=self._venue,
            method=request.method,
            path=path,
            params={},
            key=request.headers.get("X-MBX-APIKEY", ""),
            at_ms=0,
        )
        fault = self._strike(call, _BEFORE)
        if fault is not None and (answer := _before(request, call, fault)) is not None:
            return answer
        status, content = await self._act(
            endpoint, call, parts.query.encode(), body, content_type=request.content_type, address=address
        )
        answer = _response(status, content, call.headers)
        fault = self._strike(call, _AFTER)
        return answer if fault is None else await _after(request, answer, fault)

    def _strike(self, call: Call, kinds: frozenset[FaultKind]) -> Fault | None:
        faults, venue = self._venue.faults, self._venue
        if kinds is _BEFORE and venue.down_until_ms > venue.now_ms():
            return Fault(kind=FaultKind.DOWN, seconds=0)
        if not faults.active:
            return None
        return faults.strike(kinds, target=f"{call.method} {call.path}", key=call.key)

    async def _act(
        self, endpoint: Endpoint, call: Call, query: bytes, body: bytes, *, content_type: str, address: str
    ) -> tuple[int, bytes]:
        call.at_ms = self._venue.now_ms()
        try:
            call.params = read_params(query, body, content_type=content_type)
            self._spend(endpoint, call, address)
            self._admit(endpoint, call, query, body, address=address)
            if call.stall_ms:
                await asyncio.sleep(call.stall_ms / 1_000)
                call.at_ms = self._venue.now_ms()
            return 200, msgspec.json.encode(endpoint.act(call))
        except ExchangeError as refusal:
            if refusal.code == -1003:  # the order count's 429 (-1015) says nothing about when
                call.headers["Retry-After"] = str(_retry_after(refusal, call))
            return refusal.http_status, msgspec.json.encode({"code": refusal.code, "msg": refusal.message})
        except (UnicodeDecodeError, msgspec.DecodeError):
            return 400, msgspec.json.encode({"code": -1102, "msg": "Malformed request."})
        finally:
            if endpoint.orders and call.key:
                counts = self._venue.order_limit(call.key)
                call.headers["X-MBX-ORDER-COUNT-10S"] = str(counts.short.count)
                call.headers["X-MBX-ORDER-COUNT-1M"] = str(counts.long.count)

    def _spend(self, endpoint: Endpoint, call: Call, address: str) -> None:
        weight = endpoint.weight
        if endpoint.weight_without_symbol > weight and "symbol" not in call.params:
            weight = endpoint.weight_without_symbol
        limit = self._venue.address_limit(address)
        try:
            limit.spend(weight, at_ms=call.at_ms)
        finally:
            call.headers["X-MBX-USED-WEIGHT-1M"] = str(limit.weight.count)

    def _admit(self, endpoint: Endpoint, call: Call, query: bytes, body: bytes, *, address: str) -> None:
        if endpoint.security is Security.OPEN:
            return
        if not call.key:
            raise ExchangeError(-2014)
        account = self._venue.account(call.key, at_ms=call.at_ms)
        check_rights(call, account, address=address)
        if endpoint.security is Security.SIGNED:
            check_signed(call, account, query=query, body=body)


def _before(request: web.BaseRequest, call: Call, fault: Fault) -> web.StreamResponse | None:
    kind, venue = fault.kind, call.venue
    if kind is FaultKind.STALL:
        call.stall_ms = fault.ms
        return None
    if kind is FaultKind.LAG:
        call.lag_ms = fault.ms
        return None
    if kind is FaultKind.VANISH:
        return _hang_up(request)
    if kind is FaultKind.DOWN:
        venue.go_down(seconds=fault.seconds)
        return _response(503, DOWN_TEXT.encode(), {})
    if kind is FaultKind.UNCERTAIN:
        return _response(503, msgspec.json.encode({"code": -1000, "msg": UNKNOWN_TEXT}), {})
    refusal = ExchangeError(fault.code, "", "")  # some sentences name a number; on purpose there is none
    if kind is FaultKind.THROTTLE:
        until_ms = venue.now_ms() + int(fault.seconds * 1_000)
        refusal = BannedError(until_ms) if fault.status == 418 else ExchangeError(-1003, 2_400)
    status = fault.status if kind is FaultKind.THROTTLE else refusal.http_status
    headers = {"Retry-After": str(max(int(fault.seconds), 1))} if status in {418, 429} else {}
    return _response(status, msgspec.json.encode({"code": refusal.code, "msg": refusal.message}), headers)


async def _after(request: web.BaseRequest, answer: web.Response, fault: Fault) -> web.StreamResponse:
    if fault.kind is FaultKind.LATE:
        await asyncio.sleep(fault.ms / 1_000)
        return answer
    if fault.kind is FaultKind.LOSE:
        return _hang_up(request)
    return _response(503, msgspec.json.encode({"code": -1000, "msg": UNKNOWN_TEXT}), {})


def _hang_up(request: web.BaseRequest) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.close()
    return web.Response()


def _response(status: int, body: bytes, headers: dict[str, str]) -> web.Response:
    multi: CIMultiDict[str] = CIMultiDict(headers)
    multi["Content-Type"] = JSON_TYPE
    return web.Response(body=body, status=status, headers=multi)


def wall_ms() -> int:
    """Give this machine's time in milliseconds since 1970: the venue's clock."""
    return time.time_ns() // 1_000_000


def _retry_after(refusal: ExchangeError, call: Call) -> int:
    if isinstance(refusal, BannedError):
        return max((refusal.until_ms - call.at_ms) // 1_000, 1)
    return (MINUTE_MS - call.at_ms % MINUTE_MS) // 1_000 + 1
