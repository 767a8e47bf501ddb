/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "daemon/config_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/diagnostics_print.h"
#include "daemon/text_file.h"

/* The build sets both paths (meson.build). */
static const char policy_path[] = TWTUNED_POLICY;
static const char admin_path[] = TWTUNED_CONF;
static const char dropin_path[] = TWTUNED_CONF ".d";

/* Where the files are read to. */
struct loading {
        struct config *config;
        const struct counters *kernel;
        struct diagnostics *diagnostics;
};

static void load(const struct loading *l, const char *path, bool optional)
{
        char *text = NULL;
        size_t size = 0;
        int r = text_file_read(path, &text, &size);

        if (r == -ENOENT && optional)
                return;
        config_read(l->config, path, r < 0 ? "" : text, r < 0 ? 0 : size, l->kernel, l->diagnostics);
        if (r < 0 && l->config->n_files > 0)
                diagnostic_add(l->diagnostics, (struct origin){.file = l->config->file[l->config->n_files - 1]},
                               "cannot be read: %s", text_file_error(r));
        free(text);
}

static int is_conf(const struct dirent *entry)
{
        size_t n = strlen(entry->d_name);

        return entry->d_name[0] != '.' && n > 5 && strcmp(entry->d_name + n - 5, ".conf") == 0;
}

static void load_dropins(const struct loading *l)
{
        struct dirent **entries = NULL;
        int n = scandir(dropin_path, &entries, is_conf, alphasort);
        char path[512];

        if (n < 0 && errno != ENOENT)
                diagnostic_add(l->diagnostics, (struct origin){.file = dropin_path}, "cannot be read: %s",
                               strerror(errno));
        for (int i = 0; i < n; i++) {
                snprintf(path, sizeof(path), "%s/%s", dropin_path, entries[i]->d_name);
                load(l, path, false);
                free(entries[i]);
        }
        free(entries);
}

struct config *config_files_load(const char *file, const struct counters *kernel, struct diagnostics *diagnostics)
{
        const struct loading l = {config_new(), kernel, diagnostics};

        if (!l.config)
                return NULL;
        load(&l, file ? file : policy_path, false);
        if (!file) {
                load(&l, admin_path, true);
                load_dropins(&l);
        }
        config_check(l.config, diagnostics);
        diagnostics_sort(diagnostics);
        diagnostics_sort(&l.config->warnings);
        return l.config;
}

struct config *config_files_load_good(const char *file, const struct counters *kernel, bool running)
{
        struct diagnostics diagnostics = {0};
        struct config *config = config_files_load(file, kernel, &diagnostics);

        if (!config)
                fprintf(stderr, "twtuned: out of memory\n");
        if (config && running && diagnostics_are_rules_off(&diagnostics)) {
                diagnostics_print(&diagnostics, "warning: its rule is off: ");
        } else if (config && diagnostics.n > 0) {
                diagnostics_print(&diagnostics, "");
                config_free(config);
                config = NULL;
        }
        if (config)
                diagnostics_print(&config->warnings, "warning: ");
        diagnostics_free(&diagnostics);
        return config;
}
