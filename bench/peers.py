#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""twtuned beside bpftune and TuneD. These tune the whole machine, so all run in a guest: `./dev bench peers` boots
one, with Debian's packages of both, and runs this. Each runs alone, in the first network namespace, in 4,000 ports and
without the sysctls of another: under a storm toward one destination and long after it, under a load that stock sysctls
carry for a while, and under one that they carry for ever. One run each: what is changed, and when, is meaningful; the
rates are not."""

import contextlib
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "netns"))
from harness import (POLICY, ChurnClient, ChurnServer, First, Pair, Program, binary, few_ports, temp_dir,  # noqa: E402
                     wait_until)
from sockets import ip  # noqa: E402

PORTS, SECONDS, AFTER = 4000, 80, 240
SLOW = 100  # connects/s; in 60 s more than half of the ports
FAR, FAR_RATE = 20, 5  # destinations, and connects/s toward each of them
CLOCK = os.sysconf("SC_CLK_TCK")
PROGRAMS = {
    "stock": None,
    "bpftune": ["bpftune", "-s"],
    "TuneD, network-throughput": ["tuned", "--no-dbus", "--profile", "network-throughput"],
    "TuneD, network-latency": ["tuned", "--no-dbus", "--profile", "network-latency"],
    "**twtuned**": [binary("twtuned"), f"--config={POLICY}"],
}


def sysctls():
    """{name: value} of all that a program may tune, without those of an interface, which come and go with it."""
    found = {}
    for path in pathlib.Path("/proc/sys").rglob("*"):
        name = str(path.relative_to("/proc/sys"))
        if name.split("/")[0] in ("net", "vm", "kernel") and "/conf/" not in name and "/neigh/" not in name:
            try:
                found[name.replace("/", ".")] = path.read_text().strip()
            except (OSError, UnicodeDecodeError):
                pass
    return {name: value for name, value in found.items() if not re.search(
        r"random|pty|nr$|_nr|last_pid|threads-max|stat_refresh|state|ns_last|dentry|conntrack_count|oops|tainted", name)}


def difference(before, after):
    return {name: f"{before[name]} -> {after[name]}" for name in before if name in after and after[name] != before[name]}


class Changes:
    """Records the changes of the sysctls that these programs are known to change, with the time since its start."""

    def __init__(self):
        self.start, self.seen, self._end = time.monotonic(), [], threading.Event()
        self._paths = [pathlib.Path("/proc/sys/net/ipv4", name) for name in (
            "tcp_tw_reuse", "tcp_tw_reuse_delay", "tcp_max_tw_buckets", "tcp_fin_timeout", "ip_local_port_range",
            "tcp_rmem", "tcp_wmem", "tcp_congestion_control", "tcp_max_orphans", "tcp_max_syn_backlog")]
        self._last = self._read()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _read(self):
        return {path.name: path.read_text().split() for path in self._paths if path.exists()}

    def _watch(self):
        while not self._end.wait(0.2):
            now = self._read()
            for name in now:
                if now[name] != self._last[name]:
                    self.seen.append(f"{time.monotonic() - self.start:.1f} s: {name} {' '.join(self._last[name])} -> "
                                     f"{' '.join(now[name])}")
            self._last = now

    def end(self):
        self._end.set()
        self._thread.join()
        return "; ".join(self.seen) or "nothing"


def usage(program):
    """What a program and its threads take: seconds of CPU, and MB of resident memory."""
    stat = pathlib.Path(f"/proc/{program.pid}/stat").read_text().rsplit(")", 1)[1].split()
    memory = int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{program.pid}/status").read_text())[1])
    return (int(stat[11]) + int(stat[12])) / CLOCK, memory / 1024


def load(kind, pair):
    if kind != "far":
        ChurnServer(pair.server, pair.server.ip4)
        rate = {"storm": 0, "slow": SLOW}[kind]
        return [ChurnClient(pair.client, pair.server.ip4, seconds=SECONDS, rate=rate)]
    clients = []
    for n in range(FAR):
        address = f"10.77.0.{100 + n}"
        ip(pair.server, "addr", "add", f"{address}/24", "dev", "veth0")
        ChurnServer(pair.server, address)
    for n in range(FAR):
        clients.append(ChurnClient(pair.client, f"10.77.0.{100 + n}", seconds=SECONDS, rate=FAR_RATE))
    return clients


def scenario(name, argv, kind):
    with Pair(First) as pair:
        few_ports(pair.client, PORTS)
        wait_until(lambda: pair.client.sockstat("tw") == 0, "the load before has left no TIME_WAIT")
        stock = sysctls()
        program = None
        if argv:
            environment = os.environ | {"RUNTIME_DIRECTORY": str(temp_dir())}
            program = Program(pair.client, argv, "stderr", env=environment)
            time.sleep(15)
        started = sysctls()
        cpu, changes = usage(program)[0] if program else 0, Changes()
        totals = [client.finish(20 * SECONDS) for client in load(kind, pair)]
        under = changes.end()
        loaded = sysctls()
        if program:
            cpu, memory = usage(program)[0] - cpu, usage(program)[1]
        time.sleep(AFTER if kind == "storm" else 0)
        rested = sysctls()
        if program:
            program.process.terminate()
            program.process.wait()
        stopped = sysctls()
        connects, failures = (sum(column) for column in zip(*totals))
        print(f"\n## {name}: {kind}\n"
              f"connects {connects:,}, failed {failures:,}\n"
              f"at its start: {difference(stock, started) or 'nothing'}\n"
              f"under load: {under}\n"
              f"changed at the end of the load: {difference(started, loaded) or 'nothing'}\n" +
              (f"changed {AFTER} s later: {difference(started, rested) or 'nothing'}\n" if kind == "storm" else "") +
              f"changed after its stop: {difference(stock, stopped) or 'nothing'}\n" +
              (f"CPU {cpu:.2f} s, resident {memory:.1f} MB\n" if program else "") +
              (f"its last lines: {program.lines[-6:]}\n" if program else ""), flush=True)
        for sysctl, change in difference(stock, stopped).items():
            with contextlib.suppress(OSError):  # some only show which modules are loaded
                pathlib.Path("/proc/sys", sysctl.replace(".", "/")).write_text(change.split(" -> ")[0])


def main():
    for kind, where in (("tracefs", "/sys/kernel/tracing"), ("bpf", "/sys/fs/bpf")):
        subprocess.run(["mount", "-t", kind, kind, where], check=False)
    print(f"Linux {os.uname().version}", flush=True)
    for name, argv in PROGRAMS.items():
        if len(sys.argv) > 1 and not re.search(sys.argv[1], name):
            continue
        for kind in ("storm", "slow", "far"):
            try:
                scenario(name, argv, kind)
            except Exception as error:  # one that does not start is a result, too
                print(f"\n## {name}: {kind}: {error!r}", flush=True)


main()
