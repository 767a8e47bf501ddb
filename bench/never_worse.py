#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whether twtuned ever leaves a host worse than stock sysctls do: connects and failed connects of one client toward one
server, in 4,096 ports, for each combination of the size of the TIME_WAIT table, the peer's timestamps, the way in which
the client takes a port, and its rate. `./dev bench never-worse` runs it; an hour and a half for all cells. The exit
status is 1 when a cell breaks the bar. Pairs are interleaved: stock, twtuned, and by hand where stock may be no reference.
Cells of a low or middle rate leave most of the machine idle, so that several run side by side; those at full speed run
one after the other, when the others have ended."""

import argparse
import collections
import concurrent.futures
import os
import pathlib
import platform
import re
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "netns"))
from harness import POLICY, ChurnClient, ChurnServer, Pair, Ticks, Twtuned, few_ports, sweep  # noqa: E402

PORTS, STOCK_PORTS = 4096, 28232
# tcp_max_tw_buckets of a machine with 2 GB and with 8 GB, in proportion to the ports.
TABLES = {"small": 8192 * PORTS // STOCK_PORTS, "large": 32768 * PORTS // STOCK_PORTS}
PEERS = {"timestamps": 1, "no timestamps": 0}
BINDS = {"plain": {}, "bind": {"bind": True}, "SO_REUSEADDR": {"bind": True, "reuse_address": True},
         "NO_PORT": {"bind": True, "bind_no_port": True}}
# In 20 s: just under half of the ports; more than there are; whatever the machine gives.
RATES = {"low": 100, "middle": 300, "full": 0}
SIDE_BY_SIDE = 6
# With a table that holds all: a small one would throw TIME_WAIT away, like stock.
BY_HAND = {"net.ipv4.tcp_tw_reuse": 1, "net.ipv4.tcp_tw_reuse_delay": 250, "net.ipv4.tcp_max_tw_buckets": 65536}

Cell = collections.namedtuple("Cell", "table peer bind rate")
Run = collections.namedtuple("Run", "connects failures overflow")
CELLS = [Cell(*values) for values in
         ((table, peer, bind, rate) for table in TABLES for peer in PEERS for bind in BINDS for rate in RATES)]


def name(cell):
    return ", ".join((f"{cell.table} table", cell.peer, cell.bind, cell.rate))


def reuse_would_help(cell):
    """bind() to port 0 takes no port that is in TIME_WAIT, and with SO_REUSEADDR any, whatever tcp_tw_reuse is."""
    return cell.peer == "timestamps" and cell.bind in ("plain", "NO_PORT")


def measure(cell, seconds, by_hand=False, twtuned=False):
    with Pair() as pair:
        few_ports(pair.client, PORTS)
        pair.client.sysctl("net.ipv4.tcp_max_tw_buckets", TABLES[cell.table])
        pair.server.sysctl("net.ipv4.tcp_timestamps", PEERS[cell.peer])
        for sysctl, value in BY_HAND.items() if by_hand else ():
            pair.client.sysctl(sysctl, value)
        ChurnServer(pair.server, pair.server.ip4)
        if twtuned:
            ticks = Ticks()
            Twtuned(pair.client, POLICY, ticks=ticks).wait_for("^config-loaded")
            ticks.wait(1)
        options = BINDS[cell.bind] | ({"bind": pair.client.ip4} if BINDS[cell.bind] else {})
        client = ChurnClient(pair.client, pair.server.ip4, seconds=seconds, rate=RATES[cell.rate], **options)
        connects, failures = client.finish(2 * seconds + 60)
        return Run(connects, failures, pair.client.counter("TcpExt", "TCPTimeWaitOverflow"))


def measure_pairs(cell, pairs, seconds):
    """{"stock": [Run, ...], ...}"""
    runs = collections.defaultdict(list)
    for _ in range(pairs):
        runs["stock"].append(measure(cell, seconds))
        runs["twtuned"].append(measure(cell, seconds, twtuned=True))
        if reuse_would_help(cell):
            runs["hand"].append(measure(cell, seconds, by_hand=True))
    return runs


def measure_cells(cells, pairs, seconds):
    """(cell, its runs) as they come, those at full speed last."""
    full = [cell for cell in cells if RATES[cell.rate] == 0]
    with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        paced = {pool.submit(measure_pairs, cell, pairs, seconds): cell for cell in cells if cell not in full}
        for future in concurrent.futures.as_completed(paced):
            yield paced[future], future.result()
    for cell in full:
        yield cell, measure_pairs(cell, pairs, seconds)


def median(runs, field):
    return statistics.median(getattr(run, field) for run in runs) if runs else None


def judge(cell, runs):
    """(reference, why the bar is broken, or ""). Where stock throws TIME_WAIT away that could be reused, it is fast for
    the wrong reason and no reference."""
    unsafe = reuse_would_help(cell) and any(run.overflow > 0 for run in runs["stock"])
    reference = "hand" if unsafe else "stock"
    connects, failures = median(runs["twtuned"], "connects"), median(runs["twtuned"], "failures")
    most = max(run.failures for run in runs[reference])
    most += max(run.connects + run.failures for run in runs[reference]) / 100
    least = 0.9 * median(runs[reference], "connects")
    broken = [f"{failures:,.0f} failed, at most {most:,.0f}"] if failures > most else []
    broken += [f"{connects:,.0f} connects, at least {least:,.0f}"] if connects < least else []
    return reference, "; ".join(broken)


def row(cell, runs):
    """A row of the table, and why the bar is broken."""
    reference, broken = judge(cell, runs)
    values = [f"{value:,.0f}" if value is not None else "" for value in (
        median(runs["stock"], "connects"), median(runs["twtuned"], "connects"), median(runs["hand"], "connects"),
        max(run.failures for run in runs["stock"]), median(runs["twtuned"], "failures"),
        median(runs["stock"], "overflow"), median(runs["twtuned"], "overflow"))]
    ratio = median(runs["twtuned"], "connects") / max(median(runs[reference], "connects"), 1)
    columns = [*cell, *values, f"{ratio:.2f} of {'by hand' if reference == 'hand' else 'stock'}",
               f"**no**: {broken}" if broken else "yes"]
    return "| " + " | ".join(columns) + " |", broken


HEAD = ("| table | peer | port | rate | connects, stock | with twtuned | by hand | failed, stock at most | with "
        "twtuned | thrown away, stock | with twtuned | connects | holds |\n" + "|---" * 13 + "|")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", default="", metavar="REGEX", help="only the cells whose names match; see --list")
    parser.add_argument("--pairs", type=int, default=5, help="of each cell; medians count (default: 5)")
    parser.add_argument("--seconds", type=int, default=20, help="of each run (default: 20)")
    parser.add_argument("--list", action="store_true", help="print the names of the cells")
    arguments = parser.parse_args()
    cells = [cell for cell in CELLS if re.search(arguments.cells, name(cell))]
    if not cells:
        parser.error(f"no cell has {arguments.cells!r} in its name")
    if arguments.list:
        print("\n".join(map(name, cells)))
        return 0
    sweep()
    print(f"Linux {platform.release().split('-')[0]}, {len(os.sched_getaffinity(0))} CPUs; {PORTS:,} ports, tables of "
          f"{TABLES['small']:,} and {TABLES['large']:,}, low and middle are {RATES['low']} and {RATES['middle']} "
          f"connects/s; {arguments.seconds} s a run, medians of {arguments.pairs}\n\n{HEAD}", flush=True)
    broken = 0
    for cell, runs in measure_cells(cells, arguments.pairs, arguments.seconds):
        line, why = row(cell, runs)
        broken += bool(why)
        print(line, flush=True)
    print(f"\n{'MISSED' if broken else 'holds'}: {len(cells) - broken} of {len(cells)} cells no worse than stock")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
