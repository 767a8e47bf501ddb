#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Connections in any number that hurt nobody: twtuned writes nothing and says nothing, and costs little."""

import os
import statistics
import subprocess
import time

from harness import (POLICY, ChurnClient, ChurnHold, ChurnServer, Pair, Twtuned, binary, check, check_equal, diag,
                     main, test)
from sockets import leave_time_wait

REUSE, DELAY = "net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_tw_reuse_delay"


def stays_quiet(namespace, seconds):
    """twtuned writes nothing and says nothing."""
    twtuned = Twtuned(namespace, POLICY)
    twtuned.wait_for("^config-loaded")
    time.sleep(seconds)
    check_equal(twtuned.lines[1:], [], "log lines after the first")
    check_equal((namespace.sysctl(REUSE), namespace.sysctl(DELAY)), ("2", "1000"), "reuse and delay")
    check_equal(twtuned.stop(), 0, "exit status")


@test("200 connects in one go are no storm")
def _():
    with Pair() as pair:
        ChurnServer(pair.server, pair.server.ip4)
        twtuned = Twtuned(pair.client, POLICY)
        twtuned.wait_for("^config-loaded")
        for _ in range(4):
            connects, failures = ChurnClient(pair.client, pair.server.ip4, count=200).finish()
            check_equal((connects, failures), (200, 0), "connects and failures")
            time.sleep(1.3)
        check_equal(twtuned.lines[1:], [], "log lines after the first")
        check_equal(pair.client.sysctl(REUSE), "2", REUSE)


@test("12,000 idle connections toward one destination: nothing that reuse could relieve")
def _():
    with Pair() as pair:
        ChurnServer(pair.server, pair.server.ip4)
        ChurnHold(pair.client, pair.server.ip4, count=12000)
        stays_quiet(pair.client, 6)


def cpu_of(namespace, argv):
    """CPU seconds, user and system, of one run."""
    process = namespace.popen(argv, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    check_equal(status, 0, f"exit of {argv[0]}")
    return usage.ru_utime + usage.ru_stime


def heavy_server(port):
    with Pair() as pair:
        leave_time_wait(pair, 110_000, port)
        once, ss = [], []
        for _ in range(5):
            once.append(cpu_of(pair.server, [binary("twtuned"), "--once"]))
            ss.append(cpu_of(pair.server, ["ss", "-tan"]))
        ratio = statistics.median(a / b for a, b in zip(once, ss))
        left = pair.server.sockstat("tw")
        diag(f"{left} TIME_WAIT: --once {statistics.median(once) * 1e3:.1f} ms CPU, ss -tan "
             f"{statistics.median(ss) * 1e3:.1f} ms, ratio {ratio:.3f}")
        check(left >= 100_000, f"only {left} TIME_WAIT sockets are left for the comparison")
        check(ratio <= 0.25, f"--once takes {ratio:.2f} of the CPU time of ss -tan")
        stays_quiet(pair.server, 4)


@test("100,000 TIME_WAIT on a server: no write; --once at most a quarter of the CPU of ss -tan")
def _():
    heavy_server(8080)


@test("the same on a server that listens inside the ephemeral range")
def _():
    heavy_server(40001)


if __name__ == "__main__":
    main()
