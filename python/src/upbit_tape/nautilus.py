"""Objects of NautilusTrader (`pip install 'upbit-tape[nautilus]'`)."""

import heapq
from collections.abc import Iterator
from typing import Any

import polars as pl
from nautilus_trader.model.data import BookOrder, OrderBookDelta, OrderBookDeltas, TradeTick
from nautilus_trader.model.enums import AggressorSide, BookAction, OrderSide, RecordFlag
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TradeId, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Currency, Price, Quantity

from . import _epochs
from ._segments import Directory
from ._times import Time
from .books import MOST_LEVELS, scan_books
from .trades import scan_trades

# As many decimals as the exchange has, for prices of cheap coins and for volumes; tick sizes depend on the price.
_PRECISION = 8

_STEP = "0.00000001"


def instrument(code: str, venue: str = "UPBIT") -> Any:
    """The pair as a `CurrencyPair`: `KRW-BTC` is `BTC/KRW.UPBIT`, with prices and sizes of eight decimals."""
    quote, _, base = code.partition("-")
    symbol = Symbol(f"{base}/{quote}")
    return CurrencyPair(
        instrument_id=InstrumentId(symbol, Venue(venue)),
        raw_symbol=Symbol(code),
        base_currency=Currency.from_str(base),
        quote_currency=Currency.from_str(quote),
        price_precision=_PRECISION,
        size_precision=_PRECISION,
        price_increment=Price.from_str(_STEP),
        size_increment=Quantity.from_str(_STEP),
        ts_event=0,
        ts_init=0,
    )


def load(
    directory: Directory,
    code: str,
    start: Time | None = None,
    end: Time | None = None,
    *,
    levels: int = MOST_LEVELS,
    venue: str = "UPBIT",
) -> Iterator[Any]:
    """Trades (`TradeTick`) and order books (`OrderBookDeltas`) of a pair from `start` on, before `end`.

    In the order of `ts_init`, which is when it was received; `ts_event` is by the exchange's clock. Each book clears the one
    before it, as it is whole, so that a gap leaves no level behind. A trade that was missed and fetched has its own time for
    both. `BacktestEngine.add_data` wants a list of each type. Frames of the span are in memory: of a busy pair take an hour,
    or a day, at a time.

    Raises `TapeError` for what cannot be read, `ValueError` where the clock was set back in the span.
    """
    books = scan_books(directory, code, start, end, levels=levels).collect()
    trades = scan_trades(directory, code, start, end).collect()
    _epochs.one([books, trades.filter(~pl.col("healed"))])
    own = instrument(code, venue).id
    objects = heapq.merge(_ticks(trades, own), _books(books, own, levels), key=lambda one: one.ts_init)
    yield from objects


def _ticks(trades: pl.DataFrame, own: Any) -> Iterator[Any]:
    sides = {"BID": AggressorSide.BUYER, "ASK": AggressorSide.SELLER}
    happened = pl.col("timestamp").dt.epoch("ns")
    told = trades.select(
        "price",
        "volume",
        "ask_bid",
        "sequential_id",
        happened,
        pl.coalesce(pl.col("received").dt.epoch("ns"), happened),
    ).sort("received", maintain_order=True)
    for price, volume, side, number, event, received in told.iter_rows():
        size = Quantity(volume, _PRECISION)
        yield TradeTick(own, Price(price, _PRECISION), size, sides[side], TradeId(str(number)), event, received)


def _books(books: pl.DataFrame, own: Any, levels: int) -> Iterator[Any]:
    sides = [(OrderSide.BUY, "bid"), (OrderSide.SELL, "ask")]
    names = [
        f"{side}_{what}_{level}" for level in range(1, levels + 1) for _, side in sides for what in ["price", "size"]
    ]
    told = books.select(pl.col("timestamp").dt.epoch("ns"), pl.col("received").dt.epoch("ns"), *names)
    for event, received, *values in told.iter_rows():
        deltas = [OrderBookDelta.clear(own, 0, event, received)]
        for place in range(0, len(values), 2):
            price, size = values[place : place + 2]
            if price is not None and size:
                order = BookOrder(sides[place // 2 % 2][0], Price(price, _PRECISION), Quantity(size, _PRECISION), 0)
                deltas.append(OrderBookDelta(own, BookAction.ADD, order, RecordFlag.F_SNAPSHOT, 0, event, received))
        last = deltas[-1]
        flags = last.flags | RecordFlag.F_LAST
        deltas[-1] = OrderBookDelta(own, last.action, last.order, flags, 0, event, received)
        yield OrderBookDeltas(own, deltas)
