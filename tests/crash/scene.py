"""What the crash tests share: a local exchange, a recorder, and a reader that holds what is on disk against what was sent.

The programs are found at $UPBIT_RECORDER, or built by `cargo build --release`. Everything is written below $TMPDIR.
"""

import bisect
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

# Of `.state`, in bytes.
SLOT = 256 * 1024

# What was started, so that nothing of it outlives a run that goes wrong.
STARTED = []


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
        STARTED.append(self.process)
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
    """A running `record`; `wrapper` is put before the command, such as strace, and `variables` into its environment."""

    def __init__(self, binary, data_dir, url, settings=(), wrapper=(), variables=()):
        self.data_dir = Path(data_dir)
        command = [*wrapper, binary, "record", "--set", f"data_dir={data_dir}", "--set", f"public.url={url}"]
        for setting in ("public.backoff_min=20ms", "log.format=json", "http.listen=", *settings):
            command += ["--set", setting]
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, stderr=self.errors, env={"PATH": os.environ["PATH"], **dict(variables)})
        STARTED.append(self.process)

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
    """What is on disk, read as a user would: plain files as they are, sealed ones by `zstd -dc`.

    Active files are of the epoch in `.state`. `offsets`: by how much the recorder's clock was set in each epoch, in µs;
    times of lines and gaps are without it."""

    def __init__(self, data_dir, offsets=()):
        self.data_dir = Path(data_dir)
        self.offsets = dict(offsets)
        self.faults = []
        # `private/` has none of its own.
        self.epoch = next((state["epoch"] for state in map(state_of, (self.data_dir, self.data_dir.parent)) if state), 0)
        self.torn = set()
        for copy in self.data_dir.glob("quarantine/*.torn-*"):
            name, offset = copy.name.rsplit(".torn-", 1)
            self.torn.add((name, int(offset)))
        self.streams = {}
        self.events = []
        # (epoch, stamp) of each line.
        self.positions = []
        for path in self.segments():
            self.read(path)

    def segments(self):
        archived = [path for path in self.data_dir.glob("archive/date=*/*") if ".jsonl" in path.name]
        archived.sort(key=lambda path: (epoch_of(path), path))
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
        is_active = path.parent == self.data_dir
        stream = stem if is_active else stem.rsplit(".", 2)[0]
        epoch = self.epoch if is_active else epoch_of(path)
        if epoch > self.epoch:
            self.faults.append(f"{path.name} is of an epoch after {self.epoch}, that of the state")
        offset = 0
        for line in content.splitlines(keepends=True):
            # A torn line stays in its plain file alone.
            self.add(stream, epoch, (path.name, offset), line)
            offset += len(line)

    def add(self, stream, epoch, place, line):
        if not line.endswith(b"\n"):
            self.faults.append(f"{place} ends within a line")
            return
        head, _, rest = line.partition(b",")
        if not head.startswith(b'{"ts_recv":') or not rest.endswith(b"}\n") or not is_json(line):
            if place not in self.torn:
                self.faults.append(f"{place} is no line and not kept in quarantine: {line[:80]!r}")
            return
        stamp = int(head[len(b'{"ts_recv":'):])
        self.positions.append((epoch, stamp))
        if stream == "recorder":
            self.events.append(json.loads(line))
        else:
            self.streams.setdefault(stream, []).append((self.time(epoch, stamp), (b"{" + rest[:-1]).decode()))

    def time(self, epoch, stamp):
        """When that was, by the clock of this program."""
        return stamp - self.offsets.get(epoch, 0)

    def gaps(self):
        """The gaps of the public connection as (from, to), merged where they touch: in time, or where one epoch ends with
        a gap and the next one begins with one, so that no line lies between."""
        merged, last = [], None
        own = (event for event in self.events if event["event"] == "gap" and event["connection"] == "public")
        times = sorted(time for lines in self.streams.values() for time, _ in lines)
        placed = ((*(self.time(gap["epoch"], gap[side]) for side in ("from", "to")), gap["epoch"]) for gap in own)
        for begin, end, epoch in sorted(placed):
            is_next = merged and epoch != last and bisect.bisect(times, merged[-1][1]) == bisect.bisect_left(times, begin)
            if merged and (begin <= merged[-1][1] or is_next):
                merged[-1][1] = max(merged[-1][1], end)
            else:
                merged.append([begin, end])
            last = epoch
        return merged


def state_of(data_dir):
    """The newest slot of `.state` that is whole; none where there is no such file."""
    try:
        content = Path(data_dir, ".state").read_bytes()
    except FileNotFoundError:
        return None
    states = {}
    for slot in (content[:SLOT], content[SLOT:]):
        head, _, rest = slot.partition(b"\n")
        header = json.loads(head) if head.endswith(b"}") and is_json(head) else {"bytes": 0, "sha256": None}
        text = rest[:header["bytes"]]
        if hashlib.sha256(text).hexdigest() == header["sha256"]:
            states[header["generation"]] = json.loads(text)
    return states[max(states)] if states else None


def epoch_of(path):
    """The epoch in the name of an archived segment: `….20261122T051204.113204Z.e1.jsonl.zst`; 0 where it is left out."""
    found = re.search(r"Z\.e(\d+)\.jsonl", path.name)
    return int(found[1]) if found else 0


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
    if len(set(tape.positions)) != len(tape.positions):
        faults.append("a stamp was given twice in an epoch")
    steps = max(tape.offsets, default=0)
    if tape.epoch != steps:
        faults.append(f"the clock was set back {steps} times, and the state is of epoch {tape.epoch}")
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


def look(data, names):
    """What has to hold at any moment. `names`: each archived name and the file it was."""
    faults = []
    for path in data.glob("archive/date=*/*"):
        if path.suffix == ".zst":
            check = subprocess.run(["zstd", "-tq", str(path)], capture_output=True)
            if check.returncode:
                faults.append(f"{path.name} cannot be decoded")
        elif path.suffix == ".jsonl" and path.name != "manifest.jsonl":
            head = path.open("rb").readline()
            if names.setdefault(path.name, head) != head:
                faults.append(f"the name {path.name} was used twice")
    for path in data.glob("*.jsonl"):
        lines = path.read_bytes().split(b"\n")
        torn = [line for line in lines[:-1] if not is_json(line)]
        if torn:
            faults.append(f"{path.name} has a torn line in its middle: {torn[0][:80]!r}")
    return faults


def spread(upto, sample):
    """The numbers from 1 to `upto`, or `sample` of them."""
    if upto <= sample:
        return range(1, upto + 1)
    return sorted({1 + index * (upto - 1) // max(1, sample - 1) for index in range(sample)})


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


@contextmanager
def scratch():
    """A directory that goes when the program ends, with everything that was started for it."""
    with tempfile.TemporaryDirectory(prefix="upbit-recorder-") as directory:
        try:
            yield directory
        finally:
            put_down()


def put_down():
    """Ends what still runs: before a file system is unmounted, and at the end."""
    while STARTED:
        process = STARTED.pop()
        if process.poll() is None:
            process.kill()
            process.wait()


__all__ = [name for name in globals() if not name.startswith("_")]
