"""A small client for the paper exchange's tests: signs, listens, and gives plain values."""

import hashlib
import hmac
import json
import time
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from pregao.edges.paper.serve import PaperServer

KEY, SECRET = "desk-key", "desk-secret"


class SignedClient:
    """Talks to one server under one API key."""

    def __init__(self, server: PaperServer, *, key: str = KEY, secret: str = SECRET):
        self.server, self.key, self.secret = server, key, secret

    async def __aenter__(self):
        self.session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_):
        await self.session.close()

    async def ask(self, method, path, **params):
        """Sign and send; give status, body and headers."""
        params.setdefault("timestamp", int(time.time() * 1000))
        query = urlencode({name: value for name, value in params.items() if value is not None})
        signature = hmac.new(self.secret.encode(), query.encode(), hashlib.sha256).hexdigest()
        url = f"{self.server.url}{path}?{query}&signature={signature}"
        async with self.session.request(
            method, URL(url, encoded=True), headers={"X-MBX-APIKEY": self.key}
        ) as answer:
            text = await answer.text()
            is_json = text.startswith(("{", "["))
            return answer.status, json.loads(text) if is_json else text, answer.headers

    async def get(self, path, **params):
        return (await self.ask("GET", path, **params))[1]

    async def order(self, side="BUY", quantity="0.01", *, symbol="BTCUSDT", **params):
        kind = "LIMIT" if "price" in params else "MARKET"
        if kind == "LIMIT":
            params.setdefault("timeInForce", "GTC")
        asked = {"symbol": symbol, "side": side, "type": kind, "quantity": quantity} | params
        return (await self.ask("POST", "/fapi/v1/order", **asked))[:2]

    async def algo(self, side="SELL", trigger="80000", **params):
        asked = {"symbol": "BTCUSDT", "side": side, "type": "STOP_MARKET", "triggerPrice": trigger} | params
        return (await self.ask("POST", "/fapi/v1/algoOrder", algoType="CONDITIONAL", **asked))[:2]

    async def control(self, method, path, **values):
        options = {"json": values} if method == "POST" else {"params": values}
        async with self.session.request(method, self.server.url + path, **options) as answer:
            return answer.status, await answer.json()

    async def listen_key(self):
        return (await self.ask("POST", "/fapi/v1/listenKey"))[1]["listenKey"]

    async def stream(self, path):
        return await self.session.ws_connect(self.server.url.replace("http", "ws") + path)

    async def books(self):
        return (await self.control("GET", "/paper/books"))[1][self.key]


async def funded(client, *, balance="10000", **changes):
    """Register the client's key, as the desk does."""
    values = {"key": client.key, "secret": client.secret, "balance": balance} | changes
    return await client.control("POST", "/paper/accounts", **values)


async def heard(socket, count=1, *, event=None):
    """Give the next messages of a stream, of one event only when asked."""
    found = []
    while len(found) < count:
        message = await socket.receive_json(timeout=5)
        inner = message.get("data", message) if isinstance(message, dict) else message
        if event is None or (isinstance(inner, dict) and inner.get("e") == event):
            found.append(message)
    return found
