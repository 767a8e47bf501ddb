#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""In a guest: checks.py DIRECTORY [REGEX...] runs the tests that depend on the kernel, or those of their programs in whose
name a regex is found, and leaves in DIRECTORY what each printed, and `results`: a line of JSON for each test."""

import concurrent.futures
import json
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
SLOW = {"CK_TIMEOUT_MULTIPLIER": "30", "TWTUNED_PATIENCE": "240", "TWTUNED_BUILD": str(ROOT / "build")}


def results(name, text, code):
    """What a test program said, as TAP: a test has a name, and is passed, skipped or failed, with a reason."""
    for line in text.splitlines():
        if match := re.match(r"(not )?ok \d+ -? ?(.*?)(?: # SKIP (.*))?$", line):
            failed, test, skip = match.groups()
            yield {"program": name, "test": test, "why": skip or "",
                   "result": "failed" if failed else "skipped" if skip else "passed"}
    if match := re.match(r"1\.\.0 # SKIP (.*)", text):
        yield {"program": name, "test": name, "result": "skipped", "why": match[1]}
    elif code not in (0, 1) or "1.." not in text:
        yield {"program": name, "test": name, "result": "failed", "why": f"exit status {code}"}


def run(name, argv, directory):
    start = time.monotonic()
    with open(directory / name.replace(" ", "-"), "w+") as output:
        program = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                   env=os.environ | SLOW, text=True, errors="replace")
        for line in program.stdout:
            output.write(line)
            if re.match(r"(not )?ok |\w*Error: ", line):
                print(f"{time.monotonic() - start:.0f} {name}: {line}", end="", flush=True)
        code = program.wait()
        output.seek(0)
        found = list(results(name, output.read(), code))
    failed = sum(r["result"] == "failed" for r in found)
    print(f"{name}: {len(found)} tests, {failed} failed, {time.monotonic() - start:.0f} s", flush=True)
    return found


def run_all(chosen, directory):
    if chosen[0] == FIRST:
        yield from run(*chosen.pop(0), directory)
    for module in MODULES:
        subprocess.run(["modprobe", "-q", module])
    with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for found in pool.map(lambda p: run(*p, directory), chosen):
            yield from found


def main():
    directory, patterns = pathlib.Path(sys.argv[1]), sys.argv[2:]
    chosen = [p for p in [FIRST, *PROGRAMS] if not patterns or any(re.search(pattern, p[0]) for pattern in patterns)]
    (directory / "kernel").write_text(os.uname().release)
    with open(directory / "results", "w") as file:
        for result in run_all(chosen, directory):
            print(json.dumps(result), file=file, flush=True)


main()
