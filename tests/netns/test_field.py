#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Public incidents, small: the rule of the right cause advises, and no other does. Loads that only look like one:
nothing is logged."""

import itertools
import socket
import sys

from harness import (POLICY, ChurnClient, ChurnHold, ChurnServer, Pair, Program, Single, Skip, binary, check,
                     check_equal, few_ports, main, temp_policy, test)
from pressure import NOWHERE, Few, check_silent
from sockets import (BUSY, DEAF, HOARDER, Load, Repeat, Unit, begin_connect, close_all, connect, ip, listener, once,
                     only_ports, silence, states, value, wait_until)

REUSE = "net.ipv4.tcp_tw_reuse"
TIMESTAMPS = "net.ipv4.tcp_timestamps"


# ---- the ports ----

@test("timestamps-off: they are off here, so reuse is not tried; at the peer, and it is", beside=True)
def _():
    with Pair() as here, Pair() as there:
        watches = []
        for pair, host in ((here, here.client), (there, there.server)):
            few_ports(pair.client, 512)
            host.sysctl(TIMESTAMPS, 0)
            ChurnServer(pair.server, pair.server.ip4)
            watches.append(Few.watch(pair.client))
        loads = [Load(pair.client, pair.server.ip4).repeated(60) for pair in (here, there)]
        with loads[0], loads[1]:
            line = watches[0].event("advice", "timestamps-off")
            check_equal(line["GROUP"], "10.77.0.1->10.77.0.2:8080", "GROUP")
            check("sysctl -w net.ipv4.tcp_timestamps=1" in watches[0].lines[-1], watches[0].lines[-1])
            watches[1].event("applied", "time-wait-reuse")
        check_equal(here.client.sysctl(REUSE), "2", REUSE)
        watches[0].check_rules("timestamps-off")


# A connection from ADDRESS to PEER 8080 that binds first, RATE a second.
BINDS = """
import socket, sys, time
address, peer, rate = sys.argv[1], sys.argv[2], int(sys.argv[3])
while True:
    time.sleep(1 / rate)
    with socket.socket() as s:
        if len(sys.argv) > 4:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((address, 0))
            s.connect((peer, 8080))
        except OSError:
            continue
        s.shutdown(socket.SHUT_WR)
        s.recv(1)
"""


def bind_toward_one(*options):
    with Pair() as pair:
        few_ports(pair.client, 1000)
        ChurnServer(pair.server, pair.server.ip4)
        twtuned = Few.watch(pair.client)
        argv = [sys.executable, "-c", BINDS, pair.client.ip4, pair.server.ip4, "40", *options]
        program = Program(pair.client, argv)
        line = twtuned.event("advice", "bind-before-connect")
        check_equal(line["GROUP"], "10.77.0.1->10.77.0.2:8080", "GROUP")
        check_equal(pair.client.sysctl(REUSE), "2", REUSE)
        twtuned.check_rules("bind-before-connect")
        program.stop()


@test("bind-before-connect: toward a single destination, and reuse is not tried", beside=True)
def _():
    bind_toward_one()


@test("bind-before-connect: with SO_REUSEADDR from a quarter of the ports on", beside=True)
def _():
    bind_toward_one("reuseaddr")


@test("silent: connect() toward one destination in a part of the range that begins with bind()'s parity", beside=True)
def _():
    with Pair() as pair:
        few_ports(pair.client, 1000)
        low = int(pair.client.sysctl("net.ipv4.ip_local_port_range").split()[0]) + 101
        ChurnServer(pair.server, pair.server.ip4)
        kept = []
        with pair.client.entered():
            for _ in range(80):
                kept.append(socket.socket())
                only_ports(kept[-1], low, low + 199)
                kept[-1].connect((pair.server.ip4, 8080))
        metrics = once(pair.client)
        check_equal(value(metrics, "ports.bind_order"), 0, "ports.bind_order")
        check_equal(value(metrics, "ports.used"), 80, "ports.used")


# Binds COUNT sockets to ports of the range, and does nothing more.
ONLY_BINDS = """
import socket, sys, time
kept = []
for _ in range(int(sys.argv[1])):
    kept.append(socket.socket())
    kept[-1].bind(("0.0.0.0", 0))
print("ready", flush=True)
time.sleep(1000)
"""


def only_bind(unit, namespace, count):
    program = unit.python(namespace, ONLY_BINDS, count)
    metrics = once(namespace)
    if value(metrics, "ports.bound") == 0:
        raise Skip("before Linux 6.8 no bound socket is shown")
    return program, metrics


@test("ports-bound: sockets that are only bound count as taken, so reuse comes in time; their unit is named",
      beside=True)
def _():
    with Unit() as unit, Pair() as pair:
        few_ports(pair.client, 512)
        program, metrics = only_bind(unit, pair.client, 384)  # all ports of one parity, and half of the other
        check_equal(value(metrics, "ports.bound"), 75, "ports.bound")
        ChurnServer(pair.server, pair.server.ip4)
        twtuned = Few.watch(pair.client)
        load = Load(pair.client, pair.server.ip4)
        with load.repeated(20):
            line = twtuned.event("advice", "ports-bound")
            check_equal(line["CULPRIT"], unit.name, "CULPRIT")
            twtuned.event("applied", "time-wait-reuse")
            wait_until(lambda: load.connects > 256, "twice as many connections as ports")
        check_equal(load.failures, {}, "failures")
        twtuned.check_rules("ports-bound", "time-wait-reuse")
        program.stop()


@test("silent: sockets that are only bound on a third of the ports, and a light load beside them", beside=True)
def _():
    with Unit() as unit, Pair() as pair:
        few_ports(pair.client, 512)
        program, _ = only_bind(unit, pair.client, 170)
        ChurnServer(pair.server, pair.server.ip4)
        twtuned = Few.watch(pair.client)
        ChurnClient(pair.client, pair.server.ip4, count=60, rate=10).finish()
        check_silent(twtuned)
        program.stop()


# Makes COUNT UDP sockets with a port each, or on one port.
UDP = """
import socket, sys, time
kept = []
for _ in range(int(sys.argv[1])):
    kept.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    kept[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, len(sys.argv) > 2)
    kept[-1].bind(("0.0.0.0", int(sys.argv[2]) if len(sys.argv) > 2 else 0))
print("ready", flush=True)
time.sleep(1000)
"""


@test("udp-ports: a port for each socket, of the range or of what is not reserved of it, and the unit is named; as many "
      "sockets on one port are silent", beside=True)
def _():
    with Unit() as unit, Single() as client, Single() as reserved, Single() as server:
        for host in (client, reserved, server):
            few_ports(host, 512)
        reserved.sysctl("net.ipv4.ip_local_reserved_ports", "40000-40255")
        programs = [unit.python(client, UDP, 450), unit.python(reserved, UDP, 225), unit.python(server, UDP, 450, 40100)]
        twtuned = [Few.watch(host) for host in (client, reserved, server)]
        for watch in twtuned[:2]:
            line = watch.event("advice", "udp-ports")
            check_equal((line["CULPRIT"], line["METRICVALUE"]), (unit.name, "87.9%"), "CULPRIT and METRICVALUE")
        check_silent(twtuned[2])
        for watch in twtuned[:2]:
            watch.check_rules("udp-ports")
        for program in programs:
            program.stop()


@test("--once puts first what is out of the ordinary: the rule, the value and the destination", beside=True)
def _():
    with Pair() as pair:
        few_ports(pair.client, 100)
        ChurnServer(pair.server, pair.server.ip4)
        argv = [binary("twtuned"), "--once", f"--config={POLICY}"]
        first = pair.client.run(argv).stdout.splitlines()[0]
        check(first.startswith("tcp.established 0 "), first)
        ChurnHold(pair.client, pair.server.ip4, count=49)
        lines = pair.client.run(argv).stdout.splitlines()
        check(lines[0].startswith("! ports-held: ") and "10.77.0.1->10.77.0.2:8080" in lines[0], lines[0])
        check(lines[1].startswith("tcp.established "), lines[1])
        bare = temp_policy("[rule a]\nwhen = tcp.established >= 0\nadvise = x\n")
        lines = pair.client.run([binary("twtuned"), "--once", f"--config={bare}"]).stdout.splitlines()
        check_equal(lines[0], "! a: tcp.established 49", "a rule without a description, a value without a unit")


@test("--once says which file cannot be read: 1; a wrong line in it is ignored", beside=True)
def _():
    with Single() as host:
        for args in ([], ["--json"]):
            run = host.run([binary("twtuned"), "--once", "--config=/no/such", *args], check=False)
            said = "/no/such: cannot be read: No such file or directory\n"
            check_equal((run.returncode, run.stderr), (1, said), args)
            check("tcp.established" in run.stdout, run.stdout)
        wrong = temp_policy("[rule a]\nwhen = tcp.established >= 0\nadvise = x\n[rule b]\nwhen = no.such > 1\n")
        run = host.run([binary("twtuned"), "--once", f"--config={wrong}"])
        check_equal((run.stdout.splitlines()[0][:5], run.stderr), ("! a: ", ""), "with a wrong line")


# ---- peers ----

@test("backend-silent: long before the ports are gone; connects that are refused are silent", beside=True)
def _():
    with Pair() as dead, Pair() as refused:
        silence(dead.client, NOWHERE)
        twtuned = [Few.watch(pair.client) for pair in (dead, refused)]
        kept = []
        with Repeat(lambda: kept.append(begin_connect(dead.client, NOWHERE, 8080)), 0.03), \
             Repeat(lambda: kept.append(begin_connect(refused.client, refused.server.ip4, 8080)), 0.03):
            line = twtuned[0].event("advice", "backend-silent")
            check_equal((line["GROUP"], line["METRIC"]), (f"10.77.0.1->{NOWHERE}:8080", "ports.unanswered"), "culprit")
            twtuned[0].check_rules("backend-silent")
            check_silent(twtuned[1])
        close_all(kept)


@test("dead-peers-with-data: data that is not acknowledged, six times sent; a slow reader is silent", beside=True)
def _():
    with Pair() as gone, Pair() as slow:
        twtuned, ends = [], []
        for pair in (gone, slow):
            peer = listener(pair.server, pair.server.ip4)
            ends.append([connect(pair.client, peer) for _ in range(60)])
            twtuned.append(Few.watch(pair.server))
        ip(gone.client, "link", "set", "veth0", "down")
        for _, far in ends[0]:
            far.send(b"heartbeat")
        for _, far in ends[1]:  # the windows are full, and the peer answers each probe
            far.setblocking(False)
            try:
                while True:
                    far.send(bytes(65536))
            except BlockingIOError:
                pass
        line = twtuned[0].event("advice", "dead-peers-with-data")
        check_equal(line["METRIC"], "tcp.data_unanswered", "METRIC")
        twtuned[0].check_rules("dead-peers-with-data")
        check_silent(twtuned[1])


# ---- listeners ----

# Listens at ADDRESS 8080 with a limit of FILES descriptors, and never closes what it accepts.
EMFILE = """
import resource, socket, sys, time
s = socket.create_server((sys.argv[1], 8080), backlog=8)
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), int(sys.argv[2])))
kept = []
print("ready", flush=True)
while True:
    try:
        kept.append(s.accept())
    except OSError:
        time.sleep(0.05)
"""


@test("accept-queue-stuck: a program without file descriptors is told of these, and of no backlog", beside=True)
def _():
    with Unit() as unit, Pair() as pair:
        unit.python(pair.server, EMFILE, pair.server.ip4, 20)
        twtuned = Few.watch(pair.server)
        kept = []
        with Repeat(lambda: kept.append(begin_connect(pair.client, pair.server.ip4, 8080)), 0.05):
            line = twtuned.event("advice", "accept-queue-stuck")
        check_equal((line["GROUP"], line["CULPRIT"]), ("10.77.0.2:8080", unit.name), "GROUP and CULPRIT")
        check("LimitNOFILE" in twtuned.lines[-1], twtuned.lines[-1])
        twtuned.check_rules("accept-queue-stuck")
        close_all(kept)


@test("accept-queue-stuck: a program that hangs, and a client now and then: no burst is named", beside=True)
def _():
    with Unit() as unit, Pair() as pair:
        unit.python(pair.server, DEAF, pair.server.ip4, 8080, 4)
        clients = [begin_connect(pair.client, pair.server.ip4, 8080) for _ in range(5)]  # one more than the backlog
        wait_until(lambda: pair.server.counter("Tcp", "PassiveOpens") == 5, "the accept queue is full")
        twtuned = Few.watch(pair.server)
        for n in range(6):  # each sends one SYN, which is dropped
            twtuned.ticks.wait(3)
            clients.append(begin_connect(pair.client, pair.server.ip4, 8080))
            wait_until(lambda: pair.server.counter("TcpExt", "ListenOverflows") > n, "it is dropped")
            clients.pop().close()
        line = twtuned.event("advice", "accept-queue-stuck")
        check_equal((line["GROUP"], line["CULPRIT"]), ("10.77.0.2:8080", unit.name), "GROUP and CULPRIT")
        twtuned.ticks.wait(2)
        twtuned.check_rules("accept-queue-stuck")
        close_all(clients)


def burst(pair, bursts):
    """So many bursts of 30 clients, a few seconds apart, toward a program that accepts 20 times a second."""
    argv = [sys.executable, "-c", BUSY, pair.server.ip4, "8080", "4", "0.05"]
    Program(pair.server, argv).wait_for("^ready$")
    twtuned = Few.watch(pair.server)
    for n in range(bursts):
        before = pair.server.counter("TcpExt", "ListenOverflows")
        close_all([begin_connect(pair.client, pair.server.ip4, 8080) for _ in range(30)])
        wait_until(lambda: pair.server.counter("TcpExt", "ListenOverflows") > before, "the burst drops some")
        twtuned.ticks.wait(5)
    return twtuned


@test("accept-queue-bursts: each burst drops some, and in between all is well; one burst is silent", beside=True)
def _():
    with Pair() as often, Pair() as one:
        silent = burst(one, 1)
        twtuned = burst(often, 4)
        line = twtuned.event("advice", "accept-queue-bursts")
        check_equal((line["GROUP"], line["METRIC"]), ("10.77.0.2:8080", "listen.bursts"), "GROUP and METRIC")
        twtuned.check_rules("accept-queue-bursts")
        silent.check_rules()


# Connects from ADDRESS to PEER 8080 and each of PORTS from 40000 on, again and again, RATE a second.
SAME_PORTS = """
import socket, sys, time
while True:
    for port in range(40000, 40000 + int(sys.argv[3])):
        time.sleep(1 / int(sys.argv[4]))
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.settimeout(0.2)
            try:
                s.bind((sys.argv[1], port))
                s.connect((sys.argv[2], 8080))
                s.send(b"x")  # the server closes first
                s.recv(1)
            except OSError:
                pass
"""


@test("paws-time-wait: two clocks behind one address meet a TIME_WAIT here, often or now and then; one clock does not", beside=True)
def _():
    with Pair() as two, Pair() as few, Pair() as one:
        twtuned = []
        for pair, ports, rate in ((two, 60, 30), (few, 20, 3), (one, 60, 30)):
            if "PAWSTimewait" not in pair.server.run(["cat", "/proc/net/netstat"]).stdout:
                raise Skip("before Linux 6.14 nothing counts this")
            ChurnServer(pair.server, pair.server.ip4)
            Program(pair.client, [sys.executable, "-c", SAME_PORTS, pair.client.ip4, pair.server.ip4, str(ports), str(rate)])
            twtuned.append(Few.watch(pair.server))
        clocks = itertools.cycle((2, 1))  # 1: with an offset that depends on the addresses, 2: without

        def step():
            clock = next(clocks)
            for pair in (two, few):
                pair.client.sysctl(TIMESTAMPS, clock)

        with Repeat(step, 3):
            for watch in twtuned[:2]:
                watch.event("advice", "paws-time-wait")
                watch.check_rules("paws-time-wait")
        check_silent(twtuned[2])  # the counter may be 1: on two CPUs an ACK can be overtaken by the FIN sent after it


@test("range-covers-services: said once; a low range whose lower part is reserved is silent", beside=True)
def _():
    name = "net.ipv4.ip_local_port_range"
    with Single() as low, Single() as reserved:
        for host in (low, reserved):
            host.sysctl(name, "10000 40999")
        reserved.sysctl("net.ipv4.ip_local_reserved_ports", "10000-32767")
        twtuned = [Few.watch(host) for host in (low, reserved)]
        line = twtuned[0].event("advice", "range-covers-services")
        check_equal(line["METRICVALUE"], "22768", "METRICVALUE")
        check_silent(twtuned[1])
        check_equal(len(twtuned[0].said()), 1, "lines")


if __name__ == "__main__":
    main()
