/* SPDX-License-Identifier: MIT */
#include "lib/util/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util/macro.h"

static void add(struct json *j, const char *text, size_t n)
{
        size_t size = MAX(j->size, 4096u);
        char *grown;

        while (size <= j->n + n)
                size *= 2;
        if (size > j->size && !j->failed) {
                grown = realloc(j->text, size);
                if (grown) {
                        j->text = grown;
                        j->size = size;
                } else {
                        j->failed = true;
                }
        }
        if (j->failed)
                return;
        memcpy(j->text + j->n, text, n);
        j->n += n;
        j->text[j->n] = 0;
}

static void add_string(struct json *j, const char *text)
{
        add(j, text, strlen(text));
}

/* Returns the bytes of the character at text (RFC 3629); 0: invalid UTF-8. */
static size_t character_length(const char *text)
{
        static const struct {
                unsigned char mask, lead;
                unsigned least;
        } rows[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
        const unsigned char *p = (const unsigned char *)text;

        for (unsigned n = 0; n < ELEMENTSOF(rows); n++) {
                unsigned code = p[0] & (unsigned char)~rows[n].mask;

                if ((p[0] & rows[n].mask) != rows[n].lead)
                        continue;
                for (unsigned i = 1; i <= n; i++) {
                        if ((p[i] & 0xc0) != 0x80)
                                return 0;
                        code = code << 6 | (p[i] & 0x3f);
                }
                return code < rows[n].least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) ? 0 : n + 1;
        }
        return 0;
}

static void add_quoted(struct json *j, const char *text)
{
        char escaped[16];

        add_string(j, "\"");
        while (*text) {
                size_t n = character_length(text);

                if (n == 0) {
                        add_string(j, "\\ufffd");
                } else if (*text == '"' || *text == '\\' || (unsigned char)*text < 0x20 || *text == 0x7f) {
                        snprintf(escaped, sizeof(escaped), "\\u%04x", (unsigned)*text);
                        add_string(j, escaped);
                } else {
                        add(j, text, n);
                }
                text += MAX(n, 1u);
        }
        add_string(j, "\"");
}

static void begin_value(struct json *j, const char *key)
{
        if (j->comma)
                add_string(j, ",");
        j->comma = true;
        if (!key)
                return;
        add_quoted(j, key);
        add_string(j, ":");
}

void json_open(struct json *j, const char *key, const char *bracket)
{
        begin_value(j, key);
        add_string(j, bracket);
        j->comma = false;
}

void json_close(struct json *j, const char *bracket)
{
        add_string(j, bracket);
        j->comma = true;
}

void json_add_text(struct json *j, const char *key, const char *text)
{
        begin_value(j, key);
        if (text)
                add_quoted(j, text);
        else
                add_string(j, "null");
}

void json_add_bool(struct json *j, const char *key, bool value)
{
        begin_value(j, key);
        add_string(j, value ? "true" : "false");
}

void json_add_number(struct json *j, const char *key, double value)
{
        char text[32];

        begin_value(j, key);
        snprintf(text, sizeof(text), "%.15g", value);
        add_string(j, isfinite(value) ? text : "null");
}

void json_free(struct json *j)
{
        free(j->text);
        *j = (struct json){0};
}
