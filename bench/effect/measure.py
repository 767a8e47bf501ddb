# SPDX-License-Identifier: MIT
"""One run: two fresh network namespaces, a program, a configuration, some seconds of load, and what came of it."""

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time
from typing import Optional

from harness import POLICY, Pair, Twtuned, temp_dir
from programs import HERE, PROGRAMS, RealProgram

FAMILIES = {"IPv4": "10.77.0.", "IPv6": "fd77::"}  # of the addresses that Pair gives out
BY_HAND = (("net.ipv4.tcp_tw_reuse", "1"), ("net.ipv4.tcp_tw_reuse_delay", "250"))
NO_TIME_WAIT = (("net.ipv4.tcp_max_tw_buckets", "0"),)
START_SECONDS = 2
STEADY_SECONDS = 4  # at the end of the load
SAMPLES_PER_SECOND = 10
VOLATILE = re.compile(r"nf_conntrack_count|random/")


@dataclasses.dataclass
class Settings:
    """Sysctls that are set before the load: net.* alone, because the others are of the whole machine."""
    lines: tuple = ()
    refused: list = dataclasses.field(default_factory=list)

    def apply(self, host):
        self.refused = []
        for name, value in self.lines:
            try:
                host.sysctl(name, value)
            except OSError as error:
                # A sysctl of the whole machine is in the first namespace alone.
                whole = pathlib.Path("/proc/sys", *name.split(".")).exists()
                self.refused.append(f"{name} ({'of the whole machine' if whole else error.strerror})")


def assignments(path):
    """The net.* sysctls of a sysctl.conf, or of a profile of TuneD, without those with "=>" (no less than): a new
    netns has more."""
    found = re.findall(r"^(net\.\S+?)\s*=\s*\"?([^>\"\n]+?)\"?\s*$", pathlib.Path(path).read_text(), re.M)
    return tuple(found)


def tuned_profile():
    """What network-throughput sets, from the files of TuneD's own package. It is not installed: it would tune this
    machine."""
    directory = temp_dir()
    subprocess.run(["apt-get", "download", "-qq", "tuned"], cwd=directory, check=True, stderr=subprocess.DEVNULL)
    package = next(directory.glob("tuned_*.deb"))
    subprocess.run(["dpkg-deb", "-x", package, directory], check=True)
    profiles = directory / "usr/lib/tuned"
    profile, lines = "network-throughput", ()
    while profile:
        path = profiles / profile / "tuned.conf"
        lines = assignments(path) + lines
        included = re.search(r"^include=(\S+)", path.read_text(), re.M)
        profile = included and included[1]
    return lines


CONFIGURATIONS = {
    "stock": Settings(),
    "pasted": Settings(assignments(HERE / "pasted.conf")),
    "TuneD": Settings(),  # main() fills it in when it is needed
    "by hand": Settings(BY_HAND),
    "ceiling": Settings(NO_TIME_WAIT),
    "twtuned": Settings(),
}


@dataclasses.dataclass(frozen=True)
class Scenario:
    program: str
    backends: int
    family: str

    def __str__(self):
        return f"{self.program}, {self.backends} x {self.family}"


@dataclasses.dataclass
class Run:
    """A row of the CSV."""
    program: str
    backends: int
    family: str
    configuration: str
    round: int
    began: float  # s since the epoch
    start_rate: float  # answered with 200, a second, in the first START_SECONDS
    steady_rate: float  # and in the last STEADY_SECONDS
    failed: int  # requests, in the whole run
    p50_ms: float  # steady
    p99_ms: float
    connects: float  # a second, steady
    time_wait: int  # the most at a time, on the client
    overflow: int  # TCPTimeWaitOverflow: TIME_WAIT protection lost
    tuner_cpu: Optional[float]  # percent of a core
    changed: int  # sysctls, at the end of the load
    back: Optional[bool]  # all of them, after twtuned was stopped


def all_sysctls(host):
    """Every sysctl of the namespace that can be read."""
    values = {}
    with host.entered():
        for directory, _, names in os.walk("/proc/sys/net"):
            for name in names:
                path = f"{directory}/{name}"
                try:
                    values[path] = pathlib.Path(path).read_text()
                except OSError:
                    pass
    return {path: value for path, value in values.items() if not VOLATILE.search(path)}


class Sampler(threading.Thread):
    """Connects and TIME_WAIT of a namespace, SAMPLES_PER_SECOND."""

    def __init__(self, host):
        super().__init__(daemon=True)
        with host.entered():
            self._snmp, self._sockstat = (open(f"/proc/thread-self/net/{name}") for name in ("snmp", "sockstat"))
        self.samples = []  # (time.time(), ActiveOpens, tw)
        self._end = threading.Event()
        self.start()

    def run(self):
        while not self._end.wait(1 / SAMPLES_PER_SECOND):
            snmp, sockstat = (os.pread(file.fileno(), 16384, 0).decode() for file in (self._snmp, self._sockstat))
            names, values = (line.split() for line in snmp.splitlines() if line.startswith("Tcp:"))
            opens = int(values[names.index("ActiveOpens")])
            self.samples.append((time.time(), opens, int(re.search(r"^TCP:.* tw (\d+)", sockstat, re.M)[1])))

    def finish(self):
        self._end.set()
        self.join()
        self._snmp.close()
        self._sockstat.close()
        return self.samples


def read_requests(logs):
    """(end in s, ok, ms until the answer) of all requests, in order."""
    requests = []
    for log in logs:
        with open(log) as lines:
            for line in lines:
                start, status, us = line.split("\t")[:3]
                requests.append(((int(start) + int(us)) / 1e6, status == "200", int(us) / 1e3))
    return sorted(requests)


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)] if ordered else float("nan")


def cpu_seconds(pid):
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def series(samples, begin, seconds):
    """(second, connects/s, TIME_WAIT) between each two samples."""
    points = []
    for (t0, opens0, _), (t1, opens1, time_wait) in zip(samples, samples[1:]):
        if begin <= t0 and t1 <= begin + seconds:
            points.append(((t0 + t1) / 2 - begin, (opens1 - opens0) / (t1 - t0), time_wait))
    return points


def backends_of(pair, family, count):
    """Addresses of the server, as many as there are to be backends."""
    addresses = [f"{FAMILIES[family]}{n + 2}" for n in range(count)]
    for address in addresses[1:]:
        length = ["64", "nodad"] if family == "IPv6" else ["24"]
        pair.server.run(["ip", "addr", "add", f"{address}/{length[0]}", "dev", "veth0", *length[1:]])
    return addresses


def complain(directory):
    """Prints the last lines of the proxy's log, after requests have failed."""
    log = directory / "proxy.log"
    lines = log.read_text().splitlines() if log.exists() else []
    print("\n".join(lines[-2:]), file=sys.stderr)


class Measurement:
    """What is read before, at the end of and after a load."""

    def __init__(self, pair, directory):
        self.pair, self.directory = pair, directory
        self.host = pair.client
        self.before = all_sysctls(self.host)
        self.twtuned = None

    def start_twtuned(self):
        self.twtuned = Twtuned(self.host, POLICY)
        self.twtuned.wait_for("^config-loaded")

    def load(self, program: RealProgram, backends, seconds):
        overflow = self.host.counter("TcpExt", "TCPTimeWaitOverflow")
        cpu = cpu_seconds(self.twtuned.pid) if self.twtuned else 0
        sampler = Sampler(self.host)
        self.begin = time.time()
        try:
            self.requests = read_requests(program.load.run(self.pair, self.directory, backends, seconds))
        finally:
            self.samples = sampler.finish()
        self.cpu = 100 * (cpu_seconds(self.twtuned.pid) - cpu) / seconds if self.twtuned else None
        self.overflow = self.host.counter("TcpExt", "TCPTimeWaitOverflow") - overflow
        self.changed = self._differences()
        self.back = self._stop_twtuned() if self.twtuned else None

    def _differences(self):
        return [path for path, value in all_sysctls(self.host).items() if self.before.get(path) != value]

    def _stop_twtuned(self):
        if self.twtuned.stop():
            raise RuntimeError("twtuned failed: " + "; ".join(self.twtuned.lines[-3:]))
        return not self._differences()

    def run(self, scenario, configuration, number, seconds):
        steady = [r for r in self.requests if self.begin + seconds - STEADY_SECONDS <= r[0] <= self.begin + seconds]
        answered = [ms for _, ok, ms in steady if ok]
        connects = [rate for second, rate, _ in self.points(seconds) if second >= seconds - STEADY_SECONDS]
        return Run(
            *dataclasses.astuple(scenario), configuration, number, self.begin,
            start_rate=sum(ok and end <= self.begin + START_SECONDS for end, ok, _ in self.requests) / START_SECONDS,
            steady_rate=len(answered) / STEADY_SECONDS,
            failed=sum(not ok for _, ok, _ in self.requests),
            p50_ms=percentile(answered, 50), p99_ms=percentile(answered, 99),
            connects=sum(connects) / max(len(connects), 1),
            time_wait=max((tw for _, _, tw in self.samples), default=0),
            overflow=self.overflow, tuner_cpu=self.cpu, changed=len(self.changed), back=self.back)

    def points(self, seconds):
        return series(self.samples, self.begin, seconds)


def measure(scenario, configuration, number, seconds):
    """The Run and its series."""
    program = PROGRAMS[scenario.program]
    directory = temp_dir()
    try:
        with Pair() as pair:
            measurement = Measurement(pair, directory)
            backends = backends_of(pair, scenario.family, scenario.backends)
            CONFIGURATIONS[configuration].apply(pair.client)
            program.backend(pair, directory)
            program.load.prepare(pair, directory, backends)
            if configuration == "twtuned":
                measurement.start_twtuned()
            measurement.load(program, backends, seconds)
            run = measurement.run(scenario, configuration, number, seconds)
            if run.failed:
                complain(directory)
            return run, measurement.points(seconds)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
