#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""twtuned --lint, line by line: its verdicts on lines that people have; and for over 400 lines, that systemd-sysctl
and sysctl -p do with each what it said. --seed=N: other values."""

import json
import os
import pathlib
import random
import re
import shutil
import stat
import sys

from harness import HAS_6_14, Single, binary, check, check_equal, diag, main, temp_dir, test

SEED = next((int(a.split("=")[1]) for a in sys.argv if a.startswith("--seed=")), 1)
sys.argv[1:] = [a for a in sys.argv[1:] if not a.startswith("--")]

SYSCTL = pathlib.Path("/proc/sys")
TOOLS = {"systemd-sysctl": [shutil.which("systemd-sysctl", path="/usr/lib/systemd:/lib/systemd")],
         "sysctl -p": [shutil.which("sysctl", path="/usr/sbin:/sbin:/usr/bin"), "-p"]}
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def lint(host, text, *options, by=()):
    path = temp_dir() / "a.conf"
    path.parent.chmod(0o755)
    path.parent.parent.chmod(0o755)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return host.run([*by, binary("twtuned"), "--lint", *options, str(path)], check=False), path


def findings(host, text, by=()):
    result, _ = lint(host, text, "--json", by=by)
    return json.loads(result.stdout)["findings"]


# ---- what people have ----

# Each line, its verdict, and what must be in the reason; then the exit status.
FIELD = {
    "reserved ports that eat the range": (1, [
        ("net.ipv4.ip_local_reserved_ports = 32768-60999", "harmful", "every port .* EADDRNOTAVAIL")]),
    "nearly all of it": (1, [
        ("net.ipv4.ip_local_reserved_ports = 30000-60000", "harmful", "it leaves 999 of the 28232 ports")]),
    "keepalive before conntrack forgets": (0, [
        ("net.ipv4.tcp_keepalive_time = 300", "fine", "SO_KEEPALIVE"),
        ("net.netfilter.nf_conntrack_tcp_timeout_established = 1200", "fine",
         r"SO_KEEPALIVE .* after 300 s \(.*:1\); those without it.* hang")]),
    "keepalive after conntrack has forgotten": (1, [
        ("net.ipv4.tcp_keepalive_time = 1800", "fine", r"conntrack forgets an idle connection after 1200 s \(.*:2\)"),
        ("net.netfilter.nf_conntrack_tcp_timeout_established = 1200", "harmful", r"after 1800 s \(.*:1\)")]),
    "names that no kernel has": (0, [(f"{name} = {value}", "no effect", f"it is {right}") for name, value, right in (
        ("net.ipv6.tcp_keepalive_time", 60, "net.ipv4.tcp_keepalive_time, which acts on IPv6 as well"),
        ("net.ipv6.tcp_congestion_control", "reno", "net.ipv4.tcp_congestion_control"),
        ("net.core.tcp_fin_timeout", 30, "net.ipv4.tcp_fin_timeout"),
        ("net.tcp_fin_timeout", 30, "net.ipv4.tcp_fin_timeout"),
        ("ipv4.tcp_fin_timeout", 30, "net.ipv4.tcp_fin_timeout"),
        ("net.ipv4.max_orphans", 5500, "net.ipv4.tcp_max_orphans"),
        ("net.ipv4.somaxconn", 4096, "net.core.somaxconn"),
        ("net.core.ip_local_port_range", "1024 65535", "net.ipv4.ip_local_port_range"),
        ("net.ipv4.local_port_range", "1024 65535", "net.ipv4.ip_local_port_range"),
        ("net.netfilter.ip_conntrack_max", 193608, "net.netfilter.nf_conntrack_max"),
        ("net.ipv4.nf_conntrack_max", 193608, "net.netfilter.nf_conntrack_max"),
        ("net.ipv4/tcp_fin_timeout", 30, "net.ipv4.tcp_fin_timeout"),
        ("/proc/sys/net/ipv4/tcp_fin_timeout", 30, "net.ipv4.tcp_fin_timeout"),
        ("NET.IPV4.TCP_FIN_TIMEOUT", 30, "net.ipv4.tcp_fin_timeout"),
        ("net.ipv4.tcp_fin_timeout\u00a0", 30, "net.ipv4.tcp_fin_timeout"),
        ("net.ipv4.tcp-fin-timeout", 30, "net.ipv4.tcp_fin_timeout"),
        ("net.ipv6.rmem_max", 212992, "net.core.rmem_max"),
        ("net.ipv4.ip_conntrack_tcp_timeout_established", 600,
         "net.netfilter.nf_conntrack_tcp_timeout_established"))]),
    "a name of BSD": (0, [("net.inet.tcp.msl = 1000", "no effect", "BSD and macOS")]),
    "conntrack's names that never were": (0, [
        ("net.netfilter.nf_conntrack_hashsize = 65536", "no effect", "it?.* net.netfilter.nf_conntrack_buckets"),
        ("net.netfilter.nf_conntrack_tcp_timeout_timewait = 10", "no effect",
         "net.netfilter.nf_conntrack_tcp_timeout_time_wait")]),
    "a small middle of tcp_rmem": (1, [
        ("net.ipv4.tcp_rmem = 4096 4096 16777216", "harmful", "a window of about 2048 bytes")]),
    "strings": (0, [(f"net.ipv4.tcp_congestion_control = {value}", "no effect", why) for value, why in (
        ("reno # fast", "the kernel refuses it"), ('"reno"', "the kernel refuses it: the quotes"),
        ("tsunami", "the kernel refuses it: .*tsunami"), ("RENO", "names are in lower case: reno"))]),
    "what the kernel refuses": (0, [(f"net.ipv4.{name} = {value}", "no effect", "the kernel refuses it")
                                    for name, value in (("tcp_comp_sack_nr", 300), ("tcp_pacing_ss_ratio", 2000),
                                                        ("tcp_min_rtt_wlen", 100000), ("tcp_min_tso_segs", 0))]),
    "what can only be read": (0, [
        ("net.ipv4.tcp_available_congestion_control = reno cubic", "no effect", "read-only"),
        ("net.netfilter.nf_conntrack_count = 5", "no effect", "read-only"),
        ("net.core.rmem_max = 16777216", "no effect", "in the first network namespace only"),
        ("net.nf_conntrack_max = 1000", "no effect", "in the first network namespace only")]),
    "reuse without timestamps": (1, [
        ("net.ipv4.tcp_tw_reuse = 1", "no effect", r"tcp_timestamps is 0 \(.*:2\); twtuned does not set .*:2 out"),
        ("net.ipv4.tcp_timestamps = 0", "harmful", "")]),
    "rfc1337": (1, [("net.ipv4.tcp_rfc1337 = 1", "harmful", "clients behind NAT")]),
    "what twtuned has no row for": (0, [("net.core.xfrm_acq_expires = 30", "not known here", "")]),
    "what is not about the network's sockets": (0, [("vm.swappiness = 1", None, ""), ("net.ipv4.ip_forward = 1", None, ""),
                                                    ("sunrpc.tcp_slot_table_entries = 128", None, "")]),
}


@test("what people have in their files is judged, each with its reason and what is right")
def _():
    with Single() as host:
        for what, (status, lines) in FIELD.items():
            # Lines that set the same sysctl would override each other.
            names = [line.split("=")[0].strip().lower() for line, _, _ in lines]
            parts = [lines] if len(set(names)) == len(names) else [[line] for line in lines]
            for part in parts:
                text = "".join(f"{line}\n" for line, _, _ in part)
                result, _ = lint(host, text, "--json")
                check_equal(result.returncode, status, f"{what}: exit status of {result.stdout}")
                found = {f["line"]: f for f in json.loads(result.stdout)["findings"]}
                for number, (line, verdict, why) in enumerate(part, 1):
                    f = found.get(number, {"verdict": None, "why": ""})
                    check_equal(f["verdict"], verdict, f"{line}: {f['why']}")
                    check(re.search(why, f["why"]), f"{line}: {f['why']}")


@test("a byte order mark is an error of the file, and the line behind it is not judged")
def _():
    with Single() as host:
        for mark, count in ((b"\xef\xbb\xbf", 1), (b"\xff\xfe", 0), (b"\xfe\xff", 0)):
            result, path = lint(host, mark + b"net.ipv4.tcp_fin_timeout = 30\nnet.ipv4.tcp_fin_timeout = 31\n")
            check_equal(result.returncode, 65, "exit status")
            check(result.stderr.startswith(f"{path}:1: "), result.stderr)
            check_equal(len(result.stdout.splitlines()), count, f"findings: {result.stdout}")
            check(b"fin_timeout" not in lint(host, mark + b"net.ipv4.tcp_fin_timeout = 30", "--fix")[0].stdout.encode()
                  .replace(b"#   \\xef\\xbb\\xbfnet.ipv4.tcp_fin_timeout", b""), "a line remains")


@test("what a file has in it reaches no terminal: nothing is printed raw, nor without an end")
def _():
    text = (b"net.ipv4.tcp_fin_timeout = 31 # \x1b]0;x\x07\x1b[2J\n" b"net.ipv4.tcp_keepalive_time = 600 # " + b"x" * 200000 +
            b"\n\x1b[2J" + b"y" * 100000 + b"\nnet.ipv4.tcp_\xe2\x80\xae\x1b = 1\nnet.core.default_qdisc = \xff\x9b\n"
            b"net.ipv4.\xff" + b"z" * 5000 + b"_tcp_fin_timeout = 1\n")
    with Single() as host:
        for options in ((), ("--json",), ("--fix",)):
            result, _ = lint(host, text, *options)
            shown = result.stdout + result.stderr
            raw = [c for c in shown if c != "\n" and not c.isprintable()]
            check_equal(raw, [], f"with {options}: what no terminal should get")
            if options != ("--fix",):  # which prints in full the lines that stay
                check(len(shown) < 10000, f"{options}: {len(shown)} characters")
        check("31 # \\x1b]0;x\\x07" in lint(host, text)[0].stdout, "the comment is not shown")


# ---- machines ----

@test("--json has each line, whether the kernel takes it, and the errors")
def _():
    with Single() as host:
        result, path = lint(host, "net.ipv4.tcp_fin_timeout = 30\nnet.ipv4.tcp_sack = 0\nsysctl -p\n"
                                  "net.ipv4.tcp_frto = x\n", "--json")
        said = json.loads(result.stdout)
        check_equal(result.returncode, 65, "exit status")
        check_equal([(f["file"], f["line"], f["sysctl"], f["value"], f["verdict"], f["applied"])
                     for f in said["findings"]],
                    [(str(path), 1, "net.ipv4.tcp_fin_timeout", "30", "fine", True),
                     (str(path), 2, "net.ipv4.tcp_sack", "0", "harmful", True),
                     (str(path), 4, "net.ipv4.tcp_frto", "x", "no effect", False)], "findings")
        check_equal([f["rule"] for f in said["findings"]], ["fin-wait2-orphans", None, None], "rules")
        check_equal([(e["file"], e["line"]) for e in said["errors"]], [(str(path), 3)], "errors")
        result, _ = lint(host, "vm.swappiness = 1\n", "--json")
        check_equal((json.loads(result.stdout), result.returncode), ({"findings": [], "errors": []}, 0), "of nothing")


@test("--fix prints the file that remains, and of that nothing has to go")
def _():
    text = ("# mine\nvm.swappiness = 1\r\nnet.ipv4.tcp_timestamps = 0\nnet.ipv4.tcp_tw_reuse = 1\n\n"
            "net.ipv4.tcp_tw_recycle = 1\nnet.ipv6.tcp_fin_timeout = 30\nsysctl -p\nnet.ipv4.tcp_fin_timeout = 30 # why")
    with Single() as host:
        result, _ = lint(host, text, "--fix")
        check_equal((result.returncode, [line for line in result.stdout.splitlines() if line[:2] != "# " and line[:4] != "#   "]),
                    (0, ["vm.swappiness = 1", "net.ipv4.tcp_tw_reuse = 1", "", "net.ipv4.tcp_fin_timeout = 30 # why"]),
                    "what remains")
        reasons = re.findall(r"# taken out: (.*)\n#   (.*)\n", result.stdout)
        check_equal([line for _, line in reasons],
                    ["net.ipv4.tcp_timestamps = 0", "net.ipv4.tcp_tw_recycle = 1", "net.ipv6.tcp_fin_timeout = 30",
                     "sysctl -p"], "what goes")
        check(all(re.match("harmful: |no effect: |'sysctl -p' is not", why) for why, _ in reasons), f"{reasons}")
        for path in sorted((pathlib.Path(__file__).parents[1] / "lint").glob("*.conf")):
            once, _ = lint(host, path.read_text(), "--fix")
            check_equal(lint(host, once.stdout, "--fix")[0].stdout, once.stdout, f"{path.name} fixed again")
            bad = [f for f in findings(host, once.stdout) if f["verdict"] in ("harmful", "no effect")
                   and "keepalive_*" not in once.stdout]
            check_equal(bad, [], f"{path.name} fixed")
        first, second = temp_dir() / "1", temp_dir() / "2"
        first.write_text("net.ipv4.tcp_fin_timeout = 30\n")
        second.write_text("net.ipv4.tcp_fin_timeout = 5\n")
        result = host.run([binary("twtuned"), "--lint", "--fix", str(first), str(second)], check=False)
        check(f"# {first}\nnet.ipv4.tcp_fin_timeout = 30\n# {second}\n# taken out: harmful" in result.stdout, result.stdout)
        check_equal(host.run([binary("twtuned"), "--lint", "--fix", "/none"], check=False).returncode, 65, "of no file")


# ---- against the kernel ----

VALUES = ["-2147483649", "-5", "-1", "0", "1", "2", "3", "4", "5", "7", "16", "31", "32", "48", "127", "128", "255", "256",
          "300", "1000", "4096", "20000", "60000", "60001", "65535", "65536", "2147483647", "2147483648", "4294967296",
          "99999999999999999999", "1 2", "3 2", "1 2 3", "5000 0 3", "5000 6000 700000 8", "1023 60000", "40000 60001",
          "60001 40000", "1 # x", "5000 x", "7;", "20s", "0x10", "010", "08", "+1", "1e3", "1.5", "abc", "", "1,2", '"30"',
          "'1'", "30\u00a0", "30 \u00a0", "yes", "=1", "7 8 9"]
TEXTS = {
    "net.ipv4.tcp_congestion_control": ["reno", "cubic", "RENO", '"reno"', "reno # x", "reno;", "tsunami", "", "reno cubic",
                                        "bbrplus", "0", "cubicc"],
    "net.ipv4.ip_local_reserved_ports": ["8080", "8080,9090", "8080 9090", "8080,", "8080-8070", "9000-9010,8080", "8080 # x",
                                         "99999", "x", "", "0", '"8080"', "-1", "1-65535", "8080;9090"],
    "net.ipv4.tcp_fastopen_key": ["x", "1-2-3-4", ""],
}
NAMES = ["net.ipv6.tcp_fin_timeout", "net.tcp_fin_timeout", "ipv4.tcp_fin_timeout", "tcp_fin_timeout", "NET.IPV4.TCP_FIN_TIMEOUT",
         "/proc/sys/net/ipv4/tcp_fin_timeout", "net.ipv4/tcp_fin_timeout", "net.ipv4.tcp_fin_timeuot", "net.ipv4.tcp_tw_recycle",
         "net.ipv4.tcp_fin_timeout\u00a0", "\ufeffnet.ipv4.tcp_frto", "net.ipv4.tcp-fin-timeout", "net.ipv4.somaxconn",
         "net.inet.tcp.msl", "net.ipv4.nf_conntrack_max", "net.ipv4.ip_conntrack_max", "net.netfilter.nf_conntrack_hashsize",
         "/net/ipv4/tcp_fin_timeout", "net/ipv4/tcp_fin_timeout", ".net.ipv4.tcp_fin_timeout", "net..ipv4.tcp_fin_timeout",
         "-net.ipv4.tcp_fin_timeout", "net/ipv4/./tcp_fin_timeout", "net.ipv4.tcp_fin_timeout/x", "net.ipv4.tcp_fin_timeou?",
         "net.core.tcp_rmem", "net.ipv4.tcp.fin_timeout"]

# Rounded to the ticks of the clock. A key is shown in another form than it is written.
ROUNDED = {"net.ipv4.tcp_invalid_ratelimit", "net.ipv4.tcp_fastopen_key", "net.core.txq_reselection_ms"}
# What only a trial tells: kernels differ, and the table goes by the one that takes more.
BY_TRIAL = re.compile(r"tcp_ecn|invalid_ratelimit|udp_.mem_min|tcp_fastopen_key|frag6_|tcp_r?w?mem|_timeout|keepalive|tcp_child|tcp_rto|reordering")


def state(host):
    """Every sysctl here that lint judges, with its value."""
    found = {}
    with host.entered():
        for pattern in ("ipv4/tcp_*", "ipv4/udp_*", "ipv4/ip_local_*", "ipv4/ip_unpriv*", "ipv4/ip_autobind*", "core/*",
                        "netfilter/nf_conntrack_*"):
            for path in sorted((SYSCTL / "net").glob(pattern)):
                if path.is_file() and path.name != "nf_conntrack_count":
                    found[".".join(path.relative_to(SYSCTL).parts)] = path.read_text().strip().replace("\t", " ")
    return found


def is_writable(host, name):
    with host.entered():
        return bool(os.stat(SYSCTL / name.replace(".", "/")).st_mode & stat.S_IWUSR)


def files_to_try(host, rng):
    """Lists of lines, over 400 together. Each line of a list sets a different sysctl, or none."""
    values = dict(TEXTS)
    for name, value in state(host).items():
        if re.fullmatch(r"-?\d+( \d+)*", value):
            values[name] = rng.sample(VALUES, 4) + [rng.choice(VALUES[3:22])] if is_writable(host, name) else ["1"]
    longest = max(map(len, values.values()))
    files = [[f"{name} = {v[i]}" for name, v in values.items() if i < len(v)] for i in range(longest)]
    return files + [[f"{name} = 30"] for name in NAMES]


def put_back(host, stock, live):
    for _ in range(3):  # some bound others
        if live == stock:
            return
        for name, now in live.items():
            if now != stock[name] and is_writable(host, name):
                try:
                    host.sysctl(name, stock[name] or "\n")
                except OSError:
                    pass
        live = state(host)
    check_equal(live, stock, "what is put back")


def ports(text):
    """The ports in the form in which the kernel shows them."""
    if not re.fullmatch(r"(0|[1-9]\d*)(-\d+)?(,\d+(-\d+)?)*,?", text):
        return text
    found = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    starts = [p for p in sorted(found) if p - 1 not in found]
    ends = [p for p in sorted(found) if p + 1 not in found]
    return ",".join(f"{a}-{b}" if a != b else f"{a}" for a, b in zip(starts, ends))


def numbers(text):
    """The numbers that the kernel reads, from the start of the text."""
    return [int(n, 0 if not re.fullmatch(r"-?0[0-7]+", n) else 8) for n in re.match(
        r"((-?(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*)(?=[ \t]|$)[ \t]*)*)", text)[1].split()]


def expected(f, value, live):
    """The live values after a line, according to its finding."""
    if not f["applied"]:
        return live
    was, now = live[f["sysctl"]], value
    if re.fullmatch(r"-?\d+( \d+)*", was):
        part = re.search(r"only (\d) of", f["why"])
        were = was.split()
        new = numbers(value)[:int(part[1]) if part else len(were)]
        now = " ".join([*map(str, new), *were[len(new):]])
    return live | {f["sysctl"]: ports(now) if "reserved_ports" in f["sysctl"] else now}


def compare(host, tool, lines, want, stock):
    """Runs a tool on the lines, and checks that the live values are then those of want (None: any value)."""
    path = temp_dir() / "a.conf"
    path.write_text("".join(f"{line}\n" for line in lines))
    result = host.run([*TOOLS[tool], str(path)], check=False)
    live = state(host)
    put_back(host, stock, live)
    for name in stock:
        if want[name] is None:
            continue
        if name in ROUNDED and live[name] != stock[name]:
            check(want[name] != stock[name], f"{tool}: {name} changes: {lines}")
            continue
        check_equal(live[name], want[name],
                    f"{tool}: {result.stderr}: {[line for line in lines if name in line]}: {name}")


def against(host, by, table_only):
    stock = state(host)
    writable = sum(is_writable(host, name) for name in stock)
    check(writable > (90 if HAS_6_14 else 70), f"{writable} sysctls that can be written")  # older kernels have fewer
    count = unsaid = refused = 0
    for lines in files_to_try(host, random.Random(SEED)):
        lines = [line for line in lines if not (table_only and BY_TRIAL.search(line))]
        said = findings(host, "".join(f"{line}\n" for line in lines), by)
        silent = set(range(1, len(lines) + 1)) - {f["line"] for f in said}
        check_equal([line for n, line in enumerate(lines, 1) if n in silent and "\ufeff" not in line], [],
                    "lines without a word")
        want = dict(stock)
        for f in said:
            value = lines[f["line"] - 1].split("=", 1)[1].strip(" \t")
            want = want | {f["sysctl"]: None} if f["applied"] is None else expected(f, value, want)
            unsaid += f["applied"] is None
            refused += f["applied"] is False
        for tool in TOOLS:
            compare(host, tool, lines, want, stock)
        count += len(lines)
    diag(f"{count} lines, {unsaid} without a word of what they do, {refused} without an effect (--seed={SEED})")
    return count, unsaid, refused


@test("of over 400 lines, systemd-sysctl and sysctl -p do with each what was said", beside=True)
def _():
    with Single() as host:
        count, unsaid, refused = against(host, (), False)
        check(count > 400 and unsaid < 40 and 100 < refused < count - 100, f"{count}, {unsaid}, {refused}")


@test("and so it is by the table alone, where nothing may be tried", beside=True)
def _():
    with Single() as host:
        count, unsaid, refused = against(host, NOBODY, True)
        check(count > 250 and unsaid < 40 and 100 < refused < count - 100, f"{count}, {unsaid}, {refused}")


# Forms of a line that people write, a file each, and the tools that do what lint says. Lint goes by systemd-sysctl.
FORMS = [(raw, TOOLS) for raw in (
    b"net.ipv4.tcp_fin_timeout=30", b"net.ipv4.tcp_fin_timeout\t=\t31", b"  net.ipv4.tcp_fin_timeout = 32  \r\n",
    b"net.ipv4.tcp_fin_timeout := 30", b"net.ipv4.tcp_fin_timeout == 30", b"net.ipv4.tcp_fin_timeout 30",
    b"net.ipv4.tcp_fin_timeout: 30", b"sysctl -w net.ipv4.tcp_fin_timeout=30", b"include /etc/sysctl.d/x.conf",
    b"net.ipv4.tcp_fin_timeout = 30 net.ipv4.tcp_frto = 1", b"net.ipv4.tcp_fin_timeout = 30; net.ipv4.tcp_frto = 1",
    b"net.ipv4.tcp_fin_timeout = 30 \\\nnet.ipv4.tcp_frto = 1", b"net.ipv4.tcp_fin_timeout = \\\n30",
    b"net.ipv4.tcp_fin_timeout = \xe2\x80\x9c30\xe2\x80\x9d", b"net.ipv4.tcp_fin_timeout = 30\0\nnet.ipv4.tcp_frto = 1",
    b"; net.ipv4.tcp_fin_timeout = 30", b"// net.ipv4.tcp_fin_timeout = 30", b"!net.ipv4.tcp_fin_timeout = 30",
    b"-net.ipv4.tcp_nothing = 1", b"net.ipv4.tcp_fin_timeout = 1m", b"net.ipv4.tcp_fin_timeout = 1_000",
    b"net.ipv4.tcp_*_retries = 9", b"net.ipv4.*.tcp_fin_timeout = 31", b"net.*.tcp_fin_timeout = 31",
    b"net.ipv4.tcp_fin_timeou[t] = 31", b"net/ipv4/tcp_fin_timeout = 0x1e", b"net.ipv4.tcp_syncookies = true",
    b"net.core.somaxconn = 65536", b"net.core.somaxconn = 512k", b"net.ipv4.tcp_max_syn_backlog = 3240000",
    b"net.ipv4.tcp_congestion_control = bbr2", b"net.core.default_qdisc = fq-codel", b"net.ipv4.tcp_ecn = on",
    b"net.ipv4.tcp_fastopen = 0x403", b"net.ipv4.tcp_notsent_lowat = -1", b"net.ipv4.tcp_limit_output_bytes = 0",
    b"net.ipv4.tcp_rmem = 4096,87380,16777216", b"net.ipv4.tcp_rmem = 4K 128K 16M", b"net.ipv4.tcp_wmem = 4096 65536",
    b"net.ipv4.ip_local_port_range = 1024-65535", b"net.ipv4.ip_local_port_range = 65535 1024",
    b"net.ipv4.ip_local_reserved_ports = 8080, 9090", b"net.ipv4.ip_local_reserved_ports = 30000:32767",
    b"net.netfilter.nf_conntrack_max = 2097152", b"net.core.rmem_max = 131072", b"net.core.gro_normal_batch = 8",
    b"net.ipv4.tcp_mem = 8388608 12582912 16777216", b"net.ipv4.udp_rmem_min = 16384", b"net.core.optmem_max = 25165824")]
FORMS += [(raw, ["systemd-sysctl"]) for raw in (b"- net.ipv4.tcp_fin_timeout = 30", b"\0net.ipv4.tcp_fin_timeout = 30\n")]


@test("each form of a line does what was said of it, and is said once: as a finding or as an error", beside=True)
def _():
    with Single() as host:
        stock = state(host)
        for raw, tools in FORMS:
            result, path = lint(host, raw, "--json")
            said = json.loads(result.stdout)
            want = dict(stock)
            for f in said["findings"]:
                line = re.split(b"[\n\0]", raw)[f["line"] - 1].decode(errors="replace")
                want = expected(f, line.split("=", 1)[1].strip(" \t\r"), want) if f["applied"] is not None else want
            lines = [n for n, text in enumerate(re.split(b"[\n\0]", raw), 1) if text and text[:1] != b";"]
            heard = {entry["line"] for entry in said["findings"] + said["errors"]}
            check_equal(heard, set(lines), f"lines of {raw} that something is said of")
            for tool in tools:
                host.run([*TOOLS[tool], str(path)], check=False)
                live = state(host)
                put_back(host, stock, live)
                check_equal({n: live[n] for n in stock if live[n] != want[n]}, {}, f"{tool}: {raw}: what differs")
            fixed = lint(host, raw, "--fix")[0].stdout
            left = [f for f in findings(host, fixed) if f["verdict"] in ("harmful", "no effect")]
            check(left == [] or b"*" in raw, f"{raw} fixed: {fixed}")


@test("of files of several lines, what was said is what systemd-sysctl leaves live", beside=True)
def _():
    rng = random.Random(SEED)
    pool = ["net.ipv4.ip_local_port_range = 1000 60999", "net.ipv4.ip_unprivileged_port_start = 80",
            "net.ipv4.ip_unprivileged_port_start = 40000", "net.ipv4.ip_local_port_range = 40000 60999",
            "net.ipv4.ip_local_port_range = 50000", "net.ipv4.tcp_reordering = 400", "net.ipv4.tcp_max_reordering = 500",
            "net.ipv4.tcp_max_reordering = 5", "net.ipv4.tcp_fin_timeout = 30", "net.ipv4.tcp_fin_timeout = x",
            "-net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_* = 70", "net.ipv4.tcp_keepalive_probes = 4",
            "net/ipv4/tcp_fin_timeout = 31", "net.ipv4.tcp_rmem = 5000 6000 x", "net.ipv4.tcp_rmem = 5000",
            "net.ipv4.tcp_fin_timeout = 30 # again", "net.ipv4.tcp_timestamps = 0", "net.ipv4.tcp_tw_reuse = 1"]
    with Single() as host:
        stock = state(host)
        for _ in range(60):
            lines = [rng.choice(pool) for _ in range(rng.randint(2, 6))]
            text = "".join(f"{line}\n" for line in lines)
            said = findings(host, text)
            want = dict(stock)
            for f in said:
                value = lines[f["line"] - 1].split("=", 1)[1].strip()
                want = expected(f, value, want)
            path = temp_dir() / "a.conf"
            path.write_text(text)
            host.run([*TOOLS["systemd-sysctl"], str(path)], check=False)
            live = state(host)
            put_back(host, stock, live)
            check_equal({n: live[n] for n in stock if live[n] != want[n]}, {},
                        f"{text}\n{json.dumps(said, indent=1)}\n{ {n: want[n] for n in stock if live[n] != want[n]} }\n"
                        "what differs")


main()
