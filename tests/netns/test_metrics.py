#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What twtuned sees: each metric against sockets that are known, in the kernel's own tables."""

import csv
import json
import os
import re
import resource
import socket
import struct
import subprocess
import time

from harness import (ChurnHold, ChurnServer, Pair, Program, Single, Skip, Twtuned, binary, check, check_equal,
                     fields, main, temp_dir, temp_policy, test)
from pressure import STALLS
from sockets import (DEAF, HOARDER, Repeat, Unit, begin_connect, check_between, check_value, close_all, connect, ip,
                     keep_time_wait, listener, once, silence, states, value, wait_until)
from ticks import Ticking, wait_rows

REUSE = "net.ipv4.tcp_tw_reuse"


# ---- what is printed ----

@test("--once and --once --json print the same metrics; unavailable, invalid and zero are three things", beside=True)
def _():
    with Single() as host:
        pairs = []
        text = host.run([binary("twtuned"), "--once", "--json"]).stdout
        metrics = json.loads(text, object_pairs_hook=lambda p: pairs.append(p) or dict(p))
        lines = [line.split(" ") for line in host.run([binary("twtuned"), "--once"]).stdout.splitlines()]
        check_equal([line for line in lines if line[0] == "!"], [], "what is out of the ordinary")
        check_equal([line[0] for line in lines], [name for name, _ in pairs[-1]], "names, and their order")
        check_equal(len(metrics), len(lines), "number of names")

        for name, printed, unit, *_ in lines:
            metric = metrics[name]
            check_equal(metric["unit"], unit.replace("-", ""), f"unit of {name}")
            check(metric["state"] in ("valid", "invalid", "unavailable"), f"{name}: {metric}")
            null = metric["state"] != "valid" or name == "ports.cliff_eta"  # JSON has no infinity
            check_equal(metric["value"] is None, null, f"null of {name}")
            if metric["state"] != "valid":
                check_equal(printed, metric["state"], name)
            else:
                float(printed)
        printed = {line[0]: line[1] for line in lines}
        # These are of the whole host, and only the first network namespace has their limits.
        for name in ("orphans.table", "memory.tcp"):
            check_equal(printed[name], "unavailable", name)
        for name in ("close_wait.growth", "opens.resets", "opens.syn_retransmits"):
            check_equal(printed[name], "invalid", name)
        for name in ("tcp.established", "ports.used", "accept_queue.worst", "listen.drops", "time_wait.table"):
            check_equal(printed[name], "0", name)
        check_equal(printed["ports.cliff_eta"], "inf", "ports.cliff_eta")
        for prefix in ("tcp", "ports", "netstat.TcpExt", "snmp.Tcp"):
            check(any(name.startswith(prefix + ".") for name in metrics), f"no {prefix}.*")


@test("in the first network namespace, what is the whole host's is there", beside=True)
def _():
    argv = [binary("twtuned"), "--once", "--json"]
    metrics = json.loads(subprocess.run(argv, text=True, capture_output=True).stdout)
    if not os.path.exists("/proc/sys/net/ipv4/tcp_max_orphans"):
        raise Skip("this is not the first network namespace")
    check_between(metrics, "orphans.table", 0, 100)
    check_between(metrics, "memory.tcp", 0, 100)


@test("what twtuned itself takes is there, and plausible")
def _():
    def cpu_ms():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return 1000 * (usage.ru_utime + usage.ru_stime)
    with Single() as host:
        before = cpu_ms()
        metrics = once(host)
        used = cpu_ms() - before  # of the whole process
        check_between(metrics, "self.rss", 500e3, 20e6)
        check_between(metrics, "self.observe_cpu", 0.001, used + 1)


# ---- drops: these tests run alone, because no SYN may be sent again ----

def fill_queue(pair, count):
    """Opens `count` connections to port 8080, which nobody accepts."""
    kept = [begin_connect(pair.client, pair.server.ip4, 8080) for _ in range(count)]
    wait_until(lambda: states(pair.client).get("established") == count, "they are established")
    return kept


def drop(pair, count):
    """Begins `count` connections to port 8080, where the queue is full. None sends its SYN again, unless another
    thread forks: its child has the sockets, too, until it executes a program."""
    close_all([begin_connect(pair.client, pair.server.ip4, 8080) for _ in range(count)])


@test("listen.drops adds up to what the kernel counts as ListenDrops")
def _():
    path = temp_dir() / "recording.csv"
    policy = temp_policy("[daemon]\ninterval = 100ms\n[rule drops]\nwhen = netstat.TcpExt.ListenDrops >= 1000000/s\n"
                         f"set = {REUSE} = 1\n")
    with Pair() as pair:
        kept = [listener(pair.server, pair.server.ip4, backlog=1)]
        twtuned = Twtuned(pair.server, policy, [f"--record={path}"])
        twtuned.wait_for("^config-loaded")
        kept += fill_queue(pair, 2)
        wait_rows(path, 2)
        for count in (5, 10, 15, 20):
            drop(pair, 5)
            wait_until(lambda: pair.server.counter("TcpExt", "ListenDrops") >= count, f"{count} are dropped")
            wait_rows(path, 1)
        counted = pair.server.counter("TcpExt", "ListenDrops")
        twtuned.stop()
        close_all(kept)
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    times = [float(row["time"]) for row in rows]
    # A tick that a slow machine kept from reading the listeners has none; the next one has those of both.
    drops = sum(float(row["listen.drops"] or 0) * (now - before) for row, before, now in zip(rows[1:], times, times[1:]))
    check_equal(round(drops, 3), counted, "drops in all")
    check(any(float(row["netstat.TcpExt.ListenDrops"]) > 0 for row in rows[1:]), "the counter did not move")


@test("listen.drops: a rule acts on the first drops of a listener that was made after the last reading of all")
def _():
    policy = temp_policy("[daemon]\ninterval = 100ms\n[rule drops]\nwhen = listen.drops > 0/s\n"
                         f"set = {REUSE} = 1\n")
    with Pair() as pair:
        twtuned = Ticking(pair.server, policy)
        twtuned.wait_for("^config-loaded")
        twtuned.ticks(2)
        kept = [listener(pair.server, pair.server.ip4, backlog=1), *fill_queue(pair, 2)]
        twtuned.ticks(2)
        check_equal([line for line in twtuned.lines[1:] if not line.startswith(STALLS)], [], "log lines before a drop")
        drop(pair, 1)
        twtuned.wait_for("^applied: .* GROUP=10.77.0.2:8080")
        close_all(kept)


# ---- states ----

class Population:
    """Sockets in every state there is, in the client's namespace; none of them changes by itself."""

    EXPECTED = {"established": 5, "listen": 3, "close_wait": 4, "fin_wait1": 2, "fin_wait2": 6, "time_wait": 7,
                "last_ack": 3, "closing": 2, "syn_sent": 2, "syn_recv": 3}
    ORPHANED = 2  # of fin_wait2

    def __init__(self, pair):
        self.client, self.server = pair.client, pair.server
        for host in (self.client, self.server):
            keep_time_wait(host)
        # At .97 the peer falls silent later; from .98 it hears no answer; at .99 is nobody.
        for last in (97, 98):
            ip(self.server, "addr", "add", f"10.77.0.{last}/32", "dev", "lo")
        silence(self.client, "10.77.0.98")
        silence(self.client, "10.77.0.99")
        self.peer = listener(self.server, "0.0.0.0")
        self.kept = [listener(self.client, self.client.ip4, 8000 + i) for i in range(3)]
        self.open()

    def new(self, count, address=None):
        with self.client.entered():
            near = [socket.create_connection((address or self.server.ip4, 8080), 10) for _ in range(count)]
        far = [self.peer.accept()[0] for _ in near]
        self.kept += near + far
        return near, far

    def open(self):
        n = self.EXPECTED
        self.new(n["established"])
        _, far = self.new(n["close_wait"])
        close_all(far)
        near, _ = self.new(n["fin_wait2"])
        close_all(near[:self.ORPHANED])
        for s in near[self.ORPHANED:]:
            s.shutdown(socket.SHUT_WR)
        near, far = self.new(n["time_wait"])
        close_all(near)
        wait_until(lambda: states(self.server).get("close_wait") == n["fin_wait2"] + n["time_wait"], "the FINs come")
        close_all(far)

        fin_wait1, _ = self.new(n["fin_wait1"], "10.77.0.97")
        last_ack, last_ack_far = self.new(n["last_ack"], "10.77.0.97")
        closing, closing_far = self.new(n["closing"], "10.77.0.97")
        close_all(last_ack_far)
        wait_until(lambda: states(self.client).get("close_wait") == n["close_wait"] + n["last_ack"], "the FINs come")
        silence(self.client, "10.77.0.97")
        # In this order even while another thread forks, whose child has all sockets open until it executes a program.
        for s in closing + closing_far:
            s.shutdown(socket.SHUT_WR)
        close_all(fin_wait1 + last_ack + closing + closing_far)

        self.kept += [begin_connect(self.client, "10.77.0.99", 80) for _ in range(n["syn_sent"])]
        self.kept += [begin_connect(self.server, self.client.ip4, 8000, "10.77.0.98") for _ in range(n["syn_recv"])]
        wait_until(lambda: states(self.client) == n, f"ss shows {n}")


@test("tcp.STATE is what ss shows, in every state", beside=True)
def _():
    with Pair() as pair:
        population = Population(pair)
        metrics = once(pair.client)
        check_equal(states(pair.client), population.EXPECTED, "what ss shows")
        for state, count in population.EXPECTED.items():
            check_value(metrics, f"tcp.{state}", count)
        check_value(metrics, "tcp.fin_wait2_orphaned", population.ORPHANED)
        check_value(metrics, "tcp.keepalive_unanswered", 0)
        # 3 handshakes at 10.77.0.1:8000, whose backlog is 100
        check_value(metrics, "syn_queue.worst", 3)
        check_equal(metrics["syn_queue.worst"]["who"], "10.77.0.1:8000", "whose SYN queue it is")


@test("tcp.fin_wait2_orphaned counts what no program holds, also with a long tcp_fin_timeout", beside=True)
def _():
    with Pair() as pair:
        pair.client.sysctl("net.ipv4.tcp_fin_timeout", 600)  # over 60 s the socket itself waits, not a small copy
        peer = listener(pair.server, pair.server.ip4)
        ends = [connect(pair.client, peer) for _ in range(5)]
        for near, _ in ends:
            near.shutdown(socket.SHUT_WR)
        wait_until(lambda: states(pair.client) == {"fin_wait2": 5}, "FIN_WAIT2")
        check_value(once(pair.client), "tcp.fin_wait2_orphaned", 0)
        close_all(near for near, _ in ends[:3])
        wait_until(lambda: value(once(pair.client), "tcp.fin_wait2_orphaned") == 3, "3 orphans")
        check_value(once(pair.client), "tcp.fin_wait2", 5)


@test("tcp.keepalive_unanswered and tcp.retransmitting count the connections over a link that is cut", beside=True)
def _():
    with Pair() as pair:
        peer = listener(pair.server, pair.server.ip4)
        ends = [connect(pair.client, peer) for _ in range(6)]
        for near, _ in ends[:3]:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, number in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 100)):
                near.setsockopt(socket.IPPROTO_TCP, option, number)
        for near, _ in ends[3:5]:
            near.send(b"heard")
        wait_until(lambda: pair.client.counter("TcpExt", "TCPKeepAlive") >= 6, "probes are sent")
        names = ("tcp.keepalive_unanswered", "tcp.retransmitting", "tcp.established")

        def expect(*expected):  # what was sent a moment ago may be on its way still
            wait_until(lambda: tuple(value(once(pair.client), name) for name in names) == expected,
                       f"{names} are {expected}")

        expect(0, 0, 6)
        ip(pair.server, "link", "set", "veth0", "down")
        for near, _ in ends[3:5]:
            near.send(b"not heard")
        expect(3, 2, 6)


# ---- listeners ----

@test("a full accept queue and its drops name the listener and its unit", beside=True)
def _():
    with Unit() as unit, Pair() as pair:
        healthy = listener(pair.server, "0.0.0.0", 8081)
        unit.python(pair.server, DEAF, pair.server.ip4, 8080, 3)
        kept = [begin_connect(pair.client, pair.server.ip4, 8081) for _ in range(10)]  # 10 of 101
        kept += [begin_connect(pair.client, pair.server.ip4, 8080) for _ in range(3)]  # 3 of 4
        wait_until(lambda: states(pair.server).get("established") == 13, "they are established")
        metrics = once(pair.server)
        who = {"who": "10.77.0.2:8080", "systemd_unit": unit.name}
        check_equal(metrics["accept_queue.worst"], {"state": "valid", "value": 75, "unit": "%"} | who, "the fullest")
        check_equal(metrics["listen.drops"], {"state": "valid", "value": 0, "unit": "/s"}, "listen.drops")
        check_value(metrics, "tcp.listen", 2)

        def dropping():
            metrics = once(pair.server)
            return value(metrics, "listen.drops") > 0 and metrics

        def knock():
            kept.append(begin_connect(pair.client, pair.server.ip4, 8080))
        with Repeat(knock, 0.05):
            metrics = wait_until(dropping, "once shows drops")
            line = pair.server.run([binary("twtuned"), "--once"]).stdout
        check_equal(metrics["accept_queue.worst"], {"state": "valid", "value": 100, "unit": "%"} | who, "the fullest")
        check_equal(metrics["listen.drops"], metrics["listen.drops"] | who, "listen.drops")
        check(re.search(rf"^accept_queue.worst 100 % 10.77.0.2:8080 {re.escape(unit.name)}$", line, re.M), line)
        healthy.close()


@test("syn_queue.worst names the listener of the handshakes, among wildcards of both families", beside=True)
def _():
    with Pair() as pair:
        for address in ("10.77.0.97", "fd77::97"):
            ip(pair.server, "addr", "add", address, "dev", "lo")
            silence(pair.client, address)
        with pair.client.entered():
            kept = [socket.create_server(("0.0.0.0", 8080), backlog=10),
                    socket.create_server(("::", 8080), family=socket.AF_INET6, backlog=20),  # IPV6_V6ONLY
                    socket.create_server(("::", 8081), family=socket.AF_INET6, backlog=10, dualstack_ipv6=True)]

        def expect(percent, who):
            wait_until(lambda: states(pair.client).get("syn_recv") == len(kept) - 3, "SYN_RECV")
            metrics = once(pair.client)
            check_value(metrics, "syn_queue.worst", percent)
            check_equal(metrics["syn_queue.worst"]["who"], who, "whose SYN queue it is")

        kept += [begin_connect(pair.server, "10.77.0.1", 8080, "10.77.0.97") for _ in range(2)]
        expect(20, "0.0.0.0:8080")
        kept += [begin_connect(pair.server, "fd77::1", 8080, "fd77::97", socket.AF_INET6) for _ in range(5)]
        expect(25, "[::]:8080")
        kept += [begin_connect(pair.server, "10.77.0.1", 8081, "10.77.0.97") for _ in range(3)]
        expect(30, "[::]:8081")


@test("syn_queue.worst lasts while cpu_budget forbids another look at the sockets", beside=True)
def _():
    policy = temp_policy("[daemon]\ninterval = 100ms\ncpu_budget = 0.1%\n"
                         f"[rule some]\nwhen = syn_queue.worst >= 30% for 2s\nset = {REUSE} = 1\n")
    with Pair() as pair:
        ip(pair.server, "addr", "add", "10.77.0.97", "dev", "lo")
        silence(pair.client, "10.77.0.97")
        kept = [listener(pair.client, pair.client.ip4, 8000, backlog=10)]
        kept += [begin_connect(pair.server, pair.client.ip4, 8000, "10.77.0.97") for _ in range(3)]
        ChurnServer(pair.server, pair.server.ip4)
        ChurnHold(pair.client, pair.server.ip4, count=2000)  # which takes longer to look at than 0.1 ms
        line = Twtuned(pair.client, policy).wait_for("^applied: .*")[0]
        check_equal(fields(line)["GROUP"], "10.77.0.1:8000", "GROUP")
        close_all(kept)


# ---- units ----

@test("close_wait.growth names the unit that does not close, and a rule can go by it", beside=True)
def _():
    policy = temp_policy(f"[rule leak]\nwhen = close_wait.growth > 10/min\nset = {REUSE} = 1\n")
    with Unit() as unit, Pair() as pair:
        unit.python(pair.server, HOARDER, pair.server.ip4, 8080)
        # A program that keeps as many as it had is no leak.
        steady = listener(pair.server, pair.server.ip4, 8081)
        ends = [connect(pair.client, steady) for _ in range(50)]
        close_all(near for near, _ in ends)
        wait_until(lambda: states(pair.server).get("close_wait") == 50, "the FINs come")
        begun = time.monotonic()
        twtuned = Twtuned(pair.server, policy)
        twtuned.wait_for("^config-loaded")
        leaks = []

        def leak():
            leaks.append(time.monotonic())
            with pair.client.entered():
                socket.create_connection((pair.server.ip4, 8080), 10).close()

        with Repeat(leak, 0.5):
            line = twtuned.wait_for("^applied: .*")[0]
        seconds = time.monotonic() - begun
        check(seconds >= 30, f"after {seconds:.1f} s, which is no trend yet")
        check_equal(fields(line)["CULPRIT"], unit.name, "CULPRIT")
        check_equal(fields(line)["METRIC"], "close_wait.growth", "METRIC")
        growth = float(re.match(r"[\d.]+", fields(line)["METRICVALUE"])[0])
        most = len(leaks) * 60 / 30  # the trend is over 30 s at least
        check(10 < growth <= most, f"grew by {growth}/min, should be {most}/min at most")


@test("CULPRIT of a ports.* rule is the unit that holds connections", beside=True)
def _():
    policy = temp_policy(f"[daemon]\ninterval = 100ms\n[rule some]\nwhen = ports.used >= 10\nset = {REUSE} = 1\n")
    with Unit() as unit, Pair() as pair:
        ChurnServer(pair.server, pair.server.ip4)
        load = Program(pair.client, unit.argv(binary("churn"), "hold", pair.server.ip4, "8080", "--count=10"))
        load.wait_for("^holding ")
        check_equal(once(pair.client)["ports.used"]["systemd_unit"], unit.name, "unit in --once")
        line = Twtuned(pair.client, policy).wait_for("^applied: .*")[0]
        check_equal(fields(line)["CULPRIT"], unit.name, "CULPRIT")
        check_equal(fields(line)["GROUP"], "10.77.0.1->10.77.0.2:8080", "GROUP")


# ---- conntrack ----

def attribute(number, *payload):
    payload = b"".join(payload)
    return struct.pack("HH", 4 + len(payload), number) + payload + bytes(-len(payload) % 4)


def track(netlink, port):
    """Adds a connection to the table, as conntrack(8) would. Returns the kernel's errno."""
    def tuple_(number, src, dst, sport, dport):
        addresses = attribute(1, attribute(1, socket.inet_aton(src)), attribute(2, socket.inet_aton(dst)))
        ports = attribute(2, attribute(1, b"\6"), attribute(2, struct.pack(">H", sport)),
                          attribute(3, struct.pack(">H", dport)))
        return attribute(number, addresses, ports)
    body = (struct.pack("BBH", socket.AF_INET, 0, 0) + tuple_(1, "10.0.0.1", "10.0.0.2", port, 80) +
            tuple_(2, "10.0.0.2", "10.0.0.1", 80, port) + attribute(7, struct.pack(">I", 100)) +  # CTA_TIMEOUT
            attribute(4, attribute(1, attribute(1, b"\3"))))  # ESTABLISHED
    # IPCTNL_MSG_CT_NEW; REQUEST | ACK | CREATE | EXCL
    netlink.send(struct.pack("IHHII", 16 + len(body), 1 << 8, 0x605, 1, 0) + body)
    return -struct.unpack_from("i", netlink.recv(4096), 16)[0]


@test("conntrack.table is unavailable without conntrack, else a share of its limit", beside=True)
def _():
    with Single() as host:
        with host.entered():
            there = os.path.exists("/proc/sys/net/netfilter/nf_conntrack_count")
        metrics = once(host)
        if not there:
            for name in ("conntrack.table", "conntrack.insert_failed"):
                check_equal(metrics[name]["state"], "unavailable", name)
            return
        check_value(metrics, "conntrack.table", 0)
        check_value(metrics, "conntrack.insert_failed", 0)
        with host.entered():
            netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)  # NETLINK_NETFILTER
        if error := track(netlink, 5000):
            raise Skip(f"cannot add to conntrack's table: {os.strerror(error)}")
        check_equal([track(netlink, 5000 + i) for i in range(1, 10)], [0] * 9, "errors")
        limit = int(host.sysctl("net.netfilter.nf_conntrack_max"))
        check_between(once(host), "conntrack.table", 999.9 / limit, 1000.1 / limit)


main()
