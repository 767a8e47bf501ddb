#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a user without privilege, or a file in the wrong place, may do to twtuned: nothing. docs/security.md lists the
surfaces; each has a test here, or in test_nobody_host.py, which boots a systemd."""

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys

import lives
from lives import ORIGINAL, Run, host, killed, new_directory, policy
from harness import check, check_equal, main, test

NOBODY = "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"
HOLD_ADDRESS = """
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("\\0twtuned")
print("held", flush=True)
input()
"""


@contextlib.contextmanager
def address_held(netns, user=()):
    """A process of another user has bound the abstract address that names an instance."""
    with netns.entered():
        process = subprocess.Popen([*user, sys.executable, "-c", HOLD_ADDRESS], text=True, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)
    try:
        check_equal(process.stdout.readline(), "held\n", "the holder of the address")
        yield process
    finally:
        process.kill()
        process.communicate()


def lock_of(netns):
    """COOKIE.lock of a namespace."""
    SO_NETNS_COOKIE = 71
    with netns.entered(), socket.socket(socket.AF_UNIX) as s:
        cookie = int.from_bytes(s.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8), sys.byteorder)
    return f"/run/twtuned/{cookie}.lock"


# ---- the address and the lock of an instance ----

@test("the daemon starts, and puts back at its end, while nobody holds its address")
def _():
    with address_held(host().netns, NOBODY):
        run = lives.life(shim=False)
    check_equal((run.status, host().sysctls()), (0, ORIGINAL), f"status and sysctls of a run that says {run.log}")
    said = [line for line in run.log if "holds the abstract address" in line]
    check_equal(len(said), 1, f"lines about the address in {run.log}")


@test("--restore puts back what a dead twtuned left, while nobody holds its address")
def _():
    with address_held(host().netns, NOBODY):
        run = lives.restore(shim=False)
    check_equal((run.status, host().sysctls()), (0, ORIGINAL), f"status and sysctls of --restore, which says {run.log}")


@test("--restore works without NETLINK_SOCK_DIAG: nobody can make its dumps fail")
def _():
    run = Run(["--restore"], killed(), fault="sendto:1:12:all")  # ENOMEM
    check_equal((run.end(), host().sysctls()), (0, ORIGINAL), f"status and sysctls of --restore, which says {run.log}")


@test("an address that root holds is another twtuned: 75, which systemd tries again")
def _():
    with address_held(host().netns):
        run = Run([f"--config={policy}"], new_directory(), shim=False)
        check_equal(run.end(), 75, f"exit status of a run that says {run.log}")
    check(any("another twtuned runs" in line for line in run.log), run.log)


@test("a lock that another twtuned holds, where its address cannot be seen: 75")
def _():
    first = Run([f"--config={policy}"], new_directory(), shim=False)
    first.await_lines("enforcing", ticks=10**6)
    lock = lock_of(host().netns)
    try:
        check_equal(oct(os.stat(lock).st_mode & 0o777), oct(0o600), f"mode of {lock}: who can open it can hold it")
        run = Run(["--restore"], new_directory(), shim=False)
        check_equal(run.end(), 75, f"--restore beside a daemon says {run.log}")
    finally:
        check_equal(first.end(signal.SIGTERM), 0, f"the first says {first.log}")
    check(not os.path.exists(lock), f"{lock} is left")
    with open(lock, "x") as file, address_held(host().netns, NOBODY):
        fcntl.flock(file, fcntl.LOCK_EX)
        run = Run(["--restore"], new_directory(), shim=False)
        check_equal(run.end(), 75, f"--restore while the lock is held says {run.log}")
    run = Run(["--restore"], new_directory(), shim=False)
    check_equal(run.end(), 0, f"--restore when nobody holds the lock says {run.log}")


if __name__ == "__main__":
    main()
