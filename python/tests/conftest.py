"""Tapes: one that a real recorder makes here, and those that are kept of every version of the format."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

REPOSITORY = pathlib.Path(__file__).parent.parent.parent
sys.path.insert(0, str(REPOSITORY / "tests/readers"))

import tape as maker


class Tape:
    """A data directory, and its lines as the program itself reads them."""

    def __init__(self, path):
        self.path = path

    def cat(self, *arguments):
        """Objects that `upbit-recorder cat` prints."""
        own = ["--set", f"data_dir={self.path}", "--set", "log.level=error"]
        command = [os.environ["UPBIT_RECORDER"], "cat", *arguments, *own]
        printed = subprocess.run(command, check=True, capture_output=True).stdout
        return [json.loads(line) for line in printed.splitlines()]


@pytest.fixture(scope="session")
def tape(tmp_path_factory):
    """A kill, gaps, healed trades, both formats, several zstd frames, sealed and active files, a midnight."""
    path = tmp_path_factory.mktemp("tape") / "data"
    maker.make(path)
    return Tape(path)


@pytest.fixture(params=["before", "v1"])
def kept(request):
    """Steps of the clock back and ahead, healed gaps, torn lines, and names without epochs."""
    return Tape(REPOSITORY / "tests/it/format" / request.param)
