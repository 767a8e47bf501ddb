/* SPDX-License-Identifier: MIT */
#include "daemon/status.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const daemon_state_names[] = {
        [STATE_STARTING] = "starting", [STATE_HEALTHY] = "healthy", [STATE_ADVISING] = "advice",
        [STATE_ACTING] = "acting",     [STATE_PAUSED] = "paused",   [STATE_DEGRADED] = "degraded",
};

/* Returns the first rule whose advice is active; NULL: none is. */
static const struct rule *standing_advice(const struct tuner *t)
{
        for (unsigned i = 0; i < t->config->n_rules; i++)
                if (t->config->rule[i].n_actions == 0 && policy_is_active(t->policy, i))
                        return &t->config->rule[i];
        return NULL;
}

static bool is_degraded(const struct tuner *t)
{
        return t->unread.error < 0 || t->write_error < 0 || t->apply.ledger_error < 0 || t->rejected ||
               t->late_until > 0;
}

static enum daemon_state find_state(const struct tuner *t, unsigned held)
{
        if (is_degraded(t))
                return STATE_DEGRADED;
        if (t->paused_until > 0)
                return STATE_PAUSED;
        if (held > 0)
                return STATE_ACTING;
        return standing_advice(t) ? STATE_ADVISING : STATE_HEALTHY;
}

/* Writes ", looking at the sockets every 4.0 s at most (cpu_budget)" if dumps are rarer than ticks, else "". */
static void format_cadence(const struct tuner *t, char *buf, size_t size)
{
        uint64_t every = t->snapshot.dump_every;

        buf[0] = 0;
        if (every > t->config->interval_ns)
                snprintf(buf, size, ", looking at the sockets every %.1f s at most (cpu_budget)", (double)every / 1e9);
}

/* Writes the busiest destination and its ports.demand; without a dump, the upper bound of all destinations. */
static void format_ports(const struct tuner *t, char *buf, size_t size)
{
        const struct reading *first = &t->snapshot.reading[METRIC_PORTS_FIRST];
        const struct destination *busiest = first->state == READING_VALID ? ports_busiest(t->snapshot.ports) : NULL;
        char name[DESTINATION_NAME_MAX];

        buf[0] = 0;
        if (busiest)
                snprintf(buf, size, ", busiest %s at %.0f %%", destination_name(busiest, name),
                         ports_value(busiest, METRIC_PORTS_DEMAND).lower);
        else if (first->state == READING_BOUNDED)
                snprintf(buf, size, ", no destination over %.0f %%",
                         ceil(t->snapshot.reading[METRIC_PORTS_DEMAND].upper));
}

static void format_degraded(const struct tuner *t, char *buf, size_t size)
{
        if (t->unread.error < 0)
                snprintf(buf, size, "cannot read %s: %s", t->unread.what, strerror(-t->unread.error));
        else if (t->write_error < 0)
                snprintf(buf, size, "cannot write sysctls: %s; observing only", strerror(-t->write_error));
        else if (t->apply.ledger_error < 0)
                snprintf(buf, size, "the ledger cannot be saved, so nothing more is changed");
        else if (t->late_until > 0)
                snprintf(buf, size, "ticks come late, and the clocks of conditions stand still meanwhile");
        else
                snprintf(buf, size, "the new configuration has an error; keeping the current one");
}

static void format(const struct tuner *t, enum daemon_state state, unsigned held, char *buf, size_t size)
{
        char part[DESTINATION_NAME_MAX + 40], cadence[80];
        const char *plural = held == 1 ? "" : "s";

        format_cadence(t, cadence, sizeof(cadence));
        switch (state) {
        case STATE_DEGRADED:
                format_degraded(t, part, sizeof(part));
                if (held == 0)
                        snprintf(buf, size, "degraded: %s", part);
                else
                        snprintf(buf, size, "degraded: %s; %u sysctl%s changed", part, held, plural);
                break;
        case STATE_PAUSED:
                snprintf(buf, size, "paused: nothing is written, %u sysctl%s held%s", held, plural, cadence);
                break;
        case STATE_ACTING:
                format_ports(t, part, sizeof(part));
                snprintf(buf, size, "acting: %u sysctl%s changed%s%s", held, plural, part, cadence);
                break;
        case STATE_ADVISING:
                snprintf(buf, size, "advice: %s, see the log%s", standing_advice(t)->name, cadence);
                break;
        case STATE_HEALTHY:
        case STATE_STARTING:
                snprintf(buf, size, "healthy%s%s", t->config->observe ? ", observing only" : "", cadence);
        }
}

void status_update(struct tuner *t)
{
        char text[sizeof(t->status.text)], message[sizeof(text) + 64];
        unsigned held = 0;

        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                held += policy_holds(t->policy, id);
        t->status.state = find_state(t, held);
        format(t, t->status.state, held, text, sizeof(text));
        if (strcmp(text, t->status.text) == 0)
                return;
        strcpy(t->status.text, text);
        snprintf(message, sizeof(message), "READY=1\nSTATUS=%s", text);
        t->backend->notify(t->backend, message);
}
