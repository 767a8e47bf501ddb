/* SPDX-License-Identifier: MIT */
#pragma once

/* Writes JSON (RFC 8259) into memory, value by value. Whatever bytes a text has, the result is valid UTF-8. */

#include <stdbool.h>
#include <stddef.h>

struct json {
        char *text; /* owned; ends with a 0 */
        size_t n, size;
        bool comma;  /* the next value at this level needs one before it */
        bool failed; /* no memory: what is there is cut short */
};

/* key is NULL in an array and for the whole. */
void json_open_object(struct json *json, const char *key);
void json_open_array(struct json *json, const char *key);
void json_close_object(struct json *json);
void json_close_array(struct json *json);

void json_add_text(struct json *json, const char *key, const char *text); /* NULL: null */
void json_add_bool(struct json *json, const char *key, bool value);
void json_add_number(struct json *json, const char *key, double value); /* JSON has no infinity and no NaN: null */

void json_free(struct json *json);
