#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""twtunectl and the D-Bus interface: the real daemon in a network namespace, on a bus of our own with the policy file
that is shipped. What one writes as JSON, Python's own parser reads."""

import csv
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "netns"))
from harness import (POLICY, ROOT, ChurnHold, ChurnServer, Pair, Program, Single, Twtuned, binary, check,  # noqa: E402
                     check_equal, fields, main, message, temp_dir, temp_policy, test)

REUSE, DELAY = "net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_tw_reuse_delay"
# established, because the TIME_WAIT sockets that the connections leave use ports, too. For the clock of the second rule
# the sockets are looked at in every tick: what else is enough to decide is not read.
HOLDS = f"""
[daemon]
interval = 100ms
[limits]
min_interval = 100ms
[rule some]
description = ten connections
when = ports.used >= 10
when = tcp.established >= 10
until = tcp.established < 1 for 200ms
set = {REUSE} = 1
set = {DELAY} = 250
[rule other]
when = ports.used >= 10 for 1h
when = tcp.close_wait >= 1000 for 5s
advise = look at it
"""

BUS = """<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>
  <include>{policy}</include>
</busconfig>
"""

OPEN_POLICY = """<busconfig><policy context="default">
<allow own_prefix="org.twtuned1"/><allow send_destination_prefix="org.twtuned1"/>
</policy></busconfig>
"""


def wait_until(condition, what, timeout=10):
    """Returns what the condition gives, as soon as that is true."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        check(time.monotonic() < deadline, f"not within {timeout} s: {what}")
        time.sleep(0.02)
    return value


class Bus:
    """A system bus; the rules of who may do what are the distribution's, and ours."""

    def __init__(self, policy=ROOT / "systemd" / "org.twtuned1.conf"):
        self.directory = temp_dir()
        for directory in (self.directory, self.directory.parent):
            directory.chmod(0o755)
        self.socket = self.directory / "bus"
        self.config = self.directory / "bus.conf"
        self.config.write_text(BUS.format(socket=self.socket, policy=policy))
        self.start()

    def start(self):
        self.socket.unlink(missing_ok=True)
        argv = ["setpriv", "--pdeathsig=KILL", "dbus-daemon", f"--config-file={self.config}", "--nofork", "--nopidfile"]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self.socket.exists, "the bus listens")

    def stop(self):
        self.process.kill()
        self.process.wait()


class Host:
    """A pair of namespaces, ten open connections, and a twtuned on a bus that holds two sysctls for them."""

    def __init__(self, policy=HOLDS, load=True, instance=None, bus_policy=None, **options):
        self.bus = Bus(bus_policy) if bus_policy else Bus()
        self.policy, self.load, self.instance, self.options = temp_policy(policy), load, instance, options

    def __enter__(self):
        self.pair = Pair().__enter__()
        self.client = self.pair.client
        ChurnServer(self.pair.server, self.pair.server.ip4)
        if self.load:
            self.connections = ChurnHold(self.client, self.pair.server.ip4, count=10)
        self.twtuned = Twtuned(self.client, self.policy, bus=self.bus.socket, instance=self.instance, **self.options)
        wait_until(lambda: self.ctl("status", check=False).returncode == 0, "it is on the bus")
        if self.load:
            self.twtuned.wait_for(f"^applied: .*SYSCTL={DELAY} ", 10)
        return self

    def __exit__(self, *_):
        self.pair.remove()
        self.bus.stop()

    def argv(self, *args):
        named = [f"--instance={self.instance}"] if self.instance else []
        return [binary("twtunectl"), *named, *args]

    def env(self, **more):
        return os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.bus.socket}", "LC_ALL": "C.UTF-8"} | more

    def ctl(self, *args, check=True, nobody=False, **more):
        prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if nobody else []
        run = subprocess.run([*prefix, *self.argv(*args)], text=True, capture_output=True, timeout=60,
                             stdin=subprocess.DEVNULL, env=self.env(**more))
        if check and run.returncode:
            raise AssertionError(f"twtunectl {' '.join(args)}: {run.returncode}: {run.stderr}")
        return run

    def json(self, *args):
        return json.loads(self.ctl(*args, "--json").stdout)

    def sysctls(self):
        return self.client.sysctl(REUSE), self.client.sysctl(DELAY)

    def owner(self, name):
        return next(s for s in self.json("status")["sysctls"] if s["name"] == name)


def check_text(text, *regexes):
    for regex in regexes:
        check(re.search(regex, text, re.M), f"no {regex!r} in:\n{text}")


# ---- what reads ----

@test("status: what is held, since whose value it is, and the same as JSON", beside=True)
def _():
    with Host() as host:
        wait_until(lambda: host.json("status")["state"] == "acting", "acting")
        text = host.ctl("status").stdout
        check_text(text, r"^● twtuned \S+: acting: 2 sysctls changed", r"^   Mode: enforce, every 0.1 s$",
                   rf"^  {re.escape(REUSE)} +1 +twtuned, rule some; it was 2$", r"^  some: ten connections$",
                   r"^    holds net.ipv4.tcp_tw_reuse = 1, net.ipv4.tcp_tw_reuse_delay = 250$",
                   r"10\.77\.0\.1->10\.77\.0\.2:8080 .* 10 ")
        check("\033" not in text, f"colours in a pipe: {text!r}")
        status = host.json("status")
        check_equal((status["mode"], status["paused"], status["interval"]), ("enforce", False, 0.1), "JSON")
        held = host.owner(REUSE)
        check_equal((held["value"], held["original"], held["owner"], held["rules"]), ("1", "2", "twtuned", ["some"]),
                    REUSE)
        used = next(m for m in status["metrics"] if m["name"] == "ports.used")
        check_equal((used["value"], used["state"]), (10, "valid"), "ports.used")
        check_equal(status["destinations"][0]["name"], "10.77.0.1->10.77.0.2:8080", "busiest")


@test("who owns a sysctl: the kernel, someone else, and someone else after a change of ours", beside=True)
def _():
    with Host(load=False) as host:
        check_equal(host.owner(REUSE)["owner"], "kernel default", REUSE)
        host.client.sysctl(DELAY, "700")
        wait_until(lambda: host.owner(DELAY)["owner"] == "someone else", "its owner is someone else")
        check_equal(host.owner(DELAY)["rearm"], False, "rearm, of what was never ours")
    with Host() as host:
        host.client.sysctl(REUSE, "0")
        host.twtuned.wait_for("^overridden: ", 5)
        wait_until(lambda: host.owner(REUSE)["rearm"], "it can be taken back")
        check_text(host.ctl("status").stdout, rf"{re.escape(REUSE)} +0 +someone else; .*twtunectl rearm {re.escape(REUSE)}$")


@test("rules and explain: each condition, its value against the threshold, and for whom", beside=True)
def _():
    with Host() as host:
        check_text(host.ctl("rules").stdout, r"^some +active +holds ", r"^other +idle +\"ports.used >= 10 for 1h\" has held for \d+s$")
        rules = {rule["name"]: rule for rule in host.json("rules")}
        check_equal({name: rule["state"] for name, rule in rules.items()}, {"some": "active", "other": "idle"}, "states")
        some = host.json("explain", "some")
        check_equal([(c["text"], c["holds"], c["value"], c["whose"]) for c in some["when"]],
                    [("ports.used >= 10", True, 10, "10.77.0.1->10.77.0.2:8080"), ("tcp.established >= 10", True, 10, None)],
                    "when")
        check_equal([(c["text"], c["holds"]) for c in some["until"]], [("tcp.established < 1 for 200ms", False)], "until")
        check_text(host.ctl("explain", "some").stdout, r"^some: ten connections$", r"^  active: holds ",
                   r"^  ✓ ports.used >= 10: 10, 10\.77\.0\.1->10\.77\.0\.2:8080$",
                   r"^  ✗ tcp.established < 1 for 200ms: 10$", rf"^  {re.escape(REUSE)} = 1: lets connect")
        check_text(host.ctl("explain", "other").stdout, r"^  ✗ tcp.close_wait >= 1000 for 5s: 0$", r"^  look at it$")
        for name in (REUSE, "tcp_tw_reuse", "net/ipv4/tcp_tw_reuse"):
            check_text(host.ctl("explain", name).stdout, r"    is 1: twtuned, rule some; it was 2$", r"^some: ten")
        check_equal([r["name"] for r in host.json("explain", REUSE)["rules_about_it"]], ["some"], "rules about it")
        wrong = host.ctl("explain", "tw_reuse", check=False)
        check_equal(wrong.returncode, 64, "exit status")
        check_text(wrong.stderr, f"no rule and no sysctl tw_reuse, did you mean {REUSE}")
        check_text(host.ctl("explain", "some", LC_ALL="C").stdout, r"^  \+ ports.used >= 10")


@test("explain every rule and every sysctl of the shipped policy", beside=True)
def _():
    with Host(POLICY.read_text(), load=False) as host:
        names = [rule["name"] for rule in host.json("rules")]
        check(len(names) > 15, names)
        for name in names + [sysctl["name"] for sysctl in host.json("status")["sysctls"]]:
            check_equal(host.json("explain", name)["name"], name, "JSON")
            check(host.ctl("explain", name).stdout.startswith(f"{name}: "), name)
            check("null" not in host.ctl("explain", name).stdout, f"a hole in {name}")


@test("config: every value, with its file and line", beside=True)
def _():
    with Host() as host:
        lines = host.policy.read_text().splitlines()
        config = host.json("config")
        check_equal(len(config), sum(" = " in line for line in lines), "values")
        for value in config:
            check_equal(lines[value["line"] - 1], f"{value['key']} = {value['value']}", f"line {value['line']}")
            check_equal(value["file"], str(host.policy), "file")
        check_text(host.ctl("config").stdout, r"^\[rule some\]$", rf"^interval = 100ms  # {host.policy}:3$")


# ---- what changes ----

@test("pause for a time: nothing is written, what is held stays; then all goes on", beside=True)
def _():
    with Host() as host:
        host.ctl("pause", "2s")
        host.connections.stop()
        time.sleep(1)
        check_equal(host.sysctls(), ("1", "250"), "sysctls while paused")
        check_text(host.ctl("status").stdout, "paused: nothing is written, 2 sysctls held", "^ Paused: for [01]s more")
        wait_until(lambda: host.sysctls() == ("2", "1000"), "put back when the pause is over", 5)
        said = host.twtuned.wait_for("^degraded: paused for 2s, by request.*", 1)[0]
        check_equal(message(said), "degraded: paused for 2s, by request (uid 0): nothing is written, and what is held stays",
                    "the log")


@test("pause until resume", beside=True)
def _():
    with Host(load=False) as host:
        host.ctl("pause")
        check_equal(host.json("status")["paused_for"], None, "paused_for")
        with ChurnHoldBeside(host):
            time.sleep(0.5)
            check_equal(host.sysctls(), ("2", "1000"), "sysctls while paused")
            check_equal(host.json("explain", "some")["state"], "ready", "the rule")
            host.ctl("resume")
            wait_until(lambda: host.sysctls() == ("1", "250"), "acts again", 5)


class ChurnHoldBeside:
    def __init__(self, host):
        self.host = host

    def __enter__(self):
        self.load = ChurnHold(self.host.client, self.host.pair.server.ip4, count=10)

    def __exit__(self, *_):
        self.load.stop()


@test("release puts one back and leaves it alone, rearm takes it again", beside=True)
def _():
    with Host() as host:
        host.ctl("release", "tcp_tw_reuse")
        check_equal(host.sysctls(), ("2", "250"), "sysctls after the release of one")
        line = host.twtuned.wait_for("^released: .*", 1)[0]
        check_equal((fields(line)["SYSCTL"], fields(line)["RULE"]), (REUSE, "some"), "the log")
        check(message(line).endswith("1 -> 2: by request (uid 0)"), line)
        time.sleep(0.5)
        check_equal(host.sysctls(), ("2", "250"), "sysctls some ticks later")
        check_equal(host.owner(REUSE)["owner"], "someone else", "owner")
        check_equal(host.ctl("rearm", DELAY, check=False).returncode, 1, "rearm of what is not left alone")

        host.ctl("release", "--all")
        check_equal(host.sysctls(), ("2", "1000"), "sysctls after release --all")
        check_equal(host.json("explain", "some")["state"], "left-alone", "the rule")
        host.ctl("rearm", REUSE)
        wait_until(lambda: host.sysctls() == ("1", "1000"), "the rule takes the one again", 5)


@test("release: what twtuned does not know or never writes, and while it only observes", beside=True)
def _():
    with Host() as host:
        for name, why in (("net.ipv4.foo", "knows no sysctl net.ipv4.foo"), ("tcp_timestamps", "never writes")):
            run = host.ctl("release", name, check=False)
            check_equal(run.returncode, 1, "exit status")
            check_text(run.stderr, why)
    with Host(load=False, args=["--observe"]) as host:
        check_text(host.ctl("release", REUSE, check=False).stderr, "only observes")


@test("each change is a signal on the bus, and so is a new status", beside=True)
def _():
    with Host(load=False) as host:
        argv = ["busctl", f"--address=unix:path={host.bus.socket}", "--json=short", "monitor", "org.twtuned1"]
        monitor = Program(host.client, argv)
        time.sleep(1)
        with ChurnHoldBeside(host):
            line = monitor.wait_for(f'"Changed".*{re.escape(DELAY)}', 10).string
            data = json.loads(line)["payload"]["data"]
            check_equal(data[:5], ["applied", DELAY, "1000", "250", "some"], "signal")
            check(data[5].startswith(f"{DELAY}: 1000 -> 250: ports.used is 10"), data[5])
            monitor.wait_for('"PropertiesChanged".*acting: 2 sysctls', 5)
        monitor.wait_for('"released".*' + re.escape(REUSE), 10)
        monitor.stop()


# ---- who may ----

@test("anyone may read, only root may change: the bus's policy", beside=True)
def _():
    with Host() as host:
        check_text(host.ctl("status", nobody=True).stdout, "acting")
        check_equal(json.loads(host.ctl("rules", "--json", nobody=True).stdout)[0]["name"], "some", "rules")
        for args in (["pause"], ["resume"], ["release", REUSE], ["release", "--all"], ["rearm", REUSE]):
            run = host.ctl(*args, nobody=True, check=False)
            check_equal((run.returncode, run.stderr), (77, "twtunectl: only root may change something\n"), str(args))
        check_equal(host.sysctls(), ("1", "250"), "sysctls")
        check_equal(host.json("status")["paused"], False, "paused")


@test("only root may change: the daemon's own lock, on a bus that lets everything pass", beside=True)
def _():
    policy = temp_dir() / "open.conf"
    policy.write_text(OPEN_POLICY)
    policy.chmod(0o644)
    with Host(bus_policy=policy) as host:
        recording = temp_dir()
        recording.chmod(0o777)
        for args in (["pause"], ["resume"], ["release", REUSE], ["release", "--all"], ["record", recording / "r.csv"]):
            check_equal(host.ctl(*map(str, args), nobody=True, check=False).returncode, 77, str(args))
        check_equal(host.sysctls(), ("1", "250"), "sysctls")
        check_equal(host.json("status")["recording"], False, "recording")
        host.ctl("pause")
        host.ctl("resume")


# ---- the bus comes and goes ----

@test("without a bus it works; the bus goes and comes back: said once, and no tick waits", beside=True)
def _():
    with Host() as host:
        host.bus.stop()
        host.twtuned.wait_for("^degraded: the bus is gone", 5)
        check_equal(host.ctl("status", check=False).returncode, 69, "exit status without a bus")
        host.connections.stop()
        wait_until(lambda: host.sysctls() == ("2", "1000"), "it acts without a bus", 5)
        time.sleep(1)
        host.bus.start()
        host.twtuned.wait_for("^recovered: the bus is back", 10)
        check_text(host.ctl("status").stdout, "healthy")
        check_equal(sum("the bus is" in line for line in host.twtuned.lines), 2, f"lines in {host.twtuned.lines}")
    with Single() as namespace:
        twtuned = Twtuned(namespace, temp_policy(HOLDS))
        twtuned.wait_for("^config-loaded", 5)
        time.sleep(0.5)
        check_equal((twtuned.stop(), len(twtuned.lines)), (0, 1), f"exit status and lines {twtuned.lines}")


@test("a bus that stops answering stops no tick", beside=True)
def _():
    with Host() as host:
        os.kill(host.bus.process.pid, signal.SIGSTOP)
        try:
            time.sleep(0.3)
            host.connections.stop()
            wait_until(lambda: host.sysctls() == ("2", "1000"), "it acts", 5)
        finally:
            os.kill(host.bus.process.pid, signal.SIGCONT)
        check_text(host.ctl("status").stdout, "healthy")


@test("a bus that does not answer from the beginning stops no tick", beside=True)
def _():
    bus = Bus()
    os.kill(bus.process.pid, signal.SIGSTOP)
    with Single() as namespace:
        twtuned = Twtuned(namespace, temp_policy(HOLDS), bus=bus.socket)
        twtuned.wait_for("^config-loaded", 5)
        twtuned.process.send_signal(signal.SIGHUP)
        twtuned.wait_for("^config-loaded", 5, since=1)
        check_equal(twtuned.stop(), 0, "exit status")
    os.kill(bus.process.pid, signal.SIGCONT)
    bus.stop()


@test("not running: it says so and how to start it, 3; an instance has a name of its own", beside=True)
def _():
    with Host(load=False, instance="web-1") as host:
        check_equal(host.json("status")["instance"], "web-1", "instance")
        check_text(host.ctl("status").stdout, r"^● twtuned@web-1 ")
        run = subprocess.run([binary("twtunectl"), "rules"], text=True, capture_output=True, env=host.env())
        check_equal((run.returncode, run.stderr), (3, "twtunectl: twtuned is not running; start it with: "
                                                      "systemctl enable --now twtuned\n"), "another instance")
        host.twtuned.stop()
        run = host.ctl("status", check=False)
        check_equal((run.returncode, run.stderr), (3, "twtunectl: twtuned@web-1 is not running; start it with: "
                                                      "systemctl enable --now twtuned@web-1\n"), "stopped")


# ---- record ----

@test("record: to a file of the caller, for as long as that runs; --replay reads it", beside=True)
def _():
    with Host() as host:
        path = temp_dir() / "storm.csv"
        recording = Program(host.client, host.argv("record", str(path)), "stderr", env=host.env())
        recording.wait_for("^recording to ", 10)
        wait_until(lambda: path.read_text().count("\n") > 5, "there are rows")
        check_equal(host.json("status")["recording"], True, "recording")
        other = host.ctl("record", str(temp_dir() / "other.csv"), check=False)
        check_equal(other.returncode, 1, "a second one")
        check_text(other.stderr, "A recording goes on already")
        check_equal(recording.stop(signal.SIGINT), 0, "exit status after Ctrl-C")
        wait_until(lambda: not host.json("status")["recording"], "it ends with who asked for it")
        rows = list(csv.DictReader(path.open()))
        check(all(float(row["ports.used"]) == 10 for row in rows), rows[0])
        size = path.stat().st_size
        time.sleep(0.5)
        check_equal(path.stat().st_size, size, "size afterwards")
        replay = subprocess.run([binary("twtuned"), f"--replay={path}", f"--config={host.policy}"], text=True,
                                capture_output=True)
        check_equal(replay.returncode, 0, f"--replay: {replay.stderr}")
        check_equal(host.ctl("record", str(path), check=False).returncode, 73, "a file with something in it")
        host.ctl("record", str(temp_dir() / "short.csv"), "--for=1s")


@test("record: no pipe, which could make a tick wait, and the daemon sees to it as well", beside=True)
def _():
    with Host(load=False) as host:
        pipe = temp_dir() / "pipe"
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        check_equal(host.ctl("record", str(pipe), check=False).returncode, 73, "exit status")
        os.close(reader)
        # What twtunectl would not send.
        script = ("import dbus, os, sys\nbus = dbus.bus.BusConnection(os.environ['DBUS_SYSTEM_BUS_ADDRESS'])\n"
                  "object = bus.get_object('org.twtuned1', '/org/twtuned1')\n"
                  "object.Record(dbus.types.UnixFd(os.pipe()[1]), dbus_interface='org.twtuned1')\n")
        run = subprocess.run(["/usr/bin/python3", "-c", script], text=True, capture_output=True, env=host.env())
        check_text(run.stderr, "Cannot record there: it is no regular file")


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
                os._exit(127)  # or it would go on as a second harness
        self.text = ""
        self.resize(rows, columns)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds):
        """What it shows in that time."""
        start, end = len(self.text), time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self.fd], [], [], left)[0]:
                break
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                break
            if not data:
                break
            self.text += data.decode(errors="replace")
        return self.text[start:]

    def wait_for(self, regex, timeout=10):
        deadline = time.monotonic() + timeout
        while not (match := re.search(regex, self.text)):
            check(time.monotonic() < deadline, f"no {regex!r} in {self.text[-2000:]!r}")
            self.read(0.1)
        return match

    def send(self, keys):
        os.write(self.fd, keys.encode())

    def finish(self, timeout=10):
        deadline = time.monotonic() + timeout
        while not (ended := os.waitpid(self.pid, os.WNOHANG))[0]:
            check(time.monotonic() < deadline, "it does not end")
            self.read(0.05)
        self.read(0.5)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(ended[1])


def plain(text):
    return re.sub(r"\033\[[?0-9;]*[a-zA-Z]", "", text)


@test("top: live, with a graph; it resizes, scrolls and quits on q, and leaves the terminal as it was", beside=True)
def _():
    with Host() as host:
        top = Terminal(host, "top")
        before = termios.tcgetattr(top.fd)
        top.wait_for(r"\033\[\?1049h")
        top.wait_for(r"twtuned: .*acting: 2 sysctls")
        top.wait_for("tcp.established +10 .*[▁▂▃▄▅▆▇█]")
        frame = plain(top.read(0.5)).split("twtuned: ")[1]
        widest = max(map(len, frame.splitlines()))
        check(60 < widest <= 100, f"{widest} columns of 100")
        check(15 < len(frame.splitlines()) <= 24, f"{len(frame.splitlines())} lines of 24")
        top.resize(10, 50)
        time.sleep(0.3)
        top.read(0.3)
        frame = plain(top.read(0.5)).split("twtuned: ")[1]
        check_equal(len(frame.splitlines()), 10, "lines when resized")
        check(max(map(len, frame.splitlines())) <= 50, frame)
        first = frame.splitlines()[2].split()[0]
        top.send("\033[B")
        top.read(0.3)
        frame = plain(top.read(0.5)).split("twtuned: ")[1]
        check(frame.splitlines()[2].split()[0] != first, f"it does not scroll: {frame}")
        top.send("q")
        after = None
        top.wait_for(r"\033\[\?1049l")
        after = termios.tcgetattr(top.fd)
        check_equal(top.finish(), 0, "exit status")
        check_equal(after, before, "the terminal's settings")


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
        check_equal(lines.process.wait(10), 3, "exit status of --json")


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
        pager = {"SYSTEMD_PAGER": "sed \"s/^/paged $LESS: /\""}
        check_text(run("rules", **pager), "^paged FRSXMK: .*some")
        check_text(run("rules", PAGER="sed 's/^/paged: /'"), "^paged: .*some")
        check("paged" not in run("rules", "--no-pager", **pager), "paged although --no-pager")
        check("paged" not in host.ctl("rules", **pager).stdout, "paged although no terminal")


# ---- the command line ----

@test("usage: what is wrong with a command line is said, 64")
def _():
    run = subprocess.run([binary("twtunectl"), "--help"], text=True, capture_output=True)
    check_equal(run.returncode, 0, "exit status of --help")
    for command in "status top rules explain history config record pause resume release rearm".split():
        check_text(run.stdout, rf"^  {command} ")
    for args in (["foo"], ["explain"], ["explain", "a", "b"], ["release"], ["release", "a", "--all"], ["pause", "soon"],
                 ["pause", "--json"], ["status", "--since=1h"], ["rules", "--for=1h"], ["rearm"], ["--foo"], ["resume", "x"],
                 ["history", "--since=then"], ["record", "/dev/null", "--for=x"]):
        run = subprocess.run([binary("twtunectl"), *args], text=True, capture_output=True)
        check_equal((run.returncode, run.stdout), (64, ""), str(args))
        check(run.stderr.startswith(("twtunectl: ", binary("twtunectl"))), run.stderr)


def complete(host, line):
    """What bash offers for the last word."""
    words = re.findall(r"=|[^\s=]+", line) + ([""] if line.endswith((" ", "=")) else [])
    script = (f"compopt() {{ :; }}; source {ROOT}/ctl/completion/twtunectl.bash\n"
              'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _twtunectl; printf "%s\\n" "${COMPREPLY[@]}"')
    env = host.env(PATH=f"{os.path.dirname(binary('twtunectl'))}:{os.environ['PATH']}")
    run = subprocess.run(["bash", "-c", script, "bash", *words], text=True, capture_output=True, env=env)
    check_equal(run.stderr, "", f"stderr of {line!r}")
    return run.stdout.split()


@test("completion: commands, options, and the names that the running daemon knows", beside=True)
def _():
    with Host() as host:
        for line, wanted in (("twtunectl re", ["record", "resume", "release", "rearm"]),
                             ("twtunectl --no", ["--no-pager"]), ("twtunectl explain ot", ["other"]),
                             ("twtunectl release net.ipv4.tcp_tw_reuse_", [DELAY]),
                             ("twtunectl --json explain so", ["some"]), ("twtunectl history --since=y", ["yesterday"]),
                             ("twtunectl record --for=10", ["10min"])):
            check_equal(complete(host, line), wanted, f"for {line!r}")
        check(REUSE in complete(host, "twtunectl rearm "), "no sysctls for rearm")
        help_text = host.ctl("--help").stdout
        check_equal(sorted(complete(host, "twtunectl ")), sorted(re.findall(r"^  ([a-z]+) ", help_text, re.M)), "commands")
        zsh = (ROOT / "ctl/completion/_twtunectl").read_text()
        for command in complete(host, "twtunectl "):
            check(f"'{command}:" in zsh, f"zsh does not know {command}")
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
        memory, files = ask_often(10)
        check_equal(ask_often(40)[1], files, "open files")
        check(resources()[0] <= memory + 128, f"RssAnon went from {memory} to {resources()[0]} kB")


if __name__ == "__main__":
    main()
