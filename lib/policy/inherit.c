/* SPDX-License-Identifier: MIT */
/* A reload: a rule keeps its state if the new configuration has the same rule. */

#include <string.h>

#include "lib/policy/state.h"

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

static bool actions_alike(const struct rule *a, const struct rule *b)
{
        for (unsigned k = 0; a->n_actions == b->n_actions && k < a->n_actions; k++) {
                const struct action *one = &a->action[k], *other = &b->action[k];

                if (one->kind != other->kind || one->sysctl != other->sysctl || one->factor != other->factor ||
                    !sysctl_equal(&one->value, &other->value))
                        return false;
        }
        return a->n_actions == b->n_actions;
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

static bool destinations_alike(const struct rule *a, const struct rule *b)
{
        for (unsigned k = 0; a->n_destinations == b->n_destinations && k < a->n_destinations; k++)
                if (strcmp(a->destination[k].text, b->destination[k].text) != 0)
                        return false;
        return a->n_destinations == b->n_destinations;
}

/* A unit may have another bit in the other configuration, so names are compared. */
static bool units_alike(const struct rule *a, const struct unit_names *na, const struct rule *b,
                        const struct unit_names *nb)
{
        for (unsigned i = 0; i < na->n; i++) {
                unsigned k = unit_names_find(nb, na->name[i]);

                if ((a->units & BIT(i)) && (k == UNITS_MAX || !(b->units & BIT(k))))
                        return false;
        }
        return __builtin_popcount(a->units) == __builtin_popcount(b->units);
}

/* True if the state of one rule means the same for the other. */
static bool rules_alike(const struct config *ca, unsigned ia, const struct config *cb, unsigned ib)
{
        const struct rule *a = &ca->rule[ia], *b = &cb->rule[ib];

        return strcmp(a->name, b->name) == 0 && strcmp(a->after_name, b->after_name) == 0 &&
               a->disabled == b->disabled && a->observe == b->observe && a->has_expect == b->has_expect &&
               lists_alike(a->when, a->n_when, &ca->counters, b->when, b->n_when, &cb->counters) &&
               lists_alike(a->until, a->n_until, &ca->counters, b->until, b->n_until, &cb->counters) &&
               lists_alike(&a->expect, a->has_expect, &ca->counters, &b->expect, b->has_expect, &cb->counters) &&
               actions_alike(a, b) && destinations_alike(a, b) &&
               units_alike(a, &ca->unit_names, b, &cb->unit_names) && aborts_alike(a, &ca->counters, b, &cb->counters);
}

static bool holds_within(const struct policy *old, unsigned rule, const struct config *config)
{
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                if (rule_holds(old, rule, id) && !is_within_bounds(config, id, &held_of(old, rule, id)->value))
                        return false;
        return true;
}

static void inherit_rule(struct policy *p, unsigned i, const struct policy *old, unsigned k)
{
        struct rule_state *state = &p->state[i];
        struct destination_clock *mine[RULE_CONDITIONS_MAX];

        memcpy(mine, state->destination_when, sizeof(mine));
        *state = old->state[k];
        memcpy(state->destination_when, mine, sizeof(mine));
        state->failed = p->failed[i];
        state->abort = p->abort[i];
        if (state->any_failed)
                memcpy(state->failed, old->failed[k], sizeof(old->failed[k]));
        memcpy(state->abort, old->abort[k], p->config->rule[i].n_abort * sizeof(*state->abort));
        for (unsigned c = 0; c < RULE_CONDITIONS_MAX; c++)
                if (mine[c]) /* then the old rule has this clock, too: it is alike */
                        memcpy(mine[c], old->state[k].destination_when[c], PORTS_DESTINATIONS * sizeof(*mine[c]));

        for (unsigned id = 0; id < SYSCTL_COUNT && state->active; id++) {
                const struct held *before = held_of(old, k, id);
                struct held *held = held_by(p, i, id);

                if (!rule_holds(old, k, id))
                        continue;
                held->value = before->value;
                held->original = before->original;
                held->rules |= rule_bit(i);
        }
}

uint64_t policy_inherit(struct policy *p, struct policy *old)
{
        uint64_t inherited = 0;

        rest_end(old);
        p->last_now = old->last_now;
        state_changes(p);
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                p->held[id].foreign = old->held[id].foreign;
        for (unsigned i = 0; i < p->config->n_rules; i++)
                for (unsigned k = 0; k < old->config->n_rules; k++)
                        if (rules_alike(p->config, i, old->config, k) && holds_within(old, k, p->config)) {
                                inherit_rule(p, i, old, k);
                                inherited |= rule_bit(i);
                        }
        return inherited;
}
