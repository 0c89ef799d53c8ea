"""Starts a local exchange for a client, and stops it at the end."""

import os
import subprocess
from contextlib import contextmanager

ACCESS_KEY = "local-access-key"
SECRET_KEY = "local-secret-key, as long as PyJWT wants one to be for HS512: 64 bytes"


def recorder(*arguments):
    """A command line of the program."""
    return [os.environ["UPBIT_RECORDER"], *arguments]


@contextmanager
def local_exchange(*arguments):
    """Yields the address, 127.0.0.1:PORT, of a replay with these arguments."""
    command = recorder("replay", "--listen", "127.0.0.1:0")
    command += ["--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        assert line.startswith("replay: listening on ws://"), line
        yield line.split("/")[2]
    finally:
        process.terminate()
        assert process.wait(timeout=10) == 0, "replay did not end in order"
