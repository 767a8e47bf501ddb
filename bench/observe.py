#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What observing costs, at several numbers of TIME_WAIT sockets, against what one could run instead. `./dev bench
observe` runs it: its own sockets in its own network namespace, under five minutes. The exit status is 1 when --once
takes more than a quarter of the CPU time of `ss -tan` beside 100,000 TIME_WAIT sockets of a server, or --replay more
than twice that of Python's csv."""

import argparse
import contextlib
import itertools
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "netns"))
from harness import BUILD, POLICY, ChurnClient, ChurnServer, Pair, Single, Twtuned, binary, sweep  # noqa: E402
from sockets import leave_time_wait  # noqa: E402
import replay  # noqa: E402

PER_DESTINATION = 10_000  # under the 14,116 ports of one parity, so that connect() does not scan


def fill(host, count):
    """Leaves `count` client-side TIME_WAIT sockets, spread over destinations; two clients at a time. They end
    after 60 s, so what a machine makes in that time is all that there can be."""
    destinations = [f"127.0.{n // 250}.{n % 250 + 1}" for n in range(max(count // PER_DESTINATION, 1))]
    while destinations:
        pair, destinations = destinations[:2], destinations[2:]
        clients = [ChurnClient(host, address, count=min(count, PER_DESTINATION)) for address in pair]
        for client in clients:
            client.finish()


def cpu_ms(host, command):
    """CPU of one run of a shell command, its children included."""
    process = host.popen(["sh", "-c", f"{command} >/dev/null"])
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return (usage.ru_utime + usage.ru_stime) * 1e3


def median_ms(host, command, runs=3):
    return statistics.median(cpu_ms(host, command) for _ in range(runs))


def fresh():
    host = Single()
    host.sysctl("net.ipv4.tcp_max_tw_buckets", 4_000_000)
    host.sysctl("net.ipv4.tcp_rfc1337", 1)
    host.sysctl("net.ipv4.tcp_tw_reuse", 0)
    ChurnServer(host, "0.0.0.0")
    return host


def row(count, pairs):
    with fresh() as host:
        fill(host, count)
        measured = host.run([str(BUILD / "bench-observe"), str(pairs)]).stdout.split()
        once = median_ms(host, f"{binary('twtuned')} --once --config={POLICY}")
        ss = median_ms(host, "ss -tan", 1)
        netstat = median_ms(host, "netstat -an | awk '{s[$6]++} END {for (i in s) print i, s[i]}'", 1)
        sockets, discard, observe, over, cheap, rss = measured
        print(f"| {int(sockets):,} | {discard} | {observe} | **{over}** | {cheap} | {once:.0f} | {ss:.0f} "
              f"({once / ss:.2f}) | {netstat:.0f} ({once / netstat:.2f}) | {rss} |", flush=True)


def once_over_ss(port, count=100_000, runs=5):
    """CPU of --once over that of ss -tan, the median of interleaved runs, and how many sockets were there."""
    with Pair() as pair:
        leave_time_wait(pair, count + count // 10, port)
        commands = f"{binary('twtuned')} --once --config={POLICY}", "ss -tan"
        ratios = [cpu_ms(pair.server, commands[0]) / cpu_ms(pair.server, commands[1]) for _ in range(runs)]
        return statistics.median(ratios), pair.server.sockstat("tw")


def check_once():
    """Prints the bar; returns False when it is missed."""
    holds = True
    print()
    for port in (8080, 40001):  # outside the ephemeral range and inside
        ratio, left = once_over_ss(port)
        enough, cheap = left >= 100_000, ratio <= 0.25
        holds = holds and enough and cheap
        print(f"{'holds' if enough and cheap else 'MISSED'}: --once takes {ratio:.3f} of the CPU time of ss -tan "
              f"beside {left:,} TIME_WAIT of a server on port {port}; at most 0.25, beside 100,000", flush=True)
    return holds


def daemon_cpu(count=300_000, seconds=20):
    """CPU of the daemon with default settings, percent of one core."""
    with fresh() as host:
        fill(host, count)
        twtuned = Twtuned(host, POLICY)
        twtuned.wait_for("^config-loaded")
        time.sleep(seconds)
        stat = pathlib.Path(f"/proc/{twtuned.pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks = int(stat[11]) + int(stat[12])
        left = host.sockstat("tw")
        print(f"\nThe daemon beside {left:,} TIME_WAIT toward {count // PER_DESTINATION} destinations, default "
              f"settings: {100 * ticks / os.sysconf('SC_CLK_TCK') / seconds:.1f} % of one core over {seconds} s "
              "(cpu_budget 5 %)")


def running_us(pid):
    """CPU time of a process so far; /proc/PID/stat counts whole clock ticks."""
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e3


def seconds_us(host, seconds=21):
    """CPU of the daemon in each second, which has one tick, with the shipped policy and interval, on a host where no
    dump is due. The ticks of bench-observe run back to back; these find the caches as other programs left them."""
    twtuned = Twtuned(host, POLICY)
    twtuned.wait_for("^config-loaded")
    time.sleep(2.5)  # the first dump
    running = [running_us(twtuned.pid)]
    for _ in range(seconds):
        time.sleep(1)
        running.append(running_us(twtuned.pid))
    twtuned.stop()
    return [after - before for before, after in itertools.pairwise(running)]


def ticks():
    with Pair() as pair:
        idle = seconds_us(pair.server)
        pair.server.sysctl("net.ipv4.tcp_max_tw_buckets", 4_000_000)
        leave_time_wait(pair, 320_000)
        busy = seconds_us(pair.server)
        left = pair.server.sockstat("tw")
    of = [f"{statistics.median(each):.0f} us (mean {statistics.mean(each):.0f})" for each in (idle, busy)]
    print(f"\nA tick of the daemon with the whole policy, once a second, median of {len(idle)}: {of[0]} idle, {of[1]} "
          f"beside {left:,} TIME_WAIT of a server (/proc/PID/schedstat)", flush=True)


def idle(count=50, seconds=10):
    """Network namespaces in which nothing happens, a daemon for each (systemd/twtuned-netns.path)."""
    with contextlib.ExitStack() as stack:
        hosts = [stack.enter_context(Single()) for _ in range(count)]
        daemons = [Twtuned(host, POLICY) for host in hosts]
        for daemon in daemons:
            daemon.wait_for("^config-loaded", 30)
        time.sleep(12)  # until read_signs() is all that a tick reads (daemon/observe/observer.c)
        before, at = sum(running_us(daemon.pid) for daemon in daemons), time.monotonic()
        time.sleep(seconds)
        running, elapsed = sum(running_us(daemon.pid) for daemon in daemons) - before, time.monotonic() - at
        maps = [pathlib.Path(f"/proc/{daemon.pid}/smaps_rollup").read_text() for daemon in daemons]
        pss = sum(int(re.search(r"^Pss: *(\d+)", text, re.M)[1]) for text in maps)
    print(f"\n{count} daemons in {count} idle network namespaces: {running / elapsed / 1e4:.2f} % of one core over "
          f"{seconds} s, {pss / 1024:.1f} MB (Pss), together", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=21)
    parser.add_argument("counts", nargs="*", type=int, default=[10_000, 100_000, 300_000, 1_000_000])
    arguments = parser.parse_args()
    sweep()
    subprocess.run(["ninja", "-C", str(BUILD), "bench-observe"], check=True, stdout=subprocess.DEVNULL)
    print(f"Linux {platform.release().split('-')[0]}, {len(os.sched_getaffinity(0))} CPUs; CPU ns a socket, median of "
          f"{arguments.pairs} pairs; --once, ss and netstat | awk in ms of CPU, the ratio in brackets", flush=True)
    ticks()
    print("\n| TIME_WAIT | receive and discard | snapshot | snapshot over discard | a tick by bounds, us | --once | "
          "ss -tan | netstat -an, awk | anonymous RSS, kB |")
    print("|---|---|---|---|---|---|---|---|---|")
    for count in arguments.counts:
        row(count, arguments.pairs if count <= 300_000 else 5)
    daemon_cpu()
    idle()
    return 0 if replay.day() & check_once() else 1  # both, also when one is missed


if __name__ == "__main__":
    sys.exit(main())
