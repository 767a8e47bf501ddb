/* SPDX-License-Identifier: MIT */
#include "lib/kernel/sysctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/util/macro.h"
#include "run.h"

#define VALUE1(x) \
        { \
                .n = 1, .v = {(x), 0 } \
        }
#define PAIR(a, b) \
        { \
                .n = 2, .v = {(a), (b) } \
        }

static bool has_bounds(unsigned id)
{
        return !sysctl_table[id].never && sysctl_table[id].n == 1;
}

START_TEST(row_is_whole)
{
        const struct sysctl *s = &sysctl_table[_i];

        ck_assert_msg(s->name && s->help, "row %d has no name or no help", _i);
        ck_assert_msg(s->n <= 3, "%s has %u numbers", s->name, s->n);
        ck_assert_msg(s->never || (s->n > 0 && s->bounds.min <= s->bounds.max), "%s has no bounds", s->name);
        for (int i = 0; i < _i; i++)
                ck_assert_msg(strcmp(s->name, sysctl_table[i].name) != 0, "%s is there twice", s->name);
}
END_TEST

START_TEST(row_is_found)
{
        const char *name = sysctl_table[_i].name;
        char path[64];

        snprintf(path, sizeof(path), "%s", name);
        for (char *p = path; *p; p++)
                *p = *p == '.' ? '/' : *p;
        ck_assert_msg(sysctl_find(name) == (enum sysctl_id)_i, "%s is not found", name);
        ck_assert_msg(sysctl_find(path) == (enum sysctl_id)_i, "%s is not found", path);
}
END_TEST

START_TEST(unknown_name_is_not_found)
{
        static const char *const names[] = {
                "",
                ".",
                "net",
                "net.ipv4.",
                "net.ipv4.tcp_tw_reus",
                "net.ipv4.tcp_tw_reuse ",
                "net.ipv4.tcp_tw_reuse.",
                "net.ipv4.tcp_tw_reuse_delayed",
                " net.ipv4.tcp_tw_reuse",
                "tcp_tw_reuse",
                "NET.IPV4.TCP_TW_REUSE",
                "net.ipv4/tcp.tw_reuse",
                "net-ipv4-tcp_tw_reuse",
        };
        char longest[4096];

        for (unsigned i = 0; i < ELEMENTSOF(names); i++)
                ck_assert_msg(sysctl_find(names[i]) == SYSCTL_COUNT, "'%s' is found", names[i]);
        memset(longest, 'n', sizeof(longest) - 1);
        longest[sizeof(longest) - 1] = 0;
        ck_assert_int_eq(sysctl_find(longest), SYSCTL_COUNT);
}
END_TEST

/* The promised bounds, written down a second time, so that nobody changes the table by mistake. */
static const struct bounds {
        enum sysctl_id id;
        int64_t min, max;
        enum sysctl_direction direction;
} bounds[] = {
        {SYSCTL_TCP_TW_REUSE, 0, 2, SYSCTL_BOTH},
        {SYSCTL_TCP_TW_REUSE_DELAY, 250, 60000, SYSCTL_LESS},
        {SYSCTL_IP_LOCAL_PORT_RANGE, 1024, 65535, SYSCTL_WIDEN},
        {SYSCTL_TCP_MAX_TW_BUCKETS, 65536, 16777216, SYSCTL_RAISE},
        {SYSCTL_TCP_FIN_TIMEOUT, 10, 120, SYSCTL_LESS},
        {SYSCTL_TCP_KEEPALIVE_TIME, 60, 86400, SYSCTL_LESS},
        {SYSCTL_TCP_KEEPALIVE_INTVL, 5, 3600, SYSCTL_LESS},
        {SYSCTL_TCP_KEEPALIVE_PROBES, 3, 20, SYSCTL_LESS},
        {SYSCTL_TCP_SYNCOOKIES, 1, 1, SYSCTL_BOTH},
        {SYSCTL_TCP_MAX_SYN_BACKLOG, 128, 1048576, SYSCTL_RAISE},
        {SYSCTL_SOMAXCONN, 128, 1048576, SYSCTL_RAISE},
        {SYSCTL_TCP_SYNACK_RETRIES, 2, 5, SYSCTL_LESS},
        {SYSCTL_TCP_ORPHAN_RETRIES, 5, 8, SYSCTL_LESS},
        {SYSCTL_TCP_MAX_ORPHANS, 4096, 4194304, SYSCTL_RAISE},
};

static const enum sysctl_id never[] = {
        SYSCTL_IP_LOCAL_RESERVED_PORTS,
        SYSCTL_IP_UNPRIVILEGED_PORT_START,
        SYSCTL_TCP_MEM,
        SYSCTL_NF_CONNTRACK_MAX,
        SYSCTL_NF_CONNTRACK_TCP_TIMEOUT_TIME_WAIT,
        SYSCTL_TCP_TIMESTAMPS,
        SYSCTL_TCP_RFC1337,
        SYSCTL_TCP_ABORT_ON_OVERFLOW,
        SYSCTL_TCP_TW_RECYCLE,
};

START_TEST(bounds_are_as_promised)
{
        const struct bounds *b = &bounds[_i];
        const struct sysctl *s = &sysctl_table[b->id];

        ck_assert_int_eq(ELEMENTSOF(bounds) + ELEMENTSOF(never), SYSCTL_COUNT);
        ck_assert_msg(!s->never && s->bounds.min == b->min && s->bounds.max == b->max, "bounds of %s", s->name);
        ck_assert_msg(s->direction == b->direction, "direction of %s", s->name);
}
END_TEST

START_TEST(never_is_never_written)
{
        const struct sysctl *s = &sysctl_table[never[_i]];
        char reason[256] = "";

        for (int64_t x = -1; x <= 3; x++) {
                struct sysctl_value value = SYSCTL_VALUE(x);

                ck_assert_msg(sysctl_check(never[_i], &value, reason, sizeof(reason)) == -EPERM, "%s", s->name);
                ck_assert_msg(strstr(reason, s->name) && strstr(reason, s->never), "%s: '%s'", s->name, reason);
        }
}
END_TEST

static int check_number(unsigned id, int64_t x, char reason[static 256])
{
        struct sysctl_value value = SYSCTL_VALUE(x);

        reason[0] = 0;
        return sysctl_check(id, &value, reason, 256);
}

START_TEST(bounds_are_inclusive)
{
        const struct sysctl *s = &sysctl_table[_i];
        char reason[256];

        if (!has_bounds((unsigned)_i))
                return;
        ck_assert_msg(check_number((unsigned)_i, s->bounds.min, reason) == 0, "%s = min: %s", s->name, reason);
        ck_assert_msg(check_number((unsigned)_i, s->bounds.max, reason) == 0, "%s = max: %s", s->name, reason);
        ck_assert_str_eq(reason, "");
}
END_TEST

START_TEST(outside_of_bounds_is_refused)
{
        const struct sysctl *s = &sysctl_table[_i];
        const int64_t outside[] = {s->bounds.min - 1, s->bounds.max + 1, INT64_MIN, INT64_MAX, -5};
        char reason[256], number[32];

        for (unsigned i = 0; i < ELEMENTSOF(outside) && has_bounds((unsigned)_i); i++) {
                bool says_why = outside[i] < s->bounds.min && s->below;

                snprintf(number, sizeof(number), "%lld is outside", (long long)outside[i]);
                ck_assert_msg(check_number((unsigned)_i, outside[i], reason) == -ERANGE, "%s: %s", s->name, number);
                ck_assert_msg(strstr(reason, number) && strstr(reason, s->name), "'%s'", reason);
                ck_assert_msg(!says_why || strstr(reason, s->below), "'%s' does not say why", reason);
                ck_assert_msg(says_why || !s->below || !strstr(reason, s->below), "'%s'", reason);
        }
}
END_TEST

START_TEST(port_range_is_checked)
{
        static const struct {
                int64_t low, high;
                int r;
        } rows[] = {
                {32768, 65535, 0},
                {32768, 60999, 0},
                {32769, 60998, 0},
                {65534, 65535, 0},
                {32768, 32769, 0},
                {1023, 60998, -ERANGE},
                {1024, 65535, 0},
                {30000, 60999, 0},
                {32768, 65536, -ERANGE},
                {32768, 65534, -ERANGE},
                {32769, 65535, -ERANGE},
                {40000, 40000, -ERANGE},
                {60999, 32768, -ERANGE},
                {-1, 65535, -ERANGE},
                {32768, INT64_MAX, -ERANGE},
                {INT64_MIN, INT64_MAX, -ERANGE},
        };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                struct sysctl_value value = PAIR(rows[i].low, rows[i].high);
                char reason[256] = "";
                int r = sysctl_check(SYSCTL_IP_LOCAL_PORT_RANGE, &value, reason, sizeof(reason));

                ck_assert_msg(r == rows[i].r, "row %u: %d (%s)", i, r, reason);
                ck_assert_msg((r < 0) == (reason[0] != 0), "row %u: reason '%s'", i, reason);
        }
}
END_TEST

/* "No value" and half a pair are not to be written either. */
START_TEST(value_has_as_many_numbers_as_the_row)
{
        const struct sysctl *s = &sysctl_table[_i];
        struct sysctl_value value = {.v = {s->bounds.min, s->bounds.max}};
        char reason[256];

        for (value.n = 0; value.n <= 2; value.n++)
                ck_assert_msg(s->never || value.n == s->n ||
                                      sysctl_check((enum sysctl_id)_i, &value, reason, sizeof(reason)) < 0,
                              "%s takes a value of %u numbers", s->name, value.n);
}
END_TEST

START_TEST(reason_keeps_to_its_buffer)
{
        struct sysctl_value value = SYSCTL_VALUE(1);
        char reason[16];

        memset(reason, 'x', sizeof(reason));
        ck_assert_int_eq(sysctl_check(SYSCTL_TCP_TW_RECYCLE, &value, reason, 8), -EPERM);
        ck_assert_str_eq(reason, "net.ipv");
        ck_assert_int_eq(reason[8], 'x');
}
END_TEST

START_TEST(text_is_parsed)
{
        static const struct {
                enum sysctl_id id;
                const char *text;
                struct sysctl_value value; /* n == 0: refused */
        } rows[] = {
                {SYSCTL_TCP_TW_REUSE, "1", VALUE1(1)},
                {SYSCTL_TCP_TW_REUSE, "1\n", VALUE1(1)},
                {SYSCTL_TCP_TW_REUSE, " \t1 \t\n", VALUE1(1)},
                {SYSCTL_TCP_TW_REUSE, "007", VALUE1(7)},
                {SYSCTL_TCP_FIN_TIMEOUT, "-5", VALUE1(-5)},
                {SYSCTL_TCP_FIN_TIMEOUT, "9223372036854775807", VALUE1(INT64_MAX)},
                {SYSCTL_TCP_FIN_TIMEOUT, "-9223372036854775808", VALUE1(INT64_MIN)},
                {SYSCTL_TCP_FIN_TIMEOUT, "9223372036854775808", {0}},
                {SYSCTL_TCP_FIN_TIMEOUT, "-9223372036854775809", {0}},
                {SYSCTL_TCP_FIN_TIMEOUT, "99999999999999999999999999", {0}},
                {SYSCTL_TCP_FIN_TIMEOUT, "", {0}},
                {SYSCTL_TCP_FIN_TIMEOUT, " ", {0}},
                {SYSCTL_TCP_FIN_TIMEOUT, "\n", {0}},
                {SYSCTL_TCP_FIN_TIMEOUT, "-", {0}},
                {SYSCTL_TCP_FIN_TIMEOUT, "- 5", {0}},
                {SYSCTL_TCP_FIN_TIMEOUT, "0x10", {0}},
                {SYSCTL_TCP_FIN_TIMEOUT, "1.5", {0}},
                {SYSCTL_TCP_FIN_TIMEOUT, "1e3", {0}},
                {SYSCTL_TCP_FIN_TIMEOUT, "60s", {0}},
                {SYSCTL_TCP_FIN_TIMEOUT, "60 61", {0}},
                {SYSCTL_TCP_FIN_TIMEOUT, "60,", {0}},
                {SYSCTL_TCP_FIN_TIMEOUT, "60\r\n", {0}},
                {SYSCTL_TCP_FIN_TIMEOUT, "yes", {0}},
                {SYSCTL_IP_LOCAL_PORT_RANGE, "32768 60999", PAIR(32768, 60999)},
                {SYSCTL_IP_LOCAL_PORT_RANGE, "32768\t60999\n", PAIR(32768, 60999)},
                {SYSCTL_IP_LOCAL_PORT_RANGE, "-1 -2", PAIR(-1, -2)},
                {SYSCTL_IP_LOCAL_PORT_RANGE, "32768", {0}},
                {SYSCTL_IP_LOCAL_PORT_RANGE, "32768\n", {0}},
                {SYSCTL_IP_LOCAL_PORT_RANGE, "32768-60999", {0}},
                {SYSCTL_IP_LOCAL_PORT_RANGE, "32768,60999", {0}},
                {SYSCTL_IP_LOCAL_PORT_RANGE, "32768 60999 5", {0}},
                {SYSCTL_IP_LOCAL_RESERVED_PORTS, "", {0}},
                {SYSCTL_IP_LOCAL_RESERVED_PORTS, "8080", {0}},
                {SYSCTL_IP_LOCAL_RESERVED_PORTS, "8080,9000-9010", {0}},
        };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                const struct sysctl_value untouched = {.n = 7, .v = {77, 777}};
                const struct sysctl_value *want = rows[i].value.n > 0 ? &rows[i].value : &untouched;
                struct sysctl_value value = untouched;
                int r = sysctl_parse(rows[i].id, rows[i].text, &value);

                ck_assert_msg(r == (rows[i].value.n > 0 ? 0 : -EINVAL), "'%s': %d", rows[i].text, r);
                ck_assert_msg(memcmp(&value, want, sizeof(value)) == 0, "'%s': %u numbers, %lld %lld", rows[i].text,
                              value.n, (long long)value.v[0], (long long)value.v[1]);
        }
}
END_TEST

START_TEST(text_comes_back)
{
        static const struct {
                struct sysctl_value value;
                const char *text;
        } rows[] = {
                {{0}, ""},
                {VALUE1(0), "0"},
                {VALUE1(-5), "-5"},
                {VALUE1(INT64_MAX), "9223372036854775807"},
                {PAIR(32768, 60999), "32768 60999"},
                {PAIR(INT64_MIN, INT64_MIN), "-9223372036854775808 -9223372036854775808"},
        };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                enum sysctl_id id = rows[i].value.n == 2 ? SYSCTL_IP_LOCAL_PORT_RANGE : SYSCTL_TCP_FIN_TIMEOUT;
                struct sysctl_value value = {0};
                char buf[SYSCTL_TEXT_MAX];

                ck_assert_str_eq(sysctl_format(&rows[i].value, buf), rows[i].text);
                ck_assert_int_eq(sysctl_parse(id, buf, &value), rows[i].value.n > 0 ? 0 : -EINVAL);
                ck_assert_msg(sysctl_equal(&value, &rows[i].value), "'%s' comes back as another", buf);
        }
}
END_TEST

START_TEST(values_are_equal_or_not)
{
        struct sysctl_value one = VALUE1(1), odd = {.n = 1, .v = {1, 99}}, two = VALUE1(2);
        struct sysctl_value pair = PAIR(1, 2), other = PAIR(1, 3);

        ck_assert(sysctl_equal(&one, &odd)); /* what is behind n does not count */
        ck_assert(!sysctl_equal(&one, &two));
        ck_assert(!sysctl_equal(&one, &pair));
        ck_assert(sysctl_equal(&pair, &(struct sysctl_value)PAIR(1, 2)));
        ck_assert(!sysctl_equal(&pair, &other));
}
END_TEST

START_TEST(direction_is_kept)
{
        static const struct {
                enum sysctl_id id;
                struct sysctl_value live, value;
                int r;
        } rows[] = {
                {SYSCTL_TCP_MAX_TW_BUCKETS, VALUE1(131072), VALUE1(131071), -ERANGE},
                {SYSCTL_TCP_MAX_TW_BUCKETS, VALUE1(131072), VALUE1(131072), 0},
                {SYSCTL_TCP_MAX_TW_BUCKETS, VALUE1(131072), VALUE1(131073), 0},
                {SYSCTL_TCP_MAX_TW_BUCKETS, VALUE1(-1), VALUE1(65536), 0},
                {SYSCTL_SOMAXCONN, VALUE1(4096), VALUE1(4095), -ERANGE},
                {SYSCTL_TCP_MAX_SYN_BACKLOG, VALUE1(4096), VALUE1(128), -ERANGE},
                {SYSCTL_TCP_MAX_ORPHANS, VALUE1(INT64_MAX), VALUE1(4096), -ERANGE},
                {SYSCTL_TCP_FIN_TIMEOUT, VALUE1(60), VALUE1(15), 0},
                {SYSCTL_TCP_FIN_TIMEOUT, VALUE1(15), VALUE1(60), 0},
                {SYSCTL_IP_LOCAL_PORT_RANGE, PAIR(32768, 60999), PAIR(32768, 60999), 0},
                {SYSCTL_IP_LOCAL_PORT_RANGE, PAIR(40000, 60999), PAIR(32768, 65535), 0},
                {SYSCTL_IP_LOCAL_PORT_RANGE, PAIR(32768, 60999), PAIR(32769, 61000), -ERANGE},
                {SYSCTL_IP_LOCAL_PORT_RANGE, PAIR(32768, 60999), PAIR(32768, 60997), -ERANGE},
                {SYSCTL_IP_LOCAL_PORT_RANGE, PAIR(1024, 65000), PAIR(32768, 65535), -ERANGE},
        };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                char reason[256] = "";
                int r = sysctl_check_step(rows[i].id, &rows[i].live, &rows[i].value, reason, sizeof(reason));

                ck_assert_msg(r == rows[i].r, "row %u: %d (%s)", i, r, reason);
                ck_assert_msg(r == 0 || strstr(reason, sysctl_table[rows[i].id].name), "row %u: '%s'", i, reason);
        }
}
END_TEST

START_TEST(effect_is_there_already)
{
        static const struct {
                enum sysctl_id id;
                struct sysctl_value live, value;
                bool loopback, has;
        } rows[] = {
                {SYSCTL_TCP_TW_REUSE, VALUE1(1), VALUE1(1), false, true},
                {SYSCTL_TCP_TW_REUSE, VALUE1(0), VALUE1(1), true, false},
                {SYSCTL_TCP_TW_REUSE, VALUE1(2), VALUE1(1), true, true},
                {SYSCTL_TCP_TW_REUSE, VALUE1(2), VALUE1(1), false, false},
                {SYSCTL_TCP_TW_REUSE, VALUE1(2), VALUE1(2), false, true},
                {SYSCTL_TCP_TW_REUSE, VALUE1(0), VALUE1(2), true, false},
                {SYSCTL_TCP_TW_REUSE, VALUE1(1), VALUE1(0), false, false},
                {SYSCTL_TCP_TW_REUSE_DELAY, VALUE1(1000), VALUE1(250), false, false},
                {SYSCTL_TCP_TW_REUSE_DELAY, VALUE1(250), VALUE1(250), false, true},
                {SYSCTL_TCP_TW_REUSE_DELAY, VALUE1(100), VALUE1(250), false, true},
                {SYSCTL_TCP_MAX_TW_BUCKETS, VALUE1(65536), VALUE1(65537), false, false},
                {SYSCTL_TCP_MAX_TW_BUCKETS, VALUE1(65538), VALUE1(65537), false, true},
                {SYSCTL_IP_LOCAL_PORT_RANGE, PAIR(1024, 65535), PAIR(32768, 60999), false, true},
                {SYSCTL_IP_LOCAL_PORT_RANGE, PAIR(32768, 60999), PAIR(32768, 65535), false, false},
                {SYSCTL_IP_LOCAL_PORT_RANGE, PAIR(40000, 65535), PAIR(32768, 65535), false, false},
                {SYSCTL_TCP_FIN_TIMEOUT, VALUE1(15), VALUE1(20), false, true},
                {SYSCTL_TCP_FIN_TIMEOUT, VALUE1(60), VALUE1(20), false, false},
                {SYSCTL_TCP_ORPHAN_RETRIES, VALUE1(0), VALUE1(6), false, false},
                {SYSCTL_TCP_ORPHAN_RETRIES, VALUE1(5), VALUE1(6), false, true},
                {SYSCTL_TCP_FIN_TIMEOUT, VALUE1(20), VALUE1(20), false, true},
                {SYSCTL_TCP_SYNCOOKIES, VALUE1(2), VALUE1(1), false, false},
                {SYSCTL_TCP_SYNCOOKIES, VALUE1(0), VALUE1(1), false, false},
        };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++)
                ck_assert_msg(sysctl_has_effect(rows[i].id, &rows[i].live, &rows[i].value, rows[i].loopback) ==
                                      rows[i].has,
                              "row %u", i);
}
END_TEST

/* tcp_twsk_unique() makes no difference between 1 and 2 toward the loopback. */
START_TEST(reuse_for_all_is_reuse_for_loopback)
{
        struct sysctl_value all = VALUE1(1), loopback = VALUE1(2);

        ck_assert(sysctl_has_effect(SYSCTL_TCP_TW_REUSE, &all, &loopback, true));
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_loop_test(tcase, row_is_whole, 0, SYSCTL_COUNT);
        tcase_add_loop_test(tcase, row_is_found, 0, SYSCTL_COUNT);
        tcase_add_test(tcase, unknown_name_is_not_found);
        tcase_add_loop_test(tcase, bounds_are_as_promised, 0, ELEMENTSOF(bounds));
        tcase_add_loop_test(tcase, never_is_never_written, 0, ELEMENTSOF(never));
        tcase_add_loop_test(tcase, bounds_are_inclusive, 0, SYSCTL_COUNT);
        tcase_add_loop_test(tcase, outside_of_bounds_is_refused, 0, SYSCTL_COUNT);
        tcase_add_test(tcase, port_range_is_checked);
        tcase_add_loop_test(tcase, value_has_as_many_numbers_as_the_row, 0, SYSCTL_COUNT);
        tcase_add_test(tcase, reason_keeps_to_its_buffer);
        tcase_add_test(tcase, text_is_parsed);
        tcase_add_test(tcase, text_comes_back);
        tcase_add_test(tcase, values_are_equal_or_not);
        tcase_add_test(tcase, direction_is_kept);
        tcase_add_test(tcase, effect_is_there_already);
        tcase_add_test(tcase, reuse_for_all_is_reuse_for_loopback);
}

int main(void)
{
        return run_suite("sysctl", add);
}
