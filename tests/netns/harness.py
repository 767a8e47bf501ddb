# SPDX-License-Identifier: MIT
"""What the tests, the benchmarks and the demo share: network namespaces, the programs that run in them,
and the runner of tap.py. Python's standard library and iproute2 only; needs root.

    @test("stock connections reach the server")
    def _():
        with Pair() as pair:
            ChurnServer(pair.server, pair.server.ip4)
            client = ChurnClient(pair.client, pair.server.ip4, count=10)
            check_equal(client.finish(), (10, 0))

    main()

Programs are looked for in $TWTUNED_BUILD, a meson build directory (default: ./build in the project).
"""

import atexit
import contextlib
import ctypes
import itertools
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import tap
from tap import LONG, Skip, check, check_equal, diag, test  # noqa: F401: for those who import the harness

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("TWTUNED_BUILD", ROOT / "build"))
POLICY = ROOT / "conf" / "policy.conf"

# A new netns takes some of its sysctls from the first one, which may be tuned.
STOCK = {
    "net.ipv4.ip_local_port_range": "32768\t60999",
    "net.ipv4.ip_local_reserved_ports": "",
    "net.ipv4.tcp_timestamps": "1",
    "net.ipv4.tcp_tw_reuse": "2",
    "net.ipv4.tcp_tw_reuse_delay": "1000",
}
SINCE_6_14 = "net.ipv4.tcp_tw_reuse_delay"
HAS_6_14 = os.path.exists("/proc/sys/" + SINCE_6_14.replace(".", "/"))


def skip_before_6_14(text):
    """For a test that needs the sysctl, or the rule that sets it."""
    if not HAS_6_14 and re.search("tcp_tw_reuse_delay|time-wait-reuse-sooner", text):
        raise Skip("needs Linux 6.14 (tcp_tw_reuse_delay)")


def has_netns_cookie():
    SO_NETNS_COOKIE = 71
    with socket.socket() as s:
        try:
            return bool(s.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8))
        except OSError:
            return False


def skip_before_5_14():
    """For a test in which twtuned runs in a network namespace of the test's own."""
    if not has_netns_cookie():
        raise Skip("needs Linux 5.14 (SO_NETNS_COOKIE)")


_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count(1)
_temp, _temp_lock = None, threading.Lock()


def binary(name):
    path = BUILD / name
    if not os.access(path, os.X_OK):
        raise FileNotFoundError(f"{path} is missing: build it, or set TWTUNED_BUILD")
    return str(path)


def temp_dir():
    """A new directory that goes away with this process."""
    global _temp
    with _temp_lock:
        if _temp is None:
            _temp = tempfile.TemporaryDirectory(prefix="twtuned-test-")
    return pathlib.Path(tempfile.mkdtemp(dir=_temp.name))


# Seconds to wait for what must come, however slow the machine is. How soon it comes is for benchmarks.
PATIENCE = int(os.environ.get("TWTUNED_PATIENCE", 300))


def wait_until(condition, what, timeout=PATIENCE):
    """Returns the value of the condition as soon as it is true. A condition that takes long is checked less often.
    what: the event, for the error message, or a function that returns it."""
    asked = time.monotonic()
    deadline = asked + timeout
    while not (value := condition()):
        now = time.monotonic()
        if now >= deadline:
            raise AssertionError(f"not within {timeout} s: {what() if callable(what) else what}")
        time.sleep(min(max(0.02, 4 * (now - asked)), 1))
        asked = time.monotonic()
    return value


# ---- network namespaces ----

def _ip(*args):
    result = subprocess.run(("ip",) + args, text=True, errors="replace", stdin=subprocess.DEVNULL, capture_output=True)
    if result.returncode:
        raise RuntimeError(f"ip {' '.join(args)}: {result.stderr.strip()}")
    return result.stdout


def _die_with_parent():
    # Otherwise the programs of a killed test would keep its namespaces, and the load, for ever.
    PR_SET_PDEATHSIG = 1
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Namespace:
    """A network namespace with stock sysctls, loopback up, and the programs that were started in it."""

    _live = []
    _make, _of = ("add",), ()

    def __init__(self, role=""):
        self.name = f"tw-{os.getpid()}-{next(_numbers)}" + (f"-{role}" if role else "")
        self.ip4, self.ip6 = "127.0.0.1", "::1"
        self._programs = []
        _ip("netns", *self._make, self.name, *self._of)
        Namespace._live.append(self)
        try:
            _ip("-n", self.name, "link", "set", "lo", "up")
            self._make_stock()
        except BaseException:
            self.remove()
            raise

    def _make_stock(self):
        for name, value in STOCK.items():
            if name == SINCE_6_14 and not HAS_6_14:
                continue
            if self.sysctl(name) != value:
                self.sysctl(name, value or "\n")
            if self.sysctl(name) != value:
                raise RuntimeError(f"{name} is {self.sysctl(name)!r}, cannot make it {value!r}")

    def remove(self):
        """Ends what was started here, by pid, and deletes the namespace."""
        if self not in Namespace._live:
            return
        for program in self._programs:
            if program.poll() is None:
                program.kill()
        for program in self._programs:
            program.wait()
        _ip("netns", "del", self.name)
        Namespace._live.remove(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()

    @contextlib.contextmanager
    def entered(self):
        """The calling thread is in the namespace: for sockets, /proc/sys/net and /proc/thread-self/net."""
        with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{self.name}") as away:
            self._setns(away)
            try:
                yield self
            finally:
                self._setns(home)

    @staticmethod
    def _setns(namespace):
        CLONE_NEWNET = 0x40000000
        if _libc.setns(namespace.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")

    def popen(self, argv, **kw):
        """subprocess.Popen in the namespace; the pid is the program's own. To be called from a thread that
        lives as long as the program should: the kernel ends it with the thread that started it."""
        kw.setdefault("stdin", subprocess.DEVNULL)
        # A session of its own: Ctrl-C is for the test, which then ends its programs in good order.
        with self.entered():
            program = subprocess.Popen(argv, start_new_session=True, preexec_fn=_die_with_parent, **kw)
        self._programs.append(program)
        return program

    def run(self, argv, check=True, timeout=PATIENCE, **kw):
        """Runs to the end; returns a CompletedProcess with text stdout and stderr."""
        program = self.popen(argv, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)
        try:
            out, err = program.communicate(timeout=timeout)
        except BaseException:
            program.kill()
            program.wait()
            raise
        if check and program.returncode:
            raise RuntimeError(f"{argv}: exit {program.returncode}: {err.strip()}")
        return subprocess.CompletedProcess(argv, program.returncode, out, err)

    def sysctl(self, name, value=None):
        """Reads, or with a value writes, a net.* sysctl."""
        if value is None and name == SINCE_6_14 and not HAS_6_14:
            return STOCK[name]  # what such a kernel does
        skip_before_6_14(name)
        path = pathlib.Path("/proc/sys") / name.replace(".", "/")
        with self.entered():
            if value is None:
                return path.read_text().rstrip("\n")
            path.write_text(str(value))

    def _proc_net(self, file):
        with self.entered():
            return pathlib.Path("/proc/thread-self/net", file).read_text()

    def counter(self, protocol, name):
        """A counter of /proc/net/netstat or snmp: counter("TcpExt", "TWRecycled")."""
        rows = [line.split() for line in (self._proc_net("netstat") + self._proc_net("snmp")).splitlines()]
        for names, values in zip(rows[::2], rows[1::2]):
            if names[0] == f"{protocol}:" and name in names:
                return int(values[names.index(name)])
        raise KeyError(f"{protocol}.{name}")

    def sockstat(self, key):
        """TCP's inuse or tw of /proc/net/sockstat; orphan, alloc and mem there are of the whole host."""
        fields = re.search(r"^TCP: (.*)", self._proc_net("sockstat"), re.M)[1].split()
        return int(fields[fields.index(key) + 1])


class Single(Namespace):
    """One namespace, loopback only."""


class First(Namespace):
    """The first network namespace, that of the host: for guests only."""

    _make, _of = ("attach",), ("1",)


def few_ports(namespace, count):
    """Leaves `count` ephemeral ports, from an even one on: a few connections then make the pressure of thousands."""
    namespace.sysctl("net.ipv4.ip_local_port_range", f"40000 {40000 + count - 1}")


class Pair:
    """Two namespaces, client and server, joined by veth."""

    def __init__(self, client=Namespace):
        self.client = client("c")
        try:
            self.server = Namespace("s")
            _ip("-n", self.client.name, "link", "add", "veth0", "type", "veth",
                "peer", "name", "veth0", "netns", self.server.name)
            # IPv6 waits for the carrier, which is there when both ends are up.
            for namespace in (self.client, self.server):
                _ip("-n", namespace.name, "link", "set", "veth0", "up")
            self._address(self.client, "10.77.0.1", "fd77::1")
            self._address(self.server, "10.77.0.2", "fd77::2")
        except BaseException:
            self.remove()
            raise

    @staticmethod
    def _address(namespace, ip4, ip6):
        namespace.ip4, namespace.ip6 = ip4, ip6
        _ip("-n", namespace.name, "addr", "add", f"{ip4}/24", "dev", "veth0")
        _ip("-n", namespace.name, "addr", "add", f"{ip6}/64", "dev", "veth0", "nodad")

    def remove(self):
        # The client first: its load ends before what it loads.
        for namespace in (self.client, getattr(self, "server", None)):
            if namespace:
                namespace.remove()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


def mounts():
    """[device, directory, type, options, ...] of each mount. Other tests have mounts whose names are not UTF-8."""
    return [line.split() for line in open("/proc/self/mounts", errors="surrogateescape")]


def make_cgroup(cgroup):
    """Makes the cgroup and those above it, which another test may be about to remove."""
    while not cgroup.is_dir():
        with contextlib.suppress(FileNotFoundError):
            cgroup.mkdir(parents=True)


def remove_cgroup(cgroup):
    """Removes the cgroup, those below it, and the one above it if nothing uses that."""
    for directory in sorted(cgroup.rglob("*/"), reverse=True):
        directory.rmdir()
    cgroup.rmdir()
    with contextlib.suppress(OSError):
        cgroup.parent.rmdir()


def sweep():
    """Deletes the namespaces of harnesses that were killed with SIGKILL."""
    for name in os.listdir("/run/netns") if os.path.isdir("/run/netns") else ():
        match = re.fullmatch(r"tw-(\d+)-\d+(-[-a-z0-9]+)?", name)
        if match and not os.path.exists(f"/proc/{match[1]}"):
            # Two harnesses may sweep at the same time.
            subprocess.run(("ip", "netns", "del", match[0]), stderr=subprocess.DEVNULL)


def _remove_all():
    for namespace in list(Namespace._live):
        with contextlib.suppress(Exception):
            namespace.remove()


def _on_sigterm(_signo, _frame):
    sys.exit(128 + signal.SIGTERM)  # an exception: `with` blocks and atexit clean up


atexit.register(_remove_all)
if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
    signal.signal(signal.SIGTERM, _on_sigterm)


# ---- programs ----

class Program:
    """A program in a namespace, whose stdout or stderr is collected line by line while it runs."""

    def __init__(self, namespace, argv, stream="stdout", **kw):
        self.argv = argv
        self.lines = []
        self.times = []  # when each line came, time.monotonic()
        self.ended = False  # no line will follow
        self._news = threading.Condition()
        kw.setdefault("stdout" if stream == "stderr" else "stderr", subprocess.DEVNULL)
        self.process = namespace.popen(argv, text=True, errors="replace", **{stream: subprocess.PIPE}, **kw)
        self._thread = threading.Thread(target=self._collect, args=(getattr(self.process, stream),), daemon=True)
        self._thread.start()

    def _collect(self, stream):
        for line in stream:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self.times.append(time.monotonic())
                self._news.notify_all()
        with self._news:
            self.ended = True
            self._news.notify_all()

    @property
    def pid(self):
        return self.process.pid

    def wait_for(self, regex, timeout=PATIENCE, since=0):
        """Waits for a line that contains the regex, from number `since` on; returns the match in the first one."""
        deadline = time.monotonic() + timeout
        with self._news:
            while True:
                for line in itertools.islice(self.lines, since, None):
                    if match := re.search(regex, line):
                        return match
                since = max(since, len(self.lines))
                if self.ended or not self._news.wait(deadline - time.monotonic()):
                    why = "it ended" if self.ended else f"not within {timeout} s"
                    last = "".join(f"\n    {line}" for line in self.lines[-10:])
                    raise TimeoutError(f"{self.argv[0]}: no line with {regex!r}: {why}; the last lines:{last}")

    def stop(self, sig=signal.SIGTERM, timeout=PATIENCE):
        """Sends the signal, when it still runs; returns the exit code (negative: the signal that ended it)."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
        code = self.process.wait(timeout)
        self._thread.join(timeout)
        return code


class Ticks:
    """Counts the ticks of a daemon by the messages that it sends to systemd's watchdog (daemon/service.c). Unlike
    --record, this does not change what it observes."""

    INTERVAL_US = 1_000_000  # of the shipped policy; with a shorter interval some ticks send nothing

    def __init__(self):
        path = temp_dir() / "notify"
        self.environment = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": str(2 * self.INTERVAL_US)}
        self._count, self._news = 0, threading.Condition()
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.bind(str(path))
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self):
        while text := self._manager.recv(4096):
            if b"WATCHDOG=1" in text:
                with self._news:
                    self._count += 1
                    self._news.notify_all()

    @property
    def count(self):
        """The ticks that are over."""
        return self._count

    def after(self, count):
        """The number of the tick at whose end `count` whole ticks are over that begin after this call."""
        return self._count + count + 1

    def wait_for(self, number):
        with self._news:
            seconds = max(number - self._count, 0) * self.INTERVAL_US / 1e6
            check(self._news.wait_for(lambda: self._count >= number, seconds + PATIENCE),
                  f"{self._count} ticks, not {number}")

    def wait(self, count):
        """Waits until `count` whole ticks are over that begin after the call."""
        self.wait_for(self.after(count))


def record_to(config, args):
    """$TWTUNED_RECORDINGS: a directory for a recording of each daemon and its configuration, for tests/decisions.py."""
    directory = os.environ.get("TWTUNED_RECORDINGS")
    if not directory or not config or any(arg.startswith("--record") for arg in args) or not os.path.exists(config):
        return []
    path = pathlib.Path(directory, f"{os.getpid()}-{next(_numbers)}.csv")
    shutil.copy(config, path.with_suffix(".conf"))
    return [f"--record={path}"]


class Twtuned(Program):
    """The daemon; `lines` is its log. Pass the same runtime_dir to two in turn to see a take-over.
    program: another executable in its place. bus: the socket of its system bus; without it, it has no bus.
    ticks: a Ticks that counts its ticks."""

    def __init__(self, namespace, config=None, args=(), runtime_dir=None, program=None, bus=None, instance=None,
                 ticks=None):
        if not isinstance(namespace, First):
            skip_before_5_14()
        self.runtime_dir = pathlib.Path(runtime_dir or temp_dir())
        argv = [program or binary("twtuned"), *([f"--config={config}"] if config else []), *args,
                *record_to(config, args)]
        # When a unit runs the tests, the daemon must neither log to the journal nor notify systemd.
        env = {k: v for k, v in os.environ.items() if k not in ("JOURNAL_STREAM", "NOTIFY_SOCKET", "WATCHDOG_USEC")}
        env |= {"RUNTIME_DIRECTORY": str(self.runtime_dir),
                "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={bus or self.runtime_dir / 'no-bus'}"}
        if instance:
            env["TWTUNED_INSTANCE"] = instance
        env |= ticks.environment if ticks else {}
        super().__init__(namespace, argv, "stderr", env=env)

    def wait_for(self, regex, *args, **options):
        skip_before_6_14(regex)
        return super().wait_for(regex, *args, **options)


def fields(line):
    """The KEY=value fields of a log line."""
    found = re.findall(r"(?:^|\s)([A-Z][A-Z0-9_]*)=(\"[^\"]*\"|.*?)(?=\s+[A-Z][A-Z0-9_]*=|\s*$)", line)
    return {key: value.strip('"') for key, value in found}


def message(line):
    """The text of a log line, without its fields."""
    return re.split(r"(?:^|\s+)[A-Z][A-Z0-9_]*=", line)[0]


def temp_policy(text):
    path = temp_dir() / "policy.conf"
    path.write_text(text)
    return path


def shorten(text, to="5s"):
    """A file with this policy (--config reads one file alone), in which every "for DURATION" is this one."""
    text, found = re.subn(r"^((?:when|until) *=.* for) \w+$", rf"\1 {to}", text, flags=re.M)
    if not found:
        raise ValueError('no "for DURATION" in the policy')
    return temp_policy(text)


# A rule that acts once ten ports toward a destination are used, and is held while there is a connection.
HOLDS = """
[daemon]
interval = 100ms
[limits]
min_interval = 100ms
[rule some]
when = ports.used >= 10
until = tcp.established < 1 for 200ms
set = net.ipv4.tcp_tw_reuse = 1
"""


def quick_policy(hold="3s"):
    """The shipped policy, but released when the load has been gone for `hold`. As shipped, a rule is held until a stock
    kernel could carry the demand: that takes the 60 s of TIME_WAIT, and 2 minutes to be sure."""
    until = f"until = ports.reuse_demand < 10% for {hold}"
    return temp_policy(re.sub(r"^until *= *ports\..*$", until, POLICY.read_text(), flags=re.M))


def _options(**options):
    """seconds=5, read_eof=True -> --seconds=5 --read-eof"""
    for name, value in options.items():
        if value is not None and value is not False:
            yield f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")


class ChurnServer(Program):
    """Listens when this returns."""

    def __init__(self, namespace, address, port=8080, **options):
        super().__init__(namespace, [binary("churn"), "server", address, str(port), *_options(**options)])
        self.wait_for("^ready$")


class ChurnClient(Program):
    """Options as of `churn client`: seconds, rate, count, mapped, bind, server_closes, ..."""

    def __init__(self, namespace, address, port=8080, **options):
        super().__init__(namespace, [binary("churn"), "client", address, str(port), *_options(**options)])

    @property
    def seconds(self):
        """(connects, failures) of each second that is over."""
        rows = [line.split() for line in self.lines if line[:1].isdigit()]
        return [(int(connects), int(failures)) for _, connects, failures in rows]

    def rate(self, first, last):
        """Connects a second, over the seconds first to last, which count from 1."""
        rows = self.seconds[first - 1:last]
        if len(rows) != last - first + 1:
            raise ValueError(f"there are {len(self.seconds)} seconds, not {last}")
        return sum(connects for connects, _ in rows) / len(rows)

    @property
    def latency(self):
        """With --step: median, 99th percentile and maximum of the duration of a connect(), in us."""
        return tuple(map(int, self.wait_for(r"^latency (\d+) (\d+) (\d+)$").groups()))

    def wait_second(self, second):
        self.wait_for(rf"^{second} ", second + PATIENCE)

    def finish(self, timeout=PATIENCE):
        """Waits for the end; returns (connects, failures) of the whole run."""
        match = self.wait_for(r"^total (\d+) (\d+)$", timeout)
        return int(match[1]), int(match[2])


class ChurnHold(Program):
    """Holds `count` connections when this returns."""

    def __init__(self, namespace, address, port=8080, **options):
        super().__init__(namespace, [binary("churn"), "hold", address, str(port), *_options(**options)])
        self.wait_for("^holding ")


def main():
    """See tap.main()."""
    may_run = os.geteuid() == 0 and shutil.which("ip")
    if may_run:
        sweep()
    tap.main("" if may_run else "needs root and iproute2")
