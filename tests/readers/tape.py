"""A tape as life leaves it: a kill -9, a gap that is healed, segments of several zstd frames, both formats, a midnight."""

import json
import os
import pathlib
import signal
import subprocess
import time
import urllib.request

import zstandard

CODES = ["KRW-BTC", "KRW-ETH", "KRW-XRP"]

# A day of its own, with a trade that came when the next day had begun.
DAY, NEXT = "2026-03-11", "2026-03-12"
MIDNIGHT = 1_773_273_600_000


def make(directory):
    """Records, is killed, goes on, loses its connection, heals, and goes on in the other format."""
    with Exchange() as exchange:
        with Recorder(directory, exchange) as recorder:
            await_lines(directory / "KRW-BTC_trade.jsonl", 4_000)
            recorder.end(signal.SIGKILL)
        with Recorder(directory, exchange) as recorder:
            await_event(directory, "live", 1)
            time.sleep(2)
            exchange.fault("drop")
            time.sleep(1)
            exchange.fault(None)
            await_lines(directory / "KRW-BTC_trade.healed.jsonl", 1)
            recorder.end(signal.SIGTERM)
        with Recorder(directory, exchange, "public.format=SIMPLE") as recorder:
            await_lines(directory / "KRW-BTC_trade.jsonl", 1_000, '"ty":"trade"')
            # What is active is sealed, too.
            recorder.end(signal.SIGUSR1)
            waiting = lambda: [path for path in directory.glob("archive/*/*.jsonl") if path.name != "manifest.jsonl"]
            wait("the events are sealed", lambda: len(list(directory.glob("archive/*/recorder.2*.zst"))) > 1 and not waiting())
            recorder.end(signal.SIGTERM)
    seal_midnight(directory)


def seal_midnight(directory):
    """Trades of two days, the last of the first one received when the second had begun; one of them a snapshot again."""
    trade = {"type": "trade", "code": "KRW-BTC", "trade_volume": 0.5, "ask_bid": "BID", "change": "RISE"}

    def line(received, traded, price, number, stream_type="REALTIME"):
        own = {"trade_timestamp": traded, "trade_price": price, "sequential_id": 17_732_735_999_000_000 + number}
        return json.dumps({"ts_recv": received * 1_000, **trade, **own, "stream_type": stream_type}) + "\n"

    first = line(MIDNIGHT - 60_000, MIDNIGHT - 60_100, 100.0, 1) + line(MIDNIGHT - 30_000, MIDNIGHT - 30_100, 99.5, 2)
    late = line(MIDNIGHT + 40, MIDNIGHT - 100, 101.5, 3) + line(MIDNIGHT + 900, MIDNIGHT - 100, 101.5, 3, "SNAPSHOT")
    for date, received, text in [
        (DAY, "20260311T235900.000000Z", first),
        (NEXT, "20260312T000000.040000Z", late + line(MIDNIGHT + 5_000, MIDNIGHT + 4_900, 102.0, 4)),
    ]:
        folder = directory / f"archive/date={date}"
        folder.mkdir(parents=True)
        packed = zstandard.ZstdCompressor().compress(text.encode())
        (folder / f"KRW-BTC_trade.{received}.jsonl.zst").write_bytes(packed)


class Exchange:
    def __enter__(self):
        command = [os.environ["UPBIT_RECORDER"], "replay", "--listen", "127.0.0.1:0", "--codes", "3", "--rate", "3000"]
        self.process = subprocess.Popen([*command, "--no-limits"], stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().split("/")[2]
        return self

    def fault(self, fault):
        data, method = (fault.encode(), "POST") if fault else (None, "DELETE")
        request = urllib.request.Request(f"http://{self.address}/_faults", data, method=method)
        urllib.request.urlopen(request).close()

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)


class Recorder:
    def __init__(self, directory, exchange, *settings):
        own = [f"data_dir={directory}", f"public.url=ws://{exchange.address}/websocket/v1", "http.listen="]
        own += [f"rest.url=http://{exchange.address}/v1", "log.level=error"]
        own += ["public.backoff_min=100ms", *settings]
        command = [os.environ["UPBIT_RECORDER"], "record", *[part for it in own for part in ["--set", it]]]
        self.process = subprocess.Popen(command)

    def __enter__(self):
        return self

    def end(self, how):
        self.process.send_signal(how)
        if how != signal.SIGUSR1:
            self.process.wait(15)

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(15)


def await_lines(path, count, text="\n"):
    wait(f"{count} lines of {path.name}", lambda: path.exists() and path.read_text().count(text) >= count)


def await_event(directory, event, count):
    path = directory / "recorder.jsonl"
    told = f'"event":"{event}"'
    wait(f"{count} times {event}", lambda: path.exists() and path.read_text().count(told) >= count)


def wait(what, is_so):
    for _ in range(600):
        if is_so():
            return
        time.sleep(0.1)
    raise AssertionError(f"waited in vain for {what}")


if __name__ == "__main__":
    make(pathlib.Path(os.sys.argv[1]))
