"""A Debian with a real systemd, booted by systemd-nspawn on a throw-away layer over a root that debootstrap made once.

Needs root; systemd-container, debootstrap, e2fsprogs, util-linux. It has a network of its own with nothing but loopback, and
a small disk of its own for the tape, so that the disk can be filled and frozen.
"""

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
UNIT = "upbit-recorder"
TAPE = "var/lib/upbit-recorder"

# What a machine of the recorder has, and what these scripts call there.
PACKAGES = "systemd,systemd-sysv,dbus,procps,zstd,ca-certificates"


def call(*command, **options):
    return subprocess.run([str(word) for word in command], check=True, **options)


def output(*command):
    return call(*command, capture_output=True, text=True).stdout.strip()


def debian(path, packages=PACKAGES, suite="bookworm"):
    """The root of a Debian, made if it is not there: some 45 s, once."""
    if not path.exists():
        half = path.with_name(path.name + ".half")
        half.mkdir(parents=True, exist_ok=True)
        call("debootstrap", "--variant=minbase", f"--include={packages}", suite, half, stdout=subprocess.DEVNULL)
        half.rename(path)
    return path


def eventually(what, is_so, patience=40.0):
    """Waits until something is so; a machine that builds for others as well takes its time."""
    deadline = time.monotonic() + patience
    while not is_so():
        if time.monotonic() > deadline:
            raise Fault(f"waited {patience:.0f} s in vain: {what}")
        time.sleep(0.1)


class Fault(Exception):
    """What is not as it should be."""


def demand(what, is_so, shown=""):
    if not is_so:
        raise Fault(f"{what}: {shown}" if shown else what)


class Machine:
    """One that runs; `files` is its root as seen from outside, `disk` the tape's."""

    def __init__(self, files, disk, nspawn, init):
        self.files, self.disk, self.nspawn, self.init = files, disk, nspawn, init
        self.inside = ["nsenter", "-t", str(init), "-m", "-u", "-i", "-n", "-p", "-C", "--"]
        self.started = []

    def run(self, *command, check=True):
        """Runs a command inside; returns it with its output."""
        ended = subprocess.run([*self.inside, *map(str, command)], capture_output=True, text=True)
        if check and ended.returncode:
            raise Fault(f"{command} ended with {ended.returncode}: {ended.stdout}{ended.stderr}")
        return ended

    def succeeds(self, *command):
        return self.run(*command, check=False).returncode == 0

    def spawn(self, *command):
        """Starts a program from outside on the network inside."""
        program = subprocess.Popen(["nsenter", "-t", str(self.init), "-n", "--", *map(str, command)], stdout=subprocess.DEVNULL)
        self.started.append(program)
        return program

    def get(self, url):
        """What is answered on the network inside, asked from outside."""
        script = f"import urllib.request; print(urllib.request.urlopen({url!r}, timeout=5).read().decode())"
        return output("nsenter", "-t", self.init, "-n", "--", sys.executable, "-c", script)

    def write(self, path, text, mode=0o644):
        file = self.files / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def show(self, name):
        """A property of the unit."""
        return self.run("systemctl", "show", UNIT, "-p", name, "--value").stdout.strip()

    def status(self):
        return self.show("StatusText")

    def journal(self, *options):
        return self.run("journalctl", "-u", UNIT, "--no-pager", "-o", "cat", *options).stdout

    def pid(self):
        """The recorder's, as seen from outside."""
        return int(output("pgrep", "-P", self.init, "-x", "upbit-recorder"))

    def stop(self):
        for program in self.started:
            program.kill()
            program.wait()
        # Clean power-off.
        subprocess.run(["kill", "-s", "RTMIN+4", str(self.init)], check=False)
        try:
            self.nspawn.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.nspawn.kill()
            self.nspawn.wait()


@contextmanager
def booted(root, scratch):
    """A machine, booted from `root`, which stays as it is."""
    scratch = Path(scratch)
    parts = {name: scratch / name for name in ("upper", "work", "files", "disk")}
    for path in parts.values():
        path.mkdir()
    files, disk = parts["files"], parts["disk"]
    image = scratch / "image"
    call("truncate", "-s", "96M", image)
    call("mkfs.ext4", "-qF", "-m", "0", image)
    mounted, machine = [], None
    try:
        layers = f"lowerdir={root},upperdir={parts['upper']},workdir={parts['work']}"
        call("mount", "-t", "overlay", "overlay", "-o", layers, files)
        mounted.append(files)
        call("mount", "-o", "loop", image, disk)
        mounted.append(disk)
        machine = boot(files, disk, scratch / "console.log")
        yield machine
    finally:
        if machine:
            subprocess.run(["fsfreeze", "-u", str(disk)], stderr=subprocess.DEVNULL, check=False)
            machine.stop()
        for path in reversed(mounted):
            call("umount", path)


def boot(files, disk, log):
    command = ["systemd-nspawn", "-q", "-D", files, "--boot", "--register=no", "--keep-unit", "-M", f"recorder-{os.getpid()}"]
    # The machine's own filter forbids what asks about the clock, too.
    command += ["--private-network", "--console=passive", "--kill-signal=SIGRTMIN+3", f"--bind={disk}:/{TAPE}"]
    command += ["--system-call-filter=adjtimex clock_adjtime"]
    with open(log, "w") as console:
        nspawn = subprocess.Popen([str(word) for word in command], stdout=console, stderr=console, stdin=subprocess.DEVNULL)
    found = []

    def has_init():
        found[:] = subprocess.run(["pgrep", "-P", str(nspawn.pid), "-x", "systemd"], capture_output=True, text=True).stdout.split()
        return bool(found) or nspawn.poll() is not None

    eventually("the machine starts", has_init)
    if nspawn.poll() is not None:
        raise Fault(f"the machine does not start: {log.read_text()}")
    machine = Machine(files, disk, nspawn, int(found[0]))
    is_up = lambda: machine.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded")
    eventually("systemd is up", is_up)
    return machine


def program():
    """The recorder's binary; built where $UPBIT_RECORDER does not name it."""
    named = os.environ.get("UPBIT_RECORDER")
    if named:
        return Path(named).resolve()
    call("cargo", "build", "--release", "--quiet", cwd=ROOT)
    return ROOT / "target/release/upbit-recorder"


def tell(name, scenario, *arguments):
    """Runs a scenario; returns whether all was well."""
    began = time.monotonic()
    try:
        scenario(*arguments)
    except (Fault, subprocess.CalledProcessError) as fault:
        print(f"{name}: FAILED, {fault}", flush=True)
        return False
    print(f"{name}: ok, {time.monotonic() - began:.0f} s", flush=True)
    return True


sys.dont_write_bytecode = True
