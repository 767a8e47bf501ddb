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

/* Both paths are given by the build (meson.build). */
static const char policy_path[] = TWTUNED_POLICY;
static const char admin_path[] = TWTUNED_CONF;
static const char dropin_path[] = TWTUNED_CONF ".d";

static void load(struct config *config, const char *path, bool optional, const struct counters *kernel,
                 struct diagnostics *diagnostics)
{
        char *text = NULL;
        size_t size = 0;
        int r = text_file_read(path, &text, &size);

        if (r == -ENOENT && optional)
                return;
        if (r < 0)
                config_read(config, path, "", 0, kernel, diagnostics);
        if (r < 0 && config->n_files > 0)
                diagnostic_add(diagnostics, (struct origin){.file = config->file[config->n_files - 1]},
                               "cannot be read: %s", strerror(-r));
        if (r == 0)
                config_read(config, path, text, size, kernel, diagnostics);
        free(text);
}

static int is_conf(const struct dirent *entry)
{
        size_t n = strlen(entry->d_name);

        return entry->d_name[0] != '.' && n > 5 && strcmp(entry->d_name + n - 5, ".conf") == 0;
}

static void load_dropins(struct config *config, const struct counters *kernel, struct diagnostics *diagnostics)
{
        struct dirent **entries = NULL;
        int n = scandir(dropin_path, &entries, is_conf, alphasort);
        char path[512];

        if (n < 0 && errno != ENOENT)
                diagnostic_add(diagnostics, (struct origin){.file = dropin_path}, "cannot be read: %s",
                               strerror(errno));

        for (int i = 0; i < n; i++) {
                snprintf(path, sizeof(path), "%s/%s", dropin_path, entries[i]->d_name);
                load(config, path, false, kernel, diagnostics);
                free(entries[i]);
        }
        free(entries);
}

struct config *config_files_load(const char *file, const struct counters *kernel, struct diagnostics *diagnostics)
{
        struct config *config = config_new();

        if (!config)
                return NULL;
        if (file) {
                load(config, file, false, kernel, diagnostics);
        } else {
                load(config, policy_path, false, kernel, diagnostics);
                load(config, admin_path, true, kernel, diagnostics);
                load_dropins(config, kernel, diagnostics);
        }
        config_check(config, diagnostics);
        diagnostics_sort(diagnostics);
        return config;
}

struct config *config_files_load_good(const char *file, const struct counters *kernel)
{
        struct diagnostics diagnostics = {0};
        struct config *config = config_files_load(file, kernel, &diagnostics);

        if (!config)
                fprintf(stderr, "twtuned: out of memory\n");
        if (config && diagnostics.n > 0) {
                diagnostics_print(&diagnostics);
                config_free(config);
                config = NULL;
        }
        diagnostics_free(&diagnostics);
        return config;
}
