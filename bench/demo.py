#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The same load on two hosts (network namespaces), one of them with twtuned; under a minute.

`./dev demo` runs it. A client opens short connections to one server, one after the other, as fast as it
can; within a second they leave TIME_WAIT behind on half of its ports. Needs root, leaves nothing behind.
"""

import pathlib
import sys
import textwrap
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "netns"))
from harness import (POLICY, STOCK, ChurnClient, ChurnServer, Pair, Twtuned, fields, message,  # noqa: E402
                     quick_policy, sweep)

LOAD_SECONDS = 20
STEADY_SECONDS = 5  # the last ones, which the summary is about
RELEASE_SECONDS = 25  # at most
BAR_WIDTH, BAR_SCALE = 24, 40_000
SYSCTLS = ("net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_tw_reuse_delay")


def bar(rate):
    eighths = min(round(rate * BAR_WIDTH * 8 / BAR_SCALE), BAR_WIDTH * 8)
    blocks = "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
    return f"{rate:7,} {blocks:<{BAR_WIDTH}}"


def show_change(line):
    for text in textwrap.wrap(f"twtuned: {message(line) or line}", 100, initial_indent=" " * 8,
                              subsequent_indent=" " * 10):
        print(f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text, flush=True)


class Changes:
    """What twtuned has changed since the last look, from its log."""

    def __init__(self, twtuned):
        self.twtuned, self.seen = twtuned, 0

    def show(self):
        lines = self.twtuned.lines[self.seen:]
        self.seen += len(lines)
        for line in lines:
            if "SYSCTL" in fields(line):
                show_change(line)


def show_load(stock, tuned, changes):
    for second in range(1, LOAD_SECONDS + 1):
        while min(len(stock.seconds), len(tuned.seconds)) < second:
            changes.show()
            if changes.twtuned.ended or (stock.ended and tuned.ended):
                raise RuntimeError("a program ended too early: " + "; ".join(changes.twtuned.lines[-3:]))
            time.sleep(0.05)
        changes.show()
        rates = [client.seconds[second - 1][0] for client in (stock, tuned)]
        print(f"{second:6}  {bar(rates[0])}  {bar(rates[1]).rstrip()}", flush=True)


def stock_again(host):
    return all(host.sysctl(name) == STOCK[name] for name in SYSCTLS)


def show_release(host, changes):
    deadline = time.monotonic() + RELEASE_SECONDS
    while not stock_again(host):
        if time.monotonic() > deadline:
            raise RuntimeError("twtuned has not given the sysctls back")
        time.sleep(0.1)
        changes.show()
    time.sleep(0.3)  # the log line comes after the write
    changes.show()
    for name in SYSCTLS:
        print(f"        {name} = {host.sysctl(name)}")


def run(without, beside, bus=None):
    """bus: the socket of a system bus, for a twtunectl to ask there."""
    twtuned = Twtuned(beside.client, config=quick_policy(), bus=bus)
    changes = Changes(twtuned)
    for pair in (without, beside):
        ChurnServer(pair.server, pair.server.ip4)
    stock, tuned = (ChurnClient(pair.client, pair.server.ip4, seconds=LOAD_SECONDS) for pair in (without, beside))

    print("The shipped policy, but given back 3 s after the load is gone instead of after minutes.\n")
    print(f"{'second':>6}  {'connects/s, stock':<{BAR_WIDTH + 8}}  connects/s, with twtuned", flush=True)
    show_load(stock, tuned, changes)
    if stock_again(beside.client):
        raise RuntimeError("twtuned has changed nothing")

    print("\nThe load is over; the sysctls are to be given back.", flush=True)
    show_release(beside.client, changes)
    if twtuned.stop() != 0:
        raise RuntimeError("twtuned failed: " + "; ".join(twtuned.lines[-3:]))

    steady = LOAD_SECONDS - STEADY_SECONDS + 1, LOAD_SECONDS
    before, after = stock.rate(*steady), tuned.rate(*steady)
    print(f"\nWith twtuned the same client made {after:,.0f} connections a second instead of {before:,.0f}: "
          f"{after / before:.0f} times as many.")


def main():
    sys.stdout.reconfigure(encoding="utf-8")  # for the bars, also under LANG=C and into a file
    sweep()
    try:
        with Pair() as without, Pair() as beside:
            run(without, beside)
    except KeyboardInterrupt:
        sys.exit(130)
    except (OSError, RuntimeError) as error:
        sys.exit(f"demo: {error}")


if __name__ == "__main__":
    main()
