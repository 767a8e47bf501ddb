/* SPDX-License-Identifier: MIT */
#include "ctl/explain_metric.h"

#include <stdio.h>
#include <string.h>

#include "ctl/description.h"
#include "ctl/terminal.h"

/* How to see a metric without twtuned, by the beginning of the metric's name; the first row that matches applies. */
static const struct {
        const char *prefix, *see;
} glossary[] = {
        {"tcp.time_wait", "ss -Htan state time-wait | wc -l"},
        {"tcp.fin_wait2_orphaned", "ss -tanp state fin-wait-2: those without users:(...)"},
        {"tcp.fin_wait2_held", "ss -tanp state fin-wait-2: those with users:(...)"},
        {"tcp.fin_wait1", "ss -Htan state fin-wait-1 | wc -l"},
        {"tcp.fin_wait2", "ss -Htan state fin-wait-2 | wc -l"},
        {"tcp.syn_sent", "ss -Htan state syn-sent | wc -l"},
        {"tcp.syn_recv", "ss -Htan state syn-recv | wc -l"},
        {"tcp.close_wait", "ss -tanp state close-wait"},
        {"tcp.last_ack", "ss -Htan state last-ack | wc -l"},
        {"tcp.closing", "ss -Htan state closing | wc -l"},
        {"tcp.established", "ss -Htan state established | wc -l"},
        {"tcp.listen", "ss -Htln | wc -l"},
        {"tcp.keepalive_unanswered", "ss -tano: timer:(keepalive,TIME,N) with N over 0"},
        {"tcp.retransmitting", "ss -tano: timer:(on,TIME,N) with N over 0, except SYN-RECV"},
        {"tcp.data_unanswered",
         "ss -tanop state established state close-wait: timer:(on,TIME,N) with N of 5 and more"},
        {"tcp.timestamps", "sysctl net.ipv4.tcp_timestamps"},
        {"udp.ports",
         "ss -Huan: the number of distinct local ports in net.ipv4.ip_local_port_range, divided by the number of "
         "ports in this range that are not reserved"},
        {"udp.receive_buffer", "ss -Huanpm: r of skmem:(r<N>,rb<N>) divided by rb, and nstat -az 'Udp*RcvbufErrors'"},
        {"ports.reserved", "sysctl net.ipv4.ip_local_port_range net.ipv4.ip_local_reserved_ports"},
        {"ports.below_32768", "sysctl net.ipv4.ip_local_port_range net.ipv4.ip_local_reserved_ports"},
        {"ports.bound", "ss -tan state bound-inactive (iproute2 6.8)"},
        {"ports.",
         "ss -tan dst ADDRESS:PORT, which lists the sockets toward one destination (all states, TIME_WAIT too); "
         "count the even and the odd local ports separately, as connect() takes those of one parity first"},
        {"listen.", "ss -tlnm: d<N> of skmem:(...), and nstat -az TcpExtListenDrops"},
        {"accept_queue.", "ss -tln: Recv-Q (waiting for accept()) divided by Send-Q (the backlog)"},
        {"syn_queue.", "ss -Htan state syn-recv sport = :PORT | wc -l"},
        {"close_wait.", "ss -tanp state close-wait, twice, a minute apart"},
        {"time_wait.", "ss -s, and sysctl net.ipv4.tcp_max_tw_buckets"},
        {"orphans.", "grep orphan /proc/net/sockstat, and sysctl net.ipv4.tcp_max_orphans"},
        {"memory.", "grep mem /proc/net/sockstat, and sysctl net.ipv4.tcp_mem"},
        {"conntrack.", "sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max, and conntrack -S"},
        {"paws.", "nstat -az TcpExtPAWSTimewait"},
        {"opens.", "nstat -az TcpActiveOpens TcpExtTCPSynRetrans TcpOutRsts"},
        {"netstat.", "nstat -az AB for netstat.A.B"},
        {"snmp.", "nstat -az AB for snmp.A.B"},
        {"self.", "systemctl status twtuned"},
};

static const char *how_to_see(const char *metric)
{
        for (size_t i = 0; i < ELEMENTSOF(glossary); i++)
                if (strncmp(metric, glossary[i].prefix, strlen(glossary[i].prefix)) == 0)
                        return glossary[i].see;
        return NULL;
}

static void print_reading(const json_t *metric)
{
        const char *unit = text_of(metric, "unit"), *state = text_of(metric, "state");
        const char *whose = text_of(metric, "who"), *culprit = text_of(metric, "systemd_unit");
        bool bounded = strcmp(state, "bounded") == 0;

        if (strcmp(state, "valid") == 0 && !json_is_number(json_object_get(metric, "value")))
                printf("  now: infinite");
        else if (strcmp(state, "valid") == 0)
                printf("  now: %.*f%s", *unit ? 1 : 0, number_of(metric, "value"), unit);
        else if (bounded && json_is_number(json_object_get(metric, "upper")))
                printf("  now: at most %.*f%s, by the counters; measured only when a rule needs it", *unit ? 1 : 0,
                       number_of(metric, "upper"), unit);
        else if (bounded)
                printf("  now: not measured; that is done only when a rule needs it");
        else
                printf("  now: %s", strcmp(state, "unavailable") == 0
                                            ? "missing in this kernel or network namespace"
                                            : "unknown: no rule needs it, or it could not be read or computed");
        printf("%s%s%s%s\n", *whose ? ", " : "", whose, *culprit ? ", " : "", culprit);
}

static bool asks_for(const json_t *rule, const char *metric)
{
        static const char *const lists[] = {"when", "until", "abort"};
        json_t *condition;
        size_t i;

        for (size_t k = 0; k < ELEMENTSOF(lists); k++)
                json_array_foreach(json_object_get(rule, lists[k]), i, condition)
                        if (has_text(condition, "metric", metric))
                                return true;
        return has_text(json_object_get(rule, "expect"), "metric", metric);
}

int explain_metric(const struct options *o, const json_t *d, const json_t *metric)
{
        const char *name = text_of(metric, "name"), *see = how_to_see(name), *separator = "  rules that use it: ";
        json_t *rule;
        size_t i;

        if (o->json)
                return print_json(metric);
        pager_open(o);
        print_item(0, BOLD, name, text_of(metric, "help"));
        print_reading(metric);
        if (see) {
                puts("  to see it:");
                print_wrapped(see, 4);
        }
        json_array_foreach(json_object_get(d, "rules"), i, rule) {
                if (!asks_for(rule, name))
                        continue;
                printf("%s%s", separator, text_of(rule, "name"));
                separator = ", ";
        }
        if (separator[0] == ',')
                putchar('\n');
        return 0;
}
