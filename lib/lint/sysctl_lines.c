/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "lib/lint/sysctl_lines.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util/safe.h"

#define BLANKS " \t"

const char *sysctl_lines_add_file(struct sysctl_lines *lines, const char *file)
{
        struct sysctl_file *all = realloc(lines->file, (lines->n_files + 1) * sizeof(*all));
        char *copy = strdup(file);

        if (all)
                lines->file = all;
        if (!all || !copy) {
                free(copy);
                return NULL;
        }
        lines->file[lines->n_files++] = (struct sysctl_file){.name = copy};
        return copy;
}

/* Does what systemd's basic/sysctl-util.c:sysctl_normalize() does: the first "/" or "." is the separator, and the
 * other character is part of a name: net.ipv4.conf.eth0/100.forwarding. Then simplifies "//", "/./" and a slash at
 * either end (basic/path-util.c:path_simplify()). */
static void normalize(char *name)
{
        char *first = strpbrk(name, "/."), *to = name;
        const char *from = name;

        if (first && *first == '.')
                sysctl_name_swap(name, name, strlen(name) + 1);
        while (*from) {
                size_t n = strcspn(from, "/");

                if (n > 0 && !(n == 1 && *from == '.')) {
                        if (to > name)
                                *to++ = '/';
                        memmove(to, from, n);
                        to += n;
                }
                from += n + (from[n] == '/');
        }
        *to = 0;
}

/* FNV-1a: a file may have 50,000 lines, and each line is compared with those before it. */
static uint32_t hash(const char *name)
{
        uint32_t h = 2166136261u;

        for (; *name; name++)
                h = (h ^ (unsigned char)*name) * 16777619u;
        return h;
}

static bool same_name(const struct sysctl_line *a, const struct sysctl_line *b)
{
        return a->hash == b->hash && strcmp(a->name, b->name) == 0;
}

/* A line that repeats the value of the previous line for its name is applied in the place of that line (systemd's
 * sysctl.c:parse_file()). */
static size_t place_of(const struct sysctl_lines *lines, size_t i)
{
        const struct sysctl_line *line = &lines->line[i];

        for (size_t k = i; k-- > 0;) {
                const struct sysctl_line *l = &lines->line[k];

                if (same_name(l, line))
                        return l->value && line->value && strcmp(l->value, line->value) == 0 ? l->place : i;
        }
        return i;
}

void sysctl_lines_place(struct sysctl_lines *lines)
{
        for (size_t i = 0; i < lines->n; i++)
                lines->line[i].place = place_of(lines, i);
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
        copy.glob = strpbrk(copy.name, "*?[") != NULL;
        copy.hash = hash(copy.name);
        lines->line[lines->n] = copy;
        lines->line[lines->n].place = place_of(lines, lines->n);
        lines->n++;
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
        char *p = strip(text), *equals = strchr(p, '='), shown[80];

        if (*p == 0 || *p == '#' || *p == ';')
                return 0;
        if (!equals && *p != '-') {
                diagnostic_add(diagnostics, at, "'%s' is not an assignment: write SYSCTL = VALUE",
                               safe_text(p, shown, sizeof(shown)));
                return 0;
        }
        if (equals) {
                *equals = 0;
                line.value = strip(equals + 1);
        }
        line.name = strip(*p == '-' ? p + 1 : p);
        if (*line.name == 0 || strpbrk(line.name, BLANKS)) {
                diagnostic_add(diagnostics, at,
                               "'%s' is not the name of a sysctl: write one word, such as net.ipv4.tcp_fin_timeout",
                               safe_text(line.name, shown, sizeof(shown)));
                return 0;
        }
        return add(lines, &line);
}

size_t sysctl_lines_split(const char *text, size_t size, size_t *ret_end)
{
        size_t n = 0;

        while (n < size && text[n] != '\n' && text[n] != '\r' && text[n] != 0)
                n++;
        *ret_end = n + (n < size);
        if (n + 1 < size && text[n] == '\r' && text[n + 1] == '\n')
                ++*ret_end;
        return n;
}

/* systemd-sysctl and sysctl -p take a byte order mark as a part of the first line (measured). Returns how many lines
 * have no effect because of it; SIZE_MAX: all, as the text is UTF-16. */
static size_t check_byte_order(struct origin at, const char *text, size_t size, struct diagnostics *diagnostics)
{
        at.line = 1;
        if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
                diagnostic_add(diagnostics, at,
                               "a byte order mark stands before the first line, so that this line has no "
                               "effect: save the file without the mark");
                return 1;
        }
        if (size >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0)) {
                diagnostic_add(diagnostics, at, "the file is UTF-16, so that no line has an effect: save it as UTF-8");
                return SIZE_MAX;
        }
        return 0;
}

static int keep_text(struct sysctl_lines *lines, const char *text, size_t size)
{
        struct sysctl_file *file = &lines->file[lines->n_files - 1];

        file->text = malloc(size + 1);
        if (!file->text)
                return -ENOMEM;
        memcpy(file->text, text, size);
        file->text[size] = 0;
        file->size = size;
        return 0;
}

int sysctl_lines_read(struct sysctl_lines *lines, const char *file, const char *text, size_t size,
                      struct diagnostics *diagnostics)
{
        struct origin at = {.file = file};
        size_t lost = check_byte_order(at, text, size, diagnostics);
        int r = lost == SIZE_MAX ? 0 : keep_text(lines, text, size);

        while (size > 0 && r == 0) {
                size_t end, n = sysctl_lines_split(text, size, &end);
                char *copy = strndup(text, n);

                at.line++;
                r = !copy ? -ENOMEM : at.line <= lost ? 0 : take_line(lines, at, copy, diagnostics);
                free(copy);
                text += end;
                size -= end;
        }
        return r;
}

bool sysctl_line_matches(const struct sysctl_line *line, const char *name)
{
        if (!line->glob)
                return strcmp(line->name, name) == 0;
        return fnmatch(line->name, name, FNM_PATHNAME | FNM_PERIOD) == 0;
}

/* True if a later line has the same glob: "-a.*" revokes an earlier "a.* = 1", but affects no other globs. */
static bool is_replaced(const struct sysctl_lines *lines, const struct sysctl_line *line)
{
        for (const struct sysctl_line *later = line + 1; later < lines->line + lines->n; later++)
                if (same_name(later, line))
                        return true;
        return false;
}

const struct sysctl_line *sysctl_lines_find(const struct sysctl_lines *lines, const char *name)
{
        const struct sysctl_line *glob = NULL, *revoked = NULL;
        const char *first = strpbrk(name, "/.");
        char path[256];
        uint32_t wanted;

        if (first && *first == '.')
                name = sysctl_name_swap(name, path, sizeof(path));
        wanted = hash(name);
        for (size_t i = lines->n; i-- > 0;) {
                const struct sysctl_line *line = &lines->line[i];

                if ((!line->glob && line->hash != wanted) || !sysctl_line_matches(line, name))
                        continue;
                if (!line->glob)
                        return line;
                if (!line->value)
                        revoked = line;
                else if ((!glob || line->place > glob->place) && !is_replaced(lines, line))
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
        for (size_t i = 0; i < lines->n_files; i++) {
                free(lines->file[i].name);
                free(lines->file[i].text);
        }
        free(lines->line);
        free(lines->file);
        *lines = (struct sysctl_lines){0};
}
