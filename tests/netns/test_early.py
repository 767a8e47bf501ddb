#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A storm that would be over before the next tick: the tick comes early. And an idle host, on which nothing but the ticks
wakes the daemon. Real connections in a narrow port range; what it saves is measured by `./dev bench start`."""

import pathlib
import re
import time

from harness import (POLICY, ChurnClient, ChurnHold, ChurnServer, Pair, Twtuned, check, check_equal, diag, few_ports, main,
                     temp_policy, test, wait_until)
from pressure import Shipped
from ticks import replace

REUSE, DELAY = "net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_tw_reuse_delay"
INTERVAL = 60  # s, the longest that there is
PORTS = 512


def slow_policy():
    return temp_policy(replace(POLICY.read_text(), ("interval = 1s", "interval = 1min")))


def next_tick(interval=INTERVAL):
    """When the next regular tick of a daemon that starts or ticks now is due (lib/policy/clock.h)."""
    return (time.monotonic() + interval / 2 + interval) // interval * interval


def check_early(due):
    left = due - time.monotonic()
    check(left > 0, f"the regular tick was due {-left:.0f} s before: this machine is too slow to tell")
    diag(f"{left:.0f} s before the next regular tick")


def wakeups(pid):
    return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1])


def out_of_silence(address, **options):
    with Pair() as pair:
        few_ports(pair.client, PORTS)
        ChurnServer(pair.server, address(pair.server))
        due = next_tick()
        twtuned = Twtuned(pair.client, slow_policy())
        twtuned.wait_for("^config-loaded")
        client = ChurnClient(pair.client, address(pair.server), seconds=20, rate=150, **options)
        for name, value in ((REUSE, "1"), (DELAY, "250")):
            twtuned.wait_for(f"^applied: {name}: .* -> {value}")
            check_equal(pair.client.sysctl(name), value, name)
        check_early(due)
        connects, failures = client.finish()
        check_equal(failures, 0, f"failures beside {connects} connects")


@test("a storm out of silence, a minute's interval: both rules act long before the next tick, and no connect fails",
      beside=True)
def _():
    out_of_silence(lambda namespace: namespace.ip4)


@test("the same over IPv6", beside=True)
def _():
    out_of_silence(lambda namespace: namespace.ip6)


@test("the storm is back while reuse is held and the delay was given back: no socket is new, and the rule acts early",
      beside=True)
def _():
    policy = temp_policy(replace(POLICY.read_text(), ("interval = 1s", "interval = 20s"),
                                 ("until = ports.reuse_demand < 30% for 2min", "until = ports.reuse_demand < 30%")))
    with Pair() as pair:
        few_ports(pair.client, PORTS)
        ChurnServer(pair.server, pair.server.ip4)
        twtuned = Twtuned(pair.client, policy)
        twtuned.wait_for("^config-loaded")
        ChurnClient(pair.client, pair.server.ip4, seconds=5, rate=250).finish()
        twtuned.wait_for(f"^released: {DELAY}: 250 -> 1000")
        due, before = next_tick(20), len(twtuned.lines)
        ChurnClient(pair.client, pair.server.ip4, seconds=60, rate=250)
        twtuned.wait_for(f"^applied: {DELAY}: 1000 -> 250", since=before)
        check_early(due)
        check_equal(pair.client.sysctl(REUSE), "1", "reuse was held all the time")


@test("without connections that end, nothing but its ticks wakes the daemon", beside=True)
def _():
    with Pair() as pair, Pair() as clock:
        few_ports(pair.client, PORTS)
        ChurnServer(pair.server, pair.server.ip4)
        due = next_tick()
        twtuned = Twtuned(pair.client, slow_policy())
        twtuned.wait_for("^config-loaded")
        ticking = Shipped.watch(clock.client)
        ticking.ticks.wait(2)
        before = wakeups(twtuned.pid)
        ChurnHold(pair.client, pair.server.ip4, count=100)
        ticking.ticks.wait(3)
        if time.monotonic() < due:
            check_equal(wakeups(twtuned.pid), before, "wake-ups")
        ChurnClient(pair.client, pair.server.ip4, count=100).finish()
        wait_until(lambda: wakeups(twtuned.pid) > before, "a wake-up after 100 connections that ended")


if __name__ == "__main__":
    main()
