/* SPDX-License-Identifier: MIT */
/* The third phase of a tick: the outcome of a decision changes what is held. */

#include <math.h>
#include <string.h>

#include "lib/policy/state.h"
#include "lib/util/macro.h"

#define REFIRE_NS (600 * NSEC_PER_SEC) /* a rule that comes back so soon is held for longer */
#define RESTORE_RETRY_NS (60 * NSEC_PER_SEC)
#define FAILURE_RETRY_NS (5 * NSEC_PER_SEC) /* after the first temporary failure; then twice as long each time */

static bool holds_any(const struct policy *p, unsigned rule)
{
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                if (rule_holds(p, rule, id))
                        return true;
        return false;
}

static double metric_floor(unsigned metric)
{
        return metric < METRIC_COUNT ? metric_table[metric].floor : 1;
}

/* Starts to watch the expected effect and the abort conditions. */
static void watch(struct policy *p, unsigned i)
{
        const struct rule *rule = &p->config->rule[i];
        struct rule_state *state = &p->state[i];

        state->stepped_at = p->last_now;
        state->active_ns = state->expecting_ns = 0;
        state->unexpected = false;
        /* Observe mode writes nothing, so no effect can come: it counts as met. */
        state->expecting = rule->has_expect && !observes(p, i);
        for (unsigned k = 0; k < rule->n_abort; k++) {
                struct abort_state *a = &state->abort[k];
                struct mean before;
                bool known = abort_before(rule->abort[k].metric, a, p->last_now, &before);

                /* If the minute before is unknown, it is not taken for zero: the step is not watched. A mean under the
                 * metric's floor is noise and counts as the floor. */
                a->limit = rule->abort[k].multiple * fmax(mean_value(&before), metric_floor(rule->abort[k].metric));
                a->after = (struct mean){0};
                a->harm = false;
                a->over = observes(p, i) || !known;
        }
}

static void activate(struct policy *p, unsigned i)
{
        struct rule_state *state = &p->state[i];
        bool again = state->released_at != 0 && p->last_now - state->released_at < REFIRE_NS;

        if (!state->active) /* an active rule takes one more sysctl: it has not come back */
                state->release_factor = again ? MIN(state->release_factor * 2, 1u << 16) : 1;
        state->active = true;
        state->quiet = (struct clock){0};
        memset(state->until, 0, sizeof(state->until));
        watch(p, i);
}

static void deactivate(struct policy *p, unsigned i, bool failed)
{
        struct rule_state *state = &p->state[i];

        state->active = false;
        state->taken_for = 0;
        state->released_at = p->last_now;
        if (failed)
                state->not_before = p->last_now + p->config->rule[i].retry_ns;
}

/* Ends the hold of all rules on the sysctl: another program changed it, a person released it, or its live value is
 * unknown, and the next tick restores it. */
static void disown(struct policy *p, enum sysctl_id sysctl, bool foreign)
{
        struct held *held = &p->held[sysctl];
        uint64_t rules = held->rules;

        state_changes(p);
        held->rules = 0;
        held->foreign |= foreign;
        for (unsigned i = 0; i < p->config->n_rules; i++)
                if ((rules & rule_bit(i)) && !holds_any(p, i))
                        deactivate(p, i, !foreign);
}

static bool changes_any(const struct decision *d)
{
        for (unsigned k = 0; k < d->n; k++)
                if (d->change[k].outcome <= OUTCOME_WOULD)
                        return true;
        return false;
}

/* Returns a bit for each sysctl whose write failed temporarily. */
static uint32_t failed_for_now(const struct decision *d)
{
        uint32_t failed = 0;

        for (unsigned k = 0; k < d->n; k++)
                if (d->change[k].outcome == OUTCOME_FAILED && d->change[k].may_pass)
                        failed |= BIT(d->change[k].sysctl);
        return failed;
}

/* Counts temporary failures in a row. Returns the wait before the next try: longest, or less after a temporary
 * failure. */
static uint64_t failure_wait(struct rule_state *state, const struct decision *d, uint64_t longest)
{
        unsigned before = MIN(state->failures, 16u);

        state->failures = failed_for_now(d) ? before + 1 : 0;
        return state->failures > 0 ? MIN(FAILURE_RETRY_NS << before, longest) : longest;
}

/* Takes over the changes that were made. Returns true if the limits prevented one. */
static bool take(struct policy *p, const struct decision *d)
{
        bool limited = false;

        for (unsigned k = 0; k < d->n; k++) {
                const struct change *c = &d->change[k];
                struct held *held = held_by(p, d->rule, c->sysctl);

                limited |= c->outcome == OUTCOME_LIMITED;
                p->held[c->sysctl].foreign |= c->outcome == OUTCOME_FOREIGN;
                if (c->outcome > OUTCOME_WOULD)
                        continue;
                held->rules |= rule_bit(d->rule);
                held->value = c->value;
                held->original = c->original;
                held->taken_at = p->last_now;
        }
        return limited;
}

static enum progress commit_enter(struct policy *p, const struct decision *d)
{
        struct rule_state *state = &p->state[d->rule];
        uint64_t wait;

        if (take(p, d))
                return PROGRESS_NONE; /* the limits must allow all changes, or none is made yet */
        wait = failure_wait(state, d, p->config->rule[d->rule].retry_ns);
        state->wanted = failed_for_now(d);
        state->again_at = p->last_now + wait;
        if (state->active && !changes_any(d))
                return PROGRESS_NONE;
        if (holds_any(p, d->rule) || p->config->rule[d->rule].n_actions == 0) {
                activate(p, d->rule);
                state->taken_for = d->evidence.destination_id;
                return PROGRESS_DONE;
        }
        state->not_before = p->last_now + wait;
        return PROGRESS_NONE;
}

static enum progress commit_step(struct policy *p, const struct decision *d)
{
        struct rule_state *state = &p->state[d->rule];
        bool limited = take(p, d);

        for (unsigned k = 0; k < d->n; k++)
                if (d->change[k].outcome == OUTCOME_FOREIGN || d->change[k].unknown)
                        disown(p, d->change[k].sysctl, !d->change[k].unknown);
        if (changes_any(d)) {
                watch(p, d->rule);
                state->taken_for = d->evidence.destination_id;
                return PROGRESS_DONE;
        }
        if (!limited)
                state->stepped_at = p->last_now;
        return PROGRESS_NONE;
}

/* True if the metric is a ports.* by which the rule itself is judged, not only a rule that it depends on. */
static bool judges_destination(const struct rule *rule, unsigned metric)
{
        bool own = rule->has_expect && rule->expect.metric == metric;

        for (unsigned k = 0; k < rule->n_abort; k++)
                own |= rule->abort[k].metric == metric;
        return own && metric_is_ports(metric);
}

static enum progress commit_leave(struct policy *p, const struct decision *d)
{
        struct rule_state *state = &p->state[d->rule];
        bool failed = d->kind == DECISION_ABORT || d->kind == DECISION_UNEXPECTED, left = false;
        uint64_t wait = failure_wait(state, d, RESTORE_RETRY_NS);

        for (unsigned k = 0; k < d->n; k++) {
                struct held *held = held_by(p, d->rule, d->change[k].sysctl);

                /* If the live value is unknown, no rule holds the sysctl any more: the live value may be the original,
                 * which would count as a change by another program. The next tick restores what no rule holds. */
                if (d->change[k].outcome == OUTCOME_FAILED && !d->change[k].unknown)
                        continue;
                held->rules &= ~rule_bit(d->rule);
                p->held[d->change[k].sysctl].foreign |= d->change[k].outcome == OUTCOME_FOREIGN;
                left = true;
        }
        if (!holds_any(p, d->rule)) {
                /* A change that failed toward one destination may help another. The wait begins with the restore,
                 * which may have failed for long. */
                if (failed && judges_destination(&p->config->rule[d->rule], d->evidence.metric)) {
                        state->failed[state->last_failed].until = p->last_now + p->config->rule[d->rule].retry_ns;
                        failed = false;
                }
                deactivate(p, d->rule, failed);
                return PROGRESS_DONE;
        }
        state->not_before = p->last_now + wait;
        return left ? PROGRESS_SOME : PROGRESS_NONE;
}

enum progress policy_commit(struct policy *p, const struct decision *d)
{
        p->state[d->rule].tried_at = p->last_now;
        state_changes(p);
        switch (d->kind) {
        case DECISION_ENTER:
                return commit_enter(p, d);
        case DECISION_STEP:
                return commit_step(p, d);
        case DECISION_OVERRIDDEN:
                disown(p, d->change[0].sysctl, true);
                return p->state[d->rule].active ? PROGRESS_SOME : PROGRESS_DONE;
        case DECISION_GIVE_WAY:
        case DECISION_SUPERSEDED:
        case DECISION_RELEASE:
        case DECISION_UNEXPECTED:
        case DECISION_ABORT:
                break;
        }
        return commit_leave(p, d);
}

static bool may_have_written(const struct rule *rule, enum sysctl_id sysctl, const struct sysctl_value *written,
                             const struct sysctl_value *original)
{
        for (unsigned k = 0; k < rule->n_actions && !rule->disabled && !rule->observe; k++)
                if (rule->action[k].sysctl == sysctl && action_may_have_written(&rule->action[k], original, written))
                        return true;
        return false;
}

/* Makes the rule hold the sysctl, and lets it take its other sysctls as well: the previous process may have died
 * before it wrote them. */
static void adopt(struct policy *p, unsigned i, enum sysctl_id sysctl, const struct sysctl_value *written,
                  const struct sysctl_value *original)
{
        const struct rule *rule = &p->config->rule[i];
        struct rule_state *state = &p->state[i];
        struct held *held = &p->held[sysctl];

        state_changes(p);
        held->rules |= rule_bit(i);
        held->value = *written;
        held->original = *original;
        held->taken_at = 0;
        state->wanted = 0;
        for (unsigned k = 0; k < rule->n_actions; k++)
                if (!rule_holds(p, i, rule->action[k].sysctl))
                        state->wanted |= BIT(rule->action[k].sysctl);
        if (state->active)
                return;
        activate(p, i);
        /* Only the process that wrote the value could watch its effect. */
        state->expecting = false;
        for (unsigned k = 0; k < rule->n_abort; k++)
                state->abort[k].over = true;
}

bool policy_adopt(struct policy *p, const char *name, enum sysctl_id sysctl, const struct sysctl_value *written,
                  const struct sysctl_value *original)
{
        bool found = false;

        for (unsigned i = 0; i < p->config->n_rules && is_within_bounds(p->config, sysctl, written); i++)
                found |= strcmp(p->config->rule[i].name, name) == 0 &&
                         may_have_written(&p->config->rule[i], sysctl, written, original);
        /* The ledger names one rule; others may have held the same value: each holds it until its own release. */
        for (unsigned i = 0; i < p->config->n_rules && found; i++)
                if (may_have_written(&p->config->rule[i], sysctl, written, original))
                        adopt(p, i, sysctl, written, original);
        return found;
}

void policy_watched(const struct policy *p, struct watch_list *ret)
{
        ret->n = 0;
        for (unsigned i = 0; i < p->config->n_rules && ret->n < PORTS_WATCHED; i++) {
                const struct rule_state *state = &p->state[i];
                bool watching = state->expecting;

                for (unsigned k = 0; k < p->config->rule[i].n_abort; k++)
                        watching |= !state->abort[k].over;
                if (state->active && watching && state->taken_for != 0)
                        ret->id[ret->n++] = state->taken_for;
        }
}

void policy_set_foreign(struct policy *p, enum sysctl_id sysctl)
{
        disown(p, sysctl, true);
}

void policy_rearm(struct policy *p, enum sysctl_id sysctl)
{
        state_changes(p);
        p->held[sysctl].foreign = false;
        for (unsigned i = 0; i < p->config->n_rules; i++)
                for (unsigned k = 0; k < p->config->rule[i].n_actions; k++)
                        if (p->config->rule[i].action[k].sysctl == sysctl) {
                                p->state[i].wanted |= BIT(sysctl);
                                p->state[i].again_at = 0;
                        }
}

void policy_retry(struct policy *p)
{
        state_changes(p);
        for (unsigned i = 0; i < p->config->n_rules; i++) {
                if (p->state[i].failures > 0)
                        p->state[i].not_before = 0;
                p->state[i].again_at = 0;
        }
}

const char *outcome_name(enum outcome outcome)
{
        static const char *const names[OUTCOME_COUNT] = {
                [OUTCOME_JOINED] = "joined",      [OUTCOME_APPLIED] = "applied", [OUTCOME_RESTORED] = "restored",
                [OUTCOME_KEPT] = "kept",          [OUTCOME_WOULD] = "would",     [OUTCOME_UNCHANGED] = "unchanged",
                [OUTCOME_FOREIGN] = "left-alone", [OUTCOME_NOTED] = "noted",     [OUTCOME_YIELDED] = "yielded",
                [OUTCOME_LIMITED] = "limited",    [OUTCOME_REFUSED] = "refused", [OUTCOME_FAILED] = "failed",
        };

        return names[outcome];
}
