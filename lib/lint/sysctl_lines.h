/* SPDX-License-Identifier: MIT */
#pragma once

/* The lines of sysctl.d(5) files, as systemd-sysctl takes them: what they set, where, and which of them stands. */

#include <stdbool.h>
#include <stddef.h>

#include "lib/util/diagnostics.h"

struct sysctl_line {
        struct origin at;
        char *name;  /* a path below /proc/sys, net/ipv4/tcp_tw_reuse; glob(7) characters match several */
        char *value; /* blanks around it are cut off; NULL: "-name" alone, which keeps globs away from it */
        bool ignore_errors;
};

/* In the order in which they are read: later ones win. */
struct sysctl_lines {
        struct sysctl_line *line;
        size_t n;
        char **file; /* the names that the lines' origins borrow */
        size_t n_files;
};

/* A copy of a file's name that lives as long as lines. NULL: no memory. */
const char *sysctl_lines_add_file(struct sysctl_lines *lines, const char *file);

/* Adds the lines of a whole file's text; file is what sysctl_lines_add_file() gave. Lines that are wrong are added
 * to problems and left out; reading goes on. 0 or -ENOMEM. */
int sysctl_lines_read(struct sysctl_lines *lines, const char *file, const char *text, size_t size,
                      struct diagnostics *diagnostics);

/* The line that decides what name (a path, or with dots) becomes in the end: the last one that names it, else the last
 * glob that matches. Its value is NULL where it takes a line before it back, or keeps globs away, and nothing is set.
 * NULL: no line is about it. */
const struct sysctl_line *sysctl_lines_find(const struct sysctl_lines *lines, const char *name);

bool sysctl_line_is_glob(const struct sysctl_line *line);

/* Whether the line is about name, a path: names it, or matches it. */
bool sysctl_line_matches(const struct sysctl_line *line, const char *name);

/* A path as sysctl.conf has it, or the other way round: "/" and "." change places. Writes at most size bytes. */
const char *sysctl_name_swap(const char *name, char *buf, size_t size);

void sysctl_lines_free(struct sysctl_lines *lines);
