"""An hour of a pair in one picture: its trades, its spread, and the gaps of the tape. The cells are those of a notebook.

pip install './python[plot]'
python python/hour.py data KRW-BTC 2026-11-22T05:00:00Z hour.png
"""

# %% Which hour
import datetime
import sys

import matplotlib.dates
import matplotlib.pyplot as plt
import polars as pl
import upbit_tape

directory, code, start, picture = sys.argv[1:]
begin = datetime.datetime.fromisoformat(start)
span = begin, begin + datetime.timedelta(hours=1)

# %% What was traded: each trade once, those too that were missed and fetched
trades = upbit_tape.scan_trades(directory, code, *span).collect()
print(trades.group_by("healed").agg(pl.len(), pl.col("volume").sum()))

# %% Where the tape is not to be relied on, and what was fetched of it
gaps = upbit_tape.gaps(directory, code, None, *span)
print(gaps.select("start", "end", "kind", "objects"))

# %% The spread of each book, in hundredths of a percent; nobody knows how long the last one before a gap stood
spread = (pl.col("ask_price_1") / pl.col("bid_price_1") - 1) * 10_000
books = upbit_tape.scan_books(directory, code, *span, levels=1).select("received", spread=spread).collect()
print(books.select(pl.len(), pl.col("spread").mean()))
last = gaps.sort("end").join_asof(books, left_on="end", right_on="received", allow_exact_matches=False, coalesce=False)
unknown = last.select(pl.col("received") + pl.duration(microseconds=1), spread=pl.lit(None, pl.Float64)).drop_nulls(
    "received"
)
books = pl.concat([books, unknown]).sort("received")

# %% The picture
figure, (above, below) = plt.subplots(2, sharex=True, figsize=(11, 6), height_ratios=[2, 1], layout="constrained")
for side, color in [("BID", "#1f9d55"), ("ASK", "#d64545")]:
    own = trades.filter(ask_bid=side, healed=False)
    above.scatter(own["timestamp"], own["price"], s=4, color=color, label=f"{side}, received", linewidths=0)
missed = trades.filter("healed")
above.scatter(missed["timestamp"], missed["price"], s=9, color="#2b6cb0", label="missed and fetched", linewidths=0)
below.step(books["received"], books["spread"], where="post", color="#4a5568", linewidth=0.6)
for axes in (above, below):
    for gap_start, gap_end in gaps.select("start", "end").iter_rows():
        axes.axvspan(gap_start, gap_end, color="#ed8936", alpha=0.25, linewidth=0)
above.set(
    title=f"{code}, {begin:%Y-%m-%d %H:%M} UTC, {trades.height:,} trades, {gaps.height} gaps", ylabel="price, KRW"
)
above.ticklabel_format(axis="y", useOffset=False, style="plain")
above.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
above.legend(loc="upper left", markerscale=2)
below.set(ylabel="spread, 0.01 %", xlim=span)
below.xaxis.set_major_formatter(matplotlib.dates.DateFormatter("%H:%M"))
figure.savefig(picture, dpi=110)
