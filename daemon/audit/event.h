/* SPDX-License-Identifier: MIT */
#pragma once

/* What twtuned tells: one event with the fields that an operator needs to reconstruct it months later. */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "lib/audit/kind.h"
#include "lib/util/macro.h"

#define EVENT_FIELDS_MAX 20u
#define EVENT_FIELD_SIZE 640

struct event {
        enum event_kind kind;
        unsigned n;
        char field[EVENT_FIELDS_MAX][EVENT_FIELD_SIZE]; /* "NAME=value"; the first is MESSAGE= */
};

/* Starts an event with its message; MESSAGE_ID= and PRIORITY= follow from the kind. */
void event_begin(struct event *event, enum event_kind kind, const char *format, ...) _printf_(3, 4);

/* Adds NAME=value. An empty value, or a field too many, is left out. */
void event_add(struct event *event, const char *name, const char *format, ...) _printf_(3, 4);

/* The value of a field, "" where the event has none. */
const char *event_field(const struct event *event, const char *name);

/* On one line: the kind, the message and the fields as NAME=value. */
void event_print(const struct event *event, FILE *file);

/* Writes the event to the journal when stderr is the journal ($JOURNAL_STREAM, systemd.exec(5)), else prints it to
 * stderr. */
void event_write(const struct event *event);
