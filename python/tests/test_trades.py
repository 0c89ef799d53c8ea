"""Trades against those that `upbit-recorder cat --healed` prints."""

import datetime
import itertools

import polars as pl
import tape as maker
import upbit_tape

UTC = datetime.UTC


def trades_of(found):
    columns = ["sequential_id", "price", "volume", "ask_bid", "healed"]
    at = found["timestamp"].dt.epoch("ms")
    return set(zip(at.to_list(), *(found[name].to_list() for name in columns), strict=True))


def printed(tape, *arguments, code="KRW-BTC"):
    """The same of lines in both formats, and of the healed stream."""
    wanted = set()
    for line in tape.cat(f"{code}_trade", "--healed", *arguments):
        at = line.get("trade_timestamp") or line.get("ttms") or line["timestamp"]
        id = line.get("sequential_id") or line["sid"]
        price, volume = (
            line.get(long) or line[short] for long, short in [("trade_price", "tp"), ("trade_volume", "tv")]
        )
        wanted.add((at, id, float(price), float(volume), line.get("ask_bid") or line["ab"], "gap" in line))
    return wanted


def check(tape, found, wanted):
    assert trades_of(found) == wanted
    assert found.height == len(wanted), "each once"
    assert found["timestamp"].is_sorted()
    assert found.filter(pl.col("received").is_null() != pl.col("healed")).is_empty()


def test_all_trades_are_there(tape):
    found = upbit_tape.scan_trades(tape.path, "KRW-BTC", "2026-11-01").collect()
    wanted = printed(tape)
    assert len(wanted) > 5_000 and sum(trade[-1] for trade in wanted) > 10
    check(tape, found, wanted)


def test_kept_directories_are_read(kept):
    for code in ["KRW-BTC", "KRW-ETH"]:
        found = upbit_tape.scan_trades(kept.path, code).collect()
        wanted = printed(kept, code=code)
        assert len(wanted) > 20 and any(trade[-1] for trade in wanted)
        check(kept, found, wanted)


def test_a_day_is_that_of_the_trade(tape):
    found = upbit_tape.scan_trades(tape.path, "KRW-BTC", maker.DAY, maker.NEXT).collect()
    assert found["price"].to_list() == [100.0, 99.5, 101.5]
    assert found["received"][-1].date().isoformat() == maker.NEXT
    own = upbit_tape.scan_trades(tape.path, "KRW-BTC", datetime.date(2026, 3, 12), datetime.date(2026, 3, 13)).collect()
    assert own["price"].to_list() == [102.0]


def test_spans_make_the_whole(tape):
    every = upbit_tape.scan_trades(tape.path, "KRW-BTC", "2026-11-01").collect()
    begin, end = every["timestamp"][0], every["timestamp"][-1] + datetime.timedelta(milliseconds=1)
    cuts = [begin + (end - begin) * part / 7 for part in range(8)]
    parts = []
    for start, over in itertools.pairwise(cuts):
        part = upbit_tape.scan_trades(tape.path, "KRW-BTC", start, over).collect()
        assert trades_of(part) == printed(tape, "--from", start.isoformat(), "--to", over.isoformat())
        parts.append(part)
    assert pl.concat(parts).equals(every)


def test_filters_and_columns_are_those_of_a_frame(tape):
    lazy = upbit_tape.scan_trades(tape.path, "KRW-BTC")
    every = lazy.collect()
    middle = every["price"].median()
    assert (
        lazy.filter(pl.col("price") > middle)
        .select("price", "healed")
        .collect()
        .equals(every.filter(pl.col("price") > middle).select("price", "healed"))
    )
    assert lazy.head(7).collect().equals(every.head(7))
    assert lazy.collect_schema() == every.schema


def test_torn_and_foreign_lines_are_left_out(tmp_path):
    def line(number, price="1.16539E8"):
        own = f'"trade_timestamp":1795317064154,"trade_price":{price},"trade_volume":6E-8,"ask_bid":"ASK"'
        stamp, id = 1_795_317_064_154_000 + number, 17_956_653_973_000_000 + number
        return f'{{"ts_recv":{stamp},"type":"trade","code":"KRW-BTC",{own},"sequential_id":{id}}}\n'

    active = tmp_path / "KRW-BTC_trade.jsonl"
    active.write_text(line(1) + line(2)[:60] + "\n" + "[1]\n" + line(3, "5") + line(4)[:-1])
    found = upbit_tape.scan_trades(tmp_path, "KRW-BTC").collect()
    assert found["price"].to_list() == [116_539_000.0, 5.0]
    assert found["volume"].to_list() == [6e-8, 6e-8]
    # An id beyond 2^53 keeps its last digit.
    assert found["sequential_id"].to_list() == [17956653973000001, 17956653973000003]
    with active.open("a") as file:
        file.write("\n")
    assert upbit_tape.scan_trades(tmp_path, "KRW-BTC").collect().height == 3


def test_nothing_is_an_empty_frame(tape):
    assert upbit_tape.scan_trades(tape.path, "KRW-NOPE").collect().is_empty()
    assert upbit_tape.scan_trades(tape.path, "KRW-BTC", "2030-01-01").collect().is_empty()
