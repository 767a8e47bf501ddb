#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The table of TIME_WAIT is raised where that helps, and is left alone where it hides that ports cannot be reused. The
shipped policy, in narrow port ranges and with short times; --long: at 3,000 connections a second."""

import contextlib

from harness import ChurnClient, ChurnServer, Pair, check, check_equal, diag, few_ports, fields, main, message, test
from pressure import LOSES_REUSED, Few, Shipped, destination, group, load_nft
from sockets import Load, ip, wait_until

REUSE, RULE = "net.ipv4.tcp_tw_reuse", "time-wait-reuse"
TABLE, TW_RULE = "net.ipv4.tcp_max_tw_buckets", "time-wait-table"
SMALL = 200  # under half of the ports: what does not fit is thrown away before connect() scans


def overflow(namespace):
    return namespace.counter("TcpExt", "TCPTimeWaitOverflow")


def check_left_alone(pair, client, twtuned):
    """As on stock sysctls, a small table goes on hiding that ports cannot be reused."""
    def failures():
        return sum(failures for _, failures in client.seconds)

    wait_until(lambda: overflow(pair.client) > 0, "the table is full")
    # Twice as many as there are ports: by then the time of expect is over, and a larger table would be full.
    wait_until(lambda: failures() > 0 or overflow(pair.client) >= 2 * Few.PORTS, "twice the ports in TIME_WAIT thrown away")
    twtuned.ticks.wait(2)
    steps = [message(line) for line in twtuned.lines if line.startswith(f"applied: {TABLE}")]
    check_equal((steps, failures()), ([], 0), "changes of the table, and failed connects")
    check_equal(pair.client.sysctl(TABLE), str(SMALL), TABLE)
    client.stop()


def small_table(timestamps, **options):
    with destination(timestamps=timestamps) as (pair, _):
        pair.client.sysctl(TABLE, SMALL)
        twtuned = Few.watch(pair.client)
        if options.pop("bind", False):
            options["bind"] = pair.client.ip4
        check_left_alone(pair, ChurnClient(pair.client, pair.server.ip4, rate=50, **options), twtuned)


@test("a table smaller than half of the ports, a peer without timestamps: it is not raised, and no connect fails",
      beside=True)
def _():
    small_table(timestamps=False)


@test("a table smaller than half of the ports, a program that binds first: it is not raised, and no connect fails",
      beside=True)
def _():
    small_table(timestamps=True, bind=True)


# As LOSES_REUSED, in two steps: REMEMBERS only notes the ports, LOSES also drops their SYNs.
REMEMBERS = LOSES_REUSED.replace("tcp sport @seen delete @seen { tcp sport } drop", "")
LOSES = """
flush chain ip t syn
add rule ip t syn tcp sport @seen delete @seen { tcp sport } drop
add rule ip t syn add @seen { tcp sport }
"""


@test("a small table is raised once reuse is seen to work, and goes back with reuse",
      beside=True)
def _():
    ports, small = 2048, 860  # over 80 % of one parity, so that reuse is tried; some are left to compare with
    with destination(ports=ports) as (pair, load), contextlib.ExitStack() as stack:
        load_nft(pair.server, REMEMBERS)
        pair.client.sysctl(TABLE, small)
        twtuned = Few.watch(pair.client)
        load.open(700, pause=0.002)
        for _ in range(60):  # several loads, because each will wait later
            stack.enter_context(Load(pair.client, pair.server.ip4).repeated(2))
        twtuned.event("applied", TW_RULE)
        order = [fields(line)["RULE"] for line in twtuned.lines if line.startswith("applied:")]
        check_equal(order[:2], [RULE, TW_RULE], "rules in order")
        wait_until(lambda: pair.client.sockstat("tw") > small, "the table holds more than before")
        load_nft(pair.server, LOSES)
        line = twtuned.event("aborted", TW_RULE)
        check_equal((line["SYSCTL"], line["NEWVALUE"], line["GROUP"]), (TABLE, str(small), group(pair, "IPv4")), "table")
        twtuned.event("aborted", RULE)
        check_equal((pair.client.sysctl(TABLE), pair.client.sysctl(REUSE)), (str(small), "2"), "sysctls")


def many_peers(pair, count):
    """Returns `count` new addresses of the server's host; one program listens on all of them."""
    peers = [f"10.78.0.{n}" for n in range(1, count + 1)]
    for peer in peers:
        ip(pair.server, "addr", "add", f"{peer}/32", "dev", "lo")
    ip(pair.client, "route", "add", "10.78.0.0/24", "via", pair.server.ip4)
    ChurnServer(pair.server, "0.0.0.0")
    return peers


@test("a small table is raised where it is full of many destinations, none of which needs most of its ports",
      beside=True)
def _():
    with Pair() as pair:
        few_ports(pair.client, Few.PORTS)
        pair.server.sysctl("net.ipv4.tcp_timestamps", 0)
        pair.client.sysctl(TABLE, SMALL)
        peers = many_peers(pair, 10)
        twtuned = Few.watch(pair.client)
        for peer in peers:  # 120 TIME_WAIT in a minute toward each
            ChurnClient(pair.client, peer, rate=2)
        check_equal(twtuned.event("applied", TW_RULE)["OLDVALUE"], str(SMALL), "OLDVALUE")
        twtuned.check_rules(TW_RULE)


@test("a table is raised at once to what the rate needs, however many times that is", long=True)
def _():
    table, peers, rate = 5000, 40, 75
    with Pair() as pair:
        pair.client.sysctl(TABLE, table)
        twtuned = Shipped.watch(pair.client)
        clients = [ChurnClient(pair.client, peer, rate=rate) for peer in many_peers(pair, peers)]
        line = twtuned.event("applied", TW_RULE)
        twtuned.ticks.wait(1)
        lost = overflow(pair.client)
        slowest = min(sum(connects) for connects in zip(*[[c for c, _ in client.seconds] for client in clients]))
        diag(f"{slowest} connects/s at least, {lost} TIME_WAIT lost, {line['OLDVALUE']} -> {line['NEWVALUE']}")
        # Not 60 but 45 times the slowest second, because the seconds of the load and of the daemon are not the same.
        check(int(line["NEWVALUE"]) >= 45 * slowest, f"{line['NEWVALUE']} is too small for {slowest} connects/s")
        twtuned.ticks.wait(3)
        check_equal(overflow(pair.client), lost, "TIME_WAIT thrown away since the table is larger")
        twtuned.check_rules(TW_RULE)
        check_equal(sum(line.startswith("applied:") for line in twtuned.lines), 1, "steps")


if __name__ == "__main__":
    main()
