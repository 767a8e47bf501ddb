#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The rules of listeners, programs and peers. Then loads that only look like a pressure: nothing is logged.
test_policy.py runs these beside its own."""

import socket
import sys

from harness import ChurnClient, ChurnHold, ChurnServer, Pair, Program, check, check_equal, diag, fields, main, test
from pressure import NOWHERE, Few, FloodedPair, check_silent, load_nft, sized
from sockets import (BUSY, DEAF, HOARDER, KEPT_ALIVE, Repeat, Unit, begin_connect, close_all, connect, ip, listener, once,
                     silence, states, value, wait_until)

REUSE = "net.ipv4.tcp_tw_reuse"


# ---- listeners ----

@test("syn-cookies, then syn-queue: a flood shuts clients out, and with cookies it does not", beside=True)
def _():
    name = "net.ipv4.tcp_syncookies"
    with FloodedPair(backlog=100) as pair:  # four more than the kernel lets in without cookies
        pair.server.sysctl(name, 0)
        pair.server.sysctl("net.ipv4.tcp_max_syn_backlog", 128)
        check(pair.client_connects(), "the client cannot connect before the flood")
        with pair.flood():
            wait_until(lambda: pair.server.counter("TcpExt", "ListenDrops") > 0, "something is dropped")
            # Where the queue is loaded, the kernel forgets an old request after a few seconds (reqsk_timer_handler), and a
            # slow machine sends too few to keep it full.
            wait_until(lambda: pair.some(128) or not pair.client_connects(0.5), "the flood shuts the client out")
            twtuned = Few.watch(pair.server)
            line = twtuned.event("applied", "syn-cookies")
            check_equal((line["OLDVALUE"], line["NEWVALUE"]), ("0", "1"), name)
            dropped = pair.server.counter("TcpExt", "ListenDrops")
            line = twtuned.event("advice", "syn-queue")
            check_equal(line["METRIC"], "syn_queue.worst", "METRIC")
            check_equal(line["GROUP"], "10.77.0.2:8080", "GROUP")
            check_equal([pair.client_connects() for _ in range(5)], [True] * 5, "the client connects")
            check_equal(pair.server.counter("TcpExt", "ListenDrops"), dropped, "ListenDrops, since there are cookies")
            check(pair.server.counter("TcpExt", "SyncookiesSent") > 0, "no cookie was sent")
        twtuned.event("released", "syn-cookies")
        check_equal(pair.server.sysctl(name), "0", name)
        twtuned.check_rules("syn-cookies", "syn-queue")


@sized("syn-queue: half of a SYN queue is no pressure, all of it is")
def _(size):
    with FloodedPair(backlog=size.count(64, 400)) as pair:
        twtuned = size.watch(pair.server)
        half = size.count(32, 200)
        pair.some(half)
        check_equal(states(pair.server)["syn_recv"], half, "SYN_RECV")
        check_silent(twtuned)
        with pair.flood():
            twtuned.event("advice", "syn-queue")
        twtuned.check_rules("syn-queue")
        check_equal(pair.server.sysctl("net.ipv4.tcp_syncookies"), "1", "tcp_syncookies")


@sized("accept-queue-stuck: a program that does not accept is named")
def _(size):
    with Unit() as unit, Pair() as pair:
        unit.python(pair.server, DEAF, pair.server.ip4, 8080, 16)
        twtuned = size.watch(pair.server)
        kept = []
        with Repeat(lambda: kept.append(begin_connect(pair.client, pair.server.ip4, 8080)), 0.1):
            line = twtuned.event("advice", "accept-queue-stuck")
        check_equal((line["GROUP"], line["CULPRIT"]), ("10.77.0.2:8080", unit.name), "GROUP and CULPRIT")
        twtuned.check_rules("accept-queue-stuck")
        close_all(kept)


@test("accept-queue: a small queue, for which clients have to send their SYN again", beside=True)
def _():
    with Pair() as pair:
        Program(pair.server, [sys.executable, "-c", BUSY, pair.server.ip4, "8080", "4", "1"]).wait_for("^ready$")
        twtuned = Few.watch(pair.server)
        kept = []
        with Repeat(lambda: kept.append(begin_connect(pair.client, pair.server.ip4, 8080)), 0.05):
            twtuned.event("advice", "accept-queue")
            wait_until(lambda: pair.client.counter("TcpExt", "TCPSynRetrans") > 0, "a SYN is sent again")
        twtuned.check_rules("accept-queue")
        close_all(kept)


# ---- programs and peers ----

@sized("fin-wait2-held: a program that waits for peers that never close")
def _(size):
    with Pair() as pair:
        peer = listener(pair.server, pair.server.ip4)
        ends = [connect(pair.client, peer) for _ in range(size.count(110, 1050))]
        twtuned = size.watch(pair.client)
        for near, _ in ends:
            near.shutdown(socket.SHUT_WR)
        twtuned.event("advice", "fin-wait2-held")
        twtuned.check_rules("fin-wait2-held")


# Listens at ADDRESS PORT, accepts, and closes COUNT connections later.
CLOSES_LATE = """
import collections, socket, sys
s = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=1000)
print("ready", flush=True)
kept = collections.deque()
while True:
    kept.append(s.accept()[0])
    if len(kept) > int(sys.argv[3]):
        kept.popleft().close()
"""


@sized("close-wait: names the unit in which CLOSE_WAIT stays, though it does not grow; one that closes late is silent")
def _(size):
    count = size.count(60, 550)
    with Unit() as unit, Pair() as leaks, Pair() as late:
        unit.python(leaks.server, HOARDER, leaks.server.ip4, 8080)
        argv = [sys.executable, "-c", CLOSES_LATE, late.server.ip4, "8080", str(count)]
        Program(late.server, argv).wait_for("^ready$")
        twtuned = [size.watch(pair.server) for pair in (leaks, late)]

        def leave(pair):
            with pair.client.entered():
                socket.create_connection((pair.server.ip4, 8080), 10).close()
        for _ in range(count):
            leave(leaks)
        with Repeat(lambda: leave(late), 10 / count):  # after 10 s all of them are new
            line = twtuned[0].event("advice", "close-wait")
            check_equal((line["CULPRIT"], line["METRIC"]), (unit.name, "close_wait.stuck"), "CULPRIT and METRIC")
            check_equal(states(late.server).get("close_wait", 0) >= count * 9 // 10, True, "as many CLOSE_WAIT there")
            twtuned[1].check_rules()
        twtuned[0].check_rules("close-wait")


@sized("dead-peers: connections whose peers are gone end after fewer probes")
def _(size):
    names = "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes"
    count = size.count(110, 1050)
    interval, shorter = size.count(("7", "5"), ("20", "15"))
    with Pair() as pair:
        # A timer that is set keeps its time, so the stock interval of 75 s would only make this longer.
        pair.client.sysctl(names[0], interval)
        peer = listener(pair.server, pair.server.ip4)
        ends = [connect(pair.client, peer) for _ in range(count)]
        for near, _ in ends:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 3)
        # Held until the last has ended.
        until = "tcp.keepalive_unanswered < "
        twtuned = size.watch(pair.client, {until + size.count("20 ", "200 "): until + "1 ",
                                           f"{names[0]} = 15": f"{names[0]} = {shorter}"})
        ip(pair.server, "link", "set", "veth0", "down")
        probes = pair.client.counter("TcpExt", "TCPKeepAlive")
        twtuned.event("applied", "dead-peers")
        wait_until(lambda: [pair.client.sysctl(name) for name in names] == [shorter, "5"], "interval and probes")
        wait_until(lambda: "established" not in states(pair.client), "they end", 400)
        probes = (pair.client.counter("TcpExt", "TCPKeepAlive") - probes) / count
        diag(f"{probes:.1f} probes of each connection")
        check(probes < 9, f"{probes:.1f} probes of each connection; a stock kernel sends 9")
        twtuned.event("released", "dead-peers")
        wait_until(lambda: [pair.client.sysctl(name) for name in names] == [interval, "9"], "interval and probes")
        twtuned.check_rules("dead-peers")


@test("dead-peers: connections of a user's program change no sysctl of the host, those of a service do", beside=True)
def _():
    interval, count = "net.ipv4.tcp_keepalive_intvl", 110
    with Unit("user.slice") as user, Unit() as service, Pair() as pair:
        pair.client.sysctl(interval, "20")
        peer = listener(pair.server, pair.server.ip4, backlog=1000)
        twtuned = Few.watch(pair.client)
        kept = [user.python(pair.client, KEPT_ALIVE, *peer.getsockname(), count)]
        ip(pair.server, "link", "set", "veth0", "down")
        wait_until(lambda: pair.client.counter("TcpExt", "TCPKeepAlive") >= 2 * count, "probes that nobody answers")
        check_silent(twtuned)
        ip(pair.server, "link", "set", "veth0", "up")
        kept.append(service.python(pair.client, KEPT_ALIVE, *peer.getsockname(), count))
        ip(pair.server, "link", "set", "veth0", "down")
        check_equal(twtuned.event("applied", "dead-peers")["NEWVALUE"], "15", "tcp_keepalive_intvl")
        for program in kept:
            program.stop()


# ---- conntrack ----

@test("conntrack-table: its share is real; nf_conntrack_max is the host's, so the threshold is not the shipped one",
      beside=True)
def _():
    with Pair() as pair:
        load_nft(pair.client, "table ip t { chain c { type filter hook output priority 0; ct state new counter; }; }")
        limit = int(pair.client.sysctl("net.netfilter.nf_conntrack_max"))
        ChurnServer(pair.server, pair.server.ip4)
        twtuned = Few.watch(pair.client, {"when = conntrack.table >= 90%":
                                          f"when = conntrack.table >= {100 * 150 / limit:.6f}%"})
        ChurnClient(pair.client, pair.server.ip4, count=100).finish()
        check_silent(twtuned)
        ChurnClient(pair.client, pair.server.ip4, count=100).finish()
        twtuned.event("advice", "conntrack-table")
        twtuned.check_rules("conntrack-table")


@sized("conntrack-insert-failed: SNAT that has no port left")
def _(size):
    with Pair() as pair:
        ip(pair.client, "addr", "add", "10.77.0.50/32", "dev", "lo")
        load_nft(pair.client, "table ip t { chain c { type nat hook postrouting priority 100; "
                              f"ip daddr {NOWHERE} tcp dport 80 snat to 10.77.0.50:50000-50009; }}; }}")
        silence(pair.client, NOWHERE)
        twtuned = size.watch(pair.client)
        kept = [begin_connect(pair.client, NOWHERE, 80) for _ in range(10)]
        check_silent(twtuned)  # ten have ten ports
        with Repeat(lambda: kept.append(begin_connect(pair.client, NOWHERE, 80)), 0.1):
            twtuned.event("advice", "conntrack-insert-failed")
        spoke = {fields(line).get("RULE") for line in twtuned.said()}
        check(spoke <= {"conntrack-insert-failed", "backend-silent"}, f"rules that spoke are {spoke}")  # NOWHERE is silent
        close_all(kept)


# ---- look-alikes ----

@sized("silent: idle connections with keepalive, FIN_WAIT_2 that a program holds, connects in one go")
def _(size):
    with Pair() as pair:
        size.prepare(pair.client)
        ChurnServer(pair.server, pair.server.ip4)
        ChurnServer(pair.server, pair.server.ip4, 8081)
        twtuned = [size.watch(host) for host in (pair.client, pair.server)]
        pair.client.sysctl("net.ipv4.tcp_keepalive_time", 2)  # they are probed, and answer
        idle, held, connects = size.count((180, 30, 40), (10_000, 300, 1000))
        ChurnHold(pair.client, pair.server.ip4, count=idle, keepalive=True)  # 70 % of the cliff
        silent = listener(pair.server, pair.server.ip4, 8082)
        ends = [connect(pair.client, silent) for _ in range(held)]
        for near, _ in ends:
            near.shutdown(socket.SHUT_WR)
        check_equal(ChurnClient(pair.client, pair.server.ip4, 8081, count=connects).finish(), (connects, 0), "connects")
        wait_until(lambda: pair.client.counter("TcpExt", "TCPKeepAlive") >= idle, "keepalive probes")
        check_silent(*twtuned)


@sized("silent: a pool of connections that is dropped and opened again, a fifth of the cliff")
def _(size):
    with Pair() as pair:
        size.prepare(pair.client)
        ChurnServer(pair.server, pair.server.ip4)
        twtuned = [size.watch(host) for host in (pair.client, pair.server)]
        pool = size.PORTS // 2 // 5
        ChurnHold(pair.client, pair.server.ip4, count=pool).stop()
        ChurnHold(pair.client, pair.server.ip4, count=pool)
        check_silent(*twtuned)


@sized("silent: an accept queue that fills and drains")
def _(size):
    with Pair() as pair:
        pair.client.sysctl(REUSE, 1)
        peer = listener(pair.server, pair.server.ip4, backlog=100)
        twtuned = [size.watch(host) for host in (pair.client, pair.server)]
        for _ in range(5):
            clients = [begin_connect(pair.client, pair.server.ip4, 8080) for _ in range(96)]  # of 101
            wait_until(lambda: value(once(pair.server), "accept_queue.worst") >= 95, "the queue is full to 95 %")
            check_silent(*twtuned, ticks=1)
            close_all(peer.accept()[0] for _ in clients)
            close_all(clients)
        check_silent(*twtuned)


if __name__ == "__main__":
    main()
