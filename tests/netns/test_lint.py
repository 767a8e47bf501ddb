#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""twtuned --lint: what it says of the kernel is what the kernel does, and of sysctl.d what systemd-sysctl does. --long:
more trees of sysctl.d, from a random seed; --seed=N: the trees of that seed."""

import os
import pathlib
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

from harness import PATIENCE, Single, Skip, Twtuned, binary, check, check_equal, diag, main, temp_dir, temp_policy, test

LONG = "--long" in sys.argv
SEED = next((int(a.split("=")[1]) for a in sys.argv if a.startswith("--seed=")), random.randrange(10**6) if LONG else 1)
TREES = 100 if LONG else 20
sys.argv[1:] = [a for a in sys.argv[1:] if not a.startswith("--")]

SYSCTL = pathlib.Path("/proc/sys")
LINE = re.compile(r"(?P<at>.+?:\d+): (?P<name>\S+) = (?P<value>.*?): (?P<verdict>harmful|no effect|fine|not known here): (?P<why>.*)")

# Lays a tree of sysctl.d over the machine's, in a mount namespace, and runs a command. $1: the tree; then the command.
OVERLAY = """set -e
tree=$1
shift
for directory in /etc/sysctl.d /usr/lib/sysctl.d /usr/local/lib /run; do
    mount -t tmpfs tmpfs "$directory"
done
for directory in etc/sysctl.d usr/lib/sysctl.d usr/local/lib/sysctl.d run/sysctl.d; do
    mkdir -p "/$directory"
    cp -a "$tree/$directory/." "/$directory"
done
mount --bind "$tree/etc/sysctl.conf" /etc/sysctl.conf
exec "$@"
"""


def lint(namespace, *files, tree=None):
    argv = [binary("twtuned"), "--lint", *map(str, files)]
    if tree:
        argv = overlaid(tree, *argv)
    return namespace.run(argv, check=False)


def overlaid(tree, *argv):
    return ["unshare", "--mount", "sh", "-c", OVERLAY, "sh", str(tree), *argv]


def findings(result):
    matches = [LINE.fullmatch(line) for line in result.stdout.splitlines()]
    check(result.returncode in (0, 1, 65), f"exit status {result.returncode}")
    check(all(matches), f"a line of another form: {result.stdout}")
    return [match.groupdict() for match in matches]


def lint_text(namespace, text):
    path = temp_dir() / "a.conf"
    path.write_text(text)
    return lint(namespace, path), path


def numeric_sysctls(namespace):
    """Names of the sysctls of TCP that can be written here, and their values."""
    with namespace.entered():
        found = {}
        for directory, prefixes in {"ipv4": ("tcp_", "ip_local_port"), "core": ("somaxconn", "optmem_max"),
                                    "netfilter": ("nf_conntrack_tcp_",)}.items():
            for path in sorted((SYSCTL / "net" / directory).glob("*")):
                if path.name.startswith(prefixes) and os.stat(path).st_mode & 0o200:
                    value = path.read_text().strip()
                    if re.fullmatch(r"-?\d+(\s+\d+)*", value):
                        found[f"net.{directory}.{path.name}"] = value
        return found


def write(name, value):
    """Returns whether the kernel takes it. One write, as systemd-sysctl does it. Before Linux 5.19 a negative value of
    an unsigned long is ignored without an error (kernel/sysctl.c:__do_proc_doulongvec_minmax())."""
    path = SYSCTL / name.replace(".", "/")
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, f"{value}\n".encode())
        return not value.startswith("-") or path.read_text().startswith("-")
    except OSError:
        return False
    finally:
        os.close(fd)


# ---- the command ----

@test("each line about TCP has its line, and what harms makes the exit status 1")
def _():
    with Single() as host:
        result, path = lint_text(host, "# a comment\nvm.swappiness = 1\nnet.ipv4.tcp_tw_recycle = 1\n"
                                       "net.ipv4.tcp_max_tw_buckets = 5000\nnet.ipv4.tcp_fin_timeout = 30\n")
        check_equal(result.returncode, 1, "exit status")
        check_equal(result.stderr, "", "stderr")
        found = findings(result)
        check_equal([(f["at"], f["verdict"]) for f in found],
                    [(f"{path}:3", "no effect"), (f"{path}:4", "harmful"), (f"{path}:5", "fine")], "verdicts")
        check("(rule time-wait-table)" in found[1]["why"], found[1]["why"])
        check("it does nothing to TIME_WAIT" in found[2]["why"], found[2]["why"])


@test("what does no harm is exit status 0, what cannot be read 65, and reading goes on")
def _():
    with Single() as host:
        result, path = lint_text(host, "net.ipv4.tcp_fin_timeout = 30\n")
        check_equal((result.returncode, len(findings(result))), (0, 1), "exit status and findings")
        result, path = lint_text(host, "sysctl -p\nnet.ipv4.tcp_sack = 0\n")
        check_equal((result.returncode, len(findings(result))), (65, 1), "exit status and findings")
        check(result.stderr.startswith(f"{path}:1: 'sysctl -p' is not an assignment"), result.stderr)
        result = lint(host, temp_dir() / "none", path)
        check_equal((result.returncode, len(findings(result))), (65, 1), "exit status and findings")
        check(re.match(r"/.*/none: cannot be read: No such file", result.stderr), result.stderr)


@test("the later FILE overrides, by FILE and line")
def _():
    with Single() as host:
        first, second = temp_dir() / "1", temp_dir() / "2"
        first.write_text("net.ipv4.tcp_fin_timeout = 5\n")
        second.write_text("\n-net/ipv4/tcp_fin_timeout = 30\n")
        result = lint(host, first, second)
        check_equal([f["verdict"] for f in findings(result)], ["no effect", "fine"], "verdicts")
        check(f"overridden by {second}:2" in result.stdout, result.stdout)
        check_equal(lint(host, second, first).returncode, 1, "exit status the other way round")


@test("options that do not go with --lint are refused")
def _():
    with Single() as host:
        for args in (["--lint", "--once"], ["--lint", "--observe"], ["--fix"], ["--once", "--fix"],
                     ["--lint", "--json", "--fix"], ["--lint", "--verbose"], ["file"]):
            check_equal(host.run([binary("twtuned"), *args], check=False).returncode, 64, f"exit status of {args}")


# ---- the kernel ----

VALUES = ["-2147483649", "-2147483648", "-5", "-1", "0", "1", "2", "3", "4", "5", "7", "16", "31", "32", "47", "127",
          "128", "255", "256", "300", "301", "1000", "60000", "60001", "65535", "65536", "2147483647", "2147483648",
          "4294967295", "4294967296", "99999999999999999999", "1 2", "3 2", "1 2 3", "1 2 3 4", "1023 60000",
          "1024 60000", "1 # x", "1;", "1s", "0x10", "010", "08", "+1", "1e3", "1.5", "abc", "", "1,2"]

# Rounded to the ticks of the clock, and what is over 32 bits is cut off before.
ROUNDED = {"net.ipv4.tcp_invalid_ratelimit"}
# Less than 4096 is refused by some kernels (6.12.117, not 6.18): the table goes by those that take it.
FLOORED = {"net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"}


@test("what it says the kernel refuses is what the kernel refuses, and what it reads is what is live then")
def _():
    with Single() as host:
        stock = numeric_sysctls(host)
        check(len(stock) > 60, f"{len(stock)} sysctls")
        refused = 0
        for value in VALUES:
            text = "".join(f"{name} = {value}\n" for name in stock)
            before = {f["name"]: f["why"] for f in findings(lint_text(host, text)[0])}
            with host.entered():
                taken = {name: write(name, value) for name in stock}  # in the order of the file: some bound others
            after = {f["name"]: f["why"] for f in findings(lint_text(host, text)[0])}
            with host.entered():
                for name, original in [*stock.items(), *reversed(stock.items())]:
                    write(name, original)
                check_equal(numeric_sysctls(host), stock, "what is put back")
            for name in stock:
                known = "twtuned does not judge it" not in before[name] and name not in ROUNDED
                known &= name not in FLOORED or taken[name]
                says = "refuses it" in before[name] or "leaves the value" in before[name]
                if known and "refuses the rest" not in before[name]:  # it sets the first, and reports an error
                    check(says != taken[name], f"{name} = {value!r}: taken {taken[name]}: {before[name]}")
                if known and taken[name] and " numbers: " not in before[name]:
                    check("the live value is" not in after[name], f"{name} = {value!r}: {after[name]}")
                refused += says
        diag(f"{len(stock)} sysctls, {len(VALUES)} values, {refused} refused")
        check(refused > 500, f"{refused} refused")


@test("what a new network namespace has is never harmful, and its defaults are known as such")
def _():
    with Single() as host:
        stock = numeric_sysctls(host)
        text = "".join(f"{name} = {value}\n" for name, value in stock.items())
        found = findings(lint_text(host, text)[0])
        check_equal([f for f in found if f["verdict"] == "harmful" or "the live value is" in f["why"]], [], "findings")
        defaults = {f["name"] for f in found if "it is the kernel's default" in f["why"]}
        check(len(defaults) > 40, f"{len(defaults)} defaults")
        # One more than the default is not the default.
        text = "".join(f"{name} = {int(stock[name]) + 1}\n" for name in defaults if stock[name].isdigit())
        found = findings(lint_text(host, text)[0])
        check_equal([f for f in found if "kernel's default" in f["why"]], [], "defaults")


# ---- systemd-sysctl ----

DIRECTORIES = ["etc/sysctl.d", "run/sysctl.d", "usr/local/lib/sysctl.d", "usr/lib/sysctl.d"]
NAMES = ["tcp_fin_timeout", "tcp_keepalive_time", "tcp_keepalive_intvl", "tcp_keepalive_probes", "tcp_retries1",
         "tcp_retries2", "tcp_syn_retries", "tcp_orphan_retries", "tcp_synack_retries", "tcp_reordering"]
GLOBS = ["tcp_keepalive_*", "tcp_retries?", "tcp_*_retries", "tcp_keepalive_[ti]*", "tcp_retries[12]"]


def random_line(rng, value):
    name = rng.choice(NAMES if rng.random() < 0.7 else GLOBS)
    name = rng.choice(["net.ipv4.", "net/ipv4/", "/net/ipv4/"]) + name
    kind = rng.random()
    if kind < 0.15:
        return f"-{name}"
    if kind < 0.25:
        return rng.choice(["#", ";"]) + f"{name} = {value}"
    name = rng.choice(["", "-", " ", "- "]) + name
    return name + rng.choice([" = ", "=", "\t="]) + str(value) + rng.choice(["", " \t"])


def random_tree(rng):
    tree = temp_dir()
    values = iter(rng.sample(range(10, 250), 200))  # each once, so that what is live tells which line it was
    for directory in DIRECTORIES:
        (tree / directory).mkdir(parents=True)
        for name in ("10-a.conf", "50-b.conf", "50-B.conf", "99-z.conf", "README", ".hidden.conf", "x.conf~"):
            if rng.random() < 0.4:
                lines = [random_line(rng, next(values)) for _ in range(rng.randrange(4))]
                (tree / directory / name).write_text("\n".join(lines) + rng.choice(["", "\n", "\r\n"]))
            elif rng.random() < 0.1:
                (tree / directory / name).symlink_to(rng.choice(["/dev/null", "nowhere"]))
    (tree / "etc/sysctl.conf").write_text(random_line(rng, next(values)) + "\n")
    (tree / "etc/sysctl.d/99-sysctl.conf").symlink_to("../sysctl.conf")
    return tree


def systemd_sysctl():
    return shutil.which("systemd-sysctl", path="/usr/lib/systemd:/lib/systemd")


@test("the lines that stand are those that systemd-sysctl applies, in trees at random")
def _():
    diag(f"again: python3 tests/netns/test_lint.py {'--long ' if LONG else ''}--seed={SEED}")
    rng = random.Random(SEED)
    stood = overridden = 0
    for _ in range(TREES):
        tree = random_tree(rng)
        with Single() as host:
            stock = {name: host.sysctl(f"net.ipv4.{name}") for name in NAMES}
            host.run(overlaid(tree, systemd_sysctl()), check=False)
            live = {name: host.sysctl(f"net.ipv4.{name}") for name in NAMES}
            result = lint(host, tree=tree)
        listing = subprocess.run(["grep", "-r", "", tree], text=True, capture_output=True).stdout
        found = findings(result)
        stands = [f for f in found if not re.search("it is (overridden|repeated|revoked) by|it repeats", f["why"])]
        applied = {f["name"].removeprefix("net.ipv4."): f["value"] for f in stands if "refuses" not in f["why"]}
        check_equal(live, stock | applied, f"what is live by\n{listing}\n{result.stdout}\n")
        check_equal(len({f["name"] for f in stands}), len(stands), f"lines that stand\n{listing}\n{result.stdout}\n")
        stood += len(stands)
        overridden += len(found) - len(stands)
    diag(f"{stood} lines stand, {overridden} do not")
    check(stood > 2 * TREES and overridden > TREES / 2, f"{stood} lines stand, {overridden} do not")


# ---- the daemon ----

def harmful_tree():
    tree = temp_dir()
    for directory in DIRECTORIES:
        (tree / directory).mkdir(parents=True)
    (tree / "etc/sysctl.d/60-pasted.conf").write_text(
        "net.ipv4.tcp_fin_timeout = 30\nnet.ipv4.tcp_syncookies = 0\nnet.core.somaxconn = 128\n")
    (tree / "etc/sysctl.conf").write_text("")
    return tree


class Home:
    """The network namespace in which the tests run: the first one, unless they are in a container."""
    popen = staticmethod(lambda argv, **kw: subprocess.Popen(argv, start_new_session=True, **kw))
    is_first = (SYSCTL / "net/ipv4/tcp_mem").exists()


def start_alone(namespace, policy, program):
    """Starts a daemon that observes. Another run of the tests may have one in the machine's own namespace."""
    deadline = time.monotonic() + PATIENCE
    while True:
        twtuned = Twtuned(namespace, policy, ["--observe"], program=program)
        if twtuned.wait_for("^config-loaded|another twtuned runs")[0] == "config-loaded":
            return twtuned
        twtuned.stop()
        if time.monotonic() > deadline:
            raise Skip("another twtuned runs here")
        time.sleep(0.5)


def events_of(kind, namespace, tree, rule=""):
    """The log lines of this kind. The daemon only observes, because the namespace may be the machine's own."""
    policy = temp_policy(f"[daemon]\ninterval = 100ms\n{rule}")
    program = temp_dir() / "twtuned"
    program.write_text(f"#!/bin/sh\nexec {shlex.join(overlaid(tree, binary('twtuned')))} \"$@\"\n")
    program.chmod(0o755)
    twtuned = start_alone(namespace, policy, str(program))
    try:
        seen = len(twtuned.lines)
        twtuned.process.send_signal(signal.SIGHUP)  # after a reload nothing is logged again
        twtuned.wait_for("^config-loaded", since=seen)
    finally:
        twtuned.stop()
    return [line for line in twtuned.lines if line.startswith(f"{kind}:")]


@test("the daemon says what harms in sysctl.d, once, and only in the first network namespace")
def _():
    with Single() as host:
        check_equal(events_of("harmful", host, harmful_tree()), [], "said in another network namespace")
    lines = events_of("harmful", Home, harmful_tree())
    if not Home.is_first:
        check_equal(lines, [], "said in a container")
        return
    check_equal(len(lines), 2, f"said: {lines}")
    for line, number, name in zip(lines, (2, 3), ("net.ipv4.tcp_syncookies", "net.core.somaxconn")):
        for field in (f"SYSCTL={name}", "FILE=/etc/sysctl.d/60-pasted.conf", f"LINE={number}",
                      "MESSAGE_ID=af7dc5ddf29a4ec4a444ad5250532f0c"):
            check(f" {field}" in line, f"no {field} in {line}")


@test("what sysctl.d sets under /etc is left to the administrator, with FILE and line; what is set elsewhere is not")
def _():
    if not Home.is_first:
        raise Skip("sysctl.d is not applied in this network namespace")
    rule = ("[rule r]\nwhen = self.rss > 1B\n"
            "set = net.ipv4.tcp_fin_timeout = 21\nset = net.ipv4.tcp_keepalive_intvl = 31\n")
    tree = temp_dir()
    for directory in DIRECTORIES:
        (tree / directory).mkdir(parents=True)
    (tree / "etc/sysctl.conf").write_text("")
    (tree / "usr/lib/sysctl.d/50-theirs.conf").write_text("net.ipv4.tcp_keepalive_intvl = 75\n")
    for number in "60", "0x3c", "074", "60 # a minute":
        (tree / "etc/sysctl.d/90-mine.conf").write_text(f"# mine\nnet.ipv4.tcp_fin_timeout = {number}\n")
        lines = events_of("advice", Home, tree, rule)
        check_equal(len(lines), 1, f"advice in {lines}")
        check("not set: net.ipv4.tcp_fin_timeout: " in lines[0], lines[0])
        check("/etc/sysctl.d/90-mine.conf:2 sets it" in lines[0] and " RESULT=yielded" in lines[0], lines[0])
    with Single() as host:  # sysctl.d is not applied there
        check_equal(events_of("advice", host, tree, rule), [], "advice in another network namespace")


main()
