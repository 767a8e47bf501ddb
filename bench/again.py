#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How a storm begins that comes again: a storm, silence, and the same storm at several moments before and after
twtuned gives back what it set. `./dev bench again` runs it, eleven minutes. The columns and bars are those of
start.py; the exit status is 1 when a bar is missed. The policy is the shipped one, but gives back after 2 s of low
demand instead of 2 minutes. A host whose sysctls are set by hand gets its second storm after the same silence."""

import collections
import contextlib
import re
import sys
import time

from start import (BY_HAND, POLICY, ChurnServer, Pair, Twtuned, few_ports, judge, print_head, storm, sweep,  # noqa: E402
                   verdict)
from harness import temp_policy

RATE = 20000
APART = 5  # s from one host's storm to the next one's
SIDE_BY_SIDE = 4  # pairs of hosts
GIVEN_BACK = r"^released: net\.ipv4\.tcp_tw_reuse:"
# Seconds after the beginning of the first storm, or after all was given back, which takes some 65 s.
MOMENTS = [("begin", 45), ("begin", 52), ("begin", 59), ("end", 0), ("end", 0.1), ("end", 0.2), ("end", 0.3), ("end", 0.5),
           ("end", 0.7), ("end", 0.9), ("end", 2), ("end", 3)]

Host = collections.namedtuple("Host", "pair twtuned")


def make_host(stack, ports, policy):
    """policy: of twtuned; None: its sysctls are set by hand."""
    pair = stack.enter_context(Pair())
    if ports:
        few_ports(pair.client, ports)
    for name, value in BY_HAND.items() if not policy else ():
        pair.client.sysctl(name, value)
    ChurnServer(pair.server, pair.server.ip4)
    twtuned = Twtuned(pair.client, policy) if policy else None
    if twtuned:
        twtuned.wait_for("^config-loaded")
    return Host(pair, twtuned)


def sleep_until(moment):
    time.sleep(max(moment - time.monotonic(), 0))


def measure(ports, policy, moments):
    """(by hand, twtuned): the second storm at each moment. The hosts are silent at the same time, but have their
    storms one after the other, so the moments must not descend."""
    hands, runs, begun = [], [], []
    with contextlib.ExitStack() as stack:
        hosts = [make_host(stack, ports, kind) for _ in moments for kind in (policy, None)]
        first = time.monotonic()
        for n, host in enumerate(hosts):
            sleep_until(first + n * APART)
            begun.append(time.monotonic())
            storm(host.pair, RATE)
        for n, (since, seconds) in enumerate(moments):
            watched, by_hand = hosts[2 * n:2 * n + 2]
            if since == "begin":
                sleep_until(begun[2 * n] + seconds)
            else:
                watched.twtuned.wait_for(GIVEN_BACK, 120)
                time.sleep(seconds)
            silence = time.monotonic() - begun[2 * n]
            runs.append(storm(watched.pair, RATE))
            sleep_until(begun[2 * n + 1] + silence)
            hands.append(storm(by_hand.pair, RATE))
    return hands, runs


def main():
    sweep()
    policy = temp_policy(re.sub(r"^(until *= *ports\..*) for 2min$", r"\1 for 2s", POLICY.read_text(), flags=re.M))
    print_head("the moments")
    for ports in (0, 4096):
        hands, runs = [], []
        for k in range(0, len(MOMENTS), SIDE_BY_SIDE):
            more = measure(ports, policy, MOMENTS[k:k + SIDE_BY_SIDE])
            hands += more[0]
            runs += more[1]
        judge(RATE, ports, hands, runs)
    return verdict()


if __name__ == "__main__":
    sys.exit(main())
