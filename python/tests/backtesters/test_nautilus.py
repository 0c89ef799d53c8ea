"""A backtest of NautilusTrader sees the books and trades of the tape, in the order in which they were received."""

import itertools

import upbit_tape
from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.config import LoggingConfig
from nautilus_trader.model.currencies import Currency
from nautilus_trader.model.data import OrderBookDeltas, TradeTick
from nautilus_trader.model.enums import AccountType, AggressorSide, BookType, OmsType
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Money
from nautilus_trader.trading.strategy import Strategy
from upbit_tape import nautilus

START = "2026-11-01"


class Watcher(Strategy):
    """Notes each trade, and the best of each book."""

    def __init__(self, instrument):
        super().__init__()
        self.instrument = instrument
        self.trades, self.books = [], []

    def on_start(self):
        self.subscribe_trade_ticks(self.instrument.id)
        self.subscribe_order_book_deltas(self.instrument.id, book_type=BookType.L2_MBP)

    def on_trade_tick(self, tick):
        buyer = tick.aggressor_side == AggressorSide.BUYER
        self.trades.append((int(tick.trade_id.value), float(tick.price), float(tick.size), "BID" if buyer else "ASK"))

    def on_order_book_deltas(self, deltas):
        book = self.cache.order_book(self.instrument.id)
        sides = [book.bids(), book.asks()]
        best = [(float(levels[0].price), float(levels[0].size()), len(levels)) for levels in sides]
        self.books.append((deltas.ts_init, *best))


def test_a_backtest_sees_every_trade_and_book(tape):
    pair = nautilus.instrument("KRW-BTC")
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(log_level="ERROR")))
    money = [Money(1_000_000, Currency.from_str("KRW"))]
    engine.add_venue(Venue("UPBIT"), OmsType.NETTING, AccountType.CASH, money, book_type=BookType.L2_MBP)
    engine.add_instrument(pair)
    objects = list(nautilus.load(tape.path, "KRW-BTC", START))
    assert {type(one) for one in objects} == {TradeTick, OrderBookDeltas}
    assert all(before.ts_init <= after.ts_init for before, after in itertools.pairwise(objects))
    # The engine takes a list for one of its type.
    for kind in [OrderBookDeltas, TradeTick]:
        engine.add_data([one for one in objects if isinstance(one, kind)])
    watcher = Watcher(pair)
    engine.add_strategy(watcher)
    engine.run()
    trades = upbit_tape.scan_trades(tape.path, "KRW-BTC", START).collect()
    names = ["sequential_id", "price", "volume", "ask_bid"]
    assert sorted(watcher.trades) == sorted(trades.select(names).rows()) and len(watcher.trades) > 5_000
    books = upbit_tape.scan_books(tape.path, "KRW-BTC", START, levels=30).collect()
    best = [books[f"{side}_{what}_1"].to_list() for side in ["bid", "ask"] for what in ["price", "size"]]
    wanted = [
        (received, (bid, bid_size, 30), (ask, ask_size, 30))
        for received, bid, bid_size, ask, ask_size in zip(books["received"].dt.epoch("ns"), *best, strict=True)
    ]
    assert watcher.books == wanted and len(wanted) > 100
    engine.dispose()
