/* SPDX-License-Identifier: MIT */
#pragma once

/* Internal to lint: its table, and the checks that need more than a threshold. */

#include <stdbool.h>
#include <stdint.h>

#include "lib/lint/lint.h"
#include "lib/util/macro.h"

/* One line and one sysctl that it sets. */
struct lint_case {
        const struct lint_kernel *kernel;
        const struct sysctl_lines *lines;
        const struct sysctl_line *line;
        const struct lint_row *row;       /* NULL: the table has none */
        const struct lint_checks *checks; /* NULL: none */
        const char *path;                 /* below /proc/sys */
        const char *value;                /* the text of the line */
        unsigned n;                       /* the count of numbers that the kernel reads from it */
        int64_t v[3];
        const char *rest; /* the text after them; the kernel ignores it if it has read all the numbers it needs */
        bool tried;       /* the value was written to a copy, accepted or not */
        struct lint_finding *finding;
        void (*report)(void *user, const struct lint_finding *finding);
        void *user;
};

/* Where a sysctl exists. */
enum lint_place {
        LINT_FIRST = 1 << 0,     /* in the first network namespace; others can at most read it */
        LINT_CONNTRACK = 1 << 1, /* where nf_conntrack is loaded */
};

struct lint_row {
        const char *path; /* below /proc/sys; '*' for a family */
        unsigned n;       /* numbers in the value; 0: text */
        int64_t min, max; /* the range that the kernel accepts; both 0: not checked */
        /* The default of the kernel, if it is the same since Linux 5.14; NULL: it changed, or depends on the machine
         * or on the configuration of the kernel. */
        const char *initial;
        const char *help;          /* what it acts on; NULL: see sysctl_table */
        enum lint_place place;     /* 0: everywhere */
        const char *gone;          /* why this kernel may lack it */
        const char *idle;          /* why it has no effect although it exists */
        int64_t newer;             /* newer kernels accept only 0 to this; 0: they accept min to max, as older ones */
        const char *floor;         /* for a pair: the sysctl that is its lower bound; NULL: none */
        const char *needs;         /* it has no effect while this other sysctl is 0 */
        int64_t low, high;         /* harmful under low (0: see sysctl_table), and over high if `above` is set */
        const char *below, *above; /* the harm; where below is NULL, see sysctl_table */
        const char *module;        /* prefix that makes the value the name of a module; NULL: the value names none */
        const char *rule;          /* see struct lint_finding */
};

static inline bool lint_row_is_checked(const struct lint_row *row)
{
        return row->min != 0 || row->max != 0;
}

static inline bool lint_row_accepts(const struct lint_row *row, int64_t number)
{
        return !lint_row_is_checked(row) || (number >= row->min && number <= row->max);
}

/* False if newer kernels refuse the number, and older ones do not. */
static inline bool lint_row_is_certain(const struct lint_row *row, int64_t number)
{
        return row->newer == 0 || (number >= 0 && number <= row->newer);
}

/* A value of `above`: the harm is the text `never` in sysctl_table. */
#define AS_SYSCTL_SAYS ""

extern const struct lint_row lint_rows[];
extern const unsigned lint_row_count;

/* Returns the row of a path; NULL: there is none. */
const struct lint_row *lint_row_find(const char *path);

/* Returns the row that a wrong name means, such as net.ipv6.tcp_x, tcp_x alone, /proc/sys/... or capitals. NULL: none
 * is certain. */
const struct lint_row *lint_row_meant(const char *path);

/* True if lint gives a verdict about the path: it is about TCP, UDP, conntrack, ports or core sockets, or it is a
 * wrong name for a sysctl that is. */
bool lint_is_about(const struct lint_case *c);

/* Gives the verdict about a name that this kernel does not have. Returns true. */
bool lint_say_missing(struct lint_case *c);

/* A rule of the shipped policy. */
struct lint_rule {
        const char *name;
        const char *writes; /* the sysctl, below /proc/sys; '*' for a family; NULL: it only advises */
        const char *does;   /* "sets ..." */
};

/* Returns the rule with that name; NULL: there is none. */
const struct lint_rule *lint_rule_find(const char *name);

/* Reads the live value of a path: see struct lint_kernel. */
int lint_read_live(const struct lint_case *c, const char *path, char *buf, size_t size);
bool lint_exists(const struct lint_case *c, const char *path);

/* True if the live values are those of the first network namespace. */
bool lint_is_first_netns(const struct lint_case *c);

/* Returns the row of the sysctl in sysctl_table; NULL: there is none. */
const struct sysctl *lint_sysctl(const struct lint_case *c);

/* Returns what the sysctl acts on; NULL: unknown. */
const char *lint_help(const struct lint_case *c);

/* Gives the verdict and its reason. Returns true. */
bool lint_say(struct lint_case *c, enum lint_verdict verdict, const char *format, ...) _printf_(3, 4);

/* Appends to the reason. */
void lint_add_why(struct lint_case *c, const char *format, ...) _printf_(2, 3);

/* Gives the verdict about a value that the kernel refuses, and why it does. Returns true. */
bool lint_say_refused(struct lint_case *c, const char *format, ...) _printf_(2, 3);

/* Reads up to n numbers as the kernel does (kernel/sysctl.c:proc_get_long): separated by blanks, and decimal, octal or
 * hexadecimal as in C. Stops at a text that is not a number of 64 bits. A number over INT64_MAX counts as INT64_MAX.
 * Returns the count of the numbers; *ret_rest is the text after them. */
unsigned lint_numbers(const char *text, unsigned n, int64_t v[static 3], const char **ret_rest);

/* Returns the line that takes effect on the variable of path (sysctl_lines_find()); if it repeats earlier lines, the
 * first of these. NULL: none. nf_conntrack_max is one variable with two names. */
const struct sysctl_line *lint_standing(const struct sysctl_lines *lines, const char *path);

/* The value of a sysctl once the lines are applied. */
struct lint_effect {
        unsigned n;
        int64_t v[3];
        const struct sysctl_line *line; /* the line that sets it; NULL: it is the live value */
        char where[128];                /* " (FILE:LINE)" of this line; "" if there is none */
};

/* Gives the numbers of a sysctl once the lines are applied; ignores a line that the kernel refuses. Returns false if
 * the numbers are unknown, or the sysctl does not exist here. */
bool lint_effective(const struct lint_case *c, const char *path, struct lint_effect *ret);

/* Gives the first number of a sysctl at the moment when the line of the case is applied: ignores later lines. Returns
 * false if the number is unknown. */
bool lint_number_by_then(const struct lint_case *c, const char *path, int64_t *ret);

/* The checks that need more than the table; each returns true if it gave the verdict. */
struct lint_checks {
        const char *path;
        bool (*refuses)(struct lint_case *c); /* what the kernel refuses besides values outside min and max */
        bool (*check)(struct lint_case *c);   /* the verdicts for which a threshold is not enough */
};

/* Returns the checks of a path; NULL: it has none. */
const struct lint_checks *lint_checks_find(const char *path);

/* The checks of ports. */
bool lint_refuses_port_list(struct lint_case *c);
bool lint_refuses_port_range(struct lint_case *c);
bool lint_refuses_port_start(struct lint_case *c);
bool lint_check_port_range(struct lint_case *c);
bool lint_check_reserved_ports(struct lint_case *c);

/* The checks of values that name modules. */
bool lint_refuses_module(struct lint_case *c);
bool lint_refuses_congestion_list(struct lint_case *c);
bool lint_check_congestion_list(struct lint_case *c);
bool lint_check_module(struct lint_case *c);
