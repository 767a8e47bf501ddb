#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""In a guest: checks.py DIRECTORY [REGEX...] runs the tests that depend on the kernel, or those of their programs in whose
name a regex is found, prints the results, and leaves in DIRECTORY what each program said."""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNIT = ["allocation", "cgroup", "counter", "lint", "listener_drops", "listeners", "observer", "once", "out_of_memory",
        "policy_look", "request", "retry", "sock_diag", "sysctl", "sysctl_files", "yield"]
NETNS = ["service", "policy_peers", "policy", "evidence", "effect", "field", "metrics", "ports", "lint", "lint_lines",
         "ledger", "notify", "quiet", "recording"]
FIRST = ("guest kernel", [sys.executable, ROOT / "tests/guests/test_kernel.py"])  # alone, before any module is loaded
PROGRAMS = [(f"unit {name}", [ROOT / f"build/tests/check_{name}"]) for name in UNIT] + [
    (f"netns {name}", [sys.executable, ROOT / f"tests/netns/test_{name}.py"]) for name in NETNS]
SIDE_BY_SIDE = 4  # most of them wait most of the time
MODULES = ["tcp_diag", "unix_diag", "udp_diag", "veth", "nf_tables"]
# qemu translates each instruction, and the machine may have other things to do.
SLOW = {"CK_TIMEOUT_MULTIPLIER": "30", "TWTUNED_PATIENCE": "600", "TWTUNED_BUILD": str(ROOT / "build")}


def run(name, argv, directory):
    """Prints the results as TAP, each with the time and the program in front of it: table.py reads the console, of which
    something is there whatever becomes of the guest. All that the program says is left in the directory."""
    start, planned = time.monotonic(), False

    def say(line):
        print(f"{time.monotonic() - start:.0f} {name}: {line.rstrip()}", flush=True)

    with open(directory / name.replace(" ", "-"), "w") as output:
        program = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                   env=os.environ | SLOW, text=True, errors="replace")
        for line in program.stdout:
            output.write(line)
            planned |= line.startswith("1..")
            if skipped := re.match(r"1\.\.0 # SKIP (.*)", line):
                say(f"ok 0 - {name} # SKIP {skipped[1]}")
            elif re.match(r"(not )?ok |\w*Error: ", line):
                say(line)
        if program.wait() not in (0, 1) or not planned:
            say(f"not ok 0 - exit status {program.returncode}")


def main():
    directory, patterns = pathlib.Path(sys.argv[1]), sys.argv[2:]
    chosen = [p for p in [FIRST, *PROGRAMS] if not patterns or any(re.search(pattern, p[0]) for pattern in patterns)]
    print(f"kernel {os.uname().release}", flush=True)
    if chosen[0] == FIRST:
        run(*chosen.pop(0), directory)
    for module in MODULES:
        subprocess.run(["modprobe", "-q", module])
    with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        list(pool.map(lambda p: run(*p, directory), chosen))
    print("checks ended", flush=True)


main()
