/* SPDX-License-Identifier: MIT */
/* What may be written at all. How often: check_limits_rates.c. */

#include <stdio.h>

#include "limited.h"

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
                char numbers[64];

                begin(12, 0);
                snapshot.memory_bytes = UINT64_C(1) << 30;
                ck_assert_int_eq(check_value(rows[i].id, SYSCTL_VALUE(rows[i].live), SYSCTL_VALUE(rows[i].most)), 0);
                ck_assert_int_eq(check_value(rows[i].id, SYSCTL_VALUE(rows[i].live), SYSCTL_VALUE(rows[i].most + 1)),
                                 -ERANGE);
                snprintf(numbers, sizeof(numbers), "%lld entries of %s", (long long)rows[i].most + 1,
                         sysctl_table[rows[i].id].name);
                ck_assert_msg(strncmp(reason, numbers, strlen(numbers)) == 0, "'%s'", reason);
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
        {"one parity", {32768, 60999}, {32768, 61000}, 1024, -ERANGE, "the other odd"},
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
        ports_begin(ports, &port_limits, NULL, &(struct port_set){0}, START + S,
                    S); /* and no commit: the dump failed before the listeners */
        for (unsigned m = METRIC_PORTS_FIRST; m <= METRIC_PORTS_LAST; m++)
                snapshot.reading[m].state = READING_INVALID;
        snapshot.now = START + S;
        ck_assert_msg(check_value(SYSCTL_IP_LOCAL_PORT_RANGE, PAIR(32768, 60999), PAIR(32768, 65535)) < 0,
                      "the listener of port 61000 is forgotten");
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
}

int main(void)
{
        return run_suite("guard", add);
}
