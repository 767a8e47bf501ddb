# SPDX-License-Identifier: MIT
"""A host with a bus of its own, the policy file as shipped on it, the real daemon in a network namespace, and
twtunectl; for the programs beside this one."""

import json
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "netns"))
from harness import (PATIENCE, ROOT, ChurnHold, ChurnServer, Pair, binary, check, temp_dir,  # noqa: E402
                     temp_policy, wait_until)
from ticks import Ticking  # noqa: E402

REUSE, DELAY = "net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_tw_reuse_delay"
# tcp.established ends the first rule, because the connections leave TIME_WAIT sockets, which use ports, too. While the
# clock of the second rule runs, every tick dumps the sockets: otherwise only what a decision needs is read. With this
# cpu_budget no dump is left out, however slow the machine is.
HOLDS = f"""
[daemon]
interval = 100ms
cpu_budget = 100%
[limits]
min_interval = 100ms
[rule some]
description = ten connections
when = ports.used >= 10
when = tcp.established >= 10
until = tcp.established < 1 for 200ms
set = {REUSE} = 1
set = {DELAY} = 250
[rule other]
when = ports.used >= 10 for 1h
when = tcp.close_wait >= 1000 for 5s
advise = look at it
"""

# With this, no call over the bus times out during a test: sd_bus_set_method_call_timeout(3).
CALLS_LAST = {"SYSTEMD_BUS_TIMEOUT": "1h"}
LOGIN = 60  # less than the 90 s that sd-bus gives to the log-in

BUS = """<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>
  <include>{policy}</include>
</busconfig>
"""

OPEN_POLICY = """<busconfig><policy context="default">
<allow own_prefix="org.twtuned1"/><allow send_destination_prefix="org.twtuned1"/>
</policy></busconfig>
"""


class Bus:
    """A system bus, whose policy is that of a distribution, and ours."""

    def __init__(self, policy=ROOT / "systemd" / "org.twtuned1.conf"):
        self.directory = temp_dir()
        for directory in (self.directory, self.directory.parent):
            directory.chmod(0o755)
        self.socket = self.directory / "bus"
        self.config = self.directory / "bus.conf"
        self.config.write_text(BUS.format(socket=self.socket, policy=policy))
        self.start()

    def start(self):
        self.socket.unlink(missing_ok=True)
        argv = ["setpriv", "--pdeathsig=KILL", "dbus-daemon", f"--config-file={self.config}", "--nofork",
                "--nopidfile"]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self.socket.exists, "the bus listens")

    def stop(self):
        self.process.kill()
        self.process.wait()


class Host:
    """A pair of namespaces, ten open connections, and a twtuned on a bus that holds two sysctls for them."""

    def __init__(self, policy=HOLDS, load=True, instance=None, bus_policy=None, before=lambda host: None, **options):
        self.before = before  # the daemon starts
        self.bus = Bus(bus_policy) if bus_policy else Bus()
        self.policy, self.load, self.instance, self.options = temp_policy(policy), load, instance, options

    def __enter__(self):
        self.pair = Pair().__enter__()
        self.client = self.pair.client
        ChurnServer(self.pair.server, self.pair.server.ip4)
        if self.load:
            self.connections = ChurnHold(self.client, self.pair.server.ip4, count=10)
        self.before(self)
        self.twtuned = Ticking(self.client, self.policy, bus=self.bus.socket, instance=self.instance, **self.options)
        wait_until(lambda: self.ctl("status", check=False).returncode == 0, "it is on the bus")
        if self.load:
            self.twtuned.wait_for(f"^applied: .*SYSCTL={DELAY} ")
        return self

    def __exit__(self, *_):
        self.pair.remove()
        self.bus.stop()

    def argv(self, *args):
        named = [f"--instance={self.instance}"] if self.instance else []
        return [binary("twtunectl"), *named, *args]

    def env(self, **more):
        return os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.bus.socket}", "LC_ALL": "C.UTF-8"} | more

    def ctl(self, *args, check=True, nobody=False, **more):
        prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if nobody else []
        run = subprocess.run([*prefix, *self.argv(*args)], text=True, capture_output=True, timeout=PATIENCE,
                             stdin=subprocess.DEVNULL, env=self.env(**more))
        # ./dev coverage: what nobody cannot write, as the user twtuned has written it before.
        run.stderr = re.sub(r"^profiling:.*:Cannot open\n", "", run.stderr, flags=re.M)
        if check and run.returncode:
            raise AssertionError(f"twtunectl {' '.join(args)}: {run.returncode}: {run.stderr}")
        return run

    def status(self, *args, **options):
        """The text of `twtunectl status` once ticks are on time: where one was late, it says that for a minute."""
        return wait_until(lambda: "ticks are late" not in (text := self.ctl("status", *args, **options).stdout) and text,
                          "ticks that are on time")

    def json(self, *args):
        return json.loads(self.ctl(*args, "--json").stdout)

    def sysctls(self):
        return self.client.sysctl(REUSE), self.client.sysctl(DELAY)

    def owner(self, name):
        return next(s for s in self.json("status")["sysctls"] if s["name"] == name)


def check_text(text, *regexes):
    for regex in regexes:
        check(re.search(regex, text, re.M), f"no {regex!r} in:\n{text}")


class ChurnHoldBeside:
    def __init__(self, host):
        self.host = host

    def __enter__(self):
        self.load = ChurnHold(self.host.client, self.host.pair.server.ip4, count=10)

    def __exit__(self, *_):
        self.load.stop()
