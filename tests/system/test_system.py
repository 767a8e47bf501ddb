#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The unit as shipped, as an administrator meets it. A real systemd with its journal boots once, in a container
on an overlay of / (the machine's own files are only read), and all tests share it.

The container has a network of its own with nothing but loopback. The load is ten connections that are held, and
a rule that enters while they are there.
"""

import atexit
import contextlib
import functools
import json
import os
import pathlib
import re
import secrets
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "netns"))
from harness import BUILD, Skip, binary, check, check_equal, diag, main, temp_dir, test  # noqa: E402

REUSE, DELAY = "net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_tw_reuse_delay"
CONF, DROPINS, UNIT_DROPINS = "etc/twtuned.conf", "etc/twtuned.conf.d", "etc/systemd/system/twtuned.service.d"

# established, because the TIME_WAIT sockets of the test before use ports, too. The shipped rule that sets the same
# is off: after a crash it would be taken over as well, and held for 2 minutes.
HOLDS = f"""
[daemon]
interval = 100ms
[limits]
min_interval = 100ms
[rule time-wait-reuse]
enabled = no
[rule some]
when = ports.used >= 10
when = tcp.established >= 10
until = tcp.established < 1 for 200ms
set = {REUSE} = 1
"""
HOLDS_TWO = HOLDS + f"set = {DELAY} = 250\n"
BAD = "[daemon]\ninterval = soon\n"

# What there is in the container beside twtuned. `watch` ends when tcp_tw_reuse is not 1.
FILES = {
    "etc/machine-id": secrets.token_hex(16) + "\n",
    "etc/systemd/system/server.service": "[Service]\nExecStart=/usr/bin/churn server 10.77.0.1 8080\n",
    "etc/systemd/system/load.service": """
[Unit]
Requires=server.service
After=server.service
[Service]
ExecStart=/usr/bin/churn hold 10.77.0.1 8080 --count=10
Restart=on-failure
RestartSec=50ms
""",
    "etc/systemd/system/watch.service": """
[Service]
ExecStart=/bin/bash -c 'while read v </proc/sys/net/ipv4/tcp_tw_reuse && [ "$v" = 1 ]; do :; done'
""",
}

# In mount and pid namespaces of its own, so that no process or mount outlives this program. $1: an empty directory,
# $2: the files to lay over those of /, and the cgroups to be in.
BOOT = """set -e
dir=$1 files=$2
shift 2
for cgroup; do echo 0 >"$cgroup/cgroup.procs"; done
mount -t tmpfs tmpfs "$dir"
cp -a "$files" "$dir/upper"
mkdir "$dir/work" "$dir/root"
mount -t overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" overlay "$dir/root"
mount -t tmpfs tmpfs /run
exec systemd-nspawn --directory="$dir/root" --machine=twtuned-test --private-network --register=no --keep-unit \
    --link-journal=no --console=pipe --boot systemd.unit=basic.target
"""


def wait_until(condition, what, timeout=10):
    """Returns what the condition gives, as soon as that is true."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        check(time.monotonic() < deadline, f"not within {timeout} s: {what}")
        time.sleep(0.02)
    return value


def remove_cgroup(cgroup):
    for directory in sorted(cgroup.rglob("*/"), reverse=True):
        directory.rmdir()
    cgroup.rmdir()


def make_cgroups():
    """One below our own, in each hierarchy that systemd may use. Removes those of tests that were killed."""
    own = dict(line.strip().split(":", 2)[1:] for line in open("/proc/self/cgroup"))
    for _, mount, kind, options, *_ in map(str.split, open("/proc/mounts")):
        hierarchy = "" if kind == "cgroup2" else "name=systemd"
        if kind == "cgroup2" or kind == "cgroup" and hierarchy in options.split(","):
            cgroup = pathlib.Path(mount + own[hierarchy], f"twtuned-test-{os.getpid()}")
            for other in cgroup.parent.glob("twtuned-test-*"):
                if not os.path.exists(f"/proc/{other.name.split('-')[-1]}"):
                    remove_cgroup(other)
            cgroup.mkdir()
            yield cgroup


def child(pid):
    return int(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[-1])


class Container:
    def __init__(self):
        self._cgroups, self._unshare = [], None
        atexit.register(self._remove)
        start = time.monotonic()
        log = temp_dir() / "console"
        try:
            self._start(log)
            self.pid = wait_until(self._systemd, "systemd runs")
            wait_until(lambda: self.systemctl("is-system-running", check=False) in ("running", "degraded"), "boot", 60)
        except Exception:
            diag(log.read_text(errors="replace"))
            raise
        # Its own even if the pid should become another's.
        self.root = pathlib.Path(f"/proc/self/fd/{os.open(f'/proc/{self.pid}/root', os.O_PATH)}")
        self._conf = (self.root / CONF).read_text()
        # Toward 127.0.0.1 a stock kernel reuses as it is (tcp_tw_reuse = 2), so that no rule has to.
        self.run("ip", "address", "add", "10.77.0.1/32", "dev", "lo")
        diag(f"booted in {time.monotonic() - start:.1f} s")

    def _start(self, log):
        files = temp_dir() / "files"
        install = ["meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", files]
        subprocess.run(install, check=True, stdout=subprocess.DEVNULL)
        for name, text in FILES.items():
            (files / name).parent.mkdir(parents=True, exist_ok=True)
            (files / name).write_text(text)
        (files / "usr/bin").mkdir(exist_ok=True)
        shutil.copy(binary("churn"), files / "usr/bin")

        self._cgroups.extend(make_cgroups())
        argv = ["setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child",
                "sh", "-c", BOOT, "sh", temp_dir(), files, *self._cgroups]
        with open(log, "w") as console:
            self._unshare = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=console, stderr=console)

    def _systemd(self):
        """The pid of its PID 1; before that is systemd, it is systemd-nspawn."""
        check(self._unshare.poll() is None, "systemd-nspawn ended")
        with contextlib.suppress(OSError, IndexError):  # it is not there yet, or no longer
            pid = child(child(self._unshare.pid))
            if pathlib.Path(f"/proc/{pid}/comm").read_text() == "systemd\n":
                return pid

    def _remove(self):
        if self._unshare and self._unshare.poll() is None:
            with contextlib.suppress(IndexError):
                os.kill(child(self._unshare.pid), 9)  # the first of its pid namespace: the end of all of them
            self._unshare.wait()
        for cgroup in self._cgroups:
            remove_cgroup(cgroup)

    def run(self, *argv, check=True):
        run = subprocess.run(["nsenter", "-t", str(self.pid), "-a", *argv], text=True, capture_output=True, timeout=60)
        if check and run.returncode:
            raise RuntimeError(f"{argv}: exit {run.returncode}: {run.stdout}{run.stderr}")
        return run

    def systemctl(self, *argv, check=True):
        return self.run("systemctl", *argv, check=check).stdout.strip()

    def show(self, name):
        return self.systemctl("show", "-P", name, "twtuned")

    def sysctls(self):
        return tuple(self.run("sysctl", "-n", REUSE, DELAY).stdout.split())

    def ledgers(self):
        return [path.name for path in (self.root / "run/twtuned").glob("*.ledger")]

    def write(self, name, text):
        (self.root / name).parent.mkdir(exist_ok=True)
        (self.root / name).write_text(text)

    def journal(self, *matches):
        """The entries of twtuned and of systemd about it, since the test began."""
        self.run("journalctl", "--sync")
        lines = self.run("journalctl", "-o", "json", "-u", "twtuned", f"--since=@{self.since}", *matches).stdout
        return [json.loads(line) for line in lines.splitlines()]

    def events(self, kind, count=1):
        """When there are so many."""
        return wait_until(lambda: len(found := self.journal(f"EVENT={kind}")) >= count and found, f"{count} x {kind}")

    def wait_for_reuse(self, value):
        wait_until(lambda: self.sysctls()[0] == value, f"{REUSE} = {value}")

    def start(self, config, unit=None):
        """twtuned with this drop-in, under load; returns its first change of REUSE."""
        self.write(f"{DROPINS}/50-test.conf", config)
        if unit:
            self.write(f"{UNIT_DROPINS}/50-test.conf", f"[Service]\n{unit}\n")
            self.systemctl("daemon-reload")
        self.systemctl("start", "twtuned", "load")
        self.wait_for_reuse("1")
        return self.events("applied")[0]

    def begin(self):
        self.since = f"{time.time():.6f}"

    def end(self):
        """Leaves it as it was after the boot."""
        self.systemctl("stop", "twtuned", "load", "server", "watch")
        self.systemctl("disable", "twtuned")
        for name in (DROPINS, UNIT_DROPINS):
            shutil.rmtree(self.root / name, ignore_errors=True)
        self.write(CONF, self._conf)
        self.systemctl("daemon-reload")
        self.systemctl("reset-failed", "twtuned", check=False)  # and its count of starts
        self.run("sysctl", "-w", f"{REUSE}=2", f"{DELAY}=1000")


@functools.cache
def boot():
    """The container, or why there is none."""
    try:
        return Container()
    except Exception as error:
        return error


def on_host(name):
    """A test that is given the container."""
    def register(function):
        @test(name)
        def _():
            if not shutil.which("systemd-nspawn"):
                raise Skip("needs systemd-nspawn: apt-get install systemd-container dbus")
            host = boot()
            check(isinstance(host, Container), f"did not boot: {host}")
            host.begin()
            try:
                function(host)
            except Exception:
                diag("\n".join(entry["MESSAGE"] for entry in host.journal()))
                raise
            finally:
                host.end()
    return register


@on_host("systemd-analyze has nothing to say about the unit")
def _(host):
    run = host.run("systemd-analyze", "verify", "--man=no", "twtuned.service", check=False)
    said = [line for line in run.stderr.splitlines() if "twtuned" in line]
    check_equal((run.returncode, said), (0, []), "systemd-analyze verify")


@on_host("enable --now: starts now and at boot, and says in its status how it is")
def _(host):
    host.systemctl("enable", "--now", "twtuned")
    check_equal(host.systemctl("is-enabled", "twtuned"), "enabled", "is-enabled")
    check("twtuned.service" in host.systemctl("list-dependencies", "--plain", "multi-user.target"), "not at boot")
    status = host.systemctl("status", "twtuned")
    check("Active: active (running)" in status and 'Status: "healthy' in status, status)
    check_equal(host.show("WatchdogUSec"), "30s", "WatchdogSec")
    check_equal(host.sysctls(), ("2", "1000"), "sysctls")


@on_host("it is active when it has said READY, not before")
def _(host):
    host.write(f"{UNIT_DROPINS}/late.conf", "[Service]\nExecStart=\n"
               "ExecStart=/bin/sh -c 'kill -STOP $$$$; exec /usr/sbin/twtuned'\n")
    host.systemctl("daemon-reload")
    host.systemctl("start", "--no-block", "twtuned")
    wait_until(lambda: host.show("MainPID") != "0", "there is a process")
    time.sleep(0.5)
    check_equal(host.show("ActiveState"), "activating", "ActiveState before READY")
    host.systemctl("kill", "--signal=CONT", "twtuned")
    wait_until(lambda: host.show("ActiveState") == "active", "active after READY", 5)


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


@on_host("reload: a bad file is rejected and the running policy stays, a good one is taken")
def _(host):
    host.start(HOLDS)
    pid = host.show("MainPID")
    host.write(f"{DROPINS}/60-more.conf", BAD)
    host.systemctl("reload", "twtuned")
    rejected = host.events("config-rejected")[0]
    check(rejected["MESSAGE"].startswith(f"/{DROPINS}/60-more.conf:2: "), rejected["MESSAGE"])
    check_equal(host.sysctls()[0], "1", f"{REUSE} after a bad reload")

    host.write(f"{DROPINS}/60-more.conf", "[rule some]\nenabled = no\n")
    host.systemctl("reload", "twtuned")
    host.wait_for_reuse("2")
    host.events("config-loaded", 2)
    check_equal((host.show("ActiveState"), host.show("MainPID")), ("active", pid), "state and MainPID")


def check_taken_over(host, pid):
    """By a process that systemd has started: nothing was put back or written."""
    wait_until(lambda: host.show("MainPID") not in ("0", pid) and host.show("ActiveState") == "active", "restarted")
    time.sleep(0.5)
    check_equal(host.show("NRestarts"), "1", "restarts")
    check_equal(host.systemctl("is-active", "watch", check=False), "active", f"what watches that {REUSE} stays 1")
    check_equal([entry["EVENT"] for entry in host.journal("_SYSTEMD_UNIT=twtuned.service")],
                ["config-loaded", "applied", "config-loaded"], "events")
    host.systemctl("stop", "load")
    host.wait_for_reuse("2")
    wait_until(lambda: host.systemctl("is-active", "watch", check=False) == "inactive", "it was watched")


@on_host("kill -9: started again; the ledger is still there and the value is taken over")
def _(host):
    host.start(HOLDS, unit="RestartSec=1s")
    host.systemctl("start", "watch")
    pid, ledgers = host.show("MainPID"), host.ledgers()
    host.systemctl("kill", "--signal=KILL", "twtuned")
    wait_until(lambda: host.show("SubState") == "auto-restart", "between the two")
    check_equal((len(ledgers), host.ledgers()), (1, ledgers), "ledgers between the two")
    check_taken_over(host, pid)


@on_host("kill -STOP: the watchdog starts it again, and the value is taken over")
def _(host):
    host.start(HOLDS, unit="WatchdogSec=1s")
    host.systemctl("start", "watch")
    pid = host.show("MainPID")
    time.sleep(1.5)
    check_equal(host.show("NRestarts"), "0", "restarts by a watchdog that is fed")
    host.systemctl("kill", "--signal=STOP", "twtuned")
    check_taken_over(host, pid)


@on_host("stop puts everything back")
def _(host):
    host.start(HOLDS_TWO)
    check_equal(host.sysctls(), ("1", "250"), "sysctls while held")
    host.systemctl("stop", "twtuned")
    check_equal(host.sysctls(), ("2", "1000"), "sysctls afterwards")
    check_equal((host.show("ActiveState"), host.show("Result")), ("inactive", "success"), "state")
    kept = [(host.root / "run/twtuned" / name).read_text() for name in host.ledgers()]
    check(kept and not any("\theld\t" in text for text in kept), f"the ledger, which outlives the stop: {kept}")


@on_host("a bad configuration at the start: fails with 78, says where, and is not started again")
def _(host):
    host.write(f"{DROPINS}/50-bad.conf", BAD)
    check_equal(host.run("systemctl", "start", "twtuned", check=False).returncode, 1, "exit status of start")
    time.sleep(0.5)  # by then it would have been started again
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
