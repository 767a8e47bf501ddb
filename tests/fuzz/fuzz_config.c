/* SPDX-License-Identifier: MIT */
/* A whole configuration file. One that is accepted can be written back from what is in effect, and is the same. */

#include <stdio.h>

#include "lib/config/config.h"
#include "lib/policy/policy.h"
#include "text.h"

static void print_conditions(FILE *f, const char *key, const struct condition *list, unsigned n,
                             const struct counters *counters)
{
        for (unsigned i = 0; i < n; i++)
                fprintf(f, "%s %s %s %.17g %llu\n", key, metric_name(list[i].metric, counters),
                        comparison_text(list[i].op), list[i].number, (unsigned long long)list[i].time_ns);
}

static int by_text(const void *a, const void *b)
{
        return strcmp(a, b);
}

/* In an order of their own: that of the configuration counts units that were cleared again. */
static void print_units(FILE *f, const struct config *config, uint32_t units)
{
        char name[UNITS_MAX][CGROUP_UNIT_MAX];
        unsigned n = 0;

        for (unsigned i = 0; i < config->unit_names.n; i++)
                if (units >> i & 1)
                        strcpy(name[n++], config->unit_names.name[i]);
        qsort(name, n, sizeof(name[0]), by_text);
        for (unsigned i = 0; i < n; i++)
                fprintf(f, "unit %s\n", name[i]);
}

static void print_rule(FILE *f, const struct config *config, const struct rule *r)
{
        char value[SYSCTL_TEXT_MAX];

        fprintf(f, "[%s] %s|%s|%s|%d%d %llu %llu\n", r->name, r->description ? r->description : "",
                r->advise ? r->advise : "", r->after_name, r->disabled, r->keep, (unsigned long long)r->retry_ns,
                (unsigned long long)r->every_ns);
        print_units(f, config, r->units);
        print_conditions(f, "when", r->when, r->n_when, &config->counters);
        print_conditions(f, "until", r->until, r->n_until, &config->counters);
        print_conditions(f, "expect", &r->expect, r->has_expect, &config->counters);
        for (unsigned kind = ACTION_SET; kind <= ACTION_LOWER; kind++)
                for (unsigned i = 0; i < r->n_actions; i++)
                        if (r->action[i].kind == kind)
                                fprintf(f, "%u %s %.17g %s\n", kind, sysctl_table[r->action[i].sysctl].name,
                                        r->action[i].factor, sysctl_format(&r->action[i].value, value));
        for (unsigned i = 0; i < r->n_abort; i++)
                fprintf(f, "abort %s %.17g %llu\n", metric_name(r->abort[i].metric, &config->counters),
                        r->abort[i].multiple, (unsigned long long)r->abort[i].within_ns);
}

static int by_name(const void *a, const void *b)
{
        const struct rule *const *x = a, *const *y = b;

        return strcmp((*x)->name, (*y)->name);
}

/* All that a configuration means, wherever it was written. */
static char *describe(const struct config *config)
{
        const struct rule *rule[RULES_MAX];
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        fprintf(f, "%llu %d %d %.17g %.17g %llu\n", (unsigned long long)config->interval_ns, config->observe,
                config->restore_on_exit, config->cpu_budget, config->changes_per_minute,
                (unsigned long long)config->min_interval_ns);
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                fprintf(f, "%lld-%lld ", (long long)config->bounds[id].min, (long long)config->bounds[id].max);
        for (unsigned i = 0; i < config->n_rules; i++)
                rule[i] = &config->rule[i];
        qsort(rule, config->n_rules, sizeof(rule[0]), by_name);
        for (unsigned i = 0; i < config->n_rules; i++)
                print_rule(f, config, rule[i]);
        fclose(f);
        return text;
}

/* As a file, from what `twtuned --check --verbose` shows. */
static char *write_back(const struct config *config)
{
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        for (size_t i = 0; i < config->values.n; i++) {
                const struct config_value *v = &config->values.item[i];

                fprintf(f, "[%s]\n%s=%s\n", v->section, v->key, v->text);
        }
        fclose(f);
        return text;
}

static struct config *read_text(const char *text, size_t size, struct diagnostics *diagnostics)
{
        struct config *config = config_new();

        config_read(config, "f", text, size, NULL, diagnostics);
        config_check(config, diagnostics);
        return config;
}

static void check_diagnostics(struct diagnostics *diagnostics, const char *text, size_t size)
{
        unsigned lines = 1, last = 0;

        for (size_t i = 0; i < size; i++)
                lines += text[i] == '\n';
        diagnostics_sort(diagnostics);
        for (size_t i = 0; i < diagnostics->n; i++) {
                assert(*diagnostics->item[i].text && diagnostics->item[i].at.line <= lines &&
                       diagnostics->item[i].at.line >= last);
                last = diagnostics->item[i].at.line;
        }
}

static void check_values(const struct config *config)
{
        char reason[256];

        assert(config->interval_ns >= 100 * NSEC_PER_MSEC && config->interval_ns <= 60 * NSEC_PER_SEC);
        assert(config->cpu_budget >= 0.1 && config->cpu_budget <= 100);
        assert(config->changes_per_minute >= 1 && config->changes_per_minute <= 600);
        for (unsigned i = 0; i < config->n_rules; i++) {
                const struct rule *r = &config->rule[i];

                assert(!r->faulty && r->n_when > 0 && (r->n_actions > 0 || r->advise));
                assert(r->after == RULE_NONE || r->after < config->n_rules);
                for (unsigned k = 0; k < r->n_actions; k++)
                        assert(sysctl_check(r->action[k].sysctl, &r->action[k].value, reason, sizeof(reason)) == 0);
        }
}

/* Nothing could be read, so nothing is decided. */
static void check_policy(const struct config *config)
{
        static struct snapshot s;
        struct decision decision;
        struct policy *policy = policy_new(config);

        if (!s.ports)
                s.ports = ports_new(1);
        s.now += 1000 * NSEC_PER_SEC;
        policy_evaluate(policy, &s);
        policy_advance(policy, &s);
        assert(!policy_decide(policy, &s, false, &decision));
        policy_free(policy);
}

static void check_accepted(const struct config *config)
{
        struct diagnostics diagnostics = {0};
        char *text = write_back(config), *meaning = describe(config), *meaning_again;
        struct config *again = read_text(text, strlen(text), &diagnostics);

        assert(diagnostics.n == 0);
        meaning_again = describe(again);
        assert(strcmp(meaning, meaning_again) == 0);
        check_values(config);
        check_policy(config);
        config_free(again);
        free(meaning_again);
        free(meaning);
        free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct diagnostics diagnostics = {0};
        struct config *config = read_text((const char *)data, size, &diagnostics);

        if (diagnostics.n == 0)
                check_accepted(config);
        check_diagnostics(&diagnostics, (const char *)data, size);
        diagnostics_free(&diagnostics);
        config_free(config);
        return 0;
}
