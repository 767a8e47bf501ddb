/* SPDX-License-Identifier: MIT */
#pragma once

/* The whole configuration: one or more INI files, later ones over earlier ones key by key. */

#include <limits.h>

#include "lib/config/rule.h"
#include "lib/config/values.h"
#include "lib/kernel/counter.h"
#include "lib/util/diagnostics.h"

#define CONFIG_FILES_MAX 64u

/* Whose values are left alone. */
enum yield {
        YIELD_SYSCTL_D,   /* those that sysctl.d sets under /etc */
        YIELD_NONDEFAULT, /* and those that are not what the kernel begins with */
        YIELD_NO,
};

struct config {
        /* [daemon] */
        uint64_t interval_ns;
        bool observe;
        bool restore_on_exit;
        enum yield yield;
        double cpu_budget;           /* percent of one core, for full dumps */
        char metrics_file[PATH_MAX]; /* "": none */

        /* [limits] */
        double changes_per_minute;
        uint64_t min_interval_ns;
        struct sysctl_bounds bounds[SYSCTL_COUNT]; /* never wider than the built-in ones */
        struct origin bounds_at[SYSCTL_COUNT];     /* where they were narrowed; line 0: nowhere */

        /* [rule NAME], in the order in which the names were first met */
        struct rule rule[RULES_MAX];
        unsigned n_rules;

        /* All that the files say and that is in effect, section by section as it was met. */
        struct config_values values;

        /* The names of the files that were read, for the origins. */
        char *file[CONFIG_FILES_MAX];
        unsigned n_files;

        /* The kernel counters that the rules name, after the observer's own. */
        struct counters counters;
};

/* Defaults and no rules. NULL: no memory. */
struct config *config_new(void);
void config_free(struct config *config);

/* Reads one file's text over what is there. All that is wrong is added to problems; reading goes on after each,
 * so that a person sees every error at once. kernel: the counters in /proc here, NULL if that is not known.
 * Origins, those of the problems as well, are good for the life of the configuration. */
void config_read(struct config *config, const char *file, const char *text, size_t size, const struct counters *kernel,
                 struct diagnostics *diagnostics);

/* After the last file: what can only be seen in the whole. */
void config_check(struct config *config, struct diagnostics *diagnostics);
