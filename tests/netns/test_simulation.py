#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The simulated kernel against the real one. The daemon records what it sees; the connections that it saw opened
between two ticks are the simulation's load between the same ticks, which then gives the same decisions in the same order,
within two ticks. Where a tick was late, nobody knows when in that time they were opened: then only the replay of the
recording is compared. --long: with the ports and durations of a host as shipped."""

import bisect
import csv
import itertools
import re
import signal
import subprocess
import sys

from harness import (BUILD, PATIENCE, POLICY, ChurnClient, ChurnServer, Pair, Twtuned, binary, check, check_equal, diag,
                     fields, main, temp_dir, temp_policy, test, wait_until)
from pressure import NOWHERE
from sockets import begin_connect, keep_time_wait, silence
from ticks import narrow, released_soon, replace

LONG = "--long" in sys.argv
sys.argv[1:] = [a for a in sys.argv[1:] if a != "--long"]

TICKS_APART = 2
LATE = 1.5  # seconds from one tick to the next, where one second is due
DECISIONS = ("applied", "released", "unexpected-effect", "aborted", "advice")
OPENED = "snmp.Tcp.ActiveOpens"
# So that the recording has a column of the connections.
MARKER = f"""
[rule marker]
when = {OPENED} >= 1000000/s for 1h
advise = never
"""
STOCK_PORTS = 28232
BOTH_RUNGS = [("applied", "time-wait-reuse"), ("applied", "time-wait-reuse-sooner"),
              ("released", "time-wait-reuse-sooner"), ("released", "time-wait-reuse")]
UNEXPECTED = [("applied", "time-wait-reuse"), ("unexpected-effect", "time-wait-reuse"), ("advice", "time-wait-reuse")]
REUSE = r"net\.ipv4\.tcp_tw_reuse:"
DELAY = r"net\.ipv4\.tcp_tw_reuse_delay:"


class Timeline:
    """What happens in a client namespace from now on, tick by tick: connections and decisions."""

    def __init__(self, pair, policy, ports, destination="peer"):
        narrow(pair.client, ports)
        keep_time_wait(pair.client)
        ChurnServer(pair.server, pair.server.ip4)
        self.pair, self.ports, self.destination, self.client = pair, ports, destination, None
        self.config, self.recording = temp_policy(policy + MARKER), temp_dir() / "recording.csv"
        self.twtuned = Twtuned(pair.client, self.config, [f"--record={self.recording}"])
        self.twtuned.wait_for("^config-loaded")
        self.wait_ticks(1)

    def wait_ticks(self, count):
        """For so many regular ticks that begin after the call: the simulation has no others."""
        begun = len(self.rows())
        wait_until(lambda: len(self.rows()) > begun + count, f"{count} regular ticks")

    def load(self, rate):
        """Connects at this rate from now on. The load before ends after that, so that there is no pause."""
        before, self.client = self.client, ChurnClient(self.pair.client, self.pair.server.ip4, rate=rate)
        if before:
            before.stop()

    def wait_for(self, regex):
        """Waits for this line of the log, and for two more ticks under the same load."""
        self.twtuned.wait_for(regex)
        self.wait_ticks(2)

    def check_same(self, expected):
        """Daemon, replay and simulation decided this before all else; if it is empty, they decided nothing."""
        self.wait_ticks(1)  # so that the row of the last decision is there
        self.twtuned.stop(signal.SIGKILL)  # else it would put back what it holds
        logged = [(line.split(":")[0], fields(line)["RULE"]) for line in self.twtuned.lines
                  if line.split(":")[0] in DECISIONS]
        rows = self.rows()
        recorded, simulated = self.replay(rows), self.simulate(rows)
        for what, decisions in ("kernel:    ", recorded), ("simulation:", simulated):
            diag(f"{what} " + ", ".join(f"tick {tick} {kind} {rule}" for tick, kind, rule in decisions))
        late = max(seconds for seconds, _ in rows) > LATE
        if late:
            diag("a tick was late: the simulation is not compared")
        for what, decisions in (("the daemon decided", logged),
                                ("the replay of its recording decides", [row[1:] for row in recorded]),
                                ("the simulation decided", expected if late else [row[1:] for row in simulated])):
            check_equal(decisions[:len(expected) or None], expected, f"what {what} first of {decisions}")
        if late:
            return
        for one, other, _ in zip(recorded, simulated, expected):
            check(abs(one[0] - other[0]) <= TICKS_APART,
                  f"{one[1]} {one[2]}: at tick {one[0]}, in the simulation at {other[0]}")

    def rows(self):
        """(seconds since the tick before, connections opened in a second) of each regular tick but the first. An early one
        shows the rate of the last regular one."""
        text = self.recording.read_text() if self.recording.exists() else ""
        whole = text[:text.rfind("\n") + 1].splitlines()
        rows = [(float(row["time"]), float(row[OPENED] or 0)) for row in csv.DictReader(whole)]
        regular, due = [], 0
        for now, opened in rows:
            if now >= due:
                regular.append((now, opened))
                due = (now + 1.5) // 1  # lib/policy/clock.h:clock_next_tick()
        return [(now - before, opened) for (before, _), (now, opened) in zip(regular, regular[1:])]

    def replay(self, rows):
        """(tick, kind, rule) of what the replay decides. The tick comes from the times in the recording."""
        argv = [binary("twtuned"), f"--replay={self.recording}", f"--config={self.config}"]
        out = subprocess.run(argv, text=True, capture_output=True, check=True).stdout
        found = re.findall(rf"^.*\+([\d.]+)s ({'|'.join(DECISIONS)}): .*$", out, re.M)
        rules = [fields(line)["RULE"] for line in out.splitlines() if re.search(rf"s ({'|'.join(DECISIONS)}): ", line)]
        times = [round(time, 3) for time in itertools.accumulate(seconds for seconds, _ in rows)]
        return [(bisect.bisect(times, float(at) + 0.001), kind, rule) for (at, kind), rule in zip(found, rules)]

    def simulate(self, rows):
        """The same of the simulation under that load."""
        # 10 ticks more, because the simulation may make the last decision a little later.
        script = "".join(f"{seconds:.3f} {rate} {self.destination}\n" for seconds, rate in rows) + 10 * "1\n"
        argv = [str(BUILD / "tests" / "simulate"), str(self.config), str(self.ports)]
        out = subprocess.run(argv, input=script, text=True, capture_output=True, check=True).stdout
        found = [line.split() for line in out.splitlines()]
        return [(int(row[0]), row[1], row[2]) for row in found if row[1] in DECISIONS]


@test("slow, fast, a storm, stop: both rungs are taken and given back as in the simulation", beside=True)
def _():
    with Pair() as pair:
        timeline = Timeline(pair, released_soon(POLICY.read_text(), "4500ms"), 64)
        timeline.load(rate=1)
        timeline.wait_ticks(4)
        timeline.load(rate=8)
        timeline.wait_for(f"^applied: {REUSE}")
        timeline.load(rate=40)
        timeline.wait_for(f"^applied: {DELAY}")
        timeline.client.stop()
        timeline.twtuned.wait_for(f"^released: {REUSE}")
        timeline.check_same(BOTH_RUNGS)


@test("a peer without timestamps: what does not help is put back as in the simulation", beside=True)
def _():
    # ports.cliff, which `when` tests here, stays over its threshold, in whatever bursts the connections come.
    policy = replace(POLICY.read_text(), ("within 15s", "within 5s"), ("ports.forecast >= 80%", "ports.cliff >= 30%"),
                     ("[rule time-wait-reuse-sooner]\n", "[rule time-wait-reuse-sooner]\nenabled = no\n"))
    with Pair() as pair:
        pair.server.sysctl("net.ipv4.tcp_timestamps", 0)
        timeline = Timeline(pair, policy, 512, "old-peer")
        timeline.load(rate=30)  # there are ports for 17 s
        timeline.wait_for("^advice: .*RULE=time-wait-reuse ")
        timeline.check_same(UNEXPECTED)


@test("a load below the thresholds: nothing is decided in either", beside=True)
def _():
    policy = replace(POLICY.read_text(), ("forecast >= 80%", "forecast >= 90%"))
    with Pair() as pair:
        timeline = Timeline(pair, policy, 512)
        # All at once, they are a forecast of 90 + 3 * 90 / 2 in 256 ports, 88 %; spread over time, it is less.
        ChurnClient(pair.client, pair.server.ip4, count=90).finish()
        timeline.wait_ticks(5)
        timeline.check_same([])


@test("SYN_SENT tells how long it has waited: what the simulation shows of it", beside=True)
def _():
    def waiting():
        """(ms until the SYN is sent again, how often it was) as sock_diag has them; see ss(8) for timer:"""
        text = pair.client.run(["ss", "-tnoH", "state", "syn-sent"]).stdout
        match = re.search(r"timer:\(on,(?:(\d+)sec|(?:(\d+)\.)?(\d+)ms|),(\d+)\)", text)  # it prints no 0ms
        check(match, f"no timer of a SYN: {text!r}")
        seconds, whole, ms, sent_again = (int(part or 0) for part in match.groups())
        return 1000 * (seconds + whole) + ms, sent_again

    with Pair() as pair:
        silence(pair.client, NOWHERE)
        with begin_connect(pair.client, NOWHERE, 8080):
            seen = [waiting()]
            wait_until(lambda: seen.append(waiting()) or seen[-1][1] >= 2, "the SYN was sent twice more")
    # kernel_model.c:set_timer(); before Linux 6.5 the time doubles from the first on
    check(all(left <= 1000 * 2 ** sent_again for left, sent_again in seen), f"ms left, and how often: {seen}")
    check_equal(seen, sorted(seen, key=lambda row: (row[1], -row[0])), "ms left, and how often it was sent again")


if LONG:
    @test("stock ports, policy and durations: the first rung is taken and given back as in the simulation")
    def _():
        with Pair() as pair:
            timeline = Timeline(pair, POLICY.read_text(), STOCK_PORTS)
            timeline.load(rate=1000)
            timeline.wait_for(f"^applied: {REUSE}")
            timeline.wait_ticks(20)
            timeline.client.stop()
            timeline.twtuned.wait_for(f"^released: {REUSE}", 60 + 120 + PATIENCE)
            timeline.check_same([("applied", "time-wait-reuse"), ("released", "time-wait-reuse")])

    @test("stock ports, policy and durations: with a peer without timestamps it is put back as in the simulation")
    def _():
        with Pair() as pair:
            pair.server.sysctl("net.ipv4.tcp_timestamps", 0)
            timeline = Timeline(pair, POLICY.read_text(), STOCK_PORTS, "old-peer")
            timeline.load(rate=700)
            timeline.wait_for("^advice: .*RULE=time-wait-reuse ")
            timeline.check_same(UNEXPECTED)


if __name__ == "__main__":
    main()
