/* SPDX-License-Identifier: MIT */
#include "daemon/audit/report.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/util/macro.h"
#include "lib/util/units.h"

/* The event of an outcome; EVENT_KIND_COUNT: nothing that anyone has to know. */
static enum event_kind kind_of(enum decision_kind decision, enum outcome outcome)
{
        static const enum event_kind done[] = {
                [DECISION_ENTER] = EVENT_APPLIED,
                [DECISION_STEP] = EVENT_APPLIED,
                [DECISION_RELEASE] = EVENT_RELEASED,
                [DECISION_GIVE_WAY] = EVENT_RELEASED,
                [DECISION_UNEXPECTED] = EVENT_UNEXPECTED_EFFECT,
                [DECISION_ABORT] = EVENT_ABORTED,
                [DECISION_OVERRIDDEN] = EVENT_OVERRIDDEN,
        };

        switch (outcome) {
        case OUTCOME_APPLIED:
        case OUTCOME_WOULD:
        case OUTCOME_RESTORED:
        case OUTCOME_KEPT:
                return done[decision];
        case OUTCOME_FOREIGN:
                return EVENT_OVERRIDDEN;
        case OUTCOME_YIELDED:
                return EVENT_ADVICE;
        case OUTCOME_LIMITED:
        case OUTCOME_REFUSED:
                return EVENT_REFUSED;
        case OUTCOME_FAILED:
                return EVENT_FAILED;
        case OUTCOME_JOINED:
        case OUTCOME_UNCHANGED:
                break;
        }
        return EVENT_KIND_COUNT;
}

struct evidence {
        char metric[80], value[32], threshold[32];
};

static void evidence_fill(const struct tuner *t, const struct decision *d, struct evidence *e)
{
        const struct counters *counters = &t->config->counters;
        const char *unit;

        memset(e, 0, sizeof(*e));
        if (d->metric == RULE_NONE)
                return;
        unit = unit_suffix(metric_unit(d->metric, counters));
        snprintf(e->metric, sizeof(e->metric), "%s", metric_name(d->metric, counters));
        snprintf(e->value, sizeof(e->value), "%.*f%s", *unit ? 1 : 0, d->value, unit);
        snprintf(e->threshold, sizeof(e->threshold), "%s %g%s", comparison_text(d->op), d->threshold, unit);
}

/* A destination, where the rule is about those; else a listener. */
static const char *toward(const struct rule *rule, const struct decision *d)
{
        if (d->group[0] == 0)
                return "";
        for (unsigned k = 0; k < rule->n_when; k++)
                if (metric_is_ports(rule->when[k].metric))
                        return " toward ";
        return " at ";
}

/* "why" as the end of the message. */
static void sentence(const struct rule *rule, const struct decision *d, const struct change *c,
                     const struct evidence *e, char *buf, size_t size)
{
        if (c->outcome == OUTCOME_LIMITED || c->outcome == OUTCOME_REFUSED || c->outcome == OUTCOME_FAILED ||
            c->outcome == OUTCOME_YIELDED)
                snprintf(buf, size, "%s", c->reason);
        else if (c->outcome == OUTCOME_FOREIGN)
                snprintf(buf, size, "someone else changed it: it is left alone");
        else if (d->kind == DECISION_UNEXPECTED)
                snprintf(buf, size, "%s should be %s by now and is %s", e->metric, e->threshold, e->value);
        else if (d->kind == DECISION_GIVE_WAY)
                snprintf(buf, size, "a service listens on port %u now", d->port);
        else if (d->kind == DECISION_ABORT)
                snprintf(buf, size, "%s rose to %s (%s), several times what it was before", e->metric, e->value,
                         e->threshold);
        else
                snprintf(buf, size, "%s is %s (%s)%s%s%s", e->metric, e->value, e->threshold, toward(rule, d),
                         d->group, c->outcome == OUTCOME_KEPT ? ", and the value is kept" : "");
}

/* The values before and after; what is refused stays as it was. */
static void add_change(struct tuner *t, struct event *event, const struct change *c)
{
        char old[SYSCTL_TEXT_MAX], new[SYSCTL_TEXT_MAX], original[SYSCTL_TEXT_MAX];

        event_add(event, "SYSCTL", "%s", sysctl_table[c->sysctl].name);
        event_add(event, "OLDVALUE", "%s", sysctl_format(&c->before, old));
        event_add(event, "NEWVALUE", "%s", sysctl_format(&c->value, new));
        event_add(event, "ORIGINALVALUE", "%s", sysctl_format(&c->original, original));
        event_add(event, "RESULT", "%s", outcome_name(c->outcome));
        t->logged[c->sysctl][c->outcome]++;
        if (c->outcome == OUTCOME_FAILED)
                event_add(event, "ERRNO", "%d", -c->error);
}

/* The message alone must not read like a change that was made. */
static const char *prefix(enum outcome outcome)
{
        switch (outcome) {
        case OUTCOME_WOULD:
                return "would set ";
        case OUTCOME_LIMITED:
                return "not now: ";
        case OUTCOME_YIELDED:
        case OUTCOME_REFUSED:
        case OUTCOME_FAILED:
                return "not set: ";
        default:
                return "";
        }
}

/* The unit that the evidence points at, or "". */
static const char *culprit(const struct tuner *t, const struct decision *d)
{
        return d->cgroup != 0 ? t->backend->find_unit(t->backend, d->cgroup) : d->unit;
}

static void add_evidence(const struct tuner *t, struct event *event, const struct decision *d,
                         const struct evidence *e)
{
        const char *unit = culprit(t, d);

        event_add(event, "RULE", "%s", t->config->rule[d->rule].name);
        event_add(event, "METRIC", "%s", e->metric);
        event_add(event, "METRICVALUE", "%s", e->value);
        event_add(event, "THRESHOLD", "%s", e->threshold);
        event_add(event, "GROUP", "%s", d->group);
        event_add(event, "CULPRIT", "%s", unit[0] ? unit : "unknown");
}

static void report_change(struct tuner *t, const struct decision *d, const struct change *c)
{
        enum event_kind kind = kind_of(d->kind, c->outcome);
        char from[SYSCTL_TEXT_MAX], to[SYSCTL_TEXT_MAX], why[384];
        struct evidence evidence;
        struct event event;

        if (kind == EVENT_KIND_COUNT)
                return;
        evidence_fill(t, d, &evidence);
        sentence(&t->config->rule[d->rule], d, c, &evidence, why, sizeof(why));
        sysctl_format(&c->before, from);
        sysctl_format(&c->value, to);
        if (c->outcome == OUTCOME_FOREIGN)
                event_begin(&event, kind, "%s is %s now: %s", sysctl_table[c->sysctl].name, to, why);
        else
                event_begin(&event, kind, "%s%s: %s -> %s: %s", prefix(c->outcome), sysctl_table[c->sysctl].name, from,
                            to, why);
        add_change(t, &event, c);
        add_evidence(t, &event, d, &evidence);
        t->backend->report(t->backend, &event);
}

static const char *rule_title(const struct rule *rule)
{
        return rule->description ? rule->description : rule->name;
}

/* What a person can do: where a rule has no lever, and where its levers did not help or may not be used. */
static void report_advice(struct tuner *t, const struct decision *d, const struct rule *rule)
{
        const char *unit = culprit(t, d), *what = rule_title(rule);
        struct evidence evidence;
        struct event event;

        evidence_fill(t, d, &evidence);
        if (rule->n_actions > 0)
                event_begin(&event, EVENT_ADVICE, "%s%s%s%s%s: no sysctl helps here: %s", what, toward(rule, d),
                            d->group, unit[0] ? ", " : "", unit, rule->advise);
        else
                event_begin(&event, EVENT_ADVICE, "%s: %s is %s (%s)%s%s%s%s: %s", what, evidence.metric,
                            evidence.value, evidence.threshold, toward(rule, d), d->group, unit[0] ? ", " : "", unit,
                            rule->advise);
        event_add(&event, "ADVICE", "%s", rule->advise);
        add_evidence(t, &event, d, &evidence);
        t->backend->report(t->backend, &event);
}

static void report_advice_over(struct tuner *t, const struct decision *d, const struct rule *rule)
{
        struct evidence evidence;
        struct event event;

        evidence_fill(t, d, &evidence);
        event_begin(&event, EVENT_RELEASED, "over: %s: %s is %s (%s)", rule_title(rule), evidence.metric,
                    evidence.value, evidence.threshold);
        add_evidence(t, &event, d, &evidence);
        t->backend->report(t->backend, &event);
}

/* Whether the levers of a rule came to nothing. */
static bool actions_failed(const struct decision *d)
{
        if (d->kind == DECISION_UNEXPECTED || d->kind == DECISION_ABORT)
                return true;
        for (unsigned i = 0; i < d->n; i++)
                if (d->kind == DECISION_ENTER && d->change[i].outcome == OUTCOME_REFUSED)
                        return true;
        return false;
}

void report_decision(struct tuner *t, const struct decision *d)
{
        const struct rule *rule = &t->config->rule[d->rule];

        for (unsigned i = 0; i < d->n; i++)
                report_change(t, d, &d->change[i]);
        if (rule->n_actions == 0 && d->kind != DECISION_ENTER)
                report_advice_over(t, d, rule);
        else if (rule->advise && (rule->n_actions == 0 || actions_failed(d)))
                report_advice(t, d, rule);
}

void report_restored(struct tuner *t, const struct change *c, const char *rule, const char *why)
{
        enum event_kind kind = kind_of(DECISION_RELEASE, c->outcome);
        const char *name = sysctl_table[c->sysctl].name;
        char from[SYSCTL_TEXT_MAX], to[SYSCTL_TEXT_MAX];
        struct event event;

        sysctl_format(&c->before, from);
        sysctl_format(&c->value, to);
        if (c->outcome == OUTCOME_FAILED && c->error == -EBUSY)
                event_begin(&event, kind, "%s stays %s for now, to be %s: %s", name, from, to, c->reason);
        else if (c->outcome == OUTCOME_FAILED)
                event_begin(&event, kind, "%s: %s; do it by hand: sysctl -w %s=\"%s\"", name, c->reason, name, to);
        else if (c->outcome == OUTCOME_FOREIGN)
                event_begin(&event, kind, "%s is %s now: someone else changed it: it is left alone", name, to);
        else
                event_begin(&event, kind, "%s: %s -> %s: %s", name, from, to, why);
        add_change(t, &event, c);
        event_add(&event, "RULE", "%s", rule);
        t->backend->report(t->backend, &event);
}

void report_left_alone(struct tuner *t, enum sysctl_id id, const char *why)
{
        const struct ledger_entry *entry = &t->ledger.entry[id];
        char original[SYSCTL_TEXT_MAX];
        struct event event;

        event_begin(&event, EVENT_OVERRIDDEN, "%s is left alone: %s", sysctl_table[id].name, why);
        event_add(&event, "SYSCTL", "%s", sysctl_table[id].name);
        event_add(&event, "ORIGINALVALUE", "%s", sysctl_format(&entry->original, original));
        event_add(&event, "RULE", "%s", entry->rule);
        event_add(&event, "RESULT", "%s", outcome_name(OUTCOME_FOREIGN));
        t->backend->report(t->backend, &event);
}

void report_paused(struct tuner *t, uint64_t ns, const char *why)
{
        char time[DURATION_TEXT_MAX] = "";
        struct event event;

        if (ns > 0)
                duration_format(ns, time);
        event_begin(&event, EVENT_DEGRADED, "paused%s%s, %s: nothing is written, and what is held stays",
                    ns > 0 ? " for " : " until it is resumed", time, why);
        event_add(&event, "RESULT", "paused");
        t->backend->report(t->backend, &event);
}

void report_resumed(struct tuner *t, const char *why)
{
        struct event event;

        event_begin(&event, EVENT_RECOVERED, "the pause ends: %s", why);
        event_add(&event, "RESULT", "resumed");
        t->backend->report(t->backend, &event);
}

void report_rearmed(struct tuner *t, enum sysctl_id id, const char *why)
{
        struct event event;

        event_begin(&event, EVENT_RECOVERED, "%s may be changed by rules again: %s", sysctl_table[id].name, why);
        event_add(&event, "SYSCTL", "%s", sysctl_table[id].name);
        event_add(&event, "RESULT", "rearmed");
        t->backend->report(t->backend, &event);
}

void report_ledger(struct tuner *t, int error)
{
        struct event event;

        if (t->ledger_dirty == (error < 0))
                return;
        if (error < 0) {
                event_begin(&event, EVENT_DEGRADED, "the ledger cannot be saved: %s; it is tried again",
                            strerror(-error));
                event_add(&event, "ERRNO", "%d", -error);
        } else {
                event_begin(&event, EVENT_RECOVERED, "the ledger is saved again");
        }
        t->backend->report(t->backend, &event);
}

void report_metrics_file(struct tuner *t, const char *path, bool failed, int error)
{
        struct event event;

        if (failed == (error < 0))
                return;
        if (error < 0) {
                event_begin(&event, EVENT_DEGRADED, "the metrics file %s cannot be written: %s; it is tried again",
                            path, strerror(-error));
                event_add(&event, "ERRNO", "%d", -error);
        } else {
                event_begin(&event, EVENT_RECOVERED, "the metrics file %s is written again", path);
        }
        t->backend->report(t->backend, &event);
}

void report_observation(struct tuner *t, int error, const char *what)
{
        bool logged = t->unread_error < 0;
        struct event event;

        t->unread = what;
        t->unread_error = error;
        if (logged == (error < 0))
                return;
        if (error < 0) {
                event_begin(&event, EVENT_DEGRADED, "cannot read %s: %s; nothing is decided on what it tells", what,
                            strerror(-error));
                event_add(&event, "ERRNO", "%d", -error);
        } else {
                event_begin(&event, EVENT_RECOVERED, "everything can be read again");
        }
        t->backend->report(t->backend, &event);
}

void report_config_loaded(struct tuner *t)
{
        char lacking[96] = "";
        struct event event;
        unsigned enabled = 0, unavailable = 0;

        t->config_is_new = false;
        for (unsigned i = 0; i < t->config->n_rules; i++) {
                enabled += !t->config->rule[i].disabled;
                unavailable += policy_is_unavailable(t->policy, i, &t->snapshot);
        }
        if (unavailable > 0)
                snprintf(lacking, sizeof(lacking), "; %u of them cannot act here: this kernel lacks what %s made of",
                         unavailable, unavailable == 1 ? "it is" : "they are");
        event_begin(&event, EVENT_CONFIG_LOADED, "%s %u rule%s every %g s%s",
                    t->config->observe ? "observing" : "enforcing", enabled, enabled == 1 ? "" : "s",
                    (double)t->config->interval_ns / 1e9, lacking);
        event_add(&event, "MODE", "%s", t->config->observe ? "observe" : "enforce");
        for (unsigned i = 0; i < t->config->n_rules; i++)
                if (policy_is_unavailable(t->policy, i, &t->snapshot))
                        event_add(&event, "UNAVAILABLE", "%s", t->config->rule[i].name);
        t->backend->report(t->backend, &event);
}

void report_config_rejected(struct backend *backend, const struct diagnostic *diagnostic, size_t count)
{
        bool lost = !diagnostic || !diagnostic->text; /* no memory for it */
        struct event event;

        event_begin(&event, EVENT_CONFIG_REJECTED, "%s:%u: %s%s; the running configuration stays",
                    lost ? "twtuned" : diagnostic->at.file, lost ? 0 : diagnostic->at.line,
                    lost ? "out of memory" : diagnostic->text, count > 1 ? " (and more; see twtuned --check)" : "");
        event_add(&event, "ERRORS", "%zu", count);
        backend->report(backend, &event);
}

/* ", looking every 4.0 s (cpu_budget)", when that is less often than the ticks. */
static void describe_cadence(const struct tuner *t, char *buf, size_t size)
{
        uint64_t every = t->snapshot.dump_every;

        buf[0] = 0;
        if (every > t->config->interval_ns)
                snprintf(buf, size, ", looking at the sockets every %.1f s at most (cpu_budget)", (double)every / 1e9);
}

/* The first advice that stands; NULL: none does. */
static const char *standing_advice(const struct tuner *t)
{
        for (unsigned i = 0; i < t->config->n_rules; i++)
                if (t->config->rule[i].n_actions == 0 && policy_is_active(t->policy, i))
                        return t->config->rule[i].name;
        return NULL;
}

static void describe_degraded(const struct tuner *t, unsigned held, char *buf, size_t size)
{
        char why[160];

        if (t->unread_error < 0)
                snprintf(why, sizeof(why), "cannot read %s: %s", t->unread, strerror(-t->unread_error));
        else if (t->write_error < 0)
                snprintf(why, sizeof(why), "cannot write sysctls: %s; observing only", strerror(-t->write_error));
        else if (t->ledger_dirty)
                snprintf(why, sizeof(why), "the ledger cannot be saved, so nothing more is changed");
        else
                snprintf(why, sizeof(why), "the new configuration has an error, the one before it goes on");
        if (held == 0)
                snprintf(buf, size, "degraded: %s", why);
        else
                snprintf(buf, size, "degraded: %s; %u sysctl%s changed", why, held, held == 1 ? "" : "s");
}

/* ", busiest DESTINATION at 63 %", of the ports that its load needs; bounds where they were enough for the rules. */
static void describe_ports(const struct tuner *t, char *buf, size_t size)
{
        const struct reading *first = &t->snapshot.reading[METRIC_PORTS_FIRST];
        const struct destination *busiest = first->state == READING_VALID ? ports_busiest(t->snapshot.ports) : NULL;
        char name[DESTINATION_NAME_MAX] = "";

        buf[0] = 0;
        if (busiest)
                snprintf(buf, size, ", busiest %s at %.0f %%", destination_name(busiest, name),
                         ports_value(busiest, METRIC_PORTS_DEMAND).lower);
        else if (first->state == READING_BOUNDED)
                snprintf(buf, size, ", no destination over %.0f %%",
                         ceil(t->snapshot.reading[METRIC_PORTS_DEMAND].upper));
}

static void describe(const struct tuner *t, unsigned held, const char *advice, char *buf, size_t size)
{
        char ports[DESTINATION_NAME_MAX + 40], cadence[80];

        describe_ports(t, ports, sizeof(ports));
        describe_cadence(t, cadence, sizeof(cadence));
        if (tuner_is_degraded(t))
                describe_degraded(t, held, buf, size);
        else if (t->paused_until > 0)
                snprintf(buf, size, "paused: nothing is written, %u sysctl%s held%s", held, held == 1 ? "" : "s",
                         cadence);
        else if (held > 0)
                snprintf(buf, size, "acting: %u sysctl%s changed%s%s", held, held == 1 ? "" : "s", ports, cadence);
        else if (advice)
                snprintf(buf, size, "advice: %s, see the log%s", advice, cadence);
        else
                snprintf(buf, size, "healthy%s%s", t->config->observe ? ", observing only" : "", cadence);
}

/* While nothing is held or wrong, the sentence stays as it was: that is known without formatting it. */
static bool status_stands(struct tuner *t, bool is_plain)
{
        bool stands = is_plain && t->status_is_plain && t->status[0] && t->snapshot.dump_every == t->status_every;

        t->status_is_plain = is_plain;
        t->status_every = t->snapshot.dump_every;
        return stands;
}

void report_status(struct tuner *t)
{
        char status[sizeof(t->status)], message[sizeof(t->status) + 64];
        const char *advice = standing_advice(t);
        unsigned held = 0;

        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                held += policy_holds(t->policy, id);
        if (status_stands(t, held == 0 && !advice && !tuner_is_degraded(t) && t->paused_until == 0))
                return;
        describe(t, held, advice, status, sizeof(status));
        if (strcmp(status, t->status) == 0)
                return;
        strcpy(t->status, status);
        snprintf(message, sizeof(message), "READY=1\nSTATUS=%s", status);
        t->backend->notify(t->backend, message);
}
