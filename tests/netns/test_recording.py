#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""--record and --replay: the replay of a real storm makes the decisions that the daemon made in it, and another policy
can be rehearsed with the recording. A replay writes nothing."""

import csv
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading

from harness import (HAS_6_14, HOLDS, PATIENCE, POLICY, ChurnClient, ChurnHold, ChurnServer, Pair, Single, Twtuned,
                     binary, check, check_equal, diag, fields, main, message, skip_before_5_14, temp_dir,
                     temp_policy, test)
from ticks import Ticking, narrow, released_soon, replace, wait_rows

LONG = "--long" in sys.argv
sys.argv[1:] = [a for a in sys.argv[1:] if a != "--long"]

REUSE, DELAY = "net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_tw_reuse_delay"
LAST = DELAY if HAS_6_14 else REUSE  # the last one that twtuned sets
QUICK = ("interval = 1s", "interval = 200ms")  # a row each tick
DECISIONS = r"(applied|released|refused|failed|overridden|unexpected-effect|aborted):"
HOUR_NS = 3600 * 10**9


def new_path():
    return temp_dir() / "recording.csv"


def replay(path, policy, namespace=None, check_status=0):
    """The lines of stdout, or of stderr if the exit status is to be another than 0."""
    argv = [binary("twtuned"), f"--replay={path}", f"--config={policy}"]
    run = namespace.run if namespace else subprocess.run
    timeout = 8 * PATIENCE  # an hour of rows is a minute of work for an idle machine
    result = run(argv, check=False) if namespace else run(argv, text=True, capture_output=True, timeout=timeout)
    check_equal(result.returncode, check_status, f"exit status of the replay ({result.stderr})")
    return result.stdout.splitlines() if check_status == 0 else result.stderr.splitlines()


def decisions(lines):
    """The decisions in a log or a replay: the kind, the message, and the fields except NETNS."""
    found = []
    for line in lines:
        if match := re.search(rf"(?:^|s ){DECISIONS}", line):
            text = line[match.start(1):]
            if "twtuned stops" not in text:
                found.append((match[1], message(text), {k: v for k, v in fields(text).items() if k != "NETNS"}))
    return found


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def check_same(log, replayed):
    logged, again = decisions(log), decisions(replayed)
    check(logged, "the daemon decided nothing")
    for one, other in zip(logged, again):
        check_equal(other, one, "a replayed decision")
    check_equal(len(again), len(logged), f"replayed decisions {again}, logged {logged}")


def row_at(rows, line):
    """The row of the tick of a replayed line, and the next; None when there is none."""
    after = float(re.search(r"\+([\d.]+)s ", line)[1])
    begun = float(rows[0]["time"])
    i = min(range(len(rows)), key=lambda k: abs(float(rows[k]["time"]) - begun - after))
    return rows[i], rows[i + 1] if i + 1 < len(rows) else None


def check_ticks(rows, replayed):
    """A sysctl is as before in the row of its change, and changed in the next one."""
    changes = [line for line in replayed if re.search("s (applied|released): net", line)]
    for line in changes:
        found = fields(line)
        here, then = row_at(rows, line)
        if then is None:  # the daemon ended after it
            continue
        check_equal((here[found["SYSCTL"]], then[found["SYSCTL"]]), (found["OLDVALUE"], found["NEWVALUE"]),
                    f"the rows of {message(line)}")
    check(changes, "there are no changes")


def storm(pair, policy, *args, wait=rf"^released: (would set )?{REUSE}:", ports=64, rate=40):
    """Records a storm in which both rules act, or would; returns the path and the daemon's log."""
    path = new_path()
    narrow(pair.client, ports)
    ChurnServer(pair.server, pair.server.ip4)
    twtuned = Twtuned(pair.client, policy, args=[f"--record={path}", *args])
    twtuned.wait_for("^config-loaded")
    load = ChurnClient(pair.client, pair.server.ip4, rate=rate)
    twtuned.wait_for(f"^applied: (would set )?{LAST}")
    wait_rows(path, 12)  # what is read slowly is read every tenth tick
    if "released" in wait:
        load.stop()
    twtuned.wait_for(wait)
    wait_rows(path, 2)
    check_equal(twtuned.stop(), 0, "exit status")
    return path, twtuned.lines


def tcp_sysctls(namespace):
    with namespace.entered():
        directory = pathlib.Path("/proc/sys/net/ipv4")
        return {p.name: p.read_text() for p in directory.glob("*") if p.is_file() and os.access(p, os.R_OK)}


_storm, _storm_lock = None, threading.Lock()


def enforced_storm():
    """One for several tests: its policy, its recording, the daemon's log."""
    global _storm
    with _storm_lock:
        if _storm is None:
            with Pair() as pair:
                policy = temp_policy(replace(released_soon(POLICY.read_text()), QUICK))
                _storm = (policy, *storm(pair, policy))
    return _storm


@test("a storm, enforced: the replay decides what the daemon decided, at the same ticks; twice the same bytes",
      beside=True)
def _():
    policy, path, log = enforced_storm()
    with Single() as other:
        before = tcp_sysctls(other)
        replayed = replay(path, policy, other)
        check_equal(tcp_sysctls(other), before, "sysctls after the replay")
        check_equal(replay(path, policy, other), replayed, "the second replay")
    check_same(log, replayed)
    check_ticks(rows_of(path), replayed)
    for line in replayed:
        diag(line.split(" MESSAGE_ID")[0])


@test("the same in observe mode: 'would', and each expect counts as met, which is said", beside=True)
def _():
    with Pair() as pair:
        policy = temp_policy(replace(released_soon(POLICY.read_text()), QUICK))
        path, log = storm(pair, policy, "--observe")
    replayed = replay(path, policy)
    check_same(log, replayed)
    check(all("would" in text for kind, text, _ in decisions(replayed) if kind in ("applied", "released")), replayed)
    check("each expect counts as met" in replayed[0], replayed[0])
    check_equal({row["mode"] for row in rows_of(path)}, {"observe"}, "mode")
    check_equal({row["held"] for row in rows_of(path)}, {""}, "what is held")


@test("a peer without timestamps: the effect that does not come is missed in the replay as well", beside=True)
def _():
    with Pair() as pair:
        pair.server.sysctl("net.ipv4.tcp_timestamps", 0)
        policy = temp_policy(replace(POLICY.read_text(), ("within 15s", "within 3s"),
                                     ("reuse_demand >= 50%", "reuse_demand >= 5%"),
                                     ("reuse_demand < 30%", "reuse_demand < 1%"), QUICK))
        # Each connection takes one of 1,000 ports for good: 400 make the pressure, and the others last for 6 s.
        wait = "^unexpected-effect: .*RULE=time-wait-reuse "
        path, log = storm(pair, policy, wait=wait, ports=1000, rate=100)
    replayed = replay(path, policy)
    check_same(log, replayed)
    check(any(kind == "unexpected-effect" for kind, _, _ in decisions(replayed)), replayed)


@test("a sysctl that someone else changed meanwhile is left alone in the replay as well", beside=True)
def _():
    with Pair() as pair:
        path, policy = new_path(), temp_policy(HOLDS + f"set = {DELAY} = 250\n")
        ChurnServer(pair.server, pair.server.ip4)
        load = ChurnHold(pair.client, pair.server.ip4, count=10)
        twtuned = Twtuned(pair.client, policy, args=[f"--record={path}"])
        twtuned.wait_for(f"^applied: {DELAY}")
        wait_rows(path, 3)
        pair.client.sysctl(DELAY, 500)
        twtuned.wait_for(f"^overridden: {DELAY}")
        load.stop()
        twtuned.wait_for(f"^released: {REUSE}:")
        wait_rows(path, 2)
        twtuned.stop()
    check_same(twtuned.lines, replay(path, policy))


@test("another policy is rehearsed: the recorded twtuned's own changes are not in its way", beside=True)
def _():
    _, path, _ = enforced_storm()
    # This rule holds over the whole load, longer than the recorded one. The recorded changes do not count as foreign.
    longer = temp_policy(f"[rule long]\nwhen = tcp.time_wait >= 20\nuntil = tcp.time_wait < 1\nset = {REUSE} = 1\n")
    found = decisions(replay(path, longer))
    check_equal([kind for kind, _, _ in found], ["applied"], "the decisions of a longer rule")
    check_equal(found[0][2]["ORIGINALVALUE"], "2", "ORIGINALVALUE")
    # A recording also has the metrics that no rule of its policy uses.
    for condition in ("tcp.time_wait > 10", "syn_queue.worst >= 0%", "self.rss > 1kB"):
        other = temp_policy(f"[rule other]\nwhen = {condition}\nset = net.ipv4.tcp_fin_timeout = 30\n")
        check_equal([text.split(": ")[1:3] for _, text, _ in decisions(replay(path, other))],
                    [["net.ipv4.tcp_fin_timeout", "60 -> 30"]], f"the decisions on {condition}")


@test("an hour of rows is replayed: so many ticks and seconds, and the first storm as the daemon decided about it",
      beside=True)
def _():
    policy, path, log = enforced_storm()
    header, *rows = path.read_text().splitlines()
    rows = [(int(row.split(",")[0].replace(".", "")), row.split(",", 1)[1]) for row in rows]  # ns
    period = rows[-1][0] - rows[0][0] + 200_000_000
    hour, storms = new_path(), HOUR_NS // period
    with open(hour, "w") as file:
        print(header, file=file)
        for storm_number in range(storms):
            for at, rest in rows:
                at += storm_number * period
                print(f"{at // 10**9}.{at % 10**9:09d},{rest}", file=file)
    lines, seconds = replay(hour, policy), (storms * period - 200_000_000) / 1e9
    check(lines[-1].startswith(f"{storms * len(rows)} ticks, {seconds:.0f} s, "), lines[-1])
    once, found = decisions(log), decisions(lines)
    check_equal(found[:len(once)], once, "the first storm's decisions")
    check(len(found) > len(once), "no later storm is decided about")


@test("after kill -9 the recording is whole; a row that was cut short is left out, with a notice", beside=True)
def _():
    path, policy = new_path(), temp_policy(HOLDS)
    with Pair() as pair:
        ChurnServer(pair.server, pair.server.ip4)
        ChurnHold(pair.client, pair.server.ip4, count=10)
        twtuned = Twtuned(pair.client, policy, args=[f"--record={path}"])
        twtuned.wait_for("^applied:")
        wait_rows(path, 3)
        twtuned.stop(signal.SIGKILL)
    whole = replay(path, policy)
    check_same(twtuned.lines, whole)
    text = path.read_text()
    check(text.endswith("\n"), "the last row has no end")
    path.write_text(text[:-20])
    ticks = int(whole[-1].split()[0])
    cut = subprocess.run([binary("twtuned"), f"--replay={path}", f"--config={policy}"], text=True, capture_output=True)
    check_equal(cut.returncode, 0, "exit status")
    check(cut.stderr.startswith(f"{path}:{ticks + 1}: the last row is cut short"), cut.stderr)
    check(cut.stdout.splitlines()[-1].startswith(f"{ticks - 1} ticks"), cut.stdout)


@test("what is broken is said with its line: exit 65", beside=True)
def _():
    policy, path, _ = enforced_storm()
    lines = path.read_text().splitlines()
    bad = new_path()
    for number, old, new, what in ((4, ",enforce,", ",perhaps,", "mode cannot be 'perhaps'"),
                                   (6, ",enforce,", ",enforce,,", "interval cannot be ''"),
                                   (5, lines[4], lines[3], "time does not increase"),
                                   (3, lines[2], "", "time cannot be ''"),
                                   (7, lines[6], lines[6].rsplit(",", 3)[0], "the row has fewer cells than the first line"),
                                   (1, "ports.cliff,", "ports.clif,", "unknown column 'ports.clif'")):
        text = lines[:number - 1] + [lines[number - 1].replace(old, new)] + lines[number:]
        bad.write_text("\n".join(text) + "\n")
        said = replay(bad, policy, check_status=65)[0]
        check(said.startswith(f"{bad}:{number}: {what}"), said)
    bad.write_text("")
    check_equal(replay(bad, policy, check_status=65), [f"{bad}: the file contains no recording"], "of an empty file")
    check_equal(replay("/no/such", policy, check_status=66), ["twtuned: /no/such: No such file or directory"], "none")
    check_equal(replay("/", policy, check_status=74), ["twtuned: /: Is a directory"], "of what cannot be read")


@test("a column that is not there is unavailable, and so is a rule that asks for it", beside=True)
def _():
    policy, path, _ = enforced_storm()
    rows = rows_of(path)
    older = new_path()
    with open(older, "w", newline="") as file:
        names = [name for name in rows[0] if name != "ports.reuse_demand"]
        writer = csv.DictWriter(file, names, extrasaction="ignore", lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows)
    lines = replay(older, policy)
    check("UNAVAILABLE=time-wait-reuse " in lines[0] + " ", lines[0])
    check_equal(decisions(lines), [], "decisions")
    wants = temp_policy(f"[rule more]\nwhen = netstat.TcpExt.TCPMD5Failure > 1/s\nset = {REUSE} = 1\n")
    check_equal(replay(path, wants)[0], "not in the recording: netstat.TcpExt.TCPMD5Failure", "the first line")


@test("a file with something in it is not written over; where none can be made nothing is begun", beside=True)
def _():
    skip_before_5_14()
    with Single() as host:
        path, policy = new_path(), temp_policy(HOLDS)
        path.write_text("mine\n")
        for where, what in ((path, "is not empty"), ("/no/such/file", "cannot record to /no/such/file")):
            result = host.run([binary("twtuned"), f"--config={policy}", f"--record={where}"], check=False)
            check_equal(result.returncode, 73, f"exit status for {where}")
            check(what in result.stderr, result.stderr)
        check_equal(path.read_text(), "mine\n", "the file")


@test("a full disk ends the recording, which is said once; the daemon goes on", beside=True)
def _():
    with Pair() as pair:
        ChurnServer(pair.server, pair.server.ip4)
        twtuned = Ticking(pair.client, temp_policy(HOLDS), args=["--record=/dev/full"])
        twtuned.wait_for("^degraded: cannot write the recording /dev/full: No space left on device")
        ChurnHold(pair.client, pair.server.ip4, count=10)
        twtuned.wait_for(f"^applied: {REUSE}:")
        twtuned.ticks(5)
        check_equal(sum("recording" in line for line in twtuned.lines), 1, "lines about the recording")
        check_equal(twtuned.stop(), 0, "exit status")


@test("a reload goes on in the same file with the same columns", beside=True)
def _():
    with Pair() as pair:
        path = new_path()
        counter = "netstat.TcpExt.TCPTimeouts"
        policy = temp_policy(HOLDS + f"when = {counter} >= 0/s\n")
        twtuned = Twtuned(pair.client, policy, args=[f"--record={path}"])
        twtuned.wait_for("^config-loaded")
        wait_rows(path, 3)
        others = "".join(f"when = netstat.TcpExt.{name} >= 0/s\n" for name in ("ListenDrops", "ListenOverflows"))
        policy.write_text(HOLDS.replace(">= 10", ">= 20") + others)
        twtuned.process.send_signal(signal.SIGHUP)
        twtuned.wait_for("^config-loaded", since=1)
        wait_rows(path, 3)
        twtuned.stop()
    rows = rows_of(path)
    check(len(rows) >= 6 and rows[-1][counter] == "0", [row[counter] for row in rows])
    # Bounds would be enough for this policy, but maybe not for another one.
    check_equal({row["ports.used"] for row in rows}, {"0"}, "ports.used")
    replay(path, policy)


@test("a reload to observe mode and back: the replay follows it, and decides what the daemon decided", beside=True)
def _():
    with Pair() as pair:
        path, policy = new_path(), temp_policy(HOLDS)
        ChurnServer(pair.server, pair.server.ip4)
        twtuned = Twtuned(pair.client, policy, args=[f"--record={path}"])
        load = ChurnHold(pair.client, pair.server.ip4, count=10)
        twtuned.wait_for(f"^applied: {REUSE}:")
        wait_rows(path, 3)
        for mode, applied in (("observe", f"would set {REUSE}"), ("enforce", REUSE)):
            before = len(twtuned.lines)
            policy.write_text(HOLDS.replace("[daemon]", f"[daemon]\nmode = {mode}"))
            twtuned.process.send_signal(signal.SIGHUP)
            twtuned.wait_for(f"^applied: {applied}:", since=before)
            wait_rows(path, 3)
        before = len(twtuned.lines)
        load.stop()
        twtuned.wait_for(f"^released: {REUSE}:", since=before)
        wait_rows(path, 2)
        twtuned.stop()
    check_equal({row["mode"] for row in rows_of(path)}, {"enforce", "observe"}, "mode")
    replayed = replay(path, policy)
    check_same(twtuned.lines, replayed)
    check_equal(sum("each expect counts as met" in line for line in replayed), 1, "notices")


@test("each row has its interval: after a reload with a longer one no tick is late, and the clocks go on", beside=True)
def _():
    _, path, _ = enforced_storm()
    rows, path = rows_of(path), new_path()
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        for second, interval in [(i, 1) for i in range(1, 6)] + [(5 + 10 * i, 10) for i in range(1, 6)]:
            writer.writerow({**rows[0], "time": f"{second}.000000000", "interval": f"{interval}.000000000"})
    policy = temp_policy(f"[rule a]\nwhen = tcp.time_wait >= 0 for 34s\nset = {REUSE} = 1\n")
    lines = replay(path, policy)
    check(not any(" degraded: " in line for line in lines), lines)
    check_equal([line.split("s applied: ")[0].split("+")[1] for line in lines if "s applied: " in line], ["34.000"],
                "the second at which the rule acted")


@test("--record goes with the daemon, --replay with --config alone", beside=True)
def _():
    for args in (["--once", "--record=x"], ["--replay=x", "--record=y"], ["--replay=x", "--observe"],
                 ["--replay=x", "--once"], ["--replay"]):
        run = subprocess.run([binary("twtuned"), *args], text=True, capture_output=True, timeout=PATIENCE)
        check_equal(run.returncode, 64, f"exit status of {args}")


if LONG:
    @test("a storm on stock ports, until its rule is given back as shipped: the replay decides what the daemon decided")
    def _():
        with Pair() as pair:
            path = new_path()
            ChurnServer(pair.server, pair.server.ip4)
            twtuned = Twtuned(pair.client, POLICY, args=[f"--record={path}"])
            twtuned.wait_for("^config-loaded")
            load = ChurnClient(pair.client, pair.server.ip4)
            twtuned.wait_for(rf"^applied: {REUSE}:")
            wait_rows(path, 3)
            load.stop()
            twtuned.wait_for(rf"^released: {REUSE}:", 60 + 120 + PATIENCE)
            wait_rows(path, 2)
            twtuned.stop()
        replayed = replay(path, POLICY)
        check_same(twtuned.lines, replayed)
        check_ticks(rows_of(path), replayed)


if __name__ == "__main__":
    main()
