#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""kill -9 after every system call of an apply, of a release, of the end, of a take-over and of --restore, on the real
kernel: --restore alone puts everything back, and a new start takes over what is ours, or finds the original.

A call that only reads, or changes nothing but the process itself, leaves what the call before it left: by default there
is no kill after it. --long: after every call."""

import collections
import concurrent.futures
import platform
import shutil
import signal
import sys

import lives
from lives import DELAY, ORIGINAL, REUSE, WRITTEN, Run, host, new_directory, policy
from harness import check, check_equal, diag, main, temp_dir, test

KILLER = str(lives.BUILD / "tests" / "kill_after")
LONG = "--long" in sys.argv
sys.argv[1:] = [a for a in sys.argv[1:] if a != "--long"]
WORKERS = 16

# epoll_wait or epoll_pwait: until the next tick.
IDLE = {"x86_64": 232, "aarch64": 22}[platform.machine()]

# access arch_prctl brk capget clock_gettime close epoll_create epoll_ctl epoll_wait execve faccessat fcntl fstat futex
# getdents getpid getrandom getsockname getsockopt gettid getuid ioctl lseek mmap mprotect munmap newfstatat open poll
# prctl pread prlimit read readlink recvmsg rseq rt_sigaction rt_sigprocmask set_robust_list set_tid_address signalfd
# statx timerfd_create timerfd_settime uname. An open() of a ledger for writing begins a new count.
HARMLESS = {
    "x86_64": {21, 158, 12, 125, 228, 3, 291, 233, 232, 59, 269, 439, 72, 5, 202, 217, 39, 318, 51, 55, 186, 102, 104,
               107, 108, 16, 8, 9, 10, 11, 262, 257, 7, 157, 17, 302, 0, 267, 47, 334, 13, 14, 273, 218, 289, 332, 283,
               286, 63},
    "aarch64": {214, 90, 113, 57, 20, 21, 22, 221, 48, 439, 25, 80, 98, 61, 172, 278, 204, 209, 178, 174, 175, 176, 177,
                29, 62, 222, 226, 215, 79, 56, 73, 167, 67, 261, 63, 78, 212, 293, 134, 135, 99, 96, 74, 291, 85, 86,
                160},
}[platform.machine()]


def killer(mark, n, file="-"):
    return (KILLER, str(mark), str(n), str(file))


def calls_of(scenario):
    """The calls from the start, and from each write of the ledger, to the next write or the end of the tick."""
    file = temp_dir() / "calls"
    run = scenario(wrapper=killer("none", 0, file), shim=False)
    check_equal((run.status, run.host.sysctls()), (0, ORIGINAL), f"a run that is not killed, which says {run.log}")
    calls = collections.defaultdict(dict)
    for line in file.read_text().splitlines():
        mark, n, number = map(int, line.split())
        if IDLE not in calls[mark].values():
            calls[mark][n] = number
    return calls


def end_well(directory, where):
    """Runs --restore after the kill; then, with everything again as the kill left it, a new start and its end."""
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
    # The first and the last call as well: before all, and when all is over.
    points = [(mark, n) for mark, numbers in calls.items() for n in numbers
              if LONG or n in (0, 1, max(numbers)) or numbers[n] not in HARMLESS]
    seen = collections.Counter()

    def one(point):
        run = scenario(wrapper=killer(*point), shim=False)
        left = tuple(run.host.sysctls().values())
        return run.status, left, end_well(run.runtime_dir, f"killed after call {point[1]} of ledger {point[0]}")

    bad = []
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for status, left, found in pool.map(one, points):
            found += [f"exit status {status}"] if status else []
            seen[left] += 1
            bad += found
    diag(f"{len(points)} kills, before, at and after {len(calls) - 1} writes of the ledger; left: "
         + ", ".join(f"{'/'.join(left)} {count} times" for left, count in seen.most_common()))
    for line in bad[:20]:
        diag(line)
    check(not bad, f"{len(bad)} of {len(points)} kills end badly")
    check(lefts <= set(seen), f"no kill left {lefts - set(seen)}")


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
