"""
Binance's SDK trades on the paper exchange with only addresses changed: ``python trade_with_sdk.py URL KEY SECRET``.

Runs in the SDK's own environment; prints one JSON line with what it saw, and fails loudly.
"""

import asyncio
import json
import sys

from binance_common.configuration import ConfigurationRestAPI, ConfigurationWebSocketStreams
from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import (
    DerivativesTradingUsdsFutures,
)

SYMBOL = "BTCUSDT"


async def main(url, key, secret):
    client = DerivativesTradingUsdsFutures(
        config_rest_api=ConfigurationRestAPI(api_key=key, api_secret=secret, base_path=url, retries=0),
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=url.replace("http", "ws")),
    )
    rest = client.rest_api
    symbols = rest.exchange_information().data().symbols
    price = rest.symbol_price_ticker(symbol=SYMBOL).data()
    ticker = float((price.actual_instance if hasattr(price, "actual_instance") else price).price)
    leverage = rest.change_initial_leverage(symbol=SYMBOL, leverage=10).data().leverage
    events = []
    await client.websocket_streams.create_connection()
    listen_key = rest.start_user_data_stream().data().listen_key
    stream = await client.websocket_streams.user_data(listen_key)
    stream.on("message", events.append)
    trades_seen = []
    market = await client.websocket_streams.aggregate_trade_streams(symbol=SYMBOL.lower())
    market.on("message", trades_seen.append)
    await asyncio.sleep(1.0)
    bought = rest.new_order(
        symbol=SYMBOL, side="BUY", type="MARKET", quantity=0.01, new_client_order_id="sdk-entry"
    ).data()
    for _ in range(100):
        await asyncio.sleep(0.1)
        if trades_seen and len(events) >= 4:
            break
    queried = rest.query_order(symbol=SYMBOL, orig_client_order_id="sdk-entry").data()
    held = [position.position_amt for position in rest.position_information_v3(symbol=SYMBOL).data()]
    stop = rest.new_algo_order(
        algo_type="CONDITIONAL",
        symbol=SYMBOL,
        side="SELL",
        type="STOP_MARKET",
        trigger_price=round(ticker * 0.9, 1),
        close_position="true",
        client_algo_id="sdk-stop",
    ).data()
    waiting = [algo.client_algo_id for algo in rest.current_all_algo_open_orders().data()]
    target = rest.new_algo_order(
        algo_type="CONDITIONAL",
        symbol=SYMBOL,
        side="SELL",
        type="TAKE_PROFIT_MARKET",
        trigger_price=round(ticker * 1.1, 1),
        quantity=0.01,
        reduce_only="true",
        client_algo_id="sdk-target",
    ).data()
    rest.cancel_algo_order(algo_id=stop.algo_id)
    canceled = rest.query_algo_order(client_algo_id="sdk-stop").data()
    rest.cancel_all_algo_open_orders(symbol=SYMBOL)
    history = rest.query_all_algo_orders(symbol=SYMBOL).data()
    waiting_after = rest.current_all_algo_open_orders().data()
    rest.new_order(symbol=SYMBOL, side="SELL", type="MARKET", quantity=0.01, reduce_only="true")
    flat = rest.position_information_v3(symbol=SYMBOL).data()
    trades = rest.account_trade_list(symbol=SYMBOL).data()
    balance = rest.futures_account_balance_v3().data()
    account = rest.account_information_v3().data()
    saw = {
        "symbols": len(symbols),
        "ticker": ticker,
        "leverage": leverage,
        "bought_status": bought.status,
        "queried_status": queried.status,
        "queried_average": queried.avg_price,
        "events": [type(getattr(event, "actual_instance", event)).__name__ for event in events],
        "held": held,
        "waiting": waiting,
        "waiting_after": len(waiting_after),
        "canceled": [canceled.algo_id == stop.algo_id, canceled.algo_status],
        "history": [[algo.client_algo_id, algo.algo_status] for algo in history],
        "target": target.algo_status,
        "flat": len(flat),
        "trades": [[trade.side, trade.qty] for trade in trades],
        "balance": balance[0].balance,
        "wallet": account.total_wallet_balance,
        "watched_trades": len(trades_seen),
    }
    sys.stdout.write(json.dumps(saw) + "\n")
    await client.websocket_streams.close_connection()


asyncio.run(main(*sys.argv[1:4]))
