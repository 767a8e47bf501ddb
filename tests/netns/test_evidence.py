#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Evidence belongs to its destination: what strangers do on the same host neither proves a step nor disproves it, and
no host is left worse than without twtuned. The shipped policy, in narrow port ranges and with short times."""

import contextlib

from harness import (ChurnClient, ChurnServer, Pair, check, check_equal, diag, few_ports, fields, main, message,
                     test)
from pressure import NOWHERE, Few, Shipped, load_nft
from sockets import Load, Repeat, begin_connect, close_all, ip, silence, wait_until

REUSE, DELAY = "net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_tw_reuse_delay"
RULE, SOONER = "time-wait-reuse", "time-wait-reuse-sooner"
TIMESTAMPS = "net.ipv4.tcp_timestamps"
FAMILIES = "IPv4", "IPv6", "IPv4-mapped"
PORTS = 512
SOON = {"ports.reused >= 10% within 15s": "ports.reused >= 10% within 3s"}
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
def loopback_reuse(namespace, rate, port=STRANGER, before=0):
    """Somebody's connections on loopback, some of which reuse a port of TIME_WAIT, as stock sysctls let them."""
    ChurnServer(namespace, "127.0.0.1", port)
    load = Load(namespace, "127.0.0.1", port)
    load.open(before)
    with load.repeated(rate):
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
    ports = 128
    with destination(ports, timestamps=False, family=family) as (pair, load):
        twtuned = Few.watch(pair.client, SOON)
        load.open(ports)
        check_equal((load.connects, dict(load.failures)), (ports, {}), "connects and failures")
        with load.repeated(50):
            twtuned.event("applied", RULE)
            twtuned.event("unexpected-effect", RULE)
            # Once the first TIME_WAIT is over, connect() succeeds again: that is too late.
            check_equal(load.connects, ports, "connects until the step was put back")
            check_put_back(pair, twtuned, family)
            wait_until(lambda: load.failures, "a connect() that fails")
        check_equal(list(load.failures), ["EADDRNOTAVAIL"], "errors")


for family in FAMILIES:
    test(f"expect, {family}: where no port is left and none can be reused, the step is put back while connect() fails",
         beside=True)(lambda family=family: gone(family))


@test("expect: six destinations whose peers have no timestamps: when it helped none, the step is not tried again",
      beside=True)
def _():
    ports = range(8080, 8086)
    with destination(ports=128, timestamps=False) as (pair, _), contextlib.ExitStack() as stack:
        for port in ports[1:]:
            ChurnServer(pair.server, pair.server.ip4, port)
        twtuned = Few.watch(pair.client, SOON)
        for port in ports:
            stack.enter_context(Load(pair.client, pair.server.ip4, port).repeated(12))
        twtuned.event("unexpected-effect", RULE)
        twtuned.ticks.wait(20)
        taken = [fields(line)["GROUP"] for line in twtuned.lines if line.startswith("applied:")]
        check(0 < len(taken) <= len(ports) and len(set(taken)) == len(taken), f"the step was taken toward {taken}")
        check_equal(pair.client.sysctl(REUSE), "2", REUSE)


def helps(family):
    with destination(family=family) as (pair, load), loopback_reuse(pair.client, 20):
        twtuned = Few.watch(pair.client)
        load.open(180, pause=0.02)
        with load.repeated(40):
            twtuned.event("applied", RULE)
            twtuned.ticks.wait(20)  # the time of expect, and more
        twtuned.check_rules(RULE)
        check_equal(sysctls(pair.client), ("1", "1000"), "reuse and delay")
        check_equal(dict(load.failures), {}, "failed connects")


for family in FAMILIES:
    test(f"expect, {family}: a step that helps its destination stays, whatever goes on beside it",
         beside=True)(lambda family=family: helps(family))


# ---- abort: whether a step did harm ----

def check_kept(twtuned, load, namespace, values, *rules):
    """No step was put back, the first one was seen to help, and the load did not notice anything."""
    twtuned.event("expected-effect", RULE)
    spoke = [(line.split(":")[0], fields(line).get("RULE")) for line in twtuned.lines[1:]]
    spoke = [line for line in spoke if line[0] not in ("degraded", "recovered")]  # what is said of the observation
    log = "\n".join(twtuned.lines)
    steps = [line for line in spoke if line[0] == "applied"]
    check(steps == [("applied", rule) for rule in rules], f"the steps are not {rules}:\n{log}")
    others = [line for line in spoke if line[0] != "applied"]  # the second step may come before it
    check(others == [("expected-effect", RULE)], f"what was logged beside the steps is not the effect alone:\n{log}")
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
            # Few enough ports to be no case for a rule, and a SYN of each is sent again every second at first.
            kept = [begin_connect(pair.client, NOWHERE, 8080) for _ in range(40)]
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
        with load.repeated(5):  # the second step needs 8/s
            twtuned.event("applied", RULE)
            twtuned.ticks.wait(8)  # so that the time before that step is known
        with load.repeated(24):
            twtuned.event("applied", SOONER)
            since = pair.client.counter("Tcp", "OutRsts")
            with Repeat(scan, 0.02):
                wait_until(lambda: pair.client.counter("Tcp", "OutRsts") >= since + 500, "RSTs")
                twtuned.ticks.wait(8)
            check_kept(twtuned, load, pair.client, ("1", "250"), RULE, SOONER)


# Loses the first SYN from each port that had a connection before, as a peer does that still keeps that one. It keeps
# none that was reset.
LOSES_REUSED = """
table ip t {
        set seen { type inet_service; flags dynamic,timeout; timeout 5m; size 65535; }
        chain input {
                type filter hook input priority 0
                tcp dport 8080 tcp flags & rst == rst delete @seen { tcp sport }
                tcp dport 8080 tcp flags & (syn | ack) == syn jump syn
        }
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
        # Each waits for a second on a reused port. What ends with a RST leaves a port that is not reused: however slow
        # the machine is, some ports are reused and some are not.
        for _ in range(40):
            stack.enter_context(Load(pair.client, pair.server.ip4).repeated(2, resets=True))
        twtuned.event("applied", RULE)
        line = twtuned.event("aborted", RULE)
        check_equal((line["SYSCTL"], line["OLDVALUE"], line["NEWVALUE"]), (REUSE, "1", "2"), "what was put back")
        check_equal((line.get("GROUP"), line["METRIC"]), (group(pair, "IPv4"), "ports.syn_waiting"), "GROUP and METRIC")
        twtuned.ticks.wait(3)
        kinds = {line.split(":")[0] for line in twtuned.lines if fields(line).get("RULE") == RULE}
        # Ports are reused, so the expected effect may be seen before the harm; that it did not come must not be said.
        check_equal(kinds - {"expected-effect"}, {"applied", "aborted"}, "kinds of the rule's lines")


# ---- until: whether the need is over ----

@test("until: reuse on loopback does not keep what another destination needed", beside=True)
def _():
    # 3 % of the cliff in a second toward each of twelve. After 250 ms each may have had five times as many, as far as
    # a tick can tell: that is under 30 %.
    strangers, rate = 12, 0.9
    with destination(ports=64) as (pair, load), contextlib.ExitStack() as stack:
        for port in range(STRANGER, STRANGER + strangers):
            stack.enter_context(loopback_reuse(pair.client, rate, port, before=38))
        enough = recycled(pair.client) + 100
        wait_until(lambda: recycled(pair.client) >= enough, "they reuse their ports")
        twtuned = Few.watch(pair.client)
        with load.repeated(30):  # the second step needs 16/s
            twtuned.event("applied", RULE)
            twtuned.event("applied", SOONER)
        check_equal(dict(load.failures), {}, "failed connects")
        for rule in (SOONER, RULE):
            before = recycled(pair.client)
            twtuned.event("released", rule)
            check(recycled(pair.client) > before, "no port was reused on loopback")
        check_equal(sysctls(pair.client), ("2", "1000"), "reuse and delay")


# ---- the ladder ----

@test("the second step comes after the first where the server closes nine of ten connections", beside=True)
def _():
    with destination(ports=64) as (pair, load):
        twtuned = Few.watch(pair.client)
        client = ChurnClient(pair.client, pair.server.ip4, server_closes=90)
        twtuned.event("applied", RULE)
        tick = twtuned.ticks.after(2)
        twtuned.event("applied", SOONER)
        check(twtuned.ticks.count <= tick, "three ticks and more after the first step")
        client.stop()


# ---- the table of TIME_WAIT ----

TABLE, TW_RULE = "net.ipv4.tcp_max_tw_buckets", "time-wait-table"
SMALL = 200  # under half of the ports: what does not fit is thrown away before connect() scans


def overflow(namespace):
    return namespace.counter("TcpExt", "TCPTimeWaitOverflow")


def check_left_alone(pair, client, twtuned):
    """As on stock sysctls, a small table goes on to hide that ports cannot be reused."""
    def failures():
        return sum(failures for _, failures in client.seconds)

    wait_until(lambda: overflow(pair.client) > 0, "the table is full")
    # More than there are ports: the time of expect is over, and a larger table would be full of them.
    wait_until(lambda: failures() > 0 or overflow(pair.client) >= 2 * PORTS, "twice the ports in TIME_WAIT thrown away")
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


# As LOSES_REUSED, in two steps: the ports are remembered first, and lost later.
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
        for _ in range(60):  # several, as they wait later on
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
    """So many addresses of the server's host, and one program that listens on all of them."""
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
        few_ports(pair.client, PORTS)
        pair.server.sysctl(TIMESTAMPS, 0)
        pair.client.sysctl(TABLE, SMALL)
        peers = many_peers(pair, 10)
        twtuned = Few.watch(pair.client)
        for peer in peers:  # 120 TIME_WAIT in a minute toward each
            ChurnClient(pair.client, peer, rate=2)
        check_equal(twtuned.event("applied", TW_RULE)["OLDVALUE"], str(SMALL), "OLDVALUE")
        twtuned.check_rules(TW_RULE)


@test("a table is raised at once to what the rate needs, however many times that is", beside=True)
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
        # A minute of what each second had, but for a quarter: seconds of the load and of the daemon are not the same.
        check(int(line["NEWVALUE"]) >= 45 * slowest, f"{line['NEWVALUE']} is too small for {slowest} connects/s")
        twtuned.ticks.wait(3)
        check_equal(overflow(pair.client), lost, "TIME_WAIT thrown away since the table is larger")
        twtuned.check_rules(TW_RULE)
        check_equal(sum(line.startswith("applied:") for line in twtuned.lines), 1, "steps")


if __name__ == "__main__":
    main()
