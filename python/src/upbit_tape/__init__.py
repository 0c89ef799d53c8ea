"""Reads what upbit-recorder records, beside a running recorder too.

    import upbit_tape

    trades = upbit_tape.scan_trades("data", "KRW-BTC", "2026-11-22", "2026-11-23").collect()
    books = upbit_tape.scan_books("data", "KRW-BTC", "2026-11-22T05:00:00Z", "2026-11-22T06:00:00Z", levels=5)
    gaps = upbit_tape.gaps("data", "KRW-BTC", "orderbook", "2026-11-22", "2026-11-23")

Active, waiting and sealed files are read, in both formats; lines that a crash tore are left out, and trades that were missed
in a gap and fetched later are there. Nothing is written.

`upbit_tape.hft` and `upbit_tape.nautilus` make events for the backtesters hftbacktest and NautilusTrader.
"""

from ._errors import TapeError
from ._segments import streams
from .books import scan_books
from .gaps import gaps
from .trades import scan_trades

__all__ = ["TapeError", "gaps", "scan_books", "scan_trades", "streams"]
