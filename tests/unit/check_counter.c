/* SPDX-License-Identifier: MIT */
#include "lib/kernel/counter.h"

#include <stdio.h>
#include <string.h>

#include "lib/util/macro.h"
#include "run.h"

/* As Linux 6.18 gives them, shortened. */
static const char netstat[] = "TcpExt: SyncookiesSent TW TWRecycled TCPSynRetrans\n"
                              "TcpExt: 1 2 3 18446744073709551615\n"
                              "IpExt: InNoRoutes InOctets\n"
                              "IpExt: 5 6\n"
                              "MPTcpExt: MPCapableSYNRX\n"
                              "MPTcpExt: 0\n";
static const char snmp[] = "Ip: Forwarding DefaultTTL InReceives\n"
                           "Ip: 2 64 100\n"
                           "Tcp: RtoMin MaxConn ActiveOpens CurrEstab OutRsts\n"
                           "Tcp: 200 -1 13 7 2\n";

static struct counters counters;

static void begin(const char *name)
{
        counters_init(&counters);
        if (name)
                counters_add(&counters, name);
}

static const struct counter *find(const char *name)
{
        unsigned i = counters_find(&counters, name);

        ck_assert_msg(i < counters.n, "%s is not in the set", name);
        return &counters.item[i];
}

START_TEST(own_counters_stand_first)
{
        begin(NULL);
        ck_assert_uint_eq(counters.n, COUNTER_OWN);
        ck_assert_uint_eq(counters_find(&counters, "netstat.TcpExt.TWRecycled"), COUNTER_TW_RECYCLED);
        ck_assert_uint_eq(counters_find(&counters, "netstat.TcpExt.TCPSynRetrans"), COUNTER_SYN_RETRANS);
        ck_assert_uint_eq(counters_find(&counters, "snmp.Tcp.ActiveOpens"), COUNTER_ACTIVE_OPENS);
        ck_assert_uint_eq(counters_find(&counters, "snmp.Tcp.OutRsts"), COUNTER_OUT_RSTS);
        for (unsigned i = 0; i < counters.n; i++)
                ck_assert(!counters.item[i].seen && !counters.item[i].gauge && counters.item[i].value == 0);
}
END_TEST

START_TEST(unknown_name_is_not_found)
{
        static const char *const names[] = {"", "netstat", "netstat.TcpExt.TWRecycle", "snmp.tcp.OutRsts",
                                            "netstat.TcpExt.TWRecycledX"};

        begin(NULL);
        for (unsigned i = 0; i < ELEMENTSOF(names); i++)
                ck_assert_msg(counters_find(&counters, names[i]) == COUNTERS_MAX, "'%s'", names[i]);
}
END_TEST

START_TEST(name_is_added_once)
{
        begin(NULL);
        ck_assert_uint_eq(counters_add(&counters, "snmp.Udp.InDatagrams"), COUNTER_OWN);
        ck_assert_uint_eq(counters_add(&counters, "snmp.Udp.InDatagrams"), COUNTER_OWN);
        ck_assert_uint_eq(counters_add(&counters, "snmp.Tcp.OutRsts"), COUNTER_OUT_RSTS);
        ck_assert_uint_eq(counters.n, COUNTER_OWN + 1);
}
END_TEST

START_TEST(long_names_are_refused)
{
        char name[COUNTER_NAME_MAX + 1];

        begin(NULL);
        memset(name, 'a', sizeof(name));
        name[COUNTER_NAME_MAX] = 0;
        ck_assert_uint_eq(counters_add(&counters, name), COUNTERS_MAX);
        name[COUNTER_NAME_MAX - 1] = 0;
        ck_assert_uint_eq(counters_add(&counters, name), COUNTER_OWN);
        ck_assert_str_eq(counters.item[COUNTER_OWN].name, name);
}
END_TEST

START_TEST(full_set_takes_no_more)
{
        char name[COUNTER_NAME_MAX];

        begin(NULL);
        while (counters.n < COUNTERS_MAX) {
                snprintf(name, sizeof(name), "snmp.Tcp.Made%u", counters.n);
                ck_assert_uint_eq(counters_add(&counters, name), counters.n - 1);
        }
        ck_assert_uint_eq(counters_add(&counters, "snmp.Tcp.OneMore"), COUNTERS_MAX);
        ck_assert_uint_eq(counters_add(&counters, name), COUNTERS_MAX - 1);
        counters_add_all(&counters, "netstat", netstat);
        ck_assert_uint_eq(counters.n, COUNTERS_MAX);
        counters_read(&counters, "netstat", netstat);
        ck_assert(counters.item[COUNTER_TW_RECYCLED].seen);
}
END_TEST

START_TEST(levels_are_told_from_counts)
{
        begin(NULL);
        counters_add_all(&counters, "snmp", snmp);
        counters_add_all(&counters, "netstat", netstat);
        ck_assert(find("snmp.Tcp.CurrEstab")->gauge);
        ck_assert(find("snmp.Tcp.RtoMin")->gauge);
        ck_assert(find("snmp.Ip.DefaultTTL")->gauge);
        ck_assert(!find("snmp.Tcp.ActiveOpens")->gauge);
        ck_assert(!find("netstat.TcpExt.TW")->gauge);
}
END_TEST

START_TEST(numbers_are_read)
{
        static const struct {
                const char *name;
                uint64_t value;
        } rows[] = {
                {"netstat.TcpExt.SyncookiesSent", 1},
                {"netstat.TcpExt.TW", 2},
                {"netstat.TcpExt.TWRecycled", 3},
                {"netstat.TcpExt.TCPSynRetrans", UINT64_MAX},
                {"netstat.IpExt.InOctets", 6},
                {"netstat.MPTcpExt.MPCapableSYNRX", 0},
                {"snmp.Ip.InReceives", 100},
                {"snmp.Tcp.ActiveOpens", 13},
                {"snmp.Tcp.CurrEstab", 7},
                {"snmp.Tcp.OutRsts", 2},
        };

        begin(NULL);
        counters_add_all(&counters, "netstat", netstat);
        counters_add_all(&counters, "snmp", snmp);
        for (unsigned pass = 0; pass < 3; pass++) { /* whatever the order of the set */
                counters_read(&counters, "netstat", netstat);
                counters_read(&counters, "snmp", snmp);
                for (unsigned i = 0; i < ELEMENTSOF(rows); i++)
                        ck_assert_msg(find(rows[i].name)->seen && find(rows[i].name)->value == rows[i].value, "%s",
                                      rows[i].name);
        }
}
END_TEST

START_TEST(columns_may_move_and_go)
{
        begin("netstat.TcpExt.ListenDrops");
        counters_read(&counters, "netstat", "TcpExt: TWRecycled New ListenDrops\nTcpExt: 1 2 3\n");
        ck_assert_uint_eq(find("netstat.TcpExt.ListenDrops")->value, 3);
        for (unsigned i = 0; i < counters.n; i++)
                counters.item[i].seen = false;
        counters_read(&counters, "netstat", "IpExt: A\nIpExt: 9\nTcpExt: New TWRecycled\nTcpExt: 8 7\n");
        ck_assert_uint_eq(find("netstat.TcpExt.TWRecycled")->value, 7);
        ck_assert(!find("netstat.TcpExt.ListenDrops")->seen);
}
END_TEST

START_TEST(same_name_elsewhere_is_another_counter)
{
        begin("snmp.Udp.InErrs");
        counters_add(&counters, "snmp.Tcp-InErrs");
        counters_add(&counters, "snmp.Tcp.InErrs");
        counters_add(&counters, "snmp.Tcp.InErr");
        counters_read(&counters, "snmp", "Tcp: InErrs\nTcp: 5\n");
        counters_read(&counters, "netstat", "Udp: InErrs\nUdp: 6\n");
        ck_assert_uint_eq(find("snmp.Tcp.InErrs")->value, 5);
        ck_assert(!find("snmp.Udp.InErrs")->seen);
        ck_assert(!find("snmp.Tcp.InErr")->seen);
        ck_assert(!find("snmp.Tcp-InErrs")->seen);
}
END_TEST

START_TEST(too_long_a_column_is_left_out)
{
        begin(NULL);
        counters_add_all(&counters, "netstat",
                         "TcpExt: Short ThisIsANameThatIsLongerThanAnyThatTheKernelHasEverHad Last\n"
                         "TcpExt: 1 2 3\n");
        ck_assert_uint_eq(counters.n, COUNTER_OWN + 2);
        counters_read(&counters, "netstat",
                      "TcpExt: Short ThisIsANameThatIsLongerThanAnyThatTheKernelHasEverHad Last\n"
                      "TcpExt: 1 2 3\n");
        ck_assert_uint_eq(find("netstat.TcpExt.Last")->value, 3);
}
END_TEST

/* What has no number was not read: it must not look like a zero. */
static const char *const garbage[] = {
        "",
        "\n",
        "\n\n",
        ":",
        ":\n:\n",
        " ",
        "TcpExt",
        "TcpExt:",
        "TcpExt:\n",
        "TcpExt:\nTcpExt:\n",
        "TcpExt: TWRecycled",
        "TcpExt: TWRecycled\n",
        "TcpExt: TWRecycled\nTcpExt:",
        "TcpExt: TWRecycled\nTcpExt: \n",
        "TcpExt: TWRecycled\nIpExt: 5\n",
        "TcpExt TWRecycled\nTcpExt 5\n",
        "TcpExt: A TWRecycled\nTcpExt: 5\n",
        "5 6 7\n8 9 10\n",
        "TcpExt: twrecycled\nTcpExt: 5\n",
        "TcpExt: TWRecycled\n\nTcpExt: 5\n",
        "\nTcpExt: TWRecycled\nTcpExt: 5\n",
        "\xff\xfe\x80: \xff\n\xff\xfe\x80: \xff\n",
        "TcpExt: TWRecycled\nTcpExt: many\n",
        "TcpExt: TWRecycled\nTcpExt: -\n",
};

START_TEST(garbage_is_not_seen)
{
        begin(NULL);
        counters_read(&counters, "netstat", garbage[_i]);
        counters_add_all(&counters, "netstat", garbage[_i]);
        ck_assert_msg(!counters.item[COUNTER_TW_RECYCLED].seen, "text %d is read", _i);
}
END_TEST

/* However the text ends, nothing is made up: a counter has its value, or the digits up to the cut. */
START_TEST(truncated_text_is_survived)
{
        char text[sizeof(netstat)];

        for (size_t n = 0; n < sizeof(netstat); n++) {
                memcpy(text, netstat, n);
                text[n] = 0;
                begin("netstat.IpExt.InOctets");
                counters_read(&counters, "netstat", text);
                counters_add_all(&counters, "netstat", text);
                ck_assert_msg(counters.item[COUNTER_TW_RECYCLED].value == 0 ||
                                      counters.item[COUNTER_TW_RECYCLED].value == 3,
                              "cut at %zu", n);
                ck_assert_msg(n == sizeof(netstat) - 1 || counters.n <= COUNTER_OWN + 6, "cut at %zu", n);
        }
}
END_TEST

START_TEST(builtin_names_fit)
{
        unsigned n = 0;

        begin(NULL);
        for (; counter_builtin[n]; n++) {
                const char *name = counter_builtin[n];

                ck_assert_msg(strncmp(name, "netstat.TcpExt.", 15) == 0 || strncmp(name, "snmp.Tcp.", 9) == 0 ||
                                      strncmp(name, "snmp.Udp.", 9) == 0,
                              "%s", name);
                ck_assert_msg(counters_add(&counters, name) < COUNTERS_MAX, "%s does not fit", name);
                for (unsigned i = 0; i < n; i++)
                        ck_assert_msg(strcmp(counter_builtin[i], name) != 0, "%s is there twice", name);
        }
        ck_assert_uint_eq(counters.n, n); /* the own ones are among them */
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_test(tcase, own_counters_stand_first);
        tcase_add_test(tcase, unknown_name_is_not_found);
        tcase_add_test(tcase, name_is_added_once);
        tcase_add_test(tcase, long_names_are_refused);
        tcase_add_test(tcase, full_set_takes_no_more);
        tcase_add_test(tcase, levels_are_told_from_counts);
        tcase_add_test(tcase, numbers_are_read);
        tcase_add_test(tcase, columns_may_move_and_go);
        tcase_add_test(tcase, same_name_elsewhere_is_another_counter);
        tcase_add_test(tcase, too_long_a_column_is_left_out);
        tcase_add_loop_test(tcase, garbage_is_not_seen, 0, ELEMENTSOF(garbage));
        tcase_add_test(tcase, truncated_text_is_survived);
        tcase_add_test(tcase, builtin_names_fit);
}

int main(void)
{
        return run_suite("counter", add);
}
