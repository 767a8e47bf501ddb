#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Connections in any number that hurt nobody: twtuned writes nothing and says nothing. What it costs to see that is
measured by `./dev bench observe`."""

import socket
import sys

from harness import (ChurnClient, ChurnHold, ChurnServer, Pair, Program, check, check_equal, few_ports, main, test,
                     wait_until)
from pressure import LOOKED, Few, Shipped, check_silent
from sockets import close_all, connect, ip, keep_time_wait, leave_time_wait, listener, states

REUSE, DELAY = "net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_tw_reuse_delay"


def check_quiet(namespace, twtuned):
    """Nothing is logged or set, with the policy as shipped and after enough ticks."""
    twtuned.ticks.wait(LOOKED)
    check_equal(twtuned.said(), [], "log lines after the first")
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


def closed_at_once(pair, pool):
    """A pool that is closed at once and not opened again: all of its connections were seen open before."""
    keep_time_wait(pair.client)
    ChurnServer(pair.server, pair.server.ip4)
    twtuned = Shipped.watch(pair.client)
    hold = ChurnHold(pair.client, pair.server.ip4, count=pool)
    twtuned.ticks.wait(3)
    hold.stop()
    wait_until(lambda: pair.client.sockstat("tw") == pool, "TIME_WAIT")
    check_quiet(pair.client, twtuned)
    check_quiet(pair.client, Shipped.watch(pair.client))  # a daemon that starts now


@test("a pool that is closed at once, 64 % of the cliff", beside=True)
def _():
    with Pair() as pair:
        few_ports(pair.client, 512)
        closed_at_once(pair, 163)


@test("a pool of 9,000 connections that is closed at once, and the stock range of ports", long=True)
def _():
    with Pair() as pair:
        closed_at_once(pair, 9000)


# Connects to PEER from ADDRESS and COUNT ports from FIRST on, then again: RATE a second. Prints each round.
OWN_PORTS = """
import socket, sys, time
(peer, address), (first, count, rate) = sys.argv[1:3], map(int, sys.argv[3:])
while True:
    for port in range(first, first + count):
        time.sleep(1 / rate)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((address, port))
            s.connect((peer, 8080))
            s.shutdown(socket.SHUT_WR)
            s.recv(1)
    print("round", flush=True)
"""


def own_ports(ports, own, rate):
    """The kernel lets such a program take its own port in TIME_WAIT again (net/ipv4/tcp_ipv4.c:tcp_twsk_unique)."""
    with Pair() as pair:
        few_ports(pair.client, ports)
        ChurnServer(pair.server, pair.server.ip4)
        argv = [sys.executable, "-c", OWN_PORTS, pair.server.ip4, pair.client.ip4, "40000", str(own), str(rate)]
        program = Program(pair.client, argv)
        program.wait_for("^round$")
        twtuned = Shipped.watch(pair.client)
        program.wait_for("^round$", since=len(program.lines) + 1)
        check_quiet(pair.client, twtuned)
        check_equal(program.process.poll(), None, "exit status of the program")


@test("a program that takes ports of its own, nearly all there are, and the same ones again", beside=True)
def _():
    own_ports(512, 500, 200)


@test("the same with 10,000 ports", long=True)
def _():
    own_ports(20_000, 10_000, 500)


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


# ---- look-alikes of the rules of test_incidents.py ----

@test("clients that close first, and are gone before the last ACK: too few to hurt", beside=True)
def _():
    with Pair() as pair:
        peer = listener(pair.server, pair.server.ip4)
        ends = [connect(pair.client, peer) for _ in range(90)]
        twtuned = Few.watch(pair.server)
        for near, _ in ends:
            near.shutdown(socket.SHUT_WR)
        wait_until(lambda: states(pair.server).get("close_wait") == len(ends), "the clients have closed")
        ip(pair.client, "link", "set", "veth0", "down")
        close_all(far for _, far in ends)
        check_equal(states(pair.server).get("last_ack"), len(ends), "LAST_ACK")
        check_silent(twtuned)


@test("half of the ports reserved for services, and a light load beside them", beside=True)
def _():
    with Pair() as pair:
        few_ports(pair.client, 1000)
        pair.client.sysctl("net.ipv4.ip_local_reserved_ports", "40000-40499")
        ChurnServer(pair.server, pair.server.ip4)
        twtuned = Few.watch(pair.client)
        check_equal(ChurnClient(pair.client, pair.server.ip4, count=60).finish(), (60, 0), "connects and failures")
        check_silent(twtuned)


@test("a UDP server that keeps up, and a full socket to which nobody sends any more", beside=True)
def _():
    with Pair() as pair:
        server, full, client = [], [], []
        for namespace, sockets in ((pair.server, server), (pair.server, full), (pair.client, client)):
            with namespace.entered():
                sockets.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        server, full, client = server[0], full[0], client[0]
        for one in (server, full):
            one.bind((pair.server.ip4, 0))
        full.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        twtuned = Few.watch(pair.server)
        for _ in range(50):
            client.sendto(bytes(500), full.getsockname())
        dropped = pair.server.counter("Udp", "RcvbufErrors")
        check(dropped > 30, f"{dropped} of 50 datagrams dropped")
        for _ in range(LOOKED):
            for _ in range(200):
                client.sendto(bytes(500), server.getsockname())
                server.recv(500)
            twtuned.ticks.wait(1)
        check_equal(pair.server.counter("Udp", "RcvbufErrors"), dropped, "RcvbufErrors")
        twtuned.check_rules()
        close_all((server, full, client))


if __name__ == "__main__":
    main()
