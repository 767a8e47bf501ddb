/* SPDX-License-Identifier: MIT */

/* The metrics, a row for each: its id and the members of struct metric. The includer defines METRIC(ID, ...): metric.h
 * for the ids, metric.c for the table. */

/* clang-format off */
#define TCP(id, name, help) METRIC(TCP_##id, "tcp." name, UNIT_COUNT, 1, "sock_diag", SLOWLY, help, 0)
#define PORTS(id, name, unit, help) METRIC(PORTS_##id, "ports." name, unit, 1, "sock_diag", WITH_DUMP, help, 0)
#define PORTS_SHARE(id, name, help) \
        METRIC(PORTS_##id, "ports." name, UNIT_PERCENT, 1, "sock_diag", WITH_DUMP, help, 100)
#define TICK(id, name, unit, source, help) METRIC(id, name, unit, 1, source, EVERY_TICK, help, 0)
#define SAMPLE(id, name, unit, source, help) METRIC(id, name, unit, 1, source, SLOWLY, help, 0)

TCP(ESTABLISHED, "established", "open connections")
TCP(SYN_SENT, "syn_sent", "connections that the peer has not answered yet")
TCP(SYN_RECV, "syn_recv", "incoming connections in the handshake")
TCP(FIN_WAIT1, "fin_wait1", "closed here, not yet acknowledged")
TCP(FIN_WAIT2, "fin_wait2", "closed here, the peer has not closed yet")
TCP(TIME_WAIT, "time_wait", "closed here first; each keeps its port for 60 s")
TCP(CLOSE_WAIT, "close_wait", "closed by the peer, not by the program here")
TCP(LAST_ACK, "last_ack", "closed by the peer first, then here")
TICK(TCP_LISTEN, "tcp.listen", UNIT_COUNT, "sock_diag", "listening sockets")
TCP(CLOSING, "closing", "closed at both ends at once")
TCP(FIN_WAIT2_ORPHANED, "fin_wait2_orphaned", "fin_wait2 sockets that no program holds any more")
TCP(FIN_WAIT2_HELD, "fin_wait2_held", "fin_wait2 sockets that a program still holds")
TCP(KEEPALIVE_UNANSWERED, "keepalive_unanswered",
        "connections with keepalive probes that the peer has not answered, except those below user.slice")
TCP(RETRANSMITTING, "retransmitting", "connections that wait for an answer to a retransmission")
TCP(DATA_UNANSWERED, "data_unanswered", "open connections that have sent the same data six times without an answer")
TICK(TCP_TIMESTAMPS, "tcp.timestamps", UNIT_COUNT, "tcp_timestamps",
        "net.ipv4.tcp_timestamps; 0: no TIME_WAIT of this host is reused")

PORTS(CLIFF, "cliff", UNIT_PERCENT,
        "share of the ports of the fuller parity (even or odd) that connect() cannot take; at 100 % every connect() "
        "scans")
PORTS(EXHAUSTION, "exhaustion", UNIT_PERCENT,
        "share of the usable ports that connect() cannot take; at 100 % connect() fails")
PORTS(FORECAST, "forecast", UNIT_PERCENT, "ports.cliff in 3 s, if TIME_WAIT keeps growing as in the last two seconds")
PORTS(DEMAND, "demand", UNIT_PERCENT,
        "ports that would be in use without reuse; at 100 %, half of all ports, every connect() would scan")
PORTS(REUSE_DEMAND, "reuse_demand", UNIT_PERCENT,
        "ports that would be in use with reuse after 1 s; at 100 %, half of all ports, every connect() would scan")
PORTS_SHARE(RELIEF, "relief", "share of ports.demand that is TIME_WAIT, the only part that reuse can free")
PORTS_SHARE(SOURCE_USED, "source_used",
        "share of the usable ports that one source address uses, whatever the destination; at 100 % bind() before "
        "connect() fails")
PORTS_SHARE(BIND_FIRST, "bind_first",
        "of the ports of a source address that several destinations would share by chance, the part that only one "
        "uses, or ports.bind_order if higher; near 100 %: a program binds before it connects, and reuse cannot help "
        "it")
PORTS_SHARE(BIND_ORDER, "bind_order",
        "100 %: the ports toward the destination were taken in the order of bind(), not in that of connect(), so the "
        "program binds before it connects; else 0")
PORTS(BIND_USED, "bind_used", UNIT_PERCENT,
        "ports used by one source address, of those that bind() tries first; at 100 % every bind() before connect() "
        "scans")
PORTS_SHARE(REUSED, "reused",
        "share of the new connections that took a port in TIME_WAIT; unknown while there are too few new connections")
METRIC(PORTS_SYN_WAITING, "ports.syn_waiting", UNIT_PERCENT, 5, "sock_diag", WITH_DUMP,
        "share of the connections on reused ports that wait over 250 ms for an answer; 0 unless it is over three "
        "times the share on other ports; unknown while there are too few connections of either kind", 100)
PORTS(UNANSWERED, "unanswered", UNIT_COUNT,
        "connections that have waited at least 2 s (3 s before Linux 6.5) for the first answer, as toward a dead "
        "backend")
PORTS_SHARE(SYN_SENT, "syn_sent", "share of the ports in use whose connection still waits for the first answer")
PORTS(USED, "used", UNIT_COUNT, "ports in use toward the destination")
PORTS(REUSABLE, "reusable", UNIT_COUNT, "ports in TIME_WAIT that connect() may reuse now")
PORTS(CLIFF_ETA, "cliff_eta", UNIT_SECONDS, "time until the cliff at the rate of the last two seconds; inf: never")
TICK(PORTS_BELOW_32768, "ports.below_32768", UNIT_COUNT, "ip_local_port_range",
        "ports below 32768 that connect() may take: in ip_local_port_range and not reserved")
TICK(PORTS_RESERVED, "ports.reserved", UNIT_PERCENT, "ip_local_reserved_ports",
        "ports of ip_local_port_range that ip_local_reserved_ports keeps connect() from; at 100 % every connect() "
        "fails")
SAMPLE(PORTS_BOUND, "ports.bound", UNIT_PERCENT, "sock_diag",
        "ports of sockets that are bound but neither listening nor connected; connect() cannot take them, and the "
        "ports.* of destinations leave them out (since Linux 6.8; 0 before, and while other counts show that they are "
        "under 1 %)")
SAMPLE(UDP_RECEIVE_BUFFER, "udp.receive_buffer", UNIT_PERCENT, "sock_diag",
        "fill level of the receive buffer of the UDP socket that drops the most datagrams; at 100 % it drops them; 0 "
        "while no socket does")
SAMPLE(UDP_PORTS, "udp.ports", UNIT_PERCENT, "sock_diag",
        "share of the ports of ip_local_port_range, except reserved ones, that UDP sockets hold; at 100 % sendto() "
        "and connect() fail; 0 while there are fewer UDP sockets than half of these ports")

TICK(TIME_WAIT_TABLE, "time_wait.table", UNIT_PERCENT, "sockstat",
        "TIME_WAIT sockets as a share of tcp_max_tw_buckets; at 100 % TIME_WAIT is skipped")
TICK(TIME_WAIT_NEEDED, "time_wait.needed", UNIT_COUNT, "sockstat, netstat",
        "TIME_WAIT sockets that there would be at the rate of the last seconds if each lasted 60 s")
TICK(ORPHANS_TABLE, "orphans.table", UNIT_PERCENT, "sockstat",
        "closed sockets that still send, as a share of tcp_max_orphans; at 100 % they are reset")
TICK(MEMORY_TCP, "memory.tcp", UNIT_PERCENT, "sockstat",
        "TCP buffers as a share of tcp_mem's last value; at 100 % sockets are dropped")
TICK(ACCEPT_QUEUE_WORST, "accept_queue.worst", UNIT_PERCENT, "sock_diag",
        "the fullest accept queue; past 100 % connections are dropped")
SAMPLE(SYN_QUEUE_WORST, "syn_queue.worst", UNIT_PERCENT, "sock_diag",
        "the fullest SYN queue; at 100 % SYN cookies or drops begin")
TICK(LISTEN_DROPS, "listen.drops", UNIT_PER_SECOND, "sock_diag",
        "connections that listeners dropped, because a queue was full or for another reason")
TICK(LISTEN_BURSTS, "listen.bursts", UNIT_COUNT, "sock_diag",
        "bursts in which one listener dropped connections because its accept queue was full, in the last ten "
        "minutes; counted up to 4")
TICK(LISTEN_OVERFLOWING, "listen.overflowing", UNIT_COUNT, "sock_diag",
        "listeners that dropped connections because their accept queue was full; each counts until its queue is at "
        "most half full")
SAMPLE(CLOSE_WAIT_GROWTH, "close_wait.growth", UNIT_PER_MINUTE, "sock_diag",
        "growth of close_wait over the last minute, in the unit where it grows most")
SAMPLE(CLOSE_WAIT_STUCK, "close_wait.stuck", UNIT_COUNT, "sock_diag",
        "close_wait sockets that were there at least 30 s before, in the unit that has the most of them")
TICK(OPENS_SYN_RETRANSMITS, "opens.syn_retransmits", UNIT_PERCENT, "netstat, snmp",
        "TCPSynRetrans divided by ActiveOpens; invalid while nothing is opened")
TICK(OPENS_RESETS, "opens.resets", UNIT_PERCENT, "snmp",
        "OutRsts divided by ActiveOpens; invalid while nothing is opened")
TICK(PAWS_TIME_WAIT, "paws.time_wait", UNIT_PER_MINUTE, "netstat",
        "packets of the last minute or so whose timestamp is older than that of their TIME_WAIT, less one for every "
        "hundred connections: SYNs of clients that share an address")
SAMPLE(CONNTRACK_TABLE, "conntrack.table", UNIT_PERCENT, "nf_conntrack_count",
        "entries as a share of nf_conntrack_max; at 100 % packets are dropped")
SAMPLE(CONNTRACK_INSERT_FAILED, "conntrack.insert_failed", UNIT_PER_SECOND, "stat/nf_conntrack",
        "connections that found no SNAT port or clashed with another")
TICK(SELF_OBSERVE_CPU, "self.observe_cpu", UNIT_PERCENT, "CLOCK_THREAD_CPUTIME_ID",
        "share of one core that twtuned spent observing since the previous tick")
TICK(SELF_RSS, "self.rss", UNIT_BYTES, "/proc/self/statm", "resident memory of twtuned")

#undef TCP
#undef PORTS
#undef PORTS_SHARE
#undef TICK
#undef SAMPLE
#undef METRIC
/* clang-format on */
