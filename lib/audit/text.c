/* SPDX-License-Identifier: MIT */
#include "lib/audit/text.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "lib/audit/advice.h"
#include "lib/util/units.h"

static const char message_field[] = "MESSAGE"; /* of every record */

#define message(t, ...) audit_text_add(t, message_field, __VA_ARGS__)

static void add_error(struct audit_text *t, int error)
{
        if (error < 0)
                audit_text_add(t, "ERRNO", "%d", -error);
}

/* ---- decisions ---- */

/* The word between the evidence and the destination (SOURCE->ADDRESS:PORT), or the listener (ADDRESS:PORT). */
static const char *toward(const char *destination)
{
        if (destination[0] == 0)
                return "";
        return strstr(destination, "->") ? " toward " : " at ";
}

struct evidence_text {
        char metric[80], value[32], threshold[NUMBER_TEXT_MAX + 8];
        char whose[DESTINATION_NAME_MAX + SNAPSHOT_CULPRIT_MAX + 16]; /* " toward DESTINATION, UNIT", " at LISTENER",
                                                                         " of UNIT", or "" */
};

static struct evidence_text evidence_of(const struct audit_record *r)
{
        const struct evidence *e = &r->decision->evidence;
        struct evidence_text text = {0};
        const char *unit, *before_unit = e->destination[0] ? ", " : " of ";
        bool is_computed = r->decision->kind == DECISION_ABORT; /* the threshold is a multiple of a mean */
        char number[NUMBER_TEXT_MAX];

        snprintf(text.whose, sizeof(text.whose), "%s%s%s%s", toward(e->destination), e->destination,
                 r->culprit[0] ? before_unit : "", r->culprit);
        if (e->metric == RULE_NONE)
                return text;
        unit = unit_suffix(metric_unit(e->metric, r->counters));
        snprintf(text.metric, sizeof(text.metric), "%s", metric_name(e->metric, r->counters));
        snprintf(text.value, sizeof(text.value), "%.*f%s", *unit ? 1 : 0, e->value, unit);
        number_format(is_computed ? round(10 * e->threshold) / 10 : e->threshold, number);
        snprintf(text.threshold, sizeof(text.threshold), "%s %s%s", comparison_text(e->op), number, unit);
        return text;
}

/* Adds a caveat to a change that was made. */
static void add_caveat(const struct audit_record *r, char *buf, size_t size)
{
        size_t n = strlen(buf);

        if (r->change->outcome == OUTCOME_KEPT)
                snprintf(buf + n, size - n, ", and the value is kept");
        else if (r->change->outcome == OUTCOME_APPLIED && r->decision->unwatched)
                snprintf(buf + n, size - n,
                         "; this change is not watched for harm: %s is unknown for the minute before",
                         r->decision->unwatched);
}

#define LEFT_ALONE "another program changed it, so twtuned leaves it alone"

/* Writes the reason, which ends the message. */
static void reason(const struct audit_record *r, const struct evidence_text *e, char *buf, size_t size)
{
        const struct decision *d = r->decision;
        enum outcome outcome = r->change->outcome;
        const char *of = e->whose;

        if (outcome == OUTCOME_LIMITED || outcome == OUTCOME_REFUSED || outcome == OUTCOME_FAILED ||
            outcome == OUTCOME_YIELDED)
                snprintf(buf, size, "%s%s%s", r->change->reason, of[0] ? "; the pressure is" : "", of);
        else if (outcome == OUTCOME_FOREIGN)
                snprintf(buf, size, LEFT_ALONE);
        else if (d->kind == DECISION_UNEXPECTED)
                snprintf(buf, size, "%s should be %s by now and is %s%s", e->metric, e->threshold, e->value, of);
        else if (d->kind == DECISION_GIVE_WAY)
                snprintf(buf, size, "a service listens on port %u now", d->port);
        else if (d->kind == DECISION_SUPERSEDED)
                snprintf(buf, size, "a rule of the administrator decides on it now");
        else if (d->kind == DECISION_ABORT)
                snprintf(buf, size, "after the change %s rose to %s (%s)%s", e->metric, e->value, e->threshold, of);
        else
                snprintf(buf, size, "%s is %s (%s)%s", e->metric, e->value, e->threshold, of);
        add_caveat(r, buf, size);
}

/* The beginning of the message of a change that was not made: without it, the change would seem to be made. */
static const char *const not_made[OUTCOME_COUNT] = {
        [OUTCOME_WOULD] = "would set ",  [OUTCOME_LIMITED] = "not now: ", [OUTCOME_YIELDED] = "not set: ",
        [OUTCOME_REFUSED] = "not set: ", [OUTCOME_FAILED] = "not set: ",
};

/* Writes where a restored value comes from, as a part of a sentence: ", which FILE:LINE sets now", or "; REASON" if it
 * is the original although sysctl.d sets another value, else "". */
static void source_of(const struct change *c, char *buf, size_t size)
{
        buf[0] = 0;
        if (c->outcome == OUTCOME_RESTORED && c->reason[0])
                snprintf(buf, size, c->from_file ? ", which %s sets now" : "; %s", c->reason);
}

/* Adds the values before and after. If the change was refused, NEWVALUE is the value that was wanted. */
static void add_change(struct audit_text *t, const struct change *c)
{
        char value[SYSCTL_TEXT_MAX];

        audit_text_add(t, "SYSCTL", "%s", sysctl_table[c->sysctl].name);
        audit_text_add(t, "OLDVALUE", "%s", sysctl_format(&c->before, value));
        audit_text_add(t, "NEWVALUE", "%s", sysctl_format(&c->value, value));
        audit_text_add(t, "ORIGINALVALUE", "%s", sysctl_format(&c->original, value));
        audit_text_add(t, "RESULT", "%s", outcome_name(c->outcome));
        if (c->outcome == OUTCOME_RESTORED)
                audit_text_add(t, "VALUEFROM", "%s", c->from_file ? c->reason : "original");
        if (c->outcome == OUTCOME_FAILED)
                add_error(t, c->error);
}

static void add_evidence(struct audit_text *t, const struct audit_record *r, const struct evidence_text *e)
{
        audit_text_add(t, "RULE", "%s", r->rule->name);
        audit_text_add(t, "METRIC", "%s", e->metric);
        audit_text_add(t, "METRICVALUE", "%s", e->value);
        audit_text_add(t, "THRESHOLD", "%s", e->threshold);
        audit_text_add(t, "GROUP", "%s", r->decision->evidence.destination);
        audit_text_add(t, "CULPRIT", "%s", r->culprit[0] ? r->culprit : "unknown");
}

static void make_change(struct audit_text *t, const struct audit_record *r)
{
        const struct change *c = r->change;
        const char *name = sysctl_table[c->sysctl].name;
        struct evidence_text e = evidence_of(r);
        char from[SYSCTL_TEXT_MAX], to[SYSCTL_TEXT_MAX], why[384 + sizeof(e.whose) + 16], source[400];

        reason(r, &e, why, sizeof(why));
        source_of(c, source, sizeof(source));
        sysctl_format(&c->before, from);
        sysctl_format(&c->value, to);
        if (c->outcome == OUTCOME_FOREIGN)
                message(t, "%s is %s now: %s", name, to, why);
        else
                message(t, "%s%s: %s -> %s%s: %s", not_made[c->outcome] ? not_made[c->outcome] : "", name, from, to,
                        source, why);
        add_change(t, c);
        add_evidence(t, r, &e);
}

static const char *title(const struct rule *rule)
{
        return rule->description ? rule->description : rule->name;
}

static void make_advice(struct audit_text *t, const struct audit_record *r)
{
        const struct rule *rule = r->rule;
        struct evidence_text e = evidence_of(r);
        char advice[ADVICE_TEXT_MAX];

        advice_text(rule, r->decision->evidence.destination, r->culprit, advice);
        if (rule->n_actions > 0)
                message(t, "%s%s: no sysctl helps here: %s", title(rule), e.whose, advice);
        else
                message(t, "%s: %s is %s (%s)%s: %s", title(rule), e.metric, e.value, e.threshold, e.whose, advice);
        add_evidence(t, r, &e);
        audit_text_add(t, "ADVICE", "%s", advice);
}

static void make_advice_over(struct audit_text *t, const struct audit_record *r)
{
        struct evidence_text e = evidence_of(r);

        message(t, "over: %s: %s is %s (%s)%s", title(r->rule), e.metric, e.value, e.threshold, e.whose);
        add_evidence(t, r, &e);
}

static void make_effect(struct audit_text *t, const struct audit_record *r)
{
        struct evidence_text e = evidence_of(r);

        message(t, "rule %s helps: %s is %s (%s)%s", r->rule->name, e.metric, e.value, e.threshold, e.whose);
        add_evidence(t, r, &e);
}

/* ---- without a decision ---- */

static void add_requester(struct audit_text *t, const struct audit_record *r)
{
        if (r->requested_by)
                audit_text_add(t, "REQUESTER", "%s", r->requested_by);
}

static void make_restore(struct audit_text *t, const struct audit_record *r)
{
        const struct change *c = r->change;
        const char *name = sysctl_table[c->sysctl].name;
        char from[SYSCTL_TEXT_MAX], to[SYSCTL_TEXT_MAX], source[400];

        source_of(c, source, sizeof(source));
        sysctl_format(&c->before, from);
        sysctl_format(&c->value, to);
        if (c->outcome == OUTCOME_FAILED && c->too_full)
                message(t, "%s is still %s, and cannot become %s yet: %s", name, from, to, c->reason);
        else if (c->outcome == OUTCOME_FAILED)
                message(t, "%s: %s; restore it by hand: sysctl -w %s=\"%s\"", name, c->reason, name, to);
        else if (c->outcome == OUTCOME_FOREIGN)
                message(t, "%s is %s now: " LEFT_ALONE, name, to);
        else
                message(t, "%s: %s -> %s%s: %s", name, from, to, source, r->why);
        add_change(t, c);
        audit_text_add(t, "RULE", "%s", r->rule_name);
        add_requester(t, r);
}

static void make_foreign(struct audit_text *t, const struct audit_record *r)
{
        char original[SYSCTL_TEXT_MAX];

        message(t, "%s is left alone: %s", sysctl_table[r->sysctl].name, r->why);
        audit_text_add(t, "SYSCTL", "%s", sysctl_table[r->sysctl].name);
        audit_text_add(t, "ORIGINALVALUE", "%s", sysctl_format(r->original, original));
        audit_text_add(t, "RULE", "%s", r->rule_name);
        audit_text_add(t, "RESULT", "%s", outcome_name(OUTCOME_FOREIGN));
        add_requester(t, r);
}

static void make_left(struct audit_text *t, const struct audit_record *r)
{
        const char *name = sysctl_table[r->sysctl].name;
        char live[SYSCTL_TEXT_MAX], original[SYSCTL_TEXT_MAX];

        sysctl_format(r->original, original);
        message(t,
                "%s is still %s, as an earlier twtuned set it (rule %s; it was %s): observe mode writes nothing; to "
                "put it back, stop twtuned and run: twtuned --restore",
                name, sysctl_format(r->live, live), r->rule_name, original);
        audit_text_add(t, "SYSCTL", "%s", name);
        audit_text_add(t, "ORIGINALVALUE", "%s", original);
        audit_text_add(t, "RULE", "%s", r->rule_name);
}

static void make_pause(struct audit_text *t, const struct audit_record *r)
{
        char time[DURATION_TEXT_MAX] = "";

        if (r->ns > 0)
                duration_format(r->ns, time);
        message(t, "paused%s%s, %s: no sysctl is written, and changed ones stay as they are",
                r->ns > 0 ? " for " : " until resumed", time, r->why);
        audit_text_add(t, "RESULT", "paused");
        add_requester(t, r);
}

static void make_rearm(struct audit_text *t, const struct audit_record *r)
{
        message(t, "%s may be changed by rules again: %s", sysctl_table[r->sysctl].name, r->why);
        audit_text_add(t, "SYSCTL", "%s", sysctl_table[r->sysctl].name);
        audit_text_add(t, "RESULT", "rearmed");
        add_requester(t, r);
}

static void make_config(struct audit_text *t, const struct audit_record *r)
{
        const struct config *config = r->config;
        unsigned enabled = 0;
        char names[512] = "";
        size_t n = 0;

        for (unsigned i = 0; i < config->n_rules; i++) {
                enabled += !config->rule[i].disabled;
                if (r->unavailable >> i & 1 && n < sizeof(names))
                        n += (size_t)snprintf(
                                names + n, sizeof(names) - n, "%s%s",
                                n > 0 ? ", " : "; unavailable in this network namespace: ", config->rule[i].name);
        }
        message(t, "%s %u rule%s every %g s%s", config->observe ? "observing" : "enforcing", enabled,
                enabled == 1 ? "" : "s", (double)config->interval_ns / 1e9, names);
        audit_text_add(t, "MODE", "%s", config->observe ? "observe" : "enforce");
        for (unsigned i = 0; i < config->n_rules; i++)
                if (r->unavailable >> i & 1)
                        audit_text_add(t, "UNAVAILABLE", "%s", config->rule[i].name);
}

static void make_config_file(struct audit_text *t, const struct audit_record *r)
{
        message(t, "%s:%u: %s%s; keeping the current configuration", r->name, r->line, r->why,
                r->count > 1 ? " (for all errors: twtuned --check)" : "");
        audit_text_add(t, "ERRORS", "%zu", r->count);
}

static void make_line(struct audit_text *t, const struct audit_record *r)
{
        message(t, "%s:%u: %s = %s is harmful: %s", r->name, r->line, r->sysctl_name, r->value, r->why);
        audit_text_add(t, "SYSCTL", "%s", r->sysctl_name);
        audit_text_add(t, "FILE", "%s", r->name);
        audit_text_add(t, "LINE", "%u", r->line);
        audit_text_add(t, "RULE", "%s", r->rule_name);
}

static const char *permission_hint(int error)
{
        if (error == -EROFS)
                return "; it is mounted read-only";
        return error == -EACCES || error == -EPERM ? "; CAP_NET_ADMIN is missing" : "";
}

static const struct {
        const char *failed, *consequence, *works; /* "cannot FAILED NAME: ERROR; CONSEQUENCE" */
} states[] = {
        [SUBJECT_LEDGER] = {"save the ledger", "retrying", "the ledger is saved again"},
        [SUBJECT_METRICS_FILE] = {"write the metrics file ", "retrying", "the metrics file is written again"},
        [SUBJECT_OBSERVATION] = {"read ", "decisions that need it wait", "everything can be read again"},
        [SUBJECT_TICKS] = {NULL, NULL, "ticks are on time again"},
        [SUBJECT_PERMISSION] = {"write /proc/sys/net/ipv4", "observing only", NULL},
        [SUBJECT_BUS] = {"reach the system bus", "twtunectl fails until it is back", "the system bus is back"},
        [SUBJECT_RECORDING] = {"write the recording ", "it ends here", NULL},
};

/* A part of twtuned fails, or works again. */
static void make_state(struct audit_text *t, const struct audit_record *r)
{
        const char *hint = r->subject == SUBJECT_PERMISSION ? permission_hint(r->error) : "";

        if (r->subject == SUBJECT_TICKS && r->error < 0)
                message(t,
                        "no tick for %.1f s: twtuned got no CPU time, or the machine was suspended; this time "
                        "counts for no condition",
                        (double)r->ns / 1e9);
        else if (r->error < 0)
                message(t, "cannot %s%s: %s%s; %s", states[r->subject].failed, r->name ? r->name : "",
                        strerror(-r->error), hint, states[r->subject].consequence);
        else
                message(t, "%s", states[r->subject].works);
        if (r->subject != SUBJECT_BUS && r->subject != SUBJECT_TICKS)
                add_error(t, r->error);
}

static void make_resume(struct audit_text *t, const struct audit_record *r)
{
        message(t, "the pause ends: %s", r->why);
        audit_text_add(t, "RESULT", "resumed");
        add_requester(t, r);
}

void audit_text_make(struct audit_text *t, const struct audit_record *r)
{
        static void (*const make[])(struct audit_text * t, const struct audit_record *r) = {
                [SUBJECT_CHANGE] = make_change,
                [SUBJECT_EFFECT] = make_effect,
                [SUBJECT_RESTORE] = make_restore,
                [SUBJECT_RELEASE] = make_restore,
                [SUBJECT_ORPHAN] = make_restore,
                [SUBJECT_HAND] = make_restore,
                [SUBJECT_FOREIGN] = make_foreign,
                [SUBJECT_LEFT] = make_left,
                [SUBJECT_ADVICE] = make_advice,
                [SUBJECT_ADVICE_OVER] = make_advice_over,
                [SUBJECT_PAUSE] = make_pause,
                [SUBJECT_RESUME] = make_resume,
                [SUBJECT_REARM] = make_rearm,
                [SUBJECT_CONFIG] = make_config,
                [SUBJECT_CONFIG_FILE] = make_config_file,
                [SUBJECT_LINE] = make_line,
                [SUBJECT_LEDGER] = make_state,
                [SUBJECT_METRICS_FILE] = make_state,
                [SUBJECT_OBSERVATION] = make_state,
                [SUBJECT_TICKS] = make_state,
                [SUBJECT_PERMISSION] = make_state,
                [SUBJECT_BUS] = make_state,
                [SUBJECT_RECORDING] = make_state,
        };

        t->kind = r->kind;
        t->n = t->used = 0;
        make[r->subject](t, r);
}
