/* SPDX-License-Identifier: MIT */
#include "lib/kernel/metric.h"

#include <string.h>

/* clang-format off */
#define TCP(name, help) {"tcp." name, UNIT_COUNT, 1, "sock_diag", SLOWLY, help, 0}
#define PORTS(name, unit, help) {"ports." name, unit, 1, "sock_diag", WITH_DUMP, help, 0}
#define PORTS_SHARE(name, help) {"ports." name, UNIT_PERCENT, 1, "sock_diag", WITH_DUMP, help, 100}
#define TICK(name, unit, source, help) {name, unit, 1, source, EVERY_TICK, help, 0}
#define SAMPLE(name, unit, source, help) {name, unit, 1, source, SLOWLY, help, 0}

const struct metric metric_table[METRIC_COUNT] = {
        [METRIC_TCP_ESTABLISHED] = TCP("established", "open connections"),
        [METRIC_TCP_SYN_SENT] = TCP("syn_sent", "connections that the peer has not answered yet"),
        [METRIC_TCP_SYN_RECV] = TCP("syn_recv", "incoming connections in the handshake"),
        [METRIC_TCP_FIN_WAIT1] = TCP("fin_wait1", "closed here, not yet acknowledged"),
        [METRIC_TCP_FIN_WAIT2] = TCP("fin_wait2", "closed here, the peer has not closed yet"),
        [METRIC_TCP_TIME_WAIT] = TCP("time_wait", "closed here first; each keeps its port for 60 s"),
        [METRIC_TCP_CLOSE_WAIT] = TCP("close_wait", "closed by the peer, not by the program here"),
        [METRIC_TCP_LAST_ACK] = TCP("last_ack", "closed by the peer first, then here"),
        [METRIC_TCP_LISTEN] = TICK("tcp.listen", UNIT_COUNT, "sock_diag", "listening sockets"),
        [METRIC_TCP_CLOSING] = TCP("closing", "closed at both ends at once"),
        [METRIC_TCP_FIN_WAIT2_ORPHANED] = TCP("fin_wait2_orphaned", "fin_wait2 that no program holds any more"),
        [METRIC_TCP_FIN_WAIT2_HELD] = TCP("fin_wait2_held", "fin_wait2 that a program still holds"),
        [METRIC_TCP_KEEPALIVE_UNANSWERED] = TCP("keepalive_unanswered",
                "connections with keepalive probes that the peer has not answered"),
        [METRIC_TCP_RETRANSMITTING] = TCP("retransmitting", "connections that wait for an answer to a retransmission"),

        [METRIC_PORTS_CLIFF] = PORTS("cliff", UNIT_PERCENT,
                "ports that connect() cannot take, of one parity; at 100 % every connect() scans"),
        [METRIC_PORTS_EXHAUSTION] = PORTS("exhaustion", UNIT_PERCENT,
                "ports that connect() cannot take, of all usable ones; at 100 % connect() fails"),
        [METRIC_PORTS_FORECAST] = PORTS("forecast", UNIT_PERCENT,
                "ports.cliff in 3 s, if TIME_WAIT keeps growing as in the last two seconds"),
        [METRIC_PORTS_DEMAND] = PORTS("demand", UNIT_PERCENT,
                "ports that a kernel without reuse would hold; at 100 % it would be at the cliff"),
        [METRIC_PORTS_REUSE_DEMAND] = PORTS("reuse_demand", UNIT_PERCENT,
                "ports that a kernel with reuse after 1 s would hold; at 100 % it would be at the cliff"),
        [METRIC_PORTS_RELIEF] = PORTS_SHARE("relief",
                "share of the demand that is TIME_WAIT; reuse can help all of it"),
        [METRIC_PORTS_SOURCE_USED] = PORTS_SHARE("source_used",
                "distinct ports of one source address; at 100 % bind() before connect() fails"),
        [METRIC_PORTS_BIND_FIRST] = PORTS_SHARE("bind_first",
                "ports of a source address that no two destinations share although chance would share them; "
                "near 100 %: a program binds before it connects, and reuse cannot help it"),
        [METRIC_PORTS_REUSED] = PORTS_SHARE("reused",
                "new connections that took a port in TIME_WAIT; unknown while there are too few of them"),
        [METRIC_PORTS_SYN_WAITING] = {"ports.syn_waiting", UNIT_PERCENT, 5, "sock_diag", WITH_DUMP,
                "connections on a reused port that wait over 250 ms for an answer; 0 unless that are three times as many "
                "as on other ports; unknown without enough of both", 100},
        [METRIC_PORTS_UNANSWERED] = PORTS("unanswered", UNIT_COUNT,
                "connections that have waited 3 s and more for the first answer: the backend is dead"),
        [METRIC_PORTS_USED] = PORTS("used", UNIT_COUNT, "ports in use toward the destination"),
        [METRIC_PORTS_REUSABLE] = PORTS("reusable", UNIT_COUNT, "ports in TIME_WAIT that connect() may reuse now"),
        [METRIC_PORTS_CLIFF_ETA] = PORTS("cliff_eta", UNIT_SECONDS,
                "time until the cliff at the rate of the last two seconds; inf: never"),

        [METRIC_TIME_WAIT_TABLE] = TICK("time_wait.table", UNIT_PERCENT, "sockstat",
                "TIME_WAIT sockets of tcp_max_tw_buckets; at 100 % TIME_WAIT is skipped"),
        [METRIC_ORPHANS_TABLE] = TICK("orphans.table", UNIT_PERCENT, "sockstat",
                "closed sockets that still send, of tcp_max_orphans; at 100 % they are reset"),
        [METRIC_MEMORY_TCP] = TICK("memory.tcp", UNIT_PERCENT, "sockstat",
                "buffers of all sockets, of tcp_mem's last value; at 100 % sockets are dropped"),
        [METRIC_ACCEPT_QUEUE_WORST] = TICK("accept_queue.worst", UNIT_PERCENT, "sock_diag",
                "the fullest accept queue; past 100 % connections are dropped"),
        [METRIC_SYN_QUEUE_WORST] = SAMPLE("syn_queue.worst", UNIT_PERCENT, "sock_diag",
                "the fullest SYN queue; at 100 % SYN cookies begin, or drops"),
        [METRIC_LISTEN_DROPS] = TICK("listen.drops", UNIT_PER_SECOND, "sock_diag",
                "connections that listeners dropped, because a queue was full or for another reason"),
        [METRIC_CLOSE_WAIT_GROWTH] = SAMPLE("close_wait.growth", UNIT_PER_MINUTE, "sock_diag",
                "growth of close_wait over the last minute, in the unit where it grows most"),
        [METRIC_OPENS_SYN_RETRANSMITS] = TICK("opens.syn_retransmits", UNIT_PERCENT, "netstat, snmp",
                "TCPSynRetrans divided by ActiveOpens; invalid while nothing is opened"),
        [METRIC_OPENS_RESETS] = TICK("opens.resets", UNIT_PERCENT, "snmp",
                "OutRsts divided by ActiveOpens; invalid while nothing is opened"),
        [METRIC_CONNTRACK_TABLE] = SAMPLE("conntrack.table", UNIT_PERCENT, "nf_conntrack_count",
                "entries of nf_conntrack_max; at 100 % packets are dropped"),
        [METRIC_CONNTRACK_INSERT_FAILED] = SAMPLE("conntrack.insert_failed", UNIT_PER_SECOND, "stat/nf_conntrack",
                "connections that found no SNAT port or clashed with another"),
        [METRIC_SELF_OBSERVE_CPU] = TICK("self.observe_cpu", UNIT_PERCENT, "CLOCK_THREAD_CPUTIME_ID",
                "of one core: the time that twtuned took to observe since the tick before"),
        [METRIC_SELF_RSS] = TICK("self.rss", UNIT_BYTES, "/proc/self/statm", "resident memory of twtuned"),
};
/* clang-format on */

unsigned metric_find(const char *name)
{
        for (unsigned i = 0; i < METRIC_COUNT; i++)
                if (strcmp(metric_table[i].name, name) == 0)
                        return i;
        return METRIC_COUNT;
}
