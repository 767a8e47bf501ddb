/* SPDX-License-Identifier: MIT */
/* The whole tick over rules that go step by step, and what people are told: steps and advice. */

#include "fake_backend.h"
#include "sockets.h"

#define PROBES SYSCTL_TCP_KEEPALIVE_PROBES
#define LOWER "lower = net.ipv4.tcp_fin_timeout /2 min 10\n"
#define WHEN "when = tcp.fin_wait2 >= 100\n"
#define STEPS "[rule steps]\n" WHEN LOWER

static void start_and_step(const char *text)
{
        start(text);
        fake.fin_wait2 = 100;
        ticks(1);
        ck_assert_int_eq(fake.live[FIN], 30);
}

static void expect_told(enum audit_kind kind, const char *name, const char *value)
{
        ck_assert_msg(strcmp(logged(kind, name), value) == 0, "%s=%s instead of %s", name, logged(kind, name), value);
}

static void expect_says(enum audit_kind kind, const char *part)
{
        ck_assert_msg(strstr(logged(kind, "MESSAGE"), part), "'%s' is not in '%s'", part, logged(kind, "MESSAGE"));
}

/* ---- steps ---- */

START_TEST(steps_are_taken_told_and_given_back_at_once)
{
        start_and_step(STEPS);
        expect_told(AUDIT_APPLIED, "OLDVALUE", "60");
        expect_told(AUDIT_APPLIED, "NEWVALUE", "30");
        expect_told(AUDIT_APPLIED, "ORIGINALVALUE", "60");
        ticks(10);
        ck_assert_int_eq(fake.live[FIN], 15);
        expect_told(AUDIT_APPLIED, "SYSCTL", "net.ipv4.tcp_fin_timeout");
        expect_told(AUDIT_APPLIED, "OLDVALUE", "30");
        expect_told(AUDIT_APPLIED, "NEWVALUE", "15");
        expect_told(AUDIT_APPLIED, "ORIGINALVALUE", "60");
        expect_told(AUDIT_APPLIED, "RESULT", "applied");
        expect_told(AUDIT_APPLIED, "RULE", "steps");
        expect_told(AUDIT_APPLIED, "METRIC", "tcp.fin_wait2");
        expect_told(AUDIT_APPLIED, "METRICVALUE", "100");
        expect_says(AUDIT_APPLIED, "net.ipv4.tcp_fin_timeout: 30 -> 15: tcp.fin_wait2 is 100 (>= 100)");
        ticks(100);
        ck_assert_int_eq(fake.live[FIN], 10);
        ck_assert_uint_eq(fake.events[AUDIT_APPLIED], 3);
        fake.fin_wait2 = 0;
        ticks(61);
        ck_assert_int_eq(fake.live[FIN], 60);
        ck_assert_uint_eq(fake.events[AUDIT_RELEASED], 1);
        expect_told(AUDIT_RELEASED, "OLDVALUE", "10");
        expect_told(AUDIT_RELEASED, "NEWVALUE", "60");
        expect_told(AUDIT_RELEASED, "ORIGINALVALUE", "60");
        ck_assert_uint_eq(fake.writes, 4);
}
END_TEST

START_TEST(a_stop_after_steps_gives_the_original)
{
        start_and_step(STEPS);
        ticks(10);
        ck_assert_uint_eq(tuner_restore_all(&tuner, "test"), 0);
        ck_assert_int_eq(fake.live[FIN], 60);
}
END_TEST

/* Another program wrote 16 before the value was read back. */
START_TEST(a_value_written_over_a_step_is_left_alone)
{
        start_and_step(STEPS);
        fake.bent = 1;
        ticks(10);
        ck_assert_int_eq(fake.live[FIN], 16);
        ck_assert_uint_eq(fake.events[AUDIT_OVERRIDDEN], 1);
        ck_assert_uint_eq(fake.events[AUDIT_FAILED], 0);
        expect_says(AUDIT_OVERRIDDEN, "net.ipv4.tcp_fin_timeout is 16 now: another program changed it");
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_FOREIGN);
        ticks(20);
        ck_assert_uint_eq(fake.writes, 2);
        ck_assert_uint_eq(tuner_restore_all(&tuner, "test"), 0);
        ck_assert_int_eq(fake.live[FIN], 16);
}
END_TEST

START_TEST(a_value_written_over_the_first_change_is_left_alone)
{
        start(STEPS);
        fake.fin_wait2 = 100;
        fake.bent = 1;
        ticks(200);
        ck_assert_int_eq(fake.live[FIN], 31);
        ck_assert_uint_eq(fake.events[AUDIT_OVERRIDDEN], 1);
        ck_assert_uint_eq(fake.events[AUDIT_FAILED], 0);
        ck_assert_uint_eq(fake.writes, 1);
        ck_assert_uint_eq(tuner_restore_all(&tuner, "test"), 0);
        ck_assert_int_eq(fake.live[FIN], 31);
}
END_TEST

START_TEST(a_step_that_fails_leaves_the_step_before)
{
        start_and_step(STEPS);
        fake.swallow = true;
        ticks(10);
        fake.swallow = false;
        ck_assert_int_eq(fake.live[FIN], 30);
        ck_assert_uint_eq(fake.events[AUDIT_FAILED], 1);
        expect_told(AUDIT_FAILED, "OLDVALUE", "30");
        expect_told(AUDIT_FAILED, "ORIGINALVALUE", "60");
        expect_told(AUDIT_FAILED, "RESULT", "failed");
        ck_assert(fake.file.entry[FIN].state == LEDGER_HELD && fake.file.entry[FIN].written.v[0] == 30);
        ticks(10); /* and goes on from there */
        ck_assert_int_eq(fake.live[FIN], 15);
        ck_assert_uint_eq(fake.events[AUDIT_OVERRIDDEN], 0);
        fake.fin_wait2 = 0;
        ticks(61);
        ck_assert_int_eq(fake.live[FIN], 60);
}
END_TEST

/* What is there cannot be read, neither after the step nor after it was taken back. */
START_TEST(a_step_that_cannot_be_read_back_loses_no_original)
{
        start_and_step(STEPS);
        ticks(9);
        fake.read_error = -EIO;
        fake.read_error_after = 1; /* the look before the write is good */
        ticks(1);
        ck_assert_uint_eq(fake.events[AUDIT_FAILED], 1);
        ck_assert_int_eq(fake.file.entry[FIN].original.v[0], 60);
        fake.read_error = 0;
        fake.fin_wait2 = 0;
        ticks(70);
        ck_assert_int_eq(fake.live[FIN], 60);
        expect_told(AUDIT_RELEASED, "OLDVALUE", "30");
        ck_assert_uint_eq(fake.events[AUDIT_OVERRIDDEN], 0);
}
END_TEST

START_TEST(without_a_ledger_there_is_no_step)
{
        start_and_step(STEPS);
        fake.save_error = -ENOSPC;
        ticks(15);
        ck_assert_uint_eq(fake.writes, 1);
        ck_assert_uint_eq(fake.events[AUDIT_FAILED], 1);
        fake.save_error = 0;
        ticks(10);
        ck_assert_int_eq(fake.live[FIN], 15);
}
END_TEST

START_TEST(someone_else_between_observing_and_writing)
{
        start_and_step(STEPS);
        ticks(9);
        fake.meanwhile = 45;
        ticks(1);
        ck_assert_int_eq(fake.live[FIN], 45);
        ck_assert_uint_eq(fake.writes, 1);
        ck_assert_uint_eq(fake.events[AUDIT_OVERRIDDEN], 1);
        expect_told(AUDIT_OVERRIDDEN, "OLDVALUE", "30");
        expect_told(AUDIT_OVERRIDDEN, "NEWVALUE", "45");
        expect_told(AUDIT_OVERRIDDEN, "ORIGINALVALUE", "60");
        expect_told(AUDIT_OVERRIDDEN, "RESULT", "left-alone");
        expect_says(AUDIT_OVERRIDDEN, "net.ipv4.tcp_fin_timeout is 45 now: another program changed it");
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_FOREIGN);
        ticks(100);
        start_again(STEPS); /* nor after a crash */
        ticks(100);
        ck_assert_int_eq(fake.live[FIN], 45);
        ck_assert_uint_eq(fake.writes, 1);
}
END_TEST

/* Of two sysctls one is someone else's now, and the other has to wait: it is theirs all the same. */
START_TEST(someone_else_while_the_limits_hold_the_rest)
{
        start_and_step("[limits]\nchanges_per_minute = 2\nmin_interval = 0s\n" STEPS
                       "lower = net.ipv4.tcp_keepalive_probes /2 min 3\n");
        ticks(9);
        fake.meanwhile = 45;
        ticks(1);
        ck_assert_uint_eq(fake.events[AUDIT_OVERRIDDEN], 1);
        ck_assert_uint_eq(fake.events[AUDIT_REFUSED], 1);
        expect_told(AUDIT_REFUSED, "SYSCTL", "net.ipv4.tcp_keepalive_probes");
        ticks(100);
        ck_assert_int_eq(fake.live[FIN], 45);
        ck_assert_int_eq(fake.live[PROBES], 3);
        ck_assert_uint_eq(fake.events[AUDIT_OVERRIDDEN], 1);
}
END_TEST

START_TEST(observing_steps_on_paper)
{
        start("[daemon]\nmode = observe\n" STEPS);
        fake.fin_wait2 = 100;
        ticks(60);
        ck_assert_uint_eq(fake.writes, 0);
        ck_assert_uint_eq(fake.events[AUDIT_APPLIED], 3);
        expect_told(AUDIT_APPLIED, "OLDVALUE", "15");
        expect_told(AUDIT_APPLIED, "NEWVALUE", "10");
        expect_told(AUDIT_APPLIED, "ORIGINALVALUE", "60");
        expect_says(AUDIT_APPLIED, "would set net.ipv4.tcp_fin_timeout: 15 -> 10");
        expect_told(AUDIT_APPLIED, "RESULT", "would");
}
END_TEST

/* Killed at any instant: the next start, with the same rule or without it, brings the original back. */
START_TEST(killed_at_any_instant)
{
        static struct instant instant[INSTANTS_MAX];
        unsigned n;

        start_and_step(STEPS);
        ticks(30);
        fake.fin_wait2 = 0;
        ticks(61);
        n = fake.n_instants;
        ck_assert_uint_ge(n, 8);
        ck_assert_uint_lt(n, INSTANTS_MAX);
        memcpy(instant, fake.instant, sizeof(instant));
        for (unsigned i = 0; i < n; i++) {
                int64_t live = instant[i].live[FIN];
                bool same = _i == 0;
                char text[32];

                tuner_stop(&tuner);
                fake.file = instant[i].file;
                memcpy(fake.live, instant[i].live, sizeof(fake.live));
                fake.events[AUDIT_OVERRIDDEN] = 0;
                start(same ? STEPS : "[rule other]\nwhen = tcp.closing > 5\nset = net.ipv4.tcp_tw_reuse = 1\n");
                ticks(!same);
                fake.fin_wait2 = 100;
                ck_assert_msg(fake.live[FIN] == (same ? live : 60), "instant %u: a dip to %lld", i,
                              (long long)fake.live[FIN]);
                if (same && live != 60)
                        ck_assert_int_eq(fake.file.entry[FIN].written.v[0], live);
                snprintf(text, sizeof(text), "%lld", (long long)live);
                if (!same && live != 60)
                        expect_told(AUDIT_RELEASED, "OLDVALUE", text);
                ticks(5);
                fake.fin_wait2 = 0;
                ticks(61);
                ck_assert_msg(fake.live[FIN] == 60, "instant %u: %lld is left", i, (long long)fake.live[FIN]);
                ck_assert_msg(fake.events[AUDIT_OVERRIDDEN] == 0, "instant %u: taken for someone else's", i);
        }
}
END_TEST

START_TEST(a_step_goes_on_after_a_crash)
{
        start_and_step(STEPS);
        tuner_stop(&tuner);
        start(STEPS);
        ticks(9);
        ck_assert_int_eq(fake.live[FIN], 30);
        ticks(2);
        ck_assert_int_eq(fake.live[FIN], 15);
        expect_told(AUDIT_APPLIED, "ORIGINALVALUE", "60");
}
END_TEST

/* Each change counts, also of one sysctl: two of two a minute are made, and the next is due half a minute later. */
START_TEST(the_limits_hold_over_a_crash)
{
        static const char text[] = "[limits]\nchanges_per_minute = 2\nmin_interval = 0s\n" STEPS "every = 1s\n";

        start_and_step(text);
        ticks(1);
        ck_assert_int_eq(fake.live[FIN], 15);
        for (unsigned i = 0; i < 4; i++) {
                tuner_stop(&tuner);
                start(text);
                ticks(7);
                ck_assert_int_eq(fake.live[FIN], 15);
        }
        ticks(3);
        ck_assert_int_eq(fake.live[FIN], 10);
}
END_TEST

#define BACKLOG SYSCTL_SOMAXCONN
#define RAISES "[rule raises]\n" WHEN "raise = net.core.somaxconn x2 max 65535\n"

/* Bounds that do not fit what is held any more: it is put back at once, and goes no further than they do. By a reload,
 * or the next start has them. */
START_TEST(narrower_limits_do_not_let_it_stay)
{
        static const char narrower[] = "[limits]\nnet.core.somaxconn = max 10000\n" RAISES;

        fake.live[BACKLOG] = 4096;
        start(RAISES);
        fake.fin_wait2 = 100;
        ticks(11);
        ck_assert_int_eq(fake.live[BACKLOG], 16384);
        if (_i == 0) {
                reload(narrower);
        } else {
                tuner_stop(&tuner);
                start(narrower);
        }
        ticks(1);
        ck_assert_int_eq(fake.live[BACKLOG], 4096);
        ck_assert_uint_eq(fake.events[AUDIT_RELEASED], 1);
        ticks(30);
        ck_assert_int_eq(fake.live[BACKLOG], 10000);
        expect_told(AUDIT_APPLIED, "ORIGINALVALUE", "4096");
        fake.fin_wait2 = 0;
        ticks(200);
        ck_assert_int_eq(fake.live[BACKLOG], 4096);
}
END_TEST

/* Bounds that still fit it are no reason for a dip. */
START_TEST(limits_that_fit_do_not_dip)
{
        fake.live[BACKLOG] = 4096;
        start(RAISES);
        fake.fin_wait2 = 100;
        ticks(11);
        reload("[limits]\nnet.core.somaxconn = max 16384\n" RAISES);
        ticks(30);
        ck_assert_int_eq(fake.live[BACKLOG], 16384);
        ck_assert_uint_eq(fake.writes, 2);
}
END_TEST

/* ---- advice ---- */

#define ADVICE "[rule slow]\ndescription = the program is slow\nadvise = More workers,\nadvise = then restart it.\n"

static void see_listener(struct snapshot *s)
{
        s->reading[METRIC_COUNT + COUNTER_OWN] = reading_valid(7); /* the first counter that a rule names */
        s->reading[METRIC_LISTEN_DROPS] = reading_valid(fake.fin_wait2);
        strcpy(s->endpoint[METRIC_LISTEN_DROPS], "0.0.0.0:80");
        strcpy(s->culprit[METRIC_LISTEN_DROPS], "web.service");
}

START_TEST(advice_is_told_once)
{
        fake.also = see_listener;
        start(ADVICE "when = listen.drops >= 1/s\nuntil = listen.drops < 1/s\n");
        fake.fin_wait2 = 5;
        ticks(100);
        ck_assert_uint_eq(fake.events[AUDIT_ADVICE], 1);
        expect_told(AUDIT_ADVICE, "MESSAGE",
                    "the program is slow: listen.drops is 5.0/s (>= 1/s) at 0.0.0.0:80, web.service: More workers, "
                    "then restart it.");
        expect_told(AUDIT_ADVICE, "ADVICE", "More workers, then restart it.");
        expect_told(AUDIT_ADVICE, "RULE", "slow");
        expect_told(AUDIT_ADVICE, "METRIC", "listen.drops");
        expect_told(AUDIT_ADVICE, "METRICVALUE", "5.0/s");
        expect_told(AUDIT_ADVICE, "THRESHOLD", ">= 1/s");
        expect_told(AUDIT_ADVICE, "GROUP", "0.0.0.0:80");
        expect_told(AUDIT_ADVICE, "CULPRIT", "web.service");
        expect_told(AUDIT_ADVICE, "SYSCTL", "");
        ck_assert_str_eq(fake.status, "advice: slow at 0.0.0.0:80, web.service");
        fake.fin_wait2 = 0;
        ticks(10);
        ck_assert_str_eq(fake.status, "healthy");
        ck_assert_uint_eq(fake.events[AUDIT_RELEASED], 1);
        expect_told(AUDIT_RELEASED, "MESSAGE",
                    "over: the program is slow: listen.drops is 0.0/s (< 1/s) of web.service");
        expect_told(AUDIT_RELEASED, "RULE", "slow");
        ck_assert_uint_eq(fake.events[AUDIT_ADVICE], 1);
        ck_assert_uint_eq(fake.writes, 0);
}
END_TEST

/* The evidence is a counter, the listener is another condition's: it is still a listener. */
START_TEST(a_listener_is_at_its_address)
{
        fake.also = see_listener;
        start("[rule slow]\nadvise = x\nwhen = netstat.TcpExt.ListenOverflows >= 1/s\nwhen = listen.drops >= 1/s\n");
        fake.fin_wait2 = 5;
        ticks(1);
        expect_told(AUDIT_ADVICE, "MESSAGE",
                    "slow: netstat.TcpExt.ListenOverflows is 7.0/s (>= 1/s) at 0.0.0.0:80, web.service: x");
}
END_TEST

/* Ten TIME_WAIT sockets toward one destination, and none that lives. */
static void see_destination(struct snapshot *s)
{
        const struct ports_limits limits = stock_limits();
        static struct ports *ports;
        static struct model model;

        if (!ports) {
                ports = ports_new(7);
                for (unsigned i = 0; i < 10; i++)
                        model_add(&model, TCP_TIME_WAIT, 0x0a000002, 443, s->now);
                model_dump(&model, ports, &limits, s->now, 0);
        }
        s->ports = ports;
        for (unsigned metric = METRIC_PORTS_FIRST; metric <= METRIC_PORTS_LAST; metric++)
                s->reading[metric] = reading_of(ports_value(ports_busiest(ports), metric).lower);
}

START_TEST(the_first_record_names_the_unit)
{
        fake.also = see_destination;
        fake.cgroup = 4711;
        start(ADVICE "when = ports.used >= 5\n");
        ticks(3);
        ck_assert_uint_eq(fake.events[AUDIT_ADVICE], 1);
        expect_told(AUDIT_ADVICE, "GROUP", "10.0.0.1->10.0.0.2:443");
        expect_told(AUDIT_ADVICE, "CULPRIT", "group.service");
        ck_assert_uint_eq(fake.lookups, 1);
}
END_TEST

/* Beside very many sockets the search takes longer than a change can wait. */
START_TEST(all_changes_of_a_tick_come_before_a_search)
{
        fake.also = see_destination;
        start("[daemon]\nyield = no\n"
              "[rule one]\nwhen = ports.used >= 5\nset = net.ipv4.tcp_tw_reuse = 1\n"
              "[rule two]\nwhen = ports.used >= 5\nset = net.ipv4.tcp_fin_timeout = 30\n");
        ticks(3);
        ck_assert_uint_eq(fake.events[AUDIT_APPLIED], 2);
        ck_assert_uint_eq(fake.sought_after, 2);
}
END_TEST

/* The unit of the rule's episode, as status and JSON show it. */
static const char *unit_of_episode(void)
{
        const struct episode *e = episodes_current(&tuner.audit.episodes, "slow");

        ck_assert_ptr_nonnull(e);
        return e->culprit;
}

/* No dump meets a live socket, as the connections are too short. */
START_TEST(a_later_socket_names_the_unit)
{
        fake.also = see_destination;
        start(ADVICE "when = ports.used >= 5\n");
        ticks(3);
        expect_told(AUDIT_ADVICE, "CULPRIT", "unknown");
        ck_assert_str_eq(unit_of_episode(), "");
        fake.cgroup = 4711;
        ticks(1);
        ck_assert_str_eq(unit_of_episode(), "group.service");
        ck_assert_str_eq(fake.status, "advice: slow toward 10.0.0.1->10.0.0.2:443, group.service");
        fake.lookups = 0;
        ticks(3);
        ck_assert_uint_eq(fake.lookups, 0);
        ck_assert_uint_eq(fake.events[AUDIT_ADVICE], 1);
}
END_TEST

START_TEST(nobody_is_unknown)
{
        start(ADVICE WHEN);
        fake.fin_wait2 = 100;
        ticks(1);
        expect_told(AUDIT_ADVICE, "MESSAGE",
                    "the program is slow: tcp.fin_wait2 is 100 (>= 100): More workers, then restart it.");
        expect_told(AUDIT_ADVICE, "CULPRIT", "unknown");
        expect_told(AUDIT_ADVICE, "GROUP", "");
}
END_TEST

START_TEST(advice_is_given_in_observe_mode_too)
{
        start("[daemon]\nmode = observe\n" ADVICE WHEN);
        fake.fin_wait2 = 100;
        ticks(10);
        ck_assert_uint_eq(fake.events[AUDIT_ADVICE], 1);
}
END_TEST

static struct ports *ports;
static struct model model;

/* Two destinations: the larger one is idle, the other one opens connections. */
static void see_ports(struct snapshot *s)
{
        struct ports_limits limits = stock_limits();

        for (unsigned i = 0; i < 10; i++)
                model_add(&model, TCP_TIME_WAIT, 0x0a000002, 80, s->now - 1);
        limits.tw_reuse = (unsigned)fake.live[REUSE];
        model_dump(&model, ports, &limits, s->now, 0);
        s->ports = ports;
        for (unsigned m = METRIC_PORTS_FIRST; m <= METRIC_PORTS_LAST; m++)
                s->reading[m] = reading_valid(0);
        s->reading[METRIC_COUNT + COUNTER_TW_RECYCLED] = reading_valid(0);
}

START_TEST(advice_after_an_effect_that_did_not_come_names_the_group)
{
        ports = ports_new(1);
        for (unsigned i = 0; i < 2000; i++)
                model_add(&model, TCP_ESTABLISHED, 0x0a000003, 443, 0);
        for (unsigned i = 0; i < 1000; i++)
                model_add(&model, TCP_TIME_WAIT, 0x0a000002, 80, fake.now - S);
        fake.also = see_ports;
        start("[rule reuse]\ndescription = ports run out\nwhen = ports.used >= 500\nuntil = ports.used < 100\n"
              "set = net.ipv4.tcp_tw_reuse = 1\nexpect = netstat.TcpExt.TWRecycled > 0/s within 3s\n"
              "advise = No port was reused.\n");
        ticks(3);
        ck_assert_uint_eq(fake.events[AUDIT_APPLIED], 1);
        ck_assert_uint_eq(fake.events[AUDIT_ADVICE], 0);
        ticks(5);
        ck_assert_uint_eq(fake.events[AUDIT_UNEXPECTED_EFFECT], 1);
        ck_assert_uint_eq(fake.events[AUDIT_ADVICE], 1);
        expect_told(AUDIT_ADVICE, "MESSAGE",
                    "ports run out toward 10.0.0.1->10.0.0.2:80: no sysctl helps here: No port was reused.");
        expect_told(AUDIT_ADVICE, "GROUP", "10.0.0.1->10.0.0.2:80");
        expect_told(AUDIT_ADVICE, "METRIC", "netstat.TcpExt.TWRecycled");
        expect_told(AUDIT_UNEXPECTED_EFFECT, "GROUP", "10.0.0.1->10.0.0.2:80");
        ck_assert_int_eq(fake.live[REUSE], 2);
        ports_free(ports);
}
END_TEST

START_TEST(advice_where_the_lever_is_refused)
{
        fake.live[SYSCTL_TCP_TIMESTAMPS] = 0;
        start("[rule reuse]\n" WHEN "set = net.ipv4.tcp_tw_reuse = 1\nadvise = Switch timestamps on.\n");
        fake.fin_wait2 = 100;
        ticks(20);
        ck_assert_uint_eq(fake.events[AUDIT_REFUSED], 1);
        ck_assert_uint_eq(fake.events[AUDIT_ADVICE], 1);
        expect_says(AUDIT_ADVICE, "reuse: no sysctl helps here: Switch timestamps on.");
}
END_TEST

/* Nothing is wrong with a rule that works, or that has to wait, or that comes to its end. */
START_TEST(no_advice_where_the_lever_works)
{
        start_and_step("[limits]\nchanges_per_minute = 2\n" STEPS "advise = x\n");
        ticks(100);
        fake.fin_wait2 = 0;
        ticks(61);
        ck_assert_int_eq(fake.live[FIN], 60);
        ck_assert_uint_ge(fake.events[AUDIT_REFUSED], 1);
        ck_assert_uint_eq(fake.events[AUDIT_ADVICE], 0);
}
END_TEST

/* What a rule expects of its change is said when it comes, with the rest that is known by then. */
START_TEST(that_a_change_helps_is_said_once)
{
        start("[rule r]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_fin_timeout = 30\n"
              "expect = tcp.fin_wait2 < 150 within 15s\n");
        fake.fin_wait2 = 200;
        ticks(5);
        ck_assert_uint_eq(fake.events[AUDIT_EXPECTED_EFFECT], 0);
        fake.fin_wait2 = 120;
        ticks(10);
        ck_assert_uint_eq(fake.events[AUDIT_EXPECTED_EFFECT], 1);
        ck_assert_str_eq(logged(AUDIT_EXPECTED_EFFECT, "MESSAGE"), "rule r helps: tcp.fin_wait2 is 120 (< 150)");
        ck_assert_str_eq(logged(AUDIT_EXPECTED_EFFECT, "RULE"), "r");
        ck_assert_uint_eq(fake.events[AUDIT_UNEXPECTED_EFFECT], 0);
}
END_TEST

START_TEST(that_a_change_does_not_help_is_not_said_to_help)
{
        start("[rule r]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_fin_timeout = 30\n"
              "expect = tcp.fin_wait2 < 150 within 15s\n");
        fake.fin_wait2 = 200;
        ticks(60);
        ck_assert_uint_eq(fake.events[AUDIT_UNEXPECTED_EFFECT], 1);
        ck_assert_uint_eq(fake.events[AUDIT_EXPECTED_EFFECT], 0);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, set_up, NULL);
        tcase_add_test(tcase, steps_are_taken_told_and_given_back_at_once);
        tcase_add_test(tcase, a_stop_after_steps_gives_the_original);
        tcase_add_test(tcase, a_value_written_over_a_step_is_left_alone);
        tcase_add_test(tcase, a_value_written_over_the_first_change_is_left_alone);
        tcase_add_test(tcase, a_step_that_fails_leaves_the_step_before);
        tcase_add_test(tcase, a_step_that_cannot_be_read_back_loses_no_original);
        tcase_add_test(tcase, without_a_ledger_there_is_no_step);
        tcase_add_test(tcase, someone_else_between_observing_and_writing);
        tcase_add_test(tcase, someone_else_while_the_limits_hold_the_rest);
        tcase_add_test(tcase, observing_steps_on_paper);
        tcase_add_loop_test(tcase, killed_at_any_instant, 0, 2);
        tcase_add_test(tcase, a_step_goes_on_after_a_crash);
        tcase_add_test(tcase, the_limits_hold_over_a_crash);
        tcase_add_loop_test(tcase, narrower_limits_do_not_let_it_stay, 0, 2);
        tcase_add_test(tcase, limits_that_fit_do_not_dip);
        tcase_add_test(tcase, advice_is_told_once);
        tcase_add_test(tcase, a_listener_is_at_its_address);
        tcase_add_test(tcase, the_first_record_names_the_unit);
        tcase_add_test(tcase, all_changes_of_a_tick_come_before_a_search);
        tcase_add_test(tcase, a_later_socket_names_the_unit);
        tcase_add_test(tcase, nobody_is_unknown);
        tcase_add_test(tcase, advice_is_given_in_observe_mode_too);
        tcase_add_test(tcase, advice_after_an_effect_that_did_not_come_names_the_group);
        tcase_add_test(tcase, advice_where_the_lever_is_refused);
        tcase_add_test(tcase, that_a_change_helps_is_said_once);
        tcase_add_test(tcase, that_a_change_does_not_help_is_not_said_to_help);
        tcase_add_test(tcase, no_advice_where_the_lever_works);
}

int main(void)
{
        return run_suite("tuner_step", add);
}
