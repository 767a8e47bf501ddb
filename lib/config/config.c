/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* asprintf() */
#include "lib/config/config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/config/ini_lines.h"
#include "lib/util/macro.h"
#include "lib/util/suggest.h"
#include "lib/util/units.h"

#define BLANKS " \t"

enum section {
        SECTION_NONE, /* before the first one */
        SECTION_SKIPPED,
        SECTION_DAEMON,
        SECTION_LIMITS,
        SECTION_RULE,
};

struct parser {
        struct config *config;
        struct diagnostics *diagnostics;
        struct vocabulary vocabulary;
        struct origin at; /* the line that is being read */
        enum section section;
        char section_name[RULE_NAME_MAX + sizeof("rule ")];
        struct rule *rule;
        size_t diagnostics_before; /* the section at hand */
};

/* A key takes its text to the field at target. It reports what is wrong itself. */
struct key {
        const char *name;
        void (*parse)(struct parser *p, void *target, const char *value);
        size_t offset;
        bool list; /* may be repeated; an empty value clears it */
};

#define fail(p, ...) diagnostic_add((p)->diagnostics, (p)->at, __VA_ARGS__)

static void parse_bool(struct parser *p, void *target, const char *value)
{
        if (strcmp(value, "yes") == 0 || strcmp(value, "no") == 0)
                *(bool *)target = value[0] == 'y';
        else
                fail(p, "'%s' is neither yes nor no", value);
}

static void parse_enabled(struct parser *p, void *target, const char *value)
{
        bool enabled = !*(bool *)target;

        parse_bool(p, &enabled, value);
        *(bool *)target = !enabled;
}

static void parse_mode(struct parser *p, void *target, const char *value)
{
        if (strcmp(value, "enforce") == 0 || strcmp(value, "observe") == 0)
                *(bool *)target = value[0] == 'o';
        else
                fail(p, "'%s' is neither enforce nor observe", value);
}

static void parse_release(struct parser *p, void *target, const char *value)
{
        if (strcmp(value, "restore") == 0 || strcmp(value, "keep") == 0)
                *(bool *)target = value[0] == 'k';
        else
                fail(p, "'%s' is neither restore nor keep", value);
}

static void parse_duration(struct parser *p, void *target, const char *value)
{
        int r = duration_parse(value, target);

        if (r == -ERANGE)
                fail(p, "'%s' is over a year", value);
        else if (r < 0)
                fail(p, "'%s' is no duration: write a number and ms, s, min or h", value);
}

static void parse_interval(struct parser *p, void *target, const char *value)
{
        uint64_t interval = NSEC_PER_SEC;

        parse_duration(p, &interval, value);
        if (interval < 100 * NSEC_PER_MSEC || interval > 60 * NSEC_PER_SEC)
                fail(p, "an interval of '%s' is outside 100ms-1min", value);
        else
                *(uint64_t *)target = interval;
}

static void parse_yield(struct parser *p, void *target, const char *value)
{
        static const char *const words[] = {
                [YIELD_SYSCTL_D] = "sysctl.d",
                [YIELD_NONDEFAULT] = "nondefault",
                [YIELD_NO] = "no",
        };

        for (unsigned i = 0; i < ELEMENTSOF(words); i++)
                if (strcmp(value, words[i]) == 0) {
                        *(enum yield *)target = (enum yield)i;
                        return;
                }
        fail(p, "'%s' is neither sysctl.d, nondefault nor no", value);
}

static void parse_path(struct parser *p, void *target, const char *value)
{
        if (*value && *value != '/')
                fail(p, "'%s' is no absolute path", value);
        else if (strlen(value) >= PATH_MAX)
                fail(p, "a path has at most %d characters", PATH_MAX - 1);
        else
                strcpy(target, value);
}

static void parse_budget(struct parser *p, void *target, const char *value)
{
        double percent;

        if (number_with_unit_parse(value, UNIT_PERCENT, &percent) < 0 || percent < 0.1 || percent > 100)
                fail(p, "'%s' is no share of a core from 0.1%% to 100%%", value);
        else
                *(double *)target = percent;
}

static void parse_changes(struct parser *p, void *target, const char *value)
{
        double n;

        if (number_with_unit_parse(value, UNIT_COUNT, &n) < 0 || n < 1 || n > 600)
                fail(p, "'%s' is no number of changes from 1 to 600", value);
        else
                *(double *)target = n;
}

static void parse_text(struct parser *p, void *target, const char *value)
{
        char *text = *value ? strdup(value) : NULL;

        if (*value && !text)
                fail(p, "out of memory");
        free(*(char **)target);
        *(char **)target = text;
}

/* Lines are short, advice is not: lines add up to one text. */
static void parse_advise(struct parser *p, void *target, const char *value)
{
        char *before = *(char **)target, *text = NULL;

        if (*value && asprintf(&text, "%s%s%s", before ? before : "", before ? " " : "", value) < 0) {
                fail(p, "out of memory");
                text = NULL;
        }
        free(before);
        *(char **)target = text;
}

static void parse_after(struct parser *p, void *target, const char *value)
{
        struct rule *rule = target;

        if (strlen(value) >= sizeof(rule->after_name)) {
                fail(p, "'%s' is too long for a rule's name", value);
                return;
        }
        strcpy(rule->after_name, value);
        rule->after_at = p->at;
}

static void condition_add(struct parser *p, struct condition *list, unsigned *n, const char *value)
{
        if (*value == 0) {
                *n = 0; /* as in systemd: an empty value clears what came before */
                return;
        }
        if (*n == RULE_CONDITIONS_MAX)
                fail(p, "more than %u of this key in one rule", RULE_CONDITIONS_MAX);
        else if (condition_parse(value, "for", p->at, &p->vocabulary, &list[*n], p->diagnostics) == 0)
                ++*n;
}

static void parse_when(struct parser *p, void *target, const char *value)
{
        struct rule *rule = target;

        condition_add(p, rule->when, &rule->n_when, value);
}

static void parse_until(struct parser *p, void *target, const char *value)
{
        struct rule *rule = target;

        condition_add(p, rule->until, &rule->n_until, value);
}

/* An empty value takes away what stood under this key, and leaves what stood under the other two. */
static void actions_clear(struct rule *rule, enum action_kind kind)
{
        unsigned n = 0;

        for (unsigned i = 0; i < rule->n_actions; i++)
                if (rule->action[i].kind != kind)
                        rule->action[n++] = rule->action[i];
        rule->n_actions = n;
}

static void action_add(struct parser *p, struct rule *rule, enum action_kind kind, const char *value)
{
        if (*value == 0)
                actions_clear(rule, kind);
        else if (rule->n_actions == RULE_ACTIONS_MAX)
                fail(p, "more than %u sysctls in one rule", RULE_ACTIONS_MAX);
        else if (action_parse(kind, value, p->at, &rule->action[rule->n_actions], p->diagnostics) == 0)
                rule->n_actions++;
}

static void parse_set(struct parser *p, void *target, const char *value)
{
        action_add(p, target, ACTION_SET, value);
}

static void parse_raise(struct parser *p, void *target, const char *value)
{
        action_add(p, target, ACTION_RAISE, value);
}

static void parse_lower(struct parser *p, void *target, const char *value)
{
        action_add(p, target, ACTION_LOWER, value);
}

static void parse_expect(struct parser *p, void *target, const char *value)
{
        struct rule *rule = target;

        rule->has_expect = false;
        if (*value == 0)
                return;
        if (condition_parse(value, "within", p->at, &p->vocabulary, &rule->expect, p->diagnostics) < 0)
                return;
        if (rule->expect.time_ns == 0)
                fail(p, "expect needs a time: write '%s within DURATION'", value);
        else if (metric_is_ports(rule->expect.metric))
                fail(p, "expect asks for the trace that the sysctl leaves, a metric of the host");
        rule->has_expect = true;
}

static void parse_abort(struct parser *p, void *target, const char *value)
{
        struct rule *rule = target;

        if (*value == 0)
                rule->n_abort = 0;
        else if (rule->n_abort == RULE_ABORTS_MAX)
                fail(p, "more than %u abort conditions in one rule", RULE_ABORTS_MAX);
        else if (abort_parse(value, p->at, &p->vocabulary, &rule->abort[rule->n_abort], p->diagnostics) == 0)
                rule->n_abort++;
}

static const struct key daemon_keys[] = {
        {"interval", parse_interval, offsetof(struct config, interval_ns), false},
        {"mode", parse_mode, offsetof(struct config, observe), false},
        {"cpu_budget", parse_budget, offsetof(struct config, cpu_budget), false},
        {"restore_on_exit", parse_bool, offsetof(struct config, restore_on_exit), false},
        {"yield", parse_yield, offsetof(struct config, yield), false},
        {"metrics_file", parse_path, offsetof(struct config, metrics_file), false},
        {0},
};

static const struct key limits_keys[] = {
        {"changes_per_minute", parse_changes, offsetof(struct config, changes_per_minute), false},
        {"min_interval", parse_duration, offsetof(struct config, min_interval_ns), false},
        {0},
};

static const struct key rule_keys[] = {
        {"description", parse_text, offsetof(struct rule, description), false},
        {"advise", parse_advise, offsetof(struct rule, advise), true},
        {"enabled", parse_enabled, offsetof(struct rule, disabled), false},
        {"when", parse_when, 0, true},
        {"until", parse_until, 0, true},
        {"after", parse_after, 0, false},
        {"set", parse_set, 0, true},
        {"raise", parse_raise, 0, true},
        {"lower", parse_lower, 0, true},
        {"every", parse_duration, offsetof(struct rule, every_ns), false},
        {"expect", parse_expect, 0, false},
        {"abort", parse_abort, 0, true},
        {"retry", parse_duration, offsetof(struct rule, retry_ns), false},
        {"release", parse_release, offsetof(struct rule, keep), false},
        {0},
};

static const struct key *key_find(const struct key *keys, const char *name)
{
        for (; keys->name; keys++)
                if (strcmp(keys->name, name) == 0)
                        return keys;
        return NULL;
}

static void key_unknown(struct parser *p, const struct key *keys, const char *name)
{
        struct suggestion suggestion = SUGGESTION(name);
        char hint[128];

        for (; keys->name; keys++)
                suggestion_offer(&suggestion, keys->name);
        for (unsigned id = 0; p->section == SECTION_LIMITS && id < SYSCTL_COUNT; id++)
                suggestion_offer(&suggestion, sysctl_table[id].name);
        fail(p, "unknown key '%s'%s", name, suggestion_hint(&suggestion, hint));
}

/* [limits]: SYSCTL = max N. An empty value gives back the built-in bounds. Returns the one name of a sysctl that can
 * be written in several ways. */
static const char *parse_bounds(struct parser *p, const char *name, const char *value)
{
        enum sysctl_id id = sysctl_find(name);
        struct config *config = p->config;

        if (id == SYSCTL_COUNT) {
                sysctl_unknown(name, p->at, p->diagnostics);
                return name;
        }
        if (*value == 0) {
                config->bounds[id] = sysctl_table[id].bounds;
                config->bounds_at[id] = (struct origin){0};
        } else if (bounds_parse(id, value, p->at, &config->bounds[id], p->diagnostics) == 0) {
                config->bounds_at[id] = p->at;
        }
        return sysctl_table[id].name;
}

static void on_key(void *user, struct origin at, const char *name, const char *value)
{
        static const struct key *const keys[] = {
                [SECTION_DAEMON] = daemon_keys,
                [SECTION_LIMITS] = limits_keys,
                [SECTION_RULE] = rule_keys,
        };
        struct parser *p = user;
        void *base = p->section == SECTION_RULE ? (void *)p->rule : p->config;
        const struct key *key;

        p->at = at;
        if (p->section == SECTION_NONE)
                fail(p, "'%s' stands before the first section: [daemon], [limits] or [rule NAME]", name);
        if (p->section <= SECTION_SKIPPED)
                return;

        if (p->section == SECTION_LIMITS && sysctl_find(name) != SYSCTL_COUNT)
                name = sysctl_table[sysctl_find(name)].name; /* "a/b" is "a.b" */
        key = key_find(keys[p->section], name);
        if (key)
                key->parse(p, (char *)base + key->offset, value);
        else if (p->section == SECTION_LIMITS && strpbrk(name, "./"))
                name = parse_bounds(p, name, value);
        else
                key_unknown(p, keys[p->section], name);
        if (config_values_note(&p->config->values, p->section_name, name, value, key && key->list, at) < 0)
                fail(p, "out of memory");
}

static struct rule *rule_find(struct config *config, const char *name)
{
        for (unsigned i = 0; i < config->n_rules; i++)
                if (strcmp(config->rule[i].name, name) == 0)
                        return &config->rule[i];
        return NULL;
}

static struct rule *rule_open(struct parser *p, const char *name)
{
        struct config *config = p->config;
        struct rule *rule = rule_find(config, name);

        if (rule)
                return rule;
        if (*name == 0 || strlen(name) >= RULE_NAME_MAX ||
            name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")] != 0) {
                fail(p, "'%s' is no name for a rule: letters, digits, - and _, at most %d", name, RULE_NAME_MAX - 1);
                return NULL;
        }
        if (config->n_rules == RULES_MAX) {
                fail(p, "more than %u rules", RULES_MAX);
                return NULL;
        }
        rule = &config->rule[config->n_rules++];
        *rule = (struct rule){
                .at = p->at, .after = RULE_NONE, .retry_ns = 600 * NSEC_PER_SEC, .every_ns = 10 * NSEC_PER_SEC};
        strcpy(rule->name, name);
        return rule;
}

static void section_unknown(struct parser *p, const char *name)
{
        struct suggestion suggestion = SUGGESTION(name);
        char hint[128];

        suggestion_offer(&suggestion, "daemon");
        suggestion_offer(&suggestion, "limits");
        suggestion_hint(&suggestion, hint);
        fail(p, "unknown section [%s]%s there are [daemon], [limits] and [rule NAME]", name, hint[0] ? hint : ":");
}

/* Notes whether a line of the rule that ends before this line was wrong. */
static void section_close(struct parser *p, unsigned line)
{
        for (size_t i = p->diagnostics_before; p->diagnostics->item && i < p->diagnostics->n; i++)
                if (p->section == SECTION_RULE && p->diagnostics->item[i].at.line < line)
                        p->rule->faulty = true;
        p->diagnostics_before = p->diagnostics->n;
}

static void on_section(void *user, struct origin at, const char *name)
{
        struct parser *p = user;

        section_close(p, at.line);
        p->at = at;
        p->section = SECTION_SKIPPED;
        if (!name)
                return;
        snprintf(p->section_name, sizeof(p->section_name), "%s", name);
        if (strcmp(name, "daemon") == 0)
                p->section = SECTION_DAEMON;
        else if (strcmp(name, "limits") == 0)
                p->section = SECTION_LIMITS;
        else if (strncmp(name, "rule", 4) == 0 && (name[4] == ' ' || name[4] == 0)) {
                p->rule = rule_open(p, name + 4 + strspn(name + 4, BLANKS));
                if (!p->rule)
                        return;
                p->section = SECTION_RULE;
                snprintf(p->section_name, sizeof(p->section_name), "rule %s", p->rule->name);
        } else {
                section_unknown(p, name);
        }
}

struct config *config_new(void)
{
        struct config *config = calloc(1, sizeof(*config));

        if (!config)
                return NULL;
        config->interval_ns = NSEC_PER_SEC;
        config->restore_on_exit = true;
        config->cpu_budget = 5;
        config->changes_per_minute = 12;
        config->min_interval_ns = 5 * NSEC_PER_SEC;
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                config->bounds[id] = sysctl_table[id].bounds;
        counters_init(&config->counters);
        return config;
}

void config_free(struct config *config)
{
        for (unsigned i = 0; config && i < config->n_rules; i++) {
                free(config->rule[i].description);
                free(config->rule[i].advise);
        }
        for (unsigned i = 0; config && i < config->n_files; i++)
                free(config->file[i]);
        if (config)
                config_values_free(&config->values);
        free(config);
}

void config_read(struct config *config, const char *file, const char *text, size_t size, const struct counters *kernel,
                 struct diagnostics *diagnostics)
{
        struct parser p = {
                .config = config,
                .diagnostics = diagnostics,
                .vocabulary = {.wanted = &config->counters, .kernel = kernel},
                .diagnostics_before = diagnostics->n,
        };

        if (config->n_files == CONFIG_FILES_MAX || !(config->file[config->n_files] = strdup(file))) {
                diagnostic_add(diagnostics, (struct origin){.file = ""}, "%s: too many files, or no memory", file);
                return;
        }
        file = config->file[config->n_files++];
        ini_lines_read(file, text, size, &(struct ini_handler){on_section, on_key, &p}, diagnostics);
        section_close(&p, UINT_MAX);
}
