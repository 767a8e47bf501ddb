/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "lib/lint/sysctl_lines.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS " \t"

/* An array of pointers, because the origins borrow the names, so that these must not move. */
const char *sysctl_lines_add_file(struct sysctl_lines *lines, const char *file)
{
        char **all = realloc(lines->file, (lines->n_files + 1) * sizeof(*all));
        char *copy = strdup(file);

        if (all)
                lines->file = all;
        if (!all || !copy) {
                free(copy);
                return NULL;
        }
        return lines->file[lines->n_files++] = copy;
}

/* As systemd's basic/sysctl-util.c:sysctl_normalize(): the first of "/" and "." is the separator, and the other one is
 * part of a name: net.ipv4.conf.eth0/100.forwarding. */
static void normalize(char *name)
{
        char *first = strpbrk(name, "/.");

        if (first && *first == '.')
                sysctl_name_swap(name, name, strlen(name) + 1);
        if (name[0] == '/')
                memmove(name, name + 1, strlen(name));
}

static int add(struct sysctl_lines *lines, const struct sysctl_line *line)
{
        struct sysctl_line *all = realloc(lines->line, (lines->n + 1) * sizeof(*all));
        struct sysctl_line copy = *line;

        if (all)
                lines->line = all;
        copy.name = strdup(line->name);
        copy.value = line->value ? strdup(line->value) : NULL;
        if (!all || !copy.name || (line->value && !copy.value)) {
                free(copy.name);
                free(copy.value);
                return -ENOMEM;
        }
        normalize(copy.name);
        lines->line[lines->n++] = copy;
        return 0;
}

/* Cuts off the blanks around text, in place. */
static char *strip(char *text)
{
        size_t n;

        text += strspn(text, BLANKS);
        for (n = strlen(text); n > 0 && strchr(BLANKS, text[n - 1]); n--)
                text[n - 1] = 0;
        return text;
}

/* A comment is a line of its own; after a value it is part of the value (systemd's sysctl.c:parse_file()). */
static int take_line(struct sysctl_lines *lines, struct origin at, char *text, struct diagnostics *diagnostics)
{
        struct sysctl_line line = {.at = at};
        char *p = strip(text), *equals = strchr(p, '=');

        if (*p == 0 || *p == '#' || *p == ';')
                return 0;
        if (!equals && *p != '-') {
                diagnostic_add(diagnostics, at, "'%s' is not an assignment: write SYSCTL = VALUE", p);
                return 0;
        }
        if (equals) {
                *equals = 0;
                line.value = strip(equals + 1);
        }
        line.ignore_errors = equals && *p == '-';
        line.name = strip(*p == '-' ? p + 1 : p);
        if (*line.name == 0 || strpbrk(line.name, BLANKS)) {
                diagnostic_add(diagnostics, at,
                               "'%s' is not the name of a sysctl: write one word, such as net.ipv4.tcp_fin_timeout",
                               line.name);
                return 0;
        }
        return add(lines, &line);
}

/* A line ends at LF, CR LF, CR or NUL (systemd's basic/fileio.c:categorize_eol()). */
static size_t line_length(const char *text, size_t size)
{
        size_t n = 0;

        while (n < size && text[n] != '\n' && text[n] != '\r' && text[n] != 0)
                n++;
        return n;
}

int sysctl_lines_read(struct sysctl_lines *lines, const char *file, const char *text, size_t size,
                      struct diagnostics *diagnostics)
{
        struct origin at = {.file = file};
        int r = 0;

        while (size > 0 && r == 0) {
                size_t n = line_length(text, size), end = n < size;
                char *copy = strndup(text, n);

                at.line++;
                r = copy ? take_line(lines, at, copy, diagnostics) : -ENOMEM;
                free(copy);
                end += n + 1 < size && text[n] == '\r' && text[n + 1] == '\n';
                text += n + end;
                size -= n + end;
        }
        return r;
}

bool sysctl_line_is_glob(const struct sysctl_line *line)
{
        return strpbrk(line->name, "*?[") != NULL;
}

bool sysctl_line_matches(const struct sysctl_line *line, const char *name)
{
        if (!sysctl_line_is_glob(line))
                return strcmp(line->name, name) == 0;
        return fnmatch(line->name, name, FNM_PATHNAME | FNM_PERIOD) == 0;
}

/* True if a later line has the same glob: "-a.*" revokes an "a.* = 1" before it, and excludes from no other glob. */
static bool is_replaced(const struct sysctl_lines *lines, const struct sysctl_line *line)
{
        for (const struct sysctl_line *later = line + 1; later < lines->line + lines->n; later++)
                if (strcmp(later->name, line->name) == 0)
                        return true;
        return false;
}

const struct sysctl_line *sysctl_lines_find(const struct sysctl_lines *lines, const char *name)
{
        const struct sysctl_line *glob = NULL, *revoked = NULL;
        const char *first = strpbrk(name, "/.");
        char path[256];

        if (first && *first == '.')
                name = sysctl_name_swap(name, path, sizeof(path));
        for (size_t i = lines->n; i-- > 0;) {
                const struct sysctl_line *line = &lines->line[i];

                if (!sysctl_line_matches(line, name))
                        continue;
                if (!sysctl_line_is_glob(line))
                        return line;
                if (!line->value)
                        revoked = line;
                else if (!glob && !is_replaced(lines, line))
                        glob = line;
        }
        return glob ? glob : revoked;
}

const char *sysctl_name_swap(const char *name, char *buf, size_t size)
{
        size_t i;

        for (i = 0; name[i] && i + 1 < size; i++)
                buf[i] = name[i] == '/' ? '.' : name[i] == '.' ? '/' : name[i];
        buf[i] = 0;
        return buf;
}

void sysctl_lines_free(struct sysctl_lines *lines)
{
        for (size_t i = 0; i < lines->n; i++) {
                free(lines->line[i].name);
                free(lines->line[i].value);
        }
        for (size_t i = 0; i < lines->n_files; i++)
                free(lines->file[i]);
        free(lines->line);
        free(lines->file);
        *lines = (struct sysctl_lines){0};
}
