/* SPDX-License-Identifier: MIT */
#include "lib/config/rule_text.h"

#include <inttypes.h>
#include <stdio.h>

#include "lib/util/macro.h"

const char *number_with_unit_format(double number, unsigned metric, const struct counters *counters,
                                    char buf[static DURATION_TEXT_MAX])
{
        snprintf(buf, DURATION_TEXT_MAX, "%.10g%s", number, unit_suffix(metric_unit(metric, counters)));
        return buf;
}

const char *duration_format(uint64_t ns, char buf[static DURATION_TEXT_MAX])
{
        static const struct {
                uint64_t ns;
                const char *unit;
        } rows[] = {{3600 * NSEC_PER_SEC, "h"}, {60 * NSEC_PER_SEC, "min"}, {NSEC_PER_SEC, "s"}};

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++)
                if (ns % rows[i].ns == 0 && (ns > 0 || i + 1 == ELEMENTSOF(rows))) {
                        snprintf(buf, DURATION_TEXT_MAX, "%" PRIu64 "%s", ns / rows[i].ns, rows[i].unit);
                        return buf;
                }
        snprintf(buf, DURATION_TEXT_MAX, "%" PRIu64 "ms", ns / NSEC_PER_MSEC);
        return buf;
}

const char *condition_format(const struct condition *c, const char *time_word, const struct counters *counters,
                             char buf[static RULE_TEXT_MAX])
{
        char number[DURATION_TEXT_MAX], time[DURATION_TEXT_MAX];

        snprintf(buf, RULE_TEXT_MAX, "%s %s %s%s%s%s%s", metric_name(c->metric, counters), comparison_text(c->op),
                 number_with_unit_format(c->number, c->metric, counters, number), c->time_ns > 0 ? " " : "",
                 c->time_ns > 0 ? time_word : "", c->time_ns > 0 ? " " : "",
                 c->time_ns > 0 ? duration_format(c->time_ns, time) : "");
        return buf;
}

const char *abort_format(const struct abort_condition *abort, const struct counters *counters,
                         char buf[static RULE_TEXT_MAX])
{
        char time[DURATION_TEXT_MAX];

        snprintf(buf, RULE_TEXT_MAX, "%s > %gx before within %s", metric_name(abort->metric, counters),
                 abort->multiple, duration_format(abort->within_ns, time));
        return buf;
}

const char *action_format(const struct action *action, char buf[static RULE_TEXT_MAX])
{
        const char *name = sysctl_table[action->sysctl].name;
        char value[SYSCTL_TEXT_MAX];

        sysctl_format(&action->value, value);
        if (action->kind == ACTION_SET)
                snprintf(buf, RULE_TEXT_MAX, "%s = %s", name, value);
        else
                snprintf(buf, RULE_TEXT_MAX, "%s %c%g %s %s", name, action->kind == ACTION_RAISE ? 'x' : '/',
                         action->factor, action->kind == ACTION_RAISE ? "max" : "min", value);
        return buf;
}
