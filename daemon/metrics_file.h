/* SPDX-License-Identifier: MIT */
#pragma once

/* Writes metrics_file: the text of exposition.h for the textfile collector of prometheus-node-exporter, every
 * METRICS_FILE_EVERY. Runs after tick(), so that it delays no decision. Writes a temporary file and renames it, so
 * that a reader never sees half a file. */

#include <limits.h>

#include "daemon/tuner.h"
#include "lib/audit/exposition.h"

#define METRICS_FILE_EVERY (10 * NSEC_PER_SEC)
#define METRICS_FILE_PATH_MAX (PATH_MAX + 256) /* the configured path, with the name of a network namespace */

struct metrics_file {
        char path[METRICS_FILE_PATH_MAX], aside[METRICS_FILE_PATH_MAX + 8]; /* "": no such file is wanted */
        char netns[256];                                                    /* "": it has no name */
        uint64_t next;                                                      /* when the next one is due; 0: at once */
        uint64_t observed_at;                                               /* last tick that read all; 0: none yet */

        struct exposition_counters counters;
        struct rule_life {
                char name[RULE_NAME_MAX];
                bool active; /* at the last tick */
                uint64_t episodes;
        } life[RULES_MAX]; /* in the order of the configuration */
        unsigned n_rules;
        struct exposition_destination fullest[EXPOSITION_GROUPS];
        unsigned n_fullest;
        uint64_t fullest_at; /* ns; 0: never */
        char text[EXPOSITION_TEXT_MAX];
};

/* Returns the path to write to: $TWTUNED_METRICS_FILE, which the supervisor sets if it serves that file; else that of
 * the configuration. */
const char *metrics_file_wanted(const struct config *config);

/* Returns what is wrong with a configured path; NULL: nothing. */
const char *metrics_file_problem(const char *path);

/* Follows a configuration, at the start and after a reload: sets the path, removes the file at the previous path if
 * that was another one, and keeps what was counted of each rule. In a named network namespace, the name goes before
 * the extension ("twtuned-web.prom"), because instances share one configuration. */
void metrics_file_set(struct metrics_file *file, const char *path, const struct config *config);

/* Call after a tick. An error is logged once, and the write is retried. A file that is not twtuned's is never replaced
 * or removed (-EEXIST). */
void metrics_file_tick(struct metrics_file *file, struct tuner *tuner);

/* Removes the file at the end, as its metrics would look current. */
void metrics_file_remove(struct metrics_file *file);
