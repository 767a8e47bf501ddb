/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "lib/audit/text.h"
#include "lib/util/safe.h"

/* NAME="with blanks" and NAME=without. */
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
