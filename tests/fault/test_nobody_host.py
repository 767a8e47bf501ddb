#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the user nobody can do to the units as shipped in a booted systemd: see docs/security.md. The watchdog has
12 s: an attack that delays the ticks for so long ends the daemon, which a test sees; a busy machine delays them less.

--long: each attack goes on for a minute."""

import contextlib
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))
from container import HOLDS, UNIT_DROPINS, crowd, on_host, remove_cgroup, wait_until  # noqa: E402
from harness import check, check_equal, diag, main  # noqa: E402

LONG = "--long" in sys.argv
sys.argv[1:] = [a for a in sys.argv[1:] if a != "--long"]
TICKS = 60 if LONG else 10
NOBODY = "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"
HERE = pathlib.Path(__file__).parent
CONFIG = HOLDS.replace("interval = 100ms", "interval = 1s")
HOSTILE = "x\x1b[2J\x1b]0;owned\a\"nginx.service"
HOLD_ADDRESS = "import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind('\\0twtuned'); input()"


def start(host, config=CONFIG):
    host.write(f"{UNIT_DROPINS}/60-test.conf", "[Service]\nWatchdogSec=12s\n")
    host.systemctl("daemon-reload")
    host.start(config)


@contextlib.contextmanager
def beside(host, *argv, user=NOBODY):
    """Runs a program as the user nobody in the container, until the end of the block."""
    process = subprocess.Popen(["nsenter", "-t", str(host.pid), "-a", *user, *argv], stdin=subprocess.PIPE,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()
        process.wait()


def check_calm(host, what):
    """No tick is late for TICKS seconds, and the memory stays small."""
    pid = host.show("MainPID")

    def fed():  # us; after each tick
        return int(host.show("WatchdogTimestampMonotonic"))
    end = fed() + TICKS * 1000000
    wait_until(lambda: fed() >= end, f"{TICKS} ticks of a second")
    status = (host.root / "proc" / pid / "status").read_text()
    memory = int(re.search(r"VmHWM:\s+(\d+)", status)[1])
    diag(f"{what}: {TICKS} s of ticks, at most {memory} kB")
    check_equal((host.show("MainPID"), host.show("NRestarts")), (pid, "0"), "pid and restarts: no tick was late")
    check(memory < 10000, f"{memory} kB")


@on_host("nobody holds its address: a restart, a stop and --restore work")
def _(host):
    start(host)
    host.systemctl("stop", "twtuned")
    with beside(host, "/usr/bin/python3", "-c", HOLD_ADDRESS):
        wait_until(lambda: "@twtuned" in host.run("cat", "/proc/net/unix").stdout, "the address is held")
        host.systemctl("start", "twtuned")
        host.wait_for_reuse("1")
        host.systemctl("restart", "twtuned")
        check_calm(host, "address held")
        host.systemctl("stop", "twtuned")
        check_equal(host.sysctls(), ("2", "1000"), "sysctls after a stop")
        host.run("twtuned", "--restore")


@on_host("nobody asks over 200 connections, and never reads: root is answered")
def _(host):
    start(host)
    shutil.copy(HERE / "bus_flood.py", host.root / "run/flood.py")
    with beside(host, "/usr/bin/python3", "-B", "/run/flood.py", "/run/dbus/system_bus_socket", "200", "/org/twtuned1",
                "org.twtuned1", "Describe"):
        check_calm(host, "Describe")
        for _ in range(5):
            host.run("twtunectl", "status", "--no-pager")


@on_host("nobody's cgroups: a hostile name is escaped and is that user's; ten thousand do not delay a tick")
def _(host):
    root = host.root / host.cgroup()
    user = root / "user.slice/user-65534.slice/user@65534.service"
    hostile = user / "app.slice" / HOSTILE
    hostile.mkdir(parents=True)
    try:
        host.systemctl("start", "server")
        wait_until(lambda: host.run("ss", "-Htln", "sport = 8080").stdout, "the server listens")
        join = "echo $$ >\"$1/cgroup.procs\" && shift && exec \"$@\""
        inside = f"/{hostile.relative_to(host.root)}"
        with beside(host, "sh", "-c", join, "sh", inside, "churn", "hold", "10.77.0.1", "8080", "--count=12", user=()):
            host.write("etc/twtuned.conf.d/50-test.conf", CONFIG)
            host.write(f"{UNIT_DROPINS}/60-test.conf", "[Service]\nWatchdogSec=12s\n")
            host.systemctl("daemon-reload")
            host.systemctl("start", "twtuned")
            host.wait_for_reuse("1")
            escaped = r"user@65534.service/x\x1b\x5b2J\x1b\x5d0\x3bowned\x07\x22nginx.service"
            check_equal(host.events("applied")[0]["CULPRIT"], escaped, "CULPRIT")
            for command in ("twtunectl", "status", "--no-pager"), ("twtuned", "--once"), \
                    ("twtunectl", "history", "--no-pager"), ("twtunectl", "explain", "some", "--no-pager"):
                text = host.run(*command).stdout
                check("\x1b" not in text and "\a" not in text, f"{command}: {text!r}")
            check(escaped in host.run("twtuned", "--once").stdout, "--once names the unit")
            crowd(user)
            host.systemctl("restart", "twtuned")
            check_calm(host, "cgroups")
    finally:
        host.run("sh", "-c", 'kill -9 $(cat "$1/cgroup.procs")', "sh", inside)
        wait_until(lambda: not (hostile / "cgroup.procs").read_text(), "the hostile cgroup is empty")
        remove_cgroup(user)


def advising(prefix):
    """30 rules that advise at once; with those of the policy they must not be more than RULES_MAX."""
    return CONFIG.replace("interval = 1s", "interval = 100ms") + "".join(
        f"[rule {prefix}{i}]\nwhen = tcp.listen >= 0\nadvise = nothing\n" for i in range(30))


@on_host("journald is hung: ticks go on, and it says how many entries are lost")
def _(host):
    start(host, advising("a"))
    pid = host.show("MainPID")
    host.run("kill", "-STOP", host.show("MainPID", "systemd-journald"))
    try:
        for i in range(20):
            host.write("etc/twtuned.conf.d/50-test.conf", advising("ab"[i % 2]))
            host.run("kill", "-HUP", pid)
            host.wait_ticks(3)
        check_calm(host, "journald stopped")
    finally:
        host.run("pkill", "-CONT", "systemd-journal")
    lost = wait_until(lambda: [e for e in host.journal("EVENT=degraded") if "LOST" in e], "the lost entries are told")
    check(int(lost[0]["LOST"]) > 10, lost)


@on_host("nobody floods the journal with 100,000 entries: what twtuned logs meanwhile is not lost")
def _(host):
    start(host)
    flood = "yes flood | head -100000 | logger -t flood"
    with beside(host, "sh", "-c", flood):
        for _ in range(5):
            host.run("twtunectl", "pause")
            host.run("twtunectl", "resume")
        check_calm(host, "journal flood")
    check_equal(len(host.events("paused", 5)), 5, "pauses that are logged")
    check_equal(host.journal("LOST=1"), [], "entries about lost entries")


if __name__ == "__main__":
    main()
