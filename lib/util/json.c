/* SPDX-License-Identifier: MIT */
#include "lib/util/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util/macro.h"
#include "lib/util/utf8.h"

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

static void add_quoted(struct json *j, const char *text)
{
        char escaped[16];

        add_string(j, "\"");
        while (*text) {
                unsigned code;
                size_t n = utf8_take(text, &code);

                if (n == 0) {
                        add_string(j, "\\ufffd");
                } else if (code == '"' || code == '\\' || code < 0x20 || (code >= 0x7f && code < 0xa0)) {
                        snprintf(escaped, sizeof(escaped), "\\u%04x", code);
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
