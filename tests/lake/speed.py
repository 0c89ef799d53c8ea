"""How long an export takes, and in how much memory, beside DuckDB's COPY of the same sealed files to Parquet.

    UPBIT_RECORDER=target/release/upbit-recorder tests/lake/run speed.py [--pairs N] [--seconds N] [--turns N]

Both have all cores, take turns on the same files, and write zstd. DuckDB is told the columns and their types, which is faster
than having it guess, and writes a file a type; it neither drops repeats nor marks gaps nor reads back what it wrote. Figures
are told, and the export has to be as fast, in under 200 MB.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from lake import files, tape

DECIMALS = {
    "trade": ["trade_price", "trade_volume", "best_ask_price", "best_ask_size", "best_bid_price", "best_bid_size",
              "prev_closing_price", "change_price"],
    "ticker": ["opening_price", "high_price", "low_price", "trade_price", "prev_closing_price", "change_price",
               "signed_change_price", "change_rate", "signed_change_rate", "trade_volume", "acc_trade_volume",
               "acc_trade_volume_24h", "acc_trade_price", "acc_trade_price_24h", "acc_ask_volume", "acc_bid_volume",
               "highest_52_week_price", "lowest_52_week_price"],
    "orderbook": ["total_ask_size", "total_bid_size", "level"],
}
TEXTS = {
    "trade": ["code", "ask_bid", "change", "trade_date", "trade_time", "stream_type"],
    "ticker": ["code", "change", "ask_bid", "trade_date", "trade_time", "highest_52_week_date", "lowest_52_week_date",
               "market_state", "delisting_date", "market_warning", "stream_type"],
    "orderbook": ["code", "stream_type"],
}
NUMBERS = {"trade": ["ts_recv", "trade_timestamp", "timestamp", "sequential_id"], "ticker": ["ts_recv", "trade_timestamp", "timestamp"],
           "orderbook": ["ts_recv", "timestamp"]}

# Numbers are read as text and cast, or they would be doubles.
COPY = """
import duckdb, sys
duckdb.sql("SET preserve_insertion_order = false")
for statement in sys.stdin.read().split(";"):
    if statement.strip():
        duckdb.sql(statement)
"""


def statement(kind, source, target):
    columns = {name: "BIGINT" for name in NUMBERS[kind]}
    columns |= {name: "VARCHAR" for name in TEXTS[kind] + DECIMALS[kind]}
    cast = [f"CAST({name} AS DECIMAL(38, 8)) AS {name}" for name in DECIMALS[kind]]
    cast += TEXTS[kind] + NUMBERS[kind]
    if kind == "orderbook":
        unit = "STRUCT(ask_price DECIMAL(38, 8), bid_price DECIMAL(38, 8), ask_size DECIMAL(38, 8), bid_size DECIMAL(38, 8))[]"
        columns["orderbook_units"] = unit
        cast.append("orderbook_units")
    listed = ", ".join(f"{name}: '{of}'" for name, of in columns.items())
    cast = ", ".join(cast)
    read = f"read_json('{source}/archive/date=*/*_{kind}.2*.zst', format = 'newline_delimited', columns = {{{listed}}})"
    return f"COPY (SELECT {cast} FROM {read}) TO '{target}/{kind}.parquet' (FORMAT parquet, COMPRESSION zstd)"


def timed(command, stdin=None):
    """Seconds, those of processors, and the peak of memory in MB."""
    begun = time.monotonic()
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    if stdin:
        child.stdin.write(stdin)
    child.stdin.close()
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{command[0]} failed")
    return time.monotonic() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=1800)
    parser.add_argument("--data", type=pathlib.Path, help="a tape that is there, in place of one that is made")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        data = options.data or tape(scratch / "data", "--pairs", options.pairs, "--seconds", options.seconds)
        content = sum(int(line.split('"bytes":')[1].split(",")[0]) for line in open(next(data.glob("archive/*/manifest.jsonl"))))
        sealed = sum(path.stat().st_size for path in data.glob("archive/*/*.zst"))
        figures = {"export": [], "duckdb": []}
        sizes = {}
        for _ in range(options.turns):
            shutil.rmtree(data / "lake", ignore_errors=True)
            figures["export"].append(timed([os.environ["UPBIT_RECORDER"], "export", "--set", f"data_dir={data}"]))
            sizes["export"] = sum(path.stat().st_size for path in files(data).values())
            target = scratch / "duckdb"
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            statements = ";".join(statement(kind, data, target) for kind in DECIMALS)
            figures["duckdb"].append(timed([sys.executable, "-c", COPY], statements))
            sizes["duckdb"] = sum(path.stat().st_size for path in target.glob("*.parquet"))
    print(f"{content / 1e6:.0f} MB of lines, {sealed / 1e6:.0f} MB sealed")
    for name, turns in figures.items():
        seconds, work = (statistics.median(turn[place] for turn in turns) for place in (0, 1))
        memory = max(turn[2] for turn in turns)
        print(f"{name:7} {seconds:6.2f} s, {work:.2f} s of processors, {content / work / 1e6:.0f} MB/s of one, "
              f"{memory:.0f} MB of memory, {sizes[name] / 1e6:.1f} MB of Parquet")
    seconds = {name: statistics.median(turn[0] for turn in turns) for name, turns in figures.items()}
    memory = max(turn[2] for turn in figures["export"])
    assert seconds["export"] <= seconds["duckdb"], "the export is slower"
    assert memory < 200, f"the export took {memory:.0f} MB"


main()
