/* SPDX-License-Identifier: MIT */
/* The fields of a record's text. */

#include <stdarg.h>
#include <string.h>

#include "lib/audit/text.h"

void audit_text_add(struct audit_text *t, const char *name, const char *format, ...)
{
        char *field = t->text + t->used;
        size_t room = sizeof(t->text) - t->used, n = strlen(name) + 1;
        va_list args;
        int value;

        if (t->n == AUDIT_FIELDS_MAX || n >= room)
                return;
        snprintf(field, room, "%s=", name);
        va_start(args, format);
        value = vsnprintf(field + n, room - n, format, args);
        va_end(args);
        if (value <= 0)
                return;
        if ((size_t)value >= room - n)
                value = (int)(room - n - 1);
        t->field[t->n++] = t->used;
        t->used = (uint16_t)(t->used + n + (size_t)value + 1);
}

const char *audit_text_value(const struct audit_text *t, const char *name)
{
        size_t n = strlen(name);

        for (unsigned i = 0; i < t->n; i++) {
                const char *field = audit_text_field(t, i);

                if (strncmp(field, name, n) == 0 && field[n] == '=')
                        return field + n + 1;
        }
        return "";
}
