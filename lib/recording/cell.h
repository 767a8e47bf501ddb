/* SPDX-License-Identifier: MIT */
#pragma once

/* The cells of a recording. Each cell_add function writes a text at *p, ends it with a 0 and moves *p to that 0; the
 * caller has room for it (RECORDING_LINE_MAX). Each cell_parse function that returns bool parses the whole text of a
 * cell; if the text is invalid, it returns false and leaves *ret untouched. */

#include "lib/kernel/snapshot.h"
#include "lib/util/macro.h"

void cell_add(char **p, const char *format, ...) _printf_(2, 3);

/* Adds a text, with quotes if it needs them. A control character becomes '?', because a row is one line. */
void cell_add_text(char **p, const char *text);

/* Parses the number that text begins with. Returns the text after it; NULL: there is no number. */
const char *cell_parse_number(const char *text, double *ret);

/* Add the shortest text that reads back as the same value. */
void cell_add_number(char **p, double value);
void cell_add_reading(char **p, const struct reading *reading);
void cell_add_range(char **p, float lower, float upper);

/* *ret_upper: the upper end of LOWER..UPPER, else the value; untouched for an empty text and "-". */
bool cell_parse_reading(const char *text, struct reading *ret, double *ret_upper);

/* Seconds with nine digits after the point. */
void cell_add_time(char **p, uint64_t ns);
bool cell_parse_time(const char *text, uint64_t *ret);

void cell_add_sysctl(char **p, const struct live_sysctl *sysctl);
bool cell_parse_sysctl(const char *text, enum sysctl_id id, struct live_sysctl *ret);
