"""The order books of a pair."""

from collections.abc import Iterator

import polars as pl

from ._lines import Schema, frames, scan
from ._segments import Directory, segments
from ._times import LATEST, Time, micros

MOST_LEVELS = 30
"""As many as the exchange sends."""

_LONG = pl.Struct({name: pl.Float64() for name in ["ask_price", "bid_price", "ask_size", "bid_size"]})
_SHORT = pl.Struct({name: pl.Float64() for name in ["ap", "bp", "as", "bs"]})

_BOOKS: Schema = {
    **{name: pl.Int64() for name in ["ts_recv", "timestamp", "tms"]},
    **{name: pl.Float64() for name in ["total_ask_size", "tas", "total_bid_size", "tbs", "level", "lv"]},
    **{name: pl.String() for name in ["stream_type", "st"]},
    "orderbook_units": pl.List(_LONG),
    "obu": pl.List(_SHORT),
}

_SIDES = [("ask_price", "ap"), ("ask_size", "as"), ("bid_price", "bp"), ("bid_size", "bs")]


def scan_books(
    directory: Directory, code: str, start: Time | None = None, end: Time | None = None, *, levels: int = 5
) -> pl.LazyFrame:
    """The order books of a pair that were received from `start` on, before `end`, in the order in which they came.

    Each is the whole book, so none needs one before it, and the first behind a gap is right. How long the last one in front
    of a gap stood, nobody knows: see `gaps`.

    Columns: `received` (µs), `epoch`, `timestamp` (the book's last change, ms), `snapshot`, `level` (the price grouping, 0
    for none), `total_ask_size`, `total_bid_size`, and for each of 1 to `levels`: `ask_price_1`, `ask_size_1`, `bid_price_1`,
    `bid_size_1`. A level that the book does not have is null; the exchange fills a thin side up with zeros.

    Files are read when the frame is collected. Raises `TapeError` then for what cannot be read, `ValueError` for `levels`
    that are not 1 to 30.
    """
    if not 1 <= levels <= MOST_LEVELS:
        raise ValueError(f"levels is {levels}, and a book has 1 to {MOST_LEVELS}")
    begin, over = micros(start, 0), micros(end, LATEST)
    schema: Schema = {
        "received": pl.Datetime("us", "UTC"),
        "epoch": pl.Int64(),
        "timestamp": pl.Datetime("ms", "UTC"),
        "snapshot": pl.Boolean(),
        **{name: pl.Float64() for name in ["level", "total_ask_size", "total_bid_size"]},
        **{f"{side}_{level}": pl.Float64() for level in range(1, levels + 1) for side, _ in _SIDES},
    }

    def books() -> Iterator[pl.DataFrame]:
        for found in frames(segments(directory, f"{code}_orderbook", begin, over), _BOOKS):
            is_book = pl.col("orderbook_units").is_not_null() | pl.col("obu").is_not_null()
            own = found.filter((pl.col("ts_recv") >= begin) & (pl.col("ts_recv") < over) & is_book)
            yield own.select(
                pl.col("ts_recv").cast(pl.Datetime("us", "UTC")).alias("received"),
                "epoch",
                pl.coalesce("timestamp", "tms").cast(pl.Datetime("ms", "UTC")).alias("timestamp"),
                pl.coalesce("stream_type", "st").eq("SNAPSHOT").alias("snapshot"),
                pl.coalesce("level", "lv").alias("level"),
                pl.coalesce("total_ask_size", "tas").alias("total_ask_size"),
                pl.coalesce("total_bid_size", "tbs").alias("total_bid_size"),
                *(_level(place, long, short) for place in range(levels) for long, short in _SIDES),
            )

    return scan(books, schema, "upbit books")


def _level(place: int, long: str, short: str) -> pl.Expr:
    def value(long: str, short: str) -> pl.Expr:
        unit = {units: pl.col(units).list.get(place, null_on_oob=True).struct for units in ["orderbook_units", "obu"]}
        return pl.coalesce(unit["orderbook_units"].field(long), unit["obu"].field(short))

    side = long.partition("_")[0]
    is_there = value(f"{side}_price", f"{side[0]}p") > 0
    return pl.when(is_there).then(value(long, short)).alias(f"{long}_{place + 1}")
