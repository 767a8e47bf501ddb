/* SPDX-License-Identifier: MIT */
/* Questions about rules. Most answers depend on which sysctls are held, and so change between decisions of a tick. */

#include "lib/policy/state.h"
#include "lib/util/macro.h"

bool rule_steps(const struct rule *rule)
{
        for (unsigned k = 0; k < rule->n_actions; k++)
                if (action_steps(&rule->action[k]))
                        return true;
        return false;
}

bool rule_raises_time_wait(const struct rule *rule)
{
        for (unsigned k = 0; k < rule->n_actions; k++)
                if (rule->action[k].sysctl == SYSCTL_TCP_MAX_TW_BUCKETS && rule->action[k].kind == ACTION_RAISE)
                        return true;
        return false;
}

/* True if a rule that sets tcp_tw_reuse was released in this tick: the reuse in the snapshot is over then. */
static bool reuse_has_ended(const struct policy *p, const struct snapshot *s)
{
        for (unsigned i = 0; i < p->config->n_rules; i++)
                for (unsigned k = 0; k < p->config->rule[i].n_actions; k++)
                        if (p->config->rule[i].action[k].sysctl == SYSCTL_TCP_TW_REUSE &&
                            p->state[i].released_at == s->now)
                                return true;
        return false;
}

bool rule_does_harm(const struct policy *p, unsigned i, const struct snapshot *s)
{
        return rule_raises_time_wait(&p->config->rule[i]) && table_may_spoil(s, !reuse_has_ended(p, s));
}

bool rule_may_enter(const struct policy *p, unsigned i)
{
        const struct rule *rule = &p->config->rule[i];
        const struct rule_state *state = &p->state[i];

        for (unsigned k = 0; k < rule->n_actions && state->active; k++) {
                enum sysctl_id id = rule->action[k].sysctl;

                if ((state->wanted & BIT(id)) && p->last_now >= state->again_at && !p->held[id].foreign &&
                    !rule_holds(p, i, id))
                        return true;
        }
        return !state->active;
}

bool rule_can_help(const struct policy *p, unsigned i, const struct snapshot *s, bool loopback)
{
        const struct rule *rule = &p->config->rule[i];

        for (unsigned k = 0; k < rule->n_actions; k++) {
                enum sysctl_id id = rule->action[k].sysctl;
                const struct held *held = held_of(p, i, id);
                const struct sysctl_value *without = held->rules ? &held->original : &s->sysctl[id].value;

                if (superseding_rule(p, i, k) == RULE_NONE && !p->held[id].foreign &&
                    !action_has_effect(&rule->action[k], &p->config->bounds[id], s, without, loopback))
                        return true;
        }
        return rule->n_actions == 0;
}

bool rule_is_available(const struct policy *p, unsigned i, const struct snapshot *s)
{
        const struct rule *rule = &p->config->rule[i];
        unsigned ours = 0;

        for (unsigned k = 0; k < rule->n_actions; k++) {
                enum sysctl_id id = rule->action[k].sysctl;

                if (superseding_rule(p, i, k) != RULE_NONE)
                        continue;
                if (s->sysctl[id].state != READING_VALID || superseded_is_in_the_way(p, i, id, s) ||
                    (id == SYSCTL_IP_LOCAL_PORT_RANGE && !port_obstacles_known(s)))
                        return false;
                ours += !p->held[id].foreign;
        }
        return !rule->disabled && (ours > 0 || rule->n_actions == 0) && !p->evaluation.rule[i].lacks;
}

bool policy_is_unavailable(const struct policy *p, unsigned i)
{
        return !p->config->rule[i].disabled && p->evaluation.rule[i].lacks;
}

unsigned superseding_rule(const struct policy *p, unsigned rule, unsigned action)
{
        uint64_t rules = p->config->rule[rule].superseded_by[action];

        for (; rules != 0; rules &= rules - 1)
                if (!policy_is_unavailable(p, (unsigned)__builtin_ctzll(rules)))
                        return (unsigned)__builtin_ctzll(rules);
        return RULE_NONE;
}

unsigned successor_of(const struct policy *p, unsigned i)
{
        const struct rule *rule = &p->config->rule[i];
        unsigned successor = RULE_NONE;

        for (unsigned k = rule->n_actions; k-- > 0;) {
                successor = superseding_rule(p, i, k);
                if (successor == RULE_NONE)
                        break;
        }
        return successor;
}

bool holds_superseded(const struct policy *p, unsigned i)
{
        const struct rule *rule = &p->config->rule[i];

        for (unsigned k = 0; k < rule->n_actions; k++)
                if (rule_holds(p, i, rule->action[k].sysctl) && superseding_rule(p, i, k) != RULE_NONE)
                        return true;
        return false;
}

bool superseded_is_in_the_way(const struct policy *p, unsigned i, enum sysctl_id id, const struct snapshot *s)
{
        for (unsigned k = 0; k < p->config->n_rules; k++) {
                const struct rule *rule = &p->config->rule[k];

                if (!(p->held[id].rules & rule_bit(k)) && p->state[k].released_at != s->now)
                        continue;
                for (unsigned n = 0; n < rule->n_actions; n++)
                        if (rule->action[n].sysctl == id && (rule->superseded_by[n] & rule_bit(i)))
                                return true;
        }
        return false;
}

unsigned prerequisite_of(const struct policy *p, unsigned i)
{
        unsigned below = p->config->rule[i].after, successor;

        while (below != RULE_NONE && !p->state[below].active) {
                successor = successor_of(p, below);
                if (successor != RULE_NONE && successor != i)
                        return successor;
                if (successor == RULE_NONE && !p->config->rule[below].disabled && !policy_is_unavailable(p, below))
                        break;
                below = p->config->rule[below].after;
        }
        return below;
}

bool prerequisite_in_effect(const struct policy *p, unsigned i, const struct snapshot *s, bool loopback)
{
        unsigned below = prerequisite_of(p, i);
        const struct rule *rule;

        if (below == RULE_NONE || (p->state[below].active && (!only_observes(p, below) || only_observes(p, i))))
                return true;
        if (p->state[below].released_at == s->now) /* the snapshot still shows the value that it had set */
                return false;
        rule = &p->config->rule[below];
        for (unsigned k = 0; k < rule->n_actions; k++) {
                enum sysctl_id id = rule->action[k].sysctl;
                const struct live_sysctl *live = &s->sysctl[id];

                if (superseding_rule(p, below, k) != RULE_NONE)
                        continue; /* not all are superseded: else prerequisite_of() would have replaced the rule */
                if (live->state != READING_VALID ||
                    !action_has_effect(&rule->action[k], &p->config->bounds[id], s, &live->value, loopback))
                        return false;
        }
        return rule->n_actions > 0;
}

struct reading reading_without_remedy(const struct policy *p, const struct snapshot *s, unsigned metric)
{
        static const struct {
                unsigned metric;
                enum sysctl_id sysctl;
                bool inverse; /* each counted socket stays for a time in proportion to the sysctl */
        } rows[] = {
                {METRIC_TIME_WAIT_TABLE, SYSCTL_TCP_MAX_TW_BUCKETS, false},
                {METRIC_ORPHANS_TABLE, SYSCTL_TCP_MAX_ORPHANS, false},
                {METRIC_TCP_FIN_WAIT2_ORPHANED, SYSCTL_TCP_FIN_TIMEOUT, true},
                {METRIC_TCP_KEEPALIVE_UNANSWERED, SYSCTL_TCP_KEEPALIVE_INTVL, true},
                {METRIC_TCP_KEEPALIVE_UNANSWERED, SYSCTL_TCP_KEEPALIVE_PROBES, true},
        };
        struct reading r = s->reading[metric];

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                const struct held *held = &p->held[rows[i].sysctl];
                const struct live_sysctl *live = &s->sysctl[rows[i].sysctl];
                double factor;

                if (rows[i].metric != metric || held->rules == 0 || live->state != READING_VALID)
                        continue;
                factor = (double)live->value.v[0] / (double)MAX(held->original.v[0], 1);
                if (rows[i].inverse)
                        factor = 1 / factor;
                r.value *= factor;
                r.upper *= factor;
        }
        return r;
}

bool is_within_bounds(const struct config *config, enum sysctl_id sysctl, const struct sysctl_value *value)
{
        char reason[192];

        return sysctl_check_bounds(sysctl, value, &config->bounds[sysctl], reason, sizeof(reason)) == 0;
}
