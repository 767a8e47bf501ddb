/* SPDX-License-Identifier: MIT */
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

static void activate(struct policy *p, unsigned i)
{
        const struct rule *rule = &p->config->rule[i];
        struct rule_state *state = &p->state[i];
        bool again = state->released_at != 0 && p->last_now - state->released_at < REFIRE_NS;

        state->active = true;
        state->told = false;
        state->active_ns = state->expecting_ns = 0;
        state->unexpected = false;
        /* In observe mode nothing was written, so no effect can come: it is taken as met. */
        state->expecting = rule->has_expect && !p->config->observe;
        state->release_factor = again ? MIN(state->release_factor * 2, 1u << 16) : 1;
        state->quiet = (struct clock){0};
        memset(state->until, 0, sizeof(state->until));
        for (unsigned k = 0; k < rule->n_abort; k++) {
                struct abort_state *a = &state->abort[k];

                a->before = trail_mean(&a->trail, p->last_now);
                a->sum = 0;
                a->samples = 0;
                a->harm = false;
                a->over = p->config->observe;
        }
}

static void deactivate(struct policy *p, unsigned i, bool failed)
{
        struct rule_state *state = &p->state[i];

        state->active = false;
        state->told = false;
        state->released_at = p->last_now;
        if (failed)
                state->not_before = p->last_now + p->config->rule[i].retry_ns;
}

/* An outcome that is tried again at every tick is told once. */
static bool tell_once(struct rule_state *state)
{
        bool first = !state->told;

        state->told = true;
        return first;
}

static bool settle_enter(struct policy *p, const struct decision *d)
{
        struct rule_state *state = &p->state[d->rule];
        bool limited = false;

        for (unsigned k = 0; k < d->n; k++) {
                const struct change *c = &d->change[k];
                struct held *held = &p->held[c->sysctl];

                limited |= c->outcome == OUTCOME_LIMITED;
                if (c->outcome > OUTCOME_WOULD)
                        continue;
                held->rules |= rule_bit(d->rule);
                held->value = c->value;
                held->original = c->original;
                held->taken_at = p->last_now;
        }
        if (holds_any(p, d->rule)) {
                activate(p, d->rule);
                return true;
        }
        if (limited)
                return tell_once(state);
        state->not_before = p->last_now + p->config->rule[d->rule].retry_ns;
        return true;
}

static bool settle_leave(struct policy *p, const struct decision *d)
{
        struct rule_state *state = &p->state[d->rule];

        for (unsigned k = 0; k < d->n; k++) {
                struct held *held = &p->held[d->change[k].sysctl];

                if (d->change[k].outcome == OUTCOME_FAILED)
                        continue;
                held->rules &= ~rule_bit(d->rule);
                held->theirs |= d->change[k].outcome == OUTCOME_THEIRS;
        }
        if (!holds_any(p, d->rule)) {
                deactivate(p, d->rule, d->kind != DECISION_RELEASE);
                return true;
        }
        state->not_before = p->last_now + RESTORE_RETRY_NS;
        return tell_once(state);
}

static bool settle_overridden(struct policy *p, const struct decision *d)
{
        struct held *held = &p->held[d->change[0].sysctl];
        uint64_t rules = held->rules;

        held->rules = 0;
        held->theirs = true;
        for (unsigned i = 0; i < p->config->n_rules; i++)
                if ((rules & rule_bit(i)) && !holds_any(p, i))
                        deactivate(p, i, false);
        return true;
}

bool policy_settle(struct policy *p, const struct decision *d)
{
        p->state[d->rule].tried_at = p->last_now;
        switch (d->kind) {
        case DECISION_ENTER:
                return settle_enter(p, d);
        case DECISION_OVERRIDDEN:
                return settle_overridden(p, d);
        case DECISION_RELEASE:
        case DECISION_UNEXPECTED:
        case DECISION_ABORT:
                break;
        }
        return settle_leave(p, d);
}

static unsigned find_setter(const struct config *config, const char *name, enum sysctl_id sysctl,
                            const struct sysctl_value *value)
{
        for (unsigned i = 0; i < config->n_rules; i++) {
                const struct rule *rule = &config->rule[i];

                if (rule->disabled || strcmp(rule->name, name) != 0)
                        continue;
                for (unsigned k = 0; k < rule->n_set; k++)
                        if (rule->set[k].sysctl == sysctl && sysctl_equal(&rule->set[k].value, value))
                                return i;
        }
        return RULE_NONE;
}

bool policy_adopt(struct policy *p, const char *rule, enum sysctl_id sysctl,
                  const struct sysctl_value *written, const struct sysctl_value *original)
{
        unsigned i = find_setter(p->config, rule, sysctl, written);
        struct held *held = &p->held[sysctl];

        if (i == RULE_NONE)
                return false;
        held->rules |= rule_bit(i);
        held->value = *written;
        held->original = *original;
        if (!p->state[i].active) {
                activate(p, i);
                /* What the step did was watched by the process that made it. */
                p->state[i].expecting = false;
                for (unsigned k = 0; k < p->config->rule[i].n_abort; k++)
                        p->state[i].abort[k].over = true;
        }
        return true;
}

void policy_leave_alone(struct policy *p, enum sysctl_id sysctl)
{
        p->held[sysctl].theirs = true;
}

static bool conditions_alike(const struct condition *a, const struct counters *ca, const struct condition *b,
                             const struct counters *cb)
{
        return strcmp(metric_name(a->metric, ca), metric_name(b->metric, cb)) == 0 && a->op == b->op &&
               a->number == b->number && a->time_ns == b->time_ns;
}

static bool rules_alike(const struct config *ca, unsigned ia, const struct config *cb, unsigned ib)
{
        const struct rule *a = &ca->rule[ia], *b = &cb->rule[ib];

        if (strcmp(a->name, b->name) != 0 || a->disabled != b->disabled || a->n_when != b->n_when ||
            a->n_until != b->n_until || a->n_set != b->n_set || a->n_abort != b->n_abort)
                return false;
        for (unsigned k = 0; k < a->n_when; k++)
                if (!conditions_alike(&a->when[k], &ca->counters, &b->when[k], &cb->counters))
                        return false;
        for (unsigned k = 0; k < a->n_until; k++)
                if (!conditions_alike(&a->until[k], &ca->counters, &b->until[k], &cb->counters))
                        return false;
        for (unsigned k = 0; k < a->n_set; k++)
                if (a->set[k].sysctl != b->set[k].sysctl || !sysctl_equal(&a->set[k].value, &b->set[k].value))
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
                        if (rules_alike(p->config, i, old->config, k))
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
