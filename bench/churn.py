#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Connects per second of one client toward one server, in two network namespaces joined by veth: on stock
sysctls, with the sysctls that twtuned would set already set by hand, and with twtuned started beside the client
on stock sysctls. `./dev bench` runs it; some two minutes. All figures of a row come from one run."""

import argparse
import os
import pathlib
import platform
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "netns"))
from harness import POLICY, ChurnClient, ChurnServer, Pair, Twtuned, sweep  # noqa: E402

SECONDS = 10
STEADY = (4, SECONDS)
FAMILIES = ("IPv4", "IPv6", "IPv4-mapped")
BY_HAND = {"net.ipv4.tcp_tw_reuse": 1, "net.ipv4.tcp_tw_reuse_delay": 250}


def measure(family, by_hand=False, twtuned=False):
    """Connects/s in the steady seconds, failed connects in all."""
    with Pair() as pair:
        for name, value in BY_HAND.items() if by_hand else ():
            pair.client.sysctl(name, value)
        address = pair.server.ip6 if family == "IPv6" else pair.server.ip4
        ChurnServer(pair.server, address)
        if twtuned:
            Twtuned(pair.client, POLICY).wait_for("^config-loaded")
        client = ChurnClient(pair.client, address, seconds=SECONDS, mapped=family == "IPv4-mapped")
        _, failures = client.finish()
        return client.rate(*STEADY), failures


def row(family, runs):
    """The medians of runs that are interleaved, so that a slow moment of the machine meets all three alike."""
    results = {"stock": [], "hand": [], "twtuned": []}
    for _ in range(runs):
        results["stock"].append(measure(family))
        results["hand"].append(measure(family, by_hand=True))
        results["twtuned"].append(measure(family, twtuned=True))
    stock, hand, tuned = (statistics.median(rate for rate, _ in results[name]) for name in results)
    paired = statistics.median(t[0] / h[0] for t, h in zip(results["twtuned"], results["hand"]))
    failures = sum(failed for _, failed in results["twtuned"])
    print(f"| {family} | {stock:,.0f} | {hand:,.0f} | **{tuned:,.0f}** | {tuned / stock:.0f} | {paired:.2f} | "
          f"{failures} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="of each; the median counts (default: 3)")
    arguments = parser.parse_args()
    sweep()
    print(f"Linux {platform.release().split('-')[0]}, {len(os.sched_getaffinity(0))} CPUs; connects/s "
          f"from second {STEADY[0]} to {STEADY[1]}, median of {arguments.runs}\n")
    print("| | stock | by hand | with twtuned | times stock | twtuned/hand | failed |")
    print("|---|---|---|---|---|---|---|")
    for family in FAMILIES:
        row(family, arguments.runs)


main()
