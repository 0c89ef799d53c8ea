"""What the scripts share: the program, tapes, lakes."""

import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
DATE = "2026-11-22"


def program(*arguments, check=True):
    done = subprocess.run([os.environ["UPBIT_RECORDER"], *map(str, arguments)], capture_output=True, text=True)
    if check and done.returncode:
        sys.exit(f"{arguments}: {done.returncode}: {done.stderr}")
    return done.stdout


def tape(directory, *options):
    subprocess.run([sys.executable, "-B", HERE / "make_tape.py", directory, *map(str, options)], check=True)
    return directory


def export(directory, *options):
    return program("export", "--set", f"data_dir={directory}", *options)


def files(directory):
    """The files that readers see, by their paths below the lake."""
    lake = directory / "lake"
    return {str(path.relative_to(lake)): path for path in sorted(lake.glob("venue=*/**/*.parquet"))}
