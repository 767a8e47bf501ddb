#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the daemon tells the service manager, and when: sd_notify(3)."""

import pathlib
import re
import signal
import time

from harness import (HOLDS, ChurnHold, ChurnServer, Pair, Single, Twtuned, check, check_equal, diag, main, temp_dir,
                     temp_policy, test, wait_until)
from ticks import Manager, Ticking, Watched, replace

REUSE = "net.ipv4.tcp_tw_reuse"


@test("READY, STATUS and STOPPING go to the service manager, and nothing while the loop stands still", beside=True)
def _():
    with Pair() as pair:
        ChurnServer(pair.server, pair.server.ip4)
        twtuned = Ticking(pair.client, temp_policy(HOLDS))
        manager = twtuned.manager
        first = manager.wait_for("")
        check("READY=1" in first and "STATUS=healthy" in first, first)
        manager.wait_for("WATCHDOG=1")
        load = ChurnHold(pair.client, pair.server.ip4, count=10)
        manager.wait_for("STATUS=acting: 1 sysctl changed for 10.77.0.1->10.77.0.2:8080")
        load.stop()

        twtuned.process.send_signal(signal.SIGSTOP)
        stat = pathlib.Path(f"/proc/{twtuned.pid}/stat")
        wait_until(lambda: stat.read_text().rsplit(")", 1)[1].split()[0] == "T", "it is stopped")
        sent = manager.sent()
        time.sleep(0.5)  # five ticks, if there were any
        check_equal(manager.sent(), sent, "messages, of which there are no more while it is stopped")
        twtuned.process.send_signal(signal.SIGCONT)
        check_equal(twtuned.stop(), 0, "exit status")
        manager.wait_for("STOPPING=1")


@test("WATCHDOG: not from every tick, but from one within half of the time that the service manager gives", beside=True)
def _():
    manager, path = Manager(), temp_dir() / "recording.csv"
    with Single() as netns:
        begun = time.monotonic()
        twtuned = Twtuned(Watched(netns, manager, 1_000_000), temp_policy(HOLDS), [f"--record={path}"])
        wait_until(lambda: manager.count("WATCHDOG=1") >= 6, "six messages")
        check_equal(twtuned.stop(), 0, "exit status")
        elapsed = time.monotonic() - begun
    manager.wait_for("STOPPING=1")
    fed, ticks = manager.count("WATCHDOG=1"), path.read_text().count("\n") - 1
    diag(f"{ticks} ticks, {fed} messages in {elapsed:.1f} s")
    # A tick every 100 ms: after 400 ms the next one would be too late. Of those 400 ms the first tick may have been up
    # to 50 ms late, or it and the next one were farther apart (lib/policy/clock.h:clock_next_tick).
    check(ticks <= 5 * fed, f"{ticks} ticks, of which only {fed} fed the watchdog")
    check(fed <= 1 + elapsed / 0.4, f"{fed} messages in {elapsed:.1f} s, of which one every 0.4 s is due")


@test("the watchdog is fed in its time although the interval is longer", beside=True)
def _():
    manager = Manager()
    with Single() as netns:
        Twtuned(Watched(netns, manager, 400_000), temp_policy(HOLDS.replace("100ms", "60s", 1)))
        wait_until(lambda: manager.count("WATCHDOG=1") >= 3, "three messages", 59)


@test("a reload is told as Type=notify-reload asks for it: RELOADING with its time, then READY", beside=True)
def _():
    policy = temp_policy(HOLDS)
    with Single() as netns:
        manager = Manager()
        twtuned = Twtuned(Watched(netns, manager, 0), policy)
        manager.wait_for("READY=1")
        for text, status in ((HOLDS + "x\n", "degraded: the new configuration has an error"), (HOLDS, "healthy")):
            policy.write_text(text)
            seen, before = len(manager.messages), time.monotonic_ns() // 1000
            twtuned.process.send_signal(signal.SIGHUP)
            manager.wait_for(f"STATUS={status}", seen)
            said = [m for m in manager.messages[seen:] if "ticks are late" not in m]
            reloading, ready, *rest = said[:1 + next(i for i, m in enumerate(said) if f"STATUS={status}" in m)]
            found = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", reloading)
            check(found and before <= int(found.group(1)) <= time.monotonic_ns() // 1000, f"{before}: {reloading}")
            check_equal((ready, len(rest)), ("READY=1", 1), f"READY, and the status after it: {said}")
        check_equal(twtuned.stop(), 0, "exit status")


@test("cpu_budget: looks at the sockets get rarer than the ticks, and the status says so; the rules go on", beside=True)
def _():
    policy = replace(HOLDS, ("[daemon]", "[daemon]\ncpu_budget = 0.1%"), (">= 10", ">= 1000"))
    with Pair() as pair:
        ChurnServer(pair.server, pair.server.ip4)
        ChurnHold(pair.client, pair.server.ip4, count=2000)  # which takes longer to look at than 0.1 ms
        twtuned = Ticking(pair.client, temp_policy(policy))
        twtuned.manager.wait_for("looking at the sockets every")
        twtuned.wait_for(f"^applied: {REUSE}:")
        check_equal(pair.client.sysctl(REUSE), "1", REUSE)
        check_equal(twtuned.stop(), 0, "exit status")


if __name__ == "__main__":
    main()
