"""Events for hftbacktest (`pip install 'upbit-tape[hftbacktest]'`)."""

from typing import Any

import numpy as np
import polars as pl
from hftbacktest import types
from hftbacktest.data import correct_event_order, correct_local_timestamp

from . import _epochs
from ._segments import Directory
from ._times import Time
from .books import MOST_LEVELS, scan_books
from .gaps import gaps
from .trades import scan_trades

_DATA: Any = types.event_dtype

_SIDES = {"bid": types.BUY_EVENT, "ask": types.SELL_EVENT}


def to_hftbacktest(
    directory: Directory,
    code: str,
    start: Time | None = None,
    end: Time | None = None,
    *,
    levels: int = MOST_LEVELS,
    base_latency: int = 0,
) -> Any:
    """Trades and order books of a pair from `start` on, before `end`, as an array of hftbacktest's `event_dtype`.

    Times are nanoseconds: `exch_ts` the exchange's, `local_ts` when it was received. A book is told by what differs from the
    one before; at the beginning and behind each gap the depth is cleared and told whole. A trade that was missed and
    fetched is an event of the exchange alone: nothing was received of it when it happened.

    Where the recorder's clock was behind the exchange's, hftbacktest's own `correct_local_timestamp` moves all `local_ts`,
    and adds `base_latency` (ns). Raises `TapeError` for what cannot be read, `ValueError` where the clock was set back in
    the span.
    """
    books = scan_books(directory, code, start, end, levels=levels).collect()
    trades = scan_trades(directory, code, start, end).collect()
    received = trades.filter(~pl.col("healed"))
    _epochs.one([books, received])
    missing = gaps(directory, code, "orderbook", start, end).filter(pl.col("connection") == "public")
    data = np.concatenate([_depth(books, missing["end"]), _trades(received)])
    data = data[np.argsort(data["local_ts"], kind="stable")]
    data = correct_local_timestamp(data, base_latency)
    by_exchange = np.argsort(data["exch_ts"], kind="stable")
    by_local = np.argsort(data["local_ts"], kind="stable")
    ordered = correct_event_order(data, by_exchange, by_local) if len(data) else data
    return _with_missed(ordered, _trades(trades.filter("healed")))


def _depth(books: pl.DataFrame, gap_ends: pl.Series) -> Any:
    """What differs from book to book; whole ones where they begin, and behind gaps."""
    index = pl.int_range(pl.len(), dtype=pl.Int64).alias("book")
    # A gap ends with the first data behind it; lines within it may be there.
    begins = {0, *books["received"].search_sorted(gap_ends, side="left").to_list()} if books.height else set()
    whole = pl.col("book").is_in(sorted(begins))
    at = books.select(
        index,
        local_ts=pl.col("received").dt.epoch("ns"),
        # The time of a book's last change; one sent again, as a snapshot, does not go back.
        exch_ts=pl.col("timestamp").dt.epoch("ns").cum_max(),
    )
    levels = pl.concat(
        books.select(index, px=f"{side}_price_{level}", qty=f"{side}_size_{level}", side=pl.lit(flag, pl.UInt64))
        for side, flag in _SIDES.items()
        for level in range(1, sum(name.startswith("ask_price_") for name in books.columns) + 1)
    ).drop_nulls()
    key = ["book", "side", "px"]
    before = levels.with_columns(pl.col("book") + 1).filter(~whole, pl.col("book") < books.height)
    told = levels.join(before, on=key, how="full", coalesce=True, suffix="_before")
    gone = pl.col("qty").is_null()
    kind = pl.when(whole).then(types.DEPTH_SNAPSHOT_EVENT).otherwise(types.DEPTH_EVENT).cast(pl.UInt64)
    changes = told.filter(gone | pl.col("qty").ne_missing(pl.col("qty_before"))).select(
        "book",
        rank=pl.when(gone).then(1).otherwise(2),
        ev=kind | pl.col("side"),
        px="px",
        qty=pl.col("qty").fill_null(0),
    )
    clears = pl.concat(
        at.filter(whole).select(
            "book",
            rank=pl.lit(0),
            ev=pl.lit(types.DEPTH_CLEAR_EVENT | flag, pl.UInt64),
            px=pl.lit(float("nan")),
            qty=pl.lit(0.0),
        )
        for flag in _SIDES.values()
    )
    events = (
        pl.concat([clears, changes])
        .sort("book", "rank", maintain_order=True)
        .join(at, on="book", maintain_order="left")
    )
    return _array(events)


def _trades(trades: pl.DataFrame) -> Any:
    side = pl.when(pl.col("ask_bid") == "BID").then(types.BUY_EVENT).otherwise(types.SELL_EVENT).cast(pl.UInt64)
    happened = pl.col("timestamp").dt.epoch("ns")
    return _array(
        trades.select(
            ev=side | pl.lit(types.TRADE_EVENT, pl.UInt64),
            exch_ts=happened,
            local_ts=pl.coalesce(pl.col("received").dt.epoch("ns"), happened),
            px="price",
            qty="volume",
        )
    )


def _with_missed(ordered: Any, missed: Any) -> Any:
    """Events of the exchange alone, among the others."""
    missed["ev"] |= np.uint64(types.EXCH_EVENT)
    exchange = np.flatnonzero(ordered["ev"] & np.uint64(types.EXCH_EVENT))
    places = np.searchsorted(ordered["exch_ts"][exchange], missed["exch_ts"], side="right")
    return np.insert(ordered, np.append(exchange, len(ordered))[places], missed)


def _array(events: pl.DataFrame) -> Any:
    data = np.zeros(events.height, _DATA)
    for name in ["ev", "exch_ts", "local_ts", "px", "qty"]:
        data[name] = events[name].to_numpy()
    return data
