/* SPDX-License-Identifier: MIT */
/* What is said of something that fails, or works again; and a record with more fields than there is room for. */

#include <errno.h>
#include <string.h>

#include "lib/audit/advice.h"
#include "lib/audit/text.h"
#include "lib/util/macro.h"
#include "run.h"

static struct audit_text text;

static const struct {
        enum audit_subject subject;
        int error;
        const char *name, *message;
} states[] = {
        {SUBJECT_LEDGER, -ENOSPC, NULL, "cannot save the ledger: No space left on device; retrying"},
        {SUBJECT_LEDGER, 0, NULL, "the ledger is saved again"},
        {SUBJECT_METRICS_FILE, -EROFS, "/m", "cannot write the metrics file /m: Read-only file system; retrying"},
        {SUBJECT_METRICS_FILE, 0, "/m", "the metrics file is written again"},
        {SUBJECT_OBSERVATION, -EIO, "/proc/net/snmp",
         "cannot read /proc/net/snmp: Input/output error; decisions that need it wait"},
        {SUBJECT_OBSERVATION, 0, NULL, "everything can be read again"},
        {SUBJECT_PERMISSION, -EROFS, NULL,
         "cannot write /proc/sys/net/ipv4: Read-only file system; it is mounted read-only; observing only"},
        {SUBJECT_PERMISSION, -EPERM, NULL,
         "cannot write /proc/sys/net/ipv4: Operation not permitted; CAP_NET_ADMIN is missing; observing only"},
        {SUBJECT_PERMISSION, -ENOENT, NULL,
         "cannot write /proc/sys/net/ipv4: No such file or directory; observing only"},
        {SUBJECT_RECORDING, -EFBIG, "/r", "cannot write the recording /r: File too large; it ends here"},
        {SUBJECT_TICKS, -ETIME, NULL,
         "no tick for 0.0 s: twtuned got no CPU time, or the machine was suspended; this time counts for no "
         "condition"},
        {SUBJECT_TICKS, 0, NULL, "ticks are on time again"},
        {SUBJECT_BUS, -ENOTCONN, NULL,
         "cannot reach the system bus: Transport endpoint is not connected; twtunectl fails until it is back"},
        {SUBJECT_BUS, 0, NULL, "the system bus is back"},
};

START_TEST(what_fails_and_what_works_again_is_said)
{
        audit_text_make(&text, &(struct audit_record){
                                       .kind = states[_i].error < 0 ? AUDIT_DEGRADED : AUDIT_RECOVERED,
                                       .subject = states[_i].subject,
                                       .error = states[_i].error,
                                       .name = states[_i].name,
                               });
        ck_assert_str_eq(audit_text_value(&text, "MESSAGE"), states[_i].message);
}
END_TEST

/* The text of the first change of a decision. */
static void make(enum audit_kind kind, const struct decision *d, const struct rule *rule, const char *culprit)
{
        static const struct counters counters;

        audit_text_make(&text, &(struct audit_record){.kind = kind,
                                                      .subject = SUBJECT_CHANGE,
                                                      .decision = d,
                                                      .rule = rule,
                                                      .counters = &counters,
                                                      .change = &d->change[0],
                                                      .culprit = culprit});
}

START_TEST(a_step_that_is_not_watched_says_so)
{
        static const struct rule rule = {.name = "r"};
        struct decision d = {.kind = DECISION_STEP, .n = 1, .unwatched = "opens.resets"};

        d.evidence =
                (struct evidence){.metric = METRIC_TCP_FIN_WAIT2, .op = GREATER_EQUAL, .value = 200, .threshold = 100};
        d.change[0] = (struct change){.sysctl = SYSCTL_TCP_FIN_TIMEOUT,
                                      .before = SYSCTL_VALUE(60),
                                      .value = SYSCTL_VALUE(30),
                                      .outcome = OUTCOME_APPLIED};
        make(AUDIT_APPLIED, &d, &rule, "");
        ck_assert_str_eq(audit_text_value(&text, "MESSAGE"),
                         "net.ipv4.tcp_fin_timeout: 60 -> 30: tcp.fin_wait2 is 200 (>= 100); this change is not "
                         "watched for harm: opens.resets is unknown for the minute before");
}
END_TEST

/* A threshold as it is configured, and the limit of an abort condition, which is computed, with one decimal. */
START_TEST(a_threshold_is_written_in_full)
{
        static const struct {
                enum decision_kind kind;
                double threshold;
                const char *text;
        } rows[] = {{DECISION_ENTER, 1234567, ">= 1234567"},
                    {DECISION_ENTER, 1e6, ">= 1000000"},
                    {DECISION_ENTER, 0.25, ">= 0.25"},
                    {DECISION_ABORT, 14.96202369, ">= 15"},
                    {DECISION_ABORT, 15.370200000000001, ">= 15.4"}};
        static const struct rule rule = {.name = "r"};

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                struct decision d = {.kind = rows[i].kind, .n = 1, .change = {{.outcome = OUTCOME_APPLIED}}};

                d.evidence = (struct evidence){
                        .metric = METRIC_PORTS_USED, .op = GREATER_EQUAL, .threshold = rows[i].threshold};
                make(AUDIT_APPLIED, &d, &rule, "");
                ck_assert_str_eq(audit_text_value(&text, "THRESHOLD"), rows[i].text);
        }
}
END_TEST

START_TEST(every_message_names_the_destination_and_the_unit)
{
        static const struct {
                enum decision_kind kind;
                enum outcome outcome;
                const char *why;
        } rows[] = {
                {DECISION_ENTER, OUTCOME_APPLIED,
                 "ports.used is 200 (>= 100) toward 10.0.0.1->10.0.0.2:80, web.service"},
                {DECISION_RELEASE, OUTCOME_RESTORED,
                 "ports.used is 200 (>= 100) toward 10.0.0.1->10.0.0.2:80, web.service"},
                {DECISION_UNEXPECTED, OUTCOME_RESTORED,
                 "ports.used should be >= 100 by now and is 200 toward 10.0.0.1->10.0.0.2:80, web.service"},
                {DECISION_ABORT, OUTCOME_RESTORED,
                 "after the change ports.used rose to 200 (>= 100) toward 10.0.0.1->10.0.0.2:80, web.service"},
                {DECISION_ENTER, OUTCOME_LIMITED,
                 "too soon; the pressure is toward 10.0.0.1->10.0.0.2:80, web.service"},
        };
        static const struct rule rule = {.name = "r", .n_when = 1, .when = {{.metric = METRIC_PORTS_USED}}};

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                struct decision d = {.kind = rows[i].kind, .n = 1};
                const char *said;

                d.evidence = (struct evidence){.metric = METRIC_PORTS_USED,
                                               .op = GREATER_EQUAL,
                                               .value = 200,
                                               .threshold = 100,
                                               .destination = "10.0.0.1->10.0.0.2:80"};
                d.change[0] = (struct change){.sysctl = SYSCTL_TCP_FIN_TIMEOUT,
                                              .before = SYSCTL_VALUE(60),
                                              .value = SYSCTL_VALUE(30),
                                              .outcome = rows[i].outcome};
                if (rows[i].outcome == OUTCOME_LIMITED)
                        strcpy(d.change[0].reason, "too soon");
                make(AUDIT_APPLIED, &d, &rule, "web.service");
                said = strstr(audit_text_value(&text, "MESSAGE"), "60 -> 30: ");
                ck_assert_ptr_nonnull(said);
                ck_assert_str_eq(said + strlen("60 -> 30: "), rows[i].why);
        }
}
END_TEST

/* The records of a rule whose only ports.* is in `abort`, and of one about a listener. */
START_TEST(a_connection_goes_toward_and_a_listener_is_at)
{
        static const char *const whose[][2] = {{"10.0.0.1->10.0.0.2:80", "toward"},
                                               {"2001:db8::1->[2001:db8::2]:80", "toward"},
                                               {"0.0.0.0:80", "at"}};
        static const struct rule rule = {.name = "r", .n_when = 1, .when = {{.metric = METRIC_TCP_FIN_WAIT2}}};
        char want[128];

        for (unsigned i = 0; i < ELEMENTSOF(whose); i++) {
                struct decision d = {.kind = DECISION_ABORT, .n = 1};

                d.evidence = (struct evidence){.metric = METRIC_PORTS_USED, .op = GREATER, .value = 9, .threshold = 3};
                strcpy(d.evidence.destination, whose[i][0]);
                d.change[0] = (struct change){.sysctl = SYSCTL_TCP_FIN_TIMEOUT, .outcome = OUTCOME_RESTORED};
                make(AUDIT_ABORTED, &d, &rule, "");
                snprintf(want, sizeof(want),
                         "net.ipv4.tcp_fin_timeout:  -> : after the change ports.used rose to 9 "
                         "(> 3) %s %s",
                         whose[i][1], whose[i][0]);
                ck_assert_str_eq(audit_text_value(&text, "MESSAGE"), want);
        }
}
END_TEST

START_TEST(a_port_range_that_gives_way_names_the_port)
{
        static const struct rule rule = {.name = "wider-port-range"};
        struct decision d = {.kind = DECISION_GIVE_WAY, .port = 8080, .evidence.metric = RULE_NONE, .n = 1};

        d.change[0] = (struct change){.sysctl = SYSCTL_IP_LOCAL_PORT_RANGE,
                                      .before = {.n = 2, .v = {2000, 60999}},
                                      .value = {.n = 2, .v = {32768, 60999}},
                                      .outcome = OUTCOME_RESTORED};
        make(AUDIT_RELEASED, &d, &rule, "");
        ck_assert_str_eq(
                audit_text_value(&text, "MESSAGE"),
                "net.ipv4.ip_local_port_range: 2000 60999 -> 32768 60999: a service listens on port 8080 now");
        d.kind = DECISION_SUPERSEDED;
        make(AUDIT_RELEASED, &d, &rule, "");
        ck_assert_str_eq(
                audit_text_value(&text, "MESSAGE"),
                "net.ipv4.ip_local_port_range: 2000 60999 -> 32768 60999: a rule of the administrator decides "
                "on it now");
}
END_TEST

START_TEST(what_does_not_fit_is_left_out)
{
        static char large[2 * AUDIT_TEXT_SIZE];

        text.n = text.used = 0;
        for (unsigned i = 0; i < AUDIT_FIELDS_MAX + 5; i++)
                audit_text_add(&text, "FIELD", "%u", i);
        ck_assert_uint_eq(text.n, AUDIT_FIELDS_MAX);
        text.n = text.used = 0;
        memset(large, 'x', sizeof(large) - 1);
        audit_text_add(&text, "LARGE", "%s", large);
        audit_text_add(&text, "NEXT", "1");
        ck_assert_uint_eq(text.n, 1);
        ck_assert_uint_eq(strlen(audit_text_field(&text, 0)), AUDIT_TEXT_SIZE - 1);
}
END_TEST

/* NETNS= is added later (backend_linux.c). */
START_TEST(a_long_advice_leaves_room_for_all_fields)
{
        static char advise[ADVICE_TEXT_MAX], description[200];
        static const char *const names[] = {"RULE", "METRIC", "METRICVALUE", "THRESHOLD", "GROUP", "CULPRIT", "NETNS"};
        static const struct counters counters;
        struct rule rule = {.name = "r", .advise = advise, .description = description};
        struct decision d = {.kind = DECISION_ENTER, .evidence = {.metric = METRIC_TCP_FIN_WAIT2}};

        memset(advise, 'x', sizeof(advise) - 1);
        memset(description, 'y', sizeof(description) - 1);
        memset(d.evidence.destination, 'z', sizeof(d.evidence.destination) - 1);
        audit_text_make(&text, &(struct audit_record){.kind = AUDIT_ADVICE,
                                                      .subject = SUBJECT_ADVICE,
                                                      .decision = &d,
                                                      .rule = &rule,
                                                      .counters = &counters,
                                                      .culprit = "web.service"});
        audit_text_add(&text, "NETNS", "web");
        for (unsigned i = 0; i < ELEMENTSOF(names); i++)
                ck_assert_msg(audit_text_value(&text, names[i])[0], "no %s", names[i]);
        ck_assert_str_eq(audit_text_value(&text, "ADVICE"), advise);
}
END_TEST

START_TEST(json_has_the_fields_of_the_journal)
{
        struct json json = {0};

        text.kind = AUDIT_APPLIED;
        text.n = text.used = 0;
        audit_text_add(&text, "MESSAGE", "a=\xff");
        audit_text_add(&text, "UNAVAILABLE", "one");
        audit_text_add(&text, "UNAVAILABLE_SINCE", "1");
        audit_text_add(&text, "UNAVAILABLE", "two\n");
        audit_text_add_json(&text, &json);
        ck_assert_str_eq(json.text, "{\"PRIORITY\":\"5\",\"SYSLOG_IDENTIFIER\":\"twtuned\","
                                    "\"MESSAGE_ID\":\"d84c9e582b45468a8cf93f4d7595cf06\",\"EVENT\":\"applied\","
                                    "\"MESSAGE\":\"a=\\ufffd\",\"UNAVAILABLE\":[\"one\",\"two\\u000a\"],"
                                    "\"UNAVAILABLE_SINCE\":\"1\"}");
        json_free(&json);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_loop_test(tcase, what_fails_and_what_works_again_is_said, 0, ELEMENTSOF(states));
        tcase_add_test(tcase, a_step_that_is_not_watched_says_so);
        tcase_add_test(tcase, a_threshold_is_written_in_full);
        tcase_add_test(tcase, every_message_names_the_destination_and_the_unit);
        tcase_add_test(tcase, a_connection_goes_toward_and_a_listener_is_at);
        tcase_add_test(tcase, a_port_range_that_gives_way_names_the_port);
        tcase_add_test(tcase, what_does_not_fit_is_left_out);
        tcase_add_test(tcase, a_long_advice_leaves_room_for_all_fields);
        tcase_add_test(tcase, json_has_the_fields_of_the_journal);
}

int main(void)
{
        return run_suite("audit_text", add);
}
