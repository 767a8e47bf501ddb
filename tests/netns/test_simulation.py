#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The simulated kernel against the real one: the load that the real one saw, second by second, gives the same
decisions in the same order, within two ticks."""

import re
import subprocess
import time

from harness import (BUILD, POLICY, ChurnClient, ChurnServer, Pair, Twtuned, check, check_equal, diag, fields, main,
                     policy_for_busy_machines, shorten, test)

TICKS_APART = 2
DECISIONS = ("applied", "released", "unexpected-effect", "aborted", "advice")


class Timeline:
    """What happens in a client namespace from now on: connects as the programs report them, decisions as the
    daemon logs them."""

    def __init__(self, pair, config):
        self.pair, self.config = pair, config
        self.twtuned = Twtuned(pair.client, config)
        self.twtuned.wait_for("^config-loaded")
        self.start = time.monotonic()
        self.parts = []  # (begin, end, connects, destination), seconds from the start

    def connect(self, destination, seconds, rate=None):
        client = ChurnClient(self.pair.client, self.pair.server.ip4, seconds=seconds, rate=rate)
        client.finish(seconds + 60)
        begin = client.times[0] - 1 - self.start  # a row is printed when its second is over
        for n, (connects, _) in enumerate(client.seconds):
            self.parts.append((begin + n, begin + n + 1, connects, destination))
        diag(f"{begin:.1f} s: " + " ".join(str(connects) for connects, _ in client.seconds))

    def decisions(self):
        """(tick, kind, rule) of the daemon. A tick is a second."""
        rows = zip(self.twtuned.times, self.twtuned.lines)
        return [(at - self.start, line.split(":")[0], fields(line)["RULE"]) for at, line in rows
                if line.split(":")[0] in DECISIONS]

    def simulated(self):
        """The same of the simulation under that load."""
        script, at = [], 0
        for begin, end, connects, destination in sorted(self.parts):
            if begin > at:
                script.append(f"{begin - at:.3f}")
            script.append(f"{end - max(begin, at):.3f} {connects} {destination}")
            at = end
        script.append(f"{max(time.monotonic() - self.start - at, 0) + TICKS_APART:.3f}")
        out = subprocess.run([str(BUILD / "tests" / "simulate"), str(self.config)], input="\n".join(script) + "\n",
                             text=True, capture_output=True, check=True, timeout=120).stdout
        rows = [line.split() for line in out.splitlines()]
        return [(int(row[0]), row[1], row[2]) for row in rows if row[1] in DECISIONS]

    def check_same(self, expected):
        real, simulated = self.decisions(), self.simulated()
        diag("kernel:     " + ", ".join(f"{at:.1f} s {kind} {rule}" for at, kind, rule in real))
        diag("simulation: " + ", ".join(f"{at} s {kind} {rule}" for at, kind, rule in simulated))
        check_equal([row[1:] for row in real], expected, "what the daemon decided")
        check_equal([row[1:] for row in simulated], expected, "what the simulation decided")
        for one, other in zip(real, simulated):
            check(abs(one[0] - other[0]) <= TICKS_APART + 0.5,
                  f"{one[1]} {one[2]}: at {one[0]:.1f} s, in the simulation at {other[0]} s")


def begin(pair, text):
    pair.client.sysctl("net.ipv4.tcp_rfc1337", 1)  # see keep_time_wait() in test_harness.py
    ChurnServer(pair.server, pair.server.ip4)
    return Timeline(pair, shorten(text))


@test("slow, fast, a storm, stop: both rungs are taken and given back as in the simulation", by_the_clock=0.2)
def _():
    with Pair() as pair:
        timeline = begin(pair, policy_for_busy_machines())
        timeline.connect("peer", seconds=5, rate=100)
        timeline.connect("peer", seconds=16, rate=1000)
        timeline.connect("peer", seconds=7)
        timeline.twtuned.wait_for("^released: net.ipv4.tcp_tw_reuse:", 120)
        timeline.check_same([("applied", "time-wait-reuse"), ("applied", "time-wait-reuse-sooner"),
                             ("released", "time-wait-reuse-sooner"), ("released", "time-wait-reuse")])


@test("a peer without timestamps: what does not help is put back as in the simulation", by_the_clock=0.2)
def _():
    with Pair() as pair:
        pair.server.sysctl("net.ipv4.tcp_timestamps", 0)
        timeline = begin(pair, POLICY.read_text())
        timeline.connect("old-peer", seconds=34, rate=700)
        timeline.twtuned.wait_for("^unexpected-effect: net.ipv4.tcp_tw_reuse:")
        timeline.check_same([("applied", "time-wait-reuse"), ("unexpected-effect", "time-wait-reuse"),
                             ("advice", "time-wait-reuse")])


@test("a load below the thresholds: nothing is decided in either", by_the_clock=0.2)
def _():
    with Pair() as pair:
        timeline = begin(pair, re.sub(r"forecast >= 80%", "forecast >= 90%", POLICY.read_text()))
        timeline.connect("peer", seconds=12, rate=800)
        time.sleep(1)
        timeline.check_same([])


if __name__ == "__main__":
    main()
