# SPDX-License-Identifier: MIT
"""The picture: connects per second over time, a panel a program, as SVG that is readable in light and in dark."""

import math
from xml.sax.saxutils import escape

WIDTH, COLUMNS = 960, 3
PANEL_WIDTH, PANEL_HEIGHT = 304, 190
LEFT, TOP, HEAD, GAP = 50, 30, 64, 24  # of the plot in a panel; of the panels in the picture
BIN_SECONDS = 0.2
HALF_OF_THE_PORTS, LAST_SECONDS = 14116, 4
LINES = {  # in the order in which they are drawn
    "ceiling": "no TIME_WAIT at all: unsafe (tcp_max_tw_buckets = 0)",
    "stock": "stock sysctls",
    "twtuned": "stock sysctls, with twtuned",
}

WIDE = {  # the same of the wide picture, and of the strip below it
    "stock": "stock sysctls",
    "by hand": "sysctls set by hand",
    "twtuned": "with twtuned",
    "pasted": "pasted block",
}
CLASS = {"by hand": "hand"}  # of the style, where it is not the name

# Not var(): converters to PNG know no custom properties.
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 17px; font-weight: 600 } .panel { font-weight: 600 } .small { font-size: 11px; fill: #59636e }
.paper { fill: #ffffff } .grid { stroke: #d1d9e0; stroke-width: 1 }
.line { fill: none; stroke-width: 2; stroke-linejoin: round }
.stock { stroke: #d1480f } .twtuned { stroke: #0b62d6; stroke-width: 2.5 }
.ceiling { stroke: #818b98; stroke-width: 1.5; stroke-dasharray: 4 3 } .mark { stroke: #59636e; stroke-dasharray: 2 3 }
.hand { stroke: #1a7f37; stroke-dasharray: 6 4 } .pasted { fill: #cf222e }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .small { fill: #9198a1 } .paper { fill: #0d1117 } .grid { stroke: #30363d }
.stock { stroke: #ff8a4c } .twtuned { stroke: #58a6ff } .ceiling { stroke: #9198a1 } .mark { stroke: #9198a1 }
.hand { stroke: #56d364 } .pasted { fill: #ff7b72 }
}
"""


def text(x, y, content, kind="", anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(content)}</text>'


def binned(points):
    """(second, connects/s), means of BIN_SECONDS."""
    bins = {}
    for second, rate, _ in points:
        bins.setdefault(int(second / BIN_SECONDS), []).append(rate)
    return [((n + 0.5) * BIN_SECONDS, sum(rates) / len(rates)) for n, rates in sorted(bins.items())]


def tick_step(top):
    """1, 2 or 5 times a power of ten, of which three to six are below the top."""
    power = 10 ** math.floor(math.log10(top / 3))
    return next(m * power for m in (1, 2, 5, 10) if top / (m * power) <= 5)


class Panel:
    def __init__(self, x, y, title, lines, width=PANEL_WIDTH, height=PANEL_HEIGHT, names=None):
        """lines: {a name of LINES, or of names: [(second, connects/s, TIME_WAIT)]}"""
        self.x, self.y, self.title, self.width, self.height = x, y, title, width, height
        self.lines = {name: binned(lines[name]) for name in names or LINES if lines.get(name)}
        self.seconds = max(math.ceil(line[-1][0]) for line in self.lines.values())
        top = max(rate for line in self.lines.values() for _, rate in line)
        self.step = tick_step(top)
        self.top = math.ceil(top / self.step) * self.step

    def at(self, second, rate):
        width, height = self.width - LEFT, self.height - TOP - 22
        return self.x + LEFT + second / self.seconds * width, self.y + TOP + (1 - rate / self.top) * height

    def _grid(self):
        for n in range(round(self.top / self.step) + 1):
            x, y = self.at(0, n * self.step)
            yield f'<path class="grid" d="M{x:.1f} {y:.1f}H{self.x + self.width}"/>'
            yield text(x - 6, y + 4, f"{n * self.step:,.0f}", "small", "end")
        for second in range(0, self.seconds + 1, tick_step(self.seconds)):
            x, y = self.at(second, 0)
            yield text(x, y + 16, f"{second} s", "small", "middle")

    def svg(self):
        yield text(self.x + LEFT, self.y + 16, self.title, "panel")
        yield from self._grid()
        for name, line in self.lines.items():
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (self.at(*point) for point in line))
            yield f'<polyline class="line {CLASS.get(name, name)}" points="{path}"/>'


def legend(y, names):
    x = LEFT
    for name in reversed(names):
        yield f'<path class="line {CLASS.get(name, name)}" d="M{x} {y - 4}h26"/>'
        yield text(x + 32, y, names[name])
        x += 60 + 6.6 * len(names[name])


def draw(panels, subtitle):
    """panels: [(title, lines)]. The SVG."""
    rows = math.ceil(len(panels) / COLUMNS)
    height = HEAD + 28 + rows * (PANEL_HEIGHT + GAP)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
             f'viewBox="0 0 {WIDTH} {height}" role="img" aria-label="Connects per second of real programs over time">',
             f"<style>{STYLE}</style>", f'<rect class="paper" width="{WIDTH}" height="{height}" rx="6"/>',
             text(LEFT, 28, "Connects per second of real programs toward one backend", "title"), *legend(54, LINES),
             text(LEFT, height - 10, subtitle, "small")]
    for n, (title, lines) in enumerate(panels):
        x = n % COLUMNS * (PANEL_WIDTH + 16)
        parts += Panel(x, HEAD + n // COLUMNS * (PANEL_HEIGHT + GAP), title, lines).svg()
    return "\n".join([*parts, "</svg>", ""])


def half_full(points):
    """When half of the ports were in TIME_WAIT."""
    return next(second for second, _, time_wait in points if time_wait >= HALF_OF_THE_PORTS)


def reuse_begins(points):
    """When under half of the connects added a socket in TIME_WAIT: the others took the port of one."""
    for (before, _, fewer), (second, rate, time_wait) in zip(points, points[1:]):
        if time_wait - fewer < rate * (second - before) / 2:
            return second
    return None


def mark(panel, second, words, begin, end, at):
    """A vertical line, and what happened there; begin, end and at are shares of the height, from the top."""
    x, _ = panel.at(second, 0)
    y = [panel.at(second, panel.top * (1 - share))[1] for share in (begin, end, at)]
    yield f'<path class="mark" d="M{x:.1f} {y[0]:.1f}V{y[1]:.1f}"/>'
    yield text(x + 8, y[2], words)


def results(panel, lines, rates):
    """What each line comes to in the end: the medians of all runs. By hand has no line if only its rate is known."""
    for name, place in ("stock", -12), ("twtuned", 56), ("by hand", 74):
        x, y = panel.at(panel.seconds, rates["twtuned" if name == "by hand" else name])
        yield text(x, y + place, f"{WIDE[name]}: {rates[name]:,.0f} requests/s", "panel", "end")
    if "by hand" not in lines:
        (begin, y), (end, _) = panel.at(panel.seconds - LAST_SECONDS, rates["by hand"]), panel.at(panel.seconds, 0)
        yield f'<path class="line hand" d="M{begin:.1f} {y:.1f}H{end:.1f}"/>'


def strip(y, width, thrown):
    """A bar a configuration: how many TIME_WAIT were thrown away in a run."""
    left = 190
    unit = (width - left - 80) / max(1, *thrown.values())
    yield text(LEFT, y, "TIME_WAIT sockets thrown away in a run, each with its protection from old segments:")
    for number, (name, count) in enumerate(thrown.items()):
        row = y + 22 + 19 * number
        yield text(left, row, WIDE[name], "", "end")
        if count:
            yield f'<rect class="{name}" x="{left + 8}" y="{row - 11}" width="{count * unit:.1f}" height="13"/>'
        yield text(left + 14 + count * unit, row, f"{count:,.0f}", "panel")


def draw_one(title, lines, subtitle, rates, thrown):
    """One program over the whole width, for the README. rates and thrown: the medians of each configuration."""
    shown = {name: lines[name] for name in ("stock", "by hand", "twtuned") if name in lines}
    below = HEAD + 280
    height = below + 22 + 19 * len(thrown) + 26
    panel = Panel(0, HEAD - 10, "", shown, WIDTH - 20, 270, names=WIDE)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
             f'viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">',
             f"<style>{STYLE}</style>", f'<rect class="paper" width="{WIDTH}" height="{height}" rx="6"/>',
             text(LEFT, 28, title, "title"),
             text(WIDTH - 20, 28, f"{rates['stock']:,.0f} → {rates['twtuned']:,.0f} requests/s", "title", "end"),
             *legend(54, {name: WIDE[name] for name in ("by hand", "twtuned", "stock")}), *panel.svg(),
             *mark(panel, half_full(shown["stock"]), "half of the ports toward the backend are in TIME_WAIT",
                   0.4, 1, 0.72),
             *mark(panel, reuse_begins(shown["twtuned"]), "tcp_tw_reuse = 1: connects take ports in TIME_WAIT",
                   0, 1, 0.09),
             *results(panel, shown, rates), *strip(below, WIDTH - 20, thrown),
             text(LEFT, height - 10, subtitle, "small")]
    return "\n".join([*parts, "</svg>", ""])
