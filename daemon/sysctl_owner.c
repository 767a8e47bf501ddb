/* SPDX-License-Identifier: MIT */
#include "sysctl_owner.h"

#include <stdio.h>
#include <string.h>

#include "lint_row.h"
#include "sysctl_files.h"

static void find_line(const char *path, enum sysctl_id id, struct sysctl_owner *ret)
{
        struct sysctl_lines lines = {0};
        struct problems problems = {0};
        const struct sysctl_line *line = NULL;
        enum sysctl_conf conf;

        if (sysctl_files_load("", &lines, &conf, &problems) == 0)
                line = sysctl_lines_find(&lines, path);
        if (line && line->value && sysctl_parse(id, line->value, &ret->value) == 0) {
                ret->configured = true;
                ret->admin = strncmp(line->at.file, "/etc/", 5) == 0;
                snprintf(ret->where, sizeof(ret->where), "%s:%u", line->at.file, line->at.line);
        }
        problems_free(&problems);
        sysctl_lines_free(&lines);
}

void sysctl_owner_find(enum sysctl_id id, struct sysctl_owner *ret)
{
        char path[LINT_NAME_MAX];
        const struct lint_row *row;

        *ret = (struct sysctl_owner){0};
        sysctl_name_swap(sysctl_table[id].name, path, sizeof(path));
        row = lint_row_find(path);
        ret->has_default = row && row->initial && sysctl_parse(id, row->initial, &ret->kernel_default) == 0;
        if (sysctl_files_apply_here())
                find_line(path, id, ret);
}
