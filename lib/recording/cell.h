/* SPDX-License-Identifier: MIT */
#pragma once

/* The cells of a recording. What is formatted goes to *p, which moves on; what is parsed is the whole text. */

#include "lib/kernel/snapshot.h"
#include "lib/util/macro.h"

void cell_add(char **p, const char *format, ...) _printf_(2, 3);

/* Quoted where that is needed. A text has no control characters: a row is a line. */
void cell_add_text(char **p, const char *text);

/* The number that text begins with; returns what follows it, NULL when there is none. */
const char *cell_parse_number(const char *text, double *ret);

void cell_add_number(char **p, double value);
void cell_add_reading(char **p, const struct reading *reading);
void cell_add_range(char **p, float lower, float upper);

/* ret_upper: of LOWER..UPPER without ~; else the value. */
bool cell_parse_reading(const char *text, struct reading *ret, double *ret_upper);

/* Seconds with nine digits behind the point. */
void cell_add_time(char **p, uint64_t ns);
bool cell_parse_time(const char *text, uint64_t *ret);

void cell_add_sysctl(char **p, const struct live_sysctl *sysctl);
bool cell_parse_sysctl(const char *text, enum sysctl_id id, struct live_sysctl *ret);
