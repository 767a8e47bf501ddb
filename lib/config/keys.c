/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* asprintf() */
#include "lib/config/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util/listen_address.h"
#include "lib/util/macro.h"
#include "lib/util/suggest.h"
#include "lib/util/units.h"

/* One row for each key. parse() reads a value into the field, and reports an error itself. */
struct key {
        const char *name;
        void (*parse)(struct parser *p, const struct key *key, void *field, const char *value);
        size_t field; /* offset in struct config or, for the key of a rule, in struct rule */
        bool list;    /* may be repeated; an empty value clears it, as in systemd */

        const char *words[3]; /* for parse_word(); for a bool: false, then true */
        double min, max;      /* inclusive, in the unit or in seconds; 0, 0: any */
        const char *valid;    /* the valid values, for people */
        enum unit unit;
        size_t count;          /* offset of the length of a list in struct rule */
        unsigned most;         /* its highest length */
        enum action_kind kind; /* for parse_action() */
};

static void invalid(struct parser *p, const struct key *key, const char *value)
{
        fail("invalid %s '%s': write %s", key->name, value, key->valid);
}

static bool is_in_range(struct parser *p, const struct key *key, double number, const char *value)
{
        bool good = key->max <= 0 || (number >= key->min && number <= key->max);

        if (!good)
                invalid(p, key, value);
        return good;
}

/* Stores the index of the word, in a field of one byte: a bool, or an enum in an unsigned char. */
_Static_assert(sizeof(bool) == 1, "parse_word() stores a byte");
static void parse_word(struct parser *p, const struct key *key, void *field, const char *value)
{
        for (unsigned i = 0; i < ELEMENTSOF(key->words) && key->words[i]; i++)
                if (strcmp(value, key->words[i]) == 0) {
                        *(unsigned char *)field = (unsigned char)i;
                        return;
                }
        invalid(p, key, value);
}

static void parse_duration(struct parser *p, const struct key *key, void *field, const char *value)
{
        uint64_t ns;

        if (duration_read(value, p->at, &ns, p->diagnostics) == 0 && is_in_range(p, key, (double)ns / 1e9, value))
                *(uint64_t *)field = ns;
}

static void parse_number(struct parser *p, const struct key *key, void *field, const char *value)
{
        double number = 0; /* if invalid: out of range for every key with this parser */

        number_with_unit_parse(value, key->unit, &number);
        if (is_in_range(p, key, number, value))
                *(double *)field = number;
}

static void parse_path(struct parser *p, const struct key *key, void *field, const char *value)
{
        if (*value && *value != '/')
                invalid(p, key, value);
        else if (strlen(value) >= PATH_MAX)
                fail("a path has at most %d characters", PATH_MAX - 1);
        else
                strcpy(field, value);
}

/* Joins the lines of a list with blanks. */
static void parse_text(struct parser *p, const struct key *key, void *field, const char *value)
{
        char **text = field, *whole = NULL;
        const char *before = key->list ? *text : NULL;

        if (*value && asprintf(&whole, "%s%s%s", before ? before : "", before ? " " : "", value) < 0) {
                fail("out of memory");
                whole = NULL;
        }
        free(*text);
        *text = whole;
}

static void parse_directory(struct parser *p, const struct key *key, void *field, const char *value)
{
        if ((*value && *value != '/') || strpbrk(value, " \t"))
                invalid(p, key, value);
        else
                parse_text(p, key, field, value);
}

static void parse_listen(struct parser *p, const struct key *key, void *field, const char *value)
{
        if (*value && listen_address_parse(value, NULL, NULL) < 0)
                invalid(p, key, value);
        else
                parse_text(p, key, field, value);
}

static void parse_after(struct parser *p, const struct key *key, void *field, const char *value)
{
        (void)key;
        if (strlen(value) >= RULE_NAME_MAX) {
                fail("a rule's name has at most %d characters", RULE_NAME_MAX - 1);
                return;
        }
        strcpy(field, value);
        p->rule->after_at = p->at;
}

/* Clears the list if value is empty. Returns the length of the list if it has room for value, else NULL. */
static unsigned *list_begin(struct parser *p, const struct key *key, const char *value)
{
        unsigned *n = (void *)((char *)p->rule + key->count);

        if (*value && *n == key->most)
                fail("more than %u lines '%s' in one rule", key->most, key->name);
        else if (*value)
                return n;
        else
                *n = 0;
        return NULL;
}

static void parse_condition(struct parser *p, const struct key *key, void *field, const char *value)
{
        struct condition *list = field;
        unsigned *n = list_begin(p, key, value);

        if (n && condition_parse(value, "for", p->at, &p->vocabulary, &list[*n], p->diagnostics) == 0)
                ++*n;
}

static void parse_abort(struct parser *p, const struct key *key, void *field, const char *value)
{
        struct abort_condition *list = field;
        unsigned *n = list_begin(p, key, value);

        if (n && abort_parse(value, p->at, &p->vocabulary, &list[*n], p->diagnostics) == 0)
                ++*n;
}

static void parse_destination(struct parser *p, const struct key *key, void *field, const char *value)
{
        struct destination_match *list = field;
        unsigned *n = list_begin(p, key, value);

        if (n && destination_match_parse(value, &list[*n]) < 0)
                invalid(p, key, value);
        else if (n && ++*n == 1)
                p->rule->destination_at = p->at;
}

/* A line may have several names, with blanks between them. */
static void parse_units(struct parser *p, const struct key *key, void *field, const char *value)
{
        char word[CGROUP_UNIT_MAX], name[CGROUP_UNIT_MAX];
        uint32_t *units = field;

        if (*value == 0)
                *units = 0;
        for (const char *at = value + strspn(value, " \t"); *at; at += strspn(at, " \t")) {
                int n = (int)strcspn(at, " \t");
                unsigned i = UNITS_MAX;

                snprintf(word, sizeof(word), "%.*s", n, at);
                if (unit_name_parse(word, name) < 0)
                        invalid(p, key, word);
                else if ((i = unit_names_add(&p->config->unit_names, name)) == UNITS_MAX)
                        fail("more than %u names in 'for-unit' of all rules", UNITS_MAX);
                else
                        *units |= BIT(i);
                at += n;
        }
        p->rule->units_at = p->at;
}

/* set, raise and lower are in one list, in the order of the lines. An empty value clears the actions of its kind. */
static void parse_action(struct parser *p, const struct key *key, void *field, const char *value)
{
        struct rule *rule = p->rule;
        unsigned n = 0;

        (void)field;
        for (unsigned i = 0; i < rule->n_actions; i++)
                if (*value || rule->action[i].kind != key->kind)
                        rule->action[n++] = rule->action[i];
        rule->n_actions = n;
        if (*value && n == RULE_ACTIONS_MAX)
                fail("more than %u lines 'set', 'raise' and 'lower' in one rule", RULE_ACTIONS_MAX);
        else if (*value && action_parse(key->kind, value, p->at, &rule->action[n], p->diagnostics) == 0)
                rule->n_actions++;
}

static void parse_expect(struct parser *p, const struct key *key, void *field, const char *value)
{
        struct condition *expect = field;

        (void)key;
        p->rule->has_expect = false;
        if (*value == 0 || condition_parse(value, "within", p->at, &p->vocabulary, expect, p->diagnostics) < 0)
                return;
        if (expect->time_ns == 0)
                fail("expect needs a time: write '%s within DURATION'", value);
        p->rule->has_expect = true;
}

#define CONFIG(member) .field = offsetof(struct config, member)
#define RULE(member) .field = offsetof(struct rule, member)
#define COUNT(member) .count = offsetof(struct rule, member)

static const struct key daemon_keys[] = {
        {"interval", parse_duration, CONFIG(interval_ns), .min = 0.1, .max = 60, .valid = "100ms to 1min"},
        {"mode", parse_word, CONFIG(observe), .words = {"enforce", "observe"}, .valid = "enforce or observe"},
        {"cpu_budget", parse_number, CONFIG(cpu_budget), .min = 0.1, .max = 100, .valid = "0.1% to 100%",
         .unit = UNIT_PERCENT},
        {"restore_on_exit", parse_word, CONFIG(restore_on_exit), .words = {"no", "yes"}, .valid = "no or yes"},
        {"yield", parse_word, CONFIG(yield), .words = {"sysctl.d", "nondefault", "no"},
         .valid = "sysctl.d, nondefault or no"},
        {"metrics_file", parse_path, CONFIG(metrics_file), .valid = "an absolute path"},
        {"metrics_listen", parse_listen, CONFIG(metrics_listen),
         .valid = "ADDRESS:PORT, such as 127.0.0.1:9911 or [::]:9911"},
        {"netns", parse_text, CONFIG(netns), .list = true},
        {"netns_directory", parse_directory, CONFIG(netns_directory), .list = true,
         .valid = "an absolute path without blanks"},
        {0},
};

static const struct key limits_keys[] = {
        {"changes_per_minute", parse_number, CONFIG(changes_per_minute), .min = 1, .max = 600, .valid = "1 to 600"},
        {"min_interval", parse_duration, CONFIG(min_interval_ns)},
        {0},
};

static const struct key rule_keys[] = {
        {"description", parse_text, RULE(description)},
        {"advise", parse_text, RULE(advise), .list = true},
        {"enabled", parse_word, RULE(disabled), .words = {"yes", "no"}, .valid = "yes or no"},
        {"when", parse_condition, RULE(when), .list = true, COUNT(n_when), .most = RULE_CONDITIONS_MAX},
        {"until", parse_condition, RULE(until), .list = true, COUNT(n_until), .most = RULE_CONDITIONS_MAX},
        {"for-destination", parse_destination, RULE(destination), .list = true, COUNT(n_destinations),
         .most = RULE_DESTINATIONS_MAX,
         .valid = "ADDRESS, ADDRESS/BITS or either with :PORT, such as 10.0.0.7:443, 10.0.0.0/8 or [2001:db8::7]:443"},
        {"for-unit", parse_units, RULE(units), .list = true,
         .valid = "services, scopes and slices, such as nginx.service, web@1.service, kubepods.slice or "
                  "user@1000.service/app.service"},
        {"after", parse_after, RULE(after_name)},
        {"set", parse_action, RULE(action), .list = true, .kind = ACTION_SET},
        {"raise", parse_action, RULE(action), .list = true, .kind = ACTION_RAISE},
        {"lower", parse_action, RULE(action), .list = true, .kind = ACTION_LOWER},
        {"every", parse_duration, RULE(every_ns)},
        {"expect", parse_expect, RULE(expect)},
        {"abort", parse_abort, RULE(abort), .list = true, COUNT(n_abort), .most = RULE_ABORTS_MAX},
        {"retry", parse_duration, RULE(retry_ns)},
        {"release", parse_word, RULE(keep), .words = {"restore", "keep"}, .valid = "restore or keep"},
        {"mode", parse_word, RULE(observe), .words = {"enforce", "observe"}, .valid = "enforce or observe"},
        {0},
};

static const struct key *const section_keys[] = {
        [SECTION_DAEMON] = daemon_keys,
        [SECTION_LIMITS] = limits_keys,
        [SECTION_RULE] = rule_keys,
};

static void key_unknown(struct parser *p, const char *name)
{
        struct suggestion suggestion = SUGGESTION(name);
        char hint[128];

        for (const struct key *key = section_keys[p->section]; key->name; key++)
                suggestion_offer(&suggestion, key->name);
        for (unsigned id = 0; p->section == SECTION_LIMITS && id < SYSCTL_COUNT; id++)
                suggestion_offer(&suggestion, sysctl_table[id].name);
        fail("unknown key '%s'%s", name, suggestion_hint(&suggestion, hint));
}

/* The bounds of a sysctl in [limits]. An empty value restores the built-in ones. */
static void bounds_read(struct parser *p, enum sysctl_id id, const char *value)
{
        struct config *config = p->config;

        if (*value == 0) {
                config->bounds[id] = sysctl_table[id].bounds;
                config->bounds_at[id] = (struct origin){0};
        } else if (bounds_parse(id, value, p->at, &config->bounds[id], p->diagnostics) == 0) {
                config->bounds_at[id] = p->at;
        }
}

void key_read(struct parser *p, const char *name, const char *value)
{
        const struct key *key = section_keys[p->section];
        enum sysctl_id id = p->section == SECTION_LIMITS ? sysctl_find(name) : SYSCTL_COUNT;
        char *base = p->section == SECTION_RULE ? (char *)p->rule : (char *)p->config;

        while (key->name && strcmp(key->name, name) != 0)
                key++;
        if (key->name)
                key->parse(p, key, base + key->field, value);
        else if (id != SYSCTL_COUNT)
                bounds_read(p, id, value);
        else if (p->section == SECTION_LIMITS && strpbrk(name, "./"))
                sysctl_unknown(name, p->at, p->diagnostics);
        else
                key_unknown(p, name);
        if (id != SYSCTL_COUNT)
                name = sysctl_table[id].name; /* "a/b" is "a.b" */
        if (config_values_note(&p->config->values, p->section_name, name, value, key->list, p->at) < 0)
                fail("out of memory");
}
