"""The intervals that the tape cannot be relied on for."""

import fnmatch
from collections.abc import Iterable
from typing import Any

import polars as pl

from ._lines import objects
from ._segments import Directory, segments
from ._times import LATEST, Time, micros

_GAPS = {
    "start": pl.Datetime("us", "UTC"),
    "end": pl.Datetime("us", "UTC"),
    "kind": pl.String(),
    "cause": pl.String(),
    "connection": pl.String(),
    "streams": pl.List(pl.String()),
    "complete": pl.List(pl.String()),
    "partial": pl.List(pl.String()),
    "impossible": pl.List(pl.String()),
    "objects": pl.Int64(),
    "epoch": pl.Int64(),
    "id": pl.Int64(),
}


def gaps(
    directory: Directory,
    code: str | None = None,
    type: str | None = None,
    start: Time | None = None,
    end: Time | None = None,
) -> pl.DataFrame:
    """The gaps that touch `start` to `end` and the streams of a pair, of a type, or of both; each once.

    Columns: `start`, `end` (µs), `kind` and `cause`, `connection`, `streams`, and what became of it: `complete` and
    `partial`, streams of which what was missed is fetched, or may be in part; `impossible`, types of which the exchange keeps
    nothing; `objects`, how many were fetched; these four are null while it is not healed. `epoch` and `id` name it.

    A gap is told when it is over: what is behind the last line of a tape is in none yet. Raises `TapeError` for what cannot
    be read.
    """
    begin, over = micros(start, 0), micros(end, LATEST)
    found: dict[tuple[int, int], dict[str, Any]] = {}
    healed: dict[tuple[int, int], dict[str, Any]] = {}
    own = segments(directory, "recorder", begin, LATEST)
    for epoch, event in objects(own, lambda line: b'"event":"gap"' in line or b'"event":"healed"' in line):
        if event["event"] == "gap":
            found[(event.get("epoch", epoch), event["id"])] = event
        else:
            healed[(event.get("gap_epoch", epoch), event["gap"])] = event
    rows = []
    for key, gap in found.items():
        touches = gap["from"] < over and gap["to"] >= begin
        if touches and any(_is_meant(stream, code, type) for stream in gap["streams"]):
            rows.append(_row(key, gap, healed.get(key)))
    rows.sort(key=lambda row: (row["epoch"], row["start"], row["id"]))
    return pl.DataFrame(rows, schema=_GAPS)


def _row(key: tuple[int, int], gap: dict[str, Any], healed: dict[str, Any] | None) -> dict[str, Any]:
    told: Iterable[str] = ["complete", "partial", "impossible"]
    healing = {name: sorted(healed[name]) if healed else None for name in told}
    counts = [*healed["complete"].values(), *healed["partial"].values()] if healed else None
    return {
        "start": gap["from"],
        "end": gap["to"],
        **{name: gap[name] for name in ["kind", "cause", "connection", "streams"]},
        **healing,
        "objects": None if counts is None else sum(counts),
        "epoch": key[0],
        "id": key[1],
    }


def _is_meant(stream: str, code: str | None, type: str | None) -> bool:
    """Whether a name of a gap means a stream of this code and type: it may be a pattern, or a type for all its codes."""
    own_code, is_named, own_type = stream.rpartition("_")
    if type is not None and own_type != type:
        return False
    # In a pattern * and ? have their meaning, and no other character has one.
    return code is None or not is_named or fnmatch.fnmatchcase(code, own_code.replace("[", "[[]"))
