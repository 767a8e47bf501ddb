/* SPDX-License-Identifier: MIT */
/* The current changes and the destinations they are for, the current advice, and the busiest destinations. */
#include <math.h>

#include "daemon/bus/describe.h"
#include "lib/audit/advice.h"

#define DESTINATIONS_MAX 10u

/* ---- advice ---- */

static void describe_one_advice(struct json *j, const struct tuner *t, const struct advice *a)
{
        const struct rule *rule = &t->config->rule[a->rule];
        const char *metric_suffix = unit_suffix(metric_unit(a->condition->metric, &t->config->counters));
        const char *of_cgroup = t->backend->find_unit(t->backend, advice_cgroup(a));
        char name[DESTINATION_NAME_MAX], text[ADVICE_TEXT_MAX];
        const char *whose = advice_whose(a, &t->snapshot, name), *unit = advice_unit(a, &t->snapshot, of_cgroup);

        json_open_object(j, NULL);
        json_add_text(j, "rule", rule->name);
        json_add_text(j, "description", rule->description);
        describe_text(j, "whose", whose);
        describe_text(j, "systemd_unit", unit);
        json_add_text(j, "metric", metric_name(a->condition->metric, &t->config->counters));
        describe_reading(j, &a->now->reading);
        json_add_text(j, "unit", metric_suffix);
        describe_seconds(j, "since", a->since > 0 ? t->snapshot.now - a->since : UINT64_MAX);
        json_add_text(j, "text", advice_text(rule, whose, unit, text));
        json_close_object(j);
}

static void describe_advice(struct json *j, const struct tuner *t)
{
        struct advice list[RULES_MAX];
        unsigned n = advice_list(t->config, t->policy, &t->snapshot, &t->audit.episodes, list);

        json_open_array(j, "advice");
        for (unsigned i = 0; i < n; i++)
                describe_one_advice(j, t, &list[i]);
        json_close_array(j);
}

/* ---- changes ---- */

/* Returns the rule that made the change: the first that holds the sysctl, or the one that the ledger names. */
static const char *rule_of(const struct tuner *t, enum sysctl_id id)
{
        uint64_t rules = policy_holders(t->policy, id);

        return rules != 0 ? t->config->rule[__builtin_ctzll(rules)].name : t->apply.ledger.entry[id].rule;
}

/* Adds the effect of a change at its destination: how many new connections take a port in TIME_WAIT, and how many get
 * no answer. */
static void describe_effect_now(struct json *j, const struct tuner *t, const struct episode *e)
{
        const struct destination *d =
                e && ports_valid(&t->snapshot) ? ports_find(t->snapshot.ports, e->evidence.destination_id) : NULL;
        double reused = d ? ports_value(d, METRIC_PORTS_REUSED).lower : (double)NAN;
        double made = d ? d->last_second : (double)NAN;

        json_add_number(j, "reused", reused);
        json_add_number(j, "connects_per_second", made);
        json_add_number(j, "reused_per_second", made * reused / 100);
        json_add_number(j, "unanswered", d ? d->unanswered : (double)NAN);
}

static void describe_change(struct json *j, const struct tuner *t, enum sysctl_id id)
{
        const struct ledger_entry *entry = &t->apply.ledger.entry[id];
        bool would = t->config->observe && policy_holds(t->policy, id);
        const struct sysctl_value *now = would ? policy_value(t->policy, id) : &entry->written;
        const struct sysctl_value *was = would ? &t->snapshot.sysctl[id].value : &entry->original;
        const char *rule = rule_of(t, id);
        const struct episode *e = episodes_current(&t->audit.episodes, rule);
        uint64_t since = e ? e->begun : would ? 0 : entry->at;
        char text[SYSCTL_TEXT_MAX];

        json_open_object(j, NULL);
        json_add_text(j, "sysctl", sysctl_table[id].name);
        json_add_text(j, "was", sysctl_format(was, text));
        json_add_text(j, "now", sysctl_format(now, text));
        json_add_text(j, "rule", rule);
        json_add_bool(j, "would", would);
        json_add_bool(j, "left", !would && !policy_holds(t->policy, id));
        describe_text(j, "destination", e ? e->evidence.destination : "");
        describe_text(j, "systemd_unit", e ? e->culprit : "");
        describe_seconds(j, "since", since > 0 ? t->snapshot.now - since : UINT64_MAX);
        describe_effect_now(j, t, e);
        json_close_object(j);
}

static void describe_changes(struct json *j, const struct tuner *t)
{
        json_open_array(j, "changes");
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                if (t->apply.ledger.entry[id].state == LEDGER_HELD || policy_holds(t->policy, id))
                        describe_change(j, t, id);
        json_close_array(j);
}

/* ---- destinations ---- */

static void describe_destination(struct json *j, const struct tuner *t, const struct destination *d)
{
        char name[DESTINATION_NAME_MAX];
        struct parity_ports fuller = ports_fuller_parity(t->snapshot.ports, d);

        json_open_object(j, NULL);
        json_add_text(j, "name", destination_name(&d->key, name));
        describe_text(j, "systemd_unit", t->backend->find_unit(t->backend, d->cgroup));
        json_add_text(j, "parity", fuller.odd ? "odd" : "even");
        json_add_number(j, "parity_used", fuller.used);
        json_add_number(j, "parity_reusable", d->reusable[fuller.odd]);
        json_add_number(j, "parity_limit", fuller.limit);
        json_add_number(j, "connects_per_second", d->last_second);
        json_add_bool(j, "connect_fails", ports_value(d, METRIC_PORTS_EXHAUSTION).lower >= 100);
        for (unsigned metric = METRIC_PORTS_FIRST; metric <= METRIC_PORTS_LAST; metric++)
                json_add_number(j, metric_table[metric].name, ports_value(d, metric).lower);
        json_close_object(j);
}

/* Adds the busiest destinations of the last dump, however old it is. */
static void describe_destinations(struct json *j, const struct tuner *t)
{
        const struct destination *busy[DESTINATIONS_MAX];
        uint64_t seen_at = t->snapshot.ports ? ports_seen_at(t->snapshot.ports) : 0;
        unsigned n = 0;

        if (seen_at > 0)
                n = ports_most_busy(t->snapshot.ports, busy, DESTINATIONS_MAX);
        describe_seconds(j, "destinations_seen", seen_at > 0 ? t->snapshot.now - seen_at : UINT64_MAX);
        json_open_array(j, "destinations");
        for (unsigned i = 0; i < n; i++)
                describe_destination(j, t, busy[i]);
        json_close_array(j);
}

void describe_now(struct json *j, const struct tuner *t)
{
        describe_changes(j, t);
        describe_advice(j, t);
        describe_destinations(j, t);
}
