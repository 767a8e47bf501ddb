# SPDX-License-Identifier: MIT
"""What a test waits for instead of seconds: ticks of the daemon, rows of its recording. And policies that are changed
by their text, so that few connections and short times are enough."""

import pathlib
import re
import socket
import threading
import time

from harness import Twtuned, check, temp_dir, wait_until

UNITS = {"ms": 1_000, "s": 1_000_000}  # us


class Manager:
    """Stands for the service manager: collects what a daemon sends to $NOTIFY_SOCKET, as sd_notify(3) describes."""

    def __init__(self):
        self.path = str(temp_dir() / "notify")
        self.messages = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self):
        while True:
            self.messages.append(self._socket.recv(4096).decode())

    def count(self, text):
        return sum(text in message for message in list(self.messages))

    def sent(self):
        """All that was sent before this call; a message of our own shows that it has arrived."""
        mark = f"mark {len(self.messages)} {time.monotonic_ns()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(mark.encode(), self.path)
        wait_until(lambda: mark in self.messages, "our own message")
        return [message for message in self.messages if not message.startswith("mark ")]

    def wait_for(self, text, since=0):
        """The first message, from message number `since` on, that contains the text."""
        return wait_until(lambda: next((m for m in self.messages[since:] if text in m), None), f"a message {text!r}")


class Watched:
    """A namespace whose programs run under this manager, and feed its watchdog within half of watchdog_us. popen()
    sets their environment, not a script: a file that one thread has just written cannot be executed while another
    thread forks (ETXTBSY)."""

    def __init__(self, namespace, manager, watchdog_us, **environment):
        self._namespace = namespace
        self._environment = environment | {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": str(watchdog_us)}

    def popen(self, argv, env, **kw):
        return self._namespace.popen(argv, env=env | self._environment, **kw)


def interval_us(config):
    match = re.search(r"^interval = (\d+)(ms|s)$", pathlib.Path(config).read_text(), re.M)
    return int(match[1]) * UNITS[match[2]] if match else UNITS["s"]


class Ticking(Twtuned):
    """A twtuned whose ticks can be counted: each of them ends with a message to a watchdog of two intervals."""

    def __init__(self, namespace, config, *args, environment=None, **options):
        self.manager = Manager()
        watched = Watched(namespace, self.manager, 2 * interval_us(config), **environment or {})
        super().__init__(watched, config, *args, **options)

    def ticks(self, count):
        """Returns when so many ticks that began after the call are over."""
        begun = self.manager.count("WATCHDOG=1")
        wait_until(lambda: self.manager.count("WATCHDOG=1") > begun + count, f"{count} ticks")


def wait_rows(path, count):
    """Returns when a recording has so many rows of ticks that began after the call."""
    def lines():
        return pathlib.Path(path).read_bytes().count(b"\n") if pathlib.Path(path).exists() else 0
    begun = lines()
    wait_until(lambda: lines() > begun + count, f"{count} rows")


def replace(text, *pairs):
    """The text with each `old` replaced by its `new`. An old one that is not there is an error of the test."""
    for old, new in pairs:
        check(old in text, f"the policy has no {old!r}")
        text = text.replace(old, new)
    return text


def released_soon(text, to="1s"):
    """The shipped policy, except that the rules about ports are released `to` after the load is gone. As shipped,
    tcp_tw_reuse is held until a stock kernel could carry the demand of the last minute, and 2 minutes more."""
    text, found = re.subn(r"^until *= *ports\..*$", f"until = ports.reuse_demand < 10% for {to}", text, flags=re.M)
    check(found >= 2, "the policy has no until = ports.*")
    return text


def narrow(namespace, ports):
    """Leaves `ports` ephemeral ports, from 32768 on: then a few connections are a heavy load."""
    namespace.sysctl("net.ipv4.ip_local_port_range", f"32768 {32768 + ports - 1}")
