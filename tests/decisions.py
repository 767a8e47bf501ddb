#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""decisions.py COMMIT [DIRECTORY]: checks that this tree decides as that commit does. Runs twenty simulated hosts in
both, and replays in both every recording NAME.csv of the directory with its configuration NAME.conf; times, rules,
sysctls, values, results and their order have to be equal, words need not be. The tests of tests/netns leave recordings
of all their daemons in $TWTUNED_RECORDINGS, which begins as an empty directory. Exits with 1 if something differs."""

import argparse
import itertools
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
HOSTS, TICKS = 20, 200_000
FIELDS = ("RULE", "SYSCTL", "OLDVALUE", "NEWVALUE", "ORIGINALVALUE", "RESULT", "GROUP")


def build(tree):
    """The build directory of a tree."""
    directory = tree / "build"
    if not (directory / "build.ninja").exists():
        subprocess.run(["meson", "setup", directory, "-Dtests=true"], cwd=tree, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", directory, "twtuned", "tests/check_simulation"], check=True,
                   stdout=subprocess.DEVNULL)
    return directory


def simulate(directory):
    """Every event of the simulated hosts that is about a rule or a sysctl."""
    with tempfile.NamedTemporaryFile("r") as log:
        subprocess.run([directory / "tests/check_simulation", "0", str(HOSTS), str(TICKS)], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, env=os.environ | {"EVENT_LOG": log.name}, check=True)
        return [line for line in log.read().splitlines() if not re.search(r"\|\|\|\|\|\|", line)]


def decision(line):
    """A line of --replay without its words."""
    found = dict(re.findall(r" ([A-Z]+)=(\"[^\"]*\"|\S*)", line))
    time_and_kind = re.match(r"(?:[-0-9T:Z ]+ )?(\+\S+ [a-z-]+):", line)
    return (time_and_kind[1] if time_and_kind else "", *(found.get(field, "") for field in FIELDS))


def replay(directory, recording):
    """The decisions over a recording, and the exit status."""
    run = subprocess.run([directory / "twtuned", f"--replay={recording}", f"--config={recording.with_suffix('.conf')}"],
                         text=True, capture_output=True)
    return [decision(line) for line in run.stdout.splitlines() if "MESSAGE_ID=" in line] + [run.returncode]


def differs(what, before, after):
    """Prints the first difference."""
    for number, (one, other) in enumerate(itertools.zip_longest(before, after), 1):
        if one != other:
            print(f"{what}: {number} of {len(before)}: {one}, now {other}")
            return True
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit")
    parser.add_argument("directory", nargs="?", type=pathlib.Path)
    arguments = parser.parse_args()
    recordings = sorted(arguments.directory.glob("*.csv")) if arguments.directory else []
    with tempfile.TemporaryDirectory(prefix="decisions-") as directory:
        tree = pathlib.Path(directory) / "tree"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, arguments.commit], cwd=ROOT, check=True)
        try:
            then, now = build(tree), build(ROOT)
            events = simulate(then)
            different = differs("simulation", events, simulate(now))
            replayed = [(recording, replay(then, recording)) for recording in recordings]
            for recording, before in replayed:
                different |= differs(recording.name, before, replay(now, recording))
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True)
    print(f"{len(events)} events of {HOSTS} simulated hosts, {sum(len(before) - 1 for _, before in replayed)} of "
          f"{len(recordings)} recordings: {'different' if different else 'the same'}")
    return 1 if different else 0


sys.exit(main())
