"""
ccxt trades on the paper exchange with nothing changed but addresses: ``python trade_with_ccxt.py URL KEY SECRET``.

Runs in ccxt's own environment; prints one JSON line with what it saw, and fails loudly.
"""

import asyncio
import json
import sys

import ccxt.pro

SYMBOL = "BTC/USDT:USDT"


def exchange_at(url, key, secret):
    exchange = ccxt.pro.binanceusdm({"apiKey": key, "secret": secret, "enableRateLimit": False})
    for name, address in exchange.urls["api"].items():
        if isinstance(address, str) and "/fapi/" in address:
            exchange.urls["api"][name] = url + address[address.index("/fapi/") :]
    exchange.urls["api"]["ws"]["linear"] = url.replace("http", "ws") + "/ws"
    exchange.options["fetchCurrencies"] = False  # asks the spot exchange, which is not simulated
    exchange.has["fetchCurrencies"] = False
    return exchange


async def wait_for_fill(exchange):
    while True:
        for order in await exchange.watch_orders(SYMBOL):
            if order["status"] == "closed":
                return order


async def trade(exchange):
    markets = await exchange.load_markets()
    ticker = await exchange.fetch_ticker(SYMBOL)
    await exchange.set_leverage(10, SYMBOL)
    watching = asyncio.create_task(wait_for_fill(exchange))
    await asyncio.sleep(1.0)  # the user stream is connected by then
    bought = await exchange.create_order(
        SYMBOL, "market", "buy", 0.01, params={"clientOrderId": "ccxt-entry"}
    )
    filled = await asyncio.wait_for(watching, 10)
    held = await exchange.fetch_positions([SYMBOL])
    params = {"stopLossPrice": ticker["last"] * 0.9, "clientOrderId": "ccxt-stop", "reduceOnly": True}
    await exchange.create_order(SYMBOL, "market", "sell", 0.01, params=params)
    waiting = await exchange.fetch_open_orders(SYMBOL, params={"trigger": True})
    queried = await exchange.fetch_order(waiting[0]["id"], SYMBOL, params={"trigger": True})
    await exchange.cancel_order(waiting[0]["id"], SYMBOL, params={"trigger": True})
    canceled = await exchange.fetch_order(waiting[0]["id"], SYMBOL, params={"trigger": True})
    for share in (0.8, 0.85):
        params = {"stopLossPrice": ticker["last"] * share, "reduceOnly": True}
        await exchange.create_order(SYMBOL, "market", "sell", 0.01, params=params)
    await exchange.cancel_all_orders(SYMBOL, params={"trigger": True})
    waiting_after = await exchange.fetch_open_orders(SYMBOL, params={"trigger": True})
    resting = await exchange.create_order(SYMBOL, "limit", "buy", 0.01, round(ticker["last"] * 0.97, 1))
    await exchange.cancel_order(resting["id"], SYMBOL)
    await exchange.create_order(SYMBOL, "market", "sell", 0.01, params={"reduceOnly": True})
    flat = await exchange.fetch_positions([SYMBOL])
    trades = await exchange.fetch_my_trades(SYMBOL)
    balance = await exchange.fetch_balance()
    price = await asyncio.wait_for(exchange.watch_trades(SYMBOL), 10)
    book = await asyncio.wait_for(exchange.watch_order_book(SYMBOL), 10)
    return {
        "markets": len(markets),
        "ticker": ticker["last"],
        "bought_id": bought["clientOrderId"],
        "stream_id": filled["clientOrderId"],
        "stream_filled": filled["filled"],
        "stream_average": filled["average"],
        "held": [position["contracts"] for position in held],
        "waiting": [order["clientOrderId"] for order in waiting],
        "queried": [queried["status"], queried["triggerPrice"] == waiting[0]["triggerPrice"]],
        "canceled": canceled["status"],
        "waiting_after": len(waiting_after),
        "flat": [position["contracts"] for position in flat if position["contracts"]],
        "trades": [[trade["side"], trade["amount"]] for trade in trades],
        "balance": balance["USDT"]["total"],
        "watched_trades": len(price),
        "watched_bids": len(book["bids"]),
    }


async def main(url, key, secret):
    exchange = exchange_at(url, key, secret)
    try:
        sys.stdout.write(json.dumps(await trade(exchange)) + "\n")
    finally:
        await exchange.close()


asyncio.run(main(*sys.argv[1:4]))
