#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""table.py DIRECTORY: docs/kernels.md from the consoles of the guests. --summary DIRECTORY: of one, in a line."""

import collections
import pathlib
import re
import sys

HEAD = """\
# Kernels

`./dev kernels` boots the kernels of Debian's releases under qemu and runs in each the tests that depend on the kernel: the
unit tests that ask it something, and those with real sockets in network namespaces. Storms, rescue and giving back are in
`netns evidence` and `netns effect`; kill -9, the take-over, `--restore` and the peer without timestamps in `netns service`.
A guest has 2 processors and 2 GB, so that its table of TIME_WAIT holds less than half of the ports (`guest kernel`).

What differs for twtuned:

- Before Linux 5.14 there is no SO_NETNS_COOKIE: it runs in the first network namespace only.
- Before Linux 6.14 there is no tcp_tw_reuse_delay: `time-wait-reuse-sooner` is unavailable.
- On Linux 5.10 tcp_tw_reuse = 1 lets connect() take an orphaned FIN_WAIT_2 as well (50 of 50 tried; none on 6.1 and later).
  twtuned counts these as holders there, too: it may act sooner than it has to.
- tcp_diag and nf_conntrack are modules of Debian's kernels. tcp_diag is loaded by the first request, unless that is forbidden;
  nf_conntrack is seen within a minute after it is loaded.
- Linux 7.3 has ip_local_port_step_width: connect() fills both parities evenly then.
"""


def read(directory):
    """The results on the console of a guest. One that did not come to its end has failed."""
    text = (directory / "console").read_text(errors="replace")
    for program, failed, test, why in re.findall(
            r"\d+ ((?:unit|netns|guest) \w+): (not )?ok \d+ -? ?(.*?)(?: # SKIP (.*))?\r?$", text, re.M):
        yield {"program": program, "test": test, "why": why,
               "result": "failed" if failed else "skipped" if why else "passed"}
    if "checks ended" not in text:
        yield {"program": "the guest", "test": "comes to its end", "why": "not within its time", "result": "failed"}


def release(directory):
    match = re.search(r"kernel ([0-9]+\.[0-9.]*[0-9])", (directory / "console").read_text(errors="replace"))
    return match[1] if match else directory.name


def count(results, result):
    return sum(r["result"] == result for r in results)


def cell(results):
    """passed, and what is not"""
    text = str(count(results, "passed"))
    for result in ("skipped", "failed"):
        if n := count(results, result):
            text += f", {n} {'unavailable' if result == 'skipped' else '**failed**'}"
    return text if results else "not run"


def version(name):
    return [int(part) if part.isdigit() else 999 for part in name.split(".")]


def main():
    if sys.argv[1] == "--summary":
        results = list(read(pathlib.Path(sys.argv[2])))
        print(", ".join(f"{count(results, r)} {r}" for r in ("passed", "failed", "skipped")))
        sys.exit(count(results, "failed") > 0)
    kernels = {}
    for directory in sorted(pathlib.Path(sys.argv[1]).iterdir(), key=lambda d: version(d.name)):
        if (directory / "wall").exists():
            kernels[release(directory), directory] = list(read(directory))
    programs = list(dict.fromkeys(r["program"] for results in kernels.values() for r in results))
    print(HEAD)
    print("| tests passed | " + " | ".join(f"{name}" for name, _ in kernels) + " |")
    print("|---" * (len(kernels) + 1) + "|")
    for program in programs:
        print(f"| {program} | " + " | ".join(
            cell([r for r in results if r["program"] == program]) for results in kernels.values()) + " |")
    print("| minutes | " + " | ".join(
        f"{int((d / 'wall').read_text()) / 60:.0f}" for _, d in kernels) + " |")
    for result, title in (("skipped", "Unavailable"), ("failed", "Failed")):
        found = collections.defaultdict(list)
        for (name, _), results in kernels.items():
            for r in results:
                if r["result"] == result:
                    found[r["program"], r["test"], r["why"]].append(name)
        if found:
            print(f"\n## {title}\n")
        for (program, test, why), names in found.items():
            print(f"- {', '.join(names)}: {program}: {test}{': ' + why if why else ''}")


main()
