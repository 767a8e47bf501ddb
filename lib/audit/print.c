/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <string.h>

#include "lib/audit/text.h"
#include "lib/util/safe.h"

/* Prints NAME=VALUE; puts the value in quotes if it has a blank or a quote. */
static void print_field(const char *field, FILE *f)
{
        const char *value = strchr(field, '=') + 1;

        fprintf(f, " %.*s", (int)(value - field), field);
        if (value[strcspn(value, " \t\"")] == 0)
                safe_print(value, f);
        else
                safe_print_quoted(value, f);
}

void audit_text_print(const struct audit_text *t, FILE *f)
{
        fprintf(f, "%s: ", audit_kinds[t->kind].name);
        safe_print(audit_text_value(t, "MESSAGE"), f);
        fprintf(f, " MESSAGE_ID=%s", audit_kinds[t->kind].message_id);
        for (unsigned i = 1; i < t->n; i++)
                print_field(audit_text_field(t, i), f);
        fputc('\n', f);
}

static bool has_same_name(const char *a, const char *b)
{
        size_t n = strcspn(a, "=") + 1;

        return strncmp(a, b, n) == 0;
}

/* Adds all fields that have the name of the field `first`: one text, or an array of several. */
static void add_named(const struct audit_text *t, unsigned first, struct json *j)
{
        const char *field = audit_text_field(t, first), *value = strchr(field, '=') + 1;
        char name[64];
        unsigned n = 0;

        snprintf(name, sizeof(name), "%.*s", (int)(value - field - 1), field);
        for (unsigned i = first; i < t->n; i++)
                n += has_same_name(field, audit_text_field(t, i));
        if (n == 1) {
                json_add_text(j, name, value);
                return;
        }
        json_open_array(j, name);
        for (unsigned i = first; i < t->n; i++)
                if (has_same_name(field, audit_text_field(t, i)))
                        json_add_text(j, NULL, strchr(audit_text_field(t, i), '=') + 1);
        json_close_array(j);
}

void audit_text_add_json(const struct audit_text *t, struct json *j)
{
        const struct audit_kind_row *kind = &audit_kinds[t->kind];
        const char priority[] = {(char)('0' + kind->priority), 0};

        json_open_object(j, NULL);
        json_add_text(j, "PRIORITY", priority);
        json_add_text(j, "SYSLOG_IDENTIFIER", "twtuned");
        json_add_text(j, "MESSAGE_ID", kind->message_id);
        json_add_text(j, "EVENT", kind->name);
        for (unsigned i = 0; i < t->n; i++) {
                unsigned first = 0;

                while (!has_same_name(audit_text_field(t, i), audit_text_field(t, first)))
                        first++;
                if (first == i)
                        add_named(t, i, j);
        }
        json_close_object(j);
}
