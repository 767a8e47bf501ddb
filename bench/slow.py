#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A client at full speed toward a server that has a quota of CPU, so that connections wait there: what reuse after
different delays, twtuned, and a table without TIME_WAIT do to it. `./dev bench slow` runs it, five minutes. It prints
what was lost at the server (ListenOverflows: its accept queue is full), and what the host did wrong (challenge ACKs: a
SYN met a connection that the server still has). Rounds are interleaved; medians."""

import argparse
import contextlib
import os
import pathlib
import platform
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "netns"))
from harness import (POLICY, ChurnClient, ChurnServer, Pair, Ticks, Twtuned, make_cgroup, mounts,  # noqa: E402
                     remove_cgroup, sweep, wait_until)

SECONDS = 12
REUSE, DELAY, TABLE = "net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_tw_reuse_delay", "net.ipv4.tcp_max_tw_buckets"
WAYS = {  # what is set before
    "stock": {},
    "no TIME_WAIT (tcp_max_tw_buckets = 0)": {TABLE: 0},
    "reuse, delay 1000": {REUSE: 1, DELAY: 1000},
    "reuse, delay 500": {REUSE: 1, DELAY: 500},
    "reuse, delay 250": {REUSE: 1, DELAY: 250},
    "**twtuned**": {},
}
COUNTERS = [("client", "TcpExt", "TCPSynRetrans"), ("server", "TcpExt", "ListenOverflows"),
            ("server", "TcpExt", "TCPChallengeACK"), ("client", "TcpExt", "TWRecycled"), ("client", "Tcp", "OutRsts")]


@contextlib.contextmanager
def quota(pid, percent):
    """Limits the program to this share of one CPU."""
    controller = next(mount for mount in mounts() if mount[2] == "cgroup2" and
                      "cpu" in pathlib.Path(mount[1], "cgroup.controllers").read_text().split() or
                      mount[2] == "cgroup" and "cpu" in mount[3].split(","))
    cgroup = pathlib.Path(controller[1], f"twtuned-bench-{os.getpid()}")
    make_cgroup(cgroup)
    try:
        if controller[2] == "cgroup2":
            (cgroup.parent / "cgroup.subtree_control").write_text("+cpu")
            (cgroup / "cpu.max").write_text(f"{percent * 100} 10000")
        else:
            (cgroup / "cpu.cfs_period_us").write_text("10000")
            (cgroup / "cpu.cfs_quota_us").write_text(str(percent * 100))
        (cgroup / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        os.kill(pid, 9)
        wait_until(lambda: not (cgroup / "cgroup.procs").read_text(), "the server has ended")
        remove_cgroup(cgroup)


def measure(way, percent):
    with Pair() as pair:
        pair.server.sysctl("net.core.somaxconn", 65535)
        for name, value in WAYS[way].items():
            pair.client.sysctl(name, value)
        server = ChurnServer(pair.server, pair.server.ip4)
        with quota(server.pid, percent):
            if "twtuned" in way:
                ticks = Ticks()
                twtuned = Twtuned(pair.client, POLICY, ticks=ticks)
                twtuned.wait_for("^config-loaded")
                ticks.wait(1)
            client = ChurnClient(pair.client, pair.server.ip4, seconds=SECONDS, step=1000)
            connects, failures = client.finish(4 * SECONDS)
            counts = [getattr(pair, host).counter(protocol, name) for host, protocol, name in COUNTERS]
            held = f"{pair.client.sysctl(REUSE)}, {pair.client.sysctl(DELAY)}"
            return [connects / SECONDS, failures, *counts, client.latency[1] / 1000, client.latency[2] / 1000], held


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--percent", type=int, default=25, help="of a CPU that the server may use (default: 25)")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    sweep()
    print(f"Linux {platform.release().split('-')[0]}, {len(os.sched_getaffinity(0))} CPUs; {SECONDS} s at full speed; the "
          f"server has {arguments.percent} % of a CPU\n\n"
          "| | connects/s | failed | SYN retransmits | ListenOverflows at the server | challenge ACKs at the server | "
          "ports reused | RSTs sent | p99, ms | longest, ms | tcp_tw_reuse and its delay at the end |\n" + "|---" * 11 +
          "|", flush=True)
    runs = {way: [] for way in WAYS}
    for _ in range(arguments.rounds):
        for way in WAYS:
            runs[way].append(measure(way, arguments.percent))
    for way in WAYS:
        values = [statistics.median(column) for column in zip(*(run for run, _ in runs[way]))]
        print(f"| {way} | " + " | ".join(f"{value:,.0f}" for value in values) + f" | {runs[way][-1][1]} |", flush=True)


if __name__ == "__main__":
    main()
