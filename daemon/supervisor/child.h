/* SPDX-License-Identifier: MIT */
#pragma once

/* A twtuned in a network namespace, from when the namespace is first seen until it is gone. */

#include <sys/queue.h>

#include "daemon/supervisor/netns_scan.h"
#include "daemon/supervisor/process.h"
#include "lib/config/config.h"

struct child {
        LIST_ENTRY(child) link;
        struct process process;
        struct netns netns; /* name "": the supervisor's own */
        bool present;       /* the last scan has found it */
        bool ready;         /* since its start it has made a tick */
        bool aborted;       /* it was silent for too long */
        uint64_t heard;     /* us; the last note, or the start */
        char state[16];     /* the first word of its status; "": it has said none */
};

LIST_HEAD(children, child);

/* What all children have in common. */
struct child_options {
        const char *config_file; /* NULL: the usual files */
        struct config *config;   /* as last read from there */
        bool observe;
        int notes;                     /* where they write notes to */
        const char *metrics_directory; /* where each writes its metrics; NULL: where the configuration says */
};

/* Finds the child of a namespace; NULL: there is none. */
struct child *child_find(struct children *children, const struct netns *netns);

/* Adds one, which the caller has to start. A name that another one has gets the inode as well, because metrics and records
 * are told apart by it. Returns NULL without memory. */
struct child *child_add(struct children *children, const struct netns *netns);

/* Starts it. Prints why if it cannot be started. */
void child_start(struct child *child, const struct child_options *options, uint64_t now);

/* Returns the child with this pid; NULL: there is none. */
struct child *child_of_pid(struct children *children, pid_t pid);

/* Follows what it says. */
void child_hear(struct child *child, const char *text, uint64_t now);

/* Ends it if it has been silent for too long: with SIGABRT, then with SIGKILL if it still runs. It is then started again,
 * like one that died. */
void child_watch(struct child *child, uint64_t now);

/* Prints it if a child that was to run has ended, and when it is started again. */
void child_print_end(const struct child *child, int status, uint64_t now);

/* Removes one that does not run, and what it may have left. */
void child_remove(struct child *child, const struct child_options *options);
