/* SPDX-License-Identifier: MIT */
/* The observer on a quiet host, where a tick reads little: whatever comes is seen in its time all the same. */

#define _GNU_SOURCE /* stpcpy() */

#include "daemon/observe/observer.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "config_text.h"
#include "daemon/metrics_file.h"
#include "daemon/now.h"
#include "files.h"
#include "netlink_peer.h"
#include "run.h"

#define MINUTE 60u
#define SLOWLY 10u
#define IPV4 "sys/net/ipv4/"
#define CONNTRACK "sys/net/netfilter/nf_conntrack_count"
#define SNMP(opens, drops) "Tcp: ActiveOpens OutRsts\nTcp: " opens " 0\nUdp: RcvbufErrors\nUdp: " drops "\n"
#define SOCKSTAT(inuse, orphan, tw, alloc, mem) \
        "sockets: used 900\nTCP: inuse " inuse " orphan " orphan " tw " tw " alloc " alloc " mem " mem \
        "\nUDP: inuse " \
        "2\n"

/* All that is read, and no rule asks for the sockets at every tick. */
static const char policy[] = "[daemon]\ncpu_budget = 100%\n"
                             "[rule ports]\nwhen = ports.cliff >= 80%\nset = net.ipv4.tcp_tw_reuse = 1\n"
                             "[rule all]\nwhen = orphans.table >= 80%\nwhen = memory.tcp >= 80%\n"
                             "when = conntrack.table >= 80%\nwhen = listen.drops > 0/s\nwhen = listen.bursts >= 4\n"
                             "when = udp.ports >= 80%\nwhen = ports.bound >= 50%\nadvise = look\n"
                             "[rule states]\nwhen = tcp.established >= 1000\nadvise = look\n"
                             "[rule more]\nwhen = time_wait.table >= 90%\nwhen = ports.reserved >= 90%\n"
                             "when = tcp.timestamps < 1\nwhen = conntrack.insert_failed >= 1/s\nwhen = "
                             "udp.receive_buffer >= 50%\nadvise = look\n";

static const struct {
        const char *path, *text;
} files[] = {
        {"net/sockstat", SOCKSTAT("4", "0", "3", "4", "1")},
        {"net/sockstat6", "TCP6: inuse 0\nUDP6: inuse 0\n"},
        {"net/netstat", "TcpExt: TWRecycled ListenDrops TCPSynRetrans\nTcpExt: 0 0 0\n"},
        {"net/snmp", SNMP("100", "0")},
        {"net/snmp6", "Udp6RcvbufErrors                \t0\n"},
        {CONNTRACK, "50\n"},
        {"sys/net/netfilter/nf_conntrack_max", "100\n"},
        {IPV4 "ip_local_port_range", "32768\t60999\n"},
        {IPV4 "ip_local_reserved_ports", "\n"},
        {IPV4 "tcp_tw_reuse", "2\n"},
        {IPV4 "tcp_tw_reuse_delay", "1000\n"},
        {IPV4 "tcp_timestamps", "1\n"},
        {IPV4 "tcp_max_tw_buckets", "100\n"},
        {IPV4 "tcp_max_orphans", "100\n"},
        {IPV4 "tcp_mem", "100 200 200\n"},
};

static struct observer *observer;
static struct config *config;
static struct snapshot seen;
static time_t skipped;
static uint64_t spent = NSEC_PER_SEC;
static unsigned dumps;

/* Takes the place of the C library's, so that a minute can pass. */
int clock_gettime(clockid_t clock, struct timespec *ret)
{
        spent += 1000;
        *ret = (struct timespec){.tv_sec = (time_t)(spent / NSEC_PER_SEC), .tv_nsec = (long)(spent % NSEC_PER_SEC)};
        if (clock != CLOCK_THREAD_CPUTIME_ID)
                ret->tv_sec += skipped;
        return 0;
}

static void ticks(unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                struct unread unread = {0};
                bool dump;

                skipped++;
                observer_read(observer, &seen, &dump, &unread);
                dumps += dump;
                if (dump)
                        observer_read_sockets(observer, &(struct watch_list){0}, &seen, &unread);
                ck_assert_int_eq(unread.error, 0);
        }
}

/* Else all that is read slowly would be due at the same time. */
static void shift_phases(void)
{
        tree_put(IPV4 "ip_local_port_range", "32768\t60997\n");
        ticks(7); /* it is read, and asks for a dump, before which all sysctls are read */
        ck_assert_int_eq(seen.sysctl[SYSCTL_IP_LOCAL_PORT_RANGE].value.v[1], 60997);
        ticks(5);
}

#define BOUND_INACTIVE 13 /* net/ipv4/inet_diag.c: TCP_BOUND_INACTIVE */
#define SLOW_PAUSE 20u    /* seconds for which cpu_budget = 0.1 % forbids another dump */

static void be_slow(void)
{
        spent += SLOW_PAUSE * NSEC_PER_MSEC * 8 / 10; /* of which dumps have four fifths */
}

/* full: the part of its receive buffer, percent. */
static void put_buffer(struct peer_socket *s, uint32_t full, uint32_t drops)
{
        const uint32_t meminfo[SK_MEMINFO_VARS] = {
                [SK_MEMINFO_RMEM_ALLOC] = full, [SK_MEMINFO_RCVBUF] = 100, [SK_MEMINFO_DROPS] = drops};

        s->size = 0;
        peer_attribute(s, INET_DIAG_SKMEMINFO, sizeof(struct nlattr) + sizeof(meminfo), meminfo, sizeof(meminfo));
}

static void put_drops(uint32_t drops)
{
        put_buffer(&peer.socket[0], 0, drops);
}

static void begin(void)
{
        peer = (struct peer){0};
        peer_add(TCP_LISTEN, 80, 0);
        put_drops(0);
        for (unsigned i = 0; i < 3; i++)
                peer_add(TCP_ESTABLISHED, 80, (uint16_t)(50000 + i));
        tree_new();
        for (unsigned i = 0; i < ELEMENTSOF(files); i++)
                tree_put(files[i].path, files[i].text);
        ck_assert_int_eq(observer_new(root, &observer), 0);
        config = config_of(policy);
        observer_set_config(observer, config, &config->counters);
        ticks(35);
        shift_phases();
}

static void end(void)
{
        observer_free(observer);
        config_free(config);
        tree_remove();
}

#define COUNTER(id) (METRIC_COUNT + (id))

static const struct {
        const char *path, *text;
        unsigned within; /* seconds */
        unsigned metric;
        double value;
} rows[] = {
        {"net/sockstat", SOCKSTAT("4", "0", "50", "4", "1"), 1, METRIC_TIME_WAIT_TABLE, 50},
        {"net/sockstat", SOCKSTAT("4", "50", "3", "4", "1"), 1, METRIC_ORPHANS_TABLE, 50},
        {"net/sockstat", SOCKSTAT("4", "0", "3", "4", "100"), 1, METRIC_MEMORY_TCP, 50},
        {"net/sockstat6", "TCP6: inuse 1\nUDP6: inuse 0\n", SLOWLY, METRIC_TCP_ESTABLISHED, 5}, /* at most */
        {CONNTRACK, "75\n", SLOWLY, METRIC_CONNTRACK_TABLE, 75},
        {IPV4 "tcp_timestamps", "0\n", SLOWLY, METRIC_TCP_TIMESTAMPS, 0},
        {IPV4 "tcp_max_tw_buckets", "6\n", SLOWLY, METRIC_TIME_WAIT_TABLE, 50},
        {IPV4 "ip_local_reserved_ports", "32768-60999\n", SLOWLY, METRIC_PORTS_RESERVED, 100},
};

/* Whenever it comes. */
START_TEST(what_comes_is_seen)
{
        unsigned row = (unsigned)_i / SLOWLY, phase = (unsigned)_i % SLOWLY;
        const struct reading *r = &seen.reading[rows[row].metric];
        uint64_t version;
        double value;

        ticks(SLOWLY + phase);
        version = seen.version;
        tree_put(rows[row].path, rows[row].text);
        ticks(rows[row].within);
        ck_assert_uint_ne(seen.version, version);
        ck_assert_int_ne(r->state, READING_INVALID);
        value = r->state == READING_BOUNDED ? r->upper : r->value;
        ck_assert_msg(value == rows[row].value, "%s: %g", rows[row].path, value);
}
END_TEST

/* However long it is, what has not changed asks for no dump. */
START_TEST(many_reserved_ports_ask_for_no_dump)
{
        char text[4096] = "1", *end = text + 1;

        for (unsigned port = 3; port < 1000; port += 2)
                end += sprintf(end, ",%u", port);
        strcpy(end, "\n");
        tree_put(IPV4 "ip_local_reserved_ports", text);
        dumps = 0;
        ticks(60);
        ck_assert_uint_ge(dumps, 1); /* they had changed */
        dumps = 0;
        ticks(60);
        ck_assert_uint_eq(dumps, 0);
}
END_TEST

/* Ticks until seven connects are seen. Returns how many. */
static unsigned ticks_until_seen(void)
{
        const struct reading *opens = &seen.reading[COUNTER(COUNTER_ACTIVE_OPENS)];
        unsigned n = 0;

        for (; n < 2 && opens->value == 0; n++)
                ticks(1);
        /* The rate of one second or of two, however many were quiet before. */
        ck_assert((n == 1 && opens->value > 6 && opens->value < 8) || (opens->value > 3 && opens->value < 4));
        return n;
}

static void put_opens(unsigned opens)
{
        char text[256];

        snprintf(text, sizeof(text), "Tcp: ActiveOpens OutRsts\nTcp: %u 0\n", opens);
        tree_put("net/snmp", text);
}

/* The rate is in one reading only. The counters are read at every second tick. */
START_TEST(a_counter_that_moves_has_a_rate)
{
        const struct reading *opens = &seen.reading[COUNTER(COUNTER_ACTIVE_OPENS)];
        unsigned after[3] = {0};

        for (unsigned i = 1; i <= 4; i++) {
                ck_assert(opens->state == READING_VALID && opens->value == 0);
                put_opens(100 + 7 * i);
                after[ticks_until_seen()]++;
                ticks(3 + i % 2);
        }
        ck_assert(after[1] > 0 && after[2] > 0);
}
END_TEST

/* When a number of sockets moves, the counters are read at once. */
START_TEST(a_socket_that_comes_brings_the_counters)
{
        const struct reading *opens = &seen.reading[COUNTER(COUNTER_ACTIVE_OPENS)];

        ticks((unsigned)_i);
        put_opens(107);
        tree_put("net/sockstat", SOCKSTAT("5", "0", "3", "5", "1"));
        ticks(1);
        ck_assert(opens->value > 3 && opens->value < 8);
}
END_TEST

START_TEST(where_ticks_are_close_counters_are_read_at_every_second)
{
        const struct reading *opens = &seen.reading[COUNTER(COUNTER_ACTIVE_OPENS)];

        for (unsigned i = 1, seen_at = 0; i < 8; i++) {
                put_opens(100 + i);
                skipped--; /* the second that a tick takes */
                spent += NSEC_PER_SEC / 4;
                ticks(1);
                if (opens->value > 0)
                        seen_at = i;
                ck_assert_uint_le(i - seen_at, 1);
        }
}
END_TEST

START_TEST(where_ticks_are_far_apart_counters_are_read_at_each)
{
        const struct reading *opens = &seen.reading[COUNTER(COUNTER_ACTIVE_OPENS)];

        for (unsigned i = 1; i < 4; i++) {
                put_opens(100 + 100 * i);
                skipped++; /* the tick comes two seconds after the last */
                ticks(1);
                ck_assert(opens->value > 30);
        }
}
END_TEST

#define NETSTAT(n) "TcpExt: TWRecycled ListenDrops TCPSynRetrans TCPTimeouts\nTcpExt: 0 " n " 0 " n "\n"

/* A SYN that is sent again: the kernel counts it in netstat after the tick has read the signs. */
START_TEST(a_late_count_has_a_rate_for_one_tick)
{
        const struct reading *retrans = &seen.reading[COUNTER(COUNTER_SYN_RETRANS)];

        ticks((unsigned)_i);
        put_opens(107);
        ticks_until_seen();
        ck_assert(retrans->value == 0);
        tree_put("net/netstat", "TcpExt: TWRecycled ListenDrops TCPSynRetrans\nTcpExt: 0 0 7\n");
        ticks(1);
        ck_assert(retrans->value > 6);
        ticks(1);
        ck_assert(retrans->state == READING_VALID && retrans->value == 0);
}
END_TEST

START_TEST(a_counter_that_moves_without_a_sign_is_seen)
{
        struct counters counters = config->counters;
        unsigned timeouts = counters_add(&counters, "netstat.TcpExt.TCPTimeouts");

        tree_put("net/netstat", NETSTAT("0"));
        observer_set_config(observer, config, &counters);
        ticks(SLOWLY + 5);
        tree_put("net/netstat", NETSTAT("7"));
        ticks(1);
        ck_assert(seen.reading[COUNTER(timeouts)].value > 6);
        ticks(1);
        ck_assert(seen.reading[COUNTER(timeouts)].value == 0);
}
END_TEST

START_TEST(a_sysctl_that_may_be_written_is_read_at_every_tick)
{
        struct sysctl_value value;

        ck_assert_int_eq(observer_sysctl_read(observer, SYSCTL_TCP_MAX_TW_BUCKETS, &value), 0);
        for (unsigned i = 1; i < 4; i++) {
                char text[] = "300\n";

                text[0] = (char)('0' + i);
                tree_put(IPV4 "tcp_max_tw_buckets", text);
                ticks(1);
                ck_assert_int_eq(seen.sysctl[SYSCTL_TCP_MAX_TW_BUCKETS].value.v[0], 100 * i);
        }
}
END_TEST

/* With a range that was wider, a storm would have filled the ports before the next dump. */
START_TEST(the_range_is_read_when_something_moves)
{
        tree_put(IPV4 "ip_local_port_range", "40000\t41999\n");
        tree_put("net/sockstat", SOCKSTAT("4", "0", "50", "4", "1"));
        ticks(1);
        ck_assert_int_eq(seen.sysctl[SYSCTL_IP_LOCAL_PORT_RANGE].value.v[0], 40000);
}
END_TEST

/* The kernel walks its whole table for the listeners, which are the same while no number of sockets moves. After that,
 * those that were read long ago are read at once. */
START_TEST(listeners_are_read_when_something_moves)
{
        unsigned before = peer.requests;

        ticks(MINUTE - 1);
        ck_assert_uint_eq(peer.requests, before);
        peer_add(TCP_LISTEN, 81, 0);
        tree_put("net/sockstat", SOCKSTAT("5", "0", "3", "5", "1"));
        ticks(1);
        ck_assert_uint_gt(peer.requests, before);
        ck_assert(seen.reading[METRIC_TCP_LISTEN].state == READING_VALID &&
                  seen.reading[METRIC_TCP_LISTEN].value == 2);
        ticks(SLOWLY - 1);
        ck_assert_int_eq(seen.reading[METRIC_TCP_LISTEN].state, READING_INVALID);
        ticks(1); /* once more: they may have come after the sign */
        ck_assert_int_eq(seen.reading[METRIC_TCP_LISTEN].state, READING_VALID);
        ticks(1);
        ck_assert_int_eq(seen.reading[METRIC_TCP_LISTEN].state, READING_INVALID);
}
END_TEST

/* Sockets that no count shows, and that may be bound here: 600 of the host, so at once, and then once a minute. */
START_TEST(bound_sockets_are_looked_for)
{
        const struct reading *bound = &seen.reading[METRIC_PORTS_BOUND];
        unsigned before = peer.requests;

        peer_add(BOUND_INACTIVE, 40000, 0);
        tree_put("net/sockstat", SOCKSTAT("4", "0", "3", "604", "1"));
        ticks(1);
        ck_assert_uint_eq(peer.requests, before + 1);
        ck_assert(bound->state == READING_VALID && bound->value > 0);
        ticks(MINUTE - 1);
        ck_assert_uint_eq(peer.requests, before + 1);
        ticks(1);
        ck_assert_uint_eq(peer.requests, before + 2);
}
END_TEST

/* The orphans of this network namespace are in use here, so no other socket is one of them. */
START_TEST(bound_sockets_are_looked_for_beside_orphans)
{
        unsigned before;

        tree_put("net/sockstat", SOCKSTAT("3004", "3000", "3", "3604", "1"));
        ticks(2);
        before = peer.requests;
        tree_put("net/sockstat", SOCKSTAT("3004", "3000", "3", "6904", "1"));
        peer_add(BOUND_INACTIVE, 40000, 0);
        ticks(1);
        ck_assert_uint_gt(peer.requests, before);
        ck_assert_double_gt(seen.reading[METRIC_PORTS_BOUND].value, 0);
}
END_TEST

/* Under a hundredth of the ports: none is looked for, and none counts any more. */
START_TEST(a_few_bound_sockets_are_not_looked_for)
{
        static const char *const few[] = {
                SOCKSTAT("4", "0", "3", "285", "1"),                                              /* of the host */
                "sockets: used 281\nTCP: inuse 4 orphan 0 tw 3 alloc 9000 mem 1\nUDP: inuse 2\n", /* here */
        };
        const struct reading *bound = &seen.reading[METRIC_PORTS_BOUND];
        unsigned before;

        peer_add(BOUND_INACTIVE, 40000, 0);
        tree_put("net/sockstat", SOCKSTAT("4", "0", "3", "286", "1"));
        ticks(SLOWLY);
        ck_assert(bound->state == READING_VALID && bound->value > 0);
        before = peer.requests;
        tree_put("net/sockstat", few[_i]);
        ticks(3 * MINUTE);
        ck_assert_uint_eq(peer.requests, before);
        tree_put("net/snmp", SNMP("101", "0"));
        ticks(2);
        ck_assert(bound->state == READING_VALID && bound->value == 0);
}
END_TEST

START_TEST(a_sample_of_the_states_expires)
{
        const struct reading *established = &seen.reading[METRIC_TCP_ESTABLISHED];
        struct unread unread = {0};

        ticks(SLOWLY);
        ck_assert_int_eq(established->state, READING_BOUNDED);
        ck_assert(observer_read_states(observer, &seen, &unread));
        ticks(SLOWLY - 1);
        ck_assert(established->state == READING_VALID && established->value == 3);
        ticks(1);
        ck_assert_int_eq(established->state, READING_BOUNDED);
}
END_TEST

/* Bounds decided meanwhile, so that no newer one was taken. */
START_TEST(an_early_tick_shows_no_sample_of_long_ago)
{
        const struct reading *established = &seen.reading[METRIC_TCP_ESTABLISHED];
        struct unread unread = {0};

        ticks(SLOWLY);
        ck_assert(observer_read_states(observer, &seen, &unread));
        observer_set_early(observer);
        ticks(1);
        ck_assert(established->state == READING_VALID && established->value == 3);
        ticks(2 * SLOWLY);
        tree_put("net/sockstat", SOCKSTAT("1500", "0", "3", "1500", "1"));
        observer_set_early(observer);
        ticks(1);
        ck_assert(established->state == READING_BOUNDED && established->upper == 1500);
}
END_TEST

START_TEST(what_a_person_has_looked_at_is_bounded_in_the_next_tick)
{
        const struct reading *cliff = &seen.reading[METRIC_PORTS_CLIFF];

        ck_assert_int_eq(cliff->state, READING_BOUNDED);
        observer_look(observer, 0, &seen);
        ck_assert_int_eq(cliff->state, READING_VALID);
        ticks(1);
        ck_assert_int_eq(cliff->state, READING_BOUNDED);
}
END_TEST

START_TEST(a_dump_is_followed_by_bounds)
{
        struct unread unread = {0};

        observer_read_sockets(observer, &(struct watch_list){0}, &seen, &unread);
        ck_assert_int_eq(seen.reading[METRIC_PORTS_CLIFF].state, READING_VALID);
        ticks(1);
        ck_assert_int_eq(seen.reading[METRIC_PORTS_CLIFF].state, READING_BOUNDED);
}
END_TEST

/* While cpu_budget forbids a sample, the last one stands. */
START_TEST(a_sample_stands_until_the_budget_allows_another)
{
        const struct reading *established = &seen.reading[METRIC_TCP_ESTABLISHED];

        struct unread unread = {0};
        unsigned seconds;

        config->cpu_budget = 0.1;
        peer.spoil = be_slow;
        peer.spoil_first = peer.requests + 1;
        peer.spoil_last = UINT32_MAX;
        observer_set_config(observer, config, &config->counters);
        ticks(2);
        while (established->state == READING_VALID)
                ticks(1);
        ck_assert_int_eq(established->state, READING_BOUNDED);
        peer.spoil = NULL;
        ck_assert(observer_read_states(observer, &seen, &unread));
        peer.spoil = be_slow;
        tree_put("net/sockstat", SOCKSTAT("4", "0", "3", "604", "1")); /* they may be bound, and are looked for */
        ticks(2);
        ck_assert_int_eq(established->state, READING_VALID);
        observer_read_sockets(observer, &(struct watch_list){0}, &seen, &unread); /* those of the last dump */
        ck_assert_int_eq(seen.reading[METRIC_PORTS_CLIFF].state, READING_VALID);
        ticks(1);
        ck_assert_int_eq(seen.reading[METRIC_PORTS_CLIFF].state, READING_BOUNDED);
        for (seconds = 2; established->state == READING_VALID; seconds++)
                ticks(1);
        ck_assert_uint_ge(seconds, SLOW_PAUSE);
        ck_assert_uint_le(seconds, SLOW_PAUSE + 1);
}
END_TEST

static void ticks_until_drops(void)
{
        ticks(1);
        if (seen.reading[METRIC_LISTEN_DROPS].value == 0)
                ticks(1);
        ck_assert(seen.reading[METRIC_LISTEN_DROPS].value > 0);
}

/* A burst of drops counts for ten minutes, and no second longer. */
START_TEST(the_last_burst_is_over_in_its_time)
{
        const struct reading *bursts = &seen.reading[METRIC_LISTEN_BURSTS];

        ticks((unsigned)_i);
        put_drops(5);
        tree_put("net/snmp", SNMP("107", "0"));
        tree_put("net/netstat", NETSTAT("5"));
        ticks_until_seen();
        ck_assert(bursts->value == 1);
        ticks(599);
        ck_assert(bursts->value == 1);
        ticks(2);
        ck_assert(bursts->state == READING_VALID && bursts->value == 0);
}
END_TEST

/* Five more drops, of which so many were because of a full accept queue. */
static void drop_five(unsigned overflows)
{
        static unsigned drops, overflowed;
        char text[256];

        drops += 5;
        overflowed += overflows;
        put_drops(drops);
        snprintf(text, sizeof(text),
                 "TcpExt: TWRecycled ListenOverflows ListenDrops TCPSynRetrans\nTcpExt: 0 %u %u 0\n", overflowed,
                 drops);
        tree_put("net/netstat", text);
        put_opens(100 + drops);
}

/* No rule names ListenOverflows, which tells them apart. */
START_TEST(drops_of_the_syn_queue_are_no_burst)
{
        const struct reading *bursts = &seen.reading[METRIC_LISTEN_BURSTS];
        const struct reading *overflowing = &seen.reading[METRIC_LISTEN_OVERFLOWING];

        tree_put("net/snmp", SNMP("100", "1"));
        tree_put("net/netstat", "TcpExt: TWRecycled ListenOverflows ListenDrops TCPSynRetrans\nTcpExt: 0 0 0 0\n");
        ticks(2);
        drop_five(0);
        ticks_until_drops();
        ck_assert(bursts->value == 0 && overflowing->value == 0);
        drop_five(5);
        ticks_until_drops();
        ck_assert(bursts->value == 1 && overflowing->value == 1);
}
END_TEST

/* The tick after it shows it, as one burst. */
START_TEST(a_queue_that_overflows_before_an_early_tick_is_seen)
{
        struct unread unread = {0};

        tree_put("net/snmp", SNMP("100", "1"));
        ticks(2);
        drop_five(5);
        observer_set_early(observer);
        ticks(1);
        observer_read_sockets(observer, &(struct watch_list){0}, &seen, &unread);
        ticks(3 * (unsigned)_i + 1);
        ck_assert_double_eq(seen.reading[METRIC_LISTEN_OVERFLOWING].value, _i == 0);
        ck_assert_double_eq(seen.reading[METRIC_LISTEN_BURSTS].value, 1);
}
END_TEST

#define PAWS(n) "TcpExt: TWRecycled ListenDrops TCPSynRetrans PAWSTimewait\nTcpExt: 0 0 0 " n "\n"

/* After a minute a third of them count, and later none. */
START_TEST(paws_fades_on_an_idle_host)
{
        const struct reading *paws = &seen.reading[METRIC_PAWS_TIME_WAIT];

        ticks(1);
        ck_assert_int_eq(paws->state, READING_UNAVAILABLE); /* before Linux 6.14 */
        tree_put("net/netstat", PAWS("5"));
        tree_put("net/snmp", SNMP("101", "0"));
        ticks(2);
        ck_assert(paws->state == READING_VALID && paws->value == 0);
        tree_put("net/netstat", PAWS("15"));
        tree_put("net/snmp", SNMP("102", "0"));
        ticks(1);
        ck_assert_double_eq_tol(paws->value, 10, 0.01);
        ticks(MINUTE);
        ck_assert(paws->value > 3.6 && paws->value < 3.8);
        ticks(5 * MINUTE);
        ck_assert(paws->state == READING_VALID && paws->value == 0);
}
END_TEST

/* Until it is 0, each read is a new value for the rules. */
START_TEST(what_time_wait_needs_fades_to_nothing)
{
        const struct reading *needed = &seen.reading[METRIC_TIME_WAIT_NEEDED];
        unsigned changed = 0;

        tree_put("net/netstat", "TcpExt: TWRecycled ListenDrops TW TCPTimeWaitOverflow\nTcpExt: 0 0 0 0\n");
        tree_put("net/snmp", SNMP("101", "0"));
        ticks(3);
        tree_put("net/sockstat", SOCKSTAT("4", "0", "1003", "4", "1"));
        ticks(1);
        ck_assert(needed->state == READING_VALID && needed->value > 1000);
        for (unsigned i = 0; i < MINUTE; i++) {
                double before = needed->value;

                ticks(1);
                changed += needed->value != before;
        }
        ck_assert(needed->state == READING_VALID && needed->value == 0);
        ck_assert_uint_le(changed, 20);
}
END_TEST

/* One in 200 connections, whoever opens them, is an ACK that was overtaken. */
START_TEST(paws_are_more_than_the_noise_of_many_connections)
{
        static const struct {
                const char *opens;
                double paws;
        } of[] = {{"601 100", 5}, {"101 600", 5}, {"1101 100", 0}, {"601 600", 0}, {"1201 1200", 0}};
        const struct reading *paws = &seen.reading[METRIC_PAWS_TIME_WAIT];
        char text[128];

        ticks(1);
        tree_put("net/netstat", PAWS("0"));
        tree_put("net/snmp", "Tcp: ActiveOpens PassiveOpens OutRsts\nTcp: 101 100 0\n");
        ticks(2);
        ck_assert(paws->state == READING_VALID && paws->value == 0);
        tree_put("net/netstat", PAWS("10"));
        snprintf(text, sizeof(text), "Tcp: ActiveOpens PassiveOpens OutRsts\nTcp: %s 0\n", of[_i].opens);
        tree_put("net/snmp", text);
        ticks(1);
        ck_assert_double_eq_tol(paws->value, of[_i].paws, 0.01);
}
END_TEST

/* Sockets of IPv6 are counted at once if something else moves, or if there are many sockets. */
START_TEST(sockets_of_ipv6_are_read)
{
        static const struct {
                const char *path, *text;
                bool read;
        } moves[] = {
                {"net/sockstat", SOCKSTAT("4", "0", "3", "5", "2"), false},
                {"net/snmp", SNMP("101", "0"), true},
                {"net/sockstat", SOCKSTAT("5", "0", "3", "5", "1"), true},
                {"net/sockstat", "sockets: used 901\nTCP: inuse 4 orphan 0 tw 3 alloc 4 mem 1\nUDP: inuse 2\n", true},
                {"net/sockstat", "sockets: used 3000\nTCP: inuse 4 orphan 0 tw 3 alloc 4 mem 1\nUDP: inuse 2\n", true},
        };
        const struct reading *established = &seen.reading[METRIC_TCP_ESTABLISHED];
        double before;

        if (_i == 4) {
                tree_put(moves[4].path, moves[4].text);
                ticks(1);
        }
        while (established->state != READING_BOUNDED)
                ticks(1);
        ticks(2);
        before = established->upper;
        tree_put("net/sockstat6", "TCP6: inuse 100\nUDP6: inuse 0\n");
        tree_put(moves[_i].path, moves[_i].text);
        ticks(1);
        ck_assert_int_eq(established->upper >= before + 100, moves[_i].read);
}
END_TEST

/* From half as many sockets as ports on, their ports are read every 10 s. */
START_TEST(udp_ports_are_read_again)
{
        tree_put("net/sockstat6", "TCP6: inuse 0\nUDP6: inuse 20000\n");
        ticks(3 * SLOWLY + (unsigned)_i);
        ck_assert(seen.reading[METRIC_UDP_PORTS].value == 0);
        peer_add(TCP_CLOSE, 40000, 0);
        ticks(SLOWLY);
        ck_assert(seen.reading[METRIC_UDP_PORTS].value > 0);
}
END_TEST

static unsigned udp_drops;

/* Returns the highest udp.receive_buffer while sockets drop. */
static double ticks_of_drops(unsigned n)
{
        double most = 0;
        char text[128];

        for (unsigned i = 0; i < n; i++) {
                snprintf(text, sizeof(text), SNMP("100", "%u"), ++udp_drops);
                tree_put("net/snmp", text);
                ticks(1);
                most = fmax(most, seen.reading[METRIC_UDP_RECEIVE_BUFFER].value);
        }
        return most;
}

/* Drops of long ago are not new, however many sockets had some. */
START_TEST(the_buffer_is_that_of_new_drops)
{
        struct peer_socket *udp[70];

        for (unsigned i = 0; i < ELEMENTSOF(udp); i++) {
                udp[i] = peer_add(TCP_CLOSE, (uint16_t)(5000 + i), 0);
                put_buffer(udp[i], 90, 1000 + i);
        }
        ck_assert_double_eq(ticks_of_drops(2 * SLOWLY), 0);
        ck_assert_str_eq(seen.endpoint[METRIC_UDP_RECEIVE_BUFFER], "");
        put_buffer(udp[3], 70, 1013);
        ck_assert_double_eq(ticks_of_drops(SLOWLY), 70);
}
END_TEST

/* No sign moves with them. They are known to be new from the second dump on. */
START_TEST(drops_of_ipv6_are_seen)
{
        struct peer_socket *udp = peer_add(TCP_CLOSE, 5000, 0);
        const struct reading *buffer = &seen.reading[METRIC_UDP_RECEIVE_BUFFER];
        char text[128];

        ticks(SLOWLY + (unsigned)_i);
        for (uint32_t drops = 1; drops <= SLOWLY + 1; drops++) {
                put_buffer(udp, 70, drops);
                snprintf(text, sizeof(text), "Udp6InErrors\t7\nUdp6RcvbufErrors                \t%u\n", drops);
                tree_put("net/snmp6", text);
                ticks(1);
        }
        ck_assert_double_eq(buffer->value, 70);
        ticks(1);
        ck_assert_double_eq(buffer->value, 0);
        ticks(SLOWLY);
        ck_assert_double_eq(buffer->value, 0);
}
END_TEST

/* The dumps of n ticks fail while sockets drop. */
static void fail_while_dropping(unsigned n)
{
        bool invalid = false;

        peer.spoil = peer_nothing;
        peer.spoil_first = peer.requests + 1;
        peer.spoil_last = UINT32_MAX;
        for (unsigned i = 0; i < n; i++) {
                struct unread unread = {0};
                char text[128];
                bool dump;

                snprintf(text, sizeof(text), SNMP("100", "%u"), ++udp_drops);
                tree_put("net/snmp", text);
                skipped++;
                observer_read(observer, &seen, &dump, &unread);
                ck_assert(seen.reading[METRIC_UDP_RECEIVE_BUFFER].value == 0);
                invalid |= seen.reading[METRIC_UDP_RECEIVE_BUFFER].state == READING_INVALID;
        }
        ck_assert(invalid);
        peer.spoil = NULL;
}

/* After dumps that failed, be it the first one or a minute of them, the drops are not known to be new. */
START_TEST(the_buffer_is_unknown_until_two_dumps_succeed)
{
        struct peer_socket *old = peer_add(TCP_CLOSE, 5000, 0), *now = peer_add(TCP_CLOSE, 5001, 0);

        put_buffer(old, 90, _i == 0 ? 1000 : 0);
        put_buffer(now, 70, 1);
        if (_i == 1) {
                ticks_of_drops(SLOWLY);
                put_buffer(old, 90, 1000);
        }
        fail_while_dropping(_i == 0 ? 2 : MINUTE);
        for (unsigned i = 0; i < SLOWLY; i++) {
                put_buffer(now, 70, 2 + i);
                ck_assert_double_le(ticks_of_drops(1), 70);
        }
        ck_assert_double_eq(seen.reading[METRIC_UDP_RECEIVE_BUFFER].value, 70);
}
END_TEST

/* The rate after an early tick is that of both. */
START_TEST(an_early_tick_reads)
{
        observer_set_early(observer);
        ticks(1);
        tree_put("net/snmp", SNMP("110", "0"));
        ticks(1);
        ck_assert(seen.reading[COUNTER(COUNTER_ACTIVE_OPENS)].value > 4);
        ck_assert(seen.reading[COUNTER(COUNTER_ACTIVE_OPENS)].value < 6);
        observer_set_early(observer);
        tree_put("net/sockstat", SOCKSTAT("4", "0", "50", "4", "1"));
        ticks(1);
        ck_assert(seen.reading[METRIC_TIME_WAIT_TABLE].value == 50);
}
END_TEST

/* A tick half a second after the last one, with a dump of the ports, of a host on which a listener drops 100
 * connections a second. */
static double half_a_second_of_drops(bool early)
{
        static unsigned drops;
        struct unread unread = {0};
        char text[128];

        drops += 50;
        put_drops(drops);
        snprintf(text, sizeof(text), NETSTAT("%u"), drops, drops);
        tree_put("net/netstat", text);
        put_opens(100 + drops);
        if (early)
                observer_set_early(observer);
        skipped--; /* the second that a tick takes */
        spent += NSEC_PER_SEC / 2;
        ticks(1);
        observer_read_sockets(observer, &(struct watch_list){0}, &seen, &unread);
        ck_assert_int_eq(seen.reading[METRIC_LISTEN_DROPS].state, READING_VALID);
        return seen.reading[METRIC_LISTEN_DROPS].value;
}

START_TEST(drops_around_an_early_tick_are_those_of_the_whole_tick)
{
        half_a_second_of_drops(false);
        ck_assert_double_eq_tol(half_a_second_of_drops(false), 100, 1);
        ck_assert_double_eq_tol(half_a_second_of_drops(true), 100, 1);
        ck_assert_double_eq_tol(half_a_second_of_drops(false), 100, 1);
        ck_assert_double_eq_tol(half_a_second_of_drops(false), 100, 1);
        ticks(2);
        ck_assert_double_eq(seen.reading[METRIC_LISTEN_DROPS].value, 0);
        half_a_second_of_drops(true); /* and then none */
        ticks(1);
        ck_assert_double_eq_tol(seen.reading[METRIC_LISTEN_DROPS].value, 100.0 / 3, 1);
}
END_TEST

/* Nor does a look of a person in between. */
START_TEST(a_look_takes_no_drops_from_the_next_tick)
{
        half_a_second_of_drops(false);
        ck_assert_double_eq_tol(half_a_second_of_drops(false), 100, 1);
        ticks(1);
        put_drops(1000);
        observer_look(observer, 0, &seen);
        ck_assert_double_eq(seen.reading[METRIC_LISTEN_DROPS].value, 0);
        tree_put("net/netstat", NETSTAT("1000"));
        put_opens(1000);
        ticks(1);
        ck_assert_double_eq_tol(seen.reading[METRIC_LISTEN_DROPS].value, 1000, 101);
}
END_TEST

/* What is counted between two ticks moves at the next one all the same. */
START_TEST(a_count_takes_nothing_from_the_next_tick)
{
        uint64_t sockets, opened;

        tree_put("net/sockstat", SOCKSTAT("4", "0", "50", "4", "1"));
        tree_put("net/snmp", SNMP("110", "0"));
        ck_assert_int_eq(observer_count(observer, &sockets), 0);
        ck_assert_int_eq(observer_count_opened(observer, &opened), 0);
        ck_assert_uint_eq(sockets, 54);
        ck_assert_uint_eq(opened, 110);
        ck_assert_uint_eq(observer_counted(observer), 7);
        ck_assert_uint_eq(observer_opened(observer), 100);
        ticks(1);
        ck_assert(seen.reading[METRIC_TIME_WAIT_TABLE].value == 50);
        ck_assert(seen.reading[COUNTER(COUNTER_ACTIVE_OPENS)].value > 9);
        ck_assert_uint_eq(observer_counted(observer), 54);
        ck_assert_uint_eq(observer_opened(observer), 110);
        tree_put("net/sockstat", "x\n");
        tree_put("net/snmp", "Tcp: OutRsts\nTcp: 0\n");
        ck_assert_int_lt(observer_count(observer, &sockets), 0);
        ck_assert_int_lt(observer_count_opened(observer, &opened), 0);
}
END_TEST

START_TEST(a_source_that_fails_is_named_at_every_tick)
{
        struct unread unread;
        bool dump;

        tree_put(CONNTRACK, "x\n");
        for (unsigned i = 0; i < 3 * SLOWLY; i++) {
                skipped++;
                unread = (struct unread){0};
                observer_read(observer, &seen, &dump, &unread);
                ck_assert_msg(i < SLOWLY || unread.error < 0, "%u", i);
        }
}
END_TEST

START_TEST(another_snapshot_is_filled)
{
        static struct snapshot other;
        struct unread unread = {0};
        bool dump;

        observer_read(observer, &other, &dump, &unread);
        ck_assert(other.reading[METRIC_TIME_WAIT_TABLE].value == 3);
}
END_TEST

START_TEST(a_module_that_comes_is_found_within_a_minute)
{
        static const char path[] = "net/stat/nf_conntrack";

        ck_assert_int_eq(seen.reading[METRIC_CONNTRACK_INSERT_FAILED].state, READING_UNAVAILABLE);
        tree_put(path, "entries insert_failed\n00000083 0000000a\n");
        ticks(MINUTE);
        ck_assert_int_ne(seen.reading[METRIC_CONNTRACK_INSERT_FAILED].state, READING_UNAVAILABLE);
        ticks(SLOWLY);
        ck_assert_int_eq(seen.reading[METRIC_CONNTRACK_INSERT_FAILED].state, READING_VALID);
}
END_TEST

/* ---- what the metrics file counts ---- */

enum how {
        ON_TIME,
        EARLY,
        FAILS, /* the dump of the listeners */
};

struct drop_tick {
        unsigned ms;    /* after the tick before */
        uint32_t drops; /* so far */
        enum how how;
};

static const struct {
        const char *name;
        struct drop_tick tick[4]; /* ms == 0 ends it */
} drop_rows[] = {
        {"at each tick", {{1000, 100, ON_TIME}, {1000, 300, ON_TIME}}},
        {"an early tick", {{1000, 100, ON_TIME}, {900, 100, EARLY}, {100, 1100, ON_TIME}}},
        {"after a quiet tick", {{1000, 0, ON_TIME}, {1000, 100, ON_TIME}}},
        {"after two", {{1000, 0, ON_TIME}, {1000, 0, ON_TIME}, {1000, 100, ON_TIME}}},
        {"after dumps that failed", {{1000, 100, FAILS}, {1000, 200, FAILS}, {1000, 300, ON_TIME}}},
        {"at a late tick", {{5000, 100, ON_TIME}, {1000, 150, ON_TIME}}},
};

static void count_drops(struct metrics_file *file, const struct drop_tick *tick)
{
        static struct tuner tuner;
        struct unread unread = {0};
        char text[256];
        bool dump;

        put_drops(tick->drops);
        snprintf(text, sizeof(text), NETSTAT("%u"), tick->drops, tick->drops);
        tree_put("net/netstat", text);
        snprintf(text, sizeof(text), SNMP("%u", "0"), 100 + tick->drops);
        tree_put("net/snmp", text);
        spent += tick->ms * NSEC_PER_MSEC;
        peer.send_error = tick->how == FAILS ? EIO : 0;
        if (tick->how == EARLY)
                observer_set_early(observer);
        observer_read(observer, &seen, &dump, &unread);
        peer.send_error = 0;
        tuner.config = config;
        tuner.config->n_rules = 0; /* count no episodes */
        tuner.snapshot = seen;
        metrics_file_tick(file, &tuner);
}

START_TEST(each_drop_is_counted_once)
{
        static struct metrics_file file = {.path = "/nowhere", .next = UINT64_MAX};
        struct drop_tick tick = {1000, 0, ON_TIME};

        for (unsigned i = 0; i < 4; i++)
                count_drops(&file, &tick);
        for (unsigned i = 0; i < ELEMENTSOF(drop_rows[_i].tick) && drop_rows[_i].tick[i].ms > 0; i++) {
                count_drops(&file, &drop_rows[_i].tick[i]);
                tick.drops = drop_rows[_i].tick[i].drops;
        }
        for (unsigned i = 0; i < 4; i++)
                count_drops(&file, &tick);
        ck_assert(file.counters.counted[METRIC_LISTEN_DROPS]);
        ck_assert_msg(file.counters.metric[METRIC_LISTEN_DROPS] == tick.drops, "%s: %u", drop_rows[_i].name,
                      tick.drops);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, begin, end);
        tcase_add_loop_test(tcase, what_comes_is_seen, 0, SLOWLY * ELEMENTSOF(rows));
        tcase_add_test(tcase, many_reserved_ports_ask_for_no_dump);
        tcase_add_test(tcase, a_counter_that_moves_has_a_rate);
        tcase_add_loop_test(tcase, a_socket_that_comes_brings_the_counters, 0, 2);
        tcase_add_test(tcase, where_ticks_are_close_counters_are_read_at_every_second);
        tcase_add_test(tcase, where_ticks_are_far_apart_counters_are_read_at_each);
        tcase_add_loop_test(tcase, a_late_count_has_a_rate_for_one_tick, 0, 2);
        tcase_add_test(tcase, a_counter_that_moves_without_a_sign_is_seen);
        tcase_add_test(tcase, a_sysctl_that_may_be_written_is_read_at_every_tick);
        tcase_add_test(tcase, the_range_is_read_when_something_moves);
        tcase_add_test(tcase, listeners_are_read_when_something_moves);
        tcase_add_test(tcase, bound_sockets_are_looked_for);
        tcase_add_test(tcase, bound_sockets_are_looked_for_beside_orphans);
        tcase_add_loop_test(tcase, a_few_bound_sockets_are_not_looked_for, 0, 2);
        tcase_add_test(tcase, a_sample_of_the_states_expires);
        tcase_add_test(tcase, an_early_tick_shows_no_sample_of_long_ago);
        tcase_add_test(tcase, what_a_person_has_looked_at_is_bounded_in_the_next_tick);
        tcase_add_test(tcase, a_dump_is_followed_by_bounds);
        tcase_add_test(tcase, a_sample_stands_until_the_budget_allows_another);
        tcase_add_test(tcase, drops_of_the_syn_queue_are_no_burst);
        tcase_add_loop_test(tcase, a_queue_that_overflows_before_an_early_tick_is_seen, 0, 2);
        tcase_add_loop_test(tcase, the_last_burst_is_over_in_its_time, 0, SLOWLY);
        tcase_add_test(tcase, paws_fades_on_an_idle_host);
        tcase_add_test(tcase, what_time_wait_needs_fades_to_nothing);
        tcase_add_loop_test(tcase, paws_are_more_than_the_noise_of_many_connections, 0, 5);
        tcase_add_loop_test(tcase, sockets_of_ipv6_are_read, 0, 5);
        tcase_add_loop_test(tcase, udp_ports_are_read_again, 0, SLOWLY);
        tcase_add_test(tcase, the_buffer_is_that_of_new_drops);
        tcase_add_loop_test(tcase, drops_of_ipv6_are_seen, 0, SLOWLY);
        tcase_add_loop_test(tcase, the_buffer_is_unknown_until_two_dumps_succeed, 0, 2);
        tcase_add_test(tcase, an_early_tick_reads);
        tcase_add_test(tcase, drops_around_an_early_tick_are_those_of_the_whole_tick);
        tcase_add_test(tcase, a_look_takes_no_drops_from_the_next_tick);
        tcase_add_test(tcase, a_count_takes_nothing_from_the_next_tick);
        tcase_add_test(tcase, a_source_that_fails_is_named_at_every_tick);
        tcase_add_test(tcase, another_snapshot_is_filled);
        tcase_add_test(tcase, a_module_that_comes_is_found_within_a_minute);
        tcase_add_loop_test(tcase, each_drop_is_counted_once, 0, ELEMENTSOF(drop_rows));
}

int main(void)
{
        return run_suite("observer_quiet", add);
}
