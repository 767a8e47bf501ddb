#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The bus of a booted systemd with its policy as shipped: what reaches the daemon in its sandbox, and who may do
what."""

import contextlib
import json
import re

from container import HOLDS, REUSE, on_host, wait_until
from harness import check, check_equal, main

NOBODY = "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"


def ctl(host, *args, user=(), status=0):
    run = host.run(*user, "twtunectl", *args, check=False)
    check_equal(run.returncode, status, f"exit status of twtunectl {' '.join(args)}: {run.stdout}{run.stderr}")
    return run.stdout


@contextlib.contextmanager
def signals(host):
    """The signals of twtuned meanwhile, in a list that is there at the end."""
    found, output = [], host.root / "run/monitor"
    for name in "run/monitor", "run/monitor.err":
        host.write(name, "")
    host.run("systemd-run", "--unit=web-monitor", "-p", "StandardOutput=file:/run/monitor",
             "-p", "StandardError=file:/run/monitor.err", "busctl", "--json=short",
             "--match=type='signal',interface='org.twtuned1'", "monitor")
    wait_until(lambda: "Monitoring" in (host.root / "run/monitor.err").read_text(), "busctl listens")
    yield found
    wait_until(lambda: output.read_text().endswith("\n"), "a signal")
    host.systemctl("stop", "web-monitor")
    found.extend(map(json.loads, output.read_text().splitlines()))


@on_host("anyone may read, also as JSON")
def _(host):
    host.start(HOLDS)
    for args in ("status",), ("rules",), ("explain", "some"), ("explain", REUSE), ("config",):
        check(ctl(host, *args, "--no-pager", user=NOBODY), args)
        json.loads(ctl(host, *args, "--json", user=NOBODY))
    text = ctl(host, "status", "--no-pager", user=NOBODY)
    check(re.search(rf"^  changed   {re.escape(REUSE)} 2 -> 1, for \d+s, rule some$", text, re.M), text)
    text = ctl(host, "history", "--since=1h", "--no-pager")
    check(re.search(rf"\bsome\b.*\btcp_tw_reuse 2 -> 1\b", text), text)
    text = ctl(host, "history", "-v", "--since=1h", "--no-pager")
    check(f"{REUSE}: 2 -> 1" in text, text)


@on_host("only root may change: refused by twtunectl with 77, and by the bus")
def _(host):
    host.start(HOLDS)
    for args in ("pause",), ("resume",), ("release", REUSE), ("rearm", REUSE), ("record", "/tmp/nobody.csv"):
        ctl(host, *args, user=NOBODY, status=77)
    for member, *args in ("Pause", "t", "0"), ("Release", "s", REUSE), ("ReleaseAll",):
        run = host.run(*NOBODY, "busctl", "call", "org.twtuned1", "/org/twtuned1", "org.twtuned1", member, *args,
                       check=False)
        check(run.returncode and "denied" in run.stderr, f"{member}: {run.stderr}")
    wait_until(lambda: host.show("StatusText").startswith("acting"), "the status is acting")
    check_equal(host.sysctls()[0], "1", REUSE)


@on_host("release, rearm, pause and resume, by root; a signal for each change")
def _(host):
    host.start(HOLDS)
    with signals(host) as found:
        ctl(host, "release", REUSE)
    check_equal(host.sysctls()[0], "2", f"{REUSE} after release")
    check_equal([m["payload"]["data"][1:4] for m in found], [[REUSE, "1", "2"]], "signals")
    ctl(host, "pause", "1h")
    ctl(host, "rearm", REUSE)
    wait_until(lambda: host.show("StatusText").startswith("paused"), "the status is paused")
    host.wait_ticks(3)
    check_equal(host.sysctls()[0], "2", f"{REUSE} while paused")
    ctl(host, "resume")
    host.wait_for_reuse("1")


if __name__ == "__main__":
    main()
