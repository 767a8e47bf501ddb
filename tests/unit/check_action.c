/* SPDX-License-Identifier: MIT */
#include "lib/policy/action.h"
#include "lib/ports/table.h"

#include <errno.h>
#include <stdio.h>

#include "lib/apply/limits.h"
#include "random.h"
#include "run.h"
#include "sockets.h"

#define START (UINT64_C(1000) * NSEC_PER_SEC)
#define GB (UINT64_C(1) << 30)
#define PAIR(a, b) ((struct sysctl_value){.n = 2, .v = {(a), (b)}})
#define TW SYSCTL_TCP_MAX_TW_BUCKETS
#define ORPHANS SYSCTL_TCP_MAX_ORPHANS
#define FIN SYSCTL_TCP_FIN_TIMEOUT
#define PROBES SYSCTL_TCP_KEEPALIVE_PROBES

static struct ports *ports;
static struct snapshot snapshot;

static void end(void)
{
        ports_free(ports);
        ports = NULL;
}

/* A machine with much memory, listeners on these ports (0 ends the list), and ports from 1024 on for everyone. */
static void begin(const unsigned listeners[])
{
        struct ports_limits limits = {.low = 32768, .high = 60999, .timestamps = true};
        struct port_set listening = {0};

        end();
        ports = ports_new(1);
        for (; *listeners; listeners++)
                port_set_add(&listening, *listeners);
        ports_begin(ports, &limits, NULL, &listening, START, NSEC_PER_SEC);
        ports_commit(ports, 0);
        snapshot = (struct snapshot){.now = START, .ports = ports, .memory_bytes = 1024 * GB};
        for (unsigned m = METRIC_PORTS_FIRST; m <= METRIC_PORTS_LAST; m++)
                snapshot.reading[m] = reading_valid(0);
        snapshot.sysctl[SYSCTL_IP_UNPRIVILEGED_PORT_START] = (struct live_sysctl){READING_VALID, SYSCTL_VALUE(1024)};
        snapshot.sysctl[SYSCTL_TCP_TIMESTAMPS] = (struct live_sysctl){READING_VALID, SYSCTL_VALUE(1)};
}

#define BEGIN(...) begin((const unsigned[]){__VA_ARGS__ __VA_OPT__(, ) 0})

static struct action action_of(enum action_kind kind, enum sysctl_id id, double factor, int64_t limit)
{
        return (struct action){.kind = kind, .sysctl = id, .factor = factor, .value = SYSCTL_VALUE(limit)};
}

static const struct row {
        const char *name;
        enum action_kind kind;
        enum sysctl_id sysctl;
        double factor;
        int64_t limit;
        struct sysctl_bounds bounds; /* {0}: the built-in ones */
        uint64_t memory;             /* 0: plenty */
        int64_t base, next;
} rows[] = {
        {"raise", ACTION_RAISE, TW, 2, 2097152, {0}, 0, 262144, 524288},
        {"raise by a part", ACTION_RAISE, TW, 1.5, 2097152, {0}, 0, 100001, 150001},
        {"to the limit", ACTION_RAISE, TW, 2, 500000, {0}, 0, 262144, 500000},
        {"at the limit", ACTION_RAISE, TW, 2, 262144, {0}, 0, 262144, 262144},
        {"beyond the limit", ACTION_RAISE, TW, 2, 262144, {0}, 0, 300000, 300000},
        {"by one at least", ACTION_RAISE, SYSCTL_SOMAXCONN, 1.001, 4096, {0}, 0, 128, 129},
        {"from under the bounds", ACTION_RAISE, TW, 2, 2097152, {0}, 0, 2048, 65536},
        {"from nothing", ACTION_RAISE, TW, 2, 2097152, {0}, 0, 0, 65536},
        {"from less than nothing", ACTION_RAISE, ORPHANS, 2, 2097152, {0}, 0, -1, 4096},
        {"to a narrowed bound", ACTION_RAISE, TW, 2, 2097152, {65536, 400000}, 0, 262144, 400000},
        {"beyond a narrowed bound", ACTION_RAISE, TW, 2, 2097152, {65536, 200000}, 0, 262144, 262144},
        {"from under a narrowed bound", ACTION_RAISE, TW, 2, 2097152, {1000000, 2000000}, 0, 262144, 1000000},
        {"as memory allows", ACTION_RAISE, TW, 2, 16777216, {0}, 1 * GB, 200000, 262144},
        {"and no further", ACTION_RAISE, TW, 2, 16777216, {0}, 1 * GB, 262144, 262144},
        {"not where memory allows less than the bounds", ACTION_RAISE, TW, 2, 16777216, {0}, GB / 5, 8192, 8192},
        {"just where it allows them", ACTION_RAISE, TW, 2, 16777216, {0}, GB / 4, 8192, 65536},
        {"nor back", ACTION_RAISE, TW, 2, 16777216, {0}, 1 * GB, 300000, 300000},
        {"orphans, as memory allows", ACTION_RAISE, ORPHANS, 2, 4194304, {0}, 1 * GB, 10000, 16384},
        {"no table", ACTION_RAISE, SYSCTL_SOMAXCONN, 2, 1048576, {0}, 1, 4096, 8192},

        {"lower", ACTION_LOWER, FIN, 2, 10, {0}, 0, 60, 30},
        {"lower by a part", ACTION_LOWER, FIN, 1.5, 10, {0}, 0, 50, 34},
        {"lower to the limit", ACTION_LOWER, FIN, 2, 40, {0}, 0, 60, 40},
        {"lower at the limit", ACTION_LOWER, FIN, 2, 40, {0}, 0, 40, 40},
        {"lower beyond the limit", ACTION_LOWER, FIN, 2, 40, {0}, 0, 20, 20},
        {"lower by one at least", ACTION_LOWER, PROBES, 1.2, 3, {0}, 0, 4, 3},
        {"lower from nothing", ACTION_LOWER, FIN, 2, 10, {0}, 0, 0, 0},
        {"lower from less than nothing", ACTION_LOWER, FIN, 2, 10, {0}, 0, -5, -5},
        {"lower from over the bounds", ACTION_LOWER, FIN, 2, 10, {0}, 0, 600, 120},
        {"lower to a narrowed bound", ACTION_LOWER, FIN, 4, 10, {20, 120}, 0, 60, 20},
        {"lower beyond a narrowed bound", ACTION_LOWER, FIN, 4, 10, {20, 120}, 0, 15, 15},

        {"set", ACTION_SET, FIN, 0, 20, {0}, 0, 60, 20},
        {"set, the other way", ACTION_SET, FIN, 0, 20, {0}, 0, 15, 20},
        {"is set", ACTION_SET, FIN, 0, 20, {0}, 0, 20, 20},
};

START_TEST(next_value)
{
        const struct row *row = &rows[_i];
        struct action action = action_of(row->kind, row->sysctl, row->factor, row->limit);
        struct sysctl_bounds bounds = row->bounds.max ? row->bounds : sysctl_table[row->sysctl].bounds;
        struct sysctl_value base = SYSCTL_VALUE(row->base), next;

        BEGIN();
        if (row->memory > 0)
                snapshot.memory_bytes = row->memory;
        next = action_next(&action, &bounds, &snapshot, &base);
        ck_assert_uint_eq(next.n, 1);
        ck_assert_msg(next.v[0] == row->next, "%s: %lld", row->name, (long long)next.v[0]);
}
END_TEST

/* The table of TIME_WAIT is raised to what the load needs, if that is known; no other table is. */
START_TEST(what_time_wait_needs_raises_its_table)
{
        static const struct {
                enum sysctl_id sysctl;
                enum reading_state state;
                int64_t next;
        } of[] = {{TW, READING_VALID, 600000}, {TW, READING_INVALID, 524288}, {ORPHANS, READING_VALID, 524288}};
        struct action action = action_of(ACTION_RAISE, of[_i].sysctl, 2, 2097152);
        struct sysctl_value base = SYSCTL_VALUE(262144);

        BEGIN();
        snapshot.reading[METRIC_TIME_WAIT_NEEDED] = (struct reading){.state = of[_i].state, .value = 600000};
        ck_assert_int_eq(action_next(&action, &sysctl_table[of[_i].sysctl].bounds, &snapshot, &base).v[0],
                         of[_i].next);
}
END_TEST

START_TEST(memory_bounds_both_tables)
{
        ck_assert_int_eq(table_most(TW, 16 * GB), (int64_t)(GB / 256));
        ck_assert_int_eq(table_most(ORPHANS, 16 * GB), (int64_t)(GB / 4096));
        ck_assert_int_eq(table_most(TW, 0), 0);
        ck_assert_int_eq(table_most(FIN, 0), INT64_MAX);
        ck_assert_int_eq(table_most(SYSCTL_TCP_MAX_SYN_BACKLOG, 0), INT64_MAX);
}
END_TEST

/* ---- ranges ---- */

static const struct range_row {
        const char *name;
        unsigned listeners[4];
        int64_t wanted[2], bounds[2], base[2], next[2];
} range_rows[] = {
        {"all of it", {0}, {1024, 65535}, {0}, {32768, 60999}, {32768, 65535}},
        {"up to a listener", {61000, 0}, {1024, 65535}, {0}, {32768, 60997}, {32768, 60999}},
        {"a listener next door", {61000, 0}, {1024, 65535}, {0}, {32768, 60999}, {32768, 60999}},
        {"not one parity", {61003, 0}, {1024, 65535}, {0}, {32768, 60999}, {32768, 61001}},
        {"not one parity, below", {39998, 0}, {1024, 60000}, {0}, {41000, 60000}, {39999, 60000}},
        {"one parity, below", {39997, 0}, {1024, 60000}, {0}, {41000, 60000}, {39999, 60000}},
        {"one more would be one parity", {61001, 0}, {1024, 65535}, {0}, {32768, 60999}, {32768, 60999}},
        {"never into NodePorts", {0}, {1024, 65535}, {0}, {40000, 60999}, {32768, 65535}},
        {"from under NodePorts", {0}, {1024, 65535}, {0}, {20000, 29997}, {1024, 29999}},
        {"no further than wanted", {0}, {33000, 62001}, {0}, {40000, 60999}, {33000, 62001}},
        {"no further than the bounds", {0}, {1024, 65535}, {34000, 62001}, {40000, 60999}, {34000, 62001}},
        {"as wide", {0}, {32768, 60999}, {0}, {32768, 60999}, {32768, 60999}},
        {"wider", {0}, {32768, 60999}, {0}, {1024, 65535}, {1024, 65535}},
        {"half wider", {0}, {40000, 65535}, {0}, {32768, 60999}, {32768, 65535}},
        {"a listener inside is no obstacle", {50000, 0}, {1024, 65535}, {0}, {32768, 60999}, {32768, 65535}},
        {"listeners at both ends", {39000, 62000, 0}, {1024, 65535}, {0}, {40000, 60999}, {39001, 61998}},
};

static struct action range_action(const int64_t wanted[2])
{
        return (struct action){
                .kind = ACTION_SET, .sysctl = SYSCTL_IP_LOCAL_PORT_RANGE, .value = PAIR(wanted[0], wanted[1])};
}

START_TEST(next_range)
{
        const struct range_row *row = &range_rows[_i];
        struct sysctl_bounds bounds = sysctl_table[SYSCTL_IP_LOCAL_PORT_RANGE].bounds;
        struct action action = range_action(row->wanted);
        struct sysctl_value base = PAIR(row->base[0], row->base[1]), next;

        begin(row->listeners);
        if (row->bounds[1] > 0)
                bounds = (struct sysctl_bounds){row->bounds[0], row->bounds[1]};
        next = action_next(&action, &bounds, &snapshot, &base);
        ck_assert_msg(next.n == 2 && next.v[0] == row->next[0] && next.v[1] == row->next[1], "%s: %lld %lld",
                      row->name, (long long)next.v[0], (long long)next.v[1]);
        ck_assert_int_eq(action_has_effect(&action, &bounds, &snapshot, &base, false), sysctl_equal(&base, &next));
}
END_TEST

/* The listeners are known from a dump, or from bounds that hold; otherwise they are unknown. */
START_TEST(an_unknown_listener_stops_everything)
{
        struct sysctl_bounds bounds = sysctl_table[SYSCTL_IP_LOCAL_PORT_RANGE].bounds;
        struct action action = range_action((const int64_t[]){1024, 65535});
        struct sysctl_value base = PAIR(40000, 50001), narrow = PAIR(45000, 45001), next;
        static const struct {
                enum reading_state ports, privileged;
                int64_t low, high;
                unsigned taken;
        } states[] = {
                {READING_VALID, READING_VALID, 32768, 65535, 42000},
                {READING_BOUNDED, READING_VALID, 32768, 65535, 42000},
                {READING_INVALID, READING_VALID, 40000, 50001, 0},
                {READING_UNAVAILABLE, READING_VALID, 40000, 50001, 0},
                {READING_VALID, READING_INVALID, 40000, 50001, 42000},
        };

        BEGIN(42000);
        for (unsigned i = 0; i < ELEMENTSOF(states); i++) {
                snapshot.reading[METRIC_PORTS_FIRST].state = states[i].ports;
                snapshot.sysctl[SYSCTL_IP_UNPRIVILEGED_PORT_START].state = states[i].privileged;
                next = action_next(&action, &bounds, &snapshot, &base);
                ck_assert_msg(next.v[0] == states[i].low && next.v[1] == states[i].high, "row %u: %lld %lld", i,
                              (long long)next.v[0], (long long)next.v[1]);
                ck_assert_uint_eq(port_range_taken(&snapshot, &base, &narrow), states[i].taken);
        }
}
END_TEST

START_TEST(taken_is_what_came_in)
{
        struct sysctl_value wide = PAIR(30001, 50000), narrow = PAIR(32768, 40000);
        static const struct {
                unsigned listener, taken;
        } listeners[] = {
                {30000, 0}, {30001, 30001}, {32767, 32767}, {32768, 0},
                {40000, 0}, {40001, 40001}, {50000, 50000}, {50001, 0},
        };

        for (unsigned i = 0; i < ELEMENTSOF(listeners); i++) {
                BEGIN(listeners[i].listener);
                ck_assert_uint_eq(port_range_taken(&snapshot, &wide, &narrow), listeners[i].taken);
        }
        BEGIN(30001, 40001, 35000);
        ck_assert_uint_eq(port_range_taken(&snapshot, &wide, &narrow), 30001);
        ck_assert_uint_eq(port_range_taken(&snapshot, &narrow, &narrow), 0);
}
END_TEST

START_TEST(obstacles)
{
        BEGIN(8080);
        snapshot.sysctl[SYSCTL_IP_UNPRIVILEGED_PORT_START].value = SYSCTL_VALUE(2000);
        ck_assert_str_eq(port_obstacle(&snapshot, 1999), "is privileged");
        ck_assert_ptr_null(port_obstacle(&snapshot, 2000));
        ck_assert_str_eq(port_obstacle(&snapshot, 8080), "has a listener");
        ck_assert_ptr_null(port_obstacle(&snapshot, 29999));
        ck_assert_ptr_nonnull(strstr(port_obstacle(&snapshot, 30000), "is a NodePort"));
        ck_assert_ptr_nonnull(strstr(port_obstacle(&snapshot, 32767), "is a NodePort"));
        ck_assert_ptr_null(port_obstacle(&snapshot, 32768));
}
END_TEST

/* ---- what works already, what may be ours ---- */

START_TEST(has_effect)
{
        static const struct {
                struct action action;
                int64_t live;
                bool loopback, has;
        } cases[] = {
                {{ACTION_RAISE, TW, {1, {262144}}, 2, {0}}, 262143, false, false},
                {{ACTION_RAISE, TW, {1, {262144}}, 2, {0}}, 262144, false, true},
                {{ACTION_RAISE, TW, {1, {262144}}, 2, {0}}, 999999, false, true},
                {{ACTION_LOWER, FIN, {1, {20}}, 2, {0}}, 21, false, false},
                {{ACTION_LOWER, FIN, {1, {20}}, 2, {0}}, 20, false, true},
                {{ACTION_LOWER, FIN, {1, {20}}, 2, {0}}, 5, false, true},
                {{ACTION_SET, FIN, {1, {20}}, 0, {0}}, 21, false, false},
                {{ACTION_SET, FIN, {1, {20}}, 0, {0}}, 15, false, true},
                {{ACTION_SET, SYSCTL_TCP_TW_REUSE, {1, {1}}, 0, {0}}, 2, false, false},
                {{ACTION_SET, SYSCTL_TCP_TW_REUSE, {1, {1}}, 0, {0}}, 2, true, true},
                {{ACTION_SET, SYSCTL_TCP_ORPHAN_RETRIES, {1, {6}}, 0, {0}}, 0, false, false},
        };

        BEGIN();
        for (unsigned i = 0; i < ELEMENTSOF(cases); i++) {
                const struct action *action = &cases[i].action;
                struct sysctl_value live = SYSCTL_VALUE(cases[i].live);

                ck_assert_msg(action_has_effect(action, &sysctl_table[action->sysctl].bounds, &snapshot, &live,
                                                cases[i].loopback) == cases[i].has,
                              "row %u", i);
        }
}
END_TEST

START_TEST(may_have_written)
{
        static const struct {
                struct action action;
                struct sysctl_value original, written;
                bool may;
        } cases[] = {
                {{ACTION_RAISE, TW, {1, {400}}, 2, {0}}, {1, {100}}, {1, {200}}, true},
                {{ACTION_RAISE, TW, {1, {400}}, 2, {0}}, {1, {100}}, {1, {400}}, true},
                {{ACTION_RAISE, TW, {1, {400}}, 2, {0}}, {1, {100}}, {1, {401}}, false},
                {{ACTION_RAISE, TW, {1, {400}}, 2, {0}}, {1, {100}}, {1, {100}}, false},
                {{ACTION_RAISE, TW, {1, {400}}, 2, {0}}, {1, {100}}, {1, {99}}, false},
                {{ACTION_LOWER, FIN, {1, {15}}, 2, {0}}, {1, {60}}, {1, {30}}, true},
                {{ACTION_LOWER, FIN, {1, {15}}, 2, {0}}, {1, {60}}, {1, {15}}, true},
                {{ACTION_LOWER, FIN, {1, {15}}, 2, {0}}, {1, {60}}, {1, {14}}, false},
                {{ACTION_LOWER, FIN, {1, {15}}, 2, {0}}, {1, {60}}, {1, {60}}, false},
                {{ACTION_SET, FIN, {1, {15}}, 0, {0}}, {1, {60}}, {1, {15}}, true},
                {{ACTION_SET, FIN, {1, {15}}, 0, {0}}, {1, {60}}, {1, {16}}, false},
                {{ACTION_SET, SYSCTL_IP_LOCAL_PORT_RANGE, {2, {1024, 65535}}, 0, {0}},
                 {2, {32768, 60999}},
                 {2, {32768, 65535}},
                 true},
                {{ACTION_SET, SYSCTL_IP_LOCAL_PORT_RANGE, {2, {1024, 65535}}, 0, {0}},
                 {2, {32768, 60999}},
                 {2, {32770, 65535}},
                 false},
                {{ACTION_SET, SYSCTL_IP_LOCAL_PORT_RANGE, {2, {1024, 65535}}, 0, {0}},
                 {2, {32768, 60999}},
                 {2, {1024, 60999}},
                 true},
                {{ACTION_SET, SYSCTL_IP_LOCAL_PORT_RANGE, {2, {32000, 65535}}, 0, {0}},
                 {2, {32768, 60999}},
                 {2, {31999, 65535}},
                 false},
                {{ACTION_SET, SYSCTL_IP_LOCAL_PORT_RANGE, {2, {1024, 65535}}, 0, {0}},
                 {2, {32768, 60999}},
                 {2, {32000, 60998}},
                 false},
                {{ACTION_SET, SYSCTL_IP_LOCAL_PORT_RANGE, {2, {1024, 61001}}, 0, {0}},
                 {2, {32768, 60999}},
                 {2, {32768, 65535}},
                 false},
                {{ACTION_SET, SYSCTL_IP_LOCAL_PORT_RANGE, {2, {16384, 60999}}, 0, {0}},
                 {2, {32768, 65535}},
                 {2, {16384, 65535}},
                 true},
                {{ACTION_SET, SYSCTL_IP_LOCAL_PORT_RANGE, {2, {32768, 65535}}, 0, {0}},
                 {2, {16384, 60999}},
                 {2, {16384, 65535}},
                 true},
        };

        for (unsigned i = 0; i < ELEMENTSOF(cases); i++)
                ck_assert_msg(action_may_have_written(&cases[i].action, &cases[i].original, &cases[i].written) ==
                                      cases[i].may,
                              "row %u", i);
}
END_TEST

/* ---- a larger table that would take the ports ---- */

static struct model model;

static void add_sockets(uint8_t state, uint64_t age, unsigned even, unsigned odd)
{
        for (unsigned i = 0; i < even + odd; i++) {
                struct model_socket *socket = model_add(&model, state, 0x0a000002u, 80, START - age);

                socket->sport = (uint16_t)(i < even ? socket->sport & ~1 : socket->sport | 1);
        }
}

/* One destination has 200 TIME_WAIT and ten connections, on ports of both parities. The table of 1,000 is full to this
 * percentage, and the load needs so many TIME_WAIT sockets. */
static void begin_spoiling(double table, double needed)
{
        struct ports_limits limits = stock_limits();

        end();
        ports = ports_new(1);
        limits.tw_reuse = 1;
        model.n = model.next_port = 0;
        add_sockets(TCP_TIME_WAIT, NSEC_PER_SEC / 2, 100, 50);
        model.next_port += 200;
        add_sockets(TCP_TIME_WAIT, 30 * NSEC_PER_SEC, 30, 20);
        model.next_port += 100;
        add_sockets(TCP_ESTABLISHED, 0, 7, 3);
        model_dump(&model, ports, &limits, START, 0);
        snapshot = (struct snapshot){.now = START, .ports = ports};
        snapshot.reading[METRIC_TIME_WAIT_TABLE] = reading_valid(table);
        snapshot.reading[METRIC_TIME_WAIT_NEEDED] = reading_valid(needed);
        snapshot.reading[METRIC_PORTS_FIRST] = reading_valid(0);
        snapshot.sysctl[TW] = (struct live_sysctl){READING_VALID, SYSCTL_VALUE(1000)};
}

/* Over 80 % of one parity: 11,292.8 ports. */
START_TEST(a_larger_table_spoils)
{
        static const struct {
                double table, needed;
                bool spoils;
        } of[] = {
                {20, 11282, false}, {20, 11283, true}, {40, 22565, false}, /* half of it is of other destinations */
                {40, 22566, true},  {0, 56, false}, /* less than one can be seen, but not none: each of 200 counts */
                {0, 57, true},
        };

        begin_spoiling(of[_i].table, of[_i].needed);
        ck_assert_int_eq(table_may_spoil(&snapshot, false), of[_i].spoils);
        ck_assert_int_eq(table_may_spoil(&snapshot, true), of[_i].spoils); /* no port was reused */
}
END_TEST

START_TEST(a_table_that_is_not_known_may_spoil)
{
        static const unsigned metrics[] = {METRIC_TIME_WAIT_TABLE, METRIC_TIME_WAIT_NEEDED, METRIC_PORTS_FIRST};

        begin_spoiling(20, 100);
        ck_assert(!table_may_spoil(&snapshot, false));
        if (_i == ELEMENTSOF(metrics))
                snapshot.sysctl[TW].state = READING_INVALID;
        else
                snapshot.reading[metrics[_i]].state = READING_INVALID;
        ck_assert(table_may_spoil(&snapshot, false));
}
END_TEST

START_TEST(a_table_that_nothing_needs_spoils_nothing)
{
        begin_spoiling(20, 0);
        snapshot.reading[METRIC_PORTS_FIRST].state = READING_INVALID;
        ck_assert(!table_may_spoil(&snapshot, false));
}
END_TEST

START_TEST(where_ports_are_reused_a_larger_table_spoils_nothing)
{
        struct destination d;

        begin_spoiling(20, 20000);
        d = *ports_busiest(ports);
        d.lower[METRIC_PORTS_REUSED - METRIC_PORTS_FIRST] = 100;
        ports_give_destination(ports, &d);
        ck_assert(table_may_spoil(&snapshot, false));
        ck_assert(!table_may_spoil(&snapshot, true));
}
END_TEST

/* ---- what holds for every action ---- */

static int64_t between(struct random *random, int64_t low, int64_t high)
{
        return low + (int64_t)(random_next(random) % (uint64_t)(high - low + 1));
}

static void expect_the_guard_to_agree(const struct config *config, enum sysctl_id id, const struct sysctl_value *from,
                                      const struct sysctl_value *to, uint64_t seed)
{
        char reason[256] = "", a[SYSCTL_TEXT_MAX], b[SYSCTL_TEXT_MAX];
        struct limits limits;

        limits_init(&limits, config, START);
        if (!sysctl_equal(from, to) &&
            limits_check(&limits, config, &snapshot, id, from, to, 1, reason, sizeof(reason)) != 0)
                ck_abort_msg("%s: %s -> %s: %s, seed %" PRIu64, sysctl_table[id].name, sysctl_format(from, a),
                             sysctl_format(to, b), reason, seed);
}

/* From any value: all steps go one way, to the limit and no further, and limits_check() allows each of them. */
START_TEST(steps_come_to_an_end)
{
        static const enum sysctl_id ids[] = {TW, ORPHANS, SYSCTL_SOMAXCONN, FIN, PROBES, SYSCTL_TCP_KEEPALIVE_INTVL};
        struct random random = random_start();
        struct config *config = config_new();

        BEGIN();
        for (unsigned run = 0; run < 20000; run++) {
                enum sysctl_id id = ids[random_below(&random, ELEMENTSOF(ids))];
                bool raise = sysctl_table[id].direction == SYSCTL_RAISE || random_below(&random, 2);
                struct sysctl_bounds *bounds = &config->bounds[id];
                struct action action = action_of(raise ? ACTION_RAISE : ACTION_LOWER, id, 0, 0);
                struct sysctl_value base, next;
                unsigned steps = 0;

                *bounds = sysctl_table[id].bounds;
                action.value = SYSCTL_VALUE(between(&random, bounds->min, bounds->max));
                bounds->min = between(&random, bounds->min, raise ? action.value.v[0] : bounds->max);
                bounds->max = between(&random, raise ? bounds->min : MAX(bounds->min, action.value.v[0]), bounds->max);
                action.factor = 1.1 + random_below(&random, 100) / 10.0;
                base = next = SYSCTL_VALUE(between(&random, -5, 2 * sysctl_table[id].bounds.max));
                do {
                        base = next;
                        next = action_next(&action, bounds, &snapshot, &base);
                        expect_the_guard_to_agree(config, id, &base, &next, random.seed);
                        ck_assert(raise ? next.v[0] >= base.v[0] : next.v[0] <= base.v[0]);
                        ck_assert_msg(steps++ < 300, "no end, seed %" PRIu64, random.seed);
                } while (!sysctl_equal(&base, &next));
                if (raise)
                        ck_assert_int_ge(next.v[0], MIN(action.value.v[0], bounds->max));
                else if (base.v[0] >= bounds->min)
                        ck_assert_int_le(next.v[0], MAX(action.value.v[0], bounds->min));
        }
        config_free(config);
}
END_TEST

START_TEST(ranges_are_what_the_guard_allows)
{
        struct random random = random_start();
        struct config *config = config_new();

        for (unsigned run = 0; run < 300; run++) {
                int64_t low = between(&random, 1024, 60000), high = between(&random, low + 1, 65535);
                int64_t wanted[2] = {between(&random, 1024, low), between(&random, high, 65535)};
                struct sysctl_value base = PAIR(low, high), next;
                struct action action = range_action(wanted);

                BEGIN(1 + random_below(&random, 65535), 1 + random_below(&random, 65535),
                      1 + random_below(&random, 65535));
                snapshot.sysctl[SYSCTL_IP_UNPRIVILEGED_PORT_START].value = SYSCTL_VALUE(random_below(&random, 5000));
                next = action_next(&action, &config->bounds[SYSCTL_IP_LOCAL_PORT_RANGE], &snapshot, &base);
                expect_the_guard_to_agree(config, SYSCTL_IP_LOCAL_PORT_RANGE, &base, &next, random.seed);
                ck_assert_uint_eq(port_range_taken(&snapshot, &next, &base), 0);
        }
        config_free(config);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, NULL, end);
        tcase_add_loop_test(tcase, next_value, 0, ELEMENTSOF(rows));
        tcase_add_loop_test(tcase, what_time_wait_needs_raises_its_table, 0, 3);
        tcase_add_test(tcase, memory_bounds_both_tables);
        tcase_add_loop_test(tcase, next_range, 0, ELEMENTSOF(range_rows));
        tcase_add_test(tcase, an_unknown_listener_stops_everything);
        tcase_add_test(tcase, taken_is_what_came_in);
        tcase_add_test(tcase, obstacles);
        tcase_add_test(tcase, has_effect);
        tcase_add_test(tcase, may_have_written);
        tcase_add_loop_test(tcase, a_larger_table_spoils, 0, 6);
        tcase_add_loop_test(tcase, a_table_that_is_not_known_may_spoil, 0, 4);
        tcase_add_test(tcase, a_table_that_nothing_needs_spoils_nothing);
        tcase_add_test(tcase, where_ports_are_reused_a_larger_table_spoils_nothing);
        tcase_add_test(tcase, steps_come_to_an_end);
        tcase_add_test(tcase, ranges_are_what_the_guard_allows);
}

int main(void)
{
        return run_suite("action", add);
}
