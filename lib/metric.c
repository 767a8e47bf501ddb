/* SPDX-License-Identifier: MIT */
#include "metric.h"

#include <string.h>

#define STATE(x, text) {"tcp." x, UNIT_COUNT, 0, "sock_diag", text}

const struct metric metric_table[METRIC_COUNT] = {
        [METRIC_TCP_ESTABLISHED] = STATE("established", "open connections"),
        [METRIC_TCP_SYN_SENT] = STATE("syn_sent", "connections that the peer has not answered yet"),
        [METRIC_TCP_SYN_RECV] = STATE("syn_recv", "incoming connections in the handshake"),
        [METRIC_TCP_FIN_WAIT1] = STATE("fin_wait1", "closed here, not yet acknowledged"),
        [METRIC_TCP_FIN_WAIT2] = STATE("fin_wait2", "closed here, the peer has not closed yet"),
        [METRIC_TCP_TIME_WAIT] = STATE("time_wait", "closed here first; each keeps its port for 60 s"),
        [METRIC_TCP_CLOSE_WAIT] = STATE("close_wait", "closed by the peer, not by the program here"),
        [METRIC_TCP_LAST_ACK] = STATE("last_ack", "closed by the peer first, then here"),
        [METRIC_TCP_LISTEN] = STATE("listen", "listening sockets"),
        [METRIC_TCP_CLOSING] = STATE("closing", "closed at both ends at once"),

        [METRIC_PORTS_CLIFF] = {"ports.cliff", UNIT_PERCENT, 1, "sock_diag",
                "ports that connect() cannot take, of one parity; at 100 % every connect() scans"},
        [METRIC_PORTS_EXHAUSTION] = {"ports.exhaustion", UNIT_PERCENT, 1, "sock_diag",
                "the same of all usable ports; at 100 % connect() fails"},
        [METRIC_PORTS_FORECAST] = {"ports.forecast", UNIT_PERCENT, 1, "sock_diag",
                "ports.cliff in 3 s, if TIME_WAIT goes on growing as in the last tick"},
        [METRIC_PORTS_DEMAND] = {"ports.demand", UNIT_PERCENT, 1, "sock_diag",
                "what a kernel without reuse would hold; at 100 % it would be at the cliff"},
        [METRIC_PORTS_REUSE_DEMAND] = {"ports.reuse_demand", UNIT_PERCENT, 1, "sock_diag",
                "what a kernel that reuses after 1 s would hold"},
        [METRIC_PORTS_RELIEF] = {"ports.relief", UNIT_PERCENT, 1, "sock_diag",
                "the share of the demand that is TIME_WAIT; reuse can help all of it"},
        [METRIC_PORTS_SOURCE_USED] = {"ports.source_used", UNIT_PERCENT, 1, "sock_diag",
                "distinct ports of one source address; at 100 % bind() before connect() fails"},
        [METRIC_PORTS_USED] = {"ports.used", UNIT_COUNT, 1, "sock_diag",
                "ports in use toward the destination"},
        [METRIC_PORTS_REUSABLE] = {"ports.reusable", UNIT_COUNT, 1, "sock_diag",
                "those of them that connect() may take all the same"},
        [METRIC_PORTS_CLIFF_ETA] = {"ports.cliff_eta", UNIT_SECONDS, 1, "sock_diag",
                "until the cliff at the rate of the last tick; inf: never"},

        [METRIC_TIME_WAIT_TABLE] = {"time_wait.table", UNIT_PERCENT, 1, "sockstat",
                "TIME_WAIT sockets of tcp_max_tw_buckets; at 100 % TIME_WAIT is skipped"},
        [METRIC_OPENS_SYN_RETRANSMITS] = {"opens.syn_retransmits", UNIT_PERCENT, 1, "netstat, snmp",
                "TCPSynRetrans by ActiveOpens; invalid while nothing is opened"},
        [METRIC_OPENS_RESETS] = {"opens.resets", UNIT_PERCENT, 1, "snmp",
                "OutRsts by ActiveOpens; invalid while nothing is opened"},
};

unsigned metric_find(const char *name)
{
        for (unsigned i = 0; i < METRIC_COUNT; i++)
                if (strcmp(metric_table[i].name, name) == 0)
                        return i;
        return METRIC_COUNT;
}

const char *unit_suffix(enum unit unit)
{
        static const char *const suffix[] = {
                [UNIT_COUNT] = "",
                [UNIT_PERCENT] = "%",
                [UNIT_PER_SECOND] = "/s",
                [UNIT_SECONDS] = "s",
        };

        return suffix[unit];
}
