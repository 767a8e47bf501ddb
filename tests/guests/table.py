#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""table.py DIRECTORY: prints docs/kernels.md from the consoles of the guests; there is a directory for each kernel.
--summary DIRECTORY: prints a line about one kernel."""

import collections
import pathlib
import re
import sys

GUEST = "the guest"
HEAD = """\
# Kernels

`./dev kernels` boots the kernels of Debian's releases under qemu and runs in each the tests that depend on the kernel: the
unit tests that use it, and those with real sockets in network namespaces. `netns evidence` and `netns effect` test storms,
their remedy and giving back; `netns service` tests kill -9, the take-over, `--restore` and a peer without timestamps.
Each kernel has two guests side by side, with half of the programs each. A guest has one processor and 2 GB, so that its
table of TIME_WAIT holds less than half of the ports (`guest kernel`). Its clock counts its instructions, so no test fails
because this machine is busy. The table holds the newest results of each program; `not run`: it was not tried on that
kernel. A failure may have been mended since. Minutes are those of this machine, which may have run other programs.

What differs for twtuned:

- Before Linux 5.14 there is no SO_NETNS_COOKIE: it runs in the first network namespace only.
- Before Linux 6.14 there is no tcp_tw_reuse_delay: `time-wait-reuse-sooner` is unavailable.
- Before "tcp: avoid reusing FIN_WAIT2 when trying to find port in connect() process" (2024, in the stable series as well)
  tcp_tw_reuse = 1 lets connect() take an orphaned FIN_WAIT_2: on 5.10.223 50 of 50 tried, on 6.1.192, 6.12.117 and 7.3.4
  none. No file and no sysctl shows which kernel it is, and twtuned opens no connections to try. So `ports.reusable` leaves
  them out on every kernel and counts them as holders; on those that reuse them `ports.forecast` is too high and
  `ports.relief` too low.
- tcp_diag and nf_conntrack are modules of Debian's kernels. tcp_diag is loaded by the first request, unless that is forbidden.
  Both are seen within a minute after they are loaded.
- Linux 7.3 has ip_local_port_step_width: connect() fills both parities evenly then.
"""


def read(directory):
    """The newest results of each program. A guest that did not come to its end has failed."""
    found, broken = {}, []  # (when it ended, what is missing), of guests that did not come to their end
    for console in consoles(directory):
        results = collections.defaultdict(list)
        for result in read_console(console.read_text(errors="replace")):
            results[result["program"]].append(result)
        start, end = interval(console)
        broken = [b for b in broken if b[0] > start] + [(end, result) for result in results.pop(GUEST, [])]
        found |= results
    return [result for results in found.values() for result in results] + [result for _, result in broken]


def consoles(directory):
    found = [start.with_suffix("") for start in directory.glob("console*.start")]
    return sorted((p for p in found if p.exists()), key=lambda p: p.stat().st_mtime)


def read_console(text):
    for program, failed, test, why in re.findall(
            r"\d+ ((?:unit|netns|guest) \w+): (not )?ok \d+ -? ?(.*?)(?: # SKIP (.*))?\r?$", text, re.M):
        yield {"program": program, "test": test, "why": why,
               "result": "failed" if failed else "skipped" if why else "passed"}
    if "checks ended" not in text:
        yield {"program": GUEST, "test": "comes to its end", "why": "", "result": "failed"}


def release(directory):
    texts = [console.read_text(errors="replace") for console in consoles(directory)]
    matches = [re.search(r"kernel ([0-9]+\.[0-9.]*[0-9])", text) for text in texts]
    return next((match[1] for match in reversed(matches) if match), directory.name)


def interval(console):
    return pathlib.Path(f"{console}.start").stat().st_mtime, console.stat().st_mtime


def minutes(directory):
    """The minutes of this machine in which a guest ran; two guests run side by side."""
    seconds, last = 0, 0
    for start, end in sorted(map(interval, consoles(directory))):
        seconds += max(end - max(start, last), 0)
        last = max(last, end)
    return f"{seconds / 60:.0f}"


def count(results, result):
    return sum(r["result"] == result for r in results)


def cell(results):
    """passed, and what is not"""
    text = str(count(results, "passed"))
    for result in ("skipped", "failed"):
        if n := count(results, result):
            text += f", {n} {'unavailable' if result == 'skipped' else '**failed**'}"
    return text if results else "not run"


def found_as(kernels, result, what):
    """{what: {kernel: {program: how many tests of it}}} of the tests with this result."""
    found = collections.defaultdict(lambda: collections.defaultdict(collections.Counter))
    for (name, _), results in kernels.items():
        for r in results:
            if r["result"] == result:
                found[what(r)][name][r["program"]] += 1
    return found


def print_list(title, found):
    if found:
        print(f"\n## {title}\n")
    for what, names in found.items():
        programs = [f"{name} ({', '.join(f'{n} of {program}' for program, n in found.items())})"
                    for name, found in names.items()]
        print(f"- {what}: {', '.join(programs)}")


def version(name):
    return [int(part) if part.isdigit() else 999 for part in name.split(".")]


def main():
    if sys.argv[1] == "--summary":
        results = list(read(pathlib.Path(sys.argv[2])))
        print(", ".join(f"{count(results, r)} {r}" for r in ("passed", "failed", "skipped")))
        sys.exit(count(results, "failed") > 0)
    kernels = {}
    for directory in sorted(pathlib.Path(sys.argv[1]).iterdir(), key=lambda d: version(d.name)):
        if consoles(directory):
            kernels[release(directory), directory] = list(read(directory))
    programs = list(dict.fromkeys(r["program"] for results in kernels.values() for r in results))
    print(HEAD)
    print("| tests passed | " + " | ".join(f"{name}" for name, _ in kernels) + " |")
    print("|---" * (len(kernels) + 1) + "|")
    for program in programs:
        print(f"| {program} | " + " | ".join(
            cell([r for r in results if r["program"] == program]) for results in kernels.values()) + " |")
    print("| minutes | " + " | ".join(minutes(d) for _, d in kernels) + " |")
    print_list("Unavailable", found_as(kernels, "skipped", lambda r: r["why"]))
    print_list("Failed", found_as(kernels, "failed", lambda r: f"{r['program']}: {r['test']}"))


main()
