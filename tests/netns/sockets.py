# SPDX-License-Identifier: MIT
"""Sockets in every state, made by hand, and the metrics that twtuned reads of them."""

import collections
import contextlib
import errno
import itertools
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import threading
import time

from harness import (Program, Skip, binary, check, check_equal, make_cgroup, mounts, remove_cgroup,
                     wait_until)

NOBODY = "02:00:00:00:00:99"  # a MAC address that no host has


def once(namespace):
    """Every metric: {"tcp.listen": {"state": "valid", "value": 0, ...}, ...}"""
    return json.loads(namespace.run([binary("twtuned"), "--once", "--json"]).stdout)


def value(metrics, name):
    check_equal(metrics[name]["state"], "valid", f"the state of {name}")
    return metrics[name]["value"]


def check_value(metrics, name, expected):
    check_equal(value(metrics, name), expected, name)


def check_between(metrics, name, low, high):
    check(low <= value(metrics, name) <= high, f"{name} is {value(metrics, name)}, should be {low} to {high}")


def ip(namespace, *args):
    subprocess.run(["ip", "-n", namespace.name, *args], check=True)


def states(namespace):
    """How many sockets ss shows in each state, by our names of them."""
    names = {"ESTAB": "established", "FIN-WAIT-1": "fin_wait1", "FIN-WAIT-2": "fin_wait2"}
    lines = namespace.run(["ss", "-tanH"]).stdout.splitlines()
    counts = collections.Counter(line.split()[0] for line in lines)
    return {names.get(state, state.lower().replace("-", "_")): n for state, n in counts.items()}


def listener(namespace, address, port=8080, backlog=100):
    with namespace.entered():
        s = socket.create_server((address, port), backlog=backlog)
    s.settimeout(10)
    return s


def connect(namespace, server, source=None):
    """The two ends of a new connection."""
    with namespace.entered():
        client = socket.create_connection(server.getsockname()[:2], 10, source_address=source)
    return client, server.accept()[0]


def silence(namespace, address):
    """Nothing that the namespace sends there arrives."""
    ip(namespace, "neigh", "replace", address, "lladdr", NOBODY, "nud", "permanent", "dev", "veth0")


def begin_connect(namespace, address, port, source=None, family=socket.AF_INET):
    with namespace.entered():
        s = socket.socket(family)
        s.setblocking(False)
        if source:
            s.bind((source, 0))
        with contextlib.suppress(BlockingIOError):
            s.connect((address, port))
    return s


def close_all(sockets):
    for s in sockets:
        s.close()


class Repeat:
    """Calls step() again and again in a thread of its own."""

    def __init__(self, step, pause):
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(step, pause), daemon=True)

    def _run(self, step, pause):
        while not self._end.wait(pause):
            step()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()


class Load:
    """Connections toward a server that closes when its peer has closed, one after the other. Each ends in TIME_WAIT at
    the client before the next begins, so a slow machine makes the load slower and never makes it a burst."""

    def __init__(self, namespace, address, port=8080, mapped=False):
        self.connects, self.failures = 0, collections.Counter()  # failures by the name of the error
        self._namespace = namespace
        self._peer = (f"::ffff:{address}" if mapped else address), port
        self._family = socket.AF_INET6 if ":" in self._peer[0] else socket.AF_INET

    def connect(self, reset=False):
        """reset: it ends with a RST, and leaves no TIME_WAIT."""
        with self._namespace.entered():
            s = socket.socket(self._family)
        with s:
            try:
                s.connect(self._peer)
            except OSError as error:
                self.failures[errno.errorcode[error.errno]] += 1
                return
            self.connects += 1
            if reset:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                s.shutdown(socket.SHUT_WR)
                s.recv(1)  # the end

    def open(self, count, pause=0):
        for _ in range(count):
            time.sleep(pause)
            self.connect()

    def repeated(self, rate, resets=False):
        """Never more than `rate` connections in a second, until the `with` block ends; resets: half end with a RST."""
        return Repeat(lambda: self.connect(resets and self.connects % 2), 1 / rate)


class Unit:
    """A cgroup with the name of a systemd unit, for the programs that join it. Leave it only when they have ended."""

    _numbers = itertools.count(1)

    def __init__(self, parent="."):
        roots = [mount[1] for mount in mounts() if mount[2] == "cgroup2"]
        if not roots or not os.access(roots[0], os.W_OK):
            raise Skip("no cgroup2 that can be written")
        self.name = f"tw-test-{os.getpid()}-{next(Unit._numbers)}.service"
        self.path = pathlib.Path(roots[0]) / parent / self.name

    def __enter__(self):
        make_cgroup(self.path)
        return self

    def __exit__(self, *_):
        wait_until(lambda: not (self.path / "cgroup.procs").read_text(), f"{self.name} is empty")
        remove_cgroup(self.path)

    def argv(self, *argv):
        """The command line that runs this one in the unit."""
        return ["sh", "-c", f'echo $$ > {self.path}/cgroup.procs && exec "$@"', "sh", *argv]

    def python(self, namespace, code, *args):
        """A program in the unit and the namespace, which has printed: ready"""
        program = Program(namespace, self.argv(sys.executable, "-c", code, *map(str, args)))
        program.wait_for("^ready$")
        return program


# Listens at ADDRESS PORT BACKLOG and never accepts.
DEAF = """
import socket, sys, time
s = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=int(sys.argv[3]))
print("ready", flush=True)
time.sleep(1000)
"""

# Listens at ADDRESS PORT BACKLOG, and accepts and closes what waits, then again after PAUSE seconds.
BUSY = """
import socket, sys, time
s = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=int(sys.argv[3]))
s.setblocking(False)
print("ready", flush=True)
while True:
    time.sleep(float(sys.argv[4]))
    try:
        while True:
            s.accept()[0].close()
    except BlockingIOError:
        pass
"""

# Opens COUNT connections to ADDRESS PORT that send keepalive probes after 3 s, and keeps them.
KEPT_ALIVE = """
import socket, sys, time
kept = [socket.create_connection((sys.argv[1], int(sys.argv[2]))) for _ in range(int(sys.argv[3]))]
for s in kept:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 3)
print("ready", flush=True)
time.sleep(1000)
"""

# Listens at ADDRESS PORT, accepts, and never closes.
HOARDER = """
import resource, socket, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
s = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=1000)
print("ready", flush=True)
kept = []
while True:
    kept.append(s.accept())
"""

# Opens COUNT connections from ADDRESS FIRST, FIRST + 2 ... to the listener on its stdin, at PEER PORT, some at a time;
# the server's ends are closed first. In one process: two would wait for each other, which takes longer than all else.
CLOSES_FIRST = """
import socket, sys
(address, peer), (first, port, count) = sys.argv[1:3], map(int, sys.argv[3:])
server = socket.socket(fileno=0)
server.setblocking(True)  # what accept() takes may be on its way still
for begin in range(0, count, 200):
    clients = [socket.socket() for _ in range(begin, min(begin + 200, count))]
    for n, client in enumerate(clients, begin):
        client.bind((address, first + 2 * n))
        client.connect((peer, port))
    for _ in clients:
        server.accept()[0].close()
    for client in clients:
        client.recv(1)  # the end, or both would close at once
        client.close()
"""
EPHEMERAL = range(32768, 61000)


def only_ports(s, low, high):
    """connect() of this socket takes only these ports, in its usual order: the parity that bind() takes comes last."""
    IP_LOCAL_PORT_RANGE = 51
    try:
        s.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, struct.pack("I", high << 16 | low))
    except OSError:
        raise Skip("needs Linux 6.3 (IP_LOCAL_PORT_RANGE)")


def keep_time_wait(*namespaces):
    """Every TIME_WAIT socket lasts its 60 s. When both ends close within microseconds, on two CPUs, the
    server's ACK of the FIN may come after its own FIN; TIME_WAIT answers the old segment, the server has
    forgotten the connection and answers with RST, and RST ends TIME_WAIT (RFC 1337): up to a third."""
    for namespace in namespaces:
        namespace.sysctl("net.ipv4.tcp_rfc1337", 1)


def leave_time_wait(pair, count, port=8080):
    """Leaves so many TIME_WAIT sockets on the server, at `port` and those after it. They end after 60 s, so there is
    no time to lose: every connection has a port of its own, and a program on each of two CPUs opens half of them."""
    ports = itertools.count(port)
    while count > 0:
        programs = []
        for first in EPHEMERAL[:2]:
            n, port = min(count, len(EPHEMERAL) // 2), next(ports)
            with listener(pair.server, pair.server.ip4, port, backlog=200) as server:
                argv = [sys.executable, "-c", CLOSES_FIRST, pair.client.ip4, pair.server.ip4, first, port, n]
                programs.append(pair.client.popen([str(arg) for arg in argv], stdin=server))
            count -= n
        check_equal([program.wait() for program in programs], [0, 0], "exits of what leaves TIME_WAIT")
