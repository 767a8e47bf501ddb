/* SPDX-License-Identifier: MIT */
#include "lib/util/port_set.h"

#include <errno.h>
#include <string.h>

#include "lib/util/macro.h"
#include "run.h"

static unsigned count(const struct port_set *set)
{
        unsigned n = 0;

        for (unsigned port = 0; port <= UINT16_MAX; port++)
                n += port_set_has(set, port);
        return n;
}

START_TEST(every_port_has_its_own_place)
{
        static struct port_set set;

        for (unsigned port = 0; port <= UINT16_MAX; port++) {
                struct port_set one = {0};

                port_set_add(&set, port);
                port_set_add(&set, port);
                port_set_add(&one, port ^ 1);
                port_set_remove_all(&set, &one);
                ck_assert_msg(port_set_has(&set, port) && !port_set_has(&set, port ^ 1), "port %u", port);
                port_set_remove_all(&set, &set);
                ck_assert_msg(!port_set_has(&set, port), "port %u", port);
        }
        ck_assert_uint_eq(count(&set), 0);
}
END_TEST

START_TEST(one_becomes_another_and_is_cleared)
{
        static struct port_set set, other, empty;

        port_set_add(&set, 1);
        port_set_add(&other, 65535);
        port_set_assign(&set, &other);
        ck_assert_mem_eq(&set, &other, sizeof(set));
        port_set_clear(&set);
        ck_assert_mem_eq(&set, &empty, sizeof(set));
        ck_assert(port_set_has(&other, 65535));
}
END_TEST

START_TEST(list_is_parsed)
{
        static const struct {
                const char *text;
                unsigned n, first, last;
        } rows[] = {
                {"", 0, 0, 0},
                {"\n", 0, 0, 0},
                {"8080", 1, 8080, 8080},
                {"8080\n", 1, 8080, 8080},
                {"0", 1, 0, 0},
                {"65535", 1, 65535, 65535},
                {"0-65535\n", 65536, 0, 65535},
                {"8080-8080", 1, 8080, 8080},
                {"8080,9000-9010\n", 12, 8080, 9010},
                {"9000-9010,8080", 12, 8080, 9010},
                {"1,1,1-3,2-4", 4, 1, 4},
                {"63-64,127-128", 4, 63, 128},
                {"1,3,5,7,9,11,13,15,17,19\n", 10, 1, 19},
        };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                struct port_set set;
                int r;

                memset(&set, 0xff, sizeof(set));
                r = port_set_parse(rows[i].text, &set);
                ck_assert_msg(r == 0, "row %u: %d", i, r);
                ck_assert_msg(count(&set) == rows[i].n, "row %u: %u ports", i, count(&set));
                ck_assert_msg(rows[i].n == 0 ||
                                      (port_set_has(&set, rows[i].first) && port_set_has(&set, rows[i].last)),
                              "row %u", i);
        }
}
END_TEST

static const char *const garbage[] = {
        "-",
        ",",
        "8080-",
        "-8080",
        "8080,,9090",
        ",8080",
        "8080 9090",
        "8080;9090",
        "8080 ",
        "9010-9000",
        "65536",
        "8080-65536",
        "0-4294967296",
        "99999999999999999999999",
        "1-99999999999999999999999",
        "0x50",
        "http",
        "8080-http",
        "8080,http",
        "8080-9090-9999",
        "8080--9090",
        "1.5",
        "8080\r\n",
        "8080,9000-",
        "8080, -1",
        /* cut off, or more than one line: what is missing could be a port that matters */
        "8080,",
        "8080,\n",
        "8080\n9090",
        "-18446744073709551536",
};

START_TEST(garbage_is_refused)
{
        struct port_set set, before;
        int r;

        memset(&before, 0xa5, sizeof(before));
        set = before;
        r = port_set_parse(garbage[_i], &set);
        ck_assert_msg(r == -EINVAL, "text %d: %d", _i, r);
        ck_assert_msg(memcmp(&set, &before, sizeof(set)) == 0, "text %d changed the set", _i);
}
END_TEST

/* Pairs of ports make the longest text. */
START_TEST(the_longest_text_fits)
{
        static char text[4 * PORT_SET_TEXT_MAX];
        struct port_set set = {0}, back = {0};

        for (unsigned port = 65535; port > 3; port -= 3) {
                port_set_add(&set, port);
                port_set_add(&set, port - 1);
        }
        ck_assert_uint_lt(port_set_format(&set, text), PORT_SET_TEXT_MAX);
        ck_assert_int_eq(port_set_parse(text, &back), 0);
        ck_assert_mem_eq(&back, &set, sizeof(set));
}
END_TEST

/* Read-only memory: a write would end the test. */
START_TEST(only_what_changes_is_written)
{
        static const struct port_set empty, some = {.bit = {[1] = 6, [900] = 1}};

        port_set_clear((struct port_set *)&empty);
        port_set_assign((struct port_set *)&some, &(struct port_set){.bit = {[1] = 6, [900] = 1}});
        port_set_add_all((struct port_set *)&some, &(struct port_set){.bit = {[1] = 2}});
        port_set_remove_all((struct port_set *)&some, &(struct port_set){.bit = {[1] = 1}});
        ck_assert_int_eq(port_set_parse("\n", (struct port_set *)&empty), 0);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_test(tcase, every_port_has_its_own_place);
        tcase_add_test(tcase, one_becomes_another_and_is_cleared);
        tcase_add_test(tcase, list_is_parsed);
        tcase_add_test(tcase, only_what_changes_is_written);
        tcase_add_test(tcase, the_longest_text_fits);
        tcase_add_loop_test(tcase, garbage_is_refused, 0, ELEMENTSOF(garbage));
}

int main(void)
{
        return run_suite("port_set", add);
}
