"""Files that come and go while they are read."""

import pathlib
import signal
import threading
import time

import pytest
import tape as maker
import upbit_tape


def test_streams_are_those_of_the_exchange(tape):
    types = ["orderbook", "ticker", "trade"]
    assert upbit_tape.streams(tape.path) == [f"{code}_{type}" for code in maker.CODES for type in types]


def test_a_tape_is_whole_while_it_is_rotated_and_sealed(tmp_path):
    """Ten rotations a second, and readers beside them: none misses a trade that an earlier one has seen."""
    data = tmp_path / "data"
    with maker.Exchange() as exchange, maker.Recorder(data, exchange) as recorder:
        maker.await_lines(data / "KRW-BTC_trade.jsonl", 200)
        over = threading.Event()

        def rotate():
            while not over.wait(0.1):
                recorder.process.send_signal(signal.SIGUSR1)

        thread = threading.Thread(target=rotate)
        thread.start()
        try:
            seen = 0
            end = time.monotonic() + 8
            while time.monotonic() < end:
                found = upbit_tape.scan_trades(data, "KRW-BTC").collect()["sequential_id"]
                assert len(found) >= seen and found.n_unique() == len(found)
                seen = len(found)
        finally:
            over.set()
            thread.join()
        recorder.end(signal.SIGTERM)
    lines = [path for path in data.rglob("KRW-BTC_trade.2*")]
    assert len(lines) > 20
    printed = tape_ids(data)
    assert upbit_tape.scan_trades(data, "KRW-BTC").collect()["sequential_id"].to_list() == printed and seen > 1_000


def tape_ids(data):
    from conftest import Tape

    lines = Tape(data).cat("KRW-BTC_trade")
    ids = [line.get("sequential_id") or line["sid"] for line in lines]
    return list(dict.fromkeys(ids))


def test_the_sealed_file_counts_beside_its_plain_one(tmp_path):
    import zstandard

    folder = tmp_path / "archive/date=2026-11-22"
    folder.mkdir(parents=True)
    line = '{"ts_recv":1795324324113204,"trade_timestamp":1795324324000,"trade_price":1,"trade_volume":1,"ask_bid":"BID","sequential_id":7}\n'
    name = "KRW-BTC_trade.20261122T051204.113204Z.jsonl"
    (folder / name).write_text(line[:40])
    packed = zstandard.ZstdCompressor(write_checksum=True).compress(line.encode())
    (folder / (name + ".zst")).write_bytes(packed)
    (folder / (name + ".zst.tmp")).write_bytes(b"no zstd")
    # A file that retention deleted stays in the manifest, behind NULs of lost pages.
    other = name.replace("051204", "041204") + ".zst"
    entry = f'{{"name":"{other}","epoch":0,"last":1795320000000000}}\n{{"name":"{other}","pruned":1803100324113204}}\n'
    (folder / "manifest.jsonl").write_bytes(b"\0" * 512 + entry.encode())
    assert upbit_tape.scan_trades(tmp_path, "KRW-BTC").collect()["sequential_id"].to_list() == [7]
    damaged = packed[:-9], packed + packed[:20], packed[:30] + b"x" + packed[31:], b"no zstd"
    for content in damaged:
        (folder / (name + ".zst")).write_bytes(content)
        with pytest.raises(Exception, match=r"KRW-BTC_trade\.20261122T051204.* is damaged"):
            upbit_tape.scan_trades(tmp_path, "KRW-BTC").collect()


def test_a_sealed_file_cut_between_two_frames_is_damaged(tmp_path):
    import zstandard

    folder = tmp_path / "archive/date=2026-11-22"
    folder.mkdir(parents=True)
    line = '{"ts_recv":%d,"trade_timestamp":1795324324000,"trade_price":1,"trade_volume":1,"ask_bid":"BID","sequential_id":%d}\n'
    lines = [(line % (1795324324113204 + id, id)).encode() for id in (1, 2)]
    frames = [zstandard.ZstdCompressor(write_checksum=True).compress(own) for own in lines]
    name = "KRW-BTC_trade.20261122T051204.113204Z.jsonl.zst"
    entry = f'{{"name":"{name}","epoch":0,"last":1795324324113206,"bytes":{sum(map(len, lines))}}}\n'
    (folder / "manifest.jsonl").write_text(entry)
    (folder / name).write_bytes(b"".join(frames))
    assert upbit_tape.scan_trades(tmp_path, "KRW-BTC").collect()["sequential_id"].to_list() == [1, 2]
    (folder / name).write_bytes(frames[0])
    with pytest.raises(Exception, match="is damaged: it holds .* bytes of content, and its manifest says"):
        upbit_tape.scan_trades(tmp_path, "KRW-BTC").collect()


def test_a_directory_that_is_not_there_is_told():
    with pytest.raises(upbit_tape.TapeError, match="there is no directory"):
        upbit_tape.gaps(pathlib.Path("/nowhere"))
