/* SPDX-License-Identifier: MIT */
#include "lib/config/rule.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "expect_diagnostic.h"
#include "lib/util/macro.h"
#include "run.h"

#define S NSEC_PER_SEC
#define X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct origin here = {"a.conf", 7};
static struct counters wanted, kernel;
static struct condition_texts texts;
static struct vocabulary vocabulary = {.wanted = &wanted, .texts = &texts};

static void begin(void)
{
        counters_init(&wanted);
        counters_init(&kernel);
        counters_add(&kernel, "snmp.Udp.InDatagrams");
        vocabulary.kernel = NULL;
}

static bool is(double a, double b)
{
        return a >= b && a <= b;
}

START_TEST(a_text_that_finds_no_room_is_empty)
{
        struct diagnostics diagnostics = {0};
        struct condition c;

        texts.used = sizeof(texts.text) - 1;
        ck_assert_int_eq(condition_parse("ports.cliff > 1%", "for", here, &vocabulary, &c, &diagnostics), 0);
        ck_assert_str_eq(c.text, "");
}
END_TEST

START_TEST(condition_is_parsed)
{
        static const struct {
                const char *text;
                unsigned metric;
                enum comparison op;
                double number;
                uint64_t time_ns;
        } rows[] = {
                {"ports.cliff >= 80%", METRIC_PORTS_CLIFF, GREATER_EQUAL, 80, 0},
                {"ports.cliff>=80%", METRIC_PORTS_CLIFF, GREATER_EQUAL, 80, 0},
                {" \tports.cliff  >=\t80% ", METRIC_PORTS_CLIFF, GREATER_EQUAL, 80, 0},
                {"ports.demand < 50% for 2min", METRIC_PORTS_DEMAND, LESS, 50, 120 * S},
                {"ports.demand <= 0% for 0s", METRIC_PORTS_DEMAND, LESS_EQUAL, 0, 0},
                {"ports.cliff_eta < 250ms", METRIC_PORTS_CLIFF_ETA, LESS, 0.25, 0},
                {"tcp.time_wait > 10k", METRIC_TCP_TIME_WAIT, GREATER, 10e3, 0},
                {"tcp.listen == 1.5M", METRIC_TCP_LISTEN, EQUAL, 1.5e6, 0},
                {"tcp.listen != 0 for 1.5s", METRIC_TCP_LISTEN, NOT_EQUAL, 0, 1500 * NSEC_PER_MSEC},
                {"time_wait.table >= 90% for 8760h", METRIC_TIME_WAIT_TABLE, GREATER_EQUAL, 90, 8760 * 3600 * S},
                {"netstat.TcpExt.TWRecycled > 0/s", METRIC_COUNT + COUNTER_TW_RECYCLED, GREATER, 0, 0},
                {"snmp.Tcp.CurrEstab > 5", METRIC_COUNT + COUNTER_OWN, GREATER, 5, 0},
                {"netstat.TcpExt.ListenOverflows > 2k/s", METRIC_COUNT + COUNTER_OWN, GREATER, 2000, 0},
        };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                struct diagnostics diagnostics = {0};
                struct condition c = {0};
                int r;

                begin();
                r = condition_parse(rows[i].text, "for", here, &vocabulary, &c, &diagnostics);
                expect_none(rows[i].text, &diagnostics);
                ck_assert_msg(r == 0, "'%s': %d", rows[i].text, r);
                ck_assert_msg(c.metric == rows[i].metric && c.op == rows[i].op, "'%s'", rows[i].text);
                ck_assert_msg(is(c.number, rows[i].number), "'%s': %g", rows[i].text, c.number);
                ck_assert_msg(c.time_ns == rows[i].time_ns, "'%s'", rows[i].text);
                ck_assert_msg(c.at.file == here.file && c.at.line == 7, "'%s'", rows[i].text);
        }
}
END_TEST

static const struct refused {
        const char *text, *says;
} conditions[] = {
        {"", ": write METRIC OP NUMBER[UNIT] [for DURATION]"},
        {" ", "invalid condition"},
        {"ports.cliff", "invalid condition 'ports.cliff'"},
        {"ports.cliff >=", "invalid condition"},
        {">= 80%", "invalid condition"},
        {"ports.cliff 80%", "invalid condition"},
        {"ports.cliff 80% for 2min", "invalid operator '80%'"},
        {"ports.cliff = 80%", "invalid operator '=': use < <= > >= == or !="},
        {"ports.cliff => 80%", "invalid operator '=>'"},
        {"ports.cliff >== 80%", "invalid operator '>=='"},
        {"ports.cliff <> 80%", "invalid operator '<>'"},
        {"ports.cliff > = 80%", "invalid number '='"},
        {"ports.cliff ! 80%", "invalid operator '!'"},
        {"ports.clif >= 80%", "unknown metric 'ports.clif', did you mean ports.cliff?"},
        {"Ports.Cliff >= 80%", "unknown metric 'Ports.Cliff', did you mean ports.cliff?"},
        {"cliff >= 80%", "unknown metric 'cliff', did you mean ports.cliff?"},
        {"TWRecycled > 0/s", "did you mean netstat.TcpExt.TWRecycled?"},
        {"netstat.TcpExt.TWRecyled > 0/s", "did you mean netstat.TcpExt.TWRecycled?"},
        {"snmp.Udp.InDatagrams > 0/s", "unknown metric 'snmp.Udp.InDatagrams'"},
        {"zzz > 0", "unknown metric 'zzz'"},
        {"ports.cliff >= eighty%", "invalid number 'eighty%': ports.cliff takes a number and %"},
        {"ports.cliff >= -1%", "invalid number '-1%'"},
        {"ports.cliff >= .5%", "invalid number '.5%'"},
        {"ports.cliff >= inf%", "invalid number 'inf%'"},
        {"ports.cliff >= 80", "invalid unit in '80': ports.cliff takes a number and %"},
        {"ports.cliff >= 80 %", "invalid unit in '80'"},
        {"ports.cliff >= 80/s", "invalid unit in '80/s'"},
        {"tcp.time_wait > 80%", "tcp.time_wait takes a number, k and M allowed"},
        {"ports.cliff_eta < 3", "takes a number and ms, s, min or h"},
        {"netstat.TcpExt.TWRecycled > 5", "takes a number and /s"},
        {"snmp.Tcp.CurrEstab > 5/s", "takes a number, k and M allowed"},
        {"ports.cliff >= 80% 2min", "unexpected '2min': only 'for DURATION' may follow here"},
        {"ports.cliff >= 80% for", "unexpected 'for'"},
        {"ports.cliff >= 80% within 2min", "unexpected 'within 2min'"},
        {"ports.cliff >= 80% for 2min 5s", "unexpected 'for 2min 5s'"},
        {"ports.cliff >= 80% For 2min", "unexpected 'For 2min'"},
        {"ports.cliff >= 80% and ports.relief > 1%", "unexpected '"},
        {"ports.cliff >= 80% for soon", "invalid duration 'soon': write a number and ms, s, min or h"},
        {"ports.cliff >= 80% for 2", "invalid duration '2'"},
        {"ports.cliff >= 80% for 2m", "invalid duration '2m'"},
        {"ports.cliff >= 80% for -2s", "invalid duration '-2s'"},
        {X50 X50 " > 1", "invalid condition"},
        {X50 "1234567890123 > 1", "unknown metric '" X50 "1234567890123'"}, /* 63 characters are one word */
        {X50 "12345678901234 > 1", "invalid condition"},
        {"ports.cliff > " X50 X50, "invalid condition"},
        {"ports.cliff > 80% " X50 X50 " 1s", "unexpected '"},
        {"ports.cliff > 1000000000000000000000000000000000%", "invalid number"},
};

START_TEST(condition_is_refused)
{
        struct condition c = {.metric = 4711};
        struct diagnostics diagnostics = {0};

        begin();
        ck_assert_int_eq(condition_parse(conditions[_i].text, "for", here, &vocabulary, &c, &diagnostics), -EINVAL);
        expect_one(conditions[_i].text, "a.conf", 7, conditions[_i].says, &diagnostics);
        ck_assert_uint_eq(c.metric, 4711);
        diagnostics_free(&diagnostics);
}
END_TEST

/* It is a duration, only too long: the error must not ask for a number and a unit. */
START_TEST(too_long_a_time_is_called_so)
{
        struct diagnostics diagnostics = {0};
        struct condition c;

        begin();
        ck_assert_int_eq(condition_parse("ports.cliff > 1% for 8761h", "for", here, &vocabulary, &c, &diagnostics),
                         -EINVAL);
        ck_assert_uint_eq(diagnostics.n, 1);
        ck_assert_msg(!strstr(diagnostics.item[0].text, "write a number and"), "'%s'", diagnostics.item[0].text);
        diagnostics_free(&diagnostics);
}
END_TEST

START_TEST(kernel_counters_are_known)
{
        struct diagnostics diagnostics = {0};
        struct condition c;

        begin();
        vocabulary.kernel = &kernel;
        ck_assert_int_eq(condition_parse("snmp.Udp.InDatagrams > 5/s", "for", here, &vocabulary, &c, &diagnostics), 0);
        ck_assert_uint_eq(c.metric, METRIC_COUNT + COUNTER_OWN);
        ck_assert_str_eq(metric_name(c.metric, &wanted), "snmp.Udp.InDatagrams");
        ck_assert_int_eq(condition_parse("snmp.Udp.InDatagram > 5/s", "for", here, &vocabulary, &c, &diagnostics),
                         -EINVAL);
        expect_one("kernel", "a.conf", 7, "did you mean snmp.Udp.InDatagrams?", &diagnostics);
        diagnostics_free(&diagnostics);
}
END_TEST

START_TEST(full_set_of_counters_is_an_error)
{
        struct diagnostics diagnostics = {0};
        char name[COUNTER_NAME_MAX];
        struct condition c;

        begin();
        while (wanted.n < COUNTERS_MAX) {
                snprintf(name, sizeof(name), "snmp.Made.N%u", wanted.n);
                counters_add(&wanted, name);
        }
        ck_assert_int_eq(
                condition_parse("netstat.TcpExt.TWRecycled > 0/s", "for", here, &vocabulary, &c, &diagnostics), 0);
        ck_assert_int_eq(
                condition_parse("netstat.TcpExt.ListenOverflows > 0/s", "for", here, &vocabulary, &c, &diagnostics),
                -EINVAL);
        expect_one("full", "a.conf", 7, "the rules name more than 640 kernel counters", &diagnostics);
        diagnostics_free(&diagnostics);
}
END_TEST

/* However a condition is written, people read it in one form, which means the same. */
START_TEST(text_is_normal)
{
        static const struct {
                const char *written, *text;
        } rows[] = {
                {" \tports.cliff>=80%", "ports.cliff >= 80%"},
                {"ports.demand < 1.50% for 120s", "ports.demand < 1.5% for 2min"},
                {"tcp.time_wait > 10k for 0s", "tcp.time_wait > 10000"},
                {"ports.cliff_eta < 250ms", "ports.cliff_eta < 0.25s"},
                {"netstat.TcpExt.ListenOverflows > 2k/s for 1.5s",
                 "netstat.TcpExt.ListenOverflows > 2000/s for 1500ms"},
                {"netstat.TcpExt.ListenOverflows > 12500M/s", "netstat.TcpExt.ListenOverflows > 12500000000/s"},
                {"ports.cliff > 80% for 0.0005s", "ports.cliff > 80% for 0.5ms"},
                {"tcp.established == 16.1k", "tcp.established == 16100"},
                {"tcp.established > 9007199254740991", "tcp.established > 9007199254740991"},
                {"self.rss > 98765.4321MB", "self.rss > 98765432100B"},
                {"ports.relief > 33.333333333333%", "ports.relief > 33.333333333333%"},
                {"ports.relief > 0.00001%", "ports.relief > 0.00001%"},
                {"ports.cliff_eta < 0.01ms", "ports.cliff_eta < 0.00001s"},
        };

        begin();
        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                struct diagnostics diagnostics = {0};
                struct condition c = {0}, again = {0};

                condition_parse(rows[i].written, "for", here, &vocabulary, &c, &diagnostics);
                ck_assert_str_eq(c.text, rows[i].text);
                condition_parse(c.text, "for", here, &vocabulary, &again, &diagnostics);
                expect_none(rows[i].written, &diagnostics);
                ck_assert_msg(is(again.number, c.number), "'%s': %.17g", rows[i].written, again.number);
                ck_assert_uint_eq(again.time_ns, c.time_ns);
                ck_assert_str_eq(again.text, c.text);
        }
}
END_TEST

/* The longest names and numbers that are read. */
START_TEST(longest_text_is_whole)
{
        const char *name = "snmp." X50, *number = "1234567890123456789012345678.9";
        struct diagnostics diagnostics = {0};
        struct abort_condition a = {0};
        struct condition c = {0};
        char line[256];

        begin();
        counters_add(&kernel, name);
        vocabulary.kernel = &kernel;
        snprintf(line, sizeof(line), "%s >= %sM/s within 31535999.5s", name, number);
        condition_parse(line, "within", here, &vocabulary, &c, &diagnostics);
        snprintf(line, sizeof(line), "%s >= 1234567890123456752318548159758336/s within 31535999500ms", name);
        ck_assert_str_eq(c.text, line);
        snprintf(line, sizeof(line), "%s > %sx before within 31535999.5s", name, number);
        abort_parse(line, here, &vocabulary, &a, &diagnostics);
        snprintf(line, sizeof(line), "%s > 1234567890123456850245451776x before within 31535999500ms", name);
        ck_assert_str_eq(a.text, line);
        expect_none("longest", &diagnostics);
}
END_TEST

START_TEST(abort_is_parsed)
{
        struct diagnostics diagnostics = {0};
        struct abort_condition a = {0};

        begin();
        ck_assert_int_eq(
                abort_parse("opens.syn_retransmits > 3x before within 60s", here, &vocabulary, &a, &diagnostics), 0);
        ck_assert_uint_eq(a.metric, METRIC_OPENS_SYN_RETRANSMITS);
        ck_assert(is(a.multiple, 3) && a.within_ns == 60 * S && a.at.line == 7);
        ck_assert_int_eq(abort_parse(" netstat.TcpExt.ListenOverflows>1.5x  before\twithin 1min ", here, &vocabulary,
                                     &a, &diagnostics),
                         0);
        ck_assert_uint_eq(a.metric, METRIC_COUNT + COUNTER_OWN);
        ck_assert(is(a.multiple, 1.5) && a.within_ns == 60 * S);
        ck_assert_str_eq(a.text, "netstat.TcpExt.ListenOverflows > 1.5x before within 1min");
        expect_none("abort", &diagnostics);
}
END_TEST

static const struct refused aborts[] = {
        {"", "': write METRIC > Nx before within DURATION"},
        {"opens.resets", "write METRIC > Nx before"},
        {"opens.resets > 3x", "write METRIC > Nx before"},
        {"opens.resets > 3x before", "write METRIC > Nx before"},
        {"opens.resets > 3x before within", "write METRIC > Nx before"},
        {"opens.resets > 3x before within 60s now", "write METRIC > Nx before"},
        {"opens.resets > 3x before for 60s", "write METRIC > Nx before"},
        {"opens.resets > 3x after within 60s", "write METRIC > Nx before"},
        {"opens.resets >= 3x before within 60s", "write METRIC > Nx before"},
        {"opens.resets < 3x before within 60s", "write METRIC > Nx before"},
        {"opens.resets > 3% before within 60s", "write METRIC > Nx before"},
        {"opens.resets > 3 before within 60s", "write METRIC > Nx before"},
        {"opens.resets > 0x before within 60s", "write METRIC > Nx before"},
        {"opens.resets > -3x before within 60s", "write METRIC > Nx before"},
        {"opens.reset > 3x before within 60s", "unknown metric 'opens.reset', did you mean opens.resets?"},
        {"opens.resets > 3x before within soon", "invalid duration 'soon'"},
        {"opens.resets > 3x before within 60", "invalid duration '60'"},
        {"ports.cliff > 3x before within 60s", "of the metrics of a destination it accepts only ports.syn_waiting"},
        {X50 X50 " > 3x before within 60s", "write METRIC > Nx before"},
};

START_TEST(abort_is_refused)
{
        struct abort_condition a = {.metric = 4711};
        struct diagnostics diagnostics = {0};

        begin();
        ck_assert_int_eq(abort_parse(aborts[_i].text, here, &vocabulary, &a, &diagnostics), -EINVAL);
        expect_one(aborts[_i].text, "a.conf", 7, aborts[_i].says, &diagnostics);
        ck_assert_uint_eq(a.metric, 4711);
        diagnostics_free(&diagnostics);
}
END_TEST

START_TEST(set_is_parsed)
{
        static const struct {
                const char *text;
                enum sysctl_id sysctl;
                int64_t a, b;
        } rows[] = {
                {"net.ipv4.tcp_tw_reuse = 1", SYSCTL_TCP_TW_REUSE, 1, 0},
                {"net.ipv4.tcp_tw_reuse=1", SYSCTL_TCP_TW_REUSE, 1, 0},
                {" net/ipv4/tcp_tw_reuse\t=\t2 ", SYSCTL_TCP_TW_REUSE, 2, 0},
                {"net.ipv4.tcp_fin_timeout = 10", SYSCTL_TCP_FIN_TIMEOUT, 10, 0},
                {"net.ipv4.tcp_fin_timeout = 120", SYSCTL_TCP_FIN_TIMEOUT, 120, 0},
                {"net.ipv4.ip_local_port_range = 32768 65535", SYSCTL_IP_LOCAL_PORT_RANGE, 32768, 65535},
                {"net.ipv4.ip_local_port_range = 32768\t60999", SYSCTL_IP_LOCAL_PORT_RANGE, 32768, 60999},
        };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                struct diagnostics diagnostics = {0};
                struct action set = {0};
                int r = action_parse(ACTION_SET, rows[i].text, here, &set, &diagnostics);

                expect_none(rows[i].text, &diagnostics);
                ck_assert_msg(r == 0 && set.sysctl == rows[i].sysctl, "'%s': %d", rows[i].text, r);
                ck_assert_msg(set.value.v[0] == rows[i].a && set.value.v[1] == rows[i].b, "'%s'", rows[i].text);
                ck_assert_uint_eq(set.at.line, 7);
        }
}
END_TEST

static const struct refused sets[] = {
        {"", "': write SYSCTL = VALUE"},
        {"net.ipv4.tcp_tw_reuse", "write SYSCTL = VALUE"},
        {"net.ipv4.tcp_tw_reuse 1", "write SYSCTL = VALUE"},
        {"net.ipv4.tcp_tw_reuse == 1", "write SYSCTL = VALUE"},
        {"= 1", "write SYSCTL = VALUE"},
        {X50 X50 " = 1", "write SYSCTL = VALUE"},
        {"net.ipv4.tcp_tw_reus = 1", "unknown sysctl 'net.ipv4.tcp_tw_reus', did you mean net.ipv4.tcp_tw_reuse?"},
        {"tcp_tw_reuse = 1", "did you mean net.ipv4.tcp_tw_reuse?"},
        {"net.ipv4.tcp_fin_timout = 30", "did you mean net.ipv4.tcp_fin_timeout?"},
        {"vm.swappiness = 1", "unknown sysctl 'vm.swappiness'"},
        {"net.ipv4.tcp_tw_reuse =", "invalid value '' for net.ipv4.tcp_tw_reuse: it takes 1 number"},
        {"net.ipv4.tcp_tw_reuse = yes", "invalid value 'yes'"},
        {"net.ipv4.tcp_tw_reuse = 1 1", "invalid value '1 1'"},
        {"net.ipv4.tcp_tw_reuse = 1x", "invalid value '1x'"},
        {"net.ipv4.tcp_tw_reuse = 0x1", "invalid value '0x1'"},
        {"net.ipv4.tcp_tw_reuse = 99999999999999999999", "invalid value"},
        {"net.ipv4.ip_local_port_range = 1024", "it takes 2 numbers"},
        {"net.ipv4.ip_local_port_range = 32768-65535", "it takes 2 numbers"},
        {"net.ipv4.tcp_tw_reuse = 3", "3 is outside 0-2 for net.ipv4.tcp_tw_reuse"},
        {"net.ipv4.tcp_tw_reuse = -1", "-1 is outside 0-2"},
        {"net.ipv4.tcp_tw_reuse_delay = 249", "249 is outside 250-60000"},
        {"net.ipv4.tcp_fin_timeout = 9", "peers that close a little late would be reset"},
        {"net.ipv4.tcp_fin_timeout = 121", "121 is outside 10-120 for net.ipv4.tcp_fin_timeout"},
        {"net.ipv4.tcp_syncookies = 0", "a host without SYN cookies can be shut off by a SYN flood"},
        {"net.ipv4.tcp_syncookies = 2", "2 is outside 1-1"},
        {"net.ipv4.tcp_max_tw_buckets = 5000", "throws TIME_WAIT away"},
        {"net.ipv4.ip_local_port_range = 1023 65534", "ports below 1024 are those of services"},
        {"net.ipv4.ip_local_port_range = 32768 65534",
         "must be larger than the first, and one of them even, the other odd"},
        {"net.ipv4.ip_local_reserved_ports = 8080", "is never written: the ports that the administrator"},
        {"net.ipv4.ip_local_reserved_ports =", "is never written"},
        {"net.ipv4.ip_unprivileged_port_start = 0", "is never written: it decides who may bind"},
        {"net.ipv4.tcp_tw_recycle = 1", "net.ipv4.tcp_tw_recycle is never written: it broke clients behind NAT"},
        {"net.ipv4.tcp_tw_recycle = 0", "net.ipv4.tcp_tw_recycle is never written"},
        {"net/ipv4/tcp_tw_recycle = 1", "net.ipv4.tcp_tw_recycle is never written"},
        {"net.ipv4.tcp_tw_recycle = yes", "net.ipv4.tcp_tw_recycle is never written"},
        {"net.ipv4.tcp_tw_recycle =", "net.ipv4.tcp_tw_recycle is never written"},
        {"net.ipv4.tcp_timestamps = 0", "net.ipv4.tcp_timestamps is never written: without timestamps"},
        {"net.ipv4.tcp_rfc1337 = 1", "net.ipv4.tcp_rfc1337 is never written: it changes how a RST"},
        {"net.ipv4.tcp_abort_on_overflow = 1", "is never written: it turns a short burst"},
        {"net.netfilter.nf_conntrack_max = 1", "net.netfilter.nf_conntrack_max is never written: kube-proxy"},
        {"net.netfilter.nf_conntrack_tcp_timeout_time_wait = 1", "is never written: kube-proxy"},
};

START_TEST(set_is_refused)
{
        struct action set = {.sysctl = SYSCTL_COUNT};
        struct diagnostics diagnostics = {0};

        ck_assert_int_eq(action_parse(ACTION_SET, sets[_i].text, here, &set, &diagnostics), -EINVAL);
        expect_one(sets[_i].text, "a.conf", 7, sets[_i].says, &diagnostics);
        ck_assert_int_eq(set.sysctl, SYSCTL_COUNT);
        diagnostics_free(&diagnostics);
}
END_TEST

START_TEST(comparisons)
{
        static const struct {
                enum comparison op;
                const char *text;
                bool less, equal, greater, nan;
        } rows[] = {
                {LESS, "<", true, false, false, false},    {LESS_EQUAL, "<=", true, true, false, false},
                {GREATER, ">", false, false, true, false}, {GREATER_EQUAL, ">=", false, true, true, false},
                {EQUAL, "==", false, true, false, false},  {NOT_EQUAL, "!=", true, false, true, true},
        };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                enum comparison op = rows[i].op;

                ck_assert_str_eq(comparison_text(op), rows[i].text);
                ck_assert_msg(comparison_holds(op, 1, 2) == rows[i].less, "1 %s 2", rows[i].text);
                ck_assert_msg(comparison_holds(op, 2, 2) == rows[i].equal, "2 %s 2", rows[i].text);
                ck_assert_msg(comparison_holds(op, 2, 1) == rows[i].greater, "2 %s 1", rows[i].text);
                ck_assert_msg(comparison_holds(op, INFINITY, 1) == rows[i].greater, "inf %s 1", rows[i].text);
                ck_assert_msg(comparison_holds(op, (double)NAN, 1) == rows[i].nan, "nan %s 1", rows[i].text);
        }
}
END_TEST

START_TEST(metric_has_name_and_unit)
{
        begin();
        counters_add(&wanted, "snmp.Tcp.CurrEstab");
        for (unsigned m = 0; m < METRIC_COUNT; m++) {
                ck_assert_str_eq(metric_name(m, &wanted), metric_table[m].name);
                ck_assert_int_eq(metric_unit(m, &wanted), metric_table[m].unit);
                ck_assert_uint_eq(metric_find(metric_table[m].name), m);
                ck_assert(metric_table[m].source && metric_table[m].help);
        }
        ck_assert_str_eq(metric_name(METRIC_COUNT + COUNTER_OUT_RSTS, &wanted), "snmp.Tcp.OutRsts");
        ck_assert_int_eq(metric_unit(METRIC_COUNT + COUNTER_OUT_RSTS, &wanted), UNIT_PER_SECOND);
        ck_assert_int_eq(metric_unit(METRIC_COUNT + COUNTER_OWN, &wanted), UNIT_COUNT);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_test(tcase, a_text_that_finds_no_room_is_empty);
        tcase_add_test(tcase, condition_is_parsed);
        tcase_add_loop_test(tcase, condition_is_refused, 0, ELEMENTSOF(conditions));
        tcase_add_test(tcase, too_long_a_time_is_called_so);
        tcase_add_test(tcase, kernel_counters_are_known);
        tcase_add_test(tcase, full_set_of_counters_is_an_error);
        tcase_add_test(tcase, text_is_normal);
        tcase_add_test(tcase, longest_text_is_whole);
        tcase_add_test(tcase, abort_is_parsed);
        tcase_add_loop_test(tcase, abort_is_refused, 0, ELEMENTSOF(aborts));
        tcase_add_test(tcase, set_is_parsed);
        tcase_add_loop_test(tcase, set_is_refused, 0, ELEMENTSOF(sets));
        tcase_add_test(tcase, comparisons);
        tcase_add_test(tcase, metric_has_name_and_unit);
}

int main(void)
{
        return run_suite("rule", add);
}
