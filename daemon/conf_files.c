/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "daemon/conf_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int is_conf(const struct dirent *entry)
{
        size_t n = strlen(entry->d_name);

        return entry->d_name[0] != '.' && n > 5 && strcmp(entry->d_name + n - 5, ".conf") == 0;
}

static bool is_listed(const struct conf_files *list, const char *name)
{
        for (size_t i = 0; i < list->n; i++)
                if (strcmp(list->item[i].name, name) == 0)
                        return true;
        return false;
}

static int list_add(struct conf_files *list, const char *directory, const char *name)
{
        struct conf_file *item = realloc(list->item, (list->n + 1) * sizeof(*item));

        if (!item)
                return -ENOMEM;
        list->item = item;
        item += list->n++;
        item->directory = directory;
        snprintf(item->name, sizeof(item->name), "%s", name);
        return 0;
}

static int list_directory(struct conf_files *list, const char *root, const char *directory,
                          struct diagnostics *diagnostics)
{
        struct dirent **entries = NULL;
        char path[PATH_MAX];
        int n, r = 0;

        snprintf(path, sizeof(path), "%s%s", root, directory);
        n = scandir(path, &entries, is_conf, NULL);
        if (n < 0 && errno != ENOENT)
                diagnostic_add(diagnostics, (struct origin){.file = directory}, "cannot be read: %s", strerror(errno));
        for (int i = 0; i < n; i++) {
                if (r == 0 && !is_listed(list, entries[i]->d_name))
                        r = list_add(list, directory, entries[i]->d_name);
                free(entries[i]);
        }
        free(entries);
        return r;
}

static int compare(const void *a, const void *b)
{
        const struct conf_file *x = a, *y = b;

        return strcmp(x->name, y->name);
}

int conf_files_list(const char *root, const char *const directories[], unsigned n, struct conf_files *ret,
                    struct diagnostics *diagnostics)
{
        int r = 0;

        *ret = (struct conf_files){0};
        for (unsigned i = 0; r == 0 && i < n; i++)
                r = list_directory(ret, root, directories[i], diagnostics);
        if (ret->n > 0)
                qsort(ret->item, ret->n, sizeof(ret->item[0]), compare);
        return r;
}
