#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""for-unit: real programs in cgroups with the names of units, and a rule that looks at the destinations of one of them."""

import contextlib
import os
import re
import subprocess

from harness import (ChurnServer, Pair, Twtuned, binary, check, check_equal, fields, main, temp_dir, temp_policy, test)
from sockets import Unit
from ticks import wait_rows

# Closes its connections by a RST, so that nothing is left of them.
HOLDER = """
import signal, socket, struct, sys
address, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
kept = [socket.create_connection((address, port)) for _ in range(count)]
for s in kept:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
print("ready", flush=True)
signal.pause()
"""

POLICY = """
[daemon]
interval = 100ms
cpu_budget = 100%
[limits]
min_interval = 100ms
"""
RULE = """
[rule {rule}]
for-unit = {unit}
when = ports.used >= 10
until = ports.used < 5 for 200ms
advise = look at it
"""


@contextlib.contextmanager
def holding(unit, pair, port, count):
    program = unit.python(pair.client, HOLDER, pair.server.ip4, port, count)
    yield
    program.stop()


def said(lines):
    """The records of rules: kind, rule and destination."""
    found = []
    for line in lines:
        if match := re.search(r"(advice|released): .*RULE=", line):
            f = fields(line[match.start():])
            found.append((match[1], f["RULE"], f.get("GROUP")))
    return found


@test("for-unit: a rule acts for the destinations of its unit, again after the unit was restarted, and so in a replay",
      beside=True)
def _():
    slice_name = f"tw-test-{os.getpid()}.slice"
    with Unit() as other, Unit(slice_name) as unit, Pair() as pair:
        group = f"10.77.0.1->{pair.server.ip4}:8081"
        policy = temp_policy(POLICY + RULE.format(rule="mine", unit=unit.name.removesuffix(".service"))
                             + RULE.format(rule="of-the-slice", unit=f"tw-test-none.service {slice_name}")
                             + RULE.format(rule="nobody", unit="tw-test-none.scope"))
        path = temp_dir() / "recording.csv"
        for port in 8080, 8081:
            ChurnServer(pair.server, pair.server.ip4, port)
        with holding(other, pair, 8080, 20):
            twtuned = Twtuned(pair.client, policy, args=[f"--record={path}"])
            twtuned.wait_for("^config-loaded")
            wait_rows(path, 3)
            check_equal(said(twtuned.lines), [], "records for the destination of another unit")
            for again in False, True:
                if again:  # systemd makes another cgroup with the same name
                    unit.path.rmdir()
                    unit.path.mkdir()
                since = len(twtuned.lines)
                with holding(unit, pair, 8081, 40):
                    for rule in "mine", "of-the-slice":
                        twtuned.wait_for(f"^advice: .*RULE={rule} ", since=since)
                    wait_rows(path, 1)  # with all 40: a recording has only the busiest destination
                for rule in "mine", "of-the-slice":
                    twtuned.wait_for(f"^released: .*RULE={rule} ", since=since)
            check_equal(twtuned.stop(), 0, "exit status")
        log = [line for line in twtuned.lines if "twtuned stops" not in line]
        advice = [("advice", rule, group) for rule in ("mine", "mine", "of-the-slice", "of-the-slice")]
        check_equal(sorted(s for s in said(log) if s[0] == "advice"), advice, "advice")
        check_equal({rule for _, rule, _ in said(log)}, {"mine", "of-the-slice"}, "rules")
    replayed = subprocess.run([binary("twtuned"), f"--replay={path}", f"--config={policy}"], text=True,
                              capture_output=True, check=True).stdout.splitlines()
    check_equal(said(replayed), said(log), "the replay's records")


if __name__ == "__main__":
    main()
