#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What `./dev bench effect`, `never-worse` and `terminal` make of their runs. The runs are made up, the arithmetic is
real."""

import pathlib
import re
import subprocess
import sys
from xml.etree import ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "netns"), str(ROOT / "bench"), str(ROOT / "bench" / "effect")]
import chart  # noqa: E402
import never_worse  # noqa: E402
import report  # noqa: E402
import screen  # noqa: E402
from harness import check, check_equal, main, temp_dir, test  # noqa: E402
from measure import Run  # noqa: E402


def made_up(configuration, began, rate, **other):
    values = {"failed": 0, "overflow": 0, "changed": 0, "tuner_cpu": None, "back": None} | other
    return Run(values.pop("program", "nginx"), 1, "IPv4", configuration, 1, began, start_rate=rate, steady_rate=rate,
               p50_ms=1.0, p99_ms=2.0, connects=rate, time_wait=0, **values)


def case(stock, hand, ceiling, tuned, **other):
    """In turns: by hand, ceiling, twtuned, and again."""
    runs = [made_up("stock", 0, rate, **{**other, "back": None}) for rate in stock]
    for place, (name, rates) in enumerate((("by hand", hand), ("ceiling", ceiling), ("twtuned", tuned))):
        for n, rate in enumerate(rates):
            back = {"back": True} if name == "twtuned" else {}
            runs.append(made_up(name, 3 * n + place, rate, **{**back, **other}))
    (only,) = report.cases(runs)
    return only


def missed(*args, **other):
    return [what.split(": ", 1)[1] for what, met in report.bars([case(*args, **other)]) if not met]


@test("a machine that gets slower all the time does not change the ratio")
def _():
    rate = [1000 - 20 * t for t in range(18)]
    slowing = case([400], rate[0::3], rate[1::3], [0.9 * r for r in rate[2::3]][:5])
    check_equal(round(slowing.ratio("twtuned", "ceiling"), 3), 0.9, "of the ceiling")
    check(0.8 < slowing.ratio("twtuned", "by hand") < 0.95, slowing.ratio("twtuned", "by hand"))
    check_equal(slowing.ratio("twtuned", "pasted"), None, "of what was not run")


@test("the rank test is the exact one")
def _():
    for low, high, expected in (((1, 2), (3, 4), 1 / 6), ((3, 4), (1, 2), 1), ((1, 3), (2, 4), 1 / 3),
                                ((1, 2, 3, 4, 5), (6, 7, 8, 9, 10), 1 / 252)):
        check_equal(report.chance(low, high), expected, f"{low} under {high}")


@test("each bar is missed by what it is about alone")
def _():
    good = ([400, 410], [1000, 990, 1010, 1005, 995], [1000] * 6, [980, 1000, 1005, 990, 1015])
    check_equal(missed(*good), [], "good")
    slow = [899.0, 850, 890, 899.5, 899.9]
    both = ["0.90 of the ceiling", "as fast as by hand:"]
    check_equal([what[:19] for what in missed(*good[:3], slow)], both, "slow")
    fast = [1101, 1102, 1103, 1104, 1105]
    check_equal([what[:19] for what in missed(good[0], fast, *good[2:])], ["as fast as by hand:"], "by hand is faster")
    check_equal(missed([950, 960], fast, *good[2:]), [], "stock is as good as any")
    check_equal(missed(*good, failed=1), ["5 failed, 0 TIME_WAIT thrown away"], "failed")
    check_equal(missed(*good, overflow=2), ["0 failed, 10 TIME_WAIT thrown away"], "thrown away")
    check_equal(missed(*good, back=False), ["every sysctl is back"], "not back")


@test("where the server closes first, twtuned changes nothing and is as fast as stock")
def _():
    healthy = ([1000, 990, 1010, 1005, 995], [], [], [1001, 991, 996, 1002, 1003])
    check_equal(missed(*healthy, program="squid"), [], "healthy")
    check_equal(missed(*healthy, program="squid", changed=1), ["1 sysctls changed"], "changed")
    what, = missed(healthy[0], [], [], [900, 910, 920, 930, 940], program="squid")
    check_equal(what, "as fast as stock: 920/s and 1,000/s, p = 0.00 (>= 0.01, rank test)", "slower")


@test("a table goes between its comments, and nowhere else")
def _():
    path = temp_dir() / "README.md"
    path.write_text("a\n<!-- effect: by a command -->\nold\n<!-- /effect -->\nb\n")
    report.replace_between(path, "effect", "\nnew\n")
    check_equal(path.read_text(), "a\n<!-- effect: by a command -->\n\nnew\n\n<!-- /effect -->\nb\n")
    try:
        report.replace_between(path, "cost", "")
    except ValueError as error:
        check("no place for cost" in str(error), error)
    else:
        check(False, "nothing is said")


def broken(cell, **runs):
    """(reference, what is broken) of pairs of connects and failures, or three with what was thrown away."""
    return never_worse.judge(never_worse.Cell(*cell), {
        which: [never_worse.Run(*(list(run) + [0])[:3]) for run in of] for which, of in runs.items()})


@test("never worse: failed connects against stock's largest, connects against its median")
def _():
    old = ("small", "no timestamps", "plain", "middle")
    stock = [(1000, 0), (1000, 20), (980, 0)]
    check_equal(broken(old, stock=stock, twtuned=[(900, 30), (900, 30), (100, 900)]), ("stock", ""), "just good enough")
    check_equal(broken(old, stock=stock, twtuned=[(899, 31), (899, 31), (1000, 0)]),
                ("stock", "31 failed, at most 30; 899 connects, at least 900"), "just too bad")


@test("never worse: where stock throws away what could be reused, by hand is the reference")
def _():
    stock, hand = [(2000, 0, 9)], [(1000, 0)]
    for cell, expected in ((("small", "timestamps", "plain", "full"), ("hand", "")),
                           (("small", "timestamps", "NO_PORT", "full"), ("hand", "")),
                           (("small", "timestamps", "bind", "full"), ("stock", "950 connects, at least 1,800")),
                           (("small", "no timestamps", "plain", "full"), ("stock", "950 connects, at least 1,800"))):
        check_equal(broken(cell, stock=stock, hand=hand, twtuned=[(950, 0)]), expected, cell)
    check_equal(broken(("large", "timestamps", "plain", "full"), stock=[(2000, 0, 0)], hand=hand, twtuned=[(950, 0)]),
                ("stock", "950 connects, at least 1,800"), "nothing thrown away")


@test("the wide picture has the figures of the runs, and marks what the series has")
def _():
    runs = report.read_csv(ROOT / "bench/effect/runs.csv")
    path = temp_dir() / "runs.csv"
    report.write_csv(path, runs)
    check_equal(path.read_text(), (ROOT / "bench/effect/runs.csv").read_text(), "runs.csv, read and written")
    nginx = next(case for case in report.cases(runs) if (case.program, case.backends, case.family) == ("nginx", 1, "IPv4"))
    svg = (ROOT / "bench/effect/nginx.svg").read_text()
    for name, words in chart.WIDE.items():
        check(name == "pasted" or f"{words}: {nginx.median(name):,.0f} requests/s<" in svg, words)
    check(f">{nginx.median('pasted', 'overflow'):,.0f}<" in svg, "thrown away")
    check(f"{nginx.median('stock'):,.0f} → {nginx.median('twtuned'):,.0f} requests/s<" in svg, "title")
    points = [(0, 0, 0), (1, 100, 100), (2, 100, 160), (3, 100, 200)]
    check_equal(chart.reuse_begins(points), 3, "when 40 of 100 connects left one more in TIME_WAIT")


def rows_of(*lines):
    return [[(character, "default", False, False) for character in line.ljust(20)] for line in lines]


def seconds_visible(svg, end):
    """frame -> when it is seen, of an SVG that moves."""
    seen = {}
    for number, rule in re.findall(r"^@keyframes f(\d+) \{ (.*) \}$", svg, re.M):
        stops = {float(percent): value for percent, value in re.findall(r"([\d.]+)% \{ visibility: (\w+) \}", rule)}
        begin = next(percent for percent, value in stops.items() if value == "visible")
        stop = next((percent for percent, value in stops.items() if value == "hidden" and percent > begin), 100)
        seen[int(number)] = round(begin * end / 100, 2), round(stop * end / 100, 2)
    return seen


@test("the terminal: each row is drawn once, each frame is seen in its time and no other, and nothing runs")
def _():
    frames = [(0, rows_of("$", "")), (1.5, rows_of("$ a<b", "")), (4, rows_of("$ a<b", "$"))]
    svg = screen.draw(frames, "title", 8)
    xml = ElementTree.fromstring(svg)
    texts = [element.text for element in xml.iter("{http://www.w3.org/2000/svg}text")]
    check_equal(texts, ["$", "$ a<b", "title"], "texts")
    check_equal(seconds_visible(svg, 8), {0: (0, 1.5), 1: (1.5, 4), 2: (4, 8)}, "when each frame is seen")
    check_equal(re.findall("<script|http://(?!www.w3.org)|@import", svg), [], "what runs or is fetched")
    check_equal(seconds_visible(screen.draw(frames[:1], "still"), 8), {}, "a still moves")


@test("the pictures of the terminal are from a run of this version, and small")
def _():
    for name in ("terminal", "status", "top"):
        svg = (ROOT / f"docs/{name}.svg").read_text()
        ElementTree.fromstring(svg)
        check(len(svg.encode()) < 1_000_000, f"{name}: {len(svg)} bytes")
        check(name == "top" or f"twtuned {version()}, enforcing" in svg, name)


def version():
    return re.search(r"^  version: '([\d.]+)',$", (ROOT / "meson.build").read_text(), re.M)[1]


@test("each benchmark starts")
def _():
    scripts = [path for path in (ROOT / "bench").rglob("*.py") if "argparse" in path.read_text()]
    check(len(scripts) >= 8, scripts)
    for path in scripts:
        run = subprocess.run([sys.executable, path, "--help"], text=True, capture_output=True, check=False)
        check_equal((run.returncode, run.stderr), (0, ""), path.name)


main()
