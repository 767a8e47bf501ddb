#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The unit as shipped, as an administrator meets it, in a container that has booted a real systemd (container.py)."""

import re

from container import BAD, CONF, DROPINS, HOLDS, REUSE, UNIT_DROPINS, on_host, wait_until
from harness import ROOT, check, check_equal, main


@on_host("enable --now: starts now and at boot, and says in its status how it is")
def _(host):
    host.systemctl("enable", "--now", "twtuned")
    check_equal(host.systemctl("is-enabled", "twtuned"), "enabled", "is-enabled")
    check("twtuned.service" in host.systemctl("list-dependencies", "--plain", "multi-user.target"), "not at boot")
    check("Active: active (running)" in host.systemctl("status", "twtuned"), host.systemctl("status", "twtuned"))
    wait_until(lambda: 'Status: "healthy' in host.systemctl("status", "twtuned"), "healthy, with ticks that are on time")
    check_equal(host.show("WatchdogUSec"), "30s", "WatchdogSec")
    check_equal(host.sysctls(), ("2", "1000"), "sysctls")


@on_host("it is active when it has said READY, not before")
def _(host):
    host.write(f"{UNIT_DROPINS}/late.conf", "[Service]\nExecStart=\n"
               "ExecStart=/bin/sh -c 'kill -STOP $$$$; exec /usr/sbin/twtuned'\n")
    host.systemctl("daemon-reload")
    host.systemctl("start", "--no-block", "twtuned")
    wait_until(lambda: host.show("MainPID") != "0", "there is a process")
    stat = host.root / "proc" / host.show("MainPID") / "stat"
    wait_until(lambda: stat.read_text().split()[2] == "T", "it stands still")
    check_equal(host.show("ActiveState"), "activating", "ActiveState before READY")
    host.systemctl("kill", "--signal=CONT", "twtuned")
    wait_until(lambda: host.show("ActiveState") == "active", "active after READY")


@on_host("policy.conf, twtuned.conf and its drop-ins in order: the later wins, key by key")
def _(host):
    # Of the vendor's rule only `set` is left. No load here uses thousands of ports.
    host.write(CONF, "[daemon]\ninterval = 100ms\n[rule time-wait-reuse]\nwhen =\nwhen = ports.used >= 5000\n"
               "until =\nuntil = tcp.established < 1 for 200ms\nexpect =\n")
    for name, used in (("20-b.conf", 10), ("10-a.conf", 9000), ("30-c.conf.off", 9000)):
        host.write(f"{DROPINS}/{name}", f"[rule time-wait-reuse]\nwhen =\nwhen = ports.used >= {used}\n")
    host.systemctl("start", "twtuned", "load")
    applied = host.events("applied")[0]
    check_equal((applied["RULE"], applied["THRESHOLD"]), ("time-wait-reuse", ">= 10"), "what was applied")
    check_equal(host.sysctls()[0], "1", REUSE)
    host.systemctl("stop", "load")
    host.wait_for_reuse("2")


@on_host("--check: an error of a drop-in with its file and line")
def _(host):
    host.write(f"{DROPINS}/50-bad.conf", BAD)
    run = host.run("twtuned", "--check", check=False)
    check_equal(run.returncode, 78, "exit status")
    check(run.stderr.startswith(f"/{DROPINS}/50-bad.conf:2: "), run.stderr)


@on_host("a change is in the journal with all its fields")
def _(host):
    applied = host.start(HOLDS)
    wanted = {"_SYSTEMD_UNIT": "twtuned.service", "SYSLOG_IDENTIFIER": "twtuned", "PRIORITY": "5",
              "MESSAGE_ID": "d84c9e582b45468a8cf93f4d7595cf06", "EVENT": "applied", "SYSCTL": REUSE,
              "OLDVALUE": "2", "NEWVALUE": "1", "ORIGINALVALUE": "2", "RULE": "some", "METRIC": "ports.used",
              "THRESHOLD": ">= 10", "GROUP": "10.77.0.1->10.77.0.1:8080", "RESULT": "applied"}
    check_equal({name: applied.get(name) for name in wanted}, wanted, "fields")
    check(re.fullmatch(r"\d+", applied["NETNS"]), applied["NETNS"])
    check(float(applied["METRICVALUE"]) >= 10, applied["METRICVALUE"])
    check(applied["MESSAGE"].startswith(f"{REUSE}: 2 -> 1: ports.used is "), applied["MESSAGE"])


def explained(host, *matches):
    """What journalctl -x says beside the one entry that matches, line by line."""
    host.run("journalctl", "--sync")
    text = host.run("journalctl", "-x", "-u", "twtuned", f"--since=@{host.since}", *matches).stdout
    return [line.removeprefix("\u2591\u2591").strip() for line in text.splitlines() if line.startswith("\u2591\u2591")]


def paste(host, lines, first, count=1):
    """Runs what the explanation gives to paste, from the line that begins so."""
    at = [i for i, line in enumerate(lines) if line.startswith(first)]
    check(at, f"no '{first}' in {lines}")
    host.run("bash", "-c", "\n".join(lines[at[0]:at[0] + count]))


@on_host("journalctl -x explains each event with its values, and what it gives to paste does what it says")
def _(host):
    host.run("journalctl", "--update-catalog")
    host.start(HOLDS)
    lines = explained(host, "EVENT=applied")
    check_equal(lines[0], f"Subject: Rule some: {REUSE} = 1 (applied)", "subject")
    check("Rule some: net.ipv4.tcp_tw_reuse from 2 to 1." in lines and "Before any rule it was 2." in lines, lines)
    check(any(re.fullmatch(r"Why: ports\.used was \d+ \(>= 10\)\.", line) for line in lines), lines)

    paste(host, lines, "sysctl -w ")
    host.events("overridden")
    host.wait_ticks(5)
    check_equal(host.sysctls()[0], "2", f"{REUSE} after 'sysctl -w', under load")
    lines = explained(host, "EVENT=overridden")
    check("The value without twtuned is 2. To set it:" in lines, lines)

    paste(host, lines, "twtunectl rearm ")
    host.wait_for_reuse("1")
    paste(host, explained(host, "EVENT=applied"), "mkdir -p ", 3)
    host.wait_for_reuse("2")
    host.events("config-loaded", 2)
    lines = explained(host, "EVENT=released")
    check_equal(lines[0], "Subject: A rule was released: some", "subject")

    host.write(f"{DROPINS}/60-bad.conf", BAD)
    host.run("systemctl", "reload", "twtuned", check=False)
    host.events("config-rejected")
    check("Errors in the configuration: 1. The message shows the first one, and twtuned" in
          explained(host, "EVENT=config-rejected"), "config-rejected is not explained")
    left = [line for line in explained(host) if re.search(r"@[A-Z_]+@|MESSAGE_ID", line)]
    check_equal(left, [], "fields that are not filled in")


@on_host("all that the catalog gives to paste can be run")
def _(host):
    host.start(HOLDS)
    host.write("etc/sysctl.d/60-pasted.conf", f"{REUSE} = 1\n")
    values = {**host.events("applied")[0], "FILE": "/etc/sysctl.d/60-pasted.conf", "LINE": "1"}
    text = re.sub(r"@(\w+)@", lambda field: values.get(field[1], field[0]),
                  (ROOT / "systemd/twtuned.catalog").read_text())
    pasted = re.findall(r"(?:^    .*\n)+", text, re.M)
    check(len(pasted) > 20, pasted)
    for commands in pasted:
        if "twtunectl rearm" in commands:  # of a message about a sysctl that is left alone; the one before rearmed it
            host.run("twtunectl", "release", REUSE)
        host.run("bash", "-ec", commands)
    check_equal((host.root / "etc/sysctl.d/60-pasted.conf").read_text(), f"# {REUSE} = 1\n", "the line of sysctl.d")
    (host.root / "etc/sysctl.d/60-pasted.conf").unlink()


@on_host("reload: it fails with a bad file, which is rejected, and the running policy stays; a good one is taken")
def _(host):
    host.start(HOLDS)
    pid = host.show("MainPID")
    host.write(f"{DROPINS}/60-more.conf", BAD)
    run = host.run("systemctl", "reload", "twtuned", check=False)
    check_equal(run.returncode, 1, "exit status of a bad reload")
    rejected = host.events("config-rejected")[0]
    check(rejected["MESSAGE"].startswith(f"/{DROPINS}/60-more.conf:2: "), rejected["MESSAGE"])
    check_equal(host.sysctls()[0], "1", f"{REUSE} after a bad reload")

    host.write(f"{DROPINS}/60-more.conf", "[rule some]\nenabled = no\n")
    host.systemctl("reload", "twtuned")
    host.wait_for_reuse("2")
    host.events("config-loaded", 2)
    check_equal((host.show("ActiveState"), host.show("MainPID")), ("active", pid), "state and MainPID")


@on_host("a bad configuration at the start: fails with 78, says where, and is not started again")
def _(host):
    host.write(f"{DROPINS}/50-bad.conf", BAD)
    check_equal(host.run("systemctl", "start", "twtuned", check=False).returncode, 1, "exit status of start")
    check_equal([host.show(name) for name in ("ActiveState", "Result", "ExecMainStatus", "NRestarts")],
                ["failed", "exit-code", "78", "0"], "state, result, exit status, restarts")
    said = [entry["MESSAGE"] for entry in host.journal("_SYSTEMD_UNIT=twtuned.service")]
    check(len(said) == 1 and said[0].startswith(f"/{DROPINS}/50-bad.conf:2: "), said)


@on_host("it works while journald is stopped, and logs again when it is back")
def _(host):
    units = ["systemd-journald", *host.systemctl("show", "-P", "TriggeredBy", "systemd-journald").split()]
    host.write(f"{DROPINS}/50-test.conf", HOLDS)
    host.systemctl("start", "twtuned")
    host.systemctl("stop", *units)
    try:
        host.systemctl("start", "load")
        host.wait_for_reuse("1")
        host.systemctl("stop", "load")
        host.wait_for_reuse("2")
    finally:
        host.systemctl("start", *units)
    host.begin()
    host.systemctl("start", "load")
    host.events("applied")
    check_equal((host.show("ActiveState"), host.show("NRestarts")), ("active", "0"), "state and restarts")


if __name__ == "__main__":
    main()
