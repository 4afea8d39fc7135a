"""
The wire under those who watch: what uvicorn's protocols lack to end a line whose other end does not read.

Both put `pregao.drop` into the scope's extensions: it says a last word, and cuts the line when that is not read
either. The websockets are loaded with the first connection: an idle desk does without them.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

LAST_WORD_SECONDS = 5.0  # for whoever is slow to read that he was too slow
PING_SECONDS, PONG_SECONDS = 20.0, 20.0
MESSAGE_BYTES_MAX = 16 * 1024  # what a client may send; the longest honest one is a token
DROP = "pregao.drop"

QUIET = logging.getLogger("uvicorn.websockets")  # uvicorn's own would name the ticket in the address
QUIET.setLevel(logging.WARNING)

Drop: TypeAlias = Callable[[bytes], None]


def drop_of(scope: Any) -> Drop:
    """Give what ends the line; nothing where the server has none such."""
    drop: Drop = (scope.get("extensions") or {}).get(DROP, lambda _word: None)
    return drop


def drop_stream(transport: asyncio.Transport, word: bytes) -> None:
    """End an answer that is sent in chunks: with these bytes, if they are read in time."""
    if not transport.is_closing():
        transport.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(word), word))
    cut(transport)


def cut(transport: asyncio.Transport) -> None:
    """Close a connection, and cut it where what waits in it is not read."""
    transport.close()
    asyncio.get_running_loop().call_later(LAST_WORD_SECONDS, transport.abort)


def websocket_protocol(**options: Any) -> asyncio.Protocol:
    """Make what speaks with one websocket, as uvicorn asks for it."""
    made: asyncio.Protocol = _protocol()(**options)
    return made


@cache
def _protocol() -> Any:
    from uvicorn.protocols.websockets.websockets_sansio_impl import (  # noqa: PLC0415  # see above
        WebSocketsSansIOProtocol,
    )

    class Line(WebSocketsSansIOProtocol):
        """One connection; one that does not answer its pings is cut, whether it reads or not."""

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.logger = QUIET

        def handle_connect(self, event: Any) -> None:
            super().handle_connect(event)
            if self.handshake_initiated and self.response.status_code == 101:  # switching
                self.scope["extensions"][DROP] = self.drop  # type: ignore[assignment]  # uvicorn knows empty ones

        def keepalive_timeout(self) -> None:
            super().keepalive_timeout()
            cut(self.transport)

        def drop(self, word: bytes) -> None:
            """Close with TRY AGAIN LATER and the word."""
            if not self.close_sent and not self.transport.is_closing():
                self.stop_keepalive()
                self.conn.send_close(1013, word.decode())
                self.transport.write(b"".join(self.conn.data_to_send()))
                self.close_sent = True
                self.queue.put_nowait({"type": "websocket.disconnect", "code": 1013})
            cut(self.transport)

    return Line
