#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""kill -9 after every system call of an apply, of a release, of the end, of a take-over and of --restore, on the real
kernel: --restore alone puts everything back, and a new start takes over what is ours, or finds the original."""

import collections
import concurrent.futures
import platform
import shutil
import signal

import lives
from lives import DELAY, ORIGINAL, REUSE, WRITTEN, Run, host, new_directory, policy
from harness import check, check_equal, diag, main, temp_dir, test

KILLER = str(lives.BUILD / "tests" / "kill_after")
WORKERS = 16


def killer(mark, n, file="-"):
    return (KILLER, str(mark), str(n), str(file))


def calls_of(scenario):
    """How many calls there are from the start, and from each write of the ledger, to the next or the tick's end."""
    file = temp_dir() / "calls"
    run = scenario(wrapper=killer("none", 0, file), shim=False)
    check_equal((run.status, run.host.sysctls()), (0, ORIGINAL), f"a run that is not killed, which says {run.log}")
    calls = collections.defaultdict(list)
    for line in file.read_text().splitlines():
        mark, _, number = map(int, line.split())
        calls[mark].append(number)
    idle = {"x86_64": 232, "aarch64": 22}[platform.machine()]  # epoll_wait, epoll_pwait: until the next tick
    return {mark: numbers.index(idle) + 1 if idle in numbers else len(numbers) for mark, numbers in calls.items()}


def end_well(directory, where):
    """--restore after the kill, and beside it, with everything as it was then, a new start and its end."""
    h = host()
    left = h.sysctls()
    found = [f"{where}: {name} is {left[name]}" for name in left if left[name] not in (ORIGINAL[name], WRITTEN[name])]
    copy = new_directory()
    shutil.copytree(directory, copy, dirs_exist_ok=True)

    restore = Run(["--restore"], directory)
    status = restore.end()
    if (status, h.sysctls()) != (0, ORIGINAL):
        found.append(f"{where}, at {left}: --restore gives {status} and leaves {h.sysctls()}: {restore.log}")

    h.sysctls(left)
    again = Run([f"--config={policy}"], copy)
    again.await_lines("enforcing", ticks=3)
    now = h.sysctls()
    found += [f"{where}, at {left}: started anew, {name} is {now[name]}: {again.log}" for name in now
              if now[name] not in (left[name], ORIGINAL[name])]
    if any("left alone" in line for line in again.log):
        found.append(f"{where}, at {left}: started anew, it is not taken for ours: {again.log}")
    status = again.end(signal.SIGTERM)
    if (status, h.sysctls()) != (0, ORIGINAL):
        found.append(f"{where}, at {left}: started anew, the end gives {status} and leaves {h.sysctls()}: {again.log}")
    return found


def kill_everywhere(scenario, lefts):
    """lefts: values of both sysctls that are known to be left by some of the kills."""
    calls = calls_of(scenario)
    points = [(mark, n) for mark in calls for n in range(mark == 0, calls[mark])]
    seen = collections.Counter()

    def one(point):
        run = scenario(wrapper=killer(*point), shim=False)
        left = tuple(run.host.sysctls().values())
        return run.status, left, end_well(run.runtime_dir, f"killed after call {point[1]} of ledger {point[0]}")

    bad, missed = [], 0
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for status, left, found in pool.map(one, points):
            missed += status != 0
            seen[left] += 1
            bad += found
    diag(f"{len(points)} kills, before, at and after {len(calls) - 1} writes of the ledger; left: "
         + ", ".join(f"{'/'.join(left)} {count} times" for left, count in seen.most_common()))
    for line in bad[:20]:
        diag(line)
    check(not bad, f"{len(bad)} of {len(points)} kills end badly")
    check(lefts <= set(seen), f"no kill left {lefts - set(seen)}")
    check(missed <= len(points) / 10, f"{missed} of {len(points)} points were not reached")


@test("an apply of two sysctls, a release, and the end that gives back the other")
def _():
    kill_everywhere(lives.life, {("2", "1000"), ("1", "1000"), ("1", "250"), ("2", "250")})


@test("a take-over, a release and the end")
def _():
    kill_everywhere(lives.take_over, {("1", "250"), ("2", "250"), ("2", "1000")})


@test("--restore")
def _():
    kill_everywhere(lives.restore, {("1", "250"), ("1", "1000"), ("2", "1000")})


if __name__ == "__main__":
    main()
