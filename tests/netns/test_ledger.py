#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The ledger as a file: whatever is in it, only values that a daemon recorded are written, and nothing is lost."""

import os
import pathlib
import zlib

from harness import Single, Twtuned, binary, check, check_equal, main, temp_dir, temp_policy, test

REUSE, DELAY, FIN = "net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_tw_reuse_delay", "net.ipv4.tcp_fin_timeout"
RANGE = "net.ipv4.ip_local_port_range"
HELD = {REUSE: ("2", "1"), FIN: ("60", "30"), RANGE: ("32768 60999", "32768 65535")}  # original, written
POLICY = "[rule r]\nwhen = tcp.established >= 1000000\nset = net.ipv4.tcp_fin_timeout = 30\n"


class Left:
    """A network namespace in which a twtuned died; its ledger says what it had changed."""

    def __init__(self, held=HELD):
        self.held = held
        self.directory = temp_dir()

    def __enter__(self):
        self.namespace = Single().__enter__()
        twtuned = self.start()
        twtuned.wait_for("^config-loaded")
        check_equal(twtuned.stop(), 0, "exit status of the twtuned that makes the file")
        self.path = next(self.directory.glob("*.ledger"))
        self.owner = self.path.read_text().split("\n")[0].split(" ", 2)[2]  # boot id and cookie
        for name, (_, written) in self.held.items():
            self.namespace.sysctl(name, written)
        return self

    def __exit__(self, *_):
        self.namespace.remove()

    def start(self, *args):
        return Twtuned(self.namespace, temp_policy(POLICY), args=args, runtime_dir=self.directory)

    def restore(self):
        env = os.environ | {"RUNTIME_DIRECTORY": str(self.directory)}
        return self.namespace.run([binary("twtuned"), "--restore"], check=False, env=env)

    def sysctls(self):
        return [self.namespace.sysctl(name).replace("\t", " ") for name in self.held]

    def values(self, which):
        return [values[which] for values in self.held.values()]

    def text(self, version=2, more="", fields=""):
        rows = [f"twtuned-ledger {version} {self.owner}"]
        if version > 1:
            rows.append(f"netns\t{self.namespace.name}")
        for name, (original, written) in self.held.items():
            row = f"{name}\theld\t{original}\t{written}\tr\t1000000000"
            rows.append(row + (f"\t-\t-\t0{fields}" if version > 1 else ""))
        text = "\n".join(rows) + "\n" + more
        return text + (f"end\t{zlib.crc32(text.encode()):08x}\n" if version > 1 else "end\n")

    def files(self):
        return sorted(path.name for path in self.directory.iterdir() if ".ledger" in path.name)


for version in (1, 2):
    @test(f"a ledger of version {version} is put back", beside=True)
    def _(version=version):
        with Left() as left:
            left.path.write_text(left.text(version))
            run = left.restore()
            check_equal((run.returncode, left.sysctls()), (0, left.values(0)), f"what is there; {run.stderr}")


READ_ONLY = 'mount --bind -o ro /proc/sys /proc/sys && exec "$@"'


@test("a wrong configuration: what a dead twtuned changed is put back, exit status 78; 1 if that fails", beside=True)
def _():
    with Left() as left:
        left.path.write_text(left.text())
        argv = [binary("twtuned"), f"--config={temp_policy('[daemn]')}"]
        env = os.environ | {"RUNTIME_DIRECTORY": str(left.directory)}
        run = left.namespace.run(["unshare", "-m", "sh", "-c", READ_ONLY, "sh", *argv], check=False, env=env)
        check_equal((run.returncode, left.sysctls()), (1, left.values(1)), f"read-only: {run.stderr}")
        run = left.namespace.run(argv, check=False, env=env)
        check_equal((run.returncode, left.sysctls()), (78, left.values(0)), f"writable: {run.stderr}")


def flipped(text, at):
    """The text with the lowest bit of one character flipped, so that a digit becomes another digit."""
    return text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1:]


@test("no byte whose lowest bit is flipped makes --restore write anything", beside=True)
def _():
    with Left() as left:
        text = left.text()
        for at in range(len(text)):
            left.path.write_text(flipped(text, at))
            run = left.restore()
            check_equal((run.returncode, left.sysctls()), (1, left.values(1)), f"after byte {at}: {run.stderr}")
            later = text[at] == "2" and at == len("twtuned-ledger ")
            check("later version" in run.stderr if later else "truncated or garbled" in run.stderr, run.stderr)
            check_equal(left.files(), [left.path.name + ("" if later else ".bad")], f"files after byte {at}")
            check(later or f"it is kept as {left.path}.bad" in run.stderr, run.stderr)
            for path in left.directory.glob("*.ledger*"):
                path.unlink()
        left.path.write_text(flipped(text, 40))
        left.path.with_name(left.path.name + ".bad").mkdir()
        run = left.restore()
        check(run.stderr.endswith("truncated or garbled; nothing is restored from it\n"), f"not renamed: {run.stderr}")
        left.path.write_text(text)
        check_equal((left.restore().returncode, left.sysctls()), (0, left.values(0)), "the undamaged one")


for version in (1, 2):
    @test(f"a row of a sysctl that is never written is refused in version {version}", beside=True)
    def _(version=version):
        with Left({REUSE: ("2", "1"), "net.ipv4.tcp_timestamps": ("0", "1")}) as left:
            left.path.write_text(left.text(version))
            check_equal((left.restore().returncode, left.sysctls()), (1, left.values(1)), "what is there")


@test("a ledger of a later version is kept, and said: --restore, the daemon, --observe", beside=True)
def _():
    with Left() as left:
        text = left.text(3)
        left.path.write_text(text)
        run = left.restore()
        check_equal(run.returncode, 1, "exit status of --restore")
        check("a later version of twtuned wrote it" in run.stderr, run.stderr)
        daemon = left.start()
        daemon.wait_for("a later version of twtuned wrote it")
        check_equal(daemon.process.wait(), 1, "exit status of the daemon")
        watching = left.start("--observe")
        watching.wait_for("a later version of twtuned wrote it")
        watching.wait_for("^config-loaded")
        check_equal(watching.stop(), 0, "exit status of --observe")
        check_equal((left.files(), left.path.read_text()), ([left.path.name], text), "the ledger")
        check_equal(left.sysctls(), left.values(1), "sysctls")


@test("--observe leaves a damaged ledger where it is", beside=True)
def _():
    with Left() as left:
        text = flipped(left.text(), 100)
        left.path.write_text(text)
        watching = left.start("--observe")
        watching.wait_for("truncated or garbled")
        watching.wait_for("^config-loaded")
        check_equal(watching.stop(), 0, "exit status")
        check_equal((left.files(), left.path.read_text()), ([left.path.name], text), "the ledger")


@test("what a later twtuned added to this version is kept by the daemon, which saves it anew", beside=True)
def _():
    with Left({FIN: ("60", "60")}) as left:
        left.path.write_text(left.text(more="later\tx y\n", fields="\tmore"))
        daemon = left.start()
        daemon.wait_for("^config-loaded")
        check_equal(daemon.stop(), 0, "exit status")
        text = left.path.read_text()
        check("\nlater\tx y\n" in text, text)
        check(f"\n{FIN}\treleased\t60\t60\tr\t1000000000\t-\t-\t0\tmore\n" in text, text)


@test("the name of the network namespace is in the ledger", beside=True)
def _():
    with Left() as left:
        text = left.path.read_text()
        check(f"\nnetns\t{left.namespace.name}\n" in text, text)


if __name__ == "__main__":
    main()
