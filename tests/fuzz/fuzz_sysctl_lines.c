/* SPDX-License-Identifier: MIT */
/* A file of sysctl.d, and what lint says of it on a stock kernel. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/lint/lint.h"
#include "text.h"

static char stock[65536]; /* a line each, PATH VALUE; and zeros, more than a path is long */

static void stock_load(void)
{
        FILE *f = fopen(LINT_DIR "/stock.txt", "r");

        assert(f);
        assert(fread(stock, 1, sizeof(stock) - 1, f) > 0);
        fclose(f);
}

static int stock_read(void *user, const char *path, char *buf, size_t size)
{
        size_t n = strlen(path);

        (void)user;
        for (const char *line = stock; *line; line = strchr(line, '\n') + 1)
                if (n < LINT_NAME_MAX && line[n] == ' ' && memcmp(line, path, n) == 0) {
                        snprintf(buf, size, "%.*s", (int)strcspn(line + n + 1, "\n"), line + n + 1);
                        return 0;
                }
        return -ENOENT;
}

static void on_finding(void *user, const struct lint_finding *f)
{
        const struct sysctl_lines *lines = user;

        assert(f->line >= lines->line && f->line < lines->line + lines->n && f->line->value);
        assert(*f->name && *f->why && *lint_verdict_name(f->verdict));
        for (const char *p = f->why; *p; p++)
                assert((unsigned char)*p >= 0x20 && *p != 0x7f);
        assert(!f->rule || f->does);
}

/* A path is what the last line that names it makes of it. */
static void check_find(const struct sysctl_lines *lines, const struct sysctl_line *line)
{
        const struct sysctl_line *last = line;

        if (line->glob || line->name[strcspn(line->name, "./")] == '.')
                return;
        for (const struct sysctl_line *l = line; l < lines->line + lines->n; l++)
                if (strcmp(l->name, line->name) == 0)
                        last = l;
        assert(sysctl_lines_find(lines, line->name) == last);
}

static void check_line(const struct sysctl_line *line)
{
        assert(line->at.line > 0 && !strpbrk(line->name, " \t\r\n="));
        if (line->value)
                assert(!strpbrk(line->value, "\r\n") && !strchr(" \t", *line->value) == !!*line->value);
}

/* What remains has nothing to take out. */
static void check_fix(const struct sysctl_lines *lines, const struct lint_kernel *kernel)
{
        struct sysctl_lines rest = {.line = calloc(lines->n + 1, sizeof(*rest.line))};
        char **why, **again;

        assert(rest.line && lint_fix(lines, kernel, &why) == 0);
        for (size_t i = 0; i < lines->n; i++)
                if (!why[i])
                        rest.line[rest.n++] = lines->line[i];
        sysctl_lines_place(&rest);
        assert(lint_fix(&rest, kernel, &again) == 0);
        for (size_t i = 0; i < rest.n; i++)
                assert(!again[i]);
        lint_fix_free(why, lines->n);
        lint_fix_free(again, rest.n);
        free(rest.line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const struct lint_kernel kernel = {.read = stock_read, .memory_pages = 6170000};
        struct sysctl_lines lines = {0};
        struct diagnostics diagnostics = {0};

        if (!*stock)
                stock_load();
        assert(sysctl_lines_read(&lines, sysctl_lines_add_file(&lines, "f"), (const char *)data, size, &diagnostics) ==
               0);
        for (size_t i = 0; i < lines.n; i++) {
                check_line(&lines.line[i]);
                check_find(&lines, &lines.line[i]);
        }
        lint_run(&lines, &kernel, on_finding, &lines);
        if (lines.n < 200)
                check_fix(&lines, &kernel);
        diagnostics_free(&diagnostics);
        sysctl_lines_free(&lines);
        return 0;
}
