/* SPDX-License-Identifier: MIT */
/* What the daemon says of itself: who owns each sysctl, and why each rule is or is not active. */

#include "daemon/bus/describe.h"
#include "daemon/status.h"
#include "fake_backend.h"

#define RULE \
        "[rule r]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_fin_timeout = 30\n" \
        "[rule off]\nenabled = no\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_keepalive_probes = 5\n" \
        "[rule advice]\nwhen = tcp.fin_wait2 >= 50\nadvise = look at \"it\"\n"

static struct json json;
static struct sysctl_preset owner[SYSCTL_COUNT];

static void begin(void)
{
        set_up();
        memset(owner, 0, sizeof(owner));
        owner[FIN] = (struct sysctl_preset){.has_default = true, .kernel_default = SYSCTL_VALUE(60)};
        start(RULE);
        ticks(1);
}

static void end(void)
{
        json_free(&json);
        tuner_stop(&tuner);
}

static const char *described(const char *instance, bool recording)
{
        struct description d = {&tuner, owner, instance, recording, false};

        json_free(&json);
        describe(&json, &d);
        ck_assert(!json.failed);
        return json.text;
}

static void expect(const char *part)
{
        ck_assert_msg(strstr(described("", false), part) != NULL, "no %s", part);
}

static void expect_owner(const char *value, const char *whose)
{
        char part[128];

        snprintf(part, sizeof(part),
                 "\"net.ipv4.tcp_fin_timeout\",\"available\":true,\"value\":\"%s\",\"owner\":\"%s\"", value, whose);
        expect(part);
}

START_TEST(the_owner_of_a_sysctl)
{
        expect_owner("60", "kernel default");
        fake.live[FIN] = 45;
        ticks(1);
        expect_owner("45", "someone else");
        owner[FIN].configured = true;
        owner[FIN].value = SYSCTL_VALUE(45);
        strcpy(owner[FIN].where, "/etc/sysctl.d/10.conf:3");
        expect_owner("45", "sysctl.d");
        expect("\"configured_at\":\"/etc/sysctl.d/10.conf:3\",\"configured\":\"45\"");
        owner[FIN].value = SYSCTL_VALUE(50); /* sysctl.d wants another value than the live one */
        expect_owner("45", "someone else");
        owner[FIN].has_default = false;
        expect_owner("45", "unknown");
}
END_TEST

START_TEST(what_twtuned_holds_and_what_is_taken_from_it)
{
        fake.fin_wait2 = 100;
        ticks(1);
        expect_owner("30", "twtuned"); /* the snapshot of the tick that wrote has the value before */
        ticks(1);
        expect_owner("30", "twtuned");
        expect("\"original\":\"60\",\"rearm\":false,\"left_by\":null,\"rules\":[\"r\"]");
        expect("\"state\":\"active\",\"why\":\"holds net.ipv4.tcp_fin_timeout = 30\"");
        fake.live[FIN] = 20;
        ticks(1);
        expect_owner("20", "someone else");
        expect("\"rearm\":true,\"left_by\":null,\"rules\":[]");
        expect("to let twtuned set it again: twtunectl rearm net.ipv4.tcp_fin_timeout");
}
END_TEST

START_TEST(what_was_just_released)
{
        fake.fin_wait2 = 100;
        ticks(3);
        tuner.requests.release = UINT32_C(1) << FIN;
        ticks(1);
        expect_owner("60", "kernel default"); /* nobody has touched it */
        expect("\"rearm\":true");
        fake.live[FIN] = 45;
        ticks(1);
        expect_owner("45", "someone else");
        fake.live[FIN] = 60;
        tuner.requests.rearm = UINT32_C(1) << FIN;
        fake.fin_wait2 = 0;
        ticks(2);
        expect_owner("60", "kernel default");
}
END_TEST

static enum reading_state state_of_fin;

static void see_state(struct snapshot *s)
{
        s->sysctl[FIN].state = state_of_fin;
}

/* As those of nf_conntrack after rmmod. */
START_TEST(a_sysctl_that_goes_and_comes_back)
{
        expect_owner("60", "kernel default");
        fake.also = see_state;
        state_of_fin = READING_UNAVAILABLE;
        ticks(1);
        expect("\"net.ipv4.tcp_fin_timeout\",\"available\":false,\"value\":null,\"owner\":\"unknown\"");
        state_of_fin = READING_INVALID;
        ticks(1);
        expect("\"net.ipv4.tcp_fin_timeout\",\"available\":true,\"value\":null,\"owner\":\"unknown\"");
        state_of_fin = READING_VALID;
        ticks(1);
        expect_owner("60", "kernel default");
}
END_TEST

static void see_drops(struct snapshot *s)
{
        s->reading[METRIC_LISTEN_DROPS] = reading_valid(424);
        strcpy(s->endpoint[METRIC_LISTEN_DROPS], "0.0.0.0:8080");
        strcpy(s->culprit[METRIC_LISTEN_DROPS], "web.service");
}

START_TEST(what_is_changed_and_since_when)
{
        fake.fin_wait2 = 100;
        ticks(31);
        expect("\"changes\":[{\"sysctl\":\"net.ipv4.tcp_fin_timeout\",\"was\":\"60\",\"now\":\"30\",\"rule\":\"r\","
               "\"would\":false,\"left\":false,\"destination\":null,\"systemd_unit\":null,\"since\":30,");
        expect("\"became_active\":{\"ago\":30,\"metric\":\"tcp.fin_wait2\",\"op\":\">=\",\"threshold\":100,\"value\":"
               "100,");
        expect("\"does\":\"sets net.ipv4.tcp_fin_timeout = 30\"");
        expect("\"changes_made\":1,\"given_back_ago\":null");
        fake.fin_wait2 = 0;
        ticks(100);
        expect("\"changes\":[],\"advice\":[]");
        expect("\"changes_made\":1,\"given_back_ago\":");
        ck_assert_ptr_null(strstr(json.text, "\"given_back_ago\":null"));
}
END_TEST

START_TEST(what_observe_mode_would_change)
{
        start_again("[daemon]\nmode = observe\n" RULE);
        fake.fin_wait2 = 100;
        ticks(2);
        expect("\"was\":\"60\",\"now\":\"30\",\"rule\":\"r\",\"would\":true,\"left\":false");
        expect_owner("60", "kernel default");
}
END_TEST

START_TEST(what_observe_mode_found_changed)
{
        fake.fin_wait2 = 100;
        ticks(1);
        start_again("[daemon]\nmode = observe\n" RULE);
        ticks(1);
        expect("\"was\":\"60\",\"now\":\"30\",\"rule\":\"r\",\"would\":false,\"left\":true");
        expect("\"original\":\"60\",\"rearm\":false,\"left_by\":\"r\",\"rules\":[]");
}
END_TEST

START_TEST(advice_is_a_thing_of_its_own)
{
        tuner_stop(&tuner);
        fake.also = see_drops;
        start("[rule fin]\nwhen = tcp.fin_wait2 >= 50\nadvise = close them\n"
              "[rule drops]\ndescription = dropped\nwhen = listen.drops > 0/s\nadvise = restart {unit}\n");
        fake.fin_wait2 = 100;
        ticks(11);
        expect("\"advice\":[{\"rule\":\"drops\",\"description\":\"dropped\",\"whose\":\"0.0.0.0:8080\","
               "\"systemd_unit\":\"web.service\",\"metric\":\"listen.drops\",\"state\":\"valid\",\"value\":424,"
               "\"unit\":\"/s\",\"since\":10,\"text\":\"restart web.service\"},{\"rule\":\"fin\",");
        expect("\"advise\":\"restart web.service\"");
        ck_assert_str_eq(logged(AUDIT_ADVICE, "ADVICE"), "restart web.service");
}
END_TEST

/* Advice stands while the rule waits because its change did not help, but not while it waits after a later failure. */
START_TEST(advice_stands_while_a_change_that_did_not_help_counts)
{
        tuner_stop(&tuner);
        start("[rule r]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_fin_timeout = 30\nadvise = close them\n"
              "expect = tcp.fin_wait2 < 50 within 5s\nretry = 1min\n");
        fake.fin_wait2 = 100;
        ticks(10);
        expect("\"advice\":[{\"rule\":\"r\",");
        fake.fin_wait2 = 0;
        ticks(100);
        expect("\"advice\":[]");
        fake.write_error = -EPERM;
        fake.fin_wait2 = 100;
        ticks(10);
        expect("\"state\":\"waiting\"");
        expect("\"advice\":[]");
}
END_TEST

START_TEST(advice_does_not_stand_while_another_program_has_the_sysctl)
{
        tuner_stop(&tuner);
        start("[rule r]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_fin_timeout = 30\nadvise = close them\n"
              "expect = tcp.fin_wait2 < 50 within 5s\n");
        fake.fin_wait2 = 100;
        ticks(10);
        expect("\"advice\":[{\"rule\":\"r\",");
        policy_set_foreign(tuner.policy, FIN);
        ticks(1);
        expect("\"state\":\"left-alone\"");
        expect("\"advice\":[]");
}
END_TEST

static struct reading drops;

static void see_syn_sent(struct snapshot *s)
{
        s->reading[METRIC_TCP_SYN_SENT] = reading_valid(10);
        s->reading[METRIC_LISTEN_DROPS] = drops;
}

START_TEST(why_a_rule_is_not_active)
{
        fake.fin_wait2 = 60;
        ticks(1);
        expect("\"state\":\"idle\",\"why\":\"\\u0022tcp.fin_wait2 >= 100\\u0022 does not hold: it is 60\"");
        expect("\"state\":\"disabled\",\"why\":\"off: enabled = no, or an error that twtuned --check shows\"");
        expect("\"state\":\"active\",\"why\":\"its advice applies\"");
        expect("\"advise\":\"look at \\u0022it\\u0022\"");
        fake.write_error = -EROFS;
        fake.fin_wait2 = 100;
        ticks(1);
        expect("\"state\":\"waiting\",\"why\":\"it failed, was refused, did not help or did harm: not tried again "
               "for 10min\"");
        fake.observe_error = -EIO;
        ticks(1);
        expect("\"state\":\"degraded\"");
        expect("\"holds\":null");
}
END_TEST

/* The first condition may hold, and the second one does not. */
START_TEST(a_condition_that_does_not_hold_comes_before_an_unknown_one)
{
        start_again("[rule r]\nwhen = listen.drops > 0/s\nwhen = tcp.syn_sent >= 10 for 5s\n"
                    "when = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_fin_timeout = 30\n");
        fake.also = see_syn_sent;
        fake.fin_wait2 = 60;
        ticks(1);
        expect("\"why\":\"\\u0022tcp.fin_wait2 >= 100\\u0022 does not hold: it is 60\"");
        fake.fin_wait2 = 100;
        ticks(1);
        expect("\"why\":\"\\u0022listen.drops > 0/s\\u0022 cannot be decided: it is unknown\"");
        drops = reading_bounded(0, 7);
        ticks(1);
        expect("\"why\":\"\\u0022listen.drops > 0/s\\u0022 cannot be decided: it is at most 7.0/s\"");
        drops = reading_valid(7);
        ticks(1);
        expect("\"why\":\"\\u0022tcp.syn_sent >= 10 for 5s\\u0022 has held for 3s\"");
}
END_TEST

START_TEST(a_prerequisite_that_only_observes)
{
        start_again("[rule a]\nmode = observe\nwhen = tcp.fin_wait2 >= 50\nset = net.ipv4.tcp_fin_timeout = 30\n"
                    "[rule b]\nafter = a\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_keepalive_probes = 5\n");
        fake.fin_wait2 = 100;
        ticks(2);
        expect("\"state\":\"active\",\"why\":\"would hold net.ipv4.tcp_fin_timeout = 30\"");
        expect("\"state\":\"below\",\"why\":\"rule a comes first and only observes\"");
        start_again("[rule a]\nwhen = tcp.fin_wait2 >= 500\nset = net.ipv4.tcp_fin_timeout = 30\n"
                    "[rule b]\nafter = a\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_keepalive_probes = 5\n");
        ticks(2);
        expect("\"state\":\"below\",\"why\":\"rule a comes first and is not active\"");
}
END_TEST

START_TEST(a_sysctl_that_has_the_effect_or_is_at_its_limit)
{
        fake.live[FIN] = 20;
        start_again(RULE);
        ticks(1);
        expect("\"state\":\"needless\",\"why\":\"net.ipv4.tcp_fin_timeout already has the effect of this rule\"");
        fake.live[SYSCTL_TCP_MAX_TW_BUCKETS] = 262144;
        start_again("[rule t]\nwhen = tcp.fin_wait2 >= 100\nraise = net.ipv4.tcp_max_tw_buckets x2 max 262144\n");
        ticks(1);
        expect("\"state\":\"needless\",\"why\":\"net.ipv4.tcp_max_tw_buckets cannot be raised any further\"");
        fake.live[FIN] = 10;
        start_again("[rule t]\nwhen = tcp.fin_wait2 >= 100\nlower = net.ipv4.tcp_fin_timeout /2 min 10\n");
        ticks(1);
        expect("\"state\":\"needless\",\"why\":\"net.ipv4.tcp_fin_timeout cannot be lowered any further\"");
}
END_TEST

#define VENDOR \
        "[rule vendor]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_fin_timeout = 30\n" \
        "set = net.ipv4.tcp_keepalive_probes = 5\n"
#define MINE "[rule mine]\nwhen = tcp.fin_wait2 >= 200\nset = net.ipv4.tcp_fin_timeout = 20\n"

/* The administrator's rule decides on one of its sysctls, and the other one is left alone. */
START_TEST(a_rule_with_nothing_left_to_set)
{
        struct diagnostics diagnostics = {0};
        struct config *config = config_new();

        config->vendor_files = 1;
        config_read(config, "policy.conf", VENDOR, strlen(VENDOR), NULL, &diagnostics);
        config_read(config, "mine.conf", MINE, strlen(MINE), NULL, &diagnostics);
        config_check(config, &diagnostics);
        ck_assert_uint_eq(diagnostics.n, 0);
        ck_assert_int_eq(tuner_reload(&tuner, config), 0);
        tuner.requests.release = UINT32_C(1) << SYSCTL_TCP_KEEPALIVE_PROBES;
        ticks(1);
        fake.fin_wait2 = 100;
        ticks(2);
        ck_assert_uint_eq(fake.writes, 0);
        expect("\"state\":\"left-alone\",\"why\":\"net.ipv4.tcp_keepalive_probes was released, or");
}
END_TEST

static void see_needed(struct snapshot *s)
{
        s->reading[METRIC_TIME_WAIT_NEEDED] = reading_valid(200000);
}

START_TEST(a_table_that_needs_a_dump_first)
{
        fake.also = see_needed;
        fake.live[SYSCTL_TCP_MAX_TW_BUCKETS] = 65536;
        fake.fin_wait2 = 100;
        start_again("[rule t]\nwhen = tcp.fin_wait2 >= 100\nraise = net.ipv4.tcp_max_tw_buckets x2 max 262144\n");
        ticks(1);
        expect("\"state\":\"harmful\",\"why\":\"a larger table may fill the ports toward a destination that cannot "
               "reuse them\"");
}
END_TEST

static struct ports *ports;

/* A dump, of which only the busiest destination of the host is known here. */
static void see_ports(struct snapshot *s)
{
        s->ports = ports;
        for (unsigned m = METRIC_PORTS_FIRST; m <= METRIC_PORTS_LAST; m++)
                s->reading[m] = reading_valid(95);
        strcpy(s->endpoint[METRIC_PORTS_USED], "10.0.0.2:80");
        strcpy(s->culprit[METRIC_PORTS_USED], "web.service");
}

START_TEST(a_rule_for_other_destinations_does_not_show_the_busiest)
{
        ports = ports_new(1);
        fake.also = see_ports;
        start_again("[rule far]\nwhen = ports.used >= 90\nfor-destination = 10.9.9.9\n"
                    "set = net.ipv4.tcp_tw_reuse = 1\n");
        ticks(1);
        expect("\"why\":\"\\u0022ports.used >= 90\\u0022 does not hold: there is no destination that the rule could "
               "help\"");
        expect("\"whose\":null,\"systemd_unit\":null");
        ports_free(ports);
}
END_TEST

START_TEST(the_daemon_itself)
{
        expect("\"instance\":null,\"mode\":\"enforce\",\"state\":\"healthy\",\"status\":\"healthy\",\"paused\":false,"
               "\"paused_since\":null,\"paused_for\":null,\"recording\":false,");
        ck_assert_ptr_nonnull(strstr(described("web", true), "\"instance\":\"web\""));
        ck_assert_ptr_nonnull(strstr(json.text, "\"recording\":true"));
        tuner.requests = (struct requests){.pause = true, .pause_ns = 90 * S};
        ticks(31);
        expect("\"state\":\"paused\",\"status\":\"paused: nothing is written, 0 sysctls held\",\"paused\":true,"
               "\"paused_since\":30,\"paused_for\":60,");
        ck_assert_str_eq(daemon_state_names[STATE_STARTING], "starting");
        expect("{\"section\":\"rule off\",\"key\":\"enabled\",\"value\":\"no\",\"file\":\"test.conf\",\"line\":5}");
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, begin, end);
        tcase_add_test(tcase, the_owner_of_a_sysctl);
        tcase_add_test(tcase, what_twtuned_holds_and_what_is_taken_from_it);
        tcase_add_test(tcase, what_was_just_released);
        tcase_add_test(tcase, a_sysctl_that_goes_and_comes_back);
        tcase_add_test(tcase, what_is_changed_and_since_when);
        tcase_add_test(tcase, what_observe_mode_would_change);
        tcase_add_test(tcase, what_observe_mode_found_changed);
        tcase_add_test(tcase, advice_is_a_thing_of_its_own);
        tcase_add_test(tcase, advice_stands_while_a_change_that_did_not_help_counts);
        tcase_add_test(tcase, advice_does_not_stand_while_another_program_has_the_sysctl);
        tcase_add_test(tcase, why_a_rule_is_not_active);
        tcase_add_test(tcase, a_condition_that_does_not_hold_comes_before_an_unknown_one);
        tcase_add_test(tcase, a_prerequisite_that_only_observes);
        tcase_add_test(tcase, a_sysctl_that_has_the_effect_or_is_at_its_limit);
        tcase_add_test(tcase, a_rule_with_nothing_left_to_set);
        tcase_add_test(tcase, a_table_that_needs_a_dump_first);
        tcase_add_test(tcase, a_rule_for_other_destinations_does_not_show_the_busiest);
        tcase_add_test(tcase, the_daemon_itself);
}

int main(void)
{
        return run_suite("describe", add);
}
