/* SPDX-License-Identifier: MIT */
#pragma once

/* Writes JSON (RFC 8259) into memory. The result is valid UTF-8, whatever bytes the texts contain: each byte that
 * utf8_take() does not accept becomes U+FFFD. */

#include <stdbool.h>
#include <stddef.h>

/* Zero-initialized: empty. */
struct json {
        char *text; /* owned; ends with a 0 */
        size_t n, size;
        bool comma;  /* a comma must precede the next value at this level */
        bool failed; /* no memory: text is incomplete */
};

/* key is the name in an object; NULL in an array and for the outermost value. */
void json_open(struct json *json, const char *key, const char *bracket);
void json_close(struct json *json, const char *bracket);
#define json_open_object(json, key) json_open(json, key, "{")
#define json_open_array(json, key) json_open(json, key, "[")
#define json_close_object(json) json_close(json, "}")
#define json_close_array(json) json_close(json, "]")

void json_add_text(struct json *json, const char *key, const char *text); /* NULL is written as null */
void json_add_bool(struct json *json, const char *key, bool value);
void json_add_number(struct json *json, const char *key, double value); /* infinity and NaN are written as null */

void json_free(struct json *json);
