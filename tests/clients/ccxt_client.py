"""ccxt's client for the exchange, as it is, with only the addresses changed."""

import asyncio

import ccxt.pro

from local_exchange import ACCESS_KEY, SECRET_KEY, local_exchange


async def check(address):
    exchange = ccxt.pro.upbit({"apiKey": ACCESS_KEY, "secret": SECRET_KEY})
    exchange.urls["api"] = {
        "public": f"http://{address}",
        "private": f"http://{address}",
        "ws": f"ws://{address}/websocket/v1",
    }
    try:
        await check_rest(exchange)
        await check_stream(exchange)
    finally:
        await exchange.close()


async def check_rest(exchange):
    markets = await exchange.fetch_markets()
    assert len(markets) == 855 and markets[0]["symbol"] == "BTC/KRW", len(markets)
    for timeframe in ["1s", "1m", "5m", "1h", "1d", "1w", "1M"]:
        candles = await exchange.fetch_ohlcv("BTC/KRW", timeframe, limit=14 if timeframe == "1M" else 50)
        times = [candle[0] for candle in candles]
        assert len(times) >= 13 and times == sorted(set(times)), (timeframe, times)
        assert all(low <= min(start, end) <= max(start, end) <= high for _, start, high, low, end, _ in candles)
    since = candles[0][0]
    assert all(candle[0] >= since for candle in await exchange.fetch_ohlcv("BTC/KRW", "1d", since=since, limit=3))
    trades = await exchange.fetch_trades("ETH/KRW", limit=100)
    assert len(trades) > 10 and all(trade["price"] > 0 for trade in trades)
    book = await exchange.fetch_order_book("XRP/KRW")
    assert len(book["bids"]) == 30 and book["bids"][0][0] < book["asks"][0][0]
    tickers = await exchange.fetch_tickers(["BTC/KRW", "ETH/BTC"])
    assert set(tickers) == {"BTC/KRW", "ETH/BTC"}
    print("  markets, candles, trades, order books, tickers over REST")


async def check_stream(exchange):
    await check_market_stream(exchange)
    orders = await exchange.watch_orders()
    assert orders[-1]["amount"] > 0 and "/" in orders[-1]["symbol"], orders[-1]
    balance = await exchange.watch_balance()
    assert any(amount > 0 for amount in balance["total"].values()), balance
    print("  watch_orders, watch_balance, signed with HS256")


async def check_market_stream(exchange):
    for _ in range(10):
        trades = await exchange.watch_trades("BTC/KRW")
        assert trades[-1]["symbol"] == "BTC/KRW" and trades[-1]["amount"] > 0
    for _ in range(10):
        book = await exchange.watch_order_book("ETH/KRW")
        # ccxt keeps the best 15 of the 30 pairs.
        assert len(book["asks"]) == 15 and book["bids"][0][0] < book["asks"][0][0]
    for _ in range(10):
        ticker = await exchange.watch_ticker("XRP/KRW")
        assert ticker["low"] <= ticker["last"] <= ticker["high"], ticker
    for _ in range(3):
        candle = await exchange.watch_ohlcv("BTC/KRW", "1s")
        assert candle[3] <= candle[4] <= candle[2] and candle[5] > 0, candle
    print("  watch_trades, watch_order_book, watch_ticker, watch_ohlcv")


if __name__ == "__main__":
    with local_exchange("--codes", "855", "--rate", "30000") as address:
        asyncio.run(asyncio.wait_for(check(address), 60))
