"""A backtest of hftbacktest sees the books and trades of the tape, each when it was received."""

import hftbacktest as hft
import numpy as np
import polars as pl
import upbit_tape
from hftbacktest.data import validate_event_order
from upbit_tape.hft import to_hftbacktest

START = "2026-11-01"


def backtest(events):
    asset = hft.BacktestAsset().data(events).linear_asset(1.0).constant_order_latency(0, 0)
    asset = asset.risk_adverse_queue_model().no_partial_fill_exchange().trading_value_fee_model(0, 0)
    return hft.HashMapMarketDepthBacktest([asset.tick_size(1000.0).lot_size(1e-8).last_trades_capacity(100_000)])


def levels_of(book, side):
    pairs = [(book[f"{side}_price_{level}"], book[f"{side}_size_{level}"]) for level in range(1, 31)]
    return {price: size for price, size in pairs if price is not None}


def test_every_book_is_seen_as_it_was(tape):
    events = to_hftbacktest(tape.path, "KRW-BTC", START)
    validate_event_order(events)
    books = upbit_tape.scan_books(tape.path, "KRW-BTC", START, levels=30).collect()
    run = backtest(events)
    assert run.elapse(1) == 0
    for book, received in zip(books.iter_rows(named=True), books["received"].dt.epoch("ns"), strict=True):
        # An event counts once its time is over.
        run.elapse(received + 1 - run.current_timestamp)
        depth = run.depth(0)
        for side, quantity in [("bid", depth.bid_qty_at_tick), ("ask", depth.ask_qty_at_tick)]:
            own = levels_of(book, side)
            assert {price: quantity(round(price / 1000)) for price in own} == own
        assert (depth.best_bid, depth.best_ask) == (book["bid_price_1"], book["ask_price_1"])
    run.close()
    assert books.height > 100


def test_trades_are_told_once_and_missed_ones_to_the_exchange_alone(tape):
    events = to_hftbacktest(tape.path, "KRW-BTC", START)
    trades = upbit_tape.scan_trades(tape.path, "KRW-BTC", START).collect()
    missed = trades.filter("healed")
    kinds = events["ev"] & np.uint64(0xFF)
    for flag, wanted in [(hft.LOCAL_EVENT, trades.filter(~pl.col("healed"))), (hft.EXCH_EVENT, trades)]:
        own = events[(kinds == hft.TRADE_EVENT) & (events["ev"] & np.uint64(flag) > 0)]
        assert sorted(own["px"]) == sorted(wanted["price"]) and sorted(own["qty"]) == sorted(wanted["volume"])
        buys = own[own["ev"] & np.uint64(hft.BUY_EVENT) > 0]
        assert len(buys) == wanted.filter(ask_bid="BID").height
    assert missed.height > 10
    run = backtest(events)
    run.elapse(1)
    run.elapse(events["local_ts"].max() - run.current_timestamp + 1)
    assert len(run.last_trades(0)) == trades.height - missed.height
    run.close()


def test_the_depth_begins_anew_behind_a_gap(tape):
    events = to_hftbacktest(tape.path, "KRW-BTC", START)
    clears = events[events["ev"] & np.uint64(0xFF) == hft.DEPTH_CLEAR_EVENT]
    begun = set(clears[clears["ev"] & np.uint64(hft.LOCAL_EVENT) > 0]["local_ts"].tolist())
    books = upbit_tape.scan_books(tape.path, "KRW-BTC", START).collect()["received"].dt.epoch("ns")
    wanted = {books[0]}
    for gap in upbit_tape.gaps(tape.path, "KRW-BTC", "orderbook")["end"].dt.epoch("ns"):
        wanted |= {next(book for book in books if book >= gap)}
    assert begun == wanted and len(wanted) >= 3
