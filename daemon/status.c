/* SPDX-License-Identifier: MIT */
#include "daemon/status.h"

#include <stdio.h>
#include <string.h>

#include "lib/audit/advice.h"

const char *const daemon_state_names[] = {
        [STATE_STARTING] = "starting", [STATE_HEALTHY] = "healthy",     [STATE_ADVISING] = "advice",
        [STATE_ACTING] = "acting",     [STATE_WOULD_ACT] = "would-act", [STATE_PAUSED] = "paused",
        [STATE_DEGRADED] = "degraded",
};

/* Returns the episode of the first rule that holds a sysctl for a destination; NULL: none. The status names the
 * destination of that episode, not the busiest one, which changes from tick to tick. */
static const struct episode *find_cause(const struct tuner *t)
{
        for (unsigned i = 0; i < t->config->n_rules; i++) {
                const struct rule *rule = &t->config->rule[i];
                const struct episode *e;

                if (rule->n_actions == 0 || !policy_is_active(t->policy, i))
                        continue;
                e = episodes_last(&t->audit.episodes, rule->name);
                if (e && e->evidence.destination[0])
                        return e;
        }
        return NULL;
}

/* dump_every varies with the length of each dump. The status follows only if it more than doubles, falls below half,
 * or changes from or to 0. Returns the value to show next. */
static uint64_t follow_cadence(uint64_t shown, uint64_t dump_every)
{
        bool differs = (dump_every > 0) != (shown > 0) || dump_every > 2 * shown || 2 * dump_every < shown;

        return differs ? dump_every : shown;
}

static void find_facts(const struct tuner *t, struct status_facts *f)
{
        struct advice advice[RULES_MAX];

        memset(f, 0, sizeof(*f)); /* the padding, too: memcmp() compares it */
        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                f->held += t->apply.ledger.entry[id].state == LEDGER_HELD;
                f->would += t->config->observe && policy_holds(t->policy, id);
        }
        f->n_advice = advice_list(t->config, t->policy, &t->snapshot, &t->audit.episodes, advice);
        f->advice = f->n_advice > 0 ? advice[0].rule : 0;
        f->cause = f->held + f->would > 0 ? find_cause(t) : NULL;
        f->episodes = t->audit.episodes.changes;
        f->dump_every = follow_cadence(t->status.facts.dump_every, t->snapshot.dump_every);
}

static bool is_degraded(const struct tuner *t)
{
        return t->unread.error < 0 || t->write_error < 0 || t->apply.ledger_error < 0 || t->rejected ||
               t->late_until > 0 || news_is_failing(&t->audit.news, SUBJECT_METRICS_FILE);
}

static enum daemon_state find_state(const struct tuner *t, const struct status_facts *f)
{
        if (is_degraded(t) || (t->config->observe && f->held > 0))
                return STATE_DEGRADED;
        if (t->paused_until > 0)
                return STATE_PAUSED;
        if (f->n_advice > 0)
                return STATE_ADVISING;
        if (f->would > 0)
                return STATE_WOULD_ACT;
        return f->held > 0 ? STATE_ACTING : STATE_HEALTHY;
}

/* ", looking at the sockets every 4.0 s or so (cpu_budget)" if dumps come less often than ticks. */
static void format_cadence(const struct tuner *t, const struct status_facts *f, char *buf, size_t size)
{
        uint64_t interval = t->config->interval_ns, ticks = (f->dump_every + interval - 1) / interval;

        buf[0] = 0;
        if (ticks > 1)
                snprintf(buf, size, ", looking at the sockets every %.1f s or so (cpu_budget)",
                         (double)(ticks * interval) / 1e9);
}

/* " for DESTINATION, UNIT" */
static void format_cause(const struct episode *e, char *buf, size_t size)
{
        buf[0] = 0;
        if (e)
                snprintf(buf, size, " for %s%s%s", e->evidence.destination, e->culprit[0] ? ", " : "", e->culprit);
}

/* "drops at 0.0.0.0:8080, web.service, and 1 more" */
static void format_advice(const struct tuner *t, const struct status_facts *f, char *buf, size_t size)
{
        const struct rule *rule = &t->config->rule[f->advice];
        const struct episode *e = episodes_last(&t->audit.episodes, rule->name);
        const char *whose = e ? e->evidence.destination : "", *unit = e ? e->culprit : "";
        const char *word = !whose[0] ? "" : strstr(whose, "->") ? " toward " : " at ";
        size_t n = (size_t)snprintf(buf, size, "%s%s%s%s%s", rule->name, word, whose, unit[0] ? ", " : "", unit);

        if (f->n_advice > 1 && n < size)
                snprintf(buf + n, size - n, ", and %u more", f->n_advice - 1);
}

static void format_degraded(const struct tuner *t, const struct status_facts *f, char *buf, size_t size)
{
        if (t->unread.error < 0)
                snprintf(buf, size, "degraded: cannot read %s: %s", t->unread.what, strerror(-t->unread.error));
        else if (t->write_error < 0)
                snprintf(buf, size, "degraded: cannot write sysctls: %s; observing only", strerror(-t->write_error));
        else if (t->apply.ledger_error < 0)
                snprintf(buf, size, "degraded: the ledger cannot be saved, so nothing more is changed");
        else if (t->late_until > 0)
                snprintf(buf, size, "degraded: ticks are late, and the time lost does not count for any condition");
        else if (t->rejected)
                snprintf(buf, size,
                         "degraded: the new configuration has an error (twtuned --check); keeping the current one");
        else if (is_degraded(t))
                snprintf(buf, size, "degraded: metrics_file cannot be written");
        else
                snprintf(buf, size,
                         "observing, but %u sysctl%s still changed by an earlier twtuned: stop twtuned and run: "
                         "twtuned --restore",
                         f->held, f->held == 1 ? " is" : "s are");
}

/* Appends "; 1 sysctl changed". */
static void add_changed(const struct tuner *t, const struct status_facts *f, char *buf, size_t size)
{
        unsigned n = t->config->observe ? f->would : f->held;
        size_t length = strlen(buf);

        if (n > 0)
                snprintf(buf + length, size - length, "; %s%u sysctl%s%s", t->config->observe ? "would change " : "",
                         n, n == 1 ? "" : "s", t->config->observe ? "" : " changed");
}

static void format(const struct tuner *t, enum daemon_state state, const struct status_facts *f, char *buf,
                   size_t size)
{
        char part[512], cadence[80];

        format_cadence(t, f, cadence, sizeof(cadence));
        switch (state) {
        case STATE_DEGRADED:
                format_degraded(t, f, buf, size);
                if (is_degraded(t))
                        add_changed(t, f, buf, size);
                break;
        case STATE_PAUSED:
                snprintf(buf, size, "paused: nothing is written, %u sysctl%s held%s", f->held, f->held == 1 ? "" : "s",
                         cadence);
                break;
        case STATE_ACTING:
                format_cause(f->cause, part, sizeof(part));
                snprintf(buf, size, "acting: %u sysctl%s changed%s%s", f->held, f->held == 1 ? "" : "s", part,
                         cadence);
                break;
        case STATE_WOULD_ACT:
                format_cause(f->cause, part, sizeof(part));
                snprintf(buf, size, "observing: would change %u sysctl%s%s%s", f->would, f->would == 1 ? "" : "s",
                         part, cadence);
                break;
        case STATE_ADVISING:
                format_advice(t, f, part, sizeof(part));
                snprintf(buf, size, "advice: %s", part);
                add_changed(t, f, buf, size);
                break;
        case STATE_HEALTHY:
        case STATE_STARTING:
                snprintf(buf, size, "healthy%s%s", t->config->observe ? ", observing only" : "", cadence);
        }
}

static void follow_restored(struct tuner *t)
{
        if (t->audit.restored != t->status.restored)
                t->status.restored_at = t->snapshot.now;
        t->status.restored = t->audit.restored;
}

/* True if the text stays the same. False for a degraded daemon, whose text depends on more than the facts. */
static bool is_as_before(const struct status *s, enum daemon_state state, const struct status_facts *f)
{
        return s->text[0] != 0 && !s->reloaded && state != STATE_DEGRADED && state == s->state &&
               memcmp(&s->facts, f, sizeof(*f)) == 0;
}

void status_update(struct tuner *t)
{
        char text[sizeof(t->status.text)], message[sizeof(text) + 64];
        bool first = t->status.text[0] == 0;
        struct status_facts facts;
        enum daemon_state state;

        follow_restored(t);
        find_facts(t, &facts);
        state = find_state(t, &facts);
        if (is_as_before(&t->status, state, &facts))
                return;
        t->status.state = state;
        t->status.facts = facts;
        t->status.reloaded = false;
        format(t, state, &facts, text, sizeof(text));
        if (strcmp(text, t->status.text) == 0)
                return;
        strcpy(t->status.text, text);
        snprintf(message, sizeof(message), "%sSTATUS=%s", first ? "READY=1\n" : "", text);
        t->backend->notify(t->backend, message);
}
