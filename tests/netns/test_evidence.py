#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Evidence belongs to its destination: what strangers do on the same host neither proves a step nor disproves it, and
no host is left worse than without twtuned. The shipped policy, in narrow port ranges and with short times. --long: how
soon the second step follows the first."""

import contextlib
import time

from harness import ChurnClient, ChurnServer, check, check_equal, fields, main, test
from pressure import LOSES_REUSED, NOWHERE, Few, destination, group, load_nft
from sockets import Load, Repeat, begin_connect, close_all, silence, wait_until

REUSE, DELAY = "net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_tw_reuse_delay"
RULE, SOONER = "time-wait-reuse", "time-wait-reuse-sooner"
FAMILIES = "IPv4", "IPv6", "IPv4-mapped"
SOON = {"ports.reused >= 10% within 15s": "ports.reused >= 10% within 3s"}
HELD = {"until = ports.reuse_demand < 30% for 2min": "until = ports.reuse_demand < 1% for 2min"}
STRANGER = 8081  # a port that nothing else here uses


def sysctls(namespace):
    return namespace.sysctl(REUSE), namespace.sysctl(DELAY)


def recycled(namespace):
    return namespace.counter("TcpExt", "TWRecycled")


@contextlib.contextmanager
def loopback_reuse(namespace, rate, port=STRANGER, before=0):
    """Somebody's connections on loopback, some of which reuse a port of TIME_WAIT, as stock sysctls let them."""
    ChurnServer(namespace, "127.0.0.1", port)
    load = Load(namespace, "127.0.0.1", port)
    load.open(before)
    with load.repeated(rate):
        wait_until(lambda: recycled(namespace) > 0, "reuse on loopback")
        yield


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
        begin = time.monotonic()
        load.open(ports)
        check_equal((load.connects, dict(load.failures)), (ports, {}), "connects and failures")
        with load.repeated(50):
            twtuned.event("applied", RULE)
            twtuned.event("unexpected-effect", RULE)
            # Once the first TIME_WAIT is over, connect() succeeds again: that is too late, but for a machine that stalls.
            if (connects := load.connects) != ports:
                check(time.monotonic() - begin > 60, f"{connects} connects until the step was put back, not {ports}")
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
    spoke = [(line.split(":")[0], fields(line).get("RULE")) for line in twtuned.said()]
    log = "\n".join(twtuned.lines)
    steps = [line for line in spoke if line[0] == "applied"]
    check(steps == [("applied", rule) for rule in rules], f"the steps are not {rules}:\n{log}")
    others = [line for line in spoke if line[0] != "applied"]  # the second step may come before the effect is seen
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
            kept = [begin_connect(pair.client, NOWHERE, 8080) for _ in range(30)]
            wait_until(lambda: pair.client.counter("TcpExt", "TCPSynRetrans") >= since + 75, "SYNs sent again")
            twtuned.ticks.wait(8)
            check_kept(twtuned, load, pair.client, ("1", "1000"), RULE)
            close_all(kept)


@test("abort: a peer that connects to closed ports says nothing about the step", beside=True)
def _():
    def scan():
        close_all([begin_connect(pair.server, pair.client.ip4, port) for port in range(100, 110)])

    with destination(ports=32) as (pair, load):
        twtuned = Few.watch(pair.client, HELD)  # a load that is slower than 24/s does not end the second step
        with load.repeated(5):  # the second step needs 8/s
            twtuned.event("applied", RULE)
            twtuned.ticks.wait(8)  # so that the time before that step is known
        with load.repeated(24):
            twtuned.event("applied", SOONER)
            since = pair.client.counter("Tcp", "OutRsts")
            with Repeat(scan, 0.05):
                wait_until(lambda: pair.client.counter("Tcp", "OutRsts") >= since + 500, "RSTs")
                twtuned.ticks.wait(8)
            check_kept(twtuned, load, pair.client, ("1", "250"), RULE, SOONER)


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
    strangers, rate = 12, 0.45
    with destination(ports=32) as (pair, load), contextlib.ExitStack() as stack:
        for port in range(STRANGER, STRANGER + strangers):
            stack.enter_context(loopback_reuse(pair.client, rate, port, before=19))
        enough = recycled(pair.client) + 50
        wait_until(lambda: recycled(pair.client) >= enough, "they reuse their ports")
        twtuned = Few.watch(pair.client)
        with load.repeated(24):  # the second step needs 8/s
            twtuned.event("applied", RULE)
            twtuned.event("applied", SOONER)
        check_equal(dict(load.failures), {}, "failed connects")
        before = recycled(pair.client)
        for rule in (SOONER, RULE):
            twtuned.event("released", rule)
        check(recycled(pair.client) > before, "no port was reused on loopback meanwhile")
        check_equal(sysctls(pair.client), ("2", "1000"), "reuse and delay")


# ---- the ladder ----

def ladder():
    """Returns the tick at whose end two whole ticks after the first step are over, and the tick of the second step."""
    with destination(ports=64) as (pair, load):
        twtuned = Few.watch(pair.client)
        client = ChurnClient(pair.client, pair.server.ip4, server_closes=90)
        twtuned.event("applied", RULE)
        tick = twtuned.ticks.after(2)
        twtuned.event("applied", SOONER)
        at = twtuned.ticks.count
        client.stop()
        return tick, at


@test("the second step comes after the first where the server closes nine of ten connections", beside=True)
def _():
    ladder()


@test("and not three ticks and more after it, where the load is as fast as can be", long=True)
def _():
    tick, at = ladder()
    check(at <= tick, f"{at - tick} ticks too late")


if __name__ == "__main__":
    main()
