/* SPDX-License-Identifier: MIT */
/* Compares one condition with a value, or with the two ends between which the value lies. */

#include <math.h>

#include "lib/policy/evaluate.h"

struct clock clock_after(const struct clock *clock, enum truth truth, uint64_t time_ns, const struct elapsed *t)
{
        struct clock next = t->gap > time_ns ? (struct clock){0} : *clock;

        if (truth == UNKNOWN)
                clock_pause(&next);
        else
                clock_run(&next, truth == YES, t->ns);
        return next;
}

double destination_value(const struct condition *c, const struct destination *d)
{
        struct ports_range range = ports_value(d, c->metric);

        return c->op == LESS || c->op == LESS_EQUAL ? range.upper : range.lower;
}

enum truth destination_holds(const struct condition *c, const struct destination *d)
{
        double value = destination_value(c, d);

        if (isnan(value))
                return UNKNOWN;
        return comparison_holds(c->op, value, c->number) ? YES : NO;
}

static enum truth bounded_holds(const struct condition *c, const struct reading *r)
{
        bool low = comparison_holds(c->op, r->value, c->number), high = comparison_holds(c->op, r->upper, c->number);

        if (low != high || (r->value < r->upper && (c->op == EQUAL || c->op == NOT_EQUAL)))
                return UNKNOWN;
        return low ? YES : NO;
}

enum truth reading_holds(const struct condition *c, const struct reading *r)
{
        if (r->state == READING_BOUNDED)
                return bounded_holds(c, r);
        if (r->state != READING_VALID)
                return UNKNOWN;
        return comparison_holds(c->op, r->value, c->number) ? YES : NO;
}

enum truth some_may_hold(const struct condition *c, const struct reading *r)
{
        return r->state == READING_BOUNDED && bounded_holds(c, r) == NO ? NO : UNKNOWN;
}

enum truth all_hold(const struct condition *c, const struct reading *r)
{
        return r->state == READING_BOUNDED && bounded_holds(c, r) == YES ? YES : UNKNOWN;
}

/* A ports.* condition without a destination has no culprit: the one in the snapshot belongs to the host's busiest
 * destination, and the rule may be about other destinations only. */
static bool has_culprit(const struct condition_evaluation *e, unsigned metric)
{
        return !e->destination && metric < METRIC_COUNT && !metric_is_ports(metric) &&
               e->reading.state == READING_VALID;
}

const char *condition_whose(const struct condition_evaluation *e, unsigned metric, const struct snapshot *s,
                            char buf[static DESTINATION_NAME_MAX])
{
        if (e->destination)
                return destination_name(&e->destination->key, buf);
        return has_culprit(e, metric) ? s->endpoint[metric] : "";
}

const char *condition_unit(const struct condition_evaluation *e, unsigned metric, const struct snapshot *s)
{
        return has_culprit(e, metric) ? s->culprit[metric] : "";
}
