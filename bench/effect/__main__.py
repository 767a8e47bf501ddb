#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Requests per second and failures of real programs, on stock sysctls, with everything else that one could do, and
with twtuned. `./dev bench effect` runs it, in under half an hour, in network namespaces of its own.

The whole plan writes the tables and the pictures into bench/; a part of it (--program, ...) into build/effect."""

import argparse
import csv
import datetime
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "netns"))

import chart  # noqa: E402
import report  # noqa: E402
from harness import BUILD, ROOT, sweep  # noqa: E402
from measure import CONFIGURATIONS, FAMILIES, Scenario, measure, tuned_profile  # noqa: E402
from programs import PROGRAMS  # noqa: E402

# How often each configuration is run, {} for never. Those that the bars compare: five times, between two ceilings.
PAIRS = {"stock": 2, "pasted": 1, "TuneD": 1, "by hand": 5, "ceiling": 6, "twtuned": 5}
HEALTHY = {"stock": 5, "pasted": 1, "TuneD": 1, "by hand": 1, "ceiling": 1, "twtuned": 5}
ONCE = {"stock": 1, "ceiling": 1, "twtuned": 1}
BESIDE = {"stock": 1, "twtuned": 1}
ONE_OF_EACH = {"stock": 1, "by hand": 1, "ceiling": 1, "twtuned": 1}
# These are to show what else opens a connection a request; the bars take the first six.
ALSO = ("postgres", "memcached", "node", "curl", "ab")
FALLING = [key for key, program in PROGRAMS.items() if program.falls and key not in ALSO]
STEADY = [key for key, program in PROGRAMS.items() if not program.falls and key not in ALSO]

PLAN = [
    *((Scenario(key, 1, "IPv4"), PAIRS) for key in FALLING),
    *((Scenario(key, 1, "IPv4"), HEALTHY) for key in STEADY),
    *((Scenario(key, 1, "IPv4"), ONE_OF_EACH) for key in ALSO),
    *((Scenario(key, 1, "IPv6"), ONCE) for key in ("nginx", "redis", "http")),
    *((Scenario(key, 1, "IPv6"), BESIDE) for key in ("apache", *STEADY)),
    *((Scenario(key, 4, "IPv4"), ONCE) for key in ("nginx", "redis", "http")),
    (Scenario("nginx", 4, "IPv6"), BESIDE),
]


def seconds_of(scenario):
    """Four destinations have four times the ports, so TIME_WAIT holds them later."""
    return max(PROGRAMS[scenario.program].seconds, 10 if scenario.backends > 1 else 7)


def in_turns(counts):
    """(round, configuration), so that a slow minute of the machine meets all of them alike."""
    for number in range(1, max(counts.values()) + 1):
        yield from ((number, name) for name in CONFIGURATIONS if number <= counts.get(name, 0))


def chosen(arguments):
    """The plan, or what the options ask for, which may be no part of the plan."""
    if not (arguments.program or arguments.configuration or arguments.backends or arguments.family or arguments.runs):
        return PLAN
    names = arguments.configuration or list(CONFIGURATIONS)
    counts = {name: arguments.runs or 1 for name in names}
    return [(Scenario(key, backends, family), counts) for key in arguments.program or PROGRAMS
            for backends in arguments.backends or [1] for family in arguments.family or ["IPv4"]]


def run_all(plan):
    """The runs, and the series of each."""
    runs, series = [], {}
    for scenario, counts in plan:
        for number, configuration in in_turns(counts):
            run, points = measure(scenario, configuration, number, seconds_of(scenario))
            print(f"{scenario}, {configuration} {number}: {run.start_rate:,.0f}/s, then {run.steady_rate:,.0f}/s, "
                  f"{run.failed} failed, p99 {run.p99_ms:.1f} ms", file=sys.stderr, flush=True)
            runs.append(run)
            series[id(run)] = points
    return runs, series


def panels(cases, series):
    """(title, the median run of each configuration) of each program, toward one backend over IPv4."""
    for case in cases:
        if (case.backends, case.family) != (1, "IPv4"):
            continue
        lines = {}
        for name in (*chart.LINES, "by hand"):
            ordered = sorted(case.of(name), key=lambda run: run.steady_rate)
            if ordered:
                lines[name] = series[id(ordered[len(ordered) // 2])]
        if lines:
            yield PROGRAMS[case.program].title, lines


def write_series(path, drawn):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("program", "configuration", "second", "connects_per_second", "time_wait"))
        for title, lines in drawn:
            for name, points in lines.items():
                writer.writerows((title, name, f"{second:.2f}", f"{rate:.0f}", tw) for second, rate, tw in points)


def machine():
    release, cpus = platform.release().split("-")[0], len(os.sched_getaffinity(0))
    return f"Linux {release}, {cpus} CPUs shared by client, proxy and server"


def wide_picture(cases, title, lines, subtitle):
    """Of one program, with the medians of all its runs."""
    case = next(case for case in cases
                if (PROGRAMS[case.program].title, case.backends, case.family) == (title, 1, "IPv4"))
    rates = {name: case.median(name) for name in chart.WIDE}
    thrown = {name: case.median(name, "overflow") for name in chart.WIDE}
    if None not in rates.values():
        yield "nginx", chart.draw_one(f"{title}, toward one backend", lines, subtitle, rates, thrown)


def write_pictures(directory, cases, drawn, subtitle):
    pictures = {"effect": chart.draw(drawn, subtitle)}
    for title, lines in drawn:
        if title == PROGRAMS["nginx"].title:
            pictures.update(wide_picture(cases, title, lines, subtitle))
    for name, picture in pictures.items():
        svg = directory / f"{name}.svg"
        svg.write_text(picture)
        if shutil.which("rsvg-convert"):
            png = BUILD / f"{name}.png"
            subprocess.run(["rsvg-convert", "--zoom=2", f"--output={png}", str(svg)], check=True)
            print(f"\n{svg}, {png}")


def write_results(directory, runs, series):
    cases = report.cases(runs)
    date = datetime.date.today().isoformat()
    drawn = list(panels(cases, series))
    directory.mkdir(exist_ok=True)
    report.write_csv(directory / "runs.csv", runs)
    write_series(directory / "series.csv", drawn)
    if drawn:
        write_pictures(directory, cases, drawn, f"{machine()}, {date}; the run in the middle of each")
    return cases, report.conditions(machine(), date, CONFIGURATIONS["pasted"].refused)


def redraw(directory):
    """Draws the pictures again, from the figures of earlier runs."""
    subtitle = re.findall('class="small" text-anchor="start">(.*)</text>', (directory / "effect.svg").read_text())[0]
    drawn = {}
    with open(directory / "series.csv", newline="") as file:
        for title, name, *point in list(csv.reader(file))[1:]:
            drawn.setdefault(title, {}).setdefault(name, []).append(tuple(map(float, point)))
    write_pictures(directory, report.cases(report.read_csv(directory / "runs.csv")), list(drawn.items()), subtitle)


def write_readmes(cases, conditions):
    short = [case for case in cases if case.of("by hand")]
    picture = "![Connects per second over time](effect/effect.svg)"
    parts = picture, report.short_table(short), conditions, report.full_table(cases)
    report.replace_between(ROOT / "bench/README.md", "effect", "\n" + "\n\n".join(parts) + "\n")


def say_bars(cases):
    """Prints every bar; True when all are met."""
    results = list(report.bars(cases))
    for what, met in results:
        print(f"{'met   ' if met else 'MISSED'} {what}")
    return all(met for _, met in results)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", action="append", choices=PROGRAMS)
    parser.add_argument("--configuration", action="append", choices=CONFIGURATIONS)
    parser.add_argument("--backends", action="append", type=int, choices=(1, 4))
    parser.add_argument("--family", action="append", choices=FAMILIES)
    parser.add_argument("--runs", type=int, help="of each")
    parser.add_argument("--redraw", action="store_true", help="run nothing: draw the figures in bench/effect")
    return parser.parse_args()


def main():
    arguments = parse()
    if arguments.redraw:
        return redraw(HERE)
    plan = chosen(arguments)
    sweep()
    if any("TuneD" in counts for _, counts in plan):
        CONFIGURATIONS["TuneD"].lines = tuned_profile()
    begin = time.monotonic()
    runs, series = run_all(plan)
    whole = plan is PLAN
    cases, conditions = write_results(HERE if whole else BUILD / "effect", runs, series)
    if whole:
        write_readmes(cases, conditions)
    print(f"{conditions} {len(runs)} runs in {(time.monotonic() - begin) / 60:.1f} minutes.\n")
    print(report.full_table(cases), end="\n\n")
    sys.exit(0 if say_bars(cases) else 1)


main()
