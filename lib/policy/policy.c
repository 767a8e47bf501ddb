/* SPDX-License-Identifier: MIT */
#include "lib/policy/policy.h"

#include <stdlib.h>

#include "lib/policy/state.h"

static bool needs_destination_clock(const struct condition *c)
{
        return metric_is_ports(c->metric) && c->time_ns > 0;
}

struct policy *policy_new(const struct config *config)
{
        struct destination_clock *clocks;
        struct policy *policy;
        size_t n = 0;

        for (unsigned i = 0; i < config->n_rules; i++)
                for (unsigned k = 0; k < config->rule[i].n_when; k++)
                        n += needs_destination_clock(&config->rule[i].when[k]);
        policy = calloc(1, sizeof(*policy) + n * PORTS_DESTINATIONS * sizeof(*clocks));
        if (!policy)
                return NULL;
        policy->config = config;
        for (unsigned i = 0; i < config->n_rules; i++) {
                policy->state[i].failed = policy->failed[i];
                policy->state[i].abort = policy->abort[i];
        }
        clocks = policy->destination_clock;
        for (unsigned i = 0; i < config->n_rules; i++)
                for (unsigned k = 0; k < config->rule[i].n_when; k++)
                        if (needs_destination_clock(&config->rule[i].when[k])) {
                                policy->state[i].destination_when[k] = clocks;
                                clocks += PORTS_DESTINATIONS;
                        }
        rest_init(policy);
        return policy;
}

void policy_free(struct policy *policy)
{
        free(policy);
}

bool policy_is_foreign(const struct policy *p, enum sysctl_id sysctl)
{
        return p->held[sysctl].foreign;
}

uint64_t policy_holders(const struct policy *p, enum sysctl_id sysctl)
{
        return p->held[sysctl].rules;
}

bool policy_holds(const struct policy *p, enum sysctl_id sysctl)
{
        return p->held[sysctl].rules != 0;
}

const struct sysctl_value *policy_value(const struct policy *p, enum sysctl_id sysctl)
{
        return &p->held[sysctl].value;
}

const struct sysctl_value *policy_rule_value(const struct policy *p, unsigned rule, enum sysctl_id sysctl)
{
        return rule_holds(p, rule, sysctl) ? &held_of(p, rule, sysctl)->value : NULL;
}

bool policy_is_active(const struct policy *p, unsigned rule)
{
        return p->state[rule].active;
}

uint64_t policy_expecting(const struct policy *p)
{
        uint64_t rules = 0;

        for (unsigned i = 0; i < p->config->n_rules; i++)
                rules |= p->state[i].active && p->state[i].expecting ? rule_bit(i) : 0;
        return rules;
}
