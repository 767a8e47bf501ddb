/* SPDX-License-Identifier: MIT */
/* The status in one sentence: what it names, and how often the service manager hears of it. */

#include "fake_backend.h"

#define RULE "[rule r]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_fin_timeout = 30\n"
#define OBSERVE "[daemon]\nmode = observe\n" RULE
#define DROPS "[rule drops]\nwhen = listen.drops > 0/s\nadvise = more workers\n"

static double drops;
static uint64_t dump_every;
static unsigned notified, ready;

static void count(struct backend *backend, const char *state)
{
        notified++;
        ready += strstr(state, "READY=1") != NULL;
        notify(backend, state);
}

static void see_drops(struct snapshot *s)
{
        s->reading[METRIC_LISTEN_DROPS] = reading_valid(drops);
        strcpy(s->endpoint[METRIC_LISTEN_DROPS], "0.0.0.0:8080");
        strcpy(s->culprit[METRIC_LISTEN_DROPS], "web.service");
        s->dump_every = dump_every;
}

static void begin(void)
{
        set_up();
        fake.backend.notify = count;
        fake.also = see_drops;
        drops = 0;
        dump_every = 0;
        notified = ready = 0;
}

static void expect_status(const char *text)
{
        ck_assert_str_eq(fake.status, text);
}

START_TEST(observe_mode_says_would)
{
        start(OBSERVE);
        fake.fin_wait2 = 100;
        ticks(2);
        expect_status("observing: would change 1 sysctl");
        ck_assert_int_eq(tuner.status.state, STATE_WOULD_ACT);
        fake.fin_wait2 = 0;
        ticks(70);
        expect_status("healthy, observing only");
}
END_TEST

/* What a twtuned before has left changed is put back by nobody, so it must not read as healthy. */
START_TEST(observe_mode_says_what_stays_changed)
{
        start(RULE);
        fake.fin_wait2 = 100;
        ticks(2);
        start_again(OBSERVE);
        fake.fin_wait2 = 0;
        ticks(2);
        expect_status("observing, but 1 sysctl is still changed by an earlier twtuned: stop twtuned and run: twtuned "
                      "--restore");
        ck_assert_int_eq(tuner.status.state, STATE_DEGRADED);
        ck_assert_uint_eq(fake.events[AUDIT_LEFT_CHANGED], 1);
        ck_assert_uint_eq(fake.events[AUDIT_OVERRIDDEN], 0);
        ck_assert_str_eq(
                logged(AUDIT_LEFT_CHANGED, "MESSAGE"),
                "net.ipv4.tcp_fin_timeout is still 30, as an earlier twtuned set it (rule r; it was 60): observe "
                "mode writes nothing; to put it back, stop twtuned and run: twtuned --restore");
        ck_assert_int_eq(fake.live[FIN], 30);
}
END_TEST

START_TEST(advice_names_whose_it_is_beside_a_change)
{
        start(RULE DROPS);
        fake.fin_wait2 = 100;
        drops = 424;
        ticks(2);
        expect_status("advice: drops at 0.0.0.0:8080, web.service; 1 sysctl changed");
        ck_assert_int_eq(tuner.status.state, STATE_ADVISING);
        drops = 0;
        ticks(70);
        expect_status("acting: 1 sysctl changed");
}
END_TEST

START_TEST(several_advices_are_counted)
{
        start("[rule fin]\nwhen = tcp.fin_wait2 >= 100\nadvise = close them\n" DROPS);
        fake.fin_wait2 = 150;
        drops = 1;
        ticks(2);
        expect_status("advice: drops at 0.0.0.0:8080, web.service, and 1 more");
}
END_TEST

/* A figure that changes every second is for twtunectl: the service manager hears of changes alone, and of READY
 * once. */
START_TEST(the_service_manager_hears_of_changes_only)
{
        start(RULE DROPS);
        fake.fin_wait2 = 100;
        for (unsigned i = 0; i < 50; i++) {
                fake.fin_wait2 += 7;
                drops = i % 2 ? i : 0;
                fake.dump_ns = i * 1000;
                ticks(1);
        }
        ck_assert_uint_eq(ready, 1);
        ck_assert(notified == 2 || notified == 3); /* acting, then advice */
}
END_TEST

/* Dumps are made in ticks, so the time between two of them is rounded up to whole ticks. */
START_TEST(looks_that_cpu_budget_leaves_out)
{
        start(RULE);
        dump_every = NSEC_PER_SEC;
        ticks(1);
        expect_status("healthy");
        dump_every = 3 * NSEC_PER_SEC + 1;
        ticks(1);
        expect_status("healthy, looking at the sockets every 4.0 s or so (cpu_budget)");
}
END_TEST

static void end(void)
{
        tuner_stop(&tuner);
}

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, begin, end);
        tcase_add_test(tcase, observe_mode_says_would);
        tcase_add_test(tcase, observe_mode_says_what_stays_changed);
        tcase_add_test(tcase, advice_names_whose_it_is_beside_a_change);
        tcase_add_test(tcase, several_advices_are_counted);
        tcase_add_test(tcase, looks_that_cpu_budget_leaves_out);
        tcase_add_test(tcase, the_service_manager_hears_of_changes_only);
}

int main(void)
{
        return run_suite("status", add);
}
