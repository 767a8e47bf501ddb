#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What twtuned is for: connects that fail on stock sysctls do not fail with twtuned beside them. Real connections, in a
narrow port range; how much faster they are is measured by `./dev bench churn`."""

import time

from harness import (HAS_6_14, POLICY, ChurnClient, ChurnServer, Pair, Single, Twtuned, check, check_equal, diag,
                     few_ports, fields, main, quick_policy, test, wait_until)
from sockets import Load

REUSE, DELAY = "net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_tw_reuse_delay"
RUNGS = [REUSE, DELAY] if HAS_6_14 else [REUSE]
PORTS = 32
# Reuse after 1 s carries 32 connects/s, so none fails before the second rule acts. That rule needs 8/s
# (ports.reuse_demand >= 50%).
RATE = 24
HELD = "15s"  # however slow the machine is, it has 5 connects a second in that time


def sysctls(namespace):
    return namespace.sysctl(REUSE), namespace.sysctl(DELAY)


def changes(twtuned):
    """(kind, sysctl) of each change, in order."""
    return [(line.split(":")[0], fields(line)["SYSCTL"]) for line in twtuned.lines
            if line.startswith(("applied:", "released:"))]


def loaded(namespace, server, family):
    """A load from a namespace with few ports toward a new server."""
    address = server.ip6 if family == "IPv6" else server.ip4
    few_ports(namespace, PORTS)
    ChurnServer(server, address)
    return Load(namespace, address, mapped=family == "IPv4-mapped")


def saves(family):
    with Pair() as pair, Pair() as stock:
        tuned = loaded(pair.client, pair.server, family)
        plain = loaded(stock.client, stock.server, family)
        twtuned = Twtuned(pair.client, quick_policy(HELD))
        twtuned.wait_for("^config-loaded")
        tuned.open(20, pause=1 / RATE)  # all ports of one parity, and some of the other
        twtuned.wait_for(rf"^applied: {REUSE}:")
        with tuned.repeated(RATE):
            twtuned.wait_for(rf"^applied: {RUNGS[-1]}:")
            enough = tuned.connects + 2 * PORTS
            wait_until(lambda: tuned.connects + tuned.failures.total() >= enough, "more connects than there are ports")
            check_equal(sysctls(pair.client), ("1", "250" if HAS_6_14 else "1000"), "reuse and delay under load")
            check(pair.client.counter("TcpExt", "TWRecycled") > 0, "TWRecycled is 0 under load")
        plain.open(tuned.connects)
        diag(f"{family}: {tuned.connects} connects with twtuned, {plain.connects} on stock sysctls")
        check_equal(dict(tuned.failures), {}, "failed connects with twtuned")
        check_equal(list(plain.failures), ["EADDRNOTAVAIL"], "errors on stock sysctls")
        twtuned.wait_for(rf"^released: {REUSE}:")
        in_order = [("applied", rung) for rung in RUNGS] + [("released", rung) for rung in reversed(RUNGS)]
        check_equal(changes(twtuned), in_order, "changes")
        check_equal(sysctls(pair.client), ("2", "1000"), "reuse and delay afterwards")
        check_equal(twtuned.stop(), 0, "exit status")


for family in ("IPv4", "IPv6", "IPv4-mapped"):
    test(f"{family}: no connect fails where stock runs out of ports; the rules act, and are released in reverse",
         beside=True)(lambda family=family: saves(family))


def loopback(pasted_reuse):
    with Single() as host:
        host.sysctl(REUSE, pasted_reuse)
        load = loaded(host, host, "IPv4")
        twtuned = Twtuned(host, quick_policy(HELD))
        twtuned.wait_for("^config-loaded")
        with load.repeated(RATE):
            twtuned.wait_for(rf"^applied: {DELAY}:")
        check_equal(sysctls(host), (str(pasted_reuse), "250"), "reuse and delay under load")
        # Each round takes every port, and the round before used all: with the stock delay of 1 s, connects would fail.
        for _ in range(5):
            time.sleep(0.3)
            load.open(PORTS)
        check_equal(dict(load.failures), {}, "failed connects")
        twtuned.wait_for(rf"^released: {DELAY}:")
        check_equal(sysctls(host), (str(pasted_reuse), "1000"), "reuse and delay afterwards")
        check_equal(changes(twtuned), [("applied", DELAY), ("released", DELAY)], "changes")


@test("loopback under the stock tcp_tw_reuse=2: the second rule alone acts, and ports are reused sooner", beside=True)
def _():
    loopback(2)


@test("a host with a pasted tcp_tw_reuse=1: the second rule alone acts, and ports are reused sooner", beside=True)
def _():
    loopback(1)


@test("the stock port range, the shipped policy, a client without a limit: reuse in time, no failure, released",
      long=True)
def _():
    with Pair() as pair:
        ChurnServer(pair.server, pair.server.ip4)
        twtuned = Twtuned(pair.client, POLICY)
        twtuned.wait_for("^config-loaded")
        client = ChurnClient(pair.client, pair.server.ip4, seconds=10)
        twtuned.wait_for(rf"^applied: {REUSE}:")
        check_equal(client.finish()[1], 0, "failed connects")
        check(pair.client.counter("TcpExt", "TWRecycled") > 0, "TWRecycled is 0")
        twtuned.wait_for(rf"^released: {REUSE}:", 600)
        check_equal(sysctls(pair.client), ("2", "1000"), "reuse and delay afterwards")
        check_equal(twtuned.stop(), 0, "exit status")


if __name__ == "__main__":
    main()
