#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What an operator of many hosts switches on, as documented, with the units and their sandbox as shipped.

--long: 25 idle network namespaces instead of 6."""

import contextlib
import json
import re
import shlex
import shutil
import sys
import time

from container import HOLDS, REUSE, check, on_host, wait_until
from harness import ROOT, Skip, check_equal, diag, main

LONG = "--long" in sys.argv
sys.argv[1:] = [a for a in sys.argv[1:] if a != "--long"]
IDLE = 25 if LONG else 6
OPERATIONS = ROOT / "docs/operations.md"
EXPORTED = "var/lib/prometheus/node-exporter"


def commands(readme):
    """The first block of shell commands of a document."""
    return re.search(r"^```sh\n(.*?)^```", (ROOT / readme).read_text(), re.M | re.S)[1]


@on_host("packaging/prometheus/README.md: its commands are enough for the sandboxed unit to write the metrics")
def _(host):
    if not shutil.which("prometheus-node-exporter"):
        raise Skip("needs prometheus-node-exporter")
    host.start(HOLDS)
    host.run("ip", "netns", "add", "web")
    host.systemctl("start", "twtuned@web")
    check_equal(list((host.root / EXPORTED).glob("*.prom")), [], "files before")
    host.run("sh", "-e", "-c", commands("packaging/prometheus/README.md"))
    host.systemctl("restart", "twtuned@web")
    for name, sample in (("twtuned", f'twtuned_sysctl_held{{sysctl="{REUSE}"}} 1'),
                         ("twtuned-web", f'twtuned_sysctl_held{{sysctl="{REUSE}",netns="web"}} 0')):
        path = f"/{EXPORTED}/{name}.prom"
        wait_until(lambda: sample in host.run("setpriv", "--reuid=prometheus", "--clear-groups", "cat", path,
                                              check=False).stdout, f"{sample} in {path}, for its reader")
    check_equal(host.show("User"), "twtuned", "user")
    host.systemctl("stop", "twtuned", "twtuned@web")
    check_equal(list((host.root / EXPORTED).iterdir()), [], "files after the stop")
    host.run("sh", "-c", "rm -r /etc/systemd/system/twtuned@.service.d")


# ---- journals ----

@on_host("journals of two hosts in a collector's directory tell which of them changed a sysctl, and why")
def _(host):
    remote = "/lib/systemd/systemd-journal-remote"
    if not (host.root / remote[1:]).exists():
        raise Skip("needs systemd-journal-remote")
    there = host.start(HOLDS)
    forged = f"MESSAGE=forged\nMESSAGE_ID={there['MESSAGE_ID']}\nSYSCTL={REUSE}\nEVENT=applied\n_SYSTEMD_UNIT=twtuned.service\n"
    host.run("sh", "-c", f"printf '%b' {shlex.quote(forged)} | setpriv --reuid=nobody logger --journald")
    host.run("journalctl", "--sync")
    # As systemd-journal-remote gets it from systemd-journal-upload; the second host is this one by another name.
    export = f"journalctl -o export --since=@{host.since}"
    host.run("sh", "-ec", f"""
        rm -rf /root/collector; mkdir /root/collector
        {export} | {remote} -o /root/collector/remote-a.journal -
        {export} | sed 's/^_HOSTNAME=.*/_HOSTNAME=other/; s/^EVENT=applied/EVENT=refused/' |
            {remote} -o /root/collector/remote-b.journal -""")
    query = re.search(r"--since=-7d (_SYSTEMD_UNIT=\S+) \\\n +(SYSCTL=\S+) (EVENT=applied)", OPERATIONS.read_text()).groups()
    anyone = host.run("journalctl", "-D", "/root/collector", "-o", "json", *query[1:]).stdout
    check_equal(len(anyone.splitlines()), 2, "entries without the field that only journald sets: ours and a forged one")
    found = host.run("journalctl", "-D", "/root/collector", "-o", "json", *query).stdout
    entries = [json.loads(line) for line in found.splitlines()]
    check_equal(len(entries), 1, f"changes of {REUSE} in {found}")
    for field in ("_HOSTNAME", "MESSAGE_ID", "OLDVALUE", "NEWVALUE", "ORIGINALVALUE", "RULE", "METRIC", "METRICVALUE",
                  "THRESHOLD", "GROUP", "CULPRIT", "NETNS", "RESULT"):
        check_equal(entries[0][field], there[field], field)
    hosts = host.run("journalctl", "-D", "/root/collector", "-F", "_HOSTNAME").stdout.split()
    check_equal(len(hosts), 2, f"hosts {hosts}")
    # What the catalog says of it, where twtuned is installed at the collector.
    host.run("journalctl", "--update-catalog")
    said = host.run("journalctl", "-D", "/root/collector", "-x", "EVENT=applied").stdout
    check(f"{REUSE} = 1 (applied)" in said, said)


@on_host("docs/operations.md, rolling out: with its file it tells what it would do and writes nothing; without it, it does")
def _(host):
    observe = re.search(r"50-observe.conf`:\n\n((?:    .*\n)+)", OPERATIONS.read_text())[1]
    host.write("etc/twtuned.conf.d/50-observe.conf", observe.replace("    ", ""))
    host.write("etc/twtuned.conf.d/60-test.conf", HOLDS)
    host.systemctl("start", "twtuned", "load")
    would = host.events("applied")[0]
    check_equal((would["RESULT"], would["SYSCTL"], host.sysctls()[0]), ("would", REUSE, "2"), "while it observes")
    check(re.search(rf" would-set +would set {REUSE}: 2 -> 1: ", host.run("twtunectl", "history", "-v").stdout), "history -v")
    status = wait_until(lambda: (s := json.loads(host.run("twtunectl", "status", "--json").stdout))["state"] != "degraded" and s,
                        "ticks that are on time")
    check_equal((status["state"], status["mode"]), ("would-act", "observe"), "state and mode")
    check(status["status"].startswith("observing: would change 1 sysctl for "), status["status"])
    (host.root / "etc/twtuned.conf.d/50-observe.conf").unlink()
    host.run("twtuned", "--check")
    host.systemctl("reload", "twtuned")
    host.wait_for_reuse("1")


# ---- every network namespace ----

def instances(host):
    """{name: pid} of the instances that run."""
    text = host.systemctl("show", "--property=Id,ActiveState,MainPID", "twtuned@*.service")
    units = [dict(line.split("=", 1) for line in block.splitlines()) for block in text.split("\n\n") if block]
    return {u["Id"][len("twtuned@"):-len(".service")]: int(u["MainPID"])
            for u in units if u["ActiveState"] == "active"}


@contextlib.contextmanager
def watched(host, patterns=None):
    """Enables twtuned-netns.path, so that each network namespace gets an instance."""
    if patterns:
        host.write("etc/systemd/system/twtuned-netns.service.d/50-test.conf",
                   f'[Service]\nEnvironment="PATTERN={patterns}"\n')
        host.systemctl("daemon-reload")
    host.systemctl("enable", "--now", "twtuned-netns.path")
    try:
        yield
    finally:
        host.systemctl("disable", "--now", "twtuned-netns.path")
        wait_until(lambda: host.show("ActiveState", "twtuned-netns.service") == "inactive", "the last run ends")
        shutil.rmtree(host.root / "etc/systemd/system/twtuned-netns.service.d", ignore_errors=True)


def expect_instances(host, *names):
    try:
        wait_until(lambda: set(instances(host)) == set(names), "instances")
    except AssertionError:
        check_equal(set(instances(host)), set(names), "instances")


def check_no_errors(host):
    check_equal(host.systemctl("list-units", "--state=failed", "--no-legend", "twtuned*"), "", "failed units")
    check_equal([e["MESSAGE"] for e in host.journal("PRIORITY=3", unit="twtuned*")], [], "errors in the log")


@on_host("twtuned-netns: an instance in each namespace that is there, comes, or has a name again; none when it is "
         "gone")
def _(host):
    host.run("ip", "netns", "add", "old")
    with watched(host):
        expect_instances(host, "old")
        host.run("ip", "netns", "add", "web")
        host.run("sh", "-c", "for i in 1 2 3 4; do ip netns add burst$i; done")
        expect_instances(host, "old", "web", "burst1", "burst2", "burst3", "burst4")
        pid = instances(host)["web"]
        host.run("sh", "-c", "ip netns del burst1; ip netns del web; ip netns add web; ip netns del old")
        expect_instances(host, "web", "burst2", "burst3", "burst4")
        netns = host.run("stat", "-Lc", "%i", "/run/netns/web").stdout
        wait_until(lambda: host.run("stat", "-Lc", "%i", f"/proc/{instances(host).get('web', pid)}/ns/net",
                                    check=False).stdout == netns, "an instance in the web that is there now")
        check_no_errors(host)


@on_host("twtuned-netns: names with blanks and newlines get no instance, and take none from others")
def _(host):
    for name in "sp", "sp ace", "web", "zz\nweb", "-n":
        host.run("ip", "netns", "add", name) if name[0] != "-" else host.write(f"run/netns/{name}", "")
    with watched(host):
        expect_instances(host, "sp", "web")
        before = instances(host)
        host.run("ip", "netns", "add", "last")
        expect_instances(host, "sp", "web", "last")
        check_equal({name: instances(host)[name] for name in before}, before, "pids: none was restarted")
        check_no_errors(host)
    (host.root / "run/netns/-n").unlink()


@on_host("twtuned-netns: Docker's namespaces as docker-ID, but not the host's own; only those that a pattern fits")
def _(host):
    host.run("sh", "-ec", """
        mkdir -p -m 700 /run/docker
        mkdir -p /run/docker/netns
        touch /run/docker/netns/4f2a /run/docker/netns/default
        ip netns add web-1; ip netns add api; ip netns add 'bad name'
        mount --bind /run/netns/api /run/docker/netns/4f2a
        mount --bind /proc/1/ns/net /run/docker/netns/default""")
    with watched(host, "web-* docker-*"):
        expect_instances(host, "web-1", "docker-4f2a")
        loaded = host.journal("EVENT=config-loaded", unit="twtuned@docker-4f2a")
        check_equal(loaded[0]["NETNS"], "docker-4f2a", "NETNS")
        host.systemctl("start", "twtuned@api", check=False)  # by hand, or refused: the netns has one
        host.systemctl("stop", "twtuned@api")
        host.run("ip", "netns", "add", "web-2")
        host.run("umount", "-l", "/run/docker/netns/4f2a")  # as Docker does
        host.run("rm", "/run/docker/netns/4f2a")
        expect_instances(host, "web-1", "web-2")
        wait_until(lambda: not (host.root / "run/netns/docker-4f2a").is_symlink(), "the link is removed")
    host.run("sh", "-c", "umount -l /run/docker/netns/default; rm -r /run/docker; rm -f /run/netns/docker-*")


def number(processes, file, name):
    return sum(int(re.search(rf"^{name}:\s*(\d+)", (process / file).read_text(), re.M)[1]) for process in processes)


# ./dev bench observe measures the CPU time that they take.
@on_host(f"twtuned-netns: {IDLE} idle namespaces wake once a second, and take 2 MB each")
def _(host):
    names = [f"idle{i}" for i in range(IDLE)]
    with watched(host):
        host.run("sh", "-c", f"for name in {' '.join(names)}; do ip netns add $name; done")
        expect_instances(host, *names)
        idle = [host.root / "proc" / str(pid) for pid in instances(host).values()]

        def woke():
            return [number([process], "status", "voluntary_ctxt_switches") for process in idle]
        wait_until(lambda: min(woke()) > 0, "each has begun to wait")
        # The clock is read outside of the two readings: the longer they take, the more an instance may wake.
        start, before = time.monotonic(), woke()
        wait_until(lambda: all(now >= then + 5 for then, now in zip(before, woke())), "each has woken five times")
        wakeups, seconds = sorted(now - then for then, now in zip(before, woke())), time.monotonic() - start
        pss = number(idle, "smaps_rollup", "Pss") / 1024
        diag(f"{wakeups} wakeups in {seconds:.1f} s; {pss:.1f} MB (Pss)")
        # The median, because a process that waits for a lock of another wakes once more.
        check(wakeups[IDLE // 2] <= seconds + 1, f"{wakeups} wakeups in {seconds:.1f} s")
        check(pss < 2 * IDLE, f"{pss:.1f} MB")
        host.run("sh", "-c", f"for name in {' '.join(names)}; do ip netns del $name; done")
        expect_instances(host)
        check_no_errors(host)


main()
