/* SPDX-License-Identifier: MIT */
#include "ctl/owner.h"

#include <stdio.h>
#include <string.h>

#include "lib/kernel/sysctl.h"

const char *sysctl_full_name(const char *name)
{
        enum sysctl_id id = sysctl_find(name);
        char full[128];

        if (id == SYSCTL_COUNT) {
                snprintf(full, sizeof(full), "net.ipv4.%s", name);
                id = sysctl_find(full);
        }
        return id == SYSCTL_COUNT ? name : sysctl_table[id].name;
}

static void rules_text(const json_t *rules, char *buf, size_t size)
{
        size_t n = 0, i;
        json_t *rule;

        buf[0] = 0;
        json_array_foreach(rules, i, rule)
                if (n < size)
                        n += (size_t)snprintf(buf + n, size - n, "%s%s", i > 0 ? ", " : "", json_string_value(rule));
}

const char *owner_text(const json_t *sysctl, char buf[static OWNER_TEXT_MAX])
{
        const char *owner = text_of(sysctl, "owner");
        char rules[OWNER_TEXT_MAX / 2];

        if (strcmp(owner, "twtuned") == 0) {
                rules_text(json_object_get(sysctl, "rules"), rules, sizeof(rules));
                snprintf(buf, OWNER_TEXT_MAX, "twtuned, rule %s; it was %s", rules, text_of(sysctl, "original"));
        } else if (strcmp(owner, "sysctl.d") == 0) {
                snprintf(buf, OWNER_TEXT_MAX, "sysctl.d, %s", text_of(sysctl, "configured_at"));
        } else if (is_true(sysctl, "rearm")) {
                snprintf(buf, OWNER_TEXT_MAX, "someone else; twtuned leaves it alone until: twtunectl rearm %s",
                         text_of(sysctl, "name"));
        } else if (strcmp(owner, "unknown") == 0) {
                snprintf(buf, OWNER_TEXT_MAX, "kernel or someone else; its default depends on the machine");
        } else {
                snprintf(buf, OWNER_TEXT_MAX, "%s", owner);
        }
        return buf;
}
