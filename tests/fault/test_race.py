#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Someone else writes the same sysctls at random moments, while twtuned changes and gives them back, ends, is killed
and starts anew: it never writes over a foreign value that it has seen.

A sysctl cannot be written on condition of its value, so twtuned overwrites a value that is written between its look
and its write: that may happen, and is counted. A value that was there when it looked must not be lost. In each round
one sysctl is written while twtuned is known to hold it, so that at least that one is overridden.

By default 80 rounds with --seed=1. --long: 200 rounds with another seed; --seed=N draws the same numbers again."""

import collections
import concurrent.futures
import os
import random
import re
import signal
import sys
import threading
import time

from lives import Run, host, new_directory
from harness import check, diag, main, temp_policy, test, wait_until

LONG = "--long" in sys.argv
ROUNDS = 200 if LONG else 80
SEED = next((int(a.split("=")[1]) for a in sys.argv if a.startswith("--seed=")),
            random.randrange(10**6) if LONG else 1)
AGAIN = f"again: {sys.argv[0]}{' --long' * LONG} --seed={SEED}"
sys.argv[1:] = [a for a in sys.argv[1:] if not a.startswith("--")]
WORKERS = 8

# Original, what the rule writes, and what someone else does.
SYSCTLS = {
    "net.ipv4.tcp_tw_reuse": ("2", "1", ["0"]),
    "net.ipv4.tcp_tw_reuse_delay": ("1000", "250", [str(n) for n in range(300, 900)]),
    "net.ipv4.tcp_fin_timeout": ("60", "20", [str(n) for n in range(25, 55)]),
    "net.ipv4.tcp_keepalive_intvl": ("75", "15", [str(n) for n in range(20, 70)]),
    "net.ipv4.tcp_keepalive_probes": ("9", "5", ["6", "7", "8"]),
}
NAMES = list(SYSCTLS)
RULES = {"reuse": NAMES[:2], "others": NAMES[2:]}

POLICY = """
[daemon]
interval = 100ms
[limits]
min_interval = 0s
changes_per_minute = 600
""" + "".join(f"""
[rule {rule}]
when = ports.used >= 10
until = ports.used < 5 for 100ms
""" + "".join(f"set = {name} = {SYSCTLS[name][1]}\n" for name in names)
              for rule, names in RULES.items())

policy = temp_policy(POLICY)


def path_of(name):
    return "/proc/sys/" + name.replace(".", "/")


class Racer(threading.Thread):
    """Writes values of its own to the sysctls with these names at random moments until it is told to end."""

    def __init__(self, netns, rng, names):
        super().__init__(daemon=True)
        with netns.entered():
            self.fds = {name: os.open(path_of(name), os.O_RDWR) for name in NAMES}
        self.names = names
        self.rng, self.stopped = rng, threading.Event()
        self.written = collections.defaultdict(list)  # name -> (begun, ended, value)
        self.start()

    def run(self):
        while not self.stopped.wait(self.rng.expovariate(1 / 0.3)):
            self.write(self.rng.choice(self.names), self.rng)

    def read(self, name):
        return os.pread(self.fds[name], 16, 0).decode().strip()

    def write(self, name, rng):
        value = rng.choice(SYSCTLS[name][2])
        begun = time.monotonic_ns()
        os.pwrite(self.fds[name], value.encode(), 0)
        self.written[name].append((begun, time.monotonic_ns(), value))

    def end(self):
        self.stopped.set()
        self.join()
        for fd in self.fds.values():
            os.close(fd)


def one_round(rng):
    """One twtuned, or two in turn. Returns their log, their looks and writes by name, the racer's, and the end."""
    h, directory = host(), new_directory()
    for name in NAMES:
        h.netns.sysctl(name, SYSCTLS[name][0])
    ends = [signal.SIGKILL, signal.SIGTERM] if rng.random() < 0.3 else [signal.SIGTERM]
    overridden = rng.choice(NAMES)
    # For 10 minutes a rule does not set a sysctl that someone else wrote before the rule did, nor its other sysctls.
    [rule] = [names for names in RULES.values() if overridden in names]
    racer = Racer(h.netns, random.Random(rng.random()), [name for name in NAMES if name not in rule])
    log, trace = [], []
    for sig in ends:
        run = Run([f"--config={policy}"], directory)
        for _ in range(rng.randint(1, 3)):
            h.connect()
            if overridden:
                wait_until(lambda: racer.read(overridden) == SYSCTLS[overridden][1],
                           lambda: f"{overridden} is changed; {run.log}; {dict(racer.written)}")
                racer.write(overridden, rng)
                run.await_lines(f"{overridden} is .*another program", ticks=5)
                racer.names = [name for name in NAMES if name != overridden]
                overridden = None
            run.await_lines(ticks=rng.randint(0, 4))
            h.disconnect()
            run.await_lines(ticks=rng.randint(0, 4))
        time.sleep(rng.uniform(0, 0.1))  # any part of a tick
        status = run.end(sig)
        log.append(run.log)
        trace += run.trace
    racer.end()
    check(status == 0, f"exit status {status}: {log}")
    seen = collections.defaultdict(list)  # name -> ("saw" or "wrote", ns, value)
    for line in trace:
        if match := re.fullmatch(r"(saw|wrote) (\d+) /proc/sys/(\S+) (.*)", line):
            seen[match[3].replace("/", ".")].append((match[1], int(match[2]), match[4]))
    return log, seen, racer.written, {name: h.netns.sysctl(name) for name in NAMES}


def judge(name, seen, theirs, end, found, count):
    """Follows one sysctl through a round."""
    value = SYSCTLS[name][1]
    held, seen_theirs, original, last = False, False, None, None
    for what, at, text in seen:
        if what == "saw":
            seen_theirs |= held and text not in (value, original)
            last = text
            continue
        count["writes"] += 1
        if seen_theirs:
            found.append(f"{name}: {text} is written after {last} of someone else was seen")
        if text == value:
            original = original if held else last
            if last == value and not held:
                found.append(f"{name}: {text} is written over itself")
        elif text != original:
            found.append(f"{name}: {text} is given back, the original is {original}")
        held = text == value
    count["overridden"] += seen_theirs
    if not theirs:
        if end != SYSCTLS[name][0]:
            found.append(f"{name} ends as {end}, although nobody else wrote it")
    elif end != theirs[-1][2]:
        # Their last value was overwritten. If twtuned had seen it, it would have left it alone, or given it back.
        begun, ended, last_value = theirs[-1]
        after = [(a, t) for w, a, t in seen if w == "wrote" and a >= begun]
        looks = [a for w, a, t in seen if w == "saw" and a > ended and (not after or a < after[0][0])]
        if looks or not after:
            found.append(f"{name} ends as {end}; someone else wrote {last_value} last, and twtuned looked after that")
        count["between look and write"] += 1
    return seen_theirs


@test("another process writes the same sysctls at random")
def _():
    rounds = collections.Counter()
    found = []

    def work(number):
        log, seen, theirs, end = one_round(random.Random(f"{SEED} {number}"))
        rounds["rounds"] += 1
        rounds["writes of someone else"] += sum(map(len, theirs.values()))
        for name in NAMES:
            judged = []
            overridden = judge(name, seen[name], theirs[name], end[name], judged, rounds)
            # A process that is killed between saving the ledger and logging leaves it to the next one to say so.
            said = [sum(bool(re.search(rf"{re.escape(name)} is .*(another program|someone else)", line))
                        for line in lines) for lines in log]
            # If their last value is the original one, the log calls it the new original value.
            original = any(re.search(rf"{re.escape(name)}: \S+ -> \S+: another program changed it", line)
                           for lines in log for line in lines)
            if overridden and not sum(said) and not original:
                judged.append(f"{name}: it is not said that someone else changed it")
            if max(said) > 1:
                judged.append(f"{name}: it is said {max(said)} times that someone else changed it")
            if judged:
                found.append([f"round {number}", *judged, f"seen: {seen[name]}", f"theirs: {theirs[name]}",
                              f"log: {log}"])

    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(work, range(ROUNDS)))
    diag(", ".join(f"{count} {what}" for what, count in rounds.items()) + f"; {AGAIN}")
    for lines in found[:8]:
        diag("\n".join(line[:2000] for line in lines))
    check(not found, f"{len(found)} sysctls went wrong; {AGAIN}")
    check(rounds["overridden"] >= ROUNDS, f"only {rounds['overridden']} sysctls were overridden in {ROUNDS} rounds")


if __name__ == "__main__":
    main()
