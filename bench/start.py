#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How a storm begins: the connects of one client toward one server in each 100 ms of its first seconds, out of silence, at
several phases of a tick; with twtuned at its shipped settings, with what it would set already set by hand, and on stock
sysctls. `./dev bench start` runs it. The exit status is 1 when a bar is missed. Pairs are interleaved. What the server's
full accept queue drops (ListenOverflows there) costs a client a second, whatever this host does."""

import argparse
import collections
import os
import pathlib
import platform
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "netns"))
from harness import POLICY, ChurnClient, ChurnServer, Pair, Ticks, Twtuned, few_ports, sweep  # noqa: E402

SECONDS, STEP_MS = 3, 100
FIRST = 2 * 1000 // STEP_MS  # the steps in which no connect may be lost
RATES = (8000, 20000, 0)
BY_HAND = {"net.ipv4.tcp_tw_reuse": 1, "net.ipv4.tcp_tw_reuse_delay": 250}
SLOW = 0.8  # of by hand's median step

Run = collections.namedtuple("Run", "steps failures latency overflows")
missed = []


def wait_phase(phase):
    """Ticks come at whole seconds of CLOCK_MONOTONIC (lib/policy/clock.h)."""
    time.sleep((phase - time.monotonic()) % 1)


def storm(pair, rate):
    client = ChurnClient(pair.client, pair.server.ip4, seconds=SECONDS, rate=rate, step=STEP_MS)
    _, failures = client.finish()
    steps = [connects for connects, _ in client.seconds[:SECONDS * 1000 // STEP_MS]]
    return Run(steps, failures, client.latency, pair.server.counter("TcpExt", "ListenOverflows"))


def measure(rate, ports, how, phase=0):
    with Pair() as pair:
        if ports:
            few_ports(pair.client, ports)
        for name, value in BY_HAND.items() if how == "hand" else ():
            pair.client.sysctl(name, value)
        ChurnServer(pair.server, pair.server.ip4)
        if how == "twtuned":
            ticks = Ticks()
            Twtuned(pair.client, POLICY, ticks=ticks).wait_for("^config-loaded")
            ticks.wait(1)
        wait_phase(phase)
        return storm(pair, rate)


def slow_steps(run, step):
    return sum(connects < SLOW * step for connects in run.steps)


def lost(run, hand):
    """Connects of the first two seconds that are missing, in percent of those by hand."""
    return 100 * (1 - sum(run.steps[:FIRST]) / max(sum(hand.steps[:FIRST]), 1))


def row(rate, ports, name, runs, hands, step):
    values = [statistics.median(slow_steps(run, step) for run in runs), max(slow_steps(run, step) for run in runs),
              min(min(run.steps) for run in runs) * 1000 // STEP_MS,
              statistics.median(lost(run, hand) for run, hand in zip(runs, hands)), sum(run.failures for run in runs),
              *(statistics.median(run.latency[k] for run in runs) for k in range(3)),
              sum(run.overflows for run in runs)]
    print(f"| {ports or 28232:,} | {f'{rate:,}' if rate else 'all'} | {name} | " +
          " | ".join(f"{value:,.1f}" if name == 3 else f"{value:,.0f}" for name, value in enumerate(values)) + " |",
          flush=True)


def judge(rate, ports, hands, runs):
    """Prints the rows of runs by hand and with twtuned, and of one on stock sysctls; adds to `missed`."""
    step = statistics.median(connects for run in hands for connects in run.steps)
    row(rate, ports, "by hand", hands, hands, step)
    row(rate, ports, "**twtuned**", runs, hands, step)
    row(rate, ports, "stock", [measure(rate, ports, "stock")], hands, step)
    text = f"{ports or 28232:,} ports, {f'{rate:,}/s' if rate else 'as fast as it goes'}"
    for what, bad, of_hand, most in (
            ("slow steps, median", statistics.median(slow_steps(run, step) for run in runs),
             statistics.median(slow_steps(run, step) for run in hands), lambda x: x + 1),
            ("connects of the first 2 s lost, percent", statistics.median(map(lost, runs, hands)), 0, lambda x: 1),
            ("failed connects", sum(run.failures for run in runs), sum(run.failures for run in hands),
             lambda x: x * 1.1),
            ("p99 of connect(), us", statistics.median(run.latency[1] for run in runs),
             statistics.median(run.latency[1] for run in hands), lambda x: 2 * x),
            ("longest connect(), us", statistics.median(run.latency[2] for run in runs),
             statistics.median(run.latency[2] for run in hands), lambda x: 2 * x)):
        if bad > most(of_hand):
            missed.append(f"MISSED: {text}: {what}: {bad:,.1f}, at most {most(of_hand):,.1f}")


def cell(rate, ports, phases):
    hands, runs = [], []
    for k in range(phases):
        hands.append(measure(rate, ports, "hand", k / phases))
        runs.append(measure(rate, ports, "twtuned", k / phases))
    judge(rate, ports, hands, runs)


def print_head(medians_over):
    print(f"Linux {platform.release().split('-')[0]}, {len(os.sched_getaffinity(0))} CPUs; the first {SECONDS} s in steps "
          f"of {STEP_MS} ms; a step is slow under {SLOW} of by hand's median; medians over {medians_over}\n\n"
          "| ports | connects/s | | slow steps | at most | lowest step, /s | lost in 2 s, % | failed | connect() p50, us | "
          "p99 | longest | overflows at the server |\n" + "|---" * 12 + "|", flush=True)


def verdict():
    """Returns the exit status."""
    print("\n" + ("\n".join(missed) if missed else "holds: a storm begins as by hand"))
    return 1 if missed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phases", type=int, default=12, help="of a tick, at which a storm begins (default: 12)")
    parser.add_argument("--quick", action="store_true", help="only as fast as it goes, at three phases")
    arguments = parser.parse_args()
    sweep()
    print_head("the phases of a tick")
    for ports in (0, 4096):
        for rate in RATES[2:] if arguments.quick else RATES:
            cell(rate, ports, 3 if arguments.quick else arguments.phases)
    return verdict()


if __name__ == "__main__":
    sys.exit(main())
