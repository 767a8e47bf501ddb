/* SPDX-License-Identifier: MIT */
#include "daemon/supervisor/node_status.h"

#include <stdio.h>
#include <string.h>

#include <systemd/sd-daemon.h>

#include "lib/util/macro.h"

/* The first word of each status of status.c, except "healthy". */
static const char *const states[] = {"acting", "observing", "advice", "paused", "degraded"};

/* Counts the children in a state; NULL: all. One that waits for its next start has no state. */
static unsigned count(const struct children *children, const char *state)
{
        const struct child *c;
        unsigned n = 0;

        LIST_FOREACH(c, children, link)
        n += !state || (c->process.pid > 0 && c->ready && strcmp(c->state, state) == 0);
        return n;
}

static void format(const struct children *children, char *buf, size_t size)
{
        unsigned all = count(children, NULL), n;
        const char *before = ": ";
        size_t used;

        snprintf(buf, size, "READY=1\nSTATUS=%u network namespace%s", all, all == 1 ? "" : "s");
        for (unsigned i = 0; i < ELEMENTSOF(states); i++) {
                n = count(children, states[i]);
                used = strlen(buf);
                if (n == 0)
                        continue;
                snprintf(buf + used, size - used, "%s%u %s", before, n, states[i]);
                before = ", ";
        }
}

void node_status_update(struct node_status *s, const struct children *children)
{
        char text[sizeof(s->text)];

        format(children, text, sizeof(text));
        if (strcmp(text, s->text) != 0)
                sd_notify(0, text);
        strcpy(s->text, text);
        if (sd_watchdog_enabled(0, NULL) > 0)
                sd_notify(0, "WATCHDOG=1");
}
