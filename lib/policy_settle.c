/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "macro.h"
#include "policy_state.h"

#define REFIRE_NS (600 * NSEC_PER_SEC) /* a rule that comes back within that is held for longer */
#define RESTORE_RETRY_NS (60 * NSEC_PER_SEC)

static uint64_t rule_bit(unsigned rule)
{
        return UINT64_C(1) << rule;
}

static bool holds_any(const struct policy *p, unsigned rule)
{
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                if (p->held[id].rules & rule_bit(rule))
                        return true;
        return false;
}

static double metric_floor(unsigned metric)
{
        return metric < METRIC_COUNT ? metric_table[metric].floor : 1;
}

/* What a step should do, and must not do, is seen from now on. */
static void watch(struct policy *p, unsigned i)
{
        const struct rule *rule = &p->config->rule[i];
        struct rule_state *state = &p->state[i];

        state->told = false;
        state->stepped_at = p->last_now;
        state->active_ns = state->expecting_ns = 0;
        state->unexpected = false;
        /* In observe mode nothing was written, so no effect can come: it is taken as met. */
        state->expecting = rule->has_expect && !p->config->observe;
        for (unsigned k = 0; k < rule->n_abort; k++) {
                struct abort_state *a = &state->abort[k];
                struct mean before = trail_mean(&a->trail, p->last_now);

                /* Without a minute before there is nothing to compare with: unknown is not zero. Noise is not
                 * compared with noise: what was under the metric's floor counts as the floor. */
                a->limit = rule->abort[k].multiple * fmax(mean_value(&before), metric_floor(rule->abort[k].metric));
                a->after = (struct mean){0};
                a->harm = false;
                a->over = p->config->observe || before.n < TREND_SAMPLES_MIN;
        }
}

static void activate(struct policy *p, unsigned i)
{
        struct rule_state *state = &p->state[i];
        bool again = state->released_at != 0 && p->last_now - state->released_at < REFIRE_NS;

        state->active = true;
        state->release_factor = again ? MIN(state->release_factor * 2, 1u << 16) : 1;
        state->quiet = (struct clock){0};
        memset(state->until, 0, sizeof(state->until));
        watch(p, i);
}

static void deactivate(struct policy *p, unsigned i, bool failed)
{
        struct rule_state *state = &p->state[i];

        state->active = false;
        state->taken_for = 0;
        state->told = false;
        state->released_at = p->last_now;
        if (failed)
                state->not_before = p->last_now + p->config->rule[i].retry_ns;
}

/* No rule holds it any more: someone else changed it, or nobody knows what is there. The latter is put back. */
static void disown(struct policy *p, enum sysctl_id sysctl, bool theirs)
{
        struct held *held = &p->held[sysctl];
        uint64_t rules = held->rules;

        held->rules = 0;
        held->theirs |= theirs;
        for (unsigned i = 0; i < p->config->n_rules; i++)
                if ((rules & rule_bit(i)) && !holds_any(p, i))
                        deactivate(p, i, !theirs);
}

/* An outcome that is tried again at every tick is told once. */
static bool tell_once(struct rule_state *state)
{
        bool first = !state->told;

        state->told = true;
        return first;
}

/* Notes what was taken. Returns whether the limits stood in the way. */
static bool take(struct policy *p, const struct decision *d)
{
        bool limited = false;

        for (unsigned k = 0; k < d->n; k++) {
                const struct change *c = &d->change[k];
                struct held *held = &p->held[c->sysctl];

                limited |= c->outcome == OUTCOME_LIMITED;
                held->theirs |= c->outcome == OUTCOME_THEIRS;
                if (c->outcome > OUTCOME_WOULD)
                        continue;
                held->rules |= rule_bit(d->rule);
                held->value = c->value;
                held->original = c->original;
                held->taken_at = p->last_now;
        }
        return limited;
}

static bool settle_enter(struct policy *p, const struct decision *d)
{
        struct rule_state *state = &p->state[d->rule];
        bool limited = take(p, d);

        if (limited && state->active) /* what was taken back is not had yet */
                return tell_once(state);
        for (unsigned k = 0; k < p->config->rule[d->rule].n_levers && !limited; k++)
                p->held[p->config->rule[d->rule].lever[k].sysctl].taken_back = false;
        if (holds_any(p, d->rule) || p->config->rule[d->rule].n_levers == 0) {
                activate(p, d->rule);
                state->taken_for = d->group_id;
                return true;
        }
        if (!limited)
                state->not_before = p->last_now + p->config->rule[d->rule].retry_ns;
        return tell_once(state);
}

static bool settle_step(struct policy *p, const struct decision *d)
{
        struct rule_state *state = &p->state[d->rule];
        bool stepped = false, limited = take(p, d);

        for (unsigned k = 0; k < d->n; k++) {
                stepped |= d->change[k].outcome <= OUTCOME_WOULD;
                if (d->change[k].outcome == OUTCOME_THEIRS || d->change[k].unknown)
                        disown(p, d->change[k].sysctl, !d->change[k].unknown);
        }
        if (stepped) {
                watch(p, d->rule);
                state->taken_for = d->group_id;
                return true;
        }
        if (!limited)
                state->stepped_at = p->last_now;
        return tell_once(state);
}

static bool settle_leave(struct policy *p, const struct decision *d)
{
        struct rule_state *state = &p->state[d->rule];
        bool left = false;

        for (unsigned k = 0; k < d->n; k++) {
                struct held *held = &p->held[d->change[k].sysctl];

                if (d->change[k].outcome == OUTCOME_FAILED)
                        continue;
                held->rules &= ~rule_bit(d->rule);
                held->theirs |= d->change[k].outcome == OUTCOME_THEIRS;
                left = true;
        }
        if (!holds_any(p, d->rule)) {
                deactivate(p, d->rule, d->kind == DECISION_UNEXPECTED || d->kind == DECISION_ABORT);
                return true;
        }
        state->not_before = p->last_now + RESTORE_RETRY_NS;
        return tell_once(state) || left; /* of several sysctls another one may have come back by now */
}

bool policy_settle(struct policy *p, const struct decision *d)
{
        p->state[d->rule].tried_at = p->last_now;
        switch (d->kind) {
        case DECISION_ENTER:
                return settle_enter(p, d);
        case DECISION_STEP:
                return settle_step(p, d);
        case DECISION_OVERRIDDEN:
                disown(p, d->change[0].sysctl, true);
                return true;
        case DECISION_GIVE_WAY:
        case DECISION_RELEASE:
        case DECISION_UNEXPECTED:
        case DECISION_ABORT:
                break;
        }
        return settle_leave(p, d);
}

/* [limits] may be narrower than when it was written. */
static bool is_within(const struct config *config, enum sysctl_id sysctl, const struct sysctl_value *value)
{
        char reason[192];

        return sysctl_check_bounds(sysctl, value, &config->bounds[sysctl], reason, sizeof(reason)) == 0;
}

static bool may_have_written(const struct rule *rule, enum sysctl_id sysctl, const struct sysctl_value *written,
                             const struct sysctl_value *original)
{
        for (unsigned k = 0; k < rule->n_levers && !rule->disabled; k++)
                if (rule->lever[k].sysctl == sysctl && lever_may_have_written(&rule->lever[k], original, written))
                        return true;
        return false;
}

static void adopt(struct policy *p, unsigned i, enum sysctl_id sysctl, const struct sysctl_value *written,
                  const struct sysctl_value *original)
{
        struct held *held = &p->held[sysctl];

        held->rules |= rule_bit(i);
        held->value = *written;
        held->original = *original;
        held->taken_at = 0;
        if (p->state[i].active)
                return;
        activate(p, i);
        /* What the step did was watched by the process that made it. */
        p->state[i].expecting = false;
        for (unsigned k = 0; k < p->config->rule[i].n_abort; k++)
                p->state[i].abort[k].over = true;
}

bool policy_adopt(struct policy *p, const char *name, enum sysctl_id sysctl, const struct sysctl_value *written,
                  const struct sysctl_value *original)
{
        bool found = false;

        for (unsigned i = 0; i < p->config->n_rules && is_within(p->config, sysctl, written); i++)
                found |= strcmp(p->config->rule[i].name, name) == 0 &&
                         may_have_written(&p->config->rule[i], sysctl, written, original);
        /* The ledger names one rule; others may have held the same value, and go in their own time. */
        for (unsigned i = 0; i < p->config->n_rules && found; i++)
                if (may_have_written(&p->config->rule[i], sysctl, written, original))
                        adopt(p, i, sysctl, written, original);
        return found;
}

void policy_leave_alone(struct policy *p, enum sysctl_id sysctl)
{
        disown(p, sysctl, true);
}

void policy_take_back(struct policy *p, enum sysctl_id sysctl)
{
        p->held[sysctl].theirs = false;
        p->held[sysctl].taken_back = true;
}

bool policy_leaves_alone(const struct policy *p, enum sysctl_id sysctl)
{
        return p->held[sysctl].theirs;
}

uint64_t policy_holders(const struct policy *p, enum sysctl_id sysctl)
{
        return p->held[sysctl].rules;
}

const struct sysctl_value *policy_value(const struct policy *p, enum sysctl_id sysctl)
{
        return &p->held[sysctl].value;
}

static bool conditions_alike(const struct condition *a, const struct counters *ca, const struct condition *b,
                             const struct counters *cb)
{
        return strcmp(metric_name(a->metric, ca), metric_name(b->metric, cb)) == 0 && a->op == b->op &&
               a->number == b->number && a->time_ns == b->time_ns;
}

static bool lists_alike(const struct condition *a, unsigned na, const struct counters *ca, const struct condition *b,
                        unsigned nb, const struct counters *cb)
{
        for (unsigned k = 0; na == nb && k < na; k++)
                if (!conditions_alike(&a[k], ca, &b[k], cb))
                        return false;
        return na == nb;
}

static bool levers_alike(const struct rule *a, const struct rule *b)
{
        for (unsigned k = 0; a->n_levers == b->n_levers && k < a->n_levers; k++) {
                const struct lever *la = &a->lever[k], *lb = &b->lever[k];

                if (la->kind != lb->kind || la->sysctl != lb->sysctl || la->factor != lb->factor ||
                    !sysctl_equal(&la->value, &lb->value))
                        return false;
        }
        return a->n_levers == b->n_levers;
}

static bool aborts_alike(const struct rule *a, const struct counters *ca, const struct rule *b,
                         const struct counters *cb)
{
        for (unsigned k = 0; a->n_abort == b->n_abort && k < a->n_abort; k++)
                if (strcmp(metric_name(a->abort[k].metric, ca), metric_name(b->abort[k].metric, cb)) != 0 ||
                    a->abort[k].multiple != b->abort[k].multiple || a->abort[k].within_ns != b->abort[k].within_ns)
                        return false;
        return a->n_abort == b->n_abort;
}

/* Whether the running state of one rule means the same for the other. */
static bool rules_alike(const struct config *ca, unsigned ia, const struct config *cb, unsigned ib)
{
        const struct rule *a = &ca->rule[ia], *b = &cb->rule[ib];

        return strcmp(a->name, b->name) == 0 && strcmp(a->after_name, b->after_name) == 0 &&
               a->disabled == b->disabled && a->has_expect == b->has_expect &&
               lists_alike(a->when, a->n_when, &ca->counters, b->when, b->n_when, &cb->counters) &&
               lists_alike(a->until, a->n_until, &ca->counters, b->until, b->n_until, &cb->counters) &&
               lists_alike(&a->expect, a->has_expect, &ca->counters, &b->expect, b->has_expect, &cb->counters) &&
               levers_alike(a, b) && aborts_alike(a, &ca->counters, b, &cb->counters);
}

static bool holds_within(const struct policy *old, unsigned rule, const struct config *config)
{
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                if ((old->held[id].rules & rule_bit(rule)) && !is_within(config, id, &old->held[id].value))
                        return false;
        return true;
}

static void inherit_rule(struct policy *p, unsigned i, const struct policy *old, unsigned k)
{
        struct rule_state *state = &p->state[i];
        struct group_clock *mine[RULE_CONDITIONS_MAX];

        memcpy(mine, state->group_when, sizeof(mine));
        *state = old->state[k];
        memcpy(state->group_when, mine, sizeof(mine));
        for (unsigned c = 0; c < RULE_CONDITIONS_MAX; c++)
                if (mine[c] && old->state[k].group_when[c])
                        memcpy(mine[c], old->state[k].group_when[c], PORTS_GROUPS * sizeof(*mine[c]));

        for (unsigned id = 0; id < SYSCTL_COUNT && state->active; id++) {
                if (!(old->held[id].rules & rule_bit(k)))
                        continue;
                p->held[id].value = old->held[id].value;
                p->held[id].original = old->held[id].original;
                p->held[id].rules |= rule_bit(i);
        }
}

void policy_inherit(struct policy *p, const struct policy *old)
{
        p->last_now = old->last_now;
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                p->held[id].theirs = old->held[id].theirs;
        for (unsigned i = 0; i < p->config->n_rules; i++)
                for (unsigned k = 0; k < old->config->n_rules; k++)
                        if (rules_alike(p->config, i, old->config, k) && holds_within(old, k, p->config))
                                inherit_rule(p, i, old, k);
}

bool policy_holds(const struct policy *p, enum sysctl_id sysctl)
{
        return p->held[sysctl].rules != 0;
}

bool policy_is_active(const struct policy *p, unsigned rule)
{
        return p->state[rule].active;
}

const char *outcome_name(enum outcome outcome)
{
        static const char *const names[OUTCOME_COUNT] = {
                [OUTCOME_JOINED] = "joined",     [OUTCOME_APPLIED] = "applied", [OUTCOME_RESTORED] = "restored",
                [OUTCOME_KEPT] = "kept",         [OUTCOME_WOULD] = "would",     [OUTCOME_UNCHANGED] = "unchanged",
                [OUTCOME_THEIRS] = "left-alone", [OUTCOME_YIELDED] = "yielded", [OUTCOME_LIMITED] = "limited",
                [OUTCOME_REFUSED] = "refused",   [OUTCOME_FAILED] = "failed",
        };

        return names[outcome];
}
