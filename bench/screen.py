# SPDX-License-Identifier: MIT
"""A terminal as SVG: stills, and frames that CSS shows one after the other. Readable in light and in dark, without
JavaScript. A row is a list of cells (character, colour, bold, reverse); each different row is drawn once."""

import re
from xml.sax.saxutils import escape

CELL_WIDTH, CELL_HEIGHT, BASELINE, MARGIN, BAR = 8.2, 17, 13, 14, 26
HALF = 0.5  # blocks overlap by so much, or a seam shows between them

# By pyte's names; any other colour is that of the text.
COLOURS = {"red": ("#b3261e", "#ff7b72"), "green": ("#1a7f37", "#56d364"), "brown": ("#8a5a00", "#e3b341"),
           "yellow": ("#8a5a00", "#e3b341"), "blue": ("#0b62d6", "#79c0ff"), "magenta": ("#8250df", "#d2a8ff"),
           "cyan": ("#0e7490", "#76e3ea"), "brightblack": ("#59636e", "#9198a1")}
LIGHT, DARK = ("#1f2328", "#f6f8fa", "#d1d9e0"), ("#f0f6fc", "#0d1117", "#30363d")  # text, paper, frame

LOWER = {chr(0x2580 + n): n / 8 for n in range(1, 8)}  # a lower block of so much of the height
LEFT = {chr(0x2590 - n): n / 8 for n in range(1, 9)}  # a left block of so much of the width


def style():
    def colours(side, text, paper, frame):
        named = " ".join(f".{name} {{ fill: {pair[side]} }}" for name, pair in COLOURS.items())
        return (f"text, .ink {{ fill: {text} }} .paper {{ fill: {paper}; stroke: {frame} }} "
                f".turned {{ fill: {paper} }} {named}")
    return ("text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace } "
            f".bold {{ font-weight: 700 }} .title {{ opacity: 0.7 }}\n{colours(0, *LIGHT)}\n"
            f"@media (prefers-color-scheme: dark) {{ {colours(1, *DARK)} }}\n")


def rectangle(x, y, width, height, kind):
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" class="{kind}"/>'


def block(column, character, kind):
    """A block of a bar or of a graph, as a rectangle: fonts differ in how blocks fill a cell."""
    x = column * CELL_WIDTH
    if character in LEFT:
        return rectangle(x, 2, LEFT[character] * CELL_WIDTH + HALF, CELL_HEIGHT - 4, kind)
    height = LOWER[character] * (CELL_HEIGHT - 2)
    return rectangle(x, CELL_HEIGHT - height, CELL_WIDTH + HALF, height, kind)


def runs(row):
    """(column, text, colour, bold, reverse) of cells that stand side by side and look the same."""
    found = []
    for column, (character, *look) in enumerate(row):
        alone = character in LOWER or character in LEFT
        if found and found[-1][2:] == look and not alone and found[-1][1][-1] not in (*LOWER, *LEFT):
            found[-1][1] += character
        else:
            found.append([column, character, *look])
    return found


def draw_row(row):
    for column, text, colour, bold, reverse in runs(row):
        kind = colour if colour in COLOURS else "ink"
        if text in LOWER or text in LEFT:
            yield block(column, text, kind)
            continue
        if reverse:
            yield rectangle(column * CELL_WIDTH, 0, len(text) * CELL_WIDTH, CELL_HEIGHT, kind)
            kind = "turned"
        for words in re.finditer(r"\S+(?: \S+)*", text):  # most programs draw several spaces as one
            x, width = (column + words.start()) * CELL_WIDTH, len(words[0]) * CELL_WIDTH
            yield (f'<text x="{x:.1f}" y="{BASELINE}" textLength="{width:.1f}" lengthAdjust="spacingAndGlyphs" '
                   f'class="{kind}{" bold" if bold else ""}">{escape(words[0])}</text>')


def trimmed(row):
    row = list(row)
    while row and row[-1][0] == " " and not row[-1][3]:
        row.pop()
    return tuple(map(tuple, row))


def draw_screen(rows, ids):
    """The rows of one screen, as references to ids, to which it adds the rows that are new."""
    for number, row in enumerate(map(trimmed, rows)):
        if row:
            ids.setdefault(row, f"r{len(ids)}")
            yield f'<use href="#{ids[row]}" y="{number * CELL_HEIGHT}"/>'


def keyframes(times, end):
    """A frame is seen from its time on until that of the next one."""
    for number, (begin, stop) in enumerate(zip(times, [*times[1:], end])):
        first, last = 100 * begin / end, 100 * stop / end
        hidden = "visibility: hidden"
        before = f"0% {{ {hidden} }} " if first > 0 else ""
        after = f"{last:.3f}% {{ {hidden} }}" if last < 100 else ""
        yield f"@keyframes f{number} {{ {before}{first:.3f}% {{ visibility: visible }} {after} }}"
        yield f"#f{number} {{ animation: f{number} {end:.1f}s step-end infinite }}"


def draw(frames, title, end=0):
    """frames: [(second, rows)]. The SVG; of one frame a still. A program that cannot animate shows the last frame, and
    so does a browser whose user wants no movement."""
    columns, lines = len(frames[0][1][0]), len(frames[0][1])
    width, height = columns * CELL_WIDTH + 2 * MARGIN, lines * CELL_HEIGHT + 2 * MARGIN + BAR
    ids = {}
    groups, last = [], len(frames) - 1
    for number, (_, rows) in enumerate(frames):
        hidden = "" if number == last else ' class="frame"'
        groups.append(f'<g id="f{number}"{hidden}>{"".join(draw_screen(rows, ids))}</g>')
    moves = ""
    if last:
        inner = "\n".join(keyframes([second for second, _ in frames], end))
        moves = f".frame {{ visibility: hidden }}\n@media (prefers-reduced-motion: no-preference) {{\n{inner}\n}}\n"
    defs = "\n".join(f'<g id="{name}">{"".join(draw_row(row))}</g>' for row, name in ids.items())
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(title)}">\n'
            f'<style>{style()}{moves}</style>\n<defs>\n{defs}\n</defs>\n'
            f'<rect class="paper" x="0.5" y="0.5" width="{width - 1:.0f}" height="{height - 1:.0f}" rx="8"/>\n'
            f'<text x="{width / 2:.0f}" y="19" text-anchor="middle" class="title">{escape(title)}</text>\n'
            f'<g transform="translate({MARGIN} {MARGIN + BAR})">\n' + "\n".join(groups) + "\n</g>\n</svg>\n")
