/* SPDX-License-Identifier: MIT */
/* What a configuration needs: metrics that the rules name, and the sysctls that they set. */

#include <string.h>

#include "daemon/observe/internal.h"
#include "lib/util/macro.h"

static void want_metric(struct observer *o, unsigned metric)
{
        if (metric < METRIC_COUNT)
                o->wanted[metric] = true;
}

static void want_conditions(struct observer *o, const struct condition *list, unsigned n)
{
        for (unsigned k = 0; k < n; k++)
                want_metric(o, list[k].metric);
}

/* A wider range must not reach a port that listens or is privileged (lib/apply/limits.c). */
static void want_sysctl(struct observer *o, enum sysctl_id id, bool enabled)
{
        o->sysctls |= BIT(id);
        if (id == SYSCTL_IP_LOCAL_PORT_RANGE && enabled) {
                o->sysctls |= BIT(SYSCTL_IP_UNPRIVILEGED_PORT_START);
                o->listeners_always = true;
        }
}

static void want_rule(struct observer *o, const struct rule *rule)
{
        want_conditions(o, rule->when, rule->n_when);
        want_conditions(o, rule->until, rule->n_until);
        want_conditions(o, &rule->expect, rule->has_expect);
        for (unsigned k = 0; k < rule->n_abort; k++)
                want_metric(o, rule->abort[k].metric);
        for (unsigned k = 0; k < rule->n_actions; k++)
                want_sysctl(o, rule->action[k].sysctl, !rule->disabled);
}

/* Returns a bit for each sysctl that decides how ports are counted, or that limits a wanted table or queue. */
static uint32_t sysctls_of_metrics(const struct observer *o)
{
        static const struct {
                unsigned metric;
                enum sysctl_id id;
        } rows[] = {
                {METRIC_TIME_WAIT_TABLE, SYSCTL_TCP_MAX_TW_BUCKETS},
                {METRIC_ORPHANS_TABLE, SYSCTL_TCP_MAX_ORPHANS},
                {METRIC_MEMORY_TCP, SYSCTL_TCP_MEM},
                {METRIC_CONNTRACK_TABLE, SYSCTL_NF_CONNTRACK_MAX},
                {METRIC_SYN_QUEUE_WORST, SYSCTL_TCP_SYNCOOKIES},
                {METRIC_SYN_QUEUE_WORST, SYSCTL_TCP_MAX_SYN_BACKLOG},
        };
        uint32_t bits = BIT(SYSCTL_TCP_TW_REUSE) | BIT(SYSCTL_TCP_TW_REUSE_DELAY) | BIT(SYSCTL_TCP_TIMESTAMPS) |
                        BIT(SYSCTL_IP_LOCAL_PORT_RANGE);

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++)
                if (o->wanted[rows[i].metric])
                        bits |= BIT(rows[i].id);
        return bits;
}

void want_config(struct observer *o, const struct config *config)
{
        memset(o->wanted, config == NULL, sizeof(o->wanted));
        for (unsigned i = 0; config && i < config->n_rules; i++)
                want_rule(o, &config->rule[i]);
        if (config) {
                o->budget = config->cpu_budget / 100;
                o->cgroups.budget = o->budget / 5;
                units_want(o, &config->unit_names);
                o->slowly_ns = MIN(METRIC_SLOWLY_TICKS * config->interval_ns, METRIC_SLOWLY_SECONDS * NSEC_PER_SEC);
        }
        /* A sysctl that only the previous configuration named may still be held. */
        o->sysctls |= sysctls_of_metrics(o) | o->sysctls_now;
        o->listeners_always |= o->wanted[METRIC_TCP_LISTEN] || o->wanted[METRIC_ACCEPT_QUEUE_WORST];
        netstat_want(o);
        states_want(o);
}

void observer_want_everything(struct observer *o)
{
        want_config(o, NULL);
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                if (sysctl_table[id].n > 0)
                        o->sysctls |= BIT(id);
        o->always_dump = true;
}
