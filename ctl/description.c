/* SPDX-License-Identifier: MIT */
#include "ctl/description.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/kernel/sysctl.h"
#include "lib/util/macro.h"

const char *text_of(const json_t *object, const char *key)
{
        const char *text = json_string_value(json_object_get(object, key));

        return text ? text : "";
}

double number_of(const json_t *object, const char *key)
{
        return json_number_value(json_object_get(object, key));
}

bool is_true(const json_t *object, const char *key)
{
        return json_is_true(json_object_get(object, key));
}

bool has_text(const json_t *object, const char *key, const char *text)
{
        return strcmp(text_of(object, key), text) == 0;
}

json_t *find_named(const json_t *array, const char *name)
{
        json_t *item;
        size_t i;

        json_array_foreach(array, i, item)
                if (has_text(item, "name", name))
                        return item;
        return NULL;
}

bool rule_changes(const json_t *rule, const char *sysctl)
{
        json_t *action;
        size_t i;

        json_array_foreach(json_object_get(rule, "levers"), i, action)
                if (has_text(action, "sysctl", sysctl))
                        return true;
        return false;
}

static const char *const prefixes[] = {"net.ipv4.", "net.netfilter."};

const char *sysctl_short_name(const char *name)
{
        for (unsigned i = 0; i < ELEMENTSOF(prefixes); i++)
                if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
                        return name + strlen(prefixes[i]);
        return name;
}

const char *sysctl_full_name(const char *name)
{
        enum sysctl_id id = sysctl_find(name);
        char full[128];

        for (unsigned i = 0; id == SYSCTL_COUNT && i < ELEMENTSOF(prefixes); i++) {
                snprintf(full, sizeof(full), "%s%s", prefixes[i], name);
                id = sysctl_find(full);
        }
        return id == SYSCTL_COUNT ? name : sysctl_table[id].name;
}

/* "twtuned, rule a, b; it was 2": several rules may hold one value. */
static void write_holders(const json_t *sysctl, char buf[static OWNER_TEXT_MAX])
{
        const char *separator = "twtuned, rule ";
        size_t n = 0, i;
        json_t *rule;

        json_array_foreach(json_object_get(sysctl, "rules"), i, rule) {
                if (n < OWNER_TEXT_MAX)
                        n += (size_t)snprintf(buf + n, OWNER_TEXT_MAX - n, "%s%s", separator, json_string_value(rule));
                separator = ", ";
        }
        if (n < OWNER_TEXT_MAX)
                snprintf(buf + n, OWNER_TEXT_MAX - n, "; it was %s", text_of(sysctl, "original"));
}

/* If rules leave the sysctl alone (a person released it, or another program changed it), appends how to rearm it,
 * whoever set its value. */
static void add_rearm(const json_t *sysctl, char buf[static OWNER_TEXT_MAX])
{
        size_t n = strlen(buf);

        if (is_true(sysctl, "rearm"))
                snprintf(buf + n, OWNER_TEXT_MAX - n, "; twtuned leaves it alone until: twtunectl rearm %s",
                         text_of(sysctl, "name"));
}

const char *owner_text(const json_t *sysctl, char buf[static OWNER_TEXT_MAX])
{
        if (*text_of(sysctl, "left_by"))
                snprintf(buf, OWNER_TEXT_MAX,
                         "an earlier twtuned, rule %s; it was %s; to put it back, stop twtuned and "
                         "run: twtuned --restore",
                         text_of(sysctl, "left_by"), text_of(sysctl, "original"));
        else if (has_text(sysctl, "owner", "twtuned"))
                write_holders(sysctl, buf);
        else if (has_text(sysctl, "owner", "sysctl.d"))
                snprintf(buf, OWNER_TEXT_MAX, "sysctl.d, %s", text_of(sysctl, "configured_at"));
        else if (has_text(sysctl, "owner", "unknown"))
                snprintf(buf, OWNER_TEXT_MAX, "the kernel or someone else: its default depends on the machine");
        else
                snprintf(buf, OWNER_TEXT_MAX, "%s", text_of(sysctl, "owner"));
        add_rearm(sysctl, buf);
        return buf;
}

const char *grouped(double number, char buf[static GROUPED_MAX])
{
        char digits[24];
        size_t n, at = 0;

        n = (size_t)snprintf(digits, sizeof(digits), "%.0f", number);
        for (size_t i = 0; i < n; i++) {
                if (i > 0 && (n - i) % 3 == 0)
                        buf[at++] = ',';
                buf[at++] = digits[i];
        }
        buf[at] = 0;
        return buf;
}

const char *time_text(double seconds, char buf[static TIME_TEXT_MAX])
{
        long s = (long)floor(seconds);

        if (s >= 86400)
                snprintf(buf, TIME_TEXT_MAX, "%ldd %ldh", s / 86400, s / 3600 % 24);
        else if (s >= 3600)
                snprintf(buf, TIME_TEXT_MAX, "%ldh %ldmin", s / 3600, s / 60 % 60);
        else if (s >= 60)
                snprintf(buf, TIME_TEXT_MAX, "%ldmin %lds", s / 60, s % 60);
        else
                snprintf(buf, TIME_TEXT_MAX, "%lds", s);
        return buf;
}

int print_json(const json_t *value)
{
        json_dumpf(value, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
        putchar('\n');
        return 0;
}
