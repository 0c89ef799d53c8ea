"""The trades of a pair, each once."""

from collections.abc import Iterator

import polars as pl

from ._lines import Schema, frames, scan
from ._segments import Directory, segments
from ._times import LATEST, Time, micros

_RECORDED: Schema = {
    "ts_recv": pl.Int64(),
    **{name: pl.Int64() for name in ["sequential_id", "sid", "trade_timestamp", "ttms"]},
    **{name: pl.Float64() for name in ["trade_price", "tp", "trade_volume", "tv"]},
    **{name: pl.String() for name in ["ask_bid", "ab"]},
}

_HEALED: Schema = {
    **{name: pl.Int64() for name in ["sequential_id", "timestamp"]},
    **{name: pl.Float64() for name in ["trade_price", "trade_volume"]},
    "ask_bid": pl.String(),
}

_SIDE = pl.Enum(["ASK", "BID"])

_TRADES: Schema = {
    "timestamp": pl.Datetime("ms", "UTC"),
    "price": pl.Float64(),
    "volume": pl.Float64(),
    "ask_bid": _SIDE,
    "sequential_id": pl.Int64(),
    "received": pl.Datetime("us", "UTC"),
    "epoch": pl.Int64(),
    "healed": pl.Boolean(),
}

# How far a receive time may be before the trade's, by a clock that is wrong, µs.
_CLOCK_ERROR = 600_000_000

# Within a stream trades come in order, but for those of two connections that overlap, which are seconds apart, µs.
_SLACK = 60_000_000


def scan_trades(directory: Directory, code: str, start: Time | None = None, end: Time | None = None) -> pl.LazyFrame:
    """The trades of a pair that happened from `start` on, before `end`, in the order of their own time, each once.

    Recorded trades of both formats, and those that were missed in a gap and fetched later, by `sequential_id`; snapshots
    that repeat a trade are no second one. A time is by the exchange's clock, so a trade of 23:59:59.9 that was received behind
    midnight is of its own day.

    Columns: `timestamp` (when it happened, ms), `price`, `volume`, `ask_bid` (who began: `BID` bought), `sequential_id` (an
    identifier, not an order), `received` (µs; null where it was missed and fetched), `epoch`, `healed`.

    Files are read when the frame is collected, so it shows what is there then. Raises `TapeError` then for what cannot be
    read.
    """
    begin, over = micros(start, 0), micros(end, LATEST)

    def recorded() -> Iterator[pl.DataFrame]:
        is_before_end = True
        # What a snapshot brings may be hours older than its line, so the end is found by the trades.
        for found in frames(segments(directory, f"{code}_trade", begin - _CLOCK_ERROR, LATEST), _RECORDED):
            trades = found.select(
                timestamp=_time(pl.coalesce("trade_timestamp", "ttms")),
                price=pl.coalesce("trade_price", "tp"),
                volume=pl.coalesce("trade_volume", "tv"),
                ask_bid=pl.coalesce("ask_bid", "ab").cast(_SIDE),
                sequential_id=pl.coalesce("sequential_id", "sid"),
                received=pl.col("ts_recv").cast(pl.Datetime("us", "UTC")),
                epoch="epoch",
                healed=pl.lit(False),
            )
            newest = trades.select(pl.col("timestamp").dt.epoch("us").max()).item()
            is_before_end = newest is None or newest < over + _SLACK
            yield _within(trades, begin, over)
            if not is_before_end:
                return

    def healed() -> Iterator[pl.DataFrame]:
        # Up to a week later.
        for found in frames(segments(directory, f"{code}_trade.healed", begin - _CLOCK_ERROR, LATEST), _HEALED):
            trades = found.select(
                timestamp=_time(pl.col("timestamp")),
                price="trade_price",
                volume="trade_volume",
                ask_bid=pl.col("ask_bid").cast(_SIDE),
                sequential_id="sequential_id",
                received=pl.lit(None, pl.Datetime("us", "UTC")),
                epoch="epoch",
                healed=pl.lit(True),
            )
            yield _within(trades, begin, over)

    both = [scan(recorded, _TRADES, "upbit trades"), scan(healed, _TRADES, "upbit trades, healed")]
    each = pl.concat(both).unique("sequential_id", keep="first", maintain_order=True)
    return each.sort("timestamp", maintain_order=True)


def _time(millis: pl.Expr) -> pl.Expr:
    return millis.cast(pl.Datetime("ms", "UTC"))


def _within(trades: pl.DataFrame, begin: int, over: int) -> pl.DataFrame:
    # What is no trade, such as the bytes of a foreign writer, has no time and no id.
    at = pl.col("timestamp").dt.epoch("us")
    return trades.filter((at >= begin) & (at < over) & pl.col("sequential_id").is_not_null())
