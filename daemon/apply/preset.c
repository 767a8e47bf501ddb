/* SPDX-License-Identifier: MIT */
#include "daemon/apply/preset.h"

#include <stdio.h>
#include <string.h>

#include "daemon/apply/sysctl_files.h"
#include "lib/lint/row.h"

static void fill_default(enum sysctl_id id, const char *path, struct sysctl_preset *ret)
{
        const struct lint_row *row = lint_row_find(path);

        *ret = (struct sysctl_preset){0};
        ret->has_default = row && row->initial && sysctl_parse(id, row->initial, &ret->kernel_default) == 0;
}

/* Parses a value as the kernel does, which ignores text after the numbers ("30 # half a minute", measured).
 * sysctl_parse() takes only decimal numbers, as the kernel prints them. */
static bool parse(enum sysctl_id id, const char *text, struct sysctl_value *ret)
{
        const char *rest;

        ret->n = sysctl_table[id].n;
        return ret->n > 0 && lint_numbers(text, ret->n, ret->v, &rest) == ret->n;
}

static void fill_line(enum sysctl_id id, const char *path, const struct sysctl_lines *lines, struct sysctl_preset *ret)
{
        const struct sysctl_line *line = sysctl_lines_find(lines, path);

        if (!line || !line->value || !parse(id, line->value, &ret->value))
                return;
        ret->configured = true;
        ret->admin = strncmp(line->at.file, "/etc/", 5) == 0;
        snprintf(ret->where, sizeof(ret->where), "%s:%u", line->at.file, line->at.line);
}

/* Fills in the presets of the sysctls from first to last. */
static void find(enum sysctl_id first, enum sysctl_id last, struct sysctl_preset *ret)
{
        struct sysctl_lines lines = {0};
        struct diagnostics diagnostics = {0};
        enum sysctl_conf conf;
        bool known = sysctl_files_apply_here() && sysctl_files_load("", &lines, &conf, &diagnostics) == 0;

        for (unsigned id = first; id <= last; id++, ret++) {
                char path[LINT_NAME_MAX];

                sysctl_name_swap(sysctl_table[id].name, path, sizeof(path));
                fill_default(id, path, ret);
                if (known)
                        fill_line(id, path, &lines, ret);
        }
        diagnostics_free(&diagnostics);
        sysctl_lines_free(&lines);
}

void sysctl_preset_find(enum sysctl_id id, struct sysctl_preset *ret)
{
        find(id, id, ret);
}

void sysctl_preset_find_all(struct sysctl_preset ret[static SYSCTL_COUNT])
{
        find(0, SYSCTL_COUNT - 1, ret);
}
