/* SPDX-License-Identifier: MIT */
/* The observer over a kernel that answers wrongly: each metric is right or invalid, never zero instead. */

#define _GNU_SOURCE /* stpcpy() */

#include "daemon/observe/observer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "daemon/early.h"
#include "daemon/now.h"
#include "files.h"
#include "lib/kernel/cgroup_tally.h"
#include "netlink_peer.h"
#include "run.h"

#define CLEAN_REQUESTS 2u /* of a tick that dumps: the listeners, then the connections */
#define DROPS 42u

static struct observer *observer;
static struct snapshot right, seen;   /* what a clean tick reads; what the last one read */
static struct unread unread;          /* by the last tick */
static time_t skipped;                /* seconds */
static uint64_t spent = NSEC_PER_SEC; /* ns of CPU, and of time with those that are skipped */

/* Takes the place of the C library's, so that a minute can pass, and no time passes but what a test says. */
int clock_gettime(clockid_t clock, struct timespec *ret)
{
        spent += 1000;
        *ret = (struct timespec){.tv_sec = (time_t)(spent / NSEC_PER_SEC), .tv_nsec = (long)(spent % NSEC_PER_SEC)};
        if (clock != CLOCK_THREAD_CPUTIME_ID)
                ret->tv_sec += skipped;
        return 0;
}

/* Takes the place of the C library's: there is no cgroup2, so that every cgroup counts as one of the system. */
int statfs(const char *path, struct statfs *ret)
{
        (void)path, (void)ret;
        return -1;
}

#define SOCKSTAT(inuse, tw, host, udp) \
        "TCP: inuse " inuse " orphan " host " tw " tw " alloc " host " mem " host "\nUDP: inuse " udp "\n"
#define SNMP(segments) "Tcp: ActiveOpens OutRsts InSegs\nTcp: 100 0 " segments "\n"

static const struct {
        const char *path, *text;
} files[] = {
        {"net/sockstat", "TCP: inuse 40 orphan 0 tw 20 alloc 40 mem 1\n"},
        {"net/sockstat6", "TCP6: inuse 0\n"},
        {"net/netstat", "TcpExt: TWRecycled ListenDrops TCPSynRetrans\nTcpExt: 0 0 0\n"},
        {"net/snmp", SNMP("0")},
        {"net/snmp6", "Udp6RcvbufErrors\t0\n"},
        {"sys/net/ipv4/ip_local_port_range", "32768\t60999\n"},
        {"sys/net/ipv4/ip_local_reserved_ports", "\n"},
        {"sys/net/ipv4/tcp_tw_reuse", "2\n"},
        {"sys/net/ipv4/tcp_tw_reuse_delay", "1000\n"},
        {"sys/net/ipv4/tcp_timestamps", "1\n"},
        {"sys/net/ipv4/tcp_max_tw_buckets", "200\n"},
        {"sys/net/ipv4/tcp_max_orphans", "200\n"},
        {"sys/net/ipv4/tcp_mem", "100 200 300\n"},
};

static void put_drops(struct peer_socket *s, uint32_t drops)
{
        uint32_t meminfo[SK_MEMINFO_VARS] = {0};

        meminfo[SK_MEMINFO_DROPS] = drops;
        peer_attribute(s, INET_DIAG_SKMEMINFO, sizeof(struct nlattr) + sizeof(meminfo), meminfo, sizeof(meminfo));
}

/* Sockets in several states, a different number in each. */
static void make_sockets(void)
{
        static const uint8_t states[] = {TCP_ESTABLISHED, TCP_SYN_SENT,  TCP_CLOSE_WAIT,
                                         TCP_LAST_ACK,    TCP_FIN_WAIT1, TCP_SYN_RECV};
        struct peer_socket *listener;
        uint16_t port = 40000;

        for (unsigned i = 0; i < ELEMENTSOF(states); i++)
                for (unsigned n = 0; n < i + 2; n++)
                        peer_add(states[i], states[i] == TCP_SYN_RECV ? 80 : port++, 443)->msg.idiag_retrans = n == 0;
        for (unsigned n = 0; n < 9; n++) {
                struct peer_socket *s = peer_add(TCP_TIME_WAIT, port++, 443);

                s->msg.idiag_timer = 3;
                s->msg.idiag_expires = 59000;
        }
        listener = peer_add(TCP_LISTEN, 80, 0);
        listener->msg.idiag_rqueue = 3;
        listener->msg.idiag_wqueue = 15;
        put_drops(listener, DROPS);
}

static int observe(void)
{
        bool dump;

        unread = (struct unread){0};
        observer_read(observer, &seen, &dump, &unread);
        observer_read_sockets(observer, &(struct watch_list){0}, &seen, &unread);
        return unread.error;
}

static void configure(const struct config *config)
{
        static struct counters counters;

        counters_init(&counters);
        observer_set_config(observer, config, &counters);
}

static void set_up(void)
{
        peer = (struct peer){0};
        make_sockets();
        tree_new();
        for (unsigned i = 0; i < ELEMENTSOF(files); i++)
                tree_put(files[i].path, files[i].text);
        ck_assert_int_eq(observer_new(root, &observer), 0);
        configure(NULL);
        ck_assert_int_eq(observe(), 0);
        ck_assert_int_eq(observe(), 0);
        right = seen;
        peer.requests = 0;
}

static void tear_down(void)
{
        observer_free(observer);
        tree_remove();
}

/* Each reading is right, or bounds that hold, or invalid. */
static void expect_right_or_invalid(const char *name)
{
        for (unsigned i = 0; i < METRIC_COUNT; i++) {
                const struct reading *r = &seen.reading[i], *is = &right.reading[i];

                if (i == METRIC_SELF_OBSERVE_CPU || i == METRIC_SELF_RSS || r->state == READING_INVALID)
                        continue;
                if (r->state == READING_BOUNDED)
                        ck_assert_msg(is->state != READING_VALID ||
                                              (r->value <= is->value && is->value <= r->upper * (1 + 1e-6)),
                                      "%s: %s is bounded by %g and %g, and is %g", name, metric_table[i].name,
                                      r->value, r->upper, is->value);
                else
                        ck_assert_msg(r->state == is->state && r->value == is->value, "%s: %s is %g, should be %g",
                                      name, metric_table[i].name, r->value, is->value);
        }
}

static void expect_right(const char *name)
{
        ck_assert_msg(observe() == 0, "%s: the next tick is no better", name);
        expect_right_or_invalid(name);
        for (unsigned i = 0; i < METRIC_COUNT; i++)
                ck_assert_msg(seen.reading[i].state == right.reading[i].state,
                              "%s: %s is in state %d, should be in %d", name, metric_table[i].name,
                              (int)seen.reading[i].state, (int)right.reading[i].state);
}

START_TEST(a_clean_tick_counts_all_sockets)
{
        static const struct {
                unsigned metric;
                double value;
        } rows[] = {
                {METRIC_TCP_ESTABLISHED, 2}, {METRIC_TCP_SYN_SENT, 3},  {METRIC_TCP_CLOSE_WAIT, 4},
                {METRIC_TCP_LAST_ACK, 5},    {METRIC_TCP_FIN_WAIT1, 6}, {METRIC_TCP_SYN_RECV, 7},
                {METRIC_TCP_TIME_WAIT, 9},   {METRIC_TCP_LISTEN, 1},    {METRIC_ACCEPT_QUEUE_WORST, 300.0 / 16},
                {METRIC_PORTS_USED, 29},     {METRIC_LISTEN_DROPS, 0},  {METRIC_TIME_WAIT_TABLE, 10},
        };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                const struct reading *r = &right.reading[rows[i].metric];

                ck_assert_msg(r->state == READING_VALID && r->value == rows[i].value, "%s is %g, should be %g",
                              metric_table[rows[i].metric].name, r->value, rows[i].value);
        }
        ck_assert_uint_eq(peer.requests, 0);
        expect_right("again");
        ck_assert_uint_eq(peer.requests, CLEAN_REQUESTS);
}
END_TEST

/* The observer asks again after one wrong answer. */
START_TEST(one_wrong_answer_changes_nothing)
{
        for (unsigned request = 1; request <= CLEAN_REQUESTS; request++) {
                peer.spoil = peer_faults[_i].spoil;
                peer.spoil_first = peer.spoil_last = peer.requests + request;
                expect_right(peer_faults[_i].name);
        }
}
END_TEST

/* Every answer is wrong from the first or the second request of the tick on. */
START_TEST(wrong_answers_make_metrics_invalid)
{
        const struct peer_fault *fault = &peer_faults[_i];
        int r;

        for (unsigned request = 1; request <= CLEAN_REQUESTS; request++) {
                peer.spoil = fault->spoil;
                peer.spoil_first = peer.requests + request;
                peer.spoil_last = UINT32_MAX;
                r = observe();
                ck_assert_msg(r == fault->error, "%s: %s", fault->name, strerror(-r));
                expect_right_or_invalid(fault->name);
                ck_assert_int_eq(seen.reading[METRIC_TCP_ESTABLISHED].state == READING_VALID, 0);
                ck_assert_int_eq(seen.reading[METRIC_PORTS_USED].state == READING_VALID, 0);
                peer.spoil = NULL;
                expect_right(fault->name);
        }
}
END_TEST

/* There may be more sockets than it counted last, so its counts bound nothing any more. */
START_TEST(without_sockstat_nothing_is_bounded_by_it)
{
        bool dump;

        tree_put("net/sockstat", "");
        observer_read(observer, &seen, &dump, &unread);
        ck_assert_int_lt(unread.error, 0);
        ck_assert(dump);
        for (unsigned i = METRIC_TCP_ESTABLISHED; i <= METRIC_TCP_RETRANSMITTING; i++)
                ck_assert_msg(i == METRIC_TCP_LISTEN ||
                                      (seen.reading[i].state == READING_BOUNDED && isinf(seen.reading[i].upper)),
                              "%s is in state %d", metric_table[i].name, (int)seen.reading[i].state);
}
END_TEST

/* ---- a source fails alone ---- */

#define COUNTER(id) (METRIC_COUNT + (id))
#define PORTS METRIC_PORTS_FIRST, METRIC_PORTS_RESERVED /* the second after METRIC_PORTS_LAST */
#define SYSCTL "sys/net/ipv4/"
#define CONNTRACK_COUNT "sys/net/netfilter/nf_conntrack_count"
#define CONNTRACK_STAT "net/stat/nf_conntrack"

static const struct lone_fault {
        const char *path, *text, *what;
        unsigned first, last; /* metrics that are lost */
} lone_faults[] = {
        {"net/netstat", "", "/proc/net/netstat", COUNTER(COUNTER_TW_RECYCLED), COUNTER(COUNTER_SYN_RETRANS)},
        {"net/snmp", "", "/proc/net/snmp", COUNTER(COUNTER_ACTIVE_OPENS), COUNTER(COUNTER_UDP_DROPS)},
        {"net/sockstat", "x\n", "/proc/net/sockstat", METRIC_UDP_PORTS, METRIC_MEMORY_TCP},
        {"net/sockstat6", "x\n", "/proc/net/sockstat6", METRIC_UDP_PORTS, METRIC_UDP_PORTS},
        {"net/snmp6", "x\n", "/proc/net/snmp6", METRIC_UDP_RECEIVE_BUFFER, METRIC_UDP_RECEIVE_BUFFER},
        {CONNTRACK_COUNT, "x\n", "/proc/" CONNTRACK_COUNT, METRIC_CONNTRACK_TABLE, METRIC_CONNTRACK_TABLE},
        {SYSCTL "tcp_mem", "x\n", "net.ipv4.tcp_mem", METRIC_MEMORY_TCP, METRIC_MEMORY_TCP},
        {SYSCTL "tcp_tw_reuse", "", "net.ipv4.tcp_tw_reuse", PORTS},
        {SYSCTL "ip_local_port_range", "60999\t32768\n", "net.ipv4.ip_local_port_range", PORTS},
        {SYSCTL "ip_local_reserved_ports", "", "net.ipv4.ip_local_reserved_ports", PORTS},
};

static void expect_lost(const struct lone_fault *fault)
{
        bool snmp = strcmp(fault->path, "net/snmp") == 0, netstat = strcmp(fault->path, "net/netstat") == 0;

        for (unsigned i = 0; i < METRIC_COUNT + COUNTER_OWN; i++) {
                bool lost = (i >= fault->first && i <= fault->last) || (snmp && i == METRIC_UDP_RECEIVE_BUFFER) ||
                            (netstat && i == METRIC_PAWS_TIME_WAIT);
                enum reading_state state = lost ? READING_INVALID : right.reading[i].state;

                ck_assert_msg(i == METRIC_SELF_OBSERVE_CPU || seen.reading[i].state == state,
                              "%s: metric %u is in state %d, should be in %d", fault->what, i,
                              (int)seen.reading[i].state, (int)state);
        }
}

/* A fault costs the metrics of its source and no other, and names it. */
START_TEST(a_source_fails_alone)
{
        const struct lone_fault *fault = &lone_faults[_i];

        tree_put(CONNTRACK_COUNT, "131\n");
        tree_put("sys/net/netfilter/nf_conntrack_max", "262\n");
        configure(NULL);
        observe();
        ck_assert_int_eq(observe(), 0);
        right = seen;
        tree_put("net/snmp", SNMP("1")); /* else netstat is not read */
        tree_put(fault->path, fault->text);
        ck_assert_int_lt(observe(), 0);
        ck_assert_str_eq(unread.what, fault->what);
        expect_lost(fault);
        expect_right_or_invalid(fault->what);
}
END_TEST

START_TEST(a_dump_that_fails_costs_no_counter)
{
        static const unsigned kept[] = {METRIC_TIME_WAIT_TABLE, COUNTER(COUNTER_LISTEN_DROPS),
                                        COUNTER(COUNTER_OUT_RSTS)};

        peer.spoil = peer_nothing;
        peer.spoil_first = peer.requests + 1;
        peer.spoil_last = UINT32_MAX;
        ck_assert_int_lt(observe(), 0);
        for (unsigned i = 0; i < ELEMENTSOF(kept); i++)
                ck_assert_int_eq(seen.reading[kept[i]].state, READING_VALID);
}
END_TEST

/* Sockets are counted by state all the same, but for the handshakes of each listener. */
START_TEST(listeners_that_fail_cost_no_state)
{
        peer.spoil = peer_nothing;
        peer.spoil_first = peer.requests + 1;
        peer.spoil_last = peer.requests + 3; /* as often as it tries */
        ck_assert_int_lt(observe(), 0);
        ck_assert_int_eq(seen.reading[METRIC_TCP_ESTABLISHED].state, READING_VALID);
        ck_assert_int_eq(seen.reading[METRIC_SYN_QUEUE_WORST].state, READING_INVALID);
        ck_assert_int_eq(seen.reading[METRIC_TCP_LISTEN].state, READING_INVALID);
        ck_assert_int_eq(seen.reading[METRIC_PORTS_USED].state, READING_INVALID);
        expect_right_or_invalid("listeners");
        expect_right("listeners");
}
END_TEST

/* ---- sources that come later ---- */

#define MINUTE 60

static void put_conntrack(void)
{
        tree_put(CONNTRACK_COUNT, "131\n");
        tree_put("sys/net/netfilter/nf_conntrack_max", "262\n");
        tree_put(CONNTRACK_STAT, "entries insert_failed\n00000083 0000000a\n");
}

static void expect_states_of_conntrack(enum reading_state table, enum reading_state insert_failed)
{
        observe();
        ck_assert_int_eq(seen.reading[METRIC_CONNTRACK_TABLE].state, table);
        ck_assert_int_eq(seen.reading[METRIC_CONNTRACK_INSERT_FAILED].state, insert_failed);
}

/* As when nf_conntrack is loaded after the start. */
START_TEST(a_source_that_comes_later_is_found_within_a_minute)
{
        expect_states_of_conntrack(READING_UNAVAILABLE, READING_UNAVAILABLE);
        put_conntrack();
        skipped += MINUTE - 10;
        expect_states_of_conntrack(READING_UNAVAILABLE, READING_UNAVAILABLE);
        skipped += 11;
        expect_states_of_conntrack(READING_VALID, READING_INVALID); /* a rate wants two reads */
        expect_states_of_conntrack(READING_VALID, READING_VALID);
        ck_assert_int_eq(unread.error, 0);
}
END_TEST

static void no_handler(void)
{
        peer_end_with(NLMSG_ERROR, -ENOENT, sizeof(struct nlmsgerr));
}

/* Each request makes the kernel run modprobe (net/core/sock_diag.c:sock_load_diag_module). */
START_TEST(tcp_diag_that_is_loaded_later_is_found_within_a_minute)
{
        peer.spoil = no_handler;
        peer.spoil_first = 1;
        peer.spoil_last = UINT_MAX;
        ck_assert_int_eq(observer_probe(observer), -ENOENT);
        ck_assert_int_eq(observe(), -EOPNOTSUPP);
        ck_assert_ptr_nonnull(strstr(unread.what, "modprobe tcp_diag"));
        ck_assert_int_eq(observe(), -EOPNOTSUPP);
        ck_assert_uint_eq(peer.requests, 1);
        expect_right_or_invalid("no tcp_diag");
        skipped += MINUTE + 1;
        ck_assert_int_eq(observe(), -EOPNOTSUPP);
        ck_assert_uint_eq(peer.requests, 2);
        peer.spoil = NULL;
        ck_assert_int_eq(observe(), -EOPNOTSUPP);
        skipped += MINUTE + 1;
        ck_assert_int_eq(observe(), 0);
        ck_assert_int_eq(seen.reading[METRIC_TCP_LISTEN].state, READING_VALID);
}
END_TEST

static void no_old_request(void)
{
        if (peer.asked.nlmsg_type != TCPDIAG_GETSOCK)
                return;
        peer.n_batches = 1;
        peer_end_with(NLMSG_ERROR, -EOPNOTSUPP, sizeof(struct nlmsgerr));
}

/* As when inet_diag is loaded later: until then, each dump takes a walk of the table for each family. */
START_TEST(the_request_of_both_families_is_tried_again_after_a_minute)
{
        peer.spoil = no_old_request;
        peer.spoil_first = 1;
        peer.spoil_last = UINT_MAX;
        expect_right("without it");
        peer.spoil = NULL;
        peer.requests = 0;
        expect_right("not tried again");
        ck_assert_uint_eq(peer.requests, 2 * CLEAN_REQUESTS);
        skipped += MINUTE + 1;
        observe();
        peer.requests = 0;
        ck_assert_int_eq(observe(), 0);
        ck_assert_uint_eq(peer.requests, CLEAN_REQUESTS);
}
END_TEST

static void no_tcp_handler(void)
{
        if (!peer.udp)
                no_handler();
}

static void no_udp_handler(void)
{
        if (peer.udp)
                no_handler();
}

/* Each is a module of its own, and neither is asked for at every tick. */
START_TEST(tcp_diag_and_udp_diag_are_missed_alone)
{
        unsigned requests;

        tree_put("net/sockstat", SOCKSTAT("40", "20", "40", "20000"));
        peer.spoil = _i == 0 ? no_tcp_handler : no_udp_handler;
        peer.spoil_first = 1;
        peer.spoil_last = UINT_MAX;
        ck_assert_int_eq(observe(), -EOPNOTSUPP);
        ck_assert_int_eq(seen.reading[METRIC_UDP_PORTS].state, _i == 0 ? READING_VALID : READING_INVALID);
        ck_assert_int_eq(seen.reading[METRIC_TCP_LISTEN].state, _i == 0 ? READING_INVALID : READING_VALID);
        observe();
        requests = peer.requests;
        peer.spoil = NULL;
        observe();
        ck_assert_int_eq(seen.reading[METRIC_UDP_PORTS].state, _i == 0 ? READING_VALID : READING_INVALID);
        ck_assert_int_eq(seen.reading[METRIC_TCP_LISTEN].state, _i == 0 ? READING_INVALID : READING_VALID);
        ck_assert_uint_eq(peer.requests - requests, 2); /* of the one that is there */
        skipped += MINUTE + 1;
        ck_assert_int_eq(observe(), 0);
}
END_TEST

/* conntrack is read every 10 s only, and at once when it comes. */
START_TEST(what_is_read_slowly_is_found_within_a_minute_too)
{
        static struct config config = {.interval_ns = NSEC_PER_SEC, .cpu_budget = 5, .n_rules = 1};
        const unsigned step = 7;

        config.rule[0].n_when = 1;
        config.rule[0].when[0].metric = METRIC_CONNTRACK_TABLE;
        configure(&config);
        observe();
        put_conntrack();
        for (unsigned seconds = 0; seconds < MINUTE; seconds += step) {
                skipped += step;
                observe();
        }
        ck_assert_int_eq(seen.reading[METRIC_CONNTRACK_TABLE].state, READING_VALID);
}
END_TEST

/* As when its module is unloaded and loaded again. */
START_TEST(a_file_that_fails_is_opened_again)
{
        char path[PATH_MAX];

        put_conntrack();
        configure(NULL);
        expect_states_of_conntrack(READING_VALID, READING_INVALID);
        tree_put(CONNTRACK_COUNT, "");
        expect_states_of_conntrack(READING_INVALID, READING_VALID);
        snprintf(path, sizeof(path), "%s/" CONNTRACK_COUNT, root);
        ck_assert_int_eq(unlink(path), 0);
        put_conntrack();
        expect_states_of_conntrack(READING_INVALID, READING_VALID);
        skipped += MINUTE + 1;
        expect_states_of_conntrack(READING_VALID, READING_VALID);
}
END_TEST

/* ---- files that outgrow the buffer ---- */

#define CPUS 16384u

static void put_many_cpus(void)
{
        static const char line[] = "00000083 00000001\n";
        static char text[64 + CPUS * sizeof(line)];
        char *end = stpcpy(text, "entries insert_failed\n");

        for (unsigned i = 0; i < CPUS; i++)
                end = stpcpy(end, line);
        tree_put(CONNTRACK_STAT, text);
}

static void put_many_reserved_ports(void)
{
        static char text[PORT_SET_TEXT_MAX + 1];
        char *end = text;

        for (unsigned port = 1024; port < 30000; port += 2)
                end += sprintf(end, "%s%u", port > 1024 ? "," : "", port);
        strcpy(end, "\n");
        tree_put(SYSCTL "ip_local_reserved_ports", text);
}

static const struct {
        void (*put)(void);
        unsigned metric;
} outgrown[] = {
        {put_many_cpus, METRIC_CONNTRACK_INSERT_FAILED},
        {put_many_reserved_ports, METRIC_PORTS_USED},
};

START_TEST(a_file_that_outgrows_the_buffer_is_read_after_a_minute)
{
        enum reading_state *state = &seen.reading[outgrown[_i].metric].state;

        put_conntrack();
        configure(NULL);
        observe();
        ck_assert_int_eq(observe(), 0);
        ck_assert_int_eq(*state, READING_VALID);
        outgrown[_i].put();
        ck_assert_int_eq(observe(), -EFBIG);
        ck_assert_int_eq(*state, READING_INVALID);
        skipped += MINUTE + 1;
        observe();
        ck_assert_int_eq(observe(), 0);
        ck_assert_int_eq(*state, READING_VALID);
}
END_TEST

START_TEST(a_large_file_is_read_from_the_start)
{
        put_conntrack();
        outgrown[_i].put();
        observer_free(observer);
        ck_assert_int_eq(observer_new(root, &observer), 0);
        configure(NULL);
        ck_assert_int_eq(observe(), 0);
        ck_assert_int_eq(observe(), 0);
        ck_assert_int_eq(seen.reading[outgrown[_i].metric].state, READING_VALID);
}
END_TEST

/* ---- wrong attributes of the listener ---- */

static struct peer_socket *listener(void)
{
        return &peer.socket[peer.n - 1];
}

static void none(void)
{
}

static void too_short(void)
{
        peer_attribute(listener(), INET_DIAG_SKMEMINFO, sizeof(struct nlattr) + 8, "01234567", 8);
}

static void past_the_end(void)
{
        peer_attribute(listener(), INET_DIAG_SKMEMINFO, 4000, "01234567", 8);
}

static void of_no_length(void)
{
        peer_attribute(listener(), INET_DIAG_SKMEMINFO, 0, "01234567", 8);
}

static void only_unknown(void)
{
        peer_attribute(listener(), 250, sizeof(struct nlattr) + 4, "0123", 4);
}

static const struct {
        const char *name;
        void (*put)(void);
} attributes[] = {
        {"none", none},
        {"too short", too_short},
        {"past the end", past_the_end},
        {"of no length", of_no_length},
        {"only an unknown one", only_unknown},
};

/* Without a readable attribute the new drops are unknown; after it, drops of long ago are not new. */
START_TEST(unknown_drops_are_not_zero)
{
        struct peer_socket before = *listener();

        listener()->size = 0;
        attributes[_i].put();
        ck_assert_int_eq(observe(), 0);
        expect_right_or_invalid(attributes[_i].name);
        ck_assert_msg(seen.reading[METRIC_LISTEN_DROPS].state == READING_INVALID, "%s: listen.drops is %g",
                      attributes[_i].name, seen.reading[METRIC_LISTEN_DROPS].value);
        *listener() = before;
        ck_assert_int_eq(observe(), 0);
        expect_right_or_invalid(attributes[_i].name);
        expect_right(attributes[_i].name);
}
END_TEST

START_TEST(an_unknown_or_longer_attribute_is_no_error)
{
        listener()->size = 0;
        peer_attribute(listener(), 250, sizeof(struct nlattr) + 3, "012", 3);
        put_drops(listener(), DROPS);
        expect_right("unknown");

        listener()->size = 0;
        peer_attribute(listener(), INET_DIAG_SKMEMINFO, sizeof(struct nlattr) + 48,
                       &(uint32_t[12]){[SK_MEMINFO_DROPS] = DROPS}, 48);
        expect_right("longer");
}
END_TEST

/* ---- wrong files ---- */

static const struct {
        const char *path, *text;
} spoilt[] = {
        {"net/sockstat", ""},
        {"net/sockstat", "TCP: inuse 4"},
        {"net/sockstat", "TCP: inuse 40 orphan 0\n"},
        {"net/sockstat", "garbage\n"},
        {"net/sockstat6", "TCP6: inu"},
        {"net/netstat", ""},
        {"net/netstat", "TcpExt: TWRecycled ListenDrops TCPSynRetrans\nTcpExt: 0 0"},
        {"net/snmp", "Tcp: ActiveOpens OutRsts\nTcp: 1"},
        {"sys/net/ipv4/tcp_max_tw_buckets", "20"},
        {"sys/net/ipv4/tcp_max_tw_buckets", "x\n"},
        {"sys/net/ipv4/tcp_max_tw_buckets", ""},
        {"sys/net/ipv4/tcp_mem", "100 200\n"},
        {"sys/net/ipv4/ip_local_port_range", "32768\t609"},
        {"sys/net/ipv4/ip_local_port_range", "60999\t32768\n"},
        {"sys/net/ipv4/ip_local_reserved_ports", ""},
        {"sys/net/ipv4/ip_local_reserved_ports", "40000-5000"},
        {"sys/net/ipv4/tcp_tw_reuse_delay", "1"},
};

START_TEST(a_spoilt_file_makes_its_metrics_invalid)
{
        char name[128];

        snprintf(name, sizeof(name), "%s: '%s'", spoilt[_i].path, spoilt[_i].text);
        tree_put("net/snmp", SNMP("1")); /* else netstat is not read */
        tree_put(spoilt[_i].path, spoilt[_i].text);
        for (unsigned again = 0; again < 3; again++) {
                ck_assert_msg(observe() < 0, "%s: no error", name);
                expect_right_or_invalid(name);
        }
        for (unsigned i = 0; i < ELEMENTSOF(files); i++)
                tree_put(files[i].path, files[i].text);
        ck_assert_int_eq(observe(), 0);
        expect_right_or_invalid(name);
        expect_right(name); /* rates want two */
}
END_TEST

/* ---- netstat, which is not read while nothing happens ---- */

#define NETSTAT(drops) "TcpExt: TWRecycled ListenDrops TCPSynRetrans TCPTimeouts\nTcpExt: 0 " drops " 0 " drops "\n"
#define QUIET SOCKSTAT("4", "3", "9", "0")

static const struct {
        const char *path, *text;
        bool read;
} signs[] = {
        {"net/snmp", SNMP("0"), false},
        {"net/snmp", SNMP("1"), true},
        {"net/sockstat", SOCKSTAT("4", "3", "8", "0"), false}, /* of the whole host */
        {"net/sockstat", SOCKSTAT("5", "3", "9", "0"), true},
        {"net/sockstat", SOCKSTAT("4", "2", "9", "0"), true},
        {"net/sockstat", SOCKSTAT("4", "3", "9", "1"), true},
        {"net/sockstat6", "TCP6: inuse 1\n", true},
        {"net/sockstat6", "TCP6: inuse 0\nUDP6: inuse 1\n", true},
};

static double drops_seen(void)
{
        const struct reading *r = &seen.reading[METRIC_COUNT + COUNTER_LISTEN_DROPS];

        ck_assert_int_eq(observe(), 0);
        ck_assert_int_eq(r->state, READING_VALID);
        return r->value;
}

static void be_quiet(void)
{
        tree_put("net/sockstat", QUIET);
        for (unsigned i = 0; i < 3; i++)
                ck_assert(drops_seen() == 0);
}

START_TEST(netstat_is_read_when_a_sign_moves)
{
        be_quiet();
        tree_put("net/netstat", NETSTAT("7"));
        tree_put(signs[_i].path, signs[_i].text);
        ck_assert_int_eq(drops_seen() > 0, signs[_i].read);
        tree_put("net/snmp", SNMP("2")); /* no drop is lost */
        ck_assert_int_eq(drops_seen() > 0, !signs[_i].read);
        ck_assert(drops_seen() == 0);
}
END_TEST

/* The kernel may count a segment in snmp before snmp is read, and in netstat after netstat is read. */
START_TEST(netstat_is_read_once_more)
{
        be_quiet();
        tree_put("net/snmp", SNMP("1"));
        ck_assert(drops_seen() == 0);
        tree_put("net/netstat", NETSTAT("7"));
        ck_assert(drops_seen() > 0);
        tree_put("net/netstat", NETSTAT("8"));
        ck_assert(drops_seen() == 0);
}
END_TEST

/* As TCPTimeouts, of a socket without a route. */
START_TEST(a_counter_that_no_sign_goes_with_is_always_read)
{
        static struct counters counters;
        unsigned timeouts;

        counters_init(&counters);
        timeouts = counters_add(&counters, "netstat.TcpExt.TCPTimeouts");
        observer_set_config(observer, NULL, &counters);
        tree_put("net/netstat", NETSTAT("0"));
        observe();
        be_quiet();
        tree_put("net/netstat", NETSTAT("7"));
        ck_assert(drops_seen() > 0);
        ck_assert(seen.reading[METRIC_COUNT + timeouts].value > 0);
}
END_TEST

START_TEST(a_reload_reads_netstat)
{
        be_quiet();
        tree_put("net/netstat", NETSTAT("7"));
        configure(NULL);
        ck_assert_int_eq(observe(), 0);
        ck_assert_int_eq(seen.reading[METRIC_COUNT + COUNTER_LISTEN_DROPS].state, READING_INVALID); /* a beginning */
        ck_assert(drops_seen() == 0);
}
END_TEST

/* ---- ticks that come early ---- */

static void pass(time_t seconds)
{
        skipped += seconds;
}

static double opened_per_second(void)
{
        return seen.reading[METRIC_COUNT + COUNTER_ACTIVE_OPENS].value;
}

START_TEST(an_early_tick_keeps_the_rates_and_reads_what_ports_depend_on)
{
        double before = opened_per_second();

        pass(10);
        tree_put("net/snmp", "Tcp: ActiveOpens OutRsts\nTcp: 1100 0\n");
        tree_put("net/sockstat", "TCP: inuse 40 orphan 0 tw 60 alloc 40 mem 1\n");
        peer_add(TCP_TIME_WAIT, 45000, 443)->msg.idiag_expires = 59000;
        observer_set_early(observer);
        ck_assert_int_eq(observe(), 0);
        ck_assert(opened_per_second() == before);
        ck_assert(seen.reading[METRIC_TIME_WAIT_TABLE].value == 30);
        ck_assert(seen.reading[METRIC_PORTS_USED].value == right.reading[METRIC_PORTS_USED].value + 1);

        pass(10);
        ck_assert_int_eq(observe(), 0); /* the rate is that of all 20 s */
        ck_assert_msg(opened_per_second() > 45 && opened_per_second() <= 50, "%g", opened_per_second());
        pass(10);
        ck_assert_int_eq(observe(), 0);
        ck_assert(opened_per_second() == 0);
}
END_TEST

START_TEST(after_a_reload_no_tick_is_early)
{
        observer_set_early(observer);
        configure(NULL);
        pass(10);
        ck_assert_int_eq(observe(), 0);
        pass(10);
        observer_set_early(observer);
        ck_assert_int_eq(observe(), 0); /* the first regular one was a beginning */
        ck_assert_int_eq(seen.reading[METRIC_COUNT + COUNTER_ACTIVE_OPENS].state, READING_INVALID);
        ck_assert_int_eq(seen.reading[METRIC_PORTS_USED].state, READING_VALID);
}
END_TEST

START_TEST(a_dump_that_fails_early_leaves_no_value_of_ports)
{
        pass(10);
        observer_set_early(observer);
        tree_put("sys/net/ipv4/ip_local_port_range", "nonsense\n");
        ck_assert_int_lt(observe(), 0);
        ck_assert_int_eq(seen.reading[METRIC_PORTS_USED].state, READING_INVALID);
        ck_assert_str_eq(seen.endpoint[METRIC_PORTS_USED], "");
}
END_TEST

/* ---- cpu_budget ---- */

#define SLOW_NS (100 * NSEC_PER_MSEC)

static void be_slow(void)
{
        spent += SLOW_NS;
}

/* The pause that cpu_budget asks for after so many slow dumps, in ns. */
static uint64_t pause_after(unsigned slow)
{
        static const struct config config = {.cpu_budget = 5, .interval_ns = NSEC_PER_SEC};

        configure(&config);
        ck_assert_int_eq(observe(), 0);
        peer.requests = 0;
        peer.spoil = be_slow;
        peer.spoil_first = 1;
        peer.spoil_last = CLEAN_REQUESTS * slow;
        while (peer.requests < CLEAN_REQUESTS * slow)
                ck_assert_int_eq(observe(), 0);
        peer.spoil = NULL;
        return seen.dump_every;
}

START_TEST(one_slow_dump_makes_dumps_no_rarer)
{
        ck_assert_uint_lt(pause_after(1), 20 * SLOW_NS);
        ck_assert_uint_ge(pause_after(2), 20 * SLOW_NS);
}
END_TEST

/* As the first dump of a million sockets that came since the last one. */
START_TEST(one_slow_dump_of_many_sockets_is_debited)
{
        tree_put("net/sockstat", "TCP: inuse 40 orphan 0 tw 1000000 alloc 40 mem 1\n");
        ck_assert_uint_ge(pause_after(1), 20 * SLOW_NS);
}
END_TEST

static void put_opened(unsigned connections)
{
        static unsigned opened = 100;
        char text[128];

        opened += connections;
        snprintf(text, sizeof(text), "Tcp: ActiveOpens OutRsts\nTcp: %u 0\n", opened);
        tree_put("net/snmp", text);
}

static unsigned dumps_after_opening(unsigned connections)
{
        unsigned before = peer.requests;

        put_opened(connections);
        ck_assert_int_eq(observe(), 0);
        return (peer.requests - before) / CLEAN_REQUESTS;
}

START_TEST(a_storm_goes_into_debt_for_two_dumps)
{
        pause_after(2);
        peer.spoil = be_slow;
        peer.spoil_first = 1;
        peer.spoil_last = UINT_MAX;
        ck_assert_uint_eq(dumps_after_opening(0), 0);
        ck_assert_uint_eq(dumps_after_opening(1000), 0);
        ck_assert_uint_eq(dumps_after_opening(10000), 1);
        ck_assert_uint_eq(dumps_after_opening(1000), 0);
        ck_assert_uint_eq(dumps_after_opening(10000), 1);
        ck_assert_uint_eq(dumps_after_opening(10000), 0);
        skipped += 60;
        ck_assert_uint_eq(dumps_after_opening(0), 1);
}
END_TEST

/* Without netstat it is unknown how many connections were on reused ports: maybe none. */
START_TEST(a_storm_without_netstat_goes_into_debt)
{
        pause_after(2);
        peer.requests = 0;
        tree_put("net/netstat", "");
        put_opened(1000);
        ck_assert_int_lt(observe(), 0);
        ck_assert_uint_eq(peer.requests, 0);
        put_opened(10000);
        ck_assert_int_lt(observe(), 0);
        ck_assert_uint_eq(peer.requests, CLEAN_REQUESTS);
}
END_TEST

/* The busiest destination is one of the loopback, whose ports are reused (tcp_tw_reuse = 2): 300 % demand and 5 % cliff.
 * The fullest one is another, with a cliff of 75 %. Of 40 ports. */
static void be_busy_on_the_loopback(void)
{
        peer.n = 0;
        for (uint16_t i = 0; i < 60; i++) {
                struct peer_socket *s = peer_add(TCP_TIME_WAIT, (uint16_t)(40000 + i % 40), 5432);

                s->msg.idiag_timer = 3;
                s->msg.idiag_expires = i == 0 ? 59900 : 50000;
                s->msg.id.idiag_src[0] = s->msg.id.idiag_dst[0] = htonl(0x7f000001);
        }
        for (uint16_t i = 0; i < 15; i++)
                peer_add(TCP_ESTABLISHED, (uint16_t)(40000 + 2 * i), 443);
        tree_put("sys/net/ipv4/ip_local_port_range", "40000\t40039\n");
        tree_put("sys/net/ipv4/tcp_tw_reuse", "2\n");
}

START_TEST(a_storm_toward_the_fullest_destination_goes_into_debt)
{
        be_busy_on_the_loopback();
        pause_after(2);
        ck_assert_double_eq(seen.reading[METRIC_PORTS_CLIFF].value, 5);
        ck_assert_double_ge(seen.reading[METRIC_PORTS_DEMAND].value, 300);
        ck_assert_uint_eq(dumps_after_opening(0), 0);
        ck_assert_uint_eq(dumps_after_opening(3), 1);
}
END_TEST

/* 3 new connections a second, on 20 ports. */
START_TEST(growth_toward_another_than_the_busiest_goes_into_debt)
{
        be_busy_on_the_loopback();
        peer.n -= 15;
        for (uint16_t i = 0; i < 6; i++)
                peer_add(TCP_TIME_WAIT, (uint16_t)(40000 + 2 * i), 8443)->msg.idiag_expires = 59900;
        pause_after(2);
        ck_assert_double_lt(seen.reading[METRIC_PORTS_FORECAST].value, 20);
        ck_assert_uint_eq(dumps_after_opening(0), 0);
        skipped += 1;
        ck_assert_uint_eq(dumps_after_opening(0), 1);
}
END_TEST

/* Toward a destination of 20 ports, 8 connections of the last second and maybe 36 that were reused before the dump: only
 * the 8 count for the rule, so that 5 more may make it act. */
START_TEST(a_storm_while_reuse_works_goes_into_debt)
{
        struct ports_range demand;

        peer.n = 0;
        for (uint16_t i = 0; i < 8; i++)
                peer_add(TCP_TIME_WAIT, (uint16_t)(40000 + i), 443)->msg.idiag_expires = 59500;
        tree_put("sys/net/ipv4/ip_local_port_range", "40000\t40039\n");
        tree_put("sys/net/ipv4/tcp_tw_reuse", "1\n");
        pause_after(1);
        skipped += 10;
        tree_put("net/netstat", "TcpExt: TWRecycled ListenDrops TCPSynRetrans\nTcpExt: 100 0 0\n");
        peer.spoil = be_slow;
        peer.spoil_first = 1;
        peer.spoil_last = UINT_MAX;
        ck_assert_uint_eq(dumps_after_opening(0), 1);
        demand = ports_highest(seen.ports, METRIC_PORTS_REUSE_DEMAND);
        ck_assert(demand.lower == 40 && demand.upper > 200);
        ck_assert_uint_eq(dumps_after_opening(0), 0);
        tree_put("net/netstat", "TcpExt: TWRecycled ListenDrops TCPSynRetrans\nTcpExt: 105 0 0\n");
        ck_assert_uint_eq(dumps_after_opening(5), 1);
}
END_TEST

/* The value at the tick is that of the busiest; without reuse, what counts is the cliff, else the demand of a second. */
START_TEST(glances_go_by_the_fullest_destination)
{
        sd_event *event;
        sd_event_source *tick;
        struct early early;

        be_busy_on_the_loopback();
        if (_i == 1)
                tree_put("sys/net/ipv4/tcp_tw_reuse", "1\n");
        ck_assert_int_eq(sd_event_new(&event), 0);
        ck_assert_int_eq(sd_event_add_defer(event, &tick, NULL, NULL), 0);
        ck_assert_int_eq(early_start(&early, event, tick, observer), 0);
        ck_assert_int_eq(observe(), 0);
        ck_assert_double_lt(seen.reading[METRIC_PORTS_CLIFF].value, 75);
        early.due = UINT64_C(500000) + now_monotonic_us();
        early_end_tick(&early, &seen, early.due - 500000, 1000000);
        ck_assert_double_eq(early.glances.cliff, _i == 1 ? 37.5 : 75);
        early_stop(&early);
        sd_event_source_unref(tick);
        sd_event_unref(event);
}
END_TEST

/* Connections as before are no storm. */
START_TEST(only_what_is_more_than_before_goes_into_debt)
{
        pause_after(2);
        peer.spoil = be_slow;
        peer.spoil_first = 1;
        peer.spoil_last = UINT_MAX;
        for (unsigned minute = 0; minute < 5; minute++) {
                skipped += 60;
                ck_assert_uint_eq(dumps_after_opening(60 * 10000), 1);
        }
        skipped += 1;
        ck_assert_uint_eq(dumps_after_opening(10000), 0);
        skipped += 1;
        ck_assert_uint_eq(dumps_after_opening(20000), 1);
}
END_TEST

/* No socket is new then, and the counts say nothing of it. */
START_TEST(a_storm_on_reused_ports_goes_into_debt)
{
        tree_put("sys/net/ipv4/tcp_tw_reuse", "1\n");
        tree_put("net/netstat", "TcpExt: TWRecycled ListenDrops TCPSynRetrans\nTcpExt: 1000000 0 0\n");
        pause_after(2);
        tree_put("net/netstat", "TcpExt: TWRecycled ListenDrops TCPSynRetrans\nTcpExt: 2000000 0 0\n");
        ck_assert_uint_eq(dumps_after_opening(1000), 0);
        ck_assert_uint_eq(dumps_after_opening(10000), 1);
}
END_TEST

static void config_of_states(const unsigned *metrics, unsigned n)
{
        static struct config config = {.cpu_budget = 5, .interval_ns = NSEC_PER_SEC, .n_rules = 1};

        config.rule[0].n_when = n;
        for (unsigned i = 0; i < n; i++)
                config.rule[0].when[i] = (struct condition){.metric = metrics[i], .op = GREATER_EQUAL};
        configure(&config);
}

/* A sample by state that is slow, after a dump of both that cost nothing. */
static void sample_slowly(const unsigned *metrics, unsigned n)
{
        bool dump;

        config_of_states(metrics, n);
        ck_assert_int_eq(observe(), 0);
        skipped += 60;
        peer.requests = 0;
        peer.spoil = be_slow;
        peer.spoil_first = 1;
        peer.spoil_last = UINT_MAX;
        observer_read(observer, &seen, &dump, &unread);
        observer_read_states(observer, &seen, &unread);
        ck_assert_uint_gt(peer.requests, 0);
}

static void fail_after_one_batch(void)
{
        be_slow();
        peer.batch[1].error = EIO;
}

/* The last one has expired, and the next one has to wait for cpu_budget: until then there are bounds. */
START_TEST(a_sample_that_fails_shows_nothing)
{
        static const unsigned metrics[] = {METRIC_TCP_ESTABLISHED, METRIC_TCP_CLOSE_WAIT, METRIC_SYN_QUEUE_WORST};
        bool dump;

        sample_slowly(metrics, ELEMENTSOF(metrics));
        skipped += 60;
        peer.spoil = fail_after_one_batch;
        peer.spoil_first = peer.requests + 2; /* after the listeners */
        observer_read(observer, &seen, &dump, &unread);
        ck_assert(observer_read_states(observer, &seen, &unread));
        ck_assert_int_eq(unread.error, -EIO);
        expect_right_or_invalid("that tick");
        ck_assert_int_eq(seen.reading[METRIC_TCP_ESTABLISHED].state, READING_BOUNDED);
        observer_read(observer, &seen, &dump, &unread);
        ck_assert_int_eq(seen.reading[METRIC_TCP_ESTABLISHED].state, READING_BOUNDED);
        expect_right_or_invalid("the next tick");
}
END_TEST

/* An early read is for ports that are about to run short. */
START_TEST(an_early_read_takes_no_sample)
{
        bool dump;

        sample_slowly(&(unsigned){METRIC_TCP_ESTABLISHED}, 1);
        skipped += 60;
        observer_set_early(observer);
        observer_read(observer, &seen, &dump, &unread);
        ck_assert(!observer_read_states(observer, &seen, &unread));
        observer_read(observer, &seen, &dump, &unread);
        ck_assert(observer_read_states(observer, &seen, &unread));
}
END_TEST

/* A sample that was never taken has no zeros to show. */
START_TEST(an_early_read_before_the_first_sample_is_bounded)
{
        bool dump;

        config_of_states(&(unsigned){METRIC_TCP_ESTABLISHED}, 1);
        observer_read(observer, &seen, &dump, &unread);
        observer_set_early(observer);
        observer_read(observer, &seen, &dump, &unread);
        ck_assert_int_eq(seen.reading[METRIC_TCP_ESTABLISHED].state, READING_BOUNDED);
        expect_right_or_invalid("early");
}
END_TEST

/* However cheap the last dump of the ports was. */
START_TEST(a_storm_does_not_wait_for_a_sample)
{
        sample_slowly(&(unsigned){METRIC_TCP_ESTABLISHED}, 1);
        ck_assert_uint_eq(dumps_after_opening(1000), 0);
        ck_assert_uint_eq(dumps_after_opening(10000), 1);
}
END_TEST

#define STOPPED 600 /* seconds */

static void be_stopped(void)
{
        spent += STOPPED * NSEC_PER_SEC;
        skipped -= STOPPED;
}

/* As when a virtual machine is stopped, which may count as CPU time: a storm goes no deeper into debt for it. */
START_TEST(a_stop_during_a_sample_makes_no_room_for_dumps)
{
        unsigned dumps = 0;
        bool dump;

        sample_slowly(&(unsigned){METRIC_TCP_ESTABLISHED}, 1);
        skipped += 60;
        observer_read(observer, &seen, &dump, &unread);
        peer.spoil = be_stopped;
        peer.spoil_first = peer.spoil_last = peer.requests + 1;
        ck_assert(observer_read_states(observer, &seen, &unread));
        peer.spoil = be_slow;
        peer.spoil_last = UINT_MAX;
        for (unsigned i = 0; i < 10; i++)
                dumps += dumps_after_opening(10000);
        ck_assert_uint_ge(dumps, 1);
        ck_assert_uint_le(dumps, 2);
}
END_TEST

/* A sample by state delays the dump of the ports, and the other way round: both are paid from one account. */
START_TEST(all_dumps_are_debited)
{
        sample_slowly(&(unsigned){METRIC_TCP_ESTABLISHED}, 1);
        ck_assert_uint_eq(dumps_after_opening(0), 0);
        skipped += 60;
        ck_assert_uint_eq(dumps_after_opening(0), 1);
}
END_TEST

/* While bounds decide, there may be no other dump for days. */
START_TEST(a_pause_is_shown_until_it_is_over)
{
        uint64_t pause = pause_after(2), end = now_ns() + 2 * pause;
        bool dump;

        do {
                spent += 10 * NSEC_PER_MSEC;
                observer_read(observer, &seen, &dump, &unread);
                ck_assert_int_eq(unread.error, 0);
        } while (seen.dump_every == pause && now_ns() < end);
        ck_assert_uint_eq(seen.dump_every, 0);
}
END_TEST

/* The dumps of a tick delay the next tick by the time that they took, and no later tick. */
START_TEST(the_time_of_a_dump_is_shown_at_the_next_tick)
{
        static const struct config config = {.interval_ns = NSEC_PER_SEC};
        bool dump;

        configure(&config);
        observer_read(observer, &seen, &dump, &unread);
        peer.spoil = be_slow;
        peer.spoil_last = UINT_MAX;
        ck_assert_int_eq(observe(), 0);
        ck_assert_uint_eq(seen.dump_ns, 0);
        peer.spoil = NULL;
        observer_read(observer, &seen, &dump, &unread);
        ck_assert_uint_ge(seen.dump_ns, SLOW_NS);
        observer_read(observer, &seen, &dump, &unread);
        ck_assert_uint_eq(seen.dump_ns, 0);
}
END_TEST

/* ---- looks: dumps that only show something ---- */

static void begin_looks(void)
{
        static const struct config config = {.cpu_budget = 5, .interval_ns = NSEC_PER_SEC};

        configure(&config);
        ck_assert_int_eq(observe(), 0);
}

/* A tick that needs no dump. Returns whether a client causes one after it. */
static bool client_looks(void)
{
        unsigned before;
        bool dump;

        unread = (struct unread){0};
        observer_read(observer, &seen, &dump, &unread);
        ck_assert(!dump);
        ck_assert_int_eq(seen.reading[METRIC_PORTS_USED].state, READING_BOUNDED);
        before = peer.requests;
        observer_look(observer, LOOK_CLIENT, &seen);
        return peer.requests > before;
}

START_TEST(a_client_causes_one_look_in_10_s)
{
        begin_looks();
        ck_assert(!client_looks()); /* the dump of the tick is recent enough */
        skipped += 10;
        ck_assert(client_looks());
        ck_assert_int_eq(seen.reading[METRIC_PORTS_USED].state, READING_VALID);
        ck_assert_double_eq(seen.reading[METRIC_PORTS_USED].value, right.reading[METRIC_PORTS_USED].value);
        ck_assert(!client_looks());
        skipped += 9;
        ck_assert(!client_looks());
        skipped += 1;
        ck_assert(client_looks());
}
END_TEST

/* 100 ms at a tenth of 5 %: the next look is 20 s later, and no dump for a rule is delayed. */
START_TEST(looks_have_an_account_of_their_own)
{
        begin_looks();
        skipped += 10;
        peer.spoil = be_slow;
        peer.spoil_first = peer.requests + 2; /* after the listeners, which the tick reads */
        peer.spoil_last = peer.spoil_first;
        ck_assert(client_looks());
        peer.spoil = NULL;
        skipped += 15;
        ck_assert(!client_looks());
        skipped += 20; /* what reading the listeners cost is over, too */
        ck_assert_uint_eq(dumps_after_opening(1000), 1);
        skipped += 20;
        ck_assert(client_looks());
}
END_TEST

static void be_late(void)
{
        skipped += 1;
}

START_TEST(a_look_that_takes_too_long_costs_no_dump_and_no_value)
{
        begin_looks();
        skipped += 10;
        peer.spoil = be_late;
        peer.spoil_first = peer.requests + 2;
        peer.spoil_last = UINT_MAX;
        client_looks();
        ck_assert_int_eq(unread.error, 0);
        ck_assert_int_eq(seen.reading[METRIC_PORTS_USED].state, READING_BOUNDED);
        peer.spoil = NULL;
        skipped += 1;
        ck_assert_uint_eq(dumps_after_opening(1000), 1);
        ck_assert_int_eq(seen.reading[METRIC_PORTS_USED].state, READING_VALID);
}
END_TEST

/* ---- the unit of short connections ---- */

static struct peer_socket *add_short(uint8_t state, uint16_t port)
{
        static const uint64_t cgroup = 4711;
        struct peer_socket *s = peer_add(state, port, 9999);

        peer_attribute(s, INET_DIAG_CGROUP_ID, sizeof(struct nlattr) + sizeof(cgroup), &cgroup, sizeof(cgroup));
        return s;
}

/* A destination with nothing but TIME_WAIT at the dump. */
static uint64_t see_time_wait(void)
{
        for (unsigned i = 0; i < 10; i++)
                peer_add(TCP_TIME_WAIT, (uint16_t)(50000 + i), 9999)->msg.idiag_expires = 59000;
        ck_assert_int_eq(observe(), 0);
        for (unsigned slot = 0; slot < ports_slots(seen.ports); slot++)
                if (ports_destination(seen.ports, slot)->key.dport == htons(9999))
                        return ports_destination(seen.ports, slot)->id;
        ck_abort_msg("the destination is missing");
}

START_TEST(a_live_socket_is_found)
{
        uint64_t id = see_time_wait();

        add_short(TCP_ESTABLISHED, 51000);
        ck_assert_uint_eq(ports_find(seen.ports, id)->cgroup, 0);
        ck_assert_uint_eq(observer_find_cgroup(observer, id), 4711);
        ck_assert_uint_eq(ports_find(seen.ports, id)->cgroup, 4711);
}
END_TEST

START_TEST(a_live_socket_is_not_looked_for_again_at_once)
{
        uint64_t id = see_time_wait();

        ck_assert_uint_eq(observer_find_cgroup(observer, id), 0);
        add_short(TCP_ESTABLISHED, 51000);
        peer.requests = 0;
        ck_assert_uint_eq(observer_find_cgroup(observer, id), 0);
        ck_assert_uint_eq(peer.requests, 0);
}
END_TEST

/* ---- retransmissions ---- */

/* A SYN+ACK that is sent again is no retransmission of data, whatever else needs the handshakes. */
START_TEST(handshakes_do_not_retransmit)
{
        const double before = right.reading[METRIC_TCP_RETRANSMITTING].value;

        for (unsigned i = 0; i < 5; i++) {
                struct peer_socket *s = peer_add(i == 0 ? TCP_ESTABLISHED : TCP_SYN_RECV, 80, (uint16_t)(1024 + i));

                s->msg.idiag_timer = 1;
                s->msg.idiag_retrans = 1;
        }
        ck_assert_int_eq(observe(), 0);
        ck_assert_double_eq(seen.reading[METRIC_TCP_SYN_RECV].value, right.reading[METRIC_TCP_SYN_RECV].value + 4);
        ck_assert_double_eq(seen.reading[METRIC_TCP_RETRANSMITTING].value, before + 1);
}
END_TEST

/* ---- keepalive ---- */

/* More cgroups than a struct cgroup_tally holds. */
START_TEST(sockets_of_any_number_of_cgroups_are_counted)
{
        const unsigned sockets = 2 * (CGROUP_TALLY_MAX + 6);

        for (uint64_t i = 0; i < sockets; i++) {
                struct peer_socket *s = peer_add(TCP_ESTABLISHED, 80, (uint16_t)(1024 + i));
                uint64_t cgroup = 1000 + i / 2;

                s->msg.idiag_timer = 2;
                s->msg.idiag_retrans = 1;
                peer_attribute(s, INET_DIAG_CGROUP_ID, sizeof(struct nlattr) + sizeof(cgroup), &cgroup,
                               sizeof(cgroup));
        }
        tree_put("net/sockstat", "TCP: inuse 200 orphan 0 tw 20 alloc 200 mem 1\n");
        ck_assert_int_eq(observe(), 0);
        ck_assert_double_eq(seen.reading[METRIC_TCP_KEEPALIVE_UNANSWERED].value, sockets);
}
END_TEST

/* ---- wrong files of conntrack ---- */

#define CONNTRACK_COLUMNS "entries insert_failed drop\n"

static const struct {
        const char *count, *stat;
        bool table, failed; /* whether each is known */
} conntracks[] = {
        {"131\n", CONNTRACK_COLUMNS "00000083 0000000a 00000000\n00000083 00000001 00000000\n", true, true},
        {"131\n", CONNTRACK_COLUMNS "00000083\n00000083 0000000a 00000000\n", true, false},
        {"131\n", "entries drop\n00000083 00000000\n", true, false},
        {"", CONNTRACK_COLUMNS, false, true},
        {"x\n", "", false, false},
};

static void expect_conntrack(unsigned metric, bool known, double value)
{
        const struct reading *r = &seen.reading[metric];

        ck_assert_int_eq(r->state, known ? READING_VALID : READING_INVALID);
        ck_assert(!known || r->value == value);
}

START_TEST(conntrack_that_cannot_be_read_is_not_zero)
{
        ck_assert_int_eq(seen.reading[METRIC_CONNTRACK_TABLE].state, READING_UNAVAILABLE);
        put_conntrack();
        tree_put(CONNTRACK_COUNT, conntracks[_i].count);
        tree_put(CONNTRACK_STAT, conntracks[_i].stat);
        observer_free(observer);
        ck_assert_int_eq(observer_new(root, &observer), 0);
        configure(NULL);
        observe();
        observe(); /* a rate wants two reads */
        ck_assert_int_eq(unread.error == 0, conntracks[_i].table && conntracks[_i].failed);
        expect_conntrack(METRIC_CONNTRACK_TABLE, conntracks[_i].table, 50);
        expect_conntrack(METRIC_CONNTRACK_INSERT_FAILED, conntracks[_i].failed, 0);
}
END_TEST

START_TEST(each_failed_insert_is_counted_once)
{
        const uint64_t *events = &seen.events[METRIC_CONNTRACK_INSERT_FAILED];

        put_conntrack();
        observer_free(observer);
        ck_assert_int_eq(observer_new(root, &observer), 0);
        configure(NULL);
        observe();
        ck_assert_uint_eq(*events, 0); /* those of before */
        tree_put(CONNTRACK_STAT, "entries insert_failed\n00000083 00000019\n");
        observe();
        ck_assert_uint_eq(*events, 15);
        observer_set_early(observer);
        observe();
        ck_assert_uint_eq(*events, 0);
        observe();
        ck_assert_uint_eq(*events, 0);
}
END_TEST

static void add_tests(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, set_up, tear_down);
        tcase_add_test(tcase, a_clean_tick_counts_all_sockets);
        tcase_add_loop_test(tcase, one_wrong_answer_changes_nothing, 0, ELEMENTSOF(peer_faults));
        tcase_add_loop_test(tcase, wrong_answers_make_metrics_invalid, 0, ELEMENTSOF(peer_faults));
        tcase_add_test(tcase, without_sockstat_nothing_is_bounded_by_it);
        tcase_add_loop_test(tcase, a_source_fails_alone, 0, ELEMENTSOF(lone_faults));
        tcase_add_test(tcase, a_dump_that_fails_costs_no_counter);
        tcase_add_test(tcase, listeners_that_fail_cost_no_state);
        tcase_add_test(tcase, a_source_that_comes_later_is_found_within_a_minute);
        tcase_add_test(tcase, tcp_diag_that_is_loaded_later_is_found_within_a_minute);
        tcase_add_test(tcase, the_request_of_both_families_is_tried_again_after_a_minute);
        tcase_add_loop_test(tcase, tcp_diag_and_udp_diag_are_missed_alone, 0, 2);
        tcase_add_test(tcase, what_is_read_slowly_is_found_within_a_minute_too);
        tcase_add_test(tcase, a_file_that_fails_is_opened_again);
        tcase_add_loop_test(tcase, a_file_that_outgrows_the_buffer_is_read_after_a_minute, 0, ELEMENTSOF(outgrown));
        tcase_add_loop_test(tcase, a_large_file_is_read_from_the_start, 0, ELEMENTSOF(outgrown));
        tcase_add_loop_test(tcase, unknown_drops_are_not_zero, 0, ELEMENTSOF(attributes));
        tcase_add_test(tcase, an_unknown_or_longer_attribute_is_no_error);
        tcase_add_loop_test(tcase, a_spoilt_file_makes_its_metrics_invalid, 0, ELEMENTSOF(spoilt));
        tcase_add_loop_test(tcase, netstat_is_read_when_a_sign_moves, 0, ELEMENTSOF(signs));
        tcase_add_test(tcase, one_slow_dump_makes_dumps_no_rarer);
        tcase_add_test(tcase, one_slow_dump_of_many_sockets_is_debited);
        tcase_add_test(tcase, a_storm_goes_into_debt_for_two_dumps);
        tcase_add_test(tcase, a_storm_without_netstat_goes_into_debt);
        tcase_add_test(tcase, a_storm_toward_the_fullest_destination_goes_into_debt);
        tcase_add_test(tcase, growth_toward_another_than_the_busiest_goes_into_debt);
        tcase_add_test(tcase, a_storm_while_reuse_works_goes_into_debt);
        tcase_add_loop_test(tcase, glances_go_by_the_fullest_destination, 0, 2);
        tcase_add_test(tcase, only_what_is_more_than_before_goes_into_debt);
        tcase_add_test(tcase, a_storm_on_reused_ports_goes_into_debt);
        tcase_add_test(tcase, a_sample_that_fails_shows_nothing);
        tcase_add_test(tcase, an_early_read_takes_no_sample);
        tcase_add_test(tcase, an_early_read_before_the_first_sample_is_bounded);
        tcase_add_test(tcase, a_storm_does_not_wait_for_a_sample);
        tcase_add_test(tcase, a_stop_during_a_sample_makes_no_room_for_dumps);
        tcase_add_test(tcase, all_dumps_are_debited);
        tcase_add_test(tcase, a_pause_is_shown_until_it_is_over);
        tcase_add_test(tcase, the_time_of_a_dump_is_shown_at_the_next_tick);
        tcase_add_test(tcase, a_client_causes_one_look_in_10_s);
        tcase_add_test(tcase, looks_have_an_account_of_their_own);
        tcase_add_test(tcase, a_look_that_takes_too_long_costs_no_dump_and_no_value);
        tcase_add_test(tcase, a_live_socket_is_found);
        tcase_add_test(tcase, a_live_socket_is_not_looked_for_again_at_once);
        tcase_add_test(tcase, handshakes_do_not_retransmit);
        tcase_add_test(tcase, sockets_of_any_number_of_cgroups_are_counted);
        tcase_add_test(tcase, netstat_is_read_once_more);
        tcase_add_test(tcase, a_counter_that_no_sign_goes_with_is_always_read);
        tcase_add_test(tcase, a_reload_reads_netstat);
        tcase_add_test(tcase, an_early_tick_keeps_the_rates_and_reads_what_ports_depend_on);
        tcase_add_test(tcase, after_a_reload_no_tick_is_early);
        tcase_add_test(tcase, a_dump_that_fails_early_leaves_no_value_of_ports);
        tcase_add_test(tcase, each_failed_insert_is_counted_once);
        tcase_add_loop_test(tcase, conntrack_that_cannot_be_read_is_not_zero, 0, ELEMENTSOF(conntracks));
}

int main(void)
{
        return run_suite("observer", add_tests);
}
