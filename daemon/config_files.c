/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "daemon/config_files.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "daemon/conf_files.h"
#include "daemon/diagnostics_print.h"
#include "daemon/observe/observer.h"
#include "daemon/text_file.h"
#include "lib/util/macro.h"

/* The build sets these paths (meson.build). */
static const char policy_path[] = TWTUNED_POLICY;
static const char admin_path[] = TWTUNED_CONF;

/* A file in one directory masks the same name in later ones. Those below /usr are the vendor's (UAPI.6). */
static const char *const dropin_paths[] = {
        TWTUNED_CONF ".d",
        "/run/twtuned.conf.d",
        "/usr/local/lib/twtuned.conf.d",
        "/usr/lib/twtuned.conf.d",
};

/* The parameters of load() that are the same for every file. */
struct loading {
        const char *root; /* "", or the directory below which a test has its files */
        struct config *config;
        const struct counters *kernel;
        struct diagnostics *diagnostics;
};

static void load(const struct loading *l, const char *name, bool optional, bool vendors)
{
        struct config *config = l->config;
        unsigned before = config->n_files;
        char path[PATH_MAX], *text = NULL;
        size_t size = 0;
        int r;

        snprintf(path, sizeof(path), "%s%s", l->root, name);
        r = text_file_read(path, &text, &size);
        if (r == -ENOENT && optional)
                return;
        config_read(config, name, r < 0 ? "" : text, r < 0 ? 0 : size, l->kernel, l->diagnostics);
        if (vendors && config->n_files > before)
                config->vendor_files |= UINT64_C(1) << before;
        if (r < 0 && config->n_files > before)
                diagnostic_add(l->diagnostics, (struct origin){.file = config->file[before]}, "cannot be read: %s",
                               text_file_error(r));
        free(text);
}

static void load_dropins(const struct loading *l, const char *const directories[])
{
        struct conf_files list;
        char path[PATH_MAX];

        if (conf_files_list(l->root, directories, ELEMENTSOF(dropin_paths), &list, l->diagnostics) < 0)
                diagnostic_add(l->diagnostics, (struct origin){.file = dropin_paths[0]}, "out of memory");
        for (size_t i = 0; i < list.n; i++) {
                snprintf(path, sizeof(path), "%s/%s", list.item[i].directory, list.item[i].name);
                load(l, path, true, strncmp(list.item[i].directory, "/usr/", 5) == 0);
        }
        free(list.item);
}

/* A longer instance name would make "twtuned@NAME.conf.d" longer than a file name can be. */
#define INSTANCE_MAX (NAME_MAX - (sizeof("twtuned@.conf.d") - 1))

typedef char dropin_path[NAME_MAX + sizeof(TWTUNED_CONF) + 64];

/* Makes the paths of twtuned@NAME.conf.d. Returns false if NAME, the instance, cannot be part of a file name. */
static bool dropin_paths_of(const char *instance, dropin_path path[static ELEMENTSOF(dropin_paths)])
{
        if (!instance || !*instance || strlen(instance) > INSTANCE_MAX || strchr(instance, '/'))
                return false;
        for (unsigned i = 0; i < ELEMENTSOF(dropin_paths); i++) {
                size_t stem = strlen(dropin_paths[i]) - strlen(".conf.d");

                snprintf(path[i], sizeof(path[i]), "%.*s@%s.conf.d", (int)stem, dropin_paths[i], instance);
        }
        return true;
}

static void load_dropins_of(const struct loading *l, const char *instance)
{
        static dropin_path path[ELEMENTSOF(dropin_paths)]; /* static: diagnostics name them */
        const char *directories[ELEMENTSOF(dropin_paths)];

        if (!dropin_paths_of(instance, path))
                return;
        for (unsigned i = 0; i < ELEMENTSOF(dropin_paths); i++)
                directories[i] = path[i];
        load_dropins(l, directories);
}

bool config_files_of_instance(const char *file, const char *instance)
{
        dropin_path path[ELEMENTSOF(dropin_paths)];

        if (file || !dropin_paths_of(instance, path))
                return false;
        for (unsigned i = 0; i < ELEMENTSOF(dropin_paths); i++)
                if (access(path[i], F_OK) == 0)
                        return true;
        return false;
}

struct config *config_files_load_below(const char *root, const char *file, const struct counters *kernel,
                                       struct diagnostics *diagnostics)
{
        const struct loading l = {root, config_new(), kernel, diagnostics};

        if (!l.config)
                return NULL;
        load(&l, file ? file : policy_path, false, !file);
        if (!file) {
                load(&l, admin_path, true, false);
                load_dropins(&l, dropin_paths);
                load_dropins_of(&l, getenv("TWTUNED_INSTANCE"));
        }
        config_check(l.config, diagnostics);
        diagnostics_sort(diagnostics);
        diagnostics_sort(&l.config->warnings);
        return l.config;
}

struct config *config_files_load(const char *file, const struct counters *kernel, struct diagnostics *diagnostics)
{
        struct counters *listed = kernel ? NULL : observer_list_counters("/proc");
        struct config *config = NULL;

        if (kernel || listed)
                config = config_files_load_below("", file, kernel ? kernel : listed, diagnostics);
        free(listed);
        return config;
}

int config_files_load_good(const char *file, const struct counters *kernel, bool running, struct config **ret)
{
        struct diagnostics diagnostics = {0};
        struct config *config = config_files_load(file, kernel, &diagnostics);
        int status = config ? 0 : EX_OSERR;

        if (!config)
                fprintf(stderr, "twtuned: out of memory\n");
        if (config && running && diagnostics_are_rules_off(&diagnostics)) {
                diagnostics_print(&diagnostics, "warning: this error disables the rule: ");
        } else if (config && diagnostics.n > 0) {
                diagnostics_print(&diagnostics, "");
                config_free(config);
                config = NULL;
                status = EX_CONFIG;
        }
        if (config)
                diagnostics_print(&config->warnings, "warning: ");
        diagnostics_free(&diagnostics);
        *ret = config;
        return status;
}
