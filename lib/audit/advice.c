/* SPDX-License-Identifier: MIT */
#include "lib/audit/advice.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static double severity(const struct condition *c, const struct condition_evaluation *now)
{
        double value =
                now->reading.state == READING_VALID || now->reading.state == READING_BOUNDED ? now->reading.value : 0;

        if (c->op == LESS || c->op == LESS_EQUAL)
                return value > 0 ? c->number / value : (double)INFINITY;
        return c->number > 0 ? value / c->number : (double)INFINITY;
}

/* The first condition with a destination or a listener, else the first one with a unit, else the first one. */
static unsigned telling_condition(const struct rule *rule, const struct rule_evaluation *e, const struct snapshot *s)
{
        char name[DESTINATION_NAME_MAX];

        for (unsigned k = 0; k < rule->n_when; k++)
                if (condition_whose(&e->when[k], rule->when[k].metric, s, name)[0])
                        return k;
        for (unsigned k = 0; k < rule->n_when; k++)
                if (condition_unit(&e->when[k], rule->when[k].metric, s)[0])
                        return k;
        return 0;
}

/* True if the rule only advises and is active, or if its last change did not help and `retry` has not passed since:
 * later the rule may wait for another reason. */
static bool may_stand(const struct policy *policy, unsigned i, const struct rule *rule,
                      const struct episodes *episodes, uint64_t now)
{
        const struct episode *last;

        if (rule->n_actions == 0)
                return policy_is_active(policy, i);
        last = episodes_last(episodes, rule->name);
        return last && last->end == EPISODE_UNEXPECTED && now - last->ended < rule->retry_ns;
}

static void insert(struct advice *list, unsigned n, const struct advice *advice)
{
        for (; n > 0 && list[n - 1].severity < advice->severity; n--)
                list[n] = list[n - 1];
        list[n] = *advice;
}

unsigned advice_list(const struct config *config, struct policy *policy, const struct snapshot *snapshot,
                     const struct episodes *episodes, struct advice ret[static RULES_MAX])
{
        unsigned n = 0;

        for (unsigned i = 0; i < config->n_rules; i++) {
                const struct rule *rule = &config->rule[i];
                const struct rule_evaluation *e;
                const struct episode *last;
                unsigned k;

                if (!rule->advise || !may_stand(policy, i, rule, episodes, snapshot->now))
                        continue;
                e = policy_evaluate_rule(policy, i, snapshot);
                if (e->standing != (rule->n_actions == 0 ? STANDING_ACTIVE : STANDING_WAITING))
                        continue;
                last = episodes_last(episodes, rule->name);
                k = telling_condition(rule, e, snapshot);
                insert(ret, n++,
                       &(struct advice){
                               .rule = i,
                               .condition = &rule->when[k],
                               .now = &e->when[k],
                               .episode = last,
                               .severity = severity(&rule->when[k], &e->when[k]),
                               .since = !last                  ? 0
                                        : rule->n_actions == 0 ? last->begun
                                                               : last->ended,
                       });
        }
        return n;
}

const char *advice_whose(const struct advice *a, const struct snapshot *s, char buf[static DESTINATION_NAME_MAX])
{
        const char *whose = condition_whose(a->now, a->condition->metric, s, buf);

        return whose[0] || !a->episode ? whose : a->episode->evidence.destination;
}

/* True if the name is safe in a line that people paste. Any user can name a cgroup like an option. */
static bool is_plain_unit(const char *unit)
{
        static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@._-";

        return unit[0] != '-' && strchr(unit, '.') && unit[strspn(unit, plain)] == 0;
}

/* Copies the address of "SOURCE->ADDRESS:PORT" or "ADDRESS:PORT". Returns the port. */
static const char *split_whose(const char *whose, char address[static DESTINATION_NAME_MAX])
{
        const char *arrow = strstr(whose, "->"), *begin = arrow ? arrow + 2 : whose, *colon = strrchr(begin, ':');

        snprintf(address, DESTINATION_NAME_MAX, "%.*s", colon ? (int)(colon - begin) : 0, begin);
        return colon ? colon + 1 : "";
}

const char *advice_text(const struct rule *rule, const char *whose, const char *unit, char buf[static ADVICE_TEXT_MAX])
{
        char address[DESTINATION_NAME_MAX];
        const char *port = split_whose(whose, address);
        const struct {
                const char *word, *text;
        } names[] = {
                {"{unit}", is_plain_unit(unit) ? unit : "UNIT"},
                {"{address}", address[0] ? address : "ADDRESS"},
                {"{port}", port[0] ? port : "PORT"},
        };
        const char *at = rule->advise;

        if (!at)
                return NULL;
        for (size_t n = 0, i; n < ADVICE_TEXT_MAX;) {
                for (i = 0; i < ELEMENTSOF(names) && strncmp(at, names[i].word, strlen(names[i].word)) != 0;)
                        i++;
                if (i < ELEMENTSOF(names)) {
                        n += (size_t)snprintf(buf + n, ADVICE_TEXT_MAX - n, "%s", names[i].text);
                        at += strlen(names[i].word);
                } else if ((buf[n++] = *at++) == 0) {
                        break;
                }
        }
        buf[ADVICE_TEXT_MAX - 1] = 0;
        return buf;
}

uint64_t advice_cgroup(const struct advice *a)
{
        return a->now->destination ? a->now->destination->cgroup : 0;
}

const char *advice_unit(const struct advice *a, const struct snapshot *s, const char *of_cgroup)
{
        const char *unit = condition_unit(a->now, a->condition->metric, s);

        if (!unit[0])
                unit = of_cgroup;
        return unit[0] || !a->episode ? unit : a->episode->culprit;
}
