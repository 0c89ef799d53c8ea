"""Gaps against the events themselves."""

import upbit_tape


def events(tape, name):
    return [line for line in tape.cat("recorder") if line["event"] == name]


def test_each_gap_is_there_with_what_was_healed(tape, kept):
    for one in [tape, kept]:
        wanted = {gap["id"]: gap for gap in events(one, "gap")}
        found = upbit_tape.gaps(one.path)
        assert len(wanted) >= 3 and found.height == len(wanted)
        for row in found.iter_rows(named=True):
            gap = wanted[row["id"]]
            # Those of before epochs had names are of their file's.
            assert row["epoch"] == gap.get("epoch", row["epoch"])
            assert [row[name] for name in ["kind", "cause", "connection", "streams"]] == [
                gap[name] for name in ["kind", "cause", "connection", "streams"]
            ]
            micros = [found.filter(id=row["id"])[end].dt.epoch("us")[0] for end in ["start", "end"]]
            assert micros == [gap["from"], gap["to"]]
        objects = sum(sum([*event["complete"].values(), *event["partial"].values()]) for event in events(one, "healed"))
        assert found["objects"].sum() == objects and (objects > 0 or one is tape)
    kinds = upbit_tape.gaps(tape.path)["kind"].to_list()
    assert {"killed", "disconnected"} <= set(kinds)


def test_a_gap_is_of_its_streams_and_times(tape, kept):
    every = upbit_tape.gaps(tape.path, "KRW-BTC", "trade")
    assert every.height >= 3
    assert upbit_tape.gaps(tape.path, "KRW-NOPE", "trade").is_empty()
    start, end = every["start"][-1], every["end"][-1]
    assert upbit_tape.gaps(tape.path, start=end).height >= 1
    assert upbit_tape.gaps(tape.path, "KRW-BTC", "trade", end=start).height == every.height - 1
    private = upbit_tape.gaps(kept.path, type="myOrder")
    assert set(private["connection"].to_list()) == {"private"}


def test_patterns_and_types_alone_stand_for_their_streams():
    from upbit_tape.gaps import _is_meant

    assert _is_meant("KRW-*_trade", "KRW-BTC", "trade") and not _is_meant("KRW-*_trade", "BTC-ETH", "trade")
    assert _is_meant("KRW-?TC_trade", "KRW-BTC", None) and not _is_meant("KRW-?TC_trade", "KRW-BTC", "ticker")
    assert _is_meant("myOrder", "KRW-BTC", "myOrder") and not _is_meant("myOrder", "KRW-BTC", "myAsset")
    assert _is_meant("KRW-BTC_candle.1m", None, "candle.1m")
