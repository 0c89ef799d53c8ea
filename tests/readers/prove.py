"""Runs the blocks of the README's section on a tape, and holds what they say against its lines."""

import collections
import datetime
import glob
import io
import json
import os
import pathlib
import re
import subprocess
import tempfile
from decimal import Decimal

import duckdb
import zstandard

import tape

README = pathlib.Path(__file__).parent.parent.parent / "README.md"
SECTION = "## Readers that are right"
SHOWN = "2026-11-22"


def blocks():
    """The blocks of the section by the name in their first line."""
    section = README.read_text().split(SECTION, 1)[1].split("\n## ", 1)[0]
    found = re.findall(r"```(\w+)\n(?:--|#) (\w+)\n(.*?)```", section, re.S)
    assert len(found) == section.count("```") // 2, "a block has no name"
    return {name: (language, code) for language, name, code in found}


class Proof:
    def __init__(self, date):
        self.date = date
        self.duckdb = duckdb.connect()
        self.blocks = blocks()

    def run(self, name):
        language, code = self.blocks[name]
        code = code.replace(SHOWN, self.date)
        if language == "sql":
            return self.duckdb.sql(code)
        if language == "sh":
            return subprocess.run(["bash", "-euo", "pipefail", "-c", code], check=True)
        names = {}
        exec(code, names)
        return names


def lines(pattern):
    """The lines of files, by another way than those that are proved: the program `zstd`."""
    files = sorted(glob.glob(pattern))
    assert files, pattern
    text = subprocess.run(["zstdcat", *files], check=True, capture_output=True).stdout
    return [json.loads(line, parse_float=Decimal, parse_int=int) for line in text.splitlines()]


def trades_of(date):
    """Each trade of a date by its own time, from both formats and what was healed: time, price, volume by id."""
    begin = int(datetime.datetime.fromisoformat(f"{date}T00:00:00+00:00").timestamp() * 1000)
    found = {}
    for line in lines("data/archive/*/KRW-BTC_trade.2*.zst"):
        at = line.get("trade_timestamp") or line["ttms"]
        own = line.get("trade_price") or line["tp"], line.get("trade_volume") or line["tv"]
        found[line.get("sequential_id") or line["sid"]] = (at, *map(Decimal, own))
    for line in lines("data/archive/*/KRW-BTC_trade.healed.2*.zst"):
        found[line["sequential_id"]] = (line["timestamp"], Decimal(line["trade_price"]), Decimal(line["trade_volume"]))
    return {key: trade for key, trade in found.items() if begin <= trade[0] < begin + 86_400_000}


def prove_tape(date):
    """The tape is what the section says of it."""
    events = lines("data/archive/*/recorder.2*.zst")
    kinds = {event["kind"] for event in events if event["event"] == "gap"}
    assert {"killed", "disconnected"} <= kinds, kinds
    assert lines("data/archive/*/KRW-BTC_trade.healed.2*.zst")
    own = lines(f"data/archive/date={date}/KRW-BTC_trade.2*.zst")
    assert any("tp" in line for line in own) and any("trade_price" in line for line in own)
    packed = [pathlib.Path(file).read_bytes() for file in glob.glob(f"data/archive/date={date}/KRW-BTC_trade.2*.zst")]
    assert any(file.count(b"\x28\xb5\x2f\xfd") > 2 for file in packed), "no file has several frames"
    print("  a kill, a gap, healed trades, several frames, both formats")


def prove_trades(proof):
    proof.run("trades")
    found = proof.duckdb.sql("select id, millis, price, volume from trades").fetchall()
    wanted = trades_of(proof.date)
    assert len(found) == len(wanted) and {key: tuple(rest) for key, *rest in found} == wanted
    plan = "explain analyze " + proof.blocks["trades"][1].split("create or replace table trades as\n")[1]
    plan = proof.duckdb.sql(plan.replace(SHOWN, "2026-03-11")).fetchall()[0][1]
    scanned = re.findall(r"(\d+)/(\d+)", " ".join(plan.split()))
    assert any(int(read) < int(all_files) for read, all_files in scanned), plan
    print(f"  {len(found)} trades of {proof.date}, each once; other dates are not opened")


def prove_candles(proof):
    found = proof.run("candles").fetchall()
    minutes = collections.defaultdict(list)
    for at, price, volume in trades_of(proof.date).values():
        minutes[at // 60_000].append((at, price, volume))
    assert len(found) == len(minutes)
    for minute, opened, high, low, closed, volume, value in found:
        own = minutes[int(minute.replace(tzinfo=datetime.timezone.utc).timestamp()) // 60]
        prices = [price for _, price, _ in own]
        assert (high, low) == (max(prices), min(prices))
        assert volume == sum(size for *_, size in own) and value == sum(price * size for _, price, size in own)
        ends = [min(own)[0], max(own)[0]]
        for price, end in zip([opened, closed], ends):
            assert price in [other for at, other, _ in own if at == end]
    print(f"  {len(found)} candles, in exact decimals")


def prove_spread(proof):
    found = proof.run("spread").fetchall()[0][0]
    gaps = [event["from"] for event in lines("data/archive/*/recorder.2*.zst") if event["event"] == "gap"]
    books = sorted(lines(f"data/archive/date={proof.date}/KRW-BTC_orderbook.2*.zst"), key=lambda line: line["ts_recv"])
    weighted = total = 0
    for book, after in zip(books, books[1:]):
        best = (book.get("orderbook_units") or book["obu"])[0]
        spread = float(best.get("ask_price") or best["ap"]) - float(best.get("bid_price") or best["bp"])
        if not any(book["ts_recv"] <= gap < after["ts_recv"] for gap in gaps):
            weighted += spread * (after["ts_recv"] - book["ts_recv"])
            total += after["ts_recv"] - book["ts_recv"]
    assert abs(found - weighted / total) < 1e-6 * found, (found, weighted / total)
    print(f"  a spread of {found:.1f}, weighted by time, without {len(gaps)} gaps")


def prove_frames(proof):
    own = lines(f"data/archive/date={proof.date}/KRW-BTC_trade.2*.zst")
    wanted = {line.get("sequential_id") or line["sid"]: line.get("trade_price") or line["tp"] for line in own}
    polars = proof.run("polars")["trades"]
    found = dict(zip(polars["id"].to_list(), polars["price"].to_list()))
    assert found == {key: float(price) for key, price in wanted.items()}
    pandas = proof.run("pandas")["trades"]
    found = dict(zip(pandas["sequential_id"], pandas["trade_price"]))
    assert len(pandas) == len(wanted) and found == {key: float(price) for key, price in wanted.items()}
    print(f"  Polars and pandas: {len(own)} lines, {len(wanted)} trades")
    assert proof.run("zstandard")["lines"] == len(own)
    proof.run("jq")
    printed = pathlib.Path("trades.json").read_text().splitlines()
    assert len(printed) == len(own) and json.loads(printed[0])[0] == own[0]["ts_recv"]
    assert pathlib.Path("gaps.json").read_text().count("\n") >= 3
    proof.run("parquet")
    assert duckdb.sql("select count(*) from 'trades.parquet'").fetchall()[0][0] == len(trades_of(proof.date))
    print("  zstandard, jq, zstdcat, Parquet")


def show_traps(date):
    """Each trap of the table is one, here and now."""
    rows = [f'{{"p":{1000 if row < 20_480 else 999.5}}}\n' for row in range(20_481)]
    pathlib.Path("whole.jsonl").write_text("".join(rows))
    least = lambda options: duckdb.sql(f"select min(p) from read_json('whole.jsonl'{options})").fetchall()[0][0]
    assert least("") == 1000 and least(", sample_size = -1") == 999.5
    assert least(", columns = {p: 'DECIMAL(20,8)'}") == Decimal("999.5")
    print("  DuckDB: 999.5 became 1000")

    wide, right = (len(glob.glob(f"data/archive/date={date}/KRW-BTC_trade.{end}*.zst")) for end in ["", "2"])
    assert wide > right
    healed = lines("data/archive/*/KRW-BTC_trade.healed.2*.zst")
    assert all("trade_price" in line and "trade_timestamp" not in line for line in healed)
    print("  the glob took healed files")

    files = glob.glob(f"data/archive/date={date}/KRW-BTC_trade.2*.zst")
    packed = max((pathlib.Path(file).read_bytes() for file in files), key=len)
    whole = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed), read_across_frames=True).read()
    first = zstandard.ZstdDecompressor().decompressobj().decompress(packed)
    assert len(first) == 1 << 20 < len(whole)
    try:
        assert zstandard.decompress(packed) != whole
    except zstandard.ZstdError:
        pass
    print(f"  decompressobj() gave {len(first)} of {len(whole)} bytes")

    ids = set(trades_of(date))
    assert all(number > 1 << 53 for number in ids) and any(int(float(number)) != number for number in ids)
    print("  as doubles, ids were others")

    late = [line for line in lines(f"data/archive/date={tape.NEXT}/KRW-BTC_trade.2*.zst") if line["trade_timestamp"] < tape.MIDNIGHT]
    assert len(late) == 2 and late[0]["sequential_id"] == late[1]["sequential_id"]
    print("  a trade of 23:59:59.9 lay in the next date, and a snapshot repeated it")


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        tape.make(pathlib.Path("data"))
        date = max(os.listdir("data/archive"))[len("date=") :]
        prove_tape(date)
        for proof in [Proof(date), Proof(tape.DAY)]:
            prove_trades(proof)
            prove_candles(proof)
        proof = Proof(date)
        proof.run("trades")
        prove_spread(proof)
        prove_frames(proof)
        show_traps(date)
    print("all readers are right")


if __name__ == "__main__":
    main()
