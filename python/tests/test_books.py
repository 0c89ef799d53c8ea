"""Order books against the lines that `upbit-recorder cat` prints."""

import pytest
import upbit_tape

NAMES = [("ask_price", "ap"), ("ask_size", "as"), ("bid_price", "bp"), ("bid_size", "bs")]


def row_of(line, levels):
    units = line.get("orderbook_units") or line["obu"]
    flat = [float(unit.get(long) or unit[short]) for unit in units[:levels] for long, short in NAMES]
    return (
        line["ts_recv"],
        line.get("timestamp") or line["tms"],
        (line.get("stream_type") or line["st"]) == "SNAPSHOT",
        *flat,
    )


def rows_of(books, levels):
    names = [f"{side}_{level}" for level in range(1, levels + 1) for side, _ in NAMES]
    times = books["received"].dt.epoch("us").to_list(), books["timestamp"].dt.epoch("ms").to_list()
    return list(zip(*times, books["snapshot"].to_list(), *(books[name].to_list() for name in names), strict=True))


@pytest.mark.parametrize("levels", [1, 5, 30])
def test_each_book_is_there_as_it_was_received(tape, levels):
    books = upbit_tape.scan_books(tape.path, "KRW-BTC", levels=levels).collect()
    wanted = [row_of(line, levels) for line in tape.cat("KRW-BTC_orderbook")]
    assert len(wanted) > 100 and sum(row[2] for row in wanted) >= 3
    assert rows_of(books, levels) == wanted


def test_a_span_is_that_of_receiving(tape):
    lines = tape.cat("KRW-ETH_orderbook")
    start, end = (lines[len(lines) * part // 3]["ts_recv"] for part in [1, 2])
    books = upbit_tape.scan_books(tape.path, "KRW-ETH", start, end).collect()
    assert rows_of(books, 5) == [row_of(line, 5) for line in lines if start <= line["ts_recv"] < end]


def test_levels_that_a_book_has_not_are_null(tmp_path):
    book = '{"ts_recv":%d,"type":"orderbook","code":"KRW-BTC","timestamp":5,"level":0,"orderbook_units":[%s]}\n'
    one = '{"ask_price":101,"bid_price":99.5,"ask_size":1E-8,"bid_size":2}'
    thin = '{"ask_price":0,"bid_price":99,"ask_size":0,"bid_size":3}'
    (tmp_path / "KRW-BTC_orderbook.jsonl").write_text(book % (1, one) + book % (2, f"{one},{thin}"))
    books = upbit_tape.scan_books(tmp_path, "KRW-BTC", levels=3).collect()
    assert books["ask_price_1"].to_list() == [101.0, 101.0] and books["ask_size_1"][0] == 1e-8
    assert books["ask_price_2"].to_list() == [None, None] and books["ask_size_2"].to_list() == [None, None]
    assert books["bid_price_2"].to_list() == [None, 99.0]
    assert books["bid_price_3"].null_count() == 2


def test_impossible_levels_are_refused(tape):
    for levels in [0, 31]:
        with pytest.raises(ValueError, match="1 to 30"):
            upbit_tape.scan_books(tape.path, "KRW-BTC", levels=levels)
