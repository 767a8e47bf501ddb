/* SPDX-License-Identifier: MIT */
#pragma once

/* Text for people, in the manner of systemd's own tools: colours on a terminal, a pager for what may be long. */

#include <stdbool.h>

#include <jansson.h>

#include "ctl/ctl.h"

enum colour {
        PLAIN,
        BOLD,
        DIM,
        RED,
        GREEN,
        YELLOW,
};

/* $NO_COLOR (no-color.org) and $SYSTEMD_COLORS are respected, and a stdout that is no terminal. */
bool colours_on(void);
const char *colour_on(enum colour colour);
const char *colour_off(enum colour colour);

/* Of a state or standing: green, yellow or red. */
enum colour colour_of(const char *state);

/* Whether the terminal shows what is not ASCII. */
bool has_unicode(void);

/* From here to the end of the program stdout goes through $SYSTEMD_PAGER, $PAGER or less, if it is a terminal. */
void pager_open(const struct options *options);
void pager_close(void);

/* Cells in columns, which are as wide as they need to be. */
struct table;
struct table *table_new(void);
void table_cell(struct table *table, enum colour colour, const char *format, ...) _printf_(3, 4);
void table_end_row(struct table *table);

/* Prints it, and frees it. */
void table_print(struct table *table, unsigned indent);

/* At blanks, to the width of the terminal. */
void print_wrapped(const char *text, unsigned indent);

/* The whole value on stdout, and its end of line. Returns the exit status. */
int print_json(const json_t *value);

/* "" where there is none, or it is null. */
const char *text_of(const json_t *object, const char *key);
double number_of(const json_t *object, const char *key);
bool is_true(const json_t *object, const char *key);

/* The one whose "name" is that; NULL: none is. borrowed. */
json_t *find_named(const json_t *array, const char *name);

/* "2min 5s" */
#define TIME_TEXT_MAX 48
const char *time_text(double seconds, char buf[static TIME_TEXT_MAX]);
