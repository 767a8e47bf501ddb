#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The harness does what it says, and the kernel does what twtuned is built upon."""

import os
import signal
import subprocess
import sys
import time

from harness import (STOCK, ChurnClient, ChurnHold, ChurnServer, Namespace, Pair, Program, Single, Twtuned, check,
                     check_equal, diag, fields, main, message, shorten, sweep, temp_dir, test, wait_until)

HERE = os.path.dirname(os.path.abspath(__file__))


def namespaces(pid):
    """Those of one harness: others may run at the same time."""
    return [name for name in os.listdir("/run/netns") if name.startswith(f"tw-{pid}-")]


def alive(pid):
    return os.path.exists(f"/proc/{pid}")


def time_wait(namespace):
    return len(namespace.run(["ss", "-Htan", "state", "time-wait"]).stdout.splitlines())


def keep_time_wait(*namespaces):
    """Every TIME_WAIT socket lasts its 60 s. When both ends close within microseconds, on two CPUs, the
    server's ACK of the FIN may come after its own FIN; TIME_WAIT answers the old segment, the server has
    forgotten the connection and answers with RST, and RST ends TIME_WAIT (RFC 1337): up to a third."""
    for namespace in namespaces:
        namespace.sysctl("net.ipv4.tcp_rfc1337", 1)


def child(script, *args):
    """Another process with this harness, that prints one line when it is ready."""
    return subprocess.Popen([sys.executable, "-c", "from harness import *\n" + script, *args],
                            cwd=HERE, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


# ---- the facts ----

def run_churn(seconds, **sysctls):
    """Connects/s of each second, and TWRecycled, on a fresh pair."""
    with Pair() as pair:
        for name, value in sysctls.items():
            pair.client.sysctl(f"net.ipv4.{name}", value)
        ChurnServer(pair.server, pair.server.ip4)
        client = ChurnClient(pair.client, pair.server.ip4, seconds=seconds)
        _, failures = client.finish()
        check_equal(failures, 0, "failures")
        return client, pair.client.counter("TcpExt", "TWRecycled")


@test("stock: under 1000 connects/s past half of the ports; with tcp_tw_reuse=1 over 10 times that")
def _():
    stock, recycled = run_churn(10)
    diag(f"stock: {[connects for connects, _ in stock.seconds]}")
    check_equal(recycled, 0, "TWRecycled on stock sysctls")
    cliff = stock.rate(7, 10)
    check(stock.rate(1, 10) * 10 > 14116, "the load never came to half of the ports")
    check(0 < cliff < 1000, f"{cliff:.0f} connects/s past the cliff, should be under 1000")

    reuse, recycled = run_churn(6, tcp_tw_reuse=1)
    diag(f"tcp_tw_reuse=1: {[connects for connects, _ in reuse.seconds]}, TWRecycled {recycled}")
    check(recycled > 0, "TWRecycled is 0 with tcp_tw_reuse=1")
    check(reuse.rate(3, 6) > 10 * cliff, f"{reuse.rate(3, 6):.0f} connects/s, stock {cliff:.0f}: not 10 times")


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
            check_equal(pair.client.counter("Tcp", "RetransSegs"), 0, f"{address}: SYNs that were lost")
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
    time.sleep(60)
"""
    for how, code in (("exception", 1), ("SIGTERM", 143), ("SIGKILL", -signal.SIGKILL)):
        harness = child(script, how)
        words = harness.stdout.readline().split()
        check(len(words) == 3, f"{how}: {harness.poll()}")
        if how != "exception":
            check_equal(len(namespaces(harness.pid)), 2, f"namespaces before {how}")
            harness.send_signal(signal.Signals[how])
        _, err = harness.communicate(timeout=20)
        check_equal(harness.returncode, code, f"exit code after {how} ({err})")
        for pid in words[:2]:
            wait_until(lambda pid=pid: not alive(pid), f"{how}: end of {pid}")
        if how == "SIGKILL":
            check_equal(len(namespaces(harness.pid)), 2, "namespaces of a killed harness, before sweep()")
            sweep()
            subprocess.run(["rm", "-r", words[2]], check=True)
        check_equal(namespaces(harness.pid), [], f"namespaces left behind after {how}")
        check(not os.path.exists(words[2]), f"{how}: {words[2]} is still there")


@test("sweep spares the namespaces of a harness that is alive")
def _():
    with Single() as namespace:
        sweep()
        check_equal(namespaces(os.getpid()), [namespace.name], "namespaces after sweep()")
    check_equal(namespaces(os.getpid()), [], "namespaces at the end")
    check_equal(Namespace._live, [], "live namespaces")


# ---- churn ----

@test("churn client --rate keeps its pace")
def _():
    with Single() as host:
        ChurnServer(host, host.ip4)
        client = ChurnClient(host, host.ip4, rate=2000, seconds=3)
        connects, failures = client.finish()
    check(5990 <= connects <= 6000 and failures == 0, f"{connects} connects, {failures} failures, not 6000")
    check_equal(len(client.seconds), 3, "lines")
    check_equal(sum(c for c, _ in client.seconds), connects, "sum of the lines")
    check(all(1900 <= c <= 2100 for c, _ in client.seconds), f"out of pace: {client.seconds}")


@test("churn client counts failures and goes on")
def _():
    with Single() as host:
        check_equal(ChurnClient(host, host.ip4, port=1, count=7).finish(), (0, 7), "refused")
        host.sysctl("net.ipv4.ip_local_port_range", "40000 40019")
        host.sysctl("net.ipv4.tcp_tw_reuse", 0)
        keep_time_wait(host)
        ChurnServer(host, host.ip4)
        check_equal(ChurnClient(host, host.ip4, count=25).finish(), (20, 5), "20 ports")


@test("churn client ends in time though its peer is silent")
def _():
    with Pair() as pair:
        start = time.monotonic()
        client = ChurnClient(pair.client, "10.77.0.3", seconds=2)
        client.finish()
        took = time.monotonic() - start
        check(1.9 < took < 2.9, f"it took {took:.1f} s")
        check_equal(len(client.seconds), 2, "lines")


@test("TIME_WAIT stays with who closes first")
def _():
    for close_first in (False, True):
        with Pair() as pair:
            keep_time_wait(pair.client, pair.server)
            ChurnServer(pair.server, pair.server.ip4, close_first=close_first)
            client = ChurnClient(pair.client, pair.server.ip4, count=100, read_eof=close_first)
            check_equal(client.finish(), (100, 0), "client")
            holder, other = (pair.server, pair.client) if close_first else (pair.client, pair.server)
            wait_until(lambda: time_wait(holder) == 100, f"100 TIME_WAIT, close_first={close_first}")
            check_equal(other.sockstat("tw"), 0, f"TIME_WAIT at the other end, close_first={close_first}")


@test("churn hold holds connections until it is stopped")
def _():
    with Pair() as pair:
        ChurnServer(pair.server, pair.server.ip4)
        hold = ChurnHold(pair.client, pair.server.ip4, count=15000)
        for end in (pair.client, pair.server):
            check_equal(end.counter("Tcp", "CurrEstab"), 15000, "CurrEstab")
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
        line = daemon.wait_for("^applied.*", 5)[0]
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
            daemon.wait_for("never", 30)
        except TimeoutError as error:
            check("it ended" in str(error), f"it waits for the lines of a program that has ended: {error}")
        else:
            check(False, "wait_for found what is not there")


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
    for args, code, expected in (
            ([], 1, ["1..3", "ok 1 - good", "not ok 2 - bad", "ok 3 - skipped # SKIP no need"]),
            (["^go", "skip"], 0, ["1..2", "ok 1 - good", "ok 2 - skipped # SKIP no need"])):
        runner = child(script, *args)
        out, err = runner.communicate(timeout=20)
        check_equal([line for line in out.splitlines() if line[0] != "#"], expected, "TAP")
        check_equal(runner.returncode, code, "exit code")
        check(code == 0 or "AssertionError: value is 1, should be 2" in err, f"no reason given: {err}")


if __name__ == "__main__":
    main()
