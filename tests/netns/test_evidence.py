#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Evidence belongs to its destination: what strangers do on the same host neither proves a step nor disproves it, and
no host is left worse than without twtuned. The shipped policy, in narrow port ranges and with short times."""

import contextlib

from harness import ChurnServer, Pair, check, check_equal, few_ports, fields, main, test
from pressure import NOWHERE, Few, load_nft
from sockets import Load, Repeat, begin_connect, close_all, silence, wait_until

REUSE, DELAY = "net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_tw_reuse_delay"
RULE, SOONER = "time-wait-reuse", "time-wait-reuse-sooner"
TIMESTAMPS = "net.ipv4.tcp_timestamps"
FAMILIES = "IPv4", "IPv6", "IPv4-mapped"
PORTS = 512
STRANGER = 8081  # a port that nothing else here uses


def sysctls(namespace):
    return namespace.sysctl(REUSE), namespace.sysctl(DELAY)


def recycled(namespace):
    return namespace.counter("TcpExt", "TWRecycled")


@contextlib.contextmanager
def destination(ports=PORTS, timestamps=True, family="IPv4"):
    """A pair, and a load for the client toward a server whose host has timestamps or not."""
    with Pair() as pair:
        few_ports(pair.client, ports)
        pair.client.sysctl("net.ipv4.tcp_rfc1337", 1)  # see keep_time_wait() in test_harness.py
        if not timestamps:
            pair.server.sysctl(TIMESTAMPS, 0)
        address = pair.server.ip6 if family == "IPv6" else pair.server.ip4
        ChurnServer(pair.server, address)
        yield pair, Load(pair.client, address, mapped=family == "IPv4-mapped")


@contextlib.contextmanager
def loopback_reuse(namespace, rate):
    """Somebody's connections on loopback, some of which reuse a port of TIME_WAIT, as stock sysctls let them."""
    ChurnServer(namespace, "127.0.0.1", STRANGER)
    with Load(namespace, "127.0.0.1", STRANGER).repeated(rate):
        wait_until(lambda: recycled(namespace) > 0, "reuse on loopback")
        yield


def group(pair, family):
    if family == "IPv6":
        return f"{pair.client.ip6}->[{pair.server.ip6}]:8080"
    return f"{pair.client.ip4}->{pair.server.ip4}:8080"


# ---- expect: whether a step helped ----

def check_put_back(pair, twtuned, family="IPv4"):
    """The step was seen to do nothing for the destination that it was taken for."""
    line = twtuned.event("unexpected-effect", RULE)
    check_equal((line["SYSCTL"], line["OLDVALUE"], line["NEWVALUE"]), (REUSE, "1", "2"), "what was put back")
    check_equal((line.get("GROUP"), line["METRIC"]), (group(pair, family), "ports.reused"), "GROUP and METRIC")
    check_equal(twtuned.event("advice", RULE)["GROUP"], group(pair, family), "GROUP of the advice")
    check_equal(pair.client.sysctl(REUSE), "2", REUSE)


@test("expect: reuse on loopback does not prove a step for a peer without timestamps", beside=True)
def _():
    with destination(timestamps=False) as (pair, load), loopback_reuse(pair.client, 20):
        twtuned = Few.watch(pair.client)
        load.open(180, pause=0.02)
        with load.repeated(8):
            twtuned.event("applied", RULE)
            before = recycled(pair.client)
            check_put_back(pair, twtuned)
            check(recycled(pair.client) > before, "no port was reused on loopback while the step was watched")
        check_equal(dict(load.failures), {}, "failed connects")


def gone(family):
    with destination(timestamps=False, family=family) as (pair, load):
        twtuned = Few.watch(pair.client)
        load.open(PORTS)
        check_equal((load.connects, dict(load.failures)), (PORTS, {}), "connects and failures")
        with load.repeated(50):
            twtuned.event("applied", RULE)
            check_put_back(pair, twtuned, family)
        # Once the first TIME_WAIT is over, connect() succeeds again, and any rule would see a change.
        check_equal(load.connects, PORTS, "connects until the step was put back")
        check_equal(list(load.failures), ["EADDRNOTAVAIL"], "errors")


for family in FAMILIES:
    test(f"expect, {family}: where no port is left and none can be reused, the step is put back while connect() fails",
         beside=True)(lambda family=family: gone(family))


@test("expect: a step that helps its destination stays, whatever goes on beside it", beside=True)
def _():
    with destination() as (pair, load), loopback_reuse(pair.client, 20):
        twtuned = Few.watch(pair.client)
        load.open(180, pause=0.02)
        with load.repeated(40):
            twtuned.event("applied", RULE)
            twtuned.ticks.wait(20)  # the time of expect, and more
        twtuned.check_rules(RULE)
        check_equal(sysctls(pair.client), ("1", "1000"), "reuse and delay")
        check_equal(dict(load.failures), {}, "failed connects")


# ---- abort: whether a step did harm ----

def check_kept(twtuned, load, namespace, values, *rules):
    """No step was put back, and the load did not notice anything."""
    spoke = [(line.split(":")[0], fields(line).get("RULE")) for line in twtuned.lines[1:]]
    check(spoke == [("applied", rule) for rule in rules], "more was logged than the steps:\n" + "\n".join(twtuned.lines))
    check_equal(sysctls(namespace), values, "reuse and delay")
    check_equal(dict(load.failures), {}, "failed connects")


@test("abort: connections of another user to addresses that do not answer say nothing about the step", beside=True)
def _():
    with destination() as (pair, load):
        silence(pair.client, NOWHERE)
        twtuned = Few.watch(pair.client)
        with load.repeated(30):
            twtuned.ticks.wait(8)  # so that the time before is known
            load.open(180, pause=0.01)
            twtuned.event("applied", RULE)
            since = pair.client.counter("TcpExt", "TCPSynRetrans")
            kept = []
            with Repeat(lambda: kept.append(begin_connect(pair.client, NOWHERE, 8080)), 0.1):
                # Several times the floor of 5 %, for as long as five samples and more.
                wait_until(lambda: pair.client.counter("TcpExt", "TCPSynRetrans") >= since + 100, "SYNs sent again")
                twtuned.ticks.wait(8)
            check_kept(twtuned, load, pair.client, ("1", "1000"), RULE)
            close_all(kept)


@test("abort: a peer that connects to closed ports says nothing about the step", beside=True)
def _():
    def scan():
        close_all([begin_connect(pair.server, pair.client.ip4, port) for port in range(100, 110)])

    with destination(ports=32) as (pair, load):
        twtuned = Few.watch(pair.client)
        load.open(12)
        twtuned.event("applied", RULE)
        with load.repeated(5):
            twtuned.ticks.wait(8)  # so that the time before the second step is known
        with load.repeated(24):
            twtuned.event("applied", SOONER)
            since = pair.client.counter("Tcp", "OutRsts")
            with Repeat(scan, 0.02):
                wait_until(lambda: pair.client.counter("Tcp", "OutRsts") >= since + 500, "RSTs")
                twtuned.ticks.wait(8)
            check_kept(twtuned, load, pair.client, ("1", "250"), RULE, SOONER)


# Loses the first SYN from each port that had a connection before, as a peer does that still keeps that one.
LOSES_REUSED = """
table ip t {
        set seen { type inet_service; flags dynamic,timeout; timeout 5m; size 65535; }
        chain input { type filter hook input priority 0; tcp dport 8080 tcp flags & (syn | ack) == syn jump syn; }
        chain syn {
                tcp sport @seen delete @seen { tcp sport } drop
                add @seen { tcp sport }
        }
}
"""


@test("abort: where connections wait on reused ports and on no others, the step is put back, and only that is said",
      beside=True)
def _():
    with destination() as (pair, load), contextlib.ExitStack() as stack:
        load_nft(pair.server, LOSES_REUSED)
        twtuned = Few.watch(pair.client)
        with load.repeated(20):
            twtuned.ticks.wait(8)  # so that the time before is known
        load.open(180 - load.connects, pause=0.01)
        for _ in range(40):  # each waits for a second now and then
            stack.enter_context(Load(pair.client, pair.server.ip4).repeated(2))
        twtuned.event("applied", RULE)
        line = twtuned.event("aborted", RULE)
        check_equal((line["SYSCTL"], line["OLDVALUE"], line["NEWVALUE"]), (REUSE, "1", "2"), "what was put back")
        check_equal((line.get("GROUP"), line["METRIC"]), (group(pair, "IPv4"), "ports.syn_waiting"), "GROUP and METRIC")
        twtuned.ticks.wait(3)
        kinds = {line.split(":")[0] for line in twtuned.lines if fields(line).get("RULE") == RULE}
        check_equal(kinds, {"applied", "aborted"}, "kinds of the rule's lines: it was not without effect")


if __name__ == "__main__":
    main()
