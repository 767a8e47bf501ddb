# SPDX-License-Identifier: MIT
"""A real systemd with its journal, booted once in a container on an overlay of / (the machine's own files are only
read, and what the machine itself would start does not start); all tests of a program share it. Its network is its own,
with nothing but loopback. The load is ten connections that are held, and a rule that enters while they are there.

    @on_host("stop puts everything back")
    def _(host):
        host.start(CONFIG)
        host.systemctl("stop", "twtuned")
"""

import atexit
import contextlib
import ctypes
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
from harness import (BUILD, PATIENCE, Skip, binary, check, check_equal, diag, make_cgroup, mounts, remove_cgroup,  # noqa: E402
                     temp_dir, test, wait_until)

REUSE, DELAY = "net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_tw_reuse_delay"
FIN_TIMEOUT = "net.ipv4.tcp_fin_timeout"
STOCK = {REUSE: "2", DELAY: "1000", FIN_TIMEOUT: "60"}
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

# What there is in the container beside twtuned.
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
}

# Records the values of tcp_tw_reuse until its input has ended, and prints them. Prints an empty line when it has
# looked once, and looks once more at the end. With priority if that is allowed: on a busy machine it could miss a
# value.
SAMPLER = """
import contextlib, json, os, select
with contextlib.suppress(OSError):
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
fd = os.open("/proc/sys/net/ipv4/tcp_tw_reuse", os.O_RDONLY)
samples, values, ended = 0, [], False
while not ended:
    ended = samples and select.select([0], [], [], 0.001)[0]
    value, samples = os.pread(fd, 16, 0).decode().strip(), samples + 1
    if not values or values[-1] != value:
        values.append(value)
    if samples == 1:
        print(flush=True)
print(json.dumps({"samples": samples, "values": values}))
"""

# ./dev coverage: what runs in the sandbox of a unit writes its counts beside those of the others.
if "TWTUNED_COVERAGE" in os.environ:
    for unit in "twtuned", "twtuned@", "twtuned-":
        FILES[f"usr/lib/systemd/system/{unit}.service.d/counts.conf"] = (
            f"[Service]\nUMask=0\nBindPaths={BUILD}\nReadWritePaths={BUILD}\n")

# In mount and pid namespaces of its own, so that no process or mount outlives this program. $1: an empty directory,
# $2: the files to lay over those of /, $3: the build, and the cgroups to be in.
BOOT = """set -e
dir=$1 files=$2 build=$3
shift 3
for cgroup; do echo 0 >"$cgroup/cgroup.procs"; done
mount -t tmpfs tmpfs "$dir"
cp -a "$files" "$dir/upper"
mkdir "$dir/work" "$dir/root"
mount -t overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" overlay "$dir/root"
rm -rf "$dir/root/etc/systemd/system/"*.wants
mount -t tmpfs tmpfs /run
mount -t proc proc /proc  # systemd-nspawn looks up its child's pid there
exec systemd-nspawn --directory="$dir/root" --machine=twtuned-test --private-network --register=no --keep-unit \
    --link-journal=no --console=pipe ${TWTUNED_COVERAGE:+--bind="$build"} --boot systemd.unit=basic.target
"""


GENERATORS = "systemd/system-generators"
_libc = ctypes.CDLL(None, use_errno=True)


def crowd(cgroup):
    """Ten thousand cgroups below it: more than a walk of the tree visits."""
    for i in range(10000):
        (cgroup / f"{i % 100}" / f"{i}").mkdir(parents=True)


def make_cgroups():
    """Makes one below our own, in each hierarchy that systemd may use, and removes those of tests that were killed.
    They are in user.slice, which the tests beside this one search last: some tests make ten thousand."""
    own = dict(line.strip().split(":", 2)[1:] for line in open("/proc/self/cgroup"))
    for _, mount, kind, options, *_ in mounts():
        hierarchy = "" if kind == "cgroup2" else "name=systemd"
        if kind == "cgroup2" or kind == "cgroup" and hierarchy in options.split(","):
            cgroup = pathlib.Path(mount + own[hierarchy], "user.slice", f"twtuned-test-{os.getpid()}")
            for other in cgroup.parent.glob("twtuned-test-*"):
                if not os.path.exists(f"/proc/{other.name.split('-')[-1]}"):
                    remove_cgroup(other)
            make_cgroup(cgroup)
            yield cgroup


def child(pid):
    return int(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[-1])


class Container:
    """What meson installs is there as if a package had put it there."""

    def __init__(self):
        self._cgroups, self._unshare = [], None
        atexit.register(self._remove)
        start = time.monotonic()
        log = temp_dir() / "console"
        try:
            self._start(log)
            self.pid = wait_until(self._systemd, "systemd runs")
            wait_until(lambda: self.systemctl("is-system-running", check=False) in ("running", "degraded"), "boot")
        except Exception:
            if log.exists():
                diag(log.read_text(errors="replace"))
            raise
        self.run("systemd-sysusers")
        # Stays that of the container, even if its pid is used again.
        self.root = pathlib.Path(f"/proc/self/fd/{os.open(f'/proc/{self.pid}/root', os.O_PATH)}")
        # Toward 127.0.0.1 a stock kernel already reuses ports (tcp_tw_reuse = 2), so that no rule would act.
        self.run("ip", "address", "add", "10.77.0.1/32", "dev", "lo")
        diag(f"booted in {time.monotonic() - start:.1f} s")

    def install(self, files):
        """Puts what is under test below files, which are laid over /."""
        install = ["meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", files]
        subprocess.run(install, check=True, stdout=subprocess.DEVNULL)
        self._conf = (files / CONF).read_text()

    def _start(self, log):
        files = temp_dir() / "files"
        self.install(files)
        for name, text in FILES.items():
            (files / name).parent.mkdir(parents=True, exist_ok=True)
            (files / name).write_text(text)
        # Generators take half of the time of a daemon-reload, and make units that no test needs.
        (files / "etc" / GENERATORS).mkdir(parents=True)
        for generator in pathlib.Path("/usr/lib", GENERATORS).iterdir():
            (files / "etc" / GENERATORS / generator.name).symlink_to("/dev/null")
        (files / "usr/bin").mkdir(parents=True, exist_ok=True)
        shutil.copy(binary("churn"), files / "usr/bin")

        self._cgroups.extend(make_cgroups())
        argv = ["setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child",
                "sh", "-c", BOOT, "sh", temp_dir(), files, BUILD, *self._cgroups]
        with open(log, "w") as console:
            self._unshare = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=console, stderr=console)

    def _systemd(self):
        """The pid of the container's PID 1, once that is systemd; at first it is systemd-nspawn."""
        check(self._unshare.poll() is None, "systemd-nspawn ended")
        with contextlib.suppress(OSError, IndexError):  # it is not there yet, or no longer
            pid = child(child(self._unshare.pid))
            if pathlib.Path(f"/proc/{pid}/comm").read_text() == "systemd\n":
                return pid

    def _remove(self):
        if self._unshare and self._unshare.poll() is None:
            with contextlib.suppress(IndexError):
                os.kill(child(self._unshare.pid), 9)  # PID 1 of its pid namespace: all processes in it end
            self._unshare.wait()
        for cgroup in self._cgroups:
            remove_cgroup(cgroup)

    def run(self, *argv, check=True):
        run = subprocess.run(["nsenter", "-t", str(self.pid), "-a", *argv], text=True, capture_output=True,
                             timeout=5 * PATIENCE)  # a playbook, or dpkg
        if check and run.returncode:
            raise RuntimeError(f"{argv}: exit {run.returncode}: {run.stdout}{run.stderr}")
        return run

    def systemctl(self, *argv, check=True):
        return self.run("systemctl", *argv, check=check).stdout.strip()

    def show(self, name, unit="twtuned"):
        return self.systemctl("show", "-P", name, unit)

    def sysctl(self, name, value=None):
        """Reads, or with a value writes, a net.* sysctl."""
        path = pathlib.Path("/proc/sys", name.replace(".", "/"))
        with open("/proc/thread-self/ns/net") as home, open(f"/proc/{self.pid}/ns/net") as away:
            self._setns(away)
            try:
                return path.read_text().strip() if value is None else path.write_text(value)
            finally:
                self._setns(home)

    @staticmethod
    def _setns(namespace):
        if _libc.setns(namespace.fileno(), 0):
            raise OSError(ctypes.get_errno(), "setns")

    def sysctls(self):
        return self.sysctl(REUSE), self.sysctl(DELAY)

    def ledgers(self):
        return [path.name for path in (self.root / "run/twtuned").glob("*.ledger")]

    def write(self, name, text):
        (self.root / name).parent.mkdir(exist_ok=True)
        (self.root / name).write_text(text)

    def journal(self, *matches, unit="twtuned"):
        """The entries of a unit (None: of all) and of systemd about it, since the test began. journald knows no unit
        for a line whose process is gone when it reads the line."""
        of = ["-u", unit] if unit else []
        lines = self.run("sh", "-c", 'journalctl --sync && exec journalctl -o json "$@"', "sh", *of,
                         f"--since=@{self.since}", *matches).stdout
        return [json.loads(line) for line in lines.splitlines()]

    def events(self, kind, count=1, unit="twtuned"):
        """Waits for so many events of this kind, and returns them."""
        return wait_until(lambda: len(found := self.journal(f"EVENT={kind}", unit=unit)) >= count and found,
                          f"{count} x {kind}")

    def violations(self):
        """The violations of the system call filter that systemd has logged."""
        return [e["MESSAGE"] for e in self.journal("_PID=1", unit="twtuned*") if "status=31/SYS" in e["MESSAGE"]]

    def wait_for_reuse(self, value):
        wait_until(lambda: self.sysctls()[0] == value, f"{REUSE} = {value}")

    def wait_ticks(self, count, unit="twtuned"):
        """Waits until the daemon has slept so many times, which it does once a tick."""
        status = self.root / "proc" / self.show("MainPID", unit) / "status"

        def waited():
            return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", status.read_text(), re.M)[1])
        end = waited() + count
        wait_until(lambda: waited() >= end, f"{count} ticks of {unit}")

    def start(self, config):
        """twtuned with this drop-in, under load; returns its first change of REUSE."""
        self.write(f"{DROPINS}/50-test.conf", config)
        self.systemctl("start", "twtuned", "load")
        self.wait_for_reuse("1")
        return self.events("applied")[0]

    def cgroup(self):
        """Where the tree of its cgroups is, below its root."""
        mounts = map(str.split, self.run("cat", "/proc/mounts").stdout.splitlines())
        return next(mount[1:] for _, mount, kind, *_ in mounts if kind == "cgroup2")

    def begin(self):
        self.since = f"{time.time():.6f}"

    def end(self):
        """Leaves it as it was after the boot."""
        self.stop_all()
        self.write(CONF, self._conf)
        self.systemctl("reset-failed", "twtuned*", check=False)  # and the count of starts

    def stop_all(self):
        """Stops every unit of a test, and removes what it wrote. A reload takes long: only where there was a unit."""
        self.systemctl("stop", "twtuned*", "load", "server", "web-*")
        if list(self.root.glob("run/netns/*")):
            self.run("ip", "-all", "netns", "delete")
        shutil.rmtree(self.root / DROPINS, ignore_errors=True)
        units = [self.root / UNIT_DROPINS, *self.root.glob("etc/systemd/system/*.wants/twtuned*")]
        if units := [path for path in units if path.is_symlink() or path.exists()]:
            for path in units:
                path.unlink() if path.is_symlink() else shutil.rmtree(path)
            self.systemctl("daemon-reload")
        for name, value in STOCK.items():
            self.sysctl(name, value)


@contextlib.contextmanager
def sampled(host, wanted, netns=None):
    """Checks that tcp_tw_reuse has these values meanwhile, in this order, and no other."""
    enter = ["ip", "netns", "exec", netns] if netns else []
    sampler = subprocess.Popen(["nsenter", "-t", str(host.pid), "-a", *enter, sys.executable, "-c", SAMPLER],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    sampler.stdout.readline()
    try:
        yield
    finally:
        result = json.loads(sampler.communicate("\n", timeout=PATIENCE)[0])
    diag(f"{result['samples']} samples: {' '.join(result['values'])}")
    check_equal(result["values"], wanted, f"values of {REUSE}")


@functools.cache
def boot(kind):
    """The container, or why there is none."""
    try:
        return kind()
    except Exception as error:
        return error


def on_host(name, kind=Container):
    """A test that is given the container."""
    def register(function):
        @test(name)
        def _():
            if not shutil.which("systemd-nspawn"):
                raise Skip("needs systemd-nspawn: apt-get install systemd-container dbus")
            host = boot(kind)
            check(isinstance(host, Container), f"did not boot: {host}")
            host.begin()
            try:
                function(host)
                check_equal(host.violations(), [], "violations of the filter of system calls")
            except Skip:
                raise
            except Exception:
                diag("\n".join(entry["MESSAGE"] for entry in host.journal(unit="twtuned*")))
                raise
            finally:
                host.end()
    return register
