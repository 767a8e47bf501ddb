/* SPDX-License-Identifier: MIT */
#include "lib/audit/exposition.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/audit/advice.h"
#include "lib/util/macro.h"

#define NAME_MAX_ 96
#define PERCENT 100.0

struct text {
        char *buf;
        size_t n, size;
        bool full;
        const char *netns;
};

/* A family that is not in the table of metrics. */
struct family {
        const char *name, *type, *help;
        void (*put)(struct text *t, const struct exposition *e, const struct family *family);
        unsigned of; /* the argument of put(): a metric, a ledger state or a constant below */
};

struct label {
        const char *name, *value;
};

static void _printf_(2, 3) put(struct text *t, const char *format, ...)
{
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(t->buf + t->n, t->size - t->n, format, args);
        va_end(args);
        if (n < 0 || (size_t)n >= t->size - t->n)
                t->full = true;
        else
                t->n += (size_t)n;
}

/* Writes "?" for a control or non-ASCII character: a label must be UTF-8, and any user can name a cgroup. */
static void put_label(struct text *t, char before, const char *name, const char *value)
{
        put(t, "%c%s=\"", before, name);
        for (const char *c = value; *c; c++)
                put(t, "%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c >= 0x20 && *c < 0x7f ? *c : '?');
        put(t, "\"");
}

/* Leaves out labels with an empty value: to Prometheus they mean the same as no label. */
static void put_sample(struct text *t, const char *name, const struct label *label, unsigned n, double value)
{
        const struct label netns = {"netns", t->netns};
        char before = '{';

        put(t, "%s", name);
        for (unsigned i = 0; i <= n; i++) {
                const struct label *l = i < n ? &label[i] : &netns;

                if (l->value[0] == 0)
                        continue;
                put_label(t, before, l->name, l->value);
                before = ',';
        }
        put(t, "%s ", before == '{' ? "" : "}");
        if (isinf(value))
                put(t, "%sInf\n", value < 0 ? "-" : "+");
        else
                put(t, "%.13g\n", value);
}

static void put_one(struct text *t, const struct family *f, const char *label, const char *value, double number)
{
        put_sample(t, f->name, &(struct label){label, value}, 1, number);
}

static void put_info(struct text *t, const struct exposition *e, const struct family *f)
{
        char config[20];
        const struct label label[] = {
                {"version", e->version}, {"config", config}, {"mode", e->config->observe ? "observe" : "enforce"}};

        snprintf(config, sizeof(config), "%016" PRIx64, config_values_hash(&e->config->values));
        put_sample(t, f->name, label, ELEMENTSOF(label), 1);
}

static void put_degraded(struct text *t, const struct exposition *e, const struct family *f)
{
        put_sample(t, f->name, NULL, 0, e->degraded);
}

static void put_observed_at(struct text *t, const struct exposition *e, const struct family *f)
{
        if (e->observed_at > 0)
                put_sample(t, f->name, NULL, 0, e->observed_at);
}

enum {
        AVAILABLE,
        ACTIVE, /* only for rules that are available */
};

static void put_rules(struct text *t, const struct exposition *e, const struct family *f)
{
        for (unsigned i = 0; i < e->config->n_rules; i++) {
                const struct rule *rule = &e->config->rule[i];
                bool available = !policy_is_unavailable(e->policy, i);

                if (!rule->disabled && (available || f->of == AVAILABLE))
                        put_one(t, f, "rule", rule->name,
                                f->of == AVAILABLE ? available : policy_is_active(e->policy, i));
        }
}

/* True if a rule can change the sysctl, or the ledger has an entry for it. */
static bool is_concerned(const struct exposition *e, enum sysctl_id id)
{
        return e->ledger->entry[id].state != LEDGER_NONE || config_rule_of(e->config, id);
}

static void put_ledger_state(struct text *t, const struct exposition *e, const struct family *f)
{
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                if (is_concerned(e, id))
                        put_one(t, f, "sysctl", sysctl_table[id].name, e->ledger->entry[id].state == f->of);
}

/* Frequent outcomes are there from the start, as 0, so that rate() counts the first one as well; a rare one appears
 * when it first happens. */
static void put_changes(struct text *t, const struct exposition *e, const struct family *f)
{
        static const bool frequent[OUTCOME_COUNT] = {
                [OUTCOME_APPLIED] = true, [OUTCOME_RESTORED] = true, [OUTCOME_FAILED] = true};

        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                for (unsigned k = 0; k < OUTCOME_COUNT; k++) {
                        const struct label label[] = {{"sysctl", sysctl_table[id].name}, {"result", outcome_name(k)}};

                        if (e->logged[id][k] > 0 || (frequent[k] && is_concerned(e, id)))
                                put_sample(t, f->name, label, ELEMENTSOF(label), (double)e->logged[id][k]);
                }
}

/* Leaves out destinations below the noise floor: they show no pressure, and their series would come and go. */
static unsigned worst_groups(const struct snapshot *s, const struct destination *ret[static EXPOSITION_GROUPS])
{
        unsigned n = 0;

        if (ports_valid(s))
                n = ports_most_busy(s->ports, ret, EXPOSITION_GROUPS);
        while (n > 0 && ports_busyness(ret[n - 1]) < metric_table[METRIC_PORTS_DEMAND].floor)
                n--;
        return n;
}

static void put_groups(struct text *t, const struct exposition *e, const struct family *f)
{
        const struct destination *worst[EXPOSITION_GROUPS];
        unsigned n = worst_groups(e->snapshot, worst);
        char group[DESTINATION_NAME_MAX];

        for (unsigned i = 0; i < n; i++)
                put_one(t, f, "group", destination_name(&worst[i]->key, group),
                        ports_value(worst[i], f->of).lower / PERCENT);
}

/* Fills in the labels "destination" and "source" from a destination's name, SOURCE->DESTINATION. The labels borrow
 * name and source. */
static void split_name(const char *name, struct label label[static 2], char source[static DESTINATION_NAME_MAX])
{
        const char *arrow = strstr(name, "->");

        snprintf(source, DESTINATION_NAME_MAX, "%.*s", arrow ? (int)(arrow - name) : 0, name);
        label[0] = (struct label){"destination", arrow ? arrow + 2 : name};
        label[1] = (struct label){"source", source};
}

unsigned exposition_fullest(const struct ports *ports, struct exposition_destination ret[static EXPOSITION_GROUPS])
{
        const struct destination *busy[EXPOSITION_GROUPS];
        unsigned n = ports_most_busy(ports, busy, EXPOSITION_GROUPS);

        for (unsigned i = 0; i < n; i++) {
                ret[i].cgroup = busy[i]->cgroup;
                ret[i].ports = ports_fuller_parity(ports, busy[i]);
                destination_name(&busy[i]->key, ret[i].name);
        }
        return n;
}

enum {
        USED,
        LIMIT,
};

static void put_destinations(struct text *t, const struct exposition *e, const struct family *f)
{
        char source[DESTINATION_NAME_MAX];

        for (unsigned i = 0; i < e->n_fullest; i++) {
                const struct exposition_destination *d = &e->fullest[i];
                struct label label[] = {{"", ""}, {"", ""}, {"unit", e->find_unit(e->user, d->cgroup)}};

                split_name(d->name, label, source);
                put_sample(t, f->name, label, ELEMENTSOF(label), f->of == USED ? d->ports.used : d->ports.limit);
        }
}

static void put_fullest_at(struct text *t, const struct exposition *e, const struct family *f)
{
        if (e->fullest_at > 0)
                put_sample(t, f->name, NULL, 0, e->fullest_at);
}

static void put_episodes(struct text *t, const struct exposition *e, const struct family *f)
{
        for (unsigned i = 0; i < e->config->n_rules; i++)
                if (!e->config->rule[i].disabled)
                        put_one(t, f, "rule", e->config->rule[i].name, (double)e->counters->episodes[i]);
}

static void put_advice(struct text *t, const struct exposition *e, const struct family *f)
{
        struct advice list[RULES_MAX];
        unsigned n = advice_list(e->config, e->policy, e->snapshot, e->episodes, list);
        char name[DESTINATION_NAME_MAX], source[DESTINATION_NAME_MAX];

        for (unsigned i = 0; i < n; i++) {
                const struct advice *a = &list[i];
                const char *whose = advice_whose(a, e->snapshot, name);
                const char *unit = advice_unit(a, e->snapshot, e->find_unit(e->user, advice_cgroup(a)));
                struct label label[] = {{"rule", e->config->rule[a->rule].name},
                                        {"destination", ""},
                                        {"source", ""},
                                        {"listener", ""},
                                        {"unit", unit}};

                if (strstr(whose, "->"))
                        split_name(whose, &label[1], source);
                else
                        label[3].value = whose;
                put_sample(t, f->name, label, ELEMENTSOF(label), 1);
        }
}

static void put_header(struct text *t, const char *name, const char *type, const char *help)
{
        put(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* clang-format off */
static const struct family families[] = {
        {"twtuned_info", "gauge", "always 1; the label config is a hash of the whole configuration", put_info, 0},
        {"twtuned_degraded", "gauge", "1: a part of twtuned fails, see its status", put_degraded, 0},
        {"twtuned_last_observation_timestamp_seconds", "gauge", "when everything could last be read",
         put_observed_at, 0},
        {"twtuned_rule_available", "gauge", "0: this kernel or network namespace lacks what the rule needs",
         put_rules, AVAILABLE},
        {"twtuned_rule_active", "gauge", "1: the rule is active; in observe mode: it would be", put_rules, ACTIVE},
        {"twtuned_episodes_total", "counter", "how often the rule became active", put_episodes, 0},
        {"twtuned_advice", "gauge", "1: a person has to do something, see twtunectl advice", put_advice, 0},
        {"twtuned_sysctl_held", "gauge", "1: changed by twtuned, which restores it", put_ledger_state, LEDGER_HELD},
        {"twtuned_sysctl_overridden", "gauge",
         "1: twtuned leaves it alone, as another program changed it or a person released it", put_ledger_state,
         LEDGER_FOREIGN},
        {"twtuned_sysctl_changes_total", "counter", "logged changes, by their RESULT", put_changes, 0},
        {"twtuned_group_forecast_ratio", "gauge", "ports.forecast of the worst destinations", put_groups,
         METRIC_PORTS_FORECAST},
        {"twtuned_group_demand_ratio", "gauge", "ports.demand of the worst destinations", put_groups,
         METRIC_PORTS_DEMAND},
        {"twtuned_group_cliff_ratio", "gauge", "ports.cliff of the worst destinations", put_groups,
         METRIC_PORTS_CLIFF},
        {"twtuned_destination_ports_used", "gauge", "local ports of one parity in use toward the fullest destinations",
         put_destinations, USED},
        {"twtuned_destination_ports_limit", "gauge", "local ports of one parity that connect() may pick",
         put_destinations, LIMIT},
        {"twtuned_destinations_timestamp_seconds", "gauge", "when the ports of the destinations were counted",
         put_fullest_at, 0},
};
/* clang-format on */

/* The divisor that gives Prometheus' base unit, and the suffix of the name. */
static const struct {
        const char *suffix;
        double divisor;
} base_units[] = {
        [UNIT_COUNT] = {"", 1},
        [UNIT_PERCENT] = {"_ratio", PERCENT},
        [UNIT_PER_SECOND] = {"_per_second", 1},
        [UNIT_PER_MINUTE] = {"_per_second", 60},
        [UNIT_SECONDS] = {"_seconds", 1},
        [UNIT_BYTES] = {"_bytes", 1},
};

/* Writes a name such as "twtuned_ports_cliff_ratio". */
static void family_name(const struct metric *m, const char *suffix, char name[static NAME_MAX_])
{
        snprintf(name, NAME_MAX_, "twtuned_%s%s", m->name, suffix);
        for (char *dot = name; (dot = strchr(dot, '.'));)
                *dot = '_';
}

/* The destination of a ports.* metric is no label here: destinations have families of their own. */
static void put_metric(struct text *t, const struct exposition *e, unsigned metric)
{
        const struct metric *m = &metric_table[metric];
        const struct reading *r = &e->snapshot->reading[metric];
        double value = r->value / base_units[m->unit].divisor;
        const struct label label[] = {{"listener", metric_is_ports(metric) ? "" : e->snapshot->endpoint[metric]},
                                      {"unit", metric_is_ports(metric) ? "" : e->snapshot->culprit[metric]}};
        char name[NAME_MAX_];

        family_name(m, base_units[m->unit].suffix, name);
        put_header(t, name, "gauge", m->help);
        if (r->state == READING_VALID && !isnan(value))
                put_sample(t, name, label, ELEMENTSOF(label), value);
}

/* Adds the total of a rate per second. */
static void put_total(struct text *t, const struct exposition *e, unsigned metric)
{
        const struct metric *m = &metric_table[metric];
        char name[NAME_MAX_];

        if (m->unit != UNIT_PER_SECOND)
                return;
        family_name(m, "_total", name);
        put_header(t, name, "counter", m->help);
        if (e->counters->counted[metric])
                put_sample(t, name, NULL, 0, (double)e->counters->metric[metric]);
}

ssize_t exposition_format(const struct exposition *e, char *buf, size_t size)
{
        struct text t = {.buf = buf, .size = size, .netns = e->netns};

        for (const struct family *f = families; f < families + ELEMENTSOF(families); f++) {
                put_header(&t, f->name, f->type, f->help);
                f->put(&t, e, f);
        }
        for (unsigned i = 0; i < METRIC_COUNT; i++) {
                put_metric(&t, e, i);
                put_total(&t, e, i);
        }
        return t.full ? -ENOBUFS : (ssize_t)t.n;
}
