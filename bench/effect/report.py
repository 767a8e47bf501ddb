# SPDX-License-Identifier: MIT
"""What the runs come to: CSV, Markdown tables, and which bars are met."""

import csv
import dataclasses
import itertools
import re
import statistics
from typing import Optional

from measure import CONFIGURATIONS, STEADY_SECONDS, Run
from programs import PROGRAMS

NUMBERS = ("start_rate", "steady_rate", "p50_ms", "p99_ms", "connects", "time_wait", "overflow", "tuner_cpu")
CEILING_SHARE = 0.90
SURE = 0.01  # what is less likely is no chance
RUNS = 5  # bars that compare runs need at least so many


def cell(value):
    return "" if value is None else f"{value:.3f}" if isinstance(value, float) else value


def write_csv(path, runs):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in dataclasses.fields(Run))
        for run in runs:
            writer.writerow(cell(value) for value in dataclasses.astuple(run))


def read_csv(path):
    with open(path, newline="") as file:
        return [Run(**{field.name: value(field.type, row[field.name]) for field in dataclasses.fields(Run)})
                for row in csv.DictReader(file)]


def value(kind, text):
    """Reads a value of this type that cell() has written."""
    if kind in (Optional[float], Optional[bool]) and not text:
        return None
    return text == "True" if kind == Optional[bool] else (float if kind == Optional[float] else kind)(text)


def median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def interpolate(points, at):
    """The value at a time, interpolated between the (time, value) before and after it; at an end the nearest one."""
    before, after = ([p for p in points if (p[0] <= at) == early] for early in (True, False))
    if not before or not after:
        return (before[-1:] or after[:1])[0][1]
    (t0, v0), (t1, v1) = before[-1], after[0]
    return v0 + (v1 - v0) * (at - t0) / (t1 - t0)


def chance(low, high):
    """The probability that two samples of one source differ so, the first so far below the second: the exact rank test
    of Mann and Whitney, one-sided."""
    both = sorted([*low, *high])
    seen = sum(both.index(value) for value in low)
    sums = [sum(places) for places in itertools.combinations(range(len(both)), len(low))]
    return sum(total <= seen for total in sums) / len(sums)


@dataclasses.dataclass
class Case:
    """The runs of a program, with as many backends, over one family, by configuration."""
    program: str
    backends: int
    family: str
    runs: dict

    def of(self, configuration):
        return self.runs.get(configuration, [])

    def median(self, configuration, name="steady_rate"):
        return median(getattr(run, name) for run in self.of(configuration))

    def rates(self, configuration):
        return [run.steady_rate for run in self.of(configuration)]

    def ratio(self, over, under):
        """The median of each run's ratio to what the runs of the other before and after it come to at that time."""
        points = [(run.began, run.steady_rate) for run in self.of(under)]
        return median(run.steady_rate / interpolate(points, run.began) for run in self.of(over) if points)

    def total(self, configuration, name):
        return sum(getattr(run, name) for run in self.of(configuration))

    def __str__(self):
        many = "1 backend" if self.backends == 1 else f"{self.backends} backends"
        return f"{PROGRAMS[self.program].title}, {many}, {self.family}"


def cases(runs):
    """In the order of the first run of each."""
    found = {}
    for run in runs:
        key = run.program, run.backends, run.family
        found.setdefault(key, Case(*key, {})).runs.setdefault(run.configuration, []).append(run)
    return list(found.values())


def number(value, form="{:,.0f}"):
    return "" if value is None else form.format(value)


def table(header, rows):
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows))


def full_row(case, configuration):
    runs = case.of(configuration)
    values = {name: case.median(configuration, name) for name in NUMBERS}
    back = [run.back for run in runs if run.back is not None]
    return [PROGRAMS[case.program].title, str(case.backends), case.family, configuration, str(len(runs)),
            number(values["start_rate"]), f"**{number(values['steady_rate'])}**",
            number(case.total(configuration, "failed")), number(values["p50_ms"], "{:.1f}"),
            number(values["p99_ms"], "{:.1f}"), number(values["time_wait"]), number(values["overflow"]),
            number(values["tuner_cpu"], "{:.1f} %"), str(max(run.changed for run in runs)),
            ("yes" if all(back) else "NO") if back else ""]


def full_table(all_cases):
    header = ["program", "backends", "family", "configuration", "runs", "requests/s, first 2 s", "steady", "failed",
              "p50, ms", "p99, ms", "TIME_WAIT at most", "thrown away", "tuner's CPU", "sysctls changed", "back"]
    rows = [full_row(case, configuration) for case in all_cases for configuration in CONFIGURATIONS
            if case.of(configuration)]
    return table(header, rows)


def short_row(case):
    ratios = [case.ratio("twtuned", under) for under in ("ceiling", "by hand")]
    rates = {name: number(case.median(name)) for name in CONFIGURATIONS}
    rates["twtuned"] = f"**{rates['twtuned']}**"
    return [str(case), *rates.values(), *(number(ratio, "{:.2f}") for ratio in ratios),
            number(case.total("twtuned", "failed"))]


def short_table(all_cases):
    header = ["requests/s", "stock", "pasted block", "TuneD", "by hand", "ceiling, unsafe", "**twtuned**",
              "twtuned/ceiling", "twtuned/by hand", "failed"]
    return table(header, [short_row(case) for case in all_cases])


def under_ceiling(case):
    stock, ceiling = case.median("stock"), case.median("ceiling")
    return stock is not None and ceiling is not None and stock < CEILING_SHARE * ceiling


def as_fast(case, configuration):
    """(what, met): twtuned is not slower than that."""
    others, own = case.rates(configuration), case.rates("twtuned")
    if min(len(others), len(own)) >= RUNS:
        p = chance(own, others)
        yield (f"as fast as {configuration}: {median(own):,.0f}/s and {median(others):,.0f}/s, p = {p:.2f} "
               f"(>= {SURE}, rank test)"), p >= SURE


def falls_bars(case):
    """(what, met) of a program that stock sysctls slow down."""
    share, n = case.ratio("twtuned", "ceiling"), len(case.of("twtuned"))
    if n >= RUNS:
        yield f"{share:.2f} of the ceiling (>= {CEILING_SHARE:.2f}, median of {n})", share >= CEILING_SHARE
    yield from as_fast(case, "by hand")


def healthy_bars(case):
    """The same of one that they do not."""
    yield from as_fast(case, "stock")
    changed = max(run.changed for run in case.of("twtuned"))
    yield f"{changed} sysctls changed", changed == 0


def common_bars(case):
    failed, overflow = (case.total("twtuned", name) for name in ("failed", "overflow"))
    yield f"{failed} failed, {overflow} TIME_WAIT thrown away", failed == overflow == 0
    yield "every sysctl is back", all(run.back for run in case.of("twtuned"))


def bars(all_cases):
    """(what, met) of every bar that these runs can meet or miss."""
    for case in all_cases:
        if not case.of("twtuned"):
            continue
        own = ()
        if not PROGRAMS[case.program].falls:
            own = healthy_bars(case)
        elif under_ceiling(case):
            own = falls_bars(case)
        for what, met in itertools.chain(own, common_bars(case)):
            yield f"{case}: {what}", met


def replace_between(path, name, text):
    """Puts the text between the comments "name" and "/name" of a Markdown file."""
    old = path.read_text()
    place = rf"(<!-- {name}\b[^>]*-->\n).*?(\n<!-- /{name} -->)"
    new, found = re.subn(place, lambda match: match[1] + text + match[2], old, flags=re.S)
    if found != 1:
        raise ValueError(f"{path} has no place for {name}")
    path.write_text(new)


def conditions(machine, date, refused):
    text = (f"{machine}, {date}. Requests/s over the last {STEADY_SECONDS} s of a run; medians; a ratio is that of "
            "each run to what the runs before and after it come to at that time.")
    return text + (f" Not taken of the pasted block: {', '.join(refused)}." if refused else "")
