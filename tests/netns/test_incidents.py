#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Public incidents of docs/field.md, small: the rule names the cause and what to do, and no other rule logs anything.
Loads that only look like an incident are in test_quiet.py."""

import socket
import sys
import time

from harness import ChurnHold, ChurnServer, Pair, Program, Skip, Single, check, check_equal, few_ports, main, test
from pressure import NOWHERE, Few, check_silent, load_nft
from sockets import (BUSY, DEAF, Load, Repeat, Unit, begin_connect, close_all, connect, ip, listener, silence, states,
                     wait_until)

REUSE = "net.ipv4.tcp_tw_reuse"
RANGE, RESERVED = "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports"


def check_advice(twtuned, rule, *words):
    """The rule advises, with these words in its line; returns the fields."""
    line = twtuned.event("advice", rule)
    text = next(text for text in twtuned.lines if f" RULE={rule} " in text)
    for word in words:
        check(word in text, f"{rule}: no {word!r} in {text}")
    return line


# ---- ports ----

@test("a proxy and its backend on one host, which it reaches by the host's own address: reuse", beside=True)
def _():
    with Pair() as pair:
        few_ports(pair.client, 512)
        ChurnServer(pair.client, pair.client.ip4)
        twtuned = Few.watch(pair.client)
        with Load(pair.client, pair.client.ip4).repeated(40):
            line = twtuned.event("applied", "time-wait-reuse")
            check_equal(line["GROUP"], "10.77.0.1->10.77.0.1:8080", "GROUP")
            twtuned.event("expected-effect", "time-wait-reuse")
        twtuned.check_rules("time-wait-reuse")


# Connects to PEER 8080 from each ADDRESS in turn, RATE a second. no_port: with IP_BIND_ADDRESS_NO_PORT.
FROM = """
import itertools, socket, sys, time
peer, rate, no_port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for address in itertools.cycle(sys.argv[4:]):
    time.sleep(1 / rate)
    with socket.socket() as s:
        s.setsockopt(socket.IPPROTO_IP, 24, no_port)
        try:
            s.bind((address, 0))
            s.connect((peer, 8080))
            s.shutdown(socket.SHUT_WR)
            s.recv(1)
        except OSError as error:
            print(error.errno, flush=True)
"""


def connect_from(namespace, peer, rate, no_port, *addresses):
    return Program(namespace, [sys.executable, "-c", FROM, peer, str(rate), str(no_port), *addresses])


@test("a sidecar that binds to 127.0.0.6 before it connects: told of IP_BIND_ADDRESS_NO_PORT", beside=True)
def _():
    with Pair() as pair:
        few_ports(pair.client, 512)
        ChurnServer(pair.client, pair.client.ip4)
        twtuned = Few.watch(pair.client)
        connect_from(pair.client, pair.client.ip4, 40, 0, "127.0.0.6")
        line = check_advice(twtuned, "bind-before-connect", "IP_BIND_ADDRESS_NO_PORT, 1")
        check_equal(line["GROUP"], "127.0.0.6->10.77.0.1:8080", "GROUP")
        twtuned.check_rules("bind-before-connect")


@test("a proxy with two source addresses: each has its own ports, and reuse helps both", beside=True)
def _():
    with Pair() as pair:
        few_ports(pair.client, 512)
        ip(pair.client, "addr", "add", "10.77.0.3/24", "dev", "veth0")
        ChurnServer(pair.server, pair.server.ip4)
        twtuned = Few.watch(pair.client)
        program = connect_from(pair.client, pair.server.ip4, 60, 1, pair.client.ip4, "10.77.0.3")
        twtuned.event("applied", "time-wait-reuse")
        twtuned.event("expected-effect", "time-wait-reuse")
        check_equal(program.lines, [], "failures")
        twtuned.check_rules("time-wait-reuse")


@test("ports-reserved: reserved ports are named if they leave less than a tenth of the range, else not", beside=True)
def _():
    with Pair() as all_of_it, Pair() as most, Single() as some:
        for host, reserved in ((all_of_it.client, "40000-40999"), (most.client, "40000-40949"), (some, "40000-40898")):
            host.sysctl(RANGE, "40000 40999")
            host.sysctl(RESERVED, reserved)
        ChurnServer(all_of_it.server, all_of_it.server.ip4)
        load = Load(all_of_it.client, all_of_it.server.ip4)
        load.open(3)
        check_equal(load.failures, {"EADDRNOTAVAIL": 3}, "failures")
        twtuned = [Few.watch(host) for host in (all_of_it.client, most.client, some)]
        for one, value in zip(twtuned, ("100.0%", "95.0%")):
            line = check_advice(one, "ports-reserved", f"sysctl -w {RESERVED}=")
            check_equal(line["METRICVALUE"], value, "METRICVALUE")
            one.check_rules("ports-reserved")
        check_silent(twtuned[2])


# ---- peers ----

@test("clients of a backend whose accept queue is full: this cause is named beside a dead backend", beside=True)
def _():
    with Pair() as pair:
        Program(pair.server, [sys.executable, "-c", BUSY, pair.server.ip4, "8080", "4", "1"]).wait_for("^ready$")
        twtuned = Few.watch(pair.client)
        kept = []
        with Repeat(lambda: kept.append(begin_connect(pair.client, pair.server.ip4, 8080)), 0.03):
            check_advice(twtuned, "backend-silent", "too slowly", "nstat -az TcpExtListenOverflows")
        twtuned.check_rules("backend-silent")
        close_all(kept)


@test("backend-silent: a pool of forty connections that wait", beside=True)
def _():
    with Pair() as pair:
        silence(pair.client, NOWHERE)
        twtuned = Few.watch(pair.client)
        pool = [begin_connect(pair.client, NOWHERE, 8080) for _ in range(40)]
        check_equal(twtuned.event("advice", "backend-silent")["GROUP"], f"10.77.0.1->{NOWHERE}:8080", "GROUP")
        twtuned.check_rules("backend-silent")
        close_all(pool)


@test("backend-silent-briefly: a program that gives up after 2 s", beside=True)
def _():
    with Pair() as pair:
        silence(pair.client, NOWHERE)
        twtuned = Few.watch(pair.client, {"ports.used >= 50": "ports.used >= 20"})
        kept = []

        def step():
            kept.append((time.monotonic(), begin_connect(pair.client, NOWHERE, 8080)))
            while kept[-1][0] - kept[0][0] > 2:
                kept.pop(0)[1].close()

        with Repeat(step, 0.06):
            line = twtuned.event("advice", "backend-silent-briefly")
            check_equal(line["GROUP"], f"10.77.0.1->{NOWHERE}:8080", "GROUP")
        twtuned.check_rules("backend-silent-briefly")
        close_all(s for _, s in kept)


@test("last-ack: a firewall swallows the last ACK, and fewer retransmissions are made; then all is put back", beside=True)
def _():
    name = "net.ipv4.tcp_orphan_retries"
    with Pair() as pair:
        peer = listener(pair.server, pair.server.ip4)
        ends = [connect(pair.client, peer) for _ in range(120)]
        twtuned = Few.watch(pair.server)
        for near, _ in ends:
            near.shutdown(socket.SHUT_WR)
        wait_until(lambda: states(pair.server).get("close_wait") == len(ends), "the peers have closed")
        silence(pair.server, pair.client.ip4)  # with the link down, ARP would fail and end it at its next try
        close_all(far for _, far in ends)
        check_equal(states(pair.server).get("last_ack"), len(ends), "LAST_ACK")
        check_equal(twtuned.event("applied", "last-ack")["NEWVALUE"], "6", name)
        wait_until(lambda: "last_ack" not in states(pair.server), "they end")
        twtuned.event("released", "last-ack")
        check_equal(pair.server.sysctl(name), "0", name)
        twtuned.check_rules("last-ack")


def send_and_wait(pair, twtuned, ends, size, *words):
    for end in ends:
        end.send(bytes(size))
    check_advice(twtuned, "dead-peers-with-data", *words)
    twtuned.check_rules("dead-peers-with-data")


@test("a tunnel that drops large packets: MTU is named as a cause, and tcp_mtu_probing = 1 cures it", beside=True)
def _():
    with Pair() as pair:
        load_nft(pair.client, "table ip t { chain c { type filter hook input priority 0; meta length > 1200 drop; }; }")
        peer = listener(pair.server, pair.server.ip4)
        ends = [connect(pair.client, peer) for _ in range(60)]
        twtuned = Few.watch(pair.server)
        send_and_wait(pair, twtuned, [far for _, far in ends], 5000, "ping -M do", "net.ipv4.tcp_mtu_probing=1")
        pair.server.sysctl("net.ipv4.tcp_mtu_probing", 1)
        near, far = connect(pair.client, peer)
        far.send(bytes(5000))
        received = 0
        while received < 5000:
            received += len(near.recv(5000))


@test("a NAT that has forgotten idle connections is named as a cause, with keepalive as the remedy", beside=True)
def _():
    with Pair() as pair:
        peer = listener(pair.server, pair.server.ip4)
        ends = [connect(pair.client, peer) for _ in range(60)]
        twtuned = Few.watch(pair.client)
        load_nft(pair.server, "table ip t { chain c { type filter hook input priority 0; tcp dport 8080 drop; }; }")
        send_and_wait(pair, twtuned, [near for near, _ in ends], 5, "NAT", "SO_KEEPALIVE", "TCP_USER_TIMEOUT")


# ---- listeners ----

@test("a backlog that net.core.somaxconn clamps: both are named, and the listener", beside=True)
def _():
    with Unit() as unit, Pair() as pair:
        pair.server.sysctl("net.core.somaxconn", 8)
        program = unit.python(pair.server, BUSY, pair.server.ip4, 8080, 511, 1)
        twtuned = Few.watch(pair.server)
        kept = []
        with Repeat(lambda: kept.append(begin_connect(pair.client, pair.server.ip4, 8080)), 0.03):
            line = check_advice(twtuned, "accept-queue", "ss -ltn", "sysctl -w net.core.somaxconn=4096")
        check_equal((line["GROUP"], line["CULPRIT"]), ("10.77.0.2:8080", unit.name), "GROUP and CULPRIT")
        twtuned.check_rules("accept-queue")
        close_all(kept)
        program.stop()


@test("a proxy that hangs while its admin port accepts: it is named, with both causes", beside=True)
def _():
    with Unit() as unit, Pair() as pair:
        program = unit.python(pair.server, DEAF, pair.server.ip4, 15006, 16)
        ChurnServer(pair.server, pair.server.ip4, 15000)
        twtuned = Few.watch(pair.server)
        kept = []
        with Load(pair.client, pair.server.ip4, 15000).repeated(5), \
             Repeat(lambda: kept.append(begin_connect(pair.client, pair.server.ip4, 15006)), 0.1):
            line = check_advice(twtuned, "accept-queue", "LimitNOFILE", "hangs")
        check_equal((line["GROUP"], line["CULPRIT"]), ("10.77.0.2:15006", unit.name), "GROUP and CULPRIT")
        twtuned.check_rules("accept-queue")
        close_all(kept)
        program.stop()


# Listens at ADDRESS 8080 with BACKLOG and TCP_DEFER_ACCEPT, and accepts.
DEFERRED = """
import socket, sys
s = socket.create_server((sys.argv[1], 8080), backlog=int(sys.argv[2]))
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 60)
print("ready", flush=True)
kept = []
while True:
    kept.append(s.accept())
"""


@test("connections that a load balancer opens in advance, and TCP_DEFER_ACCEPT: named beside a small backlog", beside=True)
def _():
    with Unit() as unit, Pair() as pair:
        program = unit.python(pair.server, DEFERRED, pair.server.ip4, 50)
        twtuned = Few.watch(pair.server)
        kept = []
        with Repeat(lambda: kept.append(begin_connect(pair.client, pair.server.ip4, 8080)), 0.05):
            line = check_advice(twtuned, "syn-queue", "deferred", "AcceptFilter")
        check_equal((line["GROUP"], line["CULPRIT"]), ("10.77.0.2:8080", unit.name), "GROUP and CULPRIT")
        twtuned.check_rules("syn-queue")
        close_all(kept)
        program.stop()


# ---- UDP ----

# Receives at ADDRESS PORT, with a small buffer of 4 kB, RATE times a second.
RECEIVES = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.bind((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
while True:
    time.sleep(1 / float(sys.argv[3]))
    s.recv(1000)
"""


def datagrams(pair, port, count):
    with pair.client.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for _ in range(count):
            s.sendto(bytes(500), (pair.server.ip4, port))


@test("udp-receive-buffer: a socket that drops datagrams is named with its unit; one burst is silent", beside=True)
def _():
    with Unit() as slow, Unit() as quick, Pair() as drops, Pair() as burst:
        programs = [slow.python(drops.server, RECEIVES, drops.server.ip4, 8125, 5),
                    quick.python(drops.server, RECEIVES, drops.server.ip4, 8126, 1000),
                    slow.python(burst.server, RECEIVES, burst.server.ip4, 8125, 5)]
        twtuned = [Few.watch(pair.server) for pair in (drops, burst)]
        with drops.server.entered():
            stale = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        stale.bind((drops.server.ip4, 8127))  # it has dropped more than the other socket will, but drops no more
        datagrams(drops, 8127, 3000)
        twtuned[0].ticks.wait(2)
        datagrams(burst, 8125, 200)
        check(burst.server.counter("Udp", "RcvbufErrors") > 100, "the burst drops some")
        with Repeat(lambda: (datagrams(drops, 8125, 2), datagrams(drops, 8126, 1)), 0.03):
            line = check_advice(twtuned[0], "udp-receive-buffer", "SO_RCVBUF", "sysctl -w net.core.rmem_max=")
        check_equal((line["GROUP"], line["CULPRIT"]), ("10.77.0.2:8125", slow.name), "GROUP and CULPRIT")
        stale.close()
        twtuned[0].check_rules("udp-receive-buffer")
        check_silent(twtuned[1])
        for program in programs:
            program.stop()


@test("udp.receive_buffer: a socket of IPv6 that drops datagrams is named, though no counter of IPv4 moves", beside=True)
def _():
    with Pair() as pair:
        with pair.server.entered():
            full = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        with pair.client.entered():
            client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        full.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        full.bind((pair.server.ip6, 8125))
        twtuned = Few.watch(pair.server, {"when = snmp.Udp.RcvbufErrors >= 10/s for 10s\n": ""})
        twtuned.ticks.wait(2)
        with Repeat(lambda: client.sendto(bytes(500), full.getsockname()), 0.03):
            line = check_advice(twtuned, "udp-receive-buffer", "SO_RCVBUF")
        check_equal(line["GROUP"], f"[{pair.server.ip6}]:8125", "GROUP")
        close_all((full, client))


if __name__ == "__main__":
    main()
