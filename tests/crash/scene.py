"""What the crash tests share: a local exchange, a recorder, and a reader that holds what is on disk against what was sent.

The programs are found at $UPBIT_RECORDER, or built by `cargo build --release`. Everything is written below $TMPDIR.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def program():
    """The recorder's binary; built where it is not named."""
    named = os.environ.get("UPBIT_RECORDER")
    if named:
        return named
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=ROOT, check=True)
    return str(ROOT / "target/release/upbit-recorder")


class Exchange:
    """A running `replay`, with a log of every frame that it handed to a socket."""

    def __init__(self, binary, log, rate, codes, extra=()):
        self.log = Path(log)
        command = [binary, "replay", "--listen", "127.0.0.1:0", "--rate", str(rate), "--codes", str(codes), *extra]
        self.process = subprocess.Popen(command + ["--sent", log], stdout=subprocess.PIPE, text=True, env={})
        self.url = self.process.stdout.readline().split()[-1]
        self.port = int(self.url.split(":")[2].split("/")[0])

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def sent(self):
        """Every frame: when it was sent (µs), on which connection, its bytes; in order."""
        frames = []
        with open(self.log, "rb") as log:
            for line in log:
                if line.endswith(b"\n"):
                    entry = json.loads(line)
                    frames.append((entry["sent"], entry["connection"], entry["frame"]))
        return frames


class Recorder:
    """A running `record`; `wrapper` is put before the command, such as strace."""

    def __init__(self, binary, data_dir, url, settings=(), wrapper=()):
        self.data_dir = Path(data_dir)
        command = [*wrapper, binary, "record", "--set", f"data_dir={data_dir}", "--set", f"public.url={url}"]
        for setting in ("public.backoff_min=20ms", "log.format=json", "http.listen=", *settings):
            command += ["--set", setting]
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, stderr=self.errors, env={"PATH": os.environ["PATH"]})

    def log(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def await_growth(self, patience=30.0):
        """Waits until the exchange's data reaches a file; false: the process ended before."""
        before, deadline = self.sizes(), time.time() + patience
        while time.time() < deadline:
            if self.process.poll() is not None:
                return False
            # What an earlier process left may have been moved away meanwhile.
            if sum(size - before.get(file, 0) for file, size in self.sizes().items()) > 1000:
                return True
            time.sleep(0.01)
        raise SystemExit(f"nothing was recorded for {patience} s:\n{self.log()}")

    def sizes(self):
        """The sizes of the active files, by inode."""
        sizes = {}
        for path in self.data_dir.glob("KRW-*.jsonl"):
            try:
                stat = path.stat()
                sizes[stat.st_ino] = stat.st_size
            except FileNotFoundError:
                pass
        return sizes

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, patience=15.0):
        """Asks it to end in order; returns the exit code."""
        self.process.terminate()
        return self.process.wait(timeout=patience)


def end(exchange, recorder, patience=30.0):
    """Ends both, the exchange first: all that it had sent is read before the end of it is seen, however busy the machine
    is. Returns the recorder's exit code."""
    events, deadline = recorder.data_dir / "recorder.jsonl", time.time() + patience
    lost = events.read_text().count('"event":"lost"')
    exchange.stop()
    while events.read_text().count('"event":"lost"') == lost:
        if time.time() > deadline:
            raise SystemExit(f"the end of the exchange was not noticed for {patience} s:\n{recorder.log()}")
        time.sleep(0.01)
    return recorder.stop()


def unread(port):
    """Bytes that the exchange has handed to the system and its clients have not read."""
    waiting = 0
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in open(table).read().splitlines()[1:]:
            fields = line.split()
            local, remote = (int(fields[index].split(":")[1], 16) for index in (1, 2))
            sending, receiving = (int(part, 16) for part in fields[4].split(":"))
            if fields[3] == "01":
                waiting += (receiving if remote == port else 0) + (sending if local == port else 0)
    return waiting


class Tape:
    """What is on disk, read as a user would: plain files as they are, sealed ones by `zstd -dc`."""

    def __init__(self, data_dir):
        self.data_dir = Path(data_dir)
        self.faults = []
        self.torn = set()
        for copy in self.data_dir.glob("quarantine/*.torn-*"):
            name, offset = copy.name.rsplit(".torn-", 1)
            self.torn.add((name, int(offset)))
        self.streams = {}
        self.events = []
        self.stamps = []
        for path in self.segments():
            self.read(path)

    def segments(self):
        archived = [path for path in self.data_dir.glob("archive/date=*/*") if ".jsonl" in path.name]
        archived.sort(key=lambda path: (int(epoch_of(path) or 0), path))
        sealed = {path.name for path in archived if path.suffix == ".zst"}
        for path in archived:
            if path.name + ".zst" in sealed:
                # It waits for the sealed one to be compared with it; a power cut may have shortened it.
                continue
            if path.suffix in (".jsonl", ".zst") and path.name != "manifest.jsonl":
                yield path
        yield from sorted(self.data_dir.glob("*.jsonl"))

    def read(self, path):
        content = path.read_bytes()
        if path.suffix == ".zst":
            decoded = subprocess.run(["zstd", "-dcq"], input=content, capture_output=True)
            if decoded.returncode:
                self.faults.append(f"{path.name} cannot be decoded: {decoded.stderr.decode()}")
                return
            content = decoded.stdout
        stem = path.name.removesuffix(".zst").removesuffix(".jsonl")
        stem = stem.removesuffix(f".e{epoch_of(path)}")
        stream = stem if path.parent == self.data_dir else stem.rsplit(".", 2)[0]
        offset = 0
        for line in content.splitlines(keepends=True):
            # A torn line stays in its plain file alone.
            self.add(stream, (path.name, offset), line)
            offset += len(line)

    def add(self, stream, place, line):
        if not line.endswith(b"\n"):
            self.faults.append(f"{place} ends within a line")
            return
        head, _, rest = line.partition(b",")
        if not head.startswith(b'{"ts_recv":') or not rest.endswith(b"}\n") or not is_json(line):
            if place not in self.torn:
                self.faults.append(f"{place} is no line and not kept in quarantine: {line[:80]!r}")
            return
        stamp = int(head[len(b'{"ts_recv":'):])
        self.stamps.append(stamp)
        if stream == "recorder":
            self.events.append(json.loads(line))
        else:
            self.streams.setdefault(stream, []).append((stamp, (b"{" + rest[:-1]).decode()))

    def gaps(self):
        """The gaps of the public connection as (from, to), merged where they touch."""
        merged = []
        own = (event for event in self.events if event["event"] == "gap" and event["connection"] == "public")
        for begin, end in sorted((gap["from"], gap["to"]) for gap in own):
            if merged and begin <= merged[-1][1]:
                merged[-1][1] = max(merged[-1][1], end)
            else:
                merged.append([begin, end])
        return merged


def epoch_of(path):
    """The epoch in the name of an archived segment: `….20261122T051204.113204Z.e1.jsonl.zst`; none where it is left out."""
    found = re.search(r"Z\.e(\d+)\.jsonl", path.name)
    return found and found[1]


def is_json(line):
    try:
        json.loads(line)
        return True
    except ValueError:
        return False


def stream_of(frame):
    value = json.loads(frame)
    kind, code = value.get("type"), value.get("code")
    return "misc" if kind is None else f"{code}_{kind}" if code else kind


def check(tape, sent):
    """Holds a tape against what was sent. Returns the faults, and the missing frames as (sent, connection, length)."""
    faults = list(tape.faults)
    if len(set(tape.stamps)) != len(tape.stamps):
        faults.append("a stamp was given twice")
    missing, waiting, before = [], {}, {}
    recorded = {stream: iter(lines) for stream, lines in tape.streams.items()}
    gaps = tape.gaps()
    for at, connection, frame in sent:
        stream = stream_of(frame)
        if stream not in waiting:
            waiting[stream] = next(recorded.get(stream, iter(())), None)
        if waiting[stream] and waiting[stream][1] == frame:
            before[connection] = max(before.get(connection, 0), waiting[stream][0])
            waiting[stream] = next(recorded[stream], None)
            continue
        missing.append((at, connection, len(frame)))
        # The earliest stamp that it could have got; the two programs read one clock, a little apart.
        earliest = max(at, before.get(connection, 0))
        if not any(begin - 2000 <= earliest <= end + 2000 for begin, end in gaps):
            faults.append(f"a frame of {stream} sent at {at} is missing and in no gap")
    for stream, line in waiting.items():
        if line:
            faults.append(f"{stream} holds a line twice, out of order, or never sent, from stamp {line[0]} on")
    for stream in recorded.keys() - waiting.keys():
        faults.append(f"{stream} was never sent")
    return faults, missing


def verdict(name, faults):
    """Prints what is wrong and ends with 1, or says that all is well."""
    for fault in faults[:20]:
        print(f"{name}: {fault}")
    if faults:
        print(f"{name}: FAILED, {len(faults)} faults")
        sys.exit(1)
    print(f"{name}: passed", flush=True)


def now():
    """µs since the epoch, as in the files."""
    return time.time_ns() // 1000


def scratch():
    """A directory that goes when the program ends."""
    return tempfile.TemporaryDirectory(prefix="upbit-recorder-")


__all__ = [name for name in globals() if not name.startswith("_")]
