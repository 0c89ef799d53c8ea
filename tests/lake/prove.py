"""Every row of the lake against the lines of the tape, and every block of docs/LAKE.md run as it stands.

    tests/lake/run prove.py
"""

import contextlib
import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal, localcontext

import duckdb
import polars
import pyarrow.parquet

from lake import DATE, HERE, export, files, program, tape
from make_tape import SHORT

LONG = {short: name for name, short in SHORT.items()} | {"td": "trade_date", "tdt": "trade_date"}
TYPES = ["trade", "ticker", "orderbook"]
# The names that healed trades have, and columns.
REST = {"market": "code", "timestamp": "trade_timestamp", "trade_date_utc": "trade_date", "trade_time_utc": "trade_time"}
told = print


def blocks():
    """The blocks of the page, by the name in their first line."""
    page = (HERE.parent.parent / "docs/LAKE.md").read_text()
    found = re.findall(r"```(sql|python)\n(?:--|#) ([\w-]+): .*?\n(.*?)```", page, re.DOTALL)
    return {name: (language, code) for language, name, code in found}


def query(name):
    language, code = blocks()[name]
    assert language == "sql"
    return duckdb.sql(code)


def run(name):
    language, code = blocks()[name]
    assert language == "python"
    names = {}
    exec(code, names)
    return names


def lines(data, stream, *options):
    """The objects of a stream by `cat`, with numbers as decimals and in long names."""
    text = program("cat", stream, "--set", f"data_dir={data}", *options)
    def long(value):
        if isinstance(value, dict):
            return {LONG.get(key, key): long(own) for key, own in value.items()}
        return [long(own) for own in value] if isinstance(value, list) else value
    return [long(json.loads(line, parse_float=Decimal)) for line in text.splitlines()]


def same(found, wanted):
    """Whether a column has the value of a line."""
    if hasattr(found, "timestamp"):
        found = round(found.timestamp() * 1_000_000)
        return found in (wanted, wanted * 1_000)
    if isinstance(found, Decimal):
        return found == Decimal(wanted)
    return found == wanted


def sealed(data):
    """The date, type and code of each pair that has a sealed file, by the names of the archive."""
    names = [path.relative_to(data / "archive").parts for path in (data / "archive").rglob("*.jsonl.zst")]
    streams = {(date.removeprefix("date="), file.split(".2")[0].removesuffix(".healed")) for date, file in names}
    return {(date, *reversed(stream.split("_"))) for date, stream in streams if "_" in stream}


def held_against_lines(data):
    """Each stream of the tape has its file, and each field of each line is in its row."""
    fields, rows, lake = 0, 0, files(data)
    wanted = sealed(data)
    found = {tuple(part.split("=")[-1] for part in (date, kind, file.removesuffix(".parquet"))) for _, kind, date, file in map(lambda name: name.split("/"), lake)}
    assert {own for own in found if own[1] in TYPES} == wanted and len(wanted) > 3, wanted ^ found
    for date, kind, code in sorted(wanted):
        name = f"venue=upbit-kr/type={kind}/date={date}/{code}.parquet"
        path = lake[name]
        next_date = datetime.date.fromisoformat(date) + datetime.timedelta(days=1)
        seen, own = set(), []
        of_day = lines(data, f"{code}_{kind}", "--from", date, "--to", next_date)
        if kind == "trade":
            fetched = lines(data, f"{code}_{kind}.healed", "--from", date, "--to", next_date)
            assert fetched, f"{name}: nothing was healed"
            of_day += [{REST.get(key, key): value for key, value in line.items()} for line in fetched]
            of_day.sort(key=lambda line: line["ts_recv"])
        for line in of_day:
            if kind == "trade" and line["sequential_id"] in seen:
                continue
            seen.add(line.get("sequential_id"))
            own.append(line)
        table = pyarrow.parquet.read_table(path, partitioning=None).to_pylist()
        assert len(table) == len(own), f"{name}: {len(table)} rows of {len(own)} lines"
        for row, line in zip(table, own):
            for key, value in line.items():
                fields += 1
                if key == "type":
                    continue
                if key == "orderbook_units":
                    for side in ["ask_price", "ask_size", "bid_price", "bid_size"]:
                        assert row[side] == [Decimal(unit[side]) for unit in value], f"{name} {side}"
                    continue
                assert value is None or same(row[key], value), f"{name}: {key} is {row[key]!r}, and was {value!r}"
            rows += 1
    told(f"{rows} rows have {fields} fields of their lines")


def formats_agree(long, short):
    """SIMPLE and DEFAULT are the same rows."""
    other = files(short)
    for name, path in files(long).items():
        one, two = (pyarrow.parquet.read_table(file, partitioning=None) for file in (path, other[name]))
        assert one.equals(two), name
    told(f"{len(other)} files of a tape in SIMPLE have the rows of those in DEFAULT")


def same_bytes(data):
    before = {name: path.read_bytes() for name, path in files(data).items()}
    shutil.rmtree(data / "lake")
    export(data, "--levels", 5)
    assert {name: path.read_bytes() for name, path in files(data).items()} == before
    told(f"{len(before)} files exported again have the same bytes")


class Replay:
    """The exchange, played from a tape."""

    def __init__(self, data):
        command = [os.environ["UPBIT_RECORDER"], "replay", "--from", data, "--listen", "127.0.0.1:0", "--no-limits"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.address = self.process.stdout.readline().split("/")[2]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)

    def candles(self, code):
        address = f"http://{self.address}/v1/candles/minutes/1?market={code}&to=2026-11-23T00:00:00Z&count=200"
        with urllib.request.urlopen(address) as answer:
            return json.loads(answer.read(), parse_float=Decimal)


def candles_agree(data):
    """OHLCV out of Parquet is the exact sum of the lines, and what the exchange's side makes of them as candles."""
    columns = ["code", "minute", "open", "high", "low", "close", "volume", "value", "trades"]
    found = {(row[0], row[1].strftime("%Y-%m-%dT%H:%M:%S")): dict(zip(columns, row)) for row in query("candles").fetchall()}
    wanted, compared = {}, 0
    for code in {code for code, _ in found}:
        for trade in lines(data, f"{code}_trade", "--healed", "--from", DATE, "--to", "2026-11-23"):
            minute = (code, (trade.get("trade_time") or trade["trade_time_utc"])[:5])
            volume, value = wanted.get(minute, (0, 0))
            with localcontext(prec=60):
                price, size = Decimal(trade["trade_price"]), Decimal(trade["trade_volume"])
                wanted[minute] = (volume + size, value + price * size)
    for (code, minute), row in found.items():
        assert (row["volume"], row["value"]) == wanted[code, minute[11:16]], (code, minute)
        compared += 1
    with Replay(data) as exchange:
        for code in {code for code, _ in found}:
            for candle in exchange.candles(code):
                row = found[code, candle["candle_date_time_utc"]]
                keys = {"opening_price": "open", "high_price": "high", "low_price": "low", "trade_price": "close"}
                assert all(Decimal(candle[key]) == row[own] for key, own in keys.items()), (candle, row)
                assert Decimal(candle["candle_acc_trade_volume"]) == row["volume"]
                printed = row["value"].quantize(Decimal("1e-8"), ROUND_HALF_UP)
                assert abs(Decimal(candle["candle_acc_trade_price"]) - printed) <= row["trades"] * Decimal("1e-8")
    told(f"{compared} minutes of OHLCV out of Parquet are the tape's exact sums, and the candles that are made of it")


def spread_and_gaps(data):
    """The other recipes of DuckDB."""
    rows = query("spread").fetchall()
    assert rows and all(bid <= ask for *_, ask, bid in rows)
    gaps = [json.loads(row[0]) for row in query("gaps").fetchall()]
    assert all(len(own) == 1 and own[0]["kind"] == "disconnected" for own in gaps), gaps
    marked = duckdb.sql(f"SELECT code, count(*) FROM read_parquet('data/lake/*/type=trade/date={DATE}/*.parquet') WHERE gap_before GROUP BY code").fetchall()
    assert all(count == 1 for _, count in marked) and len(marked) == len(gaps)
    told(f"{len(rows)} trades have the quote before them; {len(gaps)} files tell their gap, and the row behind it")


@contextlib.contextmanager
def other_dates_are_nonsense():
    """Whoever opens a file of another date fails."""
    others = [path for path in pathlib.Path("data/lake").rglob("*.parquet") if f"date={DATE}" not in str(path)]
    kept = {path: path.read_bytes() for path in others}
    assert kept
    for path in others:
        path.write_bytes(b"nonsense")
    yield len(others)
    for path, content in kept.items():
        path.write_bytes(content)


def pruned_reads(data):
    """A filter on the partitions opens no other file."""
    wanted = query("candles").aggregate("code, sum(trades)::BIGINT, sum(volume)").order("code").fetchall()
    with other_dates_are_nonsense() as others:
        # The schema is that of the first file, which is of the date.
        counts = duckdb.sql(f"SELECT code, count(*), sum(trade_volume) FROM read_parquet('data/lake/*/type=trade/*/*.parquet', hive_partitioning = true) WHERE date = DATE '{DATE}' GROUP BY code ORDER BY code").fetchall()
        assert counts == wanted, (counts, wanted)
        volume = run("polars")["volume"].rows()
        assert [tuple(row) for row in volume] == wanted, (volume, wanted)
    told(f"DuckDB and Polars answer for a date while {others} files of another one are nonsense")


def spark_reads(wanted_trades, wanted_union):
    try:
        import pyspark  # noqa: F401
    except ImportError:
        return told("PySpark is not installed: its recipes were not run")
    with other_dates_are_nonsense():
        volume = [tuple(row) for row in run("pyspark")["volume"]]
    union = run("pyspark-union")
    assert volume == wanted_trades, (volume, wanted_trades)
    found = [(row["code"], row["sequential_id"]) for row in union["union"]]
    assert found == wanted_union
    union["spark"].stop()
    told(f"PySpark prunes likewise, and counts the same {sum(row[1] for row in volume)} trades, and {len(found)} of two recorders")


def two_recorders(scratch):
    """Two tapes with different gaps: the union has none."""
    common = ["--pairs", 2, "--seconds", 90, "--units", 3]
    whole = tape(scratch / "whole", *common)
    for host, options in [("a", ["--gap", "20:15"]), ("b", ["--gap", "50:20", "--shift", 900])]:
        data = tape(scratch / host, *common, *options)
        export(data, "--set", f"export.directory={scratch}/lakes/host={host}")
        assert len(lines(data, "KRW-P000_trade")) < len(lines(whole, "KRW-P000_trade"))
    union = query("union")
    names = union.columns
    found = [dict(zip(names, row)) for row in union.fetchall()]
    wanted = [(code, trade["sequential_id"]) for code in ("KRW-P000", "KRW-P001") for trade in lines(whole, f"{code}_trade")]
    assert [(row["code"], row["sequential_id"]) for row in found] == wanted
    assert {row["host"] for row in found} == {"a", "b"}
    told(f"two recorders with a gap each have {len(wanted)} trades together, as one without has")
    return wanted


def main():
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        os.chdir(scratch)
        common = ["--pairs", 3, "--seconds", 150, "--days", 2, "--gap", "40:7", "--units", 15, "--heal", "--unlisted"]
        data = tape(scratch / "data", *common)
        short = tape(scratch / "short", *common, "--format", "SIMPLE")
        faults = program("verify", "--set", f"data_dir={data}", check=False)
        told(faults.splitlines()[-1])
        for directory in (data, short):
            export(directory, "--levels", 5)
        held_against_lines(data)
        held_against_lines(short)
        formats_agree(data, short)
        same_bytes(data)
        spread_and_gaps(data)
        candles_agree(data)
        pruned_reads(data)
        trades = query("candles").aggregate("code, sum(trades)::BIGINT, sum(volume)").order("code").fetchall()
        spark_reads(trades, two_recorders(scratch))


main()
