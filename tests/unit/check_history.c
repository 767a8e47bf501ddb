/* SPDX-License-Identifier: MIT */
/* The records of a journal as episodes. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/episodes.h"
#include "lib/util/macro.h"
#include "run.h"

#define EVENT(time, event, more) "{\"time\":" #time ",\"event\":\"" event "\"," more "}"
#define REUSE "\"rule\":\"r\",\"sysctl\":\"net.ipv4.tcp_tw_reuse\","
#define DELAY "\"rule\":\"r\",\"sysctl\":\"net.ipv4.tcp_tw_reuse_delay\","
#define TOWARD "\"group\":\"10.0.0.1->10.0.0.2:80\","
#define METRIC(value) "\"metric\":\"ports.forecast\",\"metricvalue\":\"" value "\","

static char *line;
static json_t *records, *episodes;

static void read_records(const char *text)
{
        records = json_loads(text, 0, NULL);
        ck_assert_ptr_nonnull(records);
        episodes = episodes_of(records);
}

static void end(void)
{
        json_decref(records);
        json_decref(episodes);
        free(line);
}

/* The text of an episode. */
static const char *printed(size_t i)
{
        free(line);
        line = episode_text(json_array_get(episodes, i));
        return line;
}

static long long episode_of(size_t i)
{
        const json_t *number = json_object_get(json_array_get(records, i), "episode");

        return json_is_integer(number) ? json_integer_value(number) : -1;
}

static const char applied[] = "[" EVENT(
        100, "applied",
        REUSE TOWARD METRIC(
                "82.5%") "\"originalvalue\":\"2\",\"newvalue\":\"1\",\"result\":"
                         "\"applied\",\"culprit\":\"unknown\"") "," EVENT(100, "applied",
                                                                          DELAY TOWARD METRIC(
                                                                                  "171.9%") "\"originalv"
                                                                                            "alue\":"
                                                                                            "\"1000\","
                                                                                            "\"newvalue"
                                                                                            "\":\"250\","
                                                                                            "\"result\":"
                                                                                            "\"applied"
                                                                                            "\"") "," EVENT(101,
                                                                                                            "expected-"
                                                                                                            "effect",
                                                                                                            "\"rule\":"
                                                                                                            "\"r\","
                                                                                                            "\"culprit"
                                                                                                            "\":\"web."
                                                                                                            "service"
                                                                                                            "\"");

static const char given_back[] = "," EVENT(800, "released",
                                           REUSE "\"message\":\"net.ipv4.tcp_tw_reuse: 1 -> 2: ports.demand is 3.1% "
                                                 "(< 50%)\"") "," EVENT(820, "released",
                                                                        DELAY "\"message\":\"net.ipv4.tcp_tw_reuse_"
                                                                              "delay: 250 -> 1000: over\"") "]";

static void read_two(const char *a, const char *b)
{
        char text[4096];

        snprintf(text, sizeof(text), "%s%s", a, b);
        read_records(text);
}

START_TEST(an_episode_from_its_change_to_its_end)
{
        read_two(applied, given_back);
        ck_assert_uint_eq(json_array_size(episodes), 1);
        ck_assert_str_eq(printed(0), "net.ipv4.tcp_tw_reuse 2 -> 1, net.ipv4.tcp_tw_reuse_delay 1000 -> 250, for "
                                     "10.0.0.1->10.0.0.2:80, web.service; at ports.forecast 171.9%; 2 steps; helped; "
                                     "given back after 12min 0s: over");
        for (size_t i = 0; i < 5; i++)
                ck_assert_int_eq(episode_of(i), 0);
}
END_TEST

START_TEST(an_episode_that_lasts)
{
        read_two(applied, "]");
        ck_assert_ptr_nonnull(strstr(printed(0), "; helped; no end so far"));
}
END_TEST

START_TEST(what_was_only_observed_ends_when_it_is_written)
{
        read_records("[" EVENT(
                100, "applied",
                REUSE METRIC(
                        "84.2%") "\"originalvalue\":\"2\",\"newvalue\":\"1\","
                                 "\"result\":\"would\"") "," EVENT(123, "applied",
                                                                   REUSE METRIC(
                                                                           "100.0%") "\"originalvalue\":\"2\","
                                                                                     "\"newvalue\":\"1\","
                                                                                     "\"result\":\"applied\"") "]");
        ck_assert_uint_eq(json_array_size(episodes), 2);
        ck_assert_str_eq(printed(0), "would set net.ipv4.tcp_tw_reuse 2 -> 1; at ports.forecast 84.2%; over after "
                                     "23s: the mode has changed");
        ck_assert_str_eq(printed(1), "net.ipv4.tcp_tw_reuse 2 -> 1; at ports.forecast 100.0%; no end so far");
}
END_TEST

START_TEST(a_second_time_is_a_second_episode)
{
        read_records("[" EVENT(
                1, "advice",
                "\"rule\":\"a\",\"metric\":\"listen.drops\",\"metricvalue\":\"424/s\","
                "\"culprit\":\"web.service\",\"group\":\"0.0.0.0:80\"") "," EVENT(61, "released",
                                                                                  "\"rule\":\"a\",\"message\":\"over: "
                                                                                  "drops: it is 0\"") "," EVENT(90,
                                                                                                                "advic"
                                                                                                                "e",
                                                                                                                "\"rul"
                                                                                                                "e\":"
                                                                                                                "\"a"
                                                                                                                "\"") "]");
        ck_assert_uint_eq(json_array_size(episodes), 2);
        ck_assert_str_eq(printed(0), "advice, for 0.0.0.0:80, web.service; at listen.drops 424/s; over after 1min "
                                     "0s: drops: it is 0");
        ck_assert_int_eq(episode_of(2), 1);
}
END_TEST

START_TEST(advice_after_a_change_that_did_not_help_is_part_of_it)
{
        read_records("[" EVENT(1, "applied", REUSE "\"originalvalue\":\"2\",\"newvalue\":\"1\"") "," EVENT(
                16, "unexpected-effect",
                REUSE "\"message\":\"x: 1 -> 2: it should be more\"") "," EVENT(16, "advice", "\"rule\":\"r\"") "]");
        ck_assert_uint_eq(json_array_size(episodes), 1);
        ck_assert_ptr_nonnull(strstr(printed(0), "did not help, put back after 15s: it should be more"));
        ck_assert_int_eq(episode_of(2), 0);
}
END_TEST

#define RUN(boot, invocation) "\"_boot_id\":\"" boot "\",\"_systemd_invocation_id\":\"" invocation "\","
#define ADVISES(time, run) EVENT(time, "advice", run "\"rule\":\"a\"," METRIC("9/s") "\"group\":\"0.0.0.0:80\"")
#define WRITES(time, run, result) \
        EVENT(time, "applied", \
              run REUSE METRIC("82%") "\"originalvalue\":\"2\",\"newvalue\":\"1\",\"result\":\"" result "\"")
#define STARTS(time, run) EVENT(time, "config-loaded", run "\"x\":1")

/* Only in its memory has the daemon what it advises and what it would set. */
START_TEST(a_new_daemon_ends_what_is_not_written)
{
        read_records("[" ADVISES(100, RUN("b", "1")) "," WRITES(110, RUN("b", "1"), "would") "," STARTS(
                160, RUN("b", "2")) "," ADVISES(160, RUN("b", "2")) "," STARTS(170, RUN("b", "2")) "]");
        ck_assert_uint_eq(json_array_size(episodes), 3);
        ck_assert_str_eq(printed(0), "advice, for 0.0.0.0:80; at ports.forecast 9/s; over after 1min 0s: twtuned was "
                                     "started again");
        ck_assert_str_eq(printed(1), "would set net.ipv4.tcp_tw_reuse 2 -> 1; at ports.forecast 82%; over after 50s: "
                                     "twtuned was started again");
        ck_assert_str_eq(printed(2), "advice, for 0.0.0.0:80; at ports.forecast 9/s; no end so far");
        ck_assert_int_eq(episode_of(2), -1);
        ck_assert_int_eq(episode_of(3), 2);
}
END_TEST

/* A daemon that is killed leaves what it wrote to the next one, but not beyond a boot. */
START_TEST(a_boot_ends_what_is_written)
{
        read_records("[" WRITES(100, RUN("b", "1"), "applied") "," STARTS(120, RUN("b", "2")) "," STARTS(
                220, RUN("c", "3")) "," WRITES(220, RUN("c", "3"), "applied") "]");
        ck_assert_uint_eq(json_array_size(episodes), 2);
        ck_assert_str_eq(printed(0),
                         "net.ipv4.tcp_tw_reuse 2 -> 1; at ports.forecast 82%; given back after 2min 0s: the "
                         "host was started again");
        ck_assert_str_eq(printed(1), "net.ipv4.tcp_tw_reuse 2 -> 1; at ports.forecast 82%; no end so far");
}
END_TEST

START_TEST(a_daemon_that_is_killed_leaves_what_it_wrote)
{
        read_records("[" WRITES(100, RUN("b", "1"), "applied") "," STARTS(120, RUN("b", "2")) "," EVENT(
                220, "released", RUN("b", "2") REUSE "\"message\":\"over: x\"") "]");
        ck_assert_uint_eq(json_array_size(episodes), 1);
        ck_assert_str_eq(printed(0),
                         "net.ipv4.tcp_tw_reuse 2 -> 1; at ports.forecast 82%; given back after 2min 0s: x");
}
END_TEST

/* A journal may begin in the middle, and has records of no episode. */
START_TEST(what_belongs_to_no_episode)
{
        read_records("[" EVENT(1, "released", REUSE "\"message\":\"m\"") "," EVENT(
                2, "overridden", REUSE "\"result\":\"noted\"") "," EVENT(3, "paused", "\"x\":1") "]");
        ck_assert_uint_eq(json_array_size(episodes), 0);
        for (size_t i = 0; i < 3; i++)
                ck_assert_int_eq(episode_of(i), -1);
}
END_TEST

/* The first dumps met no live socket of the destination, a later one did. */
START_TEST(the_end_names_the_unit)
{
        read_records("[" EVENT(
                100, "applied",
                REUSE TOWARD METRIC(
                        "82.5%") "\"originalvalue\":\"2\",\"newvalue\":\"1\","
                                 "\"result\":\"applied\",\"culprit\":\"unknown\"") "," EVENT(200, "released",
                                                                                             REUSE
                                                                                             "\"culprit\":\"web."
                                                                                             "service\",\"message\":"
                                                                                             "\"x\"") "]");
        ck_assert_str_eq(json_string_value(json_object_get(json_array_get(episodes, 0), "systemd_unit")),
                         "web.service");
        ck_assert_ptr_nonnull(strstr(printed(0), ", for 10.0.0.1->10.0.0.2:80, web.service; "));
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_test(tcase, the_end_names_the_unit);
        tcase_add_checked_fixture(tcase, NULL, end);
        tcase_add_test(tcase, an_episode_from_its_change_to_its_end);
        tcase_add_test(tcase, an_episode_that_lasts);
        tcase_add_test(tcase, what_was_only_observed_ends_when_it_is_written);
        tcase_add_test(tcase, a_second_time_is_a_second_episode);
        tcase_add_test(tcase, advice_after_a_change_that_did_not_help_is_part_of_it);
        tcase_add_test(tcase, a_new_daemon_ends_what_is_not_written);
        tcase_add_test(tcase, a_boot_ends_what_is_written);
        tcase_add_test(tcase, a_daemon_that_is_killed_leaves_what_it_wrote);
        tcase_add_test(tcase, what_belongs_to_no_episode);
}

int main(void)
{
        return run_suite("history", add);
}
