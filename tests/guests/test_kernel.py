#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What differs between kernels, and the main job in the first network namespace, the only one for Linux 5.10. Only for
a guest: it changes sysctls and modules of the host."""

import contextlib
import itertools
import os
import pathlib
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/netns"))

from harness import (POLICY, ChurnClient, ChurnServer, First, Pair, Single, Skip, Ticks, Twtuned, binary,  # noqa: E402
                     check, check_equal, diag, few_ports, fields, has_netns_cookie, main, quick_policy, temp_dir,
                     temp_policy, test, wait_until)
from sockets import Load  # noqa: E402

REUSE, STEP = "net.ipv4.tcp_tw_reuse", "net.ipv4.ip_local_port_step_width"
TABLE, RANGE = "net.ipv4.tcp_max_tw_buckets", "net.ipv4.ip_local_port_range"
RULE = "time-wait-reuse"
PORTS, RATE = 64, 40  # reuse after 1 s carries them
server_ports = itertools.count(8080)


def host_of_twtuned():
    return Single if has_netns_cookie() else First


@contextlib.contextmanager
def first(ports=PORTS, timestamps=1, policy=None):
    """The first network namespace as client, its load, and a daemon beside it. What a test leaves in TIME_WAIT stays
    there, so that each has a destination of its own."""
    port = next(server_ports)
    with Pair(First) as pair:
        few_ports(pair.client, ports)
        pair.server.sysctl("net.ipv4.tcp_timestamps", timestamps)
        ChurnServer(pair.server, pair.server.ip4, port)
        twtuned = Twtuned(pair.client, policy or quick_policy("5s"))
        twtuned.wait_for("^config-loaded")
        load = Load(pair.client, pair.server.ip4, port)
        load.address = pair.server.ip4, port
        yield pair.client, load, twtuned


@contextlib.contextmanager
def no_modules():
    """The kernel loads none by itself, and has none of these."""
    modprobe = pathlib.Path("/proc/sys/kernel/modprobe")
    before = modprobe.read_text()
    if subprocess.run(["modprobe", "-r", "-q", "tcp_diag", "udp_diag", "inet_diag", "nf_conntrack"],
                      check=False).returncode:
        raise Skip("tcp_diag or nf_conntrack is part of the kernel, or in use")
    modprobe.write_text("/bin/false")
    try:
        yield
    finally:
        modprobe.write_text(before)


@test("tcp_diag and nf_conntrack are loaded after twtuned: it says which one is missing, and sees both within a minute")
def _():
    rule = "[rule it]\ndescription = it\nwhen = conntrack.table < 50% for 2s\nadvise = it is there\n"
    with no_modules(), host_of_twtuned()() as host:
        run = host.run([binary("twtuned"), "--once"], check=False)
        check_equal(run.returncode, 69, "exit status of --once")
        check("modprobe tcp_diag" in run.stderr, run.stderr)
        ticks = Ticks()
        twtuned = Twtuned(host, temp_policy(rule + "[rule other]\nwhen = ports.used >= 60000\nadvise = it\n"),
                          ["--observe"], ticks=ticks)
        twtuned.wait_for("^degraded: cannot read sockets .*modprobe tcp_diag")
        ticks.wait(3)
        subprocess.run(["modprobe", "-a", "tcp_diag", "nf_conntrack"], check=True)
        before = ticks.count
        twtuned.wait_for("^recovered: ")
        twtuned.wait_for("^advice: ")
        check(ticks.count - before <= 64, f"seen after {ticks.count - before} ticks of a second")
        check_equal(twtuned.stop(), 0, "exit status")
    run = subprocess.run([binary("twtuned"), "--once"], text=True, capture_output=True, check=False)
    check_equal(run.returncode, 0, "exit status with autoloading")


@test("another network namespace than the first: refused before Linux 5.14, with the reason, and taken since")
def _():
    with Single() as host:
        if has_netns_cookie():
            twtuned = Twtuned(host, POLICY, ["--observe"])
            twtuned.wait_for("^config-loaded")
            check_equal(twtuned.stop(), 0, "exit status")
            return
        run = host.run([binary("twtuned"), f"--config={POLICY}"], check=False)
        check_equal(run.returncode, 69, "exit status")
        check("needs Linux 5.14 (SO_NETNS_COOKIE)" in run.stderr, run.stderr)


@test("a storm in the first network namespace: reuse in time, no connect fails, given back")
def _():
    with first() as (client, load, twtuned):
        load.open(PORTS * 3 // 4, pause=1 / RATE)
        twtuned.wait_for(rf"^applied: {REUSE}:")
        with load.repeated(RATE):
            enough = load.connects + 2 * PORTS
            wait_until(lambda: load.connects + load.failures.total() >= enough, "more connects than there are ports")
            check_equal(client.sysctl(REUSE), "1", REUSE)
        check_equal(dict(load.failures), {}, "failed connects")
        check(client.counter("TcpExt", "TWRecycled") > 0, "nothing was reused")
        twtuned.wait_for(rf"^released: {REUSE}:")
        check_equal(client.sysctl(REUSE), "2", REUSE)
        check_equal(twtuned.stop(), 0, "exit status")


@test("kill -9 in a storm: the value stays, --restore puts it back, and the next start has nothing to do")
def _():
    with first() as (client, load, twtuned):
        load.open(PORTS * 3 // 4, pause=1 / RATE)
        twtuned.wait_for(rf"^applied: {REUSE}:")
        check_equal(twtuned.stop(signal.SIGKILL), -signal.SIGKILL, "exit status")
        check_equal(client.sysctl(REUSE), "1", REUSE)
        check_equal(len(list(twtuned.runtime_dir.glob("*.ledger"))), 1, "ledgers")
        environment = os.environ | {"RUNTIME_DIRECTORY": str(twtuned.runtime_dir)}
        client.run([binary("twtuned"), "--restore"], env=environment)
        check_equal(client.sysctl(REUSE), "2", REUSE)
        run = client.run([binary("twtuned"), "--restore"], env=environment)
        check("nothing" in run.stdout, run.stdout)


@test("a peer without timestamps in the first network namespace: put back and said")
def _():
    with first(ports=1000, timestamps=0, policy=POLICY) as (client, load, twtuned):
        ChurnClient(client, *load.address, count=420).finish()
        ChurnClient(client, *load.address, rate=50)
        twtuned.wait_for(rf"^applied: {REUSE}:")
        line = twtuned.wait_for(rf"^unexpected-effect: {REUSE}:.*")[0]
        check_equal((fields(line)["METRIC"], client.sysctl(REUSE)), ("ports.reused", "2"), "METRIC and the value")


@test("the table of a host of 2 GB, a peer without timestamps: it is not raised, and no connect fails")
def _():
    with Pair(host_of_twtuned()) as pair:
        table, ports = pair.client.sysctl(TABLE), 28232
        pair.client.sysctl(RANGE, "32768 60999")
        if int(table) >= ports // 2:
            raise Skip(f"the table holds {table} here, half of the ports and more")
        pair.server.sysctl("net.ipv4.tcp_timestamps", 0)
        ChurnServer(pair.server, pair.server.ip4)
        twtuned = Twtuned(pair.client, POLICY)
        twtuned.wait_for("^config-loaded")
        client = ChurnClient(pair.client, pair.server.ip4, rate=500)
        overflow = lambda: pair.client.counter("TcpExt", "TCPTimeWaitOverflow")  # noqa: E731
        before = overflow()
        wait_until(lambda: overflow() - before >= 4000, "the table is full")
        client.stop()
        check_equal(sum(failures for _, failures in client.seconds), 0, "failed connects")
        check_equal(pair.client.sysctl(TABLE), table, TABLE)
        check_equal(twtuned.stop(), 0, "exit status")


@test("ip_local_port_step_width: connect() fills both parities, and reuse comes in time")
def _():
    with Pair() as pair:
        few_ports(pair.client, 256)
        try:
            pair.client.sysctl(STEP, 31)
        except FileNotFoundError:
            raise Skip(f"this kernel has no {STEP}") from None
        ChurnServer(pair.server, pair.server.ip4)
        load = Load(pair.client, pair.server.ip4)
        twtuned = Twtuned(pair.client, quick_policy("5s"))
        twtuned.wait_for("^config-loaded")
        with load.repeated(RATE):
            line = twtuned.wait_for(rf"^applied: {REUSE}:.*")[0]
            diag(line)
            enough = load.connects + 2 * 256
            wait_until(lambda: load.connects + load.failures.total() >= enough, "more connects than there are ports")
        check_equal(dict(load.failures), {}, "failed connects")
        twtuned.wait_for(rf"^released: {REUSE}:")


if __name__ == "__main__":
    temp_dir()
    main()
