#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What twtuned sees of the ephemeral ports: ports.*, against sockets that are known."""

import re
import socket

from harness import ChurnHold, ChurnServer, Pair, Single, check, check_equal, main, test
from sockets import check_between, check_value, close_all, listener, once, only_ports, value, wait_until
from ticks import narrow


def hold_toward_four(host, **options):
    """4 x 100 connections on 500 ports. connect() takes one parity first, 250 ports, so at least 150 share a port."""
    narrow(host, 500)
    for port in range(8080, 8084):
        ChurnServer(host, host.ip4, port)
        ChurnHold(host, host.ip4, port, count=100, **options)
    return once(host)


@test("ports.bind_first: programs that bind before they connect share no port, so they run out of the source's",
      beside=True)
def _():
    with Single() as host:
        metrics = hold_toward_four(host, bind=host.ip4)
        check_between(metrics, "ports.bind_first", 95, 100)
        check_between(metrics, "ports.source_used", 79.9, 80.1)
        check_value(metrics, "ports.used", 100)
        check_between(metrics, "ports.exhaustion", 19.9, 20.1)
    with Single() as host:
        metrics = hold_toward_four(host)
        check_between(metrics, "ports.bind_first", 0, 5)
        check_between(metrics, "ports.source_used", 20, 50.1)
        check_value(metrics, "ports.used", 100)


@test("connect() toward two destinations is no sign of bind(), although they have no port in common", beside=True)
def _():
    with Single() as host:
        host.sysctl("net.ipv4.ip_local_port_range", "20000 20999")
        kept = []
        for port, low in ((8080, 20000), (8081, 20500)):
            ChurnServer(host, host.ip4, port)
            with host.entered():
                for _ in range(200):
                    kept.append(socket.socket())
                    only_ports(kept[-1], low, low + 499)
                    kept[-1].connect((host.ip4, port))
        metrics = once(host)
        check_between(metrics, "ports.source_used", 39.9, 40.1)  # all 400 are different
        check_between(metrics, "ports.bind_first", 0, 20)


@test("reserved ports of more than 64 KiB of text are read whole", beside=True)
def _():
    with Single() as host:
        host.sysctl("net.ipv4.ip_local_port_range", "10000 59999")
        odd = range(10001, 60000, 2)
        with host.entered():
            for n in range(0, len(odd), 500):  # a write takes a page at most; one that is not at offset 0 adds
                with open("/proc/sys/net/ipv4/ip_local_reserved_ports", "r+b", buffering=0) as file:
                    file.seek(n and 1)
                    file.write(",".join(map(str, odd[n:n + 500])).encode())
            with open("/proc/sys/net/ipv4/ip_local_reserved_ports", "rb", buffering=0) as file:
                text = file.read(1 << 20)  # a second read gets nothing
        check_equal(text.decode().strip(), ",".join(map(str, odd)), "the reserved ports")
        ChurnServer(host, host.ip4)
        ChurnHold(host, host.ip4, count=250)
        check_between(once(host), "ports.exhaustion", 0.99, 1.01)  # 250 of the 25,000 that are left


@test("few connections, or many toward one destination, are no sign of bind()", beside=True)
def _():
    with Single() as host:
        narrow(host, 500)
        ChurnServer(host, host.ip4)
        ChurnServer(host, host.ip4, 8081)
        ChurnHold(host, host.ip4, 8081, count=5)
        ChurnHold(host, host.ip4, count=200)
        check_value(once(host), "ports.bind_first", 0)


@test("IPv4-mapped sockets count as IPv4", beside=True)
def _():
    with Pair() as pair:
        ChurnServer(pair.server, pair.server.ip4)
        ChurnHold(pair.client, pair.server.ip4, count=10)
        ChurnHold(pair.client, pair.server.ip4, count=7, mapped=True)
        ChurnServer(pair.server, pair.server.ip6)
        ChurnHold(pair.client, pair.server.ip6, count=5)
        metrics = once(pair.client)
        check_value(metrics, "ports.used", 17)
        check_equal(metrics["ports.used"]["who"], "10.77.0.1->10.77.0.2:8080", "the busiest")
        check_value(metrics, "tcp.established", 22)


@test("reserved and listening ports are not usable", beside=True)
def _():
    with Pair() as pair:
        client = pair.client
        ChurnServer(pair.server, pair.server.ip4)
        client.sysctl("net.ipv4.ip_local_port_range", "20000 20099")
        ChurnHold(client, pair.server.ip4, count=20)
        check_value(once(client), "ports.exhaustion", 20)

        client.sysctl("net.ipv4.ip_local_reserved_ports", "20000-20049")
        second = ChurnServer(pair.server, pair.server.ip4, 8081)
        ChurnHold(client, pair.server.ip4, 8081, count=20)
        metrics = once(client)
        check_equal(metrics["ports.used"]["who"], "10.77.0.1->10.77.0.2:8081", "the busiest")
        check_value(metrics, "ports.exhaustion", 40)  # of 50

        used = {int(port) for port in re.findall(r" 10\.77\.0\.1:(\d+) ", client.run(["ss", "-tan"]).stdout)}
        free = [port for port in range(20050, 20100) if port not in used]
        listeners = [listener(client, "127.0.0.1", port) for port in free[:10]]
        check_value(once(client), "ports.exhaustion", 50)  # of 40
        close_all(listeners)
        wait_until(lambda: value(once(client), "ports.exhaustion") == 40, "they are usable again")
        check(second.process.poll() is None, "the server ended")


main()
