#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Connects per second of one client toward one server, in two network namespaces joined by veth: on stock
sysctls, with the sysctls that twtuned would set already set by hand, and with twtuned started beside the client
on stock sysctls. Then what the second rule gives on loopback, what a slow client notices of twtuned, and what a small
accept queue costs. `./dev bench` runs it; some five minutes on an idle machine. The exit status is 1 when a bar is
missed. All figures of a row come from one run."""

import argparse
import os
import pathlib
import platform
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "netns"))
from harness import (POLICY, ChurnClient, ChurnServer, Pair, Program, Single, Twtuned, quick_policy,  # noqa: E402
                     sweep)
from sockets import BUSY  # noqa: E402

SECONDS = 10
STEADY = (4, SECONDS)
STOCK_SECONDS = 14  # of which the last STOCK_STEADY are past the cliff, unless the machine is too slow to get there
STOCK_STEADY = 4
FAMILIES = ("IPv4", "IPv6", "IPv4-mapped")
REUSE, DELAY = "net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_tw_reuse_delay"
BY_HAND = {REUSE: 1, DELAY: 250}

missed = []


def bar(holds, text):
    print(f"{'holds' if holds else 'MISSED'}: {text}", flush=True)
    if not holds:
        missed.append(text)


def measure(family, by_hand=False, twtuned=False, seconds=SECONDS, steady=STEADY):
    """Connects/s in the steady seconds, failed connects in all."""
    with Pair() as pair:
        for name, value in BY_HAND.items() if by_hand else ():
            pair.client.sysctl(name, value)
        address = pair.server.ip6 if family == "IPv6" else pair.server.ip4
        ChurnServer(pair.server, address)
        if twtuned:
            Twtuned(pair.client, POLICY).wait_for("^config-loaded")
        client = ChurnClient(pair.client, address, seconds=seconds, mapped=family == "IPv4-mapped")
        _, failures = client.finish()
        return client.rate(*steady), failures


def row(family, runs):
    """The medians of runs that are interleaved, so that a slow moment of the machine meets all three alike. Returns
    (family, stock, twtuned, ratio of pairs, failures)."""
    results = {"stock": [], "hand": [], "twtuned": []}
    for _ in range(runs):
        results["stock"].append(measure(family, seconds=STOCK_SECONDS,
                                        steady=(STOCK_SECONDS - STOCK_STEADY + 1, STOCK_SECONDS)))
        results["hand"].append(measure(family, by_hand=True))
        results["twtuned"].append(measure(family, twtuned=True))
    stock, hand, tuned = (statistics.median(rate for rate, _ in results[name]) for name in results)
    paired = statistics.median(t[0] / h[0] for t, h in zip(results["twtuned"], results["hand"]))
    failures = sum(failed for _, failed in results["twtuned"])
    print(f"| {family} | {stock:,.0f} | {hand:,.0f} | **{tuned:,.0f}** | {tuned / stock:.0f} | {paired:.2f} | "
          f"{failures} |", flush=True)
    return family, stock, tuned, paired, failures


def loopback(pasted_reuse):
    """Connects/s before and after the second rule acts. It acts as soon as there is a load, so twtuned is started only
    after the seconds before."""
    with Single() as host:
        host.sysctl(REUSE, pasted_reuse)
        ChurnServer(host, host.ip4)
        client = ChurnClient(host, host.ip4, seconds=16)
        client.wait_second(7)
        Twtuned(host, quick_policy())
        client.finish()
        return client.rate(4, 7), client.rate(11, 15)


def slowest_seconds(rate=300, seconds=45):
    """The connects in the slowest second of two clients at the same time: one with twtuned, which acts meanwhile, and
    one without, which does not reach the cliff with its 13,500 sockets."""
    with Pair() as pair, Pair() as other:
        ChurnServer(pair.server, pair.server.ip4)
        ChurnServer(other.server, other.server.ip4)
        Twtuned(pair.client, POLICY).wait_for("^config-loaded")
        calm = ChurnClient(other.client, other.server.ip4, rate=rate, seconds=seconds)
        client = ChurnClient(pair.client, pair.server.ip4, rate=rate, seconds=seconds)
        client.finish(2 * seconds)
        calm.finish()
        return [min(connects for connects, _ in each.seconds[:seconds]) for each in (client, calm)]


def small_accept_queue(clients=8):
    """Connects/s of clients that want 1,000/s each, where a queue of 8 is emptied every 100 ms."""
    with Pair() as pair:
        argv = [sys.executable, "-c", BUSY, pair.server.ip4, "8080", "8", "0.1"]
        Program(pair.server, argv).wait_for("^ready$")
        running = [ChurnClient(pair.client, pair.server.ip4, rate=1000, seconds=4) for _ in range(clients)]
        for client in running:
            client.finish()
        return sum(client.rate(1, 3) for client in running)


def pace(rate=2000, seconds=3):
    """Connects of `churn client --rate`."""
    with Single() as host:
        ChurnServer(host, host.ip4)
        return ChurnClient(host, host.ip4, rate=rate, seconds=seconds).finish()[0]


def others(runs):
    for reuse in (2, 1):
        before, after = zip(*(loopback(reuse) for _ in range(runs)))
        lift = statistics.median(a / b for b, a in zip(before, after))
        bar(lift > 1.3, f"loopback, tcp_tw_reuse={reuse}: the second rule lifts {statistics.median(before):,.0f}/s to "
                        f"{statistics.median(after):,.0f}/s, {lift:.2f} times; more than 1.3 times")
    client, calm = map(statistics.median, zip(*(slowest_seconds() for _ in range(runs))))
    bar(client >= 250 / 300 * calm, f"300 connects/s: {client:.0f} in the slowest second with twtuned, {calm:.0f} far "
                                    "from the cliff; at least 250/300 of that")
    queue = small_accept_queue()
    bar(queue < 800, f"8 clients that want 1,000/s each make {queue:.0f}/s through an accept queue of 8; under 800")
    connects = pace()
    bar(5990 <= connects <= 6000, f"churn client --rate=2000 makes {connects:,} connects in 3 s; 5,990 to 6,000")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="of each; the median counts (default: 3)")
    arguments = parser.parse_args()
    sweep()
    print(f"Linux {platform.release().split('-')[0]}, {len(os.sched_getaffinity(0))} CPUs; connects/s "
          f"from second {STEADY[0]} to {STEADY[1]}, on stock sysctls in the last {STOCK_STEADY} s of {STOCK_SECONDS}; "
          f"median of {arguments.runs}\n")
    print("| | stock | by hand | with twtuned | times stock | twtuned/hand | failed |")
    print("|---|---|---|---|---|---|---|")
    rows = [row(family, arguments.runs) for family in FAMILIES]
    print()
    for family, stock, tuned, paired, failures in rows:
        bar(stock < 1000, f"{family}: stock falls to {stock:,.0f}/s past the cliff; under 1,000/s")
        bar(tuned >= 20 * stock, f"{family}: twtuned gives {tuned / stock:.0f} times stock; at least 20 times")
        bar(paired >= 0.9, f"{family}: twtuned gives {paired:.2f} of by hand; at least 0.9")
        bar(failures == 0, f"{family}: {failures} connects fail with twtuned; none")
    others(arguments.runs)
    return 1 if missed else 0


sys.exit(main())
