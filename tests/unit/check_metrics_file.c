/* SPDX-License-Identifier: MIT */
/* What the metrics file counts while the configuration changes. */

#include "daemon/metrics_file.h"
#include "fake_backend.h"

#define A "[rule a]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_fin_timeout = 30\n"
#define B "[rule b]\nwhen = tcp.fin_wait2 >= 50\nuntil = tcp.fin_wait2 < 50 for 1s\nadvise = look\n"
#define C "[rule c]\nwhen = tcp.fin_wait2 >= 1000\nadvise = look\n"

static struct metrics_file file = {.path = "/nowhere", .next = UINT64_MAX};

static void counted_ticks(unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                ticks(1);
                metrics_file_tick(&file, &tuner);
        }
}

/* Rule b is active once. */
static void become_active(void)
{
        fake.fin_wait2 = 60;
        counted_ticks(3);
        fake.fin_wait2 = 0;
        counted_ticks(100);
}

static uint64_t episodes_of(const char *rule)
{
        for (unsigned i = 0; i < tuner.config->n_rules; i++)
                if (strcmp(tuner.config->rule[i].name, rule) == 0)
                        return file.counters.episodes[i];
        ck_abort_msg("no rule %s", rule);
}

static const char *const reloads[] = {A B, B, A B, B A, A C B, C, A B};

/* Wherever it is in the configuration, and whatever was there before. */
START_TEST(the_count_of_a_rule_goes_with_its_name)
{
        uint64_t n = 0;

        set_up();
        start(A B);
        for (unsigned i = 0; i < ELEMENTSOF(reloads); i++) {
                bool has_b = strstr(reloads[i], B) != NULL;

                reload(reloads[i]);
                metrics_file_set(&file, "/nowhere", tuner.config);
                counted_ticks(1);
                n = has_b ? n : 0; /* one that was taken out begins again */
                if (has_b)
                        ck_assert_msg(episodes_of("b") == n, "reload %u", i);
                become_active();
                n += has_b;
                if (has_b)
                        ck_assert_msg(episodes_of("b") == n, "after reload %u", i);
        }
        tuner_stop(&tuner);
}
END_TEST

/* Nothing is there that is not twtuned's: the write itself fails. */
START_TEST(a_path_below_a_file_is_not_a_foreign_file)
{
        static struct metrics_file below;

        set_up();
        start(A);
        metrics_file_set(&below, "/dev/null/x.prom", tuner.config);
        ticks(1);
        metrics_file_tick(&below, &tuner);
        ck_assert_str_eq(logged(AUDIT_DEGRADED, "ERRNO"), "20"); /* ENOTDIR */
        tuner_stop(&tuner);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_test(tcase, a_path_below_a_file_is_not_a_foreign_file);
        tcase_add_test(tcase, the_count_of_a_rule_goes_with_its_name);
}

int main(void)
{
        return run_suite("metrics_file", add);
}
