"""The lines of segments, as frames of some MiB each."""

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from ._errors import TapeError
from ._segments import Segment

Schema = dict[str, pl.DataType]

# Text that becomes a frame at a time: what makes Polars fast, and is little in memory.
_CHUNK = 32 << 20


def frames(segments: list[Segment], schema: Schema) -> Iterator[pl.DataFrame]:
    """The lines of segments with the keys of `schema`, and `epoch`. Lines that a crash tore are left out.

    Raises `TapeError` for what cannot be read.
    """
    for segment in segments:
        for chunk in _chunks(segment):
            yield _parse(segment, chunk, schema).with_columns(epoch=pl.lit(segment.epoch, pl.Int64))


def objects(segments: list[Segment], is_wanted: Callable[[bytes], bool]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The lines of segments that are wanted and whole, each behind its epoch."""
    for segment in segments:
        for chunk in _chunks(segment):
            for line in filter(is_wanted, chunk.split(b"\n")):
                found = _object(line)
                if found is not None:
                    yield segment.epoch, found


def scan(make: Callable[[], Iterator[pl.DataFrame]], schema: Schema, name: str) -> pl.LazyFrame:
    """A lazy frame of what `make` yields each time it is collected."""

    def source(
        columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        for frame in make():
            if predicate is not None:
                frame = frame.filter(predicate)
            if columns is not None:
                frame = frame.select(columns)
            if rows is not None:
                frame = frame.head(rows)
                rows -= frame.height
            yield frame
            if rows == 0:
                return

    return register_io_source(source, schema=schema, explain_name=name)


def _chunks(segment: Segment) -> Iterator[bytes]:
    """Whole lines, some MiB at a time; a last one without its end is still being written, or torn."""
    rest = b""
    for read in segment.read(_CHUNK):
        end = read.rfind(b"\n") + 1
        if end == 0:
            rest += read
            continue
        yield rest + read[:end]
        rest = read[end:]


def _parse(segment: Segment, chunk: bytes, schema: Schema) -> pl.DataFrame:
    try:
        return pl.read_ndjson(io.BytesIO(chunk), schema=schema)
    except pl.exceptions.ComputeError:
        # One of them is none: each for itself.
        whole = [line for line in chunk.split(b"\n") if _object(line) is not None]
    try:
        return pl.read_ndjson(io.BytesIO(b"\n".join(whole)), schema=schema) if whole else pl.DataFrame(schema=schema)
    except pl.exceptions.ComputeError as error:
        raise TapeError(f"{segment.path} holds other values than its stream has: {error}") from error


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
