"""The exchange's own SDK for Python (upbit-sdk), as it is, with only the address changed."""

import upbit

from local_exchange import ACCESS_KEY, SECRET_KEY, local_exchange

FORMATS = ["DEFAULT", "SIMPLE", "JSON_LIST", "SIMPLE_LIST"]


def check_rest(address, keys=True):
    signed = {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY} if keys else {}
    client = upbit.Upbit(base_url=f"http://{address}", **signed)
    assert any(pair.market == "KRW-BTC" for pair in client.trading_pairs.list())
    trades = client.trades.list(market="KRW-BTC", count=50)
    assert len(trades) == 50 and len({trade.sequential_id for trade in trades}) == 50
    candles = client.candles.list_minutes(unit=1, market="KRW-BTC", count=5)
    assert candles and all(candle.market == "KRW-BTC" for candle in candles)
    assert client.candles.list_seconds(market="KRW-BTC", count=5)
    books = client.orderbooks.list(markets="KRW-BTC")
    assert len(books[0].orderbook_units) == 30
    print("  pairs, trades, candles, order books over REST")


def check_stream(address):
    client = upbit.Upbit(base_url=f"http://{address}")
    for form in FORMATS:
        with client.ws_public.connect_public() as connection:
            connection.send(
                [
                    {"ticket": "upbit-sdk"},
                    {"type": "trade", "codes": ["KRW-BTC", "KRW-ETH"]},
                    {"type": "orderbook", "codes": ["KRW-BTC"]},
                    {"type": "ticker", "codes": ["KRW-BTC"]},
                    {"format": form},
                ]
            )
            kinds = set()
            for _ in range(60):
                frame = connection.recv()
                for event in frame if isinstance(frame, list) else [frame]:
                    kinds.add(event.ty if "SIMPLE" in form else event.type)
            assert kinds == {"trade", "orderbook", "ticker"}, (form, kinds)
            print("  ws_public", form)


def check_account(address):
    client = upbit.Upbit(base_url=f"http://{address}", access_key=ACCESS_KEY, secret_key=SECRET_KEY)
    with client.ws_private.connect_private() as connection:
        connection.send_raw('[{"ticket":"upbit-sdk"},{"type":"myOrder"},{"type":"myAsset"}]')
        kinds = {connection.recv().type for _ in range(20)}
        assert kinds == {"myOrder", "myAsset"}, kinds
    print("  ws_private, signed")


if __name__ == "__main__":
    with local_exchange("--codes", "20", "--rate", "2000") as address:
        check_rest(address)
        check_stream(address)
        check_account(address)
