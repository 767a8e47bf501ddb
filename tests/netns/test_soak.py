#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""20 minutes (--seconds=N: another time) under a load that comes and goes, so that the rule does, with a changed
configuration every 10 s: the daemon's memory and file descriptors stay as they are."""

import os
import pathlib
import re
import signal
import sys
import threading
import time

from harness import ChurnClient, ChurnServer, Pair, Twtuned, check, check_equal, diag, main, quick_policy, test

SECONDS = next((int(a.split("=")[1]) for a in sys.argv if a.startswith("--seconds=")), 1200)
sys.argv[1:] = [a for a in sys.argv[1:] if not a.startswith("--")]
RELOAD_EVERY = 10
LEAK_KB = 16  # 0.4 kB for each reload of the last third; until then pages of the tables are touched for the first time



def usage(pid):
    """(kB of anonymous memory, open file descriptors): what was read of the program itself varies with the host."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^RssAnon:\s+(\d+)", status, re.M)[1]), len(os.listdir(f"/proc/{pid}/fd"))


def come_and_go(pair, ended):
    while not ended.is_set():
        ChurnClient(pair.client, pair.server.ip4, seconds=15, rate=2500).finish()
        ended.wait(12)


def reload(twtuned, policy, text, n):
    """Another one than before: the rule that may be active goes and comes again, others are taken over."""
    since = len(twtuned.lines)
    policy.write_text(text if n % 2 else text.replace("ports.forecast >= 80%", "ports.forecast >= 79%"))
    twtuned.process.send_signal(signal.SIGHUP)
    twtuned.wait_for("^config-loaded", since=since)


@test("memory and file descriptors stay as they are")
def _():
    policy = quick_policy()
    text = policy.read_text()
    with Pair() as pair:
        pair.client.sysctl("net.ipv4.tcp_rfc1337", 1)
        ChurnServer(pair.server, pair.server.ip4)
        twtuned = Twtuned(pair.client, policy)
        twtuned.wait_for("^config-loaded")
        ended = threading.Event()
        load = threading.Thread(target=come_and_go, args=(pair, ended), daemon=True)
        load.start()
        used = []
        for n in range(SECONDS // RELOAD_EVERY):
            time.sleep(RELOAD_EVERY)
            reload(twtuned, policy, text, n)
            used.append(usage(twtuned.pid))
        ended.set()
        load.join()
        check_equal(twtuned.stop(), 0, "exit status")

    kinds = {kind: sum(line.startswith(kind + ":") for line in twtuned.lines) for kind in ("applied", "released")}
    memory, fds = zip(*used[len(used) * 2 // 3:])
    diag(f"{len(used)} reloads, {kinds}, {fds[-1]} descriptors, "
         f"{used[0][0]} kB at first, then {memory[0]} to {max(memory)} kB")
    check(min(kinds.values()) >= SECONDS // 60, f"the rule came and went {kinds} times only")
    check_equal(set(fds), {fds[0]}, "file descriptors")
    check(max(memory) - memory[0] <= LEAK_KB, f"memory grows: {memory} kB")


if __name__ == "__main__":
    main()
