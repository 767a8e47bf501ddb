#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""In a guest: checks.py [first | second | REGEX...] runs the programs whose tests depend on the kernel: all, a half,
or those in whose name a regex is found. Prints what each program says, with the seconds since the start and the
program's name in front."""

import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNIT = ["allocation", "cgroup", "confine"]  # those that ask the kernel something
NETNS = ["service", "evidence", "table", "effect", "ports", "lint", "ledger", "notify", "metrics", "quiet", "recording",
         "policy", "policy_peers", "field", "lint_lines"]
SECOND = NETNS[NETNS.index("policy"):]  # on Linux 7.3 they take 8 minutes by the guest's clock, those before them 10
FIRST = ("guest kernel", [sys.executable, ROOT / "tests/guests/test_kernel.py"])  # alone, before any module is loaded
PROGRAMS = [(f"unit {name}", [ROOT / f"build/tests/check_{name}"]) for name in UNIT] + [
    (f"netns {name}", [sys.executable, ROOT / f"tests/netns/test_{name}.py"]) for name in NETNS]
MODULES = ["tcp_diag", "unix_diag", "udp_diag", "veth", "nf_tables", "nf_conntrack"]
PATIENCE = {"CK_TIMEOUT_MULTIPLIER": "30", "TWTUNED_PATIENCE": "240", "TWTUNED_BUILD": str(ROOT / "build")}
START = time.monotonic()


def run(name, argv):
    """Prints TAP on the console, which table.py reads even if the guest crashes."""
    def say(line):
        print(f"{time.monotonic() - START:.0f} {name}: {line.rstrip()}", flush=True)

    start, planned = time.monotonic(), False
    program = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                               env=os.environ | PATIENCE, text=True, errors="replace")
    for line in program.stdout:
        planned |= line.startswith("1..")
        skipped = re.match(r"1\.\.0 # SKIP (.*)", line)
        say(f"ok 0 - {name} # SKIP {skipped[1]}" if skipped else line)
    if program.wait() not in (0, 1) or not planned:
        say(f"not ok 0 - exit status {program.returncode}")
    say(f"# took {time.monotonic() - start:.0f} s")


def is_chosen(name):
    if sys.argv[1:] in (["first"], ["second"]):
        return (name.removeprefix("netns ") in SECOND) == (sys.argv[1] == "second")
    return not sys.argv[1:] or any(re.search(arg, name) for arg in sys.argv[1:])


def main():
    chosen = [program for program in [FIRST, *PROGRAMS] if is_chosen(program[0])]
    release = re.search(r"Debian ([0-9.]+)", os.uname().version)  # uname -r of Debian 12 is 6.1.0 for all of 6.1
    print(f"kernel {release[1] if release else os.uname().release}", flush=True)
    if chosen[0] == FIRST:
        run(*chosen.pop(0))
    for module in MODULES:
        subprocess.run(["modprobe", "-q", module])
    for program in chosen:
        run(*program)
    print("checks ended", flush=True)


main()
