"""An hour of one pair, recorded by the real program in a minute: its clock and the exchange's go sixty times as fast.

    UPBIT_RECORDER=target/release/upbit-recorder python3 tests/python/hour_tape.py DIRECTORY

A connection is lost for two minutes, and later the recorder is killed, to come back after three. Needs libfaketime (Debian:
`apt-get install faketime`).
"""

import datetime
import glob
import os
import signal
import subprocess
import sys
import time
import urllib.request

CODE = "KRW-BTC"
HOUR = datetime.datetime(2026, 11, 22, 5)
FASTER = 60


class Hour:
    """Programs whose clocks show a minute more each second."""

    def __init__(self):
        self.begun = time.monotonic()

    def minute(self):
        """Minutes since a minute before the hour."""
        return (time.monotonic() - self.begun) * FASTER / 60

    def wait(self, minute):
        time.sleep(max(0, minute - self.minute()) * 60 / FASTER)

    def start(self, *arguments, **options):
        preload = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
        assert preload, "libfaketime is missing: apt-get install faketime"
        now = HOUR + datetime.timedelta(minutes=self.minute() - 1)
        faster = {"TZ": "UTC", "LD_PRELOAD": preload[0], "FAKETIME": f"@{now:%Y-%m-%d %H:%M:%S} x{FASTER}"}
        return subprocess.Popen([os.environ["UPBIT_RECORDER"], *arguments], env={**os.environ, **faster}, **options)


def make(directory):
    hour = Hour()
    exchange = hour.start("replay", "--listen", "127.0.0.1:0", "--codes", "1", "--rate", "8", "--no-limits", stdout=subprocess.PIPE, text=True)
    address = exchange.stdout.readline().split("/")[2]
    subscribe = ",".join(f'{{type="{kind}",codes=["{CODE}"]}}' for kind in ["trade", "orderbook"])
    settings = [f"data_dir={directory}", f"public.url=ws://{address}/websocket/v1", f"rest.url=http://{address}/v1"]
    settings += ["http.listen=", "log.level=error", f"public.subscribe=[{subscribe}]"]
    record = ["record", *(part for setting in settings for part in ["--set", setting])]
    recorder = hour.start(*record)
    hour.wait(18)
    urllib.request.urlopen(f"http://{address}/_faults", b"refuse\ndrop").close()
    hour.wait(20)
    urllib.request.urlopen(urllib.request.Request(f"http://{address}/_faults", method="DELETE")).close()
    hour.wait(43)
    recorder.send_signal(signal.SIGKILL)
    recorder.wait()
    hour.wait(46)
    recorder = hour.start(*record)
    hour.wait(62)
    for program in [recorder, exchange]:
        program.terminate()
        assert program.wait(15) == 0


if __name__ == "__main__":
    make(sys.argv[1])
