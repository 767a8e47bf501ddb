/* SPDX-License-Identifier: MIT */
#include "lib/config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/config/ini_lines.h"
#include "lib/config/keys.h"
#include "lib/util/macro.h"
#include "lib/util/suggest.h"

#define RULE_NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

static void on_key(void *user, struct origin at, const char *name, const char *value)
{
        struct parser *p = user;

        p->at = at;
        if (p->section == SECTION_NONE)
                fail("key '%s' comes before the first section: [daemon], [limits] or [rule NAME]", name);
        else if (p->section != SECTION_SKIPPED)
                key_read(p, name, value);
}

/* Returns the rule of that name, and adds it if it is new. NULL: the name is invalid, or there are too many rules. */
static struct rule *rule_open(struct parser *p, const char *name)
{
        struct config *config = p->config;
        struct rule *rule;

        for (unsigned i = 0; i < config->n_rules; i++)
                if (strcmp(config->rule[i].name, name) == 0)
                        return &config->rule[i];
        if (*name == 0 || strlen(name) >= RULE_NAME_MAX || name[strspn(name, RULE_NAME_CHARACTERS)] != 0) {
                fail("invalid rule name '%s': write at most %d letters, digits, - and _", name, RULE_NAME_MAX - 1);
                return NULL;
        }
        if (config->n_rules == RULES_MAX) {
                fail("more than %u rules", RULES_MAX);
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
        fail("unknown section [%s]%s there are [daemon], [limits] and [rule NAME]", name, hint[0] ? hint : ":");
}

/* Ends the current section, whose lines are before `line`. Marks its rule as faulty if one of them had an error. */
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
        else if (strncmp(name, "rule", 4) != 0 || (name[4] != ' ' && name[4] != 0))
                section_unknown(p, name);
        else if ((p->rule = rule_open(p, name + 4 + strspn(name + 4, " \t")))) {
                p->section = SECTION_RULE;
                snprintf(p->section_name, sizeof(p->section_name), "rule %s", p->rule->name);
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
        if (!config)
                return;
        for (unsigned i = 0; i < config->n_rules; i++) {
                free(config->rule[i].description);
                free(config->rule[i].advise);
        }
        for (unsigned i = 0; i < config->n_files; i++)
                free(config->file[i]);
        free(config->netns);
        free(config->netns_directory);
        free(config->metrics_listen);
        config_values_free(&config->values);
        diagnostics_free(&config->warnings);
        free(config);
}

const struct rule *config_rule_of(const struct config *config, enum sysctl_id sysctl)
{
        for (unsigned i = 0; i < config->n_rules; i++)
                for (unsigned k = 0; k < config->rule[i].n_actions; k++)
                        if (!config->rule[i].disabled && config->rule[i].action[k].sysctl == sysctl)
                                return &config->rule[i];
        return NULL;
}

void config_read(struct config *config, const char *file, const char *text, size_t size, const struct counters *kernel,
                 struct diagnostics *diagnostics)
{
        struct parser p = {
                .config = config,
                .diagnostics = diagnostics,
                .vocabulary = {.wanted = &config->counters, .texts = &config->texts, .kernel = kernel},
                .diagnostics_before = diagnostics->n,
        };
        const struct origin whole = {
                .file = "twtuned"}; /* an origin can borrow only the names of files that are read */
        char *name;

        if (config->n_files == CONFIG_FILES_MAX) {
                diagnostic_add(diagnostics, whole, "more than %u files: %s is not read", CONFIG_FILES_MAX, file);
                return;
        }
        name = strdup(file);
        if (!name) {
                diagnostic_add(diagnostics, whole, "out of memory");
                return;
        }
        config->file[config->n_files++] = name;
        ini_lines_read(name, text, size, &(struct ini_handler){on_section, on_key, &p}, diagnostics);
        section_close(&p, UINT_MAX);
}
