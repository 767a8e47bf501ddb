/* SPDX-License-Identifier: MIT */
#include "lib/util/units.h"

#include <errno.h>

#include "lib/util/macro.h"
#include "run.h"

#define UNTOUCHED -4711.0

START_TEST(numbers_with_unit)
{
        static const struct {
                const char *text;
                enum unit unit;
                int r;
                double number;
        } rows[] = {
                {"0", UNIT_COUNT, 0, 0},
                {"80", UNIT_COUNT, 0, 80},
                {"007", UNIT_COUNT, 0, 7},
                {"10k", UNIT_COUNT, 0, 10e3},
                {"1.5M", UNIT_COUNT, 0, 1.5e6},
                {"16.1k", UNIT_COUNT, 0, 16100}, /* exactly: 16.1 * 1000 is not */
                {"4.35M/s", UNIT_PER_SECOND, 0, 4350000},
                {"1.001k/min", UNIT_PER_MINUTE, 0, 1001},
                {"65.535kB", UNIT_BYTES, 0, 65535},
                {"1.1GB", UNIT_BYTES, 0, 1.1e9},
                {"4.1ms", UNIT_SECONDS, 0, 0.0041},
                {"0.25", UNIT_COUNT, 0, 0.25},
                {"80%", UNIT_PERCENT, 0, 80},
                {"0.5%", UNIT_PERCENT, 0, 0.5},
                {"1000%", UNIT_PERCENT, 0, 1000},
                {"0/s", UNIT_PER_SECOND, 0, 0},
                {"3k/s", UNIT_PER_SECOND, 0, 3000},
                {"2.5M/s", UNIT_PER_SECOND, 0, 2.5e6},
                {"250ms", UNIT_SECONDS, 0, 0.25},
                {"3s", UNIT_SECONDS, 0, 3},
                {"2min", UNIT_SECONDS, 0, 120},
                {"1h", UNIT_SECONDS, 0, 3600},
                /* 31 characters are read, and no more */
                {"1000000000000000000000000000000", UNIT_COUNT, 0, 1e30},
                {"10000000000000000000000000000000", UNIT_COUNT, -EINVAL, 0},
                {"0.00000000000000000000000000001", UNIT_COUNT, 0, 1e-29},

                {"", UNIT_COUNT, -EINVAL, 0},
                {" ", UNIT_COUNT, -EINVAL, 0},
                {"%", UNIT_PERCENT, -EINVAL, 0},
                {"/s", UNIT_PER_SECOND, -EINVAL, 0},
                {"k", UNIT_COUNT, -EINVAL, 0},
                {".", UNIT_COUNT, -EINVAL, 0},
                {".5%", UNIT_PERCENT, -EINVAL, 0},
                {"80.%", UNIT_PERCENT, -EINVAL, 0},
                {"80.", UNIT_COUNT, -EINVAL, 0},
                {"-5%", UNIT_PERCENT, -EINVAL, 0},
                {"+5%", UNIT_PERCENT, -EINVAL, 0},
                {" 5%", UNIT_PERCENT, -EINVAL, 0},
                {"inf%", UNIT_PERCENT, -EINVAL, 0},
                {"nan", UNIT_COUNT, -EINVAL, 0},
                {"eighty%", UNIT_PERCENT, -EINVAL, 0},

                {"80", UNIT_PERCENT, -EDOM, 0},
                {"80%%", UNIT_PERCENT, -EDOM, 0},
                {"80% ", UNIT_PERCENT, -EDOM, 0},
                {"80 %", UNIT_PERCENT, -EDOM, 0},
                {"80%", UNIT_COUNT, -EDOM, 0},
                {"80/s", UNIT_COUNT, -EDOM, 0},
                {"80s", UNIT_PER_SECOND, -EDOM, 0},
                {"80", UNIT_PER_SECOND, -EDOM, 0},
                {"80/min", UNIT_PER_SECOND, -EDOM, 0},
                {"80 /s", UNIT_PER_SECOND, -EDOM, 0},
                {"10K", UNIT_COUNT, -EDOM, 0},
                {"10m", UNIT_COUNT, -EDOM, 0},
                {"10kM", UNIT_COUNT, -EDOM, 0},
                {"10G", UNIT_COUNT, -EDOM, 0},
                {"0x10", UNIT_COUNT, -EDOM, 0},
                {"1e3", UNIT_COUNT, -EDOM, 0},
                {"1,5", UNIT_COUNT, -EDOM, 0},
                {"5", UNIT_SECONDS, -EDOM, 0},
                {"5m", UNIT_SECONDS, -EDOM, 0},
                {"5sec", UNIT_SECONDS, -EDOM, 0},
                {"5S", UNIT_SECONDS, -EDOM, 0},
                {"5us", UNIT_SECONDS, -EDOM, 0},
        };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                double number = UNTOUCHED, want = rows[i].r == 0 ? rows[i].number : UNTOUCHED;
                int r = number_with_unit_parse(rows[i].text, rows[i].unit, &number);

                ck_assert_msg(r == rows[i].r, "'%s': %d instead of %d", rows[i].text, r, rows[i].r);
                ck_assert_msg(number >= want && number <= want, "'%s': %.17g", rows[i].text, number);
        }
}
END_TEST

START_TEST(plain_numbers)
{
        static const struct {
                const char *text, *rest; /* NULL: refused */
                uint64_t number;
        } rows[] = {
                {"0", "", 0},
                {"007,8", ",8", 7},
                {"18446744073709551615\n", "\n", UINT64_MAX},
                {"18446744073709551616", NULL, 0},
                {"", NULL, 0},
                {" 1", NULL, 0},
                {"-1", NULL, 0},
                {"+1", NULL, 0},
        };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                uint64_t number = 4711, want = rows[i].rest ? rows[i].number : 4711;
                const char *rest = number_parse(rows[i].text, &number);

                ck_assert_pstr_eq(rest, rows[i].rest);
                ck_assert_msg(number == want, "'%s': %llu", rows[i].text, (unsigned long long)number);
        }
}
END_TEST

START_TEST(durations)
{
        static const struct {
                const char *text;
                int r;
                uint64_t ns;
        } rows[] = {
                {"0s", 0, 0},
                {"0ms", 0, 0},
                {"1ms", 0, NSEC_PER_MSEC},
                {"250ms", 0, 250 * NSEC_PER_MSEC},
                {"0.1ms", 0, 100000},
                {"0.000000001s", 0, 1},
                {"0.0000000001s", 0, 0},
                {"15s", 0, 15 * NSEC_PER_SEC},
                {"1.5s", 0, 1500 * NSEC_PER_MSEC},
                {"4.1ms", 0, 4100000}, /* and not 4099999 */
                {"2min", 0, 120 * NSEC_PER_SEC},
                {"1h", 0, 3600 * NSEC_PER_SEC},
                {"8760h", 0, 8760 * 3600 * NSEC_PER_SEC},
                {"31536000s", 0, 31536000 * NSEC_PER_SEC},
                {"9000000.004s", 0, 9000000004 * NSEC_PER_MSEC}, /* and not a ns less */
                {"8760.1h", -ERANGE, 0},
                {"31536001s", -ERANGE, 0},
                {"31536000001ms", -ERANGE, 0},
                {"999999999999999999999999999999h", -ERANGE, 0},
                {"99999999999999999999999999999999h", -EINVAL, 0},
                {"", -EINVAL, 0},
                {"s", -EINVAL, 0},
                {"-1s", -EINVAL, 0},
                {"soon", -EINVAL, 0},
                {" 1s", -EINVAL, 0},
                {"1", -EDOM, 0},
                {"1 s", -EDOM, 0},
                {"1d", -EDOM, 0},
                {"1m", -EDOM, 0},
                {"1sec", -EDOM, 0},
                {"1min30s", -EDOM, 0},
                {"1%", -EDOM, 0},
                {"1/s", -EDOM, 0},
        };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                uint64_t ns = 4711, want = rows[i].r == 0 ? rows[i].ns : 4711;
                int r = duration_parse(rows[i].text, &ns);

                ck_assert_msg(r == rows[i].r, "'%s': %d instead of %d", rows[i].text, r, rows[i].r);
                ck_assert_msg(ns == want, "'%s': %llu ns", rows[i].text, (unsigned long long)ns);
        }
}
END_TEST

START_TEST(factors_and_multiples)
{
        static const struct {
                const char *text;
                enum unit unit;
                double number; /* -1: invalid */
        } rows[] = {
                {"3x", UNIT_MULTIPLE, 3},     {"1.5x", UNIT_MULTIPLE, 1.5}, {"0.1x", UNIT_MULTIPLE, 0.1},
                {"100x", UNIT_MULTIPLE, 100}, {"0x", UNIT_MULTIPLE, 0},     {"3", UNIT_MULTIPLE, -1},
                {"x", UNIT_MULTIPLE, -1},     {"", UNIT_MULTIPLE, -1},      {"-3x", UNIT_MULTIPLE, -1},
                {"3X", UNIT_MULTIPLE, -1},    {"3xx", UNIT_MULTIPLE, -1},   {"x3", UNIT_MULTIPLE, -1},
                {"3 x", UNIT_MULTIPLE, -1},   {"3%", UNIT_MULTIPLE, -1},    {"0x3", UNIT_MULTIPLE, -1},
                {"3x ", UNIT_MULTIPLE, -1},   {"2", UNIT_FACTOR, 2},        {"1.5", UNIT_FACTOR, 1.5},
                {"2k", UNIT_FACTOR, -1},      {"2x", UNIT_FACTOR, -1},      {"1.", UNIT_FACTOR, -1},
        };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                double number = UNTOUCHED, want = rows[i].number >= 0 ? rows[i].number : UNTOUCHED;
                int r = number_with_unit_parse(rows[i].text, rows[i].unit, &number);

                ck_assert_msg((r == 0) == (rows[i].number >= 0), "'%s': %d", rows[i].text, r);
                ck_assert_msg(number >= want && number <= want, "'%s': %g", rows[i].text, number);
        }
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_test(tcase, numbers_with_unit);
        tcase_add_test(tcase, plain_numbers);
        tcase_add_test(tcase, durations);
        tcase_add_test(tcase, factors_and_multiples);
}

int main(void)
{
        return run_suite("units", add);
}
