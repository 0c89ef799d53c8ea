"""Kills exports at random moments, with -9: a file that is seen is whole, and another export makes the lake what it would have
been.

    tests/lake/run kills.py [--count N]

After each kill every file that readers see is held against the one of an export that nobody killed, byte by byte, and Arrow reads
it to the end. After the last export the lakes are the same, and nothing else is left.
"""

import argparse
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import time

import polars
import pyarrow.dataset
import pyarrow.parquet

from lake import export, files, tape


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as scratch:
        data = tape(pathlib.Path(scratch) / "data", "--pairs", 6, "--seconds", 120, "--days", 2, "--units", 15)
        begun = time.monotonic()
        export(data, "--levels", 5)
        length = time.monotonic() - begun
        whole = {name: path.read_bytes() for name, path in files(data).items()}
        rounds, kills, seen, unfinished = 0, 0, 0, 0
        while kills < options.count:
            rounds += 1
            shutil.rmtree(data / "lake")
            while True:
                child = subprocess.Popen(
                    [os.environ["UPBIT_RECORDER"], "export", "--levels", "5", "--set", f"data_dir={data}"],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                )
                time.sleep(rng.random() * length * 0.6)
                was_running = child.poll() is None
                child.send_signal(signal.SIGKILL)
                child.wait()
                kills += was_running
                for name, path in files(data).items():
                    content = path.read_bytes()
                    assert content == whole[name], f"{name} is half there"
                    pyarrow.parquet.read_table(path)
                    seen += 1
                unfinished += len(list((data / "lake").glob(".unfinished/*")))
                for directory in (data / "lake").glob("venue=*/type=*"):
                    # Who reads a directory sees nothing of what is in the making.
                    rows = sum(pyarrow.parquet.read_metadata(path).num_rows for path in directory.rglob("*.parquet"))
                    found = pyarrow.dataset.dataset(directory, format="parquet", partitioning="hive").count_rows()
                    assert found == rows, directory
                    assert rows == 0 or polars.scan_parquet(directory).select(polars.len()).collect().item() == rows
                if not was_running or rng.random() < 0.2:
                    break
            export(data, "--levels", 5)
            assert {name: path.read_bytes() for name, path in files(data).items()} == whole, "the lake is another one"
            left = list((data / "lake").rglob("*.tmp"))
            assert not left, f"left behind: {left}"
    print(f"{kills} kills in {rounds} lakes of {len(whole)} files: {seen} files seen, each whole; {unfinished} left unfinished, none at the end")


main()
