# SPDX-License-Identifier: MIT
"""The runs of twtuned that the fault tests disturb. life(): it changes two sysctls; its rule gives one back, its end
the other. take_over(): it starts with what a killed one left. restore(): --restore puts that back."""

import atexit
import contextlib
import ctypes
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "netns"))
from harness import BUILD, PATIENCE, Single, binary, check_equal, temp_dir, temp_policy, wait_until  # noqa: E402

_libc = ctypes.CDLL(None)
SHIM = str(BUILD / "tests" / "libinject.so")

REUSE, DELAY = "net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_tw_reuse_delay"
ORIGINAL, WRITTEN = {REUSE: "2", DELAY: "1000"}, {REUSE: "1", DELAY: "250"}

# One sysctl is given back by its rule, the other at the end.
POLICY = f"""
[daemon]
interval = 100ms
cpu_budget = 100%
[limits]
min_interval = 100ms
[rule released]
when = ports.used >= 10
until = ports.used < 5 for 100ms
set = {REUSE} = 1
[rule held]
when = ports.used >= 10
until = ports.used < 5 for 1h
set = {DELAY} = 250
"""


class Host:
    """A namespace of its own with a listener, in which one run follows the other."""

    def __init__(self):
        self.netns = Single()
        subprocess.run(["ip", "-n", self.netns.name, "addr", "add", "10.77.0.1/32", "dev", "lo"], check=True)
        self.sockets = []
        with self.netns.entered():
            self.listener = socket.create_server(("10.77.0.1", 8080), backlog=64)

    def connect(self):
        with self.netns.entered():
            clients = [socket.create_connection(("10.77.0.1", 8080)) for _ in range(10)]
        self.sockets = clients + [self.listener.accept()[0] for _ in clients]

    def disconnect(self):
        """By AF_UNSPEC (connect(2)): without TIME_WAIT, and at once even if a child of another thread has them."""
        for s in self.sockets:
            _libc.connect(s.fileno(), bytes(16), 16)
            s.close()
        self.sockets = []

    def sysctls(self, values=None):
        for name, value in (values or {}).items():
            self.netns.sysctl(name, value)
        return {name: self.netns.sysctl(name) for name in ORIGINAL}


_hosts = threading.local()


def host():
    if not hasattr(_hosts, "host"):
        _hosts.host = Host()
    return _hosts.host


class Tail:
    """A file that grows; each line is read once."""

    def __init__(self, path):
        self.path, self._at, self._rest, self._lines = path, 0, "", []

    def lines(self):
        with contextlib.suppress(FileNotFoundError), open(self.path, "rb") as file:
            file.seek(self._at)
            data = file.read()
            self._at += len(data)
            *lines, self._rest = (self._rest + data.decode(errors="replace")).split("\n")
            self._lines += lines
        return self._lines


class Run:
    """One twtuned with one fault, from its start to its end, and what it left."""

    _live = set()

    def __init__(self, args, runtime_dir, fault=None, wrapper=(), shim=True):
        self.host, self.runtime_dir, self.fault = host(), runtime_dir, fault
        trace_file, log_file = runtime_dir.parent / "trace", runtime_dir.parent / "log"
        trace_file.unlink(missing_ok=True)
        self._trace, self._log, self._ticks, self._counted = Tail(trace_file), Tail(log_file), 0, 0
        env = {k: v for k, v in os.environ.items() if k not in ("NOTIFY_SOCKET", "WATCHDOG_USEC")}
        env |= {"RUNTIME_DIRECTORY": str(runtime_dir), "NOTIFY_SOCKET": str(manager.path)}
        if shim:
            env |= {"LD_PRELOAD": SHIM, "INJECT_TRACE": str(trace_file)}
        if fault:
            env["INJECT"] = fault
        with open(log_file, "w", encoding="utf-8") as log:
            st = os.fstat(log.fileno())
            env["JOURNAL_STREAM"] = f"{st.st_dev}:{st.st_ino}" if shim else "none"
            # Without preexec_fn, which would make each of a thousand starts copy this whole process.
            argv = ["setpriv", "--pdeathsig=KILL", *wrapper, binary("twtuned"), *args]
            with self.host.netns.entered():
                self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                                                start_new_session=True)
        self._live.add(self.process)

    @property
    def trace(self):
        return self._trace.lines()

    @property
    def log(self):
        return self._log.lines()

    def ticks(self):
        trace = self.trace
        self._ticks += sum(line.startswith("timerfd_settime") for line in trace[self._counted:])
        self._counted = len(trace)
        return self._ticks

    def await_lines(self, *regexes, ticks):
        """Waits until the log has these lines, or that many ticks are over, or it has ended."""
        until = self.ticks() + ticks

        def logged():
            return regexes and all(any(re.search(r, line) for line in self.log) for r in regexes)
        wait_until(lambda: self.process.poll() is not None or self.ticks() >= until or logged(),
                   f"{ticks} ticks, or in the log {regexes}, with the fault {self.fault}")

    def reached(self):
        """Whether the fault has happened."""
        return any(line.startswith("fault ") for line in self.trace)

    def await_fault(self):
        """Waits until the fault has happened, or it has ended."""
        wait_until(lambda: self.process.poll() is not None or self.reached(), f"the fault {self.fault}")

    def end(self, sig=None):
        if sig and self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "it hangs"
        finally:
            self._live.discard(self.process)

    @classmethod
    def end_all(cls):
        for process in cls._live:
            process.kill()


atexit.register(Run.end_all)


class Manager:
    """Reads what sd_notify(3) sends, and forgets it."""

    def __init__(self):
        self.path = temp_dir() / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        threading.Thread(target=self._drain, daemon=True).start()

    def _drain(self):
        while self.socket.recv(4096):
            pass


manager = Manager()
policy = temp_policy(POLICY)


def new_directory():
    path = temp_dir()
    (path / "run").mkdir()
    return path / "run"


# ---- three lives ----

def finish(run, reach):
    """Ends the run. reach: not before the fault has happened."""
    if reach:
        run.await_fault()
    run.status = run.end(signal.SIGTERM)
    return run


def life(fault=None, wrapper=(), shim=True, reach=False):
    """Two sysctls are changed, one is given back by its rule, the other at SIGTERM."""
    h = host()
    h.sysctls(ORIGINAL)
    h.connect()
    run = Run([f"--config={policy}"], new_directory(), fault, wrapper, shim)
    run.await_lines(f"{REUSE}: 2 -> 1", f"{DELAY}: 1000 -> 250", ticks=7)
    h.disconnect()
    run.await_lines(f"{REUSE}: 1 -> 2", ticks=7)
    return finish(run, reach)


def killed():
    """The runtime directory of a twtuned that was killed while it held both."""
    h = host()
    if not hasattr(h, "killed"):
        h.sysctls(ORIGINAL)
        h.connect()
        run = Run([f"--config={policy}"], new_directory())
        run.await_lines(f"{REUSE}: 2 -> 1", f"{DELAY}: 1000 -> 250", ticks=50)
        run.end(signal.SIGKILL)
        h.disconnect()
        check_equal(h.sysctls(), WRITTEN, f"sysctls of a killed twtuned that says {run.log}")
        h.killed = run.runtime_dir
    directory = new_directory()
    for file in h.killed.iterdir():
        shutil.copy(file, directory)
    h.sysctls(WRITTEN)
    return directory


def take_over(fault=None, wrapper=(), shim=True, reach=False):
    """A start with what a killed one left."""
    run = Run([f"--config={policy}"], killed(), fault, wrapper, shim)
    run.await_lines(f"{REUSE}: 1 -> 2", ticks=7)
    return finish(run, reach)


def restore(fault=None, wrapper=(), shim=True, reach=False):
    """--restore of what a killed one left, which ends by itself."""
    run = Run(["--restore"], killed(), fault, wrapper, shim)
    run.status = run.end()
    return run
