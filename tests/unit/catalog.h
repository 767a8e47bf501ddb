/* SPDX-License-Identifier: MIT */
#pragma once

/* systemd/twtuned.catalog, for tests that see events: CATALOG is its path. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/audit/text.h"
#include "lib/util/macro.h"

#define CATALOG_FIELD "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

/* The whole file, in static memory. */
static inline const char *catalog_read(void)
{
        static char text[64 * 1024];
        FILE *f;

        if (text[0])
                return text;
        f = fopen(CATALOG, "re");
        if (!f || fread(text, 1, sizeof(text) - 1, f) == 0)
                abort();
        fclose(f);
        return text;
}

/* "MESSAGE_ID=..." as it is logged; to be freed. */
static inline char *catalog_id(const struct audit_text *event)
{
        char *line = NULL, *id;
        size_t size;
        FILE *f = open_memstream(&line, &size);

        audit_text_print(event, f);
        fclose(f);
        id = strndup(strstr(line, "MESSAGE_ID=") + strlen("MESSAGE_ID="), 32);
        free(line);
        return id;
}

/* The entry of an event, from the line with its id on; NULL: there is none. */
static inline const char *catalog_entry(const struct audit_text *event)
{
        char *id = catalog_id(event), line[64];
        const char *at;

        snprintf(line, sizeof(line), "\n-- %s\n", id);
        at = strstr(catalog_read(), line);
        free(id);
        return at ? at + 1 : NULL;
}

static inline bool catalog_has_field(const struct audit_text *event, const char *name, size_t n)
{
        for (unsigned i = 0; i < event->n; i++)
                if (strncmp(audit_text_field(event, i), name, n) == 0 && audit_text_field(event, i)[n] == '=')
                        return true;
        /* the journal's own, and what backend_linux.c adds to all */
        return strncmp(name, "_SYSTEMD_UNIT", n) == 0 || strncmp(name, "NETNS", n) == 0;
}

/* The first field that the catalog's text names and the event has not; NULL: it has all. */
static inline const char *catalog_lacks(const struct audit_text *event)
{
        static char name[64];
        const char *at = catalog_entry(event), *end = at ? strstr(at, "\n-- ") : NULL;
        size_t n;

        if (!at)
                return "entry";
        for (at = strchr(at, '@'); at && (!end || at < end); at = strchr(at + 1 + n, '@')) {
                n = strspn(at + 1, CATALOG_FIELD);
                if (n == 0 || at[1 + n] != '@')
                        continue;
                snprintf(name, sizeof(name), "%.*s", (int)n, at + 1);
                if (!catalog_has_field(event, at + 1, n))
                        return name;
                n++; /* the @ behind it begins no other */
        }
        return NULL;
}
