/* SPDX-License-Identifier: MIT */
/* How often twtuned may write. */

#include "limited.h"
#include "random.h"

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
        limits_init(&limits, config, 1);
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

/* What an earlier process left in its ledger, after so many changes at one time. */
static void resume(unsigned changes, uint64_t at)
{
        struct ledger ledger = {0};

        for (unsigned i = 0; i < changes; i++) {
                snapshot.now = at;
                limits_check(&limits, config, &snapshot, SYSCTL_SOMAXCONN, &SYSCTL_VALUE(4096), &SYSCTL_VALUE(8192), 1,
                             reason, sizeof(reason));
                limits_save(&limits, &ledger);
                limits_note_change(&limits, SYSCTL_SOMAXCONN, at);
                ledger_note(&ledger, SYSCTL_SOMAXCONN, &SYSCTL_VALUE(4096), &SYSCTL_VALUE(8192), "r", at);
        }
        limits_init(&limits, config, START);
        limits_resume(&limits, &ledger, START);
}

/* Each change counts, not each sysctl. */
START_TEST(past_changes_count)
{
        static const struct {
                unsigned changes;
                uint64_t ago;
                unsigned burst; /* of four a minute */
                int same;       /* of the sysctl that was changed */
        } rows[] = {
                {0, 0, 4, 0},       {1, 0, 3, -EAGAIN}, {3, 0, 1, -EAGAIN},          {4, 0, 0, -EAGAIN},
                {4, 1, 0, -EAGAIN}, {3, 6 * S, 1, 0},   {4, 15 * S - 1, 0, -EAGAIN}, {4, 15 * S, 1, 0},
                {4, 45 * S, 3, 0},  {4, 60 * S, 4, 0},  {4, 900 * S, 4, 0},
        };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                begin(4, 5 * S);
                limits_init(&limits, config, START - rows[i].ago);
                resume(rows[i].changes, START - rows[i].ago);
                ck_assert_msg(check_at(SYSCTL_SOMAXCONN, START) == rows[i].same, "row %u", i);
                ck_assert_msg(burst_at(START) == rows[i].burst, "row %u", i);
        }
}
END_TEST

START_TEST(each_sysctl_remembers_its_last_change)
{
        struct ledger ledger = {0};

        begin(4, 5 * S);
        ledger.entry[_i] = (struct ledger_entry){.state = LEDGER_RELEASED, .at = START - 1};
        limits_resume(&limits, &ledger, START);
        for (int id = 0; id < SYSCTL_COUNT; id++)
                ck_assert_int_eq(limits.changed_at[id] == START - 1, id == _i);
}
END_TEST

/* The ledger has thousandths of a change. */
START_TEST(a_part_of_a_change_is_none)
{
        struct ledger ledger = {.changes = {.at = START, .left = 999 + (unsigned)_i}};

        begin(4, 0);
        limits_resume(&limits, &ledger, START);
        ck_assert_uint_eq(burst_at(START), (unsigned)_i);
}
END_TEST

/* ledger_note() may put a write a few ns into the future. */
START_TEST(past_change_in_the_future_counts_as_now)
{
        begin(2, 5 * S);
        resume(1, START + 1);
        ck_assert_int_eq(check_at(SYSCTL_SOMAXCONN, START), -EAGAIN);
        ck_assert_uint_eq(burst_at(START), 1);
}
END_TEST

/* The administrator lowered the rate, and restarted: a minute later changes are possible again. */
START_TEST(past_changes_do_not_block_for_long)
{
        begin(12, 0);
        limits_init(&limits, config, START - 30 * S);
        resume(12, START - 30 * S);
        config->changes_per_minute = 1;
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

/* Changes of random sysctls at random times. */
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
                if (change_at(id, now) == 0)
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
        tcase_add_loop_test(tcase, bucket_holds_a_minute, 0, ELEMENTSOF(rates));
        tcase_add_test(tcase, bucket_fills_evenly);
        tcase_add_test(tcase, looking_takes_nothing);
        tcase_add_test(tcase, one_sysctl_rests_for_min_interval);
        tcase_add_test(tcase, what_was_never_changed_needs_no_rest);
        tcase_add_test(tcase, no_min_interval_is_no_rest);
        tcase_add_test(tcase, past_changes_count);
        tcase_add_loop_test(tcase, each_sysctl_remembers_its_last_change, 0, SYSCTL_COUNT);
        tcase_add_loop_test(tcase, a_part_of_a_change_is_none, 0, 2);
        tcase_add_test(tcase, past_change_in_the_future_counts_as_now);
        tcase_add_test(tcase, past_changes_do_not_block_for_long);
        tcase_add_loop_test(tcase, never_more_than_the_limits_allow, 0, ELEMENTSOF(rates));
        tcase_add_test(tcase, never_more_than_twice_the_rate_in_a_minute);
}

int main(void)
{
        return run_suite("guard_limits", add);
}
