#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""twtunectl on the units as shipped: the daemon is a user without rights in its sandbox, the bus is the system's, and
the history is in the journal. The commands in all their forms are tested in tests/ctl."""

import csv
import json
import re
import time

from container import DELAY, DROPINS, HOLDS, HOLDS_TWO, REUSE, check, on_host, wait_until
from harness import check_equal, main


def ctl(host, *args, check=True):
    return host.run("twtunectl", *args, check=check)


def status(host, *args):
    """The status as JSON, once twtuned is on the bus."""
    wait_until(lambda: ctl(host, *args, "status", check=False).returncode == 0, "it is on the bus")
    return json.loads(ctl(host, *args, "status", "--json").stdout)


@on_host("not running, then enabled: status tells, and whose each sysctl is")
def _(host):
    run = ctl(host, "status", check=False)
    check_equal((run.returncode, run.stderr), (3, "twtunectl: twtuned is not running; start it with: "
                                                  "systemctl enable --now twtuned\n"), "before")
    host.start(HOLDS)
    wait_until(lambda: status(host)["state"] == "acting", "acting")
    held = next(sysctl for sysctl in status(host)["sysctls"] if sysctl["name"] == REUSE)
    check_equal([held[key] for key in ("value", "owner", "original", "rules")], ["1", "twtuned", "2", ["some"]], REUSE)
    check_equal(host.run("stat", "-c", "%U", f"/proc/{host.show('MainPID')}").stdout, "twtuned\n", "its user")
    text = ctl(host, "explain", REUSE).stdout
    check(f"    is 1: twtuned, rule some; it was 2\n" in text, text)
    config = json.loads(ctl(host, "config", "--json").stdout)
    wanted = {"section": "rule some", "key": "set", "value": f"{REUSE} = 1", "file": f"/{DROPINS}/50-test.conf"}
    check(wanted | {"line": 12} in config, config)


@on_host("release and rearm by root, not by another user; both are in the history with all else")
def _(host):
    host.start(HOLDS_TWO)
    wait_until(lambda: host.sysctls() == ("1", "250"), "held")
    before = time.time()
    run = host.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "twtunectl", "release", REUSE,
                   check=False)
    check_equal((run.returncode, host.sysctls()), (77, ("1", "250")), "by nobody")
    ctl(host, "release", REUSE)
    check_equal(host.sysctls(), ("2", "250"), "after release")
    time.sleep(0.2)  # min_interval is over then; a change before it is refused once, and the history has that, too
    ctl(host, "rearm", REUSE)
    host.wait_for_reuse("1")
    ctl(host, "pause", "1min")
    ctl(host, "resume")
    host.run("journalctl", "--sync")

    since = time.strftime("%F %T", time.localtime(before))
    history = json.loads(ctl(host, "history", "--json", f"--since={since}").stdout)
    told = [(e["event"], e.get("sysctl"), e["result"]) for e in history if e["time"] >= before and "result" in e]
    check_equal(told, [("released-by-request", REUSE, "restored"), ("rearmed", REUSE, "rearmed"), ("applied", REUSE, "applied"),
                       ("paused", None, "paused"), ("resumed", None, "resumed")], "history")
    text = ctl(host, "history", "-v", "--since=1h").stdout
    date = r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d"
    check(re.search(rf"^{date} released-by-request +{re.escape(REUSE)}: 1 -> 2: by request \(uid 0\)$", text, re.M), text)
    check_equal(ctl(host, "history", "--since=2999-01-01").stdout, "", "history of the future")
    for args in (["-n", "2"], ["--lines=2", "--since=60 min ago"]):
        check_equal(json.loads(ctl(host, "history", "--json", *args).stdout), history[-2:], f"history {args}")
    # Of episodes, a line each (the first one has two changes), -n counts the lines.
    since = time.strftime("%F %T", time.localtime(float(host.since)))
    records = json.loads(ctl(host, "history", "--json", f"--since={since}").stdout)
    lines = ctl(host, "history", f"--since={since}").stdout.splitlines()
    check(3 <= len(lines) < len(records), lines)
    for n in 1, 2, 3:
        check_equal(ctl(host, "history", f"-n{n}").stdout.splitlines(), lines[-n:], f"history -n {n}")
    check_equal(len(ctl(host, "history", "-v", "-n2").stdout.splitlines()), 2, "history -v -n 2")
    # A program that forges an entry cannot choose its unit.
    applied = "MESSAGE_ID=d84c9e582b45468a8cf93f4d7595cf06"
    forged = f"{applied}\\nEVENT=applied\\nMESSAGE=forged\\n_SYSTEMD_UNIT=twtuned.service"
    host.run("sh", "-c", f"printf '{forged}\\n' | logger --journald; journalctl --sync")
    check("forged" in host.run("journalctl", applied).stdout, "it is not in the journal")
    check("forged" not in ctl(host, "history").stdout, "a forged entry is taken")


@on_host("history: advice of a daemon that was killed is over when the next one starts; a long one is whole")
def _(host):
    words = " ".join(f"word{i}" for i in range(400))
    host.start(HOLDS + f"[rule told]\nwhen = tcp.established >= 10\nadvise = {words}\n")

    def told():
        host.run("journalctl", "--sync")
        since = time.strftime("%F %T", time.localtime(float(host.since)))
        return [line for line in ctl(host, "history", f"--since={since}").stdout.splitlines() if " told: " in line]
    wait_until(lambda: len(told()) == 1, "the advice")
    check(told()[0].endswith("; no end so far"), told()[0])
    texts = [entry["advice"] for entry in json.loads(ctl(host, "history", "--json").stdout) if "advice" in entry]
    check_equal(texts[-1], words, "advice")
    host.systemctl("kill", "--signal=KILL", "twtuned")
    wait_until(lambda: len(told()) == 2, "the advice of the next one")
    check(re.search(r"; over after \d+s: twtuned was started again$", told()[0]), told()[0])
    check(told()[1].endswith("; no end so far"), told()[1])


def rows(host):
    """The complete rows of the recording."""
    path = host.root / "root/storm.csv"
    return list(csv.DictReader(path.read_text().splitlines(True)[:-1])) if path.exists() else []


@on_host("record goes to a file that the daemon itself could not open")
def _(host):
    host.start(HOLDS)
    status(host)
    host.run("rm", "-f", "/root/storm.csv")
    host.run("systemd-run", "--unit=web-record", "twtunectl", "record", "/root/storm.csv")
    wait_until(lambda: len(rows(host)) >= 5 and float(rows(host)[4]["ports.used"]) >= 10, "five rows")
    host.systemctl("stop", "web-record")
    check_equal(host.run("stat", "-c", "%U %a", "/root").stdout, "root 700\n", "the directory")


@on_host("an instance has a name of its own on the bus")
def _(host):
    host.run("ip", "netns", "add", "web")
    host.systemctl("start", "twtuned", "twtuned@web")
    check_equal((status(host)["instance"], status(host, "-n", "web")["instance"]), (None, "web"), "instances")
    ctl(host, "-n", "web", "release", DELAY)
    check([s["rearm"] for s in status(host, "-n", "web")["sysctls"] if s["name"] == DELAY][0], "it is released there")
    check(not [s["rearm"] for s in status(host)["sysctls"] if s["name"] == DELAY][0], "and here")
    wait_until(lambda: "left alone" in ctl(host, "-n", "web", "history").stdout, "its history")
    check(f"{DELAY} is left alone" not in ctl(host, "history").stdout, "in the history of the other")
    host.systemctl("stop", "twtuned@web")
    run = ctl(host, "-n", "web", "status", check=False)
    check_equal(run.returncode, 3, "exit status")
    check("twtuned@web is not running" in run.stderr, run.stderr)


@on_host("the bus has not read the policy file: twtunectl says what to do, and that helps")
def _(host):
    policy, aside = "/usr/share/dbus-1/system.d/org.twtuned1.conf", "/root/org.twtuned1.conf"
    host.run("mv", policy, aside)
    host.systemctl("reload-or-restart", "dbus")
    host.systemctl("start", "twtuned")
    run = ctl(host, "status", check=False)
    check_equal(run.returncode, 3, "exit status")
    check(run.stderr.startswith("twtunectl: twtuned runs, but is not on the bus; ") and
          run.stderr.endswith(": systemctl reload dbus\n"), run.stderr)
    host.run("mv", aside, policy)
    host.systemctl("reload", "dbus")
    status(host)


@on_host("the bus is started again: the daemon is found again")
def _(host):
    host.systemctl("start", "twtuned")
    status(host)
    host.systemctl("restart", "dbus")
    status(host)
    check_equal(host.show("NRestarts"), "0", "restarts")


if __name__ == "__main__":
    main()
