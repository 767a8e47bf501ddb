#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Connections in any number that hurt nobody: twtuned writes nothing and says nothing. What it costs to see that is
measured by `./dev bench observe`."""

from harness import ChurnClient, ChurnHold, ChurnServer, Pair, check, check_equal, few_ports, main, test
from pressure import LOOKED, Shipped
from sockets import leave_time_wait

REUSE, DELAY = "net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_tw_reuse_delay"


def check_quiet(namespace, twtuned):
    """With the policy as shipped, after enough ticks."""
    twtuned.ticks.wait(LOOKED)
    check_equal(twtuned.lines[1:], [], "log lines after the first")
    check_equal((namespace.sysctl(REUSE), namespace.sysctl(DELAY)), ("2", "1000"), "reuse and delay")
    check_equal(twtuned.stop(), 0, "exit status")


@test("200 connects in one go are no storm", beside=True)
def _():
    with Pair() as pair:
        ChurnServer(pair.server, pair.server.ip4)
        twtuned = Shipped.watch(pair.client)
        for _ in range(4):
            connects, failures = ChurnClient(pair.client, pair.server.ip4, count=200).finish()
            check_equal((connects, failures), (200, 0), "connects and failures")
            twtuned.ticks.wait(1)
        check_quiet(pair.client, twtuned)


@test("idle connections toward one destination, 85 % of the cliff: nothing that reuse could relieve", beside=True)
def _():
    with Pair() as pair:
        few_ports(pair.client, 512)
        ChurnServer(pair.server, pair.server.ip4)
        ChurnHold(pair.client, pair.server.ip4, count=217)
        check_quiet(pair.client, Shipped.watch(pair.client))


@test("12,000 idle connections and the stock range of ports", long=True)
def _():
    with Pair() as pair:
        ChurnServer(pair.server, pair.server.ip4)
        ChurnHold(pair.client, pair.server.ip4, count=12_000)
        check_quiet(pair.client, Shipped.watch(pair.client))


def heavy_server(port, count, ports=None):
    """More TIME_WAIT sockets than there are ephemeral ports."""
    with Pair() as pair:
        if ports:
            few_ports(pair.server, ports)
        leave_time_wait(pair, count, port)
        there = pair.server.sockstat("tw")
        check(there > 2 * (ports or Shipped.PORTS), f"{there} TIME_WAIT sockets are too few to show anything")
        check_quiet(pair.server, Shipped.watch(pair.server))


@test("three times as many TIME_WAIT on a server as it has ephemeral ports: no write", beside=True)
def _():
    heavy_server(8080, 1536, ports=512)


@test("the same on a server that listens inside the ephemeral range", beside=True)
def _():
    heavy_server(40001, 1536, ports=512)


@test("100,000 TIME_WAIT on a server, which listens outside the ephemeral range and inside: no write", long=True)
def _():
    for port in (8080, 40001):
        heavy_server(port, 110_000)


if __name__ == "__main__":
    main()
