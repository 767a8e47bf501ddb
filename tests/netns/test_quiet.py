#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Connections in any number that hurt nobody: twtuned writes nothing and says nothing, and costs little."""

import os
import statistics
import subprocess
import time

from harness import (POLICY, ChurnClient, ChurnHold, ChurnServer, Pair, Twtuned, binary, check, check_equal, diag,
                     main, test)

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


def pile_up(pair, first_port):
    """Leaves over 100,000 TIME_WAIT sockets on a server, which closes first. The client's ports are free again
    at once, so connect() takes some of the 14,116 of one parity again and again: of 13,500 connections some 9,300
    have a port of their own (measured), and it takes a dozen ports at the server. More on a machine that is so slow
    that the first of them end meanwhile."""
    for first in range(first_port, first_port + 60, 2):
        clients = []
        for port in (first, first + 1):
            ChurnServer(pair.server, pair.server.ip4, port, close_first=True)
            clients.append(ChurnClient(pair.client, pair.server.ip4, port, count=13_500, read_eof=True))
        for client in clients:
            client.finish()
        if pair.server.sockstat("tw") >= 110_000:
            break


def cpu_of(namespace, argv):
    """CPU seconds, user and system, of one run."""
    process = namespace.popen(argv, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    check_equal(status, 0, f"exit of {argv[0]}")
    return usage.ru_utime + usage.ru_stime


def heavy_server(port):
    with Pair() as pair:
        pair.server.sysctl("net.ipv4.tcp_rfc1337", 1)  # see keep_time_wait() in test_harness.py
        pile_up(pair, port)
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
