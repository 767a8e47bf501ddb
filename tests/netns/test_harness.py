#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of the harness, and of the kernel's behaviour that twtuned relies on."""

import collections
import os
import re
import signal
import subprocess
import sys
import time

from harness import (PATIENCE, POLICY, STOCK, ChurnClient, ChurnHold, ChurnServer, Namespace, Pair, Single, Ticks,
                     Twtuned, check, check_equal, few_ports, fields, main, message, mounts, shorten, sweep, temp_dir,
                     test, wait_until)
from sockets import Load, keep_time_wait, silence

HERE = os.path.dirname(os.path.abspath(__file__))


def namespaces(pid):
    """The namespaces of one harness; others may run at the same time."""
    return [name for name in os.listdir("/run/netns") if name.startswith(f"tw-{pid}-")]


def alive(pid):
    return os.path.exists(f"/proc/{pid}")


def time_wait(namespace):
    return len(namespace.run(["ss", "-Htan", "state", "time-wait"]).stdout.splitlines())


def child(script, *args):
    """Another process with this harness, that prints one line when it is ready."""
    return subprocess.Popen([sys.executable, "-c", "from harness import *\n" + script, *args],
                            cwd=HERE, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


# ---- the facts ----

def ports_in_use(namespace):
    """The local ports toward port 8080, TIME_WAIT included."""
    lines = namespace.run(["ss", "-Htan", "dport = :8080"]).stdout.splitlines()
    return [int(line.split()[3].rpartition(":")[2]) for line in lines]


@test("stock: connect() fails when every port is in TIME_WAIT; with tcp_tw_reuse=1 it takes them after the delay")
def _():
    with Pair() as pair:
        few_ports(pair.client, 64)
        keep_time_wait(pair.client)
        ChurnServer(pair.server, pair.server.ip4)
        load = Load(pair.client, pair.server.ip4)
        load.open(32)
        check_equal({port % 2 for port in ports_in_use(pair.client)}, {0}, "parities while one is enough")
        load.open(48)
        check_equal((load.connects, dict(load.failures)), (64, {"EADDRNOTAVAIL": 16}), "connects to 64 ports")
        check_equal(pair.client.counter("TcpExt", "TWRecycled"), 0, "TWRecycled on stock sysctls")
        check_equal(sorted(ports_in_use(pair.client)), list(range(40000, 40064)), "ports in TIME_WAIT")

        pair.client.sysctl("net.ipv4.tcp_tw_reuse", 1)
        time.sleep(1.1)  # tcp_tw_reuse_delay
        load.open(64)
        check_equal((load.connects, load.failures.total()), (128, 16), "connects in all, with tcp_tw_reuse=1")
        check_equal(pair.client.counter("TcpExt", "TWRecycled"), 64, "TWRecycled with tcp_tw_reuse=1")


# ---- namespaces ----

@test("namespaces have stock sysctls, which can be changed in one alone")
def _():
    with Pair() as pair:
        for namespace in (pair.client, pair.server):
            for name, value in STOCK.items():
                check_equal(namespace.sysctl(name), value, name)
        pair.client.sysctl("net.ipv4.tcp_tw_reuse", 1)
        check_equal(pair.client.sysctl("net.ipv4.tcp_tw_reuse"), "1", "the client's tcp_tw_reuse")
        check_equal(pair.server.sysctl("net.ipv4.tcp_tw_reuse"), "2", "the server's tcp_tw_reuse")


@test("IPv4, IPv6 and IPv4-mapped connections reach the server from the first on")
def _():
    with Pair() as pair:
        keep_time_wait(pair.client)
        ChurnServer(pair.server, "::")
        for address, mapped in ((pair.server.ip4, False), (pair.server.ip6, False), (pair.server.ip4, True)):
            check_equal(ChurnClient(pair.client, address, count=5, mapped=mapped).finish(), (5, 0), address)
            check_equal(pair.client.counter("TcpExt", "TCPSynRetrans"), 0, f"{address}: SYNs that were lost")
        wait_until(lambda: pair.client.sockstat("tw") == 15, "15 TIME_WAIT")  # when the server has closed as well
        check_equal(pair.client.counter("Tcp", "ActiveOpens"), 15, "ActiveOpens")
        sockets = pair.client.run(["ss", "-Htan6"]).stdout
        check_equal(sockets.count("[::ffff:10.77.0.2]:8080"), 5, "mapped sockets")
        check_equal(sockets.count("[fd77::2]:8080"), 5, "IPv6 sockets")


@test("programs, namespaces and files are gone after an exception, SIGTERM and SIGKILL")
def _():
    script = """
with Pair() as pair:
    server = ChurnServer(pair.server, pair.server.ip4)
    client = ChurnClient(pair.client, pair.server.ip4, rate=10)
    client.wait_second(1)
    print(server.pid, client.pid, temp_dir().parent, flush=True)
    if sys.argv[1] == "exception":
        raise RuntimeError("on purpose")
    time.sleep(1000)
"""
    for how, code in (("exception", 1), ("SIGTERM", 143), ("SIGKILL", -signal.SIGKILL)):
        harness = child(script, how)
        words = harness.stdout.readline().split()
        check(len(words) == 3, f"{how}: {harness.poll()}")
        if how != "exception":
            check_equal(len(namespaces(harness.pid)), 2, f"namespaces before {how}")
            harness.send_signal(signal.Signals[how])
        _, err = harness.communicate(timeout=PATIENCE)
        check_equal(harness.returncode, code, f"exit code after {how} ({err})")
        for pid in words[:2]:
            wait_until(lambda pid=pid: not alive(pid), f"{how}: end of {pid}")
        if how == "SIGKILL":
            sweep()  # another test may have been faster
            subprocess.run(["rm", "-r", words[2]], check=True)
        check_equal(namespaces(harness.pid), [], f"namespaces left behind after {how}")
        check(not os.path.exists(words[2]), f"{how}: {words[2]} is still there")


@test("sweep spares the namespaces of a harness that is alive")
def _():
    with Single() as namespace:
        sweep()
        check_equal(namespaces(os.getpid()), [namespace.name], "namespaces after sweep()")


@test("the name of another one's network namespace may be any bytes")
def _():
    with Single() as namespace:
        odd = os.fsencode(f"/run/netns/{os.getpid()}-odd") + b"\xff"
        open(odd, "x").close()
        try:
            subprocess.run(["mount", "--bind", f"/run/netns/{namespace.name}", odd], check=True)
            sweep()
            check(any(os.fsencode(mount[1]) == odd for mount in mounts()), "it is among the mounts")
        finally:
            subprocess.run(["umount", odd], check=False)
            os.unlink(odd)
    check_equal(namespaces(os.getpid()), [], "namespaces at the end")
    check_equal(Namespace._live, [], "live namespaces")


# ---- churn ----

@test("churn client --rate never goes faster than that, and prints each second", beside=True)
def _():
    with Single() as host:
        ChurnServer(host, host.ip4)
        begun = time.monotonic()
        check_equal(ChurnClient(host, host.ip4, rate=20, count=21).finish(), (21, 0), "count=21")
        check(time.monotonic() - begun >= 1, "20 connects/s take a second for the first 20")
        client = ChurnClient(host, host.ip4, rate=200, seconds=2)
        connects, failures = client.finish()
        check(0 < connects <= 400 and failures == 0, f"{connects} connects, {failures} failures at 200/s in 2 s")
        check(len(client.seconds) >= 2, f"lines of 2 s: {client.seconds}")
        check_equal(sum(c for c, _ in client.seconds), connects, "sum of the lines")


@test("churn client counts failures and goes on")
def _():
    with Single() as host:
        check_equal(ChurnClient(host, host.ip4, port=1, count=7).finish(), (0, 7), "refused")
        host.sysctl("net.ipv4.ip_local_port_range", "40000 40019")
        host.sysctl("net.ipv4.tcp_tw_reuse", 0)
        keep_time_wait(host)
        ChurnServer(host, host.ip4)
        check_equal(ChurnClient(host, host.ip4, count=25).finish(), (20, 5), "20 ports")


@test("churn client --seconds ends a connect() to a silent peer, which is no failure", beside=True)
def _():
    with Pair() as pair:
        silence(pair.client, "10.77.0.3")  # or connect() fails by itself: EHOSTUNREACH after 3 s
        begun = time.monotonic()
        client = ChurnClient(pair.client, "10.77.0.3", seconds=2)
        check_equal(client.finish(), (0, 0), "connects and failures")
        check(time.monotonic() - begun >= 2, "it ended before its time")


@test("TIME_WAIT stays with who closes first")
def _():
    for close_first in (False, True):
        with Pair() as pair:
            keep_time_wait(pair.client, pair.server)
            ChurnServer(pair.server, pair.server.ip4, close_first=close_first)
            client = ChurnClient(pair.client, pair.server.ip4, count=100, read_eof=close_first)
            check_equal(client.finish(), (100, 0), "client")
            holder, other = (pair.server, pair.client) if close_first else (pair.client, pair.server)
            # Counted when they begin: a server's may end early, when the client takes the same port again.
            wait_until(lambda: holder.counter("TcpExt", "TW") == 100, f"100 TIME_WAIT, close_first={close_first}")
            check_equal(other.counter("TcpExt", "TW"), 0, f"TIME_WAIT at the other end, close_first={close_first}")


@test("churn client --server-closes=90: of a hundred connections the server closes ninety first")
def _():
    with Pair() as pair:
        keep_time_wait(pair.client, pair.server)
        ChurnServer(pair.server, pair.server.ip4)
        client = ChurnClient(pair.client, pair.server.ip4, count=100, server_closes=90)
        check_equal(client.finish(), (100, 0), "connects and failures")
        for host, count in ((pair.server, 90), (pair.client, 10)):
            wait_until(lambda: host.counter("TcpExt", "TW") == count, f"{count} TIME_WAIT")


@test("churn: what binds first shares no port, with --bind-no-port it does")
def _():
    with Pair() as pair:
        few_ports(pair.client, 64)
        for port in (8080, 8081):
            ChurnServer(pair.server, pair.server.ip4, port)
            ChurnHold(pair.client, pair.server.ip4, port, count=60, bind=pair.client.ip4, bind_no_port=True)
        alone = ChurnClient(pair.client, pair.server.ip4, 8080, count=10, bind=pair.client.ip4, reuse_address=True)
        connects, failures = alone.finish()
        check(connects <= 4 and failures >= 6, f"{connects} connects and {failures} failures on 4 ports")


@test("churn hold holds connections until it is stopped")
def _():
    with Pair() as pair:
        ChurnServer(pair.server, pair.server.ip4)
        hold = ChurnHold(pair.client, pair.server.ip4, count=1100)  # the usual limit of descriptors is 1024
        for end in (pair.client, pair.server):
            check_equal(end.counter("Tcp", "CurrEstab"), 1100, "CurrEstab")
        check_equal(hold.stop(), 0, "exit code")
        wait_until(lambda: pair.server.counter("Tcp", "CurrEstab") == 0, "the server closes them")


@test("churn server at its limit of descriptors goes on when some are free again")
def _():
    with Single() as host:
        keep_time_wait(host)
        server = ChurnServer(host, host.ip4)
        host.run(["prlimit", f"--pid={server.pid}", "--nofile=50"])
        hold = ChurnHold(host, host.ip4, count=60)  # the kernel completes them; the last wait in the queue
        hold.stop()
        # FIN_WAIT_2 becomes TIME_WAIT when the server closes too; sockstat's tw counts both.
        wait_until(lambda: time_wait(host) == 60, "60 connections closed at both ends")
        check_equal(ChurnClient(host, host.ip4, count=5).finish(), (5, 0), "client")


# ---- programs ----

def stand_in(text):
    path = temp_dir() / "stand-in"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return str(path)


@test("the log of a daemon is read while it runs")
def _():
    script = stand_in('trap "echo bye >&2; exit 3" TERM\n'
                      'echo "in $RUNTIME_DIRECTORY with $*" >&2\n'
                      'echo "applied X: 1024 65000 -> 1, as told SYSCTL=net.x OLDVALUE=1024 65000 RULE=r" >&2\n'
                      "while :; do sleep 0.05; done\n")
    with Single() as host:
        daemon = Twtuned(host, config="/some/file", program=script)
        line = daemon.wait_for("^applied.*")[0]
        check_equal(fields(line), {"SYSCTL": "net.x", "OLDVALUE": "1024 65000", "RULE": "r"}, "fields")
        check_equal(message(line), "applied X: 1024 65000 -> 1, as told", "message")
        check_equal(daemon.lines[0], f"in {daemon.runtime_dir} with --config=/some/file", "line")
        for since, timeout in ((0, 0.2), (1, 0.2)):
            try:
                daemon.wait_for("^in " if since else "never", timeout, since)
            except TimeoutError:
                continue
            check(False, "wait_for found what is not there")
        check_equal(daemon.stop(), 3, "exit code")
        check_equal(daemon.lines[-1], "bye", "the last line")
        try:
            daemon.wait_for("never")
        except TimeoutError as error:
            check("it ended" in str(error), f"it waits for the lines of a program that has ended: {error}")
        else:
            check(False, "wait_for found what is not there")


@test("no tick is counted before it is over")
def _():
    ticks, path = Ticks(), temp_dir() / "recording.csv"
    with Single() as host:
        twtuned = Twtuned(host, POLICY, args=[f"--record={path}"], ticks=ticks)
        ticks.wait(2)
        rows = len(path.read_text().splitlines()) - 1
        check(rows >= 3, f"{rows} ticks are recorded when at least 3 are counted")
        check_equal(twtuned.stop(), 0, "exit code")


@test("shorten changes the durations of a policy, and complains when there is none")
def _():
    path = shorten("when = a >= 9% for 30s\nuntil = b < 1% for 2min\nadvise = wait for 5min\n", to="3s")
    check_equal(path.read_text(), "when = a >= 9% for 3s\nuntil = b < 1% for 3s\nadvise = wait for 5min\n", "policy")
    try:
        shorten("until = a < 1%\n")
    except ValueError:
        return
    check(False, "no complaint")


@test("the runner reports what fails, and exits with 1")
def _():
    script = """
@test("good")
def _(): pass
@test("bad")
def _(): check_equal(1, 2)
@test("skipped")
def _(): raise Skip("no need")
main()
"""
    marked = script.replace("main()", '@test("slow", long=True)\ndef _(): pass\nmain()')
    for script, args, code, expected in (
            (marked, [], 1, ["1..3", "ok 1 - good", "not ok 2 - bad", "ok 3 - skipped # SKIP no need"]),
            (marked, ["^go", "skip"], 0, ["1..2", "ok 1 - good", "ok 2 - skipped # SKIP no need"]),
            (marked, ["--long"], 0, ["1..1", "ok 1 - slow"]),
            (script, ["--long", "good"], 0, ["1..1", "ok 1 - good"])):
        runner = child(script, *args)
        out, err = runner.communicate(timeout=PATIENCE)
        check_equal([line for line in out.splitlines() if line[0] != "#"], expected, "TAP")
        check_equal(runner.returncode, code, "exit code")
        check(code == 0 or "AssertionError: value is 1, should be 2" in err, f"no reason given: {err}")


@test("the lines of tests that run beside each other stay whole")
def _():
    runner = child("""
for number in range(400):
    @test("t", beside=True)
    def _(): time.sleep(number % 7 / 100); [diag("line") for _ in range(5)]
main()
""")
    out, _ = runner.communicate(timeout=PATIENCE)
    lines = [re.sub(r"[0-9.]+", "N", line) for line in out.splitlines()]
    check_equal(collections.Counter(lines), {"N": 1, "# line": 2000, "# t: took N s": 400, "ok N - t": 400}, "lines")


if __name__ == "__main__":
    main()
