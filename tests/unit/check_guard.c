/* SPDX-License-Identifier: MIT */
#include "guard.h"

#include <errno.h>
#include <string.h>

#include "macro.h"
#include "random.h"
#include "run.h"

#define S NSEC_PER_SEC
#define START (UINT64_C(1000) * S)
#define PAIR(a, b) ((struct sysctl_value){.n = 2, .v = {(a), (b)}})

static const enum sysctl_id free_sysctls[] = {
        SYSCTL_TCP_TW_REUSE,        SYSCTL_TCP_TW_REUSE_DELAY,   SYSCTL_TCP_FIN_TIMEOUT,    SYSCTL_TCP_KEEPALIVE_TIME,
        SYSCTL_TCP_KEEPALIVE_INTVL, SYSCTL_TCP_KEEPALIVE_PROBES, SYSCTL_TCP_SYNACK_RETRIES, SYSCTL_TCP_ORPHAN_RETRIES,
};

static struct config *config;
static struct ports *ports;
static struct guard guard;
static struct snapshot snapshot;
static char reason[256];

static const struct ports_limits limits = {.low = 32768, .high = 60999, .timestamps = true};

static void end(void)
{
        ports_free(ports);
        config_free(config);
        ports = NULL;
        config = NULL;
}

/* The kernel's defaults, one listener on each of two ports, and everything read well. */
static void begin(double changes_per_minute, uint64_t min_interval)
{
        struct port_set listening = {0};

        end();
        ports = ports_new(1);
        config = config_new();
        config->changes_per_minute = changes_per_minute;
        config->min_interval_ns = min_interval;
        port_set_add(&listening, 8080);
        port_set_add(&listening, 61000);
        ports_begin(ports, &limits, &listening, START, S);
        ports_commit(ports, 0);
        snapshot = (struct snapshot){.now = START, .ports = ports, .memory_bytes = UINT64_C(64) << 30};
        for (unsigned m = METRIC_PORTS_FIRST; m <= METRIC_PORTS_LAST; m++)
                snapshot.reading[m] = reading_valid(0);
        snapshot.sysctl[SYSCTL_TCP_TIMESTAMPS] = (struct live_sysctl){READING_VALID, SYSCTL_VALUE(1)};
        snapshot.sysctl[SYSCTL_IP_UNPRIVILEGED_PORT_START] = (struct live_sysctl){READING_VALID, SYSCTL_VALUE(1024)};
        guard_init(&guard, config, START);
}

static int check_value(enum sysctl_id id, struct sysctl_value live, struct sysctl_value value)
{
        reason[0] = 0;
        return guard_check(&guard, config, &snapshot, id, &live, &value, 1, reason, sizeof(reason));
}

/* A value that nothing but the limits can object to. */
static int check_at(enum sysctl_id id, uint64_t now)
{
        int64_t max = sysctl_table[id].bounds.max;

        snapshot.now = now;
        return check_value(id, SYSCTL_VALUE(max - 1), SYSCTL_VALUE(max));
}

static int change_at(enum sysctl_id id, uint64_t now)
{
        int r = check_at(id, now);

        if (r == 0)
                guard_note_change(&guard, id, now);
        return r;
}

/* How many changes are let through at one instant, of different sysctls in turn. */
static unsigned burst_at(uint64_t now)
{
        unsigned n = 0;

        while (n < 10000 && change_at(free_sysctls[n % ELEMENTSOF(free_sysctls)], now) == 0)
                n++;
        return n;
}

static const struct value_row {
        const char *row;
        enum sysctl_id id;
        struct sysctl_value live, value;
        int r;
        const char *says;
} value_rows[] = {
        {"in bounds", SYSCTL_TCP_FIN_TIMEOUT, {1, {60, 0}}, {1, {15, 0}}, 0, ""},
        {"lower bound", SYSCTL_TCP_FIN_TIMEOUT, {1, {60, 0}}, {1, {10, 0}}, 0, ""},
        {"under it", SYSCTL_TCP_FIN_TIMEOUT, {1, {60, 0}}, {1, {9, 0}}, -ERANGE, "9 is outside 10-120"},
        {"negative", SYSCTL_TCP_FIN_TIMEOUT, {1, {60, 0}}, {1, {-5, 0}}, -ERANGE, "-5 is outside"},
        {"over the upper bound", SYSCTL_TCP_FIN_TIMEOUT, {1, {60, 0}}, {1, {121, 0}}, -ERANGE, "121"},
        {"never", SYSCTL_TCP_TIMESTAMPS, {1, {1, 0}}, {1, {0, 0}}, -EPERM, "never written"},
        {"never, though no change", SYSCTL_TCP_RFC1337, {1, {0, 0}}, {1, {0, 0}}, -EPERM, "never written"},
        {"lowered", SYSCTL_TCP_MAX_TW_BUCKETS, {1, {262144, 0}}, {1, {131072, 0}}, -ERANGE, "only ever raised"},
        {"raised", SYSCTL_TCP_MAX_TW_BUCKETS, {1, {131072, 0}}, {1, {262144, 0}}, 0, ""},
        {"no value", SYSCTL_TCP_FIN_TIMEOUT, {1, {60, 0}}, {0}, -ERANGE, "tcp_fin_timeout"},
        {"reuse", SYSCTL_TCP_TW_REUSE, {1, {2, 0}}, {1, {1, 0}}, 0, ""},
};

START_TEST(values)
{
        const struct value_row *row = &value_rows[_i];
        int r;

        begin(12, 5 * S);
        r = check_value(row->id, row->live, row->value);
        ck_assert_msg(r == row->r, "%s: %d (%s)", row->row, r, reason);
        ck_assert_msg(strstr(reason, row->says), "%s: '%s'", row->row, reason);
}
END_TEST

START_TEST(narrowed_bounds)
{
        static const struct {
                enum sysctl_id id;
                struct sysctl_bounds bounds;
                struct sysctl_value live, value;
                int r;
                const char *says;
        } rows[] = {
                {SYSCTL_TCP_FIN_TIMEOUT, {20, 40}, {1, {60}}, {1, {30}}, 0, ""},
                {SYSCTL_TCP_FIN_TIMEOUT, {20, 40}, {1, {60}}, {1, {19}}, -ERANGE, "19 is outside 20-40 for net"},
                {SYSCTL_TCP_FIN_TIMEOUT, {20, 40}, {1, {60}}, {1, {41}}, -ERANGE, "41 is outside 20-40 for net"},
                {SYSCTL_TCP_FIN_TIMEOUT, {20, 40}, {1, {60}}, {1, {9}}, -ERANGE, "9 is outside 10-120"},
                {SYSCTL_IP_LOCAL_PORT_RANGE, {33000, 60999}, {2, {40000, 50001}}, {2, {33000, 60999}}, 0, ""},
                {SYSCTL_IP_LOCAL_PORT_RANGE,
                 {33000, 60999},
                 {2, {40000, 50001}},
                 {2, {32998, 60999}},
                 -ERANGE,
                 "32998"},
                {SYSCTL_IP_LOCAL_PORT_RANGE,
                 {33000, 59999},
                 {2, {40000, 50001}},
                 {2, {33000, 60001}},
                 -ERANGE,
                 "60001"},
        };

        for (int i = 0, r; i < (int)ELEMENTSOF(rows); i++) {
                begin(12, 0);
                config->bounds[rows[i].id] = rows[i].bounds;
                r = check_value(rows[i].id, rows[i].live, rows[i].value);
                ck_assert_msg(r == rows[i].r && strstr(reason, rows[i].says), "row %d: %d (%s)", i, r, reason);
        }
}
END_TEST

START_TEST(memory_bounds_both_tables)
{
        static const struct {
                enum sysctl_id id;
                int64_t live, most;
        } rows[] = {{SYSCTL_TCP_MAX_TW_BUCKETS, 65536, 262144}, {SYSCTL_TCP_MAX_ORPHANS, 4096, 16384}};

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                begin(12, 0);
                snapshot.memory_bytes = UINT64_C(1) << 30;
                ck_assert_int_eq(check_value(rows[i].id, SYSCTL_VALUE(rows[i].live), SYSCTL_VALUE(rows[i].most)), 0);
                ck_assert_int_eq(check_value(rows[i].id, SYSCTL_VALUE(rows[i].live), SYSCTL_VALUE(rows[i].most + 1)),
                                 -ERANGE);
        }
}
END_TEST

/* What is wrong for ever is said, whatever the limits are. */
START_TEST(never_comes_before_not_yet)
{
        begin(1, 60 * S);
        ck_assert_int_eq(change_at(SYSCTL_TCP_FIN_TIMEOUT, START), 0);
        ck_assert_int_eq(check_at(SYSCTL_TCP_FIN_TIMEOUT, START), -EAGAIN);
        ck_assert_int_eq(check_value(SYSCTL_TCP_FIN_TIMEOUT, SYSCTL_VALUE(60), SYSCTL_VALUE(9)), -ERANGE);
        ck_assert_int_eq(check_value(SYSCTL_TCP_RFC1337, SYSCTL_VALUE(0), SYSCTL_VALUE(1)), -EPERM);
}
END_TEST

static const struct reuse_row {
        const char *row;
        struct live_sysctl timestamps;
        int64_t value;
        int r;
} reuse_rows[] = {
        {"timestamps on", {READING_VALID, {1, {1, 0}}}, 1, 0},
        {"timestamps without offset", {READING_VALID, {1, {2, 0}}}, 1, 0},
        {"timestamps off", {READING_VALID, {1, {0, 0}}}, 1, -EPERM},
        {"timestamps off, loopback", {READING_VALID, {1, {0, 0}}}, 2, -EPERM},
        {"timestamps off, reuse off", {READING_VALID, {1, {0, 0}}}, 0, 0},
        {"not read", {READING_INVALID, {1, {1, 0}}}, 1, -EAGAIN},
        {"not there", {READING_UNAVAILABLE, {1, {1, 0}}}, 1, -EPERM},
};

START_TEST(reuse_needs_timestamps)
{
        const struct reuse_row *row = &reuse_rows[_i];
        int r;

        begin(12, 0);
        snapshot.sysctl[SYSCTL_TCP_TIMESTAMPS] = row->timestamps;
        r = check_value(SYSCTL_TCP_TW_REUSE, SYSCTL_VALUE(row->value == 0), SYSCTL_VALUE(row->value));
        ck_assert_msg(r == row->r, "%s: %d (%s)", row->row, r, reason);
        ck_assert_msg(r == 0 || strstr(reason, "tcp_timestamps"), "%s: '%s'", row->row, reason);
}
END_TEST

static const struct range_row {
        const char *row;
        int64_t live[2], value[2], unprivileged;
        int r;
        const char *says;
} range_rows[] = {
        {"the same", {32768, 60999}, {32768, 60999}, 1024, 0, ""},
        {"up to the listener", {40000, 60997}, {32768, 60999}, 1024, 0, ""},
        {"over the listener", {32768, 60999}, {32768, 65535}, 1024, -ERANGE, "port 61000 has a listener"},
        {"the listener is the new end", {32769, 60998}, {32769, 61000}, 1024, -ERANGE, "port 61000"},
        {"the listener is in the live range", {32768, 61001}, {32768, 65535}, 1024, 0, ""},
        {"the listener was the live end", {32769, 61000}, {32769, 65534}, 1024, 0, ""},
        {"behind the listener", {61003, 65534}, {61001, 65534}, 1024, 0, ""},
        {"down to the listener", {61001, 65534}, {61000, 65535}, 1024, -ERANGE, "port 61000"},
        {"privileged", {40000, 60999}, {32768, 60999}, 32769, -ERANGE, "port 32768 is privileged"},
        {"just not privileged", {40000, 60999}, {32768, 60999}, 32768, 0, ""},
        {"NodePorts", {32768, 60999}, {30000, 60999}, 1024, -ERANGE, "is a NodePort"},
        {"under NodePorts", {30000, 60999}, {29998, 60999}, 1024, 0, ""},
        {"one parity", {32768, 60999}, {32768, 61000}, 1024, -ERANGE, "different parity"},
        {"moved", {32768, 60999}, {32769, 65534}, 1024, -ERANGE, "only ever widened"},
        {"narrower", {32768, 60999}, {32768, 60997}, 1024, -ERANGE, "only ever widened"},
};

START_TEST(port_range)
{
        const struct range_row *row = &range_rows[_i];
        int r;

        begin(12, 0);
        snapshot.sysctl[SYSCTL_IP_UNPRIVILEGED_PORT_START].value = SYSCTL_VALUE(row->unprivileged);
        r = check_value(SYSCTL_IP_LOCAL_PORT_RANGE, PAIR(row->live[0], row->live[1]),
                        PAIR(row->value[0], row->value[1]));
        ck_assert_msg(r == row->r && strstr(reason, row->says), "%s: %d (%s)", row->row, r, reason);
}
END_TEST

/* Who listens is only known from a good dump, and what is privileged from a good read. */
START_TEST(port_range_is_not_widened_blindly)
{
        begin(12, 0);
        snapshot.sysctl[SYSCTL_IP_UNPRIVILEGED_PORT_START].state = READING_INVALID;
        ck_assert_msg(check_value(SYSCTL_IP_LOCAL_PORT_RANGE, PAIR(40000, 60999), PAIR(32768, 60999)) < 0,
                      "ip_unprivileged_port_start is not known");
}
END_TEST

START_TEST(port_range_is_not_widened_after_a_failed_dump)
{
        begin(12, 0);
        ports_begin(ports, &limits, &(struct port_set){0}, START + S,
                    S); /* and no commit: the dump failed before the listeners */
        for (unsigned m = METRIC_PORTS_FIRST; m <= METRIC_PORTS_LAST; m++)
                snapshot.reading[m].state = READING_INVALID;
        snapshot.now = START + S;
        ck_assert_msg(check_value(SYSCTL_IP_LOCAL_PORT_RANGE, PAIR(32768, 60999), PAIR(32768, 65535)) < 0,
                      "the listener of port 61000 is forgotten");
}
END_TEST

static const double rates[] = {1, 1.5, 2, 12, 59, 600};

START_TEST(bucket_holds_a_minute)
{
        unsigned size = (unsigned)rates[_i];

        begin(rates[_i], 0);
        ck_assert_uint_eq(burst_at(START), size);
        ck_assert_int_eq(check_at(SYSCTL_TCP_FIN_TIMEOUT, START), -EAGAIN);
        ck_assert_msg(strstr(reason, "changes_per_minute"), "'%s'", reason);
        ck_assert_uint_eq(burst_at(START + 3600 * S), size); /* and no more after an hour */
        ck_assert_uint_eq(burst_at(START + 3600 * S), 0);
}
END_TEST

START_TEST(bucket_fills_evenly)
{
        begin(12, 0);
        ck_assert_uint_eq(burst_at(START), 12);
        ck_assert_uint_eq(burst_at(START + 5 * S - 1), 0);
        ck_assert_uint_eq(burst_at(START + 5 * S), 1);
        ck_assert_uint_eq(burst_at(START + 10 * S), 1);
        ck_assert_uint_eq(burst_at(START + 40 * S), 6);
        ck_assert_uint_eq(burst_at(START + 40 * S), 0);
}
END_TEST

START_TEST(looking_takes_nothing)
{
        begin(1, 60 * S);
        for (unsigned i = 0; i < 1000; i++)
                ck_assert_int_eq(check_at(SYSCTL_TCP_FIN_TIMEOUT, START), 0);
        ck_assert_int_eq(change_at(SYSCTL_TCP_FIN_TIMEOUT, START), 0);
        for (unsigned i = 0; i < 1000; i++) /* nor does it keep the bucket from filling */
                ck_assert_int_eq(check_at(SYSCTL_TCP_TW_REUSE, START + i * S / 20), -EAGAIN);
        ck_assert_int_eq(check_at(SYSCTL_TCP_TW_REUSE, START + 60 * S), 0);
}
END_TEST

START_TEST(one_sysctl_rests_for_min_interval)
{
        begin(600, 5 * S);
        ck_assert_int_eq(change_at(SYSCTL_TCP_FIN_TIMEOUT, START), 0);
        ck_assert_int_eq(check_at(SYSCTL_TCP_FIN_TIMEOUT, START), -EAGAIN);
        ck_assert_int_eq(check_at(SYSCTL_TCP_FIN_TIMEOUT, START + 5 * S - 1), -EAGAIN);
        ck_assert_msg(strstr(reason, "net.ipv4.tcp_fin_timeout") && strstr(reason, "min_interval"), "'%s'", reason);
        ck_assert_int_eq(check_at(SYSCTL_TCP_TW_REUSE, START + 1), 0);
        ck_assert_int_eq(check_at(SYSCTL_TCP_FIN_TIMEOUT, START + 5 * S), 0);
}
END_TEST

/* The first seconds after the boot are like any others. */
START_TEST(what_was_never_changed_needs_no_rest)
{
        begin(600, 5 * S);
        guard_init(&guard, config, 1);
        ck_assert_int_eq(change_at(SYSCTL_TCP_FIN_TIMEOUT, 1), 0);
        ck_assert_int_eq(check_at(SYSCTL_TCP_FIN_TIMEOUT, S), -EAGAIN);
        ck_assert_int_eq(check_at(SYSCTL_TCP_TW_REUSE, S), 0);
}
END_TEST

START_TEST(no_min_interval_is_no_rest)
{
        begin(600, 0);
        ck_assert_int_eq(change_at(SYSCTL_TCP_FIN_TIMEOUT, START), 0);
        ck_assert_int_eq(change_at(SYSCTL_TCP_FIN_TIMEOUT, START), 0);
}
END_TEST

START_TEST(restores_take_nothing_from_the_bucket)
{
        begin(2, 5 * S);
        for (unsigned i = 0; i < 100; i++)
                guard_note_restore(&guard, SYSCTL_TCP_FIN_TIMEOUT, START);
        ck_assert_int_eq(check_at(SYSCTL_TCP_FIN_TIMEOUT, START), -EAGAIN); /* it was changed */
        ck_assert_int_eq(change_at(SYSCTL_TCP_TW_REUSE, START), 0);
        ck_assert_int_eq(change_at(SYSCTL_TCP_TW_REUSE_DELAY, START), 0);
        ck_assert_int_eq(change_at(SYSCTL_TCP_KEEPALIVE_TIME, START), -EAGAIN);
}
END_TEST

START_TEST(past_changes_count)
{
        static const struct {
                uint64_t ago;
                unsigned burst; /* of four a minute, after two past changes */
                int same;       /* of the sysctls that were changed */
        } rows[] = {
                {0, 2, -EAGAIN},    {1, 2, -EAGAIN}, {5 * S - 1, 2, -EAGAIN}, {5 * S, 2, 0},
                {60 * S - 1, 2, 0}, {60 * S, 4, 0},  {900 * S, 4, 0},
        };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                begin(4, 5 * S);
                guard_note_past(&guard, SYSCTL_SOMAXCONN, START - rows[i].ago, START);
                guard_note_past(&guard, SYSCTL_TCP_MAX_ORPHANS, START - rows[i].ago, START);
                ck_assert_msg(check_at(SYSCTL_SOMAXCONN, START) == rows[i].same, "row %u", i);
                ck_assert_msg(burst_at(START) == rows[i].burst, "row %u", i);
        }
}
END_TEST

/* ledger_note() may put a write a few ns into the future. */
START_TEST(past_change_in_the_future_counts_as_now)
{
        begin(2, 5 * S);
        guard_note_past(&guard, SYSCTL_SOMAXCONN, START + 1, START);
        ck_assert_int_eq(check_at(SYSCTL_SOMAXCONN, START), -EAGAIN);
        ck_assert_uint_eq(burst_at(START), 1);
}
END_TEST

/* The administrator lowered the rate, and restarted: a minute later changes are possible again. */
START_TEST(past_changes_do_not_block_for_long)
{
        begin(1, 0);
        for (unsigned i = 0; i < ELEMENTSOF(free_sysctls); i++)
                guard_note_past(&guard, free_sysctls[i], START - 30 * S, START);
        ck_assert_int_eq(check_at(SYSCTL_TCP_FIN_TIMEOUT, START), -EAGAIN);
        ck_assert_int_eq(check_at(SYSCTL_TCP_FIN_TIMEOUT, START + 60 * S), 0);
}
END_TEST

struct change_made {
        uint64_t at;
        enum sysctl_id id;
};

/* Between any two changes: no more than the bucket, and what it gained in that time. */
static void expect_limited(const struct change_made *made, unsigned n, double rate, uint64_t min_interval,
                           uint64_t seed)
{
        for (unsigned j = 0; j < n; j++)
                for (unsigned i = 0; i <= j; i++) {
                        uint64_t apart = made[j].at - made[i].at;
                        double most = rate + rate * (double)apart / (60.0 * 1e9);

                        if ((double)(j - i + 1) > most + 1e-6)
                                ck_abort_msg("%u changes in %" PRIu64 " ns at %g a minute, seed %" PRIu64, j - i + 1,
                                             apart, rate, seed);
                        if (i != j && made[i].id == made[j].id && apart < min_interval)
                                ck_abort_msg("one sysctl again after %" PRIu64 " ns, seed %" PRIu64, apart, seed);
                }
}

static uint64_t random_pause(struct random *random)
{
        switch (random_below(random, 4)) {
        case 0:
                return 0;
        case 1:
                return random_below(random, 1000);
        case 2:
                return S;
        default:
                return random_below(random, 20) * S / (1 + random_below(random, 10));
        }
}

/* Changes and restores of random sysctls at random times. */
START_TEST(never_more_than_the_limits_allow)
{
        static struct change_made made[3000];
        struct random random = random_start();
        uint64_t now = START, min_interval = random_below(&random, 10) * S;
        double rate = rates[_i];
        unsigned n = 0;

        begin(rate, min_interval);
        for (unsigned i = 0; i < 20000 && n < ELEMENTSOF(made); i++) {
                enum sysctl_id id = free_sysctls[random_below(&random, ELEMENTSOF(free_sysctls))];

                now += random_pause(&random);
                if (random_below(&random, 10) == 0)
                        guard_note_restore(&guard, id, now);
                else if (change_at(id, now) == 0)
                        made[n++] = (struct change_made){now, id};
        }
        ck_assert_msg(n > 1, "only %u changes at %g a minute, seed %" PRIu64, n, rate, random.seed);
        expect_limited(made, n, rate, min_interval, random.seed);
}
END_TEST

START_TEST(never_more_than_twice_the_rate_in_a_minute)
{
        unsigned n = 0;

        begin(12, 0);
        for (uint64_t t = 0; t < 60 * S; t += S / 10)
                n += burst_at(START + t);
        ck_assert_uint_le(n, 24);
        ck_assert_uint_ge(n, 12);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, NULL, end);
        tcase_add_loop_test(tcase, values, 0, ELEMENTSOF(value_rows));
        tcase_add_test(tcase, narrowed_bounds);
        tcase_add_test(tcase, memory_bounds_both_tables);
        tcase_add_test(tcase, never_comes_before_not_yet);
        tcase_add_loop_test(tcase, reuse_needs_timestamps, 0, ELEMENTSOF(reuse_rows));
        tcase_add_loop_test(tcase, port_range, 0, ELEMENTSOF(range_rows));
        tcase_add_test(tcase, port_range_is_not_widened_blindly);
        tcase_add_test(tcase, port_range_is_not_widened_after_a_failed_dump);
        tcase_add_loop_test(tcase, bucket_holds_a_minute, 0, ELEMENTSOF(rates));
        tcase_add_test(tcase, bucket_fills_evenly);
        tcase_add_test(tcase, looking_takes_nothing);
        tcase_add_test(tcase, one_sysctl_rests_for_min_interval);
        tcase_add_test(tcase, what_was_never_changed_needs_no_rest);
        tcase_add_test(tcase, no_min_interval_is_no_rest);
        tcase_add_test(tcase, restores_take_nothing_from_the_bucket);
        tcase_add_test(tcase, past_changes_count);
        tcase_add_test(tcase, past_change_in_the_future_counts_as_now);
        tcase_add_test(tcase, past_changes_do_not_block_for_long);
        tcase_add_loop_test(tcase, never_more_than_the_limits_allow, 0, ELEMENTSOF(rates));
        tcase_add_test(tcase, never_more_than_twice_the_rate_in_a_minute);
}

int main(void)
{
        return run_suite("guard", add);
}
