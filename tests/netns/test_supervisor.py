#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""twtuned --all-netns: a process in its own network namespace and in each that has a name. Whose sysctls change, who
takes over, what is put back, and what is left."""

import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess

import harness
from harness import Namespace, Program, Skip, Twtuned, binary, check, check_equal, fields, main, temp_dir, temp_policy, test, wait_until
from node import (FIN, HOLDS, LISTENS, NET_ADMIN, SYS_ADMIN, Host, acting_storm, get, is_alive, needs_http, samples, status,
                  storm, try_get, values)


@test("four network namespaces, a load in two of them: it acts in these two and nowhere else, and gives back", beside=True)
def _():
    with Host() as host:
        pods = [host.add() for _ in range(4)]
        host.start_in(*pods)
        loads = [storm(pod) for pod in pods[:2]]
        for pod in pods[:2]:
            host.supervisor.wait_for(rf"^applied: .*SYSCTL={FIN} .*NETNS={pod.name}$")
        check_equal(values(*pods, host), ["20", "20", "60", "60", "60"], FIN)
        check_equal(len(host.files()), 5, f"a ledger for each in {host.files()}")
        loads[0].stop()
        host.supervisor.wait_for(rf"^released: .*NETNS={pods[0].name}$")
        check_equal(values(*pods, host), ["60", "20", "60", "60", "60"], FIN)
        children = host.children()
        check_equal(len(children), 5, children)
        check_equal(host.supervisor.stop(), 0, "exit status")
        check_equal(values(*pods, host), ["60"] * 5, f"{FIN} after the stop")
        check_equal(len(host.lines("applied")), 2, "changes")
        check_equal([pid for pid in children if is_alive(pid)], [], "processes that are left")


@test("the supervisor keeps two capabilities, its processes one; each is in its network namespace", beside=True)
def _():
    with Host() as host:
        pod = host.add()
        host.start_in(pod)
        wait_until(lambda: len(host.children()) == 2, "two processes")
        host.supervisor.wait_for(r"^config-loaded: .*NETNS=\S*-" + host.mark + "$")
        wait_until(lambda: all(int(status(pid)["CapPrm"], 16) == NET_ADMIN for pid in host.children()), "CAP_NET_ADMIN alone")
        for pid, may in [(host.supervisor.pid, NET_ADMIN | SYS_ADMIN), *((pid, NET_ADMIN) for pid in host.children())]:
            got = {name: int(status(pid)[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
            check_equal(got, {"CapInh": 0, "CapPrm": may, "CapEff": may, "CapBnd": NET_ADMIN | SYS_ADMIN, "CapAmb": 0}, pid)
            check_equal(status(pid)["NoNewPrivs"], "1", "NoNewPrivs")
        check_equal(os.stat(f"/proc/{host.child(pod)}/ns/net").st_ino, os.stat(f"/run/netns/{pod.name}").st_ino, "netns")


@test("drop-ins of one network namespace are read there and nowhere else", beside=True)
def _():
    with Host() as host:
        pods = [host.add() for _ in range(2)]
        etc = temp_dir()
        (etc / f"twtuned@{pods[0].name}.conf.d").mkdir()
        (etc / f"twtuned@{pods[0].name}.conf.d/first.conf").write_text("[daemon]\nmode = observe\n")
        host.start(etc=etc)
        host.wait_started(*pods)
        check_equal([fields(host.lines("config-loaded", pod)[0])["MODE"] for pod in pods], ["observe", "enforce"], "MODE")


@test("an idle process has less than 0.75 MB of its own: what it does not write to is shared with the supervisor", beside=True)
def _():
    if "TWTUNED_COVERAGE" in os.environ:
        raise Skip("counts each line")
    with Host((harness.ROOT / "conf/policy.conf").read_text()) as host:
        pods = [host.add() for _ in range(3)]
        host.start(env={"MALLOC_PERTURB_": "0"})  # meson sets it, and malloc() then writes to all that it gives
        host.wait_started(*pods)
        wait_until(lambda: len(host.children()) == 4, "all processes")
        own = [sum(map(int, re.findall(r"^Private_\w+: +(\d+) kB$", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)))
               for pid in host.children()]
        check(max(own) < 750, f"{own} kB")


@test("kill -9 of a process: another takes over without a write, and gives back when the need is over", beside=True)
def _():
    with Host() as host:
        pod, other = host.add(), host.add()
        host.start_in(pod, other)
        load = acting_storm(host, pod)
        first, beside, since = host.child(pod), host.child(other), len(host.supervisor.lines)
        host.policy.write_text("[daemon]\nmod = observe\n")  # which nobody has reloaded
        os.kill(first, signal.SIGKILL)
        host.supervisor.wait_for(rf"^twtuned: the process in network namespace {pod.name} was ended by signal 9 .*takes over "
                                 "in 1 s", since=since)
        check_equal(values(pod), ["20"], FIN)
        host.wait_started(pod, since=since)
        check(host.child(pod) != first, "the same process")
        check_equal(host.child(other), beside, "the other process")
        load.stop()
        host.supervisor.wait_for(rf"^released: .*NETNS={pod.name}$")
        check_equal((values(pod), len(host.lines("applied")), len(host.lines("released"))), (["60"], 1, 1), "all of it")


@test("a stop while a process that was killed waits for its next start: what it had changed is put back", beside=True)
def _():
    with Host() as host:
        pod = host.add()
        host.start_in(pod)
        acting_storm(host, pod)
        for pause in (1, 2):  # two kills, because the second pause is longer, and the stop has to come within it
            since = len(host.supervisor.lines)
            os.kill(host.child(pod), signal.SIGKILL)
            host.supervisor.wait_for(rf"^twtuned: the process in network namespace {pod.name} was ended by signal 9 .*takes over "
                                     f"in {pause} s", since=since)
            if pause == 1:
                host.wait_started(pod, since=since)
        check_equal(values(pod), ["20"], FIN)
        check_equal(host.supervisor.stop(), 0, "exit status")
        check_equal((values(pod), len(host.lines("released", pod))), (["60"], 1), "put back, and said")


def descriptors(host):
    """What the supervisor has open."""
    found = []
    for link in pathlib.Path(f"/proc/{host.supervisor.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(link))
    return sorted(found)


def value_inside(inside):
    """FIN in a network namespace that only an open file keeps."""
    with open("/proc/thread-self/ns/net") as home:
        Namespace._setns(inside)
        value = pathlib.Path("/proc/sys", FIN.replace(".", "/")).read_text().strip()
        Namespace._setns(home)
    return value


@test("a name that goes while a process that was killed waits for its next start: the next one puts everything back and ends",
      beside=True)
def _():
    with Host() as host:
        pod = host.add()
        host.start_in(pod)
        wait_until(lambda: len(host.files()) == 2, "two ledgers")
        acting_storm(host, pod)
        with pod.entered():
            inside = open("/proc/thread-self/ns/net")
            netns = os.readlink("/proc/thread-self/ns/net")
        wait_until(lambda: netns in descriptors(host), "the supervisor has heard that the process is ready")
        os.kill(host.child(pod), signal.SIGKILL)
        host.supervisor.wait_for(rf"^twtuned: the process in network namespace {pod.name} was ended by signal 9")
        subprocess.run(["umount", f"/run/netns/{pod.name}"], check=True)
        host.supervisor.wait_for(rf"^released: .*NETNS={pod.name}$")
        with inside:
            check_equal(value_inside(inside), "60", FIN)
        wait_until(lambda: len(host.children()) == 1, "it ends")
        wait_until(lambda: len(host.files()) == 1, "its ledger goes")
        check_equal([line for line in host.supervisor.lines if "--restore" in line], [], "nothing is left, and nothing said")
        check(netns not in descriptors(host), "a descriptor of it is left")


@test("a process that is killed after its name has gone: it says what may be left, and how to put it back", beside=True)
def _():
    with Host() as host:
        pod = host.add()
        host.start_in(pod)
        acting_storm(host, pod)
        with pod.entered():
            inside = open("/proc/thread-self/ns/net")
        child = host.child(pod)
        os.kill(child, signal.SIGSTOP)  # so that it does not follow SIGTERM
        subprocess.run(["umount", f"/run/netns/{pod.name}"], check=True)
        wait_until(lambda: int(status(child)["ShdPnd"], 16) >> signal.SIGTERM - 1 & 1, "it is asked to end")
        os.kill(child, signal.SIGKILL)
        host.supervisor.wait_for(rf"^twtuned: network namespace {pod.name} has lost its name, .*, run twtuned --restore --netns=/proc/PID/ns/net$")
        with inside:
            check_equal(value_inside(inside), "20", FIN)
            restore = subprocess.run([binary("twtuned"), "--restore", f"--netns=/proc/{os.getpid()}/fd/{inside.fileno()}"],
                                     env=os.environ | {"RUNTIME_DIRECTORY": str(host.runtime_dir)}, capture_output=True, text=True)
            check_equal((restore.returncode, value_inside(inside)), (0, "60"), restore.stderr)


@test("a process that hangs: it is killed, and another takes over without a write; the others go on", beside=True)
def _():
    with Host() as host:
        pod, other = host.add(), host.add()
        host.start_in(pod, other)
        load = acting_storm(host, pod)
        first, beside, since = host.child(pod), host.child(other), len(host.supervisor.lines)
        os.kill(first, signal.SIGSTOP)
        host.supervisor.wait_for(rf"^twtuned: killing the process in network namespace {pod.name}, which has given no sign of life for 3\d s$")
        # By SIGKILL: a stopped process does not get the SIGABRT that came first until it continues.
        host.supervisor.wait_for(rf"^twtuned: the process in network namespace {pod.name} was ended by signal 9 .*takes over")
        check_equal(values(pod), ["20"], FIN)
        host.wait_started(pod, since=since)
        check_equal(host.child(other), beside, "the other process")
        load.stop()
        host.supervisor.wait_for(rf"^released: .*NETNS={pod.name}$")
        check_equal((values(pod), len(host.lines("applied")), sum("no sign of life" in line for line in host.supervisor.lines)),
                    (["60"], 1, 1), "all of it")


@test("who started the supervisor hears from it that it is ready, and how many act", beside=True)
def _():
    with Host() as host, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        path = temp_dir() / "notify"
        heard.bind(str(path))
        heard.settimeout(harness.PATIENCE)
        pods = [host.add(), host.add()]
        host.start(env={"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "60000000"})
        said = []

        def wait_said(text):
            while text not in said:
                said.extend(heard.recv(4096).decode().split("\n"))
        wait_said("STATUS=3 network namespaces")
        check_equal(said[0], "READY=1", "what it says first")
        storm(pods[0])
        wait_said("STATUS=3 network namespaces: 1 acting")
        check_equal(sorted(line for line in set(said) if line != "WATCHDOG=1" and "degraded" not in line),  # by late ticks
                    ["READY=1", "STATUS=3 network namespaces", "STATUS=3 network namespaces: 1 acting"], "all that was said")
        said.clear()
        wait_said("WATCHDOG=1")


@test("kill -9 of the supervisor: each process puts everything back and ends; the next supervisor starts", beside=True)
def _():
    with Host() as host:
        pod, other = host.add(), host.add()
        host.start_in(pod, other)
        load = acting_storm(host, pod)
        children = host.children()
        host.supervisor.stop(signal.SIGKILL)
        wait_until(lambda: not any(map(is_alive, children)), "no process is left")
        check_equal(values(pod, other, host), ["60"] * 3, FIN)
        check_equal(len(host.lines("released", pod)), 1, "what the process has logged")
        host.start_in(pod, other)
        host.supervisor.wait_for(rf"^applied: .*NETNS={pod.name}$")  # the load goes on
        load.stop()
        check_equal(host.supervisor.stop(), 0, "exit status")
        check_equal(values(pod, other, host), ["60"] * 3, FIN)


@test("a process killed with the supervisor: the next supervisor takes over what the ledger holds", beside=True)
def _():
    with Host() as host:
        pod = host.add()
        host.start_in(pod)
        load = acting_storm(host, pod)
        children = host.children()
        os.kill(host.supervisor.pid, signal.SIGSTOP)  # so that it starts no other one
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        host.supervisor.stop(signal.SIGKILL)
        check_equal(values(pod), ["20"], f"{FIN} of nobody")
        host.start_in(pod)
        load.stop()
        host.supervisor.wait_for(rf"^released: .*NETNS={pod.name}$")
        check_equal((values(pod), len(host.lines("applied"))), (["60"], 0), "taken over and given back")


STOPPED = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
os.kill(os.getpid(), signal.SIGTERM)
os.execv(sys.argv[1], sys.argv[1:])
"""


@test("a stop before the first scan: what killed processes had changed is put back all the same", beside=True)
def _():
    with Host() as host:
        pod = host.add()
        host.start_in(pod)
        acting_storm(host, pod)
        os.kill(host.supervisor.pid, signal.SIGSTOP)
        for pid in host.children():
            os.kill(pid, signal.SIGKILL)
        host.supervisor.stop(signal.SIGKILL)
        check_equal(host.start(through=["/usr/bin/python3", "-c", STOPPED]).process.wait(harness.PATIENCE), 0, "exit status")
        check_equal(values(pod, host), ["60", "60"], FIN)


@test("a name that goes: its process puts everything back and ends, and its ledger goes", beside=True)
def _():
    with Host() as host:
        stays = host.add()
        host.start_in(stays)
        wait_until(lambda: len(host.files()) == 2, "two ledgers")
        pod = host.add()  # comes later
        host.wait_started(pod)
        acting_storm(host, pod)
        child = host.child(pod)
        check_equal(len(host.files()), 3, f"ledgers in {host.files()}")
        # What still runs there keeps the namespace, without a name.
        with pod.entered():
            inside = open("/proc/thread-self/ns/net")
        subprocess.run(["umount", f"/run/netns/{pod.name}"], check=True)  # the file stays, as between the steps of ip-netns
        host.supervisor.wait_for(rf"^released: .*NETNS={pod.name}$")
        wait_until(lambda: not is_alive(child), "the process ends")
        wait_until(lambda: len(host.files()) == 2, "its ledger goes")
        wait_until(lambda: len(host.children()) == 2, "two processes")
        with inside:
            check_equal(value_inside(inside), "60", FIN)


@test("a network namespace that is deleted and made again at once: the new one has the name", beside=True)
def _():
    with Host() as host:
        pod = host.add()
        host.start_in(pod)
        since = len(host.supervisor.lines)
        batch = temp_dir() / "batch"
        batch.write_text(f"netns del {pod.name}\nnetns add {pod.name}\n")
        subprocess.run(["ip", "-batch", batch], check=True)
        started = host.supervisor.wait_for(rf"^config-loaded: .*NETNS=({pod.name}\S*)$", since=since)
        check_equal(started[1], pod.name, "NETNS")


@test("two names of one network namespace: one process, which stays while one of them does", beside=True)
def _():
    with Host() as host:
        pod = host.add()
        host.start_in(pod)
        second = pathlib.Path(f"/run/netns/{pod.name}").with_name(f"second-{host.mark}")
        second.touch()
        subprocess.run(["mount", "--bind", f"/run/netns/{pod.name}", second], check=True)
        try:
            later = host.add()
            host.wait_started(later)  # so there was a scan
            child = host.child(pod)
            check_equal(len(host.children()), 3, "processes")
            subprocess.run(["umount", f"/run/netns/{pod.name}"], check=True)
            host.wait_started(host.add())
            check_equal(host.child(pod), child, "the process")
            os.kill(child, signal.SIGKILL)  # the next one goes by the name that is left
            host.supervisor.wait_for(rf"^config-loaded: .*NETNS={pod.name}$", since=len(host.supervisor.lines) - 1)
            wait_until(lambda: str(second) in host.children().values(), "a process by the second name")
        finally:
            subprocess.run(["umount", second], check=True)
            second.unlink()


@test("250 network namespaces that come and go: no process, file, descriptor or memory is left")
def _():
    with Host() as host:
        stays = host.add()
        host.start_in(stays)
        wait_until(lambda: len(host.children()) == 2 and len(host.files()) == 2, "two processes and their ledgers")
        wait_until(lambda: sum(name.startswith("net:") for name in descriptors(host)) == 2, "a descriptor of each network namespace")

        def memory():
            rollup = pathlib.Path(f"/proc/{host.supervisor.pid}/smaps_rollup").read_text()
            return int(re.search(r"^Anonymous: +(\d+) kB$", rollup, re.M)[1])
        before, files, taken = descriptors(host), host.files(), []
        for _ in range(5):
            pods = [f"tw-{os.getpid()}-{next(harness._numbers)}-p-{host.mark}" for _ in range(50)]
            batch = temp_dir() / "batch"
            batch.write_text("".join(f"netns add {name}\n" for name in pods))
            subprocess.run(["ip", "-batch", batch], check=True)
            host.supervisor.wait_for(rf"^config-loaded: .*NETNS={pods[-1]}$")
            batch.write_text("".join(f"netns del {name}\n" for name in pods))
            subprocess.run(["ip", "-batch", batch], check=True)
            wait_until(lambda: len(host.children()) == 2, "the processes of all that are gone end")
            taken.append(memory())
        # The memory of the first 50 is used again. For each of the later 200 the supervisor has over 4 kB for a while.
        check(taken[-1] - taken[0] < 400, f"{taken} kB of memory")
        wait_until(lambda: descriptors(host) == before, f"the descriptors are {before}")
        check_equal(host.files(), files, "files")
        check_equal(host.supervisor.stop(), 0, "exit status")


@test("beside another twtuned in one network namespace: said once, and it takes over when that one ends", beside=True)
def _():
    with Host() as host:
        pod, other = host.add(), host.add()
        unit = Twtuned(pod, host.policy)
        unit.wait_for("^config-loaded")
        host.start_in(other)
        host.supervisor.wait_for(rf"^twtuned: another twtuned runs in network namespace {pod.name}, such as the unit of the "
                                 "host's package; this one starts there after the other one has ended$")
        # Each try ends within milliseconds, and leaves its page faults with the supervisor (proc(5): cminflt).
        stat, tries = pathlib.Path(f"/proc/{host.supervisor.pid}/stat"), set()
        wait_until(lambda: len(tries.add(stat.read_text().rsplit(")", 1)[1].split()[8]) or tries) >= 4, "it goes on trying")
        unit.stop()
        host.wait_started(pod)
        check_equal(sum("another twtuned" in line for line in host.supervisor.lines), 1, "how often it was said")
        check_equal(sum(line.startswith("twtuned: the process") for line in host.supervisor.lines), 0, "other words")
        second = Twtuned(pod, host.policy)
        check_equal(second.process.wait(harness.PATIENCE), 75, "exit status of one that starts beside it")
        wait_until(lambda: second.ended, "its end")
        check_equal(second.lines, ["twtuned: another twtuned runs in this network namespace; stop it first"], "what it says")


def starve(host):
    """From now on its processes fail to start for want of memory; until feed(). What it has itself it keeps."""
    now = int(status(host.supervisor.pid)["VmSize"].split()[0]) * 1024
    resource.prlimit(host.supervisor.pid, resource.RLIMIT_AS, (now, resource.RLIM_INFINITY))


def feed(host):
    resource.prlimit(host.supervisor.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)


SHORT = r"^twtuned: cannot open \S+: Cannot allocate memory$"


@test("beside another twtuned, after tries that failed for want of memory: it is said all the same, and once", beside=True)
def _():
    with Host() as host:
        pod = host.add()
        host.start_in(pod)
        starve(host)
        os.kill(host.child(pod), signal.SIGKILL)
        for _ in range(2):
            host.supervisor.wait_for(SHORT, since=len(host.supervisor.lines))
        unit = Twtuned(pod, host.policy)
        unit.wait_for("^config-loaded")
        feed(host)
        host.supervisor.wait_for(rf"^twtuned: another twtuned runs in network namespace {pod.name}, such as")
        unit.stop()
        host.wait_started(pod)
        check_equal(sum("another twtuned" in line for line in host.supervisor.lines), 1, "how often it was said")


@test("a stop while a process that has to put something back cannot start for want of memory: the exit status says so",
      beside=True)
def _():
    with Host() as host:
        pod = host.add()
        host.start_in(pod)
        acting_storm(host, pod)
        starve(host)
        since = len(host.supervisor.lines)
        os.kill(host.child(pod), signal.SIGKILL)
        host.supervisor.wait_for(SHORT, since=since)
        check_equal(host.supervisor.stop(), 1, "exit status")
        check_equal(values(pod), ["20"], FIN)


@test("a second supervisor says so and ends", beside=True)
def _():
    with Host() as host:
        pod = host.add()
        host.start_in(pod)
        run = subprocess.run(["nsenter", f"--mount=/proc/{host.supervisor.pid}/ns/mnt", os.path.abspath(binary("twtuned")),
                              "--all-netns", f"--config={host.policy}"], capture_output=True, text=True)
        check_equal((run.returncode, run.stderr),
                    (75, "twtuned: another twtuned --all-netns runs on this host; stop it first\n"), "what it does")


@test("SIGHUP: a bad file changes nothing; a good one goes to all, and another pattern ends what it does not fit",
      beside=True)
def _():
    with Host() as host:
        pods = [host.add(), host.add()]
        host.start_in(*pods)
        loads = [storm(pod) for pod in pods]
        for pod in pods:
            host.supervisor.wait_for(rf"^applied: .*NETNS={pod.name}$")
        good = host.policy.read_text()
        children = host.children()
        host.policy.write_text(good + "sett = x\n")
        host.supervisor.process.send_signal(signal.SIGHUP)
        host.supervisor.wait_for("^twtuned: keeping the current configuration$")
        check_equal((values(*pods), host.children()), (["20", "20"], children), "after a bad file")
        since = len(host.supervisor.lines)
        host.policy.write_text(good.replace(f"{FIN} = 20", f"{FIN} = 20\nenabled = no")
                               .replace(f"netns = *-{host.mark}", f"netns = {pods[0].name}"))
        host.supervisor.process.send_signal(signal.SIGHUP)
        for pod in pods:
            host.supervisor.wait_for(rf"^released: .*NETNS={pod.name}$", since=since)
        wait_until(lambda: host.child(pods[1]) is None, "the one that no pattern fits ends")
        check_equal(host.child(pods[0]), next(pid for pid, path in children.items() if path.endswith(pods[0].name)), "pid")
        check_equal(values(*pods), ["60", "60"], FIN)
        del loads


@test("an error in the configuration: exit status 78, and no process; without CAP_SYS_ADMIN it says what it needs", beside=True)
def _():
    with Host() as host:
        host.policy.write_text("[daemon]\nmod = observe\n")
        check_equal(host.start().process.wait(harness.PATIENCE), 78, "exit status")
        run = host.run(["setpriv", "--bounding-set=-sys_admin", binary("twtuned"), "--all-netns",
                        f"--config={temp_policy(HOLDS)}"], check=False)
        check(run.returncode == 1 and "needs CAP_SYS_ADMIN" in run.stderr, run)


SQUAT = """
import os, socket
held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
held.bind("\\0twtuned")
print("held", flush=True)
os.read(0, 1)
"""


@test("nobody in a pod holds the address of an instance: it runs and acts there; in a pod no process of another is seen",
      beside=True)
def _():
    with Host() as host:
        pod, other = host.add(), host.add()
        stdin, end = os.pipe()
        nobody = Program(pod, ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all",
                               "/usr/bin/python3", "-c", SQUAT], stdin=stdin)
        nobody.wait_for("^held$")
        host.start()
        host.supervisor.wait_for("^twtuned: uid 65534, not the service's user, holds the abstract address @twtuned; starting all the same$")
        host.wait_started(pod, other)
        acting_storm(host, pod)
        check_equal(values(pod, other), ["20", "60"], FIN)
        # What those inside can see of twtuned: sockets of their own network namespace.
        seen = pod.run(["sh", "-c", "cat /proc/net/unix /proc/net/netlink"]).stdout
        check(other.name not in seen, seen)
        check_equal(host.supervisor.stop(), 0, "exit status")
        check_equal(values(pod, other), ["60", "60"], FIN)
        os.close(stdin)
        os.close(end)


@test("--json: every line of the log is an object with the fields of the journal, whatever a name has", beside=True)
def _():
    with Host(LISTENS) as host:
        pod = host.add()
        odd = os.fsencode("/run/netns/odd\x1b[31m\n\"\u00e9") + b"\xff-" + host.mark.encode()
        open(odd, "x").close()
        subprocess.run(["mount", "--bind", f"/run/netns/{host.add().name}", odd], check=True)
        host.pods.pop().remove()  # its other name
        try:
            with host.entered():
                taken = socket.create_server(("127.0.0.1", 9911))
            host.start("--json")
            host.supervisor.wait_for(rf'"EVENT":"config-loaded".*"NETNS":"{pod.name}"')
            host.supervisor.wait_for(r'"EVENT":"config-loaded".*"NETNS":"odd')
            storm(pod)
            host.supervisor.wait_for(rf'"EVENT":"applied".*"NETNS":"{pod.name}"')
            os.kill(host.child(pod), signal.SIGKILL)
            host.supervisor.wait_for(rf'"MESSAGE":"the process in network namespace {pod.name} was ended by signal 9')
            if (harness.BUILD / "metrics-http").exists():
                host.supervisor.wait_for('"MESSAGE":"metrics_listen: cannot listen: Address already in use"')
            check_equal(host.supervisor.stop(), 0, "exit status")
            taken.close()
        finally:
            subprocess.run(["umount", odd], check=True)
            os.unlink(odd)
        entries = [json.loads(line) for line in host.supervisor.lines]
        check_equal([e for e in entries if not {"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER"} <= e.keys()], [], "without a field")
        check_equal([line for line in host.supervisor.lines if re.search(r"[\x00-\x1f\x7f-\x9f]", line)], [], "control characters")
        applied = next(e for e in entries if e.get("EVENT") == "applied")
        check_equal({k: applied[k] for k in ("SYSCTL", "OLDVALUE", "NEWVALUE", "RESULT", "RULE", "METRIC", "NETNS", "PRIORITY")},
                    {"SYSCTL": FIN, "OLDVALUE": "60", "NEWVALUE": "20", "RESULT": "applied", "RULE": "some",
                     "METRIC": "ports.used", "NETNS": pod.name, "PRIORITY": "5"}, "the change")
        check_equal(sum(e.get("NETNS", "").startswith("odd") and e.get("EVENT") == "config-loaded" for e in entries), 1,
                    "entries of the odd name")


@test("--observe goes to all: nothing is written, and no file", beside=True)
def _():
    with Host() as host:
        pod = host.add()
        host.start("--observe")
        host.wait_started(pod)
        storm(pod)
        host.supervisor.wait_for(rf"^applied: would set .*NETNS={pod.name}$")
        check_equal((values(pod), host.files()), (["60"], []), "sysctl and files")
        check_equal(host.supervisor.stop(), 0, "exit status")


@test("metrics_listen: the metrics of all network namespaces, as promtool wants them; and nothing else", beside=True)
def _():
    needs_http()
    with Host(LISTENS) as host:
        pods = [host.add() for _ in range(3)]
        host.start()
        wait_until(lambda: len(samples(try_get(host, "/metrics")[1], "twtuned_degraded")) == 4, "all four")
        storm(pods[0])
        held = f'twtuned_sysctl_held{{sysctl="{FIN}",netns="{pods[0].name}"}} 1'
        wait_until(lambda: held in get(host, "/metrics")[1], held)
        status_code, text = get(host, "/metrics")
        check_equal(sorted(samples(text, "twtuned_degraded")), sorted([host.name, *(pod.name for pod in pods)]), "netns")
        families = re.findall(r"^# HELP (\S+)", text, re.M)
        check(len(families) > 50 and len(set(families)) == len(families), families)
        check_equal((status_code, get(host, "/healthz"), get(host, "/")[0], get(host, "/metrics/../x")[0],
                     get(host, "/metrics", method="POST")[0], get(host, "/metrics", method="DELETE")[0]),
                    (200, (200, "ok\n"), 404, 404, 405, 405), "answers")
        if shutil.which("promtool"):
            found = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True)
            check_equal(found.returncode, 0, found.stderr + found.stdout)
        gone = pods.pop()
        gone.remove()
        wait_until(lambda: gone.name not in get(host, "/metrics")[1], "the metrics of one that is gone go")
        check_equal(host.supervisor.stop(), 0, "exit status")
        check_equal([name for name in host.files() if "metrics" in name], [], "what is left")


@test("who serves the metrics has no capability and can write no file; clients without end cannot block it", beside=True)
def _():
    needs_http()
    with Host(LISTENS) as host:
        host.start()
        wait_until(lambda: try_get(host, "/healthz")[0] == 200, "it serves")
        server = next(pid for pid, path in host.children().items() if not path)
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            check_equal(int(status(server)[name], 16), 0, name)
        idle = []
        with host.entered():
            for _ in range(50):
                idle.append(socket.create_connection(("127.0.0.1", 9911)))
                idle[-1].send(b"GET /metrics HTTP/1.1\r\nX: ")  # and never an end
        wait_until(lambda: try_get(host, "/healthz")[0] == 200, "those who wait are closed")
        for connection in idle:
            connection.close()
        with host.entered():
            with socket.create_connection(("127.0.0.1", 9911)) as large:
                with contextlib.suppress(OSError):
                    large.sendall(b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\n\r\n")
        check_equal(get(host, "/healthz")[0], 200, "after a request of 1 MB")
        os.kill(server, signal.SIGKILL)
        wait_until(lambda: try_get(host, "/healthz")[0] == 200, "another one serves")
        os.kill(host.supervisor.pid, signal.SIGSTOP)
        wait_until(lambda: get(host, "/healthz")[0] == 503, "a supervisor that does not move is no healthy one")
        os.kill(host.supervisor.pid, signal.SIGCONT)
        wait_until(lambda: get(host, "/healthz")[0] == 200, "it moves again")
        server = next(pid for pid, path in host.children().items() if not path)
        host.supervisor.stop(signal.SIGKILL)
        wait_until(lambda: not is_alive(server), "it ends with the supervisor")


@test("a stop while the one who serves the metrics hangs: it ends all the same", beside=True)
def _():
    needs_http()
    with Host(LISTENS) as host:
        host.start()
        wait_until(lambda: try_get(host, "/healthz")[0] == 200, "it serves")
        os.kill(next(pid for pid, path in host.children().items() if not path), signal.SIGSTOP)
        check_equal(host.supervisor.stop(), 0, "exit status")


@test("a port that is taken: said once, the daemons run, and it is served when the port is free", beside=True)
def _():
    needs_http()
    with Host(LISTENS) as host:
        with host.entered():
            taken = socket.create_server(("127.0.0.1", 9911))
        host.start()
        host.supervisor.wait_for("^twtuned: metrics_listen: cannot listen: Address already in use$")
        wait_until(lambda: host.children() and len(host.lines("config-loaded")) == 1, "the daemon runs")
        taken.close()
        wait_until(lambda: try_get(host, "/healthz")[0] == 200, "it serves")
        check_equal(sum("metrics_listen" in line for line in host.supervisor.lines), 1, "how often it was said")


main()
