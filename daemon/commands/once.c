/* SPDX-License-Identifier: MIT */
#include "daemon/commands/once.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "daemon/observe/observer.h"
#include "lib/util/macro.h"

static const char *const state_names[] = {
        [READING_INVALID] = "invalid",
        [READING_UNAVAILABLE] = "unavailable",
        [READING_VALID] = "valid",
        [READING_BOUNDED] = "bounded",
};

/* Whose a value is: "10.0.0.1->10.0.0.2:80", "nginx.service". "": nobody's. */
struct culprit {
        const char *who, *unit;
};

static struct culprit culprit_of(const struct snapshot *s, unsigned metric)
{
        if (metric >= METRIC_COUNT)
                return (struct culprit){"", ""};
        return (struct culprit){s->who[metric], s->unit[metric]};
}

/* Invalid, unavailable and zero are three things. */
static void print_line(const char *name, const struct reading *r, const char *unit, struct culprit culprit)
{
        char value[32];

        snprintf(value, sizeof(value), "%.10g", r->value);
        printf("%s %s %s%s%s%s%s\n", name, r->state == READING_VALID ? value : state_names[r->state],
               unit[0] ? unit : "-", culprit.who[0] ? " " : "", culprit.who, culprit.unit[0] ? " " : "", culprit.unit);
}

/* Names and units have no character that JSON would want escaped, but for a cgroup's name, which anyone may choose. */
static void print_string(const char *key, const char *text)
{
        printf(", \"%s\": \"", key);
        for (const char *p = text; *p; p++)
                if (*p == '"' || *p == '\\' || (unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
                        printf("\\u%04x", (unsigned char)*p);
                else
                        putchar(*p);
        putchar('"');
}

/* JSON has no infinity: null, as for a value that is not there; the state tells them apart. */
static void print_json(const char *name, const struct reading *r, const char *unit, struct culprit culprit)
{
        printf("  \"%s\": {\"state\": \"%s\", \"value\": ", name, state_names[r->state]);
        if (r->state == READING_VALID && isfinite(r->value))
                printf("%.17g", r->value);
        else
                fputs("null", stdout);
        print_string("unit", unit);
        if (culprit.who[0])
                print_string("who", culprit.who);
        if (culprit.unit[0])
                print_string("systemd_unit", culprit.unit);
        putchar('}');
}

static void print_snapshot(const struct snapshot *s, const struct counters *counters, bool json)
{
        unsigned n = METRIC_COUNT + counters->n;

        if (json)
                puts("{");
        for (unsigned i = 0; i < n; i++) {
                const char *name = metric_name(i, counters), *unit = unit_suffix(metric_unit(i, counters));

                if (!json) {
                        print_line(name, &s->reading[i], unit, culprit_of(s, i));
                        continue;
                }
                print_json(name, &s->reading[i], unit, culprit_of(s, i));
                puts(i + 1 < n ? "," : "");
        }
        if (json)
                puts("}");
}

/* Counters twice, for the rates; one dump of the sockets, at the end. */
static int print(struct observer *observer, const struct counters *counters, bool json)
{
        static struct snapshot snapshot;
        struct timespec second = {.tv_sec = 1};
        struct unread unread = {0};
        bool dump;

        observer_set_config(observer, NULL, counters);
        observer_read(observer, &snapshot, &dump, &(struct unread){0});
        nanosleep(&second, NULL);
        observer_read(observer, &snapshot, &dump, &unread);
        observer_read_sockets(observer, &snapshot, &unread);
        if (unread.error < 0)
                fprintf(stderr, "twtuned: cannot read %s: %s\n", unread.what, strerror(-unread.error));
        print_snapshot(&snapshot, counters, json);
        return unread.error < 0 ? EXIT_FAILURE : 0;
}

int once_print(bool json)
{
        static struct counters counters;
        struct observer *observer = NULL;
        int r = observer_new("/proc", &observer);

        if (r < 0) {
                fprintf(stderr, "twtuned: cannot open NETLINK_SOCK_DIAG: %s\n", strerror(-r));
                return EX_UNAVAILABLE;
        }
        counters_init(&counters);
        observer_list_counters("/proc", &counters);
        r = print(observer, &counters, json);
        observer_free(observer);
        return r;
}
