/* SPDX-License-Identifier: MIT */
#pragma once

/* The whole configuration: several INI files, of which a later one overrides the earlier ones key by key. */

#include <limits.h>

#include "lib/config/rule.h"
#include "lib/config/values.h"
#include "lib/kernel/counter.h"
#include "lib/util/diagnostics.h"

#define CONFIG_FILES_MAX 64u

/* The sysctls that twtuned leaves alone. */
enum yield {
        YIELD_SYSCTL_D,   /* those that a file under /etc sets */
        YIELD_NONDEFAULT, /* those, and all that are not the kernel's default */
        YIELD_NO,         /* none */
};

struct config {
        /* [daemon] */
        uint64_t interval_ns;
        bool observe;
        bool restore_on_exit;
        unsigned char yield;         /* enum yield */
        double cpu_budget;           /* percent of one core, for full dumps */
        char metrics_file[PATH_MAX]; /* absolute; "": none */

        /* Only twtuned --all-netns reads these. The texts of a list are separated by blanks; NULL: none. Owned. */
        char *netns;           /* patterns of the names of network namespaces */
        char *netns_directory; /* absolute paths, besides the built-in ones */
        char *metrics_listen;  /* ADDRESS:PORT */

        /* [limits] */
        double changes_per_minute;
        uint64_t min_interval_ns;
        struct sysctl_bounds bounds[SYSCTL_COUNT]; /* never wider than the built-in ones */
        struct origin bounds_at[SYSCTL_COUNT];     /* the line that narrowed them; line 0: none */

        /* [rule NAME], in the order of their first lines */
        struct rule rule[RULES_MAX];
        unsigned n_rules;

        /* All keys in effect as they were written, in the order of their lines. */
        struct config_values values;

        /* The names of the files that were read, to which all origins point. Owned. */
        char *file[CONFIG_FILES_MAX];
        unsigned n_files;
        uint64_t vendor_files; /* a bit for each file of the vendor; the others are the administrator's */

        /* The kernel counters that the observer needs itself, then those that the rules name. */
        struct counters counters;

        /* Warnings: accepted, but probably a mistake. Owned; config_check() adds them. */
        struct diagnostics warnings;

        struct unit_names unit_names; /* the names in for-unit of all rules */

        struct condition_texts texts; /* the last member, so that its unused part takes no memory */
};

/* Returns a configuration with the defaults and no rules; NULL: no memory. */
struct config *config_new(void);
void config_free(struct config *config);

/* Reads the text of one file, which overrides the files read before. Adds each error to diagnostics and continues, so
 * that a person sees all of them at once. It is an error if CONFIG_FILES_MAX files were read before. kernel: the
 * counters of /proc, NULL if they are unknown. All origins, also those of the diagnostics, borrow the file's name from
 * the configuration. */
void config_read(struct config *config, const char *file, const char *text, size_t size, const struct counters *kernel,
                 struct diagnostics *diagnostics);

/* Returns the first rule that changes the sysctl and is not disabled; NULL: none. */
const struct rule *config_rule_of(const struct config *config, enum sysctl_id sysctl);

/* Checks the whole configuration after the last file: rules against each other, against [limits], and in themselves.
 * Sets the field `after` of each rule. Disables each rule with a condition that never holds, and sets rule_off in that
 * error. */
void config_check(struct config *config, struct diagnostics *diagnostics);
