"""The other clients on a recording that is played: recorded here, from the sample market, for half a minute."""

import asyncio
import subprocess
import tempfile

import ccxt.pro

import ccxt_client
import pyupbit_client
import sample
import upbit_sdk_client
from local_exchange import local_exchange, recorder

RECORDED = "30s"
MARKET = ["--codes", "300", "--rate", "10000", "--no-limits"]
CODES = ["KRW-BTC", "KRW-ETH", "KRW-XRP", "BTC-ETH"]


def recording(directory, address, *arguments):
    """The command that records the market data which the clients ask for, from the exchange at an address."""
    subscribe = ",".join(
        f'{{type="{kind}",codes={CODES}}}'.replace("'", '"') for kind in ["ticker", "trade", "orderbook", "candle.1s"]
    )
    settings = [
        f"data_dir={directory}",
        f"public.url=ws://{address}/websocket/v1",
        f"rest.url=http://{address}/v1",
        f"public.subscribe=[{subscribe}]",
        "rest.heal_max=0",
        "http.listen=",
        "log.level=error",
    ]
    return recorder("record", *arguments, *[part for it in settings for part in ["--set", it]])


async def check_ccxt(address):
    exchange = ccxt.pro.upbit()
    exchange.urls["api"] = {
        "public": f"http://{address}",
        "private": f"http://{address}",
        "ws": f"ws://{address}/websocket/v1",
    }
    try:
        assert "BTC/KRW" in {market["symbol"] for market in await exchange.fetch_markets()}
        for timeframe in ["1s", "1m"]:
            candles = await exchange.fetch_ohlcv("BTC/KRW", timeframe, limit=20)
            times = [candle[0] for candle in candles]
            assert times and times == sorted(set(times)), (timeframe, times)
        assert len(await exchange.fetch_trades("ETH/KRW", limit=100)) == 100
        assert len((await exchange.fetch_order_book("XRP/KRW"))["bids"]) == 30
        await ccxt_client.check_market_stream(exchange)
    finally:
        await exchange.close()


def check_pyupbit(address):
    with tempfile.TemporaryDirectory() as folder:
        pyupbit = pyupbit_client.import_copy(folder, address)
        assert {"KRW-BTC", "KRW-XRP"} <= set(pyupbit.get_tickers())
        candles = pyupbit.get_ohlcv("KRW-BTC", interval="minute1", count=2)
        assert candles.index.is_monotonic_increasing and (candles["low"] <= candles["close"]).all()
        assert len(pyupbit.get_orderbook("KRW-BTC")["orderbook_units"]) == 30
        print("  get_tickers, get_ohlcv, get_orderbook")
        pyupbit_client.check_stream(pyupbit)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        with local_exchange(*MARKET) as address:
            subprocess.run(recording(directory, address, "--for", RECORDED), check=True)

        def played():
            return local_exchange("--from", directory, "--speed", "2", "--no-limits")

        with played() as address:
            sample.check_public(address)
            sample.check_refusal(address)
        with played() as address:
            asyncio.run(asyncio.wait_for(check_ccxt(address), 60))
        with played() as address:
            check_pyupbit(address)
        with played() as address:
            upbit_sdk_client.check_stream(address)
            upbit_sdk_client.check_rest(address, keys=False)
