#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The units as shipped, with all their sandboxing: what they may and may not do, what ends in which state, and that a
sysctl which is held never goes back to its original while a twtuned follows another."""

import os
import pathlib
import re
import shutil
import subprocess

from container import (BAD, DELAY, DROPINS, HOLDS, HOLDS_TWO, REUSE, UNIT_DROPINS, check, crowd, diag, on_host,
                       remove_cgroup, sampled, wait_until)
from harness import ROOT, Skip, check_equal, main, temp_dir, test

UNITS = "twtuned.service", "twtuned-restore.service", "twtuned@web.service", "twtuned-restore@web.service"


def wait_for_restart(host, pid, unit="twtuned"):
    """Waits until another process is ready, and has had enough ticks to do something wrong."""
    wait_until(lambda: host.show("MainPID", unit) not in ("0", pid) and host.show("ActiveState", unit) == "active",
               "restarted")
    host.wait_ticks(5, unit)


def wait_for_end(host, unit="twtuned"):
    """Waits until the unit has ended for good, and its twtuned-restore as well."""
    wait_until(lambda: host.show("ActiveState", unit) in ("failed", "inactive"), f"{unit} ends")
    restore = unit.replace("twtuned", "twtuned-restore")
    wait_until(lambda: host.show("ActiveState", restore) in ("failed", "inactive"), f"{restore} ends")


def restored_by(host, unit, *matches):
    """The sysctls that a unit has put back. The pid tells which: journald may not know the unit of a process that ends
    right after. Only a daemon loads a configuration."""
    daemons = {entry["_PID"] for entry in host.journal("EVENT=config-loaded", unit=None)}
    return sorted(entry["SYSCTL"] for entry in host.journal("EVENT=released", *matches, unit=None)
                  if (entry["_PID"] in daemons) == (unit == "twtuned"))


def check_status(host, wanted, unit="twtuned"):
    try:
        wait_until(lambda: re.fullmatch(wanted, host.show("StatusText", unit)), wanted)
    except AssertionError:
        check_equal(host.show("StatusText", unit), wanted, f"status of {unit}")


def drop_in(host, text, unit=""):
    host.write(f"{UNIT_DROPINS}/60-test.conf", f"[Unit]\n{unit}\n[Service]\n{text}\n")
    host.systemctl("daemon-reload")


# ---- the sandbox ----

@on_host("systemd-analyze verify has nothing to say about the units, security gives 1.2 at most")
def _(host):
    if "TWTUNED_COVERAGE" in os.environ:
        raise Skip("the sandbox has a hole, for the counts")
    host.run("ip", "netns", "add", "web")
    host.systemctl("start", "twtuned", "twtuned@web")
    for unit in UNITS:
        run = host.run("systemd-analyze", "verify", "--man=no", unit, check=False)
        said = [line for line in run.stderr.splitlines() if "twtuned" in line]
        check_equal((run.returncode, said), (0, []), f"systemd-analyze verify {unit}")
        for how in (), ("--offline=true",):
            run = host.run("systemd-analyze", "security", "--no-pager", "--threshold=12", *how, unit, check=False)
            diag(run.stdout.strip().splitlines()[-1].encode("ascii", "ignore").decode().strip() + f" {' '.join(how)}")
            check_equal(run.returncode, 0, f"systemd-analyze security {unit}")


@on_host("it is never root, and has CAP_NET_ADMIN and nothing else")
def _(host):
    host.systemctl("start", "twtuned")
    text = (host.root / "proc" / host.show("MainPID") / "status").read_text()
    status = dict(re.findall(r"^(\w+):\s*(.*)$", text, re.M))
    net_admin = f"{1 << 12:016x}"
    for name in "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb":
        check_equal(status[name], net_admin, name)
    check("0" not in status["Uid"].split() + status["Gid"].split(), text)
    check_equal((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"), "NoNewPrivs and Seccomp")
    check_equal(host.run("stat", "-c", "%U %a", "/run/twtuned").stdout, "twtuned 755\n", "the ledger's directory")


@on_host("of /proc/sys and /sys it can write the sysctls that twtuned may write, and nothing else")
def _(host):
    rows = (ROOT / "lib/kernel/sysctl_rows.h").read_text().split("\nSYSCTL(")[1:]
    names = [re.search(r'IPV4\("(\w+)"\)|"([\w.]+)"', row).group(1, 2) for row in rows if ".never" not in row]
    wanted = {f"/proc/sys/net/ipv4/{ipv4}" if ipv4 else f"/proc/sys/{name.replace('.', '/')}" for ipv4, name in names}
    check(len(wanted) == 14, wanted)
    host.systemctl("start", "twtuned")
    # root's rights, in the mounts of the daemon
    found = host.run("nsenter", "-t", host.show("MainPID"), "-m", "find", "/proc/sys", "/sys", "-type", "f",
                     "-writable", check=False).stdout.split()
    there = host.run("ls", *wanted, check=False).stdout.split()  # tcp_max_orphans is in the first netns only
    check(len(there) > 10, there)
    check_equal(set(found) ^ set(there), set(), "what is writable and should not be, or the other way round")


def inside(host, *args):
    """What twtuned with these arguments prints in the unit."""
    drop_in(host, f"Type=oneshot\nExecStart=\nExecStart=/usr/sbin/twtuned {' '.join(args)}\nSuccessExitStatus=1\n"
                  "StandardOutput=journal")
    host.systemctl("start", "twtuned")
    # Not _COMM, which journald does not know of a process that is gone when it reads the lines.
    return [entry["MESSAGE"] for entry in host.journal("SYSLOG_IDENTIFIER=twtuned")]


@on_host("inside it can read all metrics that it can read outside")
def _(host):
    def read(lines):
        words = map(str.split, lines)
        return {name for name, value, *_ in words if value not in ("invalid", "unavailable")}
    outside = read(host.run("twtuned", "--once").stdout.splitlines())
    check(len(outside) > 30, outside)
    check_equal(read(inside(host, "--once")) ^ outside, set(), "metrics that are read in one of the two only")


@on_host("inside it reads sysctl.d")
def _(host):
    host.write("etc/sysctl.d/50-test.conf", "net.ipv4.tcp_max_tw_buckets = 5000\n")
    try:
        said = inside(host, "--lint")
    finally:
        (host.root / "etc/sysctl.d/50-test.conf").unlink()
    check(any(line.startswith("/etc/sysctl.d/50-test.conf:1: ") and "harmful" in line for line in said), said)


@on_host("twtuned in a container finds the unit of a culprit, also beside containers with ten thousand cgroups each")
def _(host):
    containers = [host.root / host.cgroup() / f"container{n}" for n in range(3)]
    try:
        for container in containers:  # of which one comes before system.slice
            crowd(container)
        applied = host.start(HOLDS)
        check(applied["CULPRIT"] in ("load.service", "server.service"), applied["CULPRIT"])
    finally:
        for container in containers:
            remove_cgroup(container)


@on_host("a system call that the filter does not allow ends it, and is seen")
def _(host):
    drop_in(host, "Restart=no\nExecStart=\nExecStart=swapoff /nowhere")
    check(host.run("systemctl", "start", "twtuned", check=False).returncode, "it started")
    check_equal((host.show("ExecMainCode"), host.show("ExecMainStatus")), ("2", "31"), "killed by SIGSYS")
    check(host.violations(), "not seen")
    host.begin()


# ---- one twtuned after the other ----

def kill(host):
    host.systemctl("kill", "--signal=KILL", "twtuned")


def hang(host):
    """Ends it by the watchdog, which it feeds every quarter of its time. On a very slow machine that could end it as
    well, so one process first has to feed it three times."""
    drop_in(host, "WatchdogSec=2s")
    host.systemctl("restart", "twtuned")
    times = {}

    def fed():
        pid = host.show("MainPID")
        times.setdefault(pid, set()).add(host.show("WatchdogTimestampMonotonic"))
        return len(times[pid]) > 3 and pid
    pid = wait_until(fed, "the watchdog is fed three times")
    host.systemctl("kill", "--signal=STOP", "twtuned")
    wait_until(lambda: host.show("MainPID") not in ("0", pid), "the watchdog")
    check(any("Watchdog timeout" in entry["MESSAGE"] for entry in host.journal("_PID=1")), "it was not the watchdog")


def restart(host):
    host.systemctl("restart", "twtuned")


def restart_without_bus(host):
    host.systemctl("stop", "dbus.socket", "dbus.service")
    try:
        host.systemctl("restart", "twtuned")
    finally:
        host.systemctl("start", "dbus.socket")


def upgrade(host):
    """The files are replaced, as a package does it."""
    for path in "usr/sbin/twtuned", "usr/lib/systemd/system/twtuned.service":
        shutil.copy(host.root / path, host.root / f"{path}.new")
        os.rename(host.root / f"{path}.new", host.root / path)
    host.systemctl("daemon-reload")
    host.systemctl("try-restart", "twtuned")


def reexec(host):
    host.systemctl("daemon-reexec")
    host.systemctl("restart", "twtuned")


for name, interrupt in (("kill -9", kill), ("kill -STOP, until the watchdog sees it", hang),
                        ("systemctl restart", restart), ("systemctl restart without a bus", restart_without_bus),
                        ("upgrade", upgrade), ("daemon-reexec and restart", reexec)):
    @on_host(f"{name}: the next twtuned takes over, the sysctl never goes back meanwhile")
    def _(host, interrupt=interrupt):
        host.start(HOLDS_TWO)
        pid = host.show("MainPID")
        with sampled(host, ["1"]):
            interrupt(host)
            wait_for_restart(host, pid)
        check_equal(host.sysctls(), ("1", "250"), "sysctls")
        check_equal((restored_by(host, "twtuned"), restored_by(host, "twtuned-restore")), ([], []), "put back")
        events = {entry.get("EVENT") for entry in host.journal("_SYSTEMD_UNIT=twtuned.service", "_COMM=twtuned")}
        check_equal(events & {"released", "overridden", "refused", "failed"}, set(), "events")
        with sampled(host, ["1", "2"]):
            host.systemctl("stop", "twtuned")
            wait_for_end(host)


@on_host("kill -9 while it is started again and again, 7 times: no dip")
def _(host):
    host.start(HOLDS)
    with sampled(host, ["1"]):
        for _ in range(7):
            pid = host.show("MainPID")
            host.systemctl("kill", "--signal=KILL", "twtuned")
            wait_until(lambda: host.show("MainPID") not in ("0", pid), "another process")
    check_equal(host.show("NRestarts"), "7", "restarts")


# ---- the end ----

@on_host("stop: all is put back when systemctl returns, and twtuned's own log says so")
def _(host):
    host.start(HOLDS_TWO)
    host.systemctl("stop", "twtuned")
    check_equal(host.sysctls(), ("2", "1000"), "sysctls")
    check_equal(restored_by(host, "twtuned"), [REUSE, DELAY], "put back by twtuned")
    wait_for_end(host)
    check_equal(host.journal("_COMM=twtuned", unit="twtuned-restore"), [], "what twtuned-restore says of nothing")
    kept = [(host.root / "run/twtuned" / name).read_text() for name in host.ledgers()]
    check(kept and not any("\theld\t" in text for text in kept), f"the ledger, which outlives the stop: {kept}")
    check_equal([host.show(name) for name in ("ActiveState", "Result")], ["inactive", "success"], "twtuned")
    check_equal([host.show(name, "twtuned-restore") for name in ("ActiveState", "Result")], ["inactive", "success"],
                "twtuned-restore")


def stop_without_bus(host):
    host.systemctl("stop", "dbus.socket", "dbus.service")
    host.systemctl("stop", "twtuned")
    host.systemctl("start", "dbus.socket")


def stop_with_hung_bus(host):
    drop_in(host, "TimeoutStopSec=1s")
    host.run("busctl", "status")  # it is started
    host.systemctl("kill", "--signal=STOP", "dbus")
    host.systemctl("stop", "twtuned")
    host.systemctl("kill", "--signal=KILL", "dbus")


def terminate(host):
    host.systemctl("kill", "--signal=TERM", "twtuned")


for name, end in (("stop without a bus", stop_without_bus),
                  ("stop with a bus that does not answer", stop_with_hung_bus), ("SIGTERM by hand", terminate)):
    @on_host(f"{name}: twtuned-restore puts all back")
    def _(host, end=end):
        host.start(HOLDS_TWO)
        end(host)
        wait_for_end(host)
        check_equal(host.sysctls(), ("2", "1000"), "sysctls")
        check_equal(restored_by(host, "twtuned-restore"), [REUSE, DELAY], "put back by twtuned-restore")


@on_host("restore_on_exit = no and a stop of twtuned-restore: all is put back, the daemon is ended before")
def _(host):
    host.start(HOLDS_TWO + "[daemon]\nrestore_on_exit = no\n")
    host.systemctl("stop", "twtuned-restore")
    check_equal(host.show("ActiveState"), "inactive", "twtuned")
    check_equal(host.sysctls(), ("2", "1000"), "sysctls")


@on_host("it dies again and again: systemd gives up, and then all is put back")
def _(host):
    host.start(HOLDS_TWO)
    check_equal([host.show(name) for name in ("StartLimitBurst", "StartLimitIntervalUSec")], ["15", "10min"], "limit")
    # From now on it does not come up.
    drop_in(host, "ExecStartPre=/bin/sh -c 'exit 1'", "StartLimitBurst=4")
    host.systemctl("kill", "--signal=KILL", "twtuned")
    wait_for_end(host)
    check_equal(host.show("ActiveState"), "failed", "state")
    check(any("repeated too quickly" in entry["MESSAGE"] for entry in host.journal("_PID=1")), "it did not give up")
    check_equal(host.sysctls(), ("2", "1000"), "sysctls")
    check_equal(restored_by(host, "twtuned-restore"), [REUSE, DELAY], "put back by twtuned-restore")


@on_host("it hangs again and again: systemd gives up, and then all is put back")
def _(host):
    host.start(HOLDS)
    drop_in(host, "WatchdogSec=200ms\nExecStart=\nExecStart=/bin/sh -c 'systemd-notify --ready; kill -STOP $$$$'\n"
            "NotifyAccess=all", "StartLimitBurst=4")
    host.systemctl("kill", "--signal=KILL", "twtuned")
    wait_for_end(host)
    check_equal(host.show("ActiveState"), "failed", "state")
    check_equal(host.sysctls()[0], "2", REUSE)


@on_host("a configuration with an error at a restart: EX_CONFIG, it is not started again, and all is put back")
def _(host):
    host.start(HOLDS_TWO)
    host.write(f"{DROPINS}/60-bad.conf", BAD)
    check_equal(host.run("systemctl", "restart", "twtuned", check=False).returncode, 1, "exit status of restart")
    wait_for_end(host)
    check_equal([host.show(name) for name in ("ActiveState", "ExecMainStatus", "NRestarts")], ["failed", "78", "0"],
                "state, exit status and restarts")
    check_equal(host.sysctls(), ("2", "1000"), "sysctls")


# In systemd-nspawn a service that has its own /proc sees another boot id; on a host there is only one.
BY_ROOT = "systemd-run", "--unit=web-root", "-p", "UMask=0077", "-p", "ProtectProc=invisible"


@on_host("what root left by hand is taken over; what the unit left is put back by root's hand, and is no obstacle")
def _(host):
    host.write(f"{DROPINS}/50-test.conf", HOLDS)
    shutil.rmtree(host.root / "run/twtuned", ignore_errors=True)
    host.systemctl("start", "load")
    host.run(*BY_ROOT, "twtuned")
    host.wait_for_reuse("1")
    host.systemctl("kill", "--signal=KILL", "web-root")
    wait_until(lambda: host.show("ActiveState", "web-root") == "failed", "it is dead")
    host.systemctl("reset-failed", "web-root")
    with sampled(host, ["1"]):
        host.systemctl("start", "twtuned")
        host.wait_ticks(5)
    check_equal([entry["EVENT"] for entry in host.journal("_COMM=twtuned")], ["config-loaded"], "events")
    check_equal(host.run("sh", "-c", "stat -c %U /run/twtuned /run/twtuned/*").stdout, "twtuned\n" * 3,
                "owners of the directory, the ledger and the lock")
    check_equal(host.run("twtuned", "--restore", check=False).returncode, 75, "--restore beside a daemon")

    drop_in(host, "Restart=no\nExecStopPost=/bin/sleep infinity\nTimeoutStopSec=2min")  # nobody else puts it back
    host.systemctl("kill", "--signal=KILL", "twtuned")
    wait_until(lambda: host.show("SubState") == "stop-post", "it is dead")
    host.run(*BY_ROOT, "--wait", "twtuned", "--restore")
    check_equal(host.sysctls()[0], "2", REUSE)
    host.systemctl("kill", "--kill-whom=control", "twtuned")
    drop_in(host, "")
    wait_for_end(host)
    check_equal(host.journal("EVENT=released", unit="twtuned-restore"), [], "put back by twtuned-restore, after root")
    host.systemctl("start", "twtuned")
    host.wait_for_reuse("1")


# ---- namespaces ----

@on_host("twtuned@web tunes the netns web: its own sockets, sysctls, ledger, lock, status and journal")
def _(host):
    for netns, server in ("web", "10.77.1.1"), ("api", "10.77.2.1"):
        host.run("sh", "-c", f"ip netns add {netns} && ip -n {netns} link set lo up && "
                 f"ip -n {netns} address add {server}/32 dev lo")
    host.write(f"{DROPINS}/50-test.conf", HOLDS)
    host.systemctl("start", "twtuned")
    host.systemctl("enable", "--now", "twtuned@web", "twtuned@api")
    host.run("systemd-run", "--unit=web-server", "-p", "NetworkNamespacePath=/run/netns/web", "churn", "server",
             "10.77.1.1", "80")
    host.run("systemd-run", "--unit=web-load", "-p", "NetworkNamespacePath=/run/netns/web", "-p", "Restart=on-failure",
             "churn", "hold", "10.77.1.1", "80", "--count=10")

    def reuse(netns):
        return host.run("ip", "netns", "exec", netns, "sysctl", "-n", REUSE).stdout.strip()
    applied = host.events("applied", unit="twtuned@web")[0]
    check_equal([applied[name] for name in ("NETNS", "SYSCTL", "GROUP", "CULPRIT")],
                ["web", REUSE, "10.77.1.1->10.77.1.1:80", "web-load.service"], "fields")
    check_equal((reuse("web"), reuse("api"), host.sysctls()[0]), ("1", "2", "2"), f"{REUSE} in web, api and here")
    check_equal([e["NETNS"] for e in host.journal("EVENT=config-loaded", unit="twtuned@api")], ["api"], "NETNS of api")
    check(host.journal("EVENT=config-loaded")[0]["NETNS"].isdigit(), "the first netns has a name")
    check_equal(len(host.ledgers()), 3, "ledgers")
    check_status(host, r"acting: 1 sysctl changed for \S+->\S+, \S+", "twtuned@web")
    check_status(host, "healthy", "twtuned@api")

    pid = host.show("MainPID", "twtuned@web")
    with sampled(host, ["1"], netns="web"):
        host.systemctl("kill", "--signal=KILL", "twtuned@web")
        wait_for_restart(host, pid, "twtuned@web")
        host.systemctl("restart", "twtuned@web")
        host.systemctl("stop", "twtuned@api", "twtuned")  # the end of others must not end it
        wait_for_end(host)
    check_equal(len(host.ledgers()), 3, "ledgers")

    # A stop without a bus, after which its own twtuned-restore puts back.
    host.systemctl("stop", "dbus.socket", "dbus.service")
    host.systemctl("stop", "twtuned@web")
    wait_for_end(host, "twtuned@web")
    host.systemctl("start", "dbus.socket")
    check_equal(reuse("web"), "2", REUSE)
    check_equal(restored_by(host, "twtuned-restore", "NETNS=web"), [REUSE], "put back in web by twtuned-restore@web")


@on_host("twtuned@NAME without such a netns: fails and says why, is not started for ever")
def _(host):
    check_equal(host.run("systemctl", "start", "twtuned@nowhere", check=False).returncode, 1, "exit status")
    wait_for_end(host, "twtuned@nowhere")
    # Of any unit: journald finds none for a line whose process is gone when it reads it.
    host.run("journalctl", "--sync")
    said = host.run("journalctl", f"--since=@{host.since}").stdout
    check("/run/netns/nowhere" in said, said)


# ---- the status and the log ----

@on_host("the status is a sentence: healthy, acting, degraded and why")
def _(host):
    host.write(f"{DROPINS}/50-test.conf", HOLDS)
    host.systemctl("start", "twtuned")
    check_status(host, "healthy")
    host.systemctl("start", "load")
    acting = r"acting: 1 sysctl changed for 10\.77\.0\.1->10\.77\.0\.1:8080, load\.service"
    check_status(host, acting)

    host.write(f"{DROPINS}/60-bad.conf", BAD)
    check_equal(host.run("systemctl", "reload", "twtuned", check=False).returncode, 1, "exit status of the reload")
    check_status(host, r"degraded: the new configuration has an error \(twtuned --check\); keeping the current one; 1 sysctl changed")
    (host.root / DROPINS / "60-bad.conf").unlink()
    host.systemctl("reload", "twtuned")
    check_status(host, acting)

    host.run("chown", "root", "/run/twtuned")
    host.systemctl("stop", "load")
    check_status(host, "degraded: the ledger cannot be saved, so nothing more is changed.*")
    host.run("chown", "twtuned", "/run/twtuned")
    check_status(host, "healthy.*")

    drop_in(host, "AmbientCapabilities=")
    host.systemctl("restart", "twtuned")
    check_status(host, "degraded: cannot write sysctls: .*; observing only")
    host.write(f"{DROPINS}/60-observe.conf", "[daemon]\nmode = observe\n")
    host.systemctl("restart", "twtuned")
    check_status(host, "healthy, observing only")


# ---- the build ----

@test("Type=notify-reload with systemd 253, notify and ExecReload before")
def _():
    directory = temp_dir()
    pc = subprocess.run(["pkg-config", "--path", "libsystemd"], text=True, capture_output=True, check=True).stdout
    text = pathlib.Path(pc.strip()).read_text()
    setup = ["meson", "setup", directory / "build", ROOT, "-Dtests=false", "-Dman=disabled"]
    checked = "ExecReload=/usr/sbin/twtuned --check"
    for version, wanted in (("252.9", ["Type=notify", "ExecReload=/bin/kill -HUP $MAINPID", checked]),
                            ("253", ["Type=notify-reload", checked])):
        pc = directory / version / "libsystemd.pc"
        pc.parent.mkdir()
        pc.write_text(re.sub("^Version:.*", f"Version: {version}", text, flags=re.M))
        subprocess.run([*setup, f"-Dpkg_config_path={pc.parent}"], stdout=subprocess.DEVNULL, check=True)
        setup.append("--reconfigure")
        ninja = ["ninja", "-C", directory / "build", "systemd/twtuned.service"]
        subprocess.run(ninja, stdout=subprocess.DEVNULL, check=True)
        unit = (directory / "build/systemd/twtuned.service").read_text()
        check_equal(re.findall("^(?:Type|ExecReload)=.*", unit, re.M), wanted, f"with {version}")


if __name__ == "__main__":
    main()
