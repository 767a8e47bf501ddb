/* SPDX-License-Identifier: MIT */
#include "once.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "macro.h"
#include "observer.h"

/* Invalid, unavailable and zero are three things. */
static void print_reading(const char *name, const struct reading *reading, const char *unit)
{
        if (reading->state == READING_UNAVAILABLE)
                printf("%s unavailable %s\n", name, unit);
        else if (reading->state == READING_INVALID)
                printf("%s invalid %s\n", name, unit);
        else
                printf("%s %.10g %s\n", name, reading->value, unit);
}

static void print_busiest(const struct snapshot *s)
{
        const struct ports_group *busiest;
        char name[PORTS_NAME_MAX];

        if (s->reading[METRIC_PORTS_FIRST].state != READING_VALID)
                return;
        busiest = ports_busiest(s->ports);
        printf("ports.busiest %s\n", busiest ? ports_group_name(busiest, name) : "none");
}

static void print_snapshot(const struct snapshot *s, const struct counters *counters)
{
        for (unsigned i = 0; i < METRIC_COUNT + counters->n; i++) {
                if (i == METRIC_PORTS_FIRST)
                        print_busiest(s);
                print_reading(metric_name(i, counters), &s->reading[i], unit_suffix(metric_unit(i, counters)));
        }
}

static int print(struct observer *observer, const struct config *config)
{
        static struct snapshot snapshot;
        struct timespec second = {.tv_sec = 1};
        const char *what;
        int r;

        observer_set_config(observer, config);
        r = observer_read_counters(observer);
        nanosleep(&second, NULL);
        r = observer_read(observer, &snapshot, &what);
        if (r < 0)
                fprintf(stderr, "twtuned: cannot read %s: %s\n", what, strerror(-r));
        print_snapshot(&snapshot, &config->counters);
        return r < 0 ? EXIT_FAILURE : 0;
}

int once_print(void)
{
        struct config *config = config_new();
        struct observer *observer = NULL;
        int r = config ? observer_new("/proc", &observer) : -1;

        if (r < 0) {
                fprintf(stderr, "twtuned: cannot open NETLINK_SOCK_DIAG: %s\n", strerror(-r));
                config_free(config);
                return EX_UNAVAILABLE;
        }
        observer_list_counters("/proc", &config->counters);
        r = print(observer, config);
        observer_free(observer);
        config_free(config);
        return r;
}
