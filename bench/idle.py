#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The CPU time of daemons in idle network namespaces, compared with shells that read the same four files once a second.
Both run at the same time, in the same namespaces. Takes half a minute."""

import argparse
import contextlib
import os
import pathlib
import platform
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "netns"))
from harness import POLICY, Single, Twtuned, sweep  # noqa: E402

# It runs without child processes.
READER = """while read -rt 1; [ $? -gt 128 ]; do
    for file in netstat snmp sockstat sockstat6; do mapfile </proc/net/$file; done
done"""
BAR = 0.5  # of what the shells take


@contextlib.contextmanager
def readers(hosts):
    """Runs a shell in each namespace; gives their pids. They end when their input ends."""
    stdin, end = os.pipe()
    try:
        yield [host.popen(["bash", "-c", READER], stdin=stdin, stdout=subprocess.DEVNULL).pid for host in hosts]
    finally:
        os.close(stdin)
        os.close(end)


def ran(pids):
    """Nanoseconds of CPU so far, together."""
    return sum(int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids)


def wakeups(pids):
    return sum(int(line.split()[1]) for pid in pids for line in open(f"/proc/{pid}/status")
               if line.startswith("voluntary_ctxt_switches:"))


def measure(count, seconds):
    """Share of a core that the daemons take, that the shells take, and wakeups of a daemon a second."""
    with contextlib.ExitStack() as stack:
        hosts = [stack.enter_context(Single()) for _ in range(count)]
        daemons = [Twtuned(host, POLICY) for host in hosts]
        for daemon in daemons:
            daemon.wait_for("^config-loaded")
        pids = [daemon.pid for daemon in daemons]
        shells = stack.enter_context(readers(hosts))
        time.sleep(12)  # until read_signs() is all that a tick reads (daemon/observe/observer.c)

        def now():
            return time.monotonic(), ran(pids), ran(shells), wakeups(pids)
        before = now()
        time.sleep(seconds)
        elapsed, daemons_took, shells_took, woke = (b - a for a, b in zip(before, now()))
        return daemons_took / elapsed / 1e9, shells_took / elapsed / 1e9, woke / count / elapsed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=25, help="of namespaces (default: 25)")
    parser.add_argument("--seconds", type=int, default=10)
    arguments = parser.parse_args()
    sweep()
    daemons, shells, woke = measure(arguments.count, arguments.seconds)
    met = daemons < BAR * shells
    print(f"Linux {platform.release().split('-')[0]}; {arguments.count} daemons in idle network namespaces: "
          f"{100 * daemons:.2f} % of one core, {woke:.2f} wakeups a second each; shells that read the same: "
          f"{100 * shells:.2f} %; ratio {daemons / shells:.2f} (< {BAR}): {'met' if met else 'MISSED'}", flush=True)
    return 0 if met else 1


sys.exit(main())
