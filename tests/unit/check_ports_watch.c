/* SPDX-License-Identifier: MIT */
/* Evidence about one destination: ports.reused, ports.syn_waiting and ports.unanswered, and a rate that counts each
 * socket once. */

#include <math.h>

#include "ports_host.h"
#include "run.h"

static const struct destination *toward(uint32_t dst)
{
        for (unsigned slot = 0; slot < ports_slots(ports); slot++) {
                const struct destination *d = ports_destination(ports, slot);

                if (d->id != 0 && d->key.dst[3] == htonl(dst))
                        return d;
        }
        return NULL;
}

static double value_toward(uint32_t dst, unsigned metric)
{
        return ports_value(toward(dst), metric).lower;
}

/* One second of as many connections, on ports of TIME_WAIT or on others. */
static void live(uint64_t s, uint32_t dst, unsigned n, bool reuse)
{
        for (unsigned i = 0; i < n; i++) {
                struct model_socket *old = &model.socket[i];
                uint64_t at = START + s * SEC - SEC / 2;

                if (!reuse)
                        model_add(&model, TCP_TIME_WAIT, dst, 80, at);
                else if (old->dst == dst)
                        old->since = at; /* the same port */
        }
        model_dump(&model, ports, &limits, START + s * SEC, reuse ? n : 0);
}

static void watch_all(void)
{
        struct watch_list list = {.n = 1};

        limits.tw_reuse = 1;
        add_many(1000, TCP_TIME_WAIT, START);
        model_dump(&model, ports, &limits, START, 0);
        list.id[0] = toward(SERVER)->id;
        ports_watch(ports, &list);
        model_dump(&model, ports, &limits, START + SEC, 0);
}

START_TEST(reused_ports_are_seen)
{
        watch_all();
        ck_assert(isnan(value_toward(SERVER, METRIC_PORTS_REUSED)));
        live(2, SERVER, 30, true);
        ck_assert_double_eq(value_toward(SERVER, METRIC_PORTS_REUSED), 100);
        live(3, SERVER, 30, false);
        ck_assert_double_eq(value_toward(SERVER, METRIC_PORTS_REUSED), 0);
}
END_TEST

/* As where a dump is expensive: cpu_budget then allows fewer. */
START_TEST(dumps_further_apart_than_ticks_show_it_as_well)
{
        uint64_t apart = 2 + (uint64_t)_i;

        watch_all();
        model_dump(&model, ports, &limits, START + apart * SEC, 0);
        model_dump(&model, ports, &limits, START + 2 * apart * SEC, 0);
        live(3 * apart, SERVER, 30, true);
        ck_assert_double_eq(value_toward(SERVER, METRIC_PORTS_REUSED), 100);
        live(4 * apart, SERVER, 30, false);
        ck_assert_double_eq(value_toward(SERVER, METRIC_PORTS_REUSED), 0);
}
END_TEST

/* The counter of reused ports knows nothing of a FIN that is sent again. */
START_TEST(a_fin_that_is_sent_again_is_no_reuse)
{
        watch_all();
        for (unsigned i = 0; i < 30; i++) {
                model.socket[i].since = START + SEC + SEC / 2;
                model_add(&model, TCP_TIME_WAIT, SERVER, 80, START + SEC + SEC / 2);
        }
        model_dump(&model, ports, &limits, START + 2 * SEC, 1);
        ck_assert_double_eq_tol(value_toward(SERVER, METRIC_PORTS_REUSED), 100 / 31.0, 0.1);
}
END_TEST

/* Eight a second: a share needs twenty. */
START_TEST(few_connections_are_gathered)
{
        watch_all();
        for (uint64_t s = 2; s <= 3; s++) {
                live(s, SERVER, 8, true);
                ck_assert(isnan(value_toward(SERVER, METRIC_PORTS_REUSED)));
        }
        live(4, SERVER, 8, false);
        ck_assert_double_eq_tol(value_toward(SERVER, METRIC_PORTS_REUSED), 100 * 16 / 24.0, 0.1);
        for (uint64_t s = 5; s <= 8; s++) /* silence */
                model_dump(&model, ports, &limits, START + s * SEC, 0);
        ck_assert(isnan(value_toward(SERVER, METRIC_PORTS_REUSED)));
}
END_TEST

START_TEST(reuse_toward_others_proves_nothing)
{
        watch_all();
        live(2, SERVER, 30, false);
        for (unsigned i = 0; i < 500; i++)
                model_add(&model, TCP_TIME_WAIT, SERVER + 1, 80, START + SEC)->sport = model.socket[i].sport;
        model_dump(&model, ports, &limits, START + 3 * SEC, 1000);
        for (unsigned i = 0; i < model.n; i++)
                if (model.socket[i].dst == SERVER + 1)
                        model.socket[i].since = START + 3 * SEC + SEC / 2;
        model_dump(&model, ports, &limits, START + 4 * SEC, 1000);
        ck_assert_double_eq(value_toward(SERVER, METRIC_PORTS_REUSED), 0);
}
END_TEST

/* connect() fails, and makes nothing that a dump could show. */
START_TEST(no_port_left_is_no_reuse)
{
        model.ports = 1000;
        limits.high = limits.low + 999;
        watch_all();
        model_dump(&model, ports, &limits, START + 2 * SEC, 0);
        ck_assert_double_eq(value_toward(SERVER, METRIC_PORTS_REUSED), 0);
}
END_TEST

/* One FIN that was sent again looks like a reuse, and nothing more comes that could be compared. */
START_TEST(one_that_looks_reused_before_no_port_is_left)
{
        model.ports = 1000;
        limits.high = limits.low + 999;
        watch_all();
        live(2, SERVER, 1, true);
        ck_assert(isnan(value_toward(SERVER, METRIC_PORTS_REUSED)));
        for (uint64_t s = 3; s <= 6; s++)
                model_dump(&model, ports, &limits, START + s * SEC, 0);
        ck_assert_double_eq(value_toward(SERVER, METRIC_PORTS_REUSED), 5);
}
END_TEST

/* TIME_WAIT ends on these ports, and others take them at once, so that no dump shows the ports free. */
START_TEST(a_port_whose_time_is_over_was_not_reused)
{
        watch_all();
        for (unsigned i = 0; i < 100; i++)
                model.socket[i].since = START + 2 * SEC - TIME_WAIT_NS + SEC / 2; /* half a second is left */
        model_dump(&model, ports, &limits, START + 2 * SEC, 0);
        live(3, SERVER, 100, true);
        ck_assert_double_eq(value_toward(SERVER, METRIC_PORTS_REUSED), 0);
}
END_TEST

/* The dumps in between look only at other ports, and must not leave a note of these for the dump that sees them again. */
START_TEST(ports_that_left_the_range_are_forgotten)
{
        const unsigned low = limits.low;

        watch_all();
        limits.low = 50000;
        model_dump(&model, ports, &limits, START + 2 * SEC, 0);
        model_dump(&model, ports, &limits, START + 3 * SEC, 0);
        limits.low = low;
        model.n = model.next_port = 0;
        add_many(30, TCP_TIME_WAIT, START + 4 * SEC - SEC / 2);
        model_dump(&model, ports, &limits, START + 4 * SEC, 30);
        ck_assert_double_eq(value_toward(SERVER, METRIC_PORTS_REUSED), 0);
}
END_TEST

START_TEST(another_value_of_the_sysctl_begins_anew)
{
        watch_all();
        live(2, SERVER, 30, true);
        limits.tw_reuse_delay_ms = 250;
        live(3, SERVER, 30, true);
        ck_assert(isnan(value_toward(SERVER, METRIC_PORTS_REUSED)));
}
END_TEST

/* SYN_SENT on ports that were in TIME_WAIT, and on others; how many of each wait. */
static double syn_waiting(unsigned on_reused, unsigned waits_on_reused, unsigned elsewhere, unsigned waits_elsewhere)
{
        watch_all();
        ports_begin(ports, &limits, NULL, &no_ports, START + 2 * SEC, SEC);
        for (unsigned i = 0; i < 1000 + elsewhere; i++) {
                bool is_new = i < on_reused || i >= 1000,
                     waits = i < waits_on_reused || (i >= 1000 && i < 1000 + waits_elsewhere);
                struct inet_diag_msg m;

                if (i >= 1000)
                        model_add(&model, TCP_SYN_SENT, SERVER, 80, 0);
                model.socket[i].state = is_new ? TCP_SYN_SENT : TCP_TIME_WAIT;
                m = model_message(&model.socket[i], START + 2 * SEC);
                m.idiag_timer = is_new;
                m.idiag_expires = !is_new ? 58000 : waits ? 700 : 900;
                ports_add_socket(ports, &m, sizeof(m), START + 2 * SEC);
        }
        ports_commit(ports, on_reused);
        return value_toward(SERVER, METRIC_PORTS_SYN_WAITING);
}

static const struct {
        unsigned on_reused, waits_on_reused, elsewhere, waits_elsewhere;
        double percent;
} waits[] = {
        {100, 40, 100, 0, 40},   {100, 40, 100, 14, 0}, /* not three times as many */
        {100, 100, 100, 100, 0},                        /* a dead backend */
        {100, 100, 0, 0, NAN},                          /* nothing to compare with */
        {10, 10, 100, 0, NAN},   {100, 0, 100, 0, 0},
        {40, 40, 6, 0, 100},     {40, 16, 6, 0, 0}, /* the next of few might wait */
};

START_TEST(reused_ports_wait_longer_than_others)
{
        double found = syn_waiting(waits[_i].on_reused, waits[_i].waits_on_reused, waits[_i].elsewhere,
                                   waits[_i].waits_elsewhere);

        if (isnan(waits[_i].percent))
                ck_assert(isnan(found));
        else
                ck_assert_double_eq_tol(found, waits[_i].percent, 0.01);
}
END_TEST

START_TEST(a_syn_sent_twice_again_is_unanswered)
{
        struct inet_diag_msg m = model_message(model_add(&model, TCP_SYN_SENT, SERVER, 80, 0), START);

        for (uint8_t retrans = 0; retrans < 4; retrans++) {
                m.idiag_retrans = retrans;
                ports_begin(ports, &limits, NULL, &no_ports, START + retrans * SEC, SEC);
                ports_add_socket(ports, &m, sizeof(m), START);
                ports_commit(ports, 0);
                ck_assert_double_eq(value_toward(SERVER, METRIC_PORTS_UNANSWERED), retrans >= 2);
        }
}
END_TEST

/* Each connection of the pool was a holder before: nothing more is needed. */
START_TEST(a_pool_that_is_closed_at_once_grows_nothing)
{
        add_many(9000, TCP_ESTABLISHED, 0);
        for (uint64_t s = 0; s < 4; s++)
                model_dump(&model, ports, &limits, START + s * SEC, 0);
        for (unsigned i = 0; i < model.n; i++) {
                model.socket[i].state = TCP_TIME_WAIT;
                model.socket[i].since = START + 3 * SEC + SEC / 2;
        }
        for (uint64_t s = 4; s < 8; s++) {
                model_dump(&model, ports, &limits, START + s * SEC, 0);
                ck_assert_double_eq_tol(lower(METRIC_PORTS_FORECAST), 100 * 9000 / HALF, 0.1);
        }
}
END_TEST

/* After ticks that needed no dump, the last dump is old: its sockets may have been closed a moment ago. */
START_TEST(a_pool_that_is_closed_after_a_gap_grows_nothing)
{
        add_many(5000, TCP_ESTABLISHED, 0);
        for (uint64_t s = 0; s < 4; s++)
                model_dump(&model, ports, &limits, START + s * SEC, 0);
        for (unsigned i = 0; i < model.n; i++) {
                model.socket[i].state = TCP_TIME_WAIT;
                model.socket[i].since = START + 40 * SEC - SEC / 2;
        }
        for (uint64_t s = 40; s < 43; s++) {
                model_dump(&model, ports, &limits, START + s * SEC, 0);
                ck_assert_double_eq_tol(lower(METRIC_PORTS_FORECAST), 100 * 5000 / HALF, 0.1);
        }
}
END_TEST

/* The kernel gives a program its own port again. At the first dumps it cannot be told from one that suffers. */
START_TEST(ports_that_a_program_takes_again_are_free)
{
        limits.high = limits.low + 1023;
        model.ports = 1024;
        add_many(1000, TCP_TIME_WAIT, START - 5 * SEC);
        for (uint64_t s = 0; s < 8; s++) {
                live(s, SERVER, 200, true);
                ck_assert_double_eq(value_toward(SERVER, METRIC_PORTS_FORECAST), 0);
        }
        live(8, SERVER, 24, false); /* and when it takes others */
        live(9, SERVER, 0, false);
        ck_assert_double_ge(value_toward(SERVER, METRIC_PORTS_FORECAST), 99);
}
END_TEST

/* Another program goes to the same destination: however often the first takes its own ports again, the ports of the
 * second are not free. */
START_TEST(ports_of_another_program_are_not_free)
{
        limits.high = limits.low + 1023;
        model.ports = 1024;
        add_many(100, TCP_TIME_WAIT, START - 5 * SEC);
        for (uint64_t s = 0; s < 16; s++) {
                for (unsigned i = 0; i < 25; i++)
                        model_add(&model, TCP_TIME_WAIT, SERVER, 80, START + s * SEC - SEC / 2);
                live(s, SERVER, 90, true);
        }
        ck_assert_double_gt(value_toward(SERVER, METRIC_PORTS_REUSED), 70);
        ck_assert_double_ge(value_toward(SERVER, METRIC_PORTS_FORECAST), 50);
}
END_TEST

static void add_tests(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, set_up, tear_down);
        tcase_add_test(tcase, reused_ports_are_seen);
        tcase_add_loop_test(tcase, dumps_further_apart_than_ticks_show_it_as_well, 0, 7);
        tcase_add_test(tcase, a_fin_that_is_sent_again_is_no_reuse);
        tcase_add_test(tcase, few_connections_are_gathered);
        tcase_add_test(tcase, reuse_toward_others_proves_nothing);
        tcase_add_test(tcase, no_port_left_is_no_reuse);
        tcase_add_test(tcase, one_that_looks_reused_before_no_port_is_left);
        tcase_add_test(tcase, a_port_whose_time_is_over_was_not_reused);
        tcase_add_test(tcase, ports_that_left_the_range_are_forgotten);
        tcase_add_test(tcase, another_value_of_the_sysctl_begins_anew);
        tcase_add_loop_test(tcase, reused_ports_wait_longer_than_others, 0, ELEMENTSOF(waits));
        tcase_add_test(tcase, a_syn_sent_twice_again_is_unanswered);
        tcase_add_test(tcase, a_pool_that_is_closed_at_once_grows_nothing);
        tcase_add_test(tcase, a_pool_that_is_closed_after_a_gap_grows_nothing);
        tcase_add_test(tcase, ports_that_a_program_takes_again_are_free);
        tcase_add_test(tcase, ports_of_another_program_are_not_free);
}

int main(void)
{
        return run_suite("ports_watch", add_tests);
}
