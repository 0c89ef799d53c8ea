"""Who is measured by benches/compare: the recorder and its peers, each started on a load server and ended.

A contender writes below a folder of its own. Its processor time is read off its clock while it runs, and from wait4(2) when
it has ended: user and system, of all threads.
"""

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))

# What stands in front of the object on each line, less its own brace, and the line's end.
STAMP = len('"ts_recv":1795317064154123,') + 1

# Nothing that is measured takes longer to come, in seconds.
PATIENCE = 900

# What was started, so that nothing of it outlives a run that goes wrong.
STARTED = []


def programs():
    """The recorder, and the folder of the examples beside it; built where none is named."""
    named = os.environ.get("UPBIT_RECORDER")
    if not named:
        subprocess.run(["cargo", "build", "--quiet", "--release", "--bins", "--examples"], cwd=ROOT, check=True)
    recorder = Path(named or TARGET / "release/upbit-recorder").resolve()
    return recorder, recorder.parent / "examples"


class Process:
    """A child, and what it has cost."""

    def __init__(self, command, **options):
        self.child = subprocess.Popen(command, env={"PATH": os.environ["PATH"], **options.pop("variables", {})}, **options)
        STARTED.append(self.child)

    def cpu(self):
        """Seconds of processor time so far: clock_getcpuclockid(3)."""
        return time.clock_gettime((~self.child.pid << 3) | 2)

    def memory(self):
        """Peak of resident memory in MB. That of wait4(2) would begin with what its parent had."""
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1000

    def end(self, sign=signal.SIGTERM):
        """Seconds of processor time, behind its end; a sign of None waits for it."""
        if sign:
            self.child.send_signal(sign)
        _, status, used = os.wait4(self.child.pid, 0)
        self.child.returncode = os.waitstatus_to_exitcode(status)
        return used.ru_utime + used.ru_stime


class Recorder(Process):
    """`record`, with a file per stream."""

    def __init__(self, binary, folder, server, codes, settings=()):
        self.data, self.server = folder, server
        config = folder.parent / "recorder.toml"
        config.write_text("".join(
            f'[[public.subscribe]]\ntype = "{kind}"\ncodes = {json.dumps(names)}\n' for kind, names in codes.items()))
        fixed = {"data_dir": folder, "public.url": server.url, "public.tls_ca_file": server.certificate or "",
                 "rest.url": "http://127.0.0.1:9/v1", "rest.instruments": "false", "rest.heal_max": 0, "http.listen": "",
                 "log.level": "error"}
        command = [binary, "record", "--config", config]
        for setting in [*(f"{key}={value}" for key, value in fixed.items()), *settings]:
            command += ["--set", setting]
        super().__init__(command)
        self.manifests = {}
        self.lines = self.content = 0

    def has_all(self):
        """Whether all lines are in files: the last one, which is alone in its stream, and as many bytes as there must be."""
        last = self.data / "KRW-END_trade.jsonl"
        if not last.exists() or not last.stat().st_size:
            return False
        plain = [*self.data.glob("KRW-*.jsonl"), *self.data.glob("archive/*/KRW-*.jsonl")]
        self.sealed()
        return self.content + sum(size(path) for path in plain) >= self.server.bytes + STAMP * self.server.frames

    def sealed(self):
        """How many lines the manifests have."""
        for path in self.data.glob("archive/*/manifest.jsonl"):
            file = self.manifests.setdefault(path, path.open())
            while line := file.readline():
                if not line.endswith("\n"):
                    # It is being written: the next look begins with it.
                    file.seek(file.tell() - len(line.encode()))
                    break
                entry = json.loads(line)
                if entry["stream"].startswith("KRW-"):
                    self.lines += entry["lines"]
                    self.content += entry["bytes"]
        return self.lines

    def seal(self):
        """Ends all files, and waits until the last is sealed."""
        self.child.send_signal(signal.SIGUSR1)
        until("all is sealed", lambda: self.sealed() >= self.server.frames, 0.02)

    def check(self):
        """Each frame once, and nothing missed."""
        assert self.sealed() == self.server.frames, f"{self.lines} lines of {self.server.frames} frames"
        events = [json.loads(line) for line in (self.data / "recorder.jsonl").read_text().splitlines()]
        # What is sent as fast as it is taken waits for the disk, and a stream of a random market may be mute for long.
        borne = ("paused", "suspected")
        gaps = [event for event in events if event["event"] == "gap" and event["kind"] not in borne]
        assert not gaps, f"{len(gaps)} gaps, of which the first is {gaps[0]}"


class Peer(Process):
    """Any other program: all frames in one file."""

    def __init__(self, folder, server, command, **options):
        self.file, self.server = folder / "out", server
        super().__init__(command, **options)

    def has_all(self):
        if not self.file.exists() or size(self.file) < self.server.bytes:
            return False
        with self.file.open("rb") as file:
            file.seek(-200, os.SEEK_END)
            return b"KRW-END" in file.read()

    def seal(self):
        """It seals nothing."""

    def check(self):
        each = b'"cd":"KRW-' if self.server.workload == "trades" else b'"code":"KRW-'
        with self.file.open("rb") as file:
            count = sum(part.count(each) for part in pieces(file, each))
        # The last frame is spelled in the other way.
        assert count == self.server.frames - (self.server.workload == "trades"), f"{count} of {self.server.frames} frames"


def pieces(file, word):
    """A file in parts that have each word whole and once."""
    rest = b""
    while part := file.read(1 << 20):
        whole = rest + part
        yield whole
        rest = whole[1 - len(word):]


def bare(examples, folder, server):
    """tokio-tungstenite, each frame appended."""
    return Peer(folder, server, [examples / "bare", server.url, folder / "out", *filter(None, [server.certificate])])


def sample(python, folder, server):
    """The exchange's own Python sample."""
    script = Path(__file__).parent / "sample.py"
    return Peer(folder, server, [python, script, server.url, folder / "out", *filter(None, [server.certificate])])


def websocat(binary, folder, server):
    """A command line and a redirection."""
    variables = {"SSL_CERT_FILE": str(server.certificate)} if server.certificate else {}
    with open(folder / "out", "xb") as out:
        peer = Peer(folder, server, [binary, "--text", "--no-close", server.url], stdin=subprocess.PIPE, stdout=out,
                    variables=variables)
    peer.child.stdin.write(b'[{"ticket":"websocat"},{"type":"trade","codes":["KRW-BTC"]}]\n')
    peer.child.stdin.flush()
    return peer


class Server:
    """A running load server: it makes its frames once, and serves one contender after the other."""

    def __init__(self, examples, folder, workload, arguments, tls=False):
        self.workload = workload
        self.certificate = folder / "certificate.pem" if tls else None
        command = [examples / "load", "--workload", workload, *map(str, arguments)]
        self.child = subprocess.Popen(command + (["--tls", self.certificate] if tls else []), stdout=subprocess.PIPE, text=True)
        STARTED.append(self.child)
        first = self.told()
        self.frames, self.bytes, self.sent = first["frames"], first["bytes"], first["sent"]
        self.url = f"{'wss' if tls else 'ws'}://127.0.0.1:{first['listening']}/websocket/v1"

    def told(self, key=None):
        """Its next line, or the value of it."""
        line = json.loads(self.child.stdout.readline())
        return line[key] if key else line


def stop_all():
    """Ends what is still running."""
    for child in STARTED:
        if child.poll() is None:
            child.kill()
            child.wait()


def drained(server):
    """Seconds that a client takes which looks at nothing: the server alone."""
    host, port = server.url.split("/")[2].split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(b"GET / HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        client.recv(4096)
        # A masked text of two bytes, and the mask is 0.
        client.sendall(b"\x81\x82\0\0\0\0[]")
        begin, room, missing = server.told("begin") / 1e6, bytearray(1 << 20), server.sent
        while missing:
            missing -= client.recv_into(room)
        length = time.time() - begin
    server.told("end")
    return length


def size(path):
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def until(what, is_so, pause):
    """Waits, looking every `pause` seconds."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited for this in vain: {what}")
        time.sleep(pause)
