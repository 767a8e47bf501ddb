/* SPDX-License-Identifier: MIT */
/* The whole tick over a backend that fails on demand: no original is ever lost, no foreign value is written over. */

#include "fake_backend.h"

#define RULE(name, number) \
        "[rule " name "]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_fin_timeout = " number "\n"
#define TWO RULE("r", "30") "set = net.ipv4.tcp_tw_reuse = 1\n"

static void start_and_hold(const char *text)
{
        start(text);
        fake.fin_wait2 = 100;
        ticks(1);
        ck_assert_int_eq(fake.live[FIN], 30);
}

START_TEST(holds_and_gives_back)
{
        start_and_hold(RULE("r", "30"));
        fake.fin_wait2 = 0;
        ticks(61);
        ck_assert_int_eq(fake.live[FIN], 60);
        ck_assert_uint_eq(fake.writes, 2);
        ck_assert_uint_eq(fake.events[AUDIT_APPLIED] + fake.events[AUDIT_RELEASED], 2);
}
END_TEST

/* The write took, and what is there cannot be read: the ledger must not forget the original. */
START_TEST(a_read_back_that_fails_loses_no_original)
{
        start(RULE("r", "30"));
        fake.fin_wait2 = 100;
        fake.read_error = -EIO;
        fake.read_error_after = 2; /* both looks before the write are good */
        ticks(1);
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_HELD); /* nobody knows what is there */
        ck_assert_int_eq(fake.file.entry[FIN].original.v[0], 60);
        ck_assert_uint_ge(fake.events[AUDIT_FAILED], 1);

        fake.read_error = 0;
        fake.fin_wait2 = 0;
        ticks(100);
        ck_assert_int_eq(fake.live[FIN], 60);
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_RELEASED);
}
END_TEST

/* The restore took, and what is there cannot be read once: the original that is found there is nobody else's. */
START_TEST(a_restore_that_cannot_be_read_back_is_ours)
{
        start_and_hold(RULE("r", "30"));
        fake.fin_wait2 = 0;
        fake.read_error = -EMFILE;
        fake.read_error_after = 1; /* the look before the write is good */
        for (unsigned n = 0; n < 61 && fake.events[AUDIT_FAILED] == 0; n++)
                ticks(1);
        ck_assert_int_eq(fake.live[FIN], 60);
        ck_assert_uint_eq(fake.events[AUDIT_FAILED], 1);
        fake.read_error = 0;
        ticks(100);
        ck_assert_uint_eq(fake.events[AUDIT_OVERRIDDEN], 0);
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_RELEASED);
        fake.fin_wait2 = 100;
        ticks(1);
        ck_assert_int_eq(fake.live[FIN], 30);
}
END_TEST

START_TEST(a_write_that_does_nothing_is_no_success)
{
        start(RULE("r", "30"));
        fake.swallow = true;
        fake.fin_wait2 = 100;
        ticks(3);
        ck_assert_uint_eq(fake.events[AUDIT_APPLIED], 0);
        ck_assert_uint_eq(fake.events[AUDIT_FAILED], 1);
        ck_assert_int_ne(fake.file.entry[FIN].state, LEDGER_HELD);
}
END_TEST

START_TEST(without_a_ledger_nothing_is_written)
{
        start(RULE("r", "30"));
        fake.save_error = -ENOSPC;
        fake.fin_wait2 = 100;
        ticks(5);
        ck_assert_uint_eq(fake.writes, 0);
        ck_assert_uint_eq(fake.events[AUDIT_FAILED], 1);
}
END_TEST

/* A release whose ledger cannot be saved leaves "held" on disk; it must not stay there. */
START_TEST(a_ledger_that_could_not_be_saved_is_saved_later)
{
        start_and_hold(RULE("r", "30"));
        fake.fin_wait2 = 0;
        fake.save_error = -ENOSPC;
        ticks(70);
        ck_assert_int_eq(fake.live[FIN], 60);
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_HELD);
        ck_assert_uint_eq(fake.events[AUDIT_DEGRADED], 1);
        fake.save_error = 0;
        ticks(1);
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_RELEASED);
        ck_assert_uint_eq(fake.events[AUDIT_RECOVERED], 1);
}
END_TEST

START_TEST(a_process_that_died_before_its_write_leaves_nothing)
{
        ledger_note(&fake.file, FIN, &SYSCTL_VALUE(60), &SYSCTL_VALUE(30), "r", 900 * S);
        start(RULE("r", "30"));
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_RELEASED); /* its time counts for the limits */
        fake.live[FIN] = 30;                                           /* the administrator's, later */
        ck_assert_uint_eq(tuner_restore_all(&tuner, "test"), 0);
        ck_assert_int_eq(fake.live[FIN], 30);
}
END_TEST

/* Nothing is left, so the status says so, but the file belongs to the twtuned that will write again. */
START_TEST(observing_sees_that_such_a_process_left_nothing)
{
        ledger_note(&fake.file, FIN, &SYSCTL_VALUE(60), &SYSCTL_VALUE(30), "r", 900 * S);
        start("[daemon]\nmode = observe\n" RULE("r", "30"));
        ticks(1);
        ck_assert_uint_eq(fake.events[AUDIT_LEFT_CHANGED], 0);
        ck_assert_str_eq(fake.status, "healthy, observing only");
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_HELD);
        reload(RULE("r", "30"));
        ticks(1);
        ck_assert_uint_eq(fake.writes, 0);
}
END_TEST

/* An orderly end forgets that a sysctl was someone else's, or was kept, but not when it was changed. */
START_TEST(min_interval_counts_over_a_stop)
{
        start_and_hold(_i == 0 ? "[limits]\nmin_interval = 3min\n" RULE("r", "30")
                               : "[limits]\nmin_interval = 1min\n" RULE("r", "30") "release = keep\n");
        if (_i == 0)
                fake.live[FIN] = 45;
        else
                fake.fin_wait2 = 0;
        ticks(61);
        ck_assert_int_eq(fake.live[FIN], _i == 0 ? 45 : 30);
        ck_assert_uint_eq(tuner_restore_all(&tuner, "test"), 0);
        start_again("[limits]\nmin_interval = 3min\n" RULE("r", "30"));
        fake.live[FIN] = 60;
        fake.fin_wait2 = 100;
        ticks(118);
        ck_assert_int_eq(fake.live[FIN], 60);
        ticks(1);
        ck_assert_int_eq(fake.live[FIN], 30);
}
END_TEST

/* A load that comes back right after the sysctl was given back, by a release, a stop, or a process that died since. */
START_TEST(a_give_back_does_not_start_min_interval)
{
        const char *policy = "[limits]\nmin_interval = 10s\n" RULE("r", "30") "until = tcp.fin_wait2 < 1\n";

        start_and_hold(policy);
        ticks(10);
        fake.fin_wait2 = 0;
        if (_i == 1)
                ck_assert_uint_eq(tuner_restore_all(&tuner, "test"), 0);
        else
                ticks(1);
        ck_assert_int_eq(fake.live[FIN], 60);
        if (_i > 0)
                start_again(policy);
        fake.fin_wait2 = 100;
        ticks(1);
        ck_assert_int_eq(fake.live[FIN], 30);
        ck_assert_uint_eq(fake.events[AUDIT_REFUSED], 0);
}
END_TEST

/* A change does start it, also for the process after this one. */
START_TEST(a_change_starts_min_interval)
{
        const char *policy = "[limits]\nmin_interval = 10s\n" RULE("r", "30");

        start_and_hold(policy);
        ck_assert_uint_eq(tuner_restore_all(&tuner, "test"), 0);
        start_again(policy);
        ticks(9);
        ck_assert_int_eq(fake.live[FIN], 60);
        ticks(1);
        ck_assert_int_eq(fake.live[FIN], 30);
}
END_TEST

START_TEST(a_restore_at_a_reload_that_fails_is_tried_again)
{
        start_and_hold(RULE("r", "30"));
        fake.write_error = -EACCES;
        reload(RULE("other", "40"));
        fake.fin_wait2 = 0;
        ticks(30);
        ck_assert_int_eq(fake.live[FIN], 30);
        fake.write_error = 0;
        ticks(61);
        ck_assert_int_eq(fake.live[FIN], 60);
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_RELEASED);
}
END_TEST

/* Of a rule that holds two sysctls, not with the first; of two rules that hold one, each. */
START_TEST(an_override_ends_the_episode_with_the_last_sysctl)
{
        const struct episodes *episodes = &tuner.audit.episodes;

        start_and_hold(TWO RULE("other", "30"));
        fake.live[FIN] = 45;
        ticks(1);
        ck_assert_ptr_nonnull(episodes_current(episodes, "r"));
        ck_assert_int_eq(episodes_last(episodes, "other")->end, EPISODE_OVERRIDDEN);
        fake.live[REUSE] = 0;
        ticks(1);
        ck_assert_int_eq(episodes_last(episodes, "r")->end, EPISODE_OVERRIDDEN);
        ck_assert_uint_eq(fake.events[AUDIT_OVERRIDDEN], 2);
}
END_TEST

/* Whatever is reloaded in between, also another mode. */
START_TEST(an_override_outlives_reloads)
{
        static const char *const between[] = {RULE("r", "30"), "[daemon]\nmode = observe\n" RULE("r", "30"),
                                              RULE("r", "40"), RULE("other", "50")};

        start_and_hold(RULE("r", "30"));
        fake.live[FIN] = 45;
        ticks(1);
        reload(between[_i]);
        ticks(3);
        reload(RULE("r", "30"));
        ticks(100);
        ck_assert_int_eq(fake.live[FIN], 45);
        ck_assert_uint_eq(fake.events[AUDIT_OVERRIDDEN], 1);
}
END_TEST

START_TEST(an_override_just_before_a_reload_is_seen)
{
        start_and_hold(RULE("r", "30"));
        fake.live[FIN] = 45;
        reload(RULE("r", "40"));
        ticks(100);
        ck_assert_int_eq(fake.live[FIN], 45);
}
END_TEST

START_TEST(an_override_ends_with_an_orderly_stop)
{
        start_and_hold(RULE("r", "30"));
        fake.live[FIN] = 45;
        ticks(1);
        ck_assert_uint_eq(tuner_restore_all(&tuner, "test"), 0);
        ck_assert_int_eq(fake.live[FIN], 45);
        start_again(RULE("r", "30"));
        ticks(10);
        ck_assert_int_eq(fake.live[FIN], 30);
}
END_TEST

START_TEST(an_override_outlives_a_crash)
{
        start_and_hold(RULE("r", "30"));
        fake.live[FIN] = 45;
        ticks(1);
        start_again(RULE("r", "30")); /* nothing was put in order before */
        ticks(100);
        ck_assert_int_eq(fake.live[FIN], 45);
}
END_TEST

/* The reload does not change what the rule sets. */
START_TEST(a_reload_of_the_until_alone_does_not_dip)
{
        start_and_hold(RULE("r", "30"));
        reload(RULE("r", "30") "until = tcp.fin_wait2 < 1\nabort = opens.resets > 3x before within 1min\n");
        ticks(5);
        ck_assert_uint_eq(fake.writes, 1);
        fake.fin_wait2 = 0;
        ticks(1);
        ck_assert_int_eq(fake.live[FIN], 60);
}
END_TEST

START_TEST(a_reload_that_drops_expect_forgets_it)
{
        start_and_hold(RULE("r", "30") "expect = tcp.closing > 1 within 5s\n");
        reload(RULE("r", "30"));
        ticks(30);
        ck_assert_uint_eq(fake.events[AUDIT_UNEXPECTED_EFFECT], 0);
        ck_assert_int_eq(fake.live[FIN], 30);
}
END_TEST

/* Two rules hold one value, the ledger names one of them, which ended: the other goes on. */
START_TEST(a_crash_does_not_dip_what_two_rules_hold)
{
        static const char both[] =
                RULE("a", "30") "[rule b]\nwhen = tcp.fin_wait2 >= 50\nset = net.ipv4.tcp_fin_timeout = 30\n";

        start_and_hold(both);
        fake.fin_wait2 = 60;
        ticks(61); /* a ends */
        start_again(both);
        ticks(200);
        ck_assert_int_eq(fake.live[FIN], 30);
        ck_assert_uint_eq(fake.writes, 1);
}
END_TEST

START_TEST(a_rule_is_applied_whole_or_not_yet)
{
        start("[limits]\nchanges_per_minute = 2\nmin_interval = 0s\n" TWO
              "[rule s]\nwhen = tcp.fin_wait2 >= 50\nset = net.core.somaxconn = 8192\n");
        fake.fin_wait2 = 60;
        ticks(1); /* takes one of the two */
        fake.fin_wait2 = 100;
        ticks(5);
        ck_assert(fake.live[FIN] == 60 && fake.live[REUSE] == 2);
        ticks(60);
        ck_assert(fake.live[FIN] == 30 && fake.live[REUSE] == 1);
}
END_TEST

START_TEST(nothing_is_decided_while_nothing_can_be_read)
{
        start_and_hold(RULE("r", "30"));
        fake.fin_wait2 = 0;
        fake.observe_error = -ENOBUFS;
        ticks(300);
        ck_assert_int_eq(fake.live[FIN], 30);
        ck_assert_uint_eq(fake.events[AUDIT_DEGRADED], 1);
        fake.observe_error = 0;
        ticks(62);
        ck_assert_int_eq(fake.live[FIN], 60);
        ck_assert_uint_eq(fake.events[AUDIT_RECOVERED], 1);
}
END_TEST

/* The sockets are dumped all the same for the rules that ask for them. */
START_TEST(a_source_that_fails_blinds_no_rule_that_does_without_it)
{
        start(RULE("r", "30"));
        fake.lone_error = -EIO;
        fake.bounds = true;
        fake.fin_wait2 = 100;
        ticks(5);
        ck_assert_int_eq(fake.live[FIN], 30);
        ck_assert_uint_eq(fake.events[AUDIT_DEGRADED], 1);
        ck_assert_str_eq(tuner.unread.what, "one source");
}
END_TEST

static void late_tick(uint64_t ns)
{
        fake.now += ns - S;
        ticks(1);
}

/* Once for all of them, and once more when a minute has passed without one. */
START_TEST(late_ticks_are_said_once)
{
        start(RULE("r", "30"));
        ticks(10);
        fake.dump_ns = 60 * S;
        late_tick(63 * S); /* a dump's own time */
        fake.dump_ns = 0;
        late_tick(3 * S);
        ck_assert_uint_eq(fake.events[AUDIT_DEGRADED], 0);
        for (unsigned i = 0; i < 20; i++) {
                late_tick(4200 * NSEC_PER_MSEC);
                ticks(8);
        }
        ck_assert_uint_eq(fake.events[AUDIT_DEGRADED], 1);
        ck_assert_str_eq(logged(AUDIT_DEGRADED, "MESSAGE"),
                         "no tick for 4.2 s: twtuned got no CPU time, or the machine was suspended; this time "
                         "counts for no condition");
        ck_assert_str_eq(fake.status, "degraded: ticks are late, and the time lost does not count for any condition");
        ck_assert_uint_eq(fake.events[AUDIT_RECOVERED], 0);
        ticks(51);
        ck_assert_uint_eq(fake.events[AUDIT_RECOVERED], 0);
        ticks(1);
        ck_assert_uint_eq(fake.events[AUDIT_RECOVERED], 1);
        ck_assert_str_eq(logged(AUDIT_RECOVERED, "MESSAGE"), "ticks are on time again");
        ck_assert_str_eq(fake.status, "healthy");
        ticks(200);
        ck_assert_uint_eq(fake.events[AUDIT_DEGRADED] + fake.events[AUDIT_RECOVERED], 2);
}
END_TEST

START_TEST(what_cannot_be_put_back_is_counted_and_stays_in_the_ledger)
{
        start_and_hold(TWO);
        fake.write_error = -EROFS;
        ck_assert_uint_eq(tuner_restore_all(&tuner, "test"), 2);
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_HELD);
        ck_assert_int_eq(fake.file.entry[REUSE].state, LEDGER_HELD);
}
END_TEST

/* Only a full table comes right by waiting. */
START_TEST(a_restore_without_effect_is_left_to_a_person)
{
        start_and_hold(RULE("r", "30"));
        fake.swallow = true;
        ck_assert_uint_eq(tuner_restore_all(&tuner, "test"), 1);
        ck_assert_str_eq(logged(AUDIT_FAILED, "MESSAGE"),
                         "net.ipv4.tcp_fin_timeout: cannot put the original back: Device or resource busy; restore it "
                         "by hand: sysctl -w net.ipv4.tcp_fin_timeout=\"60\"");
}
END_TEST

START_TEST(observing_writes_nothing_not_even_back)
{
        start_and_hold(RULE("r", "30"));
        start_again("[daemon]\nmode = observe\n" RULE("r", "30")); /* after a crash */
        fake.fin_wait2 = 0;
        ticks(100);
        ck_assert_int_eq(fake.live[FIN], 30);
        ck_assert_uint_eq(fake.writes, 1);
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_HELD);
}
END_TEST

#define TW SYSCTL_TCP_MAX_TW_BUCKETS
#define TABLE "[rule r]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_max_tw_buckets = 131072\n"

static double in_table; /* TIME_WAIT */

static void see_table(struct snapshot *s)
{
        s->reading[METRIC_TIME_WAIT_TABLE] = reading_valid(100 * in_table / (double)fake.live[TW]);
}

static void start_and_raise(void)
{
        fake.live[TW] = 65536;
        start(TABLE);
        fake.fin_wait2 = 100;
        ticks(1);
        ck_assert_int_eq(fake.live[TW], 131072);
        fake.fin_wait2 = 0;
}

START_TEST(a_table_is_not_shrunk_under_what_it_holds)
{
        start_and_raise();
        ticks(200); /* the fake backend does not say how full it is: unknown is not empty */
        ck_assert_int_eq(fake.live[TW], 131072);
        fake.also = see_table;
        in_table = 65537;
        ticks(200);
        ck_assert_int_eq(fake.live[TW], 131072);
        in_table = 65536;
        ticks(61);
        ck_assert_int_eq(fake.live[TW], 65536);
        ck_assert_uint_eq(fake.events[AUDIT_FAILED], 1);
}
END_TEST

/* What sysctl.d says is what is put back. */
START_TEST(a_table_is_not_shrunk_under_what_sysctl_d_says)
{
        static const struct {
                int64_t says;
                double in_table;
                int64_t live;
        } rows[] = {{100000, 100001, 131072}, {100000, 90000, 100000}, {66000, 66001, 131072}, {66000, 66000, 66000}};

        start_and_raise();
        fake.owner[TW] = (struct sysctl_preset){.configured = true, .value = SYSCTL_VALUE(rows[_i].says)};
        fake.also = see_table;
        in_table = rows[_i].in_table;
        ticks(61);
        ck_assert_int_eq(fake.live[TW], rows[_i].live);
}
END_TEST

/* The rule is gone: by a reload, or the next start has another configuration. The value waits for the table, and that
 * is said once. */
START_TEST(a_table_that_no_rule_holds_is_not_shrunk_either)
{
        start_and_raise();
        fake.also = see_table;
        in_table = 65537;
        ticks(1);
        if (_i == 0) {
                reload(RULE("other", "30"));
        } else {
                tuner_stop(&tuner);
                start(RULE("other", "30"));
        }
        ticks(200);
        ck_assert_int_eq(fake.live[TW], 131072);
        ck_assert_uint_eq(fake.events[AUDIT_FAILED], 1);
        ck_assert_str_eq(
                logged(AUDIT_FAILED, "MESSAGE"),
                "net.ipv4.tcp_max_tw_buckets is still 131072, and cannot become 65536 yet: the table may hold "
                "more sockets than that: Device or resource busy");
        in_table = 65536;
        ticks(60);
        ck_assert_int_eq(fake.live[TW], 65536);
        ck_assert_uint_eq(fake.events[AUDIT_RELEASED], 1);
}
END_TEST

/* At the end, and where nothing is written any more, it cannot wait. */
START_TEST(a_full_table_is_put_back_at_the_end)
{
        start_and_raise();
        fake.also = see_table;
        in_table = 100000;
        ticks(1);
        if (_i == 0)
                reload("[daemon]\nmode = observe\n" TABLE);
        else
                ck_assert_uint_eq(tuner_restore_all(&tuner, "test"), 0);
        ck_assert_int_eq(fake.live[TW], 65536);
}
END_TEST

START_TEST(what_this_kernel_lacks_is_said_and_left)
{
        fake.lacks_reuse = true;
        start(RULE("r", "30") "[rule s]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_tw_reuse = 1\n");
        fake.fin_wait2 = 100;
        ticks(5);
        ck_assert_ptr_nonnull(strstr(fake.loaded, "enforcing 2 rules"));
        ck_assert_ptr_nonnull(strstr(fake.loaded, "unavailable in this network namespace: s"));
        ck_assert(fake.live[FIN] == 30 && fake.live[REUSE] == 2);
        ck_assert_uint_eq(fake.events[AUDIT_CONFIG_LOADED], 1);
        reload(RULE("r", "30"));
        ticks(1);
        ck_assert_ptr_null(strstr(fake.loaded, "cannot act"));
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, set_up, NULL);
        tcase_add_test(tcase, holds_and_gives_back);
        tcase_add_test(tcase, a_read_back_that_fails_loses_no_original);
        tcase_add_test(tcase, a_restore_that_cannot_be_read_back_is_ours);
        tcase_add_test(tcase, a_write_that_does_nothing_is_no_success);
        tcase_add_test(tcase, without_a_ledger_nothing_is_written);
        tcase_add_test(tcase, a_ledger_that_could_not_be_saved_is_saved_later);
        tcase_add_test(tcase, a_process_that_died_before_its_write_leaves_nothing);
        tcase_add_test(tcase, observing_sees_that_such_a_process_left_nothing);
        tcase_add_loop_test(tcase, min_interval_counts_over_a_stop, 0, 2);
        tcase_add_loop_test(tcase, a_give_back_does_not_start_min_interval, 0, 3);
        tcase_add_test(tcase, a_change_starts_min_interval);
        tcase_add_test(tcase, a_restore_at_a_reload_that_fails_is_tried_again);
        tcase_add_test(tcase, an_override_ends_the_episode_with_the_last_sysctl);
        tcase_add_loop_test(tcase, an_override_outlives_reloads, 0, 4);
        tcase_add_test(tcase, an_override_just_before_a_reload_is_seen);
        tcase_add_test(tcase, an_override_ends_with_an_orderly_stop);
        tcase_add_test(tcase, an_override_outlives_a_crash);
        tcase_add_test(tcase, a_reload_of_the_until_alone_does_not_dip);
        tcase_add_test(tcase, a_reload_that_drops_expect_forgets_it);
        tcase_add_test(tcase, a_crash_does_not_dip_what_two_rules_hold);
        tcase_add_test(tcase, a_rule_is_applied_whole_or_not_yet);
        tcase_add_test(tcase, nothing_is_decided_while_nothing_can_be_read);
        tcase_add_test(tcase, a_source_that_fails_blinds_no_rule_that_does_without_it);
        tcase_add_test(tcase, late_ticks_are_said_once);
        tcase_add_test(tcase, what_cannot_be_put_back_is_counted_and_stays_in_the_ledger);
        tcase_add_test(tcase, a_restore_without_effect_is_left_to_a_person);
        tcase_add_test(tcase, observing_writes_nothing_not_even_back);
        tcase_add_test(tcase, what_this_kernel_lacks_is_said_and_left);
        tcase_add_test(tcase, a_table_is_not_shrunk_under_what_it_holds);
        tcase_add_loop_test(tcase, a_table_is_not_shrunk_under_what_sysctl_d_says, 0, 4);
        tcase_add_loop_test(tcase, a_table_that_no_rule_holds_is_not_shrunk_either, 0, 2);
        tcase_add_loop_test(tcase, a_full_table_is_put_back_at_the_end, 0, 2);
}

int main(void)
{
        return run_suite("tuner", add);
}
