#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Records the demo on a terminal, and what `twtunectl` and `twtunectl top` show meanwhile of the host with twtuned, and
draws it: docs/terminal.svg moves, docs/status.svg and docs/top.svg are stills of the same run. Under a minute.

`./dev bench terminal [CONNECTS]` runs it; a bar of full length is that many connects/s. The
programs printed everything in the pictures, at the times at which they move, except the prompts; pauses of over a
second are cut to one. Needs root, leaves nothing behind."""

import contextlib
import fcntl
import os
import pathlib
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "netns"), str(HERE.parent / "tests" / "ctl")]

import pyte  # noqa: E402

import demo  # noqa: E402
import screen  # noqa: E402
from ctl_host import Bus  # noqa: E402
from harness import ROOT, Pair, binary, sweep  # noqa: E402

COLUMNS, LINES = 100, 30
DEMO_SECONDS, STATUS_SECONDS, TOP_SECONDS = 13, 5, 10
PAUSE = 1.0  # the longest one that is kept
FAINT = "\033[2m", "\033[90m"  # pyte knows no faint text


def on_terminal(argv, **kw):
    """The program on a terminal of its own. Returns it and its output."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    program = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, start_new_session=True,
                               **kw)
    os.close(theirs)
    return program, ours


def cells(line):
    return [(cell.data, cell.fg, cell.bold, cell.reverse) for cell in (line[x] for x in range(COLUMNS))]


class Recording:
    """The screen of a terminal after each change."""

    def __init__(self):
        self.screen = pyte.Screen(COLUMNS, LINES)
        self.stream = pyte.ByteStream(self.screen)
        self.frames, self.clock, self.last = [], 0.0, None

    def take(self):
        """Notes what is on the screen now."""
        now = time.monotonic()
        if self.last is not None:
            self.clock += min(now - self.last, PAUSE)
        self.last = now
        rows = [cells(self.screen.buffer[y]) for y in range(LINES)]
        if not self.frames or self.frames[-1][1] != rows:
            self.frames.append((self.clock, rows))

    def feed(self, data):
        self.stream.feed(data.replace(*(code.encode() for code in FAINT)))

    def type(self, command):
        self.screen.reset()
        self.feed(b"\033[32m$\033[0m ")
        self.take()
        self.feed(command.encode() + b"\r\n")
        time.sleep(0.5)
        self.take()

    def watch(self, output, seconds):
        """Shows the output for that many seconds, or until the program ends."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([output], [], [], min(left, 0.1))[0]:
                self.take()
                continue
            try:
                data = os.read(output, 65536)
            except OSError:  # EIO: nobody has the terminal any more
                break
            self.feed(data)

    def play(self, command, argv, seconds, after=0.0, keys=b"", **kw):
        """Types the command, and shows what the program prints."""
        self.type(command)
        program, output = on_terminal(argv, **kw)
        self.watch(output, seconds)
        if keys:
            os.write(output, keys)
        program.wait()
        os.close(output)
        self.take()
        self.clock += after


def load(bus):
    """Runs the demo in a process of its own, on a terminal. Returns its pid and the terminal."""
    child, output = pty.fork()
    if child:
        return child, output
    try:
        demo.BAR_SCALE = int(sys.argv[1]) if len(sys.argv) > 1 else demo.BAR_SCALE
        demo.STATUS_SECOND = 0  # a terminal of its own shows it
        demo.LOAD_SECONDS = DEMO_SECONDS + STATUS_SECONDS + TOP_SECONDS + 20
        sys.stdout = os.fdopen(1, "w", encoding="utf-8")
        with Pair() as without, Pair() as beside:
            demo.run(without, beside, bus)
    finally:
        os._exit(0)


def record():
    bus, recording = Bus(), Recording()
    environment = os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={bus.socket}", "TERM": "xterm-256color",
                                "LC_ALL": "C.UTF-8"}
    recording.type("./dev demo")
    child, output = load(bus)
    fcntl.ioctl(output, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    try:
        recording.watch(output, DEMO_SECONDS)
        recording.play("twtunectl", [binary("twtunectl"), "--no-pager"], STATUS_SECONDS, after=4.0, env=environment)
        status = recording.frames[-1][1]
        recording.play("twtunectl top", [binary("twtunectl"), "top"], TOP_SECONDS, keys=b"q", env=environment)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, 15)
        os.waitpid(child, 0)
        bus.stop()
    return recording, status


def text_of(rows):
    return "\n".join("".join(cell[0] for cell in row).rstrip() for row in rows)


def used(rows):
    """Without the empty lines at the end."""
    rows = list(rows)
    while rows and not any(cell[0].strip() for cell in rows[-1]):
        rows.pop()
    return rows


def main():
    sweep()
    recording, status = record()
    last = next(rows for _, rows in reversed(recording.frames) if "quit" in text_of(rows))
    end = next(n for n, (_, rows) in enumerate(recording.frames) if rows is last)
    frames = recording.frames[:end + 1]
    for name, text in ("changed", text_of(status)), ("tcp_tw_reuse", text_of(last)):
        if not re.search(name, text):
            sys.exit(f"terminal: no {name!r} in:\n{text}")
    directory = ROOT / "docs"
    pictures = {
        "terminal": screen.draw(frames, "two hosts under the same load, one of them with twtuned", frames[-1][0] + 3),
        "status": screen.draw([(0, used(status))], "twtunectl"),
        "top": screen.draw([(0, last)], "twtunectl top"),
    }
    for name, picture in pictures.items():
        (directory / f"{name}.svg").write_text(picture)
        print(f"{directory}/{name}.svg: {len(picture):,} bytes")
    print(f"{len(frames)} frames, {frames[-1][0] + 3:.0f} s")


if __name__ == "__main__":
    main()
