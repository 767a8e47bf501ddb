/* SPDX-License-Identifier: MIT */
#pragma once

/* A record as text: a message and the fields from which an operator can reconstruct the event months later. */

#include <stdint.h>
#include <stdio.h>

#include "lib/audit/record.h"
#include "lib/util/json.h"

#define AUDIT_FIELDS_MAX 80u
#define AUDIT_TEXT_SIZE 20480u /* room for the longest advice twice, in MESSAGE and in ADVICE, and for the rest */

struct audit_text {
        enum audit_kind kind;
        unsigned n;
        uint16_t field[AUDIT_FIELDS_MAX]; /* where each "NAME=value" begins in text; the first is MESSAGE= */
        uint16_t used;
        char text[AUDIT_TEXT_SIZE];
};

/* Makes the text of a record. Cuts or leaves out fields that do not fit. */
void audit_text_make(struct audit_text *ret, const struct audit_record *record);

/* Adds NAME=value, or nothing if the value is empty. */
void audit_text_add(struct audit_text *text, const char *name, const char *format, ...) _printf_(3, 4);

/* Returns "NAME=value". */
static inline const char *audit_text_field(const struct audit_text *text, unsigned i)
{
        return text->text + text->field[i];
}

/* Returns the value of a field; "": the record has no such field. */
const char *audit_text_value(const struct audit_text *text, const char *name);

/* Adds an object with the fields of the journal, as journalctl -o json writes it: all values are strings, and a
 * field that occurs several times has an array. */
void audit_text_add_json(const struct audit_text *text, struct json *json);

/* Prints the kind, the message and the fields as NAME=value, on one line. */
void audit_text_print(const struct audit_text *text, FILE *file);
