# SPDX-License-Identifier: MIT
"""What --replay costs: a day of ticks, against the CPU time that Python takes only to read the file. `./dev bench
observe` runs it."""

import csv
import os
import pathlib
import resource
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "netns"))
from harness import POLICY, ChurnClient, ChurnServer, Pair, Twtuned, binary, temp_dir  # noqa: E402
from ticks import narrow, wait_rows  # noqa: E402

DAY = 86400


def cpu_of(who, run):
    """CPU seconds, and what run returns."""
    before = resource.getrusage(who)
    result = run()
    after = resource.getrusage(who)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, result


def read_cells(path):
    with open(path, newline="") as file:
        for _ in csv.reader(file):
            pass


def record(path):
    """A few ticks of a storm."""
    with Pair() as pair:
        narrow(pair.client, 512)
        ChurnServer(pair.server, pair.server.ip4)
        ChurnClient(pair.client, pair.server.ip4, rate=100)
        Twtuned(pair.client, POLICY, args=[f"--record={path}"])
        wait_rows(path, 8)


def make_day(path, day):
    """A day of those ticks, over and over. Returns the bytes of a row."""
    header, *rows = path.read_text().splitlines()
    cells = [row.split(",", 2) for row in rows]
    with open(day, "w") as file:
        print(header, file=file)
        for i in range(DAY):
            _, date, rest = cells[i % len(cells)]
            print(f"{1000 + i}.{i * 7919 % 1000000:09d},{date},{rest}", file=file)
    return os.path.getsize(day) // DAY


def day():
    """Prints the bar; returns False when it is missed."""
    path, long = temp_dir() / "recording.csv", temp_dir() / "day.csv"
    record(path)
    size = make_day(path, long)
    argv = [binary("twtuned"), f"--replay={long}", f"--config={POLICY}"]
    run = lambda: subprocess.run(argv, text=True, capture_output=True, check=True)  # noqa: E731
    replayed, result = cpu_of(resource.RUSAGE_CHILDREN, run)
    if not result.stdout.splitlines()[-1].startswith(f"{DAY} ticks, "):
        sys.exit(f"replayed: {result.stdout.splitlines()[-1]}")
    read, _ = cpu_of(resource.RUSAGE_SELF, lambda: read_cells(long))
    cheap = replayed <= 2 * read
    print(f"\n{'holds' if cheap else 'MISSED'}: --replay of a day, {DAY:,} rows of {size} bytes: {replayed:.2f} s of CPU, "
          f"{replayed / read:.2f} of the {read:.2f} s that Python's csv takes only to read it; at most 2", flush=True)
    return cheap
