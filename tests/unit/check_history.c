/* SPDX-License-Identifier: MIT */
/* The records of a journal as episodes. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/episodes.h"
#include "run.h"

/* Parts of records, in JSON with ' instead of ". */
#define REUSE "'rule':'r','sysctl':'net.ipv4.tcp_tw_reuse',"
#define DELAY "'rule':'r','sysctl':'net.ipv4.tcp_tw_reuse_delay',"
#define TOWARD "'group':'10.0.0.1->10.0.0.2:80',"
#define METRIC(value) "'metric':'ports.forecast','metricvalue':'" value "',"
#define CHANGE(original, value, result) "'originalvalue':'" original "','newvalue':'" value "','result':'" result "'"
#define RUN(boot, invocation) "'_boot_id':'" boot "','_systemd_invocation_id':'" invocation "',"
#define ADVICE "'event':'advice','rule':'a'," METRIC("9/s") "'group':'0.0.0.0:80'"
#define REUSED(result) "'event':'applied'," REUSE METRIC("82%") CHANGE("2", "1", result)
#define STARTED "'event':'config-loaded'"

static char *line;
static json_t *records, *episodes;

/* The records are objects without their braces. */
#define READ(...) read_records((const char *const[]){__VA_ARGS__, NULL})

static void read_records(const char *const *list)
{
        records = json_array();
        for (; *list; list++) {
                char object[1024];

                snprintf(object, sizeof(object), "{%s}", *list);
                for (char *quote = object; (quote = strchr(quote, '\'')); quote++)
                        *quote = '"';
                ck_assert_int_eq(json_array_append_new(records, json_loads(object, 0, NULL)), 0);
        }
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

#define TWO_STEPS \
        "'time':100,'event':'applied'," REUSE TOWARD METRIC("82.5%") \
                CHANGE("2", "1", "applied") ",'culprit':'unknown'", \
                "'time':100,'event':'applied'," DELAY TOWARD METRIC("171.9%") CHANGE("1000", "250", "applied"), \
                "'time':101,'event':'expected-effect','rule':'r','culprit':'web.service'"

START_TEST(an_episode_from_its_change_to_its_end)
{
        READ(TWO_STEPS,
             "'time':800,'event':'released'," REUSE
             "'message':'net.ipv4.tcp_tw_reuse: 1 -> 2: ports.demand is 3.1% (< 50%)'",
             "'time':820,'event':'released'," DELAY "'message':'net.ipv4.tcp_tw_reuse_delay: 250 -> 1000: over'");
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
        READ(TWO_STEPS);
        ck_assert_ptr_nonnull(strstr(printed(0), "; helped; no end so far"));
}
END_TEST

START_TEST(what_was_only_observed_ends_when_it_is_written)
{
        READ("'time':100,'event':'applied'," REUSE METRIC("84.2%") CHANGE("2", "1", "would"),
             "'time':123,'event':'applied'," REUSE METRIC("100.0%") CHANGE("2", "1", "applied"));
        ck_assert_uint_eq(json_array_size(episodes), 2);
        ck_assert_str_eq(printed(0), "would set net.ipv4.tcp_tw_reuse 2 -> 1; at ports.forecast 84.2%; over after "
                                     "23s: the mode has changed");
        ck_assert_str_eq(printed(1), "net.ipv4.tcp_tw_reuse 2 -> 1; at ports.forecast 100.0%; no end so far");
}
END_TEST

START_TEST(a_second_time_is_a_second_episode)
{
        READ("'time':1,'event':'advice','rule':'a','metric':'listen.drops','metricvalue':'424/s',"
             "'culprit':'web.service','group':'0.0.0.0:80'",
             "'time':61,'event':'released','rule':'a','message':'over: drops: it is 0'",
             "'time':90,'event':'advice','rule':'a'");
        ck_assert_uint_eq(json_array_size(episodes), 2);
        ck_assert_str_eq(printed(0), "advice, for 0.0.0.0:80, web.service; at listen.drops 424/s; over after 1min "
                                     "0s: drops: it is 0");
        ck_assert_int_eq(episode_of(2), 1);
}
END_TEST

START_TEST(advice_after_a_change_that_did_not_help_is_part_of_it)
{
        READ("'time':1,'event':'applied'," REUSE CHANGE("2", "1", "applied"),
             "'time':16,'event':'unexpected-effect'," REUSE "'message':'x: 1 -> 2: it should be more'",
             "'time':16,'event':'advice','rule':'r'");
        ck_assert_uint_eq(json_array_size(episodes), 1);
        ck_assert_ptr_nonnull(strstr(printed(0), "did not help, put back after 15s: it should be more"));
        ck_assert_int_eq(episode_of(2), 0);
}
END_TEST

/* A daemon has its advice, and what it would set, only in its memory. */
START_TEST(a_new_daemon_ends_what_is_not_written)
{
        READ("'time':100," RUN("b", "1") ADVICE, "'time':110," RUN("b", "1") REUSED("would"),
             "'time':160," RUN("b", "2") STARTED, "'time':160," RUN("b", "2") ADVICE,
             "'time':170," RUN("b", "2") STARTED);
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

START_TEST(another_mode_ends_what_is_not_written)
{
        READ("'time':90," RUN("b", "1") STARTED ",'mode':'observe'", "'time':100," RUN("b", "1") ADVICE,
             "'time':110," RUN("b", "1") REUSED("would"), "'time':120," RUN("b", "1") STARTED ",'mode':'observe'",
             "'time':160," RUN("b", "1") STARTED ",'mode':'enforce'", "'time':160," RUN("b", "1") ADVICE);
        ck_assert_uint_eq(json_array_size(episodes), 3);
        ck_assert_ptr_nonnull(strstr(printed(0), "; over after 1min 0s: the mode has changed"));
        ck_assert_ptr_nonnull(strstr(printed(1), "; over after 50s: the mode has changed"));
        ck_assert_ptr_nonnull(strstr(printed(2), "; no end so far"));
}
END_TEST

START_TEST(a_daemon_that_is_killed_leaves_what_it_wrote)
{
        READ("'time':100," RUN("b", "1") REUSED("applied"), "'time':120," RUN("b", "2") STARTED,
             "'time':220," RUN("b", "2") "'event':'released'," REUSE "'message':'over: x'");
        ck_assert_uint_eq(json_array_size(episodes), 1);
        ck_assert_str_eq(printed(0), "net.ipv4.tcp_tw_reuse 2 -> 1; at ports.forecast 82%; given back after 2min 0s: "
                                     "x");
}
END_TEST

START_TEST(a_boot_ends_what_is_written)
{
        READ("'time':100," RUN("b", "1") REUSED("applied"), "'time':120," RUN("b", "2") STARTED,
             "'time':220," RUN("c", "3") STARTED, "'time':220," RUN("c", "3") REUSED("applied"));
        ck_assert_uint_eq(json_array_size(episodes), 2);
        ck_assert_str_eq(printed(0), "net.ipv4.tcp_tw_reuse 2 -> 1; at ports.forecast 82%; given back after 2min 0s: "
                                     "the host was started again");
        ck_assert_str_eq(printed(1), "net.ipv4.tcp_tw_reuse 2 -> 1; at ports.forecast 82%; no end so far");
}
END_TEST

/* A journal may begin in the middle, and has records of no episode. */
START_TEST(what_belongs_to_no_episode)
{
        READ("'time':1,'event':'released'," REUSE "'message':'m'",
             "'time':2,'event':'overridden'," REUSE "'result':'noted'", "'time':3,'event':'paused'");
        ck_assert_uint_eq(json_array_size(episodes), 0);
        for (size_t i = 0; i < 3; i++)
                ck_assert_int_eq(episode_of(i), -1);
}
END_TEST

/* The first dumps met no live socket of the destination, a later one did. */
START_TEST(the_end_names_the_unit)
{
        READ("'time':100,'event':'applied'," REUSE TOWARD METRIC("82.5%")
                     CHANGE("2", "1", "applied") ",'culprit':'unknown'",
             "'time':200,'event':'released'," REUSE "'culprit':'web.service','message':'x'");
        ck_assert_str_eq(json_string_value(json_object_get(json_array_get(episodes, 0), "systemd_unit")),
                         "web.service");
        ck_assert_ptr_nonnull(strstr(printed(0), ", for 10.0.0.1->10.0.0.2:80, web.service; "));
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, NULL, end);
        tcase_add_test(tcase, an_episode_from_its_change_to_its_end);
        tcase_add_test(tcase, an_episode_that_lasts);
        tcase_add_test(tcase, what_was_only_observed_ends_when_it_is_written);
        tcase_add_test(tcase, a_second_time_is_a_second_episode);
        tcase_add_test(tcase, advice_after_a_change_that_did_not_help_is_part_of_it);
        tcase_add_test(tcase, a_new_daemon_ends_what_is_not_written);
        tcase_add_test(tcase, another_mode_ends_what_is_not_written);
        tcase_add_test(tcase, a_daemon_that_is_killed_leaves_what_it_wrote);
        tcase_add_test(tcase, a_boot_ends_what_is_written);
        tcase_add_test(tcase, what_belongs_to_no_episode);
        tcase_add_test(tcase, the_end_names_the_unit);
}

int main(void)
{
        return run_suite("history", add);
}
