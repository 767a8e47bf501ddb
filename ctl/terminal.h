/* SPDX-License-Identifier: MIT */
#pragma once

/* Output for people, like that of systemd's own tools: colours, a pager, columns. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/ctl.h"
#include "lib/util/macro.h"

enum colour {
        PLAIN,
        BOLD,
        DIM,
        RED,
        GREEN,
        YELLOW,
};

/* The escape sequences that begin and end a colour; "" if colours are off. $SYSTEMD_COLORS decides first. Without it,
 * colours are on if stdout is a terminal, $TERM is set and not "dumb", and $NO_COLOR (no-color.org) is unset or
 * empty. */
const char *colour_on(enum colour colour);
const char *colour_off(enum colour colour);

/* The colour of the daemon's state, of a rule's state, or of an owner. */
enum colour colour_of(const char *state);

void print_coloured(enum colour colour, const char *format, ...) _printf_(2, 3);

#define TEXT_WIDTH_MIN 30u /* the columns that the functions below use at least, also on a narrower terminal */

/* Prints "TITLE: TEXT", the title in colour. On a terminal, breaks the text at blanks to the terminal's width; else
 * prints one line. */
void print_item(unsigned indent, enum colour colour, const char *title, const char *text);

/* Prints the text after indent blanks, broken likewise; nothing if it is empty. */
void print_wrapped(const char *text, unsigned indent);

/* Prints the text, broken likewise: the first line begins at column, where the cursor is, the others at indent. Prints
 * only a newline if it is empty. */
void print_wrapped_from(const char *text, unsigned column, unsigned indent);

/* Likewise, in colour. least: how many columns a line may use at least, also on a narrower terminal. */
void print_broken(enum colour colour, const char *text, unsigned column, unsigned indent, unsigned least);

/* Returns how many bytes of the text fit into room columns, a byte counted as a column, without cutting a UTF-8
 * character. */
size_t text_cut(const char *text, size_t room);

/* Returns the width of the terminal that stdout or the pager writes to; 0: no terminal, so nothing may be cut. */
unsigned screen_width(void);

/* True if the locale's character set is UTF-8. */
bool has_unicode(void);

/* If stdout is a terminal, sends it through a pager from now on: $SYSTEMD_PAGER, $PAGER, less(1) or more(1). Does
 * nothing with --no-pager. */
void pager_open(const struct options *options);

/* Waits until the person has left the pager. Returns false if there is none. */
bool pager_close(void);

/* Prints an error and returns status. */
int complain(int status, const char *format, ...) _printf_(2, 3);

/* Reads a duration as a person writes it: "5m", "5 min", "5 minutes ago", "2d". At most 366 days. Returns 0
 * or -EINVAL. */
int duration_of_person(const char *text, uint64_t *ret_ns);

/* Likewise, for how long something lasts: the duration must be over 0, and not "ago". Returns 0, or prints an error
 * and returns EX_USAGE. */
int parse_duration(const char *text, uint64_t *ret_ns);

/* Cells in columns, each column as wide as its widest cell. On a terminal that is too narrow, the last column wraps
 * and the others are cut, except for the column with the names. Out of memory ends the program. */
#define COLUMNS_MAX 10u

struct table {
        struct row *row;
        size_t n;
        size_t width[COLUMNS_MAX];
        unsigned kept; /* the column with the names, which is never cut */
};

void table_begin_row(struct table *table);
void table_cell(struct table *table, enum colour colour, const char *format, ...) _printf_(3, 4);

/* Prints the table and frees its rows. */
void table_print(struct table *table);
