/* SPDX-License-Identifier: MIT */
/* What --once prints of a snapshot. */

#include "daemon/commands/once.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util/macro.h"
#include "run.h"

static struct snapshot snapshot;
static struct counters counters;
static char *text;
static size_t size;

static void begin(void)
{
        memset(&snapshot, 0, sizeof(snapshot));
        counters_init(&counters);
}

static void write_it(bool json)
{
        FILE *f = open_memstream(&text, &size);

        ck_assert_int_eq(once_write(f, &snapshot, &counters, json), 0);
        fclose(f);
}

static void tear_down(void)
{
        free(text);
        text = NULL;
}

static const struct {
        struct reading reading;
        const char *unit;
        const char *line, *json;
} rows[] = {
        {{.state = READING_VALID, .value = 12.5},
         "caf\xc3\xa9.service",
         "listen.drops 12.5 /s [::]:80 caf\xc3\xa9.service\n",
         "\"listen.drops\":{\"state\":\"valid\",\"value\":12.5,\"unit\":\"/s\",\"who\":\"[::]:80\","
         "\"systemd_unit\":\"caf\xc3\xa9.service\"}"},
        {{.state = READING_INVALID, .value = 12.5},
         "",
         "listen.drops invalid /s [::]:80\n",
         "\"listen.drops\":{\"state\":\"invalid\",\"value\":null,\"unit\":\"/s\",\"who\":\"[::]:80\"}"},
        {{.state = READING_UNAVAILABLE},
         "\"\\",
         "listen.drops unavailable /s [::]:80 \"\\\n",
         "\"listen.drops\":{\"state\":\"unavailable\",\"value\":null,\"unit\":\"/s\",\"who\":\"[::]:80\","
         "\"systemd_unit\":\"\\u0022\\u005c\"}"},
        {{.state = READING_VALID, .value = INFINITY},
         "",
         "listen.drops inf /s [::]:80\n",
         "\"listen.drops\":{\"state\":\"valid\",\"value\":null,\"unit\":\"/s\",\"who\":\"[::]:80\"}"},
};

START_TEST(a_metric_is_a_line_or_a_member)
{
        begin();
        snapshot.reading[METRIC_LISTEN_DROPS] = rows[_i].reading;
        strcpy(snapshot.endpoint[METRIC_LISTEN_DROPS], "[::]:80");
        strcpy(snapshot.culprit[METRIC_LISTEN_DROPS], rows[_i].unit);
        write_it(false);
        ck_assert_msg(strstr(text, rows[_i].line), "%s", text);
        tear_down();
        write_it(true);
        ck_assert_msg(strstr(text, rows[_i].json), "%s", text);
}
END_TEST

START_TEST(every_metric_and_counter_is_there_once)
{
        unsigned lines = 0;

        begin();
        write_it(false);
        for (const char *p = text; *p; p++)
                lines += *p == '\n';
        ck_assert_uint_eq(lines, METRIC_COUNT + COUNTER_OWN);
        ck_assert_ptr_nonnull(strstr(text, "\nsnmp.Tcp.OutRsts invalid /s\n"));
        tear_down();
        write_it(true);
        ck_assert_ptr_nonnull(strstr(text, ",\"snmp.Tcp.OutRsts\":{\"state\":\"invalid\",\"value\":null,"));
        ck_assert_str_eq(text + size - 3, "}}\n");
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, NULL, tear_down);
        tcase_add_loop_test(tcase, a_metric_is_a_line_or_a_member, 0, ELEMENTSOF(rows));
        tcase_add_test(tcase, every_metric_and_counter_is_there_once);
}

int main(void)
{
        return run_suite("once", add);
}
