/* SPDX-License-Identifier: MIT */
/* The second phase of a tick: chooses the next decision from the evaluation and the held sysctls. */

#include <string.h>

#include "lib/policy/state.h"
#include "lib/util/macro.h"

#define RELEASE_LONGEST_NS (3600 * NSEC_PER_SEC)

static void decision_begin(struct decision *d, enum decision_kind kind, unsigned rule)
{
        *d = (struct decision){.kind = kind, .rule = rule, .evidence = {.metric = RULE_NONE}};
}

/* ---- evidence ---- */

/* The first culprit that the rule's conditions name. */
static void evidence_set_culprit(struct evidence *e, const struct condition *list, unsigned n,
                                 const struct snapshot *s)
{
        for (unsigned k = 0; k < n && !e->destination[0] && !e->unit[0]; k++) {
                unsigned metric = list[k].metric;

                if (metric >= METRIC_COUNT || metric_is_ports(metric))
                        continue;
                memcpy(e->destination, s->endpoint[metric], sizeof(e->destination));
                memcpy(e->unit, s->culprit[metric], sizeof(e->unit));
        }
}

static void evidence_set_destination(struct evidence *e, const struct destination *d)
{
        if (!d)
                return;
        e->destination_id = d->id;
        e->cgroup = d->cgroup;
        destination_name(&d->key, e->destination);
}

/* A bounded reading lies on one side of the threshold. Returns the end that is nearer to it. */
static double nearer_end(const struct reading *r, double threshold)
{
        return r->state == READING_BOUNDED && r->upper <= threshold ? r->upper : r->value;
}

/* r: the reading of the metric; on ports.*, it counts only without a dump. d: the destination of a condition on
 * ports.*; NULL: no destination counts, or there was no dump. */
static void evidence_set(struct evidence *e, const struct condition *c, const struct reading *r,
                         const struct destination *d, const struct snapshot *s)
{
        e->metric = c->metric;
        e->op = c->op;
        e->threshold = c->number;
        e->value = nearer_end(r, c->number);
        if (!metric_is_ports(c->metric) || !ports_valid(s))
                return;
        e->value = d ? destination_value(c, d) : 0;
        evidence_set_destination(e, d);
}

/* Returns the destination with the greater value of the condition. One of them is on the loopback. Either may be
 * NULL. */
static const struct destination *greater(const struct condition *c, const struct destination *a,
                                         const struct destination *b)
{
        if (!a || !b)
                return a ? a : b;
        return destination_value(c, a) >= destination_value(c, b) ? a : b;
}

/* ---- changes by other programs ---- */

static bool find_overridden(const struct policy *p, const struct snapshot *s, struct decision *d)
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

/* ---- releases ---- */

/* The configured release time; longer for a rule that came back soon after its last release. */
static uint64_t release_time(uint64_t configured, unsigned factor)
{
        return MIN(configured * factor, MAX(configured, RELEASE_LONGEST_NS));
}

static bool is_over(const struct policy *p, unsigned i)
{
        const struct rule *rule = &p->config->rule[i];
        const struct rule_state *state = &p->state[i];

        if (state->active_ns < release_time(p->config->min_interval_ns, state->release_factor))
                return false;
        if (rule->n_until == 0)
                return clock_reached(&state->quiet, release_time(QUIET_NS, state->release_factor));
        for (unsigned k = 0; k < rule->n_until; k++)
                if (!clock_reached(&state->until[k], release_time(rule->until[k].time_ns, state->release_factor)))
                        return false;
        return true;
}

static bool has_active_dependent(const struct policy *p, unsigned i)
{
        for (unsigned k = 0; k < p->config->n_rules; k++)
                if (p->state[k].active && p->config->rule[k].n_actions > 0 && prerequisite_of(p, k) == i)
                        return true;
        return false;
}

/* The first abort condition that was met; NULL: none. */
static const struct abort_state *find_harm(const struct policy *p, unsigned i)
{
        for (unsigned k = 0; k < p->config->rule[i].n_abort; k++)
                if (p->state[i].abort[k].harm)
                        return &p->state[i].abort[k];
        return NULL;
}

/* Names the destination even if its load ended before the change could be put back. */
static void decide_abort(const struct policy *p, unsigned i, const struct abort_state *a, struct decision *d)
{
        unsigned k = (unsigned)(a - p->state[i].abort);
        const struct destination *harmed = p->evaluation.rule[i].abort[k].harmed;

        decision_begin(d, DECISION_ABORT, i);
        d->evidence.metric = p->config->rule[i].abort[k].metric;
        d->evidence.op = GREATER;
        d->evidence.value = harmed ? ports_value(harmed, d->evidence.metric).lower : mean_value(&a->after);
        evidence_set_destination(&d->evidence, harmed);
        if (!harmed && metric_is_ports(d->evidence.metric))
                destination_name(&p->state[i].failed[p->state[i].last_failed].key, d->evidence.destination);
        d->evidence.threshold = a->limit;
}

/* Names the destination that the rule did not help, even if its load ended before the change could be put back. */
static void decide_unexpected(const struct policy *p, unsigned i, const struct snapshot *s, struct decision *d)
{
        const struct rule_evaluation *e = &p->evaluation.rule[i];
        const struct condition *expect = &p->config->rule[i].expect;
        const struct rule_state *state = &p->state[i];

        decision_begin(d, DECISION_UNEXPECTED, i);
        evidence_set(&d->evidence, expect, &e->expect.reading, e->expect.destination, s);
        evidence_set_destination(&d->evidence, e->pressing);
        if (!e->expect.destination && metric_is_ports(expect->metric))
                destination_name(&state->failed[state->last_failed].key, d->evidence.destination);
}

/* True if the rule is active and must be released although it is still needed. */
static bool find_failure(const struct policy *p, unsigned i, const struct snapshot *s, struct decision *d)
{
        const struct held *range = held_of(p, i, SYSCTL_IP_LOCAL_PORT_RANGE);
        const struct abort_state *harm = find_harm(p, i);
        unsigned port;

        if (!p->state[i].active)
                return false;
        if (harm) {
                decide_abort(p, i, harm, d);
                return true;
        }
        if (p->state[i].unexpected && p->state[i].active_ns >= p->config->min_interval_ns) {
                decide_unexpected(p, i, s, d);
                return true;
        }
        /* A service that listens where the range was widened must not lose its port to connect(). */
        port = rule_holds(p, i, SYSCTL_IP_LOCAL_PORT_RANGE) ? port_range_taken(s, &range->value, &range->original) : 0;
        if (port == 0)
                return false;
        decision_begin(d, DECISION_GIVE_WAY, i);
        d->port = port;
        return true;
}

static void decide_release(const struct policy *p, unsigned i, const struct snapshot *s, struct decision *d)
{
        const struct rule *rule = &p->config->rule[i];
        const struct rule_evaluation *e = &p->evaluation.rule[i];
        const struct condition *first = rule_release_condition(rule);
        struct reading r = reading_without_remedy(p, s, first->metric);
        const struct destination *most[2],
                *cause = ports_valid(s) ? ports_find(s->ports, p->state[i].taken_for) : NULL;

        for (unsigned loopback = 0; loopback < 2; loopback++)
                most[loopback] = rule_can_help(p, i, s, loopback) ? e->most[loopback] : NULL;
        decision_begin(d, DECISION_RELEASE, i);
        evidence_set(&d->evidence, first, &r, cause ? cause : greater(first, most[0], most[1]), s);
}

/* The rule without which this one would do harm: the table of TIME_WAIT may be larger only while ports are reused. */
static unsigned leans_on(const struct policy *p, unsigned i, const struct snapshot *s)
{
        uint64_t reuse = p->held[SYSCTL_TCP_TW_REUSE].rules & ~rule_bit(i);

        if (reuse == 0 || !rule_raises_time_wait(&p->config->rule[i]) || !table_may_spoil(s, false))
                return RULE_NONE;
        return (unsigned)__builtin_ctzll(reuse);
}

/* True if an active rule must be released. If its prerequisite fails, the rule is released for the same reason. A rule
 * that only advises is not: its advice is needed all the more then. */
static bool find_reason(const struct policy *p, unsigned i, const struct snapshot *s, struct decision *d)
{
        const struct rule *rule = &p->config->rule[i];
        unsigned other = leans_on(p, i, s);

        if (other != RULE_NONE && find_failure(p, other, s, d))
                return true;
        for (unsigned k = i, n = 0; k != RULE_NONE && n < p->config->n_rules; n++) {
                if (find_failure(p, k, s, d))
                        return true;
                k = rule->n_actions > 0 ? prerequisite_of(p, k) : RULE_NONE;
        }
        if (holds_superseded(p, i)) {
                decision_begin(d, DECISION_SUPERSEDED, i);
                return true;
        }
        if (!is_over(p, i))
                return false;
        decide_release(p, i, s, d);
        return true;
}

static void fill_leave(const struct policy *p, struct decision *d)
{
        const struct rule *rule = &p->config->rule[d->rule];

        for (unsigned k = 0; k < rule->n_actions; k++) {
                const struct held *held = held_of(p, d->rule, rule->action[k].sysctl);

                if (!rule_holds(p, d->rule, rule->action[k].sysctl))
                        continue;
                d->change[d->n++] = (struct change){
                        .sysctl = rule->action[k].sysctl,
                        .before = held->value,
                        .value = held->original,
                        .original = held->original,
                        .write = held->rules == rule_bit(d->rule),
                        .outcome = OUTCOME_JOINED,
                };
        }
}

static bool may_try(const struct rule_state *state, const struct snapshot *s)
{
        return state->tried_at != s->now && s->now >= state->not_before;
}

static bool find_leaving(const struct policy *p, const struct snapshot *s, struct decision *d)
{
        for (unsigned i = p->config->n_rules; i-- > 0;)
                if (p->state[i].active && may_try(&p->state[i], s) && !has_active_dependent(p, i) &&
                    find_reason(p, i, s, d)) {
                        d->rule = i; /* find_reason() may have set a rule on which rule i depends */
                        fill_leave(p, d);
                        return true;
                }
        return false;
}

/* ---- entries and steps ---- */

static bool may_help(const struct policy *p, unsigned i, const struct snapshot *s, bool loopback)
{
        return prerequisite_in_effect(p, i, s, loopback) && rule_can_help(p, i, s, loopback) &&
               !rule_does_harm(p, i, s);
}

/* Returns true, and begins the decision, if all conditions of `when` have held for their time and the rule can help
 * now. If some are on ports.*, they must have held for one destination, and the rule must help toward that one. */
static bool find_cause(const struct policy *p, unsigned i, const struct snapshot *s, enum decision_kind kind,
                       struct decision *d)
{
        const struct rule *rule = &p->config->rule[i];
        const struct rule_evaluation *e = &p->evaluation.rule[i];
        const struct destination *entering[2] = {NULL, NULL};
        const struct condition *ports = rule_ports_condition(rule), *first = ports ? ports : &rule->when[0];

        for (unsigned k = 0; k < rule->n_when; k++)
                if (!metric_is_ports(rule->when[k].metric) &&
                    !clock_reached(&p->state[i].when[k], rule->when[k].time_ns))
                        return false;
        for (unsigned loopback = 0; loopback < 2; loopback++)
                if (e->entering[loopback] && may_help(p, i, s, loopback))
                        entering[loopback] = e->entering[loopback];
        if (ports ? !entering[0] && !entering[1] : !may_help(p, i, s, false))
                return false;
        decision_begin(d, kind, i);
        evidence_set(&d->evidence, first, &s->reading[first->metric], greater(first, entering[0], entering[1]), s);
        evidence_set_culprit(&d->evidence, rule->when, rule->n_when, s);
        return true;
}

/* The first metric of `abort` of which too little is known in the minute before; NULL: none, or observe mode, in which
 * no harm can come. */
static const char *find_unwatched(const struct policy *p, unsigned i, const struct snapshot *s)
{
        const struct rule *rule = &p->config->rule[i];
        struct mean before;

        for (unsigned k = 0; k < rule->n_abort && !observes(p, i); k++)
                if (!abort_before(rule->abort[k].metric, &p->state[i].abort[k], s->now, &before))
                        return metric_name(rule->abort[k].metric, &p->config->counters);
        return NULL;
}

/* True if the decision may change this sysctl: an entry takes sysctls that the rule does not hold, a step raises or
 * lowers those that it holds. */
static bool is_about(const struct policy *p, const struct decision *d, const struct action *action)
{
        bool holds = rule_holds(p, d->rule, action->sysctl);

        return d->kind == DECISION_ENTER ? !holds : holds && action_steps(action);
}

/* Fills in the next value of each action; leaves out actions that have nothing left to do. */
static void fill_enter(const struct policy *p, const struct snapshot *s, struct decision *d)
{
        const struct rule *rule = &p->config->rule[d->rule];

        d->unwatched = find_unwatched(p, d->rule, s);
        for (unsigned k = 0; k < rule->n_actions; k++) {
                const struct action *action = &rule->action[k];
                const struct held *held = held_of(p, d->rule, action->sysctl);
                const struct sysctl_bounds *bounds = &p->config->bounds[action->sysctl];
                bool joins = held->rules != 0 && !action_steps(action);
                const struct sysctl_value *before = held->rules != 0 ? &held->value : &s->sysctl[action->sysctl].value;

                if (!is_about(p, d, action))
                        continue;
                if (superseding_rule(p, d->rule, k) != RULE_NONE)
                        continue;
                if (p->held[action->sysctl].foreign || (!joins && action_has_effect(action, bounds, s, before, false)))
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

/* Finds a rule that raises or lowers a sysctl and is due for another step: its cause lasts, and `every` and
 * min_interval have passed since the last one. */
static bool find_stepping(const struct policy *p, const struct snapshot *s, struct decision *d)
{
        for (unsigned i = 0; i < p->config->n_rules; i++) {
                const struct rule *rule = &p->config->rule[i];
                const struct rule_state *state = &p->state[i];
                uint64_t every = MAX(rule->every_ns, p->config->min_interval_ns);

                if (!state->active || !rule_steps(rule) || !may_try(state, s) || s->now - state->stepped_at < every ||
                    !find_cause(p, i, s, DECISION_STEP, d))
                        continue;
                fill_enter(p, s, d);
                if (d->n > 0)
                        return true;
        }
        return false;
}

static bool find_entering(const struct policy *p, const struct snapshot *s, struct decision *d)
{
        for (unsigned i = 0; i < p->config->n_rules; i++)
                if (rule_may_enter(p, i) && may_try(&p->state[i], s) && rule_is_available(p, i, s) &&
                    find_cause(p, i, s, DECISION_ENTER, d)) {
                        fill_enter(p, s, d);
                        if (d->n > 0 || !p->state[i].active)
                                return true;
                }
        return false;
}

bool policy_decide(struct policy *p, const struct snapshot *s, bool paused, struct decision *ret)
{
        return find_overridden(p, s, ret) ||
               (!paused && (find_leaving(p, s, ret) || find_stepping(p, s, ret) || find_entering(p, s, ret)));
}
