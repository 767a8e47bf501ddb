#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The shipped policy, rule by rule: the pressure is made with real sockets; this rule says so and no other does; what
it sets helps, and is released. Few sockets and short times; with --long many of them, and the times as shipped. (Both
rules of TIME_WAIT under load: test_effect.py.) In test_policy_peers.py: listeners, programs, peers, and what only looks
like a pressure."""

import re
import resource
import socket
import sys
import time

import test_policy_peers  # noqa: F401  beside the tests here
from harness import (HAS_6_14, ChurnClient, ChurnHold, ChurnServer, Pair, Program, check, check_equal, diag, few_ports,
                     main, test)
from pressure import FORSAKEN, NOWHERE, Few, check_silent, forsaken_pair, sized
from sockets import (HOARDER, Load, begin_connect, close_all, keep_time_wait, leave_time_wait, listener, once,
                     silence, states, value, wait_until)

REUSE = "net.ipv4.tcp_tw_reuse"


# ---- ports ----

@sized("time-wait-reuse: acts before the cliff, and is held while a stock kernel could not carry the demand")
def _(size):
    with Pair() as pair:
        size.prepare(pair.client)
        keep_time_wait(pair.client)
        ChurnServer(pair.server, pair.server.ip4)
        twtuned = size.watch(pair.client)
        enough = size.PORTS // 2 * 9 // 10  # forecast >= 80% whenever the tick is, and no connect() scans yet
        client = ChurnClient(pair.client, pair.server.ip4, count=enough, rate=size.count(50, 300))
        twtuned.event("applied", "time-wait-reuse")
        used = pair.client.sockstat("tw")
        check(used <= enough, f"{used} TIME_WAIT sockets when it acts; the cliff is at {size.PORTS // 2}")
        check_equal(client.finish(), (enough, 0), "connects and failures")
        twtuned.event("released", "time-wait-reuse")
        held = twtuned.times[-1] - client.times[-1]
        diag(f"released {held:.0f} s after the load")
        check(held >= size.count(2, 120), f"released {held:.0f} s after the load")
        used = pair.client.sockstat("tw")
        check(used < size.PORTS // 4, f"released with {used} TIME_WAIT sockets, over half of the cliff")
        check_equal(pair.client.sysctl(REUSE), "2", REUSE)
        twtuned.check_rules("time-wait-reuse")


@sized("ports-exhausted: more connections than reuse has ports for")
def _(size):
    with Pair() as pair:
        few_ports(pair.client, 32)
        ChurnServer(pair.server, pair.server.ip4)
        # Open connections hold all ports of one parity, and TIME_WAIT those of the other, however slow the load is.
        with pair.client.entered():
            kept = [socket.create_connection((pair.server.ip4, 8080), source_address=(pair.client.ip4, port))
                    for port in range(40000, 40032, 2)]
        load = Load(pair.client, pair.server.ip4)
        load.open(12)  # or open connections alone would hold the ports at the first tick
        twtuned = size.watch(pair.client)
        with load.repeated(10):
            twtuned.event("advice", "ports-exhausted")
        twtuned.check_rules("time-wait-reuse", "ports-exhausted", *["time-wait-reuse-sooner"] * HAS_6_14)
        close_all(kept)


@test("wider-port-range: where it is switched on it takes what no listener has, and gives way to one", beside=True)
def _():
    name = "net.ipv4.ip_local_port_range"
    with Pair() as pair:
        few_ports(pair.client, 64)
        pair.client.sysctl(REUSE, 1)  # the prerequisite of the rule
        kept = [listener(pair.client, "127.0.0.1", port) for port in (38000, 50000)]
        ChurnServer(pair.server, pair.server.ip4)
        twtuned = Few.watch(pair.client, {"enabled = no": "enabled = yes"})
        ChurnHold(pair.client, pair.server.ip4, count=60)
        twtuned.event("applied", "wider-port-range")
        low, high = map(int, pair.client.sysctl(name).split())
        check(38001 <= low <= 38002 and 49998 <= high <= 49999, f"{low} to {high}: next to the listeners")
        ChurnHold(pair.client, pair.server.ip4, count=60)
        kept.append(listener(pair.client, "127.0.0.1", 39000))
        twtuned.event("released", "wider-port-range")
        check_equal(pair.client.sysctl(name), "40000\t40063", name)
        close_all(kept)


@sized("backend-silent: a backend that answers nothing; ports-held: connections that stay open")
def _(size):
    with Pair() as dead, Pair() as open_:
        kept = []
        for pair in (dead, open_):
            size.prepare(pair.client)
            silence(pair.client, NOWHERE)
            ChurnServer(pair.server, pair.server.ip4)
        count = size.PORTS // 2 * 98 // 100
        twtuned = [size.watch(pair.client) for pair in (dead, open_)]
        kept = [begin_connect(dead.client, NOWHERE, 8080) for _ in range(count)]
        ChurnHold(open_.client, open_.server.ip4, count=count)
        for pair, one, address, rule in ((dead, twtuned[0], NOWHERE, "backend-silent"),
                                         (open_, twtuned[1], open_.server.ip4, "ports-held")):
            line = one.event("advice", rule)
            check_equal(line["GROUP"], f"10.77.0.1->{address}:8080", "GROUP")
            check_equal(value(once(pair.client), "ports.relief"), 0, "ports.relief")
            one.check_rules(rule)
        close_all(kept)


def connect_to_four(pair, **options):
    """400 connections, spread over four destinations: 78 % of 512 ports, and 40 % of each cliff."""
    few_ports(pair.client, 512)
    keep_time_wait(pair.client)
    clients = []
    for port in range(8080, 8084):
        ChurnServer(pair.server, pair.server.ip4, port)
        clients.append(ChurnClient(pair.client, pair.server.ip4, port, rate=20, count=100, **options))
    return clients


@test("bind-before-connect: a program that binds runs out of ports for all destinations; another one is silent",
      beside=True)
def _():
    with Pair() as bound, Pair() as free:
        twtuned, silent = Few.watch(bound.client), Few.watch(free.client)
        clients = connect_to_four(bound, bind=bound.client.ip4) + connect_to_four(free)
        check_equal([client.finish() for client in clients], [(100, 0)] * 8, "connects and failures")
        wait_until(lambda: free.client.counter("TcpExt", "TW") == 400, "as many TIME_WAIT without bind()")
        twtuned.event("advice", "bind-before-connect")
        check_silent(silent, ticks=5)
        twtuned.check_rules("bind-before-connect")


# ---- tables ----

@sized("time-wait-table: nothing is thrown away with a larger table, which lasts while it is needed")
def _(size):
    name = "net.ipv4.tcp_max_tw_buckets"
    table, pile = size.count(700, 34000), size.count(190, 9300)
    larger = size.count(700 * 100, 34000 * 2)
    with Pair() as pair:
        pair.server.sysctl(name, table)
        twtuned = size.watch(pair.server)

        def pile_up(port):
            """Leaves a pile of TIME_WAIT sockets; returns how many were thrown away."""
            before = pair.server.counter("TcpExt", "TCPTimeWaitOverflow")
            leave_time_wait(pair, pile, port)
            return pair.server.counter("TcpExt", "TCPTimeWaitOverflow") - before

        lost = [pile_up(8080 + 2 * i) for i in range(4)]
        check(lost[0] == 0 and lost[3] > 0, f"TCPTimeWaitOverflow {lost}")
        line = twtuned.event("applied", "time-wait-table")
        check_equal(line["OLDVALUE"], str(table), "OLDVALUE")
        # The factor of the rule, or more if a minute of the load needs it: a fast machine makes the piles faster.
        check(int(line["NEWVALUE"]) >= larger, f"NEWVALUE is {line['NEWVALUE']}, should be {larger} or more")
        for port in range(8088, 8128, 2):  # on a slow machine the first piles have ended
            check_equal(pile_up(port), 0, "TCPTimeWaitOverflow with the larger table")
            if pair.server.sockstat("tw") > table:
                break
        check(pair.server.sockstat("tw") > table, "the old table would do")
        twtuned.event("released", "time-wait-table")
        check_equal(pair.server.sysctl(name), str(table), name)
        left = pair.server.sockstat("tw")
        check(left < table / 2, f"released with {left} TIME_WAIT sockets")
        twtuned.check_rules("time-wait-table")


@sized("orphans: connections toward a peer that is gone end after fewer retransmissions")
def _(size):
    name = "net.ipv4.tcp_orphan_retries"
    count = size.count(60, 5100)
    with forsaken_pair() as pair:
        holds = []
        for port in (8080, 8081):
            ChurnServer(pair.server, "0.0.0.0", port)
            holds.append(ChurnHold(pair.client, FORSAKEN, port, count=count))
        twtuned = size.watch(pair.client)
        silence(pair.client, FORSAKEN)
        for hold in holds:
            hold.stop()
        check_equal(twtuned.event("applied", "orphans")["NEWVALUE"], "6", name)
        wait_until(lambda: "fin_wait1" not in states(pair.client), "they end")
        retransmitted = pair.client.counter("Tcp", "RetransSegs") / (2 * count)
        diag(f"{2 * count} FIN_WAIT_1: {retransmitted:.1f} retransmissions each")
        if size is Few:  # as shipped, the rule waits for 30 s, and most are sent by then
            check(retransmitted <= 8, f"{retransmitted:.1f} retransmissions of each FIN; a stock kernel makes 9")
        twtuned.event("released", "orphans")
        check_equal(pair.client.sysctl(name), "0", name)
        twtuned.check_rules("orphans")


def seconds_left(namespace, port):
    """The time left to each FIN_WAIT_2 socket toward the port. If a program still held the socket when the ACK of its
    FIN came, it has the keepalive timer (net/ipv4/tcp_input.c:tcp_rcv_state_process)."""
    text = namespace.run(["ss", "-tanoH", "state", "fin-wait-2", f"dport = :{port}"]).stdout
    timers = re.findall(r"timer:\((?:timewait|keepalive),(?:(\d+)min)?(?:(\d+)(?:sec|\.))?(?:(\d+)ms)?,", text)
    return [60 * int(minutes or 0) + int(seconds or 0) + int(ms or 0) / 1000 for minutes, seconds, ms in timers]


@sized("fin-wait2-orphans: peers that never close hold the ports for a third of the time")
def _(size):
    name = "net.ipv4.tcp_fin_timeout"
    with Pair() as pair:
        few_ports(pair.client, size.count(512, 4000))
        for port in (8080, 8081):
            Program(pair.server, [sys.executable, "-c", HOARDER, pair.server.ip4, str(port)]).wait_for("^ready$")
        twtuned = size.watch(pair.client)
        early = size.count(220, 1720)  # 86 % of the cliff
        begin = time.monotonic()
        check_equal(ChurnClient(pair.client, pair.server.ip4, 8080, count=early).finish(), (early, 0), "connects")
        check_equal(twtuned.event("applied", "fin-wait2-orphans")["NEWVALUE"], "20", name)
        # Those that wait already are not helped; those that come now are.
        ChurnClient(pair.client, pair.server.ip4, 8081, count=20).finish()
        late, before = seconds_left(pair.client, 8081), seconds_left(pair.client, 8080)
        least = 60 - (time.monotonic() - begin)
        diag(f"{len(before)} have {min(before, default=0)} s left at least, {len(late)} late ones {max(late)} s at most")
        check(len(late) == 20 and max(late) <= 20, f"seconds left of the late ones: {late}")
        check(len(before) == early or least <= 0, f"{len(before)} of {early} wait")
        check(min(before, default=0) > least - 1, f"seconds left of those that wait already, at least {least}: {before}")
        wait_until(lambda: not seconds_left(pair.client, 8081), "the late ones end")
        twtuned.event("released", "fin-wait2-orphans")
        check_equal(pair.client.sysctl(name), "60", name)
        twtuned.check_rules("fin-wait2-orphans")


def raise_limit():
    """Raises the limit of open files, for many sockets in this process."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    raise_limit()
    main()
