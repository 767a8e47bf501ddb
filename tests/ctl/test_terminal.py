#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""twtunectl as a person uses it: on a terminal, in a pager, with completion, and with mistakes on the command line."""

import fcntl
import json
import os
import pathlib
import pty
import re
import select
import shutil
import struct
import subprocess
import termios
import time

from ctl_host import DELAY, REUSE, Host, check_text
from harness import POLICY, PATIENCE, ChurnHold, ROOT, Program, binary, check, check_equal, main, temp_dir, test, wait_until


# ---- a terminal ----

class Terminal:
    """twtunectl on a terminal of its own."""

    def __init__(self, host, *args, rows=24, columns=100, **env):
        argv, env = host.argv(*args), host.env(**{"TERM": "xterm"} | env)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.execve(argv[0], argv, env)
            finally:
                os._exit(127)  # else it would go on as a second harness
        self.text = ""
        self.resize(rows, columns)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        """Takes what it shows within 0.1 s. False: it has ended, and all was read."""
        if not select.select([self.fd], [], [], 0.1)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # EIO: nobody has the terminal any more
            return False
        self.text += data.decode(errors="replace")
        return bool(data)

    def _wait(self, condition, what):
        deadline = time.monotonic() + PATIENCE
        while not (value := condition()):
            check(time.monotonic() < deadline, f"no {what} in {self.text[-2000:]!r}")
            if not self.read():
                time.sleep(0.1)
        return value

    def wait_for(self, regex):
        return self._wait(lambda: re.search(regex, self.text), repr(regex))

    def frame(self, what, holds=lambda lines: True):
        """Waits for a frame for which `holds` is true, and returns its lines. `top` draws one at every interval."""
        start = len(self.text)

        def find():
            frames = re.findall(r"\033\[Htwtuned: (.*?)\033\[J", self.text[start:], re.S)
            return next((lines for lines in (plain(frame).splitlines() for frame in frames) if holds(lines)), None)

        return self._wait(find, what)

    def send(self, keys):
        os.write(self.fd, keys.encode())

    def finish(self):
        self._wait(lambda: not self.read(), "end")
        ended = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(ended[1])


def plain(text):
    return re.sub(r"\033\[[?0-9;]*[a-zA-Z]", "", text)


def a_terminal(columns):
    ends = os.openpty()
    fcntl.ioctl(ends[1], termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    return ends


def piped_beside(host, columns, *args):
    """What it writes to a pipe while stderr is a terminal."""
    here, there = a_terminal(columns)
    run = subprocess.run(host.argv(*args), env=host.env(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=there,
                         text=True)
    for end in here, there:
        os.close(end)
    return run.stdout


def shown_on(host, columns, *args):
    """The lines on a terminal of so many columns, which has its size before the command begins."""
    here, there = a_terminal(columns)
    process = subprocess.Popen(host.argv(*args), env=host.env(TERM="xterm", SYSTEMD_PAGER=""), stdin=subprocess.DEVNULL,
                               stdout=there, stderr=there)
    os.close(there)
    text = b""
    try:
        while data := os.read(here, 65536):
            text += data
    except OSError:  # EIO: nobody has the terminal any more
        pass
    os.close(here)
    check(process.wait(PATIENCE) in (0, 1), text)
    return plain(text.decode()).splitlines()


@test("explain: broken at blanks to the width of the terminal; whole lines in a pipe, also beside a terminal", beside=True)
def _():
    with Host() as host:
        for name in "tcp_tw_recycle", REUSE:
            broken = shown_on(host, 80, "explain", name)
            check(max(map(len, broken)) <= 80, f"more than 80 columns in:\n{broken}")
        for whole in host.ctl("explain", REUSE).stdout, piped_beside(host, 80, "explain", REUSE):
            check(max(map(len, whole.splitlines())) > 80, f"broken:\n{whole}")
            check_equal(len(whole.split()), len(" ".join(broken).split()), "words")


@test("rules, diff, config: fit 80 columns of a terminal; whole lines in a pipe, also beside a terminal", beside=True)
def _():
    with Host(POLICY.read_text(), load=False) as host:
        for command in "rules", "diff", "config":
            lines = shown_on(host, 80, command)
            check(max(map(len, lines)) <= 80, f"{command}: {[line for line in lines if len(line) > 80]}")
            for whole in host.ctl(command, check=False).stdout, piped_beside(host, 80, command):
                check(max(map(len, whole.splitlines())) > 80, f"{command}: nothing to fit in:\n{whole}")
                check("…" not in whole, whole)
        names = [line.split()[0] for line in shown_on(host, 80, "rules") if not line.startswith(" ")]
        check_equal(names, [rule["name"] for rule in host.json("rules")], "rules on a terminal")


@test("top: live, with a graph; it resizes, scrolls and quits on q, and leaves the terminal as it was", beside=True)
def _():
    with Host() as host:
        ends = os.openpty()
        before = termios.tcgetattr(ends[0])  # the settings of a new terminal
        for end in ends:
            os.close(end)
        top = Terminal(host, "top")
        top.wait_for(r"\033\[\?1049h")
        top.wait_for(r"twtuned: .*acting: 2 sysctls")
        top.wait_for(" 10\\S* tcp.established .*───\\S* 10")  # a constant is a line
        frame = top.frame("frame")
        widest = max(map(len, frame))
        check(60 < widest <= 100, f"{widest} columns of 100")
        check(15 < len(frame) <= 24, f"{len(frame)} lines of 24")
        text = "\n".join(frame)
        check_text(text, r"^RULES AND ADVICE\n\* some  holds net.ipv4.tcp_tw_reuse = 1",
                   r"^DESTINATIONS.*\n10\.77\.0\.1->10\.77\.0\.2:8080 +\[ +\] 0 % of 14\d+; 10 in use",
                   r"^CHANGED SYSCTLS\nnet\.ipv4\.tcp_tw_reuse = 1, it was 2; rule some$",
                   r"^METRICS.*\n +<= \d+ tcp\.time_wait .*\n +10 tcp\.established ")
        for rows, columns in (24, 80), (50, 200):
            top.resize(rows, columns)
            frame = top.frame(f"frame of {columns} columns", lambda lines: columns * 0.7 < max(map(len, lines)) <= columns)
            check(len(frame) <= rows, frame)
        top.resize(10, 50)
        frame = top.frame("frame of 10 lines", lambda lines: len(lines) == 10)
        check(max(map(len, frame)) <= 50, frame)
        first = frame[2].split()[0]
        top.resize(6, 25)
        frame = top.frame("frame of 6 lines", lambda lines: len(lines) == 6)
        check(max(map(len, frame[1:-1])) <= 25, frame)
        top.resize(10, 50)
        top.send("\033[B")
        top.frame("frame that is scrolled", lambda lines: len(lines) == 10 and lines[2].split()[0] != first)
        top.send("q")
        top.wait_for(r"\033\[\?1049l")
        wait_until(lambda: termios.tcgetattr(top.fd) == before, "the terminal's settings are as before")
        check_equal(top.finish(), 0, "exit status")


@test("top: TIME_WAIT and ESTABLISHED have at least an upper bound and its graph, whatever the rules ask for", beside=True)
def _():
    with Host(POLICY.read_text(), load=False) as host:
        connections = ChurnHold(host.client, host.pair.server.ip4, count=10)
        top = Terminal(host, "top")
        for name in r"tcp\.time_wait", r"tcp\.established":
            top.frame(f"bound of {name}",
                      lambda lines: any(re.search(rf"^ +<= \d+ {name} .*[─▁▂▃▄▅▆▇█]", line) for line in lines))
        shown = wait_until(lambda: (s := {m["name"]: m for m in host.json("status")["metrics"]}) and
                           s["tcp.established"]["upper"] >= 10 and s, "the tick after they were opened")
        check(shown["tcp.established"]["value"] <= 10, shown["tcp.established"])
        check_equal((shown["tcp.time_wait"]["state"], shown["tcp.time_wait"]["value"]), ("bounded", 0), "TIME_WAIT")
        check_equal(shown["tcp.close_wait"]["state"], "invalid", "what nobody asks for")
        top.send("q")
        check_equal(top.finish(), 0, "exit status")
        connections.stop()


@test("top: ends with 3 and says why when the daemon stops; --json is a line each time", beside=True)
def _():
    with Host() as host:
        top = Terminal(host, "top")
        top.wait_for("tcp.established")
        lines = Program(host.client, host.argv("top", "--json"), env=host.env())
        wait_until(lambda: len(lines.lines) >= 3, "three lines")
        values = [next(m for m in json.loads(line)["metrics"] if m["name"] == "ports.used")["value"]
                  for line in lines.lines[:3]]
        check_equal(values, [10, 10, 10], "ports.used")
        check_equal(host.ctl("top", check=False).returncode, 64, "without a terminal")
        host.twtuned.stop()
        check_equal(top.finish(), 3, "exit status")
        check_text(top.text.split("\033[?1049l")[1], "twtuned is not running")
        check_equal(lines.process.wait(PATIENCE), 3, "exit status of --json")


@test("colours and the pager: on a terminal only, and as the environment says", beside=True)
def _():
    with Host() as host:
        def run(*args, **env):
            terminal = Terminal(host, *args, **env)
            check_equal(terminal.finish(), 0, f"exit status: {terminal.text}")
            return terminal.text

        check("\033[32m" in run("rules", SYSTEMD_PAGER="cat"), "no colours on a terminal")
        for env in ({"NO_COLOR": "1"}, {"SYSTEMD_COLORS": "0"}, {"TERM": "dumb"}):
            check("\033[" not in run("rules", SYSTEMD_PAGER="", **env), f"colours although {env}")
        check("\033[32m" in host.ctl("rules", SYSTEMD_COLORS="1").stdout, "no colours with SYSTEMD_COLORS=1")
        for args in ["status"], ["config"], ["rules"], ["diff"], ["explain", REUSE], ["explain", "some"]:
            for line in host.ctl(*args, check=False, SYSTEMD_COLORS="1").stdout.splitlines():
                check("\033[0m" in line[1:] or "\033" not in line, f"a colour that does not end in its line: {line!r}")
        pager = {"SYSTEMD_PAGER": "sed \"s/^/paged $LESS: /\""}
        check_text(run("rules", **pager), "^paged FRSXMK: .*some")
        check_text(run("rules", PAGER="sed 's/^/paged: /'"), "^paged: .*some")
        nothing_but_cat = temp_dir()
        (nothing_but_cat / "cat").symlink_to(shutil.which("cat"))
        check_text(run("rules", PATH=str(nothing_but_cat)), "some.*active")
        for _ in range(10):
            run("rules", SYSTEMD_PAGER="true")  # a person leaves the pager before it has read everything
        check("paged" not in run("rules", "--no-pager", **pager), "paged although --no-pager")
        check("paged" not in host.ctl("rules", **pager).stdout, "paged although no terminal")


# ---- the command line ----

def twtunectl(*args, **env):
    return subprocess.run([binary("twtunectl"), *args], text=True, capture_output=True, env=os.environ | env)


@test("usage: what is wrong with a command line is said, 64", beside=True)
def _():
    run = twtunectl("--help")
    check_equal(run.returncode, 0, "exit status of --help")
    for command in "status top rules explain history config record pause resume release rearm".split():
        check_text(run.stdout, rf"^  {command} ")
    for args in (["foo"], ["explain"], ["explain", "a", "b"], ["release"], ["release", "a", "--all"],
                 ["pause", "soon"], ["pause", "--json"], ["status", "--since=1h"], ["rules", "--for=1h"], ["rearm"],
                 ["--foo"], ["-x"], ["--help=x"], ["history", "-n"], ["history", "-n", "0"], ["history", "--lines=x"],
                 ["rules", "--lines=5"], ["pause", "5 minutes later"], ["pause", "5 minutes ago"], ["pause", "9999d"],
                 ["resume", "x"], ["record", "/dev/null", "--for=x"]):
        run = twtunectl(*args)
        check_equal((run.returncode, run.stdout), (64, ""), str(args))
        check(run.stderr.startswith("twtunectl: "), run.stderr)
    for args, hint in ((["stauts"], "status"), (["--jsn"], "--json"), (["history", "--sincee=2h"], "--since")):
        run = twtunectl(*args)
        check_equal(run.returncode, 64, str(args))
        check(f"did you mean {hint}?" in run.stderr, run.stderr)
    for args in (["-V"], ["--version"], ["-h"], ["--help"], ["help"], ["help", "top"]):
        run = twtunectl(*args)
        check_equal((run.returncode, run.stderr), (0, ""), str(args))
        check(run.stdout.startswith("twtunectl "), run.stdout)


@test("history --since: a time that does not exist is an error that says what to write", beside=True)
def _():
    for time in ("then", "25:00", "24:00", "10:60", "10:00 tomorrow", "2026-02-31", "2026-02-29 10:00", "2026-04-31",
                 "2026-13-01", "2026-00-10", "2026-01-00", "2026-11-21 25:00", "2026-11-21 10:61", "2026-11-21 10:00:60",
                 "2026-11-21x", "26-11-21", "0000-01-01", "1969-12-31", "today x", "2h x", ""):
        run = twtunectl("history", f"--since={time}")
        check_equal((run.returncode, run.stdout), (64, ""), time)
        check_equal(run.stderr, f"twtunectl: invalid time '{time}': write 2h, 10:00, today, 2026-11-21 or "
                                "\"2026-11-21 10:00\"\n", time)
    # In Beirut, clocks went from 23:59:59 to 01:00 then.
    for time, zone in (("2024-02-29", "UTC"), ("2026-11-21 23:59:59", "UTC"), ("1970-01-01", "Asia/Tokyo"),
                       ("2024-03-31", "Asia/Beirut"), ("00:00", "UTC"), ("today", "UTC"), ("yesterday", "UTC"),
                       ("90 min ago", "UTC")):
        check_equal(twtunectl("history", f"--since={time}", TZ=zone).returncode, 0, time)


CLIFF = ["ports.cliff", "ports.cliff_eta"]


def complete_in_fish(host, line):
    """What fish offers for the last word."""
    program = line.split()[0]
    env = host.env(PATH=f"{os.path.dirname(binary('twtunectl'))}:{os.environ['PATH']}", HOME=temp_dir())
    run = subprocess.run(["fish", "-c", f"source {ROOT}/ctl/completion/{program}.fish; complete -C '{line}'"],
                         text=True, capture_output=True, env=env)
    check_equal(run.stderr, "", f"stderr of {line!r}")
    return [offer.split("\t")[0] for offer in run.stdout.splitlines()]


def complete(host, line):
    """What bash offers for the last word."""
    program = line.split()[0]
    words = re.findall(r"=|[^\s=]+", line) + ([""] if line.endswith((" ", "=")) else [])
    script = (f"compopt() {{ :; }}; source {ROOT}/ctl/completion/{program}.bash\n"
              'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _PROGRAM; printf "%s\\n" "${COMPREPLY[@]}"')
    env = host.env(PATH=f"{os.path.dirname(binary('twtunectl'))}:{os.environ['PATH']}")
    run = subprocess.run(["bash", "-c", script.replace("_PROGRAM", f"_{program}"), "bash", *words], text=True, capture_output=True, env=env)
    check_equal(run.stderr, "", f"stderr of {line!r}")
    return run.stdout.split()


@test("completion: commands, options, and the names that the running daemon knows", beside=True)
def _():
    with Host() as host:
        for line, wanted in (("twtunectl re", ["record", "resume", "release", "rearm"]),
                             ("twtunectl --no", ["--no-pager"]), ("twtunectl explain ot", ["other"]),
                             ("twtunectl --verb", ["--verbose"]), ("twtunectl explain ports.cliff", CLIFF),
                             ("twtunectl history -v exp", []), ("twtunectl history -n ", []),
                             ("twtunectl release net.ipv4.tcp_tw_reuse_", [DELAY]),
                             ("twtunectl --json explain so", ["some"]), ("twtunectl history --since=y", ["yesterday"]),
                             ("twtunectl record --for=10", ["10min"])):
            check_equal(complete(host, line), wanted, f"for {line!r}")
        check(REUSE in complete(host, "twtunectl rearm "), "no sysctls for rearm")
        help_text = host.ctl("--help").stdout
        check_equal(sorted(complete(host, "twtunectl ")), sorted(re.findall(r"^  ([a-z]+) ", help_text, re.M)),
                    "commands")
        for line, wanted in (("twtunectl re", ["rearm", "record", "release", "resume"]),
                             ("twtunectl explain ot", ["other"]), ("twtunectl explain ports.cliff", CLIFF),
                             ("twtunectl history --verb", ["--verbose"]), ("twtunectl release net.ipv4.tcp_tw_reuse_", [DELAY]),
                             ("twtunectl history --since=y", ["--since=yesterday"])):
            check_equal(sorted(complete_in_fish(host, line)), wanted, f"in fish for {line!r}")
        check_equal(sorted(complete(host, "twtunectl ")), sorted(complete_in_fish(host, "twtunectl ")), "fish")
        for program in "twtuned", "twtunectl":
            text = subprocess.run([binary(program), "--help"], text=True, capture_output=True).stdout
            options = set(re.findall(r"(--[a-z-]+)", text)) - ({"--replay"} if program == "twtunectl" else set())
            check_equal({o.rstrip("=") for o in complete(host, f"{program} --")}, options, f"options of {program}")
            seen = {o.rstrip("=") for o in complete_in_fish(host, f"{program} --")}
            check_equal(seen | {"--lines"}, options | {"--lines"}, f"options of {program} in fish")
            zsh = (ROOT / f"ctl/completion/_{program}").read_text()
            check_equal(set(re.findall(r"(--[a-z-]+)[=\[}]", zsh)) - {"--no-legend"}, options, f"zsh, {program}")
            subprocess.run(["zsh", "-n", ROOT / f"ctl/completion/_{program}"], check=True)
        check_equal(complete(host, f"twtuned --check {ROOT}/READM"), [f"{ROOT}/README.md"], "a file to check")
        zsh, fish = ((ROOT / "ctl/completion" / name).read_text() for name in ("_twtunectl", "twtunectl.fish"))
        commands = re.findall(r"^  ([a-z]+) +(?:[^a-z\s]\S* +)*([a-z].*)$", help_text, re.M)
        check_equal(re.findall(r"^        '([a-z]+):(.*)'$", zsh.replace("\\:", ":"), re.M), commands, "commands in zsh")
        check_equal([(n, d[0].lower() + d[1:]) for n, d in re.findall(r"-n \$none -a (\w+) -d '(.*)'", fish)], commands,
                    "commands in fish")
        for shell, text in (("zsh", zsh), ("fish", fish)):
            for letter in set(re.findall(r"^  -(\w) --", help_text, re.M)):
                check(re.search(rf"[{{ ](-s {letter} |-{letter},)", text), f"{shell} does not know -{letter}")
        for what in "rules", "sysctls", "metrics":
            check(re.search(rf"explain\).* __twtunectl_{what}\b", zsh), f"zsh offers no {what} for explain")
        host.twtuned.stop()
        check_equal(complete(host, "twtunectl explain "), [], "without a daemon")


@test("asked again and again it stays as small as it was, and leaks no file", beside=True)
def _():
    with Host() as host:
        def resources():
            status = pathlib.Path(f"/proc/{host.twtuned.pid}/status").read_text()
            return int(re.search(r"RssAnon:\s+(\d+)", status)[1]), len(os.listdir(f"/proc/{host.twtuned.pid}/fd"))

        def ask():
            host.json("status")
            host.ctl("release", "net.ipv4.foo", check=False)
            host.ctl("rearm", REUSE, check=False)
            host.ctl("pause", nobody=True, check=False)
            host.ctl("record", str(temp_dir() / "r.csv"), "--for=1ms")
        def ask_often(times):
            for _ in range(times):
                ask()
            wait_until(lambda: not host.json("status")["recording"], "the recordings have ended")
            return resources()
        files = resources()[1]
        memory, _ = ask_often(10)
        ask_often(40)
        wait_until(lambda: resources()[1] <= files, "the daemon has closed what it opened for a client")
        check(resources()[0] <= memory + 128, f"RssAnon went from {memory} to {resources()[0]} kB")


if __name__ == "__main__":
    main()
