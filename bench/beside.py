#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A storm beside very many sockets that have nothing to do with it: 300,000 connections that stay open and 700,000
TIME_WAIT, both of a server on this host. `./dev bench beside` runs it, ten minutes. The exit status is 1 when a bar is
missed. Pairs are interleaved: one run has what twtuned would set already set by hand, the other has twtuned with its
shipped settings, started before the sockets are made.

--large: adds a client on this host that opens 1,000 connections a second all the time, each toward the next of 60,000
destinations; 10,000 listeners; 100,000 cgroups; and more rules, 64 in all, which ask for what only a dump shows."""

import argparse
import contextlib
import os
import pathlib
import platform
import re
import statistics
import sys
import textwrap
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "netns"))
from harness import (POLICY, ChurnClient, ChurnHold, ChurnServer, Pair, Program, Twtuned, make_cgroup,  # noqa: E402
                     mounts, remove_cgroup, sweep, temp_policy)
from sockets import ip, leave_time_wait, listener  # noqa: E402
from observe import running_us  # noqa: E402
from start import BY_HAND  # noqa: E402

OPEN, TIME_WAIT = 300_000, 700_000
HOLDERS = 20  # programs: each may have 20,000 files
SECONDS = 30
BUDGET = 5  # percent: cpu_budget
ROOM = {"net.core.somaxconn": OPEN, "net.ipv4.tcp_max_syn_backlog": OPEN, "net.ipv4.tcp_max_tw_buckets": 4_000_000}
DESTINATIONS, RATE, LISTENERS, CGROUPS, RULES = 60_000, 1000, 10_000, 100_000, 64

CONNECTS = textwrap.dedent("""
    import itertools, socket, sys, time
    destinations, rate = map(int, sys.argv[1:])
    begun = time.monotonic()
    print("ready", flush=True)
    for count in itertools.count():
        n = count % destinations
        socket.create_connection((f"10.{78 + n // 65536}.{n // 256 % 256}.{n % 256}", 8081), 10).close()
        time.sleep(max(begun + count / rate - time.monotonic(), 0))
    """)
ACCEPTS = textwrap.dedent("""
    import socket
    server = socket.create_server(("0.0.0.0", 8081), backlog=4096)
    print("ready", flush=True)
    while True:
        connection, _ = server.accept()
        connection.recv(1)
        connection.close()
    """)
LISTENS = textwrap.dedent("""
    import socket, sys
    servers = [socket.create_server(("0.0.0.0", 10000 + n)) for n in range(int(sys.argv[1]))]
    print("ready", flush=True)
    sys.stdin.read()
    """)


def large_policy():
    """The shipped rules, and others whose conditions do not hold."""
    asks = ["ports.syn_sent >= 101%", "tcp.close_wait >= 9000000", "ports.used >= 60000 for 1min", "tcp.fin_wait1 >= 9000000"]
    text = POLICY.read_text()
    count = RULES - len(re.findall(r"^\[rule ", text, re.M))
    return temp_policy(text + "".join(f"[rule more-{n}]\nwhen = {asks[n % len(asks)]}\nadvise = nothing\n"
                                      for n in range(count)))


@contextlib.contextmanager
def many_cgroups():
    root = next(pathlib.Path(mount[1]) for mount in mounts() if mount[2] == "cgroup2")
    crowd = root / "user.slice" / f"tw-{os.getpid()}"
    try:
        for n in range(CGROUPS):
            make_cgroup(crowd / str(n // 1000) / str(n))
        yield
    finally:
        remove_cgroup(crowd)


def crowd(pair, stack):
    stack.enter_context(many_cgroups())
    Program(pair.server, [sys.executable, "-c", LISTENS, str(LISTENERS)]).wait_for("ready")
    ip(pair.client, "route", "add", "local", "10.78.0.0/15", "dev", "lo")
    ip(pair.server, "route", "add", "10.78.0.0/15", "via", pair.client.ip4)
    Program(pair.client, [sys.executable, "-c", ACCEPTS]).wait_for("ready")
    Program(pair.server, [sys.executable, "-c", CONNECTS, str(DESTINATIONS), str(RATE)]).wait_for("ready")


def fill(pair, stack):
    """The server accepts none of the connections that stay open: one that waits in an accept queue is like any
    other. They are from an address of their own, because the programs that leave TIME_WAIT bind to each port of the
    first."""
    ip(pair.client, "addr", "add", "10.77.0.3/24", "dev", "veth0")
    for n in range(HOLDERS):
        stack.enter_context(listener(pair.server, pair.server.ip4, 1000 + n, backlog=OPEN))
        ChurnHold(pair.client, pair.server.ip4, 1000 + n, count=OPEN // HOLDERS, bind="10.77.0.3",
                  bind_no_port=True)
    leave_time_wait(pair, TIME_WAIT, 2000)


def measure(by_hand, large):
    """(connects of each second, failures, CPU of twtuned in percent, TIME_WAIT before the storm)"""
    with Pair() as pair, contextlib.ExitStack() as stack:
        for name, value in ROOM.items():
            pair.server.sysctl(name, value)
        for name, value in BY_HAND.items() if by_hand else ():
            pair.server.sysctl(name, value)
        if large:
            crowd(pair, stack)
        twtuned = None if by_hand else Twtuned(pair.server, large_policy() if large else POLICY)
        if twtuned:
            twtuned.wait_for("^config-loaded")
        fill(pair, stack)
        if large:
            time.sleep(20)  # until the account of cpu_budget is at rest
        ChurnServer(pair.client, pair.client.ip4)
        before, start = running_us(twtuned.pid) if twtuned else 0, time.monotonic()
        others = pair.server.sockstat("tw")
        client = ChurnClient(pair.server, pair.client.ip4, seconds=SECONDS)
        _, failures = client.finish(2 * SECONDS + 60)
        cpu = (running_us(twtuned.pid) - before) / (time.monotonic() - start) / 1e4 if twtuned else 0
        return [connects for connects, _ in client.seconds[:SECONDS]], failures, cpu, others


def row(name, run):
    seconds, failures, cpu, others = run
    first = ", ".join(f"{connects:,}" for connects in seconds[:5])
    print(f"| {name} | {OPEN:,} | {others:,} | {first} | {min(seconds):,} | {statistics.median(seconds):,.0f} | "
          f"{failures:,} | {f'{cpu:.1f}' if cpu else ''} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--large", action="store_true")
    arguments = parser.parse_args()
    sweep()
    print(f"Linux {platform.release().split('-')[0]}, {len(os.sched_getaffinity(0))} CPUs; as fast as it goes, "
          f"{SECONDS} s\n\n| | open | TIME_WAIT at the start | connects in each of the first seconds | least | median | "
          "failed | CPU of twtuned, % |\n" + "|---" * 8 + "|", flush=True)
    hands, runs = [], []
    for _ in range(arguments.pairs):
        for name, kind in (("by hand", hands), ("**twtuned**", runs)):
            kind.append(measure(kind is hands, arguments.large))
            row(name, kind[-1])
    cpu = statistics.median(cpu for _, _, cpu, _ in runs)
    half = statistics.median(connects for seconds, *_ in hands for connects in seconds) / 2
    slow = [sum(connects < half for connects in seconds) for seconds, *_ in runs]
    slow_hand = [sum(connects < half for connects in seconds) for seconds, *_ in hands]
    holds = True
    for bar, text in ((cpu <= 1.1 * BUDGET, f"{cpu:.1f} % of a core in {SECONDS} s, at most {1.1 * BUDGET:.1f}"),
                      (not any(slow), f"seconds under half of by hand in each run: {slow} (by hand: {slow_hand})")):
        print(f"{'holds' if bar else 'MISSED'}: {text}")
        holds = holds and bar
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
