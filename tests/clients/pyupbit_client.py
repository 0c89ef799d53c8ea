"""pyupbit as it is, in a copy whose addresses are those of the local exchange."""

import importlib.util
import pathlib
import shutil
import sys
import tempfile

from local_exchange import ACCESS_KEY, SECRET_KEY, local_exchange


def import_copy(folder, address):
    """The package names its addresses in the code, so the code is copied and these are replaced."""
    original = pathlib.Path(importlib.util.find_spec("pyupbit").origin).parent
    copy = shutil.copytree(original, pathlib.Path(folder) / "pyupbit")
    for file in copy.glob("*.py"):
        text = file.read_text(encoding="utf-8")
        text = text.replace("https://api.upbit.com", f"http://{address}").replace("wss://api.upbit.com", f"ws://{address}")
        file.write_text(text, encoding="utf-8")
    sys.path.insert(0, folder)
    import pyupbit

    assert pyupbit.__file__.startswith(folder)
    return pyupbit


def check_rest(pyupbit):
    assert len(pyupbit.get_tickers()) == 855 and len(pyupbit.get_tickers(fiat="KRW")) == 289
    for interval in ["minute1", "minute60", "day", "week", "month"]:
        candles = pyupbit.get_ohlcv("KRW-BTC", interval=interval, count=10)
        assert len(candles) == 10 and candles.index.is_monotonic_increasing, interval
        assert (candles["low"] <= candles["close"]).all() and (candles["volume"] > 0).all()
    paged = pyupbit.get_ohlcv("KRW-ETH", interval="minute1", count=450)
    assert len(paged) == 450 and paged.index.is_unique
    assert pyupbit.get_current_price("KRW-XRP") > 0
    assert len(pyupbit.get_orderbook("KRW-BTC")["orderbook_units"]) == 30
    print("  get_tickers, get_ohlcv over several pages, get_current_price, get_orderbook")
    assert pyupbit.Upbit(ACCESS_KEY, SECRET_KEY).get_balances() == []
    try:
        pyupbit.Upbit(ACCESS_KEY, SECRET_KEY.upper()).get_balances()
        raise AssertionError("the wrong secret was accepted")
    except pyupbit.errors.JwtVerification:
        pass
    print("  a signed request, and one with the wrong secret")


def check_stream(pyupbit):
    for kind in ["ticker", "trade", "orderbook"]:
        manager = pyupbit.WebSocketManager(kind, ["KRW-BTC", "KRW-ETH"])
        frames = [manager.get() for _ in range(20)]
        manager.terminate()
        assert all(frame["type"] == kind and frame["stream_type"] == "REALTIME" for frame in frames), frames[0]
    print("  WebSocketManager for ticker, trade, orderbook")


if __name__ == "__main__":
    with local_exchange("--codes", "855", "--rate", "30000") as address, tempfile.TemporaryDirectory() as folder:
        pyupbit = import_copy(folder, address)
        check_rest(pyupbit)
        check_stream(pyupbit)
