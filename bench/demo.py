#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The same load on two hosts (network namespaces), one of them with twtuned; under a minute.

`./dev demo` runs it. A client opens short connections to one server, one after the other, as fast as it
can; within a second they leave TIME_WAIT behind on half of its ports. In the middle of it, twtunectl shows what is
going on, on a bus of its own. Needs root, leaves nothing behind.
"""

import contextlib
import difflib
import os
import pathlib
import shutil
import subprocess
import sys
import textwrap
import time

TESTS = pathlib.Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS / "netns"), str(TESTS / "ctl")]
from ctl_host import Bus  # noqa: E402
from harness import (POLICY, STOCK, ChurnClient, ChurnServer, Pair, Twtuned, binary, fields, message,  # noqa: E402
                     quick_policy, sweep)

LOAD_SECONDS = 20
STATUS_SECOND = 10
COLUMNS = 100
STEADY_SECONDS = 5  # the last ones, which the summary is about
RELEASE_SECONDS = 25  # at most
BAR_WIDTH, BAR_SCALE = 24, 40_000  # a second and two bars with their numbers are 74 columns
SYSCTLS = ("net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_tw_reuse_delay")


def bar(rate):
    eighths = min(round(rate * BAR_WIDTH * 8 / BAR_SCALE), BAR_WIDTH * 8)
    blocks = "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
    return f"{rate:7,} {blocks:<{BAR_WIDTH}}"


def show_change(line):
    for text in textwrap.wrap(f"twtuned: {message(line) or line}", COLUMNS, initial_indent=" " * 8,
                              subsequent_indent=" " * 10):
        print(f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text, flush=True)


def show_settings(config):
    """The lines of the policy that differ from those of the shipped one."""
    shipped, used = (path.read_text().splitlines() for path in (POLICY, pathlib.Path(config)))
    differing = [line for line in difflib.unified_diff(shipped, used, "shipped", "here", n=0, lineterm="")
                 if line[0] in "-+" and line[:3] not in ("---", "+++")]
    if not differing:
        print("The shipped policy.\n")
        return
    print("The shipped policy, but for these lines, so that the demo ends within a minute (- shipped, + here):")
    for line in differing:
        print(f"    {line}"[:COLUMNS])
    print()


def show_status(bus):
    """What a person sees in the storm."""
    env = os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={bus.socket}", "LC_ALL": "C.UTF-8"}
    status = subprocess.run([binary("twtunectl"), "status"], env=env, text=True, capture_output=True).stdout
    print("        $ twtunectl")
    for line in status.splitlines():
        for part in textwrap.wrap(line, COLUMNS - 8, subsequent_indent=" " * 12, drop_whitespace=False) or [""]:
            print(f"        {part.rstrip()}", flush=True)


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


def show_load(stock, tuned, changes, bus):
    for second in range(1, LOAD_SECONDS + 1):
        while min(len(stock.seconds), len(tuned.seconds)) < second:
            changes.show()
            if changes.twtuned.ended or (stock.ended and tuned.ended):
                raise RuntimeError("a program ended too early: " + "; ".join(changes.twtuned.lines[-3:]))
            time.sleep(0.05)
        changes.show()
        rates = [client.seconds[second - 1][0] for client in (stock, tuned)]
        print(f"{second:6}  {bar(rates[0])}  {bar(rates[1]).rstrip()}", flush=True)
        if second == STATUS_SECOND and bus:
            show_status(bus)


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


def run(without, beside, bus):
    config = quick_policy()
    twtuned = Twtuned(beside.client, config=config, bus=bus.socket if bus else None)
    changes = Changes(twtuned)
    for pair in (without, beside):
        ChurnServer(pair.server, pair.server.ip4)
    stock, tuned = (ChurnClient(pair.client, pair.server.ip4, seconds=LOAD_SECONDS) for pair in (without, beside))

    show_settings(config)
    print(f"{'second':>6}  {'connects/s, stock':<{BAR_WIDTH + 8}}  connects/s, with twtuned", flush=True)
    show_load(stock, tuned, changes, bus)
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


@contextlib.contextmanager
def own_bus():
    """None: this host has no dbus-daemon, and the demo goes without twtunectl."""
    bus = Bus() if shutil.which("dbus-daemon") else None
    try:
        yield bus
    finally:
        if bus:
            bus.stop()


def main():
    sys.stdout.reconfigure(encoding="utf-8")  # for the bars, also under LANG=C and into a file
    sweep()
    try:
        with own_bus() as bus, Pair() as without, Pair() as beside:
            run(without, beside, bus)
    except KeyboardInterrupt:
        sys.exit(130)
    except (OSError, RuntimeError) as error:
        sys.exit(f"demo: {error}")


if __name__ == "__main__":
    main()
