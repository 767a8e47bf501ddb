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
        const struct lint_row *row; /* NULL: the table has none */
        const char *path;           /* below /proc/sys */
        const char *value;          /* the text of the line */
        unsigned n;                 /* the count of numbers that the kernel reads from it */
        int64_t v[3];
        const char *rest; /* the text after them, which the kernel ignores */
        struct lint_finding *finding;
};

struct lint_row {
        const char *path; /* below /proc/sys; '*' for a family */
        unsigned n;       /* numbers in the value; 0: text */
        int64_t min, max; /* the kernel accepts these; both 0: not checked */
        /* The default of the kernel, if it is the same since Linux 5.14; NULL: it changed, or depends on the machine or
         * on the configuration of the kernel. */
        const char *initial;
        const char *floor;         /* a sysctl: the kernel accepts nothing below its value either */
        const char *help;          /* what it acts on; NULL: see sysctl_table */
        const char *gone;          /* why this kernel may lack it */
        const char *idle;          /* why it has no effect although it exists */
        const char *since;         /* idle holds if this other sysctl exists */
        int64_t low, high;         /* harmful below low (0: see sysctl_table), and above high if above is set */
        const char *below, *above; /* the harm; where below is NULL, see sysctl_table */
        bool (*check)(struct lint_case *c); /* more than a threshold; returns true if it gave the verdict */
        const char *rule;                   /* see struct lint_finding */
};

/* For above: sysctl_table has the reason. */
#define AS_SYSCTL_SAYS ""

extern const struct lint_row lint_rows[];
extern const unsigned lint_row_count;

/* Returns the row of a path; NULL: there is none. */
const struct lint_row *lint_row_find(const char *path);

/* Returns what a rule of the shipped policy does, "sets ..."; NULL: no such rule. */
const char *lint_rule_does(const char *rule);

/* The live value of a path: see struct lint_kernel. */
int lint_read_live(const struct lint_case *c, const char *path, char *buf, size_t size);

/* The row of sysctl_table; NULL: it has none. */
const struct sysctl *lint_sysctl(const struct lint_case *c);

/* Returns what the sysctl acts on. */
const char *lint_help(const struct lint_case *c);

/* Gives the verdict and its reason. Returns true. */
bool lint_say(struct lint_case *c, enum lint_verdict verdict, const char *format, ...) _printf_(3, 4);

/* Reads up to n numbers as the kernel does (kernel/sysctl.c:proc_get_long): blanks between them, in the bases of C,
 * and the text after the last one is ignored. Returns their count; *ret_rest is the text after them. */
unsigned lint_numbers(const char *text, unsigned n, int64_t v[static 3], const char **ret_rest);

/* Gives the first number that a sysctl has once the lines are applied: that of its line, else the live one. Returns
 * false if it is unknown. */
bool lint_effective(const struct lint_case *c, const char *path, int64_t *ret);

/* The checks of rows; see lint_row.check. */
bool lint_check_tw_reuse(struct lint_case *c);
bool lint_check_tw_reuse_delay(struct lint_case *c);
bool lint_check_port_range(struct lint_case *c);
bool lint_check_reserved_ports(struct lint_case *c);
bool lint_check_table(struct lint_case *c);
bool lint_check_syn_backlog(struct lint_case *c);
bool lint_check_tcp_mem(struct lint_case *c);
bool lint_check_buffer(struct lint_case *c);
bool lint_check_congestion_control(struct lint_case *c);
