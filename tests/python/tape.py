"""An hour of one pair, recorded by the real program in a minute: its clock and the exchange's go sixty times as fast.

    UPBIT_RECORDER=target/release/upbit-recorder python3 tests/python/tape.py DIRECTORY

There is a connection that is lost for two minutes, and a recorder that is killed and comes back three minutes later. Needs
libfaketime (Debian: `apt-get install faketime`).
"""

import glob
import os
import signal
import subprocess
import sys
import time
import urllib.request

# Both begin at this moment. The minutes are those of their clocks.
BEGIN = "2026-11-22 04:59:00"
FASTER = 60
CODE = "KRW-BTC"


def faster(minutes):
    """The environment of a program that begins at a minute."""
    preload = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    assert preload, "libfaketime is missing: apt-get install faketime"
    begin = f"@{BEGIN[:-5]}{minutes:02}:00" if minutes < 60 else f"@{BEGIN}"
    return {**os.environ, "TZ": "UTC", "LD_PRELOAD": preload[0], "FAKETIME": f"{begin} x{FASTER}"}
