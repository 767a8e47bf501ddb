#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The shipped policy, rule by rule: the pressure is made with real sockets; this rule says so and no other does; what
it sets helps, and is given back. The times of the policy are shortened, its thresholds are as shipped. Then what only
looks like a pressure: not a line. (The ports toward one destination: test_effect.py.)"""

import resource
import shutil
import socket
import sys
import time

import test_release  # noqa: F401  minutes of waiting, beside the tests here
from harness import (PATIENCE, POLICY, ChurnClient, ChurnHold, ChurnServer, Pair, Program, Skip, Twtuned, check,
                     check_equal, diag, fields, main, shorten, temp_policy, test)
from sockets import (BUSY, DEAF, HOARDER, Repeat, Unit, begin_connect, close_all, connect, ip, leave_time_wait,
                     listener, once, silence, states, value, wait_until)

NOWHERE = "10.77.0.99"  # nothing that is sent there arrives
SPOOFED = "10.77.0.98"  # sends, and hears no answer
FORSAKEN = "10.77.0.97"  # a peer that answers, and falls silent when told to

LOOKED = 13  # seconds after which the slowest metric was read, and the shortened times are over

class Watch(Twtuned):
    """The daemon with the shipped policy, its times shortened; it watches when this returns."""

    def __init__(self, namespace, text=None):
        super().__init__(namespace, shorten(text or POLICY.read_text(), "2s"))
        self.wait_for("^config-loaded")

    def event(self, kind, rule, timeout=PATIENCE):
        """The fields of the rule's line of this kind."""
        return fields(self.wait_for(rf"^{kind}: .* RULE={rule} .*", timeout)[0])

    def check_rules(self, *rules):
        """These spoke, and no other."""
        spoke = {fields(line).get("RULE") for line in self.lines[1:]}
        check(spoke == set(rules), f"rules that spoke are {spoke}, should be {set(rules)}:\n" + "\n".join(self.lines))


class FloodedPair(Pair):
    """Begins connections to the server's port 8080 from an address that answers nothing, 400 a second."""

    def __init__(self, backlog):
        super().__init__()
        ip(self.client, "addr", "add", f"{SPOOFED}/32", "dev", "lo")
        silence(self.server, SPOOFED)
        self.listener = listener(self.server, self.server.ip4, backlog=backlog)

    def some(self, count=20):
        close_all([begin_connect(self.client, self.server.ip4, 8080, SPOOFED) for _ in range(count)])

    def flood(self):
        return Repeat(self.some, 0.05)

    def client_connects(self):
        """Whether a client that does answer can connect, and does not have to ask twice."""
        with self.client.entered():
            try:
                socket.create_connection((self.server.ip4, 8080), 0.5, (self.client.ip4, 0)).close()
            except TimeoutError:
                return False
        return True


def forsaken_pair():
    """FORSAKEN is an address of the server, at which nobody hears the client once silence() was called."""
    pair = Pair()
    ip(pair.server, "addr", "add", f"{FORSAKEN}/32", "dev", "lo")
    return pair


def few_ports(namespace, count=2000):
    namespace.sysctl("net.ipv4.ip_local_port_range", f"40000 {40000 + count - 1}")


# ---- ports ----

@test("ports-exhausted: more connections than reuse has ports for", beside=True)
def _():
    with Pair() as pair:
        few_ports(pair.client, 200)
        ChurnServer(pair.server, pair.server.ip4)
        twtuned = Watch(pair.client)
        ChurnClient(pair.client, pair.server.ip4, rate=2000, seconds=PATIENCE)
        twtuned.event("advice", "ports-exhausted")
        twtuned.check_rules("time-wait-reuse", "time-wait-reuse-sooner", "ports-exhausted")


@test("wider-port-range: where it is switched on it takes what no listener has, and gives way to one", beside=True)
def _():
    name = "net.ipv4.ip_local_port_range"
    text = POLICY.read_text()
    check(text.count("enabled = no") == 1, "another rule is off as well")
    with Pair() as pair:
        few_ports(pair.client, 200)
        kept = [listener(pair.client, "127.0.0.1", port) for port in (38000, 50000)]
        ChurnServer(pair.server, pair.server.ip4)
        twtuned = Watch(pair.client, text.replace("enabled = no", "enabled = yes"))
        client = ChurnClient(pair.client, pair.server.ip4, rate=2000, seconds=2 * PATIENCE)
        twtuned.event("applied", "wider-port-range")
        low, high = map(int, pair.client.sysctl(name).split())
        check(38001 <= low <= 38002 and 49998 <= high <= 49999, f"{low} to {high}: next to the listeners")
        second = len(client.seconds)
        client.wait_second(second + 4)
        before, after = client.seconds[second - 1], client.seconds[second + 3]
        diag(f"connects and failures a second: {before}, with the wider range {after}")
        check(before[1] > 0, "there were ports enough")
        check_equal(after[1], 0, "failures with the wider range")
        kept.append(listener(pair.client, "127.0.0.1", 39000))
        twtuned.event("released", "wider-port-range")
        check_equal(pair.client.sysctl(name), "40000\t40199", name)
        close_all(kept)

@test("ports-held: a backend that answers nothing, and connections that stay open", beside=True)
def _():
    for address, state in ((NOWHERE, "SYN_SENT"), (None, "ESTABLISHED")):
        with Pair() as pair:
            few_ports(pair.client)
            silence(pair.client, NOWHERE)
            twtuned = Watch(pair.client)
            kept = []
            if address:
                kept = [begin_connect(pair.client, address, 8080) for _ in range(1990)]
            else:
                ChurnServer(pair.server, pair.server.ip4)
                ChurnHold(pair.client, pair.server.ip4, count=1990)
            line = twtuned.event("advice", "ports-held")
            check_equal(line["GROUP"], f"10.77.0.1->{address or pair.server.ip4}:8080", f"GROUP of {state}")
            check_equal(value(once(pair.client), "ports.relief"), 0, "ports.relief")
            twtuned.check_rules("ports-held")
            close_all(kept)


def connect_to_four(pair, seconds=8, **options):
    """200 connections a second, spread over four destinations: 1,600 for 2,000 ports, and 40 % of each cliff."""
    few_ports(pair.client)
    clients = []
    for port in range(8080, 8084):
        ChurnServer(pair.server, pair.server.ip4, port)
        clients.append(ChurnClient(pair.client, pair.server.ip4, port, rate=50, seconds=seconds, **options))
    return clients


@test("bind-before-connect: a program that binds runs out of ports for all destinations; another one is silent",
      beside=True)
def _():
    with Pair() as bound, Pair() as free:
        twtuned, silent = Watch(bound.client), Watch(free.client)
        clients = connect_to_four(bound, bind=bound.client.ip4) + connect_to_four(free)
        twtuned.event("advice", "bind-before-connect")
        check_equal([client.finish()[1] for client in clients], [0] * 8, "failures before there is advice")
        metrics = once(free.client)
        diag(f"not bound: ports.source_used {value(metrics, 'ports.source_used'):.0f} %")
        check(value(metrics, "ports.source_used") >= 40, "without bind() not 40 % of the ports are used either")
        twtuned.check_rules("bind-before-connect")
        silent.check_rules()


# ---- tables ----

@test("time-wait-table: nothing is thrown away with a table of twice the size, which lasts while it is needed",
      beside=True)
def _():
    name = "net.ipv4.tcp_max_tw_buckets"
    with Pair() as pair:
        pair.server.sysctl(name, 34000)
        twtuned = Watch(pair.server)

        def pile_up(port):
            """Leaves 9,300 TIME_WAIT sockets; how many were thrown away."""
            before = pair.server.counter("TcpExt", "TCPTimeWaitOverflow")
            leave_time_wait(pair, 9300, port)
            return pair.server.counter("TcpExt", "TCPTimeWaitOverflow") - before

        lost = [pile_up(8080 + i) for i in range(4)]
        check(lost[0] == 0 and lost[3] > 0, f"TCPTimeWaitOverflow {lost}")
        line = twtuned.event("applied", "time-wait-table")
        check_equal((line["OLDVALUE"], line["NEWVALUE"]), ("34000", "68000"), "values")
        lost = pile_up(8084)
        check_equal(lost, 0, "TCPTimeWaitOverflow with the larger table")
        check(pair.server.sockstat("tw") > 34000, "the old table would do")
        line = twtuned.event("released", "time-wait-table", 100)
        check_equal(pair.server.sysctl(name), "34000", name)
        check(pair.server.sockstat("tw") < 17000, f"given back with {pair.server.sockstat('tw')} TIME_WAIT sockets")
        twtuned.check_rules("time-wait-table")


@test("orphans: connections toward a peer that is gone end in a quarter of the time", beside=True)
def _():
    name = "net.ipv4.tcp_orphan_retries"
    with forsaken_pair() as pair:
        holds = []
        for port in (8080, 8081):
            ChurnServer(pair.server, "0.0.0.0", port)
            holds.append(ChurnHold(pair.client, FORSAKEN, port, count=5100))
        twtuned = Watch(pair.client)
        silence(pair.client, FORSAKEN)
        begun = time.monotonic()
        for hold in holds:
            hold.stop()
        check_equal(twtuned.event("applied", "orphans")["NEWVALUE"], "6", name)
        wait_until(lambda: "fin_wait1" not in states(pair.client), "they end")
        diag(f"10,200 FIN_WAIT_1 ended after {time.monotonic() - begun:.0f} s")
        twtuned.event("released", "orphans")
        check_equal(pair.client.sysctl(name), "0", name)
        twtuned.check_rules("orphans")


@test("fin-wait2-orphans: peers that never close hold the ports for a third of the time", beside=True)
def _():
    name = "net.ipv4.tcp_fin_timeout"
    with Pair() as pair:
        few_ports(pair.client, 4000)
        for port in (8080, 8081):
            Program(pair.server, [sys.executable, "-c", HOARDER, pair.server.ip4, str(port)]).wait_for("^ready$")
        twtuned = Watch(pair.client)
        begun = time.monotonic()
        ChurnClient(pair.client, pair.server.ip4, 8080, count=1700).finish()  # the cliff is at 2000
        check_equal(twtuned.event("applied", "fin-wait2-orphans")["NEWVALUE"], "20", name)
        # Those that wait already are not helped; those that come now are.
        late = time.monotonic()
        ChurnClient(pair.client, pair.server.ip4, 8081, count=100).finish()

        def left(port):
            return len(pair.client.run(["ss", "-tanH", "state", "fin-wait-2", f"dport = :{port}"]).stdout.splitlines())
        check_equal(left(8081), 100, "FIN_WAIT_2")
        wait_until(lambda: left(8081) == 0, "the late ones end", 40)
        diag(f"late ones ended after {time.monotonic() - late:.0f} s, {left(8080)} of the others are left "
             f"after {time.monotonic() - begun:.0f} s")
        check(left(8080) == 1700, f"{left(8080)} of the others are left: this shows nothing")
        twtuned.event("released", "fin-wait2-orphans", 80)
        check_equal(pair.client.sysctl(name), "60", name)
        twtuned.check_rules("fin-wait2-orphans")


@test("fin-wait2-held: a program that waits for peers that never close", beside=True)
def _():
    with Pair() as pair:
        peer = listener(pair.server, pair.server.ip4)
        ends = [connect(pair.client, peer) for _ in range(1050)]
        twtuned = Watch(pair.client)
        for near, _ in ends:
            near.shutdown(socket.SHUT_WR)
        twtuned.event("advice", "fin-wait2-held")
        twtuned.check_rules("fin-wait2-held")


# ---- listeners ----

@test("syn-cookies, then syn-queue: a flood shuts clients out, and with cookies it does not", beside=True)
def _():
    name = "net.ipv4.tcp_syncookies"
    with FloodedPair(backlog=512) as pair:
        pair.server.sysctl(name, 0)
        pair.server.sysctl("net.ipv4.tcp_max_syn_backlog", 256)
        twtuned = Watch(pair.server)
        check(pair.client_connects(), "the client cannot connect before the flood")
        with pair.flood():
            wait_until(lambda: pair.server.counter("TcpExt", "ListenDrops") > 0, "something is dropped")
            check(not pair.client_connects(), "the client connects as if there were no flood")
            line = twtuned.event("applied", "syn-cookies")
            check_equal((line["OLDVALUE"], line["NEWVALUE"]), ("0", "1"), name)
            dropped = pair.server.counter("TcpExt", "ListenDrops")
            line = twtuned.event("advice", "syn-queue")
            check_equal(line["METRIC"], "syn_queue.worst", "METRIC")
            check_equal(line["GROUP"], "10.77.0.2:8080", "GROUP")
            check_equal([pair.client_connects() for _ in range(5)], [True] * 5, "the client connects")
            check_equal(pair.server.counter("TcpExt", "ListenDrops"), dropped, "ListenDrops, since there are cookies")
            check(pair.server.counter("TcpExt", "SyncookiesSent") > 0, "no cookie was sent")
        twtuned.event("released", "syn-cookies")
        check_equal(pair.server.sysctl(name), "0", name)
        twtuned.check_rules("syn-cookies", "syn-queue")


@test("syn-queue: half of a SYN queue is no pressure, all of it is", beside=True)
def _():
    with FloodedPair(backlog=400) as pair:
        twtuned = Watch(pair.server)
        pair.some(200)
        time.sleep(LOOKED)
        check_equal(states(pair.server)["syn_recv"], 200, "SYN_RECV")
        twtuned.check_rules()
        with pair.flood():
            twtuned.event("advice", "syn-queue")
        twtuned.check_rules("syn-queue")
        check_equal(pair.server.sysctl("net.ipv4.tcp_syncookies"), "1", "tcp_syncookies")


@test("accept-queue: a program that does not accept is named", beside=True)
def _():
    with Unit() as unit, Pair() as pair:
        unit.python(pair.server, DEAF, pair.server.ip4, 8080, 16)
        twtuned = Watch(pair.server)
        kept = []
        with Repeat(lambda: kept.append(begin_connect(pair.client, pair.server.ip4, 8080)), 0.1):
            line = twtuned.event("advice", "accept-queue")
        check_equal((line["GROUP"], line["CULPRIT"]), ("10.77.0.2:8080", unit.name), "GROUP and CULPRIT")
        twtuned.check_rules("accept-queue")
        close_all(kept)


@test("accept-queue: a small queue that costs every client a second", beside=True)
def _():
    with Pair() as pair:
        Program(pair.server, [sys.executable, "-c", BUSY, pair.server.ip4, "8080", "8", "0.1"]).wait_for("^ready$")
        twtuned = Watch(pair.server)
        clients = [ChurnClient(pair.client, pair.server.ip4, rate=1000, seconds=15) for _ in range(8)]
        twtuned.event("advice", "accept-queue")
        for client in clients:
            client.wait_second(3)
        connects = sum(client.rate(1, 3) for client in clients)
        diag(f"{connects:.0f} connects/s of 8000")
        check(connects < 800, f"{connects:.0f} connects/s of 8000: they are not slowed down")
        twtuned.check_rules("accept-queue")


# ---- programs and peers ----

@test("close-wait: names the unit in which CLOSE_WAIT grows; a program that keeps many is silent", beside=True)
def _():
    with Unit() as unit, Pair() as pair:
        steady = listener(pair.server, pair.server.ip4, 8081, backlog=600)
        ends = [connect(pair.client, steady) for _ in range(550)]
        close_all(near for near, _ in ends)
        unit.python(pair.server, HOARDER, pair.server.ip4, 8080)
        twtuned = Watch(pair.server)
        time.sleep(35)  # a trend takes 30 s
        twtuned.check_rules()

        def leak():
            with pair.client.entered():
                socket.create_connection((pair.server.ip4, 8080), 10).close()
        with Repeat(leak, 0.2):
            check_equal(twtuned.event("advice", "close-wait")["CULPRIT"], unit.name, "CULPRIT")
        twtuned.check_rules("close-wait")


@test("dead-peers: connections whose peers are gone end sooner", beside=True)
def _():
    names = "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes"
    with Pair() as pair:
        # A probe that is due is not put off, so the stock interval of 75 s would only make this longer.
        pair.client.sysctl(names[0], 20)
        peer = listener(pair.server, pair.server.ip4)
        ends = [connect(pair.client, peer) for _ in range(1050)]
        for near, _ in ends:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 3)
        # Held until the last has ended: "for 5min" is shortened.
        until = "keepalive_unanswered < "
        twtuned = Watch(pair.client, POLICY.read_text().replace(until + "200", until + "1"))
        ip(pair.server, "link", "set", "veth0", "down")
        begun = time.monotonic()
        twtuned.event("applied", "dead-peers")
        wait_until(lambda: [pair.client.sysctl(name) for name in names] == ["15", "5"], "interval and probes")
        wait_until(lambda: "established" not in states(pair.client), "they end", 170)
        took = time.monotonic() - begun
        diag(f"ended after {took:.0f} s; 9 probes at 20 s would take 180 s")
        twtuned.event("released", "dead-peers")
        wait_until(lambda: [pair.client.sysctl(name) for name in names] == ["20", "9"], "interval and probes")
        twtuned.check_rules("dead-peers")


# ---- conntrack ----

def load_nft(namespace, text):
    if not shutil.which("nft"):
        raise Skip("no nft")
    if (result := namespace.run(["nft", "-f", str(temp_policy(text))], check=False)).returncode:
        raise Skip(f"nft: {result.stderr.strip()}")


@test("conntrack-table: its share is real; nf_conntrack_max is the host's, so the threshold is not the shipped one",
      beside=True)
def _():
    with Pair() as pair:
        load_nft(pair.client, "table ip t { chain c { type filter hook output priority 0; ct state new counter; }; }")
        limit = int(pair.client.sysctl("net.netfilter.nf_conntrack_max"))
        ChurnServer(pair.server, pair.server.ip4)
        low = f"when = conntrack.table >= {100 * 150 / limit:.6f}%"
        text = POLICY.read_text()
        check("when = conntrack.table >= 90%" in text, "no rule of conntrack.table")
        twtuned = Watch(pair.client, text.replace("when = conntrack.table >= 90%", low))
        ChurnClient(pair.client, pair.server.ip4, count=100).finish()
        time.sleep(4)
        twtuned.check_rules()
        ChurnClient(pair.client, pair.server.ip4, count=100).finish()
        twtuned.event("advice", "conntrack-table")
        twtuned.check_rules("conntrack-table")


@test("conntrack-insert-failed: SNAT that has no port left", beside=True)
def _():
    with Pair() as pair:
        ip(pair.client, "addr", "add", "10.77.0.50/32", "dev", "lo")
        load_nft(pair.client, "table ip t { chain c { type nat hook postrouting priority 100; "
                              f"ip daddr {NOWHERE} tcp dport 80 snat to 10.77.0.50:50000-50009; }}; }}")
        silence(pair.client, NOWHERE)
        twtuned = Watch(pair.client)
        kept = [begin_connect(pair.client, NOWHERE, 80) for _ in range(10)]
        time.sleep(4)
        twtuned.check_rules()  # ten have ten ports
        with Repeat(lambda: kept.append(begin_connect(pair.client, NOWHERE, 80)), 0.1):
            twtuned.event("advice", "conntrack-insert-failed")
        twtuned.check_rules("conntrack-insert-failed")
        close_all(kept)


# ---- look-alikes ----

@test("silent: 10,000 idle connections with keepalive, FIN_WAIT_2 that a program holds, 1,000 connects in a second",
      beside=True)
def _():
    with Pair() as pair:
        ChurnServer(pair.server, pair.server.ip4)
        ChurnServer(pair.server, pair.server.ip4, 8081)
        twtuned = [Watch(host) for host in (pair.client, pair.server)]
        pair.client.sysctl("net.ipv4.tcp_keepalive_time", 2)  # they are probed, and answer
        ChurnHold(pair.client, pair.server.ip4, count=10_000, keepalive=True)
        silent = listener(pair.server, pair.server.ip4, 8082)
        ends = [connect(pair.client, silent) for _ in range(300)]
        for near, _ in ends:
            near.shutdown(socket.SHUT_WR)
        ChurnClient(pair.client, pair.server.ip4, 8081, count=1000, rate=1000).finish()
        time.sleep(LOOKED)
        check(pair.client.counter("TcpExt", "TCPKeepAlive") >= 10_000, "no keepalive probes")
        for one in twtuned:
            one.check_rules()


@test("silent: a pool of 3,000 connections that is dropped and opened again", beside=True)
def _():
    with Pair() as pair:
        ChurnServer(pair.server, pair.server.ip4)
        twtuned = [Watch(host) for host in (pair.client, pair.server)]
        ChurnHold(pair.client, pair.server.ip4, count=3000).stop()
        ChurnHold(pair.client, pair.server.ip4, count=3000)
        time.sleep(LOOKED)
        for one in twtuned:
            one.check_rules()


@test("silent: an accept queue that fills and drains, 20 times a second")
def _():
    with Pair() as pair:
        busy = Program(pair.server, [sys.executable, "-c", BUSY, pair.server.ip4, "8080", "250", "0.05"])
        busy.wait_for("^ready$")
        pair.client.sysctl("net.ipv4.tcp_tw_reuse", 1)
        twtuned = [Watch(host) for host in (pair.client, pair.server)]
        client = ChurnClient(pair.client, pair.server.ip4, rate=2000, seconds=6)
        client.wait_second(3)
        worst = max(value(once(pair.server), "accept_queue.worst") for _ in range(3))
        diag(f"accept_queue.worst up to {worst:.0f} %")
        client.finish()
        for one in twtuned:
            one.check_rules()


soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
main()
