/* SPDX-License-Identifier: MIT */
/* The grammar of raise, lower and of the bounds in [limits]. */

#include <errno.h>
#include <string.h>

#include "expect_diagnostic.h"
#include "lib/config/rule.h"
#include "lib/util/macro.h"
#include "run.h"

#define X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define TW "net.ipv4.tcp_max_tw_buckets"
#define FIN "net.ipv4.tcp_fin_timeout"
#define RANGE "net.ipv4.ip_local_port_range"

static const struct origin here = {"a.conf", 7};

static bool is(double a, double b)
{
        return a >= b && a <= b;
}

static const struct good {
        enum action_kind kind;
        const char *text;
        enum sysctl_id sysctl;
        double factor;
        int64_t limit;
        const char *normal; /* NULL: the same text */
} good_actions[] = {
        {ACTION_RAISE, TW " x2 max 2097152", SYSCTL_TCP_MAX_TW_BUCKETS, 2, 2097152, NULL},
        {ACTION_RAISE, "  net/ipv4/tcp_max_tw_buckets\tx1.5  max\t2097152 ", SYSCTL_TCP_MAX_TW_BUCKETS, 1.5, 2097152,
         TW " x1.5 max 2097152"},
        {ACTION_RAISE, TW " x1.001 max 65536", SYSCTL_TCP_MAX_TW_BUCKETS, 1.001, 65536, NULL},
        {ACTION_RAISE, TW " x1.0000001 max 65536", SYSCTL_TCP_MAX_TW_BUCKETS, 1.0000001, 65536, NULL},
        {ACTION_RAISE, TW " x100 max 16777216", SYSCTL_TCP_MAX_TW_BUCKETS, 100, 16777216, NULL},
        {ACTION_RAISE, FIN " x2 max 120", SYSCTL_TCP_FIN_TIMEOUT, 2, 120, NULL},
        {ACTION_LOWER, FIN " /2 min 10", SYSCTL_TCP_FIN_TIMEOUT, 2, 10, NULL},
        {ACTION_LOWER, "net/ipv4/tcp_fin_timeout /1.25 min 10", SYSCTL_TCP_FIN_TIMEOUT, 1.25, 10, FIN " /1.25 min 10"},
        {ACTION_LOWER, FIN " /100 min 120", SYSCTL_TCP_FIN_TIMEOUT, 100, 120, NULL},
};

START_TEST(a_step_is_parsed)
{
        const struct good *row = &good_actions[_i];
        struct diagnostics diagnostics = {0};
        struct action action = {0};
        char text[RULE_TEXT_MAX];

        ck_assert_int_eq(action_parse(row->kind, row->text, here, &action, &diagnostics), 0);
        expect_none(row->text, &diagnostics);
        ck_assert_int_eq(action.kind, row->kind);
        ck_assert_int_eq(action.sysctl, row->sysctl);
        ck_assert(is(action.factor, row->factor));
        ck_assert(action.value.n == 1 && action.value.v[0] == row->limit);
        ck_assert_uint_eq(action.at.line, 7);
        ck_assert_str_eq(action_format(&action, text), row->normal ? row->normal : row->text);
}
END_TEST

static const struct bad {
        enum action_kind kind;
        const char *text, *says;
} bad_actions[] = {
        /* the form */
        {ACTION_RAISE, "", "invalid value '': write SYSCTL xN max LIMIT"},
        {ACTION_LOWER, "", "invalid value '': write SYSCTL /N min LIMIT"},
        {ACTION_RAISE, TW, "': write SYSCTL xN max LIMIT"},
        {ACTION_RAISE, TW " = 262144", "': write SYSCTL xN max LIMIT"},
        {ACTION_RAISE, TW " x2", "': write SYSCTL"},
        {ACTION_RAISE, TW " max 262144", "': write SYSCTL"},
        {ACTION_RAISE, TW " max 262144 x2", "': write SYSCTL"},
        {ACTION_RAISE, TW " x 2 max 262144", "': write SYSCTL"},
        {ACTION_RAISE, TW " *2 max 262144", "': write SYSCTL"},
        {ACTION_RAISE, TW " X2 max 262144", "': write SYSCTL"},
        {ACTION_RAISE, TW " 2x max 262144", "': write SYSCTL"},
        {ACTION_RAISE, TW " x2 min 262144", "': write SYSCTL"},
        {ACTION_RAISE, TW " x2 to 262144", "': write SYSCTL"},
        {ACTION_RAISE, TW " /2 max 262144", "': write SYSCTL"},
        {ACTION_RAISE, TW " x2 max=262144", "invalid value"},
        {ACTION_LOWER, FIN " /2", "': write SYSCTL /N min LIMIT"},
        {ACTION_LOWER, FIN " x2 min 10", "': write SYSCTL"},
        {ACTION_LOWER, FIN " /2 max 10", "': write SYSCTL"},
        {ACTION_LOWER, FIN " /2min 10", "': write SYSCTL"},
        {ACTION_SET, TW " x2 max 262144", "': write SYSCTL = VALUE"},
        {ACTION_RAISE, X50 X50 " x2 max 1", "': write SYSCTL"},
        {ACTION_RAISE, TW " x2" X50 X50 " max 262144", "': write SYSCTL"},

        /* the factor */
        {ACTION_RAISE, TW " x max 262144", "': write SYSCTL"},
        {ACTION_RAISE, TW " x0 max 262144", "': write SYSCTL"},
        {ACTION_RAISE, TW " x1 max 262144", "': write SYSCTL"},
        {ACTION_RAISE, TW " x1.0 max 262144", "': write SYSCTL"},
        {ACTION_RAISE, TW " x0.5 max 262144", "': write SYSCTL"},
        {ACTION_RAISE, TW " x-2 max 262144", "': write SYSCTL"},
        {ACTION_RAISE, TW " x+2 max 262144", "': write SYSCTL"},
        {ACTION_RAISE, TW " xnan max 262144", "': write SYSCTL"},
        {ACTION_RAISE, TW " xinf max 262144", "': write SYSCTL"},
        {ACTION_RAISE, TW " x1e1 max 262144", "': write SYSCTL"},
        {ACTION_RAISE, TW " x1e9 max 262144", "': write SYSCTL"},
        {ACTION_RAISE, TW " x0x2 max 262144", "': write SYSCTL"},
        {ACTION_RAISE, TW " x0.01k max 262144", "': write SYSCTL"},
        {ACTION_RAISE, TW " x2% max 262144", "': write SYSCTL"},
        {ACTION_RAISE, TW " x2. max 262144", "': write SYSCTL"},
        {ACTION_RAISE, TW " x.5 max 262144", "': write SYSCTL"},
        {ACTION_RAISE, TW " x1.5.5 max 262144", "': write SYSCTL"},
        {ACTION_RAISE, TW " x1,5 max 262144", "': write SYSCTL"},
        {ACTION_RAISE, TW " x100.1 max 262144", "': write SYSCTL"},
        {ACTION_RAISE, TW " x99999999999999999999999999999999999999 max 262144", "': write SYSCTL"},
        {ACTION_LOWER, FIN " /0 min 10", "': write SYSCTL"},
        {ACTION_LOWER, FIN " /1 min 10", "': write SYSCTL"},
        {ACTION_LOWER, FIN " /-2 min 10", "': write SYSCTL"},
        {ACTION_LOWER, FIN " /0.5 min 10", "': write SYSCTL"},
        {ACTION_LOWER, FIN " /nan min 10", "': write SYSCTL"},
        {ACTION_LOWER, FIN " /0x2 min 10", "': write SYSCTL"},
        {ACTION_LOWER, FIN " /101 min 10", "': write SYSCTL"},

        /* the limit */
        {ACTION_RAISE, TW " x2 max", "invalid value '' for " TW ": it takes 1 number"},
        {ACTION_RAISE, TW " x2 max many", "invalid value 'many'"},
        {ACTION_RAISE, TW " x2 max 1M", "invalid value '1M'"},
        {ACTION_RAISE, TW " x2 max 1e6", "invalid value '1e6'"},
        {ACTION_RAISE, TW " x2 max 262144 262144", "invalid value"},
        {ACTION_RAISE, TW " x2 max 262144 min 1", "invalid value"},
        {ACTION_RAISE, TW " x2 max 99999999999999999999", "invalid value"},
        {ACTION_RAISE, TW " x2 max 16777217", "16777217 is outside 65536-16777216 for " TW},
        {ACTION_RAISE, TW " x2 max 5000", "throws TIME_WAIT away"},
        {ACTION_RAISE, TW " x2 max -1", "-1 is outside"},
        {ACTION_LOWER, FIN " /2 min 9", "9 is outside 10-120 for " FIN ": peers that close a little late"},
        {ACTION_LOWER, FIN " /2 min 0", "0 is outside 10-120"},

        /* the sysctl */
        {ACTION_RAISE, "net.ipv4.tcp_max_tw_bucket x2 max 262144",
         "unknown sysctl 'net.ipv4.tcp_max_tw_bucket', did you mean " TW "?"},
        {ACTION_RAISE, "tcp_max_tw_buckets x2 max 262144", "did you mean " TW "?"},
        {ACTION_LOWER, "net/ipv4/tcp_fin_timout /2 min 10", "did you mean " FIN "?"},
        {ACTION_LOWER, TW " /2 min 65536", TW " can only be raised"},
        {ACTION_LOWER, "net.core.somaxconn /2 min 128", "net.core.somaxconn can only be raised"},
        {ACTION_RAISE, RANGE " x2 max 65535", RANGE " has 2 numbers: it can be set, not raised or lowered"},
        {ACTION_LOWER, RANGE " /2 min 1024", RANGE " has 2 numbers: it can be set, not raised or lowered"},
        {ACTION_RAISE, RANGE " x2 max 1024 65535", RANGE " has 2 numbers: it can be set, not raised or lowered"},
        {ACTION_RAISE, "net.ipv4.tcp_mem x2 max 5", "net.ipv4.tcp_mem is never written: the kernel sizes it"},
        {ACTION_RAISE, "net.netfilter.nf_conntrack_max x2 max 5", "is never written: kube-proxy"},
        {ACTION_RAISE, "net.ipv4.ip_local_reserved_ports x2 max 5", "is never written"},
        {ACTION_LOWER, "net.ipv4.tcp_timestamps /2 min 0", "is never written: without timestamps"},
};

START_TEST(a_step_is_refused)
{
        const struct bad *row = &bad_actions[_i];
        struct action action = {.sysctl = SYSCTL_COUNT};
        struct diagnostics diagnostics = {0};

        ck_assert_int_eq(action_parse(row->kind, row->text, here, &action, &diagnostics), -EINVAL);
        expect_one(row->text, "a.conf", 7, row->says, &diagnostics);
        ck_assert_int_eq(action.sysctl, SYSCTL_COUNT);
        diagnostics_free(&diagnostics);
}
END_TEST

START_TEST(bounds_are_parsed)
{
        static const struct {
                const char *text;
                int64_t min, max;
        } rows[] = {
                {"max 60", 10, 60},          {"min 30", 30, 120},
                {"min 30 max 60", 30, 60},   {"  max\t60  min 30 ", 30, 60},
                {"min 10 max 120", 10, 120}, {"min 45 max 45", 45, 45},
        };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                struct diagnostics diagnostics = {0};
                struct sysctl_bounds bounds = {0};

                ck_assert_int_eq(bounds_parse(SYSCTL_TCP_FIN_TIMEOUT, rows[i].text, here, &bounds, &diagnostics), 0);
                expect_none(rows[i].text, &diagnostics);
                ck_assert_msg(bounds.min == rows[i].min && bounds.max == rows[i].max, "'%s'", rows[i].text);
        }
}
END_TEST

static const struct bad_bounds {
        enum sysctl_id sysctl;
        const char *text, *says;
} bad_bounds[] = {
        {SYSCTL_TCP_FIN_TIMEOUT, "60", "invalid bounds '60': write max N, min N or both"},
        {SYSCTL_TCP_FIN_TIMEOUT, "max", "invalid bounds"},
        {SYSCTL_TCP_FIN_TIMEOUT, "max60", "invalid bounds"},
        {SYSCTL_TCP_FIN_TIMEOUT, "max 60s", "invalid bounds"},
        {SYSCTL_TCP_FIN_TIMEOUT, "max 0x20", "invalid bounds"},
        {SYSCTL_TCP_FIN_TIMEOUT, "max 6e1", "invalid bounds"},
        {SYSCTL_TCP_FIN_TIMEOUT, "max = 60", "invalid bounds"},
        {SYSCTL_TCP_FIN_TIMEOUT, "most 60", "invalid bounds"},
        {SYSCTL_TCP_FIN_TIMEOUT, "Max 60", "invalid bounds"},
        {SYSCTL_TCP_FIN_TIMEOUT, "max 60 min", "invalid bounds"},
        {SYSCTL_TCP_FIN_TIMEOUT, "max 60 30", "invalid bounds"},
        {SYSCTL_TCP_FIN_TIMEOUT, "max 60 max 30", "invalid bounds"},
        {SYSCTL_TCP_FIN_TIMEOUT, "min 20 min 30", "invalid bounds"},
        {SYSCTL_TCP_FIN_TIMEOUT, "min 20 max 60 min 30", "invalid bounds"},
        {SYSCTL_TCP_FIN_TIMEOUT, "10-60", "invalid bounds"},
        {SYSCTL_TCP_FIN_TIMEOUT, "max 121", "widens the bounds of " FIN ", 10-120: they can only be narrowed"},
        {SYSCTL_TCP_FIN_TIMEOUT, "min 9", "widens the bounds"},
        {SYSCTL_TCP_FIN_TIMEOUT, "min -1", "widens the bounds"},
        {SYSCTL_TCP_FIN_TIMEOUT, "min 9 max 60", "widens the bounds"},
        {SYSCTL_TCP_FIN_TIMEOUT, "max 99999999999999999999", "widens the bounds"},
        {SYSCTL_TCP_FIN_TIMEOUT, "min -99999999999999999999", "widens the bounds"},
        {SYSCTL_TCP_FIN_TIMEOUT, "min 60 max 30", "'min 60 max 30' leaves no value for " FIN},
        {SYSCTL_TCP_FIN_TIMEOUT, "max 9", "'max 9' leaves no value"},
        {SYSCTL_TCP_FIN_TIMEOUT, "max -1", "leaves no value"},
        {SYSCTL_TCP_FIN_TIMEOUT, "min 121", "leaves no value"},
        {SYSCTL_IP_LOCAL_PORT_RANGE, "min 80", "widens the bounds of " RANGE ", 1024-65535"},
        {SYSCTL_TCP_MEM, "max 5", "net.ipv4.tcp_mem is never written: the kernel sizes it"},
        {SYSCTL_NF_CONNTRACK_MAX, "nonsense", "is never written: kube-proxy"},
};

START_TEST(bounds_are_refused)
{
        const struct bad_bounds *row = &bad_bounds[_i];
        struct sysctl_bounds bounds = {.min = 47, .max = 11};
        struct diagnostics diagnostics = {0};

        ck_assert_int_eq(bounds_parse(row->sysctl, row->text, here, &bounds, &diagnostics), -EINVAL);
        expect_one(row->text, "a.conf", 7, row->says, &diagnostics);
        ck_assert(bounds.min == 47 && bounds.max == 11);
        diagnostics_free(&diagnostics);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_loop_test(tcase, a_step_is_parsed, 0, ELEMENTSOF(good_actions));
        tcase_add_loop_test(tcase, a_step_is_refused, 0, ELEMENTSOF(bad_actions));
        tcase_add_test(tcase, bounds_are_parsed);
        tcase_add_loop_test(tcase, bounds_are_refused, 0, ELEMENTSOF(bad_bounds));
}

int main(void)
{
        return run_suite("rule_action", add);
}
