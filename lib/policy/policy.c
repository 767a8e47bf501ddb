/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "lib/policy/state.h"
#include "lib/util/macro.h"

#define QUIET_NS (60 * NSEC_PER_SEC) /* the release time of a rule without until */
#define RELEASE_LONGEST_NS (3600 * NSEC_PER_SEC)

static bool needs_destination_clock(const struct condition *c)
{
        return metric_is_ports(c->metric) && c->time_ns > 0;
}

struct policy *policy_new(const struct config *config)
{
        struct policy *policy = calloc(1, sizeof(*policy));

        if (!policy)
                return NULL;
        policy->config = config;
        for (unsigned i = 0; i < config->n_rules; i++)
                for (unsigned k = 0; k < config->rule[i].n_when; k++) {
                        struct destination_clock **clocks = &policy->state[i].destination_when[k];

                        if (!needs_destination_clock(&config->rule[i].when[k]))
                                continue;
                        *clocks = calloc(PORTS_DESTINATIONS, sizeof(**clocks));
                        if (!*clocks) {
                                policy_free(policy);
                                return NULL;
                        }
                }
        return policy;
}

void policy_free(struct policy *policy)
{
        if (!policy)
                return;
        for (unsigned i = 0; i < RULES_MAX; i++)
                for (unsigned k = 0; k < RULE_CONDITIONS_MAX; k++)
                        free(policy->state[i].destination_when[k]);
        free(policy);
}

static void decision_begin(struct decision *d, enum decision_kind kind, unsigned rule)
{
        *d = (struct decision){.kind = kind, .rule = rule, .metric = RULE_NONE};
}

/* Whom the conditions of a rule point at, the first that does so. */
static void decision_culprit(struct decision *d, const struct condition *list, unsigned n, const struct snapshot *s)
{
        for (unsigned k = 0; k < n && !d->group[0] && !d->unit[0]; k++) {
                unsigned metric = list[k].metric;

                if (metric >= METRIC_COUNT || metric_is_ports(metric))
                        continue;
                memcpy(d->group, s->who[metric], sizeof(d->group));
                memcpy(d->unit, s->unit[metric], sizeof(d->unit));
        }
}

static void decision_destination(struct decision *d, const struct destination *g)
{
        if (!g)
                return;
        d->destination_id = g->id;
        d->cgroup = g->cgroup;
        destination_name(g, d->group);
}

/* Of a range, which lies on one side of the threshold: the end that is nearer to it. */
static double nearer_end(const struct reading *r, double threshold)
{
        return r->state == READING_BOUNDED && r->upper <= threshold ? r->upper : r->value;
}

/* Names the condition and, for ports.*, the group that decided; NULL: there is none that the rule is for. */
static void decision_evidence(struct decision *d, const struct condition *c, const struct snapshot *s,
                              const struct destination *g)
{
        d->metric = c->metric;
        d->op = c->op;
        d->threshold = c->number;
        d->value = nearer_end(&s->reading[c->metric], c->number);
        if (!metric_is_ports(c->metric) || !ports_valid(s)) /* the need for ports is over without a look */
                return;
        d->value = g ? destination_value(c, g) : 0;
        decision_destination(d, g);
}

static bool find_overridden(struct policy *p, const struct snapshot *s, struct decision *d)
{
        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                const struct held *held = &p->held[id];

                if (held->rules == 0 || held->taken_at == s->now || p->config->observe ||
                    s->sysctl[id].state != READING_VALID || sysctl_equal(&held->value, &s->sysctl[id].value))
                        continue;
                decision_begin(d, DECISION_OVERRIDDEN, (unsigned)__builtin_ctzll(held->rules));
                d->change[d->n++] = (struct change){
                        .sysctl = id,
                        .before = held->value,
                        .value = s->sysctl[id].value,
                        .original = held->original,
                        .outcome = OUTCOME_FOREIGN,
                };
                return true;
        }
        return false;
}

unsigned prerequisite_of(const struct policy *p, unsigned i, const struct snapshot *s)
{
        unsigned below = p->config->rule[i].after;

        while (below != RULE_NONE && !p->state[below].active &&
               (p->config->rule[below].disabled || policy_is_unavailable(p, below, s)))
                below = p->config->rule[below].after;
        return below;
}

static bool has_active_dependent(const struct policy *p, unsigned i, const struct snapshot *s)
{
        for (unsigned k = 0; k < p->config->n_rules; k++)
                if (p->state[k].active && p->config->rule[k].n_actions > 0 && prerequisite_of(p, k, s) == i)
                        return true;
        return false;
}

static uint64_t release_time(uint64_t configured, unsigned factor)
{
        return MIN(configured * factor, MAX(configured, RELEASE_LONGEST_NS));
}

static bool is_over(const struct policy *p, unsigned i)
{
        const struct rule *rule = &p->config->rule[i];
        const struct rule_state *state = &p->state[i];

        if (rule->n_until == 0)
                return clock_reached(&state->quiet, release_time(QUIET_NS, state->release_factor));
        for (unsigned k = 0; k < rule->n_until; k++)
                if (!clock_reached(&state->until[k], release_time(rule->until[k].time_ns, state->release_factor)))
                        return false;
        return true;
}

static bool did_harm(const struct policy *p, unsigned i, unsigned *ret_which)
{
        for (unsigned k = 0; k < p->config->rule[i].n_abort; k++)
                if (p->state[i].abort[k].harm) {
                        *ret_which = k;
                        return true;
                }
        return false;
}

static void evidence_of_harm(const struct policy *p, unsigned i, unsigned k, struct decision *d)
{
        const struct abort_condition *abort = &p->config->rule[i].abort[k];
        const struct abort_state *a = &p->state[i].abort[k];

        d->metric = abort->metric;
        d->op = GREATER;
        d->value = mean_value(&a->after);
        d->threshold = a->limit;
}

/* The group with the most of a metric, among those that the rule is for. */
static const struct destination *find_most(const struct policy *p, const struct rule *rule, const struct condition *c,
                                           const struct snapshot *s)
{
        const struct destination *most = NULL;

        for (unsigned slot = 0; metric_is_ports(c->metric) && ports_valid(s) && slot < ports_slots(s->ports); slot++) {
                const struct destination *g = destination(s->ports, slot);

                if (g->id != 0 && rule_can_help(p, rule, s, g->loopback) &&
                    (!most || destination_value(c, g) > destination_value(c, most)))
                        most = g;
        }
        return most;
}

/* A service that begins to listen where the range was widened must not lose its port to connect(). 0: none does. */
static unsigned port_given_back(const struct policy *p, unsigned i, const struct snapshot *s)
{
        const struct held *held = &p->held[SYSCTL_IP_LOCAL_PORT_RANGE];

        return held->rules >> i & 1 ? port_range_taken(s, &held->value, &held->original) : 0;
}

/* Whether an active rule has to go although it is still needed. */
static bool find_failure(const struct policy *p, unsigned i, const struct snapshot *s, struct decision *d)
{
        const struct rule *rule = &p->config->rule[i];
        unsigned which, port;

        if (did_harm(p, i, &which)) {
                decision_begin(d, DECISION_ABORT, i);
                evidence_of_harm(p, i, which, d);
                return true;
        }
        if (p->state[i].unexpected) {
                decision_begin(d, DECISION_UNEXPECTED, i);
                decision_evidence(d, &rule->expect, s, NULL);
                decision_destination(d, find_pressing(rule, s));
                return true;
        }
        port = port_given_back(p, i, s);
        if (port == 0)
                return false;
        decision_begin(d, DECISION_GIVE_WAY, i);
        d->port = port;
        return true;
}

/* Whether an active rule has to go. A rung that fails takes all above it along, for the same reason; but for advice,
 * which is needed the more. */
static bool find_reason(const struct policy *p, unsigned i, const struct snapshot *s, struct decision *d)
{
        const struct rule *rule = &p->config->rule[i];
        const struct condition *first;
        struct reading unrelieved;

        for (unsigned k = i; k != RULE_NONE; k = rule->n_actions > 0 ? p->config->rule[k].after : RULE_NONE)
                if (p->state[k].active && find_failure(p, k, s, d)) {
                        d->rule = i;
                        return true;
                }
        if (!is_over(p, i))
                return false;
        decision_begin(d, DECISION_RELEASE, i);
        first = rule->n_until > 0 ? &rule->until[0] : &rule->when[0];
        decision_evidence(d, first, s, find_most(p, rule, first, s));
        if (metric_is_ports(first->metric))
                return true;
        unrelieved = reading_unrelieved(p, s, first->metric);
        d->value = nearer_end(&unrelieved, first->number);
        return true;
}

static void fill_leave(const struct policy *p, struct decision *d)
{
        const struct rule *rule = &p->config->rule[d->rule];
        uint64_t bit = UINT64_C(1) << d->rule;

        for (unsigned k = 0; k < rule->n_actions; k++) {
                const struct held *held = &p->held[rule->action[k].sysctl];

                if (!(held->rules & bit))
                        continue;
                d->change[d->n++] = (struct change){
                        .sysctl = rule->action[k].sysctl,
                        .before = held->value,
                        .value = held->original,
                        .original = held->original,
                        .write = held->rules == bit,
                        .outcome = OUTCOME_JOINED,
                };
        }
}

static bool may_try(const struct rule_state *state, const struct snapshot *s)
{
        return state->tried_at != s->now && s->now >= state->not_before;
}

static bool find_leaving(struct policy *p, const struct snapshot *s, struct decision *d)
{
        for (unsigned i = p->config->n_rules; i-- > 0;)
                if (p->state[i].active && may_try(&p->state[i], s) && !has_active_dependent(p, i, s) &&
                    find_reason(p, i, s, d)) {
                        fill_leave(p, d);
                        return true;
                }
        return false;
}

bool prerequisite_in_effect(const struct policy *p, unsigned i, const struct snapshot *s, bool loopback)
{
        unsigned below = prerequisite_of(p, i, s);
        const struct rule *rule;

        if (below == RULE_NONE || p->state[below].active)
                return true;
        if (p->state[below].released_at == s->now) /* the snapshot still shows what it had set */
                return false;
        rule = &p->config->rule[below];
        for (unsigned k = 0; k < rule->n_actions; k++) {
                enum sysctl_id id = rule->action[k].sysctl;
                const struct live_sysctl *live = &s->sysctl[id];

                if (live->state != READING_VALID ||
                    !action_has_effect(&rule->action[k], &p->config->bounds[id], s, &live->value, loopback))
                        return false;
        }
        return rule->n_actions > 0;
}

static bool destination_enters(const struct policy *p, unsigned i, const struct snapshot *s, unsigned slot)
{
        const struct rule *rule = &p->config->rule[i];
        const struct destination *g = destination(s->ports, slot);

        for (unsigned k = 0; k < rule->n_when; k++) {
                const struct destination_clock *clocks = p->state[i].destination_when[k];

                if (!metric_is_ports(rule->when[k].metric))
                        continue;
                if (!destination_holds(&rule->when[k], g))
                        return false;
                if (clocks && !clock_reached(&clocks[slot].clock, rule->when[k].time_ns))
                        return false;
        }
        return prerequisite_in_effect(p, i, s, g->loopback) && rule_can_help(p, rule, s, g->loopback);
}

/* The group with the most of the rule's first ports.* metric, among those for which all conditions hold. */
static const struct destination *find_destination(const struct policy *p, unsigned i, const struct snapshot *s,
                                                  const struct condition *first)
{
        const struct destination *best = NULL;

        for (unsigned slot = 0; ports_valid(s) && slot < ports_slots(s->ports); slot++) {
                const struct destination *g = destination(s->ports, slot);

                if (g->id != 0 && destination_enters(p, i, s, slot) &&
                    (!best || destination_value(first, g) > destination_value(first, best)))
                        best = g;
        }
        return best;
}

const char *rule_lacks(const struct policy *p, const struct rule *rule, const struct snapshot *s)
{
        const struct condition *lists[] = {rule->when, rule->until, &rule->expect};
        const unsigned n[] = {rule->n_when, rule->n_until, rule->has_expect};

        for (unsigned k = 0; k < rule->n_actions; k++)
                if (s->sysctl[rule->action[k].sysctl].state == READING_UNAVAILABLE)
                        return sysctl_table[rule->action[k].sysctl].name;
        for (unsigned i = 0; i < ELEMENTSOF(lists); i++)
                for (unsigned k = 0; k < n[i]; k++)
                        if (s->reading[lists[i][k].metric].state == READING_UNAVAILABLE)
                                return metric_name(lists[i][k].metric, &p->config->counters);
        return NULL;
}

bool policy_is_unavailable(const struct policy *p, unsigned rule, const struct snapshot *s)
{
        return !p->config->rule[rule].disabled && rule_lacks(p, &p->config->rule[rule], s);
}

static bool is_available(const struct policy *p, const struct rule *rule, const struct snapshot *s)
{
        unsigned ours = 0;

        for (unsigned k = 0; k < rule->n_actions; k++) {
                if (s->sysctl[rule->action[k].sysctl].state != READING_VALID)
                        return false;
                ours += !p->held[rule->action[k].sysctl].foreign;
        }
        return !rule->disabled && (ours > 0 || rule->n_actions == 0) && !rule_lacks(p, rule, s);
}

/* Whether all of when holds, on a group where the rule matters if it is about groups. */
static bool find_cause(const struct policy *p, unsigned i, const struct snapshot *s, enum decision_kind kind,
                       struct decision *d)
{
        const struct rule *rule = &p->config->rule[i];
        const struct condition *first = NULL; /* of the ports.* ones */
        const struct destination *g = NULL;

        for (unsigned k = 0; k < rule->n_when; k++)
                if (metric_is_ports(rule->when[k].metric))
                        first = first ? first : &rule->when[k];
                else if (!clock_reached(&p->state[i].when[k], rule->when[k].time_ns))
                        return false;
        if (first)
                g = find_destination(p, i, s, first);
        if (first ? !g : !prerequisite_in_effect(p, i, s, false) || !rule_can_help(p, rule, s, false))
                return false;
        decision_begin(d, kind, i);
        decision_evidence(d, first ? first : &rule->when[0], s, g);
        decision_culprit(d, rule->when, rule->n_when, s);
        return true;
}

/* The next value of each lever; one that has nothing left to do is left out. */
static void fill_enter(const struct policy *p, const struct snapshot *s, struct decision *d)
{
        const struct rule *rule = &p->config->rule[d->rule];

        for (unsigned k = 0; k < rule->n_actions; k++) {
                const struct action *action = &rule->action[k];
                const struct held *held = &p->held[action->sysctl];
                const struct sysctl_bounds *bounds = &p->config->bounds[action->sysctl];
                bool joins = held->rules != 0 && !action_steps(action);
                const struct sysctl_value *before = held->rules != 0 ? &held->value : &s->sysctl[action->sysctl].value;

                if (d->kind == DECISION_ENTER && (held->rules >> d->rule & 1))
                        continue; /* it enters once more, for what was taken back */
                if (held->rules == 0 && s->sysctl[action->sysctl].state != READING_VALID)
                        continue; /* nobody knows what there is to go on from */
                if (held->foreign || (!joins && action_has_effect(action, bounds, s, before, false)))
                        continue;
                d->change[d->n++] = (struct change){
                        .sysctl = action->sysctl,
                        .before = *before,
                        .value = joins ? held->value : action_next(action, bounds, s, before),
                        .original = held->rules != 0 ? held->original : *before,
                        .write = !joins,
                        .outcome = OUTCOME_JOINED,
                };
        }
}

/* What is raised or lowered goes on as long as the cause does, and no faster than the limits let one sysctl change. */
static bool find_stepping(struct policy *p, const struct snapshot *s, struct decision *d)
{
        for (unsigned i = 0; i < p->config->n_rules; i++) {
                const struct rule *rule = &p->config->rule[i];
                const struct rule_state *state = &p->state[i];
                uint64_t every = MAX(rule->every_ns, p->config->min_interval_ns);

                if (!state->active || !rule_steps(rule) || !may_try(state, s) || s->now - state->stepped_at < every ||
                    !find_cause(p, i, s, DECISION_STEP, d))
                        continue;
                fill_enter(p, s, d);
                for (unsigned k = d->n; k-- > 0;)
                        if (!d->change[k].write)
                                d->change[k] = d->change[--d->n];
                if (d->n > 0)
                        return true;
        }
        return false;
}

bool rule_may_enter(const struct policy *p, unsigned i)
{
        const struct rule *rule = &p->config->rule[i];

        for (unsigned k = 0; k < rule->n_actions && p->state[i].active; k++) {
                const struct held *held = &p->held[rule->action[k].sysctl];

                if (held->rearmed && !(held->rules >> i & 1))
                        return true;
        }
        return !p->state[i].active;
}

static bool find_entering(struct policy *p, const struct snapshot *s, struct decision *d)
{
        for (unsigned i = 0; i < p->config->n_rules; i++)
                if (rule_may_enter(p, i) && may_try(&p->state[i], s) && is_available(p, &p->config->rule[i], s) &&
                    find_cause(p, i, s, DECISION_ENTER, d)) {
                        fill_enter(p, s, d);
                        return true;
                }
        return false;
}

bool policy_next_overridden(struct policy *p, const struct snapshot *s, struct decision *ret)
{
        return find_overridden(p, s, ret);
}

bool policy_next(struct policy *p, const struct snapshot *s, struct decision *ret)
{
        return find_overridden(p, s, ret) || find_leaving(p, s, ret) || find_stepping(p, s, ret) ||
               find_entering(p, s, ret);
}
