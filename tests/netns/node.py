# SPDX-License-Identifier: MIT
"""A node for the tests of twtuned --all-netns: a network namespace with the supervisor, and some in the place of pods."""

import contextlib
import http.client
import itertools
import os
import pathlib
import re

import harness
from harness import ChurnHold, ChurnServer, Program, Single, Skip, binary, fields, temp_dir, temp_policy
from ticks import replace

FIN = "net.ipv4.tcp_fin_timeout"  # on the loopback, tcp_tw_reuse = 2 already has the effect of 1
HOLDS = replace(harness.HOLDS, ("net.ipv4.tcp_tw_reuse = 1", f"{FIN} = 20"),
                ("when = ports.used >= 10\n", "when = ports.used >= 10\nwhen = tcp.established >= 10\n"))
NET_ADMIN, SYS_ADMIN = 1 << 12, 1 << 21  # capabilities(7)
_numbers = itertools.count(1)


class Host(Single):
    """Stands for a node: the supervisor runs in this namespace, and the names that it follows are those of add(). Beside
    it other tests, and other processes of this machine, have names in the same directory."""

    def __init__(self, config=HOLDS):
        self.mark = f"{os.getpid()}h{next(_numbers)}"  # unique among the programs that run at the same time
        super().__init__(self.mark)
        self.pods = []
        self.runtime_dir = temp_dir()
        self.policy = temp_policy(replace(config, ("[daemon]\n", f"[daemon]\nnetns = *-{self.mark}\n")))

    def add(self):
        self.pods.append(Single(f"p-{self.mark}"))
        return self.pods[-1]

    def start(self, *args, env=None, etc=None, through=()):
        """Returns the supervisor. It gets a directory of its own for locks, because a host has only one. etc: a
        directory that is laid over its /etc; its policy is then in /usr/lib, where a vendor puts it. through: a command
        that executes the supervisor."""
        mounts, config = "mkdir -p /run/twtuned && mount -t tmpfs none /run/twtuned", [f"--config={self.policy}"]
        if etc:
            vendor, config = temp_dir(), []
            (vendor / "twtuned").mkdir()
            (vendor / "twtuned/policy.conf").write_text(self.policy.read_text())
            mounts += "".join(f" && mount -t overlay none -o lowerdir={upper}:{lower} {lower}"
                              for upper, lower in ((vendor, "/usr/lib"), (etc, "/etc")))
        argv = ["unshare", "--mount", "--propagation=slave", "sh", "-c", mounts + ' && exec "$@"', "sh",
                *through, binary("twtuned"), "--all-netns", *config, *args]
        base = {k: v for k, v in os.environ.items() if k not in ("JOURNAL_STREAM", "NOTIFY_SOCKET", "WATCHDOG_USEC")}
        base |= {"RUNTIME_DIRECTORY": str(self.runtime_dir),
                 "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.runtime_dir / 'no-bus'}",
                 "TWTUNED_METRICS_HTTP": os.path.abspath(harness.BUILD / "metrics-http")}
        self.supervisor = Program(self, argv, "stderr", env=base | (env or {}))
        return self.supervisor

    def start_in(self, *pods):
        """Starts the supervisor, and waits until a process runs in each of these pods."""
        self.start()
        self.wait_started(*pods)

    def wait_started(self, *pods, since=0):
        for pod in pods:
            self.supervisor.wait_for(rf"^config-loaded: .*NETNS={pod.name}$", since=since)

    def lines(self, kind, pod=None):
        return [line for line in self.supervisor.lines if line.startswith(f"{kind}:")
                and (not pod or fields(line).get("NETNS") == pod.name)]

    def children(self):
        """pid -> path of the network namespace, of those that have not ended"""
        found = {}
        for task in pathlib.Path(f"/proc/{self.supervisor.pid}/task").iterdir():
            for pid in map(int, (task / "children").read_text().split()):
                try:
                    title = pathlib.Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
                except (FileNotFoundError, ProcessLookupError):
                    continue
                if not title or "--all-netns" in title:
                    continue  # it has ended, and waits to be reaped; or was just forked
                found[pid] = (re.findall("--netns=([^\0]*)", title) or [""])[0]
        return found

    def child(self, pod):
        return next((pid for pid, path in self.children().items() if path.endswith(f"/{pod.name}")), None)

    def files(self):
        return sorted(path.name for path in self.runtime_dir.iterdir() if path.suffix != ".new")

    def remove(self):
        for pod in self.pods:
            pod.remove()
        super().remove()


def storm(pod):
    ChurnServer(pod, "127.0.0.1")
    return ChurnHold(pod, "127.0.0.1", count=10)


def acting_storm(host, pod):
    """A storm to which the process of the pod has reacted."""
    load = storm(pod)
    host.supervisor.wait_for(rf"^applied: .*NETNS={pod.name}$")
    return load


def values(*pods):
    return [pod.sysctl(FIN) for pod in pods]


def status(pid):
    return dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())


def is_alive(pid):
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return status(pid)["State"][0] != "Z"
    return False


def needs_http():
    if not (harness.BUILD / "metrics-http").exists():
        raise Skip("built without libmicrohttpd")


def get(host, path, port=9911, method="GET"):
    """Asks from within the network namespace of the supervisor; returns (status, body)."""
    with host.entered():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=harness.PATIENCE)
        connection.connect()
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


def try_get(host, path):
    try:
        return get(host, path)
    except OSError:
        return 0, ""


LISTENS = replace(HOLDS, ("[daemon]\n", "[daemon]\nmetrics_listen = 127.0.0.1:9911\n"))


def samples(text, family):
    """netns -> value"""
    return {re.search(r'netns="([^"]*)"', line)[1]: float(line.split()[-1])
            for line in text.splitlines() if line.startswith((family + "{", family + " "))}
