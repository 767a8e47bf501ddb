/* SPDX-License-Identifier: MIT */
#include "lib/policy/state.h"
#include "lib/util/macro.h"

/* A clock has to know at every tick whether its condition holds. */
static bool clocks_need_dump(const struct rule *rule, const struct snapshot *s)
{
        for (unsigned k = 0; k < rule->n_when; k++)
                if (rule->when[k].time_ns > 0 && s->reading[rule->when[k].metric].state == READING_BOUNDED &&
                    anywhere_holds(&rule->when[k], s) == UNKNOWN)
                        return true;
        return false;
}

/* All conditions must hold for a rule to enter: one that cannot is enough. */
static bool entering_needs_dump(const struct rule *rule, const struct snapshot *s)
{
        bool bounded = false;

        for (unsigned k = 0; k < rule->n_when; k++) {
                bounded |= s->reading[rule->when[k].metric].state == READING_BOUNDED;
                if (anywhere_holds(&rule->when[k], s) == NO)
                        return false;
        }
        return bounded;
}

/* What harm would show in has to be watched before the step as well. */
static bool abort_needs_dump(const struct rule *rule, const struct snapshot *s)
{
        for (unsigned k = 0; k < rule->n_abort; k++)
                if (s->reading[rule->abort[k].metric].state == READING_BOUNDED)
                        return true;
        return false;
}

static bool leaving_needs_dump(const struct policy *p, unsigned i, const struct snapshot *s)
{
        const struct rule *rule = &p->config->rule[i];
        bool bounded = false;

        for (unsigned k = 0; k < rule->n_until; k++)
                if (s->reading[rule->until[k].metric].state == READING_BOUNDED &&
                    everywhere_holds(p, rule, &rule->until[k], s) == UNKNOWN)
                        return true;
        for (unsigned k = 0; k < rule->n_when; k++)
                bounded |= s->reading[rule->when[k].metric].state == READING_BOUNDED;
        return rule->n_until == 0 && bounded && is_quiet(p, i, s) == UNKNOWN;
}

bool policy_needs_dump(const struct policy *p, const struct snapshot *s)
{
        for (unsigned i = 0; i < p->config->n_rules; i++) {
                const struct rule *rule = &p->config->rule[i];
                const struct rule_state *state = &p->state[i];

                if (rule->disabled)
                        continue;
                if (clocks_need_dump(rule, s) || abort_needs_dump(rule, s))
                        return true;
                if (state->active && (state->expecting || leaving_needs_dump(p, i, s)))
                        return true;
                if ((rule_may_enter(p, i) || rule_steps(rule)) && entering_needs_dump(rule, s))
                        return true;
        }
        return false;
}
