# SPDX-License-Identifier: MIT
"""What the tests of the policy share: the daemon with the shipped policy in two sizes, and a flooded pair."""

import contextlib
import shutil
import socket

from harness import (ChurnServer, LONG, PATIENCE, POLICY, Pair, Skip, Ticks, Twtuned, check, few_ports, fields, shorten, temp_policy,
                     test)
from sockets import Load, Repeat, begin_connect, close_all, ip, keep_time_wait, listener, silence

NOWHERE = "10.77.0.99"  # nothing that is sent there arrives
SPOOFED = "10.77.0.98"  # sends, and hears no answer
FORSAKEN = "10.77.0.97"  # a peer that answers, and falls silent when told to

# What the daemon logs on a machine that stalls for seconds.
STALLS = ("degraded: no tick for ", "recovered: ticks are on time again",
          "degraded: cannot read the connections (NETLINK_SOCK_DIAG): Connection timed out", "recovered: everything can be read again")

LOOKED = 13  # ticks after which the slowest metric was read, and the shortened times are over

# Counts in the shipped policy, and what a test with few sockets has in their place.
FEWER = {
    "tcp.fin_wait1 >= 10k": "tcp.fin_wait1 >= 100",
    "tcp.fin_wait1 < 2k": "tcp.fin_wait1 < 20",
    "tcp.last_ack >= 10k": "tcp.last_ack >= 100",
    "tcp.last_ack < 2k": "tcp.last_ack < 20",
    "tcp.fin_wait2_orphaned >= 1000": "tcp.fin_wait2_orphaned >= 100",
    "tcp.fin_wait2_orphaned < 500": "tcp.fin_wait2_orphaned < 50",
    "tcp.fin_wait2_held >= 1000": "tcp.fin_wait2_held >= 100",
    "close_wait.stuck >= 500": "close_wait.stuck >= 50",
    "tcp.data_unanswered >= 500": "tcp.data_unanswered >= 50",
    "tcp.keepalive_unanswered >= 1000": "tcp.keepalive_unanswered >= 100",
    "tcp.keepalive_unanswered < 200": "tcp.keepalive_unanswered < 20",
    # No table under 65,536 is ever written.
    "tcp_max_tw_buckets x2 ": "tcp_max_tw_buckets x100 ",
}


def replaced(text, changes):
    """The policy with each key replaced by its value; the policy must have each key exactly once."""
    for old, new in changes.items():
        check(text.count(old) == 1, f"the policy has {old!r} {text.count(old)} times, not once")
        text = text.replace(old, new)
    return text


class Watch(Twtuned):
    """The daemon with this policy; it watches when this returns."""

    def __init__(self, namespace, policy):
        self.ticks = Ticks()
        super().__init__(namespace, policy, ticks=self.ticks)
        self.wait_for("^config-loaded")

    def event(self, kind, rule, timeout=PATIENCE + (600 if LONG else 0)):
        """The fields of the rule's line of this kind."""
        return fields(self.wait_for(rf"^{kind}: .* RULE={rule} .*", timeout)[0])

    def said(self):
        """Its log lines after config-loaded, without those about a busy machine."""
        return [line for line in self.lines[1:] if not line.startswith(STALLS)]

    def check_rules(self, *rules):
        """Exactly these rules have logged something."""
        spoke = {fields(line).get("RULE") for line in self.said()}
        check(spoke == set(rules), f"rules that spoke are {spoke}, should be {set(rules)}:\n" + "\n".join(self.lines))


def check_silent(*watches, ticks=LOOKED):
    """No rule of any of them has logged anything after `ticks` more ticks of each."""
    due = [one.ticks.after(ticks) for one in watches]
    for one, number in zip(watches, due):
        one.ticks.wait_for(number)
        one.check_rules()


class Few:
    """A hundred sockets where the shipped policy asks for thousands: 512 ephemeral ports, a tenth or a hundredth of the
    counts, and short times. The shares are as shipped."""

    PORTS = 512

    @staticmethod
    def watch(namespace, changes={}):
        policy = shorten(replaced(POLICY.read_text(), FEWER | changes), "2s")
        # With a shorter time, connections that wait long would look like connections that are given up.
        policy.write_text(replaced(policy.read_text(), {"TCPSynRetrans >= 2/s for 2s": "TCPSynRetrans >= 2/s for 5s"}))
        return Watch(namespace, policy)

    @classmethod
    def prepare(cls, namespace):
        few_ports(namespace, cls.PORTS)

    @staticmethod
    def count(few, shipped):
        return few


class Shipped:
    """The shipped policy, and the stock range of ports."""

    PORTS = 28232

    @staticmethod
    def watch(namespace, changes={}):
        return Watch(namespace, temp_policy(replaced(POLICY.read_text(), changes)))

    @staticmethod
    def prepare(namespace):
        pass

    @staticmethod
    def count(few, shipped):
        return shipped


def sized(name):
    """A test that takes a size: Few, or with --long Shipped."""
    def register(function):
        test(name, beside=True)(lambda: function(Few))
        test(f"{name}; as shipped", beside=True, long=True)(lambda: function(Shipped))
        return function
    return register


class FloodedPair(Pair):
    """Begins connections to the server's port 8080 from an address that answers nothing, 100 a second."""

    def __init__(self, backlog):
        super().__init__()
        ip(self.client, "addr", "add", f"{SPOOFED}/32", "dev", "lo")
        silence(self.server, SPOOFED)
        self.listener = listener(self.server, self.server.ip4, backlog=backlog)

    def some(self, count=5):
        close_all([begin_connect(self.client, self.server.ip4, 8080, SPOOFED) for _ in range(count)])

    def flood(self):
        return Repeat(self.some, 0.05)

    def client_connects(self, patience=PATIENCE):
        """Whether a client that does answer can connect."""
        with self.client.entered():
            try:
                socket.create_connection((self.server.ip4, 8080), patience, (self.client.ip4, 0)).close()
            except TimeoutError:
                return False
        return True


def load_nft(namespace, text):
    if not shutil.which("nft"):
        raise Skip("no nft")
    if (result := namespace.run(["nft", "-f", str(temp_policy(text))], check=False)).returncode:
        raise Skip(f"nft: {result.stderr.strip()}")


def forsaken_pair():
    """FORSAKEN is an address of the server, at which nobody hears the client once silence() was called."""
    pair = Pair()
    ip(pair.server, "addr", "add", f"{FORSAKEN}/32", "dev", "lo")
    return pair


# ---- one destination ----

@contextlib.contextmanager
def destination(ports=Few.PORTS, timestamps=True, family="IPv4"):
    """A pair, and a load for the client toward a server whose host has timestamps or not."""
    with Pair() as pair:
        few_ports(pair.client, ports)
        keep_time_wait(pair.client)
        if not timestamps:
            pair.server.sysctl("net.ipv4.tcp_timestamps", 0)
        address = pair.server.ip6 if family == "IPv6" else pair.server.ip4
        ChurnServer(pair.server, address)
        yield pair, Load(pair.client, address, mapped=family == "IPv4-mapped")


def group(pair, family):
    if family == "IPv6":
        return f"{pair.client.ip6}->[{pair.server.ip6}]:8080"
    return f"{pair.client.ip4}->{pair.server.ip4}:8080"


# Drops the first SYN from each port that had a connection before, like a peer that still keeps that connection. A
# connection that was reset is forgotten.
LOSES_REUSED = """
table ip t {
        set seen { type inet_service; flags dynamic,timeout; timeout 5m; size 65535; }
        chain input {
                type filter hook input priority 0
                tcp dport 8080 tcp flags & rst == rst delete @seen { tcp sport }
                tcp dport 8080 tcp flags & (syn | ack) == syn jump syn
        }
        chain syn {
                tcp sport @seen delete @seen { tcp sport } drop
                add @seen { tcp sport }
        }
}
"""
