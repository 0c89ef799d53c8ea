"""OHLCV out of Parquet beside what `audit` says: the minutes that it finds exact are the candles that it held them against.

    tests/lake/run audited.py [--seconds N]

A real recorder records the sample market for some minutes, in both formats, and loses the connection once, which is healed. Then
`audit` holds the day against the exchange's candles, and DuckDB makes candles of the lake.
"""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import urllib.request
from decimal import ROUND_HALF_UP, Decimal

import duckdb

from lake import export, files, program

CANDLES = """
SELECT code, strftime(time_bucket(INTERVAL 1 minute, trade_timestamp AT TIME ZONE 'UTC'), '%Y-%m-%dT%H:%M:%S') AS minute,
       max(trade_price), min(trade_price), sum(trade_volume), sum(trade_price * trade_volume), count(*),
       count(*) FILTER (WHERE origin = 'healed')
FROM read_parquet('{}/*/type=trade/*/*.parquet') GROUP BY ALL
"""


@contextlib.contextmanager
def running(command, **options):
    process = subprocess.Popen(command, text=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(15)


def record(data, address, seconds, *settings):
    settings = [f"data_dir={data}", f"public.url=ws://{address}/websocket/v1", f"rest.url=http://{address}/v1", "http.listen=", *settings]
    command = [os.environ["UPBIT_RECORDER"], "record", *(part for setting in settings for part in ("--set", setting))]
    with running(command, stderr=subprocess.DEVNULL) as recorder:
        time.sleep(seconds / 2)
        for fault, method in [("drop", "POST"), (None, "DELETE")]:
            request = urllib.request.Request(f"http://{address}/_faults", fault and fault.encode(), method=method)
            urllib.request.urlopen(request).close()
            time.sleep(2)
        time.sleep(seconds / 2)
        sealed = lambda: len(list(data.glob("archive/*/recorder.2*.zst")))
        before = sealed()
        recorder.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + 60
        while [path for path in data.glob("archive/*/*.jsonl") if path.name != "manifest.jsonl"] or sealed() == before:
            assert time.monotonic() < deadline, "segments are not sealed"
            time.sleep(0.2)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        data = pathlib.Path(scratch) / "data"
        command = [os.environ["UPBIT_RECORDER"], "replay", "--codes", "3", "--rate", "300", "--listen", "127.0.0.1:0", "--no-limits"]
        with running(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as exchange:
            address = exchange.stdout.readline().split("/")[2]
            record(data, address, options.seconds)
            record(data, address, options.seconds, "public.format=SIMPLE")
            # Minutes are held against candles once they have ended ten seconds before.
            time.sleep(12)
            date = time.strftime("%Y-%m-%d", time.gmtime())
            audit = program("audit", "--date", date, "--json", "--set", f"data_dir={data}", "--set", f"rest.url=http://{address}/v1",
                            "--set", f"public.url=ws://{address}/websocket/v1", check=False)
            print(export(data).strip())
            assert not files(data) or '"waiting":0}' in export(data, "--json"), "segments wait"
        certificate = json.loads(audit)
        differing = {(stream["stream"].removesuffix("_trade"), row["minute"]) for stream in certificate["streams"] for row in stream["rows"]}
        candles = {}
        for path in (data / "rest").glob("*_candle.1m*.jsonl"):
            candles |= {(candle["market"], candle["candle_date_time_utc"]): candle
                        for candle in (json.loads(line, parse_float=Decimal) for line in path.open())}
        text = program("cat", "rest/*_candle.1m", "--set", f"data_dir={data}")
        for line in text.splitlines():
            candle = json.loads(line, parse_float=Decimal)
            candles[candle["market"], candle["candle_date_time_utc"]] = candle
        compared, trades, healed = 0, 0, 0
        for code, minute, high, low, volume, value, count, missed in duckdb.sql(CANDLES.format(data / "lake")).fetchall():
            candle = candles.get((code, minute))
            if candle is None or (code, f"{minute}Z") in differing:
                continue
            assert (high, low) == (Decimal(candle["high_price"]), Decimal(candle["low_price"])), (code, minute)
            assert volume == Decimal(candle["candle_acc_trade_volume"]), (code, minute)
            printed = Decimal(candle["candle_acc_trade_price"])
            assert abs(value.quantize(Decimal("1e-8"), ROUND_HALF_UP) - printed) <= count * Decimal("1e-8"), (code, minute, value, printed)
            compared, trades, healed = compared + 1, trades + count, healed + missed
        assert compared and healed, (compared, healed, sorted(differing)[:3])
        print(f"audit finds {certificate['exact']} minutes exact; {compared} of them have trades, {trades} of which {healed} were healed: the sums out of Parquet are those")
        sizes = {}
        for name, path in files(data).items():
            kind = name.split("/")[1].removeprefix("type=")
            rows = duckdb.sql(f"SELECT sum(num_rows) FROM parquet_file_metadata('{path}')").fetchall()[0][0]
            bytes_, total = sizes.get(kind, (0, 0))
            sizes[kind] = (bytes_ + path.stat().st_size, total + rows)
        print({kind: f"{rows} rows, {size / rows:.1f} bytes each" for kind, (size, rows) in sorted(sizes.items())})


main()
