/* SPDX-License-Identifier: MIT */
/* The whole tick over a world that fails on demand: no original is ever lost, nobody's value is written over. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"
#include "tuner.h"

#define S NSEC_PER_SEC
#define FIN SYSCTL_TCP_FIN_TIMEOUT
#define REUSE SYSCTL_TCP_TW_REUSE
#define RULE(name, number) \
        "[rule " name "]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_fin_timeout = " number "\n"
#define TWO RULE("r", "30") "set = net.ipv4.tcp_tw_reuse = 1\n"

static struct fake {
        struct world world; /* first */
        uint64_t now;
        double fin_wait2;
        int64_t live[SYSCTL_COUNT];
        struct ledger file;
        unsigned writes, events[EVENT_KIND_COUNT];
        int read_error, write_error, save_error, observe_error;
        unsigned read_error_after; /* good reads first */
        bool swallow;              /* writes say 0 and do nothing */
        bool lacks_reuse;          /* the kernel has no tcp_tw_reuse */
        char loaded[EVENT_FIELD_SIZE];
} fake;

static struct tuner tuner;

static int observe(struct world *w, struct snapshot *s, bool *ret_look, const char **ret_what)
{
        (void)w;
        *s = (struct snapshot){.now = fake.now, .memory_bytes = UINT64_C(1) << 34};
        *ret_look = false;
        *ret_what = "the fake world";
        if (fake.observe_error < 0)
                return fake.observe_error;
        s->reading[METRIC_TCP_FIN_WAIT2] = reading_valid(fake.fin_wait2);
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                s->sysctl[id] = (struct live_sysctl){READING_VALID, SYSCTL_VALUE(fake.live[id])};
        if (fake.lacks_reuse)
                s->sysctl[REUSE].state = READING_UNAVAILABLE;
        return 0;
}

static int observe_sockets(struct world *w, struct snapshot *s, const char **ret_what)
{
        (void)w, (void)s, (void)ret_what;
        return 0;
}

static int sysctl_read(struct world *w, enum sysctl_id id, struct sysctl_value *ret)
{
        (void)w;
        if (fake.read_error < 0 && fake.read_error_after-- == 0) {
                fake.read_error_after = 0;
                return fake.read_error;
        }
        *ret = SYSCTL_VALUE(fake.live[id]);
        return 0;
}

static int sysctl_write(struct world *w, enum sysctl_id id, const struct sysctl_value *value)
{
        (void)w;
        fake.writes++;
        if (fake.write_error < 0)
                return fake.write_error;
        /* Promise: the original is on disk before the first write. */
        ck_assert_int_ne(fake.file.entry[id].state, LEDGER_NONE);
        if (!fake.swallow)
                fake.live[id] = value->v[0];
        return 0;
}

static int ledger_save(struct world *w, const struct ledger *ledger)
{
        (void)w;
        if (fake.save_error == 0)
                fake.file = *ledger;
        return fake.save_error;
}

static const char *find_unit(struct world *w, uint64_t cgroup)
{
        (void)w, (void)cgroup;
        return "";
}

static void report(struct world *w, const struct event *event)
{
        (void)w;
        fake.events[event->kind]++;
        if (event->kind == EVENT_CONFIG_LOADED)
                strcpy(fake.loaded, event->field[0]);
}

static void notify(struct world *w, const char *state)
{
        (void)w, (void)state;
}

static struct config *config_of(const char *text)
{
        struct config *config = config_new();
        struct problems problems = {0};

        config_read(config, "t.conf", text, strlen(text), NULL, &problems);
        config_check(config, &problems);
        ck_assert_msg(problems.n == 0, "%s", problems.n ? problems.item[0].text : "");
        return config;
}

static void set_up(void)
{
        fake = (struct fake){
                .world = {observe, observe_sockets, observe_sockets, sysctl_read, sysctl_write, ledger_save, find_unit,
                          report, notify},
                .now = 1000 * S,
        };
        fake.live[FIN] = 60;
        fake.live[REUSE] = 2;
        fake.live[SYSCTL_TCP_TIMESTAMPS] = 1;
}

static void start(const char *text)
{
        struct ledger ledger = fake.file;

        ck_assert_int_eq(tuner_start(&tuner, &fake.world, config_of(text), &ledger, fake.now), 0);
}

static void ticks(unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                fake.now += S;
                tick(&tuner);
        }
}

static void start_and_hold(const char *text)
{
        start(text);
        fake.fin_wait2 = 100;
        ticks(1);
        ck_assert_int_eq(fake.live[FIN], 30);
}

static void reload(const char *text)
{
        ck_assert_int_eq(tuner_reload(&tuner, config_of(text)), 0);
}

START_TEST(holds_and_gives_back)
{
        start_and_hold(RULE("r", "30"));
        fake.fin_wait2 = 0;
        ticks(61);
        ck_assert_int_eq(fake.live[FIN], 60);
        ck_assert_uint_eq(fake.writes, 2);
        ck_assert_uint_eq(fake.events[EVENT_APPLIED] + fake.events[EVENT_RELEASED], 2);
}
END_TEST

/* The write took, and what is there cannot be read: the ledger must not forget the original. */
START_TEST(a_read_back_that_fails_loses_no_original)
{
        start(RULE("r", "30"));
        fake.fin_wait2 = 100;
        fake.read_error = -EIO;
        fake.read_error_after = 1; /* the look before the write is good */
        ticks(1);
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_HELD); /* nobody knows what is there */
        ck_assert_int_eq(fake.file.entry[FIN].original.v[0], 60);
        ck_assert_uint_ge(fake.events[EVENT_FAILED], 1);

        fake.read_error = 0;
        fake.fin_wait2 = 0;
        ticks(100);
        ck_assert_int_eq(fake.live[FIN], 60);
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_RELEASED);
}
END_TEST

START_TEST(a_write_that_does_nothing_is_no_success)
{
        start(RULE("r", "30"));
        fake.swallow = true;
        fake.fin_wait2 = 100;
        ticks(3);
        ck_assert_uint_eq(fake.events[EVENT_APPLIED], 0);
        ck_assert_uint_eq(fake.events[EVENT_FAILED], 1);
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
        ck_assert_uint_eq(fake.events[EVENT_FAILED], 1);
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
        ck_assert_uint_eq(fake.events[EVENT_DEGRADED], 1);
        fake.save_error = 0;
        ticks(1);
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_RELEASED);
        ck_assert_uint_eq(fake.events[EVENT_RECOVERED], 1);
}
END_TEST

START_TEST(a_process_that_died_before_its_write_leaves_nothing)
{
        fake.file.entry[FIN] =
                (struct ledger_entry){LEDGER_HELD, SYSCTL_VALUE(60), SYSCTL_VALUE(30), "r", 900 * S, {0}};
        start(RULE("r", "30"));
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_NONE);
        fake.live[FIN] = 30; /* the administrator's, later */
        ck_assert_uint_eq(tuner_restore_all(&tuner, "test"), 0);
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
        ck_assert_uint_eq(fake.events[EVENT_OVERRIDDEN], 1);
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
        start(RULE("r", "30"));
        ticks(10);
        ck_assert_int_eq(fake.live[FIN], 30);
}
END_TEST

START_TEST(an_override_outlives_a_crash)
{
        start_and_hold(RULE("r", "30"));
        fake.live[FIN] = 45;
        ticks(1);
        start(RULE("r", "30")); /* nothing was put in order before */
        ticks(100);
        ck_assert_int_eq(fake.live[FIN], 45);
}
END_TEST

/* What changes in the rule is not what it sets. */
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
        ck_assert_uint_eq(fake.events[EVENT_UNEXPECTED_EFFECT], 0);
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
        start(both);
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
        ck_assert_uint_eq(fake.events[EVENT_DEGRADED], 1);
        fake.observe_error = 0;
        ticks(62);
        ck_assert_int_eq(fake.live[FIN], 60);
        ck_assert_uint_eq(fake.events[EVENT_RECOVERED], 1);
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

START_TEST(observing_writes_nothing_not_even_back)
{
        start_and_hold(RULE("r", "30"));
        start("[daemon]\nmode = observe\n" RULE("r", "30")); /* after a crash */
        fake.fin_wait2 = 0;
        ticks(100);
        ck_assert_int_eq(fake.live[FIN], 30);
        ck_assert_uint_eq(fake.writes, 1);
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_HELD);
}
END_TEST

START_TEST(a_table_is_not_shrunk_under_what_it_holds)
{
        fake.live[SYSCTL_TCP_MAX_TW_BUCKETS] = 65536;
        start("[rule r]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_max_tw_buckets = 131072\n");
        fake.fin_wait2 = 100;
        ticks(1);
        ck_assert_int_eq(fake.live[SYSCTL_TCP_MAX_TW_BUCKETS], 131072);
        fake.fin_wait2 = 0;
        ticks(200); /* the fake world does not tell how full it is: not known is not empty */
        ck_assert_int_eq(fake.live[SYSCTL_TCP_MAX_TW_BUCKETS], 131072);
}
END_TEST

START_TEST(what_this_kernel_lacks_is_said_and_left)
{
        fake.lacks_reuse = true;
        start(RULE("r", "30") "[rule s]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_tw_reuse = 1\n");
        fake.fin_wait2 = 100;
        ticks(5);
        ck_assert_ptr_nonnull(strstr(fake.loaded, "enforcing 2 rules"));
        ck_assert_ptr_nonnull(strstr(fake.loaded, "1 of them cannot act here"));
        ck_assert(fake.live[FIN] == 30 && fake.live[REUSE] == 2);
        ck_assert_uint_eq(fake.events[EVENT_CONFIG_LOADED], 1);
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
        tcase_add_test(tcase, a_write_that_does_nothing_is_no_success);
        tcase_add_test(tcase, without_a_ledger_nothing_is_written);
        tcase_add_test(tcase, a_ledger_that_could_not_be_saved_is_saved_later);
        tcase_add_test(tcase, a_process_that_died_before_its_write_leaves_nothing);
        tcase_add_test(tcase, a_restore_at_a_reload_that_fails_is_tried_again);
        tcase_add_loop_test(tcase, an_override_outlives_reloads, 0, 4);
        tcase_add_test(tcase, an_override_just_before_a_reload_is_seen);
        tcase_add_test(tcase, an_override_ends_with_an_orderly_stop);
        tcase_add_test(tcase, an_override_outlives_a_crash);
        tcase_add_test(tcase, a_reload_of_the_until_alone_does_not_dip);
        tcase_add_test(tcase, a_reload_that_drops_expect_forgets_it);
        tcase_add_test(tcase, a_crash_does_not_dip_what_two_rules_hold);
        tcase_add_test(tcase, a_rule_is_applied_whole_or_not_yet);
        tcase_add_test(tcase, nothing_is_decided_while_nothing_can_be_read);
        tcase_add_test(tcase, what_cannot_be_put_back_is_counted_and_stays_in_the_ledger);
        tcase_add_test(tcase, observing_writes_nothing_not_even_back);
        tcase_add_test(tcase, what_this_kernel_lacks_is_said_and_left);
        tcase_add_test(tcase, a_table_is_not_shrunk_under_what_it_holds);
}

int main(void)
{
        return run_suite("tuner", add);
}
