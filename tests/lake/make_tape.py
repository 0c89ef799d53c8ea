"""A tape as a recorder leaves it, of as many pairs, days and lines as asked for: sealed files, manifests, events.

    tests/lake/make_tape.py DIR [--days N] [--pairs N] [--seconds N] [--format SIMPLE] [--gap SECOND:LENGTH …] [--shift µs] [--heal]
        [--unlisted]

Trades, tickers and books of a random walk that the seed decides, spelt as the exchange spells numbers. The shape of files is
that of docs/FORMAT.md; `upbit-recorder verify` finds nothing wrong with it.
"""

import argparse
import hashlib
import json
import pathlib
import random
import struct

import zstandard

DAY = 86_400_000_000
BEGIN = 1_795_305_600_000_000  # 2026-11-22T00:00:00Z

SHORT = {
    "type": "ty", "code": "cd", "timestamp": "tms", "stream_type": "st", "trade_price": "tp", "trade_volume": "tv",
    "trade_time": "ttm", "trade_timestamp": "ttms", "ask_bid": "ab", "opening_price": "op", "high_price": "hp",
    "low_price": "lp", "prev_closing_price": "pcp", "change": "c", "change_price": "cp", "change_rate": "cr",
    "signed_change_price": "scp", "signed_change_rate": "scr", "sequential_id": "sid", "best_ask_price": "bap",
    "best_ask_size": "bas", "best_bid_price": "bbp", "best_bid_size": "bbs", "total_ask_size": "tas",
    "total_bid_size": "tbs", "orderbook_units": "obu", "level": "lv", "ask_price": "ap", "bid_price": "bp",
    "ask_size": "as", "bid_size": "bs", "acc_trade_volume": "atv", "acc_trade_volume_24h": "atv24h",
    "acc_trade_price": "atp", "acc_trade_price_24h": "atp24h", "acc_ask_volume": "aav", "acc_bid_volume": "abv",
    "highest_52_week_price": "h52wp", "highest_52_week_date": "h52wdt", "lowest_52_week_price": "l52wp",
    "lowest_52_week_date": "l52wdt", "market_state": "ms", "is_trading_suspended": "its", "delisting_date": "dd",
    "market_warning": "mw",
}
DATES = {"trade": "td", "ticker": "tdt"}


def number(value, digits, rng):
    """A decimal of so many digits behind the point, in one of the spellings that were seen."""
    text = f"{value:.{digits}f}"
    style = rng.randrange(5)
    if style == 0:
        return text
    if style == 1:
        return (text if "." in text else f"{text}.").ljust(len(text.split(".")[0]) + 9, "0") if digits < 8 else text
    short = text.rstrip("0").rstrip(".") if "." in text else text
    if style == 2 and value and (value >= 1e8 or value < 1e-3):
        mantissa, power = f"{value:.{16}e}".split("e")
        exact = short.replace(".", "").lstrip("0").rstrip("0") or "0"
        spelt = exact[0] + ("." + exact[1:] if exact[1:] else ".0")
        return f"{spelt}E{int(power)}"
    return short


def spell(obj, kind, fmt):
    """The object as text: numbers are given as text already, and keys long or short."""
    def key(name):
        if fmt == "DEFAULT":
            return name
        return DATES.get(kind, "td") if name == "trade_date" else SHORT[name]
    parts = []
    for name, value in obj.items():
        if isinstance(value, list):
            value = "[" + ",".join(spell(unit, kind, fmt) for unit in value) + "]"
        parts.append(f'"{key(name)}":{value}')
    return "{" + ",".join(parts) + "}"


def text(value):
    return json.dumps(value, ensure_ascii=False)


class Pair:
    def __init__(self, code, seed, fmt, units):
        self.code, self.fmt, self.units = code, fmt, units
        self.rng = random.Random(f"{seed} {code}")
        self.price, self.sum, self.value = self.rng.randrange(1_000, 2_000_000) * 100, 0.0, 0.0
        self.last = None

    def trade(self, at, number_in_ms, kind="REALTIME"):
        rng, price = self.rng, self.price
        volume = rng.randrange(1, 10**8) / 10**8 * rng.choice([0.01, 1, 50])
        self.sum, self.value = self.sum + volume, self.value + volume * price
        millis = at // 1_000 - 40
        seconds = millis // 1_000
        day, clock = seconds // 86_400, seconds % 86_400
        date = f"2026-11-{22 + day - BEGIN // DAY:02}"
        time = f"{clock // 3600:02}:{clock // 60 % 60:02}:{clock % 60:02}"
        self.last = {
            "type": text("trade"), "code": text(self.code), "timestamp": millis + 9, "trade_date": text(date),
            "trade_time": text(time), "trade_timestamp": millis, "trade_price": number(price, 1, rng),
            "trade_volume": number(volume, 8, rng), "ask_bid": text(rng.choice(["ASK", "BID"])),
            "prev_closing_price": number(price - 7, 1, rng), "change": text("RISE"), "change_price": "7.00000000",
            "sequential_id": millis * 10_000 + number_in_ms, "best_ask_price": price + 1, "best_ask_size": number(volume, 8, rng),
            "best_bid_price": price, "best_bid_size": number(volume, 8, rng), "stream_type": text(kind),
        }
        return spell(self.last, "trade", self.fmt)

    def snapshot(self):
        return spell(self.last | {"stream_type": text("SNAPSHOT")}, "trade", self.fmt)

    def fetched(self, gap):
        """The last trade as the REST interface has it, with the gap that it was missed in."""
        names = {
            "sequential_id": "sequential_id", "trade_price": "trade_price", "trade_volume": "trade_volume", "ask_bid": "ask_bid",
            "prev_closing_price": "prev_closing_price", "change_price": "change_price", "trade_date": "trade_date_utc",
            "trade_time": "trade_time_utc", "trade_timestamp": "timestamp",
        }
        values = [f'"gap":{gap}', f'"market":{text(self.code)}', *(f'"{new}":{self.last[old]}' for old, new in names.items())]
        return "{" + ",".join(values) + "}"

    def ticker(self, at):
        rng, price, millis = self.rng, self.price, at // 1_000
        fields = {
            "type": text("ticker"), "code": text(self.code), "opening_price": number(price - 5, 1, rng),
            "high_price": number(price + 9, 1, rng), "low_price": number(price - 9, 1, rng),
            "trade_price": number(price, 1, rng), "prev_closing_price": number(price - 7, 1, rng), "change": text("RISE"),
            "change_price": "7.00000000", "signed_change_price": "7.00000000",
            "change_rate": number(7 / price, 10, rng), "signed_change_rate": number(7 / price, 10, rng),
            "trade_volume": number(rng.random(), 8, rng), "acc_trade_volume": number(self.sum, 8, rng),
            "acc_trade_volume_24h": number(self.sum, 8, rng), "acc_trade_price": number(self.value, 5, rng),
            "acc_trade_price_24h": number(self.value, 5, rng), "trade_date": text("20261122"), "trade_time": text("051404"),
            "trade_timestamp": millis - 40, "ask_bid": text("ASK"), "acc_ask_volume": number(self.sum / 2, 8, rng),
            "acc_bid_volume": number(self.sum / 2, 8, rng), "highest_52_week_price": number(price * 2, 1, rng),
            "highest_52_week_date": text("2026-03-01"), "lowest_52_week_price": number(price // 2, 1, rng),
            "lowest_52_week_date": text("2026-01-01"), "market_state": text("ACTIVE"), "is_trading_suspended": "false",
            "delisting_date": "null", "market_warning": text("NONE"), "timestamp": millis, "stream_type": text("REALTIME"),
        }
        return spell(fields, "ticker", self.fmt)

    def book(self, at):
        rng, price = self.rng, self.price
        def size():
            return number(rng.randrange(1, 10**8) / 10**8 * rng.choice([0.1, 3]), 8, rng)
        units = [
            {"ask_price": number(price + 1 + n, 0, rng), "bid_price": number(price - n, 0, rng), "ask_size": size(), "bid_size": size()}
            for n in range(self.units)
        ]
        fields = {
            "type": text("orderbook"), "code": text(self.code), "timestamp": at // 1_000, "total_ask_size": size(),
            "total_bid_size": size(), "orderbook_units": units, "stream_type": text("REALTIME"), "level": 0,
        }
        return spell(fields, "orderbook", self.fmt)


def sealed(content):
    """The zstd seekable format: frames of 1 MiB of content, and a table of them."""
    compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)
    parts = [content[at : at + (1 << 20)] for at in range(0, len(content), 1 << 20)]
    frames = [compressor.compress(part) for part in parts]
    table = b"".join(struct.pack("<II", len(frame), len(part)) for frame, part in zip(frames, parts))
    table += struct.pack("<IBI", len(frames), 0, 0x8F92EAB1)
    return b"".join(frames) + struct.pack("<II", 0x184D2A5E, len(table)) + table


class Day:
    """The sealed files of a date."""

    def __init__(self, root, begin, fmt):
        self.directory = root / "archive" / f"date=2026-11-{22 + (begin - BEGIN) // DAY:02}"
        self.directory.mkdir(parents=True, exist_ok=True)
        self.fmt = fmt
        self.manifest = []

    def seal(self, stream, lines):
        first, last = lines[0][0], lines[-1][0]
        day, rest = divmod(first - BEGIN, DAY)
        second, micros = divmod(rest, 1_000_000)
        stamp = f"202611{22 + day:02}T{second // 3600:02}{second // 60 % 60:02}{second % 60:02}.{micros:06}Z"
        name = f"{stream}.{stamp}.jsonl.zst"
        content = "".join(f'{{"ts_recv":{at},{line[1:]}\n' for at, line in lines).encode()
        done = sealed(content)
        (self.directory / name).write_bytes(done)
        kind = stream.split("_")[-1]
        entry = {
            "name": name, "stream": stream, "run": BEGIN, "venue": "upbit-kr", "version": "0.1.0",
            "format": None if kind == "recorder" or kind.endswith(".healed") else self.fmt, "subscription": None, "epoch": 0,
            "first": first, "last": last, "lines": len(lines), "bytes": len(content), "zst_bytes": len(done),
            "sha256": hashlib.sha256(done).hexdigest(),
        }
        self.manifest.append(json.dumps(entry, separators=(",", ":")))

    def close(self, unlisted):
        if unlisted:
            # A line that is lost, and one that was cut off.
            self.manifest[1:3] = [self.manifest[2][:99]]
        with open(self.directory / "manifest.jsonl", "a") as file:
            file.writelines(line + "\n" for line in self.manifest)


def told(begin, gaps, number, shift):
    """When a gap is told, which is its id."""
    return begin + sum(gaps[number]) * 1_000_000 + shift + 100 + number


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=600, help="of market data a day, from its begin on")
    parser.add_argument("--rate", type=int, default=4, help="trades of a pair a second; as many books, half as many tickers")
    parser.add_argument("--units", type=int, default=30)
    parser.add_argument("--format", default="DEFAULT")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--gap", action="append", default=[], help="second of each day:length in seconds")
    parser.add_argument("--shift", type=int, default=0, help="microseconds that all is received later")
    parser.add_argument("--heal", action="store_true", help="trades of gaps are there as healed ones")
    parser.add_argument("--unlisted", action="store_true", help="manifests have lost a line, and half of another one")
    options = parser.parse_args()
    gaps = [tuple(map(int, gap.split(":"))) for gap in options.gap]
    pairs = [Pair(f"KRW-P{n:03}", options.seed, options.format, options.units) for n in range(options.pairs)]
    for day in range(options.days):
        begin = BEGIN + day * DAY
        files = Day(options.directory, begin, options.format)
        events, streams = [], {}
        for pair in pairs:
            own = {kind: [] for kind in ("trade", "ticker", "orderbook", "trade.healed")}
            was_missing = False
            for step in range(options.seconds * options.rate):
                at = begin + 1_000_000 + step * (1_000_000 // options.rate) + pair.rng.randrange(50_000)
                pair.price = max(100, pair.price + pair.rng.randrange(-3, 4))
                trade, book, ticker = pair.trade(at, 1), pair.book(at), pair.ticker(at)
                second = (at - begin) // 1_000_000
                missed = [number for number, (first, length) in enumerate(gaps) if first <= second < first + length]
                if missed:
                    was_missing = True
                    if options.heal:
                        # Behind all that is recorded, and not in the order of trades.
                        stamp = begin + (options.seconds + 9) * 1_000_000 + options.shift - len(own["trade.healed"])
                        own["trade.healed"].insert(0, (stamp, pair.fetched(told(begin, gaps, missed[0], options.shift))))
                    continue
                at += options.shift
                if was_missing:
                    own["trade"].append((at - 5, pair.snapshot()))
                    was_missing = False
                own["trade"].append((at, trade))
                own["orderbook"].append((at + 3, book))
                if step % 2 == 0:
                    own["ticker"].append((at + 5, ticker))
            streams |= {f"{pair.code}_{kind}": lines for kind, lines in own.items() if lines}
        for number, (first, length) in enumerate(gaps):
            start, end = (begin + at * 1_000_000 + options.shift for at in (first, first + length))
            id = told(begin, gaps, number, options.shift)
            events.append((id, json.dumps({
                "type": "recorder", "event": "gap", "id": id, "connection": "public", "epoch": 0,
                "from": start, "to": end, "kind": "disconnected", "cause": "connection reset by peer",
                "streams": sorted(streams)}, separators=(",", ":"))))
        if events:
            files.seal("recorder", events)
        for stream, lines in sorted(streams.items()):
            files.seal(stream, lines)
        files.close(options.unlisted)


if __name__ == "__main__":
    main()
