"""Which files a stream has, in the order in which they were written.

    KRW-BTC_trade.jsonl ──rename──▶ date=…/KRW-BTC_trade.<time>.jsonl ──seal──▶ ….jsonl.zst (then the plain one goes)

A recorder moves them while they are listed, in this direction. So the active file is opened first, and is the same still
when the directories have been listed, or all begins again. Of an archived segment the sealed file counts, also beside the
plain one.
"""

import dataclasses
import datetime
import json
import os
import pathlib
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import zstandard

from ._errors import TapeError

Directory = str | os.PathLike[str]
"""A `data_dir` of upbit-recorder."""

_ARCHIVED = re.compile(r"(?P<stream>.+)\.(?P<time>\d{8}T\d{6}\.\d{6}Z)(?:\.e(?P<epoch>[1-9]\d{0,9}))?\.jsonl(?:\.zst)?")
_ACTIVE = re.compile(r"(?P<stream>[A-Za-z0-9-][A-Za-z0-9.-]*(?:_[A-Za-z0-9-][A-Za-z0-9.-]*)?)\.jsonl")
_DATE = re.compile(r"date=(\d{4}-\d{2}-\d{2})")

# Not streams of the exchange's objects.
_OWN = {"recorder", "misc", "manifest", "market.rest", "instrument.rest"}

# A listing takes milliseconds, and a recorder rotates a stream some times a second at the most.
_LOOKS = 100

_DAY = 86_400_000_000

# What is read of a sealed file at a time: a frame of 1 MiB of content is some 50 KiB.
_PACKED = 256 << 10

# Names without an epoch, of the first versions, may be a millisecond later than the first line.
_NAMED_LATER = 1_000


@dataclasses.dataclass(frozen=True)
class Segment:
    """A file, or what is left of one that was active when it was listed."""

    path: pathlib.Path
    epoch: int
    # The stamp in its name; that of its last line and the length of its content where the manifest tells; an active file has
    # none of them.
    first: int | None = None
    last: int | None = None
    length: int | None = None
    held: BinaryIO | None = None

    def read(self, size: int) -> Iterator[bytes]:
        """Its content, about `size` bytes at a time; nothing where it was deleted since it was listed.

        Raises `TapeError` where it cannot be read, or a sealed file is damaged or cut off.
        """
        if self.held is not None:
            yield from self._plain(self.held, size)
            return
        sealed = self.path.with_name(self.path.name + ".zst")
        # The plain file goes when the sealed one is there, so that is looked for once more.
        for path in [sealed, self.path, sealed]:
            file = _open(path)
            if file is not None:
                yield from self._plain(file, size) if path == self.path else self._sealed(file, size)
                return

    def _plain(self, file: BinaryIO, size: int) -> Iterator[bytes]:
        with file:
            while content := self._bytes(file, size):
                yield content

    def _sealed(self, file: BinaryIO, size: int) -> Iterator[bytes]:
        frame, rest, content, found = None, b"", [], 0
        with file:
            while packed := rest or self._bytes(file, _PACKED):
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                try:
                    content.append(frame.decompress(packed))
                except zstandard.ZstdError as error:
                    raise TapeError(f"{self.path}.zst is damaged: {error}") from error
                found += len(content[-1])
                rest = frame.unused_data
                frame = None if frame.eof else frame
                if sum(map(len, content)) >= size:
                    yield b"".join(content)
                    content = []
        if frame is not None:
            raise TapeError(f"{self.path}.zst is damaged: its last frame is cut off")
        # A decoder takes a file that was cut between two frames for a whole one, the manifest does not.
        if self.length is not None and found != self.length:
            raise TapeError(
                f"{self.path}.zst is damaged: it holds {found} bytes of content, and its manifest says {self.length}"
            )
        yield b"".join(content)

    def _bytes(self, file: BinaryIO, size: int) -> bytes:
        try:
            return file.read(size)
        except OSError as error:
            raise TapeError(f"cannot read {self.path}: {error}") from error


def streams(directory: Directory) -> list[str]:
    """The names of the streams of the exchange that have lines: `KRW-BTC_trade`, in order; healed ones are not named.

    Raises `TapeError` where there is no such directory.
    """
    root = _root(directory)
    active = (_ACTIVE.fullmatch(name) for name in os.listdir(root))
    archived = (_ARCHIVED.fullmatch(name) for date in _dates(root) for name in os.listdir(date))
    found = {match["stream"] for match in [*active, *archived] if match}
    return sorted(name for name in found if name not in _OWN and not name.endswith(".healed"))


def segments(directory: Directory, stream: str, since: int, until: int) -> list[Segment]:
    """The files of a stream that can have lines stamped in `since..until` (µs).

    Raises `TapeError` where there is no such directory.
    """
    root = _root(directory)
    active = root / f"{stream}.jsonl"
    for _ in range(_LOOKS):
        held = _open(active)
        archived = sorted(_archived(root, stream, since, until), key=lambda segment: (segment.epoch, segment.first))
        if _is_still(active, held):
            if held is None:
                return archived
            newest = max([segment.epoch for segment in archived[-1:]] + [_newest_epoch(root, stream)])
            return [*archived, Segment(active, newest, held=held)]
        if held is not None:
            held.close()
    raise TapeError(f"{active} is rotated faster than it can be read")


def _root(directory: Directory) -> pathlib.Path:
    root = pathlib.Path(directory)
    if not root.is_dir():
        raise TapeError(f"there is no directory {root}: a data_dir of upbit-recorder is wanted")
    return root


def _open(path: pathlib.Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None


def _is_still(path: pathlib.Path, held: BinaryIO | None) -> bool:
    try:
        now = path.stat()
    except FileNotFoundError:
        return held is None
    return held is not None and os.path.samestat(os.fstat(held.fileno()), now)


def _dates(root: pathlib.Path) -> Iterator[pathlib.Path]:
    archive = root / "archive"
    if archive.is_dir():
        yield from sorted(archive / name for name in os.listdir(archive) if _DATE.fullmatch(name))


def _archived(root: pathlib.Path, stream: str, since: int, until: int) -> Iterator[Segment]:
    for directory in _dates(root):
        begin = _stamp(f"{directory.name[5:].replace('-', '')}T000000.000000Z")
        # No segment spans two dates.
        if begin >= until or begin + _DAY <= since:
            continue
        # One that is being sealed while it is listed has its sealed file before the second time.
        names = {name.removesuffix(".zst") for _ in range(2) for name in os.listdir(directory)}
        matches = [match for match in map(_ARCHIVED.fullmatch, names) if match and match["stream"] == stream]
        listed = _manifest(directory / "manifest.jsonl", stream) if matches else {}
        for match in matches:
            entry = listed.get(match[0] + ".zst", {})
            # Versions before epochs stood in names had them in the manifest alone.
            epoch = int(match["epoch"]) if match["epoch"] else entry.get("epoch", 0)
            first, last = _stamp(match["time"]), entry.get("last")
            if first - _NAMED_LATER < until and (last is None or last >= since):
                yield Segment(directory / match[0], epoch, first, last, entry.get("bytes"))


def _manifest(path: pathlib.Path, stream: str) -> dict[str, dict[str, Any]]:
    """What a manifest says of the files of a stream; of lines with one name the last holds."""
    entries = {}
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        lines = []
    wanted = f'"name":"{stream}.'.encode()
    for line in lines:
        if wanted in line:
            try:
                # Pages that a power cut took are NULs in front.
                entry = json.loads(line.lstrip(b"\0"))
            except ValueError:
                continue
            if "pruned" not in entry:
                entries[entry["name"]] = entry
    return entries


def _newest_epoch(root: pathlib.Path, stream: str) -> int:
    """The epoch of active files, which is that of the whole directory."""
    found = [0]
    try:
        found.append(int(json.loads((root / ".durable").read_bytes())["epoch"]))
    except (OSError, ValueError, KeyError):
        pass  # A backup may be without it.
    for directory in list(_dates(root))[-2:]:
        matches = map(_ARCHIVED.fullmatch, os.listdir(directory))
        found += [int(match["epoch"]) for match in matches if match and match["epoch"]]
        found += [entry.get("epoch", 0) for entry in _manifest(directory / "manifest.jsonl", "recorder").values()]
    return max(found)


def _stamp(text: str) -> int:
    time = datetime.datetime.strptime(text, "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=datetime.UTC)
    return (time - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(microseconds=1)
