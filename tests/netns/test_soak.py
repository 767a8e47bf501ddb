#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""20 minutes (--seconds=N: another time) under a load that comes and goes, so that the rule acts and is released, with
a changed configuration each time: the daemon's memory and file descriptors do not grow."""

import os
import pathlib
import re
import signal
import sys
import time

from harness import ChurnServer, Pair, Twtuned, check, check_equal, diag, few_ports, main, quick_policy, test
from sockets import Load

SECONDS = next((int(a.split("=")[1]) for a in sys.argv if a.startswith("--seconds=")), 1200)
REUSE = "net.ipv4.tcp_tw_reuse"
PORTS = 512
RELOADS = 4  # each time that the load comes and goes
LEAK_KB = 16  # growth allowed in the last third; before it, pages of the tables are touched for the first time


def usage(pid):
    """(kB of anonymous memory, open file descriptors). How much of the program file is in memory varies."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^RssAnon:\s+(\d+)", status, re.M)[1]), len(os.listdir(f"/proc/{pid}/fd"))


def reload(twtuned, policy, text):
    since = len(twtuned.lines)
    policy.write_text(text)
    twtuned.process.send_signal(signal.SIGHUP)
    twtuned.wait_for("^config-loaded", since=since)


def come_and_go(pair, twtuned, policy, texts):
    """The rule acts and is released once. Reloads with each of the texts in turn: the rule that acts goes and comes
    again, the others are taken over."""
    since = len(twtuned.lines)
    # Ports that are still in TIME_WAIT from before get reused, because the rule acts when half of the ports are used.
    load = Load(pair.client, pair.server.ip4)
    with load.repeated(200):
        twtuned.wait_for(f"^applied: {REUSE}:", since=since)
    for n in range(RELOADS):
        reload(twtuned, policy, texts[n % len(texts)])
    twtuned.wait_for(f"^released: {REUSE}:", since=since)


@test("memory and file descriptors stay as they are")
def _():
    policy = quick_policy()
    text = policy.read_text()
    changed = text.replace("ports.forecast >= 80%", "ports.forecast >= 79%")
    check(changed != text, "the policy has no such threshold")
    with Pair() as pair:
        few_ports(pair.client, PORTS)
        ChurnServer(pair.server, pair.server.ip4)
        twtuned = Twtuned(pair.client, policy)
        twtuned.wait_for("^config-loaded")
        used, end = [], time.monotonic() + SECONDS
        while time.monotonic() < end or len(used) < 6:
            come_and_go(pair, twtuned, policy, (changed, text))
            used.append(usage(twtuned.pid))
        check_equal(twtuned.stop(), 0, "exit status")

    memory, fds = zip(*used[len(used) * 2 // 3:])
    diag(f"{len(used)} times, {RELOADS} reloads each, {fds[-1]} descriptors, "
         f"{used[0][0]} kB at first, then {memory[0]} to {max(memory)} kB")
    check_equal(set(fds), {fds[0]}, "file descriptors")
    check(max(memory) - memory[0] <= LEAK_KB, f"memory grows: {memory} kB")


if __name__ == "__main__":
    main()
