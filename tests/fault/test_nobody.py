#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a user without privilege, or a file in the wrong place, may do to twtuned: nothing. docs/security.md lists the
surfaces; each has a test here, or in test_nobody_host.py, which boots a systemd."""

import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys

import lives
from lives import ORIGINAL, POLICY, Run, host, killed, new_directory, policy
from harness import PATIENCE, ROOT, Single, binary, check, check_equal, diag, main, temp_dir, temp_policy, test, wait_until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "ctl"))
import ctl_host  # noqa: E402
from ticks import Manager, Ticking  # noqa: E402

NOBODY = "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"
HOLD_ADDRESS = """
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("\\0twtuned")
print("held", flush=True)
input()
"""

# As a service with User= can do it: the socket that is its stdout was made by root.
HOLD_WITH_STREAM_OF_ROOT = f"""
import os, socket
stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
os.setgroups([]); os.setgid(65534); os.setuid(65534)
stream.bind("\\0twtuned")
{HOLD_ADDRESS}"""


@contextlib.contextmanager
def address_held(netns, user=(), script=HOLD_ADDRESS):
    """A process of another user has bound the abstract address that names an instance."""
    with netns.entered():
        process = subprocess.Popen([*user, sys.executable, "-c", script], text=True, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)
    try:
        check_equal(process.stdout.readline(), "held\n", "the holder of the address")
        yield process
    finally:
        process.kill()
        process.communicate()


def lock_of(netns):
    """The path of the lock of a namespace."""
    SO_NETNS_COOKIE = 71
    with netns.entered(), socket.socket(socket.AF_UNIX) as s:
        cookie = int.from_bytes(s.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8), sys.byteorder)
    return f"/run/twtuned/{cookie}.lock"


# ---- the address and the lock of an instance ----

@test("the daemon starts, and puts back at its end, while nobody holds its address")
def _():
    with address_held(host().netns, NOBODY):
        run = lives.life(shim=False)
    check_equal((run.status, host().sysctls()), (0, ORIGINAL), f"status and sysctls of a run that says {run.log}")
    said = [line for line in run.log if "holds the abstract address" in line]
    check_equal(len(said), 1, f"lines about the address in {run.log}")


@test("--restore puts back what a dead twtuned left, while nobody holds its address")
def _():
    with address_held(host().netns, NOBODY):
        run = lives.restore(shim=False)
    check_equal((run.status, host().sysctls()), (0, ORIGINAL), f"status and sysctls of --restore, which says {run.log}")


@test("the same while nobody also holds the address with a socket of another type, which root made")
def _():
    with address_held(host().netns, script=HOLD_WITH_STREAM_OF_ROOT):
        run = lives.restore(shim=False)
    check_equal((run.status, host().sysctls()), (0, ORIGINAL), f"status and sysctls of --restore, which says {run.log}")


@test("--restore works without NETLINK_SOCK_DIAG: nobody can make its dumps fail")
def _():
    run = Run(["--restore"], killed(), fault="sendto:1:12:all")  # ENOMEM
    check_equal((run.end(), host().sysctls()), (0, ORIGINAL), f"status and sysctls of --restore, which says {run.log}")


@test("an address that root holds is another twtuned: 75, which systemd tries again")
def _():
    with address_held(host().netns):
        run = Run([f"--config={policy}"], new_directory(), shim=False)
        check_equal(run.end(), 75, f"exit status of a run that says {run.log}")
    check(any("another twtuned runs" in line for line in run.log), run.log)


@test("a lock that another twtuned holds, where its address cannot be seen: 75")
def _():
    first = Run([f"--config={policy}"], new_directory(), shim=False)
    first.await_lines("enforcing", ticks=10**6)
    lock = lock_of(host().netns)
    try:
        check_equal(oct(os.stat(lock).st_mode & 0o777), oct(0o600), f"mode of {lock}: who can open it can hold it")
        run = Run(["--restore"], new_directory(), shim=False)
        check_equal(run.end(), 75, f"--restore beside a daemon says {run.log}")
    finally:
        check_equal(first.end(signal.SIGTERM), 0, f"the first says {first.log}")
    check(not os.path.exists(lock), f"{lock} is left")
    with open(lock, "x") as file, address_held(host().netns, NOBODY):
        fcntl.flock(file, fcntl.LOCK_EX)
        run = Run(["--restore"], new_directory(), shim=False)
        check_equal(run.end(), 75, f"--restore while the lock is held says {run.log}")
    run = Run(["--restore"], new_directory(), shim=False)
    check_equal(run.end(), 0, f"--restore when nobody holds the lock says {run.log}")


# ---- a bus that is hung, a log that nobody reads ----

@test("a stop while the bus is hung: it ends without an answer, and before a log-in would be given up")
def _():
    with ctl_host.Host(args=["--hold"], environment=ctl_host.CALLS_LAST) as h:
        h.bus.process.send_signal(signal.SIGSTOP)
        try:
            os.kill(h.twtuned.pid, signal.SIGTERM)
            wait_until(lambda: h.twtuned.process.poll() is not None, "the end", ctl_host.LOGIN)
        finally:
            h.bus.process.send_signal(signal.SIGCONT)
        check_equal(h.sysctls(), ("1", "250"), "sysctls: what it cannot ask it leaves to the companion")



@test("a pipe and a terminal as stderr that nobody reads: ticks go on, and it says how many lines are lost")
def _():
    for reader, writer in os.pipe(), os.openpty():
        with contextlib.suppress(OSError):  # not for a terminal, which has 8 kB
            fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        check_unread_stderr(reader, writer)


def check_unread_stderr(reader, writer):
    netns = Single()
    config = temp_policy("[daemon]\ninterval = 100ms\n" + "".join(
        f"[rule r{i}]\nwhen = tcp.listen >= 0\nadvise = {'x' * 150}\n" for i in range(60)))
    manager = Manager()
    env = os.environ | {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "200000", "RUNTIME_DIRECTORY": str(temp_dir())}
    process = netns.popen([binary("twtuned"), f"--config={config}"], stderr=writer, env=env)
    try:
        before = manager.count("WATCHDOG=1")
        wait_until(lambda: manager.count("WATCHDOG=1") > before + 5, "5 ticks")  # in which 30 kB are logged
        text = ""
        while not re.search("[0-9]+ entries before this one are lost", text):
            text += os.read(reader, 65536).decode(errors="replace")
        process.send_signal(signal.SIGTERM)
        check_equal(process.wait(PATIENCE), 0, "exit status")
    finally:
        process.kill()
        os.close(reader)
        os.close(writer)
        netns.remove()


# ---- files in the wrong place ----

def run_here(*args, **kw):
    return host().netns.run([binary("twtuned"), *args], check=False, **kw)


@test("a pipe as configuration, or as recording, is refused, and nobody waits for it")
def _():
    directory = temp_dir()
    os.mkfifo(directory / "fifo.conf")
    run = run_here("--check", f"--config={directory}/fifo.conf")
    check_equal((run.returncode, run.stderr), (78, f"{directory}/fifo.conf: cannot be read: not a regular file\n"))
    run = run_here("--lint", str(directory / "fifo.conf"))
    check("not a regular file" in run.stderr, run.stderr)
    check_equal(run_here(f"--config={policy}", f"--record={directory}/fifo.conf").returncode, 73, "status of --record")
    config = temp_policy(POLICY)
    twtuned = Ticking(host().netns, config)
    twtuned.wait_for("enforcing")
    os.unlink(config)
    os.mkfifo(config)
    twtuned.process.send_signal(signal.SIGHUP)
    twtuned.wait_for("^config-rejected: .*not a regular file")
    twtuned.ticks(3)
    check_equal(twtuned.stop(), 0, "exit status")


@test("--record follows no link")
def _():
    directory = temp_dir()
    (directory / "victim").touch()
    (directory / "link").symlink_to(directory / "victim")
    check_equal(run_here(f"--config={policy}", f"--record={directory}/link").returncode, 73, "exit status")
    check_equal((directory / "victim").stat().st_size, 0, "size of the victim")


@test("metrics_file: only *.prom; --check refuses another name, the daemon runs without metrics")
def _():
    directory = temp_dir()
    victim = directory / "passwd"
    victim.write_text("root\n")
    config = temp_policy(POLICY.replace("[daemon]", f"[daemon]\nmetrics_file = {victim}"))
    run = run_here("--check", f"--config={config}")
    check_equal(run.returncode, 78, "exit status of --check")
    check(re.search(f"^{config}:3: metrics_file = .*: its name must end with .prom$", run.stderr, re.M), run.stderr)
    twtuned = Ticking(host().netns, config)
    twtuned.wait_for("no metrics are written")
    twtuned.ticks(3)
    check_equal(twtuned.stop(), 0, "exit status")
    check_equal(victim.read_text(), "root\n", "the file that is not ours")


@test("a *.prom that is not ours is neither replaced nor removed, nor what lies beside it")
def _():
    for name in "other.prom", "other.prom.new":
        directory = temp_dir()
        other = directory / name.replace("other", f"other-{host().netns.name}")
        other.write_text("# HELP other\n")
        config = temp_policy(POLICY.replace("[daemon]", f"[daemon]\nmetrics_file = {directory}/other.prom"))
        twtuned = Ticking(host().netns, config)
        twtuned.wait_for("^degraded: cannot write the metrics file .*: File exists")
        twtuned.manager.wait_for("STATUS=degraded: metrics_file cannot be written")
        twtuned.ticks(3)
        check_equal(twtuned.stop(), 0, "exit status")
        check_equal([p.read_text() for p in directory.iterdir()], ["# HELP other\n"], "files")


@test("metrics_file: when it can be written again, the status of an idle host says so")
def _():
    directory = temp_dir()
    other = directory / f"other-{host().netns.name}.prom"
    other.write_text("# HELP other\n")
    config = temp_policy(POLICY.replace("[daemon]", f"[daemon]\nmetrics_file = {directory}/other.prom"))
    twtuned = Ticking(host().netns, config)
    twtuned.manager.wait_for("STATUS=degraded: metrics_file cannot be written")
    twtuned.ticks(30)  # nothing moves
    seen = len(twtuned.manager.messages)
    other.unlink()
    twtuned.manager.wait_for("STATUS=healthy", seen)
    check_equal(twtuned.stop(), 0, "exit status")


# ---- the bus ----

BUS = "org.twtuned1"
SCRIPTS = "bus_flood.py", "bus_descriptor.py"


def start_nobody(h, script, *args):
    """Starts one of SCRIPTS as the user nobody, from a directory which that user can read."""
    for name in SCRIPTS:
        copy = h.bus.directory / name
        shutil.copy(pathlib.Path(__file__).with_name(name), copy)
        copy.chmod(0o644)
    return subprocess.Popen([*NOBODY, sys.executable, "-B", h.bus.directory / script, h.bus.socket, *args],
                            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


@contextlib.contextmanager
def flood(h, path, interface, member):
    """200 connections of nobody that never read."""
    process = start_nobody(h, "bus_flood.py", "200", path, interface, member)
    try:
        check_equal(process.stdout.readline(), "connected\n", "the flood")
        yield
        calls = int(process.communicate("\n", timeout=PATIENCE)[0])
        diag(f"{calls} calls of {member}")
        check(calls > 1000, f"only {calls} calls: nothing was tested")
    finally:
        process.kill()
        process.communicate()


def peak_memory(twtuned):
    """kB"""
    return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{twtuned.pid}/status").read_text())[1])


def outlast(path, interface, member):
    with ctl_host.Host() as h:
        ticks = h.twtuned.ticks
        with flood(h, path, interface, member):
            for _ in range(6):
                ticks(10)
                h.ctl("status", "--no-pager")  # root is answered
            refused = [run for run in (h.ctl("status", "--no-pager", check=False, nobody=True) for _ in range(20))
                       if run.returncode]
        check(refused or member != "Describe" or path != "/org/twtuned1", "none of nobody's calls was refused")
        check(all("try again" in run.stderr for run in refused), refused)
        memory = peak_memory(h.twtuned)
        diag(f"at most {memory} kB")
        check(memory < 10000, f"{memory} kB of memory")


@test("200 connections of nobody that never read what they ask for")
def _():
    outlast("/org/twtuned1", BUS, "Describe")


@test("the same of what libsystemd answers: properties, introspection, errors")
def _():
    outlast("/org/twtuned1", "org.freedesktop.DBus.Introspectable", "Introspect")
    outlast("/org/twtuned1/none", BUS, "Describe")


def daemon_is_root():
    """The policy file of the bus, changed for a daemon that runs as root, as it does here."""
    policy = temp_dir() / "policy.conf"
    text = (ROOT / "systemd" / "org.twtuned1.conf").read_text()
    check('<policy user="twtuned">' in text, text)
    policy.write_text(text.replace('<policy user="twtuned">', '<policy user="root">'))
    return policy


@test("a socket that nobody sends along, and whose close() waits: ticks go on, and root's recording works")
def _():
    for kind in "call", "signal":
        with ctl_host.Host(bus_policy=daemon_is_root()) as h:
            h.twtuned.process.send_signal(signal.SIGSTOP)  # so that its copy would be the last
            process = start_nobody(h, "bus_descriptor.py", kind)
            try:
                check_equal(process.stdout.readline(), "sent\n", "the message")
                h.twtuned.process.send_signal(signal.SIGCONT)
                h.twtuned.ticks(20)
                h.ctl("record", str(temp_dir() / "recording"), "--for=1s")
            finally:
                process.communicate("\n", timeout=PATIENCE)


if __name__ == "__main__":
    main()
