/* SPDX-License-Identifier: MIT */
#include "lib/audit/exposition.h"

#include <errno.h>

#include "host.h"

#define REUSE \
        "[rule reuse]\nwhen = ports.forecast >= 80%\nuntil = ports.demand < 50%\n" \
        "set = net.ipv4.tcp_tw_reuse = 1\n"

static struct host *host;
static struct ledger ledger;
static uint64_t logged[SYSCTL_COUNT][OUTCOME_COUNT];
static struct episodes episodes;
static struct exposition_counters counters;
static struct exposition_destination fullest[EXPOSITION_GROUPS];
static unsigned n_fullest;
static char text[EXPOSITION_TEXT_MAX];

static const char *unit_of_cgroup(void *user, uint64_t cgroup)
{
        (void)user;
        return cgroup == 7 ? "seven.service" : "";
}

static const char *format(const char *netns)
{
        const struct exposition e = {
                .version = "1.2",
                .netns = netns,
                .snapshot = &host->snapshot,
                .config = host->config,
                .policy = host->policy,
                .episodes = &episodes,
                .counters = &counters,
                .fullest = fullest,
                .n_fullest = n_fullest,
                .fullest_at = n_fullest > 0 ? 1795250800 : 0,
                .find_unit = unit_of_cgroup,
                .ledger = &ledger,
                .logged = (const uint64_t(*)[OUTCOME_COUNT])logged,
                .observed_at = 1795250804.757,
        };
        ssize_t n;

        policy_evaluate(host->policy, &host->snapshot);
        n = exposition_format(&e, text, sizeof(text));
        ck_assert_int_gt(n, 0);
        ck_assert_uint_eq((size_t)n, strlen(text));
        return text;
}

static void expect_line(const char *line)
{
        const char *at = strstr(text, line);

        ck_assert_msg(at && (at == text || at[-1] == '\n') && at[strlen(line)] == '\n', "no line %s in\n%s", line,
                      text);
}

/* How many samples a family has. */
static unsigned count(const char *family)
{
        size_t size = strlen(family);
        unsigned n = 0;

        for (const char *line = text; *line; line = strchr(line, '\n') + 1)
                n += strncmp(line, family, size) == 0 && (line[size] == ' ' || line[size] == '{');
        return n;
}

static void give(unsigned metric, struct reading reading)
{
        host->snapshot.reading[metric] = reading;
}

START_TEST(every_metric_has_a_family_in_base_units)
{
        unsigned help = 0, type = 0;

        host = host_new(REUSE);
        for (unsigned i = 0; i < METRIC_COUNT; i++)
                give(i, reading_valid(120));
        format("");
        for (const char *p = text; (p = strstr(p, "# HELP twtuned_")); p++)
                help++;
        for (const char *p = text; (p = strstr(p, "# TYPE twtuned_")); p++)
                type++;
        ck_assert_uint_ge(help, METRIC_COUNT);
        ck_assert_uint_eq(type, help);
        expect_line("# HELP twtuned_tcp_close_wait closed by the peer, not by the program here");
        expect_line("# TYPE twtuned_tcp_close_wait gauge");
        expect_line("twtuned_tcp_close_wait 120");
        expect_line("twtuned_time_wait_table_ratio 1.2");
        expect_line("twtuned_listen_drops_per_second 120");
        expect_line("twtuned_close_wait_growth_per_second 2");
        expect_line("twtuned_ports_cliff_eta_seconds 120");
        expect_line("twtuned_self_rss_bytes 120");
        expect_line("twtuned_last_observation_timestamp_seconds 1795250804.757");
        host_free(host);
}
END_TEST

START_TEST(what_is_not_known_is_absent)
{
        host = host_new(REUSE);
        give(METRIC_TCP_CLOSE_WAIT, (struct reading){.state = READING_INVALID});
        give(METRIC_ORPHANS_TABLE, (struct reading){.state = READING_UNAVAILABLE});
        give(METRIC_TCP_LISTEN, reading_valid(0));
        give(METRIC_OPENS_RESETS, reading_valid(NAN));
        give(METRIC_PORTS_CLIFF, reading_bounded(3, 50));
        give(METRIC_PORTS_CLIFF_ETA, reading_bounded(3, INFINITY));
        format("");
        ck_assert_uint_eq(count("twtuned_tcp_close_wait"), 0);
        ck_assert_uint_eq(count("twtuned_orphans_table_ratio"), 0);
        ck_assert_uint_eq(count("twtuned_opens_resets_ratio"), 0);
        ck_assert_uint_eq(count("twtuned_ports_cliff_eta_seconds"), 0);
        expect_line("twtuned_tcp_listen 0");
        ck_assert_uint_eq(count("twtuned_ports_cliff_ratio"), 0); /* a bound is no value */
        ck_assert_uint_eq(count("twtuned_listen_drops_total"), 0);
        ck_assert_uint_eq(count("twtuned_destinations_timestamp_seconds"), 0);
        give(METRIC_PORTS_CLIFF_ETA, reading_valid(INFINITY));
        format("");
        expect_line("twtuned_ports_cliff_eta_seconds +Inf");
        host_free(host);
}
END_TEST

START_TEST(labels_are_escaped)
{
        host = host_new(REUSE);
        give(METRIC_CLOSE_WAIT_GROWTH, reading_valid(6));
        strcpy(host->snapshot.culprit[METRIC_CLOSE_WAIT_GROWTH], "a\"b\\c\nd\xff.service");
        give(METRIC_LISTEN_DROPS, reading_valid(1));
        strcpy(host->snapshot.endpoint[METRIC_LISTEN_DROPS], "[::]:80");
        strcpy(host->snapshot.culprit[METRIC_LISTEN_DROPS], "web.service");
        format("blue");
        expect_line("twtuned_close_wait_growth_per_second{unit=\"a\\\"b\\\\c?d?.service\",netns=\"blue\"} 0.1");
        expect_line("twtuned_listen_drops_per_second{listener=\"[::]:80\",unit=\"web.service\",netns=\"blue\"} 1");
        for (const char *line = text; *line; line = strchr(line, '\n') + 1)
                ck_assert_msg(*line == '#' || strcspn(line, "}") < strcspn(line, "\n"), "no netns: %s", line);
        host_free(host);
}
END_TEST

START_TEST(rules_and_sysctls)
{
        host = host_new("[rule off]\nenabled = no\nwhen = ports.cliff >= 1%\nset = net.ipv4.tcp_fin_timeout = 20\n"
                        "[rule lacking]\nwhen = tcp.listen > 1\nset = net.ipv4.tcp_orphan_retries = 6\n" REUSE);
        host->snapshot.sysctl[SYSCTL_TCP_ORPHAN_RETRIES].state = READING_UNAVAILABLE;
        host_run(host, 30, 2000, PEER);
        ledger.entry[SYSCTL_TCP_TW_REUSE].state = LEDGER_HELD;
        ledger.entry[SYSCTL_TCP_SYNCOOKIES].state = LEDGER_FOREIGN;
        logged[SYSCTL_TCP_TW_REUSE][OUTCOME_APPLIED] = 3;
        logged[SYSCTL_TCP_TW_REUSE][OUTCOME_FAILED] = 1;
        format("");
        ck_assert_uint_eq(count("twtuned_rule_available"), 2);
        expect_line("twtuned_rule_available{rule=\"lacking\"} 0");
        expect_line("twtuned_rule_available{rule=\"reuse\"} 1");
        ck_assert_uint_eq(count("twtuned_rule_active"), 1);
        expect_line("twtuned_rule_active{rule=\"reuse\"} 1");
        expect_line("twtuned_sysctl_held{sysctl=\"net.ipv4.tcp_tw_reuse\"} 1");
        expect_line("twtuned_sysctl_overridden{sysctl=\"net.ipv4.tcp_tw_reuse\"} 0");
        expect_line("twtuned_sysctl_overridden{sysctl=\"net.ipv4.tcp_syncookies\"} 1");
        ck_assert_ptr_null(strstr(text, "tcp_fin_timeout"));
        expect_line("twtuned_sysctl_changes_total{sysctl=\"net.ipv4.tcp_tw_reuse\",result=\"applied\"} 3");
        expect_line("twtuned_sysctl_changes_total{sysctl=\"net.ipv4.tcp_tw_reuse\",result=\"restored\"} 0");
        expect_line("twtuned_sysctl_changes_total{sysctl=\"net.ipv4.tcp_tw_reuse\",result=\"failed\"} 1");
        ck_assert_ptr_null(strstr(text, "result=\"kept\""));
        host_free(host);
}
END_TEST

START_TEST(rates_are_counted)
{
        host = host_new(REUSE);
        counters.metric[METRIC_LISTEN_DROPS] = 42;
        counters.counted[METRIC_LISTEN_DROPS] = true;
        counters.episodes[0] = 3;
        format("");
        expect_line("# TYPE twtuned_listen_drops_total counter");
        expect_line("twtuned_listen_drops_total 42");
        expect_line("twtuned_episodes_total{rule=\"reuse\"} 3");
        ck_assert_ptr_null(strstr(text, "twtuned_close_wait_growth_total"));
        host_free(host);
}
END_TEST

#define ADVICE \
        "[rule leak]\nwhen = tcp.closing >= 1\nwhen = close_wait.growth >= 60/min\nadvise = mend it\n" \
        "[rule full]\nwhen = ports.used >= 100\nadvise = more addresses\n" \
        "[rule drops]\nwhen = listen.drops > 0/s\nadvise = a longer queue\n" \
        "[rule calm]\nwhen = tcp.listen > 0\nadvise = nothing\n"

START_TEST(advice_says_for_whom)
{
        host = host_new(ADVICE);
        give(METRIC_TCP_CLOSING, reading_valid(1));
        give(METRIC_CLOSE_WAIT_GROWTH, reading_valid(60));
        strcpy(host->snapshot.culprit[METRIC_CLOSE_WAIT_GROWTH], "pool.service");
        give(METRIC_LISTEN_DROPS, reading_valid(9));
        strcpy(host->snapshot.endpoint[METRIC_LISTEN_DROPS], "0.0.0.0:80");
        strcpy(host->snapshot.culprit[METRIC_LISTEN_DROPS], "web.service");
        give(METRIC_TCP_LISTEN, reading_valid(0));
        for (unsigned k = 0; k < 200; k++)
                model_add(&host->model, TCP_ESTABLISHED, PEER, 80, 0);
        host_run(host, 2, 0, PEER);
        format("");
        expect_line("twtuned_advice{rule=\"leak\",unit=\"pool.service\"} 1");
        expect_line("twtuned_advice{rule=\"full\",destination=\"10.0.0.2:80\",source=\"10.0.0.1\"} 1");
        expect_line("twtuned_advice{rule=\"drops\",listener=\"0.0.0.0:80\",unit=\"web.service\"} 1");
        ck_assert_uint_eq(count("twtuned_advice"), 3);
        host_free(host);
}
END_TEST

/* As in twtunectl status: its change did not help, so the advice is what is left. The episode says whose it
 * is. */
START_TEST(advice_of_a_rule_that_did_not_help)
{
        host = host_new("[rule late]\nwhen = tcp.fin_wait2 >= 10\nset = net.ipv4.tcp_fin_timeout = 30\n"
                        "expect = tcp.closing >= 1 within 2s\nadvise = do it by hand\n");
        give(METRIC_TCP_FIN_WAIT2, reading_valid(10));
        give(METRIC_TCP_CLOSING, reading_valid(0));
        host_pass(host, 1);
        format("");
        ck_assert_uint_eq(count("twtuned_advice"), 0);
        host_pass(host, 10);
        ck_assert_int_eq(host->log[host->logged - 1].kind, DECISION_UNEXPECTED);
        episodes.item[0] = (struct episode){.rule = "late",
                                            .culprit = "pool.service",
                                            .begun = host->snapshot.now - 2 * SEC,
                                            .ended = host->snapshot.now,
                                            .end = EPISODE_UNEXPECTED,
                                            .evidence.destination = "10.0.0.1->10.0.0.2:80"};
        episodes.next = 1;
        format("");
        expect_line("twtuned_advice{rule=\"late\",destination=\"10.0.0.2:80\",source=\"10.0.0.1\","
                    "unit=\"pool.service\"} 1");
        host_free(host);
}
END_TEST

/* 300 toward one, all on the even ports, and 400 toward the other on both parities. */
START_TEST(the_fullest_destinations_in_ports)
{
        host = host_new(REUSE);
        host->snapshot.now += SEC;
        for (unsigned k = 0; k < 300; k++)
                model_add(&host->model, TCP_ESTABLISHED, PEER, 80, 0)->sport = (uint16_t)(33000 + 2 * k);
        for (unsigned k = 0; k < 400; k++)
                model_add(&host->model, TCP_ESTABLISHED, PEER + 1, 81, 0)->sport = (uint16_t)(40000 + k);
        host_observe(host);
        n_fullest = exposition_fullest(host->ports, fullest);
        ck_assert_uint_eq(n_fullest, 2);
        fullest[0].cgroup = 7;
        give(METRIC_PORTS_FIRST, reading_bounded(0, 1)); /* the last figures stay, with their time */
        format("");
        expect_line("twtuned_destination_ports_used{destination=\"10.0.0.2:80\",source=\"10.0.0.1\"} 300");
        expect_line("twtuned_destination_ports_limit{destination=\"10.0.0.2:80\",source=\"10.0.0.1\"} 14116");
        expect_line("twtuned_destination_ports_used{destination=\"10.0.0.3:81\",source=\"10.0.0.1\","
                    "unit=\"seven.service\"} 200");
        expect_line("twtuned_destinations_timestamp_seconds 1795250800");
        host_free(host);
}
END_TEST

/* Nine loads and one that is no more than noise; the largest are neither the first nor the last in the table. */
START_TEST(of_the_destinations_the_worst)
{
        static const unsigned sockets[] = {100, 800, 300, 900, 700, 200, 600, 500, 400, 10};
        const char *worst = text;

        host = host_new(REUSE);
        host->snapshot.now += SEC;
        for (unsigned i = 0; i < ELEMENTSOF(sockets); i++)
                for (unsigned k = 0; k < 5 * sockets[i]; k++)
                        model_add(&host->model, TCP_ESTABLISHED, PEER + i, 80, 0);
        host_observe(host);
        format("");
        ck_assert_uint_eq(count("twtuned_group_demand_ratio"), EXPOSITION_GROUPS);
        for (unsigned i = 0; i < EXPOSITION_GROUPS; i++) {
                static const unsigned order[EXPOSITION_GROUPS] = {3, 1, 4, 6, 7};
                char series[128];

                snprintf(series, sizeof(series), "twtuned_group_demand_ratio{group=\"10.0.0.1->10.0.0.%u:80\"} 0.",
                         2 + order[i]);
                worst = strstr(worst, series);
                ck_assert_msg(worst, "%s, or not in its place, in\n%s", series, text);
        }
        give(METRIC_PORTS_FIRST, reading_bounded(0, 1));
        format("");
        ck_assert_uint_eq(count("twtuned_group_demand_ratio"), 0); /* the table is of an earlier time */
        host_free(host);
}
END_TEST

/* Three, and one that is no more than noise. */
START_TEST(few_destinations)
{
        host = host_new(REUSE);
        host->snapshot.now += SEC;
        for (unsigned k = 0; k < 3000; k++) {
                model_add(&host->model, TCP_ESTABLISHED, PEER, 80, 0);
                model_add(&host->model, TCP_ESTABLISHED, PEER + k % 2, 81, 0);
        }
        for (unsigned k = 0; k < 50; k++)
                model_add(&host->model, TCP_ESTABLISHED, PEER + 2, 80, 0);
        host_observe(host);
        format("");
        ck_assert_uint_eq(count("twtuned_group_forecast_ratio"), 3);
        host_free(host);
}
END_TEST

/* All names as long as they can be, and full of what has to be escaped. */
START_TEST(the_text_has_room)
{
        char netns[256], policy[64 * 256] = "", *p = policy, *buf = malloc(EXPOSITION_TEXT_MAX + 8);
        struct exposition e;

        for (unsigned i = 0; i < RULES_MAX; i++)
                p += sprintf(p, "[rule a-name-of-39-characters-0123456789-%02u]\nwhen = tcp.listen >= 1\n%s%.63s\n", i,
                             "set = net.ipv4.tcp_tw_reuse = 1\n", "release = keep");
        host = host_new(policy);
        memset(netns, '"', sizeof(netns) - 1);
        netns[sizeof(netns) - 1] = 0;
        for (unsigned i = 0; i < METRIC_COUNT; i++) {
                give(i, reading_valid(-1.23456789012e-300));
                memset(host->snapshot.endpoint[i], '"', sizeof(host->snapshot.endpoint[i]) - 1);
                memset(host->snapshot.culprit[i], '"', sizeof(host->snapshot.culprit[i]) - 1);
        }
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                for (unsigned k = 0; k < OUTCOME_COUNT; k++)
                        logged[id][k] = ledger.entry[id].state = LEDGER_HELD;
        ck_assert_uint_lt(strlen(format(netns)), EXPOSITION_TEXT_MAX - 5 * 3 * 1024); /* the destinations */

        e = (struct exposition){.version = "1.2",
                                .netns = netns,
                                .snapshot = &host->snapshot,
                                .config = host->config,
                                .policy = host->policy,
                                .episodes = &episodes,
                                .counters = &counters,
                                .ledger = &ledger,
                                .logged = (const uint64_t(*)[OUTCOME_COUNT])logged};
        for (size_t size = 1; size < strlen(text) - 1024; size += 997) {
                memset(buf, 0x55, EXPOSITION_TEXT_MAX + 8);
                ck_assert_int_eq(exposition_format(&e, buf, size), -ENOBUFS);
                ck_assert_int_eq(buf[size], 0x55);
        }
        free(buf);
        host_free(host);
}
END_TEST

START_TEST(the_hash_is_of_what_is_in_effect)
{
        static const struct {
                const char *a, *b;
                bool same;
        } rows[] = {
                {"[daemon]\ninterval = 2s\nmode = observe\n", "[daemon]\nmode = observe\n\n# later\ninterval = 2s\n",
                 true},
                {"[daemon]\ninterval = 2s\n", "[daemon]\ninterval = 1s\ninterval = 2s\n", true},
                {"[daemon]\ninterval = 2s\n", "[daemon]\ninterval = 1s\n", false},
                {"[daemon]\ninterval = 2s\n", "", false},
        };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                struct config *a = config_of(rows[i].a), *b = config_of(rows[i].b);

                ck_assert_msg((config_values_hash(&a->values) == config_values_hash(&b->values)) == rows[i].same,
                              "row %u", i);
                config_free(a);
                config_free(b);
        }
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_test(tcase, every_metric_has_a_family_in_base_units);
        tcase_add_test(tcase, what_is_not_known_is_absent);
        tcase_add_test(tcase, labels_are_escaped);
        tcase_add_test(tcase, rules_and_sysctls);
        tcase_add_test(tcase, rates_are_counted);
        tcase_add_test(tcase, advice_says_for_whom);
        tcase_add_test(tcase, advice_of_a_rule_that_did_not_help);
        tcase_add_test(tcase, the_fullest_destinations_in_ports);
        tcase_add_test(tcase, of_the_destinations_the_worst);
        tcase_add_test(tcase, few_destinations);
        tcase_add_test(tcase, the_text_has_room);
        tcase_add_test(tcase, the_hash_is_of_what_is_in_effect);
}

int main(void)
{
        return run_suite("exposition", add);
}
