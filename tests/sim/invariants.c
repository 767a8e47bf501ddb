/* SPDX-License-Identifier: MIT */
#include "invariants.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/util/macro.h"

#define HOUR_NS (3600 * NSEC_PER_SEC)
#define REFIRE_NS (600 * NSEC_PER_SEC) /* a rule that comes back within that is held for twice as long */
#define HAND_NS (600 * NSEC_PER_SEC)   /* what someone set while no rule held it is not changed for so long */
#define QUIET_NS (60 * NSEC_PER_SEC)   /* a rule without until */
#define NOISE 0.2
#define FEW 10
#define TABLE_NOISE 0.02 /* TIME_WAIT ends in lumps of what a second or two began, here as in the kernel */
#define TRANSIENT_NS (900 * NSEC_PER_SEC) /* after that a constant load has filled whatever it fills */

static _Noreturn void broken(const struct invariants *inv, const struct sim *s, const char *format, ...)
        _printf_(3, 4);

static _Noreturn void broken(const struct invariants *inv, const struct sim *s, const char *format, ...)
{
        va_list args;

        for (unsigned i = inv->n_shown > EVENTS_SHOWN ? inv->n_shown - EVENTS_SHOWN : 0; i < inv->n_shown; i++)
                fprintf(stderr, "# %s\n", inv->shown[i % EVENTS_SHOWN]);
        fprintf(stderr, "# %s: tick %u, at %.3f s: ", inv->run, s->ticks, (double)sim_now(s) / 1e9);
        va_start(args, format);
        vfprintf(stderr, format, args);
        va_end(args);
        fputc('\n', stderr);
        abort();
}

/* Remembers what happened, for the person who has to understand it. */
static void show(struct invariants *inv, const struct sim *s, const char *format, ...) _printf_(3, 4);

static void show(struct invariants *inv, const struct sim *s, const char *format, ...)
{
        char *line = inv->shown[inv->n_shown++ % EVENTS_SHOWN];
        int n = snprintf(line, sizeof(inv->shown[0]), "%.3f s: ", (double)sim_now(s) / 1e9);
        va_list args;

        va_start(args, format);
        vsnprintf(line + n, sizeof(inv->shown[0]) - (size_t)n, format, args);
        va_end(args);
}

static const char *name_of(enum sysctl_id id)
{
        return sysctl_table[id].name;
}

/* ---- writes ---- */

static const struct ledger_entry *entry_of(const struct sim *s, enum sysctl_id id)
{
        return &s->file.entry[id];
}

/* Kept apart from the daemon's, and over its crashes. */
static void take_token(const struct invariants *inv, const struct sim *s, struct bucket *bucket)
{
        double size = s->tuner.config->changes_per_minute;
        double gained = (double)(sim_now(s) - bucket->filled_at) / 60e9 * size;

        bucket->tokens = MIN(bucket->tokens + gained, size) - 1;
        bucket->filled_at = sim_now(s);
        if (bucket->tokens < -1e-6)
                broken(inv, s, "more than %g changes_per_minute", size);
}

static void check_change(struct invariants *inv, const struct sim *s, enum sysctl_id id,
                         const struct sysctl_value *value)
{
        const struct watched_sysctl *w = &inv->sysctl[id];
        char reason[192];

        if (s->tuner.config->observe)
                broken(inv, s, "%s is changed in observe mode", name_of(id));
        if (sysctl_check(id, value, reason, sizeof(reason)) < 0 ||
            sysctl_check_bounds(id, value, &s->tuner.config->bounds[id], reason, sizeof(reason)) < 0)
                broken(inv, s, "out of bounds: %s", reason);
        if (sysctl_check_step(id, &s->kernel.sysctl[id], value, reason, sizeof(reason)) < 0)
                broken(inv, s, "in the wrong direction: %s", reason);
        if (sysctl_equal(&s->kernel.sysctl[id], &entry_of(s, id)->original) && w->seen.n > 0 &&
            !sysctl_equal(&s->kernel.sysctl[id], &w->seen))
                broken(inv, s, "%s is written over, and it is not said that someone set it", name_of(id));
        if (w->noted_at != 0 && sim_now(s) - w->noted_at < HAND_NS)
                broken(inv, s, "%s is written over too soon after someone set it", name_of(id));
        /* A process that dies while nothing can be read or saved takes what it did with it. */
        if (inv->faulty_at >= w->changed_at && inv->died_at >= w->changed_at)
                return;
        if (w->changed_at != 0 && sim_now(s) - w->changed_at < s->tuner.config->min_interval_ns)
                broken(inv, s, "%s is changed again within min_interval", name_of(id));
}

/* A smaller table throws away what comes while it is over full: it is given back when the need fits. */
static void check_restore(struct invariants *inv, const struct sim *s, enum sysctl_id id,
                          const struct sysctl_value *value)
{
        /* At the end, in reverse: the last write first. */
        for (unsigned other = 0; other < SYSCTL_COUNT && s->stopping && !inv->may_fail; other++)
                if (entry_of(s, other)->state == LEDGER_HELD && entry_of(s, other)->at > entry_of(s, id)->at)
                        broken(inv, s, "%s is put back before %s", name_of(id), name_of(other));
        if (s->tuner.config->observe && s->in_tick)
                broken(inv, s, "%s is put back by a tick in observe mode", name_of(id));
        if (id == SYSCTL_TCP_MAX_TW_BUCKETS && s->in_tick && kernel_tw(&s->kernel) > (uint64_t)value->v[0])
                inv->table_lowered_at = sim_now(s);
}

/* A step whose write failed, or could not be verified. */
static bool takes_back(const struct invariants *inv, const struct sim *s, enum sysctl_id id,
                       const struct sysctl_value *value)
{
        for (unsigned i = 0; i < inv->n_unaccounted; i++)
                if (inv->unaccounted[i].id == id && sysctl_equal(&inv->unaccounted[i].from, value))
                        return true;
        return sysctl_equal(&s->kernel.sysctl[id], value);
}

void invariants_before_write(struct invariants *inv, struct sim *s, enum sysctl_id id,
                             const struct sysctl_value *value)
{
        const struct ledger_entry *entry = entry_of(s, id);
        const struct watched_sysctl *w = &inv->sysctl[id];

        if (entry->state != LEDGER_HELD)
                broken(inv, s, "%s is written, and the ledger does not hold it", name_of(id));
        if (!sysctl_equal(&entry->original, &w->foreign))
                broken(inv, s, "the ledger's original of %s is not what was there before twtuned", name_of(id));
        if (w->logged || w->overridden)
                broken(inv, s, "%s is someone else's, and is written over", name_of(id));
        if (inv->may_fail && takes_back(inv, s, id, value))
                return;
        if (sysctl_equal(value, &entry->original))
                check_restore(inv, s, id, value);
        else
                check_change(inv, s, id, value);
}

static uint64_t release_ns(const struct rule *rule)
{
        uint64_t longest = rule->n_until > 0 ? 0 : QUIET_NS;

        for (unsigned k = 0; k < rule->n_until; k++)
                longest = MAX(longest, rule->until[k].time_ns);
        return longest;
}

static bool rule_sets(const struct rule *rule, enum sysctl_id id)
{
        for (unsigned k = 0; k < rule->n_actions; k++)
                if (rule->action[k].sysctl == id)
                        return !rule->disabled;
        return false;
}

/* The least seconds from the first of n entries of a rule to its last release, if someone times the load so that
 * it costs most: each entry within 10 min of a release doubles the release time, each later one starts anew. */
static unsigned most_entries(uint64_t release, uint64_t within)
{
        uint64_t least[64] = {0};

        for (unsigned n = 1; n < ELEMENTSOF(least); n++) {
                least[n] = UINT64_MAX;
                for (unsigned k = 1; k <= n && k < 20; k++) {
                        uint64_t run = MAX(release, NSEC_PER_SEC) * ((UINT64_C(1) << k) - 1);

                        least[n] = MIN(least[n], run + (n > k ? REFIRE_NS + least[n - k] : 0));
                }
                if (least[n] > within)
                        return n;
        }
        return ELEMENTSOF(least);
}

/* How many steps it takes from the least to the most that is ever written. */
static unsigned steps_of(const struct rule *rule, enum sysctl_id id)
{
        const struct sysctl_bounds *bounds = &sysctl_table[id].bounds;
        unsigned steps = 1;

        for (unsigned k = 0; k < rule->n_actions; k++)
                if (rule->action[k].sysctl == id && rule->action[k].kind != ACTION_SET)
                        for (double size = (double)MAX(bounds->min, 1); size < (double)bounds->max; steps++)
                                size *= rule->action[k].factor;
        return steps;
}

/* No sysctl changes more often in an hour than the release times of its rules allow. */
static void check_hour(struct invariants *inv, const struct sim *s, enum sysctl_id id)
{
        struct watched_sysctl *w = &inv->sysctl[id];
        const struct config *config = s->tuner.config;
        unsigned most = 0;

        for (unsigned i = 0; i < config->n_rules; i++)
                if (rule_sets(&config->rule[i], id))
                        most += (1 + steps_of(&config->rule[i], id)) *
                                (most_entries(release_ns(&config->rule[i]), HOUR_NS) + 1);
        if (!inv->steady) { /* whoever else interferes makes it change as often as they like */
                w->changes = 0;
                return;
        }
        w->change[w->changes++ % CHANGES_MAX] = sim_now(s);
        if (most == 0 || most >= CHANGES_MAX || w->changes <= most)
                return;
        if (sim_now(s) - w->change[(w->changes - 1 - most) % CHANGES_MAX] < HOUR_NS)
                broken(inv, s, "%s changes more than %u times in an hour", name_of(id), most);
}

void invariants_write(struct invariants *inv, struct sim *s, enum sysctl_id id, const struct sysctl_value *value)
{
        struct watched_sysctl *w = &inv->sysctl[id];

        if (inv->n_unaccounted == ELEMENTSOF(inv->unaccounted))
                broken(inv, s, "too many writes in one tick");
        inv->unaccounted[inv->n_unaccounted++] =
                (struct watched_write){id, s->kernel.sysctl[id], *value, w->changed_at};
        check_hour(inv, s, id);
        w->ours = w->seen = *value;
        /* What is given back may be taken again at once. */
        if (!sysctl_equal(value, &entry_of(s, id)->original))
                w->changed_at = sim_now(s);
}

/* ---- events ---- */

static void account(struct invariants *inv, unsigned i)
{
        inv->unaccounted[i] = inv->unaccounted[--inv->n_unaccounted];
}

/* The event of a change that was made, and the write that it tells of. */
static void account_change(struct invariants *inv, const struct sim *s, enum sysctl_id id,
                           const struct audit_text *event)
{
        struct sysctl_value from, to;

        if (sysctl_parse(id, sim_event_field(event, "OLDVALUE"), &from) < 0 ||
            sysctl_parse(id, sim_event_field(event, "NEWVALUE"), &to) < 0)
                broken(inv, s, "an event without OLDVALUE and NEWVALUE");
        if (!sysctl_equal(&s->kernel.sysctl[id], &to))
                broken(inv, s, "%s is not what the event says", name_of(id));
        inv->sysctl[id].settled = to;
        for (unsigned i = 0; i < inv->n_unaccounted; i++) {
                const struct watched_write *w = &inv->unaccounted[i];

                if (w->id == id && sysctl_equal(&w->from, &from) && sysctl_equal(&w->to, &to)) {
                        account(inv, i);
                        return;
                }
        }
        /* After a failure that left it unknown what is there, the original may be back already. */
        if (!inv->may_fail)
                broken(inv, s, "an event without its write");
}

static struct watched_rule *find_rule(struct invariants *inv, const struct sim *s, const char *name)
{
        for (unsigned i = 0; i < inv->n_rules; i++)
                if (strcmp(inv->rule[i].name, name) == 0)
                        return &inv->rule[i];
        if (inv->n_rules == RULES_MAX)
                broken(inv, s, "too many rules");
        snprintf(inv->rule[inv->n_rules].name, RULE_NAME_MAX, "%s", name);
        return &inv->rule[inv->n_rules++];
}

static const struct rule *configured(const struct sim *s, const char *name)
{
        for (unsigned i = 0; i < s->tuner.config->n_rules; i++)
                if (strcmp(s->tuner.config->rule[i].name, name) == 0)
                        return &s->tuner.config->rule[i];
        return NULL;
}

/* What does not help, and could not be put back yet. */
static void rule_stuck(struct invariants *inv, const struct sim *s, const struct audit_text *event)
{
        struct watched_rule *rule = find_rule(inv, s, sim_event_field(event, "RULE"));
        const struct rule *config = configured(s, rule->name);
        const char *metric;

        if (!config || !config->has_expect)
                return;
        metric = metric_name(config->expect.metric, &s->tuner.config->counters);
        if (strcmp(sim_event_field(event, "METRIC"), metric) != 0)
                return;
        rule->stuck = true;
}

/* What failed and was taken back is no change. */
static void account_failure(struct invariants *inv, const struct sim *s, enum sysctl_id id,
                            const struct audit_text *event)
{
        rule_stuck(inv, s, event);
        inv->sysctl[id].settled = s->kernel.sysctl[id];
        inv->sysctl[id].seen.n = 0;
        for (unsigned i = inv->n_unaccounted; i-- > 0;)
                if (inv->unaccounted[i].id == id) {
                        inv->sysctl[id].changed_at = inv->unaccounted[i].changed_before;
                        account(inv, i);
                }
}

static bool is_shared(const struct sim *s, enum sysctl_id id)
{
        unsigned n = 0;

        for (unsigned i = 0; i < s->tuner.config->n_rules; i++)
                n += rule_sets(&s->tuner.config->rule[i], id);
        return n > 1;
}

/* True if the value differs from its threshold by more than the noise of a few ports. */
static bool stands_off(double value, double number)
{
        return value < number * (1 - NOISE) || value > number * (1 + NOISE) + (number <= 0 ? FEW : 0);
}

/* True if no value for which the rule entered or left is near its threshold; the event names only one of them. */
static bool is_clear(const struct sim *s, const struct audit_text *event)
{
        double value = strtod(sim_event_field(event, "METRICVALUE"), NULL);
        const char *threshold = sim_event_field(event, "THRESHOLD");
        double number = strtod(threshold + strcspn(threshold, "0123456789"), NULL);
        const struct rule *rule = configured(s, sim_event_field(event, "RULE"));
        bool enters = event->kind == AUDIT_APPLIED || event->kind == AUDIT_ADVICE;

        for (unsigned k = 0; rule && enters && k < rule->n_when; k++) {
                const struct condition *c = &rule->when[k];

                if (!metric_is_ports(c->metric) && !stands_off(s->tuner.snapshot.reading[c->metric].value, c->number))
                        return false;
        }
        return stands_off(value, number);
}

/* True if the rule, or one that it stands on, did not help under this load: that is tried again, and the rule with
 * it. */
static bool has_failed(const struct invariants *inv, const struct sim *s, const char *name)
{
        const struct rule *rule = configured(s, name);

        for (unsigned i = 0; i < inv->n_rules; i++)
                if (strcmp(inv->rule[i].name, name) == 0 &&
                    (inv->rule[i].failed || inv->rule[i].failed_at > inv->calm_at))
                        return true;
        return rule && rule->after != RULE_NONE && has_failed(inv, s, s->tuner.config->rule[rule->after].name);
}

/* A rule without `until` has no second threshold: a value that is near the only one ends and renews it, less often
 * each time. Of a few dozen ports that a program binds at random, more or fewer are of one parity, so that a load
 * in between comes near both thresholds, but not within minutes. */
static bool may_return(const struct invariants *inv, const struct sim *s, const struct watched_rule *rule,
                       const struct audit_text *event)
{
        bool drifts = !rule->left_clear && sim_now(s) - rule->released_at > REFIRE_NS;

        return has_failed(inv, s, rule->name) ||
               ((configured(s, rule->name)->n_until == 0 || drifts) && !is_clear(s, event));
}

static void rule_entered(struct invariants *inv, const struct sim *s, struct watched_rule *rule,
                         const struct audit_text *event, bool shared)
{
        uint64_t now = sim_now(s);

        if (rule->entered_at != 0) /* another of its sysctls, or another step */
                return;
        if (rule->entered_before <= inv->calm_at || has_failed(inv, s, rule->name))
                inv->moved_at = now;
        if (inv->steady && rule->entered_before > inv->calm_at && inv->refused == s->kernel.refused &&
            !may_return(inv, s, rule, event))
                broken(inv, s, "%s flaps under a constant load", rule->name);
        if (rule->failed && (!rule->failed_for[0] || strcmp(rule->failed_for, sim_event_field(event, "GROUP")) == 0) &&
            now - rule->released_at < configured(s, rule->name)->retry_ns)
                broken(inv, s, "%s is tried again too soon", rule->name);
        if (rule->released_at != 0 && now - rule->released_at < REFIRE_NS)
                rule->factor = shared ? 1 : MIN(rule->factor * 2, 1u << 16);
        else
                rule->factor = 1;
        rule->entered_at = now;
        rule->failed = rule->stuck = false;
}

static void rule_left(struct invariants *inv, const struct sim *s, struct watched_rule *rule,
                      const struct audit_text *event, bool failed)
{
        const struct rule *config = configured(s, rule->name);
        uint64_t now = sim_now(s), release = config ? release_ns(config) : 0;
        uint64_t least = MIN(release * MAX(rule->factor, 1u), MAX(release, HOUR_NS));
        bool no_help = event->kind == AUDIT_UNEXPECTED_EFFECT || event->kind == AUDIT_ABORTED;
        enum sysctl_id id = sysctl_find(sim_event_field(event, "SYSCTL"));

        /* Of several sysctls one can fail and come back while the others stay. */
        if (inv->may_fail && config && config->n_actions > 1)
                least = 0;
        if (!failed && rule->entered_at != 0 && now - rule->entered_at < least)
                broken(inv, s, "%s is released after %.0f s, and not %.0f", rule->name,
                       (double)(now - rule->entered_at) / 1e9, (double)least / 1e9);
        rule->entered_before = rule->entered_at;
        rule->entered_at = 0;
        rule->released_at = now;
        rule->failed = failed;
        rule->left_clear = is_clear(s, event);
        snprintf(rule->failed_for, sizeof(rule->failed_for), "%s",
                 no_help && strncmp(sim_event_field(event, "METRIC"), "ports.", 6) == 0
                         ? sim_event_field(event, "GROUP")
                         : "");
        rule->stuck = false;
        if (failed)
                rule->failed_at = now;
        /* How often it is tried, each destination on its own, is checked when it enters. */
        if (no_help && id != SYSCTL_COUNT)
                inv->sysctl[id].changes -= MIN(inv->sysctl[id].changes, 2u);
}

static void on_override(struct invariants *inv, const struct sim *s, enum sysctl_id id, const char *name)
{
        struct watched_rule *rule = find_rule(inv, s, name);

        if (s->tuner.apply.ledger.entry[id].state != LEDGER_FOREIGN) /* observing, after a process that did not */
                return;
        inv->sysctl[id].logged = true;
        rule->entered_at = 0;
        rule->released_at = sim_now(s);
        rule->failed = false;
}

/* Rungs are released from the top: a rule is held at least as long as one that stands on it. */
static uint64_t longest_hold(const struct invariants *inv, const struct sim *s, const struct watched_rule *rule)
{
        const struct config *config = s->tuner.config;
        const struct rule *own = configured(s, rule->name), *other;
        uint64_t longest = own ? MIN(release_ns(own) * rule->factor, HOUR_NS) : 0;

        for (unsigned i = 0; i < inv->n_rules && own; i++) {
                other = configured(s, inv->rule[i].name);
                if (other && other->after != RULE_NONE && &config->rule[other->after] == own)
                        longest = MAX(longest, longest_hold(inv, s, &inv->rule[i]));
        }
        return longest;
}

/* Nothing is decided any more once a constant load has had its effect, and so has what was decided for it; but for
 * rules that do not help and are tried again, and those that stand on them. */
static void check_calm(const struct invariants *inv, const struct sim *s, const struct watched_rule *rule,
                       const struct audit_text *event)
{
        uint64_t calm = sim_now(s) - MAX(inv->calm_at, inv->moved_at), transient = TRANSIENT_NS;

        if (event->kind == AUDIT_RELEASED)
                transient += longest_hold(inv, s, rule);
        /* A leak never comes to rest: however slow it is, it is over the threshold at some time. */
        if (event->kind == AUDIT_ADVICE && strcmp(sim_event_field(event, "METRIC"), "close_wait.stuck") == 0)
                return;
        if (inv->on_edge && strcmp(sim_event_field(event, "SYSCTL"), name_of(SYSCTL_TCP_MAX_TW_BUCKETS)) == 0)
                return;
        if (inv->steady && calm > transient && inv->refused == s->kernel.refused && !has_failed(inv, s, rule->name) &&
            is_clear(s, event) &&
            (event->kind == AUDIT_APPLIED || event->kind == AUDIT_ADVICE || event->kind == AUDIT_RELEASED))
                broken(inv, s, "%s decides, and the load is constant for %.0f s", rule->name, (double)calm / 1e9);
}

static bool is_further_step(const struct audit_text *event)
{
        return strcmp(sim_event_field(event, "OLDVALUE"), sim_event_field(event, "ORIGINALVALUE")) != 0;
}

/* What a rule decided names its evidence; what is put back for other reasons does not. */
static void on_change(struct invariants *inv, const struct sim *s, enum sysctl_id id, const struct audit_text *event)
{
        struct watched_rule *rule = find_rule(inv, s, sim_event_field(event, "RULE"));

        check_calm(inv, s, rule, event);
        if (event->kind == AUDIT_APPLIED)
                take_token(inv, s, &inv->changes);
        if (event->kind == AUDIT_APPLIED && !s->tuner.config->observe)
                take_token(inv, s, &inv->written);
        if (event->kind == AUDIT_APPLIED && is_further_step(event))
                return;
        if (event->kind == AUDIT_APPLIED)
                rule_entered(inv, s, rule, event, is_shared(s, id));
        else if (sim_event_field(event, "METRIC")[0])
                rule_left(inv, s, rule, event, event->kind != AUDIT_RELEASED);
        else
                rule->entered_at = rule->released_at = 0;
}

/* Advice changes nothing, and comes and goes like a rule that does. */
static void on_advice(struct invariants *inv, const struct sim *s, const struct audit_text *event)
{
        const struct rule *config = configured(s, sim_event_field(event, "RULE"));
        struct watched_rule *rule;

        if (!config || config->n_actions > 0)
                return;
        rule = find_rule(inv, s, config->name);
        check_calm(inv, s, rule, event);
        if (event->kind == AUDIT_ADVICE && rule->entered_at != 0)
                broken(inv, s, "%s is said again", rule->name);
        if (event->kind == AUDIT_ADVICE)
                rule_entered(inv, s, rule, event, false);
        else /* with the rung below it, or because it is over */
                rule_left(inv, s, rule, event, strncmp(sim_event_field(event, "METRIC"), "opens.", 6) == 0);
}

/* What a person asked for: put back, and theirs from then on; or twtuned's again. Nothing else is written in a
 * pause. */
static void on_request(struct invariants *inv, const struct sim *s, enum sysctl_id id, const struct audit_text *event)
{
        const char *result = sim_event_field(event, "RESULT");
        bool changed = strcmp(result, "applied") == 0 || strcmp(result, "restored") == 0;
        struct watched_sysctl *w = &inv->sysctl[id];

        if (strcmp(result, "noted") == 0) {
                w->noted_at = sim_now(s);
        } else if (strcmp(result, "rearmed") == 0) {
                w->noted_at = 0;
                w->logged = w->overridden = false;
                w->foreign = s->kernel.sysctl[id];
        } else if (strstr(sim_event_field(event, "MESSAGE"), "by request")) {
                w->logged |= changed;
        } else if (changed && s->in_tick && s->tuner.paused_until > 0) {
                broken(inv, s, "%s is changed in a pause", name_of(id));
        }
}

void invariants_event(struct invariants *inv, struct sim *s, const struct audit_text *event)
{
        const char *result = sim_event_field(event, "RESULT");
        enum sysctl_id id = sysctl_find(sim_event_field(event, "SYSCTL"));

        show(inv, s, "%s: %.160s", audit_kinds[event->kind].name, sim_event_field(event, "MESSAGE"));
        inv->kinds[event->kind]++;
        if (id == SYSCTL_COUNT)
                on_advice(inv, s, event);
        else if (strcmp(result, "failed") == 0)
                account_failure(inv, s, id, event);
        else if (event->kind == AUDIT_OVERRIDDEN)
                on_override(inv, s, id, sim_event_field(event, "RULE"));
        else if (strcmp(result, "applied") == 0 || strcmp(result, "restored") == 0)
                account_change(inv, s, id, event);
        else if (strcmp(result, "kept") == 0)
                inv->sysctl[id].foreign = s->kernel.sysctl[id];
        if (id != SYSCTL_COUNT)
                on_request(inv, s, id, event);
        if (id != SYSCTL_COUNT && (strcmp(result, "applied") == 0 || strcmp(result, "kept") == 0 ||
                                   strcmp(result, "restored") == 0 || strcmp(result, "would") == 0))
                on_change(inv, s, id, event);
}

/* ---- the host ---- */

static void note_faults(struct invariants *inv, const struct sim *s)
{
        if (s->faults.read + s->faults.write + s->faults.save + s->faults.swallow > 0)
                inv->faulty_at = sim_now(s);
}

/* The table gets a size that is under what it holds only together with reuse, which is put back, or could not be: then
 * it hides again that the ports cannot be reused, as it did before twtuned. A write that could not be verified was
 * taken back. */
static void check_lowered(const struct invariants *inv, const struct sim *s)
{
        if (inv->table_lowered_at != sim_now(s) ||
            kernel_tw(&s->kernel) <= (uint64_t)s->kernel.sysctl[SYSCTL_TCP_MAX_TW_BUCKETS].v[0])
                return;
        for (unsigned i = 0; i < inv->n_rules; i++) {
                const struct rule *rule = configured(s, inv->rule[i].name);

                if (rule && rule_sets(rule, SYSCTL_TCP_TW_REUSE) &&
                    (inv->rule[i].failed_at == sim_now(s) || inv->rule[i].stuck))
                        return;
        }
        broken(inv, s, "tcp_max_tw_buckets is %" PRId64 " under %" PRIu64 " in the table",
               s->kernel.sysctl[SYSCTL_TCP_MAX_TW_BUCKETS].v[0], kernel_tw(&s->kernel));
}

/* What someone changed is seen at the next tick that can read it, and let go. */
static void check_seen(const struct invariants *inv, const struct sim *s)
{
        const struct tuner *t = &s->tuner;

        for (unsigned id = 0; id < SYSCTL_COUNT && !t->config->observe; id++)
                if (inv->sysctl[id].overridden && t->snapshot.sysctl[id].state == READING_VALID &&
                    t->snapshot.now == sim_now(s) && policy_holds(t->policy, id))
                        broken(inv, s, "%s is held on, and someone else changed it", name_of(id));
}

/* Notes whether the table is so full that the next lump of TIME_WAIT may be too much for it. */
static void note_edge(struct invariants *inv, const struct sim *s)
{
        double room = (double)s->kernel.sysctl[SYSCTL_TCP_MAX_TW_BUCKETS].v[0];

        if (sim_now(s) - inv->calm_at <= TRANSIENT_NS)
                inv->on_edge = (double)kernel_tw(&s->kernel) >= room * (1 - TABLE_NOISE);
}

/* Notes what the tick has read of the sysctls that rules set. */
static void note_seen(struct invariants *inv, const struct sim *s)
{
        const struct tuner *t = &s->tuner;
        uint64_t set = 0;

        if (t->snapshot.now != sim_now(s))
                return;
        for (unsigned i = 0; i < t->config->n_rules; i++)
                for (unsigned k = 0; k < t->config->rule[i].n_actions && !t->config->rule[i].disabled; k++)
                        set |= UINT64_C(1) << t->config->rule[i].action[k].sysctl;
        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                if (!(set >> id & 1))
                        inv->sysctl[id].seen.n = 0;
                else if (t->snapshot.sysctl[id].state == READING_VALID)
                        inv->sysctl[id].seen = s->kernel.sysctl[id];
        }
}

void invariants_checkpoint(struct invariants *inv, struct sim *s)
{
        if (s->in_tick)
                note_seen(inv, s);
        note_faults(inv, s);
        note_edge(inv, s);
        if (s->in_tick)
                check_lowered(inv, s);
        if (inv->may_fail && s->in_tick)
                check_seen(inv, s);
        for (unsigned i = 0; i < inv->n_unaccounted; i++) {
                enum sysctl_id id = inv->unaccounted[i].id;

                if (!inv->may_fail || !sysctl_equal(&s->kernel.sysctl[id], &inv->sysctl[id].settled))
                        broken(inv, s, "%s was changed without an event", name_of(id));
                inv->sysctl[id].changed_at = inv->unaccounted[i].changed_before;
        }
        inv->n_unaccounted = 0;
}

void invariants_override(struct invariants *inv, struct sim *s, enum sysctl_id id, const struct sysctl_value *value)
{
        struct watched_sysctl *w = &inv->sysctl[id];
        const struct ledger_entry *entry = &(s->running ? &s->tuner.apply.ledger : &s->file)->entry[id];
        bool held = entry->state == LEDGER_HELD;

        invariants_disturb(inv, s);
        if (sysctl_equal(value, &s->kernel.sysctl[id]))
                return;
        show(inv, s, "someone sets %s: %" PRId64 " -> %" PRId64, name_of(id), s->kernel.sysctl[id].v[0], value->v[0]);
        w->settled = *value;
        if (held && sysctl_equal(value, &entry->written)) { /* as if nothing had happened */
                w->foreign = entry->original;
                w->overridden = false;
                return;
        }
        w->foreign = *value;
        /* The value before twtuned, put back by someone else, is an override only if twtuned sees it. */
        w->overridden = held && !sysctl_equal(value, &entry->original);
}

/* The rules may be others now, with clocks of their own. */
void invariants_reloaded(struct invariants *inv, struct sim *s)
{
        invariants_disturb(inv, s);
        memset(inv->rule, 0, sizeof(inv->rule));
        inv->n_rules = 0;
}

/* Of a rule with `release = keep`: what it wrote is there, and the ledger does not hold it any more. */
static bool is_kept(const struct sim *s, enum sysctl_id id)
{
        const struct rule *rule = configured(s, entry_of(s, id)->rule);

        return rule && rule->keep && sysctl_equal(&entry_of(s, id)->written, &s->kernel.sysctl[id]);
}

void invariants_crashed(struct invariants *inv, struct sim *s)
{
        show(inv, s, "twtuned is killed");
        inv->changes = inv->written;
        note_faults(inv, s);
        inv->died_at = sim_now(s);
        invariants_reloaded(inv, s);
        inv->n_unaccounted = 0; /* nobody is left to tell */
        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                inv->sysctl[id].settled = s->kernel.sysctl[id];
                inv->sysctl[id].seen.n = 0;
                if (entry_of(s, id)->hand_at == 0)
                        inv->sysctl[id].noted_at = 0;
                /* What could not be saved is forgotten: that it is someone else's, or that it was kept. */
                if (entry_of(s, id)->state != LEDGER_FOREIGN)
                        inv->sysctl[id].logged = false;
                /* It was rearmed, or kept, and the process did not live to say so. */
                if (entry_of(s, id)->state == LEDGER_RELEASED && (inv->sysctl[id].overridden || is_kept(s, id))) {
                        inv->sysctl[id].overridden = false;
                        inv->sysctl[id].foreign = s->kernel.sysctl[id];
                }
                if (entry_of(s, id)->state == LEDGER_HELD && ledger_is_ours(entry_of(s, id), &s->kernel.sysctl[id]))
                        inv->sysctl[id].foreign = entry_of(s, id)->original;
        }
}

void invariants_stopped(struct invariants *inv, struct sim *s)
{
        inv->changes = inv->written;
        invariants_reloaded(inv, s);
        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                inv->sysctl[id].seen.n = 0;
                inv->sysctl[id].noted_at = 0;
                inv->sysctl[id].changes = 0; /* the next process knows of no rule that came back */
                if (entry_of(s, id)->state != LEDGER_HELD)
                        inv->sysctl[id].logged = inv->sysctl[id].overridden = false;
        }
}

void invariants_begin(struct invariants *inv, struct sim *s, const char *run)
{
        *inv = (struct invariants){.run = run, .calm_at = sim_now(s)};
        inv->changes = inv->written = (struct bucket){1e9, sim_now(s)};
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                inv->sysctl[id].foreign = inv->sysctl[id].settled = s->kernel.sysctl[id];
        s->invariants = inv;
}

void invariants_disturb(struct invariants *inv, const struct sim *s)
{
        inv->calm_at = sim_now(s);
        inv->refused = s->kernel.refused;
}

void invariants_restored(struct invariants *inv, const struct sim *s)
{
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                if (!sysctl_equal(&s->kernel.sysctl[id], &inv->sysctl[id].foreign))
                        broken(inv, s, "%s is %" PRId64 ", and %" PRId64 " was there before twtuned", name_of(id),
                               s->kernel.sysctl[id].v[0], inv->sysctl[id].foreign.v[0]);
}
