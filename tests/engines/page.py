"""Makes docs/ENGINES.md of what each release of each engine gives on a tape."""

import collections
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from decimal import Decimal

import queries

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "readers"))

import tape  # noqa: E402

# The newest first; the last is the oldest that installs here, or that is of use to know.
RELEASES = {
    "clickhouse": ["chdb==4.4.0", "chdb==3.7.2", "chdb==2.1.1", "chdb==1.4.1", "chdb==0.15.0"],
    "spark": ["pyspark==4.3.0", "pyspark==4.2.1", "pyspark==4.1.4", "pyspark==4.0.5", "pyspark==3.5.9"],
}

# What has to be there beside it; what a release asks for and does not say.
BESIDE = {"clickhouse": ["pyarrow", "pandas"], "spark": ["setuptools<81"]}

SHOWS = {
    "lines": "every line of a file, over its zstd frames and the seek table behind them",
    "trades": "trades of both formats and those that were fetched, each once; ids and decimals exact",
    "books": "the best of each book",
    "doubles": "the same of one format, as doubles: the nearest to what is written",
    "gaps": "the gaps of `recorder`",
    "dates": "the date of the directory as a column",
    "guessed": "the same without a schema",
    "torn": "a plain file with a torn line in it",
}


def lines(pattern):
    files = sorted(str(path) for path in pathlib.Path("data/archive").glob(pattern))
    text = subprocess.run(["zstdcat", *files], check=True, capture_output=True).stdout
    return [json.loads(line, parse_float=Decimal) for line in text.splitlines()]


def first(line, *names):
    return next(line[name] for name in names if line.get(name) is not None)


def expected():
    """What is right, by the lines themselves, as `zstdcat` prints them."""
    recorded, healed = lines("*/KRW-BTC_trade.2*.zst"), lines("*/KRW-BTC_trade.healed.2*.zst")
    dates = collections.Counter()
    for path in pathlib.Path("data/archive").glob("*/KRW-BTC_trade.2*.zst"):
        dates[path.parent.name[5:]] += subprocess.run(["zstdcat", path], capture_output=True, check=True).stdout.count(b"\n")
    trades = {}
    for line in recorded:
        at, price = first(line, "trade_timestamp", "ttms"), first(line, "trade_price", "tp")
        trades[first(line, "sequential_id", "sid")] = (at, Decimal(price), Decimal(first(line, "trade_volume", "tv")))
    for line in healed:
        own = line["timestamp"], Decimal(line["trade_price"]), Decimal(line["trade_volume"])
        trades.setdefault(line["sequential_id"], own)
    books = [(line["ts_recv"], first(line, "orderbook_units", "obu")[0]) for line in lines("*/KRW-BTC_orderbook.2*.zst")]
    long = [(at, unit) for at, unit in books if "ask_price" in unit]
    doubles = {at: (float(unit["ask_price"]), float(unit["bid_price"])) for at, unit in long}
    best = {at: (float(first(unit, "ask_price", "ap")), float(first(unit, "bid_price", "bp"))) for at, unit in books}
    events = lines("*/recorder.2*.zst")
    gaps = {event["id"]: (event["from"], event["to"], event["kind"]) for event in events if event["event"] == "gap"}
    return {"lines": len(recorded), "trades": trades, "books": best, "doubles": doubles, "gaps": gaps, "dates": dict(dates), "torn": 2}


def judge(name, rows, right):
    """Whether rows are what they have to be; else what they are."""
    if name in ("lines", "torn"):
        return "yes" if int(rows[0][0]) == right[name] else f"{rows[0][0]} of {right[name]} lines"
    if name == "guessed":
        return "yes" if int(rows[0][0]) == right["lines"] else f"{rows[0][0]} of {right['lines']} lines"
    if name == "trades":
        found = {int(id): (int(at), Decimal(price), Decimal(volume)) for id, at, price, volume in rows}
    elif name in ("books", "doubles"):
        found = {int(at): (float(ask), float(bid)) for at, ask, bid in rows}
    elif name == "gaps":
        found = {int(id): (int(begin), int(end), kind) for id, begin, end, kind in rows}
    else:
        found = {str(date): int(count) for date, count in rows}
    if found == right[name] and len(rows) == len(found):
        return "yes"
    differ = sum(found.get(key) != value for key, value in right[name].items())
    return f"{len(rows)} rows, and {differ} of {len(right[name])} are missing or others"


def told(error):
    """The part of an error that says what is wrong."""
    for known in ["native zStandard library not available", "this version of libhadoop was built without zstd support"]:
        if known in error:
            return "no: " + known
    text = re.sub(r"\s+", " ", re.sub(r"/\S*/", "", error)).replace("|", "/").strip()
    return "no: " + text[:90]


def probe(engine, release, scratch):
    venv = ROOT / "target" / f"engines-{release.replace('==', '-')}"
    if not (venv / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
        pip = [venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check", release, *BESIDE[engine]]
        subprocess.run(pip, check=True)
        (venv / "installed").touch()
    out = scratch / "found.json"
    out.unlink(missing_ok=True)
    ran = subprocess.run([venv / "bin/python", "-B", HERE / "probe.py", engine, out], capture_output=True, text=True)
    assert out.exists(), f"{release} does not run here:\n{ran.stderr[-2000:]}"
    return json.loads(out.read_text())


def results(engine, releases, right, scratch):
    rows = []
    for release in releases:
        ran = probe(engine, release, scratch)
        judged = {}
        for name, found in ran["found"].items():
            judged[name] = told(found["error"]) if "error" in found else judge(name, found["rows"], right)
        print(release, ran["version"], json.dumps(judged, indent=1), flush=True)
        rows.append((release, ran["version"], judged))
    return rows


def table(rows):
    out = "| shows | right since, of these | " + " | ".join(f"{version} (`{release}`)" for release, version, _ in rows) + " |\n"
    out += "|---" * (len(rows) + 2) + "|\n"
    for name, shown in ((name, shown) for name, shown in SHOWS.items() if name in rows[0][2]):
        out += f"| `{name}`: {shown} | {since(rows, name)} | " + " | ".join(judged[name] for *_, judged in rows) + " |\n"
    return out


def since(rows, name):
    """The oldest release from which on all that were tried are right."""
    right = list(itertools.takewhile(lambda row: row[2][name] == "yes", rows))
    if not right:
        return "never"
    return f"{right[-1][1]}" + (", or earlier" if len(right) == len(rows) else "")


def blocks(found, language):
    return "".join(f"```{language}\n{'--' if language == 'sql' else '#'} {name}{query}```\n\n" for name, query in found.items())


def main():
    asked = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        os.chdir(scratch)
        tape.make(scratch / "data")
        active = b'{"ts_recv":1,"type":"trade"}\n{"ts_recv":2,"type":"tra\n{"ts_recv":3,"type":"trade"}\n'
        (scratch / "data/torn.jsonl").write_bytes(active)
        right = expected()
        assert len(right["trades"]) > 5_000 and len(right["gaps"]) > 2 and len(right["dates"]) == 3
        if asked:
            for engine in asked:
                rows = results(engine, RELEASES[engine][:1], right, scratch)
                assert set(rows[0][2].values()) == {"yes"}, rows[0][2]
            return
        made = {engine: results(engine, releases, right, scratch) for engine, releases in RELEASES.items()}
    text = (HERE / "page.md").read_text()
    for engine, rows in made.items():
        text = text.replace(f"{{{engine} table}}", table(rows).rstrip())
    text = text.replace("{clickhouse queries}\n", blocks(queries.CLICKHOUSE, "sql"))
    text = text.replace("{spark queries}\n", blocks(queries.SPARK, "python"))
    (ROOT / "docs/ENGINES.md").write_text(text.rstrip() + "\n")


if __name__ == "__main__":
    main()
