#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every call to the outside fails, in every way that it can: no crash, no hang, nothing left open, no value but ours
and the original, and the original is back in the end. inject.c makes the real daemon's calls fail.

By default each call site fails at one of its calls, with one of its errors; a site whose failure could lose the
original fails at five of its calls with every error. The sample is that of --seed=1. --long: everything; the order,
and the sample under valgrind, differ from run to run; --seed=N repeats a run."""

import collections
import concurrent.futures
import errno
import itertools
import random
import re
import shutil
import sys

from lives import ORIGINAL, WRITTEN, Run, life, policy, restore, take_over
from harness import Skip, check, check_equal, diag, main, test

LONG = "--long" in sys.argv
SEED = next((int(a.split("=")[1]) for a in sys.argv if a.startswith("--seed=")),
            random.randrange(10**6) if LONG else 1)
AGAIN = f"again: {sys.argv[0]}{' --long' * LONG} --seed={SEED}"
sys.argv[1:] = [a for a in sys.argv[1:] if not a.startswith("--")]
WORKERS = 16
MOST = 5  # calls of a site that is in VITAL

# The errors that each call can return (its man page); `short`: it does less than was asked for.
ERRORS = {
    "open": "ENOENT EACCES EPERM EROFS ENOMEM EMFILE ENOSPC EINTR",
    "fopen": "ENOENT EACCES ENOMEM EMFILE EINTR",
    "read": "EIO EINTR EAGAIN short",
    "read_event": "EINTR EAGAIN",
    "pread": "EIO EINTR EAGAIN EPERM EINVAL ENOMEM short",
    "write": "EIO EINTR ENOSPC EROFS EPERM short",
    "pwrite": "EIO EINTR EPERM EACCES EINVAL EROFS ENOENT short",
    "close": "EIO EINTR ENOSPC",
    "rename": "EROFS ENOSPC EACCES EPERM EIO ENOENT",
    "unlink": "EROFS EPERM ENOENT",
    "mkdir": "EROFS ENOSPC EACCES",
    "getrandom": "EAGAIN EINTR ENOSYS",
    "socket": "EPROTONOSUPPORT EMFILE ENOBUFS EPERM",
    "bind": "EADDRINUSE ENOMEM EPERM",
    "getsockopt": "ENOPROTOOPT EINVAL",
    "setsockopt": "ENOPROTOOPT EINVAL ENOMEM",
    "sendto": "ENOBUFS EAGAIN EINTR EPERM ENOMEM short",
    "recvmsg": "ENOBUFS EAGAIN EINTR ENOMEM short",
    "sendmsg": "ENOBUFS EAGAIN EINTR ECONNREFUSED EPERM",
    "epoll_create1": "EMFILE ENOMEM",
    "epoll_ctl": "ENOMEM ENOSPC",
    "epoll_wait": "EINTR",
    "timerfd_create": "EMFILE ENOMEM EPERM",
    "timerfd_settime": "EINVAL ECANCELED",
    "signalfd": "EMFILE ENOMEM",
    "journal": "ENOBUFS ECONNREFUSED EPERM ENOMEM",
    "sd_notify": "ENOBUFS EAGAIN ECONNREFUSED EPERM",
    "malloc": "ENOMEM",
    "calloc": "ENOMEM",
    "realloc": "ENOMEM",
}
HOWS = ("once", "file", "all")
# If these failed for ever, there would be no loop, or no start.
ONCE = ("read_event", "epoll_wait", "malloc", "calloc", "realloc")

# The calls whose failure could lose the original.
VITAL = re.compile(r"(write|rename|open|close|read|unlink|mkdir) .*(\.ledger|boot_id|run$)"
                   r"|pwrite |pread .*tcp_tw_reuse")
EXIT_STATUS = {0, 1, 69, 71, 73, 75, 78}  # sysexits(3)
MEMORY = ("malloc", "calloc", "realloc")


# ---- what must hold ----

def normal(line, run):
    """The line without what differs from run to run."""
    return re.sub(r"\d+(?=\.ledger)", "N", line.replace(str(run.runtime_dir), "run")).replace(str(policy), "policy")


def examine(run, clean_log):
    """What is wrong with how a run ended, and with what is there after the next one: a list of sentences."""
    trace, log = run.trace, [normal(line, run) for line in run.log]
    found = []
    if run.status not in EXIT_STATUS:
        found.append(f"exit status {run.status}")
    for line in trace:
        if line.startswith("wrote ") and (match := re.match(r"wrote \d+ \S+/(\S+) (\S+)$", line)):
            name = f"net.ipv4.{match[1]}"
            if match[2] not in (ORIGINAL.get(name), WRITTEN.get(name)):
                found.append(line)
        elif line.startswith("left "):
            found.append(line)
    values = run.host.sysctls()
    if any(values[name] not in (ORIGINAL[name], WRITTEN[name]) for name in values):
        found.append(f"the sysctls are {values}")
    if run.status == 0 and values != ORIGINAL and not any("twtuned --restore" in line for line in log):
        found.append(f"it ended well and left {values}")
    if (run.status != 0 or set(clean_log) - set(log)) and not set(log) - set(clean_log):
        found.append("nothing in the log says so")

    after = Run(["--restore"], run.runtime_dir)
    status = after.end()
    if status != 0 or run.host.sysctls() != ORIGINAL:
        found.append(f"--restore then gives {status} and leaves {run.host.sysctls()}: {after.log}")
    if found:
        found += [f"fault: {run.fault}", *(line for line in trace if line.startswith("fault"))][:6]
        found += [f"log: {line}" for line in log]
    return found


def lines_alike(run):
    """The number of lines in its trace whose calls another run makes as well. After SIGTERM, the number of a call depends on
    how many ticks there were before. When the machine stalls, there is one more record, or one more status."""
    late = next((n for n, line in enumerate(run.log, 1) if "no tick for" in line), None)
    tick = recorded = 0  # where the tick begins, and the number of its records
    for at, line in enumerate(run.trace):
        function, number, *name = line.split(" ")
        if function == "timerfd_settime":
            tick, recorded = at + 1, 0
        recorded += function == "journal"
        if function == "sd_notify" and recorded == 0:
            return tick
        if (function, name) == ("read_event", ["signal"]) or function == "journal" and int(number) == late:
            return at
    return len(run.trace)


def first_tick(run):
    """The number of lines before the first tick. In a tick the cgroup tree is walked, with a malloc() for each cgroup,
    and other tests make cgroups."""
    return next((at for at, line in enumerate(run.trace) if line.startswith("timerfd_settime ")), len(run.trace))


def sites(scenario):
    """The calls of a run without a fault: (function, object) -> the numbers of its calls; function -> the number of the
    last one that another run makes as well, if one waits for it; and the log. Of three runs, as one that was late may
    make more calls than others."""
    runs = [scenario() for _ in range(3)]
    calls, last = collections.defaultdict(list), []
    for run in runs:
        check_equal((run.status, run.host.sysctls()), (0, ORIGINAL), f"a run without a fault, which says {run.log}")
        last.append(collections.Counter())
        alike, begun = lines_alike(run), first_tick(run)
        for at, line in enumerate(run.trace):
            function, number, *name = normal(line, run).split(" ")
            if function not in ERRORS:
                continue
            if run is runs[0]:
                calls[function, "" if function in MEMORY else " ".join(name)].append(int(number))
            if at < (min(alike, begun) if function in MEMORY else alike):
                last[-1][function] = int(number)
    return calls, last[0] & last[1] & last[2], [normal(line, runs[0]) for line in runs[0].log]


def faults(calls):
    """FUNCTION:N:ERROR:HOW, as inject.c wants it. A site's sample does not depend on the other sites."""
    for (function, name), numbers in sorted(calls.items()):
        rng = random.Random(f"{SEED} {function} {name}")
        errors = ERRORS[function].split()
        if function == "open" and name.endswith(".ledger"):
            errors.remove("ENOENT")  # a ledger that is said not to exist cannot be told from one that does not
        hows = ("once",) if function in ONCE else HOWS
        if LONG:
            chosen = itertools.product(numbers, errors, hows)
        elif function in MEMORY or VITAL.search(f"{function} {name}"):
            chosen = [(n, e, rng.choice(hows)) for n in rng.sample(numbers, min(MOST, len(numbers))) for e in errors]
        else:
            chosen = [(rng.choice(numbers), rng.choice(errors), rng.choice(hows))]
        for n, error, how in chosen:
            if (function, error, how) == ("open", "ENOENT", "all"):
                how = "file"  # the ledger is opened later, too
            yield f"{function}:{n}:{'short' if error == 'short' else getattr(errno, error)}:{how}"


def try_all(scenario, wrapper=(), choose=faults):
    calls, last, log = sites(scenario)
    chosen = list(choose(calls))
    random.Random(SEED).shuffle(chosen)
    hit, bad, missed = 0, [], []

    def one(fault):
        function, number, *_ = fault.split(":")
        reach = int(number) <= last.get(function, 0)
        run = scenario(fault, wrapper, reach=reach)
        return fault, reach, run.reached(), examine(run, log)

    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for fault, reach, reached, found in pool.map(one, chosen):
            hit += reached
            if reach and not reached:
                missed.append(fault)
            if found:
                bad.append(found)
    diag(f"{len(calls)} call sites, {len(chosen)} faults, of which {hit} were reached; {AGAIN}")
    for found in bad[:20]:
        diag("\n".join(found))
    check(not missed, f"not reached, although each run makes these calls: {' '.join(missed)}; {AGAIN}")
    check(not bad, f"{len(bad)} of {len(chosen)} runs went wrong; {AGAIN}")


@test("each call of a life fails: two sysctls changed, one given back, one at the end")
def _():
    try_all(life)


@test("each call of a start with what a killed one left fails")
def _():
    try_all(take_over)


@test("each call of --restore fails")
def _():
    try_all(restore)


@test("no memory is lost, read uninitialised or after its end, whatever fails")
def _():
    if not shutil.which("valgrind"):
        raise Skip("needs valgrind")
    wrapper = ("valgrind", "-q", "--leak-check=full", "--errors-for-leak-kinds=definite", "--error-exitcode=99")

    def some(calls):  # under valgrind no allocation fails
        chosen = [f for f in faults(calls) if f.split(":")[0] not in MEMORY]
        return random.Random(SEED).sample(chosen, len(chosen) if LONG else 2)

    for scenario in (life, take_over, restore):
        try_all(scenario, wrapper, some)


if __name__ == "__main__":
    main()
