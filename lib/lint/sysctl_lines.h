/* SPDX-License-Identifier: MIT */
#pragma once

/* The lines of sysctl.d(5) files as systemd-sysctl reads them: what they set, and which one takes effect. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/util/diagnostics.h"

struct sysctl_line {
        struct origin at;
        char *name;  /* a path below /proc/sys, net/ipv4/tcp_tw_reuse; glob(7) characters match several */
        char *value; /* without the blanks around it; NULL: "-name" alone, which excludes the name from globs */
        bool glob;
        uint32_t hash; /* of the name */
        size_t place;  /* index of the line in whose place it is applied: itself, or the first line that it repeats */
};

struct sysctl_file {
        char *name; /* owned; the origins of the lines borrow it */
        char *text; /* owned; NULL: not read, or no text */
        size_t size;
};

/* In the order in which they are read; the last line for a name takes effect. Zero-initialized: empty. */
struct sysctl_lines {
        struct sysctl_line *line;
        size_t n;
        struct sysctl_file *file;
        size_t n_files;
};

/* Copies the name of a file. Returns the copy, which lives as long as lines; NULL: no memory. */
const char *sysctl_lines_add_file(struct sysctl_lines *lines, const char *file);

/* Adds the lines of the file that sysctl_lines_add_file() added last: file is the name that it returned, text is the
 * content. A wrong line becomes a diagnostic and is left out. Returns 0 or -ENOMEM. */
int sysctl_lines_read(struct sysctl_lines *lines, const char *file, const char *text, size_t size,
                      struct diagnostics *diagnostics);

/* Returns the length of the first line of text in bytes; *ret_end is the length with its end: LF, CR LF, CR or NUL
 * (systemd's basic/fileio.c:categorize_eol()). */
size_t sysctl_lines_split(const char *text, size_t size, size_t *ret_end);

/* Returns the line that takes effect on name (a path, or with dots): the last line that names it; if none does, the
 * matching glob that is applied last (place). If the value of the line is NULL, it revokes an earlier line or excludes
 * the name from globs, and nothing is set. Returns NULL if no line is about name. */
const struct sysctl_line *sysctl_lines_find(const struct sysctl_lines *lines, const char *name);

/* Computes the place of each line again, after lines were removed. */
void sysctl_lines_place(struct sysctl_lines *lines);

/* True if the line is for the path in name, or its glob matches it. */
bool sysctl_line_matches(const struct sysctl_line *line, const char *name);

/* Turns a path into the form of sysctl.conf, or back: swaps "/" and ".". Writes at most size bytes. Returns buf. */
const char *sysctl_name_swap(const char *name, char *buf, size_t size);

void sysctl_lines_free(struct sysctl_lines *lines);
