#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The man pages say what the program has: every key, option, metric, sysctl, event and exit status, and no other;
their examples of a configuration are right; nothing in them is wrong for man(1)."""

import os
import pathlib
import re
import subprocess
import sys
from xml.etree import ElementTree

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "netns"), str(TESTS / "ctl")]
from ctl_host import Host  # noqa: E402
from harness import BUILD, POLICY, ROOT, binary, check, check_equal, main, temp_dir, test  # noqa: E402

CONF, DAEMON, CTL, BUS = "twtuned.conf.5", "twtuned.8", "twtunectl.1", "org.twtuned1.5"
# Warnings about what scdoc writes in every page, and about a title in lower case, as the name of the program is.
LINT_OF_SCDOC = ("skipping paragraph macro", "input text line longer than 80 bytes",
                 "lower case character in document title")


def source(name):
    return (ROOT / name).read_text()


def code(room):
    return "".join(path.read_text() for path in sorted((ROOT / room).rglob("*.c")))


def page(name):
    return source(f"man/{name}.scd")


def rendered(name):
    """As man(1) shows it, in one line."""
    path = BUILD / "man" / name
    check(path.exists(), f"{path} was not built: is scdoc installed?")
    environment = {**os.environ, "MANWIDTH": "200", "LC_ALL": "C.UTF-8"}
    run = subprocess.run(["man", "--no-hyphenation", "--no-justification", "-l", path], capture_output=True, text=True,
                         env=environment, check=True)
    return " ".join(re.sub(r".\x08", "", run.stdout).split())


def section(text, name):
    """The section up to the next one; in an example "# " is a prompt, and a command follows."""
    return re.search(rf"^# {name}\n(.*?)(?=^# [A-Z\[]|\Z)", text, re.M | re.S)[0]


@test("twtuned.conf(5) has every key of the configuration, and no other")
def _():
    keys = re.findall(r'^ +\{"(\w+)", parse_', code("lib/config"), re.M)
    check(len(keys) > 15, keys)
    check_equal(sorted(re.findall(r"^\*(\w+) =\*", page(CONF), re.M)), sorted(keys), "keys")


@test("twtuned.conf(5) has every metric with its unit, and every sysctl")
def _():
    text = rendered(CONF)
    once = subprocess.run([binary("twtuned"), "--once"], capture_output=True, text=True, check=True).stdout
    metrics = [line.split() for line in once.splitlines() if not line.startswith(("netstat.", "snmp."))]
    check(len(metrics) > 35, metrics)
    for name, _, unit, *_ in metrics:
        unit = "" if unit == "-" else unit + ", "
        check(re.search(rf" {re.escape(name)} \({re.escape(unit)}(each tick|sockets|sampled)\) ", text), name)
    names = re.findall(r'IPV4\("(\w+)"\)|, "(net\.[\w.]+)"', source("lib/kernel/sysctl_rows.h"))
    check(len(names) > 20, names)
    for short, long in names:
        name = long or f"net.ipv4.{short}"
        check(re.search(rf" {re.escape(name)} \([^)]+\) \w", text), name)


@test("twtuned(8) has every option of the command line, and no other")
def _():
    options = re.findall(r'^ +\{"([\w-]+)", (?:no|required)_argument', source("daemon/main.c"), re.M)
    written = set(re.findall(r"\*--([\w-]+)", section(page(DAEMON), "OPTIONS")))
    check_equal(sorted(written), sorted(options), "options")


@test("twtuned(8) has every exit status, and no other")
def _():
    numbers = dict(re.findall(r"#define (EX_\w+)\s+(\d+)", pathlib.Path("/usr/include/sysexits.h").read_text()))
    used = {numbers[name] for name in re.findall(r"\bEX_[A-Z]+\b", code("daemon"))}
    used -= {numbers["EX_SOFTWARE"]}  # never comes
    told = re.findall(r"^\*(\d+)\*$", section(page(DAEMON), "EXIT STATUS"), re.M)
    check_equal(sorted(told), sorted(used | {"0", "1"}), "exit status")


@test("twtuned(8) has every event and every field, and no other")
def _():
    journal = section(page(DAEMON), "JOURNAL")
    kinds = re.findall(r'\[AUDIT_\w+\] = \{"([\w-]+)"', code("lib/audit"))
    check_equal(re.findall(r"^\*(\S+)\*$", journal, re.M), kinds, "events")
    fields = set(re.findall(r'audit_text_add\(&?\w+, "(\w+)"', code("lib/audit") + code("daemon"))) | {"EVENT", "ERRNO"}
    told = set(re.findall(r"\b([A-Z]{3,})=", journal))
    check_equal(sorted(told ^ fields), ["ADVICE"], "fields")  # which repeats the end of MESSAGE


@test("twtunectl(1) has every command, option and exit status, and no other")
def _():
    text, table = page(CTL), source("ctl/main.c")
    commands = re.findall(r'^ +\{"(\w+)", "[^"]*", \d', table, re.M)
    check(len(commands) > 10, commands)
    told = re.findall(r"^\*(\w+)\*", section(text, "COMMANDS THAT SHOW") + section(text, "COMMANDS THAT CHANGE"), re.M)
    check_equal(sorted(told), sorted(commands), "commands")
    options = re.findall(r'^ +\{"([\w-]+)", (?:no|required)_argument', table, re.M)
    told = re.findall(r"\*--([\w-]+)", section(text, "OPTIONS"))
    check_equal(sorted(told), sorted(options), "options")
    numbers = dict(re.findall(r"#define (EX_\w+)\s+(\d+)", pathlib.Path("/usr/include/sysexits.h").read_text()))
    used = {numbers[name] for name in re.findall(r"\bEX_[A-Z]+\b", code("ctl"))}
    used -= {numbers["EX_OSERR"]}  # never comes
    told = re.findall(r"^\*(\d+)\*$", section(text, "EXIT STATUS"), re.M)
    check_equal(sorted(told), sorted(used | {"0", "1", "3"}), "exit status")


def interface(xml):
    """What Introspect() says of org.twtuned1, as its page writes it."""
    (node,) = [node for node in ElementTree.fromstring(xml) if node.get("name") == "org.twtuned1"]

    def arguments(member):
        for argument in member.findall("arg"):
            direction = f"{argument.get('direction')} " if member.tag == "method" else ""
            yield f"{direction}{argument.get('type')} {argument.get('name')}"

    lines = ["interface org.twtuned1 {"]
    for kind in ("method", "signal"):
        members = node.findall(kind)
        lines += [f"  {kind}s:", *(f"    {m.get('name')}({', '.join(arguments(m))});" for m in members)]
    properties = node.findall("property")
    check({p.get("access") for p in properties} == {"read"}, "a property that can be written")
    lines += ["  properties:", *(f"    readonly {p.get('type')} {p.get('name')};" for p in properties), "};", ""]
    return "\n".join(lines)


@test("org.twtuned1(5) has the interface, each member, each error and each state")
def _():
    text = page(BUS)
    with Host(load=False) as host:
        xml = subprocess.run(["busctl", f"--address=unix:path={host.bus.socket}", "--xml-interface", "introspect",
                              "org.twtuned1", "/org/twtuned1"], capture_output=True, text=True, check=True).stdout
    told = re.search(r"^```\n(.*?)^```$", section(text, "THE INTERFACE"), re.M | re.S)[1]
    check_equal(told, interface(xml), "interface")
    for name, mark in ("METHODS", r"^    (\w+)\((?:in .*|out .*|)\);$"), ("PROPERTIES", r"^    readonly . (\w+);$"):
        check_equal(re.findall(r"^\*(\w+)\*$", section(text, name), re.M), re.findall(mark, told, re.M), name)
    source_code = code("daemon/bus")
    errors = {f"org.twtuned1.{name}" for name in re.findall(r'BUS_NAME "\.(\w+)"', source_code)}
    for name in re.findall(r"\bSD_BUS_ERROR_([A-Z_]+)", source_code):
        errors.add("org.freedesktop.DBus.Error." + name.title().replace("_", ""))
    check_equal(sorted(re.findall(r"^\*([\w.]+)\*$", section(text, "ERRORS"), re.M)), sorted(errors), "errors")
    states = re.findall(r'\[STATE_\w+\] = "([\w-]+)"', source("daemon/status.c"))
    described = section(text, "PROPERTIES").split("*State*")[1].split("\n\n")[0]
    check_equal(sorted(re.findall(r"_([a-z-]+)_", described)), sorted(states), "states")


@test("each page has examples")
def _():
    for name in (CONF, DAEMON, CTL, BUS):
        check(section(page(name), "EXAMPLES").count("```") >= 6, name)


@test("the examples of a configuration are right")
def _():
    blocks = re.findall(r"^```\n(\[.*?)^```$", page(CONF), re.M | re.S)
    check(len(blocks) >= 6, blocks)
    for block in blocks:
        path = temp_dir() / "example.conf"
        path.write_text(POLICY.read_text() + block)
        run = subprocess.run([binary("twtuned"), "--check", f"--config={path}"], capture_output=True, text=True)
        check_equal((run.returncode, run.stderr), (0, ""), block)


@test("each page says of which version it is")
def _():
    run = subprocess.run([binary("twtuned"), "--version"], capture_output=True, text=True, check=True)
    version = run.stdout.strip()
    for name in (CONF, DAEMON, CTL, BUS):
        check(re.search(rf" {re.escape(version)} \d{{4}}-\d\d-\d\d \S+\(\d\)$", rendered(name)), name)


@test("mandoc, man and lexgrog find nothing wrong")
def _():
    for name in (CONF, DAEMON, CTL, BUS):
        path = BUILD / "man" / name
        lint = subprocess.run(["mandoc", "-T", "lint", "-W", "style", path], capture_output=True, text=True).stdout
        unknown = [line for line in lint.splitlines() if not any(known in line for known in LINT_OF_SCDOC)]
        check_equal(unknown, [], name)
        run = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-Tutf8", "-Z", "-l", path], capture_output=True,
                             text=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
        check_equal((run.returncode, run.stderr), (0, ""), f"man --warnings {name}")
        run = subprocess.run(["lexgrog", path], capture_output=True, text=True)
        check(f'"{name[:-2]} - ' in run.stdout, run.stdout + run.stderr)


main()
