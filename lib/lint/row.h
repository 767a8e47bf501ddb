/* SPDX-License-Identifier: MIT */
#pragma once

/* Inside lint: its table, and what the checks that are more than a threshold see. */

#include <stdbool.h>
#include <stdint.h>

#include "lib/lint/lint.h"
#include "lib/util/macro.h"

struct lint_case {
        const struct lint_kernel *kernel;
        const struct sysctl_lines *lines;
        const struct sysctl_line *line;
        const struct lint_row *row;
        const char *path;  /* below /proc/sys */
        const char *value; /* the text of the line */
        unsigned n;        /* numbers that the kernel reads from it */
        int64_t v[3];
        const char *rest; /* what it takes no notice of */
        struct lint_finding *finding;
};

struct lint_row {
        const char *path;    /* below /proc/sys; '*' for a family */
        unsigned n;          /* numbers in the value; 0: text */
        int64_t min, max;    /* what the kernel takes; not under what the sysctl floor is, if that is given */
        const char *initial; /* the kernel's default, where it has been the same since Linux 5.14; NULL: it has
                                   * not, or depends on the machine or the kernel's configuration */
        const char *floor;
        const char *help;         /* what it acts on; NULL: as sysctl_table says, if it is there */
        const char *gone;         /* why there may be no such sysctl */
        const char *idle, *since; /* why it does nothing although it is there; since this other sysctl is there */
        int64_t low, high;        /* harmful under low (0: as sysctl_table says), and over high where above says why */
        const char *below, *above;
        bool (*check)(struct lint_case *c); /* what a threshold cannot tell; true: it has said the verdict */
        const char *rule;
};

/* For above, where sysctl_table has the reason. A low without below is the same. */
#define AS_SYSCTL_SAYS ""

extern const struct lint_row lint_rows[];
extern const unsigned lint_row_count;

/* The row of a path; NULL: there is none. */
const struct lint_row *lint_row_find(const char *path);

/* What a rule of the shipped policy does, "sets ..."; NULL: no such rule. */
const char *lint_rule_does(const char *rule);

/* What the sysctl acts on. */
const char *lint_help(const struct lint_case *c);

/* Puts the verdict down. Returns true. */
bool lint_say(struct lint_case *c, enum lint_verdict verdict, const char *format, ...) _printf_(3, 4);

/* Reads up to n numbers as the kernel does (kernel/sysctl.c:proc_get_long): blanks between them, any base that C has,
 * what follows the last is left. Returns how many there are; *ret_rest is what is left. */
unsigned lint_numbers(const char *text, unsigned n, int64_t v[static 3], const char **ret_rest);

/* The first number that a sysctl will have once these lines are applied: theirs, or the live one. */
bool lint_effective(const struct lint_case *c, const char *path, int64_t *ret);

bool lint_check_tw_reuse(struct lint_case *c);
bool lint_check_tw_reuse_delay(struct lint_case *c);
bool lint_check_port_range(struct lint_case *c);
bool lint_check_reserved_ports(struct lint_case *c);
bool lint_check_table(struct lint_case *c);
bool lint_check_syn_backlog(struct lint_case *c);
bool lint_check_tcp_mem(struct lint_case *c);
bool lint_check_buffer(struct lint_case *c);
bool lint_check_congestion_control(struct lint_case *c);
