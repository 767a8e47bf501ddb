#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""twtunectl and the D-Bus interface, as ctl_host.py sets them up: what each command shows and does, who may, and a bus
that comes and goes. What is written as JSON, Python's own parser reads."""

import contextlib
import csv
import json
import os
import re
import signal
import socket
import subprocess
import threading

import jsonschema

from ctl_host import (CALLS_LAST, DELAY, HOLDS, LOGIN, OPEN_POLICY, REUSE, Bus, ChurnHoldBeside, Host,
                      check_text)
from harness import (POLICY, ROOT, Program, Single, Twtuned, binary, check, check_equal, fields, main, message,
                     temp_dir, temp_policy, test, wait_until)
from sockets import Unit, keep_time_wait, states
from ticks import Ticking


def forward(here, there):
    with contextlib.suppress(OSError):  # the end of the test
        while data := here.recv(65536):
            there.sendall(data)


# ---- what reads ----

@test("status: what is held, since when, whose value it is, and the same as JSON", beside=True)
def _():
    with Host() as host:
        wait_until(lambda: host.json("status")["state"] == "acting", "acting")
        text = host.status()
        order = [r"● twtuned \S+, enforcing, up \d+s$", r"  acting: 2 sysctls changed for 10\.77\.0\.1->10\.77\.0\.2:8080",
                 rf"  changed   {re.escape(REUSE)} 2 -> 1, for \d+s, rule some$",
                 rf"  changed   {re.escape(DELAY)} 1000 -> 250, for \d+s, rule some$",
                 r"  for       10\.77\.0\.1->10\.77\.0\.2:8080", r"  until     tcp.established < 1 for 200ms \(now 10\)$",
                 r"  do        nothing: twtuned gives it back by itself$",
                 r"  fullest   10\.77\.0\.1->10\.77\.0\.2:8080", r"            10 of 14,\d+ even ports \(0 %\), 0 connects/s$"]
        # On a busy machine the daemon is looking at the sockets less often, and says so.
        lines = re.sub(r", looking at the sockets every .* \(cpu_budget\)", "", text).splitlines()
        check_equal(len(lines), len(order), text)
        for line, regex in zip(lines, order):
            check(re.match(regex, line), f"no {regex!r} at its place in:\n{text}")
        check(max(map(len, lines)) <= 100, text)
        check("\033" not in text, f"colours in a pipe: {text!r}")
        status = host.json("status")
        check_equal((status["mode"], status["paused"], status["interval"]), ("enforce", False, 0.1), "JSON")
        held = host.owner(REUSE)
        check_equal((held["value"], held["original"], held["owner"], held["rules"]), ("1", "2", "twtuned", ["some"]),
                    REUSE)
        used = next(m for m in status["metrics"] if m["name"] == "ports.used")
        check_equal((used["value"], used["state"]), (10, "valid"), "ports.used")
        check_equal(status["destinations"][0]["name"], "10.77.0.1->10.77.0.2:8080", "busiest")
        check_equal([(c["sysctl"], c["was"], c["now"], c["rule"], c["destination"]) for c in status["changes"]],
                    [(REUSE, "2", "1", "some", "10.77.0.1->10.77.0.2:8080"),
                     (DELAY, "1000", "250", "some", "10.77.0.1->10.77.0.2:8080")], "changes")
        check_equal((status["advice"], [rule["name"] for rule in status["rules"]]), ([], ["some", "other"]), "the rest")
        # What it says is what ss says.
        used = host.client.run(["ss", "-Htan", "dst", "10.77.0.2:8080"]).stdout.splitlines()
        odd = sum(int(line.split()[3].rsplit(":", 1)[1]) % 2 for line in used)
        check_equal(status["destinations"][0]["parity_used"], max(odd, len(used) - odd), "ports of one parity")


CLOSEST = """
[daemon]
interval = 100ms
cpu_budget = 100%
[rule soon]
when = tcp.established >= 10 for 1h
advise = look at it
[rule switched]
when = ports.used >= 1
when = tcp.timestamps < 1
advise = look at it
[rule far]
when = tcp.established >= 40
advise = look at it
"""


@test("status: the closest rule, and why it does not act; a switch that is on is not close to off", beside=True)
def _():
    with Host(CLOSEST, load=False) as host:
        with ChurnHoldBeside(host):
            why = r'soon: "tcp.established >= 10 for 1h" has held for \d+s$'
            wait_until(lambda: re.search("^  closest   " + why, host.ctl("status").stdout, re.M), f"closest is {why}")
    # Without the first rule, the one that is at a quarter.
    with Host(CLOSEST.replace("for 1h", "for 1h\nwhen = tcp.close_wait >= 1000"), load=False) as host:
        with ChurnHoldBeside(host):
            wait_until(lambda: re.search("^  closest   far, at 25 % of its threshold$",
                                         host.ctl("status").stdout, re.M), "closest is far")


@test("status on a healthy host: the fullest destination, because someone asks; later its age", beside=True)
def _():
    with Host(POLICY.read_text(), load=False) as host:
        with ChurnHoldBeside(host):
            wait_until(lambda: host.json("status")["destinations"], "a client causes a look")
            status = host.json("status")
            ports = [int(line.split()[3].rsplit(":", 1)[1])
                     for line in host.client.run(["ss", "-Htan", "dst", "10.77.0.2:8080"]).stdout.splitlines()]
            odd = sum(port % 2 for port in ports)
            destination = status["destinations"][0]
            check_equal((destination["name"], destination["parity_used"]),
                        ("10.77.0.1->10.77.0.2:8080", max(odd, len(ports) - odd)), "what ss says")
            host.twtuned.ticks(2)
            text = host.ctl("status").stdout
            check_text(text, r"^  fullest   10\.77\.0\.1->10\.77\.0\.2:8080",
                       rf"^            {destination['parity_used']} of 14,\d+ even ports \(0 %\), "
                       r"0 connects/s, seen \d+s ago$", r"^  closest   \S+, at \d+ % of its threshold$")
            check(max(map(len, text.splitlines())) <= 80, text)
            check_equal(host.json("status")["look_pending"], False, "pending so soon after")


FULL = """
[daemon]
interval = 100ms
cpu_budget = 100%
[rule look]
when = ports.used >= 1 for 1h
when = tcp.close_wait >= 1000 for 5s
advise = look at it
"""


@test("status: connect() fails now, because all ports toward a destination are taken; it does, and then it does not")
def _():
    with Host(FULL, load=False) as host:
        connect = ["python3", "-c", "import socket; socket.create_connection(('10.77.0.2', 8080)).close()"]
        host.client.sysctl("net.ipv4.ip_local_port_range", "32768 32777")
        with ChurnHoldBeside(host):
            wait_until(lambda: any(d["connect_fails"] for d in host.json("status")["destinations"]), "connect() fails")
            check_text(host.ctl("status").stdout, r"^  wrong     connect\(\) fails now toward 10\.77\.0\.1->10\.77\.0\.2:8080",
                       r"^            all 10 ports are taken \(EADDRNOTAVAIL\)")
            failed = host.client.run(connect, check=False)
            check("Cannot assign requested address" in failed.stderr, failed.stderr)
            host.client.sysctl("net.ipv4.ip_local_port_range", "32768 32787")
            wait_until(lambda: not any(d["connect_fails"] for d in host.json("status")["destinations"]), "it does not")
            check("fails" not in host.ctl("status").stdout, "it fails still")
            host.client.run(connect)


TWO = """
[daemon]
interval = 100ms
cpu_budget = 100%
[rule here]
for-destination = 10.77.0.0/24:8080
when = ports.used >= 10
advise = look at it
[rule elsewhere]
for-destination = 10.77.0.3
for-destination = 10.77.0.2:443
when = ports.used >= 10
advise = look at it
[rule of-a-unit]
for-unit = tw-test-none user@1000.service/app.service
when = ports.used >= 10
advise = look at it
"""


@test("explain: the destinations that a rule is for; it acts for these and for no other", beside=True)
def _():
    with Host(TWO, load=False) as host:
        with ChurnHoldBeside(host):
            wait_until(lambda: host.json("explain", "here")["state"] == "active", "it acts for its destination")
            check_equal(host.json("explain", "elsewhere")["state"], "idle", "the other rule")
            check_equal(host.json("explain", "elsewhere")["for_destinations"], ["10.77.0.3", "10.77.0.2:443"], "JSON")
            check_text(host.ctl("explain", "elsewhere").stdout,
                       r"^  only for destinations at 10\.77\.0\.3, 10\.77\.0\.2:443$")
            units = host.json("explain", "of-a-unit")
            check_equal((units["state"], units["for_units"]),
                        ("idle", ["tw-test-none.service", "user@1000.service/app.service"]), "the rule of a unit")
            check_text(host.ctl("explain", "of-a-unit").stdout,
                       r"^  only for destinations of tw-test-none\.service, user@1000\.service/app\.service$")
            check_schema(host.json("explain", "here"), schema_of("rule"))


# Opens short connections, which leave TIME_WAIT; after SIGUSR1 one that stays open.
SHORT = """
import signal, socket, sys
def connect():
    return socket.create_connection((sys.argv[1], 8080))
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
for _ in range(20):
    connect().close()
print("ready", flush=True)
signal.sigwait({signal.SIGUSR1})
kept = connect()
signal.pause()
"""
UNKNOWN = """
[daemon]
interval = 100ms
cpu_budget = 100%
[rule known-later]
when = ports.used >= 10
until = ports.used < 5 for 1h
advise = look at it
"""


@test("a unit that the first record does not know is in status, rules and JSON once a live socket is met", beside=True)
def _():
    with Unit() as unit:
        programs = []

        def before(host):
            keep_time_wait(host.client)
            programs.append(unit.python(host.client, SHORT, host.pair.server.ip4))
            wait_until(lambda: states(host.client).get("time_wait") == 20, "TIME_WAIT alone")
        with Host(UNKNOWN, load=False, before=before) as host:
            record = fields(host.twtuned.wait_for("^advice: .*RULE=known-later ").string)
            check_equal(record["CULPRIT"], "unknown", "CULPRIT of the record")
            check_equal(host.json("status")["episodes"][0]["systemd_unit"], None, "the episode")
            programs[0].process.send_signal(signal.SIGUSR1)
            wait_until(lambda: host.json("status")["episodes"][0]["systemd_unit"] == unit.name, "the episode's unit")
            wait_until(lambda: host.json("status")["status"].endswith(f":8080, {unit.name}"), "the status line")
            check_equal(host.json("explain", "known-later")["became_active"]["systemd_unit"], unit.name, "explain")
            check_text(host.ctl("advice").stdout, re.escape(unit.name))
            programs[0].stop()


AWAITS = f"""
[daemon]
interval = 100ms
cpu_budget = 100%
[limits]
min_interval = 100ms
[rule some]
when = ports.used >= 10
until = tcp.close_wait < 5 for 1h
expect = ports.reused >= 10% within 1h
set = {REUSE} = 1
"""


@test("status: no change has helped before its effect is seen; how long the end has held", beside=True)
def _():
    with Host(AWAITS, load=False) as host:
        with ChurnHoldBeside(host):
            host.twtuned.wait_for("^applied: ")
            awaited = r"^  helped    unknown yet: waiting for ports.reused >= 10% within 1h \(now .+\)$"
            wait_until(lambda: re.search(awaited, host.ctl("status").stdout, re.M), "its effect is awaited")
            check_text(host.ctl("status").stdout,
                       r"^  until     tcp.close_wait < 5 for 1h \(now 0, for \d+s so far\)$")


@test("who owns a sysctl: the kernel, someone else, and someone else after a change of ours", beside=True)
def _():
    with Host(load=False) as host:
        check_equal(host.owner(REUSE)["owner"], "kernel default", REUSE)
        host.client.sysctl(DELAY, "700")
        wait_until(lambda: host.owner(DELAY)["owner"] == "someone else", "its owner is someone else")
        check_equal(host.owner(DELAY)["rearm"], False, "rearm, of what was never ours")
    with Host() as host:
        host.client.sysctl(REUSE, "0")
        host.twtuned.wait_for("^overridden: ")
        wait_until(lambda: host.owner(REUSE)["rearm"], "it can be taken back")
        name = re.escape(REUSE)
        check_text(host.status(), rf"^  alone     {name} 0 \(someone else\): .*twtunectl rearm tcp_tw_reuse$")


@test("rules and explain: each condition, its value against the threshold, and for whom", beside=True)
def _():
    with Host() as host:
        check_text(host.ctl("rules").stdout, r"^some +active +holds ",
                   r"^other +idle +\"tcp.close_wait >= 1000 for 5s\" does not hold: it is 0$")
        rules = {rule["name"]: rule for rule in host.json("rules")}
        check_equal([(name, rule["state"]) for name, rule in rules.items()], [("some", "active"), ("other", "idle")],
                    "states")
        some = host.json("explain", "some")
        check_equal([(c["text"], c["holds"], c["value"], c["whose"]) for c in some["when"]],
                    [("ports.used >= 10", True, 10, "10.77.0.1->10.77.0.2:8080"),
                     ("tcp.established >= 10", True, 10, None)],
                    "when")
        check_equal([(c["text"], c["holds"]) for c in some["until"]], [("tcp.established < 1 for 200ms", False)],
                    "until")
        check_text(host.ctl("explain", "some").stdout, r"^some: ten connections$", r"^  active: holds ",
                   r"^It became active \d+s ago: ports.used was 10 \(>= 10\), 10\.77\.0\.1->10\.77\.0\.2:8080",
                   r"^All of these held then; values now:$", r"^    tcp.established >= 10: 10$",
                   r"^  ✗ tcp.established < 1 for 200ms: 10$", rf"^  {re.escape(REUSE)} = 1: lets connect")
        check_text(host.ctl("explain", "other").stdout, r"^  ✗ tcp.close_wait >= 1000 for 5s: 0$", r"^  look at it$")
        for name in (REUSE, "tcp_tw_reuse", "net/ipv4/tcp_tw_reuse"):
            check_text(host.ctl("explain", name).stdout, r"    is 1: twtuned, rule some; it was 2$", r"^some: ten")
        check_equal([r["name"] for r in host.json("explain", REUSE)["rules_about_it"]], ["some"], "rules about it")
        wrong = host.ctl("explain", "tw_reuse", check=False)
        check_equal(wrong.returncode, 64, "exit status")
        check_text(wrong.stderr, f"no rule, sysctl or metric is named tw_reuse, did you mean {REUSE}")
        check_text(host.ctl("explain", "other", LC_ALL="C").stdout, r"^  \+ ports.used >= 10")


@test("advice: whose it is, since when, and what to do; in status, in JSON and on its own", beside=True)
def _():
    policy = HOLDS.replace("when = ports.used >= 10 for 1h\nwhen = tcp.close_wait >= 1000 for 5s\n",
                           "when = ports.used >= 10\n")
    with Host(policy) as host:
        check_equal([(a["rule"], a["whose"], a["metric"], a["value"], a["text"]) for a in host.json("advice")],
                    [("other", "10.77.0.1->10.77.0.2:8080", "ports.used", 10, "look at it")], "advice")
        check_equal(host.json("status")["advice"][0]["rule"], "other", "in status --json")
        check_text(host.ctl("advice").stdout, r"^other: 10\.77\.0\.1->10\.77\.0\.2:8080.*: ports.used 10, for \d+s$",
                   r"^  look at it$")
        check_text(host.status(), r"advice: other toward 10\.77\.0\.1->10\.77\.0\.2:8080.*; 2 sysctls changed$",
                   r"^  wrong     other: 10\.77\.0\.1->10\.77\.0\.2:8080", r"^  changed   ", r"^  do        look at it$")
    with Host(load=False) as host:
        check_equal(host.ctl("advice").stdout, "no advice\n", "without one")


@test("observe mode says would, and names --restore where an earlier twtuned left something changed", beside=True)
def _():
    with Host(args=["--observe"]) as host:
        text = host.status()
        check_text(text, r"observing: would change 2 sysctls for ", rf"^  would set {re.escape(REUSE)} 2 -> 1, ",
                   r"^  do        to let twtuned act: start it without --observe$")
        check("changed  " not in text and "nothing: twtuned gives" not in text, text)
        check_equal(host.sysctls(), ("2", "1000"), "sysctls")
    with Host() as host:
        host.twtuned.stop(signal.SIGKILL)
        twtuned = Twtuned(host.client, host.policy, ["--observe"], bus=host.bus.socket,
                          runtime_dir=host.twtuned.runtime_dir)
        twtuned.wait_for(f"^left-changed: {REUSE} is still 1, .*twtuned --restore")
        wait_until(lambda: "still changed" in host.ctl("status", check=False).stdout, "its status")
        text = host.status()
        check_text(text, rf"^  left      {re.escape(REUSE)} 2 -> 1, .*rule some$", "twtuned --restore")
        check_text(host.ctl("release", "--all", check=False).stderr, "twtuned --restore")
        twtuned.stop()


@test("after a restart the history is named for what was forgotten", beside=True)
def _():
    with Host() as host:
        check("twtunectl history shows for whom" not in host.status(), "before the restart")
        host.twtuned.stop(signal.SIGKILL)
        twtuned = Twtuned(host.client, host.policy, bus=host.bus.socket, runtime_dir=host.twtuned.runtime_dir)
        wait_until(lambda: host.ctl("status", check=False).returncode == 0, "it is on the bus")
        check_text(host.status(), rf"^  changed   {re.escape(REUSE)} 2 -> 1, for .*s, rule some$",
                   r"^  for       twtuned was restarted since then; twtunectl history shows for whom$")
        twtuned.stop()


@test("explain a metric: what it is, its value, and how to see it without twtuned", beside=True)
def _():
    with Host() as host:
        check_text(host.ctl("explain", "ports.used").stdout, r"^ports.used: ports in use", r"^  now: 10, 10\.77\.0\.1->",
                   r"^    ss -tan dst ", r"^  rules that use it: some, other$")
        for metric in host.json("status")["metrics"]:
            text = host.ctl("explain", metric["name"]).stdout
            check(text.startswith(f"{metric['name']}: ") and "to see it:" in text, text)


def schema_of(part=None):
    """docs/describe.schema.json, or of it the definition with that name."""
    schema = json.loads((ROOT / "docs/describe.schema.json").read_text())
    return schema if part is None else {"$ref": f"#/$defs/{part}", "$defs": schema["$defs"]}


def check_schema(value, schema):
    errors = [f"{error.json_path}: {error.message}" for error in jsonschema.Draft202012Validator(schema).iter_errors(value)]
    check(not errors, "\n".join(errors[:10]))


def describe(host):
    run = subprocess.run(["busctl", f"--address=unix:path={host.bus.socket}", "--json=short", "call", "org.twtuned1",
                          "/org/twtuned1", "org.twtuned1", "Describe"], text=True, capture_output=True, check=True)
    return json.loads(json.loads(run.stdout)["data"][0])


@test("Describe() and all JSON is as docs/describe.schema.json says: acting, with advice, observing, healthy", beside=True)
def _():
    advice = HOLDS.replace("when = ports.used >= 10 for 1h\nwhen = tcp.close_wait >= 1000 for 5s\n",
                           "when = ports.used >= 10\n")
    expect = HOLDS.replace(f"set = {REUSE} = 1\n", f"set = {REUSE} = 1\nexpect = ports.reused >= 10% within 15s\n"
                           "abort = ports.syn_waiting > 3x before within 60s\n")
    for policy, options in ((advice, {}), (expect, {}), (HOLDS, {"args": ["--observe"]}),
                            (POLICY.read_text(), {"load": False})):
        with Host(policy, **options) as host:
            described = describe(host)
            check_schema(described, schema_of())
            for key, item in (("rules", "rule"), ("advice", "advice"), ("config", "value")):
                check_schema(host.json(key), {"type": "array", "items": schema_of(item)} | {"$defs": schema_of(item)["$defs"]})
            check_schema(host.json("status") | {"config": []}, schema_of())
            check_schema(host.json("explain", "ports.used"), schema_of("metric"))
            check_schema(host.json("explain", described["rules"][0]["name"]), schema_of("rule"))
    broken = described | {"more": 1}
    check(list(jsonschema.Draft202012Validator(schema_of()).iter_errors(broken)), "a key that no schema names passes")


@test("explain every rule and every sysctl of the shipped policy", beside=True)
def _():
    with Host(POLICY.read_text(), load=False) as host:
        names = [rule["name"] for rule in host.json("rules")]
        check(len(names) > 15, names)
        for name in names + [sysctl["name"] for sysctl in host.json("status")["sysctls"]]:
            check_equal(host.json("explain", name)["name"], name, "JSON")
            text = host.ctl("explain", name).stdout
            check(text.startswith(f"{name}: ") and "null" not in text, text)


@test("output that cannot be written is said, and is 74; a reader that goes early is told nothing", beside=True)
def _():
    with Host() as host:
        for args in (["status"], ["status", "--json"], ["rules"], ["config"], ["--help"]):
            with open("/dev/full", "w") as full:
                run = subprocess.run(host.argv(*args), text=True, env=host.env(), stdout=full, stderr=subprocess.PIPE)
            check_equal((run.returncode, run.stderr),
                        (74, "twtunectl: cannot write the output: No space left on device\n"), str(args))
        gone, output = socket.socketpair()  # a closed pipe could still be open in a child that another thread forks
        gone.shutdown(socket.SHUT_RDWR)
        run = subprocess.run(host.argv("rules"), text=True, env=host.env(), stdout=output, stderr=subprocess.PIPE)
        check_equal((run.returncode, run.stderr), (74, ""), "nobody reads")


@test("diff: each sysctl as it is and as a boot would set it; 1 when one differs", beside=True)
def _():
    with Host() as host:
        text = host.ctl("diff", check=False)
        check_equal(text.returncode, 1, "exit status while it holds")
        check_text(text.stdout, r"^ +SYSCTL +NOW +KERNEL +SYSCTL.D +ORIGINAL +SET BY$",
                   rf"^\* +{re.escape(REUSE)} +1 +2 +- +2 +twtuned, rule some; it was 2$")
        rows = json.loads(host.ctl("diff", "--json", check=False).stdout)
        check_equal([row["name"] for row in rows if row["differs"]], [REUSE, DELAY], "what differs")
        for row in rows:
            check_equal(row["now"].split(), host.client.sysctl(row["name"]).split(), row["name"])
        host.connections.stop()
        wait_until(lambda: host.sysctls() == ("2", "1000"), "it is put back")
        wait_until(lambda: host.ctl("diff", check=False).returncode == 0, "no difference is left")
        host.client.sysctl(REUSE, "0")
        wait_until(lambda: host.ctl("diff", check=False).returncode == 1, "someone else's change is one")
        check_text(host.ctl("diff", check=False).stdout, rf"^\* +{re.escape(REUSE)} +0 +2 +- +- +someone else$")


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
        host.ctl("pause", "60m")
        host.connections.stop()
        wait_until(lambda: host.json("explain", "some")["until"][0]["holds"], "the need is over")
        host.twtuned.ticks(5)
        check_equal(host.sysctls(), ("1", "250"), "sysctls while paused")
        check_text(host.status(), "paused: nothing is written, 2 sysctls held",
                   r"^  paused    \d+.* ago, for \d+min.* more$", r"^  until     the pause ends$", r"^  and       tcp.established < 1 ",
                   r"^  do        to end the pause: twtunectl resume$")
        said = host.twtuned.wait_for("^paused: paused for 1h, by request.*")[0]
        check_equal(message(said), "paused: paused for 1h, by request (uid 0): no sysctl is written, and changed "
                    "ones stay as they are", "the log")
        host.ctl("pause", "1 second")
        wait_until(lambda: host.sysctls() == ("2", "1000"), "put back when the pause is over")


@test("pause until resume", beside=True)
def _():
    with Host(load=False) as host:
        host.ctl("pause")
        check_equal(host.json("status")["paused_for"], None, "paused_for")
        with ChurnHoldBeside(host):
            wait_until(lambda: host.json("explain", "some")["state"] == "ready", "the rule is ready")
            host.twtuned.ticks(5)
            check_equal(host.sysctls(), ("2", "1000"), "sysctls while paused")
            host.ctl("resume")
            wait_until(lambda: host.sysctls() == ("1", "250"), "acts again")


@test("release puts one back and leaves it alone, rearm takes it again", beside=True)
def _():
    with Host() as host:
        host.ctl("release", "tcp_tw_reuse")
        check_equal(host.sysctls(), ("2", "250"), "sysctls after the release of one")
        line = host.twtuned.wait_for("^released-by-request: .*")[0]
        check_equal((fields(line)["SYSCTL"], fields(line)["RULE"]), (REUSE, "some"), "the log")
        check(message(line).endswith("1 -> 2: by request (uid 0)"), line)
        host.twtuned.ticks(5)
        check_equal(host.sysctls(), ("2", "250"), "sysctls some ticks later")
        check_equal((host.owner(REUSE)["owner"], host.owner(REUSE)["rearm"]), ("kernel default", True), "owner")
        check_equal(host.ctl("rearm", DELAY, check=False).returncode, 1, "rearm of what is not left alone")

        host.ctl("release", "--all")
        check_equal(host.sysctls(), ("2", "1000"), "sysctls after release --all")
        check_equal(host.json("explain", "some")["state"], "left-alone", "the rule")
        host.ctl("rearm", REUSE)
        wait_until(lambda: host.sysctls() == ("1", "1000"), "the rule takes the one again")


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
        wait_until(lambda: host.ctl("status") and monitor.lines, "it sees what is said on the bus")
        with ChurnHoldBeside(host):
            line = monitor.wait_for(f'"Changed".*{re.escape(DELAY)}').string
            data = json.loads(line)["payload"]["data"]
            check_equal(data[:5], ["applied", DELAY, "1000", "250", "some"], "signal")
            check(data[5].startswith(f"{DELAY}: 1000 -> 250: ports.used is 10"), data[5])
            monitor.wait_for('"PropertiesChanged".*acting: 2 sysctls')
        monitor.wait_for('"released".*' + re.escape(REUSE))
        monitor.stop()


@test("a pause and another mode are signals, even if the status reads the same", beside=True)
def _():
    daemon = "[daemon]\ninterval = 100ms\nmetrics_file = /no/such/directory/a.prom\n"
    with Host(policy=daemon, load=False) as host:
        wait_until(lambda: host.json("status")["state"] == "degraded", "degraded")
        argv = ["busctl", f"--address=unix:path={host.bus.socket}", "--json=short", "monitor", "org.twtuned1"]
        monitor = Program(host.client, argv)
        wait_until(lambda: host.ctl("status") and monitor.lines, "it sees what is said on the bus")
        host.ctl("pause")
        monitor.wait_for('"PropertiesChanged".*"Paused":{"type":"b","data":true}')
        host.policy.write_text(daemon + "mode = observe\n")
        host.twtuned.process.send_signal(signal.SIGHUP)
        monitor.wait_for('"PropertiesChanged".*"Mode":{"type":"s","data":"observe"}')
        monitor.stop()


# ---- who may ----

@test("anyone may read, only root may change: the bus's policy", beside=True)
def _():
    with Host() as host:
        check_text(host.status(nobody=True), "acting")
        check_equal(json.loads(host.ctl("rules", "--json", nobody=True).stdout)[0]["name"], "some", "rules")
        for args in (["pause"], ["resume"], ["release", REUSE], ["release", "--all"], ["rearm", REUSE]):
            run = host.ctl(*args, nobody=True, check=False)
            check_equal((run.returncode, run.stderr), (77, "twtunectl: only root may do that\n"), str(args))
        check_equal(host.sysctls(), ("1", "250"), "sysctls")
        check_equal(host.json("status")["paused"], False, "paused")
    with Host(load=False, instance="web") as host:
        check_text(host.status(nobody=True), "healthy")
        check_equal(host.ctl("pause", nobody=True, check=False).returncode, 77, "pause of an instance")
        host.ctl("pause")


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
    with Host(environment=CALLS_LAST) as host:
        host.bus.stop()
        host.twtuned.wait_for("^degraded: cannot reach the system bus")
        check_equal(host.ctl("status", check=False).returncode, 69, "exit status without a bus")
        host.connections.stop()
        wait_until(lambda: host.sysctls() == ("2", "1000"), "it acts without a bus")
        host.twtuned.ticks(10)
        host.bus.start()
        host.twtuned.wait_for("^recovered: the system bus is back")
        check_text(host.status(), "healthy")
        check_equal(sum("the system bus" in line for line in host.twtuned.lines), 2, f"lines in {host.twtuned.lines}")
    with Single() as namespace:
        twtuned = Ticking(namespace, temp_policy(HOLDS))
        twtuned.wait_for("^config-loaded")
        twtuned.ticks(5)
        check_equal((twtuned.stop(), len(twtuned.lines)), (0, 1), f"exit status and lines {twtuned.lines}")


@test("a bus that stops answering stops no tick", beside=True)
def _():
    with Host(environment=CALLS_LAST) as host:
        os.kill(host.bus.process.pid, signal.SIGSTOP)
        try:
            host.twtuned.ticks(3)
            host.connections.stop()
            wait_until(lambda: host.sysctls() == ("2", "1000"), "it acts")
            host.twtuned.ticks(10)
        finally:
            os.kill(host.bus.process.pid, signal.SIGCONT)
        check_text(host.status(), "healthy")


@test("a bus that does not answer from the beginning stops no tick", beside=True)
def _():
    bus = Bus()
    os.kill(bus.process.pid, signal.SIGSTOP)
    with Single() as namespace:
        twtuned = Ticking(namespace, temp_policy(HOLDS), bus=bus.socket, environment=CALLS_LAST)
        twtuned.wait_for("^config-loaded", LOGIN)
        twtuned.process.send_signal(signal.SIGHUP)
        twtuned.wait_for("^config-loaded", LOGIN, since=1)
        twtuned.ticks(5)
        check_equal(twtuned.stop(), 0, "exit status")
    os.kill(bus.process.pid, signal.SIGCONT)
    bus.stop()


@test("a bus that closes connections, as one does that others flood, is asked again", beside=True)
def _():
    with Host(load=False) as host, socket.socket(socket.AF_UNIX) as closing:
        path, closed, over = str(temp_dir() / "bus"), [], threading.Event()
        closing.bind(path)
        closing.listen()

        def answer():
            while len(closed) < 3:
                with closing.accept()[0] as near:
                    closed.append(near.recv(1))
            near = closing.accept()[0]
            with socket.socket(socket.AF_UNIX) as bus:
                bus.connect(str(host.bus.socket))
                for ends in (near, bus), (bus, near):
                    threading.Thread(target=forward, args=ends, daemon=True).start()
                over.wait()

        threading.Thread(target=answer, daemon=True).start()
        try:
            text = host.ctl("status", DBUS_SYSTEM_BUS_ADDRESS=f"unix:path={path}").stdout
        finally:
            over.set()
        check_text(text, "^● twtuned ")
        check_equal(len(closed), 3, "closed connections")


@test("not running: it says so and how to start it, 3; an instance has a name of its own", beside=True)
def _():
    with Host(load=False, instance="web-1") as host:
        check_equal(host.json("status")["instance"], "web-1", "instance")
        check_text(host.status(), r"^● twtuned@web-1 ")
        run = subprocess.run([binary("twtunectl"), "rules"], text=True, capture_output=True, env=host.env())
        check_equal((run.returncode, run.stderr), (3, "twtunectl: twtuned is not running; start it with: "
                                                      "systemctl enable --now twtuned\n"), "another instance")
        host.twtuned.stop()
        run = host.ctl("status", check=False)
        check_equal((run.returncode, run.stderr), (3, "twtunectl: twtuned@web-1 is not running; start it with: "
                                                      "systemctl enable --now twtuned@web-1\n"), "stopped")


@test("the name on the bus is taken when the other twtuned that has it ends", beside=True)
def _():
    with Host(load=False) as host, Single() as namespace:
        second = Twtuned(namespace, host.policy, bus=host.bus.socket)
        second.wait_for("^twtuned: cannot take the name org.twtuned1 on the bus: .*; twtunectl will not find this "
                        "twtuned; trying again every 5 s$")
        check_equal(host.twtuned.stop(), 0, "exit status of the first")
        wait_until(lambda: host.ctl("status", check=False).returncode == 0, "the second is on the bus")
        check_equal(len(second.lines), 2, f"lines {second.lines}")


@test("status --all: every instance in one table, the first network namespace's first; or as JSON", beside=True)
def _():
    with Host() as host, Single() as namespace:
        check_equal(len(host.ctl("status", "--all").stdout.splitlines()), 1, "lines")
        twtuned = Twtuned(namespace, host.policy, ["--observe"], bus=host.bus.socket, instance="a-1")
        wait_until(lambda: "twtuned@a-1" in host.ctl("status", "--all").stdout, "it is on the bus")
        first, second = host.status("--all").splitlines()
        check_text(first, r"^twtuned +\S+ +enforce +acting: 2 sysctls changed")
        check_text(second, r"^twtuned@a-1 +\S+ +observe +healthy")
        found = json.loads(host.ctl("status", "--all", "--json").stdout)
        check_equal([d["instance"] for d in found], [None, "a-1"], "instances as JSON")
        check_equal(host.ctl("rules", "--all", check=False).returncode, 64, "another command with --all")
        twtuned.stop()
        host.twtuned.stop()
        run = host.ctl("status", "--all", check=False)
        check_equal((run.returncode, run.stderr), (3, "twtunectl: no twtuned is running\n"), "none")


@test("two instances with long names that differ at their ends", beside=True)
def _():
    names = ["cni-" + "0123456789abcdef" * 8 + end for end in "ab"]
    with Host(load=False, instance=names[0]) as host, Single() as namespace:
        twtuned = Twtuned(namespace, host.policy, ["--observe"], bus=host.bus.socket, instance=names[1])
        host.instance = None
        for name in names:
            named = "status", f"--instance={name}"
            wait_until(lambda: host.ctl(*named, check=False).returncode == 0, "it is on the bus")
            check_equal(host.json(*named)["instance"], name, "the one that answers")
        found = json.loads(host.ctl("status", "--all", "--json").stdout)
        check_equal([d["instance"] for d in found], names, "all instances")
        twtuned.stop()


# ---- record ----

@test("record: to a file of the caller, for as long as that runs; --replay reads it", beside=True)
def _():
    with Host() as host:
        path = temp_dir() / "storm.csv"
        recording = Program(host.client, host.argv("record", str(path)), "stderr", env=host.env())
        recording.wait_for("^recording to ")
        wait_until(lambda: path.read_text().count("\n") > 5, "there are rows")
        check_equal(host.json("status")["recording"], True, "recording")
        other = host.ctl("record", str(temp_dir() / "other.csv"), check=False)
        check_equal(other.returncode, 1, "a second one")
        check_text(other.stderr, "A recording is already running")
        check_equal(recording.stop(signal.SIGINT), 0, "exit status after Ctrl-C")
        wait_until(lambda: not host.json("status")["recording"], "it ends with who asked for it")
        rows = list(csv.DictReader(path.open()))
        check(all(float(row["ports.used"]) == 10 for row in rows), rows[0])
        size = path.stat().st_size
        host.twtuned.ticks(5)
        check_equal(path.stat().st_size, size, "size afterwards")
        replay = subprocess.run([binary("twtuned"), f"--replay={path}", f"--config={host.policy}"], text=True,
                                capture_output=True)
        check_equal(replay.returncode, 0, f"--replay: {replay.stderr}")
        check_equal(host.ctl("record", str(path), check=False).returncode, 73, "a file with something in it")
        host.ctl("record", str(temp_dir() / "short.csv"), "--for=1s")


@test("record: leaves no file behind when it cannot begin, and an empty one that was there", beside=True)
def _():
    with Host(load=False) as host:
        directory = temp_dir()
        directory.chmod(0o777)
        new, empty = directory / "new.csv", directory / "empty.csv"
        empty.touch()
        empty.chmod(0o666)

        def check_left(status, **options):
            for path in new, empty:
                check_equal(host.ctl("record", str(path), check=False, **options).returncode, status, path.name)
                check_equal((new.exists(), empty.exists()), (False, True), f"files after {status}")
        check_left(77, nobody=True)
        host.twtuned.stop()
        check_left(3)
        check_left(69, DBUS_SYSTEM_BUS_ADDRESS=f"unix:path={directory}/none")


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


@test("record: one whose client is gone before the tick that would begin it never begins", beside=True)
def _():
    with Host(policy="[daemon]\ninterval = 2s\n", load=False) as host:
        # That the second call is refused shows that the first one was accepted.
        script = ("import dbus, os, sys\nbus = dbus.bus.BusConnection(os.environ['DBUS_SYSTEM_BUS_ADDRESS'])\n"
                  "object = bus.get_object('org.twtuned1', '/org/twtuned1')\n"
                  "for path, option in (sys.argv[1], {'ignore_reply': True}), (sys.argv[2], {}):\n"
                  "    fd = dbus.types.UnixFd(open(path, 'a'))\n"
                  "    object.Record(fd, dbus_interface='org.twtuned1', **option)\n")
        host.twtuned.ticks(1)
        run = subprocess.run(["/usr/bin/python3", "-c", script, temp_dir() / "a.csv", temp_dir() / "b.csv"], text=True,
                             capture_output=True, env=host.env())
        check_text(run.stderr, "A recording is already running")
        host.twtuned.ticks(1)
        check_equal(host.json("status")["recording"], False, "recording")
        host.ctl("record", str(temp_dir() / "c.csv"), "--for=1s")


@test("record: when --record has failed, no more is read than without it", beside=True)
def _():
    with Host(load=False, args=["--record=/dev/full"]) as host:
        host.twtuned.wait_for("^degraded: cannot write the recording /dev/full: ")
        host.twtuned.ticks(3)
        state = {metric["name"]: metric["state"] for metric in host.json("status")["metrics"]}
        check_equal(state["self.rss"], "invalid", "self.rss, which no rule names")


if __name__ == "__main__":
    main()
