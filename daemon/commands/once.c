/* SPDX-License-Identifier: MIT */
#include "daemon/commands/once.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "daemon/observe/observer.h"
#include "lib/util/json.h"
#include "lib/util/safe.h"

static void write_text(FILE *f, const struct snapshot *s, const struct counters *counters, unsigned metric)
{
        const struct reading *r = &s->reading[metric];
        const char *unit = unit_suffix(metric_unit(metric, counters));

        fprintf(f, "%s ", metric_name(metric, counters));
        if (r->state == READING_VALID)
                fprintf(f, "%.10g", r->value);
        else
                fputs(reading_state_names[r->state], f);
        fprintf(f, " %s", unit[0] ? unit : "-");
        for (unsigned i = 0; metric < METRIC_COUNT && i < 2; i++) {
                const char *name = i == 0 ? s->endpoint[metric] : s->culprit[metric];

                if (name[0])
                        fputc(' ', f);
                safe_print(name, f);
        }
        fputc('\n', f);
}

static void add_json(struct json *j, const struct snapshot *s, const struct counters *counters, unsigned metric)
{
        const struct reading *r = &s->reading[metric];

        json_open_object(j, metric_name(metric, counters));
        json_add_text(j, "state", reading_state_names[r->state]);
        json_add_number(j, "value", r->state == READING_VALID ? r->value : (double)NAN);
        json_add_text(j, "unit", unit_suffix(metric_unit(metric, counters)));
        if (metric < METRIC_COUNT && s->endpoint[metric][0])
                json_add_text(j, "who", s->endpoint[metric]);
        if (metric < METRIC_COUNT && s->culprit[metric][0])
                json_add_text(j, "systemd_unit", s->culprit[metric]);
        json_close_object(j);
}

static int write_json(FILE *f, const struct snapshot *s, const struct counters *counters)
{
        struct json j = {0};
        int r;

        json_open_object(&j, NULL);
        for (unsigned metric = 0; metric < METRIC_COUNT + counters->n; metric++)
                add_json(&j, s, counters, metric);
        json_close_object(&j);
        r = j.failed ? -ENOMEM : 0;
        if (r == 0)
                fprintf(f, "%s\n", j.text);
        json_free(&j);
        return r;
}

int once_write(FILE *f, const struct snapshot *s, const struct counters *counters, bool json)
{
        if (json)
                return write_json(f, s, counters);
        for (unsigned metric = 0; metric < METRIC_COUNT + counters->n; metric++)
                write_text(f, s, counters, metric);
        return 0;
}

/* Reads counters twice, for the rates, and the sockets once, at the end. The metrics of what cannot be read are
 * invalid. */
static struct unread observe(struct observer *observer, struct snapshot *ret)
{
        const struct timespec second = {.tv_sec = 1};
        struct unread unread = {0};
        bool dump;

        observer_read(observer, ret, &dump, &(struct unread){0});
        nanosleep(&second, NULL);
        observer_read(observer, ret, &dump, &unread);
        observer_read_sockets(observer, &(struct watch_list){0}, ret, &unread);
        return unread;
}

int once_print(bool json)
{
        static struct counters counters;
        static struct snapshot snapshot;
        struct observer *observer = NULL;
        struct unread unread;
        int r = observer_new("/proc", &observer);

        if (r == 0)
                r = observer_probe(observer);
        if (r < 0) {
                observer_free(observer);
                fprintf(stderr, "twtuned: cannot open NETLINK_SOCK_DIAG: %s\n", strerror(-r));
                return EX_UNAVAILABLE;
        }
        counters_init(&counters);
        observer_list_counters("/proc", &counters);
        observer_set_config(observer, NULL, &counters);
        unread = observe(observer, &snapshot);
        r = unread.error;
        if (r < 0)
                fprintf(stderr, "twtuned: cannot read %s: %s\n", unread.what, strerror(-r));
        if (once_write(stdout, &snapshot, &counters, json) < 0) {
                fprintf(stderr, "twtuned: out of memory\n");
                r = -ENOMEM;
        }
        observer_free(observer);
        return r < 0 ? EXIT_FAILURE : 0;
}
